/*
 * ddl_charset.c - charsets and collations as statements name them, and which is
 * the default where they don't.
 */
#include "schema/ddl_draft.h"

#include "base/str.h"
#include "schema/charset.h"

static const char *
default_suffix(struct weir_str charset)
{
    static const struct { const char *charset, *suffix; } others[] = {
        { "big5", "chinese_ci" },   { "dec8", "swedish_ci" },
        { "hp8", "english_ci" },    { "latin1", "swedish_ci" },
        { "swe7", "swedish_ci" },   { "ujis", "japanese_ci" },
        { "sjis", "japanese_ci" },  { "tis620", "thai_ci" },
        { "euckr", "korean_ci" },   { "gb2312", "chinese_ci" },
        { "gbk", "chinese_ci" },    { "latin5", "turkish_ci" },
        { "cp932", "japanese_ci" }, { "eucjpms", "japanese_ci" },
        { "gb18030", "chinese_ci" },
    };
    static const char *const general[] = {
        "cp850", "koi8r", "latin2", "ascii", "hebrew", "koi8u", "greek",
        "cp1250", "armscii8", "utf8", "utf8mb3", "utf8mb4", "ucs2", "cp866",
        "keybcs2", "macce", "macroman", "cp852", "latin7", "cp1251", "utf16",
        "utf16le", "cp1256", "cp1257", "utf32", "geostd8",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (str_is(charset, others[i].charset)) {
            return others[i].suffix;
        }
    }
    for (size_t i = 0; i < sizeof general / sizeof *general; i++) {
        if (str_is(charset, general[i])) {
            return "general_ci";
        }
    }
    return NULL;
}

/* MariaDB 11.3 and later: character_set_collations may say another. */
static bool
default_is_a_setting(const struct draft *d, struct weir_str charset)
{
    const bool unicode = str_has_prefix(charset, "utf") ||
                         str_is(charset, "ucs2");

    return unicode && d->session->flavour == FLAVOUR_MARIADB &&
           (d->session->version == 0 || d->session->version >= 110300);
}

static struct weir_str
lower(struct draft *d, struct weir_str s)
{
    char *to = arena_cstr(d->a, s);

    for (size_t i = 0; i < s.len; i++) {
        to[i] = to[i] >= 'A' && to[i] <= 'Z' ? (char)(to[i] | 0x20) : to[i];
    }
    return (struct weir_str){ to, s.len };
}

/* Since MariaDB 10.6 and MySQL 8.0.30 it is shown as "utf8mb3". */
static struct weir_str
modern(struct draft *d, struct weir_str name)
{
    const unsigned since =
        d->session->flavour == FLAVOUR_MYSQL ? 80030 : 100600;

    if ((str_is(name, "utf8") || str_has_prefix(name, "utf8_")) &&
        d->session->version >= since) {
        return str_of(arena_printf(d->a, "utf8mb3%.*s", (int)name.len - 4,
                                   name.data + 4));
    }
    return name;
}

struct weir_str
draft_collation(struct draft *d, struct weir_str charset,
                struct weir_str collate)
{
    if (collate.len > 0) {
        const struct weir_str  name = modern(d, lower(d, collate));
        const struct charset   cs = charset_of_collation(name);
        const struct weir_str  of = charset.len > 0
                                        ? modern(d, lower(d, charset))
                                        : cs.name;
        if ((default_suffix(cs.name) || str_is(cs.name, "binary")) &&
            str_eq(of, cs.name)) {
            return name;
        }
        draft_fail(d, "a collation that is not known");
        return STR("");
    }
    const struct weir_str name = modern(d, lower(d, charset));
    const char           *suffix = default_suffix(name);
    if (str_is(name, "binary") || (suffix && default_is_a_setting(d, name))) {
        return name;
    }
    if (!suffix) {
        draft_fail(d, "a charset that is not known");
        return STR("");
    }
    if (str_is(name, "utf8mb4") && d->session->flavour == FLAVOUR_MYSQL) {
        suffix = d->session->version >= 80000 ? "0900_ai_ci" : "general_ci";
    }
    return str_of(arena_printf(d->a, "%.*s_%s", STR_ARG(name), suffix));
}

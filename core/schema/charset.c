/*
 * charset.c - see charset.h.  Numbers are the same in both servers up to 255,
 * and then each has blocks of its own (MySQL strings/ctype-uca.cc, MariaDB
 * strings/ctype-uca1400.h).
 */
#include "schema/charset.h"

#include <stdio.h>

#include "base/str.h"
#include "binlog/text.h"

/* clang-format off */
static const char *const single_names[100] = {
    [1] = "big5_chinese_ci", [2] = "latin2_czech_cs", [3] = "dec8_swedish_ci",
    [4] = "cp850_general_ci", [5] = "latin1_german1_ci", [6] = "hp8_english_ci",
    [7] = "koi8r_general_ci", [8] = "latin1_swedish_ci",
    [9] = "latin2_general_ci", [10] = "swe7_swedish_ci",
    [11] = "ascii_general_ci", [12] = "ujis_japanese_ci",
    [13] = "sjis_japanese_ci", [14] = "cp1251_bulgarian_ci",
    [15] = "latin1_danish_ci", [16] = "hebrew_general_ci",
    [18] = "tis620_thai_ci", [19] = "euckr_korean_ci",
    [20] = "latin7_estonian_cs", [21] = "latin2_hungarian_ci",
    [22] = "koi8u_general_ci", [23] = "cp1251_ukrainian_ci",
    [24] = "gb2312_chinese_ci", [25] = "greek_general_ci",
    [26] = "cp1250_general_ci", [27] = "latin2_croatian_ci",
    [28] = "gbk_chinese_ci", [29] = "cp1257_lithuanian_ci",
    [30] = "latin5_turkish_ci", [31] = "latin1_german2_ci",
    [32] = "armscii8_general_ci", [33] = "utf8mb3_general_ci",
    [34] = "cp1250_czech_cs", [35] = "ucs2_general_ci",
    [36] = "cp866_general_ci", [37] = "keybcs2_general_ci",
    [38] = "macce_general_ci", [39] = "macroman_general_ci",
    [40] = "cp852_general_ci", [41] = "latin7_general_ci",
    [42] = "latin7_general_cs", [43] = "macce_bin", [44] = "cp1250_croatian_ci",
    [45] = "utf8mb4_general_ci", [46] = "utf8mb4_bin", [47] = "latin1_bin",
    [48] = "latin1_general_ci", [49] = "latin1_general_cs", [50] = "cp1251_bin",
    [51] = "cp1251_general_ci", [52] = "cp1251_general_cs",
    [53] = "macroman_bin", [54] = "utf16_general_ci", [55] = "utf16_bin",
    [56] = "utf16le_general_ci", [57] = "cp1256_general_ci",
    [58] = "cp1257_bin", [59] = "cp1257_general_ci", [60] = "utf32_general_ci",
    [61] = "utf32_bin", [62] = "utf16le_bin", [63] = "binary",
    [64] = "armscii8_bin", [65] = "ascii_bin", [66] = "cp1250_bin",
    [67] = "cp1256_bin", [68] = "cp866_bin", [69] = "dec8_bin",
    [70] = "greek_bin", [71] = "hebrew_bin", [72] = "hp8_bin",
    [73] = "keybcs2_bin", [74] = "koi8r_bin", [75] = "koi8u_bin",
    [76] = "utf8mb3_tolower_ci", [77] = "latin2_bin", [78] = "latin5_bin",
    [79] = "latin7_bin", [80] = "cp850_bin", [81] = "cp852_bin",
    [82] = "swe7_bin", [83] = "utf8mb3_bin", [84] = "big5_bin",
    [85] = "euckr_bin", [86] = "gb2312_bin", [87] = "gbk_bin",
    [88] = "sjis_bin", [89] = "tis620_bin", [90] = "ucs2_bin",
    [91] = "ujis_bin", [92] = "geostd8_general_ci", [93] = "geostd8_bin",
    [94] = "latin1_spanish_ci", [95] = "cp932_japanese_ci", [96] = "cp932_bin",
    [97] = "eucjpms_japanese_ci", [98] = "eucjpms_bin",
    [99] = "cp1250_polish_ci",
};

/* A block of these for each Unicode charset, from its number on. */
static const char *const languages[] = {
    "unicode", "icelandic", "latvian", "romanian", "slovenian", "polish",
    "estonian", "spanish", "swedish", "turkish", "czech", "danish",
    "lithuanian", "slovak", "spanish2", "roman", "persian", "esperanto",
    "hungarian", "sinhala", "german2", "croatian", "unicode_520",
    "vietnamese",
};

/* MySQL 8: utf8mb4_ALL_0900_ai_ci from 255 on, some numbers left out, and the
 * same with as_cs from 278 on; then those with a list of their own. */
static const char *const uca900[] = {
    "", "de_pb_", "is_", "lv_", "ro_", "sl_", "pl_", "et_", "es_", "sv_",
    "tr_", "cs_", "da_", "lt_", "sk_", "es_trad_", "la_", NULL, "eo_", "hu_",
    "hr_", NULL, "vi_",
};
static const char *const uca900_more[] = { /* from 303 on */
    "ja_0900_as_cs", "ja_0900_as_cs_ks", "0900_as_ci", "ru_0900_ai_ci",
    "ru_0900_as_cs", "zh_0900_as_cs", "0900_bin", "nb_0900_ai_ci",
    "nb_0900_as_cs", "nn_0900_ai_ci", "nn_0900_as_cs", "sr_latn_0900_ai_ci",
    "sr_latn_0900_as_cs", "bs_0900_ai_ci", "bs_0900_as_cs", "bg_0900_ai_ci",
    "bg_0900_as_cs", "gl_0900_ai_ci", "gl_0900_as_cs", "mn_cyrl_0900_ai_ci",
    "mn_cyrl_0900_as_cs",
};

/* MariaDB 10.10: five charsets of 256 each, of which a language has eight. */
static const char *const uca1400_charsets[] = {
    "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32",
};
static const char *const uca1400_languages[] = {
    "", "_icelandic", "_latvian", "_romanian", "_slovenian", "_polish",
    "_estonian", "_spanish", "_swedish", "_turkish", "_czech", "_danish",
    "_lithuanian", "_slovak", "_spanish2", "_roman", "_persian", "_esperanto",
    "_hungarian", "_sinhala", "_german2", NULL, NULL, "_vietnamese",
    "_croatian",
};

static const struct {
    const char      *name;
    unsigned         maxlen;
    enum binlog_text text;
} charsets[] = {
    { "utf8mb4", 4, TEXT_UTF8 },   { "utf8mb3", 3, TEXT_UTF8 },
    { "utf8", 3, TEXT_UTF8 },      { "latin1", 1, TEXT_LATIN1 },
    { "ascii", 1, TEXT_UTF8 },     { "binary", 1, TEXT_BINARY },
    { "ucs2", 2, TEXT_CODED }, { "utf16", 4, TEXT_CODED },
    { "utf16le", 4, TEXT_CODED }, { "utf32", 4, TEXT_CODED },
    { "gbk", 2, TEXT_CODED }, { "gb18030", 4, TEXT_CODED },
    { "gb2312", 2, TEXT_CODED }, { "big5", 2, TEXT_CODED },
    { "sjis", 2, TEXT_CODED }, { "cp932", 2, TEXT_CODED },
    { "ujis", 3, TEXT_CODED }, { "eucjpms", 3, TEXT_CODED },
    { "euckr", 2, TEXT_CODED }, { "latin2", 1, TEXT_CODED },
    { "latin5", 1, TEXT_CODED }, { "latin7", 1, TEXT_CODED },
    { "cp1250", 1, TEXT_CODED }, { "cp1251", 1, TEXT_CODED },
    { "cp1256", 1, TEXT_CODED }, { "cp1257", 1, TEXT_CODED },
    { "cp850", 1, TEXT_CODED }, { "cp852", 1, TEXT_CODED },
    { "cp866", 1, TEXT_CODED }, { "greek", 1, TEXT_CODED },
    { "hebrew", 1, TEXT_CODED }, { "koi8r", 1, TEXT_CODED },
    { "koi8u", 1, TEXT_CODED }, { "tis620", 1, TEXT_CODED },
    { "macce", 1, TEXT_CODED }, { "macroman", 1, TEXT_CODED },
    { "armscii8", 1, TEXT_CODED }, { "geostd8", 1, TEXT_CODED },
    { "dec8", 1, TEXT_CODED }, { "hp8", 1, TEXT_CODED },
    { "keybcs2", 1, TEXT_CODED }, { "swe7", 1, TEXT_CODED },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct charset
charset_of_collation(struct weir_str collation)
{
    const char    *end = collation.len > 0
                             ? memchr(collation.data, '_', collation.len)
                             : NULL;
    struct charset found = {
        .name = { collation.data, end ? (size_t)(end - collation.data)
                                      : collation.len },
        .text = TEXT_UNKNOWN,
    };
    for (size_t i = 0; i < COUNT(charsets); i++) {
        if (str_is(found.name, charsets[i].name)) {
            found.maxlen = charsets[i].maxlen;
            found.text = charsets[i].text;
        }
    }
    if (found.text == TEXT_CODED) {
        found.coder = transcoder_of(found.name);
        found.text = found.coder ? TEXT_CODED : TEXT_UNKNOWN;
    }
    return found;
}

static const char *
uca900_name(struct arena *a, uint64_t id)
{
    if (id >= 303) {
        return id - 303 < COUNT(uca900_more)
                   ? arena_printf(a, "utf8mb4_%s", uca900_more[id - 303])
                   : NULL;
    }
    const bool     as_cs = id >= 278;
    const uint64_t i = id - (as_cs ? 278 : 255);
    return i < COUNT(uca900) && uca900[i]
               ? arena_printf(a, "utf8mb4_%s0900_%s", uca900[i],
                              as_cs ? "as_cs" : "ai_ci")
               : NULL;
}

static const char *
uca1400_name(struct arena *a, uint64_t id)
{
    const uint64_t charset = (id - 2048) >> 8;
    const uint64_t language = id >> 3 & 31;

    if (charset >= COUNT(uca1400_charsets)) {
        return NULL;
    }
    const char *name = language < COUNT(uca1400_languages)
                           ? uca1400_languages[language]
                           : NULL;
    if (!name) { /* its charset is known all the same */
        return uca1400_charsets[charset];
    }
    return arena_printf(a, "%s_uca1400%s%s%s%s", uca1400_charsets[charset],
                        name, id & 4 ? "_nopad" : "", id & 2 ? "_as" : "_ai",
                        id & 1 ? "_cs" : "_ci");
}

static const char *
language_name(struct arena *a, uint64_t id)
{
    static const struct { unsigned from; const char *charset; } blocks[] = {
        { 101, "utf16" },   { 128, "ucs2" },    { 160, "utf32" },
        { 192, "utf8mb3" }, { 224, "utf8mb4" },
    };
    for (size_t i = 0; i < COUNT(blocks); i++) {
        if (id >= blocks[i].from && id - blocks[i].from < COUNT(languages)) {
            return arena_printf(a, "%s_%s_ci", blocks[i].charset,
                                languages[id - blocks[i].from]);
        }
    }
    return NULL;
}

/* MariaDB: croatian, myanmar, thai and 11.5's general one, from 576 on. */
static const char *
late_name(struct arena *a, uint64_t id)
{
    static const char *const of[] = { "utf8mb3", "utf8mb4", "ucs2",
                                      "utf16",   NULL,      "utf32" };
    static const char *const names[] = { "croatian_ci", "myanmar_ci",
                                         "thai_520_w2", "general1400_as_ci" };
    const uint64_t block = (id - 576) >> 5, i = (id - 576) & 31;

    return block < COUNT(of) && of[block] && i < COUNT(names)
               ? arena_printf(a, "%s_%s", of[block], names[i])
               : NULL;
}

static const char *
collation_name(struct arena *a, uint64_t id)
{
    static const struct { uint64_t id; const char *name; } others[] = {
        { 159, "ucs2_general_mysql500_ci" },
        { 223, "utf8mb3_general_mysql500_ci" },
        { 248, "gb18030_chinese_ci" },
        { 249, "gb18030_bin" },
        { 250, "gb18030_unicode_520_ci" },
    };
    if (id < COUNT(single_names)) {
        return single_names[id];
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        if (others[i].id == id) {
            return others[i].name;
        }
    }
    return id < 255    ? language_name(a, id)
           : id < 576  ? uca900_name(a, id)
           : id < 1024 ? late_name(a, id)
           : id < 2048 ? NULL
                       : uca1400_name(a, id);
}

struct charset
charset_of_id(struct arena *a, uint64_t id, struct weir_str *collation)
{
    const bool  nopad = id >= 1024 && id < 2048; /* MariaDB's twins */
    const char *name = collation_name(a, nopad ? id - 1024 : id);

    *collation = str_of(name);
    if (name && nopad) {
        const char *last = strrchr(name, '_');
        *collation = str_of(last ? arena_printf(a, "%.*s_nopad%s",
                                                (int)(last - name), name, last)
                                 : NULL);
    }
    return charset_of_collation(*collation);
}

struct weir_str
charset_bytes(const struct weir_column *column, const struct weir_value *v)
{
    if (v->logged) {
        return binlog_logged(v);
    }
    static const char *const unchanged[] = { "utf8", "ascii", "binary" };
    const struct weir_str    collation = column->collation;
    bool                     same = collation.len == 0;
    for (size_t i = 0; i < COUNT(unchanged) && !same; i++) {
        same = str_has_prefix(collation, unchanged[i]);
    }
    same = same || (str_has_prefix(collation, "latin1_") &&
                    text_is_ascii(v->s.data, v->s.len));
    return same ? v->s : (struct weir_str){ 0 };
}

bool
charset_text(struct arena *a, const struct charset *charset,
             struct weir_str from, struct weir_str *out)
{
    size_t len = 0;

    if (charset->text == TEXT_LATIN1 || charset->text == TEXT_CODED) {
        char *to = arena_take(a, 3 * from.len + 1);
        len = charset->coder ? transcode(charset->coder, from.data, from.len, to)
                             : text_of_latin1(from.data, from.len, to);
        from = (struct weir_str){ to, len };
    }
    if (len == SIZE_MAX || charset->text == TEXT_UNKNOWN ||
        !text_is_utf8(from.data, from.len)) {
        return false;
    }
    *out = from;
    return true;
}

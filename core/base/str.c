/* str.c - see str.h. */
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

bool
str_eq_nocase(struct weir_str a, struct weir_str b)
{
    return a.len == b.len &&
           (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

bool
str_has_prefix(struct weir_str s, const char *prefix)
{
    const size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.data, prefix, n) == 0;
}

bool
str_glob(struct weir_str pattern, struct weir_str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

    while (t < text.len) {
        const bool more = p < pattern.len;
        if (more && pattern.data[p] == '*') {
            star = p++; /* match nothing yet; come back here if that fails */
            from = t;
            continue;
        }
        const bool escaped =
            more && pattern.data[p] == '\\' && p + 1 < pattern.len;
        const char want = more ? pattern.data[p + escaped] : 0;
        if (more && ((want == '?' && !escaped) || want == text.data[t])) {
            p += 1 + escaped;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

bool
str_u64(struct weir_str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        const unsigned digit = (unsigned char)s.data[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

uint64_t
str_hash(uint64_t seed, struct weir_str s)
{
    uint64_t h = seed ? seed : 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.data[i]) * 0x100000001b3u;
    }
    return h;
}

/* Levenshtein's distance, of names up to 63 bytes. */
static size_t
edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    size_t       row[64];

    if (n > 63 || m > 63) {
        return 64;
    }
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const bool   same = tolower((unsigned char)a[i - 1]) ==
                              tolower((unsigned char)b[j - 1]);
            size_t       best = diagonal + !same;
            const size_t above = row[j];
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[m];
}

const char *
str_nearest(const char *typed, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t      distance = 64;

    for (size_t i = 0; i < n; i++) {
        const size_t d = edit_distance(typed, names[i]);
        if (d < distance) {
            distance = d;
            best = names[i];
        }
    }
    const size_t len = strlen(typed);
    const size_t tolerated = len < 3 ? 1 : len < 6 ? 2 : 3;
    return best && distance <= tolerated && distance < len ? best : NULL;
}

const char *
str_ordinal(unsigned n, char out[static 16])
{
    static const char *const ends[] = { "th", "st", "nd", "rd" };
    const unsigned           tens = n % 100;

    const bool regular = n % 10 > 3 || (tens > 10 && tens < 14);
    snprintf(out, 16, "%u%s", n, ends[regular ? 0 : n % 10]);
    return out;
}

void
str_tame(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 127) {
            text[i] = '?';
        } else if (c == 0xc2 && i + 1 < len &&
                   ((unsigned char)text[i + 1] & 0xe0) == 0x80) {
            text[i] = text[i + 1] = '?'; /* U+0080 to U+009F */
        }
    }
}

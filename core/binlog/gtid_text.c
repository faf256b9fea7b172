/* gtid_text.c - see gtid_text.h. */
#include "binlog/gtid_text.h"

#include <string.h>

char *
gtid_put_u64(char *p, uint64_t v)
{
    char  digits[20];
    char *d = digits + sizeof digits;

    do {
        *--d = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    const size_t n = (size_t)(digits + sizeof digits - d);
    memcpy(p, d, n);
    return p + n;
}

char *
gtid_put_uuid(char *p, const uint8_t uuid[16])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        *p++ = hex[uuid[i] >> 4];
        *p++ = hex[uuid[i] & 15];
    }
    return p;
}

bool
gtid_is_tag(struct weir_str tag)
{
    if (tag.len > GTID_TAG_MAX) {
        return false;
    }
    for (size_t i = 0; i < tag.len; i++) {
        const char c = tag.data[i];
        const bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

/*
 * text.h - bytes to text: what of them is UTF-8, numbers and addresses.
 * Writers end without a NUL.
 */
#ifndef WEIR_BINLOG_TEXT_H
#define WEIR_BINLOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_is_ascii(const char *s, size_t len);
bool text_is_utf8(const char *s, size_t len);

/* Of cp1252, which is what MySQL calls latin1; at most 3 bytes for each. */
size_t text_of_latin1(const char *s, size_t len, char *out);

/* Both give the end of what they wrote: 20 digits at most, and 36. */
char *text_put_u64(char *p, uint64_t v);
char *text_put_uuid(char *p, const uint8_t uuid[16]);

/* As MariaDB prints them; how much they wrote. */
enum { ADDRESS_TEXT_MAX = 64 };
size_t text_of_inet4(const uint8_t bytes[4], char *out);
size_t text_of_inet6(const uint8_t bytes[16], char *out);

#endif

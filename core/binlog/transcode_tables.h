/* transcode_tables.h - within binlog/: the data of transcode.c. */
#ifndef WEIR_BINLOG_TRANSCODE_TABLES_H
#define WEIR_BINLOG_TRANSCODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct single_table { /* charsets of one byte; the last has no name */
    const char     *name;
    const uint16_t *low; /* of 0x00 to 0x7f; NULL: ASCII */
    uint16_t        high[128];
};
extern const struct single_table single_tables[];

/* `count` codes that follow each other, of characters that do so, too.  In
 * GB 18030's forms of four bytes, the last one's digit is counted. */
struct coder_exception { uint32_t code; uint16_t character, count; };
struct multi_table { /* the rest, by iconv's name for them */
    const char                   *name, *iconv;
    const struct coder_exception *exceptions; /* or NULL; the last counts 0 */
};
extern const struct multi_table multi_tables[];

#endif

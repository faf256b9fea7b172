/* crc32c.h - Castagnoli's CRC, of relay frames and checkpoints. */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, which is 0 at first. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif

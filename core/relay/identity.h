/*
 * identity.h - a pipeline's random id, made at its first start and kept in
 * <state>/PIPELINE/id as 32 hexadecimal digits.  It stands in every checkpoint,
 * so that one of another Weir's, or of a state that was lost, is known.
 */
#ifndef WEIR_RELAY_IDENTITY_H
#define WEIR_RELAY_IDENTITY_H

#include <stdint.h>

#include <weir/module.h>

enum { IDENTITY_BYTES = 16 };

/* DROP: there is none yet.  FATAL: damaged. */
enum weir_status identity_read(const char *path,
                               uint8_t out[static IDENTITY_BYTES],
                               struct weir_err *err);
/* A new one, stored. */
enum weir_status identity_make(const char *path,
                               uint8_t out[static IDENTITY_BYTES],
                               struct weir_err *err);

#endif

/* The RDATA that most of a large zone consists of, without ldns, which allocates for every field: addresses,
 * names of plain characters, texts without escapes. What is unusual, or wrong, is left to it; so are the
 * messages. */
#pragma once

#include "lictor/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends the wire form, and returns true; or returns false, with out as it was. */
bool common_read(uint16_t type, const char *text, const uint8_t *origin, struct buf *out);
/* Appends `TYPE rdata`, likewise. */
bool common_print(uint16_t type, const uint8_t *rdata, size_t len, struct buf *out);

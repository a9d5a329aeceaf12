/* RDATA between presentation and wire form, by ldns. Builder thread, or before threads run. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"

#include <stdbool.h>
#include <stdint.h>

struct rdata_reader {
    void *origin; /* ldns' copy of the present origin; NULL before the first */
    struct buf line;
};

void rdata_reader_free(struct rdata_reader *reader);
/* Relative names in RDATA are completed with this from now on. */
void rdata_reader_origin(struct rdata_reader *reader, const uint8_t *origin);

/* The type of a mnemonic or of TYPEn (RFC 3597 section 5), or -1 if there is none. */
int rdata_type(const char *text);
/* May a zone contain records of this type? Not so meta types and question types (RFC 6895 section 3.1). */
bool rdata_type_is_data(uint16_t type);

/* Appends the wire form of text (blanks between fields, or `\# length hex`) to out. Returns 0, or -1 with
 * err, which says what would be right. */
int rdata_read(struct rdata_reader *reader, uint16_t type, const char *text, struct buf *out,
               struct err *err);
/* Appends `TYPE rdata`, such that rdata_read gives the same octets; RFC 3597's form where ldns knows none. */
void rdata_print(struct rdata_reader *reader, uint16_t type, const uint8_t *rdata, uint16_t len,
                 struct buf *out);

/* "3600", "1h30m", "1w" (BIND's units), at most 2^31-1 (RFC 2181 section 8). Returns 0, or -1. */
int ttl_parse(const char *text, uint32_t *out);

/* What `lictor zone VERB NAME ...` asks: the arguments of the command "zone" on the control socket, which go
 * on unchanged to the primary when the verb is its business. Pure; hostile either way. */
#pragma once

#include "lictor/err.h"
#include "lictor/name.h"
#include "lictor/store.h"

#include <jansson.h>

enum zone_verb {
    ZONE_IMPORT,
    ZONE_EXPORT,
    ZONE_SHOW,
    ZONE_DIFF,
    ZONE_HISTORY,
    ZONE_FREEZE,
    ZONE_THAW,
    ZONE_ROLLBACK,
};

#define ZONE_REASON_MAX 256

struct zone_request {
    enum zone_verb verb;
    uint8_t apex[NAME_MAX_WIRE]; /* lower case */
    enum store_import_mode mode; /* of an import */
    bool upload;                 /* diff: with what was sent before, as an import would */
    bool committed;              /* export: the committed zone instead of what is answered */
    bool records;                /* history: with the records */
    bool has_from, has_to;
    uint32_t from, to;            /* serials: diff between versions, rollback to one */
    unsigned steps;               /* rollback: so many commits; 0: by serial */
    char reason[ZONE_REASON_MAX]; /* freeze: why; may be empty */
};

/* -1 with err, which names the argument. */
int zone_request_parse(const json_t *args, struct zone_request *out, struct err *err);
/* Whether the primary alone can do it: elsewhere it is passed on. */
bool zone_request_for_primary(const struct zone_request *request);
const char *zone_verb_text(enum zone_verb verb);

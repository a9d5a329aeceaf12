/* The control protocol: one JSON object a line each way.
 *   {"cmd":"services","args":{"name":"web"}}
 *   {"cmd":"pause","args":{"name":"kernel update","for":"30m"}}
 *   {"cmd":"zone","args":{"verb":"history","name":"example.com"}} (zone_request.h)
 *   {"cmd":"upload","args":{"data":"<base64>"}}: more octets for this client's next "zone" with a file
 *   {"ok":true,"result":...}   or   {"ok":false,"error":"what is wrong, and what would be right"}
 * Pure. */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define REQUEST_LINE_MAX 16384 /* octets of a request, without its newline */
#define REQUEST_NAME_MAX 255
#define REQUEST_FOR_MAX  (3660 * 24 * 3600 * NS_PER_S) /* ten years */

/* VERB(name, what its optional argument "name" is: NULL for none) */
#define CONTROL_VERBS(VERB) \
    VERB(STATUS, "status", NULL) \
    VERB(WHY, "why", NULL) \
    VERB(SERVICES, "services", "service") \
    VERB(ZONES, "zones", NULL) \
    VERB(ACTIONS, "actions", NULL) \
    VERB(HANDOVER, "handover", "node") \
    VERB(RESIGN, "resign", NULL) \
    VERB(PAUSE, "pause", "reason") \
    VERB(RESUME, "resume", NULL) \
    VERB(RELOAD, "reload", NULL) \
    VERB(DOCTOR, "doctor", NULL) \
    VERB(ZONE, "zone", NULL) \
    VERB(RECORD, "record", "words \"force WORD NAME\"") \
    VERB(UPLOAD, "upload", NULL)

enum verb {
#define VERB(id, name, argument) VERB_##id,
    CONTROL_VERBS(VERB)
#undef VERB
        VERBS
};

struct request {
    enum verb verb;
    bool has_name;
    char name[REQUEST_NAME_MAX + 1];
    nstime duration; /* "for", of `pause` alone; 0: without end */
    json_t *args;    /* of `zone` and `upload`, an object, not judged yet; else NULL */
};

/* -1 with err, which says what is wrong. line: without its newline; hostile. */
int request_parse(const char *line, size_t len, struct request *out, struct err *err);
void request_free(struct request *request); /* what request_parse made, after it returned 0 */
/* Appends a whole line. */
void reply_error(struct buf *out, const char *error);
/* The two ends of a reply that carries a result: result is JSON text without newlines and stands between. */
#define REPLY_BEGIN "{\"ok\":true,\"result\":"
#define REPLY_END   "}\n"

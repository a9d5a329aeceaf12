/* Which events happen: a plain function of what was seen and acted on. No I/O, no clock. */
#pragma once

#include "lictor/config.h"

#include <stdbool.h>
#include <stdint.h>

struct trigger_event {
    enum config_when when;
    char id[320]; /* <epoch>/<type>/<subject>/<n> */
    uint64_t epoch;
    const char *service;                 /* WHEN_SERVICE; else NULL */
    enum config_status status, previous; /* WHEN_SERVICE */
    bool has_previous;
    char reason[256];
};
typedef void trigger_emit(void *arg, const struct trigger_event *event);

struct trigger;

/* node: the subject of the role's events. Copied. */
struct trigger *trigger_new(const char *node);
void trigger_free(struct trigger *trigger);

void trigger_role(struct trigger *trigger, bool promoted, uint64_t epoch, const char *reason,
                  trigger_emit *emit, void *arg);
/* may_act: the gate's word now. A change that was seen without the right is acted on in the next reign, if it
 * still differs from what was acted on last. */
void trigger_service(struct trigger *trigger, const char *service, enum config_status status, bool may_act,
                     trigger_emit *emit, void *arg);

#include "action/trigger.h"

#include "lictor/action.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    char *service;
    enum config_status seen;  /* by the live view; a standby watches as well */
    enum config_status acted; /* the last one that was acted on, or taken as the ground to start from */
    bool has_acted;
};

struct trigger {
    char *node;
    struct strmap *subjects;
    bool primary;
    uint64_t epoch;
    uint64_t serial; /* makes IDs differ within an epoch */
};

static void free_subject(void *value)
{
    struct subject *subject = value;
    free(subject->service);
    free(subject);
}

struct trigger *trigger_new(const char *node)
{
    struct trigger *trigger = xcalloc(1, sizeof(*trigger));
    trigger->node = xstrdup(node);
    trigger->subjects = strmap_new();
    return trigger;
}

void trigger_free(struct trigger *trigger)
{
    strmap_free(trigger->subjects, free_subject);
    free(trigger->node);
    free(trigger);
}

const char *config_status_name(enum config_status status)
{
    static const char *const names[] = {"passing", "warning", "critical", "absent"};
    return names[status];
}

static void settle(struct trigger *trigger, struct subject *subject, trigger_emit *emit, void *arg)
{
    if (!subject->has_acted) {
        /* Nothing is known of what was done before: what is seen now is the ground, not a change. */
        subject->acted = subject->seen;
        subject->has_acted = true;
    }
    if (subject->acted == subject->seen)
        return;
    struct trigger_event event = {.when = WHEN_SERVICE,
                                  .epoch = trigger->epoch,
                                  .service = subject->service,
                                  .status = subject->seen,
                                  .previous = subject->acted,
                                  .has_previous = true};
    snprintf(event.id, sizeof(event.id), "%llu/service/%.255s/%llu", (unsigned long long)trigger->epoch,
             subject->service, (unsigned long long)++trigger->serial);
    snprintf(event.reason, sizeof(event.reason), "%.160s went from %s to %s", subject->service,
             config_status_name(subject->acted), config_status_name(subject->seen));
    subject->acted = subject->seen;
    emit(arg, &event);
}

void trigger_role(struct trigger *trigger, bool promoted, uint64_t epoch, const char *reason,
                  trigger_emit *emit, void *arg)
{
    trigger->primary = promoted;
    trigger->epoch = epoch;
    struct trigger_event event = {.when = promoted ? WHEN_PROMOTED : WHEN_DEMOTED, .epoch = epoch};
    snprintf(event.id, sizeof(event.id), "%llu/%s/%.255s/%llu", (unsigned long long)epoch,
             promoted ? "promoted" : "demoted", trigger->node, (unsigned long long)++trigger->serial);
    snprintf(event.reason, sizeof(event.reason), "%s", reason ? reason : "");
    emit(arg, &event);
    if (!promoted)
        return;
    size_t cursor = 0, len;
    const void *key;
    void *value;
    while (strmap_next(trigger->subjects, &cursor, &key, &len, &value))
        settle(trigger, value, emit, arg);
}

void trigger_service(struct trigger *trigger, const char *service, enum config_status status, bool may_act,
                     trigger_emit *emit, void *arg)
{
    struct subject *subject = strmap_gets(trigger->subjects, service);
    if (!subject) {
        subject = xcalloc(1, sizeof(*subject));
        subject->service = xstrdup(service);
        strmap_puts(trigger->subjects, service, subject);
    }
    subject->seen = status;
    if (trigger->primary && may_act)
        settle(trigger, subject, emit, arg);
}

/* Service `consul`: present in every datacenter, so a token that once saw it and does not any more lost its
 * rights. One consistent read serves all who wait when it begins. */
#include "internal.h"

#include "lictor/xalloc.h"

#include <string.h>

static void ask(struct watch *watch);

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ask(arg);
}

static void answered(void *arg, struct consul_response *response)
{
    struct watch *watch = arg;
    watch->canary = NULL;
    contact_note(watch, NO_SENTINEL, response);
    if (response->status != 200) {
        if (!watch->canary_timer)
            watch->canary_timer = evtimer_new(watch->config.base, timer_due, watch);
        struct timeval after = clock_timeval(consul_backoff(watch->canary_failures++, response->status));
        event_add(watch->canary_timer, &after);
        return;
    }
    watch->canary_failures = 0;
    /* `[]` or `null`, or a list of objects: no parser needed to tell. */
    bool there = response->body->len > 0 && memchr(response->body->data, '{', response->body->len);
    for (struct subject *subject = TAILQ_FIRST(&watch->waiting), *next; subject; subject = next) {
        next = TAILQ_NEXT(subject, canaries);
        if (!subject->asking_canary)
            continue;
        TAILQ_REMOVE(&watch->waiting, subject, canaries);
        subject->awaits_canary = subject->asking_canary = false;
        judge_emptied(subject, response->known_leader, there);
    }
    ask(watch);
}

static void ask(struct watch *watch)
{
    if (watch->canary || TAILQ_EMPTY(&watch->waiting))
        return;
    struct subject *subject;
    TAILQ_FOREACH(subject, &watch->waiting, canaries)
    subject->asking_canary = true;
    watch->canary = consul_send(watch->config.client,
                                &(struct consul_options){.method = "GET",
                                                         .path = "/v1/health/service/consul?consistent",
                                                         .timeout = READ_TIMEOUT,
                                                         .dc = watch->config.datacenter},
                                answered, watch);
}

void canary_await(struct subject *subject)
{
    struct watch *watch = subject->watch;
    if (!subject->awaits_canary) {
        subject->awaits_canary = true;
        subject->asking_canary = false;
        TAILQ_INSERT_TAIL(&watch->waiting, subject, canaries);
    }
    if (!watch->canary_timer || !evtimer_pending(watch->canary_timer, NULL))
        ask(watch);
}

void canary_forget(struct subject *subject)
{
    if (subject->awaits_canary)
        TAILQ_REMOVE(&subject->watch->waiting, subject, canaries);
    subject->awaits_canary = subject->asking_canary = false;
}

void canary_stop(struct watch *watch)
{
    consul_cancel(watch->canary);
    watch->canary = NULL;
    if (watch->canary_timer)
        event_free(watch->canary_timer);
    watch->canary_timer = NULL;
}

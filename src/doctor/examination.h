/* One examination: the parts that gather, each for itself, and what they gather into. Main thread. */
#pragma once

#include "facts.h"
#include "probes.h"

#include "lictor/doctor.h"

struct event;

/* Callers have 5 s; a request to Consul may be delivered late by a turn of the loop. */
#define EXAMINATION_TIME (4500 * NS_PER_MS)

struct examination {
    struct doctor_view view;
    struct facts *facts;
    nstime deadline;
    unsigned parts; /* that have not ended yet */
    unsigned refs;  /* of jobs with the builder, and of the examination itself */
    bool over;      /* nothing is gathered any more */
    struct event *timer;
    struct probes *probes;
    void (*done)(void *arg, struct examination *examination);
    void *arg;

    /* consult.c */
    struct consul_client *client;
    unsigned asking; /* requests whose answers are not in facts yet */
    struct asking {
        struct examination *examination;
        unsigned tries;
    } ask[ASKS];
};

/* done(arg, examination) comes once, later, with facts complete; then examination_end. */
struct examination *examination_new(const struct doctor_view *view, const struct config *config,
                                    void (*done)(void *arg, struct examination *examination), void *arg);
/* Cancels what goes on; no callback follows. */
void examination_end(struct examination *examination);

/* One part has ended: it must not be used any more. */
void examination_part_ended(struct examination *examination);
/* For the jobs of the builder: it holds the examination's memory. */
void examination_ref(struct examination *examination);
void examination_unref(struct examination *examination);

/* consult.c: asks Consul; one part. */
void consult_start(struct examination *examination);

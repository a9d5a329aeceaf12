/* Who answers the questions that wait (ask.h): other datacenters, and names with several tags. Main. */
#include "daemon.h"

#include "lictor/ask.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* A datacenter that cannot be reached is not asked for again at once. */
#define LOST_FOR NS_PER_S

static void told_datacenter(void *arg, enum datacenters_answer answer)
{
    switch (answer) {
    case DATACENTER_READ:
        ask_done(arg, ASK_PUBLISHED, 0);
        break;
    case DATACENTER_UNKNOWN:
        ask_done(arg, ASK_ABSENT, 0);
        break;
    case DATACENTER_LOST:
        ask_done(arg, ASK_FAILED, LOST_FOR);
        break;
    }
}

static void on_datacenter(void *arg, struct asking *ask)
{
    struct daemon *daemon = arg;
    const uint8_t *label = ask_question(ask)->name;
    char name[64];
    memcpy(name, label + 1, label[0]);
    name[label[0]] = '\0';
    datacenters_ask(daemon->datacenters, name, told_datacenter, ask);
}

/* --- several tags in one name --------------------------------------------------------------------------- */

/* An instance that has them all may come at any time. */
#define NO_SUCH_TAGS_FOR NS_PER_S

struct tags_job {
    struct daemon *daemon;
    struct asking *ask; /* main's */
    bool there;
    uint8_t name[NAME_MAX_WIRE];
};

/* Builder. */
static void put_tags(void *arg)
{
    struct tags_job *job = arg;
    job->there = catalog_ask_tags(job->daemon->catalog, job->name);
    if (job->there)
        daemon_view_changed(job->daemon);
}

static void tags_put(void *arg)
{
    struct tags_job *job = arg;
    if (!job->daemon->stopping) /* else the desk is gone, or about to go */
        ask_done(job->ask, job->there ? ASK_PUBLISHED : ASK_ABSENT, job->there ? 0 : NO_SUCH_TAGS_FOR);
    free(job);
}

static void on_tags(void *arg, struct asking *ask)
{
    struct tags_job *job = xmalloc(sizeof *job);
    *job = (struct tags_job){.daemon = arg, .ask = ask};
    memcpy(job->name, ask_question(ask)->name, ask_question(ask)->name_len);
    builder_post(job->daemon->builder, put_tags, tags_put, job);
}

void daemon_answer_asks(struct daemon *daemon)
{
    desk_handle(daemon->desk, ASK_TAGS, on_tags, daemon);
    desk_handle(daemon->desk, ASK_DATACENTER, on_datacenter, daemon);
}

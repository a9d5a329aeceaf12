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

static void told_service(void *arg, enum watch_answer answer)
{
    if (answer == WATCH_READ)
        ask_done(arg, ASK_PUBLISHED, 0);
    else
        ask_done(arg, ASK_FAILED, LOST_FOR);
}

/* The labels are those of the service's name. */
static void on_service(void *arg, struct asking *ask)
{
    struct daemon *daemon = arg;
    char name[NAME_MAX_WIRE];
    size_t len = 0;
    for (const uint8_t *label = ask_question(ask)->name; *label; label += 1 + *label) {
        if (len > 0)
            name[len++] = '.';
        memcpy(name + len, label + 1, *label);
        len += *label;
    }
    name[len] = '\0';
    watch_want(daemon->watch, name, told_service, ask);
}

/* --- services that are asked for, told to the watch ------------------------------------------------- */

#define NOTED_MAX 1024 /* at a time: far more than have a place in the pool */

struct noted {
    struct daemon *daemon;
    size_t count;
    char *names[NOTED_MAX];
};

static void note(void *arg, const char *service)
{
    struct noted *noted = arg;
    if (noted->count < NOTED_MAX)
        noted->names[noted->count++] = xstrdup(service);
}

static void tell_watch(void *arg)
{
    struct noted *noted = arg;
    for (size_t i = 0; i < noted->count; i++) {
        if (!noted->daemon->stopping)
            watch_ask(noted->daemon->watch, noted->names[i]);
        free(noted->names[i]);
    }
    free(noted);
}

void daemon_note_asked(void *arg)
{
    struct daemon *daemon = arg;
    struct noted *noted = xcalloc(1, sizeof(*noted));
    noted->daemon = daemon;
    catalog_take_used(daemon->catalog, note, noted);
    builder_to_main(daemon->builder, tell_watch, noted);
}

void daemon_answer_asks(struct daemon *daemon)
{
    desk_handle(daemon->desk, ASK_TAGS, on_tags, daemon);
    desk_handle(daemon->desk, ASK_SERVICE, on_service, daemon);
    desk_handle(daemon->desk, ASK_DATACENTER, on_datacenter, daemon);
}

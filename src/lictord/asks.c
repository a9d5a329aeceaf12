/* Who answers the questions that wait for Consul (ask.h): other datacenters, and single services where only
 * those are watched that were asked for. Main. */
#include "daemon.h"

#include "lictor/ask.h"

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

void daemon_answer_asks(struct daemon *daemon)
{
    desk_handle(daemon->desk, ASK_DATACENTER, on_datacenter, daemon);
}

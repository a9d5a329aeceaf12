/* A model of what Consul's catalog is, small enough to copy: nodes, instances, checks, and which event moves
 * which index (measured on 1.8.7, each event alone). Old states are kept, so that replies may be old. */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MODEL static __attribute__((unused))

enum { NODES = 5, SERVICES = 7, INSTANCES = 4, NODE_CHECKS = 2, STATES = 128 };
enum status { PASSING, WARNING, CRITICAL, ABSENT };
static const char *const status_names[] = {"passing", "warning", "critical"};

struct mcheck {
    enum status status;
    unsigned output;
    uint64_t modified;
};

/* Instance i of service s may be registered on one node; its ID names both, so it may move. */
struct minstance {
    bool there;
    unsigned node, port, tags, address; /* address 0: the node's */
    struct mcheck checks[2];
};

struct mnode {
    bool there;
    unsigned address;
    struct mcheck checks[NODE_CHECKS];
};

struct state {
    nstime since;
    uint64_t raft;
    uint64_t services_index, checks_index, nodes_index, extinction;
    uint64_t service_index[SERVICES], consul_index; /* service consul is on node 0 */
    struct mnode nodes[NODES];
    struct minstance instances[SERVICES][INSTANCES];
};

struct model {
    struct state states[STATES]; /* the present one at `last` */
    size_t last;
    struct rng rng;
    nstime now;
};

MODEL struct state *present(struct model *model)
{
    return &model->states[model->last % STATES];
}

/* --- what a state shows --------------------------------------------------------------------------- */

MODEL unsigned count_of(const struct state *state, unsigned service)
{
    unsigned count = 0;
    for (unsigned i = 0; i < INSTANCES; i++)
        count += state->instances[service][i].there;
    return count;
}

MODEL void put_check(struct buf *out, const struct mcheck *check, unsigned node, unsigned number, int service,
                     int instance, bool *first)
{
    if (check->status == ABSENT)
        return;
    bool own = service >= 0;
    buf_puts(out, *first ? "" : ",");
    *first = false;
    buf_printf(out, "{\"Node\":\"n%u\",\"CheckID\":\"%s%u\",\"Name\":\"a check\",\"Status\":\"%s\",", node,
               own ? "c" : "serf", number, status_names[check->status]);
    buf_printf(out, "\"Output\":\"o%u\",\"ModifyIndex\":%" PRIu64 ",", check->output, check->modified);
    if (own)
        buf_printf(out, "\"ServiceID\":\"s%d-%d\",\"ServiceName\":\"S%d\"}", service, instance, service);
    else
        buf_puts(out, "\"ServiceID\":\"\",\"ServiceName\":\"\"}");
}

MODEL void put_service(struct buf *out, const struct state *state, unsigned service)
{
    bool first_entry = true;
    buf_puts(out, "[");
    for (unsigned i = 0; i < INSTANCES; i++) {
        const struct minstance *instance = &state->instances[service][i];
        if (!instance->there)
            continue;
        const struct mnode *node = &state->nodes[instance->node];
        buf_printf(out, "%s{\"Node\":{\"Node\":\"n%u\",\"Address\":\"10.0.%u.%u\"},", first_entry ? "" : ",",
                   instance->node, instance->node, node->address);
        buf_printf(out, "\"Service\":{\"Service\":\"S%u\",\"ID\":\"s%u-%u\",\"Port\":%u,\"Tags\":[\"t%u\"],",
                   service, service, i, instance->port, instance->tags);
        if (instance->address)
            buf_printf(out, "\"Address\":\"10.1.%u.%u\"},\"Checks\":[", service, instance->address);
        else
            buf_puts(out, "\"Address\":\"\"},\"Checks\":[");
        first_entry = false;
        bool first = true;
        for (unsigned c = 0; c < NODE_CHECKS; c++)
            put_check(out, &node->checks[c], instance->node, c, -1, -1, &first);
        for (unsigned c = 0; c < 2; c++)
            put_check(out, &instance->checks[c], instance->node, c, (int)service, (int)i, &first);
        buf_puts(out, "]}");
    }
    buf_puts(out, "]");
}

/* Checks in one state (ABSENT: any), of one node (NODES: any). */
MODEL void put_checks(struct buf *out, const struct state *state, enum status status, unsigned node)
{
    bool first = true;
    buf_puts(out, "[");
    for (unsigned n = 0; n < NODES; n++)
        for (unsigned c = 0; c < NODE_CHECKS; c++)
            if (state->nodes[n].there && (node == NODES || node == n) &&
                (status == ABSENT || state->nodes[n].checks[c].status == status))
                put_check(out, &state->nodes[n].checks[c], n, c, -1, -1, &first);
    for (unsigned s = 0; s < SERVICES; s++)
        for (unsigned i = 0; i < INSTANCES; i++)
            for (unsigned c = 0; c < 2; c++) {
                const struct minstance *instance = &state->instances[s][i];
                if (instance->there && (node == NODES || node == instance->node) &&
                    (status == ABSENT || instance->checks[c].status == status))
                    put_check(out, &instance->checks[c], instance->node, c, (int)s, (int)i, &first);
            }
    buf_puts(out, "]");
}

MODEL void put_names(struct buf *out, const struct state *state)
{
    buf_puts(out, "{\"consul\":[]");
    for (unsigned s = 0; s < SERVICES; s++) {
        if (count_of(state, s) == 0)
            continue;
        buf_printf(out, ",\"S%u\":[", s);
        bool first = true;
        for (unsigned t = 0; t < 3; t++)
            for (unsigned i = 0; i < INSTANCES; i++)
                if (state->instances[s][i].there && state->instances[s][i].tags == t) {
                    buf_printf(out, "%s\"t%u\"", first ? "" : ",", t);
                    first = false;
                    break;
                }
        buf_puts(out, "]");
    }
    buf_puts(out, "}");
}

MODEL void put_nodes(struct buf *out, const struct state *state)
{
    bool first = true;
    buf_puts(out, "[");
    for (unsigned n = 0; n < NODES; n++)
        if (state->nodes[n].there) {
            buf_printf(out, "%s{\"Node\":\"n%u\",\"Address\":\"10.0.%u.%u\",\"Datacenter\":\"dc1\"}",
                       first ? "" : ",", n, n, state->nodes[n].address);
            first = false;
        }
    buf_puts(out, "]");
}

/* The index of a resource of which queries ask; path without "/v1/". */
MODEL uint64_t index_of(const struct state *state, const char *path)
{
    unsigned service;
    if (sscanf(path, "health/service/S%u", &service) == 1 ||
        sscanf(path, "health/service/s%u", &service) == 1)
        return count_of(state, service) > 0 ? state->service_index[service] : state->extinction;
    if (strncmp(path, "health/service/", 15) == 0) /* consul */
        return state->consul_index;
    if (strncmp(path, "catalog/services", 16) == 0)
        return state->services_index;
    if (strncmp(path, "catalog/nodes", 13) == 0)
        return state->nodes_index;
    return state->checks_index;
}

MODEL void put_consul(struct buf *out, const struct state *state, bool hidden)
{
    bool first = true;
    buf_puts(out, "[");
    if (!hidden) {
        buf_printf(out, "{\"Node\":{\"Node\":\"n0\",\"Address\":\"10.0.0.%u\"},", state->nodes[0].address);
        buf_puts(out, "\"Service\":{\"Service\":\"consul\",\"ID\":\"consul\"},\"Checks\":[");
        for (unsigned c = 0; c < NODE_CHECKS; c++)
            put_check(out, &state->nodes[0].checks[c], 0, c, -1, -1, &first);
        buf_puts(out, "]}");
    }
    buf_puts(out, "]");
}

MODEL void body_of(struct buf *out, const struct state *state, const char *path)
{
    unsigned number;
    bool hidden = strstr(path, "tag=") != NULL;
    if (sscanf(path, "health/service/S%u", &number) == 1 ||
        sscanf(path, "health/service/s%u", &number) == 1) {
        if (hidden)
            buf_puts(out, "[]");
        else
            put_service(out, state, number);
    } else if (strncmp(path, "health/service/consul", 21) == 0) {
        put_consul(out, state, hidden);
    } else if (sscanf(path, "health/node/n%u", &number) == 1) {
        put_checks(out, state, ABSENT, number);
    } else if (strncmp(path, "health/state/critical", 21) == 0) {
        put_checks(out, state, CRITICAL, NODES);
    } else if (strncmp(path, "health/state/warning", 20) == 0) {
        put_checks(out, state, WARNING, NODES);
    } else if (strncmp(path, "catalog/services", 16) == 0) {
        put_names(out, state);
    } else {
        assert(strncmp(path, "catalog/nodes", 13) == 0);
        put_nodes(out, state);
    }
}

/* --- events --------------------------------------------------------------------------------------- */

MODEL unsigned below(struct model *model, unsigned limit)
{
    return (unsigned)rng_below(&model->rng, limit);
}

/* A new state, a copy of the present one, one step on. */
MODEL struct state *step(struct model *model)
{
    const struct state *old = present(model);
    struct state *state = &model->states[++model->last % STATES];
    *state = *old;
    state->since = model->now;
    state->raft++;
    return state;
}

MODEL void touch_node(struct state *state, unsigned node)
{
    if (node == 0)
        state->consul_index = state->raft;
    for (unsigned s = 0; s < SERVICES; s++)
        for (unsigned i = 0; i < INSTANCES; i++)
            if (state->instances[s][i].there && state->instances[s][i].node == node)
                state->service_index[s] = state->raft;
}

MODEL void remove_instance(struct state *state, unsigned service, unsigned number)
{
    struct minstance *instance = &state->instances[service][number];
    instance->there = false;
    state->service_index[service] = state->services_index = state->checks_index = state->raft;
    if (count_of(state, service) == 0)
        state->extinction = state->raft;
}

MODEL void set_check(struct model *model, struct state *state, struct mcheck *check)
{
    check->status = (enum status)below(model, 3);
    check->output = below(model, 1000);
    check->modified = state->checks_index = state->raft;
}

/* One event; the kinds are the rows of the table. */
enum { EVENT_KINDS = 11 };
MODEL void event(struct model *model, unsigned kind)
{
    struct state *state = step(model);
    unsigned s = below(model, SERVICES), i = below(model, INSTANCES), n = below(model, NODES), c;
    struct minstance *instance = &state->instances[s][i];
    switch (kind) {
    case 0: /* service check added, changed */
    case 1:
    case 2:
        if (instance->there) {
            set_check(model, state, &instance->checks[below(model, 2)]);
            state->service_index[s] = state->raft;
        }
        break;
    case 3: /* service check removed */
        c = below(model, 2);
        if (instance->there && instance->checks[c].status != ABSENT) {
            instance->checks[c].status = ABSENT;
            state->service_index[s] = state->checks_index = state->raft;
        }
        break;
    case 4: /* identical re-registration of a check */
        state->checks_index = state->raft;
        break;
    case 5: /* node check added, changed */
        if (state->nodes[n].there) {
            set_check(model, state, &state->nodes[n].checks[below(model, NODE_CHECKS)]);
            touch_node(state, n);
        }
        break;
    case 6: /* node check removed */
        c = below(model, NODE_CHECKS);
        if (state->nodes[n].there && state->nodes[n].checks[c].status != ABSENT) {
            state->nodes[n].checks[c].status = ABSENT;
            state->checks_index = state->services_index = state->raft;
            touch_node(state, n);
        }
        break;
    case 7: /* node address */
        if (state->nodes[n].there) {
            state->nodes[n].address = 1 + below(model, 200);
            state->nodes_index = state->raft;
            touch_node(state, n);
        }
        break;
    case 8: /* instance added; port, tags, address changed */
        n = instance->there ? instance->node : n;
        if (!state->nodes[n].there) {
            state->nodes[n] = (struct mnode){.there = true, .address = 1 + n};
            for (c = 0; c < NODE_CHECKS; c++)
                state->nodes[n].checks[c].status = ABSENT;
            state->nodes_index = state->raft;
        }
        if (!instance->there)
            *instance = (struct minstance){.checks = {{.status = ABSENT}, {.status = ABSENT}}};
        instance->there = true;
        instance->node = n;
        instance->port = below(model, 3);
        instance->tags = below(model, 3);
        instance->address = below(model, 4);
        state->service_index[s] = state->services_index = state->raft;
        if (below(model, 2)) { /* a registration with its check */
            set_check(model, state, &instance->checks[0]);
        }
        break;
    case 9: /* instance removed */
        if (instance->there)
            remove_instance(state, s, i);
        break;
    default: /* node removed with all it has */
        if (!state->nodes[n].there || n == 0 || below(model, 4))
            break;
        touch_node(state, n);
        for (s = 0; s < SERVICES; s++)
            for (i = 0; i < INSTANCES; i++)
                if (state->instances[s][i].there && state->instances[s][i].node == n)
                    remove_instance(state, s, i);
        state->nodes[n].there = false;
        state->nodes_index = state->services_index = state->checks_index = state->raft;
    }
}

MODEL void model_start(struct model *model)
{
    struct state *state = present(model);
    state->raft = state->services_index = state->checks_index = state->nodes_index = state->extinction = 10;
    state->consul_index = 10;
    for (unsigned n = 0; n < NODES; n++) {
        state->nodes[n] = (struct mnode){.there = true, .address = 1 + n};
        for (unsigned c = 0; c < NODE_CHECKS; c++)
            state->nodes[n].checks[c].status = ABSENT;
    }
    for (unsigned s = 0; s < SERVICES; s++) {
        state->service_index[s] = 10;
        for (unsigned i = 0; i < INSTANCES; i++)
            state->instances[s][i] = (struct minstance){
                .there = i < 2, .node = (s + i) % NODES, .checks = {{.status = ABSENT}, {.status = ABSENT}}};
    }
}

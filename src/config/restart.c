/* What a reload cannot change, because it was used when the processes, sockets and threads began. */
#include "config/literal.h"
#include "lictor/config.h"
#include "lictor/strmap.h"

#include <string.h>

static bool same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]))
            return false;
    return true;
}

static bool same_listen(const struct config *a, const struct config *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->listen_count; i++)
        if (!literal_equal(&a->listen[i], &b->listen[i]))
            return false;
    return true;
}

static const char *consul_needs_restart(const struct config_consul *a, const struct config_consul *b)
{
    return a->configured != b->configured                  ? "consul"
           : !same_strings(&a->addresses, &b->addresses)   ? "consul.address"
           : !same(a->token, b->token)                     ? "consul.token"
           : !same(a->token_file, b->token_file)           ? "consul.token-file"
           : !same(a->http_auth, b->http_auth)             ? "consul.http-auth"
           : !same(a->ca_file, b->ca_file)                 ? "consul.ca-file"
           : !same(a->ca_path, b->ca_path)                 ? "consul.ca-path"
           : !same(a->cert_file, b->cert_file)             ? "consul.cert-file"
           : !same(a->key_file, b->key_file)               ? "consul.key-file"
           : !same(a->tls_server_name, b->tls_server_name) ? "consul.tls-server-name"
           : a->tls_verify != b->tls_verify                ? "consul.tls-verify"
           : !same(a->datacenter, b->datacenter)           ? "consul.datacenter"
                                                           : NULL;
}

static const char *services_needs_restart(const struct config_services *a, const struct config_services *b)
{
    if (a->enabled != b->enabled)
        return "services";
    if (!a->enabled)
        return NULL;
    if (!name_equal(a->domain, b->domain))
        return "services.domain";
    if (a->has_alt_domain != b->has_alt_domain ||
        (a->has_alt_domain && !name_equal(a->alt_domain, b->alt_domain)))
        return "services.alt-domain";
    if (a->compat_consul != b->compat_consul) /* the sockets' UDP size */
        return "services.compat";
    if (a->watch_asked != b->watch_asked)
        return "services.watch";
    if (a->translate_wan != b->translate_wan) /* done when bodies are read */
        return "services.translate-wan-addrs";
    if (a->reverse_count != b->reverse_count ||
        (a->reverse_count && memcmp(a->reverse, b->reverse, a->reverse_count * sizeof(*a->reverse))))
        return "services.reverse";
    return NULL;
}

/* The secret's file is read once, at start. */
static bool same_peer_key(const struct config *a, const struct config *b)
{
    if (!same(a->election.peer_key, b->election.peer_key))
        return false;
    if (!a->election.peer_key)
        return true;
    const struct config_key *x = config_key(a, a->election.peer_key),
                            *y = config_key(b, b->election.peer_key);
    return same(x->algorithm, y->algorithm) && same(x->secret, y->secret) &&
           same(x->secret_file, y->secret_file);
}

static const char *election_needs_restart(const struct config *running, const struct config *wanted)
{
    const struct config_election *a = &running->election, *b = &wanted->election;
    if (a->enabled != b->enabled)
        return "election";
    if (!a->enabled)
        return NULL;
    return !same(a->cluster, b->cluster)       ? "election.cluster"
           : a->lease != b->lease              ? "election.lease"
           : a->standby != b->standby          ? "election.standby"
           : a->candidate != b->candidate      ? "election.candidate"
           : a->priority != b->priority        ? "election.priority"
           : !same(a->advertise, b->advertise) ? "election.advertise"
           : !same_peer_key(running, wanted)   ? "election.peer-key"
           : a->failsafe != b->failsafe        ? "election.failsafe"
                                               : NULL;
}

/* A zone whose mirror or file is in use stays where it is. */
static const char *zones_need_restart(const struct config *a, const struct config *b)
{
    struct strmap *running = strmap_new();
    const char *key = NULL;
    for (size_t i = 0; i < a->zone_count; i++)
        strmap_put(running, a->zones[i].apex, name_len(a->zones[i].apex), &a->zones[i]);
    for (size_t i = 0; i < b->zone_count && !key; i++) {
        const struct config_zone *zone = strmap_get(running, b->zones[i].apex, name_len(b->zones[i].apex));
        if (zone && zone->store_kv != b->zones[i].store_kv)
            key = "zone.store";
    }
    strmap_free(running, NULL);
    return key;
}

const char *config_needs_restart(const struct config *running, const struct config *wanted)
{
    const char *key = !same(running->node, wanted->node)                             ? "node"
                      : !same_listen(running, wanted)                                ? "listen"
                      : running->workers != wanted->workers                          ? "workers"
                      : !same(running->state_dir, wanted->state_dir)                 ? "state-dir"
                      : !same(running->http, wanted->http)                           ? "http"
                      : !same(running->control, wanted->control)                     ? "control"
                      : !same(running->user, wanted->user)                           ? "user"
                      : !same_strings(&running->inspect_from, &wanted->inspect_from) ? "inspect-from"
                                                                                     : NULL;
    if (!key)
        key = consul_needs_restart(&running->consul, &wanted->consul);
    if (!key)
        key = services_needs_restart(&running->services, &wanted->services);
    if (!key)
        key = election_needs_restart(running, wanted);
    return key ? key : zones_need_restart(running, wanted);
}

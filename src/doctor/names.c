#include "names.h"

#include "lictor/answer.h"
#include "lictor/wire.h"

#include <stdio.h>
#include <string.h>

#define REPLY_MAX 8192 /* as over TCP: never truncated for the few records that matter here */

static bool ask(const struct snapshot *snapshot, struct gate *open, struct rng *rng, const uint8_t *name,
                uint16_t type, struct message *reply)
{
    uint8_t query[MESSAGE_QUERY_MAX], out[REPLY_MAX];
    struct answer_env env = {.snapshot = snapshot,
                             .gate = open,
                             .rng = rng,
                             .now = clock_boot(),
                             .tcp = true,
                             .udp_max = DNS_UDP_MIN};
    size_t len = message_query(1, name, type, query);
    struct answer_result result = answer(&env, query, len, out, sizeof(out));
    return result.len > 0 && message_parse(out, result.len, 1, name, type, reply) == 0;
}

static void add_addresses(const struct message *reply, struct ns_fact *ns)
{
    for (size_t i = 0; i < reply->address_count && ns->address_count < MESSAGE_ADDRESSES; i++)
        memcpy(ns->address[ns->address_count++], reply->address[i], MESSAGE_ADDRESS);
}

/* Below a delegation of a zone of ours its addresses are glue, or another server's to know. */
static bool answered_here(const struct message *reply)
{
    return reply->rcode == DNS_NOERROR || reply->rcode == DNS_NXDOMAIN;
}

size_t names_look_up(const struct snapshot *snapshot, const struct zone_fact *zones, size_t count,
                     struct ns_fact *out, size_t max)
{
    struct gate open = {.act_until = NS_NEVER};
    struct rng rng;
    struct message servers, addresses;
    size_t found = 0;
    rng_seed(&rng);
    for (size_t i = 0; i < count; i++) {
        if (zones[i].catalog || !ask(snapshot, &open, &rng, zones[i].apex, DNS_NS, &servers))
            continue;
        for (size_t k = 0; k < servers.target_count && found < max; k++) {
            uint8_t lower[NAME_MAX_WIRE];
            struct ns_fact *ns = &out[found++];
            memset(ns, 0, sizeof(*ns));
            name_lower(servers.target[k], lower);
            snprintf(ns->zone, sizeof(ns->zone), "%s", zones[i].text);
            facts_name(lower, ns->name);
            if (!snapshot_find(snapshot, lower))
                continue;
            ns->inside = true;
            if (ask(snapshot, &open, &rng, lower, DNS_A, &addresses)) {
                ns->inside = answered_here(&addresses);
                add_addresses(&addresses, ns);
            }
            if (ask(snapshot, &open, &rng, lower, DNS_AAAA, &addresses))
                add_addresses(&addresses, ns);
        }
    }
    return found;
}

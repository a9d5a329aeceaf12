/* Readiness, the lease, the members. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#define LEASE_MIN NS_PER_S
#define LEASE_MAX (50 * NS_PER_S) /* Consul's lock-delay, and with it other tools' locks, end at 60 s */

void judge_ready(const struct facts *facts, struct findings *f)
{
    const json_t *reason;
    size_t i;
    if (json_array_size(facts->not_ready) == 0)
        finding_add(f, LEVEL_OK, NULL, NULL, "this instance is ready");
    json_array_foreach(facts->not_ready, i, reason)
    {
        finding_add(f, LEVEL_FAULT, "It does not answer, or not for everything.",
                    "`lictor why` and `lictor zones` say more.", "not ready: %s",
                    json_string_value(reason) ? json_string_value(reason) : "");
    }
    const json_t *zone;
    json_array_foreach(facts->zones, i, zone)
    {
        if (facts_text(zone, "error")[0])
            finding_add(f, LEVEL_WARN, "The zone's last good content is served, and grows old.",
                        "Set the file right and `lictor reload`.", "zone %s: %s", facts_text(zone, "zone"),
                        facts_text(zone, "error"));
    }
}

static int by_time(const void *a, const void *b)
{
    nstime x = *(const nstime *)a, y = *(const nstime *)b;
    return (x > y) - (x < y);
}

/* A primary confirms each lease/4. After one that worked, which extends the lease from its start, how many
 * more begin early enough to be back before the lease ends? */
static int confirms_left(nstime lease, nstime round_trip)
{
    return round_trip >= lease ? 0 : (int)((lease - round_trip) * 4 / lease);
}

static void judge_round_trip(const struct facts *facts, struct findings *f)
{
    nstime sorted[CONFIRMS];
    char lease[32], typical[32], worst[32];
    memcpy(sorted, facts->confirm, sizeof(sorted));
    qsort(sorted, facts->confirm_count, sizeof(*sorted), by_time);
    nstime slowest = sorted[facts->confirm_count - 1];
    int left = confirms_left(facts->lease, slowest);
    enum level level = left >= 3 ? LEVEL_OK : left >= 1 ? LEVEL_WARN : LEVEL_FAULT;
    finding_add(f, level,
                level == LEVEL_OK ? NULL
                                  : "The role is lost when no confirmation comes back within the lease.",
                level == LEVEL_OK ? NULL : "Take a longer `election.lease`, or a faster way to Consul.",
                "lease %s leaves %d confirmations after the last good one; %zu consistent reads took %s, the "
                "slowest %s",
                duration_format(facts->lease, lease), left, facts->confirm_count,
                duration_format(sorted[facts->confirm_count / 2], typical), duration_format(slowest, worst));
}

void judge_lease(const struct facts *facts, struct findings *f)
{
    char ours[32], theirs[32];
    if (!facts->election)
        return;
    if (facts->lease < LEASE_MIN)
        finding_add(f, LEVEL_WARN, "A pause of the host or of Consul as short as that costs the role.",
                    "Take an `election.lease` of 1s or more.", "lease %s is short",
                    duration_format(facts->lease, ours));
    if (facts->lease > LEASE_MAX)
        finding_add(f, LEVEL_WARN, "A takeover after a crash waits as long.",
                    "Take an `election.lease` of a few seconds.", "lease %s is long",
                    duration_format(facts->lease, ours));
    const json_t *primary = facts->role ? json_object_get(facts->role, "primary") : NULL;
    nstime held = json_integer_value(json_object_get(primary, "lease_ms")) * NS_PER_MS;
    if (held > 0 && held != facts->lease)
        finding_add(f, LEVEL_WARN, "Every takeover waits for the longest of them.",
                    "Give all members one `election.lease`, and restart those that differ.",
                    "leases differ: ours is %s, that of the primary %s is %s",
                    duration_format(facts->lease, ours), facts_text(primary, "node"),
                    duration_format(held, theirs));
    if (facts->confirm_count > 0)
        judge_round_trip(facts, f);
    else if (facts->ask[ASK_LEADER].status == 200)
        finding_add(f, LEVEL_NOTE, "How many confirmations fit into the lease is not known.", "Ask again.",
                    "no consistent read of the lock came back");
}

static const json_t *members_of(const struct facts *facts)
{
    return facts->role ? json_object_get(facts->role, "members") : NULL;
}

void judge_members(const struct facts *facts, struct findings *f)
{
    const json_t *member;
    size_t i, count = json_array_size(members_of(facts)), ready = 0;
    if (!facts->election)
        return;
    json_array_foreach(members_of(facts), i, member)
    {
        if (json_is_true(json_object_get(member, "ready"))) {
            ready++;
            continue;
        }
        finding_add(f, LEVEL_WARN, "It cannot take over.", "Ask `lictor why` on that host.",
                    "%s is not ready: %s", facts_text(member, "node"),
                    facts_text(member, "reason")[0] ? facts_text(member, "reason") : "it gives no reason");
    }
    if (count == 0)
        finding_add(f, LEVEL_FAULT, "Without being a member this instance never becomes primary.",
                    "See what is said of Consul and of rights; `lictor why` has the history.",
                    "no member is known, not even this instance: %s", facts_text(facts->role, "reason"));
    else if (count == 1)
        finding_add(f, LEVEL_NOTE, "Nobody takes over when it is gone.",
                    "Start a second instance with the same `election.cluster` and another `node`.",
                    "%s is the only member", facts_text(json_array_get(members_of(facts), 0), "node"));
    else if (ready == count)
        finding_add(f, LEVEL_OK, NULL, NULL, "%zu members, all ready", count);
    const json_t *paused = facts->role ? json_object_get(facts->role, "paused") : NULL;
    if (json_is_object(paused))
        finding_add(f, LEVEL_WARN, "Meanwhile nobody takes over by itself.",
                    "`lictor resume`, once the maintenance is done.", "%s paused the cluster%s%s",
                    facts_text(paused, "who"), facts_text(paused, "why")[0] ? ": " : "",
                    facts_text(paused, "why"));
    const json_t *primary = facts->role ? json_object_get(facts->role, "primary") : NULL;
    if (!json_is_object(primary))
        finding_add(f, LEVEL_WARN, "Nothing that needs the role happens: no actions, no changes.",
                    "`lictor why` says what keeps this instance from it.", "there is no primary: %s",
                    facts_text(facts->role, "reason"));
}

static bool is_loopback(const char *address)
{
    struct sockaddr_storage parsed;
    return sockaddr_parse(address, &parsed, NULL) == 0 && sockaddr_is_loopback(&parsed);
}

void judge_addresses(const struct facts *facts, struct findings *f)
{
    const json_t *a, *b;
    size_t i, k, loopback = 0, elsewhere = 0;
    json_array_foreach(members_of(facts), i, a)
    {
        const char *address = facts_text(a, "address");
        if (!address[0])
            finding_add(f, LEVEL_WARN, "Peers and resolvers are not told where it answers.",
                        "Set its `election.advertise`.", "%s advertises no address", facts_text(a, "node"));
        else if (is_loopback(address))
            loopback++;
        else
            elsewhere++;
        for (k = i + 1; address[0] && (b = json_array_get(members_of(facts), k)); k++)
            if (strcmp(address, facts_text(b, "address")) == 0)
                finding_add(f, LEVEL_WARN, "Queries and hand-overs meant for one reach the other.",
                            "Give each its own `election.advertise`.", "%s and %s advertise one address, %s",
                            facts_text(a, "node"), facts_text(b, "node"), address);
    }
    if (!loopback || !elsewhere)
        return;
    json_array_foreach(members_of(facts), i, a)
    {
        if (is_loopback(facts_text(a, "address")))
            finding_add(f, LEVEL_WARN, "Peers on other hosts reach themselves there, not this instance.",
                        "Set its `election.advertise` to an address that the others reach.",
                        "%s advertises the loopback address %s while others are on other hosts",
                        facts_text(a, "node"), facts_text(a, "address"));
    }
}

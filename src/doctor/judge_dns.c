/* What this instance and the others answer. */
#include "judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *transport(const struct probe *probe)
{
    return probe->tcp ? "TCP" : "UDP";
}

/* Returns whether it is a fault of ours. */
static bool judge_answer(const struct facts *facts, const struct probe *probe, struct findings *f)
{
    const char *zone = facts->zone[probe->zone].text;
    char where[SOCKADDR_TEXT], code[16];
    sockaddr_format(&probe->to, where);
    if (probe->state != PROBE_ANSWERED) {
        finding_add(f, LEVEL_FAULT, "Clients that ask there get no answer.",
                    "Look for a firewall on this host, and whether the workers live (`lictor status`).",
                    "%s (%s) does not answer for %s: %s", where, transport(probe), zone,
                    probe->error[0] ? probe->error : "nothing came in time");
        return true;
    }
    const struct message *reply = &probe->reply;
    /* A standby refuses by design (`standby`). */
    if (reply->has_serial || reply->ede == DNS_EDE_NOT_AUTHORITATIVE)
        return false;
    finding_add(f, LEVEL_FAULT, "Clients get no answer from this zone.", "`lictor why` and `lictor zones`.",
                "%s (%s) answers %s for %s%s%s", where, transport(probe),
                dns_rcode_text((uint16_t)reply->rcode, code), zone, reply->ede_text[0] ? ": " : "",
                reply->ede_text);
    return true;
}

void judge_answers(const struct facts *facts, struct findings *f)
{
    size_t asked = 0, refused = 0;
    bool fault = false;
    for (size_t i = 0; i < facts->probe_count; i++) {
        const struct probe *probe = &facts->probe[i];
        if (probe->node[0])
            continue;
        asked++;
        fault |= judge_answer(facts, probe, f);
        refused += probe->state == PROBE_ANSWERED && !probe->reply.has_serial;
    }
    if (!fault && asked)
        finding_add(f, LEVEL_OK, NULL, NULL, "all zones (%zu) answer on every listen address, UDP and TCP%s",
                    facts->zone_count, refused ? " (some refuse: this instance is a standby)" : "");
    if (facts->probes_left_out || facts->zones_left_out)
        finding_add(f, LEVEL_NOTE, "The rest was not asked.", NULL,
                    "the first %zu zones were asked for, on the first addresses", facts->zone_count);
}

/* ---- name servers ---- */

/* Is it the host part of an address that a member advertises? */
static bool is_members(const struct facts *facts, const char *address)
{
    const json_t *member;
    size_t i, len = strlen(address);
    json_array_foreach(facts->role ? json_object_get(facts->role, "members") : NULL, i, member)
    {
        const char *advertised = facts_text(member, "address");
        advertised += advertised[0] == '[';
        if (strncmp(advertised, address, len) == 0 && (advertised[len] == ':' || advertised[len] == ']'))
            return true;
    }
    return false;
}

void judge_name_servers(const struct facts *facts, struct findings *f)
{
    bool all_well = true;
    if (!facts->ns_known) {
        finding_add(f, LEVEL_NOTE, "Their addresses were not looked at.", "Ask again.",
                    "the builder did not come to it in time");
        return;
    }
    for (size_t i = 0; i < facts->ns_count; i++) {
        const struct ns_fact *ns = &facts->ns[i];
        bool known = false;
        if (!ns->inside)
            continue;
        for (size_t k = 0; k < ns->address_count; k++)
            known |= is_members(facts, ns->address[k]);
        if (ns->address_count == 0)
            finding_add(f, LEVEL_WARN, "Resolvers that are sent there find nobody.",
                        "Add an A or AAAA record for it to its zone, or take it from the NS records.",
                        "%s names the server %s, which has no address", ns->zone, ns->name);
        else if (facts->election && !known)
            finding_add(f, LEVEL_NOTE, "It must get the zone by other means than Lictor's.",
                        "If it is meant to be a member, compare its address with `election.advertise`.",
                        "%s names the server %s (%s), which is no member", ns->zone, ns->name,
                        ns->address[0]);
        all_well &= ns->address_count > 0 && (known || !facts->election);
    }
    if (facts->ns_count && all_well)
        finding_add(f, LEVEL_OK, NULL, NULL, "every name server in our zones has an address%s",
                    facts->election ? ", a member's" : "");
}

/* ---- serials ---- */

/* The SOA's, or that of "serial=5 records=..." under `lictor.`. */
static bool serial_of(const struct probe *probe, uint32_t *out)
{
    static const char key[] = "serial=";
    const struct message *reply = &probe->reply;
    if (probe->state != PROBE_ANSWERED)
        return false;
    if (reply->has_serial) {
        *out = reply->serial;
        return true;
    }
    if (strncmp(reply->txt, key, strlen(key)) != 0)
        return false;
    char *end;
    unsigned long value = strtoul(reply->txt + strlen(key), &end, 10);
    *out = (uint32_t)value;
    return end != reply->txt + strlen(key) && value <= UINT32_MAX;
}

struct copies {
    char text[512]; /* "ns1 has 5, ns2 has 4" */
    bool differ;
    size_t compared, unknown;
    char silent[256]; /* the members whose serial is not known, and why */
};

static void append(char *out, size_t size, const char *separator, const char *more)
{
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%s%s", len ? separator : "", more);
}

static void note_silent(struct copies *copies, const struct probe *probe)
{
    char line[200];
    copies->unknown++;
    if (strstr(copies->silent, probe->node))
        return;
    snprintf(line, sizeof(line), "%s %s", probe->node,
             probe->state == PROBE_ANSWERED ? "does not say" : "does not answer");
    append(copies->silent, sizeof(copies->silent), ", ", line);
}

/* The two probes of a member for one zone stand side by side: SOA, then TXT. */
static void compare(const struct facts *facts, size_t zone, struct copies *copies)
{
    char line[128];
    uint32_t serial, ours = (uint32_t)facts->zone[zone].serial;
    snprintf(copies->text, sizeof(copies->text), "this instance has %" PRIu32, ours);
    for (size_t i = 0; i + 1 < facts->probe_count; i++) {
        const struct probe *probe = &facts->probe[i];
        if (!probe->node[0] || probe->zone != zone || probe->type != DNS_SOA)
            continue;
        if (!serial_of(probe, &serial) && !serial_of(&facts->probe[i + 1], &serial)) {
            note_silent(copies, probe);
            continue;
        }
        copies->compared++;
        copies->differ |= serial != ours;
        snprintf(line, sizeof(line), "%s has %" PRIu32, probe->node, serial);
        append(copies->text, sizeof(copies->text), ", ", line);
    }
}

void judge_serials(const struct facts *facts, struct findings *f)
{
    size_t equal = 0;
    struct copies last = {0};
    bool silent = false;
    for (size_t zone = 0; zone < facts->zone_count; zone++) {
        struct copies copies = {0};
        if (facts->zone[zone].catalog)
            continue;
        compare(facts, zone, &copies);
        if (copies.differ)
            finding_add(f, LEVEL_WARN, "Answers change with whoever is asked, and go back at a takeover.",
                        "Bring the newest zone file to every member, and `lictor reload` there.",
                        "copies of %s differ: %s", facts->zone[zone].text, copies.text);
        else if (copies.compared)
            equal++;
        if (copies.unknown && !silent) {
            last = copies;
            silent = true;
        }
    }
    if (equal)
        finding_add(f, LEVEL_OK, NULL, NULL, "zones with one serial among the members that say it: %zu",
                    equal);
    if (silent)
        finding_add(f, LEVEL_NOTE, "Zone files that differ would not show.",
                    "Let standbys tell: add this host to their `inspect-from`; or ask doctor there.",
                    "not all serials could be compared: %s", last.silent);
}

/* ---- UPDATE ---- */

void judge_updates(const struct facts *facts, struct findings *f)
{
    if (facts->updated_unsigned)
        finding_add(f, LEVEL_WARN, "An address is no proof: over UDP anybody can forge it.",
                    "Give the client a `key`, and write \"key:NAME\" instead of the address.",
                    "`update` of %s admits addresses without a signature%s", facts->unsigned_zone,
                    facts->updated_unsigned > 1 ? ", and so does that of other zones" : "");
    if (facts->updated && !facts->peer_key)
        finding_add(f, LEVEL_WARN, "Only the primary takes UPDATE; the others answer SERVFAIL.",
                    "Set `election.peer-key` to the same key on all instances.",
                    "%zu zones have `update`, and there is no `peer-key`", facts->updated);
    if (facts->updated && !facts->updated_unsigned && facts->peer_key)
        finding_add(f, LEVEL_OK, NULL, NULL, "UPDATE (%zu zones) needs a key, and every instance takes it",
                    facts->updated);
}

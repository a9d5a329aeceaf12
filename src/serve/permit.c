/* Whether a zone may be answered from, now, and what to say if not. */
#include "lookup.h"

#include <string.h>

static void refuse(struct permit *permit, enum dns_rcode rcode, enum answer_reason reason, int ede,
                   const char *text)
{
    permit->rcode = rcode;
    permit->reason = reason;
    reply_note(&permit->note, ede, text);
}

/* The right to answer for authoritative zones (`standby`, gate.h). */
static bool gate_allows(struct permit *permit, const struct answer_env *env)
{
    switch (gate_verdict(env->gate, env->now)) {
    case GATE_ANSWER:
        permit->gated = true;
        return true;
    case GATE_NOT_READY:
        refuse(permit, DNS_SERVFAIL, ANSWER_NOT_READY, DNS_EDE_NOT_READY, "not known yet who is primary");
        return false;
    default: {
        const char *primary = snapshot_text(env->snapshot)->primary;
        refuse(permit, DNS_REFUSED, ANSWER_NOT_PRIMARY, DNS_EDE_NOT_AUTHORITATIVE,
               primary ? primary : "this instance is not the primary");
        return false;
    }
    }
}

void permit_check(struct permit *permit, const struct answer_env *env, const struct zone *zone)
{
    permit->rcode = DNS_NOERROR;
    permit->reason = ANSWER_OK;
    permit->stale = permit->gated = false;
    permit->note.ede = DNS_EDE_NONE;
    permit->note.text_len = 0;
    if (zone_kind(zone) == ZONE_INSPECT && !env->inspect) {
        refuse(permit, DNS_REFUSED, ANSWER_PROHIBITED, DNS_EDE_PROHIBITED,
               "answered to loopback and inspect-from only");
        return;
    }
    if (zone_kind(zone) == ZONE_AUTHORITATIVE && !gate_allows(permit, env))
        return;
    const struct zone_state *state = zone_state(zone);
    if (!state)
        return;
    nstime stale = atomic_load_explicit(&state->stale_from, memory_order_relaxed);
    nstime dead = atomic_load_explicit(&state->dead_from, memory_order_relaxed);
    if (atomic_load_explicit(&state->held, memory_order_relaxed)) {
        refuse(permit, DNS_SERVFAIL, ANSWER_NOT_READY, DNS_EDE_NOT_READY, "zone is not ready to be answered");
    } else if (env->now >= dead) {
        permit->rcode = DNS_SERVFAIL;
        permit->reason = ANSWER_EXPIRED;
        reply_note_seconds(&permit->note, DNS_EDE_NO_REACHABLE_AUTHORITY, "data expired ",
                           (uint64_t)(env->now - dead) / NS_PER_S, " ago");
    } else if (env->now >= stale) {
        permit->stale = true;
        permit->reason = ANSWER_STALE;
        reply_note_seconds(&permit->note, DNS_EDE_STALE_ANSWER, "stale for ",
                           (uint64_t)(env->now - stale) / NS_PER_S, "");
    }
}

/* "datacenter dc2 TEXT" */
static const char *about(const struct zone_origin *origin, const char *text, char out[128])
{
    char *at = stpcpy(out, "datacenter ");
    memcpy(at, origin->label + 1, origin->label[0]);
    strcpy(at + origin->label[0], text);
    return out;
}

bool permit_origin(struct permit *permit, const struct answer_env *env, struct zone_origin *origin)
{
    struct zone_state *state = &origin->state;
    nstime stale = atomic_load_explicit(&state->stale_from, memory_order_relaxed);
    nstime dead = atomic_load_explicit(&state->dead_from, memory_order_relaxed);
    char text[128];
    if (!atomic_load_explicit(&state->asked, memory_order_relaxed)) /* read first: the line stays shared */
        atomic_store_explicit(&state->asked, true, memory_order_relaxed);
    if (!origin->label[0]) { /* a health-driven record that has no answer; in no datacenter */
        bool unknown = atomic_load_explicit(&state->held, memory_order_relaxed);
        refuse(permit, DNS_SERVFAIL, ANSWER_EXPIRED,
               unknown ? DNS_EDE_NOT_READY : DNS_EDE_NO_REACHABLE_AUTHORITY,
               unknown ? "nothing that this name follows has been seen healthy yet"
                       : "nothing that this name follows is healthy (when-all-down = servfail)");
    } else if (env->now >= dead) {
        refuse(permit, DNS_SERVFAIL, ANSWER_EXPIRED, DNS_EDE_NO_REACHABLE_AUTHORITY,
               about(origin, " cannot be reached", text));
    } else if (atomic_load_explicit(&state->held, memory_order_relaxed)) {
        refuse(permit, DNS_SERVFAIL, ANSWER_NOT_READY, DNS_EDE_NOT_READY,
               about(origin, " has not been read yet", text));
    } else if (env->now >= stale && !permit->stale) {
        permit->stale = true;
        permit->reason = ANSWER_STALE;
        reply_note_seconds(&permit->note, DNS_EDE_STALE_ANSWER, about(origin, " is stale for ", text),
                           (uint64_t)(env->now - stale) / NS_PER_S, "");
    }
    return permit->rcode == DNS_NOERROR;
}

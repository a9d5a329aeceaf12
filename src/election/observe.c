/* What consistent reads teach, whatever the state: who holds the lock, whose value is in it, which leases are
 * about, since when the key is followed, and what may be answered. */
#include "internal.h"

static void note_lease(struct election *e, nstime length, nstime at)
{
    size_t smallest = 0;
    for (size_t i = 0; i < ELECTION_LEASES; i++) {
        if (e->leases[i].length == length || e->leases[i].length == 0) {
            e->leases[i].length = length;
            e->leases[i].at = at;
            return;
        }
        if (e->leases[i].length < e->leases[smallest].length)
            smallest = i;
    }
    /* Full: forgetting a lease could shorten a wait, remembering it longer cannot. So the smallest goes,
     * merged into a longer one that is as fresh. */
    if (e->leases[smallest].length < length) {
        e->leases[smallest].length = length;
        e->leases[smallest].at = at;
        return;
    }
    for (size_t i = 0; i < ELECTION_LEASES; i++)
        if (e->leases[i].length > length) {
            e->leases[i].at = at;
            return;
        }
}

nstime longest_lease(const struct election *e, nstime now)
{
    nstime longest = e->config.lease;
    for (size_t i = 0; i < ELECTION_LEASES; i++)
        /* A minute is not below the limit of a lease, so a forgotten lease cannot run any more. */
        if (e->leases[i].length > longest && now - e->leases[i].at <= ELECTION_LEASE_LIMIT &&
            !MUTATED(OWN_LEASE_ONLY))
            longest = e->leases[i].length;
    return longest;
}

nstime election_wait_out(const struct election *e, nstime now)
{
    nstime longest = longest_lease(e, now);
    /* 1 % covers clocks that run at different speeds (quartz: below 0.05 %), 50 ms what is in a socket
     * buffer or between a worker's check and its system call. */
    return longest + longest / 100 + 50 * NS_PER_MS;
}

bool crowded(const struct election *e, nstime now)
{
    return e->elections[0] != 0 && now - e->elections[0] < ELECTION_FLAP_WINDOW;
}

void note_election(struct election *e, nstime at)
{
    for (size_t i = 1; i < ELECTION_FLAPS; i++)
        e->elections[i - 1] = e->elections[i];
    e->elections[ELECTION_FLAPS - 1] = at;
}

/* Does the marker in this value prove to *this* instance that nobody acts? It names the holder that released
 * cleanly; that one was past its own wait-out, so everybody before it was over too. But a restored snapshot
 * may show a marker of long ago: only who has followed the key for a lease without a gap, and saw that very
 * holder last, knows that nobody came after it. */
static bool marker_counts(const struct election *e, const struct election_read *read)
{
    const struct election_value *value = &read->value;
    if (MUTATED(MARKER_FROM_ANYONE))
        return value->readable && value->marker;
    return value->readable && value->marker && e->seen.started != 0 &&
           read->started - e->seen.since >= longest_lease(e, read->finished) &&
           e->holder.session[0] != '\0' && same_id(e->holder.session, value->marker_session) &&
           e->holder.epoch == value->marker_epoch;
}

enum sight observe(struct election *e, const struct election_read *read)
{
    /* Two connections read the key: the blocking query may answer after a confirmation that began later.
     * A later start is newer; so is a higher ModifyIndex (the blocking query woke). */
    bool newer =
        read->started >= e->seen.started || (read->exists && read->modify_index > e->seen.modify_index);
    if (!newer)
        return SIGHT_STALE;

    bool mine = e->session[0] != '\0' && same_id(read->session, e->session);
    bool held = read->exists && read->session[0] != '\0';
    if (e->seen.started == 0 || read->started - e->seen.started > e->config.lease)
        e->seen.since = read->started;
    /* An index that falls: a restored snapshot. What was followed before it proves nothing any more. */
    if (read->exists && read->modify_index < e->seen.modify_index)
        e->seen.since = read->finished;
    bool spared = marker_counts(e, read);

    if (read->value.readable) {
        note_lease(e, read->value.lease, read->finished);
        if (read->value.epoch > e->epoch_seen)
            e->epoch_seen = read->value.epoch;
        if (read->value.marker && read->value.marker_epoch > e->epoch_seen)
            e->epoch_seen = read->value.marker_epoch;
    }
    if (held) {
        /* A hand-over on purpose is no election: it must not widen the check. */
        if (e->holder.session[0] != '\0' && !same_id(e->holder.session, read->session) &&
            !(read->value.readable && read->value.marker)) {
            note_election(e, read->finished);
            /* It has to wait out the one before. Should it seem to leave a marker earlier, then it is one
             * that a restore brought back, and the one before may still act. */
            if (!MUTATED(MARKER_IN_WAIT_OUT))
                e->seen.since = read->finished;
        }
        copy_id(e->holder.session, read->session);
        e->holder.epoch = read->value.readable ? read->value.epoch : 0;
    }
    if (read->started > e->seen.started)
        e->seen.started = read->started;
    e->seen.exists = read->exists;
    e->seen.free = !held;
    e->seen.spared = spared;
    e->seen.modify_index = read->exists ? read->modify_index : 0;
    e->seen.marker = read->value.readable && read->value.marker;
    copy_id(e->seen.last_instance, read->value.readable ? read->value.instance : "");

    /* Answering: the first consistent read tells enough to answer by. Refuse only while such a read shows
     * another holder, and for a lease from its *start*: later we cannot know. */
    e->ready_from = 0;
    if (!held || mine)
        e->refuse_until = 0;
    else if (read->finished < e->yielded_until)
        e->refuse_until = 0;
    else if (read->started + e->config.lease > e->refuse_until)
        e->refuse_until = read->started + e->config.lease;

    return mine ? SIGHT_MINE : held ? SIGHT_OTHER : SIGHT_FREE;
}

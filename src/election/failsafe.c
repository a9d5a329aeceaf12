/* Failsafe: rounds of questions, the right they give, and the answers to others' questions. */
#include "internal.h"

#include "lictor/failsafe.h"

#include <string.h>

void failsafe_init(struct failsafe *f, const struct failsafe_config *config)
{
    *f =
        (struct failsafe){.config = *config, .rng = {{config->seed | 1, ~config->seed}}, .why = FAILSAFE_YES};
}

const char *failsafe_verdict_text(enum failsafe_verdict verdict)
{
    static const char *const texts[FAILSAFE_VERDICTS] = {
        [FAILSAFE_SILENT] = "did not answer",
        [FAILSAFE_YES] = "consents",
        [FAILSAFE_NO_OFF] = "has no failsafe configured",
        [FAILSAFE_NO_REACHES] = "reaches Consul itself",
        [FAILSAFE_NO_HOLDS] = "holds the lock or stands for it",
        [FAILSAFE_NO_UNKNOWN] = "has not seen who holds the lock",
        [FAILSAFE_NO_FREE] = "saw the lock free",
        [FAILSAFE_NO_OTHER] = "saw another holder or epoch",
        [FAILSAFE_NO_STOPPING] = "is stopping",
        [FAILSAFE_NO_STRANGER] = "is another instance, or of another cluster",
        [FAILSAFE_UNSIGNED] = "did not sign with our key",
    };
    return texts[verdict];
}

bool failsafe_barred(const char *self, const char *holder, const char (*named)[ELECTION_ID_SIZE],
                     size_t count, bool marker)
{
    if (count == 0 || marker || same_id(self, holder))
        return false;
    for (size_t i = 0; i < count; i++)
        if (same_id(self, named[i]))
            return false;
    return true;
}

/* --- consenting ------------------------------------------------------------------------------------- */

static enum failsafe_verdict judge(const struct failsafe *f, const struct election *e,
                                   const struct failsafe_request *request, nstime now)
{
    if (!f->config.enabled)
        return FAILSAFE_NO_OFF;
    if (same_id(request->instance, f->config.instance) || request->lease <= 0 ||
        request->lease > ELECTION_LEASE_LIMIT)
        return FAILSAFE_NO_STRANGER;
    if (e->state == ELECTION_STOPPED || e->stopping)
        return FAILSAFE_NO_STOPPING;
    if (e->state != ELECTION_FOLLOWING && e->state != ELECTION_STARTING)
        return FAILSAFE_NO_HOLDS;
    if (e->seen.started == 0)
        return FAILSAFE_NO_UNKNOWN;
    /* A healthy follower's newest answered read, which blocks for a good quarter of a lease, began a good
     * half of one ago at most. A failure since then tells sooner. */
    nstime silent = now - e->seen.started;
    if (silent <= e->config.lease / 2 ||
        (silent <= e->config.lease / 4 * 3 && f->missed_at <= e->seen.started))
        return FAILSAFE_NO_REACHES;
    if (!e->seen.exists || e->seen.free)
        return FAILSAFE_NO_FREE;
    if (!same_id(e->seen.last_instance, request->instance) || e->holder.epoch != request->epoch)
        return FAILSAFE_NO_OTHER;
    return FAILSAFE_YES;
}

static void asked(struct failsafe *f, struct election *e, const struct failsafe_request *request, nstime now,
                  struct failsafe_output *out)
{
    out->verdict = judge(f, e, request, now);
    if (out->verdict != FAILSAFE_YES) {
        f->counters.refused++;
        return;
    }
    f->counters.given++;
    nstime until = now + request->lease + request->lease / 100 + 50 * NS_PER_MS;
    if (until > f->promised_until)
        f->promised_until = until;
    copy_id(f->promised_to, request->instance);
    if (e->stand_after < until)
        e->stand_after = until;
}

/* --- asking ----------------------------------------------------------------------------------------- */

/* Does it hold the lock as far as it can know, and was it primary in this reign? A hand-over under way, or of
 * unknown fate, ends it: the successor may act at once, by our marker. */
static bool reigns(const struct election *e)
{
    return e->state == ELECTION_PRIMARY ||
           (e->state == ELECTION_PAUSED &&
            (e->reason == ELECTION_WHY_LEASE_RAN_OUT || e->reason == ELECTION_WHY_CLOCK_STEPPED));
}

static void drop(struct failsafe *f)
{
    f->asking = false;
    f->hold_from = f->hold_until = 0;
    f->next_round = 0;
    f->why = FAILSAFE_YES;
}

static void take_list(struct failsafe *f, size_t count, const char (*instances)[ELECTION_ID_SIZE])
{
    static const char none[ELECTION_ID_SIZE];
    bool same = true, us = false;
    size_t others = 0;
    for (size_t i = 0; i < count && i < FAILSAFE_MEMBERS; i++) {
        if (same_id(instances[i], f->config.instance)) {
            us = true;
            continue;
        }
        same = same && others < f->count && same_id(f->members[others], instances[i]);
        others++;
    }
    /* A list that is cut short, or without us, is not what we wrote. */
    if (count > FAILSAFE_MEMBERS || !us)
        others = 0;
    if (same && others == f->count)
        return;
    /* What the former list allowed stands: all of it was asked, and whoever is new was not named then. */
    f->asking = false;
    f->next_round = 0;
    for (size_t i = 0, n = 0; i < count && n < others; i++)
        if (!same_id(instances[i], f->config.instance)) {
            f->verdicts[n] = FAILSAFE_SILENT;
            copy_id(f->members[n++], instances[i]);
        }
    for (size_t i = others; i < FAILSAFE_MEMBERS; i++)
        copy_id(f->members[i], none);
    f->count = others;
    f->why = FAILSAFE_YES;
}

static void begin_round(struct failsafe *f, const struct election *e, nstime now)
{
    f->nonce = rng_next(&f->rng);
    f->round_start = now;
    f->round_end = now + e->config.lease / 4;
    f->next_round = now + (f->worried ? e->config.lease / 4 : FAILSAFE_REHEARSAL);
    f->send_at = now;
    f->answered = 0;
    f->asking = true;
}

static void answered(struct failsafe *f, struct election *e, const struct failsafe_event *event, nstime now)
{
    size_t who = 0;
    while (who < f->count && !same_id(f->members[who], event->answer.instance))
        who++;
    if (who == f->count || !f->asking || event->answer.nonce != f->nonce || now >= f->round_end ||
        (f->answered >> who & 1) != 0)
        return; /* late, twice, or of nobody that was asked */
    /* Anybody can send what is not signed: the true answer may follow, so it only serves to say why. */
    f->verdicts[who] = event->answer.verdict;
    if (event->answer.verdict == FAILSAFE_UNSIGNED)
        return;
    f->answered |= UINT64_C(1) << who;
    if (event->answer.verdict != FAILSAFE_YES) {
        f->blame = who;
        f->why = event->answer.verdict;
        /* It may not have noticed the outage yet: ask again soon. */
        if (f->worried && f->next_round > f->round_start + e->config.lease / 8)
            f->next_round = f->round_start + e->config.lease / 8;
        return;
    }
    for (size_t i = 0; i < f->count; i++)
        if ((f->answered >> i & 1) == 0 || f->verdicts[i] != FAILSAFE_YES)
            return;
    f->asking = false;
    f->why = FAILSAFE_YES;
    f->counters.whole++;
    f->hold_from = f->round_start;
    f->hold_until = f->round_start + e->config.lease;
    /* News as good as a read: of those who may stand none has acted since the last news, if that is less than
     * a lease before the last yes; so Consul's next confirmation continues this reign, and begins no other.
     */
    if (e->voided == 0 && e->proven < f->round_start && f->round_end - e->proven <= e->config.lease)
        e->proven = f->round_start;
}

/* The round's time is over, or the next one's has come: who has not answered by now did not. */
static void end_round(struct failsafe *f)
{
    bool blamed = false;
    f->asking = false;
    if (f->worried)
        f->counters.broken++;
    for (size_t i = 0; i < f->count; i++) {
        if ((f->answered >> i & 1) != 0) {
            blamed = blamed || f->verdicts[i] != FAILSAFE_YES;
            continue;
        }
        if (f->verdicts[i] != FAILSAFE_UNSIGNED)
            f->verdicts[i] = FAILSAFE_SILENT;
        if (!blamed) {
            f->blame = i;
            f->why = f->verdicts[i];
        }
        blamed = true;
    }
}

static void ask(struct failsafe *f, const struct election *e, nstime now, struct failsafe_output *out)
{
    if (f->asking && (now >= f->round_end || now >= f->next_round))
        end_round(f);
    if (!f->asking && now >= f->next_round)
        begin_round(f, e, now);
    if (f->asking && now >= f->send_at) {
        for (size_t i = 0; i < f->count; i++) /* a rehearsal's verdict stays in sight until the next answer */
            if ((f->answered >> i & 1) == 0)
                out->ask |= UINT64_C(1) << i;
        f->send_at = now + e->config.lease / 16;
    }
}

static nstime earlier(nstime a, nstime b)
{
    return a < b ? a : b;
}

static void look(struct failsafe *f, const struct election *e, nstime now, struct failsafe_output *out)
{
    nstime act_until = e->state == ELECTION_PRIMARY ? e->deadline : 0;
    bool reign = f->config.enabled && reigns(e);
    if (!reign || f->epoch != e->epoch)
        drop(f);
    f->epoch = e->epoch;
    /* The machine may have been frozen: what was promised before that instant proves nothing after it. */
    if (e->voided != 0 && f->hold_from < e->voided)
        f->hold_until = 0;
    if (e->voided != 0 && f->asking && f->round_start < e->voided) {
        f->asking = false;
        f->next_round = 0;
    }
    bool worried = reign && act_until - now < e->config.lease / 2;
    if (worried && !f->worried) { /* the last rehearsal's schedule is too slow now, its question too old */
        f->asking = false;
        f->next_round = now;
    }
    f->worried = worried;
    if (!worried)
        f->hold_until = 0;
    if (reign && f->count > 0)
        ask(f, e, now, out);
    else
        f->asking = false;

    bool holds = now >= act_until && now < f->hold_until;
    if (holds && !f->holding) {
        f->counters.holds++;
        out->note = FAILSAFE_NOTE_HOLDING;
    } else if (!holds && f->holding) {
        out->note = now < act_until ? FAILSAFE_NOTE_CONFIRMED
                    : reign         ? FAILSAFE_NOTE_ENDED
                                    : FAILSAFE_NOTE_LOST;
    } else if (!holds && reign && now >= act_until && !f->without && f->why != FAILSAFE_YES) {
        out->note = FAILSAFE_NOTE_WITHOUT;
    }
    f->holding = holds;
    f->without = !holds && reign && now >= act_until && (f->without || out->note != FAILSAFE_NOTE_NONE);

    if (f->asking)
        out->timer = earlier(f->send_at, earlier(f->round_end, f->next_round));
    else if (reign && f->count > 0)
        out->timer = f->next_round;
    if (reign && !worried)
        out->timer = earlier(out->timer, act_until - e->config.lease / 2 + 1);
    if (now < act_until && act_until < f->hold_until)
        out->timer = earlier(out->timer, act_until);
    if (holds)
        out->timer = earlier(out->timer, f->hold_until);
}

void failsafe_step(struct failsafe *f, struct election *e, const struct failsafe_event *event, nstime now,
                   struct failsafe_output *out)
{
    *out = (struct failsafe_output){.timer = NS_NEVER};
    switch (event->kind) {
    case FAILSAFE_LIST:
        take_list(f, event->list.count, event->list.instances);
        break;
    case FAILSAFE_ANSWERED:
        answered(f, e, event, now);
        break;
    case FAILSAFE_MISSED:
        f->missed_at = now;
        break;
    case FAILSAFE_ASKED:
        asked(f, e, &event->request, now, out);
        break;
    case FAILSAFE_LOOK:
        break;
    }
    look(f, e, now, out);
    out->hold_until = f->hold_until;
}

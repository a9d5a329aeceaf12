/* Between the files of election/: one step in progress, and the moves that several handlers make. */
#pragma once

#include "mutation.h"

#include "lictor/election.h"

struct step {
    struct election *e;
    const struct election_event *event;
    nstime now;
    struct election_output *out;
};

/* What a read says about this instance. */
enum sight {
    SIGHT_STALE, /* older than what is known already */
    SIGHT_FREE,
    SIGHT_OTHER,
    SIGHT_MINE,
};

/* observe.c: what reads teach, whatever the state */
enum sight observe(struct election *e, const struct election_read *read);
nstime longest_lease(const struct election *e, nstime now);
void note_election(struct election *e, nstime at);
bool crowded(const struct election *e, nstime now); /* three elections in five minutes */

/* standing.c: without the lock */
void follow(struct step *s, enum election_reason reason);
void stand_if_free(struct step *s);
void starting_session(struct step *s);
void following_read(struct step *s);
void following_timer(struct step *s);
void following_ready(struct step *s);
void following_further(struct step *s);
void following_alive(struct step *s);
void following_give_up(struct step *s);
void acquiring_acquired(struct step *s);

/* holding.c: with the lock */
void begin_reign(struct step *s, const struct election_read *read, nstime since, uint64_t create_index,
                 uint64_t modify_index, bool spared);
void holding_read(struct step *s);
void holding_timer(struct step *s);
void holding_written(struct step *s);
void lose(struct step *s, enum election_reason reason);
void confirm_now(struct step *s);
void void_lease(struct step *s, enum election_reason reason);
void demote(struct step *s, enum election_reason reason);

/* yielding.c: giving the lock up */
void holding_give_up(struct step *s);
void waiting_give_up(struct step *s);
void quiescing_quiesced(struct step *s);
void releasing_released(struct step *s);
void resolving_read(struct step *s);
void resolving_written(struct step *s);
void end(struct step *s, enum election_reason reason);

/* election.c */
struct election_order *order(struct step *s, enum election_order_kind kind, enum election_reason reason);
void enter(struct step *s, enum election_state state, enum election_reason reason);
bool same_id(const char *a, const char *b);
void copy_id(char to[ELECTION_ID_SIZE], const char *from);

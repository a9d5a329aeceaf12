/* Read-copy-update by quiescent states (QSBR), on C11 atomics: readers pay one store a batch, the one writer
 * waits for nobody. liburcu's QSBR flavour gives false reports under ThreadSanitizer on Debian 12;
 * these few lines give none and need no annotations.
 *
 * Readers are the query workers. The writer side (defer, poll) belongs to the builder thread. What a reader
 * got from a published pointer is valid until that reader's next rcu_quiescent or rcu_offline. */
#pragma once

struct rcu_reader;

/* Registers the calling thread as a reader; it starts offline. */
struct rcu_reader *rcu_register(void);
/* Must be offline. */
void rcu_unregister(struct rcu_reader *reader);

/* Before the first read after sleeping. */
void rcu_online(struct rcu_reader *reader);
/* Between two batches: "I hold no pointer any more". */
void rcu_quiescent(struct rcu_reader *reader);
/* Before sleeping in poll; holds no pointer while offline. */
void rcu_offline(struct rcu_reader *reader);

/* Calls fn(arg) once every reader has passed a quiescent state after this call. Only enqueues. Builder
 * thread. */
void rcu_defer(void (*fn)(void *arg), void *arg);
/* Runs what is due. Returns how many are still waiting. Builder thread; cheap enough for each job. */
unsigned rcu_poll(void);
/* Waits until everything deferred has run (at shutdown, and in tests). Builder thread. */
void rcu_barrier(void);
/* Waits (sleeping in between) until every reader has passed a quiescent state after this call. Any
 * thread that is not an online reader. timeout in ns; returns 0, or -1 on timeout. The hand-over uses it:
 * "each worker has passed a batch" since the gate was closed. */
int rcu_synchronize(long long timeout);

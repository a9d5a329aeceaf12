/* The query engine: one pure function from a message to a reply. Allocates nothing, locks nothing, calls no
 * library, reads no clock: everything it depends on is in its arguments, so that tests, the fuzzer and the
 * benchmark drive it without a socket. */
#pragma once

#include "lictor/ask.h"
#include "lictor/gate.h"
#include "lictor/overlay.h"
#include "lictor/rng.h"
#include "lictor/snapshot.h"

#include <stdbool.h>
#include <sys/socket.h>

#define ANSWER_TCP_MAX 65535

/* Why a reply is what it is, beside its rcode: one counter each (lictor_drops_total,
 * lictor_refused_total...). */
enum answer_reason {
    ANSWER_OK,
    ANSWER_DROPPED_SHORT,    /* less than a header: nobody to answer */
    ANSWER_DROPPED_RESPONSE, /* QR was set */
    ANSWER_FORMERR,
    ANSWER_NOTIMP,
    ANSWER_BADVERS,
    ANSWER_NOT_OURS,    /* REFUSED: no zone of ours */
    ANSWER_NOT_PRIMARY, /* REFUSED, EDE 20 */
    ANSWER_NOT_READY,   /* SERVFAIL, EDE 14 */
    ANSWER_EXPIRED,     /* SERVFAIL, EDE 22 */
    ANSWER_PROHIBITED,  /* REFUSED, EDE 18: inspection from elsewhere, transfer not allowed */
    ANSWER_STALE,       /* answered, EDE 3 */
    ANSWER_ASK,         /* no reply yet: env->question has to be asked first (ask.h) */
    ANSWER_ASK_FAILED,  /* SERVFAIL, EDE 14: it was asked, without success */
    ANSWER_ASK_LATE,    /* the same: it took too long */
    ANSWER_ASK_REFUSED, /* the same: too many wait */
    ANSWER_PEER,        /* between instances: given to main, which replies (peer.h); not made by answer() */
    ANSWER_PEER_FULL,   /* the same, dropped: too many wait for main */
    ANSWER_DEFERRED,    /* not answered here: special (serve.h) does; only where env->defer asks for it */
    ANSWER_BAD_TSIG,    /* NOTAUTH: a signature that is not right (RFC 8945) */
    ANSWER_BUSY,        /* SERVFAIL: as many transfers as may be are under way */
    ANSWER_MAIN,        /* no reply yet: given to main (inbox.h); not made by answer(), like the next two */
    ANSWER_UPDATE,      /* main replied to an UPDATE */
    ANSWER_UPDATE_FULL, /* SERVFAIL: as many UPDATEs as may be wait for main */
    ANSWER_REASONS,
};

struct answer_env;
struct query;
struct reply;
struct outcome;

/* Who carries out AXFR and IXFR (xfr/). zone: the one that the name lies in, or NULL; it may be answered
 * from. Fills reply's answer section with as many records as are to be in this message, and says in outcome
 * what it is. */
struct answer_transfer {
    void (*begin)(void *arg, const struct answer_env *env, const struct query *query, const struct zone *zone,
                  struct reply *reply, struct outcome *outcome);
    void *arg;
};

struct answer_env {
    const struct snapshot *snapshot; /* never NULL: workers start behind the first publishing */
    const struct gate *gate;
    struct rng *rng;
    nstime now;       /* CLOCK_BOOTTIME, taken once a batch */
    bool tcp;         /* no 512 or EDNS limit, no TC below 64 KiB */
    bool inspect;     /* the client may read `lictor.` and CH names (loopback or inspect-from) */
    uint16_t udp_max; /* our own limit for UDP replies (1232); EDNS sizes above are cut to it */
    /* Filled in for ANSWER_ASK. NULL: nobody can be asked, which is ANSWER_ASK_FAILED at once. */
    struct ask_question *question;
    /* What was learned by asking; NULL: nothing. Looked at only for names that need Consul first. */
    const struct overlay_slot *overlay;
    /* For answers that depend on it; NULL: they are as for a client without an address. */
    const struct sockaddr_storage *client;
    /* What became of the question, when the same message is answered again; NULL the first time. The outcome
     * is final: this question is not asked again, but another one may be (an alias leads on). */
    const struct ask_answer *asked;
    /* Nothing more is asked: that outcome, which is then neither ASK_PUBLISHED nor ASK_ABSENT, is that of any
     * other question too. ANSWER_ASK cannot be the result. */
    bool asked_last;
    bool defer;       /* give back what is signed, a transfer or NOTIFY as ANSWER_DEFERRED, without a reply */
    uint16_t reserve; /* octets of the limit that the caller will need for a TSIG record */
    const struct answer_transfer *transfer; /* NULL: transfers are refused */
    const struct outcome *known;            /* what the reply says, whatever was asked; NULL: find out */
};

/* What the caller counts and logs. ANSWER_ASK: len is 0, and the caller answers the message again once it
 * knows more. */
struct answer_result {
    size_t len;     /* of the reply; 0: send nothing */
    uint16_t rcode; /* extended */
    uint16_t qtype; /* 0 if there was no question */
    enum answer_reason reason;
    int ede;                 /* the extended error (RFC 8914), told or not; DNS_EDE_NONE: none */
    const struct zone *zone; /* NULL if none; valid in the read section */
    bool truncated;
    bool gated; /* an authoritative answer: the gate must be looked at again before sending */
};

/* Answers query[0..len) into out[0..out_max) (512 at least for UDP; give 65,535 for TCP). out must not
 * overlap query. A signature is not looked at: where env->defer is not set, the caller has done so. */
struct answer_result answer(const struct answer_env *env, const uint8_t *query, size_t len, uint8_t *out,
                            size_t out_max);

/* Asking peers and answering them, on main: sockets, keys and what is outstanding. */
#include "internal.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/queue.h"
#include "lictor/rng.h"
#include "lictor/sockets.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* From the workers. A round of a whole cluster fits; a flood fills it: then consent gets lost, which is the
 * safe side. */
#define LETTERS        64
#define LETTERS_A_TURN 64 /* some microseconds each: far below main's 20 ms */
#define COMPLAIN_EVERY (10 * NS_PER_S)

/* A message that a worker received. */
struct letter {
    struct return_path from;
    size_t len;
    uint8_t msg[PEER_MESSAGE];
};

/* A question on its way. The same octets are sent again: the answer's MAC covers the question's. */
struct outstanding {
    bool used;
    uint64_t nonce;
    struct tsig_mac mac;
    size_t len;
    uint8_t msg[PEER_MESSAGE];
};

struct peer {
    struct peer_hooks hooks;
    struct tsig_key key;
    char cluster[64], node[64];
    struct queue *mailbox;
    struct event *letters, *again, *answers[2];
    int sockets[2]; /* IPv4, IPv6; -1: this host has none of that family */
    struct outstanding asked[FAILSAFE_MEMBERS];
    nstime complained;
    struct peer_counters counters;
    _Atomic uint64_t oversized; /* messages too long to be one of ours; workers count */
};

/* --- what is wrong with a signature, said seldom: anybody can send such messages ------------------------ */

static void complain(struct peer *peer, const char *what, const struct sockaddr_storage *other,
                     const char *why)
{
    char address[SOCKADDR_TEXT], key[NAME_MAX_TEXT];
    nstime now = clock_boot();
    peer->counters.bad_signatures++;
    if (peer->complained != 0 && now - peer->complained < COMPLAIN_EVERY)
        return;
    peer->complained = now;
    log_warn("failsafe: %s %s, `peer-key` %s: %s", what, sockaddr_format(other, address),
             name_to_text(peer->key.name, key), why);
}

static const char *hint(enum tsig_error error)
{
    switch (error) {
    case TSIG_BADKEY:
        return "BADKEY: the key's name or algorithm differs";
    case TSIG_BADSIG:
        return "BADSIG: the secrets differ";
    case TSIG_BADTIME:
        return "BADTIME: the clocks differ by more than 5 minutes";
    default:
        return tsig_error_text(error);
    }
}

/* --- answering -------------------------------------------------------------------------------------- */

static void send_answer(const struct letter *letter, const uint8_t *reply, size_t len)
{
    if (return_path_send(&letter->from, reply, len) != 0)
        log_debug("failsafe: an answer could not be sent: %s", strerror(errno));
}

static void answer_letter(struct peer *peer, struct letter *letter)
{
    struct peer_question question;
    struct tsig tsig;
    uint8_t reply[PEER_MESSAGE];
    size_t end, len;
    if (question_decode(letter->msg, letter->len, &question, &end) != 0)
        return;
    enum tsig_found found = tsig_find(letter->msg, letter->len, &tsig);
    nstime now = clock_real();
    if (found != TSIG_FOUND || tsig.start != end) {
        complain(peer, "an unsigned question from", &letter->from.address, "it is not signed, or malformed");
        len = answer_encode(letter->msg, end, found == TSIG_MALFORMED ? DNS_FORMERR : DNS_REFUSED,
                            FAILSAFE_SILENT, "", reply);
        send_answer(letter, reply, len);
        return;
    }
    enum tsig_error error = tsig_verify(&peer->key, letter->msg, &tsig, NULL, TSIG_WHOLE, now);
    if (error != TSIG_OK) {
        complain(peer, "a question with a wrong signature from", &letter->from.address, hint(error));
        len = answer_encode(letter->msg, end, DNS_NOTAUTH, FAILSAFE_SILENT, "", reply);
        if (tsig_refuse(reply, &len, sizeof reply, &peer->key, &tsig, error, now) == 0)
            send_answer(letter, reply, len);
        return;
    }
    enum failsafe_verdict verdict = strcmp(question.cluster, peer->cluster) != 0
                                        ? FAILSAFE_NO_STRANGER
                                        : peer->hooks.asked(peer->hooks.arg, &question.request);
    len = answer_encode(letter->msg, end, DNS_NOERROR, verdict, peer->node, reply);
    if (tsig_sign(reply, &len, sizeof reply, &peer->key, &tsig.mac, TSIG_WHOLE, now, NULL) == 0)
        send_answer(letter, reply, len);
}

static void on_letters(evutil_socket_t fd, short what, void *arg)
{
    struct peer *peer = arg;
    struct letter letter;
    (void)fd;
    (void)what;
    queue_hear(peer->mailbox);
    int handled = 0;
    while (handled < LETTERS_A_TURN && queue_get(peer->mailbox, &letter)) {
        peer->counters.received++;
        answer_letter(peer, &letter);
        handled++;
    }
    /* More may be there, in a flood always. A timer, since what is made active now comes in this very turn.
     */
    if (handled == LETTERS_A_TURN)
        event_add(peer->again, &(struct timeval){0});
}

bool peer_take(struct peer *peer, int fd, const struct msghdr *header, const uint8_t *msg, size_t len)
{
    struct letter letter;
    if (len > sizeof letter.msg || !return_path_set(&letter.from, fd, header)) {
        atomic_fetch_add_explicit(&peer->oversized, 1, memory_order_relaxed);
        return false;
    }
    letter.len = len;
    memcpy(letter.msg, msg, len);
    return queue_put(peer->mailbox, &letter);
}

/* --- asking ----------------------------------------------------------------------------------------- */

static int socket_for(struct peer *peer, const struct sockaddr_storage *address)
{
    return peer->sockets[address->ss_family == AF_INET6];
}

void peer_ask(struct peer *peer, unsigned tag, const char *address, const struct failsafe_request *request)
{
    struct outstanding *o = &peer->asked[tag];
    struct sockaddr_storage to;
    if (!o->used || o->nonce != request->nonce) {
        struct peer_question question = {.request = *request};
        uint16_t id;
        rng_secure(&id, sizeof id);
        /* The tag is part of the ID, so that an answer finds its question. */
        id = (uint16_t)((id & ~(FAILSAFE_MEMBERS - 1u)) | tag);
        snprintf(question.cluster, sizeof question.cluster, "%s", peer->cluster);
        o->used = true;
        o->nonce = request->nonce;
        o->len = question_encode(&question, id, o->msg);
        tsig_sign(o->msg, &o->len, sizeof o->msg, &peer->key, NULL, TSIG_WHOLE, clock_real(), &o->mac);
    }
    if (sockaddr_parse(address, &to, NULL) != 0 || socket_for(peer, &to) < 0)
        return; /* its silence will be told */
    peer->counters.sent++;
    if (sendto(socket_for(peer, &to), o->msg, o->len, MSG_DONTWAIT, (struct sockaddr *)&to,
               sockaddr_len(&to)) < 0)
        log_debug("failsafe: a question to %s could not be sent: %s", address, strerror(errno));
}

static void take_answer(struct peer *peer, const uint8_t *msg, size_t len,
                        const struct sockaddr_storage *from)
{
    struct peer_question question;
    struct tsig tsig;
    enum failsafe_verdict verdict;
    if (len < DNS_HEADER_LEN)
        return;
    unsigned tag = get16(msg) % FAILSAFE_MEMBERS;
    const struct outstanding *o = &peer->asked[tag];
    if (!o->used || memcmp(o->msg, msg, 2) != 0)
        return; /* of an older question */
    enum tsig_error error = TSIG_BADSIG;
    if (tsig_find(msg, len, &tsig) != TSIG_FOUND) {
        char rcode[16], why[48];
        snprintf(why, sizeof why, "rcode %s", dns_rcode_text(get16(msg + 2) & 15, rcode));
        complain(peer, "an unsigned answer from", from, why);
    } else if (tsig.error == TSIG_BADKEY || tsig.error == TSIG_BADSIG) {
        complain(peer, "our signature is refused by", from, hint((enum tsig_error)tsig.error));
    } else if ((error = tsig_verify(&peer->key, msg, &tsig, &o->mac, TSIG_WHOLE, clock_real())) != TSIG_OK) {
        complain(peer, "an answer with a wrong signature from", from, hint(error));
    } else if (tsig.error != TSIG_OK) {
        error = (enum tsig_error)tsig.error;
        complain(peer, "our signature is refused by", from, hint(error));
    }
    if (error != TSIG_OK) {
        peer->hooks.answered(peer->hooks.arg, tag, o->nonce, FAILSAFE_UNSIGNED);
        return;
    }
    if (answer_decode(msg, tsig.start, &question, &verdict) == 0 && question.request.nonce == o->nonce)
        peer->hooks.answered(peer->hooks.arg, tag, o->nonce, verdict);
}

static void on_answers(evutil_socket_t fd, short what, void *arg)
{
    uint8_t msg[PEER_MESSAGE];
    struct sockaddr_storage from;
    (void)what;
    for (int i = 0; i < LETTERS_A_TURN; i++) {
        socklen_t from_len = sizeof from;
        ssize_t len = recvfrom((int)fd, msg, sizeof msg, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (len < 0 && errno == EAGAIN)
            return;
        if (len >= 0)
            take_answer(arg, msg, (size_t)len, &from);
    }
}

/* --- making ----------------------------------------------------------------------------------------- */

static int read_key(const struct config *config, struct tsig_key *key, struct err *err)
{
    const struct config_key *from = config_key(config, config->election.peer_key);
    if (from == NULL)
        return err_set(err, "`peer-key`: there is no key `%s`", config->election.peer_key);
    return config_key_read(from, key, err) != 0 ? err_prefix(err, "`peer-key`") : 0;
}

/* Any port: answers come back to it. A host without IPv6 is no fault. */
static void open_sockets(struct peer *peer, struct event_base *base)
{
    for (int i = 0; i < 2; i++) {
        peer->sockets[i] = socket(i ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (peer->sockets[i] < 0)
            continue;
        if (i)
            setsockopt(peer->sockets[i], IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
        peer->answers[i] = event_new(base, peer->sockets[i], EV_READ | EV_PERSIST, on_answers, peer);
        event_add(peer->answers[i], NULL);
    }
}

struct peer *peer_new(struct event_base *base, const struct config *config, const struct peer_hooks *hooks,
                      struct err *err)
{
    struct peer *peer = xcalloc(1, sizeof *peer);
    peer->hooks = *hooks;
    peer->sockets[0] = peer->sockets[1] = -1;
    snprintf(peer->cluster, sizeof peer->cluster, "%s", config->election.cluster);
    snprintf(peer->node, sizeof peer->node, "%s", config->node);
    if (read_key(config, &peer->key, err) != 0 ||
        (peer->mailbox = queue_new(sizeof(struct letter), LETTERS, err)) == NULL) {
        peer_free(peer);
        return NULL;
    }
    open_sockets(peer, base);
    peer->letters = event_new(base, queue_fd(peer->mailbox), EV_READ | EV_PERSIST, on_letters, peer);
    event_add(peer->letters, NULL);
    peer->again = evtimer_new(base, on_letters, peer);
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    for (int i = 0; i < 2; i++) {
        if (peer->answers[i] != NULL)
            event_free(peer->answers[i]);
        if (peer->sockets[i] >= 0)
            close(peer->sockets[i]);
    }
    if (peer->letters != NULL)
        event_free(peer->letters);
    if (peer->again != NULL)
        event_free(peer->again);
    queue_free(peer->mailbox);
    explicit_bzero(&peer->key, sizeof peer->key);
    free(peer);
}

void peer_counters(const struct peer *peer, struct peer_counters *out)
{
    *out = peer->counters;
    out->dropped =
        queue_refused(peer->mailbox) + atomic_load_explicit(&peer->oversized, memory_order_relaxed);
}

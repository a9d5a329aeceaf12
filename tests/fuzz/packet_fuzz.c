/* Any octets as a message, against a snapshot with every feature. A reply must be one that ldns can read,
 * within the limit, an answer to the question that was asked, and never to a response. The first octet of the
 * input chooses transport and rights. */
#include "../unit/zone_text.h"

#include "lictor/overlay.h"
#include "lictor/rng.h"

#include <assert.h>

static struct zone_state states[6] = {
    {.stale_from = NS_NEVER, .dead_from = NS_NEVER}, {.stale_from = NS_NEVER, .dead_from = NS_NEVER},
    {.stale_from = NS_NEVER, .dead_from = NS_NEVER}, {.stale_from = NS_NEVER, .dead_from = NS_NEVER},
    {.stale_from = NS_NEVER, .dead_from = NS_NEVER}, {.stale_from = NS_NEVER, .dead_from = NS_NEVER},
};

static int computed(const void *arg, const uint8_t *name, struct zone_computed *out)
{
    (void)arg;
    if (name[0] == 1 && name[1] >= 'p') { /* needs Consul first: a name of one or two labels is known */
        out->ask = ASK_QUERY;
        out->len = (uint16_t)name_len(name);
        memcpy(out->data, name, out->len);
        return ZONE_ASK;
    }
    if (name[0] != 8)
        return 0;
    *out = (struct zone_computed){
        .type = name[1] & 1 ? DNS_A : DNS_CNAME, .ttl = 1, .len = 4, .data = {1, 'a', 1}};
    if (out->type == DNS_CNAME)
        memcpy(out->data, "\1a\6consul", out->len = 10);
    return 1;
}

/* A service of 200 weighted addresses and its SRV records with extras. */
static void add_service(struct zone_edit *edit)
{
    static uint8_t address[200][4], srv[200][32];
    static struct rdata a[200], s[200];
    static struct piece_extra extra[200];
    uint8_t owner[NAME_MAX_WIRE];
    for (unsigned i = 0; i < 200; i++) {
        char target[32];
        memcpy(address[i], (uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
        a[i] = (struct rdata){address[i], 4, (uint16_t)(i % 5)};
        snprintf(target, sizeof target, "n%u.consul.", i / 2);
        name_of(target, srv[i] + 6);
        srv[i][5] = (uint8_t)i;
        s[i] = (struct rdata){srv[i], (uint16_t)(6 + name_len(srv[i] + 6)), 0};
        extra[i] = (struct piece_extra){i, DNS_A, 5, {address[i], 4, 0}};
    }
    struct piece_spec specs[] = {
        {.type = DNS_A, .ttl = 5, .rdata = a, .count = 200, .answers = 40},
        {.type = DNS_SRV, .ttl = 5, .rdata = s, .count = 200, .extra = extra, .extra_count = 200},
    };
    name_of("web.service.consul.", owner);
    for (size_t i = 0; i < 2; i++) {
        struct piece *piece = piece_new(&specs[i], NULL);
        if (!piece || zone_edit_put(edit, owner, piece, NULL))
            abort();
        piece_unref(piece);
    }
}

/* `q` leads to `r`, which depends on the client's address and is not known; `s` has no data; `t` has an
 * address. */
static struct overlay_slot overlay;
static struct overlay_state *overlay_state_;

static void learn(const char *name, uint16_t type, const uint8_t *data, uint16_t len, bool by_address)
{
    static struct overlay_store *store;
    struct ask_question question = {.kind = ASK_QUERY};
    struct rdata rdata = {data, len, 0};
    struct piece *piece =
        data ? piece_new(&(struct piece_spec){.type = type, .ttl = 9, .rdata = &rdata, .count = 1}, NULL)
             : NULL;
    if (!store) {
        store = overlay_store_new(&overlay);
        overlay_state_ = overlay_state_new();
    }
    name_of(name, question.name);
    question.name_len = (uint8_t)name_len(question.name);
    overlay_put(store, &(struct overlay_spec){.question = question,
                                              .state = overlay_state_,
                                              .pieces = &piece,
                                              .count = piece != NULL,
                                              .by_address = by_address,
                                              .scoped = true});
    overlay_publish(store);
    if (piece)
        piece_unref(piece);
}

static void make_overlay(void)
{
    learn("q.consul.", DNS_CNAME, (const uint8_t *)"\1r\6consul", 10, false);
    learn("r.consul.", 0, NULL, 0, true);
    learn("s.consul.", 0, NULL, 0, false);
    learn("t.consul.", DNS_A, (const uint8_t *)"\12\0\0\1", 4, false);
}

/* Signed, by nobody: `n.` with NSEC, `h.` with NSEC3 and gaps in its chain. */
static const char with_nsec[] = "n. SOA ns.n. admin.n. 7 3600 600 86400 60\n"
                                "n. NS ns.n.\n"
                                "n. NSEC *.n. NS SOA\n"
                                "n. RRSIG SOA 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
                                "n. RRSIG NSEC 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
                                "*.n. CNAME x.c.n.\n"
                                "*.n. NSEC c.n. CNAME\n"
                                "*.n. RRSIG CNAME 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
                                "*.n. RRSIG NSEC 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
                                "c.n. NS g.c.n.\n"
                                "c.n. NSEC d.n. NS\n"
                                "c.n. RRSIG NSEC 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
                                "g.c.n. A 192.0.2.1\n"
                                "d.n. DNAME n.\n"
                                "d.n. NSEC n. DNAME\n"
                                "d.n. RRSIG DNAME 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
                                "d.n. RRSIG NSEC 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n";
static const char with_nsec3[] =
    "h. SOA ns.h. admin.h. 7 3600 600 86400 60\n"
    "h. NS ns.h.\n"
    "h. NSEC3PARAM 1 0 3 ab\n"
    "h. RRSIG SOA 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
    "*.w.h. TXT x\n"
    "*.w.h. RRSIG TXT 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
    "c.h. NS g.c.h.\n"
    "g.c.h. A 192.0.2.1\n"
    "a.h. CNAME q.w.h.\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.h. NSEC3 1 1 3 ab 35mthgpgcu1qg68fab165klnsnk3dpvl NS\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.h. RRSIG NSEC3 13 1 60 20380101000000 20200101000000 1 . AAAAAAAA\n"
    "b4um86eghhds6nea196smvmlo4ors995.h. NSEC3 1 1 3 ab 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom MX\n"
    "u.h. NSEC3 1 1 9 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom MX\n";

static struct snapshot *make_snapshot(void)
{
    static const char test[] =
        "test. 3600 SOA ns.test. admin.test. 7 3600 600 86400 60\n"
        "test. NS ns1.test.\ntest. NS ns.del.test.\ntest. MX 10 mail.test.\n"
        "ns1.test. A 192.0.2.53\nns1.test. AAAA 2001:db8::53\nmail.test. A 192.0.2.25\n"
        "w.test. CNAME x.w.test.\n*.w.test. CNAME a.d.test.\nd.test. DNAME w.test.\n"
        "loop.test. DNAME loop.test.\nl1.test. CNAME l2.test.\nl2.test. CNAME l1.test.\n"
        "c.test. CNAME web.service.consul.\ne.test. CNAME aaaaaaaa.consul.\n"
        "a.b.c.ent.test. A 192.0.2.1\ndel.test. NS ns.del.test.\ndel.test. NS ns1.test.\n"
        "del.test. DS 1 8 2 00112233\nns.del.test. A 192.0.2.100\n"
        "*.x.test. TXT \"wild\"\n_s._tcp.test. SRV 0 0 80 mail.test.\n"
        "long.test. DNAME a23456789012345678901234567890123456789012345678901234567890123."
        "b23456789012345678901234567890123456789012345678901234567890123."
        "c23456789012345678901234567890123456789012345678901234567890123.test.\n";
    uint8_t apex[NAME_MAX_WIRE];
    name_of("consul.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, &states[1], computed, NULL);
    zone_text_add_lines(edit,
                        "consul. SOA ns.consul. admin.consul. 7 3600 600 86400 0\nconsul. NS ns.consul.\n");
    add_service(edit);
    struct zone *zones[] = {
        zone_text("test.", ZONE_AUTHORITATIVE, &states[0], test),
        zone_edit_commit(edit),
        zone_text("lictor.", ZONE_INSPECT, &states[2], "status.lictor. TXT \"fine\"\n"), /* no SOA */
        zone_text("c.ent.test.", ZONE_AUTHORITATIVE, &states[3],
                  "c.ent.test. SOA ns1.test. admin.test. 7 3600 600 86400 60\nc.ent.test. NS ns1.test.\n"
                  "c.ent.test. CNAME test.\n"),
        zone_text("n.", ZONE_AUTHORITATIVE, &states[4], with_nsec),
        zone_text("h.", ZONE_AUTHORITATIVE, &states[5], with_nsec3),
    };
    return snapshot_new(zones, 6, &(struct snapshot_text){"node-1", "lictor", "primary is node-2"});
}

static void check(const struct answer_env *env, const uint8_t *msg, size_t len, const uint8_t *out,
                  const struct answer_result *result)
{
    if (len < 12 || msg[2] & 0x80) {
        assert(result->len == 0);
        return;
    }
    assert(result->len >= 12 && result->len <= (env->tcp              ? 65535u
                                                : env->udp_max < 512u ? 512u
                                                                      : env->udp_max));
    assert(!memcmp(out, msg, 2) && out[2] & 0x80);
    ldns_pkt *pkt = NULL;
    assert(ldns_wire2pkt(&pkt, out, result->len) == LDNS_STATUS_OK);
    assert(!ldns_pkt_ra(pkt) && !ldns_pkt_ad(pkt) && !ldns_pkt_cd(pkt));
    assert(!ldns_pkt_edns(pkt) || ldns_pkt_edns_version(pkt) == 0);
    if (ldns_pkt_qdcount(pkt)) /* echoed as it came */
        for (size_t i = 12; i < 17; i++)
            assert(out[i] == msg[i]);
    else
        assert(result->rcode == DNS_FORMERR || result->rcode == DNS_NOTIMP);
    ldns_pkt_free(pkt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct snapshot *snapshot;
    static struct gate gate;
    static uint8_t out[ANSWER_TCP_MAX];
    struct rng rng = {{1, size}};
    struct ask_question question;
    struct sockaddr_storage client = {.ss_family = size & 1 ? AF_INET : AF_INET6};
    if (!snapshot) {
        snapshot = make_snapshot();
        make_overlay();
    }
    if (!size)
        return 0;
    uint8_t mode = data[0];
    gate.act_until = mode & 1 ? 0 : NS_NEVER;
    gate.mode = mode & 2 ? GATE_STRICT : GATE_SERVE;
    states[0].held = (mode & 0x0c) == 0x0c;
    states[1].stale_from = mode & 4 ? 0 : NS_NEVER;
    states[0].stale_from = mode & 8 ? 0 : NS_NEVER;
    overlay_state_->good_until = mode & 4 ? 0 : NS_NEVER;
    overlay_state_->dead_from = mode & 8 ? 0 : NS_NEVER;
    struct answer_env env = {.snapshot = snapshot,
                             .question = &question,
                             .overlay = &overlay,
                             .client = &client,
                             .gate = &gate,
                             .rng = &rng,
                             .now = 99 * NS_PER_S,
                             .tcp = mode & 0x10,
                             .inspect = mode & 0x20,
                             .udp_max = mode & 0x40 ? 4096 : 1232};
    size_t room = mode & 0x10 ? sizeof out : env.udp_max;
    uint8_t *tail =
        out + sizeof out - room; /* ends where the array ends, so that ASan sees one octet too many */
    struct answer_result result = answer(&env, data + 1, size - 1, tail, room);
    /* As a worker does: another question, and another, and then no more. */
    for (unsigned round = 0; result.reason == ANSWER_ASK; round++) {
        struct ask_answer asked = {(enum ask_outcome)((mode >> 4) % (ASK_REFUSED + 1)), question};
        assert(round < 5 && result.len == 0 && !result.gated);
        assert(name_len(question.name) == question.name_len);
        env.asked = &asked;
        env.asked_last = round == 4;
        if (env.asked_last)
            asked.outcome = ASK_REFUSED;
        result = answer(&env, data + 1, size - 1, tail, room);
        assert(result.reason != ANSWER_ASK || !ask_question_equal(&asked.question, &question));
    }
    check(&env, data + 1, size - 1, tail, &result);
    return 0;
}

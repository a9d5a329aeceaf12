/* Transfers without sockets: what the messages say, read by ldns; and that replaying any IXFR onto its old
 * version gives the AXFR. */
#include "lictor/history.h"
#include "lictor/transfer.h"
#include "lictor/tsig.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"
#include "zone_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define LONG_LABEL "a23456789012345678901234567890123456789012345678901234567890123."
#define LONG_NAME \
    LONG_LABEL LONG_LABEL LONG_LABEL "a2345678901234567890123456789012345678901234567890123456789."
#define SECRET "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};
static struct gate gate = {.act_until = NS_NEVER};
static struct transfers *transfers;
static struct server_special special;
static struct rng rng = {{1, 2}};

static int set_up(void **unused)
{
    static const char text[] =
        "listen = \"127.0.0.1:1\"\nstate-dir = \"/tmp\"\ncontrol = \"/tmp/none\"\n"
        "key \"k.\" { secret = \"" SECRET "\" }\nkey \"" LONG_NAME "\" { secret = \"" SECRET "\" }\n"
        "zone \"t\" { file = \"/dev/null\" transfer = {\"192.0.2.0/24\", \"key:k\"} }\n";
    struct buf faults = {0};
    struct err err;
    (void)unused;
    char path[] = "/tmp/lictor-transfer-XXXXXX", *written = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    written = strdup(text);
    char *at = strstr(written, "/dev/null");
    char *whole = xasprintf("%.*s%s%s", (int)(at - written), written, path, at + strlen("/dev/null"));
    struct config *config = config_parse("/tmp/lictord.conf", whole, strlen(whole), &faults);
    if (!config)
        fail_msg("%s", buf_str(&faults));
    struct transfer_policy *policy = transfer_policy_new(config, &err);
    assert_non_null(policy);
    transfers = transfers_new();
    transfers_set_policy(transfers, policy);
    special = transfers_special(transfers);
    config_free(config);
    close(fd);
    unlink(path);
    free(written);
    free(whole);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    transfers_free(transfers);
    return 0;
}

/* --- a client ----------------------------------------------------------------------------------------- */

struct client {
    struct snapshot *snapshot;
    const char *address;
    const struct tsig_key *key;
    bool udp;
    /* what came */
    unsigned rcode, messages;
    size_t longest;
    bool failed; /* the stream could not go on */
    ldns_rr_list *records;
};

static struct tsig_key the_key(void)
{
    struct tsig_key key = {.name = "\1k", .algorithm = TSIG_HMAC_SHA256};
    key.secret_len = (size_t)tsig_secret_parse(SECRET, key.secret, sizeof key.secret);
    return key;
}

static void take(struct client *client, const uint8_t *msg, size_t len)
{
    ldns_pkt *pkt = NULL;
    assert_int_equal(ldns_wire2pkt(&pkt, msg, len), LDNS_STATUS_OK);
    client->rcode = ldns_pkt_get_rcode(pkt);
    client->messages++;
    if (len > client->longest)
        client->longest = len;
    ldns_rr_list *answer = ldns_pkt_get_section_clone(pkt, LDNS_SECTION_ANSWER);
    ldns_rr_list_cat(client->records, answer);
    ldns_rr_list_free(answer);
    ldns_pkt_free(pkt);
}

/* Every message is signed, the first one after the request. */
static void verify(const struct client *client, const uint8_t *msg, size_t len, struct tsig_mac *prior)
{
    struct tsig tsig;
    if (!client->key)
        return;
    assert_int_equal(tsig_find(msg, len, &tsig), TSIG_FOUND);
    assert_int_equal(tsig_verify(client->key, msg, &tsig, prior,
                                 client->messages == 0 ? TSIG_WHOLE : TSIG_STREAM, clock_real()),
                     TSIG_OK);
    *prior = tsig.mac;
}

/* serial: of the SOA in an IXFR; below 0: none. */
static size_t make_request(const struct client *client, uint16_t type, int64_t serial, uint8_t *msg,
                           struct tsig_mac *mac)
{
    size_t len = query_make(msg, "t.", type, DNS_IN, 0, false);
    if (serial >= 0) {
        static const uint8_t soa[] = {0xc0, 12, 0, DNS_SOA, 0, DNS_IN, 0, 0, 0, 0, 0, 22, 0, 0};
        memcpy(msg + len, soa, sizeof soa);
        put32(msg + len + sizeof soa, (uint32_t)serial);
        memset(msg + len + sizeof soa + 4, 0, 16);
        len += sizeof soa + 20;
        msg[9] = 1;
    }
    if (client->key)
        assert_int_equal(tsig_sign(msg, &len, 1024, client->key, NULL, TSIG_WHOLE, clock_real(), mac), 0);
    return len;
}

static void transfer(struct client *client, uint16_t type, int64_t serial)
{
    static uint8_t msg[1024], out[65535];
    struct sockaddr_storage address = {.ss_family = AF_INET};
    struct answer_env env = {.snapshot = client->snapshot,
                             .gate = &gate,
                             .rng = &rng,
                             .now = clock_boot(),
                             .tcp = !client->udp,
                             .udp_max = 1232,
                             .defer = true};
    struct server_stream *stream = NULL;
    struct tsig_mac mac;
    size_t len = make_request(client, type, serial, msg, &mac);
    client->records = ldns_rr_list_new();
    client->messages = 0;
    inet_pton(AF_INET, client->address, &((struct sockaddr_in *)&address)->sin_addr);
    assert_int_equal(answer(&env, msg, len, out, sizeof out).reason, ANSWER_DEFERRED);
    struct answer_result result =
        special.answer(special.arg, &env, &address, msg, len, out, client->udp ? 4096 : sizeof out, &stream);
    verify(client, out, result.len, &mac);
    take(client, out, result.len);
    for (bool more = true; stream && more;) {
        len = special.next(stream, &env, out, &more);
        client->failed = len == 0;
        if (client->failed)
            break;
        verify(client, out, len, &mac);
        take(client, out, len);
    }
    if (stream)
        special.end(stream, !client->failed);
}

static struct client client_of(struct zone *zone)
{
    struct snapshot_text text = {.node = "ns1"};
    return (struct client){.snapshot = snapshot_new(&zone, 1, &text), .address = "192.0.2.7"};
}

static void client_free(struct client *client)
{
    snapshot_free(client->snapshot);
    ldns_rr_list_deep_free(client->records);
}

/* --- sets of records ------------------------------------------------------------------------------------ */

struct set {
    char **lines;
    size_t count;
};

static void set_add(struct set *set, const ldns_rr *rr)
{
    char *line = ldns_rr2str(rr);
    set->lines = xrealloc(set->lines, (set->count + 1) * sizeof *set->lines);
    set->lines[set->count++] = line;
}

static void set_remove(struct set *set, const ldns_rr *rr)
{
    char *line = ldns_rr2str(rr);
    size_t i = 0;
    while (i < set->count && strcmp(set->lines[i], line) != 0)
        i++;
    if (i == set->count)
        fail_msg("an IXFR removes what is not there: %s", line);
    free(set->lines[i]);
    set->lines[i] = set->lines[--set->count];
    free(line);
}

static void set_sort(struct set *set)
{
    qsort(set->lines, set->count, sizeof *set->lines, zone_text_compare);
}

static void set_free(struct set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->lines[i]);
    free(set->lines);
    *set = (struct set){0};
}

static void assert_equal_sets(struct set *a, struct set *b)
{
    set_sort(a);
    set_sort(b);
    for (size_t i = 0; i < a->count && i < b->count; i++)
        assert_string_equal(a->lines[i], b->lines[i]);
    assert_int_equal(a->count, b->count);
}

static bool is_soa(const ldns_rr *rr)
{
    return ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA;
}

/* The zone that an AXFR says: the SOA once. */
static struct set whole(const struct client *client)
{
    struct set set = {0};
    size_t count = ldns_rr_list_rr_count(client->records);
    assert_true(count >= 2 && is_soa(ldns_rr_list_rr(client->records, 0)) &&
                is_soa(ldns_rr_list_rr(client->records, count - 1)));
    for (size_t i = 0; i + 1 < count; i++) {
        assert_true(i == 0 || !is_soa(ldns_rr_list_rr(client->records, i)));
        set_add(&set, ldns_rr_list_rr(client->records, i));
    }
    return set;
}

static int print_record(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct set *set = arg;
    for (uint32_t i = 0; i < piece_count(piece); i++) {
        uint8_t *wire = xmalloc(NAME_MAX_WIRE + 10 + 65535);
        struct rdata rdata = piece_rdata(piece, i);
        size_t at = name_len(owner);
        ldns_rr *rr = NULL;
        memcpy(wire, owner, at);
        put16(wire + at, piece_type(piece));
        put16(wire + at + 2, DNS_IN);
        put32(wire + at + 4, piece_ttl(piece));
        put16(wire + at + 8, rdata.len);
        memcpy(wire + at + 10, rdata.data, rdata.len);
        at = 0;
        assert_int_equal(ldns_wire2rr(&rr, wire, NAME_MAX_WIRE + 10 + 65535, &at, LDNS_SECTION_ANSWER),
                         LDNS_STATUS_OK);
        set_add(set, rr);
        ldns_rr_free(rr);
        free(wire);
    }
    return 0;
}

static struct set content(const struct zone *zone)
{
    struct set set = {0};
    zone_walk(zone, print_record, &set);
    return set;
}

/* --- whole zones ------------------------------------------------------------------------------------------
 */

static const char small[] = "t. SOA ns.t. h.t. 10 2 3 4 5\nt. NS ns.t.\nns.t. A 192.0.2.1\n"
                            "sub.t. NS ns.sub.t.\nns.sub.t. A 192.0.2.2\nx.sub.t. TXT \"below a cut\"\n"
                            "*.w.t. TXT \"wild\"\nodd.t. TYPE65280 \\# 2 0102\nt. MX 1 ns.t.\n";

static void put_one(struct zone_edit *edit, const char *owner, uint16_t type, const uint8_t *data, size_t len)
{
    uint8_t name[NAME_MAX_WIRE];
    struct err err;
    struct rdata rdata = {.data = data, .len = (uint16_t)len};
    name_of(owner, name);
    struct piece *piece =
        piece_new(&(struct piece_spec){.type = type, .ttl = 5, .rdata = &rdata, .count = 1}, &err);
    assert_non_null(piece);
    assert_int_equal(zone_edit_put(edit, name, piece, &err), 0);
    piece_unref(piece);
}

/* Some thousand names of several depths, an RRset that spans messages, and a record that fills one. */
static struct zone *large(void)
{
    struct zone *base = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    struct zone_edit *edit = zone_edit_begin(base);
    static uint8_t octets[60000];
    for (int i = 0; i < 3000; i++) {
        char owner[64];
        uint8_t address[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        snprintf(owner, sizeof owner, i % 3 ? "n%d.deep%d.er.t." : "n%d.t.", i, i % 7);
        put_one(edit, owner, DNS_A, address, 4);
    }
    put_one(edit, "huge.t.", 65281, octets, sizeof octets);
    struct rdata many[2000];
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t *address = xmalloc(4);
        put32(address, 0x0a400000u + i);
        many[i] = (struct rdata){address, 4, 0};
    }
    struct piece *piece =
        piece_new(&(struct piece_spec){.type = DNS_A, .ttl = 5, .rdata = many, .count = 2000}, NULL);
    uint8_t name[NAME_MAX_WIRE];
    name_of("many.t.", name);
    assert_int_equal(zone_edit_put(edit, name, piece, NULL), 0);
    piece_unref(piece);
    for (uint32_t i = 0; i < 2000; i++)
        free((void *)(uintptr_t)many[i].data);
    zone_unref(base);
    return zone_edit_commit(edit);
}

static void check_whole(struct zone *zone, const struct tsig_key *key, unsigned least)
{
    struct client client = client_of(zone);
    client.key = key;
    transfer(&client, DNS_AXFR, -1);
    assert_int_equal(client.rcode, 0);
    assert_false(client.failed);
    assert_true(client.messages >= least);
    struct set got = whole(&client), want = content(zone);
    assert_equal_sets(&got, &want);
    set_free(&got);
    set_free(&want);
    client_free(&client);
    zone_unref(zone);
}

static void axfr_is_the_zone(void **unused)
{
    struct tsig_key key = the_key();
    (void)unused;
    check_whole(zone_text("t.", ZONE_AUTHORITATIVE, &state, small), NULL, 1);
    check_whole(large(), NULL, 6);
    check_whole(large(), &key, 6);
}

static void who_may(void **unused)
{
    static const struct {
        const char *address;
        bool key;
        unsigned rcode;
    } rows[] = {
        {"192.0.2.1", false, 0},
        {"192.0.3.1", false, DNS_REFUSED},
        {"192.0.3.1", true, 0},
    };
    struct tsig_key key = the_key();
    struct zone *zone = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_of(zone);
        client.address = rows[i].address;
        client.key = rows[i].key ? &key : NULL;
        transfer(&client, DNS_AXFR, -1);
        assert_int_equal(client.rcode, rows[i].rcode);
        client_free(&client);
    }
    zone_unref(zone);
}

/* Who has proved nothing may stand for somebody else, and gets no long answer for a short query. */
static void refusals_do_not_amplify(void **unused)
{
    static uint8_t msg[1024], out[4096];
    struct sockaddr_storage address = {.ss_family = AF_INET};
    struct zone *zone = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    struct client client = client_of(zone);
    struct tsig_key key = the_key();
    struct tsig_mac mac;
    (void)unused;
    for (int i = 0; i < 4; i++) {
        bool is_long = i % 2, tcp = i / 2;
        struct answer_env env = {.snapshot = client.snapshot,
                                 .gate = &gate,
                                 .rng = &rng,
                                 .now = clock_boot(),
                                 .tcp = tcp,
                                 .udp_max = 1232};
        size_t len = query_make(msg, is_long ? LONG_NAME : "t.", DNS_A, DNS_IN, 0, false);
        name_of(is_long ? LONG_NAME : "unknown.", key.name);
        assert_int_equal(tsig_sign(msg, &len, sizeof msg, &key, NULL, TSIG_WHOLE, clock_real(), &mac), 0);
        key.secret[0] ^= 1; /* LONG_NAME is a key, and this no right signature */
        struct answer_result result =
            special.answer(special.arg, &env, &address, msg, len, out, sizeof out, NULL);
        assert_int_equal(result.reason, ANSWER_BAD_TSIG);
        assert_int_equal(result.len > 0, tcp || !is_long);
        assert_true(tcp || result.len <= DNS_UDP_MIN);
    }
    client.records = ldns_rr_list_new();
    client_free(&client);
    zone_unref(zone);
}

/* The stream ends with an error, not in an endless row of empty messages. */
static void a_record_too_long_for_its_signature(void **unused)
{
    static uint8_t octets[65000];
    struct tsig_key key = the_key();
    struct zone *base = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    struct zone_edit *edit = zone_edit_begin(base);
    (void)unused;
    put_one(edit, LONG_NAME "t.", 65281, octets, sizeof octets);
    struct zone *zone = zone_edit_commit(edit);
    for (int is_long = 0; is_long < 2; is_long++) {
        struct client client = client_of(zone);
        client.key = &key;
        client.address = "192.0.2.1";
        if (is_long)
            name_of(LONG_NAME, key.name);
        transfer(&client, DNS_AXFR, -1);
        assert_int_equal(client.failed, is_long);
        assert_true(is_long || client.longest > 65200);
        client_free(&client);
    }
    zone_unref(zone);
    zone_unref(base);
}

static void no_more_than_so_many(void **unused)
{
    struct zone *zone = large();
    struct snapshot_text text = {.node = "ns1"};
    struct snapshot *snapshot = snapshot_new(&zone, 1, &text);
    struct server_stream *streams[TRANSFERS_MAX + 1];
    struct sockaddr_storage address = {.ss_family = AF_INET};
    static uint8_t msg[512], out[65535];
    (void)unused;
    inet_pton(AF_INET, "192.0.2.1", &((struct sockaddr_in *)&address)->sin_addr);
    for (size_t i = 0; i <= TRANSFERS_MAX; i++) {
        struct answer_env env = {
            .snapshot = snapshot, .gate = &gate, .rng = &rng, .now = 1, .tcp = true, .udp_max = 1232};
        size_t len = query_make(msg, "t.", DNS_AXFR, DNS_IN, 1232, false);
        streams[i] = NULL;
        struct answer_result result =
            special.answer(special.arg, &env, &address, msg, len, out, sizeof out, &streams[i]);
        assert_int_equal(result.rcode, i < TRANSFERS_MAX ? DNS_NOERROR : DNS_SERVFAIL);
        assert_int_equal(streams[i] != NULL, i < TRANSFERS_MAX);
        assert_true(i < TRANSFERS_MAX || get16(out + 6) == 0);
    }
    /* The version lives as long as the last transfer of it. */
    snapshot_free(snapshot);
    zone_unref(zone);
    zone_reap();
    struct answer_env env = {.gate = &gate, .now = 1, .tcp = true};
    bool more;
    assert_true(special.next(streams[0], &env, out, &more) > 10000);
    for (size_t i = 0; i < TRANSFERS_MAX; i++)
        special.end(streams[i], false);
    zone_reap();
    struct transfer_counters counters;
    transfers_counters(transfers, &counters);
    assert_int_equal(counters.running, 0);
}

/* --- differences
 * -------------------------------------------------------------------------------------------- */

#define VERSIONS 40

static uint32_t draw(uint32_t n)
{
    return rng_below(&rng, n);
}

/* The SOA with this serial, and some random puts and removals. */
static struct zone *next_version(const struct zone *base, uint32_t serial)
{
    struct zone_edit *edit = zone_edit_begin(base);
    uint8_t soa[] = "\2ns\1t\0\1h\1t\0"
                    "\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5";
    put32(soa + 11, serial);
    put_one(edit, "t.", DNS_SOA, soa, sizeof soa - 1);
    for (unsigned i = 0, changes = 1 + draw(6); i < changes; i++) {
        char owner[32];
        uint8_t name[NAME_MAX_WIRE], address[4] = {10, (uint8_t)draw(3), 0, (uint8_t)draw(4)};
        snprintf(owner, sizeof owner, "%c%u.t.", 'a' + (int)draw(3), draw(10));
        name_of(owner, name);
        if (draw(3) == 0)
            zone_edit_remove(edit, name, DNS_ANY);
        else if (draw(4) == 0)
            put_one(edit, owner, DNS_TXT, (const uint8_t *)"\1x", 2);
        else
            put_one(edit, owner, DNS_A, address, 4);
    }
    return zone_edit_commit(edit);
}

/* RFC 1995 section 4, taken word by word. */
static void replay(const struct client *client, struct set *set, uint32_t *serial)
{
    size_t count = ldns_rr_list_rr_count(client->records);
    bool adding = true;
    for (size_t i = 1; i + 1 < count; i++) {
        ldns_rr *rr = ldns_rr_list_rr(client->records, i);
        if (is_soa(rr)) {
            adding = !adding;
            uint32_t there = ldns_rdf2native_int32(ldns_rr_rdf(rr, 2));
            if (!adding)
                assert_int_equal(there, *serial);
            *serial = there;
        }
        if (adding)
            set_add(set, rr);
        else
            set_remove(set, rr);
    }
    assert_true(adding);
}

static void replayed_ixfr_is_the_axfr(void **unused)
{
    /* Over the point where serials wrap (RFC 1982). */
    const uint32_t first = UINT32_MAX - VERSIONS / 2;
    struct zone *versions[VERSIONS];
    (void)unused;
    struct zone *base = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    struct zone_edit *filled = zone_edit_begin(base); /* so that differences are shorter than the zone */
    for (int i = 0; i < 400; i++) {
        char owner[32];
        snprintf(owner, sizeof owner, "fill%d.t.", i);
        put_one(filled, owner, DNS_A, (const uint8_t *)"\300\0\2\1", 4);
    }
    zone_unref(base);
    base = zone_edit_commit(filled);
    versions[0] = next_version(base, first);
    for (uint32_t i = 1; i < VERSIONS; i++) {
        versions[i] = next_version(versions[i - 1], first + i);
        assert_int_equal(history_continue(versions[i - 1], versions[i]), 0);
    }
    for (uint32_t i = 0; i < VERSIONS; i++) {
        struct client client = client_of(versions[VERSIONS - 1]);
        transfer(&client, DNS_IXFR, first + i);
        assert_int_equal(client.rcode, 0);
        uint32_t serial = first + i;
        struct set got = content(versions[i]), want = content(versions[VERSIONS - 1]);
        if (i + 1 < VERSIONS)
            replay(&client, &got, &serial);
        else
            assert_int_equal(ldns_rr_list_rr_count(client.records), 1);
        assert_int_equal(serial, first + VERSIONS - 1);
        assert_equal_sets(&got, &want);
        set_free(&got);
        set_free(&want);
        client_free(&client);
    }
    /* A version that nobody knows: the whole zone. A newer one than ours: the SOA alone. Too much for UDP:
     * the SOA alone. */
    struct client gap = client_of(versions[VERSIONS - 1]);
    transfer(&gap, DNS_IXFR, first - 7);
    struct set got = whole(&gap), want = content(versions[VERSIONS - 1]);
    assert_equal_sets(&got, &want);
    set_free(&got);
    set_free(&want);
    client_free(&gap);
    struct client newer = client_of(versions[VERSIONS - 1]);
    transfer(&newer, DNS_IXFR, (uint32_t)(first + VERSIONS + 5));
    assert_int_equal(ldns_rr_list_rr_count(newer.records), 1);
    client_free(&newer);
    struct client udp = client_of(versions[VERSIONS - 1]);
    udp.udp = true;
    transfer(&udp, DNS_IXFR, first);
    assert_int_equal(ldns_rr_list_rr_count(udp.records), 1);
    client_free(&udp);
    udp = client_of(versions[VERSIONS - 1]);
    udp.udp = true;
    transfer(&udp, DNS_IXFR, (uint32_t)(first + VERSIONS - 2));
    assert_true(ldns_rr_list_rr_count(udp.records) > 3);
    client_free(&udp);
    for (uint32_t i = 0; i < VERSIONS; i++)
        zone_unref(versions[i]);
    zone_unref(base);
    zone_reap();
}

static void a_serial_that_does_not_rise_is_no_history(void **unused)
{
    struct zone *base = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    struct zone *a = next_version(base, 20), *b = next_version(a, 20), *c = next_version(a, 19);
    (void)unused;
    assert_int_equal(history_continue(base, a), 0);
    assert_non_null(zone_history(a));
    assert_int_equal(history_continue(a, b), -1);
    assert_null(zone_history(b));
    assert_int_equal(history_continue(a, c), -1);
    assert_null(zone_history(c));
    zone_unref(base);
    zone_unref(a);
    zone_unref(b);
    zone_unref(c);
    zone_reap();
}

/* Adds the difference between two serials of the base. */
static struct history *add(struct history *history, const struct zone *base, uint32_t from, uint32_t to,
                           size_t max_size)
{
    struct zone *a = next_version(base, from), *b = next_version(base, to);
    struct difference *difference = difference_between(a, b);
    struct history *next = history_add(history, difference, max_size);
    difference_unref(difference);
    history_unref(history);
    zone_unref(a);
    zone_unref(b);
    zone_reap();
    return next;
}

static void a_history_is_whole_and_bounded(void **unused)
{
    struct zone *base = zone_text("t.", ZONE_AUTHORITATIVE, &state, small);
    struct history *history = NULL;
    (void)unused;
    for (uint32_t i = 0; i < HISTORY_DIFFERENCES_MAX + 10; i++)
        history = add(history, base, 100 + i, 101 + i, SIZE_MAX);
    assert_int_equal(history_count(history), HISTORY_DIFFERENCES_MAX);
    assert_int_equal(history_find(history, 109), HISTORY_DIFFERENCES_MAX); /* the oldest went */
    assert_int_equal(history_find(history, 110), 0);
    size_t one = difference_size(history_difference(history, 0));
    history = add(history, base, 110 + HISTORY_DIFFERENCES_MAX, 111 + HISTORY_DIFFERENCES_MAX, 5 * one);
    assert_in_range(history_count(history), 1, 20);
    history = add(history, base, 111 + HISTORY_DIFFERENCES_MAX, 112 + HISTORY_DIFFERENCES_MAX, 0);
    assert_int_equal(history_count(history), 1);  /* what is new is there in any case */
    history = add(history, base, 5, 6, SIZE_MAX); /* it does not begin where the others end */
    assert_int_equal(history_count(history), 1);
    assert_int_equal(history_find(history, 5), 0);
    history_unref(history);
    zone_unref(base);
    zone_reap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axfr_is_the_zone),
        cmocka_unit_test(who_may),
        cmocka_unit_test(refusals_do_not_amplify),
        cmocka_unit_test(a_record_too_long_for_its_signature),
        cmocka_unit_test(no_more_than_so_many),
        cmocka_unit_test(replayed_ixfr_is_the_axfr),
        cmocka_unit_test(a_serial_that_does_not_rise_is_no_history),
        cmocka_unit_test(a_history_is_whole_and_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

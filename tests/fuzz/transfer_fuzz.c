/* Any octets as a request for a transfer, signed or not: against a zone with a history. What comes back must
 * be messages that ldns can read, each an answer to that request; a transfer must end. The first octet
 * chooses transport, rights, and whether the request is signed rightly before it is given. */
#include "../unit/zone_text.h"

#include "lictor/history.h"
#include "lictor/transfer.h"
#include "lictor/tsig.h"
#include "lictor/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <unistd.h>

#define SECRET "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="

static struct zone_state states[2] = {
    {.stale_from = NS_NEVER, .dead_from = NS_NEVER},
    {.stale_from = NS_NEVER, .dead_from = NS_NEVER},
};
static struct tsig_key key = {.name = "\1k", .algorithm = TSIG_HMAC_SHA256};

static struct zone *version(const struct zone *before, const char *lines)
{
    struct zone_edit *edit = zone_edit_begin(before);
    uint8_t apex[NAME_MAX_WIRE];
    name_of("t.", apex);
    zone_edit_remove(edit, apex, DNS_SOA);
    zone_text_add_lines(edit, lines);
    struct zone *zone = zone_edit_commit(edit);
    assert(!history_continue(before, zone));
    return zone;
}

/* Three versions of t., and a zone of the catalog. */
static struct snapshot *make_snapshot(void)
{
    char fill[20000] = "t. SOA ns.t. h.t. 7 2 3 4 5\nt. NS ns.t.\nns.t. A 192.0.2.1\n";
    size_t len = strlen(fill);
    for (int i = 0; i < 400; i++)
        len += (size_t)snprintf(fill + len, sizeof fill - len, "n%d.t. TXT \"some text for length\"\n", i);
    struct zone *first = zone_text("t.", ZONE_AUTHORITATIVE, &states[0], fill);
    struct zone *second = version(first, "t. SOA ns.t. h.t. 8 2 3 4 5\nnew.t. A 192.0.2.2\n");
    struct zone *third = version(second, "t. SOA ns.t. h.t. 9 2 3 4 5\nnewer.t. A 192.0.2.3\n");
    static const char catalog[] = "c. SOA ns.c. h.c. 7 2 3 4 5\nc. NS ns.c.\nns.c. A 192.0.2.1\n";
    struct zone *services = zone_text("c.", ZONE_CATALOG, &states[1], catalog);
    zone_set_transfer(services, zone_text("c.", ZONE_CATALOG, &states[1], catalog));
    struct zone *zones[] = {third, services};
    struct snapshot *snapshot =
        snapshot_new(zones, 2, &(struct snapshot_text){"ns1", "lictor", "primary is ns2"});
    zone_unref(first);
    zone_unref(second);
    zone_unref(third);
    zone_unref(services);
    zone_reap();
    return snapshot;
}

static struct server_special make_special(void)
{
    static const char text[] = "listen = \"127.0.0.1:1\"\nstate-dir = \"/tmp\"\ncontrol = \"/tmp/none\"\n"
                               "key \"k.\" { secret = \"" SECRET "\" }\n"
                               "zone \"t\" { file = \"%s\" transfer = {\"192.0.2.0/24\", \"key:k\"} }\n"
                               "services { domain = \"c\" transfer = {\"192.0.2.0/24\"} }\n";
    struct buf faults = {0}, config_text = {0};
    struct err err;
    char path[] = "/tmp/lictor-fuzz-XXXXXX";
    close(mkstemp(path));
    char *at = strstr(text, "%s");
    buf_printf(&config_text, "%.*s%s%s", (int)(at - text), text, path, at + 2);
    struct config *config =
        config_parse("/tmp/lictord.conf", (char *)config_text.data, config_text.len, &faults);
    unlink(path);
    if (!config)
        zone_text_die("configuration", buf_str(&faults));
    struct transfer_policy *policy = transfer_policy_new(config, &err);
    struct transfers *transfers = transfers_new();
    transfers_set_policy(transfers, policy);
    key.secret_len = (size_t)tsig_secret_parse(SECRET, key.secret, sizeof key.secret);
    config_free(config);
    buf_free(&config_text);
    return transfers_special(transfers);
}

static void check(const uint8_t *msg, const uint8_t *out, size_t len)
{
    ldns_pkt *pkt = NULL;
    assert(len >= 12 && len <= 65535);
    assert(!memcmp(out, msg, 2) && out[2] & 0x80);
    assert(ldns_wire2pkt(&pkt, out, len) == LDNS_STATUS_OK);
    ldns_pkt_free(pkt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct snapshot *snapshot;
    static struct server_special special;
    static struct gate gate;
    static uint8_t msg[65535], out[65535];
    struct rng rng = {{1, size}};
    if (!snapshot) {
        snapshot = make_snapshot();
        special = make_special();
    }
    if (size < 1 || size > 4096)
        return 0;
    uint8_t mode = data[0];
    size_t len = size - 1;
    memcpy(msg, data + 1, len);
    if (mode & 1 && len >= 12 && msg[10] == 0 && msg[11] < 10)
        tsig_sign(msg, &len, sizeof msg, &key, NULL, TSIG_WHOLE, clock_real(), NULL);
    gate.act_until = mode & 2 ? 0 : NS_NEVER;
    gate.mode = GATE_SERVE;
    struct sockaddr_storage client = {.ss_family = AF_INET};
    inet_pton(AF_INET, mode & 4 ? "198.51.100.1" : "192.0.2.1", &((struct sockaddr_in *)&client)->sin_addr);
    struct answer_env env = {.snapshot = snapshot,
                             .gate = &gate,
                             .rng = &rng,
                             .now = 99 * NS_PER_S,
                             .tcp = mode & 8,
                             .udp_max = 1232,
                             .defer = true};
    struct answer_result result = answer(&env, msg, len, out, sizeof out);
    if (result.reason != ANSWER_DEFERRED)
        return 0;
    struct server_stream *stream = NULL;
    size_t room = env.tcp ? sizeof out : 4096, records = 0;
    uint8_t *tail = out + sizeof out - room; /* so that ASan sees one octet too many */
    result = special.answer(special.arg, &env, &client, msg, len, tail, room, env.tcp ? &stream : NULL);
    if (result.len)
        check(msg, tail, result.len);
    for (bool more = true; stream && more;) {
        size_t next = special.next(stream, &env, out, &more);
        assert(next);
        check(msg, out, next);
        records += get16(out + 6);
        assert(records < 1000);
    }
    if (stream)
        special.end(stream, true);
    return 0;
}

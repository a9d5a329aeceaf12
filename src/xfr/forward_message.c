/* The wire form of forwarded UPDATEs. */
#include "forward.h"

#include "lictor/dns.h"
#include "lictor/sockets.h"
#include "lictor/wire.h"

#include <netinet/in.h>
#include <string.h>

#define CONTENT_TYPE 65421 /* private use (RFC 6895 section 3.1) */
#define ORIGIN_LEN   20    /* family 1, transport 1, port 2, address 16 */

int forward_frame_init(struct forward_frame *frame, const struct config *config, struct err *err)
{
    static const uint8_t suffix[] = "\6update\6lictor";
    const char *cluster = config->election.cluster;
    const struct config_key *key = config_key(config, config->election.peer_key);
    if (!key)
        return err_set(err, "`peer-key`: there is no key `%s`", config->election.peer_key);
    if (config_key_read(key, &frame->key, err))
        return err_prefix(err, "`peer-key`");
    if (name_prepend((const uint8_t *)cluster, strlen(cluster), suffix, frame->zone) < 0)
        return err_set(err, "`cluster` is longer than a label: UPDATEs cannot be forwarded");
    name_lower(frame->zone, frame->zone);
    return 0;
}

bool forward_is_ours(const uint8_t *msg, size_t len)
{
    static const uint8_t suffix[] = "\6update\6lictor";
    size_t at = DNS_HEADER_LEN;
    uint8_t name[NAME_MAX_WIRE];
    return len > DNS_HEADER_LEN && get16(msg + 4) == 1 && name_from_wire(msg, len, &at, name) > 0 &&
           name_labels(name) == 3 && name_equal(name + 1 + name[0], suffix);
}

/* --- writing ------------------------------------------------------------------------------------------ */

static void begin(const struct forward_frame *frame, uint16_t id, uint16_t flags, bool content,
                  struct buf *out)
{
    uint8_t header[DNS_HEADER_LEN] = {0}, fixed[4];
    put16(header, id);
    put16(header + 2, flags);
    put16(header + 4, 1);
    put16(header + 10, content);
    put16(fixed, DNS_SOA);
    put16(fixed + 2, DNS_IN);
    buf_append(out, header, sizeof header);
    buf_append(out, frame->zone, name_len(frame->zone));
    buf_append(out, fixed, sizeof fixed);
}

static void put_content(struct buf *out, const uint8_t *origin, size_t origin_len, const uint8_t *content,
                        size_t len)
{
    uint8_t fixed[11] = {0};
    put16(fixed + 1, CONTENT_TYPE);
    put16(fixed + 3, DNS_CLASS_ANY);
    put16(fixed + 9, (unsigned)(origin_len + len));
    buf_append(out, fixed, sizeof fixed);
    buf_append(out, origin, origin_len);
    buf_append(out, content, len);
}

static void put_origin(const struct sockaddr_storage *client, bool tcp, uint8_t out[ORIGIN_LEN])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)client;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)client;
    memset(out, 0, ORIGIN_LEN);
    out[1] = tcp;
    if (client->ss_family == AF_INET) {
        out[0] = 4;
        put16(out + 2, ntohs(v4->sin_port));
        memcpy(out + 4, &v4->sin_addr, 4);
    } else {
        out[0] = 6;
        put16(out + 2, ntohs(v6->sin6_port));
        memcpy(out + 4, &v6->sin6_addr, 16);
    }
}

bool forward_wrap(const struct forward_frame *frame, uint16_t id, const struct sockaddr_storage *client,
                  bool tcp, const uint8_t *msg, size_t len, struct buf *out, struct tsig_mac *mac)
{
    uint8_t origin[ORIGIN_LEN];
    if (len + FORWARD_FRAME > FORWARD_MAX)
        return false;
    put_origin(client, tcp, origin);
    size_t start = out->len;
    begin(frame, id, DNS_UPDATE << 11, true, out);
    put_content(out, origin, sizeof origin, msg, len);
    buf_reserve(out, FORWARD_FRAME);
    size_t size = out->len - start;
    if (tsig_sign(out->data + start, &size, size + FORWARD_FRAME, &frame->key, NULL, TSIG_WHOLE, clock_real(),
                  mac))
        return false;
    out->len = start + size;
    return true;
}

void forward_wrap_reply(const struct forward_frame *frame, const uint8_t *msg, const struct tsig *tsig,
                        enum tsig_error error, enum dns_rcode rcode, const uint8_t *reply, size_t len,
                        struct buf *out)
{
    begin(frame, get16(msg), (uint16_t)(0x8000 | DNS_UPDATE << 11 | rcode), rcode == DNS_NOERROR, out);
    if (rcode == DNS_NOERROR)
        put_content(out, NULL, 0, reply, len);
    buf_reserve(out, FORWARD_FRAME);
    if (tsig && error != TSIG_OK)
        tsig_refuse(out->data, &out->len, out->len + FORWARD_FRAME, &frame->key, tsig, error, clock_real());
    else if (tsig)
        tsig_sign(out->data, &out->len, out->len + FORWARD_FRAME, &frame->key, &tsig->mac, TSIG_WHOLE,
                  clock_real(), NULL);
}

/* --- reading ------------------------------------------------------------------------------------------ */

/* The content of a message of ours; its TSIG was found. */
static bool find_content(const struct forward_frame *frame, const uint8_t *msg, const struct tsig *tsig,
                         size_t *at, size_t *end)
{
    size_t pos = DNS_HEADER_LEN;
    uint8_t name[NAME_MAX_WIRE];
    if (get16(msg + 4) != 1 || get16(msg + 6) != 0 || get16(msg + 8) != 0 || get16(msg + 10) != 2 ||
        name_from_wire(msg, tsig->start, &pos, name) < 0 || !name_equal(name, frame->zone) ||
        pos + 4 + 11 > tsig->start)
        return false;
    pos += 4;
    if (msg[pos] != 0 || get16(msg + pos + 1) != CONTENT_TYPE ||
        pos + 11 + get16(msg + pos + 9) != tsig->start)
        return false;
    *at = pos + 11;
    *end = tsig->start;
    return true;
}

static bool get_origin(const uint8_t *at, struct sockaddr_storage *client, bool *tcp)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)client;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)client;
    *client = (struct sockaddr_storage){.ss_family = at[0] == 4 ? AF_INET : AF_INET6};
    *tcp = at[1];
    if (at[0] == 4) {
        v4->sin_port = htons(get16(at + 2));
        memcpy(&v4->sin_addr, at + 4, 4);
    } else {
        v6->sin6_port = htons(get16(at + 2));
        memcpy(&v6->sin6_addr, at + 4, 16);
    }
    return at[0] == 4 || at[0] == 6;
}

enum dns_rcode forward_unwrap(const struct forward_frame *frame, const uint8_t *msg, size_t len,
                              struct sockaddr_storage *client, bool *tcp, size_t *at, size_t *end,
                              struct tsig *tsig, enum tsig_error *error)
{
    enum tsig_found found = tsig_find(msg, len, tsig);
    *error = TSIG_OK;
    if (found != TSIG_FOUND)
        return found == TSIG_MALFORMED ? DNS_FORMERR : DNS_REFUSED;
    *error = tsig_verify(&frame->key, msg, tsig, NULL, TSIG_WHOLE, clock_real());
    if (*error != TSIG_OK)
        return DNS_NOTAUTH;
    if (!find_content(frame, msg, tsig, at, end))
        return DNS_REFUSED;
    if (*end - *at < ORIGIN_LEN + DNS_HEADER_LEN || !get_origin(msg + *at, client, tcp))
        return DNS_FORMERR;
    *at += ORIGIN_LEN;
    return DNS_NOERROR;
}

int forward_unwrap_reply(const struct forward_frame *frame, const uint8_t *msg, size_t len,
                         const struct tsig_mac *mac, size_t *at, size_t *end, struct err *err)
{
    struct tsig tsig;
    char rcode[16];
    if (tsig_find(msg, len, &tsig) != TSIG_FOUND)
        return err_set(err, "the primary's answer is not signed (rcode %s)",
                       dns_rcode_text(get16(msg + 2) & 15, rcode));
    if (tsig.error != TSIG_OK)
        return err_set(err, "the primary does not take our signature (%s): compare `peer-key` and the clocks",
                       tsig_error_text((enum tsig_error)tsig.error));
    enum tsig_error error = tsig_verify(&frame->key, msg, &tsig, mac, TSIG_WHOLE, clock_real());
    if (error != TSIG_OK)
        return err_set(err, "the signature of the primary's answer is wrong (%s)", tsig_error_text(error));
    if (get16(msg + 2) & 15)
        return err_set(err, "the primary answers %s", dns_rcode_text(get16(msg + 2) & 15, rcode));
    if (!find_content(frame, msg, &tsig, at, end) || *end - *at < DNS_HEADER_LEN)
        return err_set(err, "the primary's answer is malformed");
    return 0;
}

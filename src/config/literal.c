#include "config/literal.h"

#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text, in_port_t *out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long port = digits && digits <= 5 && !text[digits] ? strtoul(text, NULL, 10) : 0;
    *out = htons((uint16_t)port);
    return port >= 1 && port <= 65535 ? 0 : -1;
}

/* Link-local addresses mean something only with the interface (RFC 4007 section 11). */
static int parse_ip6(char *text, struct sockaddr_in6 *out)
{
    char *zone = strchr(text, '%');
    if (zone) {
        *zone++ = '\0';
        out->sin6_scope_id = if_nametoindex(zone);
        if (!out->sin6_scope_id)
            return -1;
    }
    out->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, text, &out->sin6_addr) == 1 ? 0 : -1;
}

int literal_parse(const char *text, struct sockaddr_storage *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    struct sockaddr_in *ip4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)out;
    char host[64 + IF_NAMESIZE];
    bool bracket = *text == '[';
    const char *end = bracket ? strchr(text, ']') : strrchr(text, ':');
    size_t len = end ? (size_t)(end - text) - bracket : strlen(text);
    if (len >= sizeof(host))
        return err_set(err, "`%s` is no address; write \"192.0.2.1:53\" or \"[2001:db8::1]:53\"", text);
    memcpy(host, text + bracket, len);
    host[len] = '\0';

    struct in6_addr bare;
    if (!bracket && inet_pton(AF_INET6, text, &bare) == 1)
        return err_set(err, "`%s` has no brackets; write \"[%s]:53\"", text, text);
    const char *colon = bracket && end ? end + 1 : end;
    in_port_t *port = bracket ? &ip6->sin6_port : &ip4->sin_port;
    if (bracket)
        out->ss_family = AF_INET6;
    else
        out->ss_family = AF_INET;
    if (bracket ? !end || parse_ip6(host, ip6) : inet_pton(AF_INET, host, &ip4->sin_addr) != 1)
        return err_set(err, "`%s` is no address; write \"192.0.2.1:53\" or \"[2001:db8::1]:53\"", text);
    if (!colon || *colon != ':')
        return err_set(err, "`%s` has no port; write \"%s:53\"", text, text);
    if (parse_port(colon + 1, port))
        return err_set(err, "`%s` has no valid port; write one from 1 to 65535 behind the last colon", text);
    return 0;
}

bool literal_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
    return x->sin6_port == y->sin6_port && x->sin6_scope_id == y->sin6_scope_id &&
           !memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr));
}

bool literal_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

bool literal_is_wildcard(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ((const struct sockaddr_in *)address)->sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

char *literal_text(const struct sockaddr_storage *address)
{
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const void *)address;
        inet_ntop(AF_INET, &ip4->sin_addr, host, sizeof(host));
        return xasprintf("%s:%u", host, ntohs(ip4->sin_port));
    }
    const struct sockaddr_in6 *ip6 = (const void *)address;
    char interface[IF_NAMESIZE] = "";
    inet_ntop(AF_INET6, &ip6->sin6_addr, host, sizeof(host));
    if (ip6->sin6_scope_id)
        if_indextoname(ip6->sin6_scope_id, interface);
    return xasprintf("[%s%s%s]:%u", host, *interface ? "%" : "", interface, ntohs(ip6->sin6_port));
}

int prefix_check(const char *text, struct err *err)
{
    char host[INET6_ADDRSTRLEN];
    uint8_t octets[16];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned size = 0;
    if (len < sizeof(host)) {
        memcpy(host, text, len);
        host[len] = '\0';
        size = inet_pton(AF_INET, host, octets) == 1 ? 32 : inet_pton(AF_INET6, host, octets) == 1 ? 128 : 0;
    }
    if (!size)
        return err_set(err, "`%s` is no prefix; write \"192.0.2.0/24\", \"2001:db8::/32\" or one address",
                       text);
    if (!slash)
        return 0;
    size_t digits = strspn(slash + 1, "0123456789");
    unsigned long bits = digits && digits <= 3 && !slash[1 + digits] ? strtoul(slash + 1, NULL, 10) : 999;
    if (bits > size)
        return err_set(err, "`%s` has no valid length; write a number from 0 to %u behind the slash", text,
                       size);

    bool spare = false;
    for (unsigned bit = (unsigned)bits; bit < size; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> (bit % 8));
        spare |= octets[bit / 8] & mask;
        octets[bit / 8] &= (uint8_t)~mask;
    }
    if (!spare)
        return 0;
    inet_ntop(size == 32 ? AF_INET : AF_INET6, octets, host, sizeof(host));
    return err_set(err, "`%s` has bits set behind its length; write \"%s/%lu\"", text, host, bits);
}

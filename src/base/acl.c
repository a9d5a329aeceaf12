/* Address prefix lists. They are short (a handful of networks), so a match walks them. */
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct prefix {
    int family;
    unsigned bits;
    uint8_t address[16];
};

struct acl {
    struct prefix *prefixes;
    size_t count;
};

struct acl *acl_new(void)
{
    return xcalloc(1, sizeof(struct acl));
}

void acl_free(struct acl *acl)
{
    if (acl)
        free(acl->prefixes);
    free(acl);
}

/* ::ffff:192.0.2.0/120 says the same as 192.0.2.0/24. */
static void unmap(struct prefix *prefix)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (prefix->family != AF_INET6 || prefix->bits < 96 || memcmp(prefix->address, mapped, 12) != 0)
        return;
    memmove(prefix->address, prefix->address + 12, 4);
    prefix->family = AF_INET;
    prefix->bits -= 96;
}

static int host_bits_set(const struct prefix *prefix, unsigned width)
{
    for (unsigned bit = prefix->bits; bit < width; bit++)
        if (prefix->address[bit / 8] >> (7 - bit % 8) & 1)
            return 1;
    return 0;
}

int acl_add(struct acl *acl, const char *text, struct err *err)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    struct prefix prefix = {.family = memchr(text, ':', len) ? AF_INET6 : AF_INET};
    unsigned width = prefix.family == AF_INET ? 32 : 128;

    if (len < sizeof(host)) {
        memcpy(host, text, len);
        host[len] = 0;
    }
    if (len >= sizeof(host) || inet_pton(prefix.family, host, prefix.address) != 1)
        return err_set(err, "\"%s\": not an address or prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
                       text);
    prefix.bits = width;
    if (slash) {
        size_t digits = strlen(slash + 1);
        if (digits < 1 || digits > 3 || strspn(slash + 1, "0123456789") != digits ||
            (prefix.bits = (unsigned)atoi(slash + 1)) > width)
            return err_set(err, "\"%s\": the prefix length must be a number from 0 to %u", text, width);
    }
    if (host_bits_set(&prefix, width))
        return err_set(err, "\"%s\": has bits set behind the first %u; write the network's own address", text,
                       prefix.bits);
    unmap(&prefix);
    acl->prefixes = xrealloc(acl->prefixes, (acl->count + 1) * sizeof(prefix));
    acl->prefixes[acl->count++] = prefix;
    return 0;
}

static int holds(const struct prefix *prefix, int family, const uint8_t *address)
{
    unsigned octets = prefix->bits / 8, rest = prefix->bits % 8;
    return prefix->family == family && memcmp(prefix->address, address, octets) == 0 &&
           (rest == 0 || (prefix->address[octets] ^ address[octets]) >> (8 - rest) == 0);
}

int acl_match(const struct acl *acl, const struct sockaddr_storage *address)
{
    if (!acl)
        return 0;
    int family = address->ss_family;
    const uint8_t *octets;
    if (family == AF_INET) {
        octets = (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
    } else if (family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        octets = v6->s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6)) {
            family = AF_INET;
            octets += 12;
        }
    } else {
        return 0;
    }
    for (size_t i = 0; i < acl->count; i++)
        if (holds(&acl->prefixes[i], family, octets))
            return 1;
    return 0;
}

/* Addresses as Consul holds them: free text that is mostly an IP, sometimes a host name, at times nonsense.
 */
#include "names.h"
#include "view.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void address_parse(const char *text, struct address *out)
{
    memset(out, 0, sizeof(*out));
    uint8_t ip[16];
    if (inet_pton(AF_INET, text, ip) == 1) {
        out->kind = ADDRESS_IPV4;
        memcpy(out->ip, ip, 4);
    } else if (inet_pton(AF_INET6, text, ip) == 1) {
        /* Consul writes ::ffff:10.0.0.1 as an A record too. */
        if (memcmp(ip, v4_mapped, sizeof(v4_mapped)) == 0) {
            out->kind = ADDRESS_IPV4;
            memcpy(out->ip, ip + 12, 4);
        } else {
            out->kind = ADDRESS_IPV6;
            memcpy(out->ip, ip, 16);
        }
    } else if (is_host_name(text)) {
        out->kind = ADDRESS_HOST;
    }
}

const char *address_text(const struct address *address, const char *host, char out[256])
{
    out[0] = '\0';
    if (address->kind == ADDRESS_IPV4)
        inet_ntop(AF_INET, address->ip, out, 256);
    else if (address->kind == ADDRESS_IPV6)
        inet_ntop(AF_INET6, address->ip, out, 256);
    else if (address->kind == ADDRESS_HOST)
        snprintf(out, 256, "%s", host);
    return out;
}

/* Addresses by tag (TaggedAddresses of nodes and services), as Consul chooses among them: `lan_ipv4` and
 * `lan_ipv6` give an instance an address of each family; with `translate-wan-addrs` another datacenter's have
 * their `wan`, `wan_ipv4` and `wan_ipv6` addresses. Seen on Consul 1.8.7: for SRV targets IPv6 goes first. */
#include "tagged.h"

#include <string.h>

/* Of a node a text, of a service an object; "" if there is none. */
static const char *tag_text(const json_t *tagged, const char *tag)
{
    const json_t *value = json_object_get(tagged, tag);
    const char *text = json_string_value(json_is_object(value) ? json_object_get(value, "Address") : value);
    return text ? text : "";
}

static struct address of_family(const json_t *tagged, const char *lan, const char *wan, bool translate,
                                enum address_kind kind)
{
    struct address address = {0};
    if (translate)
        address_parse(tag_text(tagged, wan), &address);
    if (address.kind != kind)
        address_parse(tag_text(tagged, lan), &address);
    return address.kind == kind ? address : (struct address){0};
}

/* Is the address not the one that was registered? An agent with `translate_wan_addrs` of its own shows the
 * chosen one in the place of the registered one, which is then the `lan` one, or not known. */
static bool is_other(const struct address *chosen, const char *host, const char *text, const json_t *tagged,
                     bool translated)
{
    struct address registered;
    const char *lan = translated ? tag_text(tagged, "lan") : "";
    if (translated && !lan[0])
        return true;
    address_parse(lan[0] ? lan : text, &registered);
    return memcmp(chosen, &registered, sizeof(registered)) != 0 ||
           (chosen->kind == ADDRESS_HOST && strcmp(host, lan[0] ? lan : text) != 0);
}

void tagged_choose(const char *text, const json_t *tagged, bool translate, struct tagged *out)
{
    struct address address, v4, v6;
    const char *wan = translate ? tag_text(tagged, "wan") : "";
    *out = (struct tagged){.host = wan[0] ? wan : text};
    address_parse(out->host, &address);
    v4 = of_family(tagged, "lan_ipv4", "wan_ipv4", translate, ADDRESS_IPV4);
    v6 = of_family(tagged, "lan_ipv6", "wan_ipv6", translate, ADDRESS_IPV6);
    out->first = v6.kind ? v6 : v4.kind ? v4 : address;
    if (out->first.kind == ADDRESS_IPV6)
        out->second = v4.kind ? v4 : address;
    else if (out->first.kind == ADDRESS_IPV4)
        out->second = address;
    if (out->second.kind == out->first.kind || out->second.kind == ADDRESS_HOST)
        out->second = (struct address){0};
    bool has_wan =
        tag_text(tagged, "wan")[0] || tag_text(tagged, "wan_ipv4")[0] || tag_text(tagged, "wan_ipv6")[0];
    out->other = is_other(&out->first, out->host, text, tagged, translate && has_wan);
    if (out->first.kind != ADDRESS_HOST)
        out->host = "";
}

int tagged_port(const json_t *tagged, bool translate, int port)
{
    const json_t *wan = translate ? json_object_get(tagged, "wan") : NULL;
    json_int_t number = json_integer_value(json_object_get(wan, "Port"));
    return number > 0 && number <= UINT16_MAX ? (int)number : port;
}

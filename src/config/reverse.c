/* `reverse`: the zones of addresses, as zone names (`10.in-addr.arpa`) or as prefixes (`10.0.0.0/8`). A
 * prefix that ends within a label becomes the zones that together are it: `172.16.0.0/12` is sixteen of them.
 */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t in_addr[] = "\7in-addr\4arpa", ip6[] = "\3ip6\4arpa";

static void add_zone(struct check *check, const struct value *value, const uint8_t *apex)
{
    struct config_services *services = &check->config->services;
    for (size_t i = 0; i < services->reverse_count; i++)
        if (name_equal(services->reverse[i], apex)) {
            char text[NAME_MAX_TEXT];
            fault_add(check->faults, value->line, "`reverse` has `%s`, but %s is in it already; keep one",
                      value->text, name_to_text(apex, text));
            return;
        }
    if (services->reverse_count == CONFIG_REVERSE_MAX) {
        fault_add(check->faults, value->line,
                  "`reverse` has `%s`, which makes more than %d zones; write shorter prefixes", value->text,
                  CONFIG_REVERSE_MAX);
        return;
    }
    services->reverse =
        xrealloc(services->reverse, (services->reverse_count + 1) * sizeof(*services->reverse));
    uint8_t *out = services->reverse[services->reverse_count++];
    memset(out, 0, NAME_MAX_WIRE); /* compared whole at a reload */
    memcpy(out, apex, name_len(apex));
}

/* --- names ---------------------------------------------------------------------------------------- */

/* Is the label what an address's octet or digit is written as? (RFC 1035 section 3.5, RFC 3596 section 2.5)
 */
static bool is_part(const uint8_t *label, bool v4)
{
    unsigned value = 0;
    if (!v4)
        return label[0] == 1 && strchr("0123456789abcdef", label[1]);
    if (label[0] > 3 || (label[0] > 1 && label[1] == '0'))
        return false;
    for (unsigned i = 1; i <= label[0]; i++) {
        if (label[i] < '0' || label[i] > '9')
            return false;
        value = value * 10 + label[i] - '0';
    }
    return value <= 255;
}

static void read_zone(struct check *check, const struct value *value)
{
    uint8_t name[NAME_MAX_WIRE];
    struct err err;
    if (name_from_text(value->text, NULL, name, &err) < 0) {
        fault_add(check->faults, value->line, "`reverse`: %s", err.text);
        return;
    }
    name_lower(name, name);
    bool v4 = name_is_under(name, in_addr), good = v4 || name_is_under(name, ip6);
    unsigned parts = good ? name_labels(name) - 2 : 0;
    const uint8_t *label = name;
    for (unsigned i = 0; good && i < parts; i++, label += 1 + *label)
        good = is_part(label, v4);
    if (good && parts <= (v4 ? 4U : 32U))
        add_zone(check, value, name);
    else
        fault_add(check->faults, value->line,
                  "`reverse` has `%s`, which is no reverse zone; write a prefix such as \"10.0.0.0/8\" or "
                  "\"2001:db8::/32\", or its zone, such as \"10.in-addr.arpa\"",
                  value->text);
}

/* --- prefixes ------------------------------------------------------------------------------------- */

/* The apex of the first `parts` octets (IPv4) or digits (IPv6) of an address. */
static void prefix_apex(const uint8_t *address, bool v4, unsigned parts, uint8_t out[NAME_MAX_WIRE])
{
    while (parts > 0) {
        parts--;
        char text[4];
        if (v4)
            snprintf(text, sizeof(text), "%u", address[parts]);
        else
            snprintf(text, sizeof(text), "%x",
                     parts % 2 ? address[parts / 2] & 15U : address[parts / 2] >> 4);
        *out = (uint8_t)strlen(text);
        memcpy(out + 1, text, *out);
        out += 1 + *out;
    }
    memcpy(out, v4 ? in_addr : ip6, v4 ? sizeof(in_addr) : sizeof(ip6));
}

static bool has_bits_below(const uint8_t *address, unsigned octets, unsigned bits)
{
    for (unsigned i = bits; i < octets * 8; i++)
        if (address[i / 8] >> (7 - i % 8) & 1)
            return true;
    return false;
}

static void add_prefix(struct check *check, const struct value *value, uint8_t *address, bool v4,
                       unsigned bits)
{
    unsigned width = v4 ? 8 : 4, parts = (bits + width - 1) / width, open = parts * width - bits;
    uint8_t apex[NAME_MAX_WIRE];
    size_t before = check->faults->count;
    /* The last label's free bits count up. */
    for (unsigned i = 0; i < 1U << open && check->faults->count == before; i++) {
        unsigned octet = parts ? (v4 ? parts - 1 : (parts - 1) / 2) : 0;
        uint8_t saved = address[octet];
        address[octet] |= (uint8_t)(v4 || parts % 2 == 0 ? i : i << 4);
        prefix_apex(address, v4, parts, apex);
        address[octet] = saved;
        add_zone(check, value, apex);
    }
}

static void read_prefix(struct check *check, const struct value *value)
{
    char text[INET6_ADDRSTRLEN];
    const char *slash = strchr(value->text, '/');
    size_t len = (size_t)(slash - value->text), digits = strspn(slash + 1, "0123456789");
    uint8_t address[16];
    bool v4 = false, good = len < sizeof(text) && digits && digits < 4 && !slash[1 + digits];
    if (good) {
        memcpy(text, value->text, len);
        text[len] = '\0';
        v4 = inet_pton(AF_INET, text, address) == 1;
        good = v4 || inet_pton(AF_INET6, text, address) == 1;
    }
    unsigned bits = good ? (unsigned)strtoul(slash + 1, NULL, 10) : 0;
    if (!good || bits > (v4 ? 32U : 128U)) {
        fault_add(check->faults, value->line,
                  "`reverse` has `%s`; write an address, `/` and a number of bits, such as \"10.0.0.0/8\" or "
                  "\"2001:db8::/32\"",
                  value->text);
    } else if (has_bits_below(address, v4 ? 4 : 16, bits)) {
        fault_add(check->faults, value->line,
                  "`reverse` has `%s`, whose address has bits set beyond the first %u; clear them",
                  value->text, bits);
    } else if (v4 && bits > 24 && bits < 32) {
        fault_add(check->faults, value->line,
                  "`reverse` has `%s`, which is part of a zone only (RFC 2317); write at most /24",
                  value->text);
    } else {
        add_prefix(check, value, address, v4, bits);
    }
}

void read_reverse(struct check *check, cfg_t *block)
{
    for (size_t i = 0; i < value_count(block, "reverse"); i++) {
        const struct value *value = value_at(block, "reverse", i);
        if (strchr(value->text, '/'))
            read_prefix(check, value);
        else
            read_zone(check, value);
    }
}

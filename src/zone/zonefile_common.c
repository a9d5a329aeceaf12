/* The usual RDATA of large zones between presentation and wire form. */
#include "zone/zonefile_common.h"

#include "lictor/dns.h"
#include "lictor/name.h"
#include "lictor/wire.h"

#include <arpa/inet.h>
#include <string.h>

/* What comes before the name: a preference, or SRV's priority, weight and port. -1: the type is none of
 * these. */
static int numbers_before_name(uint16_t type)
{
    switch (type) {
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
    case DNS_DNAME:
        return 0;
    case DNS_MX:
        return 1;
    case DNS_SRV:
        return 3;
    default:
        return -1;
    }
}

static bool is_plain(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '_';
}

/* --- reading -------------------------------------------------------------------------------------- */

/* A number of at most `most`, in its shortest form. Returns what follows, or NULL. */
static const char *read_number(const char *text, unsigned most, unsigned *out)
{
    unsigned number = 0, digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 6; text++, digits++)
        number = number * 10 + (unsigned)(*text - '0');
    *out = number;
    bool shortest = digits == 1 || (digits && text[-(int)digits] != '0');
    return shortest && number <= most ? text : NULL;
}

static bool read_a(const char *text, struct buf *out)
{
    uint8_t address[4];
    for (unsigned i = 0; i < 4; i++) {
        unsigned number;
        text = read_number(text, 255, &number);
        if (!text || *text++ != (i < 3 ? '.' : '\0'))
            return false;
        address[i] = (uint8_t)number;
    }
    buf_append(out, address, sizeof address);
    return true;
}

static bool read_aaaa(const char *text, struct buf *out)
{
    uint8_t address[16];
    if (text[strspn(text, "0123456789abcdefABCDEF:")] || inet_pton(AF_INET6, text, address) != 1)
        return false;
    buf_append(out, address, sizeof address);
    return true;
}

static bool read_name(const char *text, const uint8_t *origin, struct buf *out)
{
    uint8_t name[NAME_MAX_WIRE];
    size_t len = 0;
    while (is_plain((uint8_t)text[len]) || text[len] == '.')
        len++;
    int got = len && !text[len] ? name_from_text(text, origin, name, NULL) : -1;
    if (got < 0)
        return false;
    buf_append(out, name, (size_t)got);
    return true;
}

static bool read_numbers_and_name(unsigned numbers, const char *text, const uint8_t *origin, struct buf *out)
{
    uint8_t wire[2];
    for (; numbers; numbers--) {
        unsigned number;
        text = read_number(text, UINT16_MAX, &number);
        if (!text || *text++ != ' ')
            return false;
        put16(wire, number);
        buf_append(out, wire, 2);
    }
    return read_name(text, origin, out);
}

/* Strings in quotes, one blank between them. */
static bool read_texts(const char *text, struct buf *out)
{
    for (;;) {
        if (*text++ != '"')
            return false;
        size_t len = strcspn(text, "\"\\");
        uint8_t octet = (uint8_t)len;
        if (len > 255 || text[len] != '"')
            return false;
        buf_append(out, &octet, 1);
        buf_append(out, text, len);
        text += len + 1;
        if (!*text)
            return true;
        if (*text++ != ' ')
            return false;
    }
}

bool common_read(uint16_t type, const char *text, const uint8_t *origin, struct buf *out)
{
    size_t before = out->len;
    int numbers = numbers_before_name(type);
    bool done = false;
    if (type == DNS_A)
        done = read_a(text, out);
    else if (type == DNS_AAAA)
        done = read_aaaa(text, out);
    else if (type == DNS_TXT)
        done = read_texts(text, out);
    else if (numbers >= 0)
        done = read_numbers_and_name((unsigned)numbers, text, origin, out);
    if (!done)
        out->len = before;
    return done;
}

/* --- printing ------------------------------------------------------------------------------------- */

static bool print_address(int family, const uint8_t *rdata, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(family, rdata, text, sizeof text))
        return false;
    buf_puts(out, text);
    return true;
}

static bool print_name(const uint8_t *rdata, struct buf *out)
{
    for (const uint8_t *label = rdata; *label; label += 1 + *label) {
        for (unsigned i = 1; i <= *label; i++)
            if (!is_plain(label[i]))
                return false;
        buf_append(out, label + 1, *label);
        buf_append(out, ".", 1);
    }
    if (!*rdata)
        buf_append(out, ".", 1);
    return true;
}

static bool print_texts(const uint8_t *rdata, size_t len, struct buf *out)
{
    for (size_t at = 0; at < len; at += 1 + (size_t)rdata[at]) {
        for (unsigned i = 1; i <= rdata[at]; i++)
            if (rdata[at + i] < 0x20 || rdata[at + i] > 0x7e || rdata[at + i] == '"' || rdata[at + i] == '\\')
                return false;
        buf_puts(out, at ? " \"" : "\"");
        buf_append(out, rdata + at + 1, rdata[at]);
        buf_append(out, "\"", 1);
    }
    return true;
}

bool common_print(uint16_t type, const uint8_t *rdata, size_t len, struct buf *out)
{
    char text[16];
    size_t before = out->len;
    int numbers = numbers_before_name(type);
    bool done = false;
    if ((type != DNS_A && type != DNS_AAAA && type != DNS_TXT && numbers < 0) ||
        dns_rdata_check(type, rdata, len, NULL))
        return false;
    buf_puts(out, dns_type_text(type, text));
    buf_append(out, " ", 1);
    for (int i = 0; i < numbers; i++)
        buf_printf(out, "%u ", get16(rdata + 2 * (size_t)i));
    if (type == DNS_TXT)
        done = print_texts(rdata, len, out);
    else if (numbers >= 0)
        done = print_name(rdata + 2 * (size_t)numbers, out);
    else
        done = print_address(type == DNS_A ? AF_INET : AF_INET6, rdata, out);
    if (!done)
        out->len = before;
    return done;
}

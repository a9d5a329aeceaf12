/* The shape of RDATA, as far as it must be right for a record to be sent. */
#include "lictor/dns.h"
#include "lictor/name.h"

#include <string.h>

/* Per type a list of fields: a digit: so many octets; n: a name, uncompressed; s: a character-string; +: at
 * least one more character-string up to the end; *: any number of octets; .: at least one. */
static const struct {
    uint16_t type;
    const char *fields;
} shapes[] = {
    {DNS_A, "4"},      {DNS_NS, "n"},       {DNS_CNAME, "n"},       {DNS_SOA, "nn488"}, {DNS_PTR, "n"},
    {DNS_HINFO, "ss"}, {DNS_MX, "2n"},      {DNS_TXT, "+"},         {DNS_RP, "nn"},     {DNS_AFSDB, "2n"},
    {DNS_AAAA, "88"},  {DNS_SRV, "6n"},     {DNS_NAPTR, "4sssn"},   {DNS_KX, "2n"},     {DNS_DNAME, "n"},
    {DNS_DS, "4."},    {DNS_SSHFP, "2."},   {DNS_RRSIG, "99n."},    {DNS_NSEC, "n*"},   {DNS_DNSKEY, "4."},
    {DNS_TLSA, "3."},  {DNS_SVCB, "2n*"},   {DNS_HTTPS, "2n*"},     {DNS_SPF, "+"},     {DNS_CAA, "1s*"},
    {DNS_URI, "4*"},   {DNS_NSEC3, "4ss*"}, {DNS_NSEC3PARAM, "4s"},
};

static int string_len(const uint8_t *data, size_t len)
{
    return len < 1 || 1 + (size_t)data[0] > len ? -1 : 1 + data[0];
}

/* One field at data; returns its length, or -1. */
static int field_len(char field, const uint8_t *data, size_t len)
{
    switch (field) {
    case 'n': {
        uint8_t name[NAME_MAX_WIRE];
        size_t pos = 0;
        /* Within the RDATA alone a pointer could lead only to an earlier octet of itself: refused by length.
         */
        int got = name_from_wire(data, len, &pos, name);
        return got < 0 || (size_t)got != pos ? -1 : got;
    }
    case 's':
        return string_len(data, len);
    case '+': {
        size_t at = 0;
        do {
            int got = string_len(data + at, len - at);
            if (got < 0)
                return -1;
            at += (size_t)got;
        } while (at < len);
        return (int)at;
    }
    case '.':
        return len ? (int)len : -1;
    case '*':
        return (int)len;
    default:
        return len < (size_t)(field - '0') ? -1 : field - '0';
    }
}

int dns_rdata_check(uint16_t type, const uint8_t *data, size_t len, struct err *err)
{
    char text[16];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (shapes[i].type != type)
            continue;
        size_t at = 0;
        for (const char *field = shapes[i].fields; *field; field++) {
            int got = field_len(*field, data + at, len - at);
            if (got < 0)
                return err_set(err, "%s record with malformed RDATA of %zu octets (at octet %zu)",
                               dns_type_text(type, text), len, at);
            at += (size_t)got;
        }
        if (at != len)
            return err_set(err, "%s record with %zu octets of RDATA, %zu too many", dns_type_text(type, text),
                           len, len - at);
        return 0;
    }
    return 0;
}

static const char *fields_of(uint16_t type)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].type == type)
            return shapes[i].fields;
    return "*";
}

/* The names of these types may be compressed in messages (RFC 3597 section 4); later types' may not, and a
 * pointer in them is malformed RDATA. */
static bool may_compress(uint16_t type)
{
    switch (type) {
    case DNS_NS:
    case DNS_CNAME:
    case DNS_SOA:
    case DNS_PTR:
    case DNS_MX:
    case DNS_RP:
    case DNS_AFSDB:
    case DNS_SRV:
    case DNS_NAPTR:
    case DNS_KX:
    case DNS_DNAME:
        return true;
    default:
        return false;
    }
}

int dns_rdata_expand(uint16_t type, const uint8_t *msg, size_t at, size_t end, uint8_t *out, size_t max,
                     struct err *err)
{
    size_t len = 0;
    for (const char *field = may_compress(type) ? fields_of(type) : ""; *field; field++) {
        uint8_t name[NAME_MAX_WIRE];
        bool is_name = *field == 'n';
        const uint8_t *from = is_name ? name : msg + at;
        size_t pos = at;
        int got = is_name ? name_from_wire(msg, end, &pos, name) : field_len(*field, msg + at, end - at);
        if (got < 0)
            break; /* the rest as it is: the check below says what is wrong */
        if (len + (size_t)got > max)
            return err_set(err, "RDATA of more than %zu octets", max);
        memcpy(out + len, from, (size_t)got);
        len += (size_t)got;
        at = is_name ? pos : at + (size_t)got;
    }
    if (len + (end - at) > max)
        return err_set(err, "RDATA of more than %zu octets", max);
    memcpy(out + len, msg + at, end - at);
    len += end - at;
    return dns_rdata_check(type, out, len, err) ? -1 : (int)len;
}

void dns_rdata_fold(uint16_t type, uint8_t *data, size_t len)
{
    size_t at = 0;
    if (type == DNS_SVCB || type == DNS_HTTPS || dns_rdata_check(type, data, len, NULL))
        return;
    for (const char *field = fields_of(type); *field; field++) {
        if (*field == 'n')
            name_lower(data + at, data + at);
        at += (size_t)field_len(*field, data + at, len - at);
    }
}

int dns_rdata_target(uint16_t type)
{
    switch (type) {
    case DNS_NS:
        return 0;
    case DNS_MX:
        return 2;
    case DNS_SRV:
        return 6;
    default:
        return -1;
    }
}

#include "zone/zonefile_rdata.h"

#include "lictor/dns.h"
#include "lictor/name.h"
#include "zone/zonefile_common.h"
#include "zone/zonefile_scan.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TTL_MAX INT64_C(2147483647)

void rdata_reader_free(struct rdata_reader *reader)
{
    if (reader->origin)
        ldns_rdf_deep_free(reader->origin);
    buf_free(&reader->line);
    reader->origin = NULL;
}

void rdata_reader_origin(struct rdata_reader *reader, const uint8_t *origin)
{
    if (reader->origin)
        ldns_rdf_deep_free(reader->origin);
    reader->origin = ldns_dname_new_frm_data((uint16_t)name_len(origin), origin);
}

int rdata_type(const char *text)
{
    int type = dns_type_parse(text);
    if (type >= 0 || !strncasecmp(text, "TYPE", 4))
        return type; /* ldns would take TYPE65537 for TYPE1 */
    type = (int)ldns_get_rr_type_by_name(text);
    return type ? type : -1;
}

bool rdata_type_is_data(uint16_t type)
{
    return type && type != DNS_OPT && !(type >= 128 && type <= 255);
}

int ttl_parse(const char *text, uint32_t *out)
{
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    int64_t total = 0;
    bool bare = !text[strspn(text, "0123456789")]; /* then no unit is wanted, else after each number */
    if (!*text)
        return -1;
    while (*text) {
        int64_t number = 0;
        if (!isdigit((unsigned char)*text))
            return -1;
        for (; isdigit((unsigned char)*text); text++) {
            number = number * 10 + (*text - '0');
            if (number > TTL_MAX)
                return -1;
        }
        int64_t seconds = bare;
        for (size_t i = 0; *text && i < sizeof(units) / sizeof(units[0]); i++)
            if (tolower((unsigned char)*text) == units[i].unit)
                seconds = units[i].seconds;
        if (!seconds)
            return -1;
        total += number * seconds;
        if (total > TTL_MAX)
            return -1;
        text += *text != '\0';
    }
    *out = (uint32_t)total;
    return 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

/* A record as it should look, for the types that people write by hand. */
static const char *example(uint16_t type)
{
    switch (type) {
    case DNS_A:
        return "A 192.0.2.1";
    case DNS_AAAA:
        return "AAAA 2001:db8::1";
    case DNS_NS:
        return "NS ns1.example.com.";
    case DNS_CNAME:
        return "CNAME www.example.com.";
    case DNS_DNAME:
        return "DNAME example.net.";
    case DNS_PTR:
        return "PTR www.example.com.";
    case DNS_MX:
        return "MX 10 mail.example.com.";
    case DNS_TXT:
        return "TXT \"text\"";
    case DNS_SRV:
        return "SRV 0 5 5060 sip.example.com.";
    case DNS_SOA:
        return "SOA ns1.example.com. hostmaster.example.com. 1 3600 900 604800 300";
    case DNS_CAA:
        return "CAA 0 issue \"ca.example.net\"";
    case DNS_DS:
        return "DS 12345 13 2 (64 hex digits)";
    case DNS_NAPTR:
        return "NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.com!\" .";
    default:
        return "TYPE123 \\# 3 010203";
    }
}

/* Copies one field of at most size - 1 octets; quotes hold blanks together. Returns what follows. */
static const char *next_field(const char *text, char *out, size_t size)
{
    size_t len = 0;
    bool quoted = false;
    for (; *text && (quoted || *text != ' '); text++) {
        quoted ^= *text == '"';
        if (len + 1 < size)
            out[len++] = *text;
        if (*text == '\\' && text[1] && len + 1 < size)
            out[len++] = *++text;
    }
    out[len] = '\0';
    return *text == ' ' ? text + 1 : text;
}

/* What ldns is too lenient about. It takes any number and cuts it to the field's width: 70000 would become
 * the preference 4464. */
static int check_fields(uint16_t type, const char *text, struct err *err)
{
    const ldns_rr_descriptor *fields = ldns_rr_descript(type);
    for (size_t i = 0; *text && i < ldns_rr_descriptor_maximum(fields); i++) {
        char field[32];
        uint32_t seconds;
        text = next_field(text, field, sizeof(field));
        uint64_t min = 0, max = 0;
        switch (ldns_rr_descriptor_field_type(fields, i)) {
        case LDNS_RDF_TYPE_INT8:
            max = UINT8_MAX;
            break;
        case LDNS_RDF_TYPE_INT16:
            max = UINT16_MAX;
            break;
        case LDNS_RDF_TYPE_INT32:
            max = UINT32_MAX;
            break;
        case LDNS_RDF_TYPE_PERIOD:
            if (ttl_parse(field, &seconds))
                return err_set(
                    err, "`%s` is no number of seconds; write one up to 2147483647, or such as 1h30m", field);
            continue;
        case LDNS_RDF_TYPE_DNAME: /* of which ldns would make the quotes a part */
            if (*field == '"')
                return err_set(err, "`%s` is a name in quotes; write it without, like: %s", field,
                               example(type));
            continue;
        case LDNS_RDF_TYPE_STR:
        case LDNS_RDF_TYPE_TAG:
        case LDNS_RDF_TYPE_TYPE:
        case LDNS_RDF_TYPE_ALG:
            continue;
        case LDNS_RDF_TYPE_CERT_ALG: /* 0 makes ldns 1.8 lose memory; it is reserved (RFC 4398 section 2.1) */
            if (isalpha((unsigned char)*field))
                continue;
            min = 1;
            max = UINT16_MAX;
            break;
        default:
            return 0; /* a field that may take several words: what follows has no fixed place */
        }
        size_t digits = strspn(field, "0123456789");
        uint64_t number = digits && !field[digits] && digits <= 10 ? strtoull(field, NULL, 10) : UINT64_MAX;
        if (number < min || number > max)
            return err_set(err,
                           "`%s` is no number from %u to %llu, which field %zu must be; write it like: %s",
                           field, (unsigned)min, (unsigned long long)max, i + 1, example(type));
    }
    return 0;
}

/* How ldns ended, in a person's words. */
static int explain(uint16_t type, const char *text, ldns_status status, struct err *err)
{
    char space[16];
    const char *name = dns_type_text(type, space);
    if (!*text)
        return err_set(err, "the record has no data behind its type %s; write it like: %s", name,
                       example(type));
    if (status == LDNS_STATUS_SYNTAX_SUPERFLUOUS_TEXT_ERR)
        return err_set(err, "`%.100s` is more than a record of type %s takes; write it like: %s", text, name,
                       example(type));
    return err_set(err, "`%.100s` is no data of type %s (%s); write it like: %s", text, name,
                   ldns_get_errorstr_by_id(status), example(type));
}

/* The record that these octets make, or NULL if they are malformed for its type. Freed with ldns_rr_free. */
static ldns_rr *wire_record(uint16_t type, const uint8_t *rdata, size_t len)
{
    uint8_t head[11] = {0, (uint8_t)(type >> 8), (uint8_t)type, 0, DNS_IN, 0, 0, 0,
                        0, (uint8_t)(len >> 8),  (uint8_t)len};
    struct buf wire = {0};
    buf_append(&wire, head, sizeof(head));
    buf_append(&wire, rdata, len);
    ldns_rr *rr = NULL;
    size_t at = 0;
    if (ldns_wire2rr(&rr, wire.data, wire.len, &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
        rr = NULL;
    buf_free(&wire);
    return rr;
}

/* An rdf holds its field as it stands on the wire. */
static void append_fields(const ldns_rr *rr, struct buf *out)
{
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *field = ldns_rr_rdf(rr, i);
        buf_append(out, ldns_rdf_data(field), ldns_rdf_size(field));
    }
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* "LENGTH HEX ..." (RFC 3597 section 5). ldns is lenient about what known types have too much of. */
static int read_generic(uint16_t type, const char *text, struct buf *out, struct err *err)
{
    char *at;
    size_t before = out->len;
    unsigned long len = strtoul(text, &at, 10);
    bool valid = isdigit((unsigned char)*text) && len <= UINT16_MAX;
    while (valid && *at) {
        if (*at == ' ') {
            at++;
            continue;
        }
        int high = hex_digit(at[0]), low = hex_digit(at[1]);
        valid = high >= 0 && low >= 0;
        if (valid) {
            uint8_t octet = (uint8_t)(high << 4 | low);
            buf_append(out, &octet, 1);
            at += 2;
        }
    }
    if (!valid || out->len - before != len)
        return err_set(
            err, "`\\# %.100s` is not a length and so many octets in hex; write it like: \\# 3 010203", text);

    struct buf known = {0};
    const uint8_t *rdata = len ? out->data + before : NULL;
    ldns_rr *rr = wire_record(type, rdata, len);
    if (rr)
        append_fields(rr, &known);
    bool same = rr && known.len == len && (!len || !memcmp(known.data, rdata, len));
    ldns_rr_free(rr);
    buf_free(&known);
    char name[16];
    if (!same)
        return err_set(err, "`\\# %.100s` is no data of type %s; write it like: %s", text,
                       dns_type_text(type, name), example(type));
    return 0;
}

int rdata_read(struct rdata_reader *reader, uint16_t type, const char *text, struct buf *out, struct err *err)
{
    if (!strncmp(text, "\\# ", 3))
        return read_generic(type, text + 3, out, err);
    if (reader->origin && common_read(type, text, ldns_rdf_data(reader->origin), out))
        return 0;
    if (check_fields(type, text, err))
        return -1;
    /* The owner, TTL and class were read already: ldns is given the shortest that it takes. */
    reader->line.len = 0;
    buf_printf(&reader->line, ". 0 IN TYPE%u ", type);
    buf_puts(&reader->line, text);

    ldns_rr *rr = NULL;
    ldns_status status = ldns_rr_new_frm_str(&rr, buf_str(&reader->line), 0, reader->origin, NULL);
    if (status == LDNS_STATUS_OK && !ldns_rr_rd_count(rr)) { /* of a type that ldns does not know */
        ldns_rr_free(rr);
        status = LDNS_STATUS_SYNTAX_MISSING_VALUE_ERR;
    }
    if (status != LDNS_STATUS_OK)
        return explain(type, text, status, err);
    append_fields(rr, out);
    ldns_rr_free(rr);
    return 0;
}

/* --- printing ------------------------------------------------------------------------------------- */

static void print_generic(uint16_t type, const uint8_t *rdata, uint16_t len, struct buf *out)
{
    char name[16];
    buf_printf(out, "%s \\# %u%s", dns_type_text(type, name), len, len ? " " : "");
    for (unsigned i = 0; i < len; i++)
        buf_printf(out, "%02x", rdata[i]);
}

/* The record as ldns writes it, or NULL; freed with free(). */
static char *ldns_text(uint16_t type, const uint8_t *rdata, uint16_t len)
{
    ldns_rr *rr = wire_record(type, rdata, len);
    char *text = rr ? ldns_rr2str_fmt(ldns_output_format_nocomments, rr) : NULL;
    ldns_rr_free(rr);
    return text;
}

/* Does the text, found in a zone file, give these octets again? */
static bool reads_back(struct rdata_reader *reader, uint16_t type, const char *text, const uint8_t *rdata,
                       uint16_t len)
{
    struct scan scan = {.name = "", .text = text, .len = strlen(text), .line = 1};
    struct buf again = {0};
    int found = scan_next(&scan, NULL);
    bool same = found >= 0 && scan.at == scan.len && /* all of it is one entry, perhaps an empty one */
                !rdata_read(reader, type, buf_str(&scan.entry), &again, NULL) && again.len == len &&
                (!len || !memcmp(again.data, rdata, len));
    buf_free(&again);
    scan_end(&scan);
    return same;
}

void rdata_print(struct rdata_reader *reader, uint16_t type, const uint8_t *rdata, uint16_t len,
                 struct buf *out)
{
    if (common_print(type, rdata, len, out))
        return;
    char *text = ldns_text(type, rdata, len), *at = text;
    for (int tabs = 0; at && tabs < 3; tabs++) { /* owner, TTL and class */
        at = strchr(at, '\t');
        at += at != NULL;
    }
    char *data = at ? strchr(at, '\t') : NULL;
    if (data) {
        *data++ = '\0';
        size_t size = strlen(data);
        while (size && isspace((unsigned char)data[size - 1]))
            data[--size] = '\0';
        /* ldns does not read back all that it writes; what comes out of here must. */
        if (reads_back(reader, type, data, rdata, len))
            buf_printf(out, "%s %s", at, data);
        else
            data = NULL;
    }
    if (!data)
        print_generic(type, rdata, len, out);
    free(text);
}

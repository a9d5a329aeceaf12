/* Types and rcodes by name: one list each. */
#include "lictor/dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* clang-format off */
/* IANA "Resource Record (RR) TYPEs", without the obsolete and the experimental. */
#define TYPES(X) \
    X(A, 1) X(NS, 2) X(CNAME, 5) X(SOA, 6) X(PTR, 12) X(HINFO, 13) X(MX, 15) X(TXT, 16) X(RP, 17) \
    X(AFSDB, 18) X(SIG, 24) X(KEY, 25) X(AAAA, 28) X(LOC, 29) X(SRV, 33) X(NAPTR, 35) X(KX, 36) \
    X(CERT, 37) X(DNAME, 39) X(OPT, 41) X(APL, 42) X(DS, 43) X(SSHFP, 44) X(IPSECKEY, 45) X(RRSIG, 46) \
    X(NSEC, 47) X(DNSKEY, 48) X(DHCID, 49) X(NSEC3, 50) X(NSEC3PARAM, 51) X(TLSA, 52) X(SMIMEA, 53) \
    X(HIP, 55) X(CDS, 59) X(CDNSKEY, 60) X(OPENPGPKEY, 61) X(CSYNC, 62) X(ZONEMD, 63) X(SVCB, 64) \
    X(HTTPS, 65) X(SPF, 99) X(NID, 104) X(L32, 105) X(L64, 106) X(LP, 107) X(EUI48, 108) X(EUI64, 109) \
    X(TKEY, 249) X(TSIG, 250) X(IXFR, 251) X(AXFR, 252) X(MAILB, 253) X(MAILA, 254) X(ANY, 255) \
    X(URI, 256) X(CAA, 257)

/* IANA "DNS RCODEs". 16 is BADVERS in an OPT and BADSIG in a TSIG; here it is the former. */
#define RCODES(X) \
    X(NOERROR, 0) X(FORMERR, 1) X(SERVFAIL, 2) X(NXDOMAIN, 3) X(NOTIMP, 4) X(REFUSED, 5) X(YXDOMAIN, 6) \
    X(YXRRSET, 7) X(NXRRSET, 8) X(NOTAUTH, 9) X(NOTZONE, 10) X(BADVERS, 16) X(BADKEY, 17) \
    X(BADTIME, 18) X(BADMODE, 19) X(BADNAME, 20) X(BADALG, 21) X(BADTRUNC, 22) X(BADCOOKIE, 23)
/* clang-format on */

#define CASE_TEXT(name, number) \
    case number: \
        return #name;

const char *dns_type_text(uint16_t type, char out[16])
{
    switch (type) {
        TYPES(CASE_TEXT)
    default: /* RFC 3597 section 5 */
        snprintf(out, 16, "TYPE%u", (unsigned)type);
        return out;
    }
}

const char *dns_rcode_text(uint16_t rcode, char out[16])
{
    switch (rcode) {
        RCODES(CASE_TEXT)
    default:
        snprintf(out, 16, "RCODE%u", (unsigned)rcode);
        return out;
    }
}

int dns_type_parse(const char *text)
{
    static const struct {
        const char *name;
        uint16_t type;
    } types[] = {
#define ROW(name, number) {#name, number},
        TYPES(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcasecmp(text, types[i].name))
            return types[i].type;
    if (strncasecmp(text, "TYPE", 4))
        return -1;
    size_t digits = strspn(text + 4, "0123456789");
    if (digits < 1 || digits > 5 || text[4 + digits])
        return -1;
    long number = strtol(text + 4, NULL, 10);
    return number > 65535 ? -1 : (int)number;
}

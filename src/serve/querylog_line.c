/* A line of the query log, and the reason in it. Pure but for what it asks. */
#include "querylog.h"

#include "lictor/dns.h"
#include "lictor/sockets.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

bool query_is_negative(const struct query_entry *entry)
{
    return entry->rcode != DNS_NOERROR || entry->answers == 0;
}

/* --- the reason -------------------------------------------------------------------------------------- */

static const char *const reasons[ANSWER_REASONS] = {
    [ANSWER_DROPPED_SHORT] = "shorter than a DNS header: no reply",
    [ANSWER_DROPPED_RESPONSE] = "a response, not a query: no reply",
    [ANSWER_FORMERR] = "malformed",
    [ANSWER_NOTIMP] = "an opcode that is not served",
    [ANSWER_BADVERS] = "an EDNS version that does not exist",
    [ANSWER_NOT_OURS] = "below no zone of this server",
    [ANSWER_NOT_PRIMARY] = "another instance is primary and answers for the zone",
    [ANSWER_NOT_READY] = "the zone has no content yet",
    [ANSWER_EXPIRED] = "the data is too old to be served",
    [ANSWER_PROHIBITED] = "not allowed to this client",
    [ANSWER_BAD_TSIG] = "its signature is not right",
    [ANSWER_BUSY] = "as many transfers as may be are under way",
    [ANSWER_ASK_FAILED] = "Consul had to be asked first and gave no answer",
    [ANSWER_ASK_LATE] = "Consul had to be asked first and took too long",
    [ANSWER_ASK_REFUSED] = "Consul had to be asked first, and too many questions wait for it",
};

/* The name of the service that the question is about, as one label; NULL if it is about none.
 * `[tag.]NAME.service[.dc].<zone>` or `_NAME._tag.service[.dc].<zone>`. */
static const uint8_t *service_label(const struct query_entry *entry, size_t *skip)
{
    const uint8_t *labels[128], *p = entry->name;
    size_t count = 0, below = 0;
    for (const uint8_t *z = entry->zone; *z; z += 1 + *z)
        below++;
    for (; *p && count < 127; p += 1 + *p)
        labels[count++] = p;
    if (count < below)
        return NULL;
    count -= below;
    *skip = 0;
    for (size_t i = count; i > 1 && i + 2 > count;
         i--) { /* `service` is the last label, or before the datacenter */
        const uint8_t *label = labels[i - 1];
        if (*label != 7 || memcmp(label + 1, "service", 7) != 0)
            continue;
        const uint8_t *name = labels[i - 2];
        if (i > 2 && name[1] == '_' && labels[i - 3][1] == '_' && *labels[i - 3] > 1) {
            *skip = 1;
            return labels[i - 3];
        }
        return name;
    }
    return NULL;
}

/* <service>.health.lictor. */
static void health_name(const uint8_t *label, size_t skip, uint8_t out[NAME_MAX_WIRE])
{
    static const uint8_t rest[] = "\6health\6lictor";
    size_t len = *label - skip;
    out[0] = (uint8_t)len;
    memcpy(out + 1, label + 1 + skip, len);
    memcpy(out + 1 + len, rest, sizeof(rest));
}

void query_reason(const struct query_entry *entry,
                  void (*ask)(void *arg, const uint8_t *name, const char *part, char out[256]), void *arg,
                  char out[600])
{
    size_t skip;
    out[0] = '\0';
    if (!query_is_negative(entry))
        return;
    if (reasons[entry->reason]) {
        snprintf(out, 600, "%s", reasons[entry->reason]);
        return;
    }
    const char *plain = entry->rcode == DNS_NXDOMAIN ? "no such name" : "no records of this type";
    const uint8_t *service = entry->has_zone ? service_label(entry, &skip) : NULL;
    char counts[256], instance[256];
    uint8_t name[NAME_MAX_WIRE];
    if (!service) {
        snprintf(out, 600, "%s", plain);
        return;
    }
    health_name(service, skip, name);
    ask(arg, name, "", counts);
    if (!counts[0]) {
        snprintf(out, 600, "no service of this name");
        return;
    }
    ask(arg, name, ", out: ", instance);
    snprintf(out, 600, "%s; %s%s%s", plain, counts, instance[0] ? "; " : "", instance);
}

/* --- the line ---------------------------------------------------------------------------------------- */

static void put_time(nstime at, char out[40])
{
    struct tm tm;
    time_t seconds = (time_t)(at / NS_PER_S);
    char text[24];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 40, "%s.%03dZ", text, (int)(at % NS_PER_S / NS_PER_MS));
}

size_t query_line(const struct query_entry *entry, const char *why, char out[QUERY_LINE_MAX])
{
    char at[40], client[SOCKADDR_TEXT], name[NAME_MAX_TEXT], zone[NAME_MAX_TEXT] = "-", type[16], rcode[16];
    char ede[16] = "-";
    put_time(entry->at, at);
    name_to_text(entry->name, name);
    if (entry->has_zone)
        name_to_text(entry->zone, zone);
    if (entry->ede != DNS_EDE_NONE)
        snprintf(ede, sizeof(ede), "%d", entry->ede);
    int len = snprintf(
        out, QUERY_LINE_MAX - 1,
        "%s query client=%s transport=%s name=%s type=%s rcode=%s answers=%u size=%zu tc=%s ede=%s "
        "zone=%s%s",
        at, sockaddr_format(&entry->client, client), entry->tcp ? "tcp" : "udp", name,
        entry->type ? dns_type_text(entry->type, type) : "-",
        entry->size ? dns_rcode_text(entry->rcode, rcode) : "-", entry->answers, entry->size,
        entry->truncated ? "yes" : "no", ede, zone, entry->reason == ANSWER_STALE ? " stale=yes" : "");
    size_t used = (size_t)len < QUERY_LINE_MAX - 1 ? (size_t)len : QUERY_LINE_MAX - 2;
    if (why[0]) {
        int more = snprintf(out + used, QUERY_LINE_MAX - 1 - used, " reason=\"");
        used += (size_t)more < QUERY_LINE_MAX - 1 - used ? (size_t)more : 0;
        for (const char *c = why; *c && used < QUERY_LINE_MAX - 3; c++) /* outputs of checks are anybody's */
            out[used++] = *c == '"' || *c == '\\' ? '\'' : *c < ' ' || *c > '~' ? '?' : *c;
        out[used++] = '"';
    }
    out[used++] = '\n';
    return used;
}

/* A line of the query log, and the reason in it. Pure but for what it asks. */
#include "querylog.h"

#include "lictor/dns.h"
#include "lictor/sockets.h"

#include <stdio.h>
#include <string.h>

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
    [ANSWER_UPDATE] = "an UPDATE of this zone",
    [ANSWER_UPDATE_FULL] = "an UPDATE, and too many wait",
    [ANSWER_ASK_FAILED] = "Consul had to be asked first and gave no answer",
    [ANSWER_ASK_LATE] = "Consul had to be asked first and took too long",
    [ANSWER_ASK_REFUSED] = "Consul had to be asked first, and too many questions wait for it",
};

#define LABELS_MAX 127
#define TRIES_MAX  5 /* a service's name may have dots: the longest that is known */

/* The labels of a question about a service: [tag.]NAME.service[.dc].<zone> or _NAME._tag.service... */
struct asked_service {
    const uint8_t *labels[LABELS_MAX];
    size_t count;              /* of those before `service` */
    const uint8_t *datacenter; /* NULL: not named */
};

static bool read_service(const struct query_entry *entry, struct asked_service *asked)
{
    size_t all = 0, below = 0;
    for (const uint8_t *z = entry->zone; *z; z += 1 + *z)
        below++;
    for (const uint8_t *p = entry->name; *p && all < LABELS_MAX; p += 1 + *p)
        asked->labels[all++] = p;
    size_t count = all > below ? all - below : 0;
    asked->datacenter = NULL;
    if (count > 1 && !label_is(asked->labels[count - 1], "service"))
        asked->datacenter = asked->labels[--count];
    asked->count = count - 1;
    return count > 1 && label_is(asked->labels[count - 1], "service");
}

static void add_label(uint8_t name[NAME_MAX_WIRE], size_t *len, const uint8_t *label, size_t skip)
{
    size_t size = *label - skip;
    if (*len + 1 + size + sizeof("\6health\6lictor") > NAME_MAX_WIRE)
        return;
    name[(*len)++] = (uint8_t)size;
    memcpy(name + *len, label + 1 + skip, size);
    *len += size;
}

/* <labels from first on>[.<datacenter>].health.lictor. */
static void health_name(const struct asked_service *asked, size_t first, const uint8_t *datacenter,
                        uint8_t out[NAME_MAX_WIRE])
{
    static const uint8_t rest[] = "\6health\6lictor";
    size_t len = 0;
    bool srv = asked->count == 2 && asked->labels[0][1] == '_' && asked->labels[1][1] == '_' &&
               *asked->labels[0] > 1;
    if (srv)
        add_label(out, &len, asked->labels[0], 1);
    for (size_t i = first; !srv && i < asked->count; i++)
        add_label(out, &len, asked->labels[i], 0);
    if (datacenter)
        add_label(out, &len, datacenter, 0);
    memcpy(out + len, rest, sizeof(rest));
}

typedef void ask_fn(void *arg, const uint8_t *name, const char *part, char out[256]);

/* What is known of the service: its counts, and the first instance that is out and why. */
static void explain_service(const struct asked_service *asked, const char *plain, ask_fn *ask, void *arg,
                            char out[600])
{
    char counts[256] = "", instance[256] = "";
    uint8_t name[NAME_MAX_WIRE];
    const uint8_t *datacenter = asked->datacenter;
    size_t longest = asked->count > TRIES_MAX ? asked->count - TRIES_MAX : 0;
    /* Our own datacenter's services have no datacenter in their texts' names. */
    for (int own = datacenter == NULL; own < 2 && !counts[0]; own++)
        for (size_t first = longest; first < asked->count && !counts[0]; first++) {
            health_name(asked, first, own ? NULL : datacenter, name);
            ask(arg, name, "", counts);
        }
    if (!counts[0]) {
        snprintf(out, 600, "no service of this name");
        return;
    }
    ask(arg, name, ", out: ", instance);
    snprintf(out, 600, "%s; %s%s%s", plain, counts, instance[0] ? "; " : "", instance);
}

void query_reason(const struct query_entry *entry, ask_fn *ask, void *arg, char out[600])
{
    struct asked_service asked;
    out[0] = '\0';
    if (!query_is_negative(entry))
        return;
    if (reasons[entry->reason]) {
        snprintf(out, 600, "%s", reasons[entry->reason]);
        return;
    }
    const char *plain = entry->rcode == DNS_NXDOMAIN ? "no such name" : "no records of this type";
    if (entry->has_zone && read_service(entry, &asked))
        explain_service(&asked, plain, ask, arg, out);
    else
        snprintf(out, 600, "%s", plain);
}

/* --- the line ---------------------------------------------------------------------------------------- */

size_t query_line(const struct query_entry *entry, const char *why, char out[QUERY_LINE_MAX])
{
    char at[TIME_TEXT], client[SOCKADDR_TEXT], name[NAME_MAX_TEXT], zone[NAME_MAX_TEXT] = "-", type[16],
                                                                    rcode[16];
    char ede[16] = "-";
    time_format_ms(entry->at, at);
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

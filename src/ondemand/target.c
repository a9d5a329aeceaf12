/* From a name to what is asked of Consul. */
#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
    const char *label, *prefix, *suffix;
} kinds[] = {
    [ASK_QUERY] = {"query", "/v1/query/", "/execute"},
    [ASK_CONNECT] = {"connect", "/v1/health/connect/", ""},
    [ASK_INGRESS] = {"ingress", "/v1/health/ingress/", ""},
    /* The virtual address stands at the proxies of the service. */
    [ASK_VIRTUAL] = {"virtual", "/v1/health/connect/", ""},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Appends a label to a dotted text. Consul's names have no other octets; a dot in a label is not the dot
 * between two. */
static bool append(char *text, size_t size, const uint8_t *label)
{
    size_t len = strlen(text);
    for (unsigned i = 1; i <= *label; i++)
        if (label[i] <= ' ' || label[i] > '~' || label[i] == '.')
            return false;
    if (len + 1 + *label + 1 > size)
        return false;
    if (len > 0)
        text[len++] = '.';
    memcpy(text + len, label + 1, *label);
    text[len + *label] = '\0';
    return true;
}

/* Which of the two apexes, the longer first: one may be below the other. */
static bool find_zone(const uint8_t *name, const struct config_services *config, size_t *zone,
                      unsigned *labels)
{
    const uint8_t *apexes[2] = {config->domain, config->has_alt_domain ? config->alt_domain : NULL};
    bool found = false;
    for (size_t i = 0; i < 2; i++)
        if (apexes[i] && name_is_under(name, apexes[i]) && (!found || name_labels(apexes[i]) > *labels)) {
            *zone = i;
            *labels = name_labels(apexes[i]);
            found = true;
        }
    return found;
}

bool target_parse(const struct ask_question *question, const struct config_services *config,
                  struct target *out)
{
    const uint8_t *labels[NAME_MAX_LABELS];
    unsigned count = 0, below;
    *out = (struct target){.kind = question->kind};
    if (question->kind >= KINDS || !find_zone(question->name, config, &out->zone, &below))
        return false;
    unsigned all = name_labels(question->name);
    for (const uint8_t *at = question->name; count < all - below; at += 1 + *at)
        labels[count++] = at;
    const char *word = kinds[question->kind].label;
    if (count >= 2 && label_is(labels[count - 1], word))
        count--;
    else if (count >= 3 && label_is(labels[count - 2], word) &&
             append(out->datacenter, sizeof out->datacenter, labels[count - 1]))
        count -= 2;
    else
        return false;
    /* As Consul since 1.9: whatever protocol it says. */
    out->rfc2782 = question->kind == ASK_QUERY && count >= 2 && labels[0][0] > 1 && labels[0][1] == '_' &&
                   labels[count - 1][1] == '_';
    for (unsigned i = 0; i < count - out->rfc2782; i++)
        if (!append(out->subject, sizeof out->subject, labels[i]))
            return false;
    if (out->rfc2782)
        memmove(out->subject, out->subject + 1, strlen(out->subject));
    return true;
}

char *target_path(const struct target *target, bool explain)
{
    char *subject = consul_escape(target->subject);
    size_t size = strlen(subject) + 64;
    char *path = malloc(size);
    if (!path)
        abort();
    snprintf(path, size, "%s%s%s", kinds[target->kind].prefix, subject,
             explain ? "/explain" : kinds[target->kind].suffix);
    free(subject);
    return path;
}

void target_address(const struct ask_question *question, char out[46])
{
    out[0] = '\0';
    if (question->from.family)
        inet_ntop(question->from.family == 1 ? AF_INET : AF_INET6, question->from.ip, out, 46);
}

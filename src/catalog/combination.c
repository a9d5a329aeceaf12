/* Tags together in one name: `blue.and.v2.web.service`, `not.canary.web.service`,
 * `blue.and.not.canary.web...`. All of them for every service would be more names than anybody asks for: they
 * come into the zone when they are asked for (ask.h), and are from then on kept like the others,
 * CATALOG_COMBINATIONS_MAX of them. A tag that is registered with such a name goes before. */
#include "names.h"
#include "service.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Each costs as much as a tag whenever the service changes. */
#define OF_ONE_SERVICE 32

enum combination combination_in(const uint8_t *qname, const uint8_t *service_label)
{
    unsigned before = 0, behind = 0; /* labels before the first `and`, and behind it */
    bool joined = false;
    for (const uint8_t *at = qname; at < service_label; at += 1 + *at) {
        if (!joined && label_is(at, "and"))
            joined = true;
        else if (joined)
            behind++;
        else
            before++;
    }
    /* Each side has a tag, and the right one a service besides. */
    if (joined && behind >= 2)
        return before > 0 ? COMBINATION : COMBINATION_PART;
    return !joined && before >= 3 && label_is(qname, "not") ? COMBINATION : NO_COMBINATION;
}

/* --- which instances ------------------------------------------------------------------------------ */

static bool has_tag(const struct view *view, const struct view_instance *instance, const char *tag,
                    size_t len)
{
    for (uint32_t i = 0; i < instance->tag_count; i++) {
        const char *text = view_text(view, view->tags[instance->first_tag + i]);
        if (strncasecmp(text, tag, len) == 0 && text[len] == '\0')
            return true;
    }
    return false;
}

/* The next term of `blue.and.not.v1.2`; *len is 0 for one that is empty. Returns what follows, NULL at the
 * end. */
static const char *next_term(const char *text, const char **tag, size_t *len, bool *negated)
{
    const char *end = strstr(text, ".and.");
    *negated = strncmp(text, "not.", 4) == 0;
    *tag = text + (*negated ? 4 : 0);
    size_t whole = end ? (size_t)(end - text) : strlen(text), skipped = (size_t)(*tag - text);
    *len = whole > skipped ? whole - skipped : 0;
    return end ? end + 5 : NULL;
}

bool combination_matches(const char *text, const struct view *view, const struct view_instance *instance)
{
    bool matches = true, negated;
    const char *tag;
    size_t len;
    while (text && matches) {
        text = next_term(text, &tag, &len, &negated);
        matches = has_tag(view, instance, tag, len) != negated;
    }
    return matches;
}

/* Does the service, here or where it falls back to, know every tag that is wanted? Only such are kept. */
static bool knows_terms(const struct service *service, const char *text)
{
    const char *tag;
    size_t len;
    bool negated, known = true;
    while (text && known) {
        text = next_term(text, &tag, &len, &negated);
        char *alone = xasprintf("%.*s", (int)len, tag);
        known = len > 0 && (negated || answer_sets_have(service, alone));
        free(alone);
    }
    return known;
}

/* --- keeping them --------------------------------------------------------------------------------- */

void combinations_free(struct service *service)
{
    for (size_t i = 0; i < service->combination_count; i++)
        free(service->combinations[i]);
    free(service->combinations);
    service->combinations = NULL;
    service->combination_count = 0;
}

/* Who still asks for one of those brings it back. */
static void forget_all(struct catalog *catalog)
{
    struct datacenter *datacenter;
    const void *key;
    void *value;
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));)
        for (size_t k = 0; strmap_next(datacenter->services, &k, &key, NULL, &value);) {
            struct service *service = value;
            if (service->combination_count == 0)
                continue;
            combinations_free(service);
            render_service(catalog, service);
        }
    catalog->combination_count = 0;
}

static bool keep(struct catalog *catalog, struct service *service, const char *text)
{
    for (size_t i = 0; i < service->combination_count; i++)
        if (strcmp(service->combinations[i], text) == 0)
            return true;
    if (!knows_terms(service, text))
        return false;
    if (catalog->combination_count >= CATALOG_COMBINATIONS_MAX)
        forget_all(catalog);
    if (service->combination_count >= OF_ONE_SERVICE) {
        catalog->combination_count -= service->combination_count;
        combinations_free(service);
    }
    catalog->combination_count++;
    service->combinations =
        xrealloc(service->combinations, (service->combination_count + 1) * sizeof(*service->combinations));
    service->combinations[service->combination_count++] = xstrdup(text);
    render_service(catalog, service);
    return true;
}

/* --- being asked ---------------------------------------------------------------------------------- */

/* The labels before `end` as dotted text; false if one has what no tag in a name has. */
static bool labels_text(const uint8_t *name, const uint8_t *end, char out[NAME_MAX_WIRE])
{
    size_t len = 0;
    for (const uint8_t *at = name; at < end; at += 1 + *at) {
        if (len > 0)
            out[len++] = '.';
        for (size_t i = 1; i <= *at; i++) {
            if (at[i] == '.' || at[i] <= ' ' || at[i] > '~')
                return false;
            out[len++] = (char)at[i];
        }
    }
    out[len] = '\0';
    return len > 0;
}

/* `blue.and.v2.web`: the longest registered name of a service that it ends in and that leaves a whole term.
 */
static bool ask_in(struct catalog *catalog, struct datacenter *datacenter, char *text)
{
    for (char *dot = strchr(text, '.'); dot; dot = strchr(dot + 1, '.')) {
        struct service *service = strmap_gets(datacenter->services, dot + 1);
        if (!service)
            continue;
        *dot = '\0';
        if ((strstr(text, ".and.") || strncmp(text, "not.", 4) == 0) && keep(catalog, service, text))
            return true;
        *dot = '.';
    }
    return false;
}

bool catalog_ask_tags(struct catalog *catalog, const uint8_t *name)
{
    struct datacenter *datacenter;
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));)
        for (size_t zone = 0; zone < catalog->zone_count; zone++)
            for (unsigned form = 0; form < datacenter->places[zone].forms; form++) {
                const uint8_t *parent = datacenter->places[zone].service[form];
                char text[NAME_MAX_WIRE];
                if (!name_is_under(name, parent) ||
                    !labels_text(name, name + name_len(name) - name_len(parent), text))
                    continue;
                return ask_in(catalog, datacenter, text) && output_has(&catalog->zones[zone], name);
            }
    return false;
}

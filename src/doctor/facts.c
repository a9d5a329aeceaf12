#include "facts.h"

#include <stdlib.h>
#include <string.h>

const char *facts_name(const uint8_t *name, char out[NAME_MAX_TEXT])
{
    size_t len = strlen(name_to_text(name, out));
    if (len > 1)
        out[len - 1] = '\0';
    return out;
}

const char *facts_text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));
    return value ? value : "";
}

void facts_free(struct facts *facts)
{
    for (int i = 0; i < ASKS; i++)
        json_decref(facts->ask[i].body);
    json_decref(facts->role);
    json_decref(facts->zones);
    json_decref(facts->watch);
    json_decref(facts->not_ready);
    free(facts);
}

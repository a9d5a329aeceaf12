#include "field.h"

const char *field_text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));
    return value ? value : "";
}

long long field_number(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

bool field_flag(const json_t *object, const char *member)
{
    return json_is_true(json_object_get(object, member));
}

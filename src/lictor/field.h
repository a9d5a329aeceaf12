/* Reading documents: what is missing is empty, never a crash. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

const char *field_text(const json_t *object, const char *member);
long long field_number(const json_t *object, const char *member);
bool field_flag(const json_t *object, const char *member);

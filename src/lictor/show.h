/* Results of verbs as text. */
#pragma once

#include "lictor/buf.h"

#include <jansson.h>
#include <stdbool.h>

typedef void show_fn(const json_t *result, bool colour, struct buf *out);

show_fn show_status, show_why, show_services, show_zones, show_actions, show_doctor, show_done;

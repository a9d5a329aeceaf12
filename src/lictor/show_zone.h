/* Results of `lictor zone` as text. */
#pragma once

#include "show.h"

show_fn show_zone_about, show_zone_export, show_zone_history, show_zone_diff, show_zone_change;

/* The records that follow health, of a list of zones; nothing if there are none. */
show_fn show_records;

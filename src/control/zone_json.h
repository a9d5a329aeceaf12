/* Zone contents as JSON. Builder. */
#pragma once

#include "lictor/difference.h"
#include "lictor/store.h"

#include <jansson.h>

/* A list has at most so many records, and about so many octets: a difference may be a whole zone. */
#define ZONE_JSON_RECORDS 1000
#define ZONE_JSON_OCTETS  (100 * 1024)

/* Sets in object: "removed" and "added", counts without the SOA whose serial every version raises; and if
 * asked for "records": {"removed":["www.example.com. 300 IN A 192.0.2.1"],"added":[..]}, "left_out": how many
 * are not in the lists. */
void zone_json_difference(json_t *object, const struct difference *difference, bool records);

/* {"seq","serial_from","serial","epoch","time","author","removed","added",...} */
json_t *zone_json_change(const struct store_change *change, bool records);

/* `lictor zone VERB NAME ...`: words and options to a request, and its result as text. */
#pragma once

#include "show.h"

#include "lictor/err.h"

struct zone_command {
    json_t *args;      /* of the command "zone"; an object */
    struct buf upload; /* a zone file's content, to go before it */
    bool has_upload, help;
    bool json;           /* asked for among these words */
    const char *control; /* likewise; NULL: not */
    show_fn *show;
};

extern const char zone_usage[];

/* words[0] is "zone" itself. Reads the zone file, if one is named, and checks it. Returns 0; or -1 with err,
 * which says what is wrong with the words or the file: then there is nothing to free. */
int zone_command_parse(char **words, int count, struct zone_command *out, struct err *err);
void zone_command_free(struct zone_command *command);

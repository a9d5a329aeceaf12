/* The grammar: which keys and sections there are, and libconfuse reading them into a tree whose every value
 * knows its line. */
#pragma once

#include "config/fault.h"

#include <confuse.h>

struct value {
    int line;
    char *text;
};

/* Reads prepared text (text.h). Unknown keys are added to faults and left out. Returns the tree, which
 * schema_free frees, or NULL after adding the first fault of syntax. Any thread, one at a time: libconfuse's
 * lexer is global, so a lock is held meanwhile. */
cfg_t *schema_read(const char *text, struct faults *faults);
void schema_free(cfg_t *root);

/* Reading the tree. A NULL section is one that is not in the file: it has no values. */
size_t value_count(cfg_t *section, const char *key);
const struct value *value_at(cfg_t *section, const char *key, size_t i);
/* The only section of this name, or NULL. */
cfg_t *section_get(cfg_t *root, const char *name);
/* Of its opening brace; LINE_NONE for NULL and the top level. */
int section_line(cfg_t *section);

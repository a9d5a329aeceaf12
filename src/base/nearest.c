#include "lictor/nearest.h"

#include <string.h>

#define WORD_MAX 32 /* longer ones are no misspelt keys */

unsigned nearest_limit(const char *word)
{
    size_t len = strlen(word);
    return len <= 3 ? 2 : len <= 8 ? 3 : 4;
}

/* Levenshtein's distance with one row; a swap of neighbours counts two. */
static unsigned distance_between(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    unsigned row[WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b_len];
}

void nearest_consider(const char *word, const char *candidate, const char **best, unsigned *distance)
{
    unsigned d = distance_between(word, candidate);
    if (d < *distance) {
        *distance = d;
        *best = candidate;
    }
}

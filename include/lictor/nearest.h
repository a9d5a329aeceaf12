/* "did you mean": the known word with the smallest edit distance. */
#pragma once

/* The largest distance that still deserves a guess, exclusive: the start value of `distance`. */
unsigned nearest_limit(const char *word);
/* Makes candidate the best one if it is nearer to word than distance says. */
void nearest_consider(const char *word, const char *candidate, const char **best, unsigned *distance);

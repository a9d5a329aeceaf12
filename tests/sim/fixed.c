#include "sim.h"
const struct fixed fixed_schedules[] = {{0}};
const size_t fixed_count = 0;

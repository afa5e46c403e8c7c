/* stats: the few figures that are made of many. */
#ifndef HARNESS_STATS_H
#define HARNESS_STATS_H

#include <stddef.h>

/* Sorts `values` and returns the nearest-rank percentile: the least value that at least `percent`
 * of all are not above. 0 of none. `percent` above 0 and at most 100. */
double stats_percentile(double *values, size_t n, double percent);

#endif

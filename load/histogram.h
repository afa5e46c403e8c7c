/* histogram: how often which duration was measured, in a fixed amount of memory.
 *
 * Log-linear, as Tene's HDR Histogram: values share a bucket only when they differ by less than
 * 1 %, over the whole range. One thread at a time.
 */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_MAGNITUDES 33u  /* up to 2^40 microseconds, twelve days; above counts as that */
#define HISTOGRAM_PARTS      128u /* of each power of two */

struct histogram {
    uint64_t total;
    uint64_t counts[(HISTOGRAM_MAGNITUDES + 1) * HISTOGRAM_PARTS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Takes out an earlier copy of the same histogram: what is left was added since. */
void histogram_subtract(struct histogram *from, const struct histogram *earlier);
/* The nearest-rank percentile: the middle of the bucket that holds it; 0 of none. `percent` above 0
 * and at most 100. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

#endif

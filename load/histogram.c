#include "load/histogram.h"

#include <assert.h>
#include <stddef.h>

#define PARTS_BITS 7u
#define BUCKETS    ((HISTOGRAM_MAGNITUDES + 1) * HISTOGRAM_PARTS)

_Static_assert(1u << PARTS_BITS == HISTOGRAM_PARTS, "the parts are a power of two");

/* Values below HISTOGRAM_PARTS have a bucket each; above, each power of two has HISTOGRAM_PARTS. */
static size_t bucket_of(uint64_t value) {
    if (value < HISTOGRAM_PARTS) {
        return (size_t)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - PARTS_BITS;
    size_t bucket = (size_t)(shift + 1) * HISTOGRAM_PARTS + ((value >> shift) - HISTOGRAM_PARTS);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t middle_of(size_t bucket) {
    if (bucket < HISTOGRAM_PARTS) {
        return bucket;
    }
    size_t shift = bucket / HISTOGRAM_PARTS - 1;
    uint64_t lowest = (uint64_t)(HISTOGRAM_PARTS + bucket % HISTOGRAM_PARTS) << shift;
    return lowest + (((uint64_t)1 << shift) - 1) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (size_t i = 0; i < BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
    into->total += from->total;
}

void histogram_subtract(struct histogram *from, const struct histogram *earlier) {
    for (size_t i = 0; i < BUCKETS; i++) {
        assert(from->counts[i] >= earlier->counts[i]);
        from->counts[i] -= earlier->counts[i];
    }
    from->total -= earlier->total;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent) {
    assert(percent > 0 && percent <= 100);
    double exact = percent / 100 * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram->counts[i];
        if (histogram->counts[i] > 0 && (double)seen >= exact) {
            return middle_of(i);
        }
    }
    return 0;
}

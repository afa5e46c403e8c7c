#include "harness/stats.h"

#include <assert.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_percentile(double *values, size_t n, double percent) {
    assert(percent > 0 && percent <= 100);
    if (n == 0) {
        return 0;
    }
    qsort(values, n, sizeof *values, compare);
    double exact = percent / 100 * (double)n;
    size_t rank = (size_t)exact;
    if ((double)rank < exact) {
        rank++;
    }
    return values[rank == 0 ? 0 : rank - 1];
}

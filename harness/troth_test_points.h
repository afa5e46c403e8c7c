/* troth_test_points: what `trothd --list-crash-points` says of a point, for troth_test. */
#ifndef HARNESS_TROTH_TEST_POINTS_H
#define HARNESS_TROTH_TEST_POINTS_H

#include <stdbool.h>

#include "harness/troth_test.h"

/* Whether the point ("NAME" or "NAME:COUNT") can be armed in a node, or in a shard. 0;
 * TROTH_ERR_NOT_FOUND: the program has no crash points, there is none of the name, or it is of
 * another program; `why` says which. TROTH_ERR_SYSTEM. */
int test_points_check(const char *trothd, bool in_node, const char *point,
                      char why[TROTH_TEST_WHY_BYTES]);

#endif

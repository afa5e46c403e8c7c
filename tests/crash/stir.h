/* stir: what the bank does not do, beside it, so that every crash point is passed: commits in one
 * phase, aborts, questions to a node that is not the coordinator, to a node about what it never
 * gave out, single reads and writes at the shards, and a participant that votes no when the shards
 * have prepared. One thread; what fails is let be, since processes die meanwhile.
 *
 *     stir_open(&stir, &fixture);
 *     stir_start(stir);
 *     ...
 *     stir_stop(stir);
 *     stir_close(stir);
 */
#ifndef TESTS_CRASH_STIR_H
#define TESTS_CRASH_STIR_H

#include "tests/lib/cluster_fixture.h"

struct stir;
/* Fails the test on an error. The participant's log is in the cluster's folder. */
void stir_open(struct stir **out, struct fixture *f);
/* To be called when nothing is in flight any more: its participant goes. */
void stir_close(struct stir *stir);
void stir_start(struct stir *stir);
/* Returns when what it does now is done. */
void stir_stop(struct stir *stir);

#endif

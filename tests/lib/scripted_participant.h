/* scripted_participant: a resource manager in the test's own process that does as it is told, on
 * the real libtroth-participant. It has no data: it counts what it is asked for.
 */
#ifndef TESTS_LIB_SCRIPTED_PARTICIPANT_H
#define TESTS_LIB_SCRIPTED_PARTICIPANT_H

#include <stdatomic.h>

#include "participant/troth_participant.h"
#include "tests/lib/cluster_fixture.h"

struct scripted {
    struct troth_participant *participant;
    atomic_int vote;   /* what prepare returns: an enum troth_vote, or TROTH_PARTICIPANT_LATER */
    atomic_int reason; /* of a vote to abort: an enum troth_branch_reason; 0: none is given */
    atomic_int prepares, commits, aborts, one_phases, recovers;
    atomic_int works; /* prepares that came with work */
    char work[64];    /* the last of it, as text; read `works` first */
    char log_path[512];
};

/* Opens it, with its log in the cluster's folder, and waits until it is attached to every node
 * that runs. */
void scripted_open(struct fixture *f, struct scripted *scripted, const char *name, int vote);
void scripted_close(struct scripted *scripted);
/* Enlists it; the error of the enlistment. */
int scripted_enlist(struct fixture *f, struct scripted *scripted, struct troth_txid txid);

#endif

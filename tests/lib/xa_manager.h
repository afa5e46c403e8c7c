/* xa_manager: a resource manager behind the crooked switch (tests/lib/crooked_switch.h), and a
 * program that works in it by XA. For tests with a cluster of real processes.
 *
 *     struct xa_manager *left = xa_manager_new("commit=XA_RETRY:3");
 *     ... a participant over xa_manager_library() with left->open_info ...
 *     xa_manager_work(left, branch.gid, true);       // xa_start, xa_end, xa_prepare
 *     xa_manager_await(left, branch.gid, "committed");
 *     xa_manager_free(left);
 */
#ifndef TESTS_LIB_XA_MANAGER_H
#define TESTS_LIB_XA_MANAGER_H

#include <stdbool.h>

#include "participant/adapters/xa.h"

struct xa_manager {
    char folder[64];
    char path[80];               /* of the file with the branches */
    char open_info[MAXINFOSIZE]; /* the participant's: with the rules */
};

/* The shared object's path; the switch in it is "crooked_switch". */
const char *xa_manager_library(void);
/* `rules`: what it does wrong to the participant, as its open string says it; "": nothing. To the
 * program that works in it it does nothing wrong. */
struct xa_manager *xa_manager_new(const char *rules);
void xa_manager_free(struct xa_manager *m);
/* Other rules from now on: for a participant that is opened after that. */
void xa_manager_rules(struct xa_manager *m, const char *rules);

/* A program's work in the branch, in this thread: from xa_start to xa_end, and xa_prepare if it
 * prepares by itself. `gid` as troth_database_enlist or the agent gives it. */
void xa_manager_work(struct xa_manager *m, const char *gid, bool prepares);
/* What became of the branch, a word of tests/lib/crooked_file.h; "": it was never there. Static. */
const char *xa_manager_state(struct xa_manager *m, const char *gid);
void xa_manager_set_state(struct xa_manager *m, const char *gid, const char *state);
/* Waits until it is so. */
void xa_manager_await(struct xa_manager *m, const char *gid, const char *state);
/* Waits until one of the participant's calls hangs; and lets it return. */
void xa_manager_await_hanging(struct xa_manager *m);
void xa_manager_end_hanging(struct xa_manager *m);

#endif

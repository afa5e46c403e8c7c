/* service_take: what a request names, as it comes from the wire: checked, and put into the call.
 * Any thread. On an error the call is answered and gone (one of a stream: its refusal is kept).
 */
#ifndef COORDINATOR_SERVICE_TAKE_H
#define COORDINATOR_SERVICE_TAKE_H

#include "coordinator/calls.h"

int service_take_txid(struct call *call, const char *text);
/* NULL: it is missing. */
int service_take_branch(struct call *call, const Troth__V1__Branch *branch,
                        struct paxos_participant *participant);
/* The branches that Commit or Abort names, each once, and the participants of the work that comes
 * with Commit, of which one without a branch has the incarnation 0: call->branches, call->works. */
int service_take_members(struct call *call, size_t n_branches, Troth__V1__Branch *const *branches,
                         size_t n_works, Troth__V1__Work *const *works);

#endif

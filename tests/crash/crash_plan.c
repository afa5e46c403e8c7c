#include "tests/crash/crash_plan.h"

#include <string.h>

const struct crash_plan crash_plans[] = {
    {CRASH_TROTHD, "store", "tables", CRASH_BY_FORMING, NULL},
    {CRASH_TROTHD, "store", "identity", CRASH_BY_FORMING, NULL},
    {CRASH_TROTHD, "store", "start", CRASH_BY_START, NULL},
    {CRASH_TROTHD, "send", "hello", CRASH_BY_START, NULL},
    {CRASH_TROTHD, "send", "hello-answer", CRASH_BY_START, NULL},
    {CRASH_TROTHD, "store", "peer", CRASH_BY_FOLLOWING, NULL},
    {CRASH_TROTHD, "store", "admitted", CRASH_BY_FORMING, NULL},
    {CRASH_TROTHD, "store", "amnesia", CRASH_NOT,
     "only a node with a wrong disk stores it, and no crash of the bank's processes changes a "
     "disk"},
    {CRASH_TROTHD, "send", "welcome", CRASH_BY_START, NULL},
    {CRASH_TROTHD, "send", "refusal", CRASH_NOT,
     "only a second participant of a name that is attached is refused; the bank starts none"},
    {CRASH_TROTHD, "send", "heartbeat", CRASH_BY_START, NULL},
    {CRASH_TROTHD, "reply", "none", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "enlisted", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "prepare", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "commit-one-phase", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "store", "votes", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "phase2b", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "reply", "committed", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "reply", "aborted", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "reply", "error", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "store", "outcome", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "decision", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "accepted", CRASH_NOT, "the nodes are not configured as `faster`"},
    {CRASH_TROTHD, "store", "finished", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "known", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "ask", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "answer", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "phase1a", CRASH_BY_LEADING, NULL},
    {CRASH_TROTHD, "store", "ballot", CRASH_BY_LEADING, NULL},
    {CRASH_TROTHD, "send", "phase1b", CRASH_BY_FOLLOWING, NULL},
    {CRASH_TROTHD, "send", "phase2a", CRASH_BY_LEADING, NULL},
    {CRASH_TROTHD, "send", "refused", CRASH_NOT,
     "two leaders of one transaction must meet, which no kill brings about for certain; the "
     "simulation does"},
    {CRASH_TROTHD, "store", "mark", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "send", "mark", CRASH_BY_LOAD, NULL},
    {CRASH_TROTHD, "store", "heuristic", CRASH_NOT,
     "no branch of the bank ends by itself; one that did would fail the matrix"},
    {CRASH_TROTHD, "store", "forgotten", CRASH_NOT, "the same: there is nothing to forget"},
    {CRASH_TROTHD, "store", "deletion", CRASH_BY_FORGETTING, NULL},
    {CRASH_TROTHD, "send", "leaving", CRASH_BY_STOP, NULL},
    {CRASH_TROTHD, "store", "rest", CRASH_BY_STOP, NULL},
    {CRASH_PARTICIPANT, "store", "tables", CRASH_BY_FORMING, NULL},
    {CRASH_PARTICIPANT, "store", "start", CRASH_BY_START, NULL},
    {CRASH_PARTICIPANT, "call", "recover", CRASH_BY_RECOVERY, NULL},
    {CRASH_PARTICIPANT, "send", "hello", CRASH_BY_START, NULL},
    {CRASH_PARTICIPANT, "store", "node", CRASH_BY_FOLLOWING, NULL},
    {CRASH_PARTICIPANT, "send", "enlist", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "call", "prepare", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "store", "prepared", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "send", "vote", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "call", "commit", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "call", "commit-one-phase", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "store", "committing", CRASH_NOT,
     "only a resource manager with a storage of its own stores it; a shard's data are in the "
     "database of the branch log"},
    {CRASH_PARTICIPANT, "store", "committed", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "send", "ack", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "send", "one-phase-result", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "call", "abort", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "send", "branch-aborted", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "store", "hazard", CRASH_NOT,
     "a shard that has prepared a branch never loses it; one that did would fail the matrix"},
    {CRASH_PARTICIPANT, "store", "deletion", CRASH_BY_LOAD, NULL},
    {CRASH_PARTICIPANT, "store", "mark", CRASH_BY_LOAD, NULL},
    {CRASH_SHARD, "store", "kv-tables", CRASH_BY_FORMING, NULL},
    {CRASH_SHARD, "store", "single", CRASH_BY_LOAD, NULL},
    {CRASH_SHARD, "reply", "read", CRASH_BY_LOAD, NULL},
    {CRASH_SHARD, "reply", "write", CRASH_BY_LOAD, NULL},
    {CRASH_SHARD, "reply", "failure", CRASH_BY_LOAD, NULL},
    {CRASH_CLIENT, "ask", "begin", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "answer", "begin", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "ask", "enlist", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "answer", "enlist", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "ask", "commit", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "answer", "commit", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "ask", "abort", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "answer", "abort", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "ask", "get", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "answer", "get", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "work", "get", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "work", "put", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "work", "add", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "work", "delete", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "work", "compare-and-set", CRASH_BY_CLIENT, NULL},
    {CRASH_CLIENT, "work", "scan", CRASH_BY_CLIENT, NULL},
};
const size_t crash_plans_n = sizeof crash_plans / sizeof *crash_plans;

const struct crash_plan *crash_plan_of(const struct crash_points_row *row) {
    for (size_t i = 0; i < crash_plans_n; i++) {
        const struct crash_plan *plan = &crash_plans[i];
        if (plan->program == row->program && strcmp(plan->stage, row->stage) == 0 &&
            strcmp(plan->which, row->which) == 0) {
            return plan;
        }
    }
    return NULL;
}

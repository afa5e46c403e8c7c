/* engine: random worlds. Everything that can go wrong goes wrong, then heals; then all must be
 * over, in one way. What participants and clients see on the way is checked by engine_world, and
 * here. TROTH_WORLDS says how many worlds, each with a seed of its own. */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static void random_fault(uint32_t *down) {
    uint32_t node = 1 + world_random(&w, w.nodes);
    uint32_t participant = 1 + world_random(&w, w.participants);
    uint32_t other = 1 + world_random(&w, w.nodes);
    switch (world_random(&w, 7)) {
    case 0:
        if (w.node[node].engine != NULL && *down < w.nodes) {
            world_crash(&w, node);
            ++*down;
        }
        break;
    case 1:
        if (w.node[node].engine == NULL) {
            world_restart(&w, node);
            --*down;
        }
        break;
    case 2:
        if (w.node[node].engine != NULL && node != other) {
            world_suspect(&w, node, other);
        }
        break;
    case 3:
        if (w.node[node].engine != NULL && node != other && w.node[other].engine != NULL) {
            world_trust(&w, node, other);
        }
        break;
    case 4:
        if (w.participant[participant].up) {
            world_participant_crash(&w, participant);
        }
        break;
    case 5:
        if (!w.participant[participant].up) {
            world_participant_restart(&w, participant);
        }
        break;
    default:
        world_advance(&w, world_random(&w, 3000));
        break;
    }
}

#define TXS      12
#define REQUESTS 64

static void heal(void) {
    w.lose_percent = w.double_percent = 0;
    for (uint32_t node = 1; node <= w.nodes; node++) {
        if (w.node[node].engine == NULL) {
            world_restart(&w, node);
        }
    }
    for (uint32_t a = 1; a <= w.nodes; a++) {
        for (uint32_t b = 1; b <= w.nodes; b++) {
            if (a != b) {
                world_trust(&w, a, b);
            }
        }
    }
    for (uint32_t i = 1; i <= w.participants; i++) {
        if (!w.participant[i].up) {
            world_participant_restart(&w, i);
        }
    }
    world_advance(&w, 200000);
}

static void check_over(const struct troth_txid *txids, int n, const uint64_t *requests,
                       const int *about, int n_requests) {
    for (int i = 0; i < n; i++) {
        enum paxos_outcome one = PAXOS_OUTCOME_NONE;
        for (uint32_t node = 1; node <= w.nodes; node++) {
            uint64_t request = world_ask(&w, node, ENGINE_COMMIT, txids[i]);
            for (int wait = 0; wait < 300 && !world_replied(&w, request); wait++) {
                world_advance(&w, 100); /* no longer than it takes: outcomes are kept for a while */
            }
            ck_assert(world_replied(&w, request));
            if (w.replies[request].error == TROTH_ERR_FORGOTTEN) {
                continue; /* aborted without a record, by a node that restarted since */
            }
            enum paxos_outcome outcome = world_outcome(&w, request);
            ck_assert_int_ne(outcome, PAXOS_OUTCOME_NONE);
            ck_assert(one == PAXOS_OUTCOME_NONE || one == outcome);
            one = outcome;
        }
        for (uint32_t p = 1; p <= w.participants; p++) {
            enum world_branch branch = world_branch(&w, p, txids[i]);
            ck_assert_int_ne(branch, BRANCH_VOTED);
            ck_assert(branch != BRANCH_COMMITTED || one == PAXOS_OUTCOME_COMMITTED);
        }
        for (int r = 0; r < n_requests; r++) {
            if (about[r] == i && world_replied(&w, requests[r]) &&
                w.replies[requests[r]].error == 0 &&
                w.replies[requests[r]].outcome != PAXOS_OUTCOME_NONE) {
                ck_assert_int_eq(w.replies[requests[r]].outcome,
                                 one == PAXOS_OUTCOME_NONE ? PAXOS_OUTCOME_ABORTED : one);
            }
        }
    }
}

static void random_world(uint64_t seed) {
    w.random = seed * 7919 + 13;
    w.shuffle = true;
    struct troth_txid txids[TXS];
    uint64_t requests[REQUESTS];
    int about[REQUESTS];
    int n = 0;
    int n_requests = 0;
    uint32_t down = 0;
    w.lose_percent = world_random(&w, 20);
    w.double_percent = world_random(&w, 20);
    static const enum paxos_vote votes[] = {PAXOS_VOTE_PREPARED, PAXOS_VOTE_PREPARED,
                                            PAXOS_VOTE_PREPARED, PAXOS_VOTE_READ_ONLY,
                                            PAXOS_VOTE_ABORTED};
    for (int step = 0; step < 400; step++) {
        uint32_t node = 1 + world_random(&w, w.nodes);
        uint32_t participant = 1 + world_random(&w, w.participants);
        uint32_t dice = world_random(&w, 100);
        if (dice < 5 && n < TXS && w.node[node].engine != NULL) {
            txids[n++] = world_begin(&w, node);
        } else if (dice < 15 && n > 0) {
            world_work(&w, participant, txids[world_random(&w, (uint32_t)n)]);
        } else if (dice < 20 && n > 0 && n_requests < REQUESTS && w.node[node].engine != NULL) {
            about[n_requests] = (int)world_random(&w, (uint32_t)n);
            enum engine_event_type type = world_random(&w, 4) == 0 ? ENGINE_ABORT : ENGINE_COMMIT;
            requests[n_requests] = world_ask(&w, node, type, txids[about[n_requests]]);
            n_requests++;
        } else if (dice < 22) {
            random_fault(&down);
        } else if (dice < 24) {
            w.participant[participant].votes = votes[world_random(&w, 5)];
        } else {
            world_deliver_one(&w);
        }
    }
    heal();
    check_over(txids, n, requests, about, n_requests);
}

START_TEST(S1_S2_L1_L2_in_random_worlds) {
    uint64_t worlds =
        getenv("TROTH_WORLDS") != NULL ? strtoull(getenv("TROTH_WORLDS"), NULL, 10) : 150;
    for (uint64_t seed = 1; seed <= worlds; seed++) {
        world_init(&w, seed % 3 == 0 ? 1 : seed % 3 == 1 ? 3 : 5, 1 + (uint32_t)(seed % 4));
        random_world(seed);
        world_release(&w);
    }
}
END_TEST

int main(void) {
    return suite_run("engine_worlds", (const TTest *[]){S1_S2_L1_L2_in_random_worlds, NULL});
}

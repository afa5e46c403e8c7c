#include "harness/demo_outage.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "client/troth.h"
#include "harness/admin.h"
#include "harness/demo_screen.h"
#include "shell/clock.h"

#define TRIES           5
#define MOMENT_MS       3000  /* for a good moment to come */
#define RELEASE_MS      60000 /* for the last branch to be released */
#define LIVE_EVERY_LOOK 50
#define ADMIN_MS        1000
#define AGREE_MS        10000

void outage_release(struct outage *outage) {
    free(outage->branches);
    *outage = (struct outage){0};
}

/* The node that coordinates the most transactions now, by its own count. */
static void find_victim(struct stage *stage, struct outage *outage) {
    struct admin *admin = cluster_admin(stage->cluster);
    uint64_t most = 0;
    *outage = (struct outage){.victim = 1};
    for (unsigned i = 0; i < cluster_count(stage->cluster, CLUSTER_NODE); i++) {
        Troth__V1__StatusReply *status = admin_status(admin, i, ADMIN_MS);
        if (status != NULL && status->counters != NULL && status->counters->in_flight >= most) {
            most = status->counters->in_flight;
            outage->victim = i + 1;
            outage->incarnation = (uint32_t)status->incarnation;
        }
        admin_free(status);
    }
}

/* Looks until many branches of the node's are in doubt at once; is content with less and less. */
static bool wait_for_moment(struct stage *stage, unsigned node) {
    int64_t began_ms = clock_monotonic_ms();
    int64_t waited_ms = 0;
    while ((waited_ms = clock_monotonic_ms() - began_ms) < MOMENT_MS) {
        size_t wanted =
            1 + (size_t)stage->clients * (size_t)(MOMENT_MS - waited_ms) / (4 * (size_t)MOMENT_MS);
        if (in_doubt_read(stage->in_doubt, (uint16_t)node, &stage->now) == 0 &&
            stage->now.n >= wanted) {
            return true;
        }
        if (!screen_wait_ms(1)) {
            return false;
        }
    }
    return false;
}

static bool known(const struct outage *outage, const struct in_doubt_branch *branch) {
    for (size_t i = 0; i < outage->n; i++) {
        if (outage->branches[i].branch.database == branch->database &&
            troth_txid_equal(outage->branches[i].branch.txid, branch->txid)) {
            return true;
        }
    }
    return false;
}

/* Leaves out what the node began after its return. */
static void drop_younger(struct in_doubt_list *now, uint32_t incarnation) {
    size_t kept = 0;
    for (size_t i = 0; i < now->n; i++) {
        if (troth_txid_incarnation(now->items[i].txid) <= incarnation) {
            now->items[kept++] = now->items[i];
        }
    }
    now->n = kept;
}

/* Takes in those that are in doubt now and were not known yet. */
static int take_new(struct outage *outage, const struct in_doubt_list *now) {
    for (size_t i = 0; i < now->n; i++) {
        if (known(outage, &now->items[i])) {
            continue;
        }
        if (outage->n == outage->room) {
            size_t room = outage->room == 0 ? 64 : 2 * outage->room;
            struct outage_branch *grown = realloc(outage->branches, room * sizeof *grown);
            if (grown == NULL) {
                return TROTH_ERR_NO_MEMORY;
            }
            outage->branches = grown;
            outage->room = room;
        }
        outage->branches[outage->n++] =
            (struct outage_branch){.branch = now->items[i], .waited_ms = -1};
    }
    return 0;
}

/* Looks once: what is in doubt no longer has waited until now. */
static int look(struct stage *stage, struct outage *outage, int64_t killed_us) {
    if (in_doubt_read(stage->in_doubt, (uint16_t)outage->victim, &stage->now) != 0) {
        return 0; /* the next look will do */
    }
    double now_ms = (double)(clock_monotonic_us() - killed_us) / 1000;
    drop_younger(&stage->now, outage->incarnation);
    outage->left = 0;
    for (size_t i = 0; i < outage->n; i++) {
        struct outage_branch *branch = &outage->branches[i];
        if (branch->waited_ms < 0 && !in_doubt_has(&stage->now, &branch->branch)) {
            branch->waited_ms = now_ms;
        }
        outage->left += branch->waited_ms < 0 ? 1 : 0;
    }
    return take_new(outage, &stage->now);
}

static void mark_orphaned(struct outage *outage) {
    for (size_t i = 0; i < outage->n; i++) {
        struct outage_branch *branch = &outage->branches[i];
        branch->orphaned = branch->waited_ms < 0 || branch->waited_ms >= ORPHANED_MS;
        outage->orphaned += branch->orphaned ? 1 : 0;
    }
}

/* Looks until all are released; starts the victim again after `down_ms`, if that is not below 0. */
static int watch(struct stage *stage, int64_t down_ms, struct outage *outage, int64_t killed_us,
                 char why[STAGE_WHY_BYTES]) {
    bool down = true;
    int64_t killed_ms = killed_us / 1000;
    for (unsigned looks = 1;; looks++) {
        int64_t waited_ms = clock_monotonic_ms() - killed_ms;
        int err = look(stage, outage, killed_us);
        if (err == 0 && down_ms >= 0 && down && waited_ms >= down_ms) {
            err = cluster_start(stage->cluster, CLUSTER_NODE, outage->victim - 1, why);
            down = false;
        }
        bool over = stage->now.n == 0 && (down_ms < 0 || !down);
        if (err != 0 || over || waited_ms > RELEASE_MS + (down_ms < 0 ? 0 : down_ms)) {
            mark_orphaned(outage);
            screen_live_end();
            return err;
        }
        if (looks % LIVE_EVERY_LOOK == 0) {
            char what[80];
            snprintf(what, sizeof what, "(%zu of node %u's wait, %.1f s)", stage->now.n,
                     outage->victim, (double)waited_ms / 1000);
            stage_live(stage, what);
        }
        if (!screen_wait_ms(LOOK_INTERVAL_MS)) {
            return TROTH_ERR_CLOSED;
        }
    }
}

/* Kills it, and looks at once. */
static int kill_and_look(struct stage *stage, struct outage *outage, int64_t *killed_us) {
    *killed_us = clock_monotonic_us();
    int err = cluster_kill(stage->cluster, CLUSTER_NODE, outage->victim - 1);
    if (err == 0) {
        err = look(stage, outage, *killed_us);
    }
    outage->n_at_kill = outage->n;
    return err;
}

/* Starts what does not run, and waits until all are ready. */
static int bring_back(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    for (unsigned i = 0; i < cluster_count(stage->cluster, CLUSTER_NODE); i++) {
        if (!cluster_running(stage->cluster, CLUSTER_NODE, i, NULL)) {
            int err = cluster_start(stage->cluster, CLUSTER_NODE, i, why);
            if (err != 0) {
                return err;
            }
        }
    }
    return cluster_wait_ready(stage->cluster, STAGE_READY_MS, why);
}

int outage_run(struct stage *stage, int64_t down_ms, struct outage *outage,
               char why[STAGE_WHY_BYTES]) {
    for (int i = 0; i < TRIES; i++) {
        int64_t killed_us = 0;
        find_victim(stage, outage);
        if (!wait_for_moment(stage, outage->victim)) {
            if (screen_interrupted()) {
                return TROTH_ERR_CLOSED;
            }
            continue;
        }
        int err = kill_and_look(stage, outage, &killed_us);
        if (err != 0) {
            snprintf(why, STAGE_WHY_BYTES, "cannot kill node %u: %s", outage->victim,
                     troth_err_text(err));
            return err;
        }
        if (outage->n_at_kill > 0) {
            screen_say("killed node %u with %zu of its branches in doubt", outage->victim,
                       outage->n_at_kill);
            return watch(stage, down_ms, outage, killed_us, why);
        }
        /* All were decided between the look and the kill. */
        err = bring_back(stage, why);
        if (err != 0) {
            return err;
        }
    }
    return TROTH_ERR_NOT_FOUND;
}

/* Whether an earlier branch belongs to the same transaction. */
static bool seen_before(const struct outage *outage, size_t i) {
    for (size_t k = 0; k < i; k++) {
        if (troth_txid_equal(outage->branches[k].branch.txid, outage->branches[i].branch.txid)) {
            return true;
        }
    }
    return false;
}

void outage_who(struct stage *stage, struct outage *outage) {
    struct admin *admin = cluster_admin(stage->cluster);
    for (size_t i = 0; i < outage->n; i++) {
        struct outage_branch *branch = &outage->branches[i];
        for (unsigned node = 1; node <= cluster_count(stage->cluster, CLUSTER_NODE); node++) {
            Troth__V1__Transaction *transaction =
                node == outage->victim ? NULL
                                       : admin_get(admin, node - 1, branch->branch.txid, ADMIN_MS);
            if (transaction != NULL && transaction->outcome != TROTH__V1__OUTCOME__OUTCOME_NONE) {
                branch->committed = transaction->outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
                branch->leader = transaction->leader;
            }
            admin_free(transaction);
            if (branch->leader != 0 && branch->leader != outage->victim) {
                break;
            }
        }
        if (!seen_before(outage, i)) {
            outage->committed += branch->committed ? 1 : 0;
            outage->aborted += branch->committed ? 0 : 1;
            outage->led[branch->leader <= CLUSTER_MEMBERS_MAX ? branch->leader : 0]++;
        }
    }
}

/* Asks the returned node, and it alone, to commit what it had left: that is told the one outcome,
 * since commit can be asked of any node and again. */
static void ask_returned(struct stage *stage, struct outage *outage) {
    struct troth *troth = NULL;
    const char *address = cluster_address(stage->cluster, CLUSTER_NODE, outage->victim - 1);
    if (troth_open(&troth, &(struct troth_options){.nodes = address}) != 0) {
        return;
    }
    for (size_t i = 0; i < outage->n; i++) {
        struct outage_branch *branch = &outage->branches[i];
        struct troth_result result;
        if (seen_before(outage, i)) {
            continue;
        }
        int err = troth_commit(troth, branch->branch.txid, NULL, 0, AGREE_MS, &result);
        outage->asked++;
        outage->agreed += err == 0 && (result.outcome == TROTH_COMMITTED) == branch->committed;
    }
    troth_close(troth);
}

int outage_return(struct stage *stage, struct outage *outage, char why[STAGE_WHY_BYTES]) {
    int64_t began_ms = clock_monotonic_ms();
    int err = bring_back(stage, why);
    outage->return_ms = clock_monotonic_ms() - began_ms;
    if (err == 0) {
        ask_returned(stage, outage);
    }
    return err;
}

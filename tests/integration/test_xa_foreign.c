/* Shards in the transactions of another manager: who dies when, and who else is there. Each test
 * ends with what the shards' files say, and with no lock held (S1, S4, L2). */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/process.h"
#include "tests/lib/foreign_scene.h"

#define VICTIM    0 /* the shard that dies */
#define N(points) (sizeof(points) / sizeof *(points))

static const struct xa_switch_t *xa = &troth_shard_xa_switch;
static struct foreign_tx tx;
static char keys[SCENE_SHARDS][64];

#define must_be(call, wanted)                                                                      \
    do {                                                                                           \
        int must_be_code = (call);                                                                 \
        fixture_must(&f, must_be_code == (wanted), "%s is %d and not %s: %s", #call, must_be_code, \
                     #wanted, troth_xa_why());                                                     \
    } while (0)

static void work(void) {
    tx = foreign_tm_name(&tm);
    must_be(foreign_tm_start(&tm, &tx), XA_OK);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        strcpy(keys[i], scene_key(i));
        must_be(scene_put(i, keys[i], "new"), 0);
    }
}

static void prepared(void) {
    work();
    must_be(foreign_tm_end(&tm, &tx), XA_OK);
    fixture_must(&f, foreign_tm_prepare(&tm, &tx), "not all have prepared");
}

/* All of it or nothing, and nothing is left. */
static void settled(bool committed) {
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        fixture_must(&f, scene_in_doubt(i) == 0, "%d branches are left at shard %u",
                     scene_in_doubt(i), i);
        fixture_must(&f, (scene_on_disk(i, keys[i]) != NULL) == committed,
                     "S1: shard %u has not what was decided (%d)", i, (int)committed);
        fixture_must(&f, !scene_is_locked(i, keys[i]), "shard %u still holds the lock", i);
    }
}

static void restart(unsigned shard) {
    fixture_start(&f, CLUSTER_SHARD, shard, NULL);
    scene_reach(shard);
}

/* ---- A shard dies ---------------------------------------------------------------------------- */

START_TEST(H2_a_shard_that_dies_while_it_works_has_lost_the_branch_and_says_so) {
    scene_open();
    work();
    fixture_kill(&f, CLUSTER_SHARD, VICTIM);
    must_be(scene_put(VICTIM, keys[VICTIM], "more"), TROTH_ERR_UNAVAILABLE);
    restart(VICTIM);
    must_be(scene_put(VICTIM, keys[VICTIM], "more"), TROTH_ERR_CONFLICT); /* run it again */
    must_be(xa->xa_end_entry(&tx.xid[VICTIM], VICTIM, TMSUCCESS), XAER_NOTA);
    must_be(xa->xa_end_entry(&tx.xid[1], 1, TMSUCCESS), XA_OK);
    fixture_must(&f, !foreign_tm_prepare(&tm, &tx), "what was lost was prepared");
    ck_assert_int_eq(tx.vote[VICTIM], XAER_NOTA);
    foreign_tm_rollback(&tm, &tx);
    settled(false);
    scene_close();
}
END_TEST

START_TEST(L2_a_shard_that_dies_prepared_lists_the_branch_and_holds_its_locks_until_it_is_told) {
    scene_open();
    for (int commits = 0; commits <= 1; commits++) {
        prepared();
        for (int times = 0; times < 2; times++) { /* as often as it dies */
            fixture_kill(&f, CLUSTER_SHARD, VICTIM);
            must_be(xa->xa_commit_entry(&tx.xid[VICTIM], VICTIM, TMNOFLAGS), XAER_RMFAIL);
            restart(VICTIM);
            ck_assert_int_eq(scene_in_doubt(VICTIM), 1);
            ck_assert(scene_is_locked(VICTIM, keys[VICTIM]));
            must_be(xa->xa_start_entry(&tx.xid[VICTIM], VICTIM, TMNOFLAGS), XAER_DUPID);
        }
        if (commits) {
            foreign_tm_decide(&tm, &tx);
        }
        must_be(foreign_tm_recover(&tm), 2);
        settled(commits);
    }
    scene_close();
}
END_TEST

#ifdef TROTH_CRASH_POINTS

static void arm(const char *point) {
    fixture_restart(&f, CLUSTER_SHARD, VICTIM, point);
    scene_reach(VICTIM);
}

START_TEST(S4_a_shard_that_dies_in_the_prepare_has_prepared_or_has_not) {
    static const char *const points[] = {"before.call.prepare", "after.call.prepare",
                                         "before.store.prepared", "after.store.prepared"};
    scene_open();
    for (unsigned i = 0; i < N(points); i++) {
        bool stored = i == 3;
        arm(points[i]);
        work();
        must_be(foreign_tm_end(&tm, &tx), XA_OK);
        fixture_must(&f, !foreign_tm_prepare(&tm, &tx), "the dead shard has answered");
        ck_assert_int_eq(tx.vote[VICTIM], XAER_RMFAIL);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        restart(VICTIM);
        fixture_must(&f, scene_in_doubt(VICTIM) == stored, "%s: %d in doubt", points[i],
                     scene_in_doubt(VICTIM));
        must_be(xa->xa_rollback_entry(&tx.xid[VICTIM], VICTIM, TMNOFLAGS),
                stored ? XA_OK : XAER_NOTA);
        must_be(xa->xa_rollback_entry(&tx.xid[1], 1, TMNOFLAGS), XA_OK);
        settled(false);
    }
    scene_close();
}
END_TEST

START_TEST(S4_a_shard_that_dies_in_the_commit_finishes_it_when_it_is_asked_again) {
    static const char *const points[] = {"before.call.commit", "after.call.commit",
                                         "before.store.committed", "after.store.committed"};
    scene_open();
    for (unsigned i = 0; i < N(points); i++) {
        bool stored = i == 3;
        arm(points[i]);
        prepared();
        foreign_tm_decide(&tm, &tx);
        must_be(foreign_tm_finish(&tm, &tx), XAER_RMFAIL); /* done or not: nobody knows */
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        restart(VICTIM);
        /* What has been committed is known no more, which after an earlier try means just that. */
        must_be(xa->xa_commit_entry(&tx.xid[VICTIM], VICTIM, TMNOFLAGS),
                stored ? XAER_NOTA : XA_OK);
        settled(true);
    }
    scene_close();
}
END_TEST

START_TEST(S4_a_shard_that_dies_in_the_rollback_or_in_one_phase_has_done_it_or_not) {
    static const char *const points[] = {"before.call.abort", "after.call.abort",
                                         "before.store.deletion", "after.store.deletion"};
    scene_open();
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        prepared();
        must_be(xa->xa_rollback_entry(&tx.xid[VICTIM], VICTIM, TMNOFLAGS), XAER_RMFAIL);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        restart(VICTIM);
        must_be(foreign_tm_recover(&tm), i == 3 ? 1 : 2);
        settled(false);
    }
    arm("after.call.commit-one-phase");
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[VICTIM], VICTIM, TMNOFLAGS), XA_OK);
    strcpy(keys[VICTIM], scene_key(VICTIM));
    must_be(scene_put(VICTIM, keys[VICTIM], "new"), 0);
    must_be(xa->xa_end_entry(&tx.xid[VICTIM], VICTIM, TMSUCCESS), XA_OK);
    must_be(xa->xa_commit_entry(&tx.xid[VICTIM], VICTIM, TMONEPHASE), XAER_RMFAIL);
    fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
    restart(VICTIM);
    must_be(xa->xa_commit_entry(&tx.xid[VICTIM], VICTIM, TMONEPHASE), XAER_NOTA);
    settled(false);
    scene_close();
}
END_TEST

#endif

/* ---- The manager dies ------------------------------------------------------------------------ */

/* This program, started with these arguments, is a manager that gets so far and waits. */
enum stage { STAGE_WORKED, STAGE_PREPARED, STAGE_DECIDED, STAGE_HALF };
static const char *const stages[] = {"worked", "prepared", "decided", "half"};

static void reached(enum stage stage, const char *wanted) {
    if (strcmp(stages[stage], wanted) == 0) {
        puts("reached");
        fflush(stdout);
        for (;;) {
            pause();
        }
    }
}

#define need(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("failed: %s: %s\n", #condition, troth_xa_why());                                \
            return EXIT_FAILURE;                                                                   \
        }                                                                                          \
    } while (0)

/* manager DECISIONS STAGE NODES OPEN-STRING NAME=ADDRESS KEY OPEN-STRING NAME=ADDRESS KEY */
static int be_a_manager(char **args) {
    struct troth *troth;
    foreign_tm_init(&tm, xa, args[0]);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        foreign_tm_add(&tm, args[3 + 3 * i]);
    }
    need(troth_open(&troth, &(struct troth_options){.nodes = args[2]}) == 0);
    need(foreign_tm_open(&tm) == XA_OK);
    tx = foreign_tm_name(&tm);
    need(foreign_tm_start(&tm, &tx) == XA_OK);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        struct troth_kv *kv;
        struct troth_kv_tx *branch;
        struct troth_txid txid;
        char text[TROTH_XA_TXID_BYTES];
        const char *key = args[5 + 3 * i];
        need(troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = args[4 + 3 * i]}) == 0);
        need(troth_xa_txid((int)i, text) == 0 && troth_txid_parse(text, &txid) == 0);
        need(troth_kv_join(kv, txid, &branch) == 0);
        need(troth_kv_put(kv, branch, key, strlen(key), "new", 3, NULL) == 0);
    }
    reached(STAGE_WORKED, args[1]);
    need(foreign_tm_end(&tm, &tx) == XA_OK);
    need(foreign_tm_prepare(&tm, &tx));
    reached(STAGE_PREPARED, args[1]);
    foreign_tm_decide(&tm, &tx);
    reached(STAGE_DECIDED, args[1]);
    need(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS) == XA_OK);
    reached(STAGE_HALF, args[1]);
    return EXIT_FAILURE;
}

/* The log's last line. */
static const char *last_line(const char *path) {
    static char line[1024];
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return line;
}

static void run_a_manager_until(enum stage stage) {
    struct process manager = {.pid = 0};
    ssize_t n = readlink("/proc/self/exe", manager.program, sizeof manager.program - 1);
    ck_assert_int_gt(n, 0);
    snprintf(manager.log, sizeof manager.log, "%s/manager-%s.log", cluster_data(f.cluster),
             stages[stage]);
    const char *const first[] = {"manager", tm.decisions, stages[stage], cluster_nodes(f.cluster)};
    for (size_t i = 0; i < N(first); i++) {
        ck_assert_int_eq(process_add_arg(&manager, first[i]), 0);
    }
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        char shard[300];
        strcpy(keys[i], scene_key(i));
        snprintf(shard, sizeof shard, "%s=%s", cluster_member(f.cluster, CLUSTER_SHARD, i),
                 cluster_address(f.cluster, CLUSTER_SHARD, i));
        const char *const more[] = {tm.info[i], shard, keys[i]};
        for (size_t k = 0; k < N(more); k++) {
            ck_assert_int_eq(process_add_arg(&manager, more[k]), 0);
        }
    }
    ck_assert_int_eq(process_start(&manager), 0);
    bool runs = true;
    while (runs && strcmp(last_line(manager.log), "reached\n") != 0) {
        fixture_pause();
        runs = process_running(&manager, NULL);
    }
    fixture_must(&f, runs, "the manager has ended: %s", last_line(manager.log));
    tx = foreign_tm_named(&tm, manager.pid, 1);
    ck_assert_int_eq(process_signal(&manager, SIGKILL), 0);
    ck_assert_int_eq(process_wait(&manager, FIXTURE_PATIENCE_MS, NULL), 0);
    process_release(&manager);
}

START_TEST(L2_what_a_dead_manager_left_is_listed_and_held_until_another_recovers_it) {
    static const int left[] = {0, 2, 2, 1}; /* branches in doubt, by stage */
    scene_open();
    for (int stage = STAGE_PREPARED; stage <= STAGE_HALF; stage++) {
        run_a_manager_until((enum stage)stage);
        ck_assert(scene_is_locked(1, keys[1]));
        ck_assert_int_eq(scene_in_doubt(1), 1);
        must_be(foreign_tm_recover(&tm), left[stage]);
        settled(stage != STAGE_PREPARED);
    }
    scene_close();
}
END_TEST

START_TEST(what_a_dead_manager_had_not_prepared_can_be_rolled_back_by_another) {
    scene_open();
    run_a_manager_until(STAGE_WORKED);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        ck_assert_int_eq(scene_in_doubt(i), 0);
        ck_assert(scene_is_locked(i, keys[i]));
        /* Who knows its names, from its log; else the shard does it, when it has heard nothing
         * for a while (test_foreign.c). */
        must_be(xa->xa_rollback_entry(&tx.xid[i], (int)i, TMNOFLAGS), XA_OK);
    }
    settled(false);
    scene_close();
}
END_TEST

/* ---- Both at once ---------------------------------------------------------------------------- */

static struct fixture_tx begun;

static int put_by_troth(const char *key, const char *value) {
    return troth_kv_put(f.kv, begun.kv, key, strlen(key), value, strlen(value), begun.detail);
}

START_TEST(a_prepared_branch_keeps_troths_transactions_out_until_it_ends) {
    scene_open();
    prepared();
    fixture_begin(&f, &begun, 0, 0);
    ck_assert(scene_is_locked(0, keys[0]));
    foreign_tm_decide(&tm, &tx);
    must_be(foreign_tm_finish(&tm, &tx), XA_OK);
    must_be(put_by_troth(keys[0], "newer"), 0);
    ck_assert_int_eq(fixture_commit(&f, &begun), TROTH_COMMITTED);
    fixture_wait(&f, strcmp(scene_on_disk(0, keys[0]), "newer") == 0, "it is not there");
    scene_close();
}
END_TEST

START_TEST(an_older_transaction_of_troths_wounds_a_branch_that_is_not_prepared) {
    scene_open();
    work();
    fixture_begin(&f, &begun, 0, 0);
    int err = put_by_troth(keys[0], "troths"); /* the older one gets the lock: at once, or not */
    if (err == 0) {
        must_be(scene_put(0, keys[0], "again"), TROTH_ERR_CONFLICT);
        must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_RBDEADLOCK);
        must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XA_RBDEADLOCK);
        must_be(xa->xa_end_entry(&tx.xid[1], 1, TMSUCCESS), XA_OK);
        must_be(xa->xa_rollback_entry(&tx.xid[1], 1, TMNOFLAGS), XA_OK);
        ck_assert_int_eq(fixture_commit(&f, &begun), TROTH_COMMITTED);
        fixture_wait(&f, scene_on_disk(0, keys[0]) != NULL, "it is not there");
        ck_assert_str_eq(scene_on_disk(0, keys[0]), "troths");
    } else {
        must_be(err, TROTH_ERR_TIMEOUT);
        fixture_abort(&f, &begun);
        must_be(foreign_tm_commit(&tm, &tx), XA_OK);
        settled(true);
    }
    scene_close();
}
END_TEST

#define ACCOUNTS  4u /* on each shard */
#define THREADS   2  /* of each kind */
#define TRANSFERS 40

static char accounts[SCENE_SHARDS][ACCOUNTS][64];
static atomic_int moved[2]; /* by Troth; by the other manager */

struct clerk {
    pthread_t thread;
    unsigned seed;
};

static const char *any_account(struct clerk *clerk, unsigned shard) {
    return accounts[shard][(unsigned)rand_r(&clerk->seed) % ACCOUNTS];
}

/* From one shard to the other; in either order, so that there is something to deadlock about. */
static void *move_by_troth(void *arg) {
    struct clerk *clerk = arg;
    for (int i = 0; i < TRANSFERS; i++) {
        unsigned first = (unsigned)rand_r(&clerk->seed) % SCENE_SHARDS;
        const char *from = any_account(clerk, first);
        const char *to = any_account(clerk, 1 - first);
        struct troth_kv_tx *kv;
        struct troth_result result;
        if (troth_kv_begin(f.kv, 0, &kv, &result) != 0) {
            continue;
        }
        if (troth_kv_add(f.kv, kv, from, strlen(from), -1, NULL, NULL, NULL) == 0 &&
            troth_kv_add(f.kv, kv, to, strlen(to), 1, NULL, NULL, NULL) == 0) {
            if (troth_kv_commit(kv, 0, &result) == 0 && result.outcome == TROTH_COMMITTED) {
                atomic_fetch_add(&moved[0], 1);
            }
        } else {
            troth_kv_abort(kv, &result);
        }
    }
    return NULL;
}

static void *move_by_the_other(void *arg) {
    struct clerk *clerk = arg;
    ck_assert_int_eq(foreign_tm_open(&tm), XA_OK);
    for (int i = 0; i < TRANSFERS; i++) {
        unsigned first = (unsigned)rand_r(&clerk->seed) % SCENE_SHARDS;
        struct foreign_tx mine = foreign_tm_name(&tm);
        ck_assert_int_eq(foreign_tm_start(&tm, &mine), XA_OK);
        if (scene_add(first, any_account(clerk, first), -1) == 0 &&
            scene_add(1 - first, any_account(clerk, 1 - first), 1) == 0) {
            if (foreign_tm_commit(&tm, &mine) == XA_OK) {
                atomic_fetch_add(&moved[1], 1);
            }
        } else {
            foreign_tm_rollback(&tm, &mine);
        }
    }
    return NULL;
}

START_TEST(S5_both_kinds_move_money_between_the_same_accounts_and_none_is_lost) {
    scene_open();
    for (unsigned shard = 0; shard < SCENE_SHARDS; shard++) {
        for (unsigned i = 0; i < ACCOUNTS; i++) {
            strcpy(accounts[shard][i], scene_key(shard));
        }
    }
    struct clerk clerks[2 * THREADS];
    for (unsigned i = 0; i < 2 * THREADS; i++) {
        clerks[i].seed = i + 1;
        ck_assert_int_eq(pthread_create(&clerks[i].thread, NULL,
                                        i < THREADS ? move_by_troth : move_by_the_other,
                                        &clerks[i]),
                         0);
    }
    for (unsigned i = 0; i < 2 * THREADS; i++) {
        pthread_join(clerks[i].thread, NULL);
    }
    fixture_wait_quiet(&f);
    long sum = 0;
    for (unsigned shard = 0; shard < SCENE_SHARDS; shard++) {
        ck_assert_int_eq(scene_in_doubt(shard), 0);
        for (unsigned i = 0; i < ACCOUNTS; i++) {
            fixture_wait(&f, !scene_is_locked(shard, accounts[shard][i]), "a lock is left");
            const char *value = scene_on_disk(shard, accounts[shard][i]);
            sum += value == NULL ? 0 : strtol(value, NULL, 10);
        }
    }
    ck_assert_int_eq(sum, 0);
    ck_assert_int_gt(moved[0], 0); /* and neither kind is always in the other's way */
    ck_assert_int_gt(moved[1], 0);
    scene_close();
}
END_TEST

int main(int argc, char **argv) {
    if (argc == 5 + 3 * (int)SCENE_SHARDS && strcmp(argv[1], "manager") == 0) {
        return be_a_manager(argv + 2);
    }
    return fixture_suite_run(
        "xa_foreign",
        (const TTest *[]){
            H2_a_shard_that_dies_while_it_works_has_lost_the_branch_and_says_so,
            L2_a_shard_that_dies_prepared_lists_the_branch_and_holds_its_locks_until_it_is_told,
#ifdef TROTH_CRASH_POINTS
            S4_a_shard_that_dies_in_the_prepare_has_prepared_or_has_not,
            S4_a_shard_that_dies_in_the_commit_finishes_it_when_it_is_asked_again,
            S4_a_shard_that_dies_in_the_rollback_or_in_one_phase_has_done_it_or_not,
#endif
            L2_what_a_dead_manager_left_is_listed_and_held_until_another_recovers_it,
            what_a_dead_manager_had_not_prepared_can_be_rolled_back_by_another,
            a_prepared_branch_keeps_troths_transactions_out_until_it_ends,
            an_older_transaction_of_troths_wounds_a_branch_that_is_not_prepared,
            S5_both_kinds_move_money_between_the_same_accounts_and_none_is_lost, NULL});
}

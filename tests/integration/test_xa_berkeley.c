/* Berkeley DB, an XA resource manager that others wrote, in Troth's transactions: two environments,
 * a participant for each in this process, and programs that work in them in processes of their own.
 *
 * It takes a process for the thread of control, allows one opening of an environment in each, and
 * closes for all. (After a crash of the environment it lists branches without the lengths of
 * their ids, and ends none; that is not tested.) */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/troth.h"
#include "participant/adapters/troth_database.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

#define SIDES       2
#define PATIENCE_MS 60000
#define ORPHANS_MS  4000 /* longer than programs take from prepare to commit, also under load */

/* Opened once, for all tests: main's. */
static char folders[SIDES][64];
static struct troth_database *databases[SIDES];
static struct troth *troth;

/* ---- Programs that work in it ---------------------------------------------------------------- */

static char *client(const char *const *args) {
    struct program_run run;
    program_run(&run, BERKELEY_CLIENT, args);
    ck_assert_msg(run.status == 0, "%s", run.output);
    char *output = strdup(run.output);
    program_run_release(&run);
    return output;
}

static void work(int side, const char *how, const char *gid, const char *key, const char *value) {
    free(client((const char *[]){folders[side], how, gid, key, value, NULL}));
}

static void assert_has(int side, const char *key, const char *value) {
    char *is = client((const char *[]){folders[side], "get", key, NULL});
    ck_assert_str_eq(is, value);
    free(is);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

struct tx {
    struct troth_txid txid;
    struct troth_database_branch branches[SIDES];
};

static void begin(struct tx *tx) {
    char why[600] = "";
    ck_assert_int_eq(troth_begin(troth, 0, &tx->txid, NULL), 0);
    for (int side = 0; side < SIDES; side++) {
        int err = troth_database_enlist(databases[side], tx->txid, 0, &tx->branches[side], why,
                                        sizeof why);
        ck_assert_msg(err == 0, "%s", why);
    }
}

static enum troth_outcome commit(struct tx *tx) {
    struct troth_branch branches[SIDES];
    struct troth_result result = {0};
    for (int side = 0; side < SIDES; side++) {
        branches[side] =
            (struct troth_branch){tx->branches[side].participant, tx->branches[side].incarnation};
    }
    int err;
    do {
        err = troth_commit(troth, tx->txid, branches, SIDES, 0, &result);
    } while (err == TROTH_ERR_TIMEOUT || err == TROTH_ERR_UNKNOWN);
    ck_assert_msg(err == 0, "%s: %s", troth_err_name(err), result.detail);
    return result.outcome;
}

static void count_branch(size_t *n, struct troth_database *database);

/* Until no branch is open at either. */
static void settle(void) {
    size_t n;
    int waited_ms = 0;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        ck_assert_int_lt(waited_ms += 5, PATIENCE_MS);
        n = 0;
        count_branch(&n, databases[0]);
        count_branch(&n, databases[1]);
    } while (n > 0);
}

static int count_each(void *arg, struct troth_txid txid, const char *state, uint64_t since_ms,
                      const char *detail) {
    (void)txid;
    (void)state;
    (void)since_ms;
    (void)detail;
    *(size_t *)arg += 1;
    return 0;
}

static void count_branch(size_t *n, struct troth_database *database) {
    ck_assert_int_eq(troth_database_branches(database, count_each, n), 0);
}

static uint64_t heuristics(void) {
    uint64_t n = 0;
    for (int side = 0; side < SIDES; side++) {
        struct troth_database_counters counters;
        troth_database_counters(databases[side], &counters);
        n += counters.heuristics;
    }
    return n;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

START_TEST(what_its_programs_prepared_is_committed_at_both) {
    struct tx tx;
    begin(&tx);
    work(0, "prepare", tx.branches[0].gid, "committed", "west");
    work(1, "prepare", tx.branches[1].gid, "committed", "east");
    ck_assert_int_eq(commit(&tx), TROTH_COMMITTED);
    settle();
    assert_has(0, "committed", "west");
    assert_has(1, "committed", "east");
    ck_assert_uint_eq(heuristics(), 0);
}
END_TEST

START_TEST(what_they_did_not_prepare_the_participant_prepares) {
    struct tx tx;
    begin(&tx);
    work(0, "work", tx.branches[0].gid, "worked", "west");
    work(1, "prepare", tx.branches[1].gid, "worked", "east");
    ck_assert_int_eq(commit(&tx), TROTH_COMMITTED);
    settle();
    assert_has(0, "worked", "west");
    assert_has(1, "worked", "east");
}
END_TEST

START_TEST(an_abort_rolls_back_what_was_prepared) {
    struct tx tx;
    begin(&tx);
    work(0, "prepare", tx.branches[0].gid, "aborted", "west");
    work(1, "prepare", tx.branches[1].gid, "aborted", "east");
    ck_assert_int_eq(troth_abort(troth, tx.txid, 0, &(struct troth_result){0}), 0);
    settle();
    assert_has(0, "aborted", "");
    assert_has(1, "aborted", "");
}
END_TEST

START_TEST(work_at_one_only_commits_at_none) {
    struct tx tx;
    begin(&tx);
    work(0, "prepare", tx.branches[0].gid, "half", "west");
    ck_assert_int_eq(commit(&tx), TROTH_ABORTED);
    settle();
    assert_has(0, "half", "");
}
END_TEST

START_TEST(what_a_dead_program_left_prepared_is_rolled_back) {
    struct tx tx;
    begin(&tx);
    work(0, "prepare", tx.branches[0].gid, "orphan", "west");
    work(1, "prepare", tx.branches[1].gid, "orphan", "east");
    settle();
    assert_has(0, "orphan", "");
    assert_has(1, "orphan", "");
    ck_assert_uint_eq(heuristics(), 0);
}
END_TEST

START_TEST(all_is_set_up) {
    ck_assert_int_eq(
        troth_open(&troth, &(struct troth_options){.nodes = cluster_nodes(scene_cluster())}), 0);
    for (int side = 0; side < SIDES; side++) {
        char why[600] = "";
        struct troth_database_options options = {.name = side == 0 ? "west" : "east",
                                                 .nodes = cluster_nodes(scene_cluster()),
                                                 .connections = 2,
                                                 .scan_ms = 50,
                                                 .patience_ms = ORPHANS_MS};
        snprintf(folders[side], sizeof folders[side], "/tmp/troth-bdb-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folders[side]));
        int err = troth_xa_open(&databases[side], &options, BERKELEY_LIBRARY, "db_xa_switch",
                                folders[side], NULL, why, sizeof why);
        ck_assert_msg(err == 0, "%s", why);
        struct troth_database_counters counters;
        int waited_ms = 0;
        do {
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
            ck_assert_int_lt(waited_ms += 5, PATIENCE_MS);
            troth_database_counters(databases[side], &counters);
        } while (counters.nodes_attached < 3 || !counters.reachable);
    }
}
END_TEST

START_TEST(all_is_taken_down) {
    for (int side = 0; side < SIDES; side++) {
        troth_database_close(databases[side]);
        DIR *folder = opendir(folders[side]);
        char path[400];
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            snprintf(path, sizeof path, "%s/%s", folders[side], entry->d_name);
            unlink(path);
        }
        closedir(folder);
        rmdir(folders[side]);
    }
    troth_close(troth);
}
END_TEST

int main(void) {
    return scene_suite_run(
        "xa_berkeley", &(struct scene_options){.nodes = 3, .shards = 1},
        (const TTest *const[]){
            all_is_set_up, what_its_programs_prepared_is_committed_at_both,
            what_they_did_not_prepare_the_participant_prepares,
            an_abort_rolls_back_what_was_prepared, work_at_one_only_commits_at_none,
            what_a_dead_program_left_prepared_is_rolled_back, all_is_taken_down, NULL});
}

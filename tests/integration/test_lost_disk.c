/* A node's disk is lost for good: docs/lost-disk.md, step by step, and what happens when a branch
 * is left in doubt on the way; and a copy of a disk is started beside its node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/txid.h"
#include "harness/folder.h"
#include "harness/process.h"
#include "harness/programs.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"

#define EXIT_AMNESIA 4
#define LOST         2 /* the node, and its disk */

static struct fixture f;
static const struct fixture_options three_nodes = {.nodes = 3, .shards = 2};
static const char *const next_cell[] = {"--cell", "1", NULL};

static void folder_of(unsigned node, const char *suffix, char path[4400]) {
    snprintf(path, 4400, "%s/%s%s", cluster_data(f.cluster),
             cluster_member(f.cluster, CLUSTER_NODE, node), suffix);
}

static void move_folder(unsigned node, const char *from, const char *to) {
    char here[4400], there[4400];
    folder_of(node, from, here);
    folder_of(node, to, there);
    fixture_must(&f, rename(here, there) == 0, "cannot rename %s", here);
    fixture_must(&f, folder_make(here) == 0, "cannot make %s", here);
}

static void lose_the_disk(void) {
    char path[4400];
    fixture_kill(&f, CLUSTER_NODE, LOST);
    folder_of(LOST, "", path);
    folder_remove(path);
    fixture_must(&f, folder_make(path) == 0, "cannot make %s", path);
}

static void stop_all(void) {
    for (unsigned i = 0; i < f.shards; i++) {
        if (fixture_runs(&f, CLUSTER_SHARD, i)) {
            fixture_stop(&f, CLUSTER_SHARD, i);
        }
    }
    for (unsigned i = 0; i < f.nodes; i++) {
        if (fixture_runs(&f, CLUSTER_NODE, i)) {
            fixture_stop(&f, CLUSTER_NODE, i);
        }
    }
}

/* Each participant remembers the disks of the nodes that it gave its votes. */
static void shards_forget_the_nodes(void) {
    for (unsigned i = 0; i < f.shards; i++) {
        db_change(cluster_database(f.cluster, CLUSTER_SHARD, i), "DELETE FROM troth_node");
    }
}

static void launch(unsigned nodes, const char *const *args) {
    f.node_args = args;
    for (unsigned i = 0; i < nodes; i++) {
        fixture_launch(&f, CLUSTER_NODE, i, NULL);
    }
    fixture_launch(&f, CLUSTER_SHARD, 0, NULL);
    fixture_start(&f, CLUSTER_SHARD, 1, NULL);
}

START_TEST(a_lost_disk_is_replaced_by_a_cluster_of_another_cell_and_no_data_is_lost) {
    struct fixture_tx before, without, after;
    int status;
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &before, LOST, 0);
    ck_assert_int_eq(fixture_commit(&f, &before), TROTH_COMMITTED);
    fixture_settle(&f, &before, TROTH_COMMITTED);
    lose_the_disk();

    /* An empty disk is refused, and the others go on without it. */
    fixture_launch(&f, CLUSTER_NODE, LOST, NULL);
    ck_assert_int_eq(cluster_wait_exit(f.cluster, CLUSTER_NODE, LOST, FIXTURE_PATIENCE_MS, &status),
                     0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_AMNESIA);
    ck_assert(fixture_log_has(&f, CLUSTER_NODE, LOST, "docs/lost-disk.md"));
    fixture_work(&f, &without, 0, 0);
    ck_assert_int_eq(fixture_commit(&f, &without), TROTH_COMMITTED);
    fixture_settle(&f, &without, TROTH_COMMITTED);

    fixture_wait_quiet(&f);
    stop_all();
    for (unsigned i = 0; i < f.nodes; i++) {
        move_folder(i, "", ".before");
    }
    shards_forget_the_nodes();
    launch(f.nodes, next_cell);

    fixture_work(&f, &after, 1, 0);
    ck_assert_uint_eq(troth_txid_cell(after.txid), 1);
    ck_assert_int_eq(fixture_commit(&f, &after), TROTH_COMMITTED);
    fixture_settle(&f, &after, TROTH_COMMITTED);
    /* All three count again. */
    fixture_kill(&f, CLUSTER_NODE, 0);
    fixture_work(&f, &after, 1, 0);
    ck_assert_int_eq(fixture_commit(&f, &after), TROTH_COMMITTED);
    for (unsigned shard = 0; shard < f.shards; shard++) {
        char sql[160];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM kv_text WHERE key IN ('%s', '%s')",
                 before.key[shard], without.key[shard]);
        ck_assert_int_eq(db_number(cluster_database(f.cluster, CLUSTER_SHARD, shard), sql), 2);
    }
    fixture_close(&f);
}
END_TEST

#ifdef TROTH_CRASH_POINTS
START_TEST(a_branch_of_the_cell_before_is_told_and_ends_when_its_nodes_run_again) {
    struct fixture_tx tx;
    enum troth_outcome outcome;
    fixture_open(&f, &three_nodes);
    fixture_restart(&f, CLUSTER_SHARD, 0, "after.store.prepared");
    fixture_work(&f, &tx, 0, 0);
    (void)fixture_try_commit(&f, &tx, 1000, &outcome);
    fixture_wait_crash(&f, CLUSTER_SHARD, 0);
    lose_the_disk();
    stop_all();
    ck_assert_int_gt(fixture_in_doubt(&f, 0), 0); /* where one looked, one would stop here */
    move_folder(0, "", ".before");
    move_folder(1, "", ".before");
    shards_forget_the_nodes();
    launch(f.nodes, next_cell);
    fixture_wait(&f, fixture_log_has(&f, CLUSTER_NODE, 0, "of cell 0"), "nobody says so");
    ck_assert(fixture_log_has(&f, CLUSTER_NODE, 0, "docs/lost-disk.md"));
    ck_assert_int_gt(fixture_in_doubt(&f, 0), 0);

    stop_all();
    for (unsigned i = 0; i < LOST; i++) {
        char path[4400];
        folder_of(i, "", path);
        folder_remove(path);
        char kept[4400];
        folder_of(i, ".before", kept);
        fixture_must(&f, rename(kept, path) == 0, "cannot rename %s", kept);
    }
    shards_forget_the_nodes();
    launch(LOST, NULL);
    fixture_settle(&f, &tx, outcome);
    fixture_close(&f);
}
END_TEST
#endif

/* By both other nodes: one of them and the copy were a majority. */
static bool copy_is_refused(struct process *copy) {
    char *log = file_text(copy->log);
    bool told = strstr(log, "remove the copy") != NULL &&
                fixture_log_has(&f, CLUSTER_NODE, 0, "node 3 runs already") &&
                fixture_log_has(&f, CLUSTER_NODE, 1, "node 3 runs already");
    fixture_must(&f, fixture_runs(&f, CLUSTER_NODE, LOST), "the node ended: %s", log);
    fixture_must(&f, strstr(log, "is ready") == NULL, "the copy takes part: %s", log);
    fixture_must(&f, process_running(copy, NULL), "the copy ended: %s", log);
    free(log);
    return told;
}

/* What the node has promised since the copy was made, and promises now, is not on the copy. */
START_TEST(S4_a_copy_that_is_started_beside_its_node_is_refused_and_the_node_goes_on) {
    static struct process copy; /* large */
    struct fixture_tx tx;
    char here[4400], there[4400], command[9000], nodes[1024], listen[64], why[512];
    fixture_open(&f, &three_nodes);
    folder_of(LOST, "", here);
    folder_of(LOST, ".copy", there);
    snprintf(command, sizeof command, "cp -r '%s' '%s' && rm '%s/node.db.lock'", here, there,
             there);
    ck_assert_int_eq(system(command), 0);
    fixture_work(&f, &tx, LOST, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);

    ck_assert_int_eq(program_find(NULL, PROGRAM_TROTHD, copy.program, why, sizeof why), 0);
    snprintf(copy.log, sizeof copy.log, "%s.log", there);
    snprintf(nodes, sizeof nodes, "1=%s,2=%s,3=%s", cluster_address(f.cluster, CLUSTER_NODE, 0),
             cluster_address(f.cluster, CLUSTER_NODE, 1),
             cluster_address(f.cluster, CLUSTER_NODE, LOST));
    snprintf(listen, sizeof listen, "127.0.0.2%s",
             strchr(cluster_address(f.cluster, CLUSTER_NODE, LOST), ':'));
    const char *const args[] = {"--node",   "3",    "--nodes", nodes,
                                "--listen", listen, "--data",  there};
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        ck_assert_int_eq(process_add_arg(&copy, args[i]), 0);
    }
    ck_assert_int_eq(process_start(&copy), 0);
    fixture_wait(&f, copy_is_refused(&copy), "the copy is not refused");
    fixture_work(&f, &tx, LOST, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
    process_release(&copy);
    fixture_restart(&f, CLUSTER_NODE, LOST, NULL);
    fixture_close(&f);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        S4_a_copy_that_is_started_beside_its_node_is_refused_and_the_node_goes_on,
        a_lost_disk_is_replaced_by_a_cluster_of_another_cell_and_no_data_is_lost,
#ifdef TROTH_CRASH_POINTS
        a_branch_of_the_cell_before_is_told_and_ends_when_its_nodes_run_again,
#endif
        NULL};
    return fixture_suite_run("lost_disk", tests);
}

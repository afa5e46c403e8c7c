/* Data folders, ports and names that a program can't or must not use: it says which and what to do,
 * exits (but a shard, refused by the nodes, dials on), and has changed nothing; the process that
 * they belong to starts and serves as before. */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/folder.h"
#include "harness/process.h"
#include "harness/programs.h"
#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

#define PATH_BYTES    4400
#define ARGS_MAX      16
#define CANNOT_START  1
#define NO_STORAGE    3 /* trothd's */
#define READY_MS      60000
#define DUMP_META     "SELECT name, value FROM meta ORDER BY name"
#define DUMP_META_LOG "SELECT key, value FROM troth_meta ORDER BY key"

struct args {
    const char *list[ARGS_MAX + 1];
    unsigned n;
};

static void add(struct args *args, const char *name, const char *value) {
    ck_assert_uint_le(args->n + 2, ARGS_MAX);
    args->list[args->n++] = name;
    args->list[args->n++] = value;
}

static void ends_with(enum program which, const struct args *args, int status,
                      const char *const *words) {
    char program[PROGRAMS_PATH_BYTES];
    char why[512];
    struct program_run run;
    ck_assert_msg(program_find(NULL, which, program, why, sizeof why) == 0, "%s", why);
    program_run(&run, program, args->list);
    ck_assert_msg(run.status == status, "exit status %d: %s", run.status, run.output);
    scene_has_words(run.output, words);
    program_run_release(&run);
}

/* The program refuses to start. */
static void cannot_start(enum program which, const struct args *args, const char *const *words) {
    ends_with(which, args, CANNOT_START, words);
}

static void folder_of(enum cluster_role role, char folder[PATH_BYTES]) {
    snprintf(folder, PATH_BYTES, "%s/%s", cluster_data(scene_cluster()),
             cluster_member(scene_cluster(), role, 0));
}

static void stop(enum cluster_role role) {
    ck_assert_int_eq(cluster_stop(scene_cluster(), role, 0, READY_MS), 0);
}

static void start(enum cluster_role role) {
    char why[CLUSTER_WHY_BYTES];
    ck_assert_msg(cluster_start(scene_cluster(), role, 0, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(scene_cluster(), READY_MS, why) == 0, "%s", why);
}

/* The node's or the shard's database refuses this command line, and is left as it is. */
static void database_refuses(enum cluster_role role, const struct args *args,
                             const char *const *words) {
    const char *path = cluster_database(scene_cluster(), role, 0);
    const char *sql = role == CLUSTER_NODE ? DUMP_META : DUMP_META_LOG;
    stop(role);
    char *before = db_dump(path, sql);
    cannot_start(role == CLUSTER_NODE ? PROGRAM_TROTHD : PROGRAM_SHARD, args, words);
    char *after = db_dump(path, sql);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    start(role);
    scene_serves();
}

START_TEST(a_folder_of_another_cluster_node_or_size_is_refused) {
    static const char three[] = "1=127.0.0.1:1,2=127.0.0.1:2,3=127.0.0.1:3";
    const char *path = cluster_database(scene_cluster(), CLUSTER_NODE, 0);
    char folder[PATH_BYTES];
    folder_of(CLUSTER_NODE, folder);
    struct args troy = {.n = 0};
    add(&troy, "--nodes", "1=127.0.0.1:0");
    add(&troy, "--data", folder);
    add(&troy, "--cluster", "troy");
    database_refuses(CLUSTER_NODE, &troy,
                     (const char *[]){path, "cluster troth", "troy", "`data`", "`cluster`", NULL});
    struct args second = {.n = 0};
    add(&second, "--nodes", three);
    add(&second, "--listen", "127.0.0.1:9");
    add(&second, "--node", "2");
    add(&second, "--data", folder);
    second.list[3] = scene_node(0); /* a port that is free when the node is down */
    database_refuses(CLUSTER_NODE, &second,
                     (const char *[]){path, "node 1", "node 2", "`node`", NULL});
    second.list[5] = "1";
    database_refuses(CLUSTER_NODE, &second,
                     (const char *[]){path, "cluster of 1 nodes", "not of 3", "`nodes`", NULL});
}
END_TEST

START_TEST(a_shards_folder_of_another_cluster_or_name_is_refused) {
    const char *path = cluster_database(scene_cluster(), CLUSTER_SHARD, 0);
    char folder[PATH_BYTES];
    folder_of(CLUSTER_SHARD, folder);
    struct args args = {.n = 0};
    add(&args, "--listen", "127.0.0.1:0");
    add(&args, "--nodes", scene_node(0));
    add(&args, "--data", folder);
    add(&args, "--name", "shard-1");
    add(&args, "--cluster", "troy");
    database_refuses(CLUSTER_SHARD, &args, (const char *[]){path, "troth", "troy", NULL});
    args.list[7] = "shard-2";
    args.list[9] = "troth";
    database_refuses(CLUSTER_SHARD, &args, (const char *[]){path, "shard-1", "shard-2", NULL});
}
END_TEST

/* Makes a change, sees the start refused because of it, and takes it back. */
static void changed_database_refuses(enum cluster_role role, const char *change,
                                     const char *change_back, const char *const *words) {
    const char *path = cluster_database(scene_cluster(), role, 0);
    char folder[PATH_BYTES];
    struct args args = {.n = 0};
    folder_of(role, folder);
    add(&args, "--data", folder);
    add(&args, "--nodes", role == CLUSTER_NODE ? "1=127.0.0.1:0" : scene_node(0));
    if (role == CLUSTER_SHARD) {
        add(&args, "--listen", "127.0.0.1:0");
    }
    stop(role);
    db_change(path, change);
    cannot_start(role == CLUSTER_NODE ? PROGRAM_TROTHD : PROGRAM_SHARD, &args, words);
    db_change(path, change_back);
    start(role);
    scene_serves();
}

START_TEST(a_database_of_a_newer_version_or_another_program_is_refused) {
    const char *node = cluster_database(scene_cluster(), CLUSTER_NODE, 0);
    const char *shard = cluster_database(scene_cluster(), CLUSTER_SHARD, 0);
    char back[128];
    snprintf(back, sizeof back, "PRAGMA user_version = %d",
             (int)db_number(node, "PRAGMA user_version"));
    changed_database_refuses(CLUSTER_NODE, "PRAGMA user_version = 99", back,
                             (const char *[]){node, "newer version", "99", "run that", NULL});
    snprintf(back, sizeof back, "PRAGMA application_id = %d",
             (int)db_number(node, "PRAGMA application_id"));
    changed_database_refuses(CLUSTER_NODE, "PRAGMA application_id = 7", back,
                             (const char *[]){node, "another program", NULL});
    snprintf(back, sizeof back, "UPDATE troth_meta SET value = %d WHERE key = 'version'",
             (int)db_number(shard, "SELECT value FROM troth_meta WHERE key = 'version'"));
    changed_database_refuses(CLUSTER_SHARD,
                             "UPDATE troth_meta SET value = '99' WHERE key = 'version'", back,
                             (const char *[]){shard, "newer version", "99", "run that", NULL});
}
END_TEST

static void damaged_file_refuses(enum cluster_role role, const char *name) {
    const char *path = cluster_database(scene_cluster(), role, 0);
    char temporary[PATH_BYTES];
    char damaged[PATH_BYTES + 32];
    struct args args = {.n = 0};
    ck_assert_int_eq(folder_make_temporary(temporary, sizeof temporary), 0);
    snprintf(damaged, sizeof damaged, "%s/%s", temporary, name);
    file_write(damaged, "This is not a database; somebody has saved a letter here instead. It is "
                        "longer than the hundred bytes of the header of a database of SQLite.");
    add(&args, "--data", temporary);
    add(&args, "--nodes", role == CLUSTER_NODE ? "1=127.0.0.1:0" : scene_node(0));
    if (role == CLUSTER_SHARD) {
        add(&args, "--listen", "127.0.0.1:0");
    }
    cannot_start(role == CLUSTER_NODE ? PROGRAM_TROTHD : PROGRAM_SHARD, &args,
                 (const char *[]){damaged, "not a database", NULL});
    char *left = file_text(damaged);
    ck_assert_msg(strncmp(left, "This is not", 11) == 0, "the file was written over");
    free(left);
    folder_remove(temporary);
    ck_assert_int_eq(access(path, R_OK), 0);
}

START_TEST(a_damaged_database_is_refused_and_left_as_it_is) {
    damaged_file_refuses(CLUSTER_NODE, "node.db");
    damaged_file_refuses(CLUSTER_SHARD, "shard.db");
}
END_TEST

START_TEST(a_folder_or_a_port_that_a_live_process_uses_is_refused) {
    char folder[PATH_BYTES];
    char nodes[160];
    char temporary[PATH_BYTES];
    struct args args = {.n = 0};
    folder_of(CLUSTER_NODE, folder);
    add(&args, "--nodes", "1=127.0.0.1:0");
    add(&args, "--data", folder);
    cannot_start(PROGRAM_TROTHD, &args, (const char *[]){folder, "in use", "stop", NULL});
    ck_assert_int_eq(folder_make_temporary(temporary, sizeof temporary), 0);
    snprintf(nodes, sizeof nodes, "1=%s", scene_node(0));
    args.list[1] = nodes;
    args.list[3] = temporary;
    cannot_start(PROGRAM_TROTHD, &args,
                 (const char *[]){"cannot listen", scene_node(0), "in use", "`listen`", NULL});

    args = (struct args){.n = 0};
    folder_of(CLUSTER_SHARD, folder);
    add(&args, "--nodes", scene_node(0));
    add(&args, "--data", folder);
    add(&args, "--listen", "127.0.0.1:0");
    cannot_start(PROGRAM_SHARD, &args, (const char *[]){folder, "in use", "stop", NULL});
    args.list[3] = temporary;
    args.list[5] = scene_shard(0);
    cannot_start(PROGRAM_SHARD, &args,
                 (const char *[]){"cannot listen", scene_shard(0), "--listen", NULL});
    ck_assert(folder_is_empty(temporary));
    folder_remove(temporary);
    scene_serves();
}
END_TEST

/* Root passes over a folder's mode, unless it has given this up, for this process and those that
 * it starts. */
static void give_up_passing_over_modes(void) {
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
}

START_TEST(a_folder_that_cannot_be_written_is_refused) {
    static const enum program programs[] = {PROGRAM_TROTHD, PROGRAM_SHARD};
    char temporary[PATH_BYTES];
    char path[PATH_BYTES + 64];
    ck_assert_int_eq(folder_make_temporary(temporary, sizeof temporary), 0);
    give_up_passing_over_modes();
    for (int i = 0; i < 2; i++) {
        struct args args = {.n = 0};
        int status = i == 0 ? NO_STORAGE : CANNOT_START;
        add(&args, "--nodes", i == 0 ? "1=127.0.0.1:0" : scene_node(0));
        add(&args, "--data", path);
        if (i == 1) {
            add(&args, "--listen", "127.0.0.1:0");
        }
        snprintf(path, sizeof path, "%s/read-only", temporary);
        ck_assert_int_eq(mkdir(path, 0555), 0);
        ends_with(programs[i], &args, status,
                  (const char *[]){path, "writable", "Permission denied", NULL});
        ck_assert(folder_is_empty(path));
        ck_assert_int_eq(rmdir(path), 0);
        snprintf(path, sizeof path, "%s/a-file", temporary);
        file_write(path, "no folder\n");
        ends_with(programs[i], &args, status, (const char *[]){path, "Not a directory", NULL});
        snprintf(path, sizeof path, "%s/not/there", temporary);
        ends_with(programs[i], &args, status, (const char *[]){path, "No such file", NULL});
    }
    folder_remove(temporary);
}
END_TEST

/* ARCHITECTURE H10 */
START_TEST(a_damaged_record_is_isolated_and_alarmed_and_the_rest_serves) {
    const char *path = cluster_database(scene_cluster(), CLUSTER_NODE, 0);
    stop(CLUSTER_NODE);
    char *txid = db_text(path, "SELECT lower(hex(txid)) FROM record WHERE outcome = 1 LIMIT 1");
    ck_assert_uint_eq(strlen(txid), SCENE_TXID_BYTES - 1);
    char sql[160];
    snprintf(sql, sizeof sql, "UPDATE record SET promised = promised + 1 WHERE hex(txid) = '%s'",
             txid);
    db_change(path, sql);
    start(CLUSTER_NODE);
    scene_serves();
    char *log = file_text(cluster_log(scene_cluster(), CLUSTER_NODE, 0));
    scene_has_words(log, (const char *[]){" error ", "damaged", txid, NULL});
    free(log);
    /* With one node nobody else knows; above all it must not be called aborted. */
    scene_refuses(scene_get(0, txid), RPC_UNAVAILABLE, (const char *[]){"damaged", NULL});
    scene_refuses(scene_commit(0, txid, 0, NULL), RPC_UNAVAILABLE,
                  (const char *[]){"damaged", NULL});
    scene_serves();
    stop(CLUSTER_NODE);
    snprintf(sql, sizeof sql, "UPDATE record SET promised = promised - 1 WHERE hex(txid) = '%s'",
             txid);
    db_change(path, sql);
    start(CLUSTER_NODE);
    struct raw_answer answer = scene_get(0, txid);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    ck_assert_int_eq(((Troth__V1__Transaction *)answer.reply)->outcome,
                     TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    raw_free(answer.reply);
    free(txid);
}
END_TEST

/* ---- Names that are taken ------------------------------------------------------------------ */

/* A shard that the nodes refuse says why, goes on dialling, and stops in order. */
static void shard_is_refused(const char *name, const char *cluster, const char *const *words) {
    static struct process process; /* large */
    char folder[4096];
    char why[512];
    ck_assert_int_eq(folder_make_temporary(folder, sizeof folder), 0);
    process = (struct process){.pid = 0};
    ck_assert_int_eq(program_find(NULL, PROGRAM_SHARD, process.program, why, sizeof why), 0);
    snprintf(process.log, sizeof process.log, "%s.log", folder);
    const char *const args[] = {"--name",      name,       "--cluster",   cluster,  "--nodes",
                                scene_node(0), "--listen", "127.0.0.1:0", "--data", folder};
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        ck_assert_int_eq(process_add_arg(&process, args[i]), 0);
    }
    ck_assert_int_eq(process_start(&process), 0);
    char *log = file_text(process.log);
    for (int ms = 0; strstr(log, words[0]) == NULL; ms += 10) {
        ck_assert_msg(ms < RAW_WAIT_MS && process_running(&process, NULL), "%s", log);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        free(log);
        log = file_text(process.log);
    }
    scene_has_words(log, words);
    free(log);
    scene_serves();
    ck_assert_int_eq(process_stop(&process, RAW_WAIT_MS), 0);
    unlink(process.log);
    process_release(&process);
    folder_remove(folder);
}

START_TEST(a_second_shard_with_the_name_of_a_live_one_is_told_so) {
    shard_is_refused("shard-1", "troth",
                     (const char *[]){"ALREADY_EXISTS", "shard-1", "another live process",
                                      "give each its own", NULL});
}
END_TEST

START_TEST(a_shard_of_another_cluster_is_told_so) {
    shard_is_refused("stranger", "troy",
                     (const char *[]){"FAILED_PRECONDITION", "stranger", "cluster troy",
                                      "cluster troth", "correct", NULL});
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_folder_of_another_cluster_node_or_size_is_refused,
        a_shards_folder_of_another_cluster_or_name_is_refused,
        a_database_of_a_newer_version_or_another_program_is_refused,
        a_damaged_database_is_refused_and_left_as_it_is,
        a_folder_or_a_port_that_a_live_process_uses_is_refused,
        a_second_shard_with_the_name_of_a_live_one_is_told_so,
        a_shard_of_another_cluster_is_told_so,
        a_damaged_record_is_isolated_and_alarmed_and_the_rest_serves,
        a_folder_that_cannot_be_written_is_refused, /* the last: it gives up a capability */
        NULL,
    };
    return scene_suite_run("bad_input_data", &(struct scene_options){.nodes = 1, .shards = 1},
                           tests);
}

/* A full disk (ARCHITECTURE H9): the process stops by itself with a clear error, has told nothing
 * that it could not keep, and its next start, with room, replays.
 *
 * The disk is full for one process at a time: no file of its may grow beyond a limit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness/folder.h"
#include "harness/programs.h"
#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

#define READY_MS        60000
#define ROOM_BYTES      (96u << 10) /* until the disk is full */
#define TRANSACTIONS    2000
#define EXIT_NO_STORAGE 3 /* trothd's */

static char committed[TRANSACTIONS][SCENE_TXID_BYTES];
static unsigned n_committed;

static void fill_the_disk_of(enum cluster_role role) {
    char log[4400];
    struct stat size = {.st_size = 0};
    snprintf(log, sizeof log, "%s-wal", cluster_database(scene_cluster(), role, 0));
    ck_assert_int_eq(stat(log, &size), 0);
    const struct rlimit limit = {.rlim_cur = (rlim_t)size.st_size + ROOM_BYTES,
                                 .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(prlimit(cluster_pid(scene_cluster(), role, 0), RLIMIT_FSIZE, &limit, NULL), 0);
}

/* A short deadline, since nobody may answer. */
static struct raw_answer ask(const char *address, const char *method,
                             const ProtobufCMessage *request,
                             const ProtobufCMessageDescriptor *type) {
    struct raw_answer answer = {.text = ""};
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, raw_rpc(), address), 0);
    answer.status =
        rpc_call_sync(channel, method, request, type, 10000, false, &answer.reply, answer.text);
    rpc_channel_free(channel);
    return answer;
}

/* Puts a key named like the transaction, on both shards, and commits. False when it fails. */
static bool work(char txid[SCENE_TXID_BYTES]) {
    static char value[4000];
    Troth__V1__BeginRequest begin = TROTH__V1__BEGIN_REQUEST__INIT;
    Troth__V1__KvPutRequest put = TROTH__V1__KV_PUT_REQUEST__INIT;
    Troth__V1__CommitRequest commit = TROTH__V1__COMMIT_REQUEST__INIT;
    memset(value, 'v', sizeof value);
    begin.timeout_ms = 60000;
    struct raw_answer answer = ask(scene_node(0), "/troth.v1.Transactions/Begin", &begin.base,
                                   &troth__v1__begin_reply__descriptor);
    if (answer.status != RPC_OK) {
        return false;
    }
    strcpy(txid, ((Troth__V1__BeginReply *)answer.reply)->txid);
    raw_free(answer.reply);
    put.txid = txid;
    put.key = (ProtobufCBinaryData){.len = strlen(txid), .data = (uint8_t *)txid};
    put.value = (ProtobufCBinaryData){.len = sizeof value, .data = (uint8_t *)value};
    for (unsigned i = 0; i < 2; i++) {
        answer = ask(scene_shard(i), "/troth.v1.KeyValue/Put", &put.base,
                     &troth__v1__kv_write_reply__descriptor);
        if (answer.status != RPC_OK) {
            return false;
        }
        raw_free(answer.reply);
    }
    commit.txid = txid;
    answer = ask(scene_node(0), "/troth.v1.Transactions/Commit", &commit.base,
                 &troth__v1__outcome_reply__descriptor);
    if (answer.status != RPC_OK) {
        return false;
    }
    int outcome = (int)((Troth__V1__OutcomeReply *)answer.reply)->outcome;
    raw_free(answer.reply);
    return outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
}

static void work_until_it_is_full(enum cluster_role role) {
    n_committed = 0;
    while (n_committed < TRANSACTIONS && work(committed[n_committed])) {
        n_committed++;
    }
    ck_assert_uint_gt(n_committed, 0);
    ck_assert_msg(n_committed < TRANSACTIONS, "%s goes on",
                  cluster_member(scene_cluster(), role, 0));
}

static bool has_key(unsigned shard, const char *key) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM kv_text WHERE key = '%s'", key);
    return db_number(cluster_database(scene_cluster(), CLUSTER_SHARD, shard), sql) == 1;
}

static void restart_and_check(enum cluster_role role) {
    char why[CLUSTER_WHY_BYTES];
    ck_assert_msg(cluster_start(scene_cluster(), role, 0, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(scene_cluster(), READY_MS, why) == 0, "%s", why);
    free(scene_snapshot()); /* waits until all of it has ended */
    for (unsigned i = 0; i < n_committed; i++) {
        struct raw_answer answer = scene_get(0, committed[i]);
        ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
        ck_assert_int_eq(((Troth__V1__Transaction *)answer.reply)->outcome,
                         TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
        raw_free(answer.reply);
    }
    scene_serves(); /* on both shards behind what was before: all that was decided is applied */
    for (unsigned i = 0; i < n_committed; i++) {
        ck_assert_msg(has_key(0, committed[i]) && has_key(1, committed[i]), "%s is lost",
                      committed[i]);
    }
    /* The one that was under way: on both or on none (S1). */
    const char *last = committed[n_committed];
    ck_assert_int_eq(has_key(0, last), has_key(1, last));
}

static void stops_by_itself(enum cluster_role role, int exit_status, const char *const *words) {
    int status = 0;
    ck_assert_int_eq(cluster_wait_exit(scene_cluster(), role, 0, READY_MS, &status), 0);
    char *log = file_text(cluster_log(scene_cluster(), role, 0));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == exit_status,
                  "status %x instead of exit %d: %s", (unsigned)status, exit_status, log);
    scene_has_words(log, words);
    free(log);
}

START_TEST(a_node_on_a_full_disk_stops_and_keeps_what_it_told) {
    const char *path = cluster_database(scene_cluster(), CLUSTER_NODE, 0);
    fill_the_disk_of(CLUSTER_NODE);
    work_until_it_is_full(CLUSTER_NODE);
    stops_by_itself(CLUSTER_NODE, EXIT_NO_STORAGE,
                    (const char *[]){" error ", path, "disk", "start this node again", NULL});
    restart_and_check(CLUSTER_NODE);
}
END_TEST

START_TEST(a_shard_on_a_full_disk_stops_and_keeps_what_it_told) {
    const char *path = cluster_database(scene_cluster(), CLUSTER_SHARD, 0);
    fill_the_disk_of(CLUSTER_SHARD);
    work_until_it_is_full(CLUSTER_SHARD);
    stops_by_itself(CLUSTER_SHARD, 1, (const char *[]){" error ", path, "disk", NULL});
    restart_and_check(CLUSTER_SHARD);
}
END_TEST

/* Wherever the space ends. What it says goes through a pipe, since its log's file has no room
 * either.
 */
START_TEST(a_node_whose_disk_is_full_at_its_first_start_says_so) {
    char temporary[4096], command[PROGRAMS_PATH_BYTES + 4400], program[PROGRAMS_PATH_BYTES];
    char why[512];
    struct program_run run;
    ck_assert_int_eq(folder_make_temporary(temporary, sizeof temporary), 0);
    ck_assert_msg(program_find(NULL, PROGRAM_TROTHD, program, why, sizeof why) == 0, "%s", why);
    for (unsigned kib = 0; kib <= 64; kib += 16) {
        snprintf(command, sizeof command,
                 "set -o pipefail; trap '' XFSZ; (ulimit -f %u; exec '%s' --nodes 1=127.0.0.1:0 "
                 "--data '%s/%u')"
                 " 2>&1 | cat",
                 kib, program, temporary, kib);
        program_run(&run, "/bin/bash", (const char *[]){"-c", command, NULL});
        ck_assert_msg(run.status == EXIT_NO_STORAGE, "status %d: %s", run.status, run.output);
        scene_has_words(run.output,
                        (const char *[]){" error ", temporary, "room", "start again", NULL});
        program_run_release(&run);
    }
    folder_remove(temporary);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {a_node_whose_disk_is_full_at_its_first_start_says_so,
                                  a_node_on_a_full_disk_stops_and_keeps_what_it_told,
                                  a_shard_on_a_full_disk_stops_and_keeps_what_it_told, NULL};
    return scene_suite_run("bad_input_disk", &(struct scene_options){.nodes = 1, .shards = 2},
                           tests);
}

#include "tests/lib/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"

#define READY_MS 60000
#define STOP_MS  30000

static const struct scene_options *the_options;
static struct cluster *the_cluster;
static unsigned serial; /* of keys */

struct cluster *scene_cluster(void) {
    return the_cluster;
}

const char *scene_node(unsigned index) {
    return cluster_address(the_cluster, CLUSTER_NODE, index);
}

const char *scene_shard(unsigned index) {
    return cluster_address(the_cluster, CLUSTER_SHARD, index);
}

static void open_scene(void) {
    char why[CLUSTER_WHY_BYTES];
    unsigned nodes = the_options->nodes;
    const char *const *node_args = the_options->node_args;
    struct cluster_options options = {.nodes = nodes, .shards = the_options->shards};
    ck_assert_msg(cluster_new(&the_cluster, &options, why) == 0, "%s", why);
    for (unsigned i = 0; i < nodes; i++) {
        /* All nodes get the votes, so each has a record to see the end in: wait_until_settled. */
        ck_assert_int_eq(cluster_add_arg(the_cluster, CLUSTER_NODE, i, "--thrifty"), 0);
        ck_assert_int_eq(cluster_add_arg(the_cluster, CLUSTER_NODE, i, "0"), 0);
        for (const char *const *arg = node_args; arg != NULL && *arg != NULL; arg++) {
            ck_assert_int_eq(cluster_add_arg(the_cluster, CLUSTER_NODE, i, *arg), 0);
        }
    }
    ck_assert_msg(cluster_start_all(the_cluster, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(the_cluster, READY_MS, why) == 0, "%s", why);
}

static void stop_member(enum cluster_role role, unsigned index) {
    const char *who = cluster_member(the_cluster, role, index);
    if (!cluster_running(the_cluster, role, index, NULL)) {
        return; /* the test has ended it */
    }
    int status = cluster_stop(the_cluster, role, index, STOP_MS);
    char *log = file_text(cluster_log(the_cluster, role, index));
    bool is_clean = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                    strstr(log, "Sanitizer:") == NULL && strstr(log, "runtime error") == NULL;
    ck_assert_msg(is_clean, "%s ended with status %d: %s", who, status, log);
    free(log);
}

static void close_scene(void) {
    if (the_cluster == NULL) {
        return; /* it did not start */
    }
    for (int role = CLUSTER_SHARD; role >= (int)CLUSTER_NODE; role--) {
        for (unsigned i = 0; i < cluster_count(the_cluster, (enum cluster_role)role); i++) {
            stop_member((enum cluster_role)role, i);
        }
    }
    cluster_free(the_cluster);
    the_cluster = NULL;
    raw_end();
}

/* ---- Calls --------------------------------------------------------------------------------- */

void scene_begin(unsigned node, char txid[SCENE_TXID_BYTES]) {
    Troth__V1__BeginRequest request = TROTH__V1__BEGIN_REQUEST__INIT;
    request.timeout_ms = 600000;
    struct raw_answer answer = raw_call(scene_node(node), "/troth.v1.Transactions/Begin",
                                        &request.base, &troth__v1__begin_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    const Troth__V1__BeginReply *reply = (const Troth__V1__BeginReply *)answer.reply;
    ck_assert_uint_eq(strlen(reply->txid), SCENE_TXID_BYTES - 1);
    strcpy(txid, reply->txid);
    raw_free(answer.reply);
}

struct raw_answer scene_put(unsigned shard, const char *txid, const void *key, size_t key_n,
                            const void *value, size_t value_n) {
    Troth__V1__KvPutRequest request = TROTH__V1__KV_PUT_REQUEST__INIT;
    request.txid = (char *)(uintptr_t)txid;
    request.key = (ProtobufCBinaryData){.len = key_n, .data = (uint8_t *)(uintptr_t)key};
    request.value = (ProtobufCBinaryData){.len = value_n, .data = (uint8_t *)(uintptr_t)value};
    return raw_call(scene_shard(shard), "/troth.v1.KeyValue/Put", &request.base,
                    &troth__v1__kv_write_reply__descriptor);
}

struct raw_answer scene_commit(unsigned node, const char *txid, size_t n,
                               Troth__V1__Branch **branches) {
    Troth__V1__CommitRequest request = TROTH__V1__COMMIT_REQUEST__INIT;
    request.txid = (char *)(uintptr_t)txid;
    request.n_branches = n;
    request.branches = branches;
    return raw_call(scene_node(node), "/troth.v1.Transactions/Commit", &request.base,
                    &troth__v1__outcome_reply__descriptor);
}

struct raw_answer scene_abort(unsigned node, const char *txid) {
    Troth__V1__AbortRequest request = TROTH__V1__ABORT_REQUEST__INIT;
    request.txid = (char *)(uintptr_t)txid;
    return raw_call(scene_node(node), "/troth.v1.Transactions/Abort", &request.base,
                    &troth__v1__outcome_reply__descriptor);
}

struct raw_answer scene_get(unsigned node, const char *txid) {
    Troth__V1__GetRequest request = TROTH__V1__GET_REQUEST__INIT;
    request.txid = (char *)(uintptr_t)txid;
    return raw_call(scene_node(node), "/troth.v1.Transactions/Get", &request.base,
                    &troth__v1__transaction__descriptor);
}

/* ---- What it holds ------------------------------------------------------------------------- */

/* Without ages, and without who is attached. */
static void write_list(unsigned node, FILE *out) {
    Troth__V1__ListRequest request = TROTH__V1__LIST_REQUEST__INIT;
    struct raw_answer answer = raw_call(scene_node(node), "/troth.v1.Transactions/List",
                                        &request.base, &troth__v1__list_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    const Troth__V1__ListReply *reply = (const Troth__V1__ListReply *)answer.reply;
    for (size_t i = 0; i < reply->n_transactions; i++) {
        const Troth__V1__Transaction *tx = reply->transactions[i];
        fprintf(out, "%s state %d outcome %d reason %d ballot %u:", tx->txid, (int)tx->state,
                (int)tx->outcome, (int)tx->reason, tx->ballot);
        for (size_t b = 0; b < tx->n_branches; b++) {
            fprintf(out, " %s/%llx vote %d", tx->branches[b]->branch->participant,
                    (unsigned long long)tx->branches[b]->branch->incarnation,
                    (int)tx->branches[b]->vote);
        }
        fprintf(out, "\n");
    }
    raw_free(answer.reply);
}

static void write_dump(const char *path, const char *sql, FILE *out) {
    char *text = db_dump(path, sql);
    fputs(text, out);
    free(text);
}

/* What follows after an outcome is told: it is stored, acknowledged, and the record shrinks. */
static void wait_until_settled(unsigned node) {
    static const char sql[] = "SELECT count(*) FROM record WHERE finished = 0";
    const char *path = cluster_database(the_cluster, CLUSTER_NODE, node);
    for (int ms = 0; db_number(path, sql) != 0; ms += 10) {
        ck_assert_msg(ms < READY_MS, "node %u has transactions that do not end", node + 1);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

char *scene_snapshot(void) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    for (unsigned i = 0; i < cluster_count(the_cluster, CLUSTER_NODE); i++) {
        const char *path = cluster_database(the_cluster, CLUSTER_NODE, i);
        wait_until_settled(i);
        write_list(i, out);
        /* Not the marks, which move some time after the outcome. */
        write_dump(path, "SELECT txid, promised, void_ballot, outcome, participants FROM record",
                   out);
        write_dump(path, "SELECT * FROM peer", out);
    }
    for (unsigned i = 0; i < cluster_count(the_cluster, CLUSTER_SHARD); i++) {
        const char *path = cluster_database(the_cluster, CLUSTER_SHARD, i);
        write_dump(path, "SELECT key, value FROM kv ORDER BY key", out);
        write_dump(path, "SELECT txid, key, value FROM intent ORDER BY txid, key", out);
        write_dump(path, "SELECT txid FROM troth_branch WHERE state = 'prepared'", out);
    }
    fclose(out);
    return text;
}

void scene_unchanged(char *before) {
    char *now = scene_snapshot();
    size_t same = 0; /* bytes up to the first line that differs */
    for (size_t i = 0; now[i] == before[i] && now[i] != '\0'; i++) {
        same = now[i] == '\n' ? i + 1 : same;
    }
    ck_assert_msg(strcmp(now, before) == 0, "changed from \"%.500s\" to \"%.500s\"", before + same,
                  now + same);
    free(now);
    free(before);
}

/* A node that has started anew may know of a shard's session a moment before the shard does. */
static struct raw_answer put_when_attached(unsigned shard, const char *txid, const char *key) {
    struct raw_answer answer;
    time_t until = time(NULL) + 20;
    do {
        answer = scene_put(shard, txid, key, strlen(key), "yes", 3);
    } while (answer.status == RPC_UNAVAILABLE && time(NULL) < until);
    return answer;
}

static void serves_from(unsigned node) {
    unsigned shards = cluster_count(the_cluster, CLUSTER_SHARD);
    struct raw_answer puts[CLUSTER_MEMBERS_MAX];
    Troth__V1__Branch *branches[CLUSTER_MEMBERS_MAX];
    char txid[SCENE_TXID_BYTES];
    char key[32];
    char sql[96];
    snprintf(key, sizeof key, "serves-%u", ++serial);
    scene_begin(node, txid);
    for (unsigned i = 0; i < shards; i++) {
        puts[i] = put_when_attached(i, txid, key);
        ck_assert_msg(puts[i].status == RPC_OK, "%s", puts[i].text);
        branches[i] = ((Troth__V1__KvWriteReply *)puts[i].reply)->branch;
    }
    struct raw_answer answer = scene_commit(node, txid, shards, branches);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    const Troth__V1__OutcomeReply *reply = (const Troth__V1__OutcomeReply *)answer.reply;
    ck_assert_msg(reply->outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED, "%s", reply->detail);
    raw_free(answer.reply);
    for (unsigned i = 0; i < shards; i++) {
        raw_free(puts[i].reply);
        /* A read waits for the branch's locks, and so for its end. */
        Troth__V1__KvGetRequest get = TROTH__V1__KV_GET_REQUEST__INIT;
        get.key = (ProtobufCBinaryData){.len = strlen(key), .data = (uint8_t *)key};
        answer = raw_call(scene_shard(i), "/troth.v1.KeyValue/Get", &get.base,
                          &troth__v1__kv_get_reply__descriptor);
        ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
        raw_free(answer.reply);
    }
    free(scene_snapshot()); /* who has acknowledged has it on disk */
    for (unsigned i = 0; i < shards; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM kv_text WHERE key = '%s'", key);
        const char *path = cluster_database(the_cluster, CLUSTER_SHARD, i);
        ck_assert_int_eq(db_number(path, sql), 1);
    }
}

void scene_serves(void) {
    for (unsigned i = 0; i < cluster_count(the_cluster, CLUSTER_NODE); i++) {
        serves_from(i);
    }
}

/* ---- Refusals ------------------------------------------------------------------------------ */

void scene_has_words(const char *text, const char *const *words) {
    for (; *words != NULL; words++) {
        ck_assert_msg(strstr(text, *words) != NULL, "\"%s\" is not in: %s", *words, text);
    }
}

void scene_refuses(struct raw_answer answer, int status, const char *const *words) {
    ck_assert_msg(answer.status == status, "%s instead of %s: %s", rpc_status_name(answer.status),
                  rpc_status_name(status), answer.text);
    scene_has_words(answer.text, words);
}

/* ---- Running ------------------------------------------------------------------------------- */

int scene_suite_run(const char *name, const struct scene_options *options,
                    const TTest *const *tests) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    the_options = options;
    tcase_add_unchecked_fixture(tcase, open_scene, close_scene);
    for (; *tests != NULL; tests++) {
        tcase_add_test(tcase, *tests);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

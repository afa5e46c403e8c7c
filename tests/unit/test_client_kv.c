/* The key-value calls: keys go to their shards, branches to the commit, scans over all shards in
 * order. Shards and node are servers in this process. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/troth.h"
#include "rpc/rpc.h"
#include "tests/lib/suite.h"
#include "troth/v1/keyvalue.pb-c.h"
#include "troth/v1/transactions.pb-c.h"

#define TXID   "00000001000000010000000000000007"
#define SHARDS 2
#define PAGE   2 /* pairs that a shard gives at once */

struct shard {
    struct rpc_server *server;
    const char *name;
    uint64_t incarnation;
    int status; /* other than RPC_OK: every write fails with it */
    char last_txid[40];
    unsigned writes;
    unsigned continued;  /* scans that began right behind a key */
    const char *keys[8]; /* in order; NULL ends them; a key's value is itself */
};
static struct shard shards[SHARDS] = {{.name = "a"}, {.name = "b"}};

struct node {
    struct rpc_server *server;
    unsigned commits;
    unsigned aborts;
    unsigned enlistments;
    bool refuses;       /* to enlist */
    char branches[256]; /* of the last commit; what was enlisted */
};
static struct node node;
static struct rpc *rpc;
/* The handlers run on rpc's threads. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
#define LOCKED(statement)                                                                          \
    do {                                                                                           \
        pthread_mutex_lock(&mutex);                                                                \
        statement;                                                                                 \
        pthread_mutex_unlock(&mutex);                                                              \
    } while (0)
static struct troth *troth;
static struct troth_kv *kv;

/* With the mutex. */
static void add_branches(const Troth__V1__SessionRequest *request) {
    for (size_t i = 0; i < request->n_branches; i++) {
        size_t used = strlen(node.branches);
        snprintf(node.branches + used, sizeof node.branches - used, "%s:%llu ",
                 request->branches[i]->participant,
                 (unsigned long long)request->branches[i]->incarnation);
    }
}

static void on_commit(const Troth__V1__SessionRequest *request) {
    pthread_mutex_lock(&mutex);
    node.commits++;
    node.branches[0] = '\0';
    add_branches(request);
    pthread_mutex_unlock(&mutex);
}

static void on_enlist(const Troth__V1__SessionRequest *request, Troth__V1__SessionReply *reply) {
    pthread_mutex_lock(&mutex);
    if (node.refuses) {
        reply->status = RPC_FAILED_PRECONDITION;
    } else {
        node.enlistments++;
        add_branches(request);
    }
    pthread_mutex_unlock(&mutex);
}

/* The node: begins one transaction, commits and aborts what it is told to. */
static void on_request(struct rpc_stream *stream, const Troth__V1__SessionRequest *request) {
    struct troth_txid txid;
    uint8_t bytes[TROTH_TXID_BYTES];
    Troth__V1__SessionReply reply = TROTH__V1__SESSION_REPLY__INIT;
    Troth__V1__SessionReply *replies[] = {&reply};
    Troth__V1__SessionReplies frame = TROTH__V1__SESSION_REPLIES__INIT;
    frame.replies = replies;
    frame.n_replies = 1;
    reply.number = request->number;
    if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN) {
        ck_assert_int_eq(troth_txid_parse(TXID, &txid), 0);
        troth_txid_to_bytes(txid, bytes);
        reply.txid = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
        reply.node = 1;
    } else if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT) {
        on_commit(request);
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
    } else if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST) {
        on_enlist(request, &reply);
    } else {
        LOCKED(node.aborts++);
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
        reply.reason = TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT;
    }
    rpc_stream_send(stream, &frame.base);
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    (void)arg;
    (void)stream;
}

static void on_frame(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)arg;
    Troth__V1__SessionRequests *frame = troth__v1__session_requests__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(frame);
    for (size_t i = 0; i < frame->n_requests; i++) {
        on_request(stream, frame->requests[i]);
    }
    troth__v1__session_requests__free_unpacked(frame, NULL);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)arg;
    (void)stream;
    (void)status;
    (void)text;
}

static Troth__V1__Branch branch_of(const struct shard *shard) {
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)shard->name;
    LOCKED(branch.incarnation = shard->incarnation);
    return branch;
}

static void on_get(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct shard *shard = arg;
    Troth__V1__KvGetRequest *request = troth__v1__kv_get_request__unpack(NULL, n, bytes);
    Troth__V1__KvGetReply reply = TROTH__V1__KV_GET_REPLY__INIT;
    Troth__V1__Branch branch = branch_of(shard);
    reply.branch = &branch;
    reply.found = request->key.len != 6 || memcmp(request->key.data, "absent", 6) != 0;
    reply.value = request->key;
    LOCKED(snprintf(shard->last_txid, sizeof shard->last_txid, "%s", request->txid));
    rpc_call_reply(call, &reply.base);
    troth__v1__kv_get_request__free_unpacked(request, NULL);
}

static void on_put(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct shard *shard = arg;
    Troth__V1__KvPutRequest *request = troth__v1__kv_put_request__unpack(NULL, n, bytes);
    LOCKED(snprintf(shard->last_txid, sizeof shard->last_txid, "%s", request->txid));
    troth__v1__kv_put_request__free_unpacked(request, NULL);
    int status;
    LOCKED(status = shard->status);
    if (status != RPC_OK) {
        rpc_call_fail(call, status, "because");
        return;
    }
    LOCKED(shard->writes++);
    Troth__V1__KvWriteReply reply = TROTH__V1__KV_WRITE_REPLY__INIT;
    Troth__V1__Branch branch = branch_of(shard);
    reply.branch = &branch;
    rpc_call_reply(call, &reply.base);
}

static void on_scan(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct shard *shard = arg;
    Troth__V1__KvScanRequest *request = troth__v1__kv_scan_request__unpack(NULL, n, bytes);
    Troth__V1__KvScanReply reply = TROTH__V1__KV_SCAN_REPLY__INIT;
    Troth__V1__Branch branch = branch_of(shard);
    Troth__V1__KvPair pairs[PAGE];
    Troth__V1__KvPair *list[PAGE];
    char from[16] = "";
    char to[16] = "";
    snprintf(from, sizeof from, "%.*s", (int)request->from.len, (char *)request->from.data);
    snprintf(to, sizeof to, "%.*s", (int)request->to.len, (char *)request->to.data);
    /* A key with a zero byte behind it is the next one. */
    bool behind = request->from.len > strlen(from);
    LOCKED(shard->continued += behind ? 1 : 0);
    for (size_t i = 0; shard->keys[i] != NULL; i++) {
        const char *key = shard->keys[i];
        int order = strcmp(key, from);
        if (order < 0 || (order == 0 && behind) || (to[0] != '\0' && strcmp(key, to) >= 0)) {
            continue;
        }
        if (reply.n_pairs == PAGE) {
            reply.more = true;
            break;
        }
        Troth__V1__KvPair *pair = &pairs[reply.n_pairs];
        troth__v1__kv_pair__init(pair);
        pair->key.data = (uint8_t *)(uintptr_t)key;
        pair->key.len = strlen(key);
        pair->value = pair->key;
        list[reply.n_pairs++] = pair;
    }
    reply.pairs = list;
    reply.branch = &branch;
    rpc_call_reply(call, &reply.base);
    troth__v1__kv_scan_request__free_unpacked(request, NULL);
}

static void set_up(void) {
    char list[128] = "";
    char address[32];
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.threads = 1}), 0);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &shards[i];
        shard->incarnation = 41 + i;
        ck_assert_int_eq(rpc_server_new(&shard->server, rpc, "127.0.0.1:0"), 0);
        rpc_server_unary(shard->server, "/troth.v1.KeyValue/Get", on_get, shard);
        rpc_server_unary(shard->server, "/troth.v1.KeyValue/Put", on_put, shard);
        rpc_server_unary(shard->server, "/troth.v1.KeyValue/Scan", on_scan, shard);
        ck_assert_int_eq(rpc_server_start(shard->server), 0);
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s=127.0.0.1:%d",
                 i == 0 ? "" : ",", shard->name, rpc_server_port(shard->server));
    }
    ck_assert_int_eq(rpc_server_new(&node.server, rpc, "127.0.0.1:0"), 0);
    rpc_server_stream(node.server, "/troth.v1.Transactions/Session",
                      &(struct rpc_stream_handler){
                          .opened = on_opened, .received = on_frame, .closed = on_closed},
                      NULL);
    ck_assert_int_eq(rpc_server_start(node.server), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", rpc_server_port(node.server));
    ck_assert_int_eq(troth_open(&troth, &(struct troth_options){.nodes = address}), 0);
    ck_assert_int_eq(troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = list}), 0);
    ck_assert_str_eq(troth_kv_place(kv, "alice", 5), "a");
    ck_assert_str_eq(troth_kv_place(kv, "bob", 3), "b");
}

static void tear_down(void) {
    troth_kv_close(kv);
    troth_close(troth);
    for (size_t i = 0; i < SHARDS; i++) {
        rpc_server_stop(shards[i].server, 0);
        rpc_server_free(shards[i].server);
    }
    rpc_server_stop(node.server, 0);
    rpc_server_free(node.server);
    rpc_free(rpc);
}

static struct troth_kv_tx *begin(void) {
    struct troth_kv_tx *tx;
    ck_assert_int_eq(troth_kv_begin(kv, 0, &tx, NULL), 0);
    return tx;
}

static int put(struct troth_kv_tx *tx, const char *key) {
    return troth_kv_put(kv, tx, key, strlen(key), "1", 1, NULL);
}

START_TEST(each_key_goes_to_its_shard_and_each_branch_to_commit_once) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    ck_assert_int_eq(put(tx, "bob"), 0);
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(ck_assert_uint_eq(shards[0].writes, 2));
    LOCKED(ck_assert_uint_eq(shards[1].writes, 1));
    LOCKED(ck_assert_str_eq(shards[1].last_txid, TXID));
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    tear_down();
}
END_TEST

/* The shards were promised that Commit names their branches; who ends it now has promised nothing.
 */
START_TEST(S5_a_transaction_that_is_left_has_its_branches_enlisted) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    ck_assert_int_eq(put(tx, "bob"), 0);
    LOCKED(ck_assert_uint_eq(node.enlistments, 0));
    ck_assert_int_eq(troth_kv_leave(tx), 0);
    LOCKED(ck_assert_uint_eq(node.enlistments, 2));
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    LOCKED(ck_assert_uint_eq(node.aborts, 0));
    tear_down();
}
END_TEST

START_TEST(S5_a_transaction_that_is_left_and_can_not_have_its_branches_is_aborted) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(node.refuses = true);
    ck_assert_int_ne(troth_kv_leave(tx), 0);
    LOCKED(ck_assert_uint_eq(node.aborts, 1));
    tear_down();
}
END_TEST

START_TEST(without_a_transaction_no_node_is_asked) {
    set_up();
    ck_assert_int_eq(put(NULL, "alice"), 0);
    LOCKED(ck_assert_str_eq(shards[0].last_txid, ""));
    LOCKED(ck_assert_uint_eq(node.commits, 0));
    tear_down();
}
END_TEST

START_TEST(get_gives_the_value_or_not_found) {
    set_up();
    struct troth_kv_value value;
    ck_assert_int_eq(troth_kv_get(kv, NULL, "alice", 5, false, &value, NULL), 0);
    ck_assert_uint_eq(value.n, 5);
    ck_assert_mem_eq(value.bytes, "alice", 5);
    free(value.bytes);
    ck_assert_int_eq(troth_kv_get(kv, NULL, "absent", 6, false, &value, NULL), TROTH_ERR_NOT_FOUND);
    tear_down();
}
END_TEST

/* S5: after a failure that leaves open whether the work was done, commit must not happen. */
START_TEST(S5_a_transaction_that_may_lack_work_is_not_committed) {
    static const struct {
        int status;
        int err;
    } cases[] = {{RPC_UNAVAILABLE, TROTH_ERR_UNAVAILABLE},
                 {RPC_DEADLINE_EXCEEDED, TROTH_ERR_TIMEOUT},
                 {RPC_ABORTED, TROTH_ERR_CONFLICT}};
    set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct troth_kv_tx *tx = begin();
        ck_assert_int_eq(put(tx, "alice"), 0);
        LOCKED(shards[1].status = cases[i].status);
        char why[TROTH_TEXT_BYTES];
        ck_assert_int_eq(troth_kv_put(kv, tx, "bob", 3, "1", 1, why), cases[i].err);
        ck_assert_ptr_nonnull(strstr(why, "Put at shard b"));
        ck_assert_ptr_nonnull(strstr(why, "because"));
        struct troth_result result;
        ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_ABORTED);
        ck_assert_ptr_nonnull(strstr(result.detail, "Put at shard b"));
        LOCKED(ck_assert_uint_eq(node.commits, 0));
        LOCKED(ck_assert_uint_eq(node.aborts, i + 1));
    }
    tear_down();
}
END_TEST

START_TEST(S5_a_shard_that_restarted_in_between_has_lost_work) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(shards[0].incarnation++);
    ck_assert_int_eq(put(tx, "alice"), TROTH_ERR_CONFLICT);
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    LOCKED(ck_assert_uint_eq(node.commits, 0));
    tear_down();
}
END_TEST

START_TEST(a_refused_write_that_changed_nothing_leaves_the_transaction_alive) {
    set_up();
    struct troth_kv_tx *tx = begin();
    LOCKED(shards[1].status = RPC_FAILED_PRECONDITION);
    ck_assert_int_eq(put(tx, "bob"), TROTH_ERR_STATE);
    LOCKED(shards[1].status = RPC_INVALID_ARGUMENT);
    ck_assert_int_eq(put(tx, "bob"), TROTH_ERR_INVALID);
    LOCKED(shards[1].status = RPC_OK);
    ck_assert_int_eq(put(tx, "bob"), 0);
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down();
}
END_TEST

struct seen {
    char keys[64];
    unsigned until; /* stop at so many */
    unsigned n;
};

static int on_pair(void *arg, const void *key, size_t key_bytes, const void *value,
                   size_t value_bytes) {
    struct seen *seen = arg;
    ck_assert_mem_eq(key, value, key_bytes < value_bytes ? key_bytes : value_bytes);
    strncat(seen->keys, key, key_bytes);
    strcat(seen->keys, " ");
    return ++seen->n == seen->until ? 7 : 0;
}

static void fill_shards(void) {
    static const char *const of_a[] = {"a", "ab", "c", "x", "y"};
    static const char *const of_b[] = {"aa", "b", "d"};
    memcpy(shards[0].keys, of_a, sizeof of_a);
    memcpy(shards[1].keys, of_b, sizeof of_b);
}

START_TEST(a_scan_merges_all_shards_in_order_over_many_pages) {
    set_up();
    fill_shards();
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, NULL, 0, NULL, 0, on_pair, &seen, NULL), 0);
    ck_assert_str_eq(seen.keys, "a aa ab b c d x y ");
    LOCKED(ck_assert_uint_eq(shards[0].continued, 2)); /* 5 keys, 2 a page */
    LOCKED(ck_assert_uint_eq(shards[1].continued, 1));
    tear_down();
}
END_TEST

START_TEST(a_scan_keeps_to_its_range_and_stops_when_told) {
    set_up();
    fill_shards();
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, "aa", 2, "d", 1, on_pair, &seen, NULL), 0);
    ck_assert_str_eq(seen.keys, "aa ab b c ");
    seen = (struct seen){.until = 3};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, NULL, 0, NULL, 0, on_pair, &seen, NULL), 7);
    ck_assert_str_eq(seen.keys, "a aa ab ");
    tear_down();
}
END_TEST

START_TEST(a_scan_in_a_transaction_gathers_every_shards_branch) {
    set_up();
    fill_shards();
    struct troth_kv_tx *tx = begin();
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, tx, NULL, 0, NULL, 0, on_pair, &seen, NULL), 0);
    ck_assert_int_eq(troth_kv_commit(tx, 0, NULL), 0);
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    tear_down();
}
END_TEST

START_TEST(lists_of_shards_that_are_none_are_refused) {
    ck_assert_int_eq(troth_open(&troth, &(struct troth_options){.nodes = "h:1"}), 0);
    static const char *const wrong[] = {"h:1", "a=h:1,a=h:2", "a=h"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = wrong[i]}),
                         TROTH_ERR_INVALID);
    }
    troth_close(troth);
}
END_TEST

int main(void) {
    return suite_run(
        "client_kv",
        (const TTest *[]){each_key_goes_to_its_shard_and_each_branch_to_commit_once,
                          S5_a_transaction_that_is_left_has_its_branches_enlisted,
                          S5_a_transaction_that_is_left_and_can_not_have_its_branches_is_aborted,
                          without_a_transaction_no_node_is_asked, get_gives_the_value_or_not_found,
                          S5_a_transaction_that_may_lack_work_is_not_committed,
                          S5_a_shard_that_restarted_in_between_has_lost_work,
                          a_refused_write_that_changed_nothing_leaves_the_transaction_alive,
                          a_scan_merges_all_shards_in_order_over_many_pages,
                          a_scan_keeps_to_its_range_and_stops_when_told,
                          a_scan_in_a_transaction_gathers_every_shards_branch,
                          lists_of_shards_that_are_none_are_refused, NULL});
}

#include "tests/lib/shard_world.h"

#include <assert.h>
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "participant/participant_on.h"
#include "shell/clock.h"

#define WAITERS_MAX 256
#define FAR_MS      600000

const struct troth_txid world_no_tx = {0, 0};

struct waiter {
    void (*fn)(void *arg);
    void *arg;
};

struct timer {
    struct waiter waiter;
    int64_t due_ms;
};

struct enlistment {
    struct troth_txid txid;
    troth_enlisted_fn *done;
    void *arg;
};

struct result {
    struct troth_txid txid;
    bool has_come;
    int vote;
    char detail[TROTH_DETAIL_BYTES];
};

struct troth_participant {
    sqlite3 *db;
    const struct troth_participant_callbacks *callbacks;
    void *arg;
};

static struct {
    char folder[64];
    char path[96];
    struct troth_participant participant;
    struct shard *shard;
    struct call *calls;
    struct waiter after_batch[WAITERS_MAX];
    size_t after_batch_n;
    struct timer timers[WAITERS_MAX];
    size_t timers_n;
    struct enlistment enlistments[WAITERS_MAX];
    size_t enlistments_n;
    unsigned syncs; /* that the shard has asked for */
    bool enlist_later;
    int enlist_gives;
    struct troth_txid preparing;
    struct troth_txid given_up[WAITERS_MAX];
    enum troth_branch_reason given_up_why[WAITERS_MAX];
    size_t given_up_n;
    struct result results[WAITERS_MAX]; /* of work, also of that which is under way */
    size_t results_n;
    struct troth_txid enlisted[WAITERS_MAX];
    size_t enlisted_n;
    const struct troth_txid *in_doubt;
    size_t in_doubt_n;
    int *recover_results;
    char value[256];
} world;

/* ---- The fake participant library ----------------------------------------------------------- */

/* Here and where operations are under way it is assert, since ck_assert allocates, and tests let
 * allocations fail. */
static void run_sql(const char *sql) {
    int rc = sqlite3_exec(world.participant.db, sql, NULL, NULL, NULL);
    assert(rc == SQLITE_OK);
    (void)rc;
}

static void need_batch(void) {
    if (sqlite3_get_autocommit(world.participant.db)) {
        run_sql("BEGIN IMMEDIATE");
    }
}

int participant_open_on(struct troth_participant **out,
                        const struct troth_participant_options *options, struct rpc *rpc, char *why,
                        size_t why_bytes) {
    (void)rpc;
    (void)why;
    (void)why_bytes;
    struct troth_participant *p = &world.participant;
    p->callbacks = options->callbacks;
    p->arg = options->arg;
    ck_assert_int_eq(sqlite3_open(options->log_path, &p->db), SQLITE_OK);
    run_sql("PRAGMA journal_mode=WAL");
    *out = p;
    need_batch();
    for (size_t i = 0; i < world.in_doubt_n; i++) {
        world.recover_results[i] = p->callbacks->recover(p->arg, world.in_doubt[i]);
    }
    return 0;
}

void troth_participant_close(struct troth_participant *p) {
    sqlite3_close_v2(p->db);
    p->db = NULL;
}

int troth_participant_join(struct troth_participant *p, struct troth_txid txid,
                           troth_enlisted_fn *done, void *arg) {
    (void)p;
    if (world.enlist_later) {
        world.enlistments[world.enlistments_n++] = (struct enlistment){txid, done, arg};
    } else {
        done(arg, txid, world.enlist_gives, "said the test");
    }
    return 0;
}

int troth_participant_enlist(struct troth_participant *p, struct troth_txid txid,
                             troth_enlisted_fn *done, void *arg) {
    world.enlisted[world.enlisted_n++ % WAITERS_MAX] = txid;
    return troth_participant_join(p, txid, done, arg);
}

void troth_participant_sync(struct troth_participant *p) {
    (void)p;
    world.syncs++;
}

static struct result *find_result(struct troth_txid txid) {
    for (size_t i = 0; i < world.results_n; i++) {
        if (troth_txid_equal(world.results[i].txid, txid)) {
            return &world.results[i];
        }
    }
    return NULL;
}

/* Each comes once. */
static void take_result(struct result *result, int vote, const char *detail) {
    assert(result != NULL && !result->has_come);
    result->has_come = true;
    result->vote = vote;
    snprintf(result->detail, sizeof result->detail, "%s", detail == NULL ? "" : detail);
}

void troth_participant_give_up(struct troth_participant *p, struct troth_txid txid,
                               enum troth_branch_reason reason, const char *detail) {
    assert(reason != TROTH_REASON_VOTE && detail != NULL && detail[0] != '\0');
    world.given_up_why[world.given_up_n % WAITERS_MAX] = reason;
    world.given_up[world.given_up_n++ % WAITERS_MAX] = txid;
    (void)detail;
    const struct result *result = find_result(txid);
    bool is_voting = result != NULL ? !result->has_come : troth_txid_equal(txid, world.preparing);
    if (!is_voting) { /* else it only makes the vote aborted */
        int err = p->callbacks->abort(p->arg, txid);
        assert(err == 0);
        (void)err;
    }
}

int troth_participant_done(struct troth_participant *p, struct troth_txid txid, int result,
                           const char *detail) {
    (void)p;
    take_result(find_result(txid), result, detail);
    return 0;
}

int troth_participant_run(struct troth_participant *p, void (*fn)(void *arg), void *arg) {
    (void)p;
    need_batch();
    fn(arg);
    return 0;
}

int troth_participant_after_batch(struct troth_participant *p, void (*fn)(void *arg), void *arg) {
    (void)p;
    world.after_batch[world.after_batch_n++] = (struct waiter){fn, arg};
    return 0;
}

int troth_participant_after_ms(struct troth_participant *p, uint32_t delay_ms,
                               void (*fn)(void *arg), void *arg) {
    (void)p;
    assert(world.timers_n < WAITERS_MAX);
    world.timers[world.timers_n++] = (struct timer){{fn, arg}, clock_monotonic_ms() + delay_ms};
    return 0;
}

struct sqlite3 *troth_participant_db(struct troth_participant *p) {
    return p->db;
}

uint64_t troth_participant_incarnation(const struct troth_participant *p) {
    (void)p;
    return 1;
}

void troth_participant_counters(struct troth_participant *p,
                                struct troth_participant_counters *counters) {
    (void)p;
    *counters = (struct troth_participant_counters){0};
}

/* ---- The world ------------------------------------------------------------------------------ */

static void open_shard(void) {
    char why[256];
    ck_assert_int_eq(shard_open(&world.shard,
                                &(struct troth_participant_options){
                                    .name = "shard-1", .nodes = "", .log_path = world.path},
                                NULL, why, sizeof why),
                     0);
    world_end_batch();
}

void world_open(void) {
    memset(&world, 0, sizeof world);
    strcpy(world.folder, "/tmp/troth-shard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world.folder));
    snprintf(world.path, sizeof world.path, "%s/shard.db", world.folder);
    open_shard();
}

void world_restart(size_t n, const struct troth_txid *in_doubt, int *results) {
    if (!sqlite3_get_autocommit(world.participant.db)) {
        run_sql("ROLLBACK");
    }
    shard_close(world.shard);
    world.after_batch_n = 0;
    world.timers_n = 0;
    world.in_doubt = in_doubt;
    world.in_doubt_n = n;
    world.recover_results = results;
    open_shard();
}

void world_close(void) {
    shard_stop(world.shard);
    world_enlist_now();
    world_end_batch();
    shard_close(world.shard);
    while (world.calls != NULL) {
        struct call *call = world.calls;
        world.calls = call->next;
        free(call);
    }
    char command[128];
    static const char *const files[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "%s%s", world.path, files[i]);
        unlink(command);
    }
    rmdir(world.folder);
}

struct troth_txid world_tx(uint64_t n) {
    return troth_txid_make(0, 1, 1, n);
}

struct shard *world_shard(void) {
    return world.shard;
}

static void on_answer(struct op *op) {
    struct call *call = (struct call *)op;
    assert(!call->answered);
    call->answered = true;
    call->status = op->status;
    call->existed = op->existed;
    call->more = op->more;
    call->sum = op->sum;
    call->pairs_n = op->pairs_n;
    strcpy(call->text, op->text);
    snprintf(call->found, sizeof call->found, "%.*s", (int)op->found.n,
             op->found.n > 0 ? (const char *)op->found.at : "");
    size_t at = 0;
    for (size_t i = 0; i < op->pairs_n && at < sizeof call->pairs; i++) {
        at += (size_t)snprintf(call->pairs + at, sizeof call->pairs - at, "%s%.*s=%.*s",
                               i > 0 ? " " : "", (int)op->pairs[i].key.n,
                               (const char *)op->pairs[i].key.at, (int)op->pairs[i].value.n,
                               (const char *)op->pairs[i].value.at);
    }
}

static void on_release(struct op *op) {
    struct call *call = (struct call *)op;
    assert(call->answered && !call->released);
    call->released = true;
}

struct call *world_send(struct op op) {
    struct call *call = calloc(1, sizeof *call);
    call->op = op;
    call->op.answer = on_answer;
    call->op.release = on_release;
    if (op.deadline_ms == 0) {
        call->op.deadline_ms = clock_monotonic_ms() + FAR_MS;
    }
    call->next = world.calls;
    world.calls = call;
    int err = shard_submit(world.shard, &call->op);
    assert(err == 0);
    (void)err;
    return call;
}

static struct kv_bytes bytes(const char *text) {
    return (struct kv_bytes){(const uint8_t *)text, strlen(text)};
}

struct call *world_get(struct troth_txid txid, const char *key) {
    return world_send((struct op){.verb = OP_GET, .txid = txid, .key = bytes(key)});
}

struct call *world_put(struct troth_txid txid, const char *key, const char *value) {
    return world_send(
        (struct op){.verb = OP_PUT, .txid = txid, .key = bytes(key), .value = bytes(value)});
}

struct call *world_delete(struct troth_txid txid, const char *key) {
    return world_send((struct op){.verb = OP_DELETE, .txid = txid, .key = bytes(key)});
}

struct call *world_add(struct troth_txid txid, const char *key, int64_t delta) {
    return world_send((struct op){.verb = OP_ADD, .txid = txid, .key = bytes(key), .delta = delta});
}

struct call *world_scan(struct troth_txid txid, const char *from, const char *to) {
    return world_send(
        (struct op){.verb = OP_SCAN, .txid = txid, .key = bytes(from), .to = bytes(to)});
}

int world_prepare(struct troth_txid txid) {
    char detail[TROTH_DETAIL_BYTES] = "";
    need_batch();
    world.preparing = txid;
    int vote = world.participant.callbacks->prepare(world.participant.arg, txid, detail);
    world.preparing = world_no_tx;
    return vote;
}

void world_prepare_work(struct troth_txid txid, const void *work, size_t work_bytes) {
    char detail[TROTH_DETAIL_BYTES] = "";
    need_batch();
    assert(world.results_n < WAITERS_MAX && find_result(txid) == NULL);
    struct result *result = &world.results[world.results_n++];
    *result = (struct result){.txid = txid};
    int vote = world.participant.callbacks->prepare_work(world.participant.arg, txid, work,
                                                         work_bytes, detail);
    if (vote != TROTH_PARTICIPANT_LATER) {
        take_result(result, vote, detail);
    }
}

int world_vote(struct troth_txid txid) {
    const struct result *result = find_result(txid);
    return result != NULL && result->has_come ? result->vote : 0;
}

const char *world_vote_detail(struct troth_txid txid) {
    const struct result *result = find_result(txid);
    return result != NULL ? result->detail : "";
}

void world_forget_votes(void) {
    world.results_n = 0;
}

int world_commit(struct troth_txid txid, bool one_phase) {
    need_batch();
    return world.participant.callbacks->commit(world.participant.arg, txid, one_phase);
}

int world_abort(struct troth_txid txid) {
    need_batch();
    return world.participant.callbacks->abort(world.participant.arg, txid);
}

void world_end_batch(void) {
    if (!sqlite3_get_autocommit(world.participant.db)) {
        run_sql("COMMIT");
    }
    for (size_t i = 0; i < world.after_batch_n; i++) {
        world.after_batch[i].fn(world.after_batch[i].arg);
    }
    world.after_batch_n = 0;
}

void world_fire_first_timer(void) {
    size_t first = 0;
    for (size_t i = 1; i < world.timers_n; i++) {
        first = world.timers[i].due_ms < world.timers[first].due_ms ? i : first;
    }
    ck_assert_uint_gt(world.timers_n, 0);
    struct waiter due = world.timers[first].waiter;
    world.timers[first] = world.timers[--world.timers_n];
    due.fn(due.arg);
}

void world_fire_timers(void) {
    for (size_t n = world.timers_n; n > 0; n--) {
        world_fire_first_timer();
    }
}

size_t world_timers(void) {
    return world.timers_n;
}

void world_enlist_gives(int err) {
    world.enlist_gives = err;
}

void world_enlist_later(void) {
    world.enlist_later = true;
}

void world_enlist_now(void) {
    world.enlist_later = false;
    for (size_t i = 0; i < world.enlistments_n; i++) {
        struct enlistment *e = &world.enlistments[i];
        e->done(e->arg, e->txid, world.enlist_gives, "said the test");
    }
    world.enlistments_n = 0;
}

int world_gave_up_reason(struct troth_txid txid) {
    for (size_t i = world.given_up_n; i-- > 0 && i + WAITERS_MAX >= world.given_up_n;) {
        if (troth_txid_equal(world.given_up[i % WAITERS_MAX], txid)) {
            return (int)world.given_up_why[i % WAITERS_MAX];
        }
    }
    return 0;
}

bool world_gave_up(struct troth_txid txid) {
    return world_gave_up_reason(txid) != 0;
}

unsigned world_enlisted(struct troth_txid txid) {
    unsigned n = 0;
    for (size_t i = 0; i < world.enlisted_n && i < WAITERS_MAX; i++) {
        n += troth_txid_equal(world.enlisted[i], txid);
    }
    return n;
}

/* ---- The file, as another process sees it --------------------------------------------------- */

static bool query(const char *sql, const char *key) {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open(world.path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (key != NULL) {
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    }
    bool found = sqlite3_step(stmt) == SQLITE_ROW;
    if (found) {
        snprintf(world.value, sizeof world.value, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return found;
}

const char *world_on_disk(const char *key) {
    return query("SELECT value FROM kv_text WHERE key = ?1", key) ? world.value : NULL;
}

int world_intents_on_disk(void) {
    ck_assert(query("SELECT count(*) FROM intent_text", NULL));
    return atoi(world.value);
}

unsigned world_syncs(void) {
    return world.syncs;
}

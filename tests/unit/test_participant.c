/* participant: the library as a resource manager sees it, against nodes without a mind. The
 * resource manager keeps one row a transaction in the branch log's own database. */
#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "participant/troth_participant.h"
#include "tests/lib/fake_node.h"
#include "tests/lib/suite.h"

struct world {
    char folder[64];
    char path[96];
    struct fake_node node;
    struct troth_participant *participant;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int enlisted;     /* answers so far */
    int enlisted_err; /* the last one */
    int ran;          /* functions */
    int recovered;
    int aborted;
    bool later; /* prepare answers from another thread */
    bool refuses;
    pthread_t thread;
    struct troth_txid txid; /* of the thread's branch */
};

/* ---- The resource manager -----------------------------------------------------------------------
 */

static void set_row(struct world *world, struct troth_txid txid, const char *state) {
    char text[TROTH_TXID_TEXT];
    char sql[200];
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO work VALUES('%s', '%s')",
             troth_txid_format(txid, text), state);
    ck_assert_int_eq(sqlite3_exec(troth_participant_db(world->participant), sql, NULL, NULL, NULL),
                     SQLITE_OK);
}

static void bump(struct world *world, int *counter) {
    pthread_mutex_lock(&world->mutex);
    (*counter)++;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
}

static void *answer_later(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(
        troth_participant_done(world->participant, world->txid, TROTH_VOTE_PREPARED, NULL), 0);
    return NULL;
}

static int on_prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    struct world *world = arg;
    if (world->refuses) {
        snprintf(detail, TROTH_DETAIL_BYTES, "out of stock");
        return TROTH_VOTE_ABORTED;
    }
    set_row(world, txid, "prepared");
    if (world->later) {
        world->txid = txid;
        ck_assert_int_eq(pthread_create(&world->thread, NULL, answer_later, world), 0);
        return TROTH_PARTICIPANT_LATER;
    }
    return TROTH_VOTE_PREPARED;
}

static int on_commit(void *arg, struct troth_txid txid, int one_phase) {
    set_row(arg, txid, one_phase ? "committed in one phase" : "committed");
    return 0;
}

static int on_abort(void *arg, struct troth_txid txid) {
    struct world *world = arg;
    set_row(world, txid, "aborted");
    bump(world, &world->aborted);
    return 0;
}

static int on_recover(void *arg, struct troth_txid txid) {
    struct world *world = arg;
    (void)txid;
    world->recovered++; /* before open returns: no thread yet */
    return 0;
}

static const struct troth_participant_callbacks callbacks = {on_prepare, on_commit, on_abort,
                                                             on_recover};

/* ---- The world ----------------------------------------------------------------------------------
 */

static int open_participant(struct world *world, struct troth_participant_options options,
                            char why[256]) {
    char nodes[64];
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d", world->node.port);
    options.name = options.name == NULL ? "stock" : options.name;
    options.nodes = options.nodes == NULL ? nodes : options.nodes;
    options.log_path = world->path;
    options.callbacks = &callbacks;
    options.arg = world;
    options.endpoint = "127.0.0.1:9999";
    return troth_participant_open(&world->participant, &options, why, 256);
}

static void reopen(struct world *world) {
    char why[256];
    ck_assert_msg(open_participant(world, (struct troth_participant_options){0}, why) == 0, "%s",
                  why);
}

static struct world *begin(void) {
    struct world *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/troth-test-participant-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/stock.db", world->folder);
    pthread_mutex_init(&world->mutex, NULL);
    pthread_cond_init(&world->changed, NULL);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(world->path, &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db, "CREATE TABLE work(txid TEXT PRIMARY KEY, state TEXT)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    fake_node_start(&world->node, 1, 1);
    return world;
}

static void end(struct world *world) {
    char command[128];
    troth_participant_close(world->participant);
    fake_node_stop(&world->node);
    snprintf(command, sizeof command, "rm -rf %s", world->folder);
    ck_assert_int_eq(system(command), 0);
    pthread_mutex_destroy(&world->mutex);
    pthread_cond_destroy(&world->changed);
    free(world);
}

static void wait_for(struct world *world, const int *counter, int value) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_NODE_WAIT_S;
    pthread_mutex_lock(&world->mutex);
    while (*counter < value) {
        ck_assert_int_eq(pthread_cond_timedwait(&world->changed, &world->mutex, &until), 0);
    }
    pthread_mutex_unlock(&world->mutex);
}

static void count(void *arg) {
    struct world *world = arg;
    bump(world, &world->ran);
}

/* Until the loop has taken the session up, asked again with each batch. */
static void wait_attached(struct world *world) {
    struct troth_participant_counters counters = {0};
    while (counters.nodes_attached == 0) {
        int before = world->ran;
        ck_assert_int_eq(troth_participant_run(world->participant, count, world), 0);
        wait_for(world, &world->ran, before + 1);
        troth_participant_counters(world->participant, &counters);
    }
    world->ran = 0;
}

static struct world *begin_attached(void) {
    struct world *world = begin();
    reopen(world);
    wait_attached(world);
    return world;
}

/* What the resource manager's file says, read as somebody else. */
static void expect_row(const struct world *world, struct troth_txid txid, const char *expected) {
    char text[TROTH_TXID_TEXT];
    char sql[120];
    char found[40] = "nothing";
    sqlite3 *db;
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof sql, "SELECT state FROM work WHERE txid = '%s'",
             troth_txid_format(txid, text));
    ck_assert_int_eq(sqlite3_open(world->path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        snprintf(found, sizeof found, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    ck_assert_str_eq(found, expected);
}

static struct troth_txid tx(uint64_t n) {
    return troth_txid_make(0, 1, 3, n);
}

static void on_enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct world *world = arg;
    (void)txid;
    (void)detail;
    world->enlisted_err = err;
    bump(world, &world->enlisted);
}

static void enlist(struct world *world, struct troth_txid txid) {
    int before = world->enlisted;
    ck_assert_int_eq(troth_participant_enlist(world->participant, txid, on_enlisted, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_ENLISTED, .txid = txid, .ok = true});
    wait_for(world, &world->enlisted, before + 1);
    ck_assert_int_eq(world->enlisted_err, 0);
}

static void ask_to_prepare(struct world *world, struct troth_txid txid) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 9), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock",
                                            troth_participant_incarnation(world->participant)),
                     0);
    fake_node_send(
        &world->node,
        (struct message){.type = MESSAGE_PREPARE, .txid = txid, .set = paxos_set_new(members, 2)});
}

static void decide(struct world *world, struct troth_txid txid, enum paxos_outcome outcome) {
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}

static void expect_vote(struct world *world, enum paxos_vote vote) {
    const struct message *message = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(message->vote, vote);
    ck_assert_uint_eq(message->set->n, 2);
}

static void expect_ack(struct world *world, enum paxos_outcome outcome) {
    const struct message *message = fake_node_expect(&world->node, MESSAGE_ACK);
    ck_assert_int_eq(message->outcome, outcome);
    ck_assert(!message->hazard);
}

static void prepared(struct world *world, struct troth_txid txid) {
    enlist(world, txid);
    ask_to_prepare(world, txid);
    expect_vote(world, PAXOS_VOTE_PREPARED);
}

/* ---- Stories ------------------------------------------------------------------------------------
 */

START_TEST(a_branch_goes_from_enlistment_to_commit) {
    struct world *world = begin_attached();
    ck_assert_str_eq(world->node.hello.participant, "stock");
    ck_assert_str_eq(world->node.hello.cluster, "troth");
    ck_assert_str_eq(world->node.hello.endpoint, "127.0.0.1:9999");
    ck_assert_uint_eq(world->node.hello.incarnation,
                      troth_participant_incarnation(world->participant));
    prepared(world, tx(1));
    expect_row(world, tx(1), "prepared"); /* S4: it was on disk before the vote left */
    decide(world, tx(1), PAXOS_OUTCOME_COMMITTED);
    expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    expect_row(world, tx(1), "committed");
    decide(world, tx(1), PAXOS_OUTCOME_COMMITTED); /* told again, acknowledged again */
    expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    struct troth_participant_counters counters;
    troth_participant_counters(world->participant, &counters);
    ck_assert_uint_eq(counters.committed, 1);
    ck_assert_uint_eq(counters.in_doubt, 0);
    ck_assert_uint_eq(counters.nodes_attached, 1);
    end(world);
}
END_TEST

START_TEST(a_branch_that_is_the_only_one_commits_in_one_phase) {
    struct world *world = begin_attached();
    enlist(world, tx(1));
    fake_node_send(&world->node, (struct message){.type = MESSAGE_COMMIT_ONE_PHASE,
                                                  .txid = tx(1),
                                                  .incarnation = troth_participant_incarnation(
                                                      world->participant)});
    ck_assert_int_eq(fake_node_expect(&world->node, MESSAGE_ONE_PHASE_RESULT)->outcome,
                     PAXOS_OUTCOME_COMMITTED);
    expect_row(world, tx(1), "committed in one phase");
    end(world);
}
END_TEST

START_TEST(a_vote_to_abort_says_why) {
    struct world *world = begin_attached();
    world->refuses = true;
    enlist(world, tx(1));
    ask_to_prepare(world, tx(1));
    const struct message *vote = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(vote->vote, PAXOS_VOTE_ABORTED);
    ck_assert_str_eq(vote->detail, "out of stock");
    wait_for(world, &world->aborted, 1);
    end(world);
}
END_TEST

START_TEST(a_result_may_come_later_from_another_thread) {
    struct world *world = begin_attached();
    world->later = true;
    prepared(world, tx(1));
    pthread_join(world->thread, NULL);
    decide(world, tx(1), PAXOS_OUTCOME_ABORTED);
    expect_ack(world, PAXOS_OUTCOME_ABORTED);
    expect_row(world, tx(1), "aborted");
    ck_assert_int_eq(troth_participant_done(world->participant, tx(1), 0, "too late"), 0);
    end(world);
}
END_TEST

START_TEST(L2_a_node_that_restarts_hears_the_vote_and_ends_the_branch) {
    struct world *world = begin_attached();
    prepared(world, tx(1));
    fake_node_stop(&world->node);
    fake_node_start(&world->node, 1, 2);
    expect_vote(world, PAXOS_VOTE_PREPARED);
    decide(world, tx(1), PAXOS_OUTCOME_COMMITTED);
    expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    expect_row(world, tx(1), "committed");
    end(world);
}
END_TEST

START_TEST(L2_a_participant_that_restarts_in_doubt_votes_the_same_and_ends_the_branch) {
    struct world *world = begin_attached();
    prepared(world, tx(1));
    uint64_t incarnation = troth_participant_incarnation(world->participant);
    troth_participant_close(world->participant);
    reopen(world);
    ck_assert_int_eq(world->recovered, 1);
    ck_assert_uint_eq(troth_participant_incarnation(world->participant), incarnation + 1);
    const struct message *vote = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(vote->vote, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(vote->set->members[1].incarnation, incarnation);
    decide(world, tx(1), PAXOS_OUTCOME_COMMITTED);
    expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    troth_participant_close(world->participant);
    reopen(world); /* and what is committed stays known */
    fake_node_expect_sessions(&world->node, 3);
    decide(world, tx(1), PAXOS_OUTCOME_COMMITTED);
    expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world->recovered, 1);
    end(world);
}
END_TEST

START_TEST(a_node_with_another_disk_gets_no_vote) { /* DESIGN 4.4 */
    struct world *world = begin_attached();
    prepared(world, tx(1));
    fake_node_stop(&world->node);
    memset(world->node.welcome.disk, 0x77, sizeof world->node.welcome.disk);
    fake_node_start(&world->node, 1, 3);
    fake_node_expect_ended(&world->node, 1);
    pthread_mutex_lock(&world->node.mutex);
    ck_assert_uint_eq(world->node.n, 0);
    pthread_mutex_unlock(&world->node.mutex);
    end(world);
}
END_TEST

START_TEST(a_frame_that_can_not_be_read_ends_the_session_and_no_more) {
    struct world *world = begin_attached();
    static const uint8_t garbage[] = {0x0a, 0xff, 0x01, 0x02};
    pthread_mutex_lock(&world->node.mutex);
    rpc_stream_send_bytes(world->node.stream, garbage, sizeof garbage);
    pthread_mutex_unlock(&world->node.mutex);
    fake_node_expect_sessions(&world->node, 2);
    wait_attached(world);
    prepared(world, tx(1));
    end(world);
}
END_TEST

static void read_all(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(sqlite3_exec(troth_participant_db(world->participant), "SELECT * FROM work",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(troth_participant_after_batch(world->participant, count, world), 0);
}

static void write_one(void *arg) {
    struct world *world = arg;
    set_row(world, tx(9), "written");
    ck_assert_int_eq(troth_participant_after_batch(world->participant, count, world), 0);
}

static int64_t wal_bytes(const struct world *world) {
    char path[128];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s-wal", world->path);
    ck_assert_int_eq(stat(path, &stat_of), 0);
    return (int64_t)stat_of.st_size + (int64_t)stat_of.st_mtim.tv_nsec;
}

START_TEST(S4_what_a_function_writes_is_on_disk_when_its_batch_is_and_reading_writes_nothing) {
    struct world *world = begin_attached();
    ck_assert_int_eq(troth_participant_run(world->participant, write_one, world), 0);
    wait_for(world, &world->ran, 1);
    expect_row(world, tx(9), "written");
    int64_t before = wal_bytes(world);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(troth_participant_run(world->participant, read_all, world), 0);
        wait_for(world, &world->ran, 2 + i);
    }
    ck_assert_int_eq(wal_bytes(world), before);
    end(world);
}
END_TEST

static void run_later(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(troth_participant_after_ms(world->participant, 20, count, world), 0);
    ck_assert_int_eq(troth_participant_after_ms(world->participant, 1, count, world), 0);
    ck_assert_int_eq(troth_participant_run(world->participant, count, world), 0);
}

START_TEST(functions_run_after_their_time) {
    struct world *world = begin_attached();
    ck_assert_int_eq(troth_participant_run(world->participant, run_later, world), 0);
    wait_for(world, &world->ran, 3);
    end(world);
}
END_TEST

static void give_up(void *arg) {
    struct world *world = arg;
    troth_participant_give_up(world->participant, tx(1), TROTH_REASON_CONFLICT, "lost a lock");
}

START_TEST(a_branch_given_up_is_undone_and_told) {
    struct world *world = begin_attached();
    enlist(world, tx(1));
    ck_assert_int_eq(troth_participant_run(world->participant, give_up, world), 0);
    const struct message *told = fake_node_expect(&world->node, MESSAGE_BRANCH_ABORTED);
    ck_assert_int_eq(told->reason, PAXOS_REASON_CONFLICT);
    ck_assert_str_eq(told->detail, "lost a lock");
    wait_for(world, &world->aborted, 1);
    end(world);
}
END_TEST

START_TEST(closing_answers_everyone_who_waits) {
    struct world *world = begin_attached();
    ck_assert_int_eq(troth_participant_enlist(world->participant, tx(1), on_enlisted, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    ck_assert_int_eq(troth_participant_run(world->participant, write_one, world), 0);
    troth_participant_close(world->participant);
    world->participant = NULL;
    ck_assert_int_eq(world->enlisted, 1);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_CLOSED);
    ck_assert_int_eq(world->ran, 1); /* accepted, so it ran, and what waits for the batch too */
    expect_row(world, tx(9), "written");
    end(world);
}
END_TEST

START_TEST(without_nodes_an_enlistment_is_unavailable) {
    struct world *world = begin();
    char why[256];
    ck_assert_int_eq(
        open_participant(world, (struct troth_participant_options){.nodes = "127.0.0.1:1"}, why),
        0);
    ck_assert_int_eq(troth_participant_enlist(world->participant, tx(1), on_enlisted, world), 0);
    wait_for(world, &world->enlisted, 1);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_UNAVAILABLE);
    end(world);
}
END_TEST

static void expect_refused(struct world *world, struct troth_participant_options options, int err,
                           const char *says) {
    char why[256];
    struct troth_participant *open = world->participant;
    ck_assert_int_eq(open_participant(world, options, why), err);
    ck_assert_msg(strstr(why, says) != NULL, "\"%s\" does not say \"%s\"", why, says);
    world->participant = open;
}

START_TEST(options_that_are_none_are_refused_with_the_reason) {
    struct world *world = begin();
    typedef struct troth_participant_options options;
    expect_refused(world, (options){.name = "a b"}, TROTH_ERR_INVALID, "participant name");
    expect_refused(world, (options){.cluster = "a/b"}, TROTH_ERR_INVALID, "cluster name");
    expect_refused(world, (options){.nodes = ""}, TROTH_ERR_INVALID, "no nodes");
    expect_refused(world, (options){.nodes = "localhost"}, TROTH_ERR_INVALID, "host:port");
    reopen(world);
    expect_refused(world, (options){0}, TROTH_ERR_EXISTS, "in use");
    troth_participant_close(world->participant);
    world->participant = NULL;
    expect_refused(world, (options){.name = "orders"}, TROTH_ERR_MISMATCH, "belongs to");
    strcpy(world->path, "/nonexistent/stock.db");
    expect_refused(world, (options){0}, TROTH_ERR_STORAGE, "/nonexistent/stock.db");
    end(world);
}
END_TEST

int main(void) {
    return suite_run(
        "participant",
        (const TTest *[]){
            a_branch_goes_from_enlistment_to_commit,
            a_branch_that_is_the_only_one_commits_in_one_phase, a_vote_to_abort_says_why,
            a_result_may_come_later_from_another_thread,
            L2_a_node_that_restarts_hears_the_vote_and_ends_the_branch,
            L2_a_participant_that_restarts_in_doubt_votes_the_same_and_ends_the_branch,
            a_node_with_another_disk_gets_no_vote,
            a_frame_that_can_not_be_read_ends_the_session_and_no_more,
            S4_what_a_function_writes_is_on_disk_when_its_batch_is_and_reading_writes_nothing,
            functions_run_after_their_time, a_branch_given_up_is_undone_and_told,
            closing_answers_everyone_who_waits, without_nodes_an_enlistment_is_unavailable,
            options_that_are_none_are_refused_with_the_reason, NULL});
}

/* Work that comes with Commit, through real nodes to participants that have none of their own: by a
 * unary call and by a client's stream, done, refused, and when the node that passed it on is
 * killed. */
#include <pthread.h>
#include <string.h>

#include "base/txid.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/raw_rpc.h"
#include "tests/lib/scripted_participant.h"
#include "tests/lib/stream_replies.h"
#include "troth/v1/transactions.pb-c.h"

#define TRANSACTIONS "/troth.v1.Transactions/"
#define COMMITTED    TROTH__V1__OUTCOME__OUTCOME_COMMITTED
#define ABORTED      TROTH__V1__OUTCOME__OUTCOME_ABORTED

static struct fixture f;
static struct scripted first, second;

static void open_world(void) {
    fixture_open(&f, &(struct fixture_options){.nodes = 3});
    scripted_open(&f, &first, "first", TROTH_VOTE_PREPARED);
    scripted_open(&f, &second, "second", TROTH_VOTE_PREPARED);
}

static void close_world(void) {
    scripted_close(&first);
    scripted_close(&second);
    fixture_close(&f);
    raw_end();
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static const char *node(unsigned index) {
    return cluster_address(f.cluster, CLUSTER_NODE, index);
}

/* "debit" for the first one and "credit" for the second. */
struct both {
    Troth__V1__Work of[2];
    Troth__V1__Work *list[2];
};

static struct both *give_both(void) {
    static char names[2][8] = {"first", "second"};
    static uint8_t bytes[2][8] = {"debit", "credit"};
    static struct both both;
    for (size_t i = 0; i < 2; i++) {
        both.of[i] = (Troth__V1__Work)TROTH__V1__WORK__INIT;
        both.of[i].participant = names[i];
        both.of[i].work = (ProtobufCBinaryData){.len = strlen((char *)bytes[i]), .data = bytes[i]};
        both.list[i] = &both.of[i];
    }
    return &both;
}

static void begin(unsigned at, char text[TROTH_TXID_TEXT]) {
    struct fixture_tx tx;
    fixture_begin(&f, &tx, at, 0);
    troth_txid_format(tx.txid, text);
}

/* By the first `n` of them. */
static struct raw_answer commit_work(unsigned at, char *txid, size_t n) {
    Troth__V1__CommitWorkRequest request = TROTH__V1__COMMIT_WORK_REQUEST__INIT;
    request.txid = txid;
    request.works = give_both()->list;
    request.n_works = n;
    return raw_call(node(at), TRANSACTIONS "CommitWork", &request.base,
                    &troth__v1__outcome_reply__descriptor);
}

static Troth__V1__Outcome outcome_of(struct raw_answer answer) {
    fixture_must(&f, answer.status == RPC_OK, "%s", answer.text);
    Troth__V1__Outcome outcome = ((Troth__V1__OutcomeReply *)(void *)answer.reply)->outcome;
    raw_free(answer.reply);
    return outcome;
}

static Troth__V1__Outcome abort_at(unsigned at, char *txid) {
    Troth__V1__AbortRequest request = TROTH__V1__ABORT_REQUEST__INIT;
    request.txid = txid;
    return outcome_of(raw_call(node(at), TRANSACTIONS "Abort", &request.base,
                               &troth__v1__outcome_reply__descriptor));
}

static void must_be_refused(struct raw_answer answer, int status, const char *words) {
    fixture_must(&f, answer.status == status && strstr(answer.text, words) != NULL,
                 "status %d, must be %d with \"%s\": %s", answer.status, status, words,
                 answer.text);
}

/* ---- What must hold -------------------------------------------------------------------------- */

/* Both have done their work `times` so far, and carry out the outcome of the last. */
static void wait_done(int times, int commits, int aborts) {
    struct scripted *all[] = {&first, &second};
    static const char *const works[] = {"debit", "credit"};
    for (size_t i = 0; i < 2; i++) {
        fixture_wait(
            &f, atomic_load(&all[i]->commits) == commits && atomic_load(&all[i]->aborts) == aborts,
            "%s: %d commits and %d aborts", works[i], atomic_load(&all[i]->commits),
            atomic_load(&all[i]->aborts));
        ck_assert_int_eq(atomic_load(&all[i]->works), times);
        ck_assert_int_eq(atomic_load(&all[i]->prepares), 0);
        ck_assert_int_eq(atomic_load(&all[i]->one_phases), 0);
        ck_assert_str_eq(all[i]->work, works[i]);
    }
}

START_TEST(S5_a_call_and_a_request_of_a_stream_bring_work_and_it_commits) {
    char text[TROTH_TXID_TEXT];
    uint8_t txid[TROTH_TXID_BYTES];
    struct troth_txid parsed;
    struct stream_replies replies;
    open_world();
    begin(0, text);
    ck_assert_int_eq(outcome_of(commit_work(0, text, 2)), COMMITTED);
    wait_done(1, 1, 0);
    begin(1, text);
    ck_assert_int_eq(troth_txid_parse(text, &parsed), 0);
    troth_txid_to_bytes(parsed, txid);
    Troth__V1__SessionRequest request = TROTH__V1__SESSION_REQUEST__INIT;
    request.number = 1;
    request.kind = TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK;
    request.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    request.works = give_both()->list;
    request.n_works = 2;
    Troth__V1__SessionRequest *list[] = {&request};
    Troth__V1__SessionRequests frame = TROTH__V1__SESSION_REQUESTS__INIT;
    frame.requests = list;
    frame.n_requests = 1;
    uint8_t bytes[256];
    struct raw_stream *stream = raw_dial(node(1), TRANSACTIONS "Session");
    raw_send(stream, bytes, protobuf_c_message_pack(&frame.base, bytes));
    stream_replies_read(&replies, stream, &troth__v1__session_reply__descriptor, 1);
    const Troth__V1__SessionReply *reply = (Troth__V1__SessionReply *)(void *)replies.to[1];
    ck_assert_uint_eq(reply->status, RPC_OK);
    ck_assert_int_eq(reply->outcome, COMMITTED);
    stream_replies_free(&replies);
    raw_hang_up(stream);
    wait_done(2, 2, 0);
    close_world();
}
END_TEST

START_TEST(S5_the_only_participant_does_its_work_before_it_votes) {
    char text[TROTH_TXID_TEXT];
    open_world();
    begin(0, text);
    ck_assert_int_eq(outcome_of(commit_work(0, text, 1)), COMMITTED);
    fixture_wait(&f, atomic_load(&first.commits) == 1, "it does not commit");
    ck_assert_int_eq(atomic_load(&first.works), 1);
    ck_assert_int_eq(atomic_load(&first.one_phases), 0);
    close_world();
}
END_TEST

START_TEST(S3_work_that_one_refuses_is_done_by_nobody) {
    char text[TROTH_TXID_TEXT];
    open_world();
    atomic_store(&second.vote, TROTH_VOTE_ABORTED);
    begin(0, text);
    struct raw_answer answer = commit_work(0, text, 2);
    const Troth__V1__OutcomeReply *reply = (Troth__V1__OutcomeReply *)(void *)answer.reply;
    ck_assert_int_eq(answer.status, RPC_OK);
    ck_assert_int_eq(reply->outcome, ABORTED);
    ck_assert_int_eq(reply->reason, TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE);
    ck_assert_msg(strstr(reply->detail, "participant second voted aborted: the script says so"),
                  "%s", reply->detail);
    raw_free(answer.reply);
    fixture_wait(&f, atomic_load(&first.aborts) == 1, "the other one does not abort");
    close_world();
}
END_TEST

START_TEST(a_participant_that_has_no_room_is_the_reason_to_run_it_again) {
    char text[TROTH_TXID_TEXT];
    open_world();
    atomic_store(&second.vote, TROTH_VOTE_ABORTED);
    atomic_store(&second.reason, TROTH_REASON_BUSY);
    begin(0, text);
    struct raw_answer answer = commit_work(0, text, 2);
    const Troth__V1__OutcomeReply *reply = (Troth__V1__OutcomeReply *)(void *)answer.reply;
    ck_assert_int_eq(answer.status, RPC_OK);
    ck_assert_int_eq(reply->outcome, ABORTED);
    ck_assert_int_eq(reply->reason, TROTH__V1__ABORT_REASON__ABORT_REASON_BUSY);
    ck_assert_msg(strstr(reply->detail, "the script says so") != NULL, "%s", reply->detail);
    raw_free(answer.reply);
    atomic_store(&second.vote, TROTH_VOTE_PREPARED); /* there is room again */
    atomic_store(&second.reason, 0);
    begin(0, text);
    ck_assert_int_eq(outcome_of(commit_work(0, text, 2)), COMMITTED);
    wait_done(2, 1, 1);
    close_world();
}
END_TEST

START_TEST(what_can_not_be_passed_on_is_refused_and_nothing_changes) {
    char text[TROTH_TXID_TEXT];
    open_world();
    begin(0, text);
    struct both *both = give_both();
    Troth__V1__CommitWorkRequest request = TROTH__V1__COMMIT_WORK_REQUEST__INIT;
    request.txid = text;
    request.works = both->list;
    request.n_works = 2;
    static char absent[] = "absent";
    both->of[1].participant = absent;
    must_be_refused(raw_call(node(0), TRANSACTIONS "CommitWork", &request.base,
                             &troth__v1__outcome_reply__descriptor),
                    RPC_UNAVAILABLE, "participant absent has no session with this node");
    both = give_both();
    both->of[1].work.len = 0;
    must_be_refused(raw_call(node(0), TRANSACTIONS "CommitWork", &request.base,
                             &troth__v1__outcome_reply__descriptor),
                    RPC_INVALID_ARGUMENT, "the work for participant second has 0 bytes");
    must_be_refused(commit_work(1, text, 2), RPC_FAILED_PRECONDITION,
                    "a Commit with work is for the node that coordinates");
    ck_assert_int_eq(atomic_load(&first.works), 0);
    ck_assert_int_eq(outcome_of(commit_work(0, text, 2)), COMMITTED);
    /* Now that it is known, any node tells it. */
    fixture_wait_quiet(&f);
    ck_assert_int_eq(outcome_of(commit_work(1, text, 2)), COMMITTED);
    wait_done(1, 1, 0);
    close_world();
}
END_TEST

/* ---- The node that passed it on is killed ---------------------------------------------------- */

struct asking {
    pthread_t thread;
    char txid[TROTH_TXID_TEXT];
};

/* Whatever it is told: its node dies. */
static void *ask(void *arg) {
    struct asking *asking = arg;
    struct raw_answer answer = commit_work(0, asking->txid, 2);
    if (answer.status == RPC_OK) {
        raw_free(answer.reply);
    }
    return NULL;
}

/* Node 0 is killed when both have been given their work; the second one has not voted. */
static void kill_coordinator(struct asking *asking) {
    atomic_store(&second.vote, TROTH_PARTICIPANT_LATER);
    begin(0, asking->txid);
    ck_assert_int_eq(pthread_create(&asking->thread, NULL, ask, asking), 0);
    fixture_wait(&f, atomic_load(&first.works) == 1 && atomic_load(&second.works) == 1,
                 "the work does not come");
    fixture_kill(&f, CLUSTER_NODE, 0);
    pthread_join(asking->thread, NULL);
}

static void vote(const struct asking *asking) {
    struct troth_txid txid;
    ck_assert_int_eq(troth_txid_parse(asking->txid, &txid), 0);
    ck_assert_int_eq(troth_participant_done(second.participant, txid, TROTH_VOTE_PREPARED, ""), 0);
}

START_TEST(L1_another_node_aborts_what_one_has_not_voted_on) {
    struct asking asking;
    open_world();
    kill_coordinator(&asking);
    ck_assert_int_eq(abort_at(1, asking.txid), ABORTED);
    vote(&asking); /* late */
    wait_done(1, 0, 1);
    fixture_start(&f, CLUSTER_NODE, 0, NULL);
    ck_assert_int_eq(abort_at(0, asking.txid), ABORTED);
    close_world();
}
END_TEST

START_TEST(S1_what_all_have_voted_on_has_one_outcome_and_works_once) {
    struct asking asking;
    open_world();
    kill_coordinator(&asking);
    vote(&asking);
    Troth__V1__Outcome outcome = abort_at(1, asking.txid); /* proposes */
    wait_done(1, outcome == COMMITTED, outcome == ABORTED);
    fixture_start(&f, CLUSTER_NODE, 0, NULL);
    ck_assert_int_eq(abort_at(0, asking.txid), outcome);
    ck_assert_int_eq(outcome_of(commit_work(1, asking.txid, 2)), outcome); /* it knows */
    wait_done(1, outcome == COMMITTED, outcome == ABORTED);
    close_world();
}
END_TEST

#ifdef TROTH_CRASH_POINTS

static bool is_attached_everywhere(struct scripted *scripted) {
    struct troth_participant_counters counters;
    troth_participant_counters(scripted->participant, &counters);
    return counters.nodes_attached == f.nodes;
}

/* What was done is committed or undone, by both. */
static void must_follow(const char *point, struct scripted *scripted, int commits) {
    fixture_wait(&f,
                 atomic_load(&scripted->commits) == commits &&
                     atomic_load(&scripted->aborts) == atomic_load(&scripted->works) - commits,
                 "%s: %d works, %d commits of %d, %d aborts", point, atomic_load(&scripted->works),
                 atomic_load(&scripted->commits), commits, atomic_load(&scripted->aborts));
}

START_TEST(S1_a_node_that_dies_on_the_way_leaves_one_outcome) {
    static const struct {
        const char *name;
        Troth__V1__Outcome outcome; /* NONE: by the votes that got through */
    } points[] = {{"before.send.prepare", ABORTED},
                  {"after.send.prepare", TROTH__V1__OUTCOME__OUTCOME_NONE},
                  {"before.store.votes", TROTH__V1__OUTCOME__OUTCOME_NONE},
                  {"after.store.votes", TROTH__V1__OUTCOME__OUTCOME_NONE},
                  {"before.reply.committed", COMMITTED},
                  {"after.reply.committed", COMMITTED},
                  {"before.send.decision", COMMITTED}};
    int commits = 0;
    open_world();
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct asking asking;
        fixture_wait_quiet(&f);
        fixture_restart(&f, CLUSTER_NODE, 0, points[i].name);
        fixture_wait(&f, is_attached_everywhere(&first) && is_attached_everywhere(&second),
                     "the participants do not get attached");
        begin(0, asking.txid);
        ck_assert_int_eq(pthread_create(&asking.thread, NULL, ask, &asking), 0);
        fixture_wait_crash(&f, CLUSTER_NODE, 0);
        pthread_join(asking.thread, NULL);
        Troth__V1__Outcome outcome = abort_at(1, asking.txid);
        fixture_must(&f,
                     points[i].outcome == TROTH__V1__OUTCOME__OUTCOME_NONE ||
                         outcome == points[i].outcome,
                     "%s: the outcome is %d", points[i].name, (int)outcome);
        commits += outcome == COMMITTED;
        must_follow(points[i].name, &first, commits);
        must_follow(points[i].name, &second, commits);
    }
    fixture_start(&f, CLUSTER_NODE, 0, NULL);
    close_world();
}
END_TEST

#endif

int main(void) {
    return fixture_suite_run(
        "commit_work",
        (const TTest *[]){S5_a_call_and_a_request_of_a_stream_bring_work_and_it_commits,
                          S5_the_only_participant_does_its_work_before_it_votes,
                          S3_work_that_one_refuses_is_done_by_nobody,
                          a_participant_that_has_no_room_is_the_reason_to_run_it_again,
                          what_can_not_be_passed_on_is_refused_and_nothing_changes,
                          L1_another_node_aborts_what_one_has_not_voted_on,
                          S1_what_all_have_voted_on_has_one_outcome_and_works_once,
#ifdef TROTH_CRASH_POINTS
                          S1_a_node_that_dies_on_the_way_leaves_one_outcome,
#endif
                          NULL});
}

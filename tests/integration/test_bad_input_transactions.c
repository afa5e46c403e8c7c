/* What Transactions refuses: each refusal has a status and a text that says what failed, on what
 * and what to do; it changes nothing, and the node serves as before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paxos/types.h"
#include "tests/lib/scene.h"

#define NEVER_GIVEN  "00000001000000010000000000abcdef"
#define OTHER_CELL   "00070001000000010000000000000001"
#define NO_SUCH_NODE "00000009000000010000000000000001"

typedef struct raw_answer ask_fn(const char *txid);

static struct raw_answer ask_get(const char *txid) {
    return scene_get(0, txid);
}

static struct raw_answer ask_abort(const char *txid) {
    return scene_abort(0, txid);
}

static struct raw_answer ask_commit(const char *txid) {
    return scene_commit(0, txid, 0, NULL);
}

static struct raw_answer enlist(const char *txid, const char *name, uint64_t incarnation) {
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    Troth__V1__EnlistRequest request = TROTH__V1__ENLIST_REQUEST__INIT;
    branch.participant = (char *)(uintptr_t)name;
    branch.incarnation = incarnation;
    request.txid = (char *)(uintptr_t)txid;
    request.branch = &branch;
    return raw_call(scene_node(0), "/troth.v1.Transactions/Enlist", &request.base,
                    &troth__v1__enlist_reply__descriptor);
}

static struct raw_answer ask_enlist(const char *txid) {
    return enlist(txid, "somebody", 1);
}

static ask_fn *const asks[] = {ask_get, ask_abort, ask_commit, ask_enlist};
#define ASKS (sizeof asks / sizeof *asks)

static void all_refuse(const char *txid, int status, const char *const *words) {
    char *before = scene_snapshot();
    for (size_t i = 0; i < ASKS; i++) {
        scene_refuses(asks[i](txid), status, words);
    }
    scene_unchanged(before);
    scene_serves();
}

/* A transaction with one branch that nobody has attached. */
static void begin_with(char txid[SCENE_TXID_BYTES], const char *participant) {
    scene_begin(0, txid);
    struct raw_answer answer = enlist(txid, participant, 1);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    raw_free(answer.reply);
}

static int outcome_of(struct raw_answer answer, int *reason) {
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    const Troth__V1__OutcomeReply *reply = (const Troth__V1__OutcomeReply *)answer.reply;
    int outcome = (int)reply->outcome;
    *reason = (int)reply->reason;
    raw_free(answer.reply);
    return outcome;
}

START_TEST(a_malformed_txid_is_an_invalid_argument) {
    static const char *const malformed[] = {"",
                                            "1",
                                            "00000001000000010000000000000001 ",
                                            "0000000100000001000000000000000g",
                                            "00000000000000000000000000000000",
                                            "000000010000000100000000000000010",
                                            "'; DROP TABLE record; --",
                                            "%s%n%s%n%s%n%s%n%s%n%s%n%s%n%s%n"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        all_refuse(malformed[i], RPC_INVALID_ARGUMENT,
                   (const char *[]){"txid", malformed[i], "32 hexadecimal digits", "Begin", NULL});
    }
}
END_TEST

START_TEST(a_txid_that_was_never_given_out_is_not_found) {
    all_refuse(NEVER_GIVEN, RPC_NOT_FOUND,
               (const char *[]){NEVER_GIVEN, "never given out", "Begin", NULL});
}
END_TEST

START_TEST(a_txid_of_another_cell_or_of_no_node_is_an_invalid_argument) {
    all_refuse(OTHER_CELL, RPC_INVALID_ARGUMENT, (const char *[]){OTHER_CELL, "cell", NULL});
    all_refuse(NO_SUCH_NODE, RPC_INVALID_ARGUMENT, (const char *[]){NO_SUCH_NODE, "node", NULL});
}
END_TEST

START_TEST(commit_after_abort_tells_the_outcome_and_its_reason) {
    char txid[SCENE_TXID_BYTES];
    int reason;
    scene_begin(0, txid);
    ck_assert_int_eq(outcome_of(scene_abort(0, txid), &reason),
                     TROTH__V1__OUTCOME__OUTCOME_ABORTED);
    char *before = scene_snapshot();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(outcome_of(scene_commit(0, txid, 0, NULL), &reason),
                         TROTH__V1__OUTCOME__OUTCOME_ABORTED);
        ck_assert_int_eq(reason, TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT);
    }
    scene_unchanged(before);
}
END_TEST

START_TEST(abort_after_commit_tells_committed) {
    char txid[SCENE_TXID_BYTES];
    int reason;
    scene_begin(0, txid);
    struct raw_answer put = scene_put(0, txid, "once", 4, "1", 1);
    ck_assert_msg(put.status == RPC_OK, "%s", put.text);
    raw_free(put.reply);
    ck_assert_int_eq(outcome_of(scene_commit(0, txid, 0, NULL), &reason),
                     TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    ck_assert_int_eq(outcome_of(scene_abort(0, txid), &reason),
                     TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
}
END_TEST

START_TEST(an_enlistment_after_commit_began_is_a_failed_precondition) {
    char txid[SCENE_TXID_BYTES];
    int reason;
    scene_begin(0, txid);
    struct raw_answer put = scene_put(0, txid, "late", 4, "1", 1);
    ck_assert_msg(put.status == RPC_OK, "%s", put.text);
    raw_free(put.reply);
    ck_assert_int_eq(outcome_of(scene_commit(0, txid, 0, NULL), &reason),
                     TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    /* The next call to the shard waits until it has the outcome. */
    put = scene_put(0, "", "late-2", 6, "1", 1);
    ck_assert_msg(put.status == RPC_OK, "%s", put.text);
    raw_free(put.reply);
    char *before = scene_snapshot();
    scene_refuses(enlist(txid, "latecomer", 1), RPC_FAILED_PRECONDITION,
                  (const char *[]){txid, "commit has begun", "begin", NULL});
    put = scene_put(0, txid, "late", 4, "2", 1);
    ck_assert_int_ne(put.status, RPC_OK);
    scene_has_words(put.text, (const char *[]){txid, "late", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

START_TEST(an_enlistment_after_abort_is_aborted) {
    char txid[SCENE_TXID_BYTES];
    int reason;
    scene_begin(0, txid);
    outcome_of(scene_abort(0, txid), &reason);
    char *before = scene_snapshot();
    scene_refuses(enlist(txid, "latecomer", 1), RPC_ABORTED, (const char *[]){"bort", NULL});
    scene_unchanged(before);
}
END_TEST

START_TEST(more_participants_than_the_limit_are_refused_by_commit_and_by_enlist) {
    enum { MANY = PAXOS_PARTICIPANTS_MAX + 1 };
    static Troth__V1__Branch branches[MANY];
    static Troth__V1__Branch *pointers[MANY];
    static char names[MANY][16];
    char txid[SCENE_TXID_BYTES];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "many-%u", i);
        troth__v1__branch__init(&branches[i]);
        branches[i].participant = names[i];
        branches[i].incarnation = 1;
        pointers[i] = &branches[i];
    }
    begin_with(txid, "one-too-many");
    char *before = scene_snapshot();
    scene_refuses(scene_commit(0, txid, MANY, pointers), RPC_RESOURCE_EXHAUSTED,
                  (const char *[]){"1025", "1024", "participants", NULL});
    /* With the one that is enlisted already. */
    scene_refuses(scene_commit(0, txid, MANY - 1, pointers), RPC_RESOURCE_EXHAUSTED,
                  (const char *[]){txid, "1024", "participants", NULL});
    scene_unchanged(before);
    for (unsigned i = 0; i < PAXOS_PARTICIPANTS_MAX - 1; i++) {
        struct raw_answer answer = enlist(txid, names[i], 1);
        ck_assert_msg(answer.status == RPC_OK, "%u: %s", i, answer.text);
        raw_free(answer.reply);
    }
    before = scene_snapshot();
    scene_refuses(enlist(txid, "the-last-straw", 1), RPC_RESOURCE_EXHAUSTED,
                  (const char *[]){txid, "1024", "participants", NULL});
    scene_unchanged(before);
    raw_free(scene_abort(0, txid).reply);
    scene_serves();
}
END_TEST

START_TEST(a_participant_name_or_incarnation_out_of_bounds_is_an_invalid_argument) {
    static const char *const names[] = {
        "",
        "with space",
        "slash/",
        "umlaut-\xc3\xa4",
        "not-utf-8-\xff",
        "123456789012345678901234567890123456789012345678" /* 48 */};
    char txid[SCENE_TXID_BYTES];
    scene_begin(0, txid);
    char *before = scene_snapshot();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
        Troth__V1__Branch *branches = &branch;
        branch.participant = (char *)(uintptr_t)names[i];
        branch.incarnation = 1;
        const char *const words[] = {"participant", "1 to 47", NULL};
        scene_refuses(enlist(txid, names[i], 1), RPC_INVALID_ARGUMENT, words);
        scene_refuses(scene_commit(0, txid, 1, &branches), RPC_INVALID_ARGUMENT, words);
    }
    scene_refuses(enlist(txid, "nameless", 0), RPC_INVALID_ARGUMENT,
                  (const char *[]){"nameless", "incarnation", NULL});
    scene_unchanged(before);
    raw_free(scene_abort(0, txid).reply);
    scene_serves();
}
END_TEST

static struct raw_answer begin(uint32_t timeout_ms, const char *key) {
    Troth__V1__BeginRequest request = TROTH__V1__BEGIN_REQUEST__INIT;
    request.timeout_ms = timeout_ms;
    request.idempotency_key = (char *)(uintptr_t)key;
    return raw_call(scene_node(0), "/troth.v1.Transactions/Begin", &request.base,
                    &troth__v1__begin_reply__descriptor);
}

START_TEST(a_timeout_or_idempotency_key_over_its_limit_begins_nothing) {
    char key[66];
    memset(key, 'k', 65);
    key[65] = '\0';
    char *before = scene_snapshot();
    scene_refuses(begin(3600001, ""), RPC_INVALID_ARGUMENT,
                  (const char *[]){"timeout_ms", "3600001", "3600000", NULL});
    scene_refuses(begin(UINT32_MAX, ""), RPC_INVALID_ARGUMENT,
                  (const char *[]){"timeout_ms", "3600000", NULL});
    scene_refuses(begin(0, key), RPC_INVALID_ARGUMENT,
                  (const char *[]){"idempotency key", "65", "64", NULL});
    scene_unchanged(before);
    key[64] = '\0';
    struct raw_answer first = begin(3600000, key);
    struct raw_answer second = begin(3600000, key);
    ck_assert_msg(first.status == RPC_OK && second.status == RPC_OK, "%s", first.text);
    ck_assert_str_eq(((Troth__V1__BeginReply *)first.reply)->txid,
                     ((Troth__V1__BeginReply *)second.reply)->txid);
    raw_free(scene_abort(0, ((Troth__V1__BeginReply *)first.reply)->txid).reply);
    raw_free(first.reply);
    raw_free(second.reply);
}
END_TEST

START_TEST(an_outcome_to_list_that_is_none_is_an_invalid_argument) {
    Troth__V1__ListRequest request = TROTH__V1__LIST_REQUEST__INIT;
    request.outcome = (Troth__V1__Outcome)7;
    scene_refuses(raw_call(scene_node(0), "/troth.v1.Transactions/List", &request.base,
                           &troth__v1__list_reply__descriptor),
                  RPC_INVALID_ARGUMENT, (const char *[]){"outcome", "7", NULL});
}
END_TEST

START_TEST(a_method_that_is_not_there_is_unimplemented) {
    Troth__V1__ListRequest request = TROTH__V1__LIST_REQUEST__INIT;
    scene_refuses(raw_call(scene_node(0), "/troth.v1.Transactions/Undo", &request.base,
                           &troth__v1__list_reply__descriptor),
                  RPC_UNIMPLEMENTED, (const char *[]){"method", NULL});
}
END_TEST

/* 4.3 and S6: said as such, at the node that began it, never "aborted". */
START_TEST(S6_a_forgotten_txid_is_out_of_range_and_never_aborted) {
    char txid[SCENE_TXID_BYTES];
    int reason;
    scene_begin(0, txid);
    struct raw_answer put = scene_put(0, txid, "forgotten", 9, "1", 1);
    ck_assert_msg(put.status == RPC_OK, "%s", put.text);
    raw_free(put.reply);
    ck_assert_int_eq(outcome_of(scene_commit(0, txid, 0, NULL), &reason),
                     TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    struct raw_answer answer = {.status = RPC_OK};
    while (answer.status == RPC_OK) { /* ctest's timeout ends it if it is never forgotten */
        scene_serves();               /* the mark moves with what comes behind */
        answer = scene_get(0, txid);
        if (answer.status == RPC_OK) {
            ck_assert_int_eq(((Troth__V1__Transaction *)answer.reply)->outcome,
                             TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
            raw_free(answer.reply);
        }
    }
    for (size_t i = 0; i < ASKS; i++) {
        scene_refuses(asks[i](txid), RPC_OUT_OF_RANGE,
                      (const char *[]){txid, "forgotten", "not known to be aborted", NULL});
    }
    put = scene_put(0, txid, "forgotten", 9, "2", 1);
    ck_assert_int_ne(put.status, RPC_OK);
    scene_serves();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_malformed_txid_is_an_invalid_argument,
        a_txid_that_was_never_given_out_is_not_found,
        a_txid_of_another_cell_or_of_no_node_is_an_invalid_argument,
        commit_after_abort_tells_the_outcome_and_its_reason,
        abort_after_commit_tells_committed,
        an_enlistment_after_commit_began_is_a_failed_precondition,
        an_enlistment_after_abort_is_aborted,
        more_participants_than_the_limit_are_refused_by_commit_and_by_enlist,
        a_participant_name_or_incarnation_out_of_bounds_is_an_invalid_argument,
        a_timeout_or_idempotency_key_over_its_limit_begins_nothing,
        an_outcome_to_list_that_is_none_is_an_invalid_argument,
        a_method_that_is_not_there_is_unimplemented,
        NULL,
    };
    const TTest *const with_a_short_retention[] = {
        S6_a_forgotten_txid_is_out_of_range_and_never_aborted, NULL};
    const char *const short_retention[] = {"--retention-ms", "1000", NULL};
    int status = scene_suite_run("bad_input_transactions",
                                 &(struct scene_options){.nodes = 1, .shards = 1}, tests);
    return status | scene_suite_run("bad_input_forgotten",
                                    &(struct scene_options){
                                        .nodes = 1, .shards = 1, .node_args = short_retention},
                                    with_a_short_retention);
}

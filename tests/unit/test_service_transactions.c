/* service_transactions: a stream's request as it comes from the wire. */
#include <check.h>

#include "coordinator/calls.h"
#include "tests/lib/suite.h"

#define NAMES_MAX (4 * PAXOS_PARTICIPANTS_MAX)

static Troth__V1__Branch branch(const char *name, uint64_t incarnation) {
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)name;
    branch.incarnation = incarnation;
    return branch;
}

static struct call *read_commit(Troth__V1__Branch *branches, size_t n) {
    static uint8_t txid[TROTH_TXID_BYTES] = {[0] = 0};
    static Troth__V1__Branch *list[NAMES_MAX + 1];
    Troth__V1__SessionRequest request = TROTH__V1__SESSION_REQUEST__INIT;
    ck_assert_uint_le(n, NAMES_MAX + 1);
    for (size_t i = 0; i < n; i++) {
        list[i] = &branches[i];
    }
    request.kind = TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT;
    request.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    request.branches = list;
    request.n_branches = n;
    struct call *call = service_read_request(&request);
    ck_assert_ptr_nonnull(call);
    return call;
}

/* A client may name it with each piece of its work; a message between nodes that names one twice
 * would be a mistake. */
START_TEST(a_branch_that_is_named_again_is_one) {
    Troth__V1__Branch named[] = {branch("stock", 7), branch("orders", 7), branch("stock", 7),
                                 branch("stock", 7)};
    struct call *call = read_commit(named, 4);
    ck_assert_int_eq(call->refusal, 0);
    ck_assert_uint_eq(call->branches->n, 2);
    ck_assert_str_eq(call->branches->members[0].name, "stock");
    ck_assert_str_eq(call->branches->members[1].name, "orders");
    call_free(call);
}
END_TEST

START_TEST(S5_another_incarnation_is_another_branch) {
    Troth__V1__Branch named[] = {branch("stock", 7), branch("stock", 8)};
    struct call *call = read_commit(named, 2);
    ck_assert_uint_eq(call->branches->n, 2);
    call_free(call);
}
END_TEST

/* `n` branches, of which `distinct` are. */
static struct call *read_many(size_t n, size_t distinct) {
    static char names[PAXOS_PARTICIPANTS_MAX + 1][16];
    static Troth__V1__Branch named[NAMES_MAX + 1];
    for (size_t i = 0; i < n; i++) {
        /* In no order of theirs. */
        size_t which = (distinct - 1 - i % distinct) * 7 % distinct;
        snprintf(names[which], sizeof names[which], "p-%zu", which);
        named[i] = branch(names[which], 7);
    }
    return read_commit(named, n);
}

START_TEST(the_first_of_each_branch_stays_in_its_order) {
    struct call *call = read_many(NAMES_MAX, PAXOS_PARTICIPANTS_MAX);
    ck_assert_int_eq(call->refusal, 0);
    ck_assert_uint_eq(call->branches->n, PAXOS_PARTICIPANTS_MAX);
    ck_assert_str_eq(call->branches->members[0].name, "p-1017"); /* 1023 * 7 % 1024 */
    ck_assert_str_eq(call->branches->members[1023].name, "p-0");
    for (uint32_t i = 0; i < call->branches->n; i++) {
        ck_assert_uint_eq(call->branches->members[i].incarnation, 7);
    }
    call_free(call);
}
END_TEST

START_TEST(more_branches_than_a_transaction_has_are_refused) {
    struct call *call = read_many(PAXOS_PARTICIPANTS_MAX + 1, PAXOS_PARTICIPANTS_MAX + 1);
    ck_assert_int_eq(call->refusal, RPC_RESOURCE_EXHAUSTED);
    call_free(call);
}
END_TEST

/* However few they are: reading them would hold up the loop. */
START_TEST(more_names_than_a_request_may_have_are_refused_unread) {
    struct call *call = read_many(NAMES_MAX + 1, 2);
    ck_assert_int_eq(call->refusal, RPC_RESOURCE_EXHAUSTED);
    ck_assert_ptr_null(call->branches);
    ck_assert_ptr_nonnull(strstr(call->refusal_text, "4097 branches"));
    ck_assert_ptr_nonnull(strstr(call->refusal_text, "limit of 4096"));
    call_free(call);
}
END_TEST

/* ---- Work ------------------------------------------------------------------------------------ */

static uint8_t work_bytes[WORK_BYTES_MAX + 1];

static Troth__V1__Work work(const char *participant, size_t n) {
    Troth__V1__Work made = TROTH__V1__WORK__INIT;
    made.participant = (char *)(uintptr_t)participant;
    made.work = (ProtobufCBinaryData){.len = n, .data = work_bytes};
    return made;
}

static struct call *read_works(Troth__V1__SessionKind kind, Troth__V1__Branch *branch,
                               Troth__V1__Work *works, size_t n) {
    static uint8_t txid[TROTH_TXID_BYTES];
    static Troth__V1__Work *list[PAXOS_PARTICIPANTS_MAX + 1];
    Troth__V1__SessionRequest request = TROTH__V1__SESSION_REQUEST__INIT;
    for (size_t i = 0; i < n; i++) {
        list[i] = &works[i];
    }
    request.kind = kind;
    request.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    request.branches = &branch;
    request.n_branches = branch != NULL;
    request.works = list;
    request.n_works = n;
    struct call *call = service_read_request(&request);
    ck_assert_ptr_nonnull(call);
    return call;
}

static struct call *read_commit_work(Troth__V1__Branch *branch, Troth__V1__Work *works, size_t n) {
    return read_works(TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK, branch, works, n);
}

START_TEST(work_is_its_branch_s_or_makes_a_member_of_its_own) {
    Troth__V1__Branch stock = branch("stock", 7);
    Troth__V1__Work works[] = {work("orders", 5), work("stock", WORK_BYTES_MAX)};
    work_bytes[0] = 'w';
    struct call *call = read_commit_work(&stock, works, 2);
    ck_assert_int_eq(call->refusal, 0);
    ck_assert_int_eq(call->kind, CALL_COMMIT);
    ck_assert_uint_eq(call->branches->n, 2);
    ck_assert_str_eq(call->branches->members[0].name, "stock");
    ck_assert_uint_eq(call->branches->members[0].incarnation, 7);
    ck_assert_uint_eq(call->works[0]->n, WORK_BYTES_MAX);
    ck_assert_str_eq(call->branches->members[1].name, "orders");
    ck_assert_uint_eq(call->branches->members[1].incarnation, 0); /* whichever is attached */
    ck_assert_uint_eq(call->works[1]->n, 5);
    ck_assert_int_eq(call->works[1]->bytes[0], 'w');
    call_free(call);
}
END_TEST

START_TEST(who_is_only_named_has_no_work) {
    Troth__V1__Branch stock = branch("stock", 7);
    Troth__V1__Work works[] = {work("orders", 1)};
    struct call *call = read_commit_work(&stock, works, 1);
    ck_assert_ptr_null(call->works[0]);
    ck_assert_ptr_nonnull(call->works[1]);
    call_free(call);
    call = read_commit_work(&stock, NULL, 0);
    ck_assert_int_eq(call->refusal, 0);
    ck_assert_ptr_null(call->works);
    call_free(call);
}
END_TEST

static void refused(struct call *call, int status, const char *text) {
    ck_assert_int_eq(call->refusal, status);
    ck_assert_msg(strstr(call->refusal_text, text) != NULL, "%s", call->refusal_text);
    ck_assert_ptr_null(call->works);
    ck_assert_ptr_null(call->branches);
    call_free(call);
}

START_TEST(work_of_no_bytes_or_too_many_is_refused) {
    Troth__V1__Work none = work("stock", 0);
    Troth__V1__Work large = work("stock", WORK_BYTES_MAX + 1);
    refused(read_commit_work(NULL, &none, 1), RPC_INVALID_ARGUMENT,
            "the work for participant stock has 0 bytes; it must be 1 to 65536");
    refused(read_commit_work(NULL, &large, 1), RPC_INVALID_ARGUMENT,
            "the work for participant stock has 65537 bytes");
}
END_TEST

START_TEST(more_work_in_all_than_a_transaction_may_have_is_refused) {
    Troth__V1__Work works[17];
    char names[17][8];
    for (size_t i = 0; i < 17; i++) {
        snprintf(names[i], sizeof names[i], "p-%zu", i);
        works[i] = work(names[i], i < 16 ? WORK_BYTES_MAX : 1);
    }
    struct call *call = read_commit_work(NULL, works, 16);
    ck_assert_int_eq(call->refusal, 0);
    call_free(call);
    refused(read_commit_work(NULL, works, 17), RPC_INVALID_ARGUMENT,
            "has 1048577 bytes, which is more than the limit of 1048576");
}
END_TEST

START_TEST(a_participant_that_is_given_work_twice_is_refused) {
    Troth__V1__Work works[] = {work("stock", 1), work("orders", 1), work("stock", 1)};
    refused(read_commit_work(NULL, works, 3), RPC_INVALID_ARGUMENT,
            "participant stock is given work twice");
}
END_TEST

START_TEST(work_for_what_is_no_name_is_refused) {
    Troth__V1__Work works[] = {work("the stock", 1)};
    refused(read_commit_work(NULL, works, 1), RPC_INVALID_ARGUMENT, "\"the stock\"");
}
END_TEST

START_TEST(more_participants_with_their_work_than_a_transaction_has_are_refused) {
    static Troth__V1__Work works[PAXOS_PARTICIPANTS_MAX + 1];
    static char names[PAXOS_PARTICIPANTS_MAX + 1][8];
    for (size_t i = 0; i <= PAXOS_PARTICIPANTS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "p-%zu", i);
        works[i] = work(names[i], 1);
    }
    Troth__V1__Branch one = branch("p-7", 7);
    struct call *call = read_commit_work(&one, works, PAXOS_PARTICIPANTS_MAX);
    ck_assert_int_eq(call->refusal, 0);
    ck_assert_uint_eq(call->branches->n, PAXOS_PARTICIPANTS_MAX);
    call_free(call);
    one = branch("stock", 7);
    refused(read_commit_work(&one, works, PAXOS_PARTICIPANTS_MAX), RPC_RESOURCE_EXHAUSTED,
            "1025 participants are more than the limit of 1024");
    refused(read_commit_work(NULL, works, PAXOS_PARTICIPANTS_MAX + 1), RPC_RESOURCE_EXHAUSTED,
            "1025 participants are given work");
}
END_TEST

/* As long as they wait for the loop. */
START_TEST(more_work_than_all_calls_may_bring_is_refused) {
    static struct call *calls[CALLS_WORK_BYTES_MAX / WORK_BYTES_ALL_MAX];
    static const size_t n = sizeof calls / sizeof *calls;
    Troth__V1__Work works[16];
    char names[16][8];
    for (size_t i = 0; i < 16; i++) {
        snprintf(names[i], sizeof names[i], "p-%zu", i);
        works[i] = work(names[i], WORK_BYTES_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        calls[i] = read_commit_work(NULL, works, 16);
        ck_assert_int_eq(calls[i]->refusal, 0);
    }
    Troth__V1__Work one = work("stock", 1);
    refused(read_commit_work(NULL, &one, 1), RPC_UNAVAILABLE,
            "67108864 bytes of work wait at this node already");
    call_free(calls[0]);
    calls[0] = read_commit_work(NULL, &one, 1);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(calls[i]->refusal, 0);
        call_free(calls[i]);
    }
}
END_TEST

/* Left out, it would be committed without. */
START_TEST(S5_work_with_another_request_is_refused) {
    Troth__V1__Work works[] = {work("stock", 1)};
    static const Troth__V1__SessionKind kinds[] = {
        TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT, TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT,
        TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN, TROTH__V1__SESSION_KIND__SESSION_KIND_GET};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        refused(read_works(kinds[i], NULL, works, 1), RPC_INVALID_ARGUMENT,
                "SESSION_KIND_COMMIT_WORK");
    }
}
END_TEST

int main(void) {
    return suite_run(
        "service_transactions",
        (const TTest *[]){
            a_branch_that_is_named_again_is_one, S5_another_incarnation_is_another_branch,
            the_first_of_each_branch_stays_in_its_order,
            more_branches_than_a_transaction_has_are_refused,
            more_names_than_a_request_may_have_are_refused_unread,
            work_is_its_branch_s_or_makes_a_member_of_its_own, who_is_only_named_has_no_work,
            work_of_no_bytes_or_too_many_is_refused,
            more_work_in_all_than_a_transaction_may_have_is_refused,
            a_participant_that_is_given_work_twice_is_refused, work_for_what_is_no_name_is_refused,
            more_participants_with_their_work_than_a_transaction_has_are_refused,
            more_work_than_all_calls_may_bring_is_refused, S5_work_with_another_request_is_refused,
            NULL});
}

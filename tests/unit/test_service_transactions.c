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

int main(void) {
    return suite_run("service_transactions",
                     (const TTest *[]){a_branch_that_is_named_again_is_one,
                                       S5_another_incarnation_is_another_branch,
                                       the_first_of_each_branch_stays_in_its_order,
                                       more_branches_than_a_transaction_has_are_refused,
                                       more_names_than_a_request_may_have_are_refused_unread,
                                       NULL});
}

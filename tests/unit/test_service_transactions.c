/* service_transactions: a stream's request as it comes from the wire. */
#include <check.h>

#include "coordinator/calls.h"
#include "tests/lib/suite.h"

static Troth__V1__Branch branch(const char *name, uint64_t incarnation) {
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)name;
    branch.incarnation = incarnation;
    return branch;
}

static struct call *read_commit(Troth__V1__Branch *branches, size_t n) {
    static uint8_t txid[TROTH_TXID_BYTES] = {[0] = 0};
    Troth__V1__Branch *list[8];
    Troth__V1__SessionRequest request = TROTH__V1__SESSION_REQUEST__INIT;
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

int main(void) {
    return suite_run("service_transactions",
                     (const TTest *[]){a_branch_that_is_named_again_is_one,
                                       S5_another_incarnation_is_another_branch, NULL});
}

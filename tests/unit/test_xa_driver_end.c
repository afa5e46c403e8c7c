/* Commit and rollback by XA: what each return code leads to, of the specification and outside. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "participant/adapters/xa_codes.h"
#include "tests/lib/suite.h"
#include "tests/lib/xa_fixture.h"

/* ---- One call over a switch that returns one code -------------------------------------------- */

struct ending {
    const char *rule; /* the code, and its effect */
    int result;
    const char *state; /* of the branch, afterwards */
};

static void assert_ending(bool commit, const struct ending *ending, bool was_begun) {
    char rules[100];
    snprintf(rules, sizeof rules, "%s=%s", commit ? "commit" : "rollback", ending->rule);
    struct xa_fixture *f = xa_fixture_new(rules);
    struct troth_txid txid = xa_fixture_prepared(f);
    struct driver_branch branch =
        was_begun ? xa_fixture_end_again(f, txid, commit) : xa_fixture_end(f, txid, commit);
    ck_assert_msg(branch.result == ending->result, "%s: result %d, not %d (%s)", rules,
                  branch.result, ending->result, branch.detail);
    ck_assert_msg(strcmp(xa_fixture_state(f, txid), ending->state) == 0, "%s: it is %s, not %s",
                  rules, xa_fixture_state(f, txid), ending->state);
    /* Whoever has to do with it is told the code. */
    char number[16];
    snprintf(number, sizeof number, "%.*s", (int)strcspn(ending->rule, "+:"), ending->rule);
    ck_assert_msg(ending->result == 0 ? branch.detail[0] == '\0'
                                      : strstr(branch.detail, number) != NULL,
                  "%s: \"%s\"", rules, branch.detail);
    xa_fixture_free(f);
}

static void assert_endings(bool commit, const struct ending *endings) {
    for (; endings->rule != NULL; endings++) {
        assert_ending(commit, endings, false);
    }
}

/* ---- Codes of the specification -------------------------------------------------------------- */

START_TEST(ok_is_done_and_only_ok) {
    assert_endings(true, (const struct ending[]){{"XA_OK+done", 0, "committed"}, {NULL, 0, NULL}});
    assert_endings(false, (const struct ending[]){{"XA_OK+done", 0, "aborted"}, {NULL, 0, NULL}});
}
END_TEST

START_TEST(heuristics_are_told_as_what_they_are) {
    static const struct ending endings[] = {{"XA_HEURCOM", DRIVER_WAS_COMMITTED, "heurcom"},
                                            {"XA_HEURRB", DRIVER_WAS_ABORTED, "heurrb"},
                                            {"XA_HEURMIX", DRIVER_WAS_MIXED, "heurmix"},
                                            {"XA_HEURHAZ", DRIVER_HAZARD, "heurhaz"},
                                            {NULL, 0, NULL}};
    assert_endings(true, endings);
    assert_endings(false, endings);
}
END_TEST

START_TEST(what_was_not_done_is_done_again) {
    static const struct ending endings[] = {{"XA_RETRY", TROTH_ERR_STATE, "prepared"},
                                            {"XAER_RMFAIL", TROTH_ERR_UNAVAILABLE, "prepared"},
                                            {"XAER_PROTO", TROTH_ERR_STATE, "prepared"},
                                            {"XAER_INVAL", TROTH_ERR_INVALID, "prepared"},
                                            {"XAER_ASYNC", TROTH_ERR_STATE, "prepared"},
                                            {"XAER_DUPID", TROTH_ERR_STATE, "prepared"},
                                            {"XAER_OUTSIDE", TROTH_ERR_STATE, "prepared"},
                                            {NULL, 0, NULL}};
    assert_endings(true, endings);
    assert_endings(false, endings);
}
END_TEST

START_TEST(retry_three_times_and_then_it_is_done) {
    struct xa_fixture *f = xa_fixture_new("commit=XA_RETRY:3");
    struct troth_txid txid = xa_fixture_prepared(f);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(xa_fixture_end_again(f, txid, true).result, TROTH_ERR_STATE);
        ck_assert_str_eq(xa_fixture_state(f, txid), "prepared");
    }
    ck_assert_int_eq(xa_fixture_end_again(f, txid, true).result, 0);
    ck_assert_str_eq(xa_fixture_state(f, txid), "committed");
    xa_fixture_free(f);
}
END_TEST

START_TEST(a_rollback_that_says_rolled_back_is_done) {
    for (int code = XA_RBBASE; code <= XA_RBEND; code++) {
        assert_ending(false, &(struct ending){xa_code_name(code), 0, "aborted"}, false);
    }
}
END_TEST

START_TEST(a_commit_that_says_rolled_back_is_told_unless_the_branch_is_still_there) {
    char kept[40];
    for (int code = XA_RBBASE; code <= XA_RBEND; code++) {
        const char *name = xa_code_name(code);
        assert_ending(true, &(struct ending){name, DRIVER_WAS_ABORTED, "aborted"}, false);
        assert_ending(true, &(struct ending){name, DRIVER_WAS_ABORTED, "aborted"}, true);
        snprintf(kept, sizeof kept, "%s+kept", name);
        assert_ending(true, &(struct ending){kept, TROTH_ERR_STATE, "prepared"}, false);
    }
}
END_TEST

START_TEST(rmerr_of_a_commit_means_rolled_back_unless_the_branch_is_still_there) {
    assert_endings(true, (const struct ending[]){{"XAER_RMERR", DRIVER_WAS_ABORTED, "aborted"},
                                                 {"XAER_RMERR+kept", TROTH_ERR_STATE, "prepared"},
                                                 {NULL, 0, NULL}});
    assert_endings(false, (const struct ending[]){{"XAER_RMERR", 0, "aborted"},
                                                  {"XAER_RMERR+kept", TROTH_ERR_STATE, "prepared"},
                                                  {NULL, 0, NULL}});
}
END_TEST

/* ---- XAER_NOTA ------------------------------------------------------------------------------- */

START_TEST(nota_is_not_success) {
    assert_endings(true, (const struct ending[]){{"XAER_NOTA+gone", DRIVER_GONE, "lost"},
                                                 {"XAER_NOTA", TROTH_ERR_STATE, "prepared"},
                                                 {NULL, 0, NULL}});
    assert_endings(false, (const struct ending[]){{"XAER_NOTA+gone", DRIVER_GONE, "lost"},
                                                  {"XAER_NOTA", TROTH_ERR_STATE, "prepared"},
                                                  {NULL, 0, NULL}});
}
END_TEST

START_TEST(nota_after_an_end_whose_answer_was_lost_is_that_end) {
    for (int commit = 0; commit <= 1; commit++) {
        struct xa_fixture *f =
            xa_fixture_new(commit ? "commit=XAER_RMFAIL+done:1" : "rollback=XAER_RMFAIL+done:1");
        struct troth_txid txid = xa_fixture_prepared(f);
        ck_assert_int_eq(xa_fixture_end(f, txid, commit).result, TROTH_ERR_UNAVAILABLE);
        ck_assert_str_eq(xa_fixture_state(f, txid), commit ? "committed" : "aborted");
        ck_assert_int_eq(xa_fixture_end_again(f, txid, commit).result, 0);
        xa_fixture_free(f);
    }
}
END_TEST

START_TEST(nota_does_not_wait_for_a_list_that_can_not_be_read) {
    struct xa_fixture *f = xa_fixture_new("recover=XAER_RMFAIL");
    struct troth_txid txid = xa_fixture_branch(f, "lost");
    /* Else the next call, which knows that one was begun, would take it for success. */
    ck_assert_int_eq(xa_fixture_end(f, txid, true).result, DRIVER_GONE);
    ck_assert_int_eq(xa_fixture_end(f, txid, false).result, DRIVER_GONE);
    ck_assert_int_eq(xa_fixture_end_again(f, txid, true).result, 0);
    xa_fixture_free(f);
}
END_TEST

START_TEST(a_heuristic_end_is_told_again_until_it_is_forgotten) {
    struct xa_fixture *f = xa_fixture_new("");
    struct troth_txid txid = xa_fixture_branch(f, "heurmix");
    ck_assert_int_eq(xa_fixture_end(f, txid, true).result, DRIVER_WAS_MIXED);
    ck_assert_int_eq(xa_fixture_end_again(f, txid, true).result, DRIVER_WAS_MIXED);
    ck_assert_int_eq(xa_fixture_forget(f, txid).result, 0);
    ck_assert_int_eq(xa_fixture_end(f, txid, true).result, DRIVER_GONE);
    xa_fixture_free(f);
}
END_TEST

/* ---- Codes outside of the specification ------------------------------------------------------ */

START_TEST(a_code_that_nobody_knows_is_never_success) {
    static const struct ending endings[] = {{"1", TROTH_ERR_STATE, "prepared"},
                                            {"2", TROTH_ERR_STATE, "prepared"},
                                            {"10", TROTH_ERR_STATE, "prepared"},
                                            {"99", TROTH_ERR_STATE, "prepared"},
                                            {"108", TROTH_ERR_STATE, "prepared"},
                                            {"-1", TROTH_ERR_STATE, "prepared"},
                                            {"-10", TROTH_ERR_STATE, "prepared"},
                                            {"-12345", TROTH_ERR_STATE, "prepared"},
                                            {"2147483647", TROTH_ERR_STATE, "prepared"},
                                            {"77+gone", DRIVER_HAZARD, "lost"},
                                            {"-77+gone", DRIVER_HAZARD, "lost"},
                                            /* Codes of other calls. */
                                            {"XA_RDONLY", TROTH_ERR_STATE, "prepared"},
                                            {"XA_RDONLY+gone", DRIVER_HAZARD, "lost"},
                                            {"XA_NOMIGRATE", TROTH_ERR_STATE, "prepared"},
                                            {"XA_NOMIGRATE+gone", DRIVER_HAZARD, "lost"},
                                            {NULL, 0, NULL}};
    assert_endings(true, endings);
    assert_endings(false, endings);
    for (const struct ending *ending = endings; ending->rule != NULL; ending++) {
        assert_ending(true, ending, true);
    }
}
END_TEST

START_TEST(what_a_code_says_stands_where_the_list_can_not_be_read) {
    static const struct {
        const char *rules;
        bool commit;
        int result;
    } cases[] = {{"commit=XAER_RMERR,recover=XAER_RMFAIL", true, DRIVER_WAS_ABORTED},
                 {"commit=XA_RBOTHER,recover=XAER_RMERR", true, DRIVER_WAS_ABORTED},
                 {"commit=77,recover=endless", true, DRIVER_HAZARD},
                 {"rollback=77,recover=beyond", false, DRIVER_HAZARD},
                 {"rollback=XAER_RMERR,recover=XAER_RMFAIL", false, TROTH_ERR_UNAVAILABLE},
                 {"commit=XA_RETRY,recover=XAER_RMFAIL", true, TROTH_ERR_STATE},
                 {"commit=XAER_PROTO,recover=XAER_RMFAIL", true, TROTH_ERR_STATE},
                 {"commit=XAER_OUTSIDE,recover=XAER_RMFAIL", true, TROTH_ERR_STATE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xa_fixture *f = xa_fixture_new(cases[i].rules);
        struct troth_txid txid = xa_fixture_prepared(f);
        ck_assert_int_eq(xa_fixture_end(f, txid, cases[i].commit).result, cases[i].result);
        xa_fixture_free(f);
    }
}
END_TEST

/* ---- Several branches in one call ------------------------------------------------------------ */

START_TEST(each_branch_of_a_call_gets_its_own_result) {
    struct xa_fixture *f = xa_fixture_new("commit=XA_RETRY:1");
    struct driver_branch branches[4] = {
        {.txid = xa_fixture_prepared(f), .commit = true},
        {.txid = xa_fixture_prepared(f), .commit = true},
        {.txid = xa_fixture_prepared(f), .commit = false},
        {.txid = xa_fixture_branch(f, "lost"), .commit = true},
    };
    f->driver->ops->end(f->connection, branches, 4);
    ck_assert_int_eq(branches[0].result, TROTH_ERR_STATE);
    ck_assert_int_eq(branches[1].result, 0);
    ck_assert_int_eq(branches[2].result, 0);
    ck_assert_int_eq(branches[3].result, DRIVER_GONE);
    ck_assert_str_eq(xa_fixture_state(f, branches[1].txid), "committed");
    ck_assert_str_eq(xa_fixture_state(f, branches[2].txid), "aborted");
    xa_fixture_free(f);
}
END_TEST

START_TEST(once_the_resource_manager_is_gone_the_rest_of_a_call_is_not_tried) {
    struct xa_fixture *f = xa_fixture_new("commit=XAER_RMFAIL:1");
    struct driver_branch branches[3] = {{.txid = xa_fixture_prepared(f), .commit = true},
                                        {.txid = xa_fixture_prepared(f), .commit = true},
                                        {.txid = xa_fixture_prepared(f), .commit = false}};
    f->driver->ops->end(f->connection, branches, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(branches[i].result, TROTH_ERR_UNAVAILABLE);
        ck_assert_int_eq(branches[i].nothing_done, i > 0);
        ck_assert_ptr_nonnull(strstr(branches[i].detail, "XAER_RMFAIL"));
        ck_assert_str_eq(xa_fixture_state(f, branches[i].txid), "prepared");
    }
    f->driver->ops->end(f->connection, branches, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(branches[i].result, 0);
    }
    xa_fixture_free(f);
}
END_TEST

int main(void) {
    return suite_run("xa_driver_end",
                     (const TTest *const[]){
                         ok_is_done_and_only_ok, heuristics_are_told_as_what_they_are,
                         what_was_not_done_is_done_again, retry_three_times_and_then_it_is_done,
                         a_rollback_that_says_rolled_back_is_done,
                         a_commit_that_says_rolled_back_is_told_unless_the_branch_is_still_there,
                         rmerr_of_a_commit_means_rolled_back_unless_the_branch_is_still_there,
                         nota_is_not_success, nota_after_an_end_whose_answer_was_lost_is_that_end,
                         nota_does_not_wait_for_a_list_that_can_not_be_read,
                         a_heuristic_end_is_told_again_until_it_is_forgotten,
                         a_code_that_nobody_knows_is_never_success,
                         what_a_code_says_stands_where_the_list_can_not_be_read,
                         each_branch_of_a_call_gets_its_own_result,
                         once_the_resource_manager_is_gone_the_rest_of_a_call_is_not_tried, NULL});
}

/* foreign: branches in other managers' transactions by the clock, after a restart, and by name. */
#include "tests/lib/foreign_story.h"
#include "tests/lib/suite.h"

/* ---- Time ------------------------------------------------------------------------------------ */

static void tick(int64_t at_ms) {
    now_ms = at_ms;
    did[0] = '\0';
    step((struct foreign_event){.type = FOREIGN_TICK});
}

START_TEST(what_nothing_comes_for_is_rolled_back_and_told) {
    begin_in(to_idle);
    now_ms += IDLE_MS - 1;
    ck_assert_int_eq(verb(V(JOIN)), TROTH_XA_OK); /* its time begins anew */
    tick(now_ms + IDLE_MS - 1);
    ck_assert_str_eq(did, "");
    tick(now_ms + 1);
    ck_assert_str_eq(did, "abort");
    result(0);
    ck_assert_int_eq(verb(V(END)), TROTH_XA_RBTIMEOUT);
    tick(now_ms + IDLE_MS); /* who does not come back to hear it finds nothing */
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XAER_NOTA);
    end();
}
END_TEST

START_TEST(L2_what_is_prepared_waits_for_ever) {
    begin_in(to_prepared);
    ck_assert_int_eq(foreign_deadline_ms(all), INT64_MAX);
    tick(now_ms + (int64_t)1000 * 86400 * 365);
    ck_assert_str_eq(did, "");
    verb(V(COMMIT));
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    end();
}
END_TEST

/* ---- Recovery -------------------------------------------------------------------------------- */

static void load(enum foreign_record record) {
    struct troth_xid xid = xid_of("g", "b");
    last = foreign_txid(&xid, 2, 1);
    did[0] = '\0';
    step((struct foreign_event){.type = FOREIGN_LOAD, .xid = &xid, .txid = last, .record = record});
}

START_TEST(L2_a_prepared_branch_is_there_after_a_restart) {
    begin();
    load(FOREIGN_RECORD_PREPARED);
    ck_assert_str_eq(did, "recover");
    ck_assert_int_eq(verb(V(COMMIT)), TROTH_XA_RETRY); /* its locks are not back yet */
    ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XAER_RMFAIL);
    result(0);
    ck_assert_int_eq(verb(V(START)), TROTH_XAER_DUPID);
    ck_assert_int_eq(verb(V(COMMIT)), NO_REPLY);
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    end();
}
END_TEST

START_TEST(H7_a_branch_that_can_not_be_recovered_is_shown_and_is_a_hazard_if_it_is_to_commit) {
    begin();
    load(FOREIGN_RECORD_PREPARED);
    result(TROTH_ERR_NOT_FOUND);
    ck_assert_str_eq(did, "alarm");
    verb(V(COMMIT));
    ck_assert_int_eq(result(TROTH_ERR_NOT_FOUND), TROTH_XA_HEURHAZ);
    end();
}
END_TEST

START_TEST(a_commit_that_was_begun_before_the_restart_may_have_been_done) {
    open_with((struct foreign_options){.separate_storage = true});
    load(FOREIGN_RECORD_COMMITTING);
    result(TROTH_ERR_NOT_FOUND);
    ck_assert_str_eq(did, "");
    verb(V(COMMIT));
    ck_assert_int_eq(result(TROTH_ERR_NOT_FOUND), TROTH_XA_OK);
    end();
}
END_TEST

START_TEST(heuristics_are_there_after_a_restart) {
    static const int told[] = {0, 0, TROTH_XA_HEURCOM, TROTH_XA_HEURRB, TROTH_XA_HEURHAZ};
    for (int record = FOREIGN_RECORD_HEUR_COMMITTED; record <= FOREIGN_RECORD_HEUR_HAZARD;
         record++) {
        begin();
        load((enum foreign_record)record);
        ck_assert_str_eq(did, "");
        ck_assert_int_eq(verb(V(COMMIT)), told[record]);
        ck_assert_int_eq(verb(V(FORGET)), TROTH_XA_OK);
        end();
    }
}
END_TEST

/* ---- Names ----------------------------------------------------------------------------------- */

START_TEST(xids_that_differ_anywhere_are_different_branches) {
    struct troth_xid xids[] = {xid_of("ab", "c"), xid_of("a", "bc"), xid_of("ab", ""),
                               xid_of("ab", "c")};
    xids[3].format = 8;
    begin();
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(verb_of(V(START), &xids[i]), TROTH_XA_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(verb_of(V(START), &xids[i]), TROTH_XAER_DUPID);
    }
    end();
}
END_TEST

START_TEST(what_names_nothing_is_refused) {
    struct troth_xid null = xid_of("a", "b");
    null.format = -1;
    struct troth_xid empty = xid_of("", "b");
    struct troth_xid wide = xid_of("a", "b");
    wide.gtrid_bytes = TROTH_XID_PART_MAX + 1;
    begin();
    ck_assert_int_eq(verb_of(V(START), &null), TROTH_XAER_INVAL);
    ck_assert_int_eq(verb_of(V(START), &empty), TROTH_XAER_INVAL);
    ck_assert_int_eq(verb_of(V(COMMIT), &wide), TROTH_XAER_INVAL);
    ck_assert_int_ne(said[0], '\0');
    end();
}
END_TEST

START_TEST(H5_a_txid_is_never_given_twice_and_its_age_is_the_global_transactions) {
    struct troth_xid here = xid_of("g", "here");
    struct troth_xid there = xid_of("g", "there");
    struct troth_txid first = foreign_txid(&here, 3, 1);
    ck_assert(troth_txid_is_foreign(first));
    ck_assert(!troth_txid_equal(first, foreign_txid(&here, 3, 2)));
    ck_assert(!troth_txid_equal(first, foreign_txid(&here, 4, 1)));
    ck_assert_uint_eq(first.hi, foreign_txid(&there, 9, 8).hi); /* at any resource manager */
    struct troth_xid other = xid_of("h", "here");
    ck_assert_uint_ne(first.hi, foreign_txid(&other, 3, 1).hi);
    struct troth_txid parsed;
    char text[TROTH_TXID_TEXT];
    ck_assert_int_eq(troth_txid_parse(troth_txid_format(first, text), &parsed), 0);
}
END_TEST

START_TEST(starts_beyond_what_a_txid_holds_begin_no_branch) {
    open_with((struct foreign_options){.starts = FOREIGN_STARTS_MAX + 1});
    ck_assert_int_eq(verb(V(START)), TROTH_XAER_RMERR);
    end();
}
END_TEST

int main(void) {
    return suite_run(
        "foreign",
        (const TTest *[]){
            what_nothing_comes_for_is_rolled_back_and_told, L2_what_is_prepared_waits_for_ever,
            L2_a_prepared_branch_is_there_after_a_restart,
            H7_a_branch_that_can_not_be_recovered_is_shown_and_is_a_hazard_if_it_is_to_commit,
            a_commit_that_was_begun_before_the_restart_may_have_been_done,
            heuristics_are_there_after_a_restart, xids_that_differ_anywhere_are_different_branches,
            what_names_nothing_is_refused,
            H5_a_txid_is_never_given_twice_and_its_age_is_the_global_transactions,
            starts_beyond_what_a_txid_holds_begin_no_branch, NULL});
}

/* participant_foreign: branches of another transaction manager, in a real participant with its
 * database, over restarts of it. What is answered when: test_foreign.c. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "participant/troth_foreign.h"
#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"

static struct world *world;
static int told;
static struct troth_txid txid;

static void begin(void) {
    world = world_begin();
    world_reopen(world);
}

static void on_done(void *arg, int result, struct troth_txid of, const char *detail) {
    (void)detail;
    told = result;
    txid = troth_txid_is_zero(of) ? txid : of;
    world_count(arg);
}

static int verb_of(enum troth_foreign_verb verb, const struct troth_xid *xid) {
    world->ran = 0;
    ck_assert_int_eq(troth_participant_foreign(world->participant, verb, xid, on_done, world), 0);
    world_wait_for(world, &world->ran, 1);
    return told;
}

static struct troth_xid xid_of(const char *gtrid) {
    struct troth_xid xid = {.format = 7, .gtrid_bytes = (uint8_t)strlen(gtrid), .bqual_bytes = 1};
    memcpy(xid.data, gtrid, strlen(gtrid));
    xid.data[strlen(gtrid)] = 'b';
    return xid;
}

static int verb(enum troth_foreign_verb which) {
    struct troth_xid xid = xid_of("g");
    return verb_of(which, &xid);
}

static int enlist(void) {
    int before = world->enlisted;
    ck_assert_int_eq(troth_participant_enlist(world->participant, txid, world_enlisted, world), 0);
    world_wait_for(world, &world->enlisted, before + 1);
    return world->enlisted_err;
}

static void work(void) {
    ck_assert_int_eq(verb(TROTH_FOREIGN_START), TROTH_XA_OK);
    ck_assert_int_eq(enlist(), 0);
    ck_assert_int_eq(verb(TROTH_FOREIGN_END), TROTH_XA_OK);
}

static void prepared(void) {
    work();
    ck_assert_int_eq(verb(TROTH_FOREIGN_PREPARE), TROTH_XA_OK);
}

static void restart(void) {
    troth_participant_close(world->participant);
    world->participant = NULL;
    world_reopen(world);
}

static char listed[400]; /* "state gtrid, " */

static void on_list(void *arg, int result, const struct troth_foreign_branch *branches, size_t n,
                    bool more) {
    ck_assert_int_eq(result, TROTH_XA_OK);
    listed[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(listed);
        snprintf(listed + at, sizeof listed - at, "%d %.*s, ", (int)branches[i].state,
                 branches[i].xid.gtrid_bytes, (const char *)branches[i].xid.data);
        txid = branches[i].txid;
    }
    strcat(listed, more ? "more" : "");
    world_count(arg);
}

static const char *list(struct troth_txid after, size_t max) {
    world->ran = 0;
    ck_assert_int_eq(
        troth_participant_foreign_recover(world->participant, after, max, on_list, world), 0);
    world_wait_for(world, &world->ran, 1);
    return listed;
}

static const struct troth_txid from_the_first = {0, 0};

START_TEST(a_branch_goes_from_start_to_commit_and_no_node_is_asked) {
    begin(); /* and it is attached to none, or was not yet */
    ck_assert_int_eq(verb(TROTH_FOREIGN_START), TROTH_XA_OK);
    ck_assert(troth_txid_is_foreign(txid));
    ck_assert_int_eq(enlist(), 0);
    ck_assert_int_eq(verb(TROTH_FOREIGN_END), TROTH_XA_OK);
    ck_assert_int_eq(verb(TROTH_FOREIGN_PREPARE), TROTH_XA_OK);
    world_expect_row(world, txid, "prepared"); /* S4: on disk before the answer left */
    ck_assert_int_eq(verb(TROTH_FOREIGN_COMMIT), TROTH_XA_OK);
    world_expect_row(world, txid, "committed");
    ck_assert_int_eq(verb(TROTH_FOREIGN_COMMIT), TROTH_XAER_NOTA);
    ck_assert_str_eq(list(from_the_first, 10), "");
    for (size_t i = 0; i < world->node.n; i++) {
        ck_assert(!troth_txid_is_foreign(world->node.messages[i].txid));
    }
    world_end(world);
}
END_TEST

START_TEST(one_phase_commits_and_rollback_undoes) {
    begin();
    work();
    ck_assert_int_eq(verb(TROTH_FOREIGN_COMMIT_ONE_PHASE), TROTH_XA_OK);
    world_expect_row(world, txid, "committed in one phase");
    work();
    ck_assert_int_eq(verb(TROTH_FOREIGN_ROLLBACK), TROTH_XA_OK);
    world_expect_row(world, txid, "aborted");
    world_end(world);
}
END_TEST

START_TEST(L2_what_is_prepared_is_listed_and_recovered_until_it_is_told) {
    begin();
    prepared();
    struct troth_txid first = txid;
    for (int i = 1; i <= 3; i++) {
        restart();
        ck_assert_int_eq(world->recovered, i);
        ck_assert_str_eq(list(from_the_first, 10), "1 g, ");
        ck_assert(troth_txid_equal(txid, first));
    }
    struct troth_participant_counters counters;
    troth_participant_counters(world->participant, &counters);
    ck_assert_uint_eq(counters.foreign_in_doubt, 1);
    ck_assert_int_eq(verb(TROTH_FOREIGN_START), TROTH_XAER_DUPID);
    ck_assert_int_eq(verb(TROTH_FOREIGN_COMMIT), TROTH_XA_OK);
    world_expect_row(world, first, "committed");
    restart();
    ck_assert_int_eq(world->recovered, 3);
    ck_assert_int_eq(verb(TROTH_FOREIGN_COMMIT), TROTH_XAER_NOTA);
    world_end(world);
}
END_TEST

START_TEST(H2_work_that_was_lost_in_a_restart_is_not_prepared_and_not_gone_on_with) {
    begin();
    ck_assert_int_eq(verb(TROTH_FOREIGN_START), TROTH_XA_OK);
    ck_assert_int_eq(enlist(), 0);
    struct troth_txid lost = txid;
    restart();
    ck_assert_int_eq(enlist(), TROTH_ERR_ABORTED);
    ck_assert_int_eq(verb(TROTH_FOREIGN_JOIN), TROTH_XAER_NOTA);
    ck_assert_int_eq(verb(TROTH_FOREIGN_END), TROTH_XAER_NOTA);
    ck_assert_int_eq(verb(TROTH_FOREIGN_PREPARE), TROTH_XAER_NOTA);
    ck_assert_int_eq(verb(TROTH_FOREIGN_START), TROTH_XA_OK); /* H5: and another name */
    ck_assert(!troth_txid_equal(txid, lost));
    txid = lost;
    ck_assert_int_eq(enlist(), TROTH_ERR_ABORTED);
    world_end(world);
}
END_TEST

START_TEST(many_in_doubt_are_told_page_by_page) {
    static const char *const names[] = {"ga", "gb", "gc", "gd", "ge"};
    begin();
    for (size_t i = 0; i < 5; i++) {
        struct troth_xid xid = xid_of(names[i]);
        verb_of(TROTH_FOREIGN_START, &xid);
        enlist();
        verb_of(TROTH_FOREIGN_END, &xid);
        ck_assert_int_eq(verb_of(TROTH_FOREIGN_PREPARE, &xid), TROTH_XA_OK);
    }
    char all[200];
    strcpy(all, list(from_the_first, 2));
    ck_assert_ptr_nonnull(strstr(all, "more"));
    strcat(all, list(txid, 2));
    ck_assert_ptr_nonnull(strstr(listed, "more"));
    strcat(all, list(txid, 2));
    ck_assert_ptr_null(strstr(listed, "more"));
    for (size_t i = 0; i < 5; i++) {
        ck_assert_msg(strstr(all, names[i]) != NULL, "%s is not in %s", names[i], all);
    }
    world_end(world);
}
END_TEST

START_TEST(heuristics_are_kept_over_a_restart_until_they_are_forgotten) {
    begin();
    prepared();
    ck_assert_int_eq(verb(TROTH_FOREIGN_FORCE_COMMIT), TROTH_XA_OK);
    world_expect_row(world, txid, "committed");
    restart();
    ck_assert_str_eq(list(from_the_first, 10), "2 g, ");
    ck_assert_int_eq(verb(TROTH_FOREIGN_ROLLBACK), TROTH_XA_HEURCOM);
    ck_assert_int_eq(verb(TROTH_FOREIGN_FORGET), TROTH_XA_OK);
    ck_assert_str_eq(list(from_the_first, 10), "");
    world_end(world);
}
END_TEST

static void give_up(void *arg) {
    troth_participant_give_up(world->participant, txid, TROTH_REASON_CONFLICT, "lost a lock");
    world_count(arg);
}

START_TEST(what_the_resource_manager_gives_up_is_rolled_back_only) {
    begin();
    verb(TROTH_FOREIGN_START);
    enlist();
    world->ran = 0;
    ck_assert_int_eq(troth_participant_run(world->participant, give_up, world), 0);
    world_wait_for(world, &world->aborted, 1);
    world_wait_for(world, &world->ran, 1);
    ck_assert_int_eq(enlist(), TROTH_ERR_ABORTED);
    ck_assert_int_eq(verb(TROTH_FOREIGN_END), TROTH_XA_RBDEADLOCK);
    ck_assert_int_eq(verb(TROTH_FOREIGN_ROLLBACK), TROTH_XA_OK);
    world_end(world);
}
END_TEST

START_TEST(what_nothing_comes_for_is_rolled_back) {
    world = world_begin();
    char why[256];
    struct troth_participant_options options = {.idle_timeout_ms = 100};
    ck_assert_int_eq(world_open_participant(world, options, why), 0);
    do { /* a machine that stands still for so long gets another try */
        verb(TROTH_FOREIGN_ROLLBACK);
        verb(TROTH_FOREIGN_START);
    } while (enlist() != 0);
    world_wait_for(world, &world->aborted, 1);
    world_end(world);
}
END_TEST

START_TEST(a_result_may_come_later_from_another_thread) {
    begin();
    work();
    world->later = true;
    ck_assert_int_eq(verb(TROTH_FOREIGN_PREPARE), TROTH_XA_OK);
    pthread_join(world->thread, NULL);
    ck_assert_int_eq(verb(TROTH_FOREIGN_COMMIT), TROTH_XA_OK);
    world_end(world);
}
END_TEST

START_TEST(who_waits_when_the_participant_is_closed_is_told_so) {
    begin();
    for (int i = 0; i < 100; i++) {
        struct troth_xid xid = xid_of("g");
        ck_assert_int_eq(troth_participant_foreign(world->participant, TROTH_FOREIGN_START, &xid,
                                                   on_done, world),
                         0);
    }
    troth_participant_close(world->participant);
    ck_assert_int_eq(world->ran, 100);
    world_reopen(world);
    world_end(world);
}
END_TEST

START_TEST(a_damaged_row_is_isolated) {
    begin();
    prepared();
    struct troth_xid other = xid_of("h");
    verb_of(TROTH_FOREIGN_START, &other);
    enlist();
    verb_of(TROTH_FOREIGN_END, &other);
    verb_of(TROTH_FOREIGN_PREPARE, &other);
    troth_participant_close(world->participant);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(world->path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "UPDATE troth_foreign SET state = 'strange' WHERE gtrid = x'67'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    world_reopen(world);
    ck_assert_str_eq(list(from_the_first, 10), "1 h, ");
    ck_assert_int_eq(verb_of(TROTH_FOREIGN_COMMIT, &other), TROTH_XA_OK);
    world_end(world);
}
END_TEST

int main(void) {
    return suite_run(
        "participant_foreign",
        (const TTest *[]){
            a_branch_goes_from_start_to_commit_and_no_node_is_asked,
            one_phase_commits_and_rollback_undoes,
            L2_what_is_prepared_is_listed_and_recovered_until_it_is_told,
            H2_work_that_was_lost_in_a_restart_is_not_prepared_and_not_gone_on_with,
            many_in_doubt_are_told_page_by_page,
            heuristics_are_kept_over_a_restart_until_they_are_forgotten,
            what_the_resource_manager_gives_up_is_rolled_back_only,
            what_nothing_comes_for_is_rolled_back, a_result_may_come_later_from_another_thread,
            who_waits_when_the_participant_is_closed_is_told_so, a_damaged_row_is_isolated, NULL});
}

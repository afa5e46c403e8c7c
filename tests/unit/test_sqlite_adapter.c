/* troth_sqlite: a branch's way in a program's own database, and who waits for whom. What work may
 * do: test_sqlite_work.c; what is there after a restart: test_sqlite_restart.c. */
#include <check.h>
#include <sqlite3.h>
#include <string.h>

#include "participant/adapters/sqlite_state.h"
#include "tests/lib/sqlite_world.h"
#include "tests/lib/suite.h"

#define TAKE    "UPDATE account SET money = money - 30 WHERE id = 1"
#define MONEY_1 "SELECT money FROM account WHERE id = 1"
#define WORKS   "SELECT count(*) FROM troth_sqlite_work"

/* ---- A branch's way ---------------------------------------------------------------------------
 */

START_TEST(S4_the_changes_are_on_disk_with_the_vote_and_applied_with_the_outcome) {
    struct sqlite_world *world = sqlite_world_begin();
    struct troth_txid txid = sqlite_world_txid(1);
    sqlite_world_runs(world, txid, TAKE);
    sqlite_world_runs(world, txid, TAKE);
    ck_assert_int_eq(sqlite_world_number(world, WORKS), 0);
    sqlite_world_ask_to_prepare(world, txid);
    sqlite_world_expect_vote(world, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(sqlite_world_number(world, WORKS), 1);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 100);
    sqlite_world_decide(world, txid, PAXOS_OUTCOME_COMMITTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 40);
    ck_assert_int_eq(sqlite_world_number(world, WORKS), 0);
    sqlite_world_end(world);
}
END_TEST

/* ---- The file is others' too ------------------------------------------------------------------
 */

static struct sqlite_world *watched;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_hooked, was_seen;

static void tell(bool *what) {
    pthread_mutex_lock(&mutex);
    *what = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for(const bool *what) {
    pthread_mutex_lock(&mutex);
    while (!*what) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void look(void *participant) {
    (void)participant;
    ck_assert_int_eq(sqlite_world_number(watched, MONEY_1), 70);
    tell(&was_seen);
}

static void on_update(void *participant, int kind, const char *database, const char *table,
                      sqlite3_int64 row) {
    (void)kind;
    (void)database;
    (void)row;
    if (strcmp(table, "account") == 0) {
        ck_assert_int_eq(troth_participant_after_batch(participant, look, participant), 0);
    }
}

static void watch(void *participant) {
    sqlite3_update_hook(troth_participant_db(participant), on_update, participant);
    tell(&is_hooked);
}

/* The loop's connection holds the only write lock until its batch is stored. */
START_TEST(a_commit_does_not_hold_the_database_for_a_later_batch) {
    struct sqlite_world *world = watched = sqlite_world_begin();
    struct troth_participant *participant = world->sqlite->participant;
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(troth_participant_run(participant, watch, participant), 0);
    wait_for(&is_hooked);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_COMMITTED);
    wait_for(&was_seen);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    sqlite_world_end(world);
}
END_TEST

START_TEST(what_is_aborted_leaves_nothing) {
    struct sqlite_world *world = sqlite_world_begin();
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_ABORTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(sqlite_world_number(world, WORKS), 0);
    sqlite_world_runs(world, sqlite_world_txid(2), TAKE); /* not prepared yet */
    sqlite_world_decide(world, sqlite_world_txid(2), PAXOS_OUTCOME_ABORTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 100);
    ck_assert_int_eq(sqlite_world_write(world, TAKE), 0); /* and nobody holds the database */
    sqlite_world_end(world);
}
END_TEST

START_TEST(a_branch_that_changed_nothing_votes_read_only) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call call;
    sqlite_world_call(&call, world, SQLITE_WORLD_READ, sqlite_world_txid(1), MONEY_1);
    ck_assert_int_eq(sqlite_world_result(&call), 0);
    ck_assert_int_eq(call.found, 100);
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(1));
    sqlite_world_expect_vote(world, PAXOS_VOTE_READ_ONLY);
    ck_assert_int_eq(sqlite_world_write(world, TAKE), 0);
    sqlite_world_end(world);
}
END_TEST

static const struct message *commit_one_phase(struct sqlite_world *world, struct troth_txid txid) {
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_COMMIT_ONE_PHASE,
                                    .txid = txid,
                                    .incarnation = troth_sqlite_incarnation(world->sqlite)});
    return fake_node_expect(&world->node, MESSAGE_ONE_PHASE_RESULT);
}

START_TEST(a_branch_that_is_the_only_one_commits_in_one_phase) {
    struct sqlite_world *world = sqlite_world_begin();
    sqlite_world_runs(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(commit_one_phase(world, sqlite_world_txid(1))->outcome,
                     PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
    sqlite_world_runs(world, sqlite_world_txid(2), TAKE);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE account SET money = 7"), SQLITE_OK);
    const struct message *result = commit_one_phase(world, sqlite_world_txid(2));
    ck_assert_int_eq(result->outcome, PAXOS_OUTCOME_ABORTED);
    ck_assert_msg(strstr(result->detail, "another connection") != NULL, "%s", result->detail);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 7);
    sqlite_world_end(world);
}
END_TEST

START_TEST(S5_work_that_can_not_be_recorded_is_an_error_with_the_tables_name) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call call;
    sqlite_world_call(&call, world, SQLITE_WORLD_RUN, sqlite_world_txid(1),
                      "INSERT INTO nokey VALUES(1)");
    ck_assert_int_eq(sqlite_world_result(&call), TROTH_ERR_INVALID);
    ck_assert_msg(strstr(call.why, "nokey") != NULL, "%s", call.why);
    ck_assert_int_eq(sqlite_world_run(world, sqlite_world_txid(1), "SELECT nonsense"),
                     SQLITE_ERROR);
    sqlite_world_runs(world, sqlite_world_txid(1), TAKE); /* the branch goes on */
    ck_assert_int_eq(commit_one_phase(world, sqlite_world_txid(1))->outcome,
                     PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
    ck_assert_int_eq(sqlite_world_number(world, "SELECT count(*) FROM nokey"), 0);
    sqlite_world_end(world);
}
END_TEST

/* ---- Who waits for whom ------------------------------------------------------------------------
 * The node's messages are handled in order: when a later one has been, what waits does wait. */

START_TEST(a_younger_branch_waits_until_the_older_one_is_over) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call younger;
    struct sqlite_world_call reader;
    struct sqlite_world_call write;
    sqlite_world_runs(world, sqlite_world_txid(1), TAKE);
    sqlite_world_call(&younger, world, SQLITE_WORLD_RUN, sqlite_world_txid(2),
                      "INSERT INTO account SELECT 3, money FROM account WHERE id = 1");
    sqlite_world_call(&reader, world, SQLITE_WORLD_READ, sqlite_world_txid(3),
                      "SELECT money FROM account WHERE id = 3");
    sqlite_world_call(&write, world, SQLITE_WORLD_WRITE, (struct troth_txid){0, 0},
                      "UPDATE account SET money = money + 1000 WHERE id = 1");
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(1));
    sqlite_world_expect_vote(world, PAXOS_VOTE_PREPARED);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_result(&younger), 0);
    ck_assert_int_eq(commit_one_phase(world, sqlite_world_txid(2))->outcome,
                     PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_result(&reader), 0);
    ck_assert(reader.found == 70 || reader.found == 1070);
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(3));
    sqlite_world_expect_vote(world, PAXOS_VOTE_READ_ONLY);
    ck_assert_int_eq(sqlite_world_result(&write), 0);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 1070);
    sqlite_world_end(world);
}
END_TEST

START_TEST(an_older_branch_takes_the_database_from_a_younger_one_that_has_not_voted) {
    struct sqlite_world *world = sqlite_world_begin();
    sqlite_world_runs(world, sqlite_world_txid(2), "UPDATE account SET money = 0");
    sqlite_world_runs(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(fake_node_expect(&world->node, MESSAGE_BRANCH_ABORTED)->reason,
                     PAXOS_REASON_CONFLICT);
    ck_assert_int_eq(sqlite_world_run(world, sqlite_world_txid(2), TAKE), TROTH_ERR_ABORTED);
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(2));
    sqlite_world_expect_vote(world, PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(commit_one_phase(world, sqlite_world_txid(1))->outcome,
                     PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
    sqlite_world_end(world);
}
END_TEST

START_TEST(an_older_branch_waits_for_a_younger_one_that_has_voted) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call older;
    sqlite_world_prepared(world, sqlite_world_txid(2), TAKE);
    sqlite_world_call(&older, world, SQLITE_WORLD_READ, sqlite_world_txid(1), MONEY_1);
    sqlite_world_decide(world, sqlite_world_txid(2), PAXOS_OUTCOME_COMMITTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_result(&older), 0);
    ck_assert_int_eq(older.found, 70);
    sqlite_world_end(world);
}
END_TEST

START_TEST(branches_that_read_are_not_in_each_others_way) {
    struct sqlite_world *world = sqlite_world_begin();
    for (unsigned n = 3; n > 0; n--) {
        struct sqlite_world_call reader;
        sqlite_world_call(&reader, world, SQLITE_WORLD_READ, sqlite_world_txid(n), MONEY_1);
        ck_assert_int_eq(sqlite_world_result(&reader), 0);
        ck_assert_int_eq(reader.found, 100);
    }
    sqlite_world_end(world);
}
END_TEST

START_TEST(who_waits_too_long_is_told_and_has_done_nothing) {
    struct sqlite_world *world = sqlite_world_begin();
    char why[256];
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_write_timed(world, TAKE, why), TROTH_ERR_TIMEOUT);
    ck_assert_msg(strstr(why, "holds the database") != NULL, "%s", why);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_ABORTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 100);
    sqlite_world_end(world);
}
END_TEST

static int never(sqlite3 *db, void *arg) {
    (void)db;
    *(bool *)arg = true;
    return 0;
}

START_TEST(work_does_not_run_when_the_coordinator_answers_too_late) {
    struct sqlite_world *world = sqlite_world_begin();
    struct troth_txid txid = sqlite_world_txid(1);
    bool ran = false;
    char why[256];
    ck_assert_int_eq(troth_sqlite_run(world->sqlite, txid, never, &ran, 1, why, sizeof why),
                     TROTH_ERR_TIMEOUT);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_ENLISTED, .txid = txid, .ok = true});
    sqlite_world_ask_to_prepare(world, txid);
    sqlite_world_expect_vote(world, PAXOS_VOTE_READ_ONLY);
    ck_assert(!ran);
    sqlite_world_end(world);
}
END_TEST

START_TEST(work_that_waits_when_commit_begins_is_not_part_of_it) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call late;
    struct sqlite_world_call reader;
    /* 1 waits for 2, which has voted. */
    sqlite_world_prepared(world, sqlite_world_txid(2), TAKE);
    sqlite_world_call(&reader, world, SQLITE_WORLD_READ, sqlite_world_txid(1), MONEY_1);
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(1));
    ck_assert_int_eq(sqlite_world_result(&reader), TROTH_ERR_STATE);
    sqlite_world_call(&late, world, SQLITE_WORLD_RUN, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_result(&late), TROTH_ERR_STATE);
    sqlite_world_end(world);
}
END_TEST

START_TEST(closing_ends_what_waits) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call calls[2]; /* taken in, or the node would not be asked to bind them */
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    sqlite_world_call(&calls[0], world, SQLITE_WORLD_RUN, sqlite_world_txid(2), TAKE);
    sqlite_world_call(&calls[1], world, SQLITE_WORLD_READ, sqlite_world_txid(3), MONEY_1);
    troth_sqlite_close(world->sqlite);
    world->sqlite = NULL;
    ck_assert_int_eq(sqlite_world_result(&calls[0]), TROTH_ERR_CLOSED);
    ck_assert_int_eq(sqlite_world_result(&calls[1]), TROTH_ERR_CLOSED);
    sqlite_world_end(world);
}
END_TEST

static int call_from_inside(sqlite3 *db, void *arg) {
    struct sqlite_world *world = arg;
    bool ran;
    (void)db;
    return troth_sqlite_write(world->sqlite, never, &ran, 0, NULL, 0) == TROTH_ERR_STATE ? 0 : 7;
}

START_TEST(a_function_can_not_wait_for_another_one) {
    struct sqlite_world *world = sqlite_world_begin();
    ck_assert_int_eq(troth_sqlite_write(world->sqlite, call_from_inside, world, 0, NULL, 0), 0);
    sqlite_world_end(world);
}
END_TEST

/* ---- Writes past the library -------------------------------------------------------------------
 */

START_TEST(a_write_past_the_library_aborts_the_branches_that_are_open) {
    struct sqlite_world *world = sqlite_world_begin();
    struct sqlite_world_call again;
    sqlite_world_runs(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE account SET money = 5 WHERE id = 2"),
                     SQLITE_OK);
    sqlite_world_call(&again, world, SQLITE_WORLD_RUN, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_result(&again), TROTH_ERR_CONFLICT);
    ck_assert_msg(strstr(again.why, "another connection") != NULL, "%s", again.why);
    sqlite_world_runs(world, sqlite_world_txid(2), TAKE);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE account SET money = 6 WHERE id = 2"),
                     SQLITE_OK);
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(2));
    const struct message *vote = sqlite_world_expect_vote(world, PAXOS_VOTE_ABORTED);
    ck_assert_msg(strstr(vote->detail, "another connection") != NULL, "%s", vote->detail);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 100);
    sqlite_world_end(world);
}
END_TEST

START_TEST(a_write_past_the_library_is_refused_while_a_branch_is_prepared) {
    struct sqlite_world *world = sqlite_world_begin();
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE account SET money = 5"),
                     SQLITE_CONSTRAINT);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_COMMITTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE account SET money = 5"), SQLITE_OK);
    sqlite_world_end(world);
}
END_TEST

START_TEST(S5_a_conflict_at_commit_is_a_hazard_and_overwrites_nothing) {
    struct sqlite_world *world = sqlite_world_begin();
    world->options.no_guards = true;
    sqlite_world_reopen(world);
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE account SET money = 5 WHERE id = 1"),
                     SQLITE_OK);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_COMMITTED);
    const struct message *ack = fake_node_expect(&world->node, MESSAGE_ACK);
    ck_assert_int_eq(ack->heuristic, MESSAGE_HEURISTIC_HAZARD);
    ck_assert_msg(strstr(ack->detail, "table account, update of key (1)") != NULL, "%s",
                  ack->detail);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 5);
    ck_assert_int_eq(sqlite_world_number(world, "SELECT count(*) FROM troth_sqlite_conflict"), 1);
    ck_assert_int_eq(sqlite_world_write(world, TAKE), 0); /* and life goes on */
    sqlite_world_end(world);
}
END_TEST

/* ---- Opening ----------------------------------------------------------------------------------
 */

static void triple(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    sqlite3_result_int64(context, 3 * sqlite3_value_int64(values[0]));
}

static int set_up(sqlite3 *db, void *arg) {
    int *result = arg;
    return *result != 0
               ? *result
               : sqlite3_create_function(db, "triple", 1, SQLITE_UTF8, NULL, triple, NULL, NULL);
}

START_TEST(the_programs_functions_are_there_before_any_work) {
    struct sqlite_world *world = sqlite_world_begin();
    int result = 0;
    world->options.setup = set_up;
    world->options.arg = &result;
    sqlite_world_reopen(world);
    sqlite_world_runs(world, sqlite_world_txid(1), "UPDATE account SET money = triple(money)");
    sqlite_world_end(world);
}
END_TEST

START_TEST(a_setup_that_fails_opens_nothing) {
    struct sqlite_world *world = sqlite_world_begin();
    int result = 13;
    char why[256];
    troth_sqlite_close(world->sqlite);
    world->sqlite = NULL;
    world->options.setup = set_up;
    world->options.arg = &result;
    world->options.nodes = "127.0.0.1:1";
    ck_assert_int_eq(troth_sqlite_open(&world->sqlite, &world->options, why, sizeof why),
                     TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, "returned 13") != NULL, "%s", why);
    ck_assert_ptr_null(world->sqlite);
    world->options.setup = NULL;
    world->options.name = "no name!";
    ck_assert_int_eq(troth_sqlite_open(&world->sqlite, &world->options, why, sizeof why),
                     TROTH_ERR_INVALID);
    sqlite_world_end(world);
}
END_TEST

int main(void) {
    return suite_run("troth_sqlite",
                     (const TTest *[]){
                         S4_the_changes_are_on_disk_with_the_vote_and_applied_with_the_outcome,
                         a_commit_does_not_hold_the_database_for_a_later_batch,
                         what_is_aborted_leaves_nothing,
                         a_branch_that_changed_nothing_votes_read_only,
                         a_branch_that_is_the_only_one_commits_in_one_phase,
                         S5_work_that_can_not_be_recorded_is_an_error_with_the_tables_name,
                         a_younger_branch_waits_until_the_older_one_is_over,
                         an_older_branch_takes_the_database_from_a_younger_one_that_has_not_voted,
                         an_older_branch_waits_for_a_younger_one_that_has_voted,
                         branches_that_read_are_not_in_each_others_way,
                         who_waits_too_long_is_told_and_has_done_nothing,
                         work_does_not_run_when_the_coordinator_answers_too_late,
                         work_that_waits_when_commit_begins_is_not_part_of_it,
                         closing_ends_what_waits,
                         a_function_can_not_wait_for_another_one,
                         a_write_past_the_library_aborts_the_branches_that_are_open,
                         a_write_past_the_library_is_refused_while_a_branch_is_prepared,
                         S5_a_conflict_at_commit_is_a_hazard_and_overwrites_nothing,
                         the_programs_functions_are_there_before_any_work,
                         a_setup_that_fails_opens_nothing,
                         NULL,
                     });
}

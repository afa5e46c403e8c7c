/* The PostgreSQL driver on a real server: votes, ends, what becomes of branches that others have
 * ended, and what a restart of either side leaves known. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/postgres_fixture.h"

#define ck_assert_result(branch, expected)                                                         \
    ck_assert_msg((branch).result == (expected), "%d, not %d: %s", (branch).result, (expected),    \
                  (branch).detail)

/* ---- Votes ----------------------------------------------------------------------------------- */

START_TEST(a_branch_votes_prepared_once_it_is_and_not_before) {
    postgres_fixture_reset();
    struct driver_branch branches[3] = {unknown(1), unknown(2), unknown(3)};
    prepare(client, 2);
    driver->ops->vote(connection, branches, 3);
    ck_assert_result(branches[0], DRIVER_NOT_PREPARED);
    ck_assert_result(branches[1], DRIVER_PREPARED);
    ck_assert_result(branches[2], DRIVER_NOT_PREPARED);
    ck_assert_str_eq(branches[0].detail, "");
    prepare(client, 1);
    voted(1);
}
END_TEST

START_TEST(the_receipt_is_the_transaction_and_outlives_the_servers_death) {
    postgres_fixture_reset();
    sql(client, "BEGIN; INSERT INTO t VALUES (1)");
    uint64_t xid = (uint64_t)sql_number(client, "SELECT txid_current()");
    sql(client, "PREPARE TRANSACTION '%s'", gid_of(1, NULL));
    ck_assert_uint_eq(voted(1).receipt, xid);
    postgres_kill_and_restart();
    ck_assert_uint_eq(voted(1).receipt, xid);
}
END_TEST

START_TEST(no_vote_for_what_only_another_user_or_database_can_end) {
    postgres_fixture_reset();
    sql(client, "DROP DATABASE IF EXISTS other");
    sql(client, "CREATE DATABASE other");
    PGconn *session = postgres_client("postgres", "other");
    sql(session, "BEGIN; SELECT txid_current()");
    sql(session, "PREPARE TRANSACTION '%s'", gid_of(1, NULL));
    struct driver_branch branch = unknown(1);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, DRIVER_NOT_PREPARED);
    ck_assert_ptr_nonnull(strstr(branch.detail, "database other"));
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(branch.detail, "another database"));
    sql(session, "ROLLBACK PREPARED '%s'", gid_of(1, NULL));
    PQfinish(session);

    sql(client, "DROP ROLE IF EXISTS plain");
    sql(client, "CREATE ROLE plain LOGIN");
    char dsn[1024];
    char why[DRIVER_WHY_BYTES];
    struct driver *plain;
    snprintf(dsn, sizeof dsn, "%s user=plain", database_server_dsn(server));
    ck_assert_int_eq(postgres_driver_new(&plain, "shop", "orders", dsn, why), 0);
    struct driver_connection *its = plain->ops->connection_new(plain);
    sql(client, "GRANT USAGE ON SCHEMA troth TO plain");
    sql(client, "GRANT SELECT, INSERT, DELETE ON troth.branches TO plain");
    ck_assert_int_eq(plain->ops->check(its, why), 0);
    prepare(client, 2);
    branch = unknown(2);
    plain->ops->vote(its, &branch, 1);
    ck_assert_result(branch, DRIVER_NOT_PREPARED);
    ck_assert_ptr_nonnull(strstr(branch.detail, "user postgres"));
    branch.commit = true;
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(branch.detail, "another user"));
    ck_assert(is_prepared(2));

    session = postgres_client("plain", "postgres"); /* and what it prepared itself it can end */
    prepare(session, 3);
    branch = unknown(3);
    plain->ops->vote(its, &branch, 1);
    ck_assert_result(branch, DRIVER_PREPARED);
    branch.commit = true;
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, 0);
    ck_assert(has_row(3));
    PQfinish(session);
    plain->ops->connection_free(its);
    plain->ops->free(plain);
    sql(client, "DROP DATABASE other");
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------------------ */

START_TEST(one_call_ends_several_each_its_own_way) {
    postgres_fixture_reset();
    struct driver_branch branches[6];
    for (unsigned i = 0; i < 6; i++) {
        if (i != 4) {
            prepare(client, i + 1);
        }
        branches[i] = i < 4 && i != 1 ? voted(i + 1) : unknown(i + 1);
        branches[i].commit = i % 2 == 0 || i == 1;
    }
    driver->ops->end(connection, branches, 6);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_result(branches[i], i == 4 ? DRIVER_GONE : 0);
        ck_assert_int_eq(has_row(i + 1), branches[i].commit && i != 4);
        ck_assert(!is_prepared(i + 1));
    }
    /* Each commit has left its row. */
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.branches"), 3);
}
END_TEST

START_TEST(a_second_end_is_told_from_another_ones_by_its_receipt) {
    postgres_fixture_reset();
    for (unsigned i = 1; i <= 2; i++) { /* 1 is committed, 2 rolled back */
        prepare(client, i);
        struct driver_branch branch = voted(i);
        ck_assert_int_eq(end_one(&branch, i == 1), 0);
        branch.was_begun = true;
        ck_assert_int_eq(end_one(&branch, i == 1), 0);
        ck_assert_int_eq(end_one(&branch, i == 2),
                         i == 1 ? DRIVER_WAS_COMMITTED : DRIVER_WAS_ABORTED);
    }
}
END_TEST

START_TEST(what_an_administrator_ended_is_told_as_it_was_ended) {
    for (int with_table = 1; with_table >= 0; with_table--) {
        postgres_fixture_reset();
        if (!with_table) { /* one that can't be used */
            sql(client, "DROP TABLE troth.branches; "
                        "CREATE VIEW troth.branches AS SELECT ''::text AS gid");
            postgres_driver_again();
            ck_assert_int_eq(driver->ops->check(connection, (char[DRIVER_WHY_BYTES]){0}), 0);
        }
        for (unsigned i = 1; i <= 4; i++) {
            prepare(client, i);
            struct driver_branch branch = voted(i);
            sql(client, "%s PREPARED '%s'", i <= 2 ? "COMMIT" : "ROLLBACK", gid_of(i, NULL));
            int result = end_one(&branch, i % 2 == 0);
            ck_assert_int_eq(result, i <= 2 ? DRIVER_WAS_COMMITTED : DRIVER_WAS_ABORTED);
            ck_assert_ptr_nonnull(strstr(branch.detail, "another"));
        }
    }
}
END_TEST

START_TEST(after_a_restart_the_row_tells_what_was_committed) {
    postgres_fixture_reset();
    for (unsigned i = 1; i <= 4; i++) {
        prepare(client, i);
        struct driver_branch branch = voted(i);
        if (i <= 2) {
            ck_assert_int_eq(end_one(&branch, i == 1), 0); /* 1 by us, 2 rolled back by us */
        } else {
            sql(client, "%s PREPARED '%s'", i == 3 ? "COMMIT" : "ROLLBACK", gid_of(i, NULL));
        }
    }
    postgres_kill_and_restart();
    postgres_driver_again();
    for (unsigned i = 1; i <= 4; i++) {
        bool was_committed = i == 1 || i == 3;
        struct driver_branch branch = unknown(i);
        ck_assert_int_eq(end_one(&branch, true), was_committed ? 0 : DRIVER_GONE);
        ck_assert_int_eq(end_one(&branch, false),
                         was_committed ? DRIVER_WAS_COMMITTED : DRIVER_GONE);
    }
}
END_TEST

START_TEST(an_end_that_an_earlier_process_has_begun_is_taken_for_ours) {
    postgres_fixture_reset();
    for (unsigned i = 1; i <= 2; i++) {
        prepare(client, i);
    }
    postgres_driver_again();
    for (unsigned i = 1; i <= 2; i++) {
        struct driver_branch branch = voted(i); /* still there, while the end is on its way */
        branch.is_older = true;
        sql(client, "%s PREPARED '%s'", i == 1 ? "COMMIT" : "ROLLBACK", gid_of(i, NULL));
        ck_assert_int_eq(end_one(&branch, i == 1), 0);
        ck_assert_int_eq(end_one(&branch, i != 1),
                         i == 1 ? DRIVER_WAS_COMMITTED : DRIVER_WAS_ABORTED);
    }
}
END_TEST

/* ---- The row --------------------------------------------------------------------------------- */

START_TEST(a_branch_without_its_row_ends_and_is_a_hazard_only_once_it_is_gone) {
    postgres_fixture_reset();
    prepare_without_row(client, 1);
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    ck_assert(has_row(1));
    branch.was_begun = true;
    ck_assert_int_eq(end_one(&branch, true), DRIVER_HAZARD); /* its number alone is no proof */
    branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, true), DRIVER_GONE); /* not: rolled back */
}
END_TEST

/* One that was restored from a backup, or promoted too early: what was prepared and lost there has
 * a number that is yet to be given out, or that was given out again. */
START_TEST(H7_a_server_that_has_lost_the_branch_is_not_taken_for_one_that_committed_it) {
    postgres_fixture_reset();
    for (int begun = 0; begun <= 1; begun++) {
        struct driver_branch branch = unknown(1);
        branch.was_begun = begun;
        branch.receipt = (uint64_t)sql_number(client, "SELECT txid_current()") + 1000000;
        ck_assert_int_eq(end_one(&branch, true), begun ? DRIVER_HAZARD : DRIVER_GONE);
        branch.receipt = (uint64_t)sql_number(client, "SELECT txid_current()"); /* another's */
        ck_assert_int_eq(end_one(&branch, true), DRIVER_HAZARD);
        ck_assert_ptr_nonnull(strstr(branch.detail, "restored"));
        ck_assert_int_eq(end_one(&branch, false), DRIVER_HAZARD);
    }
}
END_TEST

START_TEST(without_the_right_to_the_table_clients_begin_without_and_all_ends_work) {
    postgres_fixture_reset();
    sql(client, "DROP SCHEMA troth CASCADE");
    sql(client, "DROP ROLE IF EXISTS plain");
    sql(client, "CREATE ROLE plain LOGIN");
    char dsn[1024];
    char why[DRIVER_WHY_BYTES];
    struct driver *plain;
    snprintf(dsn, sizeof dsn, "%s user=plain", database_server_dsn(server));
    ck_assert_int_eq(postgres_driver_new(&plain, "shop", "orders", dsn, why), 0);
    struct driver_connection *its = plain->ops->connection_new(plain);
    ck_assert_int_eq(plain->ops->check(its, why), 0);
    PGconn *session = postgres_client("plain", "postgres");
    begin(plain, session, 1);
    sql(session, "PREPARE TRANSACTION '%s'", gid_of(1, NULL));
    struct driver_branch branch = unknown(1);
    branch.commit = true;
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, 0);
    ck_assert(has_row(1));
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, DRIVER_GONE);

    /* The remedy, as the log has it. One session learns of it, then all. */
    sql(client, "CREATE SCHEMA troth AUTHORIZATION plain");
    struct driver_connection *new = plain->ops->connection_new(plain);
    ck_assert_int_eq(plain->ops->check(new, why), 0);
    begin(plain, session, 2);
    sql(session, "PREPARE TRANSACTION '%s'", gid_of(2, NULL));
    branch = unknown(2);
    branch.commit = true;
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, 0);
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, 0);
    PQfinish(session);
    plain->ops->connection_free(new);
    plain->ops->connection_free(its);
    plain->ops->free(plain);
}
END_TEST

START_TEST(a_schema_that_was_made_for_the_participant_is_enough_for_the_table) {
    postgres_fixture_reset();
    sql(client, "DROP SCHEMA troth CASCADE");
    sql(client, "DROP ROLE IF EXISTS plain");
    sql(client, "CREATE ROLE plain LOGIN");
    sql(client, "CREATE SCHEMA troth AUTHORIZATION plain");
    char dsn[1024];
    char why[DRIVER_WHY_BYTES];
    struct driver *plain;
    snprintf(dsn, sizeof dsn, "%s user=plain", database_server_dsn(server));
    ck_assert_int_eq(postgres_driver_new(&plain, "shop", "orders", dsn, why), 0);
    struct driver_connection *its = plain->ops->connection_new(plain);
    ck_assert_msg(plain->ops->check(its, why) == 0, "%s", why);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM pg_tables WHERE schemaname = 'troth' "
                                        "AND tablename = 'branches' AND tableowner = 'plain'"),
                     1);
    plain->ops->connection_free(its);
    plain->ops->free(plain);
    sql(client, "DROP OWNED BY plain");
}
END_TEST

START_TEST(another_user_begins_with_the_right_to_insert_a_gid_and_no_other) {
    postgres_fixture_reset();
    sql(client, "DROP ROLE IF EXISTS app");
    sql(client, "CREATE ROLE app LOGIN");
    PGconn *session = postgres_client("app", "postgres");
    sql(session, "BEGIN");
    sql_fails(session, "42501", "INSERT INTO troth.branches (gid) VALUES ('%s')", gid_of(1, NULL));
    sql(session, "ROLLBACK");
    sql(client, "GRANT USAGE ON SCHEMA troth TO app");
    sql(client, "GRANT INSERT (gid) ON troth.branches TO app");
    begin(driver, session, 1);
    sql(session, "PREPARE TRANSACTION '%s'", gid_of(1, NULL));
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, true), 0); /* as its row says */
    /* It can't make one that speaks for another's branch, nor take one away. */
    sql_fails(session, "42501", "INSERT INTO troth.branches (gid, xid) VALUES ('%s', 3)",
              gid_of(2, NULL));
    sql_fails(session, "42501", "DELETE FROM troth.branches");
    PQfinish(session);
    sql(client, "DROP OWNED BY app");
}
END_TEST

/* The first line of begin_sql opens the transaction, so its modes can be set before the second. */
START_TEST(a_branch_can_be_serializable_if_it_says_so_before_its_row) {
    postgres_fixture_reset();
    PGconn *sessions[2];
    for (unsigned i = 0; i < 2; i++) { /* each reads what the other writes */
        sessions[i] = postgres_client("postgres", "postgres");
        sql(sessions[i], "BEGIN");
        sql(sessions[i], "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        sql(sessions[i], "INSERT INTO troth.branches (gid) VALUES ('%s')", gid_of(i + 1, NULL));
        sql_number(sessions[i], "SELECT count(*) FROM t");
    }
    sql(sessions[0], "INSERT INTO t VALUES (1)");
    sql(sessions[1], "INSERT INTO t VALUES (2)");
    sql(sessions[0], "PREPARE TRANSACTION '%s'", gid_of(1, NULL));
    sql_fails(sessions[1], "40001", "PREPARE TRANSACTION '%s'", gid_of(2, NULL));
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    /* The rows alone are no conflict. */
    for (unsigned i = 0; i < 2; i++) {
        sql(sessions[i], "BEGIN");
        sql(sessions[i], "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        sql(sessions[i], "INSERT INTO troth.branches (gid) VALUES ('%s')", gid_of(i + 3, NULL));
    }
    for (unsigned i = 0; i < 2; i++) {
        sql(sessions[i], "PREPARE TRANSACTION '%s'", gid_of(i + 3, NULL));
        branch = voted(i + 3);
        ck_assert_int_eq(end_one(&branch, true), 0);
        PQfinish(sessions[i]);
    }
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.branches"), 3);
}
END_TEST

START_TEST(a_table_that_is_locked_delays_no_end) {
    postgres_fixture_reset();
    prepare_without_row(client, 1); /* the lock would wait for one with its row */
    struct driver_branch branch = voted(1);
    PGconn *locker = postgres_client("postgres", "postgres");
    sql(locker, "BEGIN; LOCK TABLE troth.branches");
    ck_assert_int_eq(end_one(&branch, true), 0);
    ck_assert(has_row(1));
    PQfinish(locker);
}
END_TEST

START_TEST(a_table_that_was_dropped_is_made_again) {
    postgres_fixture_reset();
    sql(client, "DROP SCHEMA troth CASCADE");
    prepare_without_row(client, 1);
    struct driver_branch branch = unknown(1);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, TROTH_ERR_STORAGE); /* not: it isn't prepared */
    branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    prepare(client, 2);
    branch = voted(2);
    ck_assert_int_eq(end_one(&branch, true), 0);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.branches"), 1);
}
END_TEST

/* ---- Global ids that are used twice ---------------------------------------------------------- */

static int count(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    (void)txid;
    ck_assert_uint_ne(receipt, 0);
    ck_assert_uint_ne(age_ms, 0);
    ++*(unsigned *)arg;
    return 0;
}

static unsigned listed(void) {
    char why[DRIVER_WHY_BYTES];
    unsigned n = 0;
    int err = driver->ops->list(connection, count, &n, why);
    ck_assert_msg(err == 0, "%d %s", err, why);
    return n;
}

/* It could never be found, nor ended, by the gid that its digits mean. */
START_TEST(a_gid_in_another_spelling_is_nobodys) {
    postgres_fixture_reset();
    sql(client, "BEGIN; INSERT INTO t VALUES (1)");
    sql(client, "PREPARE TRANSACTION 'troth:shop:000100010000000A0000000000000007:orders'");
    prepare(client, 2);
    ck_assert_uint_eq(listed(), 1);
    sql(client, "ROLLBACK PREPARED 'troth:shop:000100010000000A0000000000000007:orders'");
}
END_TEST

START_TEST(S5_a_second_use_of_a_global_id_is_refused_as_it_begins) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    sql(client, "BEGIN");
    sql_fails(client, "23505", "INSERT INTO troth.branches (gid) VALUES ('%s')", gid_of(1, NULL));
    sql(client, "ROLLBACK");
}
END_TEST

START_TEST(S5_what_is_prepared_again_without_a_row_gets_no_vote_and_is_rolled_back) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    sql(client, "BEGIN; INSERT INTO t VALUES (77)");
    sql(client, "PREPARE TRANSACTION '%s'", gid_of(1, NULL));
    postgres_driver_again();
    branch = unknown(1);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, DRIVER_NOT_PREPARED);
    ck_assert_ptr_nonnull(strstr(branch.detail, "twice"));
    ck_assert_uint_eq(listed(), 0); /* which rolls it back, as nobody else will */
    ck_assert(!is_prepared(1));
    ck_assert(!has_row(77));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_branch_votes_prepared_once_it_is_and_not_before,
        the_receipt_is_the_transaction_and_outlives_the_servers_death,
        no_vote_for_what_only_another_user_or_database_can_end,
        one_call_ends_several_each_its_own_way,
        a_second_end_is_told_from_another_ones_by_its_receipt,
        what_an_administrator_ended_is_told_as_it_was_ended,
        after_a_restart_the_row_tells_what_was_committed,
        an_end_that_an_earlier_process_has_begun_is_taken_for_ours,
        a_branch_without_its_row_ends_and_is_a_hazard_only_once_it_is_gone,
        H7_a_server_that_has_lost_the_branch_is_not_taken_for_one_that_committed_it,
        without_the_right_to_the_table_clients_begin_without_and_all_ends_work,
        a_schema_that_was_made_for_the_participant_is_enough_for_the_table,
        another_user_begins_with_the_right_to_insert_a_gid_and_no_other,
        a_branch_can_be_serializable_if_it_says_so_before_its_row,
        a_table_that_is_locked_delays_no_end,
        a_table_that_was_dropped_is_made_again,
        a_gid_in_another_spelling_is_nobodys,
        S5_a_second_use_of_a_global_id_is_refused_as_it_begins,
        S5_what_is_prepared_again_without_a_row_gets_no_vote_and_is_rolled_back,
        NULL,
    };
    return postgres_fixture_run("postgres_driver", tests);
}

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
    /* Each commit has left its evidence, those without a receipt too. */
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.committed"), 3);
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
    for (int with_evidence = 1; with_evidence >= 0; with_evidence--) {
        postgres_fixture_reset();
        if (!with_evidence) { /* a table that can't be used */
            sql(client, "CREATE SCHEMA troth; CREATE VIEW troth.committed AS SELECT ''::text AS "
                        "gid, 0::bigint AS xid, now() AS at");
        }
        for (unsigned i = 1; i <= 4; i++) {
            prepare(client, i);
            struct driver_branch branch = voted(i);
            sql(client, "%s PREPARED '%s'", i <= 2 ? "COMMIT" : "ROLLBACK", gid_of(i, NULL));
            int result = end_one(&branch, i % 2 == 0);
            ck_assert_int_eq(result, i <= 2 ? DRIVER_WAS_COMMITTED : DRIVER_WAS_ABORTED);
            ck_assert_ptr_nonnull(strstr(branch.detail, "another"));
            /* And stays so for one that knows nothing: no evidence of ours is left. */
            branch = unknown(i);
            ck_assert_int_eq(end_one(&branch, true), DRIVER_GONE);
        }
    }
}
END_TEST

START_TEST(after_a_restart_evidence_tells_our_own_commits_from_others) {
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
    struct driver_branch one = unknown(1);
    ck_assert_int_eq(end_one(&one, true), 0);
    ck_assert_int_eq(end_one(&one, false), DRIVER_WAS_COMMITTED);
    for (unsigned i = 2; i <= 4; i++) {
        struct driver_branch other = unknown(i);
        ck_assert_int_eq(end_one(&other, i != 2), DRIVER_GONE);
    }
}
END_TEST

START_TEST(evidence_survives_with_its_commit_though_it_does_not_wait_for_the_disk) {
    postgres_fixture_reset();
    /* The log's writer sleeps, so that only a commit's own sync writes. */
    postgres_restart_with("wal_writer_delay=10s");
    for (unsigned i = 1; i <= 20; i++) {
        prepare(client, i);
        struct driver_branch branch = voted(i);
        ck_assert_int_eq(end_one(&branch, true), 0);
    }
    postgres_kill_and_restart();
    postgres_driver_again();
    for (unsigned i = 1; i <= 20; i++) {
        struct driver_branch branch = unknown(i);
        ck_assert(has_row(i));
        ck_assert_int_eq(end_one(&branch, true), 0);
    }
}
END_TEST

START_TEST(without_the_right_to_keep_evidence_ends_work_all_the_same) {
    postgres_fixture_reset();
    sql(client, "DROP ROLE IF EXISTS plain");
    sql(client, "CREATE ROLE plain LOGIN");
    char dsn[1024];
    char why[DRIVER_WHY_BYTES];
    struct driver *plain;
    snprintf(dsn, sizeof dsn, "%s user=plain", database_server_dsn(server));
    ck_assert_int_eq(postgres_driver_new(&plain, "shop", "orders", dsn, why), 0);
    struct driver_connection *its = plain->ops->connection_new(plain);
    PGconn *session = postgres_client("plain", "postgres");
    prepare(session, 1);
    struct driver_branch branch = unknown(1);
    branch.commit = true;
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, 0);
    ck_assert(has_row(1));
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM pg_namespace WHERE nspname = "
                                        "'troth'"),
                     0);
    plain->ops->end(its, &branch, 1);
    ck_assert_result(branch, DRIVER_GONE);
    PQfinish(session);
    plain->ops->connection_free(its);
    plain->ops->free(plain);
}
END_TEST

START_TEST(a_schema_that_was_made_for_the_participant_is_enough_for_evidence) {
    postgres_fixture_reset();
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
                                        "AND tablename = 'committed' AND tableowner = 'plain'"),
                     1);
    plain->ops->connection_free(its);
    plain->ops->free(plain);
    sql(client, "DROP OWNED BY plain");
}
END_TEST

START_TEST(evidence_that_cannot_be_written_delays_no_commit_for_long) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    PGconn *locker = postgres_client("postgres", "postgres");
    sql(locker, "BEGIN; LOCK TABLE troth.committed");
    ck_assert_int_eq(end_one(&branch, true), 0);
    ck_assert(has_row(1));
    PQfinish(locker);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.committed"), 0);
    sql(client, "DROP TABLE troth.committed");
    prepare(client, 2);
    branch = unknown(2);
    branch.receipt = 3; /* no vote, so that the lost table is met at the end */
    ck_assert_int_eq(end_one(&branch, true), 0);
    ck_assert(has_row(2));
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

START_TEST(what_is_prepared_again_after_its_commit_is_never_committed) {
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
    ck_assert_int_eq(end_one(&branch, true), 0); /* the first one was */
    ck_assert(is_prepared(1));
    ck_assert_uint_eq(listed(), 0); /* which rolls it back, as nobody else will */
    ck_assert(!is_prepared(1));
    ck_assert(!has_row(77));
}
END_TEST

START_TEST(a_commit_that_met_another_transaction_than_it_voted_for_is_a_hazard) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    sql(client, "ROLLBACK PREPARED '%s'", gid_of(1, NULL));
    prepare(client, 1);
    ck_assert_int_eq(end_one(&branch, true), DRIVER_HAZARD);
    ck_assert_ptr_nonnull(strstr(branch.detail, "prepared again"));
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
        after_a_restart_evidence_tells_our_own_commits_from_others,
        evidence_survives_with_its_commit_though_it_does_not_wait_for_the_disk,
        without_the_right_to_keep_evidence_ends_work_all_the_same,
        a_schema_that_was_made_for_the_participant_is_enough_for_evidence,
        evidence_that_cannot_be_written_delays_no_commit_for_long,
        what_is_prepared_again_after_its_commit_is_never_committed,
        a_commit_that_met_another_transaction_than_it_voted_for_is_a_hazard,
        NULL,
    };
    return postgres_fixture_run("postgres_driver", tests);
}

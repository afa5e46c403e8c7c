/* The PostgreSQL driver where the server is away, unfit, full or slow. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "participant/adapters/postgres_internal.h"
#include "shell/clock.h"
#include "tests/lib/postgres_fixture.h"

static char why[DRIVER_WHY_BYTES];

static void wait_for(const char *query) {
    int64_t until = clock_monotonic_ms() + 60000;
    while (sql_number(client, "%s", query) == 0) {
        ck_assert_msg(clock_monotonic_ms() < until, "%s", query);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static int check_server(void) {
    return driver->ops->check(connection, why);
}

/* ---- Fitness --------------------------------------------------------------------------------- */

START_TEST(a_server_that_refuses_to_prepare_is_refused_by_the_settings_name) {
    postgres_fixture_reset();
    ck_assert_int_eq(check_server(), 0);
    postgres_restart_with("max_prepared_transactions=0");
    ck_assert_int_eq(check_server(), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "max_prepared_transactions is 0"));
    postgres_restart_with("max_prepared_transactions=40");
    ck_assert_int_eq(check_server(), 0);
}
END_TEST

START_TEST(transactions_that_are_read_only_by_default_are_refused) {
    postgres_fixture_reset();
    sql(client, "ALTER ROLE postgres SET default_transaction_read_only = on");
    postgres_driver_again();
    ck_assert_int_eq(check_server(), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "default_transaction_read_only"));
    sql(client, "ALTER ROLE postgres RESET ALL");
    postgres_driver_again();
    ck_assert_int_eq(check_server(), 0);
}
END_TEST

START_TEST(a_standby_is_refused_until_it_is_promoted) {
    char path[1024];
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    snprintf(path, sizeof path, "%s/data/standby.signal", database_server_folder(server));
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    postgres_kill_and_restart();
    ck_assert_int_eq(check_server(), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "standby"));
    ck_assert_int_lt(end_one(&branch, true), 0);
    ck_assert_ptr_nonnull(strstr(branch.detail, "standby"));
    driver->ops->vote(connection, &branch, 1);
    ck_assert_int_lt(branch.result, 0); /* not: it isn't prepared */
    ck_assert_int_lt(driver->ops->list(connection, NULL, NULL, why), 0);
    sql(client, "SELECT pg_promote()");
    branch = voted(1);
    ck_assert_int_eq(end_one(&branch, true), 0);
    ck_assert(has_row(1));
}
END_TEST

static int check_dsn(const char *more) {
    char dsn[1024];
    struct driver *other;
    snprintf(dsn, sizeof dsn, "%s %s", database_server_dsn(server), more);
    ck_assert_int_eq(postgres_driver_new(&other, "shop", "orders", dsn, why), 0);
    struct driver_connection *its = other->ops->connection_new(other);
    int err = other->ops->check(its, why);
    other->ops->connection_free(its);
    other->ops->free(other);
    return err;
}

/* In whatever language the server says so. */
START_TEST(a_user_or_database_that_the_server_refuses_is_told_at_the_start) {
    postgres_fixture_reset();
    ck_assert_int_eq(check_dsn("dbname=not_there"), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "\"not_there\" does not exist"));
    ck_assert_ptr_nonnull(strstr(why, "check user, password and database"));
    ck_assert_int_eq(check_dsn("user=nobody_here"), TROTH_ERR_MISMATCH);
    ck_assert_int_eq(check_dsn("port=1"), TROTH_ERR_UNAVAILABLE);
}
END_TEST

START_TEST(a_server_that_is_away_is_no_misfit_and_its_password_is_no_secret_told) {
    postgres_fixture_reset();
    char dsn[1024];
    struct driver *other;
    snprintf(dsn, sizeof dsn, "%s password=topsecret", database_server_dsn(server));
    ck_assert_int_eq(postgres_driver_new(&other, "shop", "orders", dsn, why), 0);
    struct driver_connection *its = other->ops->connection_new(other);
    ck_assert_int_eq(database_server_kill(server), 0);
    ck_assert_int_eq(other->ops->check(its, why), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_null(strstr(why, "topsecret"));
    ck_assert_ptr_nonnull(strstr(why, "refused"));
    postgres_start_again();
    ck_assert_int_eq(other->ops->check(its, why), 0);
    other->ops->connection_free(its);
    other->ops->free(other);
}
END_TEST

/* ---- Absence --------------------------------------------------------------------------------- */

START_TEST(a_server_that_came_back_between_two_calls_is_dialled_again) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    postgres_kill_and_restart();
    ck_assert_int_eq(end_one(&branch, true), 0);
    prepare(client, 2);
    branch = voted(2);
    postgres_restart_with("work_mem=2MB"); /* in order: the server said good-bye */
    ck_assert_int_eq(end_one(&branch, false), 0);
}
END_TEST

START_TEST(H7_an_end_that_cannot_dial_has_not_begun) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(database_server_kill(server), 0);
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_UNAVAILABLE);
    ck_assert(branch.nothing_done);
    postgres_start_again();
    ck_assert_int_eq(end_one(&branch, true), 0);
}
END_TEST

#define BATCH 24

static void *end_batch(void *arg) {
    driver->ops->end(connection, arg, BATCH);
    return NULL;
}

START_TEST(of_a_batch_that_a_kill_interrupts_each_branch_ends_once) {
    for (unsigned round = 0; round < 3; round++) {
        struct driver_branch branches[BATCH];
        pthread_t thread;
        char query[200];
        postgres_fixture_reset();
        for (unsigned i = 0; i < BATCH; i++) {
            prepare(client, i + 1);
            branches[i] = voted(i + 1);
            branches[i].commit = i % 3 != 2;
        }
        ck_assert_int_eq(pthread_create(&thread, NULL, end_batch, branches), 0);
        snprintf(query, sizeof query, "SELECT (count(*) < %u)::int FROM pg_prepared_xacts",
                 BATCH - 6 * round);
        wait_for(query);
        postgres_kill_and_restart();
        pthread_join(thread, NULL);
        if (round % 2 == 1) {
            postgres_driver_again();
        }
        for (unsigned i = 0; i < BATCH; i++) {
            if (branches[i].result != 0) {
                ck_assert_int_eq(branches[i].result, TROTH_ERR_UNAVAILABLE);
                ck_assert(!branches[i].nothing_done);
                branches[i].was_begun = true;
                ck_assert_msg(end_one(&branches[i], branches[i].commit) == 0, "%d %s",
                              branches[i].result, branches[i].detail);
            }
            ck_assert_int_eq(has_row(i + 1), branches[i].commit);
            ck_assert(!is_prepared(i + 1));
        }
        ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM t"), BATCH / 3 * 2);
    }
}
END_TEST

START_TEST(a_server_that_stands_still_is_given_up_and_the_end_is_made_later) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    ((struct postgres_driver *)driver)->call_ms = 200;
    ck_assert_int_eq(database_server_pause(server), 0);
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_UNAVAILABLE);
    ck_assert_int_eq(database_server_resume(server), 0);
    ((struct postgres_driver *)driver)->call_ms = POSTGRES_CALL_MS;
    branch.was_begun = true;
    /* The first call's session may be at it still. */
    while (end_one(&branch, true) == TROTH_ERR_FULL) {
    }
    ck_assert_msg(branch.result == 0, "%d %s", branch.result, branch.detail);
    ck_assert(has_row(1));
}
END_TEST

/* ---- Others ---------------------------------------------------------------------------------- */

/* From now on what commits waits for a standby that is not there, as `waiter` does. The setting is
 * in force a while after it is shown, so the waiter tries until it waits. */
static void standby_is_wanted(PGconn *waiter) {
    sql(client, "SET synchronous_commit = local");
    sql(client, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    sql(client, "SELECT pg_reload_conf()");
    while (sql_number(client, "SELECT count(*) FROM pg_stat_activity "
                              "WHERE wait_event = 'SyncRep'") == 0) {
        ck_assert_int_eq(PQconsumeInput(waiter), 1);
        if (!PQisBusy(waiter)) {
            PGresult *result = PQgetResult(waiter);
            if (result == NULL) {
                ck_assert_int_eq(PQsendQuery(waiter, "INSERT INTO t VALUES (0)"), 1);
            }
            PQclear(result);
        }
    }
}

static void finish(PGconn *session) {
    PGresult *result = PQgetResult(session);
    ck_assert_int_eq(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(session);
}

START_TEST(while_another_session_ends_it_the_branch_is_busy) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    PGconn *waiter = postgres_client("postgres", "postgres");
    PGconn *administrator = postgres_client("postgres", "postgres");
    char commit[TROTH_GID_BYTES + 32];
    snprintf(commit, sizeof commit, "COMMIT PREPARED '%s'", gid_of(1, NULL));
    standby_is_wanted(waiter);
    ck_assert_int_eq(PQsendQuery(administrator, commit), 1); /* waits, with the branch in hand */
    wait_for("SELECT (count(*) = 2)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_FULL);
    ck_assert_ptr_nonnull(strstr(branch.detail, "busy"));
    sql(client, "ALTER SYSTEM RESET synchronous_standby_names");
    sql(client, "SELECT pg_reload_conf()");
    finish(administrator);
    finish(waiter);
    branch.was_begun = true;
    ck_assert_int_eq(end_one(&branch, true), 0);
}
END_TEST

START_TEST(a_commit_is_not_done_before_the_standby_has_it) {
    postgres_fixture_reset();
    prepare(client, 1);
    struct driver_branch branch = voted(1);
    PGconn *waiter = postgres_client("postgres", "postgres");
    standby_is_wanted(waiter);
    ((struct postgres_driver *)driver)->call_ms = 200;
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_UNAVAILABLE);
    branch.was_begun = true;
    ((struct postgres_driver *)driver)->call_ms = POSTGRES_CALL_MS;
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_FULL); /* the first call is at it still */
    ck_assert(is_prepared(1));
    sql(client, "ALTER SYSTEM RESET synchronous_standby_names");
    sql(client, "SELECT pg_reload_conf()");
    finish(waiter);
    while (end_one(&branch, true) == TROTH_ERR_FULL) {
    }
    ck_assert_msg(branch.result == 0, "%d %s", branch.result, branch.detail);
    ck_assert(has_row(1));
}
END_TEST

static int count(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    (void)txid;
    ck_assert_uint_ne(receipt, 0);
    ck_assert_uint_ne(age_ms, 0);
    return ++*(int *)arg == -1 ? 77 : 0;
}

static int listed(void) {
    int n = 0;
    int err = driver->ops->list(connection, count, &n, why);
    ck_assert_msg(err == 0, "%d %s", err, why);
    return n;
}

START_TEST(a_full_list_is_told_and_emptied) {
    postgres_fixture_reset();
    for (unsigned i = 1; i <= FIXTURE_PREPARED_MAX; i++) {
        prepare(client, i);
    }
    sql(client, "BEGIN; INSERT INTO t VALUES (0)");
    sql_fails(client, "53200", "PREPARE TRANSACTION '%s'", gid_of(99, NULL));
    ck_assert_int_eq(check_server(), 0); /* with a warning in the log */
    ck_assert_int_eq(listed(), FIXTURE_PREPARED_MAX);
    for (unsigned i = 1; i <= FIXTURE_PREPARED_MAX; i++) {
        struct driver_branch branch = unknown(i);
        ck_assert_int_eq(end_one(&branch, false), 0);
    }
    ck_assert_int_eq(listed(), 0);
}
END_TEST

START_TEST(old_rows_go_but_nobody_elses_and_not_at_first) {
    postgres_fixture_reset();
    ck_assert_int_eq(listed(), 0);
    sql(client,
        "INSERT INTO troth.branches VALUES ('%s', 3, now() - interval '2 hours'), "
        "('%s', 3, now() - interval '50 minutes'), ('%s', 3, now() - interval '2 hours')",
        gid_of(1, NULL), gid_of(2, NULL), gid_of(3, "stock"));
    ck_assert_int_eq(listed(), 0);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.branches"), 3);
    atomic_store(&((struct postgres_driver *)driver)->housekeeping_ms, 0);
    ck_assert_int_eq(listed(), 0);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.branches"), 2);
    ck_assert_int_eq(
        sql_number(client, "SELECT count(*) FROM troth.branches WHERE gid = '%s'", gid_of(1, NULL)),
        0);
}
END_TEST

#define SESSIONS 8
#define EACH     4

struct worker {
    pthread_t thread;
    struct driver_connection *connection;
    struct driver_branch branches[EACH];
};

static void *work(void *arg) {
    struct worker *worker = arg;
    driver->ops->vote(worker->connection, worker->branches, EACH);
    for (unsigned i = 0; i < EACH; i++) {
        worker->branches[i].commit = worker->branches[i].result == DRIVER_PREPARED;
    }
    driver->ops->end(worker->connection, worker->branches, EACH);
    return NULL;
}

START_TEST(sessions_that_come_at_once_make_the_table_once) {
    struct worker workers[SESSIONS];
    for (unsigned round = 0; round < 3; round++) {
        postgres_fixture_reset();
        sql(client, "DROP SCHEMA troth CASCADE");
        for (unsigned i = 0; i < SESSIONS; i++) {
            workers[i] = (struct worker){.connection = driver->ops->connection_new(driver)};
            for (unsigned k = 0; k < EACH; k++) {
                prepare_without_row(client, 1 + i * EACH + k);
                workers[i].branches[k] = unknown(1 + i * EACH + k);
            }
        }
        for (unsigned i = 0; i < SESSIONS; i++) {
            ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (unsigned i = 0; i < SESSIONS; i++) {
            pthread_join(workers[i].thread, NULL);
            driver->ops->connection_free(workers[i].connection);
            for (unsigned k = 0; k < EACH; k++) {
                ck_assert_int_eq(workers[i].branches[k].result, 0);
            }
        }
        ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM t"), SESSIONS * EACH);
        ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM troth.branches"), 0);
    }
}
END_TEST

#define LEFT_OVERS 2000

START_TEST(thousands_of_left_overs_are_listed_and_nobody_elses_touched) {
    postgres_restart_with("max_prepared_transactions=5000");
    postgres_restart_with("fsync=off"); /* for the thousands; nothing is killed any more */
    postgres_fixture_reset();
    static const char *const others[] = {"plain", "troth:shop:junk:orders",
                                         "troth:shop:00010001000000010000000000000000:orders",
                                         "troth:shop2:00010001000000010000000000000001:orders",
                                         "troth:shop:00010001000000010000000000000001:orders2"};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        sql(client, "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '%s'", others[i]);
    }
    for (unsigned i = 1; i <= LEFT_OVERS; i++) {
        prepare(client, i);
    }
    ck_assert_int_eq(listed(), LEFT_OVERS);
    int n = -5; /* the fourth one ends it */
    ck_assert_int_eq(driver->ops->list(connection, count, &n, why), 77);
    ck_assert_int_eq(n, -1);
    struct driver_branch *branches = calloc(LEFT_OVERS, sizeof *branches);
    ck_assert_ptr_nonnull(branches);
    for (unsigned i = 0; i < LEFT_OVERS; i++) {
        branches[i] = unknown(i + 1);
        branches[i].commit = i % 2 == 0;
    }
    driver->ops->end(connection, branches, LEFT_OVERS);
    for (unsigned i = 0; i < LEFT_OVERS; i++) {
        ck_assert_msg(branches[i].result == 0, "%d %s", branches[i].result, branches[i].detail);
    }
    free(branches);
    ck_assert_int_eq(listed(), 0);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM t"), LEFT_OVERS / 2);
    ck_assert_int_eq(sql_number(client, "SELECT count(*) FROM pg_prepared_xacts"), 5);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_server_that_refuses_to_prepare_is_refused_by_the_settings_name,
        transactions_that_are_read_only_by_default_are_refused,
        a_standby_is_refused_until_it_is_promoted,
        a_user_or_database_that_the_server_refuses_is_told_at_the_start,
        a_server_that_is_away_is_no_misfit_and_its_password_is_no_secret_told,
        H7_an_end_that_cannot_dial_has_not_begun,
        a_server_that_came_back_between_two_calls_is_dialled_again,
        of_a_batch_that_a_kill_interrupts_each_branch_ends_once,
        a_server_that_stands_still_is_given_up_and_the_end_is_made_later,
        while_another_session_ends_it_the_branch_is_busy,
        a_commit_is_not_done_before_the_standby_has_it,
        a_full_list_is_told_and_emptied,
        old_rows_go_but_nobody_elses_and_not_at_first,
        sessions_that_come_at_once_make_the_table_once,
        thousands_of_left_overs_are_listed_and_nobody_elses_touched, /* the last: without fsync */
        NULL,
    };
    return postgres_fixture_run("postgres_outages", tests);
}

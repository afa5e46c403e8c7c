/* What a MariaDB server must have to take part, said at start; Troth's table in it; and a C
 * program's own connection. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/adapters/mariadb_internal.h"
#include "participant/adapters/troth_mariadb.h"
#include "tests/lib/mariadb_fixture.h"

static char why[DRIVER_WHY_BYTES];

static int check(void) {
    why[0] = '\0';
    return driver->ops->check(connection, why);
}

static int check_as(const char *keys) {
    char dsn[1024];
    struct driver *other;
    snprintf(dsn, sizeof dsn, "socket=%s/sock %s", database_server_folder(server), keys);
    ck_assert_int_eq(mariadb_driver_new(&other, "shop", "stock", dsn, why), 0);
    struct driver_connection *its = other->ops->connection_new(other);
    int err = other->ops->check(its, why);
    other->ops->connection_free(its);
    other->ops->free(other);
    return err;
}

#define ck_assert_refused(err, text)                                                               \
    do {                                                                                           \
        ck_assert_int_eq((err), TROTH_ERR_MISMATCH);                                               \
        ck_assert_msg(strstr(why, (text)) != NULL, "%s", why);                                     \
    } while (0)

/* ---- At start -------------------------------------------------------------------------------- */

START_TEST(a_server_that_would_lose_prepared_branches_with_the_power_is_refused) {
    mariadb_fixture_reset();
    for (int value = 0; value <= 3; value++) {
        sql(client, "SET GLOBAL innodb_flush_log_at_trx_commit = %d", value);
        if (value == 1 || value == 3) {
            ck_assert_int_eq(check(), 0);
        } else {
            ck_assert_refused(check(), "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
        }
    }
    sql(client, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
}
END_TEST

START_TEST(a_read_only_server_is_refused) {
    mariadb_fixture_reset();
    sql(client, "SET GLOBAL read_only = ON");
    ck_assert_refused(check(), "read_only is ON");
    sql(client, "SET GLOBAL read_only = OFF");
    ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(a_server_without_InnoDB_or_without_syncs_is_refused) {
    mariadb_restart_with("innodb-flush-method=nosync");
    mariadb_driver_again();
    ck_assert_refused(check(), "innodb_flush_method");
    mariadb_restart_with("innodb-flush-method=fsync");
    ck_assert_int_eq(check(), 0);
    ck_assert_int_eq(database_server_set(server, "default-storage-engine=Aria"), 0);
    mariadb_restart_with("innodb=OFF");
    ck_assert_refused(check(), "InnoDB is off");
    mariadb_restart_with("innodb=ON");
    ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(a_user_without_rights_is_told_what_to_grant) {
    mariadb_fixture_reset();
    sql(client, "CREATE OR REPLACE USER agent@localhost IDENTIFIED BY 'a b'");
    ck_assert_refused(check_as("user=agent password='a b'"),
                      "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON troth.* TO agent");
    static const char *const rights[] = {"SELECT", "INSERT", "UPDATE"};
    for (unsigned i = 0; i < sizeof rights / sizeof *rights; i++) {
        sql(client, "GRANT %s ON troth.* TO agent@localhost", rights[i]);
        ck_assert_refused(check_as("user=agent password='a b'"), "GRANT CREATE");
    }
    sql(client, "GRANT DELETE ON troth.* TO agent@localhost");
    ck_assert_int_eq(check_as("user=agent password='a b'"), 0);
    sql(client, "DROP DATABASE troth");
    ck_assert_refused(check_as("user=agent password='a b'"), "GRANT CREATE");
    sql(client, "GRANT CREATE ON troth.* TO agent@localhost");
    ck_assert_int_eq(check_as("user=agent password='a b'"), 0);
}
END_TEST

START_TEST(a_wrong_password_is_said_without_showing_it) {
    mariadb_fixture_reset();
    sql(client, "CREATE OR REPLACE USER agent@localhost IDENTIFIED BY 'right'");
    ck_assert_refused(check_as("user=agent password=wrongone"), "Access denied");
    ck_assert_ptr_null(strstr(why, "wrongone"));
    ck_assert_refused(check_as("user=root database=nowhere"), "nowhere");
}
END_TEST

START_TEST(a_server_that_cannot_be_reached_is_no_mismatch) {
    mariadb_fixture_reset();
    ck_assert_int_eq(check_as("socket=/nowhere/sock"), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/sock"));
}
END_TEST

START_TEST(names_that_XA_has_no_room_for_are_refused) {
    struct driver *other;
    ck_assert_int_eq(
        mariadb_driver_new(&other, "a-cluster-with-a-name-of-32-bytes", "stock", "", why),
        TROTH_ERR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(why, "at most 31"));
    ck_assert_int_eq(mariadb_driver_new(&other, "shop", "st'ock", "", why), TROTH_ERR_INVALID);
    ck_assert_int_eq(mariadb_driver_new(&other, "shop", "", "", why), TROTH_ERR_INVALID);
    ck_assert_int_eq(mariadb_driver_new(&other, "shop", "stock", "port=no", why),
                     TROTH_ERR_INVALID);
}
END_TEST

/* ---- Troth's table --------------------------------------------------------------------------- */

static void sweep(void) {
    struct mariadb_driver *mariadb = (struct mariadb_driver *)driver;
    atomic_store(&mariadb->sweep_ms, 0);
    mariadb_rows_sweep(connection);
}

static void age(const char *which, const char *by) {
    sql(client, "UPDATE troth.branches SET %s = NOW() - INTERVAL %s WHERE %s IS NOT NULL", which,
        by, which);
}

static long n_rows(void) {
    return sql_number(client, "SELECT COUNT(*) FROM troth.branches WHERE gid LIKE 'troth:%%'");
}

START_TEST(rows_go_a_day_after_they_were_first_seen_committed_and_not_before) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare(session, 1);
    prepare(session, 2); /* in doubt for long: it must neither stop a sweep nor be swept */
    struct driver_branch branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    sweep();
    ck_assert_int_eq(n_rows(), 1);
    ck_assert_int_eq(sql_number(client,
                                "SELECT settled IS NOT NULL FROM troth.branches "
                                "WHERE gid = '%s'",
                                gid_of(1)),
                     1);
    sql(client, "UPDATE troth.branches SET settled = NOW() - INTERVAL 23 HOUR WHERE gid = '%s'",
        gid_of(1));
    sweep();
    ck_assert_int_eq(n_rows(), 1);
    sql(client, "UPDATE troth.branches SET settled = NOW() - INTERVAL 25 HOUR WHERE gid = '%s'",
        gid_of(1));
    sweep();
    ck_assert_int_eq(n_rows(), 0);
    branch = unknown(2);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    ck_assert_int_eq(n_rows(), 1);
    mysql_close(session);
}
END_TEST

START_TEST(thousands_of_rows_are_swept_at_once_and_only_ours) {
    mariadb_fixture_reset();
    sql(client, "INSERT INTO troth.branches (gid, session) SELECT CONCAT('troth:shop:', "
                "LPAD(seq, 32, '0'), ':stock'), 1 FROM seq_1_to_2300");
    sql(client, "INSERT INTO troth.branches (gid, session) VALUES "
                "('troth:shop:00000000000000000000000000000001:other', 1), "
                "('troth:shoP:00000000000000000000000000000001:stock', 1)");
    sweep();
    ck_assert_int_eq(
        sql_number(client, "SELECT COUNT(*) FROM troth.branches WHERE settled IS NULL"), 2);
    age("settled", "25 HOUR");
    sweep();
    ck_assert_int_eq(n_rows(), 2);
}
END_TEST

/* ---- A program's own connection -------------------------------------------------------------- */

static struct troth_database_branch branch_of(unsigned number) {
    struct troth_database_branch branch = {.participant = "stock"};
    snprintf(branch.gid, sizeof branch.gid, "%s", xid_of(number));
    driver->ops->statements(driver, txid_of(number), branch.begin_sql, branch.prepare_sql);
    return branch;
}

START_TEST(a_program_prepares_one_branch_after_another_on_one_connection) {
    mariadb_fixture_reset();
    MYSQL *own = mariadb_client("root");
    for (unsigned i = 1; i <= 3; i++) {
        struct troth_database_branch branch = branch_of(i);
        ck_assert_int_eq(troth_mariadb_begin(own, &branch, why, sizeof why), 0);
        sql(own, "INSERT INTO t VALUES (%u)", i);
        ck_assert_int_eq(troth_mariadb_prepare(own, &branch, why, sizeof why), 0);
    }
    for (unsigned i = 1; i <= 3; i++) {
        struct driver_branch branch = voted(i);
        ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
        ck_assert(has_row(i));
    }
    mysql_close(own);
}
END_TEST

START_TEST(a_program_that_gives_up_leaves_nothing_and_goes_on) {
    mariadb_fixture_reset();
    MYSQL *own = mariadb_client("root");
    struct troth_database_branch branch = branch_of(1);
    ck_assert_int_eq(troth_mariadb_begin(own, &branch, why, sizeof why), 0);
    sql(own, "INSERT INTO t VALUES (1)");
    troth_mariadb_rollback(own, &branch);
    ck_assert_int_eq(sql_number(own, "SELECT COUNT(*) FROM t"), 0);
    ck_assert_int_eq(troth_mariadb_begin(own, &branch, why, sizeof why), 0);
    mysql_close(own);
}
END_TEST

START_TEST(a_deadlocks_victim_is_told_and_its_connection_goes_on) {
    mariadb_fixture_reset();
    MYSQL *own = mariadb_client("root");
    struct troth_database_branch branch = branch_of(1);
    mariadb_make_deadlock(own, branch.begin_sql);
    ck_assert_int_eq(troth_mariadb_prepare(own, &branch, why, sizeof why), TROTH_ERR_ABORTED);
    ck_assert_ptr_nonnull(strstr(why, "ROLLBACK ONLY"));
    ck_assert_int_eq(sql_number(own, "SELECT COUNT(*) FROM t"), 0);
    mysql_close(own);
}
END_TEST

START_TEST(what_is_prepared_is_not_undone_by_a_second_begin_prepare_or_rollback) {
    mariadb_fixture_reset();
    MYSQL *own = mariadb_client("root");
    struct troth_database_branch branch = branch_of(1);
    prepare(own, 1);
    ck_assert_int_eq(troth_mariadb_begin(own, &branch, why, sizeof why), TROTH_ERR_ABORTED);
    ck_assert(is_listed(1));
    ck_assert_int_eq(troth_mariadb_prepare(own, &branch, why, sizeof why), TROTH_ERR_ABORTED);
    ck_assert(is_listed(1));
    troth_mariadb_rollback(own, &branch);
    ck_assert(is_listed(1));
    mysql_close(own);
}
END_TEST

START_TEST(a_branch_that_was_committed_cannot_be_begun_again) {
    mariadb_fixture_reset();
    MYSQL *own = mariadb_client("root");
    struct troth_database_branch branch = branch_of(1);
    prepare(own, 1);
    struct driver_branch ended = voted(1);
    ck_assert_int_eq(end_one(&ended, true), TROTH_OK);
    ck_assert_int_eq(troth_mariadb_begin(own, &branch, why, sizeof why), TROTH_ERR_ABORTED);
    ck_assert_ptr_nonnull(strstr(why, "Duplicate entry"));
    ck_assert_int_eq(sql_number(own, "SELECT COUNT(*) FROM t"), 1); /* the connection is free */
    mysql_close(own);
}
END_TEST

START_TEST(a_lost_connection_is_not_taken_for_an_answer) {
    mariadb_fixture_reset();
    MYSQL *own = mariadb_client("root");
    struct troth_database_branch branch = branch_of(1);
    ck_assert_int_eq(troth_mariadb_begin(own, &branch, why, sizeof why), 0);
    sql(client, "KILL %lu", mysql_thread_id(own));
    ck_assert_int_eq(troth_mariadb_prepare(own, &branch, why, sizeof why), TROTH_ERR_UNAVAILABLE);
    mysql_close(own);
}
END_TEST

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 25 };

static void *work(void *arg) {
    unsigned first = *(unsigned *)arg;
    struct driver_connection *its = driver->ops->connection_new(driver);
    for (unsigned i = 0; i < EACH; i++) {
        struct driver_branch branch = {.txid = txid_of(first + i), .commit = i % 3 != 0};
        driver->ops->vote(its, &branch, 1);
        if (branch.result == DRIVER_PREPARED) {
            driver->ops->end(its, &branch, 1);
        }
        if (branch.result != TROTH_OK) {
            break; /* which is seen in the list */
        }
    }
    driver->ops->connection_free(its);
    return NULL;
}

START_TEST(threads_vote_and_end_each_on_a_connection_of_its_own) {
    mariadb_fixture_reset();
    pthread_t threads[THREADS];
    unsigned firsts[THREADS];
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        prepare(client, i + 1);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        firsts[i] = i * EACH + 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &firsts[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        ck_assert(has_row(i + 1) == (i % EACH % 3 != 0));
    }
    sql(client, "XA RECOVER");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_server_that_would_lose_prepared_branches_with_the_power_is_refused,
        a_read_only_server_is_refused,
        a_user_without_rights_is_told_what_to_grant,
        a_wrong_password_is_said_without_showing_it,
        a_server_that_cannot_be_reached_is_no_mismatch,
        names_that_XA_has_no_room_for_are_refused,
        rows_go_a_day_after_they_were_first_seen_committed_and_not_before,
        thousands_of_rows_are_swept_at_once_and_only_ours,
        a_program_prepares_one_branch_after_another_on_one_connection,
        a_program_that_gives_up_leaves_nothing_and_goes_on,
        a_deadlocks_victim_is_told_and_its_connection_goes_on,
        what_is_prepared_is_not_undone_by_a_second_begin_prepare_or_rollback,
        a_branch_that_was_committed_cannot_be_begun_again,
        a_lost_connection_is_not_taken_for_an_answer,
        threads_vote_and_end_each_on_a_connection_of_its_own,
        a_server_without_InnoDB_or_without_syncs_is_refused,
        NULL};
    return mariadb_fixture_run("mariadb_check", tests);
}

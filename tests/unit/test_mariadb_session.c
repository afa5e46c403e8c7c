/* What the MariaDB driver makes of a server's version, errors and settings; no server is needed. */
#include <mysqld_error.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"
#include "tests/lib/suite.h"

START_TEST(versions_are_read_in_each_form_that_servers_give_them) {
    static const struct {
        const char *text;
        unsigned version;
    } all[] = {{"10.11.6-MariaDB-0+deb12u1", 101106},
               {"5.5.5-10.4.34-MariaDB-log", 100434},
               {"10.5.2-MariaDB", 100502},
               {"11.8.3-MariaDB-ubu2404", 110803},
               {"8.0.43", 0},
               {"8.0.43-0ubuntu0.24.04.1", 0},
               {"MariaDB", 0},
               {"10.x-MariaDB", 0},
               {"", 0}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_uint_eq(mariadb_version(all[i].text), all[i].version);
    }
}
END_TEST

START_TEST(servers_before_10_5_2_are_too_old) {
    ck_assert_uint_lt(mariadb_version("10.5.1-MariaDB"), MARIADB_VERSION_MIN);
    ck_assert_uint_lt(mariadb_version("5.5.5-10.4.34-MariaDB"), MARIADB_VERSION_MIN);
    ck_assert_uint_ge(mariadb_version("10.5.2-MariaDB"), MARIADB_VERSION_MIN);
    ck_assert_uint_ge(mariadb_version("11.0.1-MariaDB"), MARIADB_VERSION_MIN);
}
END_TEST

START_TEST(each_way_to_say_that_a_branch_is_rolled_back_is_gone_and_no_loss) {
    static const unsigned gone[] = {ER_XAER_NOTA, ER_XA_RBROLLBACK, ER_XA_RBTIMEOUT,
                                    ER_XA_RBDEADLOCK};
    for (unsigned i = 0; i < sizeof gone / sizeof *gone; i++) {
        ck_assert(mariadb_error_is_gone(gone[i]));
        ck_assert(!mariadb_error_is_loss(gone[i]));
    }
    static const unsigned others[] = {ER_XAER_RMFAIL, ER_XAER_DUPID, ER_XAER_RMERR,
                                      ER_LOCK_WAIT_TIMEOUT, ER_OPTION_PREVENTS_STATEMENT};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert(!mariadb_error_is_gone(others[i]));
        ck_assert(!mariadb_error_is_loss(others[i]));
    }
}
END_TEST

START_TEST(a_session_is_lost_by_the_clients_errors_a_kill_and_a_shutdown) {
    static const unsigned lost[] = {2006, 2013, ER_CONNECTION_KILLED, ER_SERVER_SHUTDOWN};
    for (unsigned i = 0; i < sizeof lost / sizeof *lost; i++) {
        ck_assert(mariadb_error_is_loss(lost[i]));
    }
}
END_TEST

START_TEST(settings_that_skip_syncs_are_named) {
    ck_assert_ptr_null(mariadb_not_durable("1", "O_DIRECT"));
    ck_assert_ptr_null(mariadb_not_durable("3", "fsync"));
    ck_assert_ptr_null(mariadb_not_durable("1", "")); /* it is gone in later versions */
    ck_assert_ptr_nonnull(strstr(mariadb_not_durable("0", "fsync"), "trx_commit"));
    ck_assert_ptr_nonnull(strstr(mariadb_not_durable("2", "fsync"), "trx_commit"));
    ck_assert_ptr_nonnull(strstr(mariadb_not_durable("1", "nosync"), "flush_method"));
    ck_assert_ptr_nonnull(strstr(mariadb_not_durable("1", "littlesync"), "flush_method"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {versions_are_read_in_each_form_that_servers_give_them,
                                  servers_before_10_5_2_are_too_old,
                                  each_way_to_say_that_a_branch_is_rolled_back_is_gone_and_no_loss,
                                  a_session_is_lost_by_the_clients_errors_a_kill_and_a_shutdown,
                                  settings_that_skip_syncs_are_named,
                                  NULL};
    return suite_run("mariadb_session", tests);
}

/* mariadb_dsn: how a user writes where a MariaDB server is. */
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/adapters/mariadb_dsn.h"
#include "tests/lib/suite.h"

static struct mariadb_dsn dsn;
static char why[512];

static int parse(const char *text) {
    why[0] = '\0';
    return mariadb_dsn_parse(text, &dsn, why, sizeof why);
}

START_TEST(an_empty_dsn_is_the_defaults) {
    ck_assert_int_eq(parse(""), 0);
    ck_assert_uint_eq(dsn.port, 3306);
    ck_assert_str_eq(dsn.host, "");
    ck_assert_uint_eq(dsn.connect_timeout_s, 5);
    ck_assert_uint_eq(dsn.timeout_s, 30);
    ck_assert_uint_eq(dsn.keep_hours, 24);
    ck_assert_int_eq(dsn.ssl, MARIADB_SSL_OFF);
}
END_TEST

START_TEST(pairs_are_read_as_libpq_reads_them) {
    ck_assert_int_eq(parse("  host=db.example port=3310\tuser=troth password= database=stock\n"
                           "socket=/run/m.sock ssl=verify ssl_ca=/ca.pem timeout=7 "),
                     0);
    ck_assert_str_eq(dsn.host, "db.example");
    ck_assert_uint_eq(dsn.port, 3310);
    ck_assert_str_eq(dsn.user, "troth");
    ck_assert_str_eq(dsn.password, "");
    ck_assert_str_eq(dsn.database, "stock");
    ck_assert_str_eq(dsn.socket, "/run/m.sock");
    ck_assert_int_eq(dsn.ssl, MARIADB_SSL_VERIFY);
    ck_assert_str_eq(dsn.ssl_ca, "/ca.pem");
    ck_assert_uint_eq(dsn.timeout_s, 7);
}
END_TEST

START_TEST(quotes_and_backslashes_let_a_value_have_anything) {
    ck_assert_int_eq(parse("password='a b=\\'c\\\\' user=x\\ y"), 0);
    ck_assert_str_eq(dsn.password, "a b='c\\");
    ck_assert_str_eq(dsn.user, "x y");
    ck_assert_int_eq(parse("password=''"), 0);
    ck_assert_str_eq(dsn.password, "");
}
END_TEST

START_TEST(an_unknown_key_is_named_with_those_that_there_are) {
    ck_assert_int_eq(parse("hostname=x"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "\"hostname\""));
    ck_assert_ptr_nonnull(strstr(why, "host, port, socket"));
}
END_TEST

START_TEST(a_number_out_of_its_range_is_refused) {
    static const char *const bad[] = {"port=0",  "port=65536", "port=-1",
                                      "port=3x", "port=",      "timeout=99999"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(parse(bad[i]), TROTH_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(why, "takes a number"));
    }
    ck_assert_int_eq(parse("ssl=maybe"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "off, on or verify"));
}
END_TEST

START_TEST(no_error_shows_a_password) {
    static const char *const bad[] = {"password='secret", "password=very secret",
                                      "password=secret\\", "password='secret'x", "password secret"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        int err = parse(bad[i]);
        ck_assert(err == TROTH_ERR_INVALID || i == 2);
        ck_assert_ptr_null(strstr(why, "secret"));
    }
    char text[MARIADB_DSN_BYTES + 32];
    snprintf(text, sizeof text, "password=%0*d", MARIADB_DSN_BYTES, 0);
    ck_assert_int_eq(parse(text), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "password in the MariaDB dsn is too long"));
    ck_assert_ptr_null(strstr(why, "000"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {an_empty_dsn_is_the_defaults,
                                  pairs_are_read_as_libpq_reads_them,
                                  quotes_and_backslashes_let_a_value_have_anything,
                                  an_unknown_key_is_named_with_those_that_there_are,
                                  a_number_out_of_its_range_is_refused,
                                  no_error_shows_a_password,
                                  NULL};
    return suite_run("mariadb_dsn", tests);
}

/* What of the PostgreSQL driver needs no server: names, dsns, statements, arrays, receipts. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/adapters/postgres_internal.h"
#include "tests/lib/suite.h"

static struct driver *make(void) {
    struct driver *driver;
    char why[DRIVER_WHY_BYTES];
    ck_assert_int_eq(postgres_driver_new(&driver, "shop", "orders", "dbname=x", why), 0);
    return driver;
}

START_TEST(a_receipt_is_the_32_bits_nearest_to_the_next_id) {
    const uint64_t epoch = UINT64_C(1) << 32;
    ck_assert_uint_eq(postgres_full_xid(700, 800), 700);
    ck_assert_uint_eq(postgres_full_xid(900, 800), 900); /* began after the next was read */
    ck_assert_uint_eq(postgres_full_xid(0xfffffff0u, 3 * epoch + 5), 3 * epoch - 16);
    ck_assert_uint_eq(postgres_full_xid(5, 3 * epoch - 16), 3 * epoch + 5);
    ck_assert_uint_eq(postgres_full_xid(0x80000001u, epoch), epoch - 0x7fffffffu);
}
END_TEST

START_TEST(names_that_are_none_and_dsns_that_cannot_be_read_are_refused) {
    struct driver *driver;
    char why[DRIVER_WHY_BYTES];
    static const char *const names[] = {"",
                                        "a:b",
                                        "a'b",
                                        "a b",
                                        "{",
                                        "\xc3\xa9",
                                        "123456789012345678901234567890123456789012345678"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_int_eq(postgres_driver_new(&driver, names[i], "orders", "", why),
                         TROTH_ERR_INVALID);
        ck_assert_int_eq(postgres_driver_new(&driver, "shop", names[i], "", why),
                         TROTH_ERR_INVALID);
    }
    ck_assert_int_eq(postgres_driver_new(&driver, "shop", "orders", NULL, why), TROTH_ERR_INVALID);
    static const char *const dsns[] = {"password=top secret", "password=top secret=x",
                                       "postgresql://u:top%secret@h/d", "password='top secret"};
    for (unsigned i = 0; i < sizeof dsns / sizeof *dsns; i++) {
        ck_assert_int_eq(postgres_driver_new(&driver, "shop", "orders", dsns[i], why),
                         TROTH_ERR_INVALID);
        ck_assert_ptr_null(strstr(why, "secret"));
    }
}
END_TEST

START_TEST(both_forms_of_a_dsn_do_and_the_longest_names) {
    static const char *const dsns[] = {"", "host=/tmp password='a b'", "postgresql://u:p@h:1/d"};
    static const char longest[] = "A23456789_123456789.123456789-12345678901234567";
    struct driver *driver;
    char why[DRIVER_WHY_BYTES];
    for (unsigned i = 0; i < sizeof dsns / sizeof *dsns; i++) {
        ck_assert_int_eq(postgres_driver_new(&driver, longest, longest, dsns[i], why), 0);
        ck_assert_str_eq(driver->participant, longest);
        ck_assert_str_eq(driver->ops->kind, "postgres");
        driver->ops->free(driver);
    }
}
END_TEST

START_TEST(a_client_begins_and_prepares_under_the_global_id) {
    struct driver *driver = make();
    char begin[DRIVER_WHY_BYTES];
    char prepare[DRIVER_WHY_BYTES];
    driver->ops->statements(driver, troth_txid_make(1, 2, 3, 4), begin, prepare);
    ck_assert_str_eq(begin, "BEGIN\n"
                            "INSERT INTO troth.branches (gid) VALUES "
                            "('troth:shop:00010002000000030000000000000004:orders')");
    ck_assert_str_eq(prepare, "PREPARE TRANSACTION "
                              "'troth:shop:00010002000000030000000000000004:orders'");
    /* Where the table can't be had. */
    atomic_store(&((struct postgres_driver *)driver)->has_table, false);
    driver->ops->statements(driver, troth_txid_make(1, 2, 3, 4), begin, prepare);
    ck_assert_str_eq(begin, "BEGIN");
    driver->ops->free(driver);
}
END_TEST

START_TEST(arrays_hold_those_asked_for) {
    struct driver *driver = make();
    struct driver_branch branches[3] = {{.receipt = UINT64_MAX}, {.receipt = 7}, {.receipt = 0}};
    for (unsigned i = 0; i < 3; i++) {
        branches[i].txid = troth_txid_make(1, 1, 1, i + 1);
    }
    const bool which[2][3] = {{false, false, false}, {true, false, true}};
    static const char *const gids[2] = {"{}",
                                        "{troth:shop:00010001000000010000000000000001:orders,"
                                        "troth:shop:00010001000000010000000000000003:orders}"};
    for (unsigned i = 0; i < 2; i++) {
        char *text = postgres_gid_array(driver, branches, 3, which[i]);
        ck_assert_str_eq(text, gids[i]);
        free(text);
    }
    char *text = postgres_receipt_array(branches, 3, NULL);
    ck_assert_str_eq(text, "{0,7,0}"); /* beyond what an id can be: none */
    free(text);
    driver->ops->free(driver);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_receipt_is_the_32_bits_nearest_to_the_next_id,
        names_that_are_none_and_dsns_that_cannot_be_read_are_refused,
        both_forms_of_a_dsn_do_and_the_longest_names,
        a_client_begins_and_prepares_under_the_global_id,
        arrays_hold_those_asked_for,
        NULL,
    };
    return suite_run("postgres_sql", tests);
}

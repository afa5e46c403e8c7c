/* bank_check: made-up shard files; whatever is wrong with the money must be found. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/bank_check.h"
#include "tests/lib/suite.h"

/* Two shards, accounts 0 and 1 on the first, 2 and 3 on the second, and one transfer of 25 from 0
 * to 2. */
#define TX1 "00000001000000010000000000000001"
#define TX2 "00000001000000010000000000000002"
#define FIRST                                                                                      \
    "INSERT INTO kv VALUES('account-0000','975'),('account-0001','1000'),"                         \
    "('ledger-" TX1 "-out.0','-25 account-0000')"
#define SECOND                                                                                     \
    "INSERT INTO kv VALUES('account-0002','1025'),('account-0003','1000'),"                        \
    "('ledger-" TX1 "-in.3','25 account-0002')"

static char folder[64];
static char paths[2][96];
static struct bank_report report;
static char why[BANK_WHY_BYTES];

static void run_sql(int shard, const char *sql) {
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(paths[shard], &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void make_shards(void) {
    snprintf(folder, sizeof folder, "/tmp/troth-test-bank-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/shard-%d.db", folder, i + 1);
        run_sql(i, "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB)");
    }
    run_sql(0, FIRST);
    run_sql(1, SECOND);
}

static void remove_shards(void) {
    unlink(paths[0]);
    unlink(paths[1]);
    ck_assert_int_eq(rmdir(folder), 0);
}

static bool good_with(const char *told_text, bool committed) {
    struct bank_told told = {.committed = committed};
    const char *const databases[] = {paths[0], paths[1]};
    if (told_text != NULL) {
        ck_assert_int_eq(troth_txid_parse(told_text, &told.txid), 0);
    }
    ck_assert_int_eq(bank_check(databases, 2, 4, &told, told_text == NULL ? 0 : 1, &report, why),
                     0);
    remove_shards();
    return bank_report_good(&report);
}

static bool good(void) {
    return good_with(NULL, false);
}

START_TEST(a_whole_transfer_is_good) {
    make_shards();
    ck_assert_msg(good(), "%s", report.first);
    ck_assert_uint_eq(report.transfers, 1);
    ck_assert_uint_eq(report.accounts, 4);
    ck_assert_int_eq(report.money_found, 4000);
    ck_assert_int_eq(report.money_expected, 4000);
}
END_TEST

START_TEST(S5_a_transfer_done_by_half_is_found) {
    make_shards();
    run_sql(1, "UPDATE kv SET value='1000' WHERE key='account-0002'");
    run_sql(1, "DELETE FROM kv WHERE key LIKE 'ledger%'");
    ck_assert(!good());
    ck_assert_uint_eq(report.half_done, 1);
    ck_assert_int_eq(report.money_found, 3975);
}
END_TEST

START_TEST(missing_money_is_found_though_all_entries_are_there) {
    make_shards();
    run_sql(1, "UPDATE kv SET value='1024' WHERE key='account-0002'");
    ck_assert(!good());
    ck_assert_uint_eq(report.wrong_balances, 1);
    ck_assert_uint_eq(report.half_done, 0);
}
END_TEST

START_TEST(money_on_the_wrong_account_is_found_though_the_sum_is_right) {
    make_shards();
    run_sql(1, "UPDATE kv SET value='1000' WHERE key='account-0002'");
    run_sql(1, "UPDATE kv SET value='1025' WHERE key='account-0003'");
    ck_assert(!good());
    ck_assert_int_eq(report.money_found, report.money_expected);
    ck_assert_uint_eq(report.wrong_balances, 2);
}
END_TEST

START_TEST(a_missing_entry_is_found_though_the_money_is_right) {
    make_shards();
    run_sql(1, "DELETE FROM kv WHERE key LIKE 'ledger%'");
    ck_assert(!good());
    ck_assert_uint_eq(report.half_done, 1);
    ck_assert_int_eq(report.money_found, report.money_expected);
}
END_TEST

START_TEST(entries_of_different_amounts_are_no_pair) {
    make_shards();
    run_sql(1, "UPDATE kv SET value='24 account-0002' WHERE key LIKE 'ledger%'");
    ck_assert(!good());
    ck_assert_uint_eq(report.half_done, 1);
}
END_TEST

START_TEST(both_entries_on_one_shard_are_no_pair) {
    make_shards();
    run_sql(1, "DELETE FROM kv WHERE key LIKE 'ledger%'");
    run_sql(0, "INSERT INTO kv VALUES('ledger-" TX1 "-in.0','25 account-0002')");
    ck_assert(!good());
    ck_assert_uint_eq(report.half_done, 1);
}
END_TEST

START_TEST(an_account_that_is_gone_is_found) {
    make_shards();
    run_sql(0, "DELETE FROM kv WHERE key='account-0001'");
    ck_assert(!good());
    ck_assert_uint_eq(report.accounts, 3);
}
END_TEST

START_TEST(an_account_on_two_shards_is_found) {
    make_shards();
    run_sql(1, "INSERT INTO kv VALUES('account-0001','0')");
    ck_assert(!good());
}
END_TEST

START_TEST(garbage_is_found) {
    make_shards();
    run_sql(0, "INSERT INTO kv VALUES('ledger-nonsense','x')");
    ck_assert(!good());
    ck_assert_uint_eq(report.half_done, 1);
}
END_TEST

START_TEST(S4_a_transfer_that_was_told_committed_and_is_not_there_is_found) {
    make_shards();
    ck_assert(!good_with(TX2, true));
    ck_assert_uint_eq(report.lost, 1);
}
END_TEST

START_TEST(S1_a_transfer_that_was_told_aborted_and_is_there_is_found) {
    make_shards();
    ck_assert(!good_with(TX1, false));
    ck_assert_uint_eq(report.resurrected, 1);
}
END_TEST

START_TEST(what_was_told_truly_is_good) {
    make_shards();
    ck_assert(good_with(TX1, true));
    make_shards();
    ck_assert(good_with(TX2, false));
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error_and_not_a_finding) {
    make_shards();
    unlink(paths[1]);
    const char *const databases[] = {paths[0], paths[1]};
    ck_assert_int_eq(bank_check(databases, 2, 4, NULL, 0, &report, why), TROTH_ERR_STORAGE);
    ck_assert_ptr_nonnull(strstr(why, paths[1]));
    remove_shards();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_whole_transfer_is_good,
        S5_a_transfer_done_by_half_is_found,
        missing_money_is_found_though_all_entries_are_there,
        money_on_the_wrong_account_is_found_though_the_sum_is_right,
        a_missing_entry_is_found_though_the_money_is_right,
        entries_of_different_amounts_are_no_pair,
        both_entries_on_one_shard_are_no_pair,
        an_account_that_is_gone_is_found,
        an_account_on_two_shards_is_found,
        garbage_is_found,
        S4_a_transfer_that_was_told_committed_and_is_not_there_is_found,
        S1_a_transfer_that_was_told_aborted_and_is_there_is_found,
        what_was_told_truly_is_good,
        a_file_that_is_not_there_is_an_error_and_not_a_finding,
        NULL,
    };
    return suite_run("bank_check", tests);
}

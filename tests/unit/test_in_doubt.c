/* in_doubt: what the shards' files say is in doubt, of one node's transactions or of all. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/troth_err.h"
#include "harness/folder.h"
#include "harness/in_doubt.h"
#include "tests/lib/suite.h"

#define OF_NODE_1 "00000001000000010000000000000007"
#define OF_NODE_2 "00000002000000010000000000000003"

static char root[256];
static char paths[2][300];
static const char *const databases[] = {paths[0], paths[1]};
static struct in_doubt_list list;

static void run_sql(int shard, const char *sql) {
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(paths[shard], &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void make_shards(void) {
    ck_assert_int_eq(folder_make_temporary(root, sizeof root), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d.db", root, i);
        run_sql(i, "PRAGMA journal_mode=WAL; CREATE TABLE troth_in_doubt(txid TEXT)");
    }
}

static void close_all(struct in_doubt *in_doubt) {
    in_doubt_close(in_doubt);
    in_doubt_list_release(&list);
    folder_remove(root);
}

START_TEST(branches_are_found_in_every_file_and_by_node) {
    struct in_doubt *in_doubt = NULL;
    make_shards();
    ck_assert_int_eq(in_doubt_open(&in_doubt, databases, 2), 0);
    run_sql(0, "INSERT INTO troth_in_doubt VALUES('" OF_NODE_2 "'),('" OF_NODE_1 "')");
    run_sql(1, "INSERT INTO troth_in_doubt VALUES('" OF_NODE_1 "')");
    ck_assert_int_eq(in_doubt_read(in_doubt, 0, &list), 0);
    ck_assert_uint_eq(list.n, 3);
    ck_assert_int_eq(in_doubt_read(in_doubt, 2, &list), 0);
    ck_assert_uint_eq(list.n, 1);
    ck_assert_uint_eq(troth_txid_node(list.items[0].txid), 2);
    ck_assert_int_eq(in_doubt_read(in_doubt, 3, &list), 0);
    ck_assert_uint_eq(list.n, 0);
    close_all(in_doubt);
}
END_TEST

START_TEST(a_branch_is_the_same_only_in_the_same_file) {
    struct in_doubt *in_doubt = NULL;
    make_shards();
    run_sql(1, "INSERT INTO troth_in_doubt VALUES('" OF_NODE_1 "')");
    ck_assert_int_eq(in_doubt_open(&in_doubt, databases, 2), 0);
    ck_assert_int_eq(in_doubt_read(in_doubt, 0, &list), 0);
    struct in_doubt_branch branch = list.items[0];
    ck_assert(in_doubt_has(&list, &branch));
    branch.database = 0;
    ck_assert(!in_doubt_has(&list, &branch));
    close_all(in_doubt);
}
END_TEST

START_TEST(each_read_sees_what_was_written_since) {
    struct in_doubt *in_doubt = NULL;
    make_shards();
    ck_assert_int_eq(in_doubt_open(&in_doubt, databases, 2), 0);
    for (int i = 0; i < 3; i++) {
        run_sql(0, "INSERT INTO troth_in_doubt VALUES('" OF_NODE_1 "')");
        ck_assert_int_eq(in_doubt_read(in_doubt, 0, &list), 0);
        ck_assert_uint_eq(list.n, 1);
        run_sql(0, "DELETE FROM troth_in_doubt");
        ck_assert_int_eq(in_doubt_read(in_doubt, 0, &list), 0);
        ck_assert_uint_eq(list.n, 0);
    }
    close_all(in_doubt);
}
END_TEST

START_TEST(a_file_that_is_no_shards_is_refused) {
    struct in_doubt *in_doubt = NULL;
    make_shards();
    run_sql(1, "DROP TABLE troth_in_doubt");
    ck_assert_int_eq(in_doubt_open(&in_doubt, databases, 2), TROTH_ERR_STORAGE);
    close_all(NULL);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        branches_are_found_in_every_file_and_by_node,
        a_branch_is_the_same_only_in_the_same_file,
        each_read_sees_what_was_written_since,
        a_file_that_is_no_shards_is_refused,
        NULL,
    };
    return suite_run("in_doubt", tests);
}

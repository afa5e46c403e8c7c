/* db: what was committed is there; a file that is not ours is refused and not touched. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "shell/db.h"
#include "tests/lib/suite.h"

#define OURS 0x54524f54

static char folder[] = "/tmp/troth-test-db-XXXXXX";
static char path[64];

static void make_folder(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.db", folder);
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static int64_t count(struct db *db) {
    sqlite3_stmt *stmt = db_prepare(db, "SELECT count(*) FROM t");
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

START_TEST(S4_a_committed_batch_is_there_and_an_open_one_is_not) {
    make_folder();
    struct db db;
    char why[DB_WHY_BYTES];
    ck_assert_int_eq(db_open(&db, path, OURS, 1, "CREATE TABLE t(x)", why), 0);
    ck_assert_int_eq(db_begin(&db), 0);
    ck_assert_int_eq(db_exec(&db, "INSERT INTO t VALUES(1)"), 0);
    ck_assert_int_eq(db_commit(&db), 0);
    ck_assert_int_eq(db_begin(&db), 0);
    ck_assert_int_eq(db_exec(&db, "INSERT INTO t VALUES(2)"), 0);
    db_close(&db);
    ck_assert_int_eq(db_open(&db, path, OURS, 1, "CREATE TABLE t(x)", why), 0);
    ck_assert_int_eq(count(&db), 1);
    db_close(&db);
    remove_folder();
}
END_TEST

START_TEST(a_database_in_use_is_refused) {
    make_folder();
    struct db first, second;
    char why[DB_WHY_BYTES];
    ck_assert_int_eq(db_open(&first, path, OURS, 1, "CREATE TABLE t(x)", why), 0);
    ck_assert_int_eq(db_open(&second, path, OURS, 1, "CREATE TABLE t(x)", why), TROTH_ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(why, "in use"));
    db_close(&first);
    ck_assert_int_eq(db_open(&second, path, OURS, 1, "CREATE TABLE t(x)", why), 0);
    db_close(&second);
    remove_folder();
}
END_TEST

START_TEST(a_foreign_newer_or_damaged_database_is_refused) {
    make_folder();
    struct db db;
    char why[DB_WHY_BYTES];
    ck_assert_int_eq(db_open(&db, path, OURS, 2, "CREATE TABLE t(x)", why), 0);
    db_close(&db);
    ck_assert_int_eq(db_open(&db, path, OURS + 1, 2, "", why), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "another program"));
    ck_assert_int_eq(db_open(&db, path, OURS, 1, "", why), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "newer version"));

    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("no database ", file);
    }
    fclose(file);
    ck_assert_int_eq(db_open(&db, path, OURS, 2, "", why), TROTH_ERR_CORRUPT);
    remove_folder();
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named) {
    struct db db;
    char why[DB_WHY_BYTES];
    ck_assert_int_eq(db_open(&db, "/nonexistent/a.db", OURS, 1, "", why), TROTH_ERR_STORAGE);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/a.db"));
}
END_TEST

int main(void) {
    return suite_run("db", (const TTest *[]){S4_a_committed_batch_is_there_and_an_open_one_is_not,
                                             a_database_in_use_is_refused,
                                             a_foreign_newer_or_damaged_database_is_refused,
                                             a_folder_that_is_not_there_is_named, NULL});
}

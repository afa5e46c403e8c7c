/* sqlite_work: each allocation of ours fails in turn, and the work is as if it had not been tried.
 * (SQLite's own are SQLite's to test.) */
#include <check.h>
#include <sqlite3.h>

#include "participant/adapters/sqlite_store.h"
#include "shell/db.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"

static int add(sqlite3 *db, void *arg) {
    (void)arg;
    return sqlite3_exec(db, "UPDATE account SET money = money + 1", NULL, NULL, NULL);
}

/* Until it needs no more than n allocations. */
static int try_all(sqlite3 *db, struct sqlite_work **work, struct sqlite_changes *changes) {
    char why[SQLITE_WHY_BYTES];
    int err = *work == NULL ? sqlite_work_new(work, db, "own", false, true) : 0;
    return err != 0 ? err : sqlite_work_run(*work, SQLITE_MODE_WORK, changes, add, NULL, why);
}

static sqlite3 *open_db(void) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "CREATE TABLE account(id INTEGER PRIMARY KEY, money INT);"
                                  "CREATE TABLE other(name TEXT PRIMARY KEY);"
                                  "INSERT INTO account VALUES(1, 0); BEGIN",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite_store_make(db), 0);
    return db;
}

START_TEST(an_allocation_that_fails_leaves_everything_as_it_was) {
    sqlite3 *db = open_db();
    unsigned failures = 0;
    struct sqlite_work *work = NULL;
    struct sqlite_changes changes = {NULL, 0};
    for (unsigned n = 0;; n++) {
        sqlite_work_free(work); /* each time from the start */
        work = NULL;
        alloc_fail_after(n);
        int err = try_all(db, &work, &changes);
        if (!alloc_failed()) {
            ck_assert_int_eq(err, 0);
            break;
        }
        failures++;
        ck_assert_int_eq(err, TROTH_ERR_NO_MEMORY);
        ck_assert_int_eq(changes.n, 0);
        ck_assert_int_eq(try_all(db, &work, &changes), 0); /* memory is there again */
        sqlite_changes_release(&changes);
    }
    ck_assert_uint_ge(failures, 4);
    sqlite_changes_release(&changes);
    sqlite_work_free(work);
    sqlite3_close(db);
}
END_TEST

/* What comes behind the work in the batch may fail so that SQLite undoes it (shell/db.h). */
START_TEST(S5_the_batch_is_watched_by_its_owner_again_when_the_work_is_done) {
    struct db owner = {.in_batch = true};
    struct sqlite_work *work = NULL;
    struct sqlite_changes changes = {NULL, 0};
    sqlite3 *db = open_db();
    sqlite3_rollback_hook(db, db_on_rollback, &owner);
    ck_assert_int_eq(try_all(db, &work, &changes), 0);
    ck_assert_ptr_eq(sqlite3_rollback_hook(db, NULL, NULL), &owner);
    sqlite_changes_release(&changes);
    sqlite_work_free(work);
    sqlite3_close(db);
}
END_TEST

int main(void) {
    return suite_run(
        "sqlite work without memory",
        (const TTest *[]){an_allocation_that_fails_leaves_everything_as_it_was,
                          S5_the_batch_is_watched_by_its_owner_again_when_the_work_is_done, NULL});
}

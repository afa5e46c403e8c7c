/* sqlite_work, sqlite_rules, sqlite_guard: what a branch's work leaves behind, and what it is not
 * allowed to do since it could not be recorded (S5). On a bare connection, without a participant.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "participant/adapters/sqlite_store.h"
#include "tests/lib/suite.h"

struct base {
    char folder[64];
    char path[96];
    sqlite3 *db;
    struct sqlite_work *work;
    struct sqlite_changes changes;
    char why[SQLITE_WHY_BYTES];
};

static void sql(sqlite3 *db, const char *text) {
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, &message) == SQLITE_OK, "%s: %s", text,
                  message);
}

static int64_t number(sqlite3 *db, const char *text) {
    sqlite3_stmt *stmt;
    ck_assert_msg(sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", text,
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t found = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return found;
}

/* Within a transaction, as the loop is, with these tables. */
static void begin_with(struct base *base, const char *schema, bool foreign_keys) {
    *base = (struct base){0};
    strcpy(base->folder, "/tmp/troth-test-sqlite-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base->folder));
    snprintf(base->path, sizeof base->path, "%s/own.db", base->folder);
    ck_assert_int_eq(sqlite3_open(base->path, &base->db), SQLITE_OK);
    sql(base->db, "PRAGMA journal_mode=WAL");
    sql(base->db, schema);
    sql(base->db, "BEGIN IMMEDIATE");
    ck_assert_int_eq(sqlite_store_make(base->db), 0);
    ck_assert_int_eq(sqlite_work_new(&base->work, base->db, "own", foreign_keys, true), 0);
    ck_assert_msg(sqlite_work_refresh(base->work, base->why) == 0, "%s", base->why);
}

static void begin(struct base *base) {
    begin_with(base,
               "CREATE TABLE account(id INTEGER PRIMARY KEY, name TEXT UNIQUE, money INT);"
               "INSERT INTO account VALUES(1, 'ann', 100), (2, 'bob', 100);",
               false);
}

static void finish(struct base *base) {
    char command[128];
    sqlite_changes_release(&base->changes);
    sqlite_work_free(base->work);
    sqlite3_close(base->db);
    snprintf(command, sizeof command, "rm -rf %s", base->folder);
    ck_assert_int_eq(system(command), 0);
}

static int execute(sqlite3 *db, void *arg) {
    return sqlite3_exec(db, arg, NULL, NULL, NULL);
}

static int run_as(struct base *base, enum sqlite_mode mode, const char *text) {
    return sqlite_work_run(base->work, mode, &base->changes, execute, (void *)(uintptr_t)text,
                           base->why);
}

static int run(struct base *base, const char *text) {
    return run_as(base, SQLITE_MODE_WORK, text);
}

static void runs(struct base *base, const char *text) {
    ck_assert_msg(run(base, text) == 0, "%s: %s", text, base->why);
}

/* It is refused, with these words, and nothing of it is recorded. */
static void refuses(struct base *base, const char *text, const char *words) {
    int n = base->changes.n;
    ck_assert_msg(run(base, text) == TROTH_ERR_INVALID, "%s: %s", text, base->why);
    ck_assert_msg(strstr(base->why, words) != NULL, "%s: %s", text, base->why);
    ck_assert_int_eq(base->changes.n, n);
}

static void applies(struct base *base) {
    ck_assert_msg(sqlite_work_apply(base->work, &base->changes, base->why) == 0, "%s", base->why);
    sqlite_changes_release(&base->changes);
}

/* ---- What it leaves behind ------------------------------------------------------------------- */

START_TEST(S5_work_leaves_nothing_in_the_database_until_it_is_applied) {
    struct base base;
    begin(&base);
    runs(&base, "UPDATE account SET money = 70 WHERE id = 1; DELETE FROM account WHERE id = 2");
    ck_assert_int_eq(number(base.db, "SELECT sum(money) FROM account"), 200);
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT sum(money) FROM account"), 70);
    finish(&base);
}
END_TEST

static int expect_50(sqlite3 *db, void *arg) {
    (void)arg;
    return number(db, "SELECT money FROM account WHERE id = 1") == 50 ? 0 : 7;
}

START_TEST(later_work_of_a_branch_sees_its_earlier_work) {
    struct base base;
    begin(&base);
    runs(&base, "UPDATE account SET money = money - 25 WHERE id = 1");
    runs(&base, "UPDATE account SET money = money - 25 WHERE id = 1");
    ck_assert_int_eq(
        sqlite_work_run(base.work, SQLITE_MODE_READ, &base.changes, expect_50, NULL, base.why), 0);
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT money FROM account WHERE id = 1"), 50);
    finish(&base);
}
END_TEST

START_TEST(what_a_failed_function_did_is_taken_back_and_the_rest_stays) {
    struct base base;
    begin(&base);
    runs(&base, "UPDATE account SET money = 70 WHERE id = 1");
    ck_assert_int_eq(run(&base, "UPDATE account SET money = 0; SELECT nonsense"), SQLITE_ERROR);
    ck_assert_msg(strstr(base.why, "nonsense") != NULL, "%s", base.why);
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT sum(money) FROM account"), 170);
    finish(&base);
}
END_TEST

START_TEST(changes_that_undo_each_other_are_none) {
    struct base base;
    begin(&base);
    runs(&base, "UPDATE account SET money = 1 WHERE id = 1; INSERT INTO account VALUES(3, 'c', 1)");
    runs(&base, "UPDATE account SET money = 100 WHERE id = 1; DELETE FROM account WHERE id = 3");
    ck_assert_int_eq(base.changes.n, 0);
    finish(&base);
}
END_TEST

START_TEST(S5_every_kind_of_change_is_recorded) {
    struct base base;
    begin_with(&base,
               "CREATE TABLE t(id INTEGER PRIMARY KEY, u INT UNIQUE, v);"
               "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
               "CREATE TABLE two(a INT NOT NULL, b TEXT NOT NULL, v, PRIMARY KEY(b, a));"
               "CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
               "CREATE TABLE st(id TEXT NOT NULL PRIMARY KEY, r REAL, b BLOB) STRICT;"
               "CREATE VIEW vi AS SELECT k, v FROM w;"
               "CREATE TRIGGER vi_insert INSTEAD OF INSERT ON vi BEGIN"
               " INSERT INTO w VALUES(new.k, new.v); END;"
               "INSERT INTO t VALUES(1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c');",
               false);
    runs(&base, "DELETE FROM t"); /* no truncation */
    runs(&base, "INSERT OR REPLACE INTO t VALUES(4, 4, 'd'), (5, 4, 'e')");
    runs(&base, "INSERT INTO t VALUES(5, 6, 'f') ON CONFLICT(id) DO UPDATE SET v = 'g'");
    runs(&base, "INSERT INTO vi VALUES('x', x'00ff'); UPDATE w SET k = 'y'");
    runs(&base, "INSERT INTO two VALUES(1, '', NULL); UPDATE two SET a = 2, v = 1.5");
    runs(&base, "INSERT INTO au(v) VALUES(1), (2); DELETE FROM au WHERE id = 1");
    runs(&base, "INSERT INTO st VALUES('é', 2, zeroblob(3)) RETURNING id");
    runs(&base, "SAVEPOINT mine; DELETE FROM st; ROLLBACK TO mine; RELEASE mine");
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM t"), 3);
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM t WHERE (id, u, v) = (5, 4, 'g')"), 1);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM t"), 1);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM w WHERE (k, v) = ('y', x'00ff')"), 1);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM two WHERE a = 2 AND v = 1.5"), 1);
    ck_assert_int_eq(number(base.db, "SELECT seq FROM sqlite_sequence WHERE name = 'au'"), 2);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM st WHERE r = 2.0 AND length(b) = 3"), 1);
    finish(&base);
}
END_TEST

START_TEST(a_trigger_works_once) {
    struct base base;
    begin_with(&base,
               "CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
               "CREATE TABLE log(id INTEGER PRIMARY KEY, what);"
               "CREATE TRIGGER t_log AFTER UPDATE ON t BEGIN"
               " INSERT INTO log(what) VALUES(new.v); END;"
               "INSERT INTO t VALUES(1, 0);",
               false);
    runs(&base, "UPDATE t SET v = 1");
    runs(&base, "UPDATE t SET v = 2");
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM log"), 2);
    sql(base.db, "UPDATE t SET v = 3"); /* they are on again */
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM log"), 3);
    finish(&base);
}
END_TEST

#define FAMILY                                                                                     \
    "CREATE TABLE parent(id INTEGER PRIMARY KEY);"                                                 \
    "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT"                                        \
    " REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);"                         \
    "INSERT INTO parent VALUES(1), (2); INSERT INTO child VALUES(1, 1), (2, 1), (3, 2);"

START_TEST(foreign_keys_act_once_and_are_checked_at_the_end_of_the_work) {
    struct base base;
    begin_with(&base, FAMILY, true);
    refuses(&base, "INSERT INTO child VALUES(9, 9)", "foreign key");
    runs(&base, "INSERT INTO child VALUES(9, 9); INSERT INTO parent VALUES(9)");
    applies(&base);
    runs(&base, "DELETE FROM parent WHERE id IN (1, 9)"); /* then its children */
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM child"), 4);
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM child"), 1);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    ck_assert_int_eq(run_as(&base, SQLITE_MODE_LOCAL, "INSERT INTO child VALUES(10, 10)"),
                     TROTH_ERR_INVALID);
    sql(base.db, "COMMIT");
    finish(&base);
}
END_TEST

/* ---- What is refused ------------------------------------------------------------------------- */

START_TEST(S5_what_can_not_be_recorded_is_refused_by_name) {
    struct base base;
    begin_with(&base,
               "CREATE TABLE account(id INTEGER PRIMARY KEY, money INT);"
               "CREATE TABLE nokey(a); INSERT INTO nokey VALUES(1);"
               "CREATE TABLE generated(id INTEGER PRIMARY KEY, a INT, b AS (a * 2));"
               "CREATE VIRTUAL TABLE words USING fts5(word);"
               "CREATE TABLE quiet(id INTEGER PRIMARY KEY); CREATE VIEW x AS SELECT * FROM gone;"
               "CREATE TRIGGER quiet_log AFTER INSERT ON quiet BEGIN"
               " INSERT INTO nokey VALUES(new.id); END;"
               "CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT);",
               false);
    sql(base.db, "CREATE TEMP TABLE passing(id INTEGER PRIMARY KEY)");
    runs(&base, "INSERT INTO account VALUES(1, 1)");
    refuses(&base, "INSERT INTO nokey VALUES(2)", "nokey can't be written");
    refuses(&base, "DELETE FROM nokey", "no PRIMARY KEY");
    refuses(&base, "INSERT INTO quiet VALUES(1)", "nokey");
    refuses(&base, "INSERT INTO generated(a) VALUES(1)", "generated columns");
    refuses(&base, "INSERT INTO words VALUES('word')", "virtual table");
    refuses(&base, "DELETE FROM words_content", "virtual table");
    refuses(&base, "INSERT INTO passing VALUES(1)", "passing is in temp");
    refuses(&base, "UPDATE sqlite_sequence SET seq = 9", "sqlite_sequence");
    refuses(&base, "DELETE FROM troth_sqlite_work", "Troth's");
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM nokey"), 1);
    applies(&base);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM account"), 1);
    finish(&base);
}
END_TEST

START_TEST(S5_a_null_in_a_key_is_refused_when_it_is_there_before_or_after) {
    struct base base;
    begin_with(&base,
               "CREATE TABLE k(name TEXT PRIMARY KEY, v); INSERT INTO k VALUES('a', 1);"
               "CREATE TABLE odd(id INTEGER PRIMARY KEY DESC, v);",
               false);
    runs(&base, "UPDATE k SET v = 2");
    refuses(&base, "INSERT INTO k VALUES(NULL, 1)", "k has a row with a NULL");
    refuses(&base, "INSERT INTO odd(v) VALUES(1)", "odd has a row with a NULL");
    sqlite_changes_release(&base.changes);
    sql(base.db, "INSERT INTO k VALUES(NULL, 3)");
    refuses(&base, "DELETE FROM k WHERE name IS NULL", "k has a row with a NULL");
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM k"), 2);
    finish(&base);
}
END_TEST

START_TEST(a_transaction_and_the_schema_are_not_the_functions_to_change) {
    struct base base;
    begin(&base);
    static const char *const statements[][2] = {
        {"COMMIT", "COMMIT"},
        {"ROLLBACK", "ROLLBACK"},
        {"RELEASE troth_run", "troth_run"},
        {"ROLLBACK TO troth_run", "troth_run"},
        {"ATTACH ':memory:' AS more", "attached"},
        {"CREATE TABLE more(id INTEGER PRIMARY KEY)", "troth_sqlite_write"},
        {"CREATE INDEX more ON account(money)", "troth_sqlite_write"},
        {"DROP TABLE account", "troth_sqlite_write"},
        {"ALTER TABLE account ADD COLUMN more", "troth_sqlite_write"},
        {"ANALYZE", "troth_sqlite_write"},
        {"PRAGMA user_version = 3", "user_version"},
        {"PRAGMA wal_checkpoint", "wal_checkpoint"},
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        refuses(&base, statements[i][0], statements[i][1]);
    }
    ck_assert_int_eq(run_as(&base, SQLITE_MODE_READ, "DELETE FROM account"), TROTH_ERR_INVALID);
    runs(&base, "PRAGMA user_version; PRAGMA table_info(account)");
    ck_assert(!sqlite3_get_autocommit(base.db));
    finish(&base);
}
END_TEST

static int ignore_what_is_refused(sqlite3 *db, void *arg) {
    (void)arg;
    (void)sqlite3_exec(db, "DROP TABLE account", NULL, NULL, NULL);
    return sqlite3_exec(db, "UPDATE account SET money = 0", NULL, NULL, NULL);
}

START_TEST(what_is_refused_fails_the_work_also_if_the_function_goes_on) {
    struct base base;
    begin(&base);
    ck_assert_int_eq(sqlite_work_run(base.work, SQLITE_MODE_WORK, &base.changes,
                                     ignore_what_is_refused, NULL, base.why),
                     TROTH_ERR_INVALID);
    ck_assert_int_eq(base.changes.n, 0);
    finish(&base);
}
END_TEST

struct kept {
    sqlite3_stmt *stmt;
};

static int use_kept(sqlite3 *db, void *arg) {
    struct kept *kept = arg;
    if (kept->stmt == NULL) {
        ck_assert_int_eq(
            sqlite3_prepare_v2(db, "DELETE FROM nokey RETURNING a", -1, &kept->stmt, NULL),
            SQLITE_OK);
    }
    return sqlite3_step(kept->stmt) == SQLITE_ROW ? 0 : 7; /* and is not reset */
}

START_TEST(S5_a_statement_that_was_compiled_before_is_looked_at_again) {
    struct base base;
    struct kept kept = {NULL};
    begin_with(&base, "CREATE TABLE nokey(a); INSERT INTO nokey VALUES(1), (2)", false);
    ck_assert_int_eq(sqlite_work_run(base.work, SQLITE_MODE_LOCAL, NULL, use_kept, &kept, base.why),
                     0);
    ck_assert(!sqlite3_stmt_busy(kept.stmt));
    sql(base.db, "INSERT INTO nokey VALUES(3)");
    ck_assert_int_eq(
        sqlite_work_run(base.work, SQLITE_MODE_WORK, &base.changes, use_kept, &kept, base.why),
        TROTH_ERR_INVALID);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM nokey"), 1);
    sqlite3_finalize(kept.stmt);
    finish(&base);
}
END_TEST

START_TEST(changes_that_do_not_fit_in_another_order_are_refused_before_the_vote) {
    struct base base;
    begin(&base);
    refuses(&base,
            "UPDATE account SET name = 'x' WHERE id = 1; UPDATE account SET name = 'ann' WHERE "
            "id = 2; UPDATE account SET name = 'bob' WHERE id = 1",
            "table account");
    runs(&base, "DELETE FROM account WHERE id = 1; INSERT INTO account VALUES(3, 'ann', 1)");
    applies(&base);
    finish(&base);
}
END_TEST

static int go_on_after_a_rollback(sqlite3 *db, void *arg) {
    (void)sqlite3_exec(db, arg, NULL, NULL, NULL);
    return sqlite3_exec(db, "DELETE FROM account", NULL, NULL, NULL); /* and has no transaction */
}

START_TEST(S4_a_rollback_of_the_whole_transaction_ends_the_process_before_more_is_done) {
    static const char *const statements[] = {
        "INSERT OR ROLLBACK INTO account VALUES(1, 'x', 0)",
        "UPDATE account SET id = 77 WHERE id = 2",
    };
    for (size_t i = 0; i < 2; i++) {
        struct base base = {0};
        int fds[2];
        int status;
        ck_assert_int_eq(pipe(fds), 0);
        pid_t child = fork(); /* before the database is open: it must not be shared */
        if (child == 0) {
            begin_with(&base,
                       "CREATE TABLE account(id INTEGER PRIMARY KEY, name TEXT, money INT);"
                       "CREATE TRIGGER no AFTER UPDATE ON account BEGIN"
                       " SELECT RAISE(ROLLBACK, 'no'); END;"
                       "INSERT INTO account VALUES(1, 'ann', 100), (2, 'bob', 100);",
                       false);
            ck_assert_int_eq(write(fds[1], &base, sizeof base), sizeof base);
            (void)sqlite_work_run(base.work, SQLITE_MODE_WORK, &base.changes,
                                  go_on_after_a_rollback, (void *)(uintptr_t)statements[i],
                                  base.why);
            _exit(77);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
        ck_assert_int_eq(read(fds[0], &base, sizeof base), sizeof base);
        close(fds[0]);
        close(fds[1]);
        base.work = NULL; /* the child's */
        ck_assert_int_eq(sqlite3_open(base.path, &base.db), SQLITE_OK);
        ck_assert_int_eq(number(base.db, "SELECT count(*) FROM account"), 2);
        finish(&base);
    }
}
END_TEST

/* ---- When it does not fit -------------------------------------------------------------------- */

static void conflicts(const char *meanwhile, const char *words) {
    struct base base;
    begin(&base);
    runs(&base, "UPDATE account SET money = 70 WHERE id = 1; DELETE FROM account WHERE id = 2;"
                "INSERT INTO account VALUES(3, 'carl', 30)");
    sql(base.db, meanwhile);
    sqlite3_int64 before = number(base.db, "SELECT count(*) FROM sqlite_schema");
    ck_assert_int_eq(sqlite_work_apply(base.work, &base.changes, base.why), TROTH_ERR_CONFLICT);
    ck_assert_msg(strstr(base.why, words) != NULL, "%s", base.why);
    ck_assert_int_eq(number(base.db, "SELECT count(*) FROM sqlite_schema"), before);
    finish(&base);
}

START_TEST(S5_a_conflict_applies_nothing_and_names_table_and_key) {
    conflicts("UPDATE account SET money = 99 WHERE id = 1",
              "account, update of key (1): the row has other values");
    conflicts("DELETE FROM account WHERE id = 2", "account, delete of key (2): the row is not");
    conflicts("INSERT INTO account VALUES(3, 'x', 0)", "insert of key (3): a row with this key");
    conflicts("INSERT INTO account VALUES(4, 'carl', 0)", "a constraint would be broken");
}
END_TEST

START_TEST(S5_a_table_that_is_gone_or_another_is_a_conflict) {
    conflicts("ALTER TABLE account RENAME TO old", "0 of 3 changes found their table");
    conflicts("ALTER TABLE account DROP COLUMN money", "0 of 3 changes found their table");
    conflicts("DROP TABLE account; CREATE TABLE account(id INT, name PRIMARY KEY, money)",
              "0 of 3 changes found their table");
}
END_TEST

/* ---- Guards ---------------------------------------------------------------------------------- */

START_TEST(while_a_branch_is_prepared_other_connections_can_not_write) {
    struct base base;
    struct troth_txid txid = troth_txid_make(0, 1, 3, 1);
    sqlite3 *other;
    begin(&base);
    ck_assert_int_eq(run_as(&base, SQLITE_MODE_LOCAL,
                            "ALTER TABLE account RENAME TO \"a \"\"b\";"
                            "CREATE TABLE account(id INTEGER PRIMARY KEY)"),
                     0);
    runs(&base, "INSERT INTO account VALUES(1)");
    ck_assert_int_eq(sqlite_store_prepare(base.db, txid, &base.changes), 0);
    sql(base.db, "COMMIT");
    ck_assert_int_eq(sqlite3_open(base.path, &other), SQLITE_OK);
    static const char *const writes[] = {
        "INSERT INTO account VALUES(1)",
        "INSERT INTO \"a \"\"b\" VALUES(3, 'x', 1)",
        "UPDATE \"a \"\"b\" SET money = 0",
        "DELETE FROM \"a \"\"b\"",
    };
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        ck_assert_int_eq(sqlite3_exec(other, writes[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
        ck_assert_ptr_nonnull(strstr(sqlite3_errmsg(other), "troth_sqlite_write"));
    }
    ck_assert_int_eq(number(other, "SELECT count(*) FROM account"), 0); /* reading is free */
    sql(base.db, "BEGIN IMMEDIATE");
    applies(&base);
    ck_assert_int_eq(sqlite_store_delete(base.db, txid), 0);
    sql(base.db, "COMMIT");
    sql(other, "DELETE FROM account");
    sqlite3_close(other);
    finish(&base);
}
END_TEST

int main(void) {
    return suite_run(
        "sqlite work",
        (const TTest *[]){
            S5_work_leaves_nothing_in_the_database_until_it_is_applied,
            later_work_of_a_branch_sees_its_earlier_work,
            what_a_failed_function_did_is_taken_back_and_the_rest_stays,
            changes_that_undo_each_other_are_none,
            S5_every_kind_of_change_is_recorded,
            a_trigger_works_once,
            foreign_keys_act_once_and_are_checked_at_the_end_of_the_work,
            S5_what_can_not_be_recorded_is_refused_by_name,
            S5_a_null_in_a_key_is_refused_when_it_is_there_before_or_after,
            a_transaction_and_the_schema_are_not_the_functions_to_change,
            what_is_refused_fails_the_work_also_if_the_function_goes_on,
            S5_a_statement_that_was_compiled_before_is_looked_at_again,
            changes_that_do_not_fit_in_another_order_are_refused_before_the_vote,
            S4_a_rollback_of_the_whole_transaction_ends_the_process_before_more_is_done,
            S5_a_conflict_applies_nothing_and_names_table_and_key,
            S5_a_table_that_is_gone_or_another_is_a_conflict,
            while_a_branch_is_prepared_other_connections_can_not_write,
            NULL,
        });
}

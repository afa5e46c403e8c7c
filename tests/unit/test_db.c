/* db: what was committed is there; a file that is not ours is refused and not touched. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "shell/db.h"
#include "tests/lib/suite.h"

#define OURS  0x54524f54
#define ENDED 7 /* a child's process, by its own will */

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
    ck_assert_ptr_nonnull(strstr(why, path));
    ck_assert_ptr_nonnull(strstr(why, "give the right data folder"));
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

/* ---- Room ----------------------------------------------------------------------------------- */

#define FRAME_BYTES (4096 + 24)

static int64_t wal_bytes(void) {
    char wal[80];
    struct stat found;
    snprintf(wal, sizeof wal, "%s-wal", path);
    ck_assert_int_eq(stat(wal, &found), 0);
    return found.st_size;
}

/* So many rows of a page each, in one batch. */
static void fill(struct db *db, int rows) {
    char sql[160];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO t SELECT zeroblob(4000) FROM n",
             rows);
    ck_assert_int_eq(db_begin(db), 0);
    ck_assert_int_eq(db_exec(db, sql), 0);
    ck_assert_int_eq(db_commit(db), 0);
}

static void open_ours(struct db *db) {
    char why[DB_WHY_BYTES];
    ck_assert_msg(db_open(db, path, OURS, 1, "CREATE TABLE t(x)", why) == 0, "%s", why);
}

/* What the next start finds when the process dies now. */
static int64_t count_after_crash(void) {
    char command[256];
    struct db db;
    snprintf(command, sizeof command, "cd %s && mkdir b && cp a.db a.db-wal b/", folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/b/a.db", folder);
    open_ours(&db);
    int64_t n = count(&db);
    db_close(&db);
    snprintf(path, sizeof path, "%s/a.db", folder);
    return n;
}

START_TEST(a_log_that_is_used_gets_its_size_ahead_of_need) {
    make_folder();
    struct db db;
    open_ours(&db);
    fill(&db, 10);
    int64_t before = wal_bytes();
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), before); /* a short one does not */
    fill(&db, 80);
    int64_t large = wal_bytes();
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), large); /* many shared that sync */
    fill(&db, 1);
    ck_assert_int_eq(db_make_room(&db), 0);
    int64_t size = wal_bytes();
    ck_assert_int_ge(size, (db.wal_frames + 128) * (int64_t)FRAME_BYTES);
    fill(&db, 80);
    fill(&db, 1);
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), size); /* there is enough */
    db_close(&db);
    remove_folder();
}
END_TEST

START_TEST(S4_what_was_committed_before_and_after_room_was_made_is_there_after_a_crash) {
    make_folder();
    struct db db;
    open_ours(&db);
    fill(&db, 79);
    fill(&db, 1);
    int64_t before = wal_bytes();
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_gt(wal_bytes(), before);
    fill(&db, 20);
    ck_assert_int_eq(count_after_crash(), 100);
    db_close(&db);
    remove_folder();
}
END_TEST

/* Else each crash would add a MiB, for as long as no orderly end cuts the log. */
START_TEST(the_room_of_a_run_that_crashed_is_used_by_the_next) {
    make_folder();
    struct db db;
    open_ours(&db);
    fill(&db, 79);
    fill(&db, 1);
    ck_assert_int_eq(db_make_room(&db), 0);
    int64_t size = wal_bytes();
    db.wal_bytes = 0; /* as the next run knows it */
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), size);
    db_close(&db);
    remove_folder();
}
END_TEST

START_TEST(an_open_batch_is_left_alone) {
    make_folder();
    struct db db;
    open_ours(&db);
    fill(&db, 79);
    fill(&db, 1);
    int64_t size = wal_bytes();
    ck_assert_int_eq(db_begin(&db), 0);
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), size);
    ck_assert(db.in_batch);
    db_close(&db);
    remove_folder();
}
END_TEST

/* The branch log may be in a database that its program writes, too. */
START_TEST(room_is_made_behind_what_others_have_written) {
    make_folder();
    struct db db;
    sqlite3 *other;
    open_ours(&db);
    fill(&db, 79);
    fill(&db, 1);
    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "INSERT INTO t VALUES(1)", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(sqlite3_exec(other, "INSERT INTO t VALUES(2)", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(count_after_crash(), 82);
    sqlite3_close(other);
    db_close(&db);
    remove_folder();
}
END_TEST

START_TEST(a_long_log_is_begun_anew) {
    make_folder();
    struct db db;
    open_ours(&db);
    fill(&db, 4100);
    ck_assert_uint_ge(db.wal_frames, 4000);
    int64_t size = wal_bytes();
    fill(&db, 1);
    ck_assert_uint_lt(db.wal_frames, 100);
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), size);
    db_close(&db);
    remove_folder();
}
END_TEST

static bool database_is_broken; /* syncs of the database's own file fail, once */
static char watched[128];       /* a folder */
static unsigned watched_synced; /* how often */

static bool is_file(int fd, const char *name) {
    struct stat file, named;
    return fstat(fd, &file) == 0 && stat(name, &named) == 0 && file.st_dev == named.st_dev &&
           file.st_ino == named.st_ino;
}

/* SQLite's, too. */
static int sync_or_fail(int fd, int (*sync_it)(int)) {
    watched_synced += watched[0] != '\0' && is_file(fd, watched);
    if (database_is_broken && is_file(fd, path)) {
        database_is_broken = false;
        errno = EIO;
        return -1;
    }
    return sync_it(fd);
}

static int raw_fsync(int fd) {
    return (int)syscall(SYS_fsync, fd);
}

static int raw_fdatasync(int fd) {
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    return sync_or_fail(fd, raw_fsync);
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's
int fdatasync(int fd) {
    return sync_or_fail(fd, raw_fdatasync);
}

START_TEST(H9_a_database_that_can_not_be_synced_ends_the_process_and_the_log_stays) {
    make_folder();
    pid_t child = fork();
    if (child == 0) {
        struct db db;
        open_ours(&db);
        db.exit_status = ENDED;
        database_is_broken = true;
        fill(&db, 4100);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), ENDED);
    ck_assert_int_eq(count_after_crash(), 4100);
    remove_folder();
}
END_TEST

/* A name is durable when the folder that it is in is synced. */
static unsigned syncs_when_opened(const char *of) {
    struct db db;
    snprintf(watched, sizeof watched, "%s", of);
    watched_synced = 0;
    open_ours(&db);
    fill(&db, 1);
    db_close(&db);
    watched[0] = '\0';
    return watched_synced;
}

START_TEST(S4_the_folder_of_the_database_is_there_after_a_power_failure) {
    char made[96];
    char outer[sizeof folder];
    make_folder();
    strcpy(outer, folder);
    snprintf(made, sizeof made, "%s/made", outer);
    ck_assert_int_eq(mkdir(made, 0755), 0);
    snprintf(path, sizeof path, "%s/a.db", made);
    ck_assert_uint_ge(syncs_when_opened(outer), 1);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_uint_ge(syncs_when_opened(made), 1);
    remove_folder();
}
END_TEST

START_TEST(without_space_it_goes_without_room) {
    make_folder();
    struct db db;
    struct rlimit before, limit;
    open_ours(&db);
    fill(&db, 79);
    fill(&db, 1);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)wal_bytes() + 3 * FRAME_BYTES;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int64_t size = wal_bytes();
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), size);
    fill(&db, 1); /* what is left is for what is needed */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(count_after_crash(), 81);
    db_close(&db);
    remove_folder();
}
END_TEST

/* ---- A batch that SQLite undoes ---------------------------------------------------------------
 */

/* Without memory for pages; as any program's statement on the connection may be. */
static void run_without_memory(sqlite3 *sqlite, const char *sql) {
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_prepare_v2(sqlite, sql, -1, &stmt, NULL), SQLITE_OK);
    sqlite3_hard_heap_limit64(sqlite3_memory_used() + 4096);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
    }
    sqlite3_hard_heap_limit64(0);
    sqlite3_finalize(stmt);
}

/* What a child's process ends with, which goes on after the statement if it can. */
static int run_in_batch(const char *sql) {
    pid_t child = fork();
    if (child == 0) {
        struct db db;
        open_ours(&db);
        db.exit_status = ENDED;
        ck_assert_int_eq(db_begin(&db), 0);
        ck_assert_int_eq(db_exec(&db, "INSERT INTO t VALUES('before')"), 0);
        run_without_memory(db.sqlite, sql);
        db_exec(&db, "INSERT INTO t VALUES('behind')");
        db_commit(&db);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(S5_a_batch_that_SQLite_undoes_ends_the_process_and_nothing_behind_it_is_kept) {
    static const char *const statements[] = {
        "SELECT count(*), zeroblob(1000000) || x FROM t ORDER BY 2", /* one that only reads, too */
        "INSERT INTO t VALUES(zeroblob(1000000) || 'x')",
    };
    struct db db;
    make_folder();
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        ck_assert_int_eq(run_in_batch(statements[i]), ENDED);
        open_ours(&db);
        ck_assert_int_eq(count(&db), 0);
        db_close(&db);
    }
    remove_folder();
}
END_TEST

START_TEST(a_statement_by_itself_that_SQLite_undoes_ends_nothing) {
    struct db db;
    make_folder();
    open_ours(&db);
    fill(&db, 1);
    run_without_memory(db.sqlite, "INSERT INTO t VALUES(zeroblob(1000000) || 'x')");
    fill(&db, 1);
    ck_assert_int_eq(count(&db), 2);
    db_close(&db);
    remove_folder();
}
END_TEST

int main(void) {
    return suite_run(
        "db",
        (const TTest *[]){
            S4_a_committed_batch_is_there_and_an_open_one_is_not, a_database_in_use_is_refused,
            a_foreign_newer_or_damaged_database_is_refused, a_folder_that_is_not_there_is_named,
            S5_a_batch_that_SQLite_undoes_ends_the_process_and_nothing_behind_it_is_kept,
            a_statement_by_itself_that_SQLite_undoes_ends_nothing,
            a_log_that_is_used_gets_its_size_ahead_of_need,
            the_room_of_a_run_that_crashed_is_used_by_the_next,
            S4_what_was_committed_before_and_after_room_was_made_is_there_after_a_crash,
            an_open_batch_is_left_alone, room_is_made_behind_what_others_have_written,
            a_long_log_is_begun_anew,
            H9_a_database_that_can_not_be_synced_ends_the_process_and_the_log_stays,
            S4_the_folder_of_the_database_is_there_after_a_power_failure,
            without_space_it_goes_without_room, NULL});
}

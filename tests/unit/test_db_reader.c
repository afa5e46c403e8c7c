/* db: a reader who stays lets the write-ahead log grow, and that is told before the disk is full.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell/db.h"
#include "tests/lib/suite.h"

#define KEPT_BYTES (64 << 20)

static char folder[64];
static char path[96];

static int64_t wal_bytes(void) {
    char wal[128];
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

/* He reads one state of it through so many batches of 4 MB, and then goes. */
static void write_beside_a_reader(int batches) {
    struct db db;
    sqlite3 *reader;
    char why[DB_WHY_BYTES];
    ck_assert_msg(db_open(&db, path, 1, 1, "CREATE TABLE t(x)", why) == 0, "%s", why);
    fill(&db, 1);
    ck_assert_int_eq(sqlite3_open(path, &reader), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM t", NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < batches; i++) {
        fill(&db, 1000);
    }
    sqlite3_close(reader);
    fill(&db, 1); /* with this one it is carried over, with the next begun anew */
    fill(&db, 1);
    ck_assert_uint_lt(db.wal_frames, 100);
    ck_assert_int_le(wal_bytes(), KEPT_BYTES);
    fill(&db, 80);
    fill(&db, 1);
    int64_t size = wal_bytes();
    ck_assert_int_eq(db_make_room(&db), 0);
    ck_assert_int_eq(wal_bytes(), size); /* what is left of it is room enough */
    db_close(&db);
}

static void write_one_large_batch(int rows) {
    struct db db;
    char why[DB_WHY_BYTES];
    ck_assert_msg(db_open(&db, path, 1, 1, "CREATE TABLE t(x)", why) == 0, "%s", why);
    fill(&db, rows);
    fill(&db, 1);
    ck_assert_uint_lt(db.wal_frames, 100);
    db_close(&db);
}

/* What is logged meanwhile. */
static void logged(void (*write_so)(int n), int how_many, char *log, size_t n) {
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    strcpy(folder, "/tmp/troth-test-db-reader-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.db", folder);
    pid_t child = fork();
    if (child == 0) {
        dup2(fileno(file), STDERR_FILENO);
        write_so(how_many);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    rewind(file);
    log[fread(log, 1, n - 1, file)] = '\0';
    fclose(file);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", log);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static unsigned times_in(const char *log, const char *words) {
    unsigned n = 0;
    for (const char *at = log; (at = strstr(at, words)) != NULL; at++) {
        n++;
    }
    return n;
}

START_TEST(a_reader_of_a_moment_is_no_news) {
    char log[8192];
    logged(write_beside_a_reader, 20, log, sizeof log);
    ck_assert_str_eq(log, "");
}
END_TEST

START_TEST(a_large_batch_is_no_news) {
    char log[8192];
    logged(write_one_large_batch, 40000, log, sizeof log);
    ck_assert_str_eq(log, "");
}
END_TEST

START_TEST(a_reader_who_lets_the_log_grow_is_told_once_with_what_to_do_and_when_it_is_over) {
    char log[8192];
    logged(write_beside_a_reader, 40, log, sizeof log);
    ck_assert_msg(times_in(log, " error ") == 1, "%s", log);
    ck_assert_msg(times_in(log, "a.db-wal has grown to 1") == 1, "%s", log);
    ck_assert_msg(times_in(log, "lsof ") == 1, "%s", log);
    ck_assert_msg(times_in(log, "begun anew") == 1, "%s", log);
}
END_TEST

int main(void) {
    return suite_run(
        "db_reader",
        (const TTest *[]){
            a_reader_of_a_moment_is_no_news, a_large_batch_is_no_news,
            a_reader_who_lets_the_log_grow_is_told_once_with_what_to_do_and_when_it_is_over, NULL});
}

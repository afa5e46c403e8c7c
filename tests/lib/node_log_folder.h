/* node_log_folder: a node's log in a data folder of its own for each test, for tests of node_log.
 */
#ifndef TESTS_LIB_NODE_LOG_FOLDER_H
#define TESTS_LIB_NODE_LOG_FOLDER_H

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/node_log.h"
#include "shell/logline.h"

static char folder[64];
static char path[96];
static struct node_log *node_log;
static struct membership self;
static char why[NODE_LOG_WHY_BYTES];

static inline void make_folder(void) {
    /* The errors that are provoked here are logged too. */
    logline_setup("test", LOGLINE_ERROR);
    strcpy(folder, "/tmp/troth-test-node-log-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/node.db", folder);
}

static inline void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static inline int open_as(const char *cluster, uint32_t node, uint32_t nodes) {
    const struct node_log_owner owner = {.cluster = cluster, .node = node, .nodes = nodes};
    return node_log_open(&node_log, folder, &owner, &self, why);
}

static inline void open_log(void) {
    ck_assert_msg(open_as("troth", 1, 3) == 0, "%s", why);
}

static inline void close_log(void) {
    node_log_close(node_log);
    node_log = NULL;
}

static inline void reopen(void) {
    close_log();
    open_log();
}

/* Another program looks at, or changes, the file. Returns the first column of the first row. */
static inline const char *sql(const char *text) {
    static char result[256];
    sqlite3 *db;
    sqlite3_stmt *stmt = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    result[0] = '\0';
    if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL) {
        snprintf(result, sizeof result, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return result;
}

/* Runs the tests, which NULL ends, each in a new folder; returns main's exit status. */
static inline int node_log_suite(const char *name, const TTest *const *tests) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, make_folder, remove_folder);
    for (; *tests != NULL; tests++) {
        tcase_add_test(tcase, *tests);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

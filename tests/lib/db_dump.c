#include "tests/lib/db_dump.h"

#include <check.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3 *open_db(const char *path) {
    sqlite3 *db;
    ck_assert_msg(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK,
                  "cannot open %s", path);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    return stmt;
}

char *db_dump(const char *path, const char *sql) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    sqlite3 *db = open_db(path);
    sqlite3_stmt *rows = prepare(db, sql);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const unsigned char *bytes = sqlite3_column_blob(rows, i);
            for (int at = 0; at < sqlite3_column_bytes(rows, i); at++) {
                fprintf(out, "%02x", bytes[at]);
            }
            fprintf(out, " ");
        }
        fprintf(out, "\n");
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    fclose(out);
    return text;
}

char *db_text(const char *path, const char *sql) {
    sqlite3 *db = open_db(path);
    sqlite3_stmt *stmt = prepare(db, sql);
    bool found = sqlite3_step(stmt) == SQLITE_ROW;
    char *text = strdup(found ? (const char *)sqlite3_column_text(stmt, 0) : "");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text;
}

int64_t db_number(const char *path, const char *sql) {
    char *text = db_text(path, sql);
    int64_t number = text[0] == '\0' ? -1 : strtoll(text, NULL, 10);
    free(text);
    return number;
}

void db_change(const char *path, const char *sql) {
    sqlite3 *db = open_db(path);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    sqlite3_close(db);
}

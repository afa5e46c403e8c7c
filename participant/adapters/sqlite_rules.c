#include "participant/adapters/sqlite_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/adapters/sqlite_guard.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct table {
    char *name;
    char *null_key_sql;  /* finds a row with a NULL in its key; NULL: there can be none */
    const char *problem; /* why it can't be written in a branch; NULL: it can */
    bool written;        /* since begin */
    UT_hash_handle hh;
};

struct sqlite_rules {
    sqlite3 *db;
    bool guards;
    sqlite3_int64 schema_version; /* that `tables` shows; -1: none */
    struct table *tables;
    enum sqlite_mode mode;
    char refused[SQLITE_WHY_BYTES]; /* the first */
};

int sqlite_rules_new(struct sqlite_rules **out, sqlite3 *db, bool guards) {
    struct sqlite_rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    rules->db = db;
    rules->guards = guards;
    rules->schema_version = -1;
    *out = rules;
    return 0;
}

static void free_tables(struct sqlite_rules *rules) {
    struct table *table, *next;
    // NOLINTBEGIN(clang-analyzer-unix.Malloc): the iteration holds the next one
    HASH_ITER(hh, rules->tables, table, next) {
        HASH_DEL(rules->tables, table);
        sqlite3_free(table->name);
        sqlite3_free(table->null_key_sql);
        free(table);
    }
    // NOLINTEND(clang-analyzer-unix.Malloc)
    rules->schema_version = -1;
}

void sqlite_rules_free(struct sqlite_rules *rules) {
    if (rules != NULL) {
        free_tables(rules);
        free(rules);
    }
}

/* ---- The schema ----------------------------------------------------------------------------- */

/* Columns are asked for of ordinary tables only: a view may be broken, a virtual table's module
 * missing. An INTEGER PRIMARY KEY is the rowid and has no index for its key; the keys of other
 * tables may hold NULLs in SQLite, unless they say NOT NULL or the table is WITHOUT ROWID. */
static const char tables_sql[] =
    "SELECT l.name, l.type,"
    " CASE l.type WHEN 'table' THEN"
    "  (SELECT count(*) FROM pragma_table_xinfo(l.name, 'main') WHERE pk > 0) END,"
    " CASE l.type WHEN 'table' THEN"
    "  (SELECT count(*) FROM pragma_table_xinfo(l.name, 'main') WHERE hidden IN (2, 3)) END,"
    " CASE l.type WHEN 'table' THEN"
    "  (SELECT group_concat(printf('\"%w\" IS NULL', name), ' OR ')"
    "  FROM pragma_table_xinfo(l.name, 'main') WHERE pk > 0 AND NOT \"notnull\" AND NOT l.wr"
    "  AND EXISTS (SELECT 1 FROM pragma_index_list(l.name, 'main') WHERE origin = 'pk')) END"
    " FROM pragma_table_list AS l WHERE l.schema = 'main'";

static const char *problem_of(sqlite3_stmt *row) {
    const char *type = (const char *)sqlite3_column_text(row, 1);
    if (strcmp(type, "view") == 0) {
        return NULL; /* its triggers write to tables, which are looked at */
    }
    if (strcmp(type, "table") != 0) {
        return "it is, or belongs to, a virtual table, whose changes can't be recorded";
    }
    if (sqlite3_column_int(row, 2) == 0) {
        return "it has no PRIMARY KEY, so its changes can't be recorded; give it one";
    }
    if (sqlite3_column_int(row, 3) > 0) {
        return "it has generated columns, so its changes can't be recorded; use a view for them";
    }
    return NULL;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static int add_table(struct sqlite_rules *rules, sqlite3_stmt *row) {
    struct table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    const char *nulls = (const char *)sqlite3_column_text(row, 4);
    table->name = sqlite3_mprintf("%s", sqlite3_column_text(row, 0));
    table->problem = problem_of(row);
    if (table->name != NULL && nulls != NULL) {
        table->null_key_sql =
            sqlite3_mprintf("SELECT 1 FROM main.\"%w\" WHERE %s LIMIT 1", table->name, nulls);
    }
    if (table->name != NULL && (nulls == NULL || table->null_key_sql != NULL)) {
        HASH_ADD_KEYPTR(hh, rules->tables, table->name, strlen(table->name), table);
        if (table->hh.tbl != NULL) {
            return 0;
        }
    }
    sqlite3_free(table->name);
    sqlite3_free(table->null_key_sql);
    free(table);
    return TROTH_ERR_NO_MEMORY;
}

static int load_tables(struct sqlite_rules *rules) {
    sqlite3_stmt *rows = NULL;
    free_tables(rules);
    int rc = sqlite3_prepare_v2(rules->db, tables_sql, -1, &rows, NULL);
    int err = 0;
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(rows);
        err = rc == SQLITE_ROW ? add_table(rules, rows) : err;
        if (err != 0) {
            break;
        }
    }
    sqlite3_finalize(rows);
    if (err == 0 && rc != SQLITE_DONE) {
        err = rc == SQLITE_NOMEM ? TROTH_ERR_NO_MEMORY : TROTH_ERR_STORAGE;
    }
    return err;
}

static int read_version(const struct sqlite_rules *rules, sqlite3_int64 *version) {
    sqlite3_stmt *row = NULL;
    int rc = sqlite3_prepare_v2(rules->db, "PRAGMA main.schema_version", -1, &row, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(row) : rc;
    *version = rc == SQLITE_ROW ? sqlite3_column_int64(row, 0) : -1;
    sqlite3_finalize(row);
    return rc == SQLITE_ROW ? 0 : rc == SQLITE_NOMEM ? TROTH_ERR_NO_MEMORY : TROTH_ERR_STORAGE;
}

int sqlite_rules_refresh(struct sqlite_rules *rules, char why[SQLITE_WHY_BYTES]) {
    sqlite3_int64 version;
    int err = read_version(rules, &version);
    if (err == 0 && version == rules->schema_version) {
        return 0;
    }
    err = err != 0 ? err : sqlite_guard_sync(rules->db, rules->guards);
    err = err != 0 ? err : load_tables(rules);
    err = err != 0 ? err : read_version(rules, &version);
    if (err != 0) {
        snprintf(why, SQLITE_WHY_BYTES, "cannot read the schema or make the guard triggers: %s",
                 err == TROTH_ERR_NO_MEMORY ? "out of memory" : sqlite3_errmsg(rules->db));
        free_tables(rules);
        return err;
    }
    rules->schema_version = version;
    return 0;
}

/* ---- The authorizer -------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int refuse(struct sqlite_rules *rules,
                                                        const char *format, ...) {
    if (rules->refused[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(rules->refused, sizeof rules->refused, format, args);
        va_end(args);
    }
    return SQLITE_DENY;
}

static bool begins(const char *name, const char *with) {
    return name != NULL && sqlite3_strnicmp(name, with, (int)strlen(with)) == 0;
}

static int may_write(struct sqlite_rules *rules, const char *name, const char *schema) {
    if (begins(name, "troth_")) {
        return refuse(rules, "the table %s is Troth's; it is not written by others", name);
    }
    if (rules->mode == SQLITE_MODE_LOCAL) {
        return SQLITE_OK;
    }
    if (rules->mode == SQLITE_MODE_READ) {
        return refuse(rules, "the table %s is written in work that only reads", name);
    }
    if (begins(name, "sqlite_")) {
        return refuse(
            rules,
            "the schema and SQLite's own tables (%s) can't be changed in a transaction of "
            "Troth's; use troth_sqlite_write",
            name);
    }
    if (schema == NULL || strcmp(schema, "main") != 0) {
        return refuse(rules, "the table %s is in %s: only the database itself can be written", name,
                      schema == NULL ? "no schema" : schema);
    }
    struct table *table;
    HASH_FIND_STR(rules->tables, name, table);
    if (table == NULL) {
        return refuse(rules,
                      "the table %s can't be written in a transaction of Troth's: it is not "
                      "in the schema as it was when the work began",
                      name);
    }
    if (table->problem != NULL) {
        return refuse(rules, "the table %s can't be written in a transaction of Troth's: %s", name,
                      table->problem);
    }
    table->written = true;
    return SQLITE_OK;
}

static int may_use_pragma(struct sqlite_rules *rules, const char *name, const char *value) {
    static const char *const reads[] = {
        "table_info",      "table_xinfo",     "table_list",       "index_list",
        "index_info",      "index_xinfo",     "foreign_key_list", "foreign_key_check",
        "integrity_check", "quick_check",     "function_list",    "collation_list",
        "module_list",     "compile_options", "database_list",    "data_version",
    };
    static const char *const numbers[] = {"user_version", "application_id"};
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        if (sqlite3_stricmp(name, reads[i]) == 0) {
            return SQLITE_OK;
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (sqlite3_stricmp(name, numbers[i]) == 0 &&
            (value == NULL || rules->mode == SQLITE_MODE_LOCAL)) {
            return SQLITE_OK;
        }
    }
    return refuse(rules,
                  "PRAGMA %s can't be used here; the options of troth_sqlite_open have what "
                  "there is to be set",
                  name);
}

static int authorize(void *arg, int action, const char *a, const char *b, const char *schema,
                     const char *trigger) {
    struct sqlite_rules *rules = arg;
    (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return may_write(rules, a, schema);
    case SQLITE_PRAGMA:
        return may_use_pragma(rules, a, b);
    case SQLITE_SAVEPOINT:
        return begins(b, "troth_") ? refuse(rules, "the savepoint %s is Troth's", b) : SQLITE_OK;
    case SQLITE_TRANSACTION:
        return refuse(rules, "%s can't be used here: Troth begins and ends the transaction", a);
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return refuse(rules, "other databases can't be attached or detached here");
    case SQLITE_CREATE_TABLE:
    case SQLITE_DROP_TABLE:
    case SQLITE_ALTER_TABLE: {
        const char *name = action == SQLITE_ALTER_TABLE ? b : a;
        if (begins(name, "troth_")) {
            return refuse(rules, "the table %s is Troth's, as all that begin with troth_", name);
        }
        break;
    }
    default: /* CREATE, DROP, ANALYZE, REINDEX of all kinds */
        break;
    }
    return rules->mode == SQLITE_MODE_LOCAL
               ? SQLITE_OK
               : refuse(rules, "the schema can't be changed in a transaction of Troth's; use "
                               "troth_sqlite_write");
}

void sqlite_rules_begin(struct sqlite_rules *rules, enum sqlite_mode mode) {
    struct table *table, *next;
    HASH_ITER(hh, rules->tables, table, next) {
        table->written = false;
    }
    rules->mode = mode;
    rules->refused[0] = '\0';
    /* Statements that were compiled before are compiled again, and looked at. */
    sqlite3_set_authorizer(rules->db, authorize, rules);
}

const char *sqlite_rules_end(struct sqlite_rules *rules) {
    sqlite3_set_authorizer(rules->db, NULL, NULL);
    return rules->refused[0] == '\0' ? NULL : rules->refused;
}

bool sqlite_rules_keys_are_whole(struct sqlite_rules *rules, char why[SQLITE_WHY_BYTES]) {
    struct table *table, *next;
    HASH_ITER(hh, rules->tables, table, next) {
        if (!table->written || table->null_key_sql == NULL) {
            continue;
        }
        sqlite3_stmt *row = NULL;
        int rc = sqlite3_prepare_v2(rules->db, table->null_key_sql, -1, &row, NULL);
        rc = rc == SQLITE_OK ? sqlite3_step(row) : rc;
        sqlite3_finalize(row);
        if (rc == SQLITE_ROW) {
            snprintf(
                why, SQLITE_WHY_BYTES,
                "the table %s has a row with a NULL in its PRIMARY KEY, whose changes can't be "
                "recorded; declare the key NOT NULL",
                table->name);
            return false;
        }
        if (rc != SQLITE_DONE) {
            snprintf(why, SQLITE_WHY_BYTES, "cannot look for NULL keys in the table %s: %s",
                     table->name, sqlite3_errmsg(rules->db));
            return false;
        }
    }
    return true;
}

#include "participant/adapters/sqlite_guard.h"

#include <stddef.h>

#include "base/troth_err.h"

/* A table that was renamed has taken its triggers along, under its old name. */
static const char drops_sql[] =
    "SELECT printf('DROP TRIGGER main.\"%w\"', name) FROM main.sqlite_schema"
    " WHERE type = 'trigger' AND name LIKE 'troth!_guard!_%' ESCAPE '!'"
    " AND (NOT ?1 OR name NOT IN ('troth_guard_insert_' || tbl_name,"
    " 'troth_guard_update_' || tbl_name, 'troth_guard_delete_' || tbl_name))";

#define GUARD_TEXT                                                                                 \
    "a transaction of Troth''s that is prepared holds this database: write with "                  \
    "troth_sqlite_write, or wait for its outcome"

static const char makes_sql[] =
    "SELECT printf('CREATE TRIGGER main.\"%w\" BEFORE %s ON \"%w\" WHEN EXISTS"
    " (SELECT 1 FROM troth_sqlite_work WHERE state = ''prepared'')"
    " BEGIN SELECT RAISE(ABORT, ''%q''); END', 'troth_guard_' || v.column1 || '_' || t.name,"
    " v.column1, t.name, '" GUARD_TEXT "')"
    " FROM pragma_table_list AS t, (VALUES ('insert'), ('update'), ('delete')) AS v"
    " WHERE ?1 AND t.schema = 'main' AND t.type = 'table'"
    " AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND t.name NOT LIKE 'troth!_%' ESCAPE '!'"
    " AND NOT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger'"
    " AND tbl_name = t.name AND name = 'troth_guard_' || v.column1 || '_' || t.name)";

/* Runs each statement that the query makes. All are gathered first: they change the schema that it
 * reads. */
static int run_made(sqlite3 *db, const char *query, bool wanted) {
    sqlite3_stmt *rows = NULL;
    sqlite3_str *all = sqlite3_str_new(db);
    int rc = sqlite3_prepare_v2(db, query, -1, &rows, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int(rows, 1, wanted);
        while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
            sqlite3_str_appendf(all, "%s;", sqlite3_column_text(rows, 0));
        }
    }
    sqlite3_finalize(rows);
    if (rc == SQLITE_DONE) {
        rc = sqlite3_str_errcode(all);
    }
    char *sql = sqlite3_str_finish(all);
    if (rc == SQLITE_OK && sql != NULL) {
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    sqlite3_free(sql);
    return rc == SQLITE_OK ? 0 : rc == SQLITE_NOMEM ? TROTH_ERR_NO_MEMORY : TROTH_ERR_STORAGE;
}

int sqlite_guard_sync(sqlite3 *db, bool wanted) {
    int err = run_made(db, drops_sql, wanted);
    return err != 0 ? err : run_made(db, makes_sql, wanted);
}

#include "client/tx/tx_session_sql.h"

#include <stdio.h>
#include <string.h>

int tx_sql_each_line(const char *sql, tx_sql_line_fn *one, void *arg, char why[TX_WHY_BYTES]) {
    char line[TROTH_SQL_BYTES];
    int rc = 0;
    while (*sql != '\0' && rc == 0) {
        size_t n = strcspn(sql, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, sql);
        rc = line[0] != '\0' ? one(arg, line, why) : 0;
        sql += n + (sql[n] == '\n' ? 1 : 0);
    }
    return rc;
}

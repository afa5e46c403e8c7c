/* db_dump: what a SQLite database of ours holds, read from outside while its process may run. */
#ifndef TESTS_LIB_DB_DUMP_H
#define TESTS_LIB_DB_DUMP_H

#include <stdint.h>

/* Every row that `sql` gives, a line each, its columns in hexadecimal digits; to be freed. */
char *db_dump(const char *path, const char *sql);
/* The first column of the first row as a number; -1 when there is no row. */
int64_t db_number(const char *path, const char *sql);
/* The same as text, to be freed; "" when there is no row. */
char *db_text(const char *path, const char *sql);
/* Runs statements that write. */
void db_change(const char *path, const char *sql);

#endif

/* table: aligned columns for people.
 *
 *     struct table *table = table_new((const char *const[]){"KEY", ">VALUE", NULL});
 *     table_cell(table, TABLE_PLAIN, "alice");
 *     table_cell(table, TABLE_GOOD, "%d", 100);
 *     table_print(table, stdout, color);
 *     table_free(table);
 *
 * A header that begins with > aligns its column to the right. Rows fill up cell by cell.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

enum table_color { TABLE_PLAIN, TABLE_GOOD, TABLE_BAD, TABLE_WARN };

struct table;
/* `headers`, which NULL ends, must live as long as the table. Ends the process without memory. */
struct table *table_new(const char *const *headers);
void table_cell(struct table *table, enum table_color color, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Headers and rows; nothing for a table without rows. The last row must be full. */
void table_print(const struct table *table, FILE *file, bool color);
void table_free(struct table *table);

#endif

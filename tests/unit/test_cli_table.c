/* table: columns are aligned, also with characters of several bytes and with colours. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/table.h"
#include "tests/lib/suite.h"

static const char *const headers[] = {"KEY", ">VALUE", "NOTE", NULL};

static char *printed(const struct table *table, bool color) {
    char *text = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&text, &n);
    table_print(table, file, color);
    fclose(file);
    return text;
}

static struct table *accounts(void) {
    struct table *table = table_new(headers);
    table_cell(table, TABLE_PLAIN, "alice");
    table_cell(table, TABLE_GOOD, "%d", 100);
    table_cell(table, TABLE_PLAIN, "x");
    table_cell(table, TABLE_PLAIN, "k\xc3\xa4se");
    table_cell(table, TABLE_BAD, "%d", -5);
    table_cell(table, TABLE_PLAIN, "longer than its header");
    return table;
}

START_TEST(columns_are_as_wide_as_their_widest_cell) {
    struct table *table = accounts();
    char *text = printed(table, false);
    ck_assert_str_eq(text, "KEY    VALUE  NOTE\n"
                           "alice    100  x\n"
                           "k\xc3\xa4se      -5  longer than its header\n");
    free(text);
    table_free(table);
}
END_TEST

START_TEST(colours_take_no_room) {
    struct table *table = accounts();
    char *text = printed(table, true);
    ck_assert_str_eq(text, "\033[1mKEY\033[0m    \033[1mVALUE\033[0m  \033[1mNOTE\033[0m\n"
                           "alice    \033[32m100\033[0m  x\n"
                           "k\xc3\xa4se      \033[31m-5\033[0m  longer than its header\n");
    free(text);
    table_free(table);
}
END_TEST

START_TEST(a_table_without_rows_prints_nothing) {
    struct table *table = table_new(headers);
    char *text = printed(table, false);
    ck_assert_str_eq(text, "");
    free(text);
    table_free(table);
}
END_TEST

START_TEST(many_rows_fit) {
    struct table *table = table_new(headers);
    for (int i = 0; i < 3000; i++) {
        table_cell(table, TABLE_PLAIN, "%d", i);
    }
    char *text = printed(table, false);
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    ck_assert_uint_eq(lines, 1001);
    free(text);
    table_free(table);
}
END_TEST

int main(void) {
    return suite_run("cli_table",
                     (const TTest *[]){columns_are_as_wide_as_their_widest_cell,
                                       colours_take_no_room, a_table_without_rows_prints_nothing,
                                       many_rows_fit, NULL});
}

#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct cell {
    char *text;
    enum table_color color;
};
struct table {
    const char *const *headers;
    size_t columns;
    struct cell *cells;
    size_t n;
    size_t capacity;
};

static void *must(void *memory) {
    if (memory == NULL) {
        fputs("troth: out of memory\n", stderr);
        exit(5);
    }
    return memory;
}

struct table *table_new(const char *const *headers) {
    struct table *table = must(calloc(1, sizeof *table));
    table->headers = headers;
    while (headers[table->columns] != NULL) {
        table->columns++;
    }
    assert(table->columns > 0);
    return table;
}

void table_cell(struct table *table, enum table_color color, const char *format, ...) {
    if (table->n == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
        table->cells = must(realloc(table->cells, table->capacity * sizeof *table->cells));
    }
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    must(length < 0 ? NULL : text);
    table->cells[table->n++] = (struct cell){.text = text, .color = color};
}

/* Characters, not bytes: the continuation bytes of UTF-8 take no room. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

static void print_one(FILE *file, const char *text, size_t width, bool right, bool last,
                      const char *color) {
    size_t pad = width - width_of(text);
    if (right) {
        fprintf(file, "%*s", (int)pad, "");
    }
    fprintf(file, "%s%s%s", color, text, color[0] == '\0' ? "" : "\033[0m");
    if (!right && !last) {
        fprintf(file, "%*s", (int)pad, "");
    }
    fputs(last ? "\n" : "  ", file);
}

void table_print(const struct table *table, FILE *file, bool color) {
    static const char *const codes[] = {"", "\033[32m", "\033[31m", "\033[33m"};
    assert(table->n % table->columns == 0);
    if (table->n == 0) {
        return;
    }
    size_t *widths = must(calloc(table->columns, sizeof *widths));
    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = width_of(table->headers[c] + (table->headers[c][0] == '>'));
    }
    for (size_t i = 0; i < table->n; i++) {
        size_t width = width_of(table->cells[i].text);
        if (width > widths[i % table->columns]) {
            widths[i % table->columns] = width;
        }
    }
    for (size_t c = 0; c < table->columns; c++) {
        bool right = table->headers[c][0] == '>';
        print_one(file, table->headers[c] + right, widths[c], right, c + 1 == table->columns,
                  color ? "\033[1m" : "");
    }
    for (size_t i = 0; i < table->n; i++) {
        size_t c = i % table->columns;
        const char *code = color ? codes[table->cells[i].color] : "";
        print_one(file, table->cells[i].text, widths[c], table->headers[c][0] == '>',
                  c + 1 == table->columns, code);
    }
    free(widths);
}

void table_free(struct table *table) {
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->n; i++) {
        free(table->cells[i].text);
    }
    free(table->cells);
    free(table);
}

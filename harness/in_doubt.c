#include "harness/in_doubt.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/troth_err.h"

#define BUSY_TIMEOUT_MS 2000

struct in_doubt {
    size_t n;
    struct database {
        sqlite3 *db;
        sqlite3_stmt *select;
    } databases[];
};

int in_doubt_open(struct in_doubt **out, const char *const *databases, size_t n) {
    struct in_doubt *in_doubt = calloc(1, sizeof *in_doubt + n * sizeof(struct database));
    if (in_doubt == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    in_doubt->n = n;
    for (size_t i = 0; i < n; i++) {
        struct database *database = &in_doubt->databases[i];
        if (sqlite3_open_v2(databases[i], &database->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
            sqlite3_busy_timeout(database->db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
            sqlite3_prepare_v3(database->db, "SELECT txid FROM troth_in_doubt", -1,
                               SQLITE_PREPARE_PERSISTENT, &database->select, NULL) != SQLITE_OK) {
            in_doubt_close(in_doubt);
            return TROTH_ERR_STORAGE;
        }
    }
    *out = in_doubt;
    return 0;
}

void in_doubt_close(struct in_doubt *in_doubt) {
    if (in_doubt == NULL) {
        return;
    }
    for (size_t i = 0; i < in_doubt->n; i++) {
        sqlite3_finalize(in_doubt->databases[i].select);
        sqlite3_close(in_doubt->databases[i].db);
    }
    free(in_doubt);
}

static int add(struct in_doubt_list *list, struct troth_txid txid, size_t database) {
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 64 : 2 * list->room;
        struct in_doubt_branch *grown = realloc(list->items, room * sizeof *grown);
        if (grown == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        list->items = grown;
        list->room = room;
    }
    list->items[list->n++] = (struct in_doubt_branch){.txid = txid, .database = database};
    return 0;
}

static int compare(const void *a, const void *b) {
    const struct in_doubt_branch *x = a;
    const struct in_doubt_branch *y = b;
    if (x->database != y->database) {
        return x->database < y->database ? -1 : 1;
    }
    return troth_txid_compare(x->txid, y->txid);
}

static int read_one(struct database *database, size_t index, uint16_t node,
                    struct in_doubt_list *list) {
    int err = 0;
    int rc = SQLITE_DONE;
    while (err == 0 && (rc = sqlite3_step(database->select)) == SQLITE_ROW) {
        struct troth_txid txid;
        const char *text = (const char *)sqlite3_column_text(database->select, 0);
        if (text == NULL || troth_txid_parse(text, &txid) != 0) {
            err = TROTH_ERR_STORAGE;
        } else if (node == 0 || troth_txid_node(txid) == node) {
            err = add(list, txid, index);
        }
    }
    sqlite3_reset(database->select);
    return err == 0 && rc != SQLITE_DONE ? TROTH_ERR_STORAGE : err;
}

int in_doubt_read(struct in_doubt *in_doubt, uint16_t node, struct in_doubt_list *list) {
    list->n = 0;
    for (size_t i = 0; i < in_doubt->n; i++) {
        int err = read_one(&in_doubt->databases[i], i, node, list);
        if (err != 0) {
            return err;
        }
    }
    if (list->n > 0) {
        qsort(list->items, list->n, sizeof *list->items, compare);
    }
    return 0;
}

bool in_doubt_has(const struct in_doubt_list *list, const struct in_doubt_branch *branch) {
    return list->n > 0 &&
           bsearch(branch, list->items, list->n, sizeof *list->items, compare) != NULL;
}

void in_doubt_list_release(struct in_doubt_list *list) {
    free(list->items);
    *list = (struct in_doubt_list){0};
}

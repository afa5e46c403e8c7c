#include "harness/in_doubt.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/troth_err.h"

#define BUSY_TIMEOUT_MS 2000

struct in_doubt {
    in_doubt_read_fn *read;
    in_doubt_release_fn *release;
    void *arg;
    size_t n;
};

/* The shards' files. */
struct files {
    size_t n;
    struct file {
        sqlite3 *db;
        sqlite3_stmt *select;
    } items[];
};

static void files_free(void *arg) {
    struct files *files = arg;
    for (size_t i = 0; i < files->n; i++) {
        sqlite3_finalize(files->items[i].select);
        sqlite3_close(files->items[i].db);
    }
    free(files);
}

static int files_read(void *arg, size_t database, struct in_doubt_list *list) {
    sqlite3_stmt *select = ((struct files *)arg)->items[database].select;
    int err = 0;
    int rc = SQLITE_DONE;
    while (err == 0 && (rc = sqlite3_step(select)) == SQLITE_ROW) {
        struct troth_txid txid;
        const char *text = (const char *)sqlite3_column_text(select, 0);
        err = text == NULL || troth_txid_parse(text, &txid) != 0
                  ? TROTH_ERR_STORAGE
                  : in_doubt_add(list, txid, database);
    }
    sqlite3_reset(select);
    return err == 0 && rc != SQLITE_DONE ? TROTH_ERR_STORAGE : err;
}

int in_doubt_open_with(struct in_doubt **out, in_doubt_read_fn *read, in_doubt_release_fn *release,
                       void *arg, size_t n) {
    struct in_doubt *in_doubt = calloc(1, sizeof *in_doubt);
    if (in_doubt == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    *in_doubt = (struct in_doubt){.read = read, .release = release, .arg = arg, .n = n};
    *out = in_doubt;
    return 0;
}

int in_doubt_open(struct in_doubt **out, const char *const *databases, size_t n) {
    struct files *files = calloc(1, sizeof *files + n * sizeof(struct file));
    if (files == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    files->n = n;
    int err = 0;
    for (size_t i = 0; err == 0 && i < n; i++) {
        struct file *file = &files->items[i];
        if (sqlite3_open_v2(databases[i], &file->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
            sqlite3_busy_timeout(file->db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
            sqlite3_prepare_v3(file->db, "SELECT txid FROM troth_in_doubt", -1,
                               SQLITE_PREPARE_PERSISTENT, &file->select, NULL) != SQLITE_OK) {
            err = TROTH_ERR_STORAGE;
        }
    }
    if (err == 0) {
        err = in_doubt_open_with(out, files_read, files_free, files, n);
    }
    if (err != 0) {
        files_free(files);
    }
    return err;
}

void in_doubt_close(struct in_doubt *in_doubt) {
    if (in_doubt != NULL) {
        if (in_doubt->release != NULL) {
            in_doubt->release(in_doubt->arg);
        }
        free(in_doubt);
    }
}

int in_doubt_add(struct in_doubt_list *list, struct troth_txid txid, size_t database) {
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

/* Leaves out what was begun at other nodes. */
static void keep_only(struct in_doubt_list *list, uint16_t node) {
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (troth_txid_node(list->items[i].txid) == node) {
            list->items[kept++] = list->items[i];
        }
    }
    list->n = kept;
}

int in_doubt_read(struct in_doubt *in_doubt, uint16_t node, struct in_doubt_list *list) {
    list->n = 0;
    for (size_t i = 0; i < in_doubt->n; i++) {
        int err = in_doubt->read(in_doubt->arg, i, list);
        if (err != 0) {
            return err;
        }
    }
    if (node != 0) {
        keep_only(list, node);
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

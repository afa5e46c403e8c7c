#include "participant/set_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/troth_err.h"

/* Of the sets that are remembered, all together: some megabytes, and the pace at which rows that no
 * branch has any more are looked for. */
#define MEMBERS_MAX 100000u

/* A row that this start has written or read. */
struct entry {
    int64_t id;
    struct paxos_set *set; /* held */
    UT_hash_handle by_id;
    UT_hash_handle by_set;
};

struct set_table {
    struct db *db;
    sqlite3_stmt *insert;
    sqlite3_stmt *select;
    sqlite3_stmt *prune;
    struct entry *by_id;
    struct entry *by_set;
    size_t members; /* of all entries */
};

int set_table_open(struct set_table **out, struct db *db) {
    struct set_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    table->db = db;
    table->insert = db_prepare(db, "INSERT INTO troth_set(participants) VALUES(?)");
    table->select = db_prepare(db, "SELECT participants FROM troth_set WHERE id = ?");
    table->prune = db_prepare(db, "DELETE FROM troth_set WHERE id NOT IN (SELECT"
                                  " CAST(participants AS INTEGER) FROM troth_branch"
                                  " WHERE participants IS NOT NULL)");
    if (table->insert == NULL || table->select == NULL || table->prune == NULL) {
        set_table_close(table);
        return TROTH_ERR_STORAGE;
    }
    *out = table;
    return 0;
}

static void forget_all(struct set_table *table) {
    struct entry *entry, *next;
    HASH_CLEAR(by_set, table->by_set);
    HASH_ITER(by_id, table->by_id, entry, next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DELETE(by_id, table->by_id, entry);
        paxos_set_release(entry->set);
        free(entry);
    }
    table->members = 0;
}

void set_table_close(struct set_table *table) {
    if (table == NULL) {
        return;
    }
    forget_all(table);
    sqlite3_finalize(table->insert);
    sqlite3_finalize(table->select);
    sqlite3_finalize(table->prune);
    free(table);
}

int set_table_prune(struct set_table *table) {
    forget_all(table); /* their rows may go */
    return db_run(table->db, table->prune);
}

/* ---- What is remembered ---------------------------------------------------------------------- */

static struct entry *find_set(const struct set_table *table, const struct paxos_set *set) {
    struct entry *entry;
    HASH_FIND_BYHASHVALUE(by_set, table->by_set, set->members, set->n * sizeof *set->members,
                          (unsigned)set->hash, entry);
    return entry;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macros, not ours
static int remember(struct set_table *table, int64_t id, struct paxos_set *set) {
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    entry->id = id;
    entry->set = paxos_set_hold(set);
    HASH_ADD(by_id, table->by_id, id, sizeof entry->id, entry);
    HASH_ADD_KEYPTR_BYHASHVALUE(by_set, table->by_set, set->members, set->n * sizeof *set->members,
                                (unsigned)set->hash, entry);
    table->members += set->n;
    return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The set as text, malloc'd. */
static char *to_json(const struct paxos_set *set) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < set->n; i++) {
        fprintf(out, "%c{\"participant\":\"%s\",\"incarnation\":%llu}", i == 0 ? '[' : ',',
                set->members[i].name, (unsigned long long)set->members[i].incarnation);
    }
    fputc(']', out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int insert(struct set_table *table, const struct paxos_set *set, int64_t *id) {
    char *json = to_json(set);
    if (json == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    sqlite3_bind_text(table->insert, 1, json, -1, SQLITE_STATIC);
    int err = db_run(table->db, table->insert);
    sqlite3_clear_bindings(table->insert);
    free(json);
    *id = sqlite3_last_insert_rowid(table->db->sqlite);
    return err;
}

int set_table_put(struct set_table *table, struct paxos_set *set, int64_t *id) {
    struct entry *entry = find_set(table, set);
    if (entry != NULL) {
        *id = entry->id;
        return 0;
    }
    int err = table->members + set->n > MEMBERS_MAX ? set_table_prune(table) : 0;
    err = err != 0 ? err : insert(table, set, id);
    return err != 0 ? err : remember(table, *id, set);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* NULL when the text is no set. */
static struct paxos_set *from_json(struct set_table *table, const char *json) {
    static struct paxos_participant none[1];
    struct paxos_participant *members = none;
    struct paxos_set *set = NULL;
    uint32_t n = 0;
    sqlite3_stmt *stmt =
        db_prepare(table->db, "SELECT json_extract(value, '$.participant'), json_extract(value,"
                              " '$.incarnation'), json_array_length(?1) FROM json_each(?1)");
    if (stmt == NULL) {
        return NULL;
    }
    sqlite3_bind_text(stmt, 1, json, -1, SQLITE_STATIC);
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        int64_t total = sqlite3_column_int64(stmt, 2);
        if (n == 0 && total >= 1 && total <= PAXOS_PARTICIPANTS_MAX) {
            members = calloc((size_t)total, sizeof *members);
        }
        if (members == none || members == NULL || n >= total ||
            paxos_participant_make(&members[n], (const char *)sqlite3_column_text(stmt, 0),
                                   (uint64_t)sqlite3_column_int64(stmt, 1)) != 0) {
            break;
        }
        n++;
    }
    if (rc == SQLITE_DONE && n > 0) {
        set = paxos_set_new(members, n);
    }
    sqlite3_finalize(stmt);
    if (members != none) {
        free(members);
    }
    return set;
}

static struct paxos_set *read_row(struct set_table *table, int64_t id) {
    struct paxos_set *set = NULL;
    sqlite3_bind_int64(table->select, 1, id);
    if (sqlite3_step(table->select) == SQLITE_ROW) {
        const char *json = (const char *)sqlite3_column_text(table->select, 0);
        set = json == NULL ? NULL : from_json(table, json);
    }
    sqlite3_reset(table->select);
    return set;
}

struct paxos_set *set_table_get(struct set_table *table, sqlite3_value *participants) {
    /* The column of an older version's table makes text of the id. */
    const char *text = (const char *)sqlite3_value_text(participants);
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return text == NULL ? NULL : from_json(table, text);
    }
    struct entry *entry;
    int64_t id = strtoll(text, NULL, 10);
    HASH_FIND(by_id, table->by_id, &id, sizeof id, entry);
    if (entry != NULL) {
        return paxos_set_hold(entry->set);
    }
    struct paxos_set *set = read_row(table, id);
    bool room =
        set != NULL && table->members + set->n <= MEMBERS_MAX && find_set(table, set) == NULL;
    if (room && remember(table, id, set) != 0) {
        paxos_set_release(set);
        set = NULL;
    }
    return set;
}

#include "tests/lib/foreign_scene.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define CALL_MS 20000

struct fixture f;
struct foreign_tm tm;

/* Each knows one shard, so that any key is there. */
static struct troth_kv *kvs[SCENE_SHARDS];
static struct troth_kv *impatient[SCENE_SHARDS];
static char keys[SCENE_SHARDS][64];
static unsigned n_keys;
static _Thread_local char found[256];

static struct troth_kv *open_kv(unsigned shard, uint32_t timeout_ms) {
    char shards[300];
    struct troth_kv *kv;
    snprintf(shards, sizeof shards, "%s=%s", cluster_member(f.cluster, CLUSTER_SHARD, shard),
             cluster_address(f.cluster, CLUSTER_SHARD, shard));
    int err = troth_kv_open(&kv, f.troth,
                            &(struct troth_kv_options){.shards = shards, .timeout_ms = timeout_ms});
    fixture_must(&f, err == 0, "cannot open %s", shards);
    return kv;
}

void scene_open(void) {
    fixture_open(&f, &(struct fixture_options){.nodes = 1, .shards = SCENE_SHARDS});
    char decisions[128];
    snprintf(decisions, sizeof decisions, "%.100s/decisions", cluster_data(f.cluster));
    foreign_tm_init(&tm, &troth_shard_xa_switch, decisions);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        char info[MAXINFOSIZE];
        snprintf(info, sizeof info, "address=%s timeout_ms=20000",
                 cluster_address(f.cluster, CLUSTER_SHARD, i));
        foreign_tm_add(&tm, info);
        kvs[i] = open_kv(i, CALL_MS);
        impatient[i] = open_kv(i, SCENE_SOON_MS);
    }
    int code = foreign_tm_open(&tm);
    fixture_must(&f, code == XA_OK, "xa_open: %d: %s", code, troth_xa_why());
}

void scene_close(void) {
    foreign_tm_close(&tm);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        troth_kv_close(kvs[i]);
        troth_kv_close(impatient[i]);
    }
    fixture_close(&f);
}

const char *scene_key(unsigned shard) {
    do {
        snprintf(keys[shard], sizeof keys[shard], "key-%u", n_keys++);
    } while (strcmp(troth_kv_place(f.kv, keys[shard], strlen(keys[shard])),
                    cluster_member(f.cluster, CLUSTER_SHARD, shard)) != 0);
    return keys[shard];
}

/* ---- Work in this thread's branch ------------------------------------------------------------ */

static struct troth_kv_tx *join(unsigned shard) {
    char text[TROTH_XA_TXID_BYTES];
    struct troth_txid txid;
    struct troth_kv_tx *tx;
    fixture_must(&f, troth_xa_txid((int)shard, text) == 0, "the thread has no branch");
    fixture_must(&f, troth_txid_parse(text, &txid) == 0, "%s is no txid", text);
    fixture_must(&f, troth_kv_join(kvs[shard], txid, &tx) == 0, "out of memory");
    return tx;
}

int scene_put(unsigned shard, const char *key, const char *value) {
    struct troth_kv_tx *tx = join(shard);
    int err = troth_kv_put(kvs[shard], tx, key, strlen(key), value, strlen(value), NULL);
    troth_kv_leave(tx);
    return err;
}

int scene_add(unsigned shard, const char *key, int64_t delta) {
    struct troth_kv_tx *tx = join(shard);
    int err = troth_kv_add(kvs[shard], tx, key, strlen(key), delta, NULL, NULL, NULL);
    troth_kv_leave(tx);
    return err;
}

const char *scene_get(unsigned shard, const char *key) {
    struct troth_kv_tx *tx = join(shard);
    struct troth_kv_value value = {.bytes = NULL};
    int err = troth_kv_get(kvs[shard], tx, key, strlen(key), false, &value, NULL);
    snprintf(found, sizeof found, "%s", err == 0 ? (const char *)value.bytes : "");
    free(value.bytes);
    troth_kv_leave(tx);
    return found;
}

/* ---- Looking --------------------------------------------------------------------------------- */

const char *scene_on_disk(unsigned shard, const char *key) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    bool there = false;
    bool good = sqlite3_open_v2(cluster_database(f.cluster, CLUSTER_SHARD, shard), &db,
                                SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
                sqlite3_busy_timeout(db, CALL_MS) == SQLITE_OK &&
                sqlite3_prepare_v2(db, "SELECT value FROM kv_text WHERE key = ?", -1, &stmt,
                                   NULL) == SQLITE_OK &&
                sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC) == SQLITE_OK;
    if (good && sqlite3_step(stmt) == SQLITE_ROW) {
        there = true;
        snprintf(found, sizeof found, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    fixture_must(&f, good, "the shard's file can't be read");
    return there ? found : NULL;
}

bool scene_is_locked(unsigned shard, const char *key) {
    struct troth_kv_value value = {.bytes = NULL};
    char why[TROTH_TEXT_BYTES] = "";
    int err = troth_kv_get(impatient[shard], NULL, key, strlen(key), true, &value, why);
    free(value.bytes);
    fixture_must(&f, err == 0 || err == TROTH_ERR_NOT_FOUND || err == TROTH_ERR_TIMEOUT,
                 "get: %s: %s", troth_err_name(err), why);
    return err == TROTH_ERR_TIMEOUT;
}

int scene_in_doubt(unsigned shard) {
    XID xids[100];
    int n = foreign_tm_in_doubt(&tm, (int)shard, xids, 100, 3);
    fixture_must(&f, n >= 0, "xa_recover: %d: %s", n, troth_xa_why());
    return n;
}

static bool answers(struct troth_kv *kv) {
    struct troth_kv_value value = {.bytes = NULL};
    int err = troth_kv_get(kv, NULL, "nobody's", 8, false, &value, NULL);
    free(value.bytes);
    return err == TROTH_ERR_NOT_FOUND;
}

void scene_reach(unsigned shard) {
    XID xid;
    fixture_wait(&f, answers(kvs[shard]) && answers(impatient[shard]), "the shard is not reached");
    fixture_wait(&f, tm.xa->xa_recover_entry(&xid, 1, (int)shard, TMSTARTRSCAN | TMENDRSCAN) >= 0,
                 "the shard is not reached again: %s", troth_xa_why());
}

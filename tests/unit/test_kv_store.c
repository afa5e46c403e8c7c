/* kv_store: committed data and intents in SQLite, down to bytes and empty values. */
#include <check.h>
#include <stdlib.h>

#include "participant/shard/store.h"
#include "tests/lib/suite.h"

static sqlite3 *db;
static struct store *store;

static void setup(void) {
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    ck_assert_int_eq(store_open(&store, db), 0);
}

static void teardown(void) {
    store_close(store);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK); /* no statement is left */
}

static struct kv_bytes raw(const void *at, size_t n) {
    return (struct kv_bytes){at, n};
}

static void expect(struct kv_bytes key, struct kv_bytes value) {
    uint8_t *found;
    size_t n;
    ck_assert_int_eq(store_get(store, key, &found, &n), 0);
    ck_assert_int_eq(kv_compare(raw(found, n), value), 0);
    free(found);
}

START_TEST(keys_and_values_are_any_bytes_also_none) {
    setup();
    uint8_t *found;
    size_t n;
    ck_assert_int_eq(store_get(store, raw("a", 1), &found, &n), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(store_put(store, raw("a\0b", 3), raw("\0\xff", 2)), 0);
    ck_assert_int_eq(store_put(store, raw("a", 1), raw(NULL, 0)), 0);
    expect(raw("a\0b", 3), raw("\0\xff", 2));
    expect(raw("a", 1), raw("", 0));
    ck_assert_int_eq(store_delete(store, raw("a", 1)), 0);
    ck_assert_int_eq(store_get(store, raw("a", 1), &found, &n), TROTH_ERR_NOT_FOUND);
    teardown();
}
END_TEST

START_TEST(a_scan_goes_in_the_order_of_unsigned_bytes) {
    setup();
    static const char *const keys[] = {"\xff", "a", "ab", "\x7f", "B"};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(store_put(store, raw(keys[i], strlen(keys[i])), raw("v", 1)), 0);
    }
    char order[16] = "";
    struct kv_bytes key, value;
    ck_assert_int_eq(store_scan(store, raw("", 0), raw("", 0)), 0);
    while (store_scan_step(store, &key, &value) == 0) {
        strncat(order, (const char *)key.at, key.n);
    }
    store_scan_end(store);
    ck_assert_str_eq(order, "Baab\x7f\xff");
    ck_assert_int_eq(store_scan(store, raw("a", 1), raw("ab", 2)), 0);
    ck_assert_int_eq(store_scan_step(store, &key, &value), 0);
    ck_assert_int_eq(kv_compare(key, raw("a", 1)), 0);
    ck_assert_int_eq(store_scan_step(store, &key, &value), TROTH_ERR_NOT_FOUND);
    store_scan_end(store);
    teardown();
}
END_TEST

static int count_key(void *arg, struct kv_bytes key) {
    ck_assert_uint_eq(key.n, 1);
    ++*(int *)arg;
    return 0;
}

static int intended(struct troth_txid txid) {
    int n = 0;
    ck_assert_int_eq(store_intended(store, txid, count_key, &n), 0);
    return n;
}

START_TEST(applying_intents_puts_deletes_and_keeps_apart_the_transactions) {
    setup();
    struct troth_txid one = troth_txid_make(0, 1, 1, 1);
    struct troth_txid two = troth_txid_make(0, 1, 1, 2);
    ck_assert_int_eq(store_put(store, raw("a", 1), raw("old", 3)), 0);
    ck_assert_int_eq(store_put(store, raw("b", 1), raw("old", 3)), 0);
    struct write put = {.key = raw("a", 1), .value = raw("", 0)};
    struct write delete = {.key = raw("b", 1), .is_delete = true};
    struct write other = {.key = raw("c", 1), .value = raw("2", 1)};
    ck_assert_int_eq(store_intend(store, one, &put), 0);
    ck_assert_int_eq(store_intend(store, one, &delete), 0);
    ck_assert_int_eq(store_intend(store, two, &other), 0);
    expect(raw("a", 1), raw("old", 3));
    ck_assert_int_eq(intended(one), 2);
    ck_assert_int_eq(store_apply(store, one), 0);
    expect(raw("a", 1), raw("", 0));
    uint8_t *found;
    size_t n;
    ck_assert_int_eq(store_get(store, raw("b", 1), &found, &n), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(store_get(store, raw("c", 1), &found, &n), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(intended(one), 0);
    ck_assert_int_eq(intended(two), 1);
    ck_assert_int_eq(store_drop(store, two), 0);
    ck_assert_int_eq(intended(two), 0);
    teardown();
}
END_TEST

START_TEST(people_read_the_tables_as_text) {
    setup();
    struct troth_txid txid = troth_txid_make(0, 1, 1, 255);
    ck_assert_int_eq(store_put(store, raw("city", 4), raw("K\xc3\xb6ln", 5)), 0);
    ck_assert_int_eq(
        store_intend(store, txid, &(struct write){.key = raw("city", 4), .is_delete = true}), 0);
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_prepare_v2(db,
                                        "SELECT kv_text.value, txid, operation FROM kv_text"
                                        " JOIN intent_text USING(key) WHERE key = 'city'",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "K\xc3\xb6ln");
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 1),
                     "000000010000000100000000000000ff");
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 2), "delete");
    sqlite3_finalize(stmt);
    teardown();
}
END_TEST

START_TEST(tables_of_a_newer_version_are_left_alone) {
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version=2", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(store_open(&store, db), TROTH_ERR_MISMATCH);
    ck_assert_int_ne(sqlite3_exec(db, "SELECT * FROM kv", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

int main(void) {
    return suite_run("kv_store", (const TTest *[]){
                                     keys_and_values_are_any_bytes_also_none,
                                     a_scan_goes_in_the_order_of_unsigned_bytes,
                                     applying_intents_puts_deletes_and_keeps_apart_the_transactions,
                                     people_read_the_tables_as_text,
                                     tables_of_a_newer_version_are_left_alone, NULL});
}

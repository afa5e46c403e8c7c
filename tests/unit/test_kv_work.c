/* kv_work: what each operation does, on the store alone and on a branch's writes over it. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "participant/shard/work.h"
#include "tests/lib/suite.h"

static sqlite3 *db;
static struct store *store;
static struct writes *writes;

static void setup(void) {
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    ck_assert_int_eq(store_open(&store, db), 0);
    writes = writes_new();
}

static void teardown(void) {
    writes_free(writes);
    store_close(store);
    sqlite3_close(db);
}

static struct kv_bytes bytes(const char *text) {
    return (struct kv_bytes){(const uint8_t *)text, strlen(text)};
}

/* Does it; the answer is the caller's to clear. */
static struct op work(struct op op, struct writes *in) {
    ck_assert(op_check(&op));
    ck_assert_int_eq(work_do(&op, store, in), 0);
    return op;
}

static void put(struct writes *in, const char *key, const char *value) {
    struct op op = work((struct op){.verb = OP_PUT, .key = bytes(key), .value = bytes(value)}, in);
    ck_assert_int_eq(op.status, RPC_OK);
    op_clear(&op);
}

static void expect_value(struct writes *in, const char *key, const char *value) {
    struct op op = work((struct op){.verb = OP_GET, .key = bytes(key)}, in);
    ck_assert_int_eq(op.status, RPC_OK);
    ck_assert_int_eq(op.existed, value != NULL);
    if (value != NULL) {
        ck_assert_int_eq(kv_compare(op.found, bytes(value)), 0);
    }
    op_clear(&op);
}

static int add(struct writes *in, const char *key, int64_t delta, int64_t *sum) {
    struct op op = work((struct op){.verb = OP_ADD, .key = bytes(key), .delta = delta}, in);
    *sum = op.sum;
    op_clear(&op);
    return op.status;
}

START_TEST(add_counts_an_absent_key_as_0) {
    setup();
    int64_t sum;
    ck_assert_int_eq(add(NULL, "n", -7, &sum), RPC_OK);
    ck_assert_int_eq(sum, -7);
    ck_assert_int_eq(add(writes, "n", 10, &sum), RPC_OK);
    ck_assert_int_eq(sum, 3);
    expect_value(NULL, "n", "-7");
    expect_value(writes, "n", "3");
    teardown();
}
END_TEST

START_TEST(add_beyond_64_bits_is_OUT_OF_RANGE_and_changes_nothing) {
    setup();
    int64_t sum;
    put(NULL, "max", "9223372036854775807");
    put(NULL, "min", "-9223372036854775808");
    ck_assert_int_eq(add(NULL, "max", 1, &sum), RPC_OUT_OF_RANGE);
    ck_assert_int_eq(add(NULL, "min", -1, &sum), RPC_OUT_OF_RANGE);
    ck_assert_int_eq(add(writes, "min", INT64_MIN, &sum), RPC_OUT_OF_RANGE);
    ck_assert_int_eq(add(NULL, "max", 0, &sum), RPC_OK);
    expect_value(NULL, "max", "9223372036854775807");
    expect_value(NULL, "min", "-9223372036854775808");
    ck_assert_uint_eq(writes_count(writes), 0);
    teardown();
}
END_TEST

START_TEST(add_under_the_minimum_is_OUT_OF_RANGE_and_changes_nothing) {
    setup();
    put(NULL, "account", "100");
    struct op op = {
        .verb = OP_ADD, .key = bytes("account"), .delta = -101, .has_minimum = true, .minimum = 0};
    struct op over = work(op, writes);
    ck_assert_int_eq(over.status, RPC_OUT_OF_RANGE);
    ck_assert_ptr_nonnull(strstr(over.text, "add to \"account\": the sum -1 is under"));
    op_clear(&over);
    op.delta = -100;
    struct op all = work(op, writes);
    ck_assert_int_eq(all.status, RPC_OK);
    op_clear(&all);
    expect_value(writes, "account", "0");
    teardown();
}
END_TEST

START_TEST(add_to_what_is_no_number_is_INVALID_ARGUMENT) {
    static const char *const values[] = {"",
                                         "-",
                                         "x",
                                         "1x",
                                         " 1",
                                         "1 ",
                                         "+1",
                                         "1.0",
                                         "0x1",
                                         "--1",
                                         "99999999999999999999",
                                         "9223372036854775808"};
    setup();
    int64_t sum;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        put(NULL, "k", values[i]);
        ck_assert_int_eq(add(NULL, "k", 1, &sum), RPC_INVALID_ARGUMENT);
        expect_value(NULL, "k", values[i]);
    }
    teardown();
}
END_TEST

static int compare_and_set(struct writes *in, const char *expected, const char *value) {
    struct op op = {.verb = OP_COMPARE_AND_SET, .key = bytes("k"), .value = bytes(value)};
    if (expected != NULL) {
        op.has_expected = true;
        op.expected = bytes(expected);
    }
    op = work(op, in);
    op_clear(&op);
    return op.status;
}

START_TEST(compare_and_set_changes_only_what_was_expected) {
    setup();
    struct writes *const places[] = {NULL, writes};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(compare_and_set(places[i], "1", "2"), RPC_FAILED_PRECONDITION);
        ck_assert_int_eq(compare_and_set(places[i], "", "2"), RPC_FAILED_PRECONDITION);
        expect_value(places[i], "k", NULL);
        ck_assert_int_eq(compare_and_set(places[i], NULL, "1"), RPC_OK);
        ck_assert_int_eq(compare_and_set(places[i], NULL, "2"), RPC_FAILED_PRECONDITION);
        ck_assert_int_eq(compare_and_set(places[i], "2", "3"), RPC_FAILED_PRECONDITION);
        ck_assert_int_eq(compare_and_set(places[i], "1", ""), RPC_OK);
        ck_assert_int_eq(compare_and_set(places[i], "", "x"), RPC_OK);
        expect_value(places[i], "k", "x");
        struct op gone = work((struct op){.verb = OP_DELETE, .key = bytes("k")}, places[i]);
        ck_assert(gone.existed);
        op_clear(&gone);
    }
    teardown();
}
END_TEST

static struct op scan(struct writes *in, const char *from, const char *to, uint32_t limit) {
    return work((struct op){.verb = OP_SCAN, .key = bytes(from), .to = bytes(to), .limit = limit},
                in);
}

static void expect_pairs(struct op op, const char *text) {
    char got[256] = "";
    size_t at = 0;
    for (size_t i = 0; i < op.pairs_n; i++) {
        at += (size_t)snprintf(got + at, sizeof got - at, "%.*s%.*s ", (int)op.pairs[i].key.n,
                               (const char *)op.pairs[i].key.at, (int)op.pairs[i].value.n,
                               (const char *)op.pairs[i].value.at);
    }
    ck_assert_str_eq(got, text);
    op_clear(&op);
}

START_TEST(a_scan_merges_the_branchs_writes_in_order) {
    setup();
    put(NULL, "b", "1");
    put(NULL, "d", "1");
    put(NULL, "f", "1");
    put(writes, "a", "2");
    put(writes, "d", "2");
    put(writes, "e", "2");
    put(writes, "z", "2");
    struct op gone = work((struct op){.verb = OP_DELETE, .key = bytes("f")}, writes);
    op_clear(&gone);
    expect_pairs(scan(writes, "", "", 0), "a2 b1 d2 e2 z2 ");
    expect_pairs(scan(writes, "b", "e", 0), "b1 d2 ");
    expect_pairs(scan(writes, "e", "b", 0), "");
    expect_pairs(scan(NULL, "", "", 0), "b1 d1 f1 ");
    teardown();
}
END_TEST

START_TEST(a_scan_says_when_there_is_more) {
    setup();
    put(NULL, "a", "1");
    put(NULL, "b", "1");
    put(writes, "c", "2");
    struct op two = scan(writes, "", "", 2);
    ck_assert(two.more);
    expect_pairs(two, "a1 b1 ");
    struct op three = scan(writes, "", "", 3);
    ck_assert(!three.more);
    expect_pairs(three, "a1 b1 c2 ");
    teardown();
}
END_TEST

START_TEST(a_scan_ends_before_it_outgrows_a_frame) {
    static char large[OP_VALUE_BYTES_MAX + 1];
    setup();
    memset(large, 'x', OP_VALUE_BYTES_MAX);
    for (int i = 0; i < 100; i++) {
        char key[8];
        snprintf(key, sizeof key, "%03d", i);
        put(NULL, key, large);
    }
    struct op some = scan(NULL, "", "", 0);
    ck_assert(some.more);
    ck_assert_uint_gt(some.pairs_n, 10);
    ck_assert_uint_lt(some.pairs_n * OP_VALUE_BYTES_MAX, RPC_FRAME_BYTES_MAX);
    op_clear(&some);
    teardown();
}
END_TEST

int main(void) {
    return suite_run("kv_work",
                     (const TTest *[]){add_counts_an_absent_key_as_0,
                                       add_beyond_64_bits_is_OUT_OF_RANGE_and_changes_nothing,
                                       add_under_the_minimum_is_OUT_OF_RANGE_and_changes_nothing,
                                       add_to_what_is_no_number_is_INVALID_ARGUMENT,
                                       compare_and_set_changes_only_what_was_expected,
                                       a_scan_merges_the_branchs_writes_in_order,
                                       a_scan_says_when_there_is_more,
                                       a_scan_ends_before_it_outgrows_a_frame, NULL});
}

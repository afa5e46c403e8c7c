/* placement: keys are spread evenly, stay where they are, and for ever. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "client/placement.h"
#include "tests/lib/suite.h"

static struct placement_shard shard(const char *name) {
    return (struct placement_shard){.name = name, .seed = placement_seed(name)};
}

#define KEYS 20000

static size_t place(const struct placement_shard *shards, size_t n, int key) {
    char text[32];
    int length = snprintf(text, sizeof text, "account-%d", key);
    return placement_choose(shards, n, text, (size_t)length);
}

START_TEST(each_shard_holds_its_share) {
    struct placement_shard shards[] = {shard("a"), shard("b"), shard("c"), shard("d"), shard("e")};
    unsigned held[5] = {0};
    for (int key = 0; key < KEYS; key++) {
        held[place(shards, 5, key)]++;
    }
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_gt(held[i], KEYS / 5 * 95 / 100);
        ck_assert_uint_lt(held[i], KEYS / 5 * 105 / 100);
    }
}
END_TEST

START_TEST(a_new_shard_takes_its_share_and_no_other_key_moves) {
    struct placement_shard shards[] = {shard("a"), shard("b"), shard("c"), shard("new")};
    unsigned moved = 0;
    for (int key = 0; key < KEYS; key++) {
        size_t before = place(shards, 3, key);
        size_t after = place(shards, 4, key);
        if (after != before) {
            ck_assert_uint_eq(after, 3);
            moved++;
        }
    }
    ck_assert_uint_gt(moved, KEYS / 4 * 95 / 100);
    ck_assert_uint_lt(moved, KEYS / 4 * 105 / 100);
}
END_TEST

START_TEST(the_order_of_the_list_does_not_matter) {
    struct placement_shard one[] = {shard("a"), shard("b"), shard("c")};
    struct placement_shard other[] = {shard("c"), shard("a"), shard("b")};
    for (int key = 0; key < 1000; key++) {
        ck_assert_str_eq(one[place(one, 3, key)].name, other[place(other, 3, key)].name);
    }
}
END_TEST

/* Data that was placed by any release must be found by all later ones. */
START_TEST(placements_never_change) {
    static const struct {
        const char *key;
        const char *of_two;
        const char *of_five;
    } fixed[] = {
        {"alice", "a", "stock-1"},
        {"bob", "b", "stock-2"},
        {"carol", "a", "a"},
        {"dave", "a", "a"},
        {"account-0", "b", "b"},
        {"account-1", "b", "b"},
        {"account-17", "a", "stock-2"},
        {"", "b", "b"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789", "b", "stock-2"},
        {"käse", "a", "c"},
    };
    struct placement_shard shards[] = {shard("a"), shard("b"), shard("c"), shard("stock-1"),
                                       shard("stock-2")};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const char *key = fixed[i].key;
        ck_assert_str_eq(shards[placement_choose(shards, 2, key, strlen(key))].name,
                         fixed[i].of_two);
        ck_assert_str_eq(shards[placement_choose(shards, 5, key, strlen(key))].name,
                         fixed[i].of_five);
    }
    static const uint8_t binary[] = {0, 1, 0, 255};
    ck_assert_str_eq(shards[placement_choose(shards, 5, binary, sizeof binary)].name, "b");
    ck_assert(placement_seed("a") == UINT64_C(0xe6c632b61e964e1f));
}
END_TEST

int main(void) {
    return suite_run("placement",
                     (const TTest *[]){each_shard_holds_its_share,
                                       a_new_shard_takes_its_share_and_no_other_key_moves,
                                       the_order_of_the_list_does_not_matter,
                                       placements_never_change, NULL});
}

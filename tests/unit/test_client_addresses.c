/* addresses: lists as people write them, and clear words for those that are none. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/addresses.h"
#include "tests/lib/suite.h"

START_TEST(nodes_are_split_at_commas) {
    struct addresses nodes;
    char why[256];
    ck_assert_int_eq(addresses_parse(&nodes, "127.0.0.1:7101, [::1]:7102 ,node.local:65535", false,
                                     31, why, sizeof why),
                     0);
    ck_assert_uint_eq(nodes.n, 3);
    ck_assert_str_eq(nodes.items[0].host_port, "127.0.0.1:7101");
    ck_assert_str_eq(nodes.items[1].host_port, "[::1]:7102");
    ck_assert_str_eq(nodes.items[2].host_port, "node.local:65535");
    addresses_release(&nodes);
}
END_TEST

START_TEST(shards_have_names) {
    struct addresses shards;
    char why[256];
    ck_assert_int_eq(
        addresses_parse(&shards, "a=127.0.0.1:7201,stock-2=s.local:1", true, 31, why, sizeof why),
        0);
    ck_assert_uint_eq(shards.n, 2);
    ck_assert_str_eq(shards.items[1].name, "stock-2");
    ck_assert_str_eq(shards.items[1].host_port, "s.local:1");
    addresses_release(&shards);
}
END_TEST

START_TEST(what_is_no_list_is_refused_with_the_reason) {
    static const struct {
        const char *text;
        bool named;
        const char *reason;
    } wrong[] = {
        {"", false, "is no address"},         {"localhost", false, "is no address"},
        {":7101", false, "is no address"},    {"h:0", false, "is no address"},
        {"h:65536", false, "is no address"},  {"h:71o1", false, "is no address"},
        {"h:7101,", false, "is no address"},  {"h:7101,h:7101", false, "there twice"},
        {"a=h:7101", false, "is no address"}, {"h:7201", true, "is no shard"},
        {"=h:7201", true, "is no shard"},     {"a b=h:7201", true, "is no shard"},
        {"a=h:1,a=h:2", true, "there twice"}, {"a=h", true, "is no address"},
        {"::1:7101", false, "[host]:port"},   {"a=::1:7201", true, "[host]:port"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct addresses addresses;
        char why[256] = "";
        ck_assert_int_eq(
            addresses_parse(&addresses, wrong[i].text, wrong[i].named, 31, why, sizeof why),
            TROTH_ERR_INVALID);
        ck_assert_msg(strstr(why, wrong[i].reason) != NULL, "%s: %s", wrong[i].text, why);
        ck_assert_ptr_null(addresses.items);
    }
}
END_TEST

START_TEST(more_than_the_limit_is_refused) {
    struct addresses addresses;
    char why[256];
    ck_assert_int_eq(addresses_parse(&addresses, "h:1,h:2,h:3", false, 2, why, sizeof why),
                     TROTH_ERR_TOO_MANY);
}
END_TEST

int main(void) {
    return suite_run("client_addresses",
                     (const TTest *[]){nodes_are_split_at_commas, shards_have_names,
                                       what_is_no_list_is_refused_with_the_reason,
                                       more_than_the_limit_is_refused, NULL});
}

/* Global ids: what a database stores with a prepared transaction, and a human reads. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/gid.h"
#include "base/troth_err.h"
#include "tests/lib/suite.h"

static const struct troth_gid orders = {
    .cluster = "troth", .txid = {.hi = 0x0000000100000003, .lo = 42}, .participant = "orders.db-1"};

#define ORDERS_TEXT "troth:troth:0000000100000003000000000000002a:orders.db-1"
#define ORDERS_XA   "'0000000100000003000000000000002a:troth','orders.db-1',1416785780"

static void assert_is_orders(const struct troth_gid *gid) {
    ck_assert_str_eq(gid->cluster, orders.cluster);
    ck_assert_str_eq(gid->participant, orders.participant);
    ck_assert(troth_txid_equal(gid->txid, orders.txid));
}

START_TEST(a_gid_is_read_back_as_it_was_written) {
    char text[TROTH_GID_BYTES];
    struct troth_gid gid;
    ck_assert_str_eq(troth_gid_format(&orders, text), ORDERS_TEXT);
    ck_assert_int_eq(troth_gid_parse(text, &gid), 0);
    assert_is_orders(&gid);
    ck_assert_int_eq(troth_gid_format_xa(&orders, text), 0);
    ck_assert_str_eq(text, ORDERS_XA);
    memset(&gid, 0, sizeof gid);
    ck_assert_int_eq(troth_gid_parse(text, &gid), 0);
    assert_is_orders(&gid);
}
END_TEST

START_TEST(what_xa_recover_prints_in_hexadecimal_is_read_too) {
    struct troth_gid gid;
    ck_assert_int_eq(
        troth_gid_parse("X'3030303030303031303030303030303330303030303030303030303030303261"
                        "3a74726f7468', x'6f72646572732e64622d31', 0x54726f74",
                        &gid),
        0);
    assert_is_orders(&gid);
}
END_TEST

START_TEST(the_longest_names_fit) {
    struct troth_gid longest = orders;
    struct troth_gid gid;
    char text[TROTH_GID_BYTES];
    memset(longest.participant, 'p', TROTH_GID_NAME_BYTES - 1);
    memset(longest.cluster, 'c', TROTH_GID_NAME_BYTES - 1);
    ck_assert_int_eq(troth_gid_parse(troth_gid_format(&longest, text), &gid), 0);
    ck_assert_str_eq(gid.participant, longest.participant);
    ck_assert_str_eq(gid.cluster, longest.cluster);
    ck_assert_int_eq(troth_gid_format_xa(&longest, text), TROTH_ERR_TOO_LARGE);
    longest.cluster[TROTH_XA_CLUSTER_MAX] = '\0';
    ck_assert_int_eq(troth_gid_format_xa(&longest, text), 0);
    ck_assert_int_eq(troth_gid_parse(text, &gid), 0);
    ck_assert_str_eq(gid.cluster, longest.cluster);
}
END_TEST

static const char *const strangers[] = {
    "",
    "troth:",
    "troth::0000000100000003000000000000002a:orders",
    "troth:troth:0000000100000003000000000000002a:",
    "troth:troth:0000000100000003000000000000002a",
    "troth:troth:0000000100000003000000000000002:orders",
    "troth:troth:00000000000000000000000000000000:orders",
    "troth:troth:0000000100000003000000000000002a:or ders",
    "troth:troth:0000000100000003000000000000002a:orders:x",
    "troth:troth:0000000100000003000000000000002a:"
    "pppppppppppppppppppppppppppppppppppppppppppppppp",
    "'0000000100000003000000000000002a:troth','orders'",
    "'0000000100000003000000000000002a:troth','orders',1",
    "'0000000100000003000000000000002a:troth','orders',1416785780x",
    "'0000000100000003000000000000002a','orders',1416785780",
    "'0000000100000003000000000000002a:troth,'orders',1416785780",
    "X'303','orders',1416785780",
    "X'zz','orders',1416785780",
    "0000000100000003000000000000002a",
};

START_TEST(what_is_not_ours_is_refused) {
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        struct troth_gid gid = orders;
        ck_assert_msg(troth_gid_parse(strangers[i], &gid) == TROTH_ERR_INVALID, "%s", strangers[i]);
        assert_is_orders(&gid);
    }
}
END_TEST

int main(void) {
    return suite_run("gid",
                     (const TTest *[]){a_gid_is_read_back_as_it_was_written,
                                       what_xa_recover_prints_in_hexadecimal_is_read_too,
                                       the_longest_names_fit, what_is_not_ours_is_refused, NULL});
}

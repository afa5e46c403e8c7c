/* txid: what goes in comes out, and nothing that is no txid comes in. */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "base/txid.h"
#include "tests/lib/suite.h"

START_TEST(txid_survives_text_and_bytes) {
    struct troth_txid txid = troth_txid_make(1, 2, 3, 0x0102030405060708);
    char text[TROTH_TXID_TEXT];
    ck_assert_str_eq(troth_txid_format(txid, text), "00010002000000030102030405060708");
    struct troth_txid parsed;
    ck_assert_int_eq(troth_txid_parse(text, &parsed), 0);
    ck_assert(troth_txid_equal(txid, parsed));

    uint8_t bytes[TROTH_TXID_BYTES];
    troth_txid_to_bytes(txid, bytes);
    ck_assert(troth_txid_equal(troth_txid_from_bytes(bytes), txid));
    ck_assert_uint_eq(troth_txid_cell(parsed), 1);
    ck_assert_uint_eq(troth_txid_node(parsed), 2);
    ck_assert_uint_eq(troth_txid_incarnation(parsed), 3);
    ck_assert_uint_eq(troth_txid_sequence(parsed), 0x0102030405060708);
}
END_TEST

START_TEST(malformed_text_is_refused_and_changes_nothing) {
    static const char *const malformed[] = {
        "",
        "0001",
        "0001000200000003010203040506070",   /* 31 digits */
        "000100020000000301020304050607080", /* 33 */
        "0001000200000003010203040506070g",
        "0001-002000000030102030405060708",
        "00010000000000030102030405060708", /* node 0 */
        "00010002000000030000000000000000", /* sequence 0 */
    };
    struct troth_txid txid = troth_txid_make(9, 9, 9, 9);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        ck_assert_int_eq(troth_txid_parse(malformed[i], &txid), TROTH_ERR_INVALID);
        ck_assert(troth_txid_equal(txid, troth_txid_make(9, 9, 9, 9)));
    }
}
END_TEST

START_TEST(txids_sort_by_origin_then_sequence) {
    struct troth_txid first = troth_txid_make(0, 1, 1, 9);
    struct troth_txid second = troth_txid_make(0, 1, 2, 1);
    ck_assert_int_lt(troth_txid_compare(first, second), 0);
    ck_assert_int_gt(troth_txid_compare(second, first), 0);
    ck_assert_int_eq(troth_txid_compare(first, first), 0);
    ck_assert(troth_txid_is_zero((struct troth_txid){0}));
}
END_TEST

int main(void) {
    return suite_run("txid", (const TTest *[]){txid_survives_text_and_bytes,
                                               malformed_text_is_refused_and_changes_nothing,
                                               txids_sort_by_origin_then_sequence, NULL});
}

/* operations: the little language of `troth kv txn`. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "cli/operations.h"
#include "tests/lib/suite.h"

START_TEST(a_script_becomes_operations_in_order) {
    char script[] = "# move ten\nadd alice -10\n  add bob 10\tput \"a note\" \"ten coins\" # so\n"
                    "cas leader n1 n2 delete old\nget alice";
    const char *words[32];
    long n = operations_split(script, words, 32);
    ck_assert_int_eq(n, 17);
    struct operations operations;
    char why[256];
    ck_assert_int_eq(operations_parse(&operations, words, (size_t)n, why, sizeof why), 0);
    ck_assert_uint_eq(operations.n, 6);
    ck_assert_int_eq(operations.items[0].type, OPERATION_ADD);
    ck_assert_int_eq(operations.items[0].delta, -10);
    ck_assert_int_eq(operations.items[2].type, OPERATION_PUT);
    ck_assert_str_eq(operations.items[2].key, "a note");
    ck_assert_str_eq(operations.items[2].value, "ten coins");
    ck_assert_int_eq(operations.items[3].type, OPERATION_CAS);
    ck_assert_str_eq(operations.items[3].expected, "n1");
    ck_assert_str_eq(operations.items[3].value, "n2");
    ck_assert_int_eq(operations.items[4].type, OPERATION_DELETE);
    ck_assert_int_eq(operations.items[5].type, OPERATION_GET);
    ck_assert_str_eq(operations.items[5].key, "alice");
    operations_release(&operations);
}
END_TEST

START_TEST(what_is_no_operation_is_refused_with_the_reason) {
    static const struct {
        const char *words[3];
        size_t n;
        const char *reason;
    } wrong[] = {
        {{NULL}, 0, "no operation"},
        {{"move", "a", "b"}, 3, "\"move\" is no operation"},
        {{"put", "a"}, 2, "put KEY VALUE"},
        {{"get"}, 1, "get KEY"},
        {{"cas", "a", "b"}, 3, "cas KEY EXPECTED VALUE"},
        {{"add", "a", "ten"}, 3, "\"ten\" is no whole number"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct operations operations;
        char why[256] = "";
        ck_assert_int_eq(operations_parse(&operations, wrong[i].words, wrong[i].n, why, sizeof why),
                         TROTH_ERR_INVALID);
        ck_assert_msg(strstr(why, wrong[i].reason) != NULL, "%s", why);
        ck_assert_ptr_null(operations.items);
    }
}
END_TEST

START_TEST(quotes_must_end) {
    char script[] = "put a \"b";
    const char *words[4];
    ck_assert_int_eq(operations_split(script, words, 4), -1);
}
END_TEST

START_TEST(words_beyond_the_limit_are_counted_not_stored) {
    char script[] = "a b c d";
    const char *words[2];
    ck_assert_int_eq(operations_split(script, words, 2), 4);
    ck_assert_str_eq(words[1], "b");
}
END_TEST

int main(void) {
    return suite_run("cli_operations",
                     (const TTest *[]){a_script_becomes_operations_in_order,
                                       what_is_no_operation_is_refused_with_the_reason,
                                       quotes_must_end,
                                       words_beyond_the_limit_are_counted_not_stored, NULL});
}

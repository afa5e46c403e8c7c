/* The names of XA's return codes. */
#include "participant/adapters/xa_codes.h"

#include <check.h>

#include "participant/adapters/xa.h"
#include "tests/lib/suite.h"

START_TEST(each_code_of_the_specification_has_a_name_and_a_meaning_and_no_other_has) {
    int named = 0;
    for (int code = -1000; code <= 1000; code++) {
        const char *name = xa_code_name(code);
        named += name != NULL;
        ck_assert_int_eq(name != NULL, xa_code_text(code)[0] != '\0');
    }
    ck_assert_int_eq(named, 24); /* X/Open C193, 4.5 */
    ck_assert_str_eq(xa_code_name(100), "XA_RBROLLBACK");
    ck_assert_str_eq(xa_code_name(107), "XA_RBTRANSIENT");
    ck_assert_str_eq(xa_code_name(8), "XA_HEURHAZ");
    ck_assert_str_eq(xa_code_name(5), "XA_HEURMIX");
    ck_assert_str_eq(xa_code_name(-4), "XAER_NOTA");
    ck_assert_str_eq(xa_code_name(-9), "XAER_OUTSIDE");
}
END_TEST

START_TEST(codes_100_to_107_say_rolled_back_and_no_others) {
    for (int code = -200; code <= 200; code++) {
        ck_assert_int_eq(xa_code_is_rollback(code), code >= 100 && code <= 107);
    }
}
END_TEST

START_TEST(a_message_has_the_call_the_name_the_number_and_the_meaning) {
    char text[200];
    ck_assert_str_eq(xa_code_describe("xa_commit", XA_RETRY, text, sizeof text),
                     "xa_commit: XA_RETRY (4), it can't be done now, and nothing was done");
    ck_assert_str_eq(xa_code_describe("xa_commit", -77, text, sizeof text),
                     "xa_commit: -77, a code that the XA specification does not know");
}
END_TEST

int main(void) {
    return suite_run("xa_codes",
                     (const TTest *const[]){
                         each_code_of_the_specification_has_a_name_and_a_meaning_and_no_other_has,
                         codes_100_to_107_say_rolled_back_and_no_others,
                         a_message_has_the_call_the_name_the_number_and_the_meaning, NULL});
}

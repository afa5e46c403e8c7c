/* Finding a switch in a shared object: what is no switch is told before anything is called. */
#include "participant/adapters/xa_load.h"

#include <check.h>
#include <string.h>

#include "tests/lib/suite.h"
#include "tests/lib/xa_fixture.h"

static char why[DRIVER_WHY_BYTES];

static void assert_loads(const char *symbol, const char *name) {
    const struct xa_switch_t *xa = NULL;
    ck_assert_msg(xa_load(&xa, xa_fixture_library(), symbol, why) == 0, "%s: %s", symbol, why);
    ck_assert_str_eq(xa->name, name);
}

/* `says`: part of the message. */
static void assert_refused(const char *library, const char *symbol, const char *says) {
    const struct xa_switch_t *xa = NULL;
    why[0] = '\0';
    ck_assert_int_eq(xa_load(&xa, library, symbol, why), TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, says) != NULL, "%s: \"%s\" does not say \"%s\"", symbol, why, says);
}

START_TEST(a_symbol_is_a_switch_or_a_pointer_to_one_or_a_function_that_returns_one) {
    assert_loads("crooked_switch", "Crooked");
    assert_loads("crooked_pointer", "Crooked");
    assert_loads("crooked_function()", "Crooked");
}
END_TEST

START_TEST(a_library_that_wants_ax_reg_finds_it) {
    assert_loads("crooked_dynamic", "Crooked, dynamic");
}
END_TEST

START_TEST(a_library_that_can_not_be_loaded_is_named) {
    assert_refused("/nowhere/libnone.so", "crooked_switch", "/nowhere/libnone.so");
    assert_refused("", "crooked_switch", "no library");
    assert_refused("/dev/null", "crooked_switch", "/dev/null");
    assert_refused(__FILE__, "crooked_switch", "test_xa_load.c");
}
END_TEST

START_TEST(a_symbol_that_is_not_there_is_named) {
    assert_refused(xa_fixture_library(), "straight_switch", "no symbol \"straight_switch\"");
    assert_refused(xa_fixture_library(), "", "can't be the name");
    assert_refused(xa_fixture_library(), "()", "no symbol");
    char longest[XA_SYMBOL_BYTES + 1];
    memset(longest, 's', sizeof longest);
    longest[XA_SYMBOL_BYTES] = '\0';
    assert_refused(xa_fixture_library(), longest, "can't be the name");
}
END_TEST

START_TEST(a_function_is_called_only_when_it_is_written_as_a_call) {
    assert_refused(xa_fixture_library(), "crooked_function", "add \"()\"");
    assert_refused(xa_fixture_library(), "crooked_switch()", "not a function");
    assert_refused(xa_fixture_library(), "crooked_nothing_function()", "NULL");
    assert_refused(xa_fixture_library(), "crooked_nothing", "NULL");
}
END_TEST

START_TEST(what_is_no_switch_is_told_by_its_size_name_version_and_functions) {
    assert_refused(xa_fixture_library(), "crooked_small", "32 bits");
    assert_refused(xa_fixture_library(), "crooked_nameless", "not a resource manager's name");
    assert_refused(xa_fixture_library(), "crooked_version", "version 1");
    assert_refused(xa_fixture_library(), "crooked_no_recover", "no xa_recover");
}
END_TEST

START_TEST(each_function_that_is_called_must_be_there) {
    const struct xa_switch_t *whole;
    ck_assert_int_eq(xa_load(&whole, xa_fixture_library(), "crooked_switch", why), 0);
    struct xa_switch_t xa = *whole;
    /* These are the application's, or nobody's. */
    xa.xa_start_entry = NULL;
    xa.xa_end_entry = NULL;
    xa.xa_complete_entry = NULL;
    ck_assert_int_eq(xa_check_switch(&xa, "x", why), 0);
#define WITHOUT(call)                                                                              \
    xa = *whole;                                                                                   \
    xa.call##_entry = NULL;                                                                        \
    ck_assert_int_eq(xa_check_switch(&xa, "x", why), TROTH_ERR_INVALID);                           \
    ck_assert_ptr_nonnull(strstr(why, #call))
    WITHOUT(xa_open);
    WITHOUT(xa_close);
    WITHOUT(xa_prepare);
    WITHOUT(xa_commit);
    WITHOUT(xa_rollback);
    WITHOUT(xa_recover);
    WITHOUT(xa_forget);
    xa = *whole;
    memset(xa.name, 'n', sizeof xa.name);
    ck_assert_int_eq(xa_check_switch(&xa, "x", why), TROTH_ERR_INVALID);
    xa.name[0] = '\0';
    ck_assert_int_eq(xa_check_switch(&xa, "x", why), TROTH_ERR_INVALID);
}
END_TEST

int main(void) {
    return suite_run("xa_load",
                     (const TTest *const[]){
                         a_symbol_is_a_switch_or_a_pointer_to_one_or_a_function_that_returns_one,
                         a_library_that_wants_ax_reg_finds_it,
                         a_library_that_can_not_be_loaded_is_named,
                         a_symbol_that_is_not_there_is_named,
                         a_function_is_called_only_when_it_is_written_as_a_call,
                         what_is_no_switch_is_told_by_its_size_name_version_and_functions,
                         each_function_that_is_called_must_be_there, NULL});
}

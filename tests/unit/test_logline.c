/* logline: what is written of what comes again and again. The clock is this test's own. */
#include "shell/logline.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/clock.h"
#include "tests/lib/suite.h"

static int64_t now_ms;
static FILE *written;
static int stderr_before;

int64_t __wrap_clock_monotonic_ms(void);
int64_t __wrap_clock_monotonic_ms(void) {
    return now_ms;
}

static void set_up(void) {
    now_ms = 1000;
    written = tmpfile();
    ck_assert_ptr_nonnull(written);
    stderr_before = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(written), STDERR_FILENO), 0);
}

static void tear_down(void) {
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    fclose(written);
}

/* How many lines have these words. */
static unsigned lines_with(const char *words) {
    char line[4096];
    unsigned n = 0;
    rewind(written);
    while (fgets(line, sizeof line, written) != NULL) {
        n += strstr(line, words) != NULL;
    }
    fseek(written, 0, SEEK_END);
    return n;
}

START_TEST(a_line_tells_its_level_and_its_writer) {
    set_up();
    logline(LOGLINE_WARN, "node %u is suspected", 2u);
    logline(LOGLINE_DEBUG, "nobody asked for this");
    ck_assert_uint_eq(lines_with("Z warn troth: node 2 is suspected\n"), 1);
    ck_assert_uint_eq(lines_with("nobody"), 0);
    tear_down();
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_ends) {
    char text[8192];
    set_up();
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    logline(LOGLINE_ERROR, "%s", text);
    logline(LOGLINE_ERROR, "next");
    ck_assert_uint_eq(lines_with("xxx\n"), 1);
    ck_assert_uint_eq(lines_with("troth: next\n"), 1);
    tear_down();
}
END_TEST

START_TEST(of_equal_lines_some_are_written_and_later_how_many_were_not) {
    set_up();
    for (unsigned i = 0; i < 100; i++) {
        logline_seldom(LOGLINE_WARN, "stock is refused");
        now_ms += 500;
    }
    ck_assert_uint_eq(lines_with("stock is refused"), LOGLINE_SELDOM_TIMES);
    now_ms = 1000 + LOGLINE_SELDOM_MS;
    logline_seldom(LOGLINE_WARN, "stock is refused");
    ck_assert_uint_eq(lines_with("stock is refused (and 96 times more before, not written)"), 1);
    tear_down();
}
END_TEST

START_TEST(other_lines_are_written_meanwhile) {
    set_up();
    for (unsigned i = 0; i < 100; i++) {
        logline_seldom(LOGLINE_WARN, "orders is refused");
        logline(LOGLINE_WARN, "plain");
        logline_seldom(LOGLINE_WARN, "try %u of bank", i % 25);
    }
    ck_assert_uint_eq(lines_with("plain"), 100);
    ck_assert_uint_ge(lines_with("of bank"), 25);
    tear_down();
}
END_TEST

START_TEST(at_the_level_debug_all_lines_are_written) {
    set_up();
    logline_setup("troth", LOGLINE_DEBUG);
    for (unsigned i = 0; i < 100; i++) {
        logline_seldom(LOGLINE_WARN, "stock is refused");
    }
    ck_assert_uint_eq(lines_with("stock is refused"), 100);
    tear_down();
}
END_TEST

int main(void) {
    return suite_run("logline",
                     (const TTest *[]){a_line_tells_its_level_and_its_writer,
                                       a_line_that_is_too_long_is_cut_and_ends,
                                       of_equal_lines_some_are_written_and_later_how_many_were_not,
                                       other_lines_are_written_meanwhile,
                                       at_the_level_debug_all_lines_are_written, NULL});
}

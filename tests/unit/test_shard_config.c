/* shard_config: what a bad flag or file is told. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "participant/shard/config.h"
#include "tests/lib/suite.h"

static struct shard_config config;
static enum settings_action action;
static char why[SETTINGS_WHY_BYTES];

#define READ(...)                                                                                  \
    shard_config_read(&config,                                                                     \
                      (int)(sizeof((char *[]){"troth-shard", __VA_ARGS__}) / sizeof(char *)),      \
                      (char *[]){"troth-shard", __VA_ARGS__}, &action, why)

/* Reads with a file of this text. */
static int read_text(const char *text) {
    char path[] = "/tmp/troth-shard-config-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int err = READ("--config", path, "--name", "from-flag");
    unlink(path);
    return err;
}

START_TEST(flags_win_over_the_file_and_the_file_over_defaults) {
    ck_assert_int_eq(read_text("; a comment\n[troth-shard]\nname = from-file\n"
                               "nodes = h1:1,h2:2\nlog-level = debug\n"),
                     0);
    ck_assert_int_eq(action, SETTINGS_RUN);
    ck_assert_str_eq(config.name, "from-flag");
    ck_assert_str_eq(config.nodes, "h1:1,h2:2");
    ck_assert_str_eq(config.log_level, "debug");
    ck_assert_str_eq(config.cluster, "troth");
}
END_TEST

START_TEST(an_error_in_a_file_names_its_line_and_what_is_allowed) {
    ck_assert_int_eq(read_text("name = a\ncolour = red\n"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, ":2: unknown key \"colour\"; allowed are name,"));
    ck_assert_int_eq(read_text("\n\nlisten = nowhere\n"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, ":3: listen: \"nowhere\" is not allowed"));
    ck_assert_int_eq(read_text("[other]\nname = a\n"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "unknown section [other]"));
    ck_assert_int_eq(read_text("name\n"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, ":1: not of the form"));
    ck_assert_int_eq(READ("--config", "/nowhere/x.ini"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "cannot read the configuration"));
}
END_TEST

START_TEST(a_line_that_is_too_long_is_refused_and_not_cut) {
    char text[4000];
    snprintf(text, sizeof text, "data = %03000d\nname = x\n", 0);
    ck_assert_int_eq(read_text(text), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, ":1: the line is too long"));
}
END_TEST

START_TEST(a_setting_given_twice_is_refused) {
    ck_assert_int_eq(read_text("log-level = info\nname = a\nlog_level = debug\n"),
                     TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, ":3: log_level was given on line 1 already"));
    ck_assert_int_eq(read_text("nodes = h1:1,\n  h2:2\n"), TROTH_ERR_INVALID);
    ck_assert_int_eq(READ("--name", "a", "--name=b"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "--name is given twice"));
}
END_TEST

START_TEST(bad_flags_are_refused) {
    ck_assert_int_eq(READ("--colour", "red"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "unknown argument \"--colour\""));
    ck_assert_int_eq(READ("name"), TROTH_ERR_INVALID);
    ck_assert_int_eq(READ("--name"), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "needs a value"));
    ck_assert_int_eq(READ("--name=a/b"), TROTH_ERR_INVALID);
    ck_assert_int_eq(READ("--log-level", "loud"), TROTH_ERR_INVALID);
    ck_assert_int_eq(READ("--data", ""), TROTH_ERR_INVALID);
    static char *const addresses[] = {"",        ":1",   "h",        "h:",   "h:x",
                                      "h:65536", "h:1,", "h:1 ,h:2", "::1:1"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        ck_assert_int_eq(READ("--nodes", addresses[i]), TROTH_ERR_INVALID);
    }
    ck_assert_int_eq(READ("--nodes=a:1,b:2,[::1]:3", "--log-level=warn"), 0);
}
END_TEST

START_TEST(help_and_version_come_before_all) {
    ck_assert_int_eq(READ("--help", "--colour"), 0);
    ck_assert_int_eq(action, SETTINGS_HELP);
    ck_assert_int_eq(READ("--version"), 0);
    ck_assert_int_eq(action, SETTINGS_VERSION);
}
END_TEST

int main(void) {
    return suite_run("shard_config",
                     (const TTest *[]){flags_win_over_the_file_and_the_file_over_defaults,
                                       an_error_in_a_file_names_its_line_and_what_is_allowed,
                                       a_line_that_is_too_long_is_refused_and_not_cut,
                                       a_setting_given_twice_is_refused, bad_flags_are_refused,
                                       help_and_version_come_before_all, NULL});
}

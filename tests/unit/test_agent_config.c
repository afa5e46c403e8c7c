/* agent_config: what a bad flag or file is told. */
#include "participant/adapters/agent_config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

static struct agent_config config;
static enum settings_action action;
static char why[SETTINGS_WHY_BYTES];

#define READ(...)                                                                                  \
    agent_config_read(&config,                                                                     \
                      (int)(sizeof((char *[]){"troth-agent", __VA_ARGS__}) / sizeof(char *)),      \
                      (char *[]){"troth-agent", __VA_ARGS__}, &action, why)

static void refused(int err, const char *text) {
    ck_assert_int_eq(err, TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, text) != NULL, "\"%s\" is not in \"%s\"", text, why);
}

START_TEST(each_kind_of_database_is_read_with_its_defaults) {
    ck_assert_int_eq(READ("postgres", "--name", "orders", "--dsn", "dbname=x"), 0);
    ck_assert_int_eq(action, SETTINGS_RUN);
    ck_assert_int_eq(config.kind, AGENT_POSTGRES);
    ck_assert_str_eq(config.cluster, "troth");
    ck_assert_uint_eq(config.n_connections, 8);
    ck_assert_uint_eq(config.n_scan_ms, 1000);
    ck_assert_uint_eq(config.n_patience_ms, 60000);
    ck_assert_int_eq(
        READ("mariadb", "--name=stock", "--dsn=user=a", "--scan-ms", "20", "--connections", "256"),
        0);
    ck_assert_int_eq(config.kind, AGENT_MARIADB);
    ck_assert_str_eq(config.dsn, "user=a");
    ck_assert_uint_eq(config.n_scan_ms, 20);
    ck_assert_uint_eq(config.n_connections, 256);
    ck_assert_int_eq(READ("xa", "--name", "queue", "--switch", "/x.so", "--symbol", "sw"), 0);
    ck_assert_int_eq(config.kind, AGENT_XA);
    ck_assert_str_eq(config.library, "/x.so");
}
END_TEST

START_TEST(a_kind_that_is_none_is_told_which_there_are) {
    refused(READ("oracle", "--name", "a", "--dsn", "x"), "postgres, mariadb or xa");
    refused(READ("--name", "a", "--dsn", "x"), "postgres, mariadb or xa");
    refused(READ("Postgres", "--name", "a", "--dsn", "x"), "\"Postgres\"");
}
END_TEST

START_TEST(what_a_kind_needs_and_what_is_for_another_is_said) {
    refused(READ("postgres", "--dsn", "x"), "--name is needed");
    refused(READ("postgres", "--name", "a"), "postgres needs --dsn");
    refused(READ("mariadb", "--name", "a"), "mariadb needs --dsn");
    refused(READ("xa", "--name", "a", "--switch", "/x.so"), "--symbol");
    refused(READ("xa", "--name", "a", "--switch", "/x.so", "--symbol", "s", "--dsn", "x"),
            "xa takes no --dsn");
    refused(READ("postgres", "--name", "a", "--dsn", "x", "--open-info", "y"), "are for xa");
}
END_TEST

START_TEST(numbers_have_limits_and_names_have_a_form) {
    static char *const bad[] = {"0", "257", "-1", "+1", " 1", "1x", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refused(READ("postgres", "--name", "a", "--dsn", "x", "--connections", bad[i]), "1 to 256");
    }
    refused(READ("postgres", "--name", "a", "--dsn", "x", "--patience-ms", "9"), "10 to 86400000");
    refused(READ("postgres", "--name", "a b", "--dsn", "x"), "1 to 47");
    refused(READ("postgres", "--name", "a", "--dsn", "x", "--nodes", "h1:1,,h2:2"), "host:port");
}
END_TEST

START_TEST(a_password_is_not_in_what_is_said_of_a_mistake) {
    char text[SETTINGS_TEXT_BYTES + 100];
    memset(text, 's', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "password=secret", 15);
    refused(READ("postgres", "--name", "a", "--dsn", text), "dsn: the value is not allowed");
    ck_assert_ptr_null(strstr(why, "secret"));
    refused(READ("xa", "--name", "a", "--dsn", "password=secret"), "xa needs");
    ck_assert_ptr_null(strstr(why, "secret"));
}
END_TEST

START_TEST(a_file_may_hold_the_password_and_flags_win) {
    char path[] = "/tmp/troth-agent-config-XXXXXX";
    static const char text[] = "[troth-agent]\nname = from-file\ndsn = host=db password=a=b;c'd\n"
                               "patience_ms = 70\n";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    int err = READ("postgres", "--config", path, "--name", "from-flag");
    unlink(path);
    ck_assert_msg(err == 0, "%s", why);
    ck_assert_str_eq(config.name, "from-flag");
    ck_assert_str_eq(config.dsn, "host=db password=a=b;c'd");
    ck_assert_uint_eq(config.n_patience_ms, 70);
}
END_TEST

#ifdef TROTH_INIH_HAS_MAX_LINE
START_TEST(a_long_dsn_fits_into_a_file) {
    char path[] = "/tmp/troth-agent-config-XXXXXX";
    char text[SETTINGS_TEXT_BYTES + 64];
    int n = snprintf(text, sizeof text, "[troth-agent]\nname = orders\ndsn = host=%02000d\n", 7);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, (size_t)n), n);
    close(fd);
    int err = READ("postgres", "--config", path);
    unlink(path);
    ck_assert_msg(err == 0, "%s", why);
    ck_assert_uint_eq(strlen(config.dsn), 2005);
    ck_assert_str_eq(config.dsn + 2003, "07");
}
END_TEST
#endif

START_TEST(help_needs_nothing_and_names_every_option) {
    static const char *const names[] = {"--name",     "--dsn",     "--switch",      "--symbol",
                                        "--scan-ms",  "--config",  "--open-info",   "--close-info",
                                        "--nodes",    "--cluster", "--connections", "--listen",
                                        "--log-level"};
    char *help = NULL;
    size_t n = 0;
    ck_assert_int_eq(READ("--help"), 0);
    ck_assert_int_eq(action, SETTINGS_HELP);
    FILE *out = open_memstream(&help, &n);
    agent_config_help(out);
    fclose(out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_msg(strstr(help, names[i]) != NULL, "%s", names[i]);
    }
    free(help);
    ck_assert_int_eq(READ("xa", "--version"), 0);
    ck_assert_int_eq(action, SETTINGS_VERSION);
}
END_TEST

int main(void) {
    return suite_run("agent_config",
                     (const TTest *[]){each_kind_of_database_is_read_with_its_defaults,
                                       a_kind_that_is_none_is_told_which_there_are,
                                       what_a_kind_needs_and_what_is_for_another_is_said,
                                       numbers_have_limits_and_names_have_a_form,
                                       a_password_is_not_in_what_is_said_of_a_mistake,
                                       a_file_may_hold_the_password_and_flags_win,
#ifdef TROTH_INIH_HAS_MAX_LINE
                                       a_long_dsn_fits_into_a_file,
#endif
                                       help_needs_nothing_and_names_every_option, NULL});
}

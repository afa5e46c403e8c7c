#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/tx/tx_config.h"
#include "tests/lib/suite.h"

static struct tx_config config;
static char why[TX_WHY_BYTES];

static int reads(const char *text) {
    char path[] = "/tmp/test_tx_config.XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    why[0] = '\0';
    int err = tx_config_read(&config, path, why);
    unlink(path);
    return err;
}

/* The text is refused, and the words are said. */
static void refuses(const char *text, const char *at, const char *words) {
    ck_assert_int_eq(reads(text), TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, words) != NULL, "\"%s\" is not in: %s", words, why);
    ck_assert_msg(strstr(why, at) != NULL, "\"%s\" is not in: %s", at, why);
}

#define TROTH "[troth]\nnodes = 127.0.0.1:7101\n"
#define PG    "[resource orders]\nkind = postgres\ndsn = dbname=orders\n"

START_TEST(a_whole_configuration_is_read) {
    ck_assert_int_eq(
        reads("[troth]\ncluster = shop\nnodes = 127.0.0.1:7101,127.0.0.1:7102 ; here\n"
              "   127.0.0.1:7103 ; there\ncommit_timeout = 5\npatience = 7\n"
              "[resource orders] ; the shop's\nkind = postgres\n"
              "dsn = host=/run/pg dbname=orders\n"
              "[resource stock]\nkind = mariadb\ndsn = database=stock\nagent = localhost:7301\n"
              "[resource ledger]\nkind = xa\nlibrary = ./libledger.so\nsymbol = ledger_switch\n"
              "open_info = a=1,b=2\nclose_info = bye\n"),
        0);
    ck_assert_str_eq(config.cluster, "shop");
    ck_assert_str_eq(config.nodes, "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103");
    ck_assert_uint_eq(config.commit_timeout_ms, 5000);
    ck_assert_uint_eq(config.patience_ms, 7000);
    ck_assert_uint_eq(config.n_resources, 3);
    ck_assert_str_eq(config.resources[0].name, "orders");
    ck_assert_int_eq(config.resources[0].kind, TX_KIND_POSTGRES);
    ck_assert_str_eq(config.resources[0].dsn, "host=/run/pg dbname=orders");
    ck_assert_str_eq(config.resources[0].agent, "");
    ck_assert_int_eq(config.resources[1].kind, TX_KIND_MARIADB);
    ck_assert_str_eq(config.resources[1].agent, "localhost:7301");
    ck_assert_int_eq(config.resources[2].kind, TX_KIND_XA);
    ck_assert_str_eq(config.resources[2].library, "./libledger.so");
    ck_assert_str_eq(config.resources[2].symbol, "ledger_switch");
    ck_assert_str_eq(config.resources[2].open_info, "a=1,b=2");
    ck_assert_str_eq(config.resources[2].close_info, "bye");
}
END_TEST

START_TEST(what_is_left_out_has_a_default) {
    ck_assert_int_eq(reads(TROTH PG), 0);
    ck_assert_str_eq(config.cluster, "troth");
    ck_assert_uint_eq(config.commit_timeout_ms, 30000);
    ck_assert_uint_eq(config.patience_ms, 60000);
}
END_TEST

START_TEST(what_is_wrong_is_said_with_its_line) {
    refuses(TROTH "colour = blue\n" PG, ":3: ", "unknown key \"colour\"");
    refuses(TROTH PG "speed = 9\n", ":6: ", "unknown key \"speed\" in [resource orders]");
    refuses(TROTH "[resources]\nkind = xa\n", ":4: ", "unknown section [resources]");
    refuses("nodes = a:1\n", ":1: ", "in no section");
    refuses(TROTH "[resource a b]\nkind = xa\n", ":4: ", "the name is the participant's");
    refuses(TROTH "[resource a]\nkind = oracle\n", ":4: ", "allowed are xa, postgres, mariadb");
    refuses(TROTH PG "dsn = twice\n", ":6: ", "dsn was given on line 5 already");
    refuses(TROTH PG "agent = nowhere\n", ":6: ", "nowhere");
    refuses("[troth]\nnodes = nowhere\n" PG, ":2: ", "nowhere");
    refuses(TROTH "commit_timeout = 0\n" PG, ":3: ", "1 to 3600 seconds");
    refuses(TROTH "patience = 1d\n" PG, ":3: ", "1 to 86400 seconds");
    refuses(TROTH "cluster = not a name\n" PG, ":3: ", "A-Za-z0-9._-");
    refuses(TROTH "no equals sign\n" PG, ":3: ", "name = value");
}
END_TEST

START_TEST(what_is_missing_is_said) {
    refuses(PG, "", "add nodes = host:port");
    refuses(TROTH, "", "add a section [resource NAME]");
    refuses(TROTH "[resource a]\ndsn = x\n", ":4: ", "has no kind");
    refuses(TROTH "[resource a]\nkind = postgres\n", ":4: ", "needs dsn");
    refuses(TROTH "[resource a]\nkind = xa\nsymbol = s\n", ":4: ", "needs library");
    refuses(TROTH PG "library = x\n", ":6: ", "not for kind = postgres");
}
END_TEST

START_TEST(a_cluster_whose_name_no_XA_id_can_hold_is_refused_for_XA) {
    static const char cluster[] =
        "[troth]\nnodes = a:1\ncluster = a2345678901234567890123456789012";
    char text[400];
    snprintf(text, sizeof text, "%s\n" PG, cluster);
    ck_assert_int_eq(reads(text), 0);
    snprintf(text, sizeof text, "%s\n[resource a]\nkind = mariadb\ndsn = x\n", cluster);
    refuses(text, ":5: ", "room for");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_said_with_how_it_is_named) {
    ck_assert_int_eq(tx_config_read(&config, "/nowhere/at.all", why), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/at.all"));
    ck_assert_ptr_nonnull(strstr(why, "TROTH_TX_CONFIG"));
    setenv("TROTH_TX_CONFIG", "/there/x.ini", 1);
    ck_assert_str_eq(tx_config_path(), "/there/x.ini");
    unsetenv("TROTH_TX_CONFIG");
    ck_assert_str_eq(tx_config_path(), "troth-tx.ini");
}
END_TEST

START_TEST(a_long_line_is_refused_not_cut) {
    char text[1000];
    snprintf(text, sizeof text, TROTH "[resource a]\nkind = postgres\ndsn = %0300d\n", 1);
    refuses(text, ":5: ", "too long");
}
END_TEST

int main(void) {
    return suite_run("tx_config", (const TTest *const[]){
                                      a_whole_configuration_is_read, what_is_left_out_has_a_default,
                                      what_is_wrong_is_said_with_its_line, what_is_missing_is_said,
                                      a_cluster_whose_name_no_XA_id_can_hold_is_refused_for_XA,
                                      a_file_that_is_not_there_is_said_with_how_it_is_named,
                                      a_long_line_is_refused_not_cut, NULL});
}

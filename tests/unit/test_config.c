#include "coordinator/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "shell/logline.h"
#include "tests/lib/suite.h"

static struct config config;
static enum config_action action;
static char why[CONFIG_WHY_BYTES];

/* Reads flags; NULL ends them. */
static int read_flags(char *const *flags) {
    char *argv[32] = {(char *)(uintptr_t) "trothd"};
    int argc = 1;
    while (*flags != NULL) {
        argv[argc++] = *flags++;
    }
    return config_read(&config, argc, argv, &action, why);
}
#define FLAGS(...) read_flags((char *[]){__VA_ARGS__, NULL})

/* Reads `text` as the file, with more flags. */
static int read_file(const char *text, char *const *flags) {
    char path[] = "/tmp/test_config.XXXXXX";
    char *all[32] = {(char *)(uintptr_t) "--config", path};
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    for (int i = 2; *flags != NULL; i++) {
        all[i] = *flags++;
    }
    int err = read_flags(all);
    unlink(path);
    return err;
}
#define FILE_AND_FLAGS(text, ...) read_file(text, (char *[]){__VA_ARGS__, NULL})
#define FILE_ONLY(text)           read_file(text, (char *[]){NULL})

static void refused(int err, const char *words) {
    ck_assert_int_eq(err, TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, words) != NULL, "\"%s\" lacks \"%s\"", why, words);
}

#define THREE "1=127.0.0.1:7101,2=127.0.0.1:7102,3=127.0.0.1:7103"

START_TEST(without_arguments_it_is_a_single_node_on_loopback) {
    ck_assert_int_eq(read_flags((char *[]){NULL}), 0);
    ck_assert_int_eq(action, CONFIG_RUN);
    ck_assert_str_eq(config.cluster, "troth");
    ck_assert_uint_eq(config.node, 1);
    ck_assert_uint_eq(config.nodes, 1);
    ck_assert_str_eq(config.listen, "127.0.0.1:7101");
    ck_assert_str_eq(config.data, "troth-data");
    ck_assert_uint_eq(config.heartbeat_ms, 100);
    ck_assert_uint_eq(config.phi_threshold, 8);
    ck_assert_uint_eq(config.log_level, LOGLINE_INFO);
}
END_TEST

START_TEST(a_node_listens_on_its_own_address_unless_told_otherwise) {
    ck_assert_int_eq(FLAGS("--node", "2", "--nodes", THREE), 0);
    ck_assert_str_eq(config.listen, "127.0.0.1:7102");
    ck_assert_int_eq(FLAGS("--node", "2", "--nodes", THREE, "--listen", "0.0.0.0:7102"), 0);
    ck_assert_str_eq(config.listen, "0.0.0.0:7102");
}
END_TEST

START_TEST(dash_and_underscore_and_equals_sign_are_the_same_in_flags) {
    ck_assert_int_eq(FLAGS("--heartbeat-ms=50", "--repeat_ms", "70", "--log-level=debug"), 0);
    ck_assert_uint_eq(config.heartbeat_ms, 50);
    ck_assert_uint_eq(config.repeat_ms, 70);
    ck_assert_uint_eq(config.log_level, LOGLINE_DEBUG);
}
END_TEST

START_TEST(a_file_gives_the_same_names_and_flags_win) {
    ck_assert_int_eq(FILE_AND_FLAGS("; of node 1\n[trothd]\ncluster = bank\nnode = 1\n"
                                    "nodes = " THREE "\nretention_ms = 5000\n",
                                    "--node", "3", "--cluster", "shop"),
                     0);
    ck_assert_str_eq(config.cluster, "shop");
    ck_assert_uint_eq(config.node, 3);
    ck_assert_uint_eq(config.nodes, 3);
    ck_assert_uint_eq(config.retention_ms, 5000);
    ck_assert_str_eq(config.listen, "127.0.0.1:7103");
}
END_TEST

START_TEST(the_nodes_of_a_flag_replace_those_of_the_file) {
    ck_assert_int_eq(FILE_AND_FLAGS("nodes = " THREE "\n", "--nodes", "1=127.0.0.1:9000"), 0);
    ck_assert_uint_eq(config.nodes, 1);
    ck_assert_str_eq(config.listen, "127.0.0.1:9000");
}
END_TEST

START_TEST(nodes_can_be_spread_over_indented_lines) {
    ck_assert_int_eq(
        FILE_ONLY("nodes = 1=127.0.0.1:7101,\n  2=127.0.0.1:7102,\n  3=127.0.0.1:7103\n"), 0);
    ck_assert_uint_eq(config.nodes, 3);
    ck_assert_int_eq(FILE_ONLY("nodes = 1=10.0.0.1:7101,  ; here\n"
                               "  2=10.0.0.2:7102,\t; there\n"
                               "  ; and\n"
                               "  3=10.0.0.3:7103 ; far away\n"),
                     0);
    ck_assert_uint_eq(config.nodes, 3);
    ck_assert_str_eq(config.addresses[3], "10.0.0.3:7103");
}
END_TEST

START_TEST(what_is_printed_reads_as_the_same) {
    char *text = NULL;
    size_t n;
    ck_assert_int_eq(FLAGS("--node", "2", "--nodes", THREE, "--cell", "7", "--data", "/x/y z"), 0);
    struct config before = config;
    FILE *out = open_memstream(&text, &n);
    config_print(&config, out);
    fclose(out);
    ck_assert_msg(FILE_ONLY(text) == 0, "%s in:\n%s", why, text);
    ck_assert_mem_eq(&config, &before, sizeof config);
    free(text);
}
END_TEST

START_TEST(an_unknown_key_is_named_with_file_line_and_what_is_allowed) {
    refused(FILE_ONLY("[trothd]\nnode = 1\n\nnoed = 1\n"), ":4: unknown key \"noed\"");
    ck_assert_ptr_nonnull(strstr(why, "allowed are cluster, node, nodes"));
}
END_TEST

START_TEST(a_bad_value_is_named_with_file_line_and_what_is_allowed) {
    refused(FILE_ONLY("node = 1\nheartbeat_ms = fast\n"),
            ":2: heartbeat_ms: \"fast\" is not allowed; allowed is a number from 10 to 10000");
    refused(FILE_ONLY("log_level = loud\n"), ":1: log_level: \"loud\" is not allowed");
    refused(FILE_ONLY("cluster = a b\n"), ":1: cluster: \"a b\" is no name");
    refused(FILE_ONLY("listen = here\n"), ":1: listen: \"here\" is no address");
}
END_TEST

START_TEST(the_first_of_several_errors_is_told) {
    refused(FILE_ONLY("node = 1\ncell = x\nnoed = 2\n"), ":2: cell");
}
END_TEST

START_TEST(an_unknown_section_is_refused) {
    refused(FILE_ONLY("[shard]\nnode = 1\n"), "unknown section [shard]");
}
END_TEST

START_TEST(a_key_given_twice_is_refused) {
    refused(FILE_ONLY("node = 1\nnode = 2\n"), ":2: node was given on line 1 already");
    refused(FLAGS("--node", "1", "--node=1"), "--node is given twice");
}
END_TEST

START_TEST(a_line_that_is_no_setting_is_refused) {
    refused(FILE_ONLY("node = 1\nhello\n"), ":2: not of the form");
}
END_TEST

START_TEST(a_line_longer_than_inih_takes_is_refused_not_cut) {
    char text[4000];
    snprintf(text, sizeof text, "node = 1\ndata = %03000d\n", 0);
    refused(FILE_ONLY(text), ":2: the line is too long");
}
END_TEST

START_TEST(a_file_that_never_ends_is_refused_and_a_folder_too) {
    refused(FLAGS("--config", "/dev/zero"), ":10001: more than 10000 lines");
    refused(FLAGS("--config", "/tmp"), "/tmp: it must be a file");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named) {
    refused(FLAGS("--config", "/nowhere/trothd.ini"), "/nowhere/trothd.ini: No such file");
}
END_TEST

START_TEST(an_unknown_or_incomplete_flag_is_refused) {
    refused(FLAGS("--noed", "1"), "unknown argument \"--noed\"");
    refused(FLAGS("node"), "unknown argument \"node\"");
    refused(FLAGS("--node"), "--node needs a value");
    refused(FLAGS("--node", "0"), "--node: \"0\" is not allowed; allowed is a number from 1 to 31");
    refused(FLAGS("--node", "-1"), "--node: \"-1\" is not allowed");
    refused(FLAGS("--cell", "99999999999999999999999"), "allowed is a number from 0 to 65534");
}
END_TEST

START_TEST(the_nodes_must_be_an_odd_number_without_gaps_or_doubles) {
    refused(FLAGS("--nodes", "1=a:1,2=b:2"), "allowed is an odd number");
    refused(FLAGS("--nodes", "1=a:1,2=b:2,4=c:3"), "node 3 is missing");
    refused(FLAGS("--nodes", "1=a:1,1=b:2,3=c:3"), "node 1 is given twice");
    refused(FLAGS("--nodes", "1=a:1,2=a:1,3=c:3"), "nodes 1 and 2 have the same address");
    refused(FLAGS("--nodes", "32=a:1"), "\"32\" is no number of a node");
    refused(FLAGS("--nodes", "a:1"), "not of the form 2=host:port");
    refused(FLAGS("--nodes", "1=a:70000"), "\"a:70000\" is no address");
    refused(FLAGS("--nodes", "1=:7"), "is no address");
    refused(FLAGS("--nodes", "1=::1:7101"), "[host]:port of IPv6");
    refused(FLAGS("--listen", "::1:7101"), "[host]:port of IPv6");
    ck_assert_int_eq(FLAGS("--nodes", "1=[::1]:7101"), 0);
    refused(FLAGS("--nodes", ""), "nodes: none is given; write all of them as 1=host:port,...");
}
END_TEST

START_TEST(a_node_must_be_one_of_the_nodes) {
    refused(FLAGS("--node", "4", "--nodes", THREE), "node: 4 is not one of the 3");
}
END_TEST

START_TEST(port_0_is_for_a_single_node_only) {
    ck_assert_int_eq(FLAGS("--listen", "127.0.0.1:0"), 0);
    ck_assert_int_eq(FLAGS("--nodes", "1=127.0.0.1:0"), 0);
    refused(FLAGS("--nodes", THREE, "--listen", "127.0.0.1:0"), "port 0");
    refused(FLAGS("--nodes", "1=a:1,2=b:2,3=c:0"), "node 3 has port 0");
}
END_TEST

START_TEST(a_path_over_its_limit_is_refused) {
    char path[600];
    snprintf(path, sizeof path, "%0500d", 0);
    refused(FLAGS("--data", path), "--data: allowed are 1 to 399 characters");
}
END_TEST

START_TEST(help_version_and_check_are_actions) {
    ck_assert_int_eq(FLAGS("--help"), 0);
    ck_assert_int_eq(action, CONFIG_HELP);
    ck_assert_int_eq(FLAGS("--version"), 0);
    ck_assert_int_eq(action, CONFIG_VERSION);
    ck_assert_int_eq(FLAGS("--check-config", "--node", "1"), 0);
    ck_assert_int_eq(action, CONFIG_CHECK);
    refused(FLAGS("--check-config", "--node", "9"), "not one of the 1");
}
END_TEST

START_TEST(help_names_every_option) {
    static const char *const names[] = {"--cluster", "--nodes",        "--heartbeat_ms",
                                        "--config",  "--check-config", "--stop_timeout_ms"};
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    config_help(out);
    fclose(out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_msg(strstr(text, names[i]) != NULL, "%s", names[i]);
    }
    free(text);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        without_arguments_it_is_a_single_node_on_loopback,
        a_node_listens_on_its_own_address_unless_told_otherwise,
        dash_and_underscore_and_equals_sign_are_the_same_in_flags,
        a_file_gives_the_same_names_and_flags_win,
        the_nodes_of_a_flag_replace_those_of_the_file,
        nodes_can_be_spread_over_indented_lines,
        what_is_printed_reads_as_the_same,
        an_unknown_key_is_named_with_file_line_and_what_is_allowed,
        a_bad_value_is_named_with_file_line_and_what_is_allowed,
        the_first_of_several_errors_is_told,
        an_unknown_section_is_refused,
        a_key_given_twice_is_refused,
        a_line_that_is_no_setting_is_refused,
        a_line_longer_than_inih_takes_is_refused_not_cut,
        a_file_that_never_ends_is_refused_and_a_folder_too,
        a_file_that_is_not_there_is_named,
        an_unknown_or_incomplete_flag_is_refused,
        the_nodes_must_be_an_odd_number_without_gaps_or_doubles,
        a_node_must_be_one_of_the_nodes,
        port_0_is_for_a_single_node_only,
        a_path_over_its_limit_is_refused,
        help_version_and_check_are_actions,
        help_names_every_option,
        NULL,
    };
    return suite_run("config", tests);
}

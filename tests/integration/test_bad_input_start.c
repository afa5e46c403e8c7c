/* Command lines and configuration files: what is wrong is said with its place and what is allowed,
 * with exit status 2; help and version are there everywhere. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/folder.h"
#include "harness/programs.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

#define WRONG_USE  2
#define PATH_BYTES 4400

static void run_program(struct program_run *run, enum program which, const char *const *args) {
    char program[PROGRAMS_PATH_BYTES];
    char why[512];
    ck_assert_msg(program_find(NULL, which, program, why, sizeof why) == 0, "%s", why);
    program_run(run, program, args);
}

static void ends(enum program which, const char *const *args, int status,
                 const char *const *words) {
    struct program_run run;
    run_program(&run, which, args);
    ck_assert_msg(run.status == status, "exit status %d instead of %d: %s", run.status, status,
                  run.output);
    scene_has_words(run.output, words);
    program_run_release(&run);
}

/* What a process has under that number; "" for nothing. */
static const char *file_of(pid_t process, int fd) {
    static char found[PATH_BYTES];
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", process, fd);
    ssize_t n = readlink(link, found, sizeof found - 1);
    found[n < 0 ? 0 : n] = '\0';
    return found;
}

/* It has a socket, and so all that it opens before. */
static bool listens(pid_t process) {
    bool found = false;
    for (int fd = 0; fd < 64 && !found; fd++) {
        found = strncmp(file_of(process, fd), "socket:", 7) == 0;
    }
    return found;
}

/* ---- Configuration files ------------------------------------------------------------------- */

/* `line` 0: whichever it is. */
static void file_is_refused(enum program which, const char *content, unsigned line,
                            const char *const *words) {
    char folder[PATH_BYTES];
    char path[PATH_BYTES + 32];
    char place[PATH_BYTES + 64];
    ck_assert_int_eq(folder_make_temporary(folder, sizeof folder), 0);
    snprintf(path, sizeof path, "%s/troth.conf", folder);
    snprintf(place, sizeof place, line == 0 ? "%s:" : "%s:%u: ", path, line);
    file_write(path, content);
    const char *const check[] = {"--config", path, "--check-config", NULL};
    const char *const run[] = {"--config", path, NULL};
    const char *const *args = which == PROGRAM_TROTHD ? check : run;
    ends(which, args, WRONG_USE, (const char *[]){place, NULL});
    ends(which, args, WRONG_USE, words);
    ends(which, run, WRONG_USE, words); /* nor does it start */
    folder_remove(folder);
}

START_TEST(an_unknown_key_is_refused_with_its_line_and_the_keys_that_there_are) {
    static const char content[] = "[%s]\n# a comment\ncluster = troth\nclutser = troth\n";
    char text[200];
    snprintf(text, sizeof text, content, "trothd");
    file_is_refused(PROGRAM_TROTHD, text, 4,
                    (const char *[]){"\"clutser\"", "allowed", "cluster", "retention_ms", NULL});
    snprintf(text, sizeof text, content, "troth-shard");
    file_is_refused(PROGRAM_SHARD, text, 4,
                    (const char *[]){"\"clutser\"", "allowed", "cluster", "listen", NULL});
    file_is_refused(PROGRAM_TROTHD, "[other]\nnode = 1\n", 2,
                    (const char *[]){"[other]", "allowed", "[trothd]", NULL});
}
END_TEST

START_TEST(a_bad_value_is_refused_with_its_line_and_what_is_allowed) {
    static const struct {
        const char *content;
        unsigned line;
        const char *words[4];
    } cases[] = {
        {"heartbeat_ms = 5\n", 1, {"heartbeat_ms", "\"5\"", "10 to 10000"}},
        {"\nheartbeat_ms = fast\n", 2, {"heartbeat_ms", "\"fast\"", "a number from"}},
        {"heartbeat_ms = -1\n", 1, {"heartbeat_ms", "\"-1\"", "a number from"}},
        {"heartbeat_ms = 99999999999999999999\n", 1, {"heartbeat_ms", "a number from"}},
        {"cluster = two words\n", 1, {"cluster", "two words", "1 to 47"}},
        {"log_level = loud\n", 1, {"log_level", "loud", "error, warn, info"}},
        {"listen = nowhere\n", 1, {"listen", "nowhere", "host:port"}},
        {"nodes = 1=127.0.0.1:99999\n", 1, {"nodes", "127.0.0.1:99999", "host:port"}},
        {"nodes = one=127.0.0.1:7101\n", 1, {"nodes", "one", "number of a node"}},
        {"node = 1\nnode = 2\n", 2, {"node", "line 1"}},
        {"node\n", 1, {"name = value"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_is_refused(PROGRAM_TROTHD, cases[i].content, cases[i].line, cases[i].words);
    }
    file_is_refused(PROGRAM_SHARD, "nodes = nowhere\n", 1,
                    (const char *[]){"nodes", "nowhere", "host:port", NULL});
}
END_TEST

START_TEST(nodes_that_make_no_cluster_are_refused) {
    ends(PROGRAM_TROTHD,
         (const char *[]){"--nodes", "1=127.0.0.1:7101,2=127.0.0.1:7102", "--check-config", NULL},
         WRONG_USE, (const char *[]){"nodes", "odd", NULL});
    ends(PROGRAM_TROTHD,
         (const char *[]){"--node", "3", "--nodes", "1=127.0.0.1:7101", "--check-config", NULL},
         WRONG_USE, (const char *[]){"node", "3", NULL});
    ends(PROGRAM_TROTHD,
         (const char *[]){"--nodes", "1=127.0.0.1:7101,1=127.0.0.1:7102", "--check-config", NULL},
         WRONG_USE, (const char *[]){"node 1", "twice", NULL});
}
END_TEST

START_TEST(a_file_that_is_not_there_is_refused) {
    static const enum program programs[] = {PROGRAM_TROTHD, PROGRAM_SHARD};
    for (int i = 0; i < 2; i++) {
        ends(programs[i], (const char *[]){"--config", "/not/there.conf", NULL}, WRONG_USE,
             (const char *[]){"/not/there.conf", "No such file", NULL});
    }
}
END_TEST

START_TEST(bytes_that_are_no_configuration_are_refused) {
    uint64_t seed = 5;
    char text[600];
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < sizeof text - 1; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)(1 + (seed >> 33) % 255);
        }
        text[0] = 'x'; /* not all of it is a comment */
        text[sizeof text - 1] = '\0';
        file_is_refused(PROGRAM_TROTHD, text, 0, (const char *[]){"trothd: ", NULL});
    }
}
END_TEST

/* What --check-config prints is a configuration that gives the same. */
START_TEST(a_good_configuration_is_printed_and_is_good_again) {
    char folder[PATH_BYTES];
    char path[PATH_BYTES + 32];
    struct program_run first;
    struct program_run second;
    ck_assert_int_eq(folder_make_temporary(folder, sizeof folder), 0);
    snprintf(path, sizeof path, "%s/troth.conf", folder);
    file_write(path, "[trothd]\nnode = 2\nnodes = 1=127.0.0.1:1,2=127.0.0.1:2,\n"
                     "        3=127.0.0.1:3\nretention-ms = 5000\n");
    run_program(&first, PROGRAM_TROTHD,
                (const char *[]){"--config", path, "--cluster", "troy", "--check-config", NULL});
    ck_assert_msg(first.status == 0, "%s", first.output);
    scene_has_words(first.output,
                    (const char *[]){"node = 2\n", "3=127.0.0.1:3\n", "retention_ms = 5000\n",
                                     "cluster = troy\n", NULL});
    file_write(path, first.output);
    run_program(&second, PROGRAM_TROTHD,
                (const char *[]){"--config", path, "--check-config", NULL});
    ck_assert_str_eq(first.output, second.output);
    program_run_release(&first);
    program_run_release(&second);
    folder_remove(folder);
}
END_TEST

/* ---- Flags and commands -------------------------------------------------------------------- */

START_TEST(an_unknown_flag_or_one_without_its_value_is_refused) {
    static const enum program programs[] = {PROGRAM_TROTHD, PROGRAM_SHARD, PROGRAM_TROTH};
    static const char *const names[] = {"trothd", "troth-shard", "troth"};
    for (int i = 0; i < 3; i++) {
        ends(programs[i], (const char *[]){"--frobnicate", NULL}, WRONG_USE,
             (const char *[]){names[i], "--frobnicate", "--help", NULL});
        ends(programs[i], (const char *[]){"--nodes", NULL}, WRONG_USE,
             (const char *[]){names[i], "--nodes", "value", NULL});
        ends(programs[i], (const char *[]){"frobnicate", NULL}, WRONG_USE,
             (const char *[]){names[i], "frobnicate", "--help", NULL});
    }
    ends(PROGRAM_TROTHD, (const char *[]){"--heartbeat-ms", "1", NULL}, WRONG_USE,
         (const char *[]){"--heartbeat_ms", "\"1\"", "10 to 10000", NULL});
    ends(PROGRAM_TROTHD, (const char *[]){"--node", "1", "--node", "2", NULL}, WRONG_USE,
         (const char *[]){"--node", "twice", NULL});
    ends(PROGRAM_SHARD, (const char *[]){"--name", "two words", NULL}, WRONG_USE,
         (const char *[]){"name", "two words", "1 to 47", NULL});
}
END_TEST

/* Whatever got number 2 would be sent the log. */
START_TEST(a_program_without_standard_streams_gives_their_numbers_to_nothing_else) {
    static const enum program programs[] = {PROGRAM_TROTHD, PROGRAM_SHARD, PROGRAM_AGENT};
    for (int i = 0; i < 3; i++) {
        char folder[PATH_BYTES], program[PROGRAMS_PATH_BYTES], why[512];
        ck_assert_int_eq(folder_make_temporary(folder, sizeof folder), 0);
        ck_assert_int_eq(program_find(NULL, programs[i], program, why, sizeof why), 0);
        pid_t child = fork();
        if (child == 0) {
            for (int fd = 0; fd < 3; fd++) {
                close(fd);
            }
            if (i == 0) {
                execl(program, "trothd", "--nodes", "1=127.0.0.1:0", "--data", folder, NULL);
            } else if (i == 1) {
                execl(program, "troth-shard", "--listen", "127.0.0.1:0", "--data", folder, NULL);
            }
            execl(program, "troth-agent", "postgres", "--name", "a", "--dsn",
                  "host=127.0.0.1 port=1", "--listen", "127.0.0.1:0", NULL);
            _exit(127);
        }
        while (!listens(child)) {
            ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
            usleep(10000);
        }
        for (int fd = 1; fd < 3; fd++) { /* 0 has gRPC's, since before main (shell/std_fds.h) */
            ck_assert_str_eq(file_of(child, fd), "/dev/null");
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        folder_remove(folder);
    }
}
END_TEST

START_TEST(every_program_and_command_has_help_and_a_version) {
    static const enum program programs[] = {PROGRAM_TROTHD, PROGRAM_SHARD, PROGRAM_TROTH};
    static const char *const names[] = {"trothd", "troth-shard", "troth"};
    static const char *const commands[][2] = {
        {"tx", "list"}, {"tx", "show"}, {"tx", "begin"}, {"tx", "commit"}, {"tx", "abort"},
        {"tx", "get"},  {"kv", "get"},  {"kv", "put"},   {"kv", "delete"}, {"kv", "add"},
        {"kv", "cas"},  {"kv", "scan"}, {"kv", "txn"}};
    for (int i = 0; i < 3; i++) {
        ends(programs[i], (const char *[]){"--help", NULL}, 0,
             (const char *[]){names[i], "--help", "xit status", NULL});
        ends(programs[i], (const char *[]){"--version", NULL}, 0,
             (const char *[]){names[i], " 0.", NULL});
    }
    ends(PROGRAM_TROTH, (const char *[]){"status", "--help", NULL}, 0,
         (const char *[]){"troth status", NULL});
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char command[32];
        snprintf(command, sizeof command, "troth %s %s", commands[i][0], commands[i][1]);
        ends(PROGRAM_TROTH, (const char *[]){commands[i][0], commands[i][1], "--help", NULL}, 0,
             (const char *[]){command, NULL});
    }
}
END_TEST

START_TEST(a_command_of_troth_with_wrong_arguments_is_refused) {
    static const struct {
        const char *args[5];
        const char *words[3];
    } cases[] = {
        {{"tx", "undo"}, {"undo", "--help"}},
        {{"tx", "show"}, {"TXID", "--help"}},
        {{"tx", "show", "12"}, {"\"12\"", "32 hexadecimal digits"}},
        {{"tx", "abort", "0000000100000001000000000000000g"}, {"txid", "32 hexadecimal digits"}},
        {{"kv", "put", "key"}, {"too few", "KEY VALUE"}},
        {{"kv", "add", "key", "many"}, {"many"}},
        {{"status", "--timeout-ms", "soon"}, {"soon"}},
        {{"status", "--nodes", "nowhere"}, {"nowhere"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ends(PROGRAM_TROTH, cases[i].args, WRONG_USE, cases[i].words);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        an_unknown_key_is_refused_with_its_line_and_the_keys_that_there_are,
        a_bad_value_is_refused_with_its_line_and_what_is_allowed,
        nodes_that_make_no_cluster_are_refused,
        a_file_that_is_not_there_is_refused,
        bytes_that_are_no_configuration_are_refused,
        a_good_configuration_is_printed_and_is_good_again,
        an_unknown_flag_or_one_without_its_value_is_refused,
        a_program_without_standard_streams_gives_their_numbers_to_nothing_else,
        every_program_and_command_has_help_and_a_version,
        a_command_of_troth_with_wrong_arguments_is_refused,
        NULL,
    };
    return suite_run("bad_input_start", tests);
}

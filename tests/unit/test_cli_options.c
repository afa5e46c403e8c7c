/* The command line: what is wrong is refused with the reason, before anything is asked. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "tests/lib/suite.h"

/* Parses words as main does; what goes to standard error and output is in `said`. */
struct parsed {
    struct cli cli;
    int status;
    int argc;
    char *argv[16];
    char text[512]; /* the words, copied: the parser may change them */
    char said[16384];
};

static void parse(struct parsed *parsed, const char *line) {
    *parsed = (struct parsed){.argc = 0};
    snprintf(parsed->text, sizeof parsed->text, "%s", line);
    for (char *word = strtok(parsed->text, " "); word != NULL; word = strtok(NULL, " ")) {
        parsed->argv[parsed->argc++] = word;
    }
    FILE *file = tmpfile();
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    parsed->status = cli_parse(&parsed->cli, &parsed->argc, parsed->argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(file);
    parsed->said[fread(parsed->said, 1, sizeof parsed->said - 1, file)] = '\0';
    fclose(file);
}

START_TEST(a_wrong_command_line_is_refused_with_the_reason_and_the_way_to_help) {
    static const struct {
        const char *line;
        const char *reason;
        const char *help;
    } wrong[] = {
        {"troth", "no command is given", "troth --help"},
        {"troth frobnicate", "no command \"frobnicate\"", "troth --help"},
        {"troth tx", "no command is given", "troth tx --help"},
        {"troth tx frobnicate", "no command \"frobnicate\"", "troth tx --help"},
        {"troth tx show", "too few arguments", "troth tx show --help"},
        {"troth tx show a b", "too many arguments", "troth tx show --help"},
        {"troth status --frobnicate", "--frobnicate is no option\n", "troth status --help"},
        {"troth status -x", "-x is no option\n", "troth status --help"},
        {"troth status --json=yes", "--json=yes: this option takes no value",
         "troth status --help"},
        {"troth status --nodes", "--nodes lacks its value", "troth status --help"},
        {"troth status --nodes=", "--nodes: the list is empty", "troth status --help"},
        {"troth status --shards=", "--shards: the list is empty", "troth status --help"},
        {"troth status extra", "it takes: troth status\n", "troth status --help"},
        {"troth status --minimum 3", "--minimum is no option of this", "troth status --help"},
        {"troth kv get --timeout-ms 0 k", "no number from 1", "--help"},
        {"troth kv get --timeout-ms soon k", "no number from 1", "--help"},
        {"troth tx list --outcome maybe", "none of committed, aborted", "--help"},
        {"troth kv add k 1 --minimum x", "no whole number", "--help"},
        {"troth bench", "it takes: troth bench WORKLOAD", "troth bench --help"},
        {"troth bench bank --clients 0", "no number from 1 to 1024", "troth bench --help"},
        {"troth bench bank --read-share 101", "no number from 0 to 100", "troth bench --help"},
        {"troth tx forget", "too few arguments", "troth tx forget --help"},
        {"troth tx forget a --who=", "give 1 to 64 bytes", "troth tx forget --help"},
        {"troth tx list --agent h:1", "--agent is no option of this", "tx list --help"},
        {"troth tx show a --yes-i-know", "--yes-i-know is no option", "tx show --help"},
        {"troth agent", "it takes: troth agent HOST:PORT", "troth agent --help"},
        {"troth kv get k --history a.edn", "--history is no option of this", "kv get --help"},
        {"troth bench append --seconds 0", "no number from 1", "See: troth bench --help"},
        {"troth --limit 0 tx list", "no number from 1", "See: troth tx list --help"},
        {"troth --json=yes", "takes no value", "See: troth --help"},
        {"troth frobnicate status", "no command \"frobnicate\"", "See: troth --help"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct parsed parsed;
        parse(&parsed, wrong[i].line);
        ck_assert_msg(parsed.status == CLI_USAGE, "%s: %d", wrong[i].line, parsed.status);
        ck_assert_msg(strstr(parsed.said, wrong[i].reason) != NULL, "%s: %s", wrong[i].line,
                      parsed.said);
        ck_assert_msg(strstr(parsed.said, wrong[i].help) != NULL, "%s: %s", wrong[i].line,
                      parsed.said);
    }
}
END_TEST

START_TEST(every_command_has_help_with_an_example) {
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        char line[128];
        char example[128];
        snprintf(line, sizeof line, "troth %s %s --help", command->group, command->name);
        snprintf(example, sizeof example, "  troth %s%s%s", command->group,
                 command->group[0] == '\0' ? "" : " ", command->name);
        struct parsed parsed;
        parse(&parsed, line);
        ck_assert_int_eq(parsed.status, CLI_DONE);
        /* The example of `tx begin` is a script. */
        ck_assert_msg(strstr(parsed.said, example) != NULL ||
                          strstr(parsed.said, "$(troth") != NULL,
                      "%s", parsed.said);
        ck_assert_ptr_nonnull(strstr(parsed.said, "Exit status:"));
    }
}
END_TEST

START_TEST(options_may_stand_before_and_behind_the_command) {
    struct parsed parsed;
    parse(&parsed, "troth --json tx --nodes h:1 show --timeout-ms 7 abc");
    ck_assert_int_eq(parsed.status, -1);
    ck_assert_str_eq(parsed.cli.command->name, "show");
    ck_assert_str_eq(parsed.cli.path, "troth tx show");
    ck_assert(parsed.cli.json);
    ck_assert_str_eq(parsed.cli.nodes, "h:1");
    ck_assert_uint_eq(parsed.cli.timeout_ms, 7);
    ck_assert_int_eq(parsed.argc, 1);
    ck_assert_str_eq(parsed.argv[0], "abc");
}
END_TEST

START_TEST(each_of_an_operators_options_is_its_own) {
    struct parsed parsed;
    parse(&parsed, "troth tx resolve t --commit --agent h:1 --who ada --force");
    ck_assert_int_eq(parsed.status, -1);
    ck_assert(parsed.cli.commit && parsed.cli.force);
    ck_assert(!parsed.cli.abort && !parsed.cli.yes && !parsed.cli.yes_i_know);
    ck_assert_str_eq(parsed.cli.agent, "h:1");
    ck_assert_str_eq(parsed.cli.who, "ada");
    parse(&parsed, "troth tx resolve t --abort --yes-i-know");
    ck_assert(parsed.cli.abort && parsed.cli.yes_i_know);
    ck_assert(!parsed.cli.commit && !parsed.cli.yes && !parsed.cli.heuristic);
    parse(&parsed, "troth tx forget t --yes");
    ck_assert(parsed.cli.yes && !parsed.cli.yes_i_know);
    parse(&parsed, "troth tx list --heuristic");
    ck_assert(parsed.cli.heuristic && !parsed.cli.in_doubt);
}
END_TEST

START_TEST(negative_numbers_are_no_options) {
    struct parsed parsed;
    parse(&parsed, "troth kv txn add alice -10 add bob 10 --minimum -5 --json");
    ck_assert_int_eq(parsed.status, -1);
    ck_assert_int_eq(parsed.argc, 6);
    ck_assert_str_eq(parsed.argv[2], "-10");
    ck_assert(parsed.cli.has_minimum);
    ck_assert_int_eq(parsed.cli.minimum, -5);
    ck_assert(parsed.cli.json);
}
END_TEST

START_TEST(behind_two_dashes_everything_is_an_argument) {
    struct parsed parsed;
    parse(&parsed, "troth kv put k -- --json");
    ck_assert_int_eq(parsed.status, -1);
    ck_assert_int_eq(parsed.argc, 2);
    ck_assert_str_eq(parsed.argv[1], "--json");
    ck_assert(!parsed.cli.json);
}
END_TEST

START_TEST(no_colours_but_on_a_terminal) {
    struct parsed parsed;
    parse(&parsed, "troth status");
    ck_assert_int_eq(parsed.status, -1);
    ck_assert(!parsed.cli.color);
}
END_TEST

START_TEST(whole_numbers_only) {
    int64_t number = 0;
    ck_assert(cli_number("-9223372036854775808", &number));
    ck_assert_int_eq(number, INT64_MIN);
    ck_assert(cli_number("+5", &number));
    static const char *const wrong[] = {"", " 5", "5 ", "5x", "0x5", "9223372036854775808", "1.5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(!cli_number(wrong[i], &number), "%s", wrong[i]);
    }
}
END_TEST

START_TEST(bytes_that_are_no_text_are_shown_as_hex) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *shown;
    } cases[] = {{"k\xc3\xa4se", 5, "k\xc3\xa4se"},
                 {"a\n", 2, "hex:610a"},
                 {"\xff", 1, "hex:ff"},
                 {"\xc3", 1, "hex:c3"},
                 {"", 0, ""},
                 {"\x1b[31m", 5, "hex:1b5b33316d"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_object *object = cli_json_bytes(cases[i].bytes, cases[i].n);
        ck_assert_str_eq(json_object_get_string(object), cases[i].shown);
        json_object_put(object);
    }
}
END_TEST

START_TEST(reasons_have_names_and_one_of_a_later_version_is_shown_by_its_number) {
    ck_assert_str_eq(cli_reason_name(TROTH_ABORT_NOT_KNOWN), "");
    ck_assert_str_eq(cli_reason_name(TROTH_ABORT_CONFLICT), "conflict");
    ck_assert_str_eq(cli_reason_name(TROTH_ABORT_BUSY), "busy");
    ck_assert_str_eq(cli_reason_name(TROTH_ABORT_BUSY + 1), "9");
    ck_assert_str_eq(cli_reason_name(-1), "-1");
}
END_TEST

int main(void) {
    return suite_run(
        "cli_options",
        (const TTest *[]){
            a_wrong_command_line_is_refused_with_the_reason_and_the_way_to_help,
            every_command_has_help_with_an_example, options_may_stand_before_and_behind_the_command,
            negative_numbers_are_no_options, each_of_an_operators_options_is_its_own,
            behind_two_dashes_everything_is_an_argument, no_colours_but_on_a_terminal,
            whole_numbers_only, bytes_that_are_no_text_are_shown_as_hex,
            reasons_have_names_and_one_of_a_later_version_is_shown_by_its_number, NULL});
}

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "load/load.h"

static const char OPTIONS_HELP[] =
    "Options, before or behind the command:\n"
    "  --nodes LIST      host:port,host:port,... of the nodes; else $TROTH_NODES, else\n"
    "                    127.0.0.1:7101\n"
    "  --shards LIST     name=host:port,... of the key-value shards; else $TROTH_SHARDS\n"
    "  --timeout-ms N    how long to wait, milliseconds; 10000, of `status`, `list`, `show` 2000\n"
    "  --json            print JSON\n"
    "  --no-color        no colours; they are used on a terminal only, and not with $NO_COLOR\n"
    "  --help, --version\n";

static const struct {
    const char *name;
    const char *text;
} own_options[] = {
    {"in-doubt", "  --in-doubt        only those with a branch that voted and knows no outcome\n"},
    {"heuristic", "  --heuristic       instead, the branches that ended by themselves\n"},
    {"agent", "  --agent HOST:PORT the agent of the branch's database\n"},
    {"commit", "  --commit          end the branch by commit\n"},
    {"abort", "  --abort           end the branch by rollback\n"},
    {"force", "  --force           even against the transaction's known outcome\n"},
    {"who", "  --who NAME        who does this, for the records; the user's name\n"},
    {"yes", "  --yes             do not ask\n"},
    {"yes-i-know", "  --yes-i-know      do not ask, twice\n"},
    {"outcome", "  --outcome WHICH   only committed, aborted or none (not decided yet)\n"},
    {"limit", "  --limit N         at most so many\n"},
    {"open-ms", "  --open-ms N       the transaction aborts by itself after so long; 30000\n"},
    {"minimum", "  --minimum N       refuse a smaller sum\n"},
    {"expect", "  --expect VALUE    the value it must have\n"},
    {"absent", "  --absent          the key must not be there\n"},
    {"from", "  --from KEY        the first key\n"},
    {"to", "  --to KEY          the key to stop before\n"},
    {"tx", "  --tx TXID         within this transaction, see `troth tx begin --help`\n"},
    {"clients", "  --clients N       so many at work at once, each with one transaction; 8\n"},
    {"seconds", "  --seconds N       for so long; 10, without end if --transactions is given\n"},
    {"transactions", "  --transactions N  end after so many were tried\n"},
    {"keys", "  --keys N          lists in use at a time, 16; or accounts, 64\n"},
    {"max-txn-length", "  --max-txn-length N  steps of a transaction on lists, at most; 4\n"},
    {"read-share", "  --read-share N    percent of the steps that read, 50; or of the bank's\n"
                   "                    transactions that read all balances, 10\n"},
    {"one-call", "  --one-call        the bank's transfers come with Commit, as one call each\n"},
    {"seed", "  --seed N          of what the clients draw; another each time\n"},
    {"history", "  --history FILE    write what the clients saw, for Elle, Knossos or Porcupine\n"},
    {"history-format",
     "  --history-format FORMAT  edn or jsonl; without it the file's end tells\n"},
    {"keep", "  --keep            leave the keys where they are\n"},
};

static const char EXIT_HELP[] =
    "Exit status:\n"
    "  0  done, committed\n"
    "  1  aborted, or not found\n"
    "  2  the command line is wrong\n"
    "  3  no majority of the nodes answers, or the outcome is not known yet\n"
    "  4  nobody could be reached\n"
    "  5  another error\n";

enum {
    OPT_NODES = 256,
    OPT_SHARDS,
    OPT_TIMEOUT,
    OPT_JSON,
    OPT_NO_COLOR,
    OPT_HELP,
    OPT_VERSION,
    OPT_OWN, /* the first that belongs to some commands only */
    OPT_IN_DOUBT = OPT_OWN,
    OPT_ABSENT,
    OPT_OUTCOME,
    OPT_EXPECT,
    OPT_FROM,
    OPT_TO,
    OPT_TX,
    OPT_LIMIT,
    OPT_OPEN_MS,
    OPT_MINIMUM,
    OPT_CLIENTS,
    OPT_SECONDS,
    OPT_TRANSACTIONS,
    OPT_KEYS,
    OPT_LENGTH,
    OPT_READ_SHARE,
    OPT_SEED,
    OPT_HISTORY,
    OPT_FORMAT,
    OPT_KEEP,
    OPT_ONE_CALL,
    OPT_HEURISTIC, /* see take_operator_option */
    OPT_COMMIT,
    OPT_ABORT,
    OPT_FORCE,
    OPT_YES,
    OPT_YES_I_KNOW,
    OPT_AGENT,
    OPT_WHO
};

static const struct option long_options[] = {
    {"nodes", required_argument, NULL, OPT_NODES},
    {"shards", required_argument, NULL, OPT_SHARDS},
    {"timeout-ms", required_argument, NULL, OPT_TIMEOUT},
    {"json", no_argument, NULL, OPT_JSON},
    {"no-color", no_argument, NULL, OPT_NO_COLOR},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"in-doubt", no_argument, NULL, OPT_IN_DOUBT},
    {"absent", no_argument, NULL, OPT_ABSENT},
    {"outcome", required_argument, NULL, OPT_OUTCOME},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"tx", required_argument, NULL, OPT_TX},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"open-ms", required_argument, NULL, OPT_OPEN_MS},
    {"minimum", required_argument, NULL, OPT_MINIMUM},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"transactions", required_argument, NULL, OPT_TRANSACTIONS},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"max-txn-length", required_argument, NULL, OPT_LENGTH},
    {"read-share", required_argument, NULL, OPT_READ_SHARE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"history", required_argument, NULL, OPT_HISTORY},
    {"history-format", required_argument, NULL, OPT_FORMAT},
    {"keep", no_argument, NULL, OPT_KEEP},
    {"one-call", no_argument, NULL, OPT_ONE_CALL},
    {"heuristic", no_argument, NULL, OPT_HEURISTIC},
    {"agent", required_argument, NULL, OPT_AGENT},
    {"commit", no_argument, NULL, OPT_COMMIT},
    {"abort", no_argument, NULL, OPT_ABORT},
    {"force", no_argument, NULL, OPT_FORCE},
    {"who", required_argument, NULL, OPT_WHO},
    {"yes", no_argument, NULL, OPT_YES},
    {"yes-i-know", no_argument, NULL, OPT_YES_I_KNOW},
    {NULL, 0, NULL, 0},
};

/* ---- Help and errors ------------------------------------------------------------------------- */

static void print_commands(FILE *file, const char *group) {
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        if (group == NULL || strcmp(group, command->group) == 0) {
            char usage[64];
            snprintf(usage, sizeof usage, "%s%s%s %s", command->group,
                     command->group[0] == '\0' ? "" : " ", command->name, command->arguments);
            fprintf(file, "  troth %-24s %s\n", usage, command->summary);
        }
    }
}

static bool takes(const struct cli_command *command, const char *option) {
    size_t n = strlen(option);
    for (const char *at = command->options; *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (length == n && memcmp(at, option, n) == 0) {
            return true;
        }
        at += length + strspn(at + length, " ");
    }
    return false;
}

static int print_help(const char *group, const struct cli_command *command) {
    if (command == NULL) {
        printf("troth: look at a Troth cluster, and use it.\n\n");
        print_commands(stdout, group);
        printf("\nEach command has its own --help, with an example.\n\n%s\n%s", OPTIONS_HELP,
               EXIT_HELP);
        return CLI_DONE;
    }
    printf("troth %s%s%s%s%s: %s\n\n%s\n", command->group, command->group[0] == '\0' ? "" : " ",
           command->name, command->arguments[0] == '\0' ? "" : " ", command->arguments,
           command->summary, command->help);
    for (size_t i = 0; i < sizeof own_options / sizeof *own_options; i++) {
        if (takes(command, own_options[i].name)) {
            fputs(own_options[i].text, stdout);
        }
    }
    printf("%s%s\n%s", command->options[0] == '\0' ? "" : "\n", OPTIONS_HELP, EXIT_HELP);
    return CLI_DONE;
}

int cli_usage(const struct cli *cli, const char *format, ...) {
    fprintf(stderr, "%s: ", cli->path);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\nSee: %s --help\n", cli->path);
    return CLI_USAGE;
}

/* ---- Options --------------------------------------------------------------------------------- */

bool cli_number(const char *text, int64_t *number) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || strspn(text, "+-0123456789") != strlen(text)) {
        return false;
    }
    *number = value;
    return true;
}

static int take_between(struct cli *cli, const char *name, int64_t min, int64_t max,
                        uint32_t *out) {
    int64_t number;
    if (!cli_number(optarg, &number) || number < min || number > max) {
        return cli_usage(cli, "--%s: \"%s\" is no number from %lld to %lld", name, optarg,
                         (long long)min, (long long)max);
    }
    *out = (uint32_t)number;
    return -1;
}

/* A number of 1 to `max`. */
static int take_count(struct cli *cli, const char *name, int64_t max, uint32_t *out) {
    return take_between(cli, name, 1, max, out);
}

static int take_minimum(struct cli *cli) {
    cli->has_minimum = cli_number(optarg, &cli->minimum);
    return cli->has_minimum ? -1 : cli_usage(cli, "--minimum: \"%s\" is no whole number", optarg);
}

static int take_outcome(struct cli *cli) {
    cli->outcome = optarg;
    if (strcmp(optarg, "committed") != 0 && strcmp(optarg, "aborted") != 0 &&
        strcmp(optarg, "none") != 0) {
        return cli_usage(cli, "--outcome: \"%s\" is none of committed, aborted, none", optarg);
    }
    return -1;
}

/* An empty list is a variable that nobody set: falling back would ask some other cluster. */
static int take_list(struct cli *cli, const char *name, const char **list) {
    *list = optarg;
    return optarg[0] != '\0' ? -1 : cli_usage(cli, "--%s: the list is empty", name);
}

/* What getopt_long did not take. optopt is 0 for an unknown long option, a letter for a short one,
 * and an option's own value when its argument is missing, or was given to one that takes none. */
static int refuse_option(struct cli *cli, int why, const char *word) {
    if (why == ':') {
        return cli_usage(cli, "%s lacks its value", word);
    }
    if (optopt >= OPT_NODES) {
        return cli_usage(cli, "%s: this option takes no value", word);
    }
    return optopt != 0 ? cli_usage(cli, "-%c is no option", optopt)
                       : cli_usage(cli, "%s is no option", word);
}

/* Those that deal with branches which ended, or are to end, by themselves. */
static int take_operator_option(struct cli *cli, int option) {
    bool *const flags[] = {&cli->heuristic, &cli->commit, &cli->abort,
                           &cli->force,     &cli->yes,    &cli->yes_i_know};
    if (option < OPT_AGENT) {
        *flags[option - OPT_HEURISTIC] = true;
        return -1;
    }
    *(option == OPT_AGENT ? &cli->agent : &cli->who) = optarg;
    bool fits = optarg[0] != '\0' && strlen(optarg) <= 64;
    return option == OPT_AGENT || fits ? -1 : cli_usage(cli, "--who: give 1 to 64 bytes");
}

/* Those of `troth bench`. */
static int take_bench_option(struct cli *cli, int option) {
    struct cli_bench *bench = &cli->bench;
    switch (option) {
    case OPT_CLIENTS:
        return take_count(cli, "clients", LOAD_CLIENTS_MAX, &bench->clients);
    case OPT_SECONDS:
        return take_count(cli, "seconds", 1000000, &bench->seconds);
    case OPT_TRANSACTIONS:
        return take_count(cli, "transactions", UINT32_MAX, &bench->transactions);
    case OPT_KEYS:
        return take_count(cli, "keys", LOAD_KEYS_MAX, &bench->keys);
    case OPT_LENGTH:
        return take_count(cli, "max-txn-length", LOAD_LENGTH_MAX, &bench->length_max);
    case OPT_READ_SHARE:
        bench->has_read_share = true;
        return take_between(cli, "read-share", 0, 100, &bench->read_share);
    case OPT_SEED:
        bench->has_seed = true;
        return take_between(cli, "seed", 0, UINT32_MAX, &bench->seed);
    case OPT_HISTORY:
    case OPT_FORMAT:
        *(option == OPT_HISTORY ? &bench->history : &bench->format) = optarg;
        return -1;
    case OPT_KEEP:
    case OPT_ONE_CALL:
        *(option == OPT_KEEP ? &bench->keep : &bench->one_call) = true;
        return -1;
    default:
        return CLI_ERROR;
    }
}

static int take_option(struct cli *cli, int option) {
    switch (option) {
    case OPT_NODES:
        return take_list(cli, "nodes", &cli->nodes);
    case OPT_SHARDS:
        return take_list(cli, "shards", &cli->shards);
    case OPT_TIMEOUT:
        return take_count(cli, "timeout-ms", 3600000, &cli->timeout_ms);
    case OPT_JSON:
        cli->json = true;
        return -1;
    case OPT_NO_COLOR:
        cli->color = false;
        return -1;
    case OPT_IN_DOUBT:
        cli->in_doubt = true;
        return -1;
    case OPT_ABSENT:
        cli->absent = true;
        return -1;
    case OPT_OUTCOME:
        return take_outcome(cli);
    case OPT_EXPECT:
        cli->expect = optarg;
        return -1;
    case OPT_FROM:
        cli->from = optarg;
        return -1;
    case OPT_TO:
        cli->to = optarg;
        return -1;
    case OPT_TX:
        cli->txid = optarg;
        return -1;
    case OPT_LIMIT:
        return take_count(cli, "limit", 1000000, &cli->limit);
    case OPT_OPEN_MS:
        return take_count(cli, "open-ms", 3600000, &cli->open_ms);
    case OPT_MINIMUM:
        return take_minimum(cli);
    default:
        return option >= OPT_HEURISTIC ? take_operator_option(cli, option)
                                       : take_bench_option(cli, option);
    }
}

/* Which command the first arguments name; *used is how many of them. */
static const struct cli_command *find_command(int argc, char **argv, int *used) {
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        bool grouped = command->group[0] != '\0';
        int n = grouped ? 2 : 1;
        if (argc >= n && (!grouped || strcmp(argv[0], command->group) == 0) &&
            strcmp(argv[n - 1], command->name) == 0) {
            *used = n;
            return command;
        }
    }
    return NULL;
}

/* Of messages: the command, or `troth` alone. */
static void set_path(struct cli *cli, const struct cli_command *command) {
    bool grouped = command != NULL && command->group[0] != '\0';
    snprintf(cli->path, sizeof cli->path, "troth%s%s%s%s", command == NULL ? "" : " ",
             grouped ? command->group : "", grouped ? " " : "",
             command == NULL ? "" : command->name);
}

/* A wrong option is met before the command is known: the one whose words are there has the help. */
static void guess_path(struct cli *cli, int argc, char **argv) {
    int used = 0;
    for (int i = 1; i < argc && used == 0; i++) {
        set_path(cli, find_command(argc - i, argv + i, &used));
    }
}

static bool is_group(const char *name) {
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        if (command->group[0] != '\0' && strcmp(command->group, name) == 0) {
            return true;
        }
    }
    return false;
}

/* getopt would take the -10 of `add alice -10` for options: it is hidden behind this mark. */
#define HIDDEN '\1'

static void hide_numbers(int argc, char **argv, char *room) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9') {
            char *hidden = room;
            room += snprintf(room, strlen(argv[i]) + 2, "%c%s", HIDDEN, argv[i]) + 1;
            argv[i] = hidden;
        }
    }
}

static char *shown(char *argument) {
    return argument != NULL && argument[0] == HIDDEN ? argument + 1 : argument;
}

/* Finds the command and checks that options and arguments are its own. */
static int settle(struct cli *cli, int *argc, char **argv, bool help, const uint32_t *given) {
    int used = 0;
    cli->command = find_command(*argc, argv, &used);
    const char *group = *argc > 0 && is_group(argv[0]) ? argv[0] : NULL;
    set_path(cli, cli->command);
    if (help) {
        return print_help(group, cli->command);
    }
    if (cli->command == NULL) {
        if (*argc == 0) {
            return cli_usage(cli, "no command is given");
        }
        if (group != NULL) {
            snprintf(cli->path, sizeof cli->path, "troth %s", group);
            return *argc == 1 ? cli_usage(cli, "no command is given")
                              : cli_usage(cli, "there is no command \"%s\"", argv[1]);
        }
        return cli_usage(cli, "there is no command \"%s\"", argv[0]);
    }
    for (const struct option *option = long_options; option->name != NULL; option++) {
        if (option->val >= OPT_OWN && (*given >> (option->val - OPT_OWN) & 1) != 0 &&
            !takes(cli->command, option->name)) {
            return cli_usage(cli, "--%s is no option of this command", option->name);
        }
    }
    *argc -= used;
    memmove(argv, argv + used, (size_t)(*argc + 1) * sizeof *argv);
    if (*argc < cli->command->arguments_min ||
        (cli->command->arguments_max >= 0 && *argc > cli->command->arguments_max)) {
        return cli_usage(cli, "%s arguments are given; it takes: %s%s%s",
                         *argc < cli->command->arguments_min ? "too few" : "too many", cli->path,
                         cli->command->arguments[0] == '\0' ? "" : " ", cli->command->arguments);
    }
    return -1;
}

int cli_parse(struct cli *cli, int *argc, char **argv) {
    const char *no_color = getenv("NO_COLOR");
    *cli = (struct cli){.path = "troth",
                        .color = isatty(STDOUT_FILENO) && (no_color == NULL || *no_color == '\0')};
    static char room[65536];
    size_t bytes = 0;
    for (int i = 1; i < *argc; i++) {
        bytes += strlen(argv[i]) + 2;
    }
    if (bytes > sizeof room) {
        return cli_usage(cli, "the arguments are longer than %zu bytes; use standard input",
                         sizeof room);
    }
    hide_numbers(*argc, argv, room);
    guess_path(cli, *argc, argv);

    bool help = false;
    uint32_t given = 0;
    int status = -1;
    opterr = 0;
    optind = 0;
    for (int option;
         status < 0 && (option = getopt_long(*argc, argv, ":h", long_options, NULL)) != -1;) {
        optarg = shown(optarg);
        if (option == OPT_HELP || option == 'h') {
            help = true;
        } else if (option == OPT_VERSION) {
            printf("troth %s\n", TROTH_VERSION);
            return CLI_DONE;
        } else if (option == '?' || option == ':') {
            status = refuse_option(cli, option, shown(argv[optind - 1]));
        } else {
            given |= option >= OPT_OWN ? 1u << (option - OPT_OWN) : 0;
            status = take_option(cli, option);
        }
    }
    if (status >= 0) {
        return status;
    }
    *argc -= optind;
    memmove(argv, argv + optind, (size_t)(*argc + 1) * sizeof *argv);
    for (int i = 0; i < *argc; i++) {
        argv[i] = shown(argv[i]);
    }
    return settle(cli, argc, argv, help, &given);
}

/* cli: what all of troth's subcommands share: options, exit codes, errors, help.
 *
 * A command is a row in a table (main.c): its name, its help, the options it takes besides the
 * global ones, and the function that runs it with what is left of the arguments.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/gid.h"
#include "client/troth.h"

enum cli_exit {
    CLI_DONE = 0,       /* done; committed */
    CLI_NOT_DONE = 1,   /* aborted, or not found */
    CLI_USAGE = 2,      /* the command line is wrong */
    CLI_UNKNOWN = 3,    /* no majority of the nodes answers, or the outcome is not known yet */
    CLI_NO_CONTACT = 4, /* nobody could be reached */
    CLI_ERROR = 5,      /* any other error */
};

struct cli {
    char path[64]; /* "troth tx show": for help and errors */
    const struct cli_command *command;
    /* global options */
    const char *nodes;
    const char *shards;
    uint32_t timeout_ms; /* 0: not given */
    bool json;
    bool color;
    /* options of some commands; NULL, false or 0: not given */
    bool in_doubt;
    bool heuristic;
    bool commit, abort;
    bool force;
    bool yes, yes_i_know;
    const char *agent;
    const char *who;
    bool absent;
    const char *outcome;
    const char *expect;
    const char *from;
    const char *to;
    const char *txid;
    uint32_t limit;
    uint32_t open_ms;
    bool has_minimum;
    int64_t minimum;
    struct cli_bench {
        uint32_t clients, seconds, keys, length_max; /* 0: not given */
        uint32_t transactions;                       /* 0: no end */
        bool has_read_share, has_seed, keep, one_call;
        uint32_t read_share; /* percent */
        uint32_t seed;
        const char *history;
        const char *format;
    } bench;
};

struct cli_command {
    const char *group; /* "tx", "kv", or "" */
    const char *name;
    const char *arguments; /* "TXID", for the line of usage */
    const char *summary;   /* one line, for the list */
    const char *help;      /* what it does, what it prints, and an example */
    const char *options;   /* names of its own options, separated by blanks */
    int arguments_min;
    int arguments_max; /* -1: any number */
    int (*run)(struct cli *cli, int argc, char **argv);
};

extern const struct cli_command cli_commands[]; /* a row without name ends it */

/* Reads argv into `cli`. -1: go on with cli->command and the arguments left in *argc and *argv,
 * which is argv, in place; otherwise the process's exit status: help was printed, or an error. */
int cli_parse(struct cli *cli, int *argc, char **argv);

/* "troth tx show: what: NAME: detail", with what to do next; returns the exit code for `err`. */
int cli_fail(const struct cli *cli, const char *what, int err, const char *detail);
/* The command line is wrong: says why and where help is. */
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the process exits with: `status`, or an error when what was printed is not all written (a
 * full disk behind a pipe or file must not look like success). */
int cli_end(int status);

/* These return 0, or the exit status after an error was printed. */
int cli_open(struct cli *cli, struct troth **troth);
int cli_open_kv(struct cli *cli, struct troth *troth, struct troth_kv **kv);
int cli_txid(struct cli *cli, const char *text, struct troth_txid *txid);
/* A txid, or a global id in any form (base/gid.h). Of a txid the names are "". */
int cli_gid(struct cli *cli, const char *text, struct troth_gid *gid);
/* A whole decimal number with sign. */
bool cli_number(const char *text, int64_t *number);

/* Who runs this, for the records: --who, else the user's name. */
const char *cli_who(const struct cli *cli);
/* Asks on standard error, and reads a line from standard input: whether it is `answer`. */
bool cli_confirm(const char *answer, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *cli_outcome_name(enum troth_outcome outcome);
/* The name of an AbortReason, as people say it; of one that is not known here its number, until the
 * next call. */
const char *cli_reason_name(int reason);

/* Which start of a participant this is; "-" of one that keeps no log, and so does not count them.
 */
char *cli_start_text(uint64_t incarnation, char text[16]);

/* Prints and frees it. */
void cli_print_json(struct json_object *object);
/* Bytes as a string when they are UTF-8 without control characters, else "hex:...". */
struct json_object *cli_json_bytes(const void *bytes, size_t n);
void cli_print_bytes(const void *bytes, size_t n);

int cli_status(struct cli *cli, int argc, char **argv);
int cli_tx_list(struct cli *cli, int argc, char **argv);
int cli_tx_show(struct cli *cli, int argc, char **argv);
int cli_tx_forget(struct cli *cli, int argc, char **argv);
int cli_tx_resolve(struct cli *cli, int argc, char **argv);
int cli_agent(struct cli *cli, int argc, char **argv);
int cli_tx_begin(struct cli *cli, int argc, char **argv);
int cli_tx_commit(struct cli *cli, int argc, char **argv);
int cli_tx_abort(struct cli *cli, int argc, char **argv);
int cli_tx_get(struct cli *cli, int argc, char **argv);
int cli_kv_get(struct cli *cli, int argc, char **argv);
int cli_kv_put(struct cli *cli, int argc, char **argv);
int cli_kv_delete(struct cli *cli, int argc, char **argv);
int cli_kv_add(struct cli *cli, int argc, char **argv);
int cli_kv_cas(struct cli *cli, int argc, char **argv);
int cli_kv_scan(struct cli *cli, int argc, char **argv);
int cli_kv_txn(struct cli *cli, int argc, char **argv);
int cli_bench(struct cli *cli, int argc, char **argv);

#endif

/* What the commands share once they run: opening, errors, printing. */
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "client/internal.h"
#include "paxos/types.h"

static int exit_code(int err) {
    switch (err) {
    case 0:
        return CLI_DONE;
    case TROTH_ERR_NOT_FOUND:
    case TROTH_ERR_ABORTED:
    case TROTH_ERR_CONFLICT:
    case TROTH_ERR_STATE:
    case TROTH_ERR_TOO_LARGE: /* a sum out of its range */
        return CLI_NOT_DONE;
    case TROTH_ERR_UNKNOWN:
    case TROTH_ERR_TIMEOUT:
        return CLI_UNKNOWN;
    case TROTH_ERR_UNAVAILABLE:
        return CLI_NO_CONTACT;
    default:
        return CLI_ERROR;
    }
}

static const char *what_next(const struct cli *cli, int err) {
    switch (err) {
    case TROTH_ERR_UNAVAILABLE:
        return "Check that the processes run and that --nodes and --shards are right.";
    case TROTH_ERR_UNKNOWN:
        return "Ask again (`troth tx get TXID`) when a majority of the nodes is up; `troth status` "
               "shows which are.";
    case TROTH_ERR_TIMEOUT:
        return "Ask again in a while, or with a larger --timeout-ms.";
    case TROTH_ERR_CONFLICT:
        return "Run the whole transaction again.";
    case TROTH_ERR_NOT_FOUND:
        return strcmp(cli->command->group, "tx") == 0
                   ? "Check the txid and that --nodes names the cluster that gave it out."
                   : NULL;
    case TROTH_ERR_FORGOTTEN:
        return "It finished so long ago that its outcome is not kept any more.";
    default:
        return NULL;
    }
}

int cli_fail(const struct cli *cli, const char *what, int err, const char *detail) {
    const char *next = what_next(cli, err);
    const char *text = err == TROTH_ERR_TOO_LARGE ? "out of range" : troth_err_text(err);
    bool explained = detail != NULL && detail[0] != '\0';
    fprintf(stderr, "%s: %s%s%s%s%s\n", cli->path, what, what[0] == '\0' ? "" : ": ", text,
            explained ? ": " : "", explained ? detail : "");
    if (next != NULL) {
        fprintf(stderr, "%s\n", next);
    }
    return exit_code(err);
}

int cli_end(int status) {
    bool broken = ferror(stdout) != 0;
    if (fflush(stdout) == 0 && !broken) {
        return status;
    }
    fprintf(stderr, "troth: standard output can't be written; what was printed is incomplete\n");
    return status == CLI_DONE ? CLI_ERROR : status;
}

int cli_open(struct cli *cli, struct troth **troth) {
    char why[TROTH_TEXT_BYTES];
    struct addresses addresses;
    const char *nodes = client_setting(cli->nodes, "TROTH_NODES", TROTH_NODES_DEFAULT);
    if (addresses_parse(&addresses, nodes, false, SESSION_NODES_MAX, why, sizeof why) != 0) {
        return cli_usage(cli, "%s: %s", cli->nodes != NULL ? "--nodes" : "$TROTH_NODES", why);
    }
    addresses_release(&addresses);
    int err =
        troth_open(troth, &(struct troth_options){.nodes = nodes, .timeout_ms = cli->timeout_ms});
    return err == 0 ? 0 : cli_fail(cli, nodes, err, "the client library could not start");
}

int cli_open_kv(struct cli *cli, struct troth *troth, struct troth_kv **kv) {
    char why[TROTH_TEXT_BYTES];
    struct addresses addresses;
    const char *shards = client_setting(cli->shards, "TROTH_SHARDS", NULL);
    if (shards == NULL) {
        return cli_usage(cli, "no shards are given: use --shards name=host:port,... or "
                              "$TROTH_SHARDS");
    }
    if (addresses_parse(&addresses, shards, true, ADDRESSES_MAX, why, sizeof why) != 0) {
        return cli_usage(cli, "%s: %s", cli->shards != NULL ? "--shards" : "$TROTH_SHARDS", why);
    }
    addresses_release(&addresses);
    int err = troth_kv_open(
        kv, troth, &(struct troth_kv_options){.shards = shards, .timeout_ms = cli->timeout_ms});
    return err == 0 ? 0 : cli_fail(cli, shards, err, "the client library could not start");
}

int cli_txid(struct cli *cli, const char *text, struct troth_txid *txid) {
    if (troth_txid_parse(text, txid) != 0) {
        return cli_usage(cli,
                         "\"%.64s\" is no txid: it has 32 hexadecimal digits, as `troth tx "
                         "list` shows them",
                         text);
    }
    return 0;
}

int cli_gid(struct cli *cli, const char *text, struct troth_gid *gid) {
    *gid = (struct troth_gid){0};
    if (troth_txid_parse(text, &gid->txid) == 0 || troth_gid_parse(text, gid) == 0) {
        return 0;
    }
    return cli_usage(cli,
                     "\"%.160s\" is neither a txid, which has 32 hexadecimal digits, nor the "
                     "global id of a branch, as databases show it",
                     text);
}

const char *cli_who(const struct cli *cli) {
    if (cli->who != NULL) {
        return cli->who;
    }
    const struct passwd *user = getpwuid(getuid());
    return user != NULL && user->pw_name[0] != '\0' ? user->pw_name : "unknown";
}

bool cli_confirm(const char *answer, const char *format, ...) {
    char line[256] = "";
    va_list list;
    fflush(stdout);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    if (fgets(line, sizeof line, stdin) == NULL) {
        fputc('\n', stderr);
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, answer) == 0;
}

const char *cli_outcome_name(enum troth_outcome outcome) {
    switch (outcome) {
    case TROTH_COMMITTED:
        return "committed";
    case TROTH_ABORTED:
        return "aborted";
    case TROTH_OUTCOME_NONE:
        break;
    }
    return "none";
}

const char *cli_reason_name(int reason) {
    static const char *const names[] = {"",         "client",   "vote",     "deadline", "lost work",
                                        "takeover", "stopping", "conflict", "busy"};
    static char number[16];
    if (reason >= 0 && (size_t)reason < sizeof names / sizeof *names) {
        return names[reason];
    }
    snprintf(number, sizeof number, "%d", reason);
    return number;
}

char *cli_start_text(uint64_t incarnation, char text[16]) {
    if ((incarnation & INCARNATION_TWO_PHASE_ONLY) != 0) {
        return strcpy(text, "-");
    }
    snprintf(text, 16, "%" PRIu32, (uint32_t)incarnation);
    return text;
}

void cli_print_json(struct json_object *object) {
    puts(json_object_to_json_string_ext(object,
                                        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

/* How many bytes the UTF-8 character at the start takes; 0: it is none, or a control character. */
static size_t character(const uint8_t *at, size_t n) {
    if (at[0] < 0x80) {
        return at[0] >= 0x20 && at[0] != 0x7f ? 1 : 0;
    }
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || length > n) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

static char *readable(const void *bytes, size_t n) {
    const uint8_t *in = bytes;
    bool text = true;
    for (size_t at = 0, length; at < n && text; at += length) {
        length = character(in + at, n - at);
        text = length > 0;
    }
    char *out = malloc(2 * n + 5);
    if (out == NULL) {
        return NULL;
    }
    if (text) {
        if (n > 0) {
            memcpy(out, in, n);
        }
        out[n] = '\0';
        return out;
    }
    char *at = out + sprintf(out, "hex:");
    for (size_t i = 0; i < n; i++) {
        at += sprintf(at, "%02x", in[i]);
    }
    return out;
}

struct json_object *cli_json_bytes(const void *bytes, size_t n) {
    char *text = readable(bytes, n);
    struct json_object *object = json_object_new_string(text == NULL ? "" : text);
    free(text);
    return object;
}

void cli_print_bytes(const void *bytes, size_t n) {
    char *text = readable(bytes, n);
    fputs(text == NULL ? "" : text, stdout);
    free(text);
}

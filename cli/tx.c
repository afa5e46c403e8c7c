/* troth tx begin, commit, abort, get: one transaction's life. */
#include <stdio.h>

#include "cli/cli.h"

int cli_tx_begin(struct cli *cli, int argc, char **argv) {
    (void)argc;
    (void)argv;
    struct troth *troth;
    int status = cli_open(cli, &troth);
    if (status != 0) {
        return status;
    }
    struct troth_txid txid;
    struct troth_result result;
    int err = troth_begin(troth, cli->open_ms, &txid, &result);
    if (err != 0) {
        status = cli_fail(cli, "no transaction was begun", err, result.detail);
    } else {
        char text[TROTH_TXID_TEXT];
        troth_txid_format(txid, text);
        if (cli->json) {
            struct json_object *object = json_object_new_object();
            json_object_object_add(object, "txid", json_object_new_string(text));
            cli_print_json(object);
        } else {
            puts(text);
        }
    }
    troth_close(troth);
    return status;
}

static void print_outcome(const struct cli *cli, const char *txid,
                          const struct troth_result *result) {
    const char *name = cli_outcome_name(result->outcome);
    const char *reason = cli_reason_name(result->reason);
    if (cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "txid", json_object_new_string(txid));
        json_object_object_add(object, "outcome", json_object_new_string(name));
        json_object_object_add(object, "reason", json_object_new_string(reason));
        json_object_object_add(object, "detail", json_object_new_string(result->detail));
        cli_print_json(object);
        return;
    }
    fputs(name, stdout);
    if (result->outcome == TROTH_ABORTED && reason[0] != '\0') {
        printf(" (%s%s%s)", reason, result->detail[0] == '\0' ? "" : ": ", result->detail);
    }
    putchar('\n');
}

enum what { COMMIT, ABORT, GET };

static int ask_outcome(struct cli *cli, const char *text, enum what what) {
    struct troth_txid txid;
    struct troth *troth;
    int status = cli_txid(cli, text, &txid);
    if (status == 0) {
        status = cli_open(cli, &troth);
    }
    if (status != 0) {
        return status;
    }
    struct troth_result result;
    int err = 0;
    switch (what) {
    case COMMIT:
        err = troth_commit(troth, txid, NULL, 0, 0, &result);
        break;
    case ABORT:
        err = troth_abort(troth, txid, 0, &result);
        break;
    case GET:
        err = troth_get(troth, txid, &result);
        break;
    }
    if (err != 0) {
        status = cli_fail(cli, text, err, result.detail);
    } else {
        print_outcome(cli, text, &result);
        enum troth_outcome wanted = what == ABORT ? TROTH_ABORTED : TROTH_COMMITTED;
        status = result.outcome == wanted               ? CLI_DONE
                 : result.outcome == TROTH_OUTCOME_NONE ? CLI_UNKNOWN
                                                        : CLI_NOT_DONE;
    }
    troth_close(troth);
    return status;
}

int cli_tx_commit(struct cli *cli, int argc, char **argv) {
    (void)argc;
    return ask_outcome(cli, argv[0], COMMIT);
}

int cli_tx_abort(struct cli *cli, int argc, char **argv) {
    (void)argc;
    return ask_outcome(cli, argv[0], ABORT);
}

int cli_tx_get(struct cli *cli, int argc, char **argv) {
    (void)argc;
    return ask_outcome(cli, argv[0], GET);
}

/* troth kv get, put, delete, add, cas, scan. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"

/* What a command needs open; tx is NULL without --tx. */
struct kv_session {
    struct troth *troth;
    struct troth_kv *kv;
    struct troth_kv_tx *tx;
};

static void leave(struct kv_session *session) {
    troth_kv_leave(session->tx);
    troth_kv_close(session->kv);
    troth_close(session->troth);
}

static int enter(struct cli *cli, struct kv_session *session) {
    *session = (struct kv_session){0};
    struct troth_txid txid = {0, 0};
    int status = cli->txid == NULL ? 0 : cli_txid(cli, cli->txid, &txid);
    if (status == 0) {
        status = cli_open(cli, &session->troth);
    }
    if (status == 0) {
        status = cli_open_kv(cli, session->troth, &session->kv);
    }
    if (status == 0 && cli->txid != NULL) {
        int err = troth_kv_join(session->kv, txid, &session->tx);
        status = err == 0 ? 0 : cli_fail(cli, cli->txid, err, NULL);
    }
    if (status != 0) {
        leave(session);
    }
    return status;
}

/* Ends a command: the error, or `done` for people and the shard's name for programs. */
static int finish(struct cli *cli, struct kv_session *session, const char *key, int err,
                  const char *why, const char *done) {
    int status = CLI_DONE;
    if (err != 0) {
        status = cli_fail(cli, key, err, why);
    } else if (cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "key", cli_json_bytes(key, strlen(key)));
        json_object_object_add(
            object, "shard", json_object_new_string(troth_kv_place(session->kv, key, strlen(key))));
        cli_print_json(object);
    } else {
        puts(done);
    }
    leave(session);
    return status;
}

int cli_kv_get(struct cli *cli, int argc, char **argv) {
    (void)argc;
    const char *key = argv[0];
    struct kv_session session;
    int status = enter(cli, &session);
    if (status != 0) {
        return status;
    }
    char why[TROTH_TEXT_BYTES] = "";
    struct troth_kv_value value;
    int err = troth_kv_get(session.kv, session.tx, key, strlen(key), false, &value, why);
    if (err != 0) {
        return finish(cli, &session, key, err, why, "");
    }
    if (cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "key", cli_json_bytes(key, strlen(key)));
        json_object_object_add(object, "value", cli_json_bytes(value.bytes, value.n));
        json_object_object_add(
            object, "shard", json_object_new_string(troth_kv_place(session.kv, key, strlen(key))));
        cli_print_json(object);
    } else {
        fwrite(value.bytes, 1, value.n, stdout);
        putchar('\n');
    }
    free(value.bytes);
    leave(&session);
    return CLI_DONE;
}

int cli_kv_put(struct cli *cli, int argc, char **argv) {
    (void)argc;
    struct kv_session session;
    int status = enter(cli, &session);
    if (status != 0) {
        return status;
    }
    char why[TROTH_TEXT_BYTES] = "";
    int err = troth_kv_put(session.kv, session.tx, argv[0], strlen(argv[0]), argv[1],
                           strlen(argv[1]), why);
    return finish(cli, &session, argv[0], err, why, "ok");
}

int cli_kv_delete(struct cli *cli, int argc, char **argv) {
    (void)argc;
    struct kv_session session;
    int status = enter(cli, &session);
    if (status != 0) {
        return status;
    }
    char why[TROTH_TEXT_BYTES] = "";
    int err = troth_kv_delete(session.kv, session.tx, argv[0], strlen(argv[0]), why);
    return finish(cli, &session, argv[0], err, why, "ok");
}

int cli_kv_add(struct cli *cli, int argc, char **argv) {
    (void)argc;
    int64_t delta;
    if (!cli_number(argv[1], &delta)) {
        return cli_usage(cli, "\"%s\" is no whole number", argv[1]);
    }
    struct kv_session session;
    int status = enter(cli, &session);
    if (status != 0) {
        return status;
    }
    char why[TROTH_TEXT_BYTES] = "";
    int64_t sum = 0;
    int err = troth_kv_add(session.kv, session.tx, argv[0], strlen(argv[0]), delta,
                           cli->has_minimum ? &cli->minimum : NULL, &sum, why);
    if (err == 0 && cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "key", cli_json_bytes(argv[0], strlen(argv[0])));
        json_object_object_add(object, "value", json_object_new_int64(sum));
        cli_print_json(object);
        leave(&session);
        return CLI_DONE;
    }
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, sum);
    return finish(cli, &session, argv[0], err, why, text);
}

int cli_kv_cas(struct cli *cli, int argc, char **argv) {
    (void)argc;
    if ((cli->expect != NULL) == cli->absent) {
        return cli_usage(cli, "one of --expect VALUE and --absent must be given");
    }
    struct kv_session session;
    int status = enter(cli, &session);
    if (status != 0) {
        return status;
    }
    struct troth_kv_value expected = {.bytes = (uint8_t *)(uintptr_t)cli->expect,
                                      .n = cli->absent ? 0 : strlen(cli->expect)};
    char why[TROTH_TEXT_BYTES] = "";
    int err =
        troth_kv_compare_and_set(session.kv, session.tx, argv[0], strlen(argv[0]),
                                 cli->absent ? NULL : &expected, argv[1], strlen(argv[1]), why);
    return finish(cli, &session, argv[0], err, why, "ok");
}

struct scan {
    const struct cli *cli;
    struct json_object *array; /* NULL: for people */
    uint32_t n;
};

static int on_pair(void *arg, const void *key, size_t key_bytes, const void *value,
                   size_t value_bytes) {
    struct scan *scan = arg;
    if (scan->cli->limit != 0 && scan->n == scan->cli->limit) {
        return 1;
    }
    scan->n++;
    if (scan->array != NULL) {
        struct json_object *pair = json_object_new_object();
        json_object_object_add(pair, "key", cli_json_bytes(key, key_bytes));
        json_object_object_add(pair, "value", cli_json_bytes(value, value_bytes));
        json_object_array_add(scan->array, pair);
    } else {
        cli_print_bytes(key, key_bytes);
        putchar('\t');
        cli_print_bytes(value, value_bytes);
        putchar('\n');
    }
    return 0;
}

int cli_kv_scan(struct cli *cli, int argc, char **argv) {
    (void)argc;
    (void)argv;
    struct kv_session session;
    int status = enter(cli, &session);
    if (status != 0) {
        return status;
    }
    struct scan scan = {.cli = cli, .array = cli->json ? json_object_new_array() : NULL};
    char why[TROTH_TEXT_BYTES] = "";
    int err =
        troth_kv_scan(session.kv, session.tx, cli->from, cli->from == NULL ? 0 : strlen(cli->from),
                      cli->to, cli->to == NULL ? 0 : strlen(cli->to), on_pair, &scan, why);
    if (err < 0) {
        status = cli_fail(cli, "scan", err, why);
    }
    if (cli->json) {
        cli_print_json(scan.array);
    }
    leave(&session);
    return status;
}

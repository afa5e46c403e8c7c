/* troth kv txn: a script of operations as one transaction. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/operations.h"
#include "shell/clock.h"

#define SCRIPT_BYTES_MAX (1u << 20)
#define WORDS_MAX        (4 * OPERATIONS_MAX)
#define TIMEOUT_MS       10000

struct script {
    struct operations operations;
    char *text;         /* of standard input, else NULL */
    const char **words; /* likewise */
};

static void script_release(struct script *script) {
    operations_release(&script->operations);
    free(script->words);
    free(script->text);
}

/* 0, or the exit status after an error was printed. */
static int read_script(struct cli *cli, int argc, char **argv, struct script *script) {
    *script = (struct script){0};
    long n = argc;
    const char *const *words = (const char *const *)argv;
    if (argc == 0 || (argc == 1 && strcmp(argv[0], "-") == 0)) {
        script->text = calloc(1, SCRIPT_BYTES_MAX + 1);
        script->words = calloc(WORDS_MAX, sizeof *script->words);
        if (script->text == NULL || script->words == NULL) {
            script_release(script);
            return cli_fail(cli, "", TROTH_ERR_NO_MEMORY, NULL);
        }
        size_t bytes = fread(script->text, 1, SCRIPT_BYTES_MAX + 1, stdin);
        if (bytes > SCRIPT_BYTES_MAX) {
            script_release(script);
            return cli_usage(cli, "standard input is longer than %u bytes", SCRIPT_BYTES_MAX);
        }
        n = operations_split(script->text, script->words, WORDS_MAX);
        words = script->words;
        if (n < 0 || n > (long)WORDS_MAX) {
            script_release(script);
            return cli_usage(cli, n < 0 ? "a \" has no end" : "too many words");
        }
    }
    char why[256];
    if (operations_parse(&script->operations, words, (size_t)n, why, sizeof why) != 0) {
        script_release(script);
        return cli_usage(cli, "%s", why);
    }
    return 0;
}

/* Runs one operation; its result, for people and programs, goes to `results`. */
static int run_one(struct cli *cli, struct troth_kv *kv, struct troth_kv_tx *tx,
                   const struct operation *operation, struct json_object *results, char *why) {
    size_t key_bytes = strlen(operation->key);
    struct json_object *value = NULL;
    struct troth_kv_value got;
    struct troth_kv_value expected;
    int64_t sum = 0;
    int err = 0;
    switch (operation->type) {
    case OPERATION_GET:
        err = troth_kv_get(kv, tx, operation->key, key_bytes, false, &got, why);
        if (err == 0) {
            value = cli_json_bytes(got.bytes, got.n);
            free(got.bytes);
        } else if (err == TROTH_ERR_NOT_FOUND) {
            err = 0; /* an absent key is an answer too: null */
        }
        break;
    case OPERATION_PUT:
        err = troth_kv_put(kv, tx, operation->key, key_bytes, operation->value,
                           strlen(operation->value), why);
        break;
    case OPERATION_ADD:
        err = troth_kv_add(kv, tx, operation->key, key_bytes, operation->delta,
                           cli->has_minimum ? &cli->minimum : NULL, &sum, why);
        value = json_object_new_int64(sum);
        break;
    case OPERATION_DELETE:
        err = troth_kv_delete(kv, tx, operation->key, key_bytes, why);
        break;
    case OPERATION_CAS:
        expected = (struct troth_kv_value){.bytes = (uint8_t *)(uintptr_t)operation->expected,
                                           .n = strlen(operation->expected)};
        err = troth_kv_compare_and_set(kv, tx, operation->key, key_bytes, &expected,
                                       operation->value, strlen(operation->value), why);
        break;
    }
    struct json_object *result = json_object_new_object();
    json_object_object_add(result, "operation", json_object_new_string(operation->name));
    json_object_object_add(result, "key", cli_json_bytes(operation->key, key_bytes));
    if (operation->type == OPERATION_GET || operation->type == OPERATION_ADD) {
        json_object_object_add(result, "value", value);
    } else if (value != NULL) {
        json_object_put(value);
    }
    json_object_array_add(results, result);
    return err;
}

struct attempt {
    int err;        /* of the operations, else of begin or commit */
    bool in_commit; /* the error is that of commit: the outcome is not known */
    char txid[TROTH_TXID_TEXT];
    char why[TROTH_TEXT_BYTES];
    struct troth_result result;
    struct json_object *results;
};

static void run_once(struct cli *cli, struct troth_kv *kv, const struct operations *operations,
                     struct attempt *attempt) {
    struct troth_kv_tx *tx;
    attempt->err = troth_kv_begin(kv, cli->open_ms, &tx, &attempt->result);
    if (attempt->err != 0) {
        snprintf(attempt->why, sizeof attempt->why, "%s", attempt->result.detail);
        return;
    }
    troth_txid_format(troth_kv_txid(tx), attempt->txid);
    for (size_t i = 0; i < operations->n && attempt->err == 0; i++) {
        attempt->err = run_one(cli, kv, tx, &operations->items[i], attempt->results, attempt->why);
    }
    if (attempt->err != 0) {
        troth_kv_abort(tx, &attempt->result);
        return;
    }
    attempt->err = troth_kv_commit(tx, cli->timeout_ms, &attempt->result);
    attempt->in_commit = attempt->err != 0;
    snprintf(attempt->why, sizeof attempt->why, "%s", attempt->result.detail);
}

static bool may_succeed_later(const struct attempt *attempt) {
    return attempt->err == TROTH_ERR_CONFLICT ||
           (attempt->err == 0 && attempt->result.outcome == TROTH_ABORTED &&
            (attempt->result.reason == TROTH_ABORT_CONFLICT ||
             attempt->result.reason == TROTH_ABORT_BUSY));
}

static void print_results(const struct cli *cli, const struct attempt *attempt) {
    const char *outcome = cli_outcome_name(attempt->result.outcome);
    if (cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "txid", json_object_new_string(attempt->txid));
        json_object_object_add(object, "outcome", json_object_new_string(outcome));
        json_object_object_add(object, "reason",
                               json_object_new_string(cli_reason_name(attempt->result.reason)));
        json_object_object_add(object, "detail", json_object_new_string(attempt->result.detail));
        json_object_object_add(object, "results", json_object_get(attempt->results));
        cli_print_json(object);
        return;
    }
    size_t n = json_object_array_length(attempt->results);
    for (size_t i = 0; i < n && attempt->result.outcome == TROTH_COMMITTED; i++) {
        struct json_object *result = json_object_array_get_idx(attempt->results, i);
        struct json_object *value;
        if (json_object_object_get_ex(result, "value", &value)) {
            printf("%s %s\n", json_object_get_string(json_object_object_get(result, "key")),
                   value == NULL ? "(absent)" : json_object_get_string(value));
        }
    }
    const char *detail = attempt->result.detail;
    printf("%s %s%s%s\n", outcome, attempt->txid,
           attempt->result.outcome == TROTH_ABORTED && detail[0] != '\0' ? ": " : "",
           attempt->result.outcome == TROTH_ABORTED ? detail : "");
}

static int conclude(struct cli *cli, const struct attempt *attempt) {
    if (attempt->err == 0) {
        print_results(cli, attempt);
        return attempt->result.outcome == TROTH_COMMITTED ? CLI_DONE : CLI_NOT_DONE;
    }
    char what[128];
    snprintf(what, sizeof what, "%s %s", attempt->txid,
             attempt->in_commit ? "was asked to commit" : "is not committed");
    return cli_fail(cli, attempt->txid[0] == '\0' ? "nothing was done" : what, attempt->err,
                    attempt->why);
}

/* So that those who fight for the same keys do not meet again at once. */
static void wait_a_while(unsigned attempts) {
    uint32_t random;
    clock_random(&random, sizeof random);
    unsigned most_ms = 5u << (attempts < 6 ? attempts : 6);
    unsigned wait_ms = random % most_ms + 1;
    nanosleep(&(struct timespec){.tv_nsec = (long)wait_ms * 1000000}, NULL);
}

int cli_kv_txn(struct cli *cli, int argc, char **argv) {
    struct script script;
    struct troth *troth = NULL;
    struct troth_kv *kv = NULL;
    int status = read_script(cli, argc, argv, &script);
    if (status != 0) {
        return status;
    }
    status = cli_open(cli, &troth);
    if (status == 0) {
        status = cli_open_kv(cli, troth, &kv);
    }
    if (status == 0) {
        int64_t until_ms =
            clock_monotonic_ms() + (cli->timeout_ms == 0 ? TIMEOUT_MS : cli->timeout_ms);
        struct attempt attempt = {.results = json_object_new_array()};
        run_once(cli, kv, &script.operations, &attempt);
        for (unsigned n = 0; may_succeed_later(&attempt) && clock_monotonic_ms() < until_ms; n++) {
            wait_a_while(n);
            json_object_put(attempt.results);
            attempt = (struct attempt){.results = json_object_new_array()};
            run_once(cli, kv, &script.operations, &attempt);
        }
        status = conclude(cli, &attempt);
        json_object_put(attempt.results);
    }
    troth_kv_close(kv);
    troth_close(troth);
    script_release(&script);
    return status;
}

#include "load/history_text.h"

#include <inttypes.h>

/* What differs between the formats, so that each value is laid out once. */
struct words {
    const char *types[4];
    const char *fs[3];
    const char *append, *read; /* the first word of a step */
    const char *gap;           /* between the items of a list or map */
    const char *between;       /* a key and its value in a map */
    const char *from, *to, *amount;
    const char *index, *type, *f, *process, *time, *value, *txid, *error; /* each with its colon */
    const char *nothing;
    bool quoted_accounts; /* JSON's keys are strings */
};

static const struct words all_words[] = {
    [HISTORY_EDN] = {.types = {":invoke", ":ok", ":fail", ":info"},
                     .fs = {":txn", ":transfer", ":read"},
                     .append = ":append",
                     .read = ":r",
                     .gap = " ",
                     .between = " ",
                     .from = ":from ",
                     .to = ":to ",
                     .amount = ":amount ",
                     .index = ":index ",
                     .type = ":type ",
                     .f = ":f ",
                     .process = ":process ",
                     .time = ":time ",
                     .value = ":value ",
                     .txid = ":txid ",
                     .error = ":error ",
                     .nothing = "nil"},
    [HISTORY_JSONL] = {.types = {"\"invoke\"", "\"ok\"", "\"fail\"", "\"info\""},
                       .fs = {"\"txn\"", "\"transfer\"", "\"read\""},
                       .append = "\"append\"",
                       .read = "\"r\"",
                       .gap = ",",
                       .between = ":",
                       .from = "\"from\":",
                       .to = "\"to\":",
                       .amount = "\"amount\":",
                       .index = "\"index\":",
                       .type = "\"type\":",
                       .f = "\"f\":",
                       .process = "\"process\":",
                       .time = "\"time\":",
                       .value = "\"value\":",
                       .txid = "\"txid\":",
                       .error = "\"error\":",
                       .nothing = "null",
                       .quoted_accounts = true},
};

/* The escapes that EDN and JSON have in common. */
static void print_string(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', file);
        }
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, file);
    }
    fputc('"', file);
}

static void print_list(FILE *file, const struct words *words, const struct history_step *step) {
    fputc('[', file);
    for (size_t i = 0; i < step->n; i++) {
        fprintf(file, "%s%" PRIu32, i == 0 ? "" : words->gap, step->list[i]);
    }
    fputc(']', file);
}

static void print_steps(FILE *file, const struct words *words, const struct history_call *call,
                        bool seen) {
    fputc('[', file);
    for (size_t i = 0; i < call->n_steps; i++) {
        const struct history_step *step = &call->steps[i];
        fprintf(file, "%s[%s%s%" PRIu32 "%s", i == 0 ? "" : words->gap,
                step->append ? words->append : words->read, words->gap, step->key, words->gap);
        if (step->append) {
            fprintf(file, "%" PRIu32, step->value);
        } else if (seen) {
            print_list(file, words, step);
        } else {
            fputs(words->nothing, file);
        }
        fputc(']', file);
    }
    fputc(']', file);
}

static void print_balances(FILE *file, const struct words *words, const struct history_call *call) {
    const char *quote = words->quoted_accounts ? "\"" : "";
    fputc('{', file);
    for (size_t i = 0; i < call->n_balances; i++) {
        const struct history_balance *balance = &call->balances[i];
        fprintf(file, "%s%s%" PRIu32 "%s%s%" PRId64, i == 0 ? "" : words->gap, quote,
                balance->account, quote, words->between, balance->amount);
    }
    fputc('}', file);
}

static void print_value(FILE *file, const struct words *words, const struct history_call *call,
                        bool seen) {
    switch (call->f) {
    case HISTORY_TXN:
        print_steps(file, words, call, seen);
        break;
    case HISTORY_TRANSFER:
        fprintf(file, "{%s%" PRIu32 "%s%s%" PRIu32 "%s%s%" PRId64 "}", words->from, call->from,
                words->gap, words->to, call->to, words->gap, words->amount, call->amount);
        break;
    case HISTORY_READ:
        if (seen) {
            print_balances(file, words, call);
        } else {
            fputs(words->nothing, file);
        }
        break;
    }
}

void history_text_print(FILE *file, enum history_format format, const struct history_event *event) {
    const struct words *words = &all_words[format];
    /* A comma is white space in EDN, and looks as Jepsen prints it. */
    fprintf(file, "{%s%" PRIu64 ", %s%s, %s%s, %s%" PRIu32 ", %s%" PRIu64 ", %s", words->index,
            event->index, words->type, words->types[event->type], words->f,
            words->fs[event->call->f], words->process, event->process, words->time, event->time_ns,
            words->value);
    print_value(file, words, event->call, event->type == HISTORY_OK);
    if (event->txid != NULL) {
        fprintf(file, ", %s", words->txid);
        print_string(file, event->txid);
    }
    if (event->error != NULL) {
        fprintf(file, ", %s", words->error);
        print_string(file, event->error);
    }
    fputs("}\n", file);
}

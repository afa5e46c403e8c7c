#include "harness/bench_args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define RATE_MAX 1000000u

enum form { FLAG, NUMBER, LIST, TEXT };
struct option {
    const char *name;
    enum form form;
    void *to;
    unsigned *count; /* of a LIST */
    unsigned least, most;
};

static bool read_number(const char *text, size_t n, const struct option *option, unsigned *number) {
    char word[16];
    char *end = NULL;
    if (n == 0 || n >= sizeof word || !isdigit((unsigned char)text[0])) {
        return false;
    }
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    errno = 0;
    unsigned long value = strtoul(word, &end, 10);
    if (*end != '\0' || errno != 0 || value < option->least || value > option->most) {
        return false;
    }
    *number = (unsigned)value;
    return true;
}

static bool read_list(const char *text, const struct option *option) {
    for (*option->count = 0; *option->count < BENCH_LIST_MAX;) {
        size_t n = strcspn(text, ",");
        if (!read_number(text, n, option, (unsigned *)option->to + *option->count)) {
            return false;
        }
        ++*option->count;
        if (text[n] == '\0') {
            return true;
        }
        text += n + 1;
    }
    return false;
}

static bool read_value(const char *text, const struct option *option) {
    switch (option->form) {
    case NUMBER:
        return read_number(text, strlen(text), option, option->to);
    case LIST:
        return read_list(text, option);
    case TEXT:
        *(const char **)option->to = text;
        return text[0] != '\0';
    case FLAG:
        break;
    }
    return false;
}

static int wrong(const struct option *option, const char *text, char why[BENCH_ARGS_WHY_BYTES]) {
    static const char *const forms[] = {"nothing", "a number", "up to 8 numbers, with commas,",
                                        "a name"};
    char range[64] = "";
    if (option->form == NUMBER || option->form == LIST) {
        snprintf(range, sizeof range, " from %u to %u", option->least, option->most);
    }
    snprintf(why, BENCH_ARGS_WHY_BYTES, "--%s takes %s%s, not \"%.80s\"", option->name,
             forms[option->form], range, text == NULL ? "" : text);
    return TROTH_ERR_INVALID;
}

/* Takes "--name value", "--name=value" or "--flag" at argv[*i]. */
static int read_option(const struct option *options, int argc, char *argv[], int *i,
                       char why[BENCH_ARGS_WHY_BYTES]) {
    const char *word = argv[*i] + 2;
    size_t n = strcspn(word, "=");
    for (const struct option *option = options; option->name != NULL; option++) {
        if (strlen(option->name) != n || strncmp(option->name, word, n) != 0) {
            continue;
        }
        const char *value = word[n] == '=' ? word + n + 1 : NULL;
        if (option->form == FLAG) {
            *(bool *)option->to = true;
            return value == NULL ? 0 : wrong(option, value, why);
        }
        if (value == NULL && *i + 1 < argc) {
            value = argv[++*i];
        }
        return value != NULL && read_value(value, option) ? 0 : wrong(option, value, why);
    }
    snprintf(why, BENCH_ARGS_WHY_BYTES, "there is no option --%.80s; --help lists them", word);
    return TROTH_ERR_INVALID;
}

int bench_args_read(struct bench_args *args, int argc, char *argv[],
                    char why[BENCH_ARGS_WHY_BYTES]) {
    *args = (struct bench_args){.in_flight = {1, 8, 64, 256},
                                .n_in_flight = 4,
                                .nodes = 3,
                                .participants = 2,
                                .clients = 1,
                                .many = 64,
                                .open = 1000000,
                                .rounds = 5,
                                .seconds = 3,
                                .warm_up_ms = 1000};
    const struct option options[] = {
        {"in-flight", LIST, args->in_flight, &args->n_in_flight, 1, BENCH_IN_FLIGHT_LIMIT},
        {"rate", LIST, args->rates, &args->n_rates, 1, RATE_MAX},
        {"nodes", NUMBER, &args->nodes, NULL, 1, 31},
        {"participants", NUMBER, &args->participants, NULL, 1, 64},
        {"clients", NUMBER, &args->clients, NULL, 1, 64},
        {"many", NUMBER, &args->many, NULL, 2, 64},
        {"open", NUMBER, &args->open, NULL, 1, 2000000},
        {"rounds", NUMBER, &args->rounds, NULL, 1, BENCH_ROUNDS_AT_MOST},
        {"seconds", NUMBER, &args->seconds, NULL, 1, 3600},
        {"warm-up", NUMBER, &args->warm_up_ms, NULL, 0, 600000},
        {"sync-ms", NUMBER, &args->sync_ms, NULL, 0, BENCH_SYNC_MS_MOST},
        {"peers", FLAG, &args->peers, NULL, 0, 0},
        {"one-call", FLAG, &args->one_call, NULL, 0, 0},
        {"data", TEXT, &args->data, NULL, 0, 0},
        {"json", TEXT, &args->json, NULL, 0, 0},
        {"plot", TEXT, &args->plot, NULL, 0, 0},
        {"help", FLAG, &args->help, NULL, 0, 0},
        {NULL, FLAG, NULL, NULL, 0, 0},
    };
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            int err = read_option(options, argc, argv, &i, why);
            if (err != 0) {
                return err;
            }
        } else if (args->what == NULL) {
            args->what = argv[i];
        } else {
            snprintf(why, BENCH_ARGS_WHY_BYTES, "one thing at a time: %.40s, and then %.40s",
                     args->what, argv[i]);
            return TROTH_ERR_INVALID;
        }
    }
    if (args->what == NULL) {
        args->what = "all";
    }
    if (args->sync_ms > 0 && args->peers) {
        snprintf(
            why, BENCH_ARGS_WHY_BYTES,
            "--sync-ms can't slow etcd down, which makes its own system calls: leave --peers out");
        return TROTH_ERR_INVALID;
    }
    if (args->nodes % 2 == 0) {
        snprintf(why, BENCH_ARGS_WHY_BYTES, "--nodes takes an odd number, not %u", args->nodes);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

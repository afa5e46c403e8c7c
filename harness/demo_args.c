#include "harness/demo_args.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

enum kind { KIND_NUMBER, KIND_TEXT, KIND_SWITCH };

static const struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    unsigned least, most, otherwise;
    const char *value; /* as the help calls it */
    const char *help;
} options[] = {
    {"--nodes", KIND_NUMBER, offsetof(struct demo_args, nodes), 1, DEMO_NODES_MAX, 3, "N",
     "nodes of the cluster, an odd number; 1: only the part with two-phase commit"},
    {"--shards", KIND_NUMBER, offsetof(struct demo_args, shards), 1, DEMO_SHARDS_MAX, 2, "N",
     "key-value shards that hold the accounts"},
    {"--with", KIND_TEXT, offsetof(struct demo_args, with), 0, 0, 0, "NAMES",
     "real databases in place of shards: postgres and mariadb, for instance postgres,mariadb"},
    {"--clients", KIND_NUMBER, offsetof(struct demo_args, clients), 1, DEMO_CLIENTS_MAX, 16, "N",
     "clients that transfer at the same time"},
    {"--seconds", KIND_NUMBER, offsetof(struct demo_args, seconds), 1, DEMO_SECONDS_MAX, 5, "S",
     "seconds of transfers before the first kill"},
    {"--kills", KIND_NUMBER, offsetof(struct demo_args, kills), 1, DEMO_KILLS_MAX, 3, "N",
     "how often a coordinator is killed, each time when the last one is back"},
    {"--outage", KIND_NUMBER, offsetof(struct demo_args, outage), 2, 3600, 5, "S",
     "seconds that the only node stays down in the part with two-phase commit"},
    {"--data", KIND_TEXT, offsetof(struct demo_args, data), 0, 0, 0, "FOLDER",
     "new or empty folder for all files; else one under $TMPDIR that is removed at the end"},
    {"--json", KIND_TEXT, offsetof(struct demo_args, json), 0, 0, 0, "FILE",
     "write the figures there as one JSON object"},
    {"--once", KIND_SWITCH, offsetof(struct demo_args, once), 0, 0, 0, "",
     "end after the table; else the cluster stays up, to look around"},
    {"--help", KIND_SWITCH, offsetof(struct demo_args, help), 0, 0, 0, "", "show this"},
    {"--version", KIND_SWITCH, offsetof(struct demo_args, version), 0, 0, 0, "",
     "show the version"},
};
#define OPTIONS (sizeof options / sizeof *options)

static const struct option *find(const char *name, size_t n) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static int set_number(struct demo_args *args, const struct option *option, const char *text,
                      char why[DEMO_WHY_BYTES]) {
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || number < option->least ||
        number > option->most) {
        snprintf(why, DEMO_WHY_BYTES, "%s takes a number from %u to %u, not \"%.40s\"",
                 option->name, option->least, option->most, text);
        return TROTH_ERR_INVALID;
    }
    unsigned value = (unsigned)number;
    memcpy((char *)args + option->offset, &value, sizeof value);
    return 0;
}

static int set(struct demo_args *args, const struct option *option, const char *text,
               char why[DEMO_WHY_BYTES]) {
    bool on = true;
    switch (option->kind) {
    case KIND_NUMBER:
        return set_number(args, option, text, why);
    case KIND_TEXT:
        memcpy((char *)args + option->offset, &text, sizeof text);
        return 0;
    case KIND_SWITCH:
        memcpy((char *)args + option->offset, &on, sizeof on);
        return 0;
    }
    return TROTH_ERR_INVALID;
}

static int read_all(struct demo_args *args, int argc, char *const argv[],
                    char why[DEMO_WHY_BYTES]) {
    for (int i = 1; i < argc; i++) {
        size_t n = strcspn(argv[i], "=");
        const char *value = argv[i][n] == '=' ? argv[i] + n + 1 : NULL;
        const struct option *option = find(argv[i], n);
        if (option == NULL) {
            snprintf(why, DEMO_WHY_BYTES, "there is no option %.40s; --help lists them", argv[i]);
            return TROTH_ERR_INVALID;
        }
        if (option->kind == KIND_SWITCH && value != NULL) {
            snprintf(why, DEMO_WHY_BYTES, "%s takes no value", option->name);
            return TROTH_ERR_INVALID;
        }
        if (option->kind != KIND_SWITCH && value == NULL && i + 1 < argc) {
            value = argv[++i];
        }
        if (option->kind != KIND_SWITCH && (value == NULL || value[0] == '\0')) {
            snprintf(why, DEMO_WHY_BYTES, "%s needs a value: %s %s", option->name, option->name,
                     option->value);
            return TROTH_ERR_INVALID;
        }
        int err = set(args, option, value, why);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* "postgres,mariadb" */
static int read_databases(struct demo_args *args, char why[DEMO_WHY_BYTES]) {
    static const char *const names[] = {
        [DATABASE_POSTGRES] = "postgres", [DATABASE_MARIADB] = "mariadb"};
    for (const char *at = args->with; args->n_databases < DEMO_DATABASES_MAX;) {
        size_t n = strcspn(at, ",");
        unsigned kind = 0;
        while (kind < 2 && (strlen(names[kind]) != n || memcmp(names[kind], at, n) != 0)) {
            kind++;
        }
        if (kind == 2) {
            snprintf(why, DEMO_WHY_BYTES,
                     "--with: there is no database \"%.*s\"; there are postgres and mariadb, as in "
                     "--with postgres,mariadb",
                     n > 40 ? 40 : (int)n, at);
            return TROTH_ERR_INVALID;
        }
        args->databases[args->n_databases++] = (enum database_kind)kind;
        args->shards = args->n_databases;
        if (at[n] == '\0' && args->n_databases > 1) {
            return 0;
        }
        if (at[n] == '\0') {
            break;
        }
        at += n + 1;
    }
    snprintf(why, DEMO_WHY_BYTES, "--with takes 2 to %u databases, as a transfer is between two",
             DEMO_DATABASES_MAX);
    return TROTH_ERR_INVALID;
}

int demo_args_read(struct demo_args *args, int argc, char *const argv[], char why[DEMO_WHY_BYTES]) {
    *args = (struct demo_args){0};
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].kind == KIND_NUMBER) {
            memcpy((char *)args + options[i].offset, &options[i].otherwise, sizeof(unsigned));
        }
    }
    int err = read_all(args, argc, argv, why);
    if (err == 0 && args->nodes % 2 == 0) {
        snprintf(why, DEMO_WHY_BYTES,
                 "--nodes takes an odd number from 1 to %u, not %u: 2F+1 nodes survive F failures, "
                 "and one more survives no more",
                 DEMO_NODES_MAX, args->nodes);
        return TROTH_ERR_INVALID;
    }
    return err == 0 && args->with != NULL ? read_databases(args, why) : err;
}

void demo_args_help(FILE *out) {
    fputs(
        "usage: troth-demo [OPTION...]\n\n"
        "Runs a bank over key-value shards, or over PostgreSQL and MariaDB servers (--with), on a\n"
        "cluster of its own on this machine, kills the coordinator while branches are in doubt,\n"
        "measures how long they wait for another node, and does the same with one node, which is\n"
        "classic two-phase commit.\n\n",
        out);
    for (size_t i = 0; i < OPTIONS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s %s", options[i].name, options[i].value);
        fprintf(out, "  %-15s %s", name, options[i].help);
        if (options[i].kind == KIND_NUMBER) {
            fprintf(out, " (%u)", options[i].otherwise);
        }
        fputc('\n', out);
    }
    fputs("\nExit status: 0 all money is there and nothing is left in doubt; 1 not so; 2 wrong\n"
          "arguments; 3 it could not run; 130 interrupted.\n",
          out);
}

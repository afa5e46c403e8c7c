#include "client/tx/tx_config.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/addresses.h"
#include "shell/ini_comment.h"

#define LINES_MAX          10000
#define LINE_MAX_BYTES     198 /* of inih's buffer of 200 */
#define NODES_MAX          31
#define COMMIT_TIMEOUT_MAX 3600
#define PATIENCE_MAX       86400

struct reading {
    struct tx_config *config;
    FILE *file;
    unsigned line;                                /* the one that was read last */
    unsigned error_line;                          /* 0: none so far */
    unsigned seen_lines[TX_RESOURCES_MAX + 1][8]; /* per section, [troth] being the last; key */
    char why[TX_WHY_BYTES];
};

static int explain(char why[TX_WHY_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int explain(char why[TX_WHY_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, TX_WHY_BYTES, format, args);
    va_end(args);
    return TROTH_ERR_INVALID;
}

const char *tx_kind_name(enum tx_kind kind) {
    switch (kind) {
    case TX_KIND_NONE:
        return "none";
    case TX_KIND_XA:
        return "xa";
    case TX_KIND_POSTGRES:
        return "postgres";
    case TX_KIND_MARIADB:
        return "mariadb";
    }
    return "?";
}

/* 1 to 47 of A-Za-z0-9._-, as participants and clusters are named. */
static bool is_name(const char *text) {
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n > 0 && n < TROTH_GID_NAME_BYTES && text[n] == '\0';
}

/* ---- Keys ------------------------------------------------------------------------------------ */

#define FOR(kind) (1u << TX_KIND_##kind)
static const struct resource_key {
    const char *name;
    size_t offset;
    unsigned allowed;  /* for these kinds */
    unsigned required; /* by these kinds */
} resource_keys[] = {
    {"dsn", offsetof(struct tx_resource, dsn), FOR(POSTGRES) | FOR(MARIADB),
     FOR(POSTGRES) | FOR(MARIADB)},
    {"library", offsetof(struct tx_resource, library), FOR(XA), FOR(XA)},
    {"symbol", offsetof(struct tx_resource, symbol), FOR(XA), FOR(XA)},
    {"open_info", offsetof(struct tx_resource, open_info), FOR(XA), 0},
    {"close_info", offsetof(struct tx_resource, close_info), FOR(XA), 0},
    {"agent", offsetof(struct tx_resource, agent), FOR(XA) | FOR(POSTGRES) | FOR(MARIADB), 0},
};
#define RESOURCE_KEYS (sizeof resource_keys / sizeof *resource_keys)
#define KEY_KIND      RESOURCE_KEYS /* its place among the lines that were seen */

static int set_kind(struct tx_resource *resource, const char *value, char *why) {
    static const enum tx_kind kinds[] = {TX_KIND_XA, TX_KIND_POSTGRES, TX_KIND_MARIADB};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(value, tx_kind_name(kinds[i])) == 0) {
            resource->kind = kinds[i];
            return 0;
        }
    }
    return explain(why, "kind \"%s\" is not known; allowed are xa, postgres, mariadb", value);
}

static int check_addresses(const char *value, size_t max, char *why) {
    struct addresses addresses;
    char detail[TX_WHY_BYTES - 64];
    int err = addresses_parse(&addresses, value, false, max, detail, sizeof detail);
    if (err != 0) {
        return explain(why, "%s", detail);
    }
    addresses_release(&addresses);
    return 0;
}

static int seen_twice(unsigned *seen, unsigned line, const char *name, char *why) {
    if (*seen != 0) {
        return explain(why, "%s was given on line %u already", name, *seen);
    }
    *seen = line;
    return 0;
}

static int on_resource_key(struct reading *reading, size_t index, const char *name,
                           const char *value) {
    struct tx_resource *resource = &reading->config->resources[index];
    unsigned *seen = reading->seen_lines[index];
    if (strcmp(name, "kind") == 0) {
        int err = seen_twice(&seen[KEY_KIND], reading->line, name, reading->why);
        return err != 0 ? err : set_kind(resource, value, reading->why);
    }
    for (size_t i = 0; i < RESOURCE_KEYS; i++) {
        if (strcmp(name, resource_keys[i].name) != 0) {
            continue;
        }
        int err = seen_twice(&seen[i], reading->line, name, reading->why);
        if (err != 0) {
            return err;
        }
        /* The line's limit is below the field's size. */
        snprintf((char *)resource + resource_keys[i].offset, TX_VALUE_BYTES, "%s", value);
        return strcmp(name, "agent") == 0 ? check_addresses(value, 1, reading->why) : 0;
    }
    return explain(reading->why,
                   "unknown key \"%s\" in [resource %s]; allowed are kind, dsn, library, symbol, "
                   "open_info, close_info, agent",
                   name, resource->name);
}

static int set_seconds(uint32_t *ms, const char *name, const char *value, unsigned long most,
                       char *why) {
    char *end;
    errno = 0;
    unsigned long seconds = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || seconds < 1 ||
        seconds > most) {
        return explain(why, "%s \"%s\": allowed are 1 to %lu seconds", name, value, most);
    }
    *ms = (uint32_t)seconds * 1000;
    return 0;
}

/* The list may be spread over several lines, indented. */
static int add_nodes(struct tx_config *config, const char *value, char *why) {
    size_t n = strlen(config->nodes);
    bool needs_comma = n > 0 && config->nodes[n - 1] != ',' && value[0] != ',';
    int more = snprintf(config->nodes + n, sizeof config->nodes - n, "%s%s", needs_comma ? "," : "",
                        value);
    if (more < 0 || (size_t)more >= sizeof config->nodes - n) {
        return explain(why, "nodes: the list is too long; allowed are %d nodes", NODES_MAX);
    }
    return 0;
}

static int on_troth_key(struct reading *reading, const char *name, const char *value) {
    unsigned *seen = reading->seen_lines[TX_RESOURCES_MAX];
    if (strcmp(name, "nodes") == 0) {
        seen[0] = reading->line;
        return add_nodes(reading->config, value, reading->why);
    }
    if (strcmp(name, "cluster") == 0) {
        int err = seen_twice(&seen[1], reading->line, name, reading->why);
        if (err == 0 && !is_name(value)) {
            err =
                explain(reading->why, "cluster \"%s\": allowed are 1 to 47 of A-Za-z0-9._-", value);
        }
        snprintf(reading->config->cluster, sizeof reading->config->cluster, "%s", value);
        return err;
    }
    struct tx_config *config = reading->config;
    bool is_patience = strcmp(name, "patience") == 0;
    if (is_patience || strcmp(name, "commit_timeout") == 0) {
        int err = seen_twice(&seen[is_patience ? 3 : 2], reading->line, name, reading->why);
        return err != 0
                   ? err
                   : set_seconds(is_patience ? &config->patience_ms : &config->commit_timeout_ms,
                                 name, value, is_patience ? PATIENCE_MAX : COMMIT_TIMEOUT_MAX,
                                 reading->why);
    }
    return explain(reading->why,
                   "unknown key \"%s\" in [troth]; allowed are cluster, nodes, commit_timeout, "
                   "patience",
                   name);
}

/* ---- Sections -------------------------------------------------------------------------------- */

/* Finds or adds the section. */
static int find_resource(struct reading *reading, const char *name, size_t *index) {
    struct tx_config *config = reading->config;
    for (*index = 0; *index < config->n_resources; (*index)++) {
        if (strcmp(config->resources[*index].name, name) == 0) {
            return 0;
        }
    }
    if (!is_name(name)) {
        return explain(reading->why,
                       "[resource %s]: the name is the participant's; allowed are 1 to 47 of "
                       "A-Za-z0-9._-",
                       name);
    }
    if (config->n_resources == TX_RESOURCES_MAX) {
        return explain(reading->why, "[resource %s]: more than %d resources", name,
                       TX_RESOURCES_MAX);
    }
    struct tx_resource *resource = &config->resources[config->n_resources++];
    snprintf(resource->name, sizeof resource->name, "%s", name);
    resource->line = reading->line;
    return 0;
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    static const char prefix[] = "resource ";
    struct reading *reading = user;
    if (reading->error_line != 0) {
        return 0;
    }
    int err;
    size_t index;
    if (strcmp(section, "troth") == 0) {
        err = on_troth_key(reading, name, value);
    } else if (strncmp(section, prefix, sizeof prefix - 1) == 0) {
        const char *resource = section + sizeof prefix - 1;
        resource += strspn(resource, " \t");
        err = find_resource(reading, resource, &index);
        err = err != 0 ? err : on_resource_key(reading, index, name, value);
    } else if (section[0] == '\0') {
        err = explain(reading->why, "\"%s\" is in no section; put [troth] above it", name);
    } else {
        err = explain(reading->why, "unknown section [%s]; allowed are [troth], [resource NAME]",
                      section);
    }
    if (err != 0) {
        reading->error_line = reading->line;
    }
    return err == 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* inih would cut a longer line in two without a word. */
static char *read_line(char *line, int size, void *stream) {
    struct reading *reading = stream;
    /* One error is enough, and what never ends is no configuration. */
    char *got = reading->error_line != 0 ? NULL : fgets(line, size, reading->file);
    if (got == NULL) {
        return NULL;
    }
    reading->line++;
    if (reading->line > LINES_MAX) {
        reading->error_line = reading->line;
        explain(reading->why, "more than %d lines: this is no configuration", LINES_MAX);
        return NULL;
    }
    if (strlen(line) >= LINE_MAX_BYTES) {
        reading->error_line = reading->line;
        explain(reading->why, "the line is too long; allowed are %d characters",
                LINE_MAX_BYTES - 1);
    }
    ini_comment_cut(line);
    return got;
}

/* XA ids have less room for the cluster's name (base/gid.h). */
static bool has_xa_ids(enum tx_kind kind) {
    return kind == TX_KIND_XA || kind == TX_KIND_MARIADB;
}

static int check_resource(const struct reading *reading, size_t index, const char *path,
                          char why[TX_WHY_BYTES]) {
    const struct tx_config *config = reading->config;
    const struct tx_resource *resource = &config->resources[index];
    const unsigned *seen = reading->seen_lines[index];
    if (resource->kind == TX_KIND_NONE) {
        return explain(why, "%s:%u: [resource %s] has no kind; add kind = xa, postgres or mariadb",
                       path, resource->line, resource->name);
    }
    for (size_t i = 0; i < RESOURCE_KEYS; i++) {
        const struct resource_key *key = &resource_keys[i];
        if (seen[i] != 0 && (key->allowed & 1u << resource->kind) == 0) {
            return explain(why, "%s:%u: %s is not for kind = %s; remove it", path, seen[i],
                           key->name, tx_kind_name(resource->kind));
        }
        if ((key->required & 1u << resource->kind) != 0 &&
            ((const char *)resource)[key->offset] == '\0') {
            return explain(why, "%s:%u: [resource %s] of kind %s needs %s = ...", path,
                           seen[i] != 0 ? seen[i] : resource->line, resource->name,
                           tx_kind_name(resource->kind), key->name);
        }
    }
    if (has_xa_ids(resource->kind) && strlen(config->cluster) > TROTH_XA_CLUSTER_MAX) {
        return explain(why,
                       "%s:%u: [resource %s] of kind %s: the cluster's name %s has more than the "
                       "%d characters that an XA id has room for",
                       path, resource->line, resource->name, tx_kind_name(resource->kind),
                       config->cluster, TROTH_XA_CLUSTER_MAX);
    }
    return 0;
}

static int check_whole(const struct reading *reading, const char *path, char why[TX_WHY_BYTES]) {
    const struct tx_config *config = reading->config;
    unsigned nodes_line = reading->seen_lines[TX_RESOURCES_MAX][0];
    if (nodes_line == 0) {
        return explain(why, "%s: no nodes are given; add nodes = host:port,... to [troth]", path);
    }
    char detail[TX_WHY_BYTES];
    if (check_addresses(config->nodes, NODES_MAX, detail) != 0) {
        return explain(why, "%s:%u: nodes: %s", path, nodes_line, detail);
    }
    if (config->n_resources == 0) {
        return explain(why, "%s: no resource is given; add a section [resource NAME]", path);
    }
    for (size_t i = 0; i < config->n_resources; i++) {
        int err = check_resource(reading, i, path, why);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int tx_config_read(struct tx_config *config, const char *path, char why[TX_WHY_BYTES]) {
    struct reading reading = {.config = config, .file = fopen(path, "re")};
    *config =
        (struct tx_config){.cluster = "troth", .commit_timeout_ms = 30000, .patience_ms = 60000};
    if (reading.file == NULL) {
        return explain(why, "cannot read the configuration %s: %s; $TROTH_TX_CONFIG names it", path,
                       strerror(errno));
    }
    int line = ini_parse_stream(read_line, &reading, on_key, &reading);
    bool broken = ferror(reading.file) != 0;
    fclose(reading.file);
    if (reading.error_line != 0) {
        return explain(why, "%s:%u: %s", path, reading.error_line, reading.why);
    }
    if (line != 0) {
        return explain(why, "%s:%d: not of the form `name = value`", path, line);
    }
    if (broken) {
        return explain(why, "cannot read the configuration %s: it must be a file that can be read",
                       path);
    }
    return check_whole(&reading, path, why);
}

const char *tx_config_path(void) {
    const char *path = getenv("TROTH_TX_CONFIG");
    return path != NULL && path[0] != '\0' ? path : "troth-tx.ini";
}

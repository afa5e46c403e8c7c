/* Reading of a MariaDB dsn. */
#include "participant/adapters/mariadb_dsn.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define PORT           3306
#define CONNECT_S      5
#define STATEMENT_S    30
#define KEEP_HOURS     24
#define SECONDS_MAX    3600
#define KEEP_HOURS_MAX 100000

static const char blanks[] = " \t\r\n";

static const struct {
    const char *key;
    size_t at;
} texts[] = {
    {"host", offsetof(struct mariadb_dsn, host)},
    {"socket", offsetof(struct mariadb_dsn, socket)},
    {"user", offsetof(struct mariadb_dsn, user)},
    {"password", offsetof(struct mariadb_dsn, password)},
    {"database", offsetof(struct mariadb_dsn, database)},
    {"ssl_ca", offsetof(struct mariadb_dsn, ssl_ca)},
    {"ssl_cert", offsetof(struct mariadb_dsn, ssl_cert)},
    {"ssl_key", offsetof(struct mariadb_dsn, ssl_key)},
};

static const struct {
    const char *key;
    size_t at;
    unsigned max;
} numbers[] = {
    {"port", offsetof(struct mariadb_dsn, port), 65535},
    {"connect_timeout", offsetof(struct mariadb_dsn, connect_timeout_s), SECONDS_MAX},
    {"timeout", offsetof(struct mariadb_dsn, timeout_s), SECONDS_MAX},
    {"keep_hours", offsetof(struct mariadb_dsn, keep_hours), KEEP_HOURS_MAX},
};

/* A value at *at, which moves behind it. */
static int read_value(const char **at, char value[MARIADB_DSN_BYTES]) {
    const char *from = *at;
    bool is_quoted = *from == '\'';
    from += is_quoted ? 1 : 0;
    size_t n = 0;
    while (*from != '\0' && (is_quoted ? *from != '\'' : strchr(blanks, *from) == NULL)) {
        from += *from == '\\' && from[1] != '\0' ? 1 : 0;
        if (n + 1 >= MARIADB_DSN_BYTES) {
            return TROTH_ERR_TOO_LARGE;
        }
        value[n++] = *from++;
    }
    value[n] = '\0';
    if (is_quoted && *from++ != '\'') {
        return TROTH_ERR_INVALID;
    }
    *at = from;
    return *from == '\0' || strchr(blanks, *from) != NULL ? 0 : TROTH_ERR_INVALID;
}

static int set_number(const char *key, const char *value, unsigned max, unsigned *number, char *why,
                      size_t why_bytes) {
    char *end;
    unsigned long n = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || n < 1 || n > max) {
        snprintf(why, why_bytes, "%s=%s in the MariaDB dsn: takes a number from 1 to %u", key,
                 value, max);
        return TROTH_ERR_INVALID;
    }
    *number = (unsigned)n;
    return 0;
}

static int set_ssl(struct mariadb_dsn *dsn, const char *value, char *why, size_t why_bytes) {
    static const char *const names[] = {
        [MARIADB_SSL_OFF] = "off", [MARIADB_SSL_ON] = "on", [MARIADB_SSL_VERIFY] = "verify"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i]) == 0) {
            dsn->ssl = (enum mariadb_ssl)i;
            return 0;
        }
    }
    snprintf(why, why_bytes, "ssl=%s in the MariaDB dsn: takes off, on or verify", value);
    return TROTH_ERR_INVALID;
}

static int set(struct mariadb_dsn *dsn, const char *key, const char *value, char *why,
               size_t why_bytes) {
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(key, texts[i].key) == 0) {
            memcpy((char *)dsn + texts[i].at, value, strlen(value) + 1);
            return 0;
        }
    }
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            return set_number(key, value, numbers[i].max,
                              (unsigned *)(void *)((char *)dsn + numbers[i].at), why, why_bytes);
        }
    }
    if (strcmp(key, "ssl") == 0) {
        return set_ssl(dsn, value, why, why_bytes);
    }
    snprintf(why, why_bytes,
             "the MariaDB dsn has the key \"%s\", which is none; there are host, port, socket, "
             "user, password, database, ssl, ssl_ca, ssl_cert, ssl_key, connect_timeout, timeout, "
             "keep_hours",
             key);
    return TROTH_ERR_INVALID;
}

/* What was wrong with a value is not shown: it may be a password's. */
static int wrong_value(int err, const char *key, char *why, size_t why_bytes) {
    snprintf(why, why_bytes, "the value of %s in the MariaDB dsn %s", key,
             err == TROTH_ERR_TOO_LARGE
                 ? "is too long"
                 : "can't be read: a value with spaces stands in single quotes, and a quote in it "
                   "behind a backslash");
    return TROTH_ERR_INVALID;
}

int mariadb_dsn_parse(const char *text, struct mariadb_dsn *dsn, char *why, size_t why_bytes) {
    *dsn = (struct mariadb_dsn){.port = PORT,
                                .connect_timeout_s = CONNECT_S,
                                .timeout_s = STATEMENT_S,
                                .keep_hours = KEEP_HOURS};
    for (text += strspn(text, blanks); *text != '\0'; text += strspn(text, blanks)) {
        char key[32] = "";
        char value[MARIADB_DSN_BYTES];
        size_t n = strcspn(text, "= \t\r\n");
        if (n == 0 || n >= sizeof key || text[n] != '=') {
            /* Nor is this: it may be the rest of a password with a space. */
            snprintf(why, why_bytes, "the MariaDB dsn can't be read: it takes key=value pairs");
            return TROTH_ERR_INVALID;
        }
        memcpy(key, text, n);
        text += n + 1;
        int err = read_value(&text, value);
        err =
            err != 0 ? wrong_value(err, key, why, why_bytes) : set(dsn, key, value, why, why_bytes);
        explicit_bzero(value, sizeof value);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

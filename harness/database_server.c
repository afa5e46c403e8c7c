#include "harness/database_server.h"

#include <errno.h>
#include <libpq-fe.h>
#include <mysql.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/troth_err.h"
#include "harness/database_server_internal.h"
#include "shell/clock.h"

#define CONNECT_TIMEOUT_S 2 /* while waiting for readiness */

static const struct {
    const char *name;
    const char *setting; /* how an option begins: "-cNAME=VALUE" */
} kinds[] = {
    [DATABASE_POSTGRES] = {"PostgreSQL", "-c"},
    [DATABASE_MARIADB] = {"MariaDB", "--"},
};

const char *database_server_name(enum database_kind kind) {
    return kinds[kind].name;
}

int database_server_fail(char why[DATABASE_SERVER_WHY_BYTES], int err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, DATABASE_SERVER_WHY_BYTES, format, args);
    va_end(args);
    return err;
}

/* The end of the log, so that an error shows what the program itself said. */
void database_server_add_log(const char *path, char why[DATABASE_SERVER_WHY_BYTES]) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    size_t used = strlen(why);
    size_t room = DATABASE_SERVER_WHY_BYTES - used - 1;
    if (fseek(file, -(long)(room < 600 ? room : 600), SEEK_END) != 0) {
        rewind(file);
    }
    why[used + fread(why + used, 1, room, file)] = '\0';
    fclose(file);
}

int database_server_add_arg(struct process *process, const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return process_add_arg(process, text);
}

/* ---- Starting -------------------------------------------------------------------------------- */

static int add_settings(struct database_server *server, const char *const *settings) {
    int err = 0;
    while (err == 0 && settings != NULL && *settings != NULL) {
        err = database_server_set(server, *settings++);
    }
    return err;
}

static int give_postgres_args(struct database_server *server, int prepared_max) {
    static const char *const settings[] = {"listen_addresses=127.0.0.1", "max_connections=150",
                                           "shared_buffers=16MB",
                                           /* Leaves nothing in /dev/shm after a kill. */
                                           "dynamic_shared_memory_type=mmap", NULL};
    struct process *process = &server->process;
    int err = database_server_add_arg(process, "-D%s/data", server->folder);
    err = err != 0 ? err : database_server_add_arg(process, "-p%d", server->port.number);
    err = err != 0 ? err : database_server_add_arg(process, "-k%s", server->folder);
    err = err != 0 ? err : add_settings(server, settings);
    return err != 0
               ? err
               : database_server_add_arg(process, "-cmax_prepared_transactions=%d", prepared_max);
}

static int give_mariadb_args(struct database_server *server) {
    static const char *const settings[] = {
        "bind-address=127.0.0.1",      "skip-name-resolve=1",      "max-connections=150",
        "innodb-buffer-pool-size=32M", "innodb-log-file-size=24M", NULL};
    struct process *process = &server->process;
    int err = process_add_arg(process, "--no-defaults"); /* must be the first */
    err = err != 0 ? err : database_server_add_arg(process, "--datadir=%s/data", server->folder);
    err = err != 0 ? err : database_server_add_arg(process, "--port=%d", server->port.number);
    err = err != 0 ? err : database_server_add_arg(process, "--socket=%s/sock", server->folder);
    err = err != 0 ? err : database_server_add_arg(process, "--pid-file=%s/pid", server->folder);
    if (err == 0 && geteuid() == 0) {
        err = process_add_arg(process, "--user=root");
    }
    return err != 0 ? err : add_settings(server, settings);
}

static void set_dsn(struct database_server *server) {
    if (server->kind == DATABASE_POSTGRES) {
        /* What is not used on loopback costs time at every connection. */
        snprintf(server->dsn, sizeof server->dsn,
                 "host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable "
                 "gssencmode=disable",
                 server->port.number);
    } else {
        snprintf(server->dsn, sizeof server->dsn,
                 "host=127.0.0.1 port=%d user=root password= database=test socket=%s/sock",
                 server->port.number, server->folder);
    }
}

int database_server_start(struct database_server **out, enum database_kind kind, const char *folder,
                          const struct database_server_options *options,
                          char why[DATABASE_SERVER_WHY_BYTES]) {
    static const struct database_server_options defaults;
    options = options == NULL ? &defaults : options;
    struct database_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return database_server_fail(why, TROTH_ERR_NO_MEMORY, "out of memory");
    }
    server->kind = kind;
    why[0] = '\0';
    int prepared_max = options->prepared_max == 0 ? 200 : options->prepared_max;
    int err = database_server_make(server, folder, why);
    if (err == 0 && port_hold(&server->port) != 0) {
        err = database_server_fail(why, TROTH_ERR_SYSTEM, "cannot get a port on 127.0.0.1: %s",
                                   strerror(errno));
    }
    if (err == 0) {
        set_dsn(server);
        err = kind == DATABASE_MARIADB
                  ? give_mariadb_args(server)
                  : give_postgres_args(server, prepared_max < 0 ? 0 : prepared_max);
        err = err != 0 ? err : add_settings(server, options->settings);
        if (err != 0) {
            database_server_fail(why, err, "%s's command line: %s", kinds[kind].name,
                                 troth_err_text(err));
        }
    }
    err = err != 0 ? err : database_server_restart(server, why);
    if (err != 0) {
        database_server_free(server);
        return err;
    }
    *out = server;
    return 0;
}

int database_server_set(struct database_server *server, const char *setting) {
    return database_server_add_arg(&server->process, "%s%s", kinds[server->kind].setting, setting);
}

int database_server_restart(struct database_server *server, char why[DATABASE_SERVER_WHY_BYTES]) {
    int err = process_start(&server->process);
    if (err != 0) {
        return database_server_fail(why, err, "cannot start %s: %s", kinds[server->kind].name,
                                    err == TROTH_ERR_STATE ? "it runs" : strerror(errno));
    }
    return 0;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static bool mariadb_answers(const struct database_server *server) {
    unsigned seconds = CONNECT_TIMEOUT_S;
    MYSQL *mysql = mysql_init(NULL);
    if (mysql == NULL) {
        return false;
    }
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    bool answers = mysql_real_connect(mysql, "127.0.0.1", "root", "", "test",
                                      (unsigned)server->port.number, NULL, 0) != NULL;
    mysql_close(mysql);
    return answers;
}

static bool answers(const struct database_server *server) {
    if (server->kind == DATABASE_MARIADB) {
        return mariadb_answers(server);
    }
    char dsn[sizeof server->dsn + 40];
    snprintf(dsn, sizeof dsn, "%s connect_timeout=%d", server->dsn, CONNECT_TIMEOUT_S);
    return PQping(dsn) == PQPING_OK;
}

int database_server_ready(struct database_server *server, int64_t timeout_ms,
                          char why[DATABASE_SERVER_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + timeout_ms;
    while (clock_monotonic_ms() < until) {
        int status = 0;
        if (!process_running(&server->process, &status)) {
            database_server_fail(
                why, 0, "%s has ended (%s %d); its log %s ends with:\n", kinds[server->kind].name,
                WIFSIGNALED(status) ? "signal" : "exit status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), server->process.log);
            database_server_add_log(server->process.log, why);
            return TROTH_ERR_CLOSED;
        }
        if (answers(server)) {
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    database_server_fail(why, 0, "%s does not serve after %lld ms; its log %s ends with:\n",
                         kinds[server->kind].name, (long long)timeout_ms, server->process.log);
    database_server_add_log(server->process.log, why);
    return TROTH_ERR_TIMEOUT;
}

const char *database_server_dsn(const struct database_server *server) {
    return server->dsn;
}

const char *database_server_folder(const struct database_server *server) {
    return server->folder;
}

const char *database_server_log(const struct database_server *server) {
    return server->process.log;
}

int database_server_port(const struct database_server *server) {
    return server->port.number;
}

pid_t database_server_pid(const struct database_server *server) {
    return server->process.pid;
}

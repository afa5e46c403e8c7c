/* A database server's folder and its empty data. */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/database_server_internal.h"
#include "harness/folder.h"

#define PATH_BYTES       4096
#define SOCKET_PATH_MAX  107 /* sockaddr_un, without the NUL */
#define MAKE_TIMEOUT_MS  120000
#define POSTGRES_ACCOUNT "postgres"

static const struct {
    const char *package;
    const char *maker; /* of its data */
    const char *program;
} kinds[] = {
    [DATABASE_POSTGRES] = {"postgresql-15", "initdb", "postgres"},
    [DATABASE_MARIADB] = {"mariadb-server-core", "mariadb-install-db", "mariadbd"},
};

/* ---- Finding the programs -------------------------------------------------------------------- */

static bool is_in(const char *folder, size_t n, const char *name, char path[PATH_BYTES]) {
    return snprintf(path, PATH_BYTES, "%.*s/%s", (int)n, folder, name) < PATH_BYTES &&
           access(path, X_OK) == 0;
}

static bool find_in_path(const char *name, char path[PATH_BYTES]) {
    const char *folders = getenv("PATH");
    while (folders != NULL && *folders != '\0') {
        size_t n = strcspn(folders, ":");
        if (n > 0 && is_in(folders, n, name, path)) {
            return true;
        }
        folders += n + (folders[n] == ':');
    }
    return false;
}

/* Debian keeps PostgreSQL's server programs out of PATH, by version: the newest. */
static bool find_newest(const char *name, char path[PATH_BYTES]) {
    glob_t found;
    char newest[PATH_BYTES] = "";
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0) {
        return false;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *folder = found.gl_pathv[i];
        if (is_in(folder, strlen(folder), name, path) && strverscmp(path, newest) > 0) {
            memcpy(newest, path, strlen(path) + 1);
        }
    }
    globfree(&found);
    memcpy(path, newest, sizeof newest);
    return path[0] != '\0';
}

static int find_program(enum database_kind kind, const char *name, char path[PATH_BYTES],
                        char why[DATABASE_SERVER_WHY_BYTES]) {
    static const char *const more[] = {"/usr/sbin", "/usr/local/sbin", "/usr/bin"};
    if (find_in_path(name, path) || (kind == DATABASE_POSTGRES && find_newest(name, path))) {
        return 0;
    }
    for (unsigned i = 0; i < sizeof more / sizeof *more; i++) {
        if (is_in(more[i], strlen(more[i]), name, path)) {
            return 0;
        }
    }
    return database_server_fail(
        why, TROTH_ERR_NOT_FOUND,
        "%s's program %s is not there: install the package %s, or put its folder into PATH",
        database_server_name(kind), name, kinds[kind].package);
}

/* The program, by way of setpriv when it is to run as another user: that has it killed with us as
 * well, which changing the user by itself would undo. */
static int set_program(struct database_server *server, struct process *process, const char *name,
                       char why[DATABASE_SERVER_WHY_BYTES]) {
    char path[PATH_BYTES];
    int err = find_program(server->kind, name, path, why);
    if (err != 0) {
        return err;
    }
    snprintf(process->log, sizeof process->log, "%s/log", server->folder);
    if (!server->as_other_user) {
        memcpy(process->program, path, sizeof path);
        return 0;
    }
    if (!find_in_path("setpriv", process->program)) {
        return database_server_fail(why, TROTH_ERR_NOT_FOUND,
                                    "setpriv is not there: install the package util-linux");
    }
    static const char *const args[] = {"--reuid=" POSTGRES_ACCOUNT, "--regid=" POSTGRES_ACCOUNT,
                                       "--init-groups", "--pdeathsig=KILL", "--"};
    for (unsigned i = 0; err == 0 && i < sizeof args / sizeof *args; i++) {
        err = process_add_arg(process, args[i]);
    }
    return err != 0 ? err : process_add_arg(process, path);
}

/* ---- Folder and data ------------------------------------------------------------------------- */

static int give_maker_args(struct database_server *server, struct process *maker) {
    if (server->kind == DATABASE_POSTGRES) {
        int err = database_server_add_arg(maker, "-D%s/data", server->folder);
        static const char *const args[] = {"-Upostgres", "-Atrust", "--no-locale", "-EUTF8",
                                           "--no-sync"};
        for (unsigned i = 0; err == 0 && i < sizeof args / sizeof *args; i++) {
            err = process_add_arg(maker, args[i]);
        }
        return err;
    }
    static const char *const args[] = {"--no-defaults", "--auth-root-authentication-method=normal",
                                       "--skip-test-db", "--skip-name-resolve",
                                       "--innodb-log-file-size=24M"};
    int err = 0;
    for (unsigned i = 0; err == 0 && i < sizeof args / sizeof *args; i++) {
        err = process_add_arg(maker, args[i]);
    }
    err = err != 0 ? err : database_server_add_arg(maker, "--datadir=%s/data", server->folder);
    err = err != 0 ? err
                   : database_server_add_arg(maker, "--extra-file=%s/first.sql", server->folder);
    return err == 0 && geteuid() == 0 ? process_add_arg(maker, "--user=root") : err;
}

static int make_data(struct database_server *server, char why[DATABASE_SERVER_WHY_BYTES]) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/data", server->folder);
    if (access(path, F_OK) == 0) {
        return 0;
    }
    if (server->kind == DATABASE_MARIADB) {
        snprintf(path, sizeof path, "%s/first.sql", server->folder);
        FILE *file = fopen(path, "we");
        if (file == NULL || fputs("CREATE DATABASE test;\n", file) < 0 || fclose(file) != 0) {
            return database_server_fail(why, TROTH_ERR_SYSTEM, "cannot write %s: %s", path,
                                        strerror(errno));
        }
    }
    struct process *maker = calloc(1, sizeof *maker);
    if (maker == NULL) {
        return database_server_fail(why, TROTH_ERR_NO_MEMORY, "out of memory");
    }
    int status = 0;
    int err = set_program(server, maker, kinds[server->kind].maker, why);
    err = err != 0 ? err : give_maker_args(server, maker);
    if (err == 0 && process_start(maker) != 0) {
        err = database_server_fail(why, TROTH_ERR_SYSTEM, "cannot run %s: %s", maker->program,
                                   strerror(errno));
    } else if (err == 0 && (process_wait(maker, MAKE_TIMEOUT_MS, &status) != 0 || status != 0)) {
        err = database_server_fail(why, TROTH_ERR_SYSTEM,
                                   "%s could not make %s/data; its log %s ends with:\n",
                                   kinds[server->kind].maker, server->folder, maker->log);
        database_server_add_log(maker->log, why);
    }
    process_release(maker);
    free(maker);
    return err;
}

/* A folder with an absolute path, which may be the server's user's. */
static int make_folder(struct database_server *server, const char *folder,
                       char why[DATABASE_SERVER_WHY_BYTES]) {
    char path[PATH_MAX];
    char absolute[PATH_MAX];
    server->folder_is_ours = folder == NULL;
    int err = folder == NULL ? folder_make_temporary(path, sizeof path) : folder_make(folder);
    if (err != 0 || realpath(folder == NULL ? path : folder, absolute) == NULL) {
        return database_server_fail(why, TROTH_ERR_SYSTEM, "cannot make the folder %s: %s",
                                    folder == NULL ? path : folder, strerror(errno));
    }
    /* ".s.PGSQL.12345" is the longer of the two names. */
    if (strlen(absolute) + strlen("/.s.PGSQL.12345") > SOCKET_PATH_MAX) {
        return database_server_fail(
            why, TROTH_ERR_TOO_LARGE,
            "the path %s is too long for a socket: choose a shorter folder, or TMPDIR", absolute);
    }
    snprintf(server->folder, sizeof server->folder, "%s", absolute);
    server->as_other_user = server->kind == DATABASE_POSTGRES && geteuid() == 0;
    if (!server->as_other_user) {
        return 0;
    }
    const struct passwd *account = getpwnam(POSTGRES_ACCOUNT);
    if (account == NULL) {
        return database_server_fail(
            why, TROTH_ERR_NOT_FOUND,
            "PostgreSQL does not run as root, and there is no user " POSTGRES_ACCOUNT
            ": install the package %s, or run as another user",
            kinds[server->kind].package);
    }
    if (chown(absolute, account->pw_uid, account->pw_gid) != 0) {
        return database_server_fail(why, TROTH_ERR_SYSTEM,
                                    "cannot give %s to " POSTGRES_ACCOUNT ": %s", absolute,
                                    strerror(errno));
    }
    for (char *slash = strrchr(absolute, '/'); slash != absolute; slash = strrchr(absolute, '/')) {
        struct stat info;
        *slash = '\0';
        if (stat(absolute, &info) == 0 && (info.st_mode & S_IXOTH) == 0) {
            return database_server_fail(why, TROTH_ERR_SYSTEM,
                                        "the user " POSTGRES_ACCOUNT
                                        " cannot get into %s: chmod o+x %s",
                                        absolute, absolute);
        }
    }
    return 0;
}

int database_server_make(struct database_server *server, const char *folder,
                         char why[DATABASE_SERVER_WHY_BYTES]) {
    int err = make_folder(server, folder, why);
    err = err != 0 ? err : make_data(server, why);
    return err != 0 ? err : set_program(server, &server->process, kinds[server->kind].program, why);
}

/* A database server's folder and its empty data. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/troth_err.h"
#include "harness/database_server_internal.h"
#include "harness/folder.h"

#define PATH_BYTES       4096
#define SOCKET_PATH_MAX  107 /* sockaddr_un, without the NUL */
#define MAKE_TIMEOUT_MS  120000
#define POSTGRES_ACCOUNT "postgres"

static const struct {
    const char *package;
    const char *program;
    const char *maker; /* of its data */
    const char *maker_args[8];
} kinds[] = {
    [DATABASE_POSTGRES] = {"postgresql-15",
                           "postgres",
                           "initdb",
                           {"-Upostgres", "-Atrust", "--no-locale", "-EUTF8", "--no-sync", NULL}},
    [DATABASE_MARIADB] = {"mariadb-server-core",
                          "mariadbd",
                          "mariadb-install-db",
                          /* --rpm, as Debian's own installation does: root's other way gives a
                           * program in /usr/lib an owner and permissions. */
                          {"--no-defaults", "--rpm", "--auth-root-authentication-method=normal",
                           "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=24M",
                           NULL}},
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

/* ---- Data ------------------------------------------------------------------------------------ */

/* Runs it to its end. `what` is what it was to make. */
static int run(struct process *process, const char *what, char why[DATABASE_SERVER_WHY_BYTES]) {
    int status = 0;
    if (process_start(process) != 0) {
        return database_server_fail(why, TROTH_ERR_SYSTEM, "cannot run %s: %s", process->program,
                                    strerror(errno));
    }
    if (process_wait(process, MAKE_TIMEOUT_MS, &status) == 0 && status == 0) {
        return 0;
    }
    database_server_fail(why, 0, "%s could not make %s; its log %s ends with:\n", process->program,
                         what, process->log);
    database_server_add_log(process->log, why);
    return TROTH_ERR_SYSTEM;
}

static int give_maker_args(struct database_server *server, struct process *maker) {
    int err = 0;
    for (const char *const *arg = kinds[server->kind].maker_args; err == 0 && *arg != NULL; arg++) {
        err = process_add_arg(maker, *arg);
    }
    if (server->kind == DATABASE_POSTGRES) {
        return err != 0 ? err : database_server_add_arg(maker, "-D%s/data", server->folder);
    }
    err = err != 0 ? err : database_server_add_arg(maker, "--datadir=%s/data", server->folder);
    err = err != 0 ? err
                   : database_server_add_arg(maker, "--extra-file=%s/first.sql", server->folder);
    return err == 0 && geteuid() == 0 ? process_add_arg(maker, "--user=root") : err;
}

/* Made by the server's own program. */
static int make_data(struct database_server *server, char why[DATABASE_SERVER_WHY_BYTES]) {
    if (server->kind == DATABASE_MARIADB) {
        char path[PATH_BYTES];
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
    int err = set_program(server, maker, kinds[server->kind].maker, why);
    err = err != 0 ? err : give_maker_args(server, maker);
    err = err != 0 ? err : run(maker, "its data", why);
    process_release(maker);
    free(maker);
    return err;
}

/* With owners and times; holes stay holes. */
static int copy(const struct database_server *server, const char *from, const char *to,
                char why[DATABASE_SERVER_WHY_BYTES]) {
    struct process *cp = calloc(1, sizeof *cp);
    if (cp == NULL) {
        return database_server_fail(why, TROTH_ERR_NO_MEMORY, "out of memory");
    }
    const char *const args[] = {"-a", "--sparse=always", from, to};
    int err = 0;
    snprintf(cp->log, sizeof cp->log, "%s/log", server->folder);
    if (!find_in_path("cp", cp->program)) {
        err = database_server_fail(why, TROTH_ERR_NOT_FOUND, "cp is not there");
    }
    for (unsigned i = 0; err == 0 && i < sizeof args / sizeof *args; i++) {
        err = process_add_arg(cp, args[i]);
    }
    err = err != 0 ? err : run(cp, to, why);
    process_release(cp);
    free(cp);
    return err;
}

/* Named after all that its content depends on. */
static int template_path(const struct database_server *server, const char *templates,
                         char path[PATH_BYTES], char why[DATABASE_SERVER_WHY_BYTES]) {
    char args[PATH_BYTES] = "";
    char program[PATH_BYTES];
    struct stat info;
    int err = find_program(server->kind, kinds[server->kind].program, program, why);
    if (err != 0) {
        return err;
    }
    for (const char *const *arg = kinds[server->kind].maker_args; *arg != NULL; arg++) {
        strncat(args, *arg, sizeof args - strlen(args) - 1);
    }
    if (stat(program, &info) != 0 ||
        snprintf(path, PATH_BYTES - 8, "%s/%s-%lld-%lld-%u-%016llx", templates,
                 kinds[server->kind].program, (long long)info.st_mtime, (long long)info.st_size,
                 (unsigned)geteuid(),
                 (unsigned long long)XXH64(args, strlen(args), 0)) >= PATH_BYTES - 8) {
        return database_server_fail(why, TROTH_ERR_SYSTEM, "cannot name a copy of %s's data in %s",
                                    program, templates);
    }
    return 0;
}

/* Makes the data and keeps a copy of it, whole or not at all. */
static int make_template(struct database_server *server, const char *data, const char *path,
                         char why[DATABASE_SERVER_WHY_BYTES]) {
    char unfinished[PATH_BYTES];
    snprintf(unfinished, sizeof unfinished, "%s.new", path);
    folder_remove(unfinished);
    int err = make_data(server, why);
    err = err != 0 ? err : copy(server, data, unfinished, why);
    if (err == 0 && rename(unfinished, path) != 0) {
        err = database_server_fail(why, TROTH_ERR_SYSTEM, "cannot rename %s: %s", unfinished,
                                   strerror(errno));
    }
    return err;
}

/* Copied from the folder `templates`, where the first who asks leaves it. */
static int copy_data(struct database_server *server, const char *templates, const char *data,
                     char why[DATABASE_SERVER_WHY_BYTES]) {
    char path[PATH_BYTES];
    int err = template_path(server, templates, path, why);
    if (err != 0) {
        return err;
    }
    int lock = folder_make(templates) != 0 ? -1 : open(templates, O_RDONLY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        err = database_server_fail(why, TROTH_ERR_SYSTEM, "cannot lock the folder %s: %s",
                                   templates, strerror(errno));
    }
    bool is_there = err == 0 && access(path, F_OK) == 0;
    if (err == 0 && !is_there) {
        err = make_template(server, data, path, why);
    }
    if (lock >= 0) {
        close(lock);
    }
    return is_there ? copy(server, path, data, why) : err;
}

/* ---- Folder ---------------------------------------------------------------------------------- */

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
    const char *templates = getenv("TROTH_DATABASE_TEMPLATES");
    char data[PATH_BYTES];
    int err = make_folder(server, folder, why);
    snprintf(data, sizeof data, "%s/data", server->folder);
    if (err == 0 && access(data, F_OK) != 0) {
        err = templates == NULL || templates[0] == '\0' ? make_data(server, why)
                                                        : copy_data(server, templates, data, why);
    }
    return err != 0 ? err : set_program(server, &server->process, kinds[server->kind].program, why);
}

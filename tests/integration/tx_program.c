/* A program that makes the calls of X/Open TX that its arguments name, one after the other, and
 * says what each returned, for test_tx.c:
 *
 *     tx_program open begin orders:"INSERT INTO t VALUES (1)" commit close
 *
 *     open begin commit rollback close info   as named
 *     chained unchained logged completed      tx_set_*
 *     timeout=SECONDS
 *     RESOURCE:SQL            in this thread's session with that database; a COPY stays at its
 *                             first row
 *     work=RMID, unreg=RMID   crooked_work (tests/lib/crooked_switch.h), ax_unreg
 *     wait                    until its starter says go (tests/lib/tx_fixture.h)
 *     outlive                 until the transaction's time is over
 *     thread ... end          what is between, in another thread; waits for it
 *     why                     what the last call had to say
 */
#include <dlfcn.h>
#include <libpq-fe.h>
#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/tx/troth_tx.h"
#include "client/tx/tx.h"
#include "participant/adapters/xa.h"

#define NAME(code)                                                                                 \
    case code:                                                                                     \
        return #code

static const char *name_of(int rc) {
    switch (rc) {
        NAME(TX_NOT_SUPPORTED);
        NAME(TX_OK);
        NAME(TX_OUTSIDE);
        NAME(TX_ROLLBACK);
        NAME(TX_MIXED);
        NAME(TX_HAZARD);
        NAME(TX_PROTOCOL_ERROR);
        NAME(TX_ERROR);
        NAME(TX_FAIL);
        NAME(TX_EINVAL);
        NAME(TX_COMMITTED);
        NAME(TX_NO_BEGIN);
        NAME(TX_ROLLBACK_NO_BEGIN);
        NAME(TX_MIXED_NO_BEGIN);
        NAME(TX_HAZARD_NO_BEGIN);
        NAME(TX_COMMITTED_NO_BEGIN);
    default:
        return "?";
    }
}

static void info(void) {
    TXINFO info;
    int rc = tx_info(&info);
    if (rc < 0) {
        printf("info %s\n", name_of(rc));
        return;
    }
    printf("info in=%d return=%ld control=%ld timeout=%ld state=%ld xid=%.*s\n", rc,
           info.when_return, info.transaction_control, info.transaction_timeout,
           info.transaction_state, info.xid.formatID == -1 ? 1 : (int)info.xid.gtrid_length,
           info.xid.formatID == -1 ? "-" : info.xid.data);
}

static void run_sql(const char *resource, const char *sql) {
    PGconn *postgres = troth_tx_postgres(resource);
    MYSQL *mariadb = troth_tx_mariadb(resource);
    if (postgres != NULL) {
        PGresult *result = PQexec(postgres, sql);
        ExecStatusType status = PQresultStatus(result);
        bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
                  status == PGRES_COPY_IN || status == PGRES_COPY_OUT;
        printf("%s %s\n", resource, ok ? "done" : PQerrorMessage(postgres));
        PQclear(result);
    } else if (mariadb != NULL) {
        printf("%s %s\n", resource, mysql_query(mariadb, sql) == 0 ? "done" : mysql_error(mariadb));
    } else {
        printf("%s has no session\n", resource);
    }
}

static void work(int rmid) {
    int (*crooked_work)(int) = NULL;
    void *library = dlopen(getenv("CROOKED_SWITCH"), RTLD_LAZY | RTLD_NOLOAD);
    void *address = library == NULL ? NULL : dlsym(library, "crooked_work");
    memcpy(&crooked_work, &address, sizeof address);
    printf("work %d\n", crooked_work == NULL ? -100 : crooked_work(rmid));
    if (library != NULL) {
        dlclose(library);
    }
}

static void wait_for_go(void) {
    char path[200];
    snprintf(path, sizeof path, "%s/waits", getenv("TX_PROGRAM_FOLDER"));
    FILE *file = fopen(path, "w");
    if (file == NULL || fclose(file) != 0) {
        abort();
    }
    snprintf(path, sizeof path, "%s/go", getenv("TX_PROGRAM_FOLDER"));
    while (access(path, F_OK) != 0) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    unlink(path);
}

/* Until the transaction's time is over. */
static void outlive(void) {
    TXINFO info = {.transaction_state = TX_ACTIVE};
    while (tx_info(&info) == 1 && info.transaction_state == TX_ACTIVE) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

/* The calls without an argument. */
static int call(const char *name) {
    static const struct {
        const char *name;
        int (*function)(void);
    } calls[] = {{"open", tx_open},
                 {"close", tx_close},
                 {"begin", tx_begin},
                 {"commit", tx_commit},
                 {"rollback", tx_rollback}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strcmp(name, calls[i].name) == 0) {
            return calls[i].function();
        }
    }
    return strcmp(name, "chained") == 0        ? tx_set_transaction_control(TX_CHAINED)
           : strcmp(name, "unchained") == 0    ? tx_set_transaction_control(TX_UNCHAINED)
           : strcmp(name, "logged") == 0       ? tx_set_commit_return(TX_COMMIT_DECISION_LOGGED)
           : strcmp(name, "completed") == 0    ? tx_set_commit_return(TX_COMMIT_COMPLETED)
           : strncmp(name, "timeout=", 8) == 0 ? tx_set_transaction_timeout(atol(name + 8))
                                               : 1000;
}

static char **run(char **args);

static void *thread_main(void *arg) {
    run(arg);
    return NULL;
}

/* Until "end" or the last one; returns the one behind. */
static char **run(char **args) {
    for (; *args != NULL; args++) {
        const char *arg = *args;
        const char *colon = strchr(arg, ':');
        char name[64];
        if (strcmp(arg, "end") == 0) {
            return args + 1;
        }
        if (strcmp(arg, "thread") == 0) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, thread_main, args + 1) != 0) {
                abort();
            }
            pthread_join(thread, NULL);
            while (strcmp(*++args, "end") != 0) {
            }
        } else if (strcmp(arg, "info") == 0) {
            info();
        } else if (strcmp(arg, "why") == 0) {
            printf("why %s\n", troth_tx_why());
        } else if (strncmp(arg, "work=", 5) == 0) {
            work(atoi(arg + 5));
        } else if (strncmp(arg, "unreg=", 6) == 0) {
            printf("unreg %d\n", ax_unreg(atoi(arg + 6), TMNOFLAGS));
        } else if (strcmp(arg, "wait") == 0) {
            wait_for_go();
        } else if (strcmp(arg, "outlive") == 0) {
            outlive();
        } else if (colon != NULL) {
            snprintf(name, sizeof name, "%.*s", (int)(colon - arg), arg);
            run_sql(name, colon + 1);
        } else {
            printf("%s %s\n", arg, name_of(call(arg)));
        }
        fflush(stdout);
    }
    return args;
}

int main(int argc, char **argv) {
    (void)argc;
    run(argv + 1);
    return 0;
}

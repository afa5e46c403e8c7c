#include "tests/lib/mariadb_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lib/suite.h"

#define READY_MS 60000
#define WAIT_MS  20000

struct database_server *server;
struct driver *driver;
struct driver_connection *connection;
MYSQL *client;

static char why[DATABASE_SERVER_WHY_BYTES];

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ---- SQL ------------------------------------------------------------------------------------- */

/* Each line of `text`; the first error ends it. */
static unsigned run_lines(MYSQL *session, char *text, MYSQL_RES **result) {
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (*result != NULL) {
            mysql_free_result(*result);
            *result = NULL;
        }
        if (mysql_query(session, line) != 0) {
            return mysql_errno(session);
        }
        *result = mysql_store_result(session);
    }
    return 0;
}

__attribute__((format(printf, 2, 0))) static unsigned run(MYSQL *session, const char *format,
                                                          va_list args, MYSQL_RES **result) {
    char text[4096];
    vsnprintf(text, sizeof text, format, args);
    *result = NULL;
    return run_lines(session, text, result);
}

__attribute__((format(printf, 2, 0))) static unsigned
run_and_drop(MYSQL *session, const char *format, va_list args) {
    MYSQL_RES *result;
    unsigned error = run(session, format, args, &result);
    if (result != NULL) {
        mysql_free_result(result);
    }
    return error;
}

void sql(MYSQL *session, const char *format, ...) {
    va_list args;
    va_start(args, format);
    unsigned error = run_and_drop(session, format, args);
    va_end(args);
    ck_assert_msg(error == 0, "%s: %s", format, mysql_error(session));
}

void sql_fails(MYSQL *session, unsigned error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    unsigned is = run_and_drop(session, format, args);
    va_end(args);
    ck_assert_msg(is == error, "%s: %u %s, not %u", format, is, mysql_error(session), error);
}

unsigned sql_error(MYSQL *session, const char *format, ...) {
    va_list args;
    va_start(args, format);
    unsigned error = run_and_drop(session, format, args);
    va_end(args);
    return error;
}

long sql_number(MYSQL *session, const char *format, ...) {
    va_list args;
    MYSQL_RES *result;
    va_start(args, format);
    unsigned error = run(session, format, args, &result);
    va_end(args);
    ck_assert_msg(error == 0 && result != NULL, "%s: %s", format, mysql_error(session));
    MYSQL_ROW row = mysql_fetch_row(result);
    long number = row == NULL || row[0] == NULL ? -1 : strtol(row[0], NULL, 10);
    mysql_free_result(result);
    return number;
}

static MYSQL *dial(const char *user) {
    char socket[512];
    snprintf(socket, sizeof socket, "%s/sock", database_server_folder(server));
    MYSQL *session = mysql_init(NULL);
    mysql_options(session, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(session, NULL, user, "", "test", 0, socket, 0) == NULL) {
        fprintf(stderr, "%s\n", mysql_error(session));
        mysql_close(session);
        return NULL;
    }
    return session;
}

MYSQL *mariadb_client(const char *user) {
    MYSQL *session = dial(user);
    ck_assert_ptr_nonnull(session);
    return session;
}

void sql_wait(const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (int i = 0; i < WAIT_MS / 5; i++) {
        if (sql_number(client, "%s", text) > 0) {
            return;
        }
        pause_ms(5);
    }
    ck_abort_msg("waited in vain for %s", text);
}

void close_session(MYSQL *session) {
    unsigned long id = mysql_thread_id(session);
    mysql_close(session);
    sql_wait("SELECT COUNT(*) = 0 FROM information_schema.processlist WHERE id = %lu", id);
}

/* ---- Branches -------------------------------------------------------------------------------- */

struct troth_txid txid_of(unsigned number) {
    return troth_txid_make(1, 1, 1, number);
}

static char *next_text(void) {
    static char texts[4][TROTH_GID_BYTES];
    static unsigned next;
    return texts[next++ % 4];
}

static struct troth_gid whole(unsigned number) {
    struct troth_gid gid = {.cluster = "shop", .txid = txid_of(number), .participant = "stock"};
    return gid;
}

const char *xid_of(unsigned number) {
    char *text = next_text();
    struct troth_gid gid = whole(number);
    ck_assert_int_eq(troth_gid_format_xa(&gid, text), 0);
    return text;
}

const char *gid_of(unsigned number) {
    struct troth_gid gid = whole(number);
    return troth_gid_format(&gid, next_text());
}

void begin(MYSQL *session, unsigned number) {
    char first[DRIVER_WHY_BYTES];
    char last[DRIVER_WHY_BYTES];
    driver->ops->statements(driver, txid_of(number), first, last);
    sql(session, "%s", first);
    sql(session, "INSERT INTO t VALUES (%u)", number);
}

void prepare(MYSQL *session, unsigned number) {
    char first[DRIVER_WHY_BYTES];
    char last[DRIVER_WHY_BYTES];
    begin(session, number);
    driver->ops->statements(driver, txid_of(number), first, last);
    sql(session, "%s", last);
}

void prepare_plainly(MYSQL *session, unsigned number) {
    begin(session, number);
    sql(session, "XA END %s", xid_of(number));
    sql(session, "XA PREPARE %s", xid_of(number));
}

bool is_listed(unsigned number) {
    bool found = false;
    ck_assert_int_eq(mysql_query(client, "XA RECOVER FORMAT='SQL'"), 0);
    MYSQL_RES *result = mysql_store_result(client);
    for (MYSQL_ROW row = mysql_fetch_row(result); row != NULL; row = mysql_fetch_row(result)) {
        struct troth_gid gid; /* in hexadecimal, for the colon */
        found = found ||
                (troth_gid_parse(row[3], &gid) == 0 && troth_txid_equal(gid.txid, txid_of(number)));
    }
    mysql_free_result(result);
    return found;
}

bool has_row(unsigned number) {
    return sql_number(client, "SELECT COUNT(*) FROM t WHERE n = %u", number) > 0;
}

struct driver_branch unknown(unsigned number) {
    return (struct driver_branch){.txid = txid_of(number)};
}

struct driver_branch voted(unsigned number) {
    struct driver_branch branch = unknown(number);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_msg(branch.result == DRIVER_PREPARED, "%d %s", branch.result, branch.detail);
    return branch;
}

int end_one(struct driver_branch *branch, bool commit) {
    branch->commit = commit;
    driver->ops->end(connection, branch, 1);
    return branch->result;
}

/* That table shows what it showed before if it is read again within 100 ms. */
static void wait_for_lock(MYSQL *session) {
    for (int i = 0; i < WAIT_MS / 150; i++) {
        if (sql_number(session, "SELECT COUNT(*) FROM information_schema.innodb_trx "
                                "WHERE trx_state = 'LOCK WAIT'") > 0) {
            return;
        }
        pause_ms(150);
    }
    ck_abort_msg("nobody waits for a lock");
}

void mariadb_make_deadlock(MYSQL *victim, const char *first) {
    MYSQL *other = mariadb_client("root");
    sql(client, "CREATE OR REPLACE TABLE d (n int PRIMARY KEY, v int) ENGINE=InnoDB\n"
                "INSERT INTO d VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)");
    sql(victim, "%s\nUPDATE d SET v = 1 WHERE n = 1", first);
    /* Who has changed less is chosen. */
    sql(other, "BEGIN\nUPDATE d SET v = 2 WHERE n > 1");
    static const char blocked[] = "UPDATE d SET v = 2 WHERE n = 1";
    ck_assert_int_eq(mysql_send_query(other, blocked, strlen(blocked)), 0);
    wait_for_lock(client);
    sql_fails(victim, ER_LOCK_DEADLOCK, "UPDATE d SET v = 1 WHERE n = 2");
    ck_assert_int_eq(mysql_read_query_result(other), 0);
    mysql_close(other);
}

/* ---- The server ------------------------------------------------------------------------------ */

static void hang_up(void) {
    if (driver != NULL) {
        driver->ops->connection_free(connection);
        driver->ops->free(driver);
    }
    driver = NULL;
}

void mariadb_driver_again(void) {
    char reason[DRIVER_WHY_BYTES];
    hang_up();
    int err = mariadb_driver_new(&driver, "shop", "stock", database_server_dsn(server), reason);
    ck_assert_msg(err == 0, "%s", reason);
    connection = driver->ops->connection_new(driver);
    ck_assert_ptr_nonnull(connection);
}

static void serve(void) {
    ck_assert_msg(database_server_restart(server, why) == 0, "%s", why);
    ck_assert_msg(database_server_ready(server, READY_MS, why) == 0, "%s", why);
    mysql_close(client);
    client = mariadb_client("root");
}

void mariadb_kill_and_restart(void) {
    ck_assert_int_eq(database_server_kill(server), 0);
    serve();
}

void mariadb_restart_with(const char *setting) {
    ck_assert_int_eq(database_server_set(server, setting), 0);
    database_server_stop(server);
    serve();
}

/* How many are left: those of sessions that are about to end. */
static unsigned long roll_back_all(void) {
    ck_assert_int_eq(mysql_query(client, "XA RECOVER FORMAT='SQL'"), 0);
    MYSQL_RES *left = mysql_store_result(client);
    for (MYSQL_ROW row = mysql_fetch_row(left); row != NULL; row = mysql_fetch_row(left)) {
        (void)sql_error(client, "XA ROLLBACK %s", row[3]);
    }
    unsigned long n = mysql_num_rows(left);
    mysql_free_result(left);
    return n;
}

/* Those of a test that has failed hold their branches. */
static void kill_others(void) {
    ck_assert_int_eq(mysql_query(client, "SELECT id FROM information_schema.processlist "
                                         "WHERE id <> CONNECTION_ID() AND user <> 'system user'"),
                     0);
    MYSQL_RES *others = mysql_store_result(client);
    for (MYSQL_ROW row = mysql_fetch_row(others); row != NULL; row = mysql_fetch_row(others)) {
        (void)sql_error(client, "KILL %s", row[0]);
    }
    mysql_free_result(others);
}

void mariadb_fixture_reset(void) {
    char reason[DRIVER_WHY_BYTES];
    kill_others();
    for (int i = 0; roll_back_all() > 0 && i < WAIT_MS / 5; i++) {
        pause_ms(5);
    }
    sql(client, "SET SESSION lock_wait_timeout = 10");
    sql(client, "CREATE OR REPLACE TABLE t (n int) ENGINE=InnoDB");
    sql(client, "DROP DATABASE IF EXISTS troth");
    mariadb_driver_again();
    ck_assert_msg(driver->ops->check(connection, reason) == 0, "%s", reason);
}

int mariadb_fixture_run(const char *name, const TTest *const *tests) {
    setenv("CK_FORK", "no", 1);
    if (database_server_start(&server, DATABASE_MARIADB, NULL, NULL, why) != 0 ||
        database_server_ready(server, READY_MS, why) != 0 || (client = dial("root")) == NULL) {
        fprintf(stderr, "%s\n", why);
        database_server_free(server);
        return EXIT_FAILURE;
    }
    int status = suite_run(name, tests);
    hang_up();
    mysql_close(client);
    database_server_free(server);
    mysql_library_end();
    return status;
}

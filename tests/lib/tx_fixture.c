#include "tests/lib/tx_fixture.h"

#include <libpq-fe.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/process.h"
#include "shell/clock.h"
#include "tests/lib/crooked_file.h"
#include "tests/lib/program_run.h"
#include "tests/lib/suite.h"

#define READY_MS    60000
#define PATIENCE_MS 60000 /* only a failing test waits so long */

static struct cluster *cluster;
static struct database_server *postgres;
static struct database_server *mariadb;
static char folder[64];
static char orders_text[600], stock_text[600], goods_text[600];
const char *tx_orders = orders_text, *tx_stock = stock_text;
static struct process program, second;
static char output[16384];

static const char *path_in_folder(const char *name) {
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Outside of a test Check can't be told. */
static void must(bool ok, const char *why) {
    if (!ok) {
        fprintf(stderr, "tx_fixture: %s\n", why);
        exit(EXIT_FAILURE);
    }
}

/* ---- Databases ------------------------------------------------------------------------------- */

static PGconn *postgres_session(const char *database) {
    char dsn[600];
    snprintf(dsn, sizeof dsn, "%s dbname=%s", database_server_dsn(postgres), database);
    PGconn *session = PQconnectdb(dsn);
    must(PQstatus(session) == CONNECTION_OK, PQerrorMessage(session));
    return session;
}

static int postgres_number(const char *database, const char *sql) {
    PGconn *session = postgres_session(database);
    PGresult *result = PQexec(session, sql);
    ExecStatusType status = PQresultStatus(result);
    must(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, PQerrorMessage(session));
    int number = PQntuples(result) > 0 ? atoi(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    PQfinish(session);
    return number;
}

static int mariadb_number(const char *sql) {
    MYSQL *session = mysql_init(NULL);
    must(mysql_real_connect(session, "127.0.0.1", "root", "", "test",
                            (unsigned)database_server_port(mariadb), NULL, 0) != NULL &&
             mysql_query(session, sql) == 0,
         mysql_error(session));
    MYSQL_RES *rows = mysql_store_result(session);
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    int number = row == NULL ? 0 : atoi(row[0]);
    if (rows != NULL) {
        mysql_free_result(rows);
    }
    mysql_close(session);
    return number;
}

int tx_rows(const char *database) {
    static const char sql[] = "SELECT count(*) FROM t";
    return strcmp(database, "goods") == 0 ? mariadb_number(sql) : postgres_number(database, sql);
}

int tx_number(const char *database, const char *sql) {
    return postgres_number(database, sql);
}

int tx_prepared(void) {
    return postgres_number("orders", "SELECT count(*) FROM pg_prepared_xacts");
}

static void pause_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

void tx_wait_for_nothing_prepared(void) {
    for (int64_t until = clock_monotonic_ms() + PATIENCE_MS; tx_prepared() > 0;) {
        ck_assert_msg(clock_monotonic_ms() < until, "still prepared");
        pause_a_little();
    }
}

/* ---- Configuration --------------------------------------------------------------------------- */

const char *tx_config(void) {
    return path_in_folder("tx.ini");
}

const char *tx_goods(void) {
    return goods_text;
}

const char *tx_agent(unsigned index) {
    static char texts[2][100];
    snprintf(texts[index], sizeof texts[0], "agent = %s\n",
             cluster_address(cluster, CLUSTER_AGENT, index));
    return texts[index];
}

const char *tx_crooked(const char *name, const char *symbol, const char *rules) {
    static char texts[4][800];
    static unsigned next;
    char *text = texts[next++ % 4];
    const char *file = path_in_folder(name);
    file_write(file, "");
    snprintf(text, sizeof texts[0],
             "[resource %s]\nkind = xa\nlibrary = %s\nsymbol = %s\nopen_info = file=%s%s%s\n", name,
             CROOKED_SWITCH, symbol, file, rules[0] != '\0' ? "," : "", rules);
    return text;
}

const char *tx_crooked_states(const char *name) {
    static char text[400];
    struct crooked_file file;
    text[0] = '\0';
    ck_assert_int_eq(crooked_open(&file, path_in_folder(name)), 0);
    for (size_t i = 0; i < file.n; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, file.branches[i].state);
    }
    crooked_close(&file, 0);
    return text;
}

void tx_reset(const char *troth_keys, const char *const *resources) {
    char text[8000];
    if (postgres != NULL) {
        tx_wait_for_nothing_prepared();
        postgres_number("orders", "TRUNCATE t");
        postgres_number("stock", "TRUNCATE t");
    }
    if (mariadb != NULL) {
        mariadb_number("DELETE FROM t");
    }
    int n =
        snprintf(text, sizeof text, "[troth]\nnodes = %s\n%s", cluster_nodes(cluster), troth_keys);
    for (; *resources != NULL; resources++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "%s", *resources);
    }
    file_write(path_in_folder("tx.ini"), text);
}

/* ---- Programs -------------------------------------------------------------------------------- */

static void start(struct process *process, const char *log_name, const char *const *args,
                  const char *crash_point) {
    char text[200];
    const char *log = path_in_folder(log_name);
    unlink(log);
    *process = (struct process){.pid = 0};
    snprintf(process->program, sizeof process->program, "%s", TX_PROGRAM);
    snprintf(process->log, sizeof process->log, "%s", log);
    snprintf(text, sizeof text, "TROTH_TX_CONFIG=%s", path_in_folder("tx.ini"));
    ck_assert_int_eq(process_add_env(process, text), 0);
    snprintf(text, sizeof text, "TX_PROGRAM_FOLDER=%s", folder);
    ck_assert_int_eq(process_add_env(process, text), 0);
    ck_assert_int_eq(process_add_env(process, "CROOKED_SWITCH=" CROOKED_SWITCH), 0);
    if (crash_point != NULL) {
        snprintf(text, sizeof text, "TROTH_CRASH_POINT=%s", crash_point);
        ck_assert_int_eq(process_add_env(process, text), 0);
    }
    for (; *args != NULL; args++) {
        ck_assert_int_eq(process_add_arg(process, *args), 0);
    }
    ck_assert_int_eq(process_start(process), 0);
}

static void start_first(const char *const *args, const char *crash_point) {
    unlink(path_in_folder("waits"));
    unlink(path_in_folder("go"));
    start(&program, "log", args, crash_point);
}

/* What the program said, without the lines of Troth's log. */
static int finish(struct process *process, const char *log_name) {
    int status = 0;
    int err = process_wait(process, PATIENCE_MS, &status);
    char *text = file_text(path_in_folder(log_name));
    ck_assert_msg(err == 0, "it did not end by itself: %s", text);
    process_release(process);
    output[0] = '\0';
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "20", 2) == 0) {
            fprintf(stderr, "    %s\n", line);
        } else if (strlen(output) + strlen(line) + 2 < sizeof output) {
            strcat(strcat(output, line), "\n");
        }
    }
    free(text);
    return status;
}

const char *tx_finish(void) {
    int status = finish(&program, "log");
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d: %s", status, output);
    return output;
}

const char *tx_run(const char *const *args) {
    start_first(args, NULL);
    return tx_finish();
}

void tx_says(const char *wanted, const char *const *args) {
    ck_assert_str_eq(tx_run(args), wanted);
}

void tx_second_says(const char *wanted, const char *const *args) {
    start(&second, "log2", args, NULL);
    int status = finish(&second, "log2");
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d: %s", status, output);
    ck_assert_str_eq(output, wanted);
}

void tx_dies_at(const char *crash_point, const char *const *args) {
    start_first(args, crash_point);
    int status = finish(&program, "log");
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d: %s", status,
                  output);
}

void tx_start(const char *const *args) {
    start_first(args, NULL);
}

void tx_wait_until_it_waits(void) {
    const char *path = path_in_folder("waits");
    for (int64_t until = clock_monotonic_ms() + PATIENCE_MS; access(path, F_OK) != 0;) {
        ck_assert_msg(clock_monotonic_ms() < until && process_running(&program, NULL),
                      "the program does not wait");
        pause_a_little();
    }
    unlink(path);
}

void tx_go(void) {
    file_write(path_in_folder("go"), "");
}

/* ---- All of it ------------------------------------------------------------------------------- */

static struct database_server *start_server(enum database_kind kind) {
    char why[DATABASE_SERVER_WHY_BYTES];
    struct database_server *server;
    must(database_server_start(&server, kind, NULL, NULL, why) == 0, why);
    must(database_server_ready(server, READY_MS, why) == 0, why);
    return server;
}

static void make_postgres(void) {
    postgres = start_server(DATABASE_POSTGRES);
    postgres_number("postgres", "CREATE DATABASE orders");
    postgres_number("postgres", "CREATE DATABASE stock");
    postgres_number("orders", "CREATE TABLE t (n int CHECK (n > 0))");
    postgres_number("stock", "CREATE TABLE t (n int CHECK (n > 0))");
    static const char format[] = "[resource %s]\nkind = postgres\ndsn = %s dbname=%s\n";
    snprintf(orders_text, sizeof orders_text, format, "orders", database_server_dsn(postgres),
             "orders");
    snprintf(stock_text, sizeof stock_text, format, "stock", database_server_dsn(postgres),
             "stock");
}

static void make_mariadb(void) {
    mariadb = start_server(DATABASE_MARIADB);
    mariadb_number("CREATE TABLE t (n int CHECK (n > 0)) ENGINE=InnoDB");
    snprintf(goods_text, sizeof goods_text,
             "[resource goods]\nkind = mariadb\ndsn = host=127.0.0.1 port=%d user=root "
             "database=test\n",
             database_server_port(mariadb));
}

static void make_cluster(bool has_agents) {
    char why[CLUSTER_WHY_BYTES];
    char dsn[2][600];
    struct cluster_agent agents[2];
    for (unsigned i = 0; i < 2 && has_agents; i++) {
        const char *name = i == 0 ? "orders" : "stock";
        snprintf(dsn[i], sizeof dsn[0], "%s dbname=%s", database_server_dsn(postgres), name);
        agents[i] = (struct cluster_agent){.kind = "postgres", .name = name, .dsn = dsn[i]};
    }
    must(cluster_new(&cluster,
                     &(struct cluster_options){
                         .nodes = 3, .agents = agents, .n_agents = has_agents ? 2 : 0},
                     why) == 0,
         why);
    for (unsigned i = 0; i < 2 && has_agents; i++) {
        must(cluster_add_arg(cluster, CLUSTER_AGENT, i, "--patience-ms") == 0 &&
                 cluster_add_arg(cluster, CLUSTER_AGENT, i, "1000") == 0,
             "out of memory");
    }
    must(cluster_start_all(cluster, why) == 0, why);
    must(cluster_wait_ready(cluster, READY_MS, why) == 0, why);
}

int tx_fixture_run(const char *name, const struct tx_fixture_options *options,
                   const TTest *const *tests) {
    setenv("CK_FORK", "no", 1); /* what is started dies with the process that started it */
    snprintf(folder, sizeof folder, "/tmp/troth-tx-XXXXXX");
    must(mkdtemp(folder) != NULL, folder);
    if (options->has_postgres) {
        make_postgres();
    }
    if (options->has_mariadb) {
        make_mariadb();
    }
    make_cluster(options->has_agents);
    int status = suite_run(name, tests);
    process_release(&program);
    process_release(&second);
    cluster_free(cluster);
    database_server_free(postgres);
    database_server_free(mariadb);
    static const char *const files[] = {"tx.ini", "log",     "log2",  "waits",
                                        "go",     "crooked", "second"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unlink(path_in_folder(files[i]));
    }
    rmdir(folder);
    return status;
}

struct cluster *tx_cluster(void) {
    return cluster;
}
struct database_server *tx_mariadb(void) {
    return mariadb;
}

/* Orders in PostgreSQL, stock in MariaDB: an order is written down and its pieces are taken from
 * the stock, both or neither.
 *
 *     orders NODES ORDERS_DSN STOCK_DSN ARTICLE PIECES [ARTICLE PIECES]...
 *
 *     orders 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103 "host=127.0.0.1 dbname=shop user=shop" \
 *            "host=127.0.0.1 port=3306 user=shop database=shop" 1 4 2 1
 *
 * Prints "accepted TXID" or "refused TXID: why" for each order. Exits with 0 when each has its
 * outcome, 1 when one has none, 2 when it could not start. It makes the tables if they are not
 * there, with 10 pieces of the articles 1, 2 and 3.
 *
 * The two troth_database are participants of this program's own: no agent runs beside it. They vote
 * for what was prepared, and end it once its outcome is known. If this program dies in between, its
 * next start does that, or a troth-agent with the same name. */
#include <libpq-fe.h>
#include <mysql.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "troth.h"
#include "troth_database.h"

#define TRIES       5
#define PAUSE_US    100000 /* before another */
#define PATIENCE_MS 30000

enum end {
    ACCEPTED,
    REFUSED,   /* for good: run again it would be refused again */
    TRY_AGAIN, /* nothing was done */
    UNKNOWN,   /* it is accepted or not, and nobody could say which */
};

struct shop {
    struct troth *troth;
    struct troth_database *orders, *stock; /* the participants */
    const char *stock_dsn;
    PGconn *orders_session; /* of this program, for its own statements */
    MYSQL *stock_session;   /* the same; NULL: to be dialled */
};

struct order {
    int article, pieces;
    struct troth_txid txid;
    char why[TROTH_TEXT_BYTES];
};

/* ---- Statements ------------------------------------------------------------------------------ */

/* Runs statements, a line each. False: one failed; `why` has the server's words. */
static bool run_orders(struct shop *shop, const char *lines, char why[TROTH_TEXT_BYTES]) {
    bool good = true;
    while (good && *lines != '\0') {
        char line[1024];
        size_t n = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, lines);
        PGresult *result = PQexec(shop->orders_session, line);
        good = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!good) {
            snprintf(why, TROTH_TEXT_BYTES, "orders: %s", PQerrorMessage(shop->orders_session));
        }
        PQclear(result);
        lines += n + (lines[n] == '\n');
    }
    return good;
}

static bool run_stock(struct shop *shop, const char *lines, char why[TROTH_TEXT_BYTES]) {
    bool good = true;
    while (good && *lines != '\0') {
        size_t n = strcspn(lines, "\n");
        good = mysql_real_query(shop->stock_session, lines, n) == 0;
        if (!good) {
            snprintf(why, TROTH_TEXT_BYTES, "stock: %s", mysql_error(shop->stock_session));
        }
        lines += n + (lines[n] == '\n');
    }
    return good;
}

/* The value of NAME=VALUE in a dsn, "" if there is none. */
static const char *word(const char *dsn, const char *name, char value[256]) {
    value[0] = '\0';
    for (size_t n = strlen(name); *dsn != '\0'; dsn += strcspn(dsn, " "), dsn += strspn(dsn, " ")) {
        if (strncmp(dsn, name, n) == 0 && dsn[n] == '=') {
            snprintf(value, 256, "%.*s", (int)strcspn(dsn + n + 1, " "), dsn + n + 1);
        }
    }
    return value;
}

static void close_stock(struct shop *shop) {
    mysql_close(shop->stock_session);
    shop->stock_session = NULL;
}

static bool dial_stock(struct shop *shop, char why[TROTH_TEXT_BYTES]) {
    char host[256], user[256], password[256], database[256], port[256];
    if (shop->stock_session != NULL) {
        return true;
    }
    shop->stock_session = mysql_init(NULL);
    if (mysql_real_connect(shop->stock_session, word(shop->stock_dsn, "host", host),
                           word(shop->stock_dsn, "user", user),
                           word(shop->stock_dsn, "password", password),
                           word(shop->stock_dsn, "database", database),
                           (unsigned)atoi(word(shop->stock_dsn, "port", port)), NULL, 0) == NULL) {
        snprintf(why, TROTH_TEXT_BYTES, "stock: %s", mysql_error(shop->stock_session));
        close_stock(shop);
        return false;
    }
    return true;
}

/* ---- One order ------------------------------------------------------------------------------- */

/* The work, in the order that every program takes: whoever waits for a lock holds none that the
 * other waits for. `branches` gets what the commit is told. */
static enum end work(struct shop *shop, struct order *order, struct troth_database_branch *orders,
                     struct troth_database_branch *stock) {
    char txid[TROTH_TXID_TEXT], sql[256];
    /* Before the first statement: from now on each database's participant is in the transaction. */
    if (troth_database_enlist(shop->orders, order->txid, 0, orders, order->why,
                              sizeof order->why) != 0 ||
        troth_database_enlist(shop->stock, order->txid, 0, stock, order->why, sizeof order->why) !=
            0 ||
        !dial_stock(shop, order->why)) {
        return TRY_AGAIN;
    }
    snprintf(sql, sizeof sql, "INSERT INTO orders (txid, article, pieces) VALUES ('%s', %d, %d)",
             troth_txid_format(order->txid, txid), order->article, order->pieces);
    if (!run_orders(shop, orders->begin_sql, order->why) || !run_orders(shop, sql, order->why)) {
        return TRY_AGAIN;
    }
    snprintf(sql, sizeof sql,
             "UPDATE stock SET pieces = pieces - %d WHERE article = %d AND pieces >= %d",
             order->pieces, order->article, order->pieces);
    if (!run_stock(shop, stock->begin_sql, order->why) || !run_stock(shop, sql, order->why)) {
        return TRY_AGAIN;
    }
    if (mysql_affected_rows(shop->stock_session) == 0) {
        snprintf(order->why, sizeof order->why, "not enough in stock");
        return REFUSED;
    }
    /* The promises. Once a database has given one, only the outcome ends it. */
    if (!run_orders(shop, orders->prepare_sql, order->why) ||
        !run_stock(shop, stock->prepare_sql, order->why)) {
        return TRY_AGAIN;
    }
    troth_database_prepared(shop->orders, order->txid);
    troth_database_prepared(shop->stock, order->txid);
    return ACCEPTED;
}

/* Rolls back what is not prepared; what is, the participants roll back. */
static enum end give_up(struct shop *shop, const struct order *order, enum end end) {
    struct troth_result result;
    if (shop->stock_session != NULL) {
        close_stock(shop); /* the simplest way; troth_mariadb_rollback keeps the session */
    }
    if (PQtransactionStatus(shop->orders_session) != PQTRANS_IDLE) {
        PQclear(PQexec(shop->orders_session, "ROLLBACK"));
    }
    if (PQstatus(shop->orders_session) != CONNECTION_OK) {
        PQreset(shop->orders_session);
    }
    /* An error here does no harm: only a commit could commit it, and nobody will ask for one. */
    troth_abort(shop->troth, order->txid, 0, &result);
    return end;
}

static enum end try_order(struct shop *shop, struct order *order) {
    struct troth_database_branch orders, stock;
    struct troth_result result;
    if (troth_begin(shop->troth, 0, &order->txid, &result) != 0) {
        snprintf(order->why, sizeof order->why, "%s", result.detail);
        return TRY_AGAIN;
    }
    enum end end = work(shop, order, &orders, &stock);
    if (end != ACCEPTED) {
        return give_up(shop, order, end);
    }
    const struct troth_branch branches[] = {{orders.participant, orders.incarnation},
                                            {stock.participant, stock.incarnation}};
    /* It may be asked again, and of any node, and has one outcome for ever. An error is no abort.
     */
    int err = TROTH_ERR_UNKNOWN;
    for (int i = 0; err != 0 && i < TRIES; i++) {
        err = troth_commit(shop->troth, order->txid, branches, 2, 0, &result);
    }
    snprintf(order->why, sizeof order->why, "%s", result.detail);
    if (err != 0) {
        return UNKNOWN;
    }
    return result.outcome == TROTH_COMMITTED ? ACCEPTED : TRY_AGAIN;
}

static enum end place_order(struct shop *shop, struct order *order) {
    char txid[TROTH_TXID_TEXT];
    enum end end = TRY_AGAIN;
    for (int i = 0; end == TRY_AGAIN && i < TRIES; i++) {
        usleep(i == 0 ? 0 : PAUSE_US);
        end = try_order(shop, order);
    }
    troth_txid_format(order->txid, txid);
    if (end == ACCEPTED) {
        printf("accepted %s\n", txid);
    } else if (end == UNKNOWN) {
        printf("unknown %s: %s; `troth tx get %s` will tell\n", txid, order->why, txid);
    } else {
        printf("refused %s: %s\n", txid, order->why);
    }
    return end;
}

/* ---- The shop -------------------------------------------------------------------------------- */

static bool open_shop(struct shop *shop, const char *nodes, const char *orders_dsn,
                      char why[TROTH_TEXT_BYTES]) {
    shop->orders_session = PQconnectdb(orders_dsn);
    if (PQstatus(shop->orders_session) != CONNECTION_OK) {
        snprintf(why, TROTH_TEXT_BYTES, "orders: %s", PQerrorMessage(shop->orders_session));
        return false;
    }
    if (!run_orders(shop,
                    "SET client_min_messages = warning\n"
                    "CREATE TABLE IF NOT EXISTS orders (txid char(32) PRIMARY KEY, article int, "
                    "pieces int)",
                    why) ||
        !dial_stock(shop, why) ||
        !run_stock(shop,
                   "CREATE TABLE IF NOT EXISTS stock (article int PRIMARY KEY, pieces int)\n"
                   "INSERT IGNORE INTO stock VALUES (1, 10), (2, 10), (3, 10)",
                   why)) {
        return false;
    }
    snprintf(why, TROTH_TEXT_BYTES, "the list of nodes: write host:port,host:port");
    return troth_open(&shop->troth, &(struct troth_options){.nodes = nodes}) == 0 &&
           troth_postgres_open(
               &shop->orders,
               &(struct troth_database_options){
                   .name = "orders", .nodes = nodes, .dsn = orders_dsn, .troth = shop->troth},
               why, TROTH_TEXT_BYTES) == 0 &&
           troth_mariadb_open(
               &shop->stock,
               &(struct troth_database_options){
                   .name = "stock", .nodes = nodes, .dsn = shop->stock_dsn, .troth = shop->troth},
               why, TROTH_TEXT_BYTES) == 0;
}

static int count(void *arg, struct troth_txid txid, const char *state, uint64_t since_ms,
                 const char *detail) {
    (void)txid, (void)state, (void)since_ms, (void)detail;
    ++*(int *)arg;
    return 0;
}

/* The outcome is told before it is carried out. A service goes on to the next order; this program
 * ends, and so waits. What it left would be done by its next start. */
static void wait_until_done(struct troth_database *database) {
    int left = 1;
    for (int waited_ms = 0; left > 0 && waited_ms < PATIENCE_MS; waited_ms += 5) {
        left = 0;
        troth_database_branches(database, count, &left);
        usleep(5000);
    }
}

static void close_shop(struct shop *shop) {
    if (shop->orders != NULL && shop->stock != NULL) {
        wait_until_done(shop->orders);
        wait_until_done(shop->stock);
    }
    troth_database_close(shop->orders);
    troth_database_close(shop->stock);
    if (shop->stock_session != NULL) {
        close_stock(shop);
    }
    PQfinish(shop->orders_session);
    troth_close(shop->troth);
    mysql_library_end();
}

int main(int argc, char **argv) {
    char why[TROTH_TEXT_BYTES] = "";
    if (argc < 6 || argc % 2 != 0) {
        fprintf(stderr, "usage: orders NODES ORDERS_DSN STOCK_DSN ARTICLE PIECES ...\n");
        return 2;
    }
    struct shop shop = {.stock_dsn = argv[3]};
    int status = 0;
    if (!open_shop(&shop, argv[1], argv[2], why)) {
        fprintf(stderr, "orders: %s\n", why);
        status = 2;
    }
    for (int i = 4; status != 2 && i < argc; i += 2) {
        struct order order = {.article = atoi(argv[i]), .pieces = atoi(argv[i + 1])};
        status = place_order(&shop, &order) == UNKNOWN ? 1 : status;
    }
    close_shop(&shop);
    return status;
}

/* The statements, and the texts that go into them.
 *
 * The functions txid_* are those that every version from 10 on has. Collations are named because
 * the table's column has one of its own ("C", the cheapest), and the server refuses to guess. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"

#define NEXT "txid_snapshot_xmax(txid_current_snapshot())"
/* NULL where the server does not know: ids of the future are an error to txid_status. */
#define STATUS(xid) "CASE WHEN " xid " > 0 AND " xid " < " NEXT " THEN txid_status(" xid ") END"

#define FIND_HEAD                                                                                  \
    "SELECT b.n, p.transaction::text, " NEXT ", p.database = current_database(), "                 \
    "p.owner = current_user OR current_setting('is_superuser')::bool, p.owner, p.database, "
#define FIND_FROM                                                                                  \
    " FROM unnest($1::text[]) WITH ORDINALITY AS b (gid, n) JOIN pg_prepared_xacts p "             \
    "ON p.gid = b.gid"
#define STATUS_HEAD "SELECT b.n, " STATUS("b.xid") ", "
#define STATUS_FROM " FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS b (gid, xid, n)"
#define LIST_HEAD                                                                                  \
    "SELECT p.gid, p.transaction::text, " NEXT ", "                                                \
    "(extract(epoch FROM clock_timestamp() - p.prepared) * 1000)::bigint, "
#define LIST_FROM   " FROM pg_prepared_xacts p"
#define GID_IS(gid) "left(" gid ", length($1)) = $1 AND right(" gid ", length($2)) = $2"
#define LIST_WHERE  " WHERE p.database = current_database() AND " GID_IS("p.gid")
/* No join: planned while the table was small, that one would read all of it ever after. */
#define ROW(gid) "(SELECT c.xid FROM troth.branches c WHERE c.gid = " gid " COLLATE \"C\")"
#define NO_ROW   "NULL"

const struct postgres_sql postgres_sql[POSTGRES_STATEMENTS] = {
    [POSTGRES_FIND] = {"troth_find", FIND_HEAD ROW("b.gid") FIND_FROM, FIND_HEAD NO_ROW FIND_FROM,
                       1},
    [POSTGRES_STATUS] = {"troth_status", STATUS_HEAD ROW("b.gid") STATUS_FROM,
                         STATUS_HEAD NO_ROW STATUS_FROM, 2},
    [POSTGRES_LIST] = {"troth_list", LIST_HEAD ROW("p.gid") LIST_FROM LIST_WHERE,
                       LIST_HEAD NO_ROW LIST_FROM LIST_WHERE, 2},
    /* Need not wait for the disk. */
    [POSTGRES_TIDY] = {"troth_tidy",
                       "WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)) "
                       "DELETE FROM troth.branches WHERE ctid = ANY (ARRAY(SELECT c.ctid "
                       "FROM quick, troth.branches c WHERE c.at < now() - "
                       "interval '" POSTGRES_ROWS_KEPT "' AND " GID_IS("c.gid") " LIMIT $3::int))",
                       NULL, 3},
};

char *postgres_gid(const struct driver *driver, struct troth_txid txid, char gid[TROTH_GID_BYTES]) {
    struct troth_gid parts = {.txid = txid};
    memcpy(parts.cluster, driver->cluster, sizeof parts.cluster);
    memcpy(parts.participant, driver->participant, sizeof parts.participant);
    return troth_gid_format(&parts, gid);
}

void postgres_gid_ends(const struct driver *driver, char before[TROTH_GID_BYTES],
                       char after[TROTH_GID_BYTES]) {
    snprintf(before, TROTH_GID_BYTES, "troth:%s:", driver->cluster);
    snprintf(after, TROTH_GID_BYTES, ":%s", driver->participant);
}

/* Gids and numbers need no quotes in an array. */
char *postgres_gid_array(const struct driver *driver, const struct driver_branch *branches,
                         size_t n, const bool *which) {
    char *text = malloc(n * TROTH_GID_BYTES + 3);
    char *end = text;
    if (text == NULL) {
        return NULL;
    }
    *end++ = '{';
    for (size_t i = 0; i < n; i++) {
        if (which == NULL || which[i]) {
            *end = ',';
            end += end[-1] != '{';
            postgres_gid(driver, branches[i].txid, end);
            end += strlen(end);
        }
    }
    memcpy(end, "}", 2);
    return text;
}

char *postgres_receipt_array(const struct driver_branch *branches, size_t n, const bool *which) {
    const size_t digits = 21;
    char *text = malloc(n * (digits + 1) + 3);
    char *end = text;
    if (text == NULL) {
        return NULL;
    }
    *end++ = '{';
    for (size_t i = 0; i < n; i++) {
        if (which == NULL || which[i]) {
            /* What no server gave is none, and bigint has a sign. */
            uint64_t receipt = branches[i].receipt > INT64_MAX ? 0 : branches[i].receipt;
            end += snprintf(end, digits + 1, "%s%" PRIu64, end[-1] == '{' ? "" : ",", receipt);
        }
    }
    memcpy(end, "}", 2);
    return text;
}

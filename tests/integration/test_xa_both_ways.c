/* XA both ways at once: one Troth cluster's transaction reaches, as its manager, a shard of another
 * cluster by that shard's XA switch, beside a shard of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/gid.h"
#include "base/troth_err.h"
#include "participant/adapters/troth_database.h"
#include "tests/lib/foreign_scene.h"

#define RMID 7 /* of the program's own work; not one of the scene's, nor of the participant */

static const struct xa_switch_t *xa = &troth_shard_xa_switch;
static struct cluster *other; /* whose transactions these are not */
static struct troth_kv *other_kv;
static struct troth_database *there;
static char info[MAXINFOSIZE];

static void open_other(void) {
    char why[CLUSTER_WHY_BYTES];
    char shards[300];
    int err = cluster_new(&other,
                          &(struct cluster_options){.name = "other", .nodes = 1, .shards = 1}, why);
    fixture_must(&f,
                 err == 0 && cluster_start_all(other, why) == 0 &&
                     cluster_wait_ready(other, FIXTURE_PATIENCE_MS, why) == 0,
                 "%s", why);
    snprintf(info, sizeof info, "address=%s", cluster_address(other, CLUSTER_SHARD, 0));
    snprintf(shards, sizeof shards, "%s=%s", cluster_member(other, CLUSTER_SHARD, 0),
             cluster_address(other, CLUSTER_SHARD, 0));
    ck_assert_int_eq(
        troth_kv_open(&other_kv, f.troth, &(struct troth_kv_options){.shards = shards}), 0);
}

static bool is_attached(void) {
    struct troth_database_counters counters;
    troth_database_counters(there, &counters);
    return counters.nodes_attached >= 1 && counters.reachable;
}

static void open_all(void) {
    char why[600];
    scene_open();
    open_other();
    struct troth_database_options options = {.name = "there",
                                             .nodes = cluster_nodes(f.cluster),
                                             .connections = 2,
                                             .scan_ms = 50,
                                             .patience_ms = 500};
    int err = troth_xa_open(&there, &options, SHARD_SWITCH, "troth_shard_xa_switch", info, NULL,
                            why, sizeof why);
    fixture_must(&f, err == 0, "%s", why);
    fixture_wait(&f, is_attached(), "the participant does not attach");
    ck_assert_int_eq(xa->xa_open_entry(info, RMID, TMNOFLAGS), XA_OK);
}

static void close_all(void) {
    char none[] = "";
    xa->xa_close_entry(none, RMID, TMNOFLAGS);
    troth_database_close(there);
    troth_kv_close(other_kv);
    ck_assert_int_eq(cluster_stop(other, CLUSTER_SHARD, 0, FIXTURE_PATIENCE_MS), 0);
    cluster_free(other);
    scene_close();
}

/* ---- One transaction ------------------------------------------------------------------------- */

static XID xid_of(const char *text) {
    struct troth_gid gid;
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    ck_assert_int_eq(troth_gid_parse(text, &gid), 0);
    ck_assert_int_eq(troth_gid_to_xa(&gid, gtrid, bqual), 0);
    XID xid = {.formatID = TROTH_XA_FORMAT,
               .gtrid_length = (long)strlen(gtrid),
               .bqual_length = (long)strlen(bqual)};
    memcpy(xid.data, gtrid, (size_t)xid.gtrid_length);
    memcpy(xid.data + xid.gtrid_length, bqual, (size_t)xid.bqual_length);
    return xid;
}

static struct troth_kv_tx *here;
static struct troth_database_branch branch;

/* The same key, at a shard of each cluster. */
static void work(const char *key) {
    struct troth_result result;
    char why[600];
    char text[TROTH_XA_TXID_BYTES];
    struct troth_txid txid;
    struct troth_kv_tx *foreign;
    ck_assert_int_eq(troth_kv_begin(f.kv, 0, &here, &result), 0);
    ck_assert_int_eq(troth_kv_put(f.kv, here, key, strlen(key), "both", 4, NULL), 0);
    int err = troth_database_enlist(there, troth_kv_txid(here), 0, &branch, why, sizeof why);
    fixture_must(&f, err == 0, "%s", why);
    XID xid = xid_of(branch.gid);
    ck_assert_int_eq(xa->xa_start_entry(&xid, RMID, TMNOFLAGS), XA_OK);
    ck_assert_int_eq(troth_xa_txid(RMID, text), 0);
    ck_assert_int_eq(troth_txid_parse(text, &txid), 0);
    ck_assert_int_eq(troth_kv_join(other_kv, txid, &foreign), 0);
    err = troth_kv_put(other_kv, foreign, key, strlen(key), "both", 4, why);
    fixture_must(&f, err == 0, "%s", why);
    troth_kv_leave(foreign);
    ck_assert_int_eq(xa->xa_end_entry(&xid, RMID, TMSUCCESS), XA_OK);
}

static enum troth_outcome commit(void) {
    struct troth_txid txid = troth_kv_txid(here);
    struct troth_branch given = {branch.participant, branch.incarnation};
    struct troth_result result;
    int err;
    troth_kv_leave(here); /* the shards have enlisted by themselves */
    do {
        err = troth_commit(f.troth, txid, &given, 1, 0, &result);
    } while (err == TROTH_ERR_TIMEOUT || err == TROTH_ERR_UNKNOWN);
    fixture_must(&f, err == 0, "%s: %s", troth_err_name(err), result.detail);
    return result.outcome;
}

static bool has(struct troth_kv *kv, const char *key) {
    struct troth_kv_value value = {.bytes = NULL};
    int err;
    do { /* a lock that is held, a shard that starts */
        err = troth_kv_get(kv, NULL, key, strlen(key), false, &value, NULL);
    } while (err == TROTH_ERR_TIMEOUT || err == TROTH_ERR_UNAVAILABLE);
    free(value.bytes);
    ck_assert(err == 0 || err == TROTH_ERR_NOT_FOUND);
    return err == 0;
}

static void must_have(const char *key, bool committed) {
    fixture_must(&f, has(f.kv, key) == committed, "S1: it is not as it was decided here");
    fixture_must(&f, has(other_kv, key) == committed, "S1: it is not as it was decided there");
}

START_TEST(a_transaction_is_committed_or_aborted_at_shards_of_two_clusters) {
    open_all();
    work("yes");
    ck_assert_int_eq(commit(), TROTH_COMMITTED);
    must_have("yes", true);
    struct troth_result result;
    work("no");
    ck_assert_int_eq(troth_kv_abort(here, &result), 0);
    must_have("no", false);
    close_all();
}
END_TEST

START_TEST(H2_what_the_other_clusters_shard_has_lost_is_aborted_everywhere) {
    char why[CLUSTER_WHY_BYTES];
    open_all();
    work("lost");
    ck_assert_int_eq(cluster_kill(other, CLUSTER_SHARD, 0), 0);
    ck_assert_int_eq(cluster_start(other, CLUSTER_SHARD, 0, why), 0);
    ck_assert_int_eq(commit(), TROTH_ABORTED);
    must_have("lost", false);
    close_all();
}
END_TEST

#ifdef TROTH_CRASH_POINTS
START_TEST(L2_the_other_clusters_shard_finishes_what_it_had_prepared_when_it_is_back) {
    static const char *const points[] = {"before.call.commit", "after.store.committed"};
    char why[CLUSTER_WHY_BYTES];
    char arm[80];
    open_all();
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        ck_assert_int_eq(cluster_stop(other, CLUSTER_SHARD, 0, FIXTURE_PATIENCE_MS), 0);
        snprintf(arm, sizeof arm, "TROTH_CRASH_POINT=%s", points[i]);
        ck_assert_int_eq(cluster_add_env(other, CLUSTER_SHARD, 0, arm), 0);
        ck_assert_int_eq(cluster_start(other, CLUSTER_SHARD, 0, why), 0);
        fixture_must(&f, cluster_wait_ready(other, FIXTURE_PATIENCE_MS, why) == 0, "%s", why);
        has(other_kv, "waits until it is reached");
        fixture_wait(&f, is_attached(), "the participant does not reach it");
        XID none;
        fixture_wait(&f, xa->xa_recover_entry(&none, 1, RMID, TMSTARTRSCAN | TMENDRSCAN) >= 0,
                     "the switch does not reach it");
        work(points[i]);
        ck_assert_int_eq(commit(), TROTH_COMMITTED);
        ck_assert_int_eq(cluster_wait_exit(other, CLUSTER_SHARD, 0, FIXTURE_PATIENCE_MS, NULL), 0);
        cluster_clear_extras(other, CLUSTER_SHARD, 0);
        ck_assert_int_eq(cluster_start(other, CLUSTER_SHARD, 0, why), 0);
        must_have(points[i], true);
    }
    close_all();
}
END_TEST
#endif

int main(void) {
    return fixture_suite_run(
        "xa_both_ways",
        (const TTest *[]){a_transaction_is_committed_or_aborted_at_shards_of_two_clusters,
                          H2_what_the_other_clusters_shard_has_lost_is_aborted_everywhere,
#ifdef TROTH_CRASH_POINTS
                          L2_the_other_clusters_shard_finishes_what_it_had_prepared_when_it_is_back,
#endif
                          NULL});
}

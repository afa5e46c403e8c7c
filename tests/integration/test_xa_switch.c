/* The shard's XA switch, call by call, at real shards: what each returns, when it is used rightly
 * and when it is not (X/Open C193, chapter 5). Crashes: test_xa_foreign.c. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/foreign_scene.h"
#include "tests/lib/suite.h"

static const struct xa_switch_t *xa = &troth_shard_xa_switch;
static struct foreign_tx tx;

#define must_be(call, wanted)                                                                      \
    do {                                                                                           \
        int must_be_code = (call);                                                                 \
        fixture_must(&f, must_be_code == (wanted), "%s is %d and not %s: %s", #call, must_be_code, \
                     #wanted, troth_xa_why());                                                     \
    } while (0)

static void *in_another_thread(void *(*run)(void *arg)) {
    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
    pthread_join(thread, &result);
    return result;
}

/* ---- Two phases and one ---------------------------------------------------------------------- */

START_TEST(a_transaction_over_two_shards_commits_on_both) {
    scene_open();
    const char *keys[] = {scene_key(0), scene_key(1)};
    tx = foreign_tm_name(&tm);
    must_be(foreign_tm_start(&tm, &tx), XA_OK);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        must_be(scene_put(i, keys[i], "new"), 0);
        ck_assert_str_eq(scene_get(i, keys[i]), "new"); /* its own write */
    }
    must_be(foreign_tm_end(&tm, &tx), XA_OK);
    ck_assert(foreign_tm_prepare(&tm, &tx));
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        ck_assert_ptr_null(scene_on_disk(i, keys[i]));
        ck_assert(scene_is_locked(i, keys[i]));
        ck_assert_int_eq(scene_in_doubt(i), 1);
    }
    foreign_tm_decide(&tm, &tx);
    must_be(foreign_tm_finish(&tm, &tx), XA_OK);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        ck_assert_str_eq(scene_on_disk(i, keys[i]), "new");
        ck_assert(!scene_is_locked(i, keys[i]));
        ck_assert_int_eq(scene_in_doubt(i), 0);
        must_be(xa->xa_commit_entry(&tx.xid[i], (int)i, TMNOFLAGS), XAER_NOTA);
        must_be(xa->xa_rollback_entry(&tx.xid[i], (int)i, TMNOFLAGS), XAER_NOTA);
    }
    scene_close();
}
END_TEST

START_TEST(a_rollback_undoes_it_before_and_after_the_prepare) {
    scene_open();
    for (int prepared = 0; prepared <= 1; prepared++) {
        const char *keys[] = {scene_key(0), scene_key(1)};
        tx = foreign_tm_name(&tm);
        must_be(foreign_tm_start(&tm, &tx), XA_OK);
        must_be(scene_put(0, keys[0], "new"), 0);
        must_be(scene_put(1, keys[1], "new"), 0);
        must_be(foreign_tm_end(&tm, &tx), XA_OK);
        if (prepared) {
            ck_assert(foreign_tm_prepare(&tm, &tx));
        }
        for (unsigned i = 0; i < SCENE_SHARDS; i++) {
            must_be(xa->xa_rollback_entry(&tx.xid[i], (int)i, TMNOFLAGS), XA_OK);
            ck_assert_ptr_null(scene_on_disk(i, keys[i]));
            ck_assert(!scene_is_locked(i, keys[i]));
            must_be(xa->xa_commit_entry(&tx.xid[i], (int)i, TMNOFLAGS), XAER_NOTA);
        }
    }
    scene_close();
}
END_TEST

START_TEST(what_has_only_read_leaves_at_the_prepare) {
    scene_open();
    const char *key = scene_key(0);
    tx = foreign_tm_name(&tm);
    must_be(foreign_tm_start(&tm, &tx), XA_OK);
    ck_assert_str_eq(scene_get(0, key), ""); /* and at the other shard there is nothing at all */
    must_be(foreign_tm_end(&tm, &tx), XA_OK);
    for (unsigned i = 0; i < SCENE_SHARDS; i++) {
        must_be(xa->xa_prepare_entry(&tx.xid[i], (int)i, TMNOFLAGS), XA_RDONLY);
        must_be(xa->xa_commit_entry(&tx.xid[i], (int)i, TMNOFLAGS), XAER_NOTA);
    }
    ck_assert(!scene_is_locked(0, key));
    scene_close();
}
END_TEST

START_TEST(one_phase_commits_what_is_not_prepared) {
    scene_open();
    const char *key = scene_key(0);
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(scene_put(0, key, "new"), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK);
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO); /* it has two */
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMONEPHASE), XA_OK);
    ck_assert_str_eq(scene_on_disk(0, key), "new");
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMONEPHASE), XAER_NOTA);
    scene_close();
}
END_TEST

/* ---- Associations ---------------------------------------------------------------------------- */

static void *join_and_put(void *arg) {
    (void)arg;
    must_be(foreign_tm_open(&tm), XA_OK);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_DUPID);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMRESUME), XAER_PROTO); /* not this thread's */
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMJOIN), XA_OK);
    must_be(scene_put(0, "joined", "too"), 0);
    ck_assert_str_eq(scene_get(0, "first"), "one"); /* one branch, one set of locks */
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK);
    return NULL; /* the thread's end closes what is open in it */
}

START_TEST(another_thread_joins_a_branch) {
    scene_open();
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(scene_put(0, "first", "one"), 0);
    in_another_thread(join_and_put);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK);
    must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMJOIN), XAER_PROTO);
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    ck_assert_str_eq(scene_on_disk(0, "joined"), "too");
    scene_close();
}
END_TEST

START_TEST(a_thread_suspends_one_branch_and_works_in_another) {
    scene_open();
    struct foreign_tx other = foreign_tm_name(&tm);
    char text[TROTH_XA_TXID_BYTES];
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(scene_put(0, "a", "1"), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUSPEND | TMMIGRATE), XA_NOMIGRATE);
    ck_assert_int_eq(troth_xa_txid(0, text), TROTH_ERR_STATE);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMJOIN), XAER_PROTO);
    must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_start_entry(&other.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(scene_put(0, "b", "1"), 0);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMRESUME), XAER_PROTO); /* one at a time */
    must_be(xa->xa_end_entry(&other.xid[0], 0, TMSUCCESS), XA_OK);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMRESUME), XA_OK);
    must_be(scene_put(0, "a", "2"), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUSPEND), XA_OK);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK); /* also of a suspended one */
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMONEPHASE), XA_OK);
    must_be(xa->xa_rollback_entry(&other.xid[0], 0, TMNOFLAGS), XA_OK);
    ck_assert_str_eq(scene_on_disk(0, "a"), "2");
    ck_assert_ptr_null(scene_on_disk(0, "b"));
    scene_close();
}
END_TEST

START_TEST(work_that_has_failed_can_only_be_rolled_back) {
    scene_open();
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(scene_put(0, "a", "1"), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMFAIL), XA_RBROLLBACK);
    ck_assert(!scene_is_locked(0, "a")); /* at once */
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMJOIN), XA_RBROLLBACK);
    must_be(xa->xa_rollback_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK); /* and prepared it says so */
    must_be(scene_put(0, "a", "1"), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMFAIL), XA_RBROLLBACK);
    must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XA_RBROLLBACK);
    must_be(xa->xa_rollback_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_NOTA);
    scene_close();
}
END_TEST

START_TEST(no_work_is_taken_when_no_thread_is_associated) {
    scene_open();
    char text[TROTH_XA_TXID_BYTES];
    struct troth_txid txid;
    struct troth_kv_tx *kv;
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(troth_xa_txid(0, text), 0);
    must_be(troth_txid_parse(text, &txid), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK);
    ck_assert_int_eq(troth_xa_txid(0, text), TROTH_ERR_STATE);
    must_be(troth_kv_join(f.kv, txid, &kv), 0);
    const char *here = scene_key(0);
    const char *there = scene_key(1);
    must_be(troth_kv_put(f.kv, kv, here, strlen(here), "1", 1, NULL), TROTH_ERR_STATE);
    /* Another shard has given it to nobody. */
    must_be(troth_kv_put(f.kv, kv, there, strlen(there), "1", 1, NULL), TROTH_ERR_CONFLICT);
    troth_kv_leave(kv);
    must_be(xa->xa_rollback_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    scene_close();
}
END_TEST

/* ---- Misuse ---------------------------------------------------------------------------------- */

static void *with_nothing_open(void *arg) {
    XID xids[2];
    (void)arg;
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XAER_PROTO);
    must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_rollback_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_forget_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_recover_entry(xids, 2, 0, TMSTARTRSCAN), XAER_PROTO);
    char none[] = "";
    must_be(xa->xa_close_entry(none, 0, TMNOFLAGS), XA_OK); /* it is closed */
    return NULL;
}

START_TEST(a_resource_manager_is_open_in_a_thread) {
    scene_open();
    tx = foreign_tm_name(&tm);
    in_another_thread(with_nothing_open);
    char again[] = "of no account, since it is open";
    must_be(xa->xa_open_entry(again, 0, TMNOFLAGS), XA_OK);
    scene_close();
}
END_TEST

START_TEST(open_strings_are_checked_and_the_shard_must_be_there) {
    static const char *const wrong[] = {"",
                                        "127.0.0.1:7201",
                                        "address=",
                                        "address=nowhere",
                                        "address=127.0.0.1:7201 timeout_ms=soon",
                                        "address=127.0.0.1:7201 timeout_ms=0",
                                        "address=127.0.0.1:7201 user=me"};
    char info[MAXINFOSIZE];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(info, sizeof info, "%s", wrong[i]);
        ck_assert_int_eq(xa->xa_open_entry(info, 7, TMNOFLAGS), XAER_INVAL);
        ck_assert_ptr_nonnull(strstr(troth_xa_why(), "address=host:port"));
    }
    ck_assert_int_eq(xa->xa_open_entry(NULL, 7, TMNOFLAGS), XAER_INVAL);
    memset(info, 'a', sizeof info);
    ck_assert_int_eq(xa->xa_open_entry(info, 7, TMNOFLAGS), XAER_INVAL);
    snprintf(info, sizeof info, "address=127.0.0.1:1"); /* which is no shard's */
    ck_assert_int_eq(xa->xa_open_entry(info, 7, TMNOFLAGS), XAER_RMERR);
    ck_assert_int_eq(xa->xa_open_entry(info, 7, TMASYNC), XAER_ASYNC);
}
END_TEST

START_TEST(flags_and_xids_are_checked) {
    scene_open();
    tx = foreign_tm_name(&tm);
    XID *xid = &tx.xid[0];
    XID null = {.formatID = -1};
    XID wide = *xid;
    wide.gtrid_length = MAXGTRIDSIZE + 1;
    must_be(xa->xa_start_entry(NULL, 0, TMNOFLAGS), XAER_INVAL);
    must_be(xa->xa_start_entry(&null, 0, TMNOFLAGS), XAER_INVAL);
    must_be(xa->xa_start_entry(&wide, 0, TMNOFLAGS), XAER_INVAL);
    must_be(xa->xa_start_entry(xid, 0, TMASYNC), XAER_ASYNC);
    must_be(xa->xa_start_entry(xid, 0, TMONEPHASE), XAER_INVAL);
    must_be(xa->xa_start_entry(xid, 0, TMJOIN | TMRESUME), XAER_INVAL);
    must_be(xa->xa_start_entry(xid, 0, TMJOIN), XAER_NOTA);
    must_be(xa->xa_end_entry(xid, 0, TMSUCCESS), XAER_PROTO);
    must_be(xa->xa_start_entry(xid, 0, TMNOWAIT), XA_OK);
    must_be(xa->xa_start_entry(&tx.xid[1], 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_end_entry(xid, 0, TMNOFLAGS), XAER_INVAL);
    must_be(xa->xa_end_entry(xid, 0, TMSUCCESS | TMFAIL), XAER_INVAL);
    must_be(xa->xa_end_entry(xid, 0, TMSUCCESS | TMMIGRATE), XAER_INVAL);
    must_be(xa->xa_prepare_entry(xid, 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_commit_entry(xid, 0, TMONEPHASE), XAER_PROTO);
    must_be(xa->xa_rollback_entry(xid, 0, TMNOFLAGS), XAER_PROTO);
    char none[] = "";
    must_be(xa->xa_close_entry(none, 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_end_entry(xid, 0, TMSUCCESS), XA_OK);
    must_be(xa->xa_prepare_entry(xid, 0, TMONEPHASE), XAER_INVAL);
    must_be(xa->xa_forget_entry(xid, 0, TMNOFLAGS), XAER_PROTO);
    must_be(xa->xa_rollback_entry(xid, 0, TMNOFLAGS), XA_OK);
    must_be(xa->xa_forget_entry(xid, 0, TMNOFLAGS), XAER_NOTA);
    must_be(xa->xa_prepare_entry(xid, 0, TMNOFLAGS), XAER_NOTA);
    int handle = 0;
    int result = 0;
    must_be(xa->xa_complete_entry(&handle, &result, 0, TMNOFLAGS), XAER_PROTO);
    scene_close();
}
END_TEST

/* ---- Recovery -------------------------------------------------------------------------------- */

START_TEST(a_scan_goes_on_where_it_was_and_ends) {
    scene_open();
    XID xids[8];
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        tx = foreign_tm_name(&tm);
        must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
        must_be(scene_put(0, key, "1"), 0);
        must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK);
        must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    }
    must_be(xa->xa_recover_entry(xids, 8, 0, TMNOFLAGS), XAER_INVAL); /* no scan is open */
    must_be(xa->xa_recover_entry(NULL, 8, 0, TMSTARTRSCAN), XAER_INVAL);
    must_be(xa->xa_recover_entry(xids, -1, 0, TMSTARTRSCAN), XAER_INVAL);
    must_be(xa->xa_recover_entry(xids, 8, 0, TMSTARTRSCAN | TMJOIN), XAER_INVAL);
    must_be(xa->xa_recover_entry(xids, 2, 0, TMSTARTRSCAN), 2);
    must_be(xa->xa_recover_entry(xids + 2, 2, 0, TMNOFLAGS), 2);
    must_be(xa->xa_recover_entry(xids + 4, 2, 0, TMNOFLAGS), 1);
    must_be(xa->xa_recover_entry(NULL, 0, 0, TMENDRSCAN), 0);
    must_be(xa->xa_recover_entry(xids, 2, 0, TMNOFLAGS), XAER_INVAL);
    for (int i = 0; i < 5; i++) { /* each was told once */
        must_be(xa->xa_commit_entry(&xids[i], 0, TMNOFLAGS), XA_OK);
    }
    must_be(xa->xa_recover_entry(xids, 8, 0, TMSTARTRSCAN | TMENDRSCAN), 0);
    scene_close();
}
END_TEST

int main(void) {
    return fixture_suite_run(
        "xa_switch",
        (const TTest *[]){
            a_transaction_over_two_shards_commits_on_both,
            a_rollback_undoes_it_before_and_after_the_prepare,
            what_has_only_read_leaves_at_the_prepare, one_phase_commits_what_is_not_prepared,
            another_thread_joins_a_branch, a_thread_suspends_one_branch_and_works_in_another,
            work_that_has_failed_can_only_be_rolled_back,
            no_work_is_taken_when_no_thread_is_associated, a_resource_manager_is_open_in_a_thread,
            open_strings_are_checked_and_the_shard_must_be_there, flags_and_xids_are_checked,
            a_scan_goes_on_where_it_was_and_ends, NULL});
}

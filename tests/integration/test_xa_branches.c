/* XaBranches, the service under the switch: ends by hand, requests that make no sense, and a shard
 * whose own cluster is not there. What XA's calls give: test_xa_switch.c. */
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/foreign_scene.h"
#include "tests/lib/raw_rpc.h"
#include "troth/v1/xa.pb-c.h"

static const struct xa_switch_t *xa = &troth_shard_xa_switch;
static struct foreign_tx tx;

#define must_be(call, wanted)                                                                      \
    do {                                                                                           \
        int must_be_code = (call);                                                                 \
        fixture_must(&f, must_be_code == (wanted), "%s is %d and not %s: %s", #call, must_be_code, \
                     #wanted, troth_xa_why());                                                     \
    } while (0)

static int ask(const char *method, const ProtobufCMessage *request) {
    struct raw_answer answer = raw_call(cluster_address(f.cluster, CLUSTER_SHARD, 0), method,
                                        request, &troth__v1__xa_reply__descriptor);
    fixture_must(&f, answer.status == RPC_OK, "%s: %s", method, answer.text);
    int result = ((Troth__V1__XaReply *)answer.reply)->result;
    raw_free(answer.reply);
    return result;
}

static void prepare_with(const char *key) {
    tx = foreign_tm_name(&tm);
    must_be(xa->xa_start_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    must_be(scene_put(0, key, "new"), 0);
    must_be(xa->xa_end_entry(&tx.xid[0], 0, TMSUCCESS), XA_OK);
    must_be(xa->xa_prepare_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
}

static int force(bool commits) {
    XID *of = &tx.xid[0];
    uint8_t *data = (uint8_t *)of->data;
    Troth__V1__Xid xid = TROTH__V1__XID__INIT;
    xid.format = of->formatID;
    xid.gtrid = (ProtobufCBinaryData){(size_t)of->gtrid_length, data};
    xid.bqual = (ProtobufCBinaryData){(size_t)of->bqual_length, data + of->gtrid_length};
    Troth__V1__XaForceRequest request = TROTH__V1__XA_FORCE_REQUEST__INIT;
    request.xid = &xid;
    request.commit = commits;
    return ask("/troth.v1.XaBranches/Force", &request.base);
}

START_TEST(what_a_human_ended_is_told_to_the_manager_until_it_forgets_it) {
    scene_open();
    for (int commits = 0; commits <= 1; commits++) {
        int told = commits ? XA_HEURCOM : XA_HEURRB;
        const char *key = scene_key(0);
        prepare_with(key);
        must_be(force(commits), XA_OK);
        ck_assert((scene_on_disk(0, key) != NULL) == commits);
        ck_assert(!scene_is_locked(0, key));
        ck_assert_int_eq(scene_in_doubt(0), 1); /* it is listed, too */
        fixture_restart(&f, CLUSTER_SHARD, 0, NULL);
        scene_reach(0);
        must_be(force(commits), XAER_PROTO); /* once */
        must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS), told);
        must_be(xa->xa_rollback_entry(&tx.xid[0], 0, TMNOFLAGS), told);
        must_be(xa->xa_forget_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
        must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS), XAER_NOTA);
        must_be(force(commits), XAER_NOTA);
    }
    raw_end();
    scene_close();
}
END_TEST

START_TEST(requests_that_make_no_sense_are_refused) {
    static const char *const methods[] = {"Start",    "End",    "Prepare", "Commit",
                                          "Rollback", "Forget", "Recover", "Force"};
    static const uint8_t garbage[] = {0x0a, 0xff, 0xff, 0xff, 0x7f};
    uint8_t long_gtrid[MAXGTRIDSIZE + 1] = {1};
    scene_open();
    const char *shard = cluster_address(f.cluster, CLUSTER_SHARD, 0);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char method[64];
        snprintf(method, sizeof method, "/troth.v1.XaBranches/%s", methods[i]);
        must_be(raw_call_bytes(shard, method, garbage, sizeof garbage).status,
                RPC_INVALID_ARGUMENT);
    }
    Troth__V1__XaStartRequest start = TROTH__V1__XA_START_REQUEST__INIT;
    must_be(ask("/troth.v1.XaBranches/Start", &start.base), XAER_INVAL); /* no xid */
    Troth__V1__Xid xid = TROTH__V1__XID__INIT;
    start.xid = &xid;
    must_be(ask("/troth.v1.XaBranches/Start", &start.base), XAER_INVAL); /* an empty one */
    xid.gtrid = (ProtobufCBinaryData){sizeof long_gtrid, long_gtrid};
    must_be(ask("/troth.v1.XaBranches/Start", &start.base), XAER_INVAL);
    xid.gtrid.len = 1;
    start.association = (Troth__V1__XaAssociation)77;
    must_be(ask("/troth.v1.XaBranches/Start", &start.base), XAER_INVAL);
    Troth__V1__XaEndRequest end = TROTH__V1__XA_END_REQUEST__INIT;
    end.xid = &xid;
    end.end = (Troth__V1__XaEnd)77;
    must_be(ask("/troth.v1.XaBranches/End", &end.base), XAER_INVAL);
    Troth__V1__XaRecoverRequest recover = TROTH__V1__XA_RECOVER_REQUEST__INIT;
    char after[] = "not a txid";
    recover.after = after;
    must_be(raw_call(shard, "/troth.v1.XaBranches/Recover", &recover.base,
                     &troth__v1__xa_recover_reply__descriptor)
                .status,
            RPC_INVALID_ARGUMENT);
    raw_end();
    scene_close();
}
END_TEST

START_TEST(no_node_is_needed) {
    scene_open();
    fixture_kill(&f, CLUSTER_NODE, 0);
    const char *key = scene_key(0);
    prepare_with(key);
    must_be(xa->xa_commit_entry(&tx.xid[0], 0, TMNOFLAGS), XA_OK);
    ck_assert_str_eq(scene_on_disk(0, key), "new");
    scene_close();
}
END_TEST

int main(void) {
    return fixture_suite_run(
        "xa_branches",
        (const TTest *[]){what_a_human_ended_is_told_to_the_manager_until_it_forgets_it,
                          requests_that_make_no_sense_are_refused, no_node_is_needed, NULL});
}

#include "tests/lib/scripted_participant.h"

#include <semaphore.h>
#include <stdio.h>

static int on_prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    struct scripted *scripted = arg;
    (void)txid;
    snprintf(detail, TROTH_DETAIL_BYTES, "the script says so");
    atomic_fetch_add(&scripted->prepares, 1);
    return atomic_load(&scripted->vote);
}

static int on_prepare_work(void *arg, struct troth_txid txid, const void *work, size_t work_bytes,
                           char detail[TROTH_DETAIL_BYTES]) {
    struct scripted *scripted = arg;
    snprintf(detail, TROTH_DETAIL_BYTES, "the script says so");
    snprintf(scripted->work, sizeof scripted->work, "%.*s", (int)work_bytes, (const char *)work);
    atomic_fetch_add(&scripted->works, 1);
    int reason = atomic_load(&scripted->reason);
    if (reason != 0) {
        troth_participant_give_up(scripted->participant, txid, (enum troth_branch_reason)reason,
                                  detail);
    }
    return atomic_load(&scripted->vote);
}

static int on_commit(void *arg, struct troth_txid txid, int one_phase) {
    struct scripted *scripted = arg;
    (void)txid;
    atomic_fetch_add(one_phase ? &scripted->one_phases : &scripted->commits, 1);
    return 0;
}

static int on_abort(void *arg, struct troth_txid txid) {
    struct scripted *scripted = arg;
    (void)txid;
    atomic_fetch_add(&scripted->aborts, 1);
    return 0;
}

static int on_recover(void *arg, struct troth_txid txid) {
    struct scripted *scripted = arg;
    (void)txid;
    atomic_fetch_add(&scripted->recovers, 1);
    return 0;
}

static unsigned running_nodes(struct fixture *f) {
    unsigned n = 0;
    for (unsigned i = 0; i < f->nodes; i++) {
        n += fixture_runs(f, CLUSTER_NODE, i);
    }
    return n;
}

static unsigned attached_nodes(struct scripted *scripted) {
    struct troth_participant_counters counters;
    troth_participant_counters(scripted->participant, &counters);
    return counters.nodes_attached;
}

void scripted_open(struct fixture *f, struct scripted *scripted, const char *name, int vote) {
    static const struct troth_participant_callbacks callbacks = {.prepare = on_prepare,
                                                                 .commit = on_commit,
                                                                 .abort = on_abort,
                                                                 .recover = on_recover,
                                                                 .prepare_work = on_prepare_work};
    char why[512] = "";
    *scripted = (struct scripted){.participant = NULL};
    atomic_store(&scripted->vote, vote);
    snprintf(scripted->log_path, sizeof scripted->log_path, "%s/%s.db", cluster_data(f->cluster),
             name);
    int err = troth_participant_open(
        &scripted->participant,
        &(struct troth_participant_options){.name = name,
                                            .nodes = cluster_nodes(f->cluster),
                                            .log_path = scripted->log_path,
                                            .callbacks = &callbacks,
                                            .arg = scripted},
        why, sizeof why);
    fixture_must(f, err == 0, "%s", why);
    fixture_wait(f, attached_nodes(scripted) >= running_nodes(f), "%s does not get attached", name);
}

void scripted_close(struct scripted *scripted) {
    troth_participant_close(scripted->participant);
}

struct enlistment {
    sem_t done;
    int err;
};

static void on_enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct enlistment *enlistment = arg;
    (void)txid;
    (void)detail;
    enlistment->err = err;
    sem_post(&enlistment->done);
}

int scripted_enlist(struct fixture *f, struct scripted *scripted, struct troth_txid txid) {
    struct enlistment enlistment;
    sem_init(&enlistment.done, 0, 0);
    int err = troth_participant_enlist(scripted->participant, txid, on_enlisted, &enlistment);
    fixture_must(f, err == 0, "enlist: %s", troth_err_name(err));
    while (sem_wait(&enlistment.done) != 0) {
    }
    sem_destroy(&enlistment.done);
    return enlistment.err;
}

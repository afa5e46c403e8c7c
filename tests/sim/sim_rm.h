/* sim_rm: a participant of the world: what its files (sim_rm*.c) and the world ask of each other.
 */
#ifndef TESTS_SIM_SIM_RM_H
#define TESTS_SIM_SIM_RM_H

#include "tests/sim/world_state.h"

void sim_rm_start(struct sim_rm *rm);
void sim_rm_crash(struct sim_rm *rm);
void sim_rm_run(struct sim_rm *rm);
void sim_rm_synced(struct sim_rm *rm, bool stored);
void sim_rm_release(struct sim_rm *rm);
void sim_rm_call_now(struct sim_rm *rm, struct troth_txid txid, enum branches_call call);
void rm_hold_call(struct sim_rm *rm, struct troth_txid txid, enum branches_call call, bool slow);
void rm_local(struct sim_rm *rm, struct branches_event event);
/* A step of the start-up. */
void rm_load_step(struct sim_rm *rm, struct branches_event event);
/* sim_rm_listed.c */
void rm_listing_start(struct sim_rm *rm);
void rm_listing_crash(struct sim_rm *rm);
void rm_listing_step(struct sim_rm *rm, const struct branches_event *event);
void rm_listing_on_time(struct sim_rm *rm);
void rm_listing_on_reply(struct sim_rm *rm, const struct packet *packet);
int64_t rm_listing_deadline_ms(const struct sim_rm *rm);
/* The driver's word for a callback's result. */
int rm_listing_result(const struct sim_rm *rm, struct troth_txid txid, enum branches_call call,
                      int result);
uint32_t rm_listing_open(const struct sim_rm *rm);                  /* branches that nobody ended */
void rm_refuse(struct sim_rm *rm, uint32_t node, uint64_t session); /* sim_rm.c */
/* The locks of what is prepared on disk. */
void rm_retake(struct sim_rm *rm, struct troth_txid txid);

/* sim_rm_late.c */

/* Whether the database still works on a prepare whose client is gone: begins it. */
bool rm_lands_late(struct sim_rm *rm, struct troth_txid txid);
void rm_land(struct sim_rm *rm, struct troth_txid txid);
/* A process starts over a database that still does. */
void rm_land_on(struct sim_rm *rm);

void rm_obey(struct sim_rm *rm, const struct lock_effects *effects);
void rm_enlisted(struct sim_rm *rm, uint64_t request, int error);
int rm_prepare(struct sim_rm *rm, struct troth_txid txid, struct random *r);
/* All that the branch did and holds goes. */
void rm_end_branch(struct sim_rm *rm, struct troth_txid txid);
void rm_write(struct sim_rm *rm, uint32_t tx, const struct plan_op *op);
int64_t rm_balance(const struct sim_rm *rm, uint32_t tx, uint32_t key);
int rm_lock(struct sim_rm *rm, struct rm_op *op, struct troth_txid txid,
            const struct plan_op *what);
/* `was_slow`: it has taken its time, and is carried out now. */
void rm_call(struct sim_rm *rm, struct troth_txid txid, enum branches_call call, bool was_slow);
void rm_recover(struct sim_rm *rm, struct troth_txid txid);
void rm_work_release(struct sim_rm *rm);
bool rm_lose_branch(struct sim_rm *rm);
/* Whether the client comes back without its session, and so without its work. */
bool rm_loses_session(struct sim_rm *rm, struct troth_txid txid);

/* sim_rm_given.c */

/* Takes the reference: what the next prepare of this branch is to do. */
void rm_give(struct sim_rm *rm, struct troth_txid txid, struct work *work);
/* Prepare, with work: answered at once or later. */
void rm_do_given(struct sim_rm *rm, struct troth_txid txid);
/* What has its lock now, has waited too long, or must end. True: there was something. */
bool rm_given_goes_on(struct sim_rm *rm);
int64_t rm_given_due_ms(const struct sim_rm *rm);

void rm_change(struct sim_rm *rm, struct rm_change *change);
void rm_disk_end_batch(struct sim_rm *rm, bool stored);
void rm_disk_load(struct sim_rm *rm);
void rm_disk_release(struct sim_rm *rm);
void rm_list_append(struct rm_list *list, int64_t number);
void rm_disk_tell_data(struct sim_rm *rm);

#endif

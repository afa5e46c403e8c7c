/* participant: a commit that nobody waits for costs no sync of its own: it goes to disk with the
 * next thing that somebody waits for, and its acknowledgement leaves then (branches.h, lazy). */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"

static unsigned syncs_before; /* of the loop's thread, until the test has heard of it */

/* A world whose first branch has voted, and which calls `after_commit` when it is committed. */
static struct world *begin(bool eager_acks, void (*after_commit)(void *world)) {
    struct world *world = world_begin();
    char why[256];
    world->after_commit = after_commit;
    ck_assert_int_eq(world_open_participant(
                         world, (struct troth_participant_options){.eager_acks = eager_acks}, why),
                     0);
    world_wait_attached(world);
    world_prepared(world, world_txid(1));
    return world;
}

static void vote_of_another(void *arg) {
    struct world *world = arg;
    world_expect_row(world, world_txid(1), "prepared"); /* as others see it */
    ck_assert_uint_eq(world_syncs(world), syncs_before);
    ck_assert_int_eq(
        troth_participant_done(world->participant, world_txid(2), TROTH_VOTE_PREPARED, NULL), 0);
}

START_TEST(a_commit_shares_the_sync_of_the_next_vote) {
    struct world *world = begin(false, vote_of_another);
    world_enlist(world, world_txid(2));
    world->silent = true;
    world_ask_to_prepare(world, world_txid(2));
    world_wait_for(world, &world->asked, 2);
    ck_assert_int_eq(troth_participant_run(world->participant, world_count, world), 0);
    world_wait_for(world, &world->ran, 1); /* what prepare wrote is on disk */
    syncs_before = world_syncs(world);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED); /* in its place, before the vote */
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    world_expect_row(world, world_txid(1), "committed"); /* S4 */
    ck_assert_uint_eq(world_syncs(world), syncs_before + 1);
    world_end(world);
}
END_TEST

static void expect_on_disk(void *arg) {
    struct world *world = arg;
    world_expect_row(world, world_txid(1), "committed");
    world_count(world);
}

START_TEST(with_eager_acks_a_commit_is_on_disk_with_its_own_batch) {
    struct world *world = begin(true, expect_on_disk);
    unsigned before = world_syncs(world);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_wait_for(world, &world->ran, 1);
    ck_assert_uint_eq(world_syncs(world), before + 1);
    world_end(world);
}
END_TEST

static void expect_not_on_disk(void *arg) {
    struct world *world = arg;
    world_expect_row(world, world_txid(1), "prepared");
    world_count(world);
}

START_TEST(S4_a_commit_that_nothing_follows_is_acknowledged_when_it_is_on_disk) {
    struct world *world = begin(false, expect_not_on_disk);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed");
    world_wait_for(world, &world->ran, 1);
    world_end(world);
}
END_TEST

static void look_when_its_batch_is_over(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(troth_participant_after_batch(world->participant, expect_on_disk, world), 0);
}
static void enlist_another(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(
        troth_participant_enlist(world->participant, world_txid(2), world_enlisted, world), 0);
    ck_assert_int_eq(troth_participant_run(world->participant, look_when_its_batch_is_over, world),
                     0);
}

START_TEST(what_leaves_at_once_takes_what_is_before_it_with_it) {
    struct world *world = begin(false, enlist_another);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    world_wait_for(world, &world->ran, 1);
    world_end(world);
}
END_TEST

static void write_another(void *arg) {
    struct world *world = arg;
    world_set_row(world, world_txid(9), "written");
    look_when_its_batch_is_over(world);
}
static void run_a_function(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(troth_participant_run(world->participant, write_another, world), 0);
}

START_TEST(what_the_resource_manager_writes_by_itself_takes_a_commit_to_disk) {
    struct world *world = begin(false, run_a_function);
    unsigned before = world_syncs(world);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_wait_for(world, &world->ran, 1);
    world_expect_row(world, world_txid(9), "written");
    ck_assert_uint_eq(world_syncs(world), before + 1);
    world_end(world);
}
END_TEST

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_committed, is_closing;

static void hold_until_it_closes(void *arg) {
    expect_not_on_disk(arg);
    pthread_mutex_lock(&mutex);
    is_committed = true;
    pthread_cond_broadcast(&changed);
    while (!is_closing) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

START_TEST(S4_closing_takes_what_waits_to_disk) {
    struct world *world = begin(false, hold_until_it_closes);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    pthread_mutex_lock(&mutex);
    while (!is_committed) {
        pthread_cond_wait(&changed, &mutex);
    }
    is_closing = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    troth_participant_close(world->participant);
    world->participant = NULL;
    world_expect_row(world, world_txid(1), "committed");
    world_end(world);
}
END_TEST

int main(void) {
    return suite_run(
        "participant_lazy",
        (const TTest *[]){a_commit_shares_the_sync_of_the_next_vote,
                          with_eager_acks_a_commit_is_on_disk_with_its_own_batch,
                          S4_a_commit_that_nothing_follows_is_acknowledged_when_it_is_on_disk,
                          what_leaves_at_once_takes_what_is_before_it_with_it,
                          what_the_resource_manager_writes_by_itself_takes_a_commit_to_disk,
                          S4_closing_takes_what_waits_to_disk, NULL});
}

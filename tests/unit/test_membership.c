/* A cluster of three as three struct membership that greet each other; what is remembered is
 * durable by nature here, a lost or older disk is a struct made anew or copied before. */
#include "coordinator/membership.h"

#include <string.h>

#include "tests/lib/suite.h"

static uint64_t boots;

static struct membership node(uint32_t id, uint8_t disk, uint64_t incarnation) {
    struct membership m = {.self = id, .nodes = 3, .incarnation = incarnation, .fresh = true};
    strcpy(m.cluster, "troth");
    memset(m.disk, disk, sizeof m.disk);
    membership_add_boot(&m, ++boots);
    return m;
}

/* Starts the same disk again. */
static void restart(struct membership *m) {
    m->incarnation++;
    membership_add_boot(m, ++boots);
    for (uint32_t id = 0; id <= PAXOS_NODES_MAX; id++) {
        m->peers[id].admitted_us = false;
    }
}

/* `from` dials `to`: what `to` says to its hello. */
static struct membership_answer greet(const struct membership *from, struct membership *to) {
    struct wire_peer_hello hello;
    struct membership_answer answer;
    membership_hello(from, &hello);
    membership_greet(to, 0, &hello, &answer);
    return answer;
}

/* The whole dialogue. True when both are content; *refused tells what `from` learns otherwise. */
static bool dial(struct membership *from, struct membership *to, struct membership_answer *at_to,
                 struct membership_answer *at_from) {
    struct wire_peer_hello reply;
    *at_from = (struct membership_answer){.verdict = MEMBERSHIP_REFUSE};
    *at_to = greet(from, to);
    if (at_to->verdict != MEMBERSHIP_ADMIT && !at_to->tell) {
        return false;
    }
    membership_hello(to, &reply);
    membership_greet(from, to->self, &reply, at_from);
    if (at_to->verdict == MEMBERSHIP_ADMIT && at_from->verdict == MEMBERSHIP_ADMIT) {
        membership_admitted_by(from, to->self);
        return true;
    }
    return false;
}

static bool joins(struct membership *from, struct membership *to) {
    struct membership_answer a;
    struct membership_answer b;
    return dial(from, to, &a, &b);
}

static void form(struct membership *a, struct membership *b, struct membership *c) {
    struct membership *all[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            if (i != k) {
                ck_assert(joins(all[i], all[k]));
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        ck_assert(membership_is_ready(all[i]));
        all[i]->fresh = false;
    }
}

START_TEST(a_single_node_is_ready_at_once) {
    struct membership m = node(1, 1, 1);
    char text[MEMBERSHIP_TEXT_BYTES];
    m.nodes = 1;
    ck_assert(membership_is_ready(&m));
    membership_waiting_for(&m, text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_fresh_node_needs_all_others_since_its_disk_may_be_a_lost_one) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    char text[MEMBERSHIP_TEXT_BYTES];
    ck_assert(joins(&a, &b));
    ck_assert(!membership_is_ready(&a));
    membership_waiting_for(&a, text);
    ck_assert_ptr_nonnull(strstr(text, "node 3 (not reached)"));
    ck_assert_ptr_null(strstr(text, "node 2"));
    ck_assert(joins(&a, &c));
    ck_assert(membership_is_ready(&a));
}
END_TEST

START_TEST(nodes_of_different_cells_refuse_each_other) {
    struct membership a = node(1, 0xa1, 1), b = node(2, 0xa2, 1);
    b.cell = 7;
    struct membership_answer answer = greet(&a, &b);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_REFUSE);
    ck_assert_ptr_nonnull(strstr(answer.text, "node 1 is of cell 0, node 2 of cell 7"));
    ck_assert_int_eq(greet(&b, &a).verdict, MEMBERSHIP_REFUSE);

    struct wire_peer_hello older;
    membership_hello(&a, &older);
    older.has_cell = false;
    membership_greet(&b, 0, &older, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_ADMIT);
}
END_TEST

START_TEST(a_node_that_took_part_needs_a_majority_only) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    restart(&a);
    ck_assert(!membership_is_ready(&a));
    ck_assert(joins(&a, &b));
    ck_assert(membership_is_ready(&a));
}
END_TEST

START_TEST(the_same_start_may_connect_anew_and_changes_nothing) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1);
    ck_assert_uint_eq(greet(&a, &b).changed, 1u << 1);
    struct membership_answer again = greet(&a, &b);
    ck_assert_int_eq(again.verdict, MEMBERSHIP_ADMIT);
    ck_assert_uint_eq(again.changed, 0);
}
END_TEST

START_TEST(a_new_start_of_the_same_disk_is_remembered) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1);
    greet(&a, &b);
    restart(&a);
    ck_assert_uint_eq(greet(&a, &b).changed, 1u << 1);
    ck_assert_uint_eq(b.peers[1].incarnation, 2);
}
END_TEST

START_TEST(amnesia_an_empty_disk_is_refused_and_its_node_learns_it) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership lost = node(2, 22, 1);
    struct membership_answer at_a;
    struct membership_answer at_lost;
    ck_assert(!dial(&lost, &a, &at_a, &at_lost));
    ck_assert_int_eq(at_a.verdict, MEMBERSHIP_REFUSE);
    ck_assert_ptr_nonnull(strstr(at_a.text, "node 2 came back with an empty disk"));
    ck_assert_int_eq(at_lost.verdict, MEMBERSHIP_AMNESIA);
    ck_assert_ptr_nonnull(strstr(at_lost.text, "another disk"));
    ck_assert(!membership_is_ready(&lost));
    /* And nothing of it is remembered. */
    ck_assert_uint_eq(a.peers[2].disk[0], 2);
}
END_TEST

START_TEST(amnesia_an_older_copy_of_the_disk_is_refused_and_its_node_learns_it) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership copy = b;
    restart(&b);
    restart(&b);
    ck_assert(joins(&b, &a));
    restart(&copy); /* start 2; a has seen 3 */
    struct membership_answer at_a;
    struct membership_answer at_copy;
    ck_assert(!dial(&copy, &a, &at_a, &at_copy));
    ck_assert_int_eq(at_a.verdict, MEMBERSHIP_REFUSE);
    ck_assert_ptr_nonnull(strstr(at_a.text, "older copy"));
    ck_assert_int_eq(at_copy.verdict, MEMBERSHIP_AMNESIA);
}
END_TEST

START_TEST(amnesia_a_copy_that_caught_up_in_starts_is_refused_and_its_node_learns_it) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership copy = b;
    restart(&b);
    ck_assert(joins(&b, &a));
    ck_assert(joins(&b, &a)); /* the same start anew is fine */
    restart(&copy);           /* the same number of starts, and another one */
    struct membership_answer at_a;
    struct membership_answer at_copy;
    ck_assert(!dial(&copy, &a, &at_a, &at_copy));
    ck_assert_int_eq(at_a.verdict, MEMBERSHIP_REFUSE);
    ck_assert_int_eq(at_copy.verdict, MEMBERSHIP_AMNESIA);
}
END_TEST

/* Seed 140821 of the simulation: start 2 took part, and the copy of start 1 dies once before it
 * reaches anybody. */
START_TEST(an_older_copy_that_started_twice_is_refused) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership copy = c;
    restart(&c);
    ck_assert(joins(&c, &a));
    ck_assert(joins(&c, &b));
    restart(&copy); /* another start 2 */
    restart(&copy); /* start 3, which nobody has seen */
    struct membership before = a;
    struct membership_answer at_a;
    struct membership_answer at_copy;
    ck_assert(!dial(&copy, &a, &at_a, &at_copy));
    ck_assert_int_eq(at_a.verdict, MEMBERSHIP_REFUSE);
    ck_assert(at_a.tell);
    ck_assert_ptr_nonnull(strstr(at_a.text, "at start 3, without the start 2 that was seen"));
    ck_assert_int_eq(at_copy.verdict, MEMBERSHIP_AMNESIA);
    ck_assert_ptr_nonnull(strstr(at_copy.text, "a start number 2 that the data folder"));
    ck_assert_mem_eq(&a, &before, sizeof a);
    /* The other way round, and from both peers. */
    ck_assert_int_eq(greet(&a, &copy).verdict, MEMBERSHIP_AMNESIA);
    ck_assert_int_eq(greet(&b, &copy).verdict, MEMBERSHIP_AMNESIA);
    ck_assert_int_eq(greet(&copy, &b).verdict, MEMBERSHIP_REFUSE);
    ck_assert(!membership_is_ready(&copy));
    /* The newest disk itself goes on being welcome. */
    restart(&c);
    restart(&c);
    ck_assert(joins(&c, &a));
    ck_assert(joins(&b, &c));
}
END_TEST

START_TEST(a_copy_beside_the_start_that_lives_is_refused_until_that_one_is_gone) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership copy = c;
    membership_lives(&a, 3, 1);
    restart(&copy);
    struct membership before = a;
    struct membership_answer at_a = greet(&copy, &a);
    ck_assert_int_eq(at_a.verdict, MEMBERSHIP_REFUSE);
    ck_assert(!at_a.tell);
    ck_assert_ptr_nonnull(strstr(at_a.text, "node 3 runs already: its start 1 is heard"));
    ck_assert_mem_eq(&a, &before, sizeof a);
    ck_assert(joins(&c, &a)); /* a new stream of the one that lives */
    membership_lives(&a, 3, 0);
    restart(&c);
    ck_assert(joins(&c, &a));
}
END_TEST

START_TEST(starts_that_no_peer_has_seen_are_no_reason_to_refuse) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    for (uint32_t i = 0; i < 2 * WIRE_BOOTS_MAX; i++) {
        for (uint32_t times = 0; times < i % 5; times++) {
            restart(&c);
        }
        ck_assert(joins(&c, &a));
        ck_assert(joins(&a, &c));
    }
    ck_assert_uint_eq(c.n_boots, WIRE_BOOTS_MAX);
}
END_TEST

START_TEST(an_older_copy_is_told_as_far_back_as_the_boots_reach) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership copy = c;
    restart(&c);
    ck_assert(joins(&c, &a));
    for (uint32_t starts = 0; starts < WIRE_BOOTS_MAX; starts++) {
        restart(&copy); /* 2 and up; the oldest boot carried is that of 2 at last */
        ck_assert_int_eq(greet(&copy, &a).verdict, MEMBERSHIP_REFUSE);
        ck_assert_int_eq(greet(&a, &copy).verdict, MEMBERSHIP_AMNESIA);
    }
    restart(&copy);
    ck_assert_int_eq(greet(&copy, &a).verdict, MEMBERSHIP_ADMIT);
}
END_TEST

START_TEST(boots_that_begin_after_the_remembered_start_say_nothing_against_it) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    c.n_boots = 0; /* an older version kept none */
    restart(&c);
    ck_assert(joins(&c, &a));
    ck_assert(joins(&b, &c));
}
END_TEST

START_TEST(a_hello_without_earlier_boots_is_judged_by_its_own) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1);
    struct membership_answer answer;
    struct wire_peer_hello hello;
    restart(&b);
    greet(&b, &a);
    membership_hello(&b, &hello);
    hello.n_boots = 0;
    membership_greet(&a, 0, &hello, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_ADMIT);
    hello.boot++;
    membership_greet(&a, 0, &hello, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_REFUSE);
    hello.incarnation++;
    membership_greet(&a, 0, &hello, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_ADMIT);
    hello.incarnation -= 2;
    membership_greet(&a, 0, &hello, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_REFUSE);
}
END_TEST

START_TEST(amnesia_is_learnt_from_the_hello_of_one_that_dials_us) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership lost = node(2, 22, 1);
    ck_assert_int_eq(greet(&a, &lost).verdict, MEMBERSHIP_AMNESIA);
}
END_TEST

/* Both clusters have the default name, and node 2 of the other was given our nodes' addresses. */
START_TEST(a_node_of_another_cluster_with_our_name_ends_nobody) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    struct membership other_a = node(1, 41, 1), other_b = node(2, 42, 1), other_c = node(3, 43, 1);
    form(&a, &b, &c);
    form(&other_a, &other_b, &other_c);
    restart(&other_b);
    struct membership before = a, other_before = other_b;
    struct membership_answer at_a;
    struct membership_answer at_other;
    ck_assert(!dial(&other_b, &a, &at_a, &at_other));
    ck_assert_int_eq(at_a.verdict, MEMBERSHIP_REFUSE);
    ck_assert_ptr_nonnull(strstr(at_a.text, "of another cluster that is named troth"));
    ck_assert_int_eq(at_other.verdict, MEMBERSHIP_REFUSE);
    ck_assert_ptr_nonnull(strstr(at_other.text, "of another cluster that is named troth"));
    ck_assert_int_eq(greet(&a, &other_b).verdict, MEMBERSHIP_REFUSE);
    ck_assert_mem_eq(&a, &before, sizeof a);
    ck_assert_mem_eq(&other_b, &other_before, sizeof a);
    /* Each goes on among its own. */
    ck_assert(joins(&other_b, &other_a));
    restart(&b);
    ck_assert(joins(&b, &a));
}
END_TEST

/* A cluster's disks were copied, to try something out, and one node of the copies is misdirected:
 * the disks are the same, and the starts are not. */
START_TEST(a_copy_of_a_node_ends_nobody_by_what_it_knows_of_other_copies) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership copy_a = a, copy_b = b;
    restart(&copy_a);
    restart(&copy_b);
    ck_assert(joins(&copy_a, &copy_b));
    restart(&a);
    restart(&b);
    ck_assert(joins(&a, &b));
    ck_assert(joins(&b, &a));
    ck_assert_int_eq(greet(&copy_b, &a).verdict, MEMBERSHIP_REFUSE);
    /* Though its own node 1 would end ours, were it one that we remember. */
    a.peers[2].incarnation = 0;
    ck_assert_int_eq(greet(&copy_b, &a).verdict, MEMBERSHIP_AMNESIA);
}
END_TEST

START_TEST(amnesia_who_has_met_nobody_believes_whoever_has_known_it) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    struct membership met_nobody = b; /* an older copy, from before the cluster was formed */
    form(&a, &b, &c);
    restart(&b);
    ck_assert(joins(&b, &a));
    restart(&met_nobody);
    ck_assert_int_eq(greet(&a, &met_nobody).verdict, MEMBERSHIP_AMNESIA);
}
END_TEST

START_TEST(amnesia_of_two_older_copies_admits_neither_and_ends_both_once_one_remembers) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    /* A later start of each has been seen by all others, and is on neither copy. */
    struct membership copy_b = b, copy_c = c;
    restart(&b);
    restart(&c);
    ck_assert(joins(&b, &a));
    ck_assert(joins(&c, &a));
    struct wire_peer_hello hello;
    struct membership_answer answer;
    membership_hello(&b, &hello);
    hello.remembered[3].node = 0;
    membership_greet(&copy_c, 0, &hello, &answer); /* c's copy was made when it had met b's start */
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_ADMIT);
    membership_hello(&c, &hello);
    hello.remembered[2].node = 0;
    membership_greet(&copy_b, 0, &hello, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_ADMIT);
    restart(&copy_b);
    restart(&copy_c);
    ck_assert_int_eq(greet(&copy_b, &copy_c).verdict, MEMBERSHIP_REFUSE);
    ck_assert_int_eq(greet(&copy_c, &copy_b).verdict, MEMBERSHIP_REFUSE);
    ck_assert(!membership_is_ready(&copy_b));
    ck_assert(!membership_is_ready(&copy_c));
    ck_assert_int_eq(greet(&a, &copy_b).verdict, MEMBERSHIP_AMNESIA);
    ck_assert_int_eq(greet(&a, &copy_c).verdict, MEMBERSHIP_AMNESIA);
}
END_TEST

START_TEST(amnesia_of_two_at_once_forms_no_new_cluster_while_one_remembers) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 1);
    form(&a, &b, &c);
    struct membership lost_b = node(2, 22, 1), lost_c = node(3, 33, 1);
    ck_assert(joins(&lost_b, &lost_c));
    ck_assert(joins(&lost_c, &lost_b));
    ck_assert(!joins(&lost_b, &a));
    ck_assert(!joins(&lost_c, &a));
    ck_assert(!membership_is_ready(&lost_b));
    ck_assert(!membership_is_ready(&lost_c));
}
END_TEST

START_TEST(what_a_peer_remembers_of_third_nodes_is_merged_by_the_higher_incarnation) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1), c = node(3, 3, 5);
    greet(&c, &b);
    ck_assert_uint_eq(greet(&b, &a).changed, 1u << 2 | 1u << 3);
    ck_assert_uint_eq(a.peers[3].incarnation, 5);
    /* So a refuses an older copy of node 3 that it never met. */
    struct membership copy = node(3, 3, 4);
    ck_assert_int_eq(greet(&copy, &a).verdict, MEMBERSHIP_REFUSE);
    /* A lower one changes nothing. */
    b.peers[3].incarnation = 2;
    ck_assert_uint_eq(greet(&b, &a).changed, 0);
    ck_assert_uint_eq(a.peers[3].incarnation, 5);
}
END_TEST

START_TEST(another_disk_told_of_a_third_node_does_not_replace_the_remembered_one) {
    struct membership a = node(1, 1, 1), b = node(2, 2, 1);
    struct membership c = node(3, 3, 1), other_c = node(3, 33, 9);
    greet(&c, &a);
    greet(&other_c, &b);
    ck_assert_uint_eq(greet(&b, &a).changed, 1u << 2);
    ck_assert_uint_eq(a.peers[3].disk[0], 3);
}
END_TEST

/* ---- Not of our cluster -------------------------------------------------------------------- */

static void refused(struct wire_peer_hello hello, uint32_t dialled, const char *words) {
    struct membership a = node(1, 1, 1);
    struct membership before = a;
    struct membership_answer answer;
    membership_greet(&a, dialled, &hello, &answer);
    ck_assert_int_eq(answer.verdict, MEMBERSHIP_REFUSE);
    ck_assert_msg(strstr(answer.text, words) != NULL, "\"%s\" lacks \"%s\"", answer.text, words);
    ck_assert(!answer.tell);
    ck_assert_uint_eq(answer.changed, 0);
    ck_assert_mem_eq(&a, &before, sizeof a);
}

static struct wire_peer_hello good_hello(void) {
    struct membership b = node(2, 2, 1);
    struct wire_peer_hello hello;
    membership_hello(&b, &hello);
    return hello;
}

START_TEST(a_node_of_another_cluster_is_refused) {
    struct wire_peer_hello hello = good_hello();
    strcpy(hello.cluster, "other");
    refused(hello, 0, "cluster other");
}
END_TEST

START_TEST(a_node_that_counts_other_nodes_is_refused) {
    struct wire_peer_hello hello = good_hello();
    hello.nodes = 5;
    refused(hello, 0, "5 nodes");
}
END_TEST

START_TEST(a_node_of_an_unknown_version_is_refused) {
    struct wire_peer_hello hello = good_hello();
    hello.version = MEMBERSHIP_VERSION + 1;
    refused(hello, 0, "version 3");
}
END_TEST

START_TEST(another_node_than_dialled_is_refused) {
    refused(good_hello(), 3, "at the address of node 3 there is node 2");
}
END_TEST

START_TEST(a_node_with_our_own_number_is_refused) {
    struct wire_peer_hello hello = good_hello();
    hello.node = 1;
    refused(hello, 0, "two processes say that they are node 1");
}
END_TEST

START_TEST(a_node_that_there_can_not_be_is_refused) {
    struct wire_peer_hello hello = good_hello();
    hello.node = 4;
    refused(hello, 0, "no node 4");
    hello.node = 0;
    refused(hello, 0, "no node 0");
}
END_TEST

START_TEST(a_node_without_incarnation_is_refused) {
    struct wire_peer_hello hello = good_hello();
    hello.incarnation = 0;
    refused(hello, 0, "no incarnation");
}
END_TEST

START_TEST(who_refused_us_and_why_is_said_while_waiting) {
    struct membership a = node(1, 1, 1);
    char text[MEMBERSHIP_TEXT_BYTES];
    membership_refused_by(&a, 2, "node 1 is of cluster other");
    membership_waiting_for(&a, text);
    ck_assert_ptr_nonnull(strstr(text, "node 2 (node 1 is of cluster other)"));
    membership_admitted_by(&a, 2);
    membership_waiting_for(&a, text);
    ck_assert_ptr_null(strstr(text, "node 2"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_single_node_is_ready_at_once,
        a_fresh_node_needs_all_others_since_its_disk_may_be_a_lost_one,
        nodes_of_different_cells_refuse_each_other,
        a_node_that_took_part_needs_a_majority_only,
        the_same_start_may_connect_anew_and_changes_nothing,
        a_new_start_of_the_same_disk_is_remembered,
        amnesia_an_empty_disk_is_refused_and_its_node_learns_it,
        amnesia_an_older_copy_of_the_disk_is_refused_and_its_node_learns_it,
        amnesia_a_copy_that_caught_up_in_starts_is_refused_and_its_node_learns_it,
        an_older_copy_that_started_twice_is_refused,
        a_copy_beside_the_start_that_lives_is_refused_until_that_one_is_gone,
        starts_that_no_peer_has_seen_are_no_reason_to_refuse,
        an_older_copy_is_told_as_far_back_as_the_boots_reach,
        boots_that_begin_after_the_remembered_start_say_nothing_against_it,
        a_hello_without_earlier_boots_is_judged_by_its_own,
        amnesia_is_learnt_from_the_hello_of_one_that_dials_us,
        a_node_of_another_cluster_with_our_name_ends_nobody,
        a_copy_of_a_node_ends_nobody_by_what_it_knows_of_other_copies,
        amnesia_who_has_met_nobody_believes_whoever_has_known_it,
        amnesia_of_two_older_copies_admits_neither_and_ends_both_once_one_remembers,
        amnesia_of_two_at_once_forms_no_new_cluster_while_one_remembers,
        what_a_peer_remembers_of_third_nodes_is_merged_by_the_higher_incarnation,
        another_disk_told_of_a_third_node_does_not_replace_the_remembered_one,
        a_node_of_another_cluster_is_refused,
        a_node_that_counts_other_nodes_is_refused,
        a_node_of_an_unknown_version_is_refused,
        another_node_than_dialled_is_refused,
        a_node_with_our_own_number_is_refused,
        a_node_that_there_can_not_be_is_refused,
        a_node_without_incarnation_is_refused,
        who_refused_us_and_why_is_said_while_waiting,
        NULL,
    };
    return suite_run("membership", tests);
}

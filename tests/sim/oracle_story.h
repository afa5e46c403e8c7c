/* oracle_story: stories for the oracle's unit tests, told sight by sight.
 *
 * The cast: nodes n1 to n3, participants rm0 and rm1, client c1. Balance 0 and list 6 live at rm0,
 * balance 1 and list 7 at rm1. Transaction 1, where nothing else is said, moves 10 from balance 0
 * to balance 1.
 *
 *     decided();              // told so far: all up to the decision
 *     commits(0);
 *     heartbeat(2);
 *     must_break("S6", "n1's mark passes it, and rm1 has it prepared");
 */
#ifndef TESTS_SIM_ORACLE_STORY_H
#define TESTS_SIM_ORACLE_STORY_H

#include <stdio.h>
#include <string.h>

#include "tests/lib/suite.h"
#include "tests/sim/oracle.h"

#define N(i) ((struct process){ROLE_NODE, i})
#define R(i) ((struct process){ROLE_RM, i})
#define C(i) ((struct process){ROLE_CLIENT, i})
#define BOTH 3u

static struct oracle oracle;
static int64_t now_us;

/* ---- Telling --------------------------------------------------------------------------------- */

static inline void see(struct sight sight) {
    sight.at_us = now_us += 1000;
    oracle_see(&oracle, &sight);
}

static inline void send(struct process from, struct process to, struct speech speech) {
    see((struct sight){
        .kind = SIGHT_SEND, .who = from, .to = to, .speech = &speech, .tx = speech.tx});
}

static inline void say(struct process from, struct process to, enum speech_kind kind, uint32_t tx) {
    send(from, to, (struct speech){.kind = kind, .tx = tx});
}

static inline void tell(struct process from, struct process to, enum speech_kind kind, uint32_t tx,
                        enum outcome outcome) {
    send(from, to, (struct speech){.kind = kind, .tx = tx, .outcome = outcome});
}

static inline void begin_world(void) {
    now_us = 0;
    oracle_init(&oracle, &(struct oracle_options){.nodes = 3, .rms = 2, .money = 2000});
    for (uint8_t node = 1; node <= 3; node++) {
        see((struct sight){.kind = SIGHT_START, .who = N(node), .incarnation = 1});
    }
}

/* Origin n1, sequence = number. */
static inline void begins(uint32_t tx) {
    see((struct sight){
        .kind = SIGHT_BORN, .tx = tx, .origin = 1, .origin_incarnation = 1, .sequence = tx});
    say(N(1), C(1), SAY_BEGUN, tx);
    see((struct sight){.kind = SIGHT_BEGINS, .who = C(1), .tx = tx});
}

static inline void op_done(uint32_t tx, uint8_t rm, struct op_seen op, bool ok) {
    say(C(1), R(rm), SAY_WORK, tx);
    see((struct sight){.kind = SIGHT_OP_DONE,
                       .who = R(rm),
                       .to = C(1),
                       .tx = tx,
                       .ops = &op,
                       .ops_n = 1,
                       .ok = ok});
}

/* Its Commit carries this work. */
static inline void gives(uint32_t tx, uint8_t rm, struct op_seen op) {
    see((struct sight){
        .kind = SIGHT_WORK_GIVEN, .who = C(1), .to = R(rm), .tx = tx, .ops = &op, .ops_n = 1});
}

static inline struct op_seen add_op(uint32_t key, int64_t number, int64_t result) {
    return (struct op_seen){.kind = OP_ADD, .key = key, .number = number, .result = result};
}

static inline struct op_seen append_op(uint32_t key, int64_t number) {
    return (struct op_seen){.kind = OP_APPEND, .key = key, .number = number};
}

static inline void asks(uint32_t tx, enum outcome outcome) {
    see((struct sight){.kind = SIGHT_ASKS, .who = C(1), .tx = tx, .outcome = outcome});
    say(C(1), N(1), outcome == OUTCOME_COMMITTED ? SAY_COMMIT : SAY_ABORT, tx);
}

static inline void told(uint32_t tx, enum outcome outcome) {
    tell(N(1), C(1), SAY_REPLY, tx, outcome);
    see((struct sight){.kind = SIGHT_TOLD, .who = C(1), .tx = tx, .outcome = outcome});
}

static inline void prepares(uint32_t tx, uint32_t set) {
    for (uint8_t rm = 0; rm < 2; rm++) {
        if ((set & 1u << rm) != 0) {
            send(N(1), R(rm),
                 (struct speech){.kind = SAY_PREPARE, .tx = tx, .set_known = true, .set = set});
        }
    }
}

static inline void log_is(uint8_t rm, uint32_t tx, enum branch_log log) {
    see((struct sight){.kind = SIGHT_RM_STORED, .who = R(rm), .tx = tx, .log = log});
}

static inline void votes(uint8_t rm, uint32_t tx, uint32_t set, enum vote vote) {
    struct speech speech = {.kind = SAY_VOTE, .tx = tx, .set_known = true, .set = set};
    speech.votes[rm] = (uint8_t)vote;
    for (uint8_t node = 1; node <= 3; node++) {
        send(R(rm), N(node), speech);
    }
}

/* The votes of rm0 and rm1, all of one ballot. */
static inline struct node_record record(uint32_t set, uint32_t ballot, enum vote v0, enum vote v1) {
    struct node_record r = {.promised = ballot, .set_known = true, .set = set};
    r.votes[0] = (uint8_t)v0;
    r.votes[1] = (uint8_t)v1;
    r.ballots[0] = v0 != VOTE_NONE ? ballot : 0;
    r.ballots[1] = v1 != VOTE_NONE ? ballot : 0;
    return r;
}

static inline void stores(uint8_t node, uint32_t tx, struct node_record r) {
    see((struct sight){.kind = SIGHT_NODE_STORED, .who = N(node), .tx = tx, .record = &r});
}

static inline void sends_2b(uint8_t node, uint32_t tx, uint32_t ballot, uint32_t set, enum vote v0,
                            enum vote v1) {
    struct speech speech = {
        .kind = SAY_PHASE2B, .tx = tx, .ballot = ballot, .set_known = set != 0, .set = set};
    speech.votes[0] = (uint8_t)v0;
    speech.votes[1] = (uint8_t)v1;
    send(N(node), N(1), speech);
}

static inline void sends_2a(uint8_t node, uint32_t tx, uint32_t ballot, uint32_t set, enum vote v0,
                            enum vote v1) {
    struct speech speech = {
        .kind = SAY_PHASE2A, .tx = tx, .ballot = ballot, .set_known = set != 0, .set = set};
    speech.votes[0] = (uint8_t)v0;
    speech.votes[1] = (uint8_t)v1;
    send(N(node), N(1), speech);
}

static inline void sends_1b(uint8_t node, uint32_t tx, uint32_t ballot, struct node_record r) {
    struct speech speech = {.kind = SAY_PHASE1B,
                            .tx = tx,
                            .ballot = ballot,
                            .void_ballot = r.void_ballot,
                            .set_known = r.set_known,
                            .set = r.set};
    memcpy(speech.votes, r.votes, sizeof speech.votes);
    memcpy(speech.ballots, r.ballots, sizeof speech.ballots);
    send(N(node), N(1), speech);
}

/* At two of three nodes both have voted prepared. */
static inline void accepted_by_two(uint32_t tx) {
    for (uint8_t node = 1; node <= 2; node++) {
        stores(node, tx, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
        sends_2b(node, tx, 0, BOTH, VOTE_PREPARED, VOTE_PREPARED);
    }
}

static inline void applies(uint8_t rm, uint32_t tx, struct op_seen op) {
    see((struct sight){.kind = SIGHT_RM_APPLIED, .who = R(rm), .tx = tx, .ops = &op, .ops_n = 1});
}

static inline void mark(uint8_t node, uint64_t sequence) {
    see((struct sight){.kind = SIGHT_NODE_MARK,
                       .who = N(node),
                       .origin = 1,
                       .origin_incarnation = 1,
                       .sequence = sequence});
}

static inline void heartbeat(uint64_t sequence) {
    send(N(1), N(2), (struct speech){.kind = SAY_HEARTBEAT, .sequence = sequence});
}

static inline void balance_is(uint8_t rm, uint32_t key, int64_t balance) {
    struct op_seen op = {.kind = OP_READ_BALANCE, .key = key, .result = balance};
    see((struct sight){.kind = SIGHT_DATA, .who = R(rm), .ops = &op, .ops_n = 1});
}

static inline void list_is(uint8_t rm, uint32_t key, uint32_t n, const int64_t *list) {
    struct op_seen op = {.kind = OP_READ_LIST, .key = key, .list = list, .list_n = n};
    see((struct sight){.kind = SIGHT_DATA, .who = R(rm), .ops = &op, .ops_n = 1});
}

static inline void reads_list(uint32_t tx, uint8_t rm, uint32_t key, uint32_t n,
                              const int64_t *list) {
    op_done(tx, rm, (struct op_seen){.kind = OP_READ_LIST, .key = key, .list = list, .list_n = n},
            true);
}

static inline void end(void) {
    see((struct sight){.kind = SIGHT_END});
}

static inline void heals(void) {
    see((struct sight){.kind = SIGHT_HEALED});
    now_us += 8000000;
}

/* ---- Judging --------------------------------------------------------------------------------- */

static inline void must_pass(void) {
    ck_assert_msg(oracle.broken.rule == NULL, "%s: %s", oracle.broken.rule, oracle.broken.text);
    oracle_release(&oracle);
}

static inline void must_break(const char *rule, const char *text) {
    ck_assert_msg(oracle.broken.rule != NULL, "nothing is broken, but %s: %s", rule, text);
    ck_assert_str_eq(oracle.broken.rule, rule);
    ck_assert_msg(strstr(oracle.broken.text, text) != NULL, "\"%s\" is not in: %s", text,
                  oracle.broken.text);
    oracle_release(&oracle);
}

/* ---- Pieces of stories ------------------------------------------------------------------------
 */

/* The work of transaction 1 is done, and its commit is asked for. */
static inline void worked(void) {
    begin_world();
    begins(1);
    op_done(1, 0, add_op(0, -10, 990), true);
    op_done(1, 1, add_op(1, 10, 1010), true);
    asks(1, OUTCOME_COMMITTED);
}

static inline void prepared(void) {
    worked();
    prepares(1, BOTH);
    for (uint8_t rm = 0; rm < 2; rm++) {
        log_is(rm, 1, LOG_PREPARED);
        votes(rm, 1, BOTH, VOTE_PREPARED);
    }
}

static inline void decided(void) {
    prepared();
    accepted_by_two(1);
    told(1, OUTCOME_COMMITTED);
    tell(N(1), R(0), SAY_DECISION, 1, OUTCOME_COMMITTED);
    tell(N(1), R(1), SAY_DECISION, 1, OUTCOME_COMMITTED);
}

static inline void commits(uint8_t rm) {
    log_is(rm, 1, LOG_COMMITTED);
    applies(rm, 1, rm == 0 ? add_op(0, -10, 990) : add_op(1, 10, 1010));
    tell(R(rm), N(1), SAY_ACK, 1, OUTCOME_COMMITTED);
}

static inline void over(void) {
    decided();
    commits(0);
    commits(1);
}

static inline void good_end(void) {
    balance_is(0, 0, 990);
    balance_is(1, 1, 1010);
    end();
}

/* n3 takes over with ballot 3, of which n2 and n3 are the majority. */
static inline void promised_to_3(struct node_record n2, struct node_record n3) {
    n2.promised = n3.promised = 3;
    stores(2, 1, n2);
    sends_1b(2, 1, 3, n2);
    stores(3, 1, n3);
    sends_1b(3, 1, 3, n3);
}

/* One phase: the only participant is rm0. */
static inline void delegated(void) {
    begin_world();
    begins(1);
    op_done(1, 0, add_op(0, 5, 1005), true);
    asks(1, OUTCOME_COMMITTED);
    sends_2a(1, 1, 0, 1, VOTE_DELEGATED, VOTE_NONE);
    for (uint8_t node = 1; node <= 2; node++) {
        stores(node, 1, record(1, 0, VOTE_DELEGATED, VOTE_NONE));
        sends_2b(node, 1, 0, 1, VOTE_DELEGATED, VOTE_NONE);
    }
    say(N(1), R(0), SAY_COMMIT_ONE_PHASE, 1);
}

/* A transaction that works on lists, at both participants; committed and applied. `ops` are the
 * appends. */
static inline void list_tx(uint32_t tx) {
    asks(tx, OUTCOME_COMMITTED);
    prepares(tx, BOTH);
    for (uint8_t rm = 0; rm < 2; rm++) {
        log_is(rm, tx, LOG_PREPARED);
        votes(rm, tx, BOTH, VOTE_PREPARED);
    }
    accepted_by_two(tx);
    told(tx, OUTCOME_COMMITTED);
    log_is(0, tx, LOG_COMMITTED);
    log_is(1, tx, LOG_COMMITTED);
}

#endif

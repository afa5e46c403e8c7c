#include "tests/sim/diagram.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "tests/lib/suite.h"
#include "tests/sim/made.h"

#define TX 3u

static const uint32_t set = 1u << 1 | 1u << 2;

static struct speech say(enum speech_kind kind) {
    return (struct speech){.kind = kind, .tx = TX};
}

static struct speech vote_of(uint32_t rm) {
    struct speech speech = {.kind = SAY_VOTE, .tx = TX, .set_known = true, .set = set};
    speech.votes[rm] = VOTE_PREPARED;
    return speech;
}

static struct speech both_prepared(enum speech_kind kind, uint32_t ballot) {
    struct speech speech = {
        .kind = kind, .tx = TX, .ballot = ballot, .set_known = true, .set = set};
    speech.votes[1] = speech.votes[2] = VOTE_PREPARED;
    return speech;
}

static struct node_record record(uint32_t ballot, uint32_t promised) {
    struct node_record one = {.promised = promised, .set_known = true, .set = set};
    one.votes[1] = one.votes[2] = VOTE_PREPARED;
    one.ballots[1] = one.ballots[2] = ballot;
    return one;
}

static void happens(struct made *made, enum sight_kind kind, int64_t at_us, struct process who) {
    made_happens(made, (struct sight){.kind = kind, .at_us = at_us, .who = who, .tx = TX});
}

static void rm_stores(struct made *made, int64_t at_us, uint8_t rm, enum branch_log log) {
    made_happens(
        made,
        (struct sight){
            .kind = SIGHT_RM_STORED, .at_us = at_us, .who = made_rm(rm), .tx = TX, .log = log});
}

/* From Begin to the prepare, coordinated by node 1. */
static void begin(struct made *made) {
    made_happens(made, (struct sight){.kind = SIGHT_BORN, .at_us = 1000200, .tx = TX, .origin = 1});
    made_say(made, 1000200, made_node(1), made_client(1), 480, say(SAY_BEGUN));
    for (uint8_t rm = 1; rm <= 2; rm++) {
        made_say(made, 1000700 + rm, made_client(1), made_rm(rm), 500 + 50 * rm, say(SAY_WORK));
        made_say(made, 1001300 + 50 * rm, made_rm(rm), made_node(1), 520, say(SAY_ENLIST));
        struct speech enlisted = say(SAY_ENLISTED);
        enlisted.ok = true;
        made_say(made, 1001900 + 50 * rm, made_node(1), made_rm(rm), 450 + 30 * rm, enlisted);
        struct speech worked = say(SAY_WORKED);
        worked.ok = true;
        made_say(made, 1002500 + 60 * rm, made_rm(rm), made_client(1), 500, worked);
    }
    made_happens(made, (struct sight){.kind = SIGHT_ASKS,
                                      .at_us = 1003300,
                                      .who = made_client(1),
                                      .tx = TX,
                                      .outcome = OUTCOME_COMMITTED});
    made_say(made, 1003300, made_client(1), made_node(1), 450, say(SAY_COMMIT));
    for (uint8_t rm = 1; rm <= 2; rm++) {
        struct speech prepare = say(SAY_PREPARE);
        prepare.set = set;
        made_say(made, 1003900, made_node(1), made_rm(rm), 400 + 90 * rm, prepare);
    }
}

/* Each participant's vote to each node; node 3 misses the one of participant 2. */
static void vote(struct made *made) {
    for (uint8_t rm = 1; rm <= 2; rm++) {
        int64_t at_us = 1004700 + 160 * rm;
        rm_stores(made, at_us, rm, LOG_PREPARED);
        for (uint8_t node = 1; node <= 3; node++) {
            if ((node == 3 && rm == 2) || node == 1) {
                made_lose(made, at_us, made_rm(rm), made_node(node), 300, vote_of(rm));
            } else {
                made_say(made, at_us, made_rm(rm), made_node(node), 420 + 60 * node, vote_of(rm));
            }
        }
    }
}

/* The coordinator dies before it has learned anything; node 3 leads with ballot 3 and commits. */
static void take_over(struct made *made) {
    made_happens(made, (struct sight){.kind = SIGHT_CRASH, .at_us = 1005300, .who = made_node(1)});
    made_store(made, 1005800, 2, TX, record(0, 0));
    struct node_record half = record(0, 0);
    half.votes[2] = VOTE_NONE;
    made_store(made, 1005900, 3, TX, half);
    made_lose(made, 1005800, made_node(2), made_node(1), 400, both_prepared(SAY_PHASE2B, 0));
    struct speech open = {.kind = SAY_PHASE1A, .tx = TX, .ballot = 3};
    made_lose(made, 1905000, made_node(3), made_node(1), 400, open);
    uint64_t twice = made_say(made, 1905000, made_node(3), made_node(2), 600, open);
    made_message(made, SIGHT_RECEIVE, 1906500, made_node(3), made_node(2), twice, open);
    half.promised = 3;
    made_store(made, 1905300, 3, TX, half);
    made_store(made, 1905900, 2, TX, record(0, 3));
    made_say(made, 1905900, made_node(2), made_node(3), 500, both_prepared(SAY_PHASE1B, 3));
    made_say(made, 1906400, made_node(3), made_node(2), 550, both_prepared(SAY_PHASE2A, 3));
    made_store(made, 1906700, 3, TX, record(3, 3));
    made_store(made, 1907250, 2, TX, record(3, 3));
    made_say(made, 1907250, made_node(2), made_node(3), 500, both_prepared(SAY_PHASE2B, 3));
}

static void finish(struct made *made) {
    struct speech decision = say(SAY_DECISION);
    decision.outcome = OUTCOME_COMMITTED;
    struct speech ack = say(SAY_ACK);
    ack.outcome = OUTCOME_COMMITTED;
    struct node_record known = record(3, 3);
    known.outcome = OUTCOME_COMMITTED;
    for (uint8_t rm = 1; rm <= 2; rm++) {
        made_say(made, 1907750, made_node(3), made_rm(rm), 450 + 70 * rm, decision);
        happens(made, SIGHT_RM_APPLIED, 1908400 + 60 * rm, made_rm(rm));
        rm_stores(made, 1908400 + 60 * rm, rm, LOG_COMMITTED);
        made_say(made, 1908400 + 60 * rm, made_rm(rm), made_node(3), 500, ack);
    }
    struct speech reply = say(SAY_REPLY);
    reply.outcome = OUTCOME_COMMITTED;
    made_say(made, 2105000, made_client(1), made_node(2), 420, say(SAY_COMMIT));
    struct speech ask = say(SAY_ASK);
    ask.what = "commit";
    made_say(made, 2105420, made_node(2), made_node(3), 420, ask);
    struct speech answer = say(SAY_ANSWER);
    answer.outcome = OUTCOME_COMMITTED;
    made_say(made, 2105840, made_node(3), made_node(2), 420, answer);
    made_say(made, 2106300, made_node(2), made_client(1), 420, reply);
    made_happens(made, (struct sight){.kind = SIGHT_TOLD,
                                      .at_us = 2106720,
                                      .who = made_client(1),
                                      .tx = TX,
                                      .outcome = OUTCOME_COMMITTED});
    made_store(made, 2107500, 3, TX, known);
    happens(made, SIGHT_PAUSE, 2106000, made_rm(2));
    happens(made, SIGHT_RESUME, 2107800, made_rm(2));
    made_happens(made, (struct sight){.kind = SIGHT_START, .at_us = 6907000, .who = made_node(1)});
    struct speech tell = say(SAY_KNOWN);
    tell.outcome = OUTCOME_COMMITTED;
    tell.finished = true;
    made_say(made, 6909000, made_node(3), made_node(1), 520, tell);
    known.finished = true;
    made_store(made, 6909700, 1, TX, known);
}

/* The picture's text, which the caller frees. `err` is what diagram_write returned. */
static char *draw(struct made *made, uint32_t tx, int *err) {
    struct diagram diagram;
    ck_assert_int_eq(diagram_init(&diagram, tx, 3), 0);
    made_tell(made, diagram_see, &diagram);
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    *err = diagram_write(&diagram, file);
    fclose(file);
    diagram_release(&diagram);
    return text;
}

static char *draw_takeover(void) {
    static struct made made;
    made_init(&made);
    begin(&made);
    vote(&made);
    take_over(&made);
    finish(&made);
    int err;
    char *text = draw(&made, TX, &err);
    ck_assert_int_eq(err, 0);
    return text;
}

static void assert_well_formed(const char *text) {
    FILE *parser = popen("python3 -c 'import sys, xml.dom.minidom;"
                         "xml.dom.minidom.parseString(sys.stdin.buffer.read())'",
                         "w");
    ck_assert_ptr_nonnull(parser);
    fputs(text, parser);
    ck_assert_int_eq(pclose(parser), 0);
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

START_TEST(the_picture_is_well_formed_and_needs_nothing_from_elsewhere) {
    char *text = draw_takeover();
    assert_well_formed(text);
    ck_assert_ptr_null(strstr(text, "href"));
    ck_assert_ptr_null(strstr(text, "<script"));
    ck_assert_ptr_null(strstr(text, "nan"));
    const char *keep = getenv("TROTH_KEEP_DIAGRAM"); /* to look at it */
    FILE *file = keep != NULL ? fopen(keep, "w") : NULL;
    if (file != NULL) {
        fputs(text, file);
        fclose(file);
    }
    free(text);
}
END_TEST

START_TEST(only_processes_with_something_to_do_have_a_lifeline) {
    char *text = draw_takeover();
    int heads = count(text, ">n1</text>"); /* a high picture has them below too */
    ck_assert_int_ge(heads, 1);
    ck_assert_int_eq(count(text, ">coordinator</text>"), heads);
    ck_assert_int_eq(count(text, ">node</text>"), 2 * heads);
    ck_assert_int_eq(count(text, ">participant</text>"), 2 * heads);
    ck_assert_int_eq(count(text, ">rm1</text>"), heads);
    ck_assert_int_eq(count(text, ">rm2</text>"), heads);
    free(text);
}
END_TEST

START_TEST(the_outcome_the_ballots_the_cuts_and_the_losses_are_marked) {
    char *text = draw_takeover();
    ck_assert_ptr_nonnull(strstr(text, "Transaction 3: committed"));
    ck_assert_ptr_nonnull(strstr(text, "a majority stored every vote"));
    ck_assert_ptr_nonnull(strstr(text, ">ballot 0</text>"));
    ck_assert_ptr_nonnull(strstr(text, ">ballot 3</text>"));
    ck_assert_ptr_nonnull(strstr(text, "+ 4.80 s"));
    ck_assert_ptr_nonnull(strstr(text, ">lost</text>"));
    ck_assert_ptr_nonnull(strstr(text, ">arrives again</text>"));
    ck_assert_ptr_nonnull(strstr(text, ">paused</text>"));
    ck_assert_ptr_nonnull(strstr(text, ">crash</text>"));
    free(text);
}
END_TEST

START_TEST(messages_of_a_node_to_itself_heartbeats_and_other_transactions_are_not_drawn) {
    static struct made made;
    made_init(&made);
    struct speech open = {.kind = SAY_PHASE1A, .tx = TX, .ballot = 3};
    made_say(&made, 1000, made_node(3), made_node(3), 10, open);
    made_say(&made, 1000, made_node(3), made_node(2), 500, open);
    made_say(&made, 1100, made_node(3), made_node(2), 500,
             (struct speech){.kind = SAY_HEARTBEAT, .tx = TX});
    made_say(&made, 1200, made_client(1), made_node(2), 500,
             (struct speech){.kind = SAY_COMMIT, .tx = TX + 1});
    int err;
    char *text = draw(&made, TX, &err);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(count(text, "-&gt;"), 1);
    ck_assert_int_eq(count(text, ">client</text>"), 0);
    assert_well_formed(text);
    free(text);
}
END_TEST

START_TEST(whom_a_message_never_reached_has_a_lifeline_too) {
    static struct made made;
    made_init(&made);
    made_lose(&made, 1000, made_node(3), made_node(1), 500,
              (struct speech){.kind = SAY_PHASE1A, .tx = TX, .ballot = 3});
    int err;
    char *text = draw(&made, TX, &err);
    ck_assert_int_eq(count(text, ">n1</text>"), 1);
    free(text);
}
END_TEST

START_TEST(what_is_not_seen_is_not_drawn) {
    static struct made made;
    made_init(&made);
    begin(&made);
    int err;
    char *text = draw(&made, TX + 1, &err);
    ck_assert_int_eq(err, TROTH_ERR_NOT_FOUND);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(an_outcome_is_decided_when_a_majority_has_stored_it_not_when_it_is_told) {
    static struct made made;
    made_init(&made);
    begin(&made);
    made_store(&made, 1006000, 2, TX, record(0, 0));
    int err;
    char *text = draw(&made, TX, &err);
    ck_assert_ptr_nonnull(strstr(text, "Transaction 3: undecided"));
    free(text);
    struct node_record other = record(0, 0);
    other.votes[2] = VOTE_NONE;
    made_store(&made, 1006100, 1, TX, other);
    text = draw(&made, TX, &err);
    ck_assert_ptr_nonnull(strstr(text, "Transaction 3: undecided"));
    free(text);
    other.votes[2] = VOTE_PREPARED; /* of another ballot: that is no majority of one */
    other.ballots[2] = 1;
    made_store(&made, 1006200, 1, TX, other);
    text = draw(&made, TX, &err);
    ck_assert_ptr_nonnull(strstr(text, "Transaction 3: undecided"));
    free(text);
    made_store(&made, 1006300, 1, TX, record(0, 0));
    text = draw(&made, TX, &err);
    ck_assert_ptr_nonnull(strstr(text, "Transaction 3: committed"));
    free(text);
}
END_TEST

START_TEST(texts_are_escaped) {
    static struct made made;
    made_init(&made);
    struct speech ask = {.kind = SAY_ASK, .tx = TX, .what = "a<b>&\"\x01'"};
    made_say(&made, 1000, made_node(1), made_node(2), 500, ask);
    int err;
    char *text = draw(&made, TX, &err);
    ck_assert_ptr_nonnull(strstr(text, "a&lt;b&gt;&amp;&quot; '"));
    assert_well_formed(text);
    free(text);
}
END_TEST

START_TEST(a_flood_is_cut_off_and_the_picture_says_so) {
    struct diagram diagram;
    ck_assert_int_eq(diagram_init(&diagram, TX, 3), 0);
    struct speech speech = vote_of(1);
    for (uint64_t i = 1; i <= DIAGRAM_EVENTS_MAX + 5; i++) {
        diagram_see(&diagram, &(struct sight){.kind = SIGHT_SEND,
                                              .at_us = (int64_t)i * 2000000,
                                              .who = made_rm(1),
                                              .to = made_node(1),
                                              .message = i,
                                              .speech = &speech});
    }
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    ck_assert_int_eq(diagram_write(&diagram, file), 0);
    fclose(file);
    diagram_release(&diagram);
    ck_assert_ptr_nonnull(strstr(text, "; 5 later events are not drawn"));
    assert_well_formed(text);
    free(text);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_picture_is_well_formed_and_needs_nothing_from_elsewhere,
        only_processes_with_something_to_do_have_a_lifeline,
        the_outcome_the_ballots_the_cuts_and_the_losses_are_marked,
        messages_of_a_node_to_itself_heartbeats_and_other_transactions_are_not_drawn,
        whom_a_message_never_reached_has_a_lifeline_too,
        what_is_not_seen_is_not_drawn,
        an_outcome_is_decided_when_a_majority_has_stored_it_not_when_it_is_told,
        texts_are_escaped,
        a_flood_is_cut_off_and_the_picture_says_so,
        NULL,
    };
    return suite_run("sim_diagram", tests);
}

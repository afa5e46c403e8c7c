/* What the things in sights are called. */
#include "tests/sim/sight.h"

#include <stdio.h>

#define NAME(names, index)                                                                         \
    ((size_t)(index) < sizeof(names) / sizeof *(names) && (names)[index] != NULL ? (names)[index]  \
                                                                                 : "?")

const char *speech_name(enum speech_kind kind) {
    static const char *const names[SAY_KINDS] = {
        [SAY_ENLIST] = "enlist",
        [SAY_VOTE] = "vote",
        [SAY_ACK] = "ack",
        [SAY_ONE_PHASE_RESULT] = "one-phase-result",
        [SAY_BRANCH_ABORTED] = "branch-aborted",
        [SAY_ENLISTED] = "enlisted",
        [SAY_PREPARE] = "prepare",
        [SAY_COMMIT_ONE_PHASE] = "commit-one-phase",
        [SAY_DECISION] = "decision",
        [SAY_ACCEPTED] = "accepted",
        [SAY_MARK] = "mark",
        [SAY_PHASE1A] = "1a",
        [SAY_PHASE1B] = "1b",
        [SAY_PHASE2A] = "2a",
        [SAY_PHASE2B] = "2b",
        [SAY_REFUSED] = "refused",
        [SAY_KNOWN] = "known",
        [SAY_ASK] = "ask",
        [SAY_ANSWER] = "answer",
        [SAY_HEARTBEAT] = "heartbeat",
        [SAY_LEAVING] = "leaving",
        [SAY_PING] = "ping",
        [SAY_BEGIN] = "begin",
        [SAY_BEGUN] = "begun",
        [SAY_COMMIT] = "commit",
        [SAY_ABORT] = "abort",
        [SAY_GET] = "get",
        [SAY_REPLY] = "reply",
        [SAY_WORK] = "work",
        [SAY_WORKED] = "worked",
    };
    return NAME(names, kind);
}

const char *vote_name(enum vote vote) {
    static const char *const names[] = {"none", "prepared", "read-only", "aborted", "delegated"};
    return NAME(names, vote);
}

const char *outcome_name(enum outcome outcome) {
    static const char *const names[] = {"undecided", "committed", "aborted"};
    return NAME(names, outcome);
}

const char *branch_log_name(enum branch_log log) {
    static const char *const names[] = {"nothing", "prepared", "committing", "committed", "hazard"};
    return NAME(names, log);
}

const char *sight_name(enum sight_kind kind) {
    static const char *const names[] = {
        [SIGHT_SEND] = "send",
        [SIGHT_RECEIVE] = "receive",
        [SIGHT_LOST] = "lost",
        [SIGHT_NODE_STORED] = "node-stored",
        [SIGHT_NODE_DELETED] = "node-deleted",
        [SIGHT_NODE_MARK] = "node-mark",
        [SIGHT_RM_STORED] = "rm-stored",
        [SIGHT_RM_APPLIED] = "rm-applied",
        [SIGHT_RM_UNDONE] = "rm-undone",
        [SIGHT_BORN] = "born",
        [SIGHT_OP_DONE] = "op-done",
        [SIGHT_WORK_GIVEN] = "work-given",
        [SIGHT_WORK_DONE] = "work-done",
        [SIGHT_BEGINS] = "begins",
        [SIGHT_ASKS] = "asks",
        [SIGHT_TOLD] = "told",
        [SIGHT_CRASH] = "crash",
        [SIGHT_START] = "start",
        [SIGHT_GONE] = "gone",
        [SIGHT_PAUSE] = "pause",
        [SIGHT_RESUME] = "resume",
        [SIGHT_FAULT] = "fault",
        [SIGHT_ALARM] = "alarm",
        [SIGHT_HAZARD] = "hazard",
        [SIGHT_HEALED] = "healed",
        [SIGHT_END] = "end",
        [SIGHT_DATA] = "data",
        [SIGHT_IN_DOUBT] = "in-doubt",
    };
    return NAME(names, kind);
}

char *process_name(struct process process, char text[PROCESS_NAME_BYTES]) {
    static const char *const roles[] = {"-", "n", "rm", "c"};
    if (process.role == ROLE_NONE || process.role > ROLE_CLIENT) {
        snprintf(text, PROCESS_NAME_BYTES, "-");
    } else {
        snprintf(text, PROCESS_NAME_BYTES, "%s%u", roles[process.role], process.index);
    }
    return text;
}

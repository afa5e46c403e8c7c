#include "shell/crash_points.h"

#include <string.h>

const struct crash_points_row crash_points_rows[] = {
    /* ---- trothd, from start to stop --------------------------------------------------------- */
    {CRASH_TROTHD, "store", "tables", "the tables of a new database"},
    {CRASH_TROTHD, "store", "identity", "cluster, node number and disk id of a new database"},
    {CRASH_TROTHD, "store", "start", "the raised incarnation of this start"},
    {CRASH_TROTHD, "send", "hello", "the greeting of a node that this one dialled"},
    {CRASH_TROTHD, "send", "hello-answer", "the answer to the greeting of another node"},
    {CRASH_TROTHD, "store", "peer", "what is remembered of another node: disk id and incarnation"},
    {CRASH_TROTHD, "store", "admitted", "that this disk has taken part"},
    {CRASH_TROTHD, "store", "amnesia", "that this disk must never be used again"},
    {CRASH_TROTHD, "send", "welcome", "the greeting of a participant that has attached"},
    {CRASH_TROTHD, "send", "refusal", "the end of a participant's stream that is refused"},
    {CRASH_TROTHD, "send", "heartbeat", "the heartbeat to the other nodes"},
    {CRASH_TROTHD, "reply", "none", "a reply without an outcome: Begin, Enlist, Get"},
    {CRASH_TROTHD, "send", "enlisted", "the answer to a participant that enlists"},
    {CRASH_TROTHD, "send", "prepare", "the request to a participant to vote"},
    {CRASH_TROTHD, "send", "commit-one-phase", "the request to the only participant to commit"},
    {CRASH_TROTHD, "store", "votes", "a vote of ballot 0"},
    {CRASH_TROTHD, "send", "phase2b", "the acceptor's word that it has stored a vote"},
    {CRASH_TROTHD, "reply", "committed", "the reply that it is committed"},
    {CRASH_TROTHD, "reply", "aborted", "the reply that it is aborted"},
    {CRASH_TROTHD, "reply", "error", "the reply that a request can't be answered"},
    {CRASH_TROTHD, "store", "outcome", "an outcome that not all have acknowledged"},
    {CRASH_TROTHD, "send", "decision", "the outcome, to a participant"},
    {CRASH_TROTHD, "send", "accepted",
     "that all votes are accepted here, to a participant (faster)"},
    {CRASH_TROTHD, "store", "finished", "an outcome that all have acknowledged"},
    {CRASH_TROTHD, "send", "known", "an outcome, to another node"},
    {CRASH_TROTHD, "send", "ask", "a question about a transaction, to another node"},
    {CRASH_TROTHD, "send", "answer", "the answer to another node's question"},
    {CRASH_TROTHD, "send", "phase1a", "the opening of a higher ballot: a takeover"},
    {CRASH_TROTHD, "store", "ballot", "a higher ballot, promised or accepted"},
    {CRASH_TROTHD, "send", "phase1b", "the promise of a higher ballot, with what was accepted"},
    {CRASH_TROTHD, "send", "phase2a", "the votes that a leader, or a delegation, proposes"},
    {CRASH_TROTHD, "send", "refused", "the word that a higher ballot was promised"},
    {CRASH_TROTHD, "store", "mark", "a low-water mark"},
    {CRASH_TROTHD, "send", "mark", "a low-water mark, to a node or participant"},
    {CRASH_TROTHD, "store", "heuristic", "what a branch did by itself"},
    {CRASH_TROTHD, "store", "forgotten", "that an operator has dealt with what a branch did"},
    {CRASH_TROTHD, "store", "deletion", "the deletion of what is forgotten"},
    {CRASH_TROTHD, "send", "leaving", "the word that this node stops"},
    {CRASH_TROTHD, "store", "rest", "the lazy records of an orderly stop"},
    /* ---- libtroth-participant --------------------------------------------------------------- */
    {CRASH_PARTICIPANT, "store", "tables", "the tables of the branch log"},
    {CRASH_PARTICIPANT, "store", "start", "the raised incarnation of this start"},
    {CRASH_PARTICIPANT, "call", "recover", "recover, of a branch that was prepared"},
    {CRASH_PARTICIPANT, "send", "hello", "the greeting of a node"},
    {CRASH_PARTICIPANT, "store", "node", "a node's disk id and incarnation"},
    {CRASH_PARTICIPANT, "send", "enlist", "the request to bind a branch"},
    {CRASH_PARTICIPANT, "call", "prepare", "prepare"},
    {CRASH_PARTICIPANT, "store", "prepared", "the branch's vote prepared, with its data"},
    {CRASH_PARTICIPANT, "send", "vote", "the vote, to all nodes"},
    {CRASH_PARTICIPANT, "call", "commit", "commit of a prepared branch"},
    {CRASH_PARTICIPANT, "call", "commit-one-phase", "commit of a branch that was not prepared"},
    {CRASH_PARTICIPANT, "store", "committing", "the begin of a commit in a storage of its own"},
    {CRASH_PARTICIPANT, "store", "committed", "the branch's commit, with its data"},
    {CRASH_PARTICIPANT, "send", "ack", "the acknowledgement of an outcome"},
    {CRASH_PARTICIPANT, "send", "one-phase-result", "the outcome that the only participant chose"},
    {CRASH_PARTICIPANT, "call", "abort", "abort"},
    {CRASH_PARTICIPANT, "send", "branch-aborted", "the word that a branch is lost"},
    {CRASH_PARTICIPANT, "store", "hazard", "a commit whose branch was not there"},
    {CRASH_PARTICIPANT, "store", "deletion", "the deletion of an aborted branch"},
    {CRASH_PARTICIPANT, "store", "mark", "a low-water mark, and the deletions below it"},
    /* ---- troth-shard ------------------------------------------------------------------------ */
    {CRASH_SHARD, "store", "kv-tables", "the tables of the keys"},
    {CRASH_SHARD, "store", "single", "a write without a transaction"},
    {CRASH_SHARD, "reply", "read", "what a key or a range holds"},
    {CRASH_SHARD, "reply", "write", "that a write is done"},
    {CRASH_SHARD, "reply", "failure", "why an operation was not done"},
    /* ---- libtroth ---------------------------------------------------------------------------- */
    {CRASH_CLIENT, "ask", "begin", "Begin"},
    {CRASH_CLIENT, "answer", "begin", "Begin"},
    {CRASH_CLIENT, "ask", "enlist", "Enlist"},
    {CRASH_CLIENT, "answer", "enlist", "Enlist"},
    {CRASH_CLIENT, "ask", "commit", "Commit"},
    {CRASH_CLIENT, "answer", "commit", "Commit"},
    {CRASH_CLIENT, "ask", "abort", "Abort"},
    {CRASH_CLIENT, "answer", "abort", "Abort"},
    {CRASH_CLIENT, "ask", "get", "Get"},
    {CRASH_CLIENT, "answer", "get", "Get"},
    {CRASH_CLIENT, "work", "get", "Get of a shard"},
    {CRASH_CLIENT, "work", "put", "Put at a shard"},
    {CRASH_CLIENT, "work", "add", "Add at a shard"},
    {CRASH_CLIENT, "work", "delete", "Delete at a shard"},
    {CRASH_CLIENT, "work", "compare-and-set", "CompareAndSet at a shard"},
    {CRASH_CLIENT, "work", "scan", "Scan of a shard"},
};
const size_t crash_points_rows_n = sizeof crash_points_rows / sizeof *crash_points_rows;

const char *crash_points_program(enum crash_program program) {
    static const char *const names[] = {
        [CRASH_TROTHD] = "trothd",
        [CRASH_PARTICIPANT] = "libtroth-participant",
        [CRASH_SHARD] = "troth-shard",
        [CRASH_CLIENT] = "libtroth",
    };
    return names[program];
}

void crash_points_name(const struct crash_points_row *row, bool before,
                       char name[CRASH_POINT_NAME_BYTES]) {
    snprintf(name, CRASH_POINT_NAME_BYTES, "%s.%s.%s", before ? "before" : "after", row->stage,
             row->which);
}

const char *crash_points_meaning(const struct crash_points_row *row, bool before) {
    static const struct {
        const char *stage, *before, *after;
    } meanings[] = {
        {"store", "complete and not on disk", "on disk, and nothing that depends on it has left"},
        {"send", "ready and not sent", "sent"},
        {"reply", "ready and not sent", "sent"},
        {"call", "the callback is not called yet", "the callback has returned, nothing is on disk"},
        {"ask", "the node is not asked yet", "the node was asked"},
        {"answer", "the answer is there and not looked at", "the application is about to get it"},
        {"work", "the shard is not called yet", "it is done, and the application is about to know"},
    };
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (strcmp(meanings[i].stage, row->stage) == 0) {
            return before ? meanings[i].before : meanings[i].after;
        }
    }
    return "";
}

bool crash_points_has(const char *name) {
    char own[CRASH_POINT_NAME_BYTES];
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        crash_points_name(&crash_points_rows[i / 2], i % 2 == 0, own);
        if (strcmp(own, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t min3(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be put in, taken out or changed (Levenshtein). */
static size_t distance(const char *a, const char *b) {
    size_t row[CRASH_POINT_NAME_BYTES];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, changed);
        }
    }
    return row[n];
}

void crash_points_nearest(const char *name, char nearest[CRASH_POINT_NAME_BYTES]) {
    char own[CRASH_POINT_NAME_BYTES];
    size_t best = (size_t)-1;
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        crash_points_name(&crash_points_rows[i / 2], i % 2 == 0, own);
        size_t far = distance(name, own);
        if (far < best) {
            best = far;
            memcpy(nearest, own, CRASH_POINT_NAME_BYTES);
        }
    }
}

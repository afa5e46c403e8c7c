/* words: what lookers-on call the things of a simulated world, in few letters.
 *
 * The trace and the diagram share them, so that a line of the one is found in the other: "n1" is
 * node 1, "rm2" participant 2, "c1" client 1; "prepare", "2a", "decision" are messages.
 */
#ifndef TESTS_SIM_WORDS_H
#define TESTS_SIM_WORDS_H

#include <stddef.h>

#include "tests/sim/sight.h"

/* A text under construction in the caller's buffer; what does not fit is cut. */
struct words {
    char *text;
    size_t size;
    size_t n;
};
/* Makes it empty, and ended by NUL. `size` is at least 1. */
void words_init(struct words *words, char *text, size_t size);
void words_add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "n1", "rm2", "c1"; "-" for no process. */
void words_process(struct words *words, struct process process);
/* "prepared", "read-only", "aborted", "delegated"; "none". Static. */
const char *words_vote(enum vote vote);
/* "committed", "aborted", "undecided". Static. */
const char *words_outcome(enum outcome outcome);
/* "{rm1 rm2}", "{nobody}" or, where it is not known, "{?}". */
void words_set(struct words *words, bool known, bool nobody, uint32_t set);
/* "rm1 prepared, rm2 aborted@4": the votes that are there, with their ballots where `ballots` is
 * not NULL; "none". */
void words_votes(struct words *words, const uint8_t *votes, const uint32_t *ballots);
/* "prepare", "vote", "2a"; "?" for what is no message. Static. */
const char *words_speech_kind(enum speech_kind kind);
/* What the message says, without its kind and its transaction: "ballot 4 {rm1 rm2} rm1 prepared,
 * rm2 aborted". Empty where the kind says it all. */
void words_speech(struct words *words, const struct speech *speech);
/* What is on a node's disk: "{rm1 rm2} votes: rm1 prepared@0; promised 4; committed". */
void words_record(struct words *words, const struct node_record *record);
/* "prepared", "committing", "committed", "hazard"; "nothing". Static. */
const char *words_log(enum branch_log log);

#endif

#include "tests/sim/words.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/troth_err.h"

void words_init(struct words *words, char *text, size_t size) {
    *words = (struct words){.text = text, .size = size};
    text[0] = '\0';
}

void words_add(struct words *words, const char *format, ...) {
    if (words->n + 1 >= words->size) {
        return;
    }
    va_list args;
    va_start(args, format);
    int n = vsnprintf(words->text + words->n, words->size - words->n, format, args);
    va_end(args);
    if (n > 0) {
        words->n += (size_t)n < words->size - words->n ? (size_t)n : words->size - words->n - 1;
    }
}

void words_process(struct words *words, struct process process) {
    switch ((enum process_role)process.role) {
    case ROLE_NODE:
        words_add(words, "n%u", process.index);
        return;
    case ROLE_RM:
        words_add(words, "rm%u", process.index);
        return;
    case ROLE_CLIENT:
        words_add(words, "c%u", process.index);
        return;
    case ROLE_NONE:
        break;
    }
    words_add(words, "-");
}

const char *words_vote(enum vote vote) {
    switch (vote) {
    case VOTE_NONE:
        return "none";
    case VOTE_PREPARED:
        return "prepared";
    case VOTE_READ_ONLY:
        return "read-only";
    case VOTE_ABORTED:
        return "aborted";
    case VOTE_DELEGATED:
        return "delegated";
    }
    return "?";
}

const char *words_outcome(enum outcome outcome) {
    switch (outcome) {
    case OUTCOME_NONE:
        return "undecided";
    case OUTCOME_COMMITTED:
        return "committed";
    case OUTCOME_ABORTED:
        return "aborted";
    }
    return "?";
}

const char *words_log(enum branch_log log) {
    switch (log) {
    case LOG_NONE:
        return "nothing";
    case LOG_PREPARED:
        return "prepared";
    case LOG_COMMITTING:
        return "committing";
    case LOG_COMMITTED:
        return "committed";
    case LOG_HAZARD:
        return "hazard";
    }
    return "?";
}

void words_set(struct words *words, bool known, bool nobody, uint32_t set) {
    if (!known || nobody) {
        words_add(words, nobody ? "{nobody}" : "{?}");
        return;
    }
    const char *between = "{";
    for (uint32_t rm = 0; rm < SIM_RMS_MAX; rm++) {
        if ((set & 1u << rm) != 0) {
            words_add(words, "%srm%u", between, rm);
            between = " ";
        }
    }
    words_add(words, set == 0 ? "{}" : "}");
}

void words_votes(struct words *words, const uint8_t *votes, const uint32_t *ballots) {
    const char *between = "";
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        if (votes[i] == VOTE_NONE) {
            continue;
        }
        words_add(words, "%s", between);
        if (i < SIM_RMS_MAX) {
            words_add(words, "rm%u ", i);
        } else {
            words_add(words, "nobody ");
        }
        words_add(words, "%s", words_vote((enum vote)votes[i]));
        if (ballots != NULL) {
            words_add(words, "@%u", ballots[i]);
        }
        between = ", ";
    }
    if (between[0] == '\0') {
        words_add(words, "none");
    }
}

/* By kind. Enough words for a reader of [GL], few enough for an arrow. */
static const char *const kinds[SAY_KINDS] = {
    [SAY_ENLIST] = "enlist",
    [SAY_VOTE] = "vote",
    [SAY_ACK] = "ack",
    [SAY_ONE_PHASE_RESULT] = "one-phase result",
    [SAY_BRANCH_ABORTED] = "branch aborted",
    [SAY_ENLISTED] = "enlisted",
    [SAY_PREPARE] = "prepare",
    [SAY_COMMIT_ONE_PHASE] = "commit one-phase",
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

const char *words_speech_kind(enum speech_kind kind) {
    return (unsigned)kind < SAY_KINDS && kinds[kind] != NULL ? kinds[kind] : "?";
}

static void add_outcome(struct words *words, const struct speech *speech) {
    if (speech->forgotten) {
        words_add(words, "forgotten");
    } else if (speech->error != 0 && speech->outcome == OUTCOME_NONE) {
        words_add(words, "%s", troth_err_name(speech->error));
    } else {
        words_add(words, "%s", words_outcome(speech->outcome));
        words_add(words, "%s", speech->error != 0 ? " " : "");
        words_add(words, "%s", speech->error != 0 ? troth_err_name(speech->error) : "");
    }
    words_add(words, "%s", speech->finished ? " finished" : "");
    words_add(words, "%s", speech->hazard ? " HAZARD" : "");
}

/* The sender's own, which is the only one. */
static void add_vote(struct words *words, const struct speech *speech) {
    const char *vote = words_vote(VOTE_NONE);
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        if (speech->votes[i] != VOTE_NONE) {
            vote = words_vote((enum vote)speech->votes[i]);
        }
    }
    words_add(words, "%s ", vote);
    words_set(words, speech->set_known, speech->nobody, speech->set);
}

static void add_proposal(struct words *words, const struct speech *speech) {
    words_add(words, "ballot %u ", speech->ballot);
    if (!speech->set_known && !speech->nobody) {
        words_add(words, "void");
        return;
    }
    words_set(words, speech->set_known, speech->nobody, speech->set);
    words_add(words, " ");
    words_votes(words, speech->votes, NULL);
}

static void add_learned(struct words *words, const struct speech *speech) {
    bool any = false;
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        any = any || speech->votes[i] != VOTE_NONE;
    }
    words_add(words, "ballot %u ", speech->ballot);
    if (any) {
        words_votes(words, speech->votes, NULL);
    } else {
        words_add(words, "void");
    }
}

static void add_promise(struct words *words, const struct speech *speech) {
    words_add(words, "ballot %u ", speech->ballot);
    words_set(words, speech->set_known, speech->nobody, speech->set);
    words_add(words, " ");
    words_votes(words, speech->votes, speech->ballots);
    if (speech->void_ballot > 0) {
        words_add(words, " void@%u", speech->void_ballot);
    }
}

void words_speech(struct words *words, const struct speech *speech) {
    switch (speech->kind) {
    case SAY_VOTE:
        add_vote(words, speech);
        return;
    case SAY_PREPARE:
        words_set(words, true, speech->nobody, speech->set);
        words_add(words, "%s", speech->has_work ? " with work" : "");
        return;
    case SAY_COMMIT:
        words_add(words, "%s", speech->has_work ? "with work" : "");
        return;
    case SAY_ACK:
    case SAY_ONE_PHASE_RESULT:
    case SAY_DECISION:
    case SAY_KNOWN:
    case SAY_ANSWER:
    case SAY_REPLY:
        add_outcome(words, speech);
        return;
    case SAY_ENLISTED:
    case SAY_WORKED:
        words_add(words, "%s", speech->ok ? "ok" : "refused");
        return;
    case SAY_PHASE1A:
        words_add(words, "ballot %u", speech->ballot);
        return;
    case SAY_PHASE1B:
        add_promise(words, speech);
        return;
    case SAY_PHASE2A:
        add_proposal(words, speech);
        return;
    case SAY_PHASE2B:
        add_learned(words, speech);
        return;
    case SAY_REFUSED:
        words_add(words, "ballot %u promised %u", speech->ballot, speech->promised);
        return;
    case SAY_ASK:
        words_add(words, "%s", speech->what != NULL ? speech->what : "");
        return;
    case SAY_MARK:
        words_add(words, "of n%u/%u: %llu", speech->origin, speech->origin_incarnation,
                  (unsigned long long)speech->sequence);
        return;
    case SAY_HEARTBEAT:
        words_add(words, "mark %llu", (unsigned long long)speech->sequence);
        return;
    case SAY_ENLIST:
    case SAY_BRANCH_ABORTED:
    case SAY_COMMIT_ONE_PHASE:
    case SAY_ACCEPTED:
    case SAY_LEAVING:
    case SAY_PING:
    case SAY_BEGIN:
    case SAY_BEGUN:
    case SAY_ABORT:
    case SAY_GET:
    case SAY_WORK:
    case SAY_KINDS:
        return;
    }
}

void words_record(struct words *words, const struct node_record *record) {
    words_set(words, record->set_known, record->nobody, record->set);
    words_add(words, " votes: ");
    words_votes(words, record->votes, record->ballots);
    if (record->void_ballot > 0) {
        words_add(words, "; void@%u", record->void_ballot);
    }
    if (record->promised > 0) {
        words_add(words, "; promised %u", record->promised);
    }
    if (record->outcome != OUTCOME_NONE) {
        words_add(words, "; %s", words_outcome(record->outcome));
    }
    words_add(words, "%s", record->finished ? "; finished" : "");
}

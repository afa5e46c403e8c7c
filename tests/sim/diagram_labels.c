/* The few letters on an arrow or a mark; the whole text is in the tooltip. */
#include "tests/sim/diagram_events.h"
#include "tests/sim/words.h"

enum arrow_style label_style(const struct speech *speech) {
    switch (speech->kind) {
    case SAY_WORK:
    case SAY_WORKED:
    case SAY_ENLIST:
    case SAY_ENLISTED:
        return ARROW_WORK;
    case SAY_PREPARE:
    case SAY_COMMIT_ONE_PHASE:
        return ARROW_PREPARE;
    case SAY_VOTE:
    case SAY_BRANCH_ABORTED:
    case SAY_ONE_PHASE_RESULT:
        return ARROW_VOTE;
    case SAY_PHASE1A:
    case SAY_PHASE1B:
    case SAY_REFUSED:
        return ARROW_PHASE1;
    case SAY_PHASE2A:
    case SAY_PHASE2B:
    case SAY_ACCEPTED:
        return ARROW_PHASE2;
    case SAY_DECISION:
        return speech->outcome == OUTCOME_COMMITTED ? ARROW_COMMITTED
               : speech->outcome == OUTCOME_ABORTED ? ARROW_ABORTED
                                                    : ARROW_KNOWN;
    case SAY_ACK:
        return ARROW_ACK;
    case SAY_KNOWN:
    case SAY_ASK:
    case SAY_ANSWER:
    case SAY_MARK:
    case SAY_HEARTBEAT:
    case SAY_LEAVING:
    case SAY_PING:
        return ARROW_KNOWN;
    case SAY_BEGIN:
    case SAY_BEGUN:
    case SAY_COMMIT:
    case SAY_ABORT:
    case SAY_GET:
    case SAY_REPLY:
    case SAY_KINDS:
        break;
    }
    return ARROW_CLIENT;
}

static const char *letter(uint8_t vote) {
    switch ((enum vote)vote) {
    case VOTE_PREPARED:
        return "P";
    case VOTE_READ_ONLY:
        return "R";
    case VOTE_ABORTED:
        return "A";
    case VOTE_DELEGATED:
        return "D";
    case VOTE_NONE:
        break;
    }
    return "\xc2\xb7"; /* a middle dot */
}

/* A letter for each member of the set, and for whoever voted without being known as one. */
static void add_votes(struct words *words, const uint8_t *votes, const uint32_t *ballots,
                      uint32_t set) {
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        bool member = i < SIM_RMS_MAX && (set & 1u << i) != 0;
        if (votes[i] == VOTE_NONE && !member) {
            continue;
        }
        words_add(words, " %s", letter(votes[i]));
        if (ballots != NULL && votes[i] != VOTE_NONE && ballots[i] > 0) {
            words_add(words, "@%u", ballots[i]);
        }
    }
}

static bool any_vote(const uint8_t *votes) {
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        if (votes[i] != VOTE_NONE) {
            return true;
        }
    }
    return false;
}

static void add_ballot(struct words *words, const struct speech *speech, uint32_t set) {
    words_add(words, "%s b%u", words_speech_kind(speech->kind), speech->ballot);
    if (speech->kind == SAY_PHASE1A) {
        return;
    }
    if (speech->kind == SAY_REFUSED) {
        words_add(words, " < b%u", speech->promised);
        return;
    }
    words_add(words, ":");
    if (any_vote(speech->votes)) {
        add_votes(words, speech->votes, speech->kind == SAY_PHASE1B ? speech->ballots : NULL, set);
    } else {
        words_add(words, speech->kind == SAY_PHASE1B ? " nothing" : " void");
    }
    if (speech->kind == SAY_PHASE1B && speech->void_ballot > 0) {
        words_add(words, " void@%u", speech->void_ballot);
    }
}

static void add_outcome(struct words *words, const struct speech *speech) {
    const char *what = speech->forgotten                 ? "forgotten"
                       : speech->outcome != OUTCOME_NONE ? words_outcome(speech->outcome)
                       : speech->kind == SAY_ANSWER      ? "not known yet"
                                                         : "unknown";
    words_add(words, "%s", what);
}

void label_speech(char label[LABEL_BYTES], const struct speech *speech, uint32_t set) {
    struct words words;
    words_init(&words, label, LABEL_BYTES);
    switch (speech->kind) {
    case SAY_PHASE1A:
    case SAY_PHASE1B:
    case SAY_PHASE2A:
    case SAY_PHASE2B:
    case SAY_REFUSED:
        add_ballot(&words, speech, set);
        return;
    case SAY_VOTE:
        words_add(&words, "vote ");
        for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
            if (speech->votes[i] != VOTE_NONE) {
                words_add(&words, "%s", words_vote((enum vote)speech->votes[i]));
            }
        }
        return;
    case SAY_DECISION:
    case SAY_REPLY:
        add_outcome(&words, speech);
        return;
    case SAY_ANSWER:
        words_add(&words, "answer: ");
        add_outcome(&words, speech);
        return;
    case SAY_KNOWN:
        words_add(&words, "known: ");
        add_outcome(&words, speech);
        words_add(&words, "%s", speech->finished ? ", finished" : "");
        return;
    case SAY_ONE_PHASE_RESULT:
        words_add(&words, "result: ");
        add_outcome(&words, speech);
        return;
    case SAY_ACK:
        words_add(&words, "%s", speech->hazard ? "ack: HAZARD" : "ack");
        return;
    case SAY_ENLISTED:
    case SAY_WORKED:
        words_add(&words, "%s", speech->ok ? words_speech_kind(speech->kind) : "refused");
        return;
    case SAY_ASK:
        words_add(&words, "ask");
        words_add(&words, speech->what != NULL ? ": %s" : "%s",
                  speech->what != NULL ? speech->what : "");
        return;
    case SAY_ENLIST:
    case SAY_BRANCH_ABORTED:
    case SAY_PREPARE:
    case SAY_COMMIT_ONE_PHASE:
    case SAY_ACCEPTED:
    case SAY_MARK:
    case SAY_HEARTBEAT:
    case SAY_LEAVING:
    case SAY_PING:
    case SAY_BEGIN:
    case SAY_BEGUN:
    case SAY_COMMIT:
    case SAY_ABORT:
    case SAY_GET:
    case SAY_WORK:
    case SAY_KINDS:
        words_add(&words, "%s", words_speech_kind(speech->kind));
        return;
    }
}

static bool votes_changed(const struct node_record *before, const struct node_record *now) {
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        if (before->votes[i] != now->votes[i] || before->ballots[i] != now->ballots[i]) {
            return true;
        }
    }
    return false;
}

void label_record(char label[LABEL_BYTES], const struct node_record *before,
                  const struct node_record *now) {
    struct words words;
    words_init(&words, label, LABEL_BYTES);
    if (now->outcome != OUTCOME_NONE) {
        bool told_before = before->outcome == now->outcome;
        words_add(&words, "%s",
                  now->finished && told_before ? "finished" : words_outcome(now->outcome));
        return;
    }
    if (now->void_ballot > before->void_ballot) {
        words_add(&words, "void@%u", now->void_ballot);
    } else if (any_vote(now->votes) && votes_changed(before, now)) {
        add_votes(&words, now->votes, now->ballots, now->set_known ? now->set : 0);
    }
    if (now->promised > before->promised && words.n == 0) {
        words_add(&words, "promised b%u", now->promised);
    }
}

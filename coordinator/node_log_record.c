#include "coordinator/node_log_record.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/troth_err.h"

/* ---- Writing -------------------------------------------------------------------------------- */

/* The longest entry: a name, three numbers and what is between them. */
#define ENTRY_BYTES (PAXOS_NAME_BYTES + 64u)

static char *put_number(char *at, uint64_t number) {
    char digits[20];
    char *first = digits + sizeof digits;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t n = (size_t)(digits + sizeof digits - first);
    memcpy(at, first, n);
    return at + n;
}

/* ["NAME",INCARNATION,BALLOT,VOTE] */
static char *put_entry(char *at, const struct paxos_participant *member,
                       struct paxos_accepted accepted) {
    size_t n = strlen(member->name);
    *at++ = '[';
    *at++ = '"';
    memcpy(at, member->name, n); /* a name has no character that JSON would escape */
    at += n;
    *at++ = '"';
    *at++ = ',';
    at = put_number(at, member->incarnation);
    *at++ = ',';
    at = put_number(at, accepted.ballot);
    *at++ = ',';
    at = put_number(at, (uint64_t)accepted.vote);
    *at++ = ']';
    return at;
}

int node_log_record_write(const struct acceptor *record, struct node_log_text *out) {
    uint32_t n = record->set == NULL ? 0 : record->set->n;
    size_t needed = n * ENTRY_BYTES + 3;
    if (out->capacity < needed) {
        char *text = realloc(out->text, needed);
        if (text == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        out->text = text;
        out->capacity = needed;
    }
    char *at = out->text;
    for (uint32_t i = 0; i < n; i++) {
        *at++ = i == 0 ? '[' : ',';
        at = put_entry(at, &record->set->members[i], record->accepted[i]);
    }
    if (n > 0) {
        *at++ = ']';
    }
    *at = '\0';
    out->n = (size_t)(at - out->text);
    return 0;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* Direct-mapped by their hash: of two that meet in a place the later one stays. */
#define SETS 4096u

struct node_log_reader {
    struct paxos_set *sets[SETS];
    struct paxos_participant members[PAXOS_PARTICIPANTS_MAX];
    struct paxos_accepted accepted[PAXOS_PARTICIPANTS_MAX];
};

struct node_log_reader *node_log_reader_new(void) {
    return calloc(1, sizeof(struct node_log_reader));
}

void node_log_reader_free(struct node_log_reader *reader) {
    for (uint32_t i = 0; reader != NULL && i < SETS; i++) {
        paxos_set_release(reader->sets[i]);
    }
    free(reader);
}

/* Each takes what it names off the front of the text, or says that it is not there. */

static bool take(const char **text, char c) {
    bool there = **text == c;
    *text += there;
    return there;
}

/* As put_number writes it: without sign, space or leading zeros. */
static bool take_number(const char **text, uint64_t max, uint64_t *number) {
    const char *first = *text;
    uint64_t value = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (digit > max || value > (max - digit) / 10 || (value == 0 && *text > first)) {
            return false;
        }
        value = 10 * value + digit;
    }
    *number = value;
    return *text > first;
}

static bool take_name(const char **text, char name[PAXOS_NAME_BYTES]) {
    size_t n = strcspn(*text, "\"");
    if (n >= PAXOS_NAME_BYTES) {
        return false;
    }
    memcpy(name, *text, n);
    name[n] = '\0';
    *text += n;
    return true;
}

static bool take_entry(const char **text, struct paxos_participant *participant,
                       struct paxos_accepted *accepted) {
    char name[PAXOS_NAME_BYTES];
    uint64_t incarnation, ballot, vote;
    bool there = take(text, '[') && take(text, '"') && take_name(text, name) && take(text, '"') &&
                 take(text, ',') && take_number(text, UINT64_MAX, &incarnation) &&
                 take(text, ',') && take_number(text, PAXOS_BALLOT_MAX, &ballot) &&
                 take(text, ',') && take_number(text, PAXOS_VOTE_LAST, &vote) && take(text, ']');
    if (!there || paxos_participant_make(participant, name, incarnation) != 0) {
        return false;
    }
    *accepted = (struct paxos_accepted){.ballot = (uint32_t)ballot, .vote = (enum paxos_vote)vote};
    return true;
}

/* How many entries the text has, which are in the reader then; 0: it is not a record's. */
static uint32_t take_entries(struct node_log_reader *reader, const char *text) {
    uint32_t n = 0;
    do {
        if (n == PAXOS_PARTICIPANTS_MAX || !take(&text, n == 0 ? '[' : ',') ||
            !take_entry(&text, &reader->members[n], &reader->accepted[n])) {
            return 0;
        }
        n++;
    } while (*text == ',');
    return take(&text, ']') && *text == '\0' ? n : 0;
}

/* The same participants work together again and again: their set is in memory once. */
static struct paxos_set *shared_set(struct node_log_reader *reader, uint32_t n) {
    size_t bytes = n * sizeof *reader->members;
    struct paxos_set **place = &reader->sets[XXH3_64bits(reader->members, bytes) % SETS];
    struct paxos_set *known = *place;
    if (known == NULL || known->n != n || memcmp(known->members, reader->members, bytes) != 0) {
        struct paxos_set *set = paxos_set_new(reader->members, n);
        if (set == NULL) {
            return NULL;
        }
        paxos_set_release(known);
        *place = set;
    }
    return paxos_set_hold(*place);
}

int node_log_record_read(struct node_log_reader *reader, const char *text,
                         struct acceptor *record) {
    if (text[0] == '\0') {
        return 0;
    }
    uint32_t n = take_entries(reader, text);
    if (n == 0) {
        return TROTH_ERR_CORRUPT;
    }
    struct paxos_set *set = shared_set(reader, n);
    struct paxos_accepted *accepted = malloc(n * sizeof *accepted);
    if (set == NULL || accepted == NULL) {
        paxos_set_release(set);
        free(accepted);
        return TROTH_ERR_NO_MEMORY;
    }
    memcpy(accepted, reader->accepted, n * sizeof *accepted);
    record->set = set;
    record->accepted = accepted;
    return 0;
}

/* ---- Checking ------------------------------------------------------------------------------- */

bool node_log_record_is_sound(const struct acceptor *record) {
    if (record->promised > PAXOS_BALLOT_MAX || record->void_ballot > record->promised ||
        (record->finished && (record->outcome == PAXOS_OUTCOME_NONE || record->set != NULL))) {
        return false;
    }
    uint32_t n = record->set == NULL ? 0 : record->set->n;
    for (uint32_t i = 0; i < n; i++) {
        const struct paxos_accepted *accepted = &record->accepted[i];
        bool voted = accepted->vote != PAXOS_VOTE_NONE;
        if (accepted->ballot != record->accepted[0].ballot || accepted->ballot > record->promised ||
            (!voted && accepted->ballot > 0) ||
            (accepted->ballot > 0 && accepted->ballot == record->void_ballot) ||
            (accepted->vote == PAXOS_VOTE_DELEGATED && n != 1) ||
            paxos_set_find(record->set, record->set->members[i].name) != (int)i) {
            return false;
        }
    }
    return true;
}

int64_t node_log_record_sum(struct troth_txid txid, const struct acceptor *record,
                            const char *participants, size_t n) {
    uint64_t values[] = {txid.hi,
                         txid.lo,
                         record->promised,
                         record->void_ballot,
                         (uint64_t)record->outcome,
                         (uint64_t)record->reason,
                         record->finished};
    return (int64_t)XXH3_64bits_withSeed(participants, n, XXH3_64bits(values, sizeof values));
}

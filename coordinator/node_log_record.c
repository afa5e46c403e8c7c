#include "coordinator/node_log_record.h"

#include <inttypes.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/troth_err.h"

/* The longest entry: a name, three numbers and what is between them. */
#define ENTRY_BYTES (PAXOS_NAME_BYTES + 64u)

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
    out->n = 0;
    out->text[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        /* A name has no character that JSON would escape. */
        const struct paxos_participant *member = &record->set->members[i];
        out->n += (size_t)snprintf(out->text + out->n, out->capacity - out->n,
                                   "%c[\"%s\",%" PRIu64 ",%u,%d]", i == 0 ? '[' : ',', member->name,
                                   member->incarnation, record->accepted[i].ballot,
                                   (int)record->accepted[i].vote);
    }
    if (n > 0) {
        out->text[out->n++] = ']';
        out->text[out->n] = '\0';
    }
    return 0;
}

static bool read_number(struct json_object *array, size_t at, uint64_t max, uint64_t *number) {
    struct json_object *item = json_object_array_get_idx(array, at);
    if (!json_object_is_type(item, json_type_int)) {
        return false;
    }
    *number = json_object_get_uint64(item);
    return *number <= max;
}

static int read_entry(struct json_object *entry, struct paxos_participant *participant,
                      struct paxos_accepted *accepted) {
    uint64_t incarnation;
    uint64_t ballot;
    uint64_t vote;
    if (!json_object_is_type(entry, json_type_array) || json_object_array_length(entry) != 4) {
        return TROTH_ERR_CORRUPT;
    }
    struct json_object *name = json_object_array_get_idx(entry, 0);
    if (!json_object_is_type(name, json_type_string) ||
        !read_number(entry, 1, UINT64_MAX, &incarnation) ||
        !read_number(entry, 2, PAXOS_BALLOT_MAX, &ballot) ||
        !read_number(entry, 3, PAXOS_VOTE_LAST, &vote) ||
        paxos_participant_make(participant, json_object_get_string(name), incarnation) != 0) {
        return TROTH_ERR_CORRUPT;
    }
    *accepted = (struct paxos_accepted){.ballot = (uint32_t)ballot, .vote = (enum paxos_vote)vote};
    return 0;
}

static int read_entries(struct json_object *array, uint32_t n, struct acceptor *record) {
    struct paxos_participant *members = calloc(n, sizeof *members);
    struct paxos_accepted *accepted = calloc(n, sizeof *accepted);
    int err = members == NULL || accepted == NULL ? TROTH_ERR_NO_MEMORY : 0;
    for (uint32_t i = 0; i < n && err == 0; i++) {
        err = read_entry(json_object_array_get_idx(array, i), &members[i], &accepted[i]);
    }
    if (err == 0) {
        record->set = paxos_set_new(members, n);
        err = record->set == NULL ? TROTH_ERR_NO_MEMORY : 0;
    }
    if (err == 0) {
        record->accepted = accepted;
        accepted = NULL;
    }
    free(accepted);
    free(members);
    return err;
}

int node_log_record_read(const char *text, struct acceptor *record) {
    if (text[0] == '\0') {
        return 0;
    }
    struct json_object *array = json_tokener_parse(text);
    size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    int err = TROTH_ERR_CORRUPT;
    if (n >= 1 && n <= PAXOS_PARTICIPANTS_MAX) {
        err = read_entries(array, (uint32_t)n, record);
    }
    json_object_put(array);
    return err;
}

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

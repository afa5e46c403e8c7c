/* Collects what is seen of the transaction. */
#include "tests/sim/diagram.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/diagram_events.h"
#include "tests/sim/words.h"

int diagram_init(struct diagram *diagram, uint32_t tx, uint32_t nodes) {
    *diagram = (struct diagram){.tx = tx, .nodes = nodes};
    diagram->events = calloc(1, sizeof *diagram->events);
    if (diagram->events == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    diagram->events->first_us = DIAGRAM_NEVER;
    return 0;
}

void diagram_release(struct diagram *diagram) {
    if (diagram->events != NULL) {
        free(diagram->events->arrows);
        free(diagram->events->marks);
        free(diagram->events->spells);
        free(diagram->events);
    }
    *diagram = (struct diagram){0};
}

uint32_t slot_of(struct process process) {
    switch ((enum process_role)process.role) {
    case ROLE_CLIENT:
        return process.index <= SIM_CLIENTS_MAX ? SLOT_CLIENTS + process.index : SLOT_NONE;
    case ROLE_NODE:
        return process.index <= SIM_NODES_MAX ? SLOT_NODES + process.index : SLOT_NONE;
    case ROLE_RM:
        return process.index < SIM_RMS_MAX ? SLOT_RMS + process.index : SLOT_NONE;
    case ROLE_NONE:
        break;
    }
    return SLOT_NONE;
}

struct process slot_process(uint32_t slot) {
    if (slot >= SLOT_RMS) {
        return (struct process){.role = ROLE_RM, .index = (uint8_t)(slot - SLOT_RMS)};
    }
    if (slot >= SLOT_NODES) {
        return (struct process){.role = ROLE_NODE, .index = (uint8_t)(slot - SLOT_NODES)};
    }
    return (struct process){.role = ROLE_CLIENT, .index = (uint8_t)(slot - SLOT_CLIENTS)};
}

/* Room for one more. */
static void *grown(void *items, size_t n, size_t *capacity, size_t each) {
    if (n < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 64 : 2 * *capacity;
    items = realloc(items, *capacity * each);
    if (items == NULL) {
        abort();
    }
    return items;
}

/* ---- Marks and spells ------------------------------------------------------------------------ */

static void happens(struct diagram_events *events, int64_t at_us) {
    if (events->first_us == DIAGRAM_NEVER) {
        events->first_us = at_us;
    }
    events->last_us = at_us > events->last_us ? at_us : events->last_us;
}

/* NULL when there are too many. */
static struct mark *mark_new(struct diagram_events *events, const struct sight *sight,
                             enum mark_kind kind) {
    uint32_t slot = slot_of(sight->who);
    if (slot == SLOT_NONE || events->marks_n >= DIAGRAM_EVENTS_MAX) {
        events->not_drawn++;
        return NULL;
    }
    events->marks =
        grown(events->marks, events->marks_n, &events->marks_capacity, sizeof *events->marks);
    struct mark *mark = &events->marks[events->marks_n++];
    *mark = (struct mark){.kind = kind, .slot = slot, .at_us = sight->at_us};
    return mark;
}

static struct mark *mark_tx(struct diagram_events *events, const struct sight *sight,
                            enum mark_kind kind, const char *label, enum outcome outcome) {
    struct mark *mark = mark_new(events, sight, kind);
    if (mark == NULL) {
        return NULL;
    }
    events->involved[mark->slot] = true;
    happens(events, sight->at_us);
    mark->outcome = outcome;
    snprintf(mark->label, sizeof mark->label, "%s", label);
    snprintf(mark->tip, sizeof mark->tip, "%s", label);
    return mark;
}

static void spell_begin(struct diagram_events *events, uint32_t slot, enum spell_kind kind,
                        int64_t at_us, enum outcome outcome) {
    if (slot == SLOT_NONE || events->spell[slot][kind] != 0 ||
        events->spells_n >= DIAGRAM_EVENTS_MAX) {
        return;
    }
    events->spells =
        grown(events->spells, events->spells_n, &events->spells_capacity, sizeof *events->spells);
    events->spells[events->spells_n++] = (struct spell){.kind = kind,
                                                        .slot = slot,
                                                        .outcome = outcome,
                                                        .from_us = at_us,
                                                        .until_us = DIAGRAM_NEVER};
    events->spell[slot][kind] = events->spells_n;
}

static void spell_end(struct diagram_events *events, uint32_t slot, enum spell_kind kind,
                      int64_t at_us) {
    if (slot != SLOT_NONE && events->spell[slot][kind] != 0) {
        events->spells[events->spell[slot][kind] - 1].until_us = at_us;
        events->spell[slot][kind] = 0;
    }
}

/* ---- The outcome ----------------------------------------------------------------------------- */

static void decided(struct diagram_events *events, enum outcome outcome, int64_t at_us,
                    const char *why) {
    if (events->outcome == OUTCOME_NONE && outcome != OUTCOME_NONE) {
        events->outcome = outcome;
        events->decided_us = at_us;
        events->decided_why = why;
    }
}

/* The vote that a majority has accepted in one ballot for instance i; NONE while there is none. */
static enum vote chosen(const struct diagram *diagram, uint32_t i) {
    const struct node_record *records = diagram->events->records;
    for (uint32_t a = 1; a <= SIM_NODES_MAX; a++) {
        uint32_t same = 0;
        for (uint32_t b = 1; b <= SIM_NODES_MAX; b++) {
            same += records[a].votes[i] != VOTE_NONE &&
                    records[a].votes[i] == records[b].votes[i] &&
                    records[a].ballots[i] == records[b].ballots[i];
        }
        if (2 * same > diagram->nodes) {
            return (enum vote)records[a].votes[i];
        }
    }
    return VOTE_NONE;
}

static bool void_chosen(const struct diagram *diagram) {
    const struct node_record *records = diagram->events->records;
    for (uint32_t a = 1; a <= SIM_NODES_MAX; a++) {
        uint32_t same = 0;
        for (uint32_t b = 1; b <= SIM_NODES_MAX; b++) {
            same += records[a].void_ballot > 0 && records[a].void_ballot == records[b].void_ballot;
        }
        if (2 * same > diagram->nodes) {
            return true;
        }
    }
    return false;
}

/* [GL 4]: committed once prepared or read-only is chosen in every instance, aborted once aborted
 * is in one. Who is told of it, and when, is another matter. */
static void look_for_decision(const struct diagram *diagram, int64_t at_us) {
    struct diagram_events *events = diagram->events;
    if (void_chosen(diagram)) {
        decided(events, OUTCOME_ABORTED, at_us, "a majority stored void");
        return;
    }
    bool all = events->set_known || events->nobody;
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        bool member =
            i == SIM_RMS_MAX ? events->nobody : !events->nobody && (events->set & 1u << i) != 0;
        if (!member) {
            continue;
        }
        enum vote vote = chosen(diagram, i);
        if (vote == VOTE_ABORTED) {
            decided(events, OUTCOME_ABORTED, at_us, "a majority stored aborted");
        }
        all = all && (vote == VOTE_PREPARED || vote == VOTE_READ_ONLY);
    }
    if (all) {
        decided(events, OUTCOME_COMMITTED, at_us, "a majority stored every vote");
    }
}

static void knows(struct diagram_events *events, uint32_t slot, enum outcome outcome,
                  int64_t at_us) {
    if (slot == SLOT_NONE || outcome == OUTCOME_NONE) {
        return;
    }
    decided(events, outcome, at_us,
            events->delegated ? "the one participant decided"
            : events->asked   ? "first known here"
                              : "nobody was asked to vote");
    spell_end(events, slot, SPELL_LEADS, at_us);
    spell_end(events, slot, SPELL_DOUBT, at_us);
    spell_begin(events, slot, SPELL_KNOWS, at_us, outcome);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static bool is_drawn(enum speech_kind kind) {
    return kind != SAY_MARK && kind != SAY_HEARTBEAT && kind != SAY_LEAVING && kind != SAY_PING;
}

static struct arrow *arrow_find(struct diagram_events *events, uint64_t message) {
    for (size_t i = events->arrows_n; i-- > 0;) {
        if (events->arrows[i].message == message) {
            return &events->arrows[i];
        }
    }
    return NULL;
}

/* Who asks for votes or promises leads, until it knows the outcome. */
static void leads(struct diagram_events *events, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    bool opens = speech->kind == SAY_PHASE1A || speech->kind == SAY_PREPARE ||
                 speech->kind == SAY_PHASE2A || speech->kind == SAY_COMMIT_ONE_PHASE;
    if (!opens || sight->who.role != ROLE_NODE || sight->who.index > SIM_NODES_MAX) {
        return;
    }
    uint32_t ballot =
        speech->kind == SAY_PREPARE || speech->kind == SAY_COMMIT_ONE_PHASE ? 0 : speech->ballot;
    events->asked = true;
    events->delegated = events->delegated || speech->kind == SAY_COMMIT_ONE_PHASE;
    spell_begin(events, slot_of(sight->who), SPELL_LEADS, sight->at_us, OUTCOME_NONE);
    uint32_t *led = &events->led[sight->who.index];
    if (*led < ballot + 1) {
        char label[LABEL_BYTES];
        *led = ballot + 1;
        snprintf(label, sizeof label, "ballot %u", ballot);
        mark_tx(events, sight, MARK_BALLOT, label, OUTCOME_NONE);
    }
}

static void learn_set(struct diagram_events *events, const struct speech *speech) {
    if ((speech->set_known || speech->kind == SAY_PREPARE) && !events->set_known) {
        events->set_known = true;
        events->nobody = speech->nobody;
        events->set = speech->set;
    }
}

static void arrow_new(struct diagram_events *events, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    uint32_t from = slot_of(sight->who);
    uint32_t to = slot_of(sight->to);
    if (from == SLOT_NONE || to == SLOT_NONE || from == to) {
        return;
    }
    if (events->arrows_n >= DIAGRAM_EVENTS_MAX) {
        events->not_drawn++;
        return;
    }
    events->arrows =
        grown(events->arrows, events->arrows_n, &events->arrows_capacity, sizeof *events->arrows);
    struct arrow *arrow = &events->arrows[events->arrows_n++];
    *arrow = (struct arrow){.message = sight->message,
                            .from = from,
                            .to = to,
                            .style = label_style(speech),
                            .sent_us = sight->at_us,
                            .lost_us = DIAGRAM_NEVER};
    label_speech(arrow->label, speech, events->set_known ? events->set : 0);
    struct words tip;
    words_init(&tip, arrow->tip, sizeof arrow->tip);
    words_process(&tip, sight->who);
    words_add(&tip, " -> ");
    words_process(&tip, sight->to);
    words_add(&tip, " %s ", words_speech_kind(speech->kind));
    words_speech(&tip, speech);
    words_add(&tip, " #%llu", (unsigned long long)sight->message);
    happens(events, sight->at_us);
}

static bool tells_outcome(const struct speech *speech) {
    return speech->kind == SAY_DECISION || speech->kind == SAY_KNOWN || speech->kind == SAY_REPLY ||
           speech->kind == SAY_ANSWER || speech->kind == SAY_ACK ||
           speech->kind == SAY_ONE_PHASE_RESULT;
}

static void see_send(struct diagram_events *events, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    uint32_t from = slot_of(sight->who);
    uint32_t to = slot_of(sight->to);
    if (from != SLOT_NONE && to != SLOT_NONE) {
        events->involved[from] = events->involved[to] = true; /* also who never got it */
    }
    learn_set(events, speech);
    arrow_new(events, sight);
    leads(events, sight);
    if (tells_outcome(speech)) {
        knows(events, slot_of(sight->who), speech->outcome, sight->at_us);
    }
}

static void see_receive(struct diagram_events *events, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    if (slot_of(sight->to) != SLOT_NONE) {
        events->involved[slot_of(sight->to)] = true;
    }
    struct arrow *arrow = arrow_find(events, sight->message);
    if (arrow != NULL) {
        if (arrow->got_n < 2) {
            arrow->got_us[arrow->got_n++] = sight->at_us;
        }
        happens(events, sight->at_us);
    }
    bool told = tells_outcome(speech) && speech->kind != SAY_ACK;
    if (told) {
        knows(events, slot_of(sight->to), speech->outcome, sight->at_us);
    }
}

/* ---- Disks and processes --------------------------------------------------------------------- */

static void see_record(const struct diagram *diagram, const struct sight *sight) {
    struct diagram_events *events = diagram->events;
    if (sight->record == NULL || sight->who.index > SIM_NODES_MAX) {
        return;
    }
    struct node_record *before = &events->records[sight->who.index];
    char label[LABEL_BYTES];
    label_record(label, before, sight->record);
    *before = *sight->record;
    if (!events->set_known && sight->record->set_known) {
        events->set_known = true;
        events->nobody = sight->record->nobody;
        events->set = sight->record->set;
    }
    struct mark *mark = mark_tx(events, sight, MARK_DISK, label, sight->record->outcome);
    if (mark != NULL) {
        struct words tip;
        words_init(&tip, mark->tip, sizeof mark->tip);
        words_add(&tip, "on disk: ");
        words_record(&tip, sight->record);
    }
    look_for_decision(diagram, sight->at_us);
    knows(events, slot_of(sight->who), sight->record->outcome, sight->at_us);
}

static void see_branch_log(struct diagram_events *events, const struct sight *sight) {
    bool commits = sight->log == LOG_COMMITTING || sight->log == LOG_COMMITTED;
    mark_tx(events, sight, MARK_DISK, sight->log == LOG_NONE ? "log empty" : words_log(sight->log),
            commits ? OUTCOME_COMMITTED : OUTCOME_NONE);
    if (sight->log == LOG_PREPARED) {
        spell_begin(events, slot_of(sight->who), SPELL_DOUBT, sight->at_us, OUTCOME_NONE);
    } else {
        spell_end(events, slot_of(sight->who), SPELL_DOUBT, sight->at_us);
    }
    if (commits) {
        knows(events, slot_of(sight->who), OUTCOME_COMMITTED, sight->at_us);
    }
}

static void see_about_tx(const struct diagram *diagram, const struct sight *sight) {
    struct diagram_events *events = diagram->events;
    switch (sight->kind) {
    case SIGHT_NODE_STORED:
        see_record(diagram, sight);
        return;
    case SIGHT_NODE_DELETED:
        mark_tx(events, sight, MARK_DISK, "deleted", OUTCOME_NONE);
        return;
    case SIGHT_RM_STORED:
        see_branch_log(events, sight);
        return;
    case SIGHT_RM_APPLIED:
        mark_tx(events, sight, MARK_DATA, "data written", OUTCOME_COMMITTED);
        return;
    case SIGHT_RM_UNDONE:
        mark_tx(events, sight, MARK_DATA, "undone", OUTCOME_ABORTED);
        spell_end(events, slot_of(sight->who), SPELL_DOUBT, sight->at_us);
        return;
    case SIGHT_BORN:
        events->origin = sight->origin;
        return;
    case SIGHT_ASKS:
        mark_tx(events, sight, MARK_ASKS,
                sight->outcome == OUTCOME_ABORTED ? "wants to abort" : "wants to commit",
                OUTCOME_NONE);
        return;
    case SIGHT_TOLD:
        mark_tx(events, sight, MARK_TOLD,
                sight->outcome == OUTCOME_NONE ? "unknown" : words_outcome(sight->outcome),
                sight->outcome);
        knows(events, slot_of(sight->who), sight->outcome, sight->at_us);
        return;
    case SIGHT_HAZARD:
        mark_tx(events, sight, MARK_HAZARD, "HAZARD", OUTCOME_NONE);
        return;
    case SIGHT_SEND:
    case SIGHT_RECEIVE:
    case SIGHT_LOST:
    case SIGHT_NODE_MARK:
    case SIGHT_OP_DONE:
    case SIGHT_WORK_GIVEN:
    case SIGHT_WORK_DONE:
    case SIGHT_BEGINS:
    case SIGHT_CRASH:
    case SIGHT_START:
    case SIGHT_GONE:
    case SIGHT_PAUSE:
    case SIGHT_RESUME:
    case SIGHT_FAULT:
    case SIGHT_ALARM:
    case SIGHT_HEALED:
    case SIGHT_END:
    case SIGHT_DATA:
    case SIGHT_IN_DOUBT:
        return;
    }
}

static void see_down(struct diagram_events *events, const struct sight *sight,
                     enum mark_kind kind) {
    uint32_t slot = slot_of(sight->who);
    struct mark *mark = mark_new(events, sight, kind);
    if (mark != NULL) {
        snprintf(mark->label, sizeof mark->label, "%s", kind == MARK_CRASH ? "crash" : "gone");
        snprintf(mark->tip, sizeof mark->tip, "%s", mark->label);
    }
    spell_end(events, slot, SPELL_PAUSED, sight->at_us);
    spell_end(events, slot, SPELL_LEADS, sight->at_us);
    spell_begin(events, slot, SPELL_DOWN, sight->at_us, OUTCOME_NONE);
}

static void see_process(struct diagram_events *events, const struct sight *sight) {
    uint32_t slot = slot_of(sight->who);
    if (sight->kind == SIGHT_CRASH || sight->kind == SIGHT_GONE) {
        see_down(events, sight, sight->kind == SIGHT_CRASH ? MARK_CRASH : MARK_GONE);
    } else if (sight->kind == SIGHT_START) {
        bool was_down = slot != SLOT_NONE && events->spell[slot][SPELL_DOWN] != 0;
        struct mark *mark = was_down ? mark_new(events, sight, MARK_START) : NULL;
        if (mark != NULL) {
            snprintf(mark->label, sizeof mark->label, "restart");
            snprintf(mark->tip, sizeof mark->tip, "restart");
        }
        spell_end(events, slot, SPELL_DOWN, sight->at_us);
    } else if (sight->kind == SIGHT_PAUSE) {
        spell_begin(events, slot, SPELL_PAUSED, sight->at_us, OUTCOME_NONE);
    } else if (sight->kind == SIGHT_RESUME) {
        spell_end(events, slot, SPELL_PAUSED, sight->at_us);
    }
}

void diagram_see(void *arg, const struct sight *sight) {
    const struct diagram *diagram = arg;
    struct diagram_events *events = diagram->events;
    const struct speech *speech = sight->speech;
    if (sight->kind == SIGHT_LOST) {
        struct arrow *arrow = arrow_find(events, sight->message);
        if (arrow != NULL && arrow->got_n == 0) {
            arrow->lost_us = sight->at_us;
            happens(events, sight->at_us);
        }
    } else if (sight->kind == SIGHT_SEND || sight->kind == SIGHT_RECEIVE) {
        if (speech != NULL && speech->tx == diagram->tx && is_drawn(speech->kind)) {
            (sight->kind == SIGHT_SEND ? see_send : see_receive)(events, sight);
        }
    } else {
        see_process(events, sight);
        if (sight->tx == diagram->tx) {
            see_about_tx(diagram, sight);
        }
    }
}

int diagram_write(const struct diagram *diagram, FILE *file) {
    if (diagram->events->first_us == DIAGRAM_NEVER) {
        return TROTH_ERR_NOT_FOUND;
    }
    struct layout layout;
    int err = layout_init(&layout, diagram->events);
    if (err != 0) {
        return err;
    }
    draw_svg(&layout, diagram->tx, file);
    layout_release(&layout);
    return fflush(file) != 0 || ferror(file) ? TROTH_ERR_SYSTEM : 0;
}

#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/words.h"

#define SENT_SLOTS 8192u /* messages under way at once, about; a power of two */
#define OPS_KEPT   3u
#define LIST_KEPT  6u
#define TEXT_KEPT  200u

struct op_kept {
    struct op_seen op;
    int64_t list[LIST_KEPT];
};

/* A sight whose pointers are not followed: what they showed is here. */
struct trace_entry {
    struct sight sight;
    bool has_speech;
    enum speech_kind lost; /* SIGHT_LOST without speech: what was sent; SAY_KINDS: not known */
    union {
        struct speech speech;
        struct node_record record;
        struct op_kept ops[OPS_KEPT];
        char text[TEXT_KEPT];
    } shown;
};

struct trace_sent {
    uint64_t message;
    uint32_t tx;
    enum speech_kind kind;
    struct process who;
    struct process to;
};

int trace_init(struct trace *trace, size_t size, FILE *file) {
    *trace = (struct trace){.file = file, .size = size};
    trace->ring = size > 0 ? calloc(size, sizeof *trace->ring) : NULL;
    trace->entry = calloc(1, sizeof *trace->entry);
    trace->sent = calloc(SENT_SLOTS, sizeof *trace->sent);
    if ((size > 0 && trace->ring == NULL) || trace->entry == NULL || trace->sent == NULL) {
        trace_release(trace);
        return TROTH_ERR_NO_MEMORY;
    }
    return 0;
}

void trace_release(struct trace *trace) {
    free(trace->ring);
    free(trace->entry);
    free(trace->sent);
    *trace = (struct trace){0};
}

void trace_clear(struct trace *trace) {
    trace->seen = 0;
    memset(trace->sent, 0, SENT_SLOTS * sizeof *trace->sent);
}

/* ---- Keeping --------------------------------------------------------------------------------- */

static void keep_ops(struct trace_entry *entry, const struct sight *sight) {
    for (uint32_t i = 0; i < sight->ops_n && i < OPS_KEPT; i++) {
        struct op_kept *kept = &entry->shown.ops[i];
        kept->op = sight->ops[i];
        if (kept->op.list == NULL) {
            kept->op.list_n = 0;
        }
        for (uint32_t k = 0; k < kept->op.list_n && k < LIST_KEPT; k++) {
            kept->list[k] = kept->op.list[k];
        }
    }
}

/* A message is told of by its number when it is lost; people want to know which one that was. */
static void remember_sent(struct trace *trace, const struct sight *sight,
                          struct trace_entry *entry) {
    struct trace_sent *slot = &trace->sent[sight->message & (SENT_SLOTS - 1)];
    if (sight->kind == SIGHT_SEND) {
        *slot = (struct trace_sent){.message = sight->message,
                                    .tx = entry->sight.tx,
                                    .kind = entry->shown.speech.kind,
                                    .who = sight->who,
                                    .to = sight->to};
        return;
    }
    bool known = slot->message == sight->message;
    entry->lost = known ? slot->kind : SAY_KINDS;
    if (known) {
        entry->sight.who = slot->who;
        entry->sight.to = slot->to;
        entry->sight.tx = slot->tx;
    }
}

static void keep(struct trace *trace, struct trace_entry *entry, const struct sight *sight) {
    entry->sight = *sight;
    entry->sight.record = NULL; /* of what was pointed to, one is kept; the rest is not there */
    entry->sight.text = NULL;
    entry->sight.ops = NULL;
    entry->has_speech = sight->speech != NULL;
    if (sight->speech != NULL) {
        entry->shown.speech = *sight->speech;
        entry->sight.tx = sight->speech->tx != 0 ? sight->speech->tx : sight->tx;
    } else if (sight->record != NULL) {
        entry->sight.record = &entry->shown.record;
        entry->shown.record = *sight->record;
    } else if (sight->text != NULL) {
        entry->sight.text = entry->shown.text;
        strncpy(entry->shown.text, sight->text, TEXT_KEPT - 1);
        entry->shown.text[TEXT_KEPT - 1] = '\0';
    } else if (sight->ops != NULL) {
        entry->sight.ops = sight->ops; /* only that it is there; the values are in `shown` */
        keep_ops(entry, sight);
    }
    if (sight->kind == SIGHT_LOST || (sight->kind == SIGHT_SEND && entry->has_speech)) {
        remember_sent(trace, sight, entry);
    }
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void add_from(struct words *line, const struct sight *sight, const char *arrow) {
    words_process(line, sight->who);
    words_add(line, " %s ", arrow);
    words_process(line, sight->to);
}

static void pad(struct words *line, size_t from, size_t width) {
    while (line->n - from < width && line->n + 1 < line->size) {
        words_add(line, " ");
    }
    words_add(line, "  ");
}

static void add_tx(struct words *line, uint32_t tx) {
    if (tx != 0) {
        words_add(line, " tx%u", tx);
    }
}

static void add_message(struct words *line, const struct trace_entry *entry) {
    if (entry->has_speech) {
        const struct speech *speech = &entry->shown.speech;
        words_add(line, "%s", words_speech_kind(speech->kind));
        add_tx(line, entry->sight.tx);
        words_add(line, " ");
        words_speech(line, speech);
    } else {
        words_add(line, "%s",
                  entry->sight.kind == SIGHT_LOST ? words_speech_kind(entry->lost) : "?");
        add_tx(line, entry->sight.tx);
    }
    words_add(line, "  #%llu", (unsigned long long)entry->sight.message);
}

/* Not done yet: what it comes to is not known. */
static void add_given(struct words *line, const struct op_seen *op) {
    bool adds = op->kind == OP_ADD;
    words_add(line, adds ? " k%u %+lld" : " k%u append %lld", op->key, (long long)op->number);
    if (op->has_least) {
        words_add(line, " if %lld are left", (long long)op->least);
    }
}

static void add_op(struct words *line, const struct op_kept *kept) {
    const struct op_seen *op = &kept->op;
    switch (op->kind) {
    case OP_READ_BALANCE:
        words_add(line, " k%u = %lld", op->key, (long long)op->result);
        return;
    case OP_ADD:
        words_add(line, " k%u %+lld = %lld", op->key, (long long)op->number, (long long)op->result);
        return;
    case OP_APPEND:
        words_add(line, " k%u append %lld", op->key, (long long)op->number);
        return;
    case OP_READ_LIST:
        words_add(line, " k%u = [", op->key);
        for (uint32_t i = 0; i < op->list_n && i < LIST_KEPT; i++) {
            words_add(line, "%s%lld", i > 0 ? " " : "", (long long)kept->list[i]);
        }
        words_add(line, op->list_n > LIST_KEPT ? " ... %u]" : "]", op->list_n);
        return;
    }
}

static void add_ops(struct words *line, const struct trace_entry *entry) {
    if (entry->sight.ops == NULL) {
        return;
    }
    for (uint32_t i = 0; i < entry->sight.ops_n && i < OPS_KEPT; i++) {
        words_add(line, "%s", i > 0 ? ";" : "");
        if (entry->sight.kind == SIGHT_WORK_GIVEN) {
            add_given(line, &entry->shown.ops[i].op);
        } else {
            add_op(line, &entry->shown.ops[i]);
        }
    }
    if (entry->sight.ops_n > OPS_KEPT) {
        words_add(line, "; ... %u in all", entry->sight.ops_n);
    }
}

static void add_told(struct words *line, const struct sight *sight) {
    words_add(line, "is told");
    add_tx(line, sight->tx);
    words_add(line, " %s",
              sight->outcome == OUTCOME_NONE && sight->error != 0 ? troth_err_name(sight->error)
                                                                  : words_outcome(sight->outcome));
}

static void add_mark(struct words *line, const struct sight *sight) {
    words_add(line, "n%u/%u: %llu", sight->origin, sight->origin_incarnation,
              (unsigned long long)sight->sequence);
}

/* What becomes of a process, or of the world. */
static void add_fate(struct words *line, const struct sight *sight) {
    static const char *const plain[] = {
        [SIGHT_CRASH] = "crashes",
        [SIGHT_GONE] = "is gone for good",
        [SIGHT_PAUSE] = "is paused",
        [SIGHT_RESUME] = "goes on",
        [SIGHT_HEALED] = "the faults are over",
        [SIGHT_END] = "the end",
    };
    const char *text = sight->text != NULL ? sight->text : "";
    if (sight->kind == SIGHT_START) {
        words_add(line, "starts, incarnation %llu", (unsigned long long)sight->incarnation);
    } else if (sight->kind == SIGHT_FAULT || sight->kind == SIGHT_ALARM) {
        words_add(line, "%s: %s", sight->kind == SIGHT_FAULT ? "fault" : "ALARM", text);
    } else if (sight->kind == SIGHT_HAZARD) {
        words_add(line, "HAZARD tx%u", sight->tx);
    } else {
        words_add(line, "%s", plain[sight->kind]);
    }
}

static void add_work(struct words *line, const struct trace_entry *entry) {
    const struct sight *sight = &entry->sight;
    if (sight->kind == SIGHT_WORK_DONE) {
        words_add(line, "%s the work of tx%u", sight->ok ? "has done" : "fails in", sight->tx);
    } else if (sight->kind == SIGHT_WORK_GIVEN) {
        words_add(line, "gives ");
        words_process(line, sight->to);
        words_add(line, " with the commit of tx%u", sight->tx);
        add_ops(line, entry);
    } else {
        words_add(line, "%s tx%u", sight->ok ? "did" : "refused", sight->tx);
        add_ops(line, entry);
        words_add(line, " for ");
        words_process(line, sight->to);
    }
}

/* What is not a message, after who it is about. */
static void add_happening(struct words *line, const struct trace_entry *entry) {
    const struct sight *sight = &entry->sight;
    switch (sight->kind) {
    case SIGHT_NODE_STORED:
        words_add(line, "stores tx%u ", sight->tx);
        if (sight->record != NULL) {
            words_record(line, sight->record);
        }
        return;
    case SIGHT_NODE_DELETED:
        words_add(line, "deletes tx%u", sight->tx);
        return;
    case SIGHT_NODE_MARK:
        words_add(line, "stores mark of ");
        add_mark(line, sight);
        return;
    case SIGHT_RM_STORED:
        words_add(line, "stores tx%u %s", sight->tx, words_log(sight->log));
        return;
    case SIGHT_RM_APPLIED:
        words_add(line, "applies tx%u", sight->tx);
        add_ops(line, entry);
        return;
    case SIGHT_RM_UNDONE:
        words_add(line, "undoes tx%u", sight->tx);
        return;
    case SIGHT_BORN:
        words_add(line, "born: tx%u of ", sight->tx);
        add_mark(line, sight);
        return;
    case SIGHT_OP_DONE:
    case SIGHT_WORK_GIVEN:
    case SIGHT_WORK_DONE:
        add_work(line, entry);
        return;
    case SIGHT_BEGINS:
        words_add(line, "begins tx%u", sight->tx);
        return;
    case SIGHT_ASKS:
        words_add(line, "wants tx%u %s", sight->tx, words_outcome(sight->outcome));
        return;
    case SIGHT_TOLD:
        add_told(line, sight);
        return;
    case SIGHT_CRASH:
    case SIGHT_START:
    case SIGHT_GONE:
    case SIGHT_PAUSE:
    case SIGHT_RESUME:
    case SIGHT_FAULT:
    case SIGHT_ALARM:
    case SIGHT_HAZARD:
    case SIGHT_HEALED:
    case SIGHT_END:
        add_fate(line, sight);
        return;
    case SIGHT_DATA:
        words_add(line, "data:");
        add_ops(line, entry);
        return;
    case SIGHT_IN_DOUBT:
        words_add(line, "is in doubt about tx%u", sight->tx);
        return;
    case SIGHT_SEND:
    case SIGHT_RECEIVE:
    case SIGHT_LOST:
        return;
    }
}

static void tell(const struct trace_entry *entry, char text[TRACE_LINE_BYTES]) {
    const struct sight *sight = &entry->sight;
    struct words line;
    words_init(&line, text, TRACE_LINE_BYTES);
    words_add(&line, "%11lld.%03lld  ", (long long)(sight->at_us / 1000),
              (long long)(sight->at_us % 1000));
    size_t from = line.n;
    if (sight->kind == SIGHT_SEND) {
        add_from(&line, sight, "->");
        pad(&line, from, 12);
        add_message(&line, entry);
    } else if (sight->kind == SIGHT_RECEIVE) {
        words_process(&line, sight->to);
        pad(&line, from, 12);
        words_add(&line, "gets ");
        add_message(&line, entry);
    } else if (sight->kind == SIGHT_LOST) {
        add_from(&line, sight, "-x");
        pad(&line, from, 12);
        words_add(&line, "lost: ");
        add_message(&line, entry);
    } else {
        words_process(&line, sight->who);
        pad(&line, from, 12);
        add_happening(&line, entry);
    }
}

void trace_see(void *arg, const struct sight *sight) {
    struct trace *trace = arg;
    struct trace_entry *entry =
        trace->ring != NULL ? &trace->ring[trace->seen % trace->size] : trace->entry;
    keep(trace, entry, sight);
    trace->seen++;
    if (trace->file != NULL) {
        char text[TRACE_LINE_BYTES];
        tell(entry, text);
        fprintf(trace->file, "%s\n", text);
    }
}

/* ---- Printing the last ----------------------------------------------------------------------- */

static bool is_about(const struct trace_entry *entry, uint32_t tx) {
    if (tx == 0 || entry->sight.tx == tx) {
        return true;
    }
    switch (entry->sight.kind) {
    case SIGHT_CRASH:
    case SIGHT_START:
    case SIGHT_GONE:
    case SIGHT_PAUSE:
    case SIGHT_RESUME:
    case SIGHT_FAULT:
    case SIGHT_ALARM:
    case SIGHT_HEALED:
    case SIGHT_END:
        return entry->sight.tx == 0;
    case SIGHT_SEND:
    case SIGHT_RECEIVE:
    case SIGHT_LOST:
    case SIGHT_NODE_STORED:
    case SIGHT_NODE_DELETED:
    case SIGHT_NODE_MARK:
    case SIGHT_RM_STORED:
    case SIGHT_RM_APPLIED:
    case SIGHT_RM_UNDONE:
    case SIGHT_BORN:
    case SIGHT_OP_DONE:
    case SIGHT_WORK_GIVEN:
    case SIGHT_WORK_DONE:
    case SIGHT_BEGINS:
    case SIGHT_ASKS:
    case SIGHT_TOLD:
    case SIGHT_HAZARD:
    case SIGHT_DATA:
    case SIGHT_IN_DOUBT:
        break;
    }
    return false;
}

void trace_print_last(const struct trace *trace, FILE *to, size_t n, uint32_t tx) {
    uint64_t kept = trace->seen < trace->size ? trace->seen : trace->size;
    uint64_t from = trace->seen;
    for (size_t found = 0; from > trace->seen - kept && found < n;) {
        from--;
        found += is_about(&trace->ring[from % trace->size], tx);
    }
    if (from > 0) {
        fprintf(to, "  ... %llu sights before\n", (unsigned long long)from);
    }
    for (; from < trace->seen; from++) {
        const struct trace_entry *entry = &trace->ring[from % trace->size];
        if (is_about(entry, tx)) {
            char text[TRACE_LINE_BYTES];
            tell(entry, text);
            fprintf(to, "%s\n", text);
        }
    }
}

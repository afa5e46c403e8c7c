/* diagram_events: what the diagram's files share: what was seen of the one transaction, and where
 * it stands in the picture. Nothing outside of diagram*.c includes it.
 *
 *   diagram.c          collects: sights become arrows, marks and spells
 *   diagram_labels.c   the few letters on an arrow or a mark
 *   diagram_layout.c   columns, the scale of time, places of texts that do not collide
 *   diagram_draw.c     the SVG of what happened
 *   diagram_frame.c    and of what is around it
 *   diagram_svg.c      pieces of SVG
 *
 * A process is a slot: a small number for all roles, which is also the order of the columns.
 */
#ifndef TESTS_SIM_DIAGRAM_EVENTS_H
#define TESTS_SIM_DIAGRAM_EVENTS_H

#include <stddef.h>

#include "tests/sim/diagram.h"

#define SLOT_CLIENTS  0u /* client 1 is slot 1 */
#define SLOT_NODES    (SLOT_CLIENTS + SIM_CLIENTS_MAX + 1)
#define SLOT_RMS      (SLOT_NODES + SIM_NODES_MAX + 1)
#define SLOTS         (SLOT_RMS + SIM_RMS_MAX)
#define SLOT_NONE     SLOTS
#define LABEL_BYTES   64
#define TIP_BYTES     256
#define DIAGRAM_NEVER INT64_MAX

uint32_t slot_of(struct process process);
struct process slot_process(uint32_t slot);

enum arrow_style {
    ARROW_CLIENT,
    ARROW_WORK, /* work and enlistment */
    ARROW_PREPARE,
    ARROW_VOTE,
    ARROW_PHASE1,
    ARROW_PHASE2,
    ARROW_COMMITTED,
    ARROW_ABORTED,
    ARROW_ACK,
    ARROW_KNOWN, /* among nodes */
    ARROW_STYLES
};

struct arrow {
    uint64_t message;
    uint32_t from;
    uint32_t to;
    enum arrow_style style;
    int64_t sent_us;
    int64_t got_us[2]; /* of a message received more often, the first two */
    uint32_t got_n;
    int64_t lost_us; /* DIAGRAM_NEVER: not lost */
    char label[LABEL_BYTES];
    char tip[TIP_BYTES];
};

enum mark_kind {
    MARK_DISK,   /* a record of a node, or a line of a branch log */
    MARK_DATA,   /* a participant's data changed, or its work is undone */
    MARK_BALLOT, /* a node begins to lead */
    MARK_ASKS,   /* a client's wish */
    MARK_TOLD,   /* and what came of it */
    MARK_CRASH,
    MARK_START,
    MARK_GONE,
    MARK_HAZARD,
};
struct mark {
    enum mark_kind kind;
    uint32_t slot;
    int64_t at_us;
    enum outcome outcome;
    char label[LABEL_BYTES];
    char tip[TIP_BYTES];
};

/* A part of a lifeline. */
enum spell_kind {
    SPELL_DOUBT, /* a participant is prepared and knows no outcome */
    SPELL_LEADS,
    SPELL_KNOWS, /* the outcome, to the end */
    SPELL_DOWN,
    SPELL_PAUSED,
    SPELL_KINDS
};
struct spell {
    enum spell_kind kind;
    uint32_t slot;
    enum outcome outcome;
    int64_t from_us;
    int64_t until_us; /* DIAGRAM_NEVER: still */
};

struct diagram_events {
    struct arrow *arrows;
    size_t arrows_n;
    size_t arrows_capacity;
    struct mark *marks;
    size_t marks_n;
    size_t marks_capacity;
    struct spell *spells;
    size_t spells_n;
    size_t spells_capacity;
    uint32_t not_drawn; /* beyond the maximum */
    bool involved[SLOTS];
    size_t spell[SLOTS][SPELL_KINDS]; /* the open one, by its place in `spells` and 1; 0: none */
    struct node_record records[SIM_NODES_MAX + 1];
    uint32_t led[SIM_NODES_MAX + 1]; /* the highest ballot that this node opened, and 1 */
    uint8_t origin;                  /* the node that began it; 0: not seen */
    bool asked;                      /* votes or promises were */
    bool delegated;                  /* the one participant was told to commit in one phase */
    bool set_known;
    bool nobody;
    uint32_t set;
    int64_t first_us; /* of what is drawn; DIAGRAM_NEVER: nothing yet */
    int64_t last_us;
    enum outcome outcome; /* NONE: not decided */
    int64_t decided_us;
    const char *decided_why;
};

/* ---- diagram_labels.c ------------------------------------------------------------------------ */

enum arrow_style label_style(const struct speech *speech);
/* Of a message: "2b ballot 4: P A P". Votes are one letter each, in the participants' order, and
 * those of `set`. */
void label_speech(char label[LABEL_BYTES], const struct speech *speech, uint32_t set);
/* Of a record: what is new in it. */
void label_record(char label[LABEL_BYTES], const struct node_record *before,
                  const struct node_record *now);

/* ---- diagram_layout.c ------------------------------------------------------------------------ */

struct knot { /* a time at which something happens, and its height */
    int64_t at_us;
    double y;
    bool cut; /* time is cut between it and the one before */
};

/* Where a text stands: its middle, and its slope in degrees. */
struct place {
    bool shown;
    double x;
    double y;
    double degrees;
};

struct text_cell;
struct layout {
    const struct diagram_events *events;
    uint32_t columns[SLOTS]; /* slots, from left to right */
    uint32_t columns_n;
    double x[SLOTS]; /* of the lifeline; 0: not drawn */
    double left;
    double right;
    double top;
    double bottom;
    struct knot *knots;
    size_t knots_n;
    struct place *arrow_labels; /* by arrow */
    struct place *mark_labels;  /* by mark */
    struct text_cell *cells;    /* what texts cover */
    size_t cells_n;
    size_t cells_capacity;
    size_t *rows; /* the first cell of each row of the picture, and 1 */
    size_t rows_n;
};

#define LAYOUT_TEXT_PX 11.0 /* an arrow's label; all else is relative to it */
double layout_text_width(const char *text, double px);
/* The tip of an arrow that was received for the `nth` time, 0 or 1, or was not. */
void layout_arrow_end(const struct layout *layout, const struct arrow *arrow, uint32_t nth,
                      double *x, double *y);
double layout_y(const struct layout *layout, int64_t at_us);
/* Where a mark stands: data beside the lifeline, all else on it. */
double layout_mark_x(const struct layout *layout, const struct mark *mark);
/* Whether the mark is of a process and a time that are drawn. */
bool layout_shows(const struct layout *layout, uint32_t slot, int64_t at_us);
bool layout_shows_spell(const struct layout *layout, const struct spell *spell);
/* TROTH_ERR_NO_MEMORY. */
int layout_init(struct layout *layout, const struct diagram_events *events);
void layout_release(struct layout *layout);

/* ---- diagram_frame.c ------------------------------------------------------------------------- */

void draw_svg(const struct layout *layout, uint32_t tx, FILE *file);

#endif

/* history_text: one event of a history as a line of text, in either format. Pure. */
#ifndef LOAD_HISTORY_TEXT_H
#define LOAD_HISTORY_TEXT_H

#include <stdio.h>

#include "load/history.h"

struct history_event {
    uint64_t index;
    uint64_t time_ns;
    enum history_type type;
    uint32_t process;
    const struct history_call *call;
    const char *txid;  /* or NULL */
    const char *error; /* or NULL */
};

/* The line and its end. */
void history_text_print(FILE *file, enum history_format format, const struct history_event *event);

#endif

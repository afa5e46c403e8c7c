/* batch: when a participant's loop stores what it has written (core: no I/O, no clock).
 *
 * What somebody waits for is stored at once. What nobody waits for (lazy) waits for that, or for
 * BRANCHES_LAZY_MS: its sync is then another's, too. Nothing overtakes: what is sent while
 * something lazy waits makes the batch urgent, since it keeps its place behind it (sessions_send).
 *
 *     batch_note(&batch, effect, now_ms);      for each effect of the batch
 *     if (batch_is_due(&batch, now_ms)) { store, sync; batch_stored(&batch); let out what waited }
 */
#ifndef PARTICIPANT_BATCH_H
#define PARTICIPANT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "participant/branches.h"

struct batch {
    bool eager;            /* nothing waits (an option) */
    bool urgent;           /* somebody waits for it to be on disk */
    int64_t lazy_since_ms; /* the oldest lazy effect that is not on disk; 0: none */
};

void batch_note(struct batch *batch, const struct branches_effect *effect, int64_t now_ms);
/* Whether it is to be stored now. Also when nothing is in it: what ends with a batch ends then. */
bool batch_is_due(const struct batch *batch, int64_t now_ms);
/* When it is due if nothing more comes; INT64_MAX: never. */
int64_t batch_due_ms(const struct batch *batch);
void batch_stored(struct batch *batch);

#endif

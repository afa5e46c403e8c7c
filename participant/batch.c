#include "participant/batch.h"

static void wait_lazily(struct batch *batch, int64_t now_ms) {
    if (batch->eager) {
        batch->urgent = true;
    } else if (batch->lazy_since_ms == 0) {
        batch->lazy_since_ms = now_ms;
    }
}

void batch_note(struct batch *batch, const struct branches_effect *effect, int64_t now_ms) {
    bool writes = effect->type == BRANCHES_STORE || effect->type == BRANCHES_DELETE ||
                  effect->type == BRANCHES_STORE_NODE || effect->type == BRANCHES_STORE_MARK;
    bool calls = effect->type == BRANCHES_CALL;
    /* It keeps its place behind what waits. */
    bool queues = effect->type == BRANCHES_SEND && batch->lazy_since_ms != 0;
    if (effect->lazy) {
        wait_lazily(batch, now_ms);
    } else if (writes || calls || effect->after_store || queues) {
        batch->urgent = true;
    }
}

int64_t batch_due_ms(const struct batch *batch) {
    return batch->lazy_since_ms == 0 ? INT64_MAX : batch->lazy_since_ms + BRANCHES_LAZY_MS;
}

bool batch_is_due(const struct batch *batch, int64_t now_ms) {
    return batch->urgent || batch->lazy_since_ms == 0 || now_ms >= batch_due_ms(batch);
}

void batch_stored(struct batch *batch) {
    batch->urgent = false;
    batch->lazy_since_ms = 0;
}

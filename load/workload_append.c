/* The workload on lists. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "load/workload.h"

#define TEXT_BYTES (LOAD_LIST_MAX * 11 + 1)

static size_t key_of(const struct load *load, uint32_t list, char key[LOAD_KEY_BYTES]) {
    return (size_t)snprintf(key, LOAD_KEY_BYTES, "%slist-%" PRIu32, load->prefix, list);
}

/* A value that nobody else appends to the list in this place; a full list gives its place to the
 * next. */
static void draw_append(struct load *load, unsigned place, struct history_step *step) {
    struct load_slot *slot = &load->slots[place];
    if (slot->appended == LOAD_LIST_MAX) {
        *slot = (struct load_slot){.key = load->next_key++};
    }
    step->append = true;
    step->key = slot->key;
    step->value = ++slot->appended;
}

static void draw(struct load_client *client, struct history_call *call) {
    struct load *load = client->load;
    *call = (struct history_call){.f = HISTORY_TXN, .steps = client->steps};
    call->n_steps = 1 + load_draw(client, load->options.length_max);
    pthread_mutex_lock(&load->mutex);
    for (size_t i = 0; i < call->n_steps; i++) {
        unsigned place = load_draw(client, load->options.keys);
        struct history_step *step = &call->steps[i];
        *step = (struct history_step){.key = load->slots[place].key, .list = client->lists[i]};
        if (load_draw(client, 100) >= load->options.read_percent) {
            draw_append(load, place, step);
        }
    }
    pthread_mutex_unlock(&load->mutex);
}

static bool draw_read_back(struct load_client *client, uint32_t round, struct history_call *call) {
    struct load *load = client->load;
    *call = (struct history_call){.f = HISTORY_TXN, .steps = client->steps};
    uint32_t first = round * LOAD_LENGTH_MAX;
    for (uint32_t key = first; key < load->next_key && call->n_steps < LOAD_LENGTH_MAX; key++) {
        call->steps[call->n_steps] =
            (struct history_step){.key = key, .list = client->lists[call->n_steps]};
        call->n_steps++;
    }
    return call->n_steps > 0;
}

/* ---- The lists as text ----------------------------------------------------------------------- */

/* "1 2 3" as numbers, in step->list. */
static int parse(const struct troth_kv_value *value, struct history_step *step) {
    size_t at = 0;
    step->n = 0;
    while (at < value->n) {
        uint64_t number = 0;
        size_t from = at;
        for (; at < value->n && value->bytes[at] >= '0' && value->bytes[at] <= '9'; at++) {
            number = 10 * number + (uint64_t)(value->bytes[at] - '0');
            if (number > UINT32_MAX) {
                return TROTH_ERR_CORRUPT;
            }
        }
        if (at == from || step->n == LOAD_LIST_MAX ||
            (at < value->n && (value->bytes[at] != ' ' || at + 1 == value->n))) {
            return TROTH_ERR_CORRUPT;
        }
        step->list[step->n++] = (uint32_t)number;
        at++;
    }
    return 0;
}

static size_t print(const struct history_step *step, char text[TEXT_BYTES]) {
    size_t n = 0;
    for (size_t i = 0; i < step->n; i++) {
        n += (size_t)snprintf(text + n, TEXT_BYTES - n, "%s%" PRIu32, i == 0 ? "" : " ",
                              step->list[i]);
    }
    return n;
}

/* ---- The work -------------------------------------------------------------------------------- */

static int read_list(struct load *load, struct troth_kv_tx *tx, struct history_step *step,
                     bool for_update, char why[TROTH_TEXT_BYTES]) {
    char key[LOAD_KEY_BYTES];
    struct troth_kv_value value;
    size_t n = key_of(load, step->key, key);
    int err = troth_kv_get(load->options.kv, tx, key, n, for_update, &value, why);
    if (err == TROTH_ERR_NOT_FOUND) {
        step->n = 0;
        return 0;
    }
    if (err != 0) {
        return err;
    }
    err = parse(&value, step);
    free(value.bytes);
    if (err != 0) {
        snprintf(why, TROTH_TEXT_BYTES, "the key %s holds no list of at most %u numbers", key,
                 LOAD_LIST_MAX);
    }
    return err;
}

static int append(struct load *load, struct troth_kv_tx *tx, struct history_step *step,
                  char why[TROTH_TEXT_BYTES]) {
    char key[LOAD_KEY_BYTES];
    char text[TEXT_BYTES];
    int err = read_list(load, tx, step, true, why);
    if (err != 0) {
        return err;
    }
    size_t n = key_of(load, step->key, key);
    if (step->n == LOAD_LIST_MAX) { /* only so many values are handed out for it */
        snprintf(why, TROTH_TEXT_BYTES, "the key %s holds more values than were given out", key);
        return TROTH_ERR_CORRUPT;
    }
    step->list[step->n++] = step->value;
    return troth_kv_put(load->options.kv, tx, key, n, text, print(step, text), why);
}

/* Whether a later step appends to the list that this one reads: it takes that lock at once. */
static bool is_appended_later(const struct history_call *call, size_t step) {
    for (size_t i = step + 1; i < call->n_steps; i++) {
        if (call->steps[i].append && call->steps[i].key == call->steps[step].key) {
            return true;
        }
    }
    return false;
}

static int work(struct load_client *client, struct troth_kv_tx *tx, struct history_call *call,
                char why[TROTH_TEXT_BYTES]) {
    int err = 0;
    for (size_t i = 0; err == 0 && i < call->n_steps; i++) {
        struct history_step *step = &call->steps[i];
        err = step->append ? append(client->load, tx, step, why)
                           : read_list(client->load, tx, step, is_appended_later(call, i), why);
    }
    return err;
}

/* Nothing is there, which is how lists begin; it only shows who answers. */
static int set_up(struct load *load, struct troth_kv_tx *tx, char why[TROTH_TEXT_BYTES]) {
    uint32_t list[LOAD_LIST_MAX];
    struct history_step step = {.key = 0, .list = list};
    return read_list(load, tx, &step, false, why);
}

const struct workload workload_append = {
    .draw = draw, .work = work, .set_up = set_up, .draw_read_back = draw_read_back};

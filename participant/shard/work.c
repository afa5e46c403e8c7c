#include "participant/shard/work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* "-9223372036854775808" */
#define NUMBER_CHARS_MAX 20

static void fail_read(struct op *op, int err) {
    if (err == TROTH_ERR_NO_MEMORY) {
        op_fail(op, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
    } else {
        op_fail(op, RPC_DATA_LOSS, "the shard's database could not be read; see its log");
    }
}

/* A copy of what `bytes` says; never NULL unless there is no memory. */
static uint8_t *copy(struct kv_bytes bytes) {
    uint8_t *at = malloc(bytes.n + 1);
    if (at != NULL && bytes.n > 0) {
        memcpy(at, bytes.at, bytes.n);
    }
    return at;
}

/* Fills `found` and `existed`: the branch's own write, or else what is committed. */
static bool read_key(struct op *op, struct store *store, const struct writes *writes) {
    const struct write *write = writes != NULL ? writes_find(writes, op->key) : NULL;
    int err = 0;
    uint8_t *value = NULL;
    size_t n = 0;
    if (write == NULL) {
        err = store_get(store, op->key, &value, &n);
    } else if (write->is_delete) {
        err = TROTH_ERR_NOT_FOUND;
    } else {
        n = write->value.n;
        value = copy(write->value);
        err = value == NULL ? TROTH_ERR_NO_MEMORY : 0;
    }
    op->existed = err == 0;
    op->found = (struct kv_bytes){value, n};
    if (err != 0 && err != TROTH_ERR_NOT_FOUND) {
        fail_read(op, err);
        return false;
    }
    return true;
}

/* `value` NULL deletes. Returns as work_do. */
static int write_key(struct op *op, struct store *store, struct writes *writes,
                     const struct kv_bytes *value) {
    if (writes == NULL) {
        int err = value != NULL ? store_put(store, op->key, *value) : store_delete(store, op->key);
        if (err == TROTH_ERR_NO_MEMORY) {
            fail_read(op, err); /* the batch is whole, or the process had ended (shell/db.h) */
            return 0;
        }
        return err;
    }
    int err = writes_set(writes, op->key, value);
    if (err == TROTH_ERR_TOO_LARGE) {
        op_fail(op, RPC_INVALID_ARGUMENT,
                "the transaction would write more than %u bytes on this shard; split it",
                WRITES_BYTES_MAX);
    } else if (err != 0) {
        fail_read(op, err);
    }
    return 0;
}

/* ---- Numbers ------------------------------------------------------------------------------ */

static bool parse_number(struct kv_bytes bytes, int64_t *number) {
    char text[NUMBER_CHARS_MAX + 1] = {0};
    if (bytes.n == 0 || bytes.n > NUMBER_CHARS_MAX) {
        return false;
    }
    memcpy(text, bytes.at, bytes.n);
    size_t digits = strspn(text + (text[0] == '-'), "0123456789");
    if (digits == 0 || digits + (text[0] == '-') != bytes.n) {
        return false;
    }
    errno = 0;
    *number = strtoll(text, NULL, 10);
    return errno == 0;
}

static int add(struct op *op, struct store *store, struct writes *writes) {
    int64_t number = 0;
    if (op->existed && !parse_number(op->found, &number)) {
        op_fail(op, RPC_INVALID_ARGUMENT,
                "its value is no decimal number of 64 bits; put a number first");
        return 0;
    }
    if (__builtin_add_overflow(number, op->delta, &op->sum)) {
        op_fail(op, RPC_OUT_OF_RANGE,
                "%" PRId64 " and %" PRId64 " add up to more than 64 bits hold; nothing was changed",
                number, op->delta);
        return 0;
    }
    if (op->has_minimum && op->sum < op->minimum) {
        op_fail(op, RPC_OUT_OF_RANGE,
                "the sum %" PRId64 " is under the minimum %" PRId64 "; nothing was changed",
                op->sum, op->minimum);
        return 0;
    }
    char text[NUMBER_CHARS_MAX + 1];
    int n = snprintf(text, sizeof text, "%" PRId64, op->sum);
    return write_key(op, store, writes, &(struct kv_bytes){(const uint8_t *)text, (size_t)n});
}

static int compare_and_set(struct op *op, struct store *store, struct writes *writes) {
    if (op->existed && !op->has_expected) {
        op_fail(op, RPC_FAILED_PRECONDITION,
                "the key has a value and was expected to be absent; nothing was changed");
    } else if (!op->existed && op->has_expected) {
        op_fail(op, RPC_FAILED_PRECONDITION,
                "the key is absent and was expected to have a value; nothing was changed");
    } else if (op->has_expected && kv_compare(op->found, op->expected) != 0) {
        op_fail(op, RPC_FAILED_PRECONDITION,
                "the key has another value than was expected; nothing was changed");
    } else {
        return write_key(op, store, writes, &op->value);
    }
    return 0;
}

/* ---- Scans: the branch's writes merged with what is committed, in order --------------------- */

struct merge {
    struct op *op;
    struct store *store;
    const struct write **writes;
    size_t writes_n;
    size_t writes_at;
    struct kv_bytes key; /* the store's next */
    struct kv_bytes value;
    bool store_ended;
    size_t bytes;
};

static int step_store(struct merge *m) {
    int err = store_scan_step(m->store, &m->key, &m->value);
    m->store_ended = err == TROTH_ERR_NOT_FOUND;
    return m->store_ended ? 0 : err;
}

/* Adds the pair, or sets `more` when the answer is full. */
static int emit(struct merge *m, struct kv_bytes key, struct kv_bytes value) {
    struct op *op = m->op;
    m->bytes += key.n + value.n + 16; /* with the message's own bytes */
    if (op->pairs_n == op->limit || m->bytes > OP_SCAN_BYTES_MAX) {
        op->more = true;
        return 0;
    }
    struct op_pair pair = {{copy(key), key.n}, {copy(value), value.n}};
    op->pairs[op->pairs_n++] = pair;
    return pair.key.at == NULL || pair.value.at == NULL ? TROTH_ERR_NO_MEMORY : 0;
}

static int merge_step(struct merge *m) {
    const struct write *write = m->writes_at < m->writes_n ? m->writes[m->writes_at] : NULL;
    int order = write == NULL ? 1 : m->store_ended ? -1 : kv_compare(write->key, m->key);
    int err = 0;
    if (order > 0) {
        err = emit(m, m->key, m->value);
    } else if (!write->is_delete) {
        err = emit(m, write->key, write->value);
    }
    m->writes_at += order <= 0;
    if (err == 0 && order >= 0) {
        err = step_store(m);
    }
    return err;
}

static int merge_all(struct merge *m) {
    m->op->pairs = calloc(m->op->limit, sizeof *m->op->pairs);
    if (m->op->pairs == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    int err = step_store(m);
    while (err == 0 && !m->op->more && (!m->store_ended || m->writes_at < m->writes_n)) {
        err = merge_step(m);
    }
    return err;
}

static void scan(struct op *op, struct store *store, const struct writes *writes) {
    struct merge m = {.op = op, .store = store};
    int err = store_scan(store, op->key, op->to);
    if (err == 0 && writes != NULL) {
        err = writes_sorted(writes, op->key, op->to, &m.writes, &m.writes_n);
    }
    if (err == 0) {
        err = merge_all(&m);
    }
    store_scan_end(store);
    free(m.writes);
    if (err != 0) {
        fail_read(op, err);
    }
}

/* ---- All of them ---------------------------------------------------------------------------- */

int work_do(struct op *op, struct store *store, struct writes *writes) {
    op->status = RPC_OK;
    if (op->verb == OP_SCAN) {
        scan(op, store, writes);
        return 0;
    }
    if (!read_key(op, store, writes)) {
        return 0;
    }
    switch (op->verb) {
    case OP_PUT:
        return write_key(op, store, writes, &op->value);
    case OP_DELETE:
        /* In a transaction what was absent counts as written, too, so that it stays locked when
         * shared locks end (lock_table.h, on work that comes with Commit). */
        return op->existed || writes != NULL ? write_key(op, store, writes, NULL) : 0;
    case OP_ADD:
        return add(op, store, writes);
    case OP_COMPARE_AND_SET:
        return compare_and_set(op, store, writes);
    case OP_GET:
    case OP_SCAN:
        break;
    }
    return 0;
}

#include "base/txid.h"

#include <stddef.h>
#include <string.h>

#include "base/troth_err.h"

struct troth_txid troth_txid_make(uint16_t cell, uint16_t node, uint32_t incarnation,
                                  uint64_t sequence) {
    return (struct troth_txid){
        .hi = (uint64_t)cell << 48 | (uint64_t)node << 32 | incarnation,
        .lo = sequence,
    };
}

uint16_t troth_txid_cell(struct troth_txid txid) {
    return (uint16_t)(txid.hi >> 48);
}

uint16_t troth_txid_node(struct troth_txid txid) {
    return (uint16_t)(txid.hi >> 32);
}

uint32_t troth_txid_incarnation(struct troth_txid txid) {
    return (uint32_t)txid.hi;
}

uint64_t troth_txid_sequence(struct troth_txid txid) {
    return txid.lo;
}

bool troth_txid_is_zero(struct troth_txid txid) {
    return txid.hi == 0 && txid.lo == 0;
}

bool troth_txid_is_foreign(struct troth_txid txid) {
    return troth_txid_cell(txid) == TROTH_TXID_CELL_FOREIGN;
}

bool troth_txid_equal(struct troth_txid a, struct troth_txid b) {
    return a.hi == b.hi && a.lo == b.lo;
}

int troth_txid_compare(struct troth_txid a, struct troth_txid b) {
    if (a.hi != b.hi) {
        return a.hi < b.hi ? -1 : 1;
    }
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

static void put_u64(uint64_t value, uint8_t *bytes) {
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

static uint64_t get_u64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void troth_txid_to_bytes(struct troth_txid txid, uint8_t bytes[TROTH_TXID_BYTES]) {
    put_u64(txid.hi, bytes);
    put_u64(txid.lo, bytes + 8);
}

struct troth_txid troth_txid_from_bytes(const uint8_t bytes[TROTH_TXID_BYTES]) {
    return (struct troth_txid){.hi = get_u64(bytes), .lo = get_u64(bytes + 8)};
}

char *troth_txid_format(struct troth_txid txid, char text[TROTH_TXID_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[TROTH_TXID_BYTES];
    troth_txid_to_bytes(txid, bytes);
    for (int i = 0; i < TROTH_TXID_BYTES; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[TROTH_TXID_TEXT - 1] = '\0';
    return text;
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int troth_txid_parse(const char *text, struct troth_txid *txid) {
    uint8_t bytes[TROTH_TXID_BYTES];
    if (strlen(text) != TROTH_TXID_TEXT - 1) {
        return TROTH_ERR_INVALID;
    }
    for (size_t i = 0; i < TROTH_TXID_BYTES; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return TROTH_ERR_INVALID;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    struct troth_txid parsed = troth_txid_from_bytes(bytes);
    if (troth_txid_node(parsed) == 0 || troth_txid_sequence(parsed) == 0) {
        return TROTH_ERR_INVALID;
    }
    *txid = parsed;
    return 0;
}

/* operations: the little language of `troth kv txn`. Pure.
 *
 *     get KEY | put KEY VALUE | add KEY NUMBER | delete KEY | cas KEY EXPECTED VALUE
 */
#ifndef CLI_OPERATIONS_H
#define CLI_OPERATIONS_H

#include <stddef.h>
#include <stdint.h>

#define OPERATIONS_MAX 10000u

enum operation_type {
    OPERATION_GET,
    OPERATION_PUT,
    OPERATION_ADD,
    OPERATION_DELETE,
    OPERATION_CAS
};
struct operation {
    enum operation_type type;
    const char *name;
    const char *key;
    const char *value;    /* put, cas */
    const char *expected; /* cas */
    int64_t delta;        /* add */
};
struct operations {
    struct operation *items;
    size_t n;
};

/* Reads words, which must live as long. TROTH_ERR_INVALID with what is wrong in `why`;
 * _TOO_MANY; _NO_MEMORY. */
int operations_parse(struct operations *operations, const char *const *words, size_t n_words,
                     char *why, size_t why_bytes);
void operations_release(struct operations *operations);

/* Splits a script into words, in place: blanks and ends of line part words, # begins a comment,
 * "double quotes" hold blanks together. Fills at most `max` words; returns how many there are, or
 * -1 for quotes that do not end. */
long operations_split(char *script, const char **words, size_t max);

#endif

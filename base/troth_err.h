/* The errors of every Troth function that returns int: 0, or one of these, all negative.
 *
 * A vote to abort, a stale ballot and a duplicate are outcomes, not errors.
 */
#ifndef TROTH_ERR_H
#define TROTH_ERR_H

/* X(code, name, text for a human) */
#define TROTH_ERRORS(X)                                                                            \
    X(-1, NO_MEMORY, "out of memory")                                                              \
    X(-2, INVALID, "an argument is not allowed")                                                   \
    X(-3, TOO_LARGE, "larger than the limit")                                                      \
    X(-4, TOO_MANY, "more than the limit")                                                         \
    X(-5, NOT_FOUND, "not known")                                                                  \
    X(-6, FORGOTTEN, "finished long ago and forgotten")                                            \
    X(-7, EXISTS, "taken by another")                                                              \
    X(-8, STATE, "not possible in this state")                                                     \
    X(-9, FULL, "a queue is full; try again later")                                                \
    X(-10, CLOSED, "closed")                                                                       \
    X(-11, UNAVAILABLE, "cannot be reached")                                                       \
    X(-12, TIMEOUT, "took longer than allowed")                                                    \
    X(-13, ABORTED, "the transaction is aborted")                                                  \
    X(-14, UNKNOWN, "the outcome cannot be known now: no majority of the nodes answers")           \
    X(-15, MISMATCH, "belongs to another cluster, node or version")                                \
    X(-16, AMNESIA, "came back with an empty or older disk")                                       \
    X(-17, ADDRESS, "the address cannot be listened on")                                           \
    X(-18, STORAGE, "the database could not be read or written")                                   \
    X(-19, CORRUPT, "the data is damaged")                                                         \
    X(-20, SYSTEM, "the operating system refused")                                                 \
    X(-21, CONFLICT, "lost against a concurrent transaction; run the transaction again")

enum troth_err {
    TROTH_OK = 0,
#define TROTH_ERR_ENUM(code, name, text) TROTH_ERR_##name = (code),
    TROTH_ERRORS(TROTH_ERR_ENUM)
#undef TROTH_ERR_ENUM
};

/* "NO_MEMORY"; "OK" for 0; "?" for a number that is no error. Static. */
const char *troth_err_name(int err);
/* The text for a human. Static. */
const char *troth_err_text(int err);

#endif

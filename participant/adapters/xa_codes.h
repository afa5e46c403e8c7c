/* xa_codes: names and meanings of what an XA function returns, for messages to people. */
#ifndef ADAPTERS_XA_CODES_H
#define ADAPTERS_XA_CODES_H

#include <stdbool.h>
#include <stddef.h>

/* "XA_RETRY"; NULL: the specification knows no such code. Static. */
const char *xa_code_name(int code);
/* What the specification says it means, in a few words; "" for one that it does not know. */
const char *xa_code_text(int code);
/* One of XA_RB*: the branch was rolled back. */
bool xa_code_is_rollback(int code);
/* Writes "xa_commit: XA_RETRY (4), it can't be committed now". Returns `text`. */
char *xa_code_describe(const char *call, int code, char *text, size_t bytes);

#endif

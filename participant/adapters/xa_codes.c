/* The table of XA's return codes (X/Open C193, 4.5). */
#include "participant/adapters/xa_codes.h"

#include <stdio.h>

#include "participant/adapters/xa.h"

#define CODE(code, text)                                                                           \
    { code, #code, text }

static const struct {
    int code;
    const char *name;
    const char *text;
} codes[] = {
    CODE(XA_OK, "done"),
    CODE(XA_RDONLY, "the branch was read-only and is over"),
    CODE(XA_RETRY, "it can't be done now, and nothing was done"),
    CODE(XA_HEURMIX, "part of the branch was committed and part rolled back, without Troth"),
    CODE(XA_HEURRB, "the branch was rolled back without Troth"),
    CODE(XA_HEURCOM, "the branch was committed without Troth"),
    CODE(XA_HEURHAZ, "the branch may have been ended without Troth"),
    CODE(XA_NOMIGRATE, "the branch must be resumed where it was suspended"),
    CODE(XA_RBROLLBACK, "rolled back, for an unspecified reason"),
    CODE(XA_RBCOMMFAIL, "rolled back: its communication failed"),
    CODE(XA_RBDEADLOCK, "rolled back: a deadlock"),
    CODE(XA_RBINTEGRITY, "rolled back: the integrity of its data would be violated"),
    CODE(XA_RBOTHER, "rolled back, for a reason of its own"),
    CODE(XA_RBPROTO, "rolled back: a protocol error within it"),
    CODE(XA_RBTIMEOUT, "rolled back: it took too long"),
    CODE(XA_RBTRANSIENT, "rolled back: a passing error"),
    CODE(XAER_ASYNC, "it does not do asynchronous calls"),
    CODE(XAER_RMERR, "an error of the resource manager"),
    CODE(XAER_NOTA, "it does not know the branch"),
    CODE(XAER_INVAL, "it takes an argument for invalid"),
    CODE(XAER_PROTO, "the call does not fit the state of the branch"),
    CODE(XAER_RMFAIL, "the resource manager is not available"),
    CODE(XAER_DUPID, "the branch is there already"),
    CODE(XAER_OUTSIDE, "it works outside of any global transaction"),
};

static size_t find(int code) {
    size_t i = 0;
    while (i < sizeof codes / sizeof *codes && codes[i].code != code) {
        i++;
    }
    return i;
}

const char *xa_code_name(int code) {
    size_t i = find(code);
    return i < sizeof codes / sizeof *codes ? codes[i].name : NULL;
}

const char *xa_code_text(int code) {
    size_t i = find(code);
    return i < sizeof codes / sizeof *codes ? codes[i].text : "";
}

bool xa_code_is_rollback(int code) {
    return code >= XA_RBBASE && code <= XA_RBEND;
}

char *xa_code_describe(const char *call, int code, char *text, size_t bytes) {
    const char *name = xa_code_name(code);
    if (name != NULL) {
        snprintf(text, bytes, "%s: %s (%d), %s", call, name, code, xa_code_text(code));
    } else {
        snprintf(text, bytes, "%s: %d, a code that the XA specification does not know", call, code);
    }
    return text;
}

/* XA's calls over a shard (X/Open C193, chapter 5). What depends on the branch is the shard's to
 * say; what depends on the thread and on the arguments is looked at here. */
#include "client/xa/shard_xa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/troth_err.h"

/* ---- Arguments ------------------------------------------------------------------------------- */

static bool is_xid(const XID *xid) {
    return xid != NULL && xid->formatID != -1 && xid->gtrid_length >= 1 &&
           xid->gtrid_length <= MAXGTRIDSIZE && xid->bqual_length >= 0 &&
           xid->bqual_length <= MAXBQUALSIZE;
}

/* XA_OK, or what is wrong with the flags. */
static int check_flags(long flags, long allowed) {
    shard_xa_say("%s", "");
    if ((flags & TMASYNC) != 0) {
        shard_xa_say("TMASYNC is not supported");
        return XAER_ASYNC;
    }
    if ((flags & ~allowed) != 0) {
        shard_xa_say("flags %#lx are not allowed in this call", (unsigned long)flags);
        return XAER_INVAL;
    }
    return XA_OK;
}

/* The checks of all calls for a branch. */
static int check(const XID *xid, int rmid, long flags, long allowed, struct shard_xa_rm **rm) {
    int code = check_flags(flags, allowed);
    if (code != XA_OK) {
        return code;
    }
    *rm = shard_xa_rm_find(rmid);
    if (*rm == NULL) {
        shard_xa_say("rmid %d is not open in this thread (xa_open)", rmid);
        return XAER_PROTO;
    }
    if (!is_xid(xid)) {
        shard_xa_say("the xid is malformed");
        return XAER_INVAL;
    }
    return XA_OK;
}

/* ---- Open and close -------------------------------------------------------------------------- */

struct open_string {
    char address[SHARD_XA_ADDRESS_SIZE];
    int64_t timeout_ms;
};

static bool read_setting(struct open_string *open, char *setting) {
    char *value = strchr(setting, '=');
    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (strcmp(setting, "address") == 0) {
        snprintf(open->address, sizeof open->address, "%s", value);
        const char *colon = strrchr(value, ':');
        return colon != NULL && colon != value && colon[1] != '\0';
    }
    if (strcmp(setting, "timeout_ms") == 0) {
        char *end;
        open->timeout_ms = strtol(value, &end, 10);
        return *end == '\0' && open->timeout_ms >= 1 && open->timeout_ms <= 3600000;
    }
    return false;
}

static bool read_open_string(struct open_string *open, const char *info) {
    char text[MAXINFOSIZE];
    *open = (struct open_string){.timeout_ms = SHARD_XA_TIMEOUT_MS};
    if (info == NULL || strnlen(info, MAXINFOSIZE) == MAXINFOSIZE) {
        return false;
    }
    strcpy(text, info);
    char *rest = NULL;
    for (char *setting = strtok_r(text, " ,;", &rest); setting != NULL;
         setting = strtok_r(NULL, " ,;", &rest)) {
        if (!read_setting(open, setting)) {
            return false;
        }
    }
    return open->address[0] != '\0';
}

static int shard_open(char *info, int rmid, long flags) {
    struct open_string open;
    int code = check_flags(flags, TMNOFLAGS);
    if (code != XA_OK || shard_xa_rm_find(rmid) != NULL) {
        return code; /* to open what is open does nothing */
    }
    if (!read_open_string(&open, info)) {
        shard_xa_say("the open string must be \"address=host:port\", and may have \" "
                     "timeout_ms=5000\"");
        return XAER_INVAL;
    }
    struct shard_xa_target *target = shard_xa_target_get(open.address);
    struct shard_xa_rm *rm = target == NULL ? NULL : shard_xa_rm_add(rmid, target, open.timeout_ms);
    if (rm == NULL) {
        if (target != NULL) {
            shard_xa_target_put(target);
        }
        shard_xa_say("out of memory, or %s is no address", open.address);
        return XAER_RMERR;
    }
    char from_the_first[TROTH_XA_TXID_BYTES] = "";
    XID first;
    bool more;
    if (shard_xa_recover(rm, from_the_first, &first, 1, &more) < 0) { /* is a shard there? */
        shard_xa_rm_close(rm);
        return XAER_RMERR;
    }
    return XA_OK;
}

static int shard_close(char *info, int rmid, long flags) {
    (void)info;
    int code = check_flags(flags, TMNOFLAGS);
    struct shard_xa_rm *rm = shard_xa_rm_find(rmid);
    if (code != XA_OK || rm == NULL) {
        return code; /* to close what is not open does nothing */
    }
    if (rm->associations != NULL) {
        shard_xa_say("this thread is associated with a branch (xa_end)");
        return XAER_PROTO;
    }
    shard_xa_rm_close(rm);
    return XA_OK;
}

/* ---- Start and end --------------------------------------------------------------------------- */

static int resume(struct shard_xa_rm *rm, const XID *xid) {
    struct shard_xa_association *suspended = shard_xa_associated(rm, xid);
    if (suspended == NULL) {
        shard_xa_say("this thread has not suspended its work for the branch");
        return XAER_PROTO;
    }
    int code = shard_xa_call(rm, SHARD_XA_RESUME, xid, NULL);
    if (code == XA_OK) {
        suspended->suspended = false;
    } else if (code != XAER_RMFAIL) {
        shard_xa_dissociate(rm, suspended); /* the branch is gone, or to be rolled back */
    }
    return code;
}

static int shard_start(XID *xid, int rmid, long flags) {
    struct shard_xa_rm *rm;
    int code = check(xid, rmid, flags, TMJOIN | TMRESUME | TMNOWAIT, &rm);
    if (code != XA_OK) {
        return code;
    }
    if ((flags & TMJOIN) != 0 && (flags & TMRESUME) != 0) {
        shard_xa_say("TMJOIN and TMRESUME exclude each other");
        return XAER_INVAL;
    }
    if (shard_xa_working(rm) != NULL) {
        shard_xa_say("this thread is associated with a branch (xa_end)");
        return XAER_PROTO;
    }
    if ((flags & TMRESUME) != 0) {
        return resume(rm, xid);
    }
    if (shard_xa_associated(rm, xid) != NULL) {
        shard_xa_say("this thread has suspended its work for the branch (TMRESUME)");
        return XAER_PROTO;
    }
    struct shard_xa_association *association = calloc(1, sizeof *association);
    if (association == NULL) {
        return XAER_RMERR;
    }
    association->xid = *xid;
    code = shard_xa_call(rm, (flags & TMJOIN) != 0 ? SHARD_XA_JOIN : SHARD_XA_START, xid,
                         association->txid);
    if (code != XA_OK) {
        free(association);
        return code;
    }
    DL_APPEND(rm->associations, association);
    return XA_OK;
}

static int suspend(struct shard_xa_rm *rm, struct shard_xa_association *association, long flags) {
    int code = shard_xa_call(rm, SHARD_XA_SUSPEND, &association->xid, NULL);
    if (code != XA_OK) {
        shard_xa_dissociate(rm, association);
        return code;
    }
    association->suspended = true;
    if ((flags & TMMIGRATE) != 0) {
        shard_xa_say("the association stays with this thread (TMNOMIGRATE)");
        return XA_NOMIGRATE;
    }
    return XA_OK;
}

static int shard_end(XID *xid, int rmid, long flags) {
    struct shard_xa_rm *rm;
    int code = check(xid, rmid, flags, TMSUSPEND | TMMIGRATE | TMSUCCESS | TMFAIL, &rm);
    if (code != XA_OK) {
        return code;
    }
    long how = flags & (TMSUSPEND | TMSUCCESS | TMFAIL);
    if ((how != TMSUSPEND && how != TMSUCCESS && how != TMFAIL) ||
        ((flags & TMMIGRATE) != 0 && how != TMSUSPEND)) {
        shard_xa_say("one of TMSUCCESS, TMFAIL and TMSUSPEND is needed; TMMIGRATE goes with the "
                     "last");
        return XAER_INVAL;
    }
    struct shard_xa_association *association = shard_xa_associated(rm, xid);
    if (association == NULL || (how == TMSUSPEND && association->suspended)) {
        shard_xa_say("this thread is not associated with the branch (xa_start)");
        return XAER_PROTO;
    }
    if (how == TMSUSPEND) {
        return suspend(rm, association, flags);
    }
    /* Over in this thread, whatever is said: a branch whose shard can't be reached now is not
     * gone on with, and if its end has not come through, it can't be prepared. */
    code = shard_xa_call(rm, how == TMFAIL ? SHARD_XA_FAIL : SHARD_XA_END, xid, NULL);
    shard_xa_dissociate(rm, association);
    return code;
}

/* ---- The two phases -------------------------------------------------------------------------- */

static int finish(XID *xid, int rmid, long flags, long allowed, enum shard_xa_call call) {
    struct shard_xa_rm *rm;
    int code = check(xid, rmid, flags, allowed, &rm);
    if (code != XA_OK) {
        return code;
    }
    if (shard_xa_associated(rm, xid) != NULL) {
        shard_xa_say("this thread is associated with the branch (xa_end)");
        return XAER_PROTO;
    }
    return shard_xa_call(rm, call, xid, NULL);
}

static int shard_prepare(XID *xid, int rmid, long flags) {
    return finish(xid, rmid, flags, TMNOFLAGS, SHARD_XA_PREPARE);
}

static int shard_commit(XID *xid, int rmid, long flags) {
    return finish(xid, rmid, flags, TMONEPHASE | TMNOWAIT,
                  (flags & TMONEPHASE) != 0 ? SHARD_XA_COMMIT_ONE_PHASE : SHARD_XA_COMMIT);
}

static int shard_rollback(XID *xid, int rmid, long flags) {
    return finish(xid, rmid, flags, TMNOFLAGS, SHARD_XA_ROLLBACK);
}

static int shard_forget(XID *xid, int rmid, long flags) {
    return finish(xid, rmid, flags, TMNOFLAGS, SHARD_XA_FORGET);
}

/* ---- Recovery -------------------------------------------------------------------------------- */

static int scan(struct shard_xa_rm *rm, XID *xids, size_t count) {
    size_t n = 0;
    while (n < count && !rm->scanned) {
        bool more = false;
        int got = shard_xa_recover(rm, rm->scan_after, xids + n, count - n, &more);
        if (got < 0) {
            return got;
        }
        n += (size_t)got;
        rm->scanned = !more || got == 0;
    }
    return (int)n;
}

static int shard_recover(XID *xids, long count, int rmid, long flags) {
    int code = check_flags(flags, TMSTARTRSCAN | TMENDRSCAN);
    if (code != XA_OK) {
        return code;
    }
    struct shard_xa_rm *rm = shard_xa_rm_find(rmid);
    if (rm == NULL) {
        shard_xa_say("rmid %d is not open in this thread (xa_open)", rmid);
        return XAER_PROTO;
    }
    bool starts = (flags & TMSTARTRSCAN) != 0;
    if (count < 0 || count > INT32_MAX || (xids == NULL && count > 0) ||
        (!starts && !rm->scanning)) {
        shard_xa_say("xa_recover needs room for `count` xids, and TMSTARTRSCAN at first");
        return XAER_INVAL;
    }
    if (starts) {
        rm->scan_after[0] = '\0';
        rm->scanned = false;
    }
    rm->scanning = true;
    code = scan(rm, xids, (size_t)count);
    if (code < 0 || (flags & TMENDRSCAN) != 0) {
        rm->scanning = false;
    }
    return code;
}

static int shard_complete(int *handle, int *retval, int rmid, long flags) {
    (void)handle;
    (void)retval;
    (void)rmid;
    (void)flags;
    shard_xa_say("no call is asynchronous here");
    return XAER_PROTO;
}

/* ---- What the world sees --------------------------------------------------------------------- */

struct xa_switch_t troth_shard_xa_switch = {
    .name = "troth-shard",
    .flags = TMNOMIGRATE,
    .version = 0,
    .xa_open_entry = shard_open,
    .xa_close_entry = shard_close,
    .xa_start_entry = shard_start,
    .xa_end_entry = shard_end,
    .xa_rollback_entry = shard_rollback,
    .xa_prepare_entry = shard_prepare,
    .xa_commit_entry = shard_commit,
    .xa_recover_entry = shard_recover,
    .xa_forget_entry = shard_forget,
    .xa_complete_entry = shard_complete,
};

int troth_xa_txid(int rmid, char txid[TROTH_XA_TXID_BYTES]) {
    const struct shard_xa_rm *rm = shard_xa_rm_find(rmid);
    const struct shard_xa_association *association = rm == NULL ? NULL : shard_xa_working(rm);
    if (association == NULL) {
        return TROTH_ERR_STATE;
    }
    memcpy(txid, association->txid, TROTH_XA_TXID_BYTES);
    return 0;
}

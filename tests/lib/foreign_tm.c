#include "tests/lib/foreign_tm.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_DOUBT_MAX 1000

void foreign_tm_init(struct foreign_tm *tm, const struct xa_switch_t *xa, const char *decisions) {
    memset(tm, 0, sizeof *tm);
    tm->xa = xa;
    snprintf(tm->decisions, sizeof tm->decisions, "%s", decisions);
}

void foreign_tm_add(struct foreign_tm *tm, const char *info) {
    assert(tm->n < FOREIGN_TM_RMS_MAX);
    snprintf(tm->info[tm->n++], MAXINFOSIZE, "%s", info);
}

static int first_bad(int code, int next) {
    return code != XA_OK ? code : next;
}

int foreign_tm_open(struct foreign_tm *tm) {
    int code = XA_OK;
    for (unsigned i = 0; i < tm->n; i++) {
        code = first_bad(code, tm->xa->xa_open_entry(tm->info[i], (int)i, TMNOFLAGS));
    }
    return code;
}

int foreign_tm_close(struct foreign_tm *tm) {
    char none[] = "";
    int code = XA_OK;
    for (unsigned i = 0; i < tm->n; i++) {
        code = first_bad(code, tm->xa->xa_close_entry(none, (int)i, TMNOFLAGS));
    }
    return code;
}

/* ---- One transaction ------------------------------------------------------------------------- */

struct foreign_tx foreign_tm_name(struct foreign_tm *tm) {
    return foreign_tm_named(tm, getpid(), atomic_fetch_add(&tm->txs, 1) + 1);
}

struct foreign_tx foreign_tm_named(const struct foreign_tm *tm, pid_t process, unsigned n) {
    struct foreign_tx tx = {.vote = {0}};
    for (unsigned i = 0; i < tm->n; i++) {
        XID *xid = &tx.xid[i];
        xid->formatID = FOREIGN_TM_FORMAT;
        xid->gtrid_length = snprintf(xid->data, MAXGTRIDSIZE, "%ld.%u", (long)process, n);
        xid->bqual_length = snprintf(xid->data + xid->gtrid_length, MAXBQUALSIZE, "branch-%u", i);
    }
    return tx;
}

int foreign_tm_start(struct foreign_tm *tm, struct foreign_tx *tx) {
    int code = XA_OK;
    for (unsigned i = 0; i < tm->n; i++) {
        code = first_bad(code, tm->xa->xa_start_entry(&tx->xid[i], (int)i, TMNOFLAGS));
    }
    return code;
}

int foreign_tm_end(struct foreign_tm *tm, struct foreign_tx *tx) {
    int code = XA_OK;
    for (unsigned i = 0; i < tm->n; i++) {
        code = first_bad(code, tm->xa->xa_end_entry(&tx->xid[i], (int)i, TMSUCCESS));
    }
    return code;
}

bool foreign_tm_prepare(struct foreign_tm *tm, struct foreign_tx *tx) {
    bool all = true;
    for (unsigned i = 0; i < tm->n; i++) {
        tx->vote[i] = tm->xa->xa_prepare_entry(&tx->xid[i], (int)i, TMNOFLAGS);
        all = all && (tx->vote[i] == XA_OK || tx->vote[i] == XA_RDONLY);
    }
    return all;
}

void foreign_tm_decide(struct foreign_tm *tm, const struct foreign_tx *tx) {
    int fd = open(tm->decisions, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    assert(fd >= 0);
    dprintf(fd, "%.*s\n", (int)tx->xid[0].gtrid_length, tx->xid[0].data);
    int err = fsync(fd);
    assert(err == 0);
    (void)err;
    close(fd);
}

int foreign_tm_finish(struct foreign_tm *tm, struct foreign_tx *tx) {
    int code = XA_OK;
    for (unsigned i = 0; i < tm->n; i++) {
        if (tx->vote[i] == XA_OK) {
            code = first_bad(code, tm->xa->xa_commit_entry(&tx->xid[i], (int)i, TMNOFLAGS));
        }
    }
    return code;
}

int foreign_tm_commit(struct foreign_tm *tm, struct foreign_tx *tx) {
    if (foreign_tm_end(tm, tx) != XA_OK || !foreign_tm_prepare(tm, tx)) {
        foreign_tm_rollback(tm, tx);
        return XA_RBROLLBACK;
    }
    foreign_tm_decide(tm, tx);
    return foreign_tm_finish(tm, tx);
}

void foreign_tm_rollback(struct foreign_tm *tm, struct foreign_tx *tx) {
    for (unsigned i = 0; i < tm->n; i++) {
        tm->xa->xa_end_entry(&tx->xid[i], (int)i, TMFAIL); /* where it has not ended before */
        int code = tm->xa->xa_rollback_entry(&tx->xid[i], (int)i, TMNOFLAGS);
        assert(code == XA_OK || code == XAER_NOTA || code >= XA_RBBASE || code == XAER_RMFAIL);
        (void)code;
    }
}

/* ---- Recovery -------------------------------------------------------------------------------- */

int foreign_tm_in_doubt(struct foreign_tm *tm, int rmid, XID *xids, int max, long page) {
    XID found[IN_DOUBT_MAX];
    assert(page <= IN_DOUBT_MAX);
    int n = 0;
    long flags = TMSTARTRSCAN;
    int got;
    do {
        got = tm->xa->xa_recover_entry(found, page, rmid, flags);
        for (int i = 0; i < got; i++) {
            if (found[i].formatID == FOREIGN_TM_FORMAT) {
                assert(n < max);
                xids[n++] = found[i];
            }
        }
        flags = TMNOFLAGS;
    } while (got == page);
    return got < 0 ? got : n;
}

static bool is_decided(const struct foreign_tm *tm, const XID *xid) {
    char line[MAXGTRIDSIZE + 2];
    bool found = false;
    FILE *file = fopen(tm->decisions, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strlen(line) == (size_t)xid->gtrid_length + 1 &&
                memcmp(line, xid->data, (size_t)xid->gtrid_length) == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

int foreign_tm_recover(struct foreign_tm *tm) {
    static XID xids[IN_DOUBT_MAX];
    int total = 0;
    for (unsigned rmid = 0; rmid < tm->n; rmid++) {
        int n = foreign_tm_in_doubt(tm, (int)rmid, xids, IN_DOUBT_MAX, 2);
        if (n < 0) {
            return n;
        }
        for (int i = 0; i < n; i++) {
            int code = is_decided(tm, &xids[i])
                           ? tm->xa->xa_commit_entry(&xids[i], (int)rmid, TMNOFLAGS)
                           : tm->xa->xa_rollback_entry(&xids[i], (int)rmid, TMNOFLAGS);
            if (code != XA_OK) {
                return code;
            }
        }
        total += n;
    }
    return total;
}

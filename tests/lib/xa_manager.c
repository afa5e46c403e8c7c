#include "tests/lib/xa_manager.h"

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/gid.h"
#include "tests/lib/crooked_file.h"

#define PROGRAM_RMID 1     /* the participant's are above 1,000 */
#define PATIENCE_MS  60000 /* only a failing test waits so long */

const char *xa_manager_library(void) {
    return CROOKED_SWITCH;
}

void xa_manager_rules(struct xa_manager *m, const char *rules) {
    int n = snprintf(m->open_info, sizeof m->open_info, "file=%s%s%s", m->path,
                     rules[0] == '\0' ? "" : ",", rules);
    ck_assert_int_lt(n, MAXINFOSIZE);
}

struct xa_manager *xa_manager_new(const char *rules) {
    struct xa_manager *m = calloc(1, sizeof *m);
    snprintf(m->folder, sizeof m->folder, "/tmp/troth-xa-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(m->folder));
    snprintf(m->path, sizeof m->path, "%s/b", m->folder);
    FILE *made = fopen(m->path, "w");
    ck_assert_ptr_nonnull(made);
    fclose(made);
    xa_manager_rules(m, rules);
    return m;
}

void xa_manager_free(struct xa_manager *m) {
    unlink(m->path);
    rmdir(m->folder);
    free(m);
}

/* ---- Working --------------------------------------------------------------------------------- */

static void read_gid(const char *text, XID *xid) {
    struct troth_gid gid;
    char gtrid[TROTH_XA_PART_BYTES], bqual[TROTH_XA_PART_BYTES];
    ck_assert_int_eq(troth_gid_parse(text, &gid), 0);
    ck_assert_int_eq(troth_gid_to_xa(&gid, gtrid, bqual), 0);
    *xid = (XID){.formatID = TROTH_XA_FORMAT,
                 .gtrid_length = (long)strlen(gtrid),
                 .bqual_length = (long)strlen(bqual)};
    snprintf(xid->data, sizeof xid->data, "%s%s", gtrid, bqual);
}

void xa_manager_work(struct xa_manager *m, const char *gid, bool prepares) {
    void *library = dlopen(CROOKED_SWITCH, RTLD_LAZY | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    struct xa_switch_t *xa = dlsym(library, "crooked_switch");
    ck_assert_ptr_nonnull(xa);
    char info[MAXINFOSIZE];
    XID xid;
    read_gid(gid, &xid);
    snprintf(info, sizeof info, "file=%s", m->path);
    ck_assert_int_eq(xa->xa_open_entry(info, PROGRAM_RMID, TMNOFLAGS), XA_OK);
    ck_assert_int_eq(xa->xa_start_entry(&xid, PROGRAM_RMID, TMNOFLAGS), XA_OK);
    ck_assert_int_eq(xa->xa_end_entry(&xid, PROGRAM_RMID, TMSUCCESS), XA_OK);
    if (prepares) {
        ck_assert_int_eq(xa->xa_prepare_entry(&xid, PROGRAM_RMID, TMNOFLAGS), XA_OK);
    }
    ck_assert_int_eq(xa->xa_close_entry(info, PROGRAM_RMID, TMNOFLAGS), XA_OK);
    dlclose(library);
}

/* ---- Looking --------------------------------------------------------------------------------- */

const char *xa_manager_state(struct xa_manager *m, const char *gid) {
    static char state[CROOKED_STATE_BYTES];
    struct crooked_file file;
    XID xid;
    read_gid(gid, &xid);
    ck_assert_int_eq(crooked_open(&file, m->path), 0);
    struct crooked_branch *branch = crooked_find(&file, &xid);
    snprintf(state, sizeof state, "%s", branch == NULL ? "" : branch->state);
    crooked_close(&file, 0);
    return state;
}

void xa_manager_set_state(struct xa_manager *m, const char *gid, const char *state) {
    struct crooked_file file;
    XID xid;
    read_gid(gid, &xid);
    ck_assert_int_eq(crooked_open(&file, m->path), 0);
    crooked_set(&file, &xid, state);
    crooked_close(&file, 1);
}

static void pause_a_bit(int *waited_ms, const char *what) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    *waited_ms += 5;
    ck_assert_msg(*waited_ms < PATIENCE_MS, "%s", what);
}

void xa_manager_await(struct xa_manager *m, const char *gid, const char *state) {
    char what[200];
    for (int waited_ms = 0; strcmp(xa_manager_state(m, gid), state) != 0;) {
        snprintf(what, sizeof what, "%s is %s, and never %s", gid, xa_manager_state(m, gid), state);
        pause_a_bit(&waited_ms, what);
    }
}

static char *hanging_mark(const struct xa_manager *m, char mark[sizeof m->path + 16]) {
    snprintf(mark, sizeof m->path + 16, "%s.hanging", m->path);
    return mark;
}

void xa_manager_await_hanging(struct xa_manager *m) {
    char mark[sizeof m->path + 16];
    for (int waited_ms = 0; access(hanging_mark(m, mark), F_OK) != 0;) {
        pause_a_bit(&waited_ms, "no call hangs");
    }
}

void xa_manager_end_hanging(struct xa_manager *m) {
    char mark[sizeof m->path + 16];
    ck_assert_int_eq(unlink(hanging_mark(m, mark)), 0);
}

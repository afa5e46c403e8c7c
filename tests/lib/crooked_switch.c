#include "tests/lib/crooked_switch.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "participant/adapters/xa_codes.h"
#include "tests/lib/crooked_file.h"

/* ---- What an open string says ---------------------------------------------------------------- */

#define RULES_MAX   16
#define MANAGERS    64
#define OPEN_MAX    64
#define CODE_HANGS  1000000001
#define CODE_NORMAL 1000000002

struct rule {
    char call[12];
    char mode[12]; /* "endless", ... */
    char effect[8];
    int code;
    int times; /* that are left; -1: always */
};

/* One open string: the same one with several rmids is one resource manager, whose rules count
 * together. */
struct manager {
    char info[MAXINFOSIZE];
    char path[MAXINFOSIZE];
    struct rule rules[RULES_MAX];
    size_t rules_n;
    int strangers;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct manager managers[MANAGERS];
static size_t managers_n;

static bool is_number(const char *text) {
    return text[0] == '-' || (text[0] >= '0' && text[0] <= '9');
}

static int code_of(const char *text) {
    for (int code = -20; code < 200; code++) {
        const char *name = xa_code_name(code);
        if (name != NULL && strcmp(name, text) == 0) {
            return code;
        }
    }
    return is_number(text) ? atoi(text) : CODE_NORMAL;
}

static void add_rule(struct manager *manager, const char *call, char *value) {
    struct rule *rule = &manager->rules[manager->rules_n++];
    char *times = strchr(value, ':');
    rule->times = times == NULL ? -1 : atoi(times + 1);
    value[strcspn(value, ":")] = '\0';
    char *effect = strchr(value, '+');
    snprintf(rule->effect, sizeof rule->effect, "%s", effect == NULL ? "" : effect + 1);
    value[strcspn(value, "+")] = '\0';
    snprintf(rule->call, sizeof rule->call, "%s", call);
    snprintf(rule->mode, sizeof rule->mode, "%s", value);
    rule->code = strcmp(value, "hang") == 0 ? CODE_HANGS : code_of(value);
}

/* The lock is held. NULL: a string that can't be read. */
static struct manager *manager_of(const char *info) {
    for (size_t i = 0; i < managers_n; i++) {
        if (strcmp(managers[i].info, info) == 0) {
            return &managers[i];
        }
    }
    if (managers_n == MANAGERS) {
        return NULL;
    }
    struct manager *manager = &managers[managers_n];
    memset(manager, 0, sizeof *manager);
    snprintf(manager->info, sizeof manager->info, "%s", info);
    char text[MAXINFOSIZE];
    snprintf(text, sizeof text, "%s", info);
    char *rest = NULL;
    for (char *item = strtok_r(text, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(item, '=');
        if (value == NULL || manager->rules_n == RULES_MAX) {
            return NULL;
        }
        *value++ = '\0';
        if (strcmp(item, "file") == 0) {
            snprintf(manager->path, sizeof manager->path, "%s", value);
        } else if (strcmp(item, "strangers") == 0) {
            manager->strangers = atoi(value);
        } else {
            add_rule(manager, item, value);
        }
    }
    managers_n += manager->path[0] != '\0';
    return manager->path[0] != '\0' ? manager : NULL;
}

/* ---- Threads of control ---------------------------------------------------------------------- */

static _Thread_local struct {
    int rmid;
    struct manager *manager;
    int cursor; /* of a scan; -1: none is under way */
} opened[OPEN_MAX];
static _Thread_local size_t opened_n;

static size_t place(int rmid) {
    size_t i = 0;
    while (i < opened_n && opened[i].rmid != rmid) {
        i++;
    }
    return i;
}

static struct manager *manager_here(int rmid) {
    size_t i = place(rmid);
    return i < opened_n ? opened[i].manager : NULL;
}

static void hang(const char *path) {
    char mark[MAXINFOSIZE + 16];
    snprintf(mark, sizeof mark, "%s.hanging", path);
    close(open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (access(mark, F_OK) == 0) {
        usleep(1000);
    }
}

/* What it is told to return now: CODE_NORMAL, or a code. */
static struct rule next_rule(struct manager *manager, const char *call) {
    struct rule found = {.code = CODE_NORMAL};
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < manager->rules_n; i++) {
        struct rule *rule = &manager->rules[i];
        if (strcmp(rule->call, call) == 0 && rule->times != 0) {
            rule->times -= rule->times > 0;
            found = *rule;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (found.code == CODE_HANGS) {
        hang(manager->path);
        found.code = XAER_RMFAIL;
    }
    return found;
}

static int xa_open(char *info, int rmid, long flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    struct manager *manager = manager_of(info);
    pthread_mutex_unlock(&lock);
    memset(info, '#', strlen(info)); /* a switch may scribble in it */
    if (manager == NULL) {
        return XAER_INVAL;
    }
    struct rule rule = next_rule(manager, "open");
    if (rule.code != CODE_NORMAL) {
        return rule.code;
    }
    if (access(manager->path, R_OK | W_OK) != 0 || opened_n == OPEN_MAX) {
        return XAER_RMERR;
    }
    if (manager_here(rmid) == NULL) {
        opened[opened_n].rmid = rmid;
        opened[opened_n].manager = manager;
        opened[opened_n++].cursor = -1;
    }
    return XA_OK;
}

static int xa_close(char *info, int rmid, long flags) {
    (void)info;
    (void)flags;
    size_t i = place(rmid);
    if (i == opened_n) {
        return XA_OK;
    }
    struct rule rule = next_rule(opened[i].manager, "close");
    opened[i] = opened[--opened_n];
    return rule.code != CODE_NORMAL ? rule.code : XA_OK;
}

/* ---- Branches -------------------------------------------------------------------------------- */

static bool is_heuristic(const char *state) {
    return strncmp(state, "heur", 4) == 0;
}

static int heuristic_code(const char *state) {
    return strcmp(state, "heurcom") == 0   ? XA_HEURCOM
           : strcmp(state, "heurrb") == 0  ? XA_HEURRB
           : strcmp(state, "heurmix") == 0 ? XA_HEURMIX
                                           : XA_HEURHAZ;
}

static bool is_there(const struct crooked_branch *branch) {
    return branch != NULL &&
           (is_heuristic(branch->state) || strcmp(branch->state, "prepared") == 0 ||
            strcmp(branch->state, "idle") == 0 || strcmp(branch->state, "active") == 0);
}

/* A call that behaves: from `from` (or `or_from`) to `to`. */
static int move(struct crooked_file *file, const XID *xid, const char *from, const char *or_from,
                const char *to) {
    struct crooked_branch *branch = crooked_find(file, xid);
    if (!is_there(branch)) {
        return XAER_NOTA;
    }
    if (is_heuristic(branch->state) && from != NULL && strcmp(from, "prepared") == 0) {
        return heuristic_code(branch->state);
    }
    if (strcmp(branch->state, from) != 0 &&
        (or_from == NULL || strcmp(branch->state, or_from) != 0)) {
        return XAER_PROTO;
    }
    crooked_set(file, xid, to);
    return XA_OK;
}

/* What the specification says that the branch is after the code; NULL: as before. */
static const char *state_after(const char *call, int code) {
    bool is_end = strcmp(call, "commit") == 0 || strcmp(call, "rollback") == 0;
    if (xa_code_is_rollback(code) || (is_end && code == XAER_RMERR)) {
        return "aborted";
    }
    if (strcmp(call, "prepare") == 0 && code == XA_RDONLY) {
        return "committed";
    }
    return code == XA_HEURCOM   ? "heurcom"
           : code == XA_HEURRB  ? "heurrb"
           : code == XA_HEURMIX ? "heurmix"
           : code == XA_HEURHAZ ? "heurhaz"
                                : NULL;
}

static int on_branch(const char *call, XID *xid, int rmid, long flags, const char *from,
                     const char *or_from, const char *to) {
    struct manager *manager = manager_here(rmid);
    if (manager == NULL) {
        return XAER_PROTO;
    }
    if (flags != TMNOFLAGS) {
        return XAER_INVAL;
    }
    struct rule rule = next_rule(manager, call);
    struct crooked_file file;
    if (crooked_open(&file, manager->path) != 0) {
        return XAER_RMFAIL;
    }
    int code = XA_OK;
    if (rule.code == CODE_NORMAL || strcmp(rule.effect, "done") == 0) {
        code = move(&file, xid, from, or_from, to);
    }
    if (rule.code != CODE_NORMAL) {
        code = rule.code;
        const char *after = state_after(call, code);
        if (strcmp(rule.effect, "gone") == 0) {
            crooked_set(&file, xid, "lost");
        } else if (rule.effect[0] == '\0' && after != NULL) {
            crooked_set(&file, xid, after);
        }
    }
    crooked_close(&file, 1);
    return code;
}

static int xa_start(XID *xid, int rmid, long flags) {
    struct manager *manager = manager_here(rmid);
    struct crooked_file file;
    if (manager == NULL || flags != TMNOFLAGS) {
        return manager == NULL ? XAER_PROTO : XAER_INVAL;
    }
    struct rule rule = next_rule(manager, "start");
    if (rule.code != CODE_NORMAL || crooked_open(&file, manager->path) != 0) {
        return rule.code != CODE_NORMAL ? rule.code : XAER_RMFAIL;
    }
    bool is_new = crooked_find(&file, xid) == NULL;
    if (is_new) {
        crooked_set(&file, xid, "active");
    }
    crooked_close(&file, is_new);
    return is_new ? XA_OK : XAER_DUPID;
}

static int xa_end(XID *xid, int rmid, long flags) {
    return on_branch("end", xid, rmid, flags & ~TMSUCCESS, "active", NULL, "idle");
}
static int xa_prepare(XID *xid, int rmid, long flags) {
    return on_branch("prepare", xid, rmid, flags, "idle", NULL, "prepared");
}
static int xa_commit(XID *xid, int rmid, long flags) {
    if (flags == TMONEPHASE) {
        return on_branch("commit", xid, rmid, TMNOFLAGS, "idle", NULL, "committed");
    }
    return on_branch("commit", xid, rmid, flags, "prepared", NULL, "committed");
}
static int xa_rollback(XID *xid, int rmid, long flags) {
    return on_branch("rollback", xid, rmid, flags, "prepared", "idle", "aborted");
}

static int xa_forget(XID *xid, int rmid, long flags) {
    struct manager *manager = manager_here(rmid);
    struct crooked_file file;
    if (manager == NULL || flags != TMNOFLAGS) {
        return manager == NULL ? XAER_PROTO : XAER_INVAL;
    }
    struct rule rule = next_rule(manager, "forget");
    if (rule.code != CODE_NORMAL || crooked_open(&file, manager->path) != 0) {
        return rule.code != CODE_NORMAL ? rule.code : XAER_RMFAIL;
    }
    struct crooked_branch *branch = crooked_find(&file, xid);
    int code = !is_there(branch) ? XAER_NOTA : !is_heuristic(branch->state) ? XAER_PROTO : XA_OK;
    if (code == XA_OK) {
        crooked_set(&file, xid, "forgotten");
    }
    crooked_close(&file, code == XA_OK);
    return code;
}

static int xa_complete(int *handle, int *retval, int rmid, long flags) {
    (void)handle;
    (void)retval;
    (void)rmid;
    (void)flags;
    return XAER_PROTO;
}

/* ---- Recovery -------------------------------------------------------------------------------- */

static void stranger(XID *xid, int number) {
    memset(xid, 0, sizeof *xid);
    xid->formatID = 4711;
    xid->gtrid_length = snprintf(xid->data, sizeof xid->data, "stranger %d", number);
    xid->bqual_length = 1;
}

/* XIDs that nobody may believe; the last ones claim to be Troth's. */
static void garbage(XID *xid, int number) {
    static const long lengths[][2] = {{1000, 1}, {-5, 10},  {64, 1000}, {LONG_MAX, LONG_MAX},
                                      {0, 0},    {64, -64}, {1, 0},     {LONG_MIN, 1},
                                      {64, 64},  {33, 5}};
    size_t i = (size_t)number % (sizeof lengths / sizeof *lengths);
    memset(xid, 0xee, sizeof *xid);
    xid->formatID = 0x54726f74;
    xid->gtrid_length = lengths[i][0];
    xid->bqual_length = lengths[i][1];
}

/* The file's branches that xa_recover is to list, from `skip` on. */
static int list_own(struct crooked_file *file, int skip, int copies, XID *xids, long count) {
    int n = 0;
    for (size_t i = 0; i < file->n; i++) {
        const char *state = file->branches[i].state;
        for (int copy = 0; copy < copies; copy++) {
            if ((strcmp(state, "prepared") == 0 || is_heuristic(state)) && skip-- <= 0 &&
                n < count) {
                xids[n++] = file->branches[i].xid;
            }
        }
    }
    return n;
}

static int recover_mode(const char *mode, XID *xids, long count, int *cursor) {
    if (strcmp(mode, "beyond") == 0) {
        return (int)count + 1000;
    }
    bool is_endless = strcmp(mode, "endless") == 0;
    for (int i = 0; i < count; i++) {
        stranger(&xids[i], is_endless ? *cursor + i : i);
    }
    *cursor += (int)count;
    return (int)count;
}

static int xa_recover(XID *xids, long count, int rmid, long flags) {
    struct manager *manager = manager_here(rmid);
    if (manager == NULL) {
        return XAER_PROTO;
    }
    int *cursor = &opened[place(rmid)].cursor;
    *cursor = flags & TMSTARTRSCAN ? 0 : *cursor;
    if (*cursor < 0 || count < 1 || (flags & ~(TMSTARTRSCAN | TMENDRSCAN)) != 0) {
        return XAER_INVAL;
    }
    struct rule rule = next_rule(manager, "recover");
    if (rule.code != CODE_NORMAL) {
        return rule.code;
    }
    if (strcmp(rule.mode, "endless") == 0 || strcmp(rule.mode, "repeats") == 0 ||
        strcmp(rule.mode, "beyond") == 0) {
        return recover_mode(rule.mode, xids, count, cursor);
    }
    struct crooked_file file;
    if (crooked_open(&file, manager->path) != 0) {
        return XAER_RMFAIL;
    }
    int first = strcmp(rule.mode, "garbage") == 0 ? 20 : manager->strangers;
    int n = 0;
    for (; n < count && *cursor + n < first; n++) {
        (strcmp(rule.mode, "garbage") == 0 ? garbage : stranger)(&xids[n], *cursor + n);
    }
    int skip = *cursor + n - first;
    n += list_own(&file, skip, strcmp(rule.mode, "twice") == 0 ? 2 : 1, xids + n, count - n);
    crooked_close(&file, 0);
    *cursor = n < count || flags & TMENDRSCAN ? -1 : *cursor + n;
    return strcmp(rule.mode, "unwritten") == 0 ? n + 10 : n;
}

/* ---- Dynamic registration -------------------------------------------------------------------- */

static bool is_registered(int rmid) {
    XID xid = {.formatID = 0};
    return ax_reg(rmid, &xid, TMNOFLAGS) == TM_OK && xid.formatID == -1 &&
           ax_unreg(rmid, TMNOFLAGS) == TM_OK;
}

static int dynamic_open(char *info, int rmid, long flags) {
    return is_registered(rmid) ? xa_open(info, rmid, flags) : XAER_RMFAIL;
}
static int dynamic_commit(XID *xid, int rmid, long flags) {
    return is_registered(rmid) ? xa_commit(xid, rmid, flags) : XAER_RMFAIL;
}

int crooked_work(int rmid) {
    struct manager *manager = manager_here(rmid);
    struct crooked_file file;
    XID xid = {.formatID = 0};
    if (manager == NULL) {
        return XAER_PROTO;
    }
    int code = ax_reg(rmid, &xid, TMNOFLAGS);
    if (code != TM_OK || xid.formatID == -1) {
        return code;
    }
    if (crooked_open(&file, manager->path) != 0) {
        return XAER_RMFAIL;
    }
    crooked_set(&file, &xid, "active");
    crooked_close(&file, 1);
    return TM_OK;
}

/* ---- Switches -------------------------------------------------------------------------------- */

#define SWITCH(NAME, FLAGS, VERSION, OPEN, COMMIT, RECOVER)                                        \
    {                                                                                              \
        NAME, FLAGS, VERSION, OPEN, xa_close, xa_start, xa_end, xa_rollback, xa_prepare, COMMIT,   \
            RECOVER, xa_forget, xa_complete                                                        \
    }

struct xa_switch_t crooked_switch =
    SWITCH("Crooked", TMNOMIGRATE, 0, xa_open, xa_commit, xa_recover);
struct xa_switch_t crooked_dynamic =
    SWITCH("Crooked, dynamic", TMREGISTER, 0, dynamic_open, dynamic_commit, xa_recover);
struct xa_switch_t crooked_registering =
    SWITCH("Crooked, registering", TMREGISTER, 0, xa_open, xa_commit, xa_recover);
struct xa_switch_t crooked_version =
    SWITCH("Crooked", TMNOFLAGS, 1, xa_open, xa_commit, xa_recover);
struct xa_switch_t crooked_nameless =
    SWITCH("\1\2\3", TMNOFLAGS, 0, xa_open, xa_commit, xa_recover);
struct xa_switch_t crooked_no_recover = SWITCH("Crooked", TMNOFLAGS, 0, xa_open, xa_commit, NULL);
struct xa_switch_t *crooked_pointer = &crooked_switch;
struct xa_switch_t *crooked_nothing = NULL;
char crooked_small[120] = "made for a long of 32 bits";

struct xa_switch_t *crooked_function(void) {
    return &crooked_switch;
}
struct xa_switch_t *crooked_nothing_function(void) {
    return NULL;
}

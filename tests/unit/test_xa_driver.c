/* An XA resource manager as a driver: votes, threads of control, lost connections, forgetting. */
#include "participant/adapters/xa_driver.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "participant/adapters/xa_codes.h"
#include "tests/lib/suite.h"
#include "tests/lib/xa_fixture.h"

static char why[DRIVER_WHY_BYTES];

/* ---- Making ---------------------------------------------------------------------------------- */

static int make(const char *cluster, const char *participant, const char *open_info) {
    struct driver *driver = NULL;
    struct xa_driver_options options = {
        .library = xa_fixture_library(), .symbol = "crooked_switch", .open_info = open_info};
    int err = xa_driver_new(&driver, cluster, participant, &options, why);
    if (err == 0) {
        driver->ops->free(driver);
    }
    return err;
}

START_TEST(a_cluster_name_that_does_not_fit_an_xid_is_refused) {
    ck_assert_int_eq(make("a234567890123456789012345678901", "crooked", NULL), 0);
    ck_assert_int_eq(make("a2345678901234567890123456789012", "crooked", NULL),
                     TROTH_ERR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(why, "at most 31"));
}
END_TEST

START_TEST(names_that_are_none_are_refused) {
    char longest[TROTH_GID_NAME_BYTES + 1];
    memset(longest, 'p', sizeof longest);
    longest[TROTH_GID_NAME_BYTES - 1] = '\0';
    ck_assert_int_eq(make("troth", longest, NULL), 0);
    longest[TROTH_GID_NAME_BYTES - 1] = 'p';
    longest[TROTH_GID_NAME_BYTES] = '\0';
    ck_assert_int_eq(make("troth", longest, NULL), TROTH_ERR_INVALID);
    ck_assert_int_eq(make("troth", "", NULL), TROTH_ERR_INVALID);
    ck_assert_int_eq(make("troth", "a b", NULL), TROTH_ERR_INVALID);
    ck_assert_int_eq(make("", "crooked", NULL), TROTH_ERR_INVALID);
}
END_TEST

START_TEST(an_open_string_longer_than_xa_allows_is_refused_and_not_shown) {
    char info[MAXINFOSIZE + 1];
    memset(info, 's', sizeof info);
    info[MAXINFOSIZE] = '\0';
    ck_assert_int_eq(make("troth", "crooked", info), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "at most 255"));
    ck_assert_ptr_null(strstr(why, "sss"));
    info[MAXINFOSIZE - 1] = '\0';
    ck_assert_int_eq(make("troth", "crooked", info), 0);
}
END_TEST

/* ---- At start -------------------------------------------------------------------------------- */

static void assert_check(const char *rules, int err, const char *says) {
    struct xa_fixture *f = xa_fixture_new(rules);
    why[0] = '\0';
    ck_assert_msg(f->driver->ops->check(f->connection, why) == err, "%s: %s", rules, why);
    ck_assert_msg(strstr(why, says) != NULL, "%s: \"%s\"", rules, why);
    ck_assert_ptr_null(strstr(why, "file=")); /* open strings have passwords */
    xa_fixture_free(f);
}

START_TEST(a_resource_manager_that_opens_and_lists_can_do_it) {
    assert_check("strangers=300", 0, "");
}
END_TEST

START_TEST(the_thread_that_checks_has_nothing_open_afterwards) {
    struct xa_fixture *f = xa_fixture_new("");
    ck_assert_int_eq(f->driver->ops->check(f->connection, why), 0);
    ck_assert(!f->connection->is_open);
    xa_fixture_free(f);
}
END_TEST

START_TEST(one_that_can_not_be_reached_yet_is_told_from_one_that_never_will) {
    assert_check("open=XAER_RMERR", TROTH_ERR_UNAVAILABLE, "xa_open: XAER_RMERR (-3)");
    assert_check("open=XAER_RMFAIL", TROTH_ERR_UNAVAILABLE, "XAER_RMFAIL");
    assert_check("open=XAER_PROTO", TROTH_ERR_UNAVAILABLE, "XAER_PROTO");
    assert_check("open=-500", TROTH_ERR_UNAVAILABLE, "-500");
    assert_check("open=7", TROTH_ERR_UNAVAILABLE, "XA_HEURCOM");
    assert_check("open=XAER_INVAL", TROTH_ERR_MISMATCH, "open string");
    assert_check("recover=XAER_RMFAIL", TROTH_ERR_UNAVAILABLE, "XAER_RMFAIL");
    assert_check("recover=XAER_RMERR", TROTH_ERR_UNAVAILABLE, "may this user");
    assert_check("recover=XAER_PROTO", TROTH_ERR_MISMATCH, "XAER_PROTO");
    assert_check("recover=endless", TROTH_ERR_MISMATCH, "does not come to an end");
}
END_TEST

START_TEST(there_is_no_sql) {
    struct xa_fixture *f = xa_fixture_new("");
    char begin[DRIVER_WHY_BYTES] = "x", prepare[DRIVER_WHY_BYTES] = "x";
    f->driver->ops->statements(f->driver, (struct troth_txid){.hi = 1, .lo = 1}, begin, prepare);
    ck_assert_str_eq(begin, "");
    ck_assert_str_eq(prepare, "");
    ck_assert_str_eq(f->driver->ops->kind, "xa");
    xa_fixture_free(f);
}
END_TEST

/* ---- Votes ----------------------------------------------------------------------------------- */

struct voting {
    const char *rule;
    const char *before;
    int result;
    const char *after;
};

static void assert_voting(const struct voting *voting) {
    char rules[100] = "";
    if (voting->rule[0] != '\0') {
        snprintf(rules, sizeof rules, "prepare=%s", voting->rule);
    }
    struct xa_fixture *f = xa_fixture_new(rules);
    struct troth_txid txid = xa_fixture_branch(f, voting->before);
    struct driver_branch vote = xa_fixture_vote(f, txid);
    ck_assert_msg(vote.result == voting->result, "%s, %s: %d, not %d (%s)", rules, voting->before,
                  vote.result, voting->result, vote.detail);
    ck_assert_msg(strcmp(xa_fixture_state(f, txid), voting->after) == 0, "%s, %s: it is %s", rules,
                  voting->before, xa_fixture_state(f, txid));
    ck_assert_uint_eq(vote.receipt, 0);
    bool is_vote = vote.result == DRIVER_PREPARED || vote.result == DRIVER_READ_ONLY;
    ck_assert_int_eq(is_vote, vote.detail[0] == '\0');
    xa_fixture_free(f);
}

START_TEST(a_branch_whose_work_is_done_is_prepared) {
    assert_voting(&(struct voting){"", "idle", DRIVER_PREPARED, "prepared"});
}
END_TEST

START_TEST(a_branch_that_its_client_prepared_is_found_in_the_list) {
    assert_voting(&(struct voting){"", "prepared", DRIVER_PREPARED, "prepared"});
    assert_voting(&(struct voting){"XAER_NOTA", "prepared", DRIVER_PREPARED, "prepared"});
}
END_TEST

START_TEST(a_branch_that_is_not_there_or_still_worked_in_is_not_prepared) {
    assert_voting(&(struct voting){"", "lost", DRIVER_NOT_PREPARED, "lost"});
    assert_voting(&(struct voting){"", "active", DRIVER_NOT_PREPARED, "active"});
    assert_voting(&(struct voting){"", "committed", DRIVER_NOT_PREPARED, "committed"});
}
END_TEST

START_TEST(a_branch_that_only_read_is_over) {
    assert_voting(&(struct voting){"XA_RDONLY", "idle", DRIVER_READ_ONLY, "committed"});
}
END_TEST

START_TEST(a_branch_that_was_rolled_back_is_not_prepared_whatever_the_reason) {
    for (int code = XA_RBBASE; code <= XA_RBEND; code++) {
        assert_voting(&(struct voting){xa_code_name(code), "idle", DRIVER_NOT_PREPARED, "aborted"});
    }
}
END_TEST

START_TEST(what_is_no_vote_is_asked_for_again) {
    static const struct voting votings[] = {
        {"XAER_RMFAIL", "idle", TROTH_ERR_UNAVAILABLE, "idle"},
        {"XAER_RMERR", "idle", TROTH_ERR_STORAGE, "idle"},
        {"XAER_INVAL", "idle", TROTH_ERR_INVALID, "idle"},
        {"XAER_ASYNC", "idle", TROTH_ERR_STATE, "idle"},
        {"XAER_DUPID", "idle", TROTH_ERR_STATE, "idle"},
        {"XAER_OUTSIDE", "idle", TROTH_ERR_STATE, "idle"},
        {"XA_RETRY", "idle", TROTH_ERR_STATE, "idle"},
        {"XA_NOMIGRATE", "idle", TROTH_ERR_STATE, "idle"},
        /* Also if it was prepared; the next call finds that. */
        {"XAER_RMFAIL+done", "idle", TROTH_ERR_UNAVAILABLE, "prepared"},
        {"77+done", "idle", TROTH_ERR_MISMATCH, "prepared"},
        {"1", "idle", TROTH_ERR_MISMATCH, "idle"},
        {"-1", "idle", TROTH_ERR_MISMATCH, "idle"},
        {"108", "idle", TROTH_ERR_MISMATCH, "idle"},
        {"-12345", "idle", TROTH_ERR_MISMATCH, "idle"},
    };
    for (size_t i = 0; i < sizeof votings / sizeof *votings; i++) {
        assert_voting(&votings[i]);
    }
}
END_TEST

START_TEST(a_heuristic_end_is_no_vote_and_its_end_tells_it) {
    static const char *const codes[] = {"XA_HEURCOM", "XA_HEURRB", "XA_HEURMIX", "XA_HEURHAZ"};
    static const char *const states[] = {"heurcom", "heurrb", "heurmix", "heurhaz"};
    for (int i = 0; i < 4; i++) {
        assert_voting(&(struct voting){codes[i], "idle", DRIVER_NOT_PREPARED, states[i]});
    }
}
END_TEST

START_TEST(each_vote_of_a_call_is_its_own_branch_s) {
    struct xa_fixture *f = xa_fixture_new("prepare=XA_RBDEADLOCK:1");
    struct driver_branch branches[4] = {{.txid = xa_fixture_branch(f, "idle")},
                                        {.txid = xa_fixture_branch(f, "prepared")},
                                        {.txid = xa_fixture_branch(f, "idle")},
                                        {.txid = xa_fixture_branch(f, "lost")}};
    f->driver->ops->vote(f->connection, branches, 4);
    ck_assert_int_eq(branches[0].result, DRIVER_NOT_PREPARED);
    ck_assert_ptr_nonnull(strstr(branches[0].detail, "XA_RBDEADLOCK"));
    ck_assert_int_eq(branches[1].result, DRIVER_PREPARED);
    ck_assert_int_eq(branches[2].result, DRIVER_PREPARED);
    ck_assert_int_eq(branches[3].result, DRIVER_NOT_PREPARED);
    xa_fixture_free(f);
}
END_TEST

/* ---- Forgetting ------------------------------------------------------------------------------ */

START_TEST(a_heuristically_completed_branch_is_listed_until_it_is_forgotten) {
    struct xa_fixture *f = xa_fixture_new("forget=XAER_RMERR:1");
    struct troth_txid txid = xa_fixture_branch(f, "heurcom");
    size_t n;
    ck_assert_int_eq(xa_fixture_forget(f, txid).result, TROTH_ERR_STORAGE);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(xa_fixture_forget(f, txid).result, 0);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 0);
    /* NOTA: it was forgotten before, which is what was wanted. */
    ck_assert_int_eq(xa_fixture_forget(f, txid).result, 0);
    xa_fixture_free(f);
}
END_TEST

START_TEST(what_is_not_forgotten_is_told) {
    static const struct {
        const char *rule;
        int result;
    } cases[] = {
        {"forget=XAER_RMFAIL", TROTH_ERR_UNAVAILABLE}, {"forget=XAER_PROTO", TROTH_ERR_STATE},
        {"forget=XAER_INVAL", TROTH_ERR_INVALID},      {"forget=XAER_ASYNC", TROTH_ERR_STATE},
        {"forget=XA_RETRY", TROTH_ERR_STATE},          {"forget=5000", TROTH_ERR_MISMATCH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xa_fixture *f = xa_fixture_new(cases[i].rule);
        struct driver_branch branch = xa_fixture_forget(f, xa_fixture_branch(f, "heurmix"));
        ck_assert_int_eq(branch.result, cases[i].result);
        ck_assert_str_ne(branch.detail, "");
        xa_fixture_free(f);
    }
}
END_TEST

/* ---- Connections ----------------------------------------------------------------------------- */

START_TEST(after_rmfail_the_resource_manager_is_closed_and_opened_again) {
    /* What xa_close says then is of no use. */
    struct xa_fixture *f = xa_fixture_new("prepare=XAER_RMFAIL:1,close=XAER_RMERR");
    struct troth_txid txid = xa_fixture_branch(f, "idle");
    ck_assert_int_eq(xa_fixture_vote(f, txid).result, TROTH_ERR_UNAVAILABLE);
    ck_assert(!f->connection->is_open);
    ck_assert_int_eq(xa_fixture_vote(f, txid).result, DRIVER_PREPARED);
    ck_assert(f->connection->is_open);
    xa_fixture_free(f);
}
END_TEST

START_TEST(a_resource_manager_that_is_down_at_first_is_opened_when_it_is_up) {
    struct xa_fixture *f = xa_fixture_new("open=XAER_RMFAIL:3");
    struct troth_txid txid = xa_fixture_prepared(f);
    size_t n;
    ck_assert_int_eq(xa_fixture_vote(f, txid).result, TROTH_ERR_UNAVAILABLE);
    struct driver_branch branch = xa_fixture_end(f, txid, true);
    ck_assert_int_eq(branch.result, TROTH_ERR_UNAVAILABLE);
    ck_assert(branch.nothing_done); /* so that XAER_NOTA to the next one is no success */
    ck_assert_int_eq(xa_fixture_list(f, &n, why), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(why, "XAER_RMFAIL"));
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    xa_fixture_free(f);
}
END_TEST

START_TEST(what_was_prepared_is_there_after_a_restart) {
    struct xa_fixture *f = xa_fixture_new("");
    struct troth_txid txid = xa_fixture_branch(f, "idle");
    ck_assert_int_eq(xa_fixture_vote(f, txid).result, DRIVER_PREPARED);
    xa_fixture_restart(f, "strangers=1");
    ck_assert_int_eq(xa_fixture_vote(f, txid).result, DRIVER_PREPARED);
    ck_assert_int_eq(xa_fixture_end(f, txid, true).result, 0);
    ck_assert_str_eq(xa_fixture_state(f, txid), "committed");
    xa_fixture_free(f);
}
END_TEST

/* ---- Threads of control ---------------------------------------------------------------------- */

static void *list_here(void *arg) {
    char text[DRIVER_WHY_BYTES];
    size_t n;
    ck_assert_int_eq(xa_fixture_list(arg, &n, text), 0);
    return NULL;
}

static void run(void *(*function)(void *), void *arg) {
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, function, arg), 0);
    pthread_join(thread, NULL);
}

START_TEST(a_connection_that_another_thread_uses_is_opened_there_too) {
    struct xa_fixture *f = xa_fixture_new("");
    size_t n;
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    /* The second of these threads may well have the id of the first. */
    run(list_here, f);
    run(list_here, f);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    xa_fixture_free(f);
}
END_TEST

START_TEST(no_rmid_is_ever_given_to_another_resource_manager) {
    struct xa_fixture *f = xa_fixture_new("");
    int last = ((struct xa_driver *)f->driver)->rmid;
    ck_assert_int_ge(last, XA_RMID_FIRST);
    for (int i = 0; i < 5; i++) {
        xa_fixture_restart(f, "");
        int rmid = ((struct xa_driver *)f->driver)->rmid;
        ck_assert_int_gt(rmid, last);
        last = rmid;
    }
    f->driver->ops->connection_free(NULL);
    xa_fixture_free(f);
}
END_TEST

static void close_elsewhere(struct xa_fixture *f) {
    struct xa_driver *driver = (struct xa_driver *)f->driver;
    char info[MAXINFOSIZE] = "";
    ck_assert_int_eq(driver->xa->xa_close_entry(info, driver->rmid, TMNOFLAGS), XA_OK);
}

START_TEST(what_another_thread_closed_is_opened_again) {
    /* As it is where the process is the thread of control: xa_close closes for all. */
    struct xa_fixture *f = xa_fixture_new("");
    struct troth_txid idle = xa_fixture_branch(f, "idle");
    struct troth_txid prepared = xa_fixture_prepared(f);
    size_t n;
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    close_elsewhere(f);
    ck_assert_int_eq(xa_fixture_vote(f, idle).result, DRIVER_NOT_PREPARED); /* for now */
    ck_assert_int_eq(xa_fixture_vote(f, idle).result, DRIVER_PREPARED);
    close_elsewhere(f);
    ck_assert_int_eq(xa_fixture_end(f, prepared, true).result, TROTH_ERR_STATE);
    ck_assert_int_eq(xa_fixture_end(f, prepared, true).result, 0);
    close_elsewhere(f);
    ck_assert_int_ne(xa_fixture_list(f, &n, why), 0);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    xa_fixture_free(f);
}
END_TEST

#define ROUNDS 20
struct worker {
    struct xa_fixture *f;
    struct troth_txid txids[ROUNDS];
};

static void *commit_all(void *arg) {
    struct worker *worker = arg;
    const struct driver_ops *ops = worker->f->driver->ops;
    struct driver_connection *connection = ops->connection_new(worker->f->driver);
    for (int i = 0; i < ROUNDS; i++) {
        struct driver_branch branch = {.txid = worker->txids[i], .commit = true};
        do {
            ops->end(connection, &branch, 1);
            branch.was_begun = true;
        } while (branch.result < 0);
        ck_assert_int_eq(branch.result, 0);
    }
    ops->connection_free(connection);
    return NULL;
}

START_TEST(several_connections_work_at_once) {
    struct xa_fixture *f = xa_fixture_new("commit=XAER_RMFAIL:10");
    struct worker workers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        workers[i].f = f;
        for (int k = 0; k < ROUNDS; k++) {
            workers[i].txids[k] = xa_fixture_prepared(f);
        }
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, commit_all, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < ROUNDS; k++) {
            ck_assert_str_eq(xa_fixture_state(f, workers[i].txids[k]), "committed");
        }
    }
    xa_fixture_free(f);
}
END_TEST

struct hanging {
    struct xa_fixture *f;
    struct driver_connection *connection;
    struct troth_txid txid;
};

static void *commit_and_hang(void *arg) {
    struct hanging *hanging = arg;
    struct driver_branch branch = {.txid = hanging->txid, .commit = true};
    hanging->f->driver->ops->end(hanging->connection, &branch, 1);
    return NULL;
}

START_TEST(a_call_that_never_returns_holds_up_no_other_connection) {
    struct xa_fixture *f = xa_fixture_new("commit=hang:1");
    struct hanging hanging = {.f = f,
                              .connection = f->driver->ops->connection_new(f->driver),
                              .txid = xa_fixture_prepared(f)};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, commit_and_hang, &hanging), 0);
    xa_fixture_await_hanging(f);
    struct troth_txid other = xa_fixture_prepared(f);
    ck_assert_int_eq(xa_fixture_vote(f, other).result, DRIVER_PREPARED);
    ck_assert_int_eq(xa_fixture_end(f, other, true).result, 0);
    ck_assert_str_eq(xa_fixture_state(f, other), "committed");
    ck_assert_str_eq(xa_fixture_state(f, hanging.txid), "prepared");
    xa_fixture_end_hanging(f);
    pthread_join(thread, NULL);
    f->driver->ops->connection_free(hanging.connection);
    xa_fixture_free(f);
}
END_TEST

int main(void) {
    return suite_run(
        "xa_driver",
        (const TTest *const[]){a_cluster_name_that_does_not_fit_an_xid_is_refused,
                               names_that_are_none_are_refused,
                               an_open_string_longer_than_xa_allows_is_refused_and_not_shown,
                               a_resource_manager_that_opens_and_lists_can_do_it,
                               the_thread_that_checks_has_nothing_open_afterwards,
                               one_that_can_not_be_reached_yet_is_told_from_one_that_never_will,
                               there_is_no_sql,
                               a_branch_whose_work_is_done_is_prepared,
                               a_branch_that_its_client_prepared_is_found_in_the_list,
                               a_branch_that_is_not_there_or_still_worked_in_is_not_prepared,
                               a_branch_that_only_read_is_over,
                               a_branch_that_was_rolled_back_is_not_prepared_whatever_the_reason,
                               what_is_no_vote_is_asked_for_again,
                               a_heuristic_end_is_no_vote_and_its_end_tells_it,
                               each_vote_of_a_call_is_its_own_branch_s,
                               a_heuristically_completed_branch_is_listed_until_it_is_forgotten,
                               what_is_not_forgotten_is_told,
                               after_rmfail_the_resource_manager_is_closed_and_opened_again,
                               a_resource_manager_that_is_down_at_first_is_opened_when_it_is_up,
                               what_was_prepared_is_there_after_a_restart,
                               a_connection_that_another_thread_uses_is_opened_there_too,
                               no_rmid_is_ever_given_to_another_resource_manager,
                               what_another_thread_closed_is_opened_again,
                               several_connections_work_at_once,
                               a_call_that_never_returns_holds_up_no_other_connection,
                               NULL});
}

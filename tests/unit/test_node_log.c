/* node_log: what is on disk after a crash, damage and a full disk. Whose folder it is, and who this
 * node is: test_node_log_identity.c. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/troth_err.h"
#include "tests/lib/node_log_folder.h"

/* ---- Records ------------------------------------------------------------------------------- */

static struct troth_txid txid(uint64_t sequence) {
    return troth_txid_make(0, 2, 7, sequence);
}

/* A record with votes of `n` participants in one ballot. */
static struct acceptor voted(uint32_t n, uint32_t ballot, enum paxos_vote vote) {
    struct paxos_participant members[16] = {0};
    struct acceptor record = {.promised = ballot};
    char name[PAXOS_NAME_BYTES];
    for (uint32_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "shard-%u", i);
        ck_assert_int_eq(paxos_participant_make(&members[i], name, (5ull << 32) + i), 0);
    }
    record.set = paxos_set_new(members, n);
    record.accepted = calloc(n, sizeof *record.accepted);
    for (uint32_t i = 0; i < n; i++) {
        record.accepted[i] = (struct paxos_accepted){.ballot = ballot, .vote = vote};
    }
    return record;
}

static void store(struct troth_txid id, struct acceptor record) {
    ck_assert_int_eq(node_log_store(node_log, id, &record), 0);
    acceptor_release(&record);
}

struct replayed {
    int n;
    int damaged;
    struct troth_txid txids[16];
    struct acceptor records[16];
    int marks;
    struct troth_txid mark;
};

static int keep_mark(void *arg, struct troth_txid mark) {
    struct replayed *replayed = arg;
    replayed->marks++;
    replayed->mark = mark;
    return 0;
}

static int keep_record(void *arg, struct troth_txid id, struct acceptor *record) {
    struct replayed *replayed = arg;
    replayed->txids[replayed->n] = id;
    if (record == NULL) {
        replayed->damaged++;
    } else {
        replayed->records[replayed->n] = *record;
        *record = (struct acceptor){0};
    }
    replayed->n++;
    return 0;
}

static struct replayed replay(void) {
    struct replayed replayed = {0};
    ck_assert_int_eq(node_log_replay(node_log, keep_mark, keep_record, &replayed), 0);
    return replayed;
}

static void release(struct replayed *replayed) {
    for (int i = 0; i < replayed->n; i++) {
        acceptor_release(&replayed->records[i]);
    }
}

/* ---- The log ------------------------------------------------------------------------------- */

START_TEST(S4_what_was_committed_is_replayed_as_it_was) {
    open_log();
    struct acceptor first = voted(3, 0, PAXOS_VOTE_PREPARED);
    first.accepted[1].vote = PAXOS_VOTE_NONE;
    struct acceptor second = voted(2, 4, PAXOS_VOTE_ABORTED);
    second.promised = 7;
    second.void_ballot = 5;
    second.outcome = PAXOS_OUTCOME_ABORTED;
    second.reason = PAXOS_REASON_TAKEOVER;
    store(txid(1), first);
    store(txid(2), second);
    store(txid(3), (struct acceptor){.promised = 9}); /* a promise without any vote */
    ck_assert_int_eq(node_log_commit(node_log), 0);
    reopen();
    struct replayed r = replay();
    ck_assert_int_eq(r.n, 3);
    ck_assert_int_eq(r.damaged, 0);
    ck_assert(troth_txid_equal(r.txids[0], txid(1)));
    ck_assert_uint_eq(r.records[0].set->n, 3);
    ck_assert_str_eq(r.records[0].set->members[2].name, "shard-2");
    ck_assert_uint_eq(r.records[0].set->members[2].incarnation, (5ull << 32) + 2);
    ck_assert_int_eq(r.records[0].accepted[0].vote, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(r.records[0].accepted[1].vote, PAXOS_VOTE_NONE);
    ck_assert_uint_eq(r.records[1].promised, 7);
    ck_assert_uint_eq(r.records[1].void_ballot, 5);
    ck_assert_uint_eq(r.records[1].accepted[1].ballot, 4);
    ck_assert_int_eq(r.records[1].outcome, PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(r.records[1].reason, PAXOS_REASON_TAKEOVER);
    ck_assert_uint_eq(r.records[2].promised, 9);
    ck_assert_ptr_null(r.records[2].set);
    release(&r);
    close_log();
}
END_TEST

START_TEST(S4_what_was_not_committed_is_gone_as_a_whole) {
    open_log();
    store(txid(1), voted(2, 0, PAXOS_VOTE_PREPARED));
    ck_assert_int_eq(node_log_commit(node_log), 0);
    store(txid(1), voted(2, 3, PAXOS_VOTE_ABORTED));
    store(txid(2), voted(2, 0, PAXOS_VOTE_PREPARED));
    ck_assert(node_log_has_batch(node_log));
    reopen();
    struct replayed r = replay();
    ck_assert_int_eq(r.n, 1);
    ck_assert_uint_eq(r.records[0].promised, 0);
    release(&r);
    close_log();
}
END_TEST

START_TEST(a_batch_without_writes_costs_no_sync) {
    open_log();
    uint64_t before = node_log_batches(node_log);
    ck_assert(!node_log_has_batch(node_log));
    ck_assert_int_eq(node_log_commit(node_log), 0);
    ck_assert_uint_eq(node_log_batches(node_log), before);
    close_log();
}
END_TEST

START_TEST(a_finished_record_is_one_row_with_its_outcome) {
    open_log();
    store(txid(1), voted(2, 0, PAXOS_VOTE_PREPARED));
    store(txid(1), (struct acceptor){.outcome = PAXOS_OUTCOME_COMMITTED, .finished = true});
    ck_assert_int_eq(node_log_commit(node_log), 0);
    ck_assert_str_eq(sql("SELECT count(*) FROM record"), "1");
    struct replayed r = replay();
    ck_assert_int_eq(r.records[0].outcome, PAXOS_OUTCOME_COMMITTED);
    ck_assert(r.records[0].finished);
    ck_assert_ptr_null(r.records[0].set);
    release(&r);
    close_log();
}
END_TEST

START_TEST(S6_below_a_mark_the_records_of_its_origin_go) {
    open_log();
    const struct acceptor finished = {.outcome = PAXOS_OUTCOME_COMMITTED, .finished = true};
    struct troth_txid other_origin = troth_txid_make(0, 2, 8, 1);
    store(txid(1), finished);
    store(txid(2), voted(1, 0, PAXOS_VOTE_PREPARED));
    store(txid(3), finished);
    store(other_origin, finished);
    ck_assert_int_eq(node_log_delete_below(node_log, txid(3)), 0);
    ck_assert_int_eq(node_log_store_mark(node_log, txid(2)), 0);
    ck_assert_int_eq(node_log_store_mark(node_log, txid(3)), 0);
    ck_assert_int_eq(node_log_commit(node_log), 0);
    reopen();
    struct replayed r = replay();
    ck_assert_int_eq(r.n, 2);
    ck_assert(troth_txid_equal(r.txids[0], txid(3)));
    ck_assert(troth_txid_equal(r.txids[1], other_origin));
    ck_assert_int_eq(r.marks, 1);
    ck_assert(troth_txid_equal(r.mark, txid(3)));
    ck_assert_int_eq(node_log_delete(node_log, txid(3)), 0);
    release(&r);
    r = replay();
    ck_assert_int_eq(r.n, 1);
    release(&r);
    close_log();
}
END_TEST

START_TEST(people_can_read_it_with_the_sqlite3_shell) {
    open_log();
    struct acceptor record = voted(2, 0, PAXOS_VOTE_PREPARED);
    record.accepted[1].vote = PAXOS_VOTE_READ_ONLY;
    store(txid(10), record);
    store(txid(11), (struct acceptor){.outcome = PAXOS_OUTCOME_ABORTED,
                                      .reason = PAXOS_REASON_DEADLINE,
                                      .finished = true});
    ck_assert_int_eq(node_log_commit(node_log), 0);
    ck_assert_str_eq(sql("SELECT txid FROM in_doubt"), "0000000200000007000000000000000a");
    ck_assert_str_eq(sql("SELECT count(*) FROM in_doubt"), "1");
    ck_assert_str_eq(sql("SELECT vote FROM votes WHERE participant = 'shard-1'"), "read-only");
    ck_assert_str_eq(sql("SELECT outcome || ' ' || reason || ' ' || begun_at FROM transactions "
                         "WHERE txid LIKE '%b'"),
                     "aborted deadline 2");
    close_log();
}
END_TEST

/* ---- Damage (ARCHITECTURE H10) ------------------------------------------------------------------
 */

START_TEST(a_damaged_record_is_isolated_and_its_txid_told) {
    static const char *const damages[] = {
        "UPDATE record SET promised = promised + 1 WHERE rowid_is",
        "UPDATE record SET outcome = 1 WHERE rowid_is",
        "UPDATE record SET outcome = 77 WHERE rowid_is",
        "UPDATE record SET finished = 1 WHERE rowid_is",
        "UPDATE record SET participants = replace(participants, ',1]', ',3]') WHERE rowid_is",
        "UPDATE record SET participants = '[[' WHERE rowid_is",
        "UPDATE record SET participants = '' WHERE rowid_is",
        "UPDATE record SET participants = NULL WHERE rowid_is",
        "UPDATE record SET participants = x'00ff' WHERE rowid_is",
        "UPDATE record SET sum = 0 WHERE rowid_is",
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char text[256];
        open_log();
        store(txid(1), voted(2, 0, PAXOS_VOTE_PREPARED));
        store(txid(2), voted(2, 0, PAXOS_VOTE_PREPARED));
        store(txid(3), voted(2, 0, PAXOS_VOTE_PREPARED));
        ck_assert_int_eq(node_log_commit(node_log), 0);
        snprintf(text, sizeof text, "%.*shex(txid) LIKE '%%2'",
                 (int)(strlen(damages[i]) - strlen("rowid_is")), damages[i]);
        sql(text);
        reopen();
        struct replayed r = replay();
        ck_assert_int_eq(r.n, 3);
        ck_assert_msg(r.damaged == 1, "%s", damages[i]);
        ck_assert_ptr_null(r.records[1].set);
        ck_assert(troth_txid_equal(r.txids[1], txid(2)));
        ck_assert_uint_eq(r.records[2].set->n, 2);
        release(&r);
        close_log();
    }
}
END_TEST

static int fail_record(void *arg, struct troth_txid id, struct acceptor *record) {
    (void)arg;
    (void)id;
    (void)record;
    return TROTH_ERR_NO_MEMORY;
}

START_TEST(a_replay_stops_at_the_first_error_of_its_user) {
    open_log();
    store(txid(1), voted(2, 0, PAXOS_VOTE_PREPARED));
    ck_assert_int_eq(node_log_replay(node_log, keep_mark, fail_record, NULL), TROTH_ERR_NO_MEMORY);
    close_log();
}
END_TEST

START_TEST(S4_a_full_disk_is_an_error_of_the_write_or_the_commit) {
    open_log();
    signal(SIGXFSZ, SIG_IGN);
    /* No file may grow beyond what it has. */
    struct stat wal;
    char wal_path[128];
    snprintf(wal_path, sizeof wal_path, "%s-wal", path);
    ck_assert_int_eq(stat(wal_path, &wal), 0);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    struct rlimit limit = before;
    limit.rlim_cur = (rlim_t)wal.st_size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int err = 0;
    for (uint64_t i = 1; i < 100 && err == 0; i++) {
        struct acceptor record = voted(16, 0, PAXOS_VOTE_PREPARED);
        err = node_log_store(node_log, txid(i), &record);
        acceptor_release(&record);
        if (err == 0) {
            err = node_log_commit(node_log);
        }
    }
    setrlimit(RLIMIT_FSIZE, &before);
    ck_assert_int_eq(err, TROTH_ERR_STORAGE);
    close_log();
}
END_TEST

int main(void) {
    return node_log_suite(
        "node_log", (const TTest *[]){S4_what_was_committed_is_replayed_as_it_was,
                                      S4_what_was_not_committed_is_gone_as_a_whole,
                                      a_batch_without_writes_costs_no_sync,
                                      a_finished_record_is_one_row_with_its_outcome,
                                      S6_below_a_mark_the_records_of_its_origin_go,
                                      people_can_read_it_with_the_sqlite3_shell,
                                      a_damaged_record_is_isolated_and_its_txid_told,
                                      a_replay_stops_at_the_first_error_of_its_user,
                                      S4_a_full_disk_is_an_error_of_the_write_or_the_commit, NULL});
}

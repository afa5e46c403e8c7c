/* `troth bench` against a cluster that runs: its figures, its histories, its exit status. */
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/process.h"
#include "harness/programs.h"
#include "shell/clock.h"
#include "tests/lib/history_fixture.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

/* The exit statuses that `troth --help` promises. */
enum { DONE = 0, USAGE = 2, UNKNOWN = 3, NO_CONTACT = 4, ERROR = 5 };

#define ARGS_MAX   24
#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

static char folder[64];

static const char *file(const char *name) {
    static char paths[2][128]; /* the last two stay */
    static unsigned n;
    char *path = paths[n++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void find_troth(char program[PROGRAMS_PATH_BYTES]) {
    char why[512];
    ck_assert_msg(program_find(NULL, PROGRAM_TROTH, program, why, sizeof why) == 0, "%s", why);
}

/* `troth bench` with these arguments, on the scene's cluster. */
static void bench(struct program_run *run, const char *const *args) {
    char program[PROGRAMS_PATH_BYTES];
    const char *all[ARGS_MAX] = {"bench", "--nodes", cluster_nodes(scene_cluster()), "--shards",
                                 cluster_shards(scene_cluster())};
    for (size_t n = 5; *args != NULL; args++) {
        ck_assert_uint_lt(n, ARGS_MAX - 1);
        all[n++] = *args;
    }
    find_troth(program);
    program_run(run, program, all);
}

static void ends(int status, const char *const *args, const char *const *words) {
    struct program_run run;
    bench(&run, args);
    ck_assert_msg(run.status == status, "exit status %d instead of %d: %s", run.status, status,
                  run.output);
    scene_has_words(run.output, words);
    program_run_release(&run);
}

/* No key of a load is left. */
static void nothing_is_left(void) {
    char program[PROGRAMS_PATH_BYTES];
    struct program_run run;
    find_troth(program);
    program_run(&run, program,
                WORDS("kv", "scan", "--from", "bench-", "--to", "bench.", "--nodes",
                      cluster_nodes(scene_cluster()), "--shards", cluster_shards(scene_cluster())));
    ck_assert_msg(run.status == DONE && run.output[0] == '\0', "%s", run.output);
    program_run_release(&run);
}

START_TEST(append_runs_as_many_as_it_is_asked_for_and_its_history_is_valid) {
    ends(DONE,
         WORDS("append", "--transactions", "100", "--clients", "4", "--keys", "4", "--history",
               file("append.edn")),
         WORDS("transactions  100\n", "committed ", "aborted ", "unknown       0\n", "p50 ", "p99 ",
               "append.edn"));
    history_file_is(file("append.edn"), 0, 0, "valid");
    nothing_is_left();
}
END_TEST

START_TEST(bank_runs_and_its_history_is_valid) {
    ends(DONE,
         WORDS("bank", "--transactions", "100", "--clients", "4", "--keys", "10", "--read-share",
               "30", "--history", file("bank.jsonl")),
         WORDS("transactions  100\n", "bank.jsonl"));
    history_file_is(file("bank.jsonl"), 10000, 0, "valid");
    nothing_is_left();
}
END_TEST

START_TEST(transfers_by_one_call_leave_a_valid_history_beside_reads) {
    ends(DONE,
         WORDS("bank", "--one-call", "--transactions", "200", "--clients", "4", "--keys", "10",
               "--read-share", "30", "--history", file("one.edn")),
         WORDS("bank by one call, 4 clients", "transactions  200\n", "one.edn"));
    history_file_is(file("one.edn"), 10000, 0, "valid");
    nothing_is_left();
}
END_TEST

/* With this seed one of the two accounts is soon empty. A shard that is asked to do the work
 * together with the vote says no by its vote. */
static void declines(const char *how, const char *path, bool by_vote) {
    ends(DONE,
         WORDS("bank", "--clients", "1", "--keys", "2", "--read-share", "0", "--transactions",
               "200", "--seed", "101", "--history", path, how),
         WORDS("declined ", "the payer had too little"));
    char *text = file_text(path);
    ck_assert_ptr_nonnull(strstr(text, "under the minimum 0"));
    ck_assert_int_eq(strstr(text, "voted aborted: add to") != NULL, by_vote);
    free(text);
}

START_TEST(a_transfer_by_one_call_that_the_payer_can_not_pay_is_declined_by_the_vote) {
    declines(NULL, file("steps.edn"), false);
    declines("--one-call", file("one.edn"), true);
    history_file_is(file("one.edn"), 2000, 0, "valid");
}
END_TEST

START_TEST(both_formats_can_be_asked_for_whatever_the_file_is_called) {
    ends(DONE,
         WORDS("append", "--transactions", "5", "--history", file("a"), "--history-format", "edn"),
         WORDS("committed"));
    char *text = file_text(file("a"));
    ck_assert_int_eq(strncmp(text, "{:index 0, :type :invoke, :f :txn, :process ", 44), 0);
    free(text);
    ends(DONE,
         WORDS("bank", "--transactions", "5", "--history", file("b"), "--history-format", "jsonl"),
         WORDS("committed"));
    text = file_text(file("b"));
    ck_assert_int_eq(strncmp(text, "{\"index\":0, \"type\":\"invoke\", ", 29), 0);
    free(text);
}
END_TEST

START_TEST(figures_in_JSON_add_up) {
    struct program_run run;
    bench(&run, WORDS("append", "--transactions", "50", "--seed", "7", "--json"));
    ck_assert_int_eq(run.status, DONE);
    struct json_object *object = json_tokener_parse(run.output);
    ck_assert_msg(object != NULL, "no JSON: %s", run.output);
    int64_t sum = 0;
    static const char *const parts[] = {"committed", "aborted",   "declined",
                                        "unknown",   "unreached", "failed"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        sum += json_object_get_int64(json_object_object_get(object, parts[i]));
    }
    ck_assert_int_eq(sum, 50);
    ck_assert_int_eq(json_object_get_int64(json_object_object_get(object, "transactions")), 50);
    ck_assert_int_eq(json_object_get_int64(json_object_object_get(object, "seed")), 7);
    double p50 = json_object_get_double(json_object_object_get(object, "p50_ms"));
    double p99 = json_object_get_double(json_object_object_get(object, "p99_ms"));
    ck_assert(p50 > 0 && p50 <= p99);
    json_object_put(object);
    program_run_release(&run);
}
END_TEST

static long size_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (long)status.st_size : 0;
}

static void rest(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* A bench without end that writes a history. `log` has what it says, and nothing else. */
static void launch(struct process *process, const char *path, const char *const *what) {
    *process = (struct process){.pid = 0};
    find_troth(process->program);
    snprintf(process->log, sizeof process->log, "%s", file("log"));
    unlink(process->log);
    const char *const *const lists[] = {WORDS("bench", "--seconds", "100000", "--history", path,
                                              "--nodes", cluster_nodes(scene_cluster()), "--shards",
                                              cluster_shards(scene_cluster())),
                                        what};
    for (int i = 0; i < 2; i++) {
        for (const char *const *args = lists[i]; *args != NULL; args++) {
            ck_assert_int_eq(process_add_arg(process, *args), 0);
        }
    }
    ck_assert_int_eq(process_start(process), 0);
}

/* The same; returns when the file has some lines. */
static void start_endless(struct process *process, const char *path, const char *const *what) {
    launch(process, path, what);
    while (size_of(path) < 10000) {
        ck_assert(process_running(process, NULL));
        rest();
    }
}

START_TEST(a_bench_that_is_killed_leaves_a_valid_history) {
    static struct process process;
    char path[128];
    snprintf(path, sizeof path, "%s", file("killed.edn"));
    start_endless(&process, path, WORDS("append"));
    process_signal(&process, SIGKILL);
    process_wait(&process, -1, NULL);
    process_release(&process);
    history_file_is(path, 0, 0, "valid");
    char *text = file_text(path);
    ck_assert_str_eq(text + strlen(text) - 2, "}\n");
    free(text);
}
END_TEST

START_TEST(a_bench_that_is_asked_to_end_ends_in_order) {
    static struct process process;
    char path[128];
    int status;
    snprintf(path, sizeof path, "%s", file("ended.edn"));
    start_endless(&process, path, WORDS("append"));
    process_signal(&process, SIGINT);
    ck_assert_int_eq(process_wait(&process, PROGRAM_RUN_MAX_MS, &status), 0);
    process_release(&process);
    ck_assert_int_eq(status, 0);
    char *said = file_text(file("log"));
    ck_assert_msg(strstr(said, "committed ") != NULL, "%s", said);
    free(said);
    history_file_is(path, 0, 0, "valid");
}
END_TEST

START_TEST(what_is_wrong_is_said_before_anything_is_done) {
    ends(USAGE, WORDS("frobnicate"), WORDS("there is no workload \"frobnicate\"", "append"));
    ends(USAGE, WORDS("append", "--history", "run.txt"), WORDS("run.txt", "--history-format"));
    ends(USAGE, WORDS("append", "--history", "a", "--history-format", "xml"), WORDS("\"xml\""));
    ends(USAGE, WORDS("append", "--history-format", "edn"), WORDS("needs --history"));
    ends(USAGE, WORDS("bank", "--keys", "1"), WORDS("needs 2 accounts"));
    ends(USAGE, WORDS("bank", "--max-txn-length", "2"), WORDS("for the workload append"));
    ends(USAGE, WORDS("append", "--one-call"), WORDS("for the workload bank"));
    ends(ERROR, WORDS("append", "--history", "/nowhere/run.edn"), WORDS("/nowhere/run.edn"));
}
END_TEST

START_TEST(a_history_that_can_not_be_written_ends_the_run) {
    ends(
        ERROR,
        WORDS("append", "--seconds", "100000", "--history", "/dev/full", "--history-format", "edn"),
        WORDS("/dev/full", "disk full"));
}
END_TEST

/* The scene's shards neither refuse nor answer. */
static void pause_shards(void) {
    for (unsigned i = 0; i < cluster_count(scene_cluster(), CLUSTER_SHARD); i++) {
        ck_assert_int_eq(cluster_pause(scene_cluster(), CLUSTER_SHARD, i), 0);
    }
}

static void resume_shards(void) {
    for (unsigned i = 0; i < cluster_count(scene_cluster(), CLUSTER_SHARD); i++) {
        ck_assert_int_eq(cluster_resume(scene_cluster(), CLUSTER_SHARD, i), 0);
    }
}

START_TEST(a_bench_whose_closing_reads_fail_and_whose_keys_stay_does_not_end_as_done) {
    static struct process process;
    int status;
    start_endless(&process, file("unread.edn"), WORDS("append", "--timeout-ms", "1000"));
    pause_shards();
    process_signal(&process, SIGINT);
    ck_assert_int_eq(process_wait(&process, PROGRAM_RUN_MAX_MS, &status), 0);
    process_release(&process);
    resume_shards();
    char *said = file_text(file("log"));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == UNKNOWN, "status %d: %s", status,
                  said);
    scene_has_words(said, WORDS("the closing reads did not commit", "are left", "committed "));
    free(said);
}
END_TEST

START_TEST(a_call_for_a_shard_that_is_not_there_was_not_committed_and_is_no_abort) {
    static struct process process;
    char path[128];
    char why[CLUSTER_WHY_BYTES];
    int status;
    snprintf(path, sizeof path, "%s", file("away.edn"));
    start_endless(&process, path, WORDS("bank", "--one-call", "--read-share", "0"));
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_SHARD, 1), 0);
    int64_t until_ms = clock_monotonic_ms() + PROGRAM_RUN_MAX_MS;
    for (bool told = false; !told && clock_monotonic_ms() < until_ms;) {
        char *text = file_text(path);
        told = strstr(text, "no session with this node") != NULL;
        free(text);
        ck_assert(process_running(&process, NULL));
        rest();
    }
    ck_assert_int_eq(cluster_start(scene_cluster(), CLUSTER_SHARD, 1, why), 0);
    ck_assert_msg(cluster_wait_ready(scene_cluster(), PROGRAM_RUN_MAX_MS, why) == 0, "%s", why);
    process_signal(&process, SIGINT);
    ck_assert_int_eq(process_wait(&process, PROGRAM_RUN_MAX_MS, &status), 0);
    process_release(&process);
    char *said = file_text(file("log"));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == DONE, "status %d: %s", status, said);
    scene_has_words(said, WORDS("committed ", "unreached ", "no node or shard did the work"));
    free(said);
    history_file_is(path, 64000, 0, "valid");
}
END_TEST

START_TEST(a_bench_that_still_waits_for_the_cluster_is_ended_by_a_signal) {
    static struct process process;
    int status;
    pause_shards();
    launch(&process, file("unbegun.edn"), WORDS("bank", "--timeout-ms", "3600000"));
    while (access(file("unbegun.edn"), F_OK) != 0) {
        ck_assert(process_running(&process, NULL));
        rest();
    }
    process_signal(&process, SIGINT);
    int err = process_wait(&process, PROGRAM_RUN_MAX_MS, &status);
    process_release(&process);
    resume_shards();
    ck_assert_int_eq(err, 0);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "status %d", status);
}
END_TEST

START_TEST(a_cluster_that_is_not_there_is_exit_status_4) {
    struct cluster *away; /* it holds its addresses and is never started */
    char program[PROGRAMS_PATH_BYTES];
    char why[CLUSTER_WHY_BYTES];
    struct program_run run;
    ck_assert_msg(cluster_new(&away, &(struct cluster_options){.nodes = 1, .shards = 1}, why) == 0,
                  "%s", why);
    find_troth(program);
    program_run(&run, program,
                WORDS("bench", "bank", "--timeout-ms", "2000", "--nodes", cluster_nodes(away),
                      "--shards", cluster_shards(away)));
    ck_assert_msg(run.status == NO_CONTACT, "exit status %d: %s", run.status, run.output);
    scene_has_words(run.output, WORDS("nothing is measured", "Check that the processes run"));
    program_run_release(&run);
    cluster_free(away);
}
END_TEST

int main(void) {
    snprintf(folder, sizeof folder, "/tmp/troth-bench-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return EXIT_FAILURE;
    }
    const TTest *const tests[] = {
        append_runs_as_many_as_it_is_asked_for_and_its_history_is_valid,
        bank_runs_and_its_history_is_valid,
        transfers_by_one_call_leave_a_valid_history_beside_reads,
        a_transfer_by_one_call_that_the_payer_can_not_pay_is_declined_by_the_vote,
        both_formats_can_be_asked_for_whatever_the_file_is_called,
        figures_in_JSON_add_up,
        a_bench_that_is_killed_leaves_a_valid_history,
        a_bench_that_is_asked_to_end_ends_in_order,
        what_is_wrong_is_said_before_anything_is_done,
        a_cluster_that_is_not_there_is_exit_status_4,
        a_history_that_can_not_be_written_ends_the_run,
        a_bench_whose_closing_reads_fail_and_whose_keys_stay_does_not_end_as_done,
        a_call_for_a_shard_that_is_not_there_was_not_committed_and_is_no_abort,
        a_bench_that_still_waits_for_the_cluster_is_ended_by_a_signal,
        NULL,
    };
    int status = scene_suite_run("bench", &(struct scene_options){.nodes = 3, .shards = 2}, tests);
    static const char *const files[] = {"append.edn",  "bank.jsonl", "a",         "b",
                                        "killed.edn",  "ended.edn",  "log",       "unread.edn",
                                        "unbegun.edn", "one.edn",    "steps.edn", "away.edn"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unlink(file(files[i]));
    }
    rmdir(folder);
    return status;
}

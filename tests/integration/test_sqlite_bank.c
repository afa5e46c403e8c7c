/* A program with two SQLite databases, over a real cluster: it is killed again and again, at any
 * point and at chosen ones; in the end every transfer is in both databases or in none, and what
 * was told is so. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/cluster_fixture.h"
#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"

#define TOLD_MAX 200000u
#define SUM      (2 * 20 * 1000) /* of all accounts: see sqlite_bank.c */

struct told {
    char txid[TROTH_TXID_TEXT];
    bool committed;
};
struct bank_program {
    struct fixture f;
    pid_t pid;
    FILE *to;
    FILE *from;
    char path[2][4400];
    struct told *told;
    size_t n_told;
    size_t committed;
};

static void open_bank(struct bank_program *bank) {
    static const char *const sides[] = {"west", "east"};
    *bank = (struct bank_program){.told = calloc(TOLD_MAX, sizeof *bank->told)};
    fixture_open(&bank->f, &(struct fixture_options){.nodes = 3});
    for (int i = 0; i < 2; i++) {
        snprintf(bank->path[i], sizeof bank->path[i], "%s/%s.db", cluster_data(bank->f.cluster),
                 sides[i]);
    }
}

static void start(struct bank_program *bank, const char *crash_point) {
    int to[2];
    int from[2];
    char *variables[256];
    char armed[128];
    size_t n = 0;
    for (char **variable = environ; *variable != NULL && n < 250; variable++) {
        variables[n++] = *variable;
    }
    snprintf(armed, sizeof armed, "TROTH_CRASH_POINT=%s", crash_point);
    if (crash_point[0] != '\0') {
        variables[n++] = armed;
    }
    variables[n] = NULL;
    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    char program[] = "sqlite_bank";
    char clients[] = "4";
    char *const args[] = {program,       (char *)(uintptr_t)cluster_nodes(bank->f.cluster),
                          bank->path[0], bank->path[1],
                          clients,       NULL};
    ck_assert_int_eq(posix_spawn(&bank->pid, SQLITE_BANK, &actions, NULL, args, variables), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    bank->to = fdopen(to[1], "w");
    bank->from = fdopen(from[0], "r");
}

/* Notes what the clients are told until so many have committed, or it ends. */
static void listen_for(struct bank_program *bank, size_t commits) {
    char line[80];
    char word[16];
    size_t until = bank->committed + commits;
    while (bank->committed < until && fgets(line, sizeof line, bank->from) != NULL) {
        struct told *told = &bank->told[bank->n_told];
        if (sscanf(line, "%15s %32s", word, told->txid) == 2 && strchr(line, '\n') != NULL) {
            told->committed = strcmp(word, "committed") == 0;
            bank->committed += told->committed;
            bank->n_told++;
            ck_assert_uint_lt(bank->n_told, TOLD_MAX);
        }
    }
}

/* The rest of what it said, and its status. */
static int end(struct bank_program *bank) {
    int status;
    listen_for(bank, TOLD_MAX);
    fclose(bank->from);
    ck_assert_int_eq(waitpid(bank->pid, &status, 0), bank->pid);
    if (bank->to != NULL) {
        fclose(bank->to);
    }
    return status;
}

static int64_t both(struct bank_program *bank, const char *sql) {
    return db_number(bank->path[0], sql) + db_number(bank->path[1], sql);
}

static void check_told(struct bank_program *bank) {
    char sql[100];
    char *west = db_text(bank->path[0], "SELECT group_concat(txid) FROM ledger");
    for (size_t i = 0; i < bank->n_told; i++) {
        bool there = strstr(west, bank->told[i].txid) != NULL;
        snprintf(sql, sizeof sql, "transfer %s", bank->told[i].txid);
        ck_assert_msg(there == bank->told[i].committed, "S4: %s was told %s, and is %s", sql,
                      bank->told[i].committed ? "committed" : "aborted",
                      there ? "there" : "not there");
    }
    free(west);
}

/* Runs it once more, which brings all to its end, and reads the files. */
static void check(struct bank_program *bank) {
    start(bank, "");
    listen_for(bank, 1);
    fclose(bank->to); /* the program reads its end */
    bank->to = NULL;
    int status = end(bank);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    ck_assert_int_eq(both(bank, "SELECT sum(money) FROM account"), SUM);
    ck_assert_int_eq(both(bank, "SELECT count(*) FROM troth_sqlite_work"), 0);
    ck_assert_int_eq(both(bank, "SELECT coalesce(sum(amount), 0) FROM ledger"), 0);
    char *west = db_dump(bank->path[0], "SELECT txid, -amount FROM ledger ORDER BY txid");
    char *east = db_dump(bank->path[1], "SELECT txid, amount FROM ledger ORDER BY txid");
    ck_assert_msg(strcmp(west, east) == 0, "S5: a transfer was done by half");
    free(west);
    free(east);
    for (int i = 0; i < 2; i++) { /* the trigger's sum: each was applied once, and once only */
        ck_assert_int_eq(db_number(bank->path[i], "SELECT sum FROM moved"),
                         db_number(bank->path[i], "SELECT sum(amount) FROM ledger"));
        ck_assert_int_eq(db_number(bank->path[i], "SELECT sum(money) - 20000 FROM account"),
                         db_number(bank->path[i], "SELECT sum FROM moved"));
    }
    check_told(bank);
    fixture_close(&bank->f);
    free(bank->told);
}

START_TEST(S5_money_is_conserved_when_the_program_is_killed_at_any_point) {
    struct bank_program bank;
    open_bank(&bank);
    for (unsigned round = 0; round < 6; round++) {
        start(&bank, "");
        listen_for(&bank, 3 + 7 * round);
        kill(bank.pid, SIGKILL);
        int status = end(&bank);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    check(&bank);
}
END_TEST

#ifdef TROTH_CRASH_POINTS
START_TEST(S4_money_is_conserved_around_every_write_of_a_branch) {
    static const char *const points[] = {
        "after.call.prepare:5",     "before.store.prepared:5", "after.store.prepared:6",
        "after.send.vote:5",        "before.call.commit:5",    "after.call.commit:6",
        "before.store.committed:5", "after.store.committed:6", "before.send.ack:5",
    };
    struct bank_program bank;
    open_bank(&bank);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        start(&bank, points[i]);
        int status = end(&bank);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: status %x",
                      points[i], (unsigned)status);
    }
    check(&bank);
}
END_TEST
#endif

START_TEST(a_node_that_is_killed_keeps_nobody_waiting) {
    struct bank_program bank;
    open_bank(&bank);
    start(&bank, "");
    for (unsigned node = 0; node < 2; node++) {
        listen_for(&bank, 10);
        fixture_kill(&bank.f, CLUSTER_NODE, node);
        listen_for(&bank, 10);
        fixture_start(&bank.f, CLUSTER_NODE, node, NULL);
    }
    kill(bank.pid, SIGKILL);
    end(&bank);
    check(&bank);
}
END_TEST

START_TEST(the_example_moves_money_or_says_why_not) {
    struct bank_program bank;
    struct program_run run;
    open_bank(&bank);
    const char *const args[] = {cluster_nodes(bank.f.cluster), bank.path[0], bank.path[1], NULL};
    program_run(&run, EXAMPLE_SQLITE, args);
    ck_assert_msg(run.status == 0 && strstr(run.output, "\ncommitted 0") != NULL &&
                      strstr(run.output, "west 90 east 110\n") != NULL,
                  "%d: %s", run.status, run.output);
    program_run_release(&run);
    program_run(&run, EXAMPLE_SQLITE, (const char *const[]){args[0], args[1], args[2], "91", NULL});
    ck_assert_msg(run.status == 1 && strstr(run.output, "CHECK constraint failed") != NULL &&
                      strstr(run.output, "west 90 east 110\n") != NULL,
                  "%d: %s", run.status, run.output);
    program_run_release(&run);
    fixture_close(&bank.f);
    free(bank.told);
}
END_TEST

int main(void) {
    return fixture_suite_run("SQLite bank",
                             (const TTest *[]){
                                 S5_money_is_conserved_when_the_program_is_killed_at_any_point,
#ifdef TROTH_CRASH_POINTS
                                 S4_money_is_conserved_around_every_write_of_a_branch,
#endif
                                 a_node_that_is_killed_keeps_nobody_waiting,
                                 the_example_moves_money_or_says_why_not,
                                 NULL,
                             });
}

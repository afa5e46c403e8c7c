/* troth-demo: Troth's main job on a cluster of its own. See demo_args_help. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/demo_args.h"
#include "harness/demo_outage.h"
#include "harness/demo_report.h"
#include "harness/demo_screen.h"
#include "harness/demo_stage.h"
#include "harness/folder.h"
#include "harness/programs.h"

#define EXIT_NOT_GOOD    1
#define EXIT_ARGUMENTS   2
#define EXIT_NOT_RUN     3
#define EXIT_INTERRUPTED 130

#define SETTLE_MS        1500 /* of transfers between two kills, and after the last */
#define CLASSIC_LOAD_MS  3000
#define BLOCK_TRIES      4

struct demo {
    struct demo_args args;
    char folder[2048];
    bool folder_is_ours;
    struct stage main_stage;
    struct stage classic_stage;
    struct half paxos;
    struct half classic;
    char why[STAGE_WHY_BYTES];
};

/* Better known now than after a minute. */
static int check_json(struct demo *demo) {
    FILE *file = demo->args.json == NULL ? NULL : fopen(demo->args.json, "ae");
    if (file != NULL) {
        fclose(file);
    } else if (demo->args.json != NULL) {
        snprintf(demo->why, sizeof demo->why, "cannot write %.500s: %s", demo->args.json,
                 strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    return 0;
}

static int make_folder(struct demo *demo) {
    if (demo->args.data == NULL) {
        if (folder_make_temporary(demo->folder, sizeof demo->folder) != 0) {
            snprintf(demo->why, sizeof demo->why, "cannot make the folder %.500s: %s; set TMPDIR",
                     demo->folder, strerror(errno));
            return TROTH_ERR_SYSTEM;
        }
        demo->folder_is_ours = true;
        /* A database server whose user is another must get through (database_server.h). */
        return demo->args.n_databases > 0 && chmod(demo->folder, 0711) != 0 ? TROTH_ERR_SYSTEM : 0;
    }
    snprintf(demo->folder, sizeof demo->folder, "%s", demo->args.data);
    if (folder_make(demo->folder) != 0) {
        snprintf(demo->why, sizeof demo->why, "cannot make the data folder %.500s: %s",
                 demo->folder, strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    if (!folder_is_empty(demo->folder)) {
        snprintf(demo->why, sizeof demo->why,
                 "the data folder %.500s is not empty; name another, or empty it", demo->folder);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

static void tell_outage(const struct outage *outage) {
    char text[256] = "";
    for (unsigned node = 1; node <= CLUSTER_MEMBERS_MAX; node++) {
        size_t n = strlen(text);
        if (outage->led[node] > 0 && node != outage->victim) {
            snprintf(text + n, sizeof text - n, "%snode %u took over %u", n == 0 ? "" : ", ", node,
                     outage->led[node]);
        }
    }
    size_t n = strlen(text);
    if (outage->led[outage->victim] + outage->led[0] > 0) {
        snprintf(text + n, sizeof text - n, "%s%u were decided already", n == 0 ? "" : ", ",
                 outage->led[outage->victim] + outage->led[0]);
    }
    double longest = 0;
    for (size_t i = 0; i < outage->n; i++) {
        if (outage->branches[i].waited_ms > longest) {
            longest = outage->branches[i].waited_ms;
        }
    }
    screen_say("%s: %zu committed, %zu aborted; the last branch was released after %.0f ms", text,
               outage->committed, outage->aborted, longest);
    if (outage->left > 0) {
        screen_say("%zu branches are still in doubt", outage->left);
    }
}

static int tell_no_doubt(void) {
    screen_say("no branch was in doubt at any good moment; with more --clients there are more");
    return 0;
}

static void tell_one_shard(void) {
    screen_say("with one shard a transfer has one participant, which commits in one phase: nothing "
               "is ever in doubt, so nobody is killed");
}

/* *orphaned: how many branches the kill left in doubt. */
static int kill_once(struct demo *demo, struct stage *stage, size_t *orphaned) {
    struct outage outage;
    int err = outage_run(stage, -1, &outage, demo->why);
    if (err == TROTH_ERR_NOT_FOUND) {
        return tell_no_doubt();
    }
    if (err == 0) {
        outage_who(stage, &outage);
        tell_outage(&outage);
        err = outage_return(stage, &outage, demo->why);
    }
    if (err == 0) {
        screen_say("node %u is back after %lld ms, and gives the same outcome as the others for "
                   "%zu of the %zu transactions that it had left",
                   outage.victim, (long long)outage.return_ms, outage.agreed, outage.asked);
        err = half_add_outage(&demo->paxos, &outage);
    }
    *orphaned = outage.orphaned;
    outage_release(&outage);
    return err;
}

static void finish_half(struct half *half, const struct stage *stage) {
    half->ran = true;
    half->counts = stage->counts;
    half->bank = stage->report;
    half->in_doubt_left = stage->in_doubt_left;
    half->good = stage_good(stage);
}

static void tell_end(const struct stage *stage) {
    const struct bank_report *report = &stage->report;
    char transfers[SCREEN_NUMBER_BYTES];
    char found[SCREEN_NUMBER_BYTES];
    char expected[SCREEN_NUMBER_BYTES];
    screen_say("%s transfers in the %s, %zu half done, %zu lost; money %s of %s",
               screen_number(transfers, (double)report->transfers),
               stage->n_databases > 0 ? "databases" : "shards' files", report->half_done,
               report->lost, screen_number(found, (double)report->money_found),
               screen_number(expected, (double)report->money_expected));
    if (!bank_report_good(report)) {
        screen_say("WRONG: %s", report->first);
    }
    if (stage->counts.unknown > 0) {
        screen_say("%llu transfers have no outcome", (unsigned long long)stage->counts.unknown);
    }
    if (stage->in_doubt_left > 0) {
        screen_say("%zu branches are left in doubt", stage->in_doubt_left);
    }
}

static int run_paxos(struct demo *demo) {
    struct stage *stage = &demo->main_stage;
    char folder[sizeof demo->folder + 32];
    double settle_tps = 0;
    snprintf(folder, sizeof folder, "%s/paxos-commit", demo->folder);
    screen_step("Paxos Commit: %u nodes, so that %u may fail", demo->args.nodes,
                demo->args.nodes / 2);
    int err = stage_open(stage, folder, demo->args.nodes, &demo->args, demo->why);
    if (err == 0) {
        err = stage_load(stage, (int64_t)demo->args.seconds * 1000, &demo->paxos.tps);
    }
    unsigned kills = demo->args.shards > 1 ? demo->args.kills : 0;
    if (err == 0 && kills == 0) {
        tell_one_shard();
    }
    /* A kill that left nothing in doubt shows nothing: there is one more then. */
    for (unsigned i = 0, shown = 0; err == 0 && shown < kills; i++) {
        size_t orphaned = 0;
        err = kill_once(demo, stage, &orphaned);
        shown += orphaned > 0 || i >= 2 * kills ? 1 : 0;
        if (err == 0) {
            err = stage_load(stage, SETTLE_MS, &settle_tps);
        }
    }
    if (err == 0) {
        err = stage_finish(stage, demo->why);
    }
    if (err == 0) {
        tell_end(stage);
        finish_half(&demo->paxos, stage);
    }
    return err;
}

/* The only node is killed and stays down for a while. *orphaned: how many branches that left in
 * doubt. */
static int block_once(struct demo *demo, struct stage *stage, size_t *orphaned) {
    struct outage outage;
    int err = outage_run(stage, (int64_t)demo->args.outage * 1000, &outage, demo->why);
    if (err == TROTH_ERR_NOT_FOUND) {
        return tell_no_doubt();
    }
    if (err == 0) {
        err = outage_return(stage, &outage, demo->why);
    }
    if (err == 0) {
        screen_say("%zu branches stayed blocked until it was started again, %u s later",
                   outage.orphaned, demo->args.outage);
        err = half_add_outage(&demo->classic, &outage);
    }
    *orphaned = outage.orphaned;
    outage_release(&outage);
    return err;
}

/* A kill that left nothing in doubt shows nothing: there is one more then. */
static int block(struct demo *demo, struct stage *stage) {
    double settle_tps = 0;
    size_t orphaned = 0;
    int err = block_once(demo, stage, &orphaned);
    for (unsigned i = 1; err == 0 && orphaned == 0 && i < BLOCK_TRIES; i++) {
        err = stage_load(stage, SETTLE_MS, &settle_tps);
        err = err != 0 ? err : block_once(demo, stage, &orphaned);
    }
    return err;
}

static int run_classic(struct demo *demo) {
    struct stage *stage = &demo->classic_stage;
    char folder[sizeof demo->folder + 32];
    snprintf(folder, sizeof folder, "%s/two-phase-commit", demo->folder);
    screen_step("%s one node, which is classic two-phase commit",
                demo->args.nodes == 1 ? "Only" : "The same with");
    int err = stage_open(stage, folder, 1, &demo->args, demo->why);
    if (err == 0) {
        err = stage_load(stage, CLASSIC_LOAD_MS, &demo->classic.tps);
    }
    if (err == 0 && demo->args.shards > 1) {
        err = block(demo, stage);
    } else if (err == 0) {
        tell_one_shard();
    }
    if (err == 0) {
        err = stage_finish(stage, demo->why);
    }
    if (err == 0) {
        tell_end(stage);
        finish_half(&demo->classic, stage);
    }
    return err;
}

/* The database's own client on it, and what its agent says. */
static void tell_client(const struct stage *stage, unsigned i) {
    static const char sql[] = "select * from accounts order by name limit 5";
    if (stage->databases[i].kind == DATABASE_POSTGRES) {
        printf("  psql '%s' -c '%s'\n", stage->databases[i].dsn, sql);
    } else {
        printf("  mariadb -h 127.0.0.1 -P %d -u root test -e '%s'\n",
               database_server_port(stage->servers[i]), sql);
    }
    printf("  troth agent %s\n", stage->databases[i].agent);
}

static void stay_up(const struct stage *stage) {
    const struct cluster *cluster = stage->cluster;
    char troth[PROGRAMS_PATH_BYTES] = "/";
    char why[STAGE_WHY_BYTES];
    if (program_find(NULL, PROGRAM_TROTH, troth, why, sizeof why) == 0) {
        *strrchr(troth, '/') = '\0';
    }
    screen_step("The cluster stays up. To look around, in another terminal:");
    printf("  export TROTH_NODES=%s\n  export PATH=\"%s:$PATH\"\n", cluster_nodes(cluster), troth);
    if (stage->n_databases == 0) {
        printf("  export TROTH_SHARDS=%s\n", cluster_shards(cluster));
    }
    printf("\n  troth status\n  troth tx list\n");
    if (stage->n_databases == 0) {
        printf("  troth kv get account-0001\n");
    }
    for (unsigned i = 0; i < stage->n_databases; i++) {
        tell_client(stage, i);
    }
    printf("  sqlite3 %s 'select * from transactions limit 5'\n\n  Ctrl-C ends it.\n",
           cluster_database(cluster, CLUSTER_NODE, 0));
    while (screen_wait_ms(60000)) {
    }
    printf("\n");
}

/* Frees all; the clients that wait for a dead node are not waited for. */
static int interrupted(struct demo *demo) {
    screen_say("interrupted");
    cluster_free(demo->main_stage.cluster);
    cluster_free(demo->classic_stage.cluster);
    if (demo->folder_is_ours) {
        folder_remove(demo->folder);
    }
    fflush(stdout);
    _exit(EXIT_INTERRUPTED);
}

static int end_stage(struct demo *demo, struct stage *stage) {
    int err = stage_stop(stage, demo->why);
    stage_release(stage);
    return err;
}

static int run(struct demo *demo) {
    demo->paxos.nodes = demo->args.nodes;
    demo->classic.nodes = 1;
    demo->paxos.databases = demo->classic.databases = demo->args.n_databases > 0;
    int err = check_json(demo);
    if (err == 0) {
        err = make_folder(demo);
    }
    if (err == 0 && demo->args.nodes > 1) {
        err = run_paxos(demo);
    }
    if (err == 0) {
        err = run_classic(demo);
    }
    if (err == TROTH_ERR_CLOSED && screen_interrupted()) {
        interrupted(demo);
    }
    if (err != 0) {
        return err;
    }
    screen_step("Side by side");
    report_table(&demo->paxos, &demo->classic, stdout);
    if (demo->args.json != NULL &&
        report_json(&demo->args, &demo->paxos, &demo->classic, demo->args.json) != 0) {
        snprintf(demo->why, sizeof demo->why, "cannot write %.500s: %s", demo->args.json,
                 strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    struct stage *last = demo->args.nodes > 1 ? &demo->main_stage : &demo->classic_stage;
    if (last != &demo->classic_stage) {
        err = end_stage(demo, &demo->classic_stage);
    }
    if (err == 0 && !demo->args.once) {
        stay_up(last);
    }
    return err == 0 ? end_stage(demo, last) : err;
}

int main(int argc, char *argv[]) {
    static struct demo demo;
    if (demo_args_read(&demo.args, argc, argv, demo.why) != 0) {
        fprintf(stderr, "troth-demo: %s\n", demo.why);
        return EXIT_ARGUMENTS;
    }
    if (demo.args.help) {
        demo_args_help(stdout);
        return 0;
    }
    if (demo.args.version) {
        printf("troth-demo %s\n", TROTH_VERSION);
        return 0;
    }
    screen_setup();
    int err = run(&demo);
    bool good = (!demo.paxos.ran || demo.paxos.good) && (!demo.classic.ran || demo.classic.good);
    if (err != 0) {
        screen_live_end();
        fprintf(stderr, "troth-demo: %s\n", demo.why[0] == '\0' ? troth_err_text(err) : demo.why);
    }
    stage_release(&demo.main_stage);
    stage_release(&demo.classic_stage);
    half_release(&demo.paxos);
    half_release(&demo.classic);
    bool nothing_ran = err == TROTH_ERR_NOT_FOUND; /* the programs are not built */
    if (demo.folder_is_ours && (nothing_ran || (err == 0 && good))) {
        folder_remove(demo.folder);
    } else if (demo.folder[0] != '\0' && demo.folder_is_ours) {
        fprintf(stderr, "the files, with the logs of all processes, are in %s\n", demo.folder);
    }
    if (err != 0) {
        return EXIT_NOT_RUN;
    }
    return good ? 0 : EXIT_NOT_GOOD;
}

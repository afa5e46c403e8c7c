/* troth tx list --heuristic, and forget: branches that ended by themselves, as the nodes keep it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/heuristics.h"
#include "cli/table.h"

static const char *did_name(int heuristic) {
    static const char *const names[] = {"none", "commit", "abort", "mixed", "hazard"};
    return heuristic >= 0 && (size_t)heuristic < sizeof names / sizeof *names ? names[heuristic]
                                                                              : "?";
}

/* ---- One list of what the nodes tell --------------------------------------------------------- */

struct kept {
    Troth__V1__HeuristicBranch *branch; /* borrowed */
    unsigned nodes;                     /* that keep it */
};
struct kept_list {
    struct ask ask;
    struct kept *items;
    size_t n;
    bool cut; /* a node has more than it tells at once */
};

static int by_branch(const void *left, const void *right) {
    const Troth__V1__HeuristicBranch *a = ((const struct kept *)left)->branch;
    const Troth__V1__HeuristicBranch *b = ((const struct kept *)right)->branch;
    int order = strcmp(a->txid, b->txid);
    return order != 0 ? order : strcmp(a->participant, b->participant);
}

static int by_time(const void *left, const void *right) {
    const Troth__V1__HeuristicBranch *a = ((const struct kept *)left)->branch;
    const Troth__V1__HeuristicBranch *b = ((const struct kept *)right)->branch;
    return a->stored_at != b->stored_at
               ? (a->stored_at > b->stored_at) - (a->stored_at < b->stored_at)
               : by_branch(left, right);
}

/* The nodes' rows of one branch become one: what is known by any, since the first heard of it. */
static void merge_into(Troth__V1__HeuristicBranch *to, Troth__V1__HeuristicBranch *from) {
    if (to->heuristic == TROTH__V1__HEURISTIC__HEURISTIC_HAZARD) {
        char *detail = to->detail;
        to->heuristic = from->heuristic;
        to->detail = from->detail;
        from->detail = detail;
    }
    if (to->outcome == TROTH__V1__OUTCOME__OUTCOME_NONE) {
        to->outcome = from->outcome;
    }
    if (from->stored_at < to->stored_at) {
        to->stored_at = from->stored_at;
    }
}

static void merge(struct kept_list *list) {
    size_t kept = 0;
    qsort(list->items, list->n, sizeof *list->items, by_branch);
    for (size_t i = 0; i < list->n; i++) {
        if (kept > 0 && by_branch(&list->items[kept - 1], &list->items[i]) == 0) {
            list->items[kept - 1].nodes++;
            merge_into(list->items[kept - 1].branch, list->items[i].branch);
        } else {
            list->items[kept++] = list->items[i];
        }
    }
    list->n = kept;
    qsort(list->items, list->n, sizeof *list->items, by_time);
}

/* Asks all nodes. `of` NULL: all; else those of its transaction, and participant if it names one.
 */
static int ask_kept(struct cli *cli, struct troth *troth, const struct troth_gid *of,
                    struct kept_list *list) {
    Troth__V1__HeuristicsRequest request = TROTH__V1__HEURISTICS_REQUEST__INIT;
    char txid[TROTH_TXID_TEXT] = "";
    size_t room = 1;
    *list = (struct kept_list){.n = 0};
    if (of != NULL) {
        troth_txid_format(of->txid, txid);
        request.txid = txid;
    }
    ask_all(cli, troth, "/troth.v1.Admin/Heuristics", &request.base,
            &troth__v1__heuristics_reply__descriptor, &list->ask);
    for (uint32_t i = 0; i < list->ask.n; i++) {
        const Troth__V1__HeuristicsReply *reply =
            (Troth__V1__HeuristicsReply *)list->ask.replies[i].reply;
        room += reply == NULL ? 0 : reply->n_heuristics;
    }
    list->items = calloc(room, sizeof *list->items);
    if (list->items == NULL) {
        ask_release(&list->ask);
        return cli_fail(cli, "", TROTH_ERR_NO_MEMORY, NULL);
    }
    for (uint32_t i = 0; i < list->ask.n; i++) {
        const Troth__V1__HeuristicsReply *reply =
            (Troth__V1__HeuristicsReply *)list->ask.replies[i].reply;
        for (size_t k = 0; reply != NULL && k < reply->n_heuristics; k++) {
            Troth__V1__HeuristicBranch *branch = reply->heuristics[k];
            if (of == NULL || of->participant[0] == '\0' ||
                strcmp(of->participant, branch->participant) == 0) {
                list->items[list->n++] = (struct kept){.branch = branch, .nodes = 1};
            }
        }
        list->cut = list->cut || (reply != NULL && reply->more);
    }
    merge(list);
    return 0;
}

static void release(struct kept_list *list) {
    free(list->items);
    ask_release(&list->ask);
}

uint32_t heuristics_kept_at(struct cli *cli, struct troth *troth, const struct troth_gid *branch) {
    struct kept_list list;
    uint32_t nodes = 0;
    if (ask_kept(cli, troth, branch, &list) == 0) {
        nodes = list.n > 0 ? list.items[0].nodes : 0;
        release(&list);
    }
    return nodes;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static char *time_text(uint64_t seconds, bool zone, char text[32]) {
    time_t at = (time_t)seconds;
    struct tm parts;
    if ((zone ? gmtime_r(&at, &parts) : localtime_r(&at, &parts)) == NULL ||
        strftime(text, 32, zone ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        strcpy(text, "?");
    }
    return text;
}

/* It did the same as the transaction. */
static bool agrees(const Troth__V1__HeuristicBranch *branch) {
    return (branch->heuristic == TROTH__V1__HEURISTIC__HEURISTIC_COMMIT &&
            branch->outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED) ||
           (branch->heuristic == TROTH__V1__HEURISTIC__HEURISTIC_ABORT &&
            branch->outcome == TROTH__V1__OUTCOME__OUTCOME_ABORTED);
}

static const char *outcome_name(const Troth__V1__HeuristicBranch *branch) {
    return branch->outcome == TROTH__V1__OUTCOME__OUTCOME_NONE
               ? "undecided"
               : cli_outcome_name((enum troth_outcome)branch->outcome);
}

static void print_table(const struct cli *cli, const struct kept_list *list, size_t limit) {
    static const char *const headers[] = {"TXID",  "PARTICIPANT", "DID",    "OUTCOME",
                                          "SINCE", ">NODES",      "DETAIL", NULL};
    struct table *table = table_new(headers);
    for (size_t i = 0; i < list->n && i < limit; i++) {
        const Troth__V1__HeuristicBranch *branch = list->items[i].branch;
        enum table_color color = agrees(branch) ? TABLE_WARN : TABLE_BAD;
        char since[32];
        table_cell(table, TABLE_PLAIN, "%s", branch->txid);
        table_cell(table, TABLE_PLAIN, "%s", branch->participant);
        table_cell(table, color, "%s", did_name((int)branch->heuristic));
        table_cell(table, TABLE_PLAIN, "%s", outcome_name(branch));
        table_cell(table, TABLE_PLAIN, "%s", time_text(branch->stored_at, false, since));
        table_cell(table, TABLE_PLAIN, "%u", list->items[i].nodes);
        table_cell(table, TABLE_PLAIN, "%s", branch->detail);
    }
    table_print(table, stdout, cli->color);
    table_free(table);
}

static struct json_object *json_of(const struct kept *kept) {
    const Troth__V1__HeuristicBranch *branch = kept->branch;
    struct json_object *object = json_object_new_object();
    char since[32];
    json_object_object_add(object, "txid", json_object_new_string(branch->txid));
    json_object_object_add(object, "participant", json_object_new_string(branch->participant));
    json_object_object_add(object, "heuristic",
                           json_object_new_string(did_name((int)branch->heuristic)));
    json_object_object_add(
        object, "outcome",
        json_object_new_string(cli_outcome_name((enum troth_outcome)branch->outcome)));
    json_object_object_add(object, "detail", json_object_new_string(branch->detail));
    json_object_object_add(object, "since",
                           json_object_new_string(time_text(branch->stored_at, true, since)));
    json_object_object_add(object, "nodes", json_object_new_int64(kept->nodes));
    return object;
}

int heuristics_list(struct cli *cli, struct troth *troth) {
    struct kept_list list;
    size_t limit = cli->limit == 0 ? 1000 : cli->limit;
    int status = ask_kept(cli, troth, NULL, &list);
    if (status != 0) {
        return status;
    }
    status = ask_complain(cli, &list.ask);
    if (cli->json) {
        struct json_object *array = json_object_new_array();
        for (size_t i = 0; i < list.n && i < limit; i++) {
            json_object_array_add(array, json_of(&list.items[i]));
        }
        cli_print_json(array);
    } else {
        print_table(cli, &list, limit);
    }
    fflush(stdout);
    if (list.cut || list.n > limit) {
        fprintf(stderr, "There are more; --limit shows more of them, up to 1,000 of a node.\n");
    }
    release(&list);
    return status;
}

/* ---- Forgetting ------------------------------------------------------------------------------ */

/* Returns how many branches are forgotten, at any node. */
static uint32_t forget_all(struct cli *cli, struct troth *troth, const struct troth_gid *of,
                           struct ask *ask) {
    Troth__V1__ForgetHeuristicRequest request = TROTH__V1__FORGET_HEURISTIC_REQUEST__INIT;
    char txid[TROTH_TXID_TEXT];
    char participant[TROTH_GID_NAME_BYTES];
    char who[128];
    uint32_t most = 0;
    troth_txid_format(of->txid, txid);
    memcpy(participant, of->participant, sizeof participant);
    snprintf(who, sizeof who, "%s", cli_who(cli));
    request.txid = txid;
    request.participant = participant;
    request.who = who;
    ask_all(cli, troth, "/troth.v1.Admin/ForgetHeuristic", &request.base,
            &troth__v1__forget_heuristic_reply__descriptor, ask);
    for (uint32_t i = 0; i < ask->n; i++) {
        const Troth__V1__ForgetHeuristicReply *reply =
            (Troth__V1__ForgetHeuristicReply *)ask->replies[i].reply;
        most = reply != NULL && reply->forgotten > most ? reply->forgotten : most;
    }
    return most;
}

/* 0: go on. */
static int ask_whether(const struct cli *cli, const struct kept_list *list) {
    if (cli->yes) {
        return 0;
    }
    if (!isatty(STDIN_FILENO)) {
        return cli_usage(cli, "standard input is no terminal to ask at; --yes forgets unasked");
    }
    print_table(cli, list, list->n);
    if (cli_confirm("yes", "Forget %s at all nodes? Type yes: ", list->n == 1 ? "it" : "them")) {
        return 0;
    }
    fprintf(stderr, "Nothing was forgotten.\n");
    return CLI_NOT_DONE;
}

static void print_forgotten(const struct cli *cli, const struct troth_gid *of, uint32_t n,
                            const struct ask *ask) {
    char txid[TROTH_TXID_TEXT];
    troth_txid_format(of->txid, txid);
    if (cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "txid", json_object_new_string(txid));
        json_object_object_add(object, "forgotten", json_object_new_int64(n));
        json_object_object_add(object, "nodes", json_object_new_int64(ask->answered));
        cli_print_json(object);
        return;
    }
    printf("forgotten: %u of %s, at %u of %u nodes\n", n, txid, ask->answered, ask->n);
    fflush(stdout);
}

static int forget(struct cli *cli, struct troth *troth, const struct troth_gid *of,
                  const char *text) {
    struct kept_list list;
    struct ask ask;
    int status = ask_kept(cli, troth, of, &list);
    if (status != 0) {
        return status;
    }
    if (list.n == 0) {
        status = ask_complain(cli, &list.ask);
        if (status == CLI_DONE) {
            fprintf(stderr,
                    "%s: %s: no node keeps a heuristic of it; `troth tx list --heuristic` "
                    "shows those that there are\n",
                    cli->path, text);
            status = list.ask.answered == list.ask.n ? CLI_NOT_DONE : CLI_UNKNOWN;
        }
    } else {
        status = ask_whether(cli, &list);
    }
    bool go_on = list.n > 0 && status == 0;
    release(&list);
    if (!go_on) {
        return status;
    }
    uint32_t n = forget_all(cli, troth, of, &ask);
    print_forgotten(cli, of, n, &ask);
    status = ask_complain(cli, &ask);
    if (status == CLI_DONE && ask.answered < ask.n) {
        fprintf(stderr, "Those nodes may keep it still: repeat this when they are back.\n");
        status = CLI_UNKNOWN;
    }
    ask_release(&ask);
    return status;
}

int cli_tx_forget(struct cli *cli, int argc, char **argv) {
    struct troth_gid of;
    struct troth *troth;
    int status = cli_gid(cli, argv[0], &of);
    if (status != 0) {
        return status;
    }
    if (argc > 1) {
        if (strlen(argv[1]) >= sizeof of.participant) {
            return cli_usage(cli, "\"%.64s\" is no participant's name: it is too long", argv[1]);
        }
        snprintf(of.participant, sizeof of.participant, "%s", argv[1]);
    }
    status = cli_open(cli, &troth);
    if (status == 0) {
        status = ask_cluster(cli, troth, of.cluster);
        status = status == 0 ? forget(cli, troth, &of, argv[0]) : status;
        troth_close(troth);
    }
    return status;
}

/* troth tx list and show: what the nodes know, put together. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/heuristics.h"
#include "cli/table.h"
#include "cli/tx_look.h"

static const char *state_name(int state) {
    static const char *const names[] = {"none", "active", "preparing", "committed", "aborted"};
    return state >= 0 && (size_t)state < sizeof names / sizeof *names ? names[state] : "?";
}

static const char *vote_name(int vote) {
    static const char *const names[] = {"none", "prepared", "read-only", "aborted", "delegated"};
    return vote >= 0 && (size_t)vote < sizeof names / sizeof *names ? names[vote] : "?";
}

static enum table_color color_of(const Troth__V1__Transaction *transaction) {
    switch ((int)transaction->outcome) {
    case TROTH__V1__OUTCOME__OUTCOME_COMMITTED:
        return TABLE_GOOD;
    case TROTH__V1__OUTCOME__OUTCOME_ABORTED:
        return TABLE_BAD;
    default:
        return TABLE_WARN;
    }
}

/* Which of two nodes' views of one transaction says more. */
static bool knows_more(const Troth__V1__Transaction *a, const Troth__V1__Transaction *b) {
    bool a_decided = a->outcome != TROTH__V1__OUTCOME__OUTCOME_NONE;
    bool b_decided = b->outcome != TROTH__V1__OUTCOME__OUTCOME_NONE;
    if (a_decided != b_decided) {
        return a_decided;
    }
    return a->ballot != b->ballot ? a->ballot > b->ballot : a->n_branches > b->n_branches;
}

static int by_txid(const void *left, const void *right) {
    const Troth__V1__Transaction *a = *(Troth__V1__Transaction *const *)left;
    const Troth__V1__Transaction *b = *(Troth__V1__Transaction *const *)right;
    int order = strcmp(a->txid, b->txid);
    return order != 0 ? order : knows_more(a, b) ? -1 : 1;
}

static int by_age(const void *left, const void *right) {
    const Troth__V1__Transaction *a = *(Troth__V1__Transaction *const *)left;
    const Troth__V1__Transaction *b = *(Troth__V1__Transaction *const *)right;
    return a->age_ms > b->age_ms ? -1 : a->age_ms < b->age_ms;
}

struct look_list *look_list_new(void) {
    return calloc(1, sizeof(struct look_list));
}

void look_list_free(struct look_list *list) {
    if (list != NULL) {
        free(list->items);
        free(list);
    }
}

void look_list_take(struct look_list *list, Troth__V1__Transaction **items, size_t n) {
    if (n == 0) {
        return;
    }
    Troth__V1__Transaction **grown = realloc(list->items, (list->n + n) * sizeof *grown);
    if (grown == NULL) {
        return;
    }
    list->items = grown;
    memcpy(&list->items[list->n], items, n * sizeof *items);
    list->n += n;
}

void look_list_merge(struct look_list *list) {
    if (list->n == 0) {
        return;
    }
    qsort(list->items, list->n, sizeof *list->items, by_txid);
    size_t kept = 1;
    for (size_t i = 1; i < list->n; i++) {
        if (strcmp(list->items[i]->txid, list->items[kept - 1]->txid) != 0) {
            list->items[kept++] = list->items[i];
        }
    }
    list->n = kept;
    qsort(list->items, list->n, sizeof *list->items, by_age);
}

/* ---- Printing -------------------------------------------------------------------------------- */

static struct json_object *json_of(const Troth__V1__Transaction *transaction) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "txid", json_object_new_string(transaction->txid));
    json_object_object_add(object, "state",
                           json_object_new_string(state_name((int)transaction->state)));
    json_object_object_add(
        object, "outcome",
        json_object_new_string(cli_outcome_name((enum troth_outcome)transaction->outcome)));
    json_object_object_add(object, "reason",
                           json_object_new_string(cli_reason_name((int)transaction->reason)));
    json_object_object_add(object, "detail", json_object_new_string(transaction->detail));
    json_object_object_add(object, "ballot", json_object_new_int64(transaction->ballot));
    json_object_object_add(object, "leader", json_object_new_int64(transaction->leader));
    json_object_object_add(object, "age_ms", json_object_new_int64((int64_t)transaction->age_ms));
    struct json_object *branches = json_object_new_array();
    for (size_t i = 0; i < transaction->n_branches; i++) {
        const Troth__V1__BranchState *branch = transaction->branches[i];
        struct json_object *one = json_object_new_object();
        if (branch->branch != NULL) {
            json_object_object_add(one, "participant",
                                   json_object_new_string(branch->branch->participant));
            json_object_object_add(one, "incarnation",
                                   json_object_new_int64((int64_t)branch->branch->incarnation));
        }
        json_object_object_add(one, "vote", json_object_new_string(vote_name((int)branch->vote)));
        json_object_object_add(one, "ballot", json_object_new_int64(branch->ballot));
        json_object_object_add(one, "acked", json_object_new_boolean(branch->acked));
        json_object_object_add(one, "attached", json_object_new_boolean(branch->attached));
        json_object_array_add(branches, one);
    }
    json_object_object_add(object, "branches", branches);
    return object;
}

struct json_object *look_list_json(const struct look_list *list, size_t limit) {
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < list->n && i < limit; i++) {
        json_object_array_add(array, json_of(list->items[i]));
    }
    return array;
}

static const char *branch_names(const Troth__V1__Transaction *transaction, char *out,
                                size_t bytes) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < transaction->n_branches && used + 64 < bytes; i++) {
        const Troth__V1__BranchState *branch = transaction->branches[i];
        used += (size_t)snprintf(out + used, bytes - used, "%s%s:%s", i == 0 ? "" : " ",
                                 branch->branch == NULL ? "?" : branch->branch->participant,
                                 vote_name((int)branch->vote));
    }
    return out;
}

void look_list_print(const struct cli *cli, const struct look_list *list, size_t limit) {
    static const char *const headers[] = {"TXID",   "STATE",  "REASON",   ">AGE s",
                                          "LEADER", "BALLOT", "BRANCHES", NULL};
    struct table *table = table_new(headers);
    for (size_t i = 0; i < list->n && i < limit; i++) {
        const Troth__V1__Transaction *transaction = list->items[i];
        char names[256];
        table_cell(table, TABLE_PLAIN, "%s", transaction->txid);
        table_cell(table, color_of(transaction), "%s", state_name((int)transaction->state));
        table_cell(table, TABLE_PLAIN, "%s", cli_reason_name((int)transaction->reason));
        table_cell(table, TABLE_PLAIN, "%.1f", (double)transaction->age_ms / 1000);
        table_cell(table, TABLE_PLAIN, "%u", transaction->leader);
        table_cell(table, TABLE_PLAIN, "%u", transaction->ballot);
        table_cell(table, TABLE_PLAIN, "%s", branch_names(transaction, names, sizeof names));
    }
    table_print(table, stdout, cli->color);
    table_free(table);
}

/* ---- Commands -------------------------------------------------------------------------------- */

void look_ask_list(struct cli *cli, struct troth *troth, struct ask *ask, struct look_list *list) {
    Troth__V1__ListRequest request = TROTH__V1__LIST_REQUEST__INIT;
    if (cli->outcome != NULL) {
        request.undecided = strcmp(cli->outcome, "none") == 0;
        request.outcome = strcmp(cli->outcome, "committed") == 0
                              ? TROTH__V1__OUTCOME__OUTCOME_COMMITTED
                          : request.undecided ? TROTH__V1__OUTCOME__OUTCOME_NONE
                                              : TROTH__V1__OUTCOME__OUTCOME_ABORTED;
    }
    ask_all(cli, troth, "/troth.v1.Transactions/List", &request.base,
            &troth__v1__list_reply__descriptor, ask);
    for (uint32_t i = 0; i < ask->n; i++) {
        Troth__V1__ListReply *reply = (Troth__V1__ListReply *)ask->replies[i].reply;
        if (reply != NULL) {
            look_list_take(list, reply->transactions, reply->n_transactions);
            list->cut = list->cut || reply->more;
        }
    }
    look_list_merge(list);
}

void look_ask_in_doubt(struct cli *cli, struct troth *troth, struct ask *ask,
                       struct look_list *list) {
    Troth__V1__InDoubtRequest request = TROTH__V1__IN_DOUBT_REQUEST__INIT;
    ask_all(cli, troth, "/troth.v1.Admin/InDoubt", &request.base,
            &troth__v1__in_doubt_reply__descriptor, ask);
    for (uint32_t i = 0; i < ask->n; i++) {
        Troth__V1__InDoubtReply *reply = (Troth__V1__InDoubtReply *)ask->replies[i].reply;
        if (reply != NULL) {
            look_list_take(list, reply->transactions, reply->n_transactions);
            list->cut = list->cut || reply->more;
        }
    }
    look_list_merge(list);
}

/* Behind the table, also where standard output is a file: what it does not show. */
static void tell_more(const struct look_list *list, size_t limit) {
    fflush(stdout);
    if (list->n > limit) {
        fprintf(stderr, "%zu more; --limit shows more of them.\n", list->n - limit);
    }
    if (list->cut) {
        fprintf(stderr,
                "Not all are listed: a node tells at most 1,000, those that it has heard of "
                "first; --outcome or --in-doubt narrow the list.\n");
    }
}

int cli_tx_list(struct cli *cli, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (cli->in_doubt && cli->outcome != NULL) {
        return cli_usage(cli, "--in-doubt and --outcome exclude each other");
    }
    if (cli->heuristic && (cli->in_doubt || cli->outcome != NULL)) {
        return cli_usage(cli, "--heuristic excludes --in-doubt and --outcome");
    }
    struct troth *troth;
    int status = cli_open(cli, &troth);
    if (status != 0) {
        return status;
    }
    if (cli->heuristic) {
        status = heuristics_list(cli, troth);
        troth_close(troth);
        return status;
    }
    struct ask ask;
    struct look_list *list = look_list_new();
    if (list == NULL) {
        troth_close(troth);
        return cli_fail(cli, "", TROTH_ERR_NO_MEMORY, NULL);
    }
    (cli->in_doubt ? look_ask_in_doubt : look_ask_list)(cli, troth, &ask, list);
    status = ask_complain(cli, &ask);
    size_t limit = cli->limit == 0 ? 1000 : cli->limit;
    if (cli->json) {
        cli_print_json(look_list_json(list, limit));
    } else {
        look_list_print(cli, list, limit);
    }
    tell_more(list, limit);
    look_list_free(list);
    ask_release(&ask);
    troth_close(troth);
    return status;
}

static void show_table(const struct cli *cli, const struct ask *ask) {
    static const char *const headers[] = {"ASKED", "STATE",  "PROMISED", "PARTICIPANT", ">START",
                                          "VOTE",  "BALLOT", "ACKED",    "ATTACHED",    NULL};
    struct table *table = table_new(headers);
    for (uint32_t i = 0; i < ask->n; i++) {
        const Troth__V1__Transaction *view = (Troth__V1__Transaction *)ask->replies[i].reply;
        for (size_t b = 0; view != NULL && (b < view->n_branches || b == 0); b++) {
            const Troth__V1__BranchState *state = b < view->n_branches ? view->branches[b] : NULL;
            const Troth__V1__Branch *branch = state == NULL ? NULL : state->branch;
            table_cell(table, TABLE_PLAIN, "%s", ask->replies[i].address);
            table_cell(table, color_of(view), "%s", state_name((int)view->state));
            table_cell(table, TABLE_PLAIN, "%u", view->ballot);
            table_cell(table, TABLE_PLAIN, "%s", branch == NULL ? "-" : branch->participant);
            char start[16];
            table_cell(table, TABLE_PLAIN, "%s",
                       cli_start_text(branch == NULL ? 0 : branch->incarnation, start));
            table_cell(table, TABLE_PLAIN, "%s", state == NULL ? "-" : vote_name((int)state->vote));
            table_cell(table, TABLE_PLAIN, "%u", state == NULL ? 0 : state->ballot);
            table_cell(table, TABLE_PLAIN, "%s", state != NULL && state->acked ? "yes" : "no");
            table_cell(table, TABLE_PLAIN, "%s", state != NULL && state->attached ? "yes" : "no");
        }
    }
    table_print(table, stdout, cli->color);
    table_free(table);
}

const Troth__V1__Transaction *look_best(const struct ask *ask) {
    const Troth__V1__Transaction *best = NULL;
    for (uint32_t i = 0; i < ask->n; i++) {
        const Troth__V1__Transaction *view = (Troth__V1__Transaction *)ask->replies[i].reply;
        if (view != NULL && (best == NULL || knows_more(view, best))) {
            best = view;
        }
    }
    return best;
}

static struct json_object *json_of_views(const struct ask *ask) {
    struct json_object *views = json_object_new_array();
    for (uint32_t i = 0; i < ask->n; i++) {
        const Troth__V1__Transaction *view = (Troth__V1__Transaction *)ask->replies[i].reply;
        if (view != NULL) {
            struct json_object *one = json_of(view);
            json_object_object_add(one, "asked", json_object_new_string(ask->replies[i].address));
            json_object_array_add(views, one);
        }
    }
    return views;
}

static struct json_object *json_of_gid(const struct troth_gid *gid) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "cluster", json_object_new_string(gid->cluster));
    json_object_object_add(object, "participant", json_object_new_string(gid->participant));
    return object;
}

/* What a global id says by itself. */
static void print_gid(const struct troth_gid *gid) {
    if (gid->participant[0] != '\0') {
        printf("gid       the branch at participant %s, of cluster %s\n", gid->participant,
               gid->cluster);
    }
}

void look_show(const struct cli *cli, const struct ask *ask, const struct troth_gid *gid) {
    const Troth__V1__Transaction *best = look_best(ask);
    assert(best != NULL); /* somebody answered */
    if (cli->json) {
        struct json_object *object = json_of(best);
        if (gid->participant[0] != '\0') {
            json_object_object_add(object, "gid", json_of_gid(gid));
        }
        json_object_object_add(object, "views", json_of_views(ask));
        cli_print_json(object);
        return;
    }
    print_gid(gid);
    printf("txid      %s\nstate     %s\n", best->txid, state_name((int)best->state));
    if (best->outcome == TROTH__V1__OUTCOME__OUTCOME_ABORTED) {
        printf("reason    %s%s%s\n", cli_reason_name((int)best->reason),
               best->detail[0] == '\0' ? "" : ": ", best->detail);
    }
    printf("leader    node %u\nage       %.1f s\n\n", best->leader, (double)best->age_ms / 1000);
    show_table(cli, ask);
}

/* What it means that no node has a view of it: the clearest of their errors. */
static int not_shown(const struct cli *cli, const char *text, const struct ask *ask) {
    for (uint32_t i = 0; i < ask->n; i++) {
        int err = client_err_of_status(ask->replies[i].status);
        if (err == TROTH_ERR_NOT_FOUND || err == TROTH_ERR_FORGOTTEN || err == TROTH_ERR_INVALID) {
            return cli_fail(cli, text, err, ask->replies[i].text);
        }
    }
    return ask_complain(cli, ask);
}

void look_ask_one(struct cli *cli, struct troth *troth, struct troth_txid txid, struct ask *ask) {
    Troth__V1__GetRequest request = TROTH__V1__GET_REQUEST__INIT;
    char text[TROTH_TXID_TEXT];
    request.txid = troth_txid_format(txid, text);
    ask_all(cli, troth, "/troth.v1.Transactions/Get", &request.base,
            &troth__v1__transaction__descriptor, ask);
}

int cli_tx_show(struct cli *cli, int argc, char **argv) {
    (void)argc;
    struct troth_gid gid;
    struct troth *troth;
    int status = cli_gid(cli, argv[0], &gid);
    if (status == 0) {
        status = cli_open(cli, &troth);
    }
    if (status != 0) {
        return status;
    }
    status = ask_cluster(cli, troth, gid.cluster);
    if (status != 0) {
        troth_close(troth);
        return status;
    }
    struct ask ask;
    look_ask_one(cli, troth, gid.txid, &ask);
    if (ask.answered > 0) {
        look_show(cli, &ask, &gid);
    } else {
        if (!cli->json) {
            print_gid(&gid);
            fflush(stdout);
        }
        status = not_shown(cli, argv[0], &ask);
    }
    ask_release(&ask);
    troth_close(troth);
    return status;
}

/* troth status: every node's answer, put together. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/table.h"
#include "cli/tx_look.h"

#define IN_DOUBT_SHOWN 20u
#define NODE_ID_MAX    31u

/* One node, as it sees itself and as the others see it. */
struct node_row {
    uint32_t id; /* 0: it did not answer and nobody knows it by this address */
    const char *address;
    const Troth__V1__StatusReply *self; /* NULL: it did not answer */
    const char *trouble;                /* why not */
    double phi;
    uint64_t heartbeat_age_ms; /* the oldest that another node has */
    uint64_t queued_bytes;
    uint32_t in_flight;
    unsigned seen_by;   /* how many others have an opinion */
    unsigned connected; /* and of these: */
    unsigned suspected;
};
struct status {
    const struct ask *ask;
    const struct look_list *in_doubt;
    struct node_row rows[2 * NODE_ID_MAX];
    size_t n;
};

static const Troth__V1__StatusReply *reply_at(const struct status *status, uint32_t i) {
    return (const Troth__V1__StatusReply *)status->ask->replies[i].reply;
}

static struct node_row *row_of(struct status *status, uint32_t id) {
    for (size_t i = 0; i < status->n; i++) {
        if (status->rows[i].id == id) {
            return &status->rows[i];
        }
    }
    if (id > NODE_ID_MAX || status->n == sizeof status->rows / sizeof *status->rows) {
        return NULL;
    }
    status->rows[status->n] = (struct node_row){.id = id};
    return &status->rows[status->n++];
}

static void take_opinion(struct node_row *row, const Troth__V1__NodeStatus *opinion) {
    if (row->address == NULL) {
        row->address = opinion->address;
    }
    if (opinion->self) {
        return;
    }
    row->seen_by++;
    row->connected += opinion->connected ? 1 : 0;
    row->suspected += opinion->suspected ? 1 : 0;
    row->phi = opinion->phi > row->phi ? opinion->phi : row->phi;
    row->heartbeat_age_ms = opinion->heartbeat_age_ms > row->heartbeat_age_ms
                                ? opinion->heartbeat_age_ms
                                : row->heartbeat_age_ms;
    row->queued_bytes =
        opinion->queued_bytes > row->queued_bytes ? opinion->queued_bytes : row->queued_bytes;
    row->in_flight = opinion->in_flight;
}

static int by_id(const void *a, const void *b) {
    const struct node_row *left = a;
    const struct node_row *right = b;
    /* Those without an id last. */
    return (int)(left->id - 1 > right->id - 1) - (int)(left->id - 1 < right->id - 1);
}

static void merge(struct status *status) {
    for (uint32_t i = 0; i < status->ask->n; i++) {
        const Troth__V1__StatusReply *reply = reply_at(status, i);
        struct node_row *self = reply == NULL ? NULL : row_of(status, reply->node);
        if (self == NULL) {
            continue;
        }
        self->self = reply;
        self->address = status->ask->replies[i].address;
        for (size_t k = 0; k < reply->n_nodes; k++) {
            struct node_row *row = row_of(status, reply->nodes[k]->node);
            if (row != NULL) {
                take_opinion(row, reply->nodes[k]);
            }
        }
    }
    for (uint32_t i = 0; i < status->ask->n; i++) {
        const struct ask_reply *reply = &status->ask->replies[i];
        if (reply->reply != NULL) {
            continue;
        }
        size_t k = 0;
        while (k < status->n && (status->rows[k].address == NULL ||
                                 strcmp(status->rows[k].address, reply->address) != 0)) {
            k++;
        }
        if (k == status->n && status->n < sizeof status->rows / sizeof *status->rows) {
            status->rows[status->n++] = (struct node_row){.address = reply->address};
        }
        status->rows[k].trouble = reply->text;
    }
    qsort(status->rows, status->n, sizeof *status->rows, by_id);
}

/* ---- For people ------------------------------------------------------------------------------ */

static void cell_state(struct table *table, const struct node_row *row) {
    if (row->self == NULL) {
        table_cell(table, TABLE_BAD, row->trouble == NULL ? "not asked" : "no answer");
    } else if (row->self->ready) {
        table_cell(table, TABLE_GOOD, "ready");
    } else {
        table_cell(table, TABLE_WARN, "waits for %s", row->self->waiting_for);
    }
}

static void print_nodes(const struct cli *cli, const struct status *status) {
    static const char *const headers[] = {">NODE",      "ADDRESS",       "STATE",
                                          ">PHI",       ">HEARTBEAT ms", ">LAG bytes",
                                          ">IN FLIGHT", "OTHERS",        NULL};
    struct table *table = table_new(headers);
    for (size_t i = 0; i < status->n; i++) {
        const struct node_row *row = &status->rows[i];
        table_cell(table, TABLE_PLAIN, row->id == 0 ? "?" : "%u", row->id);
        table_cell(table, TABLE_PLAIN, "%s", row->address == NULL ? "" : row->address);
        cell_state(table, row);
        if (row->seen_by == 0) {
            table_cell(table, TABLE_PLAIN, "-");
            table_cell(table, TABLE_PLAIN, "-");
            table_cell(table, TABLE_PLAIN, "-");
        } else {
            table_cell(table, row->suspected > 0 ? TABLE_BAD : TABLE_PLAIN, "%.1f", row->phi);
            table_cell(table, TABLE_PLAIN, "%" PRIu64, row->heartbeat_age_ms);
            table_cell(table, TABLE_PLAIN, "%" PRIu64, row->queued_bytes);
        }
        uint64_t in_flight = row->self != NULL && row->self->counters != NULL
                                 ? row->self->counters->in_flight
                                 : row->in_flight;
        table_cell(table, TABLE_PLAIN, "%" PRIu64, in_flight);
        if (row->seen_by == 0) {
            table_cell(table, TABLE_PLAIN, "-");
        } else {
            table_cell(table, row->suspected > 0 ? TABLE_BAD : TABLE_PLAIN,
                       "%u of %u connected, %u suspect it", row->connected, row->seen_by,
                       row->suspected);
        }
    }
    table_print(table, stdout, cli->color);
    table_free(table);
}

struct participant_row {
    const Troth__V1__ParticipantStatus *newest;
    unsigned attached;
    uint32_t in_doubt;
    uint64_t queued_bytes;
};

static struct participant_row participant_row(const struct status *status, const char *name) {
    struct participant_row row = {0};
    for (uint32_t i = 0; i < status->ask->n; i++) {
        const Troth__V1__StatusReply *reply = reply_at(status, i);
        for (size_t k = 0; reply != NULL && k < reply->n_participants; k++) {
            const Troth__V1__ParticipantStatus *seen = reply->participants[k];
            if (strcmp(seen->participant, name) != 0) {
                continue;
            }
            if (row.newest == NULL || seen->incarnation > row.newest->incarnation) {
                row.newest = seen;
            }
            row.attached += seen->attached ? 1 : 0;
            row.in_doubt = seen->in_doubt > row.in_doubt ? seen->in_doubt : row.in_doubt;
            row.queued_bytes =
                seen->queued_bytes > row.queued_bytes ? seen->queued_bytes : row.queued_bytes;
        }
    }
    return row;
}

typedef void participant_fn(void *arg, const struct status *status,
                            const struct participant_row *row);

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each participant that any node knows, once, by name. */
static void each_participant(const struct status *status, participant_fn *each, void *arg) {
    size_t n = 0;
    for (uint32_t i = 0; i < status->ask->n; i++) {
        n += reply_at(status, i) == NULL ? 0 : reply_at(status, i)->n_participants;
    }
    const char **names = calloc(n + 1, sizeof *names);
    if (names == NULL) {
        return;
    }
    n = 0;
    for (uint32_t i = 0; i < status->ask->n; i++) {
        const Troth__V1__StatusReply *reply = reply_at(status, i);
        for (size_t k = 0; reply != NULL && k < reply->n_participants; k++) {
            names[n++] = reply->participants[k]->participant;
        }
    }
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0) {
            struct participant_row row = participant_row(status, names[i]);
            assert(row.newest != NULL); /* the name is of one of the rows */
            each(arg, status, &row);
        }
    }
    free(names);
}

static void participant_cells(void *arg, const struct status *status,
                              const struct participant_row *row) {
    struct table *table = arg;
    table_cell(table, TABLE_PLAIN, "%s", row->newest->participant);
    table_cell(table, TABLE_PLAIN, "%s", row->newest->endpoint);
    char start[16];
    table_cell(table, TABLE_PLAIN, "%s", cli_start_text(row->newest->incarnation, start));
    table_cell(table,
               row->attached == status->ask->answered ? TABLE_GOOD
               : row->attached == 0                   ? TABLE_BAD
                                                      : TABLE_WARN,
               "%u of %u nodes", row->attached, status->ask->answered);
    table_cell(table, row->in_doubt > 0 ? TABLE_WARN : TABLE_PLAIN, "%u", row->in_doubt);
    table_cell(table, TABLE_PLAIN, "%" PRIu64, row->queued_bytes);
}

static void print_participants(const struct cli *cli, const struct status *status) {
    static const char *const headers[] = {"PARTICIPANT", "ENDPOINT",   ">STARTS", "ATTACHED TO",
                                          ">IN DOUBT",   ">LAG bytes", NULL};
    struct table *table = table_new(headers);
    each_participant(status, participant_cells, table);
    table_print(table, stdout, cli->color);
    table_free(table);
}

static const struct {
    const char *header;
    const char *name;
    size_t offset;
} counters[] = {
    {">BEGUN", "begun", offsetof(Troth__V1__Counters, begun)},
    {">COMMITTED", "committed", offsetof(Troth__V1__Counters, committed)},
    {">ABORTED", "aborted", offsetof(Troth__V1__Counters, aborted)},
    {">TAKEOVERS", "takeovers", offsetof(Troth__V1__Counters, takeovers)},
    {">IN FLIGHT", "in_flight", offsetof(Troth__V1__Counters, in_flight)},
    {">IN DOUBT", "in_doubt", offsetof(Troth__V1__Counters, in_doubt)},
    {">UNDELIVERED", "undelivered", offsetof(Troth__V1__Counters, undelivered)},
    {">RECORDS", "records", offsetof(Troth__V1__Counters, records)},
    {">BATCHES", "batches", offsetof(Troth__V1__Counters, batches)},
    {">HEURISTICS", "heuristics", offsetof(Troth__V1__Counters, heuristics)},
};
#define N_COUNTERS (sizeof counters / sizeof *counters)

static uint64_t counter(const Troth__V1__Counters *all, size_t i) {
    uint64_t value;
    memcpy(&value, (const char *)all + counters[i].offset, sizeof value);
    return value;
}

static void print_counters(const struct cli *cli, const struct status *status) {
    const char *headers[N_COUNTERS + 2] = {">NODE"};
    for (size_t i = 0; i < N_COUNTERS; i++) {
        headers[1 + i] = counters[i].header;
    }
    struct table *table = table_new(headers);
    for (size_t k = 0; k < status->n; k++) {
        const Troth__V1__StatusReply *self = status->rows[k].self;
        if (self == NULL || self->counters == NULL) {
            continue;
        }
        table_cell(table, TABLE_PLAIN, "%u", self->node);
        for (size_t i = 0; i < N_COUNTERS; i++) {
            uint64_t value = counter(self->counters, i);
            bool bad = value > 0 && strcmp(counters[i].name, "heuristics") == 0;
            table_cell(table, bad ? TABLE_BAD : TABLE_PLAIN, "%" PRIu64, value);
        }
    }
    table_print(table, stdout, cli->color);
    table_free(table);
}

static bool has_heuristics(const struct status *status) {
    bool has = false;
    for (size_t k = 0; k < status->n; k++) {
        const Troth__V1__StatusReply *self = status->rows[k].self;
        has = has || (self != NULL && self->counters != NULL && self->counters->heuristics > 0);
    }
    return has;
}

static void print_status(const struct cli *cli, const struct status *status) {
    for (uint32_t i = 0; i < status->ask->n; i++) {
        if (reply_at(status, i) != NULL) {
            printf("cluster %s\n\n", reply_at(status, i)->cluster);
            break;
        }
    }
    print_nodes(cli, status);
    putchar('\n');
    print_participants(cli, status);
    putchar('\n');
    print_counters(cli, status);
    if (status->in_doubt->n > 0) {
        printf("\n%zu in doubt, the oldest first:\n", status->in_doubt->n);
        look_list_print(cli, status->in_doubt, IN_DOUBT_SHOWN);
    }
    if (has_heuristics(status)) {
        printf("\nBranches have ended by themselves, see: troth tx list --heuristic\n");
    }
}

/* ---- For programs ---------------------------------------------------------------------------- */

static struct json_object *json_node(const struct status *status, const struct node_row *row) {
    struct json_object *object = json_object_new_object();
    bool ready = row->self != NULL && row->self->ready;
    json_object_object_add(object, "node", json_object_new_int64(row->id));
    json_object_object_add(object, "address",
                           json_object_new_string(row->address == NULL ? "" : row->address));
    json_object_object_add(object, "answered", json_object_new_boolean(row->self != NULL));
    json_object_object_add(object, "ready", json_object_new_boolean(ready));
    if (row->self != NULL) {
        json_object_object_add(object, "waiting_for",
                               json_object_new_string(row->self->waiting_for));
        json_object_object_add(object, "version", json_object_new_string(row->self->version));
        json_object_object_add(object, "incarnation",
                               json_object_new_int64((int64_t)row->self->incarnation));
        json_object_object_add(object, "uptime_ms",
                               json_object_new_int64((int64_t)row->self->uptime_ms));
        struct json_object *counts = json_object_new_object();
        for (size_t i = 0; row->self->counters != NULL && i < N_COUNTERS; i++) {
            json_object_object_add(counts, counters[i].name,
                                   json_object_new_int64((int64_t)counter(row->self->counters, i)));
        }
        json_object_object_add(object, "counters", counts);
    } else {
        json_object_object_add(
            object, "trouble",
            json_object_new_string(row->trouble == NULL ? "not asked" : row->trouble));
    }
    struct json_object *seen = json_object_new_array();
    for (uint32_t i = 0; i < status->ask->n; i++) {
        const Troth__V1__StatusReply *other = reply_at(status, i);
        for (size_t k = 0; other != NULL && k < other->n_nodes; k++) {
            const Troth__V1__NodeStatus *opinion = other->nodes[k];
            if (opinion->self || opinion->node != row->id) {
                continue;
            }
            struct json_object *one = json_object_new_object();
            json_object_object_add(one, "node", json_object_new_int64(other->node));
            json_object_object_add(one, "connected", json_object_new_boolean(opinion->connected));
            json_object_object_add(one, "suspected", json_object_new_boolean(opinion->suspected));
            json_object_object_add(one, "phi", json_object_new_double(opinion->phi));
            json_object_object_add(one, "heartbeat_age_ms",
                                   json_object_new_int64((int64_t)opinion->heartbeat_age_ms));
            json_object_object_add(one, "queued_bytes",
                                   json_object_new_int64((int64_t)opinion->queued_bytes));
            json_object_object_add(one, "in_flight", json_object_new_int64(opinion->in_flight));
            json_object_array_add(seen, one);
        }
    }
    json_object_object_add(object, "seen_by", seen);
    return object;
}

static void json_participant(void *arg, const struct status *status,
                             const struct participant_row *row) {
    (void)status;
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "participant", json_object_new_string(row->newest->participant));
    json_object_object_add(object, "endpoint", json_object_new_string(row->newest->endpoint));
    json_object_object_add(object, "incarnation",
                           json_object_new_int64((int64_t)row->newest->incarnation));
    json_object_object_add(object, "attached_nodes", json_object_new_int64(row->attached));
    json_object_object_add(object, "in_doubt", json_object_new_int64(row->in_doubt));
    json_object_object_add(object, "queued_bytes",
                           json_object_new_int64((int64_t)row->queued_bytes));
    json_object_array_add(arg, object);
}

static void print_status_json(const struct status *status) {
    struct json_object *object = json_object_new_object();
    const char *cluster = "";
    for (uint32_t i = 0; i < status->ask->n && cluster[0] == '\0'; i++) {
        cluster = reply_at(status, i) == NULL ? "" : reply_at(status, i)->cluster;
    }
    json_object_object_add(object, "cluster", json_object_new_string(cluster));
    struct json_object *nodes = json_object_new_array();
    for (size_t i = 0; i < status->n; i++) {
        json_object_array_add(nodes, json_node(status, &status->rows[i]));
    }
    json_object_object_add(object, "nodes", nodes);
    struct json_object *participants = json_object_new_array();
    each_participant(status, json_participant, participants);
    json_object_object_add(object, "participants", participants);
    json_object_object_add(object, "in_doubt", look_list_json(status->in_doubt, SIZE_MAX));
    cli_print_json(object);
}

int cli_status(struct cli *cli, int argc, char **argv) {
    (void)argc;
    (void)argv;
    struct troth *troth;
    int exit_status = cli_open(cli, &troth);
    if (exit_status != 0) {
        return exit_status;
    }
    struct ask ask;
    struct ask ask_in_doubt;
    struct look_list *in_doubt = look_list_new();
    Troth__V1__StatusRequest request = TROTH__V1__STATUS_REQUEST__INIT;
    ask_all(cli, troth, "/troth.v1.Admin/Status", &request.base,
            &troth__v1__status_reply__descriptor, &ask);
    exit_status = ask_complain(cli, &ask);
    if (exit_status != CLI_NO_CONTACT && in_doubt != NULL) {
        look_ask_in_doubt(cli, troth, &ask_in_doubt, in_doubt);
        struct status status = {.ask = &ask, .in_doubt = in_doubt};
        merge(&status);
        if (cli->json) {
            print_status_json(&status);
        } else {
            print_status(cli, &status);
        }
        ask_release(&ask_in_doubt);
    }
    look_list_free(in_doubt);
    ask_release(&ask);
    troth_close(troth);
    return exit_status;
}

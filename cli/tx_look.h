/* tx_look: lists of transactions as several nodes see them, one entry each. */
#ifndef CLI_TX_LOOK_H
#define CLI_TX_LOOK_H

#include "cli/ask.h"
#include "troth/v1/admin.pb-c.h"

struct look_list {
    Troth__V1__Transaction **items; /* borrowed from the replies they came with */
    size_t n;
    bool cut; /* a node has more than it tells at once */
};

struct look_list *look_list_new(void);
void look_list_free(struct look_list *list);
void look_list_take(struct look_list *list, Troth__V1__Transaction **items, size_t n);
/* One entry for each txid, that of the node which knows most; the oldest first. */
void look_list_merge(struct look_list *list);
void look_list_print(const struct cli *cli, const struct look_list *list, size_t limit);
struct json_object *look_list_json(const struct look_list *list, size_t limit);

/* Ask every node, merge. The list lives as long as the replies. */
void look_ask_list(struct cli *cli, struct troth *troth, struct ask *ask, struct look_list *list);
void look_ask_in_doubt(struct cli *cli, struct troth *troth, struct ask *ask,
                       struct look_list *list);

/* Asks every node about one. */
void look_ask_one(struct cli *cli, struct troth *troth, struct troth_txid txid, struct ask *ask);
/* The view that says most of those that came; NULL: none did. */
const Troth__V1__Transaction *look_best(const struct ask *ask);
/* Prints it as `troth tx show` does; at least one node must have answered. The names in `gid` are
 * "" where only the txid was given. */
void look_show(const struct cli *cli, const struct ask *ask, const struct troth_gid *gid);

#endif

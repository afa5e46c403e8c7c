/* admin: what the nodes of a cluster say of themselves, asked from outside over their own Admin
 * and Transactions services, as any operator's tool would.
 *
 * Nodes are counted from 0 here. Any thread. Replies are protobuf-c messages to be freed with
 * admin_free.
 */
#ifndef HARNESS_ADMIN_H
#define HARNESS_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/txid.h"
#include "troth/v1/admin.pb-c.h"

struct admin;
/* `addresses`: "host:port" of each node. TROTH_ERR_NO_MEMORY, _SYSTEM, _INVALID. */
int admin_new(struct admin **out, const char *const *addresses, unsigned n);
void admin_release(struct admin *admin);

/* NULL when the node does not answer in time. */
Troth__V1__StatusReply *admin_status(struct admin *admin, unsigned node, int64_t timeout_ms);
Troth__V1__Transaction *admin_get(struct admin *admin, unsigned node, struct troth_txid txid,
                                  int64_t timeout_ms);
/* With how many nodes the agent at `address` has a session, as it says itself; -1 when it does not
 * answer in time. */
int64_t admin_agent_nodes(struct admin *admin, const char *address, int64_t timeout_ms);
/* Either kind of message; NULL is let be. */
void admin_free(void *message);

#endif

/* blocks: transactions that were begun ahead of need, so that most begins ask no node.
 *
 * The nodes take turns, and a turn is long: what one node coordinates has the same few acceptors,
 * and travels in the same frames and is stored in the same batches, which are the fuller for it.
 * Spread over all nodes at any moment, the same transactions cost up to three times the CPU and the
 * syncs. A turn ends when BLOCKS_STAY transactions were begun in it, or BLOCKS_STAY_MS have passed
 * (less in a cluster of many nodes, so that a round takes BLOCKS_ROUND_MS at most): so over a
 * second all nodes have their share, and of very many in flight at any moment. While a client
 * begins few, so that no block is of full size, each block is a turn: there is nothing to keep
 * together, and who tests a service with a dozen transactions meets every node.
 *
 * A node that can't be reached or does not answer loses its turn, and is passed over for
 * BLOCKS_AVOID_MS while there is another; then one begin tries it, and the others do not wait for
 * that.
 *
 * Each node's turn has a block of its own: transactions with consecutive txids that one Begin
 * began. Who finds it empty asks for a new one; who comes while that is under way waits for the
 * same answer. A block is as large as the rate of begins is worth: 1 at first, twice as many when
 * it was used up within BLOCKS_FAST_MS, half when it was not within BLOCKS_AGE_MS, as many as wait
 * for it at least, never above BLOCKS_SIZE_MAX.
 *
 * A transaction that waited in a block has so much less time left. So no txid is used that is older
 * than BLOCKS_AGE_MS, and the node is asked for that much more time than the caller wants: it has
 * the caller's time at least.
 *
 * What is begun and not used holds the low-water mark of its node, as each transaction does that a
 * client begins and leaves. So what has grown old is aborted when the next block comes, and what is
 * left by blocks_close, since a program that ends in order should leave nothing open. A block is
 * dropped when its node can't be reached: its transactions would be another's to abort. Those, and
 * a block after which no begin comes, end at their timeout.
 *
 * Any thread; the lock is not held while a begin's end runs. Lock order: requests, then blocks.
 */
#ifndef CLIENT_BLOCKS_H
#define CLIENT_BLOCKS_H

#include "client/request.h"

#define BLOCKS_AGE_MS   5000u
#define BLOCKS_FAST_MS  1000u
#define BLOCKS_SIZE_MAX 256u
#define BLOCKS_STAY     4096u
#define BLOCKS_STAY_MS  200u
#define BLOCKS_ROUND_MS 600u
#define BLOCKS_AVOID_MS 1000u

/* How long a turn takes at most, in a cluster of so many nodes. */
uint32_t blocks_stay_ms(uint32_t n_nodes);

struct blocks;
int blocks_new(struct blocks **out, struct troth *t);
/* Waits up to BLOCKS_CLOSE_MS for the nodes to abort what is left. Later begins go without a block.
 */
#define BLOCKS_CLOSE_MS 200u
void blocks_close(struct blocks *blocks);
/* When no request is under way. NULL is let be. */
void blocks_free(struct blocks *blocks);

/* A transaction from the block whose turn it is: calls end->fn once, as request_start does, with
 * answer->txid. */
void blocks_begin(struct blocks *blocks, uint32_t timeout_ms, const struct request_end *end);
/* The node, by its place in the list, can't be reached or does not answer. */
void blocks_drop(struct blocks *blocks, uint32_t node);

#endif

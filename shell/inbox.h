/* inbox: the bounded queue through which other threads hand events to a loop.
 *
 * Items are fixed-size values, copied in and out. Many threads put, one takes. The taker gets all
 * that waits at once, so that a loop works in batches (ARCHITECTURE, The house).
 */
#ifndef SHELL_INBOX_H
#define SHELL_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbox;
/* For items of `item_bytes`, at most `items_max` waiting. TROTH_ERR_NO_MEMORY. */
int inbox_new(struct inbox **out, size_t item_bytes, size_t items_max);
void inbox_free(struct inbox *inbox);

/* For a taker that waits for other things as well, elsewhere: inbox_take never waits then, and
 * `wake` runs on the thread that puts the first item, or closes, and ends the taker's wait. From
 * now on the calling thread is the taker. */
void inbox_set_wake(struct inbox *inbox, void (*wake)(void *arg), void *arg);

/* Copies an item in. inbox_put waits while the inbox is full, which holds back the sender;
 * inbox_try_put returns TROTH_ERR_FULL. TROTH_ERR_CLOSED after inbox_close. Any thread; only one
 * of inbox_set_wake can be put to by its taker, who never waits and has always room. */
int inbox_put(struct inbox *inbox, const void *item);
int inbox_try_put(struct inbox *inbox, const void *item);
/* Waits until something is there, `until_ms` (clock_monotonic_ms; INT64_MAX: for ever) is reached,
 * or the inbox is closed. Swaps the waiting items for those of the call before: *items points to
 * `*n` items that are the taker's until its next call. Returns 0, or TROTH_ERR_CLOSED once it is
 * closed and empty. */
int inbox_take(struct inbox *inbox, int64_t until_ms, void **items, size_t *n);
/* Whether something is there to be taken, or it is closed. */
bool inbox_has_items(struct inbox *inbox);
/* No more can be put; what waits can still be taken. */
void inbox_close(struct inbox *inbox);

#endif

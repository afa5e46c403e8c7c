/* addresses: lists of nodes and shards as people write them. Pure.
 *
 *     "127.0.0.1:7101,[::1]:7102"             nodes
 *     "a=127.0.0.1:7201,b=shards.local:7202"  shards
 */
#ifndef CLIENT_ADDRESSES_H
#define CLIENT_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESSES_MAX        1024u
#define ADDRESSES_NAME_BYTES 48u  /* with the NUL: a participant's name */
#define ADDRESSES_HOST_BYTES 256u /* "host:port", with the NUL */

struct address {
    char name[ADDRESSES_NAME_BYTES]; /* "" in a list of nodes */
    char host_port[ADDRESSES_HOST_BYTES];
};
struct addresses {
    struct address *items;
    size_t n;
};

/* Splits at commas; blanks around an item are skipped. `named`: each is name=host:port and names
 * must differ. TROTH_ERR_INVALID, with what is wrong in `why`; _TOO_MANY above `max`; _NO_MEMORY.
 * On an error there is nothing to release. */
int addresses_parse(struct addresses *addresses, const char *text, bool named, size_t max,
                    char *why, size_t why_bytes);
void addresses_release(struct addresses *addresses);

#endif

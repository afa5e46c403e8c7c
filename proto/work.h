/* work: what a client gives a participant to do together with Commit (transactions.proto,
 * CommitWork): bytes that nobody between the two reads. Never changed once made, and shared by
 * reference, from any thread.
 */
#ifndef PROTO_WORK_H
#define PROTO_WORK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WORK_BYTES_MAX     (64u << 10) /* of one participant */
#define WORK_BYTES_ALL_MAX (1u << 20)  /* of one transaction */

struct work {
    atomic_uint refs;
    uint32_t n; /* 1 to WORK_BYTES_MAX */
    uint8_t bytes[];
};

/* A copy of the bytes, with one reference. NULL: no memory, or `n` is none or over the limit. */
struct work *work_new(const void *bytes, size_t n);
/* Another reference; of NULL it is NULL. */
struct work *work_hold(struct work *work);
/* The last one frees it. NULL is let be. */
void work_release(struct work *work);

#endif

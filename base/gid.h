/* gid: the global id of a branch, as a database stores it with a prepared transaction.
 *
 * It holds the cluster, the txid and the participant, and nothing of a process, so that whoever
 * finds it knows whom to ask. A human can read it:
 *
 *     troth:<cluster>:<txid, 32 digits>:<participant>        at most TROTH_GID_BYTES with the NUL
 *
 * XA splits an id in two of at most 64 bytes each and a number that tells whose it is (X/Open C193,
 * 4.2): gtrid "<txid>:<cluster>", bqual "<participant>", formatID TROTH_XA_FORMAT. So with XA a
 * cluster's name has at most TROTH_XA_CLUSTER_MAX bytes. MariaDB's way to write one, which XA
 * START and its likes take, is 'gtrid','bqual',formatID.
 */
#ifndef BASE_GID_H
#define BASE_GID_H

#include <stddef.h>

#include "base/txid.h"

#define TROTH_GID_NAME_BYTES 48 /* of a cluster's or participant's name, with the NUL */
#define TROTH_GID_BYTES      160
#define TROTH_XA_FORMAT      0x54726f74L /* "Trot" */
#define TROTH_XA_PART_BYTES  65          /* of a gtrid or bqual, with a NUL */
#define TROTH_XA_CLUSTER_MAX 31

struct troth_gid {
    char cluster[TROTH_GID_NAME_BYTES];
    struct troth_txid txid;
    char participant[TROTH_GID_NAME_BYTES];
};

/* Writes "troth:...". Returns `text`. */
char *troth_gid_format(const struct troth_gid *gid, char text[TROTH_GID_BYTES]);
/* Reads that, or XA's way of writing: 'gtrid','bqual',formatID with quotes of either kind, or
 * X'hex' in place of '...'. TROTH_ERR_INVALID: neither; *gid is unchanged. */
int troth_gid_parse(const char *text, struct troth_gid *gid);

/* XA's two parts. TROTH_ERR_TOO_LARGE: the cluster's name. */
int troth_gid_to_xa(const struct troth_gid *gid, char gtrid[TROTH_XA_PART_BYTES],
                    char bqual[TROTH_XA_PART_BYTES]);
/* The parts need no NUL. TROTH_ERR_INVALID: not one of Troth's; *gid is unchanged. */
int troth_gid_from_xa(const char *gtrid, size_t gtrid_bytes, const char *bqual, size_t bqual_bytes,
                      struct troth_gid *gid);
/* 'gtrid','bqual',formatID. TROTH_ERR_TOO_LARGE: the cluster's name. */
int troth_gid_format_xa(const struct troth_gid *gid, char text[TROTH_GID_BYTES]);

#endif

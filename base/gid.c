/* Reading and writing of global ids. */
#include "base/gid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define PREFIX "troth:"

static bool is_name(const char *text, size_t n) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (n == 0 || n >= TROTH_GID_NAME_BYTES) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\0' || strchr(allowed, text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static int make(const char *cluster, size_t cluster_bytes, const char *txid,
                const char *participant, size_t participant_bytes, struct troth_gid *gid) {
    char digits[TROTH_TXID_TEXT] = "";
    struct troth_gid made = {0};
    if (!is_name(cluster, cluster_bytes) || !is_name(participant, participant_bytes)) {
        return TROTH_ERR_INVALID;
    }
    memcpy(digits, txid, TROTH_TXID_TEXT - 1);
    if (troth_txid_parse(digits, &made.txid) != 0) {
        return TROTH_ERR_INVALID;
    }
    memcpy(made.cluster, cluster, cluster_bytes);
    memcpy(made.participant, participant, participant_bytes);
    *gid = made;
    return 0;
}

char *troth_gid_format(const struct troth_gid *gid, char text[TROTH_GID_BYTES]) {
    char digits[TROTH_TXID_TEXT];
    snprintf(text, TROTH_GID_BYTES, PREFIX "%s:%s:%s", gid->cluster,
             troth_txid_format(gid->txid, digits), gid->participant);
    return text;
}

/* ---- XA -------------------------------------------------------------------------------------- */

int troth_gid_to_xa(const struct troth_gid *gid, char gtrid[TROTH_XA_PART_BYTES],
                    char bqual[TROTH_XA_PART_BYTES]) {
    char digits[TROTH_TXID_TEXT];
    if (strlen(gid->cluster) > TROTH_XA_CLUSTER_MAX) {
        return TROTH_ERR_TOO_LARGE;
    }
    snprintf(gtrid, TROTH_XA_PART_BYTES, "%s:%s", troth_txid_format(gid->txid, digits),
             gid->cluster);
    snprintf(bqual, TROTH_XA_PART_BYTES, "%s", gid->participant);
    return 0;
}

int troth_gid_from_xa(const char *gtrid, size_t gtrid_bytes, const char *bqual, size_t bqual_bytes,
                      struct troth_gid *gid) {
    size_t before = TROTH_TXID_TEXT; /* the digits and the colon */
    if (gtrid_bytes <= before || gtrid[before - 1] != ':') {
        return TROTH_ERR_INVALID;
    }
    return make(gtrid + before, gtrid_bytes - before, gtrid, bqual, bqual_bytes, gid);
}

int troth_gid_format_xa(const struct troth_gid *gid, char text[TROTH_GID_BYTES]) {
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    int err = troth_gid_to_xa(gid, gtrid, bqual);
    if (err == 0) {
        snprintf(text, TROTH_GID_BYTES, "'%s','%s',%ld", gtrid, bqual, TROTH_XA_FORMAT);
    }
    return err;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int hex_value(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* A part in quotes, or in hexadecimal as X'...'; 0 and *at behind it. */
static int read_part(const char **at, char part[TROTH_XA_PART_BYTES], size_t *n) {
    const char *from = *at + strspn(*at, " ");
    bool is_hex = *from == 'X' || *from == 'x';
    from += is_hex ? 1 : 0;
    char quote = *from;
    const char *end = quote == '\'' || quote == '"' ? strchr(from + 1, quote) : NULL;
    if (end == NULL) {
        return TROTH_ERR_INVALID;
    }
    size_t bytes = (size_t)(end - from - 1);
    *n = is_hex ? bytes / 2 : bytes;
    if (*n >= TROTH_XA_PART_BYTES || (is_hex && bytes % 2 != 0)) {
        return TROTH_ERR_INVALID;
    }
    for (size_t i = 0; i < *n; i++) {
        int high = is_hex ? hex_value(from[1 + 2 * i]) : 0;
        int low = is_hex ? hex_value(from[2 + 2 * i]) : 0;
        if (high < 0 || low < 0) {
            return TROTH_ERR_INVALID;
        }
        part[i] = is_hex ? (char)(high * 16 + low) : from[1 + i];
    }
    part[*n] = '\0';
    *at = end + 1 + strspn(end + 1, " ");
    return 0;
}

static int parse_xa(const char *text, struct troth_gid *gid) {
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    size_t gtrid_bytes, bqual_bytes;
    if (read_part(&text, gtrid, &gtrid_bytes) != 0 || *text++ != ',' ||
        read_part(&text, bqual, &bqual_bytes) != 0 || *text++ != ',') {
        return TROTH_ERR_INVALID;
    }
    char *end;
    long format = strtol(text, &end, 0);
    if (end == text || end[strspn(end, " ")] != '\0' || format != TROTH_XA_FORMAT) {
        return TROTH_ERR_INVALID;
    }
    return troth_gid_from_xa(gtrid, gtrid_bytes, bqual, bqual_bytes, gid);
}

int troth_gid_parse(const char *text, struct troth_gid *gid) {
    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0) {
        return parse_xa(text, gid);
    }
    const char *cluster = text + strlen(PREFIX);
    size_t cluster_bytes = strcspn(cluster, ":");
    const char *txid = cluster + cluster_bytes + (cluster[cluster_bytes] == ':');
    if (strlen(txid) <= TROTH_TXID_TEXT || txid[TROTH_TXID_TEXT - 1] != ':') {
        return TROTH_ERR_INVALID;
    }
    const char *participant = txid + TROTH_TXID_TEXT;
    return make(cluster, cluster_bytes, txid, participant, strlen(participant), gid);
}

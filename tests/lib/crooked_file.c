#include "tests/lib/crooked_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void read_hex(const char *text, char *to, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        sscanf(text + 2 * i, "%2x", &byte);
        to[i] = (char)byte;
    }
}

static void add(struct crooked_file *file, const XID *xid, const char *state) {
    struct crooked_branch *grown = realloc(file->branches, (file->n + 1) * sizeof *file->branches);
    if (grown == NULL) {
        abort();
    }
    file->branches = grown;
    struct crooked_branch *branch = &grown[file->n++];
    branch->xid = *xid;
    snprintf(branch->state, sizeof branch->state, "%s", state);
}

int crooked_open(struct crooked_file *file, const char *path) {
    *file = (struct crooked_file){.fd = open(path, O_RDWR | O_CLOEXEC)};
    if (file->fd < 0) {
        return -1;
    }
    flock(file->fd, LOCK_EX);
    FILE *in = fdopen(dup(file->fd), "r");
    char gtrid[2 * MAXGTRIDSIZE + 1], bqual[2 * MAXBQUALSIZE + 1], state[CROOKED_STATE_BYTES];
    XID xid;
    memset(&xid, 0, sizeof xid);
    while (fscanf(in, "%ld %128s %128s %15s", &xid.formatID, gtrid, bqual, state) == 4) {
        xid.gtrid_length = (long)strlen(gtrid) / 2;
        xid.bqual_length = (long)strlen(bqual) / 2;
        read_hex(gtrid, xid.data, (size_t)xid.gtrid_length);
        read_hex(bqual, xid.data + xid.gtrid_length, (size_t)xid.bqual_length);
        add(file, &xid, state);
    }
    fclose(in);
    return 0;
}

struct crooked_branch *crooked_find(struct crooked_file *file, const XID *xid) {
    for (size_t i = 0; i < file->n; i++) {
        const XID *there = &file->branches[i].xid;
        if (there->formatID == xid->formatID && there->gtrid_length == xid->gtrid_length &&
            there->bqual_length == xid->bqual_length &&
            memcmp(there->data, xid->data, (size_t)(xid->gtrid_length + xid->bqual_length)) == 0) {
            return &file->branches[i];
        }
    }
    return NULL;
}

void crooked_set(struct crooked_file *file, const XID *xid, const char *state) {
    struct crooked_branch *branch = crooked_find(file, xid);
    if (branch == NULL) {
        add(file, xid, state);
    } else {
        snprintf(branch->state, sizeof branch->state, "%s", state);
    }
}

static void write_all(struct crooked_file *file) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (size_t i = 0; i < file->n; i++) {
        const XID *xid = &file->branches[i].xid;
        fprintf(out, "%ld ", xid->formatID);
        for (long at = 0; at < xid->gtrid_length + xid->bqual_length; at++) {
            fprintf(out, at == xid->gtrid_length ? " %02x" : "%02x", (unsigned char)xid->data[at]);
        }
        fprintf(out, " %s\n", file->branches[i].state);
    }
    fclose(out);
    if (pwrite(file->fd, text, bytes, 0) != (ssize_t)bytes ||
        ftruncate(file->fd, (off_t)bytes) != 0 || fdatasync(file->fd) != 0) {
        abort();
    }
    free(text);
}

void crooked_close(struct crooked_file *file, int is_changed) {
    if (is_changed) {
        write_all(file);
    }
    close(file->fd); /* which unlocks it */
    free(file->branches);
}

/* diagram: draws the space-time diagram of one transaction as an SVG file.
 *
 * A lifeline for each process that had to do with the transaction: clients, nodes, participants,
 * each group in its colour. Time runs downwards; where nothing happens for long it is cut, and the
 * cut is marked with its length. Messages are arrows from send to receipt, those that a node sends
 * to itself left out; a lost one ends in a cross, a doubled one arrives twice. Filled marks are
 * records on disk. Drawn too: ballots and who leads them, participants in doubt, crashes, pauses,
 * when the outcome was decided, and from when each process knows it. Heartbeats, pings and marks
 * are not.
 *
 *     diagram_init(&diagram, tx, nodes);
 *     diagram_see(&diagram, sight);            // for each, from the world's beginning
 *     int err = diagram_write(&diagram, file); // then
 *     diagram_release(&diagram);
 *
 * It needs memory for the one transaction only. No fonts, scripts or pictures from elsewhere are
 * referred to.
 */
#ifndef TESTS_SIM_DIAGRAM_H
#define TESTS_SIM_DIAGRAM_H

#include <stdio.h>

#include "tests/sim/sight.h"

/* What comes after that many messages or other events of the transaction is not drawn; the
 * picture says so. */
#define DIAGRAM_EVENTS_MAX 1500u

struct diagram_events;

struct diagram {
    uint32_t tx;
    uint32_t nodes; /* of the cluster: what is a majority */
    struct diagram_events *events;
};

/* TROTH_ERR_NO_MEMORY. */
int diagram_init(struct diagram *diagram, uint32_t tx, uint32_t nodes);
void diagram_release(struct diagram *diagram);
/* `arg` is a struct diagram. Ends the program where there is no memory: a picture with holes would
 * lie. */
void diagram_see(void *arg, const struct sight *sight);
/* 0; TROTH_ERR_NOT_FOUND: nothing was seen of the transaction, and nothing is written;
 * TROTH_ERR_NO_MEMORY; TROTH_ERR_SYSTEM: `file` could not be written. */
int diagram_write(const struct diagram *diagram, FILE *file);

#endif

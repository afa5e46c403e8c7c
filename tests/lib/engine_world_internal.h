/* engine_world_internal: what the files of the world share.
 *
 *   engine_world.c               disks, the network, the nodes' steps, crashes and returns
 *   engine_world_participants.c  the resource managers and their sessions
 */
#ifndef TESTS_LIB_ENGINE_WORLD_INTERNAL_H
#define TESTS_LIB_ENGINE_WORLD_INTERNAL_H

#include "tests/lib/engine_world.h"

/* Puts the message on its way, or loses it. Takes over what it owns. */
void world_send(struct world *world, struct world_message *message);

/* A node's message reaches its participant; what it owns stays the caller's. */
void world_participant_receive(struct world *world, struct world_message *message);

#endif

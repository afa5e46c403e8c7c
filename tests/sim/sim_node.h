/* sim_node: a node of the world: what its files (sim_node*.c) and the world ask of each other. */
#ifndef TESTS_SIM_SIM_NODE_H
#define TESTS_SIM_SIM_NODE_H

#include "tests/sim/world_state.h"

void sim_node_start(struct sim_node *node);
void sim_node_crash(struct sim_node *node);
void sim_node_run(struct sim_node *node);
void sim_node_synced(struct sim_node *node, bool stored);
void sim_node_release(struct sim_node *node);
void sim_node_step(struct sim_node *node, struct engine_event event);
void sim_node_commit_now(struct sim_node *node);

void node_on_hello(struct sim_node *node, struct packet *packet);
void node_on_welcome(struct sim_node *node, struct packet *packet);
void node_on_closed(struct sim_node *node, struct packet *packet);
void node_on_message(struct sim_node *node, struct packet *packet);
void node_beat(struct sim_node *node);
void node_watch(struct sim_node *node);
void node_leave(struct sim_node *node);
void node_excuse(struct sim_node *node, int64_t late_ms);

void node_change(struct sim_node *node, const struct engine_effect *effect);
void node_remember(struct sim_node *node, uint32_t changed);
/* What the batch holds is on disk now, or (not `stored`) is lost. */
void node_disk_end_batch(struct sim_node *node, bool stored);
void node_disk_load(struct sim_node *node);
void node_disk_copy(struct node_disk *to, const struct node_disk *from);
void node_disk_release(struct node_disk *disk);
void node_disk_new(struct sim_node *node);

#endif

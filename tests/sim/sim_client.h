/* sim_client: a client of the world: what the world asks of it. */
#ifndef TESTS_SIM_SIM_CLIENT_H
#define TESTS_SIM_SIM_CLIENT_H

#include "tests/sim/world_state.h"

void sim_client_start(struct sim_client *client);
void sim_client_crash(struct sim_client *client);
void sim_client_run(struct sim_client *client);
void sim_client_release(struct sim_client *client);
bool sim_client_is_done(const struct sim_client *client);

#endif

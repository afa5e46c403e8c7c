/* ports: loopback ports that are ours for as long as we hold them.
 *
 * The holding socket is bound, with SO_REUSEADDR, and never listens: Linux lets another socket
 * with SO_REUSEADDR bind to the port and listen, but never gives it away as a free one.
 */
#ifndef HARNESS_PORTS_H
#define HARNESS_PORTS_H

#include <stdbool.h>

struct port {
    int fd;
    int number;
};

/* TROTH_ERR_SYSTEM. */
int port_hold(struct port *port);
void port_release(struct port *port);
/* Whether somebody accepts connections there now. */
bool port_answers(const struct port *port);

#endif

#include "harness/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/troth_err.h"

static struct sockaddr_in loopback(int number) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)number),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

int port_hold(struct port *port) {
    int on = 1;
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return TROTH_ERR_SYSTEM;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        close(fd);
        return TROTH_ERR_SYSTEM;
    }
    *port = (struct port){.fd = fd, .number = ntohs(address.sin_port)};
    return 0;
}

void port_release(struct port *port) {
    if (port->number != 0) {
        close(port->fd);
    }
    *port = (struct port){0};
}

bool port_answers(const struct port *port) {
    struct sockaddr_in address = loopback(port->number);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}

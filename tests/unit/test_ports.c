/* ports: a held port is nobody else's, and can still be served by the one who is told its number.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/ports.h"
#include "tests/lib/suite.h"

/* A server's socket on the port, or -1. */
static int serve(int number, int reuse) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)number),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse), 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 8) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

START_TEST(a_held_port_does_not_answer_until_it_is_served) {
    struct port port;
    ck_assert_int_eq(port_hold(&port), 0);
    ck_assert(!port_answers(&port));
    int fd = serve(port.number, 1);
    ck_assert_int_ge(fd, 0);
    ck_assert(port_answers(&port));
    close(fd);
    ck_assert(!port_answers(&port));
    port_release(&port);
}
END_TEST

START_TEST(a_held_port_can_be_served_again_and_again) {
    struct port port;
    ck_assert_int_eq(port_hold(&port), 0);
    for (int i = 0; i < 3; i++) {
        int fd = serve(port.number, 1);
        ck_assert_int_ge(fd, 0);
        ck_assert(port_answers(&port));
        close(fd);
    }
    port_release(&port);
}
END_TEST

START_TEST(a_held_port_is_refused_to_one_who_asks_for_it_alone) {
    struct port port;
    ck_assert_int_eq(port_hold(&port), 0);
    ck_assert_int_eq(serve(port.number, 0), -1);
    port_release(&port);
}
END_TEST

START_TEST(two_held_ports_differ) {
    struct port ports[32];
    for (int i = 0; i < 32; i++) {
        ck_assert_int_eq(port_hold(&ports[i]), 0);
        for (int k = 0; k < i; k++) {
            ck_assert_int_ne(ports[k].number, ports[i].number);
        }
    }
    for (int i = 0; i < 32; i++) {
        port_release(&ports[i]);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_held_port_does_not_answer_until_it_is_served,
        a_held_port_can_be_served_again_and_again,
        a_held_port_is_refused_to_one_who_asks_for_it_alone,
        two_held_ports_differ,
        NULL,
    };
    return suite_run("ports", tests);
}

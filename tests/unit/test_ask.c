/* ask: a question gets its reply or a reason, and nothing of it is left. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/ask.h"
#include "tests/unit/test_rpc_fixture.h"

#define WAIT_MS  60000
#define ASKERS   8
#define GIVEN_UP 300

static void on_say(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__Test__Item *item = troth__test__item__unpack(NULL, n, bytes);
    (void)arg;
    ck_assert_ptr_nonnull(item);
    rpc_call_reply(call, &item->base);
    troth__test__item__free_unpacked(item, NULL);
}

static void open_echo(struct house *house) {
    house_open(house, 1);
    ck_assert_int_eq(rpc_server_unary(house->server, SAY, on_say, NULL), 0);
    ck_assert_int_eq(rpc_server_start(house->server), 0);
}

/* What it was told, or 0. */
static uint64_t ask(struct asker *asker, const char *target, uint64_t id, int64_t timeout_ms) {
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    char text[RPC_STATUS_TEXT_MAX] = "";
    item.id = id;
    ProtobufCMessage *reply =
        asker_ask(asker, target, SAY, &item.base, &troth__test__item__descriptor, timeout_ms, text);
    if (reply == NULL) {
        ck_assert_str_ne(text, "");
        return 0;
    }
    uint64_t told = ((Troth__Test__Item *)reply)->id;
    protobuf_c_message_free_unpacked(reply, NULL);
    return told;
}

/* A port of loopback at which connections are taken and nothing is ever said. */
static int open_silent(char target[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, n), 0);
    ck_assert_int_eq(listen(fd, GIVEN_UP), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(target, 64, "127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

START_TEST(a_server_that_comes_back_at_its_address_is_asked_as_before) {
    struct house house;
    struct asker *asker;
    open_echo(&house);
    ck_assert_int_eq(asker_new(&asker), 0);
    ck_assert_uint_eq(ask(asker, house.target, 7, WAIT_MS), 7);
    int port = rpc_server_port(house.server);
    rpc_server_stop(house.server, WAIT_MS);
    rpc_server_free(house.server);
    ck_assert_uint_eq(ask(asker, house.target, 8, 1), 0);
    house.server = server_at(house.rpc, port);
    ck_assert_int_eq(rpc_server_unary(house.server, SAY, on_say, NULL), 0);
    ck_assert_int_eq(rpc_server_start(house.server), 0);
    ck_assert_uint_eq(ask(asker, house.target, 9, WAIT_MS), 9);
    asker_free(asker);
    house_close(&house);
}
END_TEST

struct one {
    struct asker *asker;
    const char *target;
    uint64_t id;
    pthread_t thread;
};

static void *ask_often(void *arg) {
    struct one *one = arg;
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_uint_eq(ask(one->asker, one->target, one->id, WAIT_MS), one->id);
    }
    return NULL;
}

START_TEST(each_of_many_who_ask_at_once_gets_its_own_reply) {
    struct house house;
    struct asker *asker;
    struct one ones[ASKERS];
    open_echo(&house);
    ck_assert_int_eq(asker_new(&asker), 0);
    for (unsigned i = 0; i < ASKERS; i++) {
        ones[i] = (struct one){.asker = asker, .target = house.target, .id = i + 1};
        ck_assert_int_eq(pthread_create(&ones[i].thread, NULL, ask_often, &ones[i]), 0);
    }
    for (unsigned i = 0; i < ASKERS; i++) {
        pthread_join(ones[i].thread, NULL);
    }
    asker_free(asker);
    house_close(&house);
}
END_TEST

START_TEST(a_slow_question_does_not_hold_up_another) {
    struct house house;
    struct asker *asker;
    char silent[64];
    int fd = open_silent(silent);
    open_echo(&house);
    ck_assert_int_eq(asker_new(&asker), 0);
    /* Whoever waits for nothing polls for the one that is answered, and the other way around. */
    struct one one = {.asker = asker, .target = house.target, .id = 1};
    ck_assert_int_eq(pthread_create(&one.thread, NULL, ask_often, &one), 0);
    ck_assert_uint_eq(ask(asker, silent, 2, 300), 0);
    pthread_join(one.thread, NULL);
    asker_free(asker);
    house_close(&house);
    close(fd);
}
END_TEST

/* The address sanitizer's leak check sees what is left. */
START_TEST(questions_that_end_while_they_connect_leave_nothing) {
    char silent[64];
    char nobody[64];
    int fd = open_silent(silent);
    close(open_silent(nobody));
    for (int i = 0; i < GIVEN_UP; i++) {
        struct asker *asker;
        ck_assert_int_eq(asker_new(&asker), 0);
        ck_assert_uint_eq(ask(asker, i % 2 == 0 ? silent : nobody, 1, i % 7), 0);
        asker_free(asker);
    }
    close(fd);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_server_that_comes_back_at_its_address_is_asked_as_before,
        each_of_many_who_ask_at_once_gets_its_own_reply,
        a_slow_question_does_not_hold_up_another,
        questions_that_end_while_they_connect_leave_nothing,
        NULL,
    };
    return suite_run("ask", tests);
}

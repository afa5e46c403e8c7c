/* link: when a stream that ended is dialled again. The clock is this test's own, and so are the
 * delays: they are noted and not waited for. */
#include "rpc/internal.h"
#include "tests/unit/test_rpc_fixture.h"

#define DELAYS_MAX 16

static struct gate gate = GATE_INIT;
static _Atomic int64_t now_ms;    /* asked for under locks of the library */
static int delays_ms[DELAYS_MAX]; /* as they were asked for */
static int delays_n;
static int dials_max; /* from then on nothing is dialled any more */
static int accepted_n;
static int received_n;
static bool refuses;                /* the server, each stream, behind its greeting */
static struct rpc_stream *accepted; /* held; the last one that was not refused */

int64_t __wrap_rpc_now_ms(void);
void __wrap_rpc_timer_set(struct rpc_timers *timers, struct rpc_timer *timer, int64_t delay_ms,
                          void (*fn)(struct rpc_timer *timer));
void __real_rpc_timer_set(struct rpc_timers *timers, struct rpc_timer *timer, int64_t delay_ms,
                          void (*fn)(struct rpc_timer *timer));

int64_t __wrap_rpc_now_ms(void) {
    return now_ms;
}

void __wrap_rpc_timer_set(struct rpc_timers *timers, struct rpc_timer *timer, int64_t delay_ms,
                          void (*fn)(struct rpc_timer *timer)) {
    if (delay_ms > 2000) { /* no link's */
        __real_rpc_timer_set(timers, timer, delay_ms, fn);
        return;
    }
    gate_lock(&gate);
    bool dials = delays_n < dials_max;
    if (delays_n < DELAYS_MAX) {
        delays_ms[delays_n++] = (int)delay_ms;
    }
    gate_unlock(&gate);
    __real_rpc_timer_set(timers, timer, dials ? 0 : 1000000, fn);
}

/* ---- Both ends --------------------------------------------------------------------------------
 */

static void send_frame(struct rpc_stream *stream) {
    Troth__Test__Frame frame = TROTH__TEST__FRAME__INIT;
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    item.id = 1;
    frame.n_items = 1;
    frame.items = (Troth__Test__Item *[]){&item};
    ck_assert_int_eq(rpc_stream_send(stream, &frame.base), 0);
}

static void client_opened(void *arg, struct rpc_stream *stream) {
    (void)arg;
    send_frame(stream);
}

static void client_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)arg;
    (void)stream;
    (void)bytes;
    (void)n;
    gate_lock(&gate);
    received_n++;
    gate_unlock(&gate);
}

static void server_opened(void *arg, struct rpc_stream *stream) {
    (void)arg;
    (void)stream;
}

static void server_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)arg;
    (void)bytes;
    (void)n;
    send_frame(stream);
    if (refuses) {
        rpc_stream_finish(stream, RPC_FAILED_PRECONDITION, "it has another disk");
        return;
    }
    rpc_stream_hold(stream);
    gate_lock(&gate);
    accepted = stream;
    accepted_n++;
    gate_unlock(&gate);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)arg;
    (void)stream;
    (void)status;
    (void)text;
}

/* ---- Stories ----------------------------------------------------------------------------------
 */

struct scene {
    struct house house;
    struct rpc_link *link;
};

static void set_up(struct scene *scene) {
    static const struct rpc_stream_handler client = {
        .opened = client_opened, .received = client_received, .closed = on_closed};
    static const struct rpc_stream_handler server = {
        .opened = server_opened, .received = server_received, .closed = on_closed};
    now_ms = 1000;
    delays_n = 0;
    house_open(&scene->house, 2);
    ck_assert_int_eq(rpc_server_stream(scene->house.server, CHAT, &server, NULL), 0);
    ck_assert_int_eq(rpc_server_start(scene->house.server), 0);
    ck_assert_int_eq(
        rpc_link_new(&scene->link, scene->house.rpc, scene->house.target, CHAT, &client, NULL), 0);
}

static void tear_down(struct scene *scene) {
    rpc_link_free(scene->link);
    house_close(&scene->house);
}

/* With jitter: between half of it and all of it. */
static void expect_delay(int which, int backoff_ms) {
    ck_assert_int_ge(delays_ms[which], backoff_ms / 2);
    ck_assert_int_le(delays_ms[which], backoff_ms);
}

START_TEST(who_greets_and_refuses_is_dialled_ever_less) {
    struct scene scene;
    refuses = true;
    dials_max = 9;
    set_up(&scene);
    GATE_WAIT(&gate, delays_n == 10);
    for (int i = 0, backoff_ms = 50; i < 10; i++) {
        expect_delay(i, backoff_ms);
        backoff_ms = backoff_ms < 1000 ? 2 * backoff_ms : 2000;
    }
    tear_down(&scene);
}
END_TEST

/* Lets the link's stream, the first or the next that is accepted, live so long, and ends it. */
static void live(int number, int64_t lived_ms) {
    GATE_WAIT(&gate, accepted_n == number && received_n == number);
    now_ms += lived_ms;
    rpc_stream_finish(accepted, RPC_UNAVAILABLE, "this node is stopping");
    rpc_stream_release(accepted);
}

START_TEST(a_stream_that_has_lived_is_dialled_again_soon_and_one_that_has_not_is_not) {
    struct scene scene;
    refuses = false;
    accepted_n = received_n = 0;
    dials_max = 4;
    set_up(&scene);
    live(1, 4000);
    live(2, 4000);
    live(3, 4000); /* the longest wait for another link's return would not be enough */
    live(4, 5000);
    live(5, 0);
    GATE_WAIT(&gate, delays_n == 5);
    expect_delay(0, 50);
    expect_delay(1, 100);
    expect_delay(2, 200);
    expect_delay(3, 50);
    expect_delay(4, 100);
    tear_down(&scene);
}
END_TEST

int main(void) {
    return suite_run(
        "rpc_link",
        (const TTest *[]){who_greets_and_refuses_is_dialled_ever_less,
                          a_stream_that_has_lived_is_dialled_again_soon_and_one_that_has_not_is_not,
                          NULL});
}

#include "tests/sim/wan.h"

#include "tests/sim/run.h"

#define SYNC_US 1000

/* ---- Measuring ------------------------------------------------------------------------------- */

struct clock {
    bool whole; /* from the work on, not from Commit */
    int64_t asked_us, told_us, applied_us;
};

static void see(void *arg, const struct sight *sight) {
    struct clock *clock = arg;
    if (sight->tx != 1) {
        return;
    }
    bool works = clock->whole && sight->kind == SIGHT_SEND && sight->speech->kind == SAY_WORK;
    if (clock->asked_us == 0 && (works || sight->kind == SIGHT_ASKS)) {
        clock->asked_us = sight->at_us;
    } else if (sight->kind == SIGHT_TOLD) {
        clock->told_us = sight->at_us;
    } else if (sight->kind == SIGHT_RM_APPLIED) {
        clock->applied_us = sight->at_us;
    }
}

enum wan_work { FROM_COMMIT, BEFORE_COMMIT, WITH_COMMIT };

/* The protocols in the order of wan_protocol_name. */
static bool measure(uint32_t region, uint32_t protocol, enum wan_work work,
                    struct wan_times *times) {
    uint32_t f = protocol == 0 ? 0 : (protocol - 1) % WAN_F_MAX + 1;
    static struct plan plan;
    struct clock clock = {.whole = work != FROM_COMMIT};
    struct verdict verdict;
    plan_make_still(&plan, 2 * f + 1, 2, 0, SYNC_US);
    plan_span_the_world(&plan);
    plan.region_of_rm[1] = (uint8_t)region;
    plan.thrifty = protocol > WAN_F_MAX && protocol <= 2 * WAN_F_MAX;
    plan.faster = protocol > 2 * WAN_F_MAX;
    if (work != FROM_COMMIT) {
        plan_hurry(&plan, work == WITH_COMMIT);
    }
    run_world(&plan, &(struct world_look){.see = see, .arg = &clock}, &verdict);
    *times = (struct wan_times){.told_ms = (double)(clock.told_us - clock.asked_us) / 1000,
                                .unlocked_ms = (double)(clock.applied_us - clock.asked_us) / 1000};
    return verdict.rule[0] == '\0' && clock.told_us > 0 && clock.applied_us > 0;
}

bool wan_measure(struct wan *wan) {
    bool good = true;
    for (uint32_t region = 1; region <= PLAN_REGIONS; region++) {
        for (uint32_t i = 0; i < WAN_PROTOCOLS; i++) {
            good = measure(region, i, FROM_COMMIT, &wan->times[region][i]) && good;
        }
        for (uint32_t f = 0; f <= WAN_F_MAX; f++) {
            good = measure(region, f, BEFORE_COMMIT, &wan->before[region][f]) && good;
            good = measure(region, f, WITH_COMMIT, &wan->with[region][f]) && good;
        }
    }
    return good;
}

/* ---- Showing --------------------------------------------------------------------------------- */

const char *wan_protocol_name(uint32_t protocol) {
    static const char *const names[WAN_PROTOCOLS] = {
        "2PC",         "Paxos F=1",   "Paxos F=2",  "Paxos F=3",  "thrifty F=1",
        "thrifty F=2", "thrifty F=3", "faster F=1", "faster F=2", "faster F=3"};
    return names[protocol];
}

static void print_whole(const struct wan *wan, FILE *file) {
    fprintf(file,
            "\nWhole transactions: from the client's first word until it is told, with the work "
            "before Commit\n(at both participants at once) / with Commit:\n\n%-22s",
            "the other participant");
    for (uint32_t f = 0; f <= WAN_F_MAX; f++) {
        fprintf(file, "%13s", wan_protocol_name(f));
    }
    fputc('\n', file);
    for (uint32_t region = 1; region <= PLAN_REGIONS; region++) {
        fprintf(file, "%-22s", plan_region_name(region));
        for (uint32_t f = 0; f <= WAN_F_MAX; f++) {
            fprintf(file, "%7.0f / %-3.0f", wan->before[region][f].told_ms,
                    wan->with[region][f].told_ms);
        }
        fputc('\n', file);
    }
}

void wan_print(const struct wan *wan, FILE *file) {
    fprintf(file,
            "Client, coordinator and one participant in %s, the other participant elsewhere;\n"
            "nodes in",
            plan_region_name(1));
    for (uint32_t region = 1; region <= PLAN_REGIONS; region++) {
        fprintf(file, "%s %s", region == 1 ? "" : ",", plan_region_name(region));
    }
    fprintf(file,
            " (the first 2F + 1). Milliseconds from Commit until\nthe client is told / the last "
            "participant has committed and unlocks:\n\n%-22s",
            "the other participant");
    for (uint32_t i = 0; i < WAN_PROTOCOLS; i++) {
        fprintf(file, "%13s", wan_protocol_name(i));
    }
    fputc('\n', file);
    for (uint32_t region = 1; region <= PLAN_REGIONS; region++) {
        fprintf(file, "%-22s", plan_region_name(region));
        for (uint32_t i = 0; i < WAN_PROTOCOLS; i++) {
            fprintf(file, "%7.0f / %-3.0f", wan->times[region][i].told_ms,
                    wan->times[region][i].unlocked_ms);
        }
        fputc('\n', file);
    }
    print_whole(wan, file);
}

#define LEFT   70
#define TOP    70
#define HEIGHT 300
#define GROUP  125
#define BAR    11
#define WIDTH  (LEFT + GROUP * (int)PLAN_REGIONS + 20)

static double highest(const struct wan *wan) {
    double most = 1;
    for (uint32_t region = 1; region <= PLAN_REGIONS; region++) {
        for (uint32_t i = 0; i < WAN_PROTOCOLS; i++) {
            double ms = wan->times[region][i].unlocked_ms;
            most = ms > most ? ms : most;
        }
    }
    return most;
}

static void plot_axis(FILE *file, double scale, double most) {
    for (int ms = 0; ms <= (int)most; ms += 100) {
        double y = TOP + HEIGHT - ms * scale;
        fprintf(file,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d ms</text>\n",
                LEFT, y, WIDTH - 20, y, LEFT - 8, y + 4, ms);
    }
}

static void plot_group(FILE *file, const struct wan *wan, uint32_t region, double scale) {
    static const char *const colours[WAN_PROTOCOLS] = {"#999999", "#1f77b4", "#2ca02c", "#9467bd",
                                                       "#6baed6", "#74c476", "#c5b0d5", "#08306b",
                                                       "#00441b", "#3f007d"};
    int x = LEFT + 10 + GROUP * (int)(region - 1);
    for (uint32_t i = 0; i < WAN_PROTOCOLS; i++) {
        const struct wan_times *times = &wan->times[region][i];
        fprintf(file,
                "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\" "
                "fill-opacity=\"0.35\"/>\n"
                "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"/>\n",
                x + BAR * (int)i, TOP + HEIGHT - times->unlocked_ms * scale, BAR - 2,
                times->unlocked_ms * scale, colours[i], x + BAR * (int)i,
                TOP + HEIGHT - times->told_ms * scale, BAR - 2, times->told_ms * scale, colours[i]);
        if (region == 1) {
            fprintf(file,
                    "<rect x=\"%d\" y=\"42\" width=\"12\" height=\"12\" fill=\"%s\"/>\n"
                    "<text x=\"%d\" y=\"53\">%s</text>\n",
                    LEFT + 92 * (int)i, colours[i], LEFT + 16 + 92 * (int)i, wan_protocol_name(i));
        }
    }
    fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
            x + BAR * (int)WAN_PROTOCOLS / 2, TOP + HEIGHT + 18, plan_region_name(region));
}

void wan_plot(const struct wan *wan, FILE *file) {
    double most = highest(wan);
    double scale = HEIGHT / most;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"24\" font-size=\"16\">From Commit until the client is told (full), "
            "and until the last participant unlocks (pale)</text>\n",
            WIDTH, TOP + HEIGHT + 50, LEFT);
    plot_axis(file, scale, most);
    for (uint32_t region = 1; region <= PLAN_REGIONS; region++) {
        plot_group(file, wan, region, scale);
    }
    fprintf(file,
            "<text x=\"%d\" y=\"%d\">where the other participant is; client, coordinator and the "
            "first participant are in %s</text>\n</svg>\n",
            LEFT, TOP + HEIGHT + 40, plan_region_name(1));
}

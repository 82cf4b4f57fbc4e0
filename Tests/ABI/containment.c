/* Plugins that misbehave: whatever one does, its payer pays nothing, the host lives, and the next good call works.
 *
 *   containment [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own, in its own process group. FAREBOX_SEED chooses the garbage on the
 * protocol's socket, FAREBOX_LONG makes more of it. */
#include "plugins.h"

/* ---- One misdeed after another ---- */

/* What a tool of the plugin `hostile` does, and how the host must answer: one status, and words of its sentence. */
typedef struct misdeed {
    const char *tool, *input;
    farebox_status expected;
    const char *words;
    uint32_t deadline_ms;
} misdeed;

enum { SOON = 80 };

static const misdeed deaths[] = {
    {"segfault", "{}", FAREBOX_PLUGIN_CRASHED, "SIGSEGV", 0},
    {"trap", "{}", FAREBOX_PLUGIN_CRASHED, "SIG", 0},
    {"abort", "{}", FAREBOX_PLUGIN_CRASHED, "SIGABRT", 0},
    {"exit", "{}", FAREBOX_PLUGIN_CRASHED, "status 0", 0},
    {"exit", "{\"code\":7}", FAREBOX_PLUGIN_CRASHED, "status 7", 0},
    {"exit_now", "{\"code\":0}", FAREBOX_PLUGIN_CRASHED, "status 0", 0},
    {"exit_now", "{\"code\":255}", FAREBOX_PLUGIN_CRASHED, "status 255", 0},
    {"raise", "{\"signal\":9}", FAREBOX_PLUGIN_CRASHED, "SIGKILL", 0},
    {"raise", "{\"signal\":15}", FAREBOX_PLUGIN_CRASHED, "SIGTERM", 0},
    {"raise", "{\"signal\":11}", FAREBOX_PLUGIN_CRASHED, "SIGSEGV", 0},
    {"raise", "{\"signal\":19}", FAREBOX_PLUGIN_DEADLINE, "deadline", SOON},
    {"recurse", "{}", FAREBOX_PLUGIN_CRASHED, "SIGSEGV", 0},
    {"corrupt_heap", "{}", FAREBOX_PLUGIN_CRASHED, "SIG", 0},
    {"leave_thread", "{}", FAREBOX_PLUGIN_CRASHED, "", 0},
    {"close_descriptors", "{}", FAREBOX_PLUGIN_CRASHED, "", 0},
};

static const misdeed hangs[] = {
    {"loop", "{}", FAREBOX_PLUGIN_DEADLINE, "deadline", SOON},
    {"ignore_signals", "{}", FAREBOX_PLUGIN_DEADLINE, "deadline", SOON},
    {"catch_segfault", "{}", FAREBOX_PLUGIN_DEADLINE, "deadline", SOON},
    {"sleep", "{}", FAREBOX_PLUGIN_DEADLINE, "deadline", SOON},
    {"loop_until_cancelled", "{}", FAREBOX_PLUGIN_DEADLINE, "deadline", SOON},
    {"loop", "{}", FAREBOX_PLUGIN_DEADLINE, "deadline", 1},
};

static const misdeed floods[] = {
    {"flood_output", "{}", FAREBOX_PLUGIN_OUTPUT_LIMIT, "1048576", 0},
    {"flood_forever", "{}", FAREBOX_PLUGIN_OUTPUT_LIMIT, "1048576", 0},
    {"flood_error", "{}", FAREBOX_PLUGIN_FAILED, "eee", 0},
    {"write_null", "{}", FAREBOX_PLUGIN_FAILED, "2 2", 0},
};

static const misdeed lies[] = {
    {"unknown_status", "{\"status\":4242}", FAREBOX_PLUGIN_FAILED, "", 0},
    {"unknown_status", "{\"status\":-1}", FAREBOX_PLUGIN_FAILED, "", 0},
    {"unknown_status", "{\"status\":-2147483648}", FAREBOX_PLUGIN_FAILED, "", 0},
    {"unknown_status", "{\"status\":1022}", FAREBOX_PLUGIN_FAILED, "", 0},
    {"unknown_status", "{\"status\":5}", FAREBOX_PLUGIN_FAILED, "nobody asked", 0},
    {"no_output", "{}", FAREBOX_PLUGIN_OUTPUT, "JSON", 0},
    {"invalid_utf8", "{}", FAREBOX_PLUGIN_OUTPUT, "JSON", 0},
    {"invalid_json", "{}", FAREBOX_PLUGIN_OUTPUT, "JSON", 0},
    {"deep_json", "{\"depth\":100000}", FAREBOX_PLUGIN_OUTPUT, "JSON", 0},
    {"two_values", "{}", FAREBOX_PLUGIN_OUTPUT, "JSON", 0},
    {"wrong_output", "{}", FAREBOX_PLUGIN_OUTPUT, "", 0},
    {"text_invalid", "{}", FAREBOX_PLUGIN_OUTPUT, "UTF-8", 0},
    {"huge_number", "{}", FAREBOX_PLUGIN_OUTPUT, "JSON", 0},
    {"error_invalid", "{}", FAREBOX_PLUGIN_FAILED, "", 0},
    {"meter_then_fail", "{}", FAREBOX_PLUGIN_FAILED, "it was used, and failed", 0},
    {"use_kept_sink", "{}", FAREBOX_PLUGIN_INPUT, "keep_sink comes first", 0},
};

static answer misbehave(farebox_engine *engine, const misdeed *one)
{
    char tool[64];
    snprintf(tool, sizeof tool, "hostile.%s", one->tool);
    farebox_tool_args args = a_call(tool, one->input);
    args.deadline_ms = one->deadline_ms;
    return call_with(engine, &args);
}

static void good_call(farebox_engine *engine)
{
    works(engine, "hostile.error_then_ok", "{}", "{\"ok\":true}", CENT);
}

/* One misdeed, of which nothing may be left but its status; and a good call. */
static void survive(farebox_engine *engine, const misdeed *one)
{
    const int64_t before = wallet(engine, "user:ana");
    const int64_t author = earned(engine, "user:author");
    const int64_t began = milliseconds();
    const answer given = misbehave(engine, one);
    if (!EXPECT(one->expected, given.status) || strstr(given.error.message, one->words) == NULL) {
        fprintf(stderr, "hostile.%s %s: %s\n", one->tool, one->input, given.error.message);
    }
    CHECK(strstr(given.error.message, one->words) != NULL);
    EQUAL(0, given.receipt.id);
    EQUAL(before, wallet(engine, "user:ana"));
    EQUAL(author, earned(engine, "user:author"));
    /* It returns by its deadline, with what a busy machine takes. */
    CHECK(one->deadline_ms == 0 || milliseconds() - began < one->deadline_ms + 1000);
    good_call(engine);
}

/* The misdeeds of a list, round by round; the process holds afterwards what it held before. */
static void survive_all(const misdeed *list, size_t count, int rounds)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    MUST(load(engine, "hostile"));
    good_call(engine);
    for (int round = 0; round < rounds; round++) {
        for (size_t k = 0; k < count; k++) {
            report->step = k;
            survive(engine, &list[k]);
        }
    }
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.hostile\"}"));
    holds_as_before(before);
    close_sound(engine);
}

#define SURVIVE(list, rounds) survive_all(list, sizeof list / sizeof list[0], rounds)

static void dying(void)
{
    SURVIVE(deaths, is_long() ? 50 : 3);
}

static void hanging(void)
{
    SURVIVE(hangs, is_long() ? 50 : 2);
}

static void flooding(void)
{
    SURVIVE(floods, is_long() ? 100 : 4);
}

static void lying(void)
{
    SURVIVE(lies, is_long() ? 200 : 5);
}

/* ---- Reaching for the host ---- */

/* What a sandbox stops is not a failure of the call: the tool says that it could not, and is paid. None of it may have
 * happened, and whatever it was the host lives. */
static void reaching(void)
{
    MUST(set_policy(""));
    setenv("FAREBOX_TEST_SECRET", "hunter2", 1);
    setpgid(0, 0);
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    MUST(load(engine, "hostile"));
    static const struct {
        const char *tool, *input, *denied;
    } tries[] = {
        {"hostile.kill_parent", "{\"signal\":9}", "\"errno\":0"},
        {"hostile.kill_parent", "{\"signal\":19}", "\"errno\":0"},
        {"hostile.trace_parent", "{}", "\":0"},
        {"hostile.fork", "{}", "\"errno\":0"},
        {"hostile.exec", "{\"path\":\"/bin/true\"}", "\"errno\":0"},
        {"hostile.connect", "{\"port\":80}", "\"errno\":0"},
        {"hostile.read_file", "{\"path\":\"/etc/passwd\"}", "\"errno\":0"},
        {"hostile.write_file", "{\"path\":\"/tmp/farebox-hostile\"}", "\"errno\":0"},
        {"hostile.list_folder", "{\"path\":\"/\"}", "\"errno\":0"},
        {"hostile.environment", "{}", "FAREBOX_TEST_SECRET"},
        {"hostile.raise_limits", "{}", "\"as\":0"},
        {"hostile.sockets", "{}", "\"inet\":0"},
        {"hostile.allocate", "{}", "\"errno\":0"},
        {"hostile.many_threads", "{\"count\":100000}", "\"threads\":100000"},
        {"hostile.system_calls", "{}", "\"execve\":0"},
    };
    for (size_t k = 0; k < sizeof tries / sizeof tries[0]; k++) {
        report->step = k;
        const int64_t had = wallet(engine, "user:ana");
        const answer given = call_tool(engine, tries[k].tool, tries[k].input);
        /* Whoever fills so much memory may be still at it by the deadline. */
        if (!CHECK(given.status == FAREBOX_OK || given.status == FAREBOX_PLUGIN_CRASHED ||
                   (given.status == FAREBOX_PLUGIN_DEADLINE && strstr(tries[k].tool, "allocate") != NULL)) ||
            !CHECK(strstr(given.text, tries[k].denied) == NULL)) {
            fprintf(stderr, "%s: %s %s\n", tries[k].tool, given.text, given.error.message);
        }
        EQUAL(had - (given.status == FAREBOX_OK ? CENT : 0), wallet(engine, "user:ana"));
        good_call(engine);
    }
    CHECK(access("/tmp/farebox-hostile", F_OK) != 0);
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.hostile\"}"));
    holds_as_before(before);
    close_sound(engine);
}

/* A plugin that leaks descriptors over a thousand calls costs its own process, and none of the host's. */
static void leaking(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "hostile"));
    const process_state before = process_now();
    const int64_t had = wallet(engine, "user:ana");
    int64_t paid = 0;
    for (int k = 0; k < 1000; k++) {
        const answer given = call_tool(engine, "hostile.leak_descriptors", "{\"count\":4}");
        CHECK(given.status == FAREBOX_OK || given.status == FAREBOX_PLUGIN_CRASHED ||
              given.status == FAREBOX_PLUGIN_UNAVAILABLE);
        paid += given.status == FAREBOX_OK;
    }
    CHECK(paid > 900);
    EQUAL(had - paid * CENT, wallet(engine, "user:ana"));
    good_call(engine);
    holds_as_before(before);
    /* None of the host's descriptors is in the worker: no file, no folder, and of sockets the protocol's alone. */
    const answer open = call_tool(engine, "hostile.list_descriptors", "{}");
    EXPECT(FAREBOX_OK, open.status);
    CHECK(strstr(open.text, "\"folder\"") == NULL);
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.hostile\"}"));
    close_sound(engine);
}

/* ---- The protocol's socket ---- */

static void to_hex(char *out, const unsigned char *bytes, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        snprintf(out + 2 * k, 3, "%02x", bytes[k]);
    }
}

/* What was written too much may cost one more call; two crashes in a row, and it is left alone for a moment. */
static void recover(farebox_engine *engine)
{
    int crashes = 0;
    for (int wait = 0; wait < 200; wait++) {
        const answer given = call_tool(engine, "hostile.error_then_ok", "{}");
        if (given.status == FAREBOX_OK) {
            break;
        }
        CHECK(given.status == FAREBOX_PLUGIN_UNAVAILABLE || (given.status == FAREBOX_PLUGIN_CRASHED && ++crashes == 1));
        usleep(5000);
    }
    good_call(engine);
}

/* The host takes the bytes for what they are: the call fails, or gives an output that the plugin could have given
 * anyway. Nobody pays more than the price, and within two calls the plugin works again. */
static void forge(farebox_engine *engine, const unsigned char *bytes, size_t count)
{
    char input[4200], hex[4096 + 1] = "";
    to_hex(hex, bytes, count);
    snprintf(input, sizeof input, "{\"hex\":\"%s\"}", hex);
    const int64_t had = wallet(engine, "user:ana");
    farebox_tool_args args = a_call("hostile.forge", input);
    args.deadline_ms = 500;
    const answer given = call_with(engine, &args);
    if (!CHECK(given.status == FAREBOX_OK || given.status == FAREBOX_PLUGIN_CRASHED ||
               given.status == FAREBOX_PLUGIN_OUTPUT || given.status == FAREBOX_PLUGIN_DEADLINE ||
               given.status == FAREBOX_UNPRICEABLE)) {
        fprintf(stderr, "%s: %s: %s\n", hex, farebox_status_name(given.status), given.error.message);
    }
    EQUAL(had - (given.status == FAREBOX_OK ? CENT : 0), wallet(engine, "user:ana"));
    EQUAL(given.status == FAREBOX_OK ? CENT : 0, given.receipt.amount);
    recover(engine);
}

/* A packet as a worker sends it: kind, request, the length of the message, and its body. */
static size_t packet(unsigned char *out, unsigned kind, uint32_t request, uint64_t length, const void *body,
                     size_t count)
{
    memset(out, 0, 16);
    out[0] = (unsigned char)kind;
    memcpy(out + 4, &request, sizeof request);
    memcpy(out + 8, &length, sizeof length);
    memcpy(out + 16, body, count);
    return 16 + count;
}

static void forging(void)
{
    enum { HELLO = 33, DONE = 34, GET = 35, LOG = 36, FULL = 37, MORE = 64 };
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    MUST(load(engine, "hostile"));
    unsigned char bytes[2048], body[512];
    uint64_t state = seed_or(7);
    for (int k = 0; k < (is_long() ? 5000 : 60); k++) {
        report->step = (uint64_t)k;
        const size_t count = random_below(&state, 200);
        for (size_t at = 0; at < count; at++) {
            bytes[at] = (unsigned char)random_next(&state);
        }
        forge(engine, bytes, count);
    }
    /* Whole packets of every kind, with lengths that are right and that are not, for requests around the next. */
    static const unsigned kinds[] = {HELLO, DONE, GET, LOG, FULL, MORE, 4, 0, 255};
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        memset(body, 0, sizeof body);
        for (uint32_t request = 0; request < 12; request += 3) {
            forge(engine, bytes, packet(bytes, kinds[kind], request, 32, body, 32));
        }
        forge(engine, bytes, packet(bytes, kinds[kind], 5, UINT64_MAX, body, 32));
        forge(engine, bytes, packet(bytes, kinds[kind], 5, 1 << 20, body, 32));
        forge(engine, bytes, packet(bytes, kinds[kind], 5, 0, body, 0));
    }
    /* Answers that claim to have used much, or nothing, or less than nothing, and set values in the store. */
    static const int64_t usages[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    for (size_t usage = 0; usage < sizeof usages / sizeof usages[0]; usage++) {
        for (uint32_t request = 4; request < 9; request++) {
            const uint32_t front[4] = {0, 0, 2, 0};
            memcpy(body, front, sizeof front);
            memcpy(body + 16, &usages[usage], 8);
            memcpy(body + 24, "{\"forged\":true}", 15);
            forge(engine, bytes, packet(bytes, DONE, request, 39, body, 39));
        }
    }
    /* Garbage into all that is open, too. */
    for (int k = 0; k < 5; k++) {
        const int64_t had = wallet(engine, "user:ana");
        const answer given = call_tool(engine, "hostile.write_everywhere", "{}");
        CHECK(given.status != FAREBOX_OK || given.receipt.amount == CENT);
        EQUAL(had - (given.status == FAREBOX_OK ? CENT : 0), wallet(engine, "user:ana"));
        recover(engine);
    }
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.hostile\"}"));
    holds_as_before(before);
    close_sound(engine);
}

/* ---- Services ---- */

/* Misuse of the host's services has statuses, and what a plugin may do it is paid for exactly. */
static void misusing_services(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "hostile"));
    works(engine, "hostile.meter_misuse", "{}",
          "{\"negative\":2,\"least\":2,\"unknown\":2,\"absent\":2,\"micro\":2,\"overflow\":2,\"two\":0}",
          CENT / 10 * 2);
    works(engine, "hostile.meter_declared", "{\"text\":\"four\"}", "{\"status\":2}", CENT / 10 * 4);
    works(engine, "hostile.service_misuse", "{}", "{\"unknown\":0,\"revision\":0,\"absent\":0,\"config\":7}", CENT);
    works(engine, "hostile.store_flood", "{\"count\":17}", "{\"taken\":16,\"status\":6}", CENT);
    works(engine, "hostile.store_misuse", "{}",
          "{\"long_key\":2,\"no_key\":2,\"long_value\":2,\"most\":0,\"invalid_key\":2,\"missing\":7}", CENT);
    works(engine, "hostile.flood_logs", "{\"count\":10000}", "{\"lines\":10000}", CENT);

    /* More units than there can be are none, and more than any price asks for cost its maximum. */
    /* What it metered is refused, so no usage was reported: it costs what was held, and says so. */
    const answer unreported = call_tool(engine, "hostile.meter_huge", "{}");
    CHECK(strcmp(unreported.text, "{\"status\":2}") == 0);
    EQUAL(USD, unreported.receipt.amount);
    CHECK((unreported.receipt.flags & FAREBOX_RECEIPT_UNREPORTED) != 0);
    works(engine, "hostile.meter_huge", "{\"count\":9000000000000}", "{\"status\":0}", USD);

    /* Lines beyond a hundred a second are dropped and counted, and no text of a plugin's can forge another line. */
    const char *out = NULL;
    EXPECT(FAREBOX_OK,
           call_json(engine, &out, "plugin.logs", "{\"plugin\":\"org.farebox.test.hostile\",\"limit\":1000}"));
    int lines = 0;
    for (const char *at = out; (at = strstr(at, "\"number\":")) != NULL; at++) {
        lines++;
    }
    CHECK(lines >= 5 && lines <= 300);
    CHECK(strstr(out, "\n{\"forged\"") == NULL);

    /* A sink, a meter and a store that were kept from the call before do nothing, or cost the process. */
    const answer kept = call_tool(engine, "hostile.keep_sink", "{\"thread\":1}");
    CHECK(kept.status == FAREBOX_OK || kept.status == FAREBOX_PLUGIN_OUTPUT);
    const answer stale = call_tool(engine, "hostile.use_kept_sink", "{}");
    CHECK(stale.status == FAREBOX_OK || stale.status == FAREBOX_PLUGIN_CRASHED ||
          stale.status == FAREBOX_PLUGIN_OUTPUT);
    CHECK(stale.status != FAREBOX_OK || stale.receipt.amount == CENT);
    good_call(engine);

    /* A plugin without the permission is denied the store. */
    MUST(load(engine, "hostile-bare"));
    works(engine, "hostile-bare.store_flood", "{\"count\":1}", "{\"taken\":0,\"status\":8}", CENT);
    close_sound(engine);
}

/* ---- A plugin that keeps failing ---- */

static void keeps_failing(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "hostile"));
    const int64_t had = wallet(engine, "user:ana");
    int crashed = 0;
    int64_t turned_away = 0, first_crash = 0, fifth_crash = 0;
    /* The second crash in a row is followed by 50 ms, the third by 100, the fourth by 200; the fifth opens the circuit.
     */
    while (crashed < 5) {
        const answer given = call_tool(engine, "hostile.segfault", "{}");
        if (given.status == FAREBOX_PLUGIN_CRASHED) {
            crashed++;
            CHECK(given.error.retryable == 1);
            first_crash = crashed == 1 ? milliseconds() : first_crash;
            fifth_crash = milliseconds();
            continue;
        }
        EXPECT(FAREBOX_PLUGIN_UNAVAILABLE, given.status);
        CHECK(given.error.retryable == 1);
        const int64_t retry = json_first(given.error.details, "retry_after_ms");
        CHECK(retry >= 1 && retry <= 200);
        turned_away++;
        usleep(2000);
    }
    CHECK(turned_away >= 3);
    CHECK(fifth_crash - first_crash >= 340);
    const answer given = call_tool(engine, "hostile.error_then_ok", "{}");
    EXPECT(FAREBOX_PLUGIN_UNAVAILABLE, given.status);
    CHECK(strstr(given.error.details, "\"circuit\":\"open\"") != NULL);
    const int64_t retry = json_first(given.error.details, "retry_after_ms");
    CHECK(retry > 25000 && retry <= 30000);
    EQUAL(had, wallet(engine, "user:ana"));

    /* Another plugin has its own circuit, and one that is loaded anew has a new one. */
    MUST(load(engine, "good-1.0.0"));
    works(engine, "good.add", "{\"a\":2,\"b\":40}", "{\"sum\":42}", 2 * CENT);
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.metrics", "{\"plugin\":\"org.farebox.test.hostile\"}"));
    EQUAL(5, json_first(out, "crashed"));
    EQUAL(turned_away + 1, json_first(out, "unavailable"));
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.hostile\"}"));
    MUST(load(engine, "hostile"));
    good_call(engine);
    close_sound(engine);
}

/* Foreign functions are contained the same. */
static void foreign(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    MUST(load(engine, "foreign"));
    static const struct {
        const char *tool;
        farebox_status expected;
    } misdeeds[] = {
        {"foreign.crash", FAREBOX_PLUGIN_CRASHED},
        {"foreign.loop", FAREBOX_PLUGIN_DEADLINE},
        {"foreign.exit", FAREBOX_PLUGIN_CRASHED},
        {"foreign.overrun", FAREBOX_PLUGIN_CRASHED},
    };
    for (size_t k = 0; k < sizeof misdeeds / sizeof misdeeds[0]; k++) {
        const int64_t had = wallet(engine, "user:ana");
        farebox_tool_args args = a_call(misdeeds[k].tool, "{}");
        args.deadline_ms = 200;
        const answer given = call_with(engine, &args);
        if (!EXPECT(misdeeds[k].expected, given.status)) {
            fprintf(stderr, "%s: %s\n", misdeeds[k].tool, given.error.message);
        }
        EQUAL(had, wallet(engine, "user:ana"));
        const answer good = call_tool(engine, "foreign.add", "{\"a\":1,\"b\":2}");
        EXPECT(FAREBOX_OK, good.status);
        CHECK(strcmp(good.text, "{\"result\":3}") == 0);
    }
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.foreign\"}"));
    holds_as_before(before);
    close_sound(engine);
}

int main(int count, char **arguments)
{
    static const section sections[] = {
        {"dying", dying},
        {"hanging", hanging},
        {"flooding", flooding},
        {"lying", lying},
        {"reaching", reaching},
        {"leaking", leaking},
        {"forging", forging},
        {"services", misusing_services},
        {"keeps_failing", keeps_failing},
        {"foreign", foreign},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, is_long() ? 3600 : 120);
}

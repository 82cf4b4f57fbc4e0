/* What calls of plugins' tools cost: exact receipts, caps, repeats, refusals before anything runs, cancelling, and many
 * threads at once.
 *
 *   charging [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own. */
#include "plugins.h"

static const char good_id[] = "org.farebox.test.good";

static farebox_engine *open_good(void)
{
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    return engine;
}

/* A counter of the plugin's metrics. */
static int64_t metric(farebox_engine *engine, const char *name)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.metrics", "{\"plugin\":\"%s\"}", good_id));
    return json_first(out, name);
}

/* ---- Receipts ---- */

static void receipts(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_good();
    char digest[65] = {0}, command[1024];
    snprintf(command, sizeof command, "sha256sum '%s/good-1.0.0/libgood.so'", fixtures_folder());
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL && fread(digest, 1, 64, pipe) == 64);
    pclose(pipe);

    /* A request, units that the plugin meters, bytes that the host counts. */
    static const struct {
        const char *tool, *input, *output;
        int64_t amount;
    } calls[] = {
        {"good.echo",
         "{\"text\":\"Gr\xc3\xbc\xc3\x9f"
         "e\"}",
         "{\"text\":\"Gr\xc3\xbc\xc3\x9f"
         "e\"}",
         10000000},
        {"good.add", "{\"a\":2,\"b\":40}", "{\"sum\":42}", 20000000},
        {"good.count", "{\"count\":12,\"micro\":500000}", "{\"status\":0}", 12500000},
        {"good.count", "{\"count\":0}", "{\"status\":0}", 0},
        {"good.count", "{\"count\":0,\"micro\":1}", "{\"status\":0}", 1},
        {"good.count", "{\"count\":5000}", "{\"status\":0}", 1000000000}, /* its price has a maximum */
        {"good.measure",
         "{\"text\":\"Gr\xc3\xbc"
         "e\"}",
         "{\"status\":2}", 5000000},
        {"good.measure", "{\"text\":\"\"}", "{\"status\":2}", 0},
        {"good.text", "{}",
         "Gr\xc3\xbc\xc3\x9f"
         "e\n",
         10000000},
    };
    int64_t paid = 0, share = 0;
    for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
        report->step = k;
        const answer given = call_tool(engine, calls[k].tool, calls[k].input);
        EXPECT(FAREBOX_OK, given.status);
        CHECK(strcmp(calls[k].output, given.text) == 0);
        paid += calls[k].amount;
        share += (calls[k].amount * 7 + 5) / 10; /* the unit that is left over goes to the larger part */
        EQUAL(calls[k].amount, given.receipt.amount);
        EQUAL(1000 * USD - paid, given.receipt.balance);
        EQUAL(1000 * USD - paid, given.receipt.available);
        EQUAL(0, given.receipt.hold_remaining);
        CHECK(given.receipt.id != 0 && given.receipt.hold != 0);
        CHECK(given.receipt.price_version != 0);
        CHECK(strcmp(given.receipt.asset, "USD") == 0);
        EQUAL(1000 * USD - paid, wallet(engine, "user:ana"));
        EQUAL(share, earned(engine, "user:author"));

        /* The capture tells which code it was that ran. */
        const char *out = NULL;
        EXPECT(FAREBOX_OK, call_json(engine, &out, "transfer.get", "{\"id\":%" PRIu64 "}", given.receipt.id));
        CHECK(strstr(out, "\"kind\":\"capture\"") != NULL);
        if (!CHECK(strstr(out, "org.farebox.test.good") != NULL && strstr(out, "1.0.0") != NULL &&
                   strstr(out, digest) != NULL)) {
            fprintf(stderr, "%s\n", out);
        }
    }

    /* Bytes are given as they are. */
    const answer bytes = call_tool(engine, "good.bytes", "{\"count\":300}");
    EXPECT(FAREBOX_OK, bytes.status);
    EQUAL(300, bytes.len);
    int wrong = 0;
    for (size_t k = 0; k < bytes.len; k++) {
        wrong += (unsigned char)bytes.text[k] != (unsigned char)k;
    }
    EQUAL(0, wrong);

    /* A price of the payer's own is the one that counts. */
    MUST(DO(engine, "price.set", "{\"tool\":\"good.echo\",\"customer\":\"user:ana\",\"price\":{\"cost\":\"0.005\"}}"));
    works(engine, "good.echo", "{}", "{}", CENT / 2);

    /* The plugin is told who calls. */
    farebox_tool_args args = a_call("good.context", "{}");
    args.run = FAREBOX_STR("run-7");
    args.call = FAREBOX_STR("call-8");
    const answer context = call_with(engine, &args);
    CHECK(strcmp(context.text,
                 "{\"tool\":\"good.context\",\"account\":\"user:ana\",\"run\":\"run-7\",\"call\":\"call-8\"}") == 0);
    close_sound(engine);
}

static void caps(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_good();
    farebox_tool_args args = a_call("good.count", "{\"count\":100}");
    args.max_cost = CENT * 5;
    answer given = call_with(engine, &args);
    EXPECT(FAREBOX_OK, given.status);
    EQUAL(CENT * 5, given.receipt.amount);
    args.max_cost = CENT * 10 + 1;
    given = call_with(engine, &args);
    EXPECT(FAREBOX_OK, given.status);
    EQUAL(CENT * 10, given.receipt.amount);
    args.max_cost = 1;
    given = call_with(engine, &args);
    EXPECT(FAREBOX_OK, given.status);
    EQUAL(1, given.receipt.amount);
    EQUAL(1000 * USD - CENT * 15 - 1, wallet(engine, "user:ana"));

    /* What is known to cost more than the cap is never charged more. */
    farebox_tool_args flat = a_call("good.add", "{\"a\":1,\"b\":1}");
    flat.max_cost = CENT;
    given = call_with(engine, &flat);
    CHECK(given.status == FAREBOX_OK ? given.receipt.amount == CENT : given.status / 100 == 4);
    CHECK(wallet(engine, "user:ana") >= 1000 * USD - CENT * 16 - 1);
    close_sound(engine);
}

/* ---- Repeats ---- */

static void *same_key(void *engine)
{
    farebox_tool_args args = a_call("good.sleep", "{\"ms\":5}");
    args.idempotency_key = FAREBOX_STR("all at once");
    const answer given = call_with(engine, &args);
    EXPECT(FAREBOX_OK, given.status);
    EQUAL(CENT, given.receipt.amount);
    return NULL;
}

static void *slow_twin(void *engine)
{
    farebox_tool_args args = a_call("good.sleep", "{\"ms\":400}");
    args.idempotency_key = FAREBOX_STR("twins");
    const answer given = call_with(engine, &args);
    EXPECT(FAREBOX_OK, given.status);
    EQUAL(CENT, given.receipt.amount);
    return NULL;
}

/* Two tries of one call share its hold. The one that fails gives the money back, and the one that works pays all the same,
 * once however often it is tried afterwards. */
static void twins(farebox_engine *engine)
{
    const int64_t had = wallet(engine, "user:ana");
    pthread_t twin;
    CHECK(pthread_create(&twin, NULL, slow_twin, engine) == 0);
    while (balance_of(engine, "user:ana").held == 0) {
        sched_yield();
    }
    farebox_tool_args args = a_call("good.sleep", "{\"ms\":9000}");
    args.idempotency_key = FAREBOX_STR("twins");
    args.deadline_ms = 20;
    EXPECT(FAREBOX_PLUGIN_DEADLINE, call_with(engine, &args).status);
    EQUAL(0, balance_of(engine, "user:ana").held);
    pthread_join(twin, NULL);
    EQUAL(had - CENT, wallet(engine, "user:ana"));
    args.input = FAREBOX_STR("{\"ms\":1}");
    args.deadline_ms = 0;
    EXPECT(FAREBOX_OK, call_with(engine, &args).status);
    EQUAL(had - CENT, wallet(engine, "user:ana"));
}

static void repeats(void)
{
    MUST(set_policy("\"processes\":4"));
    farebox_engine *engine = open_good();
    farebox_tool_args args = a_call("good.tally", "{}");
    args.idempotency_key = FAREBOX_STR("once");
    const answer first = call_with(engine, &args);
    EXPECT(FAREBOX_OK, first.status);
    CHECK(strcmp(first.text, "{\"value\":1}") == 0);
    CHECK((first.receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0);
    for (int k = 2; k < 5; k++) {
        char output[32];
        snprintf(output, sizeof output, "{\"value\":%d}", k);
        const answer again = call_with(engine, &args);
        EXPECT(FAREBOX_OK, again.status);
        CHECK(strcmp(again.text, output) == 0);
        EQUAL(first.receipt.amount, again.receipt.amount);
        CHECK((again.receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
        EQUAL(1000 * USD - CENT, wallet(engine, "user:ana"));
    }

    /* After tries that failed, and so were not paid, one that works is paid once. */
    farebox_tool_args failing = a_call("good.tally", "{\"key\":\"x\",\"fail\":1}");
    failing.idempotency_key = FAREBOX_STR("in the end");
    for (int k = 0; k < 3; k++) {
        EXPECT(FAREBOX_PLUGIN_FAILED, call_with(engine, &failing).status);
    }
    EQUAL(1000 * USD - CENT, wallet(engine, "user:ana"));
    failing.input = FAREBOX_STR("{\"key\":\"x\"}");
    for (int k = 0; k < 3; k++) {
        const answer given = call_with(engine, &failing);
        EXPECT(FAREBOX_OK, given.status);
        EQUAL(CENT, given.receipt.amount);
        EQUAL(1000 * USD - 2 * CENT, wallet(engine, "user:ana"));
    }
    /* What a failed try had set in the store was not kept. */
    CHECK(strcmp(call_tool(engine, "good.tally", "{\"key\":\"x\"}").text, "{\"value\":4}") == 0);
    /* The longest key has tries too. */
    char longest[255];
    memset(longest, 'k', sizeof longest);
    failing.idempotency_key = (farebox_str){longest, sizeof longest};
    failing.input = FAREBOX_STR("{\"key\":\"y\",\"fail\":1}");
    const int64_t had = wallet(engine, "user:ana");
    EXPECT(FAREBOX_PLUGIN_FAILED, call_with(engine, &failing).status);
    failing.input = FAREBOX_STR("{\"key\":\"y\"}");
    EXPECT(FAREBOX_OK, call_with(engine, &failing).status);
    EXPECT(FAREBOX_OK, call_with(engine, &failing).status);
    EQUAL(had - CENT, wallet(engine, "user:ana"));

    /* The same key for another tool is a conflict, and nothing runs. */
    const int64_t time = metric(engine, "time_ns");
    args.tool = FAREBOX_STR("good.echo");
    EXPECT(FAREBOX_KEY_CONFLICT, call_with(engine, &args).status);
    EQUAL(time, metric(engine, "time_ns"));

    /* From many threads at once. */
    for (int round = 0; round < 3; round++) {
        pthread_t threads[8];
        for (int k = 0; k < 8; k++) {
            CHECK(pthread_create(&threads[k], NULL, same_key, engine) == 0);
        }
        for (int k = 0; k < 8; k++) {
            pthread_join(threads[k], NULL);
        }
        EQUAL(had - 2 * CENT, wallet(engine, "user:ana"));
    }
    twins(engine);
    close_sound(engine);
}

/* ---- Refusals ---- */

/* A call that must be refused before its tool runs, and leaves no trace. */
static void refused(farebox_engine *engine, farebox_status expected, farebox_tool_args args)
{
    const int64_t time = metric(engine, "time_ns"), before = records(engine);
    const farebox_balance_result had = balance_of(engine, "user:ana");
    const answer given = call_with(engine, &args);
    if (!EXPECT(expected, given.status)) {
        fprintf(stderr, "%s: %s\n", given.error.field, given.error.message);
    }
    EQUAL(0, given.receipt.id);
    EQUAL(time, metric(engine, "time_ns"));
    EQUAL(before, records(engine));
    EQUAL(had.available, balance_of(engine, "user:ana").available);
}

static void refusals(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_good();
    works(engine, "good.tally", "{}", "{\"value\":1}", CENT);
    MUST(DO(engine, "account.open", "{\"account\":\"user:poor\"}"));
    MUST(DO(engine, "account.open", "{\"account\":\"user:cold\"}"));
    MUST(DO(engine, "account.freeze", "{\"account\":\"user:cold\"}"));
    MUST(DO(engine, "skill.register",
            "{\"manifest\":{\"id\":\"org.farebox.absent\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"tools\":"
            "[{\"name\":\"absent\",\"pricing\":{\"cost\":\"0.02\"}}]}}"));
    farebox_tool_args args = a_call("good.tally", "{}");
    args.payer = FAREBOX_STR("user:poor");
    refused(engine, FAREBOX_INSUFFICIENT_FUNDS, args);
    args.payer = FAREBOX_STR("user:cold");
    refused(engine, FAREBOX_ACCOUNT_FROZEN, args);
    args.payer = FAREBOX_STR("user:nobody");
    refused(engine, FAREBOX_ACCOUNT_NOT_FOUND, args);
    args.payer = (farebox_str){NULL, 0};
    refused(engine, FAREBOX_MISSING_FIELD, args);
    refused(engine, FAREBOX_TOOL_NOT_FOUND, a_call("good.nothing", "{}"));
    refused(engine, FAREBOX_PLUGIN_INACTIVE, a_call("absent", "{}"));
    refused(engine, FAREBOX_PLUGIN_INPUT, a_call("good.add", "{\"a\":2}"));
    refused(engine, FAREBOX_PLUGIN_INPUT, a_call("good.add", "{\"a\":2,\"b\":\"40\"}"));
    refused(engine, FAREBOX_PLUGIN_INPUT, a_call("good.add", "{\"a\":2,\"b\":40,\"c\":1}"));
    refused(engine, FAREBOX_PLUGIN_INPUT, a_call("good.measure", "{\"text\":5}"));
    refused(engine, FAREBOX_PLUGIN_INPUT, a_call("good.tally", "[]"));
    refused(engine, FAREBOX_INVALID_JSON, a_call("good.tally", "{"));
    refused(engine, FAREBOX_INVALID_UTF8, a_call("good.tally", "{\"key\":\"\xff\"}"));

    MUST(DO(engine, "tool.disable", "{\"tool\":\"good.tally\"}"));
    refused(engine, FAREBOX_TOOL_DISABLED, a_call("good.tally", "{}"));
    MUST(DO(engine, "tool.enable", "{\"tool\":\"good.tally\"}"));
    MUST(DO(engine, "budget.set", "{\"account\":\"user:ana\",\"window\":\"lifetime\",\"amount\":\"0.005\"}"));
    refused(engine, FAREBOX_OVER_BUDGET, a_call("good.tally", "{}"));
    MUST(DO(engine, "budget.remove", "{\"account\":\"user:ana\",\"name\":\"default\"}"));
    MUST(DO(engine, "limit.set", "{\"account\":\"user:ana\",\"per_call\":\"0.009\"}"));
    refused(engine, FAREBOX_OVER_CALL_CAP, a_call("good.tally", "{}"));
    MUST(DO(engine, "limit.set", "{\"account\":\"user:ana\",\"per_run\":\"0.015\"}"));
    args = a_call("good.tally", "{\"key\":\"run\"}");
    args.run = FAREBOX_STR("run");
    EXPECT(FAREBOX_OK, call_with(engine, &args).status);
    refused(engine, FAREBOX_OVER_RUN_CAP, args);
    MUST(DO(engine, "limit.set", "{\"account\":\"user:ana\",\"charges_per_hour\":1}"));
    works(engine, "good.tally", "{}", "{\"value\":2}", CENT);
    refused(engine, FAREBOX_RATE_LIMITED, a_call("good.tally", "{}"));
    MUST(DO(engine, "limit.set", "{\"account\":\"user:ana\"}"));
    works(engine, "good.tally", "{}", "{\"value\":3}", CENT);

    /* A sentence of the plugin's, and a deadline that it keeps: both ran, and cost nothing. */
    const int64_t had = wallet(engine, "user:ana");
    answer given = call_tool(engine, "good.fail", "{\"status\":1}");
    EXPECT(FAREBOX_PLUGIN_FAILED, given.status);
    CHECK(strcmp(given.error.message, "the moon is not full") == 0);
    EXPECT(FAREBOX_PLUGIN_INPUT, call_tool(engine, "good.fail", "{\"status\":2}").status);
    EXPECT(FAREBOX_PLUGIN_UNAVAILABLE, call_tool(engine, "good.fail", "{\"status\":4}").status);
    args = a_call("good.sleep", "{\"ms\":60000}");
    args.deadline_ms = 80;
    const int64_t began = milliseconds();
    given = call_with(engine, &args);
    EXPECT(FAREBOX_PLUGIN_DEADLINE, given.status);
    CHECK(given.error.retryable == 1);
    CHECK(milliseconds() - began < 1000);
    EQUAL(had, wallet(engine, "user:ana"));
    /* A longer deadline than the plugin's own is the plugin's own. */
    args = a_call("good.times", "{}");
    args.deadline_ms = UINT32_MAX;
    given = call_with(engine, &args);
    EXPECT(FAREBOX_OK, given.status);
    CHECK(json_first(given.text, "deadline") - json_first(given.text, "steady") <= INT64_C(10000000000));
    close_sound(engine);
}

/* ---- Without a charge, and through the other door ---- */

static void uncharged(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_good();
    const int64_t before = records(engine);
    static const char *const tools[] = {"good.echo", "good.count", "good.tally", "good.fail", "good.version"};
    for (int round = 0; round < 3; round++) {
        for (size_t k = 0; k < sizeof tools / sizeof tools[0]; k++) {
            farebox_tool_args args = a_call(tools[k], "{}");
            args.flags = FAREBOX_TOOL_UNCHARGED;
            args.payer = round == 0 ? (farebox_str){NULL, 0} : args.payer;
            const answer given = call_with(engine, &args);
            EXPECT(strcmp(tools[k], "good.fail") == 0 ? FAREBOX_PLUGIN_FAILED : FAREBOX_OK, given.status);
            EQUAL(0, given.receipt.id);
            /* What it set in the store is not kept. */
            CHECK(strcmp(tools[k], "good.tally") != 0 || strcmp(given.text, "{\"value\":1}") == 0);
        }
    }
    EQUAL(before, records(engine));
    EQUAL(1000 * USD, wallet(engine, "user:ana"));
    close_sound(engine);
}

static void two_doors(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_good();
    static const struct {
        const char *tool, *input, *output;
    } calls[] = {
        {"good.add", "{\"a\":2,\"b\":40}", "\"output\":{\"sum\":42}"},
        {"good.count", "{\"count\":12,\"micro\":500000}", "\"output\":{\"status\":0}"},
        {"good.text", "{}",
         "\"output\":\"Gr\xc3\xbc\xc3\x9f"
         "e\\n\""},
        {"good.bytes", "{\"count\":3}", "\"output\":{\"base64\":\"AAEC\"}"},
    };
    for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
        const answer typed = call_tool(engine, calls[k].tool, calls[k].input);
        EXPECT(FAREBOX_OK, typed.status);
        const int64_t had = wallet(engine, "user:ana");
        const char *out = NULL;
        EXPECT(FAREBOX_OK, call_json(engine, &out, "tool.call", "{\"payer\":\"user:ana\",\"tool\":\"%s\",\"input\":%s}",
                                     calls[k].tool, calls[k].input));
        if (!CHECK(strstr(out, calls[k].output) != NULL)) {
            fprintf(stderr, "%s\n", out);
        }
        EQUAL(had - typed.receipt.amount, wallet(engine, "user:ana"));
        CHECK(strstr(out, "\"plugin\":{\"plugin\":\"org.farebox.test.good\",\"version\":\"1.0.0\",\"sha256\":\"") !=
              NULL);
        CHECK(json_first(out, "id") > (int64_t)typed.receipt.id);
    }
    /* Both doors share their keys, and refuse alike. */
    farebox_tool_args args = a_call("good.tally", "{}");
    args.idempotency_key = FAREBOX_STR("shared");
    const answer first = call_with(engine, &args);
    const int64_t had = wallet(engine, "user:ana");
    EXPECT(FAREBOX_OK,
           DO(engine, "tool.call", "{\"payer\":\"user:ana\",\"tool\":\"good.tally\",\"idempotency_key\":\"shared\"}"));
    EQUAL(had, wallet(engine, "user:ana"));
    EXPECT(FAREBOX_OK, first.status);
    EXPECT(FAREBOX_PLUGIN_INPUT, DO(engine, "tool.call", "{\"payer\":\"user:ana\",\"tool\":\"good.add\"}"));
    EXPECT(FAREBOX_PLUGIN_FAILED, DO(engine, "tool.call", "{\"payer\":\"user:ana\",\"tool\":\"good.fail\"}"));
    CHECK(strcmp(why.message, "the moon is not full") == 0);
    EXPECT(FAREBOX_INVALID_ARGUMENT,
           DO(engine, "tool.call", "{\"payer\":\"user:ana\",\"tool\":\"good.echo\",\"deadline_ms\":0}"));
    EXPECT(FAREBOX_UNKNOWN_FIELD,
           DO(engine, "tool.call", "{\"payer\":\"user:ana\",\"tool\":\"good.echo\",\"uncharged\":true}"));
    EXPECT(FAREBOX_MISSING_FIELD, DO(engine, "tool.call", "{\"tool\":\"good.echo\"}"));
    const char *out = NULL;
    EXPECT(
        FAREBOX_OK,
        call_json(engine, &out, "tool.call",
                  "{\"payer\":\"user:ana\",\"tool\":\"good.count\",\"input\":{\"count\":100},\"max_cost\":\"0.05\"}"));
    EQUAL(had - 5 * CENT, wallet(engine, "user:ana"));
    close_sound(engine);
}

/* ---- Cancelling ---- */

typedef struct cancelled_call {
    farebox_engine *engine;
    const char *tool, *input;
    answer given;
} cancelled_call;

static void *call_to_cancel(void *argument)
{
    cancelled_call *one = argument;
    farebox_tool_args args = a_call(one->tool, one->input);
    args.call = FAREBOX_STR("to be cancelled");
    one->given = call_with(one->engine, &args);
    return NULL;
}

static void cancelling(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_good();
    MUST(load(engine, "hostile"));
    cancelled_call calls[] = {
        {engine, "good.sleep", "{\"ms\":9000}", {0}},
        {engine, "hostile.loop_until_cancelled", "{}", {0}},
        {engine, "hostile.loop", "{}", {0}},
    };
    for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
        const int64_t had = balance_of(engine, "user:ana").balance;
        pthread_t thread;
        const char *out = NULL;
        CHECK(pthread_create(&thread, NULL, call_to_cancel, &calls[k]) == 0);
        /* Its money is held before it runs. */
        while (balance_of(engine, "user:ana").held == 0) {
            sched_yield();
        }
        const int64_t began = milliseconds();
        int64_t cancelled = 0;
        while (cancelled == 0 && milliseconds() - began < 5000) {
            EXPECT(FAREBOX_OK, call_json(engine, &out, "tool.cancel", "{\"call\":\"to be cancelled\"}"));
            cancelled = json_first(out, "cancelled");
        }
        EQUAL(1, cancelled);
        pthread_join(thread, NULL);
        CHECK(milliseconds() - began < 900);
        EXPECT(FAREBOX_PLUGIN_CANCELLED, calls[k].given.status);
        EQUAL(had, wallet(engine, "user:ana"));
        EXPECT(FAREBOX_OK, call_json(engine, &out, "tool.cancel", "{\"call\":\"to be cancelled\"}"));
        EQUAL(0, json_first(out, "cancelled"));
    }
    works(engine, "good.echo", "{}", "{}", CENT);
    works(engine, "hostile.error_then_ok", "{}", "{\"ok\":true}", CENT);
    close_sound(engine);
}

/* ---- Many threads ---- */

enum { THREADS = 16 };

typedef struct worker_count {
    farebox_engine *engine;
    int64_t calls, paid, failed;
    uint64_t seed;
} worker_count;

static atomic_int is_over;

static void *call_until_over(void *argument)
{
    worker_count *count = argument;
    uint64_t state = count->seed;
    while (!atomic_load(&is_over)) {
        char input[64], output[64];
        const uint64_t kind = random_below(&state, 10), number = random_below(&state, 100);
        snprintf(input, sizeof input,
                 kind == 0  ? "{\"status\":1}"
                 : kind < 4 ? "{\"count\":%d}"
                            : "{\"a\":%d,\"b\":1}",
                 (int)number);
        snprintf(output, sizeof output, kind < 4 ? "{\"status\":0}" : "{\"sum\":%d}", (int)number + 1);
        const answer given = call_tool(count->engine,
                                       kind == 0  ? "good.fail"
                                       : kind < 4 ? "good.count"
                                                  : "good.add",
                                       input);
        count->calls++;
        if (kind == 0) {
            EXPECT(FAREBOX_PLUGIN_FAILED, given.status);
            count->failed++;
            continue;
        }
        EXPECT(FAREBOX_OK, given.status);
        CHECK(strcmp(given.text, output) == 0);
        EQUAL(kind < 4 ? (int64_t)number * CENT / 10 : 2 * CENT, given.receipt.amount);
        count->paid += given.receipt.amount;
    }
    return NULL;
}

static void many_threads(void)
{
    MUST(set_policy("\"processes\":4"));
    farebox_engine *engine = open_memory();
    MUST(json_call(engine, NULL, "account.deposit",
                   "{\"account\":\"user:ana\",\"amount\":\"1000000\",\"asset\":\"USD\"}"));
    const process_state before = process_now();
    MUST(load(engine, "good-1.0.0"));
    const int64_t records_before = records(engine);
    worker_count counts[THREADS] = {0};
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) {
        counts[k] = (worker_count){engine, 0, 0, 0, (uint64_t)k};
        CHECK(pthread_create(&threads[k], NULL, call_until_over, &counts[k]) == 0);
    }
    sleep(is_long() ? 60 : 2);
    atomic_store(&is_over, 1);
    worker_count all = {0};
    for (int k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
        all.calls += counts[k].calls;
        all.paid += counts[k].paid;
        all.failed += counts[k].failed;
    }
    printf("%" PRId64 " calls of %d threads in 4 processes\n", all.calls, THREADS);
    CHECK(all.calls > 100);
    EQUAL(1001000 * USD - all.paid, wallet(engine, "user:ana"));
    EQUAL(all.calls, metric(engine, "calls"));
    EQUAL(all.calls - all.failed, metric(engine, "succeeded"));
    EQUAL(all.failed, metric(engine, "failed"));
    /* Each is a reservation, and a capture or a release. */
    EQUAL(records_before + 2 * all.calls, records(engine));
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.inspect", "{\"plugin\":\"%s\"}", good_id));
    EQUAL(4, json_first(out, "instances"));
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    holds_as_before(before);
    close_sound(engine);
}

int main(int count, char **arguments)
{
    static const section sections[] = {
        {"receipts", receipts},   {"caps", caps},           {"repeats", repeats},       {"refusals", refusals},
        {"uncharged", uncharged}, {"two_doors", two_doors}, {"cancelling", cancelling}, {"many_threads", many_threads},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, is_long() ? 600 : 60);
}

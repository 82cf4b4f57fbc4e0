/* Host survival, of the functions about plugins: whatever a host does wrong has a status of its own, and the host
 * lives.
 *
 *   plugin_misuse [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own. */
#include "plugins.h"

#include <farebox_plugin.h>
#include <limits.h>

static const char good_id[] = "org.farebox.test.good";

/* ---- A plugin of the host's own ---- */

/* What the built-in plugin does in a call besides what it is asked for. */
static farebox_engine *callback_engine;
static farebox_status callback_statuses[8];
static int inits, shutdowns;

static farebox_plugin_answer built_init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)host, (void)config;
    inits++;
    *instance = &inits;
    return FAREBOX_ANSWER_OK;
}

static int is_tool(const farebox_plugin_call *call, const char *name)
{
    return call->tool.len == strlen(name) && memcmp(call->tool.ptr, name, call->tool.len) == 0;
}

static farebox_plugin_answer built_call(void *instance, const farebox_plugin_call *call)
{
    CHECK(instance == &inits);
    if (is_tool(call, "built.back") && callback_engine != NULL) {
        /* The engine may be called back; what would wait for this call itself is refused. */
        farebox_charge_args charge = FAREBOX_CHARGE_ARGS_INIT;
        charge.payer = FAREBOX_STR("user:ana");
        charge.amount = 1;
        callback_statuses[0] = farebox_charge(callback_engine, &charge, NULL, NULL);
        farebox_tool_args args = FAREBOX_TOOL_ARGS_INIT;
        args.payer = FAREBOX_STR("user:ana");
        args.tool = FAREBOX_STR("built.back");
        args.deadline_ms = 50;
        farebox_text text = {NULL, 0};
        callback_statuses[1] = farebox_call_tool(callback_engine, &args, &text, NULL, NULL);
        farebox_text_free(&text);
        callback_statuses[2] =
            farebox_call(callback_engine, FAREBOX_STR("plugin.list"), FAREBOX_STR("{}"), &text, NULL);
        farebox_text_free(&text);
    }
    if (is_tool(call, "built.nothing")) {
        return FAREBOX_ANSWER_UNAVAILABLE;
    }
    return call->output->write(call->output, "{}", 2);
}

static void built_shutdown(void *instance)
{
    (void)instance;
    shutdowns++;
}

static const farebox_plugin_str built_tools[] = {FAREBOX_PLUGIN_STR("built.echo"), FAREBOX_PLUGIN_STR("built.back"),
                                                 FAREBOX_PLUGIN_STR("built.nothing")};

static const farebox_plugin built_table = {
    .struct_size = sizeof built_table,
    .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
    .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
    .id = FAREBOX_PLUGIN_STR("org.farebox.built"),
    .version = FAREBOX_PLUGIN_STR("1.0.0"),
    .tools = built_tools,
    .tool_count = 3,
    .init = built_init,
    .call = built_call,
    .shutdown = built_shutdown,
};

static farebox_plugin altered_table;

static const farebox_plugin *built_entry(void)
{
    return &built_table;
}

static const farebox_plugin *altered_entry(void)
{
    return &altered_table;
}

static const farebox_plugin *null_entry(void)
{
    return NULL;
}

static const char built_manifest[] = "{\"manifest\":1,\"id\":\"org.farebox.built\",\"version\":\"1.0.0\",\"license\":"
                                     "\"MIT\",\"contact\":\"mailto:a@b.example\","
                                     "\"kind\":\"native\",\"abi\":{\"minimum\":\"1.0\"},"
                                     "\"files\":[{\"platform\":\"linux-x86_64\",\"path\":\"none.so\",\"sha256\":"
                                     "\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"},"
                                     "{\"platform\":\"linux-aarch64\",\"path\":\"none-arm.so\",\"sha256\":"
                                     "\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"}],"
                                     "\"owner\":\"user:author\",\"revenue_share\":\"0.70\",\"tools\":[{\"name\":"
                                     "\"built.echo\",\"pricing\":{\"cost\":\"0.01\"}},"
                                     "{\"name\":\"built.back\",\"pricing\":{\"cost\":\"0.01\"}},{\"name\":\"built."
                                     "nothing\",\"pricing\":{\"cost\":\"0.01\"}}]}";

static farebox_status register_built(farebox_engine *engine, const farebox_plugin *(*entry)(void))
{
    why = (farebox_error)FAREBOX_ERROR_INIT;
    return farebox_register_plugin(engine, str(built_manifest), entry, &why);
}

/* ---- Handles ---- */

/* Every function that takes an engine answers `expected`, with and without an error to fill. */
static void every_function(farebox_engine *engine, farebox_status expected)
{
    const farebox_tool_args args = a_call("good.echo", "{}");
    farebox_text text = {NULL, 0};
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_error storage = FAREBOX_ERROR_INIT;
    for (int round = 0; round < 2; round++) {
        farebox_error *error = round == 0 ? &storage : NULL;
        EXPECT(expected, farebox_call_tool(engine, &args, &text, &receipt, error));
        CHECK(text.ptr == NULL);
        EXPECT(expected, farebox_register_plugin(engine, str(built_manifest), built_entry, error));
        static const char *const operations[] = {"plugin.load", "plugin.scan",   "plugin.list",   "tool.call",
                                                 "tool.cancel", "plugin.unload", "plugin.metrics"};
        for (size_t k = 0; k < sizeof operations / sizeof operations[0]; k++) {
            EXPECT(expected, farebox_call(engine, str(operations[k]), FAREBOX_STR("{}"), &text, error));
            CHECK(text.ptr == NULL);
        }
    }
    EQUAL(expected, storage.status);
    CHECK(storage.message[0] != '\0');
}

static void handles(void)
{
    MUST(set_policy(""));
    every_function(NULL, FAREBOX_HANDLE);
    const uintptr_t foreign[] = {1, 5, 8, 0x1234, UINTPTR_MAX, (uintptr_t)&foreign};
    for (size_t k = 0; k < sizeof foreign / sizeof foreign[0]; k++) {
        every_function((farebox_engine *)foreign[k], FAREBOX_HANDLE);
    }
    const process_state before = process_now();
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    MUST(register_built(engine, built_entry));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    /* With the engine its plugins have ended. */
    EQUAL(1, shutdowns);
    every_function(engine, FAREBOX_CLOSED);
    holds_as_before(before);
}

/* ---- Arguments ---- */

/* Expects `expected` at `field` of a call whose arguments are those that are right but for one. */
#define REFUSED(expected, field_name, ...)                                                                             \
    do {                                                                                                               \
        farebox_tool_args args = a_call("good.tally", "{}");                                                           \
        args.__VA_ARGS__;                                                                                              \
        const answer given = call_with(engine, &args);                                                                 \
        if (!EXPECT(expected, given.status) || !CHECK(strstr(given.error.field, field_name) != NULL)) {                \
            fprintf(stderr, "%s at %s: %s\n", #__VA_ARGS__, given.error.field, given.error.message);                   \
        }                                                                                                              \
    } while (0)

static void arguments(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    const int64_t before = records(engine);
    farebox_text text = {NULL, 0};
    const farebox_tool_args right = a_call("good.tally", "{}");
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_call_tool(engine, NULL, &text, NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_call_tool(engine, &right, NULL, NULL, NULL));
    static const uint32_t sizes[] = {0, 1, 4, 8, sizeof(farebox_tool_args) - 1, 0x7fffffff, UINT32_MAX};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        farebox_tool_args args = right;
        args.struct_size = sizes[k];
        const farebox_status status = farebox_call_tool(engine, &args, &text, NULL, NULL);
        CHECK(status == FAREBOX_STRUCT_SIZE || (status == FAREBOX_OK && sizes[k] > sizeof args));
        farebox_text_free(&text);
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        receipt.struct_size = sizes[k];
        if (sizes[k] < sizeof receipt) {
            EXPECT(FAREBOX_STRUCT_SIZE, farebox_call_tool(engine, &right, &text, &receipt, NULL));
        }
        CHECK(text.ptr == NULL);
    }
    static char large[65537];
    memset(large, 'a', sizeof large);
    const farebox_str bad = {"\xff\xfe", 2}, huge = {"a", SIZE_MAX}, half = {"a", (size_t)INT64_MAX},
                      long_text = {large, sizeof large};
    REFUSED(FAREBOX_RESERVED, "reserved", reserved[0] = 1);
    REFUSED(FAREBOX_RESERVED, "reserved", reserved[sizeof args.reserved - 1] = 1);
    REFUSED(FAREBOX_RESERVED, "flags", flags = 16);
    REFUSED(FAREBOX_RESERVED, "flags", flags = 0x80000001);
    REFUSED(FAREBOX_INVALID_ARGUMENT, "durability", durability = 99);
    REFUSED(FAREBOX_INVALID_AMOUNT, "max_cost", max_cost = -1);
    REFUSED(FAREBOX_INVALID_AMOUNT, "max_cost", max_cost = INT64_MIN);
    REFUSED(FAREBOX_MISSING_FIELD, "payer", payer = (farebox_str){NULL, 0});
    REFUSED(FAREBOX_MISSING_FIELD, "payer", payer = (farebox_str){NULL, SIZE_MAX});
    REFUSED(FAREBOX_MISSING_FIELD, "tool", tool = (farebox_str){NULL, 7});
    REFUSED(FAREBOX_INVALID_UTF8, "payer", payer = bad);
    REFUSED(FAREBOX_INVALID_UTF8, "tool", tool = bad);
    REFUSED(FAREBOX_INVALID_UTF8, "run", run = bad);
    REFUSED(FAREBOX_INVALID_UTF8, "call", call = bad);
    for (int k = 0; k < 3; k++) {
        const farebox_str too_long = k == 0 ? huge : k == 1 ? half : long_text;
        REFUSED(FAREBOX_TOO_LONG, "payer", payer = too_long);
        REFUSED(FAREBOX_TOO_LONG, "tool", tool = too_long);
        REFUSED(FAREBOX_TOO_LONG, "run", run = too_long);
        REFUSED(FAREBOX_TOO_LONG, "call", call = too_long);
        REFUSED(FAREBOX_TOO_LONG, "idempotency_key", idempotency_key = too_long);
        /* A call that nobody pays for borrows the same texts. */
        REFUSED(FAREBOX_TOO_LONG, "payer", flags = FAREBOX_TOOL_UNCHARGED; args.payer = too_long);
        REFUSED(FAREBOX_TOO_LONG, "run", flags = FAREBOX_TOOL_UNCHARGED; args.run = too_long);
        REFUSED(FAREBOX_TOO_LONG, "call", flags = FAREBOX_TOOL_UNCHARGED; args.call = too_long);
        REFUSED(FAREBOX_TOO_LONG, "idempotency_key", flags = FAREBOX_TOOL_UNCHARGED; args.idempotency_key = too_long);
    }
    REFUSED(FAREBOX_INVALID_UTF8, "payer", flags = FAREBOX_TOOL_UNCHARGED; args.payer = bad);
    REFUSED(FAREBOX_INVALID_UTF8, "run", flags = FAREBOX_TOOL_UNCHARGED; args.run = bad);
    REFUSED(FAREBOX_INVALID_UTF8, "call", flags = FAREBOX_TOOL_UNCHARGED; args.call = bad);
    REFUSED(FAREBOX_TOO_LONG, "input", input = huge);
    REFUSED(FAREBOX_TOO_LONG, "input", input = half);
    REFUSED(FAREBOX_INVALID_JSON, "input", input = FAREBOX_STR("{} {}"));
    REFUSED(FAREBOX_INVALID_UTF8, "input", input = FAREBOX_STR("{\"a\":\"\xff\"}"));
    REFUSED(FAREBOX_PLUGIN_INPUT, "input", input = FAREBOX_STR("null"));
    EQUAL(before, records(engine));
    works(engine, "good.tally", "", "{\"value\":1}", CENT);

    /* The largest input that there is, and one byte more. */
    const size_t most = 16 << 20;
    char *input = malloc(most + 1);
    CHECK(input != NULL);
    memset(input, ' ', most + 1);
    memcpy(input, "{\"key\":\"large\"", 14);
    input[most - 1] = '}';
    input[most] = ' ';
    farebox_tool_args args = right;
    args.input = (farebox_str){input, most + 1};
    EXPECT(FAREBOX_TOO_LONG, call_with(engine, &args).status);
    args.input.len = most;
    const answer given = call_with(engine, &args);
    if (!EXPECT(FAREBOX_OK, given.status)) {
        fprintf(stderr, "%s\n", given.error.message);
    }
    free(input);

    EXPECT(FAREBOX_TOO_LONG, farebox_set_plugin_policy(huge, &why));
    EXPECT(FAREBOX_TOO_LONG, farebox_set_plugin_policy(half, NULL));
    EXPECT(FAREBOX_INVALID_UTF8, farebox_set_plugin_policy(bad, &why));
    CHECK(farebox_set_plugin_policy((farebox_str){NULL, 9}, &why) != FAREBOX_OK);
    close_sound(engine);
}

/* ---- Registering ---- */

static void altered(farebox_engine *engine, farebox_status expected, const char *what)
{
    const farebox_status status = register_built(engine, altered_entry);
    if (!EXPECT(expected, status)) {
        fprintf(stderr, "%s: %s\n", what, why.message);
    }
    altered_table = built_table;
}

#define ALTERED(expected, ...)                                                                                         \
    do {                                                                                                               \
        altered_table.__VA_ARGS__;                                                                                     \
        altered(engine, expected, #__VA_ARGS__);                                                                       \
    } while (0)

static void registering(void)
{
    farebox_engine *engine = open_memory();
    EXPECT(FAREBOX_INVALID_ARGUMENT, register_built(engine, NULL));
    EXPECT(FAREBOX_PLUGIN_BROKEN, register_built(engine, null_entry));
    static const farebox_plugin_str more[] = {FAREBOX_PLUGIN_STR("built.echo"),
                                              FAREBOX_PLUGIN_STR("built.echo"),
                                              FAREBOX_PLUGIN_STR("built.back"),
                                              {NULL, 9},
                                              {"x", SIZE_MAX}};
    altered_table = built_table;
    ALTERED(FAREBOX_PLUGIN_BROKEN, struct_size = 0);
    ALTERED(FAREBOX_PLUGIN_BROKEN, struct_size = 16);
    ALTERED(FAREBOX_PLUGIN_BROKEN, tools = NULL);
    ALTERED(FAREBOX_PLUGIN_BROKEN, tool_count = UINT32_MAX);
    ALTERED(FAREBOX_PLUGIN_BROKEN, tool_count = 0);
    ALTERED(FAREBOX_PLUGIN_BROKEN, tools = more);
    ALTERED(FAREBOX_PLUGIN_BROKEN, tools = more + 2);
    ALTERED(FAREBOX_PLUGIN_BROKEN, id.len = 3);
    ALTERED(FAREBOX_PLUGIN_BROKEN, id.len = SIZE_MAX);
    ALTERED(FAREBOX_PLUGIN_BROKEN, id.ptr = NULL);
    ALTERED(FAREBOX_PLUGIN_BROKEN, version.ptr = "1.0.1");
    ALTERED(FAREBOX_PLUGIN_BROKEN, init = NULL);
    ALTERED(FAREBOX_PLUGIN_BROKEN, call = NULL);
    ALTERED(FAREBOX_PLUGIN_ABI, abi_major = 2);
    ALTERED(FAREBOX_PLUGIN_ABI, abi_major = 0);
    EXPECT(FAREBOX_INVALID_JSON,
           farebox_register_plugin(engine, FAREBOX_STR("{"), built_entry, NULL) == FAREBOX_PLUGIN_MANIFEST
               ? FAREBOX_INVALID_JSON
               : FAREBOX_OK);
    EXPECT(FAREBOX_PLUGIN_MANIFEST, farebox_register_plugin(engine, FAREBOX_STR("{}"), built_entry, NULL));
    EXPECT(FAREBOX_PLUGIN_MANIFEST, farebox_register_plugin(engine, FAREBOX_STR("\xff"), built_entry, NULL));
    EXPECT(FAREBOX_PLUGIN_MANIFEST, farebox_register_plugin(engine, (farebox_str){NULL, 5}, built_entry, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_register_plugin(engine, (farebox_str){"{}", SIZE_MAX}, built_entry, NULL));
    EXPECT(FAREBOX_TOO_LONG,
           farebox_register_plugin(engine, (farebox_str){"{}", (size_t)INT64_MAX}, built_entry, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_register_plugin(engine, (farebox_str){"{}", (1 << 20) + 1}, built_entry, NULL));
    EQUAL(0, inits);
    EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.health", "{\"plugin\":\"org.farebox.built\"}"));

    /* It needs no policy, and is there once. */
    EXPECT(FAREBOX_OK, register_built(engine, built_entry));
    EQUAL(1, inits);
    EXPECT(FAREBOX_SKILL_EXISTS, register_built(engine, built_entry));
    EQUAL(1, inits);
    works(engine, "built.echo", "{}", "{}", CENT);
    EXPECT(FAREBOX_PLUGIN_UNAVAILABLE, call_tool(engine, "built.nothing", "{}").status);
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.inspect", "{\"plugin\":\"org.farebox.built\"}"));
    CHECK(strstr(out, "\"mode\":\"in_process\"") != NULL && strstr(out, "\"trust\":\"built-in\"") != NULL);
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.built\"}"));
    EQUAL(1, shutdowns);
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "built.echo", "{}").status);
    EXPECT(FAREBOX_OK, register_built(engine, built_entry));
    works(engine, "built.echo", "{}", "{}", CENT);

    /* Its function may call the engine back; a call of itself finds its one instance busy. */
    callback_engine = engine;
    const int64_t had = wallet(engine, "user:ana");
    EXPECT(FAREBOX_OK, call_tool(engine, "built.back", "{}").status);
    EXPECT(FAREBOX_OK, callback_statuses[0]);
    EXPECT(FAREBOX_PLUGIN_UNAVAILABLE, callback_statuses[1]);
    EXPECT(FAREBOX_OK, callback_statuses[2]);
    EQUAL(had - CENT - 1, wallet(engine, "user:ana"));
    close_sound(engine);
}

/* ---- The clock callback ---- */

static farebox_engine *clock_engine;
static int clock_statuses;

static int64_t nosy_clock(void *context)
{
    (void)context;
    if (clock_engine != NULL) {
        const farebox_tool_args args = a_call("built.echo", "{}");
        farebox_text text = {NULL, 0};
        EXPECT(FAREBOX_REENTRANT, farebox_call_tool(clock_engine, &args, &text, NULL, NULL));
        EXPECT(FAREBOX_REENTRANT, farebox_register_plugin(clock_engine, str(built_manifest), built_entry, NULL));
        EXPECT(FAREBOX_REENTRANT, farebox_call(clock_engine, FAREBOX_STR("plugin.unload"),
                                               FAREBOX_STR("{\"plugin\":\"org.farebox.built\"}"), &text, NULL));
        clock_statuses++;
    }
    return INT64_C(1767225600000000);
}

static void clock_callback(void)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.clock = nosy_clock;
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), &options, NULL));
    MUST(
        json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\",\"asset\":\"USD\"}"));
    MUST(register_built(engine, built_entry));
    clock_engine = engine;
    works(engine, "built.echo", "{}", "{}", CENT);
    CHECK(clock_statuses > 0);
    clock_engine = NULL;
    close_sound(engine);
}

/* ---- Forks ---- */

static void forked(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    MUST(register_built(engine, built_entry));
    works(engine, "good.echo", "{}", "{}", CENT);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        checks_failed = 0;
        every_function(engine, FAREBOX_FORKED);
        /* A fork's child may open a ledger of its own and load plugins into it. */
        farebox_engine *own = open_memory();
        MUST(load(own, "good-1.0.0"));
        works(own, "good.echo", "{}", "{}", CENT);
        close_sound(own);
        fflush(NULL);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* The parent's worker is the parent's still. */
    works(engine, "good.tally", "{}", "{\"value\":1}", CENT);
    close_sound(engine);

    /* A host that goes without closing takes its workers with it. */
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t host = fork();
    if (host == 0) {
        farebox_engine *own = open_memory();
        MUST(load(own, "good-1.0.0"));
        const answer given = call_tool(own, "good.version", "{}");
        const int worker = (int)json_first(given.text, "process");
        CHECK(write(ends[1], &worker, sizeof worker) == (ssize_t)sizeof worker);
        kill(getpid(), SIGKILL);
    }
    int worker = 0;
    CHECK(read(ends[0], &worker, sizeof worker) == (ssize_t)sizeof worker && worker > 1);
    waitpid(host, &status, 0);
    int is_gone = 0;
    for (int wait = 0; wait < 500 && !is_gone; wait++) {
        char path[64], line[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", worker);
        FILE *file = fopen(path, "r");
        const char *end = file == NULL || fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
        is_gone = end == NULL || end[2] == 'Z' || end[2] == 'X';
        if (file != NULL) {
            fclose(file);
        }
        usleep(10000);
    }
    CHECK(is_gone);
}

/* ---- Closing while calls are under way ---- */

static atomic_int under_way, wrong;

static void *call_until_closed(void *argument)
{
    const int kind = atomic_fetch_add(&under_way, 1) % 3;
    for (;;) {
        farebox_tool_args args =
            a_call(kind == 0 ? "good.sleep" : "good.add", kind == 0 ? "{\"ms\":5000}" : "{\"a\":1,\"b\":1}");
        farebox_text text = {NULL, 0};
        const farebox_status status = farebox_call_tool(argument, &args, &text, NULL, NULL);
        farebox_text_free(&text);
        if (status == FAREBOX_CLOSED) {
            return NULL;
        }
        if (status != FAREBOX_OK && status != FAREBOX_PLUGIN_CANCELLED && status != FAREBOX_PLUGIN_INACTIVE) {
            atomic_store(&wrong, status);
        }
    }
}

static void closing(void)
{
    MUST(set_policy("\"processes\":4"));
    char path[600];
    snprintf(path, sizeof path, "sqlite:%s/ledger", own_folder());
    const process_state before = process_now();
    for (int round = 0; round < 5; round++) {
        farebox_engine *engine = NULL;
        MUST(farebox_open(&engine, str(path), NULL, NULL));
        MUST(json_call(engine, NULL, "account.deposit",
                       "{\"account\":\"user:ana\",\"amount\":\"1000\",\"asset\":\"USD\"}"));
        MUST(load(engine, "good-1.0.0"));
        pthread_t threads[8];
        atomic_store(&under_way, 0);
        for (int k = 0; k < 8; k++) {
            CHECK(pthread_create(&threads[k], NULL, call_until_closed, engine) == 0);
        }
        while (atomic_load(&under_way) < 8) {
            sched_yield();
        }
        usleep((useconds_t)(round * 10000));
        const int64_t began = milliseconds();
        EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
        CHECK(milliseconds() - began < 3000);
        for (int k = 0; k < 8; k++) {
            pthread_join(threads[k], NULL);
        }
        if (!CHECK(atomic_load(&wrong) == 0)) {
            fprintf(stderr, "a call ended with %s\n", farebox_status_name(atomic_load(&wrong)));
        }
        holds_as_before(before);
    }
    /* What was paid is there, and what was held is not. */
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, str(path), NULL, NULL));
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.list", "{}"));
    CHECK(strstr(out, good_id) == NULL);
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "good.echo", "{}").status);
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "hold.list", "{}"));
    if (!CHECK(strstr(out, "\"state\":\"open\"") == NULL)) {
        fprintf(stderr, "%s\n", out);
    }
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

int main(int count, char **arguments_given)
{
    static const section sections[] = {
        {"handles", handles},      {"arguments", arguments}, {"registering", registering},
        {"clock", clock_callback}, {"forked", forked},       {"closing", closing},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments_given, 60);
}

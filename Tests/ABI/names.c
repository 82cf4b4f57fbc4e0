/* The names of tools: plain, full and pinned to a version, through every door that takes one.
 *
 *   names [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own. */
#include "plugins.h"

#include <farebox_plugin.h>

/* Skill `a` has versions 1.0.0 and 2.0.0, `b` one; each has a tool `search`, at 1, 2 and 4 cents. */
static farebox_engine *open_skills(void)
{
    static const char *const skills[][3] = {{"a", "1.0.0", "0.01"}, {"a", "2.0.0", "0.02"}, {"b", "1.0.0", "0.04"}};
    farebox_engine *engine = open_memory();
    for (size_t k = 0; k < 3; k++) {
        MUST(json_call(engine, NULL, "skill.register",
                       "{\"manifest\":{\"id\":\"%s\",\"version\":\"%s\",\"tools\":[{\"name\":\"search\",\"pricing\":"
                       "{\"cost\":\"%s\"}}]},\"keep_current\":true}",
                       skills[k][0], skills[k][1], skills[k][2]));
    }
    return engine;
}

static const struct {
    const char *tool;
    farebox_status status;
    int64_t cents;
} names[] = {
    {"a#search", FAREBOX_OK, 2},
    {"a@1.0.0#search", FAREBOX_OK, 1},
    {"a@2.0.0#search", FAREBOX_OK, 2},
    {"b#search", FAREBOX_OK, 4},
    {"b@1.0.0#search", FAREBOX_OK, 4},
    {"search", FAREBOX_TOOL_AMBIGUOUS, 0},
    {"a#other", FAREBOX_TOOL_NOT_FOUND, 0},
    {"a@3.0.0#search", FAREBOX_TOOL_NOT_FOUND, 0},
    {"c#search", FAREBOX_TOOL_NOT_FOUND, 0},
    {"#search", FAREBOX_TOOL_NOT_FOUND, 0},
    {"card/search", FAREBOX_RATE_CARD_NOT_FOUND, 0},
};
static const size_t name_count = sizeof names / sizeof names[0];

/* A refused name is the tool's field, and an ambiguous one lists the candidates. */
static void blames(const farebox_error *error, farebox_status expected)
{
    EQUAL(expected, error->status);
    CHECK(strcmp(error->field, "tool") == 0);
    if (expected == FAREBOX_TOOL_AMBIGUOUS) {
        CHECK(strstr(error->message, "a#search, b#search") != NULL);
    }
}

static void charges(void)
{
    farebox_engine *engine = open_skills();
    for (size_t k = 0; k < name_count; k++) {
        report->step = k;
        farebox_error error = FAREBOX_ERROR_INIT;
        farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
        price.tool = str(names[k].tool);
        farebox_quote quote = FAREBOX_QUOTE_INIT;
        EXPECT(names[k].status, farebox_price_tool(engine, &price, &quote, &error));

        farebox_charge_args charge = FAREBOX_CHARGE_ARGS_INIT;
        charge.payer = FAREBOX_STR("user:ana");
        charge.tool = price.tool;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        EXPECT(names[k].status, farebox_charge(engine, &charge, &receipt, &error));

        farebox_reserve_args reserve = FAREBOX_RESERVE_ARGS_INIT;
        reserve.payer = charge.payer;
        reserve.tool = price.tool;
        farebox_receipt hold = FAREBOX_RECEIPT_INIT;
        EXPECT(names[k].status, farebox_reserve(engine, &reserve, &hold, &error));
        if (names[k].status != FAREBOX_OK) {
            blames(&error, names[k].status);
            continue;
        }
        EQUAL(names[k].cents * CENT, quote.total);
        EQUAL(names[k].cents * CENT, receipt.amount);
        EQUAL(names[k].cents * CENT, hold.amount);
        EXPECT(FAREBOX_OK, farebox_release(engine, hold.hold, NULL, NULL));
    }
    /* Eleven of them in one batch: each stands or falls alone. */
    farebox_charge_args batch[sizeof names / sizeof names[0]];
    farebox_receipt receipts[sizeof names / sizeof names[0]];
    for (size_t k = 0; k < name_count; k++) {
        batch[k] = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
        batch[k].payer = FAREBOX_STR("user:ana");
        batch[k].tool = str(names[k].tool);
        receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    }
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, batch, name_count, receipts, NULL));
    for (size_t k = 0; k < name_count; k++) {
        EQUAL(names[k].status, receipts[k].status);
        EQUAL(names[k].cents * CENT, receipts[k].amount);
    }
    close_sound(engine);
}

static int32_t twice(int32_t number)
{
    return 2 * number;
}

static void metered(void)
{
    farebox_engine *engine = open_skills();
    for (size_t k = 0; k < name_count; k++) {
        report->step = k;
        farebox_meter_args args = FAREBOX_METER_ARGS_INIT;
        args.function = (void *)(uintptr_t)twice;
        args.signature = FAREBOX_STR("i32(i32)");
        args.tool = str(names[k].tool);
        args.payer = FAREBOX_STR("user:ana");
        farebox_error error = FAREBOX_ERROR_INIT;
        void *function = NULL;
        if (!EXPECT(names[k].status, farebox_meter(engine, &args, &function, &error)) || function == NULL) {
            blames(&error, names[k].status);
            continue;
        }
        const int64_t before = wallet(engine, "user:ana");
        EQUAL(42, ((int32_t(*)(int32_t))(uintptr_t)function)(21));
        EQUAL(names[k].cents * CENT, before - wallet(engine, "user:ana"));
        EXPECT(FAREBOX_OK, farebox_unmeter(function, NULL));
    }
    close_sound(engine);
}

/* ---- Two plugins with a tool of one name ---- */

static const farebox_plugin_str echo_tools[] = {FAREBOX_PLUGIN_STR("echo")};

static farebox_plugin_answer echo_init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)host;
    (void)config;
    *instance = (void *)echo_tools;
    return FAREBOX_ANSWER_OK;
}

static farebox_plugin_answer one_call(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return call->output->write(call->output, "1", 1);
}

static farebox_plugin_answer two_call(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return call->output->write(call->output, "2", 1);
}

static void echo_shutdown(void *instance)
{
    (void)instance;
}

#define ECHO_PLUGIN(name, call_function)                                                                               \
    static const farebox_plugin name##_table = {.struct_size = sizeof(farebox_plugin),                                 \
                                                .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,                                 \
                                                .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,                                 \
                                                .id = FAREBOX_PLUGIN_STR("org.farebox." #name),                        \
                                                .version = FAREBOX_PLUGIN_STR("1.0.0"),                                \
                                                .tools = echo_tools,                                                   \
                                                .tool_count = 1,                                                       \
                                                .init = echo_init,                                                     \
                                                .call = call_function,                                                 \
                                                .shutdown = echo_shutdown};                                            \
    static const farebox_plugin *name##_entry(void)                                                                    \
    {                                                                                                                  \
        return &name##_table;                                                                                          \
    }

ECHO_PLUGIN(one, one_call)
ECHO_PLUGIN(two, two_call)

static farebox_status add(farebox_engine *engine, const char *name, const char *cost,
                          const farebox_plugin *(*entry)(void))
{
    char manifest[1024];
    snprintf(manifest, sizeof manifest,
             "{\"manifest\":1,\"id\":\"org.farebox.%s\",\"version\":\"1.0.0\",\"license\":\"MIT\","
             "\"contact\":\"mailto:a@b.example\",\"kind\":\"native\",\"abi\":{\"minimum\":\"1.0\"},"
             "\"files\":[{\"platform\":\"linux-x86_64\",\"path\":\"none.so\",\"sha256\":"
             "\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"}],"
             "\"tools\":[{\"name\":\"echo\",\"pricing\":{\"cost\":\"%s\"}}]}",
             name, cost);
    why = (farebox_error)FAREBOX_ERROR_INIT;
    return farebox_register_plugin(engine, str(manifest), entry, &why);
}

static void plugins(void)
{
    farebox_engine *engine = open_memory();
    MUST(add(engine, "one", "0.01", one_entry));
    works(engine, "echo", "{}", "1", CENT);
    MUST(add(engine, "two", "0.02", two_entry));
    answer given = call_tool(engine, "echo", "{}");
    EXPECT(FAREBOX_TOOL_AMBIGUOUS, given.status);
    CHECK(strcmp(given.error.field, "tool") == 0);
    CHECK(strstr(given.error.message, "org.farebox.one#echo, org.farebox.two#echo") != NULL);
    works(engine, "org.farebox.one#echo", "{}", "1", CENT);
    works(engine, "org.farebox.two#echo", "{}", "2", 2 * CENT);
    works(engine, "org.farebox.two@1.0.0#echo", "{}", "2", 2 * CENT);
    EXPECT(FAREBOX_TOOL_NOT_FOUND, call_tool(engine, "org.farebox.one@1.0.1#echo", "{}").status);

    /* A newer version that another process has registered changes what the name costs, and not what this one's calls
     * cost. */
    MUST(DO(engine, "skill.register",
            "{\"manifest\":{\"id\":\"org.farebox.one\",\"version\":\"1.1.0\",\"tools\":[{\"name\":\"echo\",\"pricing\":"
            "{\"cost\":\"0.09\"}}]}}"));
    works(engine, "org.farebox.one#echo", "{}", "1", CENT);
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "org.farebox.one@1.1.0#echo", "{}").status);

    /* A plain name is another plugin's when the first is gone and its tool is no longer for sale. */
    MUST(DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.one\"}"));
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "org.farebox.one#echo", "{}").status);
    EXPECT(FAREBOX_TOOL_AMBIGUOUS, call_tool(engine, "echo", "{}").status);
    MUST(DO(engine, "skill.register", "{\"manifest\":{\"id\":\"org.farebox.one\",\"version\":\"1.2.0\"}}"));
    works(engine, "echo", "{}", "2", 2 * CENT);
    close_sound(engine);
}

int main(int count, char **arguments)
{
    static const section sections[] = {{"charges", charges}, {"metered", metered}, {"plugins", plugins}};
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, 60);
}

/* A plugin that does what it should, with tools whose output can be foretold. VERSION names its version; UNHEALTHY
 * makes its health check fail. */
#include "fixture.h"

#include <time.h>
#include <unistd.h>

static services has;

static farebox_plugin_status echo(const farebox_plugin_call *call)
{
    return call->output->write(call->output, call->input.ptr, call->input.len);
}

static farebox_plugin_status add(const farebox_plugin_call *call)
{
    long long sum;
    if (__builtin_add_overflow(number(call->input, "a", 0), number(call->input, "b", 0), &sum)) {
        say(call->error, "the sum does not fit");
        return FAREBOX_PLUGIN_STATUS_INVALID_INPUT;
    }
    return say(call->output, "{\"sum\":%lld}", sum);
}

/* Adds to any meter, and succeeds whatever the meter says. */
static farebox_plugin_status count(const farebox_plugin_call *call)
{
    char buffer[64];
    const char *meter = text_of(call->input, "meter", "units", buffer, sizeof buffer);
    const farebox_plugin_status status =
        has.meter->add(call, (farebox_plugin_str){meter, strlen(meter)}, number(call->input, "count", 1),
                       (uint32_t)number(call->input, "micro", 0));
    return say(call->output, "{\"status\":%d}", status);
}

/* The host counts the bytes of `text` itself, so that nothing can be added here. */
static farebox_plugin_status measure(const farebox_plugin_call *call)
{
    return say(call->output, "{\"status\":%d}", has.meter->add(call, STR("units"), 1, 0));
}

typedef struct kept_text {
    char bytes[4097];
    size_t len;
} kept_text;

static farebox_plugin_status keep(const farebox_plugin_sink *sink, const void *bytes, size_t len)
{
    kept_text *to = sink->context;
    if (len >= sizeof to->bytes - to->len) {
        return FAREBOX_PLUGIN_STATUS_FULL;
    }
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
    to->bytes[to->len] = '\0';
    return FAREBOX_PLUGIN_STATUS_OK;
}

/* Adds one to a number in the store; with "fail" it fails afterwards, and the number must stay as it was. */
static farebox_plugin_status tally(const farebox_plugin_call *call)
{
    char buffer[200];
    const char *name = text_of(call->input, "key", "tally", buffer, sizeof buffer);
    const farebox_plugin_str key = {name, strlen(name)};
    kept_text value = {{0}, 0};
    const farebox_plugin_sink sink = {sizeof sink, 0, &value, keep};
    farebox_plugin_status status = has.store->get(call, key, &sink);
    if (status != FAREBOX_PLUGIN_STATUS_OK && status != FAREBOX_PLUGIN_STATUS_NOT_FOUND) {
        return status;
    }
    char digits[24];
    const long long next = strtoll(value.bytes, NULL, 10) + 1;
    const int len = snprintf(digits, sizeof digits, "%lld", next);
    status = has.store->set(call, key, (farebox_plugin_str){digits, (size_t)len});
    if (status == FAREBOX_PLUGIN_STATUS_OK && number(call->input, "fail", 0) != 0) {
        say(call->error, "it was asked to fail");
        return FAREBOX_PLUGIN_STATUS_FAILED;
    }
    return status == FAREBOX_PLUGIN_STATUS_OK ? say(call->output, "{\"value\":%lld}", next) : status;
}

static farebox_plugin_status config(const farebox_plugin_call *call)
{
    return has.config->get(has.host, (farebox_plugin_str){NULL, 0}, call->output);
}

static farebox_plugin_status sleep_tool(const farebox_plugin_call *call)
{
    for (long long left = number(call->input, "ms", 0); left > 0; left--) {
        if (has.cancel->cancelled(call)) {
            return FAREBOX_PLUGIN_STATUS_CANCELLED;
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return say(call->output, "{\"slept\":%lld}", number(call->input, "ms", 0));
}

static farebox_plugin_status text(const farebox_plugin_call *call)
{
    return say(call->output, "Gr\xc3\xbc\xc3\x9f"
                             "e\n");
}

/* 0, 1, ... 255, 0, 1, ... */
static farebox_plugin_status bytes(const farebox_plugin_call *call)
{
    farebox_plugin_status status = FAREBOX_PLUGIN_STATUS_OK;
    for (long long k = 0, end = number(call->input, "count", 256); status == FAREBOX_PLUGIN_STATUS_OK && k < end; k++) {
        const unsigned char byte = (unsigned char)k;
        status = call->output->write(call->output, &byte, 1);
    }
    return status;
}

static farebox_plugin_status context(const farebox_plugin_call *call)
{
    return say(call->output, "{\"tool\":\"%.*s\",\"account\":\"%.*s\",\"run\":\"%.*s\",\"call\":\"%.*s\"}",
               (int)call->tool.len, call->tool.len == 0 ? "" : call->tool.ptr, (int)call->account.len,
               call->account.len == 0 ? "" : call->account.ptr, (int)call->run.len,
               call->run.len == 0 ? "" : call->run.ptr, (int)call->call.len, call->call.len == 0 ? "" : call->call.ptr);
}

static farebox_plugin_status times(const farebox_plugin_call *call)
{
    return say(call->output, "{\"wall\":%lld,\"steady\":%lld,\"deadline\":%lld}", (long long)has.clock->wall(has.host),
               (long long)has.clock->steady(has.host), (long long)call->deadline);
}

static farebox_plugin_status write_log(const farebox_plugin_call *call)
{
    char buffer[256];
    const char *message = text_of(call->input, "message", "a line", buffer, sizeof buffer);
    has.log->write(has.host, (int32_t)number(call->input, "level", FAREBOX_PLUGIN_LOG_INFO),
                   (farebox_plugin_str){message, strlen(message)});
    return say(call->output, "{}");
}

/* Fails with a status and a sentence, after it has written output, metered a unit and set a value: none of it counts.
 * */
static farebox_plugin_status fail(const farebox_plugin_call *call)
{
    say(call->output, "{\"ignored\":true}");
    has.meter->add(call, STR("units"), 1, 0);
    has.store->set(call, STR("failed"), STR("1"));
    say(call->error, "the moon is not full");
    return (farebox_plugin_status)number(call->input, "status", FAREBOX_PLUGIN_STATUS_FAILED);
}

static farebox_plugin_status version(const farebox_plugin_call *call)
{
    return say(call->output, "{\"version\":\"" VERSION "\",\"process\":%d}", (int)getpid());
}

static const tool tools[] = {
    {"good.echo", echo},   {"good.add", add},         {"good.count", count},      {"good.measure", measure},
    {"good.tally", tally}, {"good.config", config},   {"good.sleep", sleep_tool}, {"good.text", text},
    {"good.bytes", bytes}, {"good.context", context}, {"good.times", times},      {"good.log", write_log},
    {"good.fail", fail},   {"good.version", version},
};
enum { TOOLS = sizeof tools / sizeof tools[0] };

/* A configuration that the schema allows, and init and configure refuse. */
static farebox_plugin_status configure(void *instance, farebox_plugin_str given)
{
    (void)instance;
    char buffer[64];
    const char *greeting = text_of(given, "greeting", "", buffer, sizeof buffer);
    return strcmp(greeting, "refuse") == 0 ? FAREBOX_PLUGIN_STATUS_INVALID_INPUT : FAREBOX_PLUGIN_STATUS_OK;
}

static farebox_plugin_status init(const farebox_plugin_host *host, farebox_plugin_str given, void **instance)
{
    has = find_services(host);
    *instance = &has;
    return configure(&has, given);
}

static farebox_plugin_status run(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return run_tool(tools, TOOLS, call);
}

static void shutdown(void *instance)
{
    (void)instance;
}

static farebox_plugin_status activate(void *instance)
{
    (void)instance;
    return FAREBOX_PLUGIN_STATUS_OK;
}

static farebox_plugin_status health(void *instance)
{
    (void)instance;
#ifdef UNHEALTHY
    return FAREBOX_PLUGIN_STATUS_FAILED;
#else
    return FAREBOX_PLUGIN_STATUS_OK;
#endif
}

const farebox_plugin *farebox_plugin_entry(void)
{
    static farebox_plugin_str names[TOOLS];
    static farebox_plugin table = {
        .struct_size = sizeof table,
        .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
        .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
        .id = FAREBOX_PLUGIN_STR("org.farebox.test.good"),
        .version = FAREBOX_PLUGIN_STR(VERSION),
        .tool_count = TOOLS,
        .init = init,
        .call = run,
        .shutdown = shutdown,
        .activate = activate,
        .deactivate = shutdown,
        .health = health,
        .configure = configure,
    };
    table.tools = names_of(tools, TOOLS, names);
    return &table;
}

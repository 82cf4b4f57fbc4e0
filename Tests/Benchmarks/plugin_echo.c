/* The plugin that calls are measured with: its one tool gives its input. */
#include <farebox_plugin.h>

static farebox_plugin_answer init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)host, (void)config;
    *instance = NULL;
    return FAREBOX_ANSWER_OK;
}

static farebox_plugin_answer call(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return call->output->write(call->output, call->input.ptr, call->input.len);
}

static const farebox_plugin_str tools[] = {FAREBOX_PLUGIN_STR("echo")};

static const farebox_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
    .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
    .id = FAREBOX_PLUGIN_STR("org.farebox.bench.echo"),
    .version = FAREBOX_PLUGIN_STR("1.0.0"),
    .tools = tools,
    .tool_count = 1,
    .init = init,
    .call = call,
};

FAREBOX_PLUGIN_EXPORT const farebox_plugin *farebox_plugin_entry(void) { return &plugin; }

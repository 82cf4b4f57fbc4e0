/* A plugin whose every tool does harm, or tries to. What tries something says in JSON how it went: 0, or errno. */
#include "hostile.h"

services has;

static const tool tools[] = {
    {"hostile.segfault", segfault},
    {"hostile.trap", trap},
    {"hostile.abort", abort_tool},
    {"hostile.exit", exit_tool},
    {"hostile.exit_now", exit_now},
    {"hostile.raise", raise_tool},
    {"hostile.recurse", recurse},
    {"hostile.allocate", allocate},
    {"hostile.corrupt_heap", corrupt_heap},
    {"hostile.jump_out", jump_out},
    {"hostile.leave_thread", leave_thread},
    {"hostile.catch_segfault", catch_segfault},
    {"hostile.ignore_signals", ignore_signals},
    {"hostile.loop", loop},
    {"hostile.loop_until_cancelled", loop_until_cancelled},
    {"hostile.sleep", sleep_through},
    {"hostile.many_threads", many_threads},
    {"hostile.write_everywhere", write_everywhere},
    {"hostile.forge", forge},
    {"hostile.close_descriptors", close_descriptors},
    {"hostile.leak_descriptors", leak_descriptors},
    {"hostile.list_descriptors", list_descriptors},
    {"hostile.fork", fork_tool},
    {"hostile.exec", exec_tool},
    {"hostile.sockets", sockets},
    {"hostile.connect", connect_tool},
    {"hostile.read_file", read_file},
    {"hostile.write_file", write_file},
    {"hostile.list_folder", list_folder},
    {"hostile.kill_parent", kill_parent},
    {"hostile.trace_parent", trace_parent},
    {"hostile.environment", environment},
    {"hostile.raise_limits", raise_limits},
    {"hostile.system_calls", system_calls},
    {"hostile.map_executable", map_executable},
    {"hostile.flood_output", flood_output},
    {"hostile.flood_forever", flood_forever},
    {"hostile.flood_logs", flood_logs},
    {"hostile.flood_error", flood_error},
    {"hostile.write_null", write_null},
    {"hostile.keep_sink", keep_sink},
    {"hostile.use_kept_sink", use_kept_sink},
    {"hostile.start_thread", start_thread},
    {"hostile.thread_ticks", thread_ticks},
    {"hostile.meter_misuse", meter_misuse},
    {"hostile.meter_huge", meter_huge},
    {"hostile.meter_then_fail", meter_then_fail},
    {"hostile.meter_declared", meter_declared},
    {"hostile.store_misuse", store_misuse},
    {"hostile.store_flood", store_flood},
    {"hostile.service_misuse", service_misuse},
    {"hostile.unknown_status", unknown_status},
    {"hostile.no_output", no_output},
    {"hostile.invalid_utf8", invalid_utf8},
    {"hostile.invalid_json", invalid_json},
    {"hostile.deep_json", deep_json},
    {"hostile.two_values", two_values},
    {"hostile.wrong_output", wrong_output},
    {"hostile.huge_number", huge_number},
    {"hostile.text_invalid", text_invalid},
    {"hostile.bytes_any", bytes_any},
    {"hostile.error_invalid", error_invalid},
    {"hostile.error_then_ok", error_then_ok},
};
enum { TOOLS = sizeof tools / sizeof tools[0] };

static farebox_plugin_status init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)config;
    has = find_services(host);
    *instance = &has;
    return FAREBOX_PLUGIN_OK;
}

static farebox_plugin_status activate(void *instance)
{
    (void)instance;
    return prepare_jump();
}

static farebox_plugin_status run(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return run_tool(tools, TOOLS, call);
}

const farebox_plugin *farebox_plugin_entry(void)
{
    static farebox_plugin_str names[TOOLS];
    static farebox_plugin table = {
        .struct_size = sizeof table,
        .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
        .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
        .id = FAREBOX_PLUGIN_STR(ID),
        .version = FAREBOX_PLUGIN_STR("1.0.0"),
        .tool_count = TOOLS,
        .init = init,
        .call = run,
        .activate = activate,
    };
    table.tools = names_of(tools, TOOLS, names);
    return &table;
}

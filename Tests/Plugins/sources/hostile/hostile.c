/* A plugin whose every tool does harm, or tries to. What tries something says in JSON how it went: 0, or errno.
 * NAME ends its id and begins the names of its tools. */
#include "hostile.h"

services has;

static const tool tools[] = {
    {NAME ".segfault", segfault},
    {NAME ".trap", trap},
    {NAME ".abort", abort_tool},
    {NAME ".exit", exit_tool},
    {NAME ".exit_now", exit_now},
    {NAME ".raise", raise_tool},
    {NAME ".recurse", recurse},
    {NAME ".allocate", allocate},
    {NAME ".corrupt_heap", corrupt_heap},
    {NAME ".jump_out", jump_out},
    {NAME ".leave_thread", leave_thread},
    {NAME ".catch_segfault", catch_segfault},
    {NAME ".ignore_signals", ignore_signals},
    {NAME ".loop", loop},
    {NAME ".loop_until_cancelled", loop_until_cancelled},
    {NAME ".sleep", sleep_through},
    {NAME ".many_threads", many_threads},
    {NAME ".write_everywhere", write_everywhere},
    {NAME ".forge", forge},
    {NAME ".close_descriptors", close_descriptors},
    {NAME ".leak_descriptors", leak_descriptors},
    {NAME ".list_descriptors", list_descriptors},
    {NAME ".fork", fork_tool},
    {NAME ".exec", exec_tool},
    {NAME ".sockets", sockets},
    {NAME ".connect", connect_tool},
    {NAME ".read_file", read_file},
    {NAME ".write_file", write_file},
    {NAME ".list_folder", list_folder},
    {NAME ".kill_parent", kill_parent},
    {NAME ".trace_parent", trace_parent},
    {NAME ".environment", environment},
    {NAME ".raise_limits", raise_limits},
    {NAME ".system_calls", system_calls},
    {NAME ".map_executable", map_executable},
    {NAME ".flood_output", flood_output},
    {NAME ".flood_forever", flood_forever},
    {NAME ".flood_logs", flood_logs},
    {NAME ".flood_error", flood_error},
    {NAME ".write_null", write_null},
    {NAME ".keep_sink", keep_sink},
    {NAME ".use_kept_sink", use_kept_sink},
    {NAME ".start_thread", start_thread},
    {NAME ".thread_ticks", thread_ticks},
    {NAME ".meter_misuse", meter_misuse},
    {NAME ".meter_huge", meter_huge},
    {NAME ".meter_then_fail", meter_then_fail},
    {NAME ".meter_declared", meter_declared},
    {NAME ".store_misuse", store_misuse},
    {NAME ".store_flood", store_flood},
    {NAME ".service_misuse", service_misuse},
    {NAME ".unknown_status", unknown_status},
    {NAME ".no_output", no_output},
    {NAME ".invalid_utf8", invalid_utf8},
    {NAME ".invalid_json", invalid_json},
    {NAME ".deep_json", deep_json},
    {NAME ".two_values", two_values},
    {NAME ".wrong_output", wrong_output},
    {NAME ".huge_number", huge_number},
    {NAME ".text_invalid", text_invalid},
    {NAME ".bytes_any", bytes_any},
    {NAME ".error_invalid", error_invalid},
    {NAME ".error_then_ok", error_then_ok},
};
enum { TOOLS = sizeof tools / sizeof tools[0] };

static farebox_plugin_status init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)config;
    has = find_services(host);
    *instance = &has;
    return FAREBOX_PLUGIN_STATUS_OK;
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
        .id = FAREBOX_PLUGIN_STR("org.farebox.test." NAME),
        .version = FAREBOX_PLUGIN_STR("1.0.0"),
        .tool_count = TOOLS,
        .init = init,
        .call = run,
        .activate = activate,
    };
    table.tools = names_of(tools, TOOLS, names);
    return &table;
}

/* What the files of the hostile plugin share. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "../fixture.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

extern services has;

typedef farebox_plugin_answer tool_run(const farebox_plugin_call *call);

/* deaths.c */
tool_run segfault, trap, abort_tool, exit_tool, exit_now, raise_tool, recurse, allocate, corrupt_heap, jump_out,
    leave_thread;
tool_run catch_segfault, ignore_signals, loop, loop_until_cancelled, sleep_through, many_threads;
farebox_plugin_answer prepare_jump(void);

/* descriptors.c */
tool_run write_everywhere, forge, close_descriptors, leak_descriptors, list_descriptors;

/* reach.c */
tool_run fork_tool, exec_tool, sockets, connect_tool, read_file, write_file, list_folder, kill_parent, trace_parent;
tool_run environment, raise_limits, system_calls, map_executable;

/* services.c */
tool_run flood_output, flood_forever, flood_logs, flood_error, write_null, keep_sink, use_kept_sink, start_thread,
    thread_ticks;
tool_run meter_misuse, meter_huge, meter_then_fail, meter_declared, store_misuse, store_flood, service_misuse;

/* answers.c */
tool_run unknown_status, no_output, invalid_utf8, invalid_json, deep_json, two_values, wrong_output, huge_number;
tool_run text_invalid, bytes_any, error_invalid, error_then_ok;

/* 0, or errno where `result` is negative. */
static inline int error_of(long result)
{
    return result < 0 ? errno : 0;
}

#endif

/* The plugin host: its policy, and calls of tools that plugins offer. */
#include "calls.h"
#include "library.h"
#include "requests.h"

/* ---- setPluginPolicy ---- */

static bool prepare_policy(job *job)
{
    return job_has(job, lib.set_plugin_policy != NULL) && job_text(job, "policy", false, &job->in.texts.first);
}

static void run_policy(job *job)
{
    job->status = lib.set_plugin_policy(job->in.texts.first, &job->error);
}

/* ---- callTool ---- */

static bool prepare_tool(job *job)
{
    static const text_field fields[] = {
        TEXT(farebox_tool_args, "payer", payer),
        TEXT(farebox_tool_args, "tool", tool),
        TEXT(farebox_tool_args, "input", input),
        TEXT(farebox_tool_args, "key", idempotency_key),
        TEXT(farebox_tool_args, "run", run),
        TEXT(farebox_tool_args, "call", call),
    };
    const int64_t *row = job->numbers;
    farebox_tool_args *args = &job->in.tool;
    uint32_t durability;
    *args = (farebox_tool_args)FAREBOX_TOOL_ARGS_INIT;
    job->out.tool.receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    if (!job_has(job, lib.call_tool != NULL) || !job_uint32(job, row[ROW_FLAGS], "flags", &args->flags)
        || !job_uint32(job, row[ROW_EXPIRES_IN_MS], "deadlineMs", &args->deadline_ms)
        || !job_uint32(job, row[ROW_DURABILITY], "durability", &durability)) {
        return false;
    }
    args->durability = (farebox_durability)durability;
    args->max_cost = row[ROW_MAX_COST];
    return request_texts(job, row, fields, sizeof fields / sizeof fields[0], args);
}

static void run_tool(job *job)
{
    job->status = lib.call_tool(job_handle(job), &job->in.tool, &job->out.tool.output, &job->out.tool.receipt,
                                &job->error);
}

/* Gives the output as a Buffer. */
static napi_value finish_tool(job *job)
{
    napi_value output;
    const farebox_text *text = &job->out.tool.output;
    if (!job_store(job, 0, &job->out.tool.receipt, sizeof job->out.tool.receipt)) {
        return NULL;
    }
    if (napi_create_buffer_copy(job->env, text->len, text->ptr, NULL, &output) != napi_ok) {
        job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the output.");
        return NULL;
    }
    return output;
}

static void release_tool(job *job)
{
    if (job->out.tool.output.ptr != NULL) {
        lib.text_free(&job->out.tool.output);
    }
}

static const verb verbs[] = {
    {"setPluginPolicy", ENGINE_NONE, 0, prepare_policy, run_policy, NULL, NULL, false},
    {"callTool", ENGINE_NEEDED, ROW_SIZE, prepare_tool, run_tool, finish_tool, release_tool, false},
};

bool plugins_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

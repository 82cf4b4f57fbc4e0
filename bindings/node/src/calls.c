/* Everything that is neither a charge nor a webhook: opening, quotes, balances, ticks, the JSON door. */
#include <stdlib.h>

#include "calls.h"
#include "library.h"
#include "requests.h"

enum { LINES_MAX = 65536 };

/* ---- open, close ---- */

enum { OPEN_FLAGS, OPEN_DURABILITY, OPEN_HOLD_DURABILITY, OPEN_KEY_MEMORY_BYTES, OPEN_BUSY_TIMEOUT_MS, OPEN_SIZE };

static bool prepare_open(job *job)
{
    farebox_options *options = &job->in.options;
    uint32_t durability, hold_durability;
    napi_valuetype type = napi_undefined;
    *options = (farebox_options)FAREBOX_OPTIONS_INIT;
    if (!job_uint32(job, job->numbers[OPEN_FLAGS], "flags", &options->flags)
        || !job_uint32(job, job->numbers[OPEN_DURABILITY], "durability", &durability)
        || !job_uint32(job, job->numbers[OPEN_HOLD_DURABILITY], "holdDurability", &hold_durability)
        || !job_uint32(job, job->numbers[OPEN_BUSY_TIMEOUT_MS], "busyTimeoutMs", &options->busy_timeout_ms)) {
        return false;
    }
    options->durability = (farebox_durability)durability;
    options->hold_durability = (farebox_durability)hold_durability;
    options->key_memory_bytes = (uint64_t)job->numbers[OPEN_KEY_MEMORY_BYTES];
    if (napi_typeof(job->env, job->other, &type) != napi_ok || (type != napi_undefined && type != napi_function)) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "clock", "A clock is a function.");
    }
    /* The url is kept with the other texts; `in` is the options'. */
    job->items = calloc(1, sizeof(farebox_str));
    if (job->items == NULL || !job_text(job, "url", false, job->items)) {
        return job->items != NULL ? false : job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory.");
    }
    if (!job_text(job, "paymentUrl", false, &options->payment_url)) {
        return false;
    }
    job->engine = engine_make(job->env, type == napi_function ? job->other : NULL);
    if (job->engine == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the engine.");
    }
    if (type == napi_function) {
        options->clock = engine_clock;
        options->clock_context = job->engine;
    }
    return true;
}

static void run_open(job *job)
{
    const farebox_str *url = job->items;
    job->status = lib.open(&job->engine->handle, *url, &job->in.options, &job->error);
}

static napi_value finish_open(job *job)
{
    engine_retain(job->engine); /* for the object */
    return engine_wrap(job->env, job->engine);
}

static bool prepare_close(job *job)
{
    job->engine->closed = true;
    return true;
}

static void run_close(job *job)
{
    job->status = lib.close(job_handle(job), &job->error);
}

/* ---- priceTool ---- */

static const text_field price_texts[] = {
    TEXT(farebox_price_args, "tool", tool),
    TEXT(farebox_price_args, "customer", customer),
};

static bool prepare_price(job *job)
{
    const int64_t *row = job->numbers;
    farebox_price_args *args = &job->in.price;
    farebox_quote *quote = &job->out.quote;
    uint32_t micro;
    *args = (farebox_price_args)FAREBOX_PRICE_ARGS_INIT;
    *quote = (farebox_quote)FAREBOX_QUOTE_INIT;
    if (!job_uint32(job, row[ROW_FLAGS], "flags", &args->flags)
        || !job_uint32(job, row[ROW_UNITS_MICRO], "usage.units", &micro)) {
        return false;
    }
    args->max_cost = row[ROW_MAX_COST];
    args->at = row[ROW_AT];
    request_usage(row, &args->usage, micro);
    const size_t room = job_room(job);
    if (room < sizeof *quote) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "out", "The quote's BigInt64Array has no room for it.");
    }
    job->count = (room - sizeof *quote) / sizeof(farebox_quote_line);
    job->count = job->count > LINES_MAX ? LINES_MAX : job->count;
    if (job->count > 0) {
        job->items = calloc(job->count, sizeof(farebox_quote_line));
        if (job->items == NULL) {
            return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the quote.");
        }
    }
    quote->lines = job->items;
    quote->line_capacity = (uint32_t)job->count;
    return request_texts(job, row, price_texts, sizeof price_texts / sizeof price_texts[0], args);
}

static void run_price(job *job)
{
    job->status = lib.price_tool(job_handle(job), &job->in.price, &job->out.quote, &job->error);
}

static napi_value finish_price(job *job)
{
    farebox_quote quote = job->out.quote;
    const size_t lines = quote.line_count < job->count ? quote.line_count : job->count;
    quote.lines = NULL; /* no address leaves the addon */
    if (job_store(job, 0, &quote, sizeof quote) && lines > 0) {
        job_store(job, sizeof quote, job->items, lines * sizeof(farebox_quote_line));
    }
    return NULL;
}

static void release_items(job *job)
{
    free(job->items);
}

/* ---- balance, tick ---- */

static bool prepare_balance(job *job)
{
    job->out.balance = (farebox_balance_result)FAREBOX_BALANCE_RESULT_INIT;
    return job_text(job, "account", false, &job->in.texts.first)
           && job_text(job, "asset", false, &job->in.texts.second);
}

static void run_balance(job *job)
{
    job->status = lib.balance(job_handle(job), job->in.texts.first, job->in.texts.second, &job->out.balance,
                              &job->error);
}

static napi_value finish_balance(job *job)
{
    job_store(job, 0, &job->out.balance, sizeof job->out.balance);
    return NULL;
}

static bool prepare_tick(job *job)
{
    job->out.tick = (farebox_tick_result)FAREBOX_TICK_RESULT_INIT;
    return true;
}

static void run_tick(job *job)
{
    job->status = lib.tick(job_handle(job), &job->out.tick, &job->error);
}

static napi_value finish_tick(job *job)
{
    job_store(job, 0, &job->out.tick, sizeof job->out.tick);
    return NULL;
}

/* ---- call, names of accounts, describe ---- */

static bool prepare_call(job *job)
{
    return job_text(job, "operation", false, &job->in.texts.first)
           && job_text(job, "input", false, &job->in.texts.second);
}

static void run_call(job *job)
{
    job->status = lib.call(job_handle(job), job->in.texts.first, job->in.texts.second, &job->out.text,
                           &job->error);
}

static void run_describe(job *job)
{
    job->status = lib.describe(&job->out.text, &job->error);
}

static bool prepare_id(job *job)
{
    return job_text(job, "id", false, &job->in.texts.first);
}

static void run_escape(job *job)
{
    job->status = lib.escape_account(job->in.texts.first, &job->out.text, &job->error);
}

static void run_unescape(job *job)
{
    job->status = lib.unescape_account(job->in.texts.first, &job->out.text, &job->error);
}

static napi_value finish_text(job *job)
{
    napi_value value;
    if (napi_create_string_utf8(job->env, job->out.text.ptr, job->out.text.len, &value) != napi_ok) {
        job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the answer.");
        return NULL;
    }
    return value;
}

static void release_text(job *job)
{
    if (job->out.text.ptr != NULL) {
        lib.text_free(&job->out.text);
    }
}

static const verb verbs[] = {
    {"open", ENGINE_NONE, OPEN_SIZE, prepare_open, run_open, finish_open, release_items, false},
    {"close", ENGINE_NEEDED, 0, prepare_close, run_close, NULL, NULL, false},
    {"tick", ENGINE_NEEDED, 0, prepare_tick, run_tick, finish_tick, NULL, false},
    {"priceTool", ENGINE_NEEDED, ROW_SIZE, prepare_price, run_price, finish_price, release_items, false},
    {"balance", ENGINE_NEEDED, 0, prepare_balance, run_balance, finish_balance, NULL, false},
    {"call", ENGINE_NEEDED, 0, prepare_call, run_call, finish_text, release_text, false},
    {"escapeAccount", ENGINE_NONE, 0, prepare_id, run_escape, finish_text, release_text, false},
    {"unescapeAccount", ENGINE_NONE, 0, prepare_id, run_unescape, finish_text, release_text, false},
    {"describe", ENGINE_NONE, 0, NULL, run_describe, finish_text, release_text, false},
};

bool calls_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

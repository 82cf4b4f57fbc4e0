/* The functions of the typed door and the JSON door. */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "library.h"

enum { LINES_MAX = 65536 };

/* ---- Requests ---- */

static void read_usage(const int64_t *row, farebox_usage *usage, uint32_t micro)
{
    *usage = (farebox_usage){
        .requests = row[ROW_USAGE + FAREBOX_METER_REQUESTS],
        .units = row[ROW_USAGE + FAREBOX_METER_UNITS],
        .input_tokens = row[ROW_USAGE + FAREBOX_METER_INPUT_TOKENS],
        .output_tokens = row[ROW_USAGE + FAREBOX_METER_OUTPUT_TOKENS],
        .cache_read_tokens = row[ROW_USAGE + FAREBOX_METER_CACHE_READ_TOKENS],
        .cache_write_tokens = row[ROW_USAGE + FAREBOX_METER_CACHE_WRITE_TOKENS],
        .reasoning_tokens = row[ROW_USAGE + FAREBOX_METER_REASONING_TOKENS],
        .input_audio_tokens = row[ROW_USAGE + FAREBOX_METER_INPUT_AUDIO_TOKENS],
        .output_audio_tokens = row[ROW_USAGE + FAREBOX_METER_OUTPUT_AUDIO_TOKENS],
        .images = row[ROW_USAGE + FAREBOX_METER_IMAGES],
        .value = row[ROW_USAGE + FAREBOX_METER_VALUE],
        .units_micro = micro,
    };
}

/* One text of a request: its bit is its place in the table. */
typedef struct text_field {
    const char *name;
    size_t offset;
} text_field;

static bool read_texts(job *job, const int64_t *row, const text_field *fields, size_t count, void *args)
{
    for (size_t i = 0; i < count; i++) {
        if ((row[ROW_TEXTS] >> i & 1) != 0
            && !job_text(job, fields[i].name, false, (farebox_str *)((char *)args + fields[i].offset))) {
            return false;
        }
    }
    return true;
}

/* What the rows of all requests have: flags, the part of units, and durability. */
static bool read_common(job *job, const int64_t *row, uint32_t *flags, uint32_t *micro, farebox_durability *durability)
{
    uint32_t number;
    if (!job_uint32(job, row[ROW_FLAGS], "flags", flags)
        || !job_uint32(job, row[ROW_UNITS_MICRO], "usage.units", micro)
        || !job_uint32(job, row[ROW_DURABILITY], "durability", &number)) {
        return false;
    }
    *durability = (farebox_durability)number;
    return true;
}

#define TEXT(type, name, field) {name, offsetof(type, field)}

static const text_field charge_texts[] = {
    TEXT(farebox_charge_args, "payer", payer),
    TEXT(farebox_charge_args, "tool", tool),
    TEXT(farebox_charge_args, "payee", payee),
    TEXT(farebox_charge_args, "asset", asset),
    TEXT(farebox_charge_args, "key", idempotency_key),
    TEXT(farebox_charge_args, "run", run),
    TEXT(farebox_charge_args, "call", call),
    TEXT(farebox_charge_args, "description", description),
    TEXT(farebox_charge_args, "metadata", metadata),
};
enum { CHARGE_TEXTS = sizeof charge_texts / sizeof charge_texts[0] };

static const text_field capture_texts[] = {
    TEXT(farebox_capture_args, "key", idempotency_key),
    TEXT(farebox_capture_args, "description", description),
    TEXT(farebox_capture_args, "metadata", metadata),
};
enum { CAPTURE_TEXTS = sizeof capture_texts / sizeof capture_texts[0] };

static bool read_charge(job *job, const int64_t *row, farebox_charge_args *args)
{
    uint32_t micro;
    *args = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
    if (!read_common(job, row, &args->flags, &micro, &args->durability)) {
        return false;
    }
    args->amount = row[ROW_AMOUNT];
    args->max_cost = row[ROW_MAX_COST];
    read_usage(row, &args->usage, micro);
    return read_texts(job, row, charge_texts, CHARGE_TEXTS, args);
}

static napi_value finish_receipt(job *job)
{
    job_store(job, 0, &job->out.receipt, sizeof job->out.receipt);
    return NULL;
}

static void make_receipt(job *job)
{
    job->out.receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
}

/* ---- charge ---- */

static bool prepare_charge(job *job)
{
    make_receipt(job);
    return read_charge(job, job->numbers, &job->in.charge);
}

static void run_charge(job *job)
{
    job->status = lib.charge(job_handle(job), &job->in.charge, &job->out.receipt, &job->error);
}

/* ---- chargeMany ---- */

static bool prepare_charges(job *job)
{
    job->count = job->number_count / ROW_SIZE;
    job->items = calloc(job->count, sizeof(farebox_charge_args));
    job->receipts = calloc(job->count, sizeof(farebox_receipt));
    if (job->items == NULL || job->receipts == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the batch.");
    }
    farebox_charge_args *args = job->items;
    for (size_t i = 0; i < job->count; i++) {
        job->receipts[i].struct_size = sizeof(farebox_receipt);
        if (!read_charge(job, job->numbers + i * ROW_SIZE, &args[i])) {
            char field[sizeof job->error.field], path[sizeof field];
            memcpy(field, job->error.field, sizeof field);
            snprintf(path, sizeof path, "requests[%zu].%.80s", i, field);
            memcpy(job->error.field, path, sizeof path);
            return false;
        }
    }
    return true;
}

static void run_charge_many(job *job)
{
    job->status = lib.charge_many(job_handle(job), job->items, job->count, job->receipts, &job->error);
}

static napi_value finish_charge_many(job *job)
{
    job_store(job, 0, job->receipts, job->count * sizeof(farebox_receipt));
    return NULL;
}

static void release_charges(job *job)
{
    free(job->items);
    free(job->receipts);
    for (size_t i = 0; job->refusals != NULL && i < job->count; i++) {
        free(job->refusals[i]);
    }
    free(job->refusals);
}

/* ---- chargeEach: charges of many callers in one commit, each with an error of its own ---- */

/* A batch says of a refused item its status alone, so it is asked again by itself. */
static void ask_again(job *job, size_t i)
{
    farebox_charge_args *args = job->items;
    farebox_error *error = calloc(1, sizeof *error);
    if (job->refusals == NULL) {
        job->refusals = calloc(job->count, sizeof *job->refusals);
    }
    if (error == NULL || job->refusals == NULL) {
        free(error);
        return;
    }
    error->struct_size = sizeof *error;
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    const farebox_status status = lib.charge(job_handle(job), &args[i], &receipt, error);
    receipt.status = status;
    job->receipts[i] = receipt;
    job->refusals[i] = error;
}

static void run_charge_each(job *job)
{
    farebox_charge_args *args = job->items;
    if (job->count == 1) {
        job->status = lib.charge(job_handle(job), &args[0], &job->receipts[0], &job->error);
        return;
    }
    run_charge_many(job);
    for (size_t i = 0; job->status == FAREBOX_OK && i < job->count; i++) {
        if (job->receipts[i].status != FAREBOX_OK) {
            ask_again(job, i);
        }
    }
}

/* Gives an object of failures by their place, or undefined where there is none. */
static napi_value finish_charge_each(job *job)
{
    napi_value failures = NULL;
    if (!job_store(job, 0, job->receipts, job->count * sizeof(farebox_receipt)) || job->refusals == NULL) {
        return NULL;
    }
    if (napi_create_array_with_length(job->env, job->count, &failures) != napi_ok) {
        return NULL;
    }
    for (size_t i = 0; i < job->count; i++) {
        if (job->receipts[i].status != FAREBOX_OK) {
            napi_value failure = failure_value(job->env, job->receipts[i].status, job->refusals[i]);
            if (failure != NULL) {
                napi_set_element(job->env, failures, (uint32_t)i, failure);
            }
        }
    }
    return failures;
}

/* ---- reserve, capture, release, extend ---- */

static bool prepare_reserve(job *job)
{
    farebox_charge_args charge;
    farebox_reserve_args *args = &job->in.reserve;
    uint32_t over_capture;
    make_receipt(job);
    *args = (farebox_reserve_args)FAREBOX_RESERVE_ARGS_INIT;
    if (!read_charge(job, job->numbers, &charge)
        || !job_uint32(job, job->numbers[ROW_EXPIRES_IN_MS], "expiresInMs", &args->expires_in_ms)
        || !job_uint32(job, job->numbers[ROW_OVER_CAPTURE], "overCapture", &over_capture)) {
        return false;
    }
    args->flags = charge.flags;
    args->payer = charge.payer;
    args->tool = charge.tool;
    args->payee = charge.payee;
    args->asset = charge.asset;
    args->idempotency_key = charge.idempotency_key;
    args->run = charge.run;
    args->call = charge.call;
    args->description = charge.description;
    args->metadata = charge.metadata;
    args->amount = charge.amount;
    args->max_cost = charge.max_cost;
    args->usage = charge.usage;
    args->durability = charge.durability;
    args->over_capture = (farebox_over_capture)over_capture;
    return true;
}

static void run_reserve(job *job)
{
    job->status = lib.reserve(job_handle(job), &job->in.reserve, &job->out.receipt, &job->error);
}

static bool prepare_capture(job *job)
{
    const int64_t *row = job->numbers;
    farebox_capture_args *args = &job->in.capture;
    uint32_t micro;
    make_receipt(job);
    *args = (farebox_capture_args)FAREBOX_CAPTURE_ARGS_INIT;
    if (!read_common(job, row, &args->flags, &micro, &args->durability)) {
        return false;
    }
    args->hold = (uint64_t)row[ROW_HOLD];
    args->amount = row[ROW_AMOUNT];
    read_usage(row, &args->usage, micro);
    return read_texts(job, row, capture_texts, CAPTURE_TEXTS, args);
}

static void run_capture(job *job)
{
    job->status = lib.capture(job_handle(job), &job->in.capture, &job->out.receipt, &job->error);
}

static bool prepare_hold(job *job)
{
    make_receipt(job);
    job->in.extend.hold = (uint64_t)job->numbers[ROW_HOLD];
    return job_uint32(job, job->numbers[ROW_EXPIRES_IN_MS], "expiresInMs", &job->in.extend.milliseconds);
}

static void run_release(job *job)
{
    job->status = lib.release(job_handle(job), job->in.extend.hold, &job->out.receipt, &job->error);
}

static void run_extend(job *job)
{
    job->status = lib.extend(job_handle(job), job->in.extend.hold, job->in.extend.milliseconds, &job->out.receipt,
                             &job->error);
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
    read_usage(row, &args->usage, micro);
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
    return read_texts(job, row, price_texts, sizeof price_texts / sizeof price_texts[0], args);
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
    return job_text(job, "account", false, &job->in.texts.first) && job_text(job, "asset", false, &job->in.texts.second);
}

static void run_balance(job *job)
{
    job->status = lib.balance(job_handle(job), job->in.texts.first, job->in.texts.second, &job->out.balance, &job->error);
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

/* ---- call, describe ---- */

static bool prepare_call(job *job)
{
    return job_text(job, "operation", false, &job->in.texts.first) && job_text(job, "input", false, &job->in.texts.second);
}

static void run_call(job *job)
{
    job->status = lib.call(job_handle(job), job->in.texts.first, job->in.texts.second, &job->out.text, &job->error);
}

static void run_describe(job *job)
{
    job->status = lib.describe(&job->out.text, &job->error);
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

/* ---- verifyWebhook ---- */

enum { WEBHOOK_TEXTS, WEBHOOK_SCHEME, WEBHOOK_TOLERANCE, WEBHOOK_NOW, WEBHOOK_SIZE };

static bool prepare_webhook(job *job)
{
    static const text_field fields[] = {
        TEXT(farebox_webhook_args, "body", body),
        TEXT(farebox_webhook_args, "signature", signature),
        TEXT(farebox_webhook_args, "id", id),
        TEXT(farebox_webhook_args, "timestamp", timestamp),
    };
    farebox_webhook_args *args = &job->in.webhook;
    uint32_t scheme;
    *args = (farebox_webhook_args)FAREBOX_WEBHOOK_ARGS_INIT;
    if (!job_uint32(job, job->numbers[WEBHOOK_SCHEME], "scheme", &scheme)) {
        return false;
    }
    args->scheme = (farebox_webhook_scheme)scheme;
    args->tolerance_s = job->numbers[WEBHOOK_TOLERANCE];
    args->now = job->numbers[WEBHOOK_NOW];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if ((job->numbers[WEBHOOK_TEXTS] >> i & 1) != 0
            && !job_text(job, fields[i].name, true, (farebox_str *)((char *)args + fields[i].offset))) {
            return false;
        }
    }
    job->count = job->text_count > job->text_next ? job->text_count - job->text_next : 0;
    farebox_str *secrets = calloc(job->count + 1, sizeof *secrets);
    job->items = secrets;
    if (secrets == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the secrets.");
    }
    for (size_t i = 0; i < job->count; i++) {
        if (!job_text(job, "secrets", true, &secrets[i])) {
            return false;
        }
    }
    args->secrets = secrets;
    args->secret_count = job->count;
    return true;
}

static void run_webhook(job *job)
{
    job->status = lib.verify_webhook(job_handle(job), &job->in.webhook, &job->error);
}

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

static const verb verbs[] = {
    {"open", ENGINE_NONE, OPEN_SIZE, prepare_open, run_open, finish_open, release_items, false},
    {"close", ENGINE_NEEDED, 0, prepare_close, run_close, NULL, NULL, false},
    {"tick", ENGINE_NEEDED, 0, prepare_tick, run_tick, finish_tick, NULL, false},
    {"priceTool", ENGINE_NEEDED, ROW_SIZE, prepare_price, run_price, finish_price, release_items, false},
    {"charge", ENGINE_NEEDED, ROW_SIZE, prepare_charge, run_charge, finish_receipt, NULL, false},
    {"chargeMany", ENGINE_NEEDED, ROW_SIZE, prepare_charges, run_charge_many, finish_charge_many, release_charges, false},
    {"chargeEach", ENGINE_NEEDED, ROW_SIZE, prepare_charges, run_charge_each, finish_charge_each, release_charges, false},
    {"reserve", ENGINE_NEEDED, ROW_SIZE, prepare_reserve, run_reserve, finish_receipt, NULL, false},
    {"capture", ENGINE_NEEDED, ROW_SIZE, prepare_capture, run_capture, finish_receipt, NULL, false},
    {"release", ENGINE_NEEDED, ROW_SIZE, prepare_hold, run_release, finish_receipt, NULL, false},
    {"extend", ENGINE_NEEDED, ROW_SIZE, prepare_hold, run_extend, finish_receipt, NULL, false},
    {"balance", ENGINE_NEEDED, 0, prepare_balance, run_balance, finish_balance, NULL, false},
    {"verifyWebhook", ENGINE_ALLOWED, WEBHOOK_SIZE, prepare_webhook, run_webhook, NULL, release_items, true},
    {"call", ENGINE_NEEDED, 0, prepare_call, run_call, finish_text, release_text, false},
    {"describe", ENGINE_NONE, 0, NULL, run_describe, finish_text, release_text, false},
};

bool calls_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

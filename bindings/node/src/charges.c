/* Charges and holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "library.h"
#include "requests.h"

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
    if (!request_common(job, row, &args->flags, &micro, &args->durability)) {
        return false;
    }
    args->amount = row[ROW_AMOUNT];
    args->max_cost = row[ROW_MAX_COST];
    request_usage(row, &args->usage, micro);
    return request_texts(job, row, charge_texts, CHARGE_TEXTS, args);
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

static napi_value finish_receipts(job *job)
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
static napi_value finish_each(job *job)
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

/* ---- reserve, increase, capture, release, extend ---- */

static bool prepare_reserve(job *job)
{
    farebox_charge_args charge;
    farebox_reserve_args *args = &job->in.reserve;
    uint32_t over_capture;
    make_receipt(job);
    *args = (farebox_reserve_args)FAREBOX_RESERVE_ARGS_INIT;
    if (!read_charge(job, job->numbers, &charge)
        || !job_uint32(job, job->numbers[ROW_OVER_CAPTURE], "overCapture", &over_capture)) {
        return false;
    }
    args->expires_in_ms = (uint64_t)job->numbers[ROW_EXPIRES_IN_MS];
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

static const text_field increase_texts[] = {
    TEXT(farebox_increase_args, "key", idempotency_key),
    TEXT(farebox_increase_args, "description", description),
    TEXT(farebox_increase_args, "metadata", metadata),
};

static bool prepare_increase(job *job)
{
    const int64_t *row = job->numbers;
    farebox_increase_args *args = &job->in.increase;
    uint32_t micro;
    make_receipt(job);
    *args = (farebox_increase_args)FAREBOX_INCREASE_ARGS_INIT;
    if (!request_common(job, row, &args->flags, &micro, &args->durability)) {
        return false;
    }
    args->hold = (uint64_t)row[ROW_HOLD];
    args->amount = row[ROW_AMOUNT];
    return request_texts(job, row, increase_texts, sizeof increase_texts / sizeof increase_texts[0], args);
}

static void run_increase(job *job)
{
    job->status = lib.increase(job_handle(job), &job->in.increase, &job->out.receipt, &job->error);
}

static bool prepare_capture(job *job)
{
    const int64_t *row = job->numbers;
    farebox_capture_args *args = &job->in.capture;
    uint32_t micro;
    make_receipt(job);
    *args = (farebox_capture_args)FAREBOX_CAPTURE_ARGS_INIT;
    if (!request_common(job, row, &args->flags, &micro, &args->durability)) {
        return false;
    }
    args->hold = (uint64_t)row[ROW_HOLD];
    args->amount = row[ROW_AMOUNT];
    request_usage(row, &args->usage, micro);
    return request_texts(job, row, capture_texts, CAPTURE_TEXTS, args);
}

static void run_capture(job *job)
{
    job->status = lib.capture(job_handle(job), &job->in.capture, &job->out.receipt, &job->error);
}

static bool prepare_hold(job *job)
{
    make_receipt(job);
    job->in.extend.hold = (uint64_t)job->numbers[ROW_HOLD];
    job->in.extend.milliseconds = (uint64_t)job->numbers[ROW_EXPIRES_IN_MS];
    return true;
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

static const verb verbs[] = {
    {"charge", ENGINE_NEEDED, ROW_SIZE, prepare_charge, run_charge, finish_receipt, NULL, false},
    {"chargeMany", ENGINE_NEEDED, ROW_SIZE, prepare_charges, run_charge_many, finish_receipts, release_charges, false},
    {"chargeEach", ENGINE_NEEDED, ROW_SIZE, prepare_charges, run_charge_each, finish_each, release_charges, false},
    {"reserve", ENGINE_NEEDED, ROW_SIZE, prepare_reserve, run_reserve, finish_receipt, NULL, false},
    {"increase", ENGINE_NEEDED, ROW_SIZE, prepare_increase, run_increase, finish_receipt, NULL, false},
    {"capture", ENGINE_NEEDED, ROW_SIZE, prepare_capture, run_capture, finish_receipt, NULL, false},
    {"release", ENGINE_NEEDED, ROW_SIZE, prepare_hold, run_release, finish_receipt, NULL, false},
    {"extend", ENGINE_NEEDED, ROW_SIZE, prepare_hold, run_extend, finish_receipt, NULL, false},
};

bool charges_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

/* Metered calls: begin, record, finish. */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "library.h"
#include "requests.h"

enum {
    CALL_WORDS = sizeof(farebox_metered_call) / sizeof(int64_t),
    TALLY_WORDS = sizeof(farebox_tally) / sizeof(int64_t)
};

_Static_assert(sizeof(farebox_metered_call) % sizeof(int64_t) == 0, "a call is a whole number of words");
_Static_assert(sizeof(farebox_tally) % sizeof(int64_t) == 0, "a tally is a whole number of words");

/* ---- begin ---- */

static const text_field begin_texts[] = {
    TEXT(farebox_begin_args, "payer", payer),
    TEXT(farebox_begin_args, "tool", tool),
    TEXT(farebox_begin_args, "run", run),
    TEXT(farebox_begin_args, "call", call),
    TEXT(farebox_begin_args, "parent", parent),
    TEXT(farebox_begin_args, "arguments", arguments),
    TEXT(farebox_begin_args, "expected", expected),
};

static bool prepare_begin(job *job)
{
    const int64_t *row = job->numbers;
    farebox_begin_args *args = &job->in.begin;
    uint32_t durability;
    *args = (farebox_begin_args)FAREBOX_BEGIN_ARGS_INIT;
    job->out.metered = (farebox_metered_call)FAREBOX_METERED_CALL_INIT;
    if (!job_uint32(job, row[BEGIN_FLAGS], "flags", &args->flags)
        || !job_uint32(job, row[BEGIN_ORDINAL], "ordinal", &args->ordinal)
        || !job_uint32(job, row[BEGIN_DURABILITY], "durability", &durability)) {
        return false;
    }
    args->durability = (farebox_durability)durability;
    args->amount = row[BEGIN_AMOUNT];
    args->max_cost = row[BEGIN_MAX_COST];
    args->expires_in_ms = row[BEGIN_EXPIRES_IN_MS];
    return request_texts(job, row, begin_texts, sizeof begin_texts / sizeof begin_texts[0], args);
}

static void run_begin(job *job)
{
    job->status = lib.begin(job_handle(job), &job->in.begin, &job->out.metered, &job->error);
}

static napi_value finish_begin(job *job)
{
    job_store(job, 0, &job->out.metered, sizeof job->out.metered);
    return NULL;
}

/* ---- record: the numbers are the tally, and so is the result ---- */

static bool prepare_record(job *job)
{
    memcpy(&job->in.record.tally, job->numbers, sizeof job->in.record.tally);
    return job_text(job, "usage", false, &job->in.record.usage);
}

static void run_record(job *job)
{
    job->status = lib.record(&job->in.record.tally, job->in.record.usage, &job->error);
}

static napi_value finish_record(job *job)
{
    job_store(job, 0, &job->in.record.tally, sizeof job->in.record.tally);
    return NULL;
}

/* ---- finish: a row, the call, its tally if there is one, and the lines, each a row with a tally if it has one ---- */

static const text_field finish_texts[] = {
    TEXT(farebox_finish_args, "description", description),
    TEXT(farebox_finish_args, "metadata", metadata),
};

static const text_field line_texts[] = {
    TEXT(farebox_call_line, "tool", tool),
    TEXT(farebox_call_line, "payee", payee),
    TEXT(farebox_call_line, "description", description),
};

/* Takes the next words of the row; NULL after job_fail. */
static const int64_t *take(job *job, size_t *at, size_t words)
{
    if (words > job->number_count - *at) {
        job_fail(job, FAREBOX_INVALID_ARGUMENT, "numbers", "The numbers of the call are cut off.");
        return NULL;
    }
    const int64_t *taken = job->numbers + *at;
    *at += words;
    return taken;
}

static bool read_line(job *job, size_t *at, farebox_call_line *line, farebox_tally *recorded)
{
    const int64_t *row = take(job, at, LINE_SIZE);
    if (row == NULL || !job_uint32(job, row[LINE_FLAGS], "lines.flags", &line->flags)
        || !request_texts(job, row, line_texts, sizeof line_texts / sizeof line_texts[0], line)) {
        return false;
    }
    line->amount = row[LINE_AMOUNT];
    if (row[LINE_RECORDED] == 0) {
        return true;
    }
    const int64_t *words = take(job, at, TALLY_WORDS);
    if (words == NULL) {
        return false;
    }
    memcpy(recorded, words, sizeof *recorded);
    line->recorded = recorded;
    return true;
}

static bool read_lines(job *job, size_t *at, size_t count, farebox_finish_args *args)
{
    if (count > (job->number_count - *at) / LINE_SIZE) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "numbers", "The numbers of the call are cut off.");
    }
    job->items = calloc(count, sizeof(farebox_call_line) + sizeof(farebox_tally));
    if (job->items == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the lines.");
    }
    farebox_call_line *lines = job->items;
    farebox_tally *recorded = (farebox_tally *)(lines + count);
    for (size_t i = 0; i < count; i++) {
        if (!read_line(job, at, &lines[i], &recorded[i])) {
            return false;
        }
    }
    args->lines = lines;
    args->line_count = count;
    return true;
}

static bool prepare_finish(job *job)
{
    const int64_t *row = job->numbers;
    farebox_finish_args *args = &job->in.finish.args;
    uint32_t ending, durability, lines;
    size_t at = FINISH_SIZE;
    job->out.receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    *args = (farebox_finish_args)FAREBOX_FINISH_ARGS_INIT;
    if (!job_uint32(job, row[FINISH_FLAGS], "flags", &args->flags)
        || !job_uint32(job, row[FINISH_ENDING], "ending", &ending)
        || !job_uint32(job, row[FINISH_DURABILITY], "durability", &durability)
        || !job_uint32(job, row[FINISH_LINES], "lines", &lines)
        || !request_texts(job, row, finish_texts, sizeof finish_texts / sizeof finish_texts[0], args)) {
        return false;
    }
    args->ending = (farebox_ending)ending;
    args->durability = (farebox_durability)durability;
    args->amount = row[FINISH_AMOUNT];
    const int64_t *words = take(job, &at, CALL_WORDS);
    if (words == NULL) {
        return false;
    }
    memcpy(&job->in.finish.call, words, sizeof job->in.finish.call);
    if (row[FINISH_RECORDED] != 0) {
        words = take(job, &at, TALLY_WORDS);
        if (words == NULL) {
            return false;
        }
        memcpy(&job->in.finish.recorded, words, sizeof job->in.finish.recorded);
        args->recorded = &job->in.finish.recorded;
    }
    return lines == 0 || read_lines(job, &at, lines, args);
}

static void run_finish(job *job)
{
    job->status = lib.finish(job_handle(job), &job->in.finish.call, &job->in.finish.args, &job->out.receipt,
                             &job->error);
}

static napi_value finish_finish(job *job)
{
    job_store(job, 0, &job->out.receipt, sizeof job->out.receipt);
    return NULL;
}

static void release_lines(job *job)
{
    free(job->items);
}

static const verb verbs[] = {
    {"begin", ENGINE_NEEDED, BEGIN_SIZE, prepare_begin, run_begin, finish_begin, NULL, false},
    {"record", ENGINE_NONE, TALLY_WORDS, prepare_record, run_record, finish_record, NULL, false},
    {"finish", ENGINE_NEEDED, FINISH_SIZE + CALL_WORDS, prepare_finish, run_finish, finish_finish, release_lines,
     false},
};

bool metered_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

/* A job: one call of the library, on the caller's thread or on one of the thread pool. */
#ifndef JOB_H
#define JOB_H

#include <node_api.h>
#include <stdbool.h>

#include "engine.h"
#include "farebox.h"
#include "payers.h"

enum { ARENA_BYTES = 4096, NUMBERS_FEW = 96 };

/* The numbers of a request, in a BigInt64Array; one layout for every function of the typed door. */
enum {
    ROW_TEXTS,   /* bit i: the i-th text is given */
    ROW_FLAGS,   /* as the function has them */
    ROW_AMOUNT,  /* atomic units */
    ROW_MAX_COST,
    ROW_USAGE,   /* the eleven meters, in the order of farebox_usage */
    ROW_UNITS_MICRO = ROW_USAGE + FAREBOX_METER_VALUE + 1,
    ROW_DURABILITY,
    ROW_EXPIRES_IN_MS,
    ROW_OVER_CAPTURE,
    ROW_HOLD,
    ROW_AT,
    ROW_SIZE
};

typedef struct job job;

/* A function of the addon. In JS it has two names, NAME and NAMESync, and takes (engine, numbers, texts, out). */
typedef struct verb {
    const char *name;
    enum { ENGINE_NEEDED, ENGINE_ALLOWED, ENGINE_NONE } engine;
    size_t numbers;                       /* how many there are at least */
    bool (*prepare)(job *job);            /* on the JS thread: reads arguments; false after job_fail */
    void (*run)(job *job);                /* on any thread: sets `status` */
    napi_value (*finish)(job *job);       /* on the JS thread, where `status` is OK; NULL gives undefined */
    void (*release)(job *job);            /* frees what prepare and run have allocated; may be NULL */
    bool secret;                          /* texts are wiped */
} verb;

typedef struct block {
    struct block *next;
    size_t size;
    char bytes[];
} block;

struct job {
    const verb *verb;
    napi_env env;
    engine *engine; /* retained, or NULL */
    farebox_status status;

    /* Arguments, only while `prepare` runs. */
    const int64_t *numbers;
    size_t number_count;
    napi_value texts, other; /* `other` is the fifth argument: a clock, or a function */
    uint32_t text_next, text_count;

    union {
        farebox_charge_args charge;
        farebox_reserve_args reserve;
        farebox_capture_args capture;
        farebox_increase_args increase;
        farebox_price_args price;
        farebox_webhook_args webhook;
        farebox_options options;
        struct {
            farebox_str first, second;
        } texts;
        struct {
            uint64_t hold;
            uint64_t milliseconds;
        } extend;
        farebox_tool_args tool;
        farebox_meter_args meter;
        farebox_begin_args begin;
        struct {
            farebox_tally tally;
            farebox_str usage;
        } record;
        struct {
            farebox_metered_call call;
            farebox_finish_args args;
            farebox_tally recorded;
        } finish;
        struct {
            invocation call;
            struct function *function;
            int out; /* the argument that is written, or -1 */
        } invoke;
    } in;
    union {
        farebox_receipt receipt;
        farebox_metered_call metered;
        farebox_balance_result balance;
        farebox_tick_result tick;
        farebox_quote quote;
        farebox_text text;
        struct {
            farebox_text output;
            farebox_receipt receipt;
        } tool;
        struct {
            farebox_value result;
            farebox_receipt receipt;
        } invoke;
    } out;
    size_t count; /* of the items of a batch, lines of a quote or secrets of a webhook */
    void *items;  /* arguments of a batch, lines, or secrets */
    farebox_receipt *receipts;
    farebox_error **refusals; /* of the items that were asked again, NULL where there is none */

    napi_ref target; /* the view that takes the result */
    napi_ref kept;   /* another object that lives as long as the job */
    napi_value target_now;
    napi_async_work work;
    napi_deferred deferred;

    block *blocks;
    size_t arena_used;
    farebox_error error; /* written by the library on failure, and never cleared as a whole: it is large */
    char arena[ARENA_BYTES];
};

/* Registers the two functions of each verb in `exports`. */
bool verbs_export(napi_env env, napi_value exports, const verb *verbs, size_t count);

/* The library's handle of the job's engine, or NULL. */
farebox_engine *job_handle(const job *job);

/* Notes why a job cannot be done; gives false. */
bool job_fail(job *job, farebox_status status, const char *field, const char *message);

/* Notes that the library has no such function, if it has none; false then. */
bool job_has(job *job, bool present);

/* Makes room for bytes that live as long as the job; NULL where there is no memory. */
char *job_bytes(job *job, size_t size);

/* Takes the next of the texts: UTF-8 of a string, or the bytes of a Uint8Array where `bytes`; false after job_fail. */
bool job_text(job *job, const char *field, bool bytes, farebox_str *out);

/* Reads one of the numbers as an unsigned one of 32 bits; false after job_fail. */
bool job_uint32(job *job, int64_t number, const char *field, uint32_t *out);

/* Copies a result into the view that the caller gave, at an offset; false where it has no room. */
bool job_store(job *job, size_t offset, const void *bytes, size_t size);

/* Gives the bytes that the caller's view has room for. */
size_t job_room(job *job);

/* Makes the JS object that describes a failure. */
napi_value failure_value(napi_env env, farebox_status status, const farebox_error *error);

#endif /* JOB_H */

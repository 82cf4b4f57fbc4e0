/* Metered C functions: a library's function behind a pointer that charges for each call, and calls of it. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "job.h"
#include "library.h"

enum { PARAMETERS_MAX = 16 };

/* A metered function as a JS object, which gives it back when it is collected. */
typedef struct function {
    void *metered;
    char *signature;
    size_t signature_size;
} function;

static const napi_type_tag function_tag = {0x4be0a1c7d53f9e62, 0x8f3d7720c1a94e5b};

static void function_finalize(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    function *function = data;
    if (function->metered != NULL) {
        lib.unmeter(function->metered, NULL);
    }
    free(function->signature);
    free(function);
}

static function *function_of(napi_env env, napi_value value)
{
    napi_valuetype type;
    bool tagged = false;
    void *found = NULL;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object
        || napi_check_object_type_tag(env, value, &function_tag, &tagged) != napi_ok || !tagged
        || napi_unwrap(env, value, &found) != napi_ok) {
        return NULL;
    }
    return found;
}

/* ---- meter ---- */

/* Finds a function of a library, which then stays loaded: what is metered must live as long as the metered pointer. */
static bool find(job *job, const farebox_str *library, const farebox_str *symbol, void **out)
{
    char *path = job_bytes(job, library->len + 1), *name = job_bytes(job, symbol->len + 1);
    if (path == NULL || name == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the names.");
    }
    memcpy(path, library->ptr, library->len);
    path[library->len] = '\0';
    memcpy(name, symbol->ptr, symbol->len);
    name[symbol->len] = '\0';
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "library", dlerror());
    }
    *out = dlsym(handle, name);
    if (*out == NULL) {
        dlclose(handle);
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "symbol", "The library has no such symbol.");
    }
    return true;
}

static bool prepare_meter(job *job)
{
    enum { LIBRARY, SYMBOL, SIGNATURE, TOOL, USAGE, FAILURE, TEXTS };
    static const char *const names[TEXTS] = {"library", "symbol", "signature", "name", "usage", "failure"};
    farebox_str texts[TEXTS] = {{NULL, 0}};
    farebox_meter_args *args = &job->in.meter;
    uint32_t durability;
    *args = (farebox_meter_args)FAREBOX_METER_ARGS_INIT;
    if (!job_has(job, lib.meter != NULL && lib.unmeter != NULL)
        || !job_uint32(job, job->numbers[ROW_FLAGS], "flags", &args->flags)
        || !job_uint32(job, job->numbers[ROW_DURABILITY], "durability", &durability)) {
        return false;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if ((job->numbers[ROW_TEXTS] >> i & 1) != 0 && !job_text(job, names[i], false, &texts[i])) {
            return false;
        }
    }
    args->durability = (farebox_durability)durability;
    args->max_cost = job->numbers[ROW_MAX_COST];
    args->signature = texts[SIGNATURE];
    args->tool = texts[TOOL];
    args->usage = texts[USAGE];
    args->failure = texts[FAILURE];
    return find(job, &texts[LIBRARY], &texts[SYMBOL], &args->function);
}

static void run_meter(job *job)
{
    function *made = calloc(1, sizeof *made);
    job->items = made;
    if (made == NULL || (made->signature = malloc(job->in.meter.signature.len + 1)) == NULL) {
        job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the function.");
        return;
    }
    made->signature_size = job->in.meter.signature.len;
    if (made->signature_size > 0) {
        memcpy(made->signature, job->in.meter.signature.ptr, made->signature_size);
    }
    job->status = lib.meter(job_handle(job), &job->in.meter, &made->metered, &job->error);
}

static napi_value finish_meter(job *job)
{
    napi_value object;
    if (napi_create_object(job->env, &object) != napi_ok
        || napi_type_tag_object(job->env, object, &function_tag) != napi_ok
        || napi_wrap(job->env, object, job->items, function_finalize, NULL, NULL) != napi_ok) {
        job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the function.");
        return NULL;
    }
    job->items = NULL;
    return object;
}

static void release_meter(job *job)
{
    if (job->items != NULL) {
        function_finalize(job->env, job->items, NULL);
    }
}

/* ---- invoke ---- */

/* Numbers of an argument. */
enum { ARGUMENT_KIND, ARGUMENT_INTEGER, ARGUMENT_DOUBLE, ARGUMENT_SIZE };

/* Numbers before the arguments: how many there are, and the ordinal of the call. */
enum { INVOKE_HEAD = 2 };

/* Kinds of arguments. */
enum { KIND_NUMBER, KIND_STRING, KIND_BYTES, KIND_OUT };

enum { OUT_MAX = 1 << 30 };

static bool read_string(job *job, farebox_value *value)
{
    farebox_str text;
    if (!job_text(job, "arguments", false, &text)) {
        return false;
    }
    char *copy = job_bytes(job, text.len + 1);
    if (copy == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "arguments", "There is no memory for the string.");
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    value->bytes = (farebox_str){copy, text.len};
    return true;
}

static bool read_argument(job *job, int index, const int64_t *numbers, farebox_value *value)
{
    *value = (farebox_value){.integer = numbers[ARGUMENT_INTEGER]};
    memcpy(&value->number, &numbers[ARGUMENT_DOUBLE], sizeof value->number);
    switch (numbers[ARGUMENT_KIND]) {
    case KIND_STRING:
        return read_string(job, value);
    case KIND_BYTES:
        return job_text(job, "arguments", true, &value->bytes);
    case KIND_OUT: {
        if (value->integer < 0 || value->integer > OUT_MAX) {
            return job_fail(job, FAREBOX_INVALID_ARGUMENT, "arguments", "A capacity is 0 to 1 GiB.");
        }
        /* The function may write less than its library says: nothing of this process's memory is given out. */
        char *room = job_bytes(job, (size_t)value->integer + 1);
        if (room == NULL) {
            return job_fail(job, FAREBOX_NO_MEMORY, "arguments", "There is no memory for the output.");
        }
        memset(room, 0, (size_t)value->integer + 1);
        value->bytes = (farebox_str){room, (size_t)value->integer};
        job->in.invoke.out = index;
        return true;
    }
    default:
        return true;
    }
}

static bool prepare_invoke(job *job)
{
    farebox_value *values;
    job->out.invoke.receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    if (!job_has(job, lib.invoke != NULL && lib.metered != NULL && lib.set_payer_resolver != NULL)) {
        return false;
    }
    job->in.invoke.function = function_of(job->env, job->other);
    if (job->in.invoke.function == NULL) {
        return job_fail(job, FAREBOX_HANDLE, "", "The function is not one that was metered.");
    }
    /* The object must not be collected, and so give the function back, while it is called. */
    if (napi_create_reference(job->env, job->other, 1, &job->kept) != napi_ok) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the call.");
    }
    const int64_t count = job->numbers[0];
    if (count < 0 || count > PARAMETERS_MAX || job->number_count < INVOKE_HEAD + (size_t)count * ARGUMENT_SIZE) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "arguments", "A function has at most 16 parameters.");
    }
    job->count = (size_t)count;
    job->in.invoke.out = -1;
    job->items = values = calloc(job->count + 1, sizeof *values);
    if (values == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the call.");
    }
    invocation *call = &job->in.invoke.call;
    *call = (invocation){.engine = job_handle(job)};
    if (!job_uint32(job, job->numbers[1], "ordinal", &call->ordinal) || !job_text(job, "payer", false, &call->payer)
        || !job_text(job, "run", false, &call->run) || !job_text(job, "call", false, &call->call)
        || !job_text(job, "parent", false, &call->parent)) {
        return false;
    }
    for (size_t i = 0; i < job->count; i++) {
        if (!read_argument(job, (int)i, job->numbers + INVOKE_HEAD + i * ARGUMENT_SIZE, &values[i])) {
            return false;
        }
    }
    return true;
}

static void run_invoke(job *job)
{
    function *function = job->in.invoke.function;
    const farebox_str signature = {function->signature, function->signature_size};
    payers_enter(&job->in.invoke.call);
    job->status = lib.invoke(function->metered, signature, job->items, job->count, &job->out.invoke.result,
                             &job->error);
    payers_leave(&job->in.invoke.call);
    if (job->status == FAREBOX_OK) {
        job->status = lib.metered(&job->out.invoke.receipt, &job->error);
    }
}

/* Gives {integer, number, text, output}: which of them counts follows from the signature. */
static napi_value finish_invoke(job *job)
{
    const farebox_value *result = &job->out.invoke.result;
    napi_env env = job->env;
    napi_value object, value;
    if (!job_store(job, 0, &job->out.invoke.receipt, sizeof job->out.invoke.receipt)) {
        return NULL;
    }
    bool done = napi_create_object(env, &object) == napi_ok
                && napi_create_bigint_int64(env, result->integer, &value) == napi_ok
                && napi_set_named_property(env, object, "integer", value) == napi_ok
                && napi_create_double(env, result->number, &value) == napi_ok
                && napi_set_named_property(env, object, "number", value) == napi_ok;
    if (done && result->bytes.ptr != NULL) {
        done = napi_create_string_utf8(env, result->bytes.ptr, result->bytes.len, &value) == napi_ok
               && napi_set_named_property(env, object, "text", value) == napi_ok;
    }
    if (done && job->in.invoke.out >= 0) {
        const farebox_value *out = &((const farebox_value *)job->items)[job->in.invoke.out];
        const size_t room = (size_t)out->integer, size = out->bytes.len < room ? out->bytes.len : room;
        done = napi_create_buffer_copy(env, size, out->bytes.ptr, NULL, &value) == napi_ok
               && napi_set_named_property(env, object, "output", value) == napi_ok;
    }
    if (!done) {
        job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the result.");
        return NULL;
    }
    return object;
}

static void release_invoke(job *job)
{
    free(job->items);
}

static const verb verbs[] = {
    {"meter", ENGINE_NEEDED, ROW_SIZE, prepare_meter, run_meter, finish_meter, release_meter, false},
    {"invoke", ENGINE_NEEDED, INVOKE_HEAD, prepare_invoke, run_invoke, finish_invoke, release_invoke, false},
};

bool functions_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

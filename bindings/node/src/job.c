#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

bool job_fail(job *job, farebox_status status, const char *field, const char *message)
{
    job->status = status;
    job->error.status = status;
    job->error.retryable = 0;
    job->error.details[0] = '\0';
    job->error.refusal = 0;
    job->error.user_message[0] = '\0';
    snprintf(job->error.field, sizeof job->error.field, "%s", field);
    snprintf(job->error.message, sizeof job->error.message, "%s", message);
    return false;
}

farebox_engine *job_handle(const job *job)
{
    return job->engine == NULL ? NULL : job->engine->handle;
}

bool job_has(job *job, bool present)
{
    return present || job_fail(job, FAREBOX_UNSUPPORTED, "", "This build of the library does not have this function.");
}

bool job_uint32(job *job, int64_t number, const char *field, uint32_t *out)
{
    if (number < 0 || number > UINT32_MAX) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, field, "The number does not fit into 32 bits.");
    }
    *out = (uint32_t)number;
    return true;
}

/* ---- Results ---- */

static bool target_bytes(job *job, char **bytes, size_t *size)
{
    napi_typedarray_type type;
    size_t length = 0;
    void *data = NULL;
    if (job->target_now == NULL
        || napi_get_typedarray_info(job->env, job->target_now, &type, &length, &data, NULL, NULL) != napi_ok
        || type != napi_bigint64_array || data == NULL) {
        return false;
    }
    *bytes = data;
    *size = length * sizeof(int64_t);
    return true;
}

size_t job_room(job *job)
{
    char *bytes;
    size_t size = 0;
    return target_bytes(job, &bytes, &size) ? size : 0;
}

bool job_store(job *job, size_t offset, const void *bytes, size_t size)
{
    char *target;
    size_t room = 0;
    if (!target_bytes(job, &target, &room) || offset > room || size > room - offset) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "out", "The result's BigInt64Array has no room for it.");
    }
    memcpy(target + offset, bytes, size);
    return true;
}

static bool set_text(napi_env env, napi_value object, const char *name, const char *text)
{
    napi_value value;
    return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok
           && napi_set_named_property(env, object, name, value) == napi_ok;
}

napi_value failure_value(napi_env env, farebox_status status, const farebox_error *error)
{
    napi_value object, value;
    const bool told = error != NULL && error->status == status; /* else the call had nothing to add */
    if (napi_create_object(env, &object) != napi_ok || napi_create_int32(env, status, &value) != napi_ok
        || napi_set_named_property(env, object, "number", value) != napi_ok
        || !set_text(env, object, "message", told ? error->message : "")
        || !set_text(env, object, "field", told ? error->field : "")
        || !set_text(env, object, "details", told ? error->details : "")
        || napi_get_boolean(env, told && error->retryable != 0, &value) != napi_ok
        || napi_set_named_property(env, object, "retryable", value) != napi_ok
        || !set_text(env, object, "userMessage", told ? error->user_message : "")
        || napi_get_boolean(env, told && error->refusal != 0, &value) != napi_ok
        || napi_set_named_property(env, object, "refusal", value) != napi_ok
        || napi_get_boolean(env, told, &value) != napi_ok
        || napi_set_named_property(env, object, "told", value) != napi_ok) {
        return NULL;
    }
    return object;
}

/* ---- Running ---- */

static void job_begin(job *job, napi_env env, const verb *verb)
{
    memset(job, 0, offsetof(struct job, error));
    job->env = env;
    job->verb = verb;
    job->error.struct_size = sizeof job->error;
    job->error.status = FAREBOX_OK;
}

static void job_end(job *job)
{
    if (job->verb->release != NULL) {
        job->verb->release(job);
    }
    if (job->verb->secret) {
        explicit_bzero(job->arena, sizeof job->arena);
    }
    for (block *each = job->blocks; each != NULL;) {
        block *next = each->next;
        if (job->verb->secret) {
            explicit_bzero(each->bytes, each->size);
        }
        free(each);
        each = next;
    }
    if (job->target != NULL) {
        napi_delete_reference(job->env, job->target);
    }
    if (job->kept != NULL) {
        napi_delete_reference(job->env, job->kept);
    }
    if (job->engine != NULL) {
        engine_release(job->env, job->engine);
    }
}

static bool read_engine(job *job, napi_value value)
{
    napi_valuetype type;
    if (job->verb->engine == ENGINE_NONE
        || (job->verb->engine == ENGINE_ALLOWED && napi_typeof(job->env, value, &type) == napi_ok
            && (type == napi_null || type == napi_undefined))) {
        return true;
    }
    job->engine = engine_of(job->env, value);
    if (job->engine == NULL) {
        return job_fail(job, FAREBOX_HANDLE, "", "The handle is not an engine's.");
    }
    engine_retain(job->engine);
    return true;
}

/* Reads (engine, numbers, texts, out), and lets the verb read what is in them. */
static bool job_prepare(job *job, napi_callback_info info)
{
    size_t count = 5;
    napi_value arguments[5];
    napi_typedarray_type type;
    size_t length = 0;
    void *data = NULL;
    bool is_array = false;
    if (!library_ready() || napi_get_cb_info(job->env, info, &count, arguments, NULL, NULL) != napi_ok) {
        return job_fail(job, FAREBOX_UNSUPPORTED, "", "The library is not loaded.");
    }
    if (!read_engine(job, arguments[0])) {
        return false;
    }
    if (napi_get_typedarray_info(job->env, arguments[1], &type, &length, &data, NULL, NULL) != napi_ok
        || type != napi_bigint64_array || length < job->verb->numbers || data == NULL) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "numbers", "The numbers are a BigInt64Array.");
    }
    if (napi_is_array(job->env, arguments[2], &is_array) != napi_ok || !is_array
        || napi_get_array_length(job->env, arguments[2], &job->text_count) != napi_ok) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, "texts", "The texts are an array.");
    }
    /* A copy: reading the texts may run code of the caller's, which may change or detach the array. */
    int64_t few[NUMBERS_FEW];
    int64_t *numbers = length <= NUMBERS_FEW ? few : malloc(length * sizeof *numbers);
    if (numbers == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the request.");
    }
    memcpy(numbers, data, length * sizeof *numbers);
    job->numbers = numbers;
    job->number_count = length;
    job->texts = arguments[2];
    job->target_now = arguments[3];
    job->other = arguments[4];
    const bool prepared = job->verb->prepare == NULL || job->verb->prepare(job);
    job->numbers = NULL;
    if (numbers != few) {
        free(numbers);
    }
    return prepared;
}

/* A clock in JS can be asked on the environment's own thread alone. */
static void run_here(job *job)
{
    if (job->engine != NULL && job->engine->clock != NULL) {
        napi_env outer = job->engine->calling;
        job->engine->calling = job->env;
        job->verb->run(job);
        job->engine->calling = outer;
    } else {
        job->verb->run(job);
    }
}

static napi_value job_answer(job *job)
{
    napi_value value = NULL;
    if (job->status == FAREBOX_OK && job->verb->finish != NULL) {
        value = job->verb->finish(job);
    }
    if (job->status != FAREBOX_OK) {
        value = failure_value(job->env, job->status, &job->error);
    }
    return value;
}

static napi_value call_sync(napi_env env, napi_callback_info info)
{
    void *verb = NULL;
    if (napi_get_cb_info(env, info, NULL, NULL, NULL, &verb) != napi_ok) {
        return NULL;
    }
    job job;
    job_begin(&job, env, verb);
    if (job_prepare(&job, info)) {
        run_here(&job);
    }
    napi_value value = job_answer(&job);
    job_end(&job);
    return value;
}

static void execute(napi_env env, void *data)
{
    (void)env;
    job *job = data;
    job->verb->run(job);
}

static void resolve(job *job)
{
    napi_value value = NULL;
    if (job->target != NULL) {
        napi_get_reference_value(job->env, job->target, &job->target_now);
    }
    value = job_answer(job);
    if (value == NULL) {
        napi_get_undefined(job->env, &value);
    }
    napi_resolve_deferred(job->env, job->deferred, value);
}

static void complete(napi_env env, napi_status status, void *data)
{
    job *job = data;
    if (status != napi_ok && job->status == FAREBOX_OK) {
        job_fail(job, FAREBOX_CLOSED, "", "The environment ended before the call.");
    }
    resolve(job);
    napi_delete_async_work(env, job->work);
    job_end(job);
    free(job);
}

/* Queues a job that is prepared; false where it cannot be. */
static bool queue(job *job)
{
    napi_value name;
    if (job->target_now != NULL) {
        napi_valuetype type;
        if (napi_typeof(job->env, job->target_now, &type) == napi_ok && type == napi_object
            && napi_create_reference(job->env, job->target_now, 1, &job->target) != napi_ok) {
            return false;
        }
    }
    if (napi_create_string_utf8(job->env, job->verb->name, NAPI_AUTO_LENGTH, &name) != napi_ok
        || napi_create_async_work(job->env, NULL, name, execute, complete, job, &job->work) != napi_ok) {
        return false;
    }
    if (napi_queue_async_work(job->env, job->work) != napi_ok) {
        napi_delete_async_work(job->env, job->work);
        return false;
    }
    return true;
}

static napi_value call_async(napi_env env, napi_callback_info info)
{
    void *verb = NULL;
    napi_value promise;
    job *job = malloc(sizeof *job);
    if (job == NULL || napi_get_cb_info(env, info, NULL, NULL, NULL, &verb) != napi_ok
        || (job_begin(job, env, verb), napi_create_promise(env, &job->deferred, &promise) != napi_ok)) {
        free(job);
        napi_throw_error(env, NULL, "There is no memory for the call.");
        return NULL;
    }
    const bool prepared = job_prepare(job, info);
    const bool here = job->engine != NULL && job->engine->clock != NULL;
    if (prepared && !here) {
        if (queue(job)) {
            return promise;
        }
        job_fail(job, FAREBOX_NO_MEMORY, "", "The call cannot be queued.");
    } else if (prepared) {
        run_here(job);
    }
    resolve(job);
    job_end(job);
    free(job);
    return promise;
}

static bool export_function(napi_env env, napi_value exports, const char *name, napi_callback call, const verb *verb)
{
    napi_value function;
    return napi_create_function(env, name, NAPI_AUTO_LENGTH, call, (void *)(uintptr_t)verb, &function) == napi_ok
           && napi_set_named_property(env, exports, name, function) == napi_ok;
}

bool verbs_export(napi_env env, napi_value exports, const verb *verbs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%sSync", verbs[i].name);
        if (!export_function(env, exports, verbs[i].name, call_async, &verbs[i])
            || !export_function(env, exports, name, call_sync, &verbs[i])) {
            return false;
        }
    }
    return true;
}

#include "engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "library.h"

/* Marks the objects that are engines, so that no other addon's object is taken for one. */
static const napi_type_tag engine_tag = {0x9d1f6a3ce2b84f07, 0xb6604c5e0f7d4a21};

/* Every engine of the process, for the ends of an environment and of the process. */
static engine *engines;
static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t at_exit_once = PTHREAD_ONCE_INIT;

static void close_handle(engine *engine)
{
    if (!engine->closed && engine->handle != NULL) {
        engine->closed = true;
        lib.close(engine->handle, NULL);
    }
}

/* Closes the engines of an environment, or all where it is NULL. */
static void close_all(void *env)
{
    pthread_mutex_lock(&engines_lock);
    for (engine *each = engines; each != NULL; each = each->next) {
        if (env == NULL || each->env == env) {
            each->calling = NULL;
            close_handle(each);
        }
    }
    pthread_mutex_unlock(&engines_lock);
}

static void close_at_exit(void)
{
    close_all(NULL);
}

/* process.exit ends the process without the ends of environments. */
static void register_at_exit(void)
{
    atexit(close_at_exit);
}

bool engines_close_at_end(napi_env env)
{
    return pthread_once(&at_exit_once, register_at_exit) == 0
           && napi_add_env_cleanup_hook(env, close_all, env) == napi_ok;
}

engine *engine_make(napi_env env, napi_value clock)
{
    engine *made = calloc(1, sizeof *made);
    if (made == NULL || (clock != NULL && napi_create_reference(env, clock, 1, &made->clock) != napi_ok)) {
        free(made);
        return NULL;
    }
    made->references = 1;
    made->env = env;
    pthread_mutex_lock(&engines_lock);
    made->next = engines;
    if (made->next != NULL) {
        made->next->previous = made;
    }
    engines = made;
    pthread_mutex_unlock(&engines_lock);
    return made;
}

void engine_retain(engine *engine)
{
    engine->references++;
}

void engine_release(napi_env env, engine *engine)
{
    if (--engine->references > 0) {
        return;
    }
    engine->calling = NULL;
    close_handle(engine);
    if (engine->clock != NULL) {
        napi_delete_reference(env, engine->clock);
    }
    pthread_mutex_lock(&engines_lock);
    if (engine->next != NULL) {
        engine->next->previous = engine->previous;
    }
    if (engine->previous != NULL) {
        engine->previous->next = engine->next;
    } else {
        engines = engine->next;
    }
    pthread_mutex_unlock(&engines_lock);
    free(engine);
}

static void engine_finalize(napi_env env, void *data, void *hint)
{
    (void)hint;
    engine_release(env, data);
}

napi_value engine_wrap(napi_env env, engine *engine)
{
    napi_value object;
    if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, &engine_tag) != napi_ok
        || napi_wrap(env, object, engine, engine_finalize, NULL, NULL) != napi_ok) {
        engine_release(env, engine);
        return NULL;
    }
    return object;
}

engine *engine_of(napi_env env, napi_value value)
{
    napi_valuetype type;
    bool tagged = false;
    void *found = NULL;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object
        || napi_check_object_type_tag(env, value, &engine_tag, &tagged) != napi_ok || !tagged
        || napi_unwrap(env, value, &found) != napi_ok) {
        return NULL;
    }
    return found;
}

/* Asks the JS clock; what it throws stays with it, for nothing may unwind through the library. */
static bool ask(napi_env env, napi_ref clock, int64_t *time)
{
    napi_value function, receiver, result;
    bool lossless = false;
    const bool given = napi_get_reference_value(env, clock, &function) == napi_ok && function != NULL
                       && napi_get_undefined(env, &receiver) == napi_ok
                       && napi_call_function(env, receiver, function, 0, NULL, &result) == napi_ok
                       && napi_get_value_bigint_int64(env, result, time, &lossless) == napi_ok && lossless;
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
        napi_get_and_clear_last_exception(env, &result);
    }
    return given;
}

int64_t engine_clock(void *context)
{
    engine *engine = context;
    napi_handle_scope scope;
    int64_t time = 0;
    if (engine->calling != NULL && napi_open_handle_scope(engine->calling, &scope) == napi_ok) {
        if (ask(engine->calling, engine->clock, &time)) {
            engine->last_time = time;
        }
        napi_close_handle_scope(engine->calling, scope);
    }
    if (engine->last_time == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    }
    return engine->last_time;
}

/* Engines as JS objects. */
#ifndef ENGINE_H
#define ENGINE_H

#include <node_api.h>
#include <stdbool.h>

#include "farebox.h"

typedef struct engine engine;

/* An open ledger. All but the list is touched on the thread of its environment alone, and at the process's exit. */
struct engine {
    farebox_engine *handle;
    napi_env env;
    engine *previous, *next;
    size_t references; /* the JS object, and each job */
    bool closed;
    napi_ref clock;    /* a JS function that gives microseconds as a BigInt, or NULL */
    napi_env calling;  /* the environment of the call that runs on its thread now, where the clock can be asked */
    int64_t last_time; /* what the clock gave last */
};

/* Has the engines of an environment closed at its end, and at the end of the process. */
bool engines_close_at_end(napi_env env);

/* Makes an engine without a handle. `clock` is a function, or NULL. Gives NULL where there is no memory. */
engine *engine_make(napi_env env, napi_value clock);

/* Wraps an engine in a JS object that closes it when it is collected; takes over the caller's reference. */
napi_value engine_wrap(napi_env env, engine *engine);

/* Finds the engine of a JS object, or gives NULL. */
engine *engine_of(napi_env env, napi_value value);

void engine_retain(engine *engine);

/* The last release closes the engine. */
void engine_release(napi_env env, engine *engine);

/* The clock that the library calls; `context` is the engine. */
int64_t engine_clock(void *context);

#endif /* ENGINE_H */

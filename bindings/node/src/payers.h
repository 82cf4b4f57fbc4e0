/* Who pays for metered C functions: what an invocation was told, else what JavaScript's own context says. */
#ifndef PAYERS_H
#define PAYERS_H

#include <node_api.h>
#include <stdbool.h>

#include "farebox.h"

/* A call of a metered function that JavaScript has made, on the thread that makes it. */
typedef struct invocation {
    struct invocation *outer;
    farebox_engine *engine;
    farebox_str payer, run, call, parent;
    uint32_t ordinal;
    uint32_t asked; /* how often its own payer was asked for */
} invocation;

/* From enter to leave, the invocation's payer is that of the thread: also of functions that it calls back. */
void payers_enter(invocation *now);
void payers_leave(invocation *now);

/* JS: setPayerAsker(fn) says who is asked on this thread where no invocation runs: fn(tool, arguments) gives
 * [engine, payer, run, call, parent, ordinal], or null for nobody. */
bool payers_export(napi_env env, napi_value exports);

#endif /* PAYERS_H */

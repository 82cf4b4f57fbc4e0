/* The functions of libfarebox.so, found at run time. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <node_api.h>
#include <stdbool.h>

#include "farebox.h"

/* Every function of the header that the addon calls, by its name without the prefix. */
#define LIBRARY_FUNCTIONS(X)                                                                                           \
    X(version_number)                                                                                                  \
    X(text_free)                                                                                                       \
    X(open)                                                                                                            \
    X(close)                                                                                                           \
    X(tick)                                                                                                            \
    X(price_tool)                                                                                                      \
    X(charge)                                                                                                          \
    X(charge_many)                                                                                                     \
    X(reserve)                                                                                                         \
    X(increase)                                                                                                        \
    X(capture)                                                                                                         \
    X(release)                                                                                                         \
    X(extend)                                                                                                          \
    X(begin)                                                                                                           \
    X(record)                                                                                                          \
    X(finish)                                                                                                          \
    X(balance)                                                                                                         \
    X(verify_webhook)                                                                                                  \
    X(escape_account)                                                                                                  \
    X(unescape_account)                                                                                                \
    X(call)                                                                                                            \
    X(describe)

/* Those that a build of the library may lack; their pointers are NULL then. */
#define LIBRARY_OPTIONAL(X)                                                                                            \
    X(set_plugin_policy)                                                                                               \
    X(call_tool)                                                                                                       \
    X(meter)                                                                                                           \
    X(unmeter)                                                                                                         \
    X(set_payer_resolver)                                                                                              \
    X(metered)                                                                                                         \
    X(invoke)

typedef struct library {
#define LIBRARY_FIELD(name) __typeof__(farebox_##name) *name;
    LIBRARY_FUNCTIONS(LIBRARY_FIELD)
    LIBRARY_OPTIONAL(LIBRARY_FIELD)
#undef LIBRARY_FIELD
} library;

/* The library of this process. Its functions may be called once library_ready gives true. */
extern library lib;

bool library_ready(void);

/* JS: load(path) opens the library and gives {path, version}. The first path that loads is the process's; a later one
 * gives the same library. Throws an Error that says why not. */
napi_value library_load(napi_env env, napi_callback_info info);

#endif /* LIBRARY_H */

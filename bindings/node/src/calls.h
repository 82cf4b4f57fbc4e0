/* The functions of the typed door and the JSON door. */
#ifndef CALLS_H
#define CALLS_H

#include <node_api.h>
#include <stdbool.h>

bool calls_export(napi_env env, napi_value exports);

#endif /* CALLS_H */

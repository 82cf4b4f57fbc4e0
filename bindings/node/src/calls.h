/* What the files of functions export. */
#ifndef CALLS_H
#define CALLS_H

#include <node_api.h>
#include <stdbool.h>

/* The typed door and the JSON door. */
bool calls_export(napi_env env, napi_value exports);

/* The plugin host. */
bool plugins_export(napi_env env, napi_value exports);

/* Metered C functions. */
bool functions_export(napi_env env, napi_value exports);

#endif /* CALLS_H */

/* What the files of functions export. */
#ifndef CALLS_H
#define CALLS_H

#include <node_api.h>
#include <stdbool.h>

/* Opening, quotes, balances, ticks and the JSON door. */
bool calls_export(napi_env env, napi_value exports);

/* Charges and holds. */
bool charges_export(napi_env env, napi_value exports);

/* Metered calls. */
bool metered_export(napi_env env, napi_value exports);

/* Webhooks. */
bool webhooks_export(napi_env env, napi_value exports);

/* The plugin host. */
bool plugins_export(napi_env env, napi_value exports);

/* Metered C functions. */
bool functions_export(napi_env env, napi_value exports);

#endif /* CALLS_H */

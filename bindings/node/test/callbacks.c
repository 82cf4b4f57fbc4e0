/* What the tests of payers need of C: functions that call a metered function back, called through Farebox or by an addon
 * that knows nothing of it. */
#include <node_api.h>
#include <stdint.h>

typedef int32_t (*callback)(int32_t);
static callback target;

__attribute__((visibility("default"))) int32_t negate(int32_t number)
{
    return -number;
}

/* Calls the target twice; give its address first. */
__attribute__((visibility("default"))) int32_t call_back(int32_t number)
{
    return target(number) + target(number);
}

/* set(handle): takes the metered pointer out of the handle of a metered function, where it is the first member. */
static napi_value set(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value handle;
    void *function = NULL;
    if (napi_get_cb_info(env, info, &count, &handle, NULL, NULL) == napi_ok
        && napi_unwrap(env, handle, &function) == napi_ok) {
        target = (callback)(uintptr_t)*(void **)function;
    }
    return NULL;
}

/* call(number): what an addon of somebody else's does on JavaScript's thread. */
static napi_value call(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value value;
    int32_t number = 0;
    if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok
        || napi_get_value_int32(env, value, &number) != napi_ok
        || napi_create_int32(env, call_back(number), &value) != napi_ok) {
        return NULL;
    }
    return value;
}

NAPI_MODULE_INIT()
{
    napi_value function;
    if (napi_create_function(env, "set", NAPI_AUTO_LENGTH, set, NULL, &function) != napi_ok
        || napi_set_named_property(env, exports, "set", function) != napi_ok
        || napi_create_function(env, "call", NAPI_AUTO_LENGTH, call, NULL, &function) != napi_ok
        || napi_set_named_property(env, exports, "call", function) != napi_ok) {
        return NULL;
    }
    return exports;
}

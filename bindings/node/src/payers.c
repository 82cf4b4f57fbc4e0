#include "payers.h"

#include <stdlib.h>

#include "engine.h"
#include "library.h"

enum { ANSWER_ENGINE, ANSWER_TEXTS, ANSWER_ORDINAL = ANSWER_TEXTS + 4 };

static _Thread_local invocation *invoked;

/* What asks JavaScript on this thread, and the texts of its last answer. */
static _Thread_local struct {
    napi_env env;
    napi_ref function;
    char *texts[4];
} asker;

void payers_enter(invocation *now)
{
    now->outer = invoked;
    invoked = now;
}

void payers_leave(invocation *now)
{
    invoked = now->outer;
}

/* The first two questions are about the invoked function itself. What it calls back has the same payer and run; without
 * a call id each of those calls is one of its own. */
static int answer_invoked(invocation *now, farebox_payer *payer)
{
    payer->engine = now->engine;
    payer->payer = now->payer;
    payer->run = now->run;
    const bool again = payer->arguments.len > 0;
    if (again ? now->asked == 1 : now->asked == 0) {
        payer->call = now->call;
        payer->parent = now->parent;
        payer->ordinal = again ? now->ordinal : 0;
        now->asked++;
    }
    return 0;
}

/* Keeps an element's text until the next answer on this thread; absent where it is none. */
static farebox_str kept_text(napi_env env, napi_value answer, uint32_t place)
{
    const farebox_str absent = {NULL, 0};
    napi_value value;
    size_t size = 0;
    if (napi_get_element(env, answer, ANSWER_TEXTS + place, &value) != napi_ok
        || napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) {
        return absent;
    }
    char *text = realloc(asker.texts[place], size + 1);
    if (text == NULL) {
        return absent;
    }
    asker.texts[place] = text;
    if (napi_get_value_string_utf8(env, value, text, size + 1, &size) != napi_ok) {
        return absent;
    }
    return (farebox_str){text, size};
}

static void read_answer(napi_env env, napi_value answer, farebox_payer *payer)
{
    napi_value value;
    bool is_array = false;
    if (napi_is_array(env, answer, &is_array) != napi_ok || !is_array
        || napi_get_element(env, answer, ANSWER_ENGINE, &value) != napi_ok) {
        return;
    }
    const engine *found = engine_of(env, value);
    if (found == NULL || found->handle == NULL) {
        return;
    }
    payer->engine = found->handle;
    payer->payer = kept_text(env, answer, 0);
    payer->run = kept_text(env, answer, 1);
    payer->call = kept_text(env, answer, 2);
    payer->parent = kept_text(env, answer, 3);
    if (napi_get_element(env, answer, ANSWER_ORDINAL, &value) == napi_ok) {
        napi_get_value_uint32(env, value, &payer->ordinal);
    }
}

/* C that JavaScript has called, on JavaScript's own thread, calls a metered function back. Whatever goes wrong, nobody
 * pays, and so the call fails. */
static void ask(farebox_payer *payer)
{
    napi_env env = asker.env;
    napi_handle_scope scope;
    napi_value receiver, function, texts[2], answer;
    bool is_pending = true;
    if (napi_is_exception_pending(env, &is_pending) != napi_ok || is_pending
        || napi_open_handle_scope(env, &scope) != napi_ok) {
        return;
    }
    if (napi_get_undefined(env, &receiver) == napi_ok
        && napi_get_reference_value(env, asker.function, &function) == napi_ok && function != NULL
        && napi_create_string_utf8(env, payer->tool.ptr, payer->tool.len, &texts[0]) == napi_ok
        && napi_create_string_utf8(env, payer->arguments.len > 0 ? payer->arguments.ptr : "", payer->arguments.len,
                                   &texts[1])
               == napi_ok
        && napi_call_function(env, receiver, function, 2, texts, &answer) == napi_ok) {
        read_answer(env, answer, payer);
    }
    if (napi_is_exception_pending(env, &is_pending) == napi_ok && is_pending) {
        napi_get_and_clear_last_exception(env, &answer);
    }
    napi_close_handle_scope(env, scope);
}

static int resolve(void *context, farebox_payer *payer)
{
    (void)context;
    if (invoked != NULL) {
        return answer_invoked(invoked, payer);
    }
    if (asker.env == NULL) {
        return 1;
    }
    ask(payer);
    return 0;
}

static void forget_asker(void *env)
{
    if (asker.env != env) {
        return;
    }
    napi_delete_reference(asker.env, asker.function);
    asker.env = NULL;
    for (size_t i = 0; i < sizeof asker.texts / sizeof asker.texts[0]; i++) {
        free(asker.texts[i]);
        asker.texts[i] = NULL;
    }
}

static napi_value set_asker(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value function;
    napi_valuetype type;
    if (asker.env == NULL && library_ready() && lib.set_payer_resolver != NULL
        && napi_get_cb_info(env, info, &count, &function, NULL, NULL) == napi_ok
        && napi_typeof(env, function, &type) == napi_ok && type == napi_function
        && napi_create_reference(env, function, 1, &asker.function) == napi_ok) {
        if (napi_add_env_cleanup_hook(env, forget_asker, env) == napi_ok) {
            asker.env = env;
            lib.set_payer_resolver(resolve, NULL, NULL);
        } else {
            napi_delete_reference(env, asker.function);
        }
    }
    return NULL;
}

bool payers_export(napi_env env, napi_value exports)
{
    napi_value function;
    return napi_create_function(env, "setPayerAsker", NAPI_AUTO_LENGTH, set_asker, NULL, &function) == napi_ok
           && napi_set_named_property(env, exports, "setPayerAsker", function) == napi_ok;
}

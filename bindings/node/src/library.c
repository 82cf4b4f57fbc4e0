#include "library.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

library lib;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char loaded_path[PATH_MAX];
static uint32_t loaded_version;
static atomic_bool ready;

bool library_ready(void)
{
    return atomic_load_explicit(&ready, memory_order_acquire);
}

/* Finds one function; its pointer is NULL where there is none. */
static bool find(void *handle, const char *name, void *field)
{
    void *address = dlsym(handle, name);
    memcpy(field, &address, sizeof address);
    return address != NULL;
}

static bool open_library(const char *path, char *problem, size_t size)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(problem, size, "%s", dlerror());
        return false;
    }
    snprintf(loaded_path, sizeof loaded_path, "%s", path);
    library found;
    const char *missing = NULL;
#define LIBRARY_FIND(name) missing = find(handle, "farebox_" #name, &found.name) ? missing : "farebox_" #name;
    LIBRARY_FUNCTIONS(LIBRARY_FIND)
#undef LIBRARY_FIND
#define LIBRARY_FIND(name) find(handle, "farebox_" #name, &found.name);
    LIBRARY_OPTIONAL(LIBRARY_FIND)
#undef LIBRARY_FIND
    if (missing != NULL) {
        snprintf(problem, size, "%s has no %s", path, missing);
    } else {
        const uint32_t version = found.version_number();
        if (version / 10000 == FAREBOX_VERSION_MAJOR && version >= FAREBOX_VERSION_NUMBER) {
            lib = found;
            loaded_version = version;
            atomic_store_explicit(&ready, true, memory_order_release);
            return true;
        }
        snprintf(problem, size,
                 "%s is version %u of Farebox; this package needs %d or a later one of the same major version", path,
                 version, FAREBOX_VERSION_NUMBER);
    }
    loaded_path[0] = '\0';
    dlclose(handle);
    return false;
}

napi_value library_load(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument = NULL;
    char path[PATH_MAX];
    size_t length = 0;
    if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1
        || napi_get_value_string_utf8(env, argument, path, sizeof path, &length) != napi_ok) {
        napi_throw_type_error(env, NULL, "load takes the path of the library");
        return NULL;
    }
    char problem[PATH_MAX + 512] = "";
    pthread_mutex_lock(&lock);
    const bool loaded = library_ready() || open_library(path, problem, sizeof problem);
    pthread_mutex_unlock(&lock);
    if (!loaded) {
        napi_throw_error(env, "ERR_FAREBOX_LIBRARY", problem);
        return NULL;
    }
    napi_value result, value;
    if (napi_create_object(env, &result) != napi_ok
        || napi_create_string_utf8(env, loaded_path, NAPI_AUTO_LENGTH, &value) != napi_ok
        || napi_set_named_property(env, result, "path", value) != napi_ok
        || napi_create_uint32(env, loaded_version, &value) != napi_ok
        || napi_set_named_property(env, result, "version", value) != napi_ok) {
        return NULL;
    }
    return result;
}

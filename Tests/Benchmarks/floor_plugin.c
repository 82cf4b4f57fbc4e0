/* The floor of plugin calls: the plugin's function through libffi, with a call and a sink that are laid out once.
 *
 *   floor_plugin --plugin FILE [--rounds N]
 *
 * `direct_ns` is ffi_call of the function `call` of the plugin, whose one tool writes its input into the sink. */
#include "bench.h"

#include <dlfcn.h>
#include <farebox_plugin.h>
#include <ffi.h>

static char written[64];
static size_t count;

static farebox_plugin_answer take(const farebox_plugin_sink *sink, const void *bytes, size_t len)
{
    (void)sink;
    if (len > sizeof written - count) {
        return FAREBOX_ANSWER_FULL;
    }
    memcpy(written + count, bytes, len);
    count += len;
    return FAREBOX_ANSWER_OK;
}

int main(int argc, char **argv)
{
    int64_t rounds = 10000000;
    const char *path = NULL;
    BENCH_OPTIONS(argc, argv, 1, {"--rounds", &rounds, NULL}, {"--plugin", NULL, &path});
    void *library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library == NULL ? NULL : dlsym(library, "farebox_plugin_entry");
    if (symbol == NULL) {
        bench_die("no plugin at %s", path == NULL ? "--plugin" : path);
    }
    const farebox_plugin *(*entry)(void) = NULL;
    memcpy((void *)&entry, &symbol, sizeof symbol);
    const farebox_plugin *plugin = entry();

    const char input[] = "{\"text\":\"abc\"}";
    const farebox_plugin_sink sink = {sizeof sink, 0, NULL, take};
    farebox_plugin_call call = {.struct_size = sizeof call, .output = &sink, .error = &sink};
    call.tool = plugin->tools[0];
    call.input = (farebox_plugin_str){input, sizeof input - 1};

    ffi_cif interface;
    ffi_type *types[] = {&ffi_type_pointer, &ffi_type_pointer};
    if (ffi_prep_cif(&interface, FFI_DEFAULT_ABI, 2, &ffi_type_sint32, types) != FFI_OK) {
        bench_die("ffi_prep_cif failed");
    }
    void *instance = NULL;
    const farebox_plugin_call *given = &call;
    void *arguments[] = {&instance, &given};
    ffi_arg result = 0;
    const uint64_t start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        count = 0;
        ffi_call(&interface, FFI_FN(plugin->call), &result, arguments);
        if ((farebox_plugin_answer)result != FAREBOX_ANSWER_OK || count != sizeof input - 1) {
            bench_die("a call failed");
        }
    }
    bench_print("direct_ns", (double)(bench_now_ns() - start) / (double)rounds);
    return 0;
}

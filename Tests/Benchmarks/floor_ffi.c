/* The floor of calls through signatures: libffi alone.
 *
 *   floor_ffi [--rounds N]
 *
 * `closure_ns` is a call of a closure whose handler does nothing, `call_ns` a call of an empty function by ffi_call with
 * its arguments laid out, and `mixed_ns` the same of a function with a range of bytes, an integer and a double. */
#include "bench.h"

#include <ffi.h>

__attribute__((noinline)) static void nothing(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) static int32_t mixed(const void *bytes, uint64_t length, int32_t level, double rate)
{
    __asm__ volatile("" ::"r"(bytes), "x"(rate));
    return (int32_t)length + level;
}

static void handler(ffi_cif *cif, void *result, void **arguments, void *context)
{
    (void)cif, (void)result, (void)arguments;
    __asm__ volatile("" ::"r"(context));
}

static void prepare(ffi_cif *cif, unsigned count, ffi_type *result, ffi_type **types)
{
    if (ffi_prep_cif(cif, FFI_DEFAULT_ABI, count, result, types) != FFI_OK) {
        bench_die("ffi_prep_cif failed");
    }
}

int main(int argc, char **argv)
{
    int64_t rounds = 20000000;
    BENCH_OPTIONS(argc, argv, 1, {"--rounds", &rounds, NULL});

    ffi_cif plain, rich;
    ffi_type *types[] = {&ffi_type_pointer, &ffi_type_uint64, &ffi_type_sint32, &ffi_type_double};
    prepare(&plain, 0, &ffi_type_void, NULL);
    prepare(&rich, 4, &ffi_type_sint32, types);

    void *code = NULL;
    ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
    if (closure == NULL || ffi_prep_closure_loc(closure, &plain, handler, NULL, code) != FFI_OK) {
        bench_die("no closure");
    }
    void (*volatile call)(void) = NULL;
    memcpy((void *)&call, &code, sizeof code);

    uint64_t start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        call();
    }
    bench_print("closure_ns", (double)(bench_now_ns() - start) / (double)rounds);

    start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        ffi_call(&plain, FFI_FN(nothing), NULL, NULL);
    }
    bench_print("call_ns", (double)(bench_now_ns() - start) / (double)rounds);

    const char text[] = "abc";
    const void *bytes = text;
    uint64_t length = 3;
    int32_t level = 6;
    double rate = 0.5;
    void *arguments[] = {&bytes, &length, &level, &rate};
    ffi_arg result = 0;
    start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        ffi_call(&rich, FFI_FN(mixed), &result, arguments);
    }
    bench_print("mixed_ns", (double)(bench_now_ns() - start) / (double)rounds);
    if ((int32_t)result != 9) {
        bench_die("ffi_call gave %d", (int)result);
    }
    ffi_closure_free(closure);
    return 0;
}

/* C functions through Farebox, doing what floor_ffi does with libffi alone.
 *
 *   farebox_plugins functions [--rounds N] [--pairs N]
 *
 * `check_ns` is a call of an empty function that was metered with FAREBOX_METERED_CHECK_ONLY, `thread_ns` the same with
 * the payer of the thread, `units_ns` with a price by byte, `charged_us` with a reservation and a capture in memory, and
 * `invoke_ns` and `mixed_ns` calls by farebox_invoke. */
#include "bench.h"
#include "farebox.h"

static farebox_str str(const char *text)
{
    return (farebox_str){text, strlen(text)};
}

static void check(const char *what, farebox_status status, const farebox_error *error)
{
    if (status != FAREBOX_OK) {
        bench_die("%s: %s %s at %s", what, farebox_status_name(status), error->message, error->field);
    }
}

static void perform(farebox_engine *engine, const char *operation, const char *input)
{
    farebox_text out = {NULL, 0};
    farebox_error error = FAREBOX_ERROR_INIT;
    check(operation, farebox_call(engine, str(operation), str(input), &out, &error), &error);
    farebox_text_free(&out);
}

__attribute__((noinline)) static void nothing(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) static int32_t mixed(const void *bytes, uint64_t length, int32_t level, double rate)
{
    __asm__ volatile("" ::"r"(bytes), "x"(rate));
    return (int32_t)length + level;
}

/* A pointer to a function as the address that the interface takes. */
#define ADDRESS(function) ((void *)(uintptr_t)(function))

static void *metered(farebox_engine *engine, farebox_meter_args args)
{
    void *out = NULL;
    farebox_error error = FAREBOX_ERROR_INIT;
    check("meter", farebox_meter(engine, &args, &out, &error), &error);
    return out;
}

static double plain_ns(void *function, int64_t rounds)
{
    void (*volatile call)(void) = (void (*)(void))(uintptr_t)function;
    call();
    const uint64_t start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        call();
    }
    const double taken = (double)(bench_now_ns() - start) / (double)rounds;
    farebox_error error = FAREBOX_ERROR_INIT;
    check("a metered call", farebox_metered(NULL, &error), &error);
    return taken;
}

static void run_metered(farebox_engine *engine, int64_t rounds, int64_t pairs)
{
    farebox_meter_args args = FAREBOX_METER_ARGS_INIT;
    args.flags = FAREBOX_METERED_CHECK_ONLY;
    args.function = ADDRESS(nothing);
    args.signature = FAREBOX_STR("void()");
    args.tool = FAREBOX_STR("flat");
    args.payer = FAREBOX_STR("user:ana");
    args.max_cost = 1000000000;
    bench_print("check_ns", plain_ns(metered(engine, args), rounds));

    farebox_error error = FAREBOX_ERROR_INIT;
    args.payer = (farebox_str){NULL, 0};
    check("pay", farebox_pay(FAREBOX_STR("user:ana"), FAREBOX_STR("run-1"), &error), &error);
    bench_print("thread_ns", plain_ns(metered(engine, args), rounds));

    args.flags = 0;
    bench_print("charged_us", plain_ns(metered(engine, args), pairs) / 1000);

    args.flags = FAREBOX_METERED_CHECK_ONLY;
    args.function = ADDRESS(mixed);
    args.signature = FAREBOX_STR("i32(bytes:u64 source, i32 level, double rate)");
    args.tool = FAREBOX_STR("by_byte");
    args.usage = FAREBOX_STR("bytes:source");
    int32_t (*volatile call)(const void *, uint64_t, int32_t, double) =
        (int32_t(*)(const void *, uint64_t, int32_t, double))(uintptr_t)metered(engine, args);
    const uint64_t start = bench_now_ns();
    for (int64_t k = 0; k < rounds / 10; k++) {
        if (call("abc", 3, 6, 0.5) != 9) {
            bench_die("a metered call gave another result");
        }
    }
    bench_print("units_ns", (double)(bench_now_ns() - start) / (double)(rounds / 10));
}

static double invoke_ns(void *function, farebox_str signature, farebox_value *arguments, size_t count, int64_t rounds)
{
    farebox_value result;
    farebox_error error = FAREBOX_ERROR_INIT;
    const uint64_t start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        const farebox_status status = farebox_invoke(function, signature, arguments, count, &result, &error);
        if (status != FAREBOX_OK) {
            check("invoke", status, &error);
        }
    }
    return (double)(bench_now_ns() - start) / (double)rounds;
}

static void run_functions(int64_t rounds, int64_t pairs)
{
    farebox_engine *engine = NULL;
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.durability = FAREBOX_DURABILITY_RELAXED;
    options.flags = FAREBOX_OPEN_EXCLUSIVE;
    farebox_error error = FAREBOX_ERROR_INIT;
    check("open", farebox_open(&engine, FAREBOX_STR("memory:"), &options, &error), &error);
    perform(engine, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"100000\",\"asset\":\"USD\"}");
    perform(engine, "skill.register",
            "{\"manifest\":{\"id\":\"tools\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"revenue_share\":\"0.70\","
            "\"tools\":[{\"name\":\"flat\",\"pricing\":{\"cost\":\"0.0001\"}},"
            "{\"name\":\"by_byte\",\"pricing\":{\"cost\":\"0.000001\",\"per\":\"unit\"}}]}}");
    run_metered(engine, rounds, pairs);
    bench_print("invoke_ns", invoke_ns(ADDRESS(nothing), FAREBOX_STR("void()"), NULL, 0, rounds));
    farebox_value arguments[3] = {{.bytes = {"abc", 3}}, {.integer = 6}, {.number = 0.5}};
    const farebox_str signature = FAREBOX_STR("i32(bytes:u64 source, i32 level, double rate)");
    bench_print("mixed_ns", invoke_ns(ADDRESS(mixed), signature, arguments, 3, rounds));
    check("close", farebox_close(engine, &error), &error);
}

int main(int argc, char **argv)
{
    int64_t rounds = 20000000, pairs = 200000;
    BENCH_OPTIONS(argc, argv, 2, {"--rounds", &rounds, NULL}, {"--pairs", &pairs, NULL});
    if (argc > 1 && strcmp(argv[1], "functions") == 0) {
        run_functions(rounds, pairs);
        return 0;
    }
    bench_die("usage: farebox_plugins functions [options]; see farebox_plugins.c");
}

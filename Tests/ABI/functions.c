/* C functions: metering one and calling one by its signature, with real functions of the system, and with whatever a
 * host can do wrong.
 *
 *   functions [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own. FAREBOX_SEED chooses the garbage, FAREBOX_LONG makes more of it. */
#include "sections.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

static const int64_t USD = INT64_C(1000000000);

static farebox_engine *open_memory(void)
{
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), NULL, NULL));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\",\"asset\":\"USD\"}"));
    MUST(json_call(engine, NULL, "skill.register",
                   "{\"manifest\":{\"id\":\"tools\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"revenue_share\":\"0.70\","
                   "\"tools\":[{\"name\":\"flat\",\"pricing\":{\"cost\":\"0.02\"}},"
                   "{\"name\":\"byte\",\"pricing\":{\"cost\":\"0.000001\",\"per\":\"unit\"}}]}}"));
    return engine;
}

static void close_sound(farebox_engine *engine)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
    EQUAL(0, json_first(out, "open_holds"));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

static int64_t balance_of(farebox_engine *engine, const char *account)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, str(account), str("USD"), &balance, NULL));
    EQUAL(0, balance.held);
    return balance.balance;
}

/* Functions and addresses. */
#define ADDRESS(function) ((void *)(uintptr_t)(function))
#define FUNCTION(type, address) ((type)(uintptr_t)(address))

typedef int32_t (*negate_function)(int32_t);
static atomic_int calls;

static int32_t negate(int32_t number)
{
    atomic_fetch_add(&calls, 1);
    return -number;
}

static void nothing(void) {}

static farebox_meter_args a_meter(void)
{
    farebox_meter_args args = FAREBOX_METER_ARGS_INIT;
    args.function = ADDRESS(negate);
    args.signature = FAREBOX_STR("i32(i32 number)");
    args.tool = FAREBOX_STR("flat");
    args.payer = FAREBOX_STR("user:ana");
    args.refused_integer = -77;
    return args;
}

static void *metered(farebox_engine *engine, const farebox_meter_args *args)
{
    void *out = NULL;
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_meter(engine, args, &out, &error);
    if (status != FAREBOX_OK) {
        fprintf(stderr, "meter: %s at %s\n", error.message, error.field);
    }
    MUST(status);
    return out;
}

/* The last call on this thread was charged this much. */
static void charged(int64_t amount)
{
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_metered(&receipt, NULL));
    EQUAL(amount, receipt.amount);
    CHECK(receipt.id > 0 && receipt.hold > 0 && (receipt.flags & FAREBOX_RECEIPT_FINAL) != 0);
    CHECK(strcmp(receipt.asset, "USD") == 0);
}

/* The last call on this thread was done, or refused with a status, and charged nothing. */
static void uncharged(farebox_status expected)
{
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    receipt.amount = 12345;
    farebox_error error = FAREBOX_ERROR_INIT;
    EXPECT(expected, farebox_metered(&receipt, &error));
    if (expected == FAREBOX_OK) {
        EQUAL(0, receipt.amount);
        EQUAL(0, receipt.id);
    } else {
        EQUAL(12345, receipt.amount);
        EQUAL(expected, error.status);
        CHECK(error.message[0] != '\0');
    }
    EXPECT(expected, farebox_metered(NULL, NULL));
}

/* ---- Real functions ---- */

static void *symbol(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_NOW);
    void *found = handle == NULL ? NULL : dlsym(handle, name);
    if (found == NULL) {
        fprintf(stderr, "%s: %s\n", name, dlerror());
        MUST(FAREBOX_INTERNAL);
    }
    return found;
}

/* zlib priced by byte: what goes in, and what comes out. */
static void zlib(void)
{
    farebox_engine *engine = open_memory();
    static const char text[] = "to be or not to be, to be or not to be, to be or not to be, that is the question";
    const uint64_t length = sizeof text - 1;
    farebox_meter_args args = a_meter();
    args.function = symbol("libz.so.1", "crc32");
    args.signature = FAREBOX_STR("u64(u64 crc, bytes:u32 source)");
    args.tool = FAREBOX_STR("byte");
    args.usage = FAREBOX_STR("bytes:source");
    uint64_t (*crc32)(uint64_t, const void *, uint32_t) = FUNCTION(uint64_t(*)(uint64_t, const void *, uint32_t),
                                                                    metered(engine, &args));
    EQUAL(0xcbf43926, crc32(0, "123456789", 9));
    charged(9 * 1000);

    args.function = symbol("libz.so.1", "compress2");
    args.signature = FAREBOX_STR("i32(out:u64* dest, bytes:u64 source, i32 level)");
    args.failure = FAREBOX_STR("nonzero");
    typedef int32_t (*compress_function)(void *, uint64_t *, const void *, uint64_t, int32_t);
    compress_function by_source = FUNCTION(compress_function, metered(engine, &args));
    args.usage = FAREBOX_STR("bytes:dest");
    compress_function by_dest = FUNCTION(compress_function, metered(engine, &args));
    unsigned char packed[256];
    uint64_t count = sizeof packed;
    EQUAL(0, by_source(packed, &count, text, length, 9));
    charged((int64_t)length * 1000);
    CHECK(count < length);
    const uint64_t written = count;
    count = sizeof packed;
    EQUAL(0, by_dest(packed, &count, text, length, 9));
    EQUAL(written, count);
    charged((int64_t)written * 1000);
    /* Z_BUF_ERROR costs nothing. */
    count = 5;
    EQUAL(-5, by_source(packed, &count, text, length, 9));
    uncharged(FAREBOX_OK);
    EQUAL(1000 * USD - (int64_t)(9 + length + written) * 1000, balance_of(engine, "user:ana"));

    /* And back, by signature alone. */
    char plain[sizeof text] = {0};
    farebox_value values[2] = {{.bytes = {plain, sizeof plain}}, {.bytes = {(const char *)packed, written}}};
    farebox_value result = {0};
    EXPECT(FAREBOX_OK, farebox_invoke(symbol("libz.so.1", "uncompress"), FAREBOX_STR("i32(out:u64*, bytes:u64)"), values, 2,
                                      &result, NULL));
    EQUAL(0, result.integer);
    EQUAL(length, values[0].bytes.len);
    CHECK(strcmp(plain, text) == 0);
    close_sound(engine);
}

static void libm(void)
{
    farebox_engine *engine = open_memory();
    farebox_meter_args args = a_meter();
    args.function = symbol("libm.so.6", "pow");
    args.signature = FAREBOX_STR("double(double base, double exponent)");
    args.refused_double = -1.5;
    double (*power)(double, double) = FUNCTION(double (*)(double, double), metered(engine, &args));
    CHECK(power(2, 10) == 1024);
    charged(USD / 50);
    EQUAL(1000 * USD - USD / 50, balance_of(engine, "user:ana"));
    EXPECT(FAREBOX_OK, json_call(engine, NULL, "tool.disable", "{\"tool\":\"flat\"}"));
    CHECK(power(2, 10) == -1.5);
    uncharged(FAREBOX_TOOL_DISABLED);
    farebox_value values[2] = {{.number = 2}, {.number = 0.5}};
    farebox_value result = {0};
    EXPECT(FAREBOX_OK, farebox_invoke(args.function, args.signature, values, 2, &result, NULL));
    CHECK(result.number > 1.41421356 && result.number < 1.41421357);
    const farebox_value string = {.bytes = FAREBOX_STR("four")};
    values[0] = string;
    EXPECT(FAREBOX_OK,
           farebox_invoke(symbol("libc.so.6", "strlen"), FAREBOX_STR("u64(string)"), values, 1, &result, NULL));
    EQUAL(4, result.integer);
    EXPECT(FAREBOX_OK, farebox_invoke(symbol("libc.so.6", "strerror"), FAREBOX_STR("string(i32)"),
                                      &(farebox_value){.integer = EINVAL}, 1, &result, NULL));
    CHECK(result.bytes.len == strlen("Invalid argument") && strcmp(result.bytes.ptr, "Invalid argument") == 0);
    close_sound(engine);
}

/* ---- Misuse ---- */

static void arguments(void)
{
    farebox_engine *engine = open_memory();
    farebox_meter_args args = a_meter();
    farebox_error error = FAREBOX_ERROR_INIT;
    void *out = &args;
    EXPECT(FAREBOX_HANDLE, farebox_meter(NULL, &args, &out, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_meter(engine, NULL, &out, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_meter(engine, &args, NULL, NULL));
    static const uint32_t sizes[] = {0, 1, 8, sizeof args - 1, sizeof args + 1, UINT32_MAX};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        args.struct_size = sizes[k];
        EXPECT(FAREBOX_STRUCT_SIZE, farebox_meter(engine, &args, &out, &error));
    }
    args = a_meter();
    for (int bit = 4; bit < 32; bit++) {
        args.flags = UINT32_C(1) << bit;
        EXPECT(FAREBOX_RESERVED, farebox_meter(engine, &args, &out, &error));
    }
    args = a_meter();
    for (size_t k = 0; k < sizeof args.reserved; k++) {
        args.reserved[k] = 1;
        EXPECT(FAREBOX_RESERVED, farebox_meter(engine, &args, &out, &error));
        args.reserved[k] = 0;
    }
#define REFUSED(expected, name, member, ...)                                                                           \
    args = a_meter();                                                                                                  \
    args.member = __VA_ARGS__;                                                                                         \
    EXPECT(expected, farebox_meter(engine, &args, &out, &error));                                                      \
    CHECK(strcmp(error.field, name) == 0)
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.function", function, NULL);
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.signature", signature, (farebox_str){NULL, 0});
    REFUSED(FAREBOX_TOO_LONG, "args.signature", signature, (farebox_str){"i32()", SIZE_MAX});
    REFUSED(FAREBOX_INVALID_UTF8, "args.signature", signature, (farebox_str){"i32(\xff)", 6});
    REFUSED(FAREBOX_MISSING_FIELD, "args.tool", tool, (farebox_str){NULL, 9});
    REFUSED(FAREBOX_TOOL_NOT_FOUND, "tool", tool, FAREBOX_STR("none"));
    REFUSED(FAREBOX_TOO_LONG, "args.payer", payer, (farebox_str){"user:ana", SIZE_MAX});
    REFUSED(FAREBOX_TOO_LONG, "args.usage", usage, (farebox_str){"value:0", SIZE_MAX});
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.usage", usage, FAREBOX_STR("value:"));
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.usage", usage, FAREBOX_STR("value:99999999999999999999"));
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.failure", failure, (farebox_str){"zero", SIZE_MAX});
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.refused_integer", refused_integer, INT64_MAX);
    REFUSED(FAREBOX_INVALID_AMOUNT, "args.max_cost", max_cost, INT64_MIN);
    REFUSED(FAREBOX_INVALID_ARGUMENT, "args.durability", durability, 4);
    CHECK(out == &args);

    char folder[256], url[300];
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    farebox_engine *file = NULL;
    MUST(farebox_open(&file, str(url), NULL, NULL));
    args = a_meter();
    args.durability = FAREBOX_DURABILITY_RELAXED;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_meter(file, &args, &out, &error));
    CHECK(strcmp(error.field, "args.durability") == 0);
    EXPECT(FAREBOX_OK, farebox_close(file, NULL));
    remove_folder(folder);

    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    receipt.struct_size = 1;
    EXPECT(FAREBOX_STRUCT_SIZE, farebox_metered(&receipt, &error));
    EQUAL(0, receipt.amount);
    EXPECT(FAREBOX_OK, farebox_metered(NULL, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_pay((farebox_str){"a", SIZE_MAX}, FAREBOX_STR(""), &error));
    static char long_run[65537];
    memset(long_run, 'r', sizeof long_run);
    EXPECT(FAREBOX_TOO_LONG, farebox_pay(FAREBOX_STR("user:ana"), (farebox_str){long_run, sizeof long_run}, &error));
    EXPECT(FAREBOX_OK, farebox_pay(FAREBOX_STR("user:ana"), (farebox_str){long_run, sizeof long_run - 1}, &error));
    EXPECT(FAREBOX_INVALID_UTF8, farebox_pay((farebox_str){"\xc3", 1}, FAREBOX_STR(""), NULL));
    EXPECT(FAREBOX_OK, farebox_pay((farebox_str){NULL, 5}, (farebox_str){NULL, SIZE_MAX}, &error));
    close_sound(engine);
}

static void pointers(void)
{
    farebox_engine *engine = open_memory();
    const farebox_meter_args args = a_meter();
    void *function = metered(engine, &args);
    char local[64] = {0};
    void *const foreign[] = {NULL, local, engine, ADDRESS(negate), (char *)function + 1, (char *)function - 16,
                             (void *)UINTPTR_MAX, (void *)1};
    for (size_t k = 0; k < sizeof foreign / sizeof foreign[0]; k++) {
        EXPECT(FAREBOX_HANDLE, farebox_unmeter(foreign[k], NULL));
    }
    EQUAL(-5, FUNCTION(negate_function, function)(5));
    charged(USD / 50);
    EXPECT(FAREBOX_OK, farebox_unmeter(function, NULL));
    EXPECT(FAREBOX_HANDLE, farebox_unmeter(function, NULL));
    EQUAL(-77, FUNCTION(negate_function, function)(5));
    uncharged(FAREBOX_CLOSED);
    close_sound(engine);
}

/* An engine that was closed, and the order in which both are given back. */
static void closed(void)
{
    farebox_engine *engine = open_memory();
    farebox_meter_args args = a_meter();
    void *charging = metered(engine, &args);
    args.flags = FAREBOX_METERED_CHECK_ONLY;
    void *checking = metered(engine, &args);
    EQUAL(-5, FUNCTION(negate_function, checking)(5));
    uncharged(FAREBOX_OK);
    close_sound(engine);
    const int before = calls;
    for (int round = 0; round < 2; round++) {
        EQUAL(-77, FUNCTION(negate_function, charging)(5));
        uncharged(FAREBOX_CLOSED);
        EQUAL(-77, FUNCTION(negate_function, checking)(5));
        uncharged(FAREBOX_CLOSED);
    }
    EQUAL(before, calls);
    void *out = NULL;
    EXPECT(FAREBOX_CLOSED, farebox_meter(engine, &args, &out, NULL));
    CHECK(out == NULL);
    EXPECT(FAREBOX_OK, farebox_unmeter(charging, NULL));
    EXPECT(FAREBOX_OK, farebox_unmeter(checking, NULL));
}

static void garbage(void)
{
    farebox_engine *engine = open_memory();
    static const char *const words[] = {"i8", "u64", "double", "string", "pointer", "bytes:u32", "out:u64*", "out:u32", "void",
                                        "(",  ")",   ",",      " ",      "*",       ":",         "name",     "\xc3",    "i32("};
    uint64_t state = seed_or(UINT64_C(0x5eed));
    const int rounds = is_long() ? 2000000 : 50000;
    int taken = 0;
    for (int round = 0; round < rounds; round++) {
        char text[256] = "";
        report->step = state;
        const uint64_t count = random_below(&state, 14);
        for (uint64_t k = 0; k < count; k++) {
            strcat(text, words[random_below(&state, sizeof words / sizeof words[0])]);
        }
        if (random_below(&state, 4) == 0 && text[0] != '\0') {
            text[random_below(&state, strlen(text))] = (char)random_next(&state);
        }
        farebox_meter_args args = a_meter();
        args.signature = str(text);
        args.refused_integer = 0;
        void *out = NULL;
        farebox_error error = FAREBOX_ERROR_INIT;
        const farebox_status status = farebox_meter(engine, &args, &out, &error);
        if (status == FAREBOX_OK) {
            taken++;
            MUST(farebox_unmeter(out, NULL));
        } else if (strcmp(error.field, "args.signature") != 0) {
            CHECK(strcmp(error.field, "args.signature") == 0);
        }
        farebox_invoke(ADDRESS(nothing), str(text), NULL, 0, NULL, NULL);
    }
    CHECK(taken > 0);
    close_sound(engine);
}

static void invoking(void)
{
    farebox_value values[20];
    memset(values, 0, sizeof values);
    farebox_value result = {.integer = 9};
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_str one = FAREBOX_STR("i32(i32)");
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(NULL, one, values, 1, &result, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(ADDRESS(negate), (farebox_str){NULL, 3}, values, 1, &result, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(ADDRESS(negate), one, NULL, 1, &result, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(ADDRESS(negate), one, values, 0, &result, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(ADDRESS(negate), one, values, 2, &result, &error));
    EXPECT(FAREBOX_TOO_LONG, farebox_invoke(ADDRESS(negate), one, values, 17, &result, &error));
    EXPECT(FAREBOX_TOO_LONG, farebox_invoke(ADDRESS(negate), one, values, SIZE_MAX, &result, &error));
    EXPECT(FAREBOX_TOO_LONG, farebox_invoke(ADDRESS(negate), (farebox_str){"i32(i32)", SIZE_MAX}, values, 1, &result, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(ADDRESS(negate), one, values, 1, NULL, &error));
    CHECK(strcmp(error.field, "result") == 0);
    values[0].integer = INT64_C(1) << 31;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_invoke(ADDRESS(negate), one, values, 1, &result, &error));
    CHECK(strcmp(error.field, "arguments[0].integer") == 0);
    EQUAL(9, result.integer);
    EQUAL(0, calls);
    values[0].integer = INT32_MAX;
    EXPECT(FAREBOX_OK, farebox_invoke(ADDRESS(negate), one, values, 1, &result, &error));
    EQUAL(-INT32_MAX, result.integer);
    EQUAL(1, calls);
}

/* ---- Many ---- */

enum { LIVE = 4096 };

static void many(void)
{
    farebox_engine *engine = open_memory();
    farebox_meter_args args = a_meter();
    args.flags = FAREBOX_METERED_CHECK_ONLY;
    static void *functions[LIVE];
    for (int round = 0; round < 2; round++) {
        for (int k = 0; k < LIVE; k++) {
            functions[k] = metered(engine, &args);
        }
        void *out = NULL;
        EXPECT(FAREBOX_TOO_LONG, farebox_meter(engine, &args, &out, NULL));
        CHECK(out == NULL);
        for (int k = 0; k < LIVE; k++) {
            if (FUNCTION(negate_function, functions[k])(k) != -k) {
                EQUAL(k, 0);
            }
        }
        /* One that is given back makes room, also for another shape. */
        MUST(farebox_unmeter(functions[7], NULL));
        args.signature = FAREBOX_STR("i32(i32, i8, u8)");
        functions[7] = metered(engine, &args);
        EXPECT(FAREBOX_TOO_LONG, farebox_meter(engine, &args, &out, NULL));
        args.signature = FAREBOX_STR("i32(i32)");
        for (int k = 0; k < LIVE; k++) {
            MUST(farebox_unmeter(functions[k], NULL));
        }
        for (int k = 0; k < LIVE; k++) {
            if (FUNCTION(negate_function, functions[k])(k) != -77) {
                EQUAL(k, 0);
            }
        }
        uncharged(FAREBOX_CLOSED);
    }
    close_sound(engine);
}

static farebox_engine *shared;
static _Atomic(void *) shared_function;
static atomic_int stopping, done_calls, refused_calls, charged_calls;

static void *calling(void *context)
{
    (void)context;
    while (!stopping) {
        void *function = shared_function;
        const int32_t result = FUNCTION(negate_function, function)(5);
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const farebox_status status = farebox_metered(&receipt, NULL);
        CHECK(result == (status == FAREBOX_OK ? -5 : -77));
        if (status != FAREBOX_OK && status != FAREBOX_CLOSED) {
            EXPECT(FAREBOX_CLOSED, status);
        }
        atomic_fetch_add(status == FAREBOX_OK ? &done_calls : &refused_calls, 1);
        if (receipt.amount > 0) {
            atomic_fetch_add(&charged_calls, 1);
        }
    }
    return NULL;
}

/* Functions are called by many threads while they are given back and their memory is used again. */
static void threads(void)
{
    enum { CALLERS = 6 };
    shared = open_memory();
    farebox_meter_args args = a_meter();
    shared_function = metered(shared, &args);
    pthread_t callers[CALLERS];
    for (int k = 0; k < CALLERS; k++) {
        MUST(pthread_create(&callers[k], NULL, calling, NULL) == 0 ? FAREBOX_OK : FAREBOX_INTERNAL);
    }
    const int rounds = is_long() ? 20000 : 1000;
    for (int round = 0; round < rounds; round++) {
        void *old = shared_function;
        EXPECT(FAREBOX_OK, farebox_unmeter(old, NULL));
        usleep(round % 7 == 0 ? 200 : 0);
        args.flags = round % 2 == 0 ? FAREBOX_METERED_CHECK_ONLY : 0;
        shared_function = metered(shared, &args);
    }
    stopping = 1;
    for (int k = 0; k < CALLERS; k++) {
        pthread_join(callers[k], NULL);
    }
    CHECK(done_calls > 0 && refused_calls > 0 && charged_calls > 0);
    EQUAL(done_calls, calls);
    EQUAL(1000 * USD - charged_calls * (USD / 50), balance_of(shared, "user:ana"));
    close_sound(shared);
}

/* Each thread has a payer and a last call of its own, and leaves nothing behind. */
static void *paying(void *context)
{
    const int number = (int)(intptr_t)context;
    char payer[32];
    snprintf(payer, sizeof payer, "user:payer%d", number);
    EXPECT(FAREBOX_OK, farebox_metered(NULL, NULL));
    EQUAL(-77, FUNCTION(negate_function, shared_function)(5));
    uncharged(FAREBOX_MISSING_FIELD);
    EXPECT(FAREBOX_OK, farebox_pay(str(payer), FAREBOX_STR("run-1"), NULL));
    for (int k = 0; k <= number; k++) {
        EQUAL(-5, FUNCTION(negate_function, shared_function)(5));
        charged(USD / 50);
    }
    EXPECT(FAREBOX_OK, farebox_pay((farebox_str){NULL, 0}, (farebox_str){NULL, 0}, NULL));
    EQUAL(-77, FUNCTION(negate_function, shared_function)(5));
    uncharged(FAREBOX_MISSING_FIELD);
    return NULL;
}

static void payers(void)
{
    enum { PAYERS = 8 };
    shared = open_memory();
    for (int k = 0; k < PAYERS; k++) {
        MUST(json_call(shared, NULL, "account.deposit", "{\"account\":\"user:payer%d\",\"amount\":\"1\",\"asset\":\"USD\"}", k));
    }
    farebox_meter_args args = a_meter();
    args.payer = (farebox_str){NULL, 0};
    shared_function = metered(shared, &args);
    pthread_t payers_[PAYERS];
    for (int k = 0; k < PAYERS; k++) {
        MUST(pthread_create(&payers_[k], NULL, paying, (void *)(intptr_t)k) == 0 ? FAREBOX_OK : FAREBOX_INTERNAL);
    }
    for (int k = 0; k < PAYERS; k++) {
        pthread_join(payers_[k], NULL);
        char payer[32];
        snprintf(payer, sizeof payer, "user:payer%d", k);
        EQUAL(USD - (k + 1) * (USD / 50), balance_of(shared, payer));
    }
    EXPECT(FAREBOX_OK, farebox_metered(NULL, NULL));
    close_sound(shared);
}

/* ---- Who pays in the caller's context ---- */

/* What a language's runtime has: one context at a time, whichever thread runs it. */
typedef struct context {
    farebox_engine *engine;
    const char *payer, *run, *call;
    uint32_t ordinal; /* of the next call */
    int asked, result;
    void *nested; /* a metered function that the resolver calls */
} context;

static int resolve(void *pointer, farebox_payer *payer)
{
    /* Only until this returns and the library has copied them. */
    static _Thread_local char texts[3][32];
    context *now = pointer;
    now->asked++;
    EQUAL(sizeof *payer, payer->struct_size);
    CHECK(payer->tool.len == 4 && memcmp(payer->tool.ptr, "flat", 4) == 0);
    CHECK(payer->payer.ptr == NULL && payer->engine == NULL && payer->ordinal == 0);
    if (now->nested != NULL) {
        EQUAL(-77, FUNCTION(negate_function, now->nested)(5));
        EXPECT(FAREBOX_REENTRANT, farebox_metered(NULL, NULL));
    }
    snprintf(texts[0], sizeof texts[0], "%s", now->payer);
    snprintf(texts[1], sizeof texts[1], "%s", now->run);
    snprintf(texts[2], sizeof texts[2], "%s", now->call);
    payer->engine = now->engine;
    payer->payer = str(texts[0]);
    payer->run = str(texts[1]);
    payer->call = str(texts[2]);
    if (payer->arguments.len > 0) {
        payer->ordinal = now->ordinal++;
    }
    return now->result;
}

static int broken(void *pointer, farebox_payer *payer)
{
    payer->payer = str("user:ana");
    switch (*(int *)pointer) {
    case 0: payer->payer = (farebox_str){"user:ana", SIZE_MAX}; break;
    case 1: payer->run = (farebox_str){"run", SIZE_MAX}; break;
    case 2: payer->run = FAREBOX_STR("\xff"); break;
    case 3: payer->reserved[7] = 1; break;
    case 4: payer->engine = (farebox_engine *)payer; break;
    default: payer->payer = (farebox_str){NULL, 7}; break;
    }
    return 0;
}

static void contexts(void)
{
    farebox_engine *engine = open_memory(), *other = open_memory();
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:bob\",\"amount\":\"1\",\"asset\":\"USD\"}"));
    farebox_meter_args args = a_meter();
    args.payer = (farebox_str){NULL, 0};
    void *function = metered(engine, &args);
    negate_function charging = FUNCTION(negate_function, function);
    args.flags = FAREBOX_METERED_CHECK_ONLY;
    negate_function checking = FUNCTION(negate_function, metered(engine, &args));
    EXPECT(FAREBOX_OK, farebox_pay(FAREBOX_STR("user:ana"), FAREBOX_STR("stale"), NULL));
    EQUAL(-5, checking(5));

    context now = {engine, "user:bob", "run-1", "", 0, 0, 0, NULL};
    EXPECT(FAREBOX_OK, farebox_set_payer_resolver(resolve, &now, NULL));
    const int64_t start = balance_of(engine, "user:ana");
    EQUAL(-5, charging(5));
    charged(USD / 50);
    EQUAL(-5, checking(5));
    EQUAL(2, now.asked);
    EQUAL(USD - USD / 50, balance_of(engine, "user:bob"));
    now.payer = "user:ana";
    EQUAL(-5, charging(5));
    EQUAL(start - USD / 50, balance_of(engine, "user:ana"));
    now.payer = "";
    EQUAL(-77, charging(5));
    uncharged(FAREBOX_MISSING_FIELD);
    EQUAL(-77, checking(5));
    uncharged(FAREBOX_MISSING_FIELD);
    now.payer = "user:bob";
    now.engine = other;
    EQUAL(-77, charging(5));
    uncharged(FAREBOX_MISSING_FIELD);
    now.engine = NULL;
    now.nested = function;
    EQUAL(-5, charging(5));
    now.nested = NULL;
    EQUAL(USD - 2 * (USD / 50), balance_of(engine, "user:bob"));

    /* A call that is tried again is charged once; two calls inside it are two. */
    now.call = "call-1";
    for (int round = 0; round < 3; round++) {
        now.ordinal = 0;
        EQUAL(-5, charging(5));
        EQUAL(-5, charging(5));
        EQUAL(USD - 4 * (USD / 50), balance_of(engine, "user:bob"));
    }

    /* A resolver that cannot tell leaves it to the thread. */
    now.result = 1;
    EQUAL(-5, charging(5));
    EQUAL(start - 2 * (USD / 50), balance_of(engine, "user:ana"));

    int how = 0;
    static const farebox_status answers[] = {FAREBOX_TOO_LONG,      FAREBOX_TOO_LONG,      FAREBOX_INVALID_UTF8,
                                             FAREBOX_RESERVED,      FAREBOX_MISSING_FIELD, FAREBOX_MISSING_FIELD};
    EXPECT(FAREBOX_OK, farebox_set_payer_resolver(broken, &how, NULL));
    for (; how < 6; how++) {
        EQUAL(-77, charging(5));
        uncharged(answers[how]);
    }
    EXPECT(FAREBOX_OK, farebox_set_payer_resolver(NULL, NULL, NULL));
    EQUAL(-5, charging(5));
    EQUAL(start - 3 * (USD / 50), balance_of(engine, "user:ana"));
    EXPECT(FAREBOX_OK, farebox_pay((farebox_str){NULL, 0}, (farebox_str){NULL, 0}, NULL));
    close_sound(engine);
    close_sound(other);
}

/* ---- Forks and callbacks ---- */

static void forks(void)
{
    farebox_engine *engine = open_memory();
    farebox_meter_args args = a_meter();
    void *charging = metered(engine, &args);
    args.flags = FAREBOX_METERED_CHECK_ONLY;
    void *checking = metered(engine, &args);
    EQUAL(-5, FUNCTION(negate_function, checking)(5));
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        checks_passed = checks_failed = 0;
        EQUAL(-77, FUNCTION(negate_function, checking)(5));
        uncharged(FAREBOX_FORKED);
        EQUAL(-77, FUNCTION(negate_function, charging)(5));
        uncharged(FAREBOX_FORKED);
        void *out = NULL;
        EXPECT(FAREBOX_FORKED, farebox_meter(engine, &args, &out, NULL));
        EXPECT(FAREBOX_OK, farebox_unmeter(charging, NULL));
        /* The child's own. */
        farebox_engine *own = open_memory();
        args.flags = 0;
        EQUAL(-6, FUNCTION(negate_function, metered(own, &args))(6));
        charged(USD / 50);
        close_sound(own);
        fflush(NULL);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EQUAL(0, status);
    EQUAL(-5, FUNCTION(negate_function, checking)(5));
    EQUAL(-5, FUNCTION(negate_function, charging)(5));
    charged(USD / 50);
    close_sound(engine);
}

static _Atomic(void *) clocked;
static atomic_int clock_result, clock_status;

static int64_t clock_that_calls(void *context)
{
    (void)context;
    void *function = clocked;
    if (function != NULL) {
        clock_result = FUNCTION(negate_function, function)(5);
        clock_status = farebox_metered(NULL, NULL);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void callbacks(void)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.clock = clock_that_calls;
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), &options, NULL));
    farebox_engine *other = open_memory();
    farebox_meter_args args = a_meter();
    for (int round = 0; round < 2; round++) {
        args.flags = round == 0 ? 0 : FAREBOX_METERED_CHECK_ONLY;
        void *function = metered(other, &args);
        EQUAL(-5, FUNCTION(negate_function, function)(5));
        clocked = function;
        EXPECT(FAREBOX_OK, farebox_tick(engine, NULL, NULL));
        clocked = NULL;
        EQUAL(-77, clock_result);
        EQUAL(FAREBOX_REENTRANT, clock_status);
        EQUAL(-5, FUNCTION(negate_function, function)(5));
        EXPECT(FAREBOX_OK, farebox_metered(NULL, NULL));
    }
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    close_sound(other);
}

int main(int count, char **values)
{
    static const section sections[] = {
        {"zlib", zlib},       {"libm", libm},   {"arguments", arguments}, {"pointers", pointers},
        {"closed", closed},   {"many", many},   {"garbage", garbage},     {"invoking", invoking},
        {"threads", threads}, {"forks", forks}, {"callbacks", callbacks}, {"payers", payers},
        {"contexts", contexts},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, values, is_long() ? 6000 : 600);
}

/* Host survival: whatever a host does wrong has a status of its own, and the host lives.
 *
 *   misuse [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own, so that one that crashes or hangs is counted and the others still run.
 * FAREBOX_SEED chooses the fuzzer's run, FAREBOX_LONG makes it a hundred times as long. */
#include "sections.h"

#include <limits.h>
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
                   "{\"name\":\"tokens\",\"pricing\":{\"cost\":\"0.000002\",\"per\":\"token\"}}]}}"));
    return engine;
}

/* The ledger still works and nothing has happened to it. */
static void still_sound(farebox_engine *engine)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
}

static farebox_charge_args a_charge(void)
{
    farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.amount = 1;
    return args;
}

static farebox_reserve_args a_reserve(void)
{
    farebox_reserve_args args = FAREBOX_RESERVE_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.amount = 1;
    return args;
}

static uint64_t a_hold(farebox_engine *engine)
{
    const farebox_reserve_args args = a_reserve();
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    MUST(farebox_reserve(engine, &args, &receipt, NULL));
    return receipt.hold;
}

/* ---- Handles ---- */

/* Every function that takes an engine answers `expected`, with and without an error to fill. */
static void every_function(farebox_engine *engine, farebox_status expected)
{
    const farebox_charge_args charge = a_charge();
    const farebox_reserve_args reserve = a_reserve();
    farebox_increase_args increase = FAREBOX_INCREASE_ARGS_INIT;
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    price.tool = FAREBOX_STR("flat");
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    farebox_tick_result tick = FAREBOX_TICK_RESULT_INIT;
    farebox_text text = {NULL, 0};
    farebox_error storage = FAREBOX_ERROR_INIT;
    for (int round = 0; round < 2; round++) {
        farebox_error *error = round == 0 ? &storage : NULL;
        EXPECT(expected, farebox_tick(engine, &tick, error));
        EXPECT(expected, farebox_price_tool(engine, &price, &quote, error));
        EXPECT(expected, farebox_charge(engine, &charge, &receipt, error));
        EXPECT(expected, farebox_charge_many(engine, &charge, 1, &receipt, error));
        EXPECT(expected, farebox_reserve(engine, &reserve, &receipt, error));
        EXPECT(expected, farebox_increase(engine, &increase, &receipt, error));
        EXPECT(expected, farebox_capture(engine, &capture, &receipt, error));
        EXPECT(expected, farebox_release(engine, 1, &receipt, error));
        EXPECT(expected, farebox_extend(engine, 1, 1, &receipt, error));
        EXPECT(expected, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, error));
        EXPECT(expected, farebox_call(engine, FAREBOX_STR("ledger.info"), FAREBOX_STR("{}"), &text, error));
        CHECK(text.ptr == NULL);
    }
    EQUAL(expected, storage.status);
    CHECK(storage.message[0] != '\0');
}

/* A webhook that is signed rightly, for the replay guard of an engine. */
static farebox_status guarded_webhook(farebox_engine *engine)
{
    const farebox_str secrets[] = {FAREBOX_STR("secret")};
    farebox_webhook_args args = FAREBOX_WEBHOOK_ARGS_INIT;
    args.scheme = FAREBOX_WEBHOOK_ROBUTLER;
    args.body = FAREBOX_STR("{\"event\":\"payment.succeeded\"}");
    args.signature = FAREBOX_STR("7f9ff6a40c74b7d90906be5e23c87826483e8b60c698ebdcc721554646b3f500");
    args.id = FAREBOX_STR("evt_1");
    args.secrets = secrets;
    args.secret_count = 1;
    return farebox_verify_webhook(engine, &args, NULL);
}

static void handles(void)
{
    uint64_t local[4] = {0};
    every_function(NULL, FAREBOX_HANDLE);
    EXPECT(FAREBOX_HANDLE, farebox_close(NULL, NULL));
    const uintptr_t foreign[] = {(uintptr_t)local, (uintptr_t)&foreign, 1, 5, 8, 13, 0x1234, UINTPTR_MAX, UINTPTR_MAX - 2,
                                 (uintptr_t)INTPTR_MAX};
    farebox_engine *engine = open_memory();
    for (size_t k = 0; k < sizeof foreign / sizeof foreign[0]; k++) {
        every_function((farebox_engine *)foreign[k], FAREBOX_HANDLE);
        EXPECT(FAREBOX_HANDLE, farebox_close((farebox_engine *)foreign[k], NULL));
        EXPECT(FAREBOX_HANDLE, guarded_webhook((farebox_engine *)foreign[k]));
    }
    EXPECT(FAREBOX_OK, guarded_webhook(engine));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    every_function(engine, FAREBOX_CLOSED);
    EXPECT(FAREBOX_CLOSED, farebox_close(engine, NULL));
    EXPECT(FAREBOX_CLOSED, farebox_close(engine, NULL));
    EXPECT(FAREBOX_CLOSED, guarded_webhook(engine));

    /* A new engine in the place of a closed one does not wake the old handle. */
    farebox_engine *next = open_memory();
    CHECK(next != engine);
    every_function(engine, FAREBOX_CLOSED);
    still_sound(next);
    EXPECT(FAREBOX_OK, farebox_close(next, NULL));
}

static void many_engines(void)
{
    enum { MOST = 1024 };
    static farebox_engine *engines[MOST + 1];
    for (int k = 0; k < MOST; k++) {
        MUST(farebox_open(&engines[k], FAREBOX_STR("memory:"), NULL, NULL));
    }
    EXPECT(FAREBOX_TOO_LONG, farebox_open(&engines[MOST], FAREBOX_STR("memory:"), NULL, NULL));
    CHECK(engines[MOST] == NULL);
    EXPECT(FAREBOX_OK, farebox_close(engines[500], NULL));
    EXPECT(FAREBOX_OK, farebox_open(&engines[MOST], FAREBOX_STR("memory:"), NULL, NULL));
    EXPECT(FAREBOX_CLOSED, farebox_close(engines[500], NULL));
    for (int k = 0; k <= MOST; k++) {
        if (k != 500) {
            EXPECT(FAREBOX_OK, farebox_close(engines[k], NULL));
        }
    }
}

/* ---- Structs ---- */

/* Calls with a struct of a wrong size; `ARGS` is made anew each time because a call may look at all of it. */
#define WRONG_SIZES(ARGS, CALL)                                                                                        \
    do {                                                                                                               \
        const uint32_t right = (ARGS).struct_size;                                                                     \
        const uint32_t wrong[] = {0, 1, 3, 4, 8, right / 2, right - 1, right + 1, right * 2, INT32_MAX, UINT32_MAX};     \
        for (size_t size_k = 0; size_k < sizeof wrong / sizeof wrong[0]; size_k++) {                                   \
            (ARGS).struct_size = wrong[size_k];                                                                        \
            EXPECT(FAREBOX_STRUCT_SIZE, (CALL));                                                                       \
            CHECK((ARGS).struct_size == wrong[size_k]);                                                                \
        }                                                                                                              \
        (ARGS).struct_size = right;                                                                                    \
    } while (0)

static void struct_sizes(void)
{
    farebox_engine *engine = open_memory();
    farebox_engine *other = NULL;
    farebox_options options = FAREBOX_OPTIONS_INIT;
    WRONG_SIZES(options, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
    CHECK(other == NULL);
    farebox_charge_args charge = a_charge();
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    WRONG_SIZES(charge, farebox_charge(engine, &charge, &receipt, NULL));
    WRONG_SIZES(charge, farebox_charge_many(engine, &charge, 1, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_charge(engine, &charge, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_charge_many(engine, &charge, 1, &receipt, NULL));
    farebox_reserve_args reserve = a_reserve();
    WRONG_SIZES(reserve, farebox_reserve(engine, &reserve, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_reserve(engine, &reserve, &receipt, NULL));
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    capture.hold = a_hold(engine);
    farebox_increase_args increase = FAREBOX_INCREASE_ARGS_INIT;
    increase.hold = capture.hold;
    WRONG_SIZES(increase, farebox_increase(engine, &increase, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_increase(engine, &increase, &receipt, NULL));
    WRONG_SIZES(capture, farebox_capture(engine, &capture, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_capture(engine, &capture, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_release(engine, capture.hold, &receipt, NULL));
    WRONG_SIZES(receipt, farebox_extend(engine, capture.hold, 1000, &receipt, NULL));
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    price.tool = FAREBOX_STR("flat");
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    WRONG_SIZES(price, farebox_price_tool(engine, &price, &quote, NULL));
    WRONG_SIZES(quote, farebox_price_tool(engine, &price, &quote, NULL));
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    WRONG_SIZES(balance, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, NULL));
    farebox_tick_result tick = FAREBOX_TICK_RESULT_INIT;
    WRONG_SIZES(tick, farebox_tick(engine, &tick, NULL));
    farebox_webhook_args webhook = FAREBOX_WEBHOOK_ARGS_INIT;
    WRONG_SIZES(webhook, farebox_verify_webhook(NULL, &webhook, NULL));

    /* In a batch, one that is wrong stops all. */
    farebox_charge_args batch[3] = {a_charge(), a_charge(), a_charge()};
    farebox_receipt receipts[3] = {FAREBOX_RECEIPT_INIT, FAREBOX_RECEIPT_INIT, FAREBOX_RECEIPT_INIT};
    WRONG_SIZES(batch[2], farebox_charge_many(engine, batch, 3, receipts, NULL));
    WRONG_SIZES(receipts[1], farebox_charge_many(engine, batch, 3, receipts, NULL));

    /* An error of a size that the library does not know is left alone. */
    farebox_error error;
    const uint32_t sizes[] = {0, 1, sizeof error - 1, sizeof error + 1, UINT32_MAX};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        farebox_error untouched;
        memset(&error, 0x5a, sizeof error);
        error.struct_size = sizes[k];
        memcpy(&untouched, &error, sizeof error);
        EXPECT(FAREBOX_HANDLE, farebox_tick(NULL, NULL, &error));
        CHECK(memcmp(&untouched, &error, sizeof error) == 0);
    }

    /* Nothing but *error is written by a call that fails. */
    farebox_receipt before;
    memset(&receipt, 0x5a, sizeof receipt);
    receipt.struct_size = sizeof receipt;
    before = receipt;
    charge.payer = FAREBOX_STR("user:nobody");
    EXPECT(FAREBOX_ACCOUNT_NOT_FOUND, farebox_charge(engine, &charge, &receipt, NULL));
    CHECK(memcmp(&before, &receipt, sizeof receipt) == 0);

    EXPECT(FAREBOX_OK, farebox_release(engine, capture.hold, NULL, NULL));
    farebox_balance_result left = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &left, NULL));
    EQUAL(1000 * USD, left.available);
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* Sets each byte of a field in turn, and expects a status. */
#define EACH_BYTE(FIELD, EXPECTED, CALL)                                                                               \
    do {                                                                                                               \
        unsigned char *bytes = (unsigned char *)&(FIELD);                                                              \
        for (size_t byte_k = 0; byte_k < sizeof(FIELD); byte_k++) {                                                    \
            bytes[byte_k] = 1;                                                                                         \
            EXPECT(EXPECTED, (CALL));                                                                                  \
            bytes[byte_k] = 0;                                                                                         \
        }                                                                                                              \
    } while (0)

/* Sets each flag that is not known in turn. */
#define UNKNOWN_FLAGS(FIELD, KNOWN, CALL)                                                                              \
    do {                                                                                                               \
        for (int flag_k = 0; flag_k < 32; flag_k++) {                                                                  \
            if (((KNOWN) >> flag_k & 1) == 0) {                                                                        \
                (FIELD) = UINT32_C(1) << flag_k;                                                                       \
                EXPECT(FAREBOX_RESERVED, (CALL));                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        (FIELD) = 0;                                                                                                   \
    } while (0)

static void reserved(void)
{
    farebox_engine *engine = open_memory();
    farebox_engine *other = NULL;
    farebox_options options = FAREBOX_OPTIONS_INIT;
    EACH_BYTE(options.reserved, FAREBOX_RESERVED, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
    EACH_BYTE(options.reserved0, FAREBOX_RESERVED, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
    UNKNOWN_FLAGS(options.flags, 3u, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
    farebox_charge_args charge = a_charge();
    EACH_BYTE(charge.reserved, FAREBOX_RESERVED, farebox_charge(engine, &charge, NULL, NULL));
    EACH_BYTE(charge.usage.reserved, FAREBOX_RESERVED, farebox_charge(engine, &charge, NULL, NULL));
    EACH_BYTE(charge.usage.reserved_meters, FAREBOX_RESERVED, farebox_charge(engine, &charge, NULL, NULL));
    UNKNOWN_FLAGS(charge.flags, 3u, farebox_charge(engine, &charge, NULL, NULL));
    farebox_reserve_args reserve = a_reserve();
    EACH_BYTE(reserve.reserved, FAREBOX_RESERVED, farebox_reserve(engine, &reserve, NULL, NULL));
    EACH_BYTE(reserve.usage.reserved, FAREBOX_RESERVED, farebox_reserve(engine, &reserve, NULL, NULL));
    UNKNOWN_FLAGS(reserve.flags, 3u, farebox_reserve(engine, &reserve, NULL, NULL));
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    capture.hold = a_hold(engine);
    farebox_increase_args increase = FAREBOX_INCREASE_ARGS_INIT;
    increase.hold = capture.hold;
    EACH_BYTE(increase.reserved, FAREBOX_RESERVED, farebox_increase(engine, &increase, NULL, NULL));
    UNKNOWN_FLAGS(increase.flags, 0u, farebox_increase(engine, &increase, NULL, NULL));
    EACH_BYTE(capture.reserved, FAREBOX_RESERVED, farebox_capture(engine, &capture, NULL, NULL));
    UNKNOWN_FLAGS(capture.flags, 7u, farebox_capture(engine, &capture, NULL, NULL));
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    price.tool = FAREBOX_STR("flat");
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    EACH_BYTE(price.reserved, FAREBOX_RESERVED, farebox_price_tool(engine, &price, &quote, NULL));
    EACH_BYTE(price.usage.reserved_meters, FAREBOX_RESERVED, farebox_price_tool(engine, &price, &quote, NULL));
    UNKNOWN_FLAGS(price.flags, 2u, farebox_price_tool(engine, &price, &quote, NULL));
    farebox_webhook_args webhook = FAREBOX_WEBHOOK_ARGS_INIT;
    EACH_BYTE(webhook.reserved, FAREBOX_RESERVED, farebox_verify_webhook(NULL, &webhook, NULL));

    /* In a batch it is the one charge that is refused. */
    farebox_charge_args batch[2] = {a_charge(), a_charge()};
    farebox_receipt receipts[2] = {FAREBOX_RECEIPT_INIT, FAREBOX_RECEIPT_INIT};
    batch[1].reserved[27] = 1;
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, batch, 2, receipts, NULL));
    EQUAL(FAREBOX_OK, receipts[0].status);
    EQUAL(FAREBOX_RESERVED, receipts[1].status);

    /* Values of enumerations. */
    const int32_t wrong[] = {-1, 4, 100, INT32_MIN, INT32_MAX};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        options = (farebox_options)FAREBOX_OPTIONS_INIT;
        options.durability = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
        options.durability = 0;
        options.payment_url = FAREBOX_STR("https://pay.example/a b");
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
        options.payment_url = FAREBOX_STR("\xff");
        EXPECT(FAREBOX_INVALID_UTF8, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
        options.payment_url = (farebox_str){"https://pay.example", SIZE_MAX};
        EXPECT(FAREBOX_TOO_LONG, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
        options.payment_url = (farebox_str){NULL, 0};
        options.hold_durability = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
        charge.durability = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge(engine, &charge, NULL, NULL));
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge_many(engine, &charge, 1, receipts, NULL));
        reserve.over_capture = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_reserve(engine, &reserve, NULL, NULL));
        reserve.over_capture = 0;
        reserve.durability = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_reserve(engine, &reserve, NULL, NULL));
        reserve.durability = 0;
        farebox_increase_args increase = FAREBOX_INCREASE_ARGS_INIT;
        increase.hold = capture.hold;
        increase.durability = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_increase(engine, &increase, NULL, NULL));
        capture.durability = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_capture(engine, &capture, NULL, NULL));
        capture.durability = 0;
        webhook.scheme = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_verify_webhook(NULL, &webhook, NULL));
    }
    batch[1] = a_charge();
    batch[1].durability = FAREBOX_DURABILITY_NORMAL;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge_many(engine, batch, 2, receipts, NULL));
    capture.flags = FAREBOX_CAPTURE_AMOUNT | FAREBOX_CAPTURE_USAGE;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_capture(engine, &capture, NULL, NULL));
    CHECK(other == NULL);
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

static void null_pointers(void)
{
    farebox_engine *engine = open_memory();
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    farebox_text text = {NULL, 0};
    const farebox_charge_args charge = a_charge();
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    price.tool = FAREBOX_STR("flat");
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_open(NULL, FAREBOX_STR("memory:"), NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge(engine, NULL, &receipt, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge_many(engine, NULL, 1, &receipt, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge_many(engine, &charge, 1, NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, NULL, 0, NULL, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_charge_many(engine, &charge, SIZE_MAX, &receipt, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_charge_many(engine, &charge, (size_t)INT64_MAX + 1, &receipt, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_charge_many(engine, &charge, 65537, &receipt, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_reserve(engine, NULL, &receipt, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_increase(engine, NULL, &receipt, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_capture(engine, NULL, &receipt, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_price_tool(engine, NULL, &quote, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_price_tool(engine, &price, NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_verify_webhook(NULL, NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_verify_webhook(engine, NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_call(engine, FAREBOX_STR("ledger.info"), FAREBOX_STR("{}"), NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_describe(NULL, NULL));
    EXPECT(FAREBOX_UNKNOWN_OPERATION, farebox_call(engine, (farebox_str){NULL, 0}, FAREBOX_STR("{}"), &text, NULL));
    EXPECT(FAREBOX_OK, farebox_call(engine, FAREBOX_STR("ledger.info"), (farebox_str){NULL, 0}, &text, NULL));
    farebox_text_free(&text);
    farebox_text_free(NULL);

    /* Outputs that may be absent. */
    EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_tick(engine, NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_extend(engine, a_hold(engine), 1000, NULL, NULL));

    /* Lines that are counted but not there, and the other way round. */
    quote.line_capacity = UINT32_MAX;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &price, &quote, NULL));
    farebox_quote_line line;
    memset(&line, 0x5a, sizeof line);
    quote.lines = &line;
    quote.line_capacity = 0;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &price, &quote, NULL));
    EQUAL(0x5a5a5a5a, line.meter);
    farebox_webhook_args webhook = FAREBOX_WEBHOOK_ARGS_INIT;
    webhook.secret_count = 1;
    EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &webhook, NULL));
    webhook.secret_count = SIZE_MAX;
    EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &webhook, NULL));
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* ---- Texts ---- */

static const char *const bad_utf8[] = {"\xff", "\x80", "\xc0\x80", "\xc3", "a\xc3(", "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
                                       "user:\xe2\x82", "\xf0\x80\x80\xaf", "0123456789abcdef\xfe"};

static farebox_status charge_with(farebox_engine *engine, size_t offset, farebox_str text)
{
    farebox_charge_args args = a_charge();
    memcpy((char *)&args + offset, &text, sizeof text);
    if (offset == offsetof(farebox_charge_args, tool)) {
        args.amount = 0;
    }
    return farebox_charge(engine, &args, NULL, NULL);
}

static farebox_status reserve_with(farebox_engine *engine, size_t offset, farebox_str text)
{
    farebox_reserve_args args = a_reserve();
    memcpy((char *)&args + offset, &text, sizeof text);
    if (offset == offsetof(farebox_reserve_args, tool)) {
        args.amount = 0;
    }
    return farebox_reserve(engine, &args, NULL, NULL);
}

static farebox_status capture_with(farebox_engine *engine, uint64_t hold, size_t offset, farebox_str text)
{
    farebox_capture_args args = FAREBOX_CAPTURE_ARGS_INIT;
    args.hold = hold;
    args.flags = FAREBOX_CAPTURE_AMOUNT | FAREBOX_CAPTURE_PARTIAL;
    memcpy((char *)&args + offset, &text, sizeof text);
    return farebox_capture(engine, &args, NULL, NULL);
}

static farebox_status increase_with(farebox_engine *engine, uint64_t hold, size_t offset, farebox_str text)
{
    farebox_increase_args args = FAREBOX_INCREASE_ARGS_INIT;
    args.hold = hold;
    memcpy((char *)&args + offset, &text, sizeof text);
    return farebox_increase(engine, &args, NULL, NULL);
}

#define CHARGE(FIELD) offsetof(farebox_charge_args, FIELD)
#define INCREASE(FIELD) offsetof(farebox_increase_args, FIELD)
#define RESERVE(FIELD) offsetof(farebox_reserve_args, FIELD)
#define CAPTURE(FIELD) offsetof(farebox_capture_args, FIELD)

/* What one text answers in every field that takes a text. */
typedef struct answers {
    farebox_status account, tool; /* where a name is looked up */
    farebox_status kept;          /* where it is stored */
    farebox_status key;           /* as an idempotency key, which is bytes and need not be text */
    farebox_status url;
} answers;

static void everywhere(farebox_engine *engine, uint64_t hold, farebox_str text, const answers *expected)
{
    const farebox_status kept = expected->kept;
    const farebox_status key = expected->key;
    EXPECT(expected->account, charge_with(engine, CHARGE(payer), text));
    EXPECT(expected->tool, charge_with(engine, CHARGE(tool), text));
    EXPECT(expected->account, charge_with(engine, CHARGE(payee), text));
    EXPECT(FAREBOX_ASSET_NOT_FOUND, charge_with(engine, CHARGE(asset), text));
    EXPECT(key, charge_with(engine, CHARGE(idempotency_key), text));
    EXPECT(kept, charge_with(engine, CHARGE(run), text));
    EXPECT(kept, charge_with(engine, CHARGE(call), text));
    EXPECT(kept, charge_with(engine, CHARGE(description), text));
    EXPECT(kept, charge_with(engine, CHARGE(metadata), text));
    EXPECT(expected->account, reserve_with(engine, RESERVE(payer), text));
    EXPECT(expected->tool, reserve_with(engine, RESERVE(tool), text));
    EXPECT(expected->account, reserve_with(engine, RESERVE(payee), text));
    EXPECT(FAREBOX_ASSET_NOT_FOUND, reserve_with(engine, RESERVE(asset), text));
    EXPECT(kept, reserve_with(engine, RESERVE(run), text));
    EXPECT(kept, reserve_with(engine, RESERVE(description), text));
    EXPECT(kept, reserve_with(engine, RESERVE(metadata), text));
    EXPECT(kept, increase_with(engine, hold, INCREASE(description), text));
    EXPECT(kept, increase_with(engine, hold, INCREASE(metadata), text));
    EXPECT(kept, capture_with(engine, hold, CAPTURE(description), text));
    EXPECT(kept, capture_with(engine, hold, CAPTURE(metadata), text));
    /* In the last of a batch, which is looked at ahead of its turn. */
    enum { BATCH = 40 };
    static farebox_charge_args batch[BATCH];
    static farebox_receipt receipts[BATCH];
    for (int k = 0; k < BATCH; k++) {
        batch[k] = a_charge();
        receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    }
    batch[BATCH - 2].idempotency_key = text;
    batch[BATCH - 1].payer = text;
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, batch, BATCH, receipts, NULL));
    EQUAL(FAREBOX_OK, receipts[0].status);
    EQUAL(key, receipts[BATCH - 2].status);
    EQUAL(expected->account, receipts[BATCH - 1].status);
    if (key != FAREBOX_OK) {
        EXPECT(key, reserve_with(engine, RESERVE(idempotency_key), text));
        EXPECT(key, increase_with(engine, hold, INCREASE(idempotency_key), text));
        EXPECT(key, capture_with(engine, hold, CAPTURE(idempotency_key), text));
    }
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    price.tool = text;
    EXPECT(expected->tool, farebox_price_tool(engine, &price, &quote, NULL));
    /* A customer who is not known has no price of his own. */
    price.tool = FAREBOX_STR("flat");
    price.customer = text;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &price, &quote, NULL));
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(expected->account, farebox_balance(engine, text, FAREBOX_STR("USD"), &balance, NULL));
    EXPECT(FAREBOX_ASSET_NOT_FOUND, farebox_balance(engine, FAREBOX_STR("user:ana"), text, &balance, NULL));
    farebox_text out = {NULL, 0};
    EXPECT(FAREBOX_UNKNOWN_OPERATION, farebox_call(engine, text, FAREBOX_STR("{}"), &out, NULL));
    farebox_engine *other = NULL;
    EXPECT(expected->url, farebox_open(&other, text, NULL, NULL));
}

static const answers too_long = {FAREBOX_TOO_LONG, FAREBOX_TOO_LONG, FAREBOX_TOO_LONG, FAREBOX_TOO_LONG, FAREBOX_INVALID_ARGUMENT};

static void texts(void)
{
    farebox_engine *engine = open_memory();
    const uint64_t hold = a_hold(engine);
    const answers not_text = {FAREBOX_INVALID_UTF8, FAREBOX_INVALID_UTF8, FAREBOX_INVALID_UTF8, FAREBOX_OK, FAREBOX_INVALID_UTF8};
    const answers has_nul = {FAREBOX_INVALID_UTF8, FAREBOX_INVALID_UTF8, FAREBOX_INVALID_UTF8, FAREBOX_OK, FAREBOX_INVALID_ARGUMENT};
    for (size_t k = 0; k < sizeof bad_utf8 / sizeof bad_utf8[0]; k++) {
        everywhere(engine, hold, str(bad_utf8[k]), &not_text);
    }
    everywhere(engine, hold, (farebox_str){"a\0b", 3}, &has_nul);

    /* Names of more than 64 KiB, also where the pointer ends at the end of a page. */
    enum { LONG = 65536 + 4096 };
    char *memory = mmap(NULL, LONG + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 'n', LONG);
    mprotect(memory + LONG, 4096, PROT_NONE);
    everywhere(engine, hold, (farebox_str){memory, LONG}, &too_long);
    for (size_t length = 1; length < 40; length++) {
        EXPECT(FAREBOX_ACCOUNT_NOT_FOUND, charge_with(engine, CHARGE(payer), (farebox_str){memory + LONG - length, length}));
        EXPECT(FAREBOX_OK, charge_with(engine, CHARGE(idempotency_key), (farebox_str){memory + LONG - length, length}));
        EXPECT(FAREBOX_OK, charge_with(engine, CHARGE(run), (farebox_str){memory + LONG - length, length}));
    }
    /* The longest that is allowed, and one more. */
    const struct {
        size_t offset, limit;
    } limits[] = {{CHARGE(idempotency_key), 255}, {CHARGE(run), 65536}, {CHARGE(call), 65536}, {CHARGE(description), 500}};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        EXPECT(FAREBOX_OK, charge_with(engine, limits[k].offset, (farebox_str){memory, limits[k].limit}));
        EXPECT(FAREBOX_TOO_LONG, charge_with(engine, limits[k].offset, (farebox_str){memory, limits[k].limit + 1}));
    }
    EXPECT(FAREBOX_TOO_LONG, json_call(engine, NULL, "account.open", "{\"account\":\"user:%.300s\"}", memory));
    char deep[256] = "a:1";
    for (int level = 0; level < 8; level++) {
        strcat(deep, "/a:1");
    }
    EXPECT(FAREBOX_TOO_LONG, json_call(engine, NULL, "account.open", "{\"account\":\"%s\"}", deep));
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* Lengths that no memory has: refused by the length alone, before a byte of it is read. */
static void huge_lengths(void)
{
    farebox_engine *engine = open_memory();
    const uint64_t hold = a_hold(engine);
    static const size_t lengths[] = {(size_t)1 << 32, (size_t)1 << 40, (size_t)INT64_MAX, (size_t)INT64_MAX + 1, SIZE_MAX - 1,
                                     SIZE_MAX};
    /* What the pointer points at ends with its page. */
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *name = memcpy(page + 4096 - 8, "user:ana", 8);
    mprotect(page + 4096, 4096, PROT_NONE);
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        report->step = lengths[k];
        everywhere(engine, hold, (farebox_str){name, lengths[k]}, &too_long);
        const farebox_str text = {name + 8, lengths[k]};
        farebox_text out = {NULL, 0};
        EXPECT(FAREBOX_TOO_LONG, farebox_call(engine, FAREBOX_STR("ledger.info"), text, &out, NULL));
        const farebox_str secret = FAREBOX_STR("secret");
        farebox_webhook_args args = FAREBOX_WEBHOOK_ARGS_INIT;
        args.scheme = FAREBOX_WEBHOOK_ROBUTLER;
        args.signature = FAREBOX_STR("00");
        args.secrets = &secret;
        args.secret_count = 1;
        args.body = text;
        EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &args, NULL));
        args.body = FAREBOX_STR("");
        args.signature = text;
        EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &args, NULL));
        args.signature = FAREBOX_STR("00");
        args.id = text;
        EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &args, NULL));
        args.id = FAREBOX_STR("");
        args.secrets = &text;
        EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &args, NULL));
    }
    /* The same of a list of secrets that is there. */
    const farebox_str one = FAREBOX_STR("secret");
    const size_t counts[] = {17, (size_t)INT64_MAX, (size_t)INT64_MAX + 1, SIZE_MAX};
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        farebox_webhook_args args = FAREBOX_WEBHOOK_ARGS_INIT;
        args.secrets = &one;
        args.secret_count = counts[k];
        EXPECT(FAREBOX_TOO_LONG, farebox_verify_webhook(NULL, &args, NULL));
    }
    munmap(page, 8192);
    /* A length without a pointer is an absent text. */
    EXPECT(FAREBOX_OK, charge_with(engine, CHARGE(description), (farebox_str){NULL, 5}));
    EXPECT(FAREBOX_MISSING_FIELD, charge_with(engine, CHARGE(payer), (farebox_str){NULL, 8}));
    EXPECT(FAREBOX_MISSING_FIELD, charge_with(engine, CHARGE(payer), (farebox_str){"user:ana", 0}));
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* ---- Numbers ---- */

static void numbers(void)
{
    farebox_engine *engine = open_memory();
    const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -1, INT64_MAX - 1, INT64_MAX};
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    for (size_t k = 0; k < sizeof extremes / sizeof extremes[0]; k++) {
        const int64_t value = extremes[k];
        report->step = (uint64_t)value;
        const farebox_status no_money = value < 0 ? FAREBOX_INVALID_AMOUNT : FAREBOX_INSUFFICIENT_FUNDS;
        farebox_charge_args charge = a_charge();
        charge.amount = value;
        EXPECT(no_money, farebox_charge(engine, &charge, NULL, NULL));
        charge = a_charge();
        charge.max_cost = value;
        EXPECT(value < 0 ? FAREBOX_INVALID_AMOUNT : FAREBOX_OK, farebox_charge(engine, &charge, NULL, NULL));
        farebox_reserve_args reserve = a_reserve();
        reserve.amount = value;
        EXPECT(no_money, farebox_reserve(engine, &reserve, NULL, NULL));
        reserve = a_reserve();
        reserve.tool = FAREBOX_STR("flat");
        reserve.amount = 0;
        reserve.max_cost = value;
        EXPECT(no_money, farebox_reserve(engine, &reserve, NULL, NULL));
        farebox_increase_args increase = FAREBOX_INCREASE_ARGS_INIT;
        increase.hold = a_hold(engine);
        increase.amount = value;
        const farebox_status grown = farebox_increase(engine, &increase, NULL, NULL);
        EXPECT(value < 0 ? FAREBOX_INVALID_AMOUNT : value == INT64_MAX ? FAREBOX_OVERFLOW : FAREBOX_INSUFFICIENT_FUNDS, grown);
        increase.hold = (uint64_t)value;
        EXPECT(FAREBOX_HOLD_NOT_FOUND, farebox_increase(engine, &increase, NULL, NULL));
        farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
        capture.hold = a_hold(engine);
        capture.flags = FAREBOX_CAPTURE_AMOUNT;
        capture.amount = value;
        EXPECT(value < 0 ? FAREBOX_INVALID_AMOUNT : FAREBOX_OVER_CAPTURE, farebox_capture(engine, &capture, NULL, NULL));
        reserve = a_reserve();
        reserve.over_capture = FAREBOX_OVER_CAPTURE_OVERFLOW;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        MUST(farebox_reserve(engine, &reserve, &receipt, NULL));
        capture.hold = receipt.hold;
        EXPECT(value < 0 ? FAREBOX_INVALID_AMOUNT : FAREBOX_INSUFFICIENT_FUNDS, farebox_capture(engine, &capture, NULL, NULL));
        capture.hold = (uint64_t)value;
        EXPECT(FAREBOX_HOLD_NOT_FOUND, farebox_capture(engine, &capture, NULL, NULL));
        EXPECT(FAREBOX_HOLD_NOT_FOUND, farebox_release(engine, (uint64_t)value, NULL, NULL));

        /* Every meter, in a quote, a charge and a capture. */
        for (int meter = 0; meter < 11; meter++) {
            int64_t counts[11] = {0};
            counts[meter] = value;
            farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
            memcpy(&price.usage, counts, sizeof counts);
            price.tool = FAREBOX_STR("tokens");
            const farebox_status quoted = farebox_price_tool(engine, &price, &quote, NULL);
            CHECK(value < 0 ? quoted == FAREBOX_INVALID_ARGUMENT
                            : quoted == FAREBOX_OVERFLOW || quoted == FAREBOX_UNPRICEABLE || quoted == FAREBOX_OK);
            charge = a_charge();
            charge.amount = 0;
            charge.tool = price.tool;
            charge.usage = price.usage;
            const farebox_status charged = farebox_charge(engine, &charge, NULL, NULL);
            CHECK(charged == quoted || charged == FAREBOX_INSUFFICIENT_FUNDS);
            capture.hold = receipt.hold;
            capture.flags = FAREBOX_CAPTURE_USAGE;
            capture.amount = 0;
            capture.usage = price.usage;
            const farebox_status captured = farebox_capture(engine, &capture, NULL, NULL);
            CHECK(captured == FAREBOX_INVALID_ARGUMENT || captured == FAREBOX_OVERFLOW);
        }
        farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
        price.tool = FAREBOX_STR("tokens");
        price.usage.input_tokens = 1;
        price.max_cost = value;
        EXPECT(value < 0 ? FAREBOX_INVALID_AMOUNT : FAREBOX_OK, farebox_price_tool(engine, &price, &quote, NULL));
        price.max_cost = 0;
        price.at = value;
        const farebox_status at = farebox_price_tool(engine, &price, &quote, NULL);
        CHECK(at == FAREBOX_OK || at == FAREBOX_RATE_CARD_NOT_FOUND || at == FAREBOX_INVALID_ARGUMENT);
        price.at = 0;
        price.usage.units_micro = (uint32_t)value;
        EXPECT((uint32_t)value >= 1000000 ? FAREBOX_INVALID_ARGUMENT : value == INT64_MIN ? FAREBOX_OK : FAREBOX_UNPRICEABLE,
               farebox_price_tool(engine, &price, &quote, NULL));

        /* Times and tolerances of webhooks. */
        const farebox_str secret = FAREBOX_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        farebox_webhook_args webhook = FAREBOX_WEBHOOK_ARGS_INIT;
        webhook.secrets = &secret;
        webhook.secret_count = 1;
        webhook.id = FAREBOX_STR("msg_1");
        webhook.timestamp = FAREBOX_STR("1614265330");
        webhook.signature = FAREBOX_STR("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        webhook.now = value;
        webhook.tolerance_s = value;
        const farebox_status verified = farebox_verify_webhook(NULL, &webhook, NULL);
        CHECK(verified == FAREBOX_SIGNATURE_MISMATCH || verified == FAREBOX_TIMESTAMP_TOO_OLD ||
              verified == FAREBOX_TIMESTAMP_TOO_NEW);

        /* The JSON door. */
        const char *const inputs[] = {"transfer.get", "id", "hold.get", "hold", "charge.refund", "id",
        "hold.release", "hold"};
        for (size_t pair = 0; pair < sizeof inputs / sizeof inputs[0]; pair += 2) {
            const farebox_status status =
                json_call(engine, NULL, inputs[pair], "{\"%s\":%" PRId64 "}", inputs[pair + 1], value);
            CHECK(status == FAREBOX_INVALID_ARGUMENT || status == FAREBOX_TRANSFER_NOT_FOUND || status == FAREBOX_HOLD_NOT_FOUND);
        }
        EXPECT(value < 0 || value > 1000 ? FAREBOX_INVALID_ARGUMENT : FAREBOX_OK,
               json_call(engine, NULL, "transfer.list", "{\"limit\":%" PRId64 "}", value));
    }

    /* Balances at the edge of 64 bits: what is outside has paid all that is inside, so no more than 2^63 can come in. */
    EXPECT(FAREBOX_OK, json_call(engine, NULL, "account.deposit", "{\"account\":\"user:rich\",\"amount\":\"9223371000\"}"));
    EXPECT(FAREBOX_OVERFLOW, json_call(engine, NULL, "account.deposit",
    "{\"account\":\"user:poor\",\"amount\":\"9223371000\"}"));
    EXPECT(FAREBOX_OVERFLOW, json_call(engine, NULL, "account.deposit",
    "{\"account\":\"user:poor\",\"amount\":\"9223372037\"}"));
    farebox_charge_args all = a_charge();
    all.payer = FAREBOX_STR("user:rich");
    all.payee = FAREBOX_STR("user:ana");
    all.amount = INT64_C(9223371000) * USD;
    farebox_receipt moved = FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &all, &moved, NULL));
    EQUAL(0, moved.balance);
    const uint64_t longest = UINT64_C(366) * 86400000;
    const uint64_t times[] = {0, longest + 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, 1, UINT32_MAX, longest};
    for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
        report->step = k;
        const farebox_status fits = k < 5 ? FAREBOX_INVALID_ARGUMENT : FAREBOX_OK;
        EXPECT(fits, farebox_extend(engine, a_hold(engine), times[k], NULL, NULL));
        farebox_reserve_args reserve = a_reserve();
        reserve.expires_in_ms = times[k];
        EXPECT(times[k] == 0 ? FAREBOX_OK : fits, farebox_reserve(engine, &reserve, NULL, NULL));
    }
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* ---- The JSON door ---- */

static farebox_status door(farebox_engine *engine, const char *operation, const char *input, size_t length)
{
    farebox_text out = {NULL, 0};
    const farebox_status status = farebox_call(engine, str(operation), (farebox_str){input, length}, &out, NULL);
    CHECK((status == FAREBOX_OK) == (out.ptr != NULL));
    farebox_text_free(&out);
    return status;
}

static void json_door(void)
{
    farebox_engine *engine = open_memory();
    static const char *const broken[] = {"{", "}", "[", "nul", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
                                         "{\"a\":01}", "{\"a\":1e}", "{\"a\":\"\\x\"}",
                                         "{\"a\":\"\\ud800\"}", "{} {}", "{\"a\":+1}", "\"", "{\"a\":\"\n\"}",
                                         "\xef\xbb\xbf{}", "NaN", "{\"a\":Infinity}"};
    for (size_t k = 0; k < sizeof broken / sizeof broken[0]; k++) {
        EXPECT(FAREBOX_INVALID_JSON, door(engine, "ledger.info", broken[k], strlen(broken[k])));
    }
    for (size_t k = 0; k < sizeof bad_utf8 / sizeof bad_utf8[0]; k++) {
        char input[64];
        snprintf(input, sizeof input, "{\"account\":\"%s\"}", bad_utf8[k]);
        EXPECT(FAREBOX_INVALID_UTF8, door(engine, "account.get", input, strlen(input)));
    }
    /* Depth: 64 is allowed, a hundred thousand do not use up the stack. */
    enum { DEEP = 100000 };
    char *deep = malloc(DEEP + 1);
    memset(deep, '[', DEEP);
    deep[DEEP] = '\0';
    EXPECT(FAREBOX_TOO_LONG, door(engine, "ledger.info", deep, DEEP));
    for (int k = 0; k + 5 <= DEEP; k += 5) {
        memcpy(deep + k, "{\"a\":", 5);
    }
    EXPECT(FAREBOX_TOO_LONG, door(engine, "ledger.info", deep, DEEP));
    free(deep);
    /* 17 MiB of input. */
    const size_t large = (size_t)17 << 20;
    char *spaces = malloc(large);
    memset(spaces, ' ', large);
    EXPECT(FAREBOX_TOO_LONG, door(engine, "ledger.info", spaces, large));
    free(spaces);

    static const char *const wrong_types[] = {"[]", "1", "\"text\"", "true", "{\"a\":1}.", "-1e999999999"};
    farebox_text described = {NULL, 0};
    MUST(farebox_describe(&described, NULL));
    const char *at = strstr(described.ptr, "\"operations\"");
    int operations = 0;
    while (at != NULL && (at = strstr(at, "{\"name\":\"")) != NULL) {
        at += 9;
        const size_t length = strcspn(at, "\"");
        char name[64];
        if (length >= sizeof name || memchr(at, '.', length) == NULL) {
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        operations++;
        EXPECT(FAREBOX_UNKNOWN_FIELD, door(engine, name, "{\"no_such_field\":1}", 19));
        EXPECT(FAREBOX_INVALID_JSON, door(engine, name, "{", 1));
        for (size_t k = 0; k < sizeof wrong_types / sizeof wrong_types[0]; k++) {
            const farebox_status status = door(engine, name, wrong_types[k], strlen(wrong_types[k]));
            CHECK(status == FAREBOX_INVALID_ARGUMENT || status == FAREBOX_INVALID_JSON);
        }
        /* Every field of it with values that it cannot be meant to have: any status but a fault of ours. */
        const char *end = strstr(at, "\"output\":");
        for (const char *field = at; end != NULL && (field = strstr(field, "{\"name\":\"")) != NULL && field < end;) {
            field += 9;
            static const char *const values[] = {"-1", "0", "9223372036854775807", "9223372036854775808",
                                                 "-9223372036854775808",
                                                 "1e400", "0.00000000000000000001", "\"\"", "\"\\u0000\"", "\"x\"", "\"-1\"",
                                                 "\"9223372036.854775807\"", "\"99999999999999999999999999\"", "{}",
                                                 "[]", "[{}]", "[null]",
                                                 "{\"a\":{\"b\":[]}}", "true", "\"2024-02-30\"", "\"\xf0\x9f\x92\xb8\""};
            for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
                char input[256];
                snprintf(input, sizeof input, "{\"%.*s\":%s}", (int)strcspn(field, "\""), field, values[k]);
                const farebox_status status = door(engine, name, input, strlen(input));
                if (!CHECK(status != FAREBOX_INTERNAL && strcmp(farebox_status_name(status), "UNKNOWN") != 0)) {
                    fprintf(stderr, "  %s %s\n", name, input);
                }
            }
        }
    }
    CHECK(operations > 40);
    farebox_text_free(&described);
    EXPECT(FAREBOX_UNKNOWN_OPERATION, door(engine, "no.such", "{}", 2));
    EXPECT(FAREBOX_MISSING_FIELD, door(engine, "charge.create", "{}", 2));
    EXPECT(FAREBOX_MISSING_FIELD, door(engine, "charge.create", "{\"payer\":\"user:ana\"}", 20));
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* ---- Clocks, forks and threads ---- */

typedef struct watch {
    int64_t now;
    farebox_engine *engine;
    int is_calling_back;
    int calls;
} watch;

static int64_t watch_clock(void *context)
{
    watch *w = context;
    if (w->is_calling_back && w->engine != NULL) {
        w->is_calling_back = 0;
        w->calls++;
        every_function(w->engine, FAREBOX_REENTRANT);
        EXPECT(FAREBOX_REENTRANT, farebox_close(w->engine, NULL));
        EXPECT(FAREBOX_REENTRANT, guarded_webhook(w->engine));
    }
    return w->now;
}

static void clocks(void)
{
    watch w = {INT64_C(1700000000000000), NULL, 0, 0};
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.clock = watch_clock;
    options.clock_context = &w;
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), &options, NULL));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"10\"}"));
    w.engine = engine;
    w.is_calling_back = 1;
    const farebox_charge_args charge = a_charge();
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, &receipt, NULL));
    EQUAL(1, w.calls);
    EQUAL(w.now, receipt.time);

    /* Time in the journal does not go back, whatever the clock does. */
    const int64_t before = receipt.time;
    w.now -= INT64_C(3600000000);
    EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, &receipt, NULL));
    EQUAL(before, receipt.time);

    /* A clock that has lost its mind: a status, and nothing happens. */
    const int64_t wrong[] = {INT64_MIN, INT64_MAX, INT64_C(253402300800000000), INT64_C(-62135596800000001)};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        w.now = wrong[k];
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_charge(engine, &charge, &receipt, NULL));
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_tick(engine, NULL, NULL));
        farebox_engine *other = NULL;
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_open(&other, FAREBOX_STR("memory:"), &options, NULL));
    }
    /* So far ahead of the ledger that it would stay there for good. */
    w.now = INT64_C(253402300799999999);
    EXPECT(FAREBOX_CLOCK_AHEAD, farebox_charge(engine, &charge, &receipt, NULL));
    EXPECT(FAREBOX_CLOCK_AHEAD, farebox_tick(engine, NULL, NULL));
    w.now = before;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, &receipt, NULL));
    EQUAL(before, receipt.time);
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    /* Near the end of time, where a new ledger may begin, a hold cannot overflow its expiry. */
    w.now = INT64_C(253402300799999999);
    w.is_calling_back = 0;
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), &options, NULL));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"10\"}"));
    farebox_reserve_args reserve = a_reserve();
    reserve.expires_in_ms = UINT64_C(366) * 86400000;
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &reserve, &receipt, NULL));
    EXPECT(FAREBOX_OK, farebox_extend(engine, receipt.hold, reserve.expires_in_ms, NULL, NULL));
    still_sound(engine);
    /* The clock is not asked for more than it must be, and closing works with a broken one. */
    w.now = INT64_MAX;
    const farebox_status closed = farebox_close(engine, NULL);
    CHECK(closed == FAREBOX_OK || closed == FAREBOX_INVALID_ARGUMENT);
    EXPECT(FAREBOX_CLOSED, farebox_close(engine, NULL));
}

static void forks(void)
{
    char folder[256], url[300];
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    farebox_engine *memory = open_memory();
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, str(url), NULL, NULL));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"10\"}"));
    const farebox_charge_args charge = a_charge();
    for (int round = 0; round < 3; round++) {
        const pid_t child = fork();
        if (child == 0) {
            atomic_store(&checks_failed, 0);
            every_function(engine, FAREBOX_FORKED);
            every_function(memory, FAREBOX_FORKED);
            EXPECT(FAREBOX_FORKED, guarded_webhook(memory));
            EXPECT(FAREBOX_OK, guarded_webhook(NULL));
            EXPECT(FAREBOX_FORKED, farebox_close(memory, NULL));
            /* It opens its own. */
            farebox_engine *own = NULL;
            MUST(farebox_open(&own, str(url), NULL, NULL));
            EXPECT(FAREBOX_OK, farebox_charge(own, &charge, NULL, NULL));
            EXPECT(FAREBOX_OK, farebox_close(own, NULL));
            _exit(checks_failed == 0 ? 0 : 1);
        }
        EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, NULL, NULL));
        int status = -1;
        waitpid(child, &status, 0);
        EQUAL(0, status);
        EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, NULL, NULL));
        EXPECT(FAREBOX_OK, farebox_charge(memory, &charge, NULL, NULL));
    }
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, NULL));
    EQUAL(10 * USD - 9, balance.balance);
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(memory, NULL));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    remove_folder(folder);
}

static atomic_int closes, successes;
static farebox_engine *race_engine;

static void *race(void *context)
{
    const farebox_charge_args charge = a_charge();
    const int index = (int)(intptr_t)context;
    for (int k = 0; k < 100000; k++) {
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        farebox_status status = FAREBOX_OK;
        if (k == 20 * (index + 1) && index < 3) {
            status = farebox_close(race_engine, NULL);
            atomic_fetch_add(&closes, status == FAREBOX_OK);
        } else if (k % 3 == 0) {
            status = farebox_balance(race_engine, charge.payer, FAREBOX_STR("USD"), &balance, NULL);
        } else if (k % 3 == 1) {
            status = farebox_tick(race_engine, NULL, NULL);
        } else {
            status = farebox_charge(race_engine, &charge, &receipt, NULL);
            atomic_fetch_add(&successes, status == FAREBOX_OK);
        }
        if (status == FAREBOX_CLOSED) {
            return NULL;
        }
        EQUAL(FAREBOX_OK, status);
    }
    CHECK(!"the engine was never closed");
    return NULL;
}

/* Several threads close one engine while others use it: one of them does, and what was charged before is there. */
static void races(void)
{
    const int rounds = is_long() ? 200 : 10;
    for (int round = 0; round < rounds; round++) {
        char folder[256], url[300];
        make_folder(folder, sizeof folder);
        snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
        farebox_options options = FAREBOX_OPTIONS_INIT;
        options.flags = round % 2 == 0 ? 0 : FAREBOX_OPEN_EXCLUSIVE;
        options.durability = round % 2 == 0 ? FAREBOX_DURABILITY_NORMAL : FAREBOX_DURABILITY_RELAXED;
        MUST(farebox_open(&race_engine, str(url), &options, NULL));
        MUST(json_call(race_engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"10\"}"));
        atomic_store(&closes, 0);
        atomic_store(&successes, 0);
        pthread_t threads[6];
        for (int k = 0; k < 6; k++) {
            pthread_create(&threads[k], NULL, race, (void *)(intptr_t)k);
        }
        for (int k = 0; k < 6; k++) {
            pthread_join(threads[k], NULL);
        }
        EQUAL(1, closes);
        MUST(farebox_open(&race_engine, str(url), NULL, NULL));
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        EXPECT(FAREBOX_OK, farebox_balance(race_engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, NULL));
        EQUAL(10 * USD - successes, balance.balance);
        still_sound(race_engine);
        EXPECT(FAREBOX_OK, farebox_close(race_engine, NULL));
        remove_folder(folder);
    }
}

static void stores(void)
{
    farebox_engine *engine = NULL;
    const struct {
        const char *url;
        farebox_status status;
    } urls[] = {{"", FAREBOX_INVALID_ARGUMENT},
                {"sqlite:", FAREBOX_INVALID_ARGUMENT},
                {"memory", FAREBOX_INVALID_ARGUMENT},
                {"http://example.org", FAREBOX_INVALID_ARGUMENT},
                {"postgresql://127.0.0.1:1/x", FAREBOX_STORE_UNREACHABLE},
                {"sqlite:/no/such/folder/ledger", FAREBOX_STORE_NOT_FOUND}};
    for (size_t k = 0; k < sizeof urls / sizeof urls[0]; k++) {
        EXPECT(urls[k].status, farebox_open(&engine, str(urls[k].url), NULL, NULL));
        CHECK(engine == NULL);
    }
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.durability = FAREBOX_DURABILITY_RELAXED;
    char folder[256], url[300], file[300];
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    snprintf(file, sizeof file, "%s/ledger", folder);
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_open(&engine, str(url), &options, NULL));
    unlink(file);
    /* A file that is something else. */
    FILE *other = fopen(file, "w");
    for (int k = 0; k < 5000; k++) {
        fputs("this is not a ledger ", other);
    }
    fclose(other);
    EXPECT(FAREBOX_STORE_CORRUPT, farebox_open(&engine, str(url), NULL, NULL));
    unlink(file);
    /* One that somebody else holds alone. */
    options = (farebox_options)FAREBOX_OPTIONS_INIT;
    options.flags = FAREBOX_OPEN_EXCLUSIVE;
    MUST(farebox_open(&engine, str(url), &options, NULL));
    farebox_engine *second = NULL;
    options.flags = 0;
    options.busy_timeout_ms = 50;
    EXPECT(FAREBOX_STORE_BUSY, farebox_open(&second, str(url), &options, NULL));
    CHECK(second == NULL);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    remove_folder(folder);
}

/* ---- The fuzzer ---- */

static uint64_t fuzz_state;

static int64_t any_number(void)
{
    static const int64_t edges[] = {0, 1, -1, INT64_MIN, INT64_MAX, 1000, 1000000000, INT64_MAX / 1000000, INT32_MAX, UINT32_MAX};
    switch (random_below(&fuzz_state, 3)) {
    case 0: return edges[random_below(&fuzz_state, sizeof edges / sizeof edges[0])];
    case 1: return (int64_t)random_below(&fuzz_state, 2000);
    default: return (int64_t)(random_next(&fuzz_state) >> random_below(&fuzz_state, 64));
    }
}

static farebox_str any_text(void)
{
    static const char *const words[] = {"user:ana", "user:author", "platform", "external", "flat", "tokens", "USD",
                                        "EUR", "user:nobody",
                                        "{\"a\":1}", "{", "v1,AAAA", "t=1,v1=00", "whsec_AAAA", "\xff\xfe", "run",
                                        "k1", "k2", "k3"};
    static char pool[10000];
    switch (random_below(&fuzz_state, 8)) {
    case 0: return (farebox_str){NULL, 0};
    case 1: return (farebox_str){NULL, (size_t)random_next(&fuzz_state)};
    case 2: {
        for (int k = 0; k < 16; k++) {
            pool[random_below(&fuzz_state, sizeof pool)] = (char)random_next(&fuzz_state);
        }
        const size_t start = (size_t)random_below(&fuzz_state, sizeof pool);
        return (farebox_str){pool + start, (size_t)random_below(&fuzz_state, sizeof pool - start + 1)};
    }
    default: return str(words[random_below(&fuzz_state, sizeof words / sizeof words[0])]);
    }
}

/* Random bytes, most of them zero, so that some calls come through. */
static void any_bytes(void *memory, size_t size)
{
    unsigned char *bytes = memory;
    const uint64_t rate = random_below(&fuzz_state, 4) == 0 ? 1 + random_below(&fuzz_state, 40) : 0;
    for (size_t k = 0; k < size; k++) {
        bytes[k] = rate != 0 && random_below(&fuzz_state, 41) < rate ? (unsigned char)random_next(&fuzz_state) : 0;
    }
}

static uint32_t any_size(size_t size)
{
    return random_below(&fuzz_state, 24) == 0 ? (uint32_t)any_number() : (uint32_t)size;
}

static void any_usage(farebox_usage *usage)
{
    int64_t *const counts[] = {&usage->requests, &usage->units, &usage->input_tokens, &usage->output_tokens, &usage->value};
    if (random_below(&fuzz_state, 2) == 0) {
        *counts[random_below(&fuzz_state, 5)] = any_number();
    }
}

/* The fields that a charge and a reservation share. */
#define ANY_CHARGE(ARGS)                                                                                               \
    do {                                                                                                               \
        any_bytes(&(ARGS), sizeof(ARGS));                                                                              \
        (ARGS).struct_size = any_size(sizeof(ARGS));                                                                   \
        (ARGS).payer = random_below(&fuzz_state, 2) == 0 ? FAREBOX_STR("user:ana") : any_text();                       \
        const int is_tool = random_below(&fuzz_state, 2) == 0;                                                         \
        (ARGS).tool = is_tool ? any_text() : (farebox_str){NULL, 0};                                                   \
        (ARGS).payee = random_below(&fuzz_state, 4) == 0 ? any_text() : (farebox_str){NULL, 0};                        \
        (ARGS).asset = random_below(&fuzz_state, 4) == 0 ? any_text() : (farebox_str){NULL, 0};                        \
        (ARGS).idempotency_key = any_text();                                                                           \
        (ARGS).run = any_text();                                                                                       \
        (ARGS).call = any_text();                                                                                      \
        (ARGS).description = any_text();                                                                               \
        (ARGS).metadata = any_text();                                                                                  \
        (ARGS).amount = is_tool ? 0 : any_number();                                                                    \
        (ARGS).max_cost = random_below(&fuzz_state, 4) == 0 ? any_number() : 0;                                        \
        any_usage(&(ARGS).usage);                                                                                      \
    } while (0)

static void fuzz(void)
{
    const uint64_t seed = seed_or(1);
    const uint64_t count = is_long() ? 2000000 : 20000;
    fuzz_state = seed;
    printf("fuzz: FAREBOX_SEED=%" PRIu64 ", %" PRIu64 " calls\n", seed, count);
    int answers[1000] = {0};
    farebox_engine *engine = NULL;
    for (uint64_t k = 0; k < count; k++) {
        report->step = k;
        if (k % 5000 == 0) {
            if (engine != NULL) {
                still_sound(engine);
                EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
            }
            engine = open_memory();
        }
        /* Outputs stand between guards, which must stay as they are. */
        struct {
            uint64_t before;
            union {
                farebox_receipt receipt;
                farebox_quote quote;
                farebox_balance_result balance;
                farebox_tick_result tick;
                farebox_text text;
            } of;
            uint64_t after;
        } out;
        memset(&out, 0, sizeof out);
        out.before = out.after = UINT64_C(0xfeedfacecafebeef);
        farebox_error error = FAREBOX_ERROR_INIT;
        error.struct_size = any_size(sizeof error);
        farebox_status status = FAREBOX_OK;
        const uint64_t which = random_below(&fuzz_state, 12);
        if (which < 8 || which == 11) {
            out.of.receipt.struct_size = any_size(sizeof(farebox_receipt));
        }
        farebox_receipt *receipt = random_below(&fuzz_state, 8) == 0 ? NULL : &out.of.receipt;
        switch (which) {
        case 0: {
            farebox_charge_args args;
            ANY_CHARGE(args);
            status = farebox_charge(engine, &args, receipt, &error);
            break;
        }
        case 1: {
            farebox_charge_args args[2];
            ANY_CHARGE(args[0]);
            ANY_CHARGE(args[1]);
            farebox_receipt receipts[2] = {FAREBOX_RECEIPT_INIT, FAREBOX_RECEIPT_INIT};
            const size_t number = (size_t)random_below(&fuzz_state, 3);
            status = farebox_charge_many(engine, args, number, receipts, &error);
            break;
        }
        case 2: {
            farebox_reserve_args args;
            ANY_CHARGE(args);
            args.expires_in_ms = (uint64_t)any_number();
            args.over_capture = (int32_t)random_below(&fuzz_state, 4);
            status = farebox_reserve(engine, &args, receipt, &error);
            break;
        }
        case 3:
        case 4: {
            farebox_capture_args args;
            any_bytes(&args, sizeof args);
            args.struct_size = any_size(sizeof args);
            args.flags = (uint32_t)random_below(&fuzz_state, 9);
            args.hold = random_below(&fuzz_state, 5000);
            args.idempotency_key = any_text();
            args.description = any_text();
            args.metadata = any_text();
            args.amount = any_number();
            any_usage(&args.usage);
            if (random_below(&fuzz_state, 8) != 0) {
                /* A number without its flag is refused at once. */
                args.amount = (args.flags & FAREBOX_CAPTURE_AMOUNT) != 0 ? args.amount : 0;
                args.usage = (args.flags & FAREBOX_CAPTURE_USAGE) != 0 ? args.usage : (farebox_usage){0};
            }
            status = farebox_capture(engine, &args, receipt, &error);
            break;
        }
        case 11: {
            farebox_increase_args args;
            any_bytes(&args, sizeof args);
            args.struct_size = any_size(sizeof args);
            args.flags = (uint32_t)random_below(&fuzz_state, 2);
            args.hold = random_below(&fuzz_state, 5000);
            args.idempotency_key = any_text();
            args.description = any_text();
            args.metadata = any_text();
            args.amount = any_number();
            status = farebox_increase(engine, &args, receipt, &error);
            break;
        }
        case 5: status = farebox_release(engine, random_below(&fuzz_state, 5000), receipt, &error); break;
        case 6:
            status = farebox_extend(engine, random_below(&fuzz_state, 5000), (uint64_t)any_number(), receipt, &error);
            break;
        case 7:
            memset(&out.of, 0, sizeof out.of);
            out.of.tick.struct_size = any_size(sizeof(farebox_tick_result));
            status = farebox_tick(engine, &out.of.tick, &error);
            break;
        case 8: {
            farebox_price_args args;
            any_bytes(&args, sizeof args);
            args.struct_size = any_size(sizeof args);
            args.tool = any_text();
            args.customer = any_text();
            args.max_cost = any_number();
            args.at = random_below(&fuzz_state, 2) == 0 ? 0 : any_number();
            any_usage(&args.usage);
            farebox_quote_line lines[3];
            out.of.quote.struct_size = any_size(sizeof(farebox_quote));
            out.of.quote.lines = random_below(&fuzz_state, 4) == 0 ? NULL : lines;
            out.of.quote.line_capacity = (uint32_t)random_below(&fuzz_state, 4);
            status = farebox_price_tool(engine, &args, &out.of.quote, &error);
            break;
        }
        case 9:
            out.of.balance.struct_size = any_size(sizeof(farebox_balance_result));
            status = farebox_balance(engine, any_text(), any_text(), &out.of.balance, &error);
            break;
        default: {
            farebox_webhook_args args;
            const farebox_str secrets[4] = {any_text(), any_text(), any_text(), any_text()};
            any_bytes(&args, sizeof args);
            args.struct_size = any_size(sizeof args);
            args.scheme = (int32_t)random_below(&fuzz_state, 4);
            args.body = any_text();
            args.signature = any_text();
            args.id = any_text();
            args.timestamp = any_text();
            args.secrets = random_below(&fuzz_state, 8) == 0 ? NULL : secrets;
            args.secret_count = random_below(&fuzz_state, 16) == 0 ? (size_t)17 + random_next(&fuzz_state) / 2
                                                                   : (size_t)random_below(&fuzz_state, 5);
            args.tolerance_s = any_number();
            args.now = any_number();
            status = farebox_verify_webhook(random_below(&fuzz_state, 2) == 0 ? NULL : engine, &args, &error);
        }
        }
        const int is_known = status >= 0 && status < 900 && strcmp(farebox_status_name(status), "UNKNOWN") != 0;
        if (!is_known || out.before != UINT64_C(0xfeedfacecafebeef) || out.after != UINT64_C(0xfeedfacecafebeef)) {
            fprintf(stderr, "call %" PRIu64 " of function %" PRIu64 " answered %" PRId32 ": %s\n", k, which, status, error.message);
            CHECK(!"a status that the header knows, and no byte written beyond the output");
        } else {
            answers[status]++;
        }
    }
    int kinds = 0;
    for (int status = 0; status < 1000; status++) {
        kinds += answers[status] > 0;
    }
    printf("fuzz: %d calls succeeded, %d different statuses\n", answers[0], kinds);
    CHECK(answers[0] > 0 && kinds > 12);
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

int main(int count, char **arguments)
{
    static const section sections[] = {
        {"handles", handles},     {"many_engines", many_engines}, {"struct_sizes", struct_sizes}, {"reserved", reserved},
        {"null_pointers", null_pointers}, {"texts", texts},       {"huge_lengths", huge_lengths}, {"numbers", numbers},
        {"json_door", json_door}, {"clocks", clocks},             {"forks", forks},               {"races", races},
        {"stores", stores},       {"fuzz", fuzz},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, is_long() ? 6000 : 600);
}

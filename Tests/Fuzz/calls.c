/* The typed door: sequences of calls with any handles, structs, sizes, flags, lengths and numbers.
 *
 * An input is frames of 32 bytes, a call each: the function, the handle, which struct_size is wrong and how, flags, and
 * then what the function reads; a frame that is short reads as zeros.
 *
 * Promises: an answer is a status of the table; a call that fails writes nothing but its error and adds no record to the
 * journal; a receipt agrees with the balance; a repeated key gives the same receipt; in the end each ledger verifies and
 * adds up. Texts and structs lie in blocks of exactly their size, so that a sanitizer sees any byte too many. */
#include "fuzz.h"

#include <sys/mman.h>

const size_t fuzz_frame = 32;

const char *const fuzz_words[] = {NULL};

enum { MOST_CALLS = 200, MOST_ENGINES = 3, MOST_BLOCKS = 64, MOST_HOLDS = 16 };

/* ---- Reading a frame ---- */

static const uint8_t *frame, *frame_end;

static uint8_t byte(void)
{
    return frame < frame_end ? *frame++ : 0;
}

/* Blocks of the call that runs. */
static void *blocks[MOST_BLOCKS];
static size_t block_count;

static void *block(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    REQUIRE(memory != NULL && block_count < MOST_BLOCKS, "no memory");
    blocks[block_count++] = memory;
    return memory;
}

static void free_blocks(void)
{
    while (block_count > 0) {
        free(blocks[--block_count]);
    }
}

static int64_t number(void)
{
    static const int64_t edges[] = {0,         1,         2,         1000,           -1,
                                    INT64_MAX, INT64_MIN, INT32_MAX, UINT32_MAX,     INT64_C(1000000000),
                                    20000000,  999999,    1000000,   INT64_MAX - 1,  INT64_C(5000000000),
                                    19999999,  900000,    60000,     INT64_MAX / 10, FUZZ_START};
    const uint8_t which = byte();
    if (which < sizeof edges / sizeof edges[0]) {
        return edges[which];
    }
    if (which < 0x80) {
        return which * INT64_C(10000000);
    }
    uint64_t bits = 0;
    for (int k = 0; k < (which & 7) + 1; k++) {
        bits = bits << 8 | byte();
    }
    return (int64_t)(which & 8 ? ~bits : bits);
}

/* Memory that kills whoever reads it. */
static const char *unreadable(void)
{
    static char *page;
    if (page == NULL) {
        page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(page != MAP_FAILED, "no memory");
    }
    return page;
}

/* A text in a block of its own size, or one that must not be read. */
static farebox_str text(void)
{
    static const char *const words[] = {"",        "user:ana",  "user:bob", "org:acme", "org:acme/agent:writer", "user:author",
                                        "platform", "external",  "flat",     "tokens",   "card/m",                "USD",
                                        "EUR",      "user:none", "k1",       "k2",       "k3",                    "run-1",
                                        "{\"a\":1}", "{",        "CREDITS",  "user:ana/tool:x"};
    const uint8_t which = byte();
    const char *from = "";
    size_t size = 0;
    if (which < sizeof words / sizeof words[0]) {
        from = words[which];
        size = strlen(from);
    } else if (which < 0xc0) {
        size = which & 7;
        uint8_t *copy = block(size);
        for (size_t k = 0; k < size; k++) {
            copy[k] = byte();
        }
        return (farebox_str){(const char *)copy, size};
    } else if (which < 0xd8) {
        static const size_t sizes[] = {127, 128, 129, 254, 255, 256, 500, 501, 8192, 8193, 65536};
        size = sizes[which % (sizeof sizes / sizeof sizes[0])];
        char *copy = block(size);
        memset(copy, 'n', size);
        return (farebox_str){copy, size};
    } else if (which < 0xe0) {
        return (farebox_str){NULL, (size_t)number()};
    } else if (which < 0xe8) {
        /* A length that no text may have: refused before a byte is read. */
        return (farebox_str){unreadable(), which & 1 ? SIZE_MAX - byte() : (size_t)1 << (24 + (byte() & 31))};
    }
    char *copy = block(size);
    memcpy(copy, from, size);
    return (farebox_str){copy, size};
}

/* The struct_size, which is seldom another than the right one. */
static uint32_t struct_size(uint8_t how, size_t right)
{
    switch (how) {
    case 0xf0: return 0;
    case 0xf1: return 4;
    case 0xf2: return (uint32_t)right - 1;
    case 0xf3: return (uint32_t)right + 8;
    case 0xf4: return UINT32_MAX;
    case 0xf5: return (uint32_t)right / 2;
    default: return (uint32_t)right;
    }
}

static void usage(farebox_usage *counts)
{
    const uint8_t which = byte();
    int64_t *const meters[] = {&counts->requests,          &counts->units,              &counts->input_tokens,
                               &counts->output_tokens,     &counts->cache_read_tokens,  &counts->cache_write_tokens,
                               &counts->reasoning_tokens,  &counts->input_audio_tokens, &counts->output_audio_tokens,
                               &counts->images,            &counts->value};
    if (which > 0 && which <= 11) {
        *meters[which - 1] = number();
    } else if (which == 12) {
        counts->units_micro = (uint32_t)number();
    } else if (which == 13) {
        counts->input_tokens = number();
        counts->output_tokens = number();
    } else if (which == 0xf0) {
        counts->reserved_meters[byte() & 3] = number();
    } else if (which == 0xf1) {
        counts->reserved = byte();
    }
}

/* ---- The engines ---- */

typedef struct slot {
    farebox_engine *handle;
    int is_open, is_relaxed;
} slot;

static slot engines[MOST_ENGINES];
static uint64_t holds[MOST_HOLDS];
static size_t hold_count;

/* The handle of the call, and whether it is open. */
static farebox_engine *handle(uint8_t which, slot **chosen)
{
    *chosen = NULL;
    if (which < 0xf0) {
        slot *one = &engines[which < 0xc0 ? 0 : which % MOST_ENGINES];
        *chosen = one->is_open ? one : NULL;
        return one->handle;
    }
    static const uintptr_t foreign[] = {0, 1, 5, 8, 13, 0x1234, UINTPTR_MAX, UINTPTR_MAX - 2, INTPTR_MAX, 0x7fff0005};
    if (which & 1) {
        return (farebox_engine *)foreign[byte() % (sizeof foreign / sizeof foreign[0])];
    }
    return (farebox_engine *)((uintptr_t)engines[0].handle ^ (uintptr_t)1 << (byte() & 63));
}

static void open_slot(slot *place, uint8_t how)
{
    place->is_relaxed = how & 1;
    place->handle = open_prepared(place->is_relaxed ? FAREBOX_OPEN_EXCLUSIVE : 0,
                                  place->is_relaxed ? FAREBOX_DURABILITY_RELAXED : FAREBOX_DURABILITY_DEFAULT);
    place->is_open = 1;
}

/* A call of farebox_open with anything; what it opens is closed at once. */
static void open_anything(uint8_t size_byte, uint8_t flags, farebox_error *error, farebox_status *status)
{
    farebox_options *options = block(sizeof *options);
    options->struct_size = struct_size(size_byte, sizeof *options);
    options->flags = flags;
    options->durability = (int8_t)byte();
    options->hold_durability = (int8_t)byte();
    options->key_memory_bytes = (uint64_t)(byte() & 1 ? number() : 0) >> 40;
    options->busy_timeout_ms = byte();
    options->relaxed_records = byte();
    options->relaxed_ms = byte();
    options->reserved[byte() % sizeof options->reserved] = byte() == 0xff;
    static const char *const urls[] = {"memory:", "memory:", "memory:x", "", "sqlite:", "file:x", "MEMORY:", "sqlite"};
    const uint8_t which = byte();
    const char *url = urls[which % (sizeof urls / sizeof urls[0])];
    char *copy = block(strlen(url));
    memcpy(copy, url, strlen(url));
    farebox_engine *opened = NULL;
    *status = farebox_open(which == 0xff ? NULL : &opened, (farebox_str){copy, strlen(url)}, which & 0x40 ? NULL : options, error);
    REQUIRE((*status == FAREBOX_OK) == (opened != NULL), "open answered %s", farebox_status_name(*status));
    if (opened != NULL) {
        REQUIRE(farebox_close(opened, NULL) == FAREBOX_OK, "what was opened does not close");
    }
}

/* ---- Calls ---- */

/* The output of a call, and what it was before. */
typedef struct output {
    void *bytes;
    size_t size;
    uint8_t before[sizeof(farebox_receipt) * 8];
} output;

static void *make_output(output *out, size_t size, uint8_t how)
{
    if (how == 0xff) {
        *out = (output){NULL, 0, {0}};
        return NULL;
    }
    out->bytes = block(size);
    out->size = size;
    memset(out->bytes, 0x5a, size);
    const uint32_t given = struct_size(how, size);
    memcpy(out->bytes, &given, sizeof given);
    memcpy(out->before, out->bytes, size);
    return out->bytes;
}

static void require_untouched(const output *out, int function, farebox_status status)
{
    REQUIRE(out->bytes == NULL || memcmp(out->before, out->bytes, out->size) == 0, "function %d answered %s and wrote its output",
            function, farebox_status_name(status));
}

static void check_receipt(farebox_engine *engine, const farebox_receipt *receipt, farebox_str payer, int may_wait)
{
    REQUIRE(receipt->struct_size == sizeof *receipt && receipt->status == FAREBOX_OK, "the receipt's status is %" PRId32, receipt->status);
    REQUIRE(receipt->id > 0 && receipt->hold < UINT64_C(1) << 53, "id %" PRIu64 ", hold %" PRIu64, receipt->id, receipt->hold);
    REQUIRE(receipt->amount >= 0 && receipt->hold_remaining >= 0, "amount %" PRId64 ", remaining %" PRId64, receipt->amount,
            receipt->hold_remaining);
    REQUIRE((receipt->flags & ~15u) == 0, "flags %" PRIx32, receipt->flags);
    REQUIRE((receipt->flags & FAREBOX_RECEIPT_UNCOMMITTED) == 0 || may_wait, "a receipt is uncommitted that must not be");
    if (receipt->hold != 0 && hold_count < MOST_HOLDS) {
        holds[hold_count++] = receipt->hold;
    }
    if (payer.ptr != NULL && (receipt->flags & FAREBOX_RECEIPT_REPLAYED) == 0) {
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        const farebox_str asset = {receipt->asset, strnlen(receipt->asset, sizeof receipt->asset)};
        REQUIRE(farebox_balance(engine, payer, asset, &balance, NULL) == FAREBOX_OK, "the payer has no balance");
        REQUIRE(balance.balance == receipt->balance && balance.available == receipt->available,
                "the receipt says %" PRId64 " and %" PRId64 ", the balance %" PRId64 " and %" PRId64, receipt->balance, receipt->available,
                balance.balance, balance.available);
        REQUIRE(balance.available == balance.balance - balance.held + balance.credit_line, "available is %" PRId64, balance.available);
    }
}

static uint64_t some_hold(void)
{
    const uint8_t which = byte();
    return which < 0xf0 && hold_count > 0 ? holds[which % hold_count] : (uint64_t)number();
}

/* The fields that a charge and a reservation share. */
#define FILL_CHARGE(ARGS, SIZE, FLAGS)                                                                                 \
    do {                                                                                                               \
        (ARGS)->struct_size = struct_size((SIZE), sizeof *(ARGS));                                                     \
        (ARGS)->flags = (FLAGS);                                                                                       \
        const uint8_t fields = byte();                                                                                 \
        (ARGS)->payer = text();                                                                                        \
        (ARGS)->amount = number();                                                                                     \
        (ARGS)->idempotency_key = fields & 1 ? text() : (farebox_str){NULL, 0};                                        \
        (ARGS)->tool = fields & 2 ? text() : (farebox_str){NULL, 0};                                                   \
        (ARGS)->payee = fields & 4 ? text() : (farebox_str){NULL, 0};                                                  \
        (ARGS)->asset = fields & 8 ? text() : (farebox_str){NULL, 0};                                                  \
        (ARGS)->run = fields & 16 ? text() : (farebox_str){NULL, 0};                                                   \
        if (fields & 32) {                                                                                             \
            (ARGS)->call = text();                                                                                     \
            (ARGS)->description = text();                                                                              \
            (ARGS)->metadata = text();                                                                                 \
        }                                                                                                              \
        (ARGS)->max_cost = fields & 64 ? number() : 0;                                                                 \
        if (fields & 128) {                                                                                            \
            usage(&(ARGS)->usage);                                                                                     \
            (ARGS)->durability = byte();                                                                               \
            (ARGS)->reserved[byte() % sizeof(ARGS)->reserved] = byte() == 0xff;                                        \
        }                                                                                                              \
    } while (0)

/* A repetition with the same key: the first receipt again, and no record. */
#define REPEAT(CALL, RECEIPT, KEY)                                                                                     \
    do {                                                                                                               \
        if ((KEY).ptr != NULL && (KEY).len > 0 && (RECEIPT) != NULL) {                                                 \
            const farebox_receipt first = *(RECEIPT);                                                                  \
            const int64_t records = count_records(engine);                                                             \
            REQUIRE((CALL) == FAREBOX_OK, "function %d is refused when it is repeated", function);                     \
            REQUIRE((RECEIPT)->id == first.id && (RECEIPT)->hold == first.hold && (RECEIPT)->amount == first.amount,   \
                    "function %d gave transfer %" PRIu64 " and then %" PRIu64, function, first.id, (RECEIPT)->id);     \
            REQUIRE(((RECEIPT)->flags & FAREBOX_RECEIPT_REPLAYED) != 0, "function %d is not said to be replayed", function); \
            REQUIRE(count_records(engine) == records, "function %d was repeated and made records", function);          \
        }                                                                                                              \
    } while (0)

static void run_frame(void)
{
    const int function = byte() % 16;
    slot *chosen = NULL;
    const uint8_t handle_byte = byte();
    const uint8_t args_size = byte();
    const uint8_t out_how = byte();
    const uint8_t flag_byte = byte();
    /* Those that the function knows, but for the highest bytes. */
    const uint32_t known = function < 4 || function == 9 ? 1 : function == 8 ? 0 : 7;
    const uint32_t flags = flag_byte < 0xf0 ? flag_byte & known : UINT32_C(1) << (flag_byte * 7 % 32);
    farebox_engine *engine = handle(handle_byte, &chosen);
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_status status = FAREBOX_OK;
    output out = {NULL, 0, {0}};
    const int64_t before = chosen == NULL ? 0 : count_records(engine);
    switch (function) {
    case 0:
    case 1: {
        farebox_charge_args *args = block(sizeof *args);
        FILL_CHARGE(args, args_size, flags);
        farebox_receipt *receipt = make_output(&out, sizeof *receipt, out_how);
        status = farebox_charge(engine, args_size == 0xff ? NULL : args, receipt, &error);
        if (status == FAREBOX_OK && receipt != NULL) {
            check_receipt(engine, receipt, args->payer, chosen->is_relaxed || args->durability == FAREBOX_DURABILITY_RELAXED);
            REPEAT(farebox_charge(engine, args, receipt, NULL), receipt, args->idempotency_key);
        }
        break;
    }
    case 2:
    case 3: {
        farebox_reserve_args *args = block(sizeof *args);
        args->over_capture = (int8_t)byte() % 4;
        args->expires_in_ms = (uint64_t)number();
        FILL_CHARGE(args, args_size, flags);
        farebox_receipt *receipt = make_output(&out, sizeof *receipt, out_how);
        status = farebox_reserve(engine, args_size == 0xff ? NULL : args, receipt, &error);
        if (status == FAREBOX_OK && receipt != NULL) {
            check_receipt(engine, receipt, args->payer, 1);
            REPEAT(farebox_reserve(engine, args, receipt, NULL), receipt, args->idempotency_key);
        }
        break;
    }
    case 4:
    case 5: {
        farebox_capture_args *args = block(sizeof *args);
        args->struct_size = struct_size(args_size, sizeof *args);
        args->flags = flags;
        args->hold = some_hold();
        args->amount = number();
        usage(&args->usage);
        args->durability = byte();
        /* A number without its flag is refused at once: mostly there is none. */
        if ((args->durability & 4) == 0) {
            args->amount = (flags & FAREBOX_CAPTURE_AMOUNT) != 0 ? args->amount : 0;
            args->usage = (flags & FAREBOX_CAPTURE_USAGE) != 0 ? args->usage : (farebox_usage){0};
        }
        args->idempotency_key = text();
        args->description = text();
        args->metadata = text();
        args->reserved[byte() % sizeof args->reserved] = byte() == 0xff;
        farebox_receipt *receipt = make_output(&out, sizeof *receipt, out_how);
        status = farebox_capture(engine, args_size == 0xff ? NULL : args, receipt, &error);
        if (status == FAREBOX_OK && receipt != NULL) {
            check_receipt(engine, receipt, (farebox_str){NULL, 0},
                          chosen->is_relaxed || args->durability == FAREBOX_DURABILITY_RELAXED);
            REPEAT(farebox_capture(engine, args, receipt, NULL), receipt, args->idempotency_key);
        }
        break;
    }
    case 6: {
        farebox_receipt *receipt = make_output(&out, sizeof *receipt, out_how);
        status = farebox_release(engine, some_hold(), receipt, &error);
        if (status == FAREBOX_OK && receipt != NULL) {
            check_receipt(engine, receipt, (farebox_str){NULL, 0}, 1);
        }
        break;
    }
    case 7: {
        farebox_receipt *receipt = make_output(&out, sizeof *receipt, out_how);
        const uint64_t hold = some_hold();
        status = farebox_extend(engine, hold, (uint64_t)number(), receipt, &error);
        if (status == FAREBOX_OK && receipt != NULL) {
            check_receipt(engine, receipt, (farebox_str){NULL, 0}, 1);
        }
        break;
    }
    case 8: {
        farebox_price_args *args = block(sizeof *args);
        args->struct_size = struct_size(args_size, sizeof *args);
        args->flags = flags;
        args->tool = text();
        args->customer = text();
        args->max_cost = number();
        args->at = number();
        usage(&args->usage);
        args->reserved[byte() % sizeof args->reserved] = byte() == 0xff;
        const uint32_t capacity = byte() & 3;
        farebox_quote *quote = make_output(&out, sizeof *quote, out_how);
        if (quote != NULL) {
            quote->lines = capacity == 0 ? NULL : block(capacity * sizeof *quote->lines);
            quote->line_capacity = capacity;
            memcpy(out.before, quote, sizeof *quote);
        }
        status = farebox_price_tool(engine, args, quote, &error);
        if (status == FAREBOX_OK) {
            REQUIRE(quote->total >= 0 && (args->max_cost == 0 || quote->total <= args->max_cost), "the total is %" PRId64, quote->total);
            int64_t sum = 0;
            for (uint32_t k = 0; k < quote->line_count && k < capacity; k++) {
                sum += quote->lines[k].amount;
            }
            REQUIRE(quote->capped != 0 || quote->line_count > capacity || sum <= quote->total, "the lines add up to %" PRId64 " of %" PRId64, sum,
                    quote->total);
        }
        break;
    }
    case 9: {
        enum { MOST = 3 };
        const size_t count = byte() % (MOST + 1);
        farebox_charge_args *args = block(count * sizeof *args);
        farebox_receipt *receipts = make_output(&out, (count > 0 ? count : 1) * sizeof *receipts, out_how >= 0xf0 && out_how < 0xff ? 0 : out_how);
        for (size_t k = 0; k < count; k++) {
            FILL_CHARGE(&args[k], k == 0 ? args_size : 0, flags);
            if (receipts != NULL) {
                receipts[k].struct_size = struct_size(k == 0 ? out_how : 0, sizeof *receipts);
            }
        }
        if (receipts != NULL) {
            memcpy(out.before, out.bytes, out.size);
        }
        status = farebox_charge_many(engine, args, args_size == 0xfe ? (size_t)number() | (size_t)1 << 40 : count, receipts, &error);
        for (size_t k = 0; status == FAREBOX_OK && k < count; k++) {
            REQUIRE(receipts[k].status >= 0 && receipts[k].status < 800, "charge %zu answered %" PRId32, k, receipts[k].status);
            if (receipts[k].status == FAREBOX_OK) {
                check_receipt(engine, &receipts[k], (farebox_str){NULL, 0},
                              chosen->is_relaxed || args[k].durability == FAREBOX_DURABILITY_RELAXED);
            }
        }
        break;
    }
    case 10: {
        farebox_balance_result *balance = make_output(&out, sizeof *balance, out_how);
        const farebox_str account = text();
        status = farebox_balance(engine, account, text(), balance, &error);
        break;
    }
    case 11: {
        farebox_tick_result *tick = make_output(&out, sizeof *tick, out_how);
        status = farebox_tick(engine, tick, &error);
        break;
    }
    case 12: {
        /* Forward, and a little back; what is due happens now. */
        fuzz_now += (int64_t)byte() * 60000000 - (flags & 1 ? INT64_C(90000000) : 0);
        for (int k = 0; k < MOST_ENGINES; k++) {
            if (engines[k].is_open) {
                REQUIRE(farebox_tick(engines[k].handle, NULL, NULL) == FAREBOX_OK, "a tick fails");
            }
        }
        return;
    }
    case 13:
        if (chosen == NULL) {
            status = farebox_close(engine, &error);
            REQUIRE(status == FAREBOX_HANDLE || status == FAREBOX_CLOSED, "a closed or foreign handle answers %s", farebox_status_name(status));
        } else {
            close_sound(engine);
            chosen->is_open = 0;
            if (flags & 1) {
                open_slot(chosen, byte());
            }
            return;
        }
        break;
    case 14: open_anything(args_size, flag_byte < 0xf0 ? flag_byte & 3 : flag_byte, &error, &status); break;
    default: {
        static const char *const operations[] = {"account.deposit", "account.close", "account.freeze", "account.unfreeze", "hold.list",
                                                 "tool.disable", "tool.enable", "ledger.info"};
        static const char *const inputs[] = {"{\"account\":\"user:ana\",\"amount\":\"1\"}", "{\"account\":\"user:bob\"}", "{\"account\":\"org:acme\"}",
                                             "{\"tool\":\"flat\"}", "{}", "", "[", "{\"account\":\"user:new\",\"amount\":\"3\"}"};
        farebox_text *given = make_output(&out, sizeof *given, 0);
        *given = (farebox_text){NULL, 0};
        memcpy(out.before, given, sizeof *given);
        const uint8_t operation = byte();
        farebox_str name = {NULL, 0};
        if (operation < 0xf0) {
            name.ptr = operations[operation % (sizeof operations / sizeof operations[0])];
            name.len = strlen(name.ptr);
        } else {
            name = text();
        }
        const uint8_t which = byte();
        farebox_str input = {NULL, 0};
        if (which < 0xf0) {
            input.ptr = inputs[which % (sizeof inputs / sizeof inputs[0])];
            input.len = strlen(input.ptr);
        } else {
            input = text();
        }
        status = farebox_call(engine, name, input, out_how == 0xff ? NULL : given, &error);
        if (status == FAREBOX_OK) {
            REQUIRE(is_json(given->ptr, given->len), "%s", given->ptr);
            farebox_text_free(given);
            REQUIRE(given->ptr == NULL && given->len == 0, "a text that was freed is there");
            farebox_text_free(given);
        }
        break;
    }
    }
    check_answer(status, &error);
    if (status != FAREBOX_OK) {
        require_untouched(&out, function, status);
    }
    if (chosen == NULL && function != 14) {
        REQUIRE(status != FAREBOX_OK, "function %d succeeds with a handle that is not open", function);
    }
    if (chosen != NULL && chosen->is_open && status != FAREBOX_OK) {
        REQUIRE(count_records(engine) == before, "function %d was refused with %s and made records", function, farebox_status_name(status));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hold_count = 0;
    memset(engines, 0, sizeof engines);
    open_slot(&engines[0], size > 0 ? data[size - 1] : 0);
    for (size_t k = 0; k < MOST_CALLS && k * fuzz_frame < size; k++) {
        frame = data + k * fuzz_frame;
        frame_end = size - k * fuzz_frame < fuzz_frame ? data + size : frame + fuzz_frame;
        run_frame();
        free_blocks();
    }
    for (int k = 0; k < MOST_ENGINES; k++) {
        if (engines[k].is_open) {
            close_sound(engines[k].handle);
        }
    }
    return 0;
}

/* The whole life of holds and charges through the typed door, as a host has it; made to be run under valgrind too. */
#include "check.h"

static const int64_t USD = INT64_C(1000000000);
static const int64_t START = INT64_C(1700000000000000);

static int64_t test_clock(void *context)
{
    return *(const int64_t *)context;
}

static int64_t balance_of(farebox_engine *engine, const char *account)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, str(account), str("USD"), &balance, NULL));
    return balance.balance;
}

static int64_t held_on(farebox_engine *engine, const char *account)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, str(account), str("USD"), &balance, NULL));
    EQUAL(balance.available, balance.balance - balance.held + balance.credit_line);
    return balance.held;
}

static void set_up(farebox_engine *engine)
{
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"100\",\"asset\":\"USD\"}"));
    MUST(json_call(engine, NULL, "skill.register",
                   "{\"manifest\":{\"id\":\"tools\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"revenue_share\":\"0.70\","
                   "\"tools\":[{\"name\":\"flat\",\"pricing\":{\"cost\":\"0.02\"}},"
                   "{\"name\":\"tokens\",\"pricing\":{\"cost\":\"0.000002\",\"per\":\"token\"}}]}}"));
}

static farebox_receipt reserve(farebox_engine *engine, int64_t amount, const char *key, farebox_over_capture policy)
{
    farebox_reserve_args args = FAREBOX_RESERVE_ARGS_INIT;
    args.payer = str("user:ana");
    args.amount = amount;
    args.idempotency_key = str(key);
    args.over_capture = policy;
    args.run = str("run-1");
    args.metadata = str("{\"why\":\"test\"}");
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_error error = FAREBOX_ERROR_INIT;
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &args, &receipt, &error));
    EQUAL(amount, receipt.amount);
    CHECK(receipt.hold != 0 && receipt.id != 0);
    return receipt;
}

static farebox_status capture(farebox_engine *engine, uint64_t hold, uint32_t flags, int64_t amount,
                              farebox_receipt *receipt)
{
    farebox_capture_args args = FAREBOX_CAPTURE_ARGS_INIT;
    args.hold = hold;
    args.flags = flags;
    args.amount = amount;
    *receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    return farebox_capture(engine, &args, receipt, NULL);
}

/* A number of 0 counts where its flag says so, and a number without a flag that it needs is refused. */
static void given_numbers(farebox_engine *engine)
{
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_error error = FAREBOX_ERROR_INIT;
    const int64_t before = balance_of(engine, "user:ana");

    farebox_charge_args charge = FAREBOX_CHARGE_ARGS_INIT;
    charge.payer = str("user:ana");
    EXPECT(FAREBOX_MISSING_FIELD, farebox_charge(engine, &charge, &receipt, &error));
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, &charge, 1, &receipt, NULL));
    EXPECT(FAREBOX_MISSING_FIELD, receipt.status);
    farebox_reserve_args hold = FAREBOX_RESERVE_ARGS_INIT;
    hold.payer = str("user:ana");
    EXPECT(FAREBOX_MISSING_FIELD, farebox_reserve(engine, &hold, NULL, NULL));
    charge.flags = hold.flags = FAREBOX_AMOUNT_GIVEN;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, &receipt, NULL));
    EQUAL(0, receipt.amount);
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &hold, &receipt, NULL));
    EQUAL(0, receipt.amount);

    /* A maximum of 0. */
    charge.flags = hold.flags = FAREBOX_MAX_COST_GIVEN;
    charge.tool = hold.tool = str("flat");
    EXPECT(FAREBOX_OVER_MAX_COST, farebox_charge(engine, &charge, NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &hold, &receipt, NULL));
    EQUAL(0, receipt.amount);
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    price.tool = str("flat");
    price.flags = FAREBOX_MAX_COST_GIVEN;
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &price, &quote, NULL));
    EQUAL(0, quote.total);
    EQUAL(1, quote.capped);
    charge.flags = hold.flags = 0;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &charge, &receipt, NULL));
    EQUAL(USD / 50, receipt.amount);
    charge.max_cost = USD / 100;
    EXPECT(FAREBOX_OVER_MAX_COST, farebox_charge(engine, &charge, NULL, NULL));

    /* What a capture says without the flag that it needs. */
    const farebox_receipt held = reserve(engine, USD, "", FAREBOX_OVER_CAPTURE_REJECT);
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    capture.hold = held.hold;
    for (uint32_t partial = 0; partial < 2; partial++) {
        capture.flags = partial * FAREBOX_CAPTURE_PARTIAL;
        capture.amount = USD / 2;
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_capture(engine, &capture, NULL, &error));
        CHECK(strcmp(error.field, "args.amount") == 0);
        capture.amount = 0;
        capture.usage.input_tokens = 1;
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_capture(engine, &capture, NULL, &error));
        CHECK(strcmp(error.field, "args.usage") == 0);
        capture.usage.input_tokens = 0;
        capture.usage.requests = 1;
        EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_capture(engine, &capture, NULL, &error));
        capture.usage.requests = 0;
    }
    EXPECT(FAREBOX_OK, farebox_release(engine, held.hold, &receipt, NULL));
    EQUAL(USD, receipt.amount);

    /* As long as a hold may last, which is more milliseconds than 32 bits count. */
    hold.expires_in_ms = UINT64_C(366) * 86400000;
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &hold, &receipt, NULL));
    EXPECT(FAREBOX_OK, farebox_extend(engine, receipt.hold, hold.expires_in_ms, NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_extend(engine, receipt.hold, hold.expires_in_ms + 1, NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_release(engine, receipt.hold, NULL, NULL));
    EQUAL(before - USD / 50, balance_of(engine, "user:ana"));
}

static void holds(farebox_engine *engine, int64_t *now)
{
    farebox_receipt receipt;
    const int64_t before = balance_of(engine, "user:ana");

    /* Reserve, capture in parts, and the rest returns. */
    farebox_receipt hold = reserve(engine, 10 * USD, "hold-1", FAREBOX_OVER_CAPTURE_REJECT);
    EQUAL(10 * USD, held_on(engine, "user:ana"));
    EQUAL(before, balance_of(engine, "user:ana"));
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT | FAREBOX_CAPTURE_PARTIAL, 3 * USD, &receipt));
    EQUAL(3 * USD, receipt.amount);
    EQUAL(7 * USD, receipt.hold_remaining);
    CHECK((receipt.flags & FAREBOX_RECEIPT_FINAL) == 0);
    EXPECT(FAREBOX_OVER_CAPTURE, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT, 8 * USD, &receipt));
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT, 2 * USD, &receipt));
    CHECK((receipt.flags & FAREBOX_RECEIPT_FINAL) != 0);
    EQUAL(0, receipt.hold_remaining);
    EQUAL(before - 5 * USD, balance_of(engine, "user:ana"));
    EQUAL(0, held_on(engine, "user:ana"));
    EXPECT(FAREBOX_HOLD_CAPTURED, capture(engine, hold.hold, 0, 0, &receipt));
    EXPECT(FAREBOX_HOLD_CAPTURED, farebox_release(engine, hold.hold, NULL, NULL));
    EXPECT(FAREBOX_HOLD_CAPTURED, farebox_extend(engine, hold.hold, 1000, NULL, NULL));

    /* The same key and request give the first receipt; another request is a conflict that names the field. */
    farebox_receipt again = reserve(engine, 10 * USD, "hold-1", FAREBOX_OVER_CAPTURE_REJECT);
    EQUAL(hold.id, again.id);
    CHECK((again.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
    farebox_reserve_args other = FAREBOX_RESERVE_ARGS_INIT;
    other.payer = str("user:ana");
    other.amount = 11 * USD;
    other.idempotency_key = str("hold-1");
    farebox_error error = FAREBOX_ERROR_INIT;
    EXPECT(FAREBOX_KEY_CONFLICT, farebox_reserve(engine, &other, NULL, &error));
    EQUAL(FAREBOX_KEY_CONFLICT, error.status);
    CHECK(strcmp(error.field, "amount") == 0);
    CHECK(error.message[0] != '\0');

    /* All of it, with no flag. */
    hold = reserve(engine, 4 * USD, "hold-2", FAREBOX_OVER_CAPTURE_REJECT);
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, 0, 0, &receipt));
    EQUAL(4 * USD, receipt.amount);

    /* Nothing of it. */
    hold = reserve(engine, 4 * USD, "hold-3", FAREBOX_OVER_CAPTURE_REJECT);
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT, 0, &receipt));
    EQUAL(0, receipt.amount);
    EXPECT(FAREBOX_HOLD_CAPTURED, farebox_release(engine, hold.hold, NULL, NULL));

    /* Cap and overflow. */
    hold = reserve(engine, 1 * USD, "hold-4", FAREBOX_OVER_CAPTURE_CAP);
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT, 5 * USD, &receipt));
    EQUAL(1 * USD, receipt.amount);
    CHECK((receipt.flags & FAREBOX_RECEIPT_CAPPED) != 0);
    hold = reserve(engine, 1 * USD, "hold-5", FAREBOX_OVER_CAPTURE_OVERFLOW);
    EXPECT(FAREBOX_INSUFFICIENT_FUNDS, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT, 5000 * USD, &receipt));
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, FAREBOX_CAPTURE_AMOUNT, 3 * USD, &receipt));
    EQUAL(3 * USD, receipt.amount);

    /* Release. */
    hold = reserve(engine, 2 * USD, "hold-6", FAREBOX_OVER_CAPTURE_REJECT);
    receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_release(engine, hold.hold, &receipt, NULL));
    EQUAL(2 * USD, receipt.amount);
    EXPECT(FAREBOX_HOLD_RELEASED, farebox_release(engine, hold.hold, NULL, NULL));
    EXPECT(FAREBOX_HOLD_RELEASED, capture(engine, hold.hold, 0, 0, &receipt));
    EXPECT(FAREBOX_HOLD_NOT_FOUND, farebox_release(engine, UINT64_MAX, NULL, NULL));
    EXPECT(FAREBOX_HOLD_NOT_FOUND, capture(engine, 0, 0, 0, &receipt));

    /* Increase: all of it or nothing, once a key; a capture counts all that is held then. */
    hold = reserve(engine, 2 * USD, "hold-10", FAREBOX_OVER_CAPTURE_REJECT);
    farebox_increase_args more = FAREBOX_INCREASE_ARGS_INIT;
    more.hold = hold.hold;
    more.amount = 3 * USD;
    more.idempotency_key = str("more-1");
    more.description = str("more to do");
    for (int round = 0; round < 2; round++) {
        receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
        EXPECT(FAREBOX_OK, farebox_increase(engine, &more, &receipt, NULL));
        EQUAL(3 * USD, receipt.amount);
        EQUAL(5 * USD, receipt.hold_remaining);
        EQUAL(hold.hold, receipt.hold);
        CHECK(receipt.id != hold.id && receipt.id != 0);
        CHECK(((receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0) == (round == 1));
        EQUAL(5 * USD, held_on(engine, "user:ana"));
    }
    more.amount = 4 * USD;
    EXPECT(FAREBOX_KEY_CONFLICT, farebox_increase(engine, &more, NULL, &error));
    CHECK(strcmp(error.field, "amount") == 0);
    more.idempotency_key = str("more-2");
    more.amount = 5000 * USD;
    EXPECT(FAREBOX_INSUFFICIENT_FUNDS, farebox_increase(engine, &more, NULL, NULL));
    EQUAL(5 * USD, held_on(engine, "user:ana"));
    EXPECT(FAREBOX_OK, capture(engine, hold.hold, 0, 0, &receipt));
    EQUAL(5 * USD, receipt.amount);
    more.amount = 1 * USD;
    EXPECT(FAREBOX_HOLD_CAPTURED, farebox_increase(engine, &more, NULL, NULL));

    /* Extend, and expire; the tick is not needed but says what it did. */
    hold = reserve(engine, 2 * USD, "hold-7", FAREBOX_OVER_CAPTURE_REJECT);
    EXPECT(FAREBOX_OK, farebox_extend(engine, hold.hold, 2000000, &receipt, NULL));
    *now += INT64_C(1000) * 1000000;
    EQUAL(2 * USD, held_on(engine, "user:ana"));
    *now += INT64_C(1001) * 1000000;
    farebox_tick_result tick = FAREBOX_TICK_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_tick(engine, &tick, NULL));
    EQUAL(1, tick.expired_holds);
    EQUAL(0, held_on(engine, "user:ana"));
    EXPECT(FAREBOX_HOLD_EXPIRED, capture(engine, hold.hold, 0, 0, &receipt));
    EXPECT(FAREBOX_OK, farebox_tick(engine, NULL, NULL));

    /* By usage, at the price of the reservation. */
    farebox_reserve_args priced = FAREBOX_RESERVE_ARGS_INIT;
    priced.payer = str("user:ana");
    priced.tool = str("tokens");
    priced.usage.input_tokens = 1000;
    priced.max_cost = 5 * USD;
    receipt = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &priced, &receipt, NULL));
    EQUAL(5 * USD, receipt.amount);
    farebox_capture_args used = FAREBOX_CAPTURE_ARGS_INIT;
    used.hold = receipt.hold;
    used.flags = FAREBOX_CAPTURE_USAGE;
    used.usage.input_tokens = 1500;
    used.usage.output_tokens = 7;
    used.idempotency_key = str("capture-8");
    farebox_receipt first = FAREBOX_RECEIPT_INIT;
    farebox_receipt second = FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_capture(engine, &used, &first, NULL));
    EQUAL(1507 * 2000, first.amount);
    CHECK(first.price_version != 0);
    EXPECT(FAREBOX_OK, farebox_capture(engine, &used, &second, NULL));
    EQUAL(first.id, second.id);
    CHECK((second.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
    used.usage.output_tokens = 8;
    EXPECT(FAREBOX_KEY_CONFLICT, farebox_capture(engine, &used, NULL, &error));
    CHECK(strcmp(error.field, "usage") == 0);
    EQUAL(0, held_on(engine, "user:ana"));
}

static void charges(farebox_engine *engine)
{
    const int64_t before = balance_of(engine, "user:ana");
    const int64_t author = balance_of(engine, "user:author");
    const int64_t platform = balance_of(engine, "platform");

    farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
    args.payer = str("user:ana");
    args.tool = str("flat");
    args.idempotency_key = str("charge-1");
    args.description = str("one search");
    args.call = str("call-1");
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_error error = FAREBOX_ERROR_INIT;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &args, &receipt, &error));
    EQUAL(USD / 50, receipt.amount);
    CHECK(strcmp(receipt.asset, "USD") == 0);
    EQUAL(before - USD / 50, receipt.balance);
    EQUAL(author + USD / 50 * 7 / 10, balance_of(engine, "user:author"));
    EQUAL(platform + USD / 50 * 3 / 10, balance_of(engine, "platform"));
    EXPECT(FAREBOX_OK, farebox_charge(engine, &args, &receipt, &error));
    CHECK((receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
    EQUAL(before - USD / 50, balance_of(engine, "user:ana"));

    farebox_charge_args explicit_amount = FAREBOX_CHARGE_ARGS_INIT;
    explicit_amount.payer = str("user:ana");
    explicit_amount.payee = str("user:author");
    explicit_amount.asset = str("USD");
    explicit_amount.amount = 1;
    EXPECT(FAREBOX_OK, farebox_charge(engine, &explicit_amount, NULL, NULL));
    explicit_amount.amount = 10000 * USD;
    EXPECT(FAREBOX_INSUFFICIENT_FUNDS, farebox_charge(engine, &explicit_amount, &receipt, &error));
    EQUAL(strlen(error.details), error.details_len);
    CHECK(strstr(error.details, "\"limit\"") != NULL);
    CHECK(error.refusal == 1);
    CHECK(strcmp(error.user_message,
                 "The payment was not made: the account does not have enough credit left. "
                 "Add credit at https://pay.example/credit, then try again.")
          == 0);
    farebox_reserve_args unpaid = FAREBOX_RESERVE_ARGS_INIT;
    unpaid.payer = str("user:nobody");
    unpaid.tool = str("flat");
    EXPECT(FAREBOX_ACCOUNT_NOT_FOUND, farebox_reserve(engine, &unpaid, &receipt, &error));
    CHECK(error.refusal == 1 && strstr(error.message, "user:nobody") != NULL);
    CHECK(strcmp(error.user_message,
                 "The tool flat was not run: there is no account to pay for it. "
                 "Open an account at https://pay.example/credit, then try again.")
          == 0);
    explicit_amount.payee = str("user:nobody");
    EXPECT(FAREBOX_ACCOUNT_NOT_FOUND, farebox_charge(engine, &explicit_amount, &receipt, &error));
    CHECK(error.refusal == 0 && error.user_message[0] == '\0');

    /* A batch: each stands or falls alone. */
    enum { COUNT = 5 };
    farebox_charge_args batch[COUNT];
    farebox_receipt receipts[COUNT];
    char keys[COUNT][16];
    for (int k = 0; k < COUNT; k++) {
        batch[k] = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
        receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
        snprintf(keys[k], sizeof keys[k], "batch-%d", k);
        batch[k].payer = str("user:ana");
        batch[k].amount = k + 1;
        batch[k].idempotency_key = str(keys[k]);
    }
    batch[2].payer = str("user:nobody");
    batch[3].amount = 10000 * USD;
    const int64_t rich = balance_of(engine, "user:ana");
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, batch, COUNT, receipts, &error));
    EQUAL(FAREBOX_OK, receipts[0].status);
    EQUAL(FAREBOX_OK, receipts[1].status);
    EQUAL(FAREBOX_ACCOUNT_NOT_FOUND, receipts[2].status);
    EQUAL(FAREBOX_INSUFFICIENT_FUNDS, receipts[3].status);
    EQUAL(FAREBOX_RECEIPT_REFUSAL, receipts[2].flags);
    EQUAL(FAREBOX_RECEIPT_REFUSAL, receipts[3].flags);
    EQUAL(FAREBOX_OK, receipts[4].status);
    EQUAL(rich - 1 - 2 - 5, balance_of(engine, "user:ana"));
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, batch, COUNT, receipts, NULL));
    CHECK((receipts[0].flags & FAREBOX_RECEIPT_REPLAYED) != 0);
    EQUAL(rich - 1 - 2 - 5, balance_of(engine, "user:ana"));
    EXPECT(FAREBOX_OK, farebox_charge_many(engine, NULL, 0, NULL, NULL));
}

static void prices(farebox_engine *engine)
{
    farebox_price_args args = FAREBOX_PRICE_ARGS_INIT;
    args.tool = str("tokens");
    args.usage.input_tokens = 3;
    args.usage.output_tokens = 4;
    farebox_quote_line lines[4];
    memset(lines, 0x55, sizeof lines);
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    quote.lines = lines;
    quote.line_capacity = 1;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &args, &quote, NULL));
    EQUAL(7 * 2000, quote.total);
    CHECK(quote.line_count >= 1);
    CHECK(strcmp(quote.asset, "USD") == 0);
    EQUAL(0x55555555, lines[1].meter);
    quote.lines = NULL;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &args, &quote, NULL));
    args.max_cost = 1000;
    EXPECT(FAREBOX_OK, farebox_price_tool(engine, &args, &quote, NULL));
    EQUAL(1000, quote.total);
    EQUAL(1, quote.capped);
    args.tool = str("nothing");
    EXPECT(FAREBOX_TOOL_NOT_FOUND, farebox_price_tool(engine, &args, &quote, NULL));
}

static void webhooks(farebox_engine *engine)
{
    /* HMAC-SHA256 of the body with the key "secret", by `openssl dgst -sha256 -hmac secret`. */
    farebox_webhook_args args = FAREBOX_WEBHOOK_ARGS_INIT;
    const farebox_str secrets[] = {FAREBOX_STR("old"), FAREBOX_STR("secret")};
    args.scheme = FAREBOX_WEBHOOK_ROBUTLER;
    args.body = str("{\"event\":\"payment.succeeded\"}");
    args.signature = str("7f9ff6a40c74b7d90906be5e23c87826483e8b60c698ebdcc721554646b3f500");
    args.secrets = secrets;
    args.secret_count = 2;
    EXPECT(FAREBOX_OK, farebox_verify_webhook(NULL, &args, NULL));
    args.id = str("evt_1");
    EXPECT(FAREBOX_OK, farebox_verify_webhook(engine, &args, NULL));
    EXPECT(FAREBOX_WEBHOOK_REPLAYED, farebox_verify_webhook(engine, &args, NULL));
    args.sender = str("robutler");
    EXPECT(FAREBOX_OK, farebox_verify_webhook(engine, &args, NULL));
    EXPECT(FAREBOX_WEBHOOK_REPLAYED, farebox_verify_webhook(engine, &args, NULL));
    args.sender = str("another");
    EXPECT(FAREBOX_OK, farebox_verify_webhook(engine, &args, NULL));
    args.sender = (farebox_str){"\xff", 1};
    EXPECT(FAREBOX_INVALID_UTF8, farebox_verify_webhook(engine, &args, NULL));
    args.sender = (farebox_str){NULL, 0};
    EXPECT(FAREBOX_WEBHOOK_REPLAYED, farebox_verify_webhook(engine, &args, NULL));
    args.secret_count = 1;
    EXPECT(FAREBOX_SIGNATURE_MISMATCH, farebox_verify_webhook(NULL, &args, NULL));
    args.signature = str("");
    EXPECT(FAREBOX_SIGNATURE_MISSING, farebox_verify_webhook(NULL, &args, NULL));
    args.secret_count = 0;
    args.signature = str("00");
    EXPECT(FAREBOX_SECRET_INVALID, farebox_verify_webhook(NULL, &args, NULL));
}

static void names(void)
{
    farebox_text name = {NULL, 0}, id = {NULL, 0};
    farebox_error error = FAREBOX_ERROR_INIT;
    EXPECT(FAREBOX_OK, farebox_escape_account(str("spiffe://td/100%"), &name, NULL));
    CHECK(strcmp(name.ptr, "spiffe:%2F%2Ftd%2F100%25") == 0);
    EXPECT(FAREBOX_OK, farebox_unescape_account((farebox_str){name.ptr, name.len}, &id, NULL));
    CHECK(strcmp(id.ptr, "spiffe://td/100%") == 0);
    farebox_text_free(&name);
    farebox_text_free(&id);
    EXPECT(FAREBOX_OK, farebox_escape_account(str("auth0|5f7c"), &name, NULL));
    CHECK(strcmp(name.ptr, "auth0|5f7c") == 0);
    farebox_text_free(&name);
    EXPECT(FAREBOX_MISSING_FIELD, farebox_escape_account((farebox_str){NULL, 0}, &name, &error));
    CHECK(strcmp(error.field, "id") == 0);
    EXPECT(FAREBOX_INVALID_UTF8, farebox_escape_account((farebox_str){"\xc3", 1}, &name, NULL));
    EXPECT(FAREBOX_TOO_LONG, farebox_escape_account((farebox_str){"x", -1}, &name, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_escape_account(str("x"), NULL, NULL));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_unescape_account(str("a/b"), &name, &error));
    CHECK(strcmp(error.field, "name") == 0);
    CHECK(name.ptr == NULL);
}

static void json_door(farebox_engine *engine)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "charge.create", "{\"payer\":\"user:ana\",\"amount\":\"0.50\",\"run\":\"r\"}"));
    const int64_t charge = json_first(out, "id");
    CHECK(charge > 0);
    EXPECT(FAREBOX_OK, json_call(engine, &out, "transfer.get", "{\"id\":%" PRId64 "}", charge));
    CHECK(strstr(out, "\"charge\"") != NULL);
    EXPECT(FAREBOX_OK, json_call(engine, &out, "charge.refund", "{\"id\":\"%" PRId64 "\",\"amount\":\"0.20\"}", charge));
    EXPECT(FAREBOX_OVER_REFUND, json_call(engine, NULL, "charge.refund", "{\"id\":%" PRId64 ",\"amount\":\"0.31\"}", charge));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "transfer.list", "{\"account\":\"user:ana\",\"limit\":5}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.verify", "{}"));
    CHECK(strstr(out, "\"valid\":true") != NULL);

    farebox_text text = {NULL, 0};
    EXPECT(FAREBOX_OK, farebox_describe(&text, NULL));
    CHECK(text.ptr != NULL && strlen(text.ptr) == text.len);
    farebox_text_free(&text);
    CHECK(text.ptr == NULL && text.len == 0);
    farebox_text_free(&text);
    farebox_text_free(NULL);
}

static void life(const char *url, uint32_t flags, farebox_durability durability)
{
    int64_t now = START;
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.clock = test_clock;
    options.clock_context = &now;
    options.flags = flags;
    options.durability = durability;
    options.payment_url = str("https://pay.example/credit");
    farebox_engine *engine = NULL;
    farebox_error error = FAREBOX_ERROR_INIT;
    MUST(farebox_open(&engine, str(url), &options, &error));
    set_up(engine);
    given_numbers(engine);
    holds(engine, &now);
    charges(engine);
    prices(engine);
    webhooks(engine);
    names();
    json_door(engine);
    const int64_t left = balance_of(engine, "user:ana");
    EXPECT(FAREBOX_OK, farebox_close(engine, &error));
    EXPECT(FAREBOX_CLOSED, farebox_close(engine, &error));

    /* What was written is there again. */
    if (strcmp(url, "memory:") != 0) {
        options.flags |= FAREBOX_OPEN_EXISTING;
        MUST(farebox_open(&engine, str(url), &options, &error));
        EQUAL(left, balance_of(engine, "user:ana"));
        EXPECT(FAREBOX_OK, json_call(engine, NULL, "ledger.verify", "{}"));
        farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
        args.payer = str("user:ana");
        args.tool = str("flat");
        args.idempotency_key = str("charge-1");
        args.description = str("one search");
        args.call = str("call-1");
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        EXPECT(FAREBOX_OK, farebox_charge(engine, &args, &receipt, &error));
        CHECK((receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
        EQUAL(left, balance_of(engine, "user:ana"));
        EXPECT(FAREBOX_OK, farebox_close(engine, &error));
    }
}

int main(void)
{
    EQUAL(FAREBOX_VERSION_NUMBER, farebox_version_number());
    CHECK(strcmp(farebox_status_name(FAREBOX_INSUFFICIENT_FUNDS), "INSUFFICIENT_FUNDS") == 0);
    CHECK(strcmp(farebox_status_name(12345), "UNKNOWN") == 0);

    life("memory:", 0, FAREBOX_DURABILITY_DEFAULT);
    char folder[256], url[300];
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    farebox_engine *engine = NULL;
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.flags = FAREBOX_OPEN_EXISTING;
    EXPECT(FAREBOX_STORE_NOT_FOUND, farebox_open(&engine, str(url), &options, NULL));
    CHECK(engine == NULL);
    life(url, 0, FAREBOX_DURABILITY_FULL);
    remove_folder(folder);

    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    life(url, FAREBOX_OPEN_EXCLUSIVE, FAREBOX_DURABILITY_RELAXED);
    remove_folder(folder);
    return check_report();
}

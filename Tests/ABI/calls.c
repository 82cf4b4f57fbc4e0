/* Metered calls through the typed door: begin, record, finish, and what misuse of them answers. */
#include "check.h"

static const int64_t usd = 1000000000;

static farebox_engine *open_ledger(void)
{
    farebox_engine *engine = NULL;
    farebox_error error = FAREBOX_ERROR_INIT;
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), NULL, &error));
    MUST(json_call(engine, NULL, "account.open", "{\"account\":\"user:ana\"}"));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"10\"}"));
    MUST(json_call(engine, NULL, "skill.register",
                   "{\"manifest\":{\"id\":\"s\",\"tools\":[{\"name\":\"flat\",\"price\":{\"cost\":\"1\"}},"
                   "{\"name\":\"token\",\"price\":{\"cost\":\"0.01\",\"per\":\"output_token\"}},"
                   "{\"name\":\"dynamic\",\"price\":{\"components\":[{\"model\":\"dynamic\"}]}}]}}"));
    return engine;
}

static farebox_begin_args beginning(const char *tool)
{
    farebox_begin_args args = FAREBOX_BEGIN_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.tool = str(tool);
    return args;
}

static int64_t balance(farebox_engine *engine, int64_t *held)
{
    farebox_balance_result result = FAREBOX_BALANCE_RESULT_INIT;
    MUST(farebox_balance(engine, FAREBOX_STR("user:ana"), (farebox_str){NULL, 0}, &result, NULL));
    if (held != NULL) {
        *held = result.held;
    }
    return result.balance;
}

/* ---- The life of a call ---- */

static void life(void)
{
    farebox_engine *engine = open_ledger();
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_begin_args args = beginning("token");
    farebox_metered_call call = FAREBOX_METERED_CALL_INIT;
    EXPECT(FAREBOX_MISSING_FIELD, farebox_begin(engine, &args, &call, &error));
    CHECK(strcmp(error.field, "max_cost") == 0);

    args.max_cost = usd / 2;
    MUST(farebox_begin(engine, &args, &call, &error));
    EQUAL(usd / 2, call.held);
    EQUAL(usd / 2, call.maximum);
    EQUAL(9, call.scale);
    CHECK(strcmp(call.asset, "USD") == 0 && call.key[0] == 0 && call.flags == 0);
    int64_t held = 0;
    EQUAL(10 * usd, balance(engine, &held));
    EQUAL(usd / 2, held);

    farebox_tally tally = FAREBOX_TALLY_INIT;
    MUST(farebox_record(&tally, FAREBOX_STR("{\"output_tokens\": 10, \"reasoning_tokens\": null}"), &error));
    MUST(farebox_record(&tally, FAREBOX_STR("{\"output_token\": \"2.4\"}"), &error));
    const farebox_tally before = tally;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_record(&tally, FAREBOX_STR("{\"output_tokens\": -1}"), &error));
    CHECK(strcmp(error.field, "usage.output_tokens") == 0);
    EXPECT(FAREBOX_UNKNOWN_FIELD, farebox_record(&tally, FAREBOX_STR("{\"words\": 1}"), &error));
    EXPECT(FAREBOX_INVALID_JSON, farebox_record(&tally, FAREBOX_STR("{"), &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_record(&tally, FAREBOX_STR("true"), &error));
    CHECK(memcmp(&before, &tally, sizeof tally) == 0);

    farebox_finish_args end = FAREBOX_FINISH_ARGS_INIT;
    end.recorded = &tally;
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    EQUAL(12 * usd / 100, receipt.amount);
    CHECK((receipt.flags & FAREBOX_RECEIPT_FINAL) != 0 && (receipt.flags & FAREBOX_RECEIPT_RELEASED) == 0);
    const uint64_t id = receipt.id;
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    CHECK(receipt.id == id && (receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
    EQUAL(10 * usd - 12 * usd / 100, balance(engine, &held));
    EQUAL(0, held);

    /* Nothing recorded, a failure, a maximum of nothing, a shortfall. */
    MUST(farebox_begin(engine, &args, &call, &error));
    end.recorded = NULL;
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    EQUAL(usd / 2, receipt.amount);
    CHECK((receipt.flags & FAREBOX_RECEIPT_UNREPORTED) != 0);
    MUST(farebox_begin(engine, &args, &call, &error));
    end.ending = FAREBOX_ENDING_FAILED;
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    CHECK((receipt.flags & FAREBOX_RECEIPT_RELEASED) != 0);
    end.ending = FAREBOX_ENDING_RETURNED;
    args.max_cost = 0;
    args.flags = FAREBOX_CALL_MAX_COST_GIVEN;
    MUST(farebox_begin(engine, &args, &call, &error));
    EQUAL(0, call.maximum);
    end.recorded = &tally;
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    EQUAL(0, receipt.amount);
    CHECK((receipt.flags & FAREBOX_RECEIPT_CAPPED) != 0);
    args.flags = FAREBOX_CALL_CHARGE_AFTERWARDS;
    MUST(farebox_begin(engine, &args, &call, &error));
    EQUAL(0, call.held);
    CHECK(call.maximum == INT64_MAX);
    tally = (farebox_tally)FAREBOX_TALLY_INIT;
    MUST(farebox_record(&tally, FAREBOX_STR("{\"output_tokens\": 2000}"), &error));
    const int64_t left = balance(engine, NULL);
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    EQUAL(left, receipt.amount);
    EQUAL(20 * usd - left, receipt.shortfall);
    MUST(farebox_close(engine, &error));
}

/* ---- Keys ---- */

static void keys(void)
{
    farebox_engine *engine = open_ledger();
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_metered_call first = FAREBOX_METERED_CALL_INIT, second = FAREBOX_METERED_CALL_INIT;
    farebox_finish_args end = FAREBOX_FINISH_ARGS_INIT;
    farebox_begin_args args = beginning("flat");
    args.run = FAREBOX_STR("a/b");
    args.call = FAREBOX_STR("c");
    args.arguments = FAREBOX_STR("{\"query\":\"tides\"}");
    MUST(farebox_begin(engine, &args, &first, &error));
    CHECK(strlen(first.key) == 32);
    MUST(farebox_begin(engine, &args, &second, &error));
    CHECK((second.flags & FAREBOX_CALL_SHARED) != 0 && second.hold == first.hold);
    MUST(farebox_finish(engine, &first, &end, NULL, &error));
    MUST(farebox_finish(engine, &second, &end, NULL, &error));
    EQUAL(9 * usd, balance(engine, NULL));
    MUST(farebox_begin(engine, &args, &second, &error));
    CHECK((second.flags & FAREBOX_CALL_PAID) != 0 && strcmp(second.key, first.key) == 0);
    MUST(farebox_finish(engine, &second, &end, NULL, &error));
    EQUAL(9 * usd, balance(engine, NULL));

    args.run = FAREBOX_STR("a");
    args.call = FAREBOX_STR("b/c");
    MUST(farebox_begin(engine, &args, &second, &error));
    CHECK(second.flags == 0);
    MUST(farebox_finish(engine, &second, &end, NULL, &error));
    EQUAL(8 * usd, balance(engine, NULL));

    /* A call inside the first one: alike again in a retry, another for another number. */
    args = beginning("flat");
    args.parent = str(first.key);
    MUST(farebox_begin(engine, &args, &second, &error));
    MUST(farebox_finish(engine, &second, &end, NULL, &error));
    MUST(farebox_begin(engine, &args, &second, &error));
    CHECK((second.flags & FAREBOX_CALL_PAID) != 0);
    args.ordinal = 1;
    MUST(farebox_begin(engine, &args, &second, &error));
    CHECK(second.flags == 0);
    end.ending = FAREBOX_ENDING_LEFT;
    MUST(farebox_finish(engine, &second, &end, NULL, &error));
    EQUAL(7 * usd, balance(engine, NULL));
    MUST(farebox_close(engine, &error));
}

/* ---- Misuse ---- */

static void misuse(void)
{
    farebox_engine *engine = open_ledger();
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_metered_call call = FAREBOX_METERED_CALL_INIT;
    farebox_finish_args end = FAREBOX_FINISH_ARGS_INIT;
    farebox_begin_args args = beginning("flat");
    EXPECT(FAREBOX_HANDLE, farebox_begin(NULL, &args, &call, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_begin(engine, NULL, &call, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_begin(engine, &args, NULL, &error));
    args.struct_size--;
    EXPECT(FAREBOX_STRUCT_SIZE, farebox_begin(engine, &args, &call, &error));
    args = beginning("flat");
    args.flags = 1u << 16; /* the library's own */
    EXPECT(FAREBOX_RESERVED, farebox_begin(engine, &args, &call, &error));
    args = beginning("flat");
    args.reserved[3] = 1;
    EXPECT(FAREBOX_RESERVED, farebox_begin(engine, &args, &call, &error));
    args = beginning("dynamic");
    args.amount = 5;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_begin(engine, &args, &call, &error));
    args.flags = FAREBOX_CALL_AMOUNT_GIVEN;
    MUST(farebox_begin(engine, &args, &call, &error));
    EQUAL(5, call.held);
    end.flags = FAREBOX_FINISH_AMOUNT;
    end.amount = 7;
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    MUST(farebox_finish(engine, &call, &end, &receipt, &error));
    EQUAL(7, receipt.amount);
    end = (farebox_finish_args)FAREBOX_FINISH_ARGS_INIT;

    args = beginning("flat");
    static char long_id[70000];
    memset(long_id, 'x', sizeof long_id);
    args.call = (farebox_str){long_id, 60000};
    MUST(farebox_begin(engine, &args, &call, &error));
    MUST(farebox_finish(engine, &call, &end, NULL, &error));
    args.call = (farebox_str){long_id, sizeof long_id};
    EXPECT(FAREBOX_TOO_LONG, farebox_begin(engine, &args, &call, &error));
    args.call = (farebox_str){"\xff", 1};
    EXPECT(FAREBOX_INVALID_UTF8, farebox_begin(engine, &args, &call, &error));
    args.call = (farebox_str){long_id, SIZE_MAX};
    EXPECT(FAREBOX_TOO_LONG, farebox_begin(engine, &args, &call, &error));
    args = beginning("flat");
    args.arguments = (farebox_str){long_id, SIZE_MAX};
    EXPECT(FAREBOX_TOO_LONG, farebox_begin(engine, &args, &call, &error));
    args = beginning("flat");
    args.expected = (farebox_str){long_id, SIZE_MAX};
    EXPECT(FAREBOX_TOO_LONG, farebox_begin(engine, &args, &call, &error));
    args = beginning("flat");
    args.expires_in_ms = -1;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_begin(engine, &args, &call, &error));

    /* A call that is none, or was changed. */
    farebox_metered_call none = FAREBOX_METERED_CALL_INIT;
    EXPECT(FAREBOX_HOLD_NOT_FOUND, farebox_finish(engine, &none, &end, NULL, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_finish(engine, NULL, &end, NULL, &error));
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_finish(engine, &none, NULL, NULL, &error));
    none.hold = UINT64_MAX;
    EXPECT(FAREBOX_HOLD_NOT_FOUND, farebox_finish(engine, &none, &end, NULL, &error));
    none.terms = UINT32_MAX;
    EXPECT(FAREBOX_RESERVED, farebox_finish(engine, &none, &end, NULL, &error));
    none = (farebox_metered_call)FAREBOX_METERED_CALL_INIT;
    none.held = -1;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_finish(engine, &none, &end, NULL, &error));
    farebox_reserve_args reserve = FAREBOX_RESERVE_ARGS_INIT;
    reserve.payer = FAREBOX_STR("user:ana");
    reserve.amount = 5;
    MUST(farebox_reserve(engine, &reserve, &receipt, &error));
    none = (farebox_metered_call)FAREBOX_METERED_CALL_INIT;
    none.hold = receipt.hold;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_finish(engine, &none, &end, NULL, &error));
    MUST(farebox_release(engine, receipt.hold, NULL, &error));

    /* Any bytes where a tally should be: a status, never a crash. */
    MUST(farebox_begin(engine, &(farebox_begin_args){.struct_size = sizeof(farebox_begin_args), .payer = FAREBOX_STR("user:ana"),
                                                     .tool = FAREBOX_STR("flat")}, &call, &error));
    unsigned random = 7;
    for (int round = 0; round < 20000; round++) {
        farebox_tally tally = FAREBOX_TALLY_INIT;
        unsigned char *bytes = (unsigned char *)&tally;
        const int changes = 1 + round % 8;
        for (int change = 0; change < changes; change++) {
            random = random * 1664525u + 1013904223u;
            const size_t place = 4 + (random >> 8) % (sizeof tally - 4);
            bytes[place] = (unsigned char)(random >> 24);
        }
        end.recorded = &tally;
        end.ending = FAREBOX_ENDING_FAILED;
        farebox_metered_call copy = call;
        copy.hold = 1; /* no hold: what is wrong with the tally is found before */
        const farebox_status status = farebox_finish(engine, &copy, &end, NULL, &error);
        CHECK(status == FAREBOX_INVALID_ARGUMENT || status == FAREBOX_HOLD_NOT_FOUND);
        const farebox_status added = farebox_record(&tally, FAREBOX_STR("{\"units\": 1}"), &error);
        CHECK(added == FAREBOX_OK || added == FAREBOX_INVALID_ARGUMENT || added == FAREBOX_OVERFLOW);
    }
    end = (farebox_finish_args)FAREBOX_FINISH_ARGS_INIT;
    end.ending = 4;
    EXPECT(FAREBOX_INVALID_ARGUMENT, farebox_finish(engine, &call, &end, NULL, &error));
    end.ending = 0;
    end.flags = 1u << 31;
    EXPECT(FAREBOX_RESERVED, farebox_finish(engine, &call, &end, NULL, &error));
    end.flags = 0;
    MUST(farebox_finish(engine, &call, &end, NULL, &error));
    MUST(farebox_close(engine, &error));
    EXPECT(FAREBOX_CLOSED, farebox_finish(engine, &call, &end, NULL, &error));
    EXPECT(FAREBOX_CLOSED, farebox_begin(engine, &args, &call, &error));
}

int main(void)
{
    life();
    keys();
    misuse();
    return check_report();
}

/* Bills a trace of language-model calls and compares with the exact sum, to the last atomic unit.
 *
 *   trace [IN OUT]      rates in USD per million tokens, with at most six digits after the point; 2.50 and 10.00
 *
 * Without FAREBOX_TRACE, the trace is made of seeded token counts; with it, it is the CSV file of that name with the columns
 * TIMESTAMP,ContextTokens,GeneratedTokens. The same trace is billed through single calls, through batches, and in two
 * halves with a restart between them, the second of which asks for some of the first again. */
#include "check.h"

__extension__ typedef __int128 wide;

typedef struct tokens {
    int64_t input, output;
} tokens;

static tokens *trace;
static size_t trace_count;
static char url[400];
static const char *rates[2] = {"2.50", "10.00"};
/* 1e-12 USD a token. */
static wide pico[2];

/* ---- The trace ---- */

static void add_row(int64_t input, int64_t output)
{
    static size_t capacity;
    if (trace_count == capacity) {
        capacity = capacity == 0 ? 4096 : capacity * 2;
        trace = realloc(trace, capacity * sizeof *trace);
        if (trace == NULL) {
            exit(1);
        }
    }
    trace[trace_count++] = (tokens){input, output};
}

static void read_trace(const char *name)
{
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    char line[512];
    CHECK(fgets(line, sizeof line, file) != NULL && strstr(line, "ContextTokens,GeneratedTokens") != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *comma = strchr(line, ',');
        int64_t input = -1, output = -1;
        if (comma != NULL && sscanf(comma + 1, "%" SCNd64 ",%" SCNd64, &input, &output) == 2) {
            add_row(input, output);
        } else {
            CHECK(line[strspn(line, " \r\n")] == '\0');
        }
    }
    fclose(file);
}

static void make_trace(void)
{
    uint64_t state = seed_or(1);
    const size_t count = is_long() ? 200000 : 9000;
    for (size_t k = 0; k < count; k++) {
        /* Some hundred to some thousand tokens, with a few calls of none and a few that are enormous. */
        const int64_t input = (int64_t)(random_next(&state) >> (50 + random_below(&state, 14)));
        const int64_t output = (int64_t)(random_next(&state) >> (53 + random_below(&state, 11)));
        add_row(random_below(&state, 500) == 0 ? input * 1000003 : input, output);
    }
}

/* ---- Exact sums ---- */

/* USD per million tokens as 1e-12 USD a token, exactly: the digits shifted by six. */
static wide rate_in_pico(const char *text)
{
    wide value = 0;
    int digits = -1;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '.' && digits < 0) {
            digits = 0;
        } else if (*at >= '0' && *at <= '9' && digits < 6) {
            value = value * 10 + (*at - '0');
            digits += digits >= 0;
        } else {
            fprintf(stderr, "not a rate: %s\n", text);
            exit(1);
        }
    }
    for (digits = digits < 0 ? 0 : digits; digits < 6; digits++) {
        value *= 10;
    }
    return value;
}

/* A line of a price in atomic units (1e-9 USD): rounded once, half to even. */
static int64_t line_amount(int64_t count, wide rate)
{
    const wide exact = (wide)count * rate;
    wide amount = exact / 1000;
    const wide rest = exact % 1000;
    if (rest > 500 || (rest == 500 && amount % 2 != 0)) {
        amount++;
    }
    return (int64_t)amount;
}

static int64_t amount_of(const tokens *t)
{
    return line_amount(t->input, pico[0]) + line_amount(t->output, pico[1]);
}

/* ---- Billing ---- */

static farebox_engine *open_ledger(uint32_t flags)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.flags = flags;
    options.durability = FAREBOX_DURABILITY_NORMAL;
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, str(url), &options, NULL));
    return engine;
}

static farebox_engine *new_ledger(const char *folder)
{
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    farebox_engine *engine = open_ledger(0);
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000000000\"}"));
    MUST(json_call(engine, NULL, "rate_card.publish",
                   "{\"card\":{\"name\":\"trace\",\"currency\":\"USD\",\"entries\":[{\"name\":\"model\",\"price\":{\"components\":["
                   "{\"meter\":\"input_tokens\",\"rate\":\"%s\",\"per\":1000000},"
                   "{\"meter\":\"output_tokens\",\"rate\":\"%s\",\"per\":1000000}]}}]}}",
                   rates[0], rates[1]));
    return engine;
}

static void fill(farebox_charge_args *args, char key[24], size_t row)
{
    *args = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
    snprintf(key, 24, "row-%zu", row);
    args->payer = FAREBOX_STR("user:ana");
    args->tool = FAREBOX_STR("trace/model");
    args->idempotency_key = str(key);
    args->usage.input_tokens = trace[row].input;
    args->usage.output_tokens = trace[row].output;
}

/* Bills rows one by one; returns the sum of the receipts. */
static wide bill_single(farebox_engine *engine, size_t from, size_t to)
{
    wide sum = 0;
    int wrong = 0;
    for (size_t row = from; row < to; row++) {
        farebox_charge_args args;
        char key[24];
        fill(&args, key, row);
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        farebox_error error = FAREBOX_ERROR_INIT;
        const farebox_status status = farebox_charge(engine, &args, &receipt, &error);
        if (status != FAREBOX_OK || receipt.amount != amount_of(&trace[row])) {
            if (wrong++ < 3) {
                fprintf(stderr, "row %zu: %s %s: %" PRId64 ", exactly %" PRId64 "\n", row, farebox_status_name(status),
                        error.message, receipt.amount, amount_of(&trace[row]));
            }
        }
        sum += receipt.amount;
    }
    EQUAL(0, wrong);
    return sum;
}

static wide bill_batches(farebox_engine *engine, size_t from, size_t to)
{
    enum { BATCH = 1000 };
    static farebox_charge_args args[BATCH];
    static farebox_receipt receipts[BATCH];
    static char keys[BATCH][24];
    wide sum = 0;
    int wrong = 0;
    for (size_t row = from; row < to; row += BATCH) {
        const size_t count = to - row < BATCH ? to - row : BATCH;
        for (size_t k = 0; k < count; k++) {
            fill(&args[k], keys[k], row + k);
            receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
        }
        EXPECT(FAREBOX_OK, farebox_charge_many(engine, args, count, receipts, NULL));
        for (size_t k = 0; k < count; k++) {
            wrong += receipts[k].status != FAREBOX_OK || receipts[k].amount != amount_of(&trace[row + k]);
            sum += receipts[k].amount;
        }
    }
    EQUAL(0, wrong);
    return sum;
}

/* The ledger's own total, after all of the trace. */
static void settle(farebox_engine *engine, wide exact, wide billed, const char *how)
{
    farebox_balance_result platform = FAREBOX_BALANCE_RESULT_INIT;
    farebox_balance_result payer = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("platform"), FAREBOX_STR("USD"), &platform, NULL));
    EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &payer, NULL));
    CHECK(billed == exact);
    EQUAL((int64_t)exact, platform.balance);
    EQUAL(INT64_C(1000000000) * 1000000000 - (int64_t)exact, payer.balance);
    EXPECT(FAREBOX_OK, json_call(engine, NULL, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    printf("trace: %s: %zu calls, %" PRId64 ".%09" PRId64 " USD\n", how, trace_count, platform.balance / 1000000000,
           platform.balance % 1000000000);
}

int main(int count, char **arguments)
{
    if (count == 3) {
        rates[0] = arguments[1];
        rates[1] = arguments[2];
    }
    pico[0] = rate_in_pico(rates[0]);
    pico[1] = rate_in_pico(rates[1]);
    const char *name = getenv("FAREBOX_TRACE");
    if (name != NULL && name[0] != '\0') {
        read_trace(name);
    } else {
        make_trace();
    }
    wide exact = 0, unrounded = 0;
    for (size_t row = 0; row < trace_count; row++) {
        exact += amount_of(&trace[row]);
        unrounded += (wide)trace[row].input * pico[0] + (wide)trace[row].output * pico[1];
    }
    /* Where a token costs a whole number of atomic units nothing is rounded, and the sum is the exact decimal one. */
    if (pico[0] % 1000 == 0 && pico[1] % 1000 == 0) {
        CHECK(exact * 1000 == unrounded);
    }

    char folder[256];
    make_folder(folder, sizeof folder);
    farebox_engine *engine = new_ledger(folder);
    settle(engine, exact, bill_single(engine, 0, trace_count), "single calls");
    remove_folder(folder);

    make_folder(folder, sizeof folder);
    engine = new_ledger(folder);
    settle(engine, exact, bill_batches(engine, 0, trace_count), "batches");
    remove_folder(folder);

    make_folder(folder, sizeof folder);
    engine = new_ledger(folder);
    const size_t half = trace_count / 2;
    wide billed = bill_batches(engine, 0, half / 2) + bill_single(engine, half / 2, half);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    engine = open_ledger(FAREBOX_OPEN_EXISTING);
    const size_t overlap = half > 500 ? 500 : half;
    const wide again = bill_single(engine, half - overlap, half);
    billed += bill_single(engine, half, half + (trace_count - half) / 2);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    engine = open_ledger(FAREBOX_OPEN_EXISTING);
    billed += bill_batches(engine, half + (trace_count - half) / 2, trace_count);
    wide repeated = 0;
    for (size_t row = half - overlap; row < half; row++) {
        repeated += amount_of(&trace[row]);
    }
    CHECK(again == repeated);
    settle(engine, exact, billed, "with two restarts");
    remove_folder(folder);
    free(trace);
    return check_report();
}

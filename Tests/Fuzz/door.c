/* The JSON door: sequences of operations with any input, on a ledger in memory.
 *
 * An input is lines of text. A line is the name of an operation, a space, and what the operation is given; $h0 to $h9 and
 * $t0 to $t9 in it stand for the first holds and transfers that the lines before have made. `clock N` moves the clock.
 *
 * Promises: an answer is a status of the table or a JSON object; a refused call adds no record to the journal; a call that
 * is repeated with its idempotency key gives the same receipt and adds none either; in the end the ledger verifies and
 * adds up. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    /* operations */
    "amount.parse", "split.shares", "asset.open", "asset.get", "asset.list", "account.open", "account.get", "account.list",
    "account.freeze", "account.unfreeze", "account.close", "account.set_credit_line", "account.deposit", "account.withdraw",
    "balance.get", "transfer.create", "transfer.reverse", "transfer.get", "transfer.list", "charge.create",
    "charge.create_many", "charge.refund", "hold.reserve", "hold.increase", "hold.capture", "hold.release", "hold.extend", "hold.get",
    "hold.list", "budget.set", "budget.list", "budget.remove", "limit.set", "limit.get", "event.list", "price.quote",
    "price.evaluate", "price.set", "rate_card.import", "rate_card.publish", "rate_card.list", "rate_card.get",
    "skill.register", "skill.list", "skill.inspect", "skill.enable", "skill.disable", "tool.list", "tool.inspect",
    "tool.enable", "tool.disable", "webhook.verify", "ledger.verify", "ledger.reconcile", "ledger.info", "engine.tick",
    "engine.metrics", "run.cost", "clock",
    /* fields */
    "\"account\"", "\"amount\"", "\"asset\"", "\"payer\"", "\"payee\"", "\"tool\"", "\"usage\"", "\"idempotency_key\"", "\"run\"",
    "\"call\"", "\"description\"", "\"metadata\"", "\"max_cost\"", "\"durability\"", "\"expires_in_ms\"", "\"over_capture\"",
    "\"hold\"", "\"final\"", "\"id\"", "\"postings\"", "\"window\"", "\"count\"", "\"thresholds\"", "\"name\"", "\"per_call\"",
    "\"per_run\"", "\"charges_per_hour\"", "\"credit_line\"", "\"wallet\"", "\"limit\"", "\"before\"", "\"after\"", "\"from\"", "\"to\"",
    "\"at\"", "\"customer\"", "\"price\"", "\"charges\"", "\"under\"", "\"scale\"", "\"minor_digits\"", "\"input_tokens\"",
    "\"output_tokens\"", "\"requests\"", "\"units\"", "\"value\"", "\"cost\"", "\"per\"", "\"manifest\"", "\"version\"", "\"skill\"",
    "\"split\"", "\"share\"", "\"remaining\"", "\"data\"", "\"format\"", "\"dry_run\"", "\"card\"", "\"guard\"",
    "\"lines\"",
    /* values */
    "\"user:ana\"", "\"user:bob\"", "\"user:author\"", "\"user:new\"", "\"org:acme\"", "\"org:acme/agent:writer\"", "\"platform\"",
    "\"external\"", "\"flat\"", "\"tokens\"", "\"card/m\"", "\"tools\"", "\"USD\"", "\"EUR\"", "\"CREDITS\"", "\"XPT\"", "\"0.01\"", "\"1\"",
    "\"5\"", "\"999.999999999\"", "\"0\"", "\"-1\"", "\"9223372036.854775807\"", "\"9223372036.854775808\"", "\"1e-9\"", "\"1e400\"",
    "\"k1\"", "\"k2\"", "\"reject\"", "\"cap\"", "\"overflow\"", "\"full\"", "\"normal\"", "\"relaxed\"", "\"hour\"", "\"day\"", "\"week\"",
    "\"month\"", "\"lifetime\"", "\"own\"", "\"parent\"", "\"token\"", "\"request\"", "\"dynamic\"", "true", "false", "null", "0", "1", "-1",
    "1000", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "1.5", "1e3", "{}",
    "[]", "\"\"", "$h0", "$h1", "$h2", "$t0", "$t1", "$t2", "3600000000", "86400000000", NULL};

enum { MOST_IDS = 10, MOST_LINES = 64 };

typedef struct ids {
    int64_t seen[MOST_IDS];
    size_t count;
} ids;

static void remember(ids *list, int64_t id)
{
    for (size_t k = 0; k < list->count; k++) {
        if (list->seen[k] == id) {
            return;
        }
    }
    if (list->count < MOST_IDS) {
        list->seen[list->count++] = id;
    }
}

static void remember_all(ids *list, const char *json, const char *pattern)
{
    for (const char *at = json; (at = strstr(at, pattern)) != NULL;) {
        at += strlen(pattern);
        if (*at >= '1' && *at <= '9') {
            remember(list, strtoll(at, NULL, 10));
        }
    }
}

/* Puts ids in the place of $h0 and $t0; one that has not been seen is 0. */
static void put_ids(buffer *line, const uint8_t *data, size_t size, const ids *holds, const ids *transfers)
{
    buffer_clear(line);
    for (size_t k = 0; k < size; k++) {
        if (k + 2 < size && data[k] == '$' && (data[k + 1] == 'h' || data[k + 1] == 't') && data[k + 2] >= '0' && data[k + 2] <= '9') {
            const ids *list = data[k + 1] == 'h' ? holds : transfers;
            const size_t index = data[k + 2] - '0';
            buffer_print(line, "%" PRId64, index < list->count ? list->seen[index] : 0);
            k += 2;
        } else {
            buffer_add(line, data + k, 1);
        }
    }
}

/* Whether the object has an idempotency key of its own, and not only in something that stands in it. */
static int has_key(const char *input, size_t size)
{
    static const char name[] = "\"idempotency_key\":\"";
    int depth = 0, is_text = 0;
    for (size_t k = 0; k < size; k++) {
        if (is_text) {
            if (input[k] == '\\') {
                k++;
            } else if (input[k] == '"') {
                is_text = 0;
            }
            continue;
        }
        if (depth == 1 && size - k > sizeof name && memcmp(input + k, name, sizeof name - 1) == 0 &&
            input[k + sizeof name - 1] != '"') {
            return 1;
        }
        switch (input[k]) {
        case '"': is_text = 1; break;
        case '{':
        case '[': depth++; break;
        case '}':
        case ']': depth--; break;
        default: break;
        }
    }
    return 0;
}

/* What a receipt and its repetition must agree in. */
static int is_same_receipt(const char *first, const char *second)
{
    static const char *const names[] = {"id", "hold", "amount", "asset", "time"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const farebox_str one = json_value(first, names[k]);
        const farebox_str other = json_value(second, names[k]);
        if (one.len != other.len || (one.len > 0 && memcmp(one.ptr, other.ptr, one.len) != 0)) {
            return 0;
        }
    }
    return 1;
}

/* Whether what the operation is given names a file or a server; no input may write one or ask another machine. */
static int takes_address(farebox_str operation)
{
    static const char *const names[] = {"ledger.backup", "ledger.copy", "ledger.rebuild"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (operation.len == strlen(names[k]) && memcmp(operation.ptr, names[k], operation.len) == 0) {
            return 1;
        }
    }
    return 0;
}

static void run_line(farebox_engine *engine, const uint8_t *data, size_t size, ids *holds, ids *transfers)
{
    static buffer line, first;
    const uint8_t *space = memchr(data, ' ', size);
    const size_t length = space == NULL ? size : (size_t)(space - data);
    const farebox_str operation = {(const char *)data, length};
    put_ids(&line, data + length + (space != NULL), size - length - (space != NULL), holds, transfers);
    if (length == 5 && memcmp(data, "clock", 5) == 0) {
        const int64_t year = INT64_C(366) * 86400 * 1000000;
        fuzz_now = FUZZ_START + (fuzz_now - FUZZ_START + strtoll(line.bytes, NULL, 10) % year) % (50 * year);
        /* What is due happens now, so that it is not taken for the doing of a refused call. */
        call_must(engine, "engine.tick", "{}");
        return;
    }
    if (takes_address(operation)) {
        return;
    }
    const int64_t before = count_records(engine);
    const farebox_str input = {line.bytes, line.count};
    const char *out = NULL;
    const farebox_status status = call_checked(engine, operation, input, &out);
    if (status != FAREBOX_OK) {
        const int64_t after = count_records(engine);
        REQUIRE(after == before, "%.*s was refused with %s and made %" PRId64 " records", (int)length, (const char *)data,
                farebox_status_name(status), after - before);
        return;
    }
    buffer_clear(&first);
    buffer_add(&first, out, strlen(out));
    remember_all(holds, first.bytes, "\"hold\":");
    remember_all(transfers, first.bytes, "\"id\":");
    if (has_key(line.bytes, line.count)) {
        const int64_t records = count_records(engine);
        const farebox_status again = call_checked(engine, operation, input, &out);
        REQUIRE(again == FAREBOX_OK, "%.*s is refused when it is repeated: %s", (int)length, (const char *)data,
                farebox_status_name(again));
        REQUIRE(is_same_receipt(first.bytes, out), "%.*s gave %s and then %s", (int)length, (const char *)data, first.bytes, out);
        REQUIRE(count_records(engine) == records, "%.*s was repeated and made records", (int)length, (const char *)data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ids holds = {{0}, 0}, transfers = {{0}, 0};
    farebox_engine *engine = open_prepared(0, FAREBOX_DURABILITY_DEFAULT);
    size_t start = 0;
    for (int line = 0; start < size && line < MOST_LINES; line++) {
        const uint8_t *end = memchr(data + start, '\n', size - start);
        const size_t count = end == NULL ? size - start : (size_t)(end - data) - start;
        run_line(engine, data + start, count, &holds, &transfers);
        start += count + 1;
    }
    close_sound(engine);
    return 0;
}

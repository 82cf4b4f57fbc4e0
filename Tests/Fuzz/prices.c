/* Prices: an input is the members of price.evaluate's object: `"price":{...},"usage":{...},"max_cost":...`.
 *
 * Promises: the answer is always the same; a total is not below zero, is the sum of its lines where nothing bounds it, and
 * is not above max_cost; a customer's own price quotes as the same price evaluates, and charges that. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    "\"price\"", "\"usage\"", "\"max_cost\"", "\"amount\"", "\"cost\"", "\"per\"", "\"currency\"", "\"components\"",
    "\"meter\"", "\"rate\"", "\"flat\"", "\"tiers\"", "\"up_to\"", "\"model\"", "\"amount\"", "\"size\"",
    "\"free_units\"", "\"flat_when_zero\"", "\"free_requests\"", "\"minimum\"", "\"maximum\"", "\"max_cost\"",
    "\"on_unpriced\"", "\"by\"", "\"meters\"", "\"package\"", "\"graduated\"", "\"volume\"", "\"percentage\"",
    "\"standard\"", "\"dynamic\"", "\"free\"", "\"refuse\"", "\"token\"", "\"request\"", "\"unit\"", "\"image\"",
    "\"input_tokens\"", "\"output_tokens\"", "\"cache_read_tokens\"", "\"cache_write_tokens\"",
    "\"reasoning_tokens\"", "\"input_audio_tokens\"", "\"output_audio_tokens\"", "\"images\"", "\"requests\"",
    "\"units\"", "\"value\"", "\"USD\"", "\"EUR\"", "\"JPY\"", "\"CREDITS\"", "\"0\"", "\"0.5\"", "\"0.02\"",
    "\"2.5\"", "\"1\"", "\"1.01\"", "\"10\"", "\"-0.01\"", "\"0.000000000001\"", "\"0.0000000000001\"", "\"1e-12\"",
    "\"9223372036.854775807\"", "\"9223372036854775807\"", "0", "1", "7", "1000000", "4.5", "0.0000001", "1e6", "-1",
    "9223372036854775807", "true", "false", "null", "{}", "[]", "\"\"",
    NULL};

static buffer input, first;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Quotes do not depend on what was quoted before, so one ledger serves many inputs. */
    static farebox_engine *engine;
    static int uses;
    if (engine == NULL) {
        engine = open_prepared(0, FAREBOX_DURABILITY_DEFAULT);
    }
    const int64_t before = count_records(engine);
    buffer_clear(&input);
    buffer_add(&input, "{", 1);
    buffer_add(&input, data, size);
    buffer_add(&input, "}", 1);
    const farebox_str all = {input.bytes, input.count};
    const char *out = NULL;
    const farebox_status status = call_checked(engine, FAREBOX_STR("price.evaluate"), all, &out);
    buffer_clear(&first);
    buffer_add(&first, out, strlen(out));
    REQUIRE(call_checked(engine, FAREBOX_STR("price.evaluate"), all, &out) == status && strcmp(out, first.bytes) == 0,
            "%s and then %s", first.bytes, out);
    REQUIRE(count_records(engine) == before, "an evaluation made records");
    if (status == FAREBOX_OK) {
        const farebox_str total = json_value(first.bytes, "total");
        REQUIRE(total.len > 2 && total.ptr[1] != '-', "%s", first.bytes);
        /* The price stands first in the input where a seed has it there, and no further than its first member. */
        static buffer price;
        const farebox_str value = json_value(input.bytes, "price");
        buffer_clear(&price);
        if (value.ptr == input.bytes + strlen("{\"price\":")) {
            buffer_print(&price, "{\"tool\":\"flat\",\"customer\":\"user:ana\",\"price\":");
            buffer_add(&price, value.ptr, value.len);
            buffer_print(&price, "}");
            const farebox_status given =
                call_checked(engine, FAREBOX_STR("price.set"), (farebox_str){price.bytes, price.count}, NULL);
            REQUIRE(given == FAREBOX_OK, "a price that was evaluated cannot be given: %s", farebox_status_name(given));
            buffer_clear(&price);
            buffer_print(&price, "{\"tool\":\"flat\",\"customer\":\"user:ana\"");
            buffer_add(&price, value.ptr + value.len, (size_t)(input.bytes + input.count - value.ptr) - value.len);
            const farebox_status quoted =
                call_checked(engine, FAREBOX_STR("price.quote"), (farebox_str){price.bytes, price.count}, &out);
            REQUIRE(quoted == FAREBOX_OK, "a price that was evaluated is not quoted: %s", farebox_status_name(quoted));
            const farebox_str lines = json_value(first.bytes, "lines"), others = json_value(out, "lines");
            const farebox_str amount = json_value(out, "total");
            REQUIRE(amount.len == total.len && memcmp(amount.ptr, total.ptr, total.len) == 0, "%s is quoted as %s", first.bytes, out);
            REQUIRE(lines.len == others.len && memcmp(lines.ptr, others.ptr, lines.len) == 0, "%s is quoted as %s", first.bytes, out);
        }
    }
    if (++uses % 200 == 0) {
        close_sound(engine);
        engine = NULL;
    }
    return 0;
}

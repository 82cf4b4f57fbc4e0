/* Rate-card imports: the first byte chooses genai-prices (even) or litellm (odd), the rest is the price list.
 *
 * Promises: a dry run changes nothing and says what the import then says; a card that is imported can be read, published
 * again under another name, and is then the same; every rate on it can be quoted or says why not. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    "\"providers\"", "\"id\"", "\"name\"", "\"models\"", "\"match\"", "\"prices\"", "\"input_mtok\"", "\"output_mtok\"",
    "\"cache_read_mtok\"", "\"cache_write_mtok\"", "\"input_audio_mtok\"", "\"output_audio_mtok\"", "\"requests_kcount\"", "\"base\"",
    "\"tiers\"", "\"start\"", "\"price\"", "\"equals\"", "\"starts_with\"", "\"ends_with\"", "\"contains\"", "\"regex\"", "\"or\"", "\"and\"",
    "\"constraint\"", "\"start_date\"", "\"start_time\"", "\"end_time\"", "\"deprecated\"", "\"provider_match\"", "\"2025-01-31\"",
    "\"00:30:00Z\"", "\"input_cost_per_token\"", "\"output_cost_per_token\"", "\"cache_read_input_token_cost\"",
    "\"cache_creation_input_token_cost\"", "\"input_cost_per_token_above_200k_tokens\"", "\"output_cost_per_image\"",
    "\"input_cost_per_request\"", "\"output_cost_per_reasoning_token\"", "\"litellm_provider\"", "\"mode\"", "\"chat\"", "\"sample_spec\"",
    "\"input_cost_per_audio_token\"", "\"max_tokens\"", "0.0", "1e-06", "2.5e-07", "1e-13", "1e-400", "1e400", "0.1", "8", "24", "100000",
    "-1", "true", "null", "{}", "[]", "\"\"", "9223372036854775807", NULL};

static buffer input, dry, card, again;

static const char *import(farebox_engine *engine, int is_genai, const uint8_t *data, size_t size, int is_dry,
                          farebox_status *status)
{
    const char *out = NULL;
    buffer_clear(&input);
    buffer_print(&input, "{\"format\":\"%s\",\"name\":\"fuzzed\",\"dry_run\":%s,\"data\":", is_genai ? "genai-prices" : "litellm",
                 is_dry ? "true" : "false");
    buffer_add(&input, data, size);
    buffer_print(&input, "}");
    *status = call_checked(engine, FAREBOX_STR("rate_card.import"), (farebox_str){input.bytes, input.count}, &out);
    return out;
}

static void read_card(farebox_engine *engine, const char *name, buffer *into)
{
    buffer_clear(&input);
    buffer_print(&input, "{\"name\":\"%s\"}", name);
    const char *out = call_must(engine, "rate_card.get", input.bytes);
    const farebox_str value = json_value(out, "card");
    REQUIRE(value.ptr != NULL, "%s", out);
    buffer_clear(into);
    buffer_add(into, value.ptr, value.len);
}

/* Some rates at some times. */
static void quote_some(farebox_engine *engine)
{
    static const int64_t times[] = {0, 1, FUZZ_START + INT64_C(1800000000), INT64_C(4102444800000000)};
    int count = 0;
    for (const char *at = card.bytes; (at = strstr(at, "\"name\":")) != NULL && count < 20; at++, count++) {
        const farebox_str name = json_value(at, "name");
        if (name.len < 2) {
            continue;
        }
        buffer_clear(&input);
        buffer_print(&input, "{\"tool\":\"fuzzed/");
        buffer_add(&input, name.ptr + 1, name.len - 1);
        buffer_print(&input, ",\"usage\":{\"input_tokens\":250000,\"output_tokens\":1,\"images\":1},\"at\":%" PRId64 "}", times[count % 4]);
        call_checked(engine, FAREBOX_STR("price.quote"), (farebox_str){input.bytes, input.count}, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const int is_genai = (data[0] & 1) == 0;
    farebox_engine *engine = open_empty(0, FAREBOX_DURABILITY_DEFAULT);
    const int64_t before = count_records(engine);
    farebox_status planned = FAREBOX_OK, status = FAREBOX_OK;
    const char *out = import(engine, is_genai, data + 1, size - 1, 1, &planned);
    buffer_clear(&dry);
    buffer_add(&dry, out, strlen(out));
    REQUIRE(count_records(engine) == before, "a dry run made records");
    out = import(engine, is_genai, data + 1, size - 1, 0, &status);
    if (status != FAREBOX_OK) {
        REQUIRE(count_records(engine) == before, "an import was refused with %s and made records", farebox_status_name(status));
        close_sound(engine);
        return 0;
    }
    REQUIRE(planned == FAREBOX_OK, "the dry run was refused with %s", farebox_status_name(planned));
    const farebox_str told = json_value(dry.bytes, "issues"), found = json_value(out, "issues");
    REQUIRE(told.len == found.len && memcmp(told.ptr, found.ptr, told.len) == 0, "the dry run said %s, the import %s", dry.bytes, out);
    REQUIRE(json_number(dry.bytes, "entries") == json_number(out, "entries"), "the dry run said %s, the import %s", dry.bytes, out);

    read_card(engine, "fuzzed", &card);
    quote_some(engine);
    static const char name[] = "\"name\":\"fuzzed\"";
    char *at = strstr(card.bytes, name);
    REQUIRE(at != NULL, "%s", card.bytes);
    memcpy(at, "\"name\":\"copied\"", sizeof name - 1);
    buffer_clear(&input);
    buffer_print(&input, "{\"card\":");
    buffer_add(&input, card.bytes, card.count);
    buffer_print(&input, "}");
    const char *published = NULL;
    const farebox_status copied =
        call_checked(engine, FAREBOX_STR("rate_card.publish"), (farebox_str){input.bytes, input.count}, &published);
    REQUIRE(copied == FAREBOX_OK, "the ledger refuses its own card with %s: %s", farebox_status_name(copied), card.bytes);
    read_card(engine, "copied", &again);
    REQUIRE(again.count == card.count && memcmp(again.bytes, card.bytes, card.count) == 0, "the card %s is published as %s",
            card.bytes, again.bytes);
    close_sound(engine);
    return 0;
}

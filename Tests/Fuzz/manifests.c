/* Skill manifests: any bytes are registered as one.
 *
 * Promises: a manifest that is refused leaves the catalogue as it was; one that is taken can be inspected, is known when it
 * comes again, gives the same manifest on another ledger, and each of its tools can be inspected and quoted or says why not. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    "\"id\"", "\"version\"", "\"name\"", "\"description\"", "\"category\"", "\"owner\"", "\"revenue_share\"",
    "\"split\"", "\"tools\"", "\"pricing\"", "\"price\"", "\"input_schema\"", "\"enabled\"", "\"account\"",
    "\"share\"", "\"remaining\"", "\"skill\"", "\"tool\"", "\"user:author\"", "\"user:ana\"",
    "\"org:acme/agent:writer\"", "\"platform\"", "\"external\"", "\"0.70\"", "\"1.0.0\"", "\"2.0.0-rc.1+b\"",
    "\"01.0.0\"", "\"cost\"", "\"per\"", "\"currency\"", "\"components\"", "\"meter\"", "\"rate\"", "\"flat\"",
    "\"tiers\"", "\"up_to\"", "\"model\"", "\"amount\"", "\"size\"", "\"free_units\"", "\"flat_when_zero\"",
    "\"free_requests\"", "\"minimum\"", "\"maximum\"", "\"max_cost\"", "\"on_unpriced\"", "\"by\"", "\"meters\"",
    "\"package\"", "\"graduated\"", "\"volume\"", "\"percentage\"", "\"standard\"", "\"dynamic\"", "\"free\"",
    "\"refuse\"", "\"token\"", "\"request\"", "\"unit\"", "\"image\"", "\"input_tokens\"", "\"output_tokens\"",
    "\"cache_read_tokens\"", "\"cache_write_tokens\"", "\"reasoning_tokens\"", "\"input_audio_tokens\"",
    "\"output_audio_tokens\"", "\"images\"", "\"requests\"", "\"units\"", "\"value\"", "\"USD\"", "\"EUR\"",
    "\"JPY\"", "\"CREDITS\"", "\"0\"", "\"0.5\"", "\"0.02\"", "\"2.5\"", "\"1\"", "\"1.01\"", "\"10\"", "\"-0.01\"",
    "\"0.000000000001\"", "\"0.0000000000001\"", "\"1e-12\"", "\"9223372036.854775807\"", "\"9223372036854775807\"",
    "0", "1", "7", "1000000", "4.5", "0.0000001", "1e6", "-1", "9223372036854775807", "true", "false", "null", "{}",
    "[]", "\"\"",
    NULL};

static buffer input, first, second;

static farebox_status with_manifest(farebox_engine *engine, const void *manifest, size_t size, const char **out)
{
    buffer_clear(&input);
    buffer_print(&input, "{\"manifest\":");
    buffer_add(&input, manifest, size);
    buffer_print(&input, "}");
    return call_checked(engine, FAREBOX_STR("skill.register"), (farebox_str){input.bytes, input.count}, out);
}

/* What skill.inspect says of the skill that the receipt names. */
static const char *inspect(farebox_engine *engine, const char *receipt)
{
    const farebox_str id = json_value(receipt, "skill");
    REQUIRE(id.ptr != NULL, "%s", receipt);
    buffer_clear(&input);
    buffer_print(&input, "{\"skill\":");
    buffer_add(&input, id.ptr, id.len);
    buffer_print(&input, "}");
    return call_must(engine, "skill.inspect", input.bytes);
}

static void quote_each(farebox_engine *engine)
{
    static buffer tools;
    const char *list = call_must(engine, "tool.list", "{}");
    buffer_clear(&tools);
    buffer_add(&tools, list, strlen(list));
    for (const char *at = tools.bytes; (at = strstr(at, "\"tool\":")) != NULL; at++) {
        const farebox_str tool = json_value(at, "tool");
        /* A schema may have such a member too. */
        if (tool.ptr[0] != '"') {
            continue;
        }
        static const char *const usages[] = {"{}", "{\"input_tokens\":1000,\"output_tokens\":7}", "{\"units\":\"4.5\"}",
                                             "{\"value\":\"100\"}", "{\"requests\":9223372036854775807}"};
        buffer_clear(&input);
        buffer_print(&input, "{\"tool\":");
        buffer_add(&input, tool.ptr, tool.len);
        buffer_print(&input, "}");
        call_checked(engine, FAREBOX_STR("tool.inspect"), (farebox_str){input.bytes, input.count}, NULL);
        for (size_t k = 0; k < sizeof usages / sizeof usages[0]; k++) {
            buffer_clear(&input);
            buffer_print(&input, "{\"usage\":%s,\"tool\":", usages[k]);
            buffer_add(&input, tool.ptr, tool.len);
            buffer_print(&input, "}");
            call_checked(engine, FAREBOX_STR("price.quote"), (farebox_str){input.bytes, input.count}, NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    farebox_engine *engine = open_prepared(0, FAREBOX_DURABILITY_DEFAULT);
    const int64_t before = count_records(engine);
    const char *out = NULL;
    const farebox_status status = with_manifest(engine, data, size, &out);
    if (status != FAREBOX_OK) {
        REQUIRE(count_records(engine) == before, "a manifest was refused with %s and left records", farebox_status_name(status));
        close_sound(engine);
        return 0;
    }
    buffer_clear(&first);
    buffer_add(&first, out, strlen(out));
    const char *inspected = inspect(engine, first.bytes);
    buffer_clear(&second);
    buffer_add(&second, inspected, strlen(inspected));
    const int64_t after = count_records(engine);
    REQUIRE(with_manifest(engine, data, size, NULL) == FAREBOX_OK, "a manifest is refused when it comes again");
    REQUIRE(count_records(engine) == after, "a manifest that came again made records");
    quote_each(engine);

    /* The manifest that is told is one that can be registered, and tells the same. */
    const farebox_str manifest = json_value(second.bytes, "manifest");
    REQUIRE(manifest.ptr != NULL, "%s", second.bytes);
    REQUIRE(with_manifest(engine, manifest.ptr, manifest.len, NULL) == FAREBOX_OK, "the ledger refuses its own manifest %.*s",
            (int)manifest.len, manifest.ptr);
    REQUIRE(count_records(engine) == after, "the ledger's own manifest is another: %.*s", (int)manifest.len, manifest.ptr);
    close_sound(engine);
    return 0;
}

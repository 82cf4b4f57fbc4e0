/* Manifests of plugins: any bytes are inspected, quoted and registered as one.
 *
 * Promises: a manifest that is refused says where; one that is taken tells a manifest that is taken too and tells the
 * same, each of its tools is quoted or says why not, and nothing of that leaves records. Registering takes a manifest
 * exactly if inspecting does; what it names is not there, so that nothing is registered. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    "\"manifest\"", "\"id\"", "\"version\"", "\"license\"", "\"contact\"", "\"homepage\"", "\"kind\"", "\"native\"",
    "\"foreign\"", "\"abi\"", "\"minimum\"", "\"maximum\"", "\"files\"", "\"platform\"", "\"path\"", "\"system\"",
    "\"sha256\"", "\"linux-x86_64\"", "\"linux-aarch64\"", "\"owner\"", "\"revenue_share\"", "\"split\"",
    "\"currency\"", "\"permissions\"", "\"network\"", "\"read\"", "\"environment\"", "\"memory_bytes\"",
    "\"output_bytes\"", "\"deadline_ms\"", "\"descriptors\"", "\"store\"", "\"config\"", "\"secret\"", "\"requires\"",
    "\"tools\"", "\"name\"", "\"pricing\"", "\"cost\"", "\"per\"", "\"usage\"", "\"units\"", "\"bytes:data\"",
    "\"value:level\"", "\"input\"", "\"output\"", "\"json\"", "\"text\"", "\"bytes\"", "\"symbol\"", "\"signature\"",
    "\"i32(out:u64* dest, bytes:u64 data, i32 level)\"", "\"success\"", "\"equal\"", "\"capacity\"", "\"of\"",
    "\"percent\"", "\"plus\"", "\"input_schema\"", "\"output_schema\"", "\"type\"", "\"object\"", "\"properties\"",
    "\"required\"", "\"items\"", "\"enum\"", "\"pattern\"", "\"additionalProperties\"", "\"org.example.echo\"",
    "\"1.0.0\"", "\"1.0\"", "\"libecho.so\"", "\"libz.so.1\"",
    "\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"", "0", "1", "64", "1048576", "-1",
    "9223372036854775807", "true", "false", "null", "{}", "[]", "\"\"",
    NULL};

static buffer input, first, names;

static farebox_status inspect(farebox_engine *engine, const void *manifest, size_t size, const char **out)
{
    buffer_clear(&input);
    buffer_print(&input, "{\"manifest\":");
    buffer_quote(&input, manifest, size);
    buffer_print(&input, "}");
    return call_checked(engine, FAREBOX_STR("plugin.inspect"), (farebox_str){input.bytes, input.count}, out);
}

/* A plugin that is not there. */
static const struct farebox_plugin *no_entry(void)
{
    return NULL;
}

static void quote_each(farebox_engine *engine, const void *manifest, size_t size, const char *tools)
{
    buffer_clear(&names);
    buffer_add(&names, tools, strlen(tools));
    const char *at = names.bytes;
    for (int count = 0; count < 8 && (at = strchr(at, '"')) != NULL; count++) {
        const char *end = at + 1;
        while (*end != '\0' && *end != '"') {
            end += *end == '\\' && end[1] != '\0' ? 2 : 1;
        }
        buffer_clear(&input);
        buffer_print(&input, "{\"usage\":{\"units\":\"4.5\"},\"tool\":");
        buffer_add(&input, at, (size_t)(end - at) + 1);
        buffer_print(&input, ",\"manifest\":");
        buffer_quote(&input, manifest, size);
        buffer_print(&input, "}");
        const farebox_status status =
            call_checked(engine, FAREBOX_STR("plugin.quote"), (farebox_str){input.bytes, input.count}, NULL);
        REQUIRE(status != FAREBOX_TOOL_NOT_FOUND && status != FAREBOX_PLUGIN_MANIFEST,
                "a tool that is listed is not there: %.200s", at);
        at = *end == '\0' ? end : end + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    farebox_engine *engine = open_empty(0, FAREBOX_DURABILITY_DEFAULT);
    const int64_t before = count_records(engine);
    const char *out = NULL;
    const farebox_status status = inspect(engine, data, size, &out);
    const int is_taken = status == FAREBOX_OK;
    int is_native = 0;
    if (is_taken) {
        const farebox_str tools = json_value(out, "tools");
        REQUIRE(tools.ptr != NULL, "%s", out);
        is_native = strstr(out, "\"kind\":\"native\"") != NULL;
        buffer_clear(&first);
        const farebox_str manifest = json_value(out, "manifest");
        REQUIRE(manifest.ptr != NULL, "%s", out);
        buffer_add(&first, manifest.ptr, manifest.len);
        static buffer listed;
        buffer_clear(&listed);
        buffer_add(&listed, tools.ptr, tools.len);
        quote_each(engine, data, size, listed.bytes);
        REQUIRE(inspect(engine, first.bytes, first.count, &out) == FAREBOX_OK, "it refuses its own manifest %s",
                first.bytes);
        const farebox_str again = json_value(out, "manifest");
        REQUIRE(again.len == first.count && memcmp(again.ptr, first.bytes, again.len) == 0, "another manifest: %s",
                first.bytes);
    }
    REQUIRE(count_records(engine) == before, "looking at a manifest left records");
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status registered =
        farebox_register_plugin(engine, (farebox_str){(const char *)data, size}, no_entry, &error);
    check_answer(registered, &error);
    REQUIRE(registered != FAREBOX_OK, "a plugin that is not there was registered");
    if (is_taken && is_native) {
        /* It gives no table; or its schema wants a configuration, and there is none. */
        REQUIRE(registered == FAREBOX_PLUGIN_BROKEN || registered == FAREBOX_INVALID_ARGUMENT,
                "a manifest that can be inspected is refused with %s: %s", farebox_status_name(registered),
                error.message);
    } else {
        REQUIRE(registered == FAREBOX_PLUGIN_MANIFEST || size > 1 << 20,
                "a manifest that cannot be inspected is refused with %s", farebox_status_name(registered));
        REQUIRE(count_records(engine) == before, "a manifest that was refused left records");
    }
    close_sound(engine);
    return 0;
}

/* Plugin policies: any bytes are set as the policy of the process.
 *
 * Promises: a policy that is refused changes nothing, so that one that was set before can be set again; one that is taken can
 * be set again; and no policy is taken after one that is taken allowed less. The policy is the process's and only
 * tightens, so that an input may be refused here for what another has set; how it is read does not depend on that. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    "\"directories\"", "\"trust\"", "\"keys\"", "\"pins\"", "\"revoked\"", "\"in_process\"", "\"system_libraries\"",
    "\"permissions\"", "\"lock\"", "\"locked\"", "\"cache\"", "\"worker\"", "\"processes\"", "\"network\"", "\"read\"",
    "\"write\"", "\"environment\"", "\"subprocess\"", "\"store\"", "\"memory_bytes\"", "\"output_bytes\"",
    "\"deadline_ms\"", "\"descriptors\"", "\"signed\"", "\"pinned\"", "\"unsigned\"", "\"built-in\"", "\"/\"", "\"/opt\"",
    "\"/opt/plugins\"", "\"/a/../b\"", "\"org.example.echo\"", "\"org.example.echo@1.2.0\"", "\"LANG\"", "\"LD_PRELOAD\"",
    "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"",
    "\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"", "0", "1", "16", "17", "64", "1048576", "268435456",
    "-1", "9223372036854775807", "true", "false", "null", "{}", "[]", "\"\"",
    NULL};

/* The policy that was taken last. */
static buffer taken;

static farebox_status set(const void *policy, size_t size)
{
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_set_plugin_policy((farebox_str){policy, size}, &error);
    check_answer(status, &error);
    switch (status) {
    case FAREBOX_OK:
    case FAREBOX_INVALID_ARGUMENT:
    case FAREBOX_UNKNOWN_FIELD:
    case FAREBOX_MISSING_FIELD:
    case FAREBOX_TOO_LONG:
    case FAREBOX_INVALID_UTF8:
    case FAREBOX_INVALID_JSON:
    case FAREBOX_PLUGIN_POLICY:
        return status;
    default:
        fuzz_fail(__FILE__, __LINE__, "a status of the function", "%s", farebox_status_name(status));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const farebox_status status = set(data, size);
    if (status == FAREBOX_OK) {
        REQUIRE(set(data, size) == FAREBOX_OK, "a policy cannot be set again");
        /* The one before allows as much or more. */
        if (taken.count > 0 && set(taken.bytes, taken.count) == FAREBOX_OK) {
            REQUIRE(set(data, size) == FAREBOX_OK, "two policies that each follow the other are not the same");
        }
        buffer_clear(&taken);
        buffer_add(&taken, data, size);
    } else if (taken.count > 0) {
        REQUIRE(set(taken.bytes, taken.count) == FAREBOX_OK, "a policy that was refused changed the one that is set");
    }
    return 0;
}

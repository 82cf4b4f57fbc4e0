/* Tools whose answers are not what their manifest, or the header, promises. */
#include "hostile.h"

/* Any number as the status, with output. */
farebox_plugin_status unknown_status(const farebox_plugin_call *call)
{
    say(call->output, "{}");
    return (farebox_plugin_status)number(call->input, "status", 4242);
}

farebox_plugin_status no_output(const farebox_plugin_call *call)
{
    (void)call;
    return FAREBOX_PLUGIN_STATUS_OK;
}

farebox_plugin_status invalid_utf8(const farebox_plugin_call *call)
{
    return say(call->output, "{\"text\":\"\xff\xfe\xc0\x80\xed\xa0\x80\"}");
}

farebox_plugin_status invalid_json(const farebox_plugin_call *call)
{
    return say(call->output, "{\"text\":");
}

/* `depth` arrays, one in another. */
farebox_plugin_status deep_json(const farebox_plugin_call *call)
{
    const long long depth = number(call->input, "depth", 100000);
    farebox_plugin_status status = FAREBOX_PLUGIN_STATUS_OK;
    for (long long k = 0; status == FAREBOX_PLUGIN_STATUS_OK && k < 2 * depth; k++) {
        status = call->output->write(call->output, k < depth ? "[" : "]", 1);
    }
    return status;
}

farebox_plugin_status two_values(const farebox_plugin_call *call)
{
    return say(call->output, "{\"ok\":true} {\"ok\":false}");
}

/* The manifest promises {"ok": a boolean}. */
farebox_plugin_status wrong_output(const farebox_plugin_call *call)
{
    return say(call->output, "{\"ok\":\"yes\",\"more\":1}");
}

farebox_plugin_status huge_number(const farebox_plugin_call *call)
{
    return say(call->output,
               "{\"number\":1e999999999,\"digits\":123456789012345678901234567890,\"same\":1,\"same\":2}");
}

/* The manifest promises text. */
farebox_plugin_status text_invalid(const farebox_plugin_call *call)
{
    return say(call->output, "text \xc3\x28 that is not UTF-8");
}

/* The manifest promises bytes: there is nothing wrong with these. */
farebox_plugin_status bytes_any(const farebox_plugin_call *call)
{
    return call->output->write(call->output, "\xff\x00\xfe", 3);
}

farebox_plugin_status error_invalid(const farebox_plugin_call *call)
{
    call->error->write(call->error, "\xff\xfe\x00\x1b[31m\n", 9);
    return FAREBOX_PLUGIN_STATUS_FAILED;
}

/* A sentence of failure, and success. */
farebox_plugin_status error_then_ok(const farebox_plugin_call *call)
{
    say(call->error, "this is not true");
    return say(call->output, "{\"ok\":true}");
}

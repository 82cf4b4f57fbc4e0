/* org.farebox.example.text - a plugin to copy: three tools over text, each charged in its own way.
 *
 *   text.count      bytes, characters, words and lines; a price for each call
 *   text.slug       a title as a part of an address; a price for each call, and a configuration
 *   text.distance   how many edits lie between two texts; a price for each unit, which is counted here
 *
 * The manifest beside this file says all of that to the host; what stands in both must agree. */
#include "json.h"

#include <farebox_plugin.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct plugin {
    const farebox_plugin_meter *meter;
    const farebox_plugin_store *store;
    const farebox_plugin_cancel *cancel;
    char separator;    /* of a slug */
    size_t slug_bytes; /* of a slug, at most */
} plugin;

/* Says why a call fails, for a person, and gives the status. */
static farebox_plugin_status refuse(const farebox_plugin_call *call, farebox_plugin_status status, const char *why)
{
    call->error->write(call->error, why, strlen(why));
    return status;
}

/* The text of a member of the input, for free(). */
static char *input_text(const farebox_plugin_call *call, const char *name, size_t *len)
{
    farebox_plugin_str value;
    return json_member(call->input, name, &value) ? json_text(value, len) : NULL;
}

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whether a byte begins a character of UTF-8. */
static int begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* ---- text.count ---- */

/* A sink of our own, for what the store gives. */
typedef struct number_text {
    char digits[24];
    size_t len;
} number_text;

static farebox_plugin_status keep_digits(const farebox_plugin_sink *sink, const void *bytes, size_t len)
{
    number_text *number = sink->context;
    if (len >= sizeof number->digits - number->len) {
        return FAREBOX_PLUGIN_STATUS_FULL;
    }
    memcpy(number->digits + number->len, bytes, len);
    number->len += len;
    return FAREBOX_PLUGIN_STATUS_OK;
}

/* Adds to a number that the host keeps for this plugin. It is kept only where the call succeeds. */
static farebox_plugin_status add_to_store(const plugin *self, const farebox_plugin_call *call, uint64_t *total)
{
    static const farebox_plugin_str key = FAREBOX_PLUGIN_STR("words");
    number_text number = {{0}, 0};
    const farebox_plugin_sink sink = {sizeof sink, 0, &number, keep_digits};
    const farebox_plugin_status found = self->store->get(call, key, &sink);
    if (found != FAREBOX_PLUGIN_STATUS_OK && found != FAREBOX_PLUGIN_STATUS_NOT_FOUND) {
        return found;
    }
    *total += strtoull(number.digits, NULL, 10);
    const int len = snprintf(number.digits, sizeof number.digits, "%llu", (unsigned long long)*total);
    return self->store->set(call, key, (farebox_plugin_str){number.digits, (size_t)len});
}

static farebox_plugin_status count(const plugin *self, const farebox_plugin_call *call)
{
    size_t len = 0;
    char *text = input_text(call, "text", &len);
    if (text == NULL) {
        return refuse(call, FAREBOX_PLUGIN_STATUS_INVALID_INPUT, "input.text is not a text");
    }
    uint64_t characters = 0, words = 0, lines = len > 0;
    for (size_t k = 0; k < len; k++) {
        characters += (uint64_t)begins_character(text[k]);
        words += !is_space(text[k]) && (k == 0 || is_space(text[k - 1]));
        lines += text[k] == '\n' && k + 1 < len;
    }
    free(text);

    farebox_plugin_status status =
        json_print(call->output, "{\"bytes\":%zu,\"characters\":%llu,\"words\":%llu,\"lines\":%llu", len,
                   (unsigned long long)characters, (unsigned long long)words, (unsigned long long)lines);
    /* A host without a store, or one that does not grant it, gets the rest. */
    uint64_t total = words;
    if (status == FAREBOX_PLUGIN_STATUS_OK && self->store != NULL &&
        add_to_store(self, call, &total) == FAREBOX_PLUGIN_STATUS_OK) {
        status = json_print(call->output, ",\"words_ever\":%llu", (unsigned long long)total);
    }
    return status == FAREBOX_PLUGIN_STATUS_OK ? json_print(call->output, "}") : status;
}

/* ---- text.slug ---- */

static farebox_plugin_status slug(const plugin *self, const farebox_plugin_call *call)
{
    size_t len = 0;
    char *text = input_text(call, "text", &len);
    if (text == NULL) {
        return refuse(call, FAREBOX_PLUGIN_STATUS_INVALID_INPUT, "input.text is not a text");
    }
    size_t out = 0; /* never beyond what has been read, so that one buffer is enough */
    int gap = 0;
    for (size_t k = 0; k < len; k++) {
        char c = text[k];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c | 0x20);
        }
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (unsigned char)c < 0x80) {
            gap = out > 0;
            continue;
        }
        if (gap) {
            text[out++] = self->separator;
            gap = 0;
        }
        text[out++] = c;
    }
    if (out > self->slug_bytes) {
        for (out = self->slug_bytes; out > 0 && !begins_character(text[out]); out--) {
        }
        while (out > 0 && text[out - 1] == self->separator) {
            out--;
        }
    }
    farebox_plugin_status status = json_print(call->output, "{\"slug\":");
    if (status == FAREBOX_PLUGIN_STATUS_OK) {
        status = json_print_text(call->output, text, out);
    }
    free(text);
    return status == FAREBOX_PLUGIN_STATUS_OK ? json_print(call->output, "}") : status;
}

/* ---- text.distance ---- */

enum { COMPARISONS_OF_A_UNIT = 1000 };

/* The characters of a text as their bytes in UTF-8, which tells them apart; for free(). */
static uint32_t *characters_of(const char *text, size_t len, size_t *count)
{
    uint32_t *out = malloc((len + 1) * sizeof *out);
    *count = 0;
    for (size_t k = 0; out != NULL && k < len; k++) {
        if (begins_character(text[k]) || *count == 0) {
            out[(*count)++] = (unsigned char)text[k];
        } else {
            out[*count - 1] = out[*count - 1] << 8 | (unsigned char)text[k];
        }
    }
    return out;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Counts edits row by row. `row` has b_count + 1 places. Asks before each row whether to go on. */
static farebox_plugin_status edits(const plugin *self, const farebox_plugin_call *call, const uint32_t *a,
                                   size_t a_count, const uint32_t *b, size_t b_count, size_t *row)
{
    for (size_t k = 0; k <= b_count; k++) {
        row[k] = k;
    }
    for (size_t i = 0; i < a_count; i++) {
        if (self->cancel != NULL && self->cancel->cancelled(call)) {
            return FAREBOX_PLUGIN_STATUS_CANCELLED;
        }
        size_t corner = row[0]++;
        for (size_t k = 0; k < b_count; k++) {
            const size_t replaced = corner + (a[i] != b[k]);
            corner = row[k + 1];
            row[k + 1] = least(replaced, 1 + least(row[k], row[k + 1]));
        }
    }
    return FAREBOX_PLUGIN_STATUS_OK;
}

/* Tells the host what was used; the price makes money of it. */
static farebox_plugin_status charge_comparisons(const plugin *self, const farebox_plugin_call *call,
                                                uint64_t comparisons)
{
    if (self->meter == NULL) {
        return FAREBOX_PLUGIN_STATUS_UNAVAILABLE;
    }
    const uint64_t units = (comparisons + COMPARISONS_OF_A_UNIT - 1) / COMPARISONS_OF_A_UNIT;
    return self->meter->add(call, (farebox_plugin_str)FAREBOX_PLUGIN_STR("units"), (int64_t)units, 0);
}

static farebox_plugin_status distance(const plugin *self, const farebox_plugin_call *call)
{
    size_t a_len = 0, b_len = 0, a_count = 0, b_count = 0;
    char *a_text = input_text(call, "a", &a_len);
    char *b_text = input_text(call, "b", &b_len);
    uint32_t *a = a_text == NULL ? NULL : characters_of(a_text, a_len, &a_count);
    uint32_t *b = b_text == NULL ? NULL : characters_of(b_text, b_len, &b_count);
    size_t *row = malloc((b_count + 1) * sizeof *row);

    farebox_plugin_status status = FAREBOX_PLUGIN_STATUS_OK;
    if (a_text == NULL || b_text == NULL) {
        status = refuse(call, FAREBOX_PLUGIN_STATUS_INVALID_INPUT, "input.a and input.b must be texts");
    } else if (a == NULL || b == NULL || row == NULL) {
        status = refuse(call, FAREBOX_PLUGIN_STATUS_UNAVAILABLE, "there is not enough memory");
    } else {
        status = edits(self, call, a, a_count, b, b_count, row);
    }
    if (status == FAREBOX_PLUGIN_STATUS_OK) {
        status = charge_comparisons(self, call, (uint64_t)a_count * b_count);
    }
    if (status == FAREBOX_PLUGIN_STATUS_OK) {
        status = json_print(call->output, "{\"distance\":%zu}", row[b_count]);
    }
    free(row);
    free(b);
    free(a);
    free(b_text);
    free(a_text);
    return status;
}

/* ---- The plugin ---- */

static const void *service(const farebox_plugin_host *host, const char *id)
{
    return host->service(host, (farebox_plugin_str){id, strlen(id)});
}

/* Takes a configuration that the host has checked against the manifest's schema. */
static farebox_plugin_status configure(void *instance, farebox_plugin_str config)
{
    plugin *self = instance;
    farebox_plugin_str separator;
    self->separator = json_member(config, "separator", &separator) && separator.len == 3 ? separator.ptr[1] : '-';
    self->slug_bytes = (size_t)json_integer(config, "slug_bytes", 80);
    return FAREBOX_PLUGIN_STATUS_OK;
}

static farebox_plugin_status init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    plugin *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return FAREBOX_PLUGIN_STATUS_UNAVAILABLE;
    }
    self->meter = service(host, FAREBOX_PLUGIN_METER);
    self->store = service(host, FAREBOX_PLUGIN_STORE);
    self->cancel = service(host, FAREBOX_PLUGIN_CANCEL);
    configure(self, config);
    const farebox_plugin_log *log = service(host, FAREBOX_PLUGIN_LOG);
    if (log != NULL) {
        log->write(host, FAREBOX_PLUGIN_LOG_INFO, (farebox_plugin_str)FAREBOX_PLUGIN_STR("ready"));
    }
    *instance = self;
    return FAREBOX_PLUGIN_STATUS_OK;
}

static void shutdown(void *instance)
{
    free(instance);
}

typedef farebox_plugin_status tool_function(const plugin *self, const farebox_plugin_call *call);

/* In the same order. */
static const farebox_plugin_str tools[] = {
    FAREBOX_PLUGIN_STR("text.count"),
    FAREBOX_PLUGIN_STR("text.slug"),
    FAREBOX_PLUGIN_STR("text.distance"),
};
static tool_function *const functions[] = {count, slug, distance};
enum { TOOLS = sizeof tools / sizeof tools[0] };

static farebox_plugin_status call_tool(void *instance, const farebox_plugin_call *call)
{
    for (size_t k = 0; k < TOOLS; k++) {
        if (tools[k].len == call->tool.len && memcmp(tools[k].ptr, call->tool.ptr, call->tool.len) == 0) {
            return functions[k](instance, call);
        }
    }
    return FAREBOX_PLUGIN_STATUS_UNKNOWN_TOOL;
}

const farebox_plugin *farebox_plugin_entry(void)
{
    static const farebox_plugin table = {
        .struct_size = sizeof table,
        .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
        .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
        .id = FAREBOX_PLUGIN_STR("org.farebox.example.text"),
        .version = FAREBOX_PLUGIN_STR("1.0.0"),
        .tools = tools,
        .tool_count = TOOLS,
        .init = init,
        .call = call_tool,
        .shutdown = shutdown,
        .configure = configure,
    };
    return &table;
}

/* The services that drive.c gives a plugin, as Include/farebox_plugin.h describes them, and one call. */
#ifndef DRIVE_H
#define DRIVE_H

#include <farebox_plugin.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    const char *config;
    int64_t milliseconds;
    size_t output_bytes;
    int grants_store;
} settings = {"{}", 2000, 1 << 20, 1};

/* What plugins did after a call has ended, and log lines beyond what is taken. */
static int late_writes, dropped_logs;

/* ---- Text ---- */

static void print_text(const char *bytes, size_t len)
{
    putchar('"');
    for (size_t k = 0; k < len; k++) {
        const unsigned char c = (unsigned char)bytes[k];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static int is_text(farebox_plugin_str text, const char *literal)
{
    return text.len == strlen(literal) && memcmp(text.ptr, literal, text.len) == 0;
}

/* ---- Sinks ---- */

typedef struct buffer {
    char *bytes;
    size_t len, limit, capacity;
    int full, live;
} buffer;

static farebox_plugin_status write_buffer(const farebox_plugin_sink *sink, const void *bytes, size_t len)
{
    buffer *out = sink->context;
    if (!out->live) {
        late_writes++;
        return FAREBOX_PLUGIN_STATUS_FULL;
    }
    if (out->full || len > out->limit - out->len || (len > 0 && bytes == NULL)) {
        out->full = 1;
        return FAREBOX_PLUGIN_STATUS_FULL;
    }
    if (len > out->capacity - out->len) {
        const size_t capacity = (out->len + len) * 2;
        char *grown = realloc(out->bytes, capacity);
        if (grown == NULL) {
            out->full = 1;
            return FAREBOX_PLUGIN_STATUS_FULL;
        }
        out->bytes = grown;
        out->capacity = capacity;
    }
    if (len > 0) {
        memcpy(out->bytes + out->len, bytes, len);
    }
    out->len += len;
    return FAREBOX_PLUGIN_STATUS_OK;
}

/* Static, so that a plugin that keeps them does no harm; of one call at a time. */
static buffer output, sentence;
static const farebox_plugin_sink output_sink = {sizeof output_sink, 0, &output, write_buffer};
static const farebox_plugin_sink error_sink = {sizeof error_sink, 0, &sentence, write_buffer};

/* ---- Log, config, clock ---- */

static const farebox_plugin_host host;

static int64_t clock_of(clockid_t id, int64_t units)
{
    struct timespec now;
    clock_gettime(id, &now);
    return now.tv_sec * units + now.tv_nsec / (1000000000 / units);
}

static int64_t wall(const farebox_plugin_host *of)
{
    (void)of;
    return clock_of(CLOCK_REALTIME, 1000000);
}

static int64_t steady(const farebox_plugin_host *of)
{
    (void)of;
    return clock_of(CLOCK_MONOTONIC, 1000000000);
}

static void write_log(const farebox_plugin_host *of, int32_t level, farebox_plugin_str message)
{
    static int64_t second, lines;
    const int64_t now = steady(of) / 1000000000;
    lines = now == second ? lines + 1 : 1;
    second = now;
    if (lines > 100) {
        dropped_logs++;
        return;
    }
    const size_t len = message.ptr == NULL ? 0 : message.len < 4096 ? message.len : 4096;
    fprintf(stderr, "log %d: %.*s\n", level, (int)len, len == 0 ? "" : message.ptr);
}

static farebox_plugin_status get_config(const farebox_plugin_host *of, farebox_plugin_str name,
                                        const farebox_plugin_sink *out)
{
    (void)of;
    return name.len > 0 ? FAREBOX_PLUGIN_STATUS_NOT_FOUND : out->write(out, settings.config, strlen(settings.config));
}

/* ---- Meter ---- */

static const char *const meters[] = {
    "requests", "units", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "images", "value",
};
enum { METERS = sizeof meters / sizeof meters[0] };
static int64_t counts[METERS], micros[METERS];

static farebox_plugin_status add(const farebox_plugin_call *call, farebox_plugin_str meter, int64_t count,
                                 uint32_t micro)
{
    (void)call;
    for (int k = 0; k < METERS; k++) {
        if (!is_text(meter, meters[k])) {
            continue;
        }
        int64_t sum;
        const int64_t fraction = micros[k] + micro;
        if (count < 0 || (micro > 0 && strcmp(meters[k], "units") != 0) || micro >= 1000000 ||
            __builtin_add_overflow(counts[k], count, &sum) || __builtin_add_overflow(sum, fraction / 1000000, &sum)) {
            return FAREBOX_PLUGIN_STATUS_INVALID_INPUT;
        }
        counts[k] = sum;
        micros[k] = fraction % 1000000;
        return FAREBOX_PLUGIN_STATUS_OK;
    }
    return FAREBOX_PLUGIN_STATUS_INVALID_INPUT;
}

/* ---- Store: what is kept, and behind it what the call has set ---- */

enum { ENTRIES = 64, SETS = 16, KEY_BYTES = 128, VALUE_BYTES = 4096 };

typedef struct entry {
    char key[KEY_BYTES + 1], value[VALUE_BYTES];
    size_t len;
} entry;

static entry kept[ENTRIES], staged[SETS];
static int kept_count, staged_count;

static entry *find(entry *entries, int count, farebox_plugin_str key)
{
    for (int k = count - 1; k >= 0; k--) {
        if (is_text(key, entries[k].key)) {
            return &entries[k];
        }
    }
    return NULL;
}

static farebox_plugin_status get(const farebox_plugin_call *call, farebox_plugin_str key,
                                 const farebox_plugin_sink *out)
{
    (void)call;
    if (!settings.grants_store) {
        return FAREBOX_PLUGIN_STATUS_DENIED;
    }
    const entry *found = find(staged, staged_count, key);
    found = found != NULL ? found : find(kept, kept_count, key);
    return found == NULL || found->len == 0 ? FAREBOX_PLUGIN_STATUS_NOT_FOUND
                                            : out->write(out, found->value, found->len);
}

static farebox_plugin_status set(const farebox_plugin_call *call, farebox_plugin_str key, farebox_plugin_str value)
{
    (void)call;
    if (!settings.grants_store) {
        return FAREBOX_PLUGIN_STATUS_DENIED;
    }
    if (key.ptr == NULL || key.len == 0 || key.len > KEY_BYTES || memchr(key.ptr, 0, key.len) != NULL ||
        value.len > VALUE_BYTES) {
        return FAREBOX_PLUGIN_STATUS_INVALID_INPUT;
    }
    if (staged_count == SETS) {
        return FAREBOX_PLUGIN_STATUS_FULL;
    }
    entry *to = &staged[staged_count++];
    memset(to, 0, sizeof *to);
    memcpy(to->key, key.ptr, key.len);
    if (value.ptr != NULL) {
        memcpy(to->value, value.ptr, to->len = value.len);
    }
    return FAREBOX_PLUGIN_STATUS_OK;
}

static void keep_staged(void)
{
    for (int k = 0; k < staged_count; k++) {
        const farebox_plugin_str key = {staged[k].key, strlen(staged[k].key)};
        entry *to = find(kept, kept_count, key);
        if (to == NULL && kept_count < ENTRIES) {
            to = &kept[kept_count++];
        }
        if (to != NULL) {
            *to = staged[k];
        }
    }
}

/* ---- Cancel, and all of them by their ids ---- */

static int32_t cancelled(const farebox_plugin_call *call)
{
    return steady(&host) >= call->deadline;
}

static const void *service(const farebox_plugin_host *of, farebox_plugin_str id)
{
    static const farebox_plugin_log log = {sizeof log, write_log};
    static const farebox_plugin_config config = {sizeof config, get_config};
    static const farebox_plugin_clock clock = {sizeof clock, wall, steady};
    static const farebox_plugin_meter meter = {sizeof meter, add};
    static const farebox_plugin_store store = {sizeof store, get, set};
    static const farebox_plugin_cancel cancel = {sizeof cancel, cancelled};
    (void)of;
    return is_text(id, FAREBOX_PLUGIN_LOG)      ? (const void *)&log
           : is_text(id, FAREBOX_PLUGIN_CONFIG) ? (const void *)&config
           : is_text(id, FAREBOX_PLUGIN_CLOCK)  ? (const void *)&clock
           : is_text(id, FAREBOX_PLUGIN_METER)  ? (const void *)&meter
           : is_text(id, FAREBOX_PLUGIN_STORE)  ? (const void *)&store
           : is_text(id, FAREBOX_PLUGIN_CANCEL) ? (const void *)&cancel
                                                : NULL;
}

static const farebox_plugin_host host = {sizeof host, FAREBOX_PLUGIN_ABI_MAJOR, FAREBOX_PLUGIN_ABI_MINOR, NULL,
                                         service};

/* ---- A call ---- */

static void begin(size_t output_bytes)
{
    output.len = sentence.len = 0;
    output.full = sentence.full = 0;
    output.live = sentence.live = 1;
    output.limit = output_bytes;
    sentence.limit = 1024;
    staged_count = 0;
    memset(counts, 0, sizeof counts);
    memset(micros, 0, sizeof micros);
}

static void print_outcome(const char *tool, farebox_plugin_status status)
{
    printf("{\"tool\":");
    print_text(tool, strlen(tool));
    printf(",\"status\":%d,\"output\":", status);
    print_text(output.bytes, output.len);
    printf(",\"error\":");
    print_text(sentence.bytes, sentence.len);
    printf(",\"full\":%s,\"usage\":{", output.full ? "true" : "false");
    const char *separator = "";
    for (int k = 0; k < METERS; k++) {
        if (counts[k] != 0 || micros[k] != 0) {
            printf("%s\"%s\":\"%lld.%06lld\"", separator, meters[k], (long long)counts[k], (long long)micros[k]);
            separator = ",";
        }
    }
    printf("}}\n");
}

/* Runs a tool and prints what came of it. What a failed call has set in the store is forgotten. */
static void call_tool(const farebox_plugin *plugin, void *instance, const char *tool, const char *input)
{
    begin(settings.output_bytes);
    const farebox_plugin_call call = {
        .struct_size = sizeof call,
        .tool = {tool, strlen(tool)},
        .input = {input, strlen(input)},
        .account = FAREBOX_PLUGIN_STR("user:ana"),
        .run = FAREBOX_PLUGIN_STR("run-1"),
        .call = FAREBOX_PLUGIN_STR("call-1"),
        .deadline = steady(&host) + settings.milliseconds * 1000000,
        .output = &output_sink,
        .error = &error_sink,
    };
    const farebox_plugin_status status = plugin->call(instance, &call);
    output.live = sentence.live = 0;
    if (status == FAREBOX_PLUGIN_STATUS_OK) {
        keep_staged();
    }
    print_outcome(tool, status);
}

#endif

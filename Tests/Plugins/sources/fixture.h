/* What the plugins of this folder share: services, and reading and writing their simple JSON. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <farebox_plugin.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STR(literal) ((farebox_plugin_str)FAREBOX_PLUGIN_STR(literal))

/* What the host has; NULL where it has it not. */
typedef struct services {
    const farebox_plugin_host *host;
    const farebox_plugin_log *log;
    const farebox_plugin_config *config;
    const farebox_plugin_clock *clock;
    const farebox_plugin_meter *meter;
    const farebox_plugin_store *store;
    const farebox_plugin_cancel *cancel;
} services;

static inline services find_services(const farebox_plugin_host *host)
{
    return (services){
        .host = host,
        .log = host->service(host, STR(FAREBOX_PLUGIN_LOG)),
        .config = host->service(host, STR(FAREBOX_PLUGIN_CONFIG)),
        .clock = host->service(host, STR(FAREBOX_PLUGIN_CLOCK)),
        .meter = host->service(host, STR(FAREBOX_PLUGIN_METER)),
        .store = host->service(host, STR(FAREBOX_PLUGIN_STORE)),
        .cancel = host->service(host, STR(FAREBOX_PLUGIN_CANCEL)),
    };
}

static inline int same_text(farebox_plugin_str text, const char *literal)
{
    return text.len == strlen(literal) && memcmp(text.ptr, literal, text.len) == 0;
}

/* Where the value of a member begins, or NULL; of inputs without nesting, whose texts hold no name of a member. */
static inline const char *member(farebox_plugin_str input, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = input.ptr, *end = at + input.len; at + len + 2 < end; at++) {
        if (*at == '"' && memcmp(at + 1, name, len) == 0 && at[len + 1] == '"') {
            for (at += len + 2; at < end && (*at == ' ' || *at == ':'); at++) {
            }
            return at < end ? at : NULL;
        }
    }
    return NULL;
}

/* The whole number of a member, or `otherwise`. */
static inline long long number(farebox_plugin_str input, const char *name, long long otherwise)
{
    const char *at = member(input, name);
    char digits[24] = {0};
    size_t len = 0;
    while (at != NULL && at < input.ptr + input.len && len < sizeof digits - 1 &&
           ((*at >= '0' && *at <= '9') || (*at == '-' && len == 0))) {
        digits[len++] = *at++;
    }
    return len == 0 ? otherwise : strtoll(digits, NULL, 10);
}

/* The text of a member, without escapes, ending in NUL and cut to `size`; `otherwise` where there is none. */
static inline const char *text_of(farebox_plugin_str input, const char *name, const char *otherwise, char *out,
                                  size_t size)
{
    const char *at = member(input, name);
    if (at == NULL || *at != '"') {
        return otherwise;
    }
    size_t len = 0;
    for (at++; at < input.ptr + input.len && *at != '"' && len + 1 < size; at++) {
        out[len++] = *at;
    }
    out[len] = '\0';
    return out;
}

/* Writes what printf would; at most 4,095 bytes. */
__attribute__((format(printf, 2, 3))) static inline farebox_plugin_status say(const farebox_plugin_sink *sink,
                                                                              const char *format, ...)
{
    char buffer[4096];
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return sink->write(sink, buffer, len < (int)sizeof buffer ? (size_t)len : sizeof buffer - 1);
}

/* A tool and what runs it. */
typedef struct tool {
    const char *name;
    farebox_plugin_status (*run)(const farebox_plugin_call *call);
} tool;

/* The names of tools, for the table of a plugin. */
static inline const farebox_plugin_str *names_of(const tool *tools, uint32_t count, farebox_plugin_str *out)
{
    for (uint32_t k = 0; k < count; k++) {
        out[k] = (farebox_plugin_str){tools[k].name, strlen(tools[k].name)};
    }
    return out;
}

static inline farebox_plugin_status run_tool(const tool *tools, uint32_t count, const farebox_plugin_call *call)
{
    for (uint32_t k = 0; k < count; k++) {
        if (same_text(call->tool, tools[k].name)) {
            return tools[k].run(call);
        }
    }
    return FAREBOX_PLUGIN_STATUS_UNKNOWN_TOOL;
}

#endif

/* json.h - as much JSON as a small plugin needs: a member of an object, a string, and writing both.
 *
 * A host has checked that the input is a JSON object that the tool's schema allows. What is read here is bounded by its
 * length all the same, so that nothing is read past it whatever it holds. */
#ifndef JSON_H
#define JSON_H

#include <farebox_plugin.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return at;
}

/* Behind the string that begins at `at`. */
static inline const char *json_skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end) {
            at++;
        }
    }
    return at < end ? at + 1 : end;
}

/* Behind the value that begins at `at`, however deeply nested it is. */
static inline const char *json_skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = json_skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']' || *at == ',' || *at == ':') {
            if (depth == 0) {
                return at;
            }
            depth -= *at == '}' || *at == ']';
            at++;
        } else {
            at++;
            continue;
        }
        if (depth == 0) {
            return at;
        }
    }
    return end;
}

static inline uint32_t json_hex(const char *at, const char *end)
{
    uint32_t value = 0;
    for (int k = 0; k < 4; k++) {
        const char *digits = "0123456789abcdef";
        const char *found = at + k < end && at[k] != '\0' ? strchr(digits, at[k] | 0x20) : NULL;
        if (found == NULL) {
            return 0xfffd;
        }
        value = value << 4 | (uint32_t)(found - digits);
    }
    return value;
}

/* Writes a character as UTF-8 and gives the end. */
static inline char *json_put(char *out, uint32_t character)
{
    if (character < 0x80) {
        *out++ = (char)character;
        return out;
    }
    if (character < 0x800) {
        *out++ = (char)(0xc0 | character >> 6);
    } else {
        if (character < 0x10000) {
            *out++ = (char)(0xe0 | character >> 12);
        } else {
            *out++ = (char)(0xf0 | character >> 18);
            *out++ = (char)(0x80 | (character >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (character >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (character & 0x3f));
    return out;
}

/* The character of the \u escape whose digits begin at *at, which moves behind it, or behind both of a pair. */
static inline uint32_t json_escaped(const char **at, const char *end)
{
    const uint32_t first = json_hex(*at, end);
    *at = end - *at < 4 ? end : *at + 4;
    if (first < 0xd800 || first > 0xdfff) {
        return first;
    }
    if (first < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        const uint32_t second = json_hex(*at + 2, end);
        if (second >= 0xdc00 && second <= 0xdfff) {
            *at += 6;
            return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        }
    }
    return 0xfffd;
}

/* The text of a JSON string, ending in NUL, for free(); NULL where there is no memory or it is no string. */
static inline char *json_text(farebox_plugin_str value, size_t *len)
{
    if (value.len < 2 || value.ptr[0] != '"') {
        return NULL;
    }
    char *text = malloc(value.len); /* no escape is shorter than what it stands for */
    if (text == NULL) {
        return NULL;
    }
    char *out = text;
    const char *end = value.ptr + value.len - 1;
    for (const char *at = value.ptr + 1; at < end;) {
        if (*at != '\\' || at + 1 == end) {
            *out++ = *at++;
            continue;
        }
        const char kind = at[1];
        at += 2;
        if (kind == 'u') {
            out = json_put(out, json_escaped(&at, end));
        } else {
            const char *found = strchr("b\bf\fn\nr\rt\t", kind);
            *out++ = found != NULL && kind >= 'a' ? found[1] : kind;
        }
    }
    *out = '\0';
    *len = (size_t)(out - text);
    return text;
}

/* Finds a member of an object and gives the JSON of its value; 0 where there is none. */
static inline int json_member(farebox_plugin_str object, const char *name, farebox_plugin_str *value)
{
    const char *end = object.ptr + object.len;
    const char *at = json_skip_space(object.ptr, end);
    while (at < end && (*at == '{' || *at == ',')) {
        const char *key = json_skip_space(at + 1, end);
        at = json_skip_value(key, end);
        size_t len = 0;
        char *text = json_text((farebox_plugin_str){key, (size_t)(at - key)}, &len);
        const int found = text != NULL && len == strlen(name) && memcmp(text, name, len) == 0;
        free(text);
        at = json_skip_space(at, end);
        const char *from = json_skip_space(at < end ? at + 1 : end, end);
        at = json_skip_value(from, end);
        if (found) {
            *value = (farebox_plugin_str){from, (size_t)(at - from)};
            return 1;
        }
        at = json_skip_space(at, end);
    }
    return 0;
}

/* The integer of a member, or `otherwise`. */
static inline long long json_integer(farebox_plugin_str object, const char *name, long long otherwise)
{
    char digits[24];
    farebox_plugin_str value;
    if (!json_member(object, name, &value) || value.len >= sizeof digits) {
        return otherwise;
    }
    memcpy(digits, value.ptr, value.len);
    digits[value.len] = '\0';
    return strtoll(digits, NULL, 10);
}

/* Writes what printf would; at most 511 bytes. */
__attribute__((format(printf, 2, 3))) static inline farebox_plugin_status json_print(const farebox_plugin_sink *sink,
                                                                                     const char *format, ...)
{
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return len < 0 || (size_t)len >= sizeof buffer ? FAREBOX_PLUGIN_STATUS_FAILED
                                                   : sink->write(sink, buffer, (size_t)len);
}

/* Writes a JSON string. */
static inline farebox_plugin_status json_print_text(const farebox_plugin_sink *sink, const char *text, size_t len)
{
    farebox_plugin_status status = sink->write(sink, "\"", 1);
    for (size_t k = 0; status == FAREBOX_PLUGIN_STATUS_OK && k < len;) {
        size_t plain = k;
        while (plain < len && (unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\') {
            plain++;
        }
        if (plain > k) {
            status = sink->write(sink, text + k, plain - k);
        } else {
            status = json_print(sink, "\\u%04x", (unsigned)(unsigned char)text[plain++]);
        }
        k = plain;
    }
    return status == FAREBOX_PLUGIN_STATUS_OK ? sink->write(sink, "\"", 1) : status;
}

#endif

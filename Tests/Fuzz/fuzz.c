#include "fuzz.h"

#include <stdarg.h>

void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: does not hold: %s: ", file, line, condition);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

/* ---- Text ---- */

int is_utf8(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0;
    while (at < size) {
        const uint8_t first = bytes[at];
        if (first < 0x80) {
            at++;
            continue;
        }
        const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        if (first < 0xc2 || first > 0xf4 || at + length > size) {
            return 0;
        }
        for (size_t k = 1; k < length; k++) {
            if ((bytes[at + k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        const uint8_t second = bytes[at + 1];
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
            (first == 0xf4 && second > 0x8f)) {
            return 0;
        }
        at += length;
    }
    return 1;
}

typedef struct reader {
    const char *at, *end;
    int depth;
} reader;

static void skip_blanks(reader *from)
{
    while (from->at < from->end && strchr(" \t\r\n", *from->at) != NULL && *from->at != '\0') {
        from->at++;
    }
}

static int take(reader *from, char character)
{
    if (from->at < from->end && *from->at == character) {
        from->at++;
        return 1;
    }
    return 0;
}

static int take_digits(reader *from)
{
    const char *start = from->at;
    while (from->at < from->end && *from->at >= '0' && *from->at <= '9') {
        from->at++;
    }
    return from->at > start;
}

static int take_string(reader *from)
{
    if (!take(from, '"')) {
        return 0;
    }
    while (from->at < from->end) {
        const uint8_t character = (uint8_t)*from->at++;
        if (character == '"') {
            return 1;
        }
        if (character < 0x20) {
            return 0;
        }
        if (character == '\\') {
            if (from->at >= from->end) {
                return 0;
            }
            const char escaped = *from->at++;
            if (escaped == 'u') {
                for (int k = 0; k < 4; k++) {
                    if (from->at >= from->end || strchr("0123456789abcdefABCDEF", *from->at) == NULL || *from->at == '\0') {
                        return 0;
                    }
                    from->at++;
                }
            } else if (escaped == '\0' || strchr("\"\\/bfnrt", escaped) == NULL) {
                return 0;
            }
        }
    }
    return 0;
}

static int take_number(reader *from)
{
    take(from, '-');
    if (!take(from, '0') && !take_digits(from)) {
        return 0;
    }
    if (take(from, '.') && !take_digits(from)) {
        return 0;
    }
    if (take(from, 'e') || take(from, 'E')) {
        if (!take(from, '+')) {
            take(from, '-');
        }
        return take_digits(from);
    }
    return 1;
}

static int take_word(reader *from, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(from->end - from->at) < length || memcmp(from->at, word, length) != 0) {
        return 0;
    }
    from->at += length;
    return 1;
}

static int take_value(reader *from)
{
    skip_blanks(from);
    if (from->at >= from->end || from->depth > 100) {
        return 0;
    }
    const char first = *from->at;
    if (first == '"') {
        return take_string(from);
    }
    if (first != '{' && first != '[') {
        return take_word(from, "true") || take_word(from, "false") || take_word(from, "null") || take_number(from);
    }
    const char last = first == '{' ? '}' : ']';
    from->at++;
    from->depth++;
    skip_blanks(from);
    if (!take(from, last)) {
        do {
            if (first == '{') {
                skip_blanks(from);
                if (!take_string(from)) {
                    return 0;
                }
                skip_blanks(from);
                if (!take(from, ':')) {
                    return 0;
                }
            }
            if (!take_value(from)) {
                return 0;
            }
            skip_blanks(from);
        } while (take(from, ','));
        if (!take(from, last)) {
            return 0;
        }
    }
    from->depth--;
    return 1;
}

int is_json(const char *text, size_t size)
{
    reader from = {text, text + size, 0};
    if (!take_value(&from)) {
        return 0;
    }
    skip_blanks(&from);
    return from.at == from.end && is_utf8(text, size);
}

farebox_str json_value(const char *json, const char *name)
{
    char pattern[80];
    snprintf(pattern, sizeof pattern, "\"%s\":", name);
    const char *found = strstr(json, pattern);
    if (found == NULL) {
        return (farebox_str){NULL, 0};
    }
    found += strlen(pattern);
    reader from = {found, found + strlen(found), 0};
    REQUIRE(take_value(&from), "%s has no value in %s", name, json);
    return (farebox_str){found, (size_t)(from.at - found)};
}

int64_t json_number(const char *json, const char *name)
{
    const farebox_str value = json_value(json, name);
    REQUIRE(value.ptr != NULL, "there is no %s in %s", name, json);
    return strtoll(value.ptr, NULL, 10);
}

void buffer_clear(buffer *text)
{
    text->count = 0;
    buffer_add(text, "", 0);
}

/* There is always a NUL behind the text. */
void buffer_add(buffer *text, const void *bytes, size_t count)
{
    if (text->count + count + 1 > text->capacity) {
        text->capacity = (text->count + count + 1) * 2;
        text->bytes = realloc(text->bytes, text->capacity);
        REQUIRE(text->bytes != NULL, "no memory");
    }
    if (count > 0) {
        memcpy(text->bytes + text->count, bytes, count);
    }
    text->count += count;
    text->bytes[text->count] = '\0';
}

void buffer_print(buffer *text, const char *format, ...)
{
    char small[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    REQUIRE(length >= 0 && (size_t)length < sizeof small, "%d is too long for %s", length, format);
    buffer_add(text, small, (size_t)length);
}

void buffer_quote(buffer *text, const void *bytes, size_t count)
{
    buffer_add(text, "\"", 1);
    for (size_t k = 0; k < count; k++) {
        const uint8_t byte = ((const uint8_t *)bytes)[k];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            buffer_print(text, "\\u%04x", byte);
        } else {
            buffer_add(text, &byte, 1);
        }
    }
    buffer_add(text, "\"", 1);
}

/* ---- The engine ---- */

int64_t fuzz_now;

static int64_t told_time(void *context)
{
    return *(const int64_t *)context;
}

static farebox_str str(const char *text)
{
    return (farebox_str){text, strlen(text)};
}

void check_answer(farebox_status status, const farebox_error *error)
{
    const char *name = farebox_status_name(status);
    REQUIRE(strcmp(name, "UNKNOWN") != 0, "status %" PRId32 " is not in the table", status);
    REQUIRE(status < 800 || status >= 1000 || status == FAREBOX_UNSUPPORTED, "%s: %s", name, error->message);
    REQUIRE(error->struct_size == sizeof *error, "%s changed the error's struct_size", name);
    if (status == FAREBOX_OK) {
        static const farebox_error empty = FAREBOX_ERROR_INIT;
        REQUIRE(memcmp(&empty, error, sizeof empty) == 0, "a call that succeeded wrote an error: %s", error->message);
        return;
    }
    REQUIRE(error->status == status, "the error says %" PRId32 ", the answer %s", error->status, name);
    REQUIRE(error->retryable <= 1, "%s: retryable is %" PRIu32, name, error->retryable);
    const size_t message = strnlen(error->message, sizeof error->message);
    REQUIRE(message > 0 && message < sizeof error->message, "%s: the message has %zu bytes", name, message);
    REQUIRE(is_utf8(error->message, message), "%s: the message is not UTF-8", name);
    const size_t field = strnlen(error->field, sizeof error->field);
    REQUIRE(field < sizeof error->field && is_utf8(error->field, field), "%s: the field is not text", name);
    const size_t details = strnlen(error->details, sizeof error->details);
    REQUIRE(details < sizeof error->details && details == error->details_len, "%s: details_len is %" PRIu32 ", not %zu",
            name, error->details_len, details);
    REQUIRE(error->refusal <= 1, "%s: refusal is %" PRIu32, name, error->refusal);
    const size_t sentence = strnlen(error->user_message, sizeof error->user_message);
    REQUIRE(sentence < sizeof error->user_message && is_utf8(error->user_message, sentence), "%s: the sentence is not text",
            name);
    REQUIRE((sentence > 0) == (error->refusal == 1), "%s: a refusal is %" PRIu32 ", and its sentence '%s'", name,
            error->refusal, error->user_message);
    REQUIRE(details == 0 || (error->details[0] == '{' && is_json(error->details, details)), "%s: the details are %s", name,
            error->details);
}

farebox_status call_checked(farebox_engine *engine, farebox_str operation, farebox_str input, const char **out)
{
    static buffer kept;
    farebox_text text = {NULL, 0};
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_call(engine, operation, input, &text, &error);
    check_answer(status, &error);
    buffer_clear(&kept);
    if (status == FAREBOX_OK) {
        REQUIRE(text.ptr != NULL && text.ptr[text.len] == '\0', "the output has no NUL behind it");
        REQUIRE(strlen(text.ptr) == text.len && text.ptr[0] == '{' && is_json(text.ptr, text.len), "the output is %s", text.ptr);
        buffer_add(&kept, text.ptr, text.len);
        farebox_text_free(&text);
    }
    REQUIRE(text.ptr == NULL && text.len == 0, "a call that failed gave a text");
    if (out != NULL) {
        *out = kept.bytes;
    }
    return status;
}

const char *call_must(farebox_engine *engine, const char *operation, const char *input)
{
    const char *out = NULL;
    const farebox_status status = call_checked(engine, str(operation), str(input), &out);
    REQUIRE(status == FAREBOX_OK, "%s %s: %s", operation, input, farebox_status_name(status));
    return out;
}

int64_t count_records(farebox_engine *engine)
{
    return json_number(call_must(engine, "ledger.info", "{}"), "records");
}

farebox_engine *open_empty(uint32_t flags, farebox_durability durability)
{
    fuzz_now = FUZZ_START;
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.flags = flags;
    options.durability = durability;
    options.clock = told_time;
    options.clock_context = &fuzz_now;
    /* The least: an input brings few keys, and a ledger is opened for each. */
    options.key_memory_bytes = 1 << 20;
    farebox_engine *engine = NULL;
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_open(&engine, FAREBOX_STR("memory:"), &options, &error);
    REQUIRE(status == FAREBOX_OK, "a ledger in memory does not open: %s", error.message);
    return engine;
}

farebox_engine *open_prepared(uint32_t flags, farebox_durability durability)
{
    static const char *const steps[][2] = {
        {"account.open", "{\"account\":\"org:acme\"}"},
        {"account.open", "{\"account\":\"org:acme/agent:writer\"}"},
        {"account.open", "{\"account\":\"user:bob\",\"credit_line\":\"5\"}"},
        {"account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\",\"asset\":\"USD\"}"},
        {"account.deposit", "{\"account\":\"org:acme\",\"amount\":\"20\",\"asset\":\"USD\"}"},
        {"account.deposit", "{\"account\":\"user:ana\",\"amount\":\"50\",\"asset\":\"EUR\"}"},
        {"skill.register",
         "{\"manifest\":{\"id\":\"tools\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"revenue_share\":\"0.70\","
         "\"tools\":[{\"name\":\"flat\",\"pricing\":{\"cost\":\"0.02\"}},"
         "{\"name\":\"tokens\",\"pricing\":{\"cost\":\"0.000002\",\"per\":\"token\"}}]}}"},
        {"rate_card.publish", "{\"card\":{\"name\":\"card\",\"currency\":\"USD\",\"entries\":[{\"name\":\"m\",\"price\":"
                              "{\"cost\":\"0.000003\",\"per\":\"token\"}}]}}"},
        {"budget.set", "{\"account\":\"org:acme\",\"window\":\"day\",\"amount\":\"10\",\"thresholds\":[50,80]}"},
        {"limit.set", "{\"account\":\"user:bob\",\"per_call\":\"2\",\"charges_per_hour\":5}"},
    };
    farebox_engine *engine = open_empty(flags, durability);
    for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
        call_must(engine, steps[k][0], steps[k][1]);
    }
    return engine;
}

void close_sound(farebox_engine *engine)
{
    call_must(engine, "ledger.verify", "{}");
    const char *out = call_must(engine, "ledger.reconcile", "{}");
    REQUIRE(strstr(out, "\"balanced\":true") != NULL, "%s", out);
    for (const char *at = out; (at = strstr(at, "\"sum\":")) != NULL; at += 6) {
        REQUIRE(strncmp(at, "\"sum\":\"0\"", 9) == 0, "%s", out);
    }
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_close(engine, &error);
    REQUIRE(status == FAREBOX_OK, "the engine does not close: %s", error.message);
}

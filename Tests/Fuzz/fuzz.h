/* What the fuzz targets of this folder share: the entry point, an engine whose clock the input moves, and answers that are
 * checked against the promises of farebox.h.
 *
 * A target reads any bytes, calls the library, and aborts where a promise does not hold. It must not depend on anything but
 * its input: the same bytes give the same run, as far as the library's random numbers go. */
#ifndef FUZZ_H
#define FUZZ_H

#include <farebox.h>

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs one input; what libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Texts that the mutator puts into inputs of this target; the list ends with NULL. */
extern const char *const fuzz_words[];

/* Whether the inputs of this target are text, which is mutated word by word; else they are frames of `fuzz_frame` bytes. */
extern const size_t fuzz_frame;

/* Says what does not hold, and aborts. */
#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);                                                    \
        }                                                                                                              \
    } while (0)

__attribute__((noreturn, format(printf, 4, 5))) void fuzz_fail(const char *file, int line, const char *condition,
                                                               const char *format, ...);

/* ---- Text ---- */

/* Whether bytes are exactly one JSON value, in UTF-8. */
int is_json(const char *text, size_t size);

int is_utf8(const char *text, size_t size);

/* The integer after the first "name": in a JSON text; aborts where there is none. */
int64_t json_number(const char *json, const char *name);

/* The value after the first "name": in a JSON text, or {NULL, 0}. */
farebox_str json_value(const char *json, const char *name);

/* Text that grows; the memory is kept for the next use. */
typedef struct buffer {
    char *bytes;
    size_t count, capacity;
} buffer;

void buffer_clear(buffer *text);
void buffer_add(buffer *text, const void *bytes, size_t count);
void buffer_print(buffer *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string of any bytes: those that may not stand in one are escaped, and others are given as they are. */
void buffer_quote(buffer *text, const void *bytes, size_t count);

/* ---- The engine ---- */

/* The time that engines are told, in microseconds. */
extern int64_t fuzz_now;

/* The time that an input begins with. */
#define FUZZ_START INT64_C(1767225600000000)

/* Opens an empty ledger in memory; `flags` and `durability` as in farebox_options. */
farebox_engine *open_empty(uint32_t flags, farebox_durability durability);

/* As open_empty, with accounts, money, tools, a rate card, a budget and limits in it. */
farebox_engine *open_prepared(uint32_t flags, farebox_durability durability);

/* The ledger verifies, everything adds up to zero, and it closes. */
void close_sound(farebox_engine *engine);

/* Carries out an operation and checks the form of the answer. The output is kept until the next call. */
farebox_status call_checked(farebox_engine *engine, farebox_str operation, farebox_str input, const char **out);

/* The same of C strings, where it must succeed. */
const char *call_must(farebox_engine *engine, const char *operation, const char *input);

/* The number of records in the journal. */
int64_t count_records(farebox_engine *engine);

/* Whether the status is one that this call may answer, and the error says it rightly. `error` was empty before. */
void check_answer(farebox_status status, const farebox_error *error);

#endif

/* Checks and small helpers that the C programs of the tests share. */
#ifndef CHECK_H
#define CHECK_H

#include <farebox.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_int checks_passed, checks_failed;

/* Counts a condition, and says where it does not hold; may be used from any thread. */
#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)

/* Counts a call that must answer one status. */
#define EXPECT(expected, call) check_status((expected), (call), #call, __FILE__, __LINE__)

/* Counts two integers that must be equal. */
#define EQUAL(expected, actual) check_equal((int64_t)(expected), (int64_t)(actual), #actual, __FILE__, __LINE__)

/* As EXPECT of FAREBOX_OK, for what the rest of a program cannot do without. */
#define MUST(call) check_must((call), #call, __FILE__, __LINE__)

__attribute__((unused)) static int check_that(int holds, const char *text, const char *file, int line)
{
    atomic_fetch_add(holds ? &checks_passed : &checks_failed, 1);
    if (!holds) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    }
    return holds;
}

__attribute__((unused)) static int check_status(farebox_status expected, farebox_status actual, const char *text,
                                                const char *file, int line)
{
    atomic_fetch_add(expected == actual ? &checks_passed : &checks_failed, 1);
    if (expected != actual) {
        fprintf(stderr, "%s:%d: expected %s, got %s: %s\n", file, line, farebox_status_name(expected),
                farebox_status_name(actual), text);
    }
    return expected == actual;
}

__attribute__((unused)) static int check_equal(int64_t expected, int64_t actual, const char *text, const char *file, int line)
{
    atomic_fetch_add(expected == actual ? &checks_passed : &checks_failed, 1);
    if (expected != actual) {
        fprintf(stderr, "%s:%d: expected %" PRId64 ", got %" PRId64 ": %s\n", file, line, expected, actual, text);
    }
    return expected == actual;
}

__attribute__((unused)) static void check_must(farebox_status status, const char *text, const char *file, int line)
{
    atomic_fetch_add(status == FAREBOX_OK ? &checks_passed : &checks_failed, 1);
    if (status != FAREBOX_OK) {
        fprintf(stderr, "%s:%d: cannot go on: %s: %s\n", file, line, farebox_status_name(status), text);
        printf("%d passed, %d failed\n", checks_passed, checks_failed);
        exit(1);
    }
}

/* Prints the closing line; the result is the program's. */
__attribute__((unused)) static int check_report(void)
{
    printf("%d passed, %d failed\n", checks_passed, checks_failed);
    return checks_failed == 0 ? 0 : 1;
}

__attribute__((unused)) static farebox_str str(const char *text)
{
    return (farebox_str){text, strlen(text)};
}

/* Carries out an operation whose input is made as by printf; the output is kept until the next call on this thread. */
__attribute__((unused, format(printf, 4, 5))) static farebox_status json_call(farebox_engine *engine, const char **out,
                                                                             const char *operation, const char *format, ...)
{
    static _Thread_local char input[1 << 16];
    static _Thread_local char output[1 << 20];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(input, sizeof input, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof input) {
        return FAREBOX_TOO_LONG;
    }
    farebox_text text = {NULL, 0};
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status =
        farebox_call(engine, str(operation), (farebox_str){input, (size_t)length}, &text, &error);
    if (status == FAREBOX_OK) {
        snprintf(output, sizeof output, "%s", text.ptr);
        farebox_text_free(&text);
    }
    if (out != NULL) {
        *out = status == FAREBOX_OK ? output : "";
    }
    return status;
}

/* The integer that follows "name": in a JSON text, from `*at` on, which moves behind it; -1 where there is none. */
__attribute__((unused)) static int64_t json_integer(const char **at, const char *name)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\":", name);
    const char *found = strstr(*at, pattern);
    if (found == NULL) {
        return -1;
    }
    char *end = NULL;
    const int64_t value = strtoll(found + strlen(pattern), &end, 10);
    if (end == found + strlen(pattern)) {
        return -1;
    }
    *at = end;
    return value;
}

__attribute__((unused)) static int64_t json_first(const char *text, const char *name)
{
    return json_integer(&text, name);
}

/* A fresh folder below TMPDIR; its name is written to `path`. */
__attribute__((unused)) static void make_folder(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, size, "%s/farebox-abi-XXXXXX", base == NULL || base[0] == '\0' ? "/tmp" : base);
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
}

/* Removes a ledger's files in a folder, and the folder. */
__attribute__((unused)) static void remove_folder(const char *path)
{
    static const char *const names[] = {"ledger", "ledger-wal", "ledger-shm", "ledger-journal", "receipts"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, names[k]);
        unlink(file);
    }
    rmdir(path);
}

/* A generator of pseudo-random numbers (splitmix64): the same seed gives the same run everywhere. */
__attribute__((unused)) static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

__attribute__((unused)) static uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return random_next(state) % bound;
}

/* FAREBOX_LONG asks for the long form of a test. */
__attribute__((unused)) static int is_long(void)
{
    const char *value = getenv("FAREBOX_LONG");
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

/* FAREBOX_SEED, or `otherwise`. */
__attribute__((unused)) static uint64_t seed_or(uint64_t otherwise)
{
    const char *value = getenv("FAREBOX_SEED");
    return value == NULL || value[0] == '\0' ? otherwise : strtoull(value, NULL, 10);
}

#endif

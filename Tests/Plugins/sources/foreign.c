/* A library without farebox_plugin_entry, for manifests of foreign plugins: functions that keep their word, and
 * others. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int32_t foreign_add(int32_t a, int32_t b);
EXPORT uint64_t foreign_widen(int8_t a, int16_t b, uint8_t c, uint16_t d, uint32_t e, int64_t f, uint64_t g);
EXPORT double foreign_ratio(double a, double b);
EXPORT int32_t foreign_copy(void *dest, uint64_t *capacity, const void *source, uint64_t len);
EXPORT uint32_t foreign_fill(void *dest, uint32_t capacity, uint8_t byte);
EXPORT const char *foreign_greeting(const char *name);
EXPORT int32_t foreign_code(int32_t code);
EXPORT int32_t foreign_overrun(void *dest, uint64_t *capacity);
EXPORT int32_t foreign_boast(void *dest, uint64_t *capacity);
EXPORT const char *foreign_null(void);
EXPORT const char *foreign_garbage(void);
EXPORT void foreign_crash(void);
EXPORT void foreign_loop(void);
EXPORT void foreign_exit(void);

/* No function, though a manifest may say so. */
EXPORT extern const uint64_t foreign_number;
const uint64_t foreign_number = UINT64_MAX;

int32_t foreign_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* Each argument in its own place of the result, so that one of a wrong width or order shows. */
uint64_t foreign_widen(int8_t a, int16_t b, uint8_t c, uint16_t d, uint32_t e, int64_t f, uint64_t g)
{
    return (uint64_t)(int64_t)a * 3 + (uint64_t)(int64_t)b * 5 + c * UINT64_C(7) + d * UINT64_C(11) + e * UINT64_C(13) +
           (uint64_t)f * 17 + g * 19;
}

/* 1/0 is infinite and 0/0 is not a number; JSON has neither. */
double foreign_ratio(double a, double b)
{
    return a / b;
}

/* 0, or -1 where there is too little room. */
int32_t foreign_copy(void *dest, uint64_t *capacity, const void *source, uint64_t len)
{
    if (len > *capacity) {
        return -1;
    }
    if (len > 0) {
        memcpy(dest, source, len);
    }
    *capacity = len;
    return 0;
}

/* Fills all there is, and says how much that was. */
uint32_t foreign_fill(void *dest, uint32_t capacity, uint8_t byte)
{
    memset(dest, byte, capacity);
    return capacity;
}

const char *foreign_greeting(const char *name)
{
    static char text[300];
    const size_t len = strnlen(name, 200);
    memcpy(text, "hello ", 6);
    memcpy(text + 6, name, len);
    text[6 + len] = '\0';
    return text;
}

int32_t foreign_code(int32_t code)
{
    return code;
}

/* Writes far behind its buffer. */
int32_t foreign_overrun(void *dest, uint64_t *capacity)
{
    volatile unsigned char *at = dest;
    for (uint64_t k = 0; k < *capacity + (UINT64_C(64) << 20); k++) {
        at[k] = 0xff;
    }
    return 0;
}

/* Says that it has written more than there was room for. */
int32_t foreign_boast(void *dest, uint64_t *capacity)
{
    (void)dest;
    *capacity = UINT64_MAX;
    return 0;
}

const char *foreign_null(void)
{
    return NULL;
}

const char *foreign_garbage(void)
{
    return "\xff\xfe";
}

void foreign_crash(void)
{
    *(volatile char *)8 = 1;
}

void foreign_loop(void)
{
    for (volatile uint64_t rounds = 0;; rounds++) {
    }
}

void foreign_exit(void)
{
    exit(0);
}

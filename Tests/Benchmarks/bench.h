/* What every benchmark shares: options, time, requests, percentiles and memory. */
#ifndef BENCH_H
#define BENCH_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    BENCH_PAYERS = 10000,
    BENCH_AMOUNT = 1000000, /* atomic units a charge: a thousandth of a dollar */
    BENCH_KEY_BYTES = 16,
    BENCH_BATCH_MAX = 8190,
    BENCH_THREADS_MAX = 256,
    /* Rows appended before anything is timed one by one: enough that the write-ahead log has been written through
     * once. A commit that makes the file longer costs two flushes of the disk, one that overwrites it costs one. */
    BENCH_WARM_UP = 524288
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static inline void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        bench_die("no memory for %zu x %zu bytes", count, size);
    }
    return memory;
}

/* ---- Options ---- */

/* One option, `--name value`: a number or a text. */
typedef struct bench_option {
    const char *name;
    int64_t *number;
    const char **text;
} bench_option;

static inline void bench_options(int argc, char **argv, int first, const bench_option *options, size_t count)
{
    for (int i = first; i < argc; i += 2) {
        const bench_option *found = NULL;
        for (size_t k = 0; k < count; k++) {
            if (strcmp(argv[i], options[k].name) == 0) {
                found = &options[k];
            }
        }
        if (found == NULL || i + 1 == argc) {
            bench_die("%s: %s", argv[i], found == NULL ? "no such option" : "needs a value");
        }
        if (found->text != NULL) {
            *found->text = argv[i + 1];
            continue;
        }
        char *end = NULL;
        *found->number = strtoll(argv[i + 1], &end, 10);
        if (end == argv[i + 1] || *end != '\0' || *found->number < 0) {
            bench_die("%s: not a count: %s", argv[i], argv[i + 1]);
        }
    }
}

#define BENCH_OPTIONS(argc, argv, first, ...)                                                                          \
    bench_options((argc), (argv), (first), (const bench_option[]){__VA_ARGS__},                                        \
                  sizeof((const bench_option[]){__VA_ARGS__}) / sizeof(bench_option))

/* ---- Time ---- */

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t bench_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static inline double bench_rate(uint64_t operations, uint64_t elapsed_ns)
{
    return elapsed_ns == 0 ? 0 : (double)operations * 1e9 / (double)elapsed_ns;
}

/* ---- Requests: the i-th is a function of i, so a driver can ask again for any one that it made ---- */

/* splitmix64 */
static inline uint64_t bench_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline void bench_key_at(uint8_t key[BENCH_KEY_BYTES], uint64_t i)
{
    const uint64_t halves[2] = {bench_mix(2 * i), bench_mix(2 * i + 1)};
    memcpy(key, halves, sizeof halves);
}

static inline uint32_t bench_payer_at(uint64_t i, uint32_t payers)
{
    return (uint32_t)(bench_mix(~i) % payers);
}

/* ---- Percentiles ---- */

typedef struct bench_samples {
    uint64_t *ns;
    size_t count;
    size_t capacity;
} bench_samples;

static inline bench_samples bench_samples_make(size_t capacity)
{
    return (bench_samples){bench_alloc(capacity, sizeof(uint64_t)), 0, capacity};
}

static inline void bench_samples_add(bench_samples *samples, uint64_t ns)
{
    if (samples->count < samples->capacity) {
        samples->ns[samples->count++] = ns;
    }
}

static inline int bench_compare_ns(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static inline double bench_percentile_us(const bench_samples *sorted, double fraction)
{
    if (sorted->count == 0) {
        return 0;
    }
    return (double)sorted->ns[(size_t)((double)(sorted->count - 1) * fraction)] / 1000.0;
}

/* ---- Output: lines of "name value", which Tests/Benchmarks/run reads ---- */

static inline void bench_print(const char *name, double value)
{
    printf("%s %.4f\n", name, value);
}

static inline void bench_print_samples(bench_samples *samples)
{
    qsort(samples->ns, samples->count, sizeof(uint64_t), bench_compare_ns);
    bench_print("p50_us", bench_percentile_us(samples, 0.50));
    bench_print("p99_us", bench_percentile_us(samples, 0.99));
}

/* A field of /proc/self/status, such as "VmRSS:", in MiB. */
static inline double bench_memory_mib(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL) {
        return 0;
    }
    char line[256];
    long kib = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kib = strtol(line + strlen(field), NULL, 10);
        }
    }
    fclose(file);
    return (double)kib / 1024.0;
}

#endif /* BENCH_H */

/* Rows of numbers and their texts, as the structs of the header. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <stddef.h>

#include "job.h"

/* One text of a request: its bit is its place in the table. */
typedef struct text_field {
    const char *name;
    size_t offset;
} text_field;

#define TEXT(type, name, field) {name, offsetof(type, field)}

/* The numbers of a metered call: its begin, its end, and each line of the end. */
enum {
    BEGIN_TEXTS, /* bit i: the i-th text is given; so in all three */
    BEGIN_FLAGS,
    BEGIN_AMOUNT,
    BEGIN_MAX_COST,
    BEGIN_DURABILITY,
    BEGIN_EXPIRES_IN_MS,
    BEGIN_ORDINAL,
    BEGIN_SIZE
};
enum {
    FINISH_TEXTS,
    FINISH_FLAGS,
    FINISH_ENDING,
    FINISH_DURABILITY,
    FINISH_AMOUNT,
    FINISH_RECORDED, /* 1: a tally follows the call */
    FINISH_LINES,    /* how many lines follow */
    FINISH_SIZE
};
enum {
    LINE_TEXTS,
    LINE_FLAGS,
    LINE_AMOUNT,
    LINE_RECORDED, /* 1: a tally follows the line */
    LINE_SIZE
};

/* Reads the counts of a row; `micro` are millionths of a unit. */
void request_usage(const int64_t *row, farebox_usage *usage, uint32_t micro);

/* Reads the texts whose bits are set in a row into the struct that the fields belong to; false after job_fail. */
bool request_texts(job *job, const int64_t *row, const text_field *fields, size_t count, void *args);

/* Reads what the rows of all requests have: flags, the part of units, and durability; false after job_fail. */
bool request_common(job *job, const int64_t *row, uint32_t *flags, uint32_t *micro, farebox_durability *durability);

#endif /* REQUESTS_H */

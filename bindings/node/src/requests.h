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

/* Reads the counts of a row; `micro` are millionths of a unit. */
void request_usage(const int64_t *row, farebox_usage *usage, uint32_t micro);

/* Reads the texts whose bits are set in a row into the struct that the fields belong to; false after job_fail. */
bool request_texts(job *job, const int64_t *row, const text_field *fields, size_t count, void *args);

/* Reads what the rows of all requests have: flags, the part of units, and durability; false after job_fail. */
bool request_common(job *job, const int64_t *row, uint32_t *flags, uint32_t *micro, farebox_durability *durability);

#endif /* REQUESTS_H */

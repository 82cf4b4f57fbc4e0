/* Small changes to inputs, for the driver and as the custom mutator of libFuzzer. */
#ifndef MUTATE_H
#define MUTATE_H

#include "fuzz.h"

/* Inputs are no longer than this. */
enum { MOST_BYTES = 1 << 16 };

void mutate_seed(uint64_t seed);
uint64_t mutate_below(uint64_t bound);

/* Changes an input in place and returns its new size; may take a piece of another. */
size_t mutate(uint8_t *data, size_t size, size_t most, const uint8_t *other, size_t other_size);

#endif

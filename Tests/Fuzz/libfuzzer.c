/* The mutator of the driver for libFuzzer, which also has its own. */
#include "mutate.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other, size_t other_size, uint8_t *out,
                                 size_t most, unsigned seed);

static uint8_t copy[MOST_BYTES];

static size_t at_most(size_t size, size_t most)
{
    return size < most ? size : most;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mutate_seed(seed);
    if (mutate_below(3) == 0) {
        return LLVMFuzzerMutate(data, size, most);
    }
    most = at_most(most, MOST_BYTES);
    const size_t count = at_most(size, MOST_BYTES);
    memcpy(copy, data, count);
    return mutate(data, count, most, copy, count);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other, size_t other_size, uint8_t *out,
                                 size_t most, unsigned seed)
{
    mutate_seed(seed);
    most = at_most(most, MOST_BYTES);
    const size_t count = at_most(one_size, most);
    memcpy(out, one, count);
    return mutate(out, count, most, other, at_most(other_size, MOST_BYTES));
}

#include "mutate.h"

static uint64_t state;

void mutate_seed(uint64_t seed)
{
    state = seed;
}

static uint64_t next(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t mutate_below(uint64_t bound)
{
    return next() % bound;
}

/* Puts `count` bytes in the place of those from `start` to `end`. */
static size_t replace(uint8_t *data, size_t size, size_t most, size_t start, size_t end, const void *bytes, size_t count)
{
    if (size - (end - start) + count > most) {
        return size;
    }
    memmove(data + start + count, data + end, size - end);
    if (count > 0) {
        memcpy(data + start, bytes, count);
    }
    return size - (end - start) + count;
}

/* ---- Text ---- */

static int is_mark(uint8_t byte)
{
    return byte != '\0' && strchr("{}[]:, \n\t,=", byte) != NULL;
}

/* The end of the word that begins here: a JSON string, a mark, or whatever stands between marks. */
static size_t word_end(const uint8_t *data, size_t size, size_t start)
{
    if (is_mark(data[start])) {
        return start + 1;
    }
    size_t at = start + 1;
    if (data[start] == '"') {
        while (at < size && data[at] != '"' && data[at] != '\n') {
            at += data[at] == '\\' && at + 1 < size ? 2 : 1;
        }
        return at < size && data[at] == '"' ? at + 1 : at < size ? at : size;
    }
    while (at < size && !is_mark(data[at]) && data[at] != '"') {
        at++;
    }
    return at;
}

/* The beginning of some word. */
static size_t some_word(const uint8_t *data, size_t size)
{
    size_t words = 0;
    for (size_t at = 0; at < size; at = word_end(data, size, at)) {
        words++;
    }
    uint64_t chosen = mutate_below(words);
    size_t at = 0;
    while (chosen-- > 0) {
        at = word_end(data, size, at);
    }
    return at;
}

/* Some line, with its end. */
static void some_line(const uint8_t *data, size_t size, size_t *start, size_t *end)
{
    const size_t inside = (size_t)mutate_below(size);
    *start = inside;
    while (*start > 0 && data[*start - 1] != '\n') {
        (*start)--;
    }
    *end = inside;
    while (*end < size && data[*end] != '\n') {
        (*end)++;
    }
    *end += *end < size;
}

static const char *some_fuzz_word(void)
{
    size_t count = 0;
    while (fuzz_words[count] != NULL) {
        count++;
    }
    return count == 0 ? "" : fuzz_words[mutate_below(count)];
}

static size_t mutate_text(uint8_t *data, size_t size, size_t most, const uint8_t *other, size_t other_size)
{
    size_t start = 0, end = 0;
    static uint8_t copy[MOST_BYTES];
    switch (mutate_below(10)) {
    case 0: /* a line fewer */
        some_line(data, size, &start, &end);
        return replace(data, size, most, start, end, NULL, 0);
    case 1: { /* a line again, here or elsewhere */
        some_line(data, size, &start, &end);
        const size_t count = end - start;
        memcpy(copy, data + start, count);
        some_line(data, size, &start, &end);
        return replace(data, size, most, start, start, copy, count);
    }
    case 2: { /* a line of another input */
        if (other_size == 0) {
            return size;
        }
        size_t from = 0, to = 0;
        some_line(other, other_size, &from, &to);
        some_line(data, size, &start, &end);
        return replace(data, size, most, start, mutate_below(2) == 0 ? start : end, other + from, to - from);
    }
    case 3: { /* a word of another input */
        if (other_size == 0) {
            return size;
        }
        const size_t from = some_word(other, other_size);
        start = some_word(data, size);
        return replace(data, size, most, start, word_end(data, size, start), other + from, word_end(other, other_size, from) - from);
    }
    case 4: /* a word fewer */
        start = some_word(data, size);
        return replace(data, size, most, start, word_end(data, size, start), NULL, 0);
    case 5: { /* a word more */
        const char *word = some_fuzz_word();
        start = some_word(data, size);
        return replace(data, size, most, start, start, word, strlen(word));
    }
    case 6: { /* a piece of JSON twice, or in itself */
        const size_t from = some_word(data, size);
        size_t to = from;
        for (uint64_t words = 1 + mutate_below(12); words > 0 && to < size; words--) {
            to = word_end(data, size, to);
        }
        const size_t count = to - from;
        memcpy(copy, data + from, count);
        start = some_word(data, size);
        return replace(data, size, most, start, start, copy, count);
    }
    case 7: { /* a member more */
        char member[256];
        const int length = snprintf(member, sizeof member, ",%s:%s", some_fuzz_word(), some_fuzz_word());
        start = some_word(data, size);
        end = word_end(data, size, start);
        return length < 0 || (size_t)length >= sizeof member ? size : replace(data, size, most, end, end, member, (size_t)length);
    }
    default: { /* another word */
        const char *word = some_fuzz_word();
        start = some_word(data, size);
        return replace(data, size, most, start, word_end(data, size, start), word, strlen(word));
    }
    }
}

/* ---- Bytes ---- */

static size_t mutate_bytes(uint8_t *data, size_t size, size_t most)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x20, 0x22, 0x2c, 0x2e, 0x3d, 0x5c, 0x30, 0x39};
    const size_t at = (size_t)mutate_below(size);
    switch (mutate_below(6)) {
    case 0: data[at] ^= (uint8_t)(1 << mutate_below(8)); return size;
    case 1: data[at] = edges[mutate_below(sizeof edges)]; return size;
    case 2: data[at] = (uint8_t)next(); return size;
    case 3: return replace(data, size, most, at, at + 1, NULL, 0);
    case 4: {
        const uint8_t byte = edges[mutate_below(sizeof edges)];
        return replace(data, size, most, at, at, &byte, 1);
    }
    default: {
        const size_t end = at + (size_t)mutate_below(size - at + 1);
        return replace(data, size, most, at, end, NULL, 0);
    }
    }
}

static size_t mutate_frames(uint8_t *data, size_t size, size_t most, const uint8_t *other, size_t other_size)
{
    uint8_t copy[256];
    size_t start = 0;
    const size_t frames = size / fuzz_frame;
    const size_t at = frames == 0 ? 0 : (size_t)mutate_below(frames) * fuzz_frame;
    switch (frames == 0 ? 2 : mutate_below(8)) {
    case 0: return replace(data, size, most, at, at + fuzz_frame, NULL, 0);
    case 1:
        memcpy(copy, data + at, fuzz_frame);
        start = (size_t)mutate_below(frames) * fuzz_frame;
        return replace(data, size, most, start, start, copy, fuzz_frame);
    case 2: {
        const size_t others = other_size / fuzz_frame;
        return others == 0 ? size : replace(data, size, most, at, at, other + mutate_below(others) * fuzz_frame, fuzz_frame);
    }
    default: {
        uint8_t *byte = &data[at + mutate_below(fuzz_frame)];
        *byte = mutate_below(3) == 0 ? (uint8_t)next() : (uint8_t)mutate_below(24);
        return size;
    }
    }
}

size_t mutate(uint8_t *data, size_t size, size_t most, const uint8_t *other, size_t other_size)
{
    if (size == 0) {
        return replace(data, size, most, 0, 0, other, other_size < most ? other_size : most);
    }
    if (fuzz_frame > 0) {
        return mutate_frames(data, size, most, other, other_size);
    }
    return mutate_below(5) == 0 ? mutate_bytes(data, size, most) : mutate_text(data, size, most, other, other_size);
}

#include "requests.h"

void request_usage(const int64_t *row, farebox_usage *usage, uint32_t micro)
{
    *usage = (farebox_usage){
        .requests = row[ROW_USAGE + FAREBOX_METER_REQUESTS],
        .units = row[ROW_USAGE + FAREBOX_METER_UNITS],
        .input_tokens = row[ROW_USAGE + FAREBOX_METER_INPUT_TOKENS],
        .output_tokens = row[ROW_USAGE + FAREBOX_METER_OUTPUT_TOKENS],
        .cache_read_tokens = row[ROW_USAGE + FAREBOX_METER_CACHE_READ_TOKENS],
        .cache_write_tokens = row[ROW_USAGE + FAREBOX_METER_CACHE_WRITE_TOKENS],
        .reasoning_tokens = row[ROW_USAGE + FAREBOX_METER_REASONING_TOKENS],
        .input_audio_tokens = row[ROW_USAGE + FAREBOX_METER_INPUT_AUDIO_TOKENS],
        .output_audio_tokens = row[ROW_USAGE + FAREBOX_METER_OUTPUT_AUDIO_TOKENS],
        .images = row[ROW_USAGE + FAREBOX_METER_IMAGES],
        .value = row[ROW_USAGE + FAREBOX_METER_VALUE],
        .units_micro = micro,
    };
}

bool request_texts(job *job, const int64_t *row, const text_field *fields, size_t count, void *args)
{
    for (size_t i = 0; i < count; i++) {
        if ((row[ROW_TEXTS] >> i & 1) != 0
            && !job_text(job, fields[i].name, false, (farebox_str *)((char *)args + fields[i].offset))) {
            return false;
        }
    }
    return true;
}

bool request_common(job *job, const int64_t *row, uint32_t *flags, uint32_t *micro, farebox_durability *durability)
{
    uint32_t number;
    if (!job_uint32(job, row[ROW_FLAGS], "flags", flags)
        || !job_uint32(job, row[ROW_UNITS_MICRO], "usage.units", micro)
        || !job_uint32(job, row[ROW_DURABILITY], "durability", &number)) {
        return false;
    }
    *durability = (farebox_durability)number;
    return true;
}

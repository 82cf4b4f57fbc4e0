/* Texts and bytes of a job: copied out of JavaScript, so that no garbage collector and no caller can move them. */
#include <stdlib.h>
#include <string.h>

#include "job.h"

char *job_bytes(job *job, size_t size)
{
    if (size <= ARENA_BYTES - job->arena_used) {
        char *at = job->arena + job->arena_used;
        job->arena_used += size;
        return at;
    }
    block *made = malloc(sizeof *made + size);
    if (made == NULL) {
        return NULL;
    }
    made->size = size;
    made->next = job->blocks;
    job->blocks = made;
    return made->bytes;
}

static bool is_lone(const char16_t *units, size_t length, size_t i)
{
    if (units[i] < 0xD800 || units[i] > 0xDFFF) {
        return false;
    }
    if (units[i] < 0xDC00) {
        return i + 1 == length || units[i + 1] < 0xDC00 || units[i + 1] > 0xDFFF;
    }
    return i == 0 || units[i - 1] < 0xD800 || units[i - 1] > 0xDBFF;
}

/* Half of a surrogate pair became U+FFFD, and so two texts one. The library gets its own three bytes instead, which are
 * not UTF-8, and refuses them. Only a text that has U+FFFD is looked at. */
static bool restore_surrogates(job *job, napi_value text, const char *field, farebox_str converted)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    char *at = (char *)(uintptr_t)converted.ptr;
    const char *const end = at + converted.len;
    if (converted.len < 3 || (at = memmem(at, converted.len, replacement, 3)) == NULL) {
        return true;
    }
    size_t length = 0;
    char16_t *units = NULL;
    if (napi_get_value_string_utf16(job->env, text, NULL, 0, &length) != napi_ok
        || (units = malloc((length + 1) * sizeof *units)) == NULL
        || napi_get_value_string_utf16(job->env, text, units, length + 1, &length) != napi_ok) {
        free(units);
        return job_fail(job, FAREBOX_NO_MEMORY, field, "There is no memory for the text.");
    }
    for (size_t i = 0; i < length && at != NULL; i++) {
        const bool lone = is_lone(units, length, i);
        if (!lone && units[i] != 0xFFFD) {
            continue;
        }
        if (lone) {
            at[0] = (char)0xED;
            at[1] = (char)(0x80 | (units[i] >> 6 & 0x3F));
            at[2] = (char)(0x80 | (units[i] & 0x3F));
        }
        at += 3;
        at = memmem(at, (size_t)(end - at), replacement, 3);
    }
    free(units);
    return true;
}

static bool take_string(job *job, napi_value text, const char *field, farebox_str *out)
{
    size_t length = 0;
    const size_t room = ARENA_BYTES - job->arena_used;
    char *at = job->arena + job->arena_used;
    /* Most texts fit at once; one that fills the room may have been cut. */
    if (room >= 64) {
        if (napi_get_value_string_utf8(job->env, text, at, room, &length) != napi_ok) {
            return job_fail(job, FAREBOX_INVALID_ARGUMENT, field, "A text is a string.");
        }
        if (length < room - 8) {
            job->arena_used += length;
            *out = (farebox_str){at, length};
            return restore_surrogates(job, text, field, *out);
        }
    }
    if (napi_get_value_string_utf8(job->env, text, NULL, 0, &length) != napi_ok) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, field, "A text is a string.");
    }
    at = job_bytes(job, length + 1);
    if (at == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, field, "There is no memory for the text.");
    }
    if (napi_get_value_string_utf8(job->env, text, at, length + 1, &length) != napi_ok) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, field, "A text is a string.");
    }
    *out = (farebox_str){at, length};
    return restore_surrogates(job, text, field, *out);
}

static bool take_bytes(job *job, napi_value view, const char *field, farebox_str *out)
{
    napi_typedarray_type type;
    size_t length = 0;
    void *data = NULL;
    if (napi_get_typedarray_info(job->env, view, &type, &length, &data, NULL, NULL) != napi_ok
        || type != napi_uint8_array) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, field, "Bytes are a Uint8Array.");
    }
    char *at = job_bytes(job, length);
    if (at == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, field, "There is no memory for the bytes.");
    }
    if (length > 0) {
        memcpy(at, data, length);
    }
    *out = (farebox_str){at, length};
    return true;
}

bool job_text(job *job, const char *field, bool bytes, farebox_str *out)
{
    napi_value value;
    bool is_view = false;
    if (job->text_next >= job->text_count
        || napi_get_element(job->env, job->texts, job->text_next++, &value) != napi_ok) {
        return job_fail(job, FAREBOX_INVALID_ARGUMENT, field, "A text is missing.");
    }
    if (bytes && napi_is_typedarray(job->env, value, &is_view) == napi_ok && is_view) {
        return take_bytes(job, value, field, out);
    }
    return take_string(job, value, field, out);
}

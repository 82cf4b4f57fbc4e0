/* Amounts: an input is the code of an asset, a space and decimal text, which is given both as a text and as a number.
 *
 * Promises: an amount that is read is written so that reading it gives the same units; a text and a number of the same
 * digits are the same amount; a scale that holds more digits reads whatever one that holds fewer reads. */
#include "fuzz.h"

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {"USD", "JPY", "EUR", "CREDITS", "BHD", "XPT", "FINE", "0", "-", "+", ".", "e", "E", "e-9", "e18", "e9999",
                                  "e-9999", "e10000", "9223372036854775807", "9223372036854775808", "9223372036.854775807",
                                  "-9223372036.854775808", "0.000000001", "0.0000000001", "00", "1_0", " ", "\t", "NaN", "Infinity", "0x1",
                                  "170141183460469231731687303715884105727", "170141183460469231731687303715884105728", "\xd9\xa1",
                                  "100000000000000000000000000000000000000000", NULL};

static buffer input, first;

static farebox_status parse(farebox_engine *engine, farebox_str asset, farebox_str text, int is_text, const char **out)
{
    buffer_clear(&input);
    buffer_print(&input, "{\"asset\":");
    buffer_quote(&input, asset.ptr, asset.len);
    buffer_print(&input, ",\"amount\":");
    if (is_text) {
        buffer_quote(&input, text.ptr, text.len);
    } else {
        buffer_add(&input, text.ptr, text.len);
    }
    buffer_print(&input, "}");
    return call_checked(engine, FAREBOX_STR("amount.parse"), (farebox_str){input.bytes, input.count}, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static farebox_engine *engine;
    if (engine == NULL) {
        engine = open_prepared(0, FAREBOX_DURABILITY_DEFAULT);
        call_must(engine, "asset.open", "{\"asset\":\"FINE\",\"scale\":18}");
    }
    const uint8_t *space = memchr(data, ' ', size);
    if (space == NULL) {
        return 0;
    }
    const farebox_str asset = {(const char *)data, (size_t)(space - data)};
    const farebox_str text = {(const char *)space + 1, size - asset.len - 1};
    const char *out = NULL;
    const farebox_status status = parse(engine, asset, text, 1, &out);
    if (status == FAREBOX_OK) {
        buffer_clear(&first);
        buffer_add(&first, out, strlen(out));
        const int64_t units = json_number(first.bytes, "units");
        const farebox_str written = json_value(first.bytes, "amount");
        const farebox_status again = parse(engine, asset, (farebox_str){written.ptr + 1, written.len - 2}, 1, &out);
        REQUIRE(again == FAREBOX_OK && strcmp(out, first.bytes) == 0, "%s is read as %s", first.bytes, out);
        /* Eighteen digits hold what fewer hold, if it is small enough. */
        const farebox_status fine = parse(engine, FAREBOX_STR("FINE"), text, 1, &out);
        REQUIRE(fine == FAREBOX_OK || fine == FAREBOX_OVERFLOW, "%s is %s at scale 18", first.bytes, farebox_status_name(fine));
        REQUIRE(fine == FAREBOX_OK || units > 9 || units < -9, "%s overflows at scale 18", first.bytes);
    }
    /* As a number: JSON allows fewer forms, and what it allows means the same. */
    if (is_json(text.ptr, text.len) && text.len > 0 && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9')) &&
        strchr(" \t\r\n", text.ptr[text.len - 1]) == NULL) {
        const farebox_status number = parse(engine, asset, text, 0, &out);
        REQUIRE(number == status, "%.*s is %s as a text and %s as a number", (int)text.len, text.ptr, farebox_status_name(status),
                farebox_status_name(number));
        REQUIRE(status != FAREBOX_OK || strcmp(out, first.bytes) == 0, "%s as a text and %s as a number", first.bytes, out);
    }
    return 0;
}

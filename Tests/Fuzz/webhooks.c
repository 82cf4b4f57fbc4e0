/* Webhooks: an input is six lines, and the body after them.
 *
 *   standard, stripe or robutler
 *   secrets, with a space between two
 *   the id
 *   the timestamp
 *   the signature header, where {} stands for what the first secret gives
 *   the tolerance in seconds
 *   BODY
 *
 * It is 1700000000 seconds after 1970. Promises: what is accepted has a right signature of one of its secrets in it; the
 * typed door, the JSON door and the replay guard say the same; a guard refuses the same webhook the second time. */
#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

const size_t fuzz_frame = 0;

const char *const fuzz_words[] = {
    "standard", "stripe", "robutler", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whpk_", "whsk_", "whsec_test_secret",
    "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "msg_1", "1700000000", "1699999700", "1699999699", "1700000300", "1700000301",
    "t=", "t=1700000000", "v1=", "v0=", "v1,", "v1a,", "{}", "v1,{}", "v1={}", ",", " ", "=", "==", "+1700000000", "01700000000", "-1",
    "9223372036854775807", "9223372036854775808", "0", "300", "-1", "1", "\n", "{\"id\":\"evt_1\"}", "\xff", "%", "AAAA", NULL};

enum { MOST_SECRETS = 20 };

static const int64_t NOW = INT64_C(1700000000);

typedef struct webhook {
    int32_t scheme;
    farebox_str secrets[MOST_SECRETS];
    size_t secret_count;
    farebox_str id, timestamp, body;
    int64_t tolerance;
} webhook;

static const char *const schemes[] = {"standard", "stripe", "robutler"};

static farebox_str take_until(const uint8_t **at, const uint8_t *end, char mark)
{
    const uint8_t *found = memchr(*at, mark, (size_t)(end - *at));
    const uint8_t *stop = found == NULL ? end : found;
    const farebox_str text = {(const char *)*at, (size_t)(stop - *at)};
    *at = found == NULL ? end : found + 1;
    return text;
}

/* The key that a secret of the standard scheme stands for, or nothing. */
static size_t standard_key(farebox_str secret, uint8_t *key, size_t most)
{
    if (secret.len >= 6 && memcmp(secret.ptr, "whsec_", 6) == 0) {
        secret.ptr += 6;
        secret.len -= 6;
    }
    uint8_t padded[1024];
    if (secret.len == 0 || secret.len + 4 > sizeof padded || secret.len > most) {
        return 0;
    }
    memcpy(padded, secret.ptr, secret.len);
    size_t count = secret.len;
    size_t missing = 0;
    while (count % 4 != 0) {
        padded[count++] = '=';
        missing++;
    }
    if (missing == 0) {
        while (missing < 2 && missing < count && padded[count - 1 - missing] == '=') {
            missing++;
        }
    }
    const int decoded = EVP_DecodeBlock(key, padded, (int)count);
    return decoded < (int)missing ? 0 : (size_t)decoded - missing;
}

/* The text of the right signature by one secret, with the timestamp as it stands in the header of the scheme. */
static size_t sign(const webhook *from, farebox_str secret, farebox_str time, char *text)
{
    static buffer message;
    uint8_t key[1024], digest[EVP_MAX_MD_SIZE];
    size_t key_size = secret.len < sizeof key ? secret.len : 0;
    memcpy(key, secret.ptr, key_size);
    buffer_clear(&message);
    if (from->scheme == FAREBOX_WEBHOOK_STANDARD) {
        key_size = standard_key(secret, key, sizeof key);
        buffer_add(&message, from->id.ptr, from->id.len);
        buffer_add(&message, ".", 1);
    }
    if (from->scheme != FAREBOX_WEBHOOK_ROBUTLER) {
        buffer_add(&message, time.ptr, time.len);
        buffer_add(&message, ".", 1);
    }
    buffer_add(&message, from->body.ptr, from->body.len);
    if (key_size == 0) {
        return 0;
    }
    unsigned size = 0;
    REQUIRE(HMAC(EVP_sha256(), key, (int)key_size, (const uint8_t *)message.bytes, message.count, digest, &size) != NULL, "no HMAC");
    if (from->scheme == FAREBOX_WEBHOOK_STANDARD) {
        return (size_t)EVP_EncodeBlock((uint8_t *)text, digest, (int)size);
    }
    for (unsigned k = 0; k < size; k++) {
        snprintf(text + 2 * k, 3, "%02x", digest[k]);
    }
    return 2 * size;
}

/* The number of seconds that is signed, as it is written where it is signed. */
static farebox_str signed_time(const webhook *from, farebox_str header, char *text, size_t most)
{
    if (from->scheme != FAREBOX_WEBHOOK_STRIPE) {
        return from->timestamp;
    }
    const char *at = header.ptr;
    const char *end = header.ptr + header.len;
    while (at < end && !(end - at >= 2 && at[0] == 't' && at[1] == '=' && (at == header.ptr || at[-1] == ','))) {
        at++;
    }
    char digits[64];
    size_t count = 0;
    for (at += at < end ? 2 : 0; at < end && *at != ',' && *at != '=' && count + 1 < sizeof digits; at++) {
        digits[count++] = *at;
    }
    digits[count] = '\0';
    const int length = snprintf(text, most, "%" PRId64, (int64_t)strtoll(digits, NULL, 10));
    return (farebox_str){text, (size_t)length};
}

static int contains(farebox_str text, const char *part, size_t size)
{
    return size > 0 && memmem(text.ptr, text.len, part, size) != NULL;
}

static farebox_status verify_json(farebox_engine *engine, const webhook *from, farebox_str header, int is_guarded)
{
    static buffer input;
    buffer_clear(&input);
    buffer_print(&input, "{\"scheme\":\"%s\",\"now\":%" PRId64 ",\"tolerance_s\":%" PRId64 ",\"guard\":%s", schemes[from->scheme], NOW * 1000000,
                 from->tolerance, is_guarded ? "true" : "false");
    const struct {
        const char *name;
        farebox_str text;
    } texts[] = {{"body", from->body}, {"signature", header}, {"id", from->id}, {"timestamp", from->timestamp}};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        buffer_print(&input, ",\"%s\":", texts[k].name);
        buffer_quote(&input, texts[k].text.ptr, texts[k].text.len);
    }
    buffer_print(&input, ",\"secrets\":[");
    for (size_t k = 0; k < from->secret_count; k++) {
        if (k > 0) {
            buffer_print(&input, ",");
        }
        buffer_quote(&input, from->secrets[k].ptr, from->secrets[k].len);
    }
    buffer_print(&input, "]}");
    return call_checked(engine, FAREBOX_STR("webhook.verify"), (farebox_str){input.bytes, input.count}, NULL);
}

static farebox_status verify(farebox_engine *engine, const webhook *from, farebox_str header)
{
    farebox_webhook_args args = FAREBOX_WEBHOOK_ARGS_INIT;
    args.scheme = from->scheme;
    args.body = from->body;
    args.signature = header;
    args.id = from->id;
    args.timestamp = from->timestamp;
    args.secrets = from->secrets;
    args.secret_count = from->secret_count;
    args.tolerance_s = from->tolerance;
    args.now = NOW * 1000000;
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_verify_webhook(engine, &args, &error);
    check_answer(status, &error);
    return status;
}

/* What a webhook that is accepted must have. */
static void check_signed(const webhook *from, farebox_str header)
{
    char number[32], signature[128];
    const farebox_str time = signed_time(from, header, number, sizeof number);
    for (size_t k = 0; k < from->secret_count; k++) {
        if (contains(header, signature, sign(from, from->secrets[k], time, signature))) {
            return;
        }
        /* Ed25519 is the differential harness's to check. */
        if (from->secrets[k].len >= 5 && memcmp(from->secrets[k].ptr, "whpk_", 5) == 0) {
            return;
        }
    }
    REQUIRE(0, "a %s webhook without a right signature is accepted: %.*s", schemes[from->scheme], (int)header.len, header.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static farebox_engine *engine;
    static int uses;
    if (engine != NULL && ++uses == 1000) {
        close_sound(engine);
        engine = NULL;
        uses = 0;
    }
    if (engine == NULL) {
        engine = open_empty(0, FAREBOX_DURABILITY_DEFAULT);
    }
    webhook from = {0};
    const uint8_t *at = data, *end = data + size;
    const farebox_str scheme = take_until(&at, end, '\n');
    while (from.scheme < 2 && !(strlen(schemes[from.scheme]) == scheme.len && memcmp(schemes[from.scheme], scheme.ptr, scheme.len) == 0)) {
        from.scheme++;
    }
    const farebox_str secrets = take_until(&at, end, '\n');
    from.id = take_until(&at, end, '\n');
    from.timestamp = take_until(&at, end, '\n');
    const farebox_str written = take_until(&at, end, '\n');
    const farebox_str tolerance = take_until(&at, end, '\n');
    from.body = (farebox_str){(const char *)at, (size_t)(end - at)};
    char digits[24] = {0};
    memcpy(digits, tolerance.ptr, tolerance.len < sizeof digits ? tolerance.len : sizeof digits - 1);
    from.tolerance = strtoll(digits, NULL, 10);
    const uint8_t *secret = (const uint8_t *)secrets.ptr, *last = secret + secrets.len;
    do {
        from.secrets[from.secret_count++] = take_until(&secret, last, ' ');
    } while (secret < last && from.secret_count < MOST_SECRETS);

    static buffer header;
    char number[32], signature[128];
    const size_t signature_size = sign(&from, from.secrets[0], signed_time(&from, written, number, sizeof number), signature);
    buffer_clear(&header);
    for (size_t k = 0; k < written.len; k++) {
        if (k + 1 < written.len && written.ptr[k] == '{' && written.ptr[k + 1] == '}') {
            buffer_add(&header, signature, signature_size);
            k++;
        } else {
            buffer_add(&header, written.ptr + k, 1);
        }
    }
    const farebox_str given = {header.bytes, header.count};
    const farebox_status status = verify(NULL, &from, given);
    if (status == FAREBOX_OK) {
        check_signed(&from, given);
    }
    int is_text = is_utf8((const char *)data, size) && is_utf8(given.ptr, given.len);
    if (is_text) {
        const farebox_status other = verify_json(engine, &from, given, 0);
        REQUIRE(other == status, "%s at the typed door and %s at the JSON door", farebox_status_name(status), farebox_status_name(other));
    }
    const farebox_status guarded = verify(engine, &from, given);
    if (status != FAREBOX_OK) {
        REQUIRE(guarded == status, "%s without and %s with a guard", farebox_status_name(status), farebox_status_name(guarded));
    } else if (guarded == FAREBOX_OK || guarded == FAREBOX_WEBHOOK_REPLAYED) {
        const farebox_status again = is_text ? verify_json(engine, &from, given, 1) : verify(engine, &from, given);
        REQUIRE(again == FAREBOX_WEBHOOK_REPLAYED, "%s the second time", farebox_status_name(again));
    } else {
        REQUIRE(guarded == FAREBOX_INVALID_ARGUMENT && (from.id.len == 0 || from.id.len > 255), "%s with a guard", farebox_status_name(guarded));
    }
    return 0;
}

/* Calls zlib, which knows nothing of Farebox, by the signatures of a manifest, and charges for each byte: loads
 * examples/plugins/zlib, and compares every receipt with arithmetic of its own.
 *
 *     make -C examples/c zlib
 */
#include <farebox.h>

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the manifest says: 0.001 and 0.01 USD for a million bytes, in atomic units of a thousand-millionth of a dollar.
 */
enum { CRC32_PER_BYTE = 1, COMPRESS_PER_BYTE = 10 };

static int differences;

/* Every call answers with a status. This program gives up where one is not FAREBOX_OK. */
static void check(const char *what, farebox_status status, const farebox_error *error)
{
    if (status != FAREBOX_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, farebox_status_name(status), error->message);
        exit(1);
    }
}

static farebox_str text_of(const char *text)
{
    return (farebox_str){text, strlen(text)};
}

static void call(farebox_engine *engine, const char *operation, const char *json)
{
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_text out = {NULL, 0};
    check(operation, farebox_call(engine, text_of(operation), text_of(json), &out, &error), &error);
    farebox_text_free(&out);
}

/* Nothing is loaded before the process says what may be: what lies in the manifest's folder, and libraries of the
 * system. */
static void allow(const char *manifest)
{
    char policy[PATH_MAX + 100];
    snprintf(policy, sizeof policy,
             "{\"directories\": [\"%.*s\"], \"trust\": \"unsigned\", \"system_libraries\": true}",
             (int)(strrchr(manifest, '/') - manifest), manifest);
    farebox_error error = FAREBOX_ERROR_INIT;
    check("policy", farebox_set_plugin_policy(text_of(policy), &error), &error);
}

static int64_t balance_of(farebox_engine *engine, const char *account)
{
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    check("balance", farebox_balance(engine, text_of(account), FAREBOX_STR("USD"), &balance, &error), &error);
    return balance.balance;
}

static void equal(const char *what, int64_t expected, int64_t found)
{
    if (expected != found) {
        fprintf(stderr, "%s is %" PRId64 ", not %" PRId64 "\n", what, found, expected);
        differences++;
    }
}

/* A CRC-32, bit by bit. */
static uint32_t crc32_of(const char *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t k = 0; k < count; k++) {
        crc ^= (unsigned char)bytes[k];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
        }
    }
    return ~crc;
}

/* Runs a tool for Ana and prints its receipt, which must be `price` for each of `bytes`; the output is the caller's. */
static farebox_text run(farebox_engine *engine, const char *tool, const char *input, size_t bytes, int price)
{
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_tool_args args = FAREBOX_TOOL_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.tool = text_of(tool);
    args.input = text_of(input);
    farebox_text output = {NULL, 0};
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    const int64_t before = balance_of(engine, "user:ana");
    check(tool, farebox_call_tool(engine, &args, &output, &receipt, &error), &error);
    printf("%-14s %6zu bytes  0.%09" PRId64 " USD  %" PRId64 " left\n", tool, bytes, receipt.amount, receipt.balance);
    equal("the amount", (int64_t)bytes * price, receipt.amount);
    equal("the balance", before - (int64_t)bytes * price, receipt.balance);
    equal("the wallet", receipt.balance, balance_of(engine, "user:ana"));
    return output;
}

/* The whole number of a member that the tool has put out. */
static int64_t result_of(const farebox_text *output)
{
    const char *at = strstr(output->ptr, "\"result\":");
    return at == NULL ? -1 : strtoll(at + strlen("\"result\":"), NULL, 10);
}

int main(int count, char **arguments)
{
    char manifest[PATH_MAX];
    if (count != 2 || realpath(arguments[1], manifest) == NULL) {
        fprintf(stderr, "usage: zlib MANIFEST\n");
        return 2;
    }
    allow(manifest);
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_engine *engine = NULL;
    check("open", farebox_open(&engine, FAREBOX_STR("memory:"), NULL, &error), &error);
    call(engine, "account.deposit", "{\"account\": \"user:ana\", \"amount\": \"1.00\", \"asset\": \"USD\"}");
    char load[PATH_MAX + 20];
    snprintf(load, sizeof load, "{\"path\": \"%s\"}", manifest);
    call(engine, "plugin.load", load);

    static const size_t sizes[] = {1, 19, 4096, 123456};
    static char text[123457], input[124000];
    int64_t paid = 0;
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        const size_t bytes = sizes[k];
        for (size_t at = 0; at < bytes; at++) {
            text[at] = "fair fare "[(at + at / 977) % 10];
        }
        text[bytes] = '\0';
        snprintf(input, sizeof input, "{\"crc\": 0, \"data\": \"%s\"}", text);
        farebox_text output = run(engine, "zlib.crc32", input, bytes, CRC32_PER_BYTE);
        equal("the CRC-32", crc32_of(text, bytes), result_of(&output));
        farebox_text_free(&output);
        snprintf(input, sizeof input, "{\"source\": \"%s\", \"level\": 9}", text);
        output = run(engine, "zlib.compress", input, bytes, COMPRESS_PER_BYTE);
        equal("what compress2 returns", 0, result_of(&output));
        farebox_text_free(&output);
        paid += (int64_t)bytes * (CRC32_PER_BYTE + COMPRESS_PER_BYTE);
    }

    /* What fails costs nothing: there is no level 17. */
    farebox_tool_args args = FAREBOX_TOOL_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.tool = FAREBOX_STR("zlib.compress");
    args.input = FAREBOX_STR("{\"source\": \"fair\", \"level\": 17}");
    farebox_text output = {NULL, 0};
    const farebox_status status = farebox_call_tool(engine, &args, &output, NULL, &error);
    printf("level 17: %s: %s\n", farebox_status_name(status), error.message);
    equal("its status", FAREBOX_PLUGIN_FAILED, status);
    equal("all that Ana has paid", 1000000000 - paid, balance_of(engine, "user:ana"));
    printf("Ana has paid 0.%09" PRId64 " USD, of which the author has 0.%09" PRId64 "\n", paid,
           balance_of(engine, "user:author"));
    check("close", farebox_close(engine, &error), &error);
    printf("%d differences\n", differences);
    return differences == 0 ? 0 : 1;
}

/* The floor of `verify_webhook`: libcrypto's one-shot HMAC-SHA256 over the signed payload of a Standard Webhook with
 * a body of 1 KiB. The payload lies there in one piece; nothing is parsed, decoded or compared.
 *
 *   floor_hmac [--rounds N] */
#include "bench.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

int main(int argc, char **argv)
{
    int64_t rounds = 300000;
    BENCH_OPTIONS(argc, argv, 1, {"--rounds", &rounds, NULL});

    char payload[2048];
    const int head = snprintf(payload, sizeof payload, "msg_2f1A0Zr1Bq4dWcQw9h7Uu5Kx3Yp.1760000000.");
    memset(payload + head, 'x', 1024);
    const size_t length = (size_t)head + 1024;
    uint8_t secret[24];
    for (size_t k = 0; k < sizeof secret; k++) {
        secret[k] = (uint8_t)bench_mix(k);
    }

    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0, sum = 0;
    uint64_t start = 0;
    for (int64_t k = -rounds / 10; k < rounds; k++) {
        if (k == 0) {
            start = bench_now_ns();
        }
        if (HMAC(EVP_sha256(), secret, sizeof secret, (const uint8_t *)payload, length, digest, &digest_length) == NULL) {
            bench_die("HMAC failed");
        }
        sum += digest[0];
    }
    const uint64_t elapsed = bench_now_ns() - start;
    if (sum == 0) {
        bench_die("no digests");
    }
    bench_print("ns", (double)elapsed / (double)rounds);
    return 0;
}

/* The low-level SHA-256 calls are deprecated in OpenSSL 3 but cost half of what the EVP calls do on a short message,
 * which is all a webhook or a small segment is. */
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

/* farebox.h - the C interface of Farebox, the payment engine that lives inside an agent runtime.
 *
 * A tool declares what it costs. Each call of it is quoted, reserved, run, captured and split on a double-entry ledger
 * in the caller's own process. This file is the whole contract and can be read from top to bottom:
 *
 *   1. words and rules     what every function has in common
 *   2. statuses            what a call can answer
 *   3. text, errors        what crosses the border
 *   4. the engine          open, close, tick
 *   5. prices              quote a tool
 *   6. charges and holds   charge, reserve, capture, release, extend
 *   7. metered calls       begin, record, finish: the life of one call of a tool
 *   8. balances
 *   9. webhooks
 *  10. the JSON door       every operation by name
 *  11. plugins             tools in shared objects: what may be loaded, and calling them
 *  12. C functions         metering a function of your own, and calling one by its signature
 *
 * Rules that hold everywhere
 *
 * - Money is an int64_t of atomic units of one asset. An atomic unit is about a nano-dollar: 1 USD is 1,000,000,000.
 *   No floating-point number ever carries money. Times are microseconds since 1970-01-01T00:00:00Z.
 * - A struct begins with `struct_size`; set it with the struct's _INIT macro. Structs grow only at the end. The library
 *   reads and writes no byte past the caller's `struct_size`, and leaves an error struct of an unknown size alone.
 *   `reserved` bytes and unknown flags must be zero.
 * - farebox_str is borrowed: the library reads it during the call and never keeps the pointer. It need not end in NUL.
 *   farebox_text is owned by the caller once filled, and released with farebox_text_free.
 * - Every function returns a farebox_status. On failure it writes its outputs to nothing but *error, and what it was
 *   asked to do has not happened in part. It has not happened at all, except that after FAREBOX_STORE_OUTCOME_UNKNOWN,
 *   FAREBOX_STORE_UNTRUSTED and the FAREBOX_NO_MEMORY of farebox_call all of it may have: repeat it with the same
 *   idempotency key.
 * - `error` may be NULL. It is the caller's memory and needs no release.
 * - Handles are numbers in a pointer's clothes. A null, closed, twice-closed or foreign handle gives FAREBOX_HANDLE or
 *   FAREBOX_CLOSED; it is never dereferenced.
 * - Any function may be called from any thread at any time unless it says otherwise. The library starts no thread. A
 *   callback runs on the thread of the call that it belongs to; a call that it makes into any engine gets
 *   FAREBOX_REENTRANT.
 * - After fork, the child gets FAREBOX_FORKED from every engine of its parent, and opens its own.
 */
#ifndef FAREBOX_H
#define FAREBOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FAREBOX_API __attribute__((visibility("default")))
#else
#define FAREBOX_API
#endif

#define FAREBOX_VERSION_MAJOR 0
#define FAREBOX_VERSION_MINOR 1
#define FAREBOX_VERSION_PATCH 0
#define FAREBOX_VERSION_NUMBER 100 /* major * 10000 + minor * 100 + patch */

/* ---- 2. Statuses ------------------------------------------------------------------------------------------------ */

typedef int32_t farebox_status;

/* clang-format off */
/* statuses: begin (Scripts/generate) */
enum {
    FAREBOX_OK                    = 0, /* It was done. */

    FAREBOX_INVALID_ARGUMENT      = 100, /* A field has a value that is not allowed; field names it. */
    FAREBOX_UNKNOWN_FIELD         = 101, /* The input has a field that the operation does not know. */
    FAREBOX_MISSING_FIELD         = 102, /* A field that the operation needs is absent. */
    FAREBOX_TOO_LONG              = 103, /* A text, list or nesting passes its limit; see the limits in farebox_describe. */
    FAREBOX_INVALID_UTF8          = 104, /* A text is not valid UTF-8. */
    FAREBOX_INVALID_JSON          = 105, /* The input is not JSON; the message names line and column. */
    FAREBOX_STRUCT_SIZE           = 106, /* A struct's struct_size is not one that this library knows. */
    FAREBOX_RESERVED              = 107, /* A reserved byte is not zero or a flag is unknown. */
    FAREBOX_UNKNOWN_OPERATION     = 108, /* No operation has this name; farebox_describe lists them. */
    FAREBOX_OVERFLOW              = 109, /* The result does not fit into 64 bits of atomic units. */
    FAREBOX_INVALID_AMOUNT        = 110, /* An amount is not a decimal number, or has a sign that is not allowed. */
    FAREBOX_TOO_PRECISE           = 111, /* An amount has more digits than the asset's scale, or a rate more than twelve. */
    FAREBOX_UNREPRESENTABLE       = 112, /* A price says something that the price model cannot represent exactly. */

    FAREBOX_HANDLE                = 200, /* The handle is null or is not one that this library gave out. */
    FAREBOX_CLOSED                = 201, /* The engine was closed. */
    FAREBOX_BUSY                  = 202, /* Another call is using what this one needs alone. */
    FAREBOX_FORKED                = 203, /* The engine was opened before a fork; open it again in the child. */
    FAREBOX_REENTRANT             = 204, /* A callback called back into the engine that is calling it. */

    FAREBOX_ACCOUNT_NOT_FOUND     = 300, /* No account has this name; open it first. */
    FAREBOX_ACCOUNT_EXISTS        = 301, /* An account of this name is open with other terms. */
    FAREBOX_ACCOUNT_FROZEN        = 302, /* The account, or one above it, is frozen. */
    FAREBOX_ACCOUNT_CLOSED        = 303, /* The account is closed. */
    FAREBOX_ACCOUNT_NOT_EMPTY     = 304, /* The account still has a balance, a hold or an open account below it. */
    FAREBOX_ASSET_NOT_FOUND       = 310, /* No asset has this code; open it first. */
    FAREBOX_ASSET_EXISTS          = 311, /* An asset of this code is open with another scale. */
    FAREBOX_ASSET_MISMATCH        = 312, /* The amount is in another asset than the one required. */
    FAREBOX_TOOL_NOT_FOUND        = 320, /* No tool has this name. */
    FAREBOX_TOOL_DISABLED         = 321, /* The tool or its skill is disabled, or the current version of the skill no longer offers it. */
    FAREBOX_SKILL_NOT_FOUND       = 322, /* No skill has this id. */
    FAREBOX_SKILL_EXISTS          = 323, /* This version of the skill is registered with another manifest; give the changed manifest another version. */
    FAREBOX_RATE_CARD_NOT_FOUND   = 324, /* No rate card, or no rate on it, has this name at this time. */
    FAREBOX_TOOL_AMBIGUOUS        = 325, /* Several skills offer a tool of this name; the details list them. Write skill#tool. */
    FAREBOX_RATE_AMBIGUOUS        = 328, /* Several providers on the rate card offer this name; name one of them. */
    FAREBOX_TRANSFER_NOT_FOUND    = 330, /* No transfer has this id, or it is not of the kind required. */
    FAREBOX_OVER_REFUND           = 331, /* The refund is more than what is left of the charge. */
    FAREBOX_BUDGET_NOT_FOUND      = 340, /* The account has no budget of this name. */

    FAREBOX_INSUFFICIENT_FUNDS    = 400, /* The wallet's available balance and credit line do not cover it. */
    FAREBOX_OVER_BUDGET           = 401, /* A budget on the account's path would be passed; the details name it. */
    FAREBOX_OVER_CALL_CAP         = 402, /* One call may not cost this much on this account. */
    FAREBOX_OVER_RUN_CAP          = 403, /* One run may not cost this much on this account. */
    FAREBOX_RATE_LIMITED          = 404, /* Too many charges in the last hour on this account. */
    FAREBOX_UNPRICEABLE           = 405, /* The usage has a part that the price does not cover, and no max_cost was given. */
    FAREBOX_OVER_MAX_COST         = 406, /* The price of this usage is more than the caller's max_cost. */

    FAREBOX_HOLD_NOT_FOUND        = 500, /* No hold has this id. */
    FAREBOX_HOLD_CAPTURED         = 501, /* The hold was captured and closed. */
    FAREBOX_HOLD_RELEASED         = 502, /* The hold was released. */
    FAREBOX_HOLD_EXPIRED          = 503, /* The hold expired and its money is back with the payer. */
    FAREBOX_OVER_CAPTURE          = 504, /* The capture is more than what is left of the hold, and the hold's policy is to reject that. */

    FAREBOX_KEY_CONFLICT          = 600, /* The idempotency key was used for another request; field names the first difference. */

    FAREBOX_SIGNATURE_MISSING     = 700, /* The webhook has no signature of the scheme expected. */
    FAREBOX_SIGNATURE_MALFORMED   = 701, /* The webhook's signature header, id or timestamp cannot be read. */
    FAREBOX_SIGNATURE_MISMATCH    = 702, /* No signature of the webhook matches any of the secrets. */
    FAREBOX_TIMESTAMP_TOO_OLD     = 703, /* The webhook was signed longer ago than the tolerance. */
    FAREBOX_TIMESTAMP_TOO_NEW     = 704, /* The webhook was signed further in the future than the tolerance. */
    FAREBOX_WEBHOOK_REPLAYED      = 705, /* The ledger has seen this webhook before. */
    FAREBOX_SECRET_INVALID        = 706, /* A webhook secret is empty or not of the form its scheme requires. */

    FAREBOX_STORE_IO              = 800, /* The store could not read or write; nothing was changed. */
    FAREBOX_STORE_BUSY            = 801, /* Another process held the store for longer than the busy timeout. */
    FAREBOX_STORE_FULL            = 802, /* The store has no room left; nothing was changed. Free some space. */
    FAREBOX_STORE_CORRUPT         = 803, /* The store's content is not what was written; restore a backup. */
    FAREBOX_STORE_READ_ONLY       = 804, /* The store may only be read. */
    FAREBOX_STORE_NEWER           = 805, /* The store was written by a newer version of Farebox. */
    FAREBOX_STORE_NOT_FOUND       = 806, /* There is no store at this address. */
    FAREBOX_LEDGER_INVALID        = 807, /* The ledger does not verify; the details say where. */
    FAREBOX_STORE_UNREACHABLE     = 808, /* The store's server cannot be reached, or the connection to it was lost; nothing was changed. */
    FAREBOX_STORE_OUTCOME_UNKNOWN = 809, /* The connection was lost while committing and did not come back in time: all of it has happened or nothing; repeat it with the same idempotency key. */
    FAREBOX_STORE_UNTRUSTED       = 810, /* The store broke a promise, by a failed flush or a lost record; look at it, then close the engine and open it again. */
    FAREBOX_STORE_EXISTS          = 811, /* There is something where a copy was to be made; nothing was changed. */
    FAREBOX_STORE_UNFINISHED      = 812, /* A copy into this store was not finished; make the copy again. */
    FAREBOX_STORE_AUTHENTICATION  = 813, /* The server refused the user or the password; correct the address or the server's settings. */
    FAREBOX_STORE_DENIED          = 814, /* The process or the role has no permission to use the store; the message names the file, schema or database. */
    FAREBOX_CLOCK_AHEAD           = 815, /* The clock is further ahead than it can be right; nothing was changed. Set the clock and repeat the call. */

    FAREBOX_INTERNAL              = 900, /* A fault of the library's own; the message helps its developers. */
    FAREBOX_NO_MEMORY             = 901, /* The process has no memory left. */
    FAREBOX_UNSUPPORTED           = 902, /* This build or this store does not have the feature. */

    FAREBOX_PLUGINS_OFF           = 1000, /* This process loads no plugins; farebox_set_plugin_policy switches that on. */
    FAREBOX_PLUGIN_POLICY         = 1001, /* The policy of this process does not allow it, or would be loosened; field names the member. */
    FAREBOX_PLUGIN_NOT_FOUND      = 1002, /* No plugin has this id, or no manifest is at this path. */
    FAREBOX_PLUGIN_MANIFEST       = 1003, /* The manifest is not valid; field names the member and the message its line. */
    FAREBOX_PLUGIN_UNTRUSTED      = 1004, /* A hash, signature, owner, mode, revocation or the lock file stood against it; the message says which. */
    FAREBOX_PLUGIN_ABI            = 1005, /* Plugin and host have no version of farebox_plugin.h in common. */
    FAREBOX_PLUGIN_BROKEN         = 1006, /* What the plugin exports or does is not what its manifest says, or it could not be started. */
    FAREBOX_PLUGIN_INACTIVE       = 1007, /* The plugin is not active; the message says why. */
    FAREBOX_PLUGIN_QUARANTINED    = 1008, /* The plugin crashed while it was looked at, and is left alone until its file changes. */
    FAREBOX_PLUGIN_CRASHED        = 1020, /* The plugin's process ended in the middle of the call; nothing was charged. */
    FAREBOX_PLUGIN_DEADLINE       = 1021, /* The call passed its deadline and was ended; nothing was charged. */
    FAREBOX_PLUGIN_CANCELLED      = 1022, /* The call was cancelled; nothing was charged. */
    FAREBOX_PLUGIN_OUTPUT_LIMIT   = 1023, /* The call wrote more than it may; nothing was charged. */
    FAREBOX_PLUGIN_FAILED         = 1024, /* The plugin says that the call failed, and the message is its own; nothing was charged. */
    FAREBOX_PLUGIN_INPUT          = 1025, /* The input is not what the tool takes; field names the member. Nothing was charged. */
    FAREBOX_PLUGIN_OUTPUT         = 1026, /* The plugin gave something else than its manifest says; nothing was charged. */
    FAREBOX_PLUGIN_UNAVAILABLE    = 1027  /* The plugin is busy, is being restarted, or says that it cannot now; nothing was charged. */
};
/* statuses: end */
/* clang-format on */

/* Returns the name of a status, such as "INSUFFICIENT_FUNDS", or "UNKNOWN".
 * Ownership: the text is static.
 * Threads:   any.
 * Errors:    none.
 * Since:     0.1 */
FAREBOX_API const char *farebox_status_name(farebox_status status);

/* Returns the library's version number, to compare with FAREBOX_VERSION_NUMBER.
 * Ownership: a number.
 * Threads:   any.
 * Errors:    none.
 * Since:     0.1 */
FAREBOX_API uint32_t farebox_version_number(void);

/* ---- 3. Text and errors ----------------------------------------------------------------------------------------- */

/* Borrowed UTF-8 or bytes. A NULL pointer or a length of 0 means absent. */
typedef struct farebox_str {
    const char *ptr;
    size_t len;
} farebox_str;

/* A farebox_str of a string literal. */
#ifdef __cplusplus
#define FAREBOX_STR(literal) (farebox_str{"" literal, sizeof(literal) - 1})
#else
#define FAREBOX_STR(literal) ((farebox_str){"" literal, sizeof(literal) - 1})
#endif

/* Owned UTF-8, followed by a NUL that `len` does not count. */
typedef struct farebox_text {
    char *ptr;
    size_t len;
} farebox_text;

/* Releases a text and sets it to {NULL, 0}.
 * Ownership: takes back what the library gave; NULL and {NULL, 0} are allowed.
 * Threads:   any, one at a time for one text.
 * Errors:    none.
 * Since:     0.1 */
FAREBOX_API void farebox_text_free(farebox_text *text);

/* Why a call failed. The caller owns it; nothing in it needs a release. Texts end in NUL and are cut to fit. */
typedef struct farebox_error {
    uint32_t struct_size;
    farebox_status status;
    uint32_t retryable; /* 1: the same request may succeed later */
    uint32_t details_len;
    char field[128];    /* the input field to blame, as a path, or "" */
    char message[512];  /* one sentence for a person; never a secret */
    char details[3072]; /* a JSON object with the facts, or "": for a refusal the binding constraint, its limit, what is
                           spent, what is held and by whom */
    uint32_t refusal;       /* 1: a payment was refused; docs/errors.md lists which failures are refusals */
    char user_message[512]; /* of a refusal, a sentence that a model or an end user may read: which tool, that it was not
                               run or paid for, and what to do. No amounts, account names or ids. "" otherwise */
} farebox_error;

#define FAREBOX_ERROR_INIT {sizeof(farebox_error), 0, 0, 0, {0}, {0}, {0}, 0, {0}}

/* ---- 4. The engine ---------------------------------------------------------------------------------------------- */

/* An open ledger. */
typedef struct farebox_engine farebox_engine;

/* When a receipt is returned. */
typedef int32_t farebox_durability;
enum {
    FAREBOX_DURABILITY_DEFAULT = 0, /* what the engine was opened with */
    FAREBOX_DURABILITY_FULL = 1,    /* after fsync: survives a power loss */
    FAREBOX_DURABILITY_NORMAL = 2,  /* after commit: survives a crash of the process, every process sees it */
    FAREBOX_DURABILITY_RELAXED = 3  /* before commit: only with FAREBOX_OPEN_EXCLUSIVE */
};

enum {
    FAREBOX_OPEN_EXCLUSIVE = 1, /* this process holds the ledger alone until it closes; not on a server */
    FAREBOX_OPEN_EXISTING = 2   /* fail with FAREBOX_STORE_NOT_FOUND rather than make a new ledger */
};

typedef struct farebox_options {
    uint32_t struct_size;
    uint32_t flags;                     /* FAREBOX_OPEN_* */
    farebox_durability durability;      /* default FULL */
    farebox_durability hold_durability; /* of reserve and release; default NORMAL, RELAXED if durability is */
    uint64_t key_memory_bytes;          /* bound on the memory of idempotency keys; 0 is 64 MiB */
    uint32_t busy_timeout_ms;           /* wait for another engine, or for a server to come back; 0 is 10,000 */
    uint32_t relaxed_records;           /* commit at the latest after this many relaxed records; 0 is 4,096 */
    uint32_t relaxed_ms;                /* or after this time, at the next call or tick; 0 is 10 */
    uint32_t reserved0;
    int64_t (*clock)(void *context); /* microseconds since 1970; NULL is the system's clock */
    void *clock_context;
    farebox_str payment_url; /* where a payer can add credit, at most 240 bytes; part of user_message where it helps */
    uint8_t reserved[48];
} farebox_options;

#define FAREBOX_OPTIONS_INIT {sizeof(farebox_options), 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, {NULL, 0}, {0}}

/* Opens the ledger at an address: a path, "sqlite:PATH", "postgresql://..." (docs/postgresql.md), or "memory:" for one that
 * lives as long as the engine; docs/operating.md lists the forms. With FAREBOX_OPEN_EXISTING a file that can only be read
 * opens for reading, and whatever would write answers STORE_READ_ONLY.
 * Ownership: *out is the caller's until farebox_close. `options` may be NULL; its clock must outlive the engine.
 * Threads:   any.
 * Errors:    INVALID_ARGUMENT, INVALID_UTF8, TOO_LONG (too many engines), STRUCT_SIZE, RESERVED, STORE_*, NO_MEMORY,
 *            UNSUPPORTED.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_open(farebox_engine **out, farebox_str url, const farebox_options *options,
                                        farebox_error *error);

/* Commits what is relaxed, closes the ledger and makes the handle invalid.
 * Ownership: takes the engine. Calls that run on other threads finish first; later ones get CLOSED.
 * Threads:   any.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, STORE_*, NO_MEMORY (the engine is closed all the same).
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_close(farebox_engine *engine, farebox_error *error);

/* What a tick has done. */
typedef struct farebox_tick_result {
    uint32_t struct_size;
    uint32_t expired_holds;
    uint32_t committed; /* relaxed records made durable */
    uint32_t sealed;    /* records moved into sealed indexes */
} farebox_tick_result;

#define FAREBOX_TICK_RESULT_INIT {sizeof(farebox_tick_result), 0, 0, 0}

/* Does what is due: expires holds, commits relaxed records, seals indexes. Nothing is wrong if it is never called.
 * Ownership: `out` may be NULL.
 * Threads:   any.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, STRUCT_SIZE, INVALID_ARGUMENT (the clock), STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_tick(farebox_engine *engine, farebox_tick_result *out, farebox_error *error);

/* ---- 5. Prices -------------------------------------------------------------------------------------------------- */

/* Wherever a tool is named, write "skill#tool", or "skill@version#tool" for the price that this version of the skill
 * declares. A plain "tool" works while only one skill has a tool of this name for sale; otherwise the call fails with
 * TOOL_AMBIGUOUS, whose details list the candidates. A rate of a rate card is "card/model". */

/* What a call used, in whole counts, each at least 0. A price ignores what it does not charge for only where it says
 * that the meter is free; other usage makes the call UNPRICEABLE unless max_cost is given. */
typedef struct farebox_usage {
    int64_t requests; /* 0 is read as 1 by a charge: one call is one request */
    int64_t units;
    int64_t input_tokens; /* without the cached ones */
    int64_t output_tokens;
    int64_t cache_read_tokens;
    int64_t cache_write_tokens;
    int64_t reasoning_tokens;
    int64_t input_audio_tokens;
    int64_t output_audio_tokens;
    int64_t images;
    int64_t value;        /* atomic units that a percentage applies to */
    int64_t reserved_meters[4];
    uint32_t units_micro; /* millionths of a unit on top of `units`: 4.5 hours are {units 4, units_micro 500000} */
    uint32_t reserved;
} farebox_usage;

#define FAREBOX_USAGE_INIT {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, 0, 0}

/* The meter that a quote's line charged for. */
typedef int32_t farebox_meter_kind;
enum {
    FAREBOX_METER_REQUESTS = 0,
    FAREBOX_METER_UNITS = 1,
    FAREBOX_METER_INPUT_TOKENS = 2,
    FAREBOX_METER_OUTPUT_TOKENS = 3,
    FAREBOX_METER_CACHE_READ_TOKENS = 4,
    FAREBOX_METER_CACHE_WRITE_TOKENS = 5,
    FAREBOX_METER_REASONING_TOKENS = 6,
    FAREBOX_METER_INPUT_AUDIO_TOKENS = 7,
    FAREBOX_METER_OUTPUT_AUDIO_TOKENS = 8,
    FAREBOX_METER_IMAGES = 9,
    FAREBOX_METER_VALUE = 10
};

/* Whether a number of 0 was given. A number that is not 0 counts without its flag. */
enum {
    FAREBOX_AMOUNT_GIVEN = 1,  /* `amount` counts although it is 0: a dynamic price may come to nothing */
    FAREBOX_MAX_COST_GIVEN = 2 /* `max_cost` counts although it is 0: the call may cost nothing */
};

typedef struct farebox_price_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_MAX_COST_GIVEN */
    farebox_str tool;
    farebox_str customer; /* the account whose own price applies, or absent */
    farebox_usage usage;
    int64_t max_cost; /* caps the total; 0 is no maximum, unless FAREBOX_MAX_COST_GIVEN is set */
    int64_t at;       /* the time whose prices apply; 0 is now */
    uint8_t reserved[32];
} farebox_price_args;

#define FAREBOX_PRICE_ARGS_INIT                                                                                        \
    {sizeof(farebox_price_args), 0, {NULL, 0}, {NULL, 0}, FAREBOX_USAGE_INIT, 0, 0, {0}}

/* One component of a quote: quantity x rate + flat = amount, rounded half to even once. For packages the quantity counts
 * packages; for a percentage it is the value in atomic units; a dynamic amount has no rate. */
typedef struct farebox_quote_line {
    farebox_meter_kind meter;
    int32_t tier;           /* index of the tier, or -1 */
    int64_t quantity_micro; /* millionths of the meter's unit */
    int64_t rate_pico;      /* 1e-12 of the asset's major unit, INT64_MAX where it does not fit */
    int64_t amount;         /* atomic units */
} farebox_quote_line;

typedef struct farebox_quote {
    uint32_t struct_size;
    uint32_t line_count; /* lines that the price has, also those beyond line_capacity */
    farebox_quote_line *lines;
    uint32_t line_capacity;
    uint32_t capped; /* 1: max_cost or the price's own maximum bound the total */
    int64_t total;
    uint64_t price_version; /* the price that applied; an open hold keeps it */
    char asset[24];
    uint8_t reserved[32];
} farebox_quote;

#define FAREBOX_QUOTE_INIT {sizeof(farebox_quote), 0, NULL, 0, 0, 0, 0, {0}, {0}}

/* Quotes a tool for a usage, without touching the ledger.
 * Ownership: args borrowed; out->lines is the caller's array of line_capacity lines, or NULL; on failure its content is
 *            undefined.
 * Threads:   any.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, TOOL_NOT_FOUND, TOOL_AMBIGUOUS, TOOL_DISABLED,
 *            RATE_CARD_NOT_FOUND, UNPRICEABLE, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_price_tool(farebox_engine *engine, const farebox_price_args *args,
                                              farebox_quote *out, farebox_error *error);

/* ---- 6. Charges and holds --------------------------------------------------------------------------------------- */

/* What a capture beyond the hold does. */
typedef int32_t farebox_over_capture;
enum {
    FAREBOX_OVER_CAPTURE_REJECT = 0,  /* OVER_CAPTURE; the hold stays open */
    FAREBOX_OVER_CAPTURE_CAP = 1,     /* capture what is left of the hold */
    FAREBOX_OVER_CAPTURE_OVERFLOW = 2 /* charge the excess like a new charge, limits included */
};

/* One charge. Give either `tool` and its usage, or `amount` and `asset`; without a tool and an amount the charge fails
 * with MISSING_FIELD. */
typedef struct farebox_charge_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_AMOUNT_GIVEN, FAREBOX_MAX_COST_GIVEN */
    farebox_str payer;
    farebox_str tool;
    farebox_str payee; /* credited account of an explicit amount; absent is "platform" */
    farebox_str asset; /* of an explicit amount; absent is the ledger's default */
    farebox_str idempotency_key;
    farebox_str run;
    farebox_str call;
    farebox_str description;
    farebox_str metadata; /* a JSON object */
    int64_t amount;       /* atomic units; with a tool only where its price is dynamic; 0 needs its flag */
    int64_t max_cost;     /* refuse (OVER_MAX_COST) above this; 0 is no maximum, unless its flag is set */
    farebox_usage usage;
    farebox_durability durability;
    uint8_t reserved[28];
} farebox_charge_args;

#define FAREBOX_CHARGE_ARGS_INIT                                                                                       \
    {sizeof(farebox_charge_args), 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0},       \
     {NULL, 0}, {NULL, 0}, 0, 0, FAREBOX_USAGE_INIT, 0, {0}}

enum {
    FAREBOX_RECEIPT_REPLAYED = 1,    /* the key was used for the same request before: this is its receipt */
    FAREBOX_RECEIPT_UNCOMMITTED = 2, /* relaxed: not yet in the store */
    FAREBOX_RECEIPT_FINAL = 4,       /* of a capture: the hold is closed */
    FAREBOX_RECEIPT_CAPPED = 8,      /* the amount is less than the usage's price: max_cost or the hold bound it */
    FAREBOX_RECEIPT_UNREPORTED = 16, /* of a metered call: no usage was reported, so what was held was charged */
    FAREBOX_RECEIPT_RELEASED = 32,   /* of a metered call: nothing was charged, and `amount` is back with the payer */
    FAREBOX_RECEIPT_REFUSAL = 256    /* of an item of a batch: its payment was refused, as `refusal` of farebox_error */
};

/* Proof of a charge, hold, capture or release. Fixed size; nothing in it needs a release. */
typedef struct farebox_receipt {
    uint32_t struct_size;
    farebox_status status;  /* of this item of a batch; FAREBOX_OK otherwise */
    uint32_t flags;         /* FAREBOX_RECEIPT_* */
    uint32_t reserved0;
    uint64_t id;            /* of the transfer; never 0; unique in the ledger */
    uint64_t hold;          /* names the hold, or 0; less than 2^53 */
    int64_t amount;         /* charged, held, captured or returned */
    int64_t hold_remaining; /* left on the hold after this */
    int64_t balance;        /* of the paying wallet after this */
    int64_t available;      /* balance - held + credit line, after this */
    int64_t time;
    uint64_t price_version; /* 0 for an explicit amount */
    char asset[24];
    int64_t shortfall; /* of a metered call: the part of its price that the payer could not pay */
    uint8_t reserved[24];
} farebox_receipt;

#define FAREBOX_RECEIPT_INIT {sizeof(farebox_receipt), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, 0, {0}}

/* Charges a payer at once: price, limits, transfer and split in one atomic step.
 * Ownership: args borrowed; *out is the caller's and may be NULL.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, state family, refused family, KEY_CONFLICT, STORE_*,
 *            NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_charge(farebox_engine *engine, const farebox_charge_args *args,
                                          farebox_receipt *out, farebox_error *error);

/* Charges many in one commit; each stands or falls alone, and out[i].status says how.
 * Ownership: args and out are arrays of `count` structs of equal struct_size; out must not be NULL. All items have one
 *            durability.
 * Threads:   any.
 * Errors:    those of the batch as a whole: HANDLE, CLOSED, FORKED, REENTRANT, STRUCT_SIZE, INVALID_ARGUMENT, TOO_LONG,
 *            STORE_*, NO_MEMORY (then every out[i].status says why). What is wrong with the call itself leaves out
 *            alone.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_charge_many(farebox_engine *engine, const farebox_charge_args *args, size_t count,
                                               farebox_receipt *out, farebox_error *error);

/* One reservation. What is held with a tool: max_cost, where it is given; else the price of the expected `usage` or of the
 * `amount` of a dynamic price; else the price's own maximum. Without a tool: `amount`, or max_cost where there is none. */
typedef struct farebox_reserve_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_AMOUNT_GIVEN, FAREBOX_MAX_COST_GIVEN */
    farebox_str payer;
    farebox_str tool;
    farebox_str payee;
    farebox_str asset;
    farebox_str idempotency_key;
    farebox_str run;
    farebox_str call;
    farebox_str description;
    farebox_str metadata;
    int64_t amount;
    int64_t max_cost;
    farebox_usage usage;
    uint64_t expires_in_ms; /* at most 366 days; 0 is 900,000: a quarter of an hour */
    farebox_over_capture over_capture;
    farebox_durability durability;
    uint8_t reserved[16];
} farebox_reserve_args;

#define FAREBOX_RESERVE_ARGS_INIT                                                                                      \
    {sizeof(farebox_reserve_args), 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0},      \
     {NULL, 0}, {NULL, 0}, 0, 0, FAREBOX_USAGE_INIT, 0, 0, 0, {0}}

/* Holds money for a call that is about to run: the one atomic decision over wallet, budgets, caps and rate limits.
 * Ownership: args borrowed; *out is the caller's and may be NULL; out->hold names the hold.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    as farebox_charge.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_reserve(farebox_engine *engine, const farebox_reserve_args *args,
                                           farebox_receipt *out, farebox_error *error);

/* One increase of an open hold. */
typedef struct farebox_increase_args {
    uint32_t struct_size;
    uint32_t flags; /* 0 */
    uint64_t hold;
    farebox_str idempotency_key;
    farebox_str description;
    farebox_str metadata;
    int64_t amount; /* atomic units that are added; not negative */
    farebox_durability durability;
    uint8_t reserved[28];
} farebox_increase_args;

#define FAREBOX_INCREASE_ARGS_INIT                                                                                     \
    {sizeof(farebox_increase_args), 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0, {0}}

/* Adds to an open hold, in one atomic decision over wallet, budgets and caps: all of `amount` is held, or nothing more.
 * Rate limits do not count it again. The call as a whole must stay within the caps; the budgets of the hold count it in
 * the windows in which the hold began.
 * Ownership: args borrowed; *out is the caller's and may be NULL; its amount is what was added.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, hold family, state family, refused family, KEY_CONFLICT,
 *            STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_increase(farebox_engine *engine, const farebox_increase_args *args,
                                            farebox_receipt *out, farebox_error *error);

enum {
    FAREBOX_CAPTURE_PARTIAL = 1, /* keep the rest of the hold open */
    FAREBOX_CAPTURE_AMOUNT = 2,  /* take `amount`, which may be 0 */
    FAREBOX_CAPTURE_USAGE = 4    /* take the price of `usage`, at the price of the reservation */
};

/* One capture. With neither AMOUNT nor USAGE all that is left of the hold is taken; an `amount` or a `usage` without its
 * flag fails with INVALID_ARGUMENT. */
typedef struct farebox_capture_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_CAPTURE_* */
    uint64_t hold;
    farebox_str idempotency_key;
    farebox_str description;
    farebox_str metadata;
    int64_t amount;
    farebox_usage usage;
    farebox_durability durability;
    uint8_t reserved[28];
} farebox_capture_args;

#define FAREBOX_CAPTURE_ARGS_INIT                                                                                      \
    {sizeof(farebox_capture_args), 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, FAREBOX_USAGE_INIT, 0, {0}}

/* Charges a hold, in part or as a whole; unless PARTIAL, the remainder returns to the payer at once.
 * Ownership: args borrowed; *out is the caller's and may be NULL.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, hold family, refused family (overflow only),
 *            KEY_CONFLICT, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_capture(farebox_engine *engine, const farebox_capture_args *args,
                                           farebox_receipt *out, farebox_error *error);

/* Returns what is left of a hold to the payer.
 * Ownership: *out is the caller's and may be NULL.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, STRUCT_SIZE, INVALID_ARGUMENT (the clock), hold family, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_release(farebox_engine *engine, uint64_t hold, farebox_receipt *out,
                                           farebox_error *error);

/* Moves the expiry of an open hold to `expires_in_ms` from now, at most 366 days.
 * Ownership: *out is the caller's and may be NULL.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, STRUCT_SIZE, INVALID_ARGUMENT, hold family, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_extend(farebox_engine *engine, uint64_t hold, uint64_t expires_in_ms,
                                          farebox_receipt *out, farebox_error *error);

/* ---- 7. Metered calls ------------------------------------------------------------------------------------------- */

/* One call of a tool that the host runs itself: farebox_begin before the work, farebox_record for what it used,
 * farebox_finish after it. The library decides what is held, what the call's idempotency key is and what each ending
 * costs (docs/metered-calls.md has the table); the host says only what happened.
 *
 *   farebox_begin(engine, &args, &call, &error);            holds the money, or refuses: then do not run the tool
 *   farebox_record(&tally, FAREBOX_STR("{\"output_tokens\": 812}"), &error);
 *   farebox_finish(engine, &call, &finish, &receipt, &error);   charges or releases
 */

enum {
    FAREBOX_CALL_AMOUNT_GIVEN = 1,       /* `amount` is the price of this call: the tool's price is dynamic */
    FAREBOX_CALL_MAX_COST_GIVEN = 2,     /* `max_cost` counts although it is 0 */
    FAREBOX_CALL_CHARGE_AFTERWARDS = 4,  /* allow a price by usage that has neither an estimate nor a maximum: hold
                                            nothing and charge afterwards what the payer then can pay */
    FAREBOX_CALL_RELEASE_UNREPORTED = 8  /* a call whose usage is never reported costs nothing, not what was held */
};

/* A call that is about to run. */
typedef struct farebox_begin_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_CALL_* */
    farebox_str payer;
    farebox_str tool;
    farebox_str run;
    farebox_str call;      /* the id that the framework or model gave the call, of any length; absent: repeats of the
                              call are calls of their own */
    farebox_str parent;    /* of a call made inside another one: the `key` of that call */
    farebox_str arguments; /* what the tool is given, in one form for equal arguments: part of the key */
    farebox_str idempotency_key; /* instead of the key that is derived from payer, run, call, parent, tool, arguments
                                    and ordinal */
    farebox_str expected;  /* an estimate of the usage, in the form of farebox_record */
    uint32_t ordinal;      /* counts calls that are alike in all of the above, from 0 */
    farebox_durability durability; /* of the hold; the default is the engine's hold_durability */
    int64_t amount;        /* atomic units, with FAREBOX_CALL_AMOUNT_GIVEN */
    int64_t max_cost;      /* charge at most this; 0 without FAREBOX_CALL_MAX_COST_GIVEN is none */
    int64_t expires_in_ms; /* 0 is 900,000: a quarter of an hour */
    uint8_t reserved[32];
} farebox_begin_args;

#define FAREBOX_BEGIN_ARGS_INIT                                                                                        \
    {sizeof(farebox_begin_args), 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0},        \
     {NULL, 0}, 0, 0, 0, 0, 0, {0}}

enum {
    FAREBOX_CALL_PAID = 1,  /* an earlier try of this call was charged: this one costs nothing more */
    FAREBOX_CALL_SHARED = 2 /* another try of this call is under way and holds the money for both */
};

/* A call that has begun. The host keeps it, in memory or elsewhere, and hands it to farebox_finish as it is. */
typedef struct farebox_metered_call {
    uint32_t struct_size;
    uint32_t flags;         /* FAREBOX_CALL_PAID, FAREBOX_CALL_SHARED */
    uint64_t hold;          /* names the hold */
    int64_t held;
    int64_t maximum;        /* what the call can cost at the most; INT64_MAX where nothing limits it */
    uint64_t price_version;
    int64_t amount;         /* of a dynamic price */
    farebox_usage expected; /* the estimate */
    uint32_t terms;         /* the flags of farebox_begin_args, and whether there is an estimate */
    uint32_t scale;         /* digits after the point: 9 for USD */
    char asset[24];
    char key[40];           /* the `parent` of calls made inside this one; "" where no call id is known */
    uint8_t reserved[32];
} farebox_metered_call;

#define FAREBOX_METERED_CALL_INIT                                                                                      \
    {sizeof(farebox_metered_call), 0, 0, 0, 0, 0, 0, FAREBOX_USAGE_INIT, 0, 0, {0}, {0}, {0}}

/* Holds money for a call that is about to run. A flat price is held whole; a price by usage holds the maximum that the
 * caller gives (or the price's own, if lower), else the price of the estimate, else the price's own maximum; with none of
 * them the call is refused with MISSING_FIELD on max_cost. With a call id or a key, a repeat of a call that was charged
 * costs nothing more, and a repeat of one that failed is charged.
 * Ownership: args borrowed; *out is the caller's.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, state family, refused family, KEY_CONFLICT (a key that was
 *            given names another call), STORE_*, NO_MEMORY. Nothing is held then: do not run the tool.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_begin(farebox_engine *engine, const farebox_begin_args *args,
                                         farebox_metered_call *out, farebox_error *error);

/* What a call has used so far: sums by meter, exact to 18 digits after the point. */
typedef struct farebox_tally {
    uint32_t struct_size;
    uint32_t meters;      /* one bit for each meter that was given, 1 << FAREBOX_METER_* */
    int64_t micro[16];    /* millionths by meter */
    int64_t fraction[16]; /* and what is left of them, in 1e-18 */
} farebox_tally;

#define FAREBOX_TALLY_INIT {sizeof(farebox_tally), 0, {0}, {0}}

/* Adds usage to a tally: a JSON object of counts by meter, such as {"input_tokens": 812, "units": "1.5"}, or one number,
 * which counts units. A number may be a string; null is not given. The sums are rounded to the digits that a meter has
 * once, by farebox_finish.
 * Ownership: usage borrowed; *tally is the caller's, and unchanged on failure.
 * Threads:   any, one at a time for one tally.
 * Errors:    STRUCT_SIZE, INVALID_ARGUMENT, UNKNOWN_FIELD (no such meter), INVALID_UTF8, INVALID_JSON, TOO_LONG, OVERFLOW.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_record(farebox_tally *tally, farebox_str usage, farebox_error *error);

/* How a call ended. */
typedef int32_t farebox_ending;
enum {
    FAREBOX_ENDING_RETURNED = 0, /* the tool gave its result, or its stream to the end */
    FAREBOX_ENDING_REPORTED_FAILURE = 1, /* it gave a result that says that it failed */
    FAREBOX_ENDING_FAILED = 2,   /* it failed */
    FAREBOX_ENDING_LEFT = 3      /* who was to have the result did not wait for it: closed, cancelled, aborted */
};

enum {
    FAREBOX_FINISH_DELIVERED = 1, /* items of a stream were delivered before the end */
    FAREBOX_FINISH_AMOUNT = 2     /* `amount` replaces the one that farebox_begin was given for a dynamic price */
};

enum {
    FAREBOX_CALL_LINE_AMOUNT = 1 /* `amount` is charged, rather than the price of `recorded` */
};

/* One line of what a call is charged for beside its own usage. */
typedef struct farebox_call_line {
    farebox_str tool;  /* priced as of now for the payer; absent with an amount */
    farebox_str payee; /* who is credited with an amount without a tool; absent is "platform" */
    farebox_str description;
    const farebox_tally *recorded;
    int64_t amount; /* with FAREBOX_CALL_LINE_AMOUNT */
    uint32_t flags; /* FAREBOX_CALL_LINE_* */
    uint32_t reserved;
} farebox_call_line;

/* The end of a call. */
typedef struct farebox_finish_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_FINISH_* */
    farebox_ending ending;
    farebox_durability durability; /* of the charge */
    const farebox_tally *recorded; /* what was used; NULL or an empty tally: nothing was reported */
    const farebox_call_line *lines;
    size_t line_count;
    farebox_str description;
    farebox_str metadata; /* a JSON object */
    int64_t amount;
    uint8_t reserved[32];
} farebox_finish_args;

#define FAREBOX_FINISH_ARGS_INIT                                                                                       \
    {sizeof(farebox_finish_args), 0, 0, 0, NULL, NULL, 0, {NULL, 0}, {NULL, 0}, 0, {0}}

/* Charges a call that ended, or gives back what was held for it. Finishing the same call again returns the first receipt.
 * What it used beyond the hold is charged too, up to the maximum; what the payer cannot pay of it is the receipt's
 * `shortfall` and an event `call.shortfall`. A hold that expired while the tool ran does not make the call free.
 * Ownership: call and args borrowed; *out is the caller's and may be NULL. FAREBOX_RECEIPT_RELEASED says that nothing was
 *            charged.
 * Threads:   any; calls of many threads share one commit.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, state family, hold family, UNPRICEABLE (usage that the
 *            price does not cover, without a maximum: the hold is released), STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_finish(farebox_engine *engine, const farebox_metered_call *call,
                                          const farebox_finish_args *args, farebox_receipt *out, farebox_error *error);

/* ---- 8. Balances ------------------------------------------------------------------------------------------------ */

typedef struct farebox_balance_result {
    uint32_t struct_size;
    uint32_t scale;      /* digits after the point: 9 for USD */
    int64_t balance;     /* sum of all postings */
    int64_t held;        /* in open holds */
    int64_t credit_line; /* how far below zero the wallet may go */
    int64_t available;   /* balance - held + credit_line */
    char asset[24];
    uint8_t reserved[32];
} farebox_balance_result;

#define FAREBOX_BALANCE_RESULT_INIT {sizeof(farebox_balance_result), 0, 0, 0, 0, 0, {0}, {0}}

/* Reads the balance of an account's wallet now; an absent asset is the ledger's default.
 * Ownership: *out is the caller's.
 * Threads:   any. What a call on another thread is committing at this moment is counted.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_balance(farebox_engine *engine, farebox_str account, farebox_str asset,
                                           farebox_balance_result *out, farebox_error *error);

/* Writes an id of another system so that it can be a segment of an account's name: slashes, percent signs and control
 * characters as %2F, %25 and so on. Ids without them need no escaping, whatever else they hold.
 * Ownership: id borrowed; *out is owned by the caller, farebox_text_free.
 * Threads:   any.
 * Errors:    INVALID_ARGUMENT, MISSING_FIELD, TOO_LONG, INVALID_UTF8, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_escape_account(farebox_str id, farebox_text *out, farebox_error *error);

/* Gives back the id that farebox_escape_account wrote.
 * Ownership: name borrowed; *out is owned by the caller, farebox_text_free.
 * Threads:   any.
 * Errors:    INVALID_ARGUMENT (no such name), MISSING_FIELD, TOO_LONG, INVALID_UTF8, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_unescape_account(farebox_str name, farebox_text *out, farebox_error *error);

/* ---- 9. Webhooks ------------------------------------------------------------------------------------------------ */

typedef int32_t farebox_webhook_scheme;
enum {
    FAREBOX_WEBHOOK_STANDARD = 0, /* Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature; whsec_, whpk_ */
    FAREBOX_WEBHOOK_STRIPE = 1,   /* Stripe-Signature: t=...,v1=... */
    FAREBOX_WEBHOOK_ROBUTLER = 2  /* X-Robutler-Signature: hex HMAC-SHA256 of the body; has no time, so guard replays */
};

typedef struct farebox_webhook_args {
    uint32_t struct_size;
    farebox_webhook_scheme scheme;
    farebox_str body;          /* the raw bytes as received */
    farebox_str signature;     /* webhook-signature or svix-signature, Stripe-Signature or X-Robutler-Signature */
    farebox_str id;            /* webhook-id or svix-id; for the others the event's id, for the replay guard only */
    farebox_str timestamp;     /* webhook-timestamp or svix-timestamp; absent for the others */
    const farebox_str *secrets; /* any of them may match */
    size_t secret_count;
    int64_t tolerance_s; /* 0 is 300; negative turns the check off */
    int64_t now;         /* microseconds; 0 is the system's clock */
    farebox_str sender;  /* whose ids the replay guard compares; where absent, those tried with any of the same secrets */
    uint8_t reserved[16];
} farebox_webhook_args;

#define FAREBOX_WEBHOOK_ARGS_INIT                                                                                      \
    {sizeof(farebox_webhook_args), 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, NULL, 0, 0, 0, {NULL, 0}, {0}}

/* Verifies the signature and age of a webhook; FAREBOX_OK means that the body may be trusted.
 * Ownership: everything is borrowed. `engine` may be NULL; with one, an id seen before from the same sender gives
 *            WEBHOOK_REPLAYED and a new one is remembered in the ledger.
 * Threads:   any.
 * Errors:    STRUCT_SIZE, RESERVED, INVALID_ARGUMENT, TOO_LONG, webhook family; with an engine also HANDLE, CLOSED,
 *            FORKED, REENTRANT, INVALID_UTF8, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_verify_webhook(farebox_engine *engine, const farebox_webhook_args *args,
                                                  farebox_error *error);

/* ---- 10. The JSON door ------------------------------------------------------------------------------------------ */

/* Carries out an operation by name with a JSON object as input: everything above and everything else.
 * Ownership: input borrowed; *out is owned by the caller, farebox_text_free.
 * Threads:   any.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, STORE_*, NO_MEMORY, and those of the operation, which
 *            farebox_describe lists.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_call(farebox_engine *engine, farebox_str operation, farebox_str input,
                                        farebox_text *out, farebox_error *error);

/* Describes the library as JSON: version, statuses, limits, and each operation with fields, errors and a doc line.
 * Ownership: *out is owned by the caller, farebox_text_free.
 * Threads:   any.
 * Errors:    INVALID_ARGUMENT, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_describe(farebox_text *out, farebox_error *error);

/* ---- 11. Plugins ------------------------------------------------------------------------------------------------ */

/* Says what plugins this process may load, as a JSON object (docs/plugins.md). Until it is called nothing is loaded. It
 * may be called again to allow less; what would allow more is refused. No operation of the JSON door does this, so nothing
 * that an agent can reach switches loading on.
 * Ownership: borrowed.
 * Threads:   any. Plugins that the new policy no longer allows are stopped at their next call.
 * Errors:    INVALID_ARGUMENT, UNKNOWN_FIELD, MISSING_FIELD, TOO_LONG, INVALID_UTF8, INVALID_JSON, PLUGIN_POLICY (it
 *            would allow more than before), NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_set_plugin_policy(farebox_str policy, farebox_error *error);

struct farebox_plugin;

/* Registers a plugin that is compiled into the host, as trusted as the host itself: it runs in this process and needs no
 * policy. `manifest` is that of any plugin; its files are not looked at.
 * Ownership: manifest borrowed; what `entry` returns must live as long as the process.
 * Threads:   any. `entry` and init of the plugin (farebox_plugin.h) run inside the call.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, SKILL_EXISTS, plugin family, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_register_plugin(farebox_engine *engine, farebox_str manifest,
                                                   const struct farebox_plugin *(*entry)(void), farebox_error *error);

enum {
    FAREBOX_TOOL_UNCHARGED = 1,         /* run it at the host's own cost: no payer, no receipt, nothing in the ledger */
    FAREBOX_TOOL_CHARGE_AFTERWARDS = 4, /* as FAREBOX_CALL_CHARGE_AFTERWARDS */
    FAREBOX_TOOL_RELEASE_UNREPORTED = 8 /* as FAREBOX_CALL_RELEASE_UNREPORTED */
};

/* One call of a tool that a plugin offers. */
typedef struct farebox_tool_args {
    uint32_t struct_size;
    uint32_t flags; /* FAREBOX_TOOL_*, FAREBOX_MAX_COST_GIVEN */
    farebox_str payer;
    farebox_str tool;
    farebox_str input; /* a JSON object; absent is {} */
    farebox_str idempotency_key;
    farebox_str run;
    farebox_str call;
    farebox_str parent;   /* as in farebox_begin_args */
    int64_t max_cost;     /* charge at most this; 0 is no maximum, unless its flag is set */
    uint32_t deadline_ms; /* give up after this; 0 is the plugin's own */
    farebox_durability durability; /* of the charge */
    uint32_t ordinal;     /* as in farebox_begin_args */
    uint8_t reserved[28];
} farebox_tool_args;

#define FAREBOX_TOOL_ARGS_INIT                                                                                         \
    {sizeof(farebox_tool_args), 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0,   \
     0, 0, {0}}

/* Runs a tool of a plugin as one metered call: what is held and what its end costs is as for farebox_begin and
 * farebox_finish. Where it fails, crashes, floods its output or passes its deadline, the payer pays nothing. A repeat with
 * the same key, or with the same payer, run, call id and input, runs the tool again and charges once.
 * Ownership: args borrowed. *output is owned by the caller, farebox_text_free; it is bytes where the manifest says so.
 *            *receipt is the charge's and may be NULL.
 * Threads:   any. The call returns by its deadline; the operation `tool.cancel` ends it from another thread.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, TOOL_NOT_FOUND, TOOL_AMBIGUOUS, TOOL_DISABLED, refused
 *            family, hold family, KEY_CONFLICT, plugin family, STORE_*, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_call_tool(farebox_engine *engine, const farebox_tool_args *args,
                                             farebox_text *output, farebox_receipt *receipt, farebox_error *error);

/* Runs the worker process of a plugin; what the program farebox-worker does and nobody else calls.
 * Ownership: borrowed.
 * Threads:   the only one of the process.
 * Errors:    the process's exit status.
 * Since:     0.1 */
FAREBOX_API int farebox_worker_main(int argc, char **argv);

/* ---- 12. C functions -------------------------------------------------------------------------------------------- */

/* A signature is a return type and a list of parameters: "i32(out:u64* dest, bytes:u64 source, i32 level)". Names are
 * optional. Types of one C parameter:
 *
 *   i8 i16 i32 i64 u8 u16 u32 u64   integers of fixed width
 *   double                          a double
 *   string                          const char *, UTF-8, ending in NUL
 *   pointer                         void *, passed on and never followed; not in manifests
 *
 * and of two C parameters, a pointer and then its length of the width given:
 *
 *   bytes:u32  bytes:u64            const void * and the number of bytes
 *   out:u32  out:u64                void * and its capacity; the function returns how much of it was written
 *   out:u32*  out:u64*              void * and a pointer to its capacity, which becomes how much of it was written
 *
 * At most one `out`, at most 16 parameters. The return type is one of the first list or `void`; `out` without `*` needs
 * an integer. Nothing can check that a signature is true: a false one is undefined behaviour, in the process that makes
 * the call (docs/metering.md). */

enum {
    FAREBOX_METERED_CHECK_ONLY = 1,        /* quote and refuse above max_cost, but write nothing to the ledger */
    FAREBOX_METERED_CHARGE_AFTERWARDS = 4, /* as FAREBOX_CALL_CHARGE_AFTERWARDS */
    FAREBOX_METERED_RELEASE_UNREPORTED = 8 /* as FAREBOX_CALL_RELEASE_UNREPORTED */
};

/* A C function and what its calls cost. */
typedef struct farebox_meter_args {
    uint32_t struct_size;
    uint32_t flags;   /* FAREBOX_METERED_*, FAREBOX_MAX_COST_GIVEN */
    void *function;   /* must live as long as what farebox_meter gives */
    farebox_str signature;
    farebox_str tool; /* registered; its price applies */
    farebox_str payer; /* absent: who pays in the context of the caller (farebox_set_payer_resolver), else who farebox_pay
                          has named on the calling thread */
    farebox_str usage; /* where the units come from: absent, one request; "bytes:NAME", the bytes of the parameter NAME,
                          of an `out` what was written; "value:NAME", the number of an integer, not negative; names as
                          in the signature, or numbers counted from 0 */
    farebox_str failure; /* which results mean that the call failed: absent, none; "negative", "nonzero", "zero" */
    int64_t refused_integer; /* what a call returns that was refused or could not be made: of an integer or pointer */
    double refused_double;   /* of a double */
    int64_t max_cost;        /* charge at most this; 0 is no maximum, unless its flag is set */
    farebox_durability durability;
    uint8_t reserved[28];
} farebox_meter_args;

#define FAREBOX_METER_ARGS_INIT                                                                                        \
    {sizeof(farebox_meter_args), 0, NULL, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0.0, 0, 0, {0}}

/* Gives a function of the same signature as args->function, each call of which is one metered call: what is held and what
 * its end costs is as for farebox_begin and farebox_finish. A call that is refused does not reach the function: it returns
 * the declared value, and farebox_metered tells why on the same thread.
 * Ownership: args borrowed. *out is a function pointer, the caller's until farebox_unmeter; after the engine's close
 *            calls return the refused value with CLOSED. At most 4,096 of them live.
 * Threads:   any; so may the function be called, if args->function may. It keeps the errno that args->function sets.
 * Errors:    HANDLE, CLOSED, FORKED, REENTRANT, request family, TOOL_NOT_FOUND, TOOL_AMBIGUOUS, RATE_CARD_NOT_FOUND,
 *            STORE_*, UNSUPPORTED, NO_MEMORY.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_meter(farebox_engine *engine, const farebox_meter_args *args, void **out,
                                         farebox_error *error);

/* Gives back what farebox_meter gave: from now on it returns the refused value with CLOSED. Its memory is kept for the
 * next farebox_meter, so that a late call does no harm.
 * Ownership: takes the function pointer.
 * Threads:   any; calls that are under way finish.
 * Errors:    HANDLE (it is not one that farebox_meter gave, or was given back).
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_unmeter(void *function, farebox_error *error);

/* Who pays for one call of a metered function. */
typedef struct farebox_payer {
    uint32_t struct_size;
    uint32_t ordinal;       /* where `call` or `parent` is set: counts calls that are alike, as in farebox_begin_args */
    farebox_str tool;       /* set by the library: the tool that is called */
    farebox_str arguments;  /* set by the library when it asks for the ordinal: a digest of the call's arguments */
    farebox_engine *engine; /* the ledger that has the payer's account; NULL is any: a call of another ledger's tool fails */
    farebox_str payer;      /* absent is nobody: the call fails */
    farebox_str run;
    farebox_str call;       /* the id that the framework or model gave the call, as in farebox_begin_args */
    farebox_str parent;
    uint8_t reserved[32];
} farebox_payer;

#define FAREBOX_PAYER_INIT                                                                                             \
    {sizeof(farebox_payer), 0, {NULL, 0}, {NULL, 0}, NULL, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {0}}

/* Says who pays for a call: fills *payer and returns 0. Any other number says that it cannot tell; then the payer is the
 * one that farebox_pay has named on the thread. It is asked with `arguments` absent first; where its answer has a `call` or
 * `parent` it is asked again with `arguments`, and counts the call among those alike. */
typedef int (*farebox_payer_resolver)(void *context, farebox_payer *payer);

/* Sets who is asked, in this process, for the payer of a metered function that has none of its own: several tasks may share
 * a thread, and only the language's own context knows which of them made the call. NULL asks nobody.
 * Ownership: resolver and context must stay valid until another one is set and calls under way have returned. The texts
 *            that the resolver gives are copied before anything else happens.
 * Threads:   any. The resolver runs on the thread of each call. A metered function that it calls fails with REENTRANT.
 * Errors:    none.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_set_payer_resolver(farebox_payer_resolver resolver, void *context,
                                                      farebox_error *error);

/* Names who pays for metered calls on this thread that name no payer, and whose context names none, and the run that they
 * belong to, until it is called again; an absent payer is nobody.
 * Ownership: borrowed and copied.
 * Threads:   any; each has its own.
 * Errors:    TOO_LONG, INVALID_UTF8.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_pay(farebox_str payer, farebox_str run, farebox_error *error);

/* Tells what became of the last call of a metered function on this thread: its status, and the receipt of a charge.
 * Ownership: *receipt and *error are the caller's and may be NULL; the receipt is zero where nothing was charged.
 * Threads:   any; each has its own.
 * Errors:    the status of that call, also where its function ran and the charge failed after it; OK where
 *            there was none; STRUCT_SIZE.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_metered(farebox_receipt *receipt, farebox_error *error);

/* An argument or result of farebox_invoke; which member counts follows from the signature. */
typedef struct farebox_value {
    int64_t integer;   /* of an integer type; a u64 as the same bits; a pointer as its address */
    double number;     /* of a double */
    farebox_str bytes; /* of bytes and string; of out the buffer and its capacity, and afterwards what was written */
} farebox_value;

/* Calls a C function by its signature.
 * Ownership: arguments are `count` values, one for each parameter of the signature; borrowed, except that the buffer of
 *            an `out` is written and its len set. A string must end in NUL at its len. *result is the caller's and may
 *            be NULL for void; a string in it belongs to the function that was called.
 * Threads:   any, if the function may.
 * Errors:    INVALID_ARGUMENT, TOO_LONG, INVALID_UTF8, UNSUPPORTED, NO_MEMORY; nothing was called.
 * Since:     0.1 */
FAREBOX_API farebox_status farebox_invoke(void *function, farebox_str signature, farebox_value *arguments, size_t count,
                                          farebox_value *result, farebox_error *error);

#ifdef __cplusplus
}
#endif

#endif /* FAREBOX_H */

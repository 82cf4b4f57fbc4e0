/* The requests of a run: made from a seed, carried out, written down and read back. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "../ABI/check.h"

enum { EXTERNAL, PLATFORM, AUTHOR, USERS, USER_COUNT = 4, ACCOUNTS = USERS + USER_COUNT };

static const char *const account_names[ACCOUNTS] = {"external", "platform", "agent:author", "user:0", "user:1", "user:2", "user:3"};

typedef enum kind { DEPOSIT, CHARGE, TOOL, MANY, RESERVE, CAPTURE, CAPTURE_PART, RELEASE, REFUND, TRANSFER, KINDS } kind;

__attribute__((unused)) static const char *const kind_names[KINDS] = {"deposit", "charge",       "tool",    "many",   "reserve",
                                                                      "capture", "capture_part", "release", "refund", "transfer"};

static const int64_t TOOL_PRICE = 20000000;  /* 0.02 */
static const int64_t TOOL_AUTHOR = 14000000; /* 70 per cent */

typedef struct request {
    int number;
    kind kind;
    char key[64];
    int payer, payee;
    int64_t amount;
    uint64_t reference; /* the hold, or the charge that is refunded */
    int durability;
    int count; /* of MANY */
} request;

/* Item `index` of a request for many, as a charge of its own. */
static request item_of(const request *r, int index)
{
    request item = *r;
    item.kind = CHARGE;
    snprintf(item.key, sizeof item.key, "%.50s.%d", r->key, index);
    item.amount = r->amount + index;
    item.payer = USERS + (r->payer - USERS + index) % USER_COUNT;
    item.count = 0;
    return item;
}

__attribute__((unused)) static farebox_charge_args charge_of(const request *r)
{
    farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
    args.payer = str(account_names[r->payer]);
    args.idempotency_key = str(r->key);
    args.durability = r->durability;
    if (r->kind == TOOL) {
        args.tool = str("work");
    } else {
        args.payee = str(account_names[r->payee]);
        args.amount = r->amount;
    }
    return args;
}

/* The decimal text of an amount in USD. */
static const char *decimal(char *out, size_t size, int64_t units)
{
    const uint64_t magnitude = units < 0 ? 0 - (uint64_t)units : (uint64_t)units;
    snprintf(out, size, "%s%" PRIu64 ".%09" PRIu64, units < 0 ? "-" : "", magnitude / 1000000000, magnitude % 1000000000);
    return out;
}

/* The units of a decimal text. */
__attribute__((unused)) static int64_t units_of(const char *text)
{
    const int is_negative = *text == '-';
    text += is_negative;
    int64_t units = 0;
    int digits = -1;
    for (; (*text >= '0' && *text <= '9') || *text == '.'; text++) {
        if (*text == '.') {
            digits = 0;
        } else if (digits < 9) {
            units = units * 10 + (*text - '0');
            digits += digits >= 0;
        }
    }
    for (digits = digits < 0 ? 0 : digits; digits < 9; digits++) {
        units *= 10;
    }
    return is_negative ? -units : units;
}

/* Through the JSON door; fills in what a receipt of it has. */
static farebox_status perform_json(farebox_engine *engine, const request *r, farebox_receipt *out)
{
    const char *json = NULL;
    char a[32], b[32], c[32];
    farebox_status status;
    if (r->kind == DEPOSIT) {
        status = json_call(engine, &json, "account.deposit", "{\"account\":\"%s\",\"amount\":\"%s\",\"idempotency_key\":\"%s\"}",
                           account_names[r->payer], decimal(a, sizeof a, r->amount), r->key);
    } else if (r->kind == REFUND) {
        status = json_call(engine, &json, "charge.refund", "{\"id\":%" PRIu64 ",\"amount\":\"%s\",\"idempotency_key\":\"%s\"}",
                           r->reference, decimal(a, sizeof a, r->amount), r->key);
    } else {
        status = json_call(engine, &json, "transfer.create",
                           "{\"postings\":[{\"account\":\"%s\",\"amount\":\"%s\"},{\"account\":\"%s\",\"amount\":\"%s\"},"
                           "{\"account\":\"%s\",\"amount\":\"%s\"}],\"idempotency_key\":\"%s\"}",
                           account_names[r->payer], decimal(a, sizeof a, -r->amount), account_names[r->payee],
                           decimal(b, sizeof b, r->amount / 2), account_names[AUTHOR],
                           decimal(c, sizeof c, r->amount - r->amount / 2), r->key);
    }
    if (status == FAREBOX_OK) {
        out->id = (uint64_t)json_first(json, "id");
        const char *amount = strstr(json, "\"amount\":\"");
        out->amount = amount == NULL ? -1 : units_of(amount + 10);
        const char *balance = strstr(json, "\"balance\":\"");
        out->balance = balance == NULL ? INT64_MIN : units_of(balance + 11);
        out->flags = strstr(json, "\"replayed\":true") != NULL ? FAREBOX_RECEIPT_REPLAYED : 0;
    }
    return status;
}

/* Carries out a request; `out` has room for `count` receipts of MANY. */
static farebox_status perform(farebox_engine *engine, const request *r, farebox_receipt *out)
{
    *out = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    switch (r->kind) {
    case CHARGE:
    case TOOL: {
        const farebox_charge_args args = charge_of(r);
        return farebox_charge(engine, &args, out, NULL);
    }
    case MANY: {
        static _Thread_local farebox_charge_args args[8192];
        static _Thread_local request items[8192];
        for (int k = 0; k < r->count; k++) {
            items[k] = item_of(r, k);
            args[k] = charge_of(&items[k]);
            out[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
        }
        return farebox_charge_many(engine, args, (size_t)r->count, out, NULL);
    }
    case RESERVE: {
        farebox_reserve_args args = FAREBOX_RESERVE_ARGS_INIT;
        args.payer = str(account_names[r->payer]);
        args.payee = str(account_names[r->payee]);
        args.amount = r->amount;
        args.idempotency_key = str(r->key);
        args.durability = r->durability;
        return farebox_reserve(engine, &args, out, NULL);
    }
    case CAPTURE:
    case CAPTURE_PART: {
        farebox_capture_args args = FAREBOX_CAPTURE_ARGS_INIT;
        args.hold = r->reference;
        args.flags = FAREBOX_CAPTURE_AMOUNT | (r->kind == CAPTURE_PART ? FAREBOX_CAPTURE_PARTIAL : 0);
        args.amount = r->amount;
        args.idempotency_key = str(r->key);
        args.durability = r->durability;
        return farebox_capture(engine, &args, out, NULL);
    }
    case RELEASE: return farebox_release(engine, r->reference, out, NULL);
    default: return perform_json(engine, r, out);
    }
}

/* Adds what a request does to balances, when it is done. Refunds are of charges with a payee. */
static void add_effect(const request *r, int64_t balances[ACCOUNTS])
{
    switch (r->kind) {
    case DEPOSIT:
        balances[EXTERNAL] -= r->amount;
        balances[r->payer] += r->amount;
        break;
    case CHARGE:
    case CAPTURE:
    case CAPTURE_PART:
        balances[r->payer] -= r->amount;
        balances[r->payee] += r->amount;
        break;
    case REFUND:
        balances[r->payer] += r->amount;
        balances[r->payee] -= r->amount;
        break;
    case TOOL:
        balances[r->payer] -= TOOL_PRICE;
        balances[AUTHOR] += TOOL_AUTHOR;
        balances[PLATFORM] += TOOL_PRICE - TOOL_AUTHOR;
        break;
    case TRANSFER:
        balances[r->payer] -= r->amount;
        balances[r->payee] += r->amount / 2;
        balances[AUTHOR] += r->amount - r->amount / 2;
        break;
    default: break;
    }
}

static int is_store_status(farebox_status status)
{
    return (status >= 800 && status < 900) || status == FAREBOX_NO_MEMORY;
}

/* Statuses after which nothing has changed, by their own words. */
__attribute__((unused)) static int says_nothing_changed(farebox_status status)
{
    return is_store_status(status) && status != FAREBOX_STORE_UNTRUSTED && status != FAREBOX_STORE_OUTCOME_UNKNOWN;
}

#endif

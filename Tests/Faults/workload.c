/* A run against a ledger, that writes down what it asks for and each receipt that it is given.
 *
 *   workload URL LOG [--seed N] [--steps N] [--threads N] [--name TEXT] [--new] [--many N] [--exclusive] [--shared]
 *            [--heap BYTES] [--busy MS] [--fill SEALS] [--jumps]
 *
 * --new makes accounts, a tool and deposits first; otherwise the ledger must have them. --steps -1 goes on until it is
 * killed. --shared says that others write too, so that balances cannot be foretold. --many is the size of batches.
 * --heap limits SQLite's memory from the tenth step on, for twenty steps. --fill charges until the ledger has been
 * sealed that many times and is about to be sealed again. --jumps says that the clock does, so that holds may expire.
 *
 * LOG has a line `try ...` before each request and a line `got ...` after it, and ends in `end` where the run came to
 * its end. Exits with 0 where everything that the engine has said was right, with 3 where an answer was wrong. */
#include "requests.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>

typedef struct hold {
    uint64_t id;
    int payer, payee;
    int64_t left;
} hold;

typedef struct caller {
    int index;
    uint64_t random;
    int made;
    hold holds[64];
    int hold_count;
    request charges[64]; /* that can still be refunded; reference is the id */
    int charge_count;
} caller;

static const char *url, *name = "r";
static uint64_t seed = 1;
static int steps = 100, thread_count = 1, many = 20, fill_seals, is_new, is_exclusive, is_shared, has_jumps, busy_ms = 300;
static int64_t heap_limit;
static int log_file;
static farebox_engine *engine;
/* What the balances must be, where this run is alone; unsure where an outcome is unknown. */
static int64_t model[ACCOUNTS];
static int is_unsure;
static atomic_int wrong;

static void is_wrong(const char *what, int64_t expected, int64_t actual)
{
    fprintf(stderr, "workload: wrong: %s: expected %" PRId64 ", got %" PRId64 "\n", what, expected, actual);
    atomic_store(&wrong, 1);
}

static void put(const char *text, size_t length)
{
    if (write(log_file, text, length) != (ssize_t)length) {
        perror("the log");
        exit(4);
    }
}

static void put_try(const request *r)
{
    char line[256];
    const int length = snprintf(line, sizeof line, "try %d %d %s %d %d %" PRId64 " %" PRIu64 " %d %d\n", r->number, r->kind, r->key,
                                r->payer, r->payee, r->amount, r->reference, r->durability, r->count);
    put(line, (size_t)length);
}

static void put_got(const request *r, farebox_status status, const farebox_receipt *receipts)
{
    static _Thread_local char text[1 << 20];
    size_t length = 0;
    for (int k = 0; k < r->count && status == FAREBOX_OK; k++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "got %d %d %d %" PRIu64 " %" PRId64 " 0 %u\n", r->number, k,
                                   receipts[k].status, receipts[k].id, receipts[k].amount, receipts[k].flags);
    }
    length += (size_t)snprintf(text + length, sizeof text - length, "got %d -1 %d %" PRIu64 " %" PRId64 " %" PRIu64 " %u\n", r->number,
                               status, receipts->id, receipts->amount, receipts->hold, receipts->flags);
    put(text, length);
}

/* ---- The engine, opened again where its status says so ---- */

static farebox_status open_once(void)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.flags = is_exclusive ? FAREBOX_OPEN_EXCLUSIVE : 0;
    options.key_memory_bytes = 1 << 20;
    options.busy_timeout_ms = (uint32_t)busy_ms;
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_open(&engine, str(url), &options, &error);
    if (status != FAREBOX_OK) {
        engine = NULL;
        if (!is_store_status(status)) {
            is_wrong("status of open", FAREBOX_STORE_IO, status);
        }
        fprintf(stderr, "open: %s: %s\n", farebox_status_name(status), error.message);
    }
    return status;
}

/* A fault may last for some calls; one that lasts longer ends the run. */
static void open_engine(void)
{
    farebox_status status = FAREBOX_OK;
    for (int k = 0; k < 20; k++) {
        status = open_once();
        if (status == FAREBOX_OK) {
            return;
        }
    }
    char line[64];
    put(line, (size_t)snprintf(line, sizeof line, "stopped %d\n", status));
    exit(atomic_load(&wrong) ? 3 : 0);
}

/* An engine that cannot trust its store says so to every call. */
static void must_refuse_everything(void)
{
    request r = {0, CHARGE, "never", USERS, PLATFORM, 1, 0, FAREBOX_DURABILITY_FULL, 0};
    farebox_receipt receipt;
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    farebox_reserve_args reserve = FAREBOX_RESERVE_ARGS_INIT;
    reserve.payer = str(account_names[USERS]);
    reserve.amount = 1;
    farebox_price_args price = FAREBOX_PRICE_ARGS_INIT;
    price.tool = str("work");
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    const farebox_status answers[] = {
        perform(engine, &r, &receipt),
        farebox_balance(engine, str(account_names[USERS]), str("USD"), &balance, NULL),
        farebox_reserve(engine, &reserve, &receipt, NULL),
        farebox_release(engine, 1, &receipt, NULL),
        farebox_tick(engine, NULL, NULL),
        farebox_price_tool(engine, &price, &quote, NULL),
        json_call(engine, NULL, "ledger.info", "{}"),
        json_call(engine, NULL, "ledger.verify", "{}"),
        json_call(engine, NULL, "transfer.list", "{}"),
        perform(engine, &r, &receipt),
    };
    for (size_t k = 0; k < sizeof answers / sizeof answers[0]; k++) {
        if (answers[k] != FAREBOX_STORE_UNTRUSTED) {
            fprintf(stderr, "call %zu of an engine that cannot trust its store\n", k);
            is_wrong("its status", FAREBOX_STORE_UNTRUSTED, answers[k]);
        }
    }
}

static void handle(farebox_status status)
{
    if (status == FAREBOX_HOLD_EXPIRED && has_jumps) {
        return;
    }
    if (!is_store_status(status)) {
        is_wrong("status", FAREBOX_OK, status);
        return;
    }
    if (status == FAREBOX_STORE_UNTRUSTED || status == FAREBOX_STORE_CORRUPT || status == FAREBOX_LEDGER_INVALID) {
        if (status == FAREBOX_STORE_UNTRUSTED) {
            fprintf(stderr, "untrusted\n");
            must_refuse_everything();
        }
        if (thread_count > 1) {
            is_wrong("status under several threads", FAREBOX_OK, status);
            exit(3);
        }
        farebox_close(engine, NULL);
        open_engine();
    }
}

/* ---- Requests ---- */

/* Asks until it is done or another answer than a store's comes; gives the last status. */
static farebox_status carry_out(const request *r, farebox_receipt *receipts)
{
    put_try(r);
    farebox_status status = FAREBOX_OK;
    int may_have_happened = 0;
    for (int attempt = 0; attempt < 6; attempt++) {
        status = perform(engine, r, receipts);
        if (status == FAREBOX_HOLD_RELEASED && r->kind == RELEASE && may_have_happened) {
            status = FAREBOX_OK;
            receipts->flags = FAREBOX_RECEIPT_REPLAYED;
        }
        put_got(r, status, receipts);
        if (status == FAREBOX_OK) {
            if ((receipts->flags & FAREBOX_RECEIPT_REPLAYED) != 0 && !may_have_happened) {
                is_wrong("replay of a request of which nothing has happened", 0, 1);
            }
            break;
        }
        may_have_happened |= !says_nothing_changed(status);
        handle(status);
        if (!is_store_status(status)) {
            break;
        }
    }
    if (status != FAREBOX_OK && may_have_happened) {
        is_unsure = 1;
    }
    if (status != FAREBOX_OK || is_shared) {
        return status;
    }
    if (r->kind == MANY) {
        for (int k = 0; k < r->count; k++) {
            const request item = item_of(r, k);
            if (receipts[k].status != FAREBOX_OK) {
                is_wrong("status of an item", FAREBOX_OK, receipts[k].status);
            } else {
                add_effect(&item, model);
                if (receipts[k].amount != item.amount) {
                    is_wrong("amount of an item", item.amount, receipts[k].amount);
                }
            }
        }
        return status;
    }
    add_effect(r, model);
    if (r->kind != RELEASE && receipts->amount != (r->kind == TOOL ? TOOL_PRICE : r->amount)) {
        is_wrong("amount", r->amount, receipts->amount);
    }
    if (!is_unsure && (receipts->flags & FAREBOX_RECEIPT_REPLAYED) == 0 && receipts->balance != model[r->payer]) {
        fprintf(stderr, "%s\n", kind_names[r->kind]);
        is_wrong("balance in a receipt", model[r->payer], receipts->balance);
    }
    return status;
}

static request next_request(caller *c)
{
    static const unsigned char mix[] = {DEPOSIT, CHARGE, CHARGE,  CHARGE,       TOOL,    TOOL,   MANY,    RESERVE,
                                        RESERVE, RESERVE, CAPTURE, CAPTURE_PART, RELEASE, REFUND, TRANSFER, CHARGE};
    request r = {0, CHARGE, "", 0, PLATFORM, 0, 0, FAREBOX_DURABILITY_DEFAULT, 0};
    r.number = c->made * 64 + c->index;
    c->made++;
    snprintf(r.key, sizeof r.key, "%.20s-%" PRIu64 "-%d", name, seed, r.number);
    r.kind = (kind)mix[random_below(&c->random, sizeof mix)];
    r.payer = USERS + (int)random_below(&c->random, USER_COUNT);
    r.payee = random_below(&c->random, 2) == 0 ? PLATFORM : AUTHOR;
    r.amount = (int64_t)(1 + random_below(&c->random, 1000000));
    if (random_below(&c->random, 4) == 0) {
        r.durability = FAREBOX_DURABILITY_NORMAL;
    }
    if (r.kind == RESERVE && c->hold_count == 64) {
        r.kind = RELEASE;
    }
    if ((r.kind == CAPTURE || r.kind == CAPTURE_PART || r.kind == RELEASE) && c->hold_count == 0) {
        r.kind = RESERVE;
    }
    if (r.kind == CAPTURE || r.kind == CAPTURE_PART || r.kind == RELEASE) {
        const hold *h = &c->holds[random_below(&c->random, (uint64_t)c->hold_count)];
        r.reference = h->id;
        r.payer = h->payer;
        r.payee = h->payee;
        r.amount = r.kind == RELEASE ? 0 : (int64_t)random_below(&c->random, (uint64_t)h->left + 1);
        if (r.amount == h->left && r.kind == CAPTURE_PART) {
            r.kind = CAPTURE;
        }
    }
    if (r.kind == REFUND && c->charge_count == 0) {
        r.kind = CHARGE;
    }
    if (r.kind == REFUND) {
        const request *charge = &c->charges[--c->charge_count];
        r.reference = charge->reference;
        r.payer = charge->payer;
        r.payee = charge->payee;
        r.amount = (int64_t)(1 + random_below(&c->random, (uint64_t)charge->amount));
    }
    if (r.kind == MANY) {
        r.count = many;
    }
    if (r.kind == TRANSFER) {
        r.payee = PLATFORM;
        r.amount += 1;
    }
    if (r.kind == DEPOSIT || r.kind == TRANSFER || r.kind == REFUND) {
        r.durability = FAREBOX_DURABILITY_DEFAULT;
    }
    return r;
}

static void note(caller *c, const request *r, farebox_status status, const farebox_receipt *receipt)
{
    if (status == FAREBOX_OK && r->kind == RESERVE && c->hold_count < 64) {
        c->holds[c->hold_count++] = (hold){receipt->hold, r->payer, r->payee, r->amount};
    }
    if (status == FAREBOX_OK && r->kind == CHARGE && c->charge_count < 64) {
        c->charges[c->charge_count] = *r;
        c->charges[c->charge_count++].reference = receipt->id;
    }
    if (r->kind != CAPTURE && r->kind != CAPTURE_PART && r->kind != RELEASE) {
        return;
    }
    for (int k = 0; k < c->hold_count; k++) {
        if (c->holds[k].id == r->reference) {
            c->holds[k].left -= r->amount;
            /* What has failed is not asked for again: whether it happened is the checker's to find out. */
            if (status != FAREBOX_OK || r->kind != CAPTURE_PART) {
                c->holds[k] = c->holds[--c->hold_count];
            }
        }
    }
}

/* Balances and a past transfer, as they must be. */
static void look(caller *c)
{
    const int account = (int)random_below(&c->random, ACCOUNTS);
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    farebox_status status = farebox_balance(engine, str(account_names[account]), str("USD"), &balance, NULL);
    if (status != FAREBOX_OK) {
        handle(status);
    } else if (!is_shared && !is_unsure && balance.balance != model[account]) {
        is_wrong(account_names[account], model[account], balance.balance);
    }
    if (c->charge_count > 0) {
        const request *charge = &c->charges[random_below(&c->random, (uint64_t)c->charge_count)];
        const char *out = NULL;
        status = json_call(engine, &out, "transfer.get", "{\"id\":%" PRIu64 "}", charge->reference);
        if (status != FAREBOX_OK) {
            handle(status);
        } else if (strstr(out, charge->key) == NULL || units_of(strstr(out, "\"amount\":\"") + 10) != charge->amount) {
            is_wrong("a transfer that was looked up", charge->amount, 0);
        }
    }
}

static void *run_caller(void *context)
{
    caller *c = context;
    static _Thread_local farebox_receipt receipts[8192];
    for (int step = 0; steps < 0 || step < steps; step++) {
        if (heap_limit > 0 && step == 10) {
            sqlite3_hard_heap_limit64(heap_limit);
        }
        if (heap_limit > 0 && step == 30) {
            sqlite3_hard_heap_limit64(0);
        }
        const request r = next_request(c);
        const farebox_status status = carry_out(&r, receipts);
        note(c, &r, status, receipts);
        if (step % 4 == 3) {
            look(c);
        }
    }
    return NULL;
}

/* ---- The beginning ---- */

static void until_done(const char *operation, const char *input)
{
    farebox_status status = FAREBOX_OK;
    for (int k = 0; k < 6; k++) {
        status = json_call(engine, NULL, operation, "%s", input);
        if (status == FAREBOX_OK) {
            return;
        }
        handle(status);
    }
    char line[64];
    put(line, (size_t)snprintf(line, sizeof line, "stopped %d\n", status));
    exit(atomic_load(&wrong) ? 3 : 0);
}

static void set_up(void)
{
    for (int k = AUTHOR; k < ACCOUNTS; k++) {
        char input[96];
        snprintf(input, sizeof input, "{\"account\":\"%s\"}", account_names[k]);
        until_done("account.open", input);
    }
    until_done("skill.register", "{\"manifest\":{\"id\":\"s\",\"version\":\"1.0.0\",\"owner\":\"agent:author\",\"revenue_share\":\"0.7\","
                                 "\"tools\":[{\"name\":\"work\",\"pricing\":{\"cost\":\"0.02\"}}]}}");
    for (int k = 0; k < USER_COUNT; k++) {
        request r = {-1 - k, DEPOSIT, "", USERS + k, PLATFORM, INT64_C(1000000000000000), 0, 0, 0};
        snprintf(r.key, sizeof r.key, "%.20s-%" PRIu64 "-first-%d", name, seed, k);
        farebox_receipt receipt;
        if (carry_out(&r, &receipt) != FAREBOX_OK) {
            put("stopped\n", 8);
            exit(atomic_load(&wrong) ? 3 : 0);
        }
    }
}

/* Records that make the index of keys want a seal, at the least memory that it takes. */
enum { SEAL_RECORDS = 8192, SPARE = 60, CHUNK = 1024 };

static void fill(int seals)
{
    static farebox_receipt receipts[8192];
    for (int number = 64000000;; number += 64) {
        const char *out = NULL;
        if (json_call(engine, &out, "ledger.info", "{}") != FAREBOX_OK) {
            exit(4);
        }
        const int64_t unsealed = json_first(out, "records") - json_first(out, "sealed_records");
        if (json_call(engine, &out, "engine.metrics", "{}") != FAREBOX_OK) {
            exit(4);
        }
        const int64_t left = json_first(out, "seals") < seals ? CHUNK : SEAL_RECORDS - SPARE - unsealed;
        if (left <= 0) {
            return;
        }
        request r = {number, MANY, "", USERS, PLATFORM, 1000, 0, FAREBOX_DURABILITY_NORMAL, (int)(left < CHUNK ? left : CHUNK)};
        snprintf(r.key, sizeof r.key, "%.20s-%" PRIu64 "-%d", name, seed, number);
        if (carry_out(&r, receipts) != FAREBOX_OK) {
            exit(4);
        }
    }
}

static void read_model(void)
{
    for (int k = 0; k < ACCOUNTS; k++) {
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        farebox_status status = FAREBOX_STORE_IO;
        for (int attempt = 0; attempt < 20 && status != FAREBOX_OK; attempt++) {
            status = farebox_balance(engine, str(account_names[k]), str("USD"), &balance, NULL);
            if (status != FAREBOX_OK) {
                handle(status);
            }
        }
        model[k] = balance.balance;
        is_unsure |= status != FAREBOX_OK;
    }
}

int main(int count, char **arguments)
{
    if (count < 3) {
        fprintf(stderr, "workload URL LOG ...\n");
        return 2;
    }
    url = arguments[1];
    log_file = open(arguments[2], O_CREAT | O_WRONLY | O_APPEND, 0600);
    for (int k = 3; k < count; k++) {
        const char *option = arguments[k];
        if (strcmp(option, "--new") == 0) {
            is_new = 1;
        } else if (strcmp(option, "--exclusive") == 0) {
            is_exclusive = 1;
        } else if (strcmp(option, "--jumps") == 0) {
            has_jumps = 1;
        } else if (strcmp(option, "--shared") == 0) {
            is_shared = 1;
        } else if (k + 1 < count && strcmp(option, "--seed") == 0) {
            seed = strtoull(arguments[++k], NULL, 10);
        } else if (k + 1 < count && strcmp(option, "--steps") == 0) {
            steps = atoi(arguments[++k]);
        } else if (k + 1 < count && strcmp(option, "--threads") == 0) {
            thread_count = atoi(arguments[++k]);
        } else if (k + 1 < count && strcmp(option, "--name") == 0) {
            name = arguments[++k];
        } else if (k + 1 < count && strcmp(option, "--many") == 0) {
            many = atoi(arguments[++k]);
        } else if (k + 1 < count && strcmp(option, "--heap") == 0) {
            heap_limit = atoll(arguments[++k]);
        } else if (k + 1 < count && strcmp(option, "--fill") == 0) {
            fill_seals = atoi(arguments[++k]);
        } else if (k + 1 < count && strcmp(option, "--busy") == 0) {
            busy_ms = atoi(arguments[++k]);
        } else {
            fprintf(stderr, "workload: %s?\n", option);
            return 2;
        }
    }
    open_engine();
    if (is_new) {
        set_up();
    } else {
        read_model();
    }
    if (fill_seals > 0) {
        fill(fill_seals);
    }
    static caller callers[16];
    pthread_t threads[16];
    for (int k = 0; k < thread_count && k < 16; k++) {
        callers[k].index = k;
        callers[k].random = seed * 1000003 + (uint64_t)k;
        if (thread_count > 1) {
            pthread_create(&threads[k], NULL, run_caller, &callers[k]);
        }
    }
    if (thread_count == 1) {
        run_caller(&callers[0]);
    } else {
        for (int k = 0; k < thread_count && k < 16; k++) {
            pthread_join(threads[k], NULL);
        }
    }
    const farebox_status closed = farebox_close(engine, NULL);
    if (closed != FAREBOX_OK && !is_store_status(closed)) {
        is_wrong("status of close", FAREBOX_OK, closed);
    }
    put("end\n", 4);
    return atomic_load(&wrong) ? 3 : 0;
}

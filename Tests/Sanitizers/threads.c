/* Many threads on a few engines: every function at once, for the thread sanitizer.
 *
 *   threads [ROUNDS]
 *
 * The threads share the accounts, the holds and the keys, one engine in memory and two on one file, and open and close others
 * meanwhile. In the end each ledger verifies and every charge that succeeded is in the balance. */
#include "../ABI/check.h"

#include <pthread.h>

enum { THREADS = 8, ENGINES = 3, HOLDS = 64 };

static farebox_engine *engines[ENGINES];
static atomic_llong charged[ENGINES];
static atomic_uint_least64_t holds[ENGINES][HOLDS];
static int rounds;
static pthread_barrier_t start;

/* An answer that may be: done, refused, or the state of what the others have touched. */
static void may_be(farebox_status status)
{
    CHECK(status == FAREBOX_OK || (status >= 300 && status < 700));
}

static void one_call(int place, uint64_t *state)
{
    farebox_engine *engine = engines[place];
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    farebox_error error = FAREBOX_ERROR_INIT;
    char key[32];
    snprintf(key, sizeof key, "k%" PRIu64, random_below(state, 400));
    atomic_uint_least64_t *hold = &holds[place][random_below(state, HOLDS)];
    switch (random_below(state, 10)) {
    case 0:
    case 1: {
        farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
        args.payer = FAREBOX_STR("user:ana");
        args.amount = 1;
        if (random_below(state, 2) == 0) {
            args.idempotency_key = str(key);
        }
        const farebox_status status = farebox_charge(engine, &args, &receipt, &error);
        EXPECT(FAREBOX_OK, status);
        if (status == FAREBOX_OK && (receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0) {
            atomic_fetch_add(&charged[place], 1);
        }
        break;
    }
    case 2: {
        farebox_reserve_args args = FAREBOX_RESERVE_ARGS_INIT;
        args.payer = FAREBOX_STR("user:ben");
        args.tool = FAREBOX_STR("flat");
        const farebox_status status = farebox_reserve(engine, &args, &receipt, &error);
        EXPECT(FAREBOX_OK, status);
        atomic_store(hold, receipt.hold);
        break;
    }
    case 3: {
        farebox_capture_args args = FAREBOX_CAPTURE_ARGS_INIT;
        args.hold = atomic_load(hold);
        may_be(farebox_capture(engine, &args, &receipt, &error));
        break;
    }
    case 4: may_be(farebox_release(engine, atomic_load(hold), &receipt, &error)); break;
    case 5: may_be(farebox_extend(engine, atomic_load(hold), 60000, &receipt, &error)); break;
    case 6: {
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, &error));
        CHECK(balance.balance >= 0 && balance.held == 0);
        break;
    }
    case 7: {
        farebox_price_args args = FAREBOX_PRICE_ARGS_INIT;
        args.tool = FAREBOX_STR("flat");
        farebox_quote quote = FAREBOX_QUOTE_INIT;
        EXPECT(FAREBOX_OK, farebox_price_tool(engine, &args, &quote, &error));
        EQUAL(1000, quote.total);
        break;
    }
    case 8: EXPECT(FAREBOX_OK, farebox_tick(engine, NULL, &error)); break;
    default: {
        static const char *const operations[][2] = {{"account.get", "{\"account\":\"user:ben\"}"},
                                                    {"transfer.list", "{\"account\":\"user:ana\",\"limit\":5}"},
                                                    {"hold.list", "{\"limit\":5}"},
                                                    {"ledger.info", "{}"},
                                                    {"engine.metrics", "{}"},
                                                    {"account.open", "{\"account\":\"user:ana\"}"}};
        const size_t which = (size_t)random_below(state, sizeof operations / sizeof operations[0]);
        farebox_text out = {NULL, 0};
        EXPECT(FAREBOX_OK, farebox_call(engine, str(operations[which][0]), str(operations[which][1]), &out, &error));
        farebox_text_free(&out);
        break;
    }
    }
}

static void *work(void *context)
{
    uint64_t state = seed_or(1) * 1000 + (uint64_t)(size_t)context;
    pthread_barrier_wait(&start);
    for (int round = 0; round < rounds; round++) {
        if (random_below(&state, 50) == 0) {
            farebox_engine *own = NULL;
            EXPECT(FAREBOX_OK, farebox_open(&own, FAREBOX_STR("memory:"), NULL, NULL));
            EXPECT(FAREBOX_OK, farebox_close(own, NULL));
            EXPECT(FAREBOX_CLOSED, farebox_tick(own, NULL, NULL));
        }
        one_call((int)random_below(&state, ENGINES), &state);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    rounds = count > 1 ? atoi(arguments[1]) : 200;
    char folder[256], url[300];
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.durability = FAREBOX_DURABILITY_NORMAL;
    options.busy_timeout_ms = 60000;
    for (int k = 0; k < ENGINES; k++) {
        MUST(farebox_open(&engines[k], k == 0 ? FAREBOX_STR("memory:") : str(url), &options, NULL));
        if (k < 2) {
            MUST(json_call(engines[k], NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1\"}"));
            MUST(json_call(engines[k], NULL, "account.deposit", "{\"account\":\"user:ben\",\"amount\":\"1000\"}"));
            MUST(json_call(engines[k], NULL, "skill.register",
                           "{\"manifest\":{\"id\":\"tools\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"tools\":[{\"name\":\"flat\","
                           "\"pricing\":{\"cost\":\"0.000001\"}}]}}"));
        }
    }
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t k = 0; k < THREADS; k++) {
        pthread_create(&threads[k], NULL, work, (void *)k);
    }
    for (size_t k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
    }
    pthread_barrier_destroy(&start);
    for (int k = 0; k < ENGINES; k++) {
        const char *out = NULL;
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        EXPECT(FAREBOX_OK, farebox_balance(engines[k], FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, NULL));
        /* The last two are one ledger. */
        const int64_t all = k == 0 ? charged[0] : charged[1] + charged[2];
        EQUAL(INT64_C(1000000000) - all, balance.balance);
        EXPECT(FAREBOX_OK, json_call(engines[k], NULL, "ledger.verify", "{}"));
        EXPECT(FAREBOX_OK, json_call(engines[k], &out, "ledger.reconcile", "{}"));
        CHECK(strstr(out, "\"balanced\":true") != NULL);
        EXPECT(FAREBOX_OK, farebox_close(engines[k], NULL));
    }
    remove_folder(folder);
    return check_report();
}

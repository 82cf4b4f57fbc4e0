/* Several processes on one file: a budget that they cannot pass together, and what a kill in the middle leaves behind.
 *
 *   processes [budget|kill]
 *
 * FAREBOX_SEED chooses when the kills come, FAREBOX_LONG repeats them some hundred times. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { PROCESSES = 8, THREADS = 8 };

static const int64_t USD = INT64_C(1000000000);
static char url[400];
static char folder[256];

static void new_ledger(void)
{
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
}

static farebox_engine *open_ledger(farebox_durability durability)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.durability = durability;
    options.busy_timeout_ms = 60000;
    farebox_engine *engine = NULL;
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_open(&engine, str(url), &options, &error);
    if (status != FAREBOX_OK) {
        fprintf(stderr, "open: %s: %s\n", farebox_status_name(status), error.message);
    }
    MUST(status);
    return engine;
}

static int64_t balance_of(farebox_engine *engine, const char *account)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, str(account), str("USD"), &balance, NULL));
    EQUAL(0, balance.held);
    return balance.balance;
}

static void verify(farebox_engine *engine)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
}

/* ---- A budget for exactly N ---- */

enum { ALLOWED = 600, TRIES_OF_A_THREAD = 40 };

typedef struct worker {
    farebox_engine *engine;
    int process, thread;
    int succeeded, refused, wrong;
} worker;

static void *spend(void *context)
{
    worker *w = context;
    for (int k = 0; k < TRIES_OF_A_THREAD; k++) {
        char key[48], payer[32];
        snprintf(key, sizeof key, "p%d-t%d-%d", w->process, w->thread, k);
        snprintf(payer, sizeof payer, "org:acme/user:%d", w->thread);
        farebox_error error = FAREBOX_ERROR_INIT;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        farebox_status status;
        if (k % 2 == 0) {
            farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
            args.payer = str(payer);
            args.amount = USD;
            args.idempotency_key = str(key);
            status = farebox_charge(w->engine, &args, &receipt, &error);
        } else {
            farebox_reserve_args args = FAREBOX_RESERVE_ARGS_INIT;
            args.payer = str(payer);
            args.amount = USD;
            args.idempotency_key = str(key);
            status = farebox_reserve(w->engine, &args, &receipt, &error);
            if (status == FAREBOX_OK) {
                farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
                capture.hold = receipt.hold;
                status = farebox_capture(w->engine, &capture, &receipt, &error);
            }
        }
        if (status == FAREBOX_OK && receipt.amount == USD) {
            w->succeeded++;
        } else if (status == FAREBOX_OVER_BUDGET && strstr(error.details, "team") != NULL) {
            w->refused++;
        } else {
            fprintf(stderr, "%s: %s: %s %s\n", key, farebox_status_name(status), error.message, error.details);
            w->wrong++;
        }
    }
    return NULL;
}

/* One of the processes: tells through the pipe how many calls succeeded, were refused and went wrong. */
static int spending_process(int process, int out)
{
    farebox_engine *engine = open_ledger(process % 2 == 0 ? FAREBOX_DURABILITY_NORMAL : FAREBOX_DURABILITY_FULL);
    worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) {
        workers[k] = (worker){engine, process, k, 0, 0, 0};
        pthread_create(&threads[k], NULL, spend, &workers[k]);
    }
    int counts[3] = {0, 0, 0};
    for (int k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
        counts[0] += workers[k].succeeded;
        counts[1] += workers[k].refused;
        counts[2] += workers[k].wrong;
    }
    const int is_closed = farebox_close(engine, NULL) == FAREBOX_OK;
    return write(out, counts, sizeof counts) == (ssize_t)sizeof counts && is_closed ? 0 : 1;
}

static void budget(void)
{
    new_ledger();
    farebox_engine *engine = open_ledger(FAREBOX_DURABILITY_FULL);
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"org:acme\",\"amount\":\"1000000\"}"));
    for (int k = 0; k < THREADS; k++) {
        MUST(json_call(engine, NULL, "account.open", "{\"account\":\"org:acme/user:%d\"}", k));
    }
    MUST(json_call(engine, NULL, "budget.set",
                   "{\"account\":\"org:acme\",\"name\":\"team\",\"window\":\"lifetime\",\"amount\":\"%d\"}", ALLOWED));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));

    int ends[2];
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(1);
    }
    pid_t children[PROCESSES];
    for (int k = 0; k < PROCESSES; k++) {
        fflush(NULL);
        children[k] = fork();
        if (children[k] == 0) {
            _exit(spending_process(k, ends[1]));
        }
    }
    for (int k = 0; k < PROCESSES; k++) {
        int status = -1;
        waitpid(children[k], &status, 0);
        EQUAL(0, status);
    }
    close(ends[1]);
    int succeeded = 0, refused = 0, wrong = 0, counts[3];
    while (read(ends[0], counts, sizeof counts) == (ssize_t)sizeof counts) {
        succeeded += counts[0];
        refused += counts[1];
        wrong += counts[2];
    }
    close(ends[0]);
    EQUAL(ALLOWED, succeeded);
    EQUAL(PROCESSES * THREADS * TRIES_OF_A_THREAD - ALLOWED, refused);
    EQUAL(0, wrong);

    engine = open_ledger(FAREBOX_DURABILITY_FULL);
    EQUAL((1000000 - ALLOWED) * USD, balance_of(engine, "org:acme"));
    EQUAL(ALLOWED * USD, balance_of(engine, "platform"));
    EQUAL(-1000000 * USD, balance_of(engine, "external"));
    verify(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    remove_folder(folder);
    printf("budget: %d of %d calls of %d processes of %d threads succeeded\n", succeeded, PROCESSES * THREADS * TRIES_OF_A_THREAD,
           PROCESSES, THREADS);
}

/* ---- Kills ---- */

/* A receipt as it was handed out; written with one write before the thread's next call. */
typedef struct handed {
    uint64_t id;
    int64_t amount;
    int32_t process, thread, number;
    int32_t check; /* tells a whole line from half of one */
} handed;

static int32_t check_of(const handed *h)
{
    return (int32_t)(h->id * 31 + (uint64_t)h->amount * 7 + (uint64_t)(h->process * 64 + h->thread) * 5 + (uint64_t)h->number + 1);
}

static void make_key(char *key, size_t size, const handed *h)
{
    snprintf(key, size, "kill-%d-%d-%d", h->process, h->thread, h->number);
}

static int64_t amount_of(const handed *h)
{
    return 1 + h->process * 10007 + h->thread * 101 + h->number;
}

static int receipts_file;

static void *charge_until_killed(void *context)
{
    worker *w = context;
    for (int number = 0;; number++) {
        handed h = {0, 0, w->process, w->thread, number, 0};
        char key[48];
        make_key(key, sizeof key, &h);
        farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
        args.payer = str("user:ana");
        args.amount = amount_of(&h);
        args.idempotency_key = str(key);
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const farebox_status status = farebox_charge(w->engine, &args, &receipt, NULL);
        while (status == FAREBOX_OVER_BUDGET) {
            pause();
        }
        if (status != FAREBOX_OK) {
            _exit(3);
        }
        h.id = receipt.id;
        h.amount = receipt.amount;
        h.check = check_of(&h);
        if (write(receipts_file, &h, sizeof h) != (ssize_t)sizeof h) {
            _exit(4);
        }
    }
}

static void killed_process(int process, farebox_durability durability)
{
    farebox_engine *engine = open_ledger(durability);
    worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) {
        workers[k] = (worker){engine, process, k, 0, 0, 0};
        pthread_create(&threads[k], NULL, charge_until_killed, &workers[k]);
    }
    for (int k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
    }
}

static int compare_ids(const void *left, const void *right)
{
    const uint64_t a = ((const handed *)left)->id, b = ((const handed *)right)->id;
    return a < b ? -1 : a > b;
}

/* Every charge in the journal, by transfer.list; the number of them. */
static size_t list_charges(farebox_engine *engine, uint64_t *ids, size_t capacity)
{
    size_t count = 0;
    int64_t before = INT64_MAX;
    for (;;) {
        const char *out = NULL;
        if (!EXPECT(FAREBOX_OK, json_call(engine, &out, "transfer.list",
                                          "{\"kind\":\"charge\",\"limit\":500,\"before\":%" PRId64 "}", before))) {
            return count;
        }
        const char *at = out;
        int64_t id;
        while ((id = json_integer(&at, "id")) > 0) {
            if (count < capacity) {
                ids[count] = (uint64_t)id;
            }
            count++;
        }
        const int64_t next = json_first(out, "next");
        if (next <= 0) {
            return count;
        }
        before = next;
    }
}

static int compare_numbers(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void kill_once(uint64_t *state, farebox_durability durability)
{
    new_ledger();
    farebox_engine *engine = open_ledger(durability);
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\"}"));
    /* Some runs come to its end before they are killed. */
    const size_t allowed = (size_t)(500 + random_below(state, 6000));
    MUST(json_call(engine, NULL, "budget.set", "{\"account\":\"user:ana\",\"name\":\"team\",\"window\":\"lifetime\",\"count\":%zu}",
                   allowed));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    char path[400];
    snprintf(path, sizeof path, "%s/receipts", folder);
    receipts_file = open(path, O_CREAT | O_RDWR | O_APPEND, 0600);
    const int processes = 1 + (int)random_below(state, PROCESSES);
    const useconds_t wait = (useconds_t)(20000 + random_below(state, 250000));
    pid_t children[PROCESSES];
    for (int k = 0; k < processes; k++) {
        fflush(NULL);
        children[k] = fork();
        if (children[k] == 0) {
            killed_process(k, durability);
            _exit(5);
        }
    }
    usleep(wait);
    for (int k = 0; k < processes; k++) {
        kill(children[k], SIGKILL);
    }
    for (int k = 0; k < processes; k++) {
        int status = 0;
        waitpid(children[k], &status, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }

    /* What was handed out. */
    const off_t size = lseek(receipts_file, 0, SEEK_END);
    const size_t count = (size_t)size / sizeof(handed);
    handed *all = calloc(count + 1, sizeof(handed));
    CHECK(pread(receipts_file, all, count * sizeof(handed), 0) == (ssize_t)(count * sizeof(handed)));
    close(receipts_file);
    qsort(all, count, sizeof(handed), compare_ids);

    engine = open_ledger(durability);
    verify(engine);
    const size_t capacity = count + PROCESSES * THREADS + 1;
    uint64_t *ids = calloc(capacity, sizeof *ids);
    const size_t charges = list_charges(engine, ids, capacity);
    /* No more can have been charged than was handed out and was under way. */
    CHECK(charges >= count && charges <= count + (size_t)processes * THREADS);
    CHECK(charges <= allowed);
    qsort(ids, charges < capacity ? charges : capacity, sizeof *ids, compare_numbers);
    int missing = 0, twice = 0, different = 0, half = 0;
    int64_t sum = 0;
    for (size_t k = 0; k < count; k++) {
        half += all[k].check != check_of(&all[k]);
        twice += k > 0 && all[k].id == all[k - 1].id;
        missing += bsearch(&all[k].id, ids, charges < capacity ? charges : capacity, sizeof *ids, compare_numbers) == NULL;
        /* The same request again is the same receipt, and charges nothing. */
        char key[48];
        make_key(key, sizeof key, &all[k]);
        farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
        args.payer = str("user:ana");
        args.amount = amount_of(&all[k]);
        args.idempotency_key = str(key);
        args.durability = FAREBOX_DURABILITY_NORMAL;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const farebox_status status = farebox_charge(engine, &args, &receipt, NULL);
        different += status != FAREBOX_OK || receipt.id != all[k].id || receipt.amount != all[k].amount ||
                     (receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0;
        sum += all[k].amount;
    }
    EQUAL(0, half);
    EQUAL(0, twice);
    EQUAL(0, missing);
    EQUAL(0, different);
    /* The newest by transfer.get too. */
    for (size_t k = count > 20 ? count - 20 : 0; k < count; k++) {
        const char *out = NULL;
        EXPECT(FAREBOX_OK, json_call(engine, &out, "transfer.get", "{\"id\":%" PRIu64 "}", all[k].id));
        EQUAL(all[k].id, json_first(out, "id"));
    }
    EQUAL(charges, list_charges(engine, ids, capacity));
    const int64_t paid = 1000 * USD - balance_of(engine, "user:ana");
    EQUAL(paid, balance_of(engine, "platform"));
    CHECK(charges == count ? paid == sum : paid > sum);
    verify(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    free(ids);
    free(all);
    remove_folder(folder);
    printf("kill: %d processes after %u ms: %zu receipts handed out, %zu charges in the journal, %zu allowed\n", processes,
           wait / 1000, count, charges, allowed);
}

int main(int count, char **arguments)
{
    const char *only = count > 1 ? arguments[1] : "";
    if (strcmp(only, "kill") != 0) {
        budget();
    }
    if (strcmp(only, "budget") != 0) {
        uint64_t state = seed_or(1);
        printf("kill: FAREBOX_SEED=%" PRIu64 "\n", state);
        const int rounds = is_long() ? 300 : 6;
        for (int k = 0; k < rounds; k++) {
            kill_once(&state, k % 2 == 0 ? FAREBOX_DURABILITY_FULL : FAREBOX_DURABILITY_NORMAL);
        }
    }
    return check_report();
}

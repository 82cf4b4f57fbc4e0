/* Farebox, through its C interface, doing what the floors do.
 *
 *   farebox_bench batch   --url URL [--batch N] [--rows N] [--warm-up N] [--window N] [options]
 *   farebox_bench threads --url URL [--threads N] [--milliseconds N] [--warm-up N] [options]
 *   farebox_bench processes --url URL [--processes N] [--threads N] [--batch N] [--milliseconds N] [--warm-up N] [options]
 *   farebox_bench single  --url URL [--rows N] [--warm-up N] [options]
 *   farebox_bench pair    --url URL [--rows N] [--warm-up N] [options]
 *   farebox_bench open    --url URL [--rows N] [--sample N] [options]
 *   farebox_bench verify  --url URL [options]
 *   farebox_bench price   [--rounds N]
 *   farebox_bench webhook [--rounds N]
 *
 * Options: --durability full|normal|relaxed, --hold-durability full|normal|relaxed, --exclusive 0|1, --budget
 * org|payer|none, --key-memory BYTES, --tool 0|1 (charge through a priced tool with a revenue split instead of an
 * explicit amount).
 *
 * In `processes` each process opens an engine of its own, and its threads charge one by one, or --batch at a time where
 * that is given and more than one; the payers of the processes differ, and all of them credit the same account.
 *
 * Every command but `open` and `verify` wants a ledger of its own, and makes it: 10,000 payers with money, a hundred in
 * each of a hundred organisations, and one monthly budget on the path of each. `open` and `verify` take one that
 * `batch` has left; `open` must be told its number of rows, and asks again for charges out of all of its history. */
#include "bench.h"
#include "farebox.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAYERS_OF_AN_ORG = 100, NAME_BYTES = 32, TOOLS = 1000, WORDS_MAX = 1 << 20 };

typedef struct settings {
    const char *url;
    const char *durability;
    const char *hold_durability;
    const char *budget;
    int64_t exclusive, key_memory, tool;
    int64_t batch, rows, warm_up, window, threads, milliseconds, rounds, sample, processes;
} settings;

static char payer_names[BENCH_PAYERS][NAME_BYTES];
static farebox_str payers[BENCH_PAYERS];

static farebox_str str(const char *text)
{
    return (farebox_str){text, strlen(text)};
}

__attribute__((noreturn)) static void refuse(const char *what, farebox_status status, const farebox_error *error)
{
    bench_die("%s: %s %s%s%s", what, farebox_status_name(status), error == NULL ? "" : error->message,
              error == NULL || error->field[0] == '\0' ? "" : " at ", error == NULL ? "" : error->field);
}

static void check(const char *what, farebox_status status, const farebox_error *error)
{
    if (status != FAREBOX_OK) {
        refuse(what, status, error);
    }
}

/* ---- Ledgers ---- */

static farebox_durability durability_named(const char *name)
{
    static const char *const names[] = {"default", "full", "normal", "relaxed"};
    for (farebox_durability k = FAREBOX_DURABILITY_DEFAULT; k <= FAREBOX_DURABILITY_RELAXED; k++) {
        if (strcmp(name, names[k]) == 0) {
            return k;
        }
    }
    bench_die("no such durability: %s", name);
}

static farebox_engine *open_engine(const settings *s, farebox_durability durability)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.durability = durability;
    options.hold_durability = durability_named(s->hold_durability);
    options.flags = s->exclusive != 0 ? FAREBOX_OPEN_EXCLUSIVE : 0;
    options.key_memory_bytes = (uint64_t)s->key_memory;
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_engine *engine = NULL;
    check("open", farebox_open(&engine, str(s->url), &options, &error), &error);
    return engine;
}

static void close_engine(farebox_engine *engine)
{
    farebox_error error = FAREBOX_ERROR_INIT;
    check("close", farebox_close(engine, &error), &error);
}

/* Carries out an operation of the JSON door; its input is made as by printf. */
__attribute__((format(printf, 3, 4))) static void call(farebox_engine *engine, const char *operation, const char *format, ...)
{
    static char input[WORDS_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(input, sizeof input, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof input) {
        bench_die("%s: the input is too long", operation);
    }
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_text out = {NULL, 0};
    check(operation, farebox_call(engine, str(operation), (farebox_str){input, (size_t)length}, &out, &error), &error);
    farebox_text_free(&out);
}

static void name_payers(void)
{
    for (int k = 0; k < BENCH_PAYERS; k++) {
        snprintf(payer_names[k], NAME_BYTES, "org:%d/user:%d", k / PAYERS_OF_AN_ORG, k % PAYERS_OF_AN_ORG);
        payers[k] = str(payer_names[k]);
    }
}

static void budget(farebox_engine *engine, const char *account)
{
    call(engine, "budget.set",
         "{\"account\":\"%s\",\"name\":\"monthly\",\"window\":\"month\",\"amount\":\"1000000000\",\"asset\":\"USD\"}", account);
}

static void make_ledger(const settings *s)
{
    farebox_engine *engine = open_engine(s, FAREBOX_DURABILITY_NORMAL);
    for (int org = 0; org < BENCH_PAYERS / PAYERS_OF_AN_ORG; org++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "org:%d", org);
        call(engine, "account.open", "{\"account\":\"%s\"}", name);
        if (strcmp(s->budget, "org") == 0) {
            budget(engine, name);
        }
    }
    for (int k = 0; k < BENCH_PAYERS; k++) {
        call(engine, "account.deposit", "{\"account\":\"%s\",\"amount\":\"100000\",\"asset\":\"USD\"}", payer_names[k]);
        if (strcmp(s->budget, "payer") == 0) {
            budget(engine, payer_names[k]);
        }
    }
    if (s->tool != 0) {
        call(engine, "skill.register",
             "{\"manifest\":{\"id\":\"bench\",\"version\":\"1.0.0\",\"owner\":\"org:vendor\",\"revenue_share\":\"0.70\","
             "\"tools\":[{\"name\":\"tool0\",\"pricing\":{\"cost\":\"0.001\"}}]}}");
    }
    close_engine(engine);
}

/* ---- Charges ---- */

/* Makes the i-th charge; `key` must live as long as the call. */
static void fill(farebox_charge_args *args, uint8_t key[BENCH_KEY_BYTES], uint64_t i)
{
    bench_key_at(key, i);
    args->payer = payers[bench_payer_at(i, BENCH_PAYERS)];
    args->idempotency_key = (farebox_str){(const char *)key, BENCH_KEY_BYTES};
}

static void prepare(farebox_charge_args *args, const settings *s)
{
    *args = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
    if (s->tool != 0) {
        args->tool = FAREBOX_STR("tool0");
    } else {
        args->amount = BENCH_AMOUNT;
    }
}

/* The arrays of one batch. */
typedef struct batch {
    farebox_engine *engine;
    farebox_charge_args *args;
    farebox_receipt *receipts;
    uint8_t (*keys)[BENCH_KEY_BYTES];
    uint64_t next; /* number of the next charge */
} batch;

static batch batch_make(farebox_engine *engine, const settings *s, size_t capacity)
{
    batch b = {engine, bench_alloc(capacity, sizeof *b.args), bench_alloc(capacity, sizeof *b.receipts),
               bench_alloc(capacity, sizeof *b.keys), 0};
    for (size_t k = 0; k < capacity; k++) {
        prepare(&b.args[k], s);
        b.receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    }
    return b;
}

static void batch_free(batch *b)
{
    free(b->args);
    free(b->receipts);
    free(b->keys);
}

static void batch_run(batch *b, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        fill(&b->args[k], b->keys[k], b->next + k);
    }
    farebox_error error = FAREBOX_ERROR_INIT;
    check("charge_many", farebox_charge_many(b->engine, b->args, count, b->receipts, &error), &error);
    for (size_t k = 0; k < count; k++) {
        const bool replayed = (b->receipts[k].flags & FAREBOX_RECEIPT_REPLAYED) != 0;
        if (b->receipts[k].status != FAREBOX_OK || replayed || b->receipts[k].amount != BENCH_AMOUNT) {
            bench_die("charge %" PRIu64 " of a batch: %s, flags %" PRIu32 ", amount %" PRId64, b->next + k,
                      farebox_status_name(b->receipts[k].status), b->receipts[k].flags, b->receipts[k].amount);
        }
    }
    b->next += count;
}

static void warm_up(farebox_engine *engine, const settings *s)
{
    batch b = batch_make(engine, s, BENCH_BATCH_MAX);
    while (b.next < (uint64_t)s->warm_up) {
        batch_run(&b, BENCH_BATCH_MAX);
    }
    batch_free(&b);
}

static farebox_engine *open_warm(const settings *s)
{
    make_ledger(s);
    farebox_engine *engine = open_engine(s, durability_named(s->durability));
    if (s->warm_up > 0) {
        warm_up(engine, s);
    }
    return engine;
}

static void print_memory(void)
{
    bench_print("rss_mib", bench_memory_mib("VmRSS:"));
    bench_print("peak_mib", bench_memory_mib("VmHWM:"));
}

static void run_batch(const settings *s)
{
    farebox_engine *engine = open_warm(s);
    batch b = batch_make(engine, s, (size_t)s->batch);
    const uint64_t first = (uint64_t)(s->warm_up + BENCH_BATCH_MAX - 1) / BENCH_BATCH_MAX * BENCH_BATCH_MAX;
    b.next = first;
    bench_samples samples = bench_samples_make((size_t)(s->rows / s->batch + 1));
    const uint64_t start = bench_now_ns(), cpu_start = bench_cpu_ns();
    uint64_t last = start, window_start = start, window_cpu = cpu_start, window_first = b.next;
    while (b.next - first < (uint64_t)s->rows) {
        batch_run(&b, (size_t)s->batch);
        const uint64_t now = bench_now_ns();
        bench_samples_add(&samples, now - last);
        last = now;
        if (s->window > 0 && b.next - window_first >= (uint64_t)s->window) {
            const uint64_t cpu = bench_cpu_ns();
            printf("window %" PRIu64 " rate %.0f cpu_us %.4f rss_mib %.1f\n", window_first,
                   bench_rate(b.next - window_first, now - window_start),
                   (double)(cpu - window_cpu) / 1000.0 / (double)(b.next - window_first), bench_memory_mib("VmRSS:"));
            fflush(stdout);
            last = window_start = bench_now_ns();
            window_cpu = cpu;
            window_first = b.next;
        }
    }
    const uint64_t elapsed = bench_now_ns() - start, cpu = bench_cpu_ns() - cpu_start, done = b.next - first;
    bench_print("rate", bench_rate(done, elapsed));
    bench_print("cpu_us", (double)cpu / 1000.0 / (double)done);
    bench_print("rows", (double)b.next);
    bench_print_samples(&samples);
    print_memory();
    free(samples.ns);
    batch_free(&b);
    close_engine(engine);
}

static void charge_one(farebox_engine *engine, farebox_charge_args *args, uint64_t i)
{
    uint8_t key[BENCH_KEY_BYTES];
    fill(args, key, i);
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    const farebox_status status = farebox_charge(engine, args, &receipt, NULL);
    if (status != FAREBOX_OK || (receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0 || receipt.id == 0) {
        bench_die("charge %" PRIu64 ": %s, flags %" PRIu32, i, farebox_status_name(status), receipt.flags);
    }
}

static void run_single(const settings *s)
{
    farebox_engine *engine = open_warm(s);
    farebox_charge_args args;
    prepare(&args, s);
    bench_samples samples = bench_samples_make((size_t)s->rows);
    const uint64_t start = bench_now_ns(), cpu_start = bench_cpu_ns();
    for (uint64_t k = 0, last = start; k < (uint64_t)s->rows; k++) {
        charge_one(engine, &args, ((uint64_t)1 << 40) + k);
        const uint64_t now = bench_now_ns();
        bench_samples_add(&samples, now - last);
        last = now;
    }
    const uint64_t elapsed = bench_now_ns() - start, cpu = bench_cpu_ns() - cpu_start;
    bench_print("rate", bench_rate((uint64_t)s->rows, elapsed));
    bench_print("cpu_us", (double)cpu / 1000.0 / (double)s->rows);
    bench_print_samples(&samples);
    free(samples.ns);
    close_engine(engine);
}

/* A metered call without the call: reserve, then capture half of it for good. */
static void run_pair(const settings *s)
{
    farebox_engine *engine = open_warm(s);
    farebox_reserve_args reserve = FAREBOX_RESERVE_ARGS_INIT;
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    reserve.amount = 2 * BENCH_AMOUNT;
    capture.amount = BENCH_AMOUNT;
    capture.flags = FAREBOX_CAPTURE_AMOUNT;
    bench_samples samples = bench_samples_make((size_t)s->rows);
    const uint64_t start = bench_now_ns();
    for (uint64_t k = 0, last = start; k < (uint64_t)s->rows; k++) {
        const uint64_t i = ((uint64_t)1 << 40) + k;
        uint8_t key[BENCH_KEY_BYTES];
        bench_key_at(key, i);
        reserve.payer = payers[bench_payer_at(i, BENCH_PAYERS)];
        reserve.idempotency_key = (farebox_str){(const char *)key, BENCH_KEY_BYTES};
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        check("reserve", farebox_reserve(engine, &reserve, &receipt, NULL), NULL);
        capture.hold = receipt.hold;
        check("capture", farebox_capture(engine, &capture, &receipt, NULL), NULL);
        if ((receipt.flags & FAREBOX_RECEIPT_FINAL) == 0 || receipt.amount != BENCH_AMOUNT) {
            bench_die("pair %" PRIu64 ": flags %" PRIu32 ", amount %" PRId64, k, receipt.flags, receipt.amount);
        }
        const uint64_t now = bench_now_ns();
        bench_samples_add(&samples, now - last);
        last = now;
    }
    bench_print("rate", bench_rate((uint64_t)s->rows, bench_now_ns() - start));
    bench_print_samples(&samples);
    free(samples.ns);
    close_engine(engine);
}

typedef struct worker {
    pthread_t thread;
    farebox_engine *engine;
    const settings *settings;
    bench_samples samples;
    uint64_t first, done;
    _Atomic bool *stop;
} worker;

static void *work(void *context)
{
    worker *self = context;
    farebox_charge_args args;
    prepare(&args, self->settings);
    for (uint64_t last = bench_now_ns(); !atomic_load_explicit(self->stop, memory_order_relaxed);) {
        charge_one(self->engine, &args, self->first + self->done++);
        const uint64_t now = bench_now_ns();
        bench_samples_add(&self->samples, now - last);
        last = now;
    }
    return NULL;
}

static void run_threads(const settings *s)
{
    if (s->threads < 1 || s->threads > BENCH_THREADS_MAX) {
        bench_die("--threads: 1 to %d", BENCH_THREADS_MAX);
    }
    farebox_engine *engine = open_warm(s);
    _Atomic bool stop = false;
    worker *workers = bench_alloc((size_t)s->threads, sizeof *workers);
    const uint64_t start = bench_now_ns(), cpu_start = bench_cpu_ns();
    for (int64_t t = 0; t < s->threads; t++) {
        workers[t].engine = engine;
        workers[t].settings = s;
        workers[t].samples = bench_samples_make((size_t)s->milliseconds * 25);
        workers[t].first = (uint64_t)(t + 1) << 40;
        workers[t].stop = &stop;
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0) {
            bench_die("cannot start thread %" PRId64, t);
        }
    }
    nanosleep(&(struct timespec){s->milliseconds / 1000, s->milliseconds % 1000 * 1000000}, NULL);
    atomic_store(&stop, true);
    uint64_t done = 0;
    for (int64_t t = 0; t < s->threads; t++) {
        pthread_join(workers[t].thread, NULL);
        done += workers[t].done;
    }
    const uint64_t elapsed = bench_now_ns() - start, cpu = bench_cpu_ns() - cpu_start;
    bench_samples all = bench_samples_make(done);
    for (int64_t t = 0; t < s->threads; t++) {
        for (size_t k = 0; k < workers[t].samples.count; k++) {
            bench_samples_add(&all, workers[t].samples.ns[k]);
        }
        free(workers[t].samples.ns);
    }
    bench_print("rate", bench_rate(done, elapsed));
    bench_print("cpu_us", (double)cpu / 1000.0 / (double)done);
    bench_print_samples(&all);
    free(all.ns);
    free(workers);
    close_engine(engine);
}

/* ---- Processes ---- */

/* Charges of one of several processes: those whose payers are its own. */
typedef struct share {
    pthread_t thread;
    farebox_engine *engine;
    const settings *settings;
    uint64_t process, next, done;
    _Atomic bool *stop;
} share;

/* The number of the share's next charge. */
static uint64_t share_next(share *self)
{
    const uint64_t processes = (uint64_t)self->settings->processes;
    while (bench_payer_at(self->next, BENCH_PAYERS) % processes != self->process) {
        self->next++;
    }
    return self->next++;
}

static void *work_share(void *context)
{
    share *self = context;
    const size_t size = (size_t)self->settings->batch;
    batch b = batch_make(self->engine, self->settings, size);
    while (!atomic_load_explicit(self->stop, memory_order_relaxed)) {
        for (size_t k = 0; k < size; k++) {
            fill(&b.args[k], b.keys[k], share_next(self));
        }
        if (size == 1) {
            check("charge", farebox_charge(self->engine, b.args, b.receipts, NULL), NULL);
        } else {
            check("charge_many", farebox_charge_many(self->engine, b.args, size, b.receipts, NULL), NULL);
        }
        for (size_t k = 0; k < size; k++) {
            if (b.receipts[k].status != FAREBOX_OK || (b.receipts[k].flags & FAREBOX_RECEIPT_REPLAYED) != 0 ||
                b.receipts[k].amount != BENCH_AMOUNT) {
                bench_die("a charge of process %" PRIu64 ": %s, flags %" PRIu32, self->process,
                          farebox_status_name(b.receipts[k].status), b.receipts[k].flags);
            }
        }
        self->done += size;
    }
    batch_free(&b);
    return NULL;
}

/* What one process tells: charges that it made, processor time that it took, and the time between its start and its end. */
typedef struct told {
    uint64_t done, cpu_ns, elapsed_ns;
} told;

static void run_process(const settings *s, uint64_t process, int is_ready, int may_go, int out)
{
    farebox_engine *engine = open_engine(s, durability_named(s->durability));
    _Atomic bool stop = false;
    share *shares = bench_alloc((size_t)s->threads, sizeof *shares);
    char word = 'r';
    if (write(is_ready, &word, 1) != 1 || read(may_go, &word, 1) != 0) {
        bench_die("process %" PRIu64 ": its parent has ended", process);
    }
    const uint64_t start = bench_now_ns(), cpu_start = bench_cpu_ns();
    for (int64_t t = 0; t < s->threads; t++) {
        shares[t] = (share){.engine = engine, .settings = s, .process = process, .stop = &stop};
        shares[t].next = ((process + 1) << 48) + ((uint64_t)t << 40);
        if (pthread_create(&shares[t].thread, NULL, work_share, &shares[t]) != 0) {
            bench_die("cannot start thread %" PRId64, t);
        }
    }
    nanosleep(&(struct timespec){s->milliseconds / 1000, s->milliseconds % 1000 * 1000000}, NULL);
    atomic_store(&stop, true);
    told t = {0, 0, 0};
    for (int64_t k = 0; k < s->threads; k++) {
        pthread_join(shares[k].thread, NULL);
        t.done += shares[k].done;
    }
    t.elapsed_ns = bench_now_ns() - start;
    t.cpu_ns = bench_cpu_ns() - cpu_start;
    if (write(out, &t, sizeof t) != (ssize_t)sizeof t) {
        bench_die("process %" PRIu64 ": its parent has ended", process);
    }
    free(shares);
    close_engine(engine);
}

static void run_processes(const settings *s)
{
    enum { PROCESSES_MAX = 64 };
    if (s->threads < 1 || s->threads > BENCH_THREADS_MAX || s->processes < 1 || s->processes > PROCESSES_MAX) {
        bench_die("--threads: 1 to %d; --processes: 1 to %d", BENCH_THREADS_MAX, PROCESSES_MAX);
    }
    close_engine(open_warm(s));
    int ready[2], go[2], out[2];
    if (pipe(ready) != 0 || pipe(go) != 0 || pipe(out) != 0) {
        bench_die("no pipe");
    }
    for (int64_t k = 0; k < s->processes; k++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            close(ready[0]);
            close(go[1]);
            run_process(s, (uint64_t)k, ready[1], go[0], out[1]);
            _exit(0);
        }
        if (child < 0) {
            bench_die("cannot start process %" PRId64, k);
        }
    }
    close(ready[1]);
    close(out[1]);
    char word;
    for (int64_t k = 0; k < s->processes; k++) {
        if (read(ready[0], &word, 1) != 1) {
            bench_die("a process ended before it was ready");
        }
    }
    close(go[1]);
    told t;
    double rate = 0;
    uint64_t done = 0, cpu = 0;
    int64_t count = 0;
    while (read(out[0], &t, sizeof t) == (ssize_t)sizeof t) {
        rate += bench_rate(t.done, t.elapsed_ns);
        done += t.done;
        cpu += t.cpu_ns;
        count++;
    }
    int status = 0;
    for (int64_t k = 0; k < s->processes; k++) {
        if (wait(&status) < 0 || status != 0) {
            bench_die("a process ended with %d", status);
        }
    }
    if (count != s->processes) {
        bench_die("%" PRId64 " of %" PRId64 " processes told what they did", count, s->processes);
    }
    bench_print("rate", rate);
    bench_print("cpu_us", (double)cpu / 1000.0 / (double)(done == 0 ? 1 : done));
}

/* ---- A ledger with a history ---- */

/* Opens a ledger of --rows charges, charges once, and repeats a sample of its charges: each must give the first receipt. */
static void run_open(const settings *s)
{
    const double before = bench_memory_mib("VmRSS:");
    const uint64_t start = bench_now_ns();
    farebox_engine *engine = open_engine(s, durability_named(s->durability));
    const uint64_t opened = bench_now_ns();
    farebox_charge_args args;
    prepare(&args, s);
    /* No earlier process can have used this number: they count from 0, from 1 << 40 and in steps of that. */
    charge_one(engine, &args, ((uint64_t)1 << 62) + bench_now_ns());
    const uint64_t charged = bench_now_ns();
    bench_print("open_ms", (double)(opened - start) / 1e6);
    bench_print("first_charge_ms", (double)(charged - opened) / 1e6);
    bench_print("grown_mib", bench_memory_mib("VmRSS:") - before);

    bench_samples samples = bench_samples_make((size_t)s->sample);
    for (int64_t k = 0; k < s->sample; k++) {
        const uint64_t i = bench_mix(~(uint64_t)k) % (uint64_t)s->rows;
        uint8_t key[BENCH_KEY_BYTES];
        fill(&args, key, i);
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const uint64_t asked = bench_now_ns();
        const farebox_status status = farebox_charge(engine, &args, &receipt, NULL);
        bench_samples_add(&samples, bench_now_ns() - asked);
        if (status != FAREBOX_OK || (receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0) {
            bench_die("charge %" PRIu64 " repeated: %s, flags %" PRIu32, i, farebox_status_name(status), receipt.flags);
        }
    }
    bench_print_samples(&samples);
    print_memory();
    free(samples.ns);
    close_engine(engine);
}

static void run_verify(const settings *s)
{
    farebox_engine *engine = open_engine(s, durability_named(s->durability));
    const uint64_t start = bench_now_ns();
    call(engine, "ledger.verify", "{}");
    bench_print("seconds", (double)(bench_now_ns() - start) / 1e9);
    print_memory();
    close_engine(engine);
}

/* ---- Prices ---- */

/* Registers TOOLS tools, the even ones at a flat price and the odd ones in three graduated tiers. */
static void register_tools(farebox_engine *engine)
{
    char *tools = bench_alloc(TOOLS, 512);
    size_t length = 0;
    for (int k = 0; k < TOOLS; k++) {
        length += (size_t)snprintf(tools + length, 512, "%s{\"name\":\"tool%d\",\"pricing\":", k == 0 ? "" : ",", k);
        if (k % 2 == 0) {
            length += (size_t)snprintf(tools + length, 512, "{\"cost\":\"0.%04d\"}}", k + 1);
        } else {
            length += (size_t)snprintf(tools + length, 512,
                                       "{\"components\":[{\"meter\":\"units\",\"model\":\"graduated\",\"tiers\":["
                                       "{\"up_to\":\"1000\",\"rate\":\"0.0100\"},"
                                       "{\"up_to\":\"10000\",\"rate\":\"0.0080\"},"
                                       "{\"rate\":\"0.00%02d\"}]}]}}",
                                       k % 80 + 1);
        }
    }
    call(engine, "skill.register",
         "{\"manifest\":{\"id\":\"bench\",\"version\":\"1.0.0\",\"owner\":\"org:vendor\",\"revenue_share\":\"0.70\","
         "\"tools\":[%s]}}",
         tools);
    free(tools);
}

static double price_ns(farebox_engine *engine, const farebox_str *names, int odd, int64_t rounds)
{
    farebox_price_args args = FAREBOX_PRICE_ARGS_INIT;
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    farebox_error error = FAREBOX_ERROR_INIT;
    int64_t sum = 0;
    uint64_t start = 0;
    for (int64_t k = -rounds / 10; k < rounds; k++) {
        if (k == 0) {
            start = bench_now_ns();
        }
        const uint64_t random = bench_mix((uint64_t)k);
        args.tool = names[random % (TOOLS / 2) * 2 + (uint64_t)odd];
        if (odd != 0) {
            args.usage.units = (int64_t)(random >> 48);
        } else {
            args.usage.requests = 1;
        }
        check("price_tool", farebox_price_tool(engine, &args, &quote, &error), &error);
        sum += quote.total;
    }
    const uint64_t elapsed = bench_now_ns() - start;
    if (sum <= 0) {
        bench_die("nothing had a price");
    }
    return (double)elapsed / (double)rounds;
}

static void run_price(const settings *s)
{
    settings memory = *s;
    memory.url = "memory:";
    farebox_engine *engine = open_engine(&memory, FAREBOX_DURABILITY_DEFAULT);
    register_tools(engine);
    static char text[TOOLS][NAME_BYTES];
    static farebox_str names[TOOLS];
    for (int k = 0; k < TOOLS; k++) {
        snprintf(text[k], NAME_BYTES, "tool%d", k);
        names[k] = str(text[k]);
    }
    bench_print("flat_ns", price_ns(engine, names, 0, s->rounds));
    bench_print("tiers_ns", price_ns(engine, names, 1, s->rounds));
    close_engine(engine);
}

/* ---- Webhooks ---- */

static void run_webhook(const settings *s)
{
    enum { BODY = 1024, SECRET = 24 };
    const char *id = "msg_2f1A0Zr1Bq4dWcQw9h7Uu5Kx3Yp";
    char timestamp[24], payload[BODY + 128], secret[64] = "whsec_", signature[64] = "v1,";
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)time(NULL));
    const int head = snprintf(payload, sizeof payload, "%s.%s.", id, timestamp);
    char *body = payload + head;
    memset(body, 'x', BODY);

    uint8_t raw[SECRET], digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    for (size_t k = 0; k < SECRET; k++) {
        raw[k] = (uint8_t)bench_mix(k);
    }
    HMAC(EVP_sha256(), raw, SECRET, (const uint8_t *)payload, (size_t)head + BODY, digest, &digest_length);
    EVP_EncodeBlock((unsigned char *)secret + strlen(secret), raw, SECRET);
    EVP_EncodeBlock((unsigned char *)signature + strlen(signature), digest, (int)digest_length);

    char *copy = bench_alloc(1, BODY);
    memcpy(copy, body, BODY);
    const farebox_str secrets[1] = {str(secret)};
    farebox_webhook_args args = FAREBOX_WEBHOOK_ARGS_INIT;
    args.scheme = FAREBOX_WEBHOOK_STANDARD;
    args.body = (farebox_str){copy, BODY};
    args.signature = str(signature);
    args.id = str(id);
    args.timestamp = str(timestamp);
    args.secrets = secrets;
    args.secret_count = 1;

    farebox_error error = FAREBOX_ERROR_INIT;
    uint64_t start = 0;
    for (int64_t k = -s->rounds / 10; k < s->rounds; k++) {
        if (k == 0) {
            start = bench_now_ns();
        }
        check("verify_webhook", farebox_verify_webhook(NULL, &args, &error), &error);
    }
    bench_print("ns", (double)(bench_now_ns() - start) / (double)s->rounds);
    copy[BODY / 2] ^= 1;
    if (farebox_verify_webhook(NULL, &args, NULL) == FAREBOX_OK) {
        bench_die("verify_webhook: took a body that was changed");
    }
    free(copy);
}

int main(int argc, char **argv)
{
    settings s = {.durability = "full", .hold_durability = "default", .budget = "org", .batch = 0, .processes = 8, .rows = 0,
                  .warm_up = BENCH_WARM_UP, .threads = 32, .milliseconds = 2000, .rounds = 1000000,
                  .sample = 1000};
    BENCH_OPTIONS(argc, argv, 2, {"--url", NULL, &s.url}, {"--durability", NULL, &s.durability},
                  {"--hold-durability", NULL, &s.hold_durability}, {"--budget", NULL, &s.budget},
                  {"--exclusive", &s.exclusive, NULL}, {"--key-memory", &s.key_memory, NULL}, {"--tool", &s.tool, NULL},
                  {"--batch", &s.batch, NULL}, {"--rows", &s.rows, NULL}, {"--warm-up", &s.warm_up, NULL},
                  {"--window", &s.window, NULL}, {"--threads", &s.threads, NULL},
                  {"--milliseconds", &s.milliseconds, NULL}, {"--rounds", &s.rounds, NULL}, {"--sample", &s.sample, NULL},
                  {"--processes", &s.processes, NULL});
    static const struct {
        const char *name;
        void (*run)(const settings *);
        bool needs_url;
        int64_t rows, batch;
    } commands[] = {
        {"batch", run_batch, true, 1000000, BENCH_BATCH_MAX},
        {"threads", run_threads, true, 0, 1},
        {"processes", run_processes, true, 0, 1},
        {"single", run_single, true, 10000, 1},
        {"pair", run_pair, true, 10000, 1},
        {"open", run_open, true, 1000000, 1},
        {"verify", run_verify, true, 0, 1},
        {"price", run_price, false, 0, 1},
        {"webhook", run_webhook, false, 0, 1},
    };
    name_payers();
    for (size_t k = 0; argc > 1 && k < sizeof commands / sizeof commands[0]; k++) {
        if (strcmp(argv[1], commands[k].name) != 0) {
            continue;
        }
        if (commands[k].needs_url && s.url == NULL) {
            bench_die("%s: --url is needed", argv[1]);
        }
        s.batch = s.batch == 0 ? commands[k].batch : s.batch;
        if (s.batch < 1 || s.batch > 65536) {
            bench_die("--batch: 1 to 65536");
        }
        s.rows = s.rows == 0 ? commands[k].rows : s.rows;
        commands[k].run(&s);
        return 0;
    }
    bench_die("usage: farebox_bench batch|threads|processes|single|pair|open|verify|price|webhook [options]; see farebox_bench.c");
}

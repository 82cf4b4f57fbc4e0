/* A load of charges and holds that keeps every receipt, and the check of what it has kept.
 *
 *   load run    --url URL --file FILE [--seed N] [--process N] [--threads N] [--steps N | --seconds N] [--first N] [options]
 *   load fill   --url URL --file FILE --records N [--seed N] [--process N] [options]
 *   load check  --url URL --files A,B,... [--seed N] [options]
 *   load probe  --url URL [options]
 *   load verify --url URL [options]
 *
 * Options: --payers N, --busy-ms N (the engine's busy timeout), --patience N (seconds in which a request is repeated
 * while the store does not answer), --hold-durability full|normal, --key-memory BYTES (the least there is by default, so that
 * the ledger seals every 8,192 records), --keyless N (so many steps in a hundred charge without a key).
 *
 * `run` makes the payers, prints "ready", and works until its time is over or SIGTERM. What a step asks is a function of
 * seed, process, thread and number. Each receipt is in FILE, with one write, before its thread goes on. A request that
 * gets a status of the store's is repeated with its key; one without a key is repeated too, because every status after
 * which it goes on but STORE_OUTCOME_UNKNOWN promises that nothing has happened. After that one it is kept as one that
 * may have. Where FILE has receipts already, each thread repeats its last step and goes on from there. It ends with 0,
 * with 3 when the store is not to be trusted, and otherwise with 1.
 *
 * `fill` charges so many times, many at a time, and keeps the receipts in the same way; one charge in 16 has a key.
 *
 * `check` repeats every request with its key: each must be replayed, with the id and the amount that were kept. A step
 * that a killed process may have left is finished first. Then balances must be what the receipts add up to, and the
 * ledger must verify and reconcile.
 *
 * `verify` lets the ledger verify itself.
 *
 * `probe` opens the ledger, brings money in and charges once, and prints the first status that is not OK with its texts. */
#include <farebox.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 8, THREADS_MAX = 256, PAYERS_MAX = 4096, FILES_MAX = 64, KEY_BYTES = 64, LINE_BYTES = 128, STATUSES = 1000 };
enum { REPLAYS_A_CALL = 1024 };

#define DEPOSIT "1000000"
static const int64_t DEPOSITED = INT64_C(1000000) * INT64_C(1000000000);

typedef struct settings {
    const char *url, *file, *files, *hold_durability;
    int64_t seed, process, threads, steps, seconds, first, payers, busy_ms, patience, key_memory, records, keyless;
} settings;

static atomic_bool must_stop;
static atomic_uint_fast64_t statuses_met[STATUSES], longest_ns, receipts_kept, receipts_replayed;
static int receipts_file = -1;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static farebox_str str(const char *text)
{
    return (farebox_str){text, strlen(text)};
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* ---- Steps ---- */

/* FILL is a charge without a key, which cannot be repeated. */
typedef enum kind { CHARGE = 'C', FILL = 'F', RESERVE = 'R', CAPTURE = 'P' } kind;

/* What names a request: the step, its place in the step's batch, and what it does. */
typedef struct request {
    int64_t process, thread, number, place;
    kind kind;
} request;

/* A request and its receipt. */
typedef struct kept {
    request request;
    uint64_t id, hold;
    int64_t amount;
} kept;

typedef enum form { ONE_CHARGE, ONE_KEYLESS, ONE_BATCH, ONE_HOLD } form;

static uint64_t random_of(const settings *s, const request *r)
{
    return mix(mix(mix(mix((uint64_t)s->seed) ^ (uint64_t)r->process) ^ (uint64_t)r->thread) ^ (uint64_t)r->number);
}

static form form_of(const settings *s, const request *r)
{
    const uint64_t percent = random_of(s, r) % 100;
    if (percent < (uint64_t)s->keyless) {
        return ONE_KEYLESS;
    }
    return percent < 80 ? ONE_CHARGE : percent < 90 ? ONE_BATCH : ONE_HOLD;
}

static uint64_t payer_of(const settings *s, const request *r)
{
    return mix(random_of(s, r) + 1 + (uint64_t)r->place) % (uint64_t)s->payers;
}

static int64_t amount_of(const settings *s, const request *r)
{
    const int64_t amount = 1000 + (int64_t)(mix(random_of(s, r) + 100 + (uint64_t)r->place) % 1000000);
    return r->kind == CAPTURE ? amount / 2 : amount;
}

static void name_payer(char name[KEY_BYTES], uint64_t payer)
{
    snprintf(name, KEY_BYTES, "user:%" PRIu64, payer);
}

static void name_key(char key[KEY_BYTES], const settings *s, const request *r)
{
    snprintf(key, KEY_BYTES, "%c-%" PRId64 "-%" PRId64 "-%" PRId64 "-%" PRId64 "-%" PRId64, (char)r->kind, s->seed, r->process,
             r->thread, r->number, r->place);
}

/* ---- Calls that are repeated while the store does not answer ---- */

static bool is_of_store(farebox_status status)
{
    return status == FAREBOX_STORE_UNREACHABLE || status == FAREBOX_STORE_OUTCOME_UNKNOWN || status == FAREBOX_STORE_BUSY ||
           status == FAREBOX_STORE_IO || status == FAREBOX_STORE_FULL || status == FAREBOX_STORE_READ_ONLY;
}

static void pause_ms(int64_t milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

/* Times one call and counts its status. */
static void note(farebox_status status, uint64_t began)
{
    const uint64_t taken = now_ns() - began;
    uint64_t longest = atomic_load(&longest_ns);
    while (taken > longest && !atomic_compare_exchange_weak(&longest_ns, &longest, taken)) {
    }
    if (status > 0 && status < STATUSES) {
        atomic_fetch_add(&statuses_met[status], 1);
    }
}

/* Whether a call that got this status is to be made again; ends the process where the store is not to be trusted. */
static bool goes_again(const settings *s, const char *what, farebox_status status, const farebox_error *error, uint64_t first)
{
    if (status == FAREBOX_OK) {
        return false;
    }
    if (status == FAREBOX_STORE_UNTRUSTED) {
        fprintf(stderr, "%s: %s: %s\n", what, farebox_status_name(status), error->message);
        _exit(3);
    }
    if (!is_of_store(status)) {
        die("%s: %s: %s %s", what, farebox_status_name(status), error->message, error->details);
    }
    if (now_ns() - first > (uint64_t)s->patience * 1000000000u) {
        die("%s: %s for %" PRId64 " s: %s", what, farebox_status_name(status), s->patience, error->message);
    }
    if (error->retryable == 0 && (status == FAREBOX_STORE_UNREACHABLE || status == FAREBOX_STORE_OUTCOME_UNKNOWN)) {
        die("%s: %s does not say that it is retryable", what, farebox_status_name(status));
    }
    pause_ms(20);
    return true;
}

static farebox_engine *open_engine(const settings *s)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.busy_timeout_ms = (uint32_t)s->busy_ms;
    options.key_memory_bytes = (uint64_t)s->key_memory;
    farebox_engine *engine = NULL;
    for (uint64_t first = now_ns();;) {
        farebox_error error = FAREBOX_ERROR_INIT;
        const uint64_t began = now_ns();
        const farebox_status status = farebox_open(&engine, str(s->url), &options, &error);
        note(status, began);
        if (!goes_again(s, "open", status, &error, first)) {
            return engine;
        }
    }
}

/* Carries out an operation of the JSON door; `out` may be NULL. */
static void call(const settings *s, farebox_engine *engine, farebox_text *out, const char *operation, const char *input)
{
    for (uint64_t first = now_ns();;) {
        farebox_error error = FAREBOX_ERROR_INIT;
        farebox_text text = {NULL, 0};
        const uint64_t began = now_ns();
        const farebox_status status = farebox_call(engine, str(operation), str(input), &text, &error);
        note(status, began);
        if (goes_again(s, operation, status, &error, first)) {
            continue;
        }
        if (out != NULL) {
            *out = text;
        } else {
            farebox_text_free(&text);
        }
        return;
    }
}

static void make_payers(const settings *s, farebox_engine *engine)
{
    for (int64_t payer = 0; payer < s->payers; payer++) {
        char input[256];
        snprintf(input, sizeof input,
                 "{\"account\":\"user:%" PRId64 "\",\"amount\":\"" DEPOSIT "\",\"idempotency_key\":\"deposit-%" PRId64 "\"}", payer,
                 payer);
        call(s, engine, NULL, "account.deposit", input);
    }
}

/* The texts that a charge's arguments point at. */
typedef struct texts {
    char key[KEY_BYTES], payer[KEY_BYTES];
} texts;

static void fill_charge(const settings *s, const request *r, texts *t, farebox_charge_args *args)
{
    name_key(t->key, s, r);
    name_payer(t->payer, payer_of(s, r));
    *args = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
    args->payer = str(t->payer);
    args->idempotency_key = r->kind == FILL ? (farebox_str){NULL, 0} : str(t->key);
    args->amount = amount_of(s, r);
}

static kept keep(const request *r, const farebox_receipt *receipt)
{
    return (kept){*r, receipt->id, receipt->hold, receipt->amount};
}

static farebox_receipt charge(const settings *s, farebox_engine *engine, const request *r)
{
    farebox_charge_args args;
    texts t;
    fill_charge(s, r, &t, &args);
    for (uint64_t first = now_ns();;) {
        farebox_error error = FAREBOX_ERROR_INIT;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const uint64_t began = now_ns();
        const farebox_status status = farebox_charge(engine, &args, &receipt, &error);
        note(status, began);
        if (r->kind == FILL && status == FAREBOX_STORE_OUTCOME_UNKNOWN) {
            receipt.amount = args.amount;
            return receipt;
        }
        if (!goes_again(s, "charge", status, &error, first)) {
            return receipt;
        }
    }
}

static void charge_all(const settings *s, farebox_engine *engine, const kept *of, size_t count, farebox_receipt *receipts)
{
    farebox_charge_args *args = calloc(count, sizeof *args);
    texts *t = calloc(count, sizeof *t);
    if (args == NULL || t == NULL) {
        die("no memory");
    }
    for (size_t k = 0; k < count; k++) {
        fill_charge(s, &of[k].request, &t[k], &args[k]);
    }
    bool again = true;
    for (uint64_t first = now_ns(); again;) {
        for (size_t k = 0; k < count; k++) {
            receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
        }
        farebox_error error = FAREBOX_ERROR_INIT;
        const uint64_t began = now_ns();
        const farebox_status status = farebox_charge_many(engine, args, count, receipts, &error);
        note(status, began);
        again = goes_again(s, "charge_many", status, &error, first);
        for (size_t k = 0; !again && k < count; k++) {
            if (receipts[k].status != FAREBOX_OK) {
                die("%s in a batch: %s", t[k].key, farebox_status_name(receipts[k].status));
            }
        }
    }
    free(args);
    free(t);
}

static farebox_receipt reserve(const settings *s, farebox_engine *engine, const request *r)
{
    texts t;
    name_key(t.key, s, r);
    name_payer(t.payer, payer_of(s, r));
    farebox_reserve_args args = FAREBOX_RESERVE_ARGS_INIT;
    args.payer = str(t.payer);
    args.idempotency_key = str(t.key);
    args.amount = amount_of(s, r);
    args.durability = strcmp(s->hold_durability, "normal") == 0 ? FAREBOX_DURABILITY_NORMAL : FAREBOX_DURABILITY_FULL;
    for (uint64_t first = now_ns();;) {
        farebox_error error = FAREBOX_ERROR_INIT;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const uint64_t began = now_ns();
        const farebox_status status = farebox_reserve(engine, &args, &receipt, &error);
        note(status, began);
        if (!goes_again(s, "reserve", status, &error, first)) {
            return receipt;
        }
    }
}

/* With `may_be_lost` a hold that the ledger does not know, or has another of, gives an empty receipt. */
static farebox_receipt capture(const settings *s, farebox_engine *engine, const request *r, uint64_t hold, bool may_be_lost)
{
    char key[KEY_BYTES];
    name_key(key, s, r);
    farebox_capture_args args = FAREBOX_CAPTURE_ARGS_INIT;
    args.flags = FAREBOX_CAPTURE_AMOUNT;
    args.hold = hold;
    args.idempotency_key = str(key);
    args.amount = amount_of(s, r);
    for (uint64_t first = now_ns();;) {
        farebox_error error = FAREBOX_ERROR_INIT;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        const uint64_t began = now_ns();
        const farebox_status status = farebox_capture(engine, &args, &receipt, &error);
        note(status, began);
        if ((may_be_lost && (status == FAREBOX_HOLD_NOT_FOUND || status == FAREBOX_KEY_CONFLICT)) || !goes_again(s, "capture", status, &error, first)) {
            return receipt;
        }
    }
}

/* ---- The file of receipts ---- */

static void write_all(int file, const char *text, size_t length)
{
    if (write(file, text, length) != (ssize_t)length) {
        die("cannot keep a receipt: %s", strerror(errno));
    }
}

/* Writes receipts with one write; a line without its dot is one that a kill has cut. */
static void write_kept(int file, const kept *all, size_t count)
{
    char lines[BATCH * LINE_BYTES];
    size_t length = 0;
    for (size_t k = 0; k < count; k++) {
        const request *r = &all[k].request;
        length += (size_t)snprintf(lines + length, LINE_BYTES,
                                   "%c %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRId64 " .\n",
                                   (char)r->kind, r->process, r->thread, r->number, r->place, all[k].id, all[k].hold, all[k].amount);
    }
    write_all(file, lines, length);
    atomic_fetch_add(&receipts_kept, count);
}

/* All receipts of some files, and how far their threads have come. */
typedef struct past {
    kept *all;
    size_t count, capacity;
    struct progress {
        int64_t process, thread, last;
        bool has_ended;
    } *threads;
    size_t thread_count;
} past;

static struct progress *progress_of(past *p, int64_t process, int64_t thread)
{
    for (size_t k = 0; k < p->thread_count; k++) {
        if (p->threads[k].process == process && p->threads[k].thread == thread) {
            return &p->threads[k];
        }
    }
    p->threads = realloc(p->threads, (p->thread_count + 1) * sizeof *p->threads);
    if (p->threads == NULL) {
        die("no memory");
    }
    p->threads[p->thread_count] = (struct progress){process, thread, -1, false};
    return &p->threads[p->thread_count++];
}

static void add_kept(past *p, const kept *k)
{
    if (p->count == p->capacity) {
        p->capacity = p->capacity == 0 ? 4096 : 2 * p->capacity;
        p->all = realloc(p->all, p->capacity * sizeof *p->all);
        if (p->all == NULL) {
            die("no memory");
        }
    }
    p->all[p->count++] = *k;
}

static void read_file(past *p, const char *name)
{
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        return;
    }
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, file) != NULL) {
        kept k;
        char kind = 0, dot = 0;
        const int fields = sscanf(line, "%c %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %c", &kind,
                                  &k.request.process, &k.request.thread, &k.request.number, &k.request.place, &k.id, &k.hold,
                                  &k.amount, &dot);
        if (fields >= 3 && kind == 'S') {
            progress_of(p, k.request.process, k.request.thread)->has_ended = false;
        } else if (fields >= 3 && kind == 'E') {
            progress_of(p, k.request.process, k.request.thread)->has_ended = true;
        } else if (fields == 9 && dot == '.') {
            k.request.kind = (enum kind)kind;
            add_kept(p, &k);
            struct progress *t = progress_of(p, k.request.process, k.request.thread);
            t->last = k.request.number > t->last ? k.request.number : t->last;
        }
    }
    fclose(file);
}

/* ---- Running ---- */

static void one_step(const settings *s, farebox_engine *engine, request r, int file, past *also)
{
    kept all[BATCH];
    farebox_receipt receipts[BATCH];
    size_t count = 1;
    r.kind = CHARGE;
    r.place = 0;
    switch (form_of(s, &r)) {
    case ONE_CHARGE:
        receipts[0] = charge(s, engine, &r);
        all[0] = keep(&r, &receipts[0]);
        break;
    case ONE_KEYLESS:
        r.kind = FILL;
        receipts[0] = charge(s, engine, &r);
        all[0] = keep(&r, &receipts[0]);
        break;
    case ONE_BATCH:
        count = BATCH;
        for (size_t k = 0; k < BATCH; k++) {
            r.place = (int64_t)k;
            all[k].request = r;
        }
        charge_all(s, engine, all, BATCH, receipts);
        for (size_t k = 0; k < BATCH; k++) {
            all[k] = keep(&all[k].request, &receipts[k]);
        }
        break;
    case ONE_HOLD:
        r.kind = RESERVE;
        receipts[0] = reserve(s, engine, &r);
        all[0] = keep(&r, &receipts[0]);
        write_kept(file, all, 1);
        if (also != NULL) {
            add_kept(also, &all[0]);
        }
        r.kind = CAPTURE;
        receipts[0] = capture(s, engine, &r, receipts[0].hold, false);
        all[0] = keep(&r, &receipts[0]);
        break;
    }
    for (size_t k = 0; k < count; k++) {
        if (all[k].amount != amount_of(s, &all[k].request) || (all[k].id == 0 && r.kind != FILL)) {
            die("a receipt of %" PRId64 " where %" PRId64 " was asked", all[k].amount, amount_of(s, &all[k].request));
        }
        if ((receipts[k].flags & FAREBOX_RECEIPT_REPLAYED) != 0) {
            atomic_fetch_add(&receipts_replayed, 1);
        }
        if (also != NULL) {
            add_kept(also, &all[k]);
        }
    }
    write_kept(file, all, count);
}

/* Writes that a thread begins (S) or has ended with nothing left open (E). */
static void write_mark(const settings *s, char mark, int64_t thread)
{
    char line[LINE_BYTES];
    const int length = snprintf(line, sizeof line, "%c %" PRId64 " %" PRId64 "\n", mark, s->process, thread);
    write_all(receipts_file, line, (size_t)length);
}

typedef struct worker {
    pthread_t id;
    const settings *settings;
    farebox_engine *engine;
    int64_t thread, from;
} worker;

static void *work(void *context)
{
    const worker *w = context;
    write_mark(w->settings, 'S', w->thread);
    const int64_t to = w->settings->steps == 0 ? INT64_MAX : w->from + w->settings->steps;
    /* A process before this one may have been killed in its last step, or in the one after it. */
    const int64_t unsure = w->from + 2;
    for (int64_t number = w->from; number < to && (number < unsure || !atomic_load_explicit(&must_stop, memory_order_relaxed)); number++) {
        one_step(w->settings, w->engine, (request){w->settings->process, w->thread, number, 0, CHARGE}, receipts_file, NULL);
    }
    write_mark(w->settings, 'E', w->thread);
    return NULL;
}

static void stop(int number)
{
    (void)number;
    atomic_store(&must_stop, true);
}

static void print_statuses(void)
{
    for (int status = 1; status < STATUSES; status++) {
        const uint64_t count = atomic_load(&statuses_met[status]);
        if (count > 0) {
            printf("met %s %" PRIu64 "\n", farebox_status_name(status), count);
        }
    }
    printf("longest_ms %" PRIu64 "\n", atomic_load(&longest_ns) / 1000000);
}

static void open_receipts(const settings *s)
{
    receipts_file = s->file == NULL ? -1 : open(s->file, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (receipts_file < 0) {
        die("--file: %s", s->file == NULL ? "is needed" : strerror(errno));
    }
}

static int run_fill(const settings *s)
{
    static kept all[REPLAYS_A_CALL];
    static farebox_receipt receipts[REPLAYS_A_CALL];
    open_receipts(s);
    farebox_engine *engine = open_engine(s);
    make_payers(s, engine);
    write_mark(s, 'S', 0);
    for (int64_t done = 0; done < s->records;) {
        size_t count = 0;
        for (; count < REPLAYS_A_CALL && done < s->records; count++, done++) {
            all[count].request = (request){s->process, 0, done, 0, done % 16 == 0 ? CHARGE : FILL};
        }
        charge_all(s, engine, all, count, receipts);
        for (size_t k = 0; k < count; k++) {
            all[k] = keep(&all[k].request, &receipts[k]);
            write_kept(receipts_file, &all[k], 1);
        }
    }
    write_mark(s, 'E', 0);
    farebox_close(engine, NULL);
    printf("receipts %" PRIu64 "\n", atomic_load(&receipts_kept));
    return 0;
}

static int run_load(const settings *s)
{
    if (s->threads < 1 || s->threads > THREADS_MAX) {
        die("run: --threads from 1 to %d", THREADS_MAX);
    }
    past p = {0};
    if (s->file != NULL) {
        read_file(&p, s->file);
    }
    open_receipts(s);
    signal(SIGTERM, stop);
    farebox_engine *engine = open_engine(s);
    make_payers(s, engine);
    printf("ready\n");
    fflush(stdout);
    worker *workers = calloc((size_t)s->threads, sizeof *workers);
    if (workers == NULL) {
        die("no memory");
    }
    for (int64_t t = 0; t < s->threads; t++) {
        const int64_t last = progress_of(&p, s->process, t)->last;
        workers[t] = (worker){.settings = s, .engine = engine, .thread = t, .from = last >= 0 ? last : s->first};
        if (pthread_create(&workers[t].id, NULL, work, &workers[t]) != 0) {
            die("cannot start a thread");
        }
    }
    if (s->steps == 0) {
        const uint64_t end = now_ns() + (uint64_t)s->seconds * 1000000000u;
        while (now_ns() < end && !atomic_load(&must_stop)) {
            pause_ms(10);
        }
        atomic_store(&must_stop, true);
    }
    for (int64_t t = 0; t < s->threads; t++) {
        pthread_join(workers[t].id, NULL);
    }
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_close(engine, &error);
    if (status != FAREBOX_OK && !is_of_store(status)) {
        die("close: %s: %s", farebox_status_name(status), error.message);
    }
    printf("receipts %" PRIu64 "\nreplayed %" PRIu64 "\n", atomic_load(&receipts_kept), atomic_load(&receipts_replayed));
    print_statuses();
    free(workers);
    free(p.all);
    free(p.threads);
    return 0;
}

/* ---- Checking ---- */

static int compare_integers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_requests(const void *left, const void *right)
{
    const request *a = &((const kept *)left)->request, *b = &((const kept *)right)->request;
    int order = compare_integers(a->kind, b->kind);
    order = order != 0 ? order : compare_integers(a->process, b->process);
    order = order != 0 ? order : compare_integers(a->thread, b->thread);
    order = order != 0 ? order : compare_integers(a->number, b->number);
    return order != 0 ? order : compare_integers(a->place, b->place);
}

static int compare_ids(const void *left, const void *right)
{
    const uint64_t a = ((const kept *)left)->id, b = ((const kept *)right)->id;
    return (a > b) - (a < b);
}

typedef struct verdict {
    uint64_t lost, doubled, wrong;
} verdict;

static void complain(uint64_t *count, const settings *s, const kept *k, const char *what)
{
    char key[KEY_BYTES];
    name_key(key, s, &k->request);
    if (++*count <= 10) {
        fprintf(stderr, "%s: receipt %" PRIu64 " of %" PRId64 ": %s\n", key, k->id, k->amount, what);
    }
}

static void compare_replay(const settings *s, const kept *k, const farebox_receipt *receipt, verdict *v)
{
    if ((receipt->flags & FAREBOX_RECEIPT_REPLAYED) == 0) {
        complain(&v->lost, s, k, "the ledger does not know it");
    } else if (receipt->id != k->id || receipt->amount != k->amount || receipt->hold != k->hold) {
        complain(&v->wrong, s, k, "the ledger has another receipt for this key");
    }
}

/* Drops what was kept twice because a step was repeated; both must be the same receipt. */
static void drop_repeats(const settings *s, past *p, verdict *v)
{
    qsort(p->all, p->count, sizeof *p->all, compare_requests);
    size_t kept_count = 0;
    for (size_t k = 0; k < p->count; k++) {
        kept *before = kept_count > 0 ? &p->all[kept_count - 1] : NULL;
        if (before != NULL && compare_requests(before, &p->all[k]) == 0) {
            if (before->id != p->all[k].id || before->amount != p->all[k].amount || before->hold != p->all[k].hold) {
                complain(&v->doubled, s, &p->all[k], "one key has given two receipts");
            }
            continue;
        }
        p->all[kept_count++] = p->all[k];
    }
    p->count = kept_count;
}

static void check_ids(const settings *s, const past *p, verdict *v)
{
    kept *sorted = calloc(p->count + 1, sizeof *sorted);
    if (sorted == NULL) {
        die("no memory");
    }
    memcpy(sorted, p->all, p->count * sizeof *sorted);
    qsort(sorted, p->count, sizeof *sorted, compare_ids);
    for (size_t k = 1; k < p->count; k++) {
        if (sorted[k].id == sorted[k - 1].id && sorted[k].id != 0) {
            complain(&v->doubled, s, &sorted[k], "two keys have one receipt");
        }
    }
    free(sorted);
}

static void check_replays(const settings *s, farebox_engine *engine, const past *p, verdict *v)
{
    static farebox_receipt receipts[REPLAYS_A_CALL];
    for (size_t k = 0; k < p->count;) {
        const kept *one = &p->all[k];
        size_t count = 1;
        if (one->request.kind == FILL) {
            k++;
            continue;
        }
        if (one->request.kind == CHARGE) {
            while (count < REPLAYS_A_CALL && k + count < p->count && p->all[k + count].request.kind == CHARGE) {
                count++;
            }
            charge_all(s, engine, one, count, receipts);
        } else if (one->request.kind == RESERVE) {
            receipts[0] = reserve(s, engine, &one->request);
        } else {
            receipts[0] = capture(s, engine, &one->request, one->hold, true);
        }
        for (size_t i = 0; i < count; i++) {
            compare_replay(s, &one[i], &receipts[i], v);
        }
        k += count;
    }
}

static farebox_balance_result balance_of(const settings *s, farebox_engine *engine, const char *account)
{
    farebox_status status;
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    farebox_error error = FAREBOX_ERROR_INIT;
    const uint64_t first = now_ns();
    do {
        status = farebox_balance(engine, str(account), str("USD"), &balance, &error);
    } while (goes_again(s, "balance", status, &error, first));
    return balance;
}

static void check_balance(const settings *s, farebox_engine *engine, const char *account, int64_t expected, verdict *v)
{
    const farebox_balance_result balance = balance_of(s, engine, account);
    if (balance.balance != expected || balance.held != 0) {
        v->wrong++;
        fprintf(stderr, "%s has %" PRId64 " and %" PRId64 " held, and its receipts say %" PRId64 "\n", account, balance.balance,
                balance.held, expected);
    }
}

/* Whether some of the amounts add up to `sum`. */
static bool some_add_up(const int64_t *amounts, size_t count, int64_t sum)
{
    return sum == 0 || (count > 0 && (some_add_up(amounts + 1, count - 1, sum - amounts[0]) || some_add_up(amounts + 1, count - 1, sum)));
}

static void check_balances(const settings *s, farebox_engine *engine, const past *p, verdict *v)
{
    enum { UNSURE_MAX = 20 };
    static int64_t spent[PAYERS_MAX], unsure[PAYERS_MAX][UNSURE_MAX];
    static size_t unsure_count[PAYERS_MAX];
    int64_t all = 0;
    for (size_t k = 0; k < p->count; k++) {
        const uint64_t payer = payer_of(s, &p->all[k].request);
        if (p->all[k].id == 0 && unsure_count[payer] < UNSURE_MAX) {
            unsure[payer][unsure_count[payer]++] = p->all[k].amount;
        } else if (p->all[k].request.kind != RESERVE) {
            spent[payer] += p->all[k].amount;
            all += p->all[k].amount;
        }
    }
    for (int64_t payer = 0; payer < s->payers; payer++) {
        char name[KEY_BYTES];
        name_payer(name, (uint64_t)payer);
        /* What may have happened has happened where the balance says so. */
        const int64_t more = DEPOSITED - spent[payer] - balance_of(s, engine, name).balance;
        if (some_add_up(unsure[payer], unsure_count[payer], more)) {
            spent[payer] += more;
            all += more;
        }
        check_balance(s, engine, name, DEPOSITED - spent[payer], v);
    }
    if (p->count > 0) {
        check_balance(s, engine, "platform", all, v);
    }
    check_balance(s, engine, "external", -DEPOSITED * s->payers, v);
}

static int run_check(const settings *s)
{
    past p = {0};
    char names[8192];
    snprintf(names, sizeof names, "%s", s->files == NULL ? "" : s->files);
    for (char *rest = names, *name = strtok_r(rest, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        read_file(&p, name);
    }
    size_t read = 0;
    for (size_t k = 0; k < p.count; k++) {
        read += p.all[k].request.kind != FILL ? 1 : 0;
    }
    receipts_file = open("/dev/null", O_WRONLY);
    farebox_engine *engine = open_engine(s);
    make_payers(s, engine);
    verdict v = {0, 0, 0};
    size_t finished = 0;
    for (size_t k = 0; k < p.thread_count; k++) {
        const struct progress t = p.threads[k];
        for (int64_t number = t.last < 0 ? s->first : t.last; !t.has_ended && number <= (t.last < 0 ? s->first : t.last + 1); number++) {
            one_step(s, engine, (request){t.process, t.thread, number, 0, CHARGE}, receipts_file, &p);
            finished++;
        }
    }
    drop_repeats(s, &p, &v);
    check_ids(s, &p, &v);
    check_replays(s, engine, &p, &v);
    check_balances(s, engine, &p, &v);
    call(s, engine, NULL, "ledger.verify", "{}");
    farebox_text out = {NULL, 0};
    call(s, engine, &out, "ledger.reconcile", "{}");
    if (strstr(out.ptr, "\"balanced\":true") == NULL) {
        v.wrong++;
        fprintf(stderr, "ledger.reconcile: %s\n", out.ptr);
    }
    farebox_text_free(&out);
    farebox_close(engine, NULL);
    printf("kept %zu\nfinished %zu\nlost %" PRIu64 "\ndoubled %" PRIu64 "\nwrong %" PRIu64 "\n", read, finished, v.lost, v.doubled, v.wrong);
    print_statuses();
    free(p.all);
    free(p.threads);
    return v.lost + v.doubled + v.wrong == 0 ? 0 : 1;
}

static int run_verify(const settings *s)
{
    farebox_engine *engine = open_engine(s);
    call(s, engine, NULL, "ledger.verify", "{}");
    farebox_close(engine, NULL);
    printf("status OK\n");
    return 0;
}

/* ---- Probing ---- */

static int run_probe(const settings *s)
{
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.busy_timeout_ms = (uint32_t)s->busy_ms;
    options.key_memory_bytes = (uint64_t)s->key_memory;
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_engine *engine = NULL;
    const char *what = "open";
    const uint64_t began = now_ns();
    farebox_status status = farebox_open(&engine, str(s->url), &options, &error);
    if (status == FAREBOX_OK) {
        farebox_text out = {NULL, 0};
        what = "account.deposit";
        status = farebox_call(engine, str(what), str("{\"account\":\"user:probe\",\"amount\":\"1\"}"), &out, &error);
        farebox_text_free(&out);
    }
    if (status == FAREBOX_OK) {
        farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
        args.payer = str("user:probe");
        args.amount = 1;
        what = "charge";
        status = farebox_charge(engine, &args, NULL, &error);
    }
    printf("call %s\nstatus %s\nretryable %" PRIu32 "\nmilliseconds %" PRIu64 "\nfield %s\nmessage %s\ndetails %s\n", what,
           farebox_status_name(status), error.retryable, (now_ns() - began) / 1000000, error.field, error.message, error.details);
    if (engine != NULL) {
        farebox_close(engine, NULL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    settings s = {.hold_durability = "full", .threads = 1, .seconds = 10, .payers = 50, .busy_ms = 10000, .patience = 60, .key_memory = 1 << 20};
    const struct {
        const char *name;
        int64_t *number;
        const char **text;
    } options[] = {
        {"--url", NULL, &s.url},           {"--file", NULL, &s.file},       {"--files", NULL, &s.files},
        {"--seed", &s.seed, NULL},         {"--process", &s.process, NULL}, {"--threads", &s.threads, NULL},
        {"--steps", &s.steps, NULL},       {"--seconds", &s.seconds, NULL}, {"--first", &s.first, NULL},
        {"--payers", &s.payers, NULL},     {"--busy-ms", &s.busy_ms, NULL}, {"--patience", &s.patience, NULL},
        {"--key-memory", &s.key_memory, NULL}, {"--records", &s.records, NULL},
        {"--keyless", &s.keyless, NULL},
        {"--hold-durability", NULL, &s.hold_durability},
    };
    for (int k = 2; k < argc; k += 2) {
        bool found = false;
        for (size_t o = 0; o < sizeof options / sizeof options[0] && k + 1 < argc; o++) {
            if (strcmp(argv[k], options[o].name) != 0) {
                continue;
            }
            found = true;
            if (options[o].text != NULL) {
                *options[o].text = argv[k + 1];
            } else {
                *options[o].number = strtoll(argv[k + 1], NULL, 10);
            }
        }
        if (!found) {
            die("%s: no such option, or it needs a value", argv[k]);
        }
    }
    if (argc < 2 || s.url == NULL || s.payers < 1 || s.payers > PAYERS_MAX) {
        die("usage: load run|fill|check|probe|verify --url URL ...; see the top of load.c");
    }
    if (strcmp(argv[1], "run") == 0) {
        return run_load(&s);
    }
    if (strcmp(argv[1], "fill") == 0) {
        return run_fill(&s);
    }
    if (strcmp(argv[1], "check") == 0) {
        return run_check(&s);
    }
    if (strcmp(argv[1], "probe") == 0) {
        return run_probe(&s);
    }
    if (strcmp(argv[1], "verify") == 0) {
        return run_verify(&s);
    }
    die("no such command: %s", argv[1]);
}

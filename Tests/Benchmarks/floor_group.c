/* The floor of `charge` from many threads: leader and follower group commit over SQLite (floor.h), one charge a call.
 *
 * A caller takes a slot in the open group. The one in the first slot leads: when the group before has committed it
 * waits a moment for the callers that were just woken, closes the group, appends every charge, commits once and wakes
 * everybody. Whoever comes meanwhile is in the next group.
 *
 *   floor_group --path FILE [--threads N] [--milliseconds N] [--warm-up N] [--gather-us N] */
#include "floor.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A charge that waits for its commit, and what came of it. */
typedef struct request {
    uint8_t key[BENCH_KEY_BYTES];
    uint32_t payer;
    int64_t amount;
    int64_t balance;
    uint64_t id;
} request;

/* Groups are numbered from 1. Two are alive at a time: one commits while the next fills. */
enum { GROUP_CAPACITY = BENCH_THREADS_MAX };

typedef struct queue {
    _Alignas(64) _Atomic uint64_t open;         /* the filling group's number << 32 | slots taken in it */
    _Alignas(64) _Atomic uint32_t turn;         /* the group that may commit */
    _Alignas(64) _Atomic uint32_t committed[2]; /* the last group of each parity that has committed */
    _Alignas(64) _Atomic(request *) slots[2][GROUP_CAPACITY];
    floor_ledger *ledger;
    uint32_t expected; /* the leader's: how many callers there were at the end of the last commit */
    uint64_t gather_ns;
    uint64_t groups;
} queue;

static void wait_until(_Atomic uint32_t *word, uint32_t wanted)
{
    for (uint32_t seen; (int32_t)((seen = atomic_load_explicit(word, memory_order_acquire)) - wanted) < 0;) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
}

static void publish(_Atomic uint32_t *word, uint32_t value, int wake)
{
    atomic_store_explicit(word, value, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, wake, NULL, NULL, 0);
}

/* Waits for the callers that the last commit woke, as many as there were, but not for long. */
static void gather(queue *q)
{
    if (q->gather_ns == 0) {
        return;
    }
    const uint64_t deadline = bench_now_ns() + q->gather_ns;
    while ((uint32_t)atomic_load_explicit(&q->open, memory_order_relaxed) < q->expected && bench_now_ns() < deadline) {
        sched_yield();
    }
}

static void lead(queue *q, uint32_t group)
{
    wait_until(&q->turn, group);
    gather(q);
    const uint32_t count = (uint32_t)atomic_exchange(&q->open, (uint64_t)(group + 1) << 32);
    const int64_t at = floor_clock_us();
    floor_run(q->ledger, q->ledger->begin);
    for (uint32_t k = 0; k < count; k++) {
        request *r;
        while ((r = atomic_exchange_explicit(&q->slots[group % 2][k], NULL, memory_order_acquire)) == NULL) {
            sched_yield(); /* its owner is between taking the slot and filling it */
        }
        r->balance = floor_charge(q->ledger, r->key, r->payer, r->amount, at);
        r->id = q->ledger->rows;
    }
    floor_commit(q->ledger);
    q->groups++;
    q->expected = count + (uint32_t)atomic_load_explicit(&q->open, memory_order_relaxed);
    publish(&q->committed[group % 2], group, INT32_MAX);
    publish(&q->turn, group + 1, 1);
}

static void charge(queue *q, request *r)
{
    const uint64_t place = atomic_fetch_add(&q->open, 1);
    const uint32_t group = (uint32_t)(place >> 32), slot = (uint32_t)place;
    atomic_store_explicit(&q->slots[group % 2][slot], r, memory_order_release);
    if (slot == 0) {
        lead(q, group);
    } else {
        wait_until(&q->committed[group % 2], group);
    }
}

typedef struct worker {
    pthread_t thread;
    queue *queue;
    bench_samples samples;
    uint64_t first; /* its requests are numbered from here */
    uint64_t done;
    _Atomic bool *stop;
} worker;

static void *work(void *context)
{
    worker *self = context;
    for (uint64_t last = bench_now_ns(); !atomic_load_explicit(self->stop, memory_order_relaxed);) {
        const uint64_t i = self->first + self->done;
        request r = {.payer = bench_payer_at(i, BENCH_PAYERS), .amount = BENCH_AMOUNT};
        bench_key_at(r.key, i);
        charge(self->queue, &r);
        if (r.id == 0) {
            bench_die("a caller was woken before its commit");
        }
        self->done++;
        const uint64_t now = bench_now_ns();
        bench_samples_add(&self->samples, now - last);
        last = now;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    int64_t threads = 32, milliseconds = 2000, warm_up = BENCH_WARM_UP, gather_us = 50;
    BENCH_OPTIONS(argc, argv, 1, {"--path", NULL, &path}, {"--threads", &threads, NULL},
                  {"--milliseconds", &milliseconds, NULL}, {"--warm-up", &warm_up, NULL}, {"--gather-us", &gather_us, NULL});
    if (path == NULL || threads < 1 || threads > BENCH_THREADS_MAX) {
        bench_die("usage: floor_group --path FILE [--threads N] [--milliseconds N] [--warm-up N] [--gather-us N]");
    }
    queue *q = aligned_alloc(64, (sizeof *q + 63) / 64 * 64);
    if (q == NULL) {
        bench_die("no memory");
    }
    memset(q, 0, sizeof *q);
    q->ledger = floor_open(path, false);
    q->gather_ns = (uint64_t)gather_us * 1000;
    atomic_store(&q->open, (uint64_t)1 << 32);
    atomic_store(&q->turn, 1);
    floor_warm_up(q->ledger, warm_up, BENCH_PAYERS);

    _Atomic bool stop = false;
    worker *workers = bench_alloc((size_t)threads, sizeof *workers);
    const uint64_t start = bench_now_ns(), cpu_start = bench_cpu_ns();
    for (int64_t t = 0; t < threads; t++) {
        workers[t].queue = q;
        workers[t].samples = bench_samples_make((size_t)milliseconds * 25);
        workers[t].first = (uint64_t)(t + 1) << 40;
        workers[t].stop = &stop;
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0) {
            bench_die("cannot start thread %" PRId64, t);
        }
    }
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
    atomic_store(&stop, true);
    uint64_t done = 0;
    for (int64_t t = 0; t < threads; t++) {
        pthread_join(workers[t].thread, NULL);
        done += workers[t].done;
    }
    const uint64_t elapsed = bench_now_ns() - start, cpu = bench_cpu_ns() - cpu_start;

    bench_samples all = bench_samples_make(done);
    for (int64_t t = 0; t < threads; t++) {
        for (size_t k = 0; k < workers[t].samples.count; k++) {
            bench_samples_add(&all, workers[t].samples.ns[k]);
        }
        free(workers[t].samples.ns);
    }
    bench_print("rate", bench_rate(done, elapsed));
    bench_print("cpu_us", (double)cpu / 1000.0 / (double)done);
    bench_print("group", (double)done / (double)q->groups);
    bench_print_samples(&all);
    free(all.ns);
    free(workers);
    floor_close(q->ledger);
    free(q);
    return 0;
}

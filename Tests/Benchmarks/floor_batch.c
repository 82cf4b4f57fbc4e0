/* The floor of `charge_many` and, with batches of one, of a single `charge`: see floor.h.
 *
 *   floor_batch --path FILE [--batch N] [--rows N] [--warm-up N] [--payers N] [--unique 0|1] */
#include "floor.h"

int main(int argc, char **argv)
{
    const char *path = NULL;
    int64_t batch = BENCH_BATCH_MAX, rows = 1000000, warm_up = BENCH_WARM_UP, payers = BENCH_PAYERS, unique = 0;
    BENCH_OPTIONS(argc, argv, 1, {"--path", NULL, &path}, {"--batch", &batch, NULL}, {"--rows", &rows, NULL},
                  {"--warm-up", &warm_up, NULL}, {"--payers", &payers, NULL}, {"--unique", &unique, NULL});
    if (path == NULL || batch < 1 || batch > UINT32_MAX || payers < 1 || payers > BENCH_PAYERS) {
        bench_die("usage: floor_batch --path FILE [--batch N] [--rows N] [--warm-up N] [--payers N] [--unique 0|1]");
    }
    floor_ledger *ledger = floor_open(path, unique != 0);
    floor_warm_up(ledger, warm_up, (uint32_t)payers);

    const uint64_t before = ledger->rows;
    bench_samples samples = bench_samples_make((size_t)(rows / batch + 1));
    const uint64_t start = bench_now_ns(), cpu_start = bench_cpu_ns();
    for (uint64_t last = start; ledger->rows - before < (uint64_t)rows;) {
        floor_batch(ledger, (uint32_t)batch, (uint32_t)payers);
        const uint64_t now = bench_now_ns();
        bench_samples_add(&samples, now - last);
        last = now;
    }
    const uint64_t elapsed = bench_now_ns() - start, cpu = bench_cpu_ns() - cpu_start;
    const uint64_t done = ledger->rows - before;
    bench_print("rate", bench_rate(done, elapsed));
    bench_print("cpu_us", (double)cpu / 1000.0 / (double)done);
    bench_print_samples(&samples);
    free(samples.ns);
    floor_close(ledger);
    return 0;
}

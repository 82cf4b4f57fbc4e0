/* What a host does to itself while the engine works: the host lives, no call hangs, and every receipt is kept.
 *
 *   survival [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own with a limit of time. FAREBOX_LONG repeats them. */
#include "sections.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static const int64_t USD = INT64_C(1000000000);
enum { THREADS = 6 };

static char folder[256], url[300];

static farebox_engine *open_ledger(void)
{
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, str(url), NULL, NULL));
    return engine;
}

static farebox_engine *new_ledger(void)
{
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    farebox_engine *engine = open_ledger();
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\"}"));
    return engine;
}

static farebox_status charge(farebox_engine *engine, const char *key, farebox_receipt *out)
{
    farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.amount = 1;
    args.idempotency_key = str(key);
    args.durability = FAREBOX_DURABILITY_NORMAL;
    *out = (farebox_receipt)FAREBOX_RECEIPT_INIT;
    return farebox_charge(engine, &args, out, NULL);
}

static void sound(farebox_engine *engine, int64_t spent)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, NULL));
    EQUAL(1000 * USD - spent, balance.balance);
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, NULL, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
}

/* ---- Threads that charge, each with its keys and the numbers that it was given ---- */

enum { MOST = 4000 };

typedef struct caller {
    farebox_engine *engine;
    int index, calls, done, wrong;
    farebox_status last;
    uint64_t ids[MOST];
} caller;

static caller callers[THREADS];
static pthread_t threads[THREADS];
static atomic_int may_stop;

static void *keep_charging(void *context)
{
    caller *c = context;
    for (int k = 0; k < c->calls && !may_stop; k++) {
        char key[32];
        snprintf(key, sizeof key, "t%d-%d", c->index, k);
        farebox_receipt receipt;
        c->last = charge(c->engine, key, &receipt);
        if (c->last != FAREBOX_OK) {
            break;
        }
        c->wrong += receipt.amount != 1 || receipt.id == 0;
        c->ids[c->done++] = receipt.id;
    }
    return NULL;
}

static void start_callers(farebox_engine *engine, int calls)
{
    may_stop = 0;
    for (int k = 0; k < THREADS; k++) {
        callers[k] = (caller){.engine = engine, .index = k, .calls = calls};
        CHECK(pthread_create(&threads[k], NULL, keep_charging, &callers[k]) == 0);
    }
}

static int join_callers(farebox_status first, farebox_status second)
{
    int done = 0;
    for (int k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
        CHECK(callers[k].last == first || callers[k].last == second);
        EQUAL(0, callers[k].wrong);
        done += callers[k].done;
    }
    return done;
}

/* Every receipt that was handed out is found by its key. */
static void find_all(farebox_engine *engine)
{
    int missing = 0;
    for (int k = 0; k < THREADS; k++) {
        for (int n = 0; n < callers[k].done; n++) {
            char key[32];
            snprintf(key, sizeof key, "t%d-%d", k, n);
            farebox_receipt receipt;
            missing += charge(engine, key, &receipt) != FAREBOX_OK || receipt.id != callers[k].ids[n] ||
                       (receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0;
        }
    }
    EQUAL(0, missing);
}

/* ---- Sections ---- */

static farebox_engine *to_close;
static atomic_int closed_ok, closed_before, closed_wrong;
static pthread_barrier_t together;

static void *close_it(void *context)
{
    (void)context;
    pthread_barrier_wait(&together);
    const farebox_status status = farebox_close(to_close, NULL);
    atomic_fetch_add(status == FAREBOX_OK ? &closed_ok : status == FAREBOX_CLOSED ? &closed_before : &closed_wrong, 1);
    return NULL;
}

/* Many threads close while many call: one close does it, each call is done or says CLOSED, and no receipt is lost. */
static void closes(void)
{
    const int rounds = is_long() ? 200 : 12;
    for (int round = 0; round < rounds; round++) {
        to_close = new_ledger();
        atomic_store(&closed_ok, 0);
        atomic_store(&closed_before, 0);
        start_callers(to_close, MOST);
        pthread_t closers[4];
        pthread_barrier_init(&together, NULL, 4);
        for (int k = 0; k < 4; k++) {
            pthread_create(&closers[k], NULL, close_it, NULL);
        }
        for (int k = 0; k < 4; k++) {
            pthread_join(closers[k], NULL);
        }
        pthread_barrier_destroy(&together);
        const int done = join_callers(FAREBOX_CLOSED, FAREBOX_OK);
        EQUAL(1, closed_ok);
        EQUAL(3, closed_before);
        EQUAL(0, closed_wrong);
        EXPECT(FAREBOX_CLOSED, farebox_close(to_close, NULL));
        farebox_engine *engine = open_ledger();
        sound(engine, done);
        find_all(engine);
        sound(engine, done);
        EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
        remove_folder(folder);
    }
}

/* Forks in the middle of the calls of other threads: the child is told, opens its own, and the parent goes on. */
static void forks(void)
{
    farebox_engine *engine = new_ledger();
    start_callers(engine, MOST);
    const int rounds = is_long() ? 400 : 25;
    for (int round = 0; round < rounds; round++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            farebox_receipt receipt;
            farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
            const int told = charge(engine, "child", &receipt) == FAREBOX_FORKED &&
                             farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &balance, NULL) == FAREBOX_FORKED &&
                             (round % 2 == 0 || farebox_close(engine, NULL) == FAREBOX_FORKED);
            if (!told) {
                _exit(1);
            }
            farebox_engine *own = NULL;
            const farebox_status opened = farebox_open(&own, str(url), NULL, NULL);
            if (opened != FAREBOX_OK) {
                fprintf(stderr, "a child's own engine: %s\n", farebox_status_name(opened));
                _exit(2);
            }
            char key[32];
            snprintf(key, sizeof key, "child-%d", round);
            const farebox_status charged = charge(own, key, &receipt);
            if (charged != FAREBOX_OK) {
                fprintf(stderr, "a child's charge: %s\n", farebox_status_name(charged));
                _exit(3);
            }
            atomic_fetch_add(&report->charged, 1);
            /* Some close, some just end. */
            if (round % 3 == 0 && farebox_close(own, NULL) != FAREBOX_OK) {
                _exit(4);
            }
            if (round % 3 == 1) {
                exit(0);
            }
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child);
        EQUAL(0, status);
    }
    may_stop = 1;
    const int done = join_callers(FAREBOX_OK, FAREBOX_OK);
    CHECK(done > 0);
    EQUAL(rounds, report->charged);
    sound(engine, done + report->charged);
    find_all(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    remove_folder(folder);
}

/* Ends without closing, in the middle of calls, by exit, by return of main's thread and by a signal. */
static void ends(void)
{
    for (int how = 0; how < 3; how++) {
        farebox_engine *engine = new_ledger();
        EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
        int pipes[2];
        CHECK(pipe(pipes) == 0);
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            engine = open_ledger();
            start_callers(engine, MOST);
            usleep(20000);
            int done[THREADS];
            for (int k = 0; k < THREADS; k++) {
                done[k] = *(volatile int *)&callers[k].done;
            }
            if (write(pipes[1], done, sizeof done) != (ssize_t)sizeof done) {
                _exit(9);
            }
            if (how == 0) {
                exit(0);
            }
            if (how == 1) {
                _exit(0);
            }
            raise(SIGTERM);
        }
        int status = -1, done[THREADS] = {0};
        CHECK(read(pipes[0], done, sizeof done) == (ssize_t)sizeof done);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(how == 2 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM : status == 0);
        close(pipes[0]);
        close(pipes[1]);
        engine = open_ledger();
        EXPECT(FAREBOX_OK, json_call(engine, NULL, "ledger.verify", "{}"));
        for (int k = 0; k < THREADS; k++) {
            for (int n = 0; n < done[k]; n++) {
                char key[32];
                snprintf(key, sizeof key, "t%d-%d", k, n);
                farebox_receipt receipt;
                EXPECT(FAREBOX_OK, charge(engine, key, &receipt));
                CHECK((receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
            }
        }
        EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
        remove_folder(folder);
    }
}

static atomic_int alarms;

static void on_alarm(int signal)
{
    (void)signal;
    atomic_fetch_add(&alarms, 1);
}

/* A storm of signals that interrupt system calls: no call fails for it. */
static void signals(void)
{
    farebox_engine *engine = new_ledger();
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm; /* without SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval storm = {{0, 150}, {0, 150}}, calm = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &storm, NULL);
    start_callers(engine, 400);
    const int done = join_callers(FAREBOX_OK, FAREBOX_OK);
    setitimer(ITIMER_REAL, &calm, NULL);
    EQUAL(THREADS * 400, done);
    CHECK(alarms > 10);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    engine = open_ledger();
    sound(engine, done);
    find_all(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    remove_folder(folder);
}

/* Without standard input, output and error: the ledger's file must not take their numbers. */
static void closed_streams(void)
{
    make_folder(folder, sizeof folder);
    snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
    fflush(NULL);
    const int kept[3] = {fcntl(0, F_DUPFD_CLOEXEC, 20), fcntl(1, F_DUPFD_CLOEXEC, 20), fcntl(2, F_DUPFD_CLOEXEC, 20)};
    close(0);
    close(1);
    close(2);
    farebox_engine *engine = NULL;
    farebox_receipt receipt;
    const farebox_status opened = farebox_open(&engine, str(url), NULL, NULL);
    const farebox_status deposited =
        json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\"}");
    /* What a host prints goes nowhere, and not into the ledger. */
    const ssize_t printed = write(1, "noise", 5) + write(2, "noise", 5);
    const farebox_status charged = charge(engine, "k", &receipt);
    const farebox_status closed = farebox_close(engine, NULL);
    for (int k = 0; k < 3; k++) {
        dup2(kept[k], k);
        close(kept[k]);
    }
    EXPECT(FAREBOX_OK, opened);
    EXPECT(FAREBOX_OK, deposited);
    EXPECT(FAREBOX_OK, charged);
    EXPECT(FAREBOX_OK, closed);
    printf("closed_streams: %s\n", printed == -2 ? "the numbers stayed free" : "the numbers were taken");
    engine = open_ledger();
    sound(engine, 1);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    remove_folder(folder);
}

typedef struct meddler {
    farebox_engine *engine, *other;
    int is_meddling, calls;
    farebox_status answers[8];
} meddler;

static int64_t meddle(void *context)
{
    meddler *m = context;
    if (m->is_meddling) {
        m->is_meddling = 0;
        farebox_receipt receipt;
        farebox_engine *opened = NULL;
        m->answers[0] = charge(m->engine, "inside", &receipt);
        m->answers[1] = charge(m->other, "inside", &receipt);
        m->answers[2] = farebox_close(m->engine, NULL);
        m->answers[3] = farebox_close(m->other, NULL);
        m->answers[4] = farebox_tick(m->engine, NULL, NULL);
        m->answers[5] = json_call(m->engine, NULL, "ledger.info", "{}");
        m->answers[6] = json_call(m->other, NULL, "ledger.info", "{}");
        m->answers[7] = farebox_open(&opened, FAREBOX_STR("memory:"), NULL, NULL);
        if (opened != NULL) {
            m->answers[7] = farebox_close(opened, NULL);
        }
        m->calls++;
    }
    return INT64_C(1750000000000000);
}

/* The clock calls back, into its own engine and into another, from many threads. */
static void callbacks(void)
{
    meddler m = {0};
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.clock = meddle;
    options.clock_context = &m;
    farebox_engine *engine = NULL;
    MUST(farebox_open(&m.other, FAREBOX_STR("memory:"), NULL, NULL));
    MUST(farebox_open(&engine, FAREBOX_STR("memory:"), &options, NULL));
    m.engine = engine;
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\"}"));
    m.is_meddling = 1;
    farebox_receipt receipt;
    EXPECT(FAREBOX_OK, charge(engine, "outside", &receipt));
    EQUAL(1, m.calls);
    for (int k = 0; k < 7; k++) {
        EXPECT(FAREBOX_REENTRANT, m.answers[k]);
    }
    CHECK(m.answers[7] == FAREBOX_REENTRANT || m.answers[7] == FAREBOX_OK);
    start_callers(engine, 500);
    EQUAL(THREADS * 500, join_callers(FAREBOX_OK, FAREBOX_OK));
    sound(engine, THREADS * 500 + 1);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    EXPECT(FAREBOX_OK, farebox_close(m.other, NULL));
}

int main(int count, char **arguments)
{
    static const section sections[] = {
        {"closes", closes},   {"forks", forks},                   {"ends", ends},
        {"signals", signals}, {"closed_streams", closed_streams}, {"callbacks", callbacks},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, is_long() ? 600 : 60);
}

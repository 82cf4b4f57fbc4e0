/* What a machine does to a ledger that is open, by one program.
 *
 *   conditions FOLDER [NAME]...   full, memory, readonly, locked, removed, replaced, clock; all where none is named
 *
 * The folder must be empty. What the machine does not permit is told and left out. */
#include "../ABI/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const int64_t USD = INT64_C(1000000000);
static char folder[3000];

static const char *path_of(const char *name)
{
    static char paths[4][4096];
    static int at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static farebox_status open_at(const char *path, farebox_engine **out, uint32_t busy_ms, int64_t (*clock)(void *), void *context)
{
    char url[4200];
    snprintf(url, sizeof url, "sqlite:%s", path);
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.busy_timeout_ms = busy_ms;
    options.clock = clock;
    options.clock_context = context;
    return farebox_open(out, str(url), &options, NULL);
}

static farebox_engine *new_ledger(const char *name)
{
    farebox_engine *engine = NULL;
    MUST(open_at(path_of(name), &engine, 300, NULL, NULL));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000000\"}"));
    return engine;
}

static farebox_status charge(farebox_engine *engine, int64_t amount, const char *key, const char *metadata, farebox_receipt *out)
{
    farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.amount = amount;
    args.idempotency_key = str(key);
    args.metadata = metadata == NULL ? str("") : str(metadata);
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    const farebox_status status = farebox_charge(engine, &args, &receipt, NULL);
    if (out != NULL) {
        *out = receipt;
    }
    return status;
}

static int64_t balance(farebox_engine *engine)
{
    farebox_balance_result out = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &out, NULL));
    return out.balance;
}

static void sound(farebox_engine *engine, int64_t spent)
{
    const char *out = NULL;
    EQUAL(1000000 * USD - spent, balance(engine));
    EXPECT(FAREBOX_OK, json_call(engine, NULL, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
}

static char metadata[8000];

static void fill_metadata(void)
{
    const int length = snprintf(metadata, sizeof metadata, "{\"a\":\"");
    memset(metadata + length, 'x', sizeof metadata - (size_t)length - 3);
    memcpy(metadata + sizeof metadata - 3, "\"}", 3);
}

/* Charges until there is no room; gives what was spent, and checks that the failed request has not happened. */
static int64_t charge_until_full(farebox_engine *engine)
{
    int64_t spent = 0;
    farebox_status status = FAREBOX_OK;
    char key[32];
    for (int k = 0; k < 20000 && status == FAREBOX_OK; k++) {
        snprintf(key, sizeof key, "full-%d", k);
        status = charge(engine, k + 1, key, metadata, NULL);
        spent += status == FAREBOX_OK ? k + 1 : 0;
    }
    CHECK(status == FAREBOX_STORE_FULL || status == FAREBOX_STORE_IO);
    /* It goes on answering, and what was refused is refused again. */
    EQUAL(1000000 * USD - spent, balance(engine));
    status = charge(engine, 7, key, metadata, NULL);
    CHECK(status == FAREBOX_STORE_FULL || status == FAREBOX_STORE_IO);
    return spent;
}

static void go_on(farebox_engine *engine, const char *path, int64_t spent)
{
    farebox_receipt receipt;
    EXPECT(FAREBOX_OK, charge(engine, 5, "room-again", metadata, &receipt));
    CHECK((receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0);
    sound(engine, spent + 5);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    MUST(open_at(path, &engine, 300, NULL, NULL));
    sound(engine, spent + 5);
    EXPECT(FAREBOX_OK, charge(engine, 1, "full-0", metadata, &receipt));
    CHECK((receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

static void full(void)
{
    /* A limit on the length of files, as on a quota. */
    signal(SIGXFSZ, SIG_IGN);
    farebox_engine *engine = new_ledger("limited");
    struct rlimit before, now;
    getrlimit(RLIMIT_FSIZE, &before);
    now = before;
    now.rlim_cur = 3 << 20;
    setrlimit(RLIMIT_FSIZE, &now);
    int64_t spent = charge_until_full(engine);
    setrlimit(RLIMIT_FSIZE, &before);
    go_on(engine, path_of("limited"), spent);

    /* A disk that is full. */
    mkdir(path_of("disk"), 0700);
    if (mount("tmpfs", path_of("disk"), "tmpfs", 0, "size=4m") != 0) {
        printf("full: no disk of its own: %s\n", strerror(errno));
        return;
    }
    engine = new_ledger("disk/ledger");
    spent = charge_until_full(engine);
    CHECK(mount("tmpfs", path_of("disk"), "tmpfs", MS_REMOUNT, "size=64m") == 0);
    go_on(engine, path_of("disk/ledger"), spent);
    umount2(path_of("disk"), MNT_DETACH);
}

/* SQLite may take so much memory and no more, at every limit from nothing to enough. */
static void memory(void)
{
    int refused = 0;
    farebox_engine *engine = new_ledger("memory");
    int64_t spent = 0;
    int number = 0;
    const int64_t used = sqlite3_memory_used();
    for (int64_t limit = used / 4; limit < used + (4 << 20); limit += is_long() ? 2 << 10 : 32 << 10) {
        sqlite3_hard_heap_limit64(limit);
        char key[32];
        snprintf(key, sizeof key, "memory-%d", number++);
        const farebox_status status = charge(engine, number, key, metadata, NULL);
        CHECK(status == FAREBOX_OK || status == FAREBOX_NO_MEMORY || status == FAREBOX_STORE_IO || status == FAREBOX_STORE_FULL);
        farebox_engine *other = NULL;
        const farebox_status opened = open_at(path_of("memory"), &other, 300, NULL, NULL);
        CHECK(opened == FAREBOX_OK || opened == FAREBOX_NO_MEMORY || opened == FAREBOX_STORE_IO);
        if (opened == FAREBOX_OK) {
            const farebox_status closed = farebox_close(other, NULL);
            CHECK(closed == FAREBOX_OK || closed == FAREBOX_NO_MEMORY || closed == FAREBOX_STORE_IO);
        }
        sqlite3_hard_heap_limit64(0);
        refused += status != FAREBOX_OK || opened != FAREBOX_OK;
        /* Again with the same key: it happens once. */
        farebox_receipt receipt;
        EXPECT(FAREBOX_OK, charge(engine, number, key, metadata, &receipt));
        CHECK(((receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0) == (status == FAREBOX_OK));
        spent += number;
    }
    CHECK(refused > 0);
    sound(engine, spent);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    printf("memory: %d of %d limits were too low\n", refused, number);
}

/* Without the right to write, as somebody who is not root. */
static void readonly(void)
{
    farebox_engine *engine = new_ledger("guarded");
    EXPECT(FAREBOX_OK, charge(engine, 1, "once", NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    for (int which = 0; which < 2; which++) {
        chmod(path_of("guarded"), which == 0 ? 0444 : 0666);
        chmod(folder, which == 0 ? 0777 : 0555);
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
                _exit(9);
            }
            farebox_engine *own = NULL;
            const farebox_status status = open_at(path_of("guarded"), &own, 300, NULL, NULL);
            /* DENIED where a folder on the way lets nobody through. */
            _exit(status == FAREBOX_STORE_READ_ONLY || status == FAREBOX_STORE_DENIED ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 9) {
            printf("readonly: nobody else to be\n");
        } else {
            EQUAL(0, status);
        }
        chmod(folder, 0755);
        chmod(path_of("guarded"), 0644);
    }
    MUST(open_at(path_of("guarded"), &engine, 300, NULL, NULL));
    sound(engine, 1);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* Another process holds the writer's lock longer than we wait. */
static void locked(void)
{
    farebox_engine *engine = new_ledger("locked");
    int ends[2], back[2];
    if (pipe(ends) != 0 || pipe(back) != 0) {
        perror("pipe");
        exit(1);
    }
    char byte = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        sqlite3 *database = NULL;
        if (sqlite3_open(path_of("locked"), &database) != SQLITE_OK || sqlite3_busy_timeout(database, 10000) != SQLITE_OK ||
            sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
            _exit(1);
        }
        if (write(ends[1], "x", 1) != 1 || read(back[0], &byte, 1) != 1) {
            _exit(2);
        }
        _exit(sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? 0 : 3);
    }
    CHECK(read(ends[0], &byte, 1) == 1);
    EXPECT(FAREBOX_STORE_BUSY, charge(engine, 1, "busy", NULL, NULL));
    EQUAL(1000000 * USD, balance(engine));
    farebox_engine *other = NULL;
    EXPECT(FAREBOX_STORE_BUSY, open_at(path_of("locked"), &other, 50, NULL, NULL));
    CHECK(write(back[1], "x", 1) == 1);
    int status = -1;
    waitpid(child, &status, 0);
    EQUAL(0, status);
    farebox_receipt receipt;
    EXPECT(FAREBOX_OK, charge(engine, 1, "busy", NULL, &receipt));
    CHECK((receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0);
    sound(engine, 1);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    close(ends[0]), close(ends[1]), close(back[0]), close(back[1]);
}

static void must_be_untrusted(farebox_engine *engine)
{
    EXPECT(FAREBOX_STORE_UNTRUSTED, charge(engine, 1, "into-the-void", NULL, NULL));
    farebox_balance_result out = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_STORE_UNTRUSTED, farebox_balance(engine, FAREBOX_STR("user:ana"), FAREBOX_STR("USD"), &out, NULL));
    EXPECT(FAREBOX_STORE_UNTRUSTED, charge(engine, 1, "into-the-void", NULL, NULL));
    const farebox_status closed = farebox_close(engine, NULL);
    CHECK(closed == FAREBOX_OK || closed == FAREBOX_STORE_UNTRUSTED);
}

/* The file, or its log, is removed while it is open. */
static void removed(void)
{
    for (int which = 0; which < 2; which++) {
        const char *names[] = {"removed", "log-removed"};
        farebox_engine *engine = new_ledger(names[which]);
        EXPECT(FAREBOX_OK, charge(engine, 1, "once", NULL, NULL));
        char path[4200];
        snprintf(path, sizeof path, "%s%s", path_of(names[which]), which == 0 ? "" : "-wal");
        CHECK(unlink(path) == 0);
        must_be_untrusted(engine);
    }
}

/* Another ledger takes the file's name. */
static void replaced(void)
{
    farebox_engine *other = new_ledger("other");
    EXPECT(FAREBOX_OK, charge(other, 5, "of-the-other", NULL, NULL));
    EXPECT(FAREBOX_OK, farebox_close(other, NULL));
    farebox_engine *engine = new_ledger("replaced");
    EXPECT(FAREBOX_OK, charge(engine, 1, "once", NULL, NULL));
    CHECK(rename(path_of("replaced"), path_of("kept")) == 0);
    CHECK(rename(path_of("replaced-wal"), path_of("kept-wal")) == 0);
    CHECK(rename(path_of("other"), path_of("replaced")) == 0);
    must_be_untrusted(engine);
    /* Both are whole. */
    MUST(open_at(path_of("replaced"), &engine, 300, NULL, NULL));
    sound(engine, 5);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    MUST(open_at(path_of("kept"), &engine, 300, NULL, NULL));
    sound(engine, 1);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

static int64_t told_time(void *context) { return *(int64_t *)context; }

/* The clock goes back: a hold does not live longer for it than the journal's time says, a budget's window does not come back. */
static void clock_goes_back(void)
{
    static const int64_t DAY = INT64_C(86400000000);
    int64_t now = INT64_C(1750032000000000); /* the first hour of a day */
    farebox_engine *engine = NULL;
    MUST(open_at(path_of("clock"), &engine, 300, told_time, &now));
    MUST(json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000000\"}"));
    MUST(json_call(engine, NULL, "budget.set", "{\"account\":\"user:ana\",\"window\":\"day\",\"amount\":\"10\"}"));
    farebox_receipt receipt;
    EXPECT(FAREBOX_OK, charge(engine, 6 * USD, "a", NULL, &receipt));
    farebox_reserve_args reserve = FAREBOX_RESERVE_ARGS_INIT;
    reserve.payer = FAREBOX_STR("user:ana");
    reserve.amount = 1;
    reserve.expires_in_ms = 60000;
    farebox_receipt hold = FAREBOX_RECEIPT_INIT;
    EXPECT(FAREBOX_OK, farebox_reserve(engine, &reserve, &hold, NULL));
    int64_t latest = hold.time;
    /* Into the day before: the window of the journal's time counts. */
    now -= DAY;
    EXPECT(FAREBOX_OVER_BUDGET, charge(engine, 6 * USD, "b", NULL, NULL));
    EXPECT(FAREBOX_OK, charge(engine, 1 * USD, "c", NULL, &receipt));
    CHECK(receipt.time >= latest);
    latest = receipt.time;
    /* Another engine with this clock agrees. */
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
    MUST(open_at(path_of("clock"), &engine, 300, told_time, &now));
    EXPECT(FAREBOX_OVER_BUDGET, charge(engine, 6 * USD, "b", NULL, NULL));
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    capture.hold = hold.hold;
    capture.flags = FAREBOX_CAPTURE_AMOUNT | FAREBOX_CAPTURE_PARTIAL;
    EXPECT(FAREBOX_OK, farebox_capture(engine, &capture, &receipt, NULL));
    CHECK(receipt.time >= latest);
    /* Past the end of the hold, and then back again: it stays expired. */
    now += DAY + INT64_C(120000000);
    EXPECT(FAREBOX_HOLD_EXPIRED, farebox_capture(engine, &capture, &receipt, NULL));
    now -= DAY;
    EXPECT(FAREBOX_HOLD_EXPIRED, farebox_release(engine, hold.hold, NULL, NULL));
    EXPECT(FAREBOX_OVER_BUDGET, charge(engine, 6 * USD, "b", NULL, NULL));
    /* The next day. */
    now += 2 * DAY;
    EXPECT(FAREBOX_OK, charge(engine, 6 * USD, "b", NULL, &receipt));
    now -= 2 * DAY;
    EXPECT(FAREBOX_OVER_BUDGET, charge(engine, 6 * USD, "d", NULL, NULL));
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "transfer.list", "{}"));
    int64_t newer = INT64_MAX, time;
    for (const char *at = out; (time = json_integer(&at, "time")) >= 0; newer = time) {
        CHECK(time <= newer);
    }
    EXPECT(FAREBOX_OK, json_call(engine, NULL, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*body)(void);
    } parts[] = {{"full", full},       {"memory", memory},     {"readonly", readonly},    {"locked", locked},
                 {"removed", removed}, {"replaced", replaced}, {"clock", clock_goes_back}};
    if (count < 2) {
        fprintf(stderr, "conditions FOLDER [NAME]...\n");
        return 2;
    }
    snprintf(folder, sizeof folder, "%s", arguments[1]);
    fill_metadata();
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        int is_wanted = count == 2;
        for (int n = 2; n < count; n++) {
            is_wanted |= strcmp(arguments[n], parts[k].name) == 0;
        }
        if (is_wanted) {
            const int before = checks_passed + checks_failed, failed = checks_failed;
            parts[k].body();
            printf("%s: %d checks, %d failed\n", parts[k].name, checks_passed + checks_failed - before, checks_failed - failed);
            fflush(stdout);
        }
    }
    return check_report();
}

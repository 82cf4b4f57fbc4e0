/* Threads with small stacks: how small one may be.
 *
 * A program of its own, because what it keeps for each thread is taken from the thread's stack too. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

static char folder[256], url[300];

/* What a thread with a small stack does: everything. */
static void *everything(void *context)
{
    farebox_engine *engine = context;
    static farebox_charge_args many[64];
    static farebox_receipt receipts[64];
    for (int k = 0; k < 64; k++) {
        many[k] = (farebox_charge_args)FAREBOX_CHARGE_ARGS_INIT;
        receipts[k] = (farebox_receipt)FAREBOX_RECEIPT_INIT;
        many[k].payer = FAREBOX_STR("user:ana");
        many[k].amount = 1;
    }
    intptr_t failed = EXPECT(FAREBOX_OK, farebox_charge_many(engine, many, 64, receipts, NULL)) == 0;
    farebox_reserve_args reserve = FAREBOX_RESERVE_ARGS_INIT;
    reserve.payer = FAREBOX_STR("user:ana");
    reserve.amount = 2;
    farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
    failed += EXPECT(FAREBOX_OK, farebox_reserve(engine, &reserve, &receipt, NULL)) == 0;
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    capture.hold = receipt.hold;
    failed += EXPECT(FAREBOX_OK, farebox_capture(engine, &capture, &receipt, NULL)) == 0;
    /* JSON as deep as it may be, and one deeper. */
    static char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    const struct {
        const char *operation, *input;
    } calls[] = {{"ledger.verify", "{}"},      {"ledger.reconcile", "{}"}, {"transfer.list", "{}"}, {"account.list", "{}"},
                 {"engine.metrics", "{}"},     {"ledger.info", "{}"},      {"account.open", "{\"account\":\"org:acme\"}"},
                 {"price.evaluate", "{\"price\":{\"cost\":\"0.25\"}}"},
                 {"skill.register", "{\"manifest\":{\"id\":\"s\",\"version\":\"1.0.0\",\"tools\":[{\"name\":\"t\",\"pricing\":{\"cost\":\"0.1\"},"
                                    "\"input_schema\":{\"a\":{\"b\":{\"c\":[[[[[[1]]]]]]}}}}]}}"}};
    for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
        farebox_text text = {NULL, 0};
        const farebox_status status = farebox_call(engine, str(calls[k].operation), str(calls[k].input), &text, NULL);
        if (status != FAREBOX_OK) {
            fprintf(stderr, "%s: %s\n", calls[k].operation, farebox_status_name(status));
            failed++;
        }
        farebox_text_free(&text);
    }
    farebox_text text = {NULL, 0};
    failed += farebox_call(engine, FAREBOX_STR("asset.list"), (farebox_str){deep, 399}, &text, NULL) == FAREBOX_OK;
    failed += EXPECT(FAREBOX_OK, farebox_describe(&text, NULL)) == 0;
    farebox_text_free(&text);
    farebox_engine *own = NULL;
    failed += EXPECT(FAREBOX_OK, farebox_open(&own, str(url), NULL, NULL)) == 0;
    failed += EXPECT(FAREBOX_OK, farebox_close(own, NULL)) == 0;
    return (void *)failed;
}

/* Threads with small stacks. 128 KiB is the default of musl and is promised. */
int main(void)
{
    size_t least = SIZE_MAX;
    for (size_t size = 512 << 10; size >= 16 << 10; size /= 2) {
        make_folder(folder, sizeof folder);
        snprintf(url, sizeof url, "sqlite:%s/ledger", folder);
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            farebox_engine *engine = NULL;
            MUST(farebox_open(&engine, str(url), NULL, NULL));
            farebox_text text = {NULL, 0};
            MUST(farebox_call(engine, FAREBOX_STR("account.deposit"), FAREBOX_STR("{\"account\":\"user:ana\",\"amount\":\"9\"}"), &text, NULL));
            farebox_text_free(&text);
            pthread_attr_t attributes;
            pthread_attr_init(&attributes);
            pthread_t thread;
            void *failed = (void *)1;
            if (pthread_attr_setstacksize(&attributes, size) != 0 || pthread_create(&thread, &attributes, everything, engine) != 0) {
                _exit(2);
            }
            pthread_join(thread, &failed);
            _exit(failed == NULL ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        if (status == 0) {
            least = size;
        } else {
            fprintf(stderr, "%zu KiB: %s %d\n", size >> 10, WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            CHECK(size < 128 << 10);
        }
        remove_folder(folder);
    }
    printf("stacks: %zu KiB are enough for a thread\n", least >> 10);
    CHECK(least <= 128 << 10);
    return check_report();
}

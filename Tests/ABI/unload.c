/* A host that opens the library by name and closes it while other threads are inside of it.
 *
 *   unload LIBRARY
 *
 * The library stays, because nobody could say when the last call has left it; the calls go on. */
#include <farebox.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static farebox_status (*charge)(farebox_engine *, const farebox_charge_args *, farebox_receipt *, farebox_error *);
static farebox_engine *engine;
static atomic_int done, failed, may_stop;

static void *keep_charging(void *context)
{
    (void)context;
    while (!may_stop) {
        farebox_charge_args args = FAREBOX_CHARGE_ARGS_INIT;
        farebox_receipt receipt = FAREBOX_RECEIPT_INIT;
        args.payer = FAREBOX_STR("user:ana");
        args.amount = 1;
        atomic_fetch_add(charge(engine, &args, &receipt, NULL) == FAREBOX_OK ? &done : &failed, 1);
    }
    return NULL;
}

static void find(void *library, const char *name, void *to)
{
    void *found = dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(1);
    }
    memcpy(to, &found, sizeof found);
}

int main(int count, char **arguments)
{
    void *library = count < 2 ? NULL : dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", count < 2 ? "unload LIBRARY" : dlerror());
        return 1;
    }
    farebox_status (*open)(farebox_engine **, farebox_str, const farebox_options *, farebox_error *);
    farebox_status (*call)(farebox_engine *, farebox_str, farebox_str, farebox_text *, farebox_error *);
    farebox_status (*close_engine)(farebox_engine *, farebox_error *);
    void (*free_text)(farebox_text *);
    find(library, "farebox_open", &open);
    find(library, "farebox_call", &call);
    find(library, "farebox_close", &close_engine);
    find(library, "farebox_text_free", &free_text);
    find(library, "farebox_charge", &charge);
    farebox_text text = {NULL, 0};
    int passed = open(&engine, FAREBOX_STR("memory:"), NULL, NULL) == FAREBOX_OK;
    passed += call(engine, FAREBOX_STR("account.deposit"), FAREBOX_STR("{\"account\":\"user:ana\",\"amount\":\"9\"}"), &text, NULL) == FAREBOX_OK;
    free_text(&text);
    pthread_t threads[4];
    for (int k = 0; k < 4; k++) {
        passed += pthread_create(&threads[k], NULL, keep_charging, NULL) == 0;
    }
    /* Again and again, in the middle of their calls. */
    for (int k = 0; k < 50; k++) {
        dlclose(library);
        usleep(200);
        library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    }
    dlclose(library);
    const int before = done;
    for (int k = 0; k < 5000 && done <= before; k++) {
        usleep(1000);
    }
    may_stop = 1;
    for (int k = 0; k < 4; k++) {
        pthread_join(threads[k], NULL);
    }
    passed += done > before;
    passed += failed == 0;
    passed += close_engine(engine, NULL) == FAREBOX_OK;
    printf("%d passed, %d failed\n", passed, 9 - passed);
    return passed == 9 ? 0 : 1;
}

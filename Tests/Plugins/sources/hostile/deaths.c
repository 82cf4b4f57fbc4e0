/* Tools that end their process, or that never end. */
#include "hostile.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

farebox_plugin_status segfault(const farebox_plugin_call *call)
{
    (void)call;
    *(volatile char *)8 = 1;
    return FAREBOX_PLUGIN_STATUS_OK;
}

farebox_plugin_status trap(const farebox_plugin_call *call)
{
    (void)call;
#if defined(__x86_64__)
    __asm__ volatile("ud2");
#else
    __asm__ volatile("brk #1");
#endif
    return FAREBOX_PLUGIN_STATUS_OK;
}

farebox_plugin_status abort_tool(const farebox_plugin_call *call)
{
    (void)call;
    abort();
}

/* Runs what was registered with atexit, too. */
farebox_plugin_status exit_tool(const farebox_plugin_call *call)
{
    exit((int)number(call->input, "code", 0));
}

farebox_plugin_status exit_now(const farebox_plugin_call *call)
{
    _exit((int)number(call->input, "code", 0));
}

/* SIGKILL, SIGSTOP, SIGTERM or any other. */
farebox_plugin_status raise_tool(const farebox_plugin_call *call)
{
    const int result = error_of(kill(getpid(), (int)number(call->input, "signal", SIGKILL)));
    return say(call->output, "{\"errno\":%d}", result);
}

/* No compiler can know that it never turns back. */
static volatile int turns_back;

static int deeper(volatile char *above)
{
    volatile char here[1024];
    here[0] = *above;
    return turns_back ? 0 : deeper(here) + here[0];
}

farebox_plugin_status recurse(const farebox_plugin_call *call)
{
    volatile char first = (char)call->flags;
    return deeper(&first);
}

/* Takes and touches memory until there is none, or `bytes` of it, and says how much there was. */
farebox_plugin_status allocate(const farebox_plugin_call *call)
{
    const size_t step = 1 << 20;
    const size_t most = (size_t)number(call->input, "bytes", INT64_MAX);
    size_t bytes = 0;
    char *block = NULL;
    while (bytes < most && (block = malloc(step)) != NULL) {
        memset(block, 1, step);
        bytes += step;
    }
    return say(call->output, "{\"bytes\":%zu,\"errno\":%d}", bytes, block == NULL ? errno : 0);
}

/* Writes behind a block, so that the allocator's own records are wrong, and uses the allocator. */
farebox_plugin_status corrupt_heap(const farebox_plugin_call *call)
{
    (void)call;
    void *blocks[64];
    for (int k = 0; k < 64; k++) {
        blocks[k] = malloc(2000);
    }
    for (int k = 0; k < 63; k++) {
        volatile char *at = blocks[k];
        for (int byte = 2000; at != NULL && byte < 2040; byte++) {
            at[byte] = -1;
        }
    }
    for (int k = 0; k < 64; k++) {
        free(blocks[k]);
    }
    return FAREBOX_PLUGIN_STATUS_OK;
}

static jmp_buf back_to_activate;

/* Remembers a place in a function that returns. */
farebox_plugin_status prepare_jump(void)
{
    return setjmp(back_to_activate) == 0 ? FAREBOX_PLUGIN_STATUS_OK : FAREBOX_PLUGIN_STATUS_FAILED;
}

/* Jumps there: over the host's frames, into one that is gone. */
farebox_plugin_status jump_out(const farebox_plugin_call *call)
{
    (void)call;
    longjmp(back_to_activate, 1);
}

/* The thread of the call ends, and the call never returns. */
farebox_plugin_status leave_thread(const farebox_plugin_call *call)
{
    (void)call;
    pthread_exit(NULL);
}

static void do_nothing(int number_of_signal)
{
    (void)number_of_signal;
}

/* The instruction that faults is run again after each signal, for ever. */
farebox_plugin_status catch_segfault(const farebox_plugin_call *call)
{
    struct sigaction action = {.sa_handler = do_nothing};
    sigaction(SIGSEGV, &action, NULL);
    return segfault(call);
}

/* Whatever can be ignored, is; only SIGKILL ends this. */
farebox_plugin_status ignore_signals(const farebox_plugin_call *call)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    for (int k = 1; k < 65; k++) {
        sigaction(k, &action, NULL);
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return loop(call);
}

farebox_plugin_status loop(const farebox_plugin_call *call)
{
    for (volatile uint64_t rounds = call->flags;; rounds++) {
    }
}

farebox_plugin_status loop_until_cancelled(const farebox_plugin_call *call)
{
    while (!has.cancel->cancelled(call)) {
    }
    return FAREBOX_PLUGIN_STATUS_CANCELLED;
}

/* Sleeps without asking whether to stop. */
farebox_plugin_status sleep_through(const farebox_plugin_call *call)
{
    const long long milliseconds = number(call->input, "ms", 600000);
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
    return say(call->output, "{\"slept\":%lld}", milliseconds);
}

static void *wait_for_ever(void *unused)
{
    (void)unused;
    while (pause() != 0) {
    }
    return NULL;
}

/* Starts threads until it cannot, or `count` of them. */
farebox_plugin_status many_threads(const farebox_plugin_call *call)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 16);
    int result = 0;
    long long count = 0;
    for (const long long most = number(call->input, "count", 10000); result == 0 && count < most;
         count += result == 0) {
        pthread_t thread;
        result = pthread_create(&thread, &attributes, wait_for_ever, NULL);
    }
    return say(call->output, "{\"threads\":%lld,\"errno\":%d}", count, result);
}

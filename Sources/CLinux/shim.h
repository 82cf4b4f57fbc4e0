/* What Swift cannot call or say by itself: the futex system call is variadic, and a prefetch is a compiler builtin. */
#ifndef FAREBOX_CLINUX_SHIM_H
#define FAREBOX_CLINUX_SHIM_H

#include <linux/futex.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word is `expected`; may wake for no reason. */
static inline void farebox_futex_wait(void *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

/* Wakes up to `count` threads that sleep on the word. */
static inline void farebox_futex_wake(void *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* The compiler does not put the thread sanitizer into this header, so a build for it says what is ordered after what. With
 * FAREBOX_TSAN_CANARY in the environment it does not: then the sanitizer must report races, or it would see none at all. */
#ifdef FAREBOX_TSAN
#include <stdlib.h>
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static inline void farebox_sanitizer_acquire(const void *address) {
    if (getenv("FAREBOX_TSAN_CANARY") == NULL) __tsan_acquire((void *)address);
}
static inline void farebox_sanitizer_release(const void *address) {
    if (getenv("FAREBOX_TSAN_CANARY") == NULL) __tsan_release((void *)address);
}
#else
static inline void farebox_sanitizer_acquire(const void *address) { (void)address; }
static inline void farebox_sanitizer_release(const void *address) { (void)address; }
#endif

static inline uint32_t farebox_load_acquire(const uint32_t *word) {
    const uint32_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    farebox_sanitizer_acquire(word);
    return value;
}

static inline void farebox_store_release(uint32_t *word, uint32_t value) {
    farebox_sanitizer_release(word);
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Of functions that hold a variable of a thread, which are weak and not inline: a build has a copy of them for each Swift
 * file that uses them, and the linker keeps one of those, so that there is one variable. */
#define FAREBOX_ONCE __attribute__((weak, visibility("hidden")))

/* How many callbacks of the host the calling thread is inside of. */
FAREBOX_ONCE uint32_t *farebox_callback_depth(void) {
    static __thread uint32_t depth;
    return &depth;
}

static inline uint32_t farebox_callbacks(void) { return *farebox_callback_depth(); }
static inline void farebox_enter_callback(void) { *farebox_callback_depth() += 1; }
static inline void farebox_leave_callback(void) { *farebox_callback_depth() -= 1; }

/* How many turns the calling thread is inside of. */
FAREBOX_ONCE uint32_t *farebox_turn_depth(void) {
    static __thread uint32_t depth;
    return &depth;
}

static inline uint32_t farebox_turns(void) { return *farebox_turn_depth(); }
static inline void farebox_enter_turn(void) { *farebox_turn_depth() += 1; }
static inline void farebox_leave_turn(void) { *farebox_turn_depth() -= 1; }

/* Makes a lock whose writer does not wait for ever while readers come and go. */
static inline int farebox_make_fair_lock(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    return pthread_rwlock_init(lock, &attributes);
}

static inline void farebox_prefetch(const void *address) { __builtin_prefetch(address, 0, 1); }

/* Microseconds since 1970. */
static inline int64_t farebox_wall_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The same to some milliseconds, at a quarter of the cost. */
static inline int64_t farebox_coarse_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Nanoseconds of a clock that never goes back. */
static inline int64_t farebox_steady_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif

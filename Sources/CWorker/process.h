/* Processes and channels: starting a worker, what the two sides share, and waiting for a process without disturbing the
 * host's other children. Swift cannot call the variadic fcntl, and has no names for pidfds, seals and spawn attributes.
 * Functions answer -1 with errno set where they fail, unless they say otherwise, and are safe on any thread. */
#ifndef FAREBOX_CWORKER_PROCESS_H
#define FAREBOX_CWORKER_PROCESS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

/* What glibc hides without _GNU_SOURCE (see files.h), and what its headers may be too old for. */
#ifndef F_SETSIG
#define F_SETSIG 10
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef POSIX_SPAWN_SETSID
#define POSIX_SPAWN_SETSID 0x80
#endif
const char *sigabbrev_np(int signal);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

/* The descriptors that a worker begins with, besides the standard ones, which are /dev/null. */
enum {
    FAREBOX_WORKER_SOCKET = 3,
    FAREBOX_WORKER_PAGE = 4,     /* the shared page */
    FAREBOX_WORKER_IMAGE = 5,    /* what is to be loaded */
    FAREBOX_WORKER_LIFELINE = 6, /* a socket whose other end closes when the host ends */
    FAREBOX_WORKER_FIRST_FREE = 7,
    FAREBOX_SHARED_PAGE_BYTES = 4096,
    FAREBOX_BY_DESCRIPTOR = 3 /* waitid's P_PIDFD */
};

/* ---- Clocks and words ------------------------------------------------------------------------------------------- */

/* Nanoseconds of a clock that never goes back and is the same in all processes. */
static inline int64_t farebox_worker_steady_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Microseconds since 1970. */
static inline int64_t farebox_worker_wall_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A word that other threads or processes change. */
static inline uint32_t farebox_word_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void farebox_word_store(uint32_t *word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* A pointer to such a word, which changes itself. */
static inline uint32_t *farebox_pointer_load(uint32_t *const *place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}
static inline void farebox_pointer_store(uint32_t **place, uint32_t *value) {
    __atomic_store_n(place, value, __ATOMIC_RELEASE);
}

/* ---- What both sides share -------------------------------------------------------------------------------------- */

/* Moves a descriptor above the numbers that a worker begins with, so that no copy made for it lands on another. */
static inline int farebox_raise_descriptor(int descriptor) {
    if (descriptor < 0) {
        return -1;
    }
    const int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, 16);
    const int saved = errno;
    close(descriptor);
    errno = saved;
    return raised;
}

/* A copy of a descriptor, above those numbers. */
static inline int farebox_copy_descriptor(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 16); }

/* Two ends that belong together, both close-on-exec and above those numbers, or neither and -1. */
static inline int farebox_raise_pair(const int ends[2], int *first, int *second) {
    *first = farebox_raise_descriptor(ends[0]);
    *second = farebox_raise_descriptor(ends[1]);
    if (*first >= 0 && *second >= 0) {
        return 0;
    }
    const int saved = errno;
    close(*first);
    close(*second);
    *first = *second = -1;
    errno = saved;
    return -1;
}

/* A connected pair that keeps the bounds of messages: a message arrives whole or not at all. */
static inline int farebox_make_channel(int *first, int *second) {
    int ends[2];
    const int code = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
    return code == 0 ? farebox_raise_pair(ends, first, second) : -1;
}

/* What a worker is tied to: not a pipe, of which it could open the other end itself. */
static inline int farebox_make_lifeline(int *first, int *second) {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? farebox_raise_pair(ends, first, second) : -1;
}

/* One page of memory that both sides can map. Its size is sealed: a side that shortened it would kill the other. */
static inline int farebox_make_page(void) {
    const int page = farebox_raise_descriptor(farebox_create_image("farebox-page"));
    if (page < 0) {
        return -1;
    }
    if (ftruncate(page, FAREBOX_SHARED_PAGE_BYTES) != 0 ||
        fcntl(page, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
        const int saved = errno;
        close(page);
        errno = saved;
        return -1;
    }
    return page;
}

/* NULL where it fails. */
static inline void *farebox_map_page(int page, int writable) {
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *memory = mmap(NULL, FAREBOX_SHARED_PAGE_BYTES, protection, MAP_SHARED, page, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static inline void farebox_unmap_page(void *memory) { munmap(memory, FAREBOX_SHARED_PAGE_BYTES); }

/* What one thread waits for and another signals; neither ever sleeps in it. */
static inline int farebox_make_event(void) {
    return farebox_raise_descriptor((int)syscall(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK));
}

static inline void farebox_signal_event(int event) {
    const uint64_t one = 1;
    const ssize_t written = write(event, &one, sizeof one);
    (void)written;
}

static inline void farebox_clear_event(int event) {
    uint64_t count;
    const ssize_t taken = read(event, &count, sizeof count);
    (void)taken;
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

/* Sends two ranges as one message; never SIGPIPE. */
static inline ssize_t farebox_send(int socket, const void *head, size_t head_count, const void *rest, size_t rest_count,
                                   int waits) {
    struct iovec parts[2] = {{(void *)(uintptr_t)head, head_count}, {(void *)(uintptr_t)rest, rest_count}};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    message.msg_iovlen = rest_count > 0 ? 2 : 1;
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
    } while (sent < 0 && errno == EINTR);
    return sent;
}

/* Takes one message: its length, which is more than `capacity` where it did not fit, or 0 at the end. Descriptors that
 * a peer sends along are dropped by the kernel, because nothing here takes them. */
static inline ssize_t farebox_receive(int socket, void *bytes, size_t capacity, int waits) {
    ssize_t count;
    do {
        count = recv(socket, bytes, capacity, MSG_TRUNC | (waits ? 0 : MSG_DONTWAIT));
    } while (count < 0 && errno == EINTR);
    return count;
}

/* Whether the last of them failed only because it would have had to wait. */
static inline int farebox_has_no_room(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/* Waits until a socket can be read (or written), another descriptor can be read, or some time of the steady clock:
 * bit 0 for the first, bit 1 for the second, 0 for the time. */
static inline int farebox_wait_for(int socket, int writing, int other, int64_t until) {
    struct pollfd waited[2] = {{socket, writing ? POLLOUT : POLLIN, 0}, {other, POLLIN, 0}};
    for (;;) {
        const int64_t left = until - farebox_worker_steady_clock();
        struct timespec time = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
        const long count = syscall(SYS_ppoll, waited, 2, &time, NULL, 8);
        if (count >= 0) {
            return (waited[0].revents != 0 ? 1 : 0) | (waited[1].revents != 0 ? 2 : 0);
        }
        if (errno != EINTR) {
            return -1;
        }
    }
}

/* ---- The host's side of a process ------------------------------------------------------------------------------- */

typedef struct farebox_spawn_args {
    const char *path;
    char *const *environment;
    int socket, page, image, lifeline; /* above the numbers that a worker begins with */
} farebox_spawn_args;

static inline int farebox_spawn_actions(posix_spawn_file_actions_t *actions, const farebox_spawn_args *args) {
    int code = posix_spawn_file_actions_addchdir_np(actions, "/");
    for (int standard = 0; standard < 3 && code == 0; standard++) {
        code = posix_spawn_file_actions_addopen(actions, standard, "/dev/null", O_RDWR, 0);
    }
    const int moves[4][2] = {{args->socket, FAREBOX_WORKER_SOCKET},
                             {args->page, FAREBOX_WORKER_PAGE},
                             {args->image, FAREBOX_WORKER_IMAGE},
                             {args->lifeline, FAREBOX_WORKER_LIFELINE}};
    for (int i = 0; i < 4 && code == 0; i++) {
        if (moves[i][0] >= 0) {
            code = posix_spawn_file_actions_adddup2(actions, moves[i][0], moves[i][1]);
        }
    }
    return code == 0 ? posix_spawn_file_actions_addclosefrom_np(actions, FAREBOX_WORKER_FIRST_FREE) : code;
}

/* Starts a worker: a session of its own, at "/", with default signals and no descriptor but those above. Answers its
 * process id, or the negated number of the error. Nothing of the host runs in between, as it would after a fork. */
static inline int64_t farebox_spawn_worker(const farebox_spawn_args *args) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        return -code;
    }
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setsigmask(&attributes, &none);
        code = farebox_spawn_actions(&actions, args);
        pid_t process = 0;
        char name[] = "farebox-worker";
        char *const arguments[] = {name, NULL};
        if (code == 0) {
            code = posix_spawn(&process, args->path, &actions, &attributes, arguments, args->environment);
        }
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return code == 0 ? (int64_t)process : -code;
    }
    posix_spawn_file_actions_destroy(&actions);
    return -code;
}

/* A descriptor that stands for the process, or -1 where the kernel has none. */
static inline int farebox_open_process(int32_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

/* Ends the process; by its descriptor where there is one, which no later process of the same number can answer to. */
static inline void farebox_kill_process(int32_t process, int descriptor) {
    if (descriptor >= 0) {
        syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, NULL, 0);
    } else if (process > 0) {
        kill(process, SIGKILL);
    }
}

/* How a process ended. */
typedef struct farebox_ending {
    int32_t is_known; /* 0 where somebody else has reaped it, or the host ignores SIGCHLD */
    int32_t signal;   /* 0 where it exited */
    int32_t status;
} farebox_ending;

/* Takes the process's ending without waiting: 1 once it has ended, 0 while it runs. `takes`: it is reaped, too. */
static inline int farebox_look_at_process(int32_t process, int descriptor, int takes, farebox_ending *ending) {
    const int options = WEXITED | WNOHANG | (takes ? 0 : WNOWAIT);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int code;
    do {
        /* By its descriptor: the number may by now be that of another child of the host. */
        code = descriptor >= 0 ? waitid((idtype_t)FAREBOX_BY_DESCRIPTOR, (id_t)descriptor, &info, options)
                               : waitid(P_PID, (id_t)process, &info, options);
    } while (code != 0 && errno == EINTR);
    memset(ending, 0, sizeof *ending);
    if (code == 0 && info.si_pid == 0) {
        return 0;
    }
    if (code == 0) {
        ending->is_known = 1;
        ending->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
        ending->status = info.si_code == CLD_EXITED ? info.si_status : 0;
        return 1;
    }
    /* Not our child any more: reaped elsewhere, or about to be reaped by the kernel while it still runs. */
    if (descriptor >= 0) {
        struct pollfd end = {descriptor, POLLIN, 0};
        return poll(&end, 1, 0) > 0;
    }
    return kill(process, 0) != 0;
}

/* Waits for that until some time of the steady clock. */
static inline int farebox_await_process(int32_t process, int descriptor, int64_t until, farebox_ending *ending) {
    for (;;) {
        if (farebox_look_at_process(process, descriptor, 1, ending) != 0) {
            return 1;
        }
        const int64_t left = until - farebox_worker_steady_clock();
        if (left <= 0) {
            return 0;
        }
        /* Without a descriptor there is nothing to wait on, so it looks again every millisecond. */
        const int64_t most = descriptor >= 0 ? left : (left < 1000000 ? left : 1000000);
        farebox_wait_for(descriptor, 0, -1, farebox_worker_steady_clock() + most);
    }
}

/* The signal's name without SIG, or NULL. */
static inline const char *farebox_signal_name(int signal) { return sigabbrev_np(signal); }

/* ---- The worker's side ------------------------------------------------------------------------------------------ */

/* Has the kernel kill this process as soon as the other end is closed, whatever the process is doing. It never waits on
 * its end, which would put the signal off. */
static inline int farebox_tie_to_lifeline(void) {
    const int line = FAREBOX_WORKER_LIFELINE;
    if (fcntl(line, F_SETOWN, getpid()) != 0 || fcntl(line, F_SETSIG, SIGKILL) != 0 ||
        fcntl(line, F_SETFL, O_ASYNC | O_NONBLOCK) != 0) {
        return -1;
    }
    /* The host may have gone before that. */
    struct pollfd end = {line, POLLIN, 0};
    return poll(&end, 1, 0) == 0 ? 0 : -1;
}

/* The lowest number that no open descriptor has: it grows with every descriptor that is left open. */
static inline int farebox_lowest_free_descriptor(void) {
    const int copy = fcntl(FAREBOX_WORKER_SOCKET, F_DUPFD_CLOEXEC, FAREBOX_WORKER_FIRST_FREE);
    if (copy >= 0) {
        close(copy);
    }
    return copy;
}

/* Closes what a worker has no use for, in case that whoever started it left something open. */
static inline int farebox_close_others(void) {
    return (int)syscall(SYS_close_range, FAREBOX_WORKER_FIRST_FREE, ~0u, 0);
}

/* Whether a descriptor is a socket that keeps the bounds of messages. */
static inline int farebox_is_channel(int descriptor) {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

#endif

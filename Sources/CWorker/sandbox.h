/* What keeps a worker process in its place: limits, capabilities, landlock for files and ports, seccomp for all else
 * that the kernel does on request. Each part is applied to the calling thread and what it starts later, so a worker does
 * it while it has only one, before any code of a plugin is mapped. None of it can be undone.
 *
 * The kernel's own headers may be older than the kernel: what they may lack has its numbers here. */
#ifndef FAREBOX_CWORKER_SANDBOX_H
#define FAREBOX_CWORKER_SANDBOX_H

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

#ifndef CLONE_THREAD
#define CLONE_THREAD 0x00010000
#endif
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

/* ---- Limits ----------------------------------------------------------------------------------------------------- */

static inline int farebox_limit(int resource, uint64_t value) {
    const struct rlimit limit = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &limit);
}

/* Bytes of address space that the process uses now, or 0. */
static inline uint64_t farebox_address_space(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    if (file == NULL) {
        return 0;
    }
    const int read = fscanf(file, "%lu", &pages);
    fclose(file);
    return read == 1 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Limits the process to `memory` bytes on top of what it uses now, to so many descriptors on top of a worker's own, and
 * to no dumps, and no bytes of files unless it writes any. 0 where all of it is in force. */
static inline int farebox_limit_resources(uint64_t memory, uint32_t descriptors, int writes) {
    const uint64_t used = farebox_address_space();
    /* Every thread would reserve a heap of its own, which counts though nobody uses it. */
    mallopt(M_ARENA_MAX, 1);
    int failed = used == 0 || farebox_limit(RLIMIT_AS, used + memory) != 0;
    failed |= farebox_limit(RLIMIT_NOFILE, (uint64_t)descriptors + FAREBOX_WORKER_FIRST_FREE) != 0;
    failed |= farebox_limit(RLIMIT_CORE, 0) != 0;
    failed |= farebox_limit(RLIMIT_MEMLOCK, 0) != 0;
    failed |= farebox_limit(RLIMIT_MSGQUEUE, 0) != 0;
    if (!writes) {
        /* Then a write answers EFBIG, where the signal would end the process. */
        signal(SIGXFSZ, SIG_IGN);
        failed |= farebox_limit(RLIMIT_FSIZE, 0) != 0;
    }
    return failed ? -1 : 0;
}

/* ---- Privileges ------------------------------------------------------------------------------------------------- */

/* Gives up every capability, which a host that runs as root has handed down, and whatever a program with the
 * set-user-id bit could bring. */
static inline int farebox_drop_privileges(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_capset, &header, none) == 0 ? 0 : -1;
}

/* Keeps other processes of the same user from looking into this one, and its memory out of dumps. */
static inline int farebox_forbid_looking_in(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

/* ---- Landlock --------------------------------------------------------------------------------------------------- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum {
    FAREBOX_LANDLOCK_EXECUTE = 1 << 0,
    FAREBOX_LANDLOCK_WRITE_FILE = 1 << 1,
    FAREBOX_LANDLOCK_READ_FILE = 1 << 2,
    FAREBOX_LANDLOCK_READ_FOLDER = 1 << 3,
    FAREBOX_LANDLOCK_CHANGES = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12, /* removing; making folders, files, links */
    FAREBOX_LANDLOCK_FIRST = (1 << 13) - 1, /* all of version 1 */
    FAREBOX_LANDLOCK_REFER = 1 << 13,       /* version 2 */
    FAREBOX_LANDLOCK_TRUNCATE = 1 << 14,    /* version 3 */
    FAREBOX_LANDLOCK_DEVICE = 1 << 15,      /* version 5 */
    FAREBOX_LANDLOCK_OF_FILES = FAREBOX_LANDLOCK_EXECUTE | FAREBOX_LANDLOCK_WRITE_FILE | FAREBOX_LANDLOCK_READ_FILE |
                                FAREBOX_LANDLOCK_TRUNCATE | FAREBOX_LANDLOCK_DEVICE
};

typedef struct farebox_landlock_rules {
    uint64_t files;
    uint64_t ports;
    uint64_t scopes;
} farebox_landlock_rules;

typedef struct __attribute__((packed)) farebox_landlock_path {
    uint64_t allowed;
    int32_t parent;
} farebox_landlock_path;

/* The version of landlock that this kernel has, 0 where it has none. */
static inline int farebox_landlock_version(void) {
    const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    return version > 0 ? (int)version : 0;
}

/* Begins a list of what is allowed. `network` leaves TCP ports alone. */
static inline int farebox_landlock_begin(int version, int network, farebox_landlock_rules *rules) {
    rules->files = FAREBOX_LANDLOCK_FIRST;
    rules->files |= version >= 2 ? FAREBOX_LANDLOCK_REFER : 0;
    rules->files |= version >= 3 ? FAREBOX_LANDLOCK_TRUNCATE : 0;
    rules->files |= version >= 5 ? FAREBOX_LANDLOCK_DEVICE : 0;
    rules->ports = version >= 4 && !network ? 3 : 0;
    /* Sockets without a path and signals stay among the worker and what it starts. */
    rules->scopes = version >= 6 ? 3 : 0;
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    return (int)syscall(SYS_landlock_create_ruleset, rules, size, 0);
}

/* Allows a file, or a folder with all below it; one that does not exist is no error and allows nothing. */
static inline int farebox_landlock_allow(int list, const farebox_landlock_rules *rules, const char *path,
                                         uint64_t rights) {
    const int parent = open(path, O_PATH | O_CLOEXEC);
    struct stat found;
    if (parent < 0) {
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    }
    int code = fstat(parent, &found);
    if (code == 0) {
        uint64_t allowed = rights & rules->files;
        allowed &= S_ISDIR(found.st_mode) ? ~(uint64_t)0 : (uint64_t)FAREBOX_LANDLOCK_OF_FILES;
        const farebox_landlock_path rule = {allowed, parent};
        code = allowed == 0 ? 0 : (int)syscall(SYS_landlock_add_rule, list, 1, &rule, 0);
    }
    const int saved = errno;
    close(parent);
    errno = saved;
    return code;
}

/* Puts the list in force and closes it. */
static inline int farebox_landlock_finish(int list) {
    const int code = (int)syscall(SYS_landlock_restrict_self, list, 0);
    const int saved = errno;
    close(list);
    errno = saved;
    return code;
}

/* ---- Seccomp ---------------------------------------------------------------------------------------------------- */

#ifdef __aarch64__
#define FAREBOX_AUDIT_ARCH AUDIT_ARCH_AARCH64
#else
#define FAREBOX_AUDIT_ARCH AUDIT_ARCH_X86_64
#endif

/* What a worker may ask of the kernel whatever it was granted. Files are landlock's business; a system call that is not
 * here answers EPERM. */
static const uint16_t farebox_allowed_calls[] = {
    /* memory */
    SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_msync, SYS_membarrier,
    /* descriptors that are open */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_lseek,
    SYS_fstat, SYS_dup, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate, SYS_flock, SYS_getdents64,
    SYS_fadvise64, SYS_copy_file_range, SYS_sendfile,
    /* files by path */
    SYS_openat, SYS_openat2, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getcwd,
    SYS_chdir, SYS_fchdir, SYS_statfs, SYS_fstatfs, SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat,
    SYS_symlinkat, SYS_umask,
    /* waiting */
    SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_pipe2,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex,
    SYS_restart_syscall, SYS_sched_yield,
    /* the channel, and the network where a socket can be had at all */
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_shutdown, SYS_getsockopt, SYS_setsockopt, SYS_getsockname,
    SYS_getpeername,
    /* clocks, numbers, names */
    SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_times, SYS_getrusage, SYS_sysinfo, SYS_uname, SYS_getpid,
    SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getgroups, SYS_getpgid, SYS_getsid,
    SYS_getcpu, SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler, SYS_sched_get_priority_max,
    SYS_sched_get_priority_min, SYS_getpriority, SYS_getrandom,
    /* threads and signals of its own */
    SYS_set_tid_address, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_sigaltstack, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_exit,
    SYS_exit_group,
#ifdef __x86_64__
    /* older forms of the calls above, which this machine still has */
    SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename,
    SYS_link, SYS_symlink, SYS_getdents, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_pipe,
    SYS_time, SYS_pause, SYS_getrlimit, SYS_arch_prctl,
#endif
};

/* More with the permission `network`; which families a socket may be of is looked at apart. */
static const uint16_t farebox_network_calls[] = {SYS_connect, SYS_bind,     SYS_listen,  SYS_accept,
                                                 SYS_accept4, SYS_recvmmsg, SYS_sendmmsg};

/* More with the permission `subprocess`; what is executed keeps the filter. */
static const uint16_t farebox_subprocess_calls[] = {
    SYS_execve, SYS_wait4, SYS_waitid, SYS_setpgid, SYS_setsid,
#ifdef __x86_64__
    SYS_fork, SYS_vfork,
#endif
};

/* Options that say nothing about other processes or about privileges. */
static const uint32_t farebox_allowed_prctl[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, 0x53564d41};
static const uint32_t farebox_allowed_ioctl[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};
/* No F_SETOWN and F_SETSIG: with them the kernel would send signals to others in this process's name. */
static const uint32_t farebox_allowed_fcntl[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,     F_GETFL,
                                                 F_SETFL, F_GETLK,         F_SETLK,     F_SETLKW,    F_OFD_GETLK,
                                                 F_OFD_SETLK, F_OFD_SETLKW};
static const uint32_t farebox_allowed_families[] = {AF_INET, AF_INET6, AF_NETLINK};

enum { FAREBOX_FILTER_CAPACITY = 512 };

typedef struct farebox_filter {
    struct sock_filter steps[FAREBOX_FILTER_CAPACITY];
    uint16_t count;
} farebox_filter;

static inline void farebox_filter_step(farebox_filter *filter, uint16_t code, uint32_t value, uint8_t yes, uint8_t no) {
    if (filter->count < FAREBOX_FILTER_CAPACITY) {
        filter->steps[filter->count] = (struct sock_filter){code, yes, no, value};
    }
    filter->count++;
}

static inline void farebox_filter_answer(farebox_filter *filter, uint32_t answer) {
    farebox_filter_step(filter, BPF_RET | BPF_K, answer, 0, 0);
}

static inline void farebox_filter_load(farebox_filter *filter, size_t offset) {
    farebox_filter_step(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* Where the lower half of an argument is. */
static inline size_t farebox_argument(unsigned index) { return offsetof(struct seccomp_data, args) + 8 * index; }

enum {
    FAREBOX_EQUAL = BPF_JMP | BPF_JEQ | BPF_K,
    FAREBOX_ANY_BIT = BPF_JMP | BPF_JSET | BPF_K,
    FAREBOX_AT_LEAST = BPF_JMP | BPF_JGE | BPF_K
};

/* Answers where what is loaded compares with the value so; goes on where it does not. */
static inline void farebox_filter_when(farebox_filter *filter, uint16_t compare, uint32_t value, uint32_t answer) {
    farebox_filter_step(filter, compare, value, 0, 1);
    farebox_filter_answer(filter, answer);
}

static inline void farebox_filter_calls(farebox_filter *filter, const uint16_t *calls, size_t count) {
    for (size_t i = 0; i < count; i++) {
        farebox_filter_when(filter, FAREBOX_EQUAL, calls[i], SECCOMP_RET_ALLOW);
    }
}

/* Begins what is said about one call alone, and ends it. Between them every path but the last must answer. */
static inline uint16_t farebox_filter_begin(farebox_filter *filter, uint32_t call) {
    farebox_filter_step(filter, FAREBOX_EQUAL, call, 0, 0);
    return (uint16_t)(filter->count - 1);
}

static inline void farebox_filter_end(farebox_filter *filter, uint16_t begin, uint32_t otherwise) {
    farebox_filter_answer(filter, otherwise);
    if (begin < FAREBOX_FILTER_CAPACITY) {
        filter->steps[begin].jf = (uint8_t)(filter->count - begin - 1);
    }
}

static inline uint32_t farebox_errno_answer(int error) { return SECCOMP_RET_ERRNO | (uint32_t)error; }

/* A call that is allowed where one argument is in a list. */
static inline void farebox_filter_listed(farebox_filter *filter, uint32_t call, unsigned argument,
                                         const uint32_t *values, size_t count) {
    const uint16_t begin = farebox_filter_begin(filter, call);
    farebox_filter_load(filter, farebox_argument(argument));
    for (size_t i = 0; i < count; i++) {
        farebox_filter_when(filter, FAREBOX_EQUAL, values[i], SECCOMP_RET_ALLOW);
    }
    farebox_filter_end(filter, begin, farebox_errno_answer(EPERM));
}

/* A call that is allowed unless one argument is the lifeline, which nothing may close, replace or set otherwise. */
static inline void farebox_filter_sparing_lifeline(farebox_filter *filter, uint32_t call, unsigned argument) {
    const uint16_t begin = farebox_filter_begin(filter, call);
    farebox_filter_load(filter, farebox_argument(argument));
    farebox_filter_when(filter, FAREBOX_EQUAL, FAREBOX_WORKER_LIFELINE, farebox_errno_answer(EPERM));
    farebox_filter_end(filter, begin, SECCOMP_RET_ALLOW);
}

#define FAREBOX_COUNT(list) (sizeof(list) / sizeof((list)[0]))

static inline void farebox_filter_descriptors(farebox_filter *filter) {
    farebox_filter_sparing_lifeline(filter, SYS_close, 0);
    farebox_filter_sparing_lifeline(filter, SYS_dup3, 1);
#ifdef __x86_64__
    farebox_filter_sparing_lifeline(filter, SYS_dup2, 1);
#endif
    const uint16_t begin = farebox_filter_begin(filter, SYS_fcntl);
    farebox_filter_load(filter, farebox_argument(0));
    farebox_filter_when(filter, FAREBOX_EQUAL, FAREBOX_WORKER_LIFELINE, farebox_errno_answer(EPERM));
    farebox_filter_load(filter, farebox_argument(1));
    for (size_t i = 0; i < FAREBOX_COUNT(farebox_allowed_fcntl); i++) {
        farebox_filter_when(filter, FAREBOX_EQUAL, farebox_allowed_fcntl[i], SECCOMP_RET_ALLOW);
    }
    farebox_filter_end(filter, begin, farebox_errno_answer(EPERM));
    farebox_filter_listed(filter, SYS_ioctl, 1, farebox_allowed_ioctl, FAREBOX_COUNT(farebox_allowed_ioctl));
}

/* Threads always, processes where they are granted, and signals to itself; to others only where landlock keeps them
 * among the processes that the worker has started. */
static inline void farebox_filter_processes(farebox_filter *filter, int subprocess, int scoped) {
    const uint32_t refused = farebox_errno_answer(EPERM);
    uint16_t begin = farebox_filter_begin(filter, SYS_clone);
    farebox_filter_load(filter, farebox_argument(0));
    const uint32_t namespaces = 0x7e020000u;
    farebox_filter_when(filter, FAREBOX_ANY_BIT, namespaces, refused);
    farebox_filter_when(filter, FAREBOX_ANY_BIT, CLONE_THREAD, SECCOMP_RET_ALLOW);
    farebox_filter_end(filter, begin, subprocess ? SECCOMP_RET_ALLOW : refused);
    /* Its flags are behind a pointer; the C library then falls back to clone. */
    farebox_filter_when(filter, FAREBOX_EQUAL, SYS_clone3, farebox_errno_answer(ENOSYS));
    const uint32_t self[] = {(uint32_t)getpid()};
    farebox_filter_listed(filter, SYS_tgkill, 0, self, 1);
    if (subprocess && scoped) {
        farebox_filter_when(filter, FAREBOX_EQUAL, SYS_kill, SECCOMP_RET_ALLOW);
    } else {
        farebox_filter_listed(filter, SYS_kill, 0, self, 1);
    }
    farebox_filter_listed(filter, SYS_prctl, 0, farebox_allowed_prctl, FAREBOX_COUNT(farebox_allowed_prctl));
    /* Limits may be asked for, not set: the address of new ones must be NULL, in both halves. */
    begin = farebox_filter_begin(filter, SYS_prlimit64);
    farebox_filter_load(filter, farebox_argument(2));
    farebox_filter_step(filter, FAREBOX_EQUAL, 0, 1, 0);
    farebox_filter_answer(filter, refused);
    farebox_filter_load(filter, farebox_argument(2) + 4);
    farebox_filter_when(filter, FAREBOX_EQUAL, 0, SECCOMP_RET_ALLOW);
    farebox_filter_end(filter, begin, refused);
}

/* Puts the filter in force; no_new_privs must be set. `scoped`: landlock keeps signals among the worker's own. */
static inline int farebox_forbid_calls(int network, int subprocess, int scoped) {
    farebox_filter filter;
    filter.count = 0;
    farebox_filter_load(&filter, offsetof(struct seccomp_data, arch));
    farebox_filter_step(&filter, FAREBOX_EQUAL, FAREBOX_AUDIT_ARCH, 1, 0);
    farebox_filter_answer(&filter, SECCOMP_RET_KILL_PROCESS);
    farebox_filter_load(&filter, offsetof(struct seccomp_data, nr));
    /* Numbers of the x32 ABI. */
    farebox_filter_when(&filter, FAREBOX_AT_LEAST, 0x40000000u, farebox_errno_answer(ENOSYS));
    /* First, because the kernel remembers which calls are always allowed, and looks at these each time. */
    farebox_filter_descriptors(&filter);
    farebox_filter_calls(&filter, farebox_allowed_calls, FAREBOX_COUNT(farebox_allowed_calls));
    if (subprocess) {
        farebox_filter_calls(&filter, farebox_subprocess_calls, FAREBOX_COUNT(farebox_subprocess_calls));
    }
    if (network) {
        farebox_filter_calls(&filter, farebox_network_calls, FAREBOX_COUNT(farebox_network_calls));
        farebox_filter_listed(&filter, SYS_socket, 0, farebox_allowed_families,
                              FAREBOX_COUNT(farebox_allowed_families));
    }
    farebox_filter_processes(&filter, subprocess, scoped);
    farebox_filter_answer(&filter, farebox_errno_answer(EPERM));
    if (filter.count > FAREBOX_FILTER_CAPACITY) {
        errno = E2BIG;
        return -1;
    }
    const struct sock_fprog program = {filter.count, filter.steps};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

#endif

/* A disk that fails at one chosen call, preloaded under a program that uses SQLite.
 *
 *   DISK_LEDGER  the ledger's path; what is done to other files passes through
 *   DISK_REPORT  a file with the size of disk_report, which counts the calls
 *   DISK_FAULT   what happens, or nothing to count only:
 *     eio N CALL          the N-th call of that kind fails with EIO (a map with ENOMEM)
 *     eintr N CALL        the N-th call of that kind is interrupted once
 *     full N              from the N-th write on there is no room, for 16 writes
 *     short N             the N-th write writes a half; for an even seed there is no room for the rest
 *     locked N            from the N-th lock on, 6 locks are refused because others hold them; for an odd seed 30
 *     flip N              one bit of what the N-th read returns is wrong
 *     torn N              the N-th write writes a part, and the process is killed
 *     before N CALL       the process is killed before the N-th call of that kind
 *     after N CALL        the same, after it
 *     power N CALL        the power goes before the N-th call of that kind
 *     fsync N M           the N-th flush fails with EIO and forgets what it should have written, as Linux does; the power
 *                         goes M writes and flushes later, or when the process ends
 *     clock N             every call of the wall clock from the N-th on gives another time, up to two hours off
 *   DISK_SEED    decides what is left to chance
 *
 * What is on the disk is modelled by file, in sectors of 512 bytes: a flush makes durable what was written before it.
 * When the power goes, each sector written since is kept or lost by chance, and so is a change of the length; a file's
 * name is durable with the first flush of the file or the folder, and its removal with one of the folder. The flushes
 * themselves are only counted, because the machine's own power stays on. Calls are of one process; threads may share it. */
#include "disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, FOLDER = 4, FILES = 5, DESCRIPTORS = 4096 };

static const char *const call_names[CALLS] = {"open", "stat", "read", "write", "sync", "truncate", "map", "lock", "unlink", "clock"};
static const char *const suffixes[FILES] = {"", "-wal", "-journal", "-shm", NULL};

/* What of a file is on the disk, and which sectors are newer than that. */
typedef struct image {
    unsigned char *durable;
    size_t size, capacity;
    unsigned char *dirty; /* a byte a sector */
    size_t dirty_sectors;
    int is_loaded;
    int has_name;    /* on the disk */
    int is_unlinked; /* but not yet on the disk */
} image;

static struct {
    char path[FILES][4096];
    image images[FILES];
    signed char file_of[DESCRIPTORS]; /* one more than the file; 0 is none of ours */
    disk_report *report;
    disk_report unused;
    char fault[16];
    long at, later;
    enum disk_call call;
    uint64_t seed, random;
    long steps_after; /* writes and flushes since a flush failed */
    int has_failed;
    int is_on;
} disk;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t chance(uint64_t bound)
{
    uint64_t z = (disk.random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

static int is_fault(const char *name) { return strcmp(disk.fault, name) == 0; }

/* The next functions of the names that are taken over here. */
static struct {
    int (*open)(const char *, int, ...);
    int (*close)(int);
    int (*stat)(const char *, struct stat64 *);
    int (*fstat)(int, struct stat64 *);
    int (*access)(const char *, int);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*pread)(int, void *, size_t, off64_t);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*pwrite)(int, const void *, size_t, off64_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*ftruncate)(int, off64_t);
    void *(*mmap)(void *, size_t, int, int, int, off64_t);
    int (*fcntl)(int, int, ...);
    int (*unlink)(const char *);
    int (*clock_gettime)(clockid_t, struct timespec *);
} next;

static void *function(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "disk: there is no %s\n", name);
        _exit(99);
    }
    return found;
}

/* As POSIX has it; ISO C has no way from an object's pointer to a function's. */
#define FIND(name, text) (*(void **)&next.name = function(text))

static void read_fault(void)
{
    const char *fault = getenv("DISK_FAULT");
    char call[16] = "";
    disk.at = -1;
    disk.call = CALLS;
    if (fault == NULL || fault[0] == '\0') {
        return;
    }
    if (sscanf(fault, "%15s %ld %15s", disk.fault, &disk.at, call) < 2) {
        fprintf(stderr, "disk: what is %s?\n", fault);
        _exit(99);
    }
    disk.later = atol(call);
    for (int k = 0; k < CALLS; k++) {
        if (strcmp(call, call_names[k]) == 0) {
            disk.call = (enum disk_call)k;
        }
    }
    if (is_fault("full") || is_fault("short") || is_fault("torn")) disk.call = CALL_WRITE;
    if (is_fault("locked")) disk.call = CALL_LOCK;
    if (is_fault("flip")) disk.call = CALL_READ;
    if (is_fault("fsync")) disk.call = CALL_SYNC;
}

__attribute__((constructor)) static void start(void)
{
    FIND(open, "open64");
    FIND(close, "close");
    FIND(stat, "stat64");
    FIND(fstat, "fstat64");
    FIND(access, "access");
    FIND(read, "read");
    FIND(pread, "pread64");
    FIND(write, "write");
    FIND(pwrite, "pwrite64");
    FIND(fsync, "fsync");
    FIND(fdatasync, "fdatasync");
    FIND(ftruncate, "ftruncate64");
    FIND(mmap, "mmap64");
    FIND(fcntl, "fcntl64");
    FIND(unlink, "unlink");
    FIND(clock_gettime, "clock_gettime");
    disk.report = &disk.unused;
    const char *ledger = getenv("DISK_LEDGER");
    if (ledger == NULL) {
        return;
    }
    for (int k = 0; k < FOLDER; k++) {
        snprintf(disk.path[k], sizeof disk.path[k], "%s%s", ledger, suffixes[k]);
    }
    snprintf(disk.path[FOLDER], sizeof disk.path[FOLDER], "%s", ledger);
    char *slash = strrchr(disk.path[FOLDER], '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    const char *seed = getenv("DISK_SEED");
    disk.random = disk.seed = seed == NULL ? 1 : strtoull(seed, NULL, 10);
    const char *report = getenv("DISK_REPORT");
    const int descriptor = report == NULL ? -1 : next.open(report, O_RDWR);
    if (descriptor >= 0) {
        void *memory = next.mmap(NULL, sizeof(disk_report), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        next.close(descriptor);
        if (memory != MAP_FAILED) {
            disk.report = memory;
        }
    }
    read_fault();
    disk.is_on = 1;
}

static int file_of_path(const char *path)
{
    if (!disk.is_on || path == NULL) {
        return -1;
    }
    for (int k = 0; k < FILES; k++) {
        if (strcmp(path, disk.path[k]) == 0) {
            return k;
        }
    }
    return -1;
}

static int file_of(int descriptor)
{
    return disk.is_on && descriptor >= 0 && descriptor < DESCRIPTORS ? disk.file_of[descriptor] - 1 : -1;
}

/* ---- What is on the disk ---- */

static void *grown(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL) {
        fprintf(stderr, "disk: no memory\n");
        _exit(99);
    }
    return memory;
}

static void reserve(image *i, size_t size)
{
    if (size <= i->capacity) {
        return;
    }
    const size_t capacity = (size + size / 2 + SECTOR) / SECTOR * SECTOR;
    i->durable = grown(i->durable, capacity);
    memset(i->durable + i->capacity, 0, capacity - i->capacity);
    i->dirty = grown(i->dirty, capacity / SECTOR);
    memset(i->dirty + i->capacity / SECTOR, 0, (capacity - i->capacity) / SECTOR);
    i->capacity = capacity;
}

static size_t length_of(int descriptor)
{
    struct stat64 found;
    return next.fstat(descriptor, &found) == 0 ? (size_t)found.st_size : 0;
}

static void read_back(int descriptor, unsigned char *to, size_t size, off64_t offset)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = next.pread(descriptor, to + done, size - done, offset + (off64_t)done);
        if (got <= 0) {
            memset(to + done, 0, size - done);
            return;
        }
        done += (size_t)got;
    }
}

/* What was there when the program began was written long ago. */
static void load(int file, int descriptor, int existed)
{
    image *i = &disk.images[file];
    if (i->is_loaded && existed) {
        return;
    }
    const size_t size = existed ? length_of(descriptor) : 0;
    i->is_unlinked = 0;
    if (i->capacity > 0) {
        memset(i->dirty, 0, i->capacity / SECTOR);
        memset(i->durable, 0, i->capacity);
    }
    i->dirty_sectors = 0;
    reserve(i, size);
    read_back(descriptor, i->durable, size, 0);
    i->size = size;
    i->is_loaded = 1;
    i->has_name = existed;
}

static void note_write(int file, off64_t offset, size_t size)
{
    image *i = &disk.images[file];
    if (size == 0 || !i->is_loaded) {
        return;
    }
    reserve(i, (size_t)offset + size);
    for (size_t k = (size_t)offset / SECTOR; k <= ((size_t)offset + size - 1) / SECTOR; k++) {
        i->dirty_sectors += !i->dirty[k];
        i->dirty[k] = 1;
    }
}

static void flushed(int file, int descriptor)
{
    if (file == FOLDER) {
        for (int k = 0; k < FOLDER; k++) {
            image *i = &disk.images[k];
            i->has_name = i->is_loaded && !i->is_unlinked;
            if (i->is_unlinked) {
                i->is_loaded = i->is_unlinked = 0;
            }
        }
        return;
    }
    image *i = &disk.images[file];
    const size_t size = length_of(descriptor);
    reserve(i, size);
    if (size < i->size) {
        memset(i->durable + size, 0, i->size - size);
    }
    for (size_t k = 0; k * SECTOR < i->capacity && i->dirty_sectors > 0; k++) {
        if (i->dirty[k]) {
            read_back(descriptor, i->durable + k * SECTOR, SECTOR, (off64_t)(k * SECTOR));
            i->dirty[k] = 0;
            i->dirty_sectors--;
        }
    }
    i->size = size;
    i->has_name = 1;
}

/* The pages of a flush that failed are clean for the kernel, and not on the disk. */
static void forgotten(int file)
{
    image *i = &disk.images[file];
    if (file == FOLDER || !i->is_loaded) {
        return;
    }
    disk.report->lost_sectors += i->dirty_sectors;
    memset(i->dirty, 0, i->capacity / SECTOR);
    i->dirty_sectors = 0;
}

/* Makes the files what the disk has of them, and ends the process. */
static void lose_power(void)
{
    const int taste = (int)chance(3); /* all that is not durable is lost; or by chance; or only little of it */
    for (int k = 0; k < 3; k++) {
        image *i = &disk.images[k];
        if (!i->is_loaded) {
            continue;
        }
        if (i->is_unlinked && chance(2) == 0) {
            continue;
        }
        if (!i->has_name && !i->is_unlinked && chance(2) == 0) {
            next.unlink(disk.path[k]);
            continue;
        }
        const int descriptor = next.open(disk.path[k], O_RDWR | O_CREAT, 0644);
        if (descriptor < 0) {
            continue;
        }
        const size_t now = i->is_unlinked ? 0 : length_of(descriptor);
        size_t size = chance(2) == 0 || taste == 0 ? i->size : now;
        reserve(i, now > i->size ? now : i->size);
        unsigned char *current = grown(NULL, i->capacity + 1);
        memset(current, 0, i->capacity);
        read_back(descriptor, current, now, 0);
        for (size_t s = 0; s * SECTOR < i->capacity; s++) {
            const int keeps = i->dirty[s] && !i->is_unlinked && taste != 0 && chance(taste == 1 ? 2 : 16) != 0;
            if (keeps) {
                memcpy(i->durable + s * SECTOR, current + s * SECTOR, SECTOR);
            } else if (i->dirty[s]) {
                disk.report->lost_sectors++;
            }
        }
        free(current);
        if (next.ftruncate(descriptor, 0) != 0 || next.pwrite(descriptor, i->durable, size, 0) != (ssize_t)size) {
            fprintf(stderr, "disk: could not lose the power\n");
            _exit(99);
        }
        next.close(descriptor);
    }
    disk.report->power_lost = 1;
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

static void die(void)
{
    disk.report->fired++;
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

/* ---- Calls ---- */

/* Counts a call; says whether the fault is due in it. */
static int is_due(enum disk_call call)
{
    const long number = (long)++disk.report->calls[call];
    if (disk.has_failed && (call == CALL_WRITE || call == CALL_SYNC) && ++disk.steps_after > disk.later) {
        lose_power();
    }
    if (call != disk.call) {
        return 0;
    }
    if (is_fault("full")) return number >= disk.at && number < disk.at + 16;
    if (is_fault("locked")) return number >= disk.at && number < disk.at + (disk.seed % 2 == 0 ? 6 : 30);
    if (is_fault("short") && number == disk.at + 1) return disk.seed % 2 == 0 ? 2 : 0;
    if (number != disk.at) {
        return 0;
    }
    if (is_fault("before")) {
        die();
    }
    if (is_fault("power")) {
        disk.report->fired++;
        lose_power();
    }
    return 1;
}

static void kill_after(int due)
{
    if (due && is_fault("after")) {
        die();
    }
}

/* The error of a call that fails, or 0; `due` is what is_due has said. */
static int error_of(int due, int error)
{
    if (!due) {
        return 0;
    }
    if (is_fault("eio") || is_fault("fsync")) {
        disk.report->fired++;
        return error;
    }
    if (is_fault("eintr")) {
        disk.report->fired++;
        return EINTR;
    }
    return 0;
}

__attribute__((destructor)) static void finish(void)
{
    if (disk.has_failed) {
        lose_power();
    }
}

static int open_file(const char *path, int flags, mode_t mode)
{
    const int file = file_of_path(path);
    if (file < 0) {
        return next.open(path, flags, mode);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_OPEN);
    const int error = error_of(due, EIO);
    int descriptor = -1;
    if (error == 0) {
        const int existed = next.access(path, F_OK) == 0;
        descriptor = next.open(path, flags, mode);
        if (descriptor >= 0 && descriptor < DESCRIPTORS) {
            disk.file_of[descriptor] = (signed char)(file + 1);
            if (file < 3) {
                load(file, descriptor, existed);
            }
        }
        kill_after(due);
    } else {
        errno = error;
    }
    pthread_mutex_unlock(&lock);
    return descriptor;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_file(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_file(path, flags, mode);
}

int close(int descriptor)
{
    if (next.close == NULL) {
        return (int)syscall(SYS_close, descriptor);
    }
    if (file_of(descriptor) >= 0) {
        disk.file_of[descriptor] = 0;
    }
    return next.close(descriptor);
}

int stat64(const char *path, struct stat64 *out)
{
    if (file_of_path(path) < 0) {
        return next.stat(path, out);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_STAT);
    const int error = error_of(due, EIO);
    const int result = error == 0 ? next.stat(path, out) : -1;
    kill_after(due);
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

int fstat64(int descriptor, struct stat64 *out)
{
    if (file_of(descriptor) < 0) {
        return next.fstat(descriptor, out);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_STAT);
    const int error = error_of(due, EIO);
    const int result = error == 0 ? next.fstat(descriptor, out) : -1;
    kill_after(due);
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

int access(const char *path, int mode)
{
    if (file_of_path(path) < 0) {
        return next.access(path, mode);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_STAT);
    const int error = error_of(due, EIO);
    const int result = error == 0 ? next.access(path, mode) : -1;
    kill_after(due);
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

static ssize_t read_file(int descriptor, void *to, size_t size, off64_t offset, int is_at)
{
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_READ);
    const int error = error_of(due, EIO);
    ssize_t got = -1;
    if (error == 0) {
        got = is_at ? next.pread(descriptor, to, size, offset) : next.read(descriptor, to, size);
        if (due && is_fault("flip") && got > 0) {
            ((unsigned char *)to)[chance((uint64_t)got)] ^= (unsigned char)(1 << chance(8));
            disk.report->fired++;
        }
        kill_after(due);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return got;
}

ssize_t read(int descriptor, void *to, size_t size)
{
    return file_of(descriptor) < 0 ? next.read(descriptor, to, size) : read_file(descriptor, to, size, 0, 0);
}

ssize_t pread64(int descriptor, void *to, size_t size, off64_t offset)
{
    return file_of(descriptor) < 0 ? next.pread(descriptor, to, size, offset)
                                   : read_file(descriptor, to, size, offset, 1);
}

static ssize_t write_file(int descriptor, const void *from, size_t size, off64_t offset, int is_at)
{
    pthread_mutex_lock(&lock);
    if (!is_at) {
        offset = lseek64(descriptor, 0, SEEK_CUR);
    }
    const int due = is_due(CALL_WRITE);
    int error = error_of(due, EIO);
    size_t allowed = size;
    if (due && (is_fault("full") || (is_fault("short") && due == 2))) {
        disk.report->fired++;
        error = ENOSPC;
    } else if (due && is_fault("short")) {
        disk.report->fired++;
        allowed = size / 2;
    } else if (due && is_fault("torn")) {
        allowed = chance(size);
    }
    ssize_t wrote = -1;
    if (error == 0) {
        wrote = is_at ? next.pwrite(descriptor, from, allowed, offset) : next.write(descriptor, from, allowed);
        if (wrote > 0) {
            note_write(file_of(descriptor), offset, (size_t)wrote);
        }
        if (due && is_fault("torn")) {
            die();
        }
        kill_after(due);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return wrote;
}

ssize_t write(int descriptor, const void *from, size_t size)
{
    return file_of(descriptor) < 0 ? next.write(descriptor, from, size) : write_file(descriptor, from, size, 0, 0);
}

ssize_t pwrite64(int descriptor, const void *from, size_t size, off64_t offset)
{
    return file_of(descriptor) < 0 ? next.pwrite(descriptor, from, size, offset)
                                   : write_file(descriptor, from, size, offset, 1);
}

/* The names without 64 are those of what is not SQLite: offsets have 64 bits all the same. */
ssize_t pread(int descriptor, void *to, size_t size, off_t offset) { return pread64(descriptor, to, size, offset); }
ssize_t pwrite(int descriptor, const void *from, size_t size, off_t offset) { return pwrite64(descriptor, from, size, offset); }

static int flush(int descriptor)
{
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_SYNC);
    const int error = error_of(due, EIO);
    const int file = file_of(descriptor);
    if (error == EIO) {
        forgotten(file);
        disk.has_failed = is_fault("fsync");
    } else if (error == 0) {
        flushed(file, descriptor);
        kill_after(due);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return error == 0 ? 0 : -1;
}

int fsync(int descriptor) { return file_of(descriptor) < 0 ? next.fsync(descriptor) : flush(descriptor); }
int fdatasync(int descriptor) { return file_of(descriptor) < 0 ? next.fdatasync(descriptor) : flush(descriptor); }

int ftruncate64(int descriptor, off64_t size)
{
    const int file = file_of(descriptor);
    if (file < 0) {
        return next.ftruncate(descriptor, size);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_TRUNCATE);
    const int error = error_of(due, EIO);
    int result = -1;
    if (error == 0) {
        result = next.ftruncate(descriptor, size);
        kill_after(due);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

void *mmap64(void *address, size_t size, int protection, int flags, int descriptor, off64_t offset)
{
    if (next.mmap == NULL || file_of(descriptor) < 0) {
        return (void *)syscall(SYS_mmap, address, size, protection, flags, descriptor, offset);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_MAP);
    const int error = error_of(due, ENOMEM);
    void *result = error == 0 ? next.mmap(address, size, protection, flags, descriptor, offset) : MAP_FAILED;
    kill_after(due);
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

int fcntl64(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (file_of(descriptor) < 0 || command != F_SETLK) {
        return next.fcntl(descriptor, command, argument);
    }
    pthread_mutex_lock(&lock);
    const struct flock64 *wanted = argument;
    /* Giving a lock back cannot be refused. */
    const int due = wanted->l_type == F_UNLCK ? 0 : is_due(CALL_LOCK);
    int error = error_of(due, EIO);
    if (due && is_fault("locked")) {
        disk.report->fired++;
        error = EAGAIN;
    }
    const int result = error == 0 ? next.fcntl(descriptor, command, argument) : -1;
    kill_after(due);
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

int unlink(const char *path)
{
    const int file = file_of_path(path);
    if (file < 0) {
        return next.unlink(path);
    }
    pthread_mutex_lock(&lock);
    const int due = is_due(CALL_UNLINK);
    const int error = error_of(due, EIO);
    int result = -1;
    if (error == 0) {
        result = next.unlink(path);
        if (result == 0 && file < 3) {
            image *i = &disk.images[file];
            i->is_unlinked = i->is_loaded && i->has_name;
            i->is_loaded = i->is_unlinked;
        }
        kill_after(due);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) errno = error;
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (next.clock_gettime == NULL) {
        return (int)syscall(SYS_clock_gettime, clock, out);
    }
    const int result = next.clock_gettime(clock, out);
    if (disk.is_on && result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        pthread_mutex_lock(&lock);
        const long number = (long)++disk.report->calls[CALL_CLOCK];
        if (is_fault("clock") && number >= disk.at) {
            disk.report->fired++;
            out->tv_sec += (time_t)chance(14400) - 7200;
        }
        pthread_mutex_unlock(&lock);
    }
    return result;
}

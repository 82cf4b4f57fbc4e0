/* Files that must be what they are said to be: opened without following links, looked at by descriptor, and kept as sealed
 * images. Swift cannot call the variadic openat and fcntl, and has no name for the seals. Every function answers -1 with
 * errno set where it fails, and is safe on any thread. */
#ifndef FAREBOX_CWORKER_FILES_H
#define FAREBOX_CWORKER_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* _GNU_SOURCE changes types that other modules have too, so that it must not be defined here. What glibc hides without it
 * has the kernel's numbers. */
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 0x0001
#define F_SEAL_SHRINK 0x0002
#define F_SEAL_GROW 0x0004
#define F_SEAL_WRITE 0x0008
#endif
#ifndef O_PATH
#define O_PATH 010000000
#endif
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 0x0001U
#define MFD_ALLOW_SEALING 0x0002U
#endif

/* What a descriptor says of its file. */
typedef struct farebox_file_facts {
    uint64_t device;
    uint64_t number;
    int64_t size;
    uint32_t mode; /* permissions with the sticky bit */
    uint32_t owner;
    int32_t is_regular;
    int32_t is_folder;
} farebox_file_facts;

/* Opens a folder by one name in another; a symbolic link is ENOTDIR. AT_FDCWD and "/" open the root. */
static inline int farebox_open_folder(int folder, const char *name) {
    return openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens a file of a folder for reading; a symbolic link is ELOOP, and a pipe does not wait for its writer. */
static inline int farebox_open_file(int folder, const char *name) {
    return openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Makes a new file of a folder for writing, with these permissions whatever the mask of the process is. */
static inline int farebox_create_file(int folder, const char *name, uint32_t mode) {
    const int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0 && fchmod(file, (mode_t)mode) != 0) {
        const int saved = errno;
        close(file);
        unlinkat(folder, name, 0);
        errno = saved;
        return -1;
    }
    return file;
}

/* Opens a folder by its path so that it can be locked and flushed, which a descriptor of farebox_open_folder cannot. */
static inline int farebox_reopen_folder(int folder) { return openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

static inline int farebox_inspect_file(int file, farebox_file_facts *facts) {
    struct stat found;
    if (fstat(file, &found) != 0) {
        return -1;
    }
    facts->device = (uint64_t)found.st_dev;
    facts->number = (uint64_t)found.st_ino;
    facts->size = (int64_t)found.st_size;
    facts->mode = (uint32_t)found.st_mode & 07777u;
    facts->owner = (uint32_t)found.st_uid;
    facts->is_regular = S_ISREG(found.st_mode);
    facts->is_folder = S_ISDIR(found.st_mode);
    return 0;
}

/* An empty file in memory that can be sealed. The name is only for those who look into /proc. */
static inline int farebox_create_image(const char *name) {
    return (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

/* Nothing can change the image any more, nor undo this; fails while anything maps it for writing. */
static inline int farebox_seal_image(int image) {
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fcntl(image, F_ADD_SEALS, seals) != 0) {
        return -1;
    }
    const int found = fcntl(image, F_GET_SEALS);
    if (found < 0 || (found & seals) != seals) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

const char *strerrordesc_np(int error);

/* What the kernel's error numbers mean; the text lives as long as the process. */
static inline const char *farebox_error_text(int error) {
    const char *text = strerrordesc_np(error);
    return text != NULL ? text : "unknown error";
}

static inline int farebox_last_error(void) { return errno; }

/* glibc hides dladdr without _GNU_SOURCE: what it fills in begins with the path of the file. */
struct farebox_place {
    const char *path;
    void *rest[3];
};
int farebox_find_place(const void *address, struct farebox_place *place) __asm__("dladdr");

/* The path, without links, of the library or program that this code is in; NULL where nobody says. Free it. */
static inline char *farebox_own_path(void) {
    struct farebox_place place = {NULL, {NULL, NULL, NULL}};
    const int is_found = farebox_find_place(__extension__(const void *) farebox_own_path, &place);
    return is_found != 0 && place.path != NULL ? realpath(place.path, NULL) : NULL;
}

#endif

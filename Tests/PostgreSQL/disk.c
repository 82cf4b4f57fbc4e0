/* A disk without room, for a server that has this library preloaded.
 *
 * While the file "full" is in the folder FAREBOX_TEST_FOLDER, no file can be made longer below the folder of the server's data
 * that "full" names, such as base or pg_wal: what would do so fails with ENOSPC, as on a disk that is full. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Whether a file may not become as long as `end`. */
static bool is_full(int file, off_t end)
{
    const int saved = errno;
    const char *folder = getenv("FAREBOX_TEST_FOLDER");
    char path[512], name[64] = "/", link[64], target[512];
    bool full = false;
    struct stat about;
    if (folder == NULL || snprintf(path, sizeof path, "%s/full", folder) >= (int)sizeof path) {
        return false;
    }
    const int flag = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (flag >= 0) {
        const ssize_t length = read(flag, name + 1, sizeof name - 3);
        close(flag);
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        const ssize_t size = readlink(link, target, sizeof target - 1);
        if (length > 0 && size > 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
            target[size] = '\0';
            name[1 + length] = '/';
            name[2 + length] = '\0';
            full = strstr(target, name) != NULL && end > about.st_size;
        }
    }
    errno = saved;
    return full;
}

static ssize_t no_room(void)
{
    errno = ENOSPC;
    return -1;
}

#define ORIGINAL(type, name) ((type)dlsym(RTLD_NEXT, name))

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at)
{
    return is_full(file, at + (off_t)count) ? no_room()
                                            : ORIGINAL(ssize_t (*)(int, const void *, size_t, off_t), "pwrite")(file, bytes, count, at);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at)
{
    off_t end = at;
    for (int k = 0; k < count; k++) {
        end += (off_t)parts[k].iov_len;
    }
    return is_full(file, end) ? no_room() : ORIGINAL(ssize_t (*)(int, const struct iovec *, int, off_t), "pwritev")(file, parts, count, at);
}

ssize_t write(int file, const void *bytes, size_t count)
{
    const off_t at = lseek(file, 0, SEEK_CUR);
    return at >= 0 && is_full(file, at + (off_t)count) ? no_room()
                                                       : ORIGINAL(ssize_t (*)(int, const void *, size_t), "write")(file, bytes, count);
}

int posix_fallocate(int file, off_t at, off_t count)
{
    return is_full(file, at + count) ? ENOSPC : ORIGINAL(int (*)(int, off_t, off_t), "posix_fallocate")(file, at, count);
}

/* Tools that look for the descriptors of their process, and use them. */
#include "hostile.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { DESCRIPTORS = 4096 };

static int is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF;
}

/* Does not wait where a descriptor takes no more. */
static ssize_t write_some(int descriptor, const void *bytes, size_t len)
{
    const ssize_t sent = send(descriptor, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 || errno != ENOTSOCK ? sent : write(descriptor, bytes, len);
}

/* Garbage into all that is open. */
farebox_plugin_answer write_everywhere(const farebox_plugin_call *call)
{
    unsigned char garbage[256];
    int descriptors = 0;
    long long bytes = 0;
    for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++) {
        if (!is_open(descriptor)) {
            continue;
        }
        for (size_t k = 0; k < sizeof garbage; k++) {
            garbage[k] = (unsigned char)(k * 151 + (size_t)descriptor);
        }
        const ssize_t written = write_some(descriptor, garbage, sizeof garbage);
        descriptors += written > 0;
        bytes += written > 0 ? written : 0;
    }
    return say(call->output, "{\"descriptors\":%d,\"bytes\":%lld}", descriptors, bytes);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The bytes of `hex` into every socket but those of the standard streams: an answer of the caller's making. */
farebox_plugin_answer forge(const farebox_plugin_call *call)
{
    char hex[4096];
    unsigned char bytes[2048];
    size_t len = 0;
    const char *from = text_of(call->input, "hex", "", hex, sizeof hex);
    while (hex_digit(from[0]) >= 0 && hex_digit(from[1]) >= 0) {
        bytes[len++] = (unsigned char)(hex_digit(from[0]) << 4 | hex_digit(from[1]));
        from += 2;
    }
    int sockets = 0;
    for (int descriptor = 3; descriptor < DESCRIPTORS; descriptor++) {
        sockets += is_open(descriptor) && send(descriptor, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
    }
    return say(call->output, "{\"sockets\":%d}", sockets);
}

farebox_plugin_answer close_descriptors(const farebox_plugin_call *call)
{
    int closed = 0;
    for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++) {
        closed += close(descriptor) == 0;
    }
    return say(call->output, "{\"closed\":%d}", closed);
}

/* `count` more with each call. */
farebox_plugin_answer leak_descriptors(const farebox_plugin_call *call)
{
    long long opened = 0;
    int result = 0;
    for (const long long count = number(call->input, "count", 10); result == 0 && opened < count;) {
        int ends[2];
        result = error_of(pipe(ends));
        opened += result == 0 ? 2 : 0;
    }
    return say(call->output, "{\"opened\":%lld,\"errno\":%d}", opened, result);
}

/* What is open, and of what kind: a host's files, sockets and ledger must not be among them. */
farebox_plugin_answer list_descriptors(const farebox_plugin_call *call)
{
    say(call->output, "{\"descriptors\":[");
    const char *separator = "";
    for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++) {
        if (!is_open(descriptor)) {
            continue;
        }
        struct stat status = {0};
        const int failed = fstat(descriptor, &status) != 0;
        const char *kind = failed                     ? "unknown"
                           : S_ISREG(status.st_mode)  ? "file"
                           : S_ISDIR(status.st_mode)  ? "folder"
                           : S_ISSOCK(status.st_mode) ? "socket"
                           : S_ISFIFO(status.st_mode) ? "pipe"
                           : S_ISCHR(status.st_mode)  ? "device"
                                                      : "other";
        say(call->output, "%s{\"number\":%d,\"kind\":\"%s\"}", separator, descriptor, kind);
        separator = ",";
    }
    return say(call->output, "]}");
}

/* The floor of a worker's call: two processes that hand a packet back and forth, as a host and its worker do.
 *
 *   floor_channel [--rounds N]
 *
 * `rate` is round trips a second: sendmsg, ppoll and recv on one side, recv and send on the other. */
#include "bench.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PACKET = 96 };

static void echo(int end)
{
    char packet[PACKET];
    ssize_t count;
    while ((count = recv(end, packet, sizeof packet, 0)) > 0) {
        if (send(end, packet, (size_t)count, MSG_NOSIGNAL) != count) {
            break;
        }
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    int64_t rounds = 200000;
    BENCH_OPTIONS(argc, argv, 1, {"--rounds", &rounds, NULL});
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) {
        bench_die("no socket pair");
    }
    const pid_t other = fork();
    if (other == 0) {
        close(ends[0]);
        echo(ends[1]);
    }
    close(ends[1]);
    char packet[PACKET] = {0};
    const uint64_t start = bench_now_ns();
    for (int64_t k = 0; k < rounds; k++) {
        struct iovec part = {packet, sizeof packet};
        const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        struct pollfd answer = {ends[0], POLLIN, 0};
        const struct timespec time = {1, 0};
        if (sendmsg(ends[0], &message, MSG_NOSIGNAL) != PACKET || ppoll(&answer, 1, &time, NULL) != 1 ||
            recv(ends[0], packet, sizeof packet, 0) != PACKET) {
            bench_die("a round trip failed");
        }
    }
    bench_print("rate", bench_rate((uint64_t)rounds, bench_now_ns() - start));
    close(ends[0]);
    waitpid(other, NULL, 0);
    return 0;
}

/* Tools that reach for what lies outside of their process. */
#include "hostile.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

extern char **environ;

farebox_plugin_answer fork_tool(const farebox_plugin_call *call)
{
    const pid_t child = fork();
    const int result = error_of(child);
    if (child == 0) {
        _exit(0);
    }
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
    return say(call->output, "{\"errno\":%d}", result);
}

/* Where it works this process is another program. */
farebox_plugin_answer exec_tool(const farebox_plugin_call *call)
{
    char path[256];
    char *arguments[] = {(char *)(uintptr_t)text_of(call->input, "path", "/bin/true", path, sizeof path), NULL};
    const int result = error_of(execve(arguments[0], arguments, environ));
    return say(call->output, "{\"errno\":%d}", result);
}

static int open_socket(int domain, int type)
{
    const int descriptor = socket(domain, type, 0);
    const int result = error_of(descriptor);
    if (descriptor >= 0) {
        close(descriptor);
    }
    return result;
}

farebox_plugin_answer sockets(const farebox_plugin_call *call)
{
    int pair[2];
    const int paired = error_of(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    return say(
        call->output, "{\"inet\":%d,\"inet6\":%d,\"datagram\":%d,\"unix\":%d,\"netlink\":%d,\"packet\":%d,\"pair\":%d}",
        open_socket(AF_INET, SOCK_STREAM), open_socket(AF_INET6, SOCK_STREAM), open_socket(AF_INET, SOCK_DGRAM),
        open_socket(AF_UNIX, SOCK_STREAM), open_socket(AF_NETLINK, SOCK_RAW), open_socket(AF_PACKET, SOCK_RAW), paired);
}

/* To `port` of this machine. */
farebox_plugin_answer connect_tool(const farebox_plugin_call *call)
{
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    int result = error_of(descriptor);
    if (descriptor >= 0) {
        const struct sockaddr_in address = {
            .sin_family = AF_INET,
            .sin_port = htons((uint16_t)number(call->input, "port", 80)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        result = error_of(connect(descriptor, (const struct sockaddr *)&address, sizeof address));
        close(descriptor);
    }
    return say(call->output, "{\"errno\":%d}", result);
}

farebox_plugin_answer read_file(const farebox_plugin_call *call)
{
    char path[512], bytes[4096];
    const int descriptor = open(text_of(call->input, "path", "/etc/passwd", path, sizeof path), O_RDONLY | O_CLOEXEC);
    int result = error_of(descriptor);
    ssize_t len = 0;
    if (descriptor >= 0) {
        len = read(descriptor, bytes, sizeof bytes);
        result = error_of(len);
        close(descriptor);
    }
    return say(call->output, "{\"errno\":%d,\"bytes\":%zd}", result, len < 0 ? 0 : len);
}

farebox_plugin_answer write_file(const farebox_plugin_call *call)
{
    char buffer[512];
    const char *path = text_of(call->input, "path", "/tmp/farebox-hostile", buffer, sizeof buffer);
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int result = error_of(descriptor);
    if (descriptor >= 0) {
        result = error_of(write(descriptor, "hostile\n", 8));
        close(descriptor);
    }
    return say(call->output, "{\"errno\":%d}", result);
}

farebox_plugin_answer list_folder(const farebox_plugin_call *call)
{
    char path[512];
    DIR *folder = opendir(text_of(call->input, "path", "/", path, sizeof path));
    const int result = folder == NULL ? errno : 0;
    int entries = 0;
    while (folder != NULL && readdir(folder) != NULL) {
        entries++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return say(call->output, "{\"errno\":%d,\"entries\":%d}", result, entries);
}

/* Signal 0 only asks whether it may. A parent of 0 is one that cannot be seen from here. */
farebox_plugin_answer kill_parent(const farebox_plugin_call *call)
{
    const pid_t parent = getppid();
    const int result = parent == 0 ? ESRCH : error_of(kill(parent, (int)number(call->input, "signal", SIGKILL)));
    return say(call->output, "{\"errno\":%d,\"parent\":%d}", result, (int)parent);
}

/* Three ways to the memory of the process that started this one. */
farebox_plugin_answer trace_parent(const farebox_plugin_call *call)
{
    const pid_t parent = getppid();
    const int seized = error_of(ptrace(PTRACE_SEIZE, parent, NULL, NULL));
    if (seized == 0) {
        ptrace(PTRACE_DETACH, parent, NULL, NULL);
    }
    char byte;
    const struct iovec here = {&byte, 1}, there = {(void *)environ, 1};
    const int read_there = error_of(process_vm_readv(parent, &here, 1, &there, 1, 0));
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)parent);
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    const int opened = error_of(descriptor);
    if (descriptor >= 0) {
        close(descriptor);
    }
    return say(call->output, "{\"ptrace\":%d,\"process_vm_readv\":%d,\"mem\":%d}", seized, read_there, opened);
}

/* The names of what is in the environment. */
farebox_plugin_answer environment(const farebox_plugin_call *call)
{
    say(call->output, "{\"names\":[");
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        say(call->output, "%s\"%.*s\"", at == environ ? "" : ",", (int)strcspn(*at, "=\"\\"), *at);
    }
    return say(call->output, "]}");
}

static int lift(__rlimit_resource_t resource)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    return error_of(setrlimit(resource, &unlimited));
}

farebox_plugin_answer raise_limits(const farebox_plugin_call *call)
{
    return say(call->output, "{\"as\":%d,\"core\":%d,\"cpu\":%d,\"fsize\":%d,\"nproc\":%d}", lift(RLIMIT_AS),
               lift(RLIMIT_CORE), lift(RLIMIT_CPU), lift(RLIMIT_FSIZE), lift(RLIMIT_NPROC));
}

/* Calls that nobody who offers tools needs, with arguments that do nothing where they are let through: EPERM, EACCES
 * and ENOSYS, or the end of the process, say that they are not; EFAULT, EINVAL, EBADF and 0 that they are. */
farebox_plugin_answer system_calls(const farebox_plugin_call *call)
{
    static const struct {
        const char *name;
        long number, first, second;
    } calls[] = {
        {"ptrace", SYS_ptrace, -1, 0},
        {"mount", SYS_mount, 0, 0},
        {"umount2", SYS_umount2, 0, 0},
        {"pivot_root", SYS_pivot_root, 0, 0},
        {"chroot", SYS_chroot, 0, 0},
        {"unshare", SYS_unshare, -1, 0},
        {"setns", SYS_setns, -1, 0},
        {"bpf", SYS_bpf, -1, 0},
        {"perf_event_open", SYS_perf_event_open, 0, 0},
        {"userfaultfd", SYS_userfaultfd, -1, 0},
        {"io_uring_setup", SYS_io_uring_setup, 0, 0},
        {"keyctl", SYS_keyctl, -1, 0},
        {"add_key", SYS_add_key, 0, 0},
        {"kexec_load", SYS_kexec_load, 0, 0},
        {"init_module", SYS_init_module, 0, 0},
        {"reboot", SYS_reboot, 0, 0},
        {"swapon", SYS_swapon, 0, 0},
        {"settimeofday", SYS_settimeofday, 0, 0},
        {"process_vm_readv", SYS_process_vm_readv, -1, 0},
        {"process_vm_writev", SYS_process_vm_writev, -1, 0},
        {"pidfd_open", SYS_pidfd_open, -1, 0},
        {"open_by_handle_at", SYS_open_by_handle_at, -1, 0},
        {"socket", SYS_socket, -1, -1},
        {"execve", SYS_execve, 0, 0},
    };
    say(call->output, "{");
    for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
        const int result = error_of(syscall(calls[k].number, calls[k].first, calls[k].second, 0, 0, 0, 0));
        say(call->output, "%s\"%s\":%d", k == 0 ? "" : ",", calls[k].name, result);
    }
    return say(call->output, "}");
}

/* Memory that can be written and run, and written memory that becomes executable. */
farebox_plugin_answer map_executable(const farebox_plugin_call *call)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *both = mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int mapped = both == MAP_FAILED ? errno : 0;
    void *plain = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int changed = plain == MAP_FAILED ? errno : error_of(mprotect(plain, page, PROT_READ | PROT_EXEC));
    return say(call->output, "{\"mmap\":%d,\"mprotect\":%d}", mapped, changed);
}

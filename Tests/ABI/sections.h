/* The sections of a program, each in a process of its own with a limit of time: one that crashes or hangs is counted, and
 * the others still run. */
#ifndef SECTIONS_H
#define SECTIONS_H

#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

typedef struct section {
    const char *name;
    void (*body)(void);
} section;

/* What a section tells its parent, also where it crashes. */
typedef struct section_report {
    int passed, failed, finished;
    uint64_t step;      /* where it is, told when it dies */
    atomic_int charged; /* by processes that it has started */
} section_report;
static section_report *report;

static void run_section(const section *one, int seconds)
{
    memset(report, 0, sizeof *report);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        checks_passed = checks_failed = 0;
        one->body();
        report->passed = checks_passed;
        report->failed = checks_failed;
        report->finished = 1;
        fflush(NULL);
        _exit(0);
    }
    int status = 0;
    for (int waited = 0; waitpid(child, &status, WNOHANG) == 0; waited++) {
        usleep(10000);
        if (waited == seconds * 100) {
            fprintf(stderr, "%s: hangs\n", one->name);
            kill(child, SIGKILL);
        }
    }
    atomic_fetch_add(&checks_passed, report->passed);
    atomic_fetch_add(&checks_failed, report->failed);
    if (report->finished == 0) {
        atomic_fetch_add(&checks_failed, 1);
        fprintf(stderr, "%s: the host died, %s %d, at step %" PRIu64 "\n", one->name, WIFSIGNALED(status) ? "signal" : "exit",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), report->step);
    }
    printf("%-14s %d passed, %d failed%s\n", one->name, report->passed, report->failed, report->finished ? "" : ", died");
}

/* Runs all sections, or the one that the program's first argument names; the result is the program's. */
static int run_sections(const section *sections, size_t count, int argument_count, char **arguments, int seconds)
{
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    int found = 0;
    for (size_t k = 0; k < count; k++) {
        if (argument_count < 2 || strcmp(arguments[1], sections[k].name) == 0) {
            run_section(&sections[k], seconds);
            found = 1;
        }
    }
    if (!found) {
        fprintf(stderr, "there is no section %s\n", arguments[1]);
        return 2;
    }
    return check_report();
}

#endif

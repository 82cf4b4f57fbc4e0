/* What the programs about plugins share: the policy of their process, a ledger, the fixtures of Tests/Plugins, calls of
 * tools, and what the host's process holds.
 *
 * FAREBOX_PLUGINS names the folder that Tests/Plugins/build has filled. */
#ifndef PLUGINS_H
#define PLUGINS_H

#include "sections.h"

#include <dirent.h>
#include <glob.h>
#include <pthread.h>

static const int64_t USD = INT64_C(1000000000);
static const int64_t CENT = INT64_C(10000000);

/* ---- Policy and fixtures ---- */

/* The folder of a section's own, which its policy allows too; made on first use. */
__attribute__((unused)) static const char *own_folder(void)
{
    static char path[512];
    if (path[0] == '\0') {
        make_folder(path, sizeof path);
    }
    return path;
}

static const char *fixtures_folder(void)
{
    const char *path = getenv("FAREBOX_PLUGINS");
    if (path == NULL) {
        fprintf(stderr, "FAREBOX_PLUGINS names no folder\n");
        exit(1);
    }
    return path;
}

/* Sets the policy of the process: the fixtures and the section's own folder, unsigned, and `more` members.
 * FAREBOX_WORKER names another worker than the one beside the library. */
__attribute__((unused)) static farebox_status set_policy(const char *more)
{
    char policy[8192];
    const char *worker = getenv("FAREBOX_WORKER");
    snprintf(policy, sizeof policy, "{\"directories\":[\"%s\",\"%s\"],\"trust\":\"unsigned\"%s%s%s%s%s}",
             fixtures_folder(), own_folder(), more[0] == '\0' ? "" : ",", more, worker == NULL ? "" : ",\"worker\":\"",
             worker == NULL ? "" : worker, worker == NULL ? "" : "\"");
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_set_plugin_policy(str(policy), &error);
    if (status != FAREBOX_OK) {
        EQUAL(status, error.status);
        CHECK(error.message[0] != '\0');
    }
    return status;
}

/* The path of the one manifest in a folder. */
static const char *manifest_in(const char *folder)
{
    static _Thread_local char path[2048];
    glob_t found;
    snprintf(path, sizeof path, "%s/*.farebox.json", folder);
    if (glob(path, 0, NULL, &found) != 0 || found.gl_pathc != 1) {
        fprintf(stderr, "there is not one manifest: %s\n", path);
        exit(1);
    }
    snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
    globfree(&found);
    return path;
}

/* The path of a fixture's manifest. */
__attribute__((unused)) static const char *fixture(const char *name)
{
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/%s", fixtures_folder(), name);
    return manifest_in(folder);
}

/* Runs a shell command that must succeed. */
__attribute__((unused, format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) {
        fprintf(stderr, "cannot go on: %s\n", command);
        exit(1);
    }
}

/* A copy of a fixture in the section's own folder; the path of its manifest is valid until the thread asks for another.
 */
__attribute__((unused)) static const char *copied(const char *name, const char *as)
{
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/%s", own_folder(), as);
    shell("rm -rf '%s' && cp -rp '%s/%s' '%s'", folder, fixtures_folder(), name, folder);
    return manifest_in(folder);
}

/* ---- The ledger ---- */

__attribute__((unused)) static farebox_engine *open_at(const char *url)
{
    farebox_engine *engine = NULL;
    MUST(farebox_open(&engine, str(url), NULL, NULL));
    MUST(
        json_call(engine, NULL, "account.deposit", "{\"account\":\"user:ana\",\"amount\":\"1000\",\"asset\":\"USD\"}"));
    return engine;
}

__attribute__((unused)) static farebox_engine *open_memory(void)
{
    return open_at("memory:");
}

__attribute__((unused)) static farebox_balance_result balance_of(farebox_engine *engine, const char *account)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    EXPECT(FAREBOX_OK, farebox_balance(engine, str(account), FAREBOX_STR("USD"), &balance, NULL));
    return balance;
}

/* What an account has, of which nothing may be held. */
__attribute__((unused)) static int64_t wallet(farebox_engine *engine, const char *account)
{
    const farebox_balance_result balance = balance_of(engine, account);
    EQUAL(0, balance.held);
    return balance.balance;
}

/* Whether an account was never opened, or has nothing. */
__attribute__((unused)) static int64_t earned(farebox_engine *engine, const char *account)
{
    farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
    const farebox_status status = farebox_balance(engine, str(account), FAREBOX_STR("USD"), &balance, NULL);
    CHECK(status == FAREBOX_OK || status == FAREBOX_ACCOUNT_NOT_FOUND);
    return status == FAREBOX_OK ? balance.balance : 0;
}

__attribute__((unused)) static int64_t records(farebox_engine *engine)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.info", "{}"));
    return json_first(out, "records");
}

/* The ledger verifies, its books balance and nothing is held. */
__attribute__((unused)) static void still_sound(farebox_engine *engine)
{
    const char *out = NULL;
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.verify", "{}"));
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.reconcile", "{}"));
    CHECK(strstr(out, "\"balanced\":true") != NULL);
    EXPECT(FAREBOX_OK, json_call(engine, &out, "ledger.info", "{}"));
    EQUAL(0, json_first(out, "open_holds"));
}

__attribute__((unused)) static void close_sound(farebox_engine *engine)
{
    still_sound(engine);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* ---- Plugins and calls ---- */

/* The error of the last `load`, `replace`, `call_tool` or `call_json` of this thread. */
__attribute__((unused)) static _Thread_local farebox_error why;

/* An operation that takes any JSON; its output is as with json_call. */
__attribute__((unused, format(printf, 4, 5))) static farebox_status
call_json(farebox_engine *engine, const char **out, const char *operation, const char *format, ...)
{
    static _Thread_local char input[1 << 16], output[1 << 20];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(input, sizeof input, format, arguments);
    va_end(arguments);
    why = (farebox_error)FAREBOX_ERROR_INIT;
    farebox_text text = {NULL, 0};
    const farebox_status status = farebox_call(engine, str(operation), str(input), &text, &why);
    EQUAL(status, why.status);
    output[0] = '\0';
    if (status == FAREBOX_OK) {
        snprintf(output, sizeof output, "%s", text.ptr);
        farebox_text_free(&text);
    } else {
        CHECK(why.message[0] != '\0');
    }
    if (out != NULL) {
        *out = output;
    }
    return status;
}

/* As call_json, without an output. */
#define DO(engine, operation, ...) call_json((engine), NULL, (operation), __VA_ARGS__)

__attribute__((unused)) static farebox_status load_at(farebox_engine *engine, const char *path)
{
    return DO(engine, "plugin.load", "{\"path\":\"%s\"}", path);
}

__attribute__((unused)) static farebox_status load(farebox_engine *engine, const char *name)
{
    return load_at(engine, fixture(name));
}

__attribute__((unused)) static farebox_status replace(farebox_engine *engine, const char *name)
{
    return DO(engine, "plugin.replace", "{\"path\":\"%s\"}", fixture(name));
}

/* What a call gave; its text is cut to fit and ends in NUL. */
typedef struct answer {
    farebox_status status;
    size_t len;
    farebox_receipt receipt;
    farebox_error error;
    char text[4096];
} answer;

__attribute__((unused)) static farebox_tool_args a_call(const char *tool, const char *input)
{
    farebox_tool_args args = FAREBOX_TOOL_ARGS_INIT;
    args.payer = FAREBOX_STR("user:ana");
    args.tool = str(tool);
    args.input = str(input);
    return args;
}

__attribute__((unused)) static answer call_with(farebox_engine *engine, const farebox_tool_args *args)
{
    answer given = {0, 0, FAREBOX_RECEIPT_INIT, FAREBOX_ERROR_INIT, {0}};
    farebox_text text = {NULL, 0};
    given.status = farebox_call_tool(engine, args, &text, &given.receipt, &given.error);
    EQUAL(given.status, given.error.status);
    CHECK(given.status == FAREBOX_OK ? text.ptr != NULL && text.ptr[text.len] == '\0' : text.ptr == NULL);
    CHECK(given.status == FAREBOX_OK || given.error.message[0] != '\0');
    given.len = text.len;
    memcpy(given.text, text.ptr == NULL ? "" : text.ptr,
           text.len < sizeof given.text ? text.len : sizeof given.text - 1);
    farebox_text_free(&text);
    return given;
}

__attribute__((unused)) static answer call_tool(farebox_engine *engine, const char *tool, const char *input)
{
    const farebox_tool_args args = a_call(tool, input);
    return call_with(engine, &args);
}

/* A call that must succeed with this output and this charge. */
__attribute__((unused)) static void works(farebox_engine *engine, const char *tool, const char *input,
                                          const char *output, int64_t amount)
{
    const int64_t before = wallet(engine, "user:ana");
    const answer given = call_tool(engine, tool, input);
    if (!EXPECT(FAREBOX_OK, given.status)) {
        fprintf(stderr, "%s %s: %s\n", tool, input, given.error.message);
    }
    CHECK(strcmp(given.text, output) == 0);
    EQUAL(amount, given.receipt.amount);
    EQUAL(before - amount, wallet(engine, "user:ana"));
}

/* ---- The host's process ---- */

typedef struct process_state {
    int descriptors, children, zombies;
} process_state;

/* What this process holds now. */
__attribute__((unused)) static process_state process_now(void)
{
    process_state now = {0, 0, 0};
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        now.descriptors += entry->d_name[0] != '.';
    }
    closedir(folder);
    now.descriptors--; /* the folder's own */
    folder = opendir("/proc");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[300], line[512] = "", state = ' ';
        int parent = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file == NULL) {
            continue;
        }
        const char *name_end = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
        fclose(file);
        if (name_end != NULL && sscanf(name_end + 1, " %c %d", &state, &parent) == 2 && parent == (int)getpid()) {
            now.children++;
            now.zombies += state == 'Z';
        }
    }
    closedir(folder);
    return now;
}

/* The process holds what it held; workers that were killed may take a moment to be gone. */
__attribute__((unused)) static void holds_as_before(process_state before)
{
    process_state now = process_now();
    for (int wait = 0; wait < 200 && (now.children > before.children || now.descriptors > before.descriptors); wait++) {
        usleep(10000);
        now = process_now();
    }
    EQUAL(before.descriptors, now.descriptors);
    EQUAL(before.children, now.children);
    EQUAL(0, now.zombies);
}

/* Milliseconds of a clock that never goes back. */
__attribute__((unused)) static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif

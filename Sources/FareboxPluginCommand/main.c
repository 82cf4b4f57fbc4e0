/* farebox-plugin - what authors and operators do with plugins from a shell.
 *
 *   farebox-plugin inspect MANIFEST                  what a manifest says; nothing is run
 *   farebox-plugin quote MANIFEST TOOL [USAGE]       what a call would cost; nothing is run
 *   farebox-plugin seal MANIFEST                     writes the SHA-256 of its files into the manifest
 *   farebox-plugin sign MANIFEST KEYFILE             signs the manifest; makes a key where there is none
 *   farebox-plugin validate MANIFEST [--seed N] [--rounds N] [--config JSON]
 *                                                    conformance and generated inputs, out of process
 *   farebox-plugin call MANIFEST TOOL [INPUT] [--config JSON]
 *                                                    runs a tool in a worker, charging nobody
 *   farebox-plugin scan FOLDER...                    what plugins there are below folders, and which of them work
 *
 * Each prints one JSON object. `validate`, `call` and `scan` load what is below the manifest's folder, unsigned too, with no
 * permission but those of --permissions JSON (as in a policy). Exit status: 0 done, 1 refused or not valid, 2 misused.
 */
#include "farebox.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that grows; there is always a NUL after it. */
typedef struct text {
    char *bytes;
    size_t count;
    size_t room;
} text;

static void append(text *to, const char *bytes, size_t count) {
    if (to->count + count + 1 > to->room) {
        to->room = 2 * (to->count + count + 1);
        to->bytes = realloc(to->bytes, to->room);
        if (to->bytes == NULL) {
            fputs("farebox-plugin: there is no memory\n", stderr);
            exit(1);
        }
    }
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
    to->bytes[to->count] = 0;
}

static void append_json(text *to, const char *json) { append(to, json, strlen(json)); }

static void append_string(text *to, const char *string) {
    append_json(to, "\"");
    for (const char *next = string; *next != 0; next++) {
        char escape[8];
        if ((unsigned char)*next < 0x20) {
            append(to, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*next));
        } else {
            if (*next == '"' || *next == '\\') append_json(to, "\\");
            append(to, next, 1);
        }
    }
    append_json(to, "\"");
}

/* Appends `"name":` with a comma before it where it is not the first member. */
static void append_name(text *to, const char *name) {
    append_json(to, to->count > 1 ? "," : "");
    append_string(to, name);
    append_json(to, ":");
}

static farebox_str borrowed(const text *from) { return (farebox_str){from->bytes, from->count}; }

static _Noreturn void misused(void) {
    fputs("usage: farebox-plugin inspect|seal|validate MANIFEST, quote|call MANIFEST TOOL [JSON],\n"
          "       sign MANIFEST KEYFILE, scan FOLDER...\n"
          "       [--seed N] [--rounds N] [--config JSON] [--permissions JSON]\n",
          stderr);
    exit(2);
}

static int refused(const farebox_error *error) {
    fprintf(stderr, "farebox-plugin: %s%s%s: %s\n", farebox_status_name(error->status), error->field[0] ? " " : "",
            error->field, error->message);
    return 1;
}

typedef struct options {
    const char *words[64];
    size_t count;
    const char *seed;
    const char *rounds;
    const char *config;
    const char *permissions;
} options;

static options read_options(int argc, char **argv) {
    options given = {{NULL}, 0, NULL, NULL, NULL, NULL};
    for (int index = 1; index < argc; index++) {
        const char *word = argv[index];
        const char **place = strcmp(word, "--seed") == 0          ? &given.seed
                             : strcmp(word, "--rounds") == 0      ? &given.rounds
                             : strcmp(word, "--config") == 0      ? &given.config
                             : strcmp(word, "--permissions") == 0 ? &given.permissions
                                                                  : NULL;
        if (place != NULL) {
            if (++index == argc) misused();
            *place = argv[index];
        } else if (strncmp(word, "--", 2) == 0 || given.count == 64) {
            misused();
        } else {
            given.words[given.count++] = word;
        }
    }
    return given;
}

/* The absolute path of a file or folder without links, or the end of the program. */
static char *resolved(const char *path) {
    char *found = realpath(path, NULL);
    if (found != NULL) return found;
    fprintf(stderr, "farebox-plugin: there is no '%s'\n", path);
    exit(1);
}

/* Allows this process to load what is below the folders, or the folders of the manifests. */
static void allow(const char *const *paths, size_t count, int are_manifests, const options *given) {
    text policy = {NULL, 0, 0};
    append_json(&policy, "{\"directories\":[");
    for (size_t index = 0; index < count; index++) {
        char *path = resolved(paths[index]);
        char *slash = strrchr(path, '/');
        if (are_manifests && slash != NULL && slash != path) *slash = 0;
        if (index > 0) append_json(&policy, ",");
        append_string(&policy, path);
        free(path);
    }
    append_json(&policy, "],\"trust\":\"unsigned\",\"system_libraries\":true");
    if (given->permissions != NULL) {
        append_json(&policy, ",\"permissions\":");
        append_json(&policy, given->permissions);
    }
    append_json(&policy, "}");
    farebox_error error = FAREBOX_ERROR_INIT;
    if (farebox_set_plugin_policy(borrowed(&policy), &error)) exit(refused(&error));
    free(policy.bytes);
}

/* Does an operation and prints what it gives; returns the program's exit status. */
static int perform(farebox_engine *engine, const char *operation, const text *input) {
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_text output = {NULL, 0};
    const farebox_str name = {operation, strlen(operation)};
    if (farebox_call(engine, name, borrowed(input), &output, &error)) return refused(&error);
    puts(output.ptr);
    const int is_invalid = strcmp(operation, "plugin.validate") == 0 && strstr(output.ptr, "\"valid\":true") == NULL;
    farebox_text_free(&output);
    return is_invalid;
}

static int call(farebox_engine *engine, const text *load, const options *given) {
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_text output = {NULL, 0};
    if (farebox_call(engine, FAREBOX_STR("plugin.load"), borrowed(load), &output, &error)) return refused(&error);
    farebox_text_free(&output);
    farebox_tool_args args = FAREBOX_TOOL_ARGS_INIT;
    args.flags = FAREBOX_TOOL_UNCHARGED;
    args.tool = (farebox_str){given->words[2], strlen(given->words[2])};
    if (given->count > 3) args.input = (farebox_str){given->words[3], strlen(given->words[3])};
    if (farebox_call_tool(engine, &args, &output, NULL, &error)) return refused(&error);
    fwrite(output.ptr, 1, output.len, stdout);
    putchar('\n');
    farebox_text_free(&output);
    return 0;
}

int main(int argc, char **argv) {
    const options given = read_options(argc, argv);
    if (given.count < 2) misused();
    const char *command = given.words[0];
    const int is_scan = strcmp(command, "scan") == 0;
    const int is_call = strcmp(command, "call") == 0;
    const int is_quote = strcmp(command, "quote") == 0;
    const int is_sign = strcmp(command, "sign") == 0;
    const int is_validate = strcmp(command, "validate") == 0;
    const int is_plain = strcmp(command, "inspect") == 0 || strcmp(command, "seal") == 0 || is_validate;
    if (!is_plain && !is_scan && !(is_call || is_quote ? given.count >= 3 && given.count <= 4 : is_sign)) misused();
    if ((is_plain && given.count != 2) || (is_sign && given.count != 3)) misused();

    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_engine *engine = NULL;
    if (is_scan) allow(given.words + 1, given.count - 1, 0, &given);
    if (is_call || is_validate) allow(given.words + 1, 1, 1, &given);
    if (farebox_open(&engine, FAREBOX_STR("memory:"), NULL, &error)) return refused(&error);

    text input = {NULL, 0, 0};
    append_json(&input, "{");
    if (!is_scan) {
        char *path = resolved(given.words[1]);
        append_name(&input, "path");
        append_string(&input, path);
        free(path);
    }
    if (is_quote) {
        append_name(&input, "tool");
        append_string(&input, given.words[2]);
        if (given.count > 3) append_name(&input, "usage");
        if (given.count > 3) append_json(&input, given.words[3]);
    }
    if (is_sign) {
        append_name(&input, "key");
        append_string(&input, given.words[2]);
    }
    const struct {
        const char *name;
        const char *json;
    } more[] = {{"seed", is_validate ? given.seed : NULL},
                {"rounds", is_validate ? given.rounds : NULL},
                {"config", is_validate || is_call ? given.config : NULL}};
    for (size_t index = 0; index < sizeof more / sizeof *more; index++) {
        if (more[index].json == NULL) continue;
        append_name(&input, more[index].name);
        append_json(&input, more[index].json);
    }
    append_json(&input, "}");

    char operation[64];
    snprintf(operation, sizeof operation, "plugin.%s", command);
    const int status = is_call ? call(engine, &input, &given) : perform(engine, operation, &input);
    free(input.bytes);
    farebox_close(engine, NULL);
    return status;
}

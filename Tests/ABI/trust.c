/* What may be loaded: the policy of a process, which only tightens, and files that change while they are looked at.
 *
 *   trust [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own, and so does every case of a policy, which is the process's. FAREBOX_LONG
 * makes the race for a file longer. */
#include "plugins.h"

#include <fcntl.h>

static const char good_id[] = "org.farebox.test.good";

/* The SHA-256 of a file, in hexadecimal. */
static const char *digest_of(const char *path)
{
    static char digest[65];
    char command[2048];
    snprintf(command, sizeof command, "sha256sum '%s'", path);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL && fread(digest, 1, 64, pipe) == 64);
    pclose(pipe);
    return digest;
}

/* Runs a case in a process of its own, which counts as one check. */
static void in_child(const char *name, void (*body)(const void *), const void *argument)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        checks_failed = 0;
        body(argument);
        fflush(NULL);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        fprintf(stderr, "in the case %s\n", name);
    }
}

/* ---- Off until it is set ---- */

/* Every operation there is, with inputs that would like to switch loading on. */
static void off(void)
{
    farebox_engine *engine = open_memory();
    EXPECT(FAREBOX_PLUGINS_OFF, load(engine, "good-1.0.0"));
    EXPECT(FAREBOX_PLUGINS_OFF, DO(engine, "plugin.scan", "{}"));
    EXPECT(FAREBOX_PLUGINS_OFF, DO(engine, "plugin.validate", "{\"path\":\"%s\"}", fixture("good-1.0.0")));
    EXPECT(FAREBOX_PLUGINS_OFF, replace(engine, "good-1.0.0"));
    setenv("FAREBOX_PLUGIN_PATH", fixtures_folder(), 1);
    farebox_text description = {NULL, 0};
    MUST(farebox_describe(&description, NULL));
    int operations = 0;
    for (const char *at = description.ptr; (at = strstr(at, "\"name\":\"")) != NULL; at++) {
        char name[64];
        if (sscanf(at, "\"name\":\"%63[a-z_.]", name) != 1 || strchr(name, '.') == NULL) {
            continue;
        }
        static const char *const inputs[] = {
            "{}",
            "{\"policy\":{\"directories\":[\"/\"],\"trust\":\"unsigned\"}}",
            "{\"enabled\":true}",
            "{\"directories\":[\"/\"],\"trust\":\"unsigned\"}",
        };
        for (size_t k = 0; k < sizeof inputs / sizeof inputs[0]; k++) {
            farebox_text text = {NULL, 0};
            farebox_call(engine, str(name), str(inputs[k]), &text, NULL);
            farebox_text_free(&text);
        }
        operations++;
    }
    CHECK(operations > 50);
    farebox_text_free(&description);
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.policy", "{}"));
    CHECK(strstr(out, "\"enabled\":false") != NULL);
    EXPECT(FAREBOX_PLUGINS_OFF, load(engine, "good-1.0.0"));
    /* Manifests can be read and quoted all the same. */
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.inspect", "{\"path\":\"%s\"}", fixture("good-1.0.0")));
    CHECK(strstr(out, "\"plugin\":\"org.farebox.test.good\"") != NULL);
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.quote",
                                 "{\"path\":\"%s\",\"tool\":\"good.count\",\"usage\":{\"units\":\"12.5\"}}",
                                 fixture("good-1.0.0")));
    CHECK(strstr(out, "\"total\":\"0.0125\"") != NULL);
    close_sound(engine);
}

/* ---- Tightening ---- */

static const char key_a[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
static const char key_b[] = "/wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
static const char pin_a[] = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";
static const char pin_b[] = "1f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

/* A member of a policy: what is set first, what allows less, and what allows more. */
typedef struct tightening {
    const char *member, *first, *less, *more;
} tightening;

static farebox_status set_member(const char *member, const char *value, farebox_error *error)
{
    char policy[4096];
    snprintf(policy, sizeof policy, "{%s%s%s%s}",
             strcmp(member, "directories") == 0 ? "" : "\"directories\":[\"/opt/a\"]",
             value[0] == '\0' || strcmp(member, "directories") == 0 ? "" : ",", value,
             strncmp(member, "trust", 5) == 0 ? "" : ",\"trust\":\"unsigned\"");
    return farebox_set_plugin_policy(str(policy), error);
}

static void tighten(const void *argument)
{
    const tightening *one = argument;
    farebox_error error = FAREBOX_ERROR_INIT;
    if (!EXPECT(FAREBOX_OK, set_member(one->member, one->first, &error))) {
        fprintf(stderr, "%s at %s: %s\n", one->first, error.field, error.message);
    }
    EXPECT(FAREBOX_OK, set_member(one->member, one->first, &error));
    error = (farebox_error)FAREBOX_ERROR_INIT;
    EXPECT(FAREBOX_PLUGIN_POLICY, set_member(one->member, one->more, &error));
    if (!CHECK(strncmp(error.field, one->member, strlen(one->member)) == 0 && error.message[0] != '\0')) {
        fprintf(stderr, "at %s: %s\n", error.field, error.message);
    }
    EXPECT(FAREBOX_OK, set_member(one->member, one->first, &error));
    EXPECT(FAREBOX_OK, set_member(one->member, one->less, &error));
    EXPECT(FAREBOX_OK, set_member(one->member, one->less, &error));
    EXPECT(FAREBOX_PLUGIN_POLICY, set_member(one->member, one->first, &error));
    EXPECT(FAREBOX_PLUGIN_POLICY, set_member(one->member, one->more, &error));
}

static void tightens_only(void)
{
    char keys[3][512], pins[3][512];
    snprintf(keys[0], sizeof keys[0], "\"keys\":{\"a\":\"%s\"}", key_a);
    snprintf(keys[1], sizeof keys[1], "\"keys\":{}");
    snprintf(keys[2], sizeof keys[2], "\"keys\":{\"a\":\"%s\",\"b\":\"%s\"}", key_a, key_b);
    snprintf(pins[0], sizeof pins[0], "\"pins\":[\"%s\"]", pin_a);
    snprintf(pins[1], sizeof pins[1], "\"pins\":[]");
    snprintf(pins[2], sizeof pins[2], "\"pins\":[\"%s\",\"%s\"]", pin_a, pin_b);
    const tightening members[] = {
        {"directories", "\"directories\":[\"/opt/a\",\"/opt/b\"]", "\"directories\":[\"/opt/a/c\"]",
         "\"directories\":[\"/opt/a\",\"/opt\"]"},
        {"trust", "\"trust\":\"pinned\"", "\"trust\":\"signed\"", "\"trust\":\"unsigned\""},
        {"keys", keys[0], keys[1], keys[2]},
        {"pins", pins[0], pins[1], pins[2]},
        {"revoked", "\"revoked\":[\"org.a.b\"]", "\"revoked\":[\"org.a.b\",\"org.a.c@1.0.0\"]", "\"revoked\":[]"},
        {"in_process", "\"in_process\":[\"org.a.b\"]", "\"in_process\":[]", "\"in_process\":[\"org.a.b\",\"org.a.c\"]"},
        {"permissions.network", "\"permissions\":{\"network\":false,\"subprocess\":true}",
         "\"permissions\":{\"network\":false}", "\"permissions\":{\"network\":true,\"subprocess\":true}"},
        {"permissions.subprocess", "\"permissions\":{\"network\":true}", "\"permissions\":{}",
         "\"permissions\":{\"subprocess\":true,\"network\":true}"},
        {"permissions.read", "\"permissions\":{\"read\":[\"/srv/a\"]}", "\"permissions\":{\"read\":[\"/srv/a/b\"]}",
         "\"permissions\":{\"read\":[\"/srv\"]}"},
        {"permissions.write", "\"permissions\":{\"write\":[\"/srv/a\"]}", "\"permissions\":{}",
         "\"permissions\":{\"write\":[\"/srv/a\",\"/srv/b\"]}"},
        {"permissions.environment", "\"permissions\":{\"environment\":[\"LANG\"]}", "\"permissions\":{}",
         "\"permissions\":{\"environment\":[\"LANG\",\"TZ\"]}"},
        {"permissions.memory_bytes", "\"permissions\":{\"memory_bytes\":100000000}",
         "\"permissions\":{\"memory_bytes\":99999999}", "\"permissions\":{\"memory_bytes\":100000001}"},
        {"permissions.output_bytes", "\"permissions\":{\"output_bytes\":1000}",
         "\"permissions\":{\"output_bytes\":999}", "\"permissions\":{\"output_bytes\":1001}"},
        {"permissions.deadline_ms", "\"permissions\":{\"deadline_ms\":1000}", "\"permissions\":{\"deadline_ms\":999}",
         "\"permissions\":{\"deadline_ms\":1001}"},
        {"permissions.descriptors", "\"permissions\":{\"descriptors\":32}", "\"permissions\":{\"descriptors\":31}",
         "\"permissions\":{\"descriptors\":33}"},
        {"lock", "\"lock\":\"/opt/lock\",\"processes\":2", "\"lock\":\"/opt/lock\"",
         "\"lock\":\"/opt/other\",\"processes\":2"},
        {"cache", "\"cache\":\"/opt/cache\",\"processes\":2", "\"cache\":\"/opt/cache\"", "\"processes\":2"},
        {"worker", "\"worker\":\"/opt/worker\",\"processes\":2", "\"worker\":\"/opt/worker\"",
         "\"worker\":\"/opt/other\",\"processes\":2"},
        {"processes", "\"processes\":4", "\"processes\":1", "\"processes\":5"},
    };
    for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
        in_child(members[k].member, tighten, &members[k]);
    }
    static const tightening switches[] = {
        {"system_libraries", "\"system_libraries\":true,\"processes\":2", "\"system_libraries\":false", ""},
        {"locked", "\"lock\":\"/opt/lock\",\"locked\":true,\"processes\":2", "\"lock\":\"/opt/lock\",\"locked\":true",
         "\"lock\":\"/opt/lock\",\"locked\":false"},
    };
    farebox_error error = FAREBOX_ERROR_INIT;
    EXPECT(FAREBOX_OK, set_member("system_libraries", switches[0].less, &error));
    EXPECT(FAREBOX_PLUGIN_POLICY, set_member("system_libraries", switches[0].first, &error));
    CHECK(strcmp(error.field, "system_libraries") == 0);
    EXPECT(FAREBOX_OK, set_member("locked", switches[1].less, &error));
    EXPECT(FAREBOX_PLUGIN_POLICY, set_member("locked", switches[1].more, &error));
    CHECK(strcmp(error.field, "locked") == 0);

    /* What is no policy changes nothing. */
    static const struct {
        const char *policy;
        farebox_status expected;
    } none[] = {
        {"", FAREBOX_INVALID_JSON},
        {"[]", FAREBOX_INVALID_ARGUMENT},
        {"{}", FAREBOX_MISSING_FIELD},
        {"{\"directories\":[]}", FAREBOX_PLUGIN_POLICY}, /* it would unlock */
        {"{\"directories\":[\"relative\"]}", FAREBOX_INVALID_ARGUMENT},
        {"{\"directories\":[\"/a\"],\"more\":1}", FAREBOX_UNKNOWN_FIELD},
        {"{\"directories\":[\"/a\"],\"permissions\":{\"more\":1}}", FAREBOX_UNKNOWN_FIELD},
        {"{\"directories\":[\"/a\"],\"processes\":17}", FAREBOX_INVALID_ARGUMENT},
        {"{\"directories\":[\"/a\"],\"processes\":0}", FAREBOX_INVALID_ARGUMENT},
        {"{\"directories\":[\"\xff\"]}", FAREBOX_INVALID_UTF8},
        {"{\"directories\":[\"/a\"],\"trust\":\"built-in\"}", FAREBOX_INVALID_ARGUMENT},
        {"{\"directories\":[\"/a\"],\"trust\":true}", FAREBOX_INVALID_ARGUMENT},
    };
    for (size_t k = 0; k < sizeof none / sizeof none[0]; k++) {
        const farebox_status status = farebox_set_plugin_policy(str(none[k].policy), &error);
        if (!EXPECT(none[k].expected, status)) {
            fprintf(stderr, "%s at %s: %s\n", none[k].policy, error.field, error.message);
        }
    }
    EXPECT(FAREBOX_TOO_LONG, farebox_set_plugin_policy((farebox_str){"{}", SIZE_MAX}, &error));
    EXPECT(FAREBOX_OK, set_member("locked", switches[1].less, &error));
}

/* ---- A tightened policy stops a plugin at its next call ---- */

typedef struct stopping {
    const char *name, *before, *after, *field;
} stopping;

static char signer[64], changed_manifest[1024];

/* A policy as set_policy sets it, but for what stands in `members`. */
static farebox_status set_raw(const char *members)
{
    char policy[4096];
    snprintf(policy, sizeof policy, "{%s%s}", members,
             strstr(members, "\"trust\"") == NULL ? ",\"trust\":\"unsigned\"" : "");
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status status = farebox_set_plugin_policy(str(policy), &error);
    if (status != FAREBOX_OK) {
        fprintf(stderr, "%s at %s: %s\n", policy, error.field, error.message);
    }
    return status;
}

static void stop(const void *argument)
{
    const stopping *one = argument;
    MUST(set_raw(one->before));
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    MUST(load_at(engine, changed_manifest));
    works(engine, "good.echo", "{}", "{}", CENT);
    works(engine, "good.tally", "{}", "{\"value\":1}", CENT);
    MUST(set_raw(one->before));
    works(engine, "good.tally", "{}", "{\"value\":2}", CENT);
    MUST(set_raw(one->after));
    const int64_t had = wallet(engine, "user:ana");
    const answer given = call_tool(engine, "good.tally", "{}");
    if (one->field == NULL) {
        EXPECT(FAREBOX_OK, given.status);
        CHECK(strcmp(given.text, "{\"value\":3}") == 0);
    } else {
        EXPECT(FAREBOX_PLUGIN_POLICY, given.status);
        if (!CHECK(strncmp(given.error.field, one->field, strlen(one->field)) == 0)) {
            fprintf(stderr, "at %s: %s\n", given.error.field, given.error.message);
        }
        EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "good.echo", "{}").status);
        EQUAL(had, wallet(engine, "user:ana"));
        if (strstr(one->before, "in_process") == NULL) {
            holds_as_before(before);
        }
        CHECK(load_at(engine, changed_manifest) != FAREBOX_OK || strcmp(one->field, "in_process") == 0);
    }
    close_sound(engine);
}

static void stops(void)
{
    /* A copy of the good plugin that wants the network too, and is signed. */
    snprintf(changed_manifest, sizeof changed_manifest, "%s", copied("good-1.0.0", "changed"));
    shell("sed -i 's|\"store\": true|\"store\": true, \"network\": true, \"environment\": [\"LANG\"]|' '%s'",
          changed_manifest);
    const char *out = NULL;
    farebox_engine *engine = open_memory();
    MUST(
        call_json(engine, &out, "plugin.sign", "{\"path\":\"%s\",\"key\":\"%s/key\"}", changed_manifest, own_folder()));
    CHECK(sscanf(strstr(out, "\"public_key\":"), "\"public_key\":\"%63[^\"]", signer) == 1);
    MUST(farebox_close(engine, NULL));
    char manifest_digest[65], file_digest[65], base[2048], library[1200];
    snprintf(manifest_digest, sizeof manifest_digest, "%s", digest_of(changed_manifest));
    snprintf(library, sizeof library, "%s/changed/libgood.so", own_folder());
    snprintf(file_digest, sizeof file_digest, "%s", digest_of(library));
    const char permissions[] = "\"permissions\":{\"network\":true,\"environment\":[\"LANG\"]}";
    snprintf(base, sizeof base, "\"directories\":[\"%s\"],\"pins\":[\"%s\"],\"keys\":{\"k\":\"%s\"}", own_folder(),
             manifest_digest, signer);
    char texts[24][4096];
    int count = 0;
#define POLICY(...) (snprintf(texts[count], sizeof texts[count], __VA_ARGS__), texts[count++])
    const stopping cases[] = {
        {"nothing", POLICY("%s,%s", base, permissions), POLICY("%s,%s,\"processes\":1", base, permissions), NULL},
        {"directories", POLICY("%s,%s", base, permissions),
         POLICY("\"directories\":[\"%s/other\"],%s", own_folder(), permissions), "directories"},
        {"id", texts[0], POLICY("%s,%s,\"revoked\":[\"%s\"]", base, permissions, good_id), "revoked"},
        {"version", texts[0], POLICY("%s,%s,\"revoked\":[\"%s@1.0.0\"]", base, permissions, good_id), "revoked"},
        {"other version", texts[0], POLICY("%s,%s,\"revoked\":[\"%s@1.0.1\"]", base, permissions, good_id), NULL},
        {"manifest", texts[0], POLICY("%s,%s,\"revoked\":[\"%s\"]", base, permissions, manifest_digest), "revoked"},
        {"file", texts[0], POLICY("%s,%s,\"revoked\":[\"%s\"]", base, permissions, file_digest), "revoked"},
        {"key revoked", texts[0], POLICY("%s,%s,\"revoked\":[\"%s\"]", base, permissions, signer), "revoked"},
        {"network", texts[0], POLICY("%s,\"permissions\":{\"environment\":[\"LANG\"]}", base), "permissions.network"},
        {"environment", texts[0], POLICY("%s,\"permissions\":{\"network\":true}", base), "permissions.environment"},
        {"store", texts[0],
         POLICY("%s,\"permissions\":{\"network\":true,\"environment\":[\"LANG\"],\"store\":false}", base),
         "permissions.store"},
        {"trust", texts[0], POLICY("\"directories\":[\"%s\"],\"trust\":\"pinned\",%s", own_folder(), permissions),
         "trust"},
        {"pin kept", POLICY("%s,\"trust\":\"pinned\",%s", base, permissions),
         POLICY("\"directories\":[\"%s\"],\"trust\":\"pinned\",\"pins\":[\"%s\"],%s", own_folder(), manifest_digest,
                permissions),
         NULL},
        {"key kept", POLICY("%s,\"trust\":\"signed\",%s", base, permissions),
         POLICY("\"directories\":[\"%s\"],\"trust\":\"signed\",\"keys\":{\"k\":\"%s\"},%s", own_folder(), signer,
                permissions),
         NULL},
        {"key removed", POLICY("%s,\"trust\":\"signed\",%s", base, permissions),
         POLICY("\"directories\":[\"%s\"],\"trust\":\"signed\",\"pins\":[\"%s\"],%s", own_folder(), manifest_digest,
                permissions),
         "trust"},
        {"in process", POLICY("%s,%s,\"in_process\":[\"%s\"]", base, permissions, good_id), texts[0], "in_process"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        in_child(cases[k].name, stop, &cases[k]);
    }
}

/* ---- Files that change ---- */

/* What is loaded after `command` has changed a copy of the good plugin that was scanned and inspected before. */
static void changed(farebox_engine *engine, farebox_status expected, const char *command)
{
    char path[1024], folder[1024];
    snprintf(path, sizeof path, "%s", copied("good-1.0.0", "swapped"));
    snprintf(folder, sizeof folder, "%s/swapped", own_folder());
    EXPECT(FAREBOX_OK, DO(engine, "plugin.scan", "{\"probe\":false}"));
    EXPECT(FAREBOX_OK, DO(engine, "plugin.inspect", "{\"path\":\"%s\"}", path));
    shell("cd '%s' && %s", folder, command);
    const farebox_status status = load_at(engine, path);
    if (!EXPECT(expected, status)) {
        fprintf(stderr, "after %s: %s\n", command, why.message);
    }
    if (status == FAREBOX_OK) {
        EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    } else {
        EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.health", "{\"plugin\":\"%s\"}", good_id));
    }
}

static void swapped(void)
{
    setenv("FAREBOX_PLUGIN_PATH", own_folder(), 1);
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    char other[1200], command[2048];
    snprintf(other, sizeof other, "%s/good-1.1.0/libgood.so", fixtures_folder());
    changed(engine, FAREBOX_OK, "true");
    snprintf(command, sizeof command, "cp '%s' new && mv new libgood.so", other);
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, command);
    snprintf(command, sizeof command, "cat '%s' > libgood.so", other);
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, command);
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "truncate -s 4096 libgood.so");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "truncate -s 0 libgood.so");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "printf x >> libgood.so");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "printf x | dd of=libgood.so bs=1 seek=3000 conv=notrunc status=none");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "cp libgood.so copy.so && ln -sf copy.so libgood.so");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "rm libgood.so && mkdir libgood.so");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "rm libgood.so && mkfifo libgood.so");
    changed(engine, FAREBOX_PLUGIN_NOT_FOUND, "rm libgood.so");
    changed(engine, FAREBOX_PLUGIN_NOT_FOUND, "rm *.json");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "mv *.json m && ln -s m org.farebox.test.good.farebox.json");
    changed(engine, FAREBOX_PLUGIN_BROKEN, "sed -i 's/\"version\": \"1.0.0\"/\"version\": \"1.0.1\"/' *.json");
    changed(engine, FAREBOX_PLUGIN_BROKEN,
            "sed -i 's/\"id\": \"org.farebox.test.good\"/\"id\": \"org.farebox.test.evil\"/' *.json");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED,
            "sed -i 's/\"sha256\": \"./\"sha256\": \"/; s/\\(\"sha256\": \"[^\"]*\\)/\\10/' *.json");
    changed(engine, FAREBOX_PLUGIN_MANIFEST, "sed -i 's/\"license\"/\"licence\"/' *.json");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "chmod o+w libgood.so");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "chmod g+w *.json");
    changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "chmod o+w .");
    if (geteuid() == 0) {
        changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "chown 12345 libgood.so");
        changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "chown 12345 *.json");
        changed(engine, FAREBOX_PLUGIN_UNTRUSTED, "chown 12345 .");
    }
    char path[1024], outside[1024];
    snprintf(path, sizeof path, "%s", copied("good-1.0.0", "swapped"));
    snprintf(outside, sizeof outside, "%s-outside", own_folder());
    shell("rm -rf '%s' && cp -rp '%s/swapped' '%s'", outside, own_folder(), outside);
    EXPECT(FAREBOX_PLUGIN_POLICY, load_at(engine, manifest_in(outside)));
    EXPECT(FAREBOX_INVALID_ARGUMENT,
           DO(engine, "plugin.load", "{\"path\":\"%s/../swapped/x.farebox.json\"}", own_folder()));
    EXPECT(FAREBOX_INVALID_ARGUMENT, load_at(engine, "org.farebox.test.good.farebox.json"));
    EXPECT(FAREBOX_INVALID_ARGUMENT, load_at(engine, "/etc/passwd"));
    shell("ln -s '%s' '%s/link'", outside, own_folder());
    EXPECT(FAREBOX_PLUGIN_UNTRUSTED,
           DO(engine, "plugin.load", "{\"path\":\"%s/link/%s.farebox.json\"}", own_folder(), good_id));
    shell("rm -rf '%s'", outside);

    /* What runs stays what was verified, also in workers that are started later. */
    char hostile[1024];
    snprintf(hostile, sizeof hostile, "%s", copied("hostile", "later"));
    MUST(load_at(engine, hostile));
    shell("cat '%s' > '%s/later/libhostile.so'", other, own_folder());
    EXPECT(FAREBOX_PLUGIN_CRASHED, call_tool(engine, "hostile.segfault", "{}").status);
    works(engine, "hostile.error_then_ok", "{}", "{\"ok\":true}", CENT);
    close_sound(engine);
}

/* ---- The race ---- */

static atomic_int race_is_over;

/* Puts one library and another in the place of the plugin's, by renaming and by writing over it. */
static void *swap_files(void *unused)
{
    (void)unused;
    char target[1200], fresh[1200];
    snprintf(target, sizeof target, "%s/raced/libgood.so", own_folder());
    snprintf(fresh, sizeof fresh, "%s/raced/fresh", own_folder());
    static char bytes[2][1 << 20];
    size_t counts[2];
    for (int k = 0; k < 2; k++) {
        char source[1200];
        snprintf(source, sizeof source, "%s/good-1.%d.0/libgood.so", fixtures_folder(), k);
        FILE *file = fopen(source, "rb");
        counts[k] = file == NULL ? 0 : fread(bytes[k], 1, sizeof bytes[k], file);
        CHECK(counts[k] > 0 && counts[k] < sizeof bytes[k]);
        fclose(file);
    }
    for (int round = 0; !atomic_load(&race_is_over); round++) {
        const int which = round % 2;
        const char *path = round % 4 < 2 ? fresh : target;
        const int file = open(path, O_WRONLY | O_CREAT | (round % 3 == 0 ? O_TRUNC : 0), 0644);
        if (file >= 0) {
            const ssize_t written = write(file, bytes[which], counts[which]);
            CHECK(written == (ssize_t)counts[which] && ftruncate(file, written) == 0);
            close(file);
        }
        if (path == fresh) {
            rename(fresh, target);
        }
        usleep(which == 0 ? 2000 : 500);
    }
    return NULL;
}

static void raced(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    char path[1024];
    snprintf(path, sizeof path, "%s", copied("good-1.0.0", "raced"));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, swap_files, NULL) == 0);
    int loaded = 0, refused = 0;
    const int64_t end = milliseconds() + (is_long() ? 600000 : 6000);
    while (milliseconds() < end) {
        const farebox_status status = load_at(engine, path);
        if (status == FAREBOX_OK) {
            /* Whatever lies there now, the code that runs is what was verified. */
            const answer given = call_tool(engine, "good.version", "{}");
            EXPECT(FAREBOX_OK, given.status);
            CHECK(strstr(given.text, "\"version\":\"1.0.0\"") != NULL);
            EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
            loaded++;
        } else if (!EXPECT(FAREBOX_PLUGIN_UNTRUSTED, status)) {
            fprintf(stderr, "%s\n", why.message);
        } else {
            refused++;
        }
    }
    atomic_store(&race_is_over, 1);
    pthread_join(thread, NULL);
    printf("%d loads in a race for the file, and %d refusals\n", loaded, refused);
    CHECK(loaded > 10);
    CHECK(refused > 10);
    close_sound(engine);
}

/* ---- The lock file ---- */

static void load_once(const void *expected)
{
    char lock[1200];
    snprintf(lock, sizeof lock, "\"lock\":\"%s/farebox.lock\"%s", own_folder(),
             *(const int *)expected < 0 ? ",\"locked\":true" : "");
    MUST(set_policy(lock));
    farebox_engine *engine = open_memory();
    const farebox_status status = load_at(engine, changed_manifest);
    if (!EXPECT(abs(*(const int *)expected), status)) {
        fprintf(stderr, "%s\n", why.message);
    }
    CHECK(status == FAREBOX_OK || strcmp(why.field, "lock") == 0 || strstr(why.message, "farebox.lock") != NULL);
    close_sound(engine);
}

static void locked(void)
{
    const int works_now = FAREBOX_OK, untrusted = FAREBOX_PLUGIN_UNTRUSTED,
              untrusted_where_locked = -FAREBOX_PLUGIN_UNTRUSTED;
    snprintf(changed_manifest, sizeof changed_manifest, "%s", copied("good-1.0.0", "locked"));
    in_child("unknown, and locked", load_once, &untrusted_where_locked);
    in_child("first use", load_once, &works_now);
    in_child("known", load_once, &works_now);
    shell("sed -i 's/\"cost\": \"0.01\"/\"cost\": \"0.02\"/' '%s'", changed_manifest);
    in_child("another manifest of the same version", load_once, &untrusted);
    snprintf(changed_manifest, sizeof changed_manifest, "%s", copied("good-1.1.0", "locked"));
    in_child("a new version, and locked", load_once, &untrusted_where_locked);
    in_child("a new version", load_once, &works_now);
    snprintf(changed_manifest, sizeof changed_manifest, "%s", copied("good-1.0.0", "locked"));
    in_child("the old version again", load_once, &works_now);
    shell("chmod o+w '%s/farebox.lock'", own_folder());
    in_child("a lock file that anybody may write", load_once, &untrusted);
    shell("chmod o-w '%s/farebox.lock' && printf garbage > '%s/farebox.lock'", own_folder(), own_folder());
    in_child("a lock file that is none", load_once, &untrusted);
}

int main(int count, char **arguments)
{
    static const section sections[] = {
        {"off", off},       {"tightens_only", tightens_only}, {"stops", stops}, {"swapped", swapped}, {"raced", raced},
        {"locked", locked},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, is_long() ? 1800 : 90);
}

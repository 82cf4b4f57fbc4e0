/* The life of plugins: loading, replacing, configuring, finding and stopping them, and what the journal says of it.
 *
 *   plugin_life [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own. */
#include "plugins.h"

#include <sys/resource.h>

static const char good_id[] = "org.farebox.test.good";

/* ---- Loading and unloading ---- */

static void loading(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.load", "{\"path\":\"%s\"}", fixture("good-1.0.0")));
    CHECK(strstr(out, "\"changed\":true") != NULL && strstr(out, "\"state\":\"active\"") != NULL);
    CHECK(strstr(out, "\"trust\":\"unsigned\"") != NULL && strstr(out, "\"mode\":\"worker\"") != NULL);
    const int64_t count = records(engine);
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.load", "{\"path\":\"%s\"}", fixture("good-1.0.0")));
    CHECK(strstr(out, "\"changed\":false") != NULL);
    EQUAL(count, records(engine));
    EQUAL(before.children + 1, process_now().children);
    EXPECT(FAREBOX_INVALID_ARGUMENT, load(engine, "good-1.1.0"));
    CHECK(strstr(why.message, "1.0.0") != NULL);
    works(engine, "good.tally", "{}", "{\"value\":1}", CENT);
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    CHECK(strstr(out, "\"state\":\"stopped\"") != NULL);
    holds_as_before(before);
    const answer given = call_tool(engine, "good.tally", "{}");
    EXPECT(FAREBOX_PLUGIN_INACTIVE, given.status);
    CHECK(strstr(given.error.details, good_id) != NULL);
    EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.configure", "{\"plugin\":\"%s\",\"config\":{}}", good_id));
    EXPECT(FAREBOX_PLUGIN_INACTIVE, replace(engine, "good-1.1.0"));
    /* Its store is the ledger's, and so is there again. */
    MUST(load(engine, "good-1.0.0"));
    works(engine, "good.tally", "{}", "{\"value\":2}", CENT);
    close_sound(engine);

    /* After the host has ended, the skill is there and its tools are inactive until it is loaded. */
    char url[600];
    snprintf(url, sizeof url, "sqlite:%s/ledger", own_folder());
    engine = open_at(url);
    MUST(load(engine, "good-1.0.0"));
    works(engine, "good.tally", "{}", "{\"value\":1}", CENT);
    MUST(DO(engine, "tool.disable", "{\"tool\":\"good.echo\"}"));
    close_sound(engine);
    MUST(farebox_open(&engine, str(url), NULL, NULL));
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "good.tally", "{}").status);
    MUST(load(engine, "good-1.0.0"));
    works(engine, "good.tally", "{}", "{\"value\":2}", CENT);
    EXPECT(FAREBOX_TOOL_DISABLED, call_tool(engine, "good.echo", "{}").status);
    close_sound(engine);
}

/* ---- Replacing ---- */

/* A copy of good-1.0.0 that is another version, in its text, in its code and in its hash. */
static const char *good_version(farebox_engine *engine, int patch)
{
    static char path[1024];
    char name[32];
    snprintf(name, sizeof name, "good-1.0.%d", patch);
    snprintf(path, sizeof path, "%s", copied("good-1.0.0", name));
    shell("cd '%s/%s' && sed -i 's/1\\.0\\.0/1.0.%d/g' libgood.so && sed -i 's/\"version\": \"1.0.0\"/\"version\": "
          "\"1.0.%d\"/' *.json",
          own_folder(), name, patch, patch);
    MUST(DO(engine, "plugin.seal", "{\"path\":\"%s\"}", path));
    return path;
}

typedef struct caller {
    farebox_engine *engine;
    int64_t calls, paid;
    uint32_t versions; /* a bit for each that has answered */
} caller;

static atomic_int is_over;

static void *call_versions(void *argument)
{
    caller *me = argument;
    int last = 0;
    while (!atomic_load(&is_over)) {
        const answer given = call_tool(me->engine, "good.version", "{}");
        if (!EXPECT(FAREBOX_OK, given.status)) {
            fprintf(stderr, "%s\n", given.error.message);
            continue;
        }
        const char *at = strstr(given.text, "\"version\":\"1.0.");
        const int version = at == NULL ? -1 : atoi(at + strlen("\"version\":\"1.0."));
        /* One thread never sees an older version after a newer one. */
        CHECK(version >= last);
        last = version;
        me->versions |= 1u << version;
        me->calls++;
        me->paid += given.receipt.amount;
    }
    return NULL;
}

static void replacing(void)
{
    enum { THREADS = 4, VERSIONS = 8 };
    MUST(set_policy("\"processes\":2"));
    farebox_engine *engine = open_memory();
    const process_state before = process_now();
    MUST(load(engine, "good-1.0.0"));
    caller callers[THREADS] = {0};
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) {
        callers[k] = (caller){engine, 0, 0, 0};
        CHECK(pthread_create(&threads[k], NULL, call_versions, &callers[k]) == 0);
    }
    for (int version = 1; version < VERSIONS; version++) {
        const char *path = good_version(engine, version), *out = NULL;
        char replaced[64];
        snprintf(replaced, sizeof replaced, "\"replaced\":\"1.0.%d\"", version - 1);
        EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.replace", "{\"path\":\"%s\"}", path));
        CHECK(strstr(out, replaced) != NULL);
        usleep(50000);
    }
    atomic_store(&is_over, 1);
    int64_t calls = 0, paid = 0;
    uint32_t versions = 0;
    for (int k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
        calls += callers[k].calls;
        paid += callers[k].paid;
        versions |= callers[k].versions;
    }
    printf("%" PRId64 " calls of %d threads while %d versions took each other's place\n", calls, THREADS, VERSIONS);
    EQUAL((1u << VERSIONS) - 1, versions);
    EQUAL(calls * CENT, paid);
    EQUAL(1000 * USD - paid, wallet(engine, "user:ana"));
    EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    holds_as_before(before);
    close_sound(engine);
}

/* A version that is not well leaves the one before in its place, with its price. */
static void rolling_back(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    works(engine, "good.echo", "{}", "{}", CENT);
    const process_state before = process_now();
    const int64_t count = records(engine);
    EXPECT(FAREBOX_PLUGIN_FAILED, replace(engine, "good-1.2.0"));
    CHECK(strstr(why.message, "healthy") != NULL);
    EQUAL(count + 1, records(engine)); /* the refusal */
    holds_as_before(before);
    CHECK(strstr(call_tool(engine, "good.version", "{}").text, "\"version\":\"1.0.0\"") != NULL);
    works(engine, "good.echo", "{}", "{}", CENT);
    EXPECT(FAREBOX_OK, replace(engine, "good-1.1.0"));
    CHECK(strstr(call_tool(engine, "good.version", "{}").text, "\"version\":\"1.1.0\"") != NULL);
    works(engine, "good.echo", "{}", "{}", 3 * CENT);
    EXPECT(FAREBOX_PLUGIN_FAILED, replace(engine, "good-1.2.0"));
    works(engine, "good.echo", "{}", "{}", 3 * CENT);
    /* Versions that break the manifest, or are somebody else's, replace nothing. */
    EXPECT(FAREBOX_PLUGIN_MANIFEST, replace(engine, "manifest-unknown"));
    EXPECT(FAREBOX_PLUGIN_INACTIVE, replace(engine, "truth"));
    works(engine, "good.echo", "{}", "{}", 3 * CENT);
    close_sound(engine);
}

/* ---- Configuring ---- */

static farebox_status configure(farebox_engine *engine, const char *config)
{
    return DO(engine, "plugin.configure", "{\"plugin\":\"%s\",\"config\":%s}", good_id, config);
}

/* What the plugin has; its text holds nothing secret where `secret` is NULL. */
static void has_config(farebox_engine *engine, const char *config)
{
    const answer given = call_tool(engine, "good.config", "{}");
    EXPECT(FAREBOX_OK, given.status);
    if (!CHECK(strcmp(config, given.text) == 0)) {
        fprintf(stderr, "%s\n", given.text);
    }
}

static void configuring(void)
{
    MUST(set_policy(""));
    setenv("FAREBOX_TEST_TOKEN", "hunter2-secret", 1);
    char url[600];
    snprintf(url, sizeof url, "sqlite:%s/ledger", own_folder());
    farebox_engine *engine = open_at(url);
    const char *path = fixture("good-1.0.0"), *out = NULL;
    /* One that its schema forbids, or that it refuses, does not start it. */
    CHECK(DO(engine, "plugin.load", "{\"path\":\"%s\",\"config\":{\"greeting\":5}}", path) != FAREBOX_OK);
    CHECK(strstr(why.field, "config.greeting") != NULL);
    CHECK(DO(engine, "plugin.load", "{\"path\":\"%s\",\"config\":{\"more\":5}}", path) != FAREBOX_OK);
    EXPECT(FAREBOX_PLUGIN_BROKEN,
           DO(engine, "plugin.load", "{\"path\":\"%s\",\"config\":{\"greeting\":\"refuse\"}}", path));
    EXPECT(FAREBOX_OK, DO(engine, "plugin.load", "{\"path\":\"%s\",\"config\":{\"greeting\":\"hi\"}}", path));
    has_config(engine, "{\"greeting\":\"hi\"}");
    EXPECT(FAREBOX_OK, configure(engine, "{\"greeting\":\"hello\"}"));
    has_config(engine, "{\"greeting\":\"hello\"}");
    CHECK(configure(engine, "{\"greeting\":5}") != FAREBOX_OK);
    CHECK(configure(engine, "{\"more\":1}") != FAREBOX_OK);
    CHECK(configure(engine, "{\"greeting\":\"refuse\"}") != FAREBOX_OK);
    has_config(engine, "{\"greeting\":\"hello\"}");
    EXPECT(FAREBOX_INVALID_ARGUMENT, configure(engine, "{\"token\":{\"env\":\"FAREBOX_TEST_NOTHING\"}}"));
    CHECK(strstr(why.field, "config.token") != NULL);
    /* Only a member that the schema marks as secret is looked up. */
    CHECK(configure(engine, "{\"greeting\":{\"env\":\"FAREBOX_TEST_TOKEN\"}}") != FAREBOX_OK);
    has_config(engine, "{\"greeting\":\"hello\"}");

    EXPECT(FAREBOX_OK, configure(engine, "{\"greeting\":\"a\",\"token\":{\"env\":\"FAREBOX_TEST_TOKEN\"}}"));
    has_config(engine, "{\"greeting\":\"a\",\"token\":\"hunter2-secret\"}");
    static const char *const tellers[] = {"plugin.inspect", "plugin.list", "plugin.metrics",
                                          "plugin.logs",    "event.list",  "plugin.policy"};
    for (size_t k = 0; k < sizeof tellers / sizeof tellers[0]; k++) {
        EXPECT(FAREBOX_OK,
               call_json(engine, &out, tellers[k], k == 0 || k == 3 ? "{\"plugin\":\"%s\"}" : "{}", good_id));
        CHECK(strstr(out, "hunter2") == NULL);
    }
    CHECK(configure(engine, "{\"token\":\"hunter2-secret\",\"greeting\":5}") != FAREBOX_OK);
    CHECK(strstr(why.message, "hunter2") == NULL && strstr(why.details, "hunter2") == NULL);

    /* A process that is started anew has the configuration too. */
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.inspect", "{\"plugin\":\"%s\"}", good_id));
    const char *processes = strstr(out, "\"processes\":[");
    const int worker = processes == NULL ? 0 : atoi(processes + strlen("\"processes\":["));
    CHECK(worker > 1 && kill(worker, SIGKILL) == 0);
    answer given = call_tool(engine, "good.echo", "{}");
    CHECK(given.status == FAREBOX_OK || given.status == FAREBOX_PLUGIN_CRASHED);
    has_config(engine, "{\"greeting\":\"a\",\"token\":\"hunter2-secret\"}");
    /* And so has the version that takes its place. */
    EXPECT(FAREBOX_OK, replace(engine, "good-1.1.0"));
    has_config(engine, "{\"greeting\":\"a\",\"token\":\"hunter2-secret\"}");
    close_sound(engine);
    shell("! grep -r hunter2 '%s'", own_folder());
}

/* ---- What it requires, and names that are taken ---- */

static void requiring(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    EXPECT(FAREBOX_PLUGIN_INACTIVE, load(engine, "manifest-needs-good"));
    CHECK(strstr(why.message, good_id) != NULL && strstr(why.message, "1.1.0") != NULL);
    MUST(load(engine, "good-1.0.0"));
    EXPECT(FAREBOX_PLUGIN_INACTIVE, load(engine, "manifest-needs-good"));
    MUST(replace(engine, "good-1.1.0"));
    EXPECT(FAREBOX_OK, load(engine, "manifest-needs-good"));
    CHECK(load(engine, "manifest-needs-itself") != FAREBOX_OK);
    close_sound(engine);

    /* One that was found is loaded by its id as soon as what it requires is active. */
    engine = open_memory();
    copied("manifest-needs-good", "needs");
    copied("good-1.1.0", "good");
    setenv("FAREBOX_PLUGIN_PATH", own_folder(), 1);
    MUST(DO(engine, "plugin.scan", "{\"probe\":false}"));
    EXPECT(FAREBOX_PLUGIN_INACTIVE, DO(engine, "plugin.load", "{\"plugin\":\"org.farebox.test.manifest\"}"));
    MUST(DO(engine, "plugin.load", "{\"plugin\":\"%s\"}", good_id));
    EXPECT(FAREBOX_OK, DO(engine, "plugin.load", "{\"plugin\":\"org.farebox.test.manifest\"}"));
    close_sound(engine);

    /* Another skill may have a tool of the same name: each is called by its skill, at its own price, and the name alone is
     * refused. */
    engine = open_memory();
    MUST(DO(engine, "skill.register",
            "{\"manifest\":{\"id\":\"org.farebox.other\",\"version\":\"1.0.0\",\"owner\":\"user:author\",\"tools\":"
            "[{\"name\":\"good.sleep\",\"pricing\":{\"cost\":\"0.02\"}}]}}"));
    MUST(load(engine, "good-1.0.0"));
    EXPECT(FAREBOX_TOOL_AMBIGUOUS, call_tool(engine, "good.sleep", "{\"ms\":1}").status);
    const answer own = call_tool(engine, "org.farebox.test.good#good.sleep", "{\"ms\":1}");
    EXPECT(FAREBOX_OK, own.status);
    EQUAL(CENT, own.receipt.amount);
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "org.farebox.other#good.sleep", "{\"ms\":1}").status);
    EXPECT(FAREBOX_OK, call_tool(engine, "good.echo", "{}").status);
    close_sound(engine);
}

/* ---- Finding ---- */

/* Whether a list of plugins has one with this id in this state. */
static int lists(const char *list, const char *id, const char *state)
{
    char row[256];
    snprintf(row, sizeof row, "\"plugin\":\"%s\",\"version\":\"1.0.0\",\"state\":\"%s\"", id, state);
    const int found = strstr(list, row) != NULL;
    if (!found) {
        fprintf(stderr, "no %s in %.4000s\n", row, list);
    }
    return found;
}

static void scan_again(const char *expected_state, int uses_worker)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        checks_failed = 0;
        char more[2048];
        snprintf(more, sizeof more, "\"cache\":\"%s/cache/registry.json\"%s", own_folder(),
                 uses_worker ? "" : ",\"worker\":\"/nonexistent/farebox-worker\"");
        MUST(set_policy(more));
        farebox_engine *engine = open_memory();
        const char *out = NULL;
        if (strcmp(expected_state, "quarantined") == 0) {
            /* Also who loads it without a scan is told. */
            EXPECT(FAREBOX_PLUGIN_QUARANTINED,
                   DO(engine, "plugin.load",
                      "{\"path\":\"%s/scanned/entry-crash/org.farebox.test.entry-crash.farebox.json\"}", own_folder()));
        }
        EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.scan", "{}"));
        CHECK(lists(out, "org.farebox.test.entry-crash", expected_state));
        CHECK(lists(out, good_id, "verified"));
        close_sound(engine);
        fflush(NULL);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void scanning(void)
{
    char folder[1024], variable[4096];
    snprintf(folder, sizeof folder, "%s/scanned", own_folder());
    shell("mkdir -p '%s' '%s/cache'", folder, own_folder());
    static const char *const names[] = {"good-1.0.0", "entry-crash", "init-exit",        "entry-fail",
                                        "not-elf",    "wrong-hash",  "manifest-unknown", "truth"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        shell("cp -rp '%s/%s' '%s/%s'", fixtures_folder(), names[k], folder, names[k]);
    }
    shell("ln -s '%s/exports' '%s/link'", fixtures_folder(), folder);
    /* Folders that the policy does not allow, or that are none, are passed over with a reason. */
    snprintf(variable, sizeof variable, "%s:relative:/etc:%s:%s/../x", folder, folder, folder);
    setenv("FAREBOX_PLUGIN_PATH", variable, 1);

    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        checks_failed = 0;
        char more[2048];
        snprintf(more, sizeof more, "\"cache\":\"%s/cache/registry.json\"", own_folder());
        MUST(set_policy(more));
        farebox_engine *engine = open_memory();
        const process_state before = process_now();
        const char *out = NULL;
        EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.scan", "{}"));
        CHECK(lists(out, good_id, "verified"));
        CHECK(lists(out, "org.farebox.test.entry-crash", "quarantined"));
        CHECK(lists(out, "org.farebox.test.truth", "verified"));
        CHECK(lists(out, "org.farebox.test.init-exit", "quarantined"));
        CHECK(strstr(out, "SIGSEGV") != NULL);
        CHECK(lists(out, "org.farebox.test.entry-fail", "failed"));
        CHECK(strstr(out, "farebox.test.exports") == NULL);
        CHECK(strstr(out, "{\"folder\":\"relative\",\"reason\":\"") != NULL);
        CHECK(strstr(out, "{\"folder\":\"/etc\",\"reason\":\"") != NULL);
        EQUAL(1, strstr(out, "\"passed_over\":[]") == NULL);
        holds_as_before(before);
        EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.list", "{\"state\":\"quarantined\"}"));
        CHECK(strstr(out, "entry-crash") != NULL && strstr(out, good_id) == NULL);
        EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.inspect", "{\"plugin\":\"%s\"}", good_id));
        CHECK(strstr(out, "\"state\":\"verified\"") != NULL);
        /* However often somebody tries, it is left alone, and the crash is told. */
        for (int k = 0; k < 4; k++) {
            EXPECT(FAREBOX_PLUGIN_QUARANTINED,
                   DO(engine, "plugin.load", "{\"path\":\"%s/entry-crash/org.farebox.test.entry-crash.farebox.json\"}",
                      folder));
            CHECK(strstr(why.message, "SIGSEGV") != NULL);
            EXPECT(FAREBOX_PLUGIN_QUARANTINED,
                   DO(engine, "plugin.load", "{\"plugin\":\"org.farebox.test.entry-crash\"}"));
        }
        /* What was found is loaded by its id. */
        EXPECT(FAREBOX_OK, DO(engine, "plugin.load", "{\"plugin\":\"%s\"}", good_id));
        works(engine, "good.echo", "{}", "{}", CENT);
        EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.load", "{\"plugin\":\"org.farebox.nothing\"}"));
        close_sound(engine);
        fflush(NULL);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    /* The next process knows, without running anything: it could not start a worker. */
    scan_again("quarantined", 0);
    scan_again("quarantined", 1);
    /* When the file changes it is looked at again; here it is whole now. */
    shell("cd '%s/entry-crash' && cp '%s/truth/'lib*.so lib*.so", folder, fixtures_folder());
    scan_again("refused", 1);
    /* One that cannot be read is as good as none. */
    shell("printf garbage > '%s/cache/registry.json'", own_folder());
    shell("cp -p '%s/entry-crash/'lib*.so '%s/entry-crash/'", fixtures_folder(), folder);
    fflush(NULL);
    const pid_t again = fork();
    if (again == 0) {
        checks_failed = 0;
        char more[2048];
        snprintf(more, sizeof more, "\"cache\":\"%s/cache/registry.json\"", own_folder());
        MUST(set_policy(more));
        farebox_engine *engine = open_memory();
        char crash[2048];
        snprintf(crash, sizeof crash, "%s/entry-crash/org.farebox.test.entry-crash.farebox.json", folder);
        /* One that crashes when it is loaded goes into quarantine as well. */
        EXPECT(FAREBOX_PLUGIN_CRASHED, load_at(engine, crash));
        EXPECT(FAREBOX_PLUGIN_QUARANTINED, load_at(engine, crash));
        EXPECT(FAREBOX_PLUGIN_QUARANTINED, load_at(engine, crash));
        close_sound(engine);
        fflush(NULL);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    waitpid(again, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    scan_again("quarantined", 1);
}

/* ---- Switching off ---- */

static void switching(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    MUST(DO(engine, "account.deposit", "{\"account\":\"user:eve\",\"amount\":\"10\"}"));
    farebox_tool_args eve = a_call("good.echo", "{}");
    eve.payer = FAREBOX_STR("user:eve");
    MUST(DO(engine, "tool.disable", "{\"tool\":\"good.echo\"}"));
    EXPECT(FAREBOX_TOOL_DISABLED, call_tool(engine, "good.echo", "{}").status);
    works(engine, "good.config", "{}", "{}", CENT);
    MUST(DO(engine, "tool.enable", "{\"tool\":\"good.echo\"}"));
    works(engine, "good.echo", "{}", "{}", CENT);
    MUST(DO(engine, "tool.disable", "{\"tool\":\"good.echo\",\"account\":\"user:ana\"}"));
    EXPECT(FAREBOX_TOOL_DISABLED, call_tool(engine, "good.echo", "{}").status);
    EXPECT(FAREBOX_OK, call_with(engine, &eve).status);
    MUST(DO(engine, "tool.enable", "{\"tool\":\"good.echo\",\"account\":\"user:ana\"}"));
    works(engine, "good.echo", "{}", "{}", CENT);
    MUST(DO(engine, "skill.disable", "{\"skill\":\"%s\",\"account\":\"user:eve\"}", good_id));
    EXPECT(FAREBOX_TOOL_DISABLED, call_with(engine, &eve).status);
    works(engine, "good.echo", "{}", "{}", CENT);
    MUST(DO(engine, "skill.disable", "{\"skill\":\"%s\"}", good_id));
    EXPECT(FAREBOX_TOOL_DISABLED, call_tool(engine, "good.echo", "{}").status);
    EXPECT(FAREBOX_TOOL_DISABLED, call_tool(engine, "good.config", "{}").status);
    MUST(DO(engine, "skill.enable", "{\"skill\":\"%s\"}", good_id));
    works(engine, "good.echo", "{}", "{}", CENT);
    EXPECT(FAREBOX_TOOL_DISABLED, call_with(engine, &eve).status);
    EQUAL(10 * USD - CENT, wallet(engine, "user:eve"));
    close_sound(engine);
}

/* ---- The journal ---- */

static int count_events(farebox_engine *engine, const char *type)
{
    char pattern[64];
    const char *out = NULL;
    int count = 0;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "event.list", "{\"limit\":1000}"));
    snprintf(pattern, sizeof pattern, "\"type\":\"%s\"", type);
    for (const char *at = out; (at = strstr(at, pattern)) != NULL; at++) {
        count++;
    }
    return count;
}

static void journal(void)
{
    MUST(set_policy(""));
    char url[600];
    snprintf(url, sizeof url, "sqlite:%s/ledger", own_folder());
    farebox_engine *engine = open_at(url);
    MUST(load(engine, "good-1.0.0"));
    EQUAL(1, count_events(engine, "plugin.loaded"));
    EQUAL(1, count_events(engine, "plugin.granted"));
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "event.list", "{}"));
    CHECK(strstr(out, good_id) != NULL && strstr(out, "\"sha256\":\"") != NULL &&
          strstr(out, "\"manifest_sha256\":\"") != NULL);
    CHECK(strstr(out, "\"permissions\":{\"store\":true}") != NULL);
    EXPECT(FAREBOX_PLUGIN_UNTRUSTED, load(engine, "wrong-hash"));
    EXPECT(FAREBOX_PLUGIN_BROKEN, load(engine, "other-version"));
    EXPECT(FAREBOX_PLUGIN_CRASHED, load(engine, "entry-crash"));
    EQUAL(3, count_events(engine, "plugin.refused"));
    MUST(configure(engine, "{\"greeting\":\"x\"}"));
    EQUAL(1, count_events(engine, "plugin.configured"));
    MUST(replace(engine, "good-1.1.0"));
    EQUAL(1, count_events(engine, "plugin.replaced"));
    MUST(DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    EQUAL(1, count_events(engine, "plugin.unloaded"));
    still_sound(engine);

    /* What cannot be written down does not happen: the disk has no room for another byte of the journal. */
    MUST(load(engine, "good-1.1.0"));
    MUST(DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", good_id));
    char command[1024];
    int64_t size = 0;
    for (int k = 0; k < 20000 && size < 400000; k++) {
        MUST(json_call(engine, NULL, "account.deposit",
                       "{\"account\":\"user:ana\",\"amount\":\"1\",\"asset\":\"USD\"}"));
        struct stat status;
        snprintf(command, sizeof command, "%s/ledger-wal", own_folder());
        size = stat(command, &status) == 0 ? status.st_size : 0;
    }
    CHECK(size >= 400000);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before_limit, limit;
    getrlimit(RLIMIT_FSIZE, &before_limit);
    limit = (struct rlimit){(rlim_t)size, before_limit.rlim_max};
    const process_state before = process_now();
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    const farebox_status status = load(engine, "good-1.1.0");
    CHECK(setrlimit(RLIMIT_FSIZE, &before_limit) == 0);
    if (!CHECK(status / 100 == 8)) {
        fprintf(stderr, "%s: %s\n", farebox_status_name(status), why.message);
    }
    EXPECT(FAREBOX_PLUGIN_INACTIVE, call_tool(engine, "good.echo", "{}").status);
    EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.health", "{\"plugin\":\"%s\"}", good_id));
    CHECK(process_now().children == before.children);
    EXPECT(FAREBOX_OK, farebox_close(engine, NULL));
}

/* ---- Health, logs, metrics ---- */

static void reporting(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    const char *out = NULL;
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.health", "{\"plugin\":\"%s\"}", good_id));
    CHECK(strstr(out, "\"healthy\":true") != NULL);
    for (int k = 0; k < 5; k++) {
        char input[64];
        snprintf(input, sizeof input, "{\"level\":%d,\"message\":\"line %d\"}", k, k);
        works(engine, "good.log", input, "{}", CENT);
    }
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.logs", "{\"plugin\":\"%s\",\"after\":2,\"limit\":2}", good_id));
    CHECK(strstr(out, "\"text\":\"line 2\"") != NULL && strstr(out, "\"level\":\"error\",\"text\":\"line 3\"") != NULL);
    CHECK(strstr(out, "line 1") == NULL && strstr(out, "line 4") == NULL);
    EQUAL(4, json_first(out, "next"));
    EXPECT(FAREBOX_PLUGIN_FAILED, call_tool(engine, "good.fail", "{}").status);
    EXPECT(FAREBOX_PLUGIN_INPUT, call_tool(engine, "good.add", "{}").status);
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.metrics", "{}"));
    EQUAL(7, json_first(out, "calls"));
    EQUAL(5, json_first(out, "succeeded"));
    EQUAL(1, json_first(out, "failed"));
    EQUAL(1, json_first(out, "invalid_inputs"));
    EQUAL(10, json_first(out, "output_bytes"));
    EQUAL(1, json_first(out, "starts"));
    EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.inspect", "{\"plugin\":\"%s\"}", good_id));
    CHECK(strstr(out, "\"seccomp\":true") != NULL);
    EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.metrics", "{\"plugin\":\"org.farebox.nothing\"}"));
    EXPECT(FAREBOX_PLUGIN_NOT_FOUND, DO(engine, "plugin.logs", "{\"plugin\":\"org.farebox.nothing\"}"));
    close_sound(engine);
}

int main(int count, char **arguments)
{
    static const section sections[] = {
        {"loading", loading},         {"replacing", replacing}, {"rolling_back", rolling_back},
        {"configuring", configuring}, {"requiring", requiring}, {"scanning", scanning},
        {"switching", switching},     {"journal", journal},     {"reporting", reporting},
    };
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, 120);
}

/* Every plugin of Tests/Plugins, which crash at each stage of their life or are not what they say: the host's answers
 * are those that fixtures.json names. And old plugins in a new host, and new ones in an old host.
 *
 *   fixtures [NAME]   all sections, or the one of this name
 *
 * Every section runs in a process of its own. */
#include "plugins.h"

/* ---- Old and new ---- */

static void versions(void)
{
    MUST(set_policy(""));
    farebox_engine *engine = open_memory();
    static const struct {
        const char *name, *tool;
        farebox_status expected;
        const char *words[2];
    } cases[] = {
        /* Shorter and longer tables of the same major version. */
        {"minor-older", "minor-older.echo", FAREBOX_OK, {"", ""}},
        {"minor-newer", "minor-newer.echo", FAREBOX_OK, {"", ""}},
        {"optional-null", "optional-null.echo", FAREBOX_OK, {"", ""}},
        {"minor-needed", NULL, FAREBOX_PLUGIN_ABI, {"1.7", "1.0"}},
        {"major-other", NULL, FAREBOX_PLUGIN_ABI, {"2.0", "1.0"}},
        {"major-hidden", NULL, FAREBOX_PLUGIN_ABI, {"2.0", "1.0"}},
        {"size-zero", NULL, FAREBOX_PLUGIN_BROKEN, {"0 bytes", ""}},
        {"size-small", NULL, FAREBOX_PLUGIN_BROKEN, {"24 bytes", ""}},
        {"size-huge", "size-huge.echo", FAREBOX_OK, {"", ""}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        report->step = k;
        const farebox_status status = load(engine, cases[k].name);
        if (!EXPECT(cases[k].expected, status) || !CHECK(strstr(why.message, cases[k].words[0]) != NULL) ||
            !CHECK(strstr(why.message, cases[k].words[1]) != NULL)) {
            fprintf(stderr, "%s: %s\n", cases[k].name, why.message);
        }
        if (cases[k].tool != NULL) {
            const answer given = call_tool(engine, cases[k].tool, "{}");
            if (!EXPECT(FAREBOX_OK, given.status)) {
                fprintf(stderr, "%s: %s\n", cases[k].tool, given.error.message);
            }
            EXPECT(FAREBOX_OK, DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.%s\"}", cases[k].name));
        }
    }
    close_sound(engine);
}

/* ---- All fixtures ---- */

typedef struct expectation {
    char name[64], id[128];
    /* Statuses that are right, each between spaces; what is empty must work. */
    char load[256], health[256], configure[256], unload[256];
} expectation;

/* Reads `"what":["A","B"]` between two places. */
static void read_statuses(char *out, size_t size, const char *from, const char *to, const char *what)
{
    char pattern[32];
    snprintf(pattern, sizeof pattern, "\"%s\": [", what);
    const char *at = strstr(from, pattern);
    size_t count = 0;
    out[0] = '\0';
    if (at == NULL || at > to) {
        return;
    }
    out[count++] = ' ';
    for (at += strlen(pattern); *at != ']' && count + 2 < size; at++) {
        if (*at != '"' && *at != ' ' && *at != '\n') {
            out[count++] = *at == ',' ? ' ' : *at;
        }
    }
    out[count++] = ' ';
    out[count] = '\0';
}

static int read_fixtures(expectation *out, int most)
{
    static char text[1 << 20];
    char path[1024];
    snprintf(path, sizeof path, "%s/fixtures.json", fixtures_folder());
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    int count = 0;
    for (const char *at = text; count < most && (at = strstr(at, "\"name\": \"")) != NULL; at++) {
        expectation *one = &out[count];
        /* Tools have a name, but no id after it. */
        if (sscanf(at, "\"name\": \"%63[^\"]\", \"id\": \"%127[^\"]\"", one->name, one->id) != 2) {
            continue;
        }
        const char *expect = strstr(at, "\"expect\": {"), *end = strstr(at, "\"tools\": [");
        if (expect == NULL || end == NULL) {
            continue;
        }
        read_statuses(one->load, sizeof one->load, expect, end, "load");
        read_statuses(one->health, sizeof one->health, expect, end, "health");
        read_statuses(one->configure, sizeof one->configure, expect, end, "configure");
        read_statuses(one->unload, sizeof one->unload, expect, end, "unload");
        count++;
    }
    return count;
}

/* Counts an answer of the host's that must be one of those that are right, and says whether it was OK. */
static int is_right(const expectation *one, const char *what, const char *allowed, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, " %s ", name);
    const int holds = allowed[0] == '\0' ? strcmp(name, "OK") == 0 : strstr(allowed, wanted) != NULL;
    if (!CHECK(holds)) {
        fprintf(stderr, "%s: %s: %s, expected%s: %s\n", one->name, what, name, allowed[0] == '\0' ? " OK" : allowed,
                why.message);
    }
    return strcmp(name, "OK") == 0;
}

static void try_fixture(const expectation *one)
{
    farebox_engine *engine = open_memory();
    const farebox_status loaded = load(engine, one->name);
    /* A host also looks whether a plugin is well before it opens it. */
    const int is_unwell = one->health[0] != '\0' && loaded != FAREBOX_OK;
    if (is_unwell) {
        CHECK(loaded == FAREBOX_PLUGIN_UNAVAILABLE || strstr(one->health, farebox_status_name(loaded)) != NULL);
    } else if (is_right(one, "load", one->load, farebox_status_name(loaded))) {
        const char *out = NULL;
        char status[64] = "OK";
        EXPECT(FAREBOX_OK, call_json(engine, &out, "plugin.health", "{\"plugin\":\"%s\"}", one->id));
        if (strstr(out, "\"healthy\":true") == NULL) {
            const char *at = strstr(out, "\"status\":\"");
            CHECK(at != NULL && sscanf(at, "\"status\":\"%63[A-Z_]", status) == 1);
        }
        is_right(one, "health", one->health, status);
        if (one->configure[0] != '\0') {
            const farebox_status answer = DO(engine, "plugin.configure", "{\"plugin\":\"%s\",\"config\":{}}", one->id);
            is_right(one, "configure", one->configure, farebox_status_name(answer));
        }
        const farebox_status unloaded = DO(engine, "plugin.unload", "{\"plugin\":\"%s\"}", one->id);
        is_right(one, "unload", one->unload, farebox_status_name(unloaded));
    }
    EQUAL(1000 * USD, wallet(engine, "user:ana"));
    close_sound(engine);
}

static expectation all_fixtures[256];
static int fixture_count;
static atomic_int next_fixture;

static void *try_fixtures(void *unused)
{
    (void)unused;
    int at;
    while ((at = atomic_fetch_add(&next_fixture, 1)) < fixture_count) {
        try_fixture(&all_fixtures[at]);
    }
    return NULL;
}

/* Those that hang take their time; several threads wait for them at once, each with a host of its own. */
static void all_of_them(void)
{
    enum { THREADS = 12 };
    MUST(set_policy(""));
    const process_state before = process_now();
    fixture_count = read_fixtures(all_fixtures, 256);
    CHECK(fixture_count > 100);
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) {
        CHECK(pthread_create(&threads[k], NULL, try_fixtures, NULL) == 0);
    }
    for (int k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
    }
    farebox_engine *engine = open_memory();
    MUST(load(engine, "good-1.0.0"));
    MUST(DO(engine, "plugin.unload", "{\"plugin\":\"org.farebox.test.good\"}"));
    MUST(farebox_close(engine, NULL));
    holds_as_before(before);
}

int main(int count, char **arguments)
{
    static const section sections[] = {{"versions", versions}, {"fixtures", all_of_them}};
    return run_sections(sections, sizeof sections / sizeof sections[0], count, arguments, 120);
}

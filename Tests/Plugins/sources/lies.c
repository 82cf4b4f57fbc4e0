/* A plugin whose table is not what its manifest, which offers the tools NAME.echo and NAME.add, or the header says. LIE
 * names what is wrong, TRUTH that nothing is. NAME ends its id and begins the names of its tools. */
#define _DEFAULT_SOURCE
#if defined(NO_SYMBOL)
#define farebox_plugin_entry farebox_plugin_begin
#endif
#include "fixture.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    TRUTH,
    OTHER_ID,
    OTHER_VERSION,
    TOOLS_FEWER,
    TOOLS_MORE,
    TOOLS_RENAMED,
    TOOLS_TWICE,
    TOOLS_NULL,
    TOOLS_COUNT,
    TABLE_NULL,
    TABLE_WILD,
    TEXT_WILD,
    SIZE_ZERO,
    SIZE_SMALL,
    SIZE_HUGE,
    RESERVED_SET,
    INIT_NULL,
    CALL_NULL,
    OPTIONAL_NULL,
    MAJOR_OTHER,
    MINOR_NEWER,
    MINOR_OLDER,
};

#if defined(EXPORTS)
/* In the way of nobody where the host loads plugins with names of their own. */
FAREBOX_PLUGIN_EXPORT int32_t farebox_charge(void);
FAREBOX_PLUGIN_EXPORT int32_t farebox_charge(void)
{
    abort();
}

FAREBOX_PLUGIN_EXPORT const char *sqlite3_libversion(void);
FAREBOX_PLUGIN_EXPORT const char *sqlite3_libversion(void)
{
    abort();
}
#endif

#if defined(UNDEFINED)
int no_library_has_this_function(void);
#endif

static farebox_plugin_status init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)host, (void)config, (void)instance;
#if defined(UNDEFINED)
    return no_library_has_this_function();
#else
    return FAREBOX_PLUGIN_STATUS_OK;
#endif
}

static farebox_plugin_status call_tool(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return call->output->write(call->output, call->input.ptr, call->input.len);
}

static void nothing(void *instance)
{
    (void)instance;
}

static farebox_plugin_status fine(void *instance)
{
    (void)instance;
    return FAREBOX_PLUGIN_STATUS_OK;
}

static farebox_plugin_status configure(void *instance, farebox_plugin_str config)
{
    (void)instance, (void)config;
    return FAREBOX_PLUGIN_STATUS_OK;
}

/* A plugin of a later minor version has members that this header lacks. */
typedef struct longer_table {
    farebox_plugin known;
    void (*unknown[8])(void);
} longer_table;

static void never(void)
{
    abort();
}

/* The first `size` bytes of a table at the end of what can be read: a host that reads further crashes. */
static const farebox_plugin *before_the_end(const farebox_plugin *table, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) {
        return NULL;
    }
    memcpy(pages + page - size, table, size);
    return (const farebox_plugin *)(void *)(pages + page - size);
}

static const farebox_plugin *shortened(farebox_plugin *table, size_t size, uint32_t claimed)
{
    table->struct_size = claimed;
    return before_the_end(table, size);
}

static const farebox_plugin *lying(longer_table *longer)
{
    static const farebox_plugin_str renamed[] = {FAREBOX_PLUGIN_STR(NAME ".echo"),
                                                 FAREBOX_PLUGIN_STR(NAME ".subtract")};
    static const farebox_plugin_str twice[] = {FAREBOX_PLUGIN_STR(NAME ".echo"), FAREBOX_PLUGIN_STR(NAME ".echo")};
    static const farebox_plugin_str more[] = {FAREBOX_PLUGIN_STR(NAME ".echo"), FAREBOX_PLUGIN_STR(NAME ".add"),
                                              FAREBOX_PLUGIN_STR(NAME ".steal")};
    farebox_plugin *table = &longer->known;
    switch (LIE) {
    case OTHER_ID: table->id = STR("org.farebox.test.somebody-else"); break;
    case OTHER_VERSION: table->version = STR("1.0.1"); break;
    case TOOLS_FEWER: table->tool_count = 1; break;
    case TOOLS_MORE:
        table->tools = more;
        table->tool_count = 3;
        break;
    case TOOLS_RENAMED: table->tools = renamed; break;
    case TOOLS_TWICE: table->tools = twice; break;
    case TOOLS_NULL: table->tools = NULL; break;
    case TOOLS_COUNT: table->tool_count = UINT32_MAX; break;
    case TABLE_NULL: return NULL;
    case TABLE_WILD: return (const farebox_plugin *)(uintptr_t)64;
    case TEXT_WILD: table->id = (farebox_plugin_str){(const char *)(uintptr_t)64, SIZE_MAX}; break;
    case SIZE_ZERO: return shortened(table, 8, 0);
    case SIZE_SMALL: return shortened(table, 24, 24);
    case SIZE_HUGE: return shortened(table, sizeof *table, UINT32_MAX);
    case RESERVED_SET: table->reserved = 1; break;
    case INIT_NULL: table->init = NULL; break;
    case CALL_NULL: table->call = NULL; break;
    case OPTIONAL_NULL:
        table->shutdown = table->deactivate = NULL;
        table->activate = table->health = NULL;
        table->configure = NULL;
        break;
    case MAJOR_OTHER: table->abi_major = FAREBOX_PLUGIN_ABI_MAJOR + 1; break;
    case MINOR_NEWER:
        table->abi_minor = FAREBOX_PLUGIN_ABI_MINOR + 7;
        table->struct_size = sizeof *longer;
        break;
    /* As of a version without health and configure. */
    case MINOR_OLDER: return shortened(table, offsetof(farebox_plugin, health), offsetof(farebox_plugin, health));
    default: break;
    }
    return table;
}

const farebox_plugin *farebox_plugin_entry(void)
{
    static const farebox_plugin_str tools[] = {FAREBOX_PLUGIN_STR(NAME ".echo"), FAREBOX_PLUGIN_STR(NAME ".add")};
    static longer_table longer;
    longer.known = (farebox_plugin){
        .struct_size = sizeof longer.known,
        .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
        .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
        .id = FAREBOX_PLUGIN_STR("org.farebox.test." NAME),
        .version = FAREBOX_PLUGIN_STR("1.0.0"),
        .tools = tools,
        .tool_count = 2,
        .init = init,
        .call = call_tool,
        .shutdown = nothing,
        .activate = fine,
        .deactivate = nothing,
        .health = fine,
        .configure = configure,
    };
    for (size_t k = 0; k < sizeof longer.unknown / sizeof longer.unknown[0]; k++) {
        longer.unknown[k] = never;
    }
    return lying(&longer);
}

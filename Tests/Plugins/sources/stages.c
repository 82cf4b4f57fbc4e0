/* A plugin that dies, hangs or fails at one stage of its life: STAGE and ACT name which. Its one tool, NAME.echo, and all
 * other stages work. NAME ends its id, too. */
#include "fixture.h"

#include <unistd.h>

enum { CONSTRUCTOR, ENTRY, INIT, ACTIVATE, HEALTH, CONFIGURE, DEACTIVATE, SHUTDOWN, DESTRUCTOR };
enum { CRASH, EXIT, HANG, FAIL };

static farebox_plugin_status at(int stage)
{
    if (stage != STAGE) {
        return FAREBOX_PLUGIN_STATUS_OK;
    }
    switch (ACT) {
    case CRASH: *(volatile char *)8 = 1; break;
    case EXIT: _exit(0);
    case HANG:
        for (;;) {
            pause();
        }
    default: break;
    }
    return FAREBOX_PLUGIN_STATUS_FAILED;
}

__attribute__((constructor)) static void constructor(void)
{
    at(CONSTRUCTOR);
}

__attribute__((destructor)) static void destructor(void)
{
    at(DESTRUCTOR);
}

static farebox_plugin_status init(const farebox_plugin_host *host, farebox_plugin_str config, void **instance)
{
    (void)host, (void)config, (void)instance;
    return at(INIT);
}

static farebox_plugin_status echo(void *instance, const farebox_plugin_call *call)
{
    (void)instance;
    return call->output->write(call->output, call->input.ptr, call->input.len);
}

static void shutdown(void *instance)
{
    (void)instance;
    at(SHUTDOWN);
}

static farebox_plugin_status activate(void *instance)
{
    (void)instance;
    return at(ACTIVATE);
}

static void deactivate(void *instance)
{
    (void)instance;
    at(DEACTIVATE);
}

static farebox_plugin_status health(void *instance)
{
    (void)instance;
    return at(HEALTH);
}

static farebox_plugin_status configure(void *instance, farebox_plugin_str config)
{
    (void)instance, (void)config;
    return at(CONFIGURE);
}

const farebox_plugin *farebox_plugin_entry(void)
{
    static const farebox_plugin_str tools[] = {FAREBOX_PLUGIN_STR(NAME ".echo")};
    static const farebox_plugin table = {
        .struct_size = sizeof table,
        .abi_major = FAREBOX_PLUGIN_ABI_MAJOR,
        .abi_minor = FAREBOX_PLUGIN_ABI_MINOR,
        .id = FAREBOX_PLUGIN_STR("org.farebox.test." NAME),
        .version = FAREBOX_PLUGIN_STR("1.0.0"),
        .tools = tools,
        .tool_count = 1,
        .init = init,
        .call = echo,
        .shutdown = shutdown,
        .activate = activate,
        .deactivate = deactivate,
        .health = health,
        .configure = configure,
    };
    return at(ENTRY) == FAREBOX_PLUGIN_STATUS_OK ? &table : NULL;
}

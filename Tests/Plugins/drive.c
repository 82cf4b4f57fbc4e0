/* Leads one plugin through its life in this process, without a host: for the tests of plugins themselves.
 *
 *   drive [-c CONFIG] [-d MS] [-o BYTES] [-s] LIBRARY [TOOL INPUT]...
 *
 * Loads LIBRARY, makes an instance with CONFIG ({}), activates it, calls each TOOL with its INPUT, deactivates it and
 * shuts it down. A call has MS milliseconds (2,000), after which it is asked to stop, and BYTES of output (1 MiB). -s
 * grants no store. `@health`, and `@configure` with a configuration as its INPUT, call these functions in place of a
 * tool; `@wait` lets milliseconds pass.
 *
 * Prints a JSON line for the table, for each call, and for each step that fails, with the bytes of output as
 * characters of Latin-1; log lines go to standard error. Exit status 0: it lived to its end; 3: the plugin cannot be
 * used or a step failed. Nothing here contains a plugin: what crashes, ends this process. */
#include "drive.h"

#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

static int give_up(const char *step, const char *why)
{
    printf("{\"failed\":\"%s\",\"why\":", step);
    print_text(why, strlen(why));
    printf("}\n");
    return 3;
}

/* Whether the plugin's table has a member, by its own account of its size. */
#define HAS(plugin, member) \
    ((plugin)->struct_size >= offsetof(farebox_plugin, member) + sizeof(plugin)->member && (plugin)->member != NULL)

static const farebox_plugin *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        give_up("dlopen", dlerror());
        return NULL;
    }
    const farebox_plugin *(*entry)(void) = NULL;
    *(void **)&entry = dlsym(library, "farebox_plugin_entry");
    if (entry == NULL) {
        give_up("dlsym", dlerror());
        return NULL;
    }
    const farebox_plugin *plugin = entry();
    if (plugin == NULL) {
        give_up("entry", "there is no table");
    }
    return plugin;
}

static const char *fault_of(const farebox_plugin *plugin)
{
    if (plugin->struct_size < offsetof(farebox_plugin, shutdown)) {
        return "struct_size is too small";
    }
    if (plugin->abi_major != FAREBOX_PLUGIN_ABI_MAJOR) {
        return "abi_major is another";
    }
    if (plugin->init == NULL || plugin->call == NULL) {
        return "init or call is missing";
    }
    if (plugin->tool_count > 1000 || (plugin->tool_count > 0 && plugin->tools == NULL)) {
        return "tools are missing or too many";
    }
    return NULL;
}

static void print_table(const farebox_plugin *plugin)
{
    printf("{\"id\":");
    print_text(plugin->id.ptr, plugin->id.len);
    printf(",\"version\":");
    print_text(plugin->version.ptr, plugin->version.len);
    printf(",\"abi\":\"%u.%u\",\"struct_size\":%u,\"tools\":[", plugin->abi_major, plugin->abi_minor,
           plugin->struct_size);
    for (uint32_t k = 0; k < plugin->tool_count; k++) {
        printf("%s", k == 0 ? "" : ",");
        print_text(plugin->tools[k].ptr, plugin->tools[k].len);
    }
    printf("]}\n");
}

static int step(const char *name, farebox_plugin_status status)
{
    if (status != FAREBOX_PLUGIN_STATUS_OK) {
        printf("{\"failed\":\"%s\",\"status\":%d}\n", name, status);
        return 3;
    }
    return 0;
}

/* One tool, or one of the functions that are written with an @. */
static void perform(const farebox_plugin *plugin, void *instance, const char *name, const char *input)
{
    if (strcmp(name, "@health") == 0) {
        printf("{\"health\":%d}\n", HAS(plugin, health) ? plugin->health(instance) : FAREBOX_PLUGIN_STATUS_OK);
    } else if (strcmp(name, "@wait") == 0) {
        const int64_t milliseconds = atoll(input);
        nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
    } else if (strcmp(name, "@configure") != 0) {
        call_tool(plugin, instance, name, input);
    } else if (HAS(plugin, configure)) {
        const farebox_plugin_status status = plugin->configure(instance, (farebox_plugin_str){input, strlen(input)});
        if (status == FAREBOX_PLUGIN_STATUS_OK) {
            settings.config = input;
        }
        printf("{\"configure\":%d}\n", status);
    } else {
        printf("{\"configure\":null}\n");
    }
    fflush(stdout);
}

static int live(const farebox_plugin *plugin, int count, char **calls)
{
    void *instance = NULL;
    const size_t config_len = strlen(settings.config);
    const int made = step("init", plugin->init(&host, (farebox_plugin_str){settings.config, config_len}, &instance));
    if (made != 0) {
        return made;
    }
    int result = HAS(plugin, activate) ? step("activate", plugin->activate(instance)) : 0;
    for (int k = 0; result == 0 && k + 1 < count; k += 2) {
        perform(plugin, instance, calls[k], calls[k + 1]);
    }
    if (result == 0 && HAS(plugin, deactivate)) {
        plugin->deactivate(instance);
    }
    if (HAS(plugin, shutdown)) {
        plugin->shutdown(instance);
    }
    printf("{\"late_writes\":%d,\"dropped_logs\":%d}\n", late_writes, dropped_logs);
    return result;
}

int main(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "+c:d:o:s")) != -1;) {
        switch (option) {
        case 'c': settings.config = optarg; break;
        case 'd': settings.milliseconds = atoll(optarg); break;
        case 'o': settings.output_bytes = (size_t)atoll(optarg); break;
        case 's': settings.grants_store = 0; break;
        default: return 2;
        }
    }
    if (optind >= argc || (argc - optind) % 2 == 0) {
        fprintf(stderr, "usage: drive [-c CONFIG] [-d MS] [-o BYTES] [-s] LIBRARY [TOOL INPUT]...\n");
        return 2;
    }
    const farebox_plugin *plugin = load(argv[optind]);
    if (plugin == NULL) {
        return 3;
    }
    const char *fault = fault_of(plugin);
    if (fault != NULL) {
        return give_up("table", fault);
    }
    print_table(plugin);
    fflush(stdout);
    return live(plugin, argc - optind - 1, argv + optind + 1);
}

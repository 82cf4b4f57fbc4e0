/* farebox_plugin.h - what a native plugin implements: tools that a Farebox host loads, meters and contains.
 *
 * A plugin is one shared object and a manifest (docs/plugins.md) beside it. The manifest says what the plugin offers and
 * costs and is read without running anything; the shared object exports one symbol, farebox_plugin_entry, and links
 * against nothing of Farebox. The same binary runs in a worker process, which is the rule, or in the host's own process
 * where the host trusts it; it cannot tell, and need not.
 *
 *   1. rules
 *   2. statuses, text
 *   3. a call              input, output, deadline
 *   4. services            what the host does for a plugin: log, config, clock, meter, store, cancel
 *   5. the plugin          the table of functions behind the entry symbol
 *
 * Rules that hold everywhere
 *
 * - The ABI is FAREBOX_PLUGIN_ABI_MAJOR.FAREBOX_PLUGIN_ABI_MINOR. A host loads a plugin of its own major version whose
 *   manifest asks for no higher minor version than the host's. Within a major version structs grow only at the end and
 *   nothing is removed: a host reads no byte past a plugin's `struct_size`, and a plugin none past a host's.
 * - farebox_plugin_str is borrowed: text that a plugin is given lives until the function that received it returns; text in
 *   the plugin's own table lives as long as the plugin. It need not end in NUL.
 * - A plugin returns no memory. Output goes into a sink of the host's, which is bounded and says so.
 * - Each function of the plugin carries a tag: the states in which it is called, and by which thread. States go
 *
 *       loaded -init-> initialised -activate-> active -deactivate-> initialised -shutdown-> loaded
 *
 *   A host makes no other transition. What fails leaves the plugin in the state before; after a failed init nothing else
 *   is called. A plugin is never unloaded from a process that goes on; its process ends.
 * - [one thread]: calls into one instance never overlap, though they may come from different threads of the host. A host
 *   that wants several calls at once runs several instances, each in a process of its own.
 * - No function may be called back after it has returned: a plugin may start threads, and they may use the log, clock and
 *   cancel services, but a call's sink, meter and store end with the call.
 * - No exception, panic or longjmp may leave a function of the plugin.
 */
#ifndef FAREBOX_PLUGIN_H
#define FAREBOX_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAREBOX_PLUGIN_ABI_MAJOR 1
#define FAREBOX_PLUGIN_ABI_MINOR 0

#if defined(__GNUC__)
#define FAREBOX_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define FAREBOX_PLUGIN_EXPORT
#endif

/* ---- 2. Statuses and text --------------------------------------------------------------------------------------- */

/* What a function of the plugin, or of the host, answers. Another number is read as FAREBOX_PLUGIN_STATUS_FAILED. */
typedef int32_t farebox_plugin_status;
enum {
    FAREBOX_PLUGIN_STATUS_OK = 0,
    FAREBOX_PLUGIN_STATUS_FAILED = 1,        /* it did not work; of a call: the payer pays nothing */
    FAREBOX_PLUGIN_STATUS_INVALID_INPUT = 2, /* the input cannot be used; the payer pays nothing */
    FAREBOX_PLUGIN_STATUS_UNKNOWN_TOOL = 3,  /* the plugin has no tool of this name */
    FAREBOX_PLUGIN_STATUS_UNAVAILABLE = 4,   /* not now; the same call may work later */
    FAREBOX_PLUGIN_STATUS_CANCELLED = 5,     /* stopped because the host asked for it */
    FAREBOX_PLUGIN_STATUS_FULL = 6,          /* of a sink or the store: there is no more room */
    FAREBOX_PLUGIN_STATUS_NOT_FOUND = 7,     /* of the store or the config: there is nothing of this name */
    FAREBOX_PLUGIN_STATUS_DENIED = 8         /* the manifest did not ask for it, or the host did not grant it */
};

/* Borrowed UTF-8 or bytes. A NULL pointer or a length of 0 means absent. */
typedef struct farebox_plugin_str {
    const char *ptr;
    size_t len;
} farebox_plugin_str;

/* A farebox_plugin_str of a string literal, also as an initialiser of a static table. */
#ifdef __cplusplus
#define FAREBOX_PLUGIN_STR(literal) (farebox_plugin_str{"" literal, sizeof(literal) - 1})
#else
#define FAREBOX_PLUGIN_STR(literal) {"" literal, sizeof(literal) - 1}
#endif

/* ---- 3. A call -------------------------------------------------------------------------------------------------- */

/* Where a plugin writes; the host's, bounded. */
typedef struct farebox_plugin_sink {
    uint32_t struct_size;
    uint32_t reserved;
    void *context; /* the host's */

    /* Appends bytes. FULL means that nothing of them was taken and that no later write will be: return from the call.
     * Threads:   the thread that was given the sink, until it returns. */
    farebox_plugin_status (*write)(const struct farebox_plugin_sink *sink, const void *bytes, size_t len);
} farebox_plugin_sink;

/* One call of a tool; valid until the plugin's function returns. */
typedef struct farebox_plugin_call {
    uint32_t struct_size;
    uint32_t flags; /* none yet */
    farebox_plugin_str tool;
    farebox_plugin_str input;   /* a JSON object that the tool's input schema allows */
    farebox_plugin_str account; /* who pays, or absent */
    farebox_plugin_str run;     /* the run that the call belongs to, or absent */
    farebox_plugin_str call;    /* the call's id, or absent */
    int64_t deadline;           /* by `steady` of the clock service; after it the host ends the plugin's process */
    const farebox_plugin_sink *output; /* what the tool gives: JSON, unless the manifest says text or bytes */
    const farebox_plugin_sink *error;  /* one sentence for a person where the call fails; 1,024 bytes; never a secret */
    void *context;                     /* the host's */
} farebox_plugin_call;

/* ---- 4. Services ------------------------------------------------------------------------------------------------ */

/* What a plugin is given to reach its host. */
typedef struct farebox_plugin_host {
    uint32_t struct_size;
    uint16_t abi_major; /* of the host */
    uint16_t abi_minor;
    void *context; /* the host's */

    /* Finds a service by its id, such as FAREBOX_PLUGIN_LOG, or NULL where this host has none: do without it.
     * Ownership: the service lives as long as the host.
     * Threads:   any. */
    const void *(*service)(const struct farebox_plugin_host *host, farebox_plugin_str id);
} farebox_plugin_host;

/* A service's id ends in its revision; a revision never changes but grows at its end. */
#define FAREBOX_PLUGIN_LOG "farebox.log/1"
#define FAREBOX_PLUGIN_CONFIG "farebox.config/1"
#define FAREBOX_PLUGIN_CLOCK "farebox.clock/1"
#define FAREBOX_PLUGIN_METER "farebox.meter/1"
#define FAREBOX_PLUGIN_STORE "farebox.store/1"
#define FAREBOX_PLUGIN_CANCEL "farebox.cancel/1"

enum {
    FAREBOX_PLUGIN_LOG_DEBUG = 0,
    FAREBOX_PLUGIN_LOG_INFO = 1,
    FAREBOX_PLUGIN_LOG_WARNING = 2,
    FAREBOX_PLUGIN_LOG_ERROR = 3,
    FAREBOX_PLUGIN_LOG_HOST_MISBEHAVING = 4 /* the host broke a rule of this header */
};

/* Log lines go to the host, under the plugin's id. Lines beyond 4,096 bytes are cut, and beyond 100 a second dropped and
 * counted. Threads: any. */
typedef struct farebox_plugin_log {
    uint32_t struct_size;
    void (*write)(const farebox_plugin_host *host, int32_t level, farebox_plugin_str message);
} farebox_plugin_log;

/* The configuration that the operator gave, valid by the manifest's config schema. Threads: that of the call. */
typedef struct farebox_plugin_config {
    uint32_t struct_size;
    /* Writes the JSON of a member of the configuration, or of all of it where the name is absent. NOT_FOUND, FULL. */
    farebox_plugin_status (*get)(const farebox_plugin_host *host, farebox_plugin_str name,
                                 const farebox_plugin_sink *out);
} farebox_plugin_config;

/* Clocks. Threads: any. */
typedef struct farebox_plugin_clock {
    uint32_t struct_size;
    int64_t (*wall)(const farebox_plugin_host *host);   /* microseconds since 1970 */
    int64_t (*steady)(const farebox_plugin_host *host); /* nanoseconds of a clock that never goes back */
} farebox_plugin_clock;

/* What a call used, for the price. What is added counts only where the call succeeds. Threads: that of the call. */
typedef struct farebox_plugin_meter {
    uint32_t struct_size;
    /* Adds to a meter of the call: "units", "input_tokens", "output_tokens", "images" and the other names of
     * farebox_usage; `micro` is millionths on top of `count`, for units alone. INVALID_INPUT for an unknown meter, a
     * negative count or a sum that does not fit. */
    farebox_plugin_status (*add)(const farebox_plugin_call *call, farebox_plugin_str meter, int64_t count,
                                 uint32_t micro);
} farebox_plugin_meter;

/* Values of the plugin's own that outlive it, in the host's ledger; needs the permission `store`. What a call sets is
 * kept only where the call succeeds; the call itself sees it at once. Keys have up to 128 bytes, values up to 4,096, a
 * call sets up to 16. Threads: that of the call. */
typedef struct farebox_plugin_store {
    uint32_t struct_size;
    /* Writes the value of a key. NOT_FOUND, DENIED, FULL. */
    farebox_plugin_status (*get)(const farebox_plugin_call *call, farebox_plugin_str key,
                                 const farebox_plugin_sink *out);
    /* Sets the value of a key; an absent value removes it. DENIED, FULL, INVALID_INPUT. */
    farebox_plugin_status (*set)(const farebox_plugin_call *call, farebox_plugin_str key, farebox_plugin_str value);
} farebox_plugin_store;

/* Whether to stop. Threads: any thread, until the call returns. */
typedef struct farebox_plugin_cancel {
    uint32_t struct_size;
    /* 1 once the caller gave up or the deadline is near: return CANCELLED soon. Cheap enough for an inner loop. */
    int32_t (*cancelled)(const farebox_plugin_call *call);
} farebox_plugin_cancel;

/* ---- 5. The plugin ---------------------------------------------------------------------------------------------- */

/* The plugin's functions; a static table. A function whose comment says so may be NULL. */
typedef struct farebox_plugin {
    uint32_t struct_size;
    uint16_t abi_major; /* FAREBOX_PLUGIN_ABI_MAJOR */
    uint16_t abi_minor; /* FAREBOX_PLUGIN_ABI_MINOR */
    farebox_plugin_str id;      /* as in the manifest */
    farebox_plugin_str version; /* as in the manifest */
    const farebox_plugin_str *tools; /* the names of all tools, as in the manifest: a plugin that disagrees is broken */
    uint32_t tool_count;
    uint32_t reserved; /* 0 */

    /* Makes an instance. `config` is the JSON object that the operator gave, "{}" where there is none.
     * [loaded -> initialised, one thread] */
    farebox_plugin_status (*init)(const farebox_plugin_host *host, farebox_plugin_str config, void **instance);

    /* Runs a tool: writes its output into call->output and returns OK, or a sentence into call->error and returns why.
     * [active, one thread] */
    farebox_plugin_status (*call)(void *instance, const farebox_plugin_call *call);

    /* Gives an instance back; may be NULL. The instance is gone whatever happens.
     * [initialised -> loaded, one thread] */
    void (*shutdown)(void *instance);

    /* Gets ready for calls; may be NULL. [initialised -> active, one thread] */
    farebox_plugin_status (*activate)(void *instance);

    /* No call follows; may be NULL. [active -> initialised, one thread] */
    void (*deactivate)(void *instance);

    /* Whether calls are likely to work: cheap, without side effects; may be NULL, then it is healthy. [active, one thread] */
    farebox_plugin_status (*health)(void *instance);

    /* Takes a new configuration while active, or refuses it and keeps the old; may be NULL, then a new configuration makes
     * a new instance. [active, one thread] */
    farebox_plugin_status (*configure)(void *instance, farebox_plugin_str config);
} farebox_plugin;

/* The one symbol that a plugin exports. Returns its table and does nothing else; NULL is a broken plugin. */
FAREBOX_PLUGIN_EXPORT const farebox_plugin *farebox_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif /* FAREBOX_PLUGIN_H */

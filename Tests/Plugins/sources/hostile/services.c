/* Tools that misuse what the host gives them. Where a service answers, its statuses are the output. */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>

static const char kilobyte[1024] = {0};

/* Writes until the sink is full, and says that all is well. */
farebox_plugin_status flood_output(const farebox_plugin_call *call)
{
    farebox_plugin_status status = call->output->write(call->output, "{\"flood\":\"", 10);
    const long long most = number(call->input, "bytes", INT64_MAX);
    char letters[1024];
    memset(letters, 'x', sizeof letters);
    for (long long bytes = 0; status == FAREBOX_PLUGIN_STATUS_OK && bytes < most; bytes += (long long)sizeof letters) {
        status = call->output->write(call->output, letters, sizeof letters);
    }
    call->output->write(call->output, "\"}", 2);
    return FAREBOX_PLUGIN_STATUS_OK;
}

/* Never takes no for an answer. */
farebox_plugin_status flood_forever(const farebox_plugin_call *call)
{
    for (;;) {
        call->output->write(call->output, kilobyte, sizeof kilobyte);
    }
}

/* `count` lines of 8,192 bytes; the second half of them is beyond what a host keeps of a line. */
farebox_plugin_status flood_logs(const farebox_plugin_call *call)
{
    const long long count = number(call->input, "count", 10000);
    char line[8192];
    memset(line, 'l', sizeof line);
    for (long long k = 0; k < count; k++) {
        has.log->write(has.host, FAREBOX_PLUGIN_LOG_INFO, (farebox_plugin_str){line, sizeof line});
    }
    return say(call->output, "{\"lines\":%lld}", count);
}

farebox_plugin_status flood_error(const farebox_plugin_call *call)
{
    char letters[100];
    memset(letters, 'e', sizeof letters);
    for (int k = 0; k < 100; k++) {
        call->error->write(call->error, letters, sizeof letters);
    }
    return FAREBOX_PLUGIN_STATUS_FAILED;
}

/* A length without bytes, and one that no memory has. */
farebox_plugin_status write_null(const farebox_plugin_call *call)
{
    const farebox_plugin_status nothing = call->output->write(call->output, NULL, 16);
    const farebox_plugin_status everything = call->output->write(call->output, kilobyte, SIZE_MAX);
    return say(call->error, "%d %d", nothing, everything), FAREBOX_PLUGIN_STATUS_FAILED;
}

static const farebox_plugin_sink *_Atomic kept_sink;
static const farebox_plugin_call *_Atomic kept_call;

/* A thread that writes into the call's sink while, and after, the call returns. */
static void *write_late(void *unused)
{
    (void)unused;
    for (int k = 0; k < 200; k++) {
        const farebox_plugin_sink *sink = atomic_load(&kept_sink);
        sink->write(sink, "late", 4);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return NULL;
}

farebox_plugin_status keep_sink(const farebox_plugin_call *call)
{
    atomic_store(&kept_sink, call->output);
    atomic_store(&kept_call, call);
    const farebox_plugin_status status = say(call->output, "{\"kept\":true}");
    pthread_t thread;
    if (number(call->input, "thread", 0) != 0 && pthread_create(&thread, NULL, write_late, NULL) == 0) {
        pthread_detach(thread);
    }
    return status;
}

/* Uses the sink, meter, store and cancel of the call before. */
farebox_plugin_status use_kept_sink(const farebox_plugin_call *call)
{
    const farebox_plugin_sink *sink = atomic_load(&kept_sink);
    const farebox_plugin_call *before = atomic_load(&kept_call);
    if (sink == NULL || before == NULL) {
        say(call->error, "keep_sink comes first");
        return FAREBOX_PLUGIN_STATUS_INVALID_INPUT;
    }
    const int written = sink->write(sink, "stale", 5);
    const int metered = has.meter->add(before, STR("units"), 1000000, 0);
    const int set = has.store->set(before, STR("stale"), STR("1"));
    const int cancelled = has.cancel->cancelled(before);
    return say(call->output, "{\"write\":%d,\"add\":%d,\"set\":%d,\"cancelled\":%d}", written, metered, set, cancelled);
}

static atomic_llong ticks;

/* Logs and reads clocks, which it may, for ever. */
static void *tick(void *unused)
{
    (void)unused;
    while (has.clock->steady(has.host) > 0) {
        if (atomic_fetch_add(&ticks, 1) % 100 == 0) {
            has.log->write(has.host, FAREBOX_PLUGIN_LOG_DEBUG, STR("tick"));
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return NULL;
}

farebox_plugin_status start_thread(const farebox_plugin_call *call)
{
    pthread_t thread;
    return say(call->output, "{\"errno\":%d}", pthread_create(&thread, NULL, tick, NULL));
}

farebox_plugin_status thread_ticks(const farebox_plugin_call *call)
{
    return say(call->output, "{\"ticks\":%lld}", atomic_load(&ticks));
}

/* All but the last must be INVALID_INPUT, and nothing of them be charged. */
farebox_plugin_status meter_misuse(const farebox_plugin_call *call)
{
    const int negative = has.meter->add(call, STR("units"), -1, 0);
    const int least = has.meter->add(call, STR("units"), INT64_MIN, 0);
    const int unknown = has.meter->add(call, STR("unicorns"), 1, 0);
    const int absent = has.meter->add(call, (farebox_plugin_str){NULL, 0}, 1, 0);
    const int micro = has.meter->add(call, STR("images"), 0, 1);
    const int two = has.meter->add(call, STR("units"), 2, 0);
    const int overflow = has.meter->add(call, STR("units"), INT64_MAX, 0);
    return say(call->output,
               "{\"negative\":%d,\"least\":%d,\"unknown\":%d,\"absent\":%d,\"micro\":%d,\"overflow\":%d,\"two\":%d}",
               negative, least, unknown, absent, micro, overflow, two);
}

/* A count whose price no amount holds. */
farebox_plugin_status meter_huge(const farebox_plugin_call *call)
{
    return say(call->output, "{\"status\":%d}",
               has.meter->add(call, STR("units"), number(call->input, "count", INT64_MAX), 0));
}

farebox_plugin_status meter_then_fail(const farebox_plugin_call *call)
{
    has.meter->add(call, STR("units"), 1000, 0);
    say(call->output, "{}");
    say(call->error, "it was used, and failed");
    return FAREBOX_PLUGIN_STATUS_FAILED;
}

/* The host counts the units of this tool by its manifest. */
farebox_plugin_status meter_declared(const farebox_plugin_call *call)
{
    return say(call->output, "{\"status\":%d}", has.meter->add(call, STR("units"), 1000000, 0));
}

/* Beyond each bound of the store. Without the permission all are DENIED. */
farebox_plugin_status store_misuse(const farebox_plugin_call *call)
{
    char key[129], value[4097];
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    const int long_key = has.store->set(call, (farebox_plugin_str){key, sizeof key}, STR("1"));
    const int no_key = has.store->set(call, (farebox_plugin_str){NULL, 0}, STR("1"));
    const int long_value = has.store->set(call, STR("long"), (farebox_plugin_str){value, sizeof value});
    const int most = has.store->set(call, (farebox_plugin_str){key, 128}, (farebox_plugin_str){value, 4096});
    const int invalid = has.store->set(call, STR("\xff\xfe"), STR("1"));
    const int missing = has.store->get(call, STR("nothing of this name"), call->output);
    return say(call->output,
               "{\"long_key\":%d,\"no_key\":%d,\"long_value\":%d,\"most\":%d,\"invalid_key\":%d,\"missing\":%d}",
               long_key, no_key, long_value, most, invalid, missing);
}

/* Sets `count` keys, and says how many were taken and what the first that was not got. */
farebox_plugin_status store_flood(const farebox_plugin_call *call)
{
    farebox_plugin_status status = FAREBOX_PLUGIN_STATUS_OK;
    int taken = 0;
    const long long count = number(call->input, "count", 17);
    while (status == FAREBOX_PLUGIN_STATUS_OK && taken < count) {
        char key[32];
        const int len = snprintf(key, sizeof key, "key-%d", taken);
        status = has.store->set(call, (farebox_plugin_str){key, (size_t)len}, STR("1"));
        taken += status == FAREBOX_PLUGIN_STATUS_OK;
    }
    return say(call->output, "{\"taken\":%d,\"status\":%d}", taken, status);
}

/* Services that there are not, and log lines that make no sense. */
farebox_plugin_status service_misuse(const farebox_plugin_call *call)
{
    const int unknown = has.host->service(has.host, STR("farebox.teapot/1")) != NULL;
    const int revision = has.host->service(has.host, STR("farebox.log/999")) != NULL;
    const int absent = has.host->service(has.host, (farebox_plugin_str){NULL, 0}) != NULL;
    has.log->write(has.host, -7, STR("a level below all"));
    has.log->write(has.host, INT32_MAX, STR("a level above all"));
    has.log->write(has.host, FAREBOX_PLUGIN_LOG_INFO, (farebox_plugin_str){NULL, 0});
    has.log->write(has.host, FAREBOX_PLUGIN_LOG_INFO,
                   STR("\xff\xfe not UTF-8 \0 nor text \x1b[31m\n{\"forged\":\"line\"}"));
    const int config = has.config->get(has.host, STR("no member has this name"), call->output);
    return say(call->output, "{\"unknown\":%d,\"revision\":%d,\"absent\":%d,\"config\":%d}", unknown, revision, absent,
               config);
}

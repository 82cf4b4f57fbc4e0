/* The PostgreSQL client library, opened on first use: a host that keeps its ledger in SQLite needs none. */
#ifndef FAREBOX_CPOSTGRES_SHIM_H
#define FAREBOX_CPOSTGRES_SHIM_H

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <postgresql/libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is called of libpq. */
struct farebox_libpq {
    __typeof__(&PQconninfoParse) _Nonnull conninfo_parse;
    __typeof__(&PQconninfoFree) _Nonnull conninfo_free;
    __typeof__(&PQfreemem) _Nonnull free_memory;
    __typeof__(&PQconnectdbParams) _Nonnull connect;
    __typeof__(&PQfinish) _Nonnull finish;
    __typeof__(&PQstatus) _Nonnull status;
    __typeof__(&PQerrorMessage) _Nonnull error_message;
    __typeof__(&PQsetErrorVerbosity) _Nonnull set_verbosity;
    __typeof__(&PQreset) _Nonnull reset;
    __typeof__(&PQbackendPID) _Nonnull backend_pid;
    __typeof__(&PQsocket) _Nonnull socket;
    __typeof__(&PQsetnonblocking) _Nonnull set_nonblocking;
    __typeof__(&PQsetNoticeReceiver) _Nonnull set_notice_receiver;
    __typeof__(&PQenterPipelineMode) _Nonnull enter_pipeline;
    __typeof__(&PQsendPrepare) _Nonnull send_prepare;
    __typeof__(&PQsendQueryPrepared) _Nonnull send_prepared;
    __typeof__(&PQsendQueryParams) _Nonnull send_params;
    __typeof__(&PQpipelineSync) _Nonnull sync;
    __typeof__(&PQflush) _Nonnull flush;
    __typeof__(&PQconsumeInput) _Nonnull consume;
    __typeof__(&PQisBusy) _Nonnull is_busy;
    __typeof__(&PQgetResult) _Nonnull result;
    __typeof__(&PQresultStatus) _Nonnull result_status;
    __typeof__(&PQresultErrorField) _Nonnull result_field;
    __typeof__(&PQcmdStatus) _Nonnull command;
    __typeof__(&PQntuples) _Nonnull rows;
    __typeof__(&PQgetisnull) _Nonnull is_null;
    __typeof__(&PQgetvalue) _Nonnull value;
    __typeof__(&PQgetlength) _Nonnull length;
    __typeof__(&PQclear) _Nonnull clear;
};

/* The table, or NULL where the library is missing or too old (before 14, which brought pipelines); called once. */
static inline const struct farebox_libpq *_Nullable farebox_libpq_load(void) {
    static struct farebox_libpq functions;
    struct farebox_libpq *table = &functions;
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library) return NULL;
    const struct {
        void **place;
        const char *name;
    } entries[] = {
        {(void **)&table->conninfo_parse, "PQconninfoParse"},
        {(void **)&table->conninfo_free, "PQconninfoFree"},
        {(void **)&table->free_memory, "PQfreemem"},
        {(void **)&table->connect, "PQconnectdbParams"},
        {(void **)&table->finish, "PQfinish"},
        {(void **)&table->status, "PQstatus"},
        {(void **)&table->error_message, "PQerrorMessage"},
        {(void **)&table->set_verbosity, "PQsetErrorVerbosity"},
        {(void **)&table->reset, "PQreset"},
        {(void **)&table->backend_pid, "PQbackendPID"},
        {(void **)&table->socket, "PQsocket"},
        {(void **)&table->set_nonblocking, "PQsetnonblocking"},
        {(void **)&table->set_notice_receiver, "PQsetNoticeReceiver"},
        {(void **)&table->enter_pipeline, "PQenterPipelineMode"},
        {(void **)&table->send_prepare, "PQsendPrepare"},
        {(void **)&table->send_prepared, "PQsendQueryPrepared"},
        {(void **)&table->send_params, "PQsendQueryParams"},
        {(void **)&table->sync, "PQpipelineSync"},
        {(void **)&table->flush, "PQflush"},
        {(void **)&table->consume, "PQconsumeInput"},
        {(void **)&table->is_busy, "PQisBusy"},
        {(void **)&table->result, "PQgetResult"},
        {(void **)&table->result_status, "PQresultStatus"},
        {(void **)&table->result_field, "PQresultErrorField"},
        {(void **)&table->command, "PQcmdStatus"},
        {(void **)&table->rows, "PQntuples"},
        {(void **)&table->is_null, "PQgetisnull"},
        {(void **)&table->value, "PQgetvalue"},
        {(void **)&table->length, "PQgetlength"},
        {(void **)&table->clear, "PQclear"},
    };
    for (size_t index = 0; index < sizeof entries / sizeof *entries; index++) {
        *entries[index].place = dlsym(library, entries[index].name);
        if (!*entries[index].place) return NULL;
    }
    return table;
}

/* How often the server has warned that it gave up waiting for its replica; other notices are passed over. */
struct farebox_notices {
    int32_t unreplicated;
    __typeof__(&PQresultErrorField) _Nonnull field;
};

static inline void farebox_take_notice(void *context, const PGresult *notice) {
    struct farebox_notices *notices = context;
    const char *source = notices->field(notice, PG_DIAG_SOURCE_FUNCTION);
    if (source && strcmp(source, "SyncRepWaitForLSN") == 0) notices->unreplicated += 1;
}

/* Waits until a socket can be read, or written where that is wanted: 1, 0 when the time is over, -1 on an error. */
static inline int farebox_wait_socket(int socket, bool writing, int milliseconds) {
    struct pollfd entry = {socket, (short)(POLLIN | (writing ? POLLOUT : 0)), 0};
    int count = poll(&entry, 1, milliseconds);
    if (count < 0) return errno == EINTR ? 1 : -1;
    return count > 0;
}

static inline int64_t farebox_monotonic_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void farebox_sleep_milliseconds(int64_t milliseconds) {
    struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
}

#endif

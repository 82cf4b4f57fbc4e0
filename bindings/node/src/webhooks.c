/* Webhooks. */
#include <stdlib.h>

#include "calls.h"
#include "library.h"
#include "requests.h"

enum { WEBHOOK_TEXTS, WEBHOOK_SCHEME, WEBHOOK_TOLERANCE, WEBHOOK_NOW, WEBHOOK_SIZE };

static bool prepare_webhook(job *job)
{
    static const text_field fields[] = {
        TEXT(farebox_webhook_args, "body", body),
        TEXT(farebox_webhook_args, "signature", signature),
        TEXT(farebox_webhook_args, "id", id),
        TEXT(farebox_webhook_args, "timestamp", timestamp),
        TEXT(farebox_webhook_args, "sender", sender),
    };
    farebox_webhook_args *args = &job->in.webhook;
    uint32_t scheme;
    *args = (farebox_webhook_args)FAREBOX_WEBHOOK_ARGS_INIT;
    if (!job_uint32(job, job->numbers[WEBHOOK_SCHEME], "scheme", &scheme)) {
        return false;
    }
    args->scheme = (farebox_webhook_scheme)scheme;
    args->tolerance_s = job->numbers[WEBHOOK_TOLERANCE];
    args->now = job->numbers[WEBHOOK_NOW];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if ((job->numbers[WEBHOOK_TEXTS] >> i & 1) != 0
            && !job_text(job, fields[i].name, true, (farebox_str *)((char *)args + fields[i].offset))) {
            return false;
        }
    }
    job->count = job->text_count > job->text_next ? job->text_count - job->text_next : 0;
    farebox_str *secrets = calloc(job->count + 1, sizeof *secrets);
    job->items = secrets;
    if (secrets == NULL) {
        return job_fail(job, FAREBOX_NO_MEMORY, "", "There is no memory for the secrets.");
    }
    for (size_t i = 0; i < job->count; i++) {
        if (!job_text(job, "secrets", true, &secrets[i])) {
            return false;
        }
    }
    args->secrets = secrets;
    args->secret_count = job->count;
    return true;
}

static void run_webhook(job *job)
{
    job->status = lib.verify_webhook(job_handle(job), &job->in.webhook, &job->error);
}

static void release_secrets(job *job)
{
    free(job->items);
}

static const verb verbs[] = {
    {"verifyWebhook", ENGINE_ALLOWED, WEBHOOK_SIZE, prepare_webhook, run_webhook, NULL, release_secrets, true},
};

bool webhooks_export(napi_env env, napi_value exports)
{
    return verbs_export(env, exports, verbs, sizeof verbs / sizeof verbs[0]);
}

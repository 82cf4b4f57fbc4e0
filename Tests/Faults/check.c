/* Opens a ledger after a fault and compares it with what runs were given.
 *
 *   check URL [--log FILE]... [--base FILE] [--state FILE] [--may-lose] [--died] [--cut]
 *         [--every N]
 *
 * --log names what a workload has written; --base a state that an earlier check has written with --state, so that only
 * the rows after it are read. --may-lose: the power was lost, so that what was given without a flush may be gone, if
 * all that came after it is gone too. --died: the run was ended, so that a request whose failure changed nothing in the
 * eyes of that run may still be in the log that the next one recovers. --cut: the end of the log was damaged, so that
 * what was flushed may be gone as well, again with all that came after it. --every repeats one request in so many.
 *
 * Exits with 0 where all is right, 1 where something is wrong, 2 where the ledger says itself that it is damaged. */
#include "requests.h"

#include <errno.h>

enum outcome { UNKNOWN, DONE, REFUSED, UNCHANGED };

/* One request, or one item of many, and what came of it. */
typedef struct entry {
    request asked;
    enum outcome outcome;
    int may_have_happened;
    int order; /* in its log */
    int log;
    uint64_t id, hold;
    int64_t amount;
    int found;
    int64_t found_amount;
    uint64_t found_id;
} entry;

typedef struct open_hold {
    uint64_t id;
    int payer;
    int64_t left;
} open_hold;

static entry *entries;
static size_t entry_count, entry_capacity;
static entry **by_key;
static open_hold *holds;
static size_t hold_count, hold_capacity;
static int64_t balances[ACCOUNTS];
static uint64_t base_last, last;
static int64_t last_time;
static int may_lose, died, is_cut, every = 1, logs, ended[64], problems;
static farebox_engine *engine;
static size_t rows_read, replayed, lost, surfaced;

__attribute__((format(printf, 1, 2))) static void problem(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (++problems <= 20) {
        fprintf(stderr, "check: ");
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
    }
    va_end(arguments);
}

/* The ledger says that it is damaged; where that is allowed is for the caller to know. */
static void must(farebox_status status, const char *what)
{
    if (status == FAREBOX_OK) {
        return;
    }
    printf("%s of %s\n", farebox_status_name(status), what);
    const int is_told = status == FAREBOX_STORE_CORRUPT || status == FAREBOX_STORE_UNTRUSTED || status == FAREBOX_LEDGER_INVALID ||
                        status == FAREBOX_STORE_NEWER;
    farebox_close(engine, NULL);
    exit(problems == 0 && is_told ? 2 : 1);
}

/* ---- Logs ---- */

static entry *add_entry(void)
{
    if (entry_count == entry_capacity) {
        entry_capacity = entry_capacity * 2 + 1024;
        entries = realloc(entries, entry_capacity * sizeof *entries);
        if (entries == NULL) {
            abort();
        }
    }
    entry *e = &entries[entry_count++];
    memset(e, 0, sizeof *e);
    return e;
}

static void read_log(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        problem("%s: %s", path, strerror(errno));
        return;
    }
    const int log = logs++;
    char line[512];
    int order = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        /* The last line of a killed process may be half a line. */
        if (strchr(line, '\n') == NULL) {
            break;
        }
        request r = {0};
        int item = 0, status = 0;
        unsigned flags = 0;
        uint64_t id = 0, hold = 0;
        int64_t amount = 0;
        int kind_read = 0, number = 0;
        if (sscanf(line, "try %d %d %63s %d %d %" SCNd64 " %" SCNu64 " %d %d", &r.number, &kind_read, r.key, &r.payer, &r.payee, &r.amount,
                   &r.reference, &r.durability, &r.count) == 9) {
            r.kind = (kind)kind_read;
            order++;
            for (int k = 0; k < (r.kind == MANY ? r.count : 1); k++) {
                entry *e = add_entry();
                e->asked = r.kind == MANY ? item_of(&r, k) : r;
                e->order = order;
                e->log = log;
            }
        } else if (sscanf(line, "got %d %d %d %" SCNu64 " %" SCNd64 " %" SCNu64 " %u", &number, &item, &status, &id, &amount, &hold,
                          &flags) == 7) {
            /* Threads write one log, so the request is the newest of its number. */
            size_t at = entry_count;
            while (at > 0 && (entries[at - 1].log != log || entries[at - 1].asked.number != number)) {
                at--;
            }
            size_t from = at;
            while (from > 0 && entries[from - 1].log == log && entries[from - 1].asked.number == number) {
                from--;
            }
            for (size_t k = from; k < at; k++) {
                entry *e = &entries[k];
                if (item >= 0 && (int)(k - from) != item) {
                    continue;
                }
                /* What every item has in common, when the batch was carried out, is told by the items. */
                if (item < 0 && at - from > 1 && status == FAREBOX_OK) {
                    continue;
                }
                if (status == FAREBOX_OK) {
                    e->outcome = DONE;
                    e->id = id;
                    e->hold = hold;
                    e->amount = amount;
                } else {
                    e->may_have_happened |= is_store_status(status) && !says_nothing_changed(status);
                    e->outcome = e->may_have_happened ? UNKNOWN : is_store_status(status) ? UNCHANGED : REFUSED;
                }
            }
        } else if (strcmp(line, "end\n") == 0) {
            ended[log] = 1;
        }
    }
    fclose(file);
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp((*(entry *const *)left)->asked.key, (*(entry *const *)right)->asked.key);
}

static void sort_keys(void)
{
    by_key = calloc(entry_count + 1, sizeof *by_key);
    for (size_t k = 0; k < entry_count; k++) {
        by_key[k] = &entries[k];
    }
    qsort(by_key, entry_count, sizeof *by_key, compare_keys);
}

static entry *entry_of(const char *key)
{
    entry wanted = {0};
    snprintf(wanted.asked.key, sizeof wanted.asked.key, "%s", key);
    entry *const pointer = &wanted;
    entry **found = bsearch(&pointer, by_key, entry_count, sizeof *by_key, compare_keys);
    return found == NULL ? NULL : *found;
}

/* ---- A state ---- */

static open_hold *add_hold(uint64_t id, int payer, int64_t left)
{
    if (hold_count == hold_capacity) {
        hold_capacity = hold_capacity * 2 + 256;
        holds = realloc(holds, hold_capacity * sizeof *holds);
        if (holds == NULL) {
            abort();
        }
    }
    holds[hold_count] = (open_hold){id, payer, left};
    return &holds[hold_count++];
}

static open_hold *hold_of(uint64_t id)
{
    for (size_t k = hold_count; k > 0; k--) {
        if (holds[k - 1].id == id) {
            return &holds[k - 1];
        }
    }
    return NULL;
}

static void read_state(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        problem("%s: %s", path, strerror(errno));
        return;
    }
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        int account = 0;
        int64_t units = 0;
        uint64_t id = 0;
        if (sscanf(line, "balance %d %" SCNd64, &account, &units) == 2) {
            balances[account] = units;
        } else if (sscanf(line, "hold %" SCNu64 " %d %" SCNd64, &id, &account, &units) == 3) {
            add_hold(id, account, units);
        } else {
            sscanf(line, "last %" SCNu64, &base_last);
        }
    }
    fclose(file);
}

static void write_state(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        problem("%s: %s", path, strerror(errno));
        return;
    }
    fprintf(file, "last %" PRIu64 "\n", last);
    for (int k = 0; k < ACCOUNTS; k++) {
        fprintf(file, "balance %d %" PRId64 "\n", k, balances[k]);
    }
    for (size_t k = 0; k < hold_count; k++) {
        if (holds[k].left >= 0) {
            fprintf(file, "hold %" PRIu64 " %d %" PRId64 "\n", holds[k].id, holds[k].payer, holds[k].left);
        }
    }
    fclose(file);
}

/* ---- The journal's rows ---- */

typedef struct row {
    uint64_t id, hold;
    char kind[24], key[64];
    int64_t amount, time;
    int is_final;
} row;

static row *rows;
static size_t row_count, row_capacity;

static void text_of(const char *json, const char *name, char *out, size_t size)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    const char *found = strstr(json, pattern);
    size_t length = 0;
    if (found != NULL) {
        found += strlen(pattern);
        while (length + 1 < size && found[length] != '"' && found[length] != '\0') {
            length++;
        }
        memcpy(out, found, length);
    }
    out[length] = '\0';
}

static void read_row(const char *json)
{
    if (row_count == row_capacity) {
        row_capacity = row_capacity * 2 + 1024;
        rows = realloc(rows, row_capacity * sizeof *rows);
        if (rows == NULL) {
            abort();
        }
    }
    row *r = &rows[row_count++];
    char amount[40];
    r->id = (uint64_t)json_first(json, "id");
    r->time = json_first(json, "time");
    const int64_t hold = json_first(json, "hold");
    r->hold = hold < 0 ? 0 : (uint64_t)hold;
    text_of(json, "kind", r->kind, sizeof r->kind);
    text_of(json, "idempotency_key", r->key, sizeof r->key);
    text_of(json, "amount", amount, sizeof amount);
    r->amount = units_of(amount);
    r->is_final = strstr(json, "\"final\":true") != NULL;
}

/* Reads the rows after the base, newest first, and gives each object between the brackets of the list. */
static void read_rows(void)
{
    uint64_t before = INT64_MAX;
    for (;;) {
        const char *out = NULL;
        must(json_call(engine, &out, "transfer.list", "{\"limit\":1000,\"before\":%" PRIu64 "}", before), "transfer.list");
        static char object[1 << 14];
        size_t length = 0;
        int depth = 0, in_text = 0;
        uint64_t lowest = before;
        const char *at = strchr(out, '[');
        for (at = at == NULL ? "" : at + 1; *at != '\0' && !(depth == 0 && *at == ']'); at++) {
            if (in_text && *at == '\\') {
                at++;
                continue;
            }
            in_text ^= *at == '"';
            depth += !in_text && *at == '{';
            if (depth > 0 && length + 1 < sizeof object) {
                object[length++] = *at;
            }
            if (!in_text && *at == '}' && --depth == 0) {
                object[length] = '\0';
                length = 0;
                read_row(object);
                lowest = rows[row_count - 1].id;
                if (lowest <= base_last) {
                    row_count--;
                    return;
                }
            }
        }
        if (lowest == before || json_first(out, "next") <= 0) {
            return;
        }
        before = lowest;
    }
}

static void apply_row(const row *r)
{
    if (r->id != last + 1) {
        problem("record %" PRIu64 " follows record %" PRIu64, r->id, last);
    }
    last = r->id;
    if (r->time < last_time) {
        problem("the time of record %" PRIu64 " goes back", r->id);
    }
    last_time = r->time;
    if (strcmp(r->kind, "release") == 0 || strcmp(r->kind, "expire") == 0) {
        open_hold *h = hold_of(r->hold);
        if (h == NULL || h->left != r->amount) {
            problem("%s %" PRIu64 " returns %" PRId64 " of a hold that has %" PRId64, r->kind, r->id, r->amount, h == NULL ? -1 : h->left);
        } else {
            h->left = -1;
        }
        return;
    }
    static const char *const kinds[KINDS] = {"transfer", "charge", "charge", "", "reserve", "capture", "capture", "release", "refund", "transfer"};
    if (r->key[0] == '\0') {
        for (int k = 0; k < KINDS; k++) {
            if (strcmp(r->kind, kinds[k]) == 0) {
                problem("record %" PRIu64 ", a %s, has no key", r->id, r->kind);
            }
        }
        return;
    }
    entry *e = entry_of(r->key);
    if (e == NULL) {
        problem("record %" PRIu64 " has the key %s, for which nobody asked", r->id, r->key);
        return;
    }
    const int64_t amount = e->asked.kind == TOOL ? TOOL_PRICE : e->asked.amount;
    if (strcmp(kinds[e->asked.kind], r->kind) != 0 || amount != r->amount) {
        problem("record %" PRIu64 " is a %s of %" PRId64 ", asked was a %s of %" PRId64, r->id, r->kind, r->amount,
                kind_names[e->asked.kind], amount);
    }
    if (e->found++ > 0) {
        problem("key %s is in the records %" PRIu64 " and %" PRIu64, r->key, e->found_id, r->id);
    }
    e->found_id = r->id;
    e->found_amount = r->amount;
    add_effect(&e->asked, balances);
    if (e->asked.kind == RESERVE) {
        add_hold(r->hold, e->asked.payer, r->amount);
    } else if (e->asked.kind == CAPTURE || e->asked.kind == CAPTURE_PART) {
        open_hold *h = hold_of(e->asked.reference);
        if (h == NULL || h->left < r->amount || h->id != r->hold) {
            problem("record %" PRIu64 " captures %" PRId64 " of a hold that has %" PRId64, r->id, r->amount, h == NULL ? -1 : h->left);
        } else {
            h->left = r->is_final ? -1 : h->left - r->amount;
        }
    }
}

/* ---- Receipts ---- */

/* Whether a log's request was flushed, or a later one was. */
static int *flushed_order;

static void compare_entries(void)
{
    flushed_order = calloc((size_t)logs + 1, sizeof *flushed_order);
    int *lost_order = calloc((size_t)logs + 1, sizeof *lost_order);
    for (size_t k = 0; k < entry_count; k++) {
        const entry *e = &entries[k];
        const int is_full = e->asked.durability == FAREBOX_DURABILITY_FULL ||
                            (e->asked.durability == FAREBOX_DURABILITY_DEFAULT && e->asked.kind != RESERVE && e->asked.kind != RELEASE);
        if (e->outcome == DONE && is_full && e->order > flushed_order[e->log]) {
            flushed_order[e->log] = e->order;
        }
    }
    for (size_t k = 0; k < entry_count; k++) {
        entry *e = &entries[k];
        if (e->asked.kind == RELEASE) {
            continue;
        }
        if (e->outcome == DONE && e->found == 0) {
            if (may_lose && (is_cut || e->order > flushed_order[e->log])) {
                lost++;
                lost_order[e->log] = lost_order[e->log] == 0 ? e->order : lost_order[e->log];
            } else {
                problem("receipt %" PRIu64 " of %s (%s) is not in the journal", e->id, e->asked.key, kind_names[e->asked.kind]);
            }
        }
        if (e->found > 0 && lost_order[e->log] != 0 && e->order > lost_order[e->log]) {
            problem("%s is in the journal, and one before it is lost", e->asked.key);
        }
        if (e->outcome == DONE && e->found > 0 && (e->id != e->found_id || e->amount != e->found_amount)) {
            problem("the receipt of %s says %" PRIu64 " for %" PRId64 ", the journal %" PRIu64 " for %" PRId64, e->asked.key, e->id,
                    e->amount, e->found_id, e->found_amount);
        }
        if (e->outcome == REFUSED && e->found > 0) {
            problem("%s was refused and is in the journal", e->asked.key);
        }
        if (e->outcome == UNCHANGED && e->found > 0) {
            surfaced++;
            if (!died && ended[e->log]) {
                problem("%s failed without a change and is in the journal", e->asked.key);
            }
        }
    }
    free(lost_order);
}

static void compare_balances(const char *when)
{
    int64_t held[ACCOUNTS] = {0};
    for (size_t k = 0; k < hold_count; k++) {
        if (holds[k].left > 0) {
            held[holds[k].payer] += holds[k].left;
        }
    }
    for (int k = 0; k < ACCOUNTS; k++) {
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        const farebox_status status = farebox_balance(engine, str(account_names[k]), str("USD"), &balance, NULL);
        if (status == FAREBOX_ACCOUNT_NOT_FOUND && balances[k] == 0) {
            continue;
        }
        must(status, "balance");
        if (balance.balance != balances[k] || balance.held != held[k]) {
            problem("%s: %s has %" PRId64 " with %" PRId64 " held, and must have %" PRId64 " with %" PRId64, when, account_names[k],
                    balance.balance, balance.held, balances[k], held[k]);
        }
    }
}

static void verify(void)
{
    const char *out = NULL;
    must(json_call(engine, &out, "ledger.verify", "{}"), "ledger.verify");
    must(json_call(engine, &out, "ledger.reconcile", "{}"), "ledger.reconcile");
    if (strstr(out, "\"balanced\":true") == NULL) {
        problem("not balanced: %s", out);
    }
}

/* The same request again gives the same receipt and changes nothing. */
static void repeat_done(void)
{
    for (size_t k = 0; k < entry_count; k++) {
        const entry *e = &entries[k];
        if (e->asked.kind == RELEASE) {
            const char *out = NULL;
            if (e->outcome == DONE && !may_lose) {
                must(json_call(engine, &out, "hold.get", "{\"hold\":%" PRIu64 "}", e->asked.reference), "hold.get");
                if (strstr(out, "\"state\":\"released\"") == NULL) {
                    problem("a released hold: %s", out);
                }
            }
            continue;
        }
        if (e->found == 0 || (k % (size_t)every != 0 && k + 300 < entry_count)) {
            continue;
        }
        farebox_receipt receipt;
        const farebox_status status = perform(engine, &e->asked, &receipt);
        if (is_store_status(status)) {
            must(status, "a replay");
        }
        if (status != FAREBOX_OK || (receipt.flags & FAREBOX_RECEIPT_REPLAYED) == 0 || receipt.id != e->found_id ||
            receipt.amount != e->found_amount) {
            problem("%s (%s) again: %s, record %" PRIu64 " for %" PRId64 ", replayed %d; it was %" PRIu64 " for %" PRId64, e->asked.key,
                    kind_names[e->asked.kind], farebox_status_name(status), receipt.id, receipt.amount,
                    (receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0, e->found_id, e->found_amount);
        }
        replayed++;
    }
}

/* What is not in the journal has not happened: asked for again it is new, or refused. */
static void repeat_missing(void)
{
    for (size_t k = 0; k < entry_count; k++) {
        entry *e = &entries[k];
        if (e->asked.kind == RELEASE || e->found > 0 || e->asked.reference != 0) {
            continue;
        }
        farebox_receipt receipt;
        const farebox_status status = perform(engine, &e->asked, &receipt);
        if (is_store_status(status)) {
            must(status, "a repeated request");
        }
        if (status == FAREBOX_OK && (receipt.flags & FAREBOX_RECEIPT_REPLAYED) != 0) {
            problem("%s is not in the journal and was replayed", e->asked.key);
        }
        if (status == FAREBOX_OK) {
            add_effect(&e->asked, balances);
            if (e->asked.kind == RESERVE) {
                add_hold(receipt.hold, e->asked.payer, receipt.amount);
            }
            last = receipt.id > last ? receipt.id : last;
        }
    }
}

int main(int count, char **arguments)
{
    const char *url = NULL, *state = NULL;
    for (int k = 1; k < count; k++) {
        if (strcmp(arguments[k], "--may-lose") == 0) {
            may_lose = 1;
        } else if (strcmp(arguments[k], "--cut") == 0) {
            is_cut = may_lose = 1;
        } else if (k + 1 < count && strcmp(arguments[k], "--every") == 0) {
            every = atoi(arguments[++k]);
        } else if (strcmp(arguments[k], "--died") == 0) {
            died = 1;
        } else if (k + 1 < count && strcmp(arguments[k], "--log") == 0) {
            read_log(arguments[++k]);
        } else if (k + 1 < count && strcmp(arguments[k], "--base") == 0) {
            read_state(arguments[++k]);
        } else if (k + 1 < count && strcmp(arguments[k], "--state") == 0) {
            state = arguments[++k];
        } else if (url == NULL) {
            url = arguments[k];
        } else {
            fprintf(stderr, "check: %s?\n", arguments[k]);
            return 1;
        }
    }
    if (url == NULL) {
        fprintf(stderr, "check URL ...\n");
        return 1;
    }
    last = base_last;
    sort_keys();
    farebox_options options = FAREBOX_OPTIONS_INIT;
    options.key_memory_bytes = 1 << 20;
    farebox_error error = FAREBOX_ERROR_INIT;
    const farebox_status opened = farebox_open(&engine, str(url), &options, &error);
    if (opened != FAREBOX_OK) {
        fprintf(stderr, "check: open: %s\n", error.message);
    }
    must(opened, "open");
    verify();
    read_rows();
    rows_read = row_count;
    while (row_count > 0) {
        apply_row(&rows[--row_count]);
    }
    compare_entries();
    compare_balances("after the fault");
    repeat_done();
    compare_balances("after the replays");
    repeat_missing();
    compare_balances("after the repeats");
    verify();
    must(farebox_close(engine, NULL), "close");
    engine = NULL;
    if (state != NULL) {
        const char *out = NULL;
        must(farebox_open(&engine, str(url), &options, NULL), "open");
        must(json_call(engine, &out, "ledger.info", "{}"), "ledger.info");
        last = (uint64_t)json_first(out, "records");
        must(farebox_close(engine, NULL), "close");
        write_state(state);
    }
    printf("%zu rows, %zu replays, %zu lost, %zu surfaced, %d problems\n", rows_read, replayed, lost, surfaced, problems);
    return problems == 0 ? 0 : 1;
}

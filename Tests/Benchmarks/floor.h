/* The floor: the least SQLite work for a durable charge.
 *
 * A charge is one row with its 16-byte key, appended to a table that has no other index than its rowid, and two
 * balances that live in memory and are upserted once a commit. The log is a WAL at synchronous=FULL. Nothing is
 * looked up, no key is compared with any other, no budget is counted and nothing is hashed. */
#ifndef FLOOR_H
#define FLOOR_H

#include "bench.h"

#include <sqlite3.h>

enum { FLOOR_OPERATOR = 0, FLOOR_MASK_WORDS = BENCH_PAYERS / 64 + 1 };

typedef struct floor_ledger {
    sqlite3 *db;
    sqlite3_stmt *begin, *append, *upsert, *commit;
    uint64_t rows;
    int64_t balance[BENCH_PAYERS + 1]; /* the operator's is first */
    uint64_t touched[FLOOR_MASK_WORDS];
} floor_ledger;

static inline void floor_check(floor_ledger *ledger, int code, int wanted)
{
    if (code != wanted) {
        bench_die("sqlite: %s", sqlite3_errmsg(ledger->db));
    }
}

static inline void floor_run(floor_ledger *ledger, sqlite3_stmt *statement)
{
    floor_check(ledger, sqlite3_step(statement), SQLITE_DONE);
    floor_check(ledger, sqlite3_reset(statement), SQLITE_OK);
}

static inline sqlite3_stmt *floor_prepare(floor_ledger *ledger, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    floor_check(ledger, sqlite3_prepare_v3(ledger->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), SQLITE_OK);
    return statement;
}

/* With `unique`, the key has the UNIQUE index that a ledger would usually give it: no longer the floor. */
static inline floor_ledger *floor_open(const char *path, bool unique)
{
    floor_ledger *ledger = bench_alloc(1, sizeof *ledger);
    /* The caller sees to it that one thread at a time is inside, so that SQLite need not lock. */
    if (sqlite3_config(SQLITE_CONFIG_MULTITHREAD) != SQLITE_OK || sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK) {
        bench_die("sqlite: cannot be configured");
    }
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    floor_check(ledger, sqlite3_open_v2(path, &ledger->db, flags, NULL), SQLITE_OK);
    floor_check(ledger,
                sqlite3_exec(ledger->db,
                             "PRAGMA page_size=4096;"
                             "PRAGMA locking_mode=EXCLUSIVE;"
                             "PRAGMA journal_mode=WAL;"
                             "PRAGMA synchronous=FULL;"
                             "PRAGMA cache_size=-262144;"
                             "PRAGMA wal_autocheckpoint=4000;"
                             "CREATE TABLE charge(id INTEGER PRIMARY KEY, key BLOB, payer INTEGER, payee INTEGER,"
                             " amount INTEGER, at INTEGER);"
                             "CREATE TABLE balance(account INTEGER PRIMARY KEY, amount INTEGER);",
                             NULL, NULL, NULL),
                SQLITE_OK);
    if (unique) {
        floor_check(ledger, sqlite3_exec(ledger->db, "CREATE UNIQUE INDEX charge_key ON charge(key)", NULL, NULL, NULL),
                    SQLITE_OK);
    }
    ledger->begin = floor_prepare(ledger, "BEGIN IMMEDIATE");
    ledger->append = floor_prepare(ledger, "INSERT INTO charge(key, payer, payee, amount, at) VALUES(?1, ?2, ?3, ?4, ?5)");
    ledger->upsert = floor_prepare(ledger, "INSERT OR REPLACE INTO balance(account, amount) VALUES(?1, ?2)");
    ledger->commit = floor_prepare(ledger, "COMMIT");
    for (int payer = 1; payer <= BENCH_PAYERS; payer++) {
        ledger->balance[payer] = (int64_t)1000000 * 1000000000;
    }
    return ledger;
}

static inline int64_t floor_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Charges a payer (from 0) inside a transaction; gives its balance after. */
static inline int64_t floor_charge(floor_ledger *ledger, const uint8_t key[BENCH_KEY_BYTES], uint32_t payer, int64_t amount,
                                   int64_t at)
{
    const uint32_t account = payer + 1;
    if (ledger->balance[account] < amount) {
        bench_die("payer %" PRIu32 " has no money left", payer);
    }
    sqlite3_bind_blob(ledger->append, 1, key, BENCH_KEY_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(ledger->append, 2, account);
    sqlite3_bind_int64(ledger->append, 3, FLOOR_OPERATOR);
    sqlite3_bind_int64(ledger->append, 4, amount);
    sqlite3_bind_int64(ledger->append, 5, at);
    floor_run(ledger, ledger->append);
    ledger->balance[account] -= amount;
    ledger->balance[FLOOR_OPERATOR] += amount;
    ledger->touched[account / 64] |= (uint64_t)1 << (account % 64);
    ledger->rows++;
    return ledger->balance[account];
}

/* Upserts the balances that the transaction touched, in the order of the table, and commits. */
static inline void floor_commit(floor_ledger *ledger)
{
    ledger->touched[0] |= (uint64_t)1 << FLOOR_OPERATOR;
    for (int word = 0; word < FLOOR_MASK_WORDS; word++) {
        for (uint64_t rest = ledger->touched[word]; rest != 0; rest &= rest - 1) {
            const int account = word * 64 + __builtin_ctzll(rest);
            sqlite3_bind_int64(ledger->upsert, 1, account);
            sqlite3_bind_int64(ledger->upsert, 2, ledger->balance[account]);
            floor_run(ledger, ledger->upsert);
        }
        ledger->touched[word] = 0;
    }
    floor_run(ledger, ledger->commit);
}

/* One commit of `count` charges by `payers` payers. */
static inline void floor_batch(floor_ledger *ledger, uint32_t count, uint32_t payers)
{
    const int64_t at = floor_clock_us();
    floor_run(ledger, ledger->begin);
    for (uint32_t k = 0; k < count; k++) {
        uint8_t key[BENCH_KEY_BYTES];
        bench_key_at(key, ledger->rows);
        floor_charge(ledger, key, bench_payer_at(ledger->rows, payers), BENCH_AMOUNT, at);
    }
    floor_commit(ledger);
}

static inline void floor_warm_up(floor_ledger *ledger, int64_t rows, uint32_t payers)
{
    while (ledger->rows < (uint64_t)rows) {
        floor_batch(ledger, BENCH_BATCH_MAX, payers);
    }
}

static inline void floor_close(floor_ledger *ledger)
{
    sqlite3_finalize(ledger->begin);
    sqlite3_finalize(ledger->append);
    sqlite3_finalize(ledger->upsert);
    sqlite3_finalize(ledger->commit);
    floor_check(ledger, sqlite3_close(ledger->db), SQLITE_OK);
    free(ledger);
}

#endif /* FLOOR_H */

/* What the preloaded disk tells the driver, in a file that both map: it outlives a kill. */
#ifndef DISK_H
#define DISK_H

#include <stdint.h>

/* Calls of SQLite on the ledger's files, by what they do; and of the wall clock by anybody. */
enum disk_call { CALL_OPEN, CALL_STAT, CALL_READ, CALL_WRITE, CALL_SYNC, CALL_TRUNCATE, CALL_MAP, CALL_LOCK, CALL_UNLINK, CALL_CLOCK, CALLS };

typedef struct disk_report {
    uint64_t calls[CALLS]; /* how many there were */
    uint64_t fired;        /* how often the fault was given */
    uint64_t power_lost;   /* 1: the power went */
    uint64_t lost_sectors; /* written, and gone with the power */
} disk_report;

#endif

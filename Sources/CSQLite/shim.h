#include <sqlite3.h>

/* Result codes that are sums, which Swift does not see. */
static const int farebox_sqlite_ioerr_fsync = SQLITE_IOERR_FSYNC;
static const int farebox_sqlite_ioerr_dir_fsync = SQLITE_IOERR_DIR_FSYNC;

/* Whether closing the last connection copies the log into the file. */
static inline int farebox_sqlite_checkpoints_on_close(sqlite3 *database, int does) {
    return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !does, (int *)0);
}

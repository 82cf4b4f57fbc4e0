#include <sqlite3.h>

/* Result codes that are sums, which Swift does not see. */
static const int farebox_sqlite_ioerr_fsync = SQLITE_IOERR_FSYNC;
static const int farebox_sqlite_ioerr_dir_fsync = SQLITE_IOERR_DIR_FSYNC;

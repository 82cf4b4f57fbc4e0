#include <fcntl.h>
#include <linux/stat.h>
#include <sqlite3.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Result codes that are sums, which Swift does not see. */
static const int farebox_sqlite_ioerr_fsync = SQLITE_IOERR_FSYNC;
static const int farebox_sqlite_ioerr_dir_fsync = SQLITE_IOERR_DIR_FSYNC;

/* Whether closing the last connection copies the log into the file. */
static inline int farebox_sqlite_checkpoints_on_close(sqlite3 *database, int does) {
    return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !does, (int *)0);
}

/* Which file a path names; false where there is none. Not stat, which asks for the times too: where those are fine, a
 * file that is asked for them writes its inode at the next change, and a flush takes half as long again. */
static inline int farebox_identify_file(const char *path, uint64_t *device, uint64_t *number) {
    struct statx found;
    if (syscall(SYS_statx, AT_FDCWD, path, 0, STATX_INO, &found) != 0) return 0;
    *device = (uint64_t)found.stx_dev_major << 32 | found.stx_dev_minor;
    *number = found.stx_ino;
    return 1;
}

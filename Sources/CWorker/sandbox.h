/* What keeps a worker process in its place. */
#ifndef FAREBOX_CWORKER_SANDBOX_H
#define FAREBOX_CWORKER_SANDBOX_H

#endif

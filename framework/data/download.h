// Downloads over HTTP and HTTPS.
#ifndef RUNEXP_DATA_DOWNLOAD_H
#define RUNEXP_DATA_DOWNLOAD_H

#include "base/error.h"
#include "data/sha256.h"

#include <stdint.h>

// A download in progress: a temporary file beside its final place, locked against a second download of the
// same file by another process.
typedef struct download {
    char path[4096], temporary[4096];
    int descriptor;
    int64_t bytes;            // received
    char digest[SHA256_TEXT]; // of what was received
} download;

// Fetches url into a temporary file beside path. Redirections are followed, certificates verified; a
// transfer that stalls for half a minute is abandoned. Progress goes to the log's live line under the name
// of the file. Failures: ERR_DATA for the network and the server (unreachable, HTTP status of 400 and
// above, connection cut), ERR_IO for the disk, ERR_INTERRUPTED when *stop became true (stop may be NULL);
// nothing is left behind then. On success the caller looks at digest and calls one of the two functions
// below.
status download_begin(download *d, const char *url, const char *path, const volatile int *stop, error *err);

// Renames the temporary file over path. On failure nothing is left behind.
status download_keep(download *d, error *err);
void download_discard(download *d);

#endif

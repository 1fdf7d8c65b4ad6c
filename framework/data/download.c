#include "data/download.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "version.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONNECT_SECONDS = 20, STALLED_SECONDS = 30, REDIRECTIONS = 10 };

// What the callbacks of libcurl work on.
typedef struct transfer {
    download *d;
    const char *name; // of the file, for the live line
    const volatile int *stop;
    sha256 digest;
    int write_errno; // why the disk refused, 0: it did not
    int64_t expected;
    double shown; // when the live line was last written
} transfer;

// --- temporary file

// Opens and locks d->temporary. A file that an interrupted download left behind is used again.
static status open_temporary(download *d, error *err) {
    for (;;) {
        d->descriptor = open(d->temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (d->descriptor < 0) return fail_errno(err, "write", d->temporary);
        if (flock(d->descriptor, LOCK_EX | LOCK_NB) != 0) {
            int number = errno;
            close(d->descriptor);
            errno = number;
            if (number != EWOULDBLOCK) return fail_errno(err, "lock", d->temporary);
            fail(err, ERR_IO, "another process is downloading %s", d->path);
            return error_hint(err, "wait until it has finished");
        }
        // Between open and lock the other process may have finished and renamed the file it held: then this
        // descriptor is of the finished file, which must not be touched.
        struct stat opened, named;
        if (fstat(d->descriptor, &opened) == 0 && stat(d->temporary, &named) == 0 &&
            opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
            break;
        close(d->descriptor);
    }
    if (ftruncate(d->descriptor, 0) == 0) return OK;
    fail_errno(err, "write", d->temporary);
    download_discard(d);
    return err->code;
}

void download_discard(download *d) {
    unlink(d->temporary);
    close(d->descriptor);
}

status download_keep(download *d, error *err) {
    status result = file_commit(d->temporary, d->path, err);
    close(d->descriptor); // only now: the lock covers the rename
    return result;
}

// --- transfer

static size_t receive(char *bytes, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t total = size * count;
    for (size_t done = 0; done < total;) {
        ssize_t written = write(t->d->descriptor, bytes + done, total - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            t->write_errno = errno ? errno : EIO;
            return 0;
        }
        done += (size_t)written;
    }
    sha256_add(&t->digest, bytes, total);
    t->d->bytes += (int64_t)total;
    return total;
}

static int show_progress(void *user, curl_off_t expected, curl_off_t received, curl_off_t up,
                         curl_off_t uploaded) {
    (void)up, (void)uploaded;
    transfer *t = user;
    if (t->stop && *t->stop) return 1; // ends the transfer with CURLE_ABORTED_BY_CALLBACK
    t->expected = expected;
    double now = clock_seconds();
    if (now - t->shown < 0.1 || received == 0) return 0;
    t->shown = now;
    char have[32], whole[32];
    text_bytes((double)received, have, sizeof have);
    if (expected > 0)
        log_live("%s: %s of %s (%d%%)", t->name, have, text_bytes((double)expected, whole, sizeof whole),
                 (int)(100 * received / expected));
    else
        log_live("%s: %s", t->name, have);
    return 0;
}

static status explain(CURLcode code, CURL *curl, const char *details, const transfer *t, const char *url,
                      error *err) {
    long answer = 0;
    char have[32], whole[32];
    if (t->write_errno) {
        errno = t->write_errno;
        return fail_errno(err, "write", t->d->path);
    }
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
        return fail(err, ERR_INTERRUPTED, "interrupted while downloading %s; nothing of it was kept", url);
    case CURLE_HTTP_RETURNED_ERROR:
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
        return fail(err, ERR_DATA, "cannot download %s: the server answered with HTTP status %ld%s", url,
                    answer, answer == 404 ? " (not found)" : "");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        text_bytes((double)t->d->bytes, have, sizeof have);
        return fail(err, ERR_DATA, "cannot download %s: the connection was cut after %s of %s", url, have,
                    t->expected > 0 ? text_bytes((double)t->expected, whole, sizeof whole)
                                    : "an unknown length");
    default:
        return fail(err, ERR_DATA, "cannot download %s: %s", url,
                    details[0] ? details : curl_easy_strerror(code));
    }
}

static status fetch(CURL *curl, transfer *t, const char *url, error *err) {
    char details[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTIONS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L); // bytes a second
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALLED_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "runexp/" RUNEXP_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, show_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    CURLcode code = curl_easy_perform(curl);
    return code == CURLE_OK ? OK : explain(code, curl, details, t, url, err);
}

status download_begin(download *d, const char *url, const char *path, const volatile int *stop,
                      error *err) {
    *d = (download){0};
    if ((size_t)snprintf(d->path, sizeof d->path, "%s", path) >= sizeof d->path ||
        (size_t)snprintf(d->temporary, sizeof d->temporary, "%s.part", path) >= sizeof d->temporary)
        return fail(err, ERR_IO, "cannot write %s: the path is too long", path);
    CURL *curl = curl_easy_init();
    if (!curl) return fail(err, ERR_INTERNAL, "libcurl cannot be initialised");
    status result = open_temporary(d, err);
    if (result == OK) {
        const char *slash = strrchr(path, '/');
        transfer t = {.d = d, .name = slash ? slash + 1 : path, .stop = stop};
        error ignored;
        sha256_begin(&t.digest);
        result = fetch(curl, &t, url, err);
        status digested = sha256_end(&t.digest, d->digest, result == OK ? err : &ignored);
        if (result == OK) result = digested;
        if (result != OK) download_discard(d);
    }
    curl_easy_cleanup(curl);
    return result;
}

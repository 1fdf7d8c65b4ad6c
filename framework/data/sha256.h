// SHA-256 of bytes that come in pieces, and of files.
#ifndef RUNEXP_DATA_SHA256_H
#define RUNEXP_DATA_SHA256_H

#include "base/error.h"

#include <stddef.h>

enum { SHA256_TEXT = 65 }; // 64 hexadecimal digits and the final '\0'

typedef struct sha256 {
    void *context;
} sha256;

// Begin, add any number of times, end. A failure of the library shows at the end, as ERR_INTERNAL; every
// begin needs one end.
void sha256_begin(sha256 *s);
void sha256_add(sha256 *s, const void *bytes, size_t count);
status sha256_end(sha256 *s, char digest[SHA256_TEXT], error *err);

status sha256_bytes(const void *bytes, size_t count, char digest[SHA256_TEXT], error *err);
status sha256_file(const char *path, char digest[SHA256_TEXT], error *err);

#endif

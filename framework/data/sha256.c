#include "data/sha256.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

void sha256_begin(sha256 *s) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    s->context = context;
}

void sha256_add(sha256 *s, const void *bytes, size_t count) {
    if (!s->context || EVP_DigestUpdate(s->context, bytes, count) == 1) return;
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
}

status sha256_end(sha256 *s, char digest[SHA256_TEXT], error *err) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    bool good = s->context && EVP_DigestFinal_ex(s->context, bytes, &length) == 1;
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
    digest[0] = '\0';
    if (!good) return fail(err, ERR_INTERNAL, "the OpenSSL library of this machine cannot compute SHA-256");
    for (size_t i = 0; i < length; i++) snprintf(digest + 2 * i, 3, "%02x", bytes[i]);
    return OK;
}

status sha256_bytes(const void *bytes, size_t count, char digest[SHA256_TEXT], error *err) {
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, bytes, count);
    return sha256_end(&s, digest, err);
}

status sha256_file(const char *path, char digest[SHA256_TEXT], error *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return fail_errno(err, "read", path);
    static const size_t piece = 1 << 16;
    char buffer[1 << 16];
    sha256 s;
    sha256_begin(&s);
    while (!feof(f) && !ferror(f)) sha256_add(&s, buffer, fread(buffer, 1, piece, f));
    int number = errno;
    bool failed = ferror(f);
    fclose(f);
    TRY(sha256_end(&s, digest, err));
    if (!failed) return OK;
    errno = number;
    return fail_errno(err, "read", path);
}

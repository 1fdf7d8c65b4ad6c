#include "cli/input.h"

#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

bool is_standard_input(const char *name) {
    return strcmp(name, "-") == 0;
}

const char *input_name(const char *name) {
    return is_standard_input(name) ? "standard input" : name;
}

// read() is restarted after a signal, poll() is not: it is poll() that waits.
static status read_standard_input(const command_call *call, text *all, error *err) {
    char piece[1 << 16];
    for (;;) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (*call->stop) return err->code = ERR_INTERRUPTED; // which needs no words
        if (poll(&input, 1, -1) < 0 && errno == EINTR) continue;
        const ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
        if (got < 0) return fail_errno(err, "read", "standard input");
        if (got == 0) return OK;
        text_add_bytes(all, piece, (size_t)got);
    }
}

status read_input(const command_call *call, const char *name, char **bytes, size_t *length, error *err) {
    if (!is_standard_input(name)) return file_read(name, call->memory, bytes, length, err);
    text all = {0};
    const status result = read_standard_input(call, &all, err);
    *bytes = arena_copy_bytes(call->memory, all.bytes ? all.bytes : "", all.length);
    *length = all.length;
    text_free(&all);
    return result;
}

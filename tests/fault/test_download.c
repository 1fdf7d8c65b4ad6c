// Downloads from a real server on the loopback interface, and everything that can go wrong with them.
#include "base/log.h"
#include "data/catalogue.h"
#include "data/download.h"
#include "support/data_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

// --- server

enum { BODY = 300000 };
static char body[BODY];
static char body_digest[SHA256_TEXT];
static const char wrong_digest[] = "00000000000000000000000000000000000000000000000000000000000000ff";
static int port, closed_port;
static pid_t server;

static void send_all(int socket, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(socket, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes += sent, count -= (size_t)sent;
    }
}

static void answer(int socket, const char *path) {
    char head[256];
    if (strcmp(path, "/good") == 0 || strcmp(path, "/cut") == 0) {
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
                 BODY);
        send_all(socket, head, strlen(head));
        send_all(socket, body, strcmp(path, "/cut") == 0 ? 100000 : BODY);
    } else if (strcmp(path, "/moved") == 0 || strcmp(path, "/local") == 0 || strcmp(path, "/circle") == 0) {
        const char *to = path[1] == 'm' ? "/good" : path[1] == 'l' ? "file:///etc/passwd" : "/circle";
        snprintf(head, sizeof head,
                 "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 to);
        send_all(socket, head, strlen(head));
    } else if (strcmp(path, "/silent") != 0) {
        const char *none = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnone\n";
        send_all(socket, none, strlen(none));
    }
}

static void serve(int listener) {
    for (;;) {
        int socket = accept(listener, NULL, NULL);
        if (socket < 0) continue;
        char request[4096], path[64];
        size_t used = 0;
        ssize_t got = 1;
        request[0] = '\0';
        while (!strstr(request, "\r\n\r\n") && got > 0 && used < sizeof request - 1) {
            got = recv(socket, request + used, sizeof request - 1 - used, 0);
            if (got > 0) request[used += (size_t)got] = '\0';
        }
        if (sscanf(request, "GET %63s", path) == 1) answer(socket, path);
        shutdown(socket, SHUT_WR);
        while (recv(socket, request, sizeof request, 0) > 0) {
        }
        close(socket);
    }
}

// A socket bound to a free port of 127.0.0.1.
static int bound_socket(int *bound) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&address, size) != 0 ||
        getsockname(s, (struct sockaddr *)&address, &size) != 0)
        exit(99);
    *bound = ntohs(address.sin_port);
    return s;
}

static void start_server(void) {
    error err;
    for (int i = 0; i < BODY; i++) body[i] = (char)(i % 61 == 60 ? '\n' : 'a' + i * 7 % 26);
    if (sha256_bytes(body, BODY, body_digest, &err) != OK) exit(99);
    bound_socket(&closed_port); // bound but not listening: connections are refused
    int listener = bound_socket(&port);
    if (listen(listener, 16) != 0) exit(99);
    pid_t parent = getpid();
    server = fork();
    if (server == 0) {
        if (getppid() != parent) _exit(0);
        alarm(120); // whatever happens to the tests, the server ends
        serve(listener);
    }
    close(listener);
}

// --- helpers

typedef struct world {
    catalogue_file file;
    catalogue_entry corpus;
    data_places places;
    char *path;
    error err;
} world;

// A corpus of one file, text.txt, whose address is the given path on the server.
static world *world_of(fixture *f, const char *cache, const char *path, const char *digest) {
    world *w = arena_alloc(f->a, sizeof *w);
    w->file = (catalogue_file){"text.txt", arena_format(f->a, "http://127.0.0.1:%d%s", port, path), digest,
                               SPLIT_COUNT};
    w->corpus = (catalogue_entry){.name = "corpus", .files = &w->file, .count = 1};
    w->places.cache = fixture_path(f, cache);
    w->path = path_join(f->a, w->places.cache, "text.txt");
    return w;
}

static status get(world *w) {
    return catalogue_get(&w->corpus, &w->places, NULL, &w->err);
}

static bool nothing_left(fixture *f, const world *w) {
    return !file_exists(w->path) && !file_exists(arena_format(f->a, "%s.part", w->path));
}

static void assert_has_body(fixture *f, const world *w) {
    char *bytes;
    size_t length;
    error err;
    assert_int_equal(file_read(w->path, f->a, &bytes, &length, &err), OK);
    assert_int_equal(length, BODY);
    assert_memory_equal(bytes, body, BODY);
    assert_false(file_exists(arena_format(f->a, "%s.part", w->path)));
}

// --- tests

static void test_a_good_file_arrives_and_is_not_fetched_again(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "good/deep", "/good", body_digest);
    if (get(w) != OK) fail_msg("%s", w->err.message);
    assert_has_body(f, w);
    w->file.url = "http://127.0.0.1:1/";
    assert_int_equal(get(w), OK);
}

static void test_redirections_are_followed_but_not_to_files_or_for_ever(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "moved", "/moved", body_digest);
    assert_int_equal(get(w), OK);
    assert_has_body(f, w);
    w = world_of(f, "local", "/local", NULL);
    assert_int_equal(get(w), ERR_DATA);
    assert_true(nothing_left(f, w));
    w = world_of(f, "circle", "/circle", NULL);
    assert_int_equal(get(w), ERR_DATA);
    assert_true(nothing_left(f, w));
}

static void test_a_wrong_checksum_is_refused_with_both(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "wrong", "/good", wrong_digest);
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, body_digest);
    assert_mentions(w->err.message, wrong_digest);
    assert_true(nothing_left(f, w));
}

static void test_a_cut_connection_is_told(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "cut", "/cut", body_digest);
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, "the connection was cut after 97.7 KiB of 293.0 KiB");
    assert_mentions(w->err.hint, w->path);
    assert_true(nothing_left(f, w));
    w = world_of(f, "cut", "/silent", body_digest);
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, "the connection was cut after 0 B");
}

static void test_a_refusal_of_the_server_is_told(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "missing", "/missing", body_digest);
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, "404");
    assert_true(nothing_left(f, w));
}

static void test_without_a_server_the_hint_says_how_to_do_without(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "absent", "/good", body_digest);
    w->file.url = arena_format(f->a, "http://127.0.0.1:%d/good", closed_port);
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, w->file.url);
    assert_mentions(w->err.hint, w->path);
    assert_true(nothing_left(f, w));
}

static void test_a_wrong_file_that_is_there_is_not_touched(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "there", "/good", body_digest);
    fixture_file(f, "there/text.txt", "mine");
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, w->path);
    assert_mentions(w->err.message, body_digest);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(w->path, f->a, &bytes, &length, &w->err), OK);
    assert_string_equal(bytes, "mine");
}

static void test_an_unknown_checksum_is_recorded_and_holds_from_then_on(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "unknown", "/good", NULL);
    fixture_file(f, "unknown/checksums.txt", "something else in the file, without a newline");
    assert_int_equal(get(w), OK);
    assert_string_equal(catalogue_checksum(&w->file, &w->places, f->a), body_digest);
    char *bytes;
    size_t length;
    const char *record = fixture_path(f, "unknown/checksums.txt");
    assert_int_equal(file_read(record, f->a, &bytes, &length, &w->err), OK);
    assert_string_equal(
        bytes,
        arena_format(f->a, "something else in the file, without a newline\n%s  text.txt\n", body_digest));
    assert_int_equal(get(w), OK); // known now: nothing is added
    size_t again;
    assert_int_equal(file_read(record, f->a, &bytes, &again, &w->err), OK);
    assert_int_equal(again, length);
    fixture_file(f, "unknown/text.txt", "changed");
    assert_int_equal(get(w), ERR_DATA);
    assert_mentions(w->err.message, body_digest);

    w = world_of(f, "placed", "/good", NULL); // a file placed by hand is recorded as well
    fixture_file(f, "placed/text.txt", "by hand");
    assert_int_equal(get(w), OK);
    assert_non_null(catalogue_checksum(&w->file, &w->places, f->a));
}

static void test_an_interruption_leaves_nothing(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "stopped", "/good", body_digest);
    const volatile int stop = 1;
    assert_int_equal(catalogue_get(&w->corpus, &w->places, &stop, &w->err), ERR_INTERRUPTED);
    assert_true(nothing_left(f, w));
}

static void test_what_a_killed_download_left_is_used_again(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "left", "/good", body_digest);
    char *half = memory_alloc(2 * BODY);
    memset(half, 'x', 2 * BODY - 1);
    fixture_file(f, "left/text.txt.part", half);
    free(half);
    assert_int_equal(get(w), OK);
    assert_has_body(f, w);
}

static void test_two_downloads_of_a_file_do_not_mix(void **state) {
    fixture *f = *state;
    world *w = world_of(f, "locked", "/good", body_digest);
    int other = open(fixture_file(f, "locked/text.txt.part", "half"), O_WRONLY);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(get(w), ERR_IO);
    assert_mentions(w->err.message, "another process");
    close(other);
    assert_int_equal(get(w), OK);
    assert_has_body(f, w);
}

static void test_a_cache_that_cannot_be_made_is_told(void **state) {
    fixture *f = *state;
    fixture_file(f, "file", "no folder");
    world *w = world_of(f, "file/cache", "/good", body_digest);
    assert_int_equal(get(w), ERR_IO);
}

// The rest runs in a process of its own: limits and mounts cannot be taken back.
enum { CANNOT_MOUNT = 77 };

static int in_child(fixture *f, int (*task)(fixture *f)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(task(f));
    int code;
    if (waitpid(child, &code, 0) != child || !WIFEXITED(code)) return -1;
    return WEXITSTATUS(code);
}

static int get_on_full_disk(fixture *f) {
    world *w = world_of(f, "disk", "/good", body_digest);
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return CANNOT_MOUNT;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mkdir(w->places.cache, 0777) != 0 ||
        mount("none", w->places.cache, "tmpfs", 0, "size=128k") != 0)
        return CANNOT_MOUNT;
    fixture_file(f, "disk/other.txt", "kept");
    if (get(w) != ERR_IO) return 1;
    if (!strstr(w->err.message, strerror(ENOSPC)) || !w->err.hint[0]) return 2;
    if (!strstr(w->err.message, w->path)) return 3;
    return nothing_left(f, w) && file_exists(fixture_path(f, "disk/other.txt")) ? 0 : 4;
}

static void test_a_full_disk_leaves_nothing(void **state) {
    int code = in_child(*state, get_on_full_disk);
    if (code == CANNOT_MOUNT) skip();
    assert_int_equal(code, 0);
}

static int get_beyond_file_size(fixture *f) {
    world *w = world_of(f, "limited", "/good", body_digest);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){BODY / 2, BODY / 2}) != 0) return 9;
    if (get(w) != ERR_IO) return 1;
    if (!strstr(w->err.message, strerror(EFBIG))) return 2;
    return nothing_left(f, w) ? 0 : 4;
}

static void test_a_write_that_fails_half_way_leaves_nothing(void **state) {
    assert_int_equal(in_child(*state, get_beyond_file_size), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_file_arrives_and_is_not_fetched_again),
        cmocka_unit_test(test_redirections_are_followed_but_not_to_files_or_for_ever),
        cmocka_unit_test(test_a_wrong_checksum_is_refused_with_both),
        cmocka_unit_test(test_a_cut_connection_is_told),
        cmocka_unit_test(test_a_refusal_of_the_server_is_told),
        cmocka_unit_test(test_without_a_server_the_hint_says_how_to_do_without),
        cmocka_unit_test(test_a_wrong_file_that_is_there_is_not_touched),
        cmocka_unit_test(test_an_unknown_checksum_is_recorded_and_holds_from_then_on),
        cmocka_unit_test(test_an_interruption_leaves_nothing),
        cmocka_unit_test(test_what_a_killed_download_left_is_used_again),
        cmocka_unit_test(test_two_downloads_of_a_file_do_not_mix),
        cmocka_unit_test(test_a_cache_that_cannot_be_made_is_told),
        cmocka_unit_test(test_a_full_disk_leaves_nothing),
        cmocka_unit_test(test_a_write_that_fails_half_way_leaves_nothing),
    };
    setenv("no_proxy", "127.0.0.1", 1); // a proxy of the machine is not for the loopback interface
    log_set_quiet(true);
    start_server();
    int failures = cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return failures;
}

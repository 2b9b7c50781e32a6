/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of the control socket: the client's functions against the server on a thread of its own, whose owner is a
 * list of what it was asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"
#include "vmm/attest/evidence.h"
#include "vmm/pod/control.h"
#include "vmm/pod/pod.h"
#include "vmm/pod/request.h"
#include "vmm/pod/server.h"

struct rig {
    char path[4000]; /* of the pod's folder, longer than an address of a socket */
    int folder, end_fd;
    struct pod_server server;
    pthread_t thread;
    bool running;
    sem_t heard; /* posted for each `lost` and `stop` */
    char asked[4096];
    struct stat shown; /* of the descriptor that came with export */
    int refusal;
};

/* ---- The owner ---- */

static void note(struct rig *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct rig *r, const char *format, ...)
{
    size_t n = strlen(r->asked);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->asked + n, sizeof(r->asked) - n, format, args);
    va_end(args);
}

static int refuse(const struct rig *r, struct err *err)
{
    const struct err_context context = {.attempted = "do that", .what_to_do = "ask for \"something\" else"};
    return r->refusal == 0 ? 0 : err_fail(err, r->refusal, &context);
}

static int on_export(void *ctx, const char *name, int fd, bool read_only, struct err *err)
{
    struct rig *r = ctx;
    note(r, "export %s %d;", name, read_only);
    (void)fstat(fd, &r->shown);
    return refuse(r, err);
}

static int on_unexport(void *ctx, const char *name, struct err *err)
{
    note(ctx, "unexport %s;", name);
    return refuse(ctx, err);
}

static void on_status(void *ctx, struct json_writer *w)
{
    note(ctx, "status;");
    json_key(w, "phase");
    json_text(w, "running");
}

static void on_stop(void *ctx)
{
    struct rig *r = ctx;
    note(r, "stop;");
    (void)sem_post(&r->heard);
}

static void on_lost(void *ctx, const char *container, const char *exec)
{
    struct rig *r = ctx;
    note(r, "lost %s %s;", container, exec);
    (void)sem_post(&r->heard);
}

static const char message[] = "message", whole_log[] = "event log";

static void put_file(struct evidence_file *f, const char *text)
{
    *f = (struct evidence_file){.bytes = (uint8_t *)strdup(text), .length = strlen(text)};
}

static int on_quote(void *ctx, const uint8_t *nonce, size_t n, bool bind, struct evidence *out, struct err *err)
{
    struct rig *r = ctx;
    note(r, "quote %zu %02x %d;", n, nonce[n - 1], bind);
    if (r->refusal != 0)
        return refuse(r, err);
    put_file(&out->file[EVIDENCE_MESSAGE], message);
    put_file(&out->file[EVIDENCE_LOG], whole_log);
    return 0;
}

static const struct pod_server_ops ops = {.export = on_export,
                                          .unexport = on_unexport,
                                          .status = on_status,
                                          .stop = on_stop,
                                          .lost = on_lost,
                                          .quote = CONFIG_ATTEST ? on_quote : NULL};

static void *serve(void *ctx)
{
    struct rig *r = ctx;
    struct pollfd *fds = calloc(1 + POD_SERVER_POLL, sizeof(*fds));
    for (;;) {
        fds[0] = (struct pollfd){.fd = r->end_fd, .events = POLLIN};
        unsigned n = pod_server_poll(&r->server, fds + 1);
        if (poll(fds, 1 + n, -1) > 0 && fds[0].revents != 0)
            break;
        pod_server_step(&r->server, fds + 1, n);
    }
    free(fds);
    return NULL;
}

/* ---- Life ---- */

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    (void)strcpy(r->path, "/tmp/caisson-control-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    for (unsigned i = 0; i < 3; i++) { /* a long path of folders */
        size_t n = strlen(r->path);
        r->path[n] = '/';
        memset(r->path + n + 1, 'd', 100);
        assert_int_equal(mkdir(r->path, 0700), 0);
    }
    r->folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r->end_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(sem_init(&r->heard, 0, 0), 0);
    assert_int_equal(pod_server_open(&r->server, r->folder, POD_SOCKET_NAME, &ops, r, NULL), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, serve, r), 0);
    r->running = true;
    return 0;
}

/* The thread ends, and then nobody touches the server but us. */
static void end_thread(struct rig *r)
{
    const uint64_t one = 1;
    if (!r->running)
        return;
    assert_int_equal(write(r->end_fd, &one, sizeof(one)), sizeof(one));
    pthread_join(r->thread, NULL);
    r->running = false;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    end_thread(r);
    pod_server_close(&r->server);
    (void)sem_destroy(&r->heard);
    close(r->end_fd);
    close(r->folder);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(rmdir(r->path), 0);
        *strrchr(r->path, '/') = '\0';
    }
    free(r);
    return 0;
}

static int connect_to(struct rig *r)
{
    int fd = -1;
    assert_int_equal(pod_control_open(r->path, &fd, NULL), 0);
    assert_true(fd >= 0);
    return fd;
}

/* Bytes as one message, and the answer's text. */
static void exchange(int fd, const void *bytes, size_t n, char *out, size_t size)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    ssize_t got = recv(fd, out, size - 1, 0);
    assert_true(got > 0);
    out[got] = '\0';
}

/* ---- Cases ---- */

static void an_export_arrives_with_its_descriptor(void **state)
{
    struct rig *r = *state;
    struct stat st;
    int fd = connect_to(r), shown = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pod_control_export(fd, "etc", shown, true, NULL), 0);
    assert_int_equal(pod_control_unexport(fd, "etc", NULL), 0);
    assert_string_equal(r->asked, "export etc 1;unexport etc;");
    assert_int_equal(fstat(shown, &st), 0);
    assert_int_equal(r->shown.st_ino, st.st_ino);
    close(shown);
    close(fd);
}

static void a_refusal_comes_with_code_and_words(void **state)
{
    struct rig *r = *state;
    struct err err = {.code = 0};
    int fd = connect_to(r);
    r->refusal = -ENOSPC;
    assert_int_equal(pod_control_export(fd, "x", r->folder, false, &err), -ENOSPC);
    assert_int_equal(err.code, -ENOSPC);
    assert_string_equal(err.text, "cannot do that: No space left on device; ask for \"something\" else");
    assert_int_equal(pod_control_unexport(fd, "x", NULL), -ENOSPC);
    r->refusal = 0;
    assert_int_equal(pod_control_unexport(fd, "x", &err), 0); /* the connection goes on */
    close(fd);
}

static void descriptors_are_not_kept(void **state)
{
    struct rig *r = *state;
    int fd = connect_to(r);
    json_t *answer;
    assert_int_equal(pod_control_status(fd, &answer, NULL), 0);
    json_decref(answer);
    unsigned before = fs_host_descriptors();
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(pod_control_export(fd, "x", r->folder, false, NULL), 0);
    assert_int_equal(pod_control_status(fd, &answer, NULL), 0);
    json_decref(answer);
    assert_int_equal(fs_host_descriptors(), before);
    close(fd);
}

static void an_export_wants_exactly_one_descriptor(void **state)
{
    struct rig *r = *state;
    struct err err;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(9 * sizeof(int))];
    } control;
    char answer[512], text[] = "export x ro";
    int fd = connect_to(r), fds[9];
    assert_int_equal(pod_control_export(fd, "x", -1, true, &err), -EINVAL);
    assert_non_null(strstr(err.text, "descriptor"));
    unsigned before = fs_host_descriptors();
    for (unsigned count = 2; count <= 9; count += 7) {
        struct iovec iov = {.iov_base = text, .iov_len = strlen(text)};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
        memset(&control, 0, sizeof(control));
        m.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = (socklen_t)CMSG_LEN(count * 4)};
        for (unsigned i = 0; i < count; i++)
            fds[i] = r->folder;
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        assert_int_equal(sendmsg(fd, &m, 0), iov.iov_len);
        assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
    }
    assert_int_equal(pod_control_unexport(fd, "x", NULL), 0); /* the server is done with the others */
    assert_string_equal(r->asked, "unexport x;");
    assert_int_equal(fs_host_descriptors(), before);
    close(fd);
}

/* ---- Evidence ---- */

static void evidence_is_sizes_and_sealed_memory(void **state)
{
    struct rig *r = *state;
    const uint8_t nonce[9] = {1, 2, 3, 4, 5, 6, 7, 8, 0xa9};
    char bytes[64];
    json_t *answer;
    int files, fd = connect_to(r);
    if (!CONFIG_ATTEST)
        skip();
    assert_int_equal(pod_control_quote(fd, nonce, sizeof(nonce), true, &answer, &files, NULL), 0);
    const json_t *sizes = json_object_get(answer, "files");
    assert_int_equal(json_object_size(sizes), 2);
    assert_int_equal(json_integer_value(json_object_get(sizes, "quote.msg")), strlen(message));
    assert_int_equal(json_integer_value(json_object_get(sizes, "eventlog.bin")), strlen(whole_log));
    assert_int_equal(pread(files, bytes, sizeof(bytes), 0), strlen(message) + strlen(whole_log));
    assert_memory_equal(bytes, "messageevent log", strlen("messageevent log"));
    assert_int_equal(pwrite(files, "x", 1, 0), -1);
    assert_int_equal(ftruncate(files, 0), -1);
    json_decref(answer);
    close(files);
    close(fd);
    end_thread(r);
    assert_string_equal(r->asked, "quote 9 a9 1;");
}

static void evidence_that_is_refused_is_refused_with_words(void **state)
{
    struct rig *r = *state;
    const uint8_t nonce[65] = {0};
    struct err err;
    json_t *answer;
    int files, fd = connect_to(r);
    r->refusal = CONFIG_ATTEST ? -EINVAL : -EOPNOTSUPP;
    assert_int_equal(pod_control_quote(fd, nonce, 8, false, &answer, &files, &err), r->refusal);
    assert_true(strlen(err.text) > 10);
    assert_null(answer);
    assert_int_equal(files, -1);
    assert_int_equal(pod_control_quote(fd, nonce, 7, false, &answer, &files, &err), -EINVAL);
    assert_int_equal(pod_control_quote(fd, nonce, 65, false, &answer, &files, &err), -EINVAL);
    close(fd);
}

static void status_is_an_object(void **state)
{
    struct rig *r = *state;
    json_t *answer = NULL;
    int fd = connect_to(r);
    assert_int_equal(pod_control_status(fd, &answer, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(answer, "phase")), "running");
    json_decref(answer);
    close(fd);
}

static void a_process_whose_holder_goes_is_lost(void **state)
{
    struct rig *r = *state;
    int fd = connect_to(r), other = connect_to(r);
    assert_int_equal(pod_control_hold(fd, "web", NULL, NULL), 0);
    assert_int_equal(pod_control_hold(other, "web", "exec-1", NULL), 0);
    close(other);
    assert_int_equal(sem_wait(&r->heard), 0);
    assert_string_equal(r->asked, "lost web exec-1;");
    close(fd);
    assert_int_equal(sem_wait(&r->heard), 0);
    assert_string_equal(r->asked, "lost web exec-1;lost web ;");
}

static void a_process_that_is_done_is_not_lost(void **state)
{
    struct rig *r = *state;
    struct err err;
    int fd = connect_to(r);
    assert_int_equal(pod_control_done(fd, &err), -EINVAL);
    assert_int_equal(pod_control_hold(fd, "web", NULL, NULL), 0);
    assert_int_equal(pod_control_hold(fd, "db", NULL, &err), -EINVAL);
    assert_non_null(strstr(err.text, "another"));
    assert_int_equal(pod_control_done(fd, NULL), 0);
    assert_int_equal(pod_control_hold(fd, "db", NULL, NULL), 0);
    assert_int_equal(pod_control_done(fd, NULL), 0);
    close(fd);
    fd = connect_to(r);
    assert_int_equal(pod_control_unexport(fd, "x", NULL), 0); /* the server has seen the end of the other */
    assert_string_equal(r->asked, "unexport x;");
    close(fd);
}

static void nobody_is_lost_when_the_pod_ends(void **state)
{
    struct rig *r = *state;
    int fd = connect_to(r);
    assert_int_equal(pod_control_hold(fd, "web", NULL, NULL), 0);
    end_thread(r);
    pod_server_close(&r->server);
    assert_string_equal(r->asked, "");
    struct err err;
    assert_int_equal(pod_control_done(fd, &err), -EPIPE);
    close(fd);
}

struct stopper {
    int fd, code;
};

static void *stop(void *ctx)
{
    struct stopper *s = ctx;
    s->code = pod_control_stop(s->fd, NULL);
    return NULL;
}

static void all_who_stop_hear_of_the_end(void **state)
{
    struct rig *r = *state;
    struct stopper s[2] = {{.fd = connect_to(r), .code = 1}, {.fd = connect_to(r), .code = 1}};
    pthread_t thread[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, stop, &s[i]), 0);
    assert_int_equal(sem_wait(&r->heard), 0);
    assert_int_equal(sem_wait(&r->heard), 0);
    end_thread(r);
    pod_server_close(&r->server);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(s[i].code, 0);
        close(s[i].fd);
    }
    assert_string_equal(r->asked, "stop;stop;");
}

/* Who kills what is left would else hit a process that is about to end. */
static void who_stops_is_told_by_the_end_of_the_process(void **state)
{
    struct rig *r = *state;
    char answer[1024];
    int fd = connect_to(r);
    assert_int_equal(send(fd, "stop", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(sem_wait(&r->heard), 0);
    end_thread(r);
    pod_server_finish(&r->server);
    assert_true(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
    assert_int_equal(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    pod_server_close(&r->server); /* as the end of a process does */
    assert_int_equal(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), 0);
    close(fd);
}

static void bad_requests_harm_nobody(void **state)
{
    struct rig *r = *state;
    char answer[1024], large[2 * POD_REQUEST_BYTES];
    int fd = connect_to(r), other = connect_to(r);
    memset(large, 'a', sizeof(large));
    exchange(fd, "nonsense", 8, answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"ok\": false"));
    exchange(fd, large, sizeof(large), answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"ok\": false"));
    exchange(fd, "status", 6, answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"ok\": true"));
    assert_int_equal(pod_control_unexport(other, "x", NULL), 0);
    close(fd);
    close(other);
}

static void who_does_not_read_is_cut_off(void **state)
{
    struct rig *r = *state;
    int fd = connect_to(r), other = connect_to(r);
    ssize_t n;
    do
        n = send(fd, "status", 6, MSG_NOSIGNAL);
    while (n > 0);
    assert_true(errno == EPIPE || errno == ECONNRESET);
    assert_int_equal(pod_control_unexport(other, "x", NULL), 0);
    close(fd);
    close(other);
}

static void more_clients_than_can_be_served_wait(void **state)
{
    struct rig *r = *state;
    int fds[POD_CONNS_MAX + 8];
    for (unsigned i = 0; i < POD_CONNS_MAX + 8; i++)
        fds[i] = connect_to(r);
    assert_int_equal(pod_control_unexport(fds[0], "first", NULL), 0);
    for (unsigned i = 0; i < 8; i++)
        close(fds[i]);
    assert_int_equal(pod_control_unexport(fds[POD_CONNS_MAX + 7], "last", NULL), 0);
    for (unsigned i = 8; i < POD_CONNS_MAX + 8; i++)
        close(fds[i]);
    assert_string_equal(r->asked, "unexport first;unexport last;");
}

static void only_the_owner_may_connect(void **state)
{
    struct rig *r = *state;
    struct stat st;
    assert_int_equal(fstatat(r->folder, POD_SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
}

static void a_second_server_is_refused_and_the_first_goes_on(void **state)
{
    struct rig *r = *state;
    struct pod_server *second = calloc(1, sizeof(*second));
    struct err err;
    assert_int_equal(pod_server_open(second, r->folder, POD_SOCKET_NAME, &ops, r, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "delete"));
    pod_server_close(second);
    free(second);
    close(connect_to(r));
}

static void without_a_pod_there_is_an_error_that_helps(void **state)
{
    struct rig *r = *state;
    struct err err;
    int fd;
    assert_int_equal(pod_control_open("/nonexistent", &fd, &err), -ENOENT);
    end_thread(r);
    pod_server_close(&r->server);
    assert_int_equal(pod_control_open(r->path, &fd, &err), -ENOENT);
    assert_non_null(strstr(err.text, "delete --force"));
}

static void names_that_cannot_be_sent_are_not(void **state)
{
    struct rig *r = *state;
    char name[POD_WORD_MAX + 100];
    struct err err;
    int fd = connect_to(r);
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(pod_control_unexport(fd, "a b", &err), -EINVAL);
    assert_int_equal(pod_control_unexport(fd, name, &err), -EINVAL);
    assert_int_equal(pod_control_hold(fd, name, NULL, &err), -EINVAL);
    assert_int_equal(pod_control_hold(fd, "web", name, &err), -EINVAL);
    assert_int_equal(pod_control_unexport(fd, "good", &err), 0);
    assert_string_equal(r->asked, "unexport good;");
    close(fd);
}

/* ---- A pod process that is none ---- */

struct liar {
    int fd;
    const char *says;
};

static void *lie(void *ctx)
{
    const struct liar *l = ctx;
    char bytes[64];
    (void)!recv(l->fd, bytes, sizeof(bytes), 0);
    if (l->says[0] != '\0')
        (void)!send(l->fd, l->says, strlen(l->says), MSG_NOSIGNAL);
    close(l->fd);
    return NULL;
}

static int ask_liar(const char *says, struct err *err)
{
    int pair[2];
    json_t *out = NULL;
    pthread_t thread;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct liar l = {.fd = pair[1], .says = says};
    assert_int_equal(pthread_create(&thread, NULL, lie, &l), 0);
    int code = pod_control_status(pair[0], &out, err);
    pthread_join(thread, NULL);
    close(pair[0]);
    json_decref(out);
    return code;
}

static void answers_are_not_believed(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(ask_liar("", &err), -ECONNRESET);
    assert_int_equal(ask_liar("{", &err), -EBADMSG);
    assert_int_equal(ask_liar("[true]", &err), -EBADMSG);
    assert_int_equal(ask_liar("{\"ok\":1}", &err), -EIO);
    assert_int_equal(ask_liar("{\"ok\":false,\"code\":-5,\"error\":7}", &err), -EIO);
    assert_int_equal(ask_liar("{\"ok\":false,\"code\":2,\"error\":\"a\\u001b[2J\"}", &err), -ENOENT);
    assert_string_equal(err.text, "a?[2J");
    assert_int_equal(ask_liar("{\"ok\":true}", &err), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_export_arrives_with_its_descriptor),
        CASE(a_refusal_comes_with_code_and_words),
        CASE(descriptors_are_not_kept),
        CASE(an_export_wants_exactly_one_descriptor),
        CASE(evidence_is_sizes_and_sealed_memory),
        CASE(evidence_that_is_refused_is_refused_with_words),
        CASE(status_is_an_object),
        CASE(a_process_whose_holder_goes_is_lost),
        CASE(a_process_that_is_done_is_not_lost),
        CASE(nobody_is_lost_when_the_pod_ends),
        CASE(all_who_stop_hear_of_the_end),
        CASE(who_stops_is_told_by_the_end_of_the_process),
        CASE(bad_requests_harm_nobody),
        CASE(who_does_not_read_is_cut_off),
        CASE(more_clients_than_can_be_served_wait),
        CASE(only_the_owner_may_connect),
        CASE(a_second_server_is_refused_and_the_first_goes_on),
        CASE(without_a_pod_there_is_an_error_that_helps),
        CASE(names_that_cannot_be_sent_are_not),
        cmocka_unit_test(answers_are_not_believed),
    };
    return cmocka_run_group_tests_name("pod/control", tests, NULL, NULL);
}

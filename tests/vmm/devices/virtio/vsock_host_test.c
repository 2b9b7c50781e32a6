/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/devices/virtio/vsock_host.h"

struct rig {
    char folder[32], path[64];
    struct vsock_listener l;
    struct err err;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/vsock-XXXXXX");
    r->l.fd = -1;
    if (mkdtemp(r->folder) == NULL)
        return -1;
    (void)snprintf(r->path, sizeof(r->path), "%s/v", r->folder);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    char command[64];
    vsock_listener_fini(&r->l);
    (void)snprintf(command, sizeof(command), "rm -rf %s", r->folder);
    int code = system(command);
    free(r);
    return code;
}

static int begin(struct rig *r, mode_t mode)
{
    return vsock_listener_init(&r->l, r->path, mode, (uid_t)-1, (gid_t)-1, &r->err);
}

static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
    close(fd);
    return code;
}

static void the_socket_has_its_mode_whatever_the_umask_is(void **state)
{
    struct rig *r = *state;
    struct stat s;
    mode_t before = umask(0077);
    int code = begin(r, 0660);
    (void)umask(before);
    assert_int_equal(code, 0);
    assert_int_equal(stat(r->path, &s), 0);
    assert_int_equal(s.st_mode, S_IFSOCK | 0660);
    assert_int_equal(try_connect(r->path), 0);
}

static void an_empty_umask_opens_nothing(void **state)
{
    struct rig *r = *state;
    struct stat s;
    mode_t before = umask(0);
    int code = begin(r, 0600);
    (void)umask(before);
    assert_int_equal(code, 0);
    assert_int_equal(stat(r->path, &s), 0);
    assert_int_equal(s.st_mode, S_IFSOCK | 0600);
}

static void an_owner_is_set(void **state)
{
    struct rig *r = *state;
    struct stat s;
    uid_t uid = geteuid() == 0 ? 12345 : geteuid();
    gid_t gid = geteuid() == 0 ? 23456 : getegid();
    assert_int_equal(vsock_listener_init(&r->l, r->path, 0600, uid, gid, &r->err), 0);
    assert_int_equal(stat(r->path, &s), 0);
    assert_int_equal(s.st_uid, uid);
    assert_int_equal(s.st_gid, gid);
}

static void the_file_is_removed_at_the_end(void **state)
{
    struct rig *r = *state;
    assert_int_equal(begin(r, 0600), 0);
    vsock_listener_fini(&r->l);
    assert_int_equal(access(r->path, F_OK), -1);
    vsock_listener_fini(&r->l);
}

/* As in another root, where the path leads nowhere. */
static void from_inside_of_a_jail_paths_are_others(void **state)
{
    struct rig *r = *state;
    char inside[64], port[80];
    struct vsock_listener peer;
    assert_int_equal(begin(r, 0600), 0);
    const struct vsock_host host = vsock_host_real(&r->l);
    (void)snprintf(inside, sizeof(inside), "%s/inside", r->folder);
    (void)snprintf(port, sizeof(port), "%s_7", inside);
    assert_int_equal(vsock_listener_init(&peer, port, 0600, (uid_t)-1, (gid_t)-1, NULL), 0);
    assert_int_equal(host.connect(host.ctx, 7), -ENOENT);
    r->l.inside = inside;
    int fd = host.connect(host.ctx, 7);
    assert_true(fd >= 0);
    close(fd);
    vsock_listener_fini(&peer);
}

static void the_file_is_removed_when_its_path_leads_nowhere(void **state)
{
    struct rig *r = *state;
    char moved[48], file[64];
    (void)snprintf(moved, sizeof(moved), "%s.moved", r->folder);
    (void)snprintf(file, sizeof(file), "%s/v", moved);
    assert_int_equal(begin(r, 0600), 0);
    assert_int_equal(rename(r->folder, moved), 0);
    assert_int_equal(access(file, F_OK), 0);
    vsock_listener_fini(&r->l);
    assert_int_equal(access(file, F_OK), -1);
    assert_int_equal(rename(moved, r->folder), 0);
}

static void a_file_that_somebody_else_removes_stays(void **state)
{
    struct rig *r = *state;
    struct stat s;
    assert_int_equal(begin(r, 0600), 0);
    r->l.leave = true;
    vsock_listener_fini(&r->l);
    assert_int_equal(stat(r->path, &s), 0);
    assert_int_equal(try_connect(r->path), -ECONNREFUSED);
    assert_int_equal(unlink(r->path), 0);
}

static void a_file_that_took_its_place_stays(void **state)
{
    struct rig *r = *state;
    assert_int_equal(begin(r, 0600), 0);
    assert_int_equal(unlink(r->path), 0);
    int fd = open(r->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    vsock_listener_fini(&r->l);
    assert_int_equal(access(r->path, F_OK), 0);
}

static void a_file_that_is_there_is_not_replaced(void **state)
{
    struct rig *r = *state;
    int fd = open(r->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(begin(r, 0600), -EADDRINUSE);
    assert_non_null(strstr(r->err.text, r->path));
    assert_non_null(strstr(r->err.text, "there is a file of that name already; remove it"));
    assert_int_equal(access(r->path, F_OK), 0);
}

static void a_socket_that_is_there_is_not_replaced(void **state)
{
    struct rig *r = *state;
    struct vsock_listener second;
    assert_int_equal(begin(r, 0600), 0);
    assert_int_equal(vsock_listener_init(&second, r->path, 0600, (uid_t)-1, (gid_t)-1, NULL), -EADDRINUSE);
    assert_int_equal(second.fd, -1);
    assert_int_equal(try_connect(r->path), 0);
}

static void a_symbolic_link_is_not_followed(void **state)
{
    struct rig *r = *state;
    char target[80];
    (void)snprintf(target, sizeof(target), "%s/elsewhere", r->folder);
    assert_int_equal(symlink(target, r->path), 0);
    assert_int_equal(begin(r, 0600), -EADDRINUSE);
    assert_int_equal(access(target, F_OK), -1);
}

static void a_folder_that_is_missing_is_named(void **state)
{
    struct rig *r = *state;
    (void)snprintf(r->path, sizeof(r->path), "%s/none/v", r->folder);
    assert_int_equal(begin(r, 0600), -ENOENT);
    assert_non_null(strstr(r->err.text, r->path));
}

static void a_path_leaves_room_for_a_port(void **state)
{
    struct rig *r = *state;
    char path[120];
    (void)snprintf(path, sizeof(path), "%s/", r->folder);
    size_t begins = strlen(path);
    memset(path + begins, 'x', sizeof(path) - begins);
    path[97] = '\0';
    assert_int_equal(vsock_listener_init(&r->l, path, 0600, (uid_t)-1, (gid_t)-1, &r->err), -ENAMETOOLONG);
    assert_non_null(strstr(r->err.text, "the path has 97 bytes, it may have 1 to 96"));
    path[96] = '\0';
    assert_int_equal(vsock_listener_init(&r->l, path, 0600, (uid_t)-1, (gid_t)-1, &r->err), 0);
    struct vsock_host host = vsock_host_real(&r->l);
    assert_int_equal(host.connect(host.ctx, UINT32_MAX), -ENOENT);
    vsock_listener_fini(&r->l);
    assert_int_equal(vsock_listener_init(&r->l, "", 0600, (uid_t)-1, (gid_t)-1, NULL), -ENAMETOOLONG);
}

static void ports_are_sockets_beside_it(void **state)
{
    struct rig *r = *state;
    struct vsock_listener port;
    char path[80];
    (void)snprintf(path, sizeof(path), "%s_1024", r->path);
    assert_int_equal(begin(r, 0600), 0);
    assert_int_equal(vsock_listener_init(&port, path, 0600, (uid_t)-1, (gid_t)-1, NULL), 0);
    struct vsock_host host = vsock_host_real(&r->l);
    int fd = host.connect(host.ctx, 1024);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    close(fd);
    assert_int_equal(host.connect(host.ctx, 1025), -ENOENT);
    vsock_listener_fini(&port);
}

static void without_a_path_nobody_is_there(void **state)
{
    struct rig *r = *state;
    struct vsock_host host = vsock_host_real(&r->l);
    assert_int_equal(host.connect(host.ctx, 1), -ENOENT);
}

static void a_listener_with_a_full_queue_refuses_at_once(void **state)
{
    struct rig *r = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct vsock_host host = vsock_host_real(&r->l);
    int got[8], n = 0, fd;
    assert_int_equal(begin(r, 0600), 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s_7", r->path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    while (n < 8 && (fd = host.connect(host.ctx, 7)) >= 0)
        got[n++] = fd;
    assert_true(n < 8);
    assert_int_equal(fd, -EAGAIN);
    while (n > 0)
        close(got[--n]);
    close(listener);
}

static void the_clock_wakes_at_once_for_the_past_only(void **state)
{
    struct rig *r = *state;
    struct vsock_host host = vsock_host_real(&r->l);
    uint64_t times;
    int timer = host.timer(host.ctx);
    assert_true(timer >= 0);
    host.wake(host.ctx, timer, 0);
    assert_int_equal(read(timer, &times, sizeof(times)), sizeof(times));
    host.wake(host.ctx, timer, host.now_ns(host.ctx));
    assert_int_equal(read(timer, &times, sizeof(times)), sizeof(times));
    host.wake(host.ctx, timer, host.now_ns(host.ctx) + UINT64_C(1000000000000));
    assert_int_equal(read(timer, &times, sizeof(times)), -1);
    close(timer);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_socket_has_its_mode_whatever_the_umask_is),
        CASE(an_empty_umask_opens_nothing),
        CASE(an_owner_is_set),
        CASE(the_file_is_removed_at_the_end),
        CASE(from_inside_of_a_jail_paths_are_others),
        CASE(the_file_is_removed_when_its_path_leads_nowhere),
        CASE(a_file_that_somebody_else_removes_stays),
        CASE(a_file_that_took_its_place_stays),
        CASE(a_file_that_is_there_is_not_replaced),
        CASE(a_socket_that_is_there_is_not_replaced),
        CASE(a_symbolic_link_is_not_followed),
        CASE(a_folder_that_is_missing_is_named),
        CASE(a_path_leaves_room_for_a_port),
        CASE(ports_are_sockets_beside_it),
        CASE(without_a_path_nobody_is_there),
        CASE(a_listener_with_a_full_queue_refuses_at_once),
        CASE(the_clock_wakes_at_once_for_the_past_only),
    };
    return cmocka_run_group_tests_name("virtio/vsock_host", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between process 1 and the children that make a container. */
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
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/sync.h"
#include "tests/lib/fs_rig.h"

static void a_failure_arrives_with_its_words(void **state)
{
    int pair[2];
    struct sync_message m;
    struct err err = {-ENOSPC, "cannot mount x: No space left on device"};
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    sync_send_failed(pair[1], &err);
    assert_int_equal(sync_receive(pair[0], false, &m), 0);
    assert_true(m.kind == SYNC_FAILED && m.value == -ENOSPC && m.fd == -1);
    assert_string_equal(m.text, err.text);
    close(pair[0]);
    close(pair[1]);
}

static void text_is_made_safe(void **state)
{
    int pair[2];
    struct sync_message m;
    struct err err = {-EIO, "a\x1b[31mb\nc"};
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    sync_send_failed(pair[1], &err);
    assert_int_equal(sync_receive(pair[0], false, &m), 0);
    assert_string_equal(m.text, "a?[31mb?c");
    memset(err.text, 0x61, sizeof err.text);
    sync_send_failed(pair[1], &err);
    assert_int_equal(sync_receive(pair[0], false, &m), 0);
    assert_in_range(strlen(m.text), ERR_TEXT_BYTES - 5, ERR_TEXT_BYTES - 1);
    close(pair[0]);
    close(pair[1]);
}

static void ready_may_bring_a_descriptor(void **state)
{
    int pair[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct sync_message m;
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    assert_int_equal(sync_send_ready(pair[1], file), 0);
    assert_int_equal(sync_send_ready(pair[1], -1), 0);
    assert_int_equal(sync_receive(pair[0], false, &m), 0);
    assert_true(m.kind == SYNC_READY && m.fd >= 0);
    assert_int_equal(fcntl(m.fd, F_GETFD), FD_CLOEXEC);
    close(m.fd);
    assert_int_equal(sync_receive(pair[0], false, &m), 0);
    assert_true(m.kind == SYNC_READY && m.fd == -1);
    close(file);
    close(pair[0]);
    close(pair[1]);
}

/* Whoever sends two where one belongs leaves nothing behind. */
static void of_several_descriptors_one_is_taken_and_none_is_kept(void **state)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    int pair[2], fds[2];
    uint32_t packet[2] = {SYNC_READY, 0};
    struct iovec iov = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct sync_message m;
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    memset(&control, 0, sizeof control);
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = (socklen_t)CMSG_LEN(sizeof fds)};
    fds[0] = fds[1] = pair[0];
    memcpy(CMSG_DATA(&control.header), fds, sizeof fds);
    assert_true(sendmsg(pair[1], &h, 0) > 0);
    const unsigned before = fs_host_descriptors();
    assert_int_equal(sync_receive(pair[0], false, &m), 0);
    assert_true(m.kind == SYNC_READY && m.fd >= 0);
    close(m.fd);
    assert_int_equal(fs_host_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

static void nothing_yet_and_the_end_are_told_apart(void **state)
{
    int pair[2];
    struct sync_message m;
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    assert_int_equal(sync_receive(pair[0], false, &m), -EAGAIN);
    close(pair[1]);
    assert_int_equal(sync_receive(pair[0], true, &m), 0);
    assert_int_equal(m.kind, SYNC_END);
    close(pair[0]);
}

static void a_peer_that_dies_with_messages_unread_is_the_end(void **state)
{
    int pair[2];
    struct sync_message m;
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    assert_int_equal(sync_send(pair[0], SYNC_GO, 0), 0);
    close(pair[1]);
    assert_int_equal(sync_receive(pair[0], true, &m), 0);
    assert_int_equal(m.kind, SYNC_END);
    close(pair[0]);
}

static void packets_that_are_too_short_are_refused(void **state)
{
    int pair[2];
    struct sync_message m;
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    assert_int_equal(send(pair[1], "abc", 3, 0), 3);
    assert_int_equal(sync_receive(pair[0], false, &m), -EPROTO);
    close(pair[0]);
    close(pair[1]);
}

static void a_child_that_is_not_wanted_is_told(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(sync_open(pair), 0);
    assert_int_equal(sync_send(pair[0], SYNC_GO, 0), 0);
    assert_int_equal(sync_wait_go(pair[1]), 0);
    assert_int_equal(sync_send(pair[0], SYNC_READY, 0), 0);
    assert_int_equal(sync_wait_go(pair[1]), -ECANCELED);
    close(pair[0]);
    assert_int_equal(sync_wait_go(pair[1]), -ECANCELED);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_arrives_with_its_words),
        cmocka_unit_test(text_is_made_safe),
        cmocka_unit_test(ready_may_bring_a_descriptor),
        cmocka_unit_test(of_several_descriptors_one_is_taken_and_none_is_kept),
        cmocka_unit_test(nothing_yet_and_the_end_are_told_apart),
        cmocka_unit_test(a_peer_that_dies_with_messages_unread_is_the_end),
        cmocka_unit_test(packets_that_are_too_short_are_refused),
        cmocka_unit_test(a_child_that_is_not_wanted_is_told),
    };
    return cmocka_run_group_tests_name("container/sync", tests, NULL, NULL);
}

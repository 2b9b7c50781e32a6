/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb.h"
#include "tests/lib/proxy_rig.h"

void proxy_rig_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, PROXY_RIG_PIPE_BYTES), PROXY_RIG_PIPE_BYTES);
}

void proxy_rig_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void proxy_rig_prepare(struct proxy_rig *r, const struct fake_agent_config *agent)
{
    fake_agent_start(&r->agent, agent);
    proxy_rig_pipe(r->in);
    proxy_rig_pipe(r->out);
    proxy_rig_pipe(r->err);
    r->cfg = (struct oci_proxy_config){.folder = r->agent.folder,
                                       .container = "c1",
                                       .console_socket = -1,
                                       .in = r->in[0],
                                       .out = r->out[1],
                                       .err = r->err[1],
                                       .started = true,
                                       .log_fd = -1};
}

void proxy_rig_spawn(struct proxy_rig *r)
{
    struct err err;
    if (oci_proxy_spawn(&r->cfg, &r->pid, &err) < 0)
        fail_msg("%s", err.text);
    proxy_rig_drop(&r->in[0]);
    proxy_rig_drop(&r->out[1]);
    proxy_rig_drop(&r->err[1]);
}

void proxy_rig_open(struct proxy_rig *r, const struct fake_agent_config *agent)
{
    proxy_rig_prepare(r, agent);
    proxy_rig_spawn(r);
}

int proxy_rig_exit_code(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void proxy_rig_close(struct proxy_rig *r)
{
    for (int i = 0; i < 2; i++) {
        proxy_rig_drop(&r->in[i]);
        proxy_rig_drop(&r->out[i]);
        proxy_rig_drop(&r->err[i]);
    }
    fake_agent_stop(&r->agent);
}

/* All there is until the end of the stream, as a string. */
size_t proxy_rig_read_all(int fd, char *out, size_t size)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PROXY_RIG_LONG_MS), 1);
        ssize_t got = read(fd, out + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    out[n] = '\0';
    return n;
}

void proxy_rig_expect_text(int fd, const char *text)
{
    char all[4096];
    (void)proxy_rig_read_all(fd, all, sizeof(all));
    assert_string_equal(all, text);
}

void proxy_rig_signal(struct proxy_rig *r, int signal)
{
    assert_int_equal(kill(r->pid, signal), 0);
}

/* The process has been round its loop since. */
void proxy_rig_go_round(struct proxy_rig *r)
{
    proxy_rig_signal(r, SIGUSR2);
    fake_agent_await(&r->agent, "SignalProcess c1 c1 12");
}

void proxy_rig_put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

int proxy_rig_start_c1(void *ctx, struct oci_agent *agent, struct err *err)
{
    (void)ctx;
    const grpc_StartContainerRequest request = {.container_id = ttrpc_borrow("c1")};
    return oci_agent_call(agent, "grpc.AgentService/StartContainer", grpc_StartContainerRequest_fields, &request, NULL,
                          NULL, PROXY_RIG_LONG_MS, err);
}

void proxy_rig_expect_refusal(struct proxy_rig *r, int code, const char *words)
{
    struct err err;
    assert_int_equal(oci_proxy_spawn(&r->cfg, &r->pid, &err), code);
    if (strstr(err.text, words) == NULL)
        fail_msg("%s", err.text);
    /* No child is left. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
}

void proxy_rig_expect_bytes(int fd, const char *text)
{
    char got[64];
    size_t n = 0;
    while (n < strlen(text)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PROXY_RIG_LONG_MS), 1);
        ssize_t more = read(fd, got + n, strlen(text) - n);
        assert_true(more > 0);
        n += (size_t)more;
    }
    assert_memory_equal(got, text, n);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_PROXY_RIG_H
#define CAISSON_TESTS_LIB_PROXY_RIG_H

/* The process of a container, c1, with pipes as its streams and a fake agent behind it. What fails, fails the case. */

#include <stddef.h>
#include <sys/types.h>

#include "tests/lib/fake_agent.h"
#include "vmm/oci/proxy.h"

#define PROXY_RIG_LONG_MS    20000
#define PROXY_RIG_PIPE_BYTES 65536u

/* Of a pipe, [0] is read and [1] written; -1: closed. */
struct proxy_rig {
    struct fake_agent agent;
    struct oci_proxy_config cfg;
    int in[2], out[2], err[2];
    pid_t pid;
};

void proxy_rig_pipe(int fds[2]);
/* Close it, unless it is -1, which it is then. */
void proxy_rig_drop(int *fd);

/* Everything but the process: cfg may still be changed. */
void proxy_rig_prepare(struct proxy_rig *r, const struct fake_agent_config *agent);
/* The process; its ends of the pipes are closed here. */
void proxy_rig_spawn(struct proxy_rig *r);
/* Both of them. */
void proxy_rig_open(struct proxy_rig *r, const struct fake_agent_config *agent);
void proxy_rig_close(struct proxy_rig *r);

/* Wait for a child that exits. */
int proxy_rig_exit_code(pid_t pid);
void proxy_rig_signal(struct proxy_rig *r, int signal);
/* The process has been round its loop since. */
void proxy_rig_go_round(struct proxy_rig *r);

/* All there is until the end of the stream, as a string. */
size_t proxy_rig_read_all(int fd, char *out, size_t size);
void proxy_rig_expect_text(int fd, const char *text);
/* The next bytes, at most 64. */
void proxy_rig_expect_bytes(int fd, const char *text);
void proxy_rig_put(int fd, const char *text);

/* For cfg.begin and cfg.start: StartContainer. */
int proxy_rig_start_c1(void *ctx, struct oci_agent *agent, struct err *err);
/* The process is refused with these words, and there is none. */
void proxy_rig_expect_refusal(struct proxy_rig *r, int code, const char *words);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/relro.h"
#include "policy/seccomp/lock.h"
#include "vmm/cli.h"
#include "vmm/hv.h"
#include "vmm/softhv/options.h"
#include "vmm/softhv/port_soft.h"

#define TRACE_LINE_BYTES 4096

/* ---- Software hypervisor ---- */

struct soft {
    struct softhv_instance *instance;
    int trace_fd; /* -1: none */
};

/* One write for each line, so that lines of different threads do not mix. */
static void write_trace(void *ctx, const struct softhv_trace_record *record)
{
    const struct soft *s = ctx;
    char line[TRACE_LINE_BYTES];
    size_t n = softhv_trace_format(record, line, sizeof(line) - 1);
    line[n] = '\n';
    (void)!write(s->trace_fd, line, n + 1);
}

static int open_trace(struct soft *s, const char *path, struct err *err)
{
    const struct err_context context = {
        .attempted = "open the trace", .on_what = path, .what_to_do = "name a file that can be written"};
    s->trace_fd = -1;
    if (path == NULL)
        return 0;
    s->trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    return s->trace_fd < 0 ? err_fail(err, -errno, &context) : 0;
}

/* By who makes a thread of softhv's, and by the thread. */
static void on_thread(void *ctx, bool inside)
{
    if (CONFIG_SECCOMP && inside)
        seccomp_lock_enter(ctx, SECCOMP_SOFTHV, "softhv");
    else if (CONFIG_SECCOMP)
        seccomp_lock_expect(ctx);
}

static int make_instance(struct soft *s, const struct hv_request *request, struct err *err)
{
    const struct err_context generation = {.attempted = "play the driver of kernel",
                                           .on_what = request->kernel,
                                           .what_to_do = "choose one of " SOFTHV_OPTION_KERNELS};
    static const struct err_context start = {.attempted = "start the software hypervisor",
                                             .what_to_do =
                                                 "let the sandbox around this process allow process_vm_readv"};
    struct softhv_config cfg = {.kernel = SOFTHV_KERNEL_7_2,
                                .kicks = softhv_option_kicks_default(),
                                .trace = s->trace_fd >= 0 ? write_trace : NULL,
                                .trace_ctx = s,
                                .threads = {.hook = request->lock != NULL ? on_thread : NULL, .ctx = request->lock}};
    if (request->kernel != NULL && softhv_option_kernel(request->kernel, &cfg.kernel) < 0)
        return err_fail_because(err, -EINVAL, &generation, "it is not known");
    int code = softhv_instance_new(&cfg, &s->instance);
    return code < 0 ? err_fail(err, code, &start) : 0;
}

static void close_soft(struct soft *s)
{
    softhv_instance_free(s->instance);
    if (s->trace_fd >= 0)
        close(s->trace_fd);
    free(s);
}

static int open_soft(const struct hv_request *request, struct hv *hv, struct err *err)
{
    static const struct err_context context = {.attempted = "start the software hypervisor",
                                               .what_to_do = "free memory on the host"};
    struct soft *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_fail(err, -ENOMEM, &context);
    int code = open_trace(s, request->trace_path, err);
    code = code != 0 ? code : make_instance(s, request, err);
    if (code < 0) {
        close_soft(s);
        return code;
    }
    *hv = (struct hv){.port = mshv_port_soft(s->instance), .soft = true, .state = s};
    return 0;
}

/* ---- The kernel's device ---- */

/* Opened to see whether it can be; the client opens it again. */
static int open_kernel(struct hv *hv, struct err *err)
{
    static const struct err_context context = {
        .attempted = "open",
        .on_what = MSHV_DEVICE_PATH,
        .what_to_do = "run on a host of the Microsoft hypervisor, as root, or use --hv=soft"};
    struct mshv_port port = mshv_port_kernel();
    int fd = mshv_port_open(&port);
    if (fd < 0)
        return err_fail(err, fd, &context);
    (void)mshv_port_close(&port, fd);
    *hv = (struct hv){.port = port, .soft = false, .state = NULL};
    return 0;
}

/* ---- The choice ---- */

static int no_soft(struct err *err)
{
    static const struct err_context context = {.attempted = "use the software hypervisor",
                                               .what_to_do =
                                                   "use a build with CONFIG_SOFTHV, or a host with " MSHV_DEVICE_PATH};
    return err_fail_because(err, -EOPNOTSUPP, &context, "this build has none");
}

static int open_hv(const struct hv_request *request, struct hv *hv, struct err *err)
{
    int code = request->choice == HV_SOFT ? -ENODEV : open_kernel(hv, err);
    if (code == 0 || request->choice == HV_KERNEL)
        return code;
    if (!CONFIG_SOFTHV)
        return request->choice == HV_SOFT ? no_soft(err) : code;
    return open_soft(request, hv, err);
}

static void close_hv(struct hv *hv)
{
    if (CONFIG_SOFTHV && hv->state != NULL)
        close_soft(hv->state);
    memset(hv, 0, sizeof(*hv));
}

static const struct hv_offer offer = {.open = open_hv, .close = close_hv};

static int seal_tables(const struct cli_io *io)
{
    static const struct err_context context = {
        .attempted = "make the program's own tables read-only",
        .what_to_do = "let the sandbox around this process allow mprotect",
    };
    struct err err;
    int code = relro_seal();
    if (code < 0) {
        err_fail(&err, code, &context);
        fprintf(io->err, "caisson: %s\n", err.text);
    }
    return code;
}

/* A descriptor of ours that got the number of a standard stream would be read from and written to as that stream. */
static int fill_standard_streams(const struct cli_io *io)
{
    static const struct err_context context = {.attempted = "open",
                                               .on_what = "/dev/null",
                                               .what_to_do = "let this process see /dev/null and open some files"};
    struct err err;
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0) {
        int code = err_fail(&err, -errno, &context);
        fprintf(io->err, "caisson: %s\n", err.text);
        return code;
    }
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    const struct cli_io io = {
        .out = stdout, .err = stderr, .hv = &offer, .seccomp = CONFIG_SECCOMP, .jail = CONFIG_JAIL};
    if (fill_standard_streams(&io) < 0 || seal_tables(&io) < 0)
        return CLI_EXIT_FAILURE;
    return cli_main(&cli_commands, &io, argc, argv);
}

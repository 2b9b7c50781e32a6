/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/port_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/mshv/abi.h"

#define MAX_STEPS 128

struct port_script {
    struct mshv_port port;
    struct mshv_port_ops ops;
    struct port_step *steps[MAX_STEPS];
    size_t count;
    size_t at;
};

static const char *const call_names[] = {"open", "ioctl", "mmap", "munmap", "close"};

__attribute__((noreturn)) static void fail(const struct port_script *script, const char *what)
{
    fprintf(stderr, "port script: step %zu of %zu: %s\n", script->at + 1, script->count, what);
    abort();
}

/* The next step, which must be this call on this descriptor. */
static struct port_step *next(struct port_script *script, enum port_call call, int fd, uint32_t request)
{
    char text[128];
    if (script->at == script->count) {
        snprintf(text, sizeof text, "%s on %d, request 0x%08x, comes after the end", call_names[call], fd, request);
        fail(script, text);
    }
    struct port_step *step = script->steps[script->at];
    if (step->call != call || step->fd != fd || step->request != request) {
        snprintf(text, sizeof text, "%s on %d, request 0x%08x, in place of %s on %d, request 0x%08x", call_names[call],
                 fd, request, call_names[step->call], step->fd, step->request);
        fail(script, text);
    }
    script->at++;
    return step;
}

static int script_open(void *self)
{
    return next(self, PORT_OPEN, -1, 0)->result;
}

/* Pointers of a request are numbers. */
static void *pointer(uint64_t value)
{
    return (void *)(uintptr_t)value;
}

static void serve_hvcall(struct port_script *script, struct port_step *step, struct mshv_root_hvcall *args)
{
    if (args->code != step->code) {
        fail(script, "another hypercall");
    }
    if (args->status != 0 || args->in_ptr == 0 || args->in_sz < 8 || args->in_sz > sizeof step->input) {
        fail(script, "a hypercall that the driver refuses");
    }
    if ((args->out_ptr != 0) != (args->out_sz != 0) || args->out_sz > 4096 || step->reply_bytes > args->out_sz) {
        fail(script, "a hypercall with another output");
    }
    memcpy(step->input, pointer(args->in_ptr), args->in_sz);
    step->input_bytes = args->in_sz;
    step->output_bytes = args->out_sz;
    step->reps_in = args->reps;
    if (!step->untouched) {
        args->status = step->status;
        args->reps = step->reps;
    }
    if (step->reply_bytes != 0) {
        memcpy(pointer(args->out_ptr), step->reply, step->reply_bytes);
    }
}

static int script_ioctl(void *self, int fd, uint32_t request, void *arg)
{
    struct port_script *script = self;
    struct port_step *step = next(script, PORT_IOCTL, fd, request);
    size_t bytes = request >> 16 & 0x3fff;
    if (request == MSHV_CREATE_PARTITION &&
        (((struct mshv_create_partition *)arg)->pt_flags & 1u << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES) != 0) {
        bytes = sizeof(struct mshv_create_partition_v2);
    }
    if ((bytes != 0) != (arg != NULL)) {
        fail(script, "an argument too many or too few");
    }
    if (bytes != 0) {
        memcpy(step->argument, arg, bytes);
    }
    if (request == MSHV_SET_MSI_ROUTING) {
        const size_t table = 8 + 16 * (size_t)((struct mshv_user_irq_table *)arg)->nr;
        step->input_bytes = table < sizeof step->input ? table : sizeof step->input;
        memcpy(step->input, arg, step->input_bytes);
    }
    if (request == MSHV_ROOT_HVCALL) {
        serve_hvcall(script, step, arg);
    } else if (step->reply_bytes != 0) {
        memcpy(arg, step->reply, step->reply_bytes);
    }
    return step->result;
}

static int script_mmap(void *self, int fd, size_t bytes, uint64_t offset, void **out)
{
    struct port_script *script = self;
    struct port_step *step = next(script, PORT_MMAP, fd, 0);
    if (bytes != 4096 || offset != step->offset) {
        fail(script, "a mapping of something else");
    }
    if (step->result == 0) {
        *out = step->address;
    }
    return step->result;
}

static int script_munmap(void *self, void *address, size_t bytes)
{
    struct port_script *script = self;
    struct port_step *step = next(script, PORT_MUNMAP, -1, 0);
    if (address != step->address || bytes != 4096) {
        fail(script, "another mapping");
    }
    return step->result;
}

static int script_close(void *self, int fd)
{
    return next(self, PORT_CLOSE, fd, 0)->result;
}

struct port_script *port_script_new(void)
{
    struct port_script *script = calloc(1, sizeof *script);
    if (script == NULL) {
        abort();
    }
    script->ops =
        (struct mshv_port_ops){"the script", script_open, script_ioctl, script_mmap, script_munmap, script_close};
    script->port = (struct mshv_port){&script->ops, script};
    return script;
}

void port_script_free(struct port_script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        free(script->steps[i]);
    }
    free(script);
}

void port_script_end(struct port_script *script)
{
    if (script->at != script->count) {
        fail(script, "was never reached");
    }
    port_script_free(script);
}

const struct mshv_port *port_script_port(struct port_script *script)
{
    return &script->port;
}

static struct port_step *append(struct port_script *script, enum port_call call, int fd, int result)
{
    struct port_step *step = calloc(1, sizeof *step);
    if (step == NULL || script->count == MAX_STEPS) {
        abort();
    }
    step->call = call;
    step->fd = fd;
    step->result = result;
    script->steps[script->count++] = step;
    return step;
}

struct port_step *port_expect_open(struct port_script *script, int result)
{
    return append(script, PORT_OPEN, -1, result);
}

struct port_step *port_expect_ioctl(struct port_script *script, int fd, uint32_t request, int result)
{
    struct port_step *step = append(script, PORT_IOCTL, fd, result);
    step->request = request;
    return step;
}

struct port_step *port_expect_mmap(struct port_script *script, int fd, uint64_t offset, int result, void *address)
{
    struct port_step *step = append(script, PORT_MMAP, fd, result);
    step->offset = offset;
    step->address = address;
    return step;
}

struct port_step *port_expect_munmap(struct port_script *script, void *address)
{
    struct port_step *step = append(script, PORT_MUNMAP, -1, 0);
    step->address = address;
    return step;
}

struct port_step *port_expect_close(struct port_script *script, int fd)
{
    return append(script, PORT_CLOSE, fd, 0);
}

struct port_step *port_expect_hvcall(struct port_script *script, int fd, uint16_t code, const void *out, size_t bytes)
{
    struct port_step *step = port_expect_ioctl(script, fd, MSHV_ROOT_HVCALL, 0);
    step->code = code;
    step->reply = out;
    step->reply_bytes = bytes;
    return step;
}

struct port_step *port_expect_refusal(struct port_script *script, int fd, uint16_t code, int result, uint16_t status)
{
    struct port_step *step = port_expect_hvcall(script, fd, code, NULL, 0);
    step->result = result;
    step->status = status;
    return step;
}

struct port_step *port_expect_reps(struct port_script *script, int fd, uint16_t code, uint16_t reps, const void *out,
                                   size_t bytes)
{
    struct port_step *step = port_expect_hvcall(script, fd, code, out, bytes);
    step->reps = reps;
    return step;
}

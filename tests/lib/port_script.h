/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_PORT_SCRIPT_H
#define CAISSON_TESTS_LIB_PORT_SCRIPT_H

/*
 * A port that follows a script: the test lists the calls it expects, in order, with what each returns and writes; then
 * lets the client work, and looks at what arrived. A call that is not the next one in the script, or on another
 * descriptor, ends the program with a message. No globals: a test may have several.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mshv/port.h"

enum port_call { PORT_OPEN, PORT_IOCTL, PORT_MMAP, PORT_MUNMAP, PORT_CLOSE };

struct port_step {
    /* What is expected. */
    enum port_call call;
    int fd;
    uint32_t request; /* of PORT_IOCTL */
    uint16_t code;    /* of MSHV_ROOT_HVCALL */
    uint64_t offset;  /* of PORT_MMAP */
    /* What it does. */
    int result;
    void *address;     /* mmap's */
    const void *reply; /* copied over the argument of a request, or over the output of a hypercall */
    size_t reply_bytes;
    uint16_t status; /* of a hypercall */
    uint16_t reps;   /* completed */
    bool untouched;  /* of a hypercall: leave the argument as it came, as one that never reached the hypervisor */
    /* What arrived: the argument, and the input of a hypercall. */
    uint8_t argument[256];
    uint8_t input[4096];
    size_t input_bytes;
    size_t output_bytes;
    uint16_t reps_in;
};

struct port_script;

struct port_script *port_script_new(void);
/* Ends the program if calls of the script were not made. */
void port_script_end(struct port_script *script);
/* End without that check, for use after a failed assertion. */
void port_script_free(struct port_script *script);
/* The port; valid until the script ends. */
const struct mshv_port *port_script_port(struct port_script *script);

/* Append an expected call. The step may be changed until the call is made and read afterwards; valid until the end. */
struct port_step *port_expect_open(struct port_script *script, int result);
struct port_step *port_expect_ioctl(struct port_script *script, int fd, uint32_t request, int result);
struct port_step *port_expect_mmap(struct port_script *script, int fd, uint64_t offset, int result, void *address);
struct port_step *port_expect_munmap(struct port_script *script, void *address);
struct port_step *port_expect_close(struct port_script *script, int fd);
/* A simple hypercall that succeeds, with output. */
struct port_step *port_expect_hvcall(struct port_script *script, int fd, uint16_t code, const void *out, size_t bytes);
/* One that the hypervisor refuses: result is a negative errno. */
struct port_step *port_expect_refusal(struct port_script *script, int fd, uint16_t code, int result, uint16_t status);
/* A rep call that completes `reps` elements. */
struct port_step *port_expect_reps(struct port_script *script, int fd, uint16_t code, uint16_t reps, const void *out,
                                   size_t bytes);

#endif

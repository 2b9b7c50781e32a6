/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what the pod's own process hears from a hostile guest, the answers to its calls and the agent's log.
 *
 * Input: byte 0 says how many calls are made once the stream is open (bits 0 to 6) and whether it is the log (bit 7),
 * byte 1 in what pieces the rest comes, which begins with the greeting of the vsock socket. Checked: each call is
 * answered once and no other, all are told when the connection ends, no more is stored than an answer may have, lines
 * are bounded, and the descriptor is closed in the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/pod/guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As much as a fresh socket takes in one piece. */
#define INPUT_MAX 32768u

static void require(int condition)
{
    if (!condition)
        abort();
}

struct world {
    unsigned calls, asked;
    bool answered[POD_CALLS_MAX];
};

static void on_answer(void *ctx, enum pod_call call, uint64_t tag, int code, const char *text)
{
    struct world *w = ctx;
    require(tag < w->asked && !w->answered[tag] && code <= 0);
    require((unsigned)call == tag % 3);
    require(text == NULL || strlen(text) < POD_GUEST_PAYLOAD);
    w->answered[tag] = true;
}

/* A zero byte of the guest's ends what is seen of a line. */
static void on_line(void *ctx, const char *line, bool cut)
{
    (void)ctx, (void)cut;
    require(strlen(line) < POD_AGENT_LINE && strchr(line, '\n') == NULL);
}

static void ask(struct pod_guest *g, struct world *w)
{
    while (w->asked < w->calls) {
        uint64_t tag = w->asked++;
        int code = pod_guest_call(g, (enum pod_call)(tag % 3), tag, "container", "exec");
        require(code == 0);
    }
}

static void fuzz_calls(struct world *w, int ours, int guest, const uint8_t *data, size_t size, size_t piece)
{
    struct pod_guest g;
    pod_guest_init(&g);
    g.dial.fd = ours;
    for (size_t at = 0; at < size && g.dial.fd >= 0; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        require(write(guest, data + at, n) == (ssize_t)n);
        for (unsigned i = 0; i < 4 && g.dial.fd >= 0; i++) {
            (void)pod_guest_step(&g, on_answer, w);
            if (pod_guest_is_open(&g))
                ask(&g, w);
        }
        require(g.reader.room <= 2 * POD_GUEST_PAYLOAD); /* it grows by doubling */
    }
    shutdown(guest, SHUT_WR);
    while (g.dial.fd >= 0)
        (void)pod_guest_step(&g, on_answer, w);
    for (unsigned i = 0; i < w->asked; i++)
        require(w->answered[i]);
    pod_guest_fini(&g);
}

static void fuzz_log(int ours, int guest, const uint8_t *data, size_t size, size_t piece)
{
    struct pod_agent_log l;
    pod_agent_log_init(&l);
    l.dial.fd = ours;
    for (size_t at = 0; at < size && l.dial.fd >= 0; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        require(write(guest, data + at, n) == (ssize_t)n);
        (void)pod_agent_log_step(&l, on_line, NULL);
    }
    shutdown(guest, SHUT_WR);
    while (l.dial.fd >= 0)
        (void)pod_agent_log_step(&l, on_line, NULL);
    pod_agent_log_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size < 2 || size > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return 0;
    struct world w = {.calls = (data[0] & 0x7fu) % (POD_CALLS_MAX + 1)};
    size_t piece = data[1] == 0 ? INPUT_MAX : data[1];
    if ((data[0] & 0x80) != 0)
        fuzz_log(pair[0], pair[1], data + 2, size - 2, piece);
    else
        fuzz_calls(&w, pair[0], pair[1], data + 2, size - 2, piece);
    require(fcntl(pair[0], F_GETFD) < 0 && errno == EBADF);
    close(pair[1]);
    return 0;
}

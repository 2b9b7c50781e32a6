/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/agent.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/console_text.h"
#include "vmm/oci/deadline.h"

#define ANSWER_MAX  (64u << 10)
#define LARGE_MAX   ((1u << 20) + 4096)
#define SERVICE_MAX 64u
/* Reads of the socket in one call of oci_agent_receive, so that a flood does not keep the caller from its own work. */
#define ROUNDS_MAX 64u

/* ---- Limits ---- */

/* The last part of the names of methods whose answers may be large. */
static const char *const large_methods[] = {"ReadStdout", "ReadStderr", "StatsContainer", "GetMetrics"};

static uint32_t answer_max(const char *method)
{
    for (size_t i = 0; i < sizeof(large_methods) / sizeof(large_methods[0]); i++)
        if (strcmp(method, large_methods[i]) == 0)
            return LARGE_MAX;
    return ANSWER_MAX;
}

static struct oci_agent_pending *find_pending(struct oci_agent *a, uint32_t stream)
{
    for (size_t i = 0; i < OCI_AGENT_CALLS_MAX; i++)
        if (a->pending[i].stream == stream)
            return &a->pending[i];
    return NULL;
}

/* The reader stores no more than the most that anybody waits for; a frame keeps the limit that it began with. */
static void set_reader_max(struct oci_agent *a)
{
    if (!a->reader.done && a->reader.have >= TTRPC_HEADER_BYTES)
        return;
    a->reader.max = 1;
    for (size_t i = 0; i < OCI_AGENT_CALLS_MAX; i++)
        if (a->pending[i].stream != 0 && a->pending[i].max > a->reader.max)
            a->reader.max = a->pending[i].max;
}

/* ---- Life ---- */

static int break_off(struct oci_agent *a, const char *why, ...) __attribute__((format(printf, 2, 3)));

static int break_off(struct oci_agent *a, const char *why, ...)
{
    struct text t;
    va_list arguments;
    if (!a->broken) {
        text_init(&t, a->why, sizeof(a->why));
        va_start(arguments, why);
        text_add_v(&t, why, arguments);
        va_end(arguments);
    }
    a->broken = true;
    return -EPIPE;
}

void oci_agent_init(struct oci_agent *a, int fd)
{
    memset(a, 0, sizeof(*a));
    a->fd = fd;
    a->open = true;
    a->next_stream = 1;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void oci_agent_close(struct oci_agent *a)
{
    if (a->open)
        close(a->fd);
    ttrpc_reader_fini(&a->reader);
    free(a->output);
    memset(a, 0, sizeof(*a));
    a->fd = -1;
}

/* ---- Requests ---- */

static int queue_output(struct oci_agent *a, const struct ttrpc_frame *frame)
{
    size_t held = a->output_end - a->output_begin;
    if (a->output_begin > 0)
        memmove(a->output, a->output + a->output_begin, held);
    a->output_begin = 0;
    a->output_end = held;
    if (a->output_room - held < frame->size) {
        uint8_t *grown = realloc(a->output, held + frame->size);
        if (grown == NULL)
            return -ENOMEM;
        a->output = grown;
        a->output_room = held + frame->size;
    }
    memcpy(a->output + held, frame->bytes, frame->size);
    a->output_end += frame->size;
    return 0;
}

/* A failed write does not end the connection by itself: answers that arrived before it are still to be read. */
static void flush_output(struct oci_agent *a)
{
    while (a->output_begin < a->output_end) {
        ssize_t n = send(a->fd, a->output + a->output_begin, a->output_end - a->output_begin, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        a->output_failed = n < 0;
        a->output_begin = n < 0 ? a->output_end : a->output_begin + (size_t)n;
    }
}

/* "grpc.AgentService/CreateContainer" in its two parts. */
static const char *split_method(const char *method, char service[SERVICE_MAX])
{
    const char *slash = strchr(method, '/');
    assert(slash != NULL && (size_t)(slash - method) < SERVICE_MAX);
    memcpy(service, method, (size_t)(slash - method));
    service[slash - method] = '\0';
    return slash + 1;
}

static int send_request(struct oci_agent *a, const char *method, const pb_msgdesc_t *fields, const void *request,
                        unsigned timeout_ms, uint32_t *stream)
{
    char service[SERVICE_MAX];
    const char *name = split_method(method, service);
    struct oci_agent_pending *place = find_pending(a, 0);
    struct ttrpc_frame frame;
    if (!a->open || a->broken)
        return -EPIPE;
    if (place == NULL || a->next_stream > INT32_MAX)
        return -EBUSY;
    int code =
        ttrpc_pack_request(&frame, a->next_stream, service, name, fields, request, timeout_ms * INT64_C(1000000));
    if (code < 0)
        return code;
    code = queue_output(a, &frame);
    free(frame.bytes);
    if (code < 0)
        return code;
    *place = (struct oci_agent_pending){.stream = a->next_stream, .max = answer_max(name)};
    *stream = a->next_stream;
    a->next_stream += 2;
    flush_output(a);
    return 0;
}

int oci_agent_send(struct oci_agent *a, const char *method, const pb_msgdesc_t *fields, const void *request,
                   uint32_t *stream)
{
    return send_request(a, method, fields, request, 0, stream);
}

short oci_agent_events(const struct oci_agent *a)
{
    return a->output_begin < a->output_end ? POLLIN | POLLOUT : POLLIN;
}

/* ---- Answers ---- */

static void say(struct oci_agent_answer *out, int code, const char *why)
{
    struct text t;
    out->code = code;
    text_init(&t, out->text, sizeof(out->text));
    text_add(&t, "%s", why);
}

/* The agent's own words, from the guest: first whatever a terminal would obey goes, then line breaks. */
static void say_status(struct oci_agent_answer *out)
{
    char shown[OCI_AGENT_TEXT_BYTES + 1] = "";
    const char *message = out->response.status.message;
    size_t n = message != NULL ? strnlen(message, OCI_AGENT_TEXT_BYTES) : 0;
    if (n > 0)
        (void)console_text_make((const uint8_t *)message, n, shown, sizeof(shown));
    int code = ttrpc_error_of(out->response.status.code);
    say(out, code, shown[0] != '\0' ? shown : strerror(-code));
}

static void read_answer(struct oci_agent *a, struct oci_agent_answer *out)
{
    if (ttrpc_unpack(ttrpc_Response_fields, &out->response, a->reader.payload, a->reader.header.bytes) < 0) {
        out->response = (ttrpc_Response)ttrpc_Response_init_zero;
        say(out, -EBADMSG, "the agent's answer cannot be read");
    } else if (out->response.has_status && out->response.status.code != 0) {
        say_status(out);
    }
}

/* 1: *out is an answer; 0: to be ignored; -EPIPE. */
static int take_frame(struct oci_agent *a, bool oversized, struct oci_agent_answer *out)
{
    struct ttrpc_header h = a->reader.header;
    struct oci_agent_pending *p = h.stream != 0 ? find_pending(a, h.stream) : NULL;
    if (h.type != TTRPC_RESPONSE)
        return break_off(a, "the guest sent a frame of type %u where only answers may come", h.type);
    if (p == NULL)
        return ++a->strangers <= OCI_AGENT_STRANGERS_MAX
                   ? 0
                   : break_off(a, "the guest keeps answering what nobody has asked");
    *out = (struct oci_agent_answer){.stream = h.stream};
    if (oversized || h.bytes > p->max)
        say(out, -EMSGSIZE, "the agent's answer is larger than such an answer may be");
    else
        read_answer(a, out);
    *p = (struct oci_agent_pending){0};
    return 1;
}

/* A length that no frame may have: whatever follows cannot be told from its payload. */
static bool is_impossible(const struct ttrpc_reader *r)
{
    return r->have >= TTRPC_HEADER_BYTES && r->header.bytes > TTRPC_PAYLOAD_MAX;
}

/* Look at the bytes that are here. 1: an answer; 0: all used; -EPIPE. */
static int take_input(struct oci_agent *a, struct oci_agent_answer *out)
{
    while (a->input_begin < a->input_end) {
        size_t used = 0;
        set_reader_max(a);
        int found = ttrpc_reader_take(&a->reader, a->input + a->input_begin, a->input_end - a->input_begin, &used);
        a->input_begin += used;
        if (found < 0)
            return break_off(a, "out of memory for an answer");
        if (is_impossible(&a->reader))
            return break_off(a, "the guest sent a frame of %u bytes", a->reader.header.bytes);
        int taken = found == TTRPC_MORE ? 0 : take_frame(a, found == TTRPC_OVERSIZED, out);
        if (taken != 0)
            return taken;
    }
    return 0;
}

/* 1: there is something; 0: not now; -EPIPE. */
static int fill_input(struct oci_agent *a)
{
    ssize_t n = recv(a->fd, a->input, sizeof(a->input), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR) && !a->output_failed)
        return 0;
    a->closed = n <= 0;
    if (n < 0)
        return break_off(a, "the connection to the guest was closed before it had taken all requests");
    if (n == 0)
        return break_off(a, "the connection to the guest was closed");
    a->input_begin = 0;
    a->input_end = (size_t)n;
    return 1;
}

int oci_agent_receive(struct oci_agent *a, struct oci_agent_answer *out)
{
    if (!a->open || a->broken)
        return -EPIPE;
    flush_output(a);
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        int code = take_input(a, out);
        if (code != 0)
            return code;
        code = fill_input(a);
        if (code <= 0)
            return code;
    }
    return 0;
}

int oci_agent_unpack(const struct oci_agent_answer *answer, const pb_msgdesc_t *fields, void *out)
{
    const pb_bytes_array_t *payload = answer->response.payload;
    return ttrpc_unpack(fields, out, payload != NULL ? payload->bytes : NULL, payload != NULL ? payload->size : 0);
}

void oci_agent_answer_fini(struct oci_agent_answer *answer)
{
    pb_release(ttrpc_Response_fields, &answer->response);
    memset(answer, 0, sizeof(*answer));
}

/* ---- One call after the other ---- */

static int await(struct oci_agent *a, struct oci_agent_answer *out, const struct deadline *deadline)
{
    int code;
    while (code = oci_agent_receive(a, out), code == 0) {
        struct pollfd p = {.fd = a->fd, .events = oci_agent_events(a)};
        int left = deadline_left_ms(deadline);
        if (left == 0) {
            (void)break_off(a, "there was no answer in time");
            return -ETIMEDOUT;
        }
        (void)poll(&p, 1, left);
    }
    return code < 0 ? code : 0;
}

static int finish_call(struct oci_agent_answer *answer, const pb_msgdesc_t *sf, void *resp)
{
    if (answer->code == 0 && sf != NULL && oci_agent_unpack(answer, sf, resp) < 0)
        say(answer, -EBADMSG, "the agent's answer cannot be read");
    return answer->code;
}

static bool is_idle(const struct oci_agent *a)
{
    for (size_t i = 0; i < OCI_AGENT_CALLS_MAX; i++)
        if (a->pending[i].stream != 0)
            return false;
    return true;
}

int oci_agent_call(struct oci_agent *a, const char *method, const pb_msgdesc_t *rf, const void *req,
                   const pb_msgdesc_t *sf, void *resp, unsigned timeout_ms, struct err *err)
{
    const struct err_context context = {.attempted = "have the agent do", .on_what = strchr(method, '/') + 1};
    struct deadline deadline = {0};
    struct oci_agent_answer answer = {0};
    uint32_t stream;
    assert(a->broken || is_idle(a));
    if (timeout_ms > 0)
        deadline = deadline_in_ms(timeout_ms);
    int code = send_request(a, method, rf, req, timeout_ms, &stream);
    if (code < 0 && code != -EPIPE)
        return err_fail(err, code, &context);
    code = code == 0 ? await(a, &answer, &deadline) : code;
    if (code < 0)
        return err_fail_because(err, code, &context, "%s", a->open ? a->why : "the connection is closed");
    code = finish_call(&answer, sf, resp);
    if (code < 0)
        (void)err_fail_because(err, code, &context, "%s", answer.text);
    oci_agent_answer_fini(&answer);
    return code;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the client of the agent against a hostile guest.
 *
 * Input: byte 0 says which of eight calls are under way, byte 1 in what pieces the rest comes (bits 0 to 6) and what it
 * is (bit 7): bytes of the stream, or records of a stream number, a type, a length and so many bytes, which get a right
 * header. Checked: each answer belongs to a call under way and comes once, texts are printable and bounded, every
 * answer can be read as any message without harm, no more is stored than the calls allow, and a broken connection stays
 * broken.
 */
#include <fcntl.h>
#include <pb_decode.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb.h"
#include "vmm/oci/agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than the largest payload that any call allows, rounded up as the reader does it. */
#define STORED_MAX (4u << 20)

static void require(int condition)
{
    if (!condition)
        abort();
}

struct world {
    struct oci_agent agent;
    int guest;
    uint32_t waiting[8];
};

static const char *const methods[8] = {"grpc.AgentService/WaitProcess",    "grpc.AgentService/ReadStdout",
                                       "grpc.AgentService/ReadStderr",     "grpc.AgentService/StatsContainer",
                                       "grpc.AgentService/ListInterfaces", "grpc.AgentService/GetMetrics",
                                       "grpc.AgentService/GetOOMEvent",    "grpc.Health/Check"};

static const pb_msgdesc_t *const contents[] = {
    grpc_WaitProcessResponse_fields,
    grpc_ReadStreamResponse_fields,
    grpc_StatsContainerResponse_fields,
    grpc_Interfaces_fields,
    grpc_Metrics_fields,
    grpc_OOMEvent_fields,
};

union any {
    grpc_WaitProcessResponse wait;
    grpc_ReadStreamResponse read;
    grpc_StatsContainerResponse stats;
    grpc_Interfaces interfaces;
    grpc_Metrics metrics;
    grpc_OOMEvent oom;
};

static void check_text(const char *text)
{
    size_t n = strnlen(text, OCI_AGENT_TEXT_BYTES);
    require(n < OCI_AGENT_TEXT_BYTES);
    for (size_t i = 0; i < n; i++)
        require((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void check_answer(struct world *w, const struct oci_agent_answer *answer)
{
    bool found = false;
    for (unsigned i = 0; i < 8; i++) {
        if (answer->stream != 0 && w->waiting[i] == answer->stream) {
            w->waiting[i] = 0;
            found = true;
        }
    }
    require(found && answer->code <= 0);
    check_text(answer->text);
    require(answer->code == 0 || answer->text[0] != '\0');
    for (size_t i = 0; answer->code == 0 && i < sizeof(contents) / sizeof(contents[0]); i++) {
        union any content;
        if (oci_agent_unpack(answer, contents[i], &content) == 0)
            pb_release(contents[i], &content);
    }
}

static bool receive(struct world *w)
{
    struct oci_agent_answer answer;
    int code;
    while (code = oci_agent_receive(&w->agent, &answer), code == 1) {
        check_answer(w, &answer);
        oci_agent_answer_fini(&answer);
    }
    require(w->agent.reader.room <= STORED_MAX);
    if (code == 0)
        return true;
    require(w->agent.broken && w->agent.why[0] != '\0');
    check_text(w->agent.why);
    require(oci_agent_receive(&w->agent, &answer) < 0);
    return false;
}

static bool give(struct world *w, const uint8_t *bytes, size_t n, size_t piece)
{
    for (size_t at = 0; at < n;) {
        size_t length = n - at < piece ? n - at : piece;
        ssize_t done = send(w->guest, bytes + at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        require(done > 0);
        at += (size_t)done;
        if (!receive(w))
            return false;
    }
    return true;
}

/* One record as a frame; how many bytes of the input it took, 0: the connection is broken. */
static size_t give_record(struct world *w, const uint8_t *data, size_t size, size_t piece)
{
    uint8_t frame[TTRPC_HEADER_BYTES + 255] = {0};
    size_t length = size > 2 ? data[2] : 0;
    if (length > size - (size > 2 ? 3 : size))
        length = size > 3 ? size - 3 : 0;
    frame[3] = (uint8_t)length;
    frame[7] = data[0];
    frame[8] = size > 1 ? data[1] : TTRPC_RESPONSE;
    if (length > 0)
        memcpy(frame + TTRPC_HEADER_BYTES, data + 3, length);
    if (!give(w, frame, TTRPC_HEADER_BYTES + length, piece))
        return 0;
    return size > 3 ? 3 + length : size;
}

static void open_world(struct world *w, uint8_t which)
{
    static const grpc_WaitProcessRequest request;
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    memset(w, 0, sizeof(*w));
    oci_agent_init(&w->agent, pair[0]);
    w->guest = pair[1];
    for (unsigned i = 0; i < 8; i++)
        if ((which >> i & 1) != 0)
            require(oci_agent_send(&w->agent, methods[i], grpc_WaitProcessRequest_fields, &request, &w->waiting[i]) ==
                    0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = malloc(sizeof(*w));
    uint8_t which = size > 0 ? data[0] : 0xff, how = size > 1 ? data[1] : 0;
    size_t piece = (how & 0x7f) + (size_t)1;
    require(w != NULL);
    open_world(w, which);
    if (size > 2 && (how & 0x80) == 0)
        (void)give(w, data + 2, size - 2, piece);
    for (size_t at = 2, used = 1; size > 2 && (how & 0x80) != 0 && at < size && used > 0; at += used)
        used = give_record(w, data + at, size - at, piece);
    close(w->guest);
    require(!receive(w));
    oci_agent_close(&w->agent);
    free(w);
    return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a stream of ttrpc frames, and every message of the agent's protocol.
 *
 * Input: the first byte says in what pieces the bytes come (bits 0 to 3) and whether frames may have 64 bytes or the
 * usual number (bit 7); the rest is what the other side sends. Checked: frames are the same whatever the pieces, memory
 * follows what has arrived, and a message that decodes encodes to one that decodes again.
 */
#include <pb_decode.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb.h"
#include "common/ttrpc.h"
#include "health.pb.h"
#include "ttrpc.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_message(const pb_msgdesc_t *fields, size_t bytes, const uint8_t *data, size_t size)
{
    void *first = calloc(1, bytes);
    struct ttrpc_frame f;
    require(first != NULL);
    if (ttrpc_unpack(fields, first, data, size) == 0) {
        /* Numbers grow when they are encoded as they should be, so that a large message may not fit any more. */
        if (ttrpc_pack_response(&f, 1, fields, first) == 0)
            free(f.bytes);
        pb_release(fields, first);
    }
    free(first);
}

static void check_messages(const uint8_t *data, size_t size)
{
    check_message(grpc_CreateContainerRequest_fields, sizeof(grpc_CreateContainerRequest), data, size);
    check_message(grpc_CreateSandboxRequest_fields, sizeof(grpc_CreateSandboxRequest), data, size);
    check_message(grpc_UpdateContainerRequest_fields, sizeof(grpc_UpdateContainerRequest), data, size);
    check_message(grpc_StatsContainerResponse_fields, sizeof(grpc_StatsContainerResponse), data, size);
    check_message(grpc_UpdateInterfaceRequest_fields, sizeof(grpc_UpdateInterfaceRequest), data, size);
    check_message(grpc_UpdateRoutesRequest_fields, sizeof(grpc_UpdateRoutesRequest), data, size);
    check_message(grpc_AddARPNeighborsRequest_fields, sizeof(grpc_AddARPNeighborsRequest), data, size);
    check_message(grpc_CopyFileRequest_fields, sizeof(grpc_CopyFileRequest), data, size);
    check_message(grpc_GuestDetailsResponse_fields, sizeof(grpc_GuestDetailsResponse), data, size);
    check_message(grpc_HealthCheckResponse_fields, sizeof(grpc_HealthCheckResponse), data, size);
    check_message(ttrpc_Request_fields, sizeof(ttrpc_Request), data, size);
    check_message(ttrpc_Response_fields, sizeof(ttrpc_Response), data, size);
}

static uint64_t mix(uint64_t sum, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum;
}

/* A number that stands for all frames and their order. */
static uint64_t read_all(const uint8_t *data, size_t size, size_t pieces, uint32_t max, bool look_inside)
{
    struct ttrpc_reader r = {.max = max};
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t at = 0, used; at < size; at += used) {
        size_t n = size - at < pieces ? size - at : pieces;
        int found = ttrpc_reader_take(&r, data + at, n, &used);
        require(found >= 0 && used <= n && (used > 0 || found != TTRPC_MORE));
        require(r.room <= 2 * size + 4096);
        if (found == TTRPC_MORE)
            continue;
        sum = mix(sum, (const uint8_t *)&r.header, sizeof(r.header));
        sum = mix(sum, r.payload, found == TTRPC_FRAME ? r.header.bytes : 0);
        if (found == TTRPC_FRAME && look_inside)
            check_messages(r.payload, r.header.bytes);
    }
    ttrpc_reader_fini(&r);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint32_t max = (data[0] & 0x80) != 0 ? 64 : 0;
    size_t pieces = (size_t)(data[0] & 15) + 1;
    uint64_t whole = read_all(data + 1, size - 1, size, max, true);
    require(whole == read_all(data + 1, size - 1, pieces, max, false));
    check_messages(data + 1, size - 1);
    return 0;
}

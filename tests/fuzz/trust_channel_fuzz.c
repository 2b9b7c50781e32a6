/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what the host's side may say to the agent's channel (guest-init/agent/trust_channel.h).
 *
 * Input: one byte that says how (bit 0: GetEvidence instead of Extend; bit 1: one byte at a time), then what the host
 * says instead of an answer. Checked: the call ends; it succeeds only with bytes that are exactly one answer; and the
 * next call, to a host that behaves, works.
 */
#include <pb_decode.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/lib/agent_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static int extend(struct trust_channel *ch, struct err *err)
{
    const trust_ExtendRequest q = {.kind = trust_ExtendKind_EXEC};
    return trust_channel_call(ch, "trust.HostTrust", "Extend", trust_ExtendRequest_fields, &q, NULL, NULL, err);
}

static int quote(struct trust_channel *ch, struct err *err)
{
    const trust_EvidenceRequest q = trust_EvidenceRequest_init_zero;
    trust_Evidence e;
    int result = trust_channel_call(ch, "trust.HostTrust", "GetEvidence", trust_EvidenceRequest_fields, &q,
                                    trust_Evidence_fields, &e, err);
    if (result == 0)
        pb_release(trust_Evidence_fields, &e);
    return result;
}

/* Header and payload, and nothing else; said slowly, what follows has not come yet. */
static bool is_one_frame(const uint8_t *bytes, size_t n, bool slow)
{
    if (n < TTRPC_HEADER_BYTES)
        return false;
    size_t payload = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    return payload + TTRPC_HEADER_BYTES == n || (slow && payload + TTRPC_HEADER_BYTES < n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_host host;
    struct trust_channel ch;
    struct err err;
    if (size == 0)
        return 0;
    agent_host_init(&host);
    trust_channel_init(&ch, &host.ops);
    host.way = HOST_SAYS_BYTES;
    host.slow = (data[0] & 2) != 0;
    host.bytes = data + 1;
    host.byte_count = size - 1;
    err_clear(&err);
    int result = (data[0] & 1) != 0 ? quote(&ch, &err) : extend(&ch, &err);
    require(result <= 0 && (result == 0 || err.text[0] != '\0'));
    require(result < 0 || is_one_frame(data + 1, size - 1, host.slow));
    host.way = HOST_ANSWERS;
    /* What was too much for one answer is found with the next, once. */
    if (extend(&ch, &err) < 0)
        require(extend(&ch, &err) == 0);
    trust_channel_fini(&ch);
    agent_host_fini(&host);
    return 0;
}

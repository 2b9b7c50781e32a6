/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the line that the trace makes of what a hostile client asked for.
 *
 * Input: kind of descriptor, request by its place in a list (beyond it: by number), size of the line, three bytes that
 * say how the rest is cut into argument, answer, input and output of a hypercall, u32 result; a missing part is NULL.
 * Each part lies in memory of exactly its size, so that a read past it is seen. Checked: length, end, and that the line
 * is printable and tells the result, whatever it contains.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/mshv/abi.h"
#include "vmm/softhv/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_BYTES 10u
#define LINE_BYTES 8192u

static const uint32_t requests[] = {
    SOFTHV_TRACE_OPEN,    SOFTHV_TRACE_CLOSE,
    SOFTHV_TRACE_MMAP,    MSHV_CREATE_PARTITION,
    MSHV_ROOT_HVCALL,     MSHV_INITIALIZE_PARTITION,
    MSHV_CREATE_VP,       MSHV_SET_GUEST_MEMORY,
    MSHV_IRQFD,           MSHV_IOEVENTFD,
    MSHV_SET_MSI_ROUTING, MSHV_GET_GPAP_ACCESS_BITMAP,
    MSHV_RUN_VP,          MSHV_GET_VP_STATE,
    MSHV_SET_VP_STATE,    MSHV_LEGACY_VP_TRANSLATE_GVA,
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* The next bytes of the input, at most as many as asked for, in memory of their own. NULL if there are none. */
static uint8_t *take(const uint8_t **data, size_t *size, size_t bytes)
{
    size_t taken = bytes < *size ? bytes : *size;
    if (taken == 0)
        return NULL;
    uint8_t *copy = malloc(taken);
    if (copy == NULL)
        abort();
    memcpy(copy, *data, taken);
    *data += taken;
    *size -= taken;
    return copy;
}

static void check(const struct softhv_trace_record *r, size_t size)
{
    char *line = malloc(size + 1);
    if (line == NULL)
        abort();
    line[size] = 0x7e;
    size_t length = softhv_trace_format(r, line, size);
    assert(line[size] == 0x7e);
    assert(size == 0 ? length == 0 : length < size && strlen(line) == length);
    for (size_t i = 0; i < length; i++)
        assert(line[i] >= 0x20 && line[i] < 0x7f);
    assert(size < 64 || strstr(line, " = ") != NULL);
    free(line);
}

/* The interface promises pages to a hypercall: what the client said in in_sz and out_sz, a page at most. */
static uint8_t *take_page(const uint8_t **data, size_t *size, size_t bytes, size_t promised)
{
    uint8_t *part = take(data, size, bytes);
    if (part == NULL)
        return NULL;
    size_t given = promised < 4096 ? promised : 4096;
    uint8_t *page = calloc(1, given + 1);
    if (page == NULL)
        abort();
    memcpy(page, part, bytes < given ? bytes : given);
    free(part);
    return page;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    const uint8_t *head = data;
    struct softhv_trace_record r = {.on = (enum softhv_on)(head[0] % 3), .partition = head[0], .vp = head[1]};
    data += HEAD_BYTES;
    size -= HEAD_BYTES;
    r.request = head[1] < REQUESTS ? requests[head[1]] : UINT32_C(0xC010B800) + head[1];
    r.result = (int)bytes_load_le32(head + 6);
    r.bytes = head[3] < size ? head[3] + 1u : size; /* 1 to 256 */
    uint8_t *before = take(&data, &size, r.bytes);
    uint8_t *after = size >= r.bytes && (head[5] & 1) != 0 ? take(&data, &size, r.bytes) : NULL;
    bool sized = before != NULL && r.bytes >= sizeof(struct mshv_root_hvcall);
    size_t in_sz = sized ? bytes_load_le16(before + offsetof(struct mshv_root_hvcall, in_sz)) : 0;
    size_t out_sz = sized ? bytes_load_le16(before + offsetof(struct mshv_root_hvcall, out_sz)) : 0;
    size_t in_bytes = (size_t)head[4] * 16 < size ? (size_t)head[4] * 16 : size;
    uint8_t *in = take_page(&data, &size, in_bytes, in_sz);
    uint8_t *out = take_page(&data, &size, size, out_sz);
    r.before = before;
    r.after = after;
    r.call_in = in;
    r.call_out = out;
    check(&r, (head[5] & 2) != 0 ? head[2] : LINE_BYTES);
    free(before);
    free(after);
    free(in);
    free(out);
    return 0;
}

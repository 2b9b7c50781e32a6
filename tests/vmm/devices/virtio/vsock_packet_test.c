/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/devices/virtio/vsock_packet.h"

/* Every byte differs, so that a field at a wrong place or of a wrong width shows. */
static void fill(uint8_t *bytes)
{
    for (unsigned i = 0; i < VSOCK_HEADER_BYTES; i++)
        bytes[i] = (uint8_t)(i + 1);
}

static void fields_are_where_the_specification_says(void **state)
{
    uint8_t bytes[VSOCK_HEADER_BYTES];
    (void)state;
    fill(bytes);
    struct vsock_header h = vsock_header_decode(bytes);
    assert_true(h.src_cid == UINT64_C(0x0807060504030201) && h.dst_cid == UINT64_C(0x100f0e0d0c0b0a09));
    assert_int_equal(h.src_port, 0x14131211);
    assert_int_equal(h.dst_port, 0x18171615);
    assert_int_equal(h.len, 0x1c1b1a19);
    assert_int_equal(h.type, 0x1e1d);
    assert_int_equal(h.op, 0x201f);
    assert_int_equal(h.flags, 0x24232221);
    assert_int_equal(h.buf_alloc, 0x28272625);
    assert_int_equal(h.fwd_cnt, 0x2c2b2a29);
}

static void encoding_is_the_opposite_of_decoding(void **state)
{
    uint8_t bytes[VSOCK_HEADER_BYTES], again[VSOCK_HEADER_BYTES + 1];
    (void)state;
    fill(bytes);
    memset(again, 0xee, sizeof(again));
    struct vsock_header h = vsock_header_decode(bytes);
    vsock_header_encode(&h, again);
    assert_memory_equal(bytes, again, sizeof(bytes));
    assert_int_equal(again[VSOCK_HEADER_BYTES], 0xee);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_where_the_specification_says),
        cmocka_unit_test(encoding_is_the_opposite_of_decoding),
    };
    return cmocka_run_group_tests_name("virtio/vsock_packet", tests, NULL, NULL);
}

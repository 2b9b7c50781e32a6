/* SPDX-License-Identifier: Apache-2.0 */
#include "common/iov.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct rig {
    uint8_t bytes[16];
    struct iovec list[3], *at;
    unsigned count;
};

/* Pieces of 4, 0 and 8 bytes. */
static struct rig *make(struct rig *r)
{
    r->list[0] = (struct iovec){r->bytes, 4};
    r->list[1] = (struct iovec){r->bytes + 4, 0};
    r->list[2] = (struct iovec){r->bytes + 4, 8};
    r->at = r->list;
    r->count = 3;
    return r;
}

static void a_piece_is_cut(void **state)
{
    struct rig storage, *r = make(&storage);
    (void)state;
    iov_advance(&r->at, &r->count, 3);
    assert_int_equal(r->count, 3);
    assert_ptr_equal(r->at->iov_base, r->bytes + 3);
    assert_int_equal(r->at->iov_len, 1);
}

static void whole_and_empty_pieces_go(void **state)
{
    struct rig storage, *r = make(&storage);
    (void)state;
    iov_advance(&r->at, &r->count, 4);
    assert_int_equal(r->count, 1);
    assert_ptr_equal(r->at->iov_base, r->bytes + 4);
    assert_int_equal(r->at->iov_len, 8);
}

static void several_pieces_go_at_once(void **state)
{
    struct rig storage, *r = make(&storage);
    (void)state;
    iov_advance(&r->at, &r->count, 7);
    assert_int_equal(r->count, 1);
    assert_ptr_equal(r->at->iov_base, r->bytes + 7);
    assert_int_equal(r->at->iov_len, 5);
}

static void nothing_is_left_of_all(void **state)
{
    struct rig storage, *r = make(&storage);
    (void)state;
    iov_advance(&r->at, &r->count, 12);
    assert_int_equal(r->count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_cut),
        cmocka_unit_test(whole_and_empty_pieces_go),
        cmocka_unit_test(several_pieces_go_at_once),
        cmocka_unit_test(nothing_is_left_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/crypto/pem.h"

#define GOOD "-----BEGIN THING-----\nZm9v\nYmFy\n-----END THING-----\n"

/* What pem_next says of a text, and then pem_decode of its first block. */
static int64_t read_first(const char *text, uint8_t *out)
{
    struct pem_block block;
    size_t n = strlen(text);
    int code = pem_next(&text, &n, &block);
    return code == 1 ? pem_decode(&block, out) : code;
}

static void assert_refused(const char *text)
{
    uint8_t out[256];
    assert_int_equal(read_first(text, out), -EBADMSG);
}

static void a_block_is_read(void **state)
{
    (void)state;
    uint8_t out[64];
    assert_int_equal(read_first(GOOD, out), 6);
    assert_memory_equal(out, "foobar", 6);
}

static void white_space_and_line_ends_of_dos_are_passed_over(void **state)
{
    (void)state;
    uint8_t out[64];
    assert_int_equal(read_first("\n \t-----BEGIN THING-----\r\nZm9v\r\nYmFy\r\n-----END THING-----\r\n", out), 6);
    assert_memory_equal(out, "foobar", 6);
}

static void blocks_come_one_after_the_other(void **state)
{
    (void)state;
    const char *text = GOOD "\n" GOOD "\n";
    size_t n = strlen(text);
    struct pem_block block;
    assert_int_equal(pem_next(&text, &n, &block), 1);
    assert_int_equal(pem_next(&text, &n, &block), 1);
    assert_true(pem_has_label(&block, "THING"));
    assert_false(pem_has_label(&block, "THIN"));
    assert_false(pem_has_label(&block, "THINGS"));
    assert_int_equal(pem_next(&text, &n, &block), 0);
}

static void text_in_front_or_between_is_refused(void **state)
{
    (void)state;
    assert_refused("subject=CN\n" GOOD);
    const char *text = GOOD "x\n" GOOD;
    size_t n = strlen(text);
    struct pem_block block;
    assert_int_equal(pem_next(&text, &n, &block), 1);
    assert_int_equal(pem_next(&text, &n, &block), -EBADMSG);
}

static void labels_that_differ_are_refused(void **state)
{
    (void)state;
    assert_refused("-----BEGIN THING-----\nZm9v\n-----END OTHER-----\n");
    assert_refused("-----BEGIN THING-----\nZm9v\n-----END THINGS-----\n");
    assert_refused("-----BEGIN -----\nZm9v\n-----END -----\n");
}

static void headers_in_a_block_are_refused(void **state)
{
    (void)state;
    assert_refused("-----BEGIN THING-----\nProc-Type: 4,ENCRYPTED\n\nZm9v\n-----END THING-----\n");
}

static void marks_have_lines_of_their_own(void **state)
{
    (void)state;
    assert_refused("-----BEGIN THING-----Zm9v\n-----END THING-----\n");
    assert_refused("-----BEGIN THING-----\nZm9v-----END THING-----\n");
    assert_refused("-----BEGIN THING-----\nZm9v\n-----END THING-----x\n");
}

static void a_block_without_bytes_is_refused(void **state)
{
    (void)state;
    assert_refused("-----BEGIN THING-----\n-----END THING-----\n");
    assert_refused("-----BEGIN THING-----\n\n-----END THING-----\n");
}

static void base64_that_is_wrong_is_refused(void **state)
{
    (void)state;
    assert_refused("-----BEGIN THING-----\nZm9\n-----END THING-----\n");
    assert_refused("-----BEGIN THING-----\nZm9v YmFy\n-----END THING-----\n");
    assert_refused("-----BEGIN THING-----\nZm\rv\n-----END THING-----\n");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    /* The last character is a line end, which the end of the text may stand for. */
    for (size_t n = 1; n < sizeof GOOD - 2; n++) {
        const char *text = GOOD;
        struct pem_block block;
        size_t left = n;
        assert_int_equal(pem_next(&text, &left, &block), -EBADMSG);
    }
}

static void nothing_but_white_space_is_no_block(void **state)
{
    (void)state;
    uint8_t out[8];
    assert_int_equal(read_first("", out), 0);
    assert_int_equal(read_first(" \n\r\n\t", out), 0);
}

static void what_is_written_has_the_announced_size_and_is_read(void **state)
{
    (void)state;
    uint8_t bytes[200], back[512];
    memset(bytes, 0xa5, sizeof bytes);
    for (size_t n = 1; n <= sizeof bytes; n++) {
        char text[PEM_SIZE(sizeof bytes, 5)];
        size_t length = pem_encode("THING", bytes, n, text);
        assert_int_equal(length, strlen(text));
        assert_true(length < PEM_SIZE(n, 5));
        assert_int_equal(read_first(text, back), n);
        assert_memory_equal(back, bytes, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_read),
        cmocka_unit_test(white_space_and_line_ends_of_dos_are_passed_over),
        cmocka_unit_test(blocks_come_one_after_the_other),
        cmocka_unit_test(text_in_front_or_between_is_refused),
        cmocka_unit_test(labels_that_differ_are_refused),
        cmocka_unit_test(headers_in_a_block_are_refused),
        cmocka_unit_test(marks_have_lines_of_their_own),
        cmocka_unit_test(a_block_without_bytes_is_refused),
        cmocka_unit_test(base64_that_is_wrong_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(nothing_but_white_space_is_no_block),
        cmocka_unit_test(what_is_written_has_the_announced_size_and_is_read),
    };
    return cmocka_run_group_tests_name("pem", tests, NULL, NULL);
}

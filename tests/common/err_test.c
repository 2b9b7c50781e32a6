/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/err.h"

static void text_names_attempt_object_reason_and_remedy(void **state)
{
    struct err err;
    const struct err_context context = {"open", "/dev/mshv", "run as root"};
    (void)state;
    assert_int_equal(err_fail(&err, -EACCES, &context), -EACCES);
    assert_int_equal(err.code, -EACCES);
    assert_string_equal(err.text, "cannot open /dev/mshv: Permission denied; run as root");
}

static void reason_of_our_own_replaces_the_errno_text(void **state)
{
    struct err err;
    const struct err_context context = {"map guest memory", NULL, "give a multiple of 4096 bytes"};
    (void)state;
    assert_int_equal(err_fail_because(&err, -EINVAL, &context, "its size is %d bytes", 100), -EINVAL);
    assert_string_equal(err.text, "cannot map guest memory: its size is 100 bytes; give a multiple of 4096 bytes");
}

static void text_without_a_remedy_ends_after_the_reason(void **state)
{
    struct err err;
    const struct err_context context = {"read", "image", NULL};
    (void)state;
    err_fail_because(&err, -EIO, &context, "short file");
    assert_string_equal(err.text, "cannot read image: short file");
}

static void caller_without_an_err_gets_the_code(void **state)
{
    const struct err_context context = {"read", "image", NULL};
    (void)state;
    assert_int_equal(err_fail(NULL, -ENOENT, &context), -ENOENT);
}

static void hostile_name_cannot_forge_a_second_line(void **state)
{
    struct err err;
    const struct err_context context = {"open", "a\nerror: b", NULL};
    (void)state;
    err_fail(&err, -ENOENT, &context);
    assert_null(strchr(err.text, '\n'));
}

static void over_long_name_is_cut_inside_the_struct(void **state)
{
    struct err err;
    char name[2 * ERR_TEXT_BYTES];
    const struct err_context context = {"open", name, "shorten it"};
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    err_fail(&err, -ENAMETOOLONG, &context);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
    assert_string_equal(err.text + ERR_TEXT_BYTES - 4, "...");
}

static void clear_leaves_no_code_and_no_text(void **state)
{
    struct err err;
    const struct err_context context = {"open", "x", NULL};
    (void)state;
    err_fail(&err, -ENOENT, &context);
    err_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_names_attempt_object_reason_and_remedy),
        cmocka_unit_test(reason_of_our_own_replaces_the_errno_text),
        cmocka_unit_test(text_without_a_remedy_ends_after_the_reason),
        cmocka_unit_test(caller_without_an_err_gets_the_code),
        cmocka_unit_test(hostile_name_cannot_forge_a_second_line),
        cmocka_unit_test(over_long_name_is_cut_inside_the_struct),
        cmocka_unit_test(clear_leaves_no_code_and_no_text),
    };
    return cmocka_run_group_tests_name("common/err", tests, NULL, NULL);
}

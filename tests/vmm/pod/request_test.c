/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/pod/request.h"

static struct pod_request good(const char *text)
{
    struct pod_request r;
    assert_int_equal(pod_request_parse(text, strlen(text), &r, NULL), 0);
    return r;
}

static void bad(const char *bytes, size_t n)
{
    struct pod_request r;
    struct err err = {.code = 0};
    assert_int_equal(pod_request_parse(bytes, n, &r, &err), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_true(strlen(err.text) > 20);
}

static void each_request_is_read(void **state)
{
    (void)state;
    struct pod_request r = good("export web_rootfs ro");
    assert_int_equal(r.verb, POD_EXPORT);
    assert_string_equal(r.name, "web_rootfs");
    assert_true(r.read_only);
    assert_false(good("export x rw").read_only);
    r = good("unexport a.b-c\n");
    assert_int_equal(r.verb, POD_UNEXPORT);
    assert_string_equal(r.name, "a.b-c");
    r = good("hold web");
    assert_int_equal(r.verb, POD_HOLD);
    assert_string_equal(r.container, "web");
    assert_string_equal(r.exec, "");
    r = good("hold web exec-1");
    assert_string_equal(r.container, "web");
    assert_string_equal(r.exec, "exec-1");
    assert_int_equal(good("status").verb, POD_STATUS);
    assert_int_equal(good("done").verb, POD_DONE);
    assert_int_equal(good("stop\n").verb, POD_STOP);
}

static void a_nonce_is_eight_to_sixty_four_bytes(void **state)
{
    static const uint8_t eight[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xff};
    char text[200] = "quote ";
    (void)state;
    struct pod_request r = good("quote 00112233445566fF bound");
    assert_int_equal(r.verb, POD_QUOTE);
    assert_int_equal(r.nonce_bytes, 8);
    assert_memory_equal(r.nonce, eight, sizeof(eight));
    assert_true(r.bind);
    memset(text + 6, 'a', 130);
    memcpy(text + 6 + 128, " plain", 7);
    r = good(text);
    assert_int_equal(r.nonce_bytes, 64);
    assert_int_equal(r.nonce[63], 0xaa);
    assert_false(r.bind);
    memcpy(text + 6 + 130, " plain", 7);
    memset(text + 6 + 128, 'a', 2);
    bad(text, strlen(text));
}

static void what_is_no_request_is_refused_with_words(void **state)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        " ",
                                        "stop ",
                                        " stop",
                                        "stop now",
                                        "STOP",
                                        "stopp",
                                        "export",
                                        "export x",
                                        "export x r",
                                        "export x RO",
                                        "export  x ro",
                                        "export x ro y",
                                        "unexport",
                                        "unexport a b",
                                        "hold",
                                        "hold a b c",
                                        "hold a\nb",
                                        "done done",
                                        "status\n\n",
                                        "hold a\tb",
                                        "hold \x1b[2J",
                                        "quote",
                                        "quote plain",
                                        "quote 0011223344556677",
                                        "quote 00112233445566 plain",
                                        "quote 0011223344556677 both",
                                        "quote 001122334455667 plain",
                                        "quote 00112233445566778 plain",
                                        "quote 001122334455667g plain",
                                        "quote 0011223344556677 plain x"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        bad(texts[i], strlen(texts[i]));
    bad("stop\0", 5);
    bad("hold \xc3\xa4", 7);
    bad("a b c d e f g h", 15);
}

static void names_have_their_limits(void **state)
{
    struct pod_request r;
    char text[POD_REQUEST_BYTES];
    (void)state;
    memset(text, 'n', sizeof(text));
    memcpy(text, "unexport ", 9);
    assert_int_equal(pod_request_parse(text, 9 + POD_NAME_MAX, &r, NULL), 0);
    assert_int_equal(strlen(r.name), POD_NAME_MAX);
    bad(text, 9 + POD_NAME_MAX + 1);
    memcpy(text, "hold ", 5);
    memset(text + 5, 'n', 20);
    assert_int_equal(pod_request_parse(text, 5 + POD_WORD_MAX, &r, NULL), 0);
    bad(text, 5 + POD_WORD_MAX + 1);
    bad(text, sizeof(text));
}

static void what_is_written_is_read_again(void **state)
{
    static const char *const texts[] = {"export a rw", "export b ro", "unexport c", "status",
                                        "hold d",      "hold d e",    "done",       "stop"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct pod_request r = good(texts[i]);
        char out[POD_REQUEST_BYTES];
        assert_int_equal(pod_request_format(&r, out, NULL), strlen(texts[i]));
        assert_string_equal(out, texts[i]);
    }
}

static void the_longest_request_fits(void **state)
{
    struct pod_request r = {.verb = POD_HOLD}, again;
    char out[POD_REQUEST_BYTES];
    (void)state;
    memset(r.container, 'c', POD_WORD_MAX);
    memset(r.exec, 'e', POD_WORD_MAX);
    int n = pod_request_format(&r, out, NULL);
    assert_int_equal(n, 5 + POD_WORD_MAX + 1 + POD_WORD_MAX);
    assert_int_equal(pod_request_parse(out, (size_t)n, &again, NULL), 0);
    assert_string_equal(again.exec, r.exec);
}

static void names_that_would_be_other_words_are_not_written(void **state)
{
    static const char *const names[] = {"", "a b", "a\n", "\x7f", "\xc3\xa4"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct pod_request r = {.verb = POD_UNEXPORT};
        struct err err;
        char out[POD_REQUEST_BYTES];
        (void)strcpy(r.name, names[i]);
        assert_int_equal(pod_request_format(&r, out, &err), -EINVAL);
        r.verb = POD_HOLD;
        (void)strcpy(r.container, names[i]);
        assert_int_equal(pod_request_format(&r, out, &err), -EINVAL);
        assert_non_null(strstr(err.text, "ASCII"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_is_read),
        cmocka_unit_test(a_nonce_is_eight_to_sixty_four_bytes),
        cmocka_unit_test(what_is_no_request_is_refused_with_words),
        cmocka_unit_test(names_have_their_limits),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_longest_request_fits),
        cmocka_unit_test(names_that_would_be_other_words_are_not_written),
    };
    return cmocka_run_group_tests_name("pod/request", tests, NULL, NULL);
}

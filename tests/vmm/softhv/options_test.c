/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include "vmm/softhv/options.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define BIT(n)    (UINT64_C(1) << ((n)-1))
#define UNTOUCHED UINT64_C(0x5a5a)

static void kernels_have_the_words_of_the_message(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum softhv_kernel kernel;
    } cases[] = {{"6.15", SOFTHV_KERNEL_6_15},
                 {"6.15-stable", SOFTHV_KERNEL_6_15_STABLE},
                 {"6.19", SOFTHV_KERNEL_6_19},
                 {"7.2", SOFTHV_KERNEL_7_2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum softhv_kernel kernel = SOFTHV_KERNEL_6_19;
        assert_int_equal(softhv_option_kernel(cases[i].text, &kernel), 0);
        assert_int_equal(kernel, cases[i].kernel);
    }
}

static void other_kernels_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "7", "7.20", "7.2 ", " 7.2", "6.15-", "6.15-stable,7.2", "latest"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        enum softhv_kernel kernel = SOFTHV_KERNEL_6_19;
        assert_int_equal(softhv_option_kernel(texts[i], &kernel), -EINVAL);
        assert_int_equal(kernel, SOFTHV_KERNEL_6_19);
    }
}

static void signals_have_names_and_numbers(void **state)
{
    (void)state;
    const struct {
        const char *text;
        uint64_t signals;
    } cases[] = {
        {"none", 0},
        {"SIGUSR1", BIT(SIGUSR1)},
        {"USR2", BIT(SIGUSR2)},
        {"1", BIT(1)},
        {"64", BIT(64)},
        {"SIGRTMIN", BIT(SIGRTMIN)},
        {"RTMIN+3", BIT(SIGRTMIN + 3)},
        {"SIGRTMAX-1", BIT(SIGRTMAX - 1)},
        {"SIGRTMIN+0", BIT(SIGRTMIN)},
        {"SIGUSR1,USR1,12", BIT(SIGUSR1) | BIT(12)},
        {"SYS,IO", BIT(SIGSYS) | BIT(SIGIO)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t signals = UNTOUCHED;
        assert_int_equal(softhv_option_signals(cases[i].text, &signals), 0);
        assert_int_equal(signals, cases[i].signals);
    }
}

static void other_lists_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       ",",      "SIGUSR1,", ",SIGUSR1", "USR1 ",      "usr1",       "SIG",      "SIGSIGUSR1",
        "0",      "65",     "100",      "-1",       "1x",         "none,USR1",  "NONE",     "SIGKILL",
        "STOP",   "9",      "19",       "32",       "RTMIN-1",    "RTMAX+1",    "RTMIN+",   "RTMIN+100",
        "RTMINX", "RTMIN3", "RTMAX-99", "RTMIN++1", "SIGUSR1;12", "USR1,,USR2", "RTMIN+-1", "RT",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        uint64_t signals = UNTOUCHED;
        assert_int_equal(softhv_option_signals(texts[i], &signals), -EINVAL);
        assert_int_equal(signals, UNTOUCHED);
    }
}

static void the_usual_kicks_are_the_default(void **state)
{
    (void)state;
    uint64_t signals;
    assert_int_equal(softhv_option_signals("SIGUSR1,SIGRTMIN", &signals), 0);
    assert_int_equal(softhv_option_kicks_default(), signals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_have_the_words_of_the_message), cmocka_unit_test(other_kernels_are_refused),
        cmocka_unit_test(signals_have_names_and_numbers),        cmocka_unit_test(other_lists_are_refused),
        cmocka_unit_test(the_usual_kicks_are_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

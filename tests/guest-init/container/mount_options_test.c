/* SPDX-License-Identifier: Apache-2.0 */
/* Every word that the specification lists, and what it becomes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/mount_options.h"
#include "guest-init/container/sys.h"

static int parse_into(char *words, size_t size, const char *text, struct mount_options *o)
{
    char *list[MOUNT_OPTIONS_MAX + 2];
    size_t count = 0;
    (void)snprintf(words, size, "%s", text);
    for (char *at = words, *word; (word = strsep(&at, ",")) != NULL && count < MOUNT_OPTIONS_MAX + 2;)
        list[count++] = word;
    return mount_options_parse(list, count, o, NULL);
}

/* For cases that do not look at words that are kept. */
static int parse(const char *text, struct mount_options *o)
{
    char words[512];
    return parse_into(words, sizeof words, text, o);
}

static void words_about_a_mount_set_and_clear_attributes(void **state)
{
    static const struct {
        const char *set, *clear;
        uint64_t value;
    } pairs[] = {
        {"ro", "rw", MOUNT_ATTR_RDONLY},
        {"nosuid", "suid", MOUNT_ATTR_NOSUID},
        {"nodev", "dev", MOUNT_ATTR_NODEV},
        {"noexec", "exec", MOUNT_ATTR_NOEXEC},
        {"nodiratime", "diratime", MOUNT_ATTR_NODIRATIME},
        {"nosymfollow", "symfollow", MOUNT_ATTR_NOSYMFOLLOW},
    };
    struct mount_options o;
    char words[64];
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(parse(pairs[i].set, &o), 0);
        assert_true(o.set == pairs[i].value && o.clear == 0 && o.tree_set == 0 && o.data_count == 0);
        assert_int_equal(parse(pairs[i].clear, &o), 0);
        assert_true(o.set == 0 && o.clear == pairs[i].value);
        (void)snprintf(words, sizeof words, "r%s", pairs[i].set);
        assert_int_equal(parse(words, &o), 0);
        assert_true(o.tree_set == pairs[i].value && o.set == 0 && o.data_count == 0);
        (void)snprintf(words, sizeof words, "r%s", pairs[i].clear);
        assert_int_equal(parse(words, &o), 0);
        assert_true(o.tree_clear == pairs[i].value && o.clear == 0 && o.data_count == 0);
    }
}

static void the_last_word_counts(void **state)
{
    struct mount_options o;
    (void)state;
    assert_int_equal(parse("ro,rw,noexec,exec,noexec", &o), 0);
    assert_true(o.set == MOUNT_ATTR_NOEXEC && o.clear == MOUNT_ATTR_RDONLY);
}

static void access_times_are_one_choice(void **state)
{
    static const struct {
        const char *word;
        uint64_t value;
    } cases[] = {
        {"noatime", MOUNT_ATTR_NOATIME},           {"strictatime", MOUNT_ATTR_STRICTATIME},
        {"relatime", MOUNT_ATTR_RELATIME},         {"atime", MOUNT_ATTR_RELATIME},
        {"norelatime", MOUNT_ATTR_STRICTATIME},    {"nostrictatime", MOUNT_ATTR_RELATIME},
        {"noatime,relatime", MOUNT_ATTR_RELATIME},
    };
    struct mount_options o;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].word, &o), 0);
        assert_true(o.set == cases[i].value && o.clear == MOUNT_ATTR__ATIME);
    }
    assert_int_equal(parse("rnoatime", &o), 0);
    assert_true(o.tree_set == MOUNT_ATTR_NOATIME && o.tree_clear == MOUNT_ATTR__ATIME && o.clear == 0);
}

static void binding_and_what_only_a_runtime_knows(void **state)
{
    struct mount_options o;
    (void)state;
    assert_int_equal(parse("bind", &o), 0);
    assert_true(o.bind && !o.recursive);
    assert_int_equal(parse("rbind,remount,ridmap", &o), 0);
    assert_true(o.bind && o.recursive && o.remount && o.id_map && o.id_map_recursive);
    assert_int_equal(parse("tmpcopyup,idmap", &o), 0);
    assert_true(o.copy_up && o.id_map && !o.id_map_recursive && o.data_count == 0);
    assert_int_equal(parse("bind,tmpcopyup", &o), -EINVAL);
}

static void propagation_is_one_of_eight_words(void **state)
{
    struct mount_options o;
    (void)state;
    assert_int_equal(parse("rw,rslave", &o), 0);
    assert_true(o.propagation == MS_SLAVE && o.propagation_recursive);
    assert_int_equal(parse("shared", &o), 0);
    assert_true(o.propagation == MS_SHARED && !o.propagation_recursive);
    assert_int_equal(mount_options_propagation("private"), MS_PRIVATE);
    assert_int_equal(mount_options_propagation("runbindable"), MS_UNBINDABLE | MS_REC);
    assert_int_equal(mount_options_propagation(NULL), 0);
    assert_int_equal(mount_options_propagation(""), 0);
    assert_int_equal(mount_options_propagation("ro"), -1);
    assert_int_equal(mount_options_propagation("sideways"), -1);
}

static void words_of_the_super_block_stay_flags(void **state)
{
    struct mount_options o;
    (void)state;
    assert_int_equal(
        parse("sync,dirsync,lazytime,defaults,silent,loud,iversion,noiversion,async,nolazytime,mand,nomand", &o), 0);
    assert_int_equal(o.flags_count, 7);
    assert_int_equal(o.data_count, 0);
    assert_string_equal(o.flags[0], "sync");
}

static void unknown_words_are_the_file_systems_own(void **state)
{
    struct mount_options o;
    (void)state;
    char words[64];
    assert_int_equal(parse_into(words, sizeof words, "mode=755,size=64k,,newinstance,r,rodent", &o), 0);
    assert_int_equal(o.data_count, 5);
    assert_string_equal(o.data[2], "newinstance");
    assert_string_equal(o.data[4], "rodent");
}

static void too_much_is_refused(void **state)
{
    struct mount_options o;
    char text[256] = "", *big = calloc(1, MOUNT_OPTIONS_BYTES + 2);
    (void)state;
    assert_non_null(big);
    memset(big, 0x61, MOUNT_OPTIONS_BYTES);
    assert_int_equal(mount_options_parse(&big, 1, &o, NULL), -EINVAL);
    free(big);
    memset(text, 0x2c, MOUNT_OPTIONS_MAX);
    assert_int_equal(parse(text, &o), -EINVAL);
    text[MOUNT_OPTIONS_MAX - 1] = 0;
    assert_int_equal(parse(text, &o), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_about_a_mount_set_and_clear_attributes),
        cmocka_unit_test(the_last_word_counts),
        cmocka_unit_test(access_times_are_one_choice),
        cmocka_unit_test(binding_and_what_only_a_runtime_knows),
        cmocka_unit_test(propagation_is_one_of_eight_words),
        cmocka_unit_test(words_of_the_super_block_stay_flags),
        cmocka_unit_test(unknown_words_are_the_file_systems_own),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests_name("container/mount_options", tests, NULL, NULL);
}

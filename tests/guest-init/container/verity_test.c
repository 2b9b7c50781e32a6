/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "guest-init/container/verity.h"
#include "tests/lib/verity_fixture.h"

#define POINT  "/run/caisson/storage/i"
#define OFFSET ((uint64_t)VERITY_FIXTURE_BLOCKS * VERITY_BLOCK_BYTES)
#define WHOLE  (OFFSET + (uint64_t)(1 + VERITY_FIXTURE_TREE) * VERITY_BLOCK_BYTES)

/* A kernel with one disk, which remembers what it was asked. */
struct kernel {
    struct verity_kernel ops;
    uint8_t super[VERITY_SUPER_BYTES];
    uint64_t disk_bytes;
    char calls[256]; /* "create load resume" */
    char names[4][DM_NAME_LEN];
    unsigned commands;
    char table[1024];
    struct dm_target_spec target;
    uint32_t load_flags, remove_flags;
    dev_t node;
    /* What fails: a command, with a code; reading the device; making its node. */
    unsigned long failing;
    int code, read_code, node_code;
};

static void note(struct kernel *k, const char *word)
{
    strcat(k->calls, k->calls[0] != '\0' ? " " : "");
    strcat(k->calls, word);
}

static int fake_read(void *context, const char *path, uint64_t at, uint8_t *to, size_t n, dev_t *number,
                     uint64_t *disk_bytes)
{
    struct kernel *k = context;
    *disk_bytes = k->disk_bytes;
    if (strcmp(path, "/dev/dm-300") == 0) {
        note(k, "try");
        assert_int_equal(at, 0);
        assert_int_equal(n, VERITY_BLOCK_BYTES);
        return k->read_code;
    }
    assert_string_equal(path, "/dev/vda");
    *number = makedev(254, 16);
    if (at > k->disk_bytes || n > k->disk_bytes - at)
        return -EIO;
    assert_int_equal(n, sizeof k->super);
    memcpy(to, k->super, n);
    return 0;
}

static void keep_table(struct kernel *k, const struct dm_ioctl *c)
{
    const char *bytes = (const char *)c;
    assert_int_equal(c->target_count, 1);
    assert_int_equal(c->data_start, sizeof *c);
    assert_true(c->data_size > c->data_start + sizeof k->target);
    memcpy(&k->target, bytes + c->data_start, sizeof k->target);
    assert_true(c->data_start + k->target.next <= c->data_size);
    (void)snprintf(k->table, sizeof k->table, "%s", bytes + c->data_start + sizeof k->target);
    k->load_flags = c->flags;
}

static int fake_control(void *context, unsigned long request, struct dm_ioctl *c)
{
    struct kernel *k = context;
    assert_int_equal(c->version[0], 4);
    note(k, request == DM_DEV_CREATE    ? "create"
            : request == DM_TABLE_LOAD  ? "load"
            : request == DM_DEV_SUSPEND ? "resume"
            : request == DM_DEV_REMOVE  ? "remove"
                                        : "other");
    if (k->commands < 4)
        strcpy(k->names[k->commands++], c->name);
    if (request == k->failing)
        return k->code;
    if (request == DM_DEV_CREATE)
        c->dev = 253u << 8 | (300 & 0xff) | (300u & ~0xffu) << 12;
    if (request == DM_TABLE_LOAD)
        keep_table(k, c);
    if (request == DM_DEV_SUSPEND)
        assert_int_equal(c->flags & DM_SUSPEND_FLAG, 0);
    if (request == DM_DEV_REMOVE)
        k->remove_flags = c->flags;
    return 0;
}

static int fake_node(void *context, const char *path, dev_t number)
{
    struct kernel *k = context;
    assert_string_equal(path, "/dev/dm-300");
    k->node = number;
    return k->node_code;
}

static void kernel_init(struct kernel *k)
{
    *k = (struct kernel){.ops = {.context = k, .read = fake_read, .control = fake_control, .make_node = fake_node},
                         .disk_bytes = WHOLE};
    verity_fixture_super(k->super);
}

static int open_it(struct kernel *k, char path[VERITY_PATH_BYTES], struct err *err)
{
    const struct verity_wish wish = {.root = VERITY_FIXTURE_ROOT, .offset_bytes = OFFSET};
    err_clear(err);
    return verity_open(&k->ops, "/dev/vda", POINT, &wish, path, err);
}

/* ---- Opening ---- */

static void a_device_is_made_filled_started_and_tried(void **state)
{
    struct kernel k;
    struct err err;
    char path[VERITY_PATH_BYTES];
    (void)state;
    kernel_init(&k);
    assert_int_equal(open_it(&k, path, &err), 0);
    assert_string_equal(path, "/dev/dm-300");
    assert_string_equal(k.calls, "create load resume try");
    assert_int_equal(k.node, makedev(253, 300));
    assert_string_equal(k.names[0], k.names[1]);
    assert_string_equal(k.names[0], k.names[2]);
}

/* As `veritysetup open` fills it in: Documentation/admin-guide/device-mapper/verity.rst, Construction parameters. */
static void the_table_holds_the_root_hash_that_was_given_and_the_superblock_s_numbers(void **state)
{
    struct kernel k;
    struct err err;
    char path[VERITY_PATH_BYTES];
    (void)state;
    kernel_init(&k);
    assert_int_equal(open_it(&k, path, &err), 0);
    assert_string_equal(k.table,
                        "1 254:16 254:16 4096 4096 200 201 sha256 " VERITY_FIXTURE_ROOT " " VERITY_FIXTURE_SALT);
    assert_string_equal(k.target.target_type, "verity");
    assert_int_equal(k.target.sector_start, 0);
    assert_int_equal(k.target.length, 200 * 8);
    assert_int_equal(k.load_flags & DM_READONLY_FLAG, DM_READONLY_FLAG);
}

static void a_tree_without_salt_has_a_dash_in_the_table_and_the_longest_one_fits(void **state)
{
    struct kernel k;
    struct err err;
    char path[VERITY_PATH_BYTES];
    (void)state;
    kernel_init(&k);
    memset(k.super + 80, 0, VERITY_SUPER_BYTES - 80);
    assert_int_equal(open_it(&k, path, &err), 0);
    assert_string_equal(strrchr(k.table, ' '), " -");
    kernel_init(&k);
    memset(k.super + 88, 0xab, VERITY_SALT_MAX);
    k.super[80] = 0;
    k.super[81] = 1;
    assert_int_equal(open_it(&k, path, &err), 0);
    assert_int_equal(strlen(strrchr(k.table, ' ') + 1), 2 * VERITY_SALT_MAX);
    assert_int_equal(strspn(strrchr(k.table, ' ') + 1, "ab"), 2 * VERITY_SALT_MAX);
}

static void mount_points_have_devices_of_their_own(void **state)
{
    struct kernel one, two;
    (void)state;
    kernel_init(&one);
    kernel_init(&two);
    assert_int_equal(verity_close(&one.ops, POINT), 0);
    assert_int_equal(verity_close(&two.ops, POINT "i"), 0);
    assert_string_not_equal(one.names[0], two.names[0]);
    assert_int_equal(strncmp(one.names[0], "caisson-", 8), 0);
}

/* ---- Hostile disks ---- */

static void no_device_is_made_for_a_superblock_that_is_wrong(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } cases[] = {{0, 'x', "no superblock"}, {8, 2, "version"},       {32, 'x', "sha256"},
                 {65, 0x20, "data blocks"}, {72, 199, "do not end"}, {72, 201, "do not end"},
                 {79, 0x80, "too few or"},  {81, 0xff, "salt"}};
    char path[VERITY_PATH_BYTES];
    struct kernel k;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kernel_init(&k);
        k.super[cases[i].at] = cases[i].value;
        int result = open_it(&k, path, &err);
        if (result != -EINVAL || strstr(err.text, cases[i].words) == NULL || k.calls[0] != '\0')
            fail_msg("case %zu: %d: %s: %s", i, result, err.text, k.calls);
    }
}

static void a_disk_that_is_too_short_is_refused(void **state)
{
    char path[VERITY_PATH_BYTES];
    struct kernel k;
    struct err err;
    (void)state;
    kernel_init(&k);
    k.disk_bytes = WHOLE - 512;
    assert_int_equal(open_it(&k, path, &err), -EINVAL);
    assert_non_null(strstr(err.text, "too short for its hash tree"));
    k.disk_bytes = OFFSET;
    assert_int_equal(open_it(&k, path, &err), -EIO);
    assert_non_null(strstr(err.text, "read the superblock"));
    assert_string_equal(k.calls, "");
}

static void a_root_hash_that_does_not_fit_is_told_and_nothing_is_left(void **state)
{
    char path[VERITY_PATH_BYTES];
    struct kernel k;
    struct err err;
    (void)state;
    kernel_init(&k);
    k.read_code = -EIO;
    assert_int_equal(open_it(&k, path, &err), -EIO);
    assert_non_null(strstr(err.text, "is not what the root hash " VERITY_FIXTURE_ROOT " stands for"));
    assert_string_equal(k.calls, "create load resume try remove");
}

/* ---- Kernels that cannot ---- */

static void what_the_kernel_refuses_is_told_and_undone(void **state)
{
    static const struct {
        unsigned long failing;
        int code, result;
        const char *words, *calls;
    } cases[] = {
        {DM_DEV_CREATE, -ENOENT, -ENOTSUP, "has no device mapper; use a kernel with CONFIG_DM_VERITY", "create"},
        {DM_DEV_CREATE, -EBUSY, -EBUSY, "make a verified device for " POINT, "create"},
        {DM_TABLE_LOAD, -EINVAL, -ENOTSUP, "does not take it; use a kernel with CONFIG_DM_VERITY",
         "create load remove"},
        {DM_TABLE_LOAD, -EBUSY, -EBUSY, "set up the verified device", "create load remove"},
        {DM_DEV_SUSPEND, -ENOMEM, -ENOMEM, "start the verified device", "create load resume remove"},
    };
    char path[VERITY_PATH_BYTES];
    struct kernel k;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kernel_init(&k);
        k.failing = cases[i].failing;
        k.code = cases[i].code;
        int result = open_it(&k, path, &err);
        if (result != cases[i].result || strstr(err.text, cases[i].words) == NULL ||
            strcmp(k.calls, cases[i].calls) != 0)
            fail_msg("case %zu: %d: %s: %s", i, result, err.text, k.calls);
    }
}

static void a_node_that_cannot_be_made_undoes_the_device(void **state)
{
    char path[VERITY_PATH_BYTES];
    struct kernel k;
    struct err err;
    (void)state;
    kernel_init(&k);
    k.node_code = -EROFS;
    assert_int_equal(open_it(&k, path, &err), -EROFS);
    assert_non_null(strstr(err.text, "/dev/dm-300"));
    assert_string_equal(k.calls, "create load resume remove");
}

/* ---- Closing ---- */

static void a_device_in_use_goes_when_it_is_not_any_more(void **state)
{
    struct kernel k;
    (void)state;
    kernel_init(&k);
    assert_int_equal(verity_close(&k.ops, POINT), 0);
    assert_int_equal(k.remove_flags & DM_DEFERRED_REMOVE, DM_DEFERRED_REMOVE);
}

static void closing_what_is_not_there_is_no_failure(void **state)
{
    static const int none[] = {-ENOENT, -ENXIO, -ENODEV};
    struct kernel k;
    (void)state;
    kernel_init(&k);
    k.failing = DM_DEV_REMOVE;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        k.code = none[i];
        k.calls[0] = '\0';
        assert_int_equal(verity_close(&k.ops, POINT), 0);
    }
    k.code = -EBUSY;
    assert_int_equal(verity_close(&k.ops, POINT), -EBUSY);
}

/* ---- What a client asks for ---- */

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static int wish_of(const char *driver, const char *first, const char *second, const char *third, struct verity_wish *w,
                   struct err *err)
{
    char *options[3] = {text(first), text(second), text(third)};
    pb_size_t count = first == NULL ? 0 : second == NULL ? 1 : third == NULL ? 2 : 3;
    const grpc_Storage s = {
        .driver = text(driver), .mount_point = text(POINT), .driver_options = options, .driver_options_count = count};
    err_clear(err);
    return verity_wish_of(&s, w, err);
}

#define ROOT "verity_root=" VERITY_FIXTURE_ROOT

static void a_wish_is_read_from_the_driver_s_options(void **state)
{
    struct verity_wish w;
    struct err err;
    (void)state;
    assert_int_equal(wish_of("blk", "verity_offset=819200", "other=1", ROOT, &w, &err), 0);
    assert_string_equal(w.root, VERITY_FIXTURE_ROOT);
    assert_int_equal(w.offset_bytes, 819200);
    assert_int_equal(wish_of("blk", NULL, NULL, NULL, &w, &err), 0);
    assert_null(w.root);
    assert_int_equal(wish_of("virtio-fs", "other=verity_root", NULL, NULL, &w, &err), 0);
    assert_null(w.root);
}

static void wishes_that_are_not_exactly_right_are_refused(void **state)
{
    static const struct {
        const char *driver, *first, *second, *third, *words;
    } cases[] = {
        {"blk", ROOT, NULL, NULL, "without the other"},
        {"blk", "verity_offset=4096", NULL, NULL, "without the other"},
        {"blk", ROOT, ROOT, "verity_offset=4096", "two root hashes"},
        {"blk", "verity_offset=4096", "verity_offset=4096", ROOT, "two offsets"},
        {"blk", "verity_offset=0", "verity_offset=4096", ROOT, "two offsets"},
        {"blk", ROOT "0", "verity_offset=4096", NULL, "64 hexadecimal digits"},
        {"blk", "verity_root=", "verity_offset=4096", NULL, "64 hexadecimal digits"},
        {"blk", ROOT, "verity_offset=", NULL, "is no number"},
        {"blk", ROOT, "verity_offset=-4096", NULL, "is no number"},
        {"blk", ROOT, "verity_offset=0x1000", NULL, "is no number"},
        {"blk", ROOT, "verity_offset=04096", NULL, "is no number"},
        {"blk", ROOT, "verity_offset=40960000000000000", NULL, "is no number"},
        {"blk", ROOT, "verity_offset=4096 ", NULL, "is no number"},
        {"blk", ROOT, "verity_offset=4096", "verity_fec=1", "not known"},
        {"blk", "verity_", NULL, NULL, "not known"},
        {"virtio-fs", ROOT, "verity_offset=4096", NULL, "only disks"},
        {NULL, ROOT, "verity_offset=4096", NULL, "only disks"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verity_wish w = {.offset_bytes = 77};
        struct err err;
        int result = wish_of(cases[i].driver, cases[i].first, cases[i].second, cases[i].third, &w, &err);
        if (result != -EINVAL || strstr(err.text, cases[i].words) == NULL || w.offset_bytes != 77)
            fail_msg("case %zu: %d: %s", i, result, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_made_filled_started_and_tried),
        cmocka_unit_test(the_table_holds_the_root_hash_that_was_given_and_the_superblock_s_numbers),
        cmocka_unit_test(a_tree_without_salt_has_a_dash_in_the_table_and_the_longest_one_fits),
        cmocka_unit_test(mount_points_have_devices_of_their_own),
        cmocka_unit_test(no_device_is_made_for_a_superblock_that_is_wrong),
        cmocka_unit_test(a_disk_that_is_too_short_is_refused),
        cmocka_unit_test(a_root_hash_that_does_not_fit_is_told_and_nothing_is_left),
        cmocka_unit_test(what_the_kernel_refuses_is_told_and_undone),
        cmocka_unit_test(a_node_that_cannot_be_made_undoes_the_device),
        cmocka_unit_test(a_device_in_use_goes_when_it_is_not_any_more),
        cmocka_unit_test(closing_what_is_not_there_is_no_failure),
        cmocka_unit_test(a_wish_is_read_from_the_driver_s_options),
        cmocka_unit_test(wishes_that_are_not_exactly_right_are_refused),
    };
    return cmocka_run_group_tests_name("guest-init/container/verity", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"

#define MANY 1100u

struct seen {
    unsigned count;
    uint64_t offset; /* of the last */
    uint8_t names[MANY];
    bool dot, dotdot;
    uint64_t node[MANY]; /* of READDIRPLUS */
};

static void see(struct seen *s, const struct fuse_dirent *entry, const char *name, uint64_t node)
{
    char text[256];
    unsigned number;
    assert_in_range(entry->namelen, 1, 255);
    memcpy(text, name, entry->namelen);
    text[entry->namelen] = '\0';
    s->offset = entry->off;
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        assert_int_equal(node, 0);
        *(text[1] == '.' ? &s->dotdot : &s->dot) = true;
        return;
    }
    assert_int_equal(sscanf(text, "f%u", &number), 1);
    assert_true(number < MANY && s->names[number] == 0);
    assert_int_equal(entry->type, 8);
    s->names[number] = 1;
    s->node[number] = node;
    s->count++;
}

/* Take an answer apart, as Linux does. */
static void take_apart(const struct fs_rig *r, struct seen *s, bool plus)
{
    uint32_t at = 0;
    while (at < r->out_bytes) {
        struct fuse_entry_out entry = {.nodeid = 0};
        struct fuse_dirent head;
        uint32_t start = at;
        if (plus) {
            assert_true(at + sizeof(entry) <= r->out_bytes);
            memcpy(&entry, r->out + at, sizeof(entry));
            at += (uint32_t)sizeof(entry);
        }
        assert_true(at + FUSE_NAME_OFFSET <= r->out_bytes);
        memcpy(&head, r->out + at, FUSE_NAME_OFFSET);
        at += (uint32_t)FUSE_NAME_OFFSET;
        assert_true(at + head.namelen <= r->out_bytes);
        see(s, &head, (const char *)r->out + at, entry.nodeid);
        if (entry.nodeid != 0)
            assert_int_equal(entry.attr.ino, head.ino);
        at = start + (uint32_t)FUSE_REC_ALIGN(at + head.namelen - start);
    }
    assert_int_equal(at, r->out_bytes);
}

static int read_some(struct fs_rig *r, uint64_t fh, uint64_t offset, uint32_t size, bool plus)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};
    return fs_call(r, plus ? FUSE_READDIRPLUS : FUSE_READDIR, 0, &in, sizeof(in), size);
}

static void make_many(struct fs_rig *r)
{
    char name[256];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "f%u-%.*s", i, (int)(i % 60),
                       "a tail that makes the names of files different in their lengths");
        fs_host_put(r, name, "");
    }
}

static void read_all(struct fs_rig *r, uint32_t size, bool plus, struct seen *s)
{
    uint64_t fh;
    *s = (struct seen){.count = 0};
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &fh), 0);
    do {
        assert_int_equal(read_some(r, fh, s->offset, size, plus), 0);
        take_apart(r, s, plus);
    } while (r->out_bytes > 0);
    assert_int_equal(s->count, MANY);
    assert_true(s->dot && s->dotdot);
}

static void a_large_folder_is_read_in_buffers_of_any_size(void **state)
{
    struct fs_rig *r = *state;
    static const uint32_t sizes[] = {121, 333, 1000, 4096, 32768, 300000};
    struct seen s;
    make_many(r);
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        read_all(r, sizes[i], false, &s);
}

static void readdirplus_counts_a_lookup_for_each(void **state)
{
    struct fs_rig *r = *state;
    static const uint32_t sizes[] = {250, 4096, 100000};
    struct seen s;
    make_many(r);
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        read_all(r, sizes[i], true, &s);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_not_equal(s.node[i], 0);
        fs_forget(r, s.node[i], 2);
        assert_int_equal(fs_getattr(r, s.node[i], NULL), 0);
        fs_forget(r, s.node[i], 1);
        assert_int_equal(fs_getattr(r, s.node[i], NULL), -ENOENT);
    }
}

static void a_buffer_that_holds_no_entry_is_an_error_and_not_the_end(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh;
    fs_host_put(r, "f1", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &fh), 0);
    for (uint32_t size = 0; size < 32; size++)
        assert_int_equal(read_some(r, fh, 0, size, false), -EINVAL);
    assert_int_equal(read_some(r, fh, 0, 32, false), 0);
    assert_int_equal(r->out_bytes, 32);
    unsigned before = fs_host_descriptors();
    assert_int_equal(read_some(r, fh, 0, 159, true), -EINVAL);
    assert_int_equal(fs_host_descriptors(), before);
}

static void any_position_is_harmless(void **state)
{
    struct fs_rig *r = *state;
    static const uint64_t offsets[] = {1, 2, 77, INT64_MAX, UINT64_MAX, UINT64_C(1) << 63, 0x12345678};
    uint64_t fh;
    fs_host_put(r, "f1", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &fh), 0);
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct seen s = {.count = 0};
        if (read_some(r, fh, offsets[i], 4096, true) == 0)
            take_apart(r, &s, true);
    }
}

static void the_folder_above_the_root_has_no_number(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh;
    struct stat above;
    assert_int_equal(fstat(r->outside, &above), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &fh), 0);
    assert_int_equal(read_some(r, fh, 0, 4096, false), 0);
    for (uint32_t at = 0; at < r->out_bytes; at += 32) {
        struct fuse_dirent head;
        memcpy(&head, r->out + at, FUSE_NAME_OFFSET);
        assert_int_not_equal(head.ino, above.st_ino);
    }
    assert_int_equal(r->out_bytes, 64);
}

static void a_file_cannot_be_listed(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDONLY, 0644, NULL, &fh), 0);
    assert_int_equal(read_some(r, fh, 0, 4096, false), -EBADF);
    assert_int_equal(read_some(r, fh, 0, 4096, true), -EBADF);
}

static void entries_beyond_the_most_nodes_come_without_one(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config config = {.nodes_max = 3};
    struct seen s = {.count = 0};
    unsigned with = 0;
    uint64_t fh;
    make_many(r);
    fs_rig_start(r, &config);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &fh), 0);
    assert_int_equal(read_some(r, fh, 0, 1u << 19, true), 0);
    take_apart(r, &s, true);
    assert_int_equal(s.count, MANY);
    for (unsigned i = 0; i < MANY; i++)
        with += s.node[i] != 0;
    assert_int_equal(with, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_large_folder_is_read_in_buffers_of_any_size),
        CASE(readdirplus_counts_a_lookup_for_each),
        CASE(a_buffer_that_holds_no_entry_is_an_error_and_not_the_end),
        CASE(any_position_is_harmless),
        CASE(the_folder_above_the_root_has_no_number),
        CASE(a_file_cannot_be_listed),
        CASE(entries_beyond_the_most_nodes_come_without_one),
    };
    return cmocka_run_group_tests_name("virtio/fs_ops_dir", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"
#include "vmm/devices/virtio/fs_handle.h"

#define THREADS 4
#define FILES   100u
#define ROUNDS  1500u

struct shared {
    struct fs_host host;
    struct fs_export *tree;
    struct fs_nodes nodes;
    struct fs_handles handles;
    _Atomic unsigned wrong;
};

static void begin(struct fs_rig *r, struct shared *s)
{
    char name[16];
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        fs_host_put(r, name, "");
    }
    assert_int_equal(fs_host_init(&s->host, &(struct fs_host_config){.as_root = false}, NULL), 0);
    assert_int_equal(fs_export_new(&s->host, r->tree, true, &s->tree), 0);
    assert_int_equal(fs_nodes_init(&s->nodes, &s->host, s->tree, 1000, 4), 0);
    assert_int_equal(fs_handles_init(&s->handles, &s->nodes, 64), 0);
    s->wrong = 0;
}

static void end(struct shared *s)
{
    fs_handles_fini(&s->handles);
    fs_nodes_fini(&s->nodes);
    fs_export_drop(s->tree);
    s->tree = NULL;
    fs_host_fini(&s->host);
}

static void expect(struct shared *s, bool good)
{
    s->wrong += !good;
}

/* One file is looked up, found again, opened, closed and forgotten, while the others do the same. */
static void use_one(struct shared *s, unsigned number)
{
    char name[16];
    struct fs_node *root, *node, *again;
    struct fs_object object;
    uint64_t fh = 0, id;
    (void)snprintf(name, sizeof(name), "f%u", number);
    expect(s, fs_node_use(&s->nodes, FUSE_ROOT_ID, &root) == 0);
    expect(s, fs_object_at(&s->host, root->fd, name, &object) == 0);
    expect(s, fs_node_enter(&s->nodes, root, name, &object, &node) == 0);
    fs_node_done(&s->nodes, root);
    id = node->id;
    fs_node_done(&s->nodes, node);
    expect(s, fs_node_use(&s->nodes, id, &again) == 0 && again == node && again->fd >= 0);
    int fd = fs_host_reopen(&s->host, again->fd, O_RDONLY);
    expect(s, fd >= 0 && fs_handle_add(&s->handles, FS_HANDLE_FILE, again, fd, &fh) == 0);
    fs_node_done(&s->nodes, again);
    struct fs_handle *handle = fs_handle_use(&s->handles, FS_HANDLE_FILE, fh);
    expect(s, handle != NULL && fs_handle_release(&s->handles, FS_HANDLE_FILE, fh));
    if (handle != NULL) {
        expect(s, fcntl(handle->fd, F_GETFD) >= 0);
        fs_handle_done(&s->handles, handle);
    }
    fs_node_forget(&s->nodes, id, 1);
}

static void *use_many(void *ctx)
{
    struct shared *s = ctx;
    for (unsigned i = 0; i < ROUNDS; i++)
        use_one(s, i * 7 % FILES);
    return NULL;
}

static void run_threads(struct shared *s)
{
    pthread_t thread[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_many, s), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

static void queues_on_many_threads_share_nodes_and_handles(void **state)
{
    struct fs_rig *r = *state;
    struct shared s;
    unsigned before = fs_host_descriptors();
    begin(r, &s);
    unsigned begun = fs_host_descriptors();
    run_threads(&s);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(fs_host_descriptors(), begun);
    end(&s);
    assert_int_equal(fs_host_descriptors(), before);
}

/* Nodes that stay, and lose their descriptors again and again. */
static void threads_find_the_same_nodes_again(void **state)
{
    struct fs_rig *r = *state;
    struct shared s;
    struct fs_node *node;
    struct fs_object object;
    char name[16];
    fs_rig_forbid_keys(r);
    begin(r, &s);
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        assert_int_equal(fs_object_at(&s.host, s.tree->base.fd, name, &object), 0);
        assert_int_equal(fs_node_enter(&s.nodes, s.nodes.root, name, &object, &node), 0);
        fs_node_done(&s.nodes, node);
    }
    run_threads(&s);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(s.nodes.open, 4);
    end(&s);
}

static void a_process_without_descriptors_gets_some_back(void **state)
{
    struct fs_rig *r = *state;
    struct shared s;
    struct fs_node *node;
    struct fs_object object;
    begin(r, &s);
    assert_false(fs_nodes_relieve(&s.nodes));
    assert_int_equal(fs_object_at(&s.host, s.tree->base.fd, "f1", &object), 0);
    assert_int_equal(fs_node_enter(&s.nodes, s.nodes.root, "f1", &object, &node), 0);
    assert_false(fs_nodes_relieve(&s.nodes)); /* in use */
    fs_node_done(&s.nodes, node);
    unsigned before = fs_host_descriptors();
    assert_true(fs_nodes_relieve(&s.nodes));
    assert_int_equal(fs_host_descriptors(), before - 1);
    end(&s);
}

static void ended_ones_can_be_ended_again(void **state)
{
    struct fs_rig *r = *state;
    struct shared s;
    begin(r, &s);
    end(&s);
    end(&s);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(queues_on_many_threads_share_nodes_and_handles),
        CASE(threads_find_the_same_nodes_again),
        CASE(a_process_without_descriptors_gets_some_back),
        CASE(ended_ones_can_be_ended_again),
    };
    return cmocka_run_group_tests_name("virtio/fs_inode", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs_inode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS   (1u << 16)
#define DEPTH_MAX 1024u /* folders between an object and the next one that has a descriptor */
#define CLOSE_MAX 32u   /* descriptors taken away at a time */

/* ---- Lists, under the lock. By age: nodes that have a descriptor and are not pinned ---- */

/* One object may lie in several exports, and is found with other rights in each: it has a node for each of them. */
static struct fs_node **bucket_of(struct fs_nodes *n, const struct fs_ident *ident)
{
    uint64_t hash = (ident->ino ^ ident->device << 17 ^ ident->mount << 40) * UINT64_C(0x9e3779b97f4a7c15);
    return &n->buckets[hash >> 48 & (BUCKETS - 1)];
}

static void hash_add(struct fs_nodes *n, struct fs_node *node)
{
    struct fs_node **bucket = bucket_of(n, &node->ident);
    node->hash_next = *bucket;
    *bucket = node;
    node->hashed = true;
}

static void hash_remove(struct fs_nodes *n, struct fs_node *node)
{
    struct fs_node **at = bucket_of(n, &node->ident);
    if (!node->hashed)
        return;
    while (*at != node)
        at = &(*at)->hash_next;
    *at = node->hash_next;
    node->hashed = false;
}

static void age_remove(struct fs_nodes *n, struct fs_node *node)
{
    *(node->newer != NULL ? &node->newer->older : &n->newest) = node->older;
    *(node->older != NULL ? &node->older->newer : &n->oldest) = node->newer;
    node->newer = node->older = NULL;
    n->open--;
}

static void age_add(struct fs_nodes *n, struct fs_node *node)
{
    node->newer = NULL;
    node->older = n->newest;
    *(n->newest != NULL ? &n->newest->newer : &n->oldest) = node;
    n->newest = node;
    n->open++;
}

/* ---- What is to be closed and freed when the lock is not held any more ---- */

struct rest {
    int fd[CLOSE_MAX];
    unsigned count;
    struct fs_node *dead; /* by hash_next */
};

static void clear_away(struct rest *rest)
{
    for (unsigned i = 0; i < rest->count; i++)
        close(rest->fd[i]);
    while (rest->dead != NULL) {
        struct fs_node *node = rest->dead;
        rest->dead = node->hash_next;
        if (node->fd >= 0)
            close(node->fd);
        fs_export_drop(node->export);
        free(node->name);
        free(node);
    }
}

/* ---- Under the lock ---- */

/* Take descriptors from the oldest nodes until no more than `keep` are left, or `rest` is full. */
static void evict(struct fs_nodes *n, unsigned keep, struct rest *rest)
{
    while (n->open > keep && rest->count < CLOSE_MAX) {
        struct fs_node *node = n->oldest;
        age_remove(n, node);
        rest->fd[rest->count++] = node->fd;
        node->fd = -1;
    }
}

/* End a node, and the folders that were only there for it, if nothing needs them any more. */
static void drop(struct fs_nodes *n, struct fs_node *node, struct rest *rest)
{
    while (node != NULL && node->lookups == 0 && node->pins == 0 && node->kids == 0) {
        struct fs_node *parent = node->parent;
        if (node->fd >= 0)
            age_remove(n, node);
        hash_remove(n, node);
        fs_table_remove(&n->table, node->id);
        node->hash_next = rest->dead;
        rest->dead = node;
        if (parent != NULL)
            parent->kids--;
        node = parent;
    }
}

static void pin(struct fs_nodes *n, struct fs_node *node)
{
    if (node->pins++ == 0 && node->fd >= 0 && node != n->root)
        age_remove(n, node);
}

static void unpin(struct fs_nodes *n, struct fs_node *node, struct rest *rest)
{
    if (--node->pins > 0 || node == n->root)
        return;
    if (node->fd >= 0)
        age_add(n, node);
    drop(n, node, rest);
    evict(n, n->budget, rest);
}

/* A pinned node has its descriptor again, unless somebody else was faster. */
static void give_fd(struct fs_node *node, int fd, struct rest *rest)
{
    if (node->fd < 0)
        node->fd = fd;
    else
        rest->fd[rest->count++] = fd;
}

/*
 * A folder that the host moved may be remembered above one in which it is now. Then it is not known any more where that
 * one is; a circle would never end.
 */
static void cut_circle(struct fs_node *node, struct fs_node *parent)
{
    for (struct fs_node *at = parent; at != NULL; at = at->parent) {
        if (at->parent != node)
            continue;
        at->parent = NULL;
        node->kids--;
        return;
    }
}

/* Remember where a pinned node was seen. Takes *name over, or leaves it. */
static void set_place(struct fs_nodes *n, struct fs_node *node, struct fs_node *parent, char **name, struct rest *rest)
{
    struct fs_node *before = node->parent;
    if (*name == NULL || node == parent || node->top)
        return;
    if (before == parent && strcmp(node->name, *name) == 0)
        return;
    cut_circle(node, parent);
    parent->kids++;
    node->parent = parent;
    char *old = node->name;
    node->name = *name;
    *name = old;
    if (before == NULL)
        return;
    before->kids--;
    drop(n, before, rest);
}

static struct fs_node *find(struct fs_nodes *n, const struct fs_export *e, const struct fs_ident *ident)
{
    for (struct fs_node *node = *bucket_of(n, ident); node != NULL; node = node->hash_next) {
        if (node->export != e)
            continue;
        if (node->ident.ino != ident->ino || node->ident.device != ident->device || node->ident.mount != ident->mount)
            continue;
        /* An open descriptor keeps the inode number from being used again. */
        if (node->fd >= 0 || fs_ident_same(&node->ident, ident))
            return node;
        hash_remove(n, node);
        return NULL;
    }
    return NULL;
}

/* ---- Finding an object again ---- */

/* One object to be found: a name in a folder, or an export (folder NULL); the nodes are pinned. */
struct step {
    struct fs_node *folder, *node;
    char name[FS_NAME_MAX + 1];
};

/* The highest folder above a node (or the node) that has no descriptor, so that the one above it has. */
static int plan_step(struct fs_nodes *n, struct fs_node *node, struct step *step)
{
    unsigned depth = 0;
    while (node->parent != NULL && node->parent->fd < 0)
        if (node = node->parent, ++depth > DEPTH_MAX)
            return -ESTALE;
    if (node->parent == NULL && !node->top)
        return -ESTALE;
    *step = (struct step){.folder = node->parent, .node = node};
    pin(n, step->node);
    if (step->folder == NULL)
        return 0;
    (void)strcpy(step->name, node->name);
    pin(n, step->folder);
    return 0;
}

static int take_step(struct fs_nodes *n, struct step *step)
{
    struct fs_object object;
    struct rest rest = {.count = 0};
    int code = step->folder == NULL ? fs_object_of(n->host, step->node->export->base.fd, &object)
                                    : fs_object_at(n->host, step->folder->fd, step->name, &object);
    pthread_mutex_lock(&n->lock);
    if (code == 0 && fs_ident_same(&object.ident, &step->node->ident)) {
        give_fd(step->node, object.fd, &rest);
    } else if (code == 0 || code == -ENOENT || code == -ENOTDIR) {
        if (code == 0)
            rest.fd[rest.count++] = object.fd;
        code = -ESTALE;
    }
    if (step->folder != NULL)
        unpin(n, step->folder, &rest);
    unpin(n, step->node, &rest);
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
    return code;
}

static int find_by_name(struct fs_nodes *n, struct fs_node *node)
{
    /* Each step opens one folder; others may lose theirs meanwhile, but not for ever. */
    for (unsigned steps = 0; steps < 2 * DEPTH_MAX; steps++) {
        struct step step;
        pthread_mutex_lock(&n->lock);
        int code = node->fd >= 0 ? 1 : plan_step(n, node, &step);
        pthread_mutex_unlock(&n->lock);
        if (code == 0)
            code = take_step(n, &step);
        if (code != 0)
            return code < 0 ? code : 0;
    }
    return -ESTALE;
}

/* The node is pinned. */
static int find_again(struct fs_nodes *n, struct fs_node *node)
{
    struct fs_object object;
    struct rest rest = {.count = 0};
    int code = fs_object_by_key(&node->export->base, &node->ident, &object);
    if (code == -ESTALE)
        return find_by_name(n, node);
    if (code < 0)
        return code;
    pthread_mutex_lock(&n->lock);
    give_fd(node, object.fd, &rest);
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
    return 0;
}

/* ---- For requests ---- */

static struct fs_node *find_number(struct fs_nodes *n, uint64_t id)
{
    struct fs_node *node = fs_table_find(&n->table, id);
    return node != NULL && node->lookups > 0 ? node : NULL;
}

int fs_node_use(struct fs_nodes *n, uint64_t id, struct fs_node **out)
{
    pthread_mutex_lock(&n->lock);
    struct fs_node *node = find_number(n, id);
    bool open = false;
    if (node != NULL) {
        pin(n, node);
        open = node->fd >= 0 || node == n->root;
    }
    pthread_mutex_unlock(&n->lock);
    if (node == NULL)
        return -ENOENT;
    int code = open ? 0 : find_again(n, node);
    if (code < 0)
        fs_node_done(n, node);
    else
        *out = node;
    return code;
}

void fs_node_done(struct fs_nodes *n, struct fs_node *node)
{
    struct rest rest = {.count = 0};
    pthread_mutex_lock(&n->lock);
    unpin(n, node, &rest);
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
}

void fs_node_pin(struct fs_nodes *n, struct fs_node *node)
{
    pthread_mutex_lock(&n->lock);
    pin(n, node);
    pthread_mutex_unlock(&n->lock);
}

/* Add a node for an object that has none. */
static bool add(struct fs_nodes *n, struct fs_node *node, struct fs_export *e, const struct fs_object *object)
{
    node->id = fs_table_add(&n->table, node);
    if (node->id == 0)
        return false;
    node->export = fs_export_hold(e);
    node->ident = object->ident;
    node->fd = object->fd;
    node->pins = 1;
    hash_add(n, node);
    return true;
}

/* Under the lock. Uses *fresh, or leaves it. */
static struct fs_node *enter(struct fs_nodes *n, struct fs_export *e, const struct fs_object *object,
                             struct fs_node **fresh, struct rest *rest)
{
    struct fs_node *node = find(n, e, &object->ident);
    if (node != NULL) {
        pin(n, node);
        give_fd(node, object->fd, rest);
    } else if (add(n, *fresh, e, object)) {
        node = *fresh;
        *fresh = NULL;
    } else {
        rest->fd[rest->count++] = object->fd;
    }
    return node;
}

int fs_node_enter(struct fs_nodes *n, struct fs_node *parent, const char *name, struct fs_object *object,
                  struct fs_node **out)
{
    struct rest rest = {.count = 0};
    struct fs_node *fresh = calloc(1, sizeof(*fresh));
    char *copy = name == NULL ? NULL : strdup(name);
    if (fresh == NULL || (name != NULL && copy == NULL)) {
        close(object->fd);
        free(fresh);
        free(copy);
        return -ENOMEM;
    }
    pthread_mutex_lock(&n->lock);
    struct fs_node *node = enter(n, parent->export, object, &fresh, &rest);
    if (node != NULL) {
        node->lookups++;
        set_place(n, node, parent, &copy, &rest);
    }
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
    free(fresh);
    free(copy);
    *out = node;
    return node == NULL ? -ENOMEM : 0;
}

int fs_node_enter_export(struct fs_nodes *n, struct fs_export *e, struct fs_object *object, struct fs_node **out)
{
    struct rest rest = {.count = 0};
    struct fs_node *fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        close(object->fd);
        return -ENOMEM;
    }
    fresh->top = true;
    pthread_mutex_lock(&n->lock);
    struct fs_node *node = enter(n, e, object, &fresh, &rest);
    if (node != NULL)
        node->lookups++;
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
    free(fresh);
    *out = node;
    return node == NULL ? -ENOMEM : 0;
}

bool fs_node_is_read_only(struct fs_nodes *n, uint64_t id)
{
    pthread_mutex_lock(&n->lock);
    const struct fs_node *node = find_number(n, id);
    bool read_only = node != NULL && (node->export == NULL || node->export->read_only);
    pthread_mutex_unlock(&n->lock);
    return read_only;
}

/* Under the lock. */
static void forget(struct fs_nodes *n, struct fs_node *node, uint64_t count, struct rest *rest)
{
    if (node == NULL || node == n->root)
        return;
    node->lookups -= count < node->lookups ? count : node->lookups;
    drop(n, node, rest);
}

void fs_node_forget(struct fs_nodes *n, uint64_t id, uint64_t count)
{
    struct rest rest = {.count = 0};
    pthread_mutex_lock(&n->lock);
    forget(n, find_number(n, id), count, &rest);
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
}

void fs_nodes_forget_all(struct fs_nodes *n)
{
    struct rest rest = {.count = 0};
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->table.fresh; i++)
        forget(n, n->table.slots[i].item, UINT64_MAX, &rest);
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
}

void fs_node_moved(struct fs_nodes *n, const struct fs_ident *ident, struct fs_node *parent, const char *name)
{
    struct rest rest = {.count = 0};
    char *copy = strdup(name);
    pthread_mutex_lock(&n->lock);
    struct fs_node *node = find(n, parent->export, ident);
    if (node != NULL) {
        pin(n, node);
        set_place(n, node, parent, &copy, &rest);
        unpin(n, node, &rest);
    }
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
    free(copy);
}

bool fs_nodes_relieve(struct fs_nodes *n)
{
    struct rest rest = {.count = 0};
    pthread_mutex_lock(&n->lock);
    evict(n, 0, &rest);
    pthread_mutex_unlock(&n->lock);
    clear_away(&rest);
    return rest.count > 0;
}

/* ---- Life ---- */

static int add_root(struct fs_nodes *n, struct fs_export *e)
{
    n->root = calloc(1, sizeof(*n->root));
    if (n->root == NULL)
        return -ENOMEM;
    n->root->id = fs_table_add(&n->table, n->root);
    n->root->export = fs_export_hold(e);
    n->root->fd = e == NULL ? -1 : e->base.fd;
    n->root->lookups = 1;
    n->root->ident.type = S_IFDIR;
    assert(n->root->id == FUSE_ROOT_ID);
    return 0;
}

int fs_nodes_init(struct fs_nodes *n, const struct fs_host *host, struct fs_export *root, unsigned max, unsigned budget)
{
    *n = (struct fs_nodes){.host = host, .budget = budget};
    (void)pthread_mutex_init(&n->lock, NULL);
    n->buckets = calloc(BUCKETS, sizeof(struct fs_node *));
    int code = n->buckets == NULL ? -ENOMEM : fs_table_init(&n->table, max);
    if (code == 0)
        code = add_root(n, root);
    if (code < 0)
        fs_nodes_fini(n);
    return code;
}

void fs_nodes_fini(struct fs_nodes *n)
{
    if (n->host == NULL)
        return;
    if (n->root != NULL) {
        fs_nodes_forget_all(n);
        fs_export_drop(n->root->export);
    }
    free(n->root);
    fs_table_fini(&n->table);
    free(n->buckets);
    pthread_mutex_destroy(&n->lock);
    *n = (struct fs_nodes){.host = NULL};
}

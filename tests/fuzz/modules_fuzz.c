/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the tables of a folder of kernel modules. The input is split at NUL bytes into modules.dep,
 * modules.builtin, modules.softdep and modules.alias; every other file can be read. Checked: on success the paths stay
 * inside, names are unique, the list names the files; on failure nothing is left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/modules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

#define TABLES 4

struct folder {
    const uint8_t *table[TABLES];
    size_t length[TABLES];
};

static int read_fuzzed(void *context, const char *path, size_t max, uint8_t **bytes, size_t *length)
{
    static const char *const names[TABLES] = {"modules.dep", "modules.builtin", "modules.softdep", "modules.alias"};
    const struct folder *f = context;
    const uint8_t *from = (const uint8_t *)"";
    size_t size = 1;
    for (int i = 0; i < TABLES; i++) {
        if (strcmp(path, names[i]) == 0) {
            from = f->table[i];
            size = f->length[i];
        }
    }
    require(size <= max && path[0] != '/' && strncmp(path, "../", 3) != 0 && strstr(path, "/../") == NULL);
    *bytes = malloc(size > 0 ? size : 1);
    require(*bytes != NULL);
    if (size > 0)
        memcpy(*bytes, from, size);
    *length = size;
    return 0;
}

static void check(const struct boot_modules *m)
{
    const char *at = m->list;
    for (size_t i = 0; i < m->count; i++) {
        const char *name = m->files[i].name;
        require(strchr(name, '/') == NULL && strchr(name, '\n') == NULL && strstr(name, ".ko") != NULL);
        require(strncmp(at, name, strlen(name)) == 0);
        at += strlen(name) + 1;
        for (size_t j = 0; j < i; j++)
            require(strcmp(m->files[j].name, name) != 0);
    }
    require(at == m->list + m->list_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct boot_module_wish wishes[] = {{"a", true}, {"b", true}, {"erofs", false}};
    struct folder f = {.length = {0}};
    struct boot_modules m = {.count = 0};
    struct err err;
    for (int i = 0; i < TABLES; i++) {
        const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
        f.table[i] = data;
        f.length[i] = end != NULL ? (size_t)(end - data) : size;
        size -= f.length[i] + (end != NULL);
        data += f.length[i] + (end != NULL);
    }
    if (boot_modules_collect(read_fuzzed, &f, wishes, 3, BOOT_MODULE_XZ, &m, &err) == 0)
        check(&m);
    else
        require(m.count == 0 && m.list == NULL && err.code < 0);
    boot_modules_fini(&m);
    return 0;
}

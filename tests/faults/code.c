/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/inject.h"

#define LINE_BYTES 512

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "fault-inject: %s: %s\n", what, strerror(errno));
    exit(125);
}

static enum code_class class_named(const char *name)
{
    if (strcmp(name, "own") == 0)
        return CODE_OWN;
    if (strcmp(name, "test") == 0)
        return CODE_TEST;
    return strcmp(name, "allocator") == 0 ? CODE_ALLOCATOR : CODE_OTHER;
}

static void add_function(struct code *code, const char *line)
{
    struct code_function f = {.class = CODE_OTHER};
    char class[16];
    errno = EINVAL;
    if (sscanf(line, "%lx %lx %15s %63s", &f.begin, &f.end, class, f.name) != 4)
        die(line);
    f.class = class_named(class);
    if ((code->count & (code->count + 1)) == 0)
        code->functions = realloc(code->functions, 2 * (code->count + 1) * sizeof(f));
    if (code->functions == NULL)
        die("functions");
    code->functions[code->count++] = f;
}

static void map_program(struct code *code, const char *program)
{
    struct stat st;
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(program);
    code->file_bytes = (size_t)st.st_size;
    code->file = mmap(NULL, code->file_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    errno = errno != 0 ? errno : ENOEXEC;
    if (code->file == MAP_FAILED || code->file_bytes < sizeof(Elf64_Ehdr) || memcmp(code->file, ELFMAG, SELFMAG) != 0)
        die(program);
    code->entry = ((const Elf64_Ehdr *)(const void *)code->file)->e_entry;
    close(fd);
}

void code_open(struct code *code, const char *list, const char *program)
{
    char line[LINE_BYTES];
    FILE *file = fopen(list, "re");
    if (file == NULL)
        die(list);
    while (fgets(line, sizeof(line), file) != NULL)
        add_function(code, line);
    fclose(file);
    map_program(code, program);
}

const struct code_function *code_find(const struct code *code, uint64_t at)
{
    size_t low = 0, high = code->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code->functions[middle].end <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < code->count && code->functions[low].begin <= at ? &code->functions[low] : NULL;
}

/* n bytes of the program as linked, or NULL. */
static const uint8_t *bytes_at(const struct code *code, uint64_t at, size_t n)
{
    const Elf64_Ehdr *head = (const void *)code->file;
    const Elf64_Phdr *parts = (const void *)(code->file + head->e_phoff);
    for (unsigned i = 0; i < head->e_phnum; i++)
        if (parts[i].p_type == PT_LOAD && at >= parts[i].p_vaddr && at + n <= parts[i].p_vaddr + parts[i].p_filesz)
            return code->file + parts[i].p_offset + (at - parts[i].p_vaddr);
    return NULL;
}

/* Is there a call before a return address? *target: where it leads; 0: the instruction does not say. */
static bool follows_call(const struct code *code, uint64_t at, uint64_t *target)
{
    static const unsigned lengths[] = {2, 3, 4, 6, 7};
    const uint8_t *b = bytes_at(code, at - 7, 7);
    int32_t distance;
    *target = 0;
    if (b == NULL)
        return false;
    if (b[2] == 0xe8) {
        memcpy(&distance, b + 3, sizeof(distance));
        *target = at + (uint64_t)(int64_t)distance;
        return true;
    }
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const uint8_t *op = b + 7 - lengths[i];
        if (op[0] == 0xff && (op[1] & 0x38) == 0x10)
            return true;
    }
    return false;
}

/* The compiler has moved the rest of a function away: what calls it calls another address. */
static bool is_split_off(const struct code_function *f)
{
    return strstr(f->name, ".cold") != NULL;
}

static bool is_somebodys(const struct code_function *f)
{
    return f != NULL && (f->class == CODE_OWN || f->class == CODE_TEST);
}

enum code_class code_nearest(const struct code *code, uint64_t base, uint64_t ip, const uint64_t *words, size_t count)
{
    const struct code_function *f = code_find(code, ip - base);
    uint64_t target;
    if (is_somebodys(f))
        return f->class;
    for (size_t i = 0; i < count; i++) {
        f = code_find(code, words[i] - base);
        if (is_somebodys(f) && follows_call(code, words[i] - base, &target))
            return f->class;
    }
    return CODE_OTHER;
}

unsigned code_walk(const struct code *code, uint64_t base, const uint64_t *words, size_t count, uint64_t *places,
                   unsigned depth)
{
    unsigned n = 0;
    const struct code_function *last = NULL;
    for (size_t i = 0; i < count && n < depth; i++) {
        uint64_t target, at = words[i] - base;
        const struct code_function *f = code_find(code, at);
        if (!is_somebodys(f) || f->begin == at || !follows_call(code, at, &target))
            continue;
        if (f->class == CODE_TEST)
            return n;
        if (last != NULL && target != 0 && target != last->begin && !is_split_off(last))
            continue;
        places[n++] = at;
        last = f;
    }
    return n;
}

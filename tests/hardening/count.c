/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Linked into a caisson of its own (build/<config>/caisson-counted, with --wrap): notes each allocation, whoever makes
 * it, as a line "THREAD OFFSET" at the end of the file that the variable COUNT_FILE names. The main thread is called
 * main; OFFSET is where the call returns to, from the beginning of the program. tests/hardening/allocation_test reads
 * it. It opens files and asks for names, so the program has to run without filters.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NAME_BYTES 16

extern const char __executable_start[] __attribute__((visibility("hidden")));

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

/* One write for each, so that lines of different threads do not mix. */
static void note(const void *caller)
{
    char name[NAME_BYTES] = "main", line[64];
    const char *path = getenv("COUNT_FILE");
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return;
    if (gettid() != getpid())
        (void)prctl(PR_GET_NAME, name);
    int n = snprintf(line, sizeof(line), "%s %zx\n", name, (uintptr_t)caller - (uintptr_t)__executable_start);
    (void)!write(fd, line, (size_t)n);
    close(fd);
}

void *__wrap_malloc(size_t n)
{
    note(__builtin_return_address(0));
    return __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    note(__builtin_return_address(0));
    return __real_calloc(count, n);
}

void *__wrap_realloc(void *old, size_t n)
{
    note(__builtin_return_address(0));
    return __real_realloc(old, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    note(__builtin_return_address(0));
    return __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *text)
{
    note(__builtin_return_address(0));
    return __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    note(__builtin_return_address(0));
    return __real_strndup(text, n);
}

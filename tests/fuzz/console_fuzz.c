/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what a guest prints, on its way to a pod's log, to a terminal and into messages.
 *
 * Input: a byte with the size of the pieces in which the rest is printed (0: all at once). Checked: everything that
 * comes out for people is safe for a terminal and does not depend on the pieces; what is kept are the last bytes as
 * they came; progress is told in single lines.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/utf8.h"
#include "vmm/pod/console_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Lines of UTF-8 without anything that a terminal obeys. lines: line feeds and tabs are allowed. */
static void check_safe(const char *text, bool lines)
{
    while (*text != '\0') {
        size_t n = utf8_length(text);
        unsigned char c = (unsigned char)*text;
        require(n >= 1);
        require((c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')));
        require(c != 0xc2 || (unsigned char)text[1] >= 0xa0); /* the 8-bit control characters */
        text += n;
    }
}

static void print(struct pod_console *c, const uint8_t *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece)
        pod_console_output(c, data + at, size - at < piece ? size - at : piece);
}

static void check_kept(struct pod_console *c, const uint8_t *data, size_t size)
{
    uint8_t *kept = malloc(CONSOLE_KEPT_BYTES);
    require(kept != NULL);
    size_t n = console_copy(&c->console, kept, CONSOLE_KEPT_BYTES);
    require(n == (size < CONSOLE_KEPT_BYTES ? size : CONSOLE_KEPT_BYTES));
    require(n == 0 || memcmp(kept, data + size - n, n) == 0);
    free(kept);
}

static void check_report(struct pod_console *c)
{
    struct console_report report;
    struct pod_console_progress progress;
    console_report(&c->console, &report);
    pod_console_look(c, &progress);
    check_safe(report.first, false);
    check_safe(report.panic, false);
    check_safe(progress.step, false);
    require((report.worst == CONSOLE_TROUBLE_NONE) == (report.first[0] == '\0'));
    require(progress.panicked == (report.worst == CONSOLE_TROUBLE_PANIC));
}

/* The log's text as a string of the heap. */
static char *text_of(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)size + 1);
    require(size >= 0 && text != NULL && pread(fd, text, (size_t)size, 0) == size);
    text[size] = '\0';
    require(strlen(text) == (size_t)size);
    return text;
}

/* Everything that a console does with the input; what it wrote to its log. */
static char *run(const uint8_t *data, size_t size, size_t piece)
{
    char tail[1000];
    struct pod_console *c = calloc(1, sizeof(*c));
    struct pod_log_file log = {.name = "log", .fd = memfd_create("log", MFD_CLOEXEC), .previous = -1, .max = 1 << 20};
    require(c != NULL && log.fd >= 0 && pthread_mutex_init(&log.lock, NULL) == 0);
    require(pod_console_init(c, &log, NULL) == 0);
    print(c, data, size, piece);
    check_kept(c, data, size);
    check_report(c);
    require(pod_console_tail(c, 5, tail, sizeof(tail)) == strlen(tail));
    check_safe(tail, true);
    pod_console_fini(c);
    char *text = text_of(log.fd);
    check_safe(text, true);
    close(log.fd);
    (void)pthread_mutex_destroy(&log.lock);
    free(c);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 200000)
        return 0;
    size_t piece = data[0] != 0 ? data[0] : size;
    char *whole = run(data + 1, size - 1, size), *cut = run(data + 1, size - 1, piece);
    require(strcmp(whole, cut) == 0);
    free(whole);
    free(cut);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/console_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORD_INIT  "guest-init: "
#define WORD_STEP  "guest-init: step: "
#define WORD_AGENT "agent listens on port "

int pod_console_init(struct pod_console *c, struct pod_log_file *file, struct err *err)
{
    static const struct err_context context = {.attempted = "make an eventfd",
                                               .what_to_do = "raise the limit of open files (ulimit -n)"};
    static const struct console_config config = {.sink_fd = -1};
    memset(c, 0, sizeof(*c));
    c->file = file;
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake_fd < 0)
        return err_fail(err, -errno, &context);
    int code = console_init(&c->console, &config, err);
    if (code < 0) {
        close(c->wake_fd);
        return code;
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    return 0;
}

void pod_console_fini(struct pod_console *c)
{
    console_fini(&c->console);
    close(c->wake_fd);
    pthread_mutex_destroy(&c->lock);
}

/* ---- Lines, under the lock ---- */

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* True: somebody should look. */
static bool end_line(struct pod_console *c)
{
    c->line[c->length] = '\0';
    c->length = 0;
    if (!begins_with(c->line, WORD_INIT))
        return false;
    c->init = true;
    if (!begins_with(c->line, WORD_STEP))
        return true;
    const char *step = c->line + strlen(WORD_STEP); /* perhaps with half a character at its end */
    console_text_make_line((const uint8_t *)step, strlen(step), c->step, sizeof(c->step));
    c->agent = c->agent || begins_with(c->step, WORD_AGENT);
    return true;
}

static bool take_char(struct pod_console *c, char byte)
{
    if (byte == '\n')
        return end_line(c);
    if (c->length < sizeof(c->line) - 1)
        c->line[c->length++] = byte;
    return false;
}

/* Safe text of some of the bytes goes to the log. */
static bool take_bytes(struct pod_console *c, const uint8_t *bytes, size_t n)
{
    char safe[512];
    size_t made = 0;
    bool look = false;
    for (size_t i = 0; i < n; i++) {
        size_t more = console_text_step(&c->text, bytes[i], safe + made);
        for (size_t k = 0; k < more; k++)
            look |= take_char(c, safe[made + k]);
        made += more;
        if (made > sizeof(safe) - CONSOLE_TEXT_STEP_BYTES || i == n - 1) {
            look |= pod_log_file_append(c->file, safe, made);
            made = 0;
        }
    }
    return look;
}

static bool has_panicked(struct pod_console *c)
{
    struct console_report report;
    console_report(&c->console, &report);
    return report.worst == CONSOLE_TROUBLE_PANIC;
}

void pod_console_output(void *console, const uint8_t *bytes, size_t n)
{
    struct pod_console *c = console;
    const uint64_t one = 1;
    console_output(&c->console, bytes, n);
    pthread_mutex_lock(&c->lock);
    bool look = take_bytes(c, bytes, n);
    pthread_mutex_unlock(&c->lock);
    if (look || (memchr(bytes, '\n', n) != NULL && has_panicked(c)))
        (void)!write(c->wake_fd, &one, sizeof(one));
}

void pod_console_look(struct pod_console *c, struct pod_console_progress *out)
{
    pthread_mutex_lock(&c->lock);
    *out = (struct pod_console_progress){.init = c->init, .agent = c->agent};
    (void)snprintf(out->step, sizeof(out->step), "%s", c->step);
    pthread_mutex_unlock(&c->lock);
    out->panicked = has_panicked(c);
}

/* ---- The last lines ---- */

/* Where the last `lines` of a text begin, that have `room` bytes at most. */
static const char *last_lines(const char *text, size_t length, unsigned lines, size_t room)
{
    const char *end = text + length, *at = end, *begin = end;
    while (at > text && lines > 0) {
        at--;
        while (at > text && at[-1] != '\n')
            at--;
        if ((size_t)(end - at) > room)
            break;
        begin = at;
        lines--;
    }
    return begin;
}

size_t pod_console_tail(struct pod_console *c, unsigned lines, char *out, size_t size)
{
    char *text = malloc(CONSOLE_KEPT_BYTES + 1);
    out[0] = '\0';
    if (text == NULL)
        return 0;
    size_t length = console_copy_text(&c->console, text, CONSOLE_KEPT_BYTES + 1);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = '\0';
    const char *from = last_lines(text, length, lines, size - 1);
    length = (size_t)(text + length - from);
    memcpy(out, from, length + 1);
    free(text);
    return length;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/cmdline.h"

#include <errno.h>
#include <string.h>

enum condition {
    ALWAYS,
    WITH_SERIAL_CONSOLE,
    WITH_VIRTIO_CONSOLE,
    WITH_VIRTIO_CONSOLE_AND_COM1,
    WITH_ONE_COM,
    WITH_TWO_COMS,
    WITHOUT_COM,
    WITHOUT_PCI,
    WITH_HIGH_RAM,
};

/* Reasons: docs/boot.md, "Default command line". A change here changes every measurement. */
static const struct {
    enum condition condition;
    const char *word;
} words[] = {
    {WITH_SERIAL_CONSOLE, "console=ttyS0"},
    {WITH_VIRTIO_CONSOLE_AND_COM1, "earlyprintk=ttyS0"},
    {WITH_VIRTIO_CONSOLE, "console=hvc0"},
    {WITH_ONE_COM, "8250.nr_uarts=1"},
    {WITH_TWO_COMS, "8250.nr_uarts=2"},
    {WITHOUT_COM, "8250.nr_uarts=0"},
    {ALWAYS, "quiet"},
    {ALWAYS, "panic=-1"},
    {ALWAYS, "noreplace-smp"},
    {ALWAYS, "cryptomgr.notests"},
    {ALWAYS, "random.trust_cpu=on"},
    {WITHOUT_PCI, "pci=off"},
    {WITH_HIGH_RAM, "swiotlb=noforce"},
};

static bool holds(const struct boot_cmdline_config *c, enum condition condition)
{
    switch (condition) {
    case ALWAYS: return true;
    case WITH_SERIAL_CONSOLE: return c->com1 && !c->hvc;
    case WITH_VIRTIO_CONSOLE: return c->hvc;
    case WITH_VIRTIO_CONSOLE_AND_COM1: return c->hvc && c->com1;
    case WITH_ONE_COM: return c->com1 && !c->com2;
    case WITH_TWO_COMS: return c->com2; /* ttyS1 needs a place for ttyS0 */
    case WITHOUT_COM: return !c->com1 && !c->com2;
    case WITHOUT_PCI: return !c->pci;
    case WITH_HIGH_RAM: return c->high_ram;
    }
    return false;
}

/* Append a word to out, which has room for max characters and a NUL. False: it does not fit. */
static bool append(char *out, size_t *length, size_t max, const char *word, size_t word_length)
{
    size_t space = *length > 0 ? 1 : 0;
    if (word_length > max - *length || space > max - *length - word_length)
        return false;
    if (space > 0)
        out[(*length)++] = ' ';
    memcpy(out + *length, word, word_length);
    *length += word_length;
    return true;
}

static bool append_init(char *out, size_t *length, size_t max, const char *path)
{
    static const char name[] = "rdinit=";
    size_t n = strlen(path);
    if (!append(out, length, max, name, sizeof(name) - 1) || n > max - *length)
        return false;
    memcpy(out + *length, path, n);
    *length += n;
    return true;
}

static bool is_clean(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f)
            return false;
    }
    return true;
}

static int too_long(size_t max, struct err *err)
{
    return err_fail_because(err, -E2BIG,
                            &(struct err_context){"build kernel command line", NULL, "use fewer or shorter arguments"},
                            "with the defaults it is longer than the %zu characters that the kernel takes", max);
}

int boot_cmdline_place(const struct boot_cmdline_config *config, uint32_t max, struct boot_parts *parts,
                       struct err *err)
{
    size_t limit = max < BOOT_CMDLINE_BYTES - 1 ? max : BOOT_CMDLINE_BYTES - 1;
    size_t user_length = config->user != NULL ? strnlen(config->user, limit + 1) : 0;
    size_t length = 0;
    if (!is_clean(config->user, user_length))
        return err_fail_because(
            err, -EINVAL, &(struct err_context){"build kernel command line", NULL, "separate arguments by blanks"},
            "the arguments hold a control byte (newline, tab or the like)");
    char *out = (char *)boot_parts_alloc(parts, limit + 1, err);
    if (out == NULL)
        return -ENOMEM;
    if (config->init != NULL && !append_init(out, &length, limit, config->init))
        return too_long(limit, err);
    for (size_t i = 0; config->defaults && i < sizeof(words) / sizeof(words[0]); i++) {
        if (holds(config, words[i].condition) && !append(out, &length, limit, words[i].word, strlen(words[i].word)))
            return too_long(limit, err);
    }
    if (user_length > 0 && !append(out, &length, limit, config->user, user_length))
        return too_long(limit, err);
    struct boot_part part = {.gpa = gpa_make(BOOT_CMDLINE_GPA),
                             .bytes = (const uint8_t *)out,
                             .length = length + 1,
                             .kind = BOOT_PART_CMDLINE};
    return boot_parts_add(parts, &part, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/trust_fixture.h"

#include <string.h>

#include "boot/measure.h"

#define ROOT "4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b"

/* of: what is digested; NULL: the data. */
static const struct row {
    uint32_t pcr, type;
    const char *data;
    size_t n; /* 0: the string's length */
    const char *of;
} rows[TRUST_FIXTURE_EVENTS] = {
    {0, EV_S_CRTM_VERSION, "0\0.\0001\0\0\0", 8, NULL},
    {0, EV_POST_CODE, "caisson", 0, "caisson's file"},
    {1, EV_TABLE_OF_DEVICES, "{\"memory\":268435456,\"vps\":1}", 0, NULL},
    {1, EV_PLATFORM_CONFIG_FLAGS, "ACPI tables 0xe0000 1234+0 sha384:00", 0, NULL},
    {1, EV_PLATFORM_CONFIG_FLAGS, "registers rip 0x1000100", 0, NULL},
    {7, EV_COMPACT_HASH, "policy", 0, "{\"name\":\"a policy\"}"},
    {7, EV_ACTION, "no debug", 0, NULL},
    {8, EV_IPL, "kernel_cmdline: quiet panic=-1", sizeof("kernel_cmdline: quiet panic=-1"), "quiet panic=-1"},
    {9, EV_IPL, "kernel", 0, "kernel's file"},
    {9, EV_IPL, "initrd 0", 0, "ramdisk that is built in"},
    {9, EV_IPL, "initrd 1", 0, "user's ramdisk"},
    {13, EV_IPL, "disk 0 verity " ROOT " ro serial root", 0, NULL},
    {13, EV_IPL, "disk 1 no verity rw", 0, NULL},
    {0, EV_SEPARATOR, "\0\0\0\0", 4, NULL},
    {1, EV_SEPARATOR, "\0\0\0\0", 4, NULL},
    {7, EV_SEPARATOR, "\0\0\0\0", 4, NULL},
    {14, MEASURE_TYPE_AGENT_KEY, "0Y0\x13\x06\x07*\x86H\xce=\x02\x01", 12, NULL},
    {14, EV_IPL, "{\"args\":[\"sh\"],\"id\":\"a\"}", 0, NULL},
    {15, EV_IPL, "{\"args\":[\"ls\"],\"container\":\"a\"}", 0, NULL},
    {14, EV_IPL, "{\"args\":[\"true\"],\"id\":\"b\"}", 0, NULL},
    {15, EV_IPL, "{\"args\":[\"cat\"],\"container\":\"b\"}", 0, NULL},
};

int trust_fixture_log(struct event_log *log)
{
    int code = event_log_init(log);
    for (size_t i = 0; code == 0 && i < TRUST_FIXTURE_EVENTS; i++) {
        const struct row *r = &rows[i];
        struct digest digest;
        if (r->of != NULL)
            digest_make(r->of, strlen(r->of), &digest);
        code = event_log_add(log, r->pcr, r->type, r->of != NULL ? &digest : NULL, r->data,
                             r->n > 0 ? r->n : strlen(r->data));
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#define HEX32(b) b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b
#define HEX48(b) HEX32(b) b b b b b b b b b b b b b b b b

/* A policy that permits the machine below, member by member. */
#define MONITORS    "'monitors':['sha256:" HEX32("aa") "']"
#define HYPERVISORS "'hypervisors':['mshv']"
#define KERNELS     "'kernels':['sha256:" HEX32("bb") "']"
#define INITRDS     "'initrds':[['sha256:" HEX32("cc") "','sha256:" HEX32("dd") "']]"
#define CMDLINE     "'cmdline':['quiet',{'glob':'console=ttyS? *'}]"
#define VM          "'vm':{'vps':{'min':1,'max':2},'memory':536870912}"
#define DEVICES     "'devices':[{'kind':'vsock','min':1,'max':1},{'kind':'blk','max':2},{'kind':'fs','max':1}]"
#define IMAGES      "'images':[{'verity_root':'" HEX32("ee") "','read_only':true}]"

struct machine {
    struct policy_machine m;
    struct digest initrds[2];
    struct policy_image image;
    const char *devices[4];
};

static void fill(struct digest *d, uint8_t byte)
{
    memset(d->sha256, byte, sizeof d->sha256);
    memset(d->sha384, byte, sizeof d->sha384);
}

static void make(struct machine *m)
{
    *m = (struct machine){.image = {"r1", HEX32("ee"), true}, .devices = {"vsock", "blk"}};
    fill(&m->m.kernel, 0xbb);
    fill(&m->m.monitor_file, 0xaa);
    fill(&m->initrds[0], 0xcc);
    fill(&m->initrds[1], 0xdd);
    m->m.initrds = m->initrds;
    m->m.initrd_count = 2;
    m->m.cmdline = "console=ttyS0 panic=1";
    m->m.hypervisor = "mshv";
    m->m.monitor = "0.1.0";
    m->m.vps = 1;
    m->m.memory_bytes = 512 << 20;
    m->m.devices = m->devices;
    m->m.device_count = 2;
    m->m.images = &m->image;
    m->m.image_count = 1;
}

static const char *const members[] = {MONITORS, HYPERVISORS, KERNELS, INITRDS, CMDLINE, VM, DEVICES, IMAGES};
static const char *const names[] = {"monitors", "hypervisors", "kernels", "initrds",
                                    "cmdline",  "vm",          "devices", "images"};
#define COUNT (sizeof members / sizeof members[0])

/* With member `index` replaced by other; NULL: left out. */
static struct policy *policy_but(size_t index, const char *other)
{
    char text[4096] = "";
    for (size_t i = 0; i < COUNT; i++) {
        const char *member = i == index ? other : members[i];
        if (member != NULL)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", *text != '\0' ? "," : "", member);
    }
    return rig_policy(text);
}

static void permits(size_t index, const char *other, const struct machine *m)
{
    struct err err;
    struct policy *p = policy_but(index, other);
    err_clear(&err);
    if (policy_judge_machine(p, &m->m, &err) != 0)
        fail_msg("%s", err.text);
    policy_free(p);
}

static void refuses(size_t index, const char *other, const struct machine *m, const char *words)
{
    struct err err;
    struct policy *p = policy_but(index, other);
    err_clear(&err);
    if (policy_judge_machine(p, &m->m, &err) != -EACCES)
        fail_msg("permitted: %s", words);
    rig_says(&err, words);
    rig_says(&err, "under the launch policy web: ");
    policy_free(p);
}

static void the_machine_that_is_named_is_permitted(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    permits(COUNT, NULL, &m);
}

static void without_a_rule_nothing_is_permitted(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    for (size_t i = 0; i < COUNT; i++)
        refuses(i, NULL, &m, names[i]);
}

static void anything_is_permitted_if_a_rule_says_so(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    for (size_t i = 0; i < COUNT; i++) {
        char any[64];
        snprintf(any, sizeof any, "'%s':{'any':true}", names[i]);
        permits(i, any, &m);
    }
}

static void another_kernel_is_refused_by_its_digest(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    for (unsigned bit = 0; bit < 8 * DIGEST_SHA256_BYTES; bit++) {
        m.m.kernel.sha256[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refuses(COUNT, NULL, &m, "kernels permits 'sha256:bbbb");
        m.m.kernel.sha256[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    fill(&m.m.kernel, 0xb0);
    refuses(COUNT, NULL, &m, "it is 'sha256:b0b0");
}

static void a_kernel_may_be_named_by_the_longer_digest(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    permits(2, "'kernels':['sha256:" HEX32("00") "','sha384:" HEX48("bb") "']", &m);
    m.m.kernel.sha384[47] ^= 1;
    refuses(2, "'kernels':['sha256:" HEX32("00") "','sha384:" HEX48("bb") "']", &m, "kernels permits one of 2");
}

static void initrds_are_compared_in_their_order(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    fill(&m.initrds[0], 0xdd);
    fill(&m.initrds[1], 0xcc);
    refuses(COUNT, NULL, &m, "initrds permits a list of 2, it is 2 of them");
    make(&m);
    m.m.initrd_count = 1;
    refuses(COUNT, NULL, &m, "initrds permits a list of 2, it is 'sha256:cccc");
    m.m.initrd_count = 0;
    refuses(COUNT, NULL, &m, "initrds");
    permits(3, "'initrds':[[]]", &m);
    permits(3, NULL, &m); /* no rule permits no ramdisk */
    make(&m);
    refuses(3, "'initrds':[[]]", &m, "initrds");
}

static void the_whole_line_is_compared(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    m.m.cmdline = "console=ttyS0 ";
    permits(COUNT, NULL, &m);
    m.m.cmdline = "init=/bin/sh console=ttyS0 panic=1";
    refuses(COUNT, NULL, &m, "cmdline permits one of 2, it is 'init=/bin/sh console=ttyS0 panic=1'");
    m.m.cmdline = "quiet ";
    refuses(COUNT, NULL, &m, "cmdline");
    refuses(4, "'cmdline':['quiet']", &m, "cmdline permits 'quiet', it is 'quiet '");
    m.m.cmdline = "";
    refuses(COUNT, NULL, &m, "cmdline");
}

static void the_shape_stays_in_its_ranges(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    m.m.vps = 2;
    permits(COUNT, NULL, &m);
    m.m.vps = 3;
    refuses(COUNT, NULL, &m, "vm.vps permits 1 to 2, it is 3");
    m.m.vps = 0;
    refuses(COUNT, NULL, &m, "vm.vps permits 1 to 2, it is 0");
    make(&m);
    m.m.memory_bytes++;
    refuses(COUNT, NULL, &m, "vm.memory permits 536870912, it is 536870913");
    refuses(5, "'vm':{'vps':1}", &m, "vm.memory permits nothing, it is 536870913");
    m.m.memory_bytes = UINT64_MAX;
    refuses(COUNT, NULL, &m, "vm.memory permits 536870912");
}

static void devices_are_counted_by_kind(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    m.devices[2] = "blk";
    m.m.device_count = 3;
    permits(COUNT, NULL, &m);
    m.devices[3] = "blk";
    m.m.device_count = 4;
    refuses(COUNT, NULL, &m, "devices: kind 'blk' permits 0 to 2, it is 3");
    m.devices[3] = "net";
    refuses(COUNT, NULL, &m, "devices: kind 'net' permits 0 to 0, it is 1");
    m.devices[0] = "fs";
    m.m.device_count = 1;
    refuses(COUNT, NULL, &m, "devices: kind 'vsock' permits 1 to 1, it is 0");
}

static void a_disk_is_known_by_its_root_hash(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    m.image.root_hash = HEX32("ef");
    refuses(COUNT, NULL, &m, "images: disk 'r1' permits one of 1, it is efef");
    m.image.root_hash = NULL;
    refuses(COUNT, NULL, &m, "images: disk 'r1' permits one of 1, it is not verified, read-only");
    permits(7, "'images':[{'unverified':true,'read_only':true}]", &m);
    m.image.read_only = false;
    refuses(7, "'images':[{'unverified':true,'read_only':true}]", &m, "it is not verified, writable");
    make(&m);
    m.image.read_only = false;
    refuses(COUNT, NULL, &m, "images: disk 'r1'");
    make(&m);
    refuses(7, "'images':[{'unverified':true,'read_only':true}]", &m, "images: disk 'r1'");
    refuses(7, "'images':[]", &m, "images: disk 'r1' permits nothing");
    m.m.image_count = 0;
    permits(7, NULL, &m);
}

static void another_monitor_or_hypervisor_is_refused(void **state)
{
    struct machine m;
    (void)state;
    make(&m);
    m.m.hypervisor = "softhv";
    refuses(COUNT, NULL, &m, "hypervisors permits 'mshv', it is 'softhv'");
    make(&m);
    fill(&m.m.monitor_file, 1);
    refuses(COUNT, NULL, &m, "monitors permits 'sha256:aaaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_that_is_named_is_permitted),
        cmocka_unit_test(without_a_rule_nothing_is_permitted),
        cmocka_unit_test(anything_is_permitted_if_a_rule_says_so),
        cmocka_unit_test(another_kernel_is_refused_by_its_digest),
        cmocka_unit_test(a_kernel_may_be_named_by_the_longer_digest),
        cmocka_unit_test(initrds_are_compared_in_their_order),
        cmocka_unit_test(the_whole_line_is_compared),
        cmocka_unit_test(the_shape_stays_in_its_ranges),
        cmocka_unit_test(devices_are_counted_by_kind),
        cmocka_unit_test(a_disk_is_known_by_its_root_hash),
        cmocka_unit_test(another_monitor_or_hypervisor_is_refused),
    };
    return cmocka_run_group_tests_name("policy/launch/judge_machine", tests, NULL, NULL);
}

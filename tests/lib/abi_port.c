/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/abi_port.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/instance.h"
#include "vmm/softhv/port_soft.h"

#define CASE_SECONDS 120u
#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))

static const struct abi_facts generations[] = {
    {
        .name = "6.15",
        .kernel = SOFTHV_KERNEL_6_15,
        .pt_flags = MSHV_PT_FLAGS_6_15,
        .output_on_failure = true,
        .pinned = true,
        .level_checked_before_busy = true,
        .unmap_unknown_errno = EINVAL,
    },
    {
        .name = "6.15-stable",
        .kernel = SOFTHV_KERNEL_6_15_STABLE,
        .pt_flags = MSHV_PT_FLAGS_6_15,
        .output_on_failure = true,
        .pinned = true,
        .enclosing_gpa_detected = true,
        .level_checked_before_busy = true,
        .unmap_unknown_errno = EINVAL,
    },
    {
        .name = "6.19",
        .kernel = SOFTHV_KERNEL_6_19,
        .pt_flags = MSHV_PT_FLAGS_6_19,
        .device_hvcall = true,
        .property_ex = true,
        .output_on_failure = true,
        .alias_allowed = true,
        .enclosing_gpa_detected = true,
        .level_checked_before_busy = true,
        .unmap_unknown_errno = ENOENT,
    },
    {
        .name = "7.2",
        .kernel = SOFTHV_KERNEL_7_2,
        .pt_flags = MSHV_PT_FLAGS_MASK,
        .device_hvcall = true,
        .property_ex = true,
        .alias_allowed = true,
        .enclosing_gpa_detected = true,
        .resample = true,
        .unmap_unknown_errno = ENOENT,
    },
};

/* ---- Which generation a kernel is ---- */

static int create(const struct mshv_port *port, int device, uint64_t flags)
{
    struct mshv_create_partition a = {.pt_flags = flags};
    return mshv_port_ioctl(port, device, MSHV_CREATE_PARTITION, &a);
}

static bool knows_flag(const struct mshv_port *port, int device, unsigned bit)
{
    int fd = create(port, device, UINT64_C(3) | UINT64_C(1) << bit);
    if (fd >= 0)
        (void)mshv_port_close(port, fd);
    return fd >= 0;
}

static bool knows_hvcall(const struct mshv_port *port, int device)
{
    struct mshv_root_hvcall a = {.code = 0};
    return mshv_port_ioctl(port, device, MSHV_ROOT_HVCALL, &a) != -ENOTTY;
}

/* One page, then three around it: does the driver see that they overlap? */
static bool sees_enclosing(const struct mshv_port *port, int fd, void *memory)
{
    uint64_t at = (uintptr_t)memory;
    struct mshv_user_mem_region inner = {.size = MSHV_HV_PAGE_SIZE, .guest_pfn = 1, .userspace_addr = at, .flags = 3};
    struct mshv_user_mem_region outer = {
        .size = 3 * MSHV_HV_PAGE_SIZE, .userspace_addr = at + MSHV_HV_PAGE_SIZE, .flags = 3};
    return mshv_port_ioctl(port, fd, MSHV_SET_GUEST_MEMORY, &inner) == 0 &&
           mshv_port_ioctl(port, fd, MSHV_SET_GUEST_MEMORY, &outer) == -EEXIST;
}

static bool is_stable_tree(const struct mshv_port *port, int device)
{
    bool seen = false;
    size_t bytes = 4 * MSHV_HV_PAGE_SIZE;
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = create(port, device, 3);
    if (fd >= 0 && m != MAP_FAILED && mshv_port_ioctl(port, fd, MSHV_INITIALIZE_PARTITION, NULL) == 0)
        seen = sees_enclosing(port, fd, m);
    if (fd >= 0)
        (void)mshv_port_close(port, fd);
    if (m != MAP_FAILED)
        (void)munmap(m, bytes);
    return seen;
}

static const struct abi_facts *probe(const struct mshv_port *port, int device)
{
    if (knows_flag(port, device, MSHV_PT_BIT_SMT_ENABLED_GUEST))
        return &generations[3];
    if (knows_hvcall(port, device))
        return &generations[2];
    return &generations[is_stable_tree(port, device) ? 1 : 0];
}

/* ---- One case ---- */

static int case_setup(void **state)
{
    struct abi *a = *state;
    if (a->soft == NULL && a->port.ops == NULL) {
        const struct softhv_config config = {.kernel = a->facts->kernel};
        if (softhv_instance_new(&config, &a->soft) != 0)
            return -1;
        a->port = mshv_port_soft(a->soft);
    }
    (void)alarm(CASE_SECONDS);
    a->device = mshv_port_open(&a->port);
    return a->device < 0 ? -1 : 0;
}

static void case_run(void **state)
{
    struct abi *a = *state;
    a->test.run(a);
    a->finished = true;
}

/* A case that failed may have left threads in a VP: nothing is taken away from under them. */
static int case_teardown(void **state)
{
    struct abi *a = *state;
    (void)alarm(0);
    if (!a->finished)
        return 0;
    int err = mshv_port_close(&a->port, a->device);
    if (a->soft != NULL)
        softhv_instance_free(a->soft);
    return err;
}

/* ---- All cases ---- */

struct suite {
    struct abi *abi;
    struct CMUnitTest *test;
    char (*name)[160];
    size_t n;
};

static bool suite_init(struct suite *s, size_t n)
{
    *s = (struct suite){
        .abi = calloc(n, sizeof(*s->abi)), .test = calloc(n, sizeof(*s->test)), .name = calloc(n, sizeof(*s->name))};
    return s->abi != NULL && s->test != NULL && s->name != NULL;
}

static void suite_fini(struct suite *s)
{
    free(s->abi);
    free(s->test);
    free(s->name);
}

static void suite_add(struct suite *s, const struct abi_case *cases, size_t n, const struct mshv_port *port,
                      const struct abi_facts *facts)
{
    for (size_t i = 0; i < n; i++, s->n++) {
        struct abi *a = &s->abi[s->n];
        *a = (struct abi){.facts = facts, .test = cases[i], .device = -1};
        if (port != NULL)
            a->port = *port;
        (void)snprintf(s->name[s->n], sizeof(s->name[0]), "%s [%s %s]", cases[i].name,
                       port != NULL ? "kernel" : "softhv as", facts->name);
        s->test[s->n] = (struct CMUnitTest){.name = s->name[s->n],
                                            .test_func = case_run,
                                            .setup_func = case_setup,
                                            .teardown_func = case_teardown,
                                            .initial_state = a};
    }
}

static int suite_run(struct suite *s)
{
    int failed = _cmocka_run_group_tests("abi", s->test, s->n, NULL, NULL);
    suite_fini(s);
    return failed == 0 ? 0 : 1;
}

static int on_softhv(const struct abi_case *cases, size_t n)
{
    struct suite s;
    if (!suite_init(&s, n * COUNT(generations)))
        return 1;
    for (size_t i = 0; i < COUNT(generations); i++)
        suite_add(&s, cases, n, NULL, &generations[i]);
    return suite_run(&s);
}

static int on_kernel(const struct abi_case *cases, size_t n)
{
    const struct mshv_port port = mshv_port_kernel();
    struct suite s;
    int device = mshv_port_open(&port);
    if (device < 0) {
        printf("abi: CAISSON_TEST_HV=kernel, and %s cannot be opened: %s\n", MSHV_DEVICE_PATH, strerror(-device));
        return 1;
    }
    const struct abi_facts *facts = probe(&port, device);
    (void)mshv_port_close(&port, device);
    printf("abi: %s behaves as Linux %s\n", MSHV_DEVICE_PATH, facts->name);
    if (!suite_init(&s, n))
        return 1;
    suite_add(&s, cases, n, &port, facts);
    return suite_run(&s);
}

int abi_main(const struct abi_case *cases, size_t n)
{
    const char *wanted = getenv("CAISSON_TEST_HV");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (wanted == NULL || strcmp(wanted, "softhv") == 0)
        return on_softhv(cases, n);
    if (strcmp(wanted, "kernel") == 0)
        return on_kernel(cases, n);
    printf("abi: CAISSON_TEST_HV is '%s'; it may be softhv or kernel\n", wanted);
    return 1;
}

bool abi_compare_uncertain(struct abi *a, const char *question, int64_t found, int64_t chosen, const char *file,
                           int line)
{
    if (a->soft != NULL)
        _assert_int_equal((uintmax_t)found, (uintmax_t)chosen, file, line);
    else if (found != chosen)
        printf("[ UNCERTAIN ] %s: chosen %" PRId64 " (%#" PRIx64 "), found %" PRId64 " (%#" PRIx64 ") at %s:%d\n",
               question, chosen, (uint64_t)chosen, found, (uint64_t)found, file, line);
    return found == chosen;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/vm_rig.h"

VM_GUEST(guest_spins, "1: jmp 1b");
/* Two bytes to the console, one read of a device in memory, then off. */
VM_GUEST(guest_makes_exits, "mov $0x3f8, %dx\n mov $'x', %al\n out %al, %dx\n out %al, %dx\n"
                            "mov $0xfec00000, %esi\n mov (%esi), %eax\n"
                            "mov $0x600, %dx\n mov $0x34, %al\n out %al, %dx\n 1: jmp 1b");

static struct vm_rig *rig_new(const uint8_t *code, const uint8_t *end)
{
    struct vm_rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    vm_rig_init(r, code, end);
    vm_rig_build(r);
    return r;
}
#define RIG(guest) rig_new(guest, guest##_end)

static void rig_end(struct vm_rig *r)
{
    vm_rig_fini(r);
    free(r);
}

static void exits_are_counted_by_kind(void **state)
{
    struct vm_rig *r = RIG(guest_makes_exits);
    const struct vcpu_counts *c = &r->vm.vcpu[0].counts;
    (void)state;
    assert_int_equal(vm_rig_run(r), VM_END_POWER_OFF);
    assert_int_equal(c->exits[MSHV_EXIT_IO_PORT], 3);
    assert_int_equal(c->exits[MSHV_EXIT_MEMORY], 1);
    assert_int_equal(c->exits[MSHV_EXIT_MSR], 0);
    rig_end(r);
}

static void a_kick_interrupts_and_the_guest_goes_on(void **state)
{
    struct vm_rig *r = RIG(guest_spins);
    struct vcpu *v = &r->vm.vcpu[0];
    (void)state;
    assert_int_equal(vm_start(&r->vm, NULL), 0);
    uint64_t before = atomic_load(&v->counts.interrupted);
    for (unsigned i = 0; i < 3; i++, before = atomic_load(&v->counts.interrupted))
        while (atomic_load(&v->counts.interrupted) == before) {
            vcpu_kick(v);
            sched_yield();
        }
    assert_false(atomic_load(&v->ended));
    vm_stop(&r->vm, VM_END_ASKED, "%s", "");
    vm_join(&r->vm);
    assert_true(atomic_load(&v->ended));
    rig_end(r);
}

static void the_time_of_entry_is_kept(void **state)
{
    struct vm_rig *r = RIG(guest_makes_exits);
    struct timespec t;
    (void)state;
    assert_int_equal(r->vm.vcpu[0].entered_ns, 0);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    (void)vm_rig_run(r);
    assert_true(r->vm.vcpu[0].entered_ns >= (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
    rig_end(r);
}

/* The thread with this name: how many signals it lets in, or -1. */
static int open_signals(const char *name)
{
    char command[128], line[128] = "";
    (void)snprintf(command, sizeof(command), "grep -l '^Name:.%s$' /proc/%d/task/*/status | xargs grep -h SigBlk", name,
                   (int)getpid());
    FILE *f = popen(command, "re");
    assert_non_null(f);
    bool any = fgets(line, sizeof(line), f) != NULL;
    pclose(f);
    if (!any)
        return -1;
    uint64_t open = ~strtoull(strchr(line, ':') + 1, NULL, 16);
    return __builtin_popcountll(open);
}

static void threads_have_names_and_leave_signals_to_the_main_thread(void **state)
{
    struct vm_rig *r = calloc(1, sizeof(*r));
    (void)state;
    assert_non_null(r);
    vm_rig_init(r, guest_spins, guest_spins_end);
    r->config.vps = 2;
    vm_rig_build(r);
    assert_int_equal(vm_start(&r->vm, NULL), 0);
    while (atomic_load(&r->vm.vcpu[0].entered_ns) == 0 || atomic_load(&r->vm.vcpu[1].entered_ns) == 0)
        sched_yield();
    /* The kick, and the three that a C library keeps to itself, and those that cannot be blocked. */
    assert_in_range(open_signals("vcpu0"), 0, 6);
    assert_in_range(open_signals("vcpu1"), 0, 6);
    vm_stop(&r->vm, VM_END_ASKED, "%s", "");
    vm_join(&r->vm);
    rig_end(r);
}

static void an_index_serves_once(void **state)
{
    struct vm_rig *r = RIG(guest_spins);
    struct vcpu *second = calloc(1, sizeof(*second));
    struct err err;
    (void)state;
    assert_non_null(second);
    assert_true(vcpu_init(second, &r->vm, 0, &err) < 0);
    assert_non_null(strstr(err.text, "create VP 0"));
    vcpu_fini(second);
    free(second);
    rig_end(r);
}

static void stopping_one_that_was_not_started_does_nothing(void **state)
{
    struct vm_rig *r = RIG(guest_spins);
    (void)state;
    vcpu_kick(&r->vm.vcpu[0]);
    vcpu_stop(&r->vm.vcpu[0]);
    rig_end(r);
}

static void stopping_twice_is_harmless(void **state)
{
    struct vm_rig *r = RIG(guest_makes_exits);
    (void)state;
    (void)vm_rig_run(r);
    vcpu_kick(&r->vm.vcpu[0]);
    vcpu_stop(&r->vm.vcpu[0]);
    rig_end(r);
}

static void ending_a_zeroed_one_is_harmless(void **state)
{
    struct vcpu *v = calloc(1, sizeof(*v));
    (void)state;
    assert_non_null(v);
    vcpu_fini(v);
    vcpu_stop(v);
    free(v);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(exits_are_counted_by_kind),
        cmocka_unit_test(a_kick_interrupts_and_the_guest_goes_on),
        cmocka_unit_test(the_time_of_entry_is_kept),
        cmocka_unit_test(threads_have_names_and_leave_signals_to_the_main_thread),
        cmocka_unit_test(an_index_serves_once),
        cmocka_unit_test(stopping_one_that_was_not_started_does_nothing),
        cmocka_unit_test(stopping_twice_is_harmless),
        cmocka_unit_test(ending_a_zeroed_one_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

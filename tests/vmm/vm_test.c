/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "tests/lib/vm_rig.h"

/* ---- Guests ---- */

/* Print "hi" and switch off. */
VM_GUEST(guest_hello, "mov $0x3f8, %dx\n mov $'h', %al\n out %al, %dx\n mov $'i', %al\n out %al, %dx\n"
                      "mov $0x600, %dx\n mov $0x34, %al\n out %al, %dx\n 1: jmp 1b");
VM_GUEST(guest_acpi_reset, "mov $0x602, %dx\n mov $1, %al\n out %al, %dx\n 1: jmp 1b");
VM_GUEST(guest_reset_control, "mov $0xcf9, %dx\n mov $6, %al\n out %al, %dx\n 1: jmp 1b");
VM_GUEST(guest_keyboard_reset, "mov $0xfe, %al\n out %al, $0x64\n 1: jmp 1b");
VM_GUEST(guest_debug_exit, "mov $77, %al\n out %al, $0xf4\n 1: jmp 1b");
/* An exception without a table of vectors. */
VM_GUEST(guest_triple_fault, "xor %eax, %eax\n mov %eax, 0x9000\n mov %eax, 0x9004\n lidt 0x9000\n ud2");
/* The first byte behind 1 MiB. */
VM_GUEST(guest_runs_off, "ljmp $0xffff, $0x10");
VM_GUEST(guest_spins, "1: jmp 1b");
VM_GUEST(guest_halts, "cli\n 1: hlt\n jmp 1b");
/* After a '>', bytes from COM2 go back to it, up to and with a 'q'. */
VM_GUEST(guest_echoes, "mov $0x2fa, %dx\n mov $1, %al\n out %al, %dx\n"
                       "mov $0x2f8, %dx\n mov $'>', %al\n out %al, %dx\n"
                       "1: mov $0x2fd, %dx\n in %dx, %al\n test $1, %al\n jz 1b\n"
                       "mov $0x2f8, %dx\n in %dx, %al\n out %al, %dx\n cmp $'q', %al\n jne 1b\n"
                       "mov $3, %al\n out %al, $0xf4\n 2: jmp 2b");
/* End with what a port reads. */
VM_GUEST(guest_reads_com2, "mov $0x2fd, %dx\n in %dx, %al\n out %al, $0xf4\n 1: jmp 1b");
VM_GUEST(guest_reads_the_hour, "mov $4, %al\n out %al, $0x70\n in $0x71, %al\n out %al, $0xf4\n 1: jmp 1b");
/* Wake processors 1 to 3 by INIT and two start-up interrupts for all but oneself, and wait until each was here. */
VM_GUEST(guest_wakes_others, "mov $0xfee00000, %ebx\n movl $0x1ff, 0xf0(%ebx)\n"
                             "movl $0xc4500, 0x300(%ebx)\n movl $0xc4603, 0x300(%ebx)\n"
                             "movl $0xc4603, 0x300(%ebx)\n 1: cmpb $3, 0x9000\n jne 1b\n"
                             "mov $33, %al\n out %al, $0xf4\n 2: jmp 2b");
VM_GUEST(guest_woken, "xor %ax, %ax\n mov %ax, %ds\n lock incb 0x9000\n 1: hlt\n jmp 1b");
/* Look at the I/O APIC's version. */
VM_GUEST(guest_ioapic_version, "mov $0xfec00000, %esi\n movl $1, (%esi)\n movl 0x10(%esi), %eax\n"
                               "out %al, $0xf4\n 1: jmp 1b");
/* COM1's line to vector 40h, by level, to processor 0; then "transmitter empty" with each byte sent. */
VM_GUEST(guest_level_interrupts,
         "cli\n mov $0xfee00000, %ebx\n mov $0xfec00000, %esi\n movl $0x1ff, 0xf0(%ebx)\n"
         "movl $0x19, (%esi)\n movl $0, 0x10(%esi)\n"
         "movl $0x18, (%esi)\n movl $0x8040, 0x10(%esi)\n"
         "mov $0x3fc, %dx\n mov $8, %al\n out %al, %dx\n mov $0x3f9, %dx\n mov $2, %al\n out %al, %dx\n"
         "1: sti\n hlt\n cli\n mov 0x9000, %al\n cmp $3, %al\n je 2f\n"
         "mov $0x3f8, %dx\n mov $'.', %al\n out %al, %dx\n jmp 1b\n"
         "2: out %al, $0xf4\n 3: jmp 3b");
VM_GUEST(guest_handler, "push %ax\n push %dx\n mov $0x3fa, %dx\n in %dx, %al\n incb 0x9000\n"
                        "movl $0, 0xb0(%ebx)\n pop %dx\n pop %ax\n iret");
/* Bytes through a port into memory and back, repeated. */
VM_GUEST(guest_string_io, "mov $0x3ff, %dx\n mov $0x5a, %al\n out %al, %dx\n"
                          "mov $0x9000, %di\n mov $5, %cx\n cld\n rep insb\n"
                          "mov $0x3f8, %dx\n mov $0x9000, %si\n mov $5, %cx\n rep outsb\n"
                          "mov $1, %al\n out %al, $0xf4\n 1: jmp 1b");
/* Nobody answers at this address and this port. */
VM_GUEST(guest_nobody, "mov $0xd0000000, %edi\n movb $7, (%edi)\n movb (%edi), %bl\n"
                       "mov $0x1234, %dx\n out %ax, %dx\n in %dx, %al\n and %bl, %al\n out %al, $0xf4\n 1: jmp 1b");

static struct vm_rig *rig_new(const uint8_t *code, const uint8_t *end)
{
    struct vm_rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    vm_rig_init(r, code, end);
    return r;
}
#define RIG(guest) rig_new(guest, guest##_end)

static void rig_end(struct vm_rig *r)
{
    vm_rig_fini(r);
    free(r);
}

/* ---- Ends ---- */

static void a_guest_prints_and_switches_off(void **state)
{
    struct vm_rig *r = RIG(guest_hello);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_POWER_OFF);
    assert_string_equal(r->console, "hi");
    assert_string_equal(r->vm.why, "");
    rig_end(r);
}

static void expect_reset(const uint8_t *code, const uint8_t *end)
{
    struct vm_rig *r = rig_new(code, end);
    assert_int_equal(vm_rig_build_and_run(r), VM_END_RESET);
    rig_end(r);
}

static void the_ways_to_reset(void **state)
{
    (void)state;
    expect_reset(guest_acpi_reset, guest_acpi_reset_end);
    expect_reset(guest_reset_control, guest_reset_control_end);
    expect_reset(guest_keyboard_reset, guest_keyboard_reset_end);
}

static void the_debug_exit_has_a_code(void **state)
{
    struct vm_rig *r = RIG(guest_debug_exit);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 77);
    rig_end(r);
}

static void a_triple_fault_says_where(void **state)
{
    struct vm_rig *r = RIG(guest_triple_fault);
    char where[32];
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_TRIPLE_FAULT);
    (void)snprintf(where, sizeof(where), "RIP %zx, CS 0",
                   VM_RIG_CODE + (size_t)(guest_triple_fault_end - guest_triple_fault) - 2);
    assert_non_null(strstr(r->vm.why, "VP 0 could not deliver an exception"));
    assert_non_null(strstr(r->vm.why, where));
    rig_end(r);
}

static void a_fetch_from_nowhere_says_from_where(void **state)
{
    struct vm_rig *r = RIG(guest_runs_off);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_ERROR);
    assert_non_null(strstr(r->vm.why, "VP 0 fetches an instruction at 100000, where there is no memory"));
    rig_end(r);
}

static void await_entry(const struct vm_rig *r)
{
    for (uint32_t i = 0; i < r->vm.vps; i++)
        while (atomic_load(&r->vm.vcpu[i].entered_ns) == 0)
            sched_yield();
}

static void expect_stoppable(const uint8_t *code, const uint8_t *end, uint32_t vps)
{
    struct vm_rig *r = rig_new(code, end);
    struct pollfd p = {.events = POLLIN};
    r->config.vps = vps;
    vm_rig_build(r);
    p.fd = r->vm.stop_fd;
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(vm_start(&r->vm, NULL), 0);
    await_entry(r);
    assert_false(vm_is_stopping(&r->vm));
    vm_stop(&r->vm, VM_END_ASKED, "enough of %u", vps);
    assert_int_equal(poll(&p, 1, 0), 1);
    vm_join(&r->vm);
    assert_int_equal(r->vm.end, VM_END_ASKED);
    rig_end(r);
}

static void a_machine_can_be_stopped_while_it_runs(void **state)
{
    (void)state;
    expect_stoppable(guest_spins, guest_spins_end, 1);
}

static void a_machine_can_be_stopped_while_it_waits(void **state)
{
    (void)state;
    expect_stoppable(guest_halts, guest_halts_end, 1);
}

static void as_many_processors_as_there_can_be(void **state)
{
    (void)state;
    expect_stoppable(guest_halts, guest_halts_end, VM_VPS_MAX);
}

static void the_first_reason_counts(void **state)
{
    struct vm_rig *r = RIG(guest_spins);
    struct err err;
    (void)state;
    vm_rig_build(r);
    vm_stop(&r->vm, VM_END_ASKED, "first\n%d", 1);
    err_clear(&err);
    strcpy(err.text, "second");
    vm_stop_with(&r->vm, VM_END_ERROR, &err);
    assert_int_equal(r->vm.end, VM_END_ASKED);
    assert_string_equal(r->vm.why, "first?1");
    rig_end(r);
}

static void a_machine_that_was_stopped_before_does_not_run(void **state)
{
    struct vm_rig *r = RIG(guest_hello);
    (void)state;
    vm_rig_build(r);
    vm_stop(&r->vm, VM_END_ASKED, "%s", "never mind");
    assert_int_equal(vm_start(&r->vm, NULL), 0);
    vm_join(&r->vm);
    assert_int_equal(r->vm.end, VM_END_ASKED);
    assert_string_equal(r->console, "");
    rig_end(r);
}

/* ---- Devices ---- */

static void the_channel_goes_both_ways(void **state)
{
    static const uint8_t text[] = "a longer text than the receive FIFO holds, with its end: q";
    struct vm_rig *r = RIG(guest_echoes);
    struct pollfd p = {.events = POLLIN};
    size_t sent = 0;
    (void)state;
    vm_rig_add_channel(r);
    vm_rig_build(r);
    assert_int_equal(vm_start(&r->vm, NULL), 0);
    p.fd = r->vm.stop_fd;
    while (atomic_load(&r->channel_bytes) == 0)
        sched_yield();
    while (poll(&p, 1, 0) == 0) {
        sent += serial_input(&r->vm.com2, text + sent, sizeof(text) - 1 - sent);
        sched_yield();
    }
    vm_join(&r->vm);
    assert_int_equal(r->vm.end, VM_END_DEBUG_EXIT);
    assert_int_equal(r->channel[0], '>');
    assert_string_equal(r->channel + 1, (const char *)text);
    assert_true(atomic_load(&r->rooms) > 0);
    rig_end(r);
}

static void without_channel_there_is_no_second_port(void **state)
{
    struct vm_rig *r = RIG(guest_reads_com2);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 0xff);
    rig_end(r);
}

static void the_clock_is_the_configured_one(void **state)
{
    struct vm_rig *r = RIG(guest_reads_the_hour);
    (void)state;
    r->utc_s = 23 * 3600;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, CONFIG_RTC ? 0x23 : 0xff);
    rig_end(r);
}

static void without_one_it_is_the_hosts(void **state)
{
    struct vm_rig *r = RIG(guest_reads_the_hour);
    (void)state;
    r->config.clock = (struct rtc_config){.utc_s = NULL};
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_true(!CONFIG_RTC || r->vm.exit_code <= 0x23);
    rig_end(r);
}

static void a_device_in_memory_is_reached(void **state)
{
    struct vm_rig *r = RIG(guest_ioapic_version);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 0x20);
    assert_true(r->vm.vcpu[0].counts.exits[MSHV_EXIT_MEMORY] >= 2);
    rig_end(r);
}

static void level_interrupts_come_again_after_their_eoi(void **state)
{
    struct vm_rig *r = RIG(guest_level_interrupts);
    (void)state;
    vm_rig_add(r, VM_RIG_HANDLER, guest_handler, guest_handler_end);
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 3);
    assert_string_equal(r->console, "..");
    assert_true(r->vm.vcpu[0].counts.exits[MSHV_EXIT_APIC_EOI] >= 2);
    rig_end(r);
}

static void string_port_accesses(void **state)
{
    struct vm_rig *r = RIG(guest_string_io);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 1);
    assert_string_equal(r->console, "ZZZZZ");
    rig_end(r);
}

static void where_nobody_is_there_are_ones(void **state)
{
    struct vm_rig *r = RIG(guest_nobody);
    (void)state;
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 0xff);
    rig_end(r);
}

static void several_processors(void **state)
{
    struct vm_rig *r = RIG(guest_wakes_others);
    (void)state;
    r->config.vps = 4;
    vm_rig_add(r, VM_RIG_AP, guest_woken, guest_woken_end);
    assert_int_equal(vm_rig_build_and_run(r), VM_END_DEBUG_EXIT);
    assert_int_equal(r->vm.exit_code, 33);
    rig_end(r);
}

/* ---- Refusals and failures ---- */

static void expect_refused(struct vm_rig *r, int code, const char *text)
{
    struct err err;
    unsigned before = vm_rig_descriptors();
    assert_int_equal(vm_build(&r->vm, &r->config, &r->port, &err), code);
    if (strstr(err.text, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, err.text);
    assert_int_equal(vm_rig_descriptors(), before);
    rig_end(r);
}

static void numbers_of_processors_that_cannot_be(void **state)
{
    struct vm_rig *r = RIG(guest_hello);
    (void)state;
    r->config.vps = 0;
    expect_refused(r, -EINVAL, "0 processors; give it 1 to 16");
    r = RIG(guest_hello);
    r->config.vps = VM_VPS_MAX + 1;
    expect_refused(r, -EINVAL, "17 processors");
}

static void a_part_outside_of_memory(void **state)
{
    static const uint8_t bytes[2] = {0};
    struct vm_rig *r = RIG(guest_hello);
    (void)state;
    vm_rig_add(r, VM_RIG_RAM_BYTES - 1, bytes, bytes + 2);
    expect_refused(r, -EINVAL, "the part 'kernel' does not lie in memory");
}

static void memory_of_no_size(void **state)
{
    struct vm_rig *r = RIG(guest_hello);
    (void)state;
    r->image.parts.ram[0].bytes = 0;
    expect_refused(r, -EINVAL, "reserve address space");
}

/* A text, nothing left open, and the struct as if nothing had been: or the machine works without that call. */
static bool survives(unsigned fail_at, int with, uint32_t vps)
{
    struct vm_rig *r = RIG(guest_hello);
    struct err err = {.code = 0};
    unsigned before = vm_rig_descriptors();
    r->config.vps = vps;
    r->fail_at = fail_at;
    r->fail_with = with;
    int code = vm_build(&r->vm, &r->config, &r->port, &err);
    bool reached = r->calls >= fail_at;
    if (code < 0) {
        assert_true(reached);
        assert_int_equal(err.code, code);
        assert_true(strlen(err.text) > 20 && strstr(err.text, "; ") != NULL);
        assert_int_equal(r->vm.vps, 0);
    } else {
        r->fail_at = 0;
        assert_int_equal(vm_rig_run(r), VM_END_POWER_OFF);
    }
    vm_fini(&r->vm);
    assert_int_equal(r->open, 0);
    assert_int_equal(vm_rig_descriptors(), before);
    rig_end(r);
    return reached;
}

static unsigned survive_all(int with, uint32_t vps)
{
    unsigned n = 1;
    while (survives(n, with, vps))
        n++;
    return n - 1;
}

static void each_request_of_building_may_fail(void **state)
{
    (void)state;
    assert_in_range(survive_all(EIO, 2), 15, 200);
}

static void each_may_be_one_that_the_kernel_does_not_know(void **state)
{
    (void)state;
    assert_in_range(survive_all(ENOTTY, 1), 12, 200);
}

/* Those that a running machine makes, with all calls of building before them. */
static void each_request_of_running_may_fail(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (unsigned n = 1; n < 200; n++) {
        struct vm_rig *r = RIG(guest_hello);
        vm_rig_build(r);
        r->fail_at = r->calls + n;
        r->fail_with = EIO;
        enum vm_end end = vm_rig_run(r);
        bool reached = r->calls >= r->fail_at;
        if (end == VM_END_HOST) {
            assert_non_null(strstr(r->vm.why, "run a VP"));
            failed++;
        } else {
            assert_int_equal(end, VM_END_POWER_OFF);
        }
        rig_end(r);
        if (!reached)
            break;
    }
    assert_in_range(failed, 3, 199);
}

static void ending_a_zeroed_one_is_harmless(void **state)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    unsigned before = vm_rig_descriptors();
    (void)state;
    assert_non_null(vm);
    vm_fini(vm);
    assert_int_equal(vm_rig_descriptors(), before);
    free(vm);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_prints_and_switches_off),
        cmocka_unit_test(the_ways_to_reset),
        cmocka_unit_test(the_debug_exit_has_a_code),
        cmocka_unit_test(a_triple_fault_says_where),
        cmocka_unit_test(a_fetch_from_nowhere_says_from_where),
        cmocka_unit_test(a_machine_can_be_stopped_while_it_runs),
        cmocka_unit_test(a_machine_can_be_stopped_while_it_waits),
        cmocka_unit_test(as_many_processors_as_there_can_be),
        cmocka_unit_test(the_first_reason_counts),
        cmocka_unit_test(a_machine_that_was_stopped_before_does_not_run),
        cmocka_unit_test(the_channel_goes_both_ways),
        cmocka_unit_test(without_channel_there_is_no_second_port),
        cmocka_unit_test(the_clock_is_the_configured_one),
        cmocka_unit_test(without_one_it_is_the_hosts),
        cmocka_unit_test(a_device_in_memory_is_reached),
        cmocka_unit_test(level_interrupts_come_again_after_their_eoi),
        cmocka_unit_test(string_port_accesses),
        cmocka_unit_test(where_nobody_is_there_are_ones),
        cmocka_unit_test(several_processors),
        cmocka_unit_test(numbers_of_processors_that_cannot_be),
        cmocka_unit_test(a_part_outside_of_memory),
        cmocka_unit_test(memory_of_no_size),
        cmocka_unit_test(each_request_of_building_may_fail),
        cmocka_unit_test(each_may_be_one_that_the_kernel_does_not_know),
        cmocka_unit_test(each_request_of_running_may_fail),
        cmocka_unit_test(ending_a_zeroed_one_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

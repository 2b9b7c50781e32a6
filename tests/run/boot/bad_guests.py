# SPDX-License-Identifier: Apache-2.0
"""Guests and files that fail: each has its exit code, says why, and leaves nothing behind."""
import os
import signal
import struct

from .harness import KERNELS, check, check_equal, quickest_kernel

# ---- Guests of a few bytes ------------------------------------------------------------------------------------------

LOAD_GPA = 0x100000
CODE_GPA = LOAD_GPA + 0x1000

PT_LOAD, PT_NOTE = 1, 4
NOTE_PVH_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY of Xen's public/elfnote.h

SAY_X = b"\x66\xba\xf8\x03\xb0\x78\xee\xb0\x0a\xee"  # mov dx, 3f8h; mov al, 'x'; out dx, al; mov al, '\n'; out dx, al
SPIN = b"\xfa\xeb\xfe"  # cli; jmp to itself
HALT = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp to the hlt
# lidt with a table of no entries; ud2; then that table's limit and base
TRIPLE_FAULT = b"\x0f\x01\x1d" + struct.pack("<I", CODE_GPA + 9) + b"\x0f\x0b" + bytes(6)
FETCH_NOWHERE = b"\xb8\x00\x00\x00\xd0\xff\xe0"  # mov eax, d0000000h, where the PCI window is; jmp eax


def pvh_program(code):
    """An ELF file of one segment whose note says: enter here, in 32-bit mode."""
    note = struct.pack("<III4sI", 4, 4, NOTE_PVH_ENTRY, b"Xen\0", CODE_GPA)
    note_offset = 64 + 2 * 56
    content = bytes(CODE_GPA - LOAD_GPA) + code + bytes(64)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, CODE_GPA, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", PT_LOAD, 7, 0x1000, LOAD_GPA, LOAD_GPA, len(content), len(content), 0x1000)
    notes = struct.pack("<IIQQQQQQ", PT_NOTE, 4, note_offset, 0, 0, len(note), len(note), 4)
    return (head + load + notes + note).ljust(0x1000, b"\0") + content


def program(bench, code):
    return bench.path("program", pvh_program(code))


def spins_with_interrupts_off(bench):
    kernel = program(bench, SPIN)
    result = bench.run(kernel, ["--ready-timeout", "1"], ["true"], initrd=False).expect(112, b"")
    result.says("not ready within 1 s", "VP 0 runs with interrupts off", f"RIP {CODE_GPA + 1:x}")


def halts_with_interrupts_off(bench):
    kernel = program(bench, HALT)
    result = bench.run(kernel, ["--ready-timeout", "1", "--cpus", "2"], ["true"], initrd=False).expect(112, b"")
    result.says("VP 0 is halted with interrupts off", "VP 1 waits to be started")


def faults_three_times(bench):
    kernel = program(bench, TRIPLE_FAULT)
    bench.run(kernel, [], ["true"], initrd=False).expect(116, b"").says("triple fault", f"RIP {CODE_GPA + 7:x}")


def fetches_where_nothing_is(bench):
    kernel = program(bench, FETCH_NOWHERE)
    bench.run(kernel, [], ["true"], initrd=False).expect(117, b"").says("d0000000")


def interrupted_before_it_is_ready(bench):
    kernel = program(bench, SAY_X + SPIN)
    for number in (signal.SIGTERM, signal.SIGINT):
        running = bench.start(kernel, ["--console", "-"], ["true"], initrd=False)
        running.wait_for("err", b"x\n")
        running.signal(number)
        running.finish().expect(119, b"").says(signal.strsignal(number))


# ---- Linux that ends ------------------------------------------------------------------------------------------------


def panics(bench):
    result = bench.crash(KERNELS["debian12"], []).expect(113, b"before\n")
    result.says("the guest's kernel failed: ", "sysrq triggered crash", "the last lines of the guest's console",
                "write_sysrq_trigger+")


def init_ends(bench):
    result = bench.run(quickest_kernel(), ["--append", "rdinit=/bin/false"], ["true"]).expect(113, b"")
    result.says("Attempted to kill init!")


def no_init(bench):
    result = bench.run(quickest_kernel(), ["--append", "rdinit=/nowhere"], ["true"]).expect(113, b"")
    result.says("the guest's kernel failed: ")


def switches_off(bench):
    bench.shell(quickest_kernel(), [], "poweroff -f; sleep 1000").expect(115, b"").says("switched off")


def resets(name):
    def case(bench):
        bench.shell(KERNELS[name], [], "reboot -f; sleep 1000").expect(114, b"").says("reset itself")

    return case


# ---- Files ----------------------------------------------------------------------------------------------------------


def kernel_cut_short(image):
    def case(bench):
        with open(quickest_kernel().file(image), "rb") as f:
            content = f.read()
        for length in (100, 2000, len(content) // 2):
            cut = bench.path("cut", content[:length])
            bench.run(cut, [], ["true"]).expect(110, b"").says(cut)

    return case


def ramdisk_too_large(bench):
    large = bench.path("large", b"")
    os.truncate(large, 100 << 20)
    bench.run(quickest_kernel(), ["--memory", "64M", "--initrd", large], ["true"]).expect(110, b"").says("initial ramdisk",
                                                                                                      "more memory")


def memory_too_small(bench):
    for size in ("1M", "16M"):
        bench.run(KERNELS["debian12"], ["--memory", size], ["true"]).expect(110, b"").says("memory")


def modules_are_missing(bench):
    kernel = KERNELS["debian12"]
    nowhere = os.path.join(bench.folder, "nowhere")
    bench.run(kernel, ["--modules", nowhere], ["true"]).expect(110, b"").says(nowhere)
    folder = bench.path("folder")
    os.mkdir(folder)
    with open(os.path.join(folder, "modules.dep"), "wb") as f:
        f.write(b"kernel/overlay.ko:\n")
    bench.run(kernel, ["--modules", folder], ["true"]).expect(110, b"").says("overlay")


def says_nothing_else(bench):
    """A run in which all went well is silent on standard error."""
    check_equal(bench.run(quickest_kernel(), [], ["true"]).expect(0, b"").err, "", "standard error")


CASES = [
    ("exit_code_112_and_where_for_a_guest_that_spins", spins_with_interrupts_off),
    ("exit_code_112_and_where_for_a_guest_that_halts", halts_with_interrupts_off),
    ("exit_code_113_and_its_words_for_a_panic", panics),
    ("exit_code_113_for_an_init_that_ends", init_ends),
    ("exit_code_113_for_an_init_that_is_missing", no_init),
    ("exit_code_114_for_a_guest_that_resets", resets("debian12")),
    ("exit_code_114_for_a_guest_that_resets_by_the_bios", resets("debian13")),
    ("exit_code_115_for_a_guest_that_switches_off", switches_off),
    ("exit_code_116_for_a_triple_fault", faults_three_times),
    ("exit_code_117_for_a_jump_to_where_nothing_is", fetches_where_nothing_is),
    ("exit_code_119_for_a_signal_before_it_is_ready", interrupted_before_it_is_ready),
    ("exit_code_110_for_a_vmlinux_cut_short", kernel_cut_short("vmlinux")),
    ("exit_code_110_for_a_bzImage_cut_short", kernel_cut_short("vmlinuz")),
    ("exit_code_110_for_a_ramdisk_larger_than_memory", ramdisk_too_large),
    ("exit_code_110_for_too_little_memory", memory_too_small),
    ("exit_code_110_for_modules_that_are_missing", modules_are_missing),
    ("standard_error_is_silent_when_all_goes_well", says_nothing_else),
]

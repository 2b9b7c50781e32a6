# SPDX-License-Identifier: Apache-2.0
"""Disks: what they say of themselves, refusals, file systems on them."""
import os

from boot.harness import check_equal, quickest_kernel

SECTOR = 512
MIB = 1 << 20


def says_what_it_is(bench):
    image = bench.path("disk", bytes(7 * MIB + 3 * SECTOR))
    options = ["--disk", f"{image},serial=a serial number"]
    script = "cat /sys/block/vda/size /sys/block/vda/ro; cat /sys/block/vda/serial"
    out = bench.in_guest(quickest_kernel().name, 1, options, script)
    check_equal(out, f"{7 * MIB // SECTOR + 3}\n0\na serial number", "size, read-only, serial number")


def read_only_refuses_writes(bench):
    image = bench.path("disk")
    bench.do("fill", image, MIB, 1)
    script = f"""cat /sys/block/vda/ro; io-tool check /dev/vda {MIB} 1
    if io-tool fill /dev/vda {MIB} 2 2>&1; then echo written; fi"""
    out = bench.in_guest(quickest_kernel().name, 1, ["--disk", image + ",ro"], script)
    check_equal(out.splitlines()[0], "1", "read-only")
    check_equal("written" in out, False, "whether it was written to")
    bench.do("check", image, MIB, 1)


def several_are_in_order(bench):
    options = []
    for i in range(8):
        options += ["--disk", bench.path(f"disk{i}", b"%d" % i + bytes(MIB - 1))]
    out = bench.in_guest(quickest_kernel().name, 2, options, "for d in a b c d e f g h; do head -c 1 /dev/vd$d; done")
    check_equal(out, "01234567", "first bytes of the disks")


def a_file_system_survives(bench):
    """Made, filled and checked in one guest, read in the next."""
    image = bench.path("disk", b"")
    os.truncate(image, 24 * MIB)
    options, kernel = ["--disk", image], quickest_kernel().name
    bench.in_guest(kernel, 2, options, f"mke2fs /dev/vda >/dev/null; mkdir /m; mount -t ext2 /dev/vda /m; "
                                       f"io-tool fill /m/f {12 * MIB} 5; umount /m")
    bench.in_guest(kernel, 2, options, f"mkdir /m; mount -t ext2 -o ro /dev/vda /m; io-tool check /m/f {12 * MIB} 5")


CASES = [("disk_" + f.__name__, f) for f in
          (says_what_it_is, read_only_refuses_writes, several_are_in_order, a_file_system_survives)]

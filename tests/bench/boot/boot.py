#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Time from exec to the guest's first process, caisson on softhv beside QEMU's TCG, alternating in one run.

Both get the same kernel file, the same initial ramdisk (made here: one static program that prints READY) and the same
words of the kernel's command line. Prints medians and never judges.
"""
import argparse
import os
import resource
import select
import statistics
import subprocess
import sys
import time

WORDS = "console=ttyS0 quiet panic=-1 noreplace-smp cryptomgr.notests random.trust_cpu=on pci=off reboot=t rdinit=/init"
# TCG has neither Hyper-V's clocks nor a fast PIT: without this the guest hangs in calibration now and then.
QEMU_WORDS = "reboot=t tsc_early_khz=2000000"
LIMIT_S = 120


def cpio(files):
    """A newc archive of (name, mode, bytes)."""
    out = bytearray()
    for inode, (name, mode, data) in enumerate(files + [("TRAILER!!!", 0, b"")], 1):
        head = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08x" % n for n in head) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def run(command):
    """Seconds until READY, and seconds of processor time until the end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen, ready = b"", None
    while True:
        left = begin + LIMIT_S - time.monotonic()
        if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
            break
        piece = os.read(child.stdout.fileno(), 65536)
        if not piece:
            break
        seen += piece
        if ready is None and b"READY" in seen:
            ready = time.monotonic() - begin
            break
    child.kill() if ready is None else None
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ready is None:
        sys.exit(f"bench: no READY from: {' '.join(command)}\n{seen.decode(errors='replace')[-2000:]}")
    return ready, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def caisson(program, kernel, initrd, memory, cpus):
    return [program, "run", "--hv", "soft", "--kernel", kernel, "--initrd", initrd, "--memory", str(memory), "--cpus",
            str(cpus), "--no-default-args", "--append", WORDS, "--console", "-", "--no-tty", "--", "none"]


def qemu(program, kernel, initrd, memory, cpus):
    return [program, "-M", "microvm", "-accel", "tcg", "-cpu", "max", "-m", str(memory), "-smp", str(cpus), "-nodefaults",
            "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
            "-append", WORDS.replace("pci=off", "") + " " + QEMU_WORDS]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--caisson", required=True)
    p.add_argument("--qemu", default="qemu-system-x86_64")
    p.add_argument("--init", required=True, help="static program for the first process")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--memory", type=int, default=256)
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--scratch", required=True)
    p.add_argument("kernels", nargs="+", help="NAME=FILE")
    a = p.parse_args()
    initrd = os.path.join(a.scratch, "bench-boot.cpio")
    with open(a.init, "rb") as f, open(initrd, "wb") as out:
        out.write(cpio([("dev", 0o40755, b""), ("init", 0o100755, f.read())]))
    print(f"{'kernel':<22} {'caisson s':>10} {'QEMU s':>10} {'ratio':>7} {'caisson cpu s':>14} {'QEMU cpu s':>11}")
    for item in a.kernels:
        name, kernel = item.split("=", 1)
        ours, theirs = [], []
        for _ in range(a.runs):
            ours.append(run(caisson(a.caisson, kernel, initrd, a.memory, a.cpus)))
            theirs.append(run(qemu(a.qemu, kernel, initrd, a.memory, a.cpus)))
        c, q = (statistics.median(r[0] for r in rows) for rows in (ours, theirs))
        cc, qc = (statistics.median(r[1] for r in rows) for rows in (ours, theirs))
        print(f"{name:<22} {c:>10.3f} {q:>10.3f} {c / q:>7.2f} {cc:>14.3f} {qc:>11.3f}", flush=True)


if __name__ == "__main__":
    main()

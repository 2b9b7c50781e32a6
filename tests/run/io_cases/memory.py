# SPDX-License-Identifier: Apache-2.0
"""Memory that a guest gives back is the host's again: looked for in what the process holds."""
import subprocess
import time

from boot.harness import DEADLINE_S, KERNELS, check

KIB_PER_MIB = 1024
MEMORY_MIB = 384
EATEN_MIB = 192
INFLATED_MIB = 128
# The process beside guest memory: itself, and decoded code of its VP.
OWN_MIB = 40


def resident_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith("Rss:"):
                return int(line.split()[1]) // KIB_PER_MIB
    return 0


def wait_for_resident(pid, holds, what):
    """Looks again and again, at most until the deadline."""
    until = time.monotonic() + DEADLINE_S
    while not holds(resident_mib(pid)):
        check(time.monotonic() < until, f"resident are {resident_mib(pid)} MiB, not {what}, within {DEADLINE_S} s")
        time.sleep(0.02)


def say(running):
    """A line for the guest, which waits for one."""
    running.process.stdin.write(b"\n")
    running.process.stdin.flush()


def gives_back_what_it_does_not_use(name):
    """Reporting of free pages: Linux tells of pages some seconds after they were freed."""

    def case(bench):
        script = f"mkfifo /go; io-tool eat {EATEN_MIB << 20} /go & read line; : >/go; wait $!; read line"
        running = bench.guest(name, 1, ["--balloon", "0", "--memory", f"{MEMORY_MIB}M"], script, stdin=subprocess.PIPE)
        running.wait_for("out", b"eaten")
        full = resident_mib(running.process.pid)
        check(full >= EATEN_MIB, f"resident are {full} MiB although the guest uses more")
        say(running)
        running.wait_for("out", b"given back")
        # A part of it may be used otherwise or stay in pieces too small to be reported.
        wanted = full - EATEN_MIB * 3 // 4
        wait_for_resident(running.process.pid, lambda mib: mib <= wanted, f"{wanted} as opposed to {full}")
        say(running)
        running.finish().expect(0, b"eaten\ngiven back\n")

    return case


def balloon_takes_memory(name):
    """Once the guest has less, what it touches and what is in the balloon are not held at the same time."""

    def case(bench):
        most = MEMORY_MIB - INFLATED_MIB + OWN_MIB
        left_kib = (MEMORY_MIB - INFLATED_MIB) * KIB_PER_MIB
        script = f"""mkfifo /go
        while [ $(sed -n 's/^MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo) -gt {left_kib} ]; do :; done
        io-tool eat {(MEMORY_MIB - INFLATED_MIB) * 5 // 8 << 20} /go & read line; : >/go; wait $!"""
        # Pages that are cleared when they are allocated are the host's until the device discards them.
        options = ["--balloon", f"{INFLATED_MIB}M", "--memory", f"{MEMORY_MIB}M", "--append", "init_on_alloc=1"]
        running = bench.guest(name, 1, options, script, stdin=subprocess.PIPE)
        running.wait_for("out", b"eaten")
        wait_for_resident(running.process.pid, lambda mib: mib <= most, f"at most {most}")
        say(running)
        running.finish().expect(0, b"eaten\ngiven back\n")

    return case


CASES = [(f"{k}_gives_back_what_it_does_not_use", gives_back_what_it_does_not_use(k)) for k in KERNELS]
CASES += [(f"{k}_balloon_takes_memory", balloon_takes_memory(k)) for k in ("tailored", "debian12")]

# SPDX-License-Identifier: Apache-2.0
"""Kernels: each entry protocol, number of processors and size of memory; what they say about the machine; many boots."""
import os
import re
import subprocess
import threading

from .harness import KERNELS, Bench, check, check_equal

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts")

KIB_PER = {"M": 1 << 10, "G": 1 << 20}

# Sparse: each value of each column at least once for each kernel, the combinations spread over all three.
MATRIX = [
    # kernel, file, protocol, VPs, memory
    ("debian12", "vmlinux", "pvh", 2, "3584M"),
    ("debian12", "vmlinux", "linux64", 4, "6G"),
    ("debian12", "vmlinuz", "auto", 1, "256M"),
    ("debian13", "vmlinux", "pvh", 4, "6G"),
    ("debian13", "vmlinux", "linux64", 1, "256M"),
    ("debian13", "vmlinuz", "auto", 2, "3584M"),
    ("tailored", "vmlinux", "pvh", 4, "64M"),
    ("tailored", "vmlinux", "linux64", 2, "3584M"),
    ("tailored", "vmlinuz", "auto", 1, "256M"),
    ("tailored", "vmlinux", "pvh", 1, "6G"),
]

GENERATIONS = [("6.15", 1), ("6.15-stable", 2), ("6.19", 1), ("7.2", 2)]

MANY_BOOTS = int(os.environ.get("MANY_BOOTS", "50"))


def boots(name, image, protocol, vps, memory):
    def case(bench):
        kernel = KERNELS[name]
        script = "uname -r; nproc; grep MemTotal: /proc/meminfo; exit 42"
        options = ["--protocol", protocol, "--cpus", str(vps), "--memory", memory]
        lines = bench.shell(kernel, options, script, image=image, whole=True).expect(42).out.decode().splitlines()
        check_equal(lines[:2], [kernel.release(), str(vps)], "uname -r and nproc")
        kib, given = int(lines[2].split()[1]), int(memory[:-1]) * KIB_PER[memory[-1]]
        # What is missing is the kernel itself and its page structures.
        least = given * 9 // 10 if given > 1 << 20 else given * 6 // 10
        check(least <= kib < given, f"MemTotal is {kib} KiB of {given}")

    return case


# ---- What a kernel says ---------------------------------------------------------------------------------------------

OBSERVE = """
echo '== log'; dmesg -r
echo '== interrupts'; cat /proc/interrupts
echo '== timers'; cat /proc/timer_list
cd /sys/devices/system/clocksource/clocksource0
echo '== clocks'; cat current_clocksource available_clocksource
"""


class Observation:
    """Of one boot: sections of the guest's own view, and the trace of requests."""

    def __init__(self, text, trace):
        self.section = {}
        for part in re.split(r"^== ", text, flags=re.M)[1:]:
            title, _, rest = part.partition("\n")
            self.section[title] = rest.splitlines()
        self.log = self.section["log"]
        self.trace = trace

    def says(self, pattern):
        check(any(re.search(pattern, line) for line in self.log), f"the kernel's log has no line like {pattern!r}")


class Observations:
    """One boot of each kernel for all cases that only look at it."""

    def __init__(self, shared):
        self.shared = shared
        self.lock = {name: threading.Lock() for name in KERNELS}
        self.made = {}

    def of(self, name):
        with self.lock[name]:
            if name not in self.made:
                self.made[name] = self.observe(name)
            return self.made[name]

    def observe(self, name):
        bench = Bench(self.shared, os.path.join(self.shared.scratch, "observe_" + name))
        try:
            trace = bench.path("trace")
            result = bench.shell(KERNELS[name], ["--cpus", "2", "--trace", trace], OBSERVE, whole=True).expect(0)
            with open(trace, encoding="utf-8") as f:
                return Observation(result.out.decode(errors="replace"), f.read().splitlines())
        finally:
            bench.clean_up()


def uses_what_is_offered(name):
    def case(bench):
        o = bench.shared.observed.of(name)
        o.says("Hypervisor detected: Microsoft Hyper-V")
        o.says("Hyper-V: Using hypercall for remote TLB flush")
        o.says("Hyper-V: Using IPI hypercalls")
        o.says("clocksource: hyperv_clocksource_tsc_page: ")
        o.says("Switched APIC routing to:? physical x2apic")
        # The invariant TSC is offered, and Linux takes it if it is: hyperv_init.c lowers its own clock's rating then.
        current, available = o.section["clocks"]
        check_equal(current, "tsc", "current clock")
        check("hyperv_clocksource_tsc_page" in available, f"clocks: {available}")
        devices = [line.split(": ")[1] for line in o.section["timers"] if line.startswith("Clock Event Device: ")]
        check_equal(devices.count("Hyper-V clockevent"), 2, "processors whose ticks come from a synthetic timer")

    return case


def timers_come_directly(name):
    def case(bench):
        lines = bench.shared.observed.of(name).section["interrupts"]
        counts = {line.split(":")[0].strip(): line.split()[1:3] for line in lines[1:]}
        check(all(int(n) > 0 for n in counts["HVS"]), f"interrupts of synthetic timers: {counts['HVS']}")
        check_equal(counts["LOC"], ["0", "0"], "interrupts of the local APICs' timers")
        check_equal(counts["HYP"], ["0", "0"], "messages of the hypervisor")

    return case


def calibrates_nothing(name):
    def case(bench):
        o = bench.shared.observed.of(name)
        o.says(r"tsc: Detected [0-9.]+ MHz processor")
        o.says("Hyper-V: LAPIC Timer Frequency: 0x")
        o.says(r"Calibrating delay loop \(skipped\)")
        bad = [s for s in o.log if re.search("calibrat|refined tsc|lapic clock speed", s, re.I) and "(skipped)" not in s]
        check_equal(bad, [], "lines about calibration")

    return case


def accepted_warnings(name):
    """Patterns of tests/run/accepted-warnings for this kernel."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "accepted-warnings")
    found = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                kernels, pattern, reason = (field.strip() for field in line.split("|", 2))
                check(reason, f"{path}: no reason for {pattern!r}")
                if name in kernels.split(","):
                    found.append(pattern)
    return found


def warns_of_nothing_new(name):
    def case(bench):
        accepted = accepted_warnings(name)
        new = []
        for line in bench.shared.observed.of(name).log:
            m = re.match(r"<(\d+)>\[ *[0-9.]+\] (.*)", line)
            if m and int(m[1]) & 7 <= 4 and not any(re.search(p, m[2]) for p in accepted):
                new.append(line)
        check(not new, "warnings and errors that tests/run/accepted-warnings does not have:\n" + "\n".join(new))

    return case


def makes_known_requests(name):
    def case(bench):
        trace = bench.shared.observed.of(name).trace
        check(any(" MSHV_RUN_VP " in line for line in trace), "no run of a VP in the trace")
        foreign = [s for s in trace if re.search(r" (out-of-tree|unknown|wrong-descriptor)\b", s)]
        check_equal(foreign, [], "requests that the mainline driver does not have")
        # A kick ends a run with EINTR; nothing else is refused.
        refused = [s for s in trace if " = -1 " in s and not re.search(r" MSHV_RUN_VP = -1 EINTR$", s)]
        check_equal(refused, [], "refused requests")

    return case


# ---- Others ---------------------------------------------------------------------------------------------------------


def keeps_time_by_the_reference_page(bench):
    kernel = KERNELS["debian12"]
    script = """cd /sys/devices/system/clocksource/clocksource0; cat current_clocksource
    a=$(date +%s); sleep 1; b=$(date +%s); [ $((b - a)) -ge 1 ] && [ $((b - a)) -le 100 ]"""
    options = ["--cpus", "2", "--append", "clocksource=hyperv_clocksource_tsc_page"]
    bench.shell(kernel, options, script).expect(0, b"hyperv_clocksource_tsc_page\n")


def boots_on_generation(generation, vps):
    def case(bench):
        kernel = KERNELS["debian12"]
        options = ["--softhv-kernel", generation, "--cpus", str(vps)]
        bench.shell(kernel, options, "uname -r; nproc").expect(0, f"{kernel.release()}\n{vps}\n".encode())

    return case


def boots_again_and_again(every):
    """Half of the boots; of these each `every`th with two VPs."""

    def case(bench):
        kernel = KERNELS["debian12"]
        for i in range(1, MANY_BOOTS // 2 + 1):
            vps = 2 if i % every == 0 else 1
            result = bench.shell(kernel, ["--protocol", "pvh", "--cpus", str(vps)], "uname -r; nproc; exit 3")
            check(result.code == 3, f"boot {i} with {vps} VPs: exit code {result.code}\n{result.err}")
            check_equal(result.out, f"{kernel.release()}\n{vps}\n".encode(), f"output of boot {i}")

    return case


def packed_kernel_boots(bench):
    """As scripts/guest-kernel packs its own: smaller, and with the note that it is entered by."""
    kernel, path = KERNELS["debian12"].need(), bench.path("packed")
    subprocess.run([os.path.join(SCRIPTS, "pack-kernel"), kernel.file("vmlinux"), path], check=True)
    check(os.path.getsize(path) < os.path.getsize(kernel.file("vmlinux")), "it is not smaller")
    bench.shell(path, ["--protocol", "pvh", "--append", kernel.skips()], "uname -r").expect(0, f"{kernel.release()}\n".encode())


def unfit_files_are_not_packed(bench):
    for name, content in (("text", b"no kernel\n"), ("head", b"\x7fELF\x02\x01" + bytes(20)), ("wild", b"\x7fELF\x02\x01" + b"\xff" * 200)):
        done = subprocess.run([os.path.join(SCRIPTS, "pack-kernel"), bench.path(name, content), bench.folder + "/packed"],
                              check=False, stderr=subprocess.PIPE, text=True)
        check(done.returncode == 1 and "cannot pack" in done.stderr, f"{name}: {done}")


LOOKS = [uses_what_is_offered, timers_come_directly, calibrates_nothing, warns_of_nothing_new, makes_known_requests]

# The longest first.
CASES = [(f"debian12_boots_{MANY_BOOTS // 2}_times_{title}", boots_again_and_again(every)) for title, every in
         (("mostly_with_1", 5), ("every_other_time_with_2", 2))]
CASES += [(f"{k}_boots_{f}_by_{p}_on_{v}_with_{m}", boots(k, f, p, v, m)) for k, f, p, v, m in MATRIX]
CASES += [(f"{k}_{look.__name__}", look(k)) for k in KERNELS for look in LOOKS]
CASES += [(c.__name__, c) for c in (packed_kernel_boots, unfit_files_are_not_packed)]
CASES += [("debian12_keeps_time_by_the_reference_page", keeps_time_by_the_reference_page)]
CASES += [(f"debian12_boots_on_softhv_of_{g}_with_{v}", boots_on_generation(g, v)) for g, v in GENERATIONS]

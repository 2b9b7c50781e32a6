# SPDX-License-Identifier: Apache-2.0
"""The small devices, all at once on rings of the other kind, and a panic that only the device for it tells of."""
from boot.harness import KERNELS, check, check_equal

from .bench import kernel_options

MIB = 1 << 20
VIRTIO_F_RING_PACKED = 34


def has_every_device(name):
    """A driver for each, which took packed rings; random numbers, a console, data through disk and folder."""

    def case(bench):
        image, folder, console = bench.path("disk"), bench.make_dir("folder"), bench.path("console")
        bench.do("fill", image, MIB, 1)
        options = ["--packed-rings", "--rng", "--virtio-console", "--console", console, "--balloon", "0",
                   "--vsock", bench.path("v"), "--disk", image, "--share", f"s={folder}"]
        script = f"""for d in /sys/bus/virtio/devices/*; do
            [ -e $d/driver ] && echo $(cat $d/device) $(cut -c{VIRTIO_F_RING_PACKED + 1} $d/features); done
        cat /sys/class/misc/hw_random/rng_current; head -c 64 /dev/hwrng | wc -c
        mkdir /m; mount -t virtiofs s /m; io-tool check /dev/vda {MIB} 1; io-tool fill /m/f {MIB} 2
        echo said on hvc0 >/dev/hvc0"""
        lines = bench.in_guest(name, 2, options, script).splitlines()
        check_equal(sorted(lines[:6]), [f"0x{t:04x} 1" for t in (2, 3, 4, 5, 19, 26)], "devices, and packed rings")
        check_equal(lines[6:], ["virtio_rng.0", "64"], "source of random numbers, and how many came")
        bench.do("check", f"{folder}/f", MIB, 2)
        with open(console, "rb") as f:
            check(b"said on hvc0" in f.read(), "the console has not what was written to hvc0")

    return case


def tells_of_its_panic(name):
    """The kernel has no console that exists, so its words reach nobody."""

    def case(bench):
        words = "console=hvc9 panic=-1 8250.nr_uarts=2 noreplace-smp cryptomgr.notests pci=off"
        options = [*kernel_options(name), "--no-default-args", "--append", words]
        bench.crash(KERNELS[name], options).expect(113, b"before\n").says("reported that it failed, and said nothing of it")

    return case


CASES = [(f"{k}_has_every_device", has_every_device(k)) for k in KERNELS]
CASES += [(f"{k}_tells_of_its_panic", tells_of_its_panic(k)) for k in ("debian12", "debian13")]

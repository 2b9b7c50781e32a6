# SPDX-License-Identifier: Apache-2.0
"""Networks: passt as a user-mode stack, what is refused."""
import os
import pwd
import stat
import subprocess

from boot.harness import check, quickest_kernel

from .bench import IO_BYTES
from .namespace import GUEST, HOST, need, tap_network


def passt_socket(bench, network, *more):
    """A running passt, which has to be able to make its socket after it has become somebody else."""
    passt = need("passt", "passt")
    folder = bench.make_dir("passt")
    if os.geteuid() == 0:
        for part in (bench.folder, bench.shared.scratch):
            os.chmod(part, stat.S_IMODE(os.stat(part).st_mode) | 0o011)
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    path = f"{folder}/socket"
    daemon = bench.host([*network.inside(), passt, "--foreground", "--stderr", "--socket", path, *more])
    while not os.path.exists(path):
        check(daemon.step(), f"passt ended: {daemon.out.decode(errors='replace')}")
    return path


def passt_moves_data(bench):
    """The namespace's only interface lends its address; the gateway's address is this side's loopback."""
    network = tap_network(bench)
    subprocess.run([*network.inside(), need("ip", "iproute2"), "route", "add", "default", "via", GUEST], check=True)
    n = IO_BYTES // 4
    path = passt_socket(bench, network, "-4", "-t", "5003")
    receiver = network.tool("tcp-serve-recv", 5000, n, 90).wait_for(b"listening")
    sender = network.tool("tcp-serve-send", 5001, n, 91).wait_for(b"listening")
    script = f"""io-tool net-up eth0 {HOST}/24 {GUEST}
    io-tool tcp-send {GUEST} 5000 {n} 90; io-tool tcp-recv {GUEST} 5001 {n} 91; io-tool tcp-serve-recv 5003 {n} 92"""
    running = bench.guest(quickest_kernel().name, 2, ["--net", f"stream={path}"], script, inside=network.inside())
    running.wait_for("out", b"listening")
    network.tool("tcp-send", "127.0.0.1", 5003, n, 92).finish()
    running.finish().expect(0)
    receiver.finish()
    sender.finish()


def tap_that_is_not_there_is_an_error(bench):
    network = tap_network(bench)
    running = bench.guest(quickest_kernel().name, 1, ["--net", "tap=tap9"], "true", inside=network.inside())
    running.finish().expect(111).says("tap9")


CASES = [("network_" + f.__name__, f) for f in (passt_moves_data, tap_that_is_not_there_is_an_error)]

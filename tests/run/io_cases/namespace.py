# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of the host, in which a guest's network ends and nothing else is reached."""
import os
import shutil
import subprocess

from boot.harness import Skip

HOST, GUEST = "192.0.2.1", "192.0.2.2"  # RFC 5737: nobody's


def need(program, package):
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise Skip(f"no {program} here: 'scripts/packages install guest' brings it ({package})")
    return found


class Network:
    """A namespace that lives as long as a process in it does."""

    def __init__(self, bench, commands):
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise Skip("/dev/net/tun cannot be opened here")
        ip = need("ip", "iproute2")
        script = "set -e; " + "; ".join(f"{ip} {c}" for c in ["link set lo up", *commands]) + "; echo up; exec cat"
        self.bench = bench
        self.holder = bench.host(["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE)
        while b"up\n" not in self.holder.out:
            if not self.holder.step():
                raise Skip(f"no network namespace: {self.holder.out.decode(errors='replace').strip()}")

    def inside(self):
        """Words before a command that is to run in it."""
        return ["nsenter", f"--net=/proc/{self.holder.process.pid}/ns/net", "--"]

    def tool(self, *words):
        return self.bench.host([*self.inside(), self.bench.shared.tool, *(str(w) for w in words)])


def tap_network(bench, flags=""):
    return Network(bench, [f"tuntap add dev tap0 mode tap {flags}", f"addr add {HOST}/24 dev tap0", "link set tap0 up"])

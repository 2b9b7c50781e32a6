# SPDX-License-Identifier: Apache-2.0
"""What a network plugin leaves for a pod, made without one."""
import os
import subprocess

from suite import Skip, need

HOST, GUEST = "192.0.2.1", "192.0.2.2"  # RFC 5737: nobody's


class PluginNetwork:
    """A namespace with a pair's one end, address and route; the other end in one of ours."""

    def __init__(self, world):
        if os.geteuid() != 0:
            raise Skip("namespaces of the network take root here")
        self.holders = []
        ip = need("ip", "iproute2")
        need("nsenter", "util-linux")
        self.outside, self.inside = self.hold(), self.hold()
        for who, words in (
                (self.outside, f"link add cni0 type veth peer name eth0 netns {self.inside}"), (self.outside, f"addr add {HOST}/24 dev cni0"),
                (self.outside, "link set cni0 up"), (self.inside, "link set lo up"), (self.inside, f"addr add {GUEST}/24 dev eth0"),
                (self.inside, "link set eth0 up"), (self.inside, f"route add default via {HOST}")):
            subprocess.run([*self.enter(who), ip, *words.split()], check=True)
        world.at_end(self.end)

    def hold(self):
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(holder)
        if holder.stdout.readline() != b"up\n":
            raise Skip("no network namespace can be made here")
        return holder.pid

    def enter(self, who):
        return ["nsenter", f"--net=/proc/{who}/ns/net", "--"]

    def path(self):
        return f"/proc/{self.inside}/ns/net"

    def links(self):
        words = [*self.enter(self.inside), "/usr/bin/python3", "-c", "import socket; print(*sorted(n for _, n in socket.if_nameindex()))"]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    def filters(self):
        words = [*self.enter(self.inside), need("tc", "iproute2"), "qdisc", "show", "dev", "eth0"]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout

    def end(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()
            holder.stdin.close()
            holder.stdout.close()

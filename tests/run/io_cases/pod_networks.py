# SPDX-License-Identifier: Apache-2.0
"""Networks of pods: a network namespace as a plugin makes it, taken over by a VMM; both ends are reached."""
import os
import subprocess
import time

from boot.harness import Skip, check, check_equal, quickest_kernel
from boot.runner import ROOT

from .bench import IO_BYTES
from .namespace import Network, need

MAC, HOST_MAC = "02:00:5e:88:00:05", "02:00:5e:88:00:01"
MTU = 1450


class Plugin:
    """A pod's namespace whose eth0 leads to plug0 in another one, which stands for the node."""

    def __init__(self, bench, addresses, routes=(), neighbours=()):
        self.attach = os.path.abspath(os.environ.get("POD_ATTACH") or os.path.join(ROOT, "build/dev/pod-attach"))
        if not os.access(self.attach, os.X_OK):
            raise Skip("no program pod-attach: make test-io builds it, unless CONFIG_POD_NET is off")
        self.bench = bench
        self.node, self.pod = Network(bench, []), Network(bench, [])
        self.ip(self.node, f"link add plug0 address {HOST_MAC} mtu {MTU} type veth"
                           f" peer name eth0 address {MAC} mtu {MTU} netns {self.pod.holder.process.pid}")
        self.ip(self.node, "link set plug0 up")
        self.ip(self.pod, "link set eth0 up")
        for a in addresses:
            self.ip(self.pod, f"addr add {a} dev eth0 {'nodad' if ':' in a else ''}")
        for words in [f"route add {r}" for r in routes] + [f"neigh add {n}" for n in neighbours]:
            self.ip(self.pod, words)
        self.before = self.state()

    def ip(self, network, words):
        done = subprocess.run([*network.inside(), need("ip", "iproute2"), *words.split()], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check_equal(done.returncode, 0, f"ip {words}: {done.stdout.strip()}")
        return done.stdout

    def state(self):
        """What a plugin could see of its namespace, but for what changes by itself."""
        words = [self.ip(self.pod, f"{c} show dev eth0").replace(" tentative", "")
                 for c in ("addr", "route", "-6 route")]
        tc = subprocess.run([*self.pod.inside(), need("tc", "iproute2"), "qdisc", "show", "dev", "eth0"], check=True,
                            stdout=subprocess.PIPE, text=True)
        links = sorted(line.split(":")[1] for line in self.ip(self.pod, "-o link").splitlines())
        return words + [tc.stdout, links]

    def run(self, script, **more):
        path = f"/proc/{self.pod.holder.process.pid}/ns/net"
        return self.bench.guest(quickest_kernel().name, 1, ["@nets"], "@setup\n" + script, inside=[self.attach, path],
                                **more)

    def on_node(self, *words):
        return self.bench.host([*self.node.inside(), *words])


def get(plugin, url):
    return plugin.on_node(need("busybox", "busybox-static"), "wget", "-q", "-O", "-", url).finish()


def serve(plugin, port):
    os.mkdir(plugin.bench.path("www"))
    plugin.bench.path("www/index.html", b"from the node\n")
    plugin.on_node(need("busybox", "busybox-static"), "httpd", "-f", "-p", str(port), "-h", plugin.bench.path("www"))
    until = time.monotonic() + 30
    words = [*plugin.node.inside(), need("busybox", "busybox-static"), "wget", "-q", "-O", "-",
             f"http://127.0.0.1:{port}/"]
    while subprocess.run(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        check(time.monotonic() < until, "httpd on the node does not answer")


def exchange(plugin, guest, node):
    """HTTP in both directions, over each of the addresses."""
    serve(plugin, 8081)
    fetch = "".join(f"wget -q -O - http://{a}:8081/; " for a in node)
    script = f"""mkdir /www; echo from the guest >/www/index.html; httpd -p 8080 -h /www
    {fetch} echo serving; cat >/dev/null"""
    running = plugin.run(script, stdin=subprocess.PIPE)
    running.wait_for("out", b"serving\n")
    for a in guest:
        check_equal(get(plugin, f"http://{a}:8080/"), b"from the guest\n", f"what the guest serves at {a}")
    running.process.stdin.close()
    running.finish().expect(0, b"from the node\n" * len(node) + b"serving\n")
    check_equal(plugin.state(), plugin.before, "the namespace afterwards")


def bridged(bench):
    """Addresses of both versions, default routes by the node: as the plugin "bridge" does it."""
    plugin = Plugin(bench, ["10.88.0.5/16", "fd00:88::5/64"], ["default via 10.88.0.1", "default via fd00:88::1"])
    for a in ("10.88.0.1/16", "fd00:88::1/64 nodad", "198.51.100.1/32", "2001:db8::1/128 nodad"):
        plugin.ip(plugin.node, f"addr add {a} dev plug0")
    return plugin


def http_is_served_and_fetched(bench):
    exchange(bridged(bench), ["10.88.0.5", "[fd00:88::5]"],
             ["10.88.0.1", "[fd00:88::1]", "198.51.100.1", "[2001:db8::1]"])


def http_works_where_the_gateway_is_in_no_network(bench):
    """A lone address and a made-up gateway with a neighbour that stays: as Calico and Cilium do it."""
    plugin = Plugin(bench, ["10.65.0.2/32"],
                    ["169.254.1.1 dev eth0 scope link", "default via 169.254.1.1 src 10.65.0.2"],
                    [f"169.254.1.1 lladdr {HOST_MAC} dev eth0 nud permanent"])
    plugin.ip(plugin.node, "addr add 10.65.0.1/32 dev plug0")
    plugin.ip(plugin.node, "route add 10.65.0.2 dev plug0")
    exchange(plugin, ["10.65.0.2"], ["10.65.0.1"])


def data_is_moved(bench):
    plugin = bridged(bench)
    tool, n = bench.shared.tool, IO_BYTES
    receiver = plugin.on_node(tool, "tcp-serve-recv", "5000", str(n), "70").wait_for(b"listening")
    sender = plugin.on_node(tool, "tcp-serve-send", "5001", str(n), "71").wait_for(b"listening")
    script = f"""io-tool ping 10.88.0.1 10
    for d in send recv; do
        read begin rest </proc/uptime; io-tool tcp-$d 10.88.0.1 $([ $d = send ] && echo 5000 {n} 70 || echo 5001 {n} 71)
        read end rest </proc/uptime; echo $d $begin $end
    done
    io-tool tcp-serve-recv 5002 {n} 72"""
    running = plugin.run(script)
    running.wait_for("out", b"listening at 5002\n")
    plugin.on_node(tool, "tcp-send", "10.88.0.5", "5002", str(n), "72").finish()
    words = [w.split() for w in running.finish().expect(0).out.decode().splitlines()]
    for w in words:
        if w[0] in ("send", "recv") and len(w) == 3:
            print(f"    guest {w[0]}: {n / (1 << 20) / max(float(w[2]) - float(w[1]), 0.01):.0f} MiB/s")
    receiver.finish()
    sender.finish()


def namespace_outlives_a_killed_vmm(bench):
    """Its TAP goes with it; what it left beside eth0 does not stop the next one."""
    plugin = bridged(bench)
    running = plugin.run("echo up; cat >/dev/null", stdin=subprocess.PIPE)
    running.wait_for("out", b"up\n")
    check("tap0_csn" in plugin.ip(plugin.pod, "-o link"), "there is no TAP while the VMM runs")
    running.kill()
    running.process.stdin.close()
    until = time.monotonic() + 30
    while "tap0_csn" in plugin.ip(plugin.pod, "-o link"):
        check(time.monotonic() < until, "the TAP stays when the VMM is killed")
    plugin.run("io-tool ping 10.88.0.1 3").finish().expect(0)
    check_equal(plugin.state(), plugin.before, "the namespace afterwards")


CASES = [("pod_network_" + f.__name__, f)
         for f in (http_is_served_and_fetched, http_works_where_the_gateway_is_in_no_network, data_is_moved,
                   namespace_outlives_a_killed_vmm)]

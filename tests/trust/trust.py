# SPDX-License-Identifier: Apache-2.0
"""What programs about trust share: pods with a configuration of their own, event logs read by code that is not ours,
policies signed by openssl.
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "pod"))
# pylint: disable=wrong-import-position
from bundle import write_json  # noqa: E402
from runtime import PodWorld, Runtime  # noqa: E402
from suite import Failure, check, need  # noqa: E402

EV_NO_ACTION = 3
ALGORITHMS = {0x000b: ("sha256", 32), 0x000c: ("sha384", 48)}
OFFLINE = (0, 1, 7, 8, 9, 13)  # registers that are final when the guest starts
CONTAINERS, EXECS = 14, 15
P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551


# ---- Event logs -----------------------------------------------------------------------------------------------------


def read_log(data):
    """Events behind the first: (register, type, {bank: digest}, data)."""
    pcr, kind, size = struct.unpack_from("<II20xI", data)
    check(pcr == 0 and kind == EV_NO_ACTION and data[32:47] == b"Spec ID Event03", "the log does not begin as one")
    at, events = 32 + size, []
    while at < len(data):
        pcr, kind, count = struct.unpack_from("<III", data, at)
        at += 12
        digests = {}
        for _ in range(count):
            name, length = ALGORITHMS[struct.unpack_from("<H", data, at)[0]]
            digests[name] = data[at + 2:at + 2 + length]
            at += 2 + length
        length, = struct.unpack_from("<I", data, at)
        events.append((pcr, kind, digests, data[at + 4:at + 4 + length]))
        at += 4 + length
    check(at == len(data), "the last event is cut")
    return events


def replay(events):
    """{(register, bank): hexadecimal} of all that a quote covers."""
    values = {(pcr, name): bytes(size) for pcr in OFFLINE + (CONTAINERS, EXECS) for name, size in ALGORITHMS.values()}
    for pcr, _, digests, _ in events:
        for name, digest in digests.items():
            values[pcr, name] = hashlib.new(name, values[pcr, name] + digest).digest()
    return {key: value.hex() for key, value in values.items()}


def descriptions(events, pcr):
    """What the agent has told of containers or processes."""
    return [json.loads(data) for at, _, _, data in events if at == pcr and data[:1] == b"{"]


# ---- Policies -------------------------------------------------------------------------------------------------------


def canonical(value):
    """RFC 8785 for ASCII keys and integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def raw_signature(der):
    """r and s of an ECDSA signature in DER, the lower s."""
    def number(at):
        check(der[at] == 2 and der[at + 1] < 0x80, "openssl's signature has another form")
        return int.from_bytes(der[at + 2:at + 2 + der[at + 1]], "big"), at + 2 + der[at + 1]

    r, at = number(2)
    s, _ = number(at)
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def openssl(*words, data=None):
    done = subprocess.run([need("openssl", "openssl"), *words], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    check(done.returncode == 0, f"openssl {' '.join(words)}: {done.stderr!r}")
    return done.stdout


def make_key(path, curve="prime256v1"):
    """A private key that others cannot read, and its public one in path + ".pub"."""
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", path)
    os.chmod(path, 0o600)
    openssl("pkey", "-in", path, "-pubout", "-out", path + ".pub")
    return path


def write_policy(path, policy, key):
    """The document in canonical form, and its signature beside it."""
    document = canonical(policy)
    header = url(b'{"alg":"ES256"}')
    der = openssl("dgst", "-sha256", "-sign", key, data=header + b"." + url(document))
    with open(path, "wb") as f:
        f.write(document)
    with open(path + ".jws", "wb") as f:
        f.write(header + b".." + url(raw_signature(der)))
    return path


# ---- Pods -----------------------------------------------------------------------------------------------------------


class Configured(Runtime):
    """Commands with more properties in the configuration, and the same containers."""

    def __init__(self, world, name, **more):
        super().__init__(world)
        with open(world.configuration(), encoding="utf-8") as f:
            properties = json.load(f)
        path = world.path(f"config-{name}.json")
        write_json(path, {**properties, **more})
        self.environment["CAISSON_CONFIG"] = path


class TrustWorld(PodWorld):
    def pod_file(self, name, file):
        with open(os.path.join(self.runtime.root, name, "pod", file), "rb") as f:
            return f.read()

    def log_of(self, name):
        return read_log(self.pod_file(name, "eventlog.bin"))

    def measured(self, *options, runtime=None):
        """{(register, bank): hexadecimal} by `caisson measure`."""
        words = (runtime or self.runtime).command("measure", *options).text()
        values = {}
        for line in words.splitlines():
            pcr, bank, value = line.split(" ")
            values[int(pcr), bank] = value
        check(sorted(values) == sorted((p, b) for p in OFFLINE for b in ("sha256", "sha384")),
              f"measure prints other registers: {words}")
        return values

    def tampered_kernel(self):
        """A copy with one bit changed, far from headers."""
        path = self.path("tampered")
        if not os.path.exists(path):
            with open(self.kernel.file("vmlinux"), "rb") as f:
                data = bytearray(f.read())
            data[len(data) // 2] ^= 1
            with open(path, "wb") as f:
                f.write(data)
        return path


def compare(found, expected, where):
    """Registers of one that are others in the other."""
    wrong = [f"PCR {pcr} {bank}: {found.get((pcr, bank))}, and not {value}" for (pcr, bank), value in sorted(expected.items())
             if found.get((pcr, bank)) != value]
    if wrong:
        raise Failure(f"{where}:\n" + "\n".join(wrong))

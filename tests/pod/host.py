# SPDX-License-Identifier: Apache-2.0
"""What there is on the host of the containers of a world: things that can stay behind, and what processes hold.

The test makes itself the reaper of its descendants: whatever process loses its parent becomes its child, so none can hide.
"""
import ctypes
import os
import re
import subprocess

from runtime import left_behind

PR_SET_CHILD_SUBREAPER = 36


def read(path):
    """Text of a file of /proc; empty if it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


# ---- Processes ------------------------------------------------------------------------------------------------------


def adopt_orphans():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        found += [int(word) for word in read(f"/proc/{pid}/task/{task}/children").split()]
    return found


def stat_fields(pid):
    """Of /proc/PID/stat, from the state (field 3) on; none if it is gone."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def start_of(pid):
    """With the number, the identity of a process. None: gone, or a zombie."""
    fields = stat_fields(pid)
    return None if not fields or fields[0] == "Z" else int(fields[19])


def reap(kept):
    """Take leave of adopted children that have ended; kept: numbers of those that somebody else waits for."""
    for pid in children(os.getpid()):
        if pid not in kept and stat_fields(pid)[:1] == ["Z"]:
            os.waitpid(pid, 0)


LARGE_KIB = 32 * 1024  # a mapping of this size is a guest's memory, of which the guest uses what it likes


def own_memory(pid):
    """Resident memory (KiB) without a guest's."""
    mappings = re.findall(r"^Size:\s+(\d+).*?^Rss:\s+(\d+)", read(f"/proc/{pid}/smaps"), re.M | re.S)
    return sum(int(rss) for size, rss in mappings if int(size) < LARGE_KIB)


def held(pid):
    """Descriptors, threads, resident and proportional memory (KiB) of a process, and its resident memory without a guest's."""
    status = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", read(f"/proc/{pid}/status"), re.M))
    pss = re.search(r"^Pss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        descriptors = 0
    return {"descriptors": descriptors, "threads": int(status.get("Threads", 0)), "rss": int(status.get("VmRSS", 0)),
            "pss": int(pss.group(1)) if pss else 0, "own": own_memory(pid)}


# ---- Everything -----------------------------------------------------------------------------------------------------


def locks_in(root):
    """Paths of files below a folder that somebody has locked."""
    locked = set(re.findall(r" [0-9a-f]+:[0-9a-f]+:(\d+) ", read("/proc/locks")))
    files = [os.path.join(where, n) for where, _, names in os.walk(root) for n in names if n == "lock"]
    return [path for path in files if str(os.lstat(path).st_ino) in locked]


def files_below(folder):
    return [os.path.join(where, n) for where, folders, names in os.walk(folder) for n in folders + names]


def in_namespace(network):
    """Links and queueing disciplines of a plugin's namespace, as `ip` and `tc` list them, without their counters."""
    text = subprocess.run([*network.enter(network.inside), "sh", "-c", "ip -o link; tc qdisc show"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    # Whether there is a carrier is told some moments after a pair of devices was made, and has nothing to do with pods.
    text = re.sub(r"NO-CARRIER,|,LOWER_UP| state \S+", "", text)
    return sorted(re.sub(r"\s+", " ", line).strip() for line in text.splitlines())


def things(world, kept):
    """Words for each thing that containers of a world have on the host now. kept: children that are not meant."""
    reap(kept)
    root, temporary = world.runtime.root, world.path("tmp")
    found = set(left_behind(world.scratch, world.tag, [root]))
    found |= {f"process {pid} of nobody: {read(f'/proc/{pid}/cmdline')[:80]!r}" for pid in children(os.getpid()) if pid not in kept}
    found |= {f"lock {path}" for path in locks_in(root)}
    found |= {f"file {path}" for path in files_below(temporary)}
    for network in world.networks:
        found |= {f"network: {line}" for line in in_namespace(network)}
    return found

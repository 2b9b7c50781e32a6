# SPDX-License-Identifier: Apache-2.0
"""Shared folders: file operations compared with those of the host, refusals, what the host changes."""
import hashlib
import os
import re
import stat

from boot.harness import KERNELS, Skip, check, check_equal, quickest_kernel

MOUNT = "mkdir /m; mount -t virtiofs s /m; "


# ---- The list of file operations ------------------------------------------------------------------------------------


def accepted_differences(name, cache):
    """Patterns of tests/run/posix-differences for this kernel and mode."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "posix-differences")
    found = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                kernels, caches, pattern, reason = (field.strip() for field in line.split(" | ", 3))
                check(reason, f"{path}: no reason for {pattern!r}")
                if name in kernels.split(",") and (caches == "*" or cache in caches.split(",")):
                    found.append(pattern)
    return found


# What follows from accepted differences: a device, a file whose ranges were moved, one that was not written by a map.
LEFT_DIFFERENT = {"auto": (b"special/null", b"holes/solid"), "always": (b"special/null", b"holes/solid"),
                  "none": (b"special/null", b"holes/solid", b"mmap/f")}


def describe(path):
    s = os.lstat(path)
    text = f"{stat.filemode(s.st_mode)} {s.st_uid}:{s.st_gid}"
    if stat.S_ISLNK(s.st_mode):
        return f"{text} -> {os.readlink(path)}"
    if stat.S_ISREG(s.st_mode):
        with open(path, "rb") as f:
            return f"{text} links {s.st_nlink} {hashlib.sha256(f.read()).hexdigest()}"
    return text


def tree(folder):
    """What each path below a folder is."""
    found = {}
    for parent, folders, files in os.walk(folder.encode()):
        for f in folders + files:
            path = os.path.join(parent, f)
            found[os.path.relpath(path, folder.encode())] = describe(path)
    return found


def by_name(lines):
    """Steps of a list by their names, to which a count is added where there are several of a name."""
    found, seen = {}, {}
    for line in lines[:-1]:
        name, _, result = line[4:].rpartition(": ")
        seen[name] = seen.get(name, 0) + 1
        found[name, seen[name]] = result
    return found


def compare_lists(host, guest, accepted):
    """A step that one of them could not get to is compared as "missing"."""
    wanted, got = by_name(host), by_name(guest)
    new = []
    for step in [*wanted, *(s for s in got if s not in wanted)]:
        name, ours, theirs = step[0], wanted.get(step, "missing"), got.get(step, "missing")
        if ours != theirs and not any(re.fullmatch(p, f"{name}: {theirs}") for p in accepted):
            new.append(f"  {name}: {ours} on the host, {theirs} in the guest")
    check(not new, "differences that tests/run/posix-differences does not have:\n" + "\n".join(new))


def does_as_the_host(name, cache):
    """Also: the host finds in the guest's folder what it has in its own."""

    def case(bench):
        if os.geteuid() != 0:
            raise Skip("file operations of several users need root on the host")
        folder = bench.make_dir("folder")
        host = bench.do("posix", f"{folder}/host").decode(errors="replace").splitlines()
        check(len(host) > 300, f"the host's list is short: {len(host)} lines")
        options = ["--share", f"s={folder},cache={cache}"]
        guest = bench.in_guest(name, 2, options, MOUNT + "io-tool posix /m/guest").splitlines()
        compare_lists(host, guest, accepted_differences(name, cache))
        theirs, ours = tree(f"{folder}/guest"), tree(f"{folder}/host")
        different = [f"  {p!r}: host {ours.get(p)}, guest {theirs.get(p)}" for p in sorted(set(ours) | set(theirs))
                     if ours.get(p) != theirs.get(p) and p not in LEFT_DIFFERENT[cache]]
        check(not different, "what the lists left in the folders:\n" + "\n".join(different))

    return case


# ---- Others ---------------------------------------------------------------------------------------------------------


def read_only_refuses_changes(bench):
    folder = bench.make_dir("folder")
    bench.do("fill", f"{folder}/f", 1 << 20, 1)
    before = tree(folder)
    script = MOUNT + f"""io-tool check /m/f {1 << 20} 1
    for c in 'rm /m/f' 'mv /m/f /m/g' 'mkdir /m/d' 'ln /m/f /m/h' 'ln -s f /m/s' 'chmod 0 /m/f' 'touch /m/f' \
        'touch /m/n' 'chown 1 /m/f' 'truncate -s 0 /m/f' 'mkfifo /m/p'; do if $c 2>/dev/null; then echo "possible: $c"; fi; done"""
    out = bench.in_guest(quickest_kernel().name, 1, ["--share", f"s={folder},ro"], script)
    check_equal(out, "", "what was possible")
    check_equal(tree(folder), before, "what is in the folder")


def leads_nowhere_else(bench):
    """A link that leaves the folder is the guest's to follow, and two dots end at its root."""
    folder = bench.make_dir("folder")
    secret = bench.path("secret", b"of the host")
    os.symlink(secret, f"{folder}/absolute")
    os.symlink("../secret", f"{folder}/relative")
    os.symlink("inside", f"{folder}/inner")
    with open(f"{folder}/inside", "w", encoding="ascii") as f:
        f.write("of the folder")
    script = MOUNT + "for f in absolute relative ../secret inner; do if cat /m/$f 2>/dev/null; then echo; fi; done"
    out = bench.in_guest(quickest_kernel().name, 1, ["--share", f"s={folder}"], script)
    check_equal(out, "of the folder\n", "what could be read")


def sees_what_the_host_changes(bench):
    """Without a cache at once: the guest asks for each look."""
    folder = bench.make_dir("folder")
    script = MOUNT + "cat /m/f; echo ready; while [ ! -e /m/go ]; do :; done; cat /m/f; ls /m"
    with open(f"{folder}/f", "w", encoding="ascii") as f:
        f.write("before\n")
    running = bench.guest(quickest_kernel().name, 1, ["--share", f"s={folder},cache=none"], script)
    running.wait_for("out", b"ready\n")
    with open(f"{folder}/f", "w", encoding="ascii") as f:
        f.write("after that\n")
    with open(f"{folder}/go", "w", encoding="ascii"):
        pass
    running.finish().expect(0, b"before\nready\nafter that\nf\ngo\n")


def several_are_told_apart_by_tag(bench):
    options, script = [], ""
    for i, tag in enumerate(("one", "two", "with-dash", "x" * 36)):
        folder = bench.make_dir(f"folder{i}")
        with open(f"{folder}/f", "w", encoding="ascii") as f:
            f.write(str(i))
        options += ["--share", f"{tag}={folder}"]
        script = f"mkdir /m{i}; mount -t virtiofs {tag} /m{i}; cat /m{i}/f; " + script
    check_equal(bench.in_guest(quickest_kernel().name, 1, options, script), "3210", "what is in the folders")


CASES = [(f"{k}_share_does_as_the_host", does_as_the_host(k, "auto")) for k in KERNELS]
CASES += [(f"tailored_share_does_as_the_host_with_cache_{c}", does_as_the_host("tailored", c)) for c in
          ("none", "always")]
CASES += [("share_" + f.__name__, f) for f in (
    read_only_refuses_changes, leads_nowhere_else, sees_what_the_host_changes, several_are_told_apart_by_tag)]

# SPDX-License-Identifier: Apache-2.0
"""Bundles for containers: a root of busybox, and a config.json that a case changes where it wants something else."""
import copy
import json
import os
import shutil
import subprocess

from suite import Failure, is_static, need

CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
                "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nship:x:1000:1000:ship:/home/ship:/bin/sh\n"
GROUP = "root:x:0:\nship:x:1000:\ncrew:x:2000:ship\n"
FOLDERS = ("bin", "dev", "etc", "home/ship", "proc", "root", "run", "sys", "tmp", "usr/bin", "var")
VERSION = "1.2.0"


def static_busybox():
    path = need("busybox", "busybox-static")
    with open(path, "rb") as f:
        if not is_static(f.read()):
            raise Failure(f"{path} is linked dynamically: 'scripts/packages install guest' brings busybox-static")
    return path


def make_root(folder):
    """busybox with a link for each of its commands, and what a system has besides."""
    busybox = static_busybox()
    for name in FOLDERS:
        os.makedirs(os.path.join(folder, name))
    os.chmod(os.path.join(folder, "tmp"), 0o1777)
    os.chown(os.path.join(folder, "home/ship"), 1000, 1000)
    shutil.copy(busybox, os.path.join(folder, "bin", "busybox"))
    applets = subprocess.run([busybox, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            os.symlink("busybox", os.path.join(folder, "bin", applet))
    for name, text in (("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/hostname", "image\n")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)
    return folder


def mount(destination, kind, *options, source=None):
    return {"destination": destination, "type": kind, "source": source or kind, "options": list(options)}


MOUNTS = [
    mount("/proc", "proc"),
    mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
    mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k", source="shm"),
    mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
]
MASKED = ["/proc/kcore", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def config(args, **process):
    """What `runc spec` makes in essence. args: a shell script, or a list. process: more of its properties."""
    words = ["/bin/sh", "-c", args] if isinstance(args, str) else list(args)
    capabilities = {name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")}
    return {
        "ociVersion": VERSION,
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": words, "env": [PATH], "cwd": "/",
                    "capabilities": capabilities, "noNewPrivileges": True, **process},
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "barge",
        "mounts": copy.deepcopy(MOUNTS),
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READONLY),
        },
    }


def set_at(value, path, new):
    """Change config["a"]["b"][0] by "a.b.0"; a missing object on the way is made. DELETE removes."""
    *way, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for step in way:
        value = value[step] if isinstance(step, int) else value.setdefault(step, {})
    if new is DELETE:
        del value[last]
    elif isinstance(last, int) and last == len(value):
        value.append(new)
    else:
        value[last] = new


DELETE = object()


def write_json(path, value):
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
        if isinstance(value, str):
            f.write(value)
        else:
            json.dump(value, f)


def make_bundle(folder, spec, root=None):
    """A bundle folder; root: a folder that several share, by a link, or None for one of its own that is empty."""
    os.makedirs(folder)
    if root is None:
        os.mkdir(os.path.join(folder, "rootfs"))
    else:
        os.symlink(root, os.path.join(folder, "rootfs"))
    write_json(os.path.join(folder, "config.json"), spec)
    return folder

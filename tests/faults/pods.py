# SPDX-License-Identifier: Apache-2.0
"""Pods, and the commands for them, with faults in commands and monitors: each run starts a guest."""
import json
import os
import shutil
import subprocess
import sys

import scenarios

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "pod"))
# pylint: disable=wrong-import-position
from bundle import config, static_busybox  # noqa: E402
from suite import chosen_kernel  # noqa: E402

CGROUPS = "/sys/fs/cgroup"
LOST_POD = 255


def name_of(folder):
    """Of the container in a run's folder: no two runs at a time have the same."""
    return os.path.basename(folder).replace("_", "-")


def cgroups_of(name):
    return [path for path, _, _ in os.walk(CGROUPS) if os.path.basename(path) == name]


class Pod(scenarios.Scenario):
    """A container from its bundle, in the foreground."""

    name = "pod_run"
    codes = {1, LOST_POD}
    share = 0.3
    limit = 100
    lost_codes = (1, LOST_POD)

    def words(self, folder):
        return [self.caisson, "--root", f"{folder}/state", "run", "--bundle", f"{folder}/bundle", name_of(folder)]

    def environment(self, folder):
        return {"CAISSON_CONFIG": f"{folder}/caisson.json"}

    def prepare(self, folder):
        kernel = chosen_kernel()
        what = {"kernel": kernel.file("vmlinux"), "hv": "soft"}
        if kernel.modules():
            what.update(modules=kernel.modules(), cmdline=kernel.skips())
        for path in ("bundle/rootfs/bin", "bundle/rootfs/dev", "bundle/rootfs/proc", "bundle/rootfs/sys", "volume"):
            os.makedirs(f"{folder}/{path}")
        shutil.copy(static_busybox(), f"{folder}/bundle/rootfs/bin/sh")
        spec = config("echo output; echo words >&2; echo written >/volume/file; exit 7")
        spec["mounts"].append({"destination": "/volume", "type": "bind", "source": f"{folder}/volume", "options": ["rbind"]})
        spec["linux"]["cgroupsPath"] = f"/{name_of(folder)}"
        self.change(spec)
        for path, value in (("caisson.json", what), ("bundle/config.json", spec)):
            with open(f"{folder}/{path}", "w", encoding="ascii") as f:
                json.dump(value, f)

    def change(self, spec):
        """The bundle's configuration, before it is written."""

    def call(self, folder, *words):
        """A command without faults."""
        return subprocess.run([self.caisson, "--root", f"{folder}/state", *words], check=False, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, env={**os.environ, **self.environment(folder)})

    def was_told(self, result):
        """The guest's shell says what it was told."""
        return result.code != LOST_POD and b"sh: " in result.err

    def outcome(self, result, folder):
        """Whoever failed to delete is asked to do it again, and then nothing may be left."""
        name = name_of(folder)
        if os.path.isdir(f"{folder}/state") and os.listdir(f"{folder}/state"):
            again = self.call(folder, "delete", "--force", name)
            if again.returncode != 0:
                result.err += b"a second delete: " + again.stderr
        left = [f"state/{f}" for f in os.listdir(f"{folder}/state")] if os.path.isdir(f"{folder}/state") else []
        return [result.code, result.out, sorted([*left, *cgroups_of(name), *os.listdir(folder)]), scenarios.read(f"{folder}/volume/file")]


class OnPod(Pod):
    """A command for a pod that is there, and goes on. verb: its words, with NAME for the container's name."""

    verb = ()
    started = True
    invisible = ("short",)
    codes = {1}
    share = 1.0

    def words(self, folder):
        return [self.caisson, "--root", f"{folder}/state", *(name_of(folder) if w == "NAME" else w for w in self.verb)]

    def change(self, spec):
        spec["process"]["args"] = ["/bin/sh", "-c", "exec sleep 1000000"]

    def prepare(self, folder):
        super().prepare(folder)
        # Its output must not keep anybody waiting for the monitor.
        with open(f"{folder}/log", "wb") as log:
            for words in [["create", "--bundle", f"{folder}/bundle", name_of(folder)]] + [["start", name_of(folder)]] * self.started:
                subprocess.run([self.caisson, "--root", f"{folder}/state", *words], check=True, timeout=60, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, env={**os.environ, **self.environment(folder)})


class Start(OnPod):
    name, verb, started = "pod_start", ("start", "NAME"), False


class Exec(OnPod):
    name, verb = "pod_exec", ("exec", "NAME", "/bin/sh", "-c", "echo inside; exit 3")
    codes = {1, LOST_POD}


class Kill(OnPod):
    name, verb = "pod_kill", ("kill", "NAME", "KILL")


class Pause(OnPod):
    name, verb = "pod_pause", ("pause", "NAME")


class Delete(OnPod):
    name, verb = "pod_delete", ("delete", "--force", "NAME")


ALL = (Pod, Start, Exec, Kill, Pause, Delete)

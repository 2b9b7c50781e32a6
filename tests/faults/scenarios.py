# SPDX-License-Identifier: Apache-2.0
"""What the program is made to do, again and again, with another fault each time."""
import json
import os
import shutil

import catalogue
import peers
import program

# Of `caisson run`, with a line each (docs/run.md), and of every command.
RUN_CODES = {1, *range(110, 120)}
LOST = 99


class Scenario:
    """One way to use the program. codes: with which it may end when it says why."""

    name = ""
    codes = {1}
    folder = None  # to run in; None: an own one
    # Faults that are not noticed. Commands without handlers for signals are not interrupted, and may say that they were.
    invisible = catalogue.INVISIBLE
    share = 1.0  # of the places of its main thread, in a run that is to be short
    stdin = b""
    limit = program.LIMIT_S
    lost_codes = ()  # besides that for a thread that has ended

    def __init__(self, caisson, tools):
        self.caisson, self.tools = caisson, tools

    def words(self, folder):
        """The command line. folder: of the run, its current one unless the scenario names another."""
        raise NotImplementedError

    def environment(self, folder):
        """More variables."""
        del folder
        return {}

    def prepare(self, folder):
        """Make what it needs; returns something with end(), or None."""

    def outcome(self, result, folder):
        """What has to be the same when nothing may be noticed: a list of comparable things."""
        return [result.code, result.out, sorted(os.listdir(folder))]

    def was_told(self, result):
        """Did somebody who can do something about it hear of the fault, and all go on? The guest, for one."""
        del result
        return False


def read(path):
    """None: there is no such file."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


class Command(Scenario):
    """A command's output and exit code, through the session protocol; the console in a file."""

    name = "run"
    codes = RUN_CODES
    share = 0.5
    stdin = b"input\n"

    def words(self, _folder):
        return [self.caisson, "run", "--hv=soft", "--kernel", f"{self.tools}/run/guest", "--protocol", "linux64", "--memory", "64M",
                "--append", "e", "--console", "console", "--timings", "--", "command"]


class Devices(Scenario):
    """Every device, each doing what it is for."""

    name = "devices"
    codes = RUN_CODES
    share = 0.25

    def words(self, _folder):
        return [self.caisson, "run", "--hv=soft", "--kernel", f"{self.tools}/faults/guest", "--protocol", "linux64", "--memory", "64M",
                "--append", "devices", "--console", "console", "--disk", "disk", "--share", "tag=share,cache=none", "--vsock",
                "vsock", "--net", "stream=net", "--rng", "--balloon", "16M", "--virtio-console", "--", "command"]

    def prepare(self, folder):
        with open(f"{folder}/disk", "wb") as f:
            f.write(b"".join(bytes([i & 255]) * 512 for i in range(1024)))
        os.mkdir(f"{folder}/share")
        with open(f"{folder}/share/file", "wb") as f:
            f.write(b"a file\n")
        return peers.Peers(folder)

    def outcome(self, result, folder):
        return super().outcome(result, folder) + [read(f"{folder}/console"), read(f"{folder}/disk"), os.listdir(f"{folder}/share"),
                                                  read(f"{folder}/share/file")]

    def was_told(self, result):
        return result.code in (42, LOST)


class List(Scenario):
    """What is remembered of containers."""

    name = "list"
    invisible = ("short",)

    def words(self, _folder):
        return [self.caisson, "--root", "state", "list"]


class Features(Scenario):
    """What is supported, for the tools that ask."""

    name = "features"
    invisible = ("short",)

    def words(self, _folder):
        return [self.caisson, "features"]


class Spec(Scenario):
    """A file that is written."""

    name = "spec"
    invisible = ("short",)

    def words(self, _folder):
        return [self.caisson, "spec"]

    def outcome(self, result, folder):
        return super().outcome(result, folder) + [read(f"{folder}/config.json")]


class Doctor(Scenario):
    """A look at the host."""

    name = "doctor"
    invisible = ("short",)

    def words(self, _folder):
        return [self.caisson, "doctor", "--json"]

    def was_told(self, result):
        """It tells of what fails: that is its purpose."""
        try:
            return result.code in (0, 1) and bool(json.loads(result.out))
        except ValueError:
            return False


class UnitTests(Scenario):
    """A program of unit tests, for code that runs as a guest's first process. That a test fails when a call does is
    right; that the code under test crashes or never comes back is not."""

    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    invisible = ()
    share = 0.2

    def __init__(self, program, tools):
        super().__init__(program, tools)
        self.name = os.path.basename(program)

    def words(self, _folder):
        return [self.caisson]

    def outcome(self, result, folder):
        return [result.code, b"", []]

    def was_told(self, result):
        del result
        return True


ALL = (Command, Devices, List, Features, Spec, Doctor)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)

# SPDX-License-Identifier: Apache-2.0
"""What the programs of tests/pod and tests/oci share: cases one after the other in a world that they share.

A case is a function of the world; it returns when all holds and raises Failure or Skip otherwise. Starting a pod takes
seconds, so a world keeps pods and what containers said in them, and a case looks at its part of that. Prints the lines
that scripts/run-tests counts. RESULTS: a folder for files of the programs' names, with "NAME OUTCOME" of each case.
"""
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "run"))
# pylint: disable=wrong-import-position
from boot.harness import KERNELS, Failure, Kernel, Skip, check, check_equal, fewer, is_static, make_initrd, quickest_kernel  # noqa: E402,F401
from boot.runner import program  # noqa: E402,F401

WAIT_S = int(os.environ.get("WAIT_S") or 120)  # for whatever has to come


def need_root(why):
    if os.geteuid() != 0:
        raise Skip(f"{why} take root: run this as root")


def need_cgroups():
    """Engines make cgroups before they call a runtime."""
    folder = "/sys/fs/cgroup/memory" if os.path.isdir("/sys/fs/cgroup/memory") else "/sys/fs/cgroup"
    try:
        os.rmdir(tempfile.mkdtemp(prefix="caisson-test.", dir=folder))
    except OSError as e:
        raise Skip(f"no cgroup can be made here: {folder}: {e.strerror}") from None


def need(name, package):
    """Path of a program of the host."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise Skip(f"no {name} here: 'scripts/packages install guest' brings it ({package})")
    return found


def wait_until(holds, what, seconds=WAIT_S):
    """Ask again and again; for what tells nobody that it has happened."""
    until = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer:
            return answer
        check(time.monotonic() < until, f"not within {seconds} s: {what}")
        time.sleep(0.02)


def chosen_kernel():
    """KERNEL: debian12, debian13 or tailored; otherwise the one that starts fastest of those that are here."""
    name = os.environ.get("KERNEL")
    if not name:
        return quickest_kernel()
    if name not in KERNELS:
        raise Failure(f"KERNEL is '{name}', which is none of {', '.join(KERNELS)}")
    return KERNELS[name].need()


class Ended(BaseException):
    """Somebody's patience is: no failure of the case under way, and no case comes after it."""


class World:
    """What cases share: a folder, and things to be ended with it, last first."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.made = {}
        self.endings = []

    def prepare(self):
        """What all cases need. Skip: none of them can be tried on this machine."""

    def path(self, *names):
        return os.path.join(self.scratch, *names)

    def folder(self, *names):
        path = self.path(*names)
        os.makedirs(path, exist_ok=True)
        return path

    def once(self, key, make):
        """Make a thing for the first that asks for it. What failed once fails for everybody who needs it."""
        if key not in self.made:
            try:
                self.made[key] = (make(), None)
            except (Failure, Skip) as e:
                self.made[key] = (None, e)
            except Exception as e:  # pylint: disable=broad-except
                self.made[key] = (None, Failure(f"{key}: {e!r}"))
        thing, error = self.made[key]
        if isinstance(error, Failure):
            self.made[key] = (None, Failure(f"needs '{key}', which failed: see the first case that needs it"))
        if error is not None:
            raise error
        return thing

    def at_end(self, ending):
        self.endings.append(ending)

    def close(self):
        """Words about what could not be ended, or that was left behind."""
        words = []
        for ending in reversed(self.endings):
            try:
                ending()
            except Exception as e:  # pylint: disable=broad-except
                words.append(f"at the end: {e}")
        self.endings = []
        return words


def judge(world, case):
    try:
        case(world)
        return "PASSED", ""
    except Skip as e:
        return "SKIPPED", str(e)
    except Failure as e:
        return "FAILED", str(e)
    except Exception:  # pylint: disable=broad-except
        return "FAILED", traceback.format_exc()


def tell(program_name, name, outcome, words, seconds):
    print(f"[ RUN      ] {name}")
    if words:
        print(words)
    shown = {"PASSED": "[       OK ]", "FAILED": "[  FAILED  ]", "SKIPPED": "[  SKIPPED ]"}[outcome]
    print(f"{shown} {name} ({seconds:.1f} s)", flush=True)
    if os.environ.get("RESULTS"):
        with open(os.path.join(os.environ["RESULTS"], program_name), "a", encoding="ascii") as f:
            f.write(f"{name} {outcome}\n")


def run_cases(program_name, cases, world):
    outcomes = []
    for name, case in cases:
        begin = time.monotonic()
        outcome, words = judge(world, case)
        tell(program_name, name, outcome, words, time.monotonic() - begin)
        outcomes.append(outcome)
    words = world.close()
    tell(program_name, "nothing_is_left_behind_at_the_end", "FAILED" if words else "PASSED", "\n".join(words), 0)
    outcomes.append("FAILED" if words else "PASSED")
    return outcomes


def sum_up(outcomes):
    print(f"[==========] {len(outcomes)} test(s) run.")
    for outcome in ("PASSED", "SKIPPED", "FAILED"):
        if outcome in outcomes or outcome == "PASSED":
            print(f"[  {outcome}  ] {outcomes.count(outcome)} test(s).")
    return 1 if "FAILED" in outcomes else 0


def stop(number, _):
    """Once: what cases have started has to be ended in peace."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended(signal.strsignal(number))


def prepare(program_name, cases, world):
    """None, or the outcomes of cases that cannot be tried."""
    try:
        world.prepare()
        return None
    except Skip as e:
        outcome, words = "SKIPPED", str(e)
    except Failure as e:
        outcome, words = "FAILED", str(e)
    for name, _ in cases:
        tell(program_name, name, outcome, words, 0)
        words = ""
    return [outcome] * len(cases)


def main(name, cases, make_world):
    """Ends the program. make_world: of a folder, which goes away at the end."""
    signal.signal(signal.SIGTERM, stop)
    words = sys.argv[1:]
    if words == ["--list"]:
        print("\n".join(n for n, _ in cases))
        sys.exit(0)
    cases = [c for c in cases if not words or any(w in c[0] for w in words)]
    if not cases:
        sys.exit(f"{name}: no case has any of these words in its name: {' '.join(words)}")
    with tempfile.TemporaryDirectory(prefix="caisson-test.") as scratch:
        os.chmod(scratch, 0o755)
        world = make_world(scratch)
        try:
            outcomes = prepare(name, cases, world) or run_cases(name, cases, world)
        except Ended as e:
            sys.exit(f"{name}: ended: {e}")
        finally:
            for words in world.close():
                print(words)
    sys.exit(sum_up(outcomes))

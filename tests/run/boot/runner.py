# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of a program like boot_test, several at a time, and prints the lines that scripts/run-tests counts."""
import concurrent.futures
import os
import sys
import tempfile
import threading
import time
import traceback

from .harness import Bench, Failure, Skip

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")


def program(variable, default):
    """Path of a program that is tested or helps: from the environment, or where make puts it."""
    path = os.path.abspath(os.environ.get(variable) or os.path.join(ROOT, default))
    if not os.access(path, os.X_OK):
        raise Failure(f"no program {path}: run make first, or set {variable}")
    return path


class Shared:
    """The same for all cases; written before the first of them."""

    bench = Bench  # class of what each case gets

    def __init__(self, scratch, initrd):
        self.caisson = program("CAISSON", "build/dev/caisson")
        self.scratch = scratch
        self.initrd = os.path.join(scratch, "root.cpio")
        self.printing = threading.Lock()
        with open(self.initrd, "wb") as f:
            f.write(initrd)


def judge(shared, name, case):
    """Run a case; "PASSED", "FAILED" or "SKIPPED", and the words for it."""
    bench = shared.bench(shared, os.path.join(shared.scratch, name))
    try:
        case(bench)
        bench.end()
        return "PASSED", ""
    except Skip as e:
        return "SKIPPED", str(e)
    except Failure as e:
        return "FAILED", str(e)
    except Exception:  # pylint: disable=broad-except
        return "FAILED", traceback.format_exc()
    finally:
        bench.clean_up()


def run_case(shared, name, case):
    begin = time.monotonic()
    outcome, words = judge(shared, name, case)
    with shared.printing:
        print(f"[ RUN      ] {name}")
        if words:
            print(words)
        shown = {"PASSED": "[       OK ]", "FAILED": "[  FAILED  ]", "SKIPPED": "[  SKIPPED ]"}[outcome]
        print(f"{shown} {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    return outcome


def run_cases(cases, make_shared, words):
    if words == ["--list"]:
        print("\n".join(name for name, _ in cases))
        return 0
    cases = [c for c in cases if not words or any(w in c[0] for w in words)]
    with tempfile.TemporaryDirectory(prefix="caisson-test.") as scratch:
        shared = make_shared(scratch)
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS") or os.cpu_count())) as pool:
            outcomes = list(pool.map(lambda c: run_case(shared, *c), cases))
    print(f"[==========] {len(outcomes)} test(s) run.")
    for outcome in ("PASSED", "SKIPPED", "FAILED"):
        if outcome in outcomes or outcome == "PASSED":
            print(f"[  {outcome}  ] {outcomes.count(outcome)} test(s).")
    return 1 if "FAILED" in outcomes or not outcomes else 0


def main(name, cases, make_shared):
    """Ends the program. name: its own, for what goes wrong before the first case. make_shared: of a folder."""
    try:
        sys.exit(run_cases(cases, make_shared, sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"{name}: {failure}")

# SPDX-License-Identifier: Apache-2.0
"""Operations and states: create, start, state, kill, delete and what each refuses; exec, exit codes, signals, list, ps."""
import json
import os
import signal
import subprocess
import time

from bundle import config, set_at, write_json
from runtime import processes_with
from suite import Skip, check, check_equal, wait_until

from .world import CRI, changed

FOREVER = ["sleep", "1000000"]


def with_container(body, args=None, started=False, **more):
    """A case with a container of the shared pod, which is deleted in the end."""

    def case(world):
        name = world.create(changed("process.args", args or FOREVER), **more)
        try:
            if started:
                world.runtime.command("start", name).good()
            body(world, name)
        finally:
            world.runtime.remove(name)
        check_equal(world.runtime.status(name), "gone", "status after delete")

    case.__name__ = body.__name__
    return case


def created(body):
    return with_container(body)


def running(body):
    return with_container(body, started=True)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


# ---- State ----------------------------------------------------------------------------------------------------------


def schema_violations(state):
    """schema/state-schema.json of the specification, by hand."""
    kinds = {"ociVersion": str, "id": str, "status": str, "bundle": str}
    for name, kind in kinds.items():
        if not isinstance(state.get(name), kind):
            yield f"{name} is {state.get(name)!r}"
    if state.get("status") not in ("creating", "created", "running", "stopped", "paused"):
        yield f"status is {state.get('status')!r}"
    pid = state.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid < 0 or (pid == 0 and state.get("status") in ("created", "running")):
        yield f"pid is {pid!r}"
    annotations = state.get("annotations", {})
    if not isinstance(annotations, dict) or not all(isinstance(v, str) for v in annotations.values()):
        yield f"annotations are {annotations!r}"


def state_is_as_specified(world):
    annotations = {"org.example.fruit": "a pear", "empty": "", CRI + "container-type": "container"}
    spec = changed("annotations", annotations, "process.args", FOREVER)
    name = world.create(spec)
    try:
        states = [world.runtime.state(name)]
        world.runtime.command("start", name).good()
        states.append(world.runtime.state(name))
        world.runtime.command("kill", name, "KILL").good()
        world.runtime.wait_status(name, "stopped")
        states.append(world.runtime.state(name))
    finally:
        world.runtime.remove(name)
    check_equal([s["status"] for s in states], ["created", "running", "stopped"], "status")
    for state in states:
        check_equal(list(schema_violations(state)), [], "what violates the schema")
        check_equal((state["id"], state["bundle"]), (name, world.path("bundles", name)), "id and bundle")
        check(state["ociVersion"].startswith("1."), f"ociVersion is {state['ociVersion']}")
        check_equal({k: state["annotations"].get(k) for k in annotations}, annotations, "annotations")
    check_equal(states[0]["pid"], states[1]["pid"], "pid before and after start")


@created
def pid_is_a_process_of_the_host(world, name):
    pid = world.runtime.state(name)["pid"]
    check(os.path.isdir(f"/proc/{pid}"), f"there is no process {pid}")


def state_needs_an_id(world):
    world.runtime.command("state").bad()


def state_of_nothing_is_refused(world):
    world.runtime.command("state", world.name("nothing")).bad("does not exist")


# ---- Create ---------------------------------------------------------------------------------------------------------


def create_does_not_run_the_program(world):
    out = world.path("created-out")
    name = world.create(changed(args="echo the program runs; exec sleep 1000000"), out=out)
    try:
        time.sleep(0.3)  # it would not take longer
        check_equal((read(out), world.runtime.status(name)), ("", "created"), "output and status before start")
        world.runtime.command("start", name).good()
        wait_until(lambda: read(out) == "the program runs\n", "output of the program")
        check_equal(world.runtime.status(name), "running", "status after start")
    finally:
        world.runtime.remove(name)


def changes_of_the_configuration_come_too_late(world):
    out = world.path("late-out")
    name = world.create(changed(args="echo as it was"), out=out)
    try:
        write_json(world.path("bundles", name, "config.json"), changed(args="echo changed"))
        world.runtime.command("start", name).good()
        world.runtime.wait_status(name, "stopped")
        wait_until(lambda: read(out), "output of the program")
        check_equal(read(out), "as it was\n", "output")
    finally:
        world.runtime.remove(name)


def create_needs_a_bundle_and_an_id(world):
    world.runtime.command("create").bad()
    world.runtime.command("create", "--bundle", world.path("bundles")).bad()
    empty = world.folder("no-configuration")
    name = world.name("empty")
    world.runtime.command("create", "--bundle", empty, name).bad("config.json")
    world.check_nothing_of(name)
    world.runtime.command("create", "--bundle", world.path("never-there"), name).bad()
    world.check_nothing_of(name)


@created
def id_that_is_taken_is_refused(world, name):
    before = world.runtime.state(name)
    world.runtime.create(name, world.path("bundles", name)).bad("exist")
    check_equal(world.runtime.state(name), before, "state of the first")


def ids_that_are_invalid_are_refused(world):
    bundle = world.bundle(world.name("id"), changed())
    for name in ("", ".", "..", "a/b", "../x", "a b", "a\nb", "ü", "x" * 5000):
        world.runtime.create(name, bundle).bad()
    check(not os.path.exists(os.path.join(os.path.dirname(world.runtime.root), "x")), "a name left the state folder")


def two_creates_at_once_make_one_container(world):
    name = world.name("twice")
    bundle = world.bundle(name, world.member(changed("process.args", FOREVER)))
    with open(os.devnull, "r+b") as null:
        makers = [world.runtime.popen("create", "--bundle", bundle, name, stdin=null, stdout=null, stderr=null) for _ in range(2)]
        codes = sorted(m.wait(120) != 0 for m in makers)
    try:
        check_equal(codes, [False, True], "whether each failed")
        check_equal(world.runtime.status(name), "created", "status")
    finally:
        world.runtime.remove(name)


@created
def later_commands_find_the_container(world, name):
    listed = json.loads(world.runtime.command("list", "--format", "json").text())
    found = [c for c in listed if c["id"] == name]
    check_equal([c["status"] for c in found], ["created"], "status in the list")
    check(name in world.runtime.command("list", "-q").text().split(), "not in list -q")
    check(name in world.runtime.command("list").text(), "not in list")


# ---- Start ----------------------------------------------------------------------------------------------------------


def start_needs_an_id(world):
    world.runtime.command("start").bad()
    world.runtime.command("start", world.name("nothing")).bad("does not exist")


@running
def start_of_a_running_one_is_refused(world, name):
    before = world.runtime.state(name)
    world.runtime.command("start", name).bad()
    check_equal(world.runtime.state(name), before, "state")


@running
def start_of_a_stopped_one_is_refused(world, name):
    world.runtime.command("kill", name, "KILL").good()
    world.runtime.wait_status(name, "stopped")
    world.runtime.command("start", name).bad()
    check_equal(world.runtime.status(name), "stopped", "status")


def start_without_a_process_is_refused(world):
    """create may refuse such a configuration already."""
    spec = world.member(changed())
    del spec["process"]
    name = world.name("no-process")
    result = world.runtime.create(name, world.bundle(name, spec))
    if result.code == 0:
        try:
            world.runtime.command("start", name).bad("process")
        finally:
            world.runtime.remove(name)
    else:
        result.bad("process")


def program_that_is_missing_is_refused(world):
    """By create or by start, which says which one."""
    spec = world.member(changed("process.args", ["/no/such/program"]))
    name = world.name("no-program")
    result = world.runtime.create(name, world.bundle(name, spec))
    if result.code == 0:
        try:
            result = world.runtime.command("start", name)
        finally:
            world.runtime.remove(name)
    result.bad("/no/such/program")


# ---- Kill -----------------------------------------------------------------------------------------------------------


def kill_needs_an_id(world):
    world.runtime.command("kill").bad()
    world.runtime.command("kill", world.name("nothing"), "KILL").bad("does not exist")


@running
def kill_of_a_stopped_one_is_refused(world, name):
    world.runtime.command("kill", name, "9").good()
    world.runtime.wait_status(name, "stopped")
    before = world.runtime.state(name)
    world.runtime.command("kill", name, "TERM").bad("not running")
    check_equal(world.runtime.state(name), before, "state")


@created
def kill_reaches_a_created_one(world, name):
    world.runtime.command("kill", name, "KILL").good()
    world.runtime.wait_status(name, "stopped")


@running
def kill_refuses_signals_that_there_are_not(world, name):
    for word in ("NOSUCH", "-1", "0x9", "100", "SIGSIG"):
        world.runtime.command("kill", name, word).bad()
    check_equal(world.runtime.status(name), "running", "status")


def kill_sends_the_given_signal(world):
    out = world.path("signals-out")
    names = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH")
    traps = "; ".join(f"trap 'echo got {n}' {n}" for n in names)
    name = world.create(changed(args=f"{traps}; echo up; while :; do sleep 1000 & wait $!; done"), out=out)
    try:
        world.runtime.command("start", name).good()
        wait_until(lambda: "up\n" in read(out), "the program is up")
        for i, n in enumerate(names):
            word = (n, "SIG" + n, str(int(getattr(signal, "SIG" + n))))[i % 3]
            world.runtime.command("kill", name, word).good()
            wait_until(lambda n=n: f"got {n}\n" in read(out), f"signal {n}, sent as {word}")
        check_equal(read(out).count("got"), len(names), "signals that came")
    finally:
        world.runtime.remove(name)


# ---- Delete ---------------------------------------------------------------------------------------------------------


def delete_needs_an_id(world):
    world.runtime.command("delete").bad()
    world.runtime.command("delete", world.name("nothing")).bad("does not exist")


@running
def delete_of_a_running_one_is_refused(world, name):
    before = world.runtime.state(name)
    world.runtime.command("delete", name).bad("not stopped")
    check_equal(world.runtime.state(name), before, "state")


def delete_of_nothing_by_force_is_no_error(world):
    world.runtime.command("delete", "--force", world.name("nothing")).good()


def delete_removes_what_create_made(world):
    """Of a pod of its own: process, sockets, folder; not the bundle, nor what was in its volumes."""
    volume = world.folder("kept")
    spec = changed("process.args", ["true"])
    spec["mounts"].append({"destination": "/v", "type": "bind", "source": volume, "options": ["rbind"]})
    before = processes_with(world.scratch)
    name = world.create(spec, "removed", alone=True)
    pid = world.runtime.state(name)["pid"]
    world.runtime.command("start", name).good()
    world.runtime.wait_status(name, "stopped")
    world.runtime.command("delete", name).good()
    world.check_nothing_of(name)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), f"process {pid} ends", 10)
    wait_until(lambda: len(processes_with(world.scratch)) <= len(before), "its processes end", 10)
    check(os.path.isdir(volume) and os.path.exists(world.path("bundles", name, "config.json")), "bundle or volume is gone")
    again = world.bundle(name + "-again", changed(args="echo again"))
    check_equal(world.runtime.run(name, again).text(), "again\n", "a new one of the same name")


# ---- Exit codes, exec, other commands -------------------------------------------------------------------------------


def exit_codes_come_back(world):
    for code in (0, 1, 2, 42, 126, 127, 128, 255):
        check_equal(world.run(changed(args=f"exit {code}")).code, code, "exit code of run")


def deaths_by_signal_come_back(world):
    """Of an exec: the first process of a namespace is spared signals that it does not catch."""
    for number in (6, 9, 11, 15):
        result = world.runtime.command("exec", world.sandbox(), "/bin/sh", "-c", f"kill -{number} $$; sleep 1")
        check_equal(result.code, 128 + number, f"exit code after signal {number}")


def exec_runs_in_the_container(world):
    name = world.sandbox()
    run = world.runtime.command
    check_equal(run("exec", name, "/bin/sh", "-c", "cat; exit 7", stdin=b"through\n").code, 7, "exit code of exec")
    check_equal(run("exec", name, "cat", stdin=b"x" * 100000).good().out, b"x" * 100000, "what cat gave back")
    result = run("exec", "--env", "FRUIT=a pear", "--cwd", "/tmp", "--user", "1000:1001", "--additional-gids", "7", name, "/bin/sh",
                 "-c", 'echo "$FRUIT"; pwd; id -u; id -g; id -G; hostname')
    lines = result.text().splitlines()
    check_equal(lines[:4] + [lines[5]], ["a pear", "/tmp", "1000", "1001", "barge"], "environment, folder, user, group, hostname")
    check("7" in lines[4].split(), f"groups are {lines[4]}")
    result = run("exec", name, "/no/such/program")
    check(result.code != 0 and "/no/such/program" in result.err, str(result))


def exec_takes_a_process_file(world):
    path = world.path("process.json")
    process = config('echo "$A"; pwd; umask; echo err >&2; exit 9')["process"]
    process.update({"env": ["A=from the file", "PATH=/bin"], "cwd": "/etc", "user": {"uid": 1000, "gid": 1000, "umask": 0o077}})
    write_json(path, process)
    result = world.runtime.command("exec", "--process", path, world.sandbox())
    check_equal((result.code, result.out, result.err), (9, b"from the file\n/etc\n0077\n", "err\n"), "code, output, error")


def exec_detached_has_a_pid(world):
    pid_file, out = world.path("exec.pid"), world.path("exec-out")
    with open(out, "wb") as f:
        world.runtime.command("exec", "--detach", "--pid-file", pid_file, world.sandbox(), "/bin/sh", "-c",
                              "echo up; sleep 1000", stdout=f).good()
    pid = int(read(pid_file))
    check(os.path.isdir(f"/proc/{pid}"), f"there is no process {pid}")
    wait_until(lambda: read(out) == "up\n", "its output")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or "Z" in read(f"/proc/{pid}/stat").rpartition(")")[2][:3], "its end")


@created
def exec_into_a_stopped_one_is_refused(world, name):
    world.runtime.command("kill", name, "KILL").good()
    world.runtime.wait_status(name, "stopped")
    world.runtime.command("exec", name, "true").bad()


@running
def pause_stops_and_resume_goes_on(world, name):
    run = world.runtime.command
    run("pause", name).good()
    check_equal(world.runtime.status(name), "paused", "status")
    run("exec", name, "true").bad("pause")
    run("resume", name).good()
    check_equal(world.runtime.status(name), "running", "status")
    run("exec", name, "true").good()
    run("resume", name).bad()


@running
def ps_lists_processes(world, name):
    pids = json.loads(world.runtime.command("ps", "--format", "json", name).text())
    check(isinstance(pids, list) and world.runtime.state(name)["pid"] in pids, f"processes are {pids}")


@running
def events_tell_statistics(world, name):
    said = json.loads(world.runtime.command("events", "--stats", name).text())
    check_equal((said["type"], said["id"]), ("stats", name), "type and id")
    data = said["data"]
    check(data["memory"]["usage"]["usage"] > 0 and data["cpu"]["usage"]["total"] >= 0 and data["pids"]["current"] >= 1,
          f"statistics are {data}")


def pid_file_has_the_pid(world):
    name, path = world.name("pid-file"), world.path("pid-file")
    bundle = world.bundle(name, world.member(changed("process.args", FOREVER)))
    world.runtime.create(name, bundle, "--pid-file", path).good()
    try:
        check_equal(int(read(path)), world.runtime.state(name)["pid"], "pid")
    finally:
        world.runtime.remove(name)


def input_reaches_the_program(world):
    name = world.name("input")
    bundle = world.bundle(name, world.member(changed(args="cat; echo end >&2; exit 3")))
    sent = b"".join(b"%d\n" % i for i in range(40000))
    result = world.runtime.run(name, bundle, stdin=sent)
    check_equal((result.code, len(result.out), result.err), (3, len(sent), "end\n"), "code, bytes, error")
    check(result.out == sent, "what came back is not what was sent")


def log_file_has_the_error(world):
    path = world.path("log.json")
    world.runtime.command("--log", path, "--log-format", "json", "state", world.name("nothing")).bad()
    lines = [json.loads(line) for line in read(path).splitlines()]
    check(lines and lines[-1]["level"] == "error" and "does not exist" in lines[-1]["msg"], f"the log has {lines}")


def commands_that_are_unknown_are_refused(world):
    result = world.runtime.command("frobnicate", "x")
    check(result.code != 0, str(result))


def disk_that_is_full_is_an_error(world):
    """The state folder is a file system without room: create fails and leaves nothing there."""
    full = world.folder("full")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=4", "tmpfs", full], check=False, stderr=subprocess.DEVNULL).returncode:
        raise Skip("nothing can be mounted here")
    name = world.name("full")
    bundle = world.bundle(name, changed())
    root = world.runtime.root
    try:
        with open(os.path.join(full, "filler"), "wb") as f:
            try:
                f.write(bytes(1 << 16))
            except OSError:
                pass
        world.runtime.root = full
        world.runtime.create(name, bundle).bad()
        check_equal(sorted(os.listdir(full)), ["filler"], "what is there")
    finally:
        world.runtime.root = root
        subprocess.run(["umount", full], check=True)


def start_with_a_long_bundle_path(world):
    """Sockets have short paths, bundles and state folders need not."""
    long = world.folder("long", "x" * 100, "y" * 100)
    root = world.runtime.root
    name = world.name("long")
    spec = changed(args="echo long")
    set_at(spec, "root.path", world.image)
    os.makedirs(os.path.join(long, "bundle"))
    write_json(os.path.join(long, "bundle", "config.json"), spec)
    world.runtime.root = os.path.join(long, "state")
    try:
        check_equal(world.runtime.run(name, os.path.join(long, "bundle")).text(), "long\n", "output")
    finally:
        world.runtime.root = root


CASES = [(f.__name__, f) for f in (
    state_is_as_specified, pid_is_a_process_of_the_host, state_needs_an_id, state_of_nothing_is_refused,
    create_does_not_run_the_program, changes_of_the_configuration_come_too_late, create_needs_a_bundle_and_an_id,
    id_that_is_taken_is_refused, ids_that_are_invalid_are_refused, two_creates_at_once_make_one_container,
    later_commands_find_the_container, start_needs_an_id, start_of_a_running_one_is_refused, start_of_a_stopped_one_is_refused,
    start_without_a_process_is_refused, program_that_is_missing_is_refused, kill_needs_an_id, kill_of_a_stopped_one_is_refused,
    kill_reaches_a_created_one, kill_refuses_signals_that_there_are_not, kill_sends_the_given_signal, delete_needs_an_id,
    delete_of_a_running_one_is_refused, delete_of_nothing_by_force_is_no_error, delete_removes_what_create_made,
    exit_codes_come_back, deaths_by_signal_come_back, exec_runs_in_the_container, exec_takes_a_process_file,
    exec_detached_has_a_pid, exec_into_a_stopped_one_is_refused, pause_stops_and_resume_goes_on, ps_lists_processes,
    events_tell_statistics, pid_file_has_the_pid, input_reaches_the_program, log_file_has_the_error,
    commands_that_are_unknown_are_refused, disk_that_is_full_is_an_error, start_with_a_long_bundle_path)]

# SPDX-License-Identifier: Apache-2.0
"""Hooks: their order, where they run, what they are told, and what a failing one does."""
import json
import os

from suite import check, check_equal

from .world import changed

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
# Those that run where the runtime runs. That of createContainer has its path there, and so has no other place to run in:
# the guest does not have that file (docs/pod.md).
ON_THE_HOST = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
PATH = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]


def hook(log, word, then="", **more):
    """A hook that adds a line to a file of the host: its name, the state that it was given, whatever else."""
    script = f'state=$(tr -d "\\n"); echo "{word} $0 $A $state" >>{log}; {then}'
    return {"path": "/bin/bash", "args": ["bash-" + word, "-c", script, "zero-" + word], "env": [*PATH, "A=" + word], **more}


def inside(word, then=""):
    """A hook that runs in the container and writes into a volume of it."""
    return {"path": "/bin/sh", "args": ["sh", "-c", f'state=$(tr -d "\\n"); echo "{word} zero-{word} {word} $state" >>/log/log; {then}'],
            "env": ["PATH=/bin"]}


def with_hooks(world, key, args="echo program 0 0 {} >>/log/log", broken=None):
    """A container with two hooks of each kind; broken: the kind whose first hook fails. Its log and what happened."""
    folder = world.folder("hooks-" + key)
    log = os.path.join(folder, "log")
    spec = changed(args=args)
    spec["mounts"].append({"destination": "/log", "type": "bind", "source": folder, "options": ["bind"]})
    spec["annotations"] = {"org.example.fruit": "pear"}
    spec["hooks"] = {}
    for kind in KINDS:
        fail = "echo it is broken >&2; exit 5" if kind == broken else ""
        make = (lambda w, t: hook(log, w, t)) if kind != "startContainer" else inside
        spec["hooks"][kind] = [make(kind + "1", fail), make(kind + "2", "")]
    name = world.name(key)
    run = world.runtime.command
    results = {"create": world.runtime.create(name, world.bundle(name, world.member(spec)))}
    if results["create"].code == 0:
        results["created"] = lines_of(log)
        results["start"] = run("start", name)
        if results["start"].code == 0:
            results["started"] = lines_of(log)
            world.runtime.wait_status(name, "stopped")
            results["delete"] = run("delete", name)
        else:
            results["status"] = world.runtime.status(name)
            run("delete", "--force", name).good()
    results["log"] = lines_of(log)
    results["name"] = name
    world.check_nothing_of(name)
    return results


def lines_of(log):
    """(word, name of the program, variable, state) of each line."""
    if not os.path.exists(log):
        return []
    with open(log, encoding="utf-8") as f:
        found = []
        for line in f.read().splitlines():
            word, zero, variable, state = line.split(" ", 3)
            found.append((word, zero, variable, json.loads(state)))
        return found


def all_went_well(world):
    return world.once("hooks", lambda: with_hooks(world, "good"))


def names(lines):
    return [line[0] for line in lines]


def hooks_run_in_the_listed_order(world):
    said = all_went_well(world)
    for step in ("create", "start", "delete"):
        said[step].good()
    program = names(said["log"]).index("program") if "program" in names(said["log"]) else -1
    check(program >= 0, f"the program did not run: {names(said['log'])}")
    wanted = [k + n for k in KINDS for n in "12"]
    got = [n for n in names(said["log"]) if n != "program"]
    check_equal(got, wanted, "hooks")


def create_runs_prestart_createRuntime_createContainer(world):
    wanted = [k + n for k in KINDS[:3] for n in "12"]
    check_equal(names(all_went_well(world)["created"]), wanted, "hooks before create has returned")


def startContainer_runs_before_the_program(world):
    got = names(all_went_well(world)["log"])
    check(got.index("startContainer2") < got.index("program"), f"order is {got}")


def poststart_runs_before_start_returns(world):
    got = names(all_went_well(world)["started"])
    check(got[-1:] == ["poststart2"] or got[-2:] == ["poststart2", "program"], f"hooks before start has returned: {got}")


def poststop_runs_before_delete_returns(world):
    got = names(all_went_well(world)["log"])
    check_equal(got[-2:], ["poststop1", "poststop2"], "the last hooks")


def hooks_get_the_state_on_standard_input(world):
    said = all_went_well(world)
    allowed = {"prestart": ("creating", "created"), "createRuntime": ("creating", "created"), "createContainer": ("creating", "created"),
               "startContainer": ("creating", "created", "running"), "poststart": ("running", "stopped"), "poststop": ("stopped",)}
    for word, _, _, state in said["log"]:
        if word == "program":
            continue
        check_equal((state["id"], state["bundle"]), (said["name"], world.path("bundles", said["name"])), f"id and bundle for {word}")
        check(state["status"] in allowed[word[:-1]], f"status for {word} is {state['status']}")
        check_equal(state["annotations"].get("org.example.fruit"), "pear", f"annotation for {word}")
        check(state["ociVersion"].startswith("1."), f"ociVersion for {word} is {state['ociVersion']}")
        if word[:-1] in ("prestart", "createRuntime", "poststart"):
            check(state["pid"] > 0, f"pid for {word} is {state['pid']}")


def hooks_get_arguments_and_environment(world):
    for word, zero, variable, _ in all_went_well(world)["log"]:
        if word != "program":
            check_equal((zero, variable), ("zero-" + word, word), f"argument and variable of {word}")


def hooks_run_in_the_runtime_s_namespaces(world):
    """What they wrote lies in a folder of the host, under its path there."""
    got = names(all_went_well(world)["log"])
    for kind in ON_THE_HOST:
        check(kind + "1" in got and kind + "2" in got, f"{kind} wrote nothing: {got}")


def startContainer_runs_in_the_container(world):
    """Its path and its file are those of the container."""
    got = names(all_went_well(world)["log"])
    check("startContainer1" in got and "startContainer2" in got, f"hooks are {got}")


def broken_hook_of_create(kind):
    def case(world):
        said = with_hooks(world, "broken-" + kind, broken=kind)
        said["create"].bad()
        check_equal("program" in names(said["log"]), False, "whether the program ran")
        check(kind + "2" not in names(said["log"]), f"hooks went on: {names(said['log'])}")

    return case


def broken_hook_of_start(kind):
    def case(world):
        said = with_hooks(world, "broken-" + kind, broken=kind)
        said["create"].good()
        said["start"].bad()
        check(said["status"] in ("stopped", "gone"), f"status is {said['status']}")
        if kind == "startContainer":
            check("program" not in names(said["log"]), f"the program ran: {names(said['log'])}")

    return case


def broken_poststop_is_a_warning(world):
    said = with_hooks(world, "broken-poststop", broken="poststop")
    said["delete"].good()
    check_equal(names(said["log"])[-2:], ["poststop1", "poststop2"], "the last hooks")
    check(said["delete"].err.strip() != "", "delete says nothing of the hook that failed")


def hook_that_takes_too_long_is_ended(world):
    world.need_caisson("it waits for what the hook has started")
    spec = changed()
    spec["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    world.refused(world.member(spec), "sleep")


def hook_that_is_missing_is_an_error(world):
    spec = changed()
    spec["hooks"] = {"createRuntime": [{"path": world.path("no-such-hook")}]}
    world.refused(world.member(spec), "no-such-hook")


CASES = [(f.__name__, f) for f in (
    hooks_run_in_the_listed_order, create_runs_prestart_createRuntime_createContainer, startContainer_runs_before_the_program,
    poststart_runs_before_start_returns, poststop_runs_before_delete_returns, hooks_get_the_state_on_standard_input,
    hooks_get_arguments_and_environment, hooks_run_in_the_runtime_s_namespaces, startContainer_runs_in_the_container)]
CASES += [(f"{k}_that_fails_stops_create", broken_hook_of_create(k)) for k in KINDS[:3]]
CASES += [(f"{k}_that_fails_stops_start", broken_hook_of_start(k)) for k in KINDS[3:5]]
CASES += [(f.__name__, f) for f in (broken_poststop_is_a_warning, hook_that_takes_too_long_is_ended, hook_that_is_missing_is_an_error)]

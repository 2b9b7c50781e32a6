# SPDX-License-Identifier: Apache-2.0
"""The log, the console's steps, and how a guest ends: in order, and not."""
import ttrpc
from machine import LOG_PORT
from suite import check, check_equal

from .common import with_agent


@with_agent
def log_has_a_port_of_its_own(world, agent):
    """Lines of what has happened, to everybody who connects."""
    world.run(agent, "echo something happens")
    for _ in range(2):
        with world.machine().dial(LOG_PORT) as log:
            log.settimeout(20)
            text = b""
            while b"\n" not in text:
                piece = log.recv(65536)
                check(piece, f"the log ended; it said {text!r}")
                text += piece


def console_tells_the_steps(world):
    world.machine()
    with open(world.machine().console, encoding="utf-8", errors="replace") as f:
        steps = [line.split("guest-init: step: ", 1)[1].strip() for line in f if "guest-init: step: " in line]
    check_equal(steps[-1:], ["agent listens on port 1024"], "last step")
    check(len(steps) > 2, f"steps are {steps}")


def sandbox_ends_in_order(world):
    """DestroySandbox: processes are told to end, the guest switches off."""
    machine = world.fresh("orderly")
    agent = machine.agent()
    agent.call("CreateSandbox", sandbox_id="s", storages=[world.share()])
    world.create(agent, "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done")
    try:
        agent.call("DestroySandbox")
    except ttrpc.Broken:
        pass
    check_equal(machine.wait(), 115, "exit code: switched off")


def panic_of_the_guest_is_reported(world):
    """By a process that may write to /proc/sys, and needs more memory than there is: no agent, no answer, and the reason."""
    machine = world.fresh("panic")
    agent = machine.agent()
    agent.call("CreateSandbox", sandbox_id="s", storages=[world.share()])
    waiting = agent.begin("GetOOMEvent")
    spec = world.spec("echo 2 >/proc/sys/vm/panic_on_oom; exec dd if=/dev/zero of=/dev/shm/x bs=1M")
    for m in spec.Mounts:
        if m.destination == "/dev/shm":
            m.options.append("size=2g")
    name = world.name("panic")
    agent.call("CreateContainer", container_id=name, exec_id=name, OCI=spec)
    try:
        agent.call("StartContainer", container_id=name)
        agent.end(waiting)
    except ttrpc.Broken:
        pass
    check_equal(machine.wait(), 113, "exit code: panic")
    check("panic_on_oom is enabled" in machine.said(), f"no words of it:{machine.said()}")


CASES = [(f.__name__, f) for f in (log_has_a_port_of_its_own, console_tells_the_steps, sandbox_ends_in_order, panic_of_the_guest_is_reported)]

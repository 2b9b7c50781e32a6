# SPDX-License-Identifier: Apache-2.0
"""Standard input and output: much data, readers and writers that wait, ends, terminals."""
import hashlib

from machine import MIB
from suite import check, check_equal
from ttrpc import FAILED_PRECONDITION, INVALID_ARGUMENT, UNAVAILABLE, CallFailed

from .common import refused, with_agent, with_container

MUCH = 8 * MIB


def pattern(size):
    return b"".join(hashlib.sha256(i.to_bytes(4, "little")).digest() for i in range(size // 32))


@with_container("exec cat")
def eight_mib_go_through_and_come_back(world, agent, name):
    """More than pipes hold: what is not read stops who writes, and nothing is lost."""
    sent, reader = pattern(MUCH), world.agent()
    got, at, piece = [], 0, 256 << 10
    reading = reader.begin("ReadStdout", container_id=name, exec_id=name, len=piece)
    writing = None
    try:
        while sum(map(len, got)) < MUCH:
            if writing is None and at < MUCH:
                writing = agent.begin("WriteStdin", container_id=name, exec_id=name, data=sent[at : at + piece])
            got.append(reader.end(reading).data)
            reading = reader.begin("ReadStdout", container_id=name, exec_id=name, len=piece)
            if writing is not None and sum(map(len, got)) >= min(at + piece, MUCH):
                at += agent.end(writing).len
                writing = None
        agent.call("CloseStdin", container_id=name, exec_id=name)
        check_equal(end_of(reader, reading), b"", "what comes behind")
    finally:
        reader.close()
    check(b"".join(got) == sent, "what came back is not what was sent")
    check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 0, "status")


def end_of(agent, stream):
    try:
        return agent.end(stream).data
    except CallFailed as e:
        check("EOF" in e.text, str(e))
        return b""


@with_container("sleep 1000000")
def writer_waits_until_somebody_reads(world, agent, name):
    """And who else uses the connection is not held up by it."""
    writing = agent.begin("WriteStdin", container_id=name, exec_id=name, data=bytes(MIB))
    for _ in range(20):
        agent.call("Health.Check")
    check(writing not in agent.answers, "a megabyte was taken though nobody reads")
    agent.call("SignalProcess", container_id=name, signal=9)
    try:
        check(agent.end(writing).len < MIB, "all was taken though nobody has read")
    except CallFailed:
        pass  # nobody will read any more


@with_agent
def output_of_an_ended_process_is_not_lost(world, agent):
    name = world.create(agent, "seq 10000; seq 5 >&2; exit 3")
    try:
        check_equal(len(agent.read_all("ReadStdout", name, name, piece=1000)), 48894, "bytes of output")
        check_equal(agent.read_all("ReadStderr", name, name), b"1\n2\n3\n4\n5\n", "error")
        check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 3, "status")
        check_equal(agent.read_all("ReadStdout", name, name), b"", "what comes after the end")
    finally:
        world.remove(agent, name)


@with_container("exec cat")
def input_ends_once(_, agent, name):
    agent.call("WriteStdin", container_id=name, exec_id=name, data=b"last words\n")
    agent.call("CloseStdin", container_id=name, exec_id=name)
    check_equal(agent.read_all("ReadStdout", name, name), b"last words\n", "output")
    check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 0, "status")
    refused(agent, "WriteStdin", FAILED_PRECONDITION, INVALID_ARGUMENT, container_id=name, exec_id=name, data=b"more")


@with_container("sleep 1000000")
def reader_waits_until_something_is_said(world, agent, name):
    reading = agent.begin("ReadStdout", container_id=name, exec_id=name, len=10)
    agent.call("ExecProcess", container_id=name, exec_id="e", process=world.process("echo of another process"))
    check_equal(agent.read_all("ReadStdout", name, "e"), b"of another process\n", "output of the other process")
    check(reading not in agent.answers, "there is output of a process that says nothing")
    agent.call("SignalProcess", container_id=name, signal=9)
    check_equal(end_of(agent, reading), b"", "what is read at the end")


@with_agent
def reads_have_the_asked_length_at_most(world, agent):
    name = world.create(agent, "printf 0123456789; exec sleep 1000000")
    try:
        got = b""
        while len(got) < 10:
            data = agent.call("ReadStdout", container_id=name, exec_id=name, len=3).data
            check(0 < len(data) <= 3, f"{len(data)} bytes for 3")
            got += data
        check_equal(got, b"0123456789", "output")
    finally:
        world.remove(agent, name)


# ---- Terminals ------------------------------------------------------------------------------------------------------


def read_until(agent, name, text):
    said = b""
    while text not in said:
        data = agent.call("ReadStdout", container_id=name, exec_id=name, len=4096).data
        check(data, f"the terminal ended without {text!r}; it said {said!r}")
        said += data
    return said


@with_agent
def terminal_has_size_echo_and_control_characters(world, agent):
    oci = world.protos.oci
    script = ("trap 'echo interrupted; exit 3' INT; trap 'echo size $(stty size)' WINCH; tty; stty size; echo ready; read l; echo got $l; "
              "while :; do sleep 1000 & wait $!; done")
    name = world.create(agent, script, Terminal=True, ConsoleSize=oci.Box(Height=33, Width=77))
    try:
        said = read_until(agent, name, b"ready\r\n")
        check(b"33 77\r\n" in said and b"not a tty" not in said, f"the terminal said {said!r}")
        agent.call("WriteStdin", container_id=name, exec_id=name, data=b"hello\n")
        check(b"hello\r\ngot hello\r\n" in read_until(agent, name, b"got hello\r\n"), "no echo")
        agent.call("TtyWinResize", container_id=name, exec_id=name, row=50, column=132)
        read_until(agent, name, b"size 50 132\r\n")
        agent.call("WriteStdin", container_id=name, exec_id=name, data=b"\x03")
        read_until(agent, name, b"interrupted\r\n")
        check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 3, "status")
    finally:
        world.remove(agent, name)


@with_container("sleep 1000000")
def size_of_what_is_no_terminal_is_refused(_, agent, name):
    refused(agent, "TtyWinResize", UNAVAILABLE, INVALID_ARGUMENT, FAILED_PRECONDITION, container_id=name, exec_id=name, row=1, column=1)


CASES = [(f.__name__, f) for f in (
    eight_mib_go_through_and_come_back, writer_waits_until_somebody_reads, output_of_an_ended_process_is_not_lost, input_ends_once,
    reader_waits_until_something_is_said, reads_have_the_asked_length_at_most, terminal_has_size_echo_and_control_characters,
    size_of_what_is_no_terminal_is_refused)]

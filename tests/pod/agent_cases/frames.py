# SPDX-License-Identifier: Apache-2.0
"""Frames that are none, and clients that misbehave: an error to the one concerned, nothing to anybody else."""
import functools
import os
import random

import ttrpc
from suite import check, check_equal
from ttrpc import DATA, DEADLINE_EXCEEDED, INVALID_ARGUMENT, PAYLOAD_MAX, REQUEST, RESOURCE_EXHAUSTED, RESPONSE, UNIMPLEMENTED, CallFailed, frame

from .common import refused, with_agent


def beside(body):
    """A case with a connection to be maltreated and another that has a call under way and is not to notice."""

    @functools.wraps(body)
    def case(world):
        bad, good = world.agent(), world.agent()
        waiting = good.begin("GetOOMEvent")
        try:
            body(world, bad)
            check_equal(good.call("Health.Check").status, 1, "status on another connection")
            check(waiting not in good.answers, "a call on another connection was answered")
        finally:
            bad.close()
            good.close()
        again = world.agent()
        check_equal(again.call("Health.Check").status, 1, "status on a new connection")
        again.close()

    return case


def health(agent, stream):
    return frame(stream, REQUEST, agent.pack("Health.Check", {}))


@with_agent
def methods_and_services_that_there_are_not(world, agent):
    request = world.protos.ttrpc.Request
    for service, method in (("grpc.AgentService", "NoSuch"), ("grpc.NoSuch", "Check"), ("", ""), ("grpc.Health", "CreateSandbox"),
                            ("grpc.AgentService", "GetIPTables"), ("x" * 5000, "y" * 5000), ("grpc.AgentService\n", "%s%n")):
        stream = agent.stream()
        agent.waiting[stream] = "Health.Check"
        agent.send(frame(stream, REQUEST, request(service=service, method=method).SerializeToString()))
        try:
            agent.end(stream)
            check(False, f"{service}/{method} was served")
        except CallFailed as e:
            check_equal(e.code, UNIMPLEMENTED, f"code for {service}/{method}")


@beside
def frames_cut_short(world, bad):
    bad.close()
    for length in (1, 9, 10, 15):
        c = world.agent()
        c.send(health(c, 1)[:length])
        c.socket.shutdown(1)
        check(c.ended(), "the connection is not closed")
        c.close()


@beside
def frames_byte_by_byte_of_two_connections(world, bad):
    """Interleaved; both are whole in the end."""
    other = world.agent()
    try:
        pairs = [(c, health(c, c.stream())) for c in (bad, other)]
        for c, _ in pairs:
            c.waiting[1] = "Health.Check"
        for i in range(max(len(data) for _, data in pairs)):
            for c, data in pairs:
                c.send(data[i : i + 1])
        for c, _ in pairs:
            check_equal(c.end(1).status, 1, "status")
    finally:
        other.close()


@beside
def many_frames_in_one_piece(_, bad):
    streams = [bad.stream() for _ in range(200)]
    for s in streams:
        bad.waiting[s] = "Health.Check"
    bad.send(b"".join(health(bad, s) for s in streams))
    check_equal({bad.end(s).status for s in streams}, {1}, "status")


@beside
def oversized_frame_is_refused_and_the_next_is_served(_, bad):
    stream = bad.stream()
    bad.waiting[stream] = "Health.Check"
    bad.send(frame(stream, REQUEST, bytes(PAYLOAD_MAX + 1)))
    try:
        bad.end(stream)
        check(False, "a payload over the limit was taken")
    except CallFailed as e:
        check_equal(e.code, RESOURCE_EXHAUSTED, "code")
    check_equal(bad.call("Health.Check").status, 1, "status of the next call")


@beside
def header_that_promises_4_gib(_, bad):
    """Nothing is kept for it: it may be refused at once, or skipped as long as it goes on."""
    bad.send(ttrpc.HEADER.pack(0xFFFFFFFF, 1, REQUEST, 0) + bytes(1 << 20))


@beside
def stream_numbers_that_are_not_allowed(_, bad):
    """Even, zero, smaller than before, used already: the call is refused or the connection ends; it is never served."""
    bad.call("Health.Check")
    for stream in (0, 2, 1):
        try:
            bad.send(health(bad, stream))
            number, _, payload = bad.receive()
            answer = bad.protos.ttrpc.Response.FromString(payload)
            check_equal(number, stream, "stream of the answer")
            check(answer.status.code != 0, f"a call on stream {stream} was served")
        except (ttrpc.Broken, BrokenPipeError, ConnectionResetError):
            bad.close()
            return


@beside
def number_of_a_call_under_way_is_refused(_, bad):
    waiting = bad.begin("GetOOMEvent")
    bad.send(health(bad, waiting))
    try:
        _, _, payload = bad.receive()
        check(bad.protos.ttrpc.Response.FromString(payload).status.code != 0, "a number that is in use was served")
    except ttrpc.Broken as e:
        check("closed" in str(e), str(e))


@beside
def frames_of_other_types_end_the_connection(_, bad):
    bad.send(frame(1, RESPONSE, b"") + frame(3, DATA, b"x") + frame(5, 77, b"y"))
    answers = 0
    try:
        while answers < 3:
            _, _, payload = bad.receive()
            check(bad.protos.ttrpc.Response.FromString(payload).status.code != 0, "a frame of another type was served")
            answers += 1
    except ttrpc.Broken as e:
        check("closed" in str(e), str(e))


@beside
def payload_that_is_no_message_is_refused(world, bad):
    for payload in (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x1a\x04\xff\xff\xff\xff",
                    world.protos.ttrpc.Request(service="grpc.Health", method="Check", payload=b"\xff\xff").SerializeToString()):
        stream = bad.stream()
        bad.waiting[stream] = "Health.Check"
        try:
            bad.send(frame(stream, REQUEST, payload))
            bad.end(stream)
            check(False, f"{payload!r} was served")
        except CallFailed as e:
            check(e.code in (INVALID_ARGUMENT, UNIMPLEMENTED), str(e))
        except (ttrpc.Broken, BrokenPipeError, ConnectionResetError):
            bad.close()
            bad = world.agent()
    bad.close()


@beside
def garbage_ends_the_connection_or_is_ignored(world, _):
    rng = random.Random(6)
    for _ in range(20):
        c = world.agent()
        try:
            c.send(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 4000))))
            c.socket.shutdown(1)
            check(c.ended(), "the connection is not closed at its end")
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            c.close()


@beside
def client_that_vanishes_takes_its_calls_along(world, bad):
    for _ in range(40):
        bad.begin("GetOOMEvent")
    bad.close()
    for _ in range(40):
        c = world.agent()
        c.begin("GetOOMEvent")
        c.close()


@beside
def client_that_does_not_read_is_stopped(world, bad):
    """It asks for more than may wait for it: it is not read from any more, or cut off. Others go on."""
    request = b"".join(frame(s, REQUEST, bad.pack("GetMetrics", {})) for s in range(1, 1201, 2))
    bad.socket.settimeout(5)
    try:
        bad.send(request)
        sent = True
    except OSError:
        sent = False
    check(sent or bad.ended(), "neither taken nor cut off")


@beside
def connections_beyond_the_limit_are_refused(world, bad):
    many = []
    try:
        for _ in range(300):
            try:
                c = ttrpc.Agent(ttrpc.dial(world.machine().vsock, 1024, 3), world.protos)
                many.append(c)
                c.call("Health.Check")
            except (ttrpc.Broken, OSError):
                break
        check(40 <= len(many) <= 257, f"{len(many)} connections were served at the same time")
    finally:
        for c in many:
            c.close()


@with_agent
def time_limits_of_requests_hold(_, agent):
    refused(agent, "GetOOMEvent", DEADLINE_EXCEEDED, timeout_ns=200_000_000)
    check_equal(agent.call("Health.Check", timeout_ns=10_000_000_000).status, 1, "status of the next call")


@with_agent
def answers_come_in_any_order(_, agent):
    waiting = agent.begin("GetOOMEvent")
    checks = [agent.begin("Health.Check") for _ in range(50)]
    check_equal({agent.end(s).status for s in checks}, {1}, "status")
    check(waiting not in agent.answers, "the call that waits was answered")


@with_agent
def strings_with_zeros_and_no_utf_8_are_refused(world, agent):
    """Protobuf has them as bytes; nothing may be cut at the zero and taken for another."""
    for name in (b"a\0b", b"\xff\xfe", b"\xed\xa0\x80"):
        payload = b"\x0a" + bytes([len(name)]) + name
        stream = agent.stream()
        agent.waiting[stream] = "StatsContainer"
        request = world.protos.ttrpc.Request(service="grpc.AgentService", method="StatsContainer", payload=payload)
        agent.send(frame(stream, REQUEST, request.SerializeToString()))
        try:
            agent.end(stream)
            check(False, f"{name!r} was served")
        except CallFailed as e:
            check(os.fsencode(e.text).find(b"\0") < 0, f"the error has a zero: {e}")


CASES = [("frames_" + f.__name__ if not f.__name__.startswith("frames") else f.__name__, f) for f in (
    methods_and_services_that_there_are_not, frames_cut_short, frames_byte_by_byte_of_two_connections, many_frames_in_one_piece,
    oversized_frame_is_refused_and_the_next_is_served, header_that_promises_4_gib, stream_numbers_that_are_not_allowed,
    number_of_a_call_under_way_is_refused, frames_of_other_types_end_the_connection, payload_that_is_no_message_is_refused,
    garbage_ends_the_connection_or_is_ignored, client_that_vanishes_takes_its_calls_along, client_that_does_not_read_is_stopped,
    connections_beyond_the_limit_are_refused, time_limits_of_requests_hold, answers_come_in_any_order,
    strings_with_zeros_and_no_utf_8_are_refused)]

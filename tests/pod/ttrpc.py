# SPDX-License-Identifier: Apache-2.0
"""A client of the agent that shares no code with caisson: hybrid vsock, ttrpc frames, calls with python3-protobuf.

    u32 length of the payload | u32 stream | u8 type | u8 flags | payload          (big endian)

A Connection sends and takes frames, also broken ones. An Agent makes calls by name: agent.call("StatsContainer",
container_id="c"). Calls may be under way at the same time: begin() gives the stream, end(stream) waits for its answer.
Source: containerd/ttrpc, PROTOCOL.md; Firecracker, docs/vsock.md.
"""
import os
import socket
import struct
import time

HEADER = struct.Struct(">IIBB")
REQUEST, RESPONSE, DATA = 1, 2, 3
PAYLOAD_MAX = 4 << 20
OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED = range(8)
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = range(8, 15)
ANSWER_S = 60  # for one answer


class Broken(Exception):
    """The other end has closed, or what came is no frame of a server."""


class CallFailed(Exception):
    """An answer that is an error."""

    def __init__(self, method, code, text):
        super().__init__(f"{method}: code {code}: {text}")
        self.code, self.text = code, text


def connect_unix(path, seconds):
    """A path may be longer than an address of a Unix socket is."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    s.settimeout(seconds)
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        s.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError:
        s.close()
        raise
    finally:
        os.close(folder)
    return s


def greet(s, port):
    """Ask for a port of the guest; False: nobody listens there."""
    s.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n"):
        byte = s.recv(1)
        if not byte:
            return False
        line += byte
    if not line.startswith(b"OK ") or not line[3:-1].isdigit():
        raise Broken(f"greeting is {line!r}")
    return True


def dial(path, port, seconds):
    """A socket to a port of the guest; retries until somebody listens there."""
    until = time.monotonic() + seconds
    while True:
        s = None
        try:
            s = connect_unix(path, max(1, until - time.monotonic()))
            if greet(s, port):
                s.settimeout(ANSWER_S)
                return s
            why = "nobody listens there"
        except (OSError, Broken) as e:
            why = str(e)
        if s is not None:
            s.close()
        if time.monotonic() > until:
            raise Broken(f"no connection to port {port} by {path} within {seconds} s: {why}")
        time.sleep(0.02)


def frame(stream, kind, payload, flags=0, length=None):
    """length: what the header says if it is to lie."""
    return HEADER.pack(len(payload) if length is None else length, stream, kind, flags) + payload


class Connection:
    """Frames over a socket that it owns."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = bytearray()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _fill(self, size):
        while len(self.buffer) < size:
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            except socket.timeout:
                raise Broken(f"nothing within {self.socket.gettimeout()} s") from None
            if not piece:
                raise Broken(f"the connection was closed, after {len(self.buffer)} bytes of {size}")
            self.buffer += piece

    def receive(self):
        """The next frame: stream, type, payload."""
        self._fill(HEADER.size)
        length, stream, kind, _ = HEADER.unpack_from(self.buffer)
        if length > PAYLOAD_MAX:
            raise Broken(f"a frame of {length} bytes on stream {stream}")
        self._fill(HEADER.size + length)
        payload = bytes(self.buffer[HEADER.size : HEADER.size + length])
        del self.buffer[: HEADER.size + length]
        return stream, kind, payload

    def ended(self):
        """Wait until the other end closes; frames before that are dropped. False: it did not."""
        try:
            while True:
                self.receive()
        except Broken as e:
            return "closed" in str(e)


class Agent(Connection):
    """Calls. protos: of protos.load()."""

    def __init__(self, sock, protos):
        super().__init__(sock)
        self.protos = protos
        self.next = 1
        self.waiting = {}  # stream -> method
        self.answers = {}  # stream -> ttrpc.Response

    def method(self, name):
        """Its descriptor; Health's have that word before a dot: Health.Check."""
        service, _, short = name.rpartition(".")
        services = self.protos.health if service == "Health" else self.protos.agent
        return services.DESCRIPTOR.services_by_name[service or "AgentService"].methods_by_name[short]

    def pack(self, name, fields, timeout_ns=0):
        """The payload of a request. fields: of the argument, or the message itself as the only one, "message"."""
        method = self.method(name)
        message = fields["message"] if set(fields) == {"message"} else method.input_type._concrete_class(**fields)
        return self.protos.ttrpc.Request(service=method.containing_service.full_name, method=method.name,
                                         payload=message.SerializeToString(), timeout_nano=timeout_ns).SerializeToString()

    def stream(self):
        self.next += 2
        return self.next - 2

    def begin(self, name, timeout_ns=0, **fields):
        """Send a request; its stream."""
        stream = self.stream()
        self.send(frame(stream, REQUEST, self.pack(name, fields, timeout_ns)))
        self.waiting[stream] = name
        return stream

    def take(self):
        """Take one frame, which has to be an answer to a request of ours; its stream."""
        stream, kind, payload = self.receive()
        if kind != RESPONSE or stream not in self.waiting or stream in self.answers:
            raise Broken(f"a frame of type {kind} on stream {stream}")
        self.answers[stream] = self.protos.ttrpc.Response.FromString(payload)
        return stream

    def end(self, stream):
        """The answer on a stream, or CallFailed."""
        while stream not in self.answers:
            self.take()
        answer, name = self.answers.pop(stream), self.waiting.pop(stream)
        if answer.status.code != OK:
            raise CallFailed(name, answer.status.code, answer.status.message)
        return self.method(name).output_type._concrete_class.FromString(answer.payload)

    def call(self, name, timeout_ns=0, **fields):
        return self.end(self.begin(name, timeout_ns, **fields))

    def read_all(self, name, container, process, most=1 << 30, piece=64 << 10):
        """ReadStdout or ReadStderr until the end of the stream: no data, or the error "EOF" of older agents."""
        parts, size = [], 0
        while size < most:
            try:
                data = self.call(name, container_id=container, exec_id=process, len=min(piece, most - size)).data
            except CallFailed as e:
                if "EOF" not in e.text:
                    raise
                data = b""
            if not data:
                break
            parts.append(data)
            size += len(data)
        return b"".join(parts)

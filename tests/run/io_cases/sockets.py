# SPDX-License-Identifier: Apache-2.0
"""Sockets between guest and host: many connections, slow readers, other programs as peers."""
import os
import shutil
import socket

from boot.harness import DEADLINE_S, Skip, check, check_equal, quickest_kernel

from .bench import IO_BYTES

HOST = 2  # its address
MANY = 1000
MIB = 1 << 20


def a_thousand_from_the_guest(bench):
    path = bench.path("v")
    server = bench.tool("vsock-echo", f"unix:{path}", 5000, MANY).wait_for(b"listening")
    bench.known.add("v_5000")
    bench.in_guest(quickest_kernel().name, 2, ["--vsock", path], f"io-tool vsock-churn {HOST} 5000 {MANY}")
    server.finish()


def a_thousand_from_the_host(bench):
    path = bench.path("v")
    running = bench.guest(quickest_kernel().name, 2, ["--vsock", path], f"io-tool vsock-echo 5000 {MANY}")
    running.wait_for("out", b"listening")
    bench.do("vsock-churn", f"unix:{path}", 5000, MANY)
    running.finish().expect(0)


def a_slow_reader_does_not_stop_a_fast_one(bench):
    """On the host: one reads nothing until the other has everything. More than buffers hold is on its way to each."""
    path, go = bench.path("v"), bench.path("go")
    n = max(IO_BYTES // 4, 8 * MIB)
    os.mkfifo(go)
    slow = bench.tool("vsock-serve-recv", f"--after={go}", f"unix:{path}", 5000, n, 60).wait_for(b"listening")
    fast = bench.tool("vsock-serve-recv", f"unix:{path}", 5001, n, 61).wait_for(b"listening")
    script = f"io-tool vsock-send {HOST} 5000 {n} 60 & io-tool vsock-send {HOST} 5001 {n} 61; wait $!"
    running = bench.guest(quickest_kernel().name, 2, ["--vsock", path], script)
    fast.finish()
    check(slow.process.poll() is None, "the slow one has ended before it was let go")
    with open(go, "wb"):
        pass
    slow.finish()
    running.finish().expect(0)


def a_slow_reader_in_the_guest_does_not_stop_a_fast_one(bench):
    path = bench.path("v")
    n = max(IO_BYTES // 4, 8 * MIB)
    slow = bench.tool("vsock-serve-send", f"unix:{path}", 5000, n, 62).wait_for(b"listening")
    fast = bench.tool("vsock-serve-send", f"unix:{path}", 5001, n, 63).wait_for(b"listening")
    script = f"""mkfifo /go; io-tool vsock-recv --after=/go {HOST} 5000 {n} 62 & slow=$!
    io-tool vsock-recv {HOST} 5001 {n} 63; echo fast; : >/go; wait $slow"""
    bench.guest(quickest_kernel().name, 2, ["--vsock", path], script).finish().expect(0, b"fast\n")
    slow.finish()
    fast.finish()


# ---- Other programs -------------------------------------------------------------------------------------------------


def connect_by_hand(path, port):
    """What any program has to do to reach a port of the guest. None: nobody listens there."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(DEADLINE_S)
    s.connect(path)
    s.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n"):
        byte = s.recv(1)
        if not byte:
            s.close()
            return None
        line += byte
    check(line.startswith(b"OK ") and line[3:-1].isdigit(), f"greeting is {line!r}")
    return s


def a_python_client_reaches_the_guest(bench):
    path = bench.path("v")
    running = bench.guest(quickest_kernel().name, 1, ["--vsock", path], "io-tool vsock-echo 5000 2")
    running.wait_for("out", b"listening")
    check_equal(connect_by_hand(path, 5001), None, "connection to a port where nobody listens")
    for text in (b"hello", bytes(range(256)) * 64):
        with connect_by_hand(path, 5000) as s:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            with s.makefile("rb") as f:
                check_equal(f.read(), text, "what came back")
    running.finish().expect(0)


def a_python_server_is_reached_by_the_guest(bench):
    path = bench.path("v")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(bench.path("v_5000"))
        listener.listen()
        listener.settimeout(DEADLINE_S)
        script = f"io-tool vsock-churn {HOST} 5000 1; if io-tool vsock-churn {HOST} 5001 1 2>&1; then exit 1; fi"
        running = bench.guest(quickest_kernel().name, 1, ["--vsock", path], script)
        s = listener.accept()[0]
        s.settimeout(DEADLINE_S)
        with s, s.makefile("rb") as f:
            text = f.read(16)
            check_equal(len(text), 16, "bytes from the guest")
            s.sendall(text)
            check_equal(f.read(), b"", "what comes behind them")
        running.finish().expect(0, b"io-tool: cannot connect: Connection reset by peer\n")


def socat():
    found = shutil.which("socat")
    if found is None:
        raise Skip("no socat here: 'scripts/packages install guest' brings it")
    return found


def socat_sends_to_the_guest(bench):
    """The greeting and the stream share one socket, so the request goes ahead of the bytes by hand."""
    path, n = bench.path("v"), 4 * MIB
    data, bare = bench.path("data"), bench.path("bare")
    bench.do("fill", data, n, 70)
    with open(data, "rb") as f, open(bare, "wb") as g:
        g.write(b"CONNECT 5000\n" + f.read())
    running = bench.guest(quickest_kernel().name, 1, ["--vsock", path], f"io-tool vsock-serve-recv 5000 {n} 70")
    running.wait_for("out", b"listening")
    with open(bare, "rb") as f:
        said = bench.host([socat(), "-t", str(DEADLINE_S), "-", f"UNIX-CONNECT:{path}"], stdin=f).finish()
    check(said.startswith(b"OK ") and said[3:-1].isdigit(), f"greeting is {said!r}")
    running.finish().expect(0)


def socat_listens_for_the_guest(bench):
    path, got, n = bench.path("v"), bench.path("got"), 4 * MIB
    bench.known.add("v_5000")
    # With -d -d it says when it listens.
    server = bench.host([socat(), "-d", "-d", "-u", f"UNIX-LISTEN:{path}_5000", f"CREATE:{got}"])
    server.wait_for(b"listening on")
    bench.in_guest(quickest_kernel().name, 1, ["--vsock", path], f"io-tool vsock-send {HOST} 5000 {n} 71")
    server.finish()
    bench.do("check", got, n, 71)


def the_socket_has_its_mode_and_goes_away(bench):
    path = bench.path("v")
    options = ["--vsock", f"{path},mode=0640,cid=77"]
    running = bench.guest(quickest_kernel().name, 1, options, "io-tool vsock-echo 5000 1")
    running.wait_for("out", b"listening")
    check_equal(oct(os.stat(path).st_mode & 0o7777), "0o640", "mode of the socket")
    connect_by_hand(path, 5000).close()
    running.finish().expect(0)
    check_equal(os.path.exists(path), False, "whether the socket is still there")


CASES = [("sockets_" + f.__name__, f) for f in (
    a_thousand_from_the_guest, a_thousand_from_the_host, a_slow_reader_does_not_stop_a_fast_one,
    a_slow_reader_in_the_guest_does_not_stop_a_fast_one, a_python_client_reaches_the_guest,
    a_python_server_is_reached_by_the_guest, socat_sends_to_the_guest, socat_listens_for_the_guest,
    the_socket_has_its_mode_and_goes_away)]

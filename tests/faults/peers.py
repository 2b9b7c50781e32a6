# SPDX-License-Identifier: Apache-2.0
"""The other sides of a guest's sockets and network, for tests/faults/guest.c."""
import selectors
import socket
import threading

ECHO_PORT, SERVED_PORT = 5002, 7
SENT = b"0123456789"


class Peers:
    """On `folder`/net a network stack that sends back frames, on `folder`/vsock_5002 a program that sends back what
    comes; when something has come there, it connects to the guest's port 7 as well, and sends ten bytes."""

    def __init__(self, folder):
        self.folder = folder
        self.over = False
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        self.waker, waken = socket.socketpair()
        self.add(self.waker, None)
        self.add(waken, lambda s: None)
        self.listen("net", self.echo)
        self.listen(f"vsock_{ECHO_PORT}", self.echo_and_connect)
        self.connected = False
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def add(self, s, taker):
        self.sockets.append(s)
        if taker is not None:
            self.selector.register(s, selectors.EVENT_READ, taker)

    def drop(self, s):
        self.selector.unregister(s)
        self.sockets.remove(s)
        s.close()

    def listen(self, name, taker):
        s = socket.socket(socket.AF_UNIX)
        s.bind(f"{self.folder}/{name}")
        s.listen(16)
        self.add(s, lambda s: self.accept(s, taker))

    def accept(self, listener, taker):
        s, _ = listener.accept()
        self.add(s, taker)

    def echo(self, s):
        try:
            data = s.recv(1 << 16)
            if data:
                s.sendall(data)
        except OSError:
            data = b""
        if not data:
            self.drop(s)
        return data

    def echo_and_connect(self, s):
        if self.echo(s) and not self.connected:
            self.connected = True
            self.connect()

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(f"{self.folder}/vsock")
            s.sendall(b"CONNECT %d\n" % SERVED_PORT)
        except OSError:
            s.close()
            return
        self.add(s, self.answered)

    def answered(self, s):
        """The first line says whether it has worked."""
        try:
            data = s.recv(100)
            if data.startswith(b"OK "):
                s.sendall(SENT)
        except OSError:
            data = b""
        if not data:
            self.drop(s)

    def serve(self):
        while not self.over:
            for key, _ in self.selector.select():
                if key.fileobj in self.sockets:
                    key.data(key.fileobj)

    def end(self):
        self.over = True
        self.waker.send(b"x")
        self.thread.join()
        for s in self.sockets:
            s.close()
        self.selector.close()

"""A proxy that knows where the messages of PostgreSQL's protocol begin and end, and harms them.

    with Proxy(server.port) as proxy:
        proxy.arm(Cut("backend", 7, "before"))

It counts the messages of all its connections, each side for itself, from `arm` on. A cut comes before or after the n-th of
a side. "Before" the n-th message of a side it is never delivered. "After" it, it is: a frontend's message that comes just
before a cut is carried out by the server, and the answer is lost. `stall` delivers nothing any more and closes nothing, as
a network that swallows packets. `delay` holds each message back for a time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass

FRONTEND = "frontend"
BACKEND = "backend"
SIDES = (FRONTEND, BACKEND)
BEFORE = "before"
AFTER = "after"
REQUESTS = {80877102: "cancel", 80877103: "SSL", 80877104: "GSS"}
LINGER_RESET = struct.pack("ii", 1, 0)
END_SECONDS = 10.0


@dataclass(frozen=True)
class Cut:
    """Where a connection is cut."""

    side: str
    at: int
    when: str

    def __str__(self) -> str:
        return f"{self.side}:{self.at}:{self.when}"

    @staticmethod
    def parse(text: str) -> Cut:
        side, at, when = text.split(":")
        if side not in SIDES or when not in (BEFORE, AFTER):
            raise ValueError(f"not a cut: {text}")
        return Cut(side, int(at), when)


class Closed(Exception):
    """A side of a connection has ended."""


class Connection:
    """One client's connection and the server's end of it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = socket.create_connection(("127.0.0.1", proxy.target), timeout=5)
        self.server.settimeout(None)
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers_one_byte = False
        """The next answer is the single byte that answers a request for encryption."""
        self.threads = [
            threading.Thread(target=self._pump, args=(FRONTEND, self.client, self.server), daemon=True),
            threading.Thread(target=self._pump, args=(BACKEND, self.server, self.client), daemon=True),
        ]

    @property
    def is_alive(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def _pump(self, side: str, source: socket.socket, target: socket.socket) -> None:
        is_first = side == FRONTEND
        with contextlib.suppress(OSError, Closed):
            while True:
                if is_first:
                    message = self._startup(source)
                    is_first = struct.unpack_from("!i", message, 4)[0] in REQUESTS
                    name = REQUESTS.get(struct.unpack_from("!i", message, 4)[0], "startup")
                else:
                    message = read(source, 1)
                    if side == BACKEND and self.answers_one_byte:
                        name, self.answers_one_byte = "encryption", False
                    else:
                        name = chr(message[0])
                        size = read(source, 4)
                        message += size + read(source, struct.unpack("!i", size)[0] - 4)
                if not self.proxy.deliver(self, side, name, message, target):
                    return
        # What has ended on one side ends on the other, once what was sent has been read.
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _startup(self, source: socket.socket) -> bytes:
        """Reads a message without a type: the first of a connection, and those that ask for encryption before it."""
        head = read(source, 4)
        message = head + read(source, struct.unpack("!i", head)[0] - 4)
        if struct.unpack_from("!i", message, 4)[0] in REQUESTS:
            self.answers_one_byte = True
        return message

    def cut(self, reset: bool) -> None:
        """Ends the client's side at once, in order or with a reset. The server carries out what it was sent, and is left."""
        with contextlib.suppress(OSError):
            if reset:
                # The number stays taken until both threads have ended: another connection must not get it meanwhile.
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
                self.client.shutdown(socket.SHUT_RD)
                with socket.socket() as dead:
                    os.dup2(dead.fileno(), self.client.fileno())
            else:
                self.client.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(END_SECONDS)
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.close()


class Proxy:
    """Listens on 127.0.0.1 and hands what it hears to a server's port there."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(SIDES, 0)
        self.names: dict[str, list[str]] = {side: [] for side in SIDES}
        self.fault: Cut | None = None
        self.met = ""
        """The kind of message at which the connection was cut, or nothing where it was not yet."""
        self.delay = 0.0
        self.flowing = threading.Event()
        self.flowing.set()
        self.is_closed = False
        self.connections: list[Connection] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def arm(self, fault: Cut | None = None) -> None:
        """Counts from here on, and cuts where the fault says, once."""
        with self.lock:
            self.counts = dict.fromkeys(SIDES, 0)
            self.names = {side: [] for side in SIDES}
            self.fault, self.met = fault, ""

    def stall(self) -> None:
        """Swallows everything from now on: connections open, and nothing comes through."""
        self.flowing.clear()

    def flow(self) -> None:
        """Ends a stall. What was swallowed stays lost, so its connections are cut."""
        self.cut_all()
        self.flowing.set()

    def cut_all(self) -> int:
        """Cuts every connection now, and gives how many there were."""
        with self.lock:
            alive = [connection for connection in self.connections if connection.is_alive]
            for connection in alive:
                connection.cut(reset=True)
            return len(alive)

    def close(self) -> None:
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join(END_SECONDS)
        self.flowing.set()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        while not self.is_closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                connection = Connection(self, client)
            except OSError:
                client.close()
                continue
            with self.lock:
                for ended in [one for one in self.connections if not one.is_alive]:
                    ended.close()
                    self.connections.remove(ended)
                self.connections.append(connection)
                connection.start()

    def deliver(self, connection: Connection, side: str, name: str, message: bytes, target: socket.socket) -> bool:
        """Counts a message and hands it on; gives false where the connection was cut."""
        with self.lock:
            self.counts[side] += 1
            self.names[side].append(name)
            at, fault = self.counts[side], self.fault
            is_here = fault is not None and fault.side == side and fault.at == at
            if is_here:
                self.fault, self.met = None, name
        if not self.flowing.is_set():
            while not self.flowing.wait(0.1) and not self.is_closed:
                pass
            return False
        if self.delay > 0:
            time.sleep(self.delay)
        if is_here and fault is not None:
            if fault.when == AFTER:
                target.sendall(message)
            connection.cut(reset=at % 2 == 0)
            return False
        target.sendall(message)
        return True


def read(source: socket.socket, count: int) -> bytes:
    """Reads exactly so many bytes."""
    parts = bytearray()
    while len(parts) < count:
        part = source.recv(count - len(parts))
        if not part:
            raise Closed
        parts += part
    return bytes(parts)

"""Streams: what the server pushes to whoever subscribed, each message behind its length.

A client connects, writes the number of the stream and then only reads. There is no flow control on the wire, so each
session has its own short queue. In synchronous mode the next tick waits, for a while, until every queue has room again;
a session that used up that patience is from then on dropped to (its newest message waits) until it has caught up. In
asynchronous mode old messages are dropped at once. Nothing here blocks.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence

Part = bytes | memoryview

QUEUE = 3  # whole messages a session may have waiting
SEND_BUFFER = 1 << 22  # bytes asked of the kernel
_LENGTH = struct.Struct("<I")


class Session:
    """One subscriber of one stream."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.socket, self.peer, self.opened = sock, peer, time.monotonic()
        self.asked = b""  # of the stream's number, until all four bytes are there
        self.stream: int | None = None
        self.partly: memoryview | None = None  # rest of the message being sent
        self.queue: deque[bytes] = deque()
        self.lagging = False  # has used up the patience of a synchronous tick
        self.dropped = 0
        self.watched = 0  # selector events it is registered for
        self.closed = False

    def read(self) -> bool:
        """Takes the stream's number; False when the peer is gone. Anything sent after the number is ignored."""
        try:
            chunk = self.socket.recv(4 - len(self.asked) if self.stream is None else 4096)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not chunk:
            return False
        if self.stream is None:
            self.asked += chunk
            if len(self.asked) == 4:
                (self.stream,) = struct.unpack("<I", self.asked)
        return True

    @property
    def idle(self) -> bool:
        """Whether everything has gone out."""
        return self.partly is None and not self.queue

    @property
    def full(self) -> bool:
        """Whether the next message would have to wait behind too many."""
        return len(self.queue) >= QUEUE

    def send(self, parts: Sequence[Part], size: int, keep_all: bool) -> None:
        """Sends a message of `size` bytes, or queues it; `keep_all` False drops what waits unsent."""
        if self.closed:
            return
        sent = 0
        if self.idle:
            self.lagging = False
            try:
                sent = self.socket.sendmsg((_LENGTH.pack(size), *parts))
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.closed = True
                return
            if sent == size + 4:
                return
            message = b"".join((_LENGTH.pack(size), *parts))
            if sent:
                self.partly = memoryview(message)[sent:]
            else:
                self.queue.append(message)
            return
        if (not keep_all or self.lagging or self.full) and self.queue:
            self.dropped += len(self.queue)
            self.queue.clear()
        self.queue.append(b"".join((_LENGTH.pack(size), *parts)))

    def flush(self) -> None:
        """Sends more of what waits."""
        while not self.closed:
            if self.partly is None:
                if not self.queue:
                    return
                self.partly = memoryview(self.queue.popleft())
            try:
                sent = self.socket.send(self.partly)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                return
            self.partly = self.partly[sent:] if sent < len(self.partly) else None

    def close(self) -> None:
        """Gives the socket back."""
        self.closed = True
        self.socket.close()


class Streams:
    """Which sessions listen to which stream."""

    def __init__(self, changed: Callable[[Session], None]) -> None:
        self.sessions: dict[int, list[Session]] = {}
        self.same: dict[int, int] = {}  # further numbers of a stream, and its first
        self.changed = changed  # told of a session whose wish to write may have changed
        self.last = 0

    def new(self) -> int:
        """The number of a new stream; never given twice."""
        self.last += 1
        return self.last

    def another(self, stream: int) -> int:
        """A further number of the same stream."""
        number = self.new()
        self.same[number] = stream
        return number

    def subscribe(self, session: Session) -> None:
        """A session whose number is known begins to receive."""
        assert session.stream is not None
        self.sessions.setdefault(self.same.get(session.stream, session.stream), []).append(session)

    def unsubscribe(self, session: Session) -> None:
        """A session is gone."""
        stream = self.same.get(session.stream or 0, session.stream or 0)
        sessions = self.sessions.get(stream, [])
        if session in sessions:
            sessions.remove(session)
            if not sessions:
                del self.sessions[stream]

    def withdraw(self, stream: int) -> list[Session]:
        """Takes all sessions off a stream; `subscribe` puts them back."""
        return self.sessions.pop(stream, [])

    def heard(self, stream: int) -> bool:
        """Whether anybody listens."""
        return stream in self.sessions

    def send(self, stream: int, parts: Sequence[Part], keep_all: bool) -> None:
        """Pushes one message to all who listen; the parts may be changed by the caller afterwards."""
        size = sum(map(len, parts))
        for session in self.sessions.get(stream, ()):
            session.send(parts, size, keep_all)
            if session.closed or not session.idle:
                self.changed(session)

    def congested(self) -> list[Session]:
        """Sessions that a synchronous tick should wait for."""
        return [
            session
            for sessions in self.sessions.values()
            for session in sessions
            if session.queue and session.full and not session.lagging and not session.closed
        ]

"""Remote procedure calls: msgpack-rpc on a stream socket, bounded in every direction.

A message is found by `scan` before anything is decoded: it counts what the headers claim, so a few bytes that
promise a billion elements never make the decoder allocate them. A connection that sends no msgpack, too much of it, or
a message that is never finished is closed; the others do not notice.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np

from roadcraft.sim.kernels import njit

MOST_BYTES = 64 << 20  # of one request: an OpenDRIVE text or a texture of 1024 x 1024 fits
MOST_OBJECTS = 6_000_000  # values in one request
MOST_REPLY_BYTES = 64 << 20  # unread replies before a connection is given up
PAUSE_REPLY_BYTES = 1 << 20  # unread replies before no more requests are read
PATIENCE = 10.0  # s until a message that has begun must be complete
RECEIVE = 1 << 18  # bytes a turn
SMALL = 1 << 12  # bytes of a request that is tried as a whole first: what it may claim costs no more than it has

# Message id (None: notification), method, arguments, and whether nobody waits for the answer.
Request = tuple[int | None, str, list[Any], bool]


class ProtocolError(Exception):
    """What came is no msgpack-rpc; the connection is closed."""


@njit("UniTuple(i8, 4)(u1[::1], i8, i8, i8, i8, i8)", nogil=True)
def scan(data, at, pending, objects, most_bytes, most_objects):  # type: ignore[no-untyped-def]  # numba's signature
    """Goes on skipping one msgpack value that starts at 0.

    State to hand in again when more bytes have come: `at` next header, `pending` values not yet begun, `objects` seen.
    Returns (at, pending, objects, status): status 0 wants more bytes, 1 complete (ends at `at`), -1 not acceptable.
    """
    n = data.size
    while pending > 0:
        if at >= n:
            return at, pending, objects, 0
        head = data[at]
        width, body, children = 0, 0, 0  # bytes of the length, bytes after it, values inside
        if head < 0x80 or head >= 0xE0 or head == 0xC0 or head == 0xC2 or head == 0xC3:
            pass
        elif head < 0x90:
            children = 2 * (head & 15)
        elif head < 0xA0:
            children = head & 15
        elif head < 0xC0:
            body = head & 31
        elif 0xC4 <= head <= 0xC6:
            width = 1 << (head - 0xC4)
        elif 0xC7 <= head <= 0xC9:
            width, body = 1 << (head - 0xC7), 1
        elif head == 0xCA:
            body = 4
        elif head == 0xCB:
            body = 8
        elif 0xCC <= head <= 0xCF:
            body = 1 << (head - 0xCC)
        elif 0xD0 <= head <= 0xD3:
            body = 1 << (head - 0xD0)
        elif 0xD4 <= head <= 0xD8:
            body = 1 + (1 << (head - 0xD4))
        elif 0xD9 <= head <= 0xDB:
            width = 1 << (head - 0xD9)
        elif head == 0xDC or head == 0xDD:
            width = 2 if head == 0xDC else 4
        elif head == 0xDE or head == 0xDF:
            width = 2 if head == 0xDE else 4
        else:  # 0xC1 is never used
            return at, pending, objects, -1
        if at + 1 + width > n:
            return at, pending, objects, 0
        length = 0
        for k in range(width):
            length = length << 8 | data[at + 1 + k]
        if head == 0xDC or head == 0xDD:
            children = length
        elif head == 0xDE or head == 0xDF:
            children = 2 * length
        else:
            body += length
        at += 1 + width + body
        pending += children - 1
        objects += children
        # Each value to come needs a byte at least.
        if at + pending > most_bytes or objects > most_objects:
            return at, pending, objects, -1
    return at, pending, objects, 1 if at <= n else 0


class Inbox:
    """Bytes of one connection turned into requests."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_objects: int = MOST_OBJECTS) -> None:
        self.data = bytearray()
        self.most_bytes, self.most_objects = most_bytes, most_objects
        self.state = (0, 1, 1)
        self.begun = 0.0  # when the first byte of an unfinished message came, 0 when there is none

    def feed(self, chunk: bytes, now: float) -> None:
        """Takes what a socket gave at the time `now` [s]."""
        if not self.data:
            self.begun = now
        self.data += chunk

    def lone(self, chunk: bytes) -> Request | None:
        """The request that a small chunk is, when nothing came before it and nothing is behind; `feed` the others."""
        if self.data or len(chunk) > SMALL:
            return None
        try:
            return request(chunk)
        except ProtocolError:
            return None

    def requests(self, now: float) -> Iterator[Request]:
        """The complete requests, each removed before it is yielded; raises `ProtocolError`."""
        while self.data:
            view = np.frombuffer(self.data, np.uint8)
            at, pending, objects, status = scan(view, *self.state, self.most_bytes, self.most_objects)
            del view  # a bytearray with a view cannot shrink
            if status < 0:
                raise ProtocolError("not msgpack, or larger than a request may be")
            if status == 0:
                self.state = (at, pending, objects)
                return
            message = bytes(memoryview(self.data)[:at])
            del self.data[:at]
            self.state, self.begun = (0, 1, 1), now
            yield request(message)

    def stuck(self, now: float) -> bool:
        """Whether a message was begun and not finished for too long."""
        return bool(self.data) and now - self.begun > PATIENCE


def request(message: bytes) -> Request:
    """One msgpack-rpc request or notification; the client's leading metadata, [whether it goes on], is taken off."""
    try:
        value = msgpack.unpackb(message, raw=False, strict_map_key=False, unicode_errors="surrogateescape")
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"not msgpack: {error}") from error
    if isinstance(value, list) and len(value) == 4 and value[0] == 0 and isinstance(value[1], int):
        number, method, arguments = value[1], value[2], value[3]
    elif isinstance(value, list) and len(value) == 3 and value[0] == 2:
        number, method, arguments = None, value[1], value[2]
    else:
        raise ProtocolError("not a msgpack-rpc request")
    if not isinstance(method, str) or not isinstance(arguments, list) or not arguments:
        raise ProtocolError("a request without method or metadata")
    return number, method, arguments[1:], number is None or arguments[0] == [True]


def reply(number: int, error: str | None, result: Any) -> bytes:
    """One response; `error` is for calls that do not exist."""
    return msgpack.packb([1, number, error, result], unicode_errors="surrogateescape")


_TICKED = msgpack.Packer(buf_size=64)  # used again, as making one takes longer than what it does


def reply_to_tick(number: int, result: Any) -> bytes:
    """The same for the answers to ticks, which are small and many."""
    packed: bytes = _TICKED.pack([1, number, None, result])
    return packed


class Connection:
    """One client's call socket. Never blocks; the loop says when it can be read and written."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.peer, self.opened = sock, peer, time.monotonic()
        self.inbox = Inbox()
        self.waiting: deque[Request] = deque()  # decoded, not yet executed
        self.out: deque[memoryview] = deque()
        self.out_bytes = 0
        self.spoke = False  # a valid request has come
        self.held = False  # a tick of this client is being held back: what it sent after that waits
        self.ticks = False  # has set synchronous mode or ticked in it
        self.announced: set[int] = set()  # streams it asked a token of and is about to connect to
        self.watched = 0  # selector events it is registered for
        self.closed = False

    def read(self) -> bool:
        """Takes what has come; False when the peer is gone. Raises `ProtocolError`."""
        try:
            chunk = self.socket.recv(RECEIVE)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not chunk:
            return False
        lone = self.inbox.lone(chunk)
        if lone is not None:
            self.spoke = True
            self.waiting.append(lone)
            return True
        now = time.monotonic()
        self.inbox.feed(chunk, now)
        for item in self.inbox.requests(now):
            self.spoke = True
            self.waiting.append(item)
        return True

    def send(self, data: bytes) -> None:
        """Sends now what the socket takes and keeps the rest, within bounds."""
        if self.closed:
            return
        sent = 0
        if not self.out:
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.closed = True
                return
        if sent < len(data):
            self.out.append(memoryview(data)[sent:])
            self.out_bytes += len(data) - sent
            if self.out_bytes > MOST_REPLY_BYTES:
                self.closed = True

    def flush(self) -> None:
        """Sends more of what was kept."""
        while self.out and not self.closed:
            try:
                sent = self.socket.send(self.out[0])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                return
            self.out_bytes -= sent
            if sent < len(self.out[0]):
                self.out[0] = self.out[0][sent:]
            else:
                self.out.popleft()

    @property
    def readable(self) -> bool:
        """Whether more requests may come in."""
        return not (self.held or self.closed) and self.out_bytes < PAUSE_REPLY_BYTES and not self.waiting

    def close(self) -> None:
        """Gives the socket back."""
        self.closed = True
        self.socket.close()

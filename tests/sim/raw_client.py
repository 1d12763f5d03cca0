"""CARLA's wire spoken by hand, for what the real client cannot be made to say."""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgpack


class RawClient:
    """Calls and streams of one server. `call` returns the result without its envelope."""

    def __init__(self, port: int) -> None:
        self.port, self._number = port, 0
        self.socket = socket.create_connection(("127.0.0.1", port), 10.0)
        self._replies = msgpack.Unpacker(raw=False, max_buffer_size=1 << 28)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str, *arguments: Any) -> int:
        self._number += 1
        self.socket.sendall(msgpack.packb([0, self._number, method, [[False], *arguments]]))
        return self._number

    def receive(self) -> list[Any]:
        """The next [1, number, error, result]."""
        while True:
            for message in self._replies:
                return list(message)
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._replies.feed(data)

    def call(self, method: str, *arguments: Any) -> Any:
        number = self.send(method, *arguments)
        _, answered, error, result = self.receive()
        assert answered == number
        if error is not None:
            raise RuntimeError(error)
        ((bad_or_kind, *rest),) = result
        if bad_or_kind is True or (bad_or_kind == 0 and bad_or_kind is not False):
            raise RuntimeError(rest[0][0])
        return rest[0] if rest else None

    def stream(self, token: bytes) -> Stream:
        number, port = struct.unpack_from("<IH", token)
        return Stream(port, number)


class Stream:
    """One subscribed stream."""

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10.0)
        self.socket.sendall(struct.pack("<I", number))

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def message(self) -> bytes:
        """The next message."""
        (size,) = struct.unpack("<I", self._exactly(4))
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise ConnectionError("the server closed the stream")
            data += chunk
        return bytes(data)

"""Who is connected: the sockets of calls and of streams, and what is waited for on each. Nothing here blocks."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from roadcraft.sim.embedded.server.rpc import Connection, ProtocolError
from roadcraft.sim.embedded.server.streams import Session, Streams
from roadcraft.sim.errors import UserError

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 128  # call sockets that are open
MOST_LEFT = 512  # call sockets that clients have closed while requests of theirs wait to be run; more are forgotten
MOST_SESSIONS = 2048  # stream sockets
SILENT = 10.0  # s after which a socket that never spoke may be closed


class Peers:
    """The sockets of one server."""

    def __init__(self) -> None:
        self.connections: dict[socket.socket, Connection] = {}
        self.sessions: set[Session] = set()
        self.pending: dict[Connection, None] = {}  # connections with requests that were read but not run, in order
        self.selector = selectors.DefaultSelector()
        self.streams = Streams(self.interest)

    def wait(self, most: float) -> None:
        """Reads and writes what can be, as soon as anything can, or after `most` seconds."""
        for key, mask in self.selector.select(most):
            key.data(mask)

    def when_closed(self, descriptor: int, react: Callable[[], None]) -> None:
        """Calls `react` when the other end of the pipe of that descriptor is closed."""
        self.selector.register(descriptor, selectors.EVENT_READ, lambda mask: react())

    def knows(self, connection: Connection) -> bool:
        """Whether it has not been let go of."""
        return connection.socket in self.connections

    def close(self) -> None:
        """Gives all sockets back."""
        for key in list((self.selector.get_map() or {}).values()):
            self.selector.unregister(key.fileobj)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        for connection in list(self.connections.values()):
            connection.close()
        self.connections.clear()
        self.selector.close()

    # ------------------------------------------------------------------------------------------------ coming
    def listen(self, host: str, port: int) -> None:
        """Takes calls on a port and streams on the next. Raises UserError, with all sockets closed, where it cannot."""
        self._listen(host, port, self._accept_call)
        self._listen(host, port + 1, self._accept_stream)

    def _listen(self, host: str, port: int, accept: Callable[[socket.socket], None]) -> None:
        try:
            sock = socket.create_server((host, port), backlog=64)
        except OSError as error:
            self.close()
            raise UserError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from None
        except OverflowError:
            self.close()
            raise UserError(f"port {port} is outside 0 to 65535; choose another --port") from None
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, lambda mask: accept(sock))

    def _accept_call(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except OSError:
            return
        left = [each for each in self.connections.values() if each.closed]
        if len(left) >= MOST_LEFT:
            self.drop(left[0])
        if len(self.connections) - len(left) >= MOST_CONNECTIONS and not self._evict():
            log.warning("%s:%d: too many connections; refused", *address[:2])
            sock.close()
            return
        connection = Connection(sock, f"{address[0]}:{address[1]}")
        self.connections[sock] = connection
        self.watch(connection)

    def _accept_stream(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except OSError:
            return
        if len(self.sessions) >= MOST_SESSIONS:
            self._silence(1)
        if len(self.sessions) >= MOST_SESSIONS:
            sock.close()
            return
        session = Session(sock, f"{address[0]}:{address[1]}")
        self.sessions.add(session)
        self.interest(session)

    def _evict(self) -> bool:
        """Closes the oldest connection that never said anything sensible; False when there is none."""
        now = time.monotonic()
        for connection in sorted(self.connections.values(), key=lambda each: each.opened):
            if not connection.spoke and now - connection.opened > SILENT:
                self.drop(connection)
                return True
        return False

    def _silence(self, most: int) -> None:
        """Closes up to `most` sessions that never named a stream, oldest first."""
        now = time.monotonic()
        mute = [each for each in self.sessions if each.stream is None and now - each.opened > SILENT]
        for session in sorted(mute, key=lambda each: each.opened)[:most]:
            session.closed = True
            self.interest(session)

    # ------------------------------------------------------------------------------------------------ talking
    def _serve(self, connection: Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            connection.flush()
        if mask & selectors.EVENT_READ:
            try:
                alive = connection.read()
            except ProtocolError as error:
                log.warning("%s: %s; closed", connection.peer, error)
                alive = False
            if not alive:
                connection.closed = True
            elif connection.waiting:
                self.pending[connection] = None  # and watched on when that has been run
                return
        self.watch(connection)

    def watch(self, connection: Connection) -> None:
        """Tells the selector what a connection waits for; lets go of one that is gone and has nothing left to run."""
        if connection.closed and not connection.waiting:
            self.drop(connection)
            return
        wanted = selectors.EVENT_READ if connection.readable else 0
        if connection.out and not connection.closed:
            wanted |= selectors.EVENT_WRITE
        self._select(connection, wanted, self._serve)

    def _select(self, peer: Any, wanted: int, react: Callable[[Any, int], None]) -> None:
        """Registers what a connection or session waits for, when that changed."""
        if wanted == peer.watched:
            return
        if not peer.watched:
            self.selector.register(peer.socket, wanted, lambda mask: react(peer, mask))
        elif not wanted:
            self.selector.unregister(peer.socket)
        else:
            self.selector.modify(peer.socket, wanted, lambda mask: react(peer, mask))
        peer.watched = wanted

    def drop(self, connection: Connection) -> None:
        """Lets go of a connection and of what it still wanted."""
        if self.connections.pop(connection.socket, None) is None:
            return
        self._select(connection, 0, self._serve)
        connection.close()
        self.pending.pop(connection, None)

    def _push(self, session: Session, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            session.flush()
        if mask & selectors.EVENT_READ:
            new = session.stream is None
            if not session.read():
                session.closed = True
            elif new and session.stream is not None:
                self.streams.subscribe(session)
                for connection in self.connections.values():
                    connection.announced.discard(session.stream)
        self.interest(session)

    def interest(self, session: Session) -> None:
        """A session's wish to write may have changed, or it is gone."""
        if session.closed:
            if session in self.sessions:
                self.sessions.remove(session)
                self._select(session, 0, self._push)
                self.streams.unsubscribe(session)
                session.close()
            return
        self._select(session, selectors.EVENT_READ | (0 if session.idle else selectors.EVENT_WRITE), self._push)

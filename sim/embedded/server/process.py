"""An embedded server as a child process: started, waited for, ended with all its children.

    with ServerProcess(town="grid", seed=3) as server:
        client = carla.Client("127.0.0.1", server.port)

The child's output goes to a file, never to a pipe that could fill up. When the parent dies, however it dies, the child
ends too: it watches a pipe whose other end only the parent holds.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from roadcraft.sim.errors import UserError, WorldLost

START = 300.0  # s until it must listen: the first start on a machine compiles its kernels
END = 5.0  # s that it has to end by itself
TAIL = 2000  # characters of its log that an error quotes
FIRST_PORT, LAST_PORT = 20_000, 32_000  # below the ports that the system gives to clients


class ServerProcess:
    """One running server. `port` is 0 until it is started, then the port of its calls (streams: the next)."""

    def __init__(self, port: int = 0, *, python: str = sys.executable, start: float = START, **options: Any) -> None:
        """`port` 0: any free one. `options` as in `server.app.Options`; `python` of the environment it runs in."""
        self.port, self._wanted, self._python, self._start = 0, port, python, start
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.log: Path | None = None
        self._lifeline = -1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> int:
        """Starts the server, waits until it listens, returns its port. Raises UserError when it does not come up."""
        for attempt in range(8):
            port = self._wanted or free_port()
            if self._launch(port):
                self.port = port
                return port
            text = self.tail()
            self.stop()
            if self._wanted or "cannot listen" not in text:
                raise UserError(f"the embedded server did not start: {text.strip() or 'it said nothing'}")
            time.sleep(0.05 * attempt)  # another process took the port between the choice and the use
        raise UserError("the embedded server found no free port")

    def _launch(self, port: int) -> bool:
        """Starts it on that port; True once it listens, False when it ended."""
        handle, name = tempfile.mkstemp(prefix="roadcraft-server-", suffix=".log")
        self.log = Path(name)
        read, self._lifeline = os.pipe()
        arguments = [self._python, "-m", "roadcraft.sim.embedded.server", f"--port={port}", f"--lifeline={read}"]
        for key, value in self.options.items():
            option = f"--{key.replace('_', '-')}"
            if value is True:
                arguments.append(option)
            elif value is not False and value is not None and value != "":
                arguments.append(f"{option}={value}")
        ready, report = os.pipe()
        try:
            self.process = subprocess.Popen(
                [*arguments, f"--ready={report}"],
                stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, pass_fds=(read, report), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.close(ready)
            self.stop()
            raise UserError(f"the embedded server did not start: {self._python}: {error.strerror}") from None
        finally:
            for descriptor in (handle, read, report):
                os.close(descriptor)
        return self._await(ready)

    def _await(self, ready: int) -> bool:
        """Waits for the child's byte on the pipe `ready`; the pipe ends without one when the child ends."""
        try:
            listed, _, _ = select.select([ready], [], [], self._start)
            if not listed:
                raise UserError(f"the embedded server did not listen within {self._start:g} s: {self.tail().strip()}")
            return os.read(ready, 1) == b"1"
        finally:
            os.close(ready)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it lives."""
        return self.process.poll() if self.process is not None else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def check(self) -> None:
        """Raises WorldLost, with exit status and the end of the log, when it does not run any more."""
        if self.process is not None and self.process.poll() is not None:
            status = self.process.returncode
            how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            text = self.tail().strip()
            raise WorldLost(
                f"the embedded server on port {self.port} {how}" + (f"; it said last: {text}" if text else "")
            )

    def tail(self) -> str:
        """The end of its log."""
        if self.log is None or not self.log.exists():
            return ""
        return self.log.read_text(errors="replace")[-TAIL:]

    def kill(self) -> None:
        """Ends it at once (SIGKILL), with its children."""
        if self.process is not None:
            _signal_group(self.process, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """Ends it: asks, then kills. May be called twice."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self.process is not None:
            _signal_group(self.process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(END)
            _signal_group(self.process, signal.SIGKILL)
            self.process.wait()
            self.process = None
        if self.log is not None:
            self.log.unlink(missing_ok=True)
            self.log = None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free together with the next one.

    The numbers lie below those that the system hands out to clients, and where the search begins depends on the
    process, so that test processes side by side rarely choose the same.
    """
    span = (LAST_PORT - FIRST_PORT) // 2
    begin = (os.getpid() * 61 + time.monotonic_ns() // 1000) % span
    for k in range(span):
        port = FIRST_PORT + 2 * ((begin + k) % span)
        if _bindable(host, port) and _bindable(host, port + 1):
            return port
    raise UserError("there are no two free ports side by side")


def _bindable(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True

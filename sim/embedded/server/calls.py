"""The one table of remote procedures: name, arguments, result, and what a user may expect of each.

`calls_*.py` fill it with `@call`; `answer` looks a method up, decodes its arguments, runs it and wraps the result as
CARLA does. The compatibility page of the documentation is made from this table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server.wire import Decoder, WireError
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

log = logging.getLogger(__name__)
Handler = Callable[..., Any]


class Result(Enum):
    """How a result is wrapped."""

    VALUE = "value"  # [[1, value]] or [[0, [message]]]
    VOID = "nothing"  # [[false]] or [[true, [message]]]
    BARE = "list"  # as it is: `apply_batch` alone


class Status(Enum):
    """What a user may expect of a call."""

    DONE = "done"
    PARTLY = "partly"
    ACCEPTED = "accepted, without effect"
    REFUSED = "refused with a clear error"


@dataclass(frozen=True, slots=True)
class Call:
    """One remote procedure."""

    name: str
    result: Result
    arguments: tuple[Decoder, ...]
    handler: Handler
    status: Status
    note: str


CALLS: dict[str, Call] = {}


def call(
    name: str, result: Result, *arguments: Decoder, status: Status = Status.DONE, note: str = ""
) -> Callable[[Handler], Handler]:
    """Declares a remote procedure. The handler gets the server and the decoded arguments."""

    def declare(handler: Handler) -> Handler:
        assert name not in CALLS, name
        CALLS[name] = Call(name, result, arguments, handler, status, note)
        return handler

    return declare


def refuse(name: str, result: Result, why: str) -> None:
    """Declares a procedure that cannot mean anything here: it answers with an error that says why."""

    def handler(server: Server, *_: Any) -> Any:
        raise UserError(f"{name}: {why}")

    CALLS[name] = Call(name, result, (), handler, Status.REFUSED, why)


def accept(name: str, result: Result, value: Any, note: str, *arguments: Decoder) -> None:
    """Declares a procedure that is answered and changes nothing; the server's log says so once."""

    def handler(server: Server, *_: Any) -> Any:
        if result is Result.VOID:
            server.note(f"a client called {name}, which has no effect here: {note}")
        return value

    CALLS[name] = Call(name, result, arguments, handler, Status.ACCEPTED, note)


def run(server: Server, name: str, arguments: list[Any]) -> Any:
    """Decodes the arguments and runs a call of the table. Raises UserError with a message for the client."""
    entry = CALLS[name]
    if len(arguments) < len(entry.arguments):
        raise WireError(f"{name}: {len(entry.arguments)} arguments expected, got {len(arguments)}")
    try:
        values = [decode(value) for decode, value in zip(entry.arguments, arguments, strict=False)]
    except WireError as error:
        raise WireError(f"{name}: {error}") from None
    return entry.handler(server, *values)


def success(result: Result, value: Any) -> Any:
    """The envelope of a result."""
    return [[1, value]] if result is Result.VALUE else [[False]] if result is Result.VOID else value


def failure(result: Result, message: str) -> Any:
    """The envelope of an error."""
    return [[0, [message]]] if result is Result.VALUE else [[True, [message]]] if result is Result.VOID else []


def answer(server: Server, name: str, arguments: list[Any]) -> tuple[str | None, Any]:
    """(error of the call itself, enveloped result). Never raises."""
    entry = CALLS.get(name)
    if entry is None:
        server.note(f"a client called '{name:.80}', which does not exist")
        return f"no procedure '{name:.80}' with {len(arguments)} arguments", None
    try:
        return None, success(entry.result, run(server, name, arguments))
    except UserError as error:
        server.refused(name, arguments, error)
        return None, failure(entry.result, str(error))
    except Exception as error:
        log.exception("%s failed", name)
        return None, failure(entry.result, f"{name}: internal error of the server: {type(error).__name__}: {error}")

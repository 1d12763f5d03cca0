"""`apply_batch`: many commands in one message, each answered on its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Category
from roadcraft.sim.embedded.server.calls import Result, call, run
from roadcraft.sim.embedded.server.calls_actors import description, spawn
from roadcraft.sim.embedded.server.wire import WireError, fields, number, optional, pose, u32
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

log = logging.getLogger(__name__)
MOST_COMMANDS = 20_000
DEEPEST = 4  # spawns within the follow-up commands of spawns

_spawn = fields(description, pose, optional(u32), wire.anything, wire.anything, wire.listed(wire.anything, 64))
_walker_state = fields(u32, pose, number)


def _spawned(server: Server, body: Any, depth: int) -> int:
    """As in CARLA the answer is the new actor's id even where what should follow fails: the log alone tells of that."""
    what, where, parent, attachment, _, after = _spawn(body)
    actor = spawn(server, what, where, parent or 0, attachment)
    for item in after:
        name, rest = "command", None
        try:
            kind, rest = command(item)
            name = COMMANDS[kind][0]
            if kind != 0 and isinstance(rest, list) and rest:
                rest = [actor.id, *rest[1:]]  # the placeholder for the new actor
            execute(server, kind, rest, depth + 1)
        except UserError as error:
            server.refused(f"{name} after a spawn in a batch", rest, error, told=False)
    return actor.id


def _walker_moved(server: Server, body: Any, depth: int) -> int:
    actor, where, speed = _walker_state(body)
    server.live.walk(server.live.actors.get(actor, Category.WALKER), where, speed)
    return int(actor)


def _as_call(name: str) -> Callable[[Server, Any, int], int]:
    def execute_call(server: Server, body: Any, depth: int) -> int:
        if not isinstance(body, list) or not body:
            raise WireError(f"{name}: a command without an actor")
        run(server, name, body)
        return body[0] if isinstance(body[0], int) else 0

    return execute_call


def _controlled(server: Server, body: Any, depth: int) -> int:
    """The TrafficManager controls its cars so: see `stop_signs`."""
    actor = _as_call("apply_control_to_vehicle")(server, body, depth)
    server.live.batched(actor, True)
    return actor


def _calls(names: str) -> Iterator[tuple[str, Callable[[Server, Any, int], int]]]:
    return ((name, _as_call(name)) for name in names.split())


# The commands in the order of their numbers on the wire: by what name the log calls them, and what runs them.
COMMANDS: tuple[tuple[str, Callable[[Server, Any, int], int]], ...] = (
    ("spawn_actor", _spawned),
    *_calls("destroy_actor"),
    ("apply_control_to_vehicle", _controlled),
    *_calls("apply_ackermann_control_to_vehicle apply_control_to_walker"),
    *_calls("apply_physics_control set_actor_transform"),
    ("apply_walker_state", _walker_moved),
    *_calls("set_actor_target_velocity set_actor_target_angular_velocity add_actor_impulse add_actor_force"),
    *_calls("add_actor_angular_impulse add_actor_torque set_actor_simulate_physics set_actor_enable_gravity"),
    *_calls("set_actor_autopilot show_vehicle_debug_telemetry set_vehicle_light_state set_actor_location"),
    *_calls("console_command set_traffic_light_state"),
)


def command(item: Any) -> tuple[int, Any]:
    """Number and body of one command, `[[number, body]]` on the wire."""
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2:
        kind, body = item[0]
        if isinstance(kind, int) and 0 <= kind < len(COMMANDS):
            return kind, body
    raise WireError(f"expected a command, got {item!r:.60}")


def execute(server: Server, kind: int, body: Any, depth: int = 0) -> int:
    """Runs one command; the id of the actor it was about. Raises UserError."""
    if depth > DEEPEST:
        raise WireError(f"commands are nested deeper than {DEEPEST}")
    return COMMANDS[kind][1](server, body, depth)


@call("apply_batch", Result.BARE, wire.listed(wire.anything, MOST_COMMANDS), wire.anything)
def apply_batch(server: Server, items: list[Any], tick: Any) -> list[Any]:
    """Each command's actor id or error. The client ticks by a call of its own."""
    results: list[Any] = []
    for item in items:
        name, body = "command", None
        try:
            kind, body = command(item)
            name = COMMANDS[kind][0]
            results.append([[1, execute(server, kind, body)]])
        except UserError as error:
            server.refused(f"{name} in a batch", body, error)
            results.append([[0, [str(error)]]])
        except Exception as error:
            log.exception("a command of a batch failed")
            results.append([[0, [f"internal error of the server: {type(error).__name__}: {error}"]]])
    return results

"""Calls about recording and replaying. Recordings live in the server's own folder, whatever path a client names."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server import recording, wire
from roadcraft.sim.embedded.server.calls import Result, Status, call
from roadcraft.sim.embedded.server.recording import Recorder, inside
from roadcraft.sim.embedded.server.replay import Replay
from roadcraft.sim.embedded.server.wire import Pose, flag, number, pose, text, u32
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE, VOID = Result.VALUE, Result.VOID


@call(
    "start_recorder", VALUE, text, flag, status=Status.PARTLY,
    note="in a format of its own, which CARLA cannot read; additional data is not recorded",
)  # fmt: skip
def start_recorder(server: Server, name: str, additional: bool) -> str:
    """The path of the file; a recording that was running ends."""
    server.stop_recorder()
    server.recorder = Recorder(inside(server.options.recordings, name), server.live)
    return str(server.recorder.path)


@call("stop_recorder", VOID)
def stop_recorder(server: Server) -> None:
    server.stop_recorder()


def _read(server: Server, name: str) -> recording.Recording:
    if server.recorder is not None:
        server.recorder.file.flush()
    return recording.read(inside(server.options.recordings, name))


def or_not_found(tell: Callable[..., str]) -> Callable[..., str]:
    """What `tell` says about a recording; where there is none, CARLA's words for that, which are no error."""

    @wraps(tell)
    def told(server: Server, name: str, *rest: Any) -> str:
        if not inside(server.options.recordings, name).is_file():
            return f"File {name} not found on server\n"
        return tell(server, name, *rest)

    return told


@call("show_recorder_file_info", VALUE, text, flag)
@or_not_found
def file_info(server: Server, name: str, everything: bool) -> str:
    return recording.info(_read(server, name), everything)


def _letter(value: Any) -> str:
    """A type of actor; the client sends the character's code."""
    letter = chr(value) if isinstance(value, int) and 0 < value < 128 else value
    if letter not in ("h", "v", "w", "t", "o", "a"):
        raise wire.WireError(f"type of actor {letter!r:.20} is none of h, v, w, t, o, a")
    return str(letter)


@call("show_recorder_collisions", VALUE, text, _letter, _letter)
@or_not_found
def collisions(server: Server, name: str, first: str, second: str) -> str:
    return recording.collisions(_read(server, name), first, second)


@call("show_recorder_actors_blocked", VALUE, text, number, number)
@or_not_found
def blocked(server: Server, name: str, least_time: float, least_distance: float) -> str:
    """The client gives the distance in centimetres."""
    return recording.blocked(_read(server, name), least_time, least_distance / 100)


@call("replay_file", VALUE, text, number, number, u32, flag, pose)
@or_not_found
def replay_file(
    server: Server, name: str, start: float, duration: float, follow: int, sensors: bool, offset: Pose
) -> str:
    found = _read(server, name)
    if not found.frames:
        raise UserError(f"recording '{name:.80}' has no frames")
    server.stop_replay(keep=False)
    if found.map_name != server.live.map_name:
        loaded, town = server.maps.load(found.map_name)
        server.replace_world(town, loaded, False)
    server.replay = Replay(server, found, start, duration, follow, sensors, offset)
    return (
        f"Replaying File: {name}\nMap: {found.map_name}\nFrames: {len(found.frames)}\n"
        f"Duration: {found.duration:g} seconds\nFrom {server.replay.time:g} to {server.replay.end:g} seconds\n"
    )


@call("stop_replayer", VOID, flag)
def stop_replayer(server: Server, keep: bool) -> None:
    server.stop_replay(keep)


@call("set_replayer_time_factor", VOID, number)
def set_time_factor(server: Server, factor: float) -> None:
    server.replay_factor = max(0.0, factor)


@call("set_replayer_ignore_hero", VOID, flag)
def ignore_hero(server: Server, on: bool) -> None:
    server.replay_ignores_hero = on


@call("set_replayer_ignore_spectator", VOID, flag)
def ignore_spectator(server: Server, on: bool) -> None:
    server.replay_ignores_spectator = on

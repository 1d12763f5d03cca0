"""Recordings: files of what happened, written tick by tick, and what can be told from one.

A file is a line of text and then blocks, each a u32 length and msgpack: first a dictionary about the map, then one
dictionary a frame. A file that was cut off is readable up to its last whole block.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgpack
import numpy as np

from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

MAGIC = b"Roadcraft recording 1\n"
MOST_BYTES = 1 << 30  # of one recording
_BLOCK = struct.Struct("<I")
_NUMBERS = {Category.VEHICLE: 1, Category.WALKER: 2, Category.LIGHT: 3}  # of types in CARLA's reports, 0 for others
_LETTERS = {Category.VEHICLE: "v", Category.WALKER: "w", Category.LIGHT: "t", Category.PROP: "o"}

STATE = np.dtype(
    [
        ("id", "<u4"),
        ("xyz", "<f8", 3),  # [m] our frame
        ("angles", "<f8", 3),  # yaw, pitch, roll [rad]
        ("velocity", "<f4", 3),  # [m/s]
        ("throttle", "<f4"),
        ("steer", "<f4"),  # left positive
        ("brake", "<f4"),
        ("lights", "<u4"),
        ("target_speed", "<f4"),  # walkers
        ("stride", "<f4"),
    ]
)


def inside(folder: Path, name: str) -> Path:
    """The file of that name in the server's own folder, whatever path a client gave. Raises UserError."""
    last = re.split(r"[/\\]", name.strip())[-1]
    if not re.fullmatch(r"[\w][\w .+=-]{0,120}", last):
        raise UserError(f"'{name:.80}' is no name for a recording: letters, digits, '_', '-' and '.' only")
    return folder / last


class Recorder:
    """Writes one recording."""

    def __init__(self, path: Path, live: LiveWorld) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file: BinaryIO = path.open("wb")
        except OSError as error:
            raise UserError(f"cannot write the recording {path}: {error.strerror}") from None
        self.path, self.bytes, self.began = path, 0, live.simulation.time
        self.known: dict[int, Actor] = {}
        self.file.write(MAGIC)
        self._block({"map": live.map_name, "date": time.strftime("%x %X"), "seed": live.seed})
        self.frame(live, 0.0)

    def frame(self, live: LiveWorld, delta: float) -> None:
        """Writes the present tick."""
        now = {actor.id: actor for actor in live.actors}
        came = [self._create(live, actor) for number, actor in now.items() if number not in self.known]
        went = [number for number in self.known if number not in now]
        self.known = now
        bodies = live.simulation.bodies
        used = bodies[bodies["id"] > 0]
        states = np.zeros(len(used), STATE)
        for name in ("id", "xyz", "velocity", "throttle", "steer", "brake", "lights", "target_speed", "stride"):
            states[name] = used[name]
        states["angles"] = np.stack([used["yaw"], used["pitch"], used["roll"]], -1)
        lights = live.simulation.lights
        self._block({
            "frame": live.frame, "time": live.simulation.time - self.began, "delta": delta,
            "came": came, "went": went, "states": states.tobytes(), "lights": lights.state.tobytes(),
            "collisions": [[int(c["a"]), int(c["b"])] for c in live.contacts],
            "spectator": list(live.spectator.pose),
        })  # fmt: skip

    def _create(self, live: LiveWorld, actor: Actor) -> list[Any]:
        place = actor.relative if actor.parent else live.pose_of(actor)
        return [
            actor.id, actor.type_id, actor.wire_attributes, actor.parent, list(place), int(actor.attachment),
            int(actor.category),
        ]  # fmt: skip

    def _block(self, value: dict[str, Any]) -> None:
        data = msgpack.packb(value)
        if self.bytes + len(data) > MOST_BYTES:  # the recording ends here; what is written stays readable
            self.bytes = MOST_BYTES
            return
        self.bytes += len(data)
        try:
            self.file.write(_BLOCK.pack(len(data)) + data)
        except OSError:
            self.bytes = MOST_BYTES

    def close(self) -> None:
        """Ends the recording."""
        self.file.close()


@dataclass(slots=True)
class Recording:
    """A recording that was read."""

    map_name: str
    date: str
    frames: list[dict[str, Any]] = field(default_factory=list)

    @property
    def duration(self) -> float:
        """[s]"""
        return float(self.frames[-1]["time"]) if self.frames else 0.0


def read(path: Path) -> Recording:
    """Reads a file. Raises UserError when it is missing or no recording."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise UserError(f"{path.name} is no recording")
            blocks = list(_blocks(file))
    except OSError as error:
        raise UserError(f"recording {path.name}: {error.strerror}") from None
    if not blocks or "map" not in blocks[0]:
        raise UserError(f"recording {path.name} is empty")
    return Recording(str(blocks[0]["map"]), str(blocks[0]["date"]), blocks[1:])


def _blocks(file: BinaryIO) -> Iterator[dict[str, Any]]:
    while len(head := file.read(_BLOCK.size)) == _BLOCK.size:
        (size,) = _BLOCK.unpack(head)
        data = file.read(size)
        if len(data) < size:
            return
        try:
            value = msgpack.unpackb(data)
        except ValueError:
            return
        yield value


# ---------------------------------------------------------------------------------------------------------- reports
def _head(recording: Recording) -> list[str]:
    return ["Version: 1", f"Map: {recording.map_name}", f"Date: {recording.date}", ""]


def _foot(recording: Recording) -> list[str]:
    return ["", f"Frames: {len(recording.frames)}", f"Duration: {recording.duration:g} seconds"]


def _centimetres(place: Sequence[float]) -> str:
    """A place in the unit of CARLA's recorder, in its frame."""
    return f"({100 * place[0]:g}, {-100 * place[1]:g}, {100 * place[2]:g})"


def info(recording: Recording, everything: bool) -> str:
    """What `show_recorder_file_info` tells: who came and went, collisions; positions too when asked for."""
    lines = _head(recording)
    for number, frame in enumerate(recording.frames, 1):
        found = [
            f" Create {c[0]}: {c[1]} ({_NUMBERS.get(Category(c[6]), 0)}) at {_centimetres(c[4])}"
            + "".join(f"\n  {key} = {value}" for key, _, value in c[2])
            for c in frame["came"]
        ]
        found += [f" Parenting {c[0]} with {c[3]} (parent)" for c in frame["came"] if c[3]]
        found += [f" Destroy {number}" for number in frame["went"]]
        found += [f" Collision between {a} and {b}" for a, b in frame["collisions"]]
        if everything:
            states = np.frombuffer(frame["states"], STATE)
            found.append(f" Positions: {len(states)}")
            for state in states:
                found.append(f"  Id: {state['id']} Location: {_centimetres(state['xyz'])}")
        if found:
            lines += [f"Frame {number} at {frame['time']:g} seconds", *found]
    return "\n".join(lines + _foot(recording)) + "\n"


def _actors(recording: Recording) -> dict[int, list[Any]]:
    return {each[0]: each for frame in recording.frames for each in frame["came"]}


def _letter(known: dict[int, list[Any]], number: int) -> str:
    if number not in known:
        return "o"
    hero = any(key == "role_name" and value in ("hero", "ego_vehicle") for key, _, value in known[number][2])
    return "h" if hero else _LETTERS.get(Category(known[number][6]), "o")


def collisions(recording: Recording, first: str, second: str) -> str:
    """What `show_recorder_collisions` tells, of pairs of these types: h, v, w, t, o, or a for any."""
    known, lines = _actors(recording), _head(recording)
    touching: set[tuple[int, int]] = set()
    lines.append(f"{'Time':>8} {'Types':>6} {'Id':>6} {'Actor 1':<35}{'Id':>6} Actor 2")
    for frame in recording.frames:
        pairs = {(a, b) for a, b in frame["collisions"]}
        for a, b in sorted(pairs - touching):
            types = (_letter(known, a), _letter(known, b))
            if _fits(first, types[0]) and _fits(second, types[1]):
                names = [known[n][1] if n in known else "static" for n in (a, b)]
                lines.append(f"{frame['time']:>8.2f} {types[0]:>3} {types[1]} {a:>7} {names[0]:<35}{b:>6} {names[1]}")
        touching = pairs
    return "\n".join(lines + _foot(recording)) + "\n"


def _fits(wanted: str, got: str) -> bool:
    return wanted in ("a", got) or (wanted, got) == ("v", "h")


def blocked(recording: Recording, least_time: float, least_distance: float) -> str:
    """What `show_recorder_actors_blocked` tells: who moved less than a distance [m] for longer than a time [s]."""
    known, lines = _actors(recording), _head(recording)
    lines.append(f"{'Time':>8} {'Id':>6} {'Actor':<35}{'Duration':>10}")
    since: dict[int, tuple[float, Any]] = {}
    found: list[tuple[float, int, float]] = []
    for frame in recording.frames:
        for state in np.frombuffer(frame["states"], STATE):
            number, place = int(state["id"]), state["xyz"]
            began, where = since.setdefault(number, (frame["time"], place))
            if np.linalg.norm(place - where) >= least_distance:
                found.append((began, number, frame["time"] - began))
                since[number] = (frame["time"], place)
        for number in since.keys() & frame["went"]:
            found.append((since[number][0], number, frame["time"] - since.pop(number)[0]))
    found += [(began, number, recording.duration - began) for number, (began, _) in since.items()]
    for began, number, duration in sorted(found, key=lambda each: -each[2]):
        if duration >= least_time:
            name = known[number][1] if number in known else "?"
            lines.append(f"{began:>8.2f} {number:>6} {name:<35}{duration:>10.2f}")
    return "\n".join(lines + _foot(recording)) + "\n"

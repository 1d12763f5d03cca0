"""Actors: everything that has a CARLA id. Vehicles, walkers and props are bodies of the simulation besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from math import atan2, hypot
from typing import Any

from roadcraft.sim.embedded.server.wire import NO_TOKEN, ORIGIN, Pose, box_wire, compose, token
from roadcraft.sim.errors import UserError

MOST_ACTORS = 20_000
MOST_GONE = 256


class Category(IntEnum):
    """What an actor is to the server."""

    VEHICLE = 0
    WALKER = 1
    PROP = 2  # the first three are bodies of the simulation
    SENSOR = 3
    LIGHT = 4
    SIGN = 5
    OTHER = 6  # spectator, walker controllers, triggers


class Attachment(IntEnum):
    """How a child follows its parent."""

    RIGID = 0
    SPRING_ARM = 1
    SPRING_ARM_GHOST = 2


class NoActor(UserError):
    """A client named an actor that is not there, or not of the needed kind."""


@dataclass(slots=True, eq=False)
class Actor:
    """One actor. `pose` is kept by the simulation's bodies instead where there is one."""

    id: int
    type_id: str
    category: Category
    uid: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    wire_attributes: list[list[Any]] = field(default_factory=list)  # [id, type, value]
    parent: int = 0
    relative: Pose = ORIGIN
    attachment: Attachment = Attachment.RIGID
    pose: Pose = ORIGIN
    extent: tuple[float, float, float] = (0.0, 0.0, 0.0)  # [m] half sizes
    centre: Pose = ORIGIN  # of the bounding box, in the actor's frame
    tag: int = 0  # CARLA's semantic tag, 0 for none
    stream: int = 0
    signal: int = -1  # row of the network's `signals`
    sensor: Any = None  # what produces its data, for sensors with a stream
    ignored: tuple[int, ...] = ()  # vehicles that a sensor does not see

    def wire(self, stream_port: int) -> list[Any]:
        """The tuple by which a client knows the actor."""
        return [
            self.id,
            self.parent,
            [self.uid, self.type_id, self.wire_attributes],
            box_wire(self.centre, self.extent, self.id),
            bytes([self.tag]) if self.tag else b"",
            token(self.stream, stream_port) if self.stream else NO_TOKEN,
        ]

    @property
    def is_body(self) -> bool:
        """Whether the simulation moves it."""
        return self.category <= Category.PROP

    def number(self, name: str) -> float:
        """A numeric attribute."""
        return float(self.attributes[name])

    def flag(self, name: str) -> bool:
        """An attribute that is true or false."""
        return self.attributes[name].lower() in ("true", "1")

    def follow(self, parent: Pose) -> Pose:
        """Where it is when its parent is at `parent`."""
        if self.attachment is Attachment.RIGID:
            return compose(parent, self.relative)
        # A spring arm keeps upright, turns with the parent, and its end looks along the arm.
        x, y, z = self.relative.xyz
        arm = Pose(0.0, 0.0, 0.0, atan2(-y, -x) if x or y else 0.0, atan2(z, hypot(x, y)))
        end = compose(arm, Pose(0.0, 0.0, 0.0, *self.relative[3:]))
        return compose(Pose(*parent.xyz, parent.yaw), Pose(x, y, z, *end[3:]))


class Actors:
    """All actors of one world, in the order in which they came."""

    def __init__(self) -> None:
        self.by_id: dict[int, Actor] = {}
        self.gone: dict[int, Actor] = {}  # the last bodies that were removed
        self.children: dict[int, list[int]] = {}
        self.version = 0  # grows with every change; what is derived from the list compares it

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[Actor]:
        return iter(self.by_id.values())

    def add(self, actor: Actor) -> Actor:
        """Takes a new actor in. Raises UserError when there are too many."""
        if len(self.by_id) >= MOST_ACTORS:
            raise UserError(f"there are {MOST_ACTORS} actors already, the most that this server keeps")
        self.by_id[actor.id] = actor
        if actor.parent:
            self.children.setdefault(actor.parent, []).append(actor.id)
        self.version += 1
        return actor

    def remove(self, number: int) -> Actor:
        """Takes an actor out; as in CARLA its children stay where they are, and have no parent any more."""
        actor = self.get(number)
        del self.by_id[number]
        self._remember(actor)
        for child in self.children.pop(number, ()):
            self.by_id[child].parent = 0
        if actor.parent in self.children:
            self.children[actor.parent].remove(number)
            if not self.children[actor.parent]:
                del self.children[actor.parent]
        self.version += 1
        return actor

    def _remember(self, actor: Actor) -> None:
        if actor.is_body:
            self.gone[actor.id] = actor
            if len(self.gone) > MOST_GONE:
                del self.gone[next(iter(self.gone))]

    def follow_on(self, before: Actors) -> None:
        """Begins in place of another world's: whoever was there is gone."""
        for actor in (*before.gone.values(), *before):
            self._remember(actor)

    def seen(self, number: int) -> Actor:
        """As `get`, and of those that were removed the last ones: some client may not know of that yet."""
        return self.gone[number] if number in self.gone and number not in self.by_id else self.get(number)

    def get(self, number: int, *categories: Category) -> Actor:
        """The actor of that id, and of one of these categories when any are given. Raises NoActor."""
        actor = self.by_id.get(number)
        if actor is None:
            raise NoActor(f"actor {number} not found")
        if categories and actor.category not in categories:
            wanted = " or ".join(category.name.lower() for category in categories)
            raise NoActor(f"actor {number} ({actor.type_id}) is no {wanted}")
        return actor

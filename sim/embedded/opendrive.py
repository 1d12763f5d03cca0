"""Roads, junctions, signals and objects as plain data, as OpenDRIVE 1.4 has them (ASAM OpenDRIVE 1.4H)."""

from __future__ import annotations

from dataclasses import dataclass, field

from roadcraft.sim.planview import Plan

LIGHT, STOP, YIELD, SPEED = "1000001", "206", "205", "274"  # signal types as CARLA knows them


@dataclass(frozen=True)
class Width:
    """The cubic a + b ds + c ds^2 + d ds^3 [m] from `at` [m] after the section's beginning."""

    at: float
    a: float
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0


def constant(width: float) -> tuple[Width, ...]:
    return (Width(0.0, width),)


def taper(at: float, length: float, begin: float, end: float) -> Width:
    """A smooth change of width with level ends: begin + (end - begin) (3 u^2 - 2 u^3)."""
    change = end - begin
    return Width(at, begin, 0.0, 3 * change / length**2, -2 * change / length**3)


@dataclass(frozen=True)
class Line:
    """The painted line at a lane's outer border (of the centre lane: in the middle)."""

    kind: str = "none"  # "none", "solid", "broken", "solid solid", "solid broken", ...
    color: str = "white"
    change: str = "none"  # which lane changes it allows: "both", "increase", "decrease", "none"


@dataclass(frozen=True)
class Lane:
    """One lane of a section. Lanes of successive sections with the same key are linked."""

    key: str
    kind: str  # "driving", "sidewalk", "parking", "shoulder", "median", "none", ...
    width: tuple[Width, ...]
    line: Line = Line()


@dataclass(frozen=True)
class Section:
    """Lanes from `s` [m] on, each side counted from the centre outwards: right are ids -1, -2, ..., left 1, 2, ..."""

    s: float
    right: tuple[Lane, ...]
    left: tuple[Lane, ...] = ()
    center: Line = Line()

    def side(self, sign: int) -> tuple[Lane, ...]:
        return self.right if sign < 0 else self.left

    def id_of(self, key: str, sign: int) -> int | None:
        """The lane id of a key on one side (sign -1 right, 1 left), None where the section has none."""
        for index, lane in enumerate(self.side(sign)):
            if lane.key == key:
                return sign * (index + 1)
        return None


@dataclass(frozen=True)
class Link:
    """What a road's end joins: a junction or another road's "start" or "end"."""

    kind: str  # "road" or "junction"
    id: int
    contact: str | None = None


@dataclass(frozen=True)
class Object:
    """A thing at (s, t) of a road; heading relative to the road. `corners` in its own frame, counter-clockwise."""

    id: int
    kind: str
    name: str
    s: float
    t: float
    heading: float = 0.0
    z: float = 0.0
    length: float = 0.0
    width: float = 0.0
    height: float = 0.0
    radius: float | None = None
    subtype: str = ""
    color: str = ""  # "rrggbb"
    corners: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Signal:
    """A light or sign at (s, t), valid for a range of lanes."""

    id: int
    kind: str
    name: str
    s: float
    t: float
    orientation: str  # "+" speaks to traffic along s, "-" against it
    lanes: tuple[int, int]
    z: float = 0.0
    value: float = -1.0
    height: float = 0.9
    width: float = 0.6


@dataclass
class Road:
    id: int
    plan: Plan
    sections: tuple[Section, ...]
    speed: float  # [km/h]
    junction: int = -1
    name: str = ""
    kind: str = "town"
    predecessor: Link | None = None
    successor: Link | None = None
    lane_links: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)  # a connecting road's lanes
    lane_offset: tuple[Width, ...] = ()
    objects: list[Object] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)


@dataclass(frozen=True)
class Connection:
    incoming: int
    connecting: int
    lanes: tuple[tuple[int, int], ...]  # (from, to)


@dataclass
class Junction:
    id: int
    name: str
    connections: list[Connection] = field(default_factory=list)
    priorities: list[tuple[int, int]] = field(default_factory=list)  # (high, low) connecting roads
    controllers: list[int] = field(default_factory=list)  # in the order of their phases


@dataclass(frozen=True)
class Controller:
    id: int
    signals: tuple[int, ...]


@dataclass
class RoadMap:
    """A whole town."""

    name: str
    roads: list[Road] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)
    controllers: list[Controller] = field(default_factory=list)

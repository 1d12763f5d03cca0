"""Roads, junctions and signals as plain data, and the OpenDRIVE 1.4 text of them.

Everything a town consists of goes through here: what is not in the text does not exist. Names of elements and
attributes are those of the standard (ASAM OpenDRIVE 1.4H).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from roadcraft.sim.planview import Plan

GEO_ORIGIN = (49.0, 8.0)  # degrees: where generated towns lie
GEO_REFERENCE = (
    f"+proj=tmerc +lat_0={GEO_ORIGIN[0]} +lon_0={GEO_ORIGIN[1]} +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
)
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


def to_text(town: RoadMap) -> str:
    """The OpenDRIVE text."""
    root = ET.Element("OpenDRIVE")
    header = _add(root, "header", revMajor=1, revMinor=4, name=town.name, version=1, vendor="Roadcraft")
    _add(header, "geoReference").text = GEO_REFERENCE
    for road in town.roads:
        _road(root, road)
    for controller in town.controllers:
        element = _add(root, "controller", name=f"ctrl{controller.id}", id=controller.id, sequence=0)
        for signal in controller.signals:
            _add(element, "control", signalId=signal, type=0)
    for junction in town.junctions:
        _junction(root, junction)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, tag: str, **attributes: object) -> ET.Element:
    """A child element; floats keep a tenth of a micrometre, attributes that are None are left out."""
    texts = {
        key: f"{value:.10g}" if isinstance(value, float) else str(value)
        for key, value in attributes.items()
        if value is not None
    }
    return ET.SubElement(parent, tag, texts)


def _road(root: ET.Element, road: Road) -> None:
    length = road.plan.length
    element = _add(root, "road", name=road.name or f"Road {road.id}", length=length, id=road.id, junction=road.junction)
    links = _add(element, "link")
    for tag, link in (("predecessor", road.predecessor), ("successor", road.successor)):
        if link is not None:
            _add(links, tag, elementType=link.kind, elementId=link.id, contactPoint=link.contact)
    kind = _add(element, "type", s=0.0, type=road.kind)
    _add(kind, "speed", max=road.speed, unit="km/h")
    view = _add(element, "planView")
    for part, s in zip(road.plan.parts, road.plan.stations, strict=False):
        x, y, heading = part.start
        geometry = _add(view, "geometry", s=float(s), x=float(x), y=float(y), hdg=float(heading), length=part.length)
        if part.curvature == 0.0:
            _add(geometry, "line")
        else:
            _add(geometry, "arc", curvature=float(part.curvature))
    elevation = _add(element, "elevationProfile")
    _add(elevation, "elevation", s=0.0, a=0.0, b=0.0, c=0.0, d=0.0)
    _add(element, "lateralProfile")
    lanes = _add(element, "lanes")
    for width in road.lane_offset:
        _add(lanes, "laneOffset", s=width.at, a=width.a, b=width.b, c=width.c, d=width.d)
    for index in range(len(road.sections)):
        _section(lanes, road, index)
    _objects(element, road)
    _signals(element, road)


def _section(lanes: ET.Element, road: Road, index: int) -> None:
    section = road.sections[index]
    element = _add(lanes, "laneSection", s=section.s)
    for tag, sign in (("left", 1), ("center", 0), ("right", -1)):
        if sign == 0:
            center = _add(_add(element, "center"), "lane", id=0, type="none", level="false")
            _line(center, section.center)
        elif section.side(sign):
            group = _add(element, tag)
            ids = [sign * (i + 1) for i in range(len(section.side(sign)))]
            for lane_id in sorted(ids, reverse=True):
                _lane(group, road, index, lane_id)


def _lane(group: ET.Element, road: Road, index: int, lane_id: int) -> None:
    sign = 1 if lane_id > 0 else -1
    lane = road.sections[index].side(sign)[abs(lane_id) - 1]
    element = _add(group, "lane", id=lane_id, type=lane.kind, level="false")
    predecessor, successor = road.lane_links.get(lane_id, (None, None))
    if index > 0:
        predecessor = road.sections[index - 1].id_of(lane.key, sign)
    if index + 1 < len(road.sections):
        successor = road.sections[index + 1].id_of(lane.key, sign)
    link = _add(element, "link")
    if predecessor is not None:
        _add(link, "predecessor", id=predecessor)
    if successor is not None:
        _add(link, "successor", id=successor)
    for width in lane.width:
        _add(element, "width", sOffset=width.at, a=width.a, b=width.b, c=width.c, d=width.d)
    _line(element, lane.line)


def _line(lane: ET.Element, line: Line) -> None:
    width = None if line.kind == "none" else 0.15
    _add(
        lane,
        "roadMark",
        sOffset=0.0,
        type=line.kind,
        weight="standard",
        color=line.color,
        width=width,
        laneChange=line.change,
    )


def _objects(element: ET.Element, road: Road) -> None:
    objects = _add(element, "objects")
    for thing in road.objects:
        child = _add(
            objects,
            "object",
            id=thing.id,
            name=thing.name,
            type=thing.kind,
            subtype=thing.subtype or None,
            s=thing.s,
            t=thing.t,
            zOffset=thing.z,
            hdg=thing.heading,
            pitch=0.0,
            roll=0.0,
            orientation="none",
            length=thing.length if thing.radius is None else None,
            width=thing.width if thing.radius is None else None,
            height=thing.height,
            radius=thing.radius,
        )
        if thing.corners:
            outline = _add(child, "outline")
            for u, v in (*thing.corners, thing.corners[0]):
                _add(outline, "cornerLocal", u=u, v=v, z=0.0, height=thing.height)
        if thing.color:
            _add(child, "userData", code="color", value=thing.color)


def _signals(element: ET.Element, road: Road) -> None:
    signals = _add(element, "signals")
    for signal in road.signals:
        child = _add(
            signals,
            "signal",
            name=signal.name,
            id=signal.id,
            s=signal.s,
            t=signal.t,
            zOffset=signal.z,
            hOffset=0.0,
            roll=0.0,
            pitch=0.0,
            orientation=signal.orientation,
            dynamic="yes" if signal.kind == LIGHT else "no",
            country="OpenDRIVE",
            type=signal.kind,
            subtype=-1,
            value=signal.value,
            unit="km/h" if signal.kind == SPEED else None,
            height=signal.height,
            width=signal.width,
        )
        low, high = sorted(signal.lanes)
        _add(child, "validity", fromLane=low, toLane=high)


def _junction(root: ET.Element, junction: Junction) -> None:
    element = _add(root, "junction", id=junction.id, name=junction.name)
    for index, connection in enumerate(junction.connections):
        child = _add(
            element,
            "connection",
            id=index,
            incomingRoad=connection.incoming,
            connectingRoad=connection.connecting,
            contactPoint="start",
        )
        for from_lane, to_lane in connection.lanes:
            _add(child, "laneLink", **{"from": from_lane, "to": to_lane})
    for high, low in junction.priorities:
        _add(element, "priority", high=high, low=low)
    for sequence, controller in enumerate(junction.controllers):
        _add(element, "controller", id=controller, type=0, sequence=sequence)

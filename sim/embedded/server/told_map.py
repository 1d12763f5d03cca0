"""The map that clients are told: the town's own, measured so that a TrafficManager's path keeps to the lanes.

The TrafficManager inside the client knows a road by points of it: one at each 5 m along the reference line from where
that begins, and between these as many as the bend needs. From the last of them it goes straight to the first of the
next road. Where a turn through a junction ends up to 5 m after its last point, the path leaves the middle of the lane
by half a metre, and the car, which looks ahead, by twice that: it cuts into whoever waits in the street that it turns
into. Lanes do not care where their road's reference line runs, so such roads get another line beside their own, as much
longer or shorter as it takes to end right behind a point, and a lane offset that puts the lanes back where they were.
Maps of others, from files or clients, are told as they are written.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import lru_cache
from math import floor, hypot, inf
from typing import NamedTuple

import numpy as np

from roadcraft.sim.embedded.town import Town
from roadcraft.sim.planview import Part, Plan, offset

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
STEP = 5.0  # [m] between the TrafficManager's points along a reference line
PAST = 0.1  # [m] from the last point to the end of a road that was measured anew
ASTRAY = 0.17  # [m] from the middle of the lane that the path may be
STRAIGHT = 0.1  # [rad] roads that turn less have no other length beside them
SHARPEST = 1.5  # [m] least radius of a reference line


class Line(NamedTuple):
    """A reference line `t` [m] to the left of the one that is written."""

    t: float
    plan: Plan


def told_map(town: Town) -> str:
    """The OpenDRIVE text that clients get for a town: the same lanes, some by other reference lines."""
    return measured(town.xodr) if town.generated else town.xodr


@lru_cache(maxsize=8)  # texts of generated towns only, which are small
def measured(xodr: str) -> str:
    """The text of a generated town with other reference lines where the path would leave the lanes."""
    root, changed = ET.fromstring(xodr), False
    roads = {road.get("id"): road for road in root.iter("road")}
    for road in roads.values():
        if road.get("junction") == "-1" or not _simple(road):
            continue
        plan, after = _plan(road), _gap_after(road, roads)
        if astray(plan, after) > ASTRAY:
            lines = [line for line in _beside(plan) if astray(line.plan, after) < astray(plan, after)]
            if lines:
                _measure(road, plan, min(lines, key=lambda line: abs(line.t)))
                changed = True
    return HEAD + ET.tostring(root, encoding="unicode") + "\n" if changed else xodr


def last_point(length: float) -> float:
    """[m] from where a road of that length begins to the last of the TrafficManager's points."""
    return STEP * floor((length - 1e-3) / STEP)


def astray(plan: Plan, after: float) -> float:
    """[m] between a road's end and the straight way from its last point to one `after` [m] behind its end."""
    s = np.linspace(last_point(plan.length), plan.length, 21)
    way = plan.place(s, 0.0)
    x, y, _ = offset(plan.end, 0.0, after)
    dx, dy = x - way[0, 0], y - way[0, 1]
    return float(np.abs((way[:, 0] - way[0, 0]) * dy - (way[:, 1] - way[0, 1]) * dx).max() / max(hypot(dx, dy), 1e-6))


def _simple(road: ET.Element) -> bool:
    """Whether a road is as this project writes those of junctions: of lines and arcs, one section, to the right, flat,
    without signals, with whole polynomials for its widths and nothing else that begins further on."""
    widths = road.findall("lanes/laneSection/right/lane/width")
    parts = road.findall("planView/geometry")
    return (
        bool(parts)
        and all(part.find("line") is not None or part.find("arc") is not None for part in parts)
        and all({"sOffset", "a", "b", "c", "d"} <= set(width.keys()) for width in widths)
        and all(float(mark.get("sOffset", 0.0)) == 0.0 for mark in road.iter("roadMark"))
        and len(road.findall("lanes/laneSection")) == 1
        and road.find("lanes/laneOffset") is None
        and road.find("lanes/laneSection/left") is None
        and road.find("signals/signal") is None
        and all(float(each.get("s", 0.0)) == 0.0 for each in road.iterfind("elevationProfile/elevation"))
    )


def _plan(road: ET.Element) -> Plan:
    parts = []
    for part in road.iterfind("planView/geometry"):
        start = float(part.attrib["x"]), float(part.attrib["y"]), float(part.attrib["hdg"])
        arc = part.find("arc")
        curvature = float(arc.attrib["curvature"]) if arc is not None else 0.0
        parts.append(Part(start, float(part.attrib["length"]), curvature))
    return Plan(tuple(parts))


def _gap_after(road: ET.Element, roads: dict[str | None, ET.Element]) -> float:
    """[m] from a road's end to the first of the points of the road that it leads into."""
    link = road.find("link/successor")
    following = roads.get(link.get("elementId")) if link is not None else None
    if link is None or following is None or link.get("contactPoint") == "start":
        return 0.0
    length = float(following.attrib["length"])
    return length - last_point(length)


def _beside(plan: Plan) -> list[Line]:
    """Lines beside a plan that end right behind a point: the next shorter and the next longer one."""
    turn = sum(part.curvature * part.length for part in plan.parts)
    found = []
    for steps in (0, 1):
        length = last_point(plan.length) + STEP * steps + PAST
        t = (plan.length - length) / turn if abs(turn) > STRAIGHT else inf
        if all(1.0 - part.curvature * t > SHARPEST * abs(part.curvature) for part in plan.parts):
            found.append(Line(t, shifted(plan, t)))
    return found


def shifted(plan: Plan, t: float) -> Plan:
    """The parallel of a plan, `t` [m] to the left of it."""
    parts = []
    for part in plan.parts:
        scale = 1.0 - part.curvature * t
        parts.append(Part(offset(part.start, t), part.length * scale, part.curvature / scale))
    return Plan(tuple(parts))


def _measure(road: ET.Element, plan: Plan, line: Line) -> None:
    """Writes a road with another reference line; its lanes stay where they are."""
    new = line.plan
    road.set("length", _text(new.length))
    for element, part, s in zip(road.iterfind("planView/geometry"), new.parts, new.stations.tolist(), strict=False):
        x, y, _ = part.start
        for name, value in (("s", s), ("x", x), ("y", y), ("length", part.length)):
            element.set(name, _text(value))
        arc = element.find("arc")
        if arc is not None:
            arc.set("curvature", _text(part.curvature))
    lanes = road.find("lanes")
    assert lanes is not None
    shift = ET.Element("laneOffset", s="0", a=_text(-line.t), b="0", c="0", d="0")
    shift.tail = lanes.text
    lanes.insert(0, shift)
    for lane in road.iterfind("lanes/laneSection/right/lane"):
        _measure_widths(lane, plan, new)
    for thing in road.iterfind("objects/object"):
        thing.set("s", _text(float(np.interp(float(thing.attrib["s"]), plan.stations, new.stations))))
        thing.set("t", _text(float(thing.attrib["t"]) - line.t))


def _measure_widths(lane: ET.Element, plan: Plan, new: Plan) -> None:
    """Writes a lane's widths along another reference line: one polynomial for each stretch of one scale."""
    written = lane.findall("width")
    if not written:
        return
    begins = [float(width.attrib["sOffset"]) for width in written]
    place = list(lane).index(written[0])
    for width in written:
        lane.remove(width)
    for s in sorted({*begins, *plan.stations[: len(plan.parts)].tolist()}, reverse=True):
        part = int(np.searchsorted(plan.stations[: len(plan.parts)], s, "right")) - 1
        k = int(np.searchsorted(begins, s, "right")) - 1
        if k < 0:
            continue
        a, b, c, d = (float(written[k].attrib[name]) for name in "abcd")
        u, scale = s - begins[k], plan.parts[part].length / new.parts[part].length
        values = (a + u * (b + u * (c + u * d)), b + u * (2 * c + 3 * u * d), c + 3 * u * d, d)
        width = ET.Element("width", sOffset=_text(float(np.interp(s, plan.stations, new.stations))))
        for power, name in enumerate("abcd"):
            width.set(name, _text(values[power] * scale**power))
        width.tail = written[k].tail
        lane.insert(place, width)


def _text(value: float) -> str:
    return f"{value:.10g}"

"""The OpenDRIVE 1.4 text of a town. What is not in it does not exist: everybody reads the text, nobody the data."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from roadcraft.sim.embedded.opendrive import LIGHT, SPEED, Junction, Line, Road, RoadMap

GEO_ORIGIN = (49.0, 8.0)  # degrees: where generated towns lie
GEO_REFERENCE = (
    f"+proj=tmerc +lat_0={GEO_ORIGIN[0]} +lon_0={GEO_ORIGIN[1]} +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
)


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

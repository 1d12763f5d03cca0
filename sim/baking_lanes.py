"""The lanes of an OpenDRIVE map: the XML says which there are, `carla.Map` where they lie and how they connect."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import arc_length, from_carla_yaw, wrap
from roadcraft.sim.messages import Command, Mark
from roadcraft.sim.roads import LANE, LaneKind, Priority

EDGE = 1e-3  # [m] carla.Map answers by single-precision arc lengths: the very ends belong to no lane
SPACING, JUNCTION_SPACING = 1.0, 0.5  # [m] between points, at most
MIN_WIDTH = 0.05  # [m] lanes that are nowhere wider do not exist
TURN_ANGLE = 0.45  # [rad] heading changes below are straight on
DEFAULT_SPEED = 50 / 3.6  # [m/s] where the file says nothing
KINDS = {
    "driving": LaneKind.DRIVING,
    "entry": LaneKind.DRIVING,
    "exit": LaneKind.DRIVING,
    "onRamp": LaneKind.DRIVING,
    "offRamp": LaneKind.DRIVING,
    "bidirectional": LaneKind.DRIVING,
    "sidewalk": LaneKind.SIDEWALK,
    "parking": LaneKind.PARKING,
    "shoulder": LaneKind.SHOULDER,
    "stop": LaneKind.SHOULDER,
    "biking": LaneKind.BIKING,
}
COLORS = {"White": 0, "Standard": 0, "Yellow": 1}
Key = tuple[int, int, int]  # road, section, lane id


@dataclass
class Bake:
    """The network while it is being read."""

    root: ET.Element
    map: Any  # carla.Map
    rows: list[dict[str, Any]] = field(default_factory=list)  # LANE fields that are not defaults
    points: list[NDArray[np.float64]] = field(default_factory=list)  # one a lane: (n, 5) x, y, z, yaw, width
    index: dict[Key, int] = field(default_factory=dict)


def read_road(state: Bake, road: ET.Element) -> None:
    road_id, junction, length = int(road.attrib["id"]), int(road.get("junction", -1)), float(road.attrib["length"])
    parts = road.findall("lanes/laneSection")
    starts = [float(section.get("s", 0)) for section in parts] + [length]
    for section, element in enumerate(parts):
        begin, end = starts[section] + EDGE, starts[section + 1] - EDGE
        if end <= begin:
            continue
        for lane in element.iter("lane"):
            lane_id = int(lane.attrib["id"])
            if lane_id == 0:
                continue
            points = _sample(state.map, road_id, lane_id, begin, end, JUNCTION_SPACING if junction >= 0 else SPACING)
            if points is None or points[:, 4].max() < MIN_WIDTH:
                continue
            state.index[road_id, section, lane_id] = len(state.rows)
            state.rows.append(
                {
                    "road": road_id,
                    "section": section,
                    "lane_id": lane_id,
                    "junction": junction,
                    "kind": KINDS.get(lane.get("type", "none"), LaneKind.OTHER),
                    "speed_limit": _speed(road, lane, begin),
                    **_borders(state.map.get_waypoint_xodr(road_id, lane_id, (begin + end) / 2)),
                }
            )
            state.points.append(points)


def _sample(
    opendrive: Any, road: int, lane: int, begin: float, end: float, spacing: float
) -> NDArray[np.float64] | None:
    """(n, 5) x, y, z, yaw, width along the direction of travel, at most `spacing` apart; None if there is no lane."""
    count = max(ceil((end - begin) / spacing), 1) + 1
    for _ in range(3):  # once is enough where the centre is as long as the road or shorter
        rows = []
        for s in np.linspace(begin, end, count):
            waypoint = opendrive.get_waypoint_xodr(road, lane, float(s))
            if waypoint is None:
                return None
            place = waypoint.transform
            where = place.location
            rows.append((where.x, -where.y, where.z, from_carla_yaw(place.rotation.yaw), waypoint.lane_width))
        points = np.array(rows[::-1] if lane > 0 else rows)
        if not np.isfinite(points).all():
            raise UserError(
                f"carla.Map cannot tell where road {road} lies near s = {begin:.1f} m; "
                "it cannot read spirals whose curvature does not change: write them as arcs"
            )
        widest = np.hypot(*np.diff(points[:, :2], axis=0).T).max()
        if widest <= spacing * 1.001:
            break
        count = ceil((count - 1) * min(widest / spacing, 3.0)) + 1
    return points


def _borders(waypoint: Any) -> dict[str, Any]:
    """The marks at both sides and what they allow."""
    allowed = str(waypoint.lane_change)
    out: dict[str, Any] = {}
    for side, title in (("left", "Left"), ("right", "Right")):
        mark = getattr(waypoint, f"{side}_lane_marking")
        if mark is None:  # the file has none here
            continue
        change = allowed in (title, "Both")
        kind = str(mark.type)
        if "Broken" in kind or kind == "BottsDots":
            out[f"{side}_mark"] = Mark.SOLID if "Solid" in kind and not change else Mark.BROKEN
        else:
            out[f"{side}_mark"] = Mark.SOLID if "Solid" in kind else Mark.NONE
        out[f"{side}_color"] = COLORS.get(str(mark.color), 2)
        out[f"change_{side}"] = change
    return out


def _speed(road: ET.Element, lane: ET.Element, s: float) -> float:
    """[m/s]; a lane's own limit goes before the road's."""
    found = lane.findall("speed")
    for kind in road.findall("type"):
        if float(kind.get("s", 0)) <= s or not found:
            found = found or kind.findall("speed")
    if not found:
        return DEFAULT_SPEED
    try:
        value = float(found[0].get("max", ""))
    except ValueError:  # "no limit", "undefined"
        return DEFAULT_SPEED
    return value * {"km/h": 1 / 3.6, "mph": 0.44704}.get(found[0].get("unit", "m/s"), 1.0)


def lane_table(state: Bake) -> NDArray[np.void]:
    lanes = np.zeros(len(state.rows), LANE)
    for name in ("left", "right", "opposite", "signal", "stop"):
        lanes[name] = -1
    lanes["turn"], lanes["priority"] = Command.FOLLOW, Priority.MAIN
    for i, row in enumerate(state.rows):
        for name, value in row.items():
            lanes[name][i] = value
    lanes["count"] = [len(p) for p in state.points]
    lanes["first"] = np.cumsum(lanes["count"]) - lanes["count"]
    lanes["length"] = [arc_length(p[:, :2])[-1] for p in state.points]
    return lanes


def successors(state: Bake) -> list[list[int]]:
    """Where the traffic of each lane goes on."""
    out = []
    sections: dict[int, list[float]] = {}
    for road in state.root.iter("road"):
        starts = [float(section.get("s", 0)) for section in road.findall("lanes/laneSection")]
        sections[int(road.attrib["id"])] = [*starts, float(road.attrib["length"])]
    for (road_id, section, lane_id), lane in state.index.items():
        begin, end = sections[road_id][section], sections[road_id][section + 1]
        last = state.map.get_waypoint_xodr(road_id, lane_id, end - EDGE if lane_id < 0 else begin + EDGE)
        found = {(n.road_id, n.section_id, n.lane_id) for n in last.next(20 * EDGE)}
        out.append(sorted(i for key in found if (i := state.index.get(key, lane)) != lane))
    return out


def fill_neighbours(state: Bake, lanes: NDArray[np.void]) -> None:
    """Fills `left`, `right` and `opposite`; where there is no neighbour of the right kind nobody may change lanes."""
    together: dict[tuple[int, int], list[int]] = {}
    for road, section, lane_id in state.index:
        together.setdefault((road, section), []).append(lane_id)
    for (road, section, lane_id), lane in state.index.items():
        sign = 1 if lane_id > 0 else -1
        beside = sorted(together[road, section], key=abs)
        inner = [i for i in beside if i * sign > 0 and abs(i) < abs(lane_id)]
        outer = [i for i in beside if i * sign > 0 and abs(i) > abs(lane_id)]
        across = [
            i for i in beside if i * sign < 0 and lanes["kind"][state.index[road, section, i]] == LaneKind.DRIVING
        ]
        lanes["left"][lane] = state.index[road, section, inner[-1]] if inner else -1
        lanes["right"][lane] = state.index[road, section, outer[0]] if outer else -1
        lanes["opposite"][lane] = state.index[road, section, across[0]] if across else -1
    for side in ("left", "right"):
        other = lanes[side]
        both = (other >= 0) & (lanes["kind"] == LaneKind.DRIVING) & (lanes["kind"][other] == LaneKind.DRIVING)
        lanes[f"change_{side}"] &= both


def fill_turns(state: Bake, lanes: NDArray[np.void]) -> None:
    """What a junction's lane does: by how much its road turns."""
    ends: dict[tuple[int, bool], list[int]] = {}
    for (road, _, lane_id), lane in state.index.items():
        if lanes["junction"][lane] >= 0 and lanes["kind"][lane] == LaneKind.DRIVING:
            ends.setdefault((road, lane_id > 0), []).append(lane)
    for (_, backwards), group in ends.items():
        order = sorted(group, key=lambda i: int(lanes["section"][i]), reverse=backwards)
        turn = wrap(state.points[order[-1]][-1, 3] - state.points[order[0]][0, 3])
        kind = Command.STRAIGHT if abs(turn) < TURN_ANGLE else Command.LEFT if turn > 0 else Command.RIGHT
        lanes["turn"][group] = kind

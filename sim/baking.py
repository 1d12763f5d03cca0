"""OpenDRIVE to arrays, through `carla.Map`: the only place that asks the `carla` wheel for lanes.

The map's XML says which lanes there are; `carla.Map` says where they lie, how they connect, what their borders allow.
A broken file can take the whole process down inside `carla.Map`, so a text that did not come from Roadcraft's own
writer is first parsed in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from math import ceil, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim import baking_signals, roads
from roadcraft.sim.cache import Arrays, cached, digest, source_digest
from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import from_carla_yaw, wrap
from roadcraft.sim.messages import Command, Mark
from roadcraft.sim.roads import LANE, LaneKind, Priority, RoadNetwork, build_grid

EDGE = 1e-3  # [m] carla.Map answers by single-precision arc lengths: the very ends belong to no lane
SPACING, JUNCTION_SPACING = 1.0, 0.5  # [m] between points, at most
MIN_WIDTH = 0.05  # [m] lanes that are nowhere wider do not exist
TURN_ANGLE = 0.45  # [rad] heading changes below are straight on
CONFLICT_DISTANCE = 2.4  # [m] between centre lines below which two cars would touch
DEFAULT_SPEED = 50 / 3.6  # [m/s] where the file says nothing
SPAWN_SPACING, SPAWN_BEGIN, SPAWN_END = 12.0, 6.0, 12.0  # [m] between spawn points, and from a street's two ends
SPAWN_FREE, SPAWN_STRAIGHT = 45.0, 0.002  # [m], [rad]: what the first three have ahead
PARSE = "import sys, carla; m = carla.Map('map', sys.stdin.read()); m.get_topology(); m.get_crosswalks()"
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


def cached_network(text: str, name: str, trusted: bool = False) -> RoadNetwork:
    """The network of an OpenDRIVE text. `trusted` texts are parsed without a guard."""
    key = f"network-{digest(text)}-{source_digest(sys.modules[__name__], baking_signals, roads)}"
    return _from_arrays(text, name, cached(key, lambda: bake(text, name, trusted)))


def bake(text: str, name: str, trusted: bool = False) -> Arrays:
    """All arrays of the network."""
    root = check(text, name)
    try:
        import carla
    except ImportError:
        raise UserError(
            f"map {name} is not in the cache, and reading it needs the `carla` package, "
            "whose wheel is made for Linux and Windows on x86-64 only"
        ) from None
    if not trusted:
        _try_parse(text, name)
    state = Bake(root, carla.Map(name, text))
    for road in root.iter("road"):
        _read_road(state, road)
    if not state.rows:
        raise UserError(f"map {name} has no lanes")
    lanes = _lane_table(state)
    succ = _successors(state)
    _neighbours(state, lanes)
    _turns(state, lanes)
    points = np.concatenate(state.points)
    signals, stop_lines = baking_signals.read_signals(root, state.map, lanes, points, state.index, succ)
    succ_start, succ_flat = _to_csr(succ)
    pred_start, pred_flat = _to_csr(_inverse(succ))
    conflict_start, conflict_flat = _to_csr(_conflicts(lanes, points, succ))
    return {
        "lanes": lanes,
        "points": points,
        "s": np.concatenate([_arc_lengths(p) for p in state.points]),
        "succ_start": succ_start,
        "succ": succ_flat,
        "pred_start": pred_start,
        "pred": pred_flat,
        "conflict_start": conflict_start,
        "conflict": conflict_flat,
        "signals": signals,
        "stop_lines": stop_lines,
        **_polygons("crosswalks", _crosswalks(state.map)),
        **_polygons("floors", baking_signals.read_floors(root)),
        "spawns": _spawns(lanes, points, succ),
        "geo": _geo(root),
    }


def _from_arrays(text: str, name: str, arrays: Arrays) -> RoadNetwork:
    x, y, z, yaw, width = np.ascontiguousarray(arrays["points"].T)
    xy = np.stack([x, y], -1)
    names = ("succ_start", "succ", "pred_start", "pred", "conflict_start", "conflict", "signals", "stop_lines")
    return RoadNetwork(
        name=name,
        xodr=text,
        lanes=arrays["lanes"],
        xy=xy,
        z=z,
        yaw=yaw,
        s=arrays["s"],
        width=width,
        crosswalks=tuple(np.split(arrays["crosswalks"], arrays["crosswalks_ends"])[:-1]),
        floors=tuple(np.split(arrays["floors"], arrays["floors_ends"])[:-1]),
        spawns=arrays["spawns"],
        geo=(float(arrays["geo"][0]), float(arrays["geo"][1])),
        grid=build_grid(arrays["lanes"], xy, yaw, arrays["s"], width),
        **{key: arrays[key] for key in names},
    )


def check(text: str, name: str) -> ET.Element:
    """The XML tree, if the text has what a road network needs at least; UserError says what is wrong."""
    try:
        root = ET.fromstring(text.encode())
    except ET.ParseError as error:
        raise UserError(f"map {name} is not well-formed XML: {error}") from None
    if root.tag != "OpenDRIVE":
        raise UserError(f"map {name} is no OpenDRIVE file: its root element is <{root.tag}>")
    listed = [road.get("id") for road in root.iter("road")]
    if not listed:
        raise UserError(f"map {name} has no <road>")
    if len(set(listed)) < len(listed):
        raise UserError(f"map {name} has two roads with the same id")
    for road in root.iter("road"):
        where = f"map {name}, road {road.get('id')}"
        for path in ("planView/geometry", "lanes/laneSection/center/lane"):
            if road.find(path) is None:
                raise UserError(f"{where} has no {path}")
        for link in road.findall("link/predecessor") + road.findall("link/successor"):
            if link.get("elementType") == "road" and link.get("elementId") not in listed:
                raise UserError(f"{where} is linked to road {link.get('elementId')}, which does not exist")
        try:
            numbers = [float(road.attrib["length"])]
            for geometry in road.findall("planView/geometry"):
                numbers += [float(geometry.attrib[k]) for k in ("s", "x", "y", "hdg", "length")]
            _ = [int(lane.attrib["id"]) for lane in road.iter("lane")], int(road.attrib["id"])
        except (KeyError, ValueError) as error:
            raise UserError(f"{where}: missing or unreadable attribute {error}") from None
        if not np.all(np.isfinite(numbers)):
            raise UserError(f"{where} has a number that is not finite")
    return root


def _try_parse(text: str, name: str) -> None:
    """Parses in another process, which may crash."""
    done = subprocess.run([sys.executable, "-c", PARSE], input=text, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise UserError(f"map {name} cannot be read: carla.Map {said[-1] if said else f'died ({done.returncode})'}")


def _read_road(state: Bake, road: ET.Element) -> None:
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


def _lane_table(state: Bake) -> NDArray[np.void]:
    lanes = np.zeros(len(state.rows), LANE)
    for name in ("left", "right", "opposite", "signal", "stop"):
        lanes[name] = -1
    lanes["turn"], lanes["priority"] = Command.FOLLOW, Priority.MAIN
    for i, row in enumerate(state.rows):
        for name, value in row.items():
            lanes[name][i] = value
    lanes["count"] = [len(p) for p in state.points]
    lanes["first"] = np.cumsum(lanes["count"]) - lanes["count"]
    lanes["length"] = [_arc_lengths(p)[-1] for p in state.points]
    return lanes


def _arc_lengths(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points[:, :2], axis=0).T))])


def _successors(state: Bake) -> list[list[int]]:
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


def _inverse(succ: list[list[int]]) -> list[list[int]]:
    pred: list[list[int]] = [[] for _ in succ]
    for lane, after in enumerate(succ):
        for other in after:
            pred[other].append(lane)
    return pred


def _to_csr(rows: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    start = np.cumsum([0] + [len(row) for row in rows]).astype(np.int32)
    return start, np.array([item for row in rows for item in row], np.int32)


def _neighbours(state: Bake, lanes: NDArray[np.void]) -> None:
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


def _turns(state: Bake, lanes: NDArray[np.void]) -> None:
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


def _conflicts(lanes: NDArray[np.void], points: NDArray[np.float64], succ: list[list[int]]) -> list[list[int]]:
    """Pairs of junction lanes that cross or merge; those that begin in the same lane only part and do not count."""
    out: list[list[int]] = [[] for _ in lanes]
    pred = _inverse(succ)
    driving = (lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] >= 0)
    for junction in np.unique(lanes["junction"][driving]):
        group = np.flatnonzero(driving & (lanes["junction"] == junction))
        xy = [points[lanes["first"][i] : lanes["first"][i] + lanes["count"][i], :2] for i in group]
        for a in range(len(group)):
            for b in range(a + 1, len(group)):
                if set(pred[group[a]]) & set(pred[group[b]]):
                    continue
                gap = np.hypot(*(xy[a][:, None] - xy[b][None]).T).min()
                if gap < CONFLICT_DISTANCE:
                    out[group[a]].append(int(group[b]))
                    out[group[b]].append(int(group[a]))
    return out


def _polygons(name: str, polygons: list[NDArray[np.float64]]) -> Arrays:
    """A list of polygons as two arrays."""
    ends = np.cumsum([len(polygon) for polygon in polygons]).astype(np.int32)
    return {name: np.concatenate([*polygons, np.zeros((0, 2))]), f"{name}_ends": ends}


def _crosswalks(opendrive: Any) -> list[NDArray[np.float64]]:
    """`carla.Map` lists closed polygons one after another: each ends with its first point again."""
    out: list[NDArray[np.float64]] = []
    polygon: list[tuple[float, float]] = []
    for corner in opendrive.get_crosswalks():
        place = (corner.x, -corner.y)
        if len(polygon) > 2 and np.hypot(place[0] - polygon[0][0], place[1] - polygon[0][1]) < 1e-3:
            corners = np.array(polygon)
            ahead = np.roll(corners, -1, 0)
            area = np.sum(corners[:, 0] * ahead[:, 1] - corners[:, 1] * ahead[:, 0])
            out.append(corners if area > 0 else corners[::-1])
            polygon = []
        else:
            polygon.append(place)
    return out


def _spawns(lanes: NDArray[np.void], points: NDArray[np.float64], succ: list[list[int]]) -> NDArray[np.float64]:
    """(M, 3) poses on streets, the three with most straight road ahead and far from each other first."""
    found = []
    for lane in np.flatnonzero((lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] < 0)):
        row = lanes[lane]
        sections = lanes["section"][lanes["road"] == row["road"]]
        if row["section"] != (sections.min() if row["lane_id"] < 0 else sections.max()):
            continue  # in the middle of its street
        chain = [int(lane)]
        while len(after := [n for n in succ[chain[-1]] if lanes["road"][n] == lanes["road"][lane]]) == 1:
            if after[0] in chain:
                break
            chain.append(after[0])
        rows = np.concatenate([points[lanes["first"][i] : lanes["first"][i] + lanes["count"][i], :4] for i in chain])
        s = _arc_lengths(rows)
        for at in np.arange(SPAWN_BEGIN, s[-1] - SPAWN_END, SPAWN_SPACING):
            k = int(np.searchsorted(s, at))
            bend = np.abs((rows[max(k - 4, 0) :, 3] - rows[k, 3] + pi) % (2 * pi) - pi) > SPAWN_STRAIGHT
            bend = np.concatenate([[bend[: min(k, 4)].any()], bend[min(k, 4) + 1 :]])
            free = s[k + int(np.argmax(bend))] - s[k] if bend.any() else s[-1] - s[k]
            found.append((*rows[k, [0, 1, 3]], free))
    if not found:
        return np.zeros((0, 3))
    table = np.array(found)[np.random.default_rng(0).permutation(len(found))]
    straight = np.flatnonzero(table[:, 3] >= SPAWN_FREE)
    first: list[int] = list(straight[:1])
    while len(first) < min(3, len(straight)):
        gaps = [min(np.hypot(*(table[i, :2] - table[j, :2])) for j in first) for i in straight]
        first.append(int(straight[int(np.argmax(gaps))]))
    rest = [i for i in range(len(table)) if i not in first]
    return np.ascontiguousarray(table[first + rest, :3])


def _geo(root: ET.Element) -> NDArray[np.float64]:
    """Latitude and longitude of the origin [degrees], as far as the file's projection says."""
    text = (root.findtext("header/geoReference") or "").split()
    values = dict(item.lstrip("+").split("=", 1) for item in text if "=" in item)
    try:
        return np.array([float(values.get("lat_0", 0)), float(values.get("lon_0", 0))])
    except ValueError:
        return np.zeros(2)

"""Lights, signs and stop lines of an OpenDRIVE map, and the lanes that they govern."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from math import cos, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.reference_line import ReferenceLine
from roadcraft.sim.roads import SIGNAL, LaneKind, Priority, SignalKind

KINDS = {
    "1000001": SignalKind.LIGHT,
    "206": SignalKind.STOP,
    "205": SignalKind.YIELD,
    "274": SignalKind.SPEED,
}
STOP_LINE_RANGE = 12.0  # [m] from a signal to the stop line that belongs to it
HEAD_HEIGHT, SIGN_HEIGHT = 4.5, 2.2  # [m] where a file gives none
LINE_GAP = 1.0  # [m] before a junction: where the stop line is taken to be when none is painted
Key = tuple[int, int, int]


def read_signals(
    root: ET.Element,
    opendrive: Any,
    lanes: NDArray[np.void],
    points: NDArray[np.float64],
    index: dict[Key, int],
    succ: list[list[int]],
) -> tuple[NDArray[np.void], NDArray[np.float64]]:
    """SIGNAL rows and stop lines (K, 4); fills the lanes' `signal`, `stop`, `priority`."""
    lines, line_places = _stop_lines(root)
    rows: list[tuple[str, SignalKind, tuple[float, float, float], float]] = []
    places = _landmark_places(opendrive)
    heads = _heads(root)
    governed: list[list[tuple[int, float]]] = []  # one a signal: (lane, arc length of its stop line)
    known: dict[str, int] = {}
    for road, element, source in _signal_elements(root):
        kind = KINDS.get(source.get("type", ""))
        if kind is None:
            continue
        ident = source.get("id", "")
        if ident not in known:
            known[ident] = len(rows)
            rows.append((ident, kind, places.get(ident, (0.0, 0.0, 0.0)), _limit(source, kind)))
            governed.append([])
        governed[known[ident]] += _governed(road, element, lanes, points, index, succ, line_places)
    signals = np.zeros(len(rows), SIGNAL)
    groups = _phases(root)
    for i, (ident, kind, xyz, value) in enumerate(rows):
        group, phase = groups.get(ident, (-1, -1))
        yaw = _heading(governed[i], lanes, points)
        ground = points[np.argmin(np.hypot(points[:, 0] - xyz[0], points[:, 1] - xyz[1])), 2]
        if ident not in heads and xyz[2] - ground < 1.5:  # the file says where the post stands
            xyz = (xyz[0], xyz[1], xyz[2] + (HEAD_HEIGHT if kind == SignalKind.LIGHT else SIGN_HEIGHT))
        signals[i] = (ident, kind, heads.get(ident, xyz), yaw, group, phase, value)
        for lane, s in governed[i]:
            if kind == SignalKind.LIGHT:
                lanes["signal"][lane], lanes["signal_s"][lane] = i, s
            elif kind == SignalKind.STOP:
                lanes["stop"][lane], lanes["stop_s"][lane] = i, s
    _group_the_rest(signals, governed, lanes, succ)
    _priorities(root, signals, governed, lanes, succ)
    return signals, lines


def _signal_elements(root: ET.Element) -> list[tuple[ET.Element, ET.Element, ET.Element]]:
    """(road, signal or reference to one, the signal itself), signals before references."""
    signals = {s.get("id"): s for s in root.iter("signal")}
    out = [(road, s, s) for road in root.iter("road") for s in road.findall("signals/signal")]
    out += [
        (road, r, signals[r.get("id")])
        for road in root.iter("road")
        for r in road.findall("signals/signalReference")
        if r.get("id") in signals
    ]
    return out


def _landmark_places(opendrive: Any) -> dict[str, tuple[float, float, float]]:
    out: dict[str, tuple[float, float, float]] = {}
    for landmark in opendrive.get_all_landmarks():
        where = landmark.transform.location
        out.setdefault(landmark.id, (where.x, -where.y, where.z))
    return out


def _limit(signal: ET.Element, kind: SignalKind) -> float:
    """[m/s] of a speed sign."""
    if kind != SignalKind.SPEED:
        return 0.0
    return float(signal.get("value", 0)) * {"mph": 0.44704, "m/s": 1.0}.get(signal.get("unit", "km/h"), 1 / 3.6)


def _heads(root: ET.Element) -> dict[str, tuple[float, float, float]]:
    """Where posts hold a light or a sign that does not stand at its own (s, t): by signal id."""
    out = {}
    for road in root.iter("road"):
        line = ReferenceLine(road)
        for element in road.findall("objects/object"):
            if element.get("name") in ("TrafficLight", "TrafficSign") and element.get("subtype"):
                x, y, _, heading = line.place(element)
                reach, height = float(element.get("length", 0)), float(element.get("height", 0))
                top = line.height(float(element.get("s", 0))) + height
                head = (x + reach * cos(heading), y + reach * sin(heading), top)
                out[element.get("subtype", "")] = head
    return out


def _stop_lines(root: ET.Element) -> tuple[NDArray[np.float64], dict[int, list[tuple[float, float]]]]:
    """Painted stop lines (K, 4), and by road their (s, t)."""
    lines: list[tuple[float, float, float, float]] = []
    places: dict[int, list[tuple[float, float]]] = {}
    for road in root.iter("road"):
        line = ReferenceLine(road)
        for element in road.findall("objects/object"):
            if "stopline" not in (element.get("name") or "").lower().replace(" ", "").replace("_", ""):
                continue
            x, y, _, heading = line.place(element)
            half = float(element.get("width", 0)) / 2
            dx, dy = -half * sin(heading), half * cos(heading)
            lines.append((x - dx, y - dy, x + dx, y + dy))
            places.setdefault(int(road.attrib["id"]), []).append(
                (float(element.attrib["s"]), float(element.attrib["t"]))
            )
    return np.array(lines, float).reshape(-1, 4), places


def read_floors(root: ET.Element) -> list[NDArray[np.float64]]:
    """The outlines of patches of asphalt."""
    out = []
    for road in root.iter("road"):
        for element in road.findall("objects/object[@type='patch']"):
            x, y, _, heading = ReferenceLine(road).place(element)
            local = [(float(c.get("u", 0)), float(c.get("v", 0))) for c in element.findall("outline/cornerLocal")]
            c, s = cos(heading), sin(heading)
            out.append(np.array(local).reshape(-1, 2) @ np.array([[c, s], [-s, c]]) + (x, y))
    return out


def _governed(
    road: ET.Element,
    element: ET.Element,
    lanes: NDArray[np.void],
    points: NDArray[np.float64],
    index: dict[Key, int],
    succ: list[list[int]],
    line_places: dict[int, list[tuple[float, float]]],
) -> list[tuple[int, float]]:
    """The lanes that a signal (or a reference to it) speaks to, with the arc length of the stop line on each."""
    road_id, s = int(road.attrib["id"]), float(element.get("s", 0))
    starts = [float(section.get("s", 0)) for section in road.findall("lanes/laneSection")] + [
        float(road.attrib["length"])
    ]
    section = max(sum(start <= s + 1e-6 for start in starts[:-1]) - 1, 0)
    facing = {"+": -1, "-": 1}.get(element.get("orientation", "none"), 0)
    valid = [(int(v.get("fromLane", 0)), int(v.get("toLane", 0))) for v in element.findall("validity")]
    out = []
    for (r, k, lane_id), lane in index.items():
        if (r, k) != (road_id, section) or lanes["kind"][lane] != LaneKind.DRIVING or facing * lane_id < 0:
            continue
        if valid and not any(min(v) <= lane_id <= max(v) for v in valid):
            continue
        if lanes["junction"][lane] >= 0:  # CARLA's maps put lights on the lanes inside the junction
            before = [p for p, after in enumerate(succ) if lane in after]
            out += [(p, max(lanes["length"][p] - LINE_GAP, 0.0)) for p in before]
            continue
        painted = [x for x, t in line_places.get(road_id, []) if abs(x - s) < STOP_LINE_RANGE and t * lane_id > -0.5]
        at = min(painted, key=lambda x: abs(x - s), default=s)
        along = (at - starts[section]) if lane_id < 0 else (starts[section + 1] - at)
        share = along / max(starts[section + 1] - starts[section], 1e-9)
        out.append((lane, float(np.clip(share, 0.0, 1.0) * lanes["length"][lane])))
    return out


def _heading(governed: list[tuple[int, float]], lanes: NDArray[np.void], points: NDArray[np.float64]) -> float:
    if not governed:
        return 0.0
    lane = governed[0][0]
    return float(points[lanes["first"][lane] + lanes["count"][lane] - 1, 3])


def _phases(root: ET.Element) -> dict[str, tuple[int, int]]:
    """By signal id: its junction, and the place of its controller in the junction's sequence."""
    controlled = {
        c.get("id"): [x.get("signalId", "") for x in c.findall("control")] for c in root.findall("controller")
    }
    out = {}
    for junction in root.iter("junction"):
        for phase, controller in enumerate(junction.findall("controller")):
            for signal in controlled.get(controller.get("id"), []):
                out[signal] = (int(junction.attrib["id"]), phase)
    return out


def _group_the_rest(
    signals: NDArray[np.void], governed: list[list[tuple[int, float]]], lanes: NDArray[np.void], succ: list[list[int]]
) -> None:
    """Signals that no controller names belong to the junction ahead; each such light gets a phase of its own."""
    for i in np.flatnonzero(signals["group"] < 0):
        ahead = [lanes["junction"][n] for lane, _ in governed[i] for n in succ[lane] if lanes["junction"][n] >= 0]
        if not ahead:
            continue
        signals["group"][i] = ahead[0]
        if signals["kind"][i] == SignalKind.LIGHT:
            same = (signals["group"] == ahead[0]) & (signals["kind"] == SignalKind.LIGHT)
            signals["phase"][i] = signals["phase"][same].max() + 1


def _priorities(
    root: ET.Element,
    signals: NDArray[np.void],
    governed: list[list[tuple[int, float]]],
    lanes: NDArray[np.void],
    succ: list[list[int]],
) -> None:
    """Lanes behind a stop or yield sign, or named low in the junction's table, give way."""
    low = {int(p.get("low", -1)) for junction in root.iter("junction") for p in junction.findall("priority")}
    named = np.isin(lanes["road"], list(low)) & (lanes["junction"] >= 0)
    lanes["priority"][named] = Priority.YIELD
    for kind, priority in ((SignalKind.YIELD, Priority.YIELD), (SignalKind.STOP, Priority.STOP)):
        for i in np.flatnonzero(signals["kind"] == kind):
            for lane, _ in governed[i]:
                for n in succ[lane]:
                    if lanes["junction"][n] >= 0:
                        lanes["priority"][n] = priority

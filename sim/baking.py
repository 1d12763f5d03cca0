"""OpenDRIVE to arrays, through `carla.Map`: the only place that asks the `carla` wheel for roads.

A broken file can take the whole process down inside `carla.Map`, so a text that did not come from Roadcraft's own
writer is first parsed in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim import baking_lanes, baking_places, baking_signals, roads
from roadcraft.sim.baking_lanes import Bake, fill_neighbours, fill_turns, lane_table, read_road, successors
from roadcraft.sim.baking_places import conflicts, crosswalks, inverse, spawns
from roadcraft.sim.cache import Arrays, cached, digest, source_digest
from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import arc_length
from roadcraft.sim.roads import RoadNetwork, build_grid

MAKERS = (baking_lanes, baking_places, baking_signals, roads)
PARSE = "import sys, carla; m = carla.Map('map', sys.stdin.read()); m.get_topology(); m.get_crosswalks()"


def cached_network(text: str, name: str, trusted: bool = False) -> RoadNetwork:
    """The network of an OpenDRIVE text. `trusted` texts are parsed without a guard."""
    key = f"network-{digest(text)}-{source_digest(*MAKERS, sys.modules[__name__])}"
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
        read_road(state, road)
    if not state.rows:
        raise UserError(f"map {name} has no lanes")
    lanes = lane_table(state)
    succ = successors(state)
    fill_neighbours(state, lanes)
    fill_turns(state, lanes)
    points = np.concatenate(state.points)
    signals, stop_lines = baking_signals.read_signals(root, state.map, lanes, points, state.index, succ)
    succ_start, succ_flat = _to_csr(succ)
    pred_start, pred_flat = _to_csr(inverse(succ))
    conflict_start, conflict_flat = _to_csr(conflicts(lanes, points, succ))
    return {
        "lanes": lanes,
        "points": points,
        "s": np.concatenate([arc_length(p[:, :2]) for p in state.points]),
        "succ_start": succ_start,
        "succ": succ_flat,
        "pred_start": pred_start,
        "pred": pred_flat,
        "conflict_start": conflict_start,
        "conflict": conflict_flat,
        "signals": signals,
        "stop_lines": stop_lines,
        **_polygons("crosswalks", crosswalks(state.map)),
        **_polygons("floors", baking_signals.read_floors(root)),
        "spawns": spawns(lanes, points, succ),
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


def _to_csr(rows: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    start = np.cumsum([0] + [len(row) for row in rows]).astype(np.int32)
    return start, np.array([item for row in rows for item in row], np.int32)


def _polygons(name: str, polygons: list[NDArray[np.float64]]) -> Arrays:
    """A list of polygons as two arrays."""
    ends = np.cumsum([len(polygon) for polygon in polygons]).astype(np.int32)
    return {name: np.concatenate([*polygons, np.zeros((0, 2))]), f"{name}_ends": ends}


def _geo(root: ET.Element) -> NDArray[np.float64]:
    """Latitude and longitude of the origin [degrees], as far as the file's projection says."""
    text = (root.findtext("header/geoReference") or "").split()
    values = dict(item.lstrip("+").split("=", 1) for item in text if "=" in item)
    try:
        return np.array([float(values.get("lat_0", 0)), float(values.get("lon_0", 0))])
    except ValueError:
        return np.zeros(2)

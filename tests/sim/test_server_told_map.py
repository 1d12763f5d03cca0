"""The map that clients are told: the lanes of the town's own, and a path for the TrafficManager that keeps to them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.scenery import read_scenery
from roadcraft.sim.embedded.server.told_map import HEAD, PAST, STEP, measured, told_map
from roadcraft.sim.embedded.town import load_town

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
Lane = tuple[int, int, int]


def lane_of(waypoint: Any) -> Lane:
    return waypoint.road_id, waypoint.section_id, waypoint.lane_id


def xy(waypoint: Any) -> tuple[float, float]:
    place = waypoint.transform.location
    return place.x, place.y


def farthest_from_chords(roads: Any) -> float:
    """[m] between lanes out of junctions and the straight way from their last 5 m point to the next lane's first."""
    points: dict[Lane, list[Any]] = defaultdict(list)
    for waypoint in roads.generate_waypoints(STEP):
        points[lane_of(waypoint)].append(waypoint)
    for lane, of_lane in points.items():
        of_lane.sort(key=lambda waypoint: waypoint.s, reverse=lane[2] > 0)
    worst = 0.0
    for lane, of_lane in points.items():
        waypoint, way = of_lane[-1], [xy(of_lane[-1])]
        first = None  # of the points of the lane that it leads into
        while waypoint.is_junction and (following := waypoint.next(0.25)):
            waypoint = following[0]
            way.append(xy(waypoint))
        for _ in range(round(STEP / 0.25)):
            first = first or points.get(lane_of(waypoint), [None])[0]
            if lane_of(waypoint) == lane or first is None or hypot(*np.subtract(way[-1], xy(first))) < 0.3:
                break
            waypoint = waypoint.next(0.25)[0]
            way.append(xy(waypoint))
        chord = np.subtract(way[-1], way[0])
        off = np.subtract(way, way[0]) @ [-chord[1], chord[0]] / max(np.hypot(*chord), 1e-6)
        worst = max(worst, float(np.abs(off).max()))
    return worst


@pytest.mark.parametrize("name", ["grid", "suburb", "arterial", "roundabout", "highway", "suburb-20", "arterial-1"])
def test_the_path_between_5_m_points_keeps_to_the_lanes(name: str) -> None:
    assert farthest_from_chords(carla.Map(name, told_map(load_town(name)))) < 0.25


@pytest.mark.parametrize("name", ["grid", "suburb", "arterial", "roundabout", "highway"])
def test_nobody_may_change_into_oncoming_traffic(name: str) -> None:
    """CARLA's route planner asks the line alone, and would plan against the traffic across a broken one."""
    facing = 0
    for waypoint in carla.Map(name, told_map(load_town(name))).generate_waypoints(10.0):
        left = waypoint.get_left_lane()
        if left is None or left.lane_type != carla.LaneType.Driving or left.lane_id * waypoint.lane_id > 0:
            continue
        assert not waypoint.lane_change & carla.LaneChange.Left
        assert waypoint.left_lane_marking.lane_change == carla.LaneChange.NONE
        facing += waypoint.left_lane_marking.type == carla.LaneMarkingType.Broken
    assert facing > 10, "lines to overtake across are broken"


def stations(road: ET.Element) -> list[float]:
    """[m] along a road where the pieces of its reference line begin, and its end."""
    return [*(float(part.attrib["s"]) for part in road.iterfind("planView/geometry")), float(road.attrib["length"])]


@pytest.mark.parametrize("name", ["suburb-1", "suburb-20", "arterial-1", "highway-1"])
def test_lanes_and_crosswalks_are_those_of_the_town_to_the_millimetre(name: str) -> None:
    """In each road with another reference line: places, directions and widths of all lanes from one end to the other,
    and all that stands in the town.

    The last of these towns has lanes that grow wider in such a road.
    """
    town = load_town(name)
    told = told_map(town)
    own, other = carla.Map("own", town.xodr), carla.Map("told", told)
    pairs = zip(ET.fromstring(town.xodr).iter("road"), ET.fromstring(told).iter("road"), strict=True)
    changed = [pair for pair in pairs if stations(pair[0]) != stations(pair[1])]
    assert changed
    for before, after in changed:
        for lane in before.iterfind("lanes/laneSection/right/lane"):
            for s in np.linspace(1e-3, stations(before)[-1] - 1e-3, 25).tolist():
                which = int(before.attrib["id"]), int(lane.attrib["id"])
                here = own.get_waypoint_xodr(*which, s)
                there = other.get_waypoint_xodr(*which, float(np.interp(s, stations(before), stations(after))))
                assert here.transform.location.distance(there.transform.location) < 1e-3
                assert here.transform.get_forward_vector().dot(there.transform.get_forward_vector()) > 1.0 - 1e-5
                assert there.lane_width == pytest.approx(here.lane_width, abs=1e-3)
    standing, again = (read_scenery(text, town.network).static for text in (town.xodr, told))
    assert np.abs(again["xyz"] - standing["xyz"]).max() < 1e-3
    crosswalks = zip(own.get_crosswalks(), other.get_crosswalks(), strict=True)
    assert max(corner.distance(same) for corner, same in crosswalks) < 1e-3


def test_it_is_told_once_only() -> None:
    told = told_map(load_town("suburb"))
    assert told.startswith(HEAD)
    assert measured(told) == told
    assert PAST < STEP


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' d="-0"', ""),
        ("<line", '<spiral curvStart="0" curvEnd="0.01"'),
        ('<roadMark sOffset="0"', '<roadMark sOffset="1"'),
    ],
    ids=["a width without d", "a spiral", "a mark that begins further on"],
)
def test_a_road_that_is_not_as_we_write_them_stays_as_it_is(old: str, new: str) -> None:
    own = load_town("suburb-20").xodr
    text = own.replace(old, new)
    assert text != own
    assert measured(text) == text


def test_a_text_that_only_says_to_be_ours_is_told_as_it_is(tmp_path: Path) -> None:
    """Whoever wrote it: what counts is that this process has made it."""
    own = load_town("suburb")
    assert told_map(own) != own.xodr
    file = tmp_path / "suburb.xodr"
    file.write_text(own.xodr)
    assert told_map(load_town(str(file))) == own.xodr

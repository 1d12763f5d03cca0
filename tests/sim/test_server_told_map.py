"""The map that clients are told: the lanes of the town's own, and a path for the TrafficManager that keeps to them."""

from __future__ import annotations

from collections import defaultdict
from math import hypot
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.server.told_map import HEAD, PAST, STEP, VENDOR, told_map
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


@pytest.mark.parametrize("style", ["grid", "suburb", "arterial", "roundabout", "highway"])
def test_the_path_between_5_m_points_keeps_to_the_lanes(style: str) -> None:
    assert farthest_from_chords(carla.Map(style, told_map(load_town(style).xodr))) < 0.25


def test_the_lanes_are_those_of_the_town() -> None:
    text = load_town("suburb").xodr
    told = told_map(text)
    assert told != text
    own, other = carla.Map("own", text), carla.Map("told", told)
    assert {lane_of(waypoint) for waypoint in own.generate_waypoints(STEP)} == {
        lane_of(waypoint) for waypoint in other.generate_waypoints(STEP)
    }
    lines: dict[Lane, list[tuple[float, float, float]]] = defaultdict(list)
    for waypoint in own.generate_waypoints(0.1):
        lines[lane_of(waypoint)].append((*xy(waypoint), waypoint.lane_width))
    for waypoint in other.generate_waypoints(2.0):
        line = np.array(lines[lane_of(waypoint)])
        away = np.hypot(*(line[:, :2] - xy(waypoint)).T)
        assert away.min() < 0.08  # half of what is between two points, and a little
        assert line[away.argmin(), 2] == pytest.approx(waypoint.lane_width, abs=0.02)


def test_it_is_told_once_only_and_others_maps_as_they_are() -> None:
    text = load_town("suburb").xodr
    told = told_map(text)
    assert told.startswith(HEAD)
    assert told_map(told) == told
    other = text.replace(VENDOR, 'vendor="somebody"')
    assert told_map(other) == other
    assert PAST < STEP

"""The baked road network against `carla.Map`, and what everybody relies on in it."""

from __future__ import annotations

from itertools import pairwise
from math import pi

import numpy as np
import pytest

from roadcraft.sim.embedded.town import STYLES, load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Command, Mark
from roadcraft.sim.reference_line import ReferenceLine
from roadcraft.sim.roads import ANY_KIND, DRIVING, LaneKind, RoadNetwork, SignalKind, network_from_opendrive

carla = pytest.importorskip("carla", reason="the wheel of the carla client does not exist for this machine")

KINDS = {"Driving": LaneKind.DRIVING, "Sidewalk": LaneKind.SIDEWALK, "Parking": LaneKind.PARKING}
MARKS = {"NONE": Mark.NONE, "Solid": Mark.SOLID, "SolidSolid": Mark.SOLID, "Broken": Mark.BROKEN}


@pytest.fixture(scope="module", params=STYLES)
def network(request: pytest.FixtureRequest) -> RoadNetwork:
    return load_town(request.param).network


@pytest.fixture(scope="module")
def opendrive(network: RoadNetwork) -> object:
    return carla.Map(network.name, network.xodr)


def some(network: RoadNetwork, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(network.xy), count, replace=False)


def angle(a: float | np.ndarray, b: float | np.ndarray) -> np.ndarray:
    return np.abs((np.asarray(a) - b + pi) % (2 * pi) - pi)


def test_lane_points_lie_where_carla_has_the_lane(network: RoadNetwork, opendrive) -> None:
    """Asked by place, not by road and arc length as the baking does it."""
    found = 0
    for i in some(network, 400):
        lane = network.lanes[network.lane_of[i]]
        kind = LaneKind(lane["kind"]).name.capitalize()
        if network.width[i] < 1.0 or kind not in KINDS:
            continue  # where a lane begins or ends in nothing
        x, y = network.xy[i]
        waypoint = opendrive.get_waypoint(carla.Location(x, -y, 0.0), lane_type=getattr(carla.LaneType, kind))
        where = waypoint.transform.location
        if waypoint.road_id != lane["road"]:
            assert lane["junction"] >= 0 or waypoint.is_junction  # lanes overlap in junctions
            continue
        found += 1
        yaw = network.yaw[i]
        across = (where.x - x) * -np.sin(yaw) + (-where.y - y) * np.cos(yaw)
        assert abs(across) < (0.02 if lane["kind"] == LaneKind.DRIVING else 0.2)  # sidewalks swerve around parking bays
        assert np.hypot(where.x - x, -where.y - y) < 0.5  # carla looks for the arc length in steps
        assert waypoint.lane_id == lane["lane_id"]
        assert abs(waypoint.lane_width - network.width[i]) < 0.1
        assert angle(-np.radians(waypoint.transform.rotation.yaw), yaw) < 0.05
        assert KINDS.get(str(waypoint.lane_type), lane["kind"]) == lane["kind"]
    assert found > 150


def test_successors_are_those_of_carla(network: RoadNetwork, opendrive) -> None:
    table = {(int(row["road"]), int(row["section"]), int(row["lane_id"])): i for i, row in enumerate(network.lanes)}
    driving = np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING)
    for lane in np.random.default_rng(1).choice(driving, 80, replace=False):
        x, y = network.xy[network.points(lane)][-2]
        road, section, lane_id = (int(network.lanes[lane][k]) for k in ("road", "section", "lane_id"))
        waypoint = opendrive.get_waypoint(carla.Location(x, -y, 0.0))
        if (waypoint.road_id, waypoint.section_id, waypoint.lane_id) != (road, section, lane_id):
            continue
        after = {table[w.road_id, w.section_id, w.lane_id] for w in waypoint.next(2.5)}
        assert after == set(network.successors(lane).tolist())
        assert all(lane in network.predecessors(n) for n in after)


def test_lanes_join_without_a_gap(network: RoadNetwork) -> None:
    for lane in np.flatnonzero(network.lanes["kind"] <= LaneKind.SIDEWALK):
        end = network.points(lane).stop - 1
        for follower in network.successors(lane):
            begin = network.points(follower).start
            assert np.hypot(*(network.xy[end] - network.xy[begin])) < 0.02
            assert angle(network.yaw[end], network.yaw[begin]) < 0.01


def test_points_are_dense_and_arc_lengths_true(network: RoadNetwork) -> None:
    for lane in range(len(network.lanes)):
        rows = network.points(lane)
        steps = np.hypot(*np.diff(network.xy[rows], axis=0).T)
        assert steps.max() <= 1.01
        assert np.allclose(np.diff(network.s[rows]), steps)
        assert np.isclose(network.s[rows][-1], network.lanes["length"][lane])
        ahead = np.diff(network.xy[rows], axis=0)
        heading = np.arctan2(ahead[:, 1], ahead[:, 0])
        if network.lanes["kind"][lane] == LaneKind.DRIVING:
            assert angle(heading, network.yaw[rows][:-1]).max() < 0.05  # along the travel, left lanes too


def test_neighbours_lie_beside(network: RoadNetwork) -> None:
    for side, sign in (("left", 1), ("right", -1)):
        lanes = np.flatnonzero(network.lanes[side] >= 0)
        assert len(lanes) > 20
        for lane in lanes:
            other = int(network.lanes[side][lane])
            if any(np.ptp(network.width[network.points(k)]) > 0.01 for k in (lane, other)):
                continue  # the middles of lanes that widen are not beside each other
            share = 0.5 * network.lanes["length"][lane]
            x, y, yaw, width = network.point(lane, share)
            rows = network.points(other)
            nearest = rows.start + int(np.argmin(np.hypot(*(network.xy[rows] - (x, y)).T)))
            delta = network.xy[nearest] - (x, y)
            lateral = delta[1] * np.cos(yaw) - delta[0] * np.sin(yaw)
            assert abs(sign * lateral - (width + network.width[nearest]) / 2) < 0.1
            assert angle(yaw, network.yaw[nearest]) < 0.1
            if network.lanes[f"change_{side}"][lane]:
                assert network.lanes["kind"][other] == LaneKind.DRIVING
                assert network.lanes[f"{side}_mark"][lane] == Mark.BROKEN


def test_opposite_lanes_lead_back(network: RoadNetwork) -> None:
    lanes = np.flatnonzero((network.lanes["opposite"] >= 0) & (network.lanes["kind"] == LaneKind.DRIVING))
    for lane in lanes:
        x, y, yaw, _ = network.point(lane, 0.5 * network.lanes["length"][lane])
        other = int(network.lanes["opposite"][lane])
        _, _, oyaw, _ = network.point(other, 0.5 * network.lanes["length"][other])
        assert angle(yaw, oyaw) > pi - 0.15
        near = network.xy[network.points(other)] - (x, y)
        assert (near[:, 1] * np.cos(yaw) - near[:, 0] * np.sin(yaw)).max() > 2.5  # on the left


def test_marks_are_those_of_carla(network: RoadNetwork, opendrive) -> None:
    for i in some(network, 200, seed=2):
        lane = network.lanes[network.lane_of[i]]
        if lane["kind"] != LaneKind.DRIVING or lane["junction"] >= 0:
            continue
        x, y = network.xy[i]
        waypoint = opendrive.get_waypoint(carla.Location(x, -y, 0.0))
        if (waypoint.road_id, waypoint.section_id) != (lane["road"], lane["section"]):
            continue
        for side in ("left", "right"):
            mark = getattr(waypoint, f"{side}_lane_marking")
            assert MARKS[str(mark.type)] == lane[f"{side}_mark"]
            assert (str(mark.color) == "Yellow") == (lane[f"{side}_color"] == 1)


def test_nearest_is_what_a_full_search_finds(network: RoadNetwork) -> None:
    rng = np.random.default_rng(3)
    low, high = network.xy.min(0), network.xy.max(0)
    driving = network.lanes["kind"][network.lane_of] == LaneKind.DRIVING
    for place in rng.uniform(low - 20, high + 20, (200, 2)):
        lane, s, lateral = network.nearest(place)
        gaps = np.hypot(*(network.xy[driving] - place).T)
        if lane < 0:
            assert gaps.min() > 99.0
            continue
        x, y, yaw, _ = network.point(lane, s)
        assert np.hypot(x - place[0], y - place[1]) <= gaps.min() + 1e-6
        rows = network.points(lane)
        if 0.0 < s < network.s[rows][-1]:
            foot = (x - lateral * np.sin(yaw), y + lateral * np.cos(yaw))
            assert np.hypot(foot[0] - place[0], foot[1] - place[1]) < 0.1 + 0.05 * abs(lateral)


def test_nearest_heeds_the_heading_and_the_kinds(network: RoadNetwork) -> None:
    lanes = (network.lanes["opposite"] >= 0) & (network.lanes["kind"] == LaneKind.DRIVING)
    for lane in np.flatnonzero(lanes & (network.lanes["lane_id"] == -1))[:20]:
        x, y, yaw, width = network.point(lane, 0.5 * network.lanes["length"][lane])
        border = (x - 0.45 * width * np.sin(yaw), y + 0.45 * width * np.cos(yaw))
        along, _, _ = network.nearest(border, yaw)
        back, _, _ = network.nearest(border, yaw + pi)
        assert angle(network.point(along, network.nearest(border, yaw)[1])[2], yaw) < 0.2
        assert back != along
    place = network.xy[network.points(int(np.flatnonzero(network.lanes["kind"] == LaneKind.SIDEWALK)[0]))][0]
    kind = network.lanes["kind"][network.nearest(place, kinds=1 << LaneKind.SIDEWALK)[0]]
    assert kind == LaneKind.SIDEWALK
    assert network.lanes["kind"][network.nearest(place, kinds=DRIVING)[0]] == LaneKind.DRIVING
    assert network.nearest(network.xy.max(0) + 500.0, kinds=ANY_KIND) == (-1, 0.0, np.inf)


def test_every_lane_leads_everywhere(network: RoadNetwork) -> None:
    lanes = np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING)
    steps = {int(i): [*network.successors(i).tolist(), *network.changes(int(i))] for i in lanes}
    back: dict[int, list[int]] = {i: [] for i in steps}
    for lane, after in steps.items():
        for other in after:
            back[other].append(lane)
    for graph in (steps, back):
        seen, queue = {int(lanes[0])}, [int(lanes[0])]
        while queue:
            for other in graph[queue.pop()]:
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        assert len(seen) == len(lanes)


def test_shortest_ways_connect(network: RoadNetwork) -> None:
    lanes = np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING)
    rng = np.random.default_rng(4)
    for a, b in rng.choice(lanes, (20, 2)):
        way = network.shortest(int(a), int(b))
        assert (way[0], way[-1]) == (a, b)
        for lane, after in pairwise(way):
            assert after in network.successors(lane) or after in network.changes(lane)
    sidewalk = int(np.flatnonzero(network.lanes["kind"] == LaneKind.SIDEWALK)[0])
    with pytest.raises(UserError, match="no way"):
        network.shortest(int(lanes[0]), sidewalk)


def test_turning_radii_suit_a_car(network: RoadNetwork) -> None:
    for kind, least in ((Command.RIGHT, 8.0), (Command.LEFT, 12.0)):
        for lane in np.flatnonzero(network.lanes["turn"] == kind):
            rows = network.points(int(lane))
            bend = np.abs(np.diff(np.unwrap(network.yaw[rows]))) / np.diff(network.s[rows])
            assert 1 / bend[1:-1].max() > least


def test_lights_govern_their_approach(network: RoadNetwork) -> None:
    governed = np.flatnonzero(network.lanes["signal"] >= 0)
    lights = np.flatnonzero(network.signals["kind"] == SignalKind.LIGHT)
    assert set(network.lanes["signal"][governed]) == set(lights)
    for lane in governed:
        row = network.lanes[lane]
        light = network.signals[row["signal"]]
        junctions = {int(network.lanes["junction"][n]) for n in network.successors(lane)}
        assert junctions == {int(light["group"])}
        assert 0.0 < row["signal_s"] < row["length"]
        x, y, yaw, _ = network.point(lane, row["signal_s"])
        assert angle(yaw, light["yaw"]) < 0.3
        lines = network.stop_lines
        a, b = lines[:, :2] - (x, y), lines[:, 2:] - (x, y)
        across = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / np.hypot(*(a - b).T)
        assert np.min(across + 100.0 * (np.einsum("ij,ij->i", a, b) > 0)) < 0.3  # one of them crosses the lane there


def test_lights_are_seen_from_their_stop_line(network: RoadNetwork) -> None:
    """By the default camera of the first car in line: 35 degrees to either side, 21 up, bumper 1.3 m ahead of it."""
    for lane in np.flatnonzero(network.lanes["signal"] >= 0):
        row = network.lanes[lane]
        head = network.signals["xyz"][row["signal"]]
        x, y, yaw, _ = network.point(lane, row["signal_s"] - 1.3)
        c, s = np.cos(yaw), np.sin(yaw)
        ahead = (head[0] - x) * c + (head[1] - y) * s
        aside = (head[1] - y) * c - (head[0] - x) * s
        assert 8.0 < ahead < 60.0
        assert abs(aside) / ahead < np.tan(np.radians(30))
        assert (head[2] - 1.5) / ahead < np.tan(np.radians(20))


def test_each_approach_has_its_own_phase(network: RoadNetwork) -> None:
    lights = network.signals[network.signals["kind"] == SignalKind.LIGHT]
    for group in np.unique(lights["group"]):
        phases = sorted(lights["phase"][lights["group"] == group])
        assert phases == list(range(len(phases)))


def test_lanes_of_one_phase_do_not_cross(network: RoadNetwork) -> None:
    """What has green together never meets: each approach is alone."""
    for lane in np.flatnonzero(network.lanes["signal"] >= 0):
        for way in network.successors(lane):
            for other in network.conflicts(int(way)):
                before = {int(network.lanes["signal"][p]) for p in network.predecessors(int(other))}
                assert int(network.lanes["signal"][lane]) not in before


def test_lanes_that_cross_conflict_and_opposite_ones_do_not() -> None:
    network = load_town("grid").network
    straight = np.flatnonzero(network.lanes["turn"] == Command.STRAIGHT)
    left = np.flatnonzero(network.lanes["turn"] == Command.LEFT)
    seen = {"crossing": 0, "opposite": 0, "left": 0}
    for lane in straight:
        assert all(lane in network.conflicts(int(other)) for other in network.conflicts(int(lane)))
        yaw = network.yaw[network.points(int(lane))][0]
        same = network.lanes["junction"] == network.lanes["junction"][lane]
        for other in straight[same[straight] & (straight != lane)]:
            bend = angle(yaw, network.yaw[network.points(int(other))][0])
            meets = other in network.conflicts(int(lane))
            seen["opposite" if bend > 3.0 else "crossing"] += 1
            assert meets == (bend < 3.0)
        for other in left[same[left]]:
            if angle(yaw, network.yaw[network.points(int(other))][0]) > 3.0:
                seen["left"] += 1
                assert other in network.conflicts(int(lane))  # it turns across the lane
    assert min(seen.values()) > 5


def test_stop_signs_stand_at_their_lanes(network: RoadNetwork) -> None:
    for lane in np.flatnonzero(network.lanes["stop"] >= 0):
        row = network.lanes[lane]
        sign = network.signals[row["stop"]]
        assert sign["kind"] == SignalKind.STOP
        x, y, yaw, _ = network.point(lane, row["stop_s"])
        dx, dy = sign["xyz"][:2] - (x, y)
        assert abs(dx * np.cos(yaw) + dy * np.sin(yaw)) < 3.0
        assert -12.0 < dy * np.cos(yaw) - dx * np.sin(yaw) < -2.0  # to the right


def test_crosswalks_lie_across_the_street(network: RoadNetwork) -> None:
    assert len(network.crosswalks) >= 4
    for polygon in network.crosswalks:
        ahead = np.roll(polygon, -1, 0)
        area = 0.5 * np.sum(polygon[:, 0] * ahead[:, 1] - polygon[:, 1] * ahead[:, 0])
        assert 10.0 < area < 90.0
        lane, _, lateral = network.nearest(polygon.mean(0))
        assert lane >= 0
        assert abs(lateral) < 4.0


def test_spawn_points_are_apart_and_in_lane(network: RoadNetwork) -> None:
    assert len(network.spawns) >= 60
    gaps = np.hypot(*(network.spawns[:, None, :2] - network.spawns[None, :, :2]).T)
    turned = angle(network.spawns[:, None, 2], network.spawns[None, :, 2]) > pi / 2
    np.fill_diagonal(gaps, np.inf)
    assert gaps[~turned].min() > 3.0
    for x, y, yaw in network.spawns:
        lane, _, lateral = network.nearest((x, y), yaw)
        assert abs(lateral) < 0.05
        assert network.lanes["junction"][lane] < 0
        ahead = network.nearest((x + 2.5 * np.cos(yaw), y + 2.5 * np.sin(yaw)), yaw)
        assert abs(ahead[2]) < 0.4


def test_the_first_three_spawn_points_have_a_straight_ahead(network: RoadNetwork) -> None:
    for x, y, yaw in network.spawns[:3]:
        for ahead in np.arange(0.0, 45.0, 1.0):
            lane, _, lateral = network.nearest((x + ahead * np.cos(yaw), y + ahead * np.sin(yaw)), yaw)
            assert abs(lateral) < 0.3
            assert network.lanes["junction"][lane] < 0


def test_reference_lines_agree_with_carla(network: RoadNetwork, opendrive) -> None:
    """The inner border of lane -1 lies on the reference line where no lane offset shifts it."""
    import xml.etree.ElementTree as ET

    for road in list(ET.fromstring(network.xodr.encode()).iter("road"))[::5]:
        if road.findall("lanes/laneOffset"):
            continue
        line, length = ReferenceLine(road), float(road.attrib["length"])
        for s in np.linspace(0.1, length - 0.1, 7):
            waypoint = opendrive.get_waypoint_xodr(int(road.attrib["id"]), -1, float(s))
            if waypoint is None or road.find(".//lane[@id='-1']/width[@sOffset='0']").attrib["c"] != "0":
                continue
            where, yaw = waypoint.transform.location, -np.radians(waypoint.transform.rotation.yaw)
            x, y, heading = line.pose(float(s))
            border = np.array([where.x, -where.y]) + waypoint.lane_width / 2 * np.array([-np.sin(yaw), np.cos(yaw)])
            assert np.hypot(*(border - (x, y))) < 0.05
            assert angle(heading, yaw) < 0.1


def broken(text: str, *replacements: tuple[str, str]) -> str:
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("</OpenDRIVE>", ""), "not well-formed"),
        (("<planView>", "<noView>"), "not well-formed"),
        (('elementType="road" elementId="', 'elementType="road" elementId="99'), "does not exist"),
        (('length="', 'length="nan" was="'), "not finite"),
        (('hdg="', 'hdg="north'), "unreadable"),
    ],
)
def test_a_broken_map_is_refused(replacement: tuple[str, str], message: str) -> None:
    text = load_town("grid").xodr
    with pytest.raises(UserError, match=message) as caught:
        network_from_opendrive(broken(text, replacement), "broken")
    assert "broken" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_map_without_roads_is_refused() -> None:
    for text, message in (("<OpenDRIVE/>", "no <road>"), ("<scene/>", "no OpenDRIVE"), ("", "not well-formed")):
        with pytest.raises(UserError, match=message):
            network_from_opendrive(text, "empty")


def test_a_map_that_kills_the_parser_kills_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from roadcraft.sim import baking

    monkeypatch.setattr(baking, "PARSE", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    text = load_town("grid").xodr.replace('name="grid-0"', 'name="other"', 1)
    with pytest.raises(UserError, match="died"):
        network_from_opendrive(text, "killer")

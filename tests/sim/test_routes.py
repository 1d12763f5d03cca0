"""Routes: along lanes, with turns, stop lines and commands that fit, and the same from the same seed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from roadcraft.sim.embedded.town import STYLES, load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Command, Weather
from roadcraft.sim.roads import LaneKind, RoadNetwork, SignalKind
from roadcraft.sim.route_files import KNOWN, read_routes
from roadcraft.sim.route_search import _drawn
from roadcraft.sim.routes import COMMAND_AHEAD, Route, route_from_points, route_from_seed, route_through
from roadcraft.sim.scenarios import SCENARIOS

SEEDS = range(6)


@pytest.fixture(scope="module", params=STYLES)
def network(request: pytest.FixtureRequest) -> RoadNetwork:
    return load_town(request.param).network


@pytest.fixture(scope="module")
def routes(network: RoadNetwork) -> list[Route]:
    return [route_from_seed(network, seed) for seed in SEEDS]


def turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (b - a + np.pi) % (2 * np.pi) - np.pi


def test_a_route_is_long_enough_and_crosses_junctions(routes: list[Route]) -> None:
    for route in routes:
        assert 500.0 <= route.length < 900.0
        assert route.junctions >= 3
    assert sum(len(route.stops) > 0 for route in routes) >= 4
    seen = {int(command) for route in routes for command in route.command}
    assert seen >= {Command.LEFT, Command.RIGHT, Command.STRAIGHT, Command.FOLLOW}


def test_points_are_a_metre_apart_and_turn_smoothly(routes: list[Route]) -> None:
    for route in routes:
        steps = np.hypot(*np.diff(route.xy, axis=0).T)
        assert np.all(np.abs(steps[:-1] - 1.0) < 0.01)
        assert np.allclose(np.diff(route.s)[:-1], 1.0)
        assert np.abs(turn(route.yaw[:-1], route.yaw[1:])).max() < 0.2
        ahead = np.arctan2(*np.diff(route.xy, axis=0).T[::-1])
        assert np.abs(turn(ahead, route.yaw[:-1])).max() < 0.12


def test_points_lie_on_their_lanes(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes:
        changing = np.isin(route.command, (Command.CHANGE_LEFT, Command.CHANGE_RIGHT))
        for k in range(0, len(route.s), 7):
            x, y, _, width = network.point(int(route.lane[k]), float(route.lane_s[k]))
            off = np.hypot(route.xy[k, 0] - x, route.xy[k, 1] - y)
            assert off < (width / 2 + 0.2 if changing[k] else 0.1)
            assert network.lanes["kind"][route.lane[k]] == LaneKind.DRIVING
            assert route.speed_limit[k] == network.lanes["speed_limit"][route.lane[k]]


def test_lanes_follow_each_other_or_lie_beside(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes:
        order = route.lane[np.concatenate([[True], np.diff(route.lane) != 0])]
        for lane, after in pairwise(order):
            assert after in network.successors(int(lane)) or after in network.changes(int(lane))


def test_it_begins_at_a_spawn_point_and_ends_on_straight_road(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes:
        assert np.hypot(*(network.spawns[:, :2] - route.xy[0]).T).min() < 0.6
        for part in (route.yaw[:8], route.yaw[-8:]):
            assert np.ptp(np.unwrap(part)) < 0.05
        assert not route.junction[-10:].any()


def test_it_does_not_go_in_circles(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes:
        streets = network.lanes["road"][route.lane[~route.junction]]
        runs = streets[np.concatenate([[True], np.diff(streets) != 0])]
        assert len(runs) - len(set(runs.tolist())) <= 1


def test_commands_announce_the_manoeuvre(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes:
        entries = np.flatnonzero(np.diff(np.concatenate([[0], route.junction.astype(int)])) == 1)
        for k in entries:
            asked = network.lanes["turn"][route.lane[k + 1]]
            assert route.command[k] == asked
            before = int(np.searchsorted(route.s, route.s[k] - COMMAND_AHEAD + 1.5))
            if not route.junction[before:k].any() and not np.isin(route.command[before:k], (5, 6)).any():
                assert (route.command[before:k] == asked).all()
        far = np.ones(len(route.s), bool)
        for k in np.flatnonzero(route.junction):
            far &= (route.s[k] - route.s > COMMAND_AHEAD + 2) | (route.s > route.s[k] + 1)
        quiet = route.command[far & ~np.isin(route.command, (5, 6))]
        assert (quiet[:-2] == Command.FOLLOW).all() or len(quiet) < 3 or (quiet == Command.FOLLOW).mean() > 0.9


def test_left_and_right_turns_are_told_apart(routes: list[Route]) -> None:
    for route in routes:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], route.junction.astype(int), [0]])))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            bend = float(np.sum(turn(route.yaw[begin : end - 1], route.yaw[begin + 1 : end])))
            command = route.command[begin]
            if command == Command.LEFT:
                assert bend > 0.3
            if command == Command.RIGHT:
                assert bend < -0.3


def test_stop_lines_are_where_the_lanes_have_them(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes:
        assert (np.diff(route.stops["s"]) > 0).all()
        for stop in route.stops:
            k = int(np.searchsorted(route.s, stop["s"])) - 1
            lane = network.lanes[route.lane[k]]
            name = "signal" if stop["kind"] == SignalKind.LIGHT else "stop"
            assert lane[name] == stop["signal"]
            assert abs(route.lane_s[k] + stop["s"] - route.s[k] - lane[f"{name}_s"]) < 0.2
            assert route.junction[k : k + 15].any()  # the junction is right behind it


def test_the_same_seed_draws_the_same_route(network: RoadNetwork, routes: list[Route]) -> None:
    assert route_from_seed(network, 3) == routes[3]
    assert hash(route_from_seed(network, 3)) == hash(routes[3])
    assert len({route.xy.tobytes() for route in routes}) > 3
    start = 7
    route = route_from_seed(network, 3, start=start)
    assert np.hypot(*(network.spawns[start, :2] - route.xy[0])) < 0.6


def test_a_route_through_its_own_points_is_the_same(network: RoadNetwork, routes: list[Route]) -> None:
    for route in routes[:3]:
        if np.isin(route.command, (Command.CHANGE_LEFT, Command.CHANGE_RIGHT)).any():
            continue
        found = route_from_points(network, route.xy[:: max(len(route.xy) // 25, 1)])
        common = min(len(found.xy), len(route.xy))
        assert common > 0.9 * len(route.xy)
        assert np.hypot(*(found.xy[:common] - route.xy[:common]).T).max() < 1.0


def test_until_keeps_what_lies_before(routes: list[Route]) -> None:
    route = routes[0]
    short = route.until(200.0)
    assert short.length == 200.0
    assert np.array_equal(short.xy, route.xy[:201])
    assert (short.stops["s"] <= 200.0).all()


def test_a_lane_change_is_smooth_and_announced() -> None:
    network = load_town("highway").network
    lanes = np.flatnonzero(
        network.lanes["change_left"] & (network.lanes["length"] > 100) & (network.lanes["junction"] < 0)
    )
    lane = int(lanes[0])
    other = int(network.lanes["left"][lane])
    route = route_through(network, [lane, other], 20.0)
    sideways = np.diff(np.unwrap(route.yaw))
    assert np.abs(sideways).max() < 0.1
    assert set(route.command) == {Command.CHANGE_LEFT, Command.FOLLOW}
    assert list(dict.fromkeys(route.lane.tolist())) == [lane, other]
    middle = int(np.flatnonzero(np.diff(route.lane))[0])
    assert (route.command[max(middle - 25, 0) : middle + 5] == Command.CHANGE_LEFT).all()


def test_lanes_that_do_not_connect_are_refused(network: RoadNetwork) -> None:
    driving = np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING)
    first = int(driving[0])
    stranger = next(int(k) for k in driving if k not in [first, *network.successors(first), *network.changes(first)])
    with pytest.raises(UserError, match="does not follow"):
        route_through(network, [first, stranger])
    with pytest.raises(UserError, match="not on a road"):
        route_from_points(network, [network.xy.max(0) + 50.0, network.xy[0]])
    with pytest.raises(UserError, match="spawn points"):
        route_from_seed(network, 0, start=10**6)


def test_a_leaderboard_file_gives_its_routes(network: RoadNetwork, routes: list[Route], tmp_path: Path) -> None:
    """Both layouts that the leaderboard has had, in CARLA's coordinates."""
    route = next(r for r in routes if not np.isin(r.command, (Command.CHANGE_LEFT, Command.CHANGE_RIGHT)).any())
    points = route.xy[::15]
    new = "".join(f'<position x="{x}" y="{-y}" z="0.0"/>' for x, y in points)
    old = "".join(f'<waypoint pitch="0" roll="0" x="{x}" y="{-y}" yaw="90.0" z="0.0"/>' for x, y in points)
    path = tmp_path / "routes.xml"
    path.write_text(
        f'<routes><route id="4" town="Town01"><weathers/><waypoints>{new}</waypoints></route>'
        f'<route id="5" town="Town02">{old}</route></routes>'
    )
    requests = read_routes(path)
    assert [(r.id, r.town) for r in requests] == [("4", "Town01"), ("5", "Town02")]
    for request in requests:
        assert np.allclose(request.xy, points)
        found = route_from_points(network, request.xy)
        assert abs(found.length - route.s[::15][-1]) < 2.0


def test_a_leaderboard_file_gives_weather_and_scenarios(tmp_path: Path) -> None:
    """The first weather of a route counts; scenarios have our names, and what there is none like here is told."""
    path = tmp_path / "routes.xml"
    path.write_text(
        """<routes><route id="1" town="Town12"><weathers>
        <weather route_percentage="100" cloudiness="90.0" wetness="3"/>
        <weather route_percentage="0" cloudiness="5.0" sun_altitude_angle="-20.0"/></weathers>
        <waypoints><position x="1" y="2" z="0"/><position x="9" y="2" z="0"/></waypoints>
        <scenarios><scenario name="A_1" type="ParkedObstacle"><trigger_point x="3" y="-4" z="0" yaw="1"/></scenario>
        <scenario name="B_1" type="BlockedIntersection"><trigger_point x="5" y="6" z="0" yaw="1"/></scenario>
        </scenarios></route>
        <route id="2" town="Town12"><waypoint x="1" y="2"/><waypoint x="9" y="2"/></route></routes>"""
    )
    first, second = read_routes(path)
    assert first.weather == Weather(cloudiness=5.0, sun_altitude_angle=-20.0)
    assert (first.scenarios, first.triggers) == (("obstacle",), ((3.0, 4.0),))
    assert first.unknown == ("BlockedIntersection",)
    assert second.weather == Weather(cloudiness=50.0, sun_altitude_angle=70.0)
    assert second.scenarios == second.triggers == second.unknown == ()
    assert set(KNOWN.values()) == set(SCENARIOS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<routes/>", "no <route>"),
        ("<routes><route id='9'><waypoint x='1' y='2'/></route></routes>", "route 9.*two"),
        ("<routes><route id='9'><waypoint x='1'/></route></routes>", "route 9.*number"),
        ("<routes><route id='9'><waypoint x='1' y='nan'/></route></routes>", "route 9.*number"),
        (2 * "<route id='9'><waypoint x='1' y='2'/><waypoint x='9' y='2'/></route>", "route 9 twice"),
        ("<routes>", "cannot be read"),
    ],
)
def test_a_broken_route_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "routes.xml").write_text(f"<routes>{text}</routes>" if text.startswith("<route ") else text)
    with pytest.raises(UserError, match=message):
        read_routes(tmp_path / "routes.xml")
    with pytest.raises(UserError, match="nowhere"):
        read_routes(tmp_path / "nowhere.xml")


def test_lanes_are_drawn_as_often_as_they_are_welcome() -> None:
    random, twin = np.random.default_rng(4), np.random.default_rng(4)
    for count in range(1, 7):
        lanes, weights = list(range(100, 100 + count)), (0.05 ** np.arange(count) + 1e-3).tolist()
        shares = np.array(weights) / np.sum(weights)
        drawn = [_drawn(lanes, weights, random.random()) for _ in range(500)]
        assert drawn == [int(twin.choice(lanes, p=shares)) for _ in range(500)]

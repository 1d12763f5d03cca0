"""Facts on a hand-made road whose every number is known.

Two lanes lead along x (right one at y = -1.75, left one at y = 1.75), one comes back (y = 5.25), from x = 0 to 100.
Then a junction without paint to x = 120, then the right lane alone to x = 220. A light stands at x = 98, a stop sign
at x = 200.
"""

import math

import numpy as np
import pytest

from roadcraft.sim.facts import TickBuilder, nearby
from roadcraft.sim.localisation import GNSS_SIGMA, GNSS_TIME, Localisation
from roadcraft.sim.messages import ACTOR, CONTACT, DT, LANE_X, Command, Facts, LightState, Mark, Tick
from roadcraft.sim.roads import LANE, SIGNAL, LaneKind, RoadNetwork, SignalKind, build_grid
from roadcraft.sim.routes import STOP, Route

WIDTH = 3.5
HALF = (2.45, 0.92)
BODY = np.array([*HALF, 0.75])


def lane(row: np.void, x0: float, x1: float, y: float) -> np.ndarray:
    """Points (n, 3) x, y, yaw of a straight lane, 1 m apart; fills the row."""
    xs = np.linspace(x0, x1, round(abs(x1 - x0)) + 1)
    row["count"], row["length"], row["kind"], row["speed_limit"] = len(xs), abs(x1 - x0), LaneKind.DRIVING, 10.0
    row["junction"] = row["left"] = row["right"] = row["opposite"] = row["signal"] = row["stop"] = -1
    row["turn"], row["priority"] = Command.FOLLOW, 2
    return np.stack([xs, np.full(len(xs), y), np.full(len(xs), 0.0 if x1 > x0 else np.pi)], -1)


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    lanes = np.zeros(5, LANE)
    points = [
        lane(lanes[0], 0, 100, -1.75),
        lane(lanes[1], 0, 100, 1.75),
        lane(lanes[2], 100, 0, 5.25),
        lane(lanes[3], 100, 120, -1.75),
        lane(lanes[4], 120, 220, -1.75),
    ]
    lanes["first"] = np.concatenate([[0], np.cumsum(lanes["count"])[:-1]])
    lanes["left"][0], lanes["right"][1], lanes["opposite"][1], lanes["opposite"][2] = 1, 0, 2, 1
    lanes["left_mark"][[0, 1, 2, 4]] = Mark.BROKEN, Mark.SOLID, Mark.SOLID, Mark.SOLID
    lanes["right_mark"][[0, 1, 2, 4]] = Mark.SOLID, Mark.BROKEN, Mark.SOLID, Mark.SOLID
    lanes["junction"][3] = 7
    lanes["signal"][0], lanes["signal_s"][0] = 0, 98.0
    lanes["stop"][4], lanes["stop_s"][4] = 1, 80.0
    signals = np.zeros(2, SIGNAL)
    signals["id"], signals["kind"] = ("41", "42"), (SignalKind.LIGHT, SignalKind.STOP)
    xyyaw = np.concatenate(points)
    s = np.concatenate([np.arange(float(n)) for n in lanes["count"]])
    xy, yaw, width = xyyaw[:, :2].copy(), xyyaw[:, 2].copy(), np.full(len(s), WIDTH)
    none = np.zeros(6, np.int32)
    empty = np.zeros(0, np.int32)
    return RoadNetwork(
        name="hand-made",
        xodr="",
        lanes=lanes,
        xy=xy,
        z=np.zeros(len(s)),
        yaw=yaw,
        s=s,
        width=width,
        succ_start=np.array([0, 1, 1, 1, 2, 2], np.int32),
        succ=np.array([3, 4], np.int32),
        pred_start=np.array([0, 0, 0, 0, 1, 2], np.int32),
        pred=np.array([0, 3], np.int32),
        conflict_start=none,
        conflict=empty,
        signals=signals,
        stop_lines=np.zeros((0, 4)),
        crosswalks=(),
        spawns=np.zeros((0, 3)),
        geo=(0.0, 0.0),
        grid=build_grid(lanes, xy, yaw, s, width),
    )


@pytest.fixture(scope="module")
def route() -> Route:
    """The right lane from x = 10 to x = 210."""
    x = np.arange(10.0, 211.0)
    count = len(x)
    return Route(
        xy=np.stack([x, np.full(count, -1.75)], -1),
        yaw=np.zeros(count),
        s=x - 10,
        lane=np.where(x < 100, 0, np.where(x < 120, 3, 4)).astype(np.int32),
        lane_s=np.where(x < 100, x, np.where(x < 120, x - 100, x - 120)),
        width=np.full(count, WIDTH),
        speed_limit=np.where(x < 120, 10.0, 14.0),
        junction=(x >= 100) & (x < 120),
        command=np.where((x > 70) & (x < 120), Command.STRAIGHT, Command.FOLLOW).astype(np.uint8),
        stops=np.array([(88.0, 0, SignalKind.LIGHT), (190.0, 1, SignalKind.STOP)], STOP),
    )


class Drive:
    """Puts the ego somewhere and looks."""

    def __init__(self, network: RoadNetwork, route: Route) -> None:
        self.builder = TickBuilder(network, route, BODY, seed=1, camera=None)
        self.frame = 0

    def tick(self, x: float, y: float = -1.75, yaw: float = 0.0, light: LightState = LightState.GREEN) -> Tick:
        lights = np.array([light, LightState.OFF], np.uint8)
        state = np.array([x, y, yaw, 10.0, 0.0, 0.0, 0.0, 0.0])
        self.frame += 1
        return self.builder(self.frame, state, 0.0, np.zeros(0, ACTOR), lights, np.zeros(0, CONTACT), math.nan)

    def at(self, x: float, y: float = -1.75, yaw: float = 0.0, light: LightState = LightState.GREEN) -> Facts:
        return self.tick(x, y, yaw, light).facts

    def to(self, x: float) -> "Drive":
        """Drives there along the route, 0.5 m a tick."""
        for at in np.arange(10.0, x, 0.5):
            self.at(float(at))
        return self


@pytest.fixture
def drive(network: RoadNetwork, route: Route) -> Drive:
    return Drive(network, route)


def test_progress_needs_passing_the_points_in_turn(drive: Drive) -> None:
    assert drive.at(10.0).progress == 0
    assert drive.at(10.6).progress == pytest.approx(0.6)
    assert drive.at(60.0).progress == pytest.approx(3)  # two points a tick, no further than the third is away
    assert drive.to(60.0).at(60.3).progress == pytest.approx(50.3)
    assert drive.at(40.0).progress == pytest.approx(50)  # what is passed stays passed


def test_errors_against_the_route(drive: Drive) -> None:
    facts = drive.to(50.0).at(50.0, y=-1.0, yaw=0.1)
    assert facts.lateral_error == pytest.approx(0.75)
    assert facts.heading_error == pytest.approx(0.1)
    assert facts.lane_width == WIDTH
    assert facts.speed_limit == 10
    assert drive.to(130.0).at(130.0).speed_limit == 14
    assert drive.at(130.0, y=-31.75).lateral_error == pytest.approx(-30)


def test_off_lane_is_measured_to_any_lane(drive: Drive) -> None:
    drive.to(50.0)
    assert drive.at(50.0, y=1.5).off_lane == pytest.approx(0.25)
    assert drive.at(50.0, y=-6.0).off_lane == pytest.approx(4.25)


def test_the_wrong_way(drive: Drive) -> None:
    drive.to(50.0)
    assert not drive.at(50.0, y=3.4).wrong_way
    assert drive.at(50.0, y=3.6).wrong_way  # nearer to the oncoming lane's centre
    assert not drive.at(50.0, y=5.25, yaw=np.pi).wrong_way
    assert drive.at(50.0, y=-1.75, yaw=np.pi).wrong_way


def test_light_ahead(drive: Drive) -> None:
    """Distances are from the front bumper, 2.45 m ahead of the origin, within 80 m."""
    assert drive.at(10.0).light == LightState.UNKNOWN
    facts = drive.to(50.0).at(50.0, light=LightState.YELLOW)
    assert (facts.light, facts.light_id) == (LightState.YELLOW, "41")
    assert facts.light_distance == pytest.approx(98 - 50 - 2.45)
    assert drive.to(95.4).at(95.5).light_distance == pytest.approx(0.05)
    assert drive.at(95.6).light == LightState.UNKNOWN  # the bumper is past the line


def test_stop_sign_ahead_and_its_box(drive: Drive) -> None:
    facts = drive.to(150.0).at(150.0)
    assert (facts.stop_id, facts.stop_zone) == ("42", "")
    assert facts.stop_distance == pytest.approx(200 - 150 - 2.45)
    zones = {x: drive.to(x).at(x).stop_zone for x in (193.5, 193.6, 199.0, 201.1, 201.3)}
    assert zones == {193.5: "", 193.6: "42", 199.0: "42", 201.1: "42", 201.3: ""}


def test_a_red_light_is_run_when_the_tail_crosses_its_line(drive: Drive) -> None:
    """The tail reaches from 0.8 half lengths to 1 m behind the bumper: 1.96 to 3.45 m behind the origin."""
    red = LightState.RED
    drive.to(98.0)
    assert drive.at(99.9, light=red).red_light_run == ""
    assert drive.at(100.0, light=red).red_light_run == "41"
    assert drive.at(101.4, light=red).red_light_run == "41"
    assert drive.at(101.5, light=red).red_light_run == ""
    assert drive.at(100.0, light=LightState.YELLOW).red_light_run == ""
    assert drive.at(100.0, y=-3.8, light=red).red_light_run == "41"  # 0.6 lane widths: 2.1 m to either side
    assert drive.at(100.0, y=-3.9, light=red).red_light_run == ""
    assert drive.at(100.0, y=0.1, light=red).red_light_run == ""  # the tail is in the left lane


def test_junctions_ahead(drive: Drive) -> None:
    assert drive.to(50.0).at(50.0).junction_distance == pytest.approx(50)
    assert drive.to(110.0).at(110.0).junction_distance == 0
    assert drive.to(130.0).at(130.0).junction_distance == math.inf


def test_painted_lines_end_with_the_paint(drive: Drive) -> None:
    facts = drive.to(80.0).at(80.0)
    seen = LANE_X < 20
    next_left, left, right, next_right = facts.lanes_ego
    assert next_left[seen] == pytest.approx(5.25)
    assert left[seen] == pytest.approx(1.75)
    assert right[seen] == pytest.approx(-1.75)
    assert np.isnan(facts.lanes_ego[:, LANE_X > 20.5]).all()
    assert np.isnan(next_right).all()
    assert facts.lane_marks.tolist() == [Mark.SOLID, Mark.BROKEN, Mark.SOLID, Mark.NONE]


def test_lines_are_those_of_the_lane_that_the_ego_is_in(drive: Drive) -> None:
    """In the left lane the centre line is the left one and the far edge of the oncoming lane the next."""
    facts = drive.to(50.0).at(50.0, y=1.5)
    assert facts.lanes_ego[:, 2] == pytest.approx([5.5, 2.0, -1.5, -5.0])
    assert facts.lane_marks.tolist() == [Mark.SOLID, Mark.SOLID, Mark.BROKEN, Mark.SOLID]


def test_lines_turn_with_the_ego(drive: Drive) -> None:
    facts = drive.to(50.0).at(50.0, yaw=0.05)
    assert facts.lanes_ego[1, :9] == pytest.approx((1.75 - LANE_X[:9] * math.sin(0.05)) / math.cos(0.05))


def test_no_lines_inside_a_junction_until_its_exit_is_near(drive: Drive) -> None:
    assert np.isnan(drive.to(102.0).at(102.0).lanes_ego).all()
    facts = drive.to(110.0).at(110.0)
    assert np.isnan(facts.lanes_ego[:, LANE_X < 10]).all()
    assert facts.lanes_ego[2, LANE_X > 11] == pytest.approx(-1.75)


def test_the_path_ahead_starts_beside_the_ego(drive: Drive) -> None:
    facts = drive.to(50.0).at(50.2, y=-1.25)
    assert facts.path_ego[0] == pytest.approx([0, -0.5])
    assert facts.path_ego[59] == pytest.approx([59, -0.5])
    assert drive.to(200.0).at(200.0).path_ego[20:] == pytest.approx(np.broadcast_to([10.0, 0.0], (40, 2)))


def test_line_crossings(drive: Drive) -> None:
    """The body is over a line when its side is further out than half the lane's width: 0.83 m off the centre."""
    drive.to(50.0)
    crossings = [drive.at(50.0, y=y).crossings for y in (-1.75, -0.95, -0.9, -0.5, 0.5, 1.75, 2.5, 2.6)]
    assert crossings == [(), (), (Mark.BROKEN,), (), (), (), (), (Mark.SOLID,)]
    assert [drive.at(50.0, y=y).crossings for y in (1.75, 0.8, -1.75, -2.6)] == [(), (Mark.BROKEN,), (), (Mark.SOLID,)]


def test_route_points_stand_every_10_metres_and_carry_the_gnss_error(drive: Drive) -> None:
    observation = drive.to(52.0).tick(52.0).observation
    ego = observation.ego
    c, s = math.cos(ego.yaw_world), math.sin(ego.yaw_world)
    world = observation.route_ego @ np.array([[c, s], [-s, c]]) + ego.xy_world
    assert world[:, 1] == pytest.approx(-1.75)
    first = world[0, 0]
    assert first in (pytest.approx(60), pytest.approx(50), pytest.approx(70))
    assert world[:15, 0] == pytest.approx(first + 10 * np.arange(15))
    assert world[-1, 0] == pytest.approx(210)
    assert math.hypot(*(ego.xy_world - (52.0, -1.75))) > 0.05


def test_commands_and_the_goal(drive: Drive) -> None:
    assert drive.to(60.0).tick(60.0).observation.command == Command.FOLLOW
    assert drive.to(80.0).tick(80.0).observation.command == Command.STRAIGHT
    assert drive.to(210.0).at(210.5).progress == pytest.approx(200)


def test_far_actors_are_no_facts() -> None:
    actors = np.zeros(3, ACTOR)
    actors["xyz"][:, 0] = 0, 149, 151
    assert len(nearby(actors, np.zeros(2))) == 2


def test_the_gnss_error_wanders_as_it_should() -> None:
    """Its spread over many seeds, and how much of it is left after the correlation time."""
    errors = []
    for seed in range(200):
        localise = Localisation(seed)
        walk = [localise(np.zeros(8), 0.0).xy_world for _ in range(round(GNSS_TIME / DT) + 1)]
        errors.append((walk[0], walk[-1]))
    first, last = np.array(errors).transpose(1, 0, 2).reshape(2, -1)
    assert np.std(first) == pytest.approx(GNSS_SIGMA, rel=0.15)
    assert np.std(last) == pytest.approx(GNSS_SIGMA, rel=0.15)
    assert np.corrcoef(first, last)[0, 1] == pytest.approx(math.exp(-1), abs=0.12)


def test_the_gnss_error_is_the_seeds() -> None:
    one, twin, other = (Localisation(seed)(np.zeros(8), 0.0) for seed in (5, 5, 6))
    assert np.array_equal(one.xy_world, twin.xy_world)
    assert one.yaw_world == twin.yaw_world
    assert not np.array_equal(one.xy_world, other.xy_world)

"""EmbeddedWorld: seeded twins, driving, collisions, population."""

from dataclasses import fields, replace

import numpy as np
import pytest

from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Control, Episode, Facts, Kind, Tick, Traffic
from roadcraft.sim.population import LINE_FREE, ROUTE_FREE, START_FREE
from roadcraft.sim.referee import Referee
from roadcraft.sim.stage import BACKGROUND_RADIUS

EMPTY = Traffic(0, 0)


@pytest.fixture(scope="module")
def world() -> EmbeddedWorld:
    return EmbeddedWorld()


def episode(seed: int = 2000, **changes: object) -> Episode:
    return episode_from_seed(seed, camera=None, **{"weather": "clear", **changes})


def pursue(tick: Tick, speed: float = 6.0) -> Control:
    """Pure pursuit of the route's lane, 6 m ahead, at one speed."""
    facts = tick.facts
    x, y = facts.path_ego[6] + (1.43, 0.0)
    curvature = 2 * y / (x * x + y * y)
    accel = speed - float(facts.velocity_ego[0])
    steer = float(np.clip(np.arctan(2.86 * curvature) / np.radians(70), -1, 1))
    return Control(steer, float(np.clip(0.3 * accel, 0, 0.7)), float(np.clip(-0.2 * accel, 0, 1)))


def same(a: Facts, b: Facts) -> bool:
    return all(_equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(Facts))


def _equal(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and a.dtype.names:
        return a.tobytes() == np.asarray(b).tobytes()
    return bool(np.array_equal(a, b, equal_nan=not isinstance(a, (str, tuple))))  # type: ignore[arg-type]


def test_seeded_twins_are_bit_identical(world: EmbeddedWorld) -> None:
    twin = EmbeddedWorld()
    a, b = world.reset(episode()), twin.reset(episode())
    assert len(a.facts.actors) > 10
    for _ in range(100):
        assert same(a.facts, b.facts)
        assert np.array_equal(a.observation.route_ego, b.observation.route_ego)
        a, b = world.step(pursue(a)), twin.step(pursue(b))


def test_an_episode_can_be_run_again(world: EmbeddedWorld) -> None:
    runs = []
    for _ in range(2):
        tick = world.reset(episode())
        for _ in range(60):
            tick = world.step(pursue(tick))
        runs.append(tick)
    assert same(runs[0].facts, runs[1].facts)


def test_another_seed_is_another_drive(world: EmbeddedWorld) -> None:
    first = world.reset(episode(2000))
    other = world.reset(replace(episode(2020), town=episode(2000).town))
    assert not np.array_equal(first.facts.pose, other.facts.pose)


def test_frames_begin_at_zero_and_count_ticks(world: EmbeddedWorld) -> None:
    tick = world.reset(episode())
    assert (tick.facts.frame, tick.facts.time, tick.facts.progress) == (0, 0, 0)
    tick = world.step(Control())
    assert (tick.observation.frame, tick.observation.time) == (1, 0.05)


def test_a_route_can_be_driven_and_scores_100_in_an_empty_town(world: EmbeddedWorld) -> None:
    tick = world.reset(episode(traffic=EMPTY))
    route = world.route.until(35.0)
    tick = world.reset(episode(traffic=EMPTY, route=route))
    referee = Referee()
    for _ in range(600):
        tick = world.step(pursue(tick))
        verdict = referee(tick.facts)
        if verdict.done:
            break
    assert verdict.status == "Completed"
    assert abs(tick.facts.lateral_error) < 0.5
    assert verdict.score_21 == 100


def test_running_into_a_car_is_a_contact_with_it(world: EmbeddedWorld) -> None:
    tick = world.reset(episode(traffic=EMPTY))
    route = world.route
    other = world.stage.spawn("vehicle.tesla.model3", (*route.xy[20], route.yaw[20]), role="background")
    contacts = []
    for _ in range(100):
        tick = world.step(pursue(tick))
        contacts += tick.facts.contacts.tolist()
    assert contacts
    assert {(number, kind) for number, kind, *_ in contacts} == {(other, Kind.CAR)}
    assert contacts[0][3] > 100  # N s


def test_leaving_the_lane_crosses_its_line_and_leads_off_the_road(world: EmbeddedWorld) -> None:
    tick = world.reset(episode(traffic=EMPTY))
    referee, crossings = Referee(), []
    for _ in range(120):
        tick = world.step(Control(steer=-0.05, throttle=0.5))
        referee(tick.facts)
        crossings += tick.facts.crossings
    assert crossings
    assert referee.verdict is not None
    assert referee.verdict.infractions["out_of_lane"] >= 1
    assert referee.verdict.outside > 0


def test_traffic_leaves_room_for_the_start(world: EmbeddedWorld) -> None:
    world.reset(episode(traffic=Traffic(30, 20)))
    bodies, route = world.simulation.bodies, world.route  # type: ignore[union-attr]
    others = bodies[bodies["id"] != world.ego]
    vehicles = others[others["kind"] <= Kind.BICYCLE]
    assert (len(vehicles), len(others) - len(vehicles)) == (30, 20)
    moved = 3.0  # m that traffic may have driven while things settled
    gap = np.hypot(*(vehicles["xyz"][:, :2] - route.xy[0]).T)
    assert gap.min() > START_FREE - moved
    along = np.min(np.hypot(*(vehicles["xyz"][:, None, :2] - route.xy[None, : int(ROUTE_FREE)]).transpose(2, 0, 1)), 1)
    assert along.min() > LINE_FREE
    near = np.min(np.hypot(*(vehicles["xyz"][:, None, :2] - route.xy[None]).transpose(2, 0, 1)), 1) < 60
    assert near.sum() >= 10


def test_the_background_speed_is_that_of_the_traffic_around(world: EmbeddedWorld) -> None:
    tick = world.reset(episode())
    for _ in range(100):
        tick = world.step(Control(brake=1.0))
    bodies = world.simulation.bodies  # type: ignore[union-attr]
    cars = bodies[(bodies["kind"] <= Kind.BICYCLE) & (bodies["id"] != world.ego) & (bodies["id"] != 0)]
    near = np.hypot(*(cars["xyz"][:, :2] - tick.facts.pose[:2]).T) < BACKGROUND_RADIUS
    assert 0 < near.sum() < len(cars)
    assert tick.facts.background_speed == pytest.approx(np.hypot(*cars["velocity"][near, :2].T).mean())
    assert tick.facts.background_speed > 1


def test_bad_input(world: EmbeddedWorld) -> None:
    with pytest.raises(UserError, match="Atlantis"):
        world.reset(replace(episode(), town="Atlantis"))
    with pytest.raises(UserError, match="reset"):
        EmbeddedWorld().step(Control())

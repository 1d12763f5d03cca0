"""Each scenario happens where it should, a driver who looks ahead survives it, and nothing is left behind.

The driver here brakes for whatever is in its lane ahead and for walkers close to it; it knows nothing of scenarios.
"""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes import FakeWorld

from roadcraft.sim import scenario_road
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Control, Episode, Facts, Kind, LightState, Tick, Traffic
from roadcraft.sim.referee import Referee, Verdict
from roadcraft.sim.scenario import Scenario
from roadcraft.sim.scenario_crossing import PedestrianCrossing
from roadcraft.sim.scenario_road import EmergencyVehicle, LeadBrakes
from roadcraft.sim.scenarios import SCENARIOS, Director, scenarios_of


@pytest.fixture(scope="module")
def world() -> EmbeddedWorld:
    return EmbeddedWorld()


def careful(tick: Tick) -> Control:
    """Follows the route's lane; brakes at 4 m/s^2 for lights, stop lines and what stands or walks in the way."""
    facts = tick.facts
    speed = max(float(facts.velocity_ego[0]), 0.0)
    room = _free_way(facts)
    if facts.light in (LightState.RED, LightState.YELLOW):
        room = min(room, facts.light_distance)
    allowed = np.sqrt(2 * 3.0 * max(room - 3.0, 0.0))
    bend = np.abs(np.diff(np.arctan2(*np.diff(facts.path_ego[:25], axis=0)[:, ::-1].T))).max()
    wish = min(9.0, facts.speed_limit, allowed, np.sqrt(2.0 / max(bend, 1e-3)))
    x, y = facts.path_ego[5 + int(speed / 2)] + (1.43, 0.0)
    steer = np.arctan(5.72 * y / (x * x + y * y)) / np.radians(70)
    accel = 2.0 * (wish - speed)
    return Control(
        float(np.clip(steer, -1, 1)), float(np.clip(accel / 5, 0, 0.7)), float(np.clip(-accel / 8 - 0.02, 0, 1))
    )


def _free_way(facts: Facts) -> float:
    """Metres of the path ahead of the bumper that nobody is on, or comes onto within two seconds."""
    c, s = np.cos(facts.pose[2]), np.sin(facts.pose[2])
    turn = np.array([[c, -s], [s, c]])
    room = np.inf
    for after in (0.0, 0.5, 1.0, 1.5, 2.0):
        xy = (facts.actors["xyz"][:, :2] + after * facts.actors["velocity"] - facts.pose[:2]) @ turn
        away = np.hypot(*(xy[:, None] - facts.path_ego[None]).transpose(2, 0, 1))
        at, near = away.argmin(1), away.min(1)
        # Oncoming cars in their own lane come no closer than a lane's width.
        along = np.hypot(*facts.actors["velocity"].T) > 0.5
        reach = np.where(facts.actors["kind"] == Kind.PEDESTRIAN, 1.9, 1.9) + 0.1 * ~along
        ahead = (near < reach) & (xy[:, 0] > 0)
        half = facts.actors["extent"][:, 0]
        room = min(room, float((at - half - facts.extent[0])[ahead].min(initial=np.inf)))
    return room


@cache
def run(world: EmbeddedWorld, name: str) -> tuple[Scenario, Verdict, list[Facts]]:
    """Drives until the scenario is done and cleaned away, in the first of the seeds from 2000 in which it happens."""
    for seed in range(2000, 2020):
        tick = world.reset(
            episode_from_seed(seed, camera=None, weather="clear", traffic=Traffic(0, 0), scenarios=(name,))
        )
        if not world.director.all or world.director.all[0].at > 350:
            continue
        scenario, referee, facts = world.director.all[0], Referee(), []
        for _ in range(2600):
            tick = world.step(careful(tick))
            verdict = referee(tick.facts)
            facts.append(tick.facts)
            if scenario.done or verdict.done:
                break
        if scenario.happened:
            return scenario, verdict, facts
    raise AssertionError(f"{name} never happens")


def beside_the_way(facts: Facts) -> np.ndarray:
    """(N,) how far [m] each actor is from the path ahead; infinite behind the ego's bumper."""
    c, s = np.cos(facts.pose[2]), np.sin(facts.pose[2])
    xy = (facts.actors["xyz"][:, :2] - facts.pose[:2]) @ np.array([[c, -s], [s, c]])
    away = np.hypot(*(xy[:, None] - facts.path_ego[None]).transpose(2, 0, 1)).min(1)
    return np.where(xy[:, 0] > facts.extent[0], away, np.inf)


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_happens_and_can_be_survived(world: EmbeddedWorld, name: str) -> None:
    scenario, verdict, facts = run(world, name)
    assert scenario.happened
    assert scenario.over
    collisions = [kind for kind, count in verdict.infractions.items() if count and kind.startswith("collision")]
    assert collisions == []
    assert verdict.infractions["scenario_timeout"] == verdict.infractions["yield_emergency"] == 0
    assert max(len(f.actors) for f in facts) >= 1


def test_the_lead_car_brakes_hard(world: EmbeddedWorld) -> None:
    _, _, facts = run(world, "lead_brakes")
    speeds = np.array([np.hypot(*f.actors["velocity"][0]) if len(f.actors) else np.nan for f in facts])
    assert np.nanmin(np.diff(speeds)) / 0.05 < -6
    assert np.nanmin(speeds) == 0


def test_a_lead_car_that_stands_in_a_queue_already_drives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood before the ego came near, so that it never brakes from a speed."""
    handed: list[object] = []
    monkeypatch.setattr(scenario_road, "hand_over", lambda car, seed: handed.append(car))
    facts = FakeWorld().reset(Episode("grid", 0)).facts
    car = SimpleNamespace(s=facts.progress + 6.0, speed=0.0, drive=lambda *asked, **more: None)
    scenario = LeadBrakes.__new__(LeadBrakes)
    scenario.movers, scenario.stopped_at, scenario.happened = [car], float("inf"), False  # type: ignore[list-item]
    scenario.random, scenario.at = np.random.default_rng(0), 50.0
    over = [scenario.run(replace(facts, time=facts.time + after)) for after in (0.0, 0.9 * scenario.STAND)]
    assert not any(over)
    assert scenario.run(replace(facts, time=facts.time + 1.1 * scenario.STAND))
    assert handed == [car]


def test_the_pedestrian_crosses_in_front_of_the_ego(world: EmbeddedWorld) -> None:
    _, _, facts = run(world, "pedestrian_crossing")
    sides = []
    for f in facts:
        walkers = f.actors[f.actors["kind"] == Kind.PEDESTRIAN]
        away = (walkers["xyz"][:, :2] - f.pose[:2]) @ (np.cos(f.pose[2]), np.sin(f.pose[2]))
        beside = (walkers["xyz"][:, :2] - f.pose[:2]) @ (-np.sin(f.pose[2]), np.cos(f.pose[2]))
        sides += beside[away > 3].tolist()
    assert min(sides) < -2
    assert max(sides) > 2
    assert min(float(f.velocity_ego[0]) for f in facts[100:]) < 2.0  # the driver had to brake


def test_the_runner_has_red_while_the_ego_has_green(world: EmbeddedWorld) -> None:
    scenario, _, facts = run(world, "red_light_runner")
    begun = [f for f in facts if f.time > scenario.since and len(f.actors)]
    assert begun[0].light == LightState.GREEN
    crossing = [abs(np.sin(f.actors["yaw"][0] - f.pose[2])) for f in begun[:40]]
    assert max(crossing) > 0.8  # it comes from the side


def test_the_ambulance_overtakes(world: EmbeddedWorld) -> None:
    _, _, facts = run(world, "emergency_vehicle")
    places = []
    for f in facts:
        van = f.actors[f.actors["emergency"]]
        if len(van):
            places.append(float((van["xyz"][0, :2] - f.pose[:2]) @ (np.cos(f.pose[2]), np.sin(f.pose[2]))))
    assert places[0] < -20
    assert places[-1] > 10


def test_the_car_cuts_in_from_beside_the_way(world: EmbeddedWorld) -> None:
    _, _, facts = run(world, "cut_in")
    away = np.array([beside_the_way(f)[0] for f in facts if len(f.actors)])
    ahead = np.flatnonzero(np.isfinite(away))
    assert away[ahead[0]] > 1.3
    assert away[ahead].min() < 0.5
    assert ahead[np.argmin(away[ahead])] > ahead[0] + 10  # it was there before


def test_the_obstacle_holds_the_ego_up(world: EmbeddedWorld) -> None:
    _, _, facts = run(world, "obstacle")
    seen = [f for f in facts if len(f.actors)]
    assert np.hypot(*seen[0].actors["velocity"][0]) == 0.0
    assert min(beside_the_way(f)[0] for f in seen) < 1.0
    speeds = np.array([float(f.velocity_ego[0]) for f in seen])
    assert speeds.max() > 5.0
    assert speeds[speeds.argmax() :].min() < 0.5


def test_what_stands_in_a_fast_lane_appears_in_time_to_stop(world: EmbeddedWorld) -> None:
    seen = 0
    for seed in range(2004, 2040, 5):  # highways
        episode = episode_from_seed(seed, camera=None, traffic=Traffic(0, 0), scenarios=("obstacle",), route_length=800)
        tick = world.reset(episode)
        for _ in range(1500):
            if not world.director.all or world.director.all[0].began or world.director.all[0].done:
                break
            tick = world.step(careful(tick))
        if world.director.all and world.director.all[0].began:
            scenario, facts = world.director.all[0], tick.facts
            room = scenario.at - facts.progress - 6.0  # between the bumpers
            assert room > facts.speed_limit**2 / (2 * 4.0)
            seen += facts.speed_limit > 20.0
    assert seen


def test_the_bicycle_is_followed_and_then_makes_room(world: EmbeddedWorld) -> None:
    scenario, _, facts = run(world, "slow_bicycle")
    rides = [f for f in facts if len(f.actors) and f.actors["kind"][0] == Kind.BICYCLE]
    speeds = np.array([np.hypot(*f.actors["velocity"][0]) for f in rides])
    assert 3.5 < np.median(speeds[speeds > 0.1]) < 4.5
    assert min(float(f.velocity_ego[0]) for f in rides if f.time > scenario.since) < 5.5
    away = np.array([beside_the_way(f)[0] for f in rides])
    away = away[np.isfinite(away)]
    assert away.min() < 1.2
    assert away[-1] > 1.9


def test_the_ego_turns_left_behind_oncoming_cars(world: EmbeddedWorld) -> None:
    scenario, _, facts = run(world, "left_turn")
    begun = [f for f in facts if f.time > scenario.since and len(f.actors)]
    assert np.cos(begun[0].actors["yaw"] - begun[0].pose[2]).max() < -0.8
    turned = (facts[-1].pose[2] - begun[0].pose[2] + np.pi) % (2 * np.pi) - np.pi
    assert turned > 0.7


class Waiting:
    """A stage that takes everything and does nothing."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def spawn(self, blueprint: str, pose: object, **_: object) -> int:
        self.events.append(("spawn", blueprint))
        return len(self.events)

    def __getattr__(self, name: str) -> object:
        return lambda *values, **_: self.events.append((name, values))


def test_who_waits_for_ever_gets_a_scenario_timeout_once(world: EmbeddedWorld) -> None:
    episode = episode_from_seed(2004, camera=None, traffic=Traffic(0, 0), scenarios=("obstacle",))
    tick = world.reset(episode)
    director = Director(Waiting(), world.network, world.route, episode)  # type: ignore[arg-type]
    (scenario,) = director.all
    events: list[str] = []
    for frame in range(2600):
        director.step(
            replace(tick.facts, frame=frame, time=frame * 0.05, progress=scenario.wakes_at + 5, velocity_ego=np.ones(2))
        )
        events += director.events
    assert events == ["scenario_timeout"]


def an_ambulance_behind(queued: bool) -> list[str]:
    """What the referee hears in 40 s of an ambulance that stands 15 m behind the ego."""
    seen = np.zeros(1, [("id", int), ("xyz", float, 3), ("velocity", float, 2)])
    seen["id"], seen["xyz"] = 8, (8.0 if queued else 40.0, 0.0, 0.0)
    van = SimpleNamespace(s=85.0, speed=0.0, actor=7, path=SimpleNamespace(length=900.0), drive=lambda *_, **__: None)
    route = SimpleNamespace(speed_limit=np.full(900, 10.0))
    scenario = EmergencyVehicle(None, None, route, 80.0, 1)  # type: ignore[arg-type]
    scenario.began, scenario.movers, scenario.width = True, [van], 3.5  # type: ignore[list-item]
    scenario.held, scenario.told, scenario.passing = 0.0, False, False
    heard: list[str] = []
    for frame in range(800):
        heard += scenario.step(
            SimpleNamespace(  # type: ignore[arg-type]
                progress=100.0, velocity_ego=np.zeros(2), pose=(0.0, 0.0, 0.0), actors=seen, time=frame * 0.05,
                light=LightState.UNKNOWN, light_distance=np.inf, junction_distance=0.0,
            )
        )  # fmt: skip
    return heard


def test_who_holds_an_ambulance_up_is_to_blame_but_not_in_a_queue() -> None:
    assert an_ambulance_behind(queued=False) == ["yield_emergency"]
    assert an_ambulance_behind(queued=True) == []


def test_a_pedestrian_who_cannot_go_on_goes_back_once() -> None:
    stage = Waiting()
    scenario = PedestrianCrossing(stage, None, SimpleNamespace(speed_limit=np.full(99, 10.0)), 50.0, 1)  # type: ignore[arg-type]
    scenario.began = scenario.happened = True
    scenario.walkers, scenario.across, scenario.pace = [7], np.array([0.0, 1.0]), 1.5
    scenario.held, scenario.turned = 0.0, False
    actors = np.zeros(1, [("id", int), ("velocity", float, 2)])
    actors["id"] = 7
    facts = SimpleNamespace(
        progress=40.0, extent=np.ones(3), velocity_ego=np.zeros(2), actors=actors, time=0.0, pose=(0.0, 0.0, 0.0)
    )
    for _ in range(50):  # 2.5 s
        scenario.step(facts)  # type: ignore[arg-type]
    assert stage.events == []
    for _ in range(100):
        scenario.step(facts)  # type: ignore[arg-type]
    ((what, (who, way, pace)),) = stage.events  # type: ignore[misc]
    assert (what, who, pace) == ("walk", 7, 1.5)
    assert way.tolist() == [0.0, -1.0]  # type: ignore[has-type]


def test_those_asleep_wake_in_time_and_are_not_asked_before(
    world: EmbeddedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A director that asks each of its scenarios at every tick drives the same."""
    asked: list[float] = []

    def step(scenario: Scenario, facts: Facts, plain: Any = Scenario.step) -> tuple[str, ...]:
        asked.append(facts.progress)
        return plain(scenario, facts)

    def drive() -> list[tuple[object, ...]]:
        asked.clear()
        names = ("obstacle", "pedestrian_crossing", "lead_brakes")
        tick, seen = world.reset(episode_from_seed(2003, camera=None, traffic=Traffic(6, 0), scenarios=names)), []
        for _ in range(1200):
            tick = world.step(careful(tick))
            seen.append((tick.facts.pose.tobytes(), tick.facts.actors.tobytes(), world.director.events))
        assert any(scenario.happened for scenario in world.director.all)
        return seen

    monkeypatch.setattr(Scenario, "step", step)
    slept = drive()
    first = min(scenario.wakes_at for scenario in world.director.all)
    assert first > 10.0
    assert min(asked) >= first

    def ask_all(director: Director, facts: Facts) -> None:
        director.events = ()
        for scenario in director.scenarios:
            director.events += scenario.step(facts)
        director.scenarios = [scenario for scenario in director.scenarios if not scenario.done]

    monkeypatch.setattr(Director, "step", ask_all)
    awake = drive()
    assert min(asked) < first
    assert awake == slept


def test_scenarios_are_the_seeds(world: EmbeddedWorld) -> None:
    assert scenarios_of(5) == scenarios_of(5)
    assert len({scenarios_of(seed) for seed in range(20)}) > 10
    assert {name for seed in range(20) for name in scenarios_of(seed)} == set(SCENARIOS)


def test_an_unknown_scenario_is_named(world: EmbeddedWorld) -> None:
    with pytest.raises(UserError, match="zombies"):
        world.reset(replace(episode_from_seed(2000, camera=None), scenarios=("zombies",)))


def test_a_scenario_is_where_its_trigger_says(world: EmbeddedWorld) -> None:
    """Its lead past the trigger, or nearby; one whose trigger is far from the route is left out."""
    drawn = episode_from_seed(2004, camera=None, traffic=Traffic(0, 0), scenarios=())
    world.reset(drawn)
    route, lead = world.route, SCENARIOS["obstacle"].lead
    places = SCENARIOS["obstacle"].places(world.network, route)
    for wanted in (places[0], places[-1]):
        x, y = route.xy[int(wanted - lead)]
        for shift, there in ((0.0, [wanted]), (500.0, [])):
            asked = replace(drawn, route=route, scenarios=("obstacle",), triggers=((x, y + shift),))
            world.reset(asked)
            assert [scenario.at for scenario in world.director.all] == pytest.approx(there, abs=1.0)


def test_a_route_leads_through_the_points_that_an_episode_names(world: EmbeddedWorld) -> None:
    drawn = episode_from_seed(2004, camera=None, traffic=Traffic(0, 0), scenarios=())
    world.reset(drawn)
    points = tuple((x, y) for x, y in world.route.xy[[20, 60, 100]].tolist())
    tick = world.reset(replace(drawn, points=points))
    assert tick.facts.route_length == pytest.approx(80.0, abs=1.0)
    assert np.allclose(tick.facts.pose[:2], points[0], atol=0.5)
    with pytest.raises(UserError, match=r"point \(9000.0, 0.0\) is not on a road"):
        world.reset(replace(drawn, points=(points[0], (9000.0, 0.0))))

"""Built-in drivers keep to lanes, distance, lights and signs; nobody is hit, nobody stands for ever."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.sim.embedded.catalogue import CATALOGUE, find
from roadcraft.sim.embedded.driver import SAMPLES, point_before, sample_path, sample_to_steer, steering
from roadcraft.sim.embedded.state import Simulation, SpawnError
from roadcraft.sim.embedded.stuck import STUCK
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Kind, LightState
from roadcraft.sim.population import VEHICLES, odds_of
from roadcraft.sim.roads import LaneKind

STYLES = ("grid", "suburb", "arterial", "roundabout", "highway")
FLEET = [b.id for b in CATALOGUE if b.is_vehicle and b.extent[1] < 1.3 and b.extent[0] < 3.3]


def populate(sim: Simulation, vehicles: int, walkers: int, seed: int = 0) -> None:
    """Vehicles of all sorts on spawn points, walkers on sidewalks."""
    rng = np.random.default_rng(seed)
    network = sim.network
    for spawn in network.spawns[rng.permutation(len(network.spawns))]:
        if vehicles == 0:
            break
        try:
            sim.spawn(str(rng.choice(FLEET)), spawn[:2], spawn[2], autopilot=int(rng.integers(1, 1 << 40)))
            vehicles -= 1
        except SpawnError:
            continue
    sidewalks = np.flatnonzero(network.lanes["kind"] == LaneKind.SIDEWALK)
    while walkers:
        lane = int(rng.choice(sidewalks))
        x, y, yaw, _ = network.point(lane, rng.random() * network.lanes["length"][lane])
        try:
            blueprint = f"walker.pedestrian.{rng.integers(1, 50):04d}"
            sim.spawn(blueprint, (x, y), yaw, autopilot=int(rng.integers(1, 1 << 40)))
            walkers -= 1
        except SpawnError:
            continue


class Watch:
    """Looks at every tick and remembers what should not have happened."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.contacts: list[tuple[float, int, int]] = []
        self.red: list[tuple[float, int]] = []
        self.off_lane = 0.0
        self.standing: dict[int, float] = {}
        self.longest: dict[int, float] = {}
        self.travelled: dict[int, float] = {}
        self._before: dict[int, tuple[int, float]] = {}

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.sim.step()
            self._look()

    def _look(self) -> None:
        sim = self.sim
        self.contacts += [(sim.time, int(c["a"]), int(c["b"])) for c in sim.contacts]
        bodies = sim.bodies
        for b in bodies[(bodies["id"] > 0) & (bodies["autopilot"] != 0)]:
            number, speed = int(b["id"]), float(np.hypot(*b["velocity"][:2]))
            self.travelled[number] = self.travelled.get(number, 0.0) + 0.05 * speed
            self.standing[number] = self.standing.get(number, 0.0) + 0.05 if speed < 0.1 else 0.0
            self.longest[number] = max(self.longest.get(number, 0.0), self.standing[number])
            if b["kind"] <= Kind.BICYCLE:
                self._look_at_line(number, b)

    def _look_at_line(self, number: int, b: np.void) -> None:
        """A tail that crosses the stop line while the light has been red for a while."""
        lanes, lane = self.sim.network.lanes, int(b["lane"])
        before, tail = self._before.get(number, (-1, 0.0)), float(b["lane_s"] - b["extent"][0])
        signal = int(lanes["signal"][lane])
        if before[0] == lane and signal >= 0 and before[1] < lanes["signal_s"][lane] <= tail:
            late = self.sim.lights.state[signal] == LightState.RED and self.sim.lights.elapsed[signal] > 2.0
            if late and b["speed"] > 0.5:
                self.red.append((self.sim.time, number))
        self._before[number] = (lane, tail)


def free_road(town: Town) -> np.ndarray:
    """A spawn point (3,) with at least 60 m of its own lane ahead."""
    network = town.network
    for spawn in network.spawns:
        lane, s, _ = network.nearest(spawn[:2], float(spawn[2]))
        if network.lanes["length"][lane] - s > 60.0 and network.lanes["junction"][lane] < 0:
            return spawn
    raise AssertionError("no long road")


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("grid")


def test_a_minute_and_a_half_of_traffic(town: Town) -> None:
    sim = Simulation(town)
    populate(sim, 24, 10)
    watch = Watch(sim)
    watch.run(90.0)
    assert watch.contacts == []
    assert watch.red == []
    assert max(watch.longest.values()) < 75.0
    assert np.mean(list(watch.travelled.values())) > 90.0
    bodies = sim.bodies[(sim.bodies["kind"] <= Kind.BICYCLE) & (sim.bodies["autopilot"] != 0)]
    for b in bodies:
        assert abs(sim.network.nearest(b["xyz"][:2], float(b["yaw"]))[2]) < 1.0


def test_background_traffic_fits_its_lanes(town: Town) -> None:
    lanes = town.network.lanes["kind"][town.network.lane_of] == LaneKind.DRIVING
    assert max(2 * find(name).extent[1] for name in VEHICLES) < town.network.width[lanes].min() - 0.5


def test_drivers_stop_behind_a_car_that_stands_and_go_on_when_it_goes(town: Town) -> None:
    sim = Simulation(town)
    x, y, yaw = free_road(town)
    ahead = np.array([np.cos(yaw), np.sin(yaw)])
    driver = sim.spawn("vehicle.audi.tt", (x, y), yaw, autopilot=3)
    ego = sim.spawn("vehicle.lincoln.mkz_2020", np.array([x, y]) + 40 * ahead, yaw)
    watch = Watch(sim)
    watch.run(15.0)
    gap = float((sim.body(ego)["xyz"][:2] - sim.body(driver)["xyz"][:2]) @ ahead)
    gap -= float(sim.body(ego)["extent"][0] + sim.body(driver)["extent"][0])
    assert 1.0 < gap < 5.0
    assert sim.body(driver)["speed"] == pytest.approx(0.0, abs=0.05)
    assert int(sim.body(driver)["lights"]) & 8, "brake lights"
    sim.control_vehicle(ego, 0.6, 0.0, 0.0)
    watch.run(3.0)
    assert sim.body(driver)["speed"] > 1.0
    assert watch.contacts == []


def test_a_driver_who_is_stuck_for_good_goes_elsewhere(town: Town) -> None:
    sim, (x, y, yaw) = Simulation(town), free_road(town)
    ahead = np.array([np.cos(yaw), np.sin(yaw)])
    sim.spawn("vehicle.audi.tt", np.array([x, y]) + 9.0 * ahead, yaw)
    car = sim.row(sim.spawn("vehicle.audi.tt", (x, y), yaw, autopilot=5))
    moved = []
    for _ in range(2200):
        sim.step()
        moved.append(float(np.hypot(*(sim.bodies["xyz"][car, :2] - (x, y)))))
    assert max(moved[:1700]) < 9.0  # for 85 s it waits behind the one that never goes
    assert moved[-1] > 50.0


def test_drivers_brake_for_a_walker_on_the_road(town: Town) -> None:
    sim = Simulation(town)
    x, y, yaw = free_road(town)
    driver = sim.spawn("vehicle.nissan.micra", (x, y), yaw, autopilot=9)
    walker = sim.spawn("walker.pedestrian.0021", (x + 35 * np.cos(yaw), y + 35 * np.sin(yaw)), yaw)
    watch = Watch(sim)
    watch.run(12.0)
    assert watch.contacts == []
    assert sim.body(driver)["speed"] == pytest.approx(0.0, abs=0.05)
    sim.remove(walker)
    watch.run(3.0)
    assert sim.body(driver)["speed"] > 1.0


def test_the_same_seed_drives_the_same_whatever_else_was_spawned_first(town: Town) -> None:
    ways = []
    for decoys in (0, 2):
        sim = Simulation(town)
        for k in range(decoys):
            sim.remove(sim.spawn("vehicle.audi.tt", town.network.spawns[10 + k, :2], 0.0))
        x, y, yaw = town.network.spawns[0]
        number = sim.spawn("vehicle.audi.tt", (x, y), yaw, autopilot=1234)
        for _ in range(600):
            sim.step()
        ways.append(sim.body(number)["xyz"].copy())
    assert (ways[0] == ways[1]).all()


def test_different_seeds_take_different_ways(town: Town) -> None:
    x, y, yaw = town.network.spawns[0]
    ends = []
    for seed in range(1, 7):
        sim = Simulation(town)
        number = sim.spawn("vehicle.audi.tt", (x, y), yaw, autopilot=seed)
        for _ in range(2400):
            sim.step()
        ends.append(sim.body(number)["xyz"][:2].copy())
    distances = [np.hypot(*(a - b)) for a in ends for b in ends]
    assert max(distances) > 40.0


def test_the_autopilot_can_be_switched_off_and_on(town: Town) -> None:
    sim = Simulation(town)
    x, y, yaw = free_road(town)
    number = sim.spawn("vehicle.audi.tt", (x, y), yaw, autopilot=5)
    for _ in range(100):
        sim.step()
    assert sim.body(number)["speed"] > 3.0
    sim.set_autopilot(number, 0)
    sim.control_vehicle(number, 0.0, 0.0, 1.0)
    for _ in range(100):
        sim.step()
    assert sim.body(number)["speed"] == 0.0
    sim.set_autopilot(number, 5)
    for _ in range(60):
        sim.step()
    assert sim.body(number)["speed"] > 2.0


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_half_an_hour_without_a_collision_or_a_dead_lock(style: str) -> None:
    sim = Simulation(load_town(style))
    populate(sim, 30, 20)
    watch = Watch(sim)
    watch.run(1800.0)
    assert watch.contacts == []
    assert watch.red == []
    assert max(watch.longest.values()) < STUCK  # nobody had to be taken elsewhere
    walks = {int(b["id"]): b["kind"] == Kind.PEDESTRIAN for b in sim.bodies}
    stood = [max(time for number, time in watch.longest.items() if walks[number] == who) for who in (False, True)]
    driven = sum(watch.travelled.values()) / 1000
    print(f"\n{style}: a vehicle stood {stood[0]:.1f} s, a walker {stood[1]:.1f} s, {driven:.0f} km in all")


def test_as_many_two_wheelers_as_asked_for() -> None:
    streets, many = odds_of(None), odds_of(0.5)
    assert streets.sum() == pytest.approx(1.0)
    assert many.sum() == pytest.approx(1.0)
    two = [name.split(".")[1] in ("yamaha", "vespa", "gazelle", "bh") for name in VEHICLES]
    assert many[two].sum() == pytest.approx(0.5)
    assert streets[two].sum() < 0.2
    assert many[0] / many[1] == pytest.approx(streets[0] / streets[1])  # the others among themselves as before


@kernel
def _steered(bodies, physics, drivers, chain, lanes, points, way, spacing, most, angles):  # type: ignore[no-untyped-def]
    """Fills `angles` (N, 2) with the wheel angles by all of the way and by what of it is needed."""
    for i in range(bodies.shape[0]):
        b, d, p = bodies[i], drivers[i], physics[i]
        here = point_before(lanes, points, d.path[0], b.lane_s)
        way[:] = np.nan
        count = sample_path(lanes, points, b, d, here, spacing, way, 0, most)
        angles[i, 0] = steering(b, chain[i], p, spacing, way, count)
        way[:] = np.nan
        count = sample_to_steer(lanes, points, b, d, p, here, spacing, way, most)
        angles[i, 1] = steering(b, chain[i], p, spacing, way, count)


@pytest.mark.parametrize("known", [1, 10])
@pytest.mark.parametrize("spacing", [1.5, 4.0])
def test_a_driver_steers_the_same_by_the_part_of_the_way_that_it_needs(known: int, spacing: float) -> None:
    sim = Simulation(load_town("roundabout"))
    populate(sim, 40, 0)
    way, angles = np.zeros((SAMPLES, 4)), np.zeros((len(sim.bodies), 2))
    for _ in range(100):
        for _ in range(5):
            sim.step()
        drivers = sim._drivers.copy()
        drivers["lanes"] = np.minimum(drivers["lanes"], known)  # with one lane the way often ends before it is needed
        bodies, graph = sim.bodies, sim._graph
        _steered(bodies, sim._physics, drivers, sim._chain, graph.lanes, graph.points, way, spacing, 10, angles)
        assert np.isfinite(angles).all()
        assert np.array_equal(angles[:, 0], angles[:, 1])

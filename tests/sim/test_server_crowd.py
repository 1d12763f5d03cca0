"""What the client's own crowd and TrafficManager rely on: how walkers move, die and go; lights; the mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from raw_client import RawClient
from test_server import spawn, ticks

from roadcraft.sim.embedded.server.live import AFTER_DEATH, LiveWorld
from roadcraft.sim.embedded.server.records import AT_LIGHT, CREEP, GREEN, OVER_LINE, RED
from roadcraft.sim.embedded.server.stop_signs import AGAIN, BOX, STOP
from roadcraft.sim.embedded.server.walkways import SHY
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")


def walker(world: Any) -> Any:
    """Somebody who stands on a sidewalk."""
    blueprint = world.get_blueprint_library().find("walker.pedestrian.0003")
    place = world.get_random_location_from_navigation()
    made = world.spawn_actor(blueprint, carla.Transform(place + carla.Location(z=1.0)))
    ticks(world, 10)
    return made


def test_who_is_dead_lies_and_is_gone_after_a_while(server: Any, world: Any) -> None:
    """The client's crowd says so of whom a vehicle came too close to."""
    someone = walker(world)
    imu = world.spawn_actor(world.get_blueprint_library().find("sensor.other.imu"), carla.Transform(), someone)
    someone.set_simulate_physics(False)
    with RawClient(server.port) as crowd:
        crowd.call("set_actor_dead", someone.id)
        with pytest.raises(RuntimeError, match="is no walker"):
            crowd.call("set_actor_dead", imu.id)
    ticks(world, round(AFTER_DEATH / 0.05) - 1)
    assert abs(someone.get_transform().rotation.pitch) == pytest.approx(90.0, abs=1.0)
    world.tick()
    assert {someone.id, imu.id} & {actor.id for actor in world.get_actors()} == {imu.id}


def test_who_is_led_by_a_crowd_tells_the_velocity(client: Any, world: Any) -> None:
    someone, speed = walker(world), 1.3
    someone.set_simulate_physics(False)
    begin = someone.get_transform()
    for k in range(1, 6):
        place = begin.location + carla.Location(x=0.05 * k * speed)
        led = carla.command.ApplyWalkerState(someone, carla.Transform(place, carla.Rotation(yaw=40.0)), speed)
        client.apply_batch_sync([led], True)
        assert someone.get_velocity().x == pytest.approx(speed, abs=1e-3)
        assert abs(someone.get_velocity().y) < 1e-3
    assert someone.get_location().x - begin.location.x == pytest.approx(0.25 * speed, abs=1e-3)
    world.tick()
    assert someone.get_velocity().length() == 0.0


def test_a_light_governs_until_the_front_is_over_the_line(world: Any) -> None:
    light = world.get_actors().filter("traffic.traffic_light")[0]
    light.set_state(carla.TrafficLightState.Red)
    light.freeze(True)
    line = light.get_affected_lane_waypoints()[0]
    car = spawn(world, at=20)
    car.set_simulate_physics(False)
    front = car.bounding_box.extent.x
    for over, governed in ((OVER_LINE - 0.5, True), (OVER_LINE + 0.5, False)):
        car.set_transform(line.previous(front - over)[0].transform)
        world.tick()
        car.set_simulate_physics(True)
        ticks(world, 2)
        assert car.is_at_traffic_light() == governed, over
        car.set_simulate_physics(False)


def test_walkers_keep_off_the_kerb(world: Any) -> None:
    roads, kind = world.get_map(), carla.LaneType.Sidewalk
    for _ in range(100):
        place = world.get_random_location_from_navigation()
        lane = roads.get_waypoint(place, lane_type=kind)
        assert place.distance_2d(lane.transform.location) < lane.lane_width / 2 - SHY + 0.15


class Stop:
    """A car that stands at a suburb's stop sign, without physics, and others that are put beside it."""

    def __init__(self, town: str = "suburb") -> None:
        self.live = LiveWorld(load_town(town), town)
        self.network = network = self.live.town.network
        lanes = network.lanes
        signed = (lanes["stop"] >= 0) & (lanes["stop_s"] > AT_LIGHT + 2.0)
        self.lane = next(
            each for each in np.flatnonzero(signed).tolist()
            if any(len(network.conflicts(way)) for way in network.successors(each))
        )  # fmt: skip
        self.line, self.length = float(lanes["stop_s"][self.lane]), float(lanes["length"][self.lane])
        self.car = self.put(self.line - AT_LIGHT - 2.0)

    def put(self, at: float, lane: int | None = None, car: Any = None) -> Any:
        """A car, a new one where none is given, so many metres along a lane."""
        x, y, yaw, _ = self.network.point(self.lane if lane is None else lane, at)
        if car is None:
            car = self.live.spawn("vehicle.lincoln.mkz_2020", [], Pose(x, y, 0.5, yaw))
            self.live.simulation.set_physics(car.id, False)
        self.live.place(car, Pose(x, y, 0.0, yaw))
        return car

    def told(self, seconds: float = 0.0, car: Any = None) -> int:
        """What light the car is told after so long; it is at none."""
        for _ in range(round(seconds / 0.05)):
            self.live.step(0.05)
        self.live.snapshots.pack(self.live, 0.05, 0)
        records = self.live.snapshots.views[1]
        row = self.live.snapshots.records["id"][: len(records)].tolist().index((car or self.car).id)
        assert records["has_light"][row] == 0
        return int(records["light_state"][row])


def test_a_stop_sign_is_told_as_red_without_a_light() -> None:
    """By that the clients' TrafficManager stops before it enters; where nothing is to be stopped for it is green."""
    stop = Stop()
    assert stop.told(3.0) == GREEN
    for at in (stop.line - AT_LIGHT + 1.0, stop.length):
        stop.put(at, car=stop.car)
        assert stop.told() == RED, at


@pytest.mark.parametrize("at", [AT_LIGHT - 1.0, 3.0])
def test_who_has_stopped_for_two_seconds_may_go(at: float) -> None:
    """As in CARLA, if nobody is on the ways that cross; with somebody there it is looked again each second."""
    stop = Stop()
    stop.put(stop.line - at, car=stop.car)
    assert stop.told(STOP - 0.1) == RED
    assert stop.told(0.1) == GREEN
    assert stop.told(5.0) == GREEN
    crossing = stop.network.conflicts(int(stop.network.successors(stop.lane)[0]))
    lane = max(crossing.tolist(), key=lambda each: float(stop.network.lanes["length"][each]))
    other = stop.put(float(stop.network.lanes["length"][lane]) / 2, lane)
    assert stop.told(0.05) == RED
    assert stop.told(4.0) == RED
    stop.live.destroy(other.id)
    assert stop.told(AGAIN - 0.1) == RED
    assert stop.told(0.1) == GREEN


def test_who_is_over_the_line_goes_on() -> None:
    """Whoever comes then: a front on the crosswalk or in the crossing road would be in the way."""
    stop = Stop()
    stop.put(stop.line - stop.car.extent[0], car=stop.car)
    crossing = stop.network.conflicts(int(stop.network.successors(stop.lane)[0]))
    assert stop.told(STOP) == GREEN
    other = stop.put(1.0, int(crossing[0]))
    assert stop.told(0.05) == RED
    stop.live.destroy(other.id)
    assert stop.told(AGAIN) == GREEN
    stop.put(stop.line - stop.car.extent[0] + 1.5, car=stop.car)
    assert stop.told(0.05) == GREEN
    stop.put(1.0, int(crossing[0]))
    assert stop.told(1.0) == GREEN


def test_a_stop_is_each_cars_own_and_needs_a_stand() -> None:
    """Who is second in the lane has not stopped at the sign, nor has who rolls towards CARLA's box before it."""
    stop = Stop()
    stop.put(stop.line - 4.0, car=stop.car)
    second = stop.put(stop.line - 11.0)
    assert (stop.told(3.0), stop.told(0.0, second)) == (GREEN, RED)
    stop.live.destroy(stop.car.id)
    assert stop.told(STOP - 0.1, second) == RED
    assert stop.told(0.1, second) == GREEN
    stop.put(stop.line - AT_LIGHT - 2.0, car=second)
    assert stop.told(0.1, second) == GREEN

    def rolls(ticks: int) -> list[int]:
        """What it is told in each tick."""
        found = []
        for _ in range(ticks):
            stop.live.simulation.set_velocity(second.id, (1.0, 1.0))
            found.append(stop.told(0.05, second))
        return found

    stop.put(stop.line - second.extent[0] - BOX - 1.0, car=second)
    assert rolls(60) == [RED] * 60
    stop.put(stop.line - second.extent[0] - BOX + 1.0, car=second)
    assert rolls(60) == [RED] * 39 + [GREEN] * 21


def test_of_two_who_wait_the_first_goes_first() -> None:
    """At signs whose ways cross."""
    stop = Stop("grid")
    lanes, network = stop.network.lanes, stop.network
    pairs = (
        (int(lane), int(other))
        for lane in np.flatnonzero(lanes["stop"] >= 0)
        for way in network.successors(int(lane))
        for met in network.conflicts(way)
        for other in network.predecessors(int(met))
        if other != lane and lanes["stop"][other] >= 0
    )
    lane, other = next(pairs)
    line, across = float(lanes["stop_s"][lane]), float(lanes["stop_s"][other])
    stop.live.destroy(stop.car.id)
    late, early = stop.put(line - AT_LIGHT - 2.0, lane), stop.put(across - 4.0, other)
    stop.told(0.5, early)
    stop.put(line - 4.0, lane, late)
    assert [stop.told(3.0, early), stop.told(0.0, late)] == [GREEN, RED]
    stop.live.destroy(early.id)
    assert stop.told(AGAIN, late) == GREEN


@pytest.mark.parametrize("batched", [True, False])
def test_a_client_that_controls_in_batches_is_told_so(client: Any, world: Any, batched: bool) -> None:
    """The real client's car before a stop sign, while another comes along the way that crosses."""
    network = load_town("grid").network
    stops = network.lanes["stop_s"]
    lane, crossing = next(
        (int(lane), int(met))
        for lane in np.flatnonzero((network.lanes["stop"] >= 0) & (stops > AT_LIGHT))
        for way in network.successors(int(lane))
        for met in network.conflicts(way)
    )
    blueprint, cars = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020"), []
    for on, at in ((lane, float(stops[lane]) - 5.0), (crossing, 1.0)):
        x, y, yaw, _ = network.point(on, at)
        place = carla.Transform(carla.Location(x, -y, 0.1), carla.Rotation(yaw=-np.degrees(yaw)))
        cars.append(world.spawn_actor(blueprint, place))
    stands, comes = cars
    stands.set_simulate_physics(False)
    brake = carla.VehicleControl(brake=1.0)
    client.apply_batch_sync([carla.command.ApplyVehicleControl(stands, brake)])
    if not batched:
        stands.apply_control(brake)
    comes.set_target_velocity(3.0 * comes.get_transform().get_forward_vector())
    world.tick()
    assert stands.get_velocity().length() == pytest.approx(CREEP if batched else 0.0, abs=1e-5)


@pytest.mark.parametrize("batched", [True, False])
def test_who_is_held_at_a_stop_sign_is_told_to_creep_if_a_client_controls_it_in_batches(batched: bool) -> None:
    """The clients' TrafficManager does, and goes on two seconds after its car stood; see `stop_signs`."""
    stop = Stop()
    stop.put(stop.line - 5.0, car=stop.car)
    way = next(way for way in stop.network.successors(stop.lane) if len(stop.network.conflicts(way)))
    lane = int(stop.network.conflicts(way)[0])
    crosses = stop.put(1.0, lane)
    yaw = stop.network.point(lane, 1.0)[2]
    stop.live.simulation.set_physics(crosses.id, True)
    stop.live.simulation.set_velocity(crosses.id, (3.0 * np.cos(yaw), 3.0 * np.sin(yaw), 0.0))
    if batched:
        stop.live.batched(stop.car.id, True)
    for held in (True, False):
        stop.told(0.05)
        moved = stop.live.snapshots.views[0]
        row = stop.live.snapshots.records["id"].tolist().index(stop.car.id)
        velocity, yaw = np.array([moved["vx"][row], moved["vy"][row]]), np.radians(moved["yaw"][row])
        creeps = held and batched
        assert velocity == pytest.approx(creeps * CREEP * np.array([np.cos(yaw), np.sin(yaw)]), abs=1e-6)
        stop.live.destroy(crosses.id) if held else None

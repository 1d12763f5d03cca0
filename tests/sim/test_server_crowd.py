"""What the client's own crowd and TrafficManager rely on: how walkers move, die and go; lights; the mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from raw_client import RawClient
from test_server import spawn, ticks

from roadcraft.sim.embedded.server.live import AFTER_DEATH, LiveWorld
from roadcraft.sim.embedded.server.records import AT_LIGHT, GREEN, OVER_LINE, RED
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


def test_a_stop_sign_is_told_as_red_without_a_light() -> None:
    """By that the clients' TrafficManager stops before it enters; where nothing is to be stopped for it is green."""
    live = LiveWorld(load_town("suburb"), "suburb")
    lanes = live.town.network.lanes
    lane = int(np.flatnonzero((lanes["stop"] >= 0) & (lanes["stop_s"] > 2 * AT_LIGHT))[0])
    stop = float(lanes["stop_s"][lane])
    x, y, yaw, _ = live.town.network.point(lane, 1.0)
    car = live.spawn("vehicle.lincoln.mkz_2020", [], Pose(x, y, 0.5, yaw))
    for at, told in ((stop - AT_LIGHT - 3.0, GREEN), (stop - AT_LIGHT + 1.0, RED), (float(lanes["length"][lane]), RED)):
        x, y, yaw, _ = live.town.network.point(lane, at)
        live.place(car, Pose(x, y, 0.0, yaw))
        live.snapshots.pack(live, 0.05, 0)
        (record,) = live.snapshots.views[1]
        assert (record["has_light"], record["light_state"]) == (0, told), at

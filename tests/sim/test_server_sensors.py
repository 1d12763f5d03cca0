"""Lidar, radar, obstacle, IMU, GNSS and lane invasion of the embedded server against each other and physics."""

from __future__ import annotations

import math
import queue
from typing import Any

import numpy as np
import pytest

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO, LEAD = "vehicle.lincoln.mkz_2020", "vehicle.audi.tt"
GAP = 20.0  # m between the origins of the two cars
G = 9.81  # m/s^2
ROOF = (0.0, 0.0, 2.4)


class Probe:
    """A sensor and what came from it."""

    def __init__(self, world: Any, name: str, parent: Any, xyz: tuple[float, ...] = ROOF, **attributes: Any) -> None:
        blueprint = world.get_blueprint_library().find(f"sensor.{name}")
        for key, value in attributes.items():
            blueprint.set_attribute(key, str(value))
        self.sensor = world.spawn_actor(blueprint, carla.Transform(carla.Location(*xyz)), attach_to=parent)
        self.data: queue.Queue[Any] = queue.Queue()
        self.sensor.listen(self.data.put)
        self.world = world

    def next(self) -> Any:
        """The data of a new tick."""
        frame = self.world.tick()
        while True:
            found = self.data.get(timeout=60.0)
            if found.frame == frame:
                return found


@pytest.fixture
def cars(world: Any) -> Any:
    """(world, ego, lead), landed, the lead ahead of the ego."""
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    ego = world.spawn_actor(library.find(EGO), place)
    place.location += GAP * place.get_forward_vector()
    lead = world.spawn_actor(library.find(LEAD), place)
    for _ in range(20):
        world.tick()
    return world, ego, lead


def lidar(world: Any, parent: Any, kind: str = "ray_cast", **attributes: Any) -> Probe:
    """A whole turn each tick."""
    settings = {"channels": 16, "range": 60.0, "points_per_second": 64_000, "rotation_frequency": 20.0, **attributes}
    return Probe(world, f"lidar.{kind}", parent, upper_fov=5.0, lower_fov=-25.0, **settings)


def test_lidar_sees_ground_and_car_where_they_are(cars: Any) -> None:
    world, ego, lead = cars
    probe = lidar(world, ego, dropoff_general_rate=0.0, dropoff_intensity_limit=0.0)
    scan = probe.next()
    points = np.frombuffer(scan.raw_data, np.float32).reshape(-1, 4)
    assert scan.channels == 16
    assert sum(scan.get_point_count(k) for k in range(16)) == len(points) > 1000
    distance = np.linalg.norm(points[:, :3], axis=1)
    assert points[:, 3] == pytest.approx(np.exp(-0.004 * distance), rel=1e-5)
    ground = points[:, 2] < -2.3
    assert ground.mean() > 0.3
    assert (np.abs(points[ground, 2] + ROOF[2]) < 0.01).mean() > 0.97  # the rest are feet of things
    ahead = (np.abs(points[:, 1]) < 0.8) & (points[:, 0] > 10) & (points[:, 0] < 30) & ~ground
    assert points[ahead, 0].min() == pytest.approx(GAP - lead.bounding_box.extent.x, abs=0.6)


def test_lidar_loses_and_shakes_points_as_told(cars: Any) -> None:
    world, ego, _ = cars
    whole = lidar(world, ego, dropoff_general_rate=0.0, dropoff_intensity_limit=0.0)
    half = lidar(world, ego, dropoff_general_rate=0.5, dropoff_intensity_limit=0.0, noise_stddev=0.1, noise_seed=3)
    all_points, some = len(whole.next()), half.data
    kept = some.get(timeout=10.0)
    assert len(kept) == pytest.approx(0.5 * all_points, rel=0.1)
    heights = np.frombuffer(kept.raw_data, np.float32).reshape(-1, 4)[:, 2]
    flat = heights[np.abs(heights + ROOF[2]) < 0.3]
    assert 0.005 < flat.std() < 0.1


@pytest.mark.parametrize(("given", "channels"), [("16.0", 16), ("9.7", 9)])
def test_a_whole_number_may_be_written_with_a_point(world: Any, given: str, channels: int) -> None:
    """As scripts of CARLA do; the actor tells it as it was given."""
    probe = lidar(world, None, channels=given)
    assert probe.next().channels == channels
    assert probe.sensor.attributes["channels"] == given
    probe.sensor.destroy()


@pytest.mark.parametrize("given", ["many", "inf", "nan"])
def test_what_is_no_whole_number_is_refused(world: Any, given: str) -> None:
    with pytest.raises(RuntimeError, match=f"channels cannot be '{given}'"):
        lidar(world, None, channels=given)


def test_semantic_lidar_knows_what_it_hits(cars: Any) -> None:
    world, ego, lead = cars
    scan = lidar(world, ego, "ray_cast_semantic").next()
    kind = np.dtype([("xyz", "<f4", 3), ("cosine", "<f4"), ("id", "<u4"), ("tag", "<u4")])
    points = np.frombuffer(scan.raw_data, kind)
    seen = points[points["id"] == lead.id]
    assert len(seen) > 3
    assert set(seen["tag"]) == {14}
    assert ego.id not in points["id"]
    ground = points[(points["tag"] == 1) & (points["id"] == 0)]
    slant = ROOF[2] / np.linalg.norm(ground["xyz"], axis=1)
    assert ground["cosine"] == pytest.approx(slant, abs=1e-3)


def test_radar_measures_distance_and_closing_speed(cars: Any) -> None:
    world, ego, lead = cars
    probe = Probe(world, "other.radar", ego, (2.6, 0.0, 0.6), points_per_second=20_000, vertical_fov=5.0)
    forward = ego.get_transform().get_forward_vector()
    lead.set_target_velocity(6.0 * forward)
    found = np.frombuffer(probe.next().raw_data, np.float32).reshape(-1, 4)  # velocity, azimuth, altitude, depth
    body = found[(found[:, 0] > 1.0) & (np.abs(found[:, 1]) < 0.03)]
    assert len(body) > 5
    assert body[:, 0] == pytest.approx(lead.get_velocity().length(), rel=0.05)
    gap = lead.get_location().distance(ego.get_location()) - lead.bounding_box.extent.x - 2.6
    assert body[:, 3].min() == pytest.approx(gap, abs=0.5)
    assert np.abs(found[:, 1]).max() <= math.radians(15.1)
    assert np.abs(found[:, 2]).max() <= math.radians(2.6)


def test_an_obstacle_is_named_with_its_distance(cars: Any) -> None:
    world, ego, lead = cars
    probe = Probe(world, "other.obstacle", ego, (2.5, 0.0, 0.8), distance=30.0, only_dynamics="true")
    event = probe.next()
    assert event.actor.id == ego.id
    assert event.other_actor.id == lead.id
    gap = lead.get_location().distance(ego.get_location()) - lead.bounding_box.extent.x - 2.5
    assert event.distance == pytest.approx(gap, abs=0.5)


def test_imu_feels_gravity_and_turning(cars: Any) -> None:
    world, ego, _ = cars
    probe = Probe(world, "other.imu", ego, (0.0, 0.0, 0.0))
    still = probe.next()
    assert still.accelerometer.z == pytest.approx(G, abs=0.05)
    assert abs(still.accelerometer.x) < 0.05
    yaw = math.radians(ego.get_transform().rotation.yaw)
    assert still.compass == pytest.approx((yaw + math.pi / 2) % (2 * math.pi), abs=1e-3)
    place = world.get_map().get_spawn_points()[60]
    ego.set_transform(place)
    for _ in range(20):
        world.tick()
    ego.set_target_velocity(6.0 * place.get_forward_vector())
    ego.apply_control(carla.VehicleControl(throttle=0.3, steer=0.15))
    for _ in range(15):
        moving = probe.next()
    assert moving.gyroscope.z == pytest.approx(math.radians(ego.get_angular_velocity().z), rel=1e-3)
    assert moving.gyroscope.z > 0.02
    speed = ego.get_velocity().length()
    assert moving.accelerometer.y == pytest.approx(speed * moving.gyroscope.z, rel=0.3)  # centripetal, to the right


def test_gnss_agrees_with_the_clients_map(cars: Any) -> None:
    world, ego, _ = cars
    probe = Probe(world, "other.gnss", ego, (1.0, 0.5, 1.0))
    fix = probe.next()
    expected = world.get_map().transform_to_geolocation(probe.sensor.get_location())
    assert [fix.latitude, fix.longitude] == pytest.approx([expected.latitude, expected.longitude], abs=1e-9)
    assert fix.altitude == pytest.approx(expected.altitude, abs=1e-4)
    shaky = Probe(world, "other.gnss", ego, (0.0, 0.0, 0.0), noise_lat_stddev=1e-5, noise_seed=1)
    assert len({shaky.next().latitude for _ in range(5)}) == 5


def test_lane_invasions_are_found_by_the_client(world: Any) -> None:
    place = world.get_map().get_spawn_points()[0]
    car = world.spawn_actor(world.get_blueprint_library().find(EGO), place)
    probe = Probe(world, "other.lane_invasion", car, (0.0, 0.0, 0.0))
    car.set_simulate_physics(False)
    for k in range(20):
        place.location -= 0.25 * place.get_right_vector()
        car.set_transform(place)
        world.tick()
        if k == 0:
            first = world.get_snapshot().frame
    event = probe.data.get(timeout=10.0)
    probe.sensor.stop()
    assert event.frame >= first
    assert event.crossed_lane_markings


def test_rays_and_depth_and_boxes_agree(cars: Any) -> None:
    world, ego, lead = cars
    eye = ego.get_transform().transform(carla.Location(3.0, 0.0, 0.8))
    ahead = ego.get_transform().get_forward_vector()
    hit = world.project_point(eye, ahead, 50.0)
    assert hit.label == carla.CityObjectLabel.Car
    gap = lead.get_location().distance(ego.get_location()) - lead.bounding_box.extent.x - 3.0
    assert hit.location.distance(eye) == pytest.approx(gap, abs=0.5)
    assert world.cast_ray(eye, eye + 50.0 * ahead)[0].location.distance(hit.location) < 0.01
    down = world.ground_projection(carla.Location(eye.x, eye.y, 5.0), 20.0)
    assert down.location.z == pytest.approx(ego.get_location().z, abs=0.02)
    up = world.project_point(eye, carla.Vector3D(0.0, 0.0, 1.0), 50.0)
    assert up is None


def test_the_town_is_told_as_objects_and_boxes(world: Any) -> None:
    buildings = world.get_environment_objects(carla.CityObjectLabel.Buildings)
    boxes = world.get_level_bbs(carla.CityObjectLabel.Buildings)
    assert len(buildings) == len(boxes) > 10
    assert len({each.id for each in buildings}) == len(buildings)
    for each in buildings[:20]:
        box = each.bounding_box
        outside = box.location + carla.Location(box.extent.x + box.extent.y + 1.0, 0.0, 0.0)
        seen = world.cast_ray(outside, box.location)
        assert seen, "no wall on the way into a building"
        assert seen[-1].label in {carla.CityObjectLabel.Buildings, carla.CityObjectLabel.Walls}
    assert len(set(world.get_names_of_all_objects())) >= len(buildings)

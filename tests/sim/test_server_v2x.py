"""V2X through the real client: what stations tell of themselves, clients' own messages, and who hears them."""

from __future__ import annotations

import queue
from itertools import pairwise
from math import atan2, degrees, log10
from typing import Any

import pytest
from raw_client import RawClient

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO, LEAD, TRUCK = "vehicle.lincoln.mkz_2020", "vehicle.audi.tt", "vehicle.carlamotors.carlacola"
GAP = 40.0  # m between the origins of the two cars
TICK = 0.05  # s
EXACT = {"use_etsi_fading": "false"}  # no fading


@pytest.fixture
def cars(world: Any) -> Any:
    """(ego, lead), landed, the lead ahead of the ego."""
    place = world.get_map().get_spawn_points()[0]
    ego = world.spawn_actor(world.get_blueprint_library().find(EGO), place)
    lead = world.spawn_actor(world.get_blueprint_library().find(LEAD), ahead(place, GAP))
    for _ in range(20):
        world.tick()
    return ego, lead


def ahead(place: Any, distance: float) -> Any:
    return carla.Transform(place.location + distance * place.get_forward_vector(), place.rotation)


class Ear:
    """A V2X sensor and the messages that it heard."""

    def __init__(self, world: Any, parent: Any, kind: str = "v2x", listens: bool = True, **attributes: str) -> None:
        blueprint = world.get_blueprint_library().find(f"sensor.other.{kind}")
        for key, value in attributes.items():
            blueprint.set_attribute(key, value)
        self.world, self.events, self.early = world, queue.Queue(), []
        self.sensor = world.spawn_actor(blueprint, carla.Transform(), attach_to=parent)
        if listens:
            self.sensor.listen(self.events.put)

    def during(self, ticks: int) -> list[tuple[int, Any]]:
        """(frame, message) since the last call up to the last of some ticks."""
        for _ in range(ticks):
            last = self.world.tick()
        for _ in range(2):  # what was sent before a snapshot is here when the one after the next is
            self.world.tick()
        found, self.early = self.early, []
        while not self.events.empty():
            event = self.events.get()
            assert event.get_message_count() == len(event) > 0
            found += [(event.frame, message) for message in event]
        self.early = [each for each in found if each[0] > last]
        return [each for each in found if each[0] <= last]


def told(message: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Header, basic, fast and slow container."""
    whole = message.get()["Message"]
    parts = whole["Message"]["CAM Parameters"]
    return (
        whole["Header"],
        parts["Basic Container"],
        parts["High Frequency Container"],
        parts["Low Frequency Container"],
    )


def test_the_car_ahead_tells_where_it_is_how_fast_and_where_it_heads(world: Any, cars: Any) -> None:
    ego, lead = cars
    ear = Ear(world, ego)
    Ear(world, lead, listens=False, fixed_rate="true", gen_cam_min="0.0")
    forward = lead.get_transform().get_forward_vector()
    lead.set_target_velocity(7.0 * forward)
    frame = world.tick()
    place, velocity, box = lead.get_transform(), lead.get_velocity(), lead.bounding_box.extent
    message = next(message for at, message in ear.during(1) if at == frame)
    header, basic, fast, _ = told(message)
    assert header == {"Protocol Version": 2, "Message ID": "CAM", "Station ID": lead.id}
    assert basic["Station Type"] == "Passenger Car"
    geo = world.get_map().transform_to_geolocation(place.location)
    assert basic["Reference Position"]["Latitude"] == pytest.approx(geo.latitude * 1e7, abs=6)
    assert basic["Reference Position"]["Longitude"] == pytest.approx(geo.longitude * 1e7, abs=6)
    motion = fast["Basic Vehicle Container High Frequency"]
    assert 5.0 < velocity.length() < 8.0
    assert motion["Speed"]["Value"] == pytest.approx(100 * velocity.length(), abs=1.0)
    assert motion["Drive Direction"] == 0
    north = degrees(atan2(forward.x, -forward.y)) % 360  # from CARLA's -y to the right
    assert motion["Heading"]["Value"] == pytest.approx(10 * north, abs=1.0)
    assert motion["Vehicle Length"]["Value"] == pytest.approx(20 * box.x, abs=0.51)
    assert motion["Vehicle Width"] == pytest.approx(20 * box.y, abs=0.51)
    assert motion["Vertical Acceleration"]["Value"] == 98  # gravity, as an accelerometer has it


def test_lights_and_role_come_twice_a_second(world: Any, cars: Any) -> None:
    ego, lead = cars
    ear = Ear(world, ego)
    ambulance = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.ford.ambulance"), ahead(lead.get_transform(), 15.0)
    )
    light = carla.VehicleLightState
    ambulance.set_light_state(light(light.LowBeam | light.RightBlinker))
    world.tick()
    Ear(world, ambulance, listens=False, fixed_rate="true")
    heard = [told(message) for _, message in ear.during(30)]
    slow = [part["Basic Vehicle Low Frequency"] for *_, part in heard if len(part) > 1]
    assert {basic["Station Type"] for _, basic, _, _ in heard} == {"Special Vehicle"}
    assert {part["Vehicle Role"] for part in slow} == {"Emergency"}
    assert {part["Exterior Light"] for part in slow} == {0b1001_0000}  # low beam is the first bit, right the fourth
    assert 4 * len(slow) < len(heard)


@pytest.mark.parametrize(
    "deaf", [{"filter_distance": "30.0"}, {"receiver_sensitivity": "-30.0"}, {"combined_antenna_gain": "-60.0"}]
)
def test_who_is_out_of_range_hears_nothing(world: Any, cars: Any, deaf: dict[str, str]) -> None:
    ego, lead = cars
    far, near = Ear(world, ego, **deaf), Ear(world, ego)
    Ear(world, lead, listens=False, fixed_rate="true")
    assert near.during(10)
    assert not far.during(1)


@pytest.mark.parametrize(
    ("scenario", "offset", "slope", "colour"), [("highway", 32.4, 20, 20), ("urban", 38.77, 16.7, 18.2)]
)
def test_the_power_is_that_of_the_model(
    world: Any, cars: Any, scenario: str, offset: float, slope: float, colour: float
) -> None:
    """WINNER+ with a line of sight; the antennas are on the roofs."""
    ego, lead = cars
    ear = Ear(world, ego, scenario=scenario, **EXACT)
    Ear(world, lead, listens=False, transmit_power="13.0")
    roofs = 2 * (ego.bounding_box.extent.z - lead.bounding_box.extent.z)
    distance = (GAP**2 + roofs**2) ** 0.5
    (_, message), *_ = ear.during(3)
    expected = 13.0 + 10.0 - (offset + slope * log10(distance) + colour * log10(5.9))
    assert message.power == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("model", ["winner", "geometric"])
def test_a_truck_in_between_takes_power_away(world: Any, cars: Any, model: str) -> None:
    ego, lead = cars
    ear = Ear(world, ego, path_loss_model=model, **EXACT)
    Ear(world, lead, listens=False, fixed_rate="true")
    (_, before), *_ = ear.during(5)
    world.spawn_actor(world.get_blueprint_library().find(TRUCK), ahead(ego.get_transform(), GAP / 2))
    world.tick()
    ear.during(5)
    (_, behind), *_ = ear.during(5)
    assert before.power - 35.0 < behind.power < before.power - 8.0


def test_fading_varies_and_comes_again_with_its_seed(world: Any, cars: Any) -> None:
    ego, lead = cars
    ears = [Ear(world, ego, noise_seed=seed) for seed in ("3", "3", "4")]
    Ear(world, lead, listens=False, fixed_rate="true")
    ears[0].during(20)
    first, same, other = ([message.power for _, message in ear.during(20)] for ear in ears)
    assert len(set(first)) > 5
    assert first[-8:] != other[-8:]
    assert set(same) >= set(first)


def gaps(frames: list[int]) -> list[float]:
    """Seconds between messages."""
    return [round(TICK * (b - a), 2) for a, b in pairwise(frames)]


def test_messages_are_rare_at_rest_and_come_with_motion(world: Any, cars: Any) -> None:
    """ETSI EN 302 637-2: each second at rest; at 10 m/s each time that 4 m are behind it; never before 0.1 s."""
    ego, lead = cars
    ear, mouth = Ear(world, ego), Ear(world, lead, listens=False)
    assert gaps([frame for frame, _ in ear.during(80)]) == [1.0, 1.0, 1.0]
    lead.enable_constant_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    ear.during(10)
    assert set(gaps([frame for frame, _ in ear.during(40)])) <= {0.4, 0.45}
    mouth.sensor.destroy()
    Ear(world, lead, listens=False, fixed_rate="true")
    ear.during(2)
    assert set(gaps([frame for frame, _ in ear.during(30)])) == {0.1}


def test_roadside_units_and_walkers_are_stations_too(world: Any, cars: Any) -> None:
    """Their lists are empty: CARLA's own are pointers that would crash the client."""
    ego, lead = cars
    place = lead.get_transform()
    ear, unit = Ear(world, ego), Ear(world, None, listens=False)
    unit.sensor.set_transform(carla.Transform(place.location + carla.Location(z=6.0)))
    side = place.location + 6.0 * place.get_right_vector() + carla.Location(z=1.0)
    walker = world.spawn_actor(world.get_blueprint_library().filter("walker.*")[0], carla.Transform(side))
    Ear(world, walker, listens=False)
    heard = {told(message)[0]["Station ID"]: told(message) for _, message in ear.during(30)}
    _, basic, fast, _ = heard[unit.sensor.id]
    assert basic["Station Type"] == "Road Side Unit"
    assert fast["RSU Container High Frequency"] == {"Protected Communication Zone": []}
    _, basic, fast, _ = heard[walker.id]
    assert basic["Station Type"] == "Pedestrian"
    assert fast == {"High Frequency Container Present": "No container present"}


def test_a_clients_message_arrives_once_in_the_next_tick(world: Any, cars: Any) -> None:
    ego, lead = cars
    ear, own = Ear(world, ego, "v2x_custom"), Ear(world, lead, "v2x_custom")
    assert not ear.during(3)
    own.sensor.send("first")
    own.sensor.send("grüß dich")  # of two in one tick the last
    frame = world.tick()
    ((at, message),) = ear.during(5)
    assert at == frame
    assert message.get()["Message"] == {
        "Header": {"Protocol Version": 2, "Message ID": "CUSTOM", "Station ID": lead.id},
        "Message": "grüß dich",
    }
    assert -80.0 < message.power < -30.0
    assert not own.during(1)  # nobody hears himself
    far = Ear(world, ego, "v2x_custom", filter_distance="30.0")
    own.sensor.send("x" * 99)
    assert [message.get()["Message"]["Message"] for _, message in ear.during(2)] == ["x" * 99]
    assert not far.during(1)


def test_what_cannot_be_sent_is_refused(server: Any, world: Any, cars: Any) -> None:
    custom, cam = Ear(world, cars[0], "v2x_custom"), Ear(world, cars[0])
    with RawClient(server.port) as raw:
        with pytest.raises(RuntimeError, match="at most 99 bytes"):
            raw.call("send", custom.sensor.id, "ü" * 50)
        with pytest.raises(RuntimeError, match=r"sensor\.other\.v2x_custom does"):
            raw.call("send", cam.sensor.id, "x")


@pytest.mark.parametrize(
    ("name", "value"),
    [("frequency_ghz", "0.0"), ("d_ref", "-1.0"), ("filter_distance", "-5.0"), ("gen_cam_max", "0.01")],
)
def test_attributes_that_cannot_be_are_refused(world: Any, name: str, value: str) -> None:
    with pytest.raises(RuntimeError, match=name):
        Ear(world, None, **{name: value})


def test_gauges_err_as_told(world: Any, cars: Any) -> None:
    ego, lead = cars
    ear = Ear(world, ego)
    Ear(world, lead, listens=False, fixed_rate="true", noise_head_bias="20.0", noise_vel_stddev_x="1.0", noise_seed="7")
    motions = [told(message)[2]["Basic Vehicle Container High Frequency"] for _, message in ear.during(20)]
    forward = lead.get_transform().get_forward_vector()
    heading = (10 * degrees(atan2(forward.x, -forward.y)) + 200) % 3600
    assert [motion["Heading"]["Value"] for motion in motions] == pytest.approx([heading] * len(motions), abs=1.0)
    assert len({motion["Speed"]["Value"] for motion in motions}) > 5

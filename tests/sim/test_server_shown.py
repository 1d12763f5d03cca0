"""Standing things that clients hide: single objects and map layers, for pictures, rays and collisions alike."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.rays import Rays
from roadcraft.sim.embedded.render.ground import load_ground
from roadcraft.sim.embedded.render.ground_look import TEXEL, TILE, TILE_BITS
from roadcraft.sim.embedded.render.palette import CLASS_OF
from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.embedded.server.level import SURFACES
from roadcraft.sim.embedded.server.shown import ALL_LAYERS, Shown
from roadcraft.sim.embedded.server.surfaces import LONGEST
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
LABELS = carla.CityObjectLabel


def tags(world: Any, place: Any) -> set[int]:
    """The semantic tags that a camera sees straight below a place."""
    blueprint = world.get_blueprint_library().find("sensor.camera.semantic_segmentation")
    for key, value in {"image_size_x": "64", "image_size_y": "64", "fov": "20"}.items():
        blueprint.set_attribute(key, value)
    camera = world.spawn_actor(blueprint, carla.Transform(place, carla.Rotation(pitch=-90.0)))
    images: queue.Queue[Any] = queue.Queue()
    camera.listen(images.put)
    world.tick()
    pixels = np.frombuffer(images.get(timeout=60.0).raw_data, np.uint8).reshape(64, 64, 4)
    camera.destroy()
    return set(np.unique(pixels[..., 2]).tolist())


def below(world: Any, place: Any) -> Any:
    """What a ray downwards meets."""
    return world.project_point(place, carla.Vector3D(0.0, 0.0, -1.0), 200.0).label


def test_a_hidden_building_is_gone_until_it_is_shown(world: Any) -> None:
    building = max(world.get_environment_objects(LABELS.Buildings), key=lambda each: each.bounding_box.extent.x)
    middle = building.bounding_box.location
    above = carla.Location(middle.x, middle.y, 60.0)
    car = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    inside = carla.Transform(carla.Location(middle.x, middle.y, 0.5))
    tag = int(LABELS.Buildings)

    assert tag in tags(world, above)
    assert below(world, above) == LABELS.Buildings
    assert world.try_spawn_actor(car, inside) is None
    world.enable_environment_objects({building.id}, False)
    assert tag not in tags(world, above)
    assert below(world, above) != LABELS.Buildings
    parked = world.try_spawn_actor(car, inside)
    assert parked is not None
    assert building.id in {each.id for each in world.get_environment_objects(LABELS.Buildings)}
    parked.destroy()
    world.enable_environment_objects({building.id}, True)
    assert tag in tags(world, above)
    assert below(world, above) == LABELS.Buildings
    assert world.try_spawn_actor(car, inside) is None


def test_a_layer_goes_and_comes_back(world: Any) -> None:
    """Without foliage no tree is listed; a layer that is not named stays."""

    def listed(label: Any) -> set[int]:
        return {each.id for each in world.get_environment_objects(label)}

    trees, houses = listed(LABELS.Vegetation), listed(LABELS.Buildings)
    assert trees
    assert houses
    world.unload_map_layer(carla.MapLayer.Foliage)
    assert not listed(LABELS.Vegetation)
    assert listed(LABELS.Buildings) == houses
    world.load_map_layer(carla.MapLayer.Foliage)
    assert listed(LABELS.Vegetation) == trees


def test_layers_part_a_town() -> None:
    """Each standing thing is in one layer, but for lights and signs, which are always there."""
    town = load_town("suburb")
    static = town.scenery.static
    always = np.isin(static["shape"], (Shape.SIGNAL, Shape.SIGN))
    assert len(Shown(town, 0).town.scenery.static) == always.sum()
    counts = [len(Shown(town, 1 << bit).town.scenery.static) - always.sum() for bit in range(16)]
    assert sum(counts) == (~always).sum()
    assert sum(count > 0 for count in counts) >= 4
    assert Shown(town, ALL_LAYERS).town is town


def test_unknown_objects_are_passed_over() -> None:
    shown = Shown(load_town("grid"))
    shown.hide([2**40, 2**64 - 1], False)
    assert not shown.hidden
    assert shown.town is shown.whole


def test_the_lists_are_what_rays_meet(world: Any) -> None:
    """A box of each surface and head has, below its top, what its label says; everything is listed once."""
    things = world.get_environment_objects()
    assert len({each.id for each in things}) == len(things)
    assert sorted(world.get_names_of_all_objects()) == sorted(each.name for each in things)
    for label in (LABELS.Roads, LABELS.Sidewalks, LABELS.TrafficLight, LABELS.RoadLines):
        listed = [each.bounding_box for each in world.get_environment_objects(label)]
        assert len(listed) >= 20
        tops = [carla.Location(box.location.x, box.location.y, box.location.z + box.extent.z) for box in listed]
        met = [below(world, carla.Location(top.x, top.y, top.z + 0.1)) for top in tops]
        wanted = LABELS.Roads if label == LABELS.RoadLines else label  # rays do not tell paint from road
        assert np.mean([each == wanted for each in met]) > 0.98
        assert world.get_level_bbs(label)[0].extent.x > 0.0
    signs = {actor.get_location().x for actor in world.get_actors().filter("traffic.s*")}
    assert signs == {each.transform.location.x for each in world.get_environment_objects(LABELS.TrafficSigns)}


def test_pieces_of_road_cover_the_road(world: Any) -> None:
    """Each place in the middle of a lane is inside a box of a road; places beside the town are in none."""
    boxes = world.get_level_bbs(LABELS.Roads)
    middle = np.array([[box.location.x, box.location.y, np.radians(box.rotation.yaw)] for box in boxes])
    half = np.array([[box.extent.x, box.extent.y] for box in boxes])

    def inside(place: Any) -> bool:
        dx, dy = place.x - middle[:, 0], place.y - middle[:, 1]
        c, s = np.cos(middle[:, 2]), np.sin(middle[:, 2])
        return bool(((abs(c * dx + s * dy) < half[:, 0] + 0.01) & (abs(c * dy - s * dx) < half[:, 1])).any())

    for waypoint in world.get_map().generate_waypoints(7.0):
        assert inside(waypoint.transform.location), waypoint.transform
    (terrain,) = world.get_level_bbs(LABELS.Terrain)
    assert not inside(terrain.location + carla.Location(terrain.extent.x, terrain.extent.y))
    assert half[:, 0].max() < 0.6 * LONGEST


def test_a_hidden_light_goes_with_its_post(world: Any) -> None:
    light = world.get_environment_objects(LABELS.TrafficLight)[0]
    box = light.bounding_box
    above = carla.Location(box.location.x, box.location.y, box.location.z + box.extent.z + 0.1)
    assert below(world, above) == LABELS.TrafficLight
    world.enable_environment_objects({light.id}, False)
    assert below(world, above) in (LABELS.Roads, LABELS.Sidewalks, LABELS.Terrain)
    world.enable_environment_objects({light.id}, True)
    assert below(world, above) == LABELS.TrafficLight


def test_surfaces_cannot_be_hidden() -> None:
    """That is an error; what else was named is hidden all the same."""
    town = load_town("grid")
    shown, house = Shown(town), int(town.scenery.static["id"][town.scenery.static["shape"] == Shape.BUILDING][0])
    with pytest.raises(UserError, match="1 of 2 objects"):
        shown.hide([SURFACES, house], False)
    assert shown.hidden == {house}
    shown.hide([SURFACES, house], True)
    assert not shown.hidden


@pytest.mark.parametrize("name", ["grid", "suburb", "arterial", "roundabout", "highway"])
def test_rays_and_pictures_agree_on_the_ground(name: str) -> None:
    """The tag of a ray straight down is that of the ground's texel there; paint counts as road."""
    town = load_town(name)
    network, rays, ground = town.network, Rays(town), load_ground(town.network)
    rng = np.random.default_rng(1)
    place = network.xy[rng.integers(0, len(network.xy), 4000)] + rng.normal(0.0, 3.0, (4000, 2))
    starts = np.column_stack([place, np.full(len(place), network.z[0] + 0.01)])
    down = np.tile([0.0, 0.0, -1.0], (len(place), 1))
    met = rays.cast(starts, down, 1.0, np.zeros(0, BODY)).tag
    x, y = ((place - ground.origin) / TEXEL).astype(int).T
    tile = ground.tiles[y >> TILE_BITS, x >> TILE_BITS].astype(int) << 2 * TILE_BITS
    drawn = CLASS_OF[ground.data[tile + ((y & TILE - 1) << TILE_BITS) + (x & TILE - 1)]]
    drawn[drawn == int(LABELS.RoadLines)] = int(LABELS.Roads)
    assert np.mean(met == drawn) > 0.99


def test_a_lamp_that_is_off_gives_no_light(world: Any) -> None:
    """By night its pool of light and its head go dark, and come back as they were."""
    manager = world.get_lightmanager()
    world.set_weather(carla.WeatherParameters(sun_altitude_angle=-60.0))
    world.tick()
    lamp = manager.get_all_lights(carla.LightGroup.Street)[0]
    blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
    chosen = {"image_size_x": 96, "image_size_y": 96, "motion_blur_intensity": 0.0}
    for key, value in chosen.items():
        blueprint.set_attribute(key, str(value))
    above = carla.Transform(lamp.location + carla.Location(z=8.0), carla.Rotation(pitch=-90.0))
    camera = world.spawn_actor(blueprint, above)
    images: queue.Queue[Any] = queue.Queue()
    camera.listen(images.put)

    def picture() -> np.ndarray:
        world.tick()  # the client sends what was switched with a tick
        images.get(timeout=60.0)
        world.tick()
        return np.frombuffer(images.get(timeout=60.0).raw_data, np.uint8).reshape(96, 96, 4)[..., :3].copy()

    lit = picture()
    lamp.turn_off()
    dark = picture()
    assert dark.mean() < 0.8 * lit.mean()
    lamp.turn_on()
    assert (picture() == lit).all()
    camera.stop()

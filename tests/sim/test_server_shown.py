"""Standing things that clients hide: single objects and map layers, for pictures, rays and collisions alike."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.embedded.server.shown import ALL_LAYERS, Shown
from roadcraft.sim.embedded.town import load_town

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

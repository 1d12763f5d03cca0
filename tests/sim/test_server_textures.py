"""Textures on standing things: pictures show their average colour there and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from raw_client import RawClient
from test_server_cameras import Eye, pixels

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
DIFFUSE = carla.MaterialParameter.Diffuse


def checked(one: Any, other: Any, make: Any = carla.TextureColor) -> Any:
    """A board of two colours in equal parts."""
    texture = make(4, 2)
    for k in range(8):
        texture.set(k % 4, k // 4, one if k % 2 else other)
    return texture


def free_side(world: Any) -> tuple[Any, Any]:
    """A building, and a place 12 m before one of its walls from where nothing hides it."""
    for house in world.get_environment_objects(carla.CityObjectLabel.Buildings):
        box, yaw = house.bounding_box, house.bounding_box.rotation.yaw
        for turn, half in ((0, box.extent.x), (90, box.extent.y), (180, box.extent.x), (270, box.extent.y)):
            away = carla.Rotation(yaw=yaw + turn).get_forward_vector()
            eye = box.location + carla.Location(away * (half + 12.0))
            hits = world.cast_ray(eye, box.location)
            if hits and abs(hits[0].location.distance(box.location) - half) < 0.5:
                return house, carla.Transform(eye, carla.Rotation(yaw=yaw + turn + 180))
    raise AssertionError("all houses are hidden")


def grey() -> Any:
    plain = carla.TextureColor(1, 1)
    plain.set(0, 0, carla.Color(170, 160, 150))
    return plain


@pytest.fixture
def facade(world: Any) -> Any:
    """A building's name, and what cameras before it see: the picture of colours, the pixels of buildings in it."""
    house, place = free_side(world)
    eyes = {
        kind: Eye(world, kind, None, place, **({"motion_blur_intensity": 0.0} if kind == "rgb" else {}))
        for kind in ("rgb", "semantic_segmentation")
    }

    def look() -> tuple[np.ndarray, np.ndarray]:
        world.tick()
        seen = {kind: pixels(eye.next()) for kind, eye in eyes.items()}
        return seen["rgb"][..., 2::-1].astype(int), seen["semantic_segmentation"][..., 2] == 3

    yield house.name, look
    for eye in eyes.values():
        eye.sensor.stop()
    world.apply_color_texture_to_object(house.name, DIFFUSE, grey())


@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_a_house_takes_the_average_of_a_texture(world: Any, facade: Any, kind: str) -> None:
    name, look = facade
    before, walls = look()
    if kind == "bytes":
        world.apply_color_texture_to_object(name, DIFFUSE, checked(carla.Color(255, 0, 0), carla.Color(155, 40, 0)))
    else:
        texture = checked(carla.FloatColor(1.0, 0.0, 0.0), carla.FloatColor(0.6, 0.16, 0.0), carla.TextureFloatColor)
        world.apply_float_color_texture_to_object(name, DIFFUSE, texture)
    after, same = look()
    assert (same == walls).all()
    changed = np.abs(after - before).max(axis=2) > 30
    assert changed[walls].mean() > 0.3
    assert changed[~walls].mean() < 0.03, "but for the rim, which is smoothed"
    red, green, blue = after[changed & walls].mean(axis=0)
    assert red > 4 * green > 4 * blue


def test_other_parameters_and_empty_textures_change_nothing(world: Any, facade: Any) -> None:
    name, look = facade
    before, _ = look()
    red = checked(carla.FloatColor(1.0, 0.0, 0.0), carla.FloatColor(1.0, 0.0, 0.0), carla.TextureFloatColor)
    empty, nothing = carla.TextureColor(0, 0), carla.TextureFloatColor(0, 0)
    world.apply_textures_to_object(name, empty, red, red, red)
    world.apply_textures_to_object(name, empty, nothing, nothing, nothing)
    assert (look()[0] == before).all()


def test_what_takes_no_texture_is_named(server: Any, world: Any) -> None:
    road = world.get_environment_objects(carla.CityObjectLabel.Roads)[0].name
    red = checked(carla.Color(255, 0, 0), carla.Color(255, 0, 0))
    with pytest.raises(RuntimeError, match=f"no texture for 'nowhere', '{road}'"):
        world.apply_color_texture_to_objects(["nowhere", road], DIFFUSE, red)
    world.apply_color_texture_to_objects(["nowhere", world.get_environment_objects()[0].name], DIFFUSE, grey())
    with RawClient(server.port) as raw:
        for pixels_sent in ([[1, 2, 3, 4]], [[1, 2]] * 4, "abcd", [["a", "b", "c"]] * 4):
            with pytest.raises(RuntimeError, match=r"texture"):
                raw.call("apply_color_texture_to_objects", ["nowhere"], 2, [2, 2, pixels_sent])

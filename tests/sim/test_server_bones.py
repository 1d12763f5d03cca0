"""The skeleton of walkers through the real client: as tall as they are, and where pictures show them."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
PEDESTRIAN = 12  # CARLA's tag
SIZE = 256


def test_bones_lie_in_the_picture_of_their_walker(world: Any) -> None:
    """From the side, half way through a step, all bones but a few at the rim fall on the walker's own pixels."""
    place = world.get_map().get_spawn_points()[0]
    library = world.get_blueprint_library()
    walker = world.spawn_actor(library.find("walker.pedestrian.0001"), place)
    walker.apply_control(carla.WalkerControl(place.get_forward_vector(), 1.4))
    blueprint = library.find("sensor.camera.semantic_segmentation")
    for key, value in {"image_size_x": SIZE, "image_size_y": SIZE, "fov": 40}.items():
        blueprint.set_attribute(key, str(value))
    aside = carla.Transform(carla.Location(y=-4.0), carla.Rotation(yaw=90.0))
    camera = world.spawn_actor(blueprint, aside, attach_to=walker)
    images: queue.Queue[Any] = queue.Queue()
    camera.listen(images.put)
    inside, spread = [], []
    for _ in range(25):
        world.tick()
        pixels = np.frombuffer(images.get(timeout=60.0).raw_data, np.uint8).reshape(SIZE, SIZE, 4)[..., 2] == PEDESTRIAN
        bones = {bone.name: bone for bone in walker.get_bones().bone_transforms}
        seen = np.array(camera.get_transform().get_inverse_matrix())
        for bone in bones.values():
            at = bone.world.location
            ahead, right, up, _ = seen @ (at.x, at.y, at.z, 1.0)
            scale = SIZE / 2 / np.tan(np.radians(20)) / ahead
            column, row = int(SIZE / 2 + right * scale), int(SIZE / 2 - up * scale)
            inside.append(pixels[row - 2 : row + 3, column - 2 : column + 3].any())
        feet = [bones[f"crl_foot__{side}"].component.location.x for side in "LR"]
        spread.append(feet[0] - feet[1])
    assert np.mean(inside) > 0.97
    assert max(spread) > 0.3  # one foot ahead, then the other
    assert min(spread) < -0.3


def test_a_skeleton_is_one_tree_of_its_walkers_size(world: Any) -> None:
    place = world.get_map().get_spawn_points()[0]
    walker = world.spawn_actor(world.get_blueprint_library().find("walker.pedestrian.0001"), place)
    for _ in range(20):
        world.tick()
    bones = {bone.name: bone for bone in walker.get_bones().bone_transforms}
    tall = 2 * walker.bounding_box.extent.z
    heights = {name: bone.component.location.z for name, bone in bones.items()}
    assert heights["crl_root"] == 0.0
    assert 0.85 * tall < heights["crl_eye__L"] < tall
    assert max(heights.values()) == heights["crl_eye__L"]
    forearm, arm = bones["crl_foreArm__L"], bones["crl_arm__L"]
    assert forearm.component.location.distance(arm.component.location) == pytest.approx(
        np.linalg.norm([forearm.relative.location.x, forearm.relative.location.y, forearm.relative.location.z]),
        abs=1e-4,
    )
    assert bones["crl_hand__L"].component.location.y < 0 < bones["crl_hand__R"].component.location.y  # CARLA's y: right
    assert walker.get_bone_names() == list(bones)
    assert len(walker.get_bone_world_transforms()) == len(bones)

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


def told(walker: Any) -> dict[str, Any]:
    """The bones by name."""
    return {bone.name: bone for bone in walker.get_bones().bone_transforms}


def turned(walker: Any, name: str, **angles: float) -> Any:
    """A pose in which one bone is turned [degrees]."""
    bone = told(walker)[name].relative
    for angle, value in angles.items():
        setattr(bone.rotation, angle, value)
    return carla.WalkerBoneControlIn([(name, bone)])


def settled(world: Any) -> Any:
    """A walker that stands on the ground."""
    place = world.get_map().get_spawn_points()[0]
    walker = world.spawn_actor(world.get_blueprint_library().find("walker.pedestrian.0001"), place)
    for _ in range(20):
        world.tick()
    return walker


def test_an_arm_that_is_held_out_is_seen_and_told(world: Any) -> None:
    walker = settled(world)
    blueprint = world.get_blueprint_library().find("sensor.camera.semantic_segmentation")
    for key, value in {"image_size_x": SIZE, "image_size_y": SIZE, "fov": 40}.items():
        blueprint.set_attribute(key, str(value))
    before = carla.Transform(carla.Location(x=4.0), carla.Rotation(yaw=180.0))
    camera = world.spawn_actor(blueprint, before, attach_to=walker)
    images: queue.Queue[Any] = queue.Queue()
    camera.listen(images.put)
    tall = 2 * walker.bounding_box.extent.z

    def seen(place: Any) -> bool:
        """Whether the camera sees the walker where a place in the world is."""
        world.tick()
        pixels = np.frombuffer(images.get(timeout=60.0).raw_data, np.uint8).reshape(SIZE, SIZE, 4)[..., 2] == PEDESTRIAN
        ahead, right, up, _ = np.array(camera.get_transform().get_inverse_matrix()) @ (place.x, place.y, place.z, 1.0)
        scale = SIZE / 2 / np.tan(np.radians(20)) / ahead
        column, row = int(SIZE / 2 + right * scale), int(SIZE / 2 - up * scale)
        return bool(pixels[row - 2 : row + 3, column - 2 : column + 3].any())

    walker.set_bones(turned(walker, "crl_arm__L", roll=90.0))
    hanging = told(walker)
    walker.show_pose()
    world.tick()
    images.get(timeout=60.0)
    out = told(walker)
    arm = out["crl_arm__L"].component.location
    hand = out["crl_hand__L"].component.location
    assert hand.z == pytest.approx(arm.z, abs=1e-4)  # level with the shoulder
    length = hanging["crl_arm__L"].component.location.distance(hanging["crl_hand__L"].component.location)
    assert arm.y - hand.y == pytest.approx(length, abs=1e-4)  # CARLA's y: right
    assert out["crl_hand__R"].component.location == hanging["crl_hand__R"].component.location
    assert seen(out["crl_hand__L"].world.location)
    walker.blend_pose(0.5)  # the arm is half way up
    world.tick()
    images.get(timeout=60.0)
    half = told(walker)["crl_hand__L"].component.location
    assert arm.y - half.y == pytest.approx(arm.z - half.z, abs=0.01 * tall)
    assert seen(told(walker)["crl_hand__L"].world.location)
    assert not seen(out["crl_hand__L"].world.location)
    walker.hide_pose()
    world.tick()
    images.get(timeout=60.0)
    assert {name: bone.component for name, bone in told(walker).items()} == {
        name: bone.component for name, bone in hanging.items()
    }
    assert not seen(out["crl_hand__L"].world.location)


def test_a_forearm_takes_its_fingers_along_and_nothing_else(world: Any) -> None:
    walker = settled(world)
    before = told(walker)
    walker.set_bones(turned(walker, "crl_foreArm__R", pitch=90.0))
    walker.blend_pose(1.0)
    world.tick()
    moved = {
        name
        for name, bone in told(walker).items()
        if bone.component.location.distance(before[name].component.location) > 1e-4
    }
    assert moved == {name for name in before if "hand" in name and name.endswith("R")}
    reach = before["crl_foreArm__R"].component.location.distance(before["crl_hand__R"].component.location)
    hand, elbow = (told(walker)[f"crl_{name}__R"].component.location for name in ("hand", "foreArm"))
    assert abs(hand.x - elbow.x) == pytest.approx(reach, abs=1e-3)


def test_a_pose_from_the_animation_stays_while_the_walker_walks_on(world: Any) -> None:
    walker = settled(world)
    ahead = walker.get_transform().get_forward_vector()
    walker.apply_control(carla.WalkerControl(ahead, 1.4))
    for _ in range(12):
        world.tick()
    before = told(walker)
    assert abs(before["crl_foot__L"].component.location.x) > 0.05
    walker.get_pose_from_animation()
    walker.show_pose()
    for _ in range(7):
        world.tick()
    after = told(walker)
    assert after["crl_root"].world.location.distance(before["crl_root"].world.location) > 0.3
    for name, bone in before.items():
        assert after[name].component.location.distance(bone.component.location) < 1e-4


def test_a_bone_that_walkers_have_not_changes_nothing(world: Any) -> None:
    walker = settled(world)
    before = told(walker)
    walker.set_bones(carla.WalkerBoneControlIn([("crl_tail__C", carla.Transform())]))
    walker.show_pose()
    world.tick()
    assert told(walker)["crl_arm__L"].component == before["crl_arm__L"].component


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

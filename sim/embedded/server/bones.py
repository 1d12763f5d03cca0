"""The skeleton of walkers, by CARLA's names of bones, in the places where pictures have their limbs.

Near a camera a walker is a torso with arms and legs that swing about shoulders and hips (`render/things.py`); the
bones follow the same swing. Below a shoulder or hip nothing bends but in a pose that its owner gave it (`poses.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, sin
from typing import TYPE_CHECKING, Any, NamedTuple

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.wire import ORIGIN, Pose, between, compose, relative, transform_wire

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

HIP, SHOULDER = 0.50, 0.80  # heights of the joints, shares of the body's
LEG_OUT, ARM_OUT = 0.25, 0.82  # places of the joints, shares of the body's half width
DEPTH, WIDTH = 0.2, 0.28  # half depth and half width of a slim body, shares of its half height
SWING, ARM_SWING = 0.5, 0.9  # [rad] of a leg, and an arm's share of that
FINGERS = {"Thumb": 0.6, "Index": 0.35, "Middle": 0.1, "Ring": -0.15, "Pinky": -0.4}


class Bone(NamedTuple):
    """Where a bone begins in a body that stands: x in half depths, y in half widths (left), z in heights."""

    name: str
    parent: str
    x: float
    y: float
    z: float
    joint: float = 0.0  # height of the joint about which it swings, 0 for none


def _bones() -> Iterator[Bone]:
    yield Bone("crl_root", "", 0.0, 0.0, 0.0)
    column = ("crl_hips__C", 0.53), ("crl_spine__C", 0.60), ("crl_spine01__C", 0.72), ("crl_neck__C", 0.83)
    above = "crl_root"
    for name, z in (*column, ("crl_Head__C", 0.88)):
        yield Bone(name, above, 0.0, 0.0, z)
        above = name
    for letter, side in (("L", 1.0), ("R", -1.0)):
        yield Bone(f"crl_eye__{letter}", "crl_Head__C", 0.25, 0.12 * side, 0.92)
        yield Bone(f"crl_shoulder__{letter}", "crl_spine01__C", 0.0, 0.35 * side, 0.79)
        above = f"crl_shoulder__{letter}"
        for part, z in (("arm", SHOULDER), ("foreArm", 0.62), ("hand", 0.47)):
            yield Bone(f"crl_{part}__{letter}", above, 0.0, ARM_OUT * side, z, SHOULDER)
            above = f"crl_{part}__{letter}"
        for finger, x in FINGERS.items():
            above = f"crl_hand__{letter}"
            for part, z in (("", 0.455), ("01", 0.44), ("02", 0.42), ("End", 0.405)):
                name = f"crl_hand{finger}{part}__{letter}"
                yield Bone(name, above, 0.12 * x, ARM_OUT * side, z, SHOULDER)
                above = name
        above = "crl_hips__C"
        legs = ("thigh", 0.0, HIP), ("leg", 0.0, 0.27), ("foot", 0.0, 0.05), ("toe", 0.3, 0.02), ("toeEnd", 0.45, 0.02)
        for part, x, z in legs:
            yield Bone(f"crl_{part}__{letter}", above, x, LEG_OUT * side, z, HIP)
            above = f"crl_{part}__{letter}"


BONES = tuple(_bones())
NAMES = frozenset(bone.name for bone in BONES)
Relative = dict[str, Pose]  # by name: the place in the parent bone's frame
Body = Any  # a row of BODY


def skeleton(live: LiveWorld, walker: Actor) -> dict[str, tuple[Pose, Pose, Pose]]:
    """By name: pose in the world, in the body's frame (origin at the feet), and in the frame of the parent bone."""
    body, own = live.body(walker), live.poses.of.get(walker.id)
    x, y, z = body["xyz"].tolist()
    feet = Pose(x, y, z, float(body["yaw"]), float(body["pitch"]), float(body["roll"]))
    if own is None or own.blend == 0.0:
        placed = in_body(body)
        bones = relatives(placed)
    else:
        shown = at_rest(body) | own.bones
        bones = {name: between(pose, shown[name], own.blend) for name, pose in walking(body).items()}
        placed = whole(bones)
    return {name: (compose(feet, pose), pose, bones[name]) for name, pose in placed.items()}


def in_body(body: Body, swings: bool = True) -> dict[str, Pose]:
    """By name: where a bone of a walker is as it walks, or as it stands, in the body's frame."""
    ex, ey, ez = body["extent"].tolist()
    depth, width, tall = min(DEPTH * ez, ex), min(WIDTH * ez, ey), 2 * ez
    swing = SWING * sin(float(body["stride"])) * min(1.0, abs(float(body["speed"]))) if swings else 0.0
    found: dict[str, Pose] = {}
    for bone in BONES:
        side = 1.0 if bone.y > 0 else -1.0
        angle = {HIP: swing * side, SHOULDER: -ARM_SWING * swing * side}.get(bone.joint, 0.0)
        ahead, down = bone.x * depth, (bone.z - bone.joint) * tall
        forward = cos(angle) * ahead + sin(angle) * down
        up = bone.joint * tall + cos(angle) * down - sin(angle) * ahead
        found[bone.name] = Pose(forward, bone.y * width, up, 0.0, angle)
    return found


def relatives(placed: dict[str, Pose]) -> Relative:
    """Each bone in the frame of its parent."""
    return {bone.name: relative(placed.get(bone.parent, ORIGIN), placed[bone.name]) for bone in BONES}


def whole(bones: Relative) -> dict[str, Pose]:
    """The inverse of `relatives`: each bone in the body's frame."""
    placed: dict[str, Pose] = {}
    for bone in BONES:
        placed[bone.name] = compose(placed.get(bone.parent, ORIGIN), bones[bone.name])
    return placed


def walking(body: Body) -> Relative:
    """A walker's bones as it walks at present."""
    return relatives(in_body(body))


def at_rest(body: Body) -> Relative:
    """A walker's bones as it stands."""
    return relatives(in_body(body, swings=False))


def bones_wire(live: LiveWorld, walker: Actor) -> list[Any]:
    """[name, world, component, relative transform] of each bone."""
    return [[name, *map(transform_wire, poses)] for name, poses in skeleton(live, walker).items()]

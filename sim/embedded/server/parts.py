"""Named parts of actors by Unreal's names: components, and the bones of vehicles.

A component is told by its pose in the actor's frame. A vehicle's bones are its base and its wheels, which steer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roadcraft.sim.embedded.catalogue import find
from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.bones import skeleton
from roadcraft.sim.embedded.server.physics_wire import wheel_places
from roadcraft.sim.embedded.server.wire import ORIGIN, Pose, compose
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

# The bones of CARLA's skeletons for four and two wheels, by its tutorial "Add a new vehicle".
BASE, BIKE_BASE = "VehicleBase", "Bike_Rig"
WHEELS = ("Wheel_Front_Left", "Wheel_Front_Right", "Wheel_Rear_Left", "Wheel_Rear_Right")
WHEELS_IN_LINE = ("FrontWheel", "RearWheel")
LAMP_OUT, LAMP_UP = 0.75, 0.8  # of a front lamp, shares of the half width and half height: about where pictures have it


class Bone(NamedTuple):
    """Where one bone is: in the world, and in the frame of the mesh, which is on the ground."""

    world: Pose
    relative: Pose


def components(actor: Actor) -> dict[str, Pose]:
    """Poses of an actor's components in its own frame, by name; empty where it has none."""
    if actor.category is Category.WALKER:
        return {"CollisionCylinder": ORIGIN, "CharacterMesh0": Pose(0.0, 0.0, -actor.extent[2])}
    if actor.category is Category.PROP:
        return {"StaticMeshComponent0": ORIGIN}
    if actor.category is not Category.VEHICLE:
        return {}
    found = {"VehicleMesh": ORIGIN, "VehicleBounds": actor.centre}
    if find(actor.type_id).has_lights:
        length, width, height = actor.extent
        for letter, side in (("l", 1.0), ("r", -1.0)):
            found[f"front-blinker-{letter}-1"] = Pose(length, LAMP_OUT * side * width, LAMP_UP * height)
    return found


def component(actor: Actor, name: str) -> Pose:
    """Pose of one component in the actor's frame. Raises UserError where there is none of that name."""
    found = components(actor)
    if name not in found:
        raise UserError(f"{actor.type_id} has no component '{name:.80}'; it has {', '.join(found) or 'none'}")
    return found[name]


def bones(live: LiveWorld, actor: Actor) -> dict[str, Bone]:
    """The bones of a walker or vehicle by name; empty for others."""
    if actor.category is Category.WALKER:
        return {name: Bone(world, own) for name, (world, own, _) in skeleton(live, actor).items()}
    if actor.category is not Category.VEHICLE:
        return {}
    base, steer = live.pose_of(actor), float(live.body(actor)["wheel_angle"])
    places = wheel_places(live.simulation.physics(actor.id))
    in_line = find(actor.type_id).wheels == 2
    found = {BIKE_BASE if in_line else BASE: Bone(base, ORIGIN)}
    for name, (x, y, z) in zip(WHEELS_IN_LINE if in_line else WHEELS, places[::2] if in_line else places, strict=True):
        own = Pose(x, y, z, steer if x > 0 else 0.0)
        found[name] = Bone(compose(base, own), own)
    return found

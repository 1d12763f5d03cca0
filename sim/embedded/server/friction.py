"""Friction triggers: boxes that clients put on the road, within which tyres hold otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadcraft.sim.embedded.physics import with_friction
from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.wire import Pose

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

CENTIMETRES = 100.0  # a metre's


class Friction:
    """The triggers of a world and who is inside of them."""

    def __init__(self) -> None:
        self.triggers: list[Actor] = []
        self._there: dict[int, float] = {}  # vehicles inside one, and the friction there
        self._own: dict[int, float] = {}  # theirs outside

    def add(self, trigger: Actor) -> None:
        """A `static.trigger.friction`, whose size is given in centimetres."""
        x, y, z = (trigger.number(f"extent_{axis}") / CENTIMETRES for axis in "xyz")
        trigger.extent = (x, y, z)
        self.triggers.append(trigger)

    def forget(self, actor: Actor) -> None:
        """A trigger or a vehicle that is gone."""
        if actor in self.triggers:
            self.triggers.remove(actor)
        self._there.pop(actor.id, None)
        self._own.pop(actor.id, None)

    def at(self, where: Pose) -> float | None:
        """The tyre friction that a trigger imposes at a place."""
        for trigger in self.triggers:
            inside = (abs(a - b) < half for a, b, half in zip(where.xyz, trigger.pose.xyz, trigger.extent, strict=True))
            if all(inside):
                return trigger.number("friction")
        return None

    def step(self, live: LiveWorld) -> None:
        """Gives vehicles that enter or leave a trigger other tyres."""
        if not self.triggers and not self._there:
            return
        for actor in live.actors:
            if actor.category is not Category.VEHICLE:
                continue
            friction = self.at(live.pose_of(actor))
            if friction == self._there.get(actor.id):
                continue
            physics = live.simulation.physics(actor.id)
            if friction is None:
                wanted = self._own.pop(actor.id, physics.tire_friction)
                del self._there[actor.id]
            else:
                self._own.setdefault(actor.id, physics.tire_friction)
                wanted = self._there[actor.id] = friction
            live.simulation.set_vehicle_physics(actor.id, with_friction(physics, wanted))

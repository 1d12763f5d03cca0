"""Poses that clients give to walkers, beside those that walking gives them.

As in CARLA a walker has one pose of its owner's (at first it stands with its arms down) and a blend: 0 shows how it
walks, 1 the owner's pose, what is between interpolates. Pictures have a limb in one piece: it points from its shoulder
or hip to the hand or foot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.bones import NAMES, Relative, at_rest, walking, whole
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld
    from roadcraft.sim.embedded.server.wire import Pose

LIMBS = (  # in the order of the renderer
    ("crl_thigh__L", "crl_foot__L"), ("crl_thigh__R", "crl_foot__R"),
    ("crl_arm__L", "crl_hand__L"), ("crl_arm__R", "crl_hand__R"),
)  # fmt: skip


@dataclass(slots=True)
class Own:
    """What a walker's owner made of it."""

    bones: Relative = field(default_factory=dict)  # relative to the parent; those that are not there rest
    blend: float = 0.0


class Poses:
    """The poses in one world."""

    def __init__(self) -> None:
        self.of: dict[int, Own] = {}  # by walker

    def set(self, live: LiveWorld, walker: Actor, bones: Iterable[tuple[str, Pose]]) -> None:
        """Gives some bones a place relative to their parent's. Raises UserError for a bone that walkers have not."""
        new = dict(bones)
        for name in new:
            if name not in NAMES:
                raise UserError(f"actor {walker.id} ({walker.type_id}) has no bone {name!r:.60}")
        own = self.of.setdefault(walker.id, Own())
        own.bones |= new
        self._show(live, walker, own)

    def blend(self, live: LiveWorld, walker: Actor, blend: float) -> None:
        """How much of the owner's pose shows, 0 to 1."""
        own = self.of.setdefault(walker.id, Own())
        own.blend = min(max(blend, 0.0), 1.0)
        self._show(live, walker, own)

    def take(self, live: LiveWorld, walker: Actor) -> None:
        """The owner's pose is as the walker walks at present."""
        own = self.of.setdefault(walker.id, Own())
        own.bones = walking(live.body(walker))
        self._show(live, walker, own)

    def forget(self, number: int) -> None:
        """The walker is gone."""
        self.of.pop(number, None)

    def _show(self, live: LiveWorld, walker: Actor, own: Own) -> None:
        """Tells the simulation's body, of which pictures are made."""
        body = live.body(walker)
        placed = whole(at_rest(body) | own.bones)
        limbs = np.array([np.subtract(placed[end].xyz, placed[joint].xyz) for joint, end in LIMBS])
        lengths = np.linalg.norm(limbs, axis=1, keepdims=True)
        limbs = np.where(lengths > 1e-6, limbs / np.maximum(lengths, 1e-6), (0.0, 0.0, -1.0))
        live.simulation.set_pose(walker.id, own.blend, limbs)

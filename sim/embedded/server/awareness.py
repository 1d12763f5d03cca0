"""When a station tells of itself: the rules of ETSI EN 302 637-2, 6.1.3, as CARLA has them."""

from __future__ import annotations

from math import dist, radians
from typing import NamedTuple

from roadcraft.sim.embedded.server.wire import Vector
from roadcraft.sim.geometry import wrap

TURN, STEP, CHANGE = radians(4.0), 4.0, 0.5  # [rad], [m], [m/s] that are told at once
CALM = 3  # messages without such a change after which the longest interval holds again
ROADSIDE_INTERVAL = 0.5  # s
LATE = 1e-6  # s; ticks are not exact


class Motion(NamedTuple):
    """What makes a message due."""

    xyz: Vector
    yaw: float  # [rad]
    speed: float  # [m/s] forwards


class Awareness:
    """Decides for one station, tick by tick."""

    def __init__(self, shortest: float, longest: float, fixed: bool) -> None:
        """Least and most time [s] between two messages; `fixed`: always the least."""
        self.shortest, self.longest, self.fixed = shortest, longest, fixed
        self.interval, self.calm = longest, 0
        self.told: Motion | None = None
        self.told_at = 0.0

    def due(self, now: float, motion: Motion, roadside: bool) -> bool:
        """Whether a message is to be sent at simulation time `now` [s]; it then counts as sent."""
        elapsed = now - self.told_at
        if self.told is not None and not self._due(elapsed, motion, self.told, roadside):
            return False
        self.told, self.told_at = motion, now
        return True

    def _due(self, elapsed: float, motion: Motion, told: Motion, roadside: bool) -> bool:
        if roadside:
            return elapsed >= ROADSIDE_INTERVAL - LATE
        if elapsed < self.shortest - LATE:
            return False
        if self.fixed:
            return True
        if changed(told, motion):
            self.interval, self.calm = min(elapsed, self.longest), 0
            return True
        if elapsed < self.interval - LATE:
            return False
        self.calm += 1
        if self.calm >= CALM:
            self.interval = self.longest
        return True


def changed(before: Motion, now: Motion) -> bool:
    """Whether a station has moved, turned or changed its speed so much that others should know."""
    return (
        dist(before.xyz, now.xyz) > STEP
        or abs(wrap(now.yaw - before.yaw)) > TURN
        or abs(now.speed - before.speed) > CHANGE
    )

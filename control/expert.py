"""The teacher: rules on facts. It follows the route's lane, keeps distance, predicts who crosses and obeys the signs.

Other drivers are cloned from it (`imitation.py`); as a driver of its own it shows what the episodes allow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control import spacetime
from roadcraft.control.car import HALF_LENGTH, brake_for, steer_for, throttle_for
from roadcraft.control.decision import Decision
from roadcraft.control.passing import calm
from roadcraft.control.paths import LIGHT_MARGIN, LINE_MARGIN, curve_speed, pursue
from roadcraft.control.spacetime import OTHER
from roadcraft.sim.geometry import wrap
from roadcraft.sim.messages import DT, Control, Facts, Kind, LightState, Tick

CRUISE = 1.0  # of the speed limit
LATERAL = 2.6  # m/s^2 in bends: who learns from it swings, and the supervisor takes over at 3
BRISK = 8.0  # exponent of the model that follows: full acceleration until close to the limit
YELLOW_BRAKE = 4.0  # m/s^2: a yellow light is passed only if stopping would need more
STOPPED = 0.08  # m/s, safely below the 0.1 that counts as a full stop
STOP_BOX = 3.0  # m before the line within which a stop counts


def relax(others: NDArray[np.void], path: NDArray[np.float64]) -> None:
    """Walkers beside the path who do not come closer need no more air than cars: changes `others` in place."""
    others["walker"] &= ~calm(path, others)


class ExpertDriver:
    """`Driver` on facts alone. It remembers headings of others (for their yaw rates) and which stop sign was served."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the last episode."""
        self._yaws: dict[int, float] = {}
        self._served = ""
        self._frame = -1

    def __call__(self, tick: Tick) -> Decision:
        facts = tick.facts
        if facts.frame < self._frame:
            self.reset()
        self._frame = facts.frame
        curvature, accel = self.plan(facts)
        speed = float(facts.velocity_ego[0])
        control = Control(steer_for(curvature, speed), throttle_for(accel, speed), brake_for(accel, speed))
        return Decision(None, facts.path_ego, control, control)

    def plan(self, facts: Facts) -> tuple[float, float]:
        """Curvature [1/m] and acceleration [m/s^2] that the expert wants now."""
        path = facts.path_ego
        speed = max(0.0, float(facts.velocity_ego[0]))
        top = curve_speed(path, CRUISE * facts.speed_limit, LATERAL)
        others = self.others(facts)
        relax(others, path)
        lead = np.empty(3)
        taken = spacetime.spacetime(path, others, lead)
        accel = spacetime.follow(speed, top, lead[0], lead[1], BRISK)
        accel = min(accel, self._signal(facts, speed), self._goal(facts, speed))
        accel = min(accel, spacetime.keep_clear(speed, facts.light_distance, lead[0], lead[1]))
        accel = spacetime.safe_acceleration(taken, speed, top, accel)
        return pursue(path, speed), float(np.clip(accel, -8.0, 3.0))

    def others(self, facts: Facts) -> NDArray[np.void]:
        """The actors (N,) OTHER in the ego frame; their yaw rates come from the tick before."""
        actors = facts.actors
        others = np.zeros(len(actors), OTHER)
        x, y, yaw = facts.pose
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s], [s, c]])
        others["xy"] = (actors["xyz"][:, :2] - (x, y)) @ turn
        others["velocity"] = actors["velocity"] @ turn
        others["yaw"] = actors["yaw"] - yaw
        others["half"] = actors["extent"][:, :2]
        others["walker"] = actors["kind"] == Kind.PEDESTRIAN
        yaws = dict(zip(actors["id"].tolist(), actors["yaw"].tolist(), strict=True))
        for row, (identity, now) in enumerate(yaws.items()):
            others["yaw_rate"][row] = wrap(now - self._yaws.get(identity, now)) / DT
        others["yaw_rate"][others["walker"]] = 0.0
        self._yaws = yaws
        return others

    def _signal(self, facts: Facts, speed: float) -> float:
        """Acceleration [m/s^2] that lights and stop signs allow."""
        accel = spacetime.FREE
        distance = facts.light_distance
        if facts.light in (LightState.RED, LightState.YELLOW) and distance > -2 * HALF_LENGTH:
            hard = speed * speed / (2.0 * max(distance, 0.1)) > YELLOW_BRAKE
            if distance > 0.0 and not (facts.light == LightState.YELLOW and hard):
                accel = spacetime.stop_at(speed, distance - LIGHT_MARGIN)
        if facts.stop_id and facts.stop_id != self._served and np.isfinite(facts.stop_distance):
            if speed < STOPPED and facts.stop_distance < STOP_BOX:
                self._served = facts.stop_id
            elif facts.stop_distance > -1.0:
                accel = min(accel, spacetime.stop_at(speed, facts.stop_distance - LINE_MARGIN))
        return accel

    def _goal(self, facts: Facts, speed: float) -> float:
        """Acceleration [m/s^2] that stops at the end of the route."""
        return spacetime.stop_at(speed, max(0.0, facts.route_length - facts.progress + 1.0))

"""Between policy and car: takes the policy's wish, returns what may be done and why it is something else.

It sees what the stack sees (percepts, the planned path, the ego's own sensors), never facts. Two kinds of rule:

can it see?   percepts missing, late, frozen, not finite or unsure, a dark image: the car stops in its lane, along the
              last plan, and stays until it sees again
is it safe?   an obstacle ahead, a red light, a stop sign, a curve taken too fast, lateral acceleration or jerk:
              the wish is limited

A rule only steps in when the wish does not do what is needed anyway. Each limit has its unit and its source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.control import spacetime
from roadcraft.control.car import accel_of, brake_for, curvature_of, steer_for, throttle_for
from roadcraft.control.eyes import EyeLimits, Eyes
from roadcraft.control.features import Features
from roadcraft.control.paths import COMFORT_BRAKE, curve_speed, pursue
from roadcraft.perception.percept import Percept
from roadcraft.sim.messages import DT, Control, Ego, Observation

AHEAD = 13  # points, 1 m apart, of the way that the car is going, if it goes on turning like this
ROUNDING = 1e-4  # s by which the difference of two of a simulator's times may be off
JERK_WINDOW = 4.0  # ISO 11270 takes the jerk's mean over 0.5 s: single ticks may have a few times of it


@dataclass(frozen=True)
class Limits(EyeLimits):
    """What the supervisor holds to."""

    lateral_accel: float = 3.0  # m/s^2, ISO 11270:2014 5.2.5 (lane keeping)
    curve_excess: float = 0.5  # m/s over what comfortable braking manages before a curve, from which it takes over: in
    # a curve of 10 m, 3.6 m/s^2 instead of 3, far from what tyres hold ...
    curve_time: float = 1.0  # s ... and brakes the rest away: from 0.5 m/s more on harder than people do (3 m/s^2)
    lateral_jerk: float = 5.0  # m/s^3, ISO 11270:2014 5.2.5, mean over 0.5 s
    brake_need: float = 4.5  # m/s^2 needed to stay clear, from which it brakes fully (UN R152 demands at least 5)
    gap: float = 0.3  # m to whoever is ahead, and so much more ...
    headway: float = 0.2  # ... s at the car's speed, below which it brakes however fast the other seems to be: a tenth
    # of what drivers are taught to keep, so that only a wrong velocity can make it look safe
    time_to_collision: float = 1.0  # s with somebody who crosses; 1.5 s count as critical (van der Horst 1990)
    brake: float = 8.0  # m/s^2 of an emergency brake: what the car may be asked for, see `car.BRAKE_MAX`
    line_need: float = 2.5  # m/s^2 needed to stop at a line, from which it takes over; people brake earlier (ITE: 3.05)
    yellow_need: float = 3.5  # m/s^2: a yellow light is passed where stopping would need more (ITE: 3.05 in 1 s)
    certainty: float = 0.6  # belief from which a light or a stop sign stops the car: rather than not, with a margin
    stale: float = 0.3  # s that a percept may be old: six ticks, 4 m at 50 km/h
    confidence: float = 0.25  # least confidence of a percept: below, most likely no street is to be seen
    stop: float = 4.0  # m/s^2 of the stop in lane when it cannot see: half the emergency brake, for those behind


class Supervisor:
    """Call it once a tick. Remembers the last steering and what the pictures showed."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._eyes = Eyes(self.limits)
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self._curvature = float("nan")
        self._eyes.reset()

    def __call__(
        self, observation: Observation, percept: Percept | None, features: Features, proposed: Control
    ) -> tuple[Control, str]:
        """The control for the car, and the reason ("" when it is the proposed one)."""
        speed = observation.ego.speed
        blind = self._cannot_see(observation, percept)
        if blind:
            return self._stop_in_lane(features.path, speed), blind
        wish = accel_of(proposed.throttle, proposed.brake, speed)
        accel, reason = self._least(observation, wish, features)
        steer, lateral = self._steer(proposed.steer, speed)
        if not reason and not lateral:
            return proposed, ""
        if not reason:
            return Control(steer, proposed.throttle, proposed.brake), lateral
        return Control(steer, throttle_for(accel, speed), brake_for(accel, speed)), reason

    def _least(self, observation: Observation, wish: float, features: Features) -> tuple[float, str]:
        """The lowest acceleration that a rule asks for below the wish, with that rule's name."""
        accel, reason, speed = wish, "", observation.ego.speed
        for name, allowed in (
            ("obstacle", self._obstacle(speed, wish, features)),
            ("obstacle", self._in_the_way(observation.ego, features)),
            ("red_light", self._light(speed, features)),
            ("stop_sign", self._stop_sign(speed, features)),
            ("curve", self._curve(speed, features)),
        ):
            if allowed < accel - 0.3:
                accel, reason = allowed, name
        return accel, reason

    def _obstacle(self, speed: float, wish: float, features: Features) -> float:
        """-brake where somebody on the path, or about to be, cannot be avoided by less; FREE otherwise."""
        lead = np.empty(3)
        taken = spacetime.spacetime(features.path, features.others, lead)
        if self._too_close(speed, lead):
            return -self.limits.brake
        if speed > 0.3:
            meets = spacetime.conflict_time(taken, speed, min(wish, 0.0), speed)
            braking = spacetime.conflict_time(taken, speed, -self.limits.brake, speed)
            if meets < self.limits.time_to_collision and braking > meets + 0.2:
                return -self.limits.brake
        return spacetime.FREE

    def _in_the_way(self, ego: Ego, features: Features) -> float:
        """-brake where somebody is too close on the way that the car is going; FREE otherwise."""
        lead = np.empty(3)
        spacetime.spacetime(heading_for(ego), features.others, lead)
        return -self.limits.brake if self._too_close(ego.speed, lead) else spacetime.FREE

    def _too_close(self, speed: float, lead: NDArray[np.float64]) -> bool:
        """Whether `lead` (3,), see `spacetime`, cannot be stopped before by less than full braking."""
        if lead[0] >= spacetime.FREE or speed <= 0.1:
            return False
        closing, room = speed - lead[1], max(lead[0] - 0.7, 0.05)
        if closing > 0.0 and closing * closing / (2.0 * room) > self.limits.brake_need:
            return True
        return bool(lead[0] < self.limits.gap + self.limits.headway * speed and closing > -1.0)

    def _light(self, speed: float, features: Features) -> float:
        signs, limits = features.signs, self.limits
        distance = signs.light_distance
        if not -0.3 < distance < 80.0:
            return spacetime.FREE
        need = speed * speed / (2.0 * max(distance, 0.1))
        red = signs.light[0] > limits.certainty
        yellow = signs.light[0] + signs.light[1] > limits.certainty and need < limits.yellow_need
        if not (red or yellow):
            return spacetime.FREE
        return self._before_line(speed, distance)

    def _stop_sign(self, speed: float, features: Features) -> float:
        signs = features.signs
        if signs.stop < self.limits.certainty or not -0.5 < signs.stop_distance < 80.0:
            return spacetime.FREE
        return self._before_line(speed, signs.stop_distance)

    def _curve(self, speed: float, features: Features) -> float:
        """What slows down for a curve that comfortable braking no longer does for."""
        most = curve_speed(features.path, spacetime.FREE, self.limits.lateral_accel)
        over = speed - most - self.limits.curve_excess
        return spacetime.FREE if over <= 0.0 else -(COMFORT_BRAKE + over / self.limits.curve_time)

    def _before_line(self, speed: float, distance: float) -> float:
        """What stops at the line, once that is urgent; what holds the car when it stands at the line."""
        need = speed * speed / (2.0 * max(distance - 0.3, 0.1))
        if need < self.limits.line_need and distance > 0.4:
            return spacetime.FREE
        return max(-self.limits.brake, min(-1.1 * need, -0.5))

    def _steer(self, steer: float, speed: float) -> tuple[float, str]:
        """Steering within the lateral limits, and which of them was met."""
        wanted = curvature_of(steer, speed)
        square = max(speed * speed, 1.0)
        most = self.limits.lateral_accel / square
        curvature = min(most, max(-most, wanted))
        reason = "lateral_acceleration" if abs(wanted - curvature) * square > 0.2 else ""
        if not np.isnan(self._curvature):
            step = self.limits.lateral_jerk * DT / square * JERK_WINDOW
            limited = min(self._curvature + step, max(self._curvature - step, curvature))
            if abs(limited - curvature) * square > 0.2 and not reason:
                reason = "lateral_jerk"
            curvature = limited
        self._curvature = curvature
        return (steer_for(curvature, speed), reason) if reason else (steer, "")

    def _cannot_see(self, observation: Observation, percept: Percept | None) -> str:
        """Why what perception says cannot be trusted, "" when it can."""
        limits = self.limits
        self._eyes(observation, percept)
        if percept is None:
            return "missing_percept"
        if percept.age(observation.time) > limits.stale + ROUNDING:
            return "stale_percept"
        if not finite(percept):
            return "invalid_percept"
        if self._eyes.reason:
            return self._eyes.reason
        if percept.confidence < limits.confidence:
            return "unsure_percept"
        return ""

    def _stop_in_lane(self, path: NDArray[np.float64], speed: float) -> Control:
        steer = steer_for(pursue(path, speed), speed)
        accel = -self.limits.stop if speed > 0.1 else -1.0
        return Control(steer, 0.0, brake_for(accel, speed))


def heading_for(ego: Ego) -> NDArray[np.float64]:
    """Where the car is going as it turns now (AHEAD, 2) [m], whatever was planned: plans change faster than cars."""
    curvature = ego.yaw_rate / ego.speed if ego.speed > 0.5 else 0.0
    angle = curvature * np.arange(float(AHEAD))
    bend = np.where(np.abs(angle) > 1e-6, angle, 1.0)
    along = np.where(np.abs(angle) > 1e-6, np.sin(bend) / bend, 1.0) * np.arange(float(AHEAD))
    aside = np.where(np.abs(angle) > 1e-6, (1.0 - np.cos(bend)) / bend, 0.0) * np.arange(float(AHEAD))
    return np.stack([along, aside], -1)


def finite(percept: Percept) -> bool:
    """Whether all numbers of a percept that must be finite are."""
    objects = percept.objects
    fields = ("xy_ego", "yaw_ego", "size", "velocity_ego", "score")
    return bool(
        np.isfinite(percept.light).all()
        and np.isfinite(percept.lane_prob).all()
        and np.isfinite((percept.stop_prob, percept.confidence, percept.latency)).all()
        and not np.isnan((percept.light_distance, percept.stop_distance)).any()
        and all(np.isfinite(objects[name]).all() for name in fields)
    )

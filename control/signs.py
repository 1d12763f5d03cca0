"""What perception said about lights and stop signs, remembered over the last metres.

A light may leave the picture before its line is reached, and a network may lose it for some frames: the state is
kept while the car rolls on (the line's place is known from the odometer). A stop sign is served once the car stood
before it.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.percept import Percept
from roadcraft.sim.kernels import Direct, kernel

RATE = 0.35  # share of a new frame in the belief; 20 frames a second
GO_RATE = 0.06  # the same for a green that follows red: half a second, so that a few wrong frames send nobody across
NEWS, NEWS_LENGTH = 0.25, 0.8  # share of a new distance, at most; m of driving after which one is news: a car that
# stands, or creeps, sees the same picture with the same error again
UNSEEN = 3.0  # m before a line from which on it lies below the picture: the odometer knows better than the network
GOVERNS = 0.5  # probability from which a light or a stop sign counts as seen
KEEP_TIME, KEEP_STANDING = 3.0, 20.0  # s that an unseen light is remembered by a car that rolls, and that stands at red
WATCHED, KEEP_WATCHED = 2.0, 4.0  # s of seeing it from where the car rests, after which one that is seen no more for so
# long has, most likely, changed: it did not leave the picture, and who passes before it is gone by then
KEEP_BEFORE = 14.0  # m before its line within which it is
PATIENCE = 100.0  # s of resting at red after which it is a light for others: none of ours is red for so long
COMMIT = 1.5  # m before its line within which a car that rolls at a green light goes through ...
ROLLS, STANDS, RESTS = 0.5, 0.2, 0.08  # m/s; below the last there is nothing but the sensor's noise
JUNCTION = 12.0  # m ... and for so long looks for no other light nearer than NEXT: those that face others stand around
NEXT = 20.0  # m
PASSED = 1.0  # m beyond the line after which a sign is forgotten
SERVED_SPEED = 0.04  # m/s that are seen of a stop: three of the sensor's sigmas below the leaderboard's 0.1, so that
# whoever still rolls does not take one low reading for a stop and set off
SERVED_BOX = 2.2  # m before the line, as seen, within which a stop serves the sign: the box that counts has 4 m
SERVED_LENGTH = 12.0  # m that a served sign stays served

BELIEF = np.dtype(
    [
        ("light", np.float64, 3),  # belief in red, yellow, green; sums to the belief that one governs us
        ("light_distance", np.float64),  # [m] from the front bumper to the line, inf when there is none
        ("stop", np.float64),  # belief that an unserved stop sign governs us
        ("stop_distance", np.float64),  # [m]
        ("light_age", np.float64),  # [s] since a light was seen
        ("watched", np.float64),  # [s] that it has been seen from where the car stands
        ("waited", np.float64),  # [s] that the car has stood at red
        ("stop_age", np.float64),  # [s] since a stop sign was seen
        ("since_served", np.float64),  # [m]
        ("through", np.float64),  # [m] of a junction left to drive through
    ],
    align=True,
)


@kernel
def surely(m: Any) -> float:
    """Distance [m] from the front bumper to the next stop line that is surely there, inf when there is none; `m` is a
    BELIEF record."""
    governed = m.light[0] + m.light[1] + m.light[2] > 0.6 and m.light_age < 0.2
    return min(m.light_distance if governed else inf, m.stop_distance if m.stop_age < 0.2 else inf)


@kernel
def _blend(old: float, new: float, gain: float) -> float:
    return old if old < UNSEEN else old + gain * (new - old)


@kernel
def _see_light(m: Any, light: NDArray[np.float64], distance: float, gain: float) -> None:
    if light[3] > 1.0 - GOVERNS or not isfinite(distance):
        return
    if m.through > 0.0 and distance < NEXT:
        return
    m.light_age = 0.0
    total = max(1e-6, light[0] + light[1] + light[2])
    fresh = m.light[0] + m.light[1] + m.light[2] < 0.2 or abs(distance - m.light_distance) > 15.0
    rate = 0.7 if fresh else GO_RATE if light[2] / total > 0.5 > m.light[2] else RATE
    for k in range(3):
        m.light[k] += rate * (light[k] / total - m.light[k])
    m.light_distance = distance if fresh else _blend(m.light_distance, distance, gain)


@kernel
def _see_stop(m: Any, prob: float, distance: float, speed: float, gain: float) -> None:
    if prob > GOVERNS and isfinite(distance):
        fresh = m.stop_age > 1.0 or not isfinite(m.stop_distance)
        m.stop_age = 0.0
        m.stop_distance = distance if fresh else _blend(m.stop_distance, distance, gain)
        m.stop += RATE * (prob - m.stop)
    elif m.stop_distance > KEEP_BEFORE:
        m.stop -= RATE * m.stop
    if speed < SERVED_SPEED and -PASSED < m.stop_distance < SERVED_BOX and m.stop > 0.3:
        m.since_served = 0.0
    if m.since_served < SERVED_LENGTH:
        m.stop = 0.0


@kernel
def roll_on(m: Any, speed: float, moved: float, dt: float) -> None:
    """The car drove `moved` [m] in `dt` [s] at `speed` [m/s]."""
    m.light_distance -= moved
    m.stop_distance -= moved
    m.light_age += dt
    m.stop_age += dt
    m.since_served += moved
    m.through = max(0.0, m.through - moved)
    if speed > ROLLS and m.light[2] > 0.5 and -PASSED < m.light_distance < COMMIT:
        m.through = JUNCTION
    elif speed < STANDS and 0.0 < m.light_distance < inf:
        m.through = 0.0  # something stopped it before the line: the light counts anew


@kernel
def forget(m: Any, speed: float, dt: float) -> None:
    """What was not seen for long, or lies behind, is no longer believed."""
    waits = speed < STANDS and m.light[0] > 0.5 and m.light_distance < KEEP_BEFORE
    m.waited = m.waited + dt if waits else 0.0
    if m.waited > PATIENCE:
        m.through, m.light_distance = JUNCTION, inf
        m.light[0] = m.light[1] = m.light[2] = 0.0
    m.watched = 0.0 if speed > RESTS else m.watched + (dt if m.light_age == 0.0 else 0.0)
    standing = KEEP_WATCHED if m.watched > WATCHED else KEEP_STANDING
    keep = standing if speed < STANDS and m.light[0] > 0.5 else KEEP_TIME
    remembered = m.light_age < keep and -PASSED < m.light_distance < KEEP_BEFORE
    if m.light_age > 0.3 and not remembered:
        for k in range(3):
            m.light[k] *= 0.8
        if m.light[0] + m.light[1] + m.light[2] < 0.1:
            m.light[0] = m.light[1] = m.light[2] = 0.0
            m.light_distance = inf
    if m.stop_distance < -PASSED or (m.stop_age > 0.5 and m.stop_distance > KEEP_BEFORE):
        m.stop, m.stop_distance = 0.0, inf


@kernel
def _update(belief, light, light_distance, stop_prob, stop_distance, speed, dt):  # type: ignore[no-untyped-def]
    """One percept, then `surely`; see `Signs.update`."""
    m = belief[0]
    moved = speed * dt if speed > RESTS else 0.0
    gain = min(NEWS, moved / NEWS_LENGTH)
    roll_on(m, speed, moved, dt)
    _see_light(m, light, light_distance, gain)
    _see_stop(m, stop_prob, stop_distance, speed, gain)
    forget(m, speed, dt)
    return surely(m)


@kernel
def _coast(belief, speed, dt):  # type: ignore[no-untyped-def]
    m = belief[0]
    roll_on(m, speed, speed * dt if speed > RESTS else 0.0, dt)
    forget(m, speed, dt)


class Signs:
    """Call `update` once a tick. Distances are from the front bumper to the line [m], inf when there is none."""

    def __init__(self) -> None:
        self.belief = np.zeros(1, BELIEF)
        self._update = Direct(_update)
        self.light: NDArray[np.float64] = self.belief["light"][0]  # belief in red, yellow, green
        self.reset()

    def reset(self) -> None:
        """Nothing seen yet."""
        self.belief[:] = np.zeros(1, BELIEF)
        for name in ("light_distance", "stop_distance", "light_age", "stop_age", "since_served"):
            self.belief[name] = inf

    def update(self, percept: Percept, speed: float, dt: float) -> float:
        """Takes one percept, the speed [m/s] and the time since the last one [s]. Returns how far it is from the front
        bumper to the next stop line that is surely there [m]; inf when there is none."""
        light, p = np.ascontiguousarray(percept.light, np.float64), percept
        said = float(p.light_distance), float(p.stop_prob), float(p.stop_distance)
        distance: float = self._update.call(self.belief, light, *said, float(speed), float(dt))
        return distance

    def coast(self, speed: float, dt: float) -> None:
        """Nothing new was seen for `dt` [s] at `speed` [m/s]."""
        _coast(self.belief, speed, dt)

    @property
    def light_distance(self) -> float:
        """To the line of the light that governs us [m]."""
        return float(self.belief["light_distance"][0])

    @property
    def stop(self) -> float:
        """Belief that an unserved stop sign governs us."""
        return float(self.belief["stop"][0])

    @property
    def stop_distance(self) -> float:
        """To its line [m]."""
        return float(self.belief["stop_distance"][0])

    @property
    def served(self) -> bool:
        """Whether the car has just stood before a stop sign and may go."""
        return bool(self.belief["since_served"][0] < SERVED_LENGTH)

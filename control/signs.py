"""What perception said about lights and stop signs, remembered over the last metres.

A light may leave the picture before its line is reached, and a network may lose it for some frames: the state is
kept while the car rolls on (the line's place is known from the odometer). A stop sign is served once the car stood
before it.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from roadcraft.perception.percept import Percept

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
SERVED_SPEED = 0.1  # m/s, the leaderboard's full stop
SERVED_BOX = 2.2  # m before the line, as seen, within which a stop serves the sign: the box that counts has 4 m
SERVED_LENGTH = 12.0  # m that a served sign stays served
INF = float("inf")


class Signs:
    """Call `update` once a tick. Distances are from the front bumper to the line [m], inf when there is none."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing seen yet."""
        self._gain = NEWS
        self.light = np.zeros(3)  # belief in red, yellow, green; sums to the belief that one governs us
        self.light_distance = INF
        self.stop = 0.0  # belief that an unserved stop sign governs us
        self.stop_distance = INF
        self._light_age = INF  # s since it was seen
        self._watched = 0.0  # s that it has been seen from where the car stands
        self._waited = 0.0  # s that the car has stood at red
        self._stop_age = INF
        self._since_served = INF  # m
        self._through = 0.0  # m of a junction left to drive through

    def update(self, percept: Percept | None, speed: float, dt: float) -> None:
        """Takes one percept (None: nothing new), the speed [m/s] and the time since the last one [s]."""
        moved = speed * dt if speed > RESTS else 0.0
        self._gain = min(NEWS, moved / NEWS_LENGTH)
        self.light_distance -= moved
        self.stop_distance -= moved
        self._light_age += dt
        self._stop_age += dt
        self._since_served += moved
        self._through = max(0.0, self._through - moved)
        if speed > ROLLS and self.light[2] > 0.5 and -PASSED < self.light_distance < COMMIT:
            self._through = JUNCTION
        elif speed < STANDS and 0.0 < self.light_distance < INF:
            self._through = 0.0  # something stopped it before the line: the light counts anew
        if percept is not None:
            self._see_light(percept)
            self._see_stop(percept, speed)
        waits = speed < STANDS and self.light[0] > 0.5 and self.light_distance < KEEP_BEFORE
        self._waited = self._waited + dt if waits else 0.0
        if self._waited > PATIENCE:
            self._through, self.light_distance = JUNCTION, INF
            self.light[:] = 0.0
        self._watched = 0.0 if speed > RESTS else self._watched + dt * (self._light_age == 0.0)
        standing = KEEP_WATCHED if self._watched > WATCHED else KEEP_STANDING
        keep = standing if speed < STANDS and self.light[0] > 0.5 else KEEP_TIME
        remembered = self._light_age < keep and -PASSED < self.light_distance < KEEP_BEFORE
        if self._light_age > 0.3 and not remembered:
            self.light *= 0.8
            if self.light.sum() < 0.1:
                self.light[:] = 0.0
                self.light_distance = INF
        if self.stop_distance < -PASSED or (self._stop_age > 0.5 and self.stop_distance > KEEP_BEFORE):
            self.stop, self.stop_distance = 0.0, INF

    @property
    def served(self) -> bool:
        """Whether the car has just stood before a stop sign and may go."""
        return self._since_served < SERVED_LENGTH

    @property
    def line_distance(self) -> float:
        """From the front bumper to the next stop line that is surely there [m]; inf when there is none."""
        light = self.light_distance if self.light.sum() > 0.6 and self._light_age < 0.2 else INF
        return min(light, self.stop_distance if self._stop_age < 0.2 else INF)

    def _see_light(self, percept: Percept) -> None:
        if percept.light[3] > 1.0 - GOVERNS or not isfinite(percept.light_distance):
            return
        if self._through > 0.0 and percept.light_distance < NEXT:
            return
        self._light_age = 0.0
        seen = percept.light[:3] / max(1e-6, float(percept.light[:3].sum()))
        fresh = self.light.sum() < 0.2 or abs(percept.light_distance - self.light_distance) > 15.0
        rate = GO_RATE if seen[2] > 0.5 > self.light[2] else RATE
        self.light = self.light + (0.7 if fresh else rate) * (seen - self.light)
        self.light_distance = (
            percept.light_distance if fresh else self._blend(self.light_distance, percept.light_distance)
        )

    def _see_stop(self, percept: Percept, speed: float) -> None:
        if percept.stop_prob > GOVERNS and isfinite(percept.stop_distance):
            fresh = self._stop_age > 1.0
            self._stop_age = 0.0
            new = percept.stop_distance
            self.stop_distance = (
                new if fresh or not isfinite(self.stop_distance) else self._blend(self.stop_distance, new)
            )
            self.stop += RATE * (percept.stop_prob - self.stop)
        elif self.stop_distance > KEEP_BEFORE:
            self.stop -= RATE * self.stop
        if speed < SERVED_SPEED and -PASSED < self.stop_distance < SERVED_BOX and self.stop > 0.3:
            self._since_served = 0.0
        if self.served:
            self.stop = 0.0

    def _blend(self, old: float, new: float) -> float:
        return old if old < UNSEEN else old + self._gain * (new - old)

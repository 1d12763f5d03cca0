"""Identities, smooth velocities and a memory for what is hidden: a bank of filters (`kalman.py`) over detections.

Positions live in an odometry frame (speed and yaw rate of the ego summed up), so that a standing car stands still.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception import kalman
from roadcraft.perception.detection import DETECTION
from roadcraft.perception.events import wrapped
from roadcraft.perception.percept import OBJECT, PATH_TIMES
from roadcraft.sim.kernels import njit

NEW, KEPT = 0.30, 0.15  # scores from which a detection begins a track, and from which it continues one
HOLD_HIDDEN, HOLD_BARE = 2.0, 0.5  # [s] that an object lives on when something covers it, and when nothing does
HOLD_FLICKER = 0.12  # [s] that one lives on which was not seen often
SEEN_OFTEN = 3  # detections after which an object is worth remembering
TRAIL = 40  # detections of each that are remembered: two seconds at 20 Hz
SIZES = 0.3  # log of the ratio of two boxes' heights that speaks as much against one object as a place one sigma off
AGE_OF_SIZE = 0.1  # [s] in which a remembered box's height is worth half
FAR = 120.0  # [m] beyond which nothing is followed
UNLIKE = 4.0  # squared sigmas from which a detection is not a track's

TRACK = np.dtype(
    [
        ("number", np.int32),
        ("hits", np.int32),
        ("seen", np.float64),  # [s] last
        ("mean", np.float64, 4),  # x, y [m], vx, vy [m/s], odometry frame
        ("cov", np.float64, (4, 4)),
        ("yaw", np.float64, 2),  # cosine and sine, odometry frame
        ("kinds", np.float64, 6),  # votes
        ("last", DETECTION),
        ("score", np.float64),
        ("covered", np.bool_),  # by another: it may be there though nothing is seen
        ("trail", np.float64, (TRAIL, 4)),  # newest first: time [s], x, y [m] in the odometry frame, log height of the
        # box [log pixels], NaN where the picture's edge cuts it; times are -inf before the first
    ],
    align=True,
)


class Tracker:
    """Detections in time order -> objects. Forgets all at `reset()`."""

    def __init__(self) -> None:
        self._table = np.zeros(64, TRACK)  # grows when it must
        self.reset()

    def reset(self) -> None:
        """Before the first frame."""
        self.tracks = self._table[:0]  # changed in place by the next call
        self._pose = np.zeros(3)
        self._time: float | None = None
        self._next = 1

    def __call__(
        self, detections: NDArray[np.void], time: float, speed: float, yaw_rate: float, half_fov: float
    ) -> NDArray[np.void]:
        """Objects (N,) OBJECT of a frame at `time` [s]; speed [m/s] and yaw rate [rad/s] are the ego's."""
        dt = 0.0 if self._time is None else max(time - self._time, 0.0)
        self._time = time
        self._move_ego(dt, speed, yaw_rate)
        count = len(self.tracks)
        if count + len(detections) > len(self._table):
            self._table = np.concatenate([self.tracks, np.zeros(count + len(detections), TRACK)])
        count, self._next = _step(self._table, count, self._next, self._pose, detections, time, dt)
        self.tracks = self._table[: _forget(self._table[:count], self._pose, time, half_fov)]
        objects = np.zeros(len(self.tracks), OBJECT)
        _publish(self.tracks, self._pose, time, objects)
        return objects

    def _move_ego(self, dt: float, speed: float, yaw_rate: float) -> None:
        middle = self._pose[2] + 0.5 * yaw_rate * dt
        self._pose += dt * speed * math.cos(middle), dt * speed * math.sin(middle), dt * yaw_rate

    @property
    def yaw(self) -> float:
        """The ego's heading in the odometry frame [rad]."""
        return float(self._pose[2])


@njit
def _to_ego(pose, x, y):  # type: ignore[no-untyped-def]
    """A vector of the odometry frame along the ego's axes."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    return c * x + s * y, c * y - s * x


@njit
def _step(table, count, number, pose, found, time, dt):  # type: ignore[no-untyped-def]
    """Moves `count` tracks on, corrects those that are seen and adds new ones behind them, numbered from `number` on;
    returns how many there now are and the next number."""
    if dt > 0.0:
        for i in range(count):
            kalman.predict(table[i].mean, table[i].cov, table[i].last.group, dt)
    track = _associate(found, table[:count], pose, time)
    z, r, gain, room = np.empty(4), np.empty((4, 4)), np.empty((4, 4)), np.empty((4, 4))
    for k in range(len(found)):
        d = found[k]
        if track[k] < 0 and d.score < NEW:
            continue
        kalman.measure(d, pose, z, r)
        if track[k] >= 0:
            t = table[track[k]]
            kalman.correct(t.mean, t.cov, z, r, dt, gain, room)
            _see(t, d, pose, time)
        else:
            t = table[count]
            kalman.begin(z, r, d.group, t.mean, t.cov)
            _meet(t, d, pose, time)
            t.number = number
            number, count = number + 1, count + 1
        _note(t, z, time)
    return count, number


@njit
def _associate(found, tracks, pose, time):  # type: ignore[no-untyped-def]
    """The track (N,) of each detection, -1 for none; the likeliest pairs find each other first."""
    track = np.full(len(found), -1)
    distance, bearing, height = np.empty(len(tracks)), np.empty(len(tracks)), np.empty(len(tracks))
    for j in range(len(tracks)):
        t = tracks[j]
        x, y = _to_ego(pose, t.mean[0] - pose[0], t.mean[1] - pose[1])
        distance[j], bearing[j], height[j] = math.hypot(x, y), math.atan2(y, x), _log_height(t.last)
    pairs = np.empty((len(found) * len(tracks), 2), np.int64)
    cost = np.empty(len(pairs))
    count = 0
    for i in range(len(found)):
        d = found[i]
        far, side, tall = math.hypot(d.xy_ego[0], d.xy_ego[1]), math.atan2(d.xy_ego[1], d.xy_ego[0]), _log_height(d)
        for j in range(len(tracks)):
            if d.group != tracks[j].last.group:
                continue
            age = min(time - tracks[j].seen, 2.0)
            along = (far - distance[j]) / (1.5 + 0.12 * far + 2.0 * age)
            across = wrapped(side - bearing[j]) * far / (0.5 + 0.015 * far + 1.5 * age)
            taller = (tall - height[j]) / SIZES
            unlike = along**2 + across**2 + taller**2 / (1.0 + age / AGE_OF_SIZE)
            if unlike <= UNLIKE:
                pairs[count, 0], pairs[count, 1], cost[count] = i, j, unlike
                count += 1
    taken = np.zeros(len(tracks), np.bool_)
    for k in np.argsort(cost[:count], kind="mergesort"):
        i, j = pairs[k]
        if track[i] < 0 and not taken[j]:
            track[i], taken[j] = j, True
    return track


@njit
def _log_height(d):  # type: ignore[no-untyped-def]
    """Of a DETECTION's box [log pixels]."""
    return math.log(max(d.box[3] - d.box[1], 2.0))


@njit
def _see(t, d, pose, time):  # type: ignore[no-untyped-def]
    """What a detection says of its track beside place and velocity."""
    t.hits += 1
    t.seen = time
    yaw = d.yaw_ego + pose[2]
    t.yaw[0], t.yaw[1] = 0.7 * t.yaw[0] + 0.3 * math.cos(yaw), 0.7 * t.yaw[1] + 0.3 * math.sin(yaw)
    for k in range(len(t.kinds)):
        t.kinds[k] *= 0.9
    t.kinds[d.kind] += d.score
    t.score = 0.5 * t.score + 0.5 * d.score
    length, width = 0.8 * t.last.size[0] + 0.2 * d.size[0], 0.8 * t.last.size[1] + 0.2 * d.size[1]
    t.last = d
    t.last.size[0], t.last.size[1] = length, width


@njit
def _meet(t, d, pose, time):  # type: ignore[no-untyped-def]
    """The same of the first detection of a track."""
    t.hits, t.seen, t.score = 1, time, d.score
    yaw = d.yaw_ego + pose[2]
    t.yaw[0], t.yaw[1] = math.cos(yaw), math.sin(yaw)
    t.kinds[:] = 0.0
    t.kinds[d.kind] = d.score
    t.last = d
    t.trail[:] = 0.0
    t.trail[:, 0] = -math.inf


@njit
def _note(t, z, time):  # type: ignore[no-untyped-def]
    """Adds a detection's place `z` and the size of its box, which is in `last`, to the trail."""
    trail = t.trail
    for i in range(TRAIL - 1, 0, -1):
        for k in range(4):
            trail[i, k] = trail[i - 1, k]
    trail[0, 0], trail[0, 1], trail[0, 2] = time, z[0], z[1]
    trail[0, 3] = math.nan if t.last.cut else _log_height(t.last)


@njit
def _forget(tracks, pose, time, half_fov):  # type: ignore[no-untyped-def]
    """Moves those who are still worth following to the front; how many."""
    count = len(tracks)
    far, bearing, half, unseen = np.empty(count), np.empty(count), np.empty(count), np.empty(count, np.bool_)
    for i in range(count):
        x, y = _to_ego(pose, tracks[i].mean[0] - pose[0], tracks[i].mean[1] - pose[1])
        far[i], bearing[i] = math.hypot(x, y), math.atan2(y, x)
        half[i] = 0.5 * tracks[i].last.size[0] / max(far[i], 2.0)
        unseen[i] = abs(bearing[i]) > half_fov - 0.03 or x < 6.0
        tracks[i].covered = False
    for j in range(count):
        if tracks[j].seen >= time:
            for i in range(count):
                tracks[i].covered |= far[j] < far[i] - 1.0 and abs(bearing[j] - bearing[i]) < half[j] + 0.02
    kept = 0
    for i in range(count):
        hold = HOLD_HIDDEN if unseen[i] or tracks[i].covered else HOLD_BARE
        if tracks[i].hits < SEEN_OFTEN:
            hold = HOLD_FLICKER
        if time - tracks[i].seen <= hold and far[i] < FAR:
            if kept < i:
                tracks[kept] = tracks[i]
            kept += 1
    return kept


@njit
def _publish(tracks, pose, time, objects):  # type: ignore[no-untyped-def]
    """Fills `objects` (N,) OBJECT."""
    for i in range(len(tracks)):
        t, o = tracks[i], objects[i]
        age = time - t.seen
        o.kind = np.argmax(t.kinds)
        for k in range(4):
            o.box[k] = t.last.box[k] if age <= 0.0 else 0.0
        o.xy_ego[0], o.xy_ego[1] = _to_ego(pose, t.mean[0] - pose[0], t.mean[1] - pose[1])
        vx, vy = _to_ego(pose, t.mean[2], t.mean[3])
        o.velocity_ego[0], o.velocity_ego[1] = vx, vy
        o.yaw_ego = wrapped(math.atan2(t.yaw[1], t.yaw[0]) - pose[2])
        o.size[0], o.size[1] = t.last.size[0], t.last.size[1]
        o.score = t.score * math.exp(-age / (HOLD_HIDDEN if t.covered else 1.0))
        o.track = t.number
        for k in range(len(PATH_TIMES)):
            ahead = PATH_TIMES[k]
            o.path_ego[k, 0] = o.xy_ego[0] + vx * ahead + t.last.bend[k, 0]
            o.path_ego[k, 1] = o.xy_ego[1] + vy * ahead + t.last.bend[k, 1]
            own = math.sqrt(t.cov[0, 0] + t.cov[2, 2] * ahead**2)
            o.path_sigma[k] = math.hypot(own, t.last.bend_sigma[k])

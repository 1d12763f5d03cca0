"""Identities, smooth velocities and a memory for what is hidden: a bank of Kalman filters over detections.

Positions live in an odometry frame (speed and yaw rate of the ego summed up), so that a standing car stands still. The
filter is the constant-velocity model with white acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.3); range and
bearing of a detection err differently and so does the velocity that the network reads from its own memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.percept import OBJECT, PATH_TIMES

# One row a detection of one frame, ego frame.
DETECTION = np.dtype(
    [
        ("kind", np.uint8),
        ("group", np.uint8),
        ("box", np.float32, 4),  # [pixels] of the camera's image
        ("cut", np.bool_),  # by the picture's edge
        ("xy_ego", np.float32, 2),  # [m]
        ("range_sigma", np.float32),  # [m]
        ("yaw_ego", np.float32),
        ("size", np.float32, 2),
        ("velocity_ego", np.float32, 2),  # [m/s] over ground
        ("velocity_sigma", np.float32),  # [m/s]
        ("score", np.float32),
        ("bend", np.float32, (len(PATH_TIMES), 2)),  # [m] of the path beside constant velocity
        ("bend_sigma", np.float32, len(PATH_TIMES)),
    ]
)

ACCEL = np.array([2.5, 2.0, 1.2])  # [m/s^2] how hard vehicles, cyclists and pedestrians manoeuvre
BEARING_SIGMA = 0.008  # [rad]
START_SPEED = np.array([6.0, 4.0, 1.5])  # [m/s] what a new object's speed may be
CORRELATION = 0.6  # [s] in which the network's error in a velocity forgets itself
NEW, KEPT = 0.30, 0.15  # scores from which a detection begins a track, and from which it continues one
HOLD_HIDDEN, HOLD_BARE = 2.0, 0.5  # [s] that an object lives on when something covers it, and when nothing does
SEEN_OFTEN = 3  # detections after which an object is worth remembering
TRAIL = 40  # detections of each that are remembered: two seconds at 20 Hz
SIZES = 0.3  # log of the ratio of two boxes' heights that speaks as much against one object as a place one sigma off
AGE_OF_SIZE = 0.1  # [s] in which a remembered box's height is worth half

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
        ("trail", np.float64, (TRAIL, 4)),  # newest first: time [s], x, y [m] in the odometry frame, log height of the
        # box [log pixels], NaN where the picture's edge cuts it; times are -inf before the first
    ]
)


class Tracker:
    """Detections in time order -> objects. Forgets all at `reset()`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Before the first frame."""
        self.tracks = np.zeros(0, TRACK)
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
        if dt > 0.0:
            self._predict(dt)
        pairs = self._associate(detections, time)
        self._update(detections, pairs, time, dt)
        self._begin(np.setdiff1d(np.arange(len(detections)), pairs[:, 0]), detections, time)
        self._forget(time, half_fov)
        return self._publish(time)

    def _move_ego(self, dt: float, speed: float, yaw_rate: float) -> None:
        middle = self._pose[2] + 0.5 * yaw_rate * dt
        self._pose += dt * np.array([speed * np.cos(middle), speed * np.sin(middle), yaw_rate])

    @property
    def yaw(self) -> float:
        """The ego's heading in the odometry frame [rad]."""
        return float(self._pose[2])

    def _rotation(self) -> NDArray[np.float64]:
        """Ego axes to odometry axes."""
        c, s = np.cos(self._pose[2]), np.sin(self._pose[2])
        return np.array([[c, -s], [s, c]])

    def _xy_ego(self) -> NDArray[np.float64]:
        return (self.tracks["mean"][:, :2] - self._pose[:2]) @ self._rotation()

    def _predict(self, dt: float) -> None:
        t = self.tracks
        step = np.eye(4)
        step[0, 2] = step[1, 3] = dt
        t["mean"] = t["mean"] @ step.T
        q = ACCEL[t["last"]["group"]] ** 2
        noise = np.kron([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]], np.eye(2))
        t["cov"] = step @ t["cov"] @ step.T + q[:, None, None] * noise

    def _associate(self, detections: NDArray[np.void], time: float) -> NDArray[np.int64]:
        """Pairs (K, 2) of detection and track, nearest first."""
        if not len(detections) or not len(self.tracks):
            return np.zeros((0, 2), np.int64)
        xy, at = self._xy_ego(), detections["xy_ego"].astype(float)
        range_d, range_t = np.hypot(*at.T)[:, None], np.hypot(*xy.T)[None]
        bearing = np.arctan2(at[:, 1], at[:, 0])[:, None] - np.arctan2(xy[:, 1], xy[:, 0])[None]
        aside = (bearing + np.pi) % (2 * np.pi) - np.pi
        age = np.minimum(time - self.tracks["seen"], 2.0)[None]
        along = (range_d - range_t) / (1.5 + 0.12 * range_d + 2.0 * age)
        across = aside * range_d / (0.5 + 0.015 * range_d + 1.5 * age)
        tall_d, tall_t = (np.maximum(b[:, 3] - b[:, 1], 2.0) for b in (detections["box"], self.tracks["last"]["box"]))
        taller = np.log(tall_d[:, None] / tall_t[None]) / SIZES
        cost = along**2 + across**2 + taller**2 / (1.0 + age / AGE_OF_SIZE)
        cost[detections["group"][:, None] != self.tracks["last"]["group"][None]] = np.inf
        cost[cost > 4.0] = np.inf
        pairs = []
        while np.isfinite(cost).any():
            d, t = np.unravel_index(int(np.argmin(cost)), cost.shape)
            pairs.append((d, t))
            cost[d], cost[:, t] = np.inf, np.inf
        return np.array(pairs, np.int64).reshape(-1, 2)

    def _measurement(self, d: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Detections as x, y, vx, vy (N, 4) in the odometry frame with covariances (N, 4, 4)."""
        turn = self._rotation()
        xy = d["xy_ego"].astype(float)
        distance = np.hypot(*xy.T)
        z = np.concatenate([xy @ turn.T + self._pose[:2], d["velocity_ego"].astype(float) @ turn.T], 1)
        sight = (xy / np.maximum(distance, 0.1)[:, None]) @ turn.T
        radial = sight[:, :, None] * sight[:, None, :]
        along = np.maximum(d["range_sigma"].astype(float), 0.15) ** 2
        across = (BEARING_SIGMA * distance + 0.1) ** 2
        r = np.zeros((len(d), 4, 4))
        r[:, :2, :2] = along[:, None, None] * radial + across[:, None, None] * (np.eye(2) - radial)
        r[:, 2:, 2:] = (np.maximum(d["velocity_sigma"].astype(float), 0.3) ** 2)[:, None, None] * np.eye(2)
        return z, r

    def _update(self, detections: NDArray[np.void], pairs: NDArray[np.int64], time: float, dt: float) -> None:
        if not len(pairs):
            return
        d, rows = detections[pairs[:, 0]], pairs[:, 1]
        t = self.tracks[rows]
        z, r = self._measurement(d)
        r[:, 2:, 2:] *= max(1.0, CORRELATION / max(dt, 1e-3))  # frames in a row repeat an error
        gain = t["cov"] @ np.linalg.inv(t["cov"] + r)
        t["mean"] += (gain @ (z - t["mean"])[:, :, None])[:, :, 0]
        t["cov"] = (np.eye(4) - gain) @ t["cov"]
        t["hits"] += 1
        t["seen"] = time
        yaw = d["yaw_ego"] + self._pose[2]
        t["yaw"] = 0.7 * t["yaw"] + 0.3 * np.stack([np.cos(yaw), np.sin(yaw)], -1)
        t["kinds"] *= 0.9
        t["kinds"][np.arange(len(t)), d["kind"]] += d["score"]
        t["score"] = 0.5 * t["score"] + 0.5 * d["score"]
        size = 0.8 * t["last"]["size"] + 0.2 * d["size"]
        t["last"] = d
        t["last"]["size"] = size
        _note(t, z, time)
        self.tracks[rows] = t

    def _begin(self, fresh: NDArray[np.int64], detections: NDArray[np.void], time: float) -> None:
        d = detections[fresh]
        d = d[d["score"] >= NEW]
        if not len(d):
            return
        t = np.zeros(len(d), TRACK)
        z, r = self._measurement(d)
        # The network's velocity, as far as it can be believed, beside "about still".
        prior = START_SPEED[d["group"]] ** 2
        noise = r[:, 2, 2]
        t["mean"][:, :2] = z[:, :2]
        t["mean"][:, 2:] = z[:, 2:] * (prior / (prior + noise))[:, None]
        t["cov"][:, :2, :2] = r[:, :2, :2]
        t["cov"][:, 2:, 2:] = (prior * noise / (prior + noise))[:, None, None] * np.eye(2)
        t["number"] = self._next + np.arange(len(d))
        self._next += len(d)
        t["hits"], t["seen"], t["score"] = 1, time, d["score"]
        yaw = d["yaw_ego"] + self._pose[2]
        t["yaw"] = np.stack([np.cos(yaw), np.sin(yaw)], -1)
        t["kinds"][np.arange(len(t)), d["kind"]] = d["score"]
        t["last"] = d
        t["trail"][..., 0] = -np.inf
        _note(t, z, time)
        self.tracks = np.concatenate([self.tracks, t])

    def _forget(self, time: float, half_fov: float) -> None:
        t = self.tracks
        if not len(t):
            return
        xy = self._xy_ego()
        distance, bearing = np.hypot(*xy.T), np.arctan2(xy[:, 1], xy[:, 0])
        age = time - t["seen"]
        half = 0.5 * t["last"]["size"][:, 0] / np.maximum(distance, 2.0)
        nearer = (age[None] <= 0.0) & (distance[None] < distance[:, None] - 1.0)
        covered = (nearer & (np.abs(bearing[None] - bearing[:, None]) < half[None] + 0.02)).any(1)
        outside = (np.abs(bearing) > half_fov - 0.03) | (xy[:, 0] < 6.0)
        hold = np.where(covered | outside, HOLD_HIDDEN, HOLD_BARE)
        hold = np.where(t["hits"] >= SEEN_OFTEN, hold, 0.12)
        self.tracks = t[(age <= hold) & (distance < 120.0)]

    def _publish(self, time: float) -> NDArray[np.void]:
        t = self.tracks
        out = np.zeros(len(t), OBJECT)
        turn = self._rotation()
        age = time - t["seen"]
        out["kind"] = t["kinds"].argmax(1)
        out["box"] = np.where(age[:, None] <= 0.0, t["last"]["box"], 0.0)
        out["xy_ego"] = self._xy_ego()
        out["velocity_ego"] = velocity = t["mean"][:, 2:] @ turn
        yaw = np.arctan2(t["yaw"][:, 1], t["yaw"][:, 0]) - self._pose[2]
        out["yaw_ego"] = (yaw + np.pi) % (2 * np.pi) - np.pi
        out["size"] = t["last"]["size"]
        out["score"] = t["score"] * np.exp(-age)
        out["track"] = t["number"]
        straight = out["xy_ego"][:, None] + velocity[:, None] * PATH_TIMES[:, None]
        out["path_ego"] = straight + t["last"]["bend"]
        own = np.sqrt(t["cov"][:, 0, 0][:, None] + t["cov"][:, 2, 2][:, None] * PATH_TIMES**2)
        out["path_sigma"] = np.hypot(own, t["last"]["bend_sigma"])
        return out


def _note(t: NDArray[np.void], z: NDArray[np.float64], time: float) -> None:
    """Adds a detection's place `z` (N, 4) and the size of its box, which is in `last`, to each trail."""
    last = t["last"]
    height = np.maximum(last["box"][:, 3] - last["box"][:, 1], 2.0).astype(float)
    t["trail"][:, 1:] = t["trail"][:, :-1].copy()
    t["trail"][:, 0, 0], t["trail"][:, 0, 1:3] = time, z[:, :2]
    t["trail"][:, 0, 3] = np.where(last["cut"], np.nan, np.log(height))

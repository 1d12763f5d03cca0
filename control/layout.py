"""The vector that the policy sees: its parts by name, in their order.

Normalised, clipped to [-1, 1], mirror symmetric (see `mirrored`). The hash of LAYOUT goes into a policy's card.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

AT = np.array([3, 6, 10, 15, 20, 30, 40, 55])  # m along the path where it is looked at
RAMPS = np.array([-4.0, -2.0, 0.0, 2.0])  # m/s^2 tried for when they would meet somebody
VEHICLES, WALKERS = 4, 2  # nearest others that are given one by one

LAYOUT = (
    ("ego", 6),  # speed, longitudinal acceleration, yaw rate, steering, the last action
    ("command", 6),  # one of LEFT RIGHT STRAIGHT FOLLOW CHANGE_LEFT CHANGE_RIGHT
    ("path_y", len(AT)),
    ("path_yaw", len(AT)),
    ("path_curvature", len(AT)),
    ("path", 6),  # lateral offset, heading, pursuit's steering, curve speed, its excess over the speed, metres left
    ("lines_y", 4),  # of the four lane lines, 10 m ahead
    ("lines_prob", 4),
    ("lines_mark", 4),  # 1 broken, -1 solid, 0 not seen
    ("localisation", 3),  # lane centre minus plan, sigma along and across
    ("lead", 5),  # gap, speed, closing speed, walker, the acceleration that follows it
    ("ramps", len(RAMPS)),  # when each would meet somebody
    ("crossing", 3),  # safe acceleration, station and moment of the first conflict at present speed
    ("light", 8),  # red, yellow, green, distance, stopping acceleration, needed deceleration, within reach, keep clear
    ("stop", 4),  # belief, distance, stopping acceleration, served
    ("vehicles", 6 * VEHICLES),
    ("walkers", 5 * WALKERS),
    ("percept", 7),  # events, confidence, age
    ("advice", 1),  # the least of the accelerations above
)
SIZE = sum(size for _, size in LAYOUT)
LAYOUT_HASH = hashlib.sha256(repr((LAYOUT, AT.tolist(), RAMPS.tolist())).encode()).hexdigest()[:16]


def part(name: str) -> slice:
    """Where a named part of LAYOUT stands in the vector."""
    start = 0
    for key, size in LAYOUT:
        if key == name:
            return slice(start, start + size)
        start += size
    raise KeyError(name)


def mirrored(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector of the same scene seen in a mirror: left and right exchanged. Its own inverse."""
    out = vector.copy()
    ego, command = part("ego").start, part("command").start
    out[..., [ego + 2, ego + 3, ego + 4]] *= -1
    left_right = [command + 0, command + 1, command + 4, command + 5]
    out[..., left_right] = vector[..., [command + 1, command + 0, command + 5, command + 4]]
    for name in ("path_y", "path_yaw", "path_curvature"):
        out[..., part(name)] *= -1
    path, place = part("path").start, part("localisation").start
    out[..., [path, path + 1, path + 2, place]] *= -1
    out[..., part("lines_y")] = -vector[..., part("lines_y")][..., ::-1]
    for name in ("lines_prob", "lines_mark"):
        out[..., part(name)] = vector[..., part(name)][..., ::-1]
    for i in range(VEHICLES):
        row = part("vehicles").start + 6 * i
        out[..., [row + 1, row + 3, row + 4]] *= -1
    for i in range(WALKERS):
        row = part("walkers").start + 5 * i
        out[..., [row + 1, row + 3]] *= -1
    return out

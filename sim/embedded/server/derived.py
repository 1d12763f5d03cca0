"""Cameras whose pixels follow from those of others: normals from depth, optical flow from depth and motion, events
from two photographs.

They agree with the cameras that they are derived from because they are computed from the same pictures. What is worn
and swung (limbs, wheels) moves with its body as one rigid thing in the flow.
"""

# Kernels take arrays whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.cameras import Camera
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import njit

if TYPE_CHECKING:
    from roadcraft.sim.embedded.render import Images, View
    from roadcraft.sim.embedded.server.live import LiveWorld

SKY = 999.0  # [m] from which a pixel shows nothing
MOST_FLOW = 2.0  # CARLA's range, in half images
LEAST_THRESHOLD = 0.01  # of an event camera
MOST_EVENTS = 2_000_000  # in one message; the rest comes with the next
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("polarity", "u1")])  # packed, 13 bytes


# ------------------------------------------------------------------------------------------------------- normals
@njit
def _slope(here, before, after):
    """The smaller of the two differences to the neighbours (negative: there is none), which crosses no edge."""
    back, ahead = here - before, after - here
    if before < 0.0:
        return ahead
    return back if after < 0.0 or abs(back) < abs(ahead) else ahead


@njit
def normals(depth, focal, axes, out):
    """Unit normals of a depth image (H, W) [m] into R, G, B of `out` (H, W, 4) BGRA: CARLA's world x, y, z from
    [-1, 1] to [0, 255]; the sky has none: (128, 128, 128).

    On a plane n . P = d with P = z (u, v, 1) the inverse depth is linear, 1/z = n . (u, v, 1) / d, so that its slopes
    along u and v are the normal, without error however steep the plane.
    """
    height, width = depth.shape
    for i in range(height):
        v = (i + 0.5 - height / 2) / focal
        for j in range(width):
            out[i, j, :3] = 128
            if depth[i, j] > SKY:
                continue
            u, here = (j + 0.5 - width / 2) / focal, 1.0 / depth[i, j]
            left = 1.0 / depth[i, j - 1] if j > 0 else -1.0
            right = 1.0 / depth[i, j + 1] if j + 1 < width else -1.0
            above = 1.0 / depth[i - 1, j] if i > 0 else -1.0
            below = 1.0 / depth[i + 1, j] if i + 1 < height else -1.0
            a, b = focal * _slope(here, left, right), focal * _slope(here, above, below)
            c = here - a * u - b * v
            # d > 0 would be a plane seen from behind, hence the sign: normals look at the camera.
            length = -np.sqrt(a * a + b * b + c * c)
            for k in range(3):
                n = (a * axes[0, k] + b * axes[1, k] + c * axes[2, k]) / length
                out[i, j, 2 - k] = np.uint8(round(127.5 + 127.5 * (-n if k == 1 else n)))


class NormalsCamera(Camera):
    """The direction in which each surface looks."""

    needs = frozenset({"depth"})

    def encode(self, images: Images, view: View, live: LiveWorld, actor: Actor) -> memoryview:
        pixels = self.canvas()
        normals(images.depth, view.focal, view.axes, pixels)
        return pixels.data.cast("B")


# ---------------------------------------------------------------------------------------------------------- flow
@njit
def flow(depth, instance, focal, place, axes, old_place, old_axes, slot, turns, shifts, out):
    """Motion of each pixel since the camera's last picture into `out` (H, W, 2), in CARLA's units: x to the right in
    half widths, y up in half heights.

    A point at world P now was at turns[s] P + shifts[s], s = slot[its body's id]; slot 0 is what stands still.
    """
    height, width = depth.shape
    ray, point, old = np.empty(3), np.empty(3), np.empty(3)
    for i in range(height):
        for j in range(width):
            u, v = (j + 0.5 - width / 2) / focal, (i + 0.5 - height / 2) / focal
            for k in range(3):
                ray[k] = u * axes[0, k] + v * axes[1, k] + axes[2, k]
            if depth[i, j] > SKY:
                old[:] = ray  # infinitely far: only turning moves it
            else:
                owner = instance[i, j]
                s = slot[owner] if owner < len(slot) else 0
                for k in range(3):
                    point[k] = place[k] + depth[i, j] * ray[k]
                for k in range(3):
                    old[k] = shifts[s, k] - old_place[k]
                    for m in range(3):
                        old[k] += turns[s, k, m] * point[m]
            x, y, z = 0.0, 0.0, 0.0
            for k in range(3):
                x, y, z = x + old_axes[0, k] * old[k], y + old_axes[1, k] * old[k], z + old_axes[2, k] * old[k]
            out[i, j, 0], out[i, j, 1] = 0.0, 0.0
            if z > 1e-3:
                out[i, j, 0] = min(max((u - x / z) * focal / (width / 2), -MOST_FLOW), MOST_FLOW)
                out[i, j, 1] = min(max((y / z - v) * focal / (height / 2), -MOST_FLOW), MOST_FLOW)


def _rotations(bodies: NDArray[np.void]) -> NDArray[np.float64]:
    """(B, 3, 3) from bodies' axes to the world's: Rz(yaw) Ry(pitch) Rx(roll)."""
    cy, sy, cp, sp = np.cos(bodies["yaw"]), np.sin(bodies["yaw"]), np.cos(bodies["pitch"]), np.sin(bodies["pitch"])
    cr, sr = np.cos(bodies["roll"]), np.sin(bodies["roll"])
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def motions(
    now: NDArray[np.void], before: NDArray[np.void]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """slot (by id), turns (S, 3, 3) and shifts (S, 3) of `flow` for bodies that were there before; others stand."""
    now, before = now[now["id"] > 0], before[before["id"] > 0]
    _, here, there = np.intersect1d(now["id"], before["id"], return_indices=True)
    now, before = now[here], before[there]
    slot = np.zeros(int(now["id"].max(initial=0)) + 1, np.int64)
    slot[now["id"]] = 1 + np.arange(len(now))
    turns, shifts = np.tile(np.eye(3), (len(now) + 1, 1, 1)), np.zeros((len(now) + 1, 3))
    turns[1:] = _rotations(before) @ np.swapaxes(_rotations(now), 1, 2)
    shifts[1:] = before["xyz"] - (turns[1:] @ now["xyz"][..., None])[..., 0]
    return slot, turns, shifts


class FlowCamera(Camera):
    """How far each pixel came since this camera's last picture; nothing in the first."""

    needs = frozenset({"depth", "instance"})

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        self.last: tuple[View, NDArray[np.void]] | None = None
        self.motion = np.zeros((self.height, self.width, 2), np.float32)

    def rest(self) -> None:
        self.last = None

    def encode(self, images: Images, view: View, live: LiveWorld, actor: Actor) -> memoryview:
        bodies = live.simulation.bodies[["id", "xyz", "yaw", "pitch", "roll"]].copy()
        old, before = self.last or (view, bodies)
        self.last = (view, bodies)
        place, old_place = np.array(view.xyz, np.float64), np.array(old.xyz, np.float64)
        flow(
            images.depth, images.instance, view.focal, place, view.axes, old_place, old.axes,
            *motions(bodies, before), self.motion,
        )  # fmt: skip
        return self.motion.data.cast("B")


# -------------------------------------------------------------------------------------------------------- events
@njit
def brightness(rgb, by_log, epsilon, out):
    """(H, W, 3) RGB to luma in [0, 1] (ITU-R BT.601), or to the logarithm of it."""
    for i in range(rgb.shape[0]):
        for j in range(rgb.shape[1]):
            luma = (0.299 * rgb[i, j, 0] + 0.587 * rgb[i, j, 1] + 0.114 * rgb[i, j, 2]) / 255.0
            out[i, j] = log(epsilon + luma) if by_log else luma


@njit
def fire(old, new, reference, thresholds, begin, duration, rest, last, events):
    """Events of pixels whose brightness goes from `old` to `new` (H, W) along a straight line in `duration` [ns].

    A pixel fires each time that it is a threshold away from its reference, which then moves there; within `rest` [ns]
    after an event it moves without one. thresholds (2, H, W): of growing and of falling light. Returns how many events
    were written to `events`; when it is full, references stay for the next time.
    """
    count = 0
    for i in range(old.shape[0]):
        for j in range(old.shape[1]):
            change = new[i, j] - old[i, j]
            if change == 0.0:
                continue
            up = change > 0.0
            step = thresholds[0, i, j] if up else -thresholds[1, i, j]
            while count < len(events):
                level = reference[i, j] + step
                if (up and level > new[i, j]) or (not up and level < new[i, j]):
                    break
                share = min(max((level - old[i, j]) / change, 0.0), 1.0)
                time = begin + np.int64(share * duration)
                reference[i, j] = level
                if time - last[i, j] >= rest:
                    last[i, j] = time
                    events[count]["x"], events[count]["y"], events[count]["t"] = j, i, time
                    events[count]["polarity"] = 1 if up else 0
                    count += 1
    return count


class EventCamera(Camera):
    """A dynamic vision sensor: events where the light changed since the last picture, in the order of their times."""

    needs = frozenset({"rgb"})

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        names = ("positive_threshold", "negative_threshold")
        self.thresholds = [actor.number(name) for name in names]
        self.sigmas = [actor.number(f"sigma_{name}") for name in names]
        self.rest_ns, self.epsilon = int(actor.number("refractory_period_ns")), actor.number("log_eps")
        self.by_log = actor.attributes["use_log"].lower() in ("true", "1")
        if not (min(self.thresholds) >= LEAST_THRESHOLD and min(self.sigmas) >= 0 and self.rest_ns >= 0):
            raise UserError(
                f"{actor.type_id}: thresholds must be at least {LEAST_THRESHOLD}, "
                "their sigmas and refractory_period_ns not negative"
            )
        if self.by_log and not self.epsilon > 0:
            raise UserError(f"{actor.type_id}: log_eps = {self.epsilon:g} must be positive")
        self.old: NDArray[np.float64] | None = None
        self.buffer = np.zeros(0, EVENT)

    def rest(self) -> None:
        self.old = None

    def encode(self, images: Images, view: View, live: LiveWorld, actor: Actor) -> bytes:
        new = np.empty((self.height, self.width))
        brightness(images.rgb, self.by_log, self.epsilon, new)
        now, old, self.old = round(live.simulation.time * 1e9), self.old, new
        if old is None:
            self.rng = np.random.default_rng(actor.id)
            self.reference, self.then = new.copy(), now
            self.fired = np.full(new.shape, -self.rest_ns, np.int64)
            self.buffer = np.zeros(min(MOST_EVENTS, 64 * new.size), EVENT)
            return b""
        thresholds = np.empty((2, *new.shape))
        for k, sigma in enumerate(self.sigmas):
            thresholds[k] = self.thresholds[k]
            if sigma > 0:
                thresholds[k] += self.rng.normal(0.0, sigma, new.shape)
        np.maximum(thresholds, LEAST_THRESHOLD, out=thresholds)
        span, self.then = now - self.then, now
        count = fire(
            old, new, self.reference, thresholds, now - span, span, self.rest_ns, self.fired, self.buffer
        )  # fmt: skip
        found = self.buffer[:count]
        return found[np.argsort(found["t"], kind="stable")].tobytes()

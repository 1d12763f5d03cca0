"""Cameras whose pixels follow from those of others: normals from depth, optical flow from depth and motion, events
from two photographs, a picture of the traffic from tags.

They agree with the cameras that they are derived from because they are computed from the same pictures.
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
from roadcraft.sim.embedded.server.flow import SKY, Motion
from roadcraft.sim.embedded.server.wire import CITY_TAGS
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import njit

if TYPE_CHECKING:
    from roadcraft.sim.embedded.render import Images, View
    from roadcraft.sim.embedded.server.live import LiveWorld

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


# --------------------------------------------------------------------------------------------------------- traffic
_COLORS = {  # RGB, as Cityscapes has them
    "road_lines": (157, 234, 50), "pedestrians": (220, 20, 60), "rider": (255, 0, 0), "car": (0, 0, 142),
    "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100), "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32), "traffic_light": (250, 170, 30), "traffic_signs": (220, 220, 0),
}  # fmt: skip
PAINT = np.zeros((256, 3), np.uint8)  # BGR by tag
for _name, _rgb in _COLORS.items():
    PAINT[CITY_TAGS[_name]] = _rgb[::-1]


class CosmosCamera(Camera):
    """What matters to traffic, in plain colours on black."""

    needs = frozenset({"semantic"})

    def encode(self, images: Images, view: View, live: LiveWorld, actor: Actor) -> memoryview:
        pixels = self.canvas()
        pixels[..., :3] = PAINT[images.semantic]
        return pixels.data.cast("B")


# ---------------------------------------------------------------------------------------------------------- flow
class FlowCamera(Camera):
    """How far each pixel came since this camera's last picture; nothing in the first."""

    needs = frozenset({"depth", "instance"})

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        self.motion = Motion(self.width, self.height)

    def rest(self) -> None:
        self.motion.rest()

    def encode(self, images: Images, view: View, live: LiveWorld, actor: Actor) -> memoryview:
        self.motion.measure(images, view, live)
        return self.motion.pixels.data.cast("B")


# -------------------------------------------------------------------------------------------------------- events
@njit
def brightness(rgb, by_log, epsilon, out):
    """(H, W, 3) RGB to luma in [0, 255] (ITU-R BT.601), or to the logarithm of its share of 255; both as in CARLA."""
    for i in range(rgb.shape[0]):
        for j in range(rgb.shape[1]):
            luma = 0.299 * rgb[i, j, 0] + 0.587 * rgb[i, j, 1] + 0.114 * rgb[i, j, 2]
            out[i, j] = log(epsilon + luma / 255.0) if by_log else luma


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
        self.by_log = actor.flag("use_log")
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

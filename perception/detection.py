"""Objects of one frame alone: what the published heads say at their peaks, as rows in the ego frame, compiled."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.events import wrapped
from roadcraft.perception.heads import FIELDS
from roadcraft.perception.percept import PATH_TIMES
from roadcraft.perception.view import REFERENCE_FOCAL, STRIDE, Fitter
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import Camera

Heads = dict[str, NDArray[np.float32]]  # of one frame, without a batch dimension
MOST = 60  # detections of a frame
OVERLAP = 0.6  # IoU from which two boxes of one class are one object
INSIDE, AS_FAR = 0.7, 0.2  # share of the smaller box in the larger, and of the distance, within which they are too
CUT = 0.5  # [pixels] that a box reaches beyond the picture when it is cut
NEAREST = 1.5  # [m] depth of a footprint's corner, at least: nearer ones are below the picture

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
    ],
    align=True,
)
# A camera as the kernels read it.
LENS = np.dtype(
    [
        ("width", np.float64),  # [pixels]
        ("height", np.float64),  # [pixels]
        ("focal", np.float64),  # [pixels]
        ("xyz_ego", np.float64, 3),  # [m]
        ("pitch", np.float64),  # [rad]
        ("scale", np.float64),  # camera's pixels in one of the network's input
        ("shift", np.float64),  # rows by which the input stands lower
    ],
    align=True,
)
_AT = dict(zip(FIELDS, np.cumsum([0, *FIELDS.values()]).tolist(), strict=False))
_OFFSET, _BOX, _DEPTH, _DEPTH_SIGMA = _AT["offset"], _AT["log_box"], _AT["log_depth"], _AT["log_depth_sigma"]
_COLUMN, _SIZE, _HEADING, _VELOCITY = _AT["column"], _AT["log_size"], _AT["heading"], _AT["velocity"]
_VELOCITY_SIGMA, _KIND, _BEND, _BEND_SIGMA = (
    _AT["log_velocity_sigma"],
    _AT["kind"],
    _AT["bend"],
    _AT["log_bend_sigma"],
)
_GROUP_OF_KIND = np.array([0, 0, 0, 1, 1, 2])


def detections(heads: Heads, camera: Camera, fitter: Fitter, least: float) -> NDArray[np.void]:
    """Objects of this frame alone (N,) DETECTION, best first, with scores of at least `least`."""
    out = np.zeros(MOST, DETECTION)
    return out[: _detect(heads["peaks"], heads["objects"], lens(camera, *fitter.to_camera(camera)), least, out)]


@lru_cache(maxsize=64)
def lens(camera: Camera, scale: float = 1.0, shift: float = 0.0) -> NDArray[np.void]:
    """(1,) LENS of a camera; scale and shift as `Fitter.to_camera` says them."""
    focal, place = camera.focal, camera.xyz_ego
    return np.array([(camera.width, camera.height, focal, place, camera.pitch, scale, shift)], LENS)


@njit
def _detect(peaks, objects, lenses, least, out):  # type: ignore[no-untyped-def]
    """Fills rows of `out` (MOST,) DETECTION and returns how many."""
    view = lenses[0]
    cells = _best(peaks, least, len(out))
    count = len(cells)
    for i in range(count):
        group, row, col = cells[i]
        _read(objects[:, row, col], group, row, col, view, out[i])
        out[i].score = peaks[group, row, col]
    aside = back_into_box(lenses, out[:count])
    for i in range(count):
        out[i].xy_ego[1] += aside[i]
    kept = distinct(out[:count])
    for k in range(len(kept)):
        if kept[k] > k:
            out[k] = out[kept[k]]
    return len(kept)


@njit
def _best(peaks, least, most):  # type: ignore[no-untyped-def]
    """Group, row and column (N, 3) of the highest peaks above `least`, best first, `most` at most."""
    cells = np.empty((most, 3), np.int64)
    scores = np.empty(most)
    count = 0
    for group in range(peaks.shape[0]):
        for row in range(peaks.shape[1]):
            for col in range(peaks.shape[2]):
                score = peaks[group, row, col]
                if not score > least or (count == most and score <= scores[most - 1]):
                    continue
                at = min(count, most - 1)
                while at > 0 and scores[at - 1] < score:
                    scores[at] = scores[at - 1]
                    cells[at] = cells[at - 1]
                    at -= 1
                scores[at] = score
                cells[at, 0], cells[at, 1], cells[at, 2] = group, row, col
                count = min(count + 1, most)
    return cells[:count]


@njit
def _exp(value, low, high):  # type: ignore[no-untyped-def]
    """The exponential of a value clipped to what the network was taught to say."""
    return math.exp(min(max(value, low), high))


@njit
def _read(said, group, row, col, view, d):  # type: ignore[no-untyped-def]
    """Fills a DETECTION, but for its score, with what is `said` (sum(FIELDS),) at a cell."""
    u, v = col + 0.5 + said[_OFFSET], row + 0.5 + said[_OFFSET + 1]
    half_width, half_height = _exp(said[_BOX], -3.0, 5.0) / 2, _exp(said[_BOX + 1], -3.0, 5.0) / 2
    d.cut = False
    for k in range(4):
        if k % 2 == 0:
            edge, most = (u + (k - 1) * half_width) * STRIDE * view.scale, view.width
        else:
            edge, most = ((v + (k - 2) * half_height) * STRIDE - view.shift) * view.scale, view.height
        d.box[k] = min(max(edge, 0.0), most)
        d.cut |= abs(edge - d.box[k]) > CUT
    depth = _exp(said[_DEPTH], -1.0, 5.5) * (view.focal / view.scale / REFERENCE_FOCAL)
    column = (col + 0.5 + said[_COLUMN]) * (STRIDE * view.scale)
    x = (depth - math.sin(view.pitch) * view.xyz_ego[2]) / math.cos(view.pitch) + view.xyz_ego[0]
    y = (view.width / 2 - column) * depth / view.focal + view.xyz_ego[1]
    d.xy_ego[0], d.xy_ego[1] = x, y
    d.range_sigma = depth * _exp(said[_DEPTH_SIGMA], -4.0, 1.0) * 1.4
    d.yaw_ego = wrapped(math.atan2(said[_HEADING + 1], said[_HEADING]) + math.atan2(y, x))
    for k in range(2):
        d.size[k] = _exp(said[_SIZE + k], -2.0, 3.0)
        d.velocity_ego[k] = said[_VELOCITY + k] * 10.0
    d.velocity_sigma = _exp(said[_VELOCITY_SIGMA], -4.0, 1.0) * 14.0
    d.group, best = group, -math.inf
    for k in range(len(_GROUP_OF_KIND)):
        if _GROUP_OF_KIND[k] == group and said[_KIND + k] > best:
            d.kind, best = k, said[_KIND + k]
    for k in range(len(PATH_TIMES)):
        d.bend[k, 0], d.bend[k, 1] = said[_BEND + 2 * k], said[_BEND + 2 * k + 1]
        d.bend_sigma[k] = _exp(said[_BEND_SIGMA + k], -4.0, 3.0) * 1.4


@njit
def back_into_box(lenses: NDArray[np.void], found: NDArray[np.void]) -> NDArray[np.float64]:
    """How far aside (N,) [m] each object must go so that its footprint keeps to its box's side of the picture.

    A box that lies wholly to the right of the middle ends, on its left, where the object ends; a footprint that
    reaches further to the left than that is a footprint in the way which nobody sees there. Cars cut off by the
    picture's edge have the worst footprints and stand nearest.
    """
    view = lenses[0]
    aside = np.zeros(len(found))
    cp, sp = math.cos(view.pitch), math.sin(view.pitch)
    for i in range(len(found)):
        d = found[i]
        left = (view.width / 2 - d.box[0]) / view.focal  # slopes of the box's edges, to the left
        right = (view.width / 2 - d.box[2]) / view.focal
        if left >= 0.0 and right <= 0.0:
            continue  # across the middle
        on_the_right = left < 0.0
        c, s = math.cos(d.yaw_ego), math.sin(d.yaw_ego)
        inner, inner_depth = -math.inf if on_the_right else math.inf, NEAREST
        for k in range(4):
            along, across = 0.5 * d.size[0] * (2 * (k // 2) - 1), 0.5 * d.size[1] * (2 * (k % 2) - 1)
            x = d.xy_ego[0] + c * along - s * across - view.xyz_ego[0]
            y = d.xy_ego[1] + s * along + c * across - view.xyz_ego[1]
            depth = max(cp * x + sp * view.xyz_ego[2], NEAREST)
            if y / depth > inner if on_the_right else y / depth < inner:
                inner, inner_depth = y / depth, depth
        too_far = max(inner - left, 0.0) if on_the_right else min(inner - right, 0.0)
        aside[i] = -too_far * inner_depth
    return aside


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], -1), np.prod(b[:, 2:] - b[:, :2], -1)
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-6), float)


@njit
def distinct(found: NDArray[np.void]) -> NDArray[np.int64]:
    """Rows that no better one of the same class covers; rows come best first. A box that lies in a better one's, as
    far away, is a part of the same object: near ones have several peaks."""
    kept = np.empty(len(found), np.int64)
    count = 0
    for i in range(len(found)):
        covered = False
        for k in range(count):
            covered = covered or _same(found[kept[k]], found[i])
        if not covered:
            kept[count] = i
            count += 1
    return kept[:count]


@njit
def _same(a, b):  # type: ignore[no-untyped-def]
    """Whether two DETECTIONs are of one object."""
    if a.group != b.group:
        return False
    width = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    height = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    shared = max(width, 0.0) * max(height, 0.0)
    area_a = (a.box[2] - a.box[0]) * (a.box[3] - a.box[1])
    area_b = (b.box[2] - b.box[0]) * (b.box[3] - b.box[1])
    if shared > OVERLAP * max(area_a + area_b - shared, 1e-6):
        return True
    far_a, far_b = math.hypot(a.xy_ego[0], a.xy_ego[1]), math.hypot(b.xy_ego[0], b.xy_ego[1])
    return shared > INSIDE * min(area_a, area_b) and abs(far_a - far_b) < AS_FAR * min(far_a, far_b)

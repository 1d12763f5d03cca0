"""Published heads to a percept, numpy only, shared by all engines. `network.publish` says what the heads are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.corridor import corridor
from roadcraft.perception.foresight import Foresight
from roadcraft.perception.heads import FIELDS, SCENE
from roadcraft.perception.percept import OBJECT, PATH_TIMES, Percept
from roadcraft.perception.projection import camera_frame, corners, ground_from_column, lane_depth
from roadcraft.perception.tracker import DETECTION, KEPT, NEW, Tracker
from roadcraft.perception.view import REFERENCE_FOCAL, STRIDE, Fitter
from roadcraft.sim.messages import LANE_X, Camera, Mark, Observation

Heads = dict[str, NDArray[np.float32]]  # of one frame, without a batch dimension
MOST = 60  # detections of a frame
OVERLAP = 0.6  # IoU from which two boxes of one class are one object
INSIDE, AS_FAR = 0.7, 0.2  # share of the smaller box in the larger, and of the distance, within which they are too
CUT = 0.5  # [pixels] that a box reaches beyond the picture when it is cut
LANE_SEEN = 0.5  # probability from which a lane point is given
NEAREST = 1.5  # [m] depth of a footprint's corner, at least: nearer ones are below the picture
LIGHT_SEEN = 0.5  # probability of any light from which a distance is given
_AT = dict(zip(FIELDS, np.cumsum([0, *FIELDS.values()]).tolist(), strict=False))
_SCENE_AT = dict(zip(SCENE, np.cumsum([0, *SCENE.values()]).tolist(), strict=False))


def _part(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Columns of one of FIELDS from rows (N, sum(FIELDS))."""
    return values[:, _AT[name] : _AT[name] + FIELDS[name]]


def detections(heads: Heads, camera: Camera, fitter: Fitter, least: float = KEPT) -> NDArray[np.void]:
    """Objects of this frame alone (N,) DETECTION, best first, with scores of at least `least`."""
    peaks = heads["peaks"]
    group, row, col = np.nonzero(peaks > least)
    score = peaks[group, row, col]
    order = np.argsort(-score)[:MOST]
    group, row, col, score = group[order], row[order], col[order], score[order]
    said = heads["objects"][:, row, col].T
    scale, shift = fitter.to_camera(camera)
    out = np.zeros(len(order), DETECTION)
    centre = np.stack([col + 0.5, row + 0.5], -1) + _part(said, "offset")
    half = np.exp(np.clip(_part(said, "log_box"), -3.0, 5.0)) / 2
    box = np.concatenate([centre - half, centre + half], 1) * STRIDE
    box[:, 1::2] -= shift
    whole = box * scale
    out["box"] = np.clip(whole, 0, [camera.width, camera.height] * 2)
    out["cut"] = (np.abs(whole - out["box"]) > CUT).any(1)
    focal = camera.focal / scale  # [input pixels]
    depth = np.exp(np.clip(_part(said, "log_depth")[:, 0], -1.0, 5.5)) * (focal / REFERENCE_FOCAL)
    column = np.asarray(col + 0.5 + _part(said, "column")[:, 0], float) * (STRIDE * scale)
    xy = ground_from_column(camera, column, depth)
    out["xy_ego"] = xy
    out["range_sigma"] = depth * np.exp(np.clip(_part(said, "log_depth_sigma")[:, 0], -4.0, 1.0)) * 1.4
    heading = _part(said, "heading")
    yaw = np.arctan2(heading[:, 1], heading[:, 0]) + np.arctan2(xy[:, 1], xy[:, 0])
    out["yaw_ego"] = (yaw + np.pi) % (2 * np.pi) - np.pi
    out["size"] = np.exp(np.clip(_part(said, "log_size"), -2.0, 3.0))
    out["velocity_ego"] = _part(said, "velocity") * 10.0
    out["velocity_sigma"] = np.exp(np.clip(_part(said, "log_velocity_sigma")[:, 0], -4.0, 1.0)) * 14.0
    out["xy_ego"][:, 1] += back_into_box(camera, out)
    kind = _part(said, "kind").copy()
    kind[_GROUP_OF_KIND[None] != group[:, None]] = -np.inf
    out["kind"], out["group"], out["score"] = kind.argmax(1), group, score
    out["bend"] = _part(said, "bend").reshape(-1, len(PATH_TIMES), 2)
    out["bend_sigma"] = np.exp(np.clip(_part(said, "log_bend_sigma"), -4.0, 3.0)) * 1.4
    return out[distinct(out)]


_GROUP_OF_KIND = np.array([0, 0, 0, 1, 1, 2])


def back_into_box(camera: Camera, found: NDArray[np.void]) -> NDArray[np.float64]:
    """How far aside (N,) [m] each object must go so that its footprint keeps to its box's side of the picture.

    A box that lies wholly to the right of the middle ends, on its left, where the object ends; a footprint that
    reaches further to the left than that is a footprint in the way which nobody sees there. Cars cut off by the
    picture's edge have the worst footprints and stand nearest.
    """
    box = found["box"].astype(float)
    flat = np.concatenate([0.5 * found["size"].astype(float), np.zeros((len(found), 1))], 1)
    ground = np.concatenate([found["xy_ego"].astype(float), np.zeros((len(found), 1))], 1)
    points = camera_frame(camera, corners(ground, found["yaw_ego"].astype(float), flat))
    depth = np.maximum(points[..., 0], NEAREST)
    slope = points[..., 1] / depth  # to the left
    edges = (camera.width / 2 - box[:, [0, 2]]) / camera.focal  # of the box: its left, its right
    right, left = edges[:, 0] < 0.0, edges[:, 1] > 0.0
    rows = np.arange(len(found))
    inner = np.where(right, slope.argmax(1), slope.argmin(1))
    too_far = slope[rows, inner] - np.where(right, edges[:, 0], edges[:, 1])
    too_far = np.where(right, np.maximum(too_far, 0.0), np.minimum(too_far, 0.0))
    return np.where(right | left, -too_far * depth[rows, inner], 0.0)


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], -1), np.prod(b[:, 2:] - b[:, :2], -1)
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-6), float)


def distinct(found: NDArray[np.void]) -> NDArray[np.int64]:
    """Rows that no better one of the same class covers; rows come best first. A box that lies in a better one's, as
    far away, is a part of the same object: near ones have several peaks."""
    box, depth = found["box"], np.hypot(*found["xy_ego"].T)
    low, high = np.maximum(box[:, None, :2], box[None, :, :2]), np.minimum(box[:, None, 2:], box[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    area = np.prod(box[:, 2:] - box[:, :2], -1)
    inside = shared > INSIDE * np.minimum(area[:, None], area[None])
    as_far = np.abs(depth[:, None] - depth[None]) < AS_FAR * np.minimum(depth[:, None], depth[None])
    same = (iou(box, box) > OVERLAP) | (inside & as_far)
    same &= found["group"][:, None] == found["group"][None]
    keep = np.ones(len(found), bool)
    for i in np.flatnonzero(np.triu(same, 1).any(1)):
        if keep[i]:
            keep[i + 1 :] &= ~same[i, i + 1 :]
    return np.flatnonzero(keep)


class Decoder:
    """Published heads in time order -> percepts: the last, stateful step of every engine."""

    def __init__(self, fitter: Fitter, foresight: Foresight) -> None:
        self.fitter = fitter
        self.tracker = Tracker()
        self.foresight = foresight
        self.objects = np.zeros(0, OBJECT)  # of the last frame, one a track, however faint

    def reset(self) -> None:
        """Forgets everything seen so far."""
        self.tracker.reset()
        self.foresight.reset()

    def __call__(self, heads: Heads, observation: Observation, latency: float = 0.0) -> Percept:
        """The percept of one frame."""
        camera = observation.camera or Camera()
        found = detections(heads, camera, self.fitter)
        ego = observation.ego
        self.objects = objects = self.tracker(found, observation.time, ego.speed, ego.yaw_rate, camera.fov / 2)
        lanes, prob, marks = lanes_from(heads, camera)
        scene = {name: heads["scene"][at : at + SCENE[name]] for name, at in _SCENE_AT.items()}
        light = scene["light"].astype(float)
        light_distance = max(float(scene["light_distance"][0]), 0.0) if light[3] < LIGHT_SEEN else np.inf
        stop = float(scene["stop"][0])
        events = self.foresight(
            self.tracker,
            objects,
            observation.time,
            ego.speed,
            ego.yaw_rate,
            light,
            light_distance,
            scene["events"].astype(float),
            corridor(lanes, observation.route_ego),
        )
        return Percept(
            frame=observation.frame,
            time=observation.time,
            drivable=heads["masks"][0],
            lane_mask=heads["masks"][1],
            lanes_ego=lanes,
            lane_prob=prob,
            lane_marks=marks,
            objects=objects[objects["score"] >= NEW * 0.5],
            light=light,
            light_distance=light_distance,
            stop_prob=stop,
            stop_distance=max(float(scene["stop_distance"][0]), 0.0) if stop > 0.5 else np.inf,
            events=events,
            confidence=float(scene["valid"][0]),
            latency=latency,
        )


def lanes_from(heads: Heads, camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Offsets (4, 10) [m] at LANE_X with NaN where not seen, probability (4,) and kind (4,) of each line."""
    column = heads["lane_column"].astype(float) * camera.width
    depth = np.broadcast_to(lane_depth(camera), column.shape)
    lanes = (camera.width / 2 - column) * depth / camera.focal + camera.xyz_ego[1]
    exists, solid = heads["lane_line"].T
    lanes[(heads["lane_point"] < LANE_SEEN) | (exists[:, None] < LANE_SEEN)] = np.nan
    assert lanes.shape[1] == len(LANE_X)
    marks = np.where(exists < LANE_SEEN, Mark.NONE, np.where(solid > 0.5, Mark.SOLID, Mark.BROKEN))
    return lanes, exists.astype(float), marks.astype(np.uint8)

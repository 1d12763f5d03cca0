"""What one recorded frame says about the street: a tick's facts and label images as compact arrays.

`frame_labels` works on any world's ticks. Boxes are those of the visible pixels in the instance image. What needs the
future (paths, events that are about to happen) is filled in by `look_ahead` once a clip is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.events import FORESIGHT
from roadcraft.perception.percept import EVENTS, PATH_TIMES
from roadcraft.perception.projection import camera_frame, corners, lanes_in_view, project, projected_boxes
from roadcraft.sim.geometry import ego_to_world, world_to_ego, world_to_tilted
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import LANE_LINES, LANE_X, Camera, Kind, Labels, LightState, Mark, Tick, World

PARKED_RANGE = 100.0  # [m] up to which parked cars are labelled
SIGN_RANGE = 60.0  # [m] to the stop line: a light or stop sign further away governs nothing yet
MOVABLE_TAGS = (12, 13, 14, 15, 16, 17, 18, 19)  # pedestrians, riders, vehicles
UNLABELLED = 0  # CARLA's tag for what has no label: here also parked vehicles that are no actors
DRIVABLE_TAGS = (1, 24)  # CARLA's Roads and RoadLine
LANE_TAG = 24
HIGHEST_TAG = 28  # of CARLA's
NO_LIGHT = 3  # index of "none governs us" in Percept.light
LIGHT_TOP = 1.0  # [m] half the height of a light's head with its back plate, about
_STATES = (LightState.RED, LightState.YELLOW, LightState.GREEN)

# One row an object that is seen, or was: hidden ones are kept for measuring memory.
SEEN = np.dtype(
    [
        ("id", np.uint32),
        ("kind", np.uint8),  # sim.messages.Kind, CAR to PEDESTRIAN
        ("box", np.float32, 4),  # [pixels] around its visible pixels: left, top, right, bottom; zeros when hidden
        ("pixels", np.int32),  # visible
        ("fraction", np.float32),  # visible pixels over the whole object's, about
        ("xyz_ego", np.float32, 3),  # [m] centre of the footprint
        ("yaw_ego", np.float32),  # [rad]
        ("size", np.float32, 3),  # [m] length, width, height
        ("velocity_ego", np.float32, 2),  # [m/s] over ground
        ("path_ego", np.float32, (len(PATH_TIMES), 2)),  # [m] where it will be, present ego frame; NaN unknown
    ]
)

# The rest of a frame's labels, one record.
FRAME = np.dtype(
    [
        ("time", np.float64),  # [s]
        ("pose", np.float64, 3),  # the ego's true x, y [m], yaw [rad]
        ("speed", np.float32),  # [m/s] as sensed
        ("yaw_rate", np.float32),  # [rad/s] as sensed
        ("camera", np.float64, 5),  # fov [rad], x, y, z [m], pitch [rad]
        ("size", np.int32, 2),  # width, height [pixels]
        ("lanes_ego", np.float32, (LANE_LINES, len(LANE_X))),  # [m]; NaN where there is none or it is out of view
        ("lane_marks", np.uint8, LANE_LINES),  # sim.messages.Mark
        ("light", np.uint8),  # 0 red, 1 yellow, 2 green, 3 none
        ("light_distance", np.float32),  # [m] front bumper to stop line; inf when none
        ("light_box", np.float32, 4),  # [pixels] of its head, unclipped; NaN when unknown or out of view
        ("light_visible", np.bool_),  # its head is in the image and in front of all else
        ("stop_distance", np.float32),  # [m]; inf when none
        ("stop_box", np.float32, 4),
        ("stop_visible", np.bool_),
        ("signs_known", np.bool_),  # whether the two boxes and visibilities mean anything
        ("happening", np.bool_, len(EVENTS)),  # events of this very moment
        ("events", np.bool_, len(EVENTS)),  # ... and those that begin within a second
    ]
)


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """All labels of one frame but the semantic image."""

    frame: np.void  # a FRAME record
    objects: NDArray[np.void]  # (N,) SEEN

    @property
    def camera(self) -> Camera:
        """The camera that took it."""
        fov, x, y, z, pitch = self.frame["camera"].tolist()
        width, height = self.frame["size"].tolist()
        return Camera(width, height, fov, (x, y, z), pitch, True)


FINITE_FRAME = ("time", "pose", "speed", "yaw_rate", "camera")
FINITE_SEEN = ("box", "fraction", "xyz_ego", "yaw_ego", "size", "velocity_ego")


def fault(labels: FrameLabels) -> str:
    """What is wrong with a recorded frame's labels: a class that there is not, a number that is not finite where it
    must be, a box outside the picture; "" where nothing is."""
    frame, objects = labels.frame, labels.objects
    for name, most, values in (
        ("light", NO_LIGHT, frame["light"]),
        ("lane_marks", int(max(Mark)), frame["lane_marks"]),
        ("an object's kind", int(Kind.PEDESTRIAN), objects["kind"]),
    ):
        if (highest := int(values.max(initial=0))) > most:
            return f"{name} is {highest}, above {most}"
    for record, names in ((frame, FINITE_FRAME), (objects, FINITE_SEEN)):
        for name in names:
            if not np.isfinite(record[name]).all():
                return f"{name} is not finite"
    for record, name in ((frame, "lanes_ego"), (objects, "path_ego")):
        if np.isinf(record[name]).any():
            return f"{name} is infinite"
    governed = {"light": int(frame["light"]) != NO_LIGHT, "stop": False}
    for name in ("light", "stop"):
        distance = float(frame[f"{name}_distance"])
        if not (np.isfinite(distance) or (distance == np.inf and not governed[name])):
            return f"{name}_distance is {distance}"
        if frame[f"{name}_visible"] and not np.isfinite(frame[f"{name}_box"]).all():
            return f"{name}_box is not finite though it is visible"
    width, height = frame["size"].tolist()
    if width < 1 or height < 1:
        return f"size is {width}x{height}"
    left, top, right, bottom = objects["box"].T
    inside = (left >= 0) & (top >= 0) & (left <= right) & (top <= bottom) & (right <= width) & (bottom <= height)
    return "" if inside.all() else f"an object's box {objects['box'][~inside][0].tolist()} is not in the picture"


@njit
def _instance_boxes(instance: Any, ids: Any, boxes: Any, pixels: Any) -> None:
    """Pixel boxes (N, 4) and counts (N,) of the sorted `ids` in an instance image."""
    for r in range(instance.shape[0]):
        last, k = np.uint32(0), -1
        for c in range(instance.shape[1]):
            number = instance[r, c]
            if number == 0:
                continue
            if number != last:
                last = number
                k = np.searchsorted(ids, number)
                if k == ids.shape[0] or ids[k] != number:
                    k = -1
            if k >= 0:
                if pixels[k] == 0:
                    boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = c, r, c + 1, r + 1
                boxes[k, 0], boxes[k, 2] = min(boxes[k, 0], c), max(boxes[k, 2], c + 1)
                boxes[k, 3] = r + 1
                pixels[k] += 1


def standing(world: World) -> tuple[dict[str, NDArray[np.float64]] | None, NDArray[np.void] | None]:
    """What a world knows of the things that stand in it: where each signal's head is [m], by id, and the parked cars
    (P,) ACTOR, which are no actors of its own; None each where it does not know."""
    network = getattr(world, "network", None)
    signals = None if network is None else {str(row["id"]): row["xyz"] for row in network.signals}
    return signals, getattr(world, "parked", None)


def frame_labels(
    tick: Tick,
    happening: NDArray[np.bool_],
    signal_xyz: dict[str, NDArray[np.float64]] | None = None,
    parked: NDArray[np.void] | None = None,
) -> FrameLabels:
    """Labels of a tick that carries `labels`. `signal_xyz` and `parked`: see `standing`."""
    observation, facts, images = tick.observation, tick.facts, tick.labels
    camera = observation.camera
    if camera is None or images is None:
        raise ValueError("labels are made from ticks with a camera and label images")
    frame = np.zeros((), FRAME)
    frame["time"], frame["pose"] = facts.time, facts.pose
    frame["speed"], frame["yaw_rate"] = observation.ego.speed, observation.ego.yaw_rate
    frame["camera"] = camera.fov, *camera.xyz_ego, camera.pitch
    frame["size"] = camera.width, camera.height
    frame["lanes_ego"] = lanes_in_view(camera, facts.lanes_ego)
    frame["lane_marks"] = facts.lane_marks
    frame["light"], frame["light_distance"], frame["stop_distance"] = NO_LIGHT, np.inf, np.inf
    if facts.light in _STATES and facts.light_distance < SIGN_RANGE:
        frame["light"], frame["light_distance"] = int(facts.light), facts.light_distance
    if facts.stop_distance < SIGN_RANGE:
        frame["stop_distance"] = facts.stop_distance
    frame["signs_known"] = signal_xyz is not None
    for name, number in (("light", facts.light_id), ("stop", facts.stop_id)):
        frame[f"{name}_box"] = np.nan
        if np.isfinite(frame[f"{name}_distance"]) and signal_xyz is not None and number in signal_xyz:
            box, visible = _sign_box(camera, facts.pose, signal_xyz[number], images)
            frame[f"{name}_box"], frame[f"{name}_visible"] = box, visible
    frame["happening"] = frame["events"] = happening
    record: np.void = frame[()]  # type: ignore[assignment]
    return FrameLabels(record, _objects(tick, camera, parked))


def _sign_box(
    camera: Camera, pose: NDArray[np.float64], xyz_world: NDArray[np.float64], images: Labels
) -> tuple[NDArray[np.float64], bool]:
    """Box [pixels] of a head of about 1 x 0.5 m, and whether the depth image shows it in front of all else."""
    u, v, away = project(camera, world_to_tilted(xyz_world, pose, images.tilt))
    if not (away > 1.0 and 0 <= u < camera.width and 0 <= v < camera.height):
        return np.full(4, np.nan), False
    half_h, half_w = 0.5 * camera.focal / away, 0.25 * camera.focal / away
    r, c = int(v), int(u)
    around = images.depth[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
    return np.array([u - half_w, v - half_h, u + half_w, v + half_h]), bool((np.abs(around - away) < 1.5).any())


def _objects(tick: Tick, camera: Camera, parked: NDArray[np.void] | None) -> NDArray[np.void]:
    facts, images = tick.facts, tick.labels
    assert images is not None
    actors = facts.actors[facts.actors["kind"] <= Kind.PEDESTRIAN]
    actors = actors[np.argsort(actors["id"], kind="stable")]
    own = len(actors)
    if parked is not None:
        near = np.hypot(*(parked["xyz"][:, :2] - facts.pose[:2]).T) < PARKED_RANGE
        actors = np.concatenate([actors, parked[near]])
    boxes, pixels = np.zeros((len(actors), 4), np.float32), np.zeros(len(actors), np.int32)
    _instance_boxes(images.instance, np.ascontiguousarray(actors["id"][:own]), boxes[:own], pixels[:own])
    xyz = world_to_tilted(actors["xyz"], facts.pose, images.tilt)
    yaw = actors["yaw"] - facts.pose[2]
    around = corners(xyz, yaw, actors["extent"])
    whole = projected_boxes(camera, around)
    _parked_boxes(camera, images, around[own:], whole[own:], boxes[own:], pixels[own:])
    area = (whole[:, 2] - whole[:, 0]) * (whole[:, 3] - whole[:, 1])
    fill = np.where(actors["kind"] == Kind.PEDESTRIAN, 0.45, 0.75)  # of its box that an object covers, about
    out = np.zeros(len(actors), SEEN)
    out["id"], out["kind"], out["box"], out["pixels"] = actors["id"], actors["kind"], boxes, pixels
    out["fraction"] = np.where(pixels > 0, np.minimum(pixels / np.maximum(np.nan_to_num(area) * fill, 1.0), 1.0), 0.0)
    out["xyz_ego"], out["yaw_ego"] = xyz, (yaw + np.pi) % (2 * np.pi) - np.pi
    out["size"] = 2 * actors["extent"]
    c, s = np.cos(facts.pose[2]), np.sin(facts.pose[2])
    vx, vy = actors["velocity"].T
    out["velocity_ego"] = np.stack([c * vx + s * vy, c * vy - s * vx], -1)
    out["path_ego"] = np.nan
    ahead = (xyz[:, 0] > -5.0) & (np.hypot(xyz[:, 0], xyz[:, 1]) < 100.0)
    return out[ahead | (pixels > 0)]


def _parked_boxes(
    camera: Camera,
    images: Labels,
    around: NDArray[np.float64],
    whole: NDArray[np.float64],
    boxes: NDArray[np.float32],
    pixels: NDArray[np.int32],
) -> None:
    """Fills `boxes` (P, 4) and `pixels` (P,) of parked cars, which have no instance: theirs are the pixels of vehicles
    without one inside their projected box `whole` that are as deep as their corners `around` (P, 8, 3) are."""
    nobody = (images.instance == 0) & (images.semantic >= MOVABLE_TAGS[0]) & (images.semantic <= MOVABLE_TAGS[-1])
    depths = camera_frame(camera, around)[..., 0]
    for i in np.flatnonzero(np.isfinite(whole[:, 0])):
        left, top, right, bottom = np.round(whole[i]).astype(int)
        window = np.s_[top : bottom + 1, left : right + 1]
        deep = images.depth[window]
        mine = nobody[window] & (deep > depths[i].min() - 0.3) & (deep < depths[i].max() + 0.3)
        if mine.any():
            rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
            boxes[i] = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
            pixels[i] = mine.sum()


def look_ahead(clip: list[FrameLabels]) -> None:
    """Fills `path_ego` and `events` of a clip's frames from the frames that follow them, in place."""
    times = np.array([f.frame["time"] for f in clip])
    where = [dict(zip(f.objects["id"].tolist(), range(len(f.objects)), strict=True)) for f in clip]
    for i, labels in enumerate(clip):
        soon = (times >= times[i]) & (times <= times[i] + FORESIGHT + 1e-6)
        labels.frame["events"] = np.any([clip[k].frame["happening"] for k in np.flatnonzero(soon)], 0)
        for p, ahead in enumerate(PATH_TIMES):
            k = int(np.argmin(np.abs(times - times[i] - ahead)))
            if abs(times[k] - times[i] - ahead) > 0.026:
                continue
            then = clip[k]
            for j, number in enumerate(labels.objects["id"].tolist()):
                other = where[k].get(number)
                if other is not None:
                    world = ego_to_world(then.objects["xyz_ego"][other, :2], then.frame["pose"])
                    labels.objects["path_ego"][j, p] = world_to_ego(world, labels.frame["pose"])


def recorded_semantic(images: Labels, parked_known: bool = False) -> NDArray[np.uint8]:
    """The semantic image with everything that looks like an actor and is none (a parked car that nobody knows)
    UNLABELLED: nobody can say how far it is, and nobody shall be punished for finding it."""
    if parked_known:
        return images.semantic
    foreign = (images.instance == 0) & (images.semantic >= MOVABLE_TAGS[0]) & (images.semantic <= MOVABLE_TAGS[-1])
    return np.where(foreign, np.uint8(UNLABELLED), images.semantic)


def masks(semantic: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Drivable area and lane lines (H, W) of a semantic image. Raises ValueError for tags that CARLA does not know."""
    highest = int(semantic.max(initial=0))
    if highest > HIGHEST_TAG:
        raise ValueError(f"semantic tag {highest} is not one of CARLA's (0-{HIGHEST_TAG})")
    return np.isin(semantic, DRIVABLE_TAGS), semantic == LANE_TAG

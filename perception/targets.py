"""Labels of a frame as what the heads are trained towards, on the network's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.heads import GROUPS, LANE_COLUMNS, SIGNS
from roadcraft.perception.labels import NO_LIGHT, UNLABELLED, FrameLabels, masks
from roadcraft.perception.percept import PATH_TIMES
from roadcraft.perception.projection import camera_frame, lane_columns
from roadcraft.perception.view import REFERENCE_FOCAL, STRIDE
from roadcraft.sim.messages import LANE_X

MIN_PIXELS, MIN_HEIGHT, MIN_FRACTION = 24, 7.0, 0.10  # less of an object than this is neither asked for nor forbidden
NEAREST = 1.0  # [m] depth below which an object's place cannot be told from the image
GROUP = np.array([0, 0, 0, 1, 1, 2])  # heatmap of each Kind
PATHS = len(PATH_TIMES)

# One row a cell in which an object's attributes are asked for: its centre and the cells around.
POSITIVE = np.dtype(
    [
        ("row", np.int16),
        ("col", np.int16),
        ("weight", np.float32),
        ("box", np.float32, 4),  # [cells] left, top, right, bottom from the cell's centre
        ("placed", np.float32),  # 1 where the place below is known
        ("log_depth", np.float32),
        ("column", np.float32),  # [cells]
        ("log_size", np.float32, 2),
        ("heading", np.float32, 2),
        ("velocity", np.float32, 2),  # [10 m/s]
        ("kind", np.int64),
        ("bend", np.float32, (PATHS, 2)),  # [m]; NaN unknown
    ]
)


@dataclass(frozen=True, slots=True)
class Targets:
    """What one frame's heads should say."""

    masks: NDArray[np.bool_]  # (2, H/4, W/4) drivable, lane line
    heat: NDArray[np.float32]  # (3, H/8, W/8)
    heat_weight: NDArray[np.float32]  # (3, H/8, W/8) 0 where nothing is asked
    signs: NDArray[np.float32]  # (4, H/8, W/8)
    signs_weight: NDArray[np.float32]  # (4,)
    positives: NDArray[np.void]  # (P,) POSITIVE
    lane_column: NDArray[np.float32]  # (4, 10) [columns of the lane head]; NaN where there is none
    lane_metres: NDArray[np.float32]  # (10,) [m] lateral per column of the lane head
    lane_exists: NDArray[np.float32]  # (4,)
    lane_solid: NDArray[np.float32]  # (4,)
    light: int  # 0 red, 1 yellow, 2 green, 3 none
    light_weight: float
    light_distance: float  # [m]; inf when none
    stop: float
    stop_weight: float
    stop_distance: float
    events: NDArray[np.float32]  # (5,)
    valid: float = 1.0  # 0: no street to be seen; nothing else is asked then


def frame_targets(
    labels: FrameLabels, semantic: NDArray[np.uint8], seen_light: bool = True, seen_stop: bool = True
) -> Targets:
    """Targets of a frame of the network's input size. `seen_light`: the governing light is or was in view in this
    clip; otherwise its state can only be guessed."""
    height, width = semantic.shape
    frame = labels.frame
    rows, cols = -(-height // STRIDE), width // STRIDE
    heat = np.zeros((GROUPS, rows, cols), np.float32)
    heat_weight = np.ones_like(heat)
    heat_weight[:, _unlabelled(semantic, rows, cols)] = 0.0
    positives = _draw_objects(labels, heat, heat_weight)
    signs, signs_weight = _signs(labels, rows, cols)
    camera = labels.camera
    columns = lane_columns(camera, frame["lanes_ego"].astype(float)) * (LANE_COLUMNS / width) - 0.5
    origin = lane_columns(camera, np.zeros(len(LANE_X)))
    metres = np.abs(1.0 / (lane_columns(camera, np.ones(len(LANE_X))) - origin)) * (width / LANE_COLUMNS)
    exists = np.isfinite(columns).any(1)
    governed, stops = int(frame["light"]) != NO_LIGHT, bool(np.isfinite(frame["stop_distance"]))
    return Targets(
        masks=_quarter(semantic),
        heat=heat,
        heat_weight=heat_weight,
        signs=signs,
        signs_weight=signs_weight,
        positives=positives,
        lane_column=columns.astype(np.float32),
        lane_metres=metres.astype(np.float32),
        lane_exists=exists.astype(np.float32),
        lane_solid=(frame["lane_marks"] == 1).astype(np.float32),
        light=int(frame["light"]),
        light_weight=1.0 if seen_light or not governed else 0.1,
        light_distance=float(frame["light_distance"]),
        stop=float(stops),
        stop_weight=1.0 if seen_stop or not stops else 0.1,
        stop_distance=float(frame["stop_distance"]),
        events=frame["events"].astype(np.float32),
    )


def _quarter(semantic: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Masks at a quarter of the size: drivable by majority, a lane line where a quarter of the pixels is one."""
    height, width = semantic.shape
    drivable, lane = masks(semantic[: height // 4 * 4, : width // 4 * 4])
    shape = height // 4, 4, width // 4, 4
    return np.stack(
        [drivable.reshape(shape).sum((1, 3), np.uint8) >= 8, lane.reshape(shape).sum((1, 3), np.uint8) >= 4]
    )


def _unlabelled(semantic: NDArray[np.uint8], rows: int, cols: int) -> NDArray[np.bool_]:
    """Cells (rows, cols) of which a quarter or more is covered by what has no label."""
    room = np.zeros((rows * STRIDE, cols * STRIDE), bool)
    room[: semantic.shape[0], : semantic.shape[1]] = semantic == UNLABELLED
    share: NDArray[np.bool_] = room.reshape(rows, STRIDE, cols, STRIDE).sum((1, 3)) >= STRIDE**2 // 4
    return share


def asked_for(labels: FrameLabels) -> NDArray[np.bool_]:
    """Which objects (N,) are visible enough to be found."""
    o = labels.objects
    tall = o["box"][:, 3] - o["box"][:, 1]
    return (o["pixels"] >= MIN_PIXELS) & (tall >= MIN_HEIGHT) & (o["fraction"] >= MIN_FRACTION)


def _draw_objects(labels: FrameLabels, heat: NDArray[np.float32], heat_weight: NDArray[np.float32]) -> NDArray[np.void]:
    objects, wanted = labels.objects, asked_for(labels)
    rows, cols = heat.shape[1:]
    for o in objects[(objects["pixels"] > 0) & ~wanted]:
        left, top, right, bottom = (o["box"] / STRIDE).astype(int)
        heat_weight[GROUP[o["kind"]], top : bottom + 1, left : right + 1] = 0.0
    camera = labels.camera
    owner: dict[tuple[int, int], tuple[float, tuple[object, ...]]] = {}  # the nearest object has the cell
    for o in objects[wanted]:
        left, top, right, bottom = o["box"] / STRIDE
        col, row = min(int((left + right) / 2), cols - 1), min(int((top + bottom) / 2), rows - 1)
        sigma = np.clip([(right - left) * 0.14, (bottom - top) * 0.14], 0.55, 4.0)
        _gaussian(heat[GROUP[o["kind"]]], row, col, sigma)
        heat_weight[GROUP[o["kind"]], row, col] = 1.0
        depth, aside, _ = camera_frame(camera, o["xyz_ego"].astype(float))
        footprint = cols / 2 - aside * camera.focal / max(depth, NEAREST) / STRIDE
        reach = 1 if min(right - left, bottom - top) > 1.5 else 0
        for r in range(max(row - reach, 0), min(row + reach + 1, rows)):
            for c in range(max(col - reach, 0), min(col + reach + 1, cols)):
                if owner.get((r, c), (np.inf,))[0] > depth:
                    centre = r == row and c == col
                    owner[r, c] = depth, _positive(o, r, c, centre, depth, footprint, camera.focal)
    return np.array([positive for _, positive in owner.values()], POSITIVE)


def _positive(
    o: np.void, row: int, col: int, centre: bool, depth: float, footprint: float, focal: float
) -> tuple[object, ...]:
    """A row of POSITIVE. `footprint`: column [cells] in which the middle of its footprint is."""
    u, v = col + 0.5, row + 0.5
    left, top, right, bottom = o["box"] / STRIDE
    x, y = o["xyz_ego"][:2]
    angle = o["yaw_ego"] - np.arctan2(y, x)
    straight = o["xyz_ego"][:2] + o["velocity_ego"] * PATH_TIMES[:, None]
    return (
        row,
        col,
        1.0 if centre else 0.1,
        (left - u, top - v, right - u, bottom - v),
        float(depth > NEAREST),
        np.log(max(depth, NEAREST) * REFERENCE_FOCAL / focal),
        np.clip(footprint - u, -20.0, 20.0),
        np.log(np.maximum(o["size"][:2], 0.2)),
        (np.cos(angle), np.sin(angle)),
        o["velocity_ego"] / 10.0,
        o["kind"],
        o["path_ego"] - straight,
    )


def _gaussian(heat: NDArray[np.float32], row: int, col: int, sigma: NDArray[np.float64]) -> None:
    reach_c, reach_r = np.ceil(3 * sigma).astype(int)
    r0, r1 = max(row - reach_r, 0), min(row + reach_r + 1, heat.shape[0])
    c0, c1 = max(col - reach_c, 0), min(col + reach_c + 1, heat.shape[1])
    v, u = np.ogrid[r0 - row : r1 - row, c0 - col : c1 - col]
    blob = np.exp(-0.5 * ((u / sigma[0]) ** 2 + (v / sigma[1]) ** 2))
    np.maximum(heat[r0:r1, c0:c1], blob, out=heat[r0:r1, c0:c1])


def _signs(labels: FrameLabels, rows: int, cols: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heatmaps of the governing light and stop sign, and whether each channel is asked for."""
    frame = labels.frame
    heat, weight = np.zeros((SIGNS, rows, cols), np.float32), np.ones(SIGNS, np.float32)
    light = int(frame["light"])
    for name, channel, governs in (
        ("light", light, light != NO_LIGHT),
        ("stop", 3, bool(np.isfinite(frame["stop_distance"]))),
    ):
        if not governs:
            continue
        if not frame[f"{name}_visible"]:  # or nobody knows
            weight[slice(0, 3) if name == "light" else slice(3, 4)] = 0.0
            continue
        left, top, right, bottom = frame[f"{name}_box"] / STRIDE
        col, row = int((left + right) / 2), int((top + bottom) / 2)
        if 0 <= col < cols and 0 <= row < rows:
            _gaussian(heat[channel], row, col, np.clip([(right - left) * 0.2, (bottom - top) * 0.2], 0.6, 3.0))
    return heat, weight

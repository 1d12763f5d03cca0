"""The shipped network on a real road, where the clip lies beside the checkout: lane lines, road, false alarms; then the
same road bent.

pytest -s tests/launch/test_real_video.py prints the figures of docs/perception.md as JSON lines.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from real_lanes import SIDES, Line, line_of, line_points

from roadcraft.launch.options.evaluation import Perceive
from roadcraft.launch.overlay import LANE_SHOWN, SCORE_SHOWN
from roadcraft.launch.perceive import SIZE, fitted, observe, open_frames
from roadcraft.perception.engines import load_engine
from roadcraft.perception.percept import Percept
from roadcraft.perception.projection import project
from roadcraft.sim.messages import LANE_X, Camera, Kind

CLIP = Path(__file__).parents[3] / "shared" / "data" / "real" / "solidWhiteRight.mp4"
WIDTH, HEIGHT = 960, 540  # of the clip
ROWS = np.arange(345, 531, 5.0)  # from 40 pixels below the horizon down to the bonnet
NEAR = ROWS >= 450
FAR = 70.0  # m from which on a bent picture is moved as a whole
BENT_FRAMES, SETTLED = 80, 10  # frames looked at, and of them those at first that do not count
LANE_WIDTH = 3.66  # m, twelve feet: an interstate's lane
# The asphalt up to barrier and kerb without the cars on it, drawn by hand: column, row.
ROAD = {
    10: "0,357 60,348 300,325 440,318 490,315 520,317 640,338 720,352 840,380 960,415 960,540 0,540",
    110: "0,362 65,366 125,357 125,326 172,318 240,318 260,310 400,302 480,295 515,293 600,310 680,328 800,352 960,390 "
    "960,540 0,540",
    210: "0,352 95,340 100,347 185,343 190,349 270,347 275,328 320,325 430,318 500,310 540,313 600,327 700,347 840,377 "
    "960,405 960,540 0,540",
}


def curve_at_rows(camera: Camera, percept: Percept, line: int) -> NDArray[np.float64]:
    """Columns of a lane line's curve at ROWS [pixels of the clip]; NaN where it does not reach."""
    offsets = percept.lanes_ego[line]
    seen = np.isfinite(offsets) & (percept.lane_prob[line] >= LANE_SHOWN)
    if seen.sum() < 2:
        return np.full(len(ROWS), np.nan)
    ground = np.stack([LANE_X[seen], offsets[seen], np.zeros(seen.sum())], -1)
    column, row, _ = (project(camera, ground) * (WIDTH / SIZE[0])).T
    return np.interp(ROWS, row[::-1], column[::-1], left=np.nan, right=np.nan)


def mask_at_rows(percept: Percept, near: NDArray[np.float64], reach: float = 30.0) -> NDArray[np.float64]:
    """Middle of the mask's paint at ROWS within `reach` pixels of the columns `near`; NaN where there is none."""
    mask = cv2.resize(percept.lane_mask, (WIDTH, HEIGHT))
    out = np.full(len(ROWS), np.nan)
    for k, (row, column) in enumerate(zip(ROWS.astype(int), near, strict=True)):
        low = max(round(column - reach), 0)
        paint = np.flatnonzero(mask[row, low : max(round(column + reach), 0)] > 0.5)
        if len(paint):
            out[k] = low + paint.mean()
    return out


def columns(line: Line) -> NDArray[np.float64]:
    """Columns of a reference line at ROWS."""
    return line[0] + line[1] * ROWS


def road_iou(percept: Percept, corners: str) -> float:
    """Drivable mask against a polygon drawn by hand."""
    points = np.array([[int(v) for v in pair.split(",")] for pair in corners.split()], np.int32)
    truth = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [points], 1) > 0
    found = cv2.resize(percept.drivable, (WIDTH, HEIGHT)) > 0.5
    return float((truth & found).sum() / (truth | found).sum())


def nanmean(values: NDArray[np.float64]) -> float:
    """Rounded for reading."""
    return round(float(np.nanmean(values)), 2)


def figures() -> dict[str, object]:
    """The clip as perceive sees it with its defaults, against paint found by classical means and the dumb prior: one
    straight line a side, the best for the whole clip."""
    asked = Perceive(str(CLIP))
    frames, _, rate = open_frames(asked)
    engine = load_engine()
    percepts, found, paint, masks, shares, ious = [], [], [], [], [], {}
    for number, rgb in enumerate(frames):
        observation = observe(fitted(rgb), asked, number, number / rate)
        percepts.append(engine(observation))
        lines = {side: line_of(points) for side, points in line_points(rgb).items()}
        paint.append(np.array([columns(line) if line else np.full(len(ROWS), np.nan) for line in lines.values()]))
        found.append(np.array([curve_at_rows(observation.camera or Camera(), percepts[-1], line) for line in (1, 2)]))
        masks.append(np.array([mask_at_rows(percepts[-1], line) for line in paint[-1]]))
        shares.append((percepts[-1].drivable > 0.5).mean())
        if number in ROAD:
            ious[number] = round(road_iou(percepts[-1], ROAD[number]), 3)
    truth, seen = np.array(paint), np.array(found)  # (frames, 2, rows)
    prior = np.abs(np.nanmedian(truth, 0) - truth)
    off = np.abs(seen - truth)
    prior[np.isnan(off)] = np.nan
    metres = LANE_WIDTH / (truth[:, 1:] - truth[:, :1])  # a pixel of each row
    out: dict[str, object] = {
        "frames": len(percepts),
        "reference_found": [round(float(share), 3) for share in np.isfinite(truth[..., 0]).mean(0)],
        "both_lines": round(float(np.mean([(p.lane_prob[1:3] >= LANE_SHOWN).all() for p in percepts])), 3),
        "drivable_share": round(float(np.mean(shares)), 3),
        "road_iou": ious,
        "frames_with_pedestrians": round(float(np.mean([shown(p, Kind.PEDESTRIAN) > 0 for p in percepts])), 3),
    }
    for k, side in enumerate(SIDES):
        out[side] = {
            "rows_covered": round(float(np.isfinite(off[:, k]).mean()), 3),
            "error_px": nanmean(off[:, k]),
            "prior_px": nanmean(prior[:, k]),
            "error_far_px": nanmean(off[:, k][:, ~NEAR]),
            "prior_far_px": nanmean(prior[:, k][:, ~NEAR]),
            "error_near_px": nanmean(off[:, k][:, NEAR]),
            "prior_near_px": nanmean(prior[:, k][:, NEAR]),
            "bias_near_px": nanmean((seen - truth)[:, k][:, NEAR]),
            "error_m": nanmean(off[:, k] * metres[:, 0]),
            "prior_m": nanmean(prior[:, k] * metres[:, 0]),
            "mask_error_px": nanmean(np.abs(np.array(masks) - truth)[:, k]),
            "mask_rows": round(float(np.isfinite(np.array(masks)[:, k]).mean()), 3),
        }
    return out


def bend(rgb: NDArray[np.uint8], radius: float, camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture as if its road were a curve of `radius` [m] (to the right where positive), and by how much each row
    was moved [pixels]. What is z metres ahead on the ground moves z * z / (2 * radius) aside, to FAR."""
    focal = WIDTH / 2 / np.tan(camera.fov / 2)
    below = np.maximum(np.arange(HEIGHT) - HEIGHT / 2, 1.0)  # the camera looks level: the horizon is the middle row
    far = np.minimum(focal * camera.xyz_ego[2] / below, FAR)
    moved = (focal * far / (2.0 * radius)).astype(np.float32)
    rows, at = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return cv2.remap(rgb, at - moved[:, None], rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), moved


def bent_figures(radius: float) -> dict[str, float]:
    """The clip's first frames bent: how often both lines are seen, and their error [columns of 960]."""
    asked, engine = Perceive(str(CLIP)), load_engine()
    frames, _, rate = open_frames(asked)
    both, off = [], []
    for number, rgb in enumerate(itertools.islice(frames, BENT_FRAMES)):
        camera = observe(fitted(rgb), asked, number, number / rate).camera or Camera()
        picture, moved = bend(rgb, radius, camera)
        percept = engine(observe(fitted(picture), asked, number, number / rate))
        straight = [
            columns(line) if line else np.full(len(ROWS), np.nan) for line in map(line_of, line_points(rgb).values())
        ]
        truth = np.array(straight) + moved[ROWS.astype(int)]
        found = np.array([curve_at_rows(camera, percept, line) for line in (1, 2)])
        off.append(np.where((truth > 0) & (truth < WIDTH), np.abs(found - truth), np.nan))
        both.append((percept.lane_prob[1:3] >= LANE_SHOWN).all())
    errors = np.array(off)[SETTLED:]
    return {"both_lines": float(np.mean(both[SETTLED:])), **{s: nanmean(errors[:, k]) for k, s in enumerate(SIDES)}}


def shown(percept: Percept, kind: Kind) -> int:
    """Objects of a kind that the overlay draws."""
    return int(((percept.objects["kind"] == kind) & (percept.objects["score"] >= SCORE_SHOWN)).sum())


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.is_file(), reason="the clip does not lie beside the checkout")
def test_a_highway_that_no_simulator_drew() -> None:
    said = figures()
    print(json.dumps(said))
    assert said["reference_found"] == [1.0, 1.0]
    assert said["both_lines"] >= 0.95  # type: ignore[operator]
    assert min(said["road_iou"].values()) >= 0.80  # type: ignore[attr-defined]
    for side in SIDES:
        assert said[side]["error_px"] <= 1.5 * said[side]["prior_px"]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.is_file(), reason="the clip does not lie beside the checkout")
def test_the_same_highway_with_curves() -> None:
    straight = bent_figures(1e9)
    for radius in (600.0, 300.0, 150.0, -300.0, -150.0, -80.0):
        said = bent_figures(radius)
        print(json.dumps({"radius": radius, **said}))
        assert said["both_lines"] >= 0.95
        for side in SIDES:
            assert said[side] <= 1.5 * straight[side], (radius, side)

"""The camera's picture with what the driver makes of it drawn in: drivable area, lane lines, boxes, paths, plan."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.control.decision import Decision
from roadcraft.launch import draw
from roadcraft.launch.draw import Image
from roadcraft.perception.percept import Percept
from roadcraft.perception.projection import project
from roadcraft.sim.geometry import arc_length, resample
from roadcraft.sim.messages import LANE_X, Camera, Kind, Mark, Observation

LANE_SHOWN = 0.5  # probability from which a lane line is drawn
SCORE_SHOWN = 0.3
PLAN_HALF_WIDTH = 0.85  # m
PLAN_START = 4.0  # m ahead, where the default camera first sees the ground


def overlay(observation: Observation, decision: Decision, width: int, height: int) -> Image:
    """The frame at `width` x `height` with the decision drawn in; a blank card when there is no camera."""
    if observation.rgb is None or observation.camera is None:
        image = np.empty((height, width, 3), np.uint8)
        image[:] = draw.CARD
        draw.text(image, "no camera", (width / 2 - 50, height / 2), 22, draw.DIM)
        return image
    image = np.asarray(cv2.resize(observation.rgb, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    camera = observation.camera
    percept = decision.percept
    if percept is not None:
        masks(image, percept)
    plan(image, camera, decision)
    if percept is not None:
        lanes(image, camera, percept)
        paths(image, camera, percept)
        boxes(image, camera, percept)
    return image


def pixels(camera: Camera, xy_ego: NDArray[np.float64], image: Image) -> NDArray[np.float64]:
    """Ground points (N, 2) [m] as pixels (N, 2) of the drawn image; NaN behind the camera."""
    ground = np.concatenate([xy_ego, np.zeros((*xy_ego.shape[:-1], 1))], -1)
    return project(camera, ground)[..., :2] * (image.shape[1] / camera.width)


def masks(image: Image, percept: Percept) -> None:
    """Drivable area and lane lines as the network's masks see them."""
    size = (image.shape[1], image.shape[0])
    for mask, color, share in ((percept.drivable, draw.DRIVABLE, 0.33), (percept.lane_mask, draw.LANE, 0.45)):
        if mask.size:
            grey = cv2.convertScaleAbs(mask, alpha=255.0)
            wide = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
            draw.tint(image, cv2.threshold(wide, 127, 255, cv2.THRESH_BINARY)[1], color, share)


def plan(image: Image, camera: Camera, decision: Decision) -> None:
    """The way that the car means to go, as a ribbon on the road; orange under a veto."""
    if len(decision.plan_ego) < 2:
        return
    way = np.vstack([[0.0, 0.0], decision.plan_ego])
    length = arc_length(way)[-1]
    if length <= PLAN_START + 1:
        return
    centre = resample(way, np.arange(PLAN_START, min(length, 45.0), 1.0))
    along = np.gradient(centre, axis=0)
    left = np.stack([-along[:, 1], along[:, 0]], -1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None] * PLAN_HALF_WIDTH
    edge = np.vstack([centre + left, (centre - left)[::-1]])
    mask = np.zeros(image.shape[:2], np.uint8)
    points = pixels(camera, edge, image)
    draw.fill(mask, points, 255)  # type: ignore[arg-type]
    draw.tint(image, mask, draw.ALERT if decision.veto else draw.PLAN, 0.42)


def lanes(image: Image, camera: Camera, percept: Percept) -> None:
    """The lane lines' curves; broken ones dashed."""
    at = np.linspace(LANE_X[0], LANE_X[-1], 91)  # every half metre
    for offsets, probability, mark in zip(percept.lanes_ego, percept.lane_prob, percept.lane_marks, strict=True):
        seen = np.isfinite(offsets)
        if probability < LANE_SHOWN or seen.sum() < 2:
            continue
        y = np.interp(at, LANE_X[seen], offsets[seen], left=np.nan, right=np.nan)
        if mark == Mark.BROKEN:
            y[(at % 6.0) > 3.0] = np.nan
        draw.line(image, pixels(camera, np.stack([at, y], -1), image), draw.LANE, 2)


def paths(image: Image, camera: Camera, percept: Percept) -> None:
    """Where each object is expected over the next two seconds, on the ground."""
    for item in percept.objects:
        way = np.vstack([item["xy_ego"], item["path_ego"]]).astype(float)
        if item["score"] < SCORE_SHOWN or np.ptp(way, axis=0).max() < 0.5:
            continue
        points = pixels(camera, way, image)
        color = draw.KIND_COLORS[int(item["kind"])]
        draw.line(image, points, color, 2)
        for point in points[1:]:
            draw.dot(image, point, 3, color)


def boxes(image: Image, camera: Camera, percept: Percept) -> None:
    """Objects: corners of their boxes, kind and distance."""
    scale = image.shape[1] / camera.width
    for item in percept.objects[np.argsort(-np.hypot(*percept.objects["xy_ego"].T))]:
        left, top, right, bottom = (float(v) * scale for v in item["box"])
        if item["score"] < SCORE_SHOWN or right - left < 2:
            continue
        color = draw.KIND_COLORS[int(item["kind"])]
        arm = min(14.0, (right - left) / 3, (bottom - top) / 3)
        for x, dx in ((left, arm), (right, -arm)):
            for y, dy in ((top, arm), (bottom, -arm)):
                draw.line(image, np.array([[x + dx, y], [x, y], [x, y + dy]]), color, 2)
        label = f"{Kind(int(item['kind'])).name.lower()} {np.hypot(*item['xy_ego']):.0f} m"
        if bottom - top > 14:
            wide = draw.text_width(label, 13, 600)
            x = min(max(left, 2), image.shape[1] - wide - 10)
            draw.rounded(image, (round(x), round(max(top - 19, 2)), wide + 8, 17), color, 4)
            draw.text(image, label, (x + 4, max(top - 6, 15)), 13, (15, 17, 20), 600)

"""What the network sees of one frame, drawn into it: for training's example pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.decode import lanes_from
from roadcraft.perception.detection import Heads, detections
from roadcraft.perception.projection import project
from roadcraft.perception.view import Fitter
from roadcraft.sim.messages import LANE_X, Camera, Kind

LIGHTS = ("red", "yellow", "green", "none")


def drawn(rgb: NDArray[np.uint8], heads: Heads, camera: Camera, least: float = 0.3) -> NDArray[np.uint8]:
    """A copy of the frame (H, W, 3) with masks, boxes, lane points and the light's state."""
    height, width = rgb.shape[:2]
    image = rgb.astype(np.float32)
    for mask, color in zip(heads["masks"], ((0, 160, 60), (220, 0, 220)), strict=True):
        share = cv2.resize(mask, (width, height))[..., None] * 0.4
        image = image * (1 - share) + share * np.array(color, np.float32)
    out = np.ascontiguousarray(image.astype(np.uint8))
    for d in detections(heads, camera, Fitter(width, height), least):
        left, top, right, bottom = (int(v) for v in np.round(d["box"]))
        color = (255, 140, 0) if d["kind"] == Kind.PEDESTRIAN else (60, 160, 255)
        cv2.rectangle(out, (left, top), (right, bottom), color, 1)
        text = f"{Kind(int(d['kind'])).name.lower()} {np.hypot(*d['xy_ego']):.0f} m {d['score']:.2f}"
        cv2.putText(out, text, (left, max(top - 3, 8)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, color, 1)
    lanes, _, _ = lanes_from(heads, camera)
    for line in lanes:
        for u, v, _ in project(camera, np.stack([LANE_X, line, np.zeros(len(LANE_X))], -1)):
            if np.isfinite(u):
                cv2.circle(out, (int(u), int(v)), 3, (255, 255, 0), -1)
    light = heads["scene"][:4]
    text = f"{LIGHTS[int(light.argmax())]} {light.max():.2f}"
    cv2.putText(out, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return out

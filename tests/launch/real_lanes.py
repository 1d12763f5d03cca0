"""Where the ego lane's two white lines are in a real video, by classical means alone: what perception is held against.

White, thin things in the road's part of the picture, joined to straight segments (Hough), sorted by the side of the
vanishing point that they point to; one straight line a side and frame, as robust as a median makes it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Line = tuple[float, float]  # column = a + b * row, in pixels of the picture
SIDES = ("left", "right")
MOST_LEAN = 3.3  # columns a row, of a lane line near the ego
NEAR_ROW = 0.98  # of the height: where the lines are told apart from those of other lanes
ALL_ROWS = 0.62  # of the height: from here down the picture is road


def line_points(rgb: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """For each side the segments (N, 5) of white paint that belong to the ego lane's line: columns and rows of both
    ends [pixels], length."""
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    grey[: round(ALL_ROWS * height)] = 0
    # Paint is thin: brighter than what lies a paint's width to both sides of it.
    thin = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((1, 41), np.uint8))
    paint = np.where(thin > 60, 255, 0).astype(np.uint8)
    found = cv2.HoughLinesP(paint, 1, np.pi / 360, 20, minLineLength=20, maxLineGap=8)
    segments = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(float)
    out = {}
    for side, sign in zip(SIDES, (-1, 1), strict=True):
        x1, y1, x2, y2 = segments[segments[:, 1] != segments[:, 3]].T
        lean = (x2 - x1) / (y2 - y1)  # columns a row
        near = x1 + lean * (NEAR_ROW * height - y1)  # where the segment, prolonged, leaves the picture below
        aside = sign * (near - width / 2)
        own = (sign * lean > 0) & (sign * lean < MOST_LEAN) & (aside > 0.1 * width) & (aside < 0.5 * width)
        length = np.hypot(x2 - x1, y2 - y1)
        out[side] = np.column_stack([x1, y1, x2, y2, length])[own]
    return out


def line_of(points: NDArray[np.float64]) -> Line | None:
    """The line through a side's segments, weighed by their length; None where there is too little paint."""
    if points[:, 4].sum() < 40:
        return None
    columns, rows = points[:, [0, 2]].ravel(), points[:, [1, 3]].ravel()
    weight = np.repeat(np.sqrt(points[:, 4]), 2)
    keep = np.ones(len(columns), bool)
    for _ in range(4):
        if np.ptp(rows[keep]) < 15:
            return None
        b, a = np.polyfit(rows[keep], columns[keep], 1, w=weight[keep])
        off = np.abs(columns - a - b * rows)
        keep = off <= max(4.0, 2.0 * float(np.median(off)))
    return float(a), float(b)

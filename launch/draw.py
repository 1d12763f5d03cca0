"""Drawing on RGB images: the colours of every picture that Roadcraft makes, text, polylines, pills."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import Kind

Image = NDArray[np.uint8]
Color = tuple[int, int, int]  # RGB

BACKGROUND: Color = (17, 19, 24)
CARD: Color = (27, 30, 37)
RULE: Color = (52, 57, 68)
DIM: Color = (128, 136, 150)
TEXT: Color = (232, 236, 242)
ROAD: Color = (40, 44, 53)
TRUTH: Color = (92, 99, 114)
DRIVABLE: Color = (38, 166, 154)
LANE: Color = (255, 241, 118)
PLAN: Color = (102, 187, 106)
ROUTE: Color = (66, 165, 245)
ALERT: Color = (255, 112, 67)
STOP: Color = (239, 83, 80)
EGO: Color = (66, 165, 245)
LAMPS: tuple[Color, ...] = ((244, 67, 54), (255, 202, 40), (67, 220, 96))  # red, yellow, green
KIND_COLORS: dict[int, Color] = {
    Kind.CAR: (79, 195, 247),
    Kind.TRUCK: (121, 134, 203),
    Kind.BUS: (149, 117, 205),
    Kind.MOTORCYCLE: (240, 98, 146),
    Kind.BICYCLE: (255, 138, 101),
    Kind.PEDESTRIAN: (255, 183, 77),
}
_FONT = cv2.FontFace("sans")
_SHIFT = 3  # bits of sub-pixel precision in OpenCV's coordinates


def text(image: Image, words: str, xy: tuple[float, float], size: int, color: Color = TEXT, weight: int = 400) -> None:
    """Writes words with their baseline's left end at `xy` [pixels]."""
    cv2.putText(image, words, (round(xy[0]), round(xy[1])), color, _FONT, size, weight)


def text_width(words: str, size: int, weight: int = 400) -> int:
    """How wide the words will be [pixels]."""
    return int(cv2.getTextSize((4096, 4096), words, (0, 0), _FONT, size, weight)[2])


def pill(image: Image, words: str, xy: tuple[float, float], color: Color, size: int = 15) -> None:
    """Words on a rounded ground, its top left at `xy`."""
    x, y = round(xy[0]), round(xy[1])
    height = size + 10
    rounded(image, (x, y, text_width(words, size, 600) + height, height), color, height // 2)
    ink = (20, 20, 20) if sum(color) > 330 else TEXT
    text(image, words, (x + height / 2, y + size + 2), size, ink, 600)


def rounded(image: Image, box: tuple[int, int, int, int], color: Color, radius: int = 8) -> None:
    """A filled rectangle x, y, width, height with round corners."""
    x, y, w, h = box
    cv2.rectangle(image, (x + radius, y), (x + w - radius - 1, y + h - 1), color, cv2.FILLED)
    cv2.rectangle(image, (x, y + radius), (x + w - 1, y + h - radius - 1), color, cv2.FILLED)
    for cx in (x + radius, x + w - radius - 1):
        for cy in (y + radius, y + h - radius - 1):
            cv2.circle(image, (cx, cy), radius - 1, color, cv2.FILLED, cv2.LINE_AA)


def _fixed(xy: NDArray[np.floating]) -> NDArray[np.int32]:
    return np.round(np.clip(xy, -4000, 8000) * (1 << _SHIFT)).astype(np.int32)


def line(image: Image, xy: NDArray[np.floating], color: Color, width: int = 2, closed: bool = False) -> None:
    """A smooth polyline (N, 2) [pixels]; it breaks where a point is not finite."""
    good = np.isfinite(xy).all(1)
    starts = np.flatnonzero(good & ~np.concatenate([[False], good[:-1]]))
    for start in starts:
        rest = np.flatnonzero(~good[start:])
        stop = start + rest[0] if len(rest) else len(xy)
        if stop - start > 1:
            cv2.polylines(image, [_fixed(xy[start:stop])], closed, color, width, cv2.LINE_AA, _SHIFT)


def fill(image: Image, xy: NDArray[np.floating], color: Color) -> None:
    """A filled polygon (N, 2) [pixels]; points that are not finite are left out."""
    points = xy[np.isfinite(xy).all(1)]
    if len(points) > 2:
        cv2.fillPoly(image, [_fixed(points)], color, cv2.LINE_AA, _SHIFT)


def dot(image: Image, xy: NDArray[np.floating], radius: float, color: Color, width: int = cv2.FILLED) -> None:
    """A disc, or a circle of that line width."""
    if np.isfinite(xy).all():
        x, y = _fixed(xy)
        cv2.circle(image, (int(x), int(y)), round(radius * (1 << _SHIFT)), color, width, cv2.LINE_AA, _SHIFT)


@cache
def _mixed(color: Color, share: float) -> Image:
    """(1, 256, 3) what each value of each channel becomes when `share` of it is the colour's."""
    values = np.arange(256.0)[:, None] * (1 - share) + np.array(color) * share
    return np.round(values).astype(np.uint8)[None]


def tint(image: Image, mask: NDArray[np.uint8], color: Color, share: float) -> None:
    """Mixes a colour into the image where the mask is not 0."""
    x, y, w, h = cv2.boundingRect(mask)
    if w:
        part = image[y : y + h, x : x + w]
        cv2.copyTo(cv2.LUT(part, _mixed(color, share)), mask[y : y + h, x : x + w], part)

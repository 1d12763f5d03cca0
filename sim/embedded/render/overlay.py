"""Lines and dots that are painted over a picture where nothing stands before them: they throw no light and no shadow.

A line is a strip that looks at the camera, as wide as it was asked for but at least a pixel; a dot is a square of so
many pixels however far away it is. Neither haze nor night changes their colours.
"""

# Kernels take arrays whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import ceil, floor, hypot

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.views import Images, View
from roadcraft.sim.kernels import kernel, njit

LINE = np.dtype(
    [
        ("begin", "f8", 3),  # [m] world
        ("end", "f8", 3),  # [m] world; a dot has none
        ("width", "f8"),  # [m] of a line, [pixels] of a dot
        ("dot", "?"),
        ("rgb", "u1", 3),
    ]
)
NEAR = 0.1  # [m] before the camera, from where anything is painted
SLACK = 1.002  # times as far as what the picture shows, painted still: depths are rounded
_NO_RGB, _NO_BGRA = np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint32)


def paint_lines(lines: NDArray[np.void], view: View, images: Images) -> None:
    """Paints `lines` (n,) LINE, later ones over earlier ones, into the colours of a view's picture that has depth."""
    assert images.depth is not None
    rgb = _NO_RGB if images.rgb is None else images.rgb
    bgra = _NO_BGRA if images.bgra is None else images.bgra
    _paint(lines, np.array(view.xyz, np.float64), view.axes, float(view.focal), images.depth, rgb, bgra)


@njit
def _paint(lines, eye, axes, focal, depth, rgb, bgra):
    """`eye` (3,) and `axes` (3, 3) are the camera's, `depth` (H, W) the picture's [m]; rgb and bgra may be empty."""
    begin, end = np.zeros(3), np.zeros(3)
    for k in range(lines.shape[0]):
        line = lines[k]
        r, g, b = np.uint32(line.rgb[0]), np.uint32(line.rgb[1]), np.uint32(line.rgb[2])
        word = b | g << np.uint32(8) | r << np.uint32(16) | np.uint32(0xFF000000)
        _seen(line.begin, eye, axes, begin)
        if line.dot:
            _dot(begin, line.width, word, focal, depth, rgb, bgra)
        else:
            _seen(line.end, eye, axes, end)
            if _clip(begin, end):
                _strip(begin, end, line.width, word, focal, depth, rgb, bgra)


@kernel
def _seen(place, eye, axes, out):
    """A place of the world as right, down and forward [m] of the camera."""
    for k in range(3):
        out[k] = 0.0
        for i in range(3):
            out[k] += axes[k, i] * (place[i] - eye[i])


@kernel
def _clip(begin, end):
    """Shortens a line to what is before the camera; whether anything is left."""
    if begin[2] < NEAR and end[2] < NEAR:
        return False
    for one, other in ((begin, end), (end, begin)):
        if one[2] < NEAR:
            share = (NEAR - one[2]) / (other[2] - one[2])
            for k in range(3):
                one[k] += share * (other[k] - one[k])
    return True


@kernel
def _put(i, j, away, word, depth, rgb, bgra):
    if away > depth[i, j] * SLACK:
        return
    if rgb.shape[0]:
        rgb[i, j, 0], rgb[i, j, 1], rgb[i, j, 2] = word >> 16 & 255, word >> 8 & 255, word & 255
    if bgra.shape[0]:
        bgra[i, j] = word


@kernel
def _within(low, high, count):
    """The pixels [first, end) of a row or column of `count` whose middles lie in [low, high]."""
    low, high = min(max(low, -1.0), count + 1.0), min(max(high, -1.0), count + 1.0)
    return max(0, ceil(low - 0.5)), min(count, floor(high - 0.5) + 1)


@kernel
def _dot(at, size, word, focal, depth, rgb, bgra):
    if at[2] < NEAR:
        return
    height, width = depth.shape
    half = max(size, 1.0) / 2
    x, y = width / 2 + focal * at[0] / at[2], height / 2 + focal * at[1] / at[2]
    top, bottom = _within(y - half, y + half, height)
    left, right = _within(x - half, x + half, width)
    for i in range(top, bottom):
        for j in range(left, right):
            _put(i, j, at[2], word, depth, rgb, bgra)


@kernel
def _strip(begin, end, thick, word, focal, depth, rgb, bgra):
    """Row by row between the edges of the four-sided picture of a line; widths and inverse depths are linear there."""
    height, width = depth.shape
    x0, y0 = width / 2 + focal * begin[0] / begin[2], height / 2 + focal * begin[1] / begin[2]
    x1, y1 = width / 2 + focal * end[0] / end[2], height / 2 + focal * end[1] / end[2]
    dx, dy = x1 - x0, y1 - y0
    length = hypot(dx, dy)
    if length < 1e-6:
        return
    half0, half1 = max(focal * thick / begin[2], 1.0) / 2, max(focal * thick / end[2], 1.0) / 2
    across, down = -dy / length, dx / length
    xs = (x0 + half0 * across, x1 + half1 * across, x1 - half1 * across, x0 - half0 * across)
    ys = (y0 + half0 * down, y1 + half1 * down, y1 - half1 * down, y0 - half0 * down)
    top, bottom = _within(min(ys), max(ys), height)
    for i in range(top, bottom):
        y, low, high = i + 0.5, np.inf, -np.inf
        for a in range(4):
            b = (a + 1) & 3
            if (ys[a] <= y) != (ys[b] <= y):
                x = xs[a] + (y - ys[a]) / (ys[b] - ys[a]) * (xs[b] - xs[a])
                low, high = min(low, x), max(high, x)
        if low > high:
            continue
        left, right = _within(low, high, width)
        for j in range(left, right):
            share = ((j + 0.5 - x0) * dx + (y - y0) * dy) / (length * length)
            share = min(max(share, 0.0), 1.0)
            near = 1.0 / begin[2] + share * (1.0 / end[2] - 1.0 / begin[2])
            _put(i, j, 1.0 / near, word, depth, rgb, bgra)

"""Motion blur: what moves while the shutter is open is smeared along its way, half of it before the picture's moment.

As in CARLA, whose engine opens the shutter for `motion_blur_intensity` times 1/30 s however long a tick is, cuts each
streak at `motion_blur_max_distortion` percent of the picture's width, and lets a body whose radius in the picture is
below `motion_blur_min_object_screen_size` percent of the width move with the camera alone. CARLA's default of 0.35 %
is two pixels of 640.

A pixel is the mean of what passes over it: of its own surface as far as nothing that moves otherwise stands before
it, and of nearer things that come by. Those are found within a tile around the pixel; the mean is one of light, not
of the values that stand for it.
"""

# Kernels take arrays whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.flow import Motion
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import kernel

if TYPE_CHECKING:
    from roadcraft.sim.embedded.render import Images, View
    from roadcraft.sim.embedded.server.live import LiveWorld

SHUTTER = 1 / 30  # [s] at intensity 1: Unreal's MotionBlurTargetFPS
TILE = 16  # pixels
ALIKE = 1.0  # [pixels] streaks that differ by less are one surface's
REACH = 32  # samples to either side of a pixel at most; they are a pixel apart in streaks that are not too long for it
DOM_X, DOM_Y, LOW_X, HIGH_X, LOW_Y, HIGH_Y = range(6)  # of a tile's streaks: the longest, and the range

# Parts become part of the kernels: passing on all the arrays would cost more than their work.
part = partial(kernel, forceinline=True)


@kernel
def _streaks(motion, across, down, longest, tiles):
    """Motion (H, W, 2) into streaks [pixels, x right, y down] by factors, in place; and what each tile holds of them
    (R, C, 6)."""
    height, width = motion.shape[0], motion.shape[1]
    across, down, most = np.float32(across), np.float32(down), np.float32(longest * longest)
    for r in range(tiles.shape[0]):
        for c in range(tiles.shape[1]):
            low_x = low_y = np.float32(np.inf)
            high_x = high_y = np.float32(-np.inf)
            dom_x = dom_y = dom = np.float32(0.0)
            for i in range(r * TILE, min(r * TILE + TILE, height)):
                for j in range(c * TILE, min(c * TILE + TILE, width)):
                    x, y = motion[i, j, 0] * across, motion[i, j, 1] * down
                    square = x * x + y * y
                    if square > most:
                        cut = np.float32(np.sqrt(most / square))
                        x, y, square = x * cut, y * cut, most
                    motion[i, j, 0], motion[i, j, 1] = x, y
                    low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
                    if square > dom:
                        dom_x, dom_y, dom = x, y, square
            tile = tiles[r, c]
            tile[DOM_X], tile[DOM_Y], tile[LOW_X], tile[HIGH_X] = dom_x, dom_y, low_x, high_x
            tile[LOW_Y], tile[HIGH_Y] = low_y, high_y


@kernel
def _around(tiles, out):
    """What each tile and its eight neighbours hold together."""
    rows, columns = tiles.shape[0], tiles.shape[1]
    for r in range(rows):
        for c in range(columns):
            mine = out[r, c]
            for k in range(6):
                mine[k] = tiles[r, c, k]
            for rr in range(max(r - 1, 0), min(r + 2, rows)):
                for cc in range(max(c - 1, 0), min(c + 2, columns)):
                    tile = tiles[rr, cc]
                    for low, high in ((LOW_X, HIGH_X), (LOW_Y, HIGH_Y)):
                        mine[low], mine[high] = min(mine[low], tile[low]), max(mine[high], tile[high])
                    if tile[DOM_X] ** 2 + tile[DOM_Y] ** 2 > mine[DOM_X] ** 2 + mine[DOM_Y] ** 2:
                        mine[DOM_X], mine[DOM_Y] = tile[DOM_X], tile[DOM_Y]


@part
def _samples(x, y):
    """How a streak is sampled: at the shares k step of its length for |k| <= count, the middle one with the weight
    `full`, the outermost two with `last` each, any others with `full`; the weights' sum is 1.

    Along its longer side a streak covers the pixels in its middle wholly and those at its ends in part: one of up to a
    pixel covers no other.
    """
    length = max(abs(x), abs(y))
    if length <= 1.0:
        return 0, 0.0, 1.0, 0.0
    full = max(1.0, length / (2 * REACH)) / length
    count = int(np.ceil(0.5 / full - 0.5))
    return count, full, full, (1.0 - full * (2 * count - 1)) / 2


@part
def _at(i, j, x, y, height, width):
    """The pixel that lies (x, y) from (i, j), or the nearest one in the picture."""
    row = np.uint32(min(max(i + y + 0.5, 0.0), height - 1.0))
    return row, np.uint32(min(max(j + x + 0.5, 0.0), width - 1.0))


@part
def _apart(x, y, streak):
    """The square of how far a streak differs from (x, y)."""
    return (streak[0] - x) ** 2 + (streak[1] - y) ** 2


@part
def _seen(i, j, t, dom_x, dom_y, depth, streaks):
    """The pixel whose surface is at (i, j) at the moment t of the shutter's time, from -1/2 to 1/2."""
    height, width = depth.shape
    own_x, own_y, here = streaks[i, j, 0], streaks[i, j, 1], depth[i, j]
    row, column = _at(i, j, -t * dom_x, -t * dom_y, height, width)
    if depth[row, column] < here:
        other = streaks[row, column]
        comes = _apart(dom_x, dom_y, other) * t * t < ALIKE * ALIKE / 4
        if comes and _apart(own_x, own_y, other) > ALIKE * ALIKE:
            return row, column  # a nearer thing comes by
    row, column = _at(i, j, -t * own_x, -t * own_y, height, width)
    if depth[row, column] < here and _apart(own_x, own_y, streaks[row, column]) > ALIKE * ALIKE:
        return np.uint32(i), np.uint32(j)  # the surface goes on behind a nearer thing
    return row, column


@part
def _mixed(i, j, x, y, rgb, depth, streaks, out):
    """Writes a pixel near which things move in different ways; (x, y) is the longest streak there."""
    count, step, full, last = _samples(x, y)
    red = green = blue = 0.0  # sums of squares: light, nearly
    for k in range(-count, count + 1):
        row, column = _seen(i, j, k * step, x, y, depth, streaks)
        weight = last if abs(k) == count and count > 0 else full
        r, g, b = float(rgb[row, column, 0]), float(rgb[row, column, 1]), float(rgb[row, column, 2])
        red, green, blue = red + weight * r * r, green + weight * g * g, blue + weight * b * b
    out[i, j, 0], out[i, j, 1] = int(np.sqrt(blue) + 0.5), int(np.sqrt(green) + 0.5)
    out[i, j, 2] = int(np.sqrt(red) + 0.5)


@part
def _run(i, first, end, x, y, lines, light, out):
    """Writes the pixels of a row from `first` to `end`, all smeared by one streak. `lines` (H, 3 W) are RGB; `light` is
    room for a row's 3 TILE sums."""
    height, width = out.shape[0], out.shape[1]
    count, step, full, last = _samples(x, y)
    size = 3 * (end - first)
    light[:size] = 0.0
    for k in range(-count, count + 1):
        weight = np.float32(last if abs(k) == count and count > 0 else full)
        row, column = _at(i, first, -k * step * x, -k * step * y, height, width)
        shift = int(np.floor(first - k * step * x + 0.5))
        if shift >= 0 and shift + end - first <= width:
            for m in range(size):
                value = np.float32(lines[row, 3 * shift + m])
                light[m] += weight * value * value
        else:
            for m in range(size):
                column = min(max(shift + m // 3, 0), width - 1)
                value = np.float32(lines[row, 3 * column + m % 3])
                light[m] += weight * value * value
    for m in range(size):
        light[m] = np.sqrt(light[m]) + np.float32(0.5)
    for j in range(end - first):
        for c in range(3):
            out[i, first + j, 2 - c] = np.uint8(light[3 * j + c])


@kernel
def _smear(rgb, lines, depth, streaks, around, light, out):
    """RGB as (H, W, 3), and as (H, 3 W), into (H, W, 4) BGRA; alpha is left as it is."""
    height, width = depth.shape
    for i in range(height):
        for c in range(around.shape[1]):
            near, first, end = around[i // TILE, c], c * TILE, min(c * TILE + TILE, width)
            if near[HIGH_X] - near[LOW_X] < ALIKE and near[HIGH_Y] - near[LOW_Y] < ALIKE:
                middle = streaks[i, (first + end) // 2]
                _run(i, first, end, middle[0], middle[1], lines, light, out)
            else:
                for j in range(first, end):
                    _mixed(i, j, near[DOM_X], near[DOM_Y], rgb, depth, streaks, out)


class Blur:
    """One camera's shutter; it is `open` for some time, or there is no blur."""

    def __init__(self, actor: Actor, width: int, height: int) -> None:
        """Raises UserError for values that no shutter has."""
        names = ("motion_blur_intensity", "motion_blur_max_distortion", "motion_blur_min_object_screen_size")
        intensity, longest, smallest = (actor.number(name) for name in names)
        for name, value in zip(names, (intensity, longest, smallest), strict=True):
            if not (isfinite(value) and value >= 0):
                raise UserError(f"{actor.type_id}: {name} = {value:g} cannot be")
        self.time = intensity * SHUTTER  # [s]
        self.longest, self.smallest = longest / 100 * width, smallest / 100 * width  # [pixels]
        self.open = actor.flag("enable_postprocess_effects") and self.time > 0 and self.longest > 1
        if self.open:
            self.motion, self._room = Motion(width, height), room(width, height)

    def rest(self) -> None:
        """The next picture is a first one, which has no blur."""
        if self.open:
            self.motion.rest()

    def __call__(self, images: Images, view: View, live: LiveWorld, out: NDArray[np.uint8]) -> None:
        """RGB (H, W, 3), with depth and instances, into `out` (H, W, 4) BGRA."""
        assert images.rgb is not None
        assert images.depth is not None
        took = self.motion.measure(images, view, live, self.smallest)
        share = self.time / took if took > 0 else 0.0
        smear(images.rgb, images.depth, self.motion.pixels, share, self.longest, self._room, out)


class Room(NamedTuple):
    """Where a blur works: what tiles hold, with their neighbours, and the light of a tile's row."""

    tiles: NDArray[np.float32]
    around: NDArray[np.float32]
    light: NDArray[np.float32]


def room(width: int, height: int) -> Room:
    """Room for pictures of a size."""
    shape = (-(-height // TILE), -(-width // TILE), 6)
    return Room(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(3 * TILE, np.float32))


def smear(
    rgb: NDArray[np.uint8],
    depth: NDArray[np.float32],
    motion: NDArray[np.float32],
    share: float,
    longest: float,
    space: Room,
    out: NDArray[np.uint8],
) -> None:
    """RGB (H, W, 3) into `out` (H, W, 4) BGRA, each pixel smeared by a share of its motion, but by no more than
    `longest` [pixels]. Motion (H, W, 2) is as `flow` writes it; it is overwritten."""
    height, width = depth.shape
    _streaks(motion, share * width / 2, -share * height / 2, longest, space.tiles)
    _around(space.tiles, space.around)
    _smear(rgb, rgb.reshape(height, -1), depth, motion, space.around, space.light, out)

"""Heights of the ground on a grid: those of the lanes under them, and beside the roads what spans smoothly from one to
the next, down to the lowest road's height some way beyond the last.

Where lanes overlap, as in junctions, heights are those of the lane whose middle is near, blended.
"""

from __future__ import annotations

from math import ceil, floor, hypot

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import njit
from roadcraft.sim.roads import RoadNetwork

MARGIN = 250.0  # [m] beyond the lanes within which the ground falls to its lowest height
BLOCK = 64  # cells along the edge of a block of the mesh
MOST = 6_000_000  # points; larger maps get cells of 2, 4, ... m
SHOULDER = 1.3  # [m] beside a lane that has its height
SWEEPS = 24  # of the relaxation at each size of cell
OVER = 1.6  # its over-relaxation
Grid = NDArray[np.float64]


def frame_of(network: RoadNetwork) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """As Relief.frame, and rows and columns of points."""
    margin, spacing = MARGIN + float(network.width.max()) / 2, 1.0  # what lies on lanes lies within the grid
    low, high = network.xy.min(0) - margin, network.xy.max(0) + margin
    while True:
        edge = BLOCK * spacing
        corner = np.floor(low / edge) * edge
        columns, rows = (np.ceil((high - corner) / edge).astype(int) * BLOCK + 1).tolist()
        if rows * columns <= MOST:
            return np.array([*corner, spacing, float(network.z.min())]), (rows, columns)
        spacing *= 2.0


def heights(
    network: RoadNetwork, frame: NDArray[np.float64], shape: tuple[int, int], pieces: list[slice]
) -> tuple[Grid, NDArray[np.bool_]]:
    """Heights (rows, columns) [m], and where they are those of lanes, whose points are given."""
    total, weight = np.zeros(shape), np.zeros(shape)
    for at in pieces:
        lay_lane(total, weight, frame, network.xy[at], network.yaw[at], network.z[at], network.width[at] / 2)
    pinned = weight > 0
    z = np.where(pinned, total / np.where(pinned, weight, 1.0), frame[3])
    return _span(z, pinned.copy(), float(frame[3])), pinned


@njit
def lay_lane(
    total: Grid, weight: Grid, frame: Grid, xy: Grid, yaw: Grid, z: Grid, half: Grid
) -> None:  # (n, 2), the others (n,)
    """Adds a lane's heights where it lies, its middle with the most weight."""
    for k in range(xy.shape[0] - 1):
        ax, ay = (xy[k, 0] - frame[0]) / frame[2], (xy[k, 1] - frame[1]) / frame[2]
        bx, by = (xy[k + 1, 0] - frame[0]) / frame[2], (xy[k + 1, 1] - frame[1]) / frame[2]
        dx, dy = bx - ax, by - ay
        length = max(hypot(dx, dy), 1e-9)
        shoulder = max(SHOULDER / frame[2], 1.5)
        reach = max(half[k], half[k + 1]) / frame[2] + shoulder
        extra = 0.5 + reach * abs(yaw[k + 1] - yaw[k]) if abs(yaw[k + 1] - yaw[k]) < 1.0 else 0.5
        low_x, high_x = max(floor(min(ax, bx) - reach), 0), min(ceil(max(ax, bx) + reach), total.shape[1] - 1)
        low_y, high_y = max(floor(min(ay, by) - reach), 0), min(ceil(max(ay, by) + reach), total.shape[0] - 1)
        for i in range(low_y, high_y + 1):
            for j in range(low_x, high_x + 1):
                along = ((j - ax) * dx + (i - ay) * dy) / length
                off = abs((dx * (i - ay) - dy * (j - ax)) / length)
                beyond = max(-along, along - length)
                if beyond > extra or off > reach:
                    continue
                t = min(max(along / length, 0.0), 1.0)
                edge = max((half[k] + t * (half[k + 1] - half[k])) / frame[2], 0.1)
                if off <= edge:
                    share = 1.0 - (off / edge) ** 2
                    w = 1e-3 + share * share
                elif off <= edge + shoulder:
                    w = 1e-6 * (1.001 - (off - edge) / shoulder)
                else:
                    continue
                if beyond > 0.0:
                    w *= 0.05
                total[i, j] += w * (z[k] + t * (z[k + 1] - z[k]))
                weight[i, j] += w


def _span(z: Grid, pinned: NDArray[np.bool_], low: float) -> Grid:
    """Fills what is not pinned like a skin stretched between the rest and the border, from coarse to fine."""
    pinned[[0, -1]] = pinned[:, [0, -1]] = True
    z[[0, -1]] = z[:, [0, -1]] = low
    levels = [(z, pinned)]
    while min(levels[-1][0].shape) > 9 and all((n - 1) % 2 == 0 for n in levels[-1][0].shape):
        levels.append(_coarser(*levels[-1]))
    guess = np.full(levels[-1][0].shape, low)
    for level, (known, fixed) in enumerate(reversed(levels)):
        if level:
            guess = _finer(guess)
        guess = np.where(fixed, known, guess)
        relax(guess, fixed, 200 if level == 0 else SWEEPS)
    return guess


def _coarser(z: Grid, pinned: NDArray[np.bool_]) -> tuple[Grid, NDArray[np.bool_]]:
    """Every other point: the mean of what is pinned around it."""
    value, count = np.pad(np.where(pinned, z, 0.0), 1), np.pad(pinned.astype(float), 1)
    rows, columns = ((n - 1) // 2 + 1 for n in z.shape)
    total, number = np.zeros((rows, columns)), np.zeros((rows, columns))
    for i in range(3):
        for j in range(3):
            total += value[i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2]
            number += count[i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2]
    return total / np.maximum(number, 1.0), number > 0


def _finer(z: Grid) -> Grid:
    """Between every two points another."""
    out = np.zeros((2 * z.shape[0] - 1, 2 * z.shape[1] - 1))
    out[::2, ::2] = z
    out[1::2, ::2] = (z[1:] + z[:-1]) / 2
    out[:, 1::2] = (out[:, :-1:2] + out[:, 2::2]) / 2
    return out


@njit
def relax(z: Grid, fixed: NDArray[np.bool_], sweeps: int) -> None:
    """Moves each free point towards the mean of its four neighbours (successive over-relaxation)."""
    for _ in range(sweeps):
        for i in range(1, z.shape[0] - 1):
            for j in range(1, z.shape[1] - 1):
                if not fixed[i, j]:
                    mean = (z[i - 1, j] + z[i + 1, j] + z[i, j - 1] + z[i, j + 1]) / 4
                    z[i, j] += OVER * (mean - z[i, j])

"""The 256 colours of the ground, each with its semantic class, and the way from any colour to the nearest of them.

A code a texel instead of four bytes keeps a town's ground four times smaller in memory and in the processor's caches,
and lets light, shadow and wetness be applied to 256 colours instead of to every pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.materials import ROAD, ROAD_LINE, SIDEWALK, TERRAIN
from roadcraft.sim.kernels import njit

CLASSES = np.array([TERRAIN, SIDEWALK, ROAD, ROAD_LINE], np.uint8)  # by the label's surface
STEP = 4  # colour steps of the lookup table
WORN = (88.0, 88.0, 88.0)  # RGB of lines of which little is left
PAINTS = {  # OpenDRIVE's colours of lines, RGB when new; its "standard" is white
    "white": (236, 236, 230),
    "yellow": (234, 184, 50),
    "blue": (44, 96, 196),
    "green": (40, 150, 76),
    "red": (196, 48, 44),
    "orange": (232, 120, 30),
    "violet": (140, 70, 170),
    "black": (26, 26, 28),
}


def _ramp(low: tuple[float, float, float], high: tuple[float, float, float], count: int) -> NDArray[np.float64]:
    return np.linspace(low, high, count)


def _colors() -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """RGB (256, 3) and index into CLASSES (256,)."""
    parts = [
        (2, _ramp((34, 34, 36), (150, 149, 146), 48)),
        (2, _ramp((154, 154, 152), (226, 226, 222), 12)),
        (2, _ramp((104, 96, 70), (206, 164, 52), 12)),
        (3, _ramp((92, 92, 92), (240, 240, 236), 24)),
        (3, _ramp((104, 94, 64), (236, 188, 52), 20)),
        *((3, _ramp(WORN, rgb, 4)) for rgb in list(PAINTS.values())[2:]),
        (1, _ramp((84, 82, 79), (208, 205, 198), 44)),
        (0, _ramp((40, 60, 22), (112, 142, 66), 20)),
        (0, _ramp((58, 64, 26), (146, 150, 84), 20)),
        (0, _ramp((66, 58, 40), (160, 146, 112), 16)),
        (0, _ramp((90, 92, 78), (176, 174, 164), 16)),
    ]
    color = np.concatenate([c for _, c in parts])
    surface = np.concatenate([np.full(len(c), s, np.uint8) for s, c in parts])
    return color, surface


COLORS, SURFACES = _colors()
CLASS_OF = CLASSES[SURFACES]  # (256,)
assert len(COLORS) == 256


@njit
def _nearest(colors: NDArray[np.float64], surfaces: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    out = np.zeros((4, size, size, size), np.uint8)
    for surface in range(4):
        for i in range(size):
            for j in range(size):
                for k in range(size):
                    best, found = 1e18, 0
                    for n in range(colors.shape[0]):
                        if surfaces[n] != surface:
                            continue
                        r = colors[n, 0] - (i + 0.5) * STEP
                        g = colors[n, 1] - (j + 0.5) * STEP
                        b = colors[n, 2] - (k + 0.5) * STEP
                        distance = 2 * r * r + 3 * g * g + b * b
                        if distance < best:
                            best, found = distance, n
                    out[surface, i, j, k] = found
    return out


def quantiser() -> NDArray[np.uint8]:
    """(4, 64, 64, 64) the code for a surface and an RGB divided by STEP."""
    return _nearest(COLORS, SURFACES, 256 // STEP)

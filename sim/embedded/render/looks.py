"""Looks: the same town with other asphalt, pavement, grass, leaves, walls and windows, by a number.

Look 0 is how towns have always looked. Any other number draws a set of surfaces: who learns from pictures shall not
learn one kind of asphalt by heart (domain randomisation: Tobin et al. 2017, arXiv:1703.06907). Shapes and labels stay.
A look is part of a town's name: "grid-20@3".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.facade import STYLES
from roadcraft.sim.embedded.render.materials import BUILDING, ROAD, ROAD_LINE, SIDEWALK, TERRAIN, VEGETATION
from roadcraft.sim.embedded.render.palette import CLASS_OF, COLORS

Color = tuple[float, float, float]
Colors = NDArray[np.float64]

# What a surface is made of: its colour [0, 255] on the whole, and how much of its own pattern is left.
ASPHALT: tuple[tuple[Color, tuple[float, float]], ...] = (
    ((58, 58, 62), (0.6, 1.3)),  # laid this year
    ((92, 92, 93), (0.5, 1.7)),  # as in look 0, smooth or worn
    ((122, 120, 116), (0.6, 1.5)),  # bleached
    ((148, 145, 138), (0.5, 1.2)),  # concrete
    ((104, 92, 86), (0.6, 1.4)),  # reddish
)
PAVEMENT: tuple[tuple[Color, tuple[float, float]], ...] = (
    ((152, 150, 145), (0.6, 1.4)),  # concrete slabs
    ((178, 160, 128), (0.6, 1.3)),  # sandstone
    ((142, 98, 82), (0.7, 1.4)),  # brick
    ((104, 104, 110), (0.6, 1.3)),  # basalt
)
GROUND: tuple[tuple[Color, tuple[float, float]], ...] = (
    ((90, 108, 54), (0.7, 1.3)),  # grass
    ((64, 92, 40), (0.7, 1.2)),  # in spring
    ((150, 138, 84), (0.7, 1.2)),  # dried up
    ((134, 112, 84), (0.6, 1.2)),  # bare earth
    ((198, 200, 204), (0.3, 0.6)),  # under snow
)
LEAVES: tuple[Color, ...] = ((1.0, 1.0, 1.0), (0.75, 0.95, 0.7), (1.5, 1.05, 0.5), (1.9, 0.8, 0.45), (1.2, 1.2, 0.8))
WALLS: tuple[Color, ...] = (
    (0.72, 0.68, 0.60),
    (0.60, 0.36, 0.28),
    (0.84, 0.83, 0.80),
    (0.50, 0.52, 0.55),
    (0.78, 0.66, 0.44),
)
TONE = 8.0  # [0, 255] by which a surface's colour varies from one look to the next that draws it
LINES = (0.82, 1.06)  # brightness of the paint of lines: dirty to new


@dataclass(frozen=True, slots=True)
class Look:
    """How things of a town are coloured."""

    ground: NDArray[np.float64]  # (256, 3) [0, 255] the palette's colours
    windows: int  # added to the style of each house's windows
    leaves: NDArray[np.float64]  # (3,) factor of their colour
    walls: NDArray[np.float64]  # (3,) [0, 1] colour that they tend to ...
    alike: float  # ... by this share

    def paint(self, parts: NDArray[np.void]) -> None:
        """Paints (P,) PART anew, in place."""
        leaves, houses = parts["tag"] == VEGETATION, parts["tag"] == BUILDING
        parts["paint"][leaves] = np.clip(parts["paint"][leaves] * self.leaves, 0, 1)
        parts["paint"][houses] += self.alike * (self.walls - parts["paint"][houses])
        parts["style"][houses] += self.windows


def look_of(number: int) -> Look:
    """The look of a number, always the same. Raises ValueError for a negative one."""
    if number < 0:
        raise ValueError(f"look {number} is negative")
    if number == 0:
        return Look(COLORS, 0, np.ones(3), np.zeros(3), 0.0)
    rng = np.random.default_rng([0x100C, number])
    ground = COLORS.copy()
    for tag, kinds in ((ROAD, ASPHALT), (SIDEWALK, PAVEMENT), (TERRAIN, GROUND)):
        color, contrast = kinds[rng.integers(len(kinds))]
        tone = np.array(color) + rng.normal(0, TONE / 2, 3) + rng.normal(0, TONE)
        some = tag == CLASS_OF
        ground[some] = (asphalt if tag == ROAD else plain)(COLORS[some], tone, rng.uniform(*contrast), TYPICAL[tag])
    ground[CLASS_OF == ROAD_LINE] *= rng.uniform(*LINES)
    return Look(
        np.clip(ground, 0, 255),
        int(rng.integers(STYLES)),
        np.array(LEAVES[rng.integers(len(LEAVES))]) * rng.uniform(0.85, 1.15),
        np.array(WALLS[rng.integers(len(WALLS))]),
        float(rng.uniform(0.0, 0.8)),
    )


def plain(colors: Colors, tone: Colors, contrast: float, typical: Colors) -> Colors:
    """`colors` (n, 3) [0, 255] that vary about `typical`, about `tone` (3,) instead."""
    return tone + (colors - typical) * contrast


def asphalt(colors: Colors, tone: Colors, contrast: float, typical: Colors) -> Colors:
    """The same for the roadway, some of whose colours are partly paint: lines as they look from far away."""
    yellow = colors[:, 0] - colors[:, 2] > YELLOWISH
    bright = np.minimum(colors, typical + BRIGHT)
    road = np.where(yellow[:, None], tone, plain(bright, tone, contrast, typical))
    paint = np.where(yellow[:, None], YELLOW, WHITE)
    share = np.clip((colors[:, 0] - typical[0] - BRIGHT) / (paint[:, 0] - typical[0] - BRIGHT), 0, 1)[:, None]
    return np.asarray(road + share * (paint - road))


WHITE, YELLOW = np.array((236.0, 236.0, 230.0)), np.array((234.0, 184.0, 50.0))  # paint, see `ground_paint`
BRIGHT = 20.0  # above what is typical of asphalt: brighter is partly paint
YELLOWISH = 20.0  # by which red is above blue
TYPICAL = {  # [0, 255] what these surfaces are in look 0 on the whole, see `ground_paint`
    ROAD: np.array((92.0, 92.0, 93.5)),
    SIDEWALK: np.array((152.0, 150.0, 145.0)),
    TERRAIN: np.array((90.0, 108.0, 52.0)),
}

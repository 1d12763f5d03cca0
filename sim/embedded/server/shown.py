"""Which standing things of a town are there: clients hide single ones, unload whole map layers, switch lamps off, and
paint things. Surfaces stay.

What is hidden is neither drawn nor met by rays, and nothing collides with it. Pictures and rays are prepared anew when
they are next needed, which takes about a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.scenery import LAMP_OFF, Scenery, Shape
from roadcraft.sim.embedded.server.level import SIGNALS, heads, is_signal, is_surface
from roadcraft.sim.embedded.server.wire import CITY_TAGS
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError

ALL_LAYERS = 0xFFFF
BUILDINGS, FOLIAGE, PARKED, PROPS, STREET_LIGHTS, WALLS = 1, 4, 16, 64, 128, 256  # carla.MapLayer
_OF_SHAPE = {
    Shape.BOX: PROPS,
    Shape.CYLINDER: PROPS,
    Shape.TREE: FOLIAGE,
    Shape.BUSH: FOLIAGE,
    Shape.BUILDING: BUILDINGS,
    Shape.CAR: PARKED,
    Shape.LAMP: STREET_LIGHTS,
}
_BARRIERS = [CITY_TAGS[name] for name in ("walls", "fences", "guard_rail")]


def layers_of(static: NDArray[np.void]) -> NDArray[np.uint16]:
    """(K,) the map layer of each standing thing; 0 for lights and signs, which no layer takes away."""
    table = np.zeros(len(Shape), np.uint16)
    for shape, layer in _OF_SHAPE.items():
        table[shape] = layer
    layers = table[static["shape"]]
    layers[(layers == PROPS) & np.isin(static["tag"], _BARRIERS)] = WALLS
    return layers


class Shown:
    """What is there of one town."""

    def __init__(self, town: Town, layers: int = ALL_LAYERS) -> None:
        self.whole, self.town = town, town  # the town with everything, and with what is shown
        self.layers, self.hidden, self.dark = layers, set[int](), set[int]()
        self.paints: dict[int, tuple[int, int, int]] = {}  # RGB that clients gave to things, by their ids
        self.heads = heads(town)
        self._layer = layers_of(town.scenery.static)
        self._choose()

    @property
    def listed(self) -> NDArray[np.void]:
        """(K,) STATIC: the things of all loaded layers, hidden ones included."""
        return self.whole.scenery.static[self._loaded()]

    def hide(self, numbers: Iterable[int], shown: bool) -> None:
        """Shows or hides things by their ids; ids that are not known are passed over.

        The head of a light and the plate of a sign go with the post that carries them. Raises UserError when surfaces
        are among what is to be hidden, after hiding the others.
        """
        static, wanted = self.whole.scenery.static, set(numbers)
        carried = [number - SIGNALS for number in wanted if is_signal(number)]
        known = wanted.intersection(static["id"].tolist())
        known |= set(static["id"][(static["signal"] >= 0) & np.isin(static["signal"], carried)].tolist())
        self.hidden = self.hidden - known if shown else self.hidden | known
        self._choose()
        painted = sum(map(is_surface, wanted))
        if painted and not shown:
            raise UserError(f"roads, sidewalks, paint and terrain cannot be hidden: {painted} of {len(wanted)} objects")

    def switch_off(self, lamps: set[int]) -> None:
        """Of the street lamps, exactly those of these ids give no light."""
        self.dark = lamps
        self._choose()

    def paint(self, numbers: Iterable[int], color: tuple[int, int, int]) -> None:
        """Gives things another colour (RGB)."""
        self.paints.update(dict.fromkeys(numbers, color))
        self._choose()

    def load(self, layers: int) -> None:
        """Brings layers back."""
        self.layers |= layers
        self._choose()

    def unload(self, layers: int) -> None:
        """Takes layers away."""
        self.layers &= ~layers
        self._choose()

    def _loaded(self) -> NDArray[np.bool_]:
        loaded: NDArray[np.bool_] = (self._layer == 0) | ((self._layer & self.layers) != 0)
        return loaded

    def _choose(self) -> None:
        static = self.whole.scenery.static
        keep = self._loaded() & ~np.isin(static["id"], list(self.hidden))
        shown = static[keep]
        shown["style"][(shown["shape"] == Shape.LAMP) & np.isin(shown["id"], list(self.dark))] = LAMP_OFF
        for number, color in self.paints.items():
            shown["color"][shown["id"] == number] = color
        if np.array_equal(shown, static):
            self.town = self.whole
        elif not np.array_equal(shown, self.town.scenery.static):
            self.town = replace(self.whole, scenery=Scenery(shown))

"""Street lamps as CARLA's light manager sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from roadcraft.sim.embedded.scenery import Scenery, Shape
from roadcraft.sim.embedded.server.wire import location_wire

STREET = 2  # carla.LightGroup.Street
LUMEN = 5000.0  # brightness told for each lamp
WARM = (255, 214, 170)  # RGB


class StreetLights:
    """All lamps of a town and what clients made of them."""

    def __init__(self, scenery: Scenery) -> None:
        static = scenery.static
        self.lamps: dict[int, list[Any]] = {}  # [id, location, intensity, group, colour, on]
        for row in static[static["shape"] == Shape.LAMP]:
            head = row["xyz"] + np.array([0.0, 0.0, 2 * row["extent"][2]])
            number = int(row["id"])
            self.lamps[number] = [number, location_wire(head), LUMEN, STREET, list(WARM), True]

    @property
    def off(self) -> set[int]:
        """The ids of those that give no light."""
        return {number for number, lamp in self.lamps.items() if not lamp[5] or lamp[2] <= 0.0}

    def wire(self) -> list[list[Any]]:
        """All lamps, as `query_lights_state` answers."""
        return list(self.lamps.values())

    def update(self, told: list[Any]) -> None:
        """Takes over intensity, group, colour and switch of the lamps that are known."""
        for number, _place, intensity, group, color, on in told:
            if number in self.lamps:
                self.lamps[number][2:] = [intensity, group, list(color), on]

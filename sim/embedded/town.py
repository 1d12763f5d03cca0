"""A town: its OpenDRIVE text, the road network and the scenery read from it.

>>> load_town("grid").network.lanes
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from roadcraft.sim import planview
from roadcraft.sim.baking import cached_network
from roadcraft.sim.cache import cached, source_digest
from roadcraft.sim.embedded import (
    layout,
    layout_arms,
    layout_arterial,
    layout_grid,
    layout_ground,
    layout_highway,
    layout_junction,
    layout_lattice,
    layout_roads,
    layout_roundabout,
    layout_scenery,
    layout_signs,
    layout_suburb,
    opendrive,
    opendrive_writer,
)
from roadcraft.sim.embedded.layout import Layout
from roadcraft.sim.embedded.layout_arterial import arterial_layout
from roadcraft.sim.embedded.layout_grid import grid_layout
from roadcraft.sim.embedded.layout_highway import highway_layout
from roadcraft.sim.embedded.layout_roads import build_map
from roadcraft.sim.embedded.layout_roundabout import roundabout_layout
from roadcraft.sim.embedded.layout_suburb import suburb_layout
from roadcraft.sim.embedded.opendrive_writer import to_text
from roadcraft.sim.embedded.relief import Ground, flat
from roadcraft.sim.embedded.relief_load import load_relief
from roadcraft.sim.embedded.scenery import Scenery, read_scenery
from roadcraft.sim.errors import UserError
from roadcraft.sim.roads import RoadNetwork

LAYOUTS: dict[str, Callable[[str, np.random.Generator], Layout]] = {
    "grid": grid_layout,
    "suburb": suburb_layout,
    "arterial": arterial_layout,
    "roundabout": roundabout_layout,
    "highway": highway_layout,
}
STYLES = tuple(LAYOUTS)
NAME = re.compile(rf"({'|'.join(STYLES)})(?:-(\d{{1,6}}))?(?:@(\d{{1,6}}))?")  # style, number, look
MAKERS = (
    layout,
    layout_arms,
    layout_arterial,
    layout_grid,
    layout_ground,
    layout_highway,
    layout_junction,
    layout_lattice,
    layout_roads,
    layout_roundabout,
    layout_scenery,
    layout_signs,
    layout_suburb,
    opendrive,
    opendrive_writer,
    planview,
)


@dataclass(frozen=True, slots=True)
class Town:
    name: str  # as asked for: "grid-20", or the stem of the file
    xodr: str  # the OpenDRIVE text
    network: RoadNetwork
    scenery: Scenery
    look: int = 0  # what its surfaces are made of, see `render.looks`
    generated: bool = False  # by this project's layouts; not read from a file or a client's text
    relief: Ground = field(default_factory=flat)  # how high the ground is


def load_town(name: str) -> Town:
    """A town by its name, such as "grid" or "suburb-20", or by the path of an OpenDRIVE file. Cached on disk. A look of
    its own may be added to a name: "suburb-20@3".

    Raises UserError for an unknown name and for a file that is missing or broken.
    """
    look, match = 0, NAME.fullmatch(name)
    if match:
        text, look = town_text(match[1], int(match[2] or 0)), int(match[3] or 0)
        network = cached_network(text, name, trusted=True)
    elif name.endswith(".xodr"):
        text, title = _read(Path(name)), Path(name).stem
        name, network = title, cached_network(text, title)
    else:
        raise UserError(
            f"unknown town {name!r}: there are {', '.join(STYLES)}, each also with a number as in grid-7 "
            "and a look as in grid-7@3, and OpenDRIVE files by their path (.xodr)"
        )
    return make_town(name, text, network, look, generated=match is not None)


def make_town(name: str, text: str, network: RoadNetwork, look: int = 0, generated: bool = False) -> Town:
    """A town of an OpenDRIVE text and its network."""
    relief = load_relief(network)
    return Town(name, text, network, read_scenery(text, network, relief), look, generated, relief)


def town_text(style: str, number: int) -> str:
    """The OpenDRIVE text of a generated town."""

    def make() -> dict[str, np.ndarray]:
        rng = np.random.default_rng([STYLES.index(style), number])
        text = to_text(build_map(LAYOUTS[style](f"{style}-{number}", rng), rng))
        return {"text": np.frombuffer(text.encode(), np.uint8)}

    return (
        cached(f"town-{style}-{number}-{source_digest(*MAKERS, sys.modules[__name__])}", make)["text"]
        .tobytes()
        .decode()
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"map {path} cannot be read: {error}") from None

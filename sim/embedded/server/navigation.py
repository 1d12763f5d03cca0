"""Files that clients keep in their own cache: the walkers' navigation mesh.

Every client asks for it when it connects, and after every `load_world`, and no tick runs while it is made. So it is
kept with the towns, and checked whenever it is read.
"""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from roadcraft.sim.cache import Arrays, cached, digest
from roadcraft.sim.embedded.server import navmesh
from roadcraft.sim.embedded.server.navmesh import MeshError
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import closure

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server


log = logging.getLogger(__name__)


def mesh_of(town: Town) -> bytes:
    """The checked mesh file of a town, empty where there is nowhere to walk. Raises MeshError."""

    def make() -> Arrays:
        return {"mesh": np.frombuffer(navmesh.build(town.network), np.uint8)}

    makers = (file.read_bytes() for file in closure(Path(navmesh.__file__).resolve()))
    data: bytes = cached(f"mesh-{digest(town.xodr, *makers)}", make)["mesh"].tobytes()
    if data:
        navmesh.check(data)
    return data


class Navigation:
    """The mesh of the present town, made when first asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._town: Town | None = None
        self._data = b""

    @property
    def data(self) -> bytes:
        """The mesh file, empty where the town has nowhere to walk."""
        if self._town is not self.server.live.town:
            self._town, self._data = self.server.live.town, b""
            try:
                self._data = mesh_of(self._town)
            except MeshError as error:
                log.error("the navigation mesh is not sound and is not sent: %s", error)
        return self._data

    def _name(self) -> str:
        # Clients cache by name, so the name changes with the content.
        return f"Roadcraft/Nav/{self.server.live.map_name}-{zlib.crc32(self.data):08x}.bin"

    def required(self, folder: str) -> list[str]:
        """The names of the files that a client needs; `folder` as CARLA's clients ask."""
        return [self._name()] if folder in ("Nav", "") and self.data else []

    def file(self, name: str) -> bytes:
        """The content of one of those. Raises UserError for any other name."""
        if self.data and name == self._name():
            return self.data
        raise UserError(f"there is no file '{name:.80}'")

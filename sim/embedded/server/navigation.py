"""Files that clients keep in their own cache: the walkers' navigation mesh."""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING

from roadcraft.sim.embedded.server.navmesh import MeshError, build
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server


log = logging.getLogger(__name__)


class Navigation:
    """The mesh of the present town, made when first asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._data: bytes | None = None

    def clear(self) -> None:
        """Another town was loaded."""
        self._data = None

    @property
    def data(self) -> bytes:
        """The mesh file, empty where the town has nowhere to walk."""
        if self._data is None:
            try:
                self._data = build(self.server.live.town.network)
            except MeshError as error:
                log.error("the navigation mesh is not sound and is not sent: %s", error)
                self._data = b""
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

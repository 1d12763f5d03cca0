"""Which towns can be loaded, by which names.

Roadcraft's own towns go by their names ("grid", "suburb-20"). CARLA's names work where a folder holds their OpenDRIVE
files; otherwise they are refused, because another town's coordinates would be silently wrong, unless somebody asked
for aliases.
"""

from __future__ import annotations

import re
from pathlib import Path

from roadcraft.sim.embedded.town import NAME, STYLES, Town, load_town
from roadcraft.sim.errors import UserError

FOLDER = "/Game/Carla/Maps/"
OPENDRIVE_MAP = "OpenDriveMap"  # what a generated world is called
CARLA_TOWNS = ("Town01", "Town02", "Town03", "Town04", "Town05", "Town06", "Town07", "Town10HD")
_CARLA_NAME = re.compile(r"(Town\d\d(?:HD)?)(?:_Opt)?")


class Maps:
    """The names that `load_world` accepts."""

    def __init__(self, folder: Path | None = None, alias_towns: bool = False) -> None:
        if folder is not None and not folder.is_dir():
            raise UserError(f"--maps {folder}: there is no such folder")
        files = sorted(folder.glob("*.xodr")) if folder else []
        self.files = {file.stem: file for file in files}
        self.aliases = {name: STYLES[k % len(STYLES)] for k, name in enumerate(CARLA_TOWNS)} if alias_towns else {}

    def available(self) -> list[str]:
        """Full names, as `get_available_maps` gives them."""
        return [FOLDER + name for name in sorted({*STYLES, *self.files, *self.aliases})]

    def load(self, name: str) -> tuple[str, Town]:
        """(short name, town) of a full or short name. Raises UserError for a name that is not known."""
        short = name.replace("\\", "/").rstrip("/").split("/")[-1]
        match = _CARLA_NAME.fullmatch(short)
        plain = match[1] if match else short
        for candidate in (short, plain):
            if candidate in self.files:
                return short, load_town(str(self.files[candidate]))
        if plain in self.aliases:
            return short, load_town(self.aliases[plain])
        if match:
            raise UserError(
                f"map '{short}' is CARLA's: start the server with --maps and a folder that holds {plain}.xodr, or with "
                "--alias-towns to get one of this server's own towns under that name"
            )
        if NAME.fullmatch(short):
            return short, load_town(short)
        known = ", ".join(name.removeprefix(FOLDER) for name in self.available())
        raise UserError(
            f"map '{short:.60}' not found; there are {known}, Roadcraft's towns also with a number (grid-7) "
            "and a look (grid-7@3)"
        )

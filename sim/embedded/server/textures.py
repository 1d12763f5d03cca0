"""Textures that clients lay on standing things: of a picture the whole thing gets the average colour.

Things of this server are drawn in plain colours, so that there is no room for more: a brick wall's picture makes a
house brick-red. What has no colour of its own to be changed, roads, terrain and heads of lights, is passed over, or
refused where nothing else was named.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from roadcraft.sim.embedded.server import surroundings
from roadcraft.sim.embedded.server.wire import WireError, anything, fields, u32
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

Color = tuple[int, int, int]
NAMED = 5  # objects that an error names


class Parameter(IntEnum):
    """`carla.MaterialParameter`."""

    NORMAL = 0
    AO_ROUGHNESS_METALLIC_EMISSIVE = 1
    DIFFUSE = 2
    EMISSIVE = 3


_texture = fields(u32, u32, anything)


def average(value: Any, scale: float) -> Color | None:
    """The average colour of a texture [width, height, pixels], `scale` making bytes of its values; None if it has no
    pixels. Raises WireError."""
    width, height, pixels = _texture(value)
    if width * height == 0:
        return None
    try:
        colors = np.array(pixels, np.float64)
    except (TypeError, ValueError):
        raise WireError("a texture's pixels are no colours") from None
    if colors.ndim != 2 or len(colors) != width * height or colors.shape[1] < 3 or not np.isfinite(colors).all():
        raise WireError(f"a texture of {width} x {height} does not have as many colours")
    r, g, b = np.clip(np.rint(scale * colors[:, :3].mean(axis=0)), 0, 255).astype(int).tolist()
    return r, g, b


def paint(live: LiveWorld, names: list[str], color: Color) -> list[str]:
    """Paints standing things; the names that are none. Raises UserError where none of them is one."""
    numbers = surroundings.standing(live)
    known = {numbers[name] for name in names if name in numbers}
    strange = [name for name in names if name not in numbers]
    if strange and not known:
        named = ", ".join(f"'{name:.40}'" for name in strange[:NAMED])
        raise UserError(
            f"no texture for {named}{' and others' if len(strange) > NAMED else ''}: only the standing things of "
            "get_names_of_all_objects take one, not surfaces, heads of lights and actors"
        )
    live.shown.paint(known, color)
    live.rearrange()
    return strange

"""What lens and film make of a picture: distortion, a dark rim, exposure and gamma.

The renderer draws what a pinhole sees, and that is taken for what CARLA's default lens sees: attributes act by what
they differ from CARLA's defaults. With u, v the place in the picture from its middle, in widths and heights,

    r^2 = (aspect u)^2 + v^2,    f = 1 + r^2 (lens_k + lens_kcube r)
    the source of u is u + lens_x_size (f - 1) u, of v likewise with lens_y_size

and the rim's shade is 1 - lens_circle_multiplier (r / r in the corner)^lens_circle_falloff. The film's curve is
((value^2.2) 2^exposure_compensation)^(1 / gamma). With `exposure_mode` manual the light is also that of a hand-set
camera, iso / (shutter_speed fstop^2), by CARLA's defaults of these; otherwise the exposure meter makes up for them.
"""

from __future__ import annotations

from math import isfinite, log2

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import njit

LENS = {
    "lens_circle_falloff": 5.0,
    "lens_circle_multiplier": 0.0,
    "lens_k": -1.0,
    "lens_kcube": 0.0,
    "lens_x_size": 0.08,
    "lens_y_size": 0.08,
}
FILM = {"gamma": 2.2, "exposure_compensation": 0.0}
HAND = {"iso": (100.0, 1), "shutter_speed": (200.0, -1), "fstop": (1.4, -2)}  # default, power of it in the light
MOST_STOPS = 64.0  # by which a picture may be made lighter or darker
DRAWN = 2.2  # gamma of the renderer's pictures


@njit
def _through(source, place, shade, curve, blend, out):  # type: ignore[no-untyped-def]
    """(H, W, 4) `source` as seen at `place` (H, W, 2) [pixels: column, row], shaded (H, W) and mapped by `curve`."""
    height, width = source.shape[0], source.shape[1]
    for i in range(height):
        for j in range(width):
            x = min(max(place[i, j, 0], np.float32(0.0)), np.float32(width - 1))
            y = min(max(place[i, j, 1], np.float32(0.0)), np.float32(height - 1))
            if not blend:
                row, column = int(y + np.float32(0.5)), int(x + np.float32(0.5))
                for c in range(3):
                    out[i, j, c] = source[row, column, c]
                continue
            x0, y0 = int(x), int(y)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            s, t = x - np.float32(x0), y - np.float32(y0)
            for c in range(3):
                top = source[y0, x0, c] * (np.float32(1.0) - s) + source[y0, x1, c] * s
                low = source[y1, x0, c] * (np.float32(1.0) - s) + source[y1, x1, c] * s
                value = (top * (np.float32(1.0) - t) + low * t) * shade[i, j]
                out[i, j, c] = curve[int(value + np.float32(0.5))]


class Optics:
    """One camera's lens and film; `plain` where they change nothing. Labels have no film, and no mixed pixels."""

    def __init__(self, actor: Actor, width: int, height: int, photo: bool) -> None:
        """Raises UserError for values that no lens has."""
        self.size, self.photo = (width, height), photo
        given = {name: actor.number(name) for name in LENS}
        exposed = photo and actor.flag("enable_postprocess_effects")
        given |= {name: actor.number(name) if exposed else FILM[name] for name in FILM}
        for name, value in given.items():
            if (
                not isfinite(value)
                or (name == "gamma" and value <= 0)
                or (name == "exposure_compensation" and abs(value) > MOST_STOPS)
            ):
                raise UserError(f"{actor.type_id}: {name} = {value:g} cannot be")
        if exposed and actor.attributes["exposure_mode"] == "manual":
            given["exposure_compensation"] += self._stops(actor)
        self.given = given
        self.plain = given == LENS | FILM
        if not self.plain:
            self._prepare()

    def _prepare(self) -> None:
        width, height = self.size
        v, u = np.mgrid[0:height, 0:width] + 0.5
        u, v = u / width - 0.5, v / height - 0.5
        square = (width / height * u) ** 2 + v**2
        mine, usual = self._stretch(square, self.given), self._stretch(square, LENS)
        x = u * (1 + mine * self.given["lens_x_size"] - usual * LENS["lens_x_size"])
        y = v * (1 + mine * self.given["lens_y_size"] - usual * LENS["lens_y_size"])
        self._place = np.stack([(x + 0.5) * width, (y + 0.5) * height], -1).astype(np.float32) - np.float32(0.5)
        rim = (square / square.max()) ** (max(self.given["lens_circle_falloff"], 0.0) / 2)
        shade = np.clip(1 - self.given["lens_circle_multiplier"] * rim, 0, 1)
        self._shade = (shade if self.photo else np.ones_like(shade)).astype(np.float32)
        light = (np.arange(256) / 255) ** DRAWN * 2.0 ** self.given["exposure_compensation"]
        self._curve = np.round(255 * np.clip(light ** (1 / self.given["gamma"]), 0, 1)).astype(np.uint8)

    @staticmethod
    def _stops(actor: Actor) -> float:
        """How many times the light of a hand-set camera is doubled."""
        stops = 0.0
        for name, (usual, power) in HAND.items():
            value = actor.number(name)
            if not (isfinite(value) and value > 0):
                raise UserError(f"{actor.type_id}: {name} = {value:g} cannot be")
            stops += power * log2(value / usual)
        return stops

    @staticmethod
    def _stretch(square: NDArray[np.float64], lens: dict[str, float]) -> NDArray[np.float64]:
        """f - 1 where r^2 is `square`."""
        return square * (lens["lens_k"] + lens["lens_kcube"] * np.sqrt(square))

    def __call__(self, pixels: NDArray[np.uint8]) -> None:
        """Changes a picture (H, W, 4), but for its alpha."""
        if not self.plain:
            _through(pixels.copy(), self._place, self._shade, self._curve, self.photo, pixels)

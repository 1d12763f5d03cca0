"""The renderer: a town's ground and scenery, prepared once; any camera, any weather, any bodies."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import _TAGS
from roadcraft.sim.embedded.relief import Ground, Relief
from roadcraft.sim.embedded.render import models
from roadcraft.sim.embedded.render.draw import LAMP, make_eye
from roadcraft.sim.embedded.render.facade import textures
from roadcraft.sim.embedded.render.frame import Air, Buffers, Town3D, render_frame
from roadcraft.sim.embedded.render.ground import load_decks, load_ground
from roadcraft.sim.embedded.render.ground_look import HAZES, STATES_DAY, TEXEL, TILE
from roadcraft.sim.embedded.render.hills_rows import deck_light, slope_light
from roadcraft.sim.embedded.render.lanes import LANES, spare
from roadcraft.sim.embedded.render.lighting import Light, light_of
from roadcraft.sim.embedded.render.looks import look_of
from roadcraft.sim.embedded.render.night import STATES, lamp_map
from roadcraft.sim.embedded.render.palette import CLASS_OF
from roadcraft.sim.embedded.render.parts import build_casters, build_parts
from roadcraft.sim.embedded.render.raster import make_canvas
from roadcraft.sim.embedded.render.sky import bake_sky
from roadcraft.sim.embedded.render.views import Images, Scene, View
from roadcraft.sim.embedded.render.wet import FOG_STEP, FOGS, puddle_map
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import Direct
from roadcraft.sim.messages import Kind, Weather

THICK = 0.004  # [1/m] fog from which every pixel has its own share of it, not every thing
AIRS = 8  # weathers whose tables are kept
LIGHT_STATE = np.dtype(np.uint8)
BLINK_HZ = 1.5  # indicators
ROUNDING = 1e-3  # of a blink: sums of ticks that should be the same are, but for rounding
MAX_PIXELS = 4096


class Renderer:
    """Draws one town. Not to be shared between threads: its buffers are reused."""

    def __init__(self, town: Town) -> None:
        library, levels, walker = models.build()
        self._look = look_of(town.look)
        parts, cells = build_parts(town.scenery, town.network, town.relief)
        self._look.paint(parts)
        tags = np.array([_TAGS.get(kind, 20) for kind in Kind], np.uint8)
        ground = load_ground(town.network)
        bridged = isinstance(town.relief, Relief) and town.relief.deck.size > 0
        rows, columns = ground.tiles.shape
        extent = (columns * TILE * TEXEL, rows * TILE * TEXEL)
        self._town = Town3D(
            library,
            levels,
            models.MODEL_OF,
            walker,
            tags,
            ground,
            load_decks(town.network) if bridged else ground,
            town.relief,
            textures(),
            parts,
            cells,
            lamp_map(town.scenery, ground.origin, extent),
            puddle_map(),
            *build_casters(town.scenery),
        )
        self._buffers: dict[tuple[int, int], tuple[Buffers, dict[int, Images]]] = {}
        self._airs: dict[Weather, Air] = {}
        self._weather = Weather()
        self._last_air = self._airs[self._weather] = _make_air(self._weather, self._look.ground, town.relief)
        self._render = Direct(render_frame)

    def render(
        self,
        scene: Scene,
        view: View,
        *,
        rgb: bool = True,
        semantic: bool = False,
        instance: bool = False,
        depth: bool = False,
        bgra: bool = False,
        hide: int = 0,
    ) -> Images:
        """Draws what a camera sees. The images are overwritten by the next call with the same size.

        Raises UserError for a size or a field of view that no camera has, ValueError for bodies of another type.
        """
        buffers, images = self._prepare(view)
        x, y, z = view.xyz
        camera = (float(x), float(y), float(z), float(view.yaw), float(view.pitch), float(view.roll), float(view.fov))
        wanted = rgb | semantic << 1 | instance << 2 | depth << 3 | bgra << 4
        blink = (scene.time * BLINK_HZ + ROUNDING) % 1.0 < 0.5
        self._render.call(
            self._town,
            buffers,
            camera,
            self._air(scene.weather),
            _plain(scene.bodies, BODY),
            _plain(scene.light_states, LIGHT_STATE),
            np.uint32(hide),
            blink,
            np.uint32(round(scene.time * 20) & 0xFFFFFFF),
            np.uint32(wanted),
        )
        if wanted not in images:
            images[wanted] = Images(
                buffers.rgb if rgb else None,
                buffers.semantic if semantic else None,
                buffers.instance if instance else None,
                buffers.depth if depth else None,
                buffers.bgra if bgra else None,
            )
        return images[wanted]

    def _prepare(self, view: View) -> tuple[Buffers, dict[int, Images]]:
        """The buffers of a view's size, and what was returned of them so far by what was wanted."""
        size = (int(view.width), int(view.height))
        if size not in self._buffers:
            if not (1 <= size[0] <= MAX_PIXELS and 1 <= size[1] <= MAX_PIXELS):
                raise UserError(f"camera of {size[0]} x {size[1]} pixels: both must lie between 1 and {MAX_PIXELS}")
            self._buffers[size] = _make_buffers(*size), {}
        if not 0.01 < view.fov < 3.1:
            raise UserError(f"camera with a field of view of {view.fov} rad: it must lie between 0.01 and 3.1")
        return self._buffers[size]

    def _air(self, weather: Weather) -> Air:
        """Everything that depends on the weather alone; the last AIRS are kept."""
        if weather is self._weather:  # hashing it takes longer
            return self._last_air
        air = self._airs.get(weather)
        if air is None:
            if len(self._airs) >= AIRS:
                del self._airs[next(iter(self._airs))]
            air = self._airs[weather] = _make_air(weather, self._look.ground, self._town.relief)
        self._weather, self._last_air = weather, air
        return air


def _make_air(weather: Weather, ground: NDArray[np.float64], relief: Ground) -> Air:
    light = light_of(weather)
    up = np.array([0.0, 0.0, 1.0])
    lamp = [light.sun, up, light.direct, light.ambient, light.horizon, light.fog, light.zenith, light.sun]
    bits = 14 if light.night > 0.5 else 10
    thick = light.fog_density > THICK
    haze = np.array([light.fog_density, light.fog_start, light.night, 0.0 if thick else light.fog_density, bits])
    fog = np.zeros(FOGS + 1, np.uint32)
    depth = np.arange(FOGS) * FOG_STEP
    fog[:FOGS] = 256 * (1 - np.exp(-light.fog_density * np.maximum(depth - light.fog_start, 0)))
    fog[FOGS] = thick
    drops = np.array([0.80, 0.83, 0.87]) * max(1 - light.night, 0.28)
    water = np.array([light.wet, 0.25 + 0.35 * light.puddles, light.rain]) * (light.wet > 0.02)
    fogs = np.array([_pixel(light.fog), _pixel(drops)], np.uint32)
    slopes, decks = slope_light(relief, light), deck_light(relief, light)
    return Air(lit_palette(light, ground), bake_sky(light), np.stack(lamp), haze, fog, fogs, water, slopes, decks)


def _plain(array: NDArray, dtype: DTypeLike) -> NDArray:
    """The array as the compiled kernels take it: contiguous and writable; another kind would be compiled anew."""
    if array.dtype != dtype:
        raise ValueError(f"Scene holds an array of {array.dtype}, not of {np.dtype(dtype)}")
    return array if array.flags.carray else array.copy()


def _make_buffers(width: int, height: int) -> Buffers:
    shape = (height, width)
    return Buffers(
        make_canvas(width, height),
        make_eye(),
        np.zeros((6, 16), np.float32),
        np.zeros((2, 24), np.float32),
        np.zeros(24, np.int32),
        _make_rgb(height, width),
        spare(shape, np.uint32),
        spare(shape, np.uint8),
        spare(shape, np.uint32),
        spare(shape, np.float32),
    )


def _make_rgb(height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) bytes, after which there are those of LANES pixels."""
    size = 3 * height * width
    return np.zeros(size + 3 * LANES, np.uint8)[:size].reshape(height, width, 3)


def lit_palette(light: Light, ground: NDArray[np.float64]) -> NDArray[np.uint32]:
    """(HAZES * states * 256,) the ground's colours (256, 3) from no haze to nothing but haze; by day in four shadows
    (none, the sun's, that below a thing, both), by night in STATES brightnesses of lamps."""
    up = 0.86 + 0.22
    sun = light.direct * max(float(light.sun[2]), 0.0)
    tag = CLASS_OF.astype(np.uint32) << 24
    if light.night > 0.5:
        shades = [light.ambient * up + LAMP * (k / (STATES - 1)) for k in range(STATES)]
    else:
        below = (1.0, 0.62)
        shades = [light.ambient * up * below[k >> 1] + sun * (1 - (k & 1)) for k in range(STATES_DAY)]
    out = np.empty((HAZES, len(shades), 256), np.uint32)
    haze = np.linspace(0, 1, HAZES)[:, None, None]
    for k, shade in enumerate(shades):
        rgb = np.clip(ground / 255 * shade * (1 - 0.35 * light.wet), 0, 1)
        values = ((rgb + (np.clip(light.fog, 0, 1) - rgb) * haze) * 255 + 0.5).astype(np.uint32)
        out[:, k] = values[..., 0] | values[..., 1] << 8 | values[..., 2] << 16 | tag
    return out.ravel()


def _pixel(rgb: NDArray[np.float64]) -> int:
    r, g, b = (int(v * 255) for v in np.clip(rgb, 0, 1))
    return r | g << 8 | b << 16

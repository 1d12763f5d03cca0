"""One frame from beginning to end, compiled as a whole."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import Ground as Height
from roadcraft.sim.embedded.render.compiled import kernel
from roadcraft.sim.embedded.render.draw import Eye, draw_jobs, look
from roadcraft.sim.embedded.render.glare import draw_glare
from roadcraft.sim.embedded.render.ground_look import Ground
from roadcraft.sim.embedded.render.hidden import clear_tiles, note_tiles
from roadcraft.sim.embedded.render.hills import draw_bridges, draw_ground
from roadcraft.sim.embedded.render.hills_light import light_by_night, mirror_things
from roadcraft.sim.embedded.render.mesh import Library
from roadcraft.sim.embedded.render.night import own_lamps
from roadcraft.sim.embedded.render.raster import SEEN, Canvas
from roadcraft.sim.embedded.render.resolve import COLORS, clear, resolve, write_bgra, write_rgb
from roadcraft.sim.embedded.render.shadows import shadow_bodies, shadow_bridges, shadow_parts
from roadcraft.sim.embedded.render.skyline import clear_skyline
from roadcraft.sim.embedded.render.things import Models, parts_in_view, queue_bodies, queue_parts
from roadcraft.sim.embedded.render.wet import rain

# Radius on the screen [pixels] of bodies: of those that hide others, and below which they are left out.
LARGE, SMALL, ANY = np.float32(16.0), np.float32(0.4), np.float32(1e9)


class Town3D(NamedTuple):
    """What stays from frame to frame."""

    library: Library
    models: Models
    model_of: NDArray[np.int32]  # model by blueprint
    walker: NDArray[np.int32]  # (4,) meshes: torso, leg, arm, whole
    tags: NDArray[np.uint8]  # semantic tag by Kind
    ground: Ground
    deck: Ground  # the same of what lies on bridges
    relief: Height
    facades: NDArray[np.uint8]  # codes, see `facade.textures`
    parts: NDArray[np.void]  # (P,) PART
    cells: NDArray[np.float64]  # (C, 6)
    lamps: NDArray[np.float32]  # map of the street lamps' light, see `night.lamp_map`
    puddles: NDArray[np.float32]  # see `wet.puddle_map`
    casters: NDArray[np.float32]  # (K, 9) what casts shadows, see `parts.build_casters`
    caster_cells: NDArray[np.float32]  # (C, 6)


class Air(NamedTuple):
    """What follows from the weather."""

    palette: NDArray[np.uint32]  # (HAZES * 4 * 256,) colours of the ground by haze, shadow and code
    sky: NDArray[np.uint32]  # (SKY_SIZE * SKY_SIZE,) see `bake_sky`
    lamp: NDArray[np.float64]  # (8, 3) rows of Eye.light, sun and up in the world's axes
    haze: NDArray[np.float64]  # (5,) as Eye.haze, then Eye.local[1]
    fog: NDArray[np.uint32]  # (FOGS + 1,) share of fog, 0 to 256, by depth; last, whether it is drawn for each pixel
    fog_pixel: NDArray[np.uint32]  # (2,) colour of fog, of rain
    water: NDArray[np.float64]  # (3,) wetness, depth of puddles, rain
    slopes: NDArray[np.int32]  # brightness of slopes, see `hills_rows.slope_light`
    deck_slopes: NDArray[np.int32]  # the same of bridges


class Buffers(NamedTuple):
    """What is filled in each frame of one image size. The images have numbers to spare, see `lanes`."""

    canvas: Canvas
    eye: Eye
    scratch: NDArray[np.float32]  # (6, 16) transforms of the object at hand
    outline: NDArray[np.float32]  # (2, 24) a shadow's points
    order: NDArray[np.int32]  # (24,) its corners
    rgb: NDArray[np.uint8]
    bgra: NDArray[np.uint32]  # (H, W) the bytes B, G, R and 255 of each pixel as one word
    semantic: NDArray[np.uint8]
    instance: NDArray[np.uint32]
    depth: NDArray[np.float32]


@kernel
def finish(canvas, eye, relief, puddles, air, moment):
    """What happens to the picture after all faces have their colours."""
    draw_glare(canvas)
    if air.water[0] > 0:
        mirror_things(relief, canvas, eye, puddles, np.float32(air.water[0]), np.float32(air.water[1]))
    if air.water[2] > 0:
        rain(canvas, np.float32(air.water[2]), moment, air.fog_pixel[1])


@kernel
def render_frame(town, buffers, camera, air, bodies, signals, hide, blink, moment, wanted):
    """Draws and writes the images whose bits are set in `wanted`: 1 RGB, 2 semantic, 4 instance, 8 depth, 16 BGRA."""
    canvas, s, eye = buffers.canvas, buffers.scratch, buffers.eye
    look(eye, camera, (canvas.word.shape[1], canvas.word.shape[0]), air.lamp, air.haze)
    clear(canvas, eye, town.relief)
    clear_skyline(canvas)
    clear_tiles(canvas)
    draw_ground(town.relief, canvas, eye)
    parts, library, models, lamps, origin = town.parts, town.library, town.models, town.lamps, town.ground.origin
    night, own = air.haze[2] > 0.5, s[5]
    if night:
        own_lamps(eye, bodies, hide, own)
    sunny, shape, order = eye.light[2, 1] > np.float32(0.02), buffers.outline, buffers.order
    if wanted & COLORS and not night and sunny:
        shadow_bridges(town.relief, canvas, eye, shape, order)
    draw_bridges(town.relief, canvas, eye, lamps, origin, own)
    if wanted & COLORS and night:
        light_by_night(town.relief, canvas, eye, lamps, origin, bodies, hide, own)
    elif wanted & COLORS:
        shadow_parts(town.relief, canvas, eye, town.casters, town.caster_cells, shape, order, s[0], s[1], sunny)
        shadow_bodies(town.relief, canvas, eye, bodies, hide, shape, order, s[0], s[1], sunny)
    houses, others = parts_in_view(canvas, eye, town.cells, parts)
    queue_parts(canvas, models, eye, lamps, origin, own, parts, signals, 0, houses, s[0])
    queue_bodies(
        canvas, models, town.model_of, town.walker, town.tags, eye, lamps, origin, own, bodies, hide, blink, s[0], s[2],
        s[3], s[4], LARGE, ANY,
    )  # fmt: skip
    draw_jobs(canvas, library, eye, s[1])
    note_tiles(canvas)
    queue_bodies(
        canvas, models, town.model_of, town.walker, town.tags, eye, lamps, origin, own, bodies, hide, blink, s[0], s[2],
        s[3], s[4], SMALL, LARGE,
    )  # fmt: skip
    queue_parts(canvas, models, eye, lamps, origin, own, parts, signals, SEEN - others, SEEN, s[0])
    draw_jobs(canvas, library, eye, s[1])
    images = buffers.semantic, buffers.instance, buffers.depth
    resolve(canvas, eye, town.relief, town.ground, town.deck, town.facades, air, *images, wanted)
    if wanted & COLORS:
        finish(canvas, eye, town.relief, town.puddles, air, moment)
    if wanted & np.uint32(1):
        write_rgb(canvas.soft, buffers.rgb)
    if wanted & np.uint32(16):
        write_bgra(canvas.soft, buffers.bgra)

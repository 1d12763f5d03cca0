"""One frame from beginning to end, compiled as a whole."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel
from roadcraft.sim.embedded.render.draw import Models, draw_bodies, draw_parts
from roadcraft.sim.embedded.render.ground_look import Ground
from roadcraft.sim.embedded.render.mesh import Library
from roadcraft.sim.embedded.render.raster import Canvas
from roadcraft.sim.embedded.render.resolve import (
    clear,
    color_rows,
    write_depth,
    write_instance,
    write_rgb,
    write_semantic,
)


class Town3D(NamedTuple):
    """What stays from frame to frame."""

    library: Library
    models: Models
    model_of: NDArray[np.int32]  # model by blueprint
    walker: NDArray[np.int32]  # (4,) meshes: torso, leg, arm, whole
    tags: NDArray[np.uint8]  # semantic tag by Kind
    ground: Ground
    parts: NDArray[np.void]  # (P,) PART
    cells: NDArray[np.float64]  # (C, 6)


class Buffers(NamedTuple):
    """What is filled in each frame of one image size."""

    canvas: Canvas
    scratch: NDArray[np.float32]  # (6, 16) transforms of the object at hand
    rgb: NDArray[np.uint8]
    words: NDArray[np.uint32]  # the bytes of `rgb`, four pixels in three words; no columns where that does not fit
    semantic: NDArray[np.uint8]
    instance: NDArray[np.uint32]
    depth: NDArray[np.float32]


@kernel
def render_frame(town, buffers, eye, palette, sky, bodies, signals, hide, blink, wanted):
    """Draws and writes the images whose bits are set in `wanted`: 1 RGB, 2 semantic, 4 instance, 8 depth."""
    canvas, s = buffers.canvas, buffers.scratch
    clear(canvas, eye)
    draw_bodies(
        canvas, town.library, town.models, town.model_of, town.walker, town.tags, eye, bodies, hide, blink,
        s[0], s[1], s[2], s[3], s[4],
    )  # fmt: skip
    draw_parts(
        canvas,
        town.library,
        town.models,
        eye,
        town.cells,
        town.parts,
        signals,
        s[0],
        s[1],
    )
    if wanted & np.uint32(3):
        color_rows(canvas, eye, town.ground, palette, sky)
    if wanted & np.uint32(1):
        write_rgb(canvas.pixel, buffers.rgb, buffers.words)
    if wanted & np.uint32(2):
        write_semantic(canvas, buffers.semantic)
    if wanted & np.uint32(4):
        write_instance(canvas, buffers.instance)
    if wanted & np.uint32(8):
        write_depth(canvas, buffers.depth)

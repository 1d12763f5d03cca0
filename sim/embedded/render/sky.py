"""Bakes the sky of a weather into a map of the upper half sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.ground_paint import noise_map
from roadcraft.sim.embedded.render.lighting import Light
from roadcraft.sim.embedded.render.materials import SKY
from roadcraft.sim.embedded.render.resolve import SKY_BLOCK, SKY_SCALE, SKY_SIZE


def bake_sky(light: Light) -> NDArray[np.uint32]:
    """(SKY_SIZE * SKY_SIZE,) pixels, block by block as `resolve.sky_texel` finds them, by p = d_xy / (1 + d_z) of the
    direction d, scaled by SKY_SCALE; row along y."""
    axis = (np.arange(SKY_SIZE) + 0.5) / (SKY_SIZE / 2) - 1
    x, y = np.meshgrid(axis / SKY_SCALE, axis / SKY_SCALE)
    square = np.minimum(x * x + y * y, 1.3)
    z = (1 - square) / (1 + square)
    d = np.stack([2 * x / (1 + square), 2 * y / (1 + square), z], -1)
    height = np.clip(z, 0, 1)
    share = (1 - (1 - height) ** 3.2)[..., None]
    rgb = light.horizon + (light.zenith - light.horizon) * share
    rgb = _clouds(rgb, d, height, light)
    toward = np.clip(d @ light.sun, 0, 1)
    halo = 0.55 * toward**24 + 0.25 * toward**5
    disc = np.clip((toward - 0.9994) * 4000, 0, 1)
    rgb = rgb + (halo[..., None] + 2.0 * disc[..., None]) * light.glow * (1 - rgb)
    if light.night > 0.5:
        rgb = _stars(rgb, height, light)
    values = (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint32)
    pixels = values[..., 0] | values[..., 1] << 8 | values[..., 2] << 16 | np.uint32(SKY << 24)
    count = SKY_SIZE // SKY_BLOCK
    return pixels.reshape(count, SKY_BLOCK, count, SKY_BLOCK).transpose(0, 2, 1, 3).ravel()


def _clouds(rgb: NDArray, d: NDArray, height: NDArray, light: Light) -> NDArray:
    """Clouds on a plane overhead, thinned towards the horizon."""
    size = 512
    noise = sum(noise_map(size, 5 * 2**k, 40 + k) * 0.5 ** (k + 1) for k in range(5))
    depth = np.maximum(d[..., 2], 0.03) + 0.09
    u = (d[..., 0] / depth * 34).astype(np.int64) % size
    v = (d[..., 1] / depth * 34).astype(np.int64) % size
    value = np.asarray(noise)[v, u]
    edge = 0.70 - 0.42 * light.clouds
    cover = np.clip((value - edge) / 0.20, 0, 1) * np.clip(height * 9, 0, 1) * 0.9
    day = 1 - light.night
    lit = np.array([0.97, 0.97, 0.98]) * day * (1 - 0.35 * light.rain) + light.zenith * light.night * 1.4
    dark = lit * (0.78 - 0.12 * light.clouds)
    cloud = lit + (dark - lit) * np.clip((value - edge - 0.08) / 0.3, 0, 1)[..., None]
    return rgb + (cloud - rgb) * cover[..., None]


def _stars(rgb: NDArray, height: NDArray, light: Light) -> NDArray:
    rng = np.random.default_rng(3)
    star = (rng.random(height.shape) > 0.9988) * rng.random(height.shape) * height * (1 - light.clouds)
    return rgb + star[..., None] * 0.6 * light.night

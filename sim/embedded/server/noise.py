"""Noise of an RGB camera's pixels. CARLA's cameras have none (its `iso` is brightness); the attributes are named after
those of CARLA's lidar.

`noise_stddev` is in levels of 255, for each colour of each pixel alone. The n-th picture of a camera has the noise
that `noise_seed` and n say, whatever the clock and the other cameras do.
"""

# Kernels take arrays whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from functools import cache
from math import isfinite
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import njit

BITS = 12  # of a random number that choose one of so many equally likely values


@cache
def _normal() -> NDArray[np.float64]:
    """(2^BITS,) the quantiles of the normal distribution, with standard deviation 1."""
    count = 1 << BITS
    values = np.array([NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)])
    return np.asarray(values / values.std())


@njit
def _mix(x):
    """A random 64 bit number for each x: the finalizer of SplitMix64 (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit
def _add(pixels, values, seed, picture):
    """Adds one of `values` to each colour of (H, W, 4) pixels."""
    height, width = pixels.shape[0], pixels.shape[1]
    key = _mix(_mix(np.uint64(seed)) + np.uint64(picture))
    mask = np.uint64((1 << BITS) - 1)
    for i in range(height):
        for j in range(width):
            bits = _mix(key + np.uint64(i * width + j + 1) * np.uint64(0x9E3779B97F4A7C15))
            for c in range(3):
                value = pixels[i, j, c] + values[int((bits >> np.uint64(c * BITS)) & mask)]
                pixels[i, j, c] = int(min(max(value + 0.5, 0.0), 255.0))


class Noise:
    """One camera's noise; `none` where its standard deviation is 0."""

    def __init__(self, actor: Actor) -> None:
        """Raises UserError for a standard deviation that cannot be."""
        sigma = actor.number("noise_stddev")
        if not (isfinite(sigma) and sigma >= 0):
            raise UserError(f"{actor.type_id}: noise_stddev = {sigma:g} cannot be")
        self.none = sigma == 0
        self._values = sigma * _normal() if sigma > 0 else np.zeros(0)
        self._seed, self._pictures = int(actor.attributes["noise_seed"]) & (2**63 - 1), 0

    def __call__(self, pixels: NDArray[np.uint8]) -> None:
        """Changes a picture (H, W, 4), but for its alpha."""
        if not self.none:
            _add(pixels, self._values, self._seed, self._pictures)
            self._pictures += 1

"""Random numbers inside compiled kernels: each owner's own sequence, whose state is a field `random` of its record.

Numbers are splitmix64's (Steele, Lea, Flood 2014). Standard normals are the ziggurat's of Doornik (2005, "An improved
ziggurat method to generate normal random samples"): 128 layers of equal area, of which one table look-up decides 98 of
100 draws.
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from roadcraft.sim.kernels import kernel

LAYERS = 128
TAIL = 3.442619855899  # where the lowest layer's rectangle ends
AREA = 9.91256303526217e-3  # of each layer


def _edges() -> np.ndarray:
    """Right edges (LAYERS + 1,) of the layers, from the lowest to the top, of exp(-x^2 / 2)."""
    edges = [AREA * exp(0.5 * TAIL * TAIL), TAIL]
    while len(edges) < LAYERS:
        edges.append(sqrt(-2.0 * log(AREA / edges[-1] + exp(-0.5 * edges[-1] ** 2))))
    return np.array([*edges, 0.0])


_EDGES = _edges()
_INNER = _EDGES[1:] / _EDGES[:-1]  # share of each layer's width that lies below the curve for all of its height


@kernel
def bits(m):  # type: ignore[no-untyped-def]
    """64 random bits."""
    m.random = np.uint64(m.random) + np.uint64(0x9E3779B97F4A7C15)
    z = np.uint64(m.random)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def draw(m):  # type: ignore[no-untyped-def]
    """A random number in [0, 1)."""
    return float(bits(m) >> np.uint64(11)) / 9007199254740992.0


@kernel
def normal(m):  # type: ignore[no-untyped-def]
    """A standard normal."""
    while True:
        drawn = bits(m)
        layer = np.int64(drawn & np.uint64(LAYERS - 1))
        share = 2.0 * (float(drawn >> np.uint64(11)) / 9007199254740992.0) - 1.0
        x = share * _EDGES[layer]
        if abs(share) < _INNER[layer]:
            return x
        if layer == 0:
            return _beyond(m) if share > 0.0 else -_beyond(m)
        low, high = exp(-0.5 * _EDGES[layer] ** 2), exp(-0.5 * _EDGES[layer + 1] ** 2)
        if low + draw(m) * (high - low) < exp(-0.5 * x * x):
            return x


@kernel
def _beyond(m):  # type: ignore[no-untyped-def]
    """A standard normal from beyond TAIL (Marsaglia 1964)."""
    while True:
        x = -log(1.0 - draw(m)) / TAIL
        if -2.0 * log(1.0 - draw(m)) > x * x:
            return TAIL + x

"""The length of a vector inside compiled kernels, where the C library's `hypot` is a call that takes twice as long.

The same bits as glibc's since 2.35, whatever library a machine has: the root of the sum of squares, then one step of
correction (Borges 2019, "An improved algorithm for hypot(a, b)", MyHypot3). Where squares could underflow or overflow,
and where numbers are none, the library itself answers.
"""

from __future__ import annotations

from math import hypot, sqrt

from roadcraft.sim.kernels import kernel

SMALL, LARGE = 2.0**-459, 2.0**511  # squares of numbers between them are exact enough
NEGLIGIBLE = 2.0**-54  # of the longer side: a shorter one makes no difference


@kernel
def norm(x: float, y: float) -> float:
    """sqrt(x^2 + y^2), to less than one unit in the last place."""
    x, y = abs(x), abs(y)
    a, b = (y, x) if x < y else (x, y)
    if b <= a * NEGLIGIBLE:
        return a + b
    if not (b >= SMALL and a <= LARGE):
        return hypot(a, b)
    h = sqrt(a * a + b * b)
    if h <= 2.0 * b:
        d = h - b
        return h - (a * (2.0 * d - a) + (d - 2.0 * (a - b)) * d) / (2.0 * h)
    d = h - a
    return h - (2.0 * d * (a - 2.0 * b) + ((4.0 * d - b) * b + d * d)) / (2.0 * h)

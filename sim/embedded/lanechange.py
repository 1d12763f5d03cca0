"""Lane changes by MOBIL (Kesting, Treiber, Helbing 2007): worth it for oneself, bearable for who comes behind."""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def consider_change(i, bodies, drivers, chain, lanes, points, accel, wanted, dt):  # type: ignore[no-untyped-def]
    """Moves driver i to a neighbouring lane when that pays."""
    drivers[i].rest -= dt

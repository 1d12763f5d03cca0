"""Fresh arrays of records, every tick: `rows = Rows(ACTOR)`; then `rows.take(3)` is a (3,) ACTOR that nobody else has.

To make a small array of records takes longer than to fill it, so they are cut from a larger one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 16  # takes that one array is enough for


class Rows:
    """Hands out rows of one dtype, not initialised. Who keeps one of them keeps its block."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._block = np.empty(0, dtype)
        self._at = 0

    def take(self, count: int) -> NDArray[np.void]:
        """(count,) rows."""
        at, end = self._at, self._at + count
        if end > len(self._block):
            self._block = np.empty(count * BLOCK, self._block.dtype)
            at, end = 0, count
        self._at = end
        return self._block[at:end]

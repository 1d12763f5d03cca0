"""Fresh arrays of records, every tick: `rows = Rows(ACTOR)`; then `rows.take(3)` is a (3,) ACTOR that nobody else has.

To make a small array of records takes longer than to fill it, so they are cut from a larger one. So are single records
whose fields are wanted one by one: see `Columns`.
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


class Columns:
    """Fresh single records: the one after `take` is row `row` of `block`; its fields are `columns[k][row]`."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._dtype = dtype
        self._renew()
        self.row = -1

    def take(self) -> int:
        """Goes on to the next record, not initialised, and returns its row. Who keeps one keeps its block."""
        self.row += 1
        if self.row == BLOCK:
            self._renew()
        return self.row

    def _renew(self) -> None:
        self.block = np.empty(BLOCK, self._dtype)
        self.columns = tuple(self.block[name] for name in self._dtype.names or ())
        self.row = 0

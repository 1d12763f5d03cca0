"""Fresh arrays of records, every tick: `rows = Rows(ACTOR)`; then `rows.take(3)` is a (3,) ACTOR that nobody else has.

To make a small array of records takes longer than to fill it, so they are cut from a larger one. So are single records
whose fields are wanted one by one: see `Columns`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 16  # records that one array is enough for
BYTES = 1 << 14  # of an array of rows, more where more are taken at once: larger ones are fresh pages of the system's,
# which cost more than what is written on them


class Rows:
    """Hands out rows of one dtype, not initialised. Who keeps one of them keeps its block."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._block = np.empty(0, dtype)
        self._room = BYTES // self._block.itemsize
        self._taken = self._at = 0

    def take(self, count: int) -> NDArray[np.void]:
        """(count,) rows."""
        at, end = self._at, self._at + count
        if end > len(self._block):
            self._block = np.empty(max(count, self._room), self._block.dtype)
            at, end = 0, count
        self._taken, self._at = at, end
        return self._block[at:end]

    def keep(self, count: int) -> NDArray[np.void]:
        """The first `count` of the rows that were taken last; the rest of them are handed out again."""
        self._at = self._taken + count
        return self._block[self._taken : self._at]


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

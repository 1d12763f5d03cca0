"""Rows and records that were taken are nobody else's, however many are taken after them."""

from __future__ import annotations

import numpy as np

from roadcraft.sim.rows import BLOCK, Columns, Rows

NUMBERED = np.dtype([("number", np.int64), ("place", np.float64, 2)])


def test_rows() -> None:
    rows, counts = Rows(NUMBERED), [2, 0, 1, 5, 40, 3] * BLOCK
    taken = [rows.take(count) for count in counts]
    for number, some in enumerate(taken):
        some["number"] = number
    assert [len(some) for some in taken] == counts
    assert all((some["number"] == number).all() for number, some in enumerate(taken))


def test_records_by_column() -> None:
    records, places = Columns(NUMBERED), []
    for number in range(3 * BLOCK):
        row = records.take()
        records.block[row]["place"] = number
        _, place = records.columns
        places.append(place[row])
    assert [place.tolist() for place in places] == [[number, number] for number in range(3 * BLOCK)]

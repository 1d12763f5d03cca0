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


def test_rows_that_are_not_kept_are_handed_out_again() -> None:
    rows, kept = Rows(NUMBERED), []
    for number in range(3 * BLOCK):
        rows.take(7)["number"] = -1
        kept.append(rows.keep(number % 7))
        kept[-1]["number"] = number
    assert [some["number"].tolist() for some in kept] == [[number] * (number % 7) for number in range(3 * BLOCK)]
    first, second = rows.take(2), rows.take(2)
    assert not np.shares_memory(first, second)
    rows.keep(1)
    assert np.shares_memory(second[1:], rows.take(1))


def test_records_by_column() -> None:
    records, places = Columns(NUMBERED), []
    for number in range(3 * BLOCK):
        row = records.take()
        records.block[row]["place"] = number
        _, place = records.columns
        places.append(place[row])
    assert [place.tolist() for place in places] == [[number, number] for number in range(3 * BLOCK)]

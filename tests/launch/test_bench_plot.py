"""The picture of a benchmark: the slower, the longer its bar; the axis has round numbers."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.launch.bench_plot import LEFT, ROW, TOP, plot, ticks
from roadcraft.launch.draw import DRIVABLE


def test_bars_are_as_long_as_the_medians() -> None:
    rows = [{"name": f"row {p50}", "batch": batch, "p50_ms": p50, "p99_ms": 40.0} for p50, batch in ((20, 1), (40, 4))]
    image = plot(rows, "a title")
    lengths = [(image[TOP + ROW * k + ROW // 2, LEFT:] == DRIVABLE).all(-1).sum() for k in range(2)]
    assert lengths[0] == pytest.approx(lengths[1] / 2, rel=0.05)


@pytest.mark.parametrize("most", [0.7, 3.0, 31.4, 999.0])
def test_the_axis_has_round_numbers(most: float) -> None:
    marks = ticks(most)
    assert 4 <= len(marks) <= 11
    assert marks[0] == 0.0
    assert marks[-1] < most
    np.testing.assert_allclose(np.diff(marks), marks[1])

"""Lengths of vectors in compiled kernels are rounded as well as the C library's."""

from __future__ import annotations

from fractions import Fraction
from math import hypot, inf, isnan, nan, nextafter

import numpy as np
import pytest

from roadcraft.sim.norm import LARGE, SMALL, norm

ODD = (0.0, -0.0, 1.0, -3.0, 5e-324, 1e-300, SMALL, 1e-140, LARGE, 1e300, 1.7e308, inf, -inf, nan)


def is_nearest(x: float, y: float, length: float) -> bool:
    """Whether no other number is nearer to sqrt(x^2 + y^2), in exact arithmetic."""
    square = Fraction(x) ** 2 + Fraction(y) ** 2
    below, above = ((Fraction(length) + Fraction(nextafter(length, end))) / 2 for end in (0.0, inf))
    return below**2 <= square <= above**2


@pytest.mark.parametrize("spread", [1, 10, 100])
def test_a_length_is_the_nearest_number_but_for_one_in_hundreds(spread: int) -> None:
    random = np.random.default_rng(spread)
    places = (random.normal(size=(2000, 2)) * 2.0 ** random.integers(-spread, spread, (2000, 2))).tolist()
    assert sum(not is_nearest(x, y, norm(x, y)) for x, y in places) < 10


def test_right_triangles_of_whole_numbers() -> None:
    assert [norm(3.0, -4.0), norm(-12.0, 5.0), norm(8.0, 15.0), norm(0.0, -7.0)] == [5.0, 13.0, 17.0, 7.0]


@pytest.mark.parametrize("x", ODD)
@pytest.mark.parametrize("y", ODD)
def test_odd_numbers(x: float, y: float) -> None:
    length = norm(x, y)
    assert isnan(length) if isnan(hypot(x, y)) else length == pytest.approx(hypot(x, y), rel=1e-15, abs=0.0)

"""Vectors of eight numbers in kernels, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.render.compiled import kernel
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    MARKED,
    bits,
    count_up,
    highest,
    lanes,
    least,
    load,
    low_words,
    lowest,
    mark,
    most,
    pick,
    repeat_byte,
    round_down,
    select,
    spare,
    store,
    store_bytes,
    store_triples,
    to_floats,
    to_ints,
    to_longs,
)

RNG = np.random.default_rng(4)
FLOATS = RNG.uniform(-9, 9, (2, LANES)).astype(np.float32)
INTS = RNG.integers(-(2**31), 2**31, (2, LANES)).astype(np.int32)
WORDS = INTS.view(np.uint32)


@kernel
def arithmetic(a, b, out):
    x, y = load(a, 0), load(b, 0)
    store(out, 0, x + y)
    store(out, 8, x - y * np.float32(2.0))
    store(out, 16, x / y)
    store(out, 24, least(x, y))
    store(out, 32, most(x, y))
    store(out, 40, select((x > y) | (x < np.float32(-5.0)), x, y))
    store(out, 48, to_floats(to_ints(x)))
    store(out, 56, to_floats(round_down(x)))
    return lowest(x), highest(x), bits(x >= y)


def test_floating_point_lanes_are_those_of_numpy() -> None:
    a, b = FLOATS
    out = np.zeros((8, LANES), np.float32)
    low, high, mask = arithmetic(a.copy(), b.copy(), out.reshape(-1))
    two = np.float32(2.0)
    chosen = np.where((a > b) | (a < -5), a, b)
    expected = [a + b, a - b * two, a / b, np.minimum(a, b), np.maximum(a, b), chosen, np.trunc(a), np.floor(a)]
    assert out == pytest.approx(np.array(expected), rel=1e-6)
    assert (low, high) == (a.min(), a.max())
    assert mask == sum(1 << k for k in range(LANES) if a[k] >= b[k])


@kernel
def whole_numbers(a, b, out):
    x, y = load(a, 0), load(b, 0)
    store(out, 0, (x & y) | (count_up() << 3))
    store(out, 8, x ^ 255)
    store(out, 16, x >> 5)
    store(out, 24, x * y + lanes(np.int32(7)))
    store(out, 32, low_words(to_longs(x) * np.int64(3) >> np.int64(8)))
    return bits(x == y), bits(x != np.int32(0))


def test_whole_lanes_are_those_of_numpy() -> None:
    a, b = WORDS
    out = np.zeros((5, LANES), np.uint32)
    same, nonzero = whole_numbers(a.copy(), b.copy(), out.reshape(-1))
    tripled = (INTS[0].astype(np.int64) * 3).view(np.uint64) >> np.uint64(8)
    number = np.arange(LANES, dtype=np.uint32)
    expected = [a & b | number << 3, a ^ 255, a >> 5, a * b + np.uint32(7), tripled.astype(np.uint32)]
    assert np.array_equal(out, np.array(expected))
    assert (same, nonzero) == (0, 255)


@kernel
def write_bytes(words, out):
    store_bytes(out, 1, load(words, 0))
    store_triples(out, 10, load(words, 0))
    repeat_byte(out, 35, np.uint8(9))


def test_bytes_are_packed_and_nothing_else_is_written() -> None:
    words = WORDS[0].copy()
    out = np.full(44, 77, np.uint8)
    write_bytes(words, out)
    parts = words.view(np.uint8).reshape(LANES, 4)
    expected = [[77], parts[:, 0], [77], parts[:, :3].ravel(), [77], [9] * LANES, [77]]
    assert np.array_equal(out, np.concatenate(expected))


@kernel
def mark_some(array, at, count):
    mark(array, at, count, np.uint8(2))


@pytest.mark.parametrize("count", [0, 1, 7, MARKED, 1000])
def test_bits_are_set_in_as_many_bytes_as_asked_for(count: int) -> None:
    array = np.ones(40, np.uint8)
    mark_some(array, 3, count)
    inside = (np.arange(40) >= 3) & (np.arange(40) < 3 + min(count, MARKED))
    assert np.array_equal(array, np.where(inside, 3, 1))


@kernel
def pick_twice(numbers, places, out):
    store(out, 0, pick(numbers, load(places, 0)))


@pytest.mark.parametrize("dtype", [np.float32, np.uint32])
def test_numbers_are_picked_at_flat_indices(dtype: Any) -> None:
    numbers = np.arange(60, dtype=dtype).reshape(6, 10)
    places, out = RNG.integers(0, 60, LANES).astype(np.int32), np.zeros(LANES, dtype)
    pick_twice(numbers, places, out)
    assert np.array_equal(out, numbers.ravel()[places])


def test_spare_arrays_can_be_written_beyond_their_end() -> None:
    array = spare((3, 5), np.uint32)
    whole = array.base
    assert isinstance(whole, np.ndarray)
    assert array.flags.carray
    assert whole.size >= array.size + LANES
    assert spare((7,), np.uint8).base.size >= 7 + MARKED

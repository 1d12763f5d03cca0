"""Random numbers of kernels: normal out to the tails, and twins from one seed."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest

from roadcraft.sim.draws import TAIL, normal
from roadcraft.sim.kernels import kernel

OWNER = np.dtype([("random", np.uint64)])


@kernel
def _fill(owners, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        out[i] = normal(owners[0])


def normals(seed: int, count: int) -> np.ndarray:
    owner, out = np.zeros(1, OWNER), np.empty(count)
    owner["random"] = seed
    _fill(owner, out)
    return out


@pytest.mark.parametrize("edge", [-TAIL, -2.0, -1.0, -0.3, 0.0, 0.1, 0.7, 1.5, 2.5, TAIL])
def test_as_many_lie_below_an_edge_as_of_a_normal(edge: float) -> None:
    count = 2_000_000
    share = 0.5 * (1.0 + erf(edge / sqrt(2.0)))
    below = (normals(5, count) < edge).mean()
    assert below == pytest.approx(share, abs=4.0 * sqrt(share * (1.0 - share) / count))


def test_what_lies_in_the_tail_is_as_far_out_as_it_should_be() -> None:
    beyond = np.abs(normals(11, 4_000_000))
    beyond = beyond[beyond > TAIL]
    density = np.exp(-0.5 * TAIL**2) / sqrt(2.0 * np.pi)
    mean = density / (0.5 * (1.0 - erf(TAIL / sqrt(2.0))))  # of a normal that is known to be beyond TAIL
    assert beyond.mean() == pytest.approx(mean, abs=4.0 * beyond.std() / sqrt(len(beyond)))


def test_one_seed_gives_twins_and_another_does_not() -> None:
    assert normals(3, 100).tobytes() == normals(3, 100).tobytes()
    assert normals(3, 100).tobytes() != normals(4, 100).tobytes()
    assert abs(np.corrcoef(normals(3, 100_000)[1:], normals(3, 100_000)[:-1])[0, 1]) < 0.02

"""Percepts that arrive late: a simulator that waits for everybody scores a slow network as if it took no time.

`Latency` is how long a percept takes, a number or the histogram that `roadcraft bench` measured, here or on another
machine. `Delay` holds each percept back for as long, in simulated time. Frames are taken as they come and percepts
arrive in their order, as from a pipeline. A driver decides at a tick on what has arrived by then, so that any latency
above zero costs a whole tick at least.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from roadcraft.perception.percept import Percept
from roadcraft.sim.errors import UserError

BIN = 1.05  # ratio of a bin's upper to its lower end
ROUNDING = 1e-4  # s by which a simulator's clock may be off
STREAM = 13  # of random numbers, so that a seed's delays are not those of its other errors


def histogram(seconds: ArrayLike) -> list[list[float]]:
    """Some latencies as rows of least [ms], most [ms] and how many, ascending; a row spans 5 % at most."""
    ms = np.sort(np.asarray(seconds, float)) * 1e3
    bins = np.floor(np.log(np.maximum(ms, 1e-3)) / np.log(BIN))
    starts = np.flatnonzero(np.diff(bins, prepend=-np.inf))
    ends = np.append(starts[1:], len(ms))
    return [[float(ms[a]), float(ms[b - 1]), int(b - a)] for a, b in zip(starts, ends, strict=True)]


@dataclass(frozen=True)
class Latency:
    """How long percepts take: `count` of them from `least` to `most` [ms]; by default no time at all."""

    rows: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 1.0),)  # least, most, count

    def __post_init__(self) -> None:
        rows = np.array(self.rows, float)
        if not (
            rows.ndim == 2
            and rows.shape[1] == 3
            and np.isfinite(rows).all()
            and (rows >= 0.0).all()
            and (rows[:, 0] <= rows[:, 1]).all()
            and rows[:, 2].sum() > 0.0
        ):
            raise ValueError("rows of least, most and count, none of them below 0, are wanted")

    @staticmethod
    def of(given: float | str | None) -> Latency:
        """From a number [ms], the path of a bench.json, or None for no time at all. Raises UserError."""
        if given is None:
            return Latency()
        try:
            ms = float(given)
        except ValueError:
            return Latency.read(Path(str(given)))
        if not 0.0 <= ms < np.inf:
            raise UserError(f"latency {given} is no number of milliseconds from 0 on")
        return Latency(((ms, ms, 1.0),))

    @staticmethod
    def read(path: Path) -> Latency:
        """The histogram at the top level of a bench.json. Raises UserError when there is none."""
        try:
            found = json.loads(path.read_text())
            return Latency(tuple((float(least), float(most), float(n)) for least, most, n in found["histogram"]))
        except OSError as error:
            raise UserError(f"latency {path}: {error.strerror}; milliseconds or a bench.json are wanted") from None
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise UserError(
                f"latency {path}: no bench.json with a histogram ({type(error).__name__}: {error}); "
                "`roadcraft bench perception` writes one"
            ) from None

    def draw(self, rng: np.random.Generator) -> float:
        """One latency [s]."""
        upto = np.cumsum([n for _, _, n in self.rows])
        which = int(np.searchsorted(upto, rng.random() * upto[-1], side="right"))
        least, most, _ = self.rows[which]
        return float(rng.uniform(least, most)) * 1e-3


class Delay:
    """Call it once a tick with what was perceived; it returns the newest percept that has arrived."""

    def __init__(self, latency: Latency | None = None, seed: int = 0) -> None:
        """`seed` draws the latencies."""
        self.latency = latency or Latency()
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """A new episode: nothing has arrived, the latencies are those of the seed again."""
        self._rng = np.random.default_rng([self.seed, STREAM])
        self._under_way: deque[tuple[float, Percept | None]] = deque()  # [s] of arrival
        self._last_arrival = -np.inf
        self._arrived: Percept | None = None

    def __call__(self, now: float, percept: Percept | None) -> Percept | None:
        """`now` [s]; None, for a frame of which nothing came, arrives in its turn too. Before the first arrival: None.

        The percept's `latency` becomes the delay; one that is not delayed stays the very same.
        """
        delay = max(self.latency.draw(self._rng), self._last_arrival - now)
        self._last_arrival = now + delay
        self._under_way.append((now + delay, percept if percept is None or delay == 0.0 else held(percept, delay)))
        while self._under_way and self._under_way[0][0] <= now + ROUNDING:
            self._arrived = self._under_way.popleft()[1]
        return self._arrived


def held(percept: Percept, delay: float) -> Percept:
    """The percept, told its delay [s], to be kept over the next frames: an engine's masks are its own until then."""
    return replace(percept, latency=delay, drivable=percept.drivable.copy(), lane_mask=percept.lane_mask.copy())

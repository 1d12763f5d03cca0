"""How the renderer's kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roadcraft.sim.embedded.relief import by_ground as choose
from roadcraft.sim.kernels import njit

OPTIONS = {
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp", "nnan"},
    "_nrt": False,
}


def kernel(function: Callable) -> Any:
    """Compiles a function when it is first called, or takes it from the cache.

    No reference counts (`_nrt`): kernels allocate nothing, and counting would cost as much as the drawing. Arithmetic
    may be contracted, but is not reordered: the same picture in every process of a machine.
    """
    return _compile(function, False)


def part(function: Callable) -> Any:
    """A kernel that becomes part of each that calls it: passing it the canvas would cost more than its work."""
    return _compile(function, True)


def _compile(function: Callable, inline: bool) -> Any:
    return njit(function, **(OPTIONS | {"forceinline": inline}))


def by_ground(plane: Any, relief: Any) -> Any:
    """A part that is `plane` or `relief` by the type of its first argument, see `relief.by_ground`."""
    return choose(plane, relief, OPTIONS | {"forceinline": True})

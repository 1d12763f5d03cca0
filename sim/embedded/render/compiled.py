"""How the kernels are compiled, and a cache on disk that notices when any of them changes.

numba checks a kernel's own file only; kernels here are compiled into each other across files, so all files count.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from roadcraft.sim.cache import digest

VERSION = f"{numba.__version__}-{digest(*(file.read_bytes() for file in sorted(Path(__file__).parent.glob('*.py'))))}"


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
    compiled = numba.njit(
        function,
        cache=True,
        nogil=True,
        boundscheck=False,
        error_model="numpy",
        fastmath={"contract", "nsz", "arcp", "nnan"},
        forceinline=inline,
        _nrt=False,
    )
    compiled._cache._cache_file._version = VERSION
    return compiled

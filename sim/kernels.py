"""Compiled kernels, kept on disk until their sources change: `from roadcraft.sim.kernels import kernel, njit`.

numba notices a change in a kernel's own file only, although kernels are compiled into each other across files. Here a
kernel's folder in the cache is named after its module and all modules of Roadcraft that this one imports, directly or
through others: new sources never meet old kernels, and an edit compiles again only what depends on it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CacheImpl, _CacheLocator

from roadcraft.sim.cache import cache_dir, digest

ROOT = Path(__file__).resolve().parents[1]  # where the packages `sim`, `perception`, ... lie
KEPT = 3  # folders of earlier versions of a module that stay
IMPORT = re.compile(r"^\s*(?:from roadcraft\.([\w.]+) import (\([^)]*\)|.*)|import roadcraft\.([\w.]+))", re.MULTILINE)

njit: Callable[..., Any] = partial(numba.njit, cache=True)
# For kernels that allocate nothing: arrays are not counted in and out of each call, which takes an atomic instruction
# each time and, in kernels of many small parts, as long as their work. Nor is each divisor compared with 0.
kernel: Callable[..., Any] = partial(njit, error_model="numpy", _nrt=False)


def module_file(name: str) -> Path | None:
    """The file of a module named below `roadcraft.`, or None."""
    path = ROOT.joinpath(*name.split("."))
    found = (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file())
    return next(found, None)


@cache
def imports(file: Path) -> tuple[Path, ...]:
    """The files of Roadcraft that one imports itself."""
    found = set[Path]()
    for package, names, module in IMPORT.findall(file.read_text(encoding="utf-8")):
        named = [module] if module else [package, *(f"{package}.{name}" for name in re.findall(r"\w+", names))]
        found |= {other for name in named if (other := module_file(name)) is not None}
    return tuple(sorted(found))


@cache
def closure(file: Path) -> tuple[Path, ...]:
    """The file and all that it imports, directly or through others."""
    seen, ahead = {file}, [file]
    while ahead:
        new = set(imports(ahead.pop())) - seen
        seen |= new
        ahead += new
    return tuple(sorted(seen))


@cache
def kernel_folder(file: Path) -> Path:
    """Where the kernels of a file's present sources are kept; the oldest folders of earlier ones are removed."""
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    sources = (part for each in closure(file) for part in (str(each.relative_to(ROOT)), each.read_bytes()))
    folder = cache_dir() / "kernels" / f"{module}-{digest(numba.__version__, *sources)}"
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.parent.glob(f"{module}-*"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in earlier[KEPT + 1 :]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


class ByImports(_CacheLocator):
    """numba's way of finding a kernel's folder, for kernels of Roadcraft only."""

    def __init__(self, function: Any, file: Path) -> None:
        self._line, self._folder = function.__code__.co_firstlineno, kernel_folder(file)

    def get_cache_path(self) -> str:
        """The kernel's folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Nothing more: the folder's name says it all."""
        return self._folder.name

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> ByImports | None:
        """A locator for a function of Roadcraft, None for any other."""
        file = Path(py_file).resolve()
        return cls(py_func, file) if file.is_relative_to(ROOT) and file.is_file() else None


CacheImpl._locator_classes.insert(0, ByImports)


class Direct:
    """Calls a kernel whose arguments are always of the same types without looking at them again, which for thirty
    arrays takes as long as some kernels: `tick = Direct(tick)`, then `tick.call(...)`. Other types give garbage."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.call: Callable[..., Any] = self._first

    def _first(self, *arguments: Any) -> Any:
        result = self._compiled(*arguments)
        types = tuple(map(self._compiled.typeof_pyval, arguments))
        self.call = self._compiled.overloads[types].entry_point
        return result

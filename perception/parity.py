"""Whether engines say the same as torch in f32: over rendered drives with memory, each output and each figure.

Deviations are relative: `largest` is the worst single number by the largest value of that output over all frames of the
reference, `typical` the root mean square of all errors by that of the reference; both in parts per million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.engines.base import NetworkEngine
from roadcraft.perception.evaluate import Frame, Seen, scored, watched
from roadcraft.perception.heads import OUTPUTS
from roadcraft.perception.metrics import Records, figures
from roadcraft.perception.quantize import MOST_LOST

REFERENCE = "torch:f32"
Heads = dict[str, NDArray[np.float32]]


class Deviation:
    """How far an engine's outputs are from the reference's, frame by frame."""

    def __init__(self) -> None:
        self._largest, self._most = dict.fromkeys(OUTPUTS, 0.0), dict.fromkeys(OUTPUTS, 0.0)
        self._squares, self._power = dict.fromkeys(OUTPUTS, 0.0), dict.fromkeys(OUTPUTS, 0.0)

    def add(self, heads: Heads, reference: Heads) -> None:
        """One frame."""
        for name in OUTPUTS:
            true = np.asarray(reference[name], float)
            error = np.asarray(heads[name], float) - true
            self._largest[name] = max(self._largest[name], float(np.abs(error).max()))
            self._most[name] = max(self._most[name], float(np.abs(true).max()))
            self._squares[name] += float((error**2).sum())
            self._power[name] += float((true**2).sum())

    def relative(self) -> dict[str, dict[str, float]]:
        """By output: largest and typical [parts per million]."""
        return {
            name: {
                "largest_ppm": 1e6 * self._largest[name] / max(self._most[name], 1e-12),
                "typical_ppm": 1e6 * float(np.sqrt(self._squares[name] / max(self._power[name], 1e-24))),
            }
            for name in OUTPUTS
        }


def compare(
    reference: NetworkEngine,
    engines: Mapping[str, NetworkEngine],
    drives: Iterable[Iterable[Seen]],
    progress: Callable[[str], None] = lambda done: None,
) -> dict[str, Any]:
    """Shows every engine the same frames, each drive from an empty memory.

    `deviation` by engine and output; `figures` by engine, the reference's under REFERENCE; `lost` by how much each
    figure is lower than the reference's (above 0 worse for a share, better for an error); `missed` names what loses
    more than `quantize.MOST_LOST`, or has no figure where the reference has one; `unmeasured` the figures of those
    that the reference has not, such as the AP of a class that is not in these drives.
    """
    everyone = {REFERENCE: reference, **engines}
    deviations = {name: Deviation() for name in engines}
    records = {name: Records() for name in everyone}
    frames = 0
    for drive in drives:
        frames_of: dict[str, list[Frame]] = {name: [] for name in everyone}
        for engine in everyone.values():
            engine.reset()
        for seen in drive:
            for name, engine in everyone.items():
                frames_of[name].append(watched(engine, seen))
            for name, deviation in deviations.items():
                deviation.add(engines[name].heads, reference.heads)
            frames += 1
            progress(f"frame {frames}")
        for name in everyone:
            records[name].add(scored(frames_of[name]))
    found = {name: {k: v for k, v in figures(r).items() if isinstance(v, float)} for name, r in records.items()}
    exact = found[REFERENCE]
    lost = {name: {k: exact[k] - v for k, v in found[name].items()} for name in engines}
    known = [k for k in MOST_LOST if np.isfinite(exact.get(k, np.nan))]
    return {
        "deviation": {name: deviation.relative() for name, deviation in deviations.items()},
        "lost": lost,
        "missed": [f"{name} {k}" for name in engines for k in known if not lost[name].get(k, np.nan) <= MOST_LOST[k]],
        "unmeasured": [k for k in MOST_LOST if k not in known],
        "figures": found,
        "frames": frames,
    }


def markdown(result: dict[str, Any], refused: Mapping[str, str] = MappingProxyType({})) -> str:
    """Both tables: the largest deviation of each output (and the typical one), and what each figure loses. Engines that
    were refused follow, by name and why."""
    names = list(result["deviation"])
    lines = ["Largest (typical) deviation, relative to the output's largest (root mean square) value:", ""]
    lines += [f"| engine | {' | '.join(OUTPUTS)} |", "|---" * (len(OUTPUTS) + 1) + "|"]
    for name, outputs in result["deviation"].items():
        cells = [f"{outputs[o]['largest_ppm'] / 1e6:.1e} ({outputs[o]['typical_ppm'] / 1e6:.0e})" for o in OUTPUTS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"Figures of {REFERENCE}, and by how much each engine's are lower:", ""]
    lines += [f"| figure | {REFERENCE} | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for key, exact in result["figures"][REFERENCE].items():
        if np.isfinite(exact):
            cells = [f"{result['lost'][name][key]:+.4f}" for name in names]
            lines.append(f"| {key} | {exact:.4f} | {' | '.join(cells)} |")
    for key in ("missed", "unmeasured"):
        if result[key]:
            lines += ["", f"{key.capitalize()}: {', '.join(result[key])}."]
    if refused:
        lines += ["", "Not compared:", "", *(f"- {name}: {why}" for name, why in refused.items())]
    return "\n".join(lines) + "\n"

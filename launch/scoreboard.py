"""Figures over routes: means over all that were asked for, their intervals, and the table of drivers side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from roadcraft.sim.scores import KINDS

RESAMPLES = 10_000  # of the bootstrap
Record = dict[str, Any]  # of one route, in the leaderboard's shape


def figures(records: Sequence[Record], routes: int) -> dict[str, Any]:
    """The figures over all `routes` asked for; those without a record count zero."""
    summaries = [record["meta"].get("summary", {}) for record in records]
    missing = [0.0] * (routes - len(records))
    score = [s.get("driving_score", 0.0) for s in summaries] + missing

    def mean(key: str) -> float:
        return sum(s.get(key, 0.0) for s in summaries) / routes

    counts = {kind: sum(s.get("infractions", {}).get(kind, 0) for s in summaries) for kind in KINDS}
    km = sum(r["meta"]["route_length"] / 1000 * r["scores"]["score_route"] / 100 for r in records)
    ticks = sum(s.get("ticks", 0) for s in summaries)
    vetoes = sorted({kind for s in summaries for kind in s.get("vetoes", {})})
    return {
        "driving_score": sum(score) / routes,
        "driving_score_ci95": confidence(score),
        "driving_score_20": mean("driving_score_20"),
        "driving_score_10": mean("driving_score_10"),
        "driving_score_b2d": mean("driving_score_b2d"),
        "route_completion": mean("route_completion"),
        "success_rate": 100 * mean("success"),
        "infractions": counts,
        "infractions_per_km": sum(counts.values()) / km if km > 0 else None,
        "efficiency": known_mean(r["meta"].get("efficiency") for r in records),
        "comfort": known_mean(r["meta"].get("comfort") for r in records),
        "vetoes": {
            k: sum(s["vetoes"].get(k, 0.0) * s["ticks"] for s in summaries if s) / max(ticks, 1) for k in vetoes
        },
        "routes": routes,
        "finished": len(records),
    }


def known_mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def confidence(scores: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean, by bootstrap over routes (percentile method, always the same resamples)."""
    values = np.asarray(scores, float)
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(1), (2.5, 97.5))
    return float(low), float(high)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """All drivers side by side."""
    kinds = [kind for kind in KINDS if any(row["infractions"][kind] for row in rows.values())]
    head = ["driver", "DS 2.1", "95 %", "DS 2.0", "DS 1.0", "DS B2D", "RC", "success", "/km", *kinds]
    lines = [head]
    for driver, row in rows.items():
        low, high = row["driving_score_ci95"]
        per_km = row["infractions_per_km"]
        keys = ("driving_score_20", "driving_score_10", "driving_score_b2d", "route_completion", "success_rate")
        cells = [f"{row[key]:.1f}" for key in keys]
        cells = [driver, f"{row['driving_score']:.1f}", f"{low:.0f}-{high:.0f}", *cells]
        lines.append(
            [*cells, "-" if per_km is None else f"{per_km:.2f}", *(str(row["infractions"][kind]) for kind in kinds)]
        )
    widths = [max(len(row[i]) for row in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in lines)

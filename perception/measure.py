"""From what an engine got right and wrong to the error model that `truth.py` imitates it with."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.metrics import GROUPS, NEAR, Records
from roadcraft.perception.truth import DISTANCES, ErrorModel
from roadcraft.perception.truth_objects import STANDS
from roadcraft.sim.messages import LANE_X

AT_LINE = 3.0  # [m] to a stop line: whoever is nearer stands there, in thousands of frames that are all alike
FEWEST = 20  # samples in a bin; one with fewer takes its neighbour's value, or the default's
GAUSS = 1.4826  # median absolute deviation to standard deviation of a normal distribution
RAYLEIGH = 0.8493  # median length of a plane normal vector to the standard deviation of each of its axes


def _binned(
    distance: NDArray[np.float64], values: NDArray[np.float64], how: Any, default: tuple[float, ...]
) -> tuple[float, ...]:
    """`how` of the values in each bin of DISTANCES."""
    at = np.searchsorted(DISTANCES, distance)
    out = list(default)
    for b in range(len(DISTANCES)):
        if (at == b).sum() >= FEWEST:
            out[b] = float(how(values[at == b]))
        elif b:
            out[b] = max(out[b], out[b - 1]) if how is not np.mean else min(out[b], out[b - 1])
    return tuple(round(v, 4) for v in out)


def error_model(r: Records) -> ErrorModel:
    """The model that fits some records."""
    base = ErrorModel()
    detect: dict[str, Any] = {}
    for g, name in enumerate(GROUPS):
        truths = np.array([d for group, d, _ in r.sensed if group == g])
        hits = np.array([d for group, d, there in r.sensed if group == g and there])
        known = getattr(base, f"detect_{name}")
        n_true, _ = np.histogram(truths, (0.0, *DISTANCES))
        n_hit, _ = np.histogram(hits, (0.0, *DISTANCES))
        detect[f"detect_{name}"] = tuple(
            round(min(float(h / t), 0.999), 4) if t >= FEWEST else k
            for h, t, k in zip(n_hit, n_true, known, strict=True)
        )
    o = np.array([(*row[:5], row[7]) for row in r.objects], float).reshape(-1, 6)
    moves, stands = o[o[:, 5] >= STANDS], o[o[:, 5] < STANDS]
    frames = max(len(r.events), 1)
    lanes = np.array(r.line_errors, float).reshape(-1, 2)
    sigma = [
        round(float(GAUSS * np.median(lanes[lanes[:, 0] == x, 1])), 4) if (lanes[:, 0] == x).sum() >= FEWEST else known
        for x, known in zip(LANE_X, base.lane_sigma, strict=True)
    ]
    within = [line for line in r.lines if line[1] <= 30.0]
    return replace(
        base,
        **detect,
        **_signs(r, base),
        false_alarms=round(sum(d < NEAR for _, d in r.ghosts) / frames / base.false_alarm_life, 4),
        range_sigma=_binned(o[:, 1], np.abs(o[:, 2]), lambda v: GAUSS * np.median(v), base.range_sigma),
        bearing_sigma=round(float(GAUSS * np.median(np.abs(o[:, 3]))), 5) if len(o) >= FEWEST else base.bearing_sigma,
        velocity_sigma=_binned(moves[:, 1], moves[:, 4], _plane_sigma, base.velocity_sigma),
        standing_sigma=_binned(stands[:, 1], stands[:, 4], _plane_sigma, base.standing_sigma),
        lane_sigma=tuple(sigma),
        lane_recall=_rate([line[3] for line in within if line[2]], base.lane_recall),
        lane_false=_rate([line[3] for line in within if not line[2]], base.lane_false),
    )


def _plane_sigma(lengths: NDArray[np.float64]) -> float:
    """Standard deviation of each axis of plane errors that are so long."""
    return float(RAYLEIGH * np.median(lengths))


def _rate(values: list[bool], default: float) -> float:
    return round(float(np.mean(values)), 4) if len(values) >= FEWEST else default


def _signs(r: Records, base: ErrorModel) -> dict[str, Any]:
    lights = np.array([(d, seen) for d, visible, seen, _, _ in r.lights if visible], float).reshape(-1, 2)
    stops = np.array([(d, seen) for d, visible, seen in r.stops if visible], float).reshape(-1, 2)
    errors = np.array([e for d, visible, _, _, e in r.lights if visible and AT_LINE < d <= NEAR and np.isfinite(e)])
    return {
        "light_recall": _binned(lights[:, 0], lights[:, 1], np.mean, base.light_recall),
        "light_false": _rate(r.free, base.light_false),
        "light_wrong": _rate(
            [not right for d, visible, seen, right, _ in r.lights if seen and visible], base.light_wrong
        ),
        "light_sigma": round(float(GAUSS * np.median(np.abs(errors))), 4)
        if len(errors) >= FEWEST
        else base.light_sigma,
        "stop_recall": _binned(stops[:, 0], stops[:, 1], np.mean, base.stop_recall),
        "stop_false": _rate([seen for d, _, seen in r.stops if not np.isfinite(d)], base.stop_false),
    }


def write(model: ErrorModel, path: Path, **about: Any) -> None:
    """The model as JSON that `ErrorModel.load` reads, with what it was measured on."""
    path.write_text(json.dumps({"about": about, "model": asdict(model)}, indent=1) + "\n")

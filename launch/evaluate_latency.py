"""Driving scores by how late percepts arrive: a simulator that waits for everybody scores a slow network as if it took
no time. Each latency is an `evaluate policy` of the same routes, in a folder of its own; latency.md has them side by
side, with the points lost against the first on the same routes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roadcraft.launch.cli import dump
from roadcraft.launch.evaluate import evaluate_policy
from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.evaluation import EvaluateLatency
from roadcraft.launch.routes import route_name
from roadcraft.launch.runs import Run
from roadcraft.launch.scoreboard import confidence
from roadcraft.perception.delay import Latency
from roadcraft.sim.errors import UserError


@dataclass(frozen=True)
class Row:
    """One latency's results."""

    figures: dict[str, Any]
    scores: dict[str, float]  # driving_score by route; 0 for one that was not finished


def evaluate_latency(asked: EvaluateLatency, run: Run) -> None:
    """Drives the routes at each latency; whatever ends it, what is finished is told."""
    names = [label(latency) for latency in asked.latencies]
    if len(set(names)) < len(names):
        raise UserError(f"latencies: one of them stands there twice: {', '.join(names)}")
    for latency in asked.latencies:
        Latency.of(latency)
    rows: dict[str, Row] = {}
    try:
        for name, latency in zip(names, asked.latencies, strict=True):
            part = Run(run.folder / name)
            part.folder.mkdir()
            policy = asked.at(latency, earlier(asked, name))
            part.write("config.yaml", dump(policy))
            print(f"latency {name}", file=sys.stderr)
            evaluate_policy(policy, part)
            rows[name] = Row(part.result, scores(part.folder, asked))
    finally:
        if rows:
            run.result.update(told(rows), driver=asked.driver, seeds=asked.seeds)
            run.write("latency.md", markdown(run.result["latencies"]))
            print(markdown(run.result["latencies"]), file=sys.stderr)


def label(latency: float | str) -> str:
    """How a latency is called: its milliseconds, or the file's path in one word."""
    try:
        return f"{float(latency):g}ms"
    except ValueError:
        return "-".join(part for part in Path(str(latency)).with_suffix("").parts if part not in ("/", "..", "."))


def earlier(asked: EvaluateLatency, name: str) -> str | None:
    """Where the run to resume has driven at that latency. Raises UserError when it is no such run."""
    if asked.resume is None:
        return None
    if not (Path(asked.resume) / "config.yaml").is_file():
        raise UserError(f"resume {asked.resume}: it is no run's folder")
    folder = Path(asked.resume) / name
    return str(folder) if (folder / "routes.jsonl").is_file() else None


def scores(folder: Path, asked: EvaluateLatency) -> dict[str, float]:
    """driving_score of each route."""
    records = json.loads((folder / "results.json").read_text())["_checkpoint"]["records"]
    known = {record["route_id"]: record["meta"].get("summary", {}).get("driving_score", 0.0) for record in records}
    return {route_name(seed): known.get(route_name(seed), 0.0) for seed in seed_range(asked.seeds)}


def told(rows: dict[str, Row]) -> dict[str, Any]:
    """`latencies`: the figures of each, and the points that it loses to the first, with their 95 % interval."""
    first = next(iter(rows.values())).scores
    found = {}
    for name, row in rows.items():
        lost = [first[route] - score for route, score in row.scores.items()]
        found[name] = {**row.figures, "lost": float(np.mean(lost)), "lost_ci95": confidence(lost)}
    return {"latencies": found}


def markdown(latencies: dict[str, dict[str, Any]]) -> str:
    """The table."""
    lines = [
        f"| percepts late by | driving score | 95 % | lost to {next(iter(latencies))} | 95 % | completed | per km |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in latencies.items():
        interval, lost = ("{:.1f} to {:.1f}".format(*row[key]) for key in ("driving_score_ci95", "lost_ci95"))
        rate = "-" if row["infractions_per_km"] is None else f"{row['infractions_per_km']:.2f}"
        lines.append(
            f"| {name} | {row['driving_score']:.1f} | {interval} | {row['lost']:.1f} | {lost} | "
            f"{row['route_completion']:.1f} % | {rate} |"
        )
    return "\n".join(lines) + "\n"

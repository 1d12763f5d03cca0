"""roadcraft evaluate perception --seeds 9000-9009              what the network sees right, by weather and distance
roadcraft evaluate policy --seeds 9000-9009                  driving scores over routes, one a seed
roadcraft evaluate policy --seeds 9000-9009 --compare        the other drivers on the same routes beside it
roadcraft evaluate policy --seeds 9000-9009 --resume runs/X  goes on where an interrupted run stopped

Writes runs/<time>-evaluate-policy/: results.json in the leaderboard's shape (results-<driver>.json for the compared
ones), routes.jsonl with one line a finished route. Routes run in parallel processes on the in-process world.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from roadcraft.control.drivers import load_driver
from roadcraft.launch import build
from roadcraft.launch.cli import dump
from roadcraft.launch.config import EvaluatePerception, EvaluatePolicy, seed_range
from roadcraft.launch.runs import Run, plain
from roadcraft.launch.session import Session
from roadcraft.launch.workers import Failed, run_jobs
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Traffic
from roadcraft.sim.results import failed_record, results
from roadcraft.sim.scores import KINDS

COMPARED = ("network", "truth", "expert", "follower")
CAMERALESS = ("truth", "expert", "follower")  # nothing is rendered for them
RESAMPLES = 10_000  # of the bootstrap
Record = dict[str, Any]
Key = tuple[str, int]  # driver, seed


def run(asked: EvaluatePolicy | EvaluatePerception, run: Run) -> None:
    """The verb."""
    if isinstance(asked, EvaluatePolicy):
        evaluate_policy(asked, run)
    else:
        evaluate_perception(asked, run)


def evaluate_perception(asked: EvaluatePerception, run: Run) -> None:
    """The expert drives, the network watches, the simulator's labels judge."""
    from roadcraft.perception.evaluate import evaluate

    traffic = Traffic(asked.traffic.vehicles, asked.traffic.walkers)
    otherwise: dict[str, Any] = {"traffic": traffic, **({} if asked.traffic.scenarios else {"scenarios": ()})}
    episodes = [
        (weather, episode_from_seed(seed, weather=weather, **otherwise))
        for seed in seed_range(asked.seeds)
        for weather in asked.weathers
    ]
    engine = build.build_engine(asked.engine)
    with closing(EmbeddedWorld()) as place, tqdm(total=len(episodes), desc="drives", unit="drive") as bar:

        def progress(done: str) -> None:
            bar.set_postfix_str(done, refresh=False)
            bar.update()

        drivers = lambda seed: load_driver("expert", seed=seed)  # noqa: E731
        found = evaluate(engine, place, episodes, drivers, asked.frames, asked.corruption, progress)
    run.result.update(found)
    run.write_json("figures.json", found)


def evaluate_policy(asked: EvaluatePolicy, run: Run) -> None:
    """Drives every route with every driver asked for; whatever ends it, the finished routes are written."""
    seeds = seed_range(asked.seeds)
    drivers = [asked.driver, *(d for d in COMPARED if asked.compare and d != asked.driver)]
    records = finished_before(asked, drivers, seeds)
    jobs = [(replace(asked, driver=d), s) for s in seeds for d in drivers if (d, s) not in records]
    try:
        with (run.folder / "routes.jsonl").open("a", encoding="utf-8") as file:
            for (driver, seed), record in records.items():
                file.write(line(driver, seed, record))
            bar = tqdm(total=len(seeds) * len(drivers), initial=len(records), desc="routes", unit="route")
            for (one, seed), answer in run_jobs(drive_route, jobs, asked.workers):
                if isinstance(answer, Failed):
                    print(f"seed {seed}, {one.driver}: failed, {answer.reason}", file=sys.stderr)
                    answer = failed_record(f"RouteScenario_{seed}", 0.0, answer.reason)
                records[one.driver, seed] = answer
                file.write(line(one.driver, seed, answer))
                file.flush()
                bar.update()
            bar.close()
    finally:
        report(asked, drivers, seeds, records, run)


def line(driver: str, seed: int, record: Record) -> str:
    """One finished route as a line of routes.jsonl."""
    return json.dumps(plain({"driver": driver, "seed": seed, "record": record})) + "\n"


def finished_before(asked: EvaluatePolicy, drivers: Sequence[str], seeds: Sequence[int]) -> dict[Key, Record]:
    """The routes that the run to resume has finished. Raises UserError when it was another evaluation."""
    if asked.resume is None:
        return {}
    folder = Path(asked.resume)
    if not (folder / "routes.jsonl").is_file():
        raise UserError(f"resume {folder}: there is no routes.jsonl in it")
    indifferent = {"seeds": "", "workers": 1, "compare": False, "resume": None, "driver": ""}
    before, now = [comparable(text) for text in ((folder / "config.yaml").read_text(), dump(asked))]
    differing = sorted(key for key in now if key not in indifferent and before.get(key) != now[key])
    if differing:
        raise UserError(f"resume {folder}: it was run with another {', '.join(differing)}")
    records: dict[Key, Record] = {}
    for text in (folder / "routes.jsonl").read_text().splitlines():
        try:
            route = json.loads(text)
        except json.JSONDecodeError:
            continue  # the line that was being written
        if route["driver"] in drivers and route["seed"] in seeds and "summary" in route["record"]["meta"]:
            records[route["driver"], route["seed"]] = route["record"]
    return records


def comparable(text: str) -> dict[str, Any]:
    """A resolved configuration as values to compare."""
    import yaml

    values: dict[str, Any] = yaml.safe_load(text)
    return values


@cache
def world() -> EmbeddedWorld:
    """This process's world: towns stay loaded from one route to the next."""
    return EmbeddedWorld()


def drive_route(job: tuple[EvaluatePolicy, int]) -> Record:
    """One route by one driver, in this process; returns its record."""
    asked, seed = job
    driver, engine, precision = build.build_driver(asked, seed)
    episode = build.build_episode(asked, seed)
    if asked.driver in CAMERALESS:
        episode = replace(episode, camera=None)
    session = Session(episode, asked.driver, engine, precision)
    session.run(world(), driver, [], asked.max_ticks)
    record: Record = plain(session.record())
    return record


def report(
    asked: EvaluatePolicy, drivers: Sequence[str], seeds: Sequence[int], records: dict[Key, Record], run: Run
) -> None:
    """Writes results, prints the table, fills the last line."""
    rows: dict[str, dict[str, Any]] = {}
    for driver in drivers:
        done = [{**records[driver, seed], "index": i} for i, seed in enumerate(seeds) if (driver, seed) in records]
        name = "results.json" if driver == asked.driver else f"results-{Path(driver.split(':')[0]).stem}.json"
        run.write_json(name, results(done, len(seeds), finished=len(done) == len(seeds)))
        rows[driver] = figures(done, len(seeds))
    run.result.update(rows[asked.driver], driver=asked.driver, seeds=asked.seeds)
    if asked.compare:
        run.result["compare"] = rows
    print(table(rows), file=sys.stderr)


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
    head = ["driver", "DS 2.1", "95 %", "DS 2.0", "DS 1.0", "RC", "success", "/km", *kinds]
    lines = [head]
    for driver, row in rows.items():
        low, high = row["driving_score_ci95"]
        per_km = row["infractions_per_km"]
        cells = [
            f"{row[key]:.1f}" for key in ("driving_score_20", "driving_score_10", "route_completion", "success_rate")
        ]
        cells = [driver, f"{row['driving_score']:.1f}", f"{low:.0f}-{high:.0f}", *cells]
        lines.append(
            [*cells, "-" if per_km is None else f"{per_km:.2f}", *(str(row["infractions"][kind]) for kind in kinds)]
        )
    widths = [max(len(row[i]) for row in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in lines)

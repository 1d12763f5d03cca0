"""roadcraft evaluate perception --seeds 9000-9009              what the network sees right, by weather and distance
roadcraft evaluate perception --card                         the same, and the weights' card tells it from now on
roadcraft evaluate perception --seeds 1060-1063 --errors errors.json    what `truth` draws its errors from
roadcraft evaluate policy --seeds 9000-9009                  driving scores over routes, one a seed
roadcraft evaluate latency --latencies 0 50 100 runs/X/bench.json    the same at several latencies of percepts
roadcraft evaluate policy --routes FILE.xml                  over the routes of a CARLA leaderboard file
roadcraft evaluate policy --seeds 9000-9009 --compare        the other drivers on the same routes beside it
roadcraft evaluate policy --without lights             what a sense is worth; --exact lights: what its errors cost
roadcraft evaluate policy --seeds 9000-9009 --resume runs/X  goes on where an interrupted run stopped
roadcraft evaluate policy --sim.world server                 through CARLA's protocol
roadcraft evaluate policy --sim.port 2000                    on a server that runs already, CARLA's or ours
roadcraft evaluate policy --seeds 9000-9009 --against runs/X/results.json    exit status 1 when it drives worse

Writes runs/<time>-evaluate-policy/: results.json in the leaderboard's shape (results-<driver>.json for the compared
ones), routes.jsonl with one line a finished route, trails/, clips/. Routes run in parallel processes, on the in-process
world or each on a server of its own; one after the other on a server that is named.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from roadcraft.control.drivers import load_driver
from roadcraft.launch import against, build
from roadcraft.launch.cli import dump
from roadcraft.launch.loop import Subscriber
from roadcraft.launch.options.checks import check, seed_range
from roadcraft.launch.options.evaluation import EvaluateLatency, EvaluatePerception, EvaluatePolicy
from roadcraft.launch.options.shared import Sim
from roadcraft.launch.routes import left_out, request_of, requests_by_seed, route_name, seeds_of
from roadcraft.launch.runs import Run, plain
from roadcraft.launch.scoreboard import Record, figures, table
from roadcraft.launch.session import Session
from roadcraft.launch.trail import Trail, stem, trail_path
from roadcraft.launch.workers import Failed, run_jobs
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode, Traffic, World
from roadcraft.sim.results import failed_record, results

COMPARED = ("network", "truth", "expert", "follower")
CAMERALESS = ("truth", "expert", "follower")  # nothing is rendered for them
# Options that leave the routes and how they are driven as they are.
INDIFFERENT = ("seeds", "driver", "compare", "workers", "resume", "clips", "against", "tolerance")
Key = tuple[str, int]  # driver, seed


class Job(NamedTuple):
    """A route to drive, and the run's folder for what it leaves."""

    asked: EvaluatePolicy
    seed: int
    folder: Path


def run(asked: EvaluatePolicy | EvaluatePerception | EvaluateLatency, run: Run) -> int:
    """The verb; returns its exit status."""
    if isinstance(asked, EvaluateLatency):
        from roadcraft.launch.evaluate_latency import evaluate_latency

        evaluate_latency(asked, run)
        return 0
    if isinstance(asked, EvaluatePolicy):
        return evaluate_policy(asked, run)
    evaluate_perception(asked, run)
    return 0


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
    checkpoint = card_to_fill(asked)
    engine = build.build_engine(asked.engine)
    with closing(EmbeddedWorld()) as place, tqdm(total=len(episodes), desc="drives", unit="drive") as bar:

        def progress(done: str) -> None:
            bar.set_postfix_str(done, refresh=False)
            bar.update()

        drivers = lambda seed: load_driver("expert", seed=seed)  # noqa: E731
        found = evaluate(engine, place, episodes, drivers, asked.frames, asked.corruption, progress)
    run.result.update(found, why=engine.why)
    run.write_json("figures.json", found)
    if asked.errors is not None:
        write_errors(Path(asked.errors), found, asked)
    if checkpoint is not None:
        fill_card(checkpoint, found, asked)


def write_errors(path: Path, found: dict[str, Any], asked: EvaluatePerception) -> None:
    """Writes what `truth` draws its errors from."""
    from roadcraft.perception.measure import write
    from roadcraft.perception.truth import ErrorModel

    write(ErrorModel(**found["errors"]), path, weights=found["weights"], seeds=asked.seeds, frames=found["frames"])


def card_to_fill(asked: EvaluatePerception) -> Path | None:
    """The weights whose card is to have the figures; None when it is not asked for. Raises UserError for a graph."""
    from roadcraft.perception.shipped import read_card, shipped

    if not asked.card:
        return None
    weights = shipped() if asked.engine.weights is None else Path(asked.engine.weights)
    check(weights.suffix == ".safetensors", f"card: {weights} is no checkpoint (.safetensors) with a card")
    read_card(weights)
    return weights


def fill_card(weights: Path, found: dict[str, Any], asked: EvaluatePerception) -> None:
    """Puts the figures into the weights' card, under the precision that they were measured in."""
    from roadcraft.perception.shipped import card_path, read_card

    card = read_card(weights)
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    about = {"seeds": asked.seeds, "weathers": asked.weathers, "engine": found["engine"]}
    card.setdefault("figures", {})[found["precision"]] = plain({**about, **numbers})
    card_path(weights).write_text(json.dumps(card, indent=2) + "\n")


def evaluate_policy(asked: EvaluatePolicy, run: Run) -> int:
    """Drives every route with every driver asked for; whatever ends it, the finished routes are written."""
    seeds = seeds_of(asked)
    drivers = [asked.driver, *(d for d in COMPARED if asked.compare and d != asked.driver)]
    names = {seed: route_name(seed, request_of(asked, seed)) for seed in seeds}
    if asked.routes is not None and (told := left_out(requests_by_seed(asked.routes).values())):
        print(f"routes {asked.routes}: {told}", file=sys.stderr)
    before = None
    if asked.against is not None:
        before = against.read_before(Path(asked.against), comparable(dump(asked)), list(names.values()))
    records = finished_before(asked, drivers, seeds)
    keep_files(asked, records, run.folder)
    perceives = {d: build.build_driver(replace(asked, driver=d), seeds[0])[1] for d in drivers}  # or it is told now
    workers = 1 if asked.sim.runs_already else asked.workers
    each = replace(asked, engine=build.among(asked.engine, workers))
    jobs = [Job(replace(each, driver=d), s, run.folder) for s in seeds for d in drivers if (d, s) not in records]
    try:
        with (
            (run.folder / "routes.jsonl").open("a", encoding="utf-8") as file,
            tqdm(total=len(seeds) * len(drivers), initial=len(records), desc="routes", unit="route") as bar,
        ):
            for (driver, seed), record in records.items():
                file.write(line(driver, seed, record))
            for (one, seed, _), answer in run_jobs(drive_route, jobs, workers):
                if isinstance(answer, Failed):
                    print(f"{names[seed]}, {one.driver}: failed, {answer.reason}", file=sys.stderr)
                    answer = failed_record(names[seed], 0.0, answer.reason)
                records[one.driver, seed] = answer
                file.write(line(one.driver, seed, answer))
                file.flush()
                bar.update()
    finally:
        if records:
            report(asked, drivers, seeds, records, run)
            run.result["perception"] = perceives[asked.driver]._asdict()
    if asked.routes is not None and not any("summary" in record["meta"] for record in records.values()):
        name, why = names[seeds[0]], records[asked.driver, seeds[0]]["status"]
        raise UserError(f"routes {asked.routes}: none could be driven; {name}: {why}")
    if before is None:
        return 0
    return compare(before, [records[asked.driver, seed] for seed in seeds], asked, run)


def compare(before: against.Before, records: Sequence[Record], asked: EvaluatePolicy, run: Run) -> int:
    """Writes and tells how this run compares with an earlier one; returns 1 for a regression."""
    pairs = against.paired(before, records, run.folder)
    verdict = against.judged(pairs, before.path)
    run.write_json("against.json", against.content(pairs, verdict))
    name = f"evaluate.policy.{stem(asked.driver)}"
    run.write("junit.xml", against.junit(records, pairs, asked.tolerance, name))
    run.result["against"] = verdict
    print(against.told(pairs, verdict), file=sys.stderr)
    return int(verdict["regression"])


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
    before, now = [comparable(text) for text in ((folder / "config.yaml").read_text(), dump(asked))]
    differing = sorted(key for key in now if key not in INDIFFERENT and before.get(key) != now[key])
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


def keep_files(asked: EvaluatePolicy, records: dict[Key, Record], folder: Path) -> None:
    """Takes over what the finished routes left in the folder of the run that is resumed."""
    for driver, seed in records:
        assert asked.resume is not None
        for file in Path(asked.resume).glob(f"*/{stem(driver)}-{seed}[-.]*"):
            (folder / file.parent.name).mkdir(exist_ok=True)
            shutil.copy2(file, folder / file.parent.name)


def comparable(text: str) -> dict[str, Any]:
    """A resolved configuration as values to compare."""
    import yaml

    values: dict[str, Any] = yaml.safe_load(text)
    values.get("engine", {}).pop("threads", None)  # the network says the same with any number
    return values


@cache
def embedded_world() -> EmbeddedWorld:
    """This process's world: towns stay loaded from one route to the next."""
    return EmbeddedWorld()


@contextmanager
def world_for(asked: Sim, town: str) -> Iterator[World]:
    """Where a route is driven."""
    if asked.in_process:
        yield embedded_world()
        return
    with build.open_world(asked, town) as world:
        yield world


def drive_route(job: Job) -> Record | Failed:
    """One route by one driver, in this process: its record. A file's route that is not on a map has failed."""
    asked, seed, _ = job
    driver, perceives = build.build_driver(asked, seed)
    episode = build.build_episode(asked, seed)
    if asked.driver in CAMERALESS:
        episode = replace(episode, camera=None)
    session = Session(episode, asked.driver, *perceives, name=route_name(seed, request_of(asked, seed)))
    try:
        with world_for(asked.sim, episode.town) as world:
            session.run(world, driver, subscribers(job, episode), asked.max_ticks)
    except UserError as error:
        if asked.routes is None:
            raise
        return Failed(str(error))
    record: Record = plain(session.record())
    return record


def subscribers(job: Job, episode: Episode) -> list[Subscriber]:
    """Who listens to a route: its trail, and clips where there is a camera."""
    asked, seed, folder = job
    listening: list[Subscriber] = [Trail(trail_path(folder, asked.driver, seed))]
    if asked.clips and episode.camera is not None:
        from roadcraft.launch.clips import Clips  # needs the extra `view`

        title = f"seed {seed}  {episode.town}  {asked.driver}"
        listening.append(Clips(folder / "clips", f"{stem(asked.driver)}-{seed}", title))
    return listening


def report(
    asked: EvaluatePolicy, drivers: Sequence[str], seeds: Sequence[int], records: dict[Key, Record], run: Run
) -> None:
    """Writes results, prints the table, fills the last line."""
    rows: dict[str, dict[str, Any]] = {}
    for driver in drivers:
        done = [{**records[driver, seed], "index": i} for i, seed in enumerate(seeds) if (driver, seed) in records]
        name = "results.json" if driver == asked.driver else f"results-{stem(driver)}.json"
        run.write_json(name, results(done, len(seeds), finished=len(done) == len(seeds)))
        rows[driver] = figures(done, len(seeds))
    which = {"seeds": asked.seeds} if asked.routes is None else {"routes_file": asked.routes}
    run.result.update(rows[asked.driver], driver=asked.driver, **which)
    if asked.compare:
        run.result["compare"] = rows
    print(table(rows), file=sys.stderr)

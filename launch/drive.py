"""roadcraft drive                                  one drive by camera, in traffic, recorded
roadcraft drive --driver expert --seed 7            somebody else at the wheel, another drive
roadcraft drive --routes FILE.xml --route 7         a route of a CARLA leaderboard file; Town01.xodr may lie beside it
roadcraft drive --sim.host 10.0.0.5 --sim.port 2000 on a server that runs already, CARLA's or ours
roadcraft drive --blind                             shows that the camera matters: the car must stop

Writes runs/<time>-drive/: results.json in the leaderboard's shape, drive.mp4, drive.rrd, log.jsonl, config.yaml.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from roadcraft.launch import build
from roadcraft.launch.aside import Aside
from roadcraft.launch.log import Log, Progress
from roadcraft.launch.loop import Subscriber
from roadcraft.launch.options.simulator import Drive
from roadcraft.launch.routes import left_out, request_of, route_name
from roadcraft.launch.runs import Run, plain
from roadcraft.launch.session import Session
from roadcraft.launch.warm import compile_ahead
from roadcraft.launch.workers import Failed, run_jobs
from roadcraft.sim.errors import UserError
from roadcraft.sim.results import failed_record, results


def run(asked: Drive, run: Run) -> None:
    """The verb."""
    if asked.sessions > 1:
        drive_many(asked, run)
    else:
        drive_one(asked, run)


def drive_one(asked: Drive, run: Run, shown: bool = True) -> dict[str, Any]:
    """One session; its record is also what is left in the run's folder when it is cut short."""
    driver, perceives = build.build_driver(asked, asked.seed)
    request = request_of(asked, asked.seed)
    name = route_name(asked.seed, request)
    session = Session(build.build_episode(asked, asked.seed), asked.driver, *perceives, name=name)
    if request is not None and (told := left_out([request])):
        print(f"routes {asked.routes}: {told}", file=sys.stderr)
    try:
        with build.open_world(asked.sim, session.episode.town) as world:
            session.run(world, driver, subscribers(asked, session, run.folder, shown), asked.max_ticks)
    except UserError as error:
        raise error if request is None else UserError(f"routes {asked.routes}, route {request.id}: {error}") from None
    finally:
        run.result.update(session.summary())
        record = session.record()
        verdict = session.referee.verdict
        run.write_json("results.json", results([record], 1, finished=verdict is not None and verdict.done))
    return record


def subscribers(asked: Drive, session: Session, folder: Path, shown: bool) -> list[Subscriber]:
    """Who listens to a drive."""
    title = f"seed {asked.seed}  {session.episode.town}  {asked.driver}"
    if session.engine != "none":
        title += f" ({session.engine} {session.precision})"
    listening: list[Subscriber] = [Log(folder / "log.jsonl"), Progress(f"drive {asked.seed}", shown)]
    if asked.video:
        from roadcraft.launch.video import Video

        listening.append(Aside(Video(folder / "drive.mp4", title)))
    if asked.rerun or asked.view:
        from roadcraft.launch.recording import Recording

        listening.append(Aside(Recording(folder / "drive.rrd" if asked.rerun else None, asked.view)))
    return listening


def drive_many(asked: Drive, run: Run) -> None:
    """Sessions of successive seeds in parallel processes, each in a folder of its own; means over all of them."""
    seeds = range(asked.seed, asked.seed + asked.sessions)
    jobs = [(replace(asked, seed=seed, sessions=1), run.folder / str(seed)) for seed in seeds]
    records: dict[int, dict[str, Any]] = {}
    compile_ahead()  # once, not in each process
    try:
        for job, answer in run_jobs(drive_job, jobs, min(asked.sessions, os.cpu_count() or 1)):
            seed = job[0].seed
            if isinstance(answer, Failed):
                answer = failed_record(route_name(seed), 0.0, answer.reason)
            records[seed] = answer
    finally:
        ordered = [records[seed] for seed in seeds if seed in records]
        whole = results(ordered, asked.sessions, finished=len(ordered) == asked.sessions)
        run.write_json("results.json", whole)
        run.result.update(over_sessions(ordered, asked))


def over_sessions(records: list[dict[str, Any]], asked: Drive) -> dict[str, Any]:
    """The last line of several sessions: means, sums, and each session's own."""
    summaries = [record["meta"]["summary"] for record in records if "summary" in record["meta"]]
    means = (
        "driving_score",
        "driving_score_20",
        "driving_score_10",
        "driving_score_b2d",
        "route_completion",
        "real_time_factor",
        "final_speed",
    )
    result: dict[str, Any] = {name: sum(s[name] for s in summaries) / asked.sessions for name in means}
    if summaries:
        result["ticks"] = sum(s["ticks"] for s in summaries)
        kinds = summaries[0]["infractions"]
        result["infractions"] = {kind: sum(s["infractions"][kind] for s in summaries) for kind in kinds}
        vetoes = {kind for s in summaries for kind in s["vetoes"]}
        result["vetoes"] = {kind: fmean(s["vetoes"].get(kind, 0.0) for s in summaries) for kind in sorted(vetoes)}
        result["perception"], result["loop"] = summaries[0]["perception"], summaries[0]["loop"]
    return {**result, "driver": asked.driver, "sessions": summaries}


def drive_job(job: tuple[Drive, Path]) -> dict[str, Any]:
    """One session in a process of its own; returns its record."""
    asked, folder = job
    folder.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = plain(drive_one(asked, Run(folder), shown=False))
    return record

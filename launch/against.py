"""roadcraft evaluate policy --against old/results.json: driving quality as a test that passes or fails.

Both runs drove the same routes, so what counts is the difference on each; its mean has an interval by bootstrap over
routes. Writes against.json (each route's difference and where the two runs part) and junit.xml into the run's folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from roadcraft.launch.runs import plain
from roadcraft.launch.scoreboard import Record, confidence
from roadcraft.launch.trail import parting, read_trail, stem, trail_path
from roadcraft.sim.errors import UserError

ROUTE_OPTIONS = ("route_length", "traffic", "max_ticks")  # with others the same seed is another task
COMPLETED = ("Completed", "Perfect")  # the leaderboard's words
SAME_LENGTH = 0.1  # [m]
SHOWN = 20  # routes in the table


@dataclass(frozen=True)
class Before:
    """An earlier run's records by route, and its folder, where trails and clips are."""

    path: Path
    records: dict[str, Record]


@dataclass(frozen=True)
class Pair:
    """One route in both runs. Scores are driving_score by the rules 2.1."""

    route: str
    before: float
    now: float
    difference: float
    status_before: str
    status_now: str
    newly_not_completed: bool
    diverged: bool | None  # None when one of the runs has left no trail
    diverged_at: int | None  # the first tick of 0.05 s whose states differ; 0 is the beginning
    clips_before: tuple[str, ...]
    clips_now: tuple[str, ...]


def read_before(path: Path, asked: Mapping[str, Any], routes: Sequence[str]) -> Before:
    """An earlier results.json. Raises UserError for anything else, for other routes, and when none is in `routes`."""
    if not path.is_file():
        raise UserError(f"against {path}: there is no such file; a run's results.json is meant")
    try:
        records = {record["route_id"]: record for record in json.loads(path.read_text())["_checkpoint"]["records"]}
        for record in records.values():
            score(record), record["status"], record["meta"]["route_length"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"against {path}: it is not a results.json of roadcraft ({error})") from None
    if not set(records) & set(routes):
        raise UserError(f"against {path}: no route in common; it has {', '.join(sorted(records)[:5]) or 'none'}")
    config = path.with_name("config.yaml")
    before = yaml.safe_load(config.read_text()) if config.is_file() else {}
    differing = [key for key in ROUTE_OPTIONS if key in before and before[key] != asked[key]]
    if differing:
        raise UserError(f"against {path}: it was run with another {', '.join(differing)}")
    return Before(path, records)


def score(record: Record) -> float:
    """A route's driving_score."""
    return float(record["scores_by_rules"]["2.1"])


def same_route(one: Record, other: Record) -> bool:
    """Whether town and length agree; a record of a route that was lost says neither."""
    metas = (one["meta"], other["meta"])
    if not all("summary" in meta for meta in metas):
        return True
    return bool(
        metas[0].get("town") == metas[1].get("town")
        and abs(metas[0]["route_length"] - metas[1]["route_length"]) < SAME_LENGTH
    )


def paired(before: Before, now: Sequence[Record], folder: Path) -> list[Pair]:
    """The routes that are in both runs, in the order of this one. Raises UserError when none is the same."""
    both = [(before.records[record["route_id"]], record) for record in now if record["route_id"] in before.records]
    pairs = [pair(old, new, before.path.parent, folder) for old, new in both if same_route(old, new)]
    if not pairs:
        raise UserError(f"against {before.path}: its routes of these seeds lie in other towns or are of other lengths")
    return pairs


def pair(old: Record, new: Record, old_folder: Path, new_folder: Path) -> Pair:
    """One route in both runs."""
    trails = (left(old, old_folder), left(new, new_folder))
    tick = parting(*trails) if trails[0] is not None and trails[1] is not None else None
    return Pair(
        route=new["route_id"],
        before=score(old),
        now=score(new),
        difference=score(new) - score(old),
        status_before=old["status"],
        status_now=new["status"],
        newly_not_completed=old["status"] in COMPLETED and new["status"] not in COMPLETED,
        diverged=None if trails[0] is None or trails[1] is None else tick is not None,
        diverged_at=tick,
        clips_before=clips(old, old_folder),
        clips_now=clips(new, new_folder),
    )


def left(record: Record, folder: Path) -> Any:
    """The trail that a route has left in its run's folder, or None."""
    summary = record["meta"].get("summary")
    return read_trail(trail_path(folder, summary["driver"], summary["seed"])) if summary else None


def clips(record: Record, folder: Path) -> tuple[str, ...]:
    """The clips of a route."""
    summary = record["meta"].get("summary")
    found = (folder / "clips").glob(f"{stem(summary['driver'])}-{summary['seed']}-*.mp4") if summary else ()
    return tuple(sorted(str(path) for path in found))


def judged(pairs: Sequence[Pair], path: Path) -> dict[str, Any]:
    """What the last line says. A regression: the whole interval is below 0, or a route is newly not completed."""
    differences = [pair.difference for pair in pairs]
    low, high = confidence(differences)
    lost = [pair.route for pair in pairs if pair.newly_not_completed]
    return {
        "path": str(path),
        "routes": len(pairs),
        "driving_score_difference": sum(differences) / len(pairs),
        "driving_score_difference_ci95": (low, high),
        "better": sum(difference > 0 for difference in differences),
        "worse": sum(difference < 0 for difference in differences),
        "diverged": sum(pair.diverged is True for pair in pairs),
        "newly_not_completed": lost,
        "regression": high < 0 or bool(lost),
    }


def content(pairs: Sequence[Pair], verdict: Mapping[str, Any]) -> dict[str, Any]:
    """against.json."""
    return {**plain(verdict), "pairs": [asdict(pair) for pair in pairs]}


def failure(pair: Pair, tolerance: float) -> str:
    """Why a route's test fails; empty when it passes."""
    reasons = []
    if pair.newly_not_completed:
        reasons.append(f"newly not completed: {pair.status_now}")
    if pair.difference < -tolerance:
        reasons.append(f"driving_score fell from {pair.before:.2f} to {pair.now:.2f}, by more than {tolerance:g}")
    return "; ".join(reasons)


def junit(records: Sequence[Record], pairs: Sequence[Pair], tolerance: float, name: str) -> str:
    """junit.xml: one testcase a route of this run; those that the earlier run has not are skipped."""
    compared = {pair.route: pair for pair in pairs}
    suite = ElementTree.Element("testsuite", name=name, tests=str(len(records)))
    for record in records:
        seconds = f"{record['meta']['duration_system']:.3f}"
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=record["route_id"], time=seconds)
        pair = compared.get(record["route_id"])
        if pair is None:
            ElementTree.SubElement(case, "skipped", message="the earlier run has not driven this route")
        elif reason := failure(pair, tolerance):
            infractions = [line for lines in record["infractions"].values() for line in lines]
            ElementTree.SubElement(case, "failure", message=reason).text = "\n".join([parted(pair), *infractions])
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def parted(pair: Pair) -> str:
    """Where the two runs part, in words."""
    if pair.diverged is None:
        return "no trail of both runs"
    return "the same in every tick" if pair.diverged_at is None else f"parts at tick {pair.diverged_at}"


def told(pairs: Sequence[Pair], verdict: Mapping[str, Any]) -> str:
    """The comparison for people: the mean, then the routes that changed, worst first."""
    low, high = verdict["driving_score_difference_ci95"]
    lines = [
        f"against {verdict['path']}: driving_score {verdict['driving_score_difference']:+.2f} on average "
        f"(95 %: {low:+.2f} to {high:+.2f}) over {len(pairs)} routes, {verdict['better']} better, "
        f"{verdict['worse']} worse, {verdict['diverged']} driven differently"
    ]
    changed = sorted((pair for pair in pairs if pair.difference), key=lambda pair: pair.difference)
    for pair in changed[:SHOWN]:
        lines.append(f"  {pair.route}  {pair.before:6.2f} -> {pair.now:6.2f}  {pair.status_now}, {parted(pair)}")
    if len(changed) > SHOWN:
        lines.append(f"  and {len(changed) - SHOWN} more in against.json")
    return "\n".join([*lines, "regression" if verdict["regression"] else "no regression"])

"""`results.json` in the shape of the CARLA leaderboard's, so that its users' scripts read ours.

`scores` are those of the rules 2.1; beside them each record carries all three, and Bench2Drive's,
under `scores_by_rules`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np

from roadcraft.sim.referee import Referee, Verdict
from roadcraft.sim.scores import KINDS

# Our kinds by the leaderboard's names.
LEADERBOARD_NAMES = {
    "collision_static": "collisions_layout",
    "collision_pedestrian": "collisions_pedestrian",
    "collision_vehicle": "collisions_vehicle",
    "red_light": "red_light",
    "stop_sign": "stop_infraction",
    "out_of_lane": "outside_route_lanes",
    "min_speed": "min_speed_infractions",
    "yield_emergency": "yield_emergency_vehicle_infractions",
    "scenario_timeout": "scenario_timeouts",
    "route_deviation": "route_dev",
    "blocked": "vehicle_blocked",
    "timeout": "route_timeout",
}
RULES = ("1.0", "2.0", "2.1", "Bench2Drive")
LABELS = (
    "Avg. driving score",
    "Avg. route completion",
    "Avg. infraction penalty",
    "Collisions with pedestrians",
    "Collisions with vehicles",
    "Collisions with layout",
    "Red lights infractions",
    "Stop sign infractions",
    "Off-road infractions",
    "Route deviations",
    "Route timeouts",
    "Agent blocked",
    "Yield emergency vehicles infractions",
    "Scenario timeouts",
    "Min speed infractions",
)
_LABEL_KINDS = (
    "collision_pedestrian",
    "collision_vehicle",
    "collision_static",
    "red_light",
    "stop_sign",
    "out_of_lane",
    "route_deviation",
    "timeout",
    "blocked",
    "yield_emergency",
    "scenario_timeout",
    "min_speed",
)


def route_record(
    referee: Referee,
    route_id: str,
    route_length: float,
    time: float,
    wall_time: float,
    index: int = 0,
    weather: str = "",
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One route of the leaderboard's `records`. Lengths in metres, times in seconds; `extra` joins `meta`."""
    verdict = referee.verdict
    by_rules = (0.0,) * len(RULES)
    if verdict is not None:
        by_rules = verdict.score_10, verdict.score_20, verdict.score_21, verdict.score_b2d
    infractions: dict[str, list[str]] = {LEADERBOARD_NAMES[kind]: [] for kind in KINDS}
    for event in referee.events:
        infractions[LEADERBOARD_NAMES[event.kind]].append(f"{event.message} (t = {event.time:.2f} s)")
    return {
        "index": index,
        "route_id": route_id,
        "status": _status(verdict),
        "num_infractions": len(referee.events),
        "infractions": infractions,
        "scores": _scores(verdict),
        "scores_by_rules": dict(zip(RULES, by_rules, strict=True)),
        "weather_id": weather,
        "meta": {
            "route_length": route_length,
            "duration_game": round(time, 3),
            "duration_system": round(wall_time, 3),
            "outside_percent": verdict.outside if verdict else 0.0,
            "efficiency": _number(verdict.efficiency) if verdict else None,
            "comfort": _number(referee.comfort()),
            **(extra or {}),
        },
    }


def failed_record(route_id: str, route_length: float, why: str, index: int = 0) -> dict[str, Any]:
    """A route that did not run or was lost: it counts zero."""
    record = route_record(Referee(), route_id, route_length, 0.0, 0.0, index)
    record["status"] = f"Failed - {why}"
    return record


def results(records: Sequence[Mapping[str, Any]], routes: int, finished: bool = True) -> dict[str, Any]:
    """The whole file: global means over all `routes` asked for (those without a record count zero)."""
    done = [dict(record) for record in records]

    def mean(*path: str) -> float:
        values = [float(_dig(record, path)) for record in done]
        return float(np.sum(values) / routes) if routes else 0.0

    km = sum(r["meta"]["route_length"] / 1000 * r["scores"]["score_route"] / 100 for r in done)
    per_km = {
        name: (sum(len(r["infractions"][name]) for r in done) / km if km > 0 else 0.0)
        for name in LEADERBOARD_NAMES.values()
    }
    scores = {key: mean("scores", key) for key in ("score_composed", "score_route", "score_penalty")}
    values = [scores["score_composed"], scores["score_route"], scores["score_penalty"]]
    values += [per_km[LEADERBOARD_NAMES[kind]] for kind in _LABEL_KINDS]
    return {
        "_checkpoint": {
            "global_record": {
                "status": "Completed" if finished else "Running",
                "infractions": per_km,
                "scores_mean": scores,
                "scores_by_rules": {rules: mean("scores_by_rules", rules) for rules in RULES},
                "meta": {"total_length": sum(r["meta"]["route_length"] for r in done)},
            },
            "progress": [len(done), routes],
            "records": done,
        },
        "entry_status": "Finished" if finished else "Started",
        "eligible": finished,
        "sensors": ["carla_camera"],
        "values": [f"{value:.6f}" for value in values],
        "labels": list(LABELS),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes all of it or nothing: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    os.replace(draft, path)


def _status(verdict: Verdict | None) -> str:
    if verdict is None:
        return "Failed - Agent did not start"
    if not verdict.done:
        return "Failed - Stopped before the end"
    perfect = verdict.status == "Completed" and not any(verdict.infractions.values())
    return "Perfect" if perfect else verdict.status


def _scores(verdict: Verdict | None) -> dict[str, float]:
    if verdict is None:
        return {"score_route": 0.0, "score_penalty": 0.0, "score_composed": 0.0}
    completion = verdict.route_completion
    return {
        "score_route": completion,
        "score_penalty": verdict.score_21 / completion if completion > 0 else 1.0,
        "score_composed": verdict.score_21,
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if isnan(value) or not isfinite(value) else value


def _dig(record: Mapping[str, Any], path: Sequence[str]) -> Any:
    for key in path:
        record = record[key]
    return record

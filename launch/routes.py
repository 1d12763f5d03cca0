"""Routes of a leaderboard file as episodes: `--routes FILE.xml` of `drive` and of `evaluate policy`.

`evaluate policy` drives all of them: the first in the traffic of seed 9000, the next of 9001, and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.evaluation import EvaluatePolicy
from roadcraft.launch.options.simulator import Drive
from roadcraft.sim.errors import UserError
from roadcraft.sim.route_files import RouteRequest, read_routes

FIRST = 9000  # seed of a file's first route


def requests_by_seed(path: str) -> dict[int, RouteRequest]:
    """The routes of a file in its order. Raises UserError for one that cannot be read."""
    return dict(enumerate(read_routes(path), FIRST))


def request_of(asked: Drive | EvaluatePolicy, seed: int) -> RouteRequest | None:
    """What of a file a seed drives; None without a file. Raises UserError for an id that is not in it."""
    if asked.routes is None:
        return None
    requests = requests_by_seed(asked.routes)
    if isinstance(asked, EvaluatePolicy):
        return requests[seed]
    if asked.route is None:
        return requests[FIRST]
    for request in requests.values():
        if request.id == asked.route:
            return request
    ids = [request.id for request in requests.values()]
    raise UserError(f"routes {asked.routes}: there is no route {asked.route}; it has {', '.join(ids[:20])}")


def seeds_of(asked: EvaluatePolicy) -> list[int]:
    """The seeds that are driven, one a route."""
    return seed_range(asked.seeds) if asked.routes is None else list(requests_by_seed(asked.routes))


def route_name(seed: int, request: RouteRequest | None = None) -> str:
    """How a route is called in the results: as the leaderboard does, by the file's id, or by the seed."""
    return f"RouteScenario_{seed if request is None else request.id}"


def episode_fields(asked: Drive | EvaluatePolicy, request: RouteRequest) -> dict[str, Any]:
    """The fields of an episode that a file's route gives."""
    assert asked.routes is not None
    return {
        "town": request.town if asked.sim.runs_already else town_for(request.town, Path(asked.routes).parent),
        "points": tuple(map(tuple, request.xy.tolist())),
        "weather": request.weather,
        "scenarios": request.scenarios,
        "triggers": request.triggers,
    }


def town_for(named: str, folder: Path) -> str:
    """The OpenDRIVE file of a town where it lies in the folder, else its name."""
    beside = folder / f"{named.split('/')[-1]}.xodr"
    return str(beside) if beside.is_file() else named


def left_out(requests: Iterable[RouteRequest]) -> str:
    """Says which scenarios of some routes are not known here; empty when all are."""
    counts = Counter(kind for request in requests for kind in request.unknown)
    told = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
    return f"scenarios that there are none like here are left out: {told}" if told else ""

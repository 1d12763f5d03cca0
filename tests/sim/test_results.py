"""`results.json`: the leaderboard's shape and means over all routes asked for."""

import json
from pathlib import Path

import pytest

from roadcraft.sim.referee import Event, Referee, Verdict
from roadcraft.sim.results import LABELS, failed_record, results, route_record, write_json
from roadcraft.sim.scores import KINDS, no_infractions


def judged(completion: float, score: float, *kinds: str) -> Referee:
    """A referee at the end of some drive."""
    referee = Referee()
    referee.events = [Event(kind, 10, 0.5, (0.0, 0.0), f"Agent: {kind}") for kind in kinds]
    counts = no_infractions()
    for kind in kinds:
        counts[kind] += 1
    status = "Completed" if completion == 100 else "Failed - Agent got blocked"
    referee.verdict = Verdict((), True, status, completion, score, score, score, score, counts, 0.0, (), 500.0)
    return referee


def test_a_record_has_every_kind_of_infraction_with_its_messages() -> None:
    record = route_record(judged(100, 36, "collision_vehicle", "collision_vehicle"), "seed-1", 500, 60.0, 30.0)
    assert len(record["infractions"]) == len(KINDS)
    assert len(record["infractions"]["collisions_vehicle"]) == 2
    assert record["infractions"]["red_light"] == []
    assert record["num_infractions"] == 2
    assert record["scores"] == {"score_route": 100, "score_penalty": 0.36, "score_composed": 36}
    assert record["status"] == "Completed"
    assert route_record(judged(100, 100), "seed-2", 500, 60.0, 30.0)["status"] == "Perfect"


def test_means_count_routes_that_did_not_run_as_zero() -> None:
    records = [
        route_record(judged(100, 80, "red_light"), "seed-1", 1000, 60.0, 30.0),
        route_record(judged(50, 40, "blocked"), "seed-2", 2000, 60.0, 30.0, 1),
        failed_record("seed-3", 500, "worker died", 2),
    ]
    file = results(records, routes=4)
    total = file["_checkpoint"]["global_record"]
    assert total["scores_by_rules"]["2.1"] == pytest.approx(30)
    assert total["scores_mean"]["score_route"] == pytest.approx(37.5)
    assert total["infractions"]["red_light"] == pytest.approx(0.5)  # one in 1 km + 2 km * 50 %
    assert file["_checkpoint"]["progress"] == [3, 4]
    assert len(file["values"]) == len(file["labels"]) == len(LABELS)


def test_it_is_written_whole_and_is_plain_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "results.json", results([failed_record("seed-3", 500, "x")], 1))
    assert json.loads((tmp_path / "a" / "results.json").read_text())["entry_status"] == "Finished"
    assert [f.name for f in (tmp_path / "a").iterdir()] == ["results.json"]

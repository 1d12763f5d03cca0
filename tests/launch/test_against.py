"""Two runs of the same routes: known differences, the tick at which they part, what fails and what does not."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fakes import FakeDriver, FakeWorld

from roadcraft.launch.__main__ import main
from roadcraft.launch.against import Before, judged, junit, paired, read_before
from roadcraft.launch.runs import plain
from roadcraft.launch.session import Session
from roadcraft.launch.trail import Trail, parting, read_trail, trail_path
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode
from roadcraft.sim.results import RULES, failed_record, results

Record = dict[str, Any]
TINY = ("--seeds", "1000-1001", "--route_length", "60", "--traffic.vehicles", "5", "--traffic.walkers", "3")


@cache
def driven(seed: int, length: float) -> Record:
    """A route's record."""
    session = Session(Episode("grid", seed=seed), "fake")
    session.run(FakeWorld(length), FakeDriver(), [])
    made: Record = plain(session.record())
    return made


def record(seed: int, score: float = 100.0, status: str = "Completed", length: float = 20.0) -> Record:
    """A route's record with the score that is asked for."""
    return driven(seed, length) | {"scores_by_rules": {**dict.fromkeys(RULES, 0.0), "2.1": score}, "status": status}


def before(folder: Path, *records: Record) -> Before:
    """An earlier run with these records."""
    return Before(folder / "results.json", {record["route_id"]: record for record in records})


def test_differences_are_paired_by_route(tmp_path: Path) -> None:
    """80 -> 50, 60 -> 70 and 90 -> 90: a mean of -20 / 3; the route that only one run has does not count."""
    old = before(tmp_path, record(3, 90.0), record(1, 80.0), record(2, 60.0), record(9, 0.0))
    pairs = paired(old, [record(1, 50.0), record(2, 70.0), record(3, 90.0), record(4, 0.0)], tmp_path)
    assert [pair.difference for pair in pairs] == [-30.0, 10.0, 0.0]
    verdict = judged(pairs, old.path)
    assert verdict["driving_score_difference"] == pytest.approx(-20 / 3)
    assert verdict["driving_score_difference_ci95"] == (-30.0, 10.0)  # all three alike is one resample in 27
    assert (verdict["better"], verdict["worse"], verdict["routes"]) == (1, 1, 3)
    assert not verdict["regression"]


def test_a_regression_is_an_interval_below_zero(tmp_path: Path) -> None:
    old = before(tmp_path, *(record(seed, 80.0) for seed in range(4)))
    lower = paired(old, [record(seed, 80.0 - 1 - seed) for seed in range(4)], tmp_path)
    low, high = judged(lower, old.path)["driving_score_difference_ci95"]
    assert low < -2.5 < high < 0
    assert judged(lower, old.path)["regression"]
    same = judged(paired(old, [record(seed, 80.0) for seed in range(4)], tmp_path), old.path)
    assert same["driving_score_difference_ci95"] == (0.0, 0.0)
    assert not same["regression"]
    higher = paired(old, [record(seed, 81.0) for seed in range(4)], tmp_path)
    assert not judged(higher, old.path)["regression"]


def test_a_route_that_is_newly_not_completed_is_a_regression(tmp_path: Path) -> None:
    """Even where the mean has risen; one that was not completed before is none, "Perfect" is completed too."""
    old = before(tmp_path, record(1, 10.0), record(2, 10.0, "Perfect"), record(3, 10.0, "Failed - Agent timed out"))
    now = [
        record(1, 90.0, "Perfect"),
        record(2, 90.0, "Failed - Agent got blocked"),
        record(3, 90.0, "Failed - Agent timed out"),
    ]
    verdict = judged(paired(old, now, tmp_path), old.path)
    assert verdict["newly_not_completed"] == ["RouteScenario_2"]
    assert verdict["regression"]


def test_a_route_that_was_lost_counts_as_fallen_to_zero(tmp_path: Path) -> None:
    old = before(tmp_path, record(1, 80.0))
    (pair,) = paired(old, [failed_record("RouteScenario_1", 0.0, "its process died")], tmp_path)
    assert (pair.difference, pair.newly_not_completed, pair.diverged) == (-80.0, True, None)


def test_another_route_of_the_same_seed_is_not_compared(tmp_path: Path) -> None:
    old = before(tmp_path, record(1), record(2, length=15.0))
    pairs = paired(old, [record(1), record(2)], tmp_path)
    assert [pair.route for pair in pairs] == ["RouteScenario_1"]
    with pytest.raises(UserError, match="other lengths"):
        paired(before(tmp_path, record(2, length=15.0)), [record(2)], tmp_path)


def test_junit_has_a_testcase_a_route(tmp_path: Path) -> None:
    """It fails below the tolerance, not at it; the route that is new is skipped."""
    old = before(tmp_path, *(record(seed, 80.0) for seed in (1, 2, 3)))
    now = [record(1, 75.0), record(2, 74.9), record(3, 90.0, "Failed - Agent got blocked"), record(4)]
    suite = ElementTree.fromstring(junit(now, paired(old, now, tmp_path), 5.0, "fake")).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    assert [case.get("name") for case in suite] == [f"RouteScenario_{seed}" for seed in (1, 2, 3, 4)]
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["failure"], ["skipped"]]
    reasons = [failure.get("message") for failure in suite.iter("failure")]
    assert reasons == [
        "driving_score fell from 80.00 to 74.90, by more than 5",
        "newly not completed: Failed - Agent got blocked",
    ]


class Pushed(FakeWorld):
    """The fake world, but at one tick the ego is a centimetre further, or the actor is."""

    def __init__(self, at: int, whom: str) -> None:
        super().__init__(200.0)
        self.at, self.whom = at, whom

    def facts(self, pose: Any) -> Any:
        pushed = 0.01 * (self.ticks == self.at)
        facts = super().facts(pose + pushed * (self.whom == "ego") * np.array([1.0, 0.0, 0.0]))
        facts.actors["xyz"][:, 0] += pushed * (self.whom == "actor")
        return facts


def trail(world: FakeWorld, path: Path, ticks: int = 40) -> Any:
    """The trail of a drive, read back from its file."""
    Session(Episode("grid", seed=1), "fake").run(world, FakeDriver(), [Trail(path)], ticks)
    return read_trail(path)


@pytest.mark.parametrize("whom", ["ego", "actor"])
@pytest.mark.parametrize("at", [0, 17, 40])
def test_trails_part_where_the_states_do(tmp_path: Path, whom: str, at: int) -> None:
    path = trail_path(tmp_path, "drivers/mine.py:Mine", 1)
    assert path == tmp_path / "trails" / "mine-1.npy"
    one = trail(FakeWorld(200.0), path)
    assert one.shape == (41,)
    assert len(np.unique(one)) == 41  # the car moves
    assert parting(one, trail(FakeWorld(200.0), path)) is None
    assert parting(one, trail(Pushed(at, whom), path)) == at


def test_a_trail_that_ends_earlier_parts_there(tmp_path: Path) -> None:
    long, short = (trail(FakeWorld(200.0), tmp_path / "t" / "t.npy", ticks) for ticks in (40, 25))
    assert parting(long, short) == parting(short, long) == 26
    assert read_trail(tmp_path / "none.npy") is None


def wrong(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_bad_input_is_named(tmp_path: Path) -> None:
    asked = {"route_length": 60.0, "traffic": {}, "max_ticks": None}
    with pytest.raises(UserError, match="no such file"):
        read_before(tmp_path / "none.json", asked, ["RouteScenario_1"])
    for number, text in enumerate(["", "[1]", "{}", '{"_checkpoint": {"records": [{"route_id": "x"}]}}', "\0"]):
        with pytest.raises(UserError, match=r"not a results\.json"):
            read_before(wrong(tmp_path / f"{number}.json", text), asked, ["RouteScenario_1"])
    good = wrong(tmp_path / "results.json", json.dumps(results([record(1)], 1)))
    assert list(read_before(good, asked, ["RouteScenario_1"]).records) == ["RouteScenario_1"]
    with pytest.raises(UserError, match=r"no route in common; it has RouteScenario_1$"):
        read_before(good, asked, ["RouteScenario_2"])
    wrong(tmp_path / "config.yaml", "route_length: 70.0\ntraffic: {}")
    with pytest.raises(UserError, match=r"another route_length$"):
        read_before(good, asked, ["RouteScenario_1"])


def evaluated(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> Record:
    """The last line of the verb, which must end with that status."""
    assert main(["evaluate", "policy", *TINY, *words]) == status
    last: Record = json.loads(capsys.readouterr().out.splitlines()[-1])
    return last


@pytest.mark.slow
def test_the_verb_compares(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same driver again: zero, in every tick. A car that stands still instead: a regression from tick 1."""
    first = evaluated(capsys, 0, "--driver", "truth")
    old = str(Path(first["run"]) / "results.json")
    same = evaluated(capsys, 0, "--driver", "truth", "--against", old, "--workers", "1")
    assert same["against"]["driving_score_difference_ci95"] == [0.0, 0.0]
    assert (same["against"]["routes"], same["against"]["diverged"], same["against"]["regression"]) == (2, 0, False)
    pairs = json.loads((Path(same["run"]) / "against.json").read_text())["pairs"]
    assert [(pair["difference"], pair["diverged"]) for pair in pairs] == [(0.0, False)] * 2

    still = "from roadcraft.sim.messages import Control\nclass Still:\n    def __call__(self, tick):\n"
    Path("still.py").write_text(still + "        return Control(brake=1.0)\n")
    worse = evaluated(capsys, 1, "--driver", "still.py:Still", "--against", old)
    assert worse["against"]["regression"]
    assert worse["against"]["newly_not_completed"] == ["RouteScenario_1000", "RouteScenario_1001"]
    pairs = json.loads((Path(worse["run"]) / "against.json").read_text())["pairs"]
    assert all(0 < pair["diverged_at"] < 20 for pair in pairs)
    assert "<failure" in (Path(worse["run"]) / "junit.xml").read_text()


@pytest.mark.slow
def test_the_network_drives_the_same_again(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However long its percepts take to compute, and in whichever process."""
    words = ("--max_ticks", "60", "--clips", "false")
    first = evaluated(capsys, 0, *words, "--workers", "2")
    same = evaluated(capsys, 0, *words, "--workers", "1", "--against", str(Path(first["run"]) / "results.json"))
    assert (same["against"]["diverged"], same["against"]["driving_score_difference_ci95"]) == (0, [0.0, 0.0])


def test_bad_input_ends_with_2(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "policy", *TINY, "--against", "none.json"]) == 2
    assert "roadcraft: against none.json: there is no such file" in capsys.readouterr().err
    assert main(["evaluate", "policy", "--tolerance", "-1"]) == 2
    assert "tolerance -1.0 is below 0" in capsys.readouterr().err

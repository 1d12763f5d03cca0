"""Figures over routes: means over all routes asked for, intervals, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeDriver, FakeWorld

from roadcraft.launch import evaluate
from roadcraft.launch.__main__ import main
from roadcraft.launch.cli import dump
from roadcraft.launch.evaluate import finished_before
from roadcraft.launch.options.evaluation import EvaluatePolicy
from roadcraft.launch.runs import Run
from roadcraft.launch.scoreboard import confidence, figures, table
from roadcraft.launch.session import Session
from roadcraft.sim.embedded.server.process import ServerProcess
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode
from roadcraft.sim.results import failed_record


def driven(seed: int, max_ticks: int | None = None) -> dict[str, Any]:
    session = Session(Episode("grid", seed=seed), "fake")
    session.run(FakeWorld(200.0), FakeDriver(), [], max_ticks)
    return session.record()


def test_a_route_without_a_record_counts_zero() -> None:
    one = figures([driven(1)], 1)
    assert one["driving_score"] == one["driving_score_b2d"] == one["route_completion"] == one["success_rate"] == 100
    assert one["infractions_per_km"] == 0
    assert one["vetoes"] == {"obstacle": pytest.approx(0.25, abs=0.01)}
    two = figures([driven(1)], 2)
    assert two["driving_score"] == two["route_completion"] == two["success_rate"] == 50
    assert figures([driven(1), failed_record("x", 0.0, "died")], 2)["driving_score"] == 50
    assert figures([], 2)["driving_score"] == 0


def test_confidence_holds_the_mean_and_narrows_with_routes() -> None:
    few, many = np.linspace(0, 100, 10), np.linspace(0, 100, 1000)
    low, high = confidence(list(few))
    assert low < 50 < high
    assert np.diff(confidence(list(many)))[0] < high - low
    assert confidence([70.0]) == (70.0, 70.0)
    # The normal approximation of the interval's half width: 1.96 s / sqrt(n).
    half = 1.96 * many.std() / np.sqrt(len(many))
    assert np.diff(confidence(list(many)))[0] / 2 == pytest.approx(half, rel=0.05)


def test_the_table_has_every_driver() -> None:
    text = table({"network": figures([driven(1)], 1), "expert": figures([], 1)})
    assert [line.split()[0] for line in text.splitlines()] == ["driver", "network", "expert"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Routes are driven on fakes in this process; the list says which."""
    jobs: list[tuple[str, int]] = []

    def run_jobs(work: Any, todo: Any, processes: int) -> Any:
        for asked, seed, folder in todo:
            jobs.append((asked.driver, seed))
            yield (asked, seed, folder), driven(seed)
            if seed == 9001 and "stop" in jobs:
                raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "run_jobs", run_jobs)
    return jobs


def folder(path: Path, asked: EvaluatePolicy) -> Run:
    path.mkdir()
    run = Run(path)
    run.write("config.yaml", dump(asked))
    return run


def test_an_interrupted_evaluation_is_resumed(tmp_path: Path, ran: list[Any]) -> None:
    asked = EvaluatePolicy(seeds="9000-9003", driver="expert")
    run = folder(tmp_path / "first", asked)
    ran.append("stop")
    with pytest.raises(KeyboardInterrupt):
        evaluate.run(asked, run)
    assert run.result["finished"] == 2
    assert json.loads((run.folder / "results.json").read_text())["_checkpoint"]["progress"] == [2, 4]
    with (run.folder / "routes.jsonl").open("a") as file:
        file.write('{"driver": "expert", "se')  # cut short while writing
    for name in ("trails/expert-9000.npy", "clips/expert-9001-red_light-1.00s.mp4", "trails/expert-9002.npy"):
        (run.folder / name).parent.mkdir(exist_ok=True)
        (run.folder / name).touch()
    ran.clear()
    again = EvaluatePolicy(seeds="9000-9003", driver="expert", resume=str(run.folder))
    second = folder(tmp_path / "second", again)
    evaluate.run(again, second)
    assert ran == [("expert", 9002), ("expert", 9003)]
    assert second.result["finished"] == 4
    kept = {file.name for folder in ("trails", "clips") for file in (second.folder / folder).iterdir()}
    assert kept == {"expert-9000.npy", "expert-9001-red_light-1.00s.mp4"}  # those of the finished routes
    assert len(json.loads((second.folder / "results.json").read_text())["_checkpoint"]["records"]) == 4


def test_compare_runs_the_other_drivers_on_the_same_routes(tmp_path: Path, ran: list[Any]) -> None:
    asked = EvaluatePolicy(seeds="9000-9001", driver="truth", compare=True)
    run = folder(tmp_path / "run", asked)
    evaluate.run(asked, run)
    assert set(ran) == {(d, s) for d in ("network", "truth", "expert", "follower") for s in (9000, 9001)}
    assert set(run.result["compare"]) == {"network", "truth", "expert", "follower"}
    assert (run.folder / "results-follower.json").is_file()
    assert run.result["perception"]["engine"] == "none"


BROKEN = """
class Broken:
    def __init__(self):
        raise LookupError("no such thing")
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--driver nobody", "unknown driver 'nobody'"),
        ("--driver nowhere.py:Mine", "no Python file nowhere.py"),
        ("--driver broken.py:Broken", "LookupError: no such thing"),
        ("--driver truth --policy nowhere.safetensors", "nowhere.safetensors"),
        ("--driver truth --latency nan", "latency nan"),
        ("--engine.name abacus", "unknown engine 'abacus'"),
    ],
)
def test_what_does_not_exist_is_told_before_the_first_route(
    words: str, said: str, runs: Path, ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.py").write_text(BROKEN)
    assert main(["evaluate", "policy", "evaluate-policy-tiny", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert said in err.splitlines()[-1]
    assert "routes:" not in err  # no bar
    assert "DS 2.1" not in err  # no table
    assert out == ""
    assert ran == []


def test_an_evaluation_that_cannot_go_on_closes_its_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(*_: Any) -> Any:
        raise UserError("no more")

    monkeypatch.setattr(evaluate, "run_jobs", refuses)
    asked = EvaluatePolicy(seeds="9000-9001", driver="expert")
    run = folder(tmp_path / "run", asked)
    with pytest.raises(UserError, match="no more"):
        evaluate.run(asked, run)
    assert run.result == {}  # nothing is told of routes that nobody drove
    assert "routes:   0%" in (err := capsys.readouterr().err)
    assert err.endswith("\n")


def test_another_evaluation_cannot_be_resumed(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", EvaluatePolicy(route_length=300.0))
    (run.folder / "routes.jsonl").touch()
    with pytest.raises(UserError, match="another route_length"):
        finished_before(EvaluatePolicy(resume=str(run.folder)), ["network"], [9000])
    with pytest.raises(UserError, match=r"routes\.jsonl"):
        finished_before(EvaluatePolicy(resume=str(tmp_path)), ["network"], [9000])


def test_routes_are_driven_on_a_server_that_runs_already(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With and without a camera, one after the other; the server goes on. Nobody else is asked when it does not."""
    words = ["evaluate", "policy", "evaluate-policy-tiny", "--max_ticks", "5", "--clips", "false", "--workers", "2"]
    with ServerProcess(town="grid-20") as server:
        words += ["--compare", "--sim.port", str(server.port)]
        assert main(words) == 0
        assert server.alive
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["finished"] for row in found["compare"].values()] == [1, 1, 1, 1]
    trails = [np.load(path) for path in (Path(found["run"]) / "trails").iterdir()]
    assert [len(trail) for trail in trails] == [6, 6, 6, 6]
    assert len({trail[0] for trail in trails}) == 1
    assert main([*words, "--driver", "expert"]) == 2
    assert str(server.port) in capsys.readouterr().err

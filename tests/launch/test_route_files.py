"""`--routes FILE.xml`: routes of the leaderboard's files, driven and called as the file says; bad ones are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roadcraft.launch.__main__ import main
from roadcraft.sim.embedded.town import load_town, town_text
from roadcraft.sim.routes import route_from_seed

EMPTY = ["--traffic.vehicles", "2", "--traffic.walkers", "2", "--max_ticks", "10", "--driver", "expert"]
DRIVE = ["drive", "--sim.world", "embedded", "--video", "false", "--rerun", "false", *EMPTY]
EVALUATE = ["evaluate", "policy", "--workers", "1", *EMPTY]
SCENARIOS = """<scenarios><scenario name="a" type="BlockedIntersection"><trigger_point x="0" y="0" z="0" yaw="0"/>
</scenario></scenarios>"""


def route(name: str, town: str = "grid-20", seed: int = 2000, inside: str = "") -> str:
    """A route of grid-20 as the leaderboard writes it."""
    xy = route_from_seed(load_town("grid-20").network, seed, 100.0).xy[::20]
    points = "".join(f'<position x="{x:.2f}" y="{-y:.2f}" z="0.0"/>' for x, y in xy)
    return f'<route id="{name}" town="{town}"><waypoints>{points}</waypoints>{inside}</route>'


OFF = '<route id="off" town="grid-20"><waypoints><position x="9000" y="0"/><position x="0" y="0"/></waypoints></route>'


def write(*routes: str) -> None:
    Path("routes.xml").write_text(f"<routes>{''.join(routes)}</routes>")


def records(result: dict[str, Any]) -> dict[str, Any]:
    content = json.loads((Path(result["run"]) / "results.json").read_text())
    return {record["route_id"]: record for record in content["_checkpoint"]["records"]}


def test_a_files_routes_are_evaluated_and_bad_ones_have_failed_by_name(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(route("7", inside=SCENARIOS), OFF, route("nowhere", "Town99"), route("9", "Town01", 2020, SCENARIOS))
    Path("Town01.xodr").write_text(town_text("grid", 20))  # beside the file
    assert main([*EVALUATE, "--routes", "routes.xml"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    found = records(result)
    assert (result["routes"], result["routes_file"]) == (4, "routes.xml")
    assert list(found) == [f"RouteScenario_{name}" for name in ("7", "off", "nowhere", "9")]
    assert found["RouteScenario_7"]["meta"]["town"] == "grid-20"
    assert found["RouteScenario_9"]["meta"]["town"] == "Town01.xodr"
    assert "(9000.0, " in found["RouteScenario_off"]["status"]
    assert "'Town99'" in found["RouteScenario_nowhere"]["status"]
    assert err.count("BlockedIntersection (2)") == 1


def test_one_of_a_files_routes_is_driven(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(route("7"), route("9", "Town99", 2020))
    assert main([*DRIVE, "--routes", "routes.xml", "--route", "9", "--town", "grid-20"]) == 0
    (name,) = records(json.loads(capsys.readouterr().out))
    assert name == "RouteScenario_9"


@pytest.mark.parametrize(
    ("routes", "words", "said"),
    [
        ((), [], "no <route>"),
        (("<route",), [], "cannot be read"),
        ((OFF,), [], "route off"),
        ((route("7", "Town99"),), [], "'Town99'"),
        ((route("7"),), ["--route", "8"], "no route 8; it has 7"),
        ((route("7"),), ["--routes", "none.xml"], "none.xml"),
    ],
)
def test_bad_routes_are_one_line(
    routes: tuple[str, ...], words: list[str], said: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(*routes)
    assert main([*DRIVE, "--routes", "routes.xml", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1, error


def test_an_evaluation_of_nothing_but_bad_routes_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*EVALUATE, "--routes", "none.xml"]) == 2
    assert "none.xml" in capsys.readouterr().err
    write(OFF)
    assert main([*EVALUATE, "--routes", "routes.xml"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "none could be driven; RouteScenario_off" in said
    assert "(9000.0, " in said

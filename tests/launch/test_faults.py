"""The camera drives: where it fails the car stops, hits nothing and does not arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roadcraft.launch.__main__ import main

DRIVE = ["drive", "--sim.world", "embedded", "--video", "false", "--rerun", "false"]


def driven(capsys: pytest.CaptureFixture[str], fault: str, ticks: int) -> dict[str, Any]:
    """The last line of the default drive with a camera that fails."""
    assert main([*DRIVE, "--fault", fault, "--max_ticks", str(ticks)]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def stands_unharmed(result: dict[str, Any]) -> bool:
    """Whether the car stands at the end, has hit nothing and has not arrived."""
    hits = sum(count for kind, count in result["infractions"].items() if kind.startswith("collision"))
    return hits == 0 and result["final_speed"] < 0.1 and result["route_completion"] < 100


@pytest.mark.parametrize(("fault", "veto"), [("black", "dark_image"), ("frozen", "frozen_image")])
def test_a_car_that_sees_nothing_new_stands(
    fault: str, veto: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = driven(capsys, fault, 150)
    assert stands_unharmed(result), result
    assert result["route_completion"] < 5
    assert result["vetoes"][veto] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["black", "frozen", "late", "other_town"])
def test_nor_does_it_arrive_in_the_end(fault: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stands_unharmed(driven(capsys, fault, 2400))

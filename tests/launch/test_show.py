"""`roadcraft show`: a picture for each town and weather, the same for the same seed; views that are worth showing."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadcraft.launch.__main__ import main
from roadcraft.launch.show import GAP
from roadcraft.launch.vantage import Street, sights
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.episodes import WEATHERS
from roadcraft.sim.messages import Kind

WIDTH, HEIGHT = 64, 36  # of show-tiny


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(load_town("suburb"), 3, 12, 5, 1.4)


def test_a_sheet_by_day_and_by_night(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        assert main(["show", "show-tiny", "--out", f"pictures/{name}"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["town"] for row in result["towns"]] == ["suburb"]
    assert Path(result["sheet"]) == Path("pictures/b.png")
    sheet, again = (cv2.imread(f"pictures/{name}") for name in ("a.png", "b.png"))
    assert (sheet == again).all()
    assert sheet.shape == (HEIGHT, 2 * WIDTH + GAP, 3)
    day, night = sheet[HEIGHT // 2 :, :WIDTH], sheet[HEIGHT // 2 :, WIDTH + GAP :]
    assert day.mean() > 1.5 * night.mean() > 0
    assert day.std() > 10  # a street, not a wall


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--towns [atlantis]", "unknown town 'atlantis'"),
        ("--towns [none.xodr]", "none.xodr"),
        ("--towns []", "towns is empty"),
        ("--weathers [hail]", "unknown weather 'hail'"),
        ("--size large", "size 'large'"),
        ("--size 8x8", "size 8x8"),
        ("--seconds 0", "seconds 0"),
        ("--out sheet.gif", "out sheet.gif"),
        ("--out file/sheet.png", "out file/sheet.png"),
        ("--traffic.vehicles 0", "no car to look from"),
    ],
)
def test_bad_input_is_one_line(words: str, said: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("not a folder")
    assert main(["show", "show-tiny", *words.split()]) == 2
    line = [line for line in capsys.readouterr().err.splitlines() if line.startswith("roadcraft: ")]
    assert len(line) == 1
    assert said in line[0]


def test_each_sight_is_better_than_the_last(street: Street) -> None:
    found = [s for s in sights(street, 12.0, (WIDTH, HEIGHT), [WEATHERS["clear"], WEATHERS["night"]]) if s is not None]
    worths = [sight.worth for sight in found]
    assert worths == sorted(set(worths))
    assert [picture.shape for picture in found[-1].pictures] == [(HEIGHT, WIDTH, 3)] * 2
    assert street.live.simulation.weather == WEATHERS["clear"]


def test_what_stands_in_the_way_is_worth_less_and_a_car_ahead_more(street: Street) -> None:
    """The other car goes far away, a good distance ahead, and before the camera."""
    simulation = street.live.simulation
    bodies = simulation.bodies
    car, other = bodies["id"][(bodies["kind"] == Kind.CAR) & (bodies["id"] > 0)][:2].tolist()
    body = simulation.body(car)
    along = np.array([np.cos(body["yaw"]), np.sin(body["yaw"])])
    worth, vehicles = {}, {}
    for name, ahead in (("far", 5000.0), ("ahead", 14.0), ("in the way", 3.5)):
        simulation.place(other, body["xyz"][:2] + ahead * along, float(body["yaw"]))
        worth[name], vehicles[name], _ = street.judge(car)
    assert worth["in the way"] < worth["far"] < worth["ahead"]
    assert vehicles["ahead"] == vehicles["far"] + 1

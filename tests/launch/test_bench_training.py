"""Which drives a training sees, what it starts from, and what its row of the table shows."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roadcraft.launch import bench_ablation
from roadcraft.launch.bench_ablation import (
    COLUMNS,
    COUNTS,
    VARIANTS,
    Budget,
    chosen,
    drive_seed,
    judge,
    learned_from,
    linked,
    markdown,
    style_and_weather,
    told,
)
from roadcraft.launch.bench_training import resumed
from roadcraft.launch.options.bench import BenchTraining
from roadcraft.launch.options.simulator import Collect
from roadcraft.perception.data import Shards
from roadcraft.perception.losses import TASKS
from roadcraft.perception.metrics import Records
from roadcraft.perception.percept import EVENTS
from roadcraft.sim.episodes import WEATHERS, look_number, town_of, weather_of
from roadcraft.sim.errors import UserError

HOW = Budget("tiny", 2, 1, 2, 1, style="roundabout", weather="rain", few=8)
SEEDS = (0, 3, 5, 8)  # grid and roundabout in clear air, grid and roundabout in rain


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """A drive of five empty frames for each of SEEDS."""
    paths = [tmp_path / f"{seed:06d}-00000.tar" for seed in SEEDS]
    for path in paths:
        with tarfile.open(path, "w") as tar:
            for frame in range(5):
                for ending in ("jpg", "semantic.png", "frame.npy", "objects.npy"):
                    tar.addfile(tarfile.TarInfo(f"{path.stem[:6]}-0-{frame:04d}.{ending}"), io.BytesIO())
    return paths


def seeds(of: list[Path]) -> list[int]:
    return [drive_seed(shard) for shard in of]


def test_a_seed_tells_style_and_weather() -> None:
    for seed in (0, 7, 19, 1038, 9999):
        style, weather = style_and_weather(seed)
        assert town_of(seed).startswith(style)
        assert WEATHERS[weather] == weather_of(seed)


def test_what_is_left_out_is_not_learned_from(shards: list[Path]) -> None:
    assert seeds(learned_from(VARIANTS["reference"], shards, HOW)) == [0, 3, 5, 8]
    assert seeds(learned_from(VARIANTS["without-style"], shards, HOW)) == [0, 5]
    assert seeds(learned_from(VARIANTS["without-weather"], shards, HOW)) == [0, 3]
    with pytest.raises(UserError, match="not roundabout"):
        learned_from(VARIANTS["without-style"], shards[1:2], HOW)


def test_a_look_is_left_out_of_those_that_were_recorded(shards: list[Path]) -> None:
    how = replace(HOW, looks=2)
    looks = {seed: look_number(seed, 2) for seed in SEEDS}
    assert set(looks.values()) == {0, 1}
    assert seeds(learned_from(VARIANTS["without-look"], shards, how)) == [s for s in SEEDS if looks[s] == 0]
    assert how.named("look") == "look 1"
    assert how.named("other looks") == "not look 1"


def test_few_frames_are_whole_drives_of_the_style(shards: list[Path]) -> None:
    few = VARIANTS["new-scratch"]
    assert seeds(learned_from(few, shards, replace(HOW, few=5))) == [3]
    assert seeds(learned_from(few, shards, replace(HOW, few=6))) == [3, 8]
    with pytest.raises(UserError, match="frames 11: the shards hold only 10 of roundabout"):
        learned_from(few, shards, replace(HOW, few=11))


def test_links_are_read_as_shards_and_made_once(shards: list[Path], tmp_path: Path) -> None:
    for _ in range(2):
        assert Shards(linked(shards[:2], tmp_path / "some")).refresh() == 10


def test_a_shard_that_does_not_tell_its_drive_is_named() -> None:
    with pytest.raises(UserError, match="mine"):
        drive_seed(Path("mine-00000.tar"))


def test_each_training_is_one_change() -> None:
    """The single tasks share no task; nothing starts from a later training's weights."""
    single = [variant.tasks for name, variant in VARIANTS.items() if name.startswith("only-")]
    apart = [task for tasks in single for task in tasks]
    assert len(set(apart)) == len(apart)
    assert set(apart) < set(TASKS)
    names = list(VARIANTS)
    for name, variant in VARIANTS.items():
        assert variant.init in ("", "shipped", *names[: names.index(name)])
        assert set(variant.shown) <= set(COLUMNS)


def test_trainings_are_chosen_in_an_order_that_works() -> None:
    assert chosen(["new-transfer", "without-style"], "tiny") == ["without-style", "new-transfer"]
    assert chosen([], "small", 2) == list(VARIANTS)
    assert set(VARIANTS) - set(chosen([], "small")) == {"without-look"}
    assert set(VARIANTS) - set(chosen([], "tiny", 2)) == {"new-shipped"}
    with pytest.raises(UserError, match="without-look: the drives have one look"):
        chosen(["without-look"], "small")
    with pytest.raises(UserError, match="without-style: name both"):
        chosen(["new-transfer"], "small")
    with pytest.raises(UserError, match="'nothing'"):
        chosen(["nothing"], "small")
    with pytest.raises(UserError, match="another size than tiny"):
        chosen(["new-shipped"], "tiny")


def test_parts_of_the_drives_are_judged_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drive of so many frames as its folder is called."""
    nothing = np.zeros(len(EVENTS), bool)
    monkeypatch.setattr(bench_ablation, "load_engine", lambda *_: None)
    monkeypatch.setattr(
        bench_ablation, "watch_shards", lambda _, folder: Records(events=[(nothing, nothing)] * int(folder.name))
    )
    done: list[int] = []
    parts = {0: Path("1"), 3: Path("2"), 5: Path("4"), 8: Path("8")}
    found = judge(Path("weights"), parts, HOW, lambda: done.append(1))
    assert len(done) == 4
    frames = {part: values["frames"] for part, values in found.items()}
    assert frames == {"all": 15, "style": 10, "other styles": 5, "weather": 12, "other weathers": 3}
    apart = judge(Path("weights"), parts, replace(HOW, looks=2), list)
    assert apart["look"]["frames"] == sum(int(parts[seed].name) for seed in SEEDS if look_number(seed, 2) == 1)
    assert apart["other looks"]["frames"] == 15 - (apart["look"]["frames"] or 0)
    assert set(judge(Path("weights"), {0: Path("1")}, HOW, list)) == {"all", "other styles", "other weathers"}


def test_the_table_shows_what_was_learned_and_nothing_else() -> None:
    values: dict[str, float | None] = dict.fromkeys((*COLUMNS, *COUNTS), 0.5)
    row = {part: values | {"event_f1": None} for part in ("all", "style", "other styles")}
    rows = {"reference": row, "only-drivable": row, "without-style": row}
    lines = [line.split(" | ") for line in markdown(rows, HOW).splitlines() if line.startswith("| ")]
    table = {(line[0][2:], line[1]): line[2:] for line in lines[1:] if len(line) == len(COLUMNS) + 2}
    assert list(table) == [
        ("all", "reference"),
        ("all", "only-drivable"),
        ("roundabout", "reference"),
        ("roundabout", "without-style"),
        ("not roundabout", "reference"),
        ("not roundabout", "without-style"),
    ]
    assert table["all", "only-drivable"] == ["0.500", *["-"] * (len(COLUMNS) - 2), "- |"]
    assert table["all", "reference"][-1] == "- |"
    assert told(rows, HOW)["only-drivable"] == {"all": {"drivable_miou": 0.5}}


def test_looks_must_be_those_that_were_recorded(tmp_path: Path) -> None:
    """Else the drives would be told apart wrongly, and nothing would say so."""
    with pytest.raises(UserError, match="look 3 is none of the 3 looks"):
        BenchTraining(look=3, collect=Collect(looks=3))
    asked = BenchTraining(collect=Collect(looks=3), resume=str(tmp_path))
    (tmp_path / "plan.json").write_text(json.dumps({**resumed(replace(asked, resume=None), tmp_path)}))
    assert resumed(asked, tmp_path)["looks"] == 3
    with pytest.raises(UserError, match="looks was 3, not 4"):
        resumed(replace(asked, collect=Collect(looks=4)), tmp_path)

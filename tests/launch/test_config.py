"""The command line: every error is one line that names the thing, and what was asked for is what a verb gets."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from roadcraft.launch.__main__ import main
from roadcraft.launch.cli import dump, flat, parse, preset_path
from roadcraft.launch.config import VERBS
from roadcraft.launch.options.bench import BenchPerception
from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.evaluation import EvaluateLatency
from roadcraft.launch.options.simulator import Drive
from roadcraft.sim.errors import UserError

LAUNCH = Path(__file__).parents[2] / "launch"
ALL: list[tuple[str, type]] = [
    (f"{verb} {what}".strip(), kind)
    for verb, kinds in VERBS.items()
    for what, kind in (kinds if isinstance(kinds, dict) else {"": kinds}).items()
]


def test_the_command_line_wins_over_the_preset(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("seed: 7\nengine: {name: torch}\nsim: {port: 3000}\n")
    config = parse("drive", Drive, [str(preset), "--sim.port", "4000", "--blind"])
    assert (config.seed, config.engine.name, config.sim.port, config.blind) == (7, "torch", 4000, True)
    assert config.traffic == Drive().traffic
    assert parse("drive", Drive, []) == Drive()


def test_several_values_are_words_in_a_row_or_a_list() -> None:
    words = ["--sizes", "320x192", "640x360", "--batches", "1", "2", "--engines", "torch:f32", "--frames", "3"]
    config = parse("bench perception", BenchPerception, words)
    assert (config.sizes, config.batches, config.frames) == (("320x192", "640x360"), (1, 2), 3)
    assert config.engines == ("torch:f32",)
    listed = ["--sizes", "[320x192, 640x360]", "--batches", "[1, 2]", "--engines", "[torch:f32]", "--frames", "3"]
    assert parse("bench perception", BenchPerception, listed) == config
    late = parse("evaluate latency", EvaluateLatency, ["--latencies", "0", "62.5", "a b/bench.json"])
    assert late.latencies == (0.0, 62.5, "a b/bench.json")
    with pytest.raises(UserError, match="sizes"):
        parse("bench perception", BenchPerception, ["--sizes", "--frames", "3"])


@pytest.mark.parametrize(("verb", "kind"), ALL)
def test_the_resolved_configuration_reads_back(verb: str, kind: type, tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(dump(kind()))
    assert parse(verb, kind, [str(tmp_path / "resolved.yaml")]) == kind()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("drive --sed 4", "'sed'; did you mean seed?"),
        ("drive --sim.prt 4", "'sim.prt'; did you mean sim.port?"),
        ("drive --seed x", "seed: expected int, got 'x'"),
        ("drive --seed 1.5", "seed: expected int"),
        ("drive --sim.port abc", "sim.port: expected int or null, got 'abc'"),
        ("drive --sim.port 0", "sim.port 0"),
        ("drive --fault loud", "fault: expected"),
        ("drive --seed", "--seed"),
        ("drive nosuch", "'nosuch'"),
        ("drive nosuch.yaml", "nosuch.yaml"),
        ("drive --sessions 0", "sessions 0"),
        ("drive --sessions 2 --sim.port 2000", "sim.port"),
        ("drive --blind --fault frozen", "frozen"),
        ("drive --traffic.vehicles -3", "traffic.vehicles -3"),
        ("drive --route_length nan", "route_length: expected float"),
        ("evaluate policy --seeds 9-3", "empty range"),
        ("evaluate policy --seeds few", "'few'"),
        ("evaluate policy --max_ticks 0", "max_ticks 0"),
        ("evaluate policy --max_ticks -3", "max_ticks -3"),
        ("evaluate latency --max_ticks -1", "max_ticks -1"),
        ("train perception --batch 0", "batch 0"),
        ("train perception --length 0", "length 0"),
        ("train perception --threads 0", "threads 0"),
        ("train perception --loaders 0", "loaders 0"),
        ("train perception --save_every 0", "save_every 0"),
        ("train perception --validate_every 0", "validate_every 0"),
        ("train perception --rate -1", "rate -1"),
        ("train perception --prune true", "prune needs init"),
        ("train perception --seed -1", "seed -1"),
        ("train roi --seed -1", "seed -1"),
        ("train roi --peaks 0", "peaks 0"),
        ("train roi --peaks 33", "peaks 33"),
        ("train policy --rate -1", "rate -1"),
        ("train policy --batch 1", "batch 1"),
        ("train policy --rollout 1 --envs 1", "rollout 1"),
        ("train policy --pull -1", "pull -1"),
        ("train policy --critic_steps -1", "critic_steps -1"),
        ("train policy --clone_steps -5", "clone_steps -5"),
        ("train policy --seed -1", "seed -1"),
        ("bench perception --patience 0", "patience 0.0"),
        ("serve --port 65535", "port 65535"),
        ("serve --port 0", "port 0"),
        ("serve --seed -1", "seed -1"),
        ("serve --walkers -1", "walkers -1"),
        ("evaluate", "evaluate perception|policy"),
        ("fly", "'fly'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    words: str, said: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 1
    assert out == ""
    assert not runs.exists()


def test_a_folder_that_cannot_be_written_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    for out in ("/proc/x", "file/shards", "file"):
        assert main(["collect", "collect-tiny", "--out", out]) == 2
        told, err = capsys.readouterr()
        assert f"out {out}: " in err
        assert err.count("\n") == 1
        assert told == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [("engine: {nam: torch}", "nam"), ("seed: [1", "bad.yaml"), ("seed: 1.5", "seed"), ("- 1\n- 2", "bad.yaml")],
)
def test_a_bad_preset_is_named(text: str, said: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(text)
    assert main(["drive", "bad.yaml"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "bad.yaml" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("verb", "kind"), ALL)
def test_help_explains_every_option(verb: str, kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert str(kind.__doc__).splitlines()[0].split()[0] in told
    for name in flat(kind()):
        assert f"--{name}" in told


def test_every_option_has_words_of_its_own() -> None:
    """A docstring stands under each field of every configuration."""
    trees = [ast.parse(file.read_text()) for file in (LAUNCH / "options").glob("*.py")]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    assert {kind.__name__ for _, kind in ALL} <= {item.name for item in classes}
    for item in classes:
        for field, after in zip(item.body, [*item.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and not nested(field):
                told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert told, f"{item.name}.{ast.unparse(field.target)} says nothing"


def nested(field: ast.AnnAssign) -> bool:
    """Whether a field is a configuration of its own, which has a docstring."""
    return isinstance(field.annotation, ast.Name) and field.annotation.id in ("Engine", "Sim", "Traffic")


def test_every_field_is_read() -> None:
    """A field that no verb reads is a promise that nobody keeps."""
    read: set[str] = set()
    for file in LAUNCH.glob("*.py"):  # not in `options/`, where they are but checked
        read |= {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    names: set[str] = set()

    def collect(config: Any) -> None:
        for field in dataclasses.fields(config):
            names.add(field.name)
            if dataclasses.is_dataclass(getattr(config, field.name)):
                collect(getattr(config, field.name))

    for _, kind in ALL:
        collect(kind())
    assert names - read == set()


def test_shipped_presets_are_valid() -> None:
    """Each preset is named after its verb: drive-rain.yaml, train-perception.yaml."""
    for file in (LAUNCH.parent / "configs").glob("*.yaml"):
        fitting = [(v, k) for v, k in ALL if file.stem.replace("-", " ").startswith(v)]
        verb, kind = max(fitting, key=lambda item: len(item[0]))
        assert preset_path(file.stem, verb).samefile(file)
        parse(verb, kind, [file.stem])


def test_seed_ranges() -> None:
    assert seed_range("9000-9002") == [9000, 9001, 9002]
    assert seed_range("5") == [5]
    with pytest.raises(UserError, match="3-1"):
        seed_range("3-1")


def test_usage_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr().out
    assert all(verb in told for verb, _ in ALL)

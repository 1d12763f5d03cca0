"""Every verb on its tiny preset: it ends with 0 and its last line says what it did. `drive`, `serve`: test_drive.py."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from roadcraft.control.ppo import policy_of
from roadcraft.launch.__main__ import main
from roadcraft.launch.bench import against, read_baseline
from roadcraft.launch.bench_parity import loaded
from roadcraft.launch.bench_ppo import Learner
from roadcraft.launch.bench_world import drive_start
from roadcraft.launch.options.bench import BenchEnv, BenchParity
from roadcraft.perception.data import Shards
from roadcraft.perception.percept import Percept
from roadcraft.perception.shipped import read_card, shipped
from roadcraft.perception.truth import ErrorModel
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Observation
from roadcraft.sim.scores import KINDS


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The last line of a verb that must end with 0."""
    status = main(words)
    out, err = capsys.readouterr()
    assert status == 0, err
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert (Path(result["run"]) / "config.yaml").is_file()
    return result


def above_zero(*figures: float) -> bool:
    """Whether all are numbers above zero."""
    return all(math.isfinite(figure) and figure > 0 for figure in figures)


def test_collect_then_train_perception_then_export(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards of one verb are the next one's data, its weights the last one's."""
    recorded = ran(capsys, "collect", "collect-tiny", "--out", "shards")
    assert (recorded["frames"], recorded["drives"], recorded["failed"]) == (6, 1, [])
    assert Shards(Path("shards")).refresh() == 6
    trained = ran(capsys, "train", "perception", "train-perception-tiny", "--data", "shards", "--validation", "shards")
    assert math.isfinite(trained["validation_score"])
    exported = ran(capsys, "export", "--weights", trained["weights"], "--precisions", "[f32]")
    assert Path(exported["graph"]).stat().st_size == exported["bytes"] > 0
    assert exported["weights"] == json.loads(Path(trained["weights"]).with_suffix(".json").read_text())["hash"]


def test_train_roi_then_export(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second stage of the shipped network, on a few frames; what is noted once is taken again."""
    ran(capsys, "collect", "collect-tiny", "--out", "shards")
    words = ["train", "roi", "--data", "shards", "--validation", "shards", "--steps", "2", "--batch", "16"]
    trained = ran(capsys, *words, "--peaks", "5")
    noted = {path: path.stat().st_mtime_ns for path in Path(trained["out"]).rglob("*.npz")}
    assert len(noted) == 1
    again = ran(capsys, *words, "--peaks", "5", "--resume", trained["out"])
    assert {path: path.stat().st_mtime_ns for path in Path(again["out"]).rglob("*.npz")} == noted
    exported = ran(capsys, "export", "--weights", again["weights"], "--precisions", "[f32]")
    network = json.loads(Path(again["weights"]).with_suffix(".json").read_text())
    assert exported["weights"] == network["hash"]
    assert network["architecture"]["roi"] == 5
    assert network["second_stage"]["command"].startswith("roadcraft")
    assert network["second_stage"]["recorded"].endswith(", 1 in all")
    shutil.copytree("shards", "others")
    words[words.index("--data") + 1] = "others"
    ran(capsys, *words, "--peaks", "5", "--resume", trained["out"])
    assert len(list(Path(again["out"]).rglob("*.npz"))) == 2
    before, after = (load_file(path)["roi.near.0.0.weight"] for path in (shipped(), again["weights"]))
    assert np.abs(after - before).max() > 0.02  # another one, not the one that ships
    ran(capsys, *words, "--peaks", "5", "--resume", trained["out"], "--go_on", "true")
    assert np.abs(load_file(again["weights"])["roi.near.0.0.weight"] - before).max() < 0.02
    later = json.loads(Path(again["weights"]).with_suffix(".json").read_text())
    assert later["second_stage"]["peaks"] == network["second_stage"]["peaks"] > 0
    assert main(["train", "roi", "--data", "shards", "--validation", "none"]) == 2
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["best.safetensors", "state.safetensors"])
def test_train_roi_does_not_replace_what_another_verb_trained(
    name: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine").mkdir()
    shutil.copy(shipped(), f"mine/{name}")
    known = read_card(shipped())
    known.pop("second_stage", None)
    Path("mine/best.json").write_text(json.dumps(known))
    assert main(["train", "roi", "--resume", "mine", "--data", "shards", "--validation", "shards"]) == 2
    assert f"resume mine: {name} there is another verb's" in capsys.readouterr().err


def test_export_policy(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = ran(capsys, "export", "--what", "policy", "--out", "mine/policy.onnx")
    assert Path(exported["graph"]) == Path("mine/policy.onnx")
    assert Path("mine/policy.onnx").stat().st_size == exported["bytes"] > 0
    assert exported["deviation"] <= 1e-5 < exported["deviation_f16"] <= 1e-2
    assert Path(exported["graphs"]["f16"]) == Path("mine/policy.f16.onnx")
    assert main(["export", "--what", "policy", "--weights", "none.safetensors"]) == 2
    assert "none.safetensors" in capsys.readouterr().err
    assert main(["export", "--what", "policy", "--precisions", "[int8]"]) == 2
    assert "no int8" in capsys.readouterr().err
    Path("file").touch()
    assert main(["export", "--what", "policy", "--out", "file/policy.onnx"]) == 2
    assert "out file/policy.onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_train_perception_records_what_it_needs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = ran(capsys, "train", "perception", "train-perception-tiny")
    again = ran(capsys, "train", "perception", "train-perception-tiny", "--steps", "6", "--resume", trained["out"])
    assert again["out"] == trained["out"]
    assert again["steps"] == 6


@pytest.mark.slow
def test_train_policy(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = ran(capsys, "train", "policy", "train-policy-tiny")
    assert 0 <= trained["driving_score"] <= 100
    assert {"best.safetensors", "policy.onnx", "evaluations.jsonl"} <= {f.name for f in Path(trained["out"]).iterdir()}


def test_train_policy_with_the_network_in_the_loop(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for is what each process makes its engine from."""
    from roadcraft.control import train as training

    asked: list[training.PolicyTraining] = []

    def train(how: training.PolicyTraining, command: str, say: object) -> Path:
        asked.append(how)
        (how.out / "best.json").write_text("{}")
        return how.out / "best.safetensors"

    monkeypatch.setattr(training, "train", train)
    words = ["train", "policy", "train-policy-tiny"]
    ran(capsys, *words, "--percepts", "network", "--engine.name", "torch", "--engine.precision", "f32")
    ran(capsys, *words)
    assert asked[1].engine is None
    assert asked[0].engine is not None
    made: Any = pickle.loads(pickle.dumps(asked[0].engine))()
    assert (made.name, made.precision) == ("torch", "f32")
    assert main([*words, "--percepts", "network", "--exact"]) == 2
    assert "exact" in capsys.readouterr().err


def test_evaluate_perception(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran(capsys, "evaluate", "perception", "evaluate-perception-tiny", "--errors", "errors.json")
    model = ErrorModel.load(Path("errors.json"))
    assert model != ErrorModel()
    assert list(model.range_sigma) == found["errors"]["range_sigma"]
    assert main(["evaluate", "perception", "evaluate-perception-tiny", "--errors", "nowhere/errors.json"]) == 2
    assert "nowhere" in capsys.readouterr().err
    Path("folder").mkdir()
    assert main(["evaluate", "perception", "evaluate-perception-tiny", "--errors", "folder"]) == 2
    assert "folder" in capsys.readouterr().err
    assert found["frames"] == 6
    assert set(found["by_weather"]) == {"clear"}
    assert 0 <= found["drivable_miou"] <= 1
    assert (Path(found["run"]) / "figures.json").is_file()


def test_evaluate_perception_fills_the_card(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in (".safetensors", ".json"):
        Path(f"mine{ending}").write_bytes(shipped(ending=ending).read_bytes())
    words = ["evaluate", "perception", "evaluate-perception-tiny", "--frames", "1", "--card"]
    found = ran(capsys, *words, "--engine.name", "torch", "--engine.weights", "mine.safetensors")
    card = read_card(Path("mine.safetensors"))
    assert card["figures"]["f32"]["drivable_miou"] == found["drivable_miou"]
    assert card["figures"]["f32"]["seeds"] == "2000"
    assert main([*words, "--engine.weights", str(shipped(ending=".onnx"))]) == 2
    assert "card" in capsys.readouterr().err


def test_evaluate_policy_beside_the_others(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran(capsys, "evaluate", "policy", "evaluate-policy-tiny", "--compare")
    assert set(found["compare"]) == {"network", "truth", "expert", "follower"}
    assert all(row["finished"] == row["routes"] == 1 for row in found["compare"].values())
    assert set(found["infractions"]) == set(KINDS)
    names = {file.name for file in Path(found["run"]).iterdir()}
    assert {"results.json", "results-truth.json", "results-expert.json", "results-follower.json"} <= names
    records = json.loads((Path(found["run"]) / "results.json").read_text())["_checkpoint"]["records"]
    assert len(records) == 1


def test_evaluate_policy_with_late_percepts(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "policy", "evaluate-policy-tiny", "--driver", "truth", "--latency"]
    found = ran(capsys, *words, "400")
    assert found["vetoes"]["missing_percept"] + found["vetoes"]["stale_percept"] == 1
    assert main([*words, "nowhere.json"]) == 2
    assert "latency nowhere.json" in capsys.readouterr().err


def test_evaluate_latency(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file from another machine is replayed; a run is resumed without driving; the first is what others lose to."""
    slow = {"histogram": [[390.0, 400.0, 3], [400.0, 410.0, 1]], "machine": {"cpu": "another"}}
    Path("jetson").mkdir()
    Path("jetson/bench.json").write_text(json.dumps(slow))
    words = ["evaluate", "latency", "evaluate-latency-tiny", "--latencies", "[0, jetson/bench.json]"]
    found = ran(capsys, *words)["latencies"]
    assert list(found) == ["0ms", "jetson-bench"]
    assert found["0ms"]["lost"] == 0
    assert found["0ms"]["vetoes"].get("stale_percept", 0) == 0
    late = found["jetson-bench"]
    assert late["vetoes"]["missing_percept"] + late["vetoes"]["stale_percept"] == 1
    assert late["lost"] == pytest.approx(found["0ms"]["driving_score"] - late["driving_score"])
    first = next(Path("runs").iterdir())
    table = (first / "latency.md").read_text()
    assert "| jetson-bench |" in table
    again = ran(capsys, *words, "--resume", str(first))
    assert again["latencies"] == found
    assert not list(Path(again["run"]).glob("*/trails/*.part"))
    assert main([*words[:3], "--latencies", "[0, 0.0]"]) == 2
    assert "twice" in capsys.readouterr().err
    assert main([*words[:3], "--latencies", "[0, nowhere.json]"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_bench_sim(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = ran(capsys, "bench", "sim", "bench-sim-tiny")
    rates = result["in_process_ticks_per_s"]
    assert above_zero(*rates.values(), result["lidar_points_per_s"])
    assert rates["no_camera"] > rates["labels_640x360"]
    assert result["render_ratio"] == pytest.approx(result["render_fps"] / result["reference_fps"], rel=0.01)
    assert result["render_ratio"] > result["render_ratio_weather"] > 0
    sizes = [result[f"render_fps{size}"] for size in ("", "_640x360", "_800x600", "_three_800x600")]
    assert sizes == sorted(sizes, reverse=True)
    if "ticks_per_s" in result:  # where the carla wheel exists
        served = result["server"]
        assert above_zero(result["ticks_per_s"], served["cpu_ms"], served["in_process_cpu_ms"], served["round_trip_ms"])
        assert served["serving_ms"] == pytest.approx(served["cpu_ms"] - served["in_process_cpu_ms"], abs=1e-5)


@pytest.mark.slow
def test_a_drive_starts() -> None:
    assert 0 < drive_start() < 300.0


def test_bench_env_counts_rollouts_and_updates() -> None:
    """What is timed drives so many decisions and then changes the policy."""
    learner = Learner(BenchEnv(seed=2000, steps=4), network=False)
    before = policy_of(learner.model, {})
    assert learner(4) > 0
    assert (learner.model.num_timesteps, learner.model._n_updates) == (4, learner.model.n_epochs)
    after = policy_of(learner.model, {})
    assert not np.array_equal(before.layers[0][0], after.layers[0][0])
    learner.close()


def test_bench_env(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran(capsys, "bench", "env", "bench-env-tiny")
    rates = found["decisions_per_s"]
    assert above_zero(rates["network"])
    assert (found["ppo_steps_per_s"], found["ppo_network_steps_per_s"]) == (rates["ppo"], rates["ppo_network"])
    assert above_zero(rates["ppo_network"])
    assert 0 < rates["ppo"] < rates["truth"]
    assert found["env_steps_per_s"] == pytest.approx(2 * rates["truth"])  # a decision is two ticks
    assert found["env_camera_steps_per_s"] == pytest.approx(2 * rates["camera"])
    assert [int(count) for count in found["us_per_step_by_vehicles"]] == [10, 50, 100, 200]
    costs = list(found["us_per_step_by_vehicles"].values())
    assert found["us_per_vehicle"]["100-200"] == pytest.approx((costs[3] - costs[2]) / 100, abs=1e-4)


def test_bench_loop_and_its_gate(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran(capsys, "bench", "loop", "bench-loop-tiny")
    assert found["ticks"] == 10
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]
    assert sum(count for _, _, count in found["histogram"]) == 10
    missed = found["missed"]
    assert 0 <= missed["20_hz"] <= missed["50_hz"] <= missed["100_hz"] <= 10
    assert main(["bench", "loop", "bench-loop-tiny", "--ticks", "1", "--gate", "missed_100_hz=-1"]) == 2
    assert "missed_100_hz" in capsys.readouterr().err
    assert main(["bench", "loop", "bench-loop-tiny", "--gate", "p50_ms=0.0001"]) == 1
    assert "gate missed: p50_ms" in capsys.readouterr().err


def test_a_loop_without_percepts_misses_its_gate(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blind:
        name, precision, why = "blind", "f32", "a test"

        def reset(self) -> None:
            pass

        def __call__(self, observation: Observation) -> Percept:
            raise RuntimeError("the runtime fails")

    monkeypatch.setattr("roadcraft.launch.build.build_engine", lambda asked: Blind())
    found = ran(capsys, "bench", "loop", "bench-loop-tiny", "--ticks", "3", "--warmup", "0")
    assert found["unperceived"] == 3
    assert main(["bench", "loop", "bench-loop-tiny", "--ticks", "3", "--gate", "p99_ms=100000"]) == 1
    said = capsys.readouterr().err
    assert "3 of 3 ticks without a percept: the runtime fails" in said
    assert "gate missed: unperceived 3.00 > 0" in said


def test_a_baseline_is_looked_at_before_the_run_and_has_rows_in_common_or_says_so(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for rows in ([{"name": "a"}], [{"name": "a", "error": "refused"}], [{"name": "a", "p50_ms": "fast"}], []):
        path.write_text(json.dumps({"runs": rows}))
        with pytest.raises(UserError, match=r"not a bench\.json"):
            read_baseline(path)
    path.write_text(json.dumps({"runs": [{"name": "a", "p50_ms": 2.0}, {"name": "b", "error": "refused"}]}))
    now = {"runs": [{"name": "a", "p50_ms": 3.0}, {"name": "b", "p50_ms": 1.0}, {"name": "c", "error": "refused"}]}
    assert against(now, read_baseline(path)) == {"a": 1.5}


def test_parity_that_is_missed_exits_1(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for missed, status in ([], 0), (["openvino:f32 drivable_miou"], 1):
        monkeypatch.setattr("roadcraft.launch.bench.bench_parity", lambda asked, run, missed=missed: {"missed": missed})
        assert main(["bench", "parity", "bench-parity-tiny"]) == status


@pytest.mark.slow
def test_bench_perception(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "perception", "bench-perception-tiny", "--sizes", "[640x360, 320x192]", "--reference"]
    found = ran(capsys, *words)
    assert above_zero(found["p50_ms"], found["p99_ms"], found["ratio_to"]["twinlite-like"])
    assert [(row["input"], row["ours"]) for row in found["runs"]] == [
        ([640, 360], True),
        ([320, 192], True),
        ([320, 192], False),
    ]
    assert found["runs"][0]["frames"] == sum(count for _, _, count in found["histogram"]) == 4
    assert (Path(found["run"]) / "bench.md").is_file()


def test_an_engine_that_was_named_and_hangs_ends_bench_perception(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hangs = tmp_path / "python"
    hangs.write_text("#!/bin/sh\nwhile read count; do :; done\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hangs))
    monkeypatch.setattr("roadcraft.launch.bench.drive_frames", lambda count: np.zeros((count, 360, 640, 3), np.uint8))
    assert main(["bench", "perception", "bench-perception-tiny", "--patience", "0.2"]) == 2
    assert "640x360 onnxruntime f32: loading took longer than 0.2 s" in capsys.readouterr().err


def test_bench_parity(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "parity", "bench-parity-tiny", "--engines", "[onnxruntime:f32]", "--frames", "2"]
    found = ran(capsys, *words)
    assert 0 < found["deviation"]["onnxruntime:f32"]["masks"]["largest_ppm"] < 1000
    assert "onnxruntime:f32" in (Path(found["run"]) / "parity.md").read_text()


@pytest.fixture
def without_int8(tmp_path: Path) -> str:
    """The shipped network with its graph in f32 alone, so that every engine refuses it in int8."""
    for ending in (".safetensors", ".json", ".onnx"):
        shutil.copy(shipped(ending=ending), tmp_path / f"mine{ending}")
    return str(tmp_path / "mine.safetensors")


def test_bench_parity_goes_on_without_an_engine_that_is_refused(
    runs: Path, without_int8: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "parity", "bench-parity-tiny", "--frames", "1", "--weights", without_int8, "--engines", "[]"]
    runs_here = ["torch:f32", "onnxruntime:int8", "onnxruntime:f32"]
    monkeypatch.setattr("roadcraft.perception.engines.runnable", lambda: tuple(runs_here))
    found = ran(capsys, *words)
    assert list(found["deviation"]) == ["onnxruntime:f32"]
    assert list(found["refused"]) == ["onnxruntime:int8"]
    assert "no int8 graph of these weights" in found["refused"]["onnxruntime:int8"]
    assert "- onnxruntime:int8: no int8 graph" in (Path(found["run"]) / "parity.md").read_text()
    runs_here.remove("onnxruntime:f32")
    assert main(words) == 2
    assert "no engine runs beside torch:f32: no int8 graph" in capsys.readouterr().err


def test_bench_parity_refuses_to_compare_nothing(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "parity", "bench-parity-tiny", "--engines", "[torch:f32]"]) == 2
    assert "no engine runs beside torch:f32: nothing to compare" in capsys.readouterr().err


def test_bench_parity_goes_on_without_an_engine_that_fails_on_its_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object, frame: object, motion: object) -> None:
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr("roadcraft.perception.engines.openvino.OpenVinoStepper.step", fails)
    monkeypatch.setattr("roadcraft.perception.engines.runnable", lambda: ("openvino:f32", "onnxruntime:f32"))
    engines, refused = loaded(BenchParity(engines=()))
    assert (list(engines), refused) == (["onnxruntime:f32"], {"openvino:f32": "no kernel for this device"})
    with pytest.raises(UserError, match="openvino:f32: no kernel"):
        loaded(BenchParity(engines=("openvino:f32",)))


def test_bench_parity_ends_with_an_engine_that_was_named_and_is_refused(
    runs: Path, without_int8: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "parity", "bench-parity-tiny", "--weights", without_int8]) == 2
    assert "onnxruntime:int8: no int8 graph of these weights" in capsys.readouterr().err


def test_bench_training(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards of one drive stand for those of another style; a resume keeps what is done and is told the same."""
    ran(capsys, "collect", "collect-tiny", "--out", "shards")
    Path("shards/002001-00000.tar").write_bytes(Path("shards/002000-00000.tar").read_bytes())
    words = ["bench", "training", "bench-training-tiny", "--data", "shards", "--validation", "shards"]
    words += ["--style", "suburb", "--seeds", "2000-2001"]
    found = ran(capsys, *words, "--variants", "without-style", "reference")
    assert list(found["trainings"]) == ["reference", "without-style"]
    assert set(found["trainings"]["without-style"]) == {"suburb", "not suburb"}
    assert [path.name for path in Path(found["out"]).glob("without-style/data/*")] == ["002000-00000.tar"]
    kept = Path(found["out"], "reference", "figures.json")
    kept.write_text(kept.read_text().replace('"frames": 12', '"frames": 34'))
    again = ran(capsys, *words, "--variants", "reference", "memory-none", "--resume", found["out"])
    assert again["trainings"]["reference"] == found["trainings"]["reference"]
    table = (Path(again["run"]) / "training.md").read_text()
    assert "| all | memory-none |" in table
    assert "| all | 34 |" in table  # kept, not judged again
    assert main([*words, "--steps", "3", "--resume", found["out"]]) == 2
    assert "steps was 2, not 3" in capsys.readouterr().err
    assert main([*words, "--resume", "shards"]) == 2
    assert "resume shards" in capsys.readouterr().err
    assert main([*words, "--seeds", "1000"]) == 2
    assert "seeds 1000" in capsys.readouterr().err


def test_perceive(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    Path("pictures").mkdir()
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(f"pictures/{name}", rng.integers(0, 256, (300, 400, 3), np.uint8))
    found = ran(capsys, "perceive", "pictures")
    assert found["frames"] == 2
    lines = (Path(found["run"]) / "percepts.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1]
    assert (Path(found["run"]) / "overlay.mp4").stat().st_size > 0

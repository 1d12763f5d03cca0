"""The latency benchmark: who runs, what is compared with what, and that anybody's graph is timed or refused by name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import perception_fakes as fake
import pytest
import torch

from roadcraft.perception import contender, roi
from roadcraft.perception.contender import SMALL, Contender
from roadcraft.perception.engines import has_bf16, load_engine
from roadcraft.perception.engines.base import Model, NetworkEngine
from roadcraft.perception.heads import OUTPUTS
from roadcraft.perception.latency import (
    Benchmark,
    accuracy,
    bench,
    fitting,
    image_size,
    markdown,
    native,
    our_graph,
    summary,
)
from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.reference import TwinLite
from roadcraft.perception.shipped import read_card, shipped
from roadcraft.perception.weights_io import save_weights
from roadcraft.perception.worker import Worker
from roadcraft.sim.errors import UserError

onnx = pytest.importorskip("onnx")


def graph(path: Path, shape: list[Any], op: str = "Mul", factor: float = 0.5) -> Path:
    """image times a factor, as ONNX."""
    h = onnx.helper
    value = h.make_tensor_value_info
    node = h.make_node(op, ["image", "factor"], ["out"])
    constant = h.make_tensor("factor", onnx.TensorProto.FLOAT, [1], [factor])
    name, kind = "g", onnx.TensorProto.FLOAT
    body = h.make_graph([node], name, [value("image", kind, shape)], [value("out", kind, shape)], [constant])
    onnx.save(h.make_model(body, opset_imports=[h.make_opsetid("", 18)], ir_version=10), str(path))
    return path


@pytest.mark.parametrize(
    ("shape", "size"),
    [([1, 3, 160, 256], (256, 160)), ([1, 160, 256, 3], (256, 160)), (["n", 3, "h", "w"], SMALL), ([1, 7], SMALL)],
)
def test_the_size_of_the_image_that_a_graph_takes(tmp_path: Path, shape: list[Any], size: tuple[int, int]) -> None:
    assert image_size(graph(tmp_path / "g.onnx", shape)) == size


def test_ours_runs_at_the_size_of_each_other_graph(tmp_path: Path) -> None:
    path = graph(tmp_path / "mine.onnx", [1, 3, 160, 256])
    how = Benchmark(("openvino:int8", "openvino:f32", "onnxruntime:f32", "torch:f32", "tensorrt:f16"), onnx=(path,))
    contenders = how.contenders("")
    assert len({c.name for c in contenders}) == len(contenders)
    others = [(c.engine, c.precision, c.width, c.height) for c in contenders if not c.ours]
    assert others == [("openvino", "f32", 256, 160), ("onnxruntime", "f32", 256, 160)]
    there = {(c.engine, c.precision) for c in contenders if c.ours and (c.width, c.height) == (256, 160)}
    assert there == {("openvino", "int8"), ("openvino", "f32"), ("onnxruntime", "f32")}
    assert [(c.engine, c.precision) for c in contenders if c.batch > 1] == [("openvino", "f32")]
    assert [(c.width, c.height) for c in contenders if c.engine == "torch"] == [(640, 360)]


def row(network: str, engine: str, p50: float, size: tuple[int, int], **other: Any) -> dict[str, Any]:
    """As `Worker.row` gives it."""
    name, precision = f"{network} {size} {engine}", other.get("precision", "f32")
    same: dict[str, Any] = dict.fromkeys(("p90_ms", "p99_ms", "mean_ms", "max_ms"), p50)
    known = {"name": name, "network": network, "ours": True, "engine": engine, "precision": precision}
    about = {"frames_per_s": 1.0, "load_s": 1.0, "peak_mb": 1.0, "threads": 2, "histogram": [], "parts_ms": {}}
    return {**known, **same, **about, "p50_ms": p50, "input": list(size), "batch": 1, **other}


def test_ratios_are_at_the_same_input_and_the_headline_is_the_fastest_on_a_cpu(tmp_path: Path) -> None:
    how = Benchmark((), onnx=(tmp_path / "mine.onnx",))
    rows = [
        row("street-small", "openvino", 40.0, (640, 360)),
        row("street-small", "onnxruntime", 50.0, (640, 360)),
        row("street-small", "tensorrt", 1.0, (640, 360), precision="f16"),
        row("street-small", "openvino", 3.0, (320, 192), batch=4),
        row("street-small", "openvino", 8.0, (320, 192)),
        row("street-small", "openvino", 6.0, (320, 192), precision="int8"),
        row("street-small", "onnxruntime", 12.0, (320, 192)),
        row("mine", "openvino", 20.0, (320, 192), ours=False),
        row("mine", "onnxruntime", 48.0, (320, 192), ours=False),
    ]
    for image in ((320, 192), (640, 360)):
        result = summary(how, [{**r, "input": list(image)} if not r["ours"] else r for r in rows])
        assert (result["engine"], result["p50_ms"]) == ("openvino", 40.0)
        fastest = 8.0 if image == (320, 192) else 40.0  # not the 6.0 in int8: theirs is in float
        assert result["ratio_to"] == {"mine": pytest.approx(fastest / 20.0)}
    assert result["ratio_by_engine"]["mine"] == pytest.approx({"openvino f32": 2.0, "onnxruntime f32": 50 / 48})
    table = markdown(result).splitlines()
    assert len({line.count("|") for line in table[: len(rows) + 2]}) == 1
    assert result["weights"] == read_card(shipped())["hash"]


def quantised(path: Path, shape: list[Any]) -> Path:
    """As `graph`, of what comes out of int8."""
    model = onnx.load(str(graph(path, shape)))
    h = onnx.helper
    model.graph.node[0].input[0] = "back"
    for op, (a, b) in {"DequantizeLinear": ("q", "back"), "QuantizeLinear": ("image", "q")}.items():
        model.graph.node.insert(0, h.make_node(op, [a, "scale", "zero"], [b]))
    model.graph.initializer.append(h.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.1]))
    model.graph.initializer.append(h.make_tensor("zero", onnx.TensorProto.INT8, [], [0]))
    onnx.save(model, str(path))
    return path


def test_an_int8_graph_of_others_is_compared_with_our_int8(tmp_path: Path) -> None:
    path = quantised(tmp_path / "mine.onnx", [1, 3, 192, 320])
    how = Benchmark(("openvino:f32", "openvino:int8"), onnx=(path,))
    assert [(c.engine, c.precision) for c in how.contenders("") if not c.ours] == [("openvino", "int8")]
    rows = [
        row("street-small", "openvino", 40.0, (640, 360)),
        row("street-small", "openvino", 6.0, (320, 192), precision="int8"),
        row("street-small", "openvino", 8.0, (320, 192)),
        row("mine", "openvino", 3.0, (320, 192), precision="int8", ours=False),
    ]
    result = summary(how, rows)
    assert result["ratio_to"] == {"mine": 2.0}
    assert result["ratio_by_engine"] == {"mine": {"openvino int8": 2.0}}
    how = Benchmark(("openvino:int8",), onnx=(path,), sizes=((640, 360),), rounds=1, frames=1, warm_up=1)
    how.check()


@pytest.mark.parametrize("engines", [("tensorrt:f16",), ("openvino:int8", "onnxruntime:int8"), ("torch:f32",)])
def test_what_none_of_the_engines_can_do_is_refused(tmp_path: Path, engines: tuple[str, ...]) -> None:
    path, frames = graph(tmp_path / "mine.onnx", [1, 3, 160, 256]), np.zeros((1, 360, 640, 3), np.uint8)
    with pytest.raises(UserError, match=rf"mine\.onnx.*none of which is among {engines[0]}"):
        bench(Benchmark(engines, onnx=(path,)), frames)
    with pytest.raises(UserError, match=r"batches.*none of which"):
        bench(Benchmark(engines, batches=(1, 2)), frames)


def test_batches_that_are_asked_for_run_on_every_engine_that_can_at_every_size() -> None:
    how = Benchmark(("openvino:int8", "openvino:f32", "onnxruntime:f32", "torch:f32"), batches=(1, 2, 8))
    batched = [(c.engine, c.width, c.batch) for c in how.contenders("") if c.batch > 1]
    assert batched == [
        (engine, width, batch)
        for batch in (2, 8)
        for engine in ("openvino", "onnxruntime")
        for width in (640, SMALL[0])
    ]
    assert all(("bare graph" in c.name) == (c.batch > 1) for c in how.contenders(""))


def test_one_that_is_refused_leaves_a_row_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        """In place of a process: int8 does not load, the graph of others dies in its second turn."""

        def __init__(self, c: Contender, patience: float) -> None:
            self.contender, self.turns = c, 0

        def __enter__(self) -> Stub:
            if self.contender.precision == "int8":
                raise UserError("no int8 today")
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, frames: int, keep: bool = True) -> None:
            self.turns += 1
            if not self.contender.ours and self.turns > 1:
                raise UserError("it died")

        def row(self) -> dict[str, Any]:
            c = self.contender
            return row(c.network, c.engine, 10.0, (c.width, c.height), batch=c.batch, ours=c.ours, name=c.name)

    monkeypatch.setattr("roadcraft.perception.latency.Worker", Stub)
    monkeypatch.setattr("roadcraft.perception.latency.our_graph", lambda c, weights: weights)
    path = graph(tmp_path / "mine.onnx", [1, 3, 360, 640])
    how = Benchmark(("openvino:int8", "openvino:f32"), sizes=((640, 360),), onnx=(path,), rounds=2)
    frames = np.zeros((1, 360, 640, 3), np.uint8)
    with pytest.raises(UserError, match="no int8 today"):
        bench(how, frames)
    result = bench(replace(how, strict=False), frames)
    errors = {r["name"]: r["error"] for r in result["runs"] if "error" in r}
    assert list(errors.values()) == ["no int8 today", "it died"]
    assert (result["precision"], result["ratio_to"]) == ("f32", {})
    assert all(f"- {name}: {error}" in markdown(result) for name, error in errors.items())
    with pytest.raises(UserError, match="no engine runs street-small: no int8 today"):
        bench(replace(how, engines=("openvino:int8",), onnx=(), strict=False), frames)


def test_a_graph_that_the_source_would_no_longer_make_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadcraft.perception.latency.cache_dir", lambda: tmp_path)
    weights = tmp_path / "mine.safetensors"
    save_weights(weights, Network(Architecture.named("tiny")), {"command": "a test"})
    small = Contender("mine", "mine", "openvino", "f32", 64, 48, 1, str(weights))
    before = our_graph(small, weights)
    written = before.stat().st_mtime_ns
    assert our_graph(small, weights).stat().st_mtime_ns == written
    other = tmp_path / "roi.py"
    other.write_text(Path(str(roi.__file__)).read_text() + "# faster")
    monkeypatch.setattr(roi, "__file__", str(other))
    after = our_graph(small, weights)
    assert after != before
    assert image_size(after) == (64, 48)


def test_the_memory_of_a_gpu_stands_beside_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert contender.gpu_free_mb() is None or torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 << 20, 8 << 20))
    assert contender.gpu_free_mb() == 3.0
    result = summary(Benchmark(()), [row("street-small", "tensorrt", 1.0, (640, 360), gpu_mb=120.0)])
    assert "1 + 120 of the GPU" in markdown(result)


def test_accuracy_is_the_cards_at_the_size_and_precision_that_it_was_measured_at() -> None:
    card = read_card(shipped()) | {"figures": {"f32": {"drivable_miou": 0.9}}}
    at = native(card)
    assert accuracy(card, row("x", "openvino", 1.0, at))["accuracy"] == {"drivable_miou": 0.9}
    assert accuracy(card, row("x", "openvino", 1.0, at, precision="int8"))["accuracy"] is None
    assert accuracy(card, row("x", "openvino", 1.0, (320, 192)))["accuracy"] is None


def test_the_reference_is_of_its_class() -> None:
    network = TwinLite().eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(0.44e6, rel=0.01)
    with torch.no_grad():
        drivable, lanes = network(torch.rand(1, 3, 64, 96))
    assert drivable.shape == lanes.shape == (1, 2, 64, 96)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_graph_with_an_unknown_operator_is_refused_by_its_name(tmp_path: Path, engine: str) -> None:
    path = graph(tmp_path / "strange.onnx", [1, 3, 360, 640], op="NoSuchOperator")
    how = Benchmark((f"{engine}:f32",), sizes=((640, 360),), onnx=(path,), rounds=1, frames=1, warm_up=1)
    with pytest.raises(UserError, match=r"strange\.onnx.*NoSuchOperator"):
        bench(how, np.zeros((1, 360, 640, 3), np.uint8))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_refuses_it_too(tmp_path: Path, engine: str) -> None:
    model = onnx.load(str(shipped(ending=".onnx")))
    early = next(node for node in model.graph.node if node.op_type == "Conv")  # those after it have no shape then
    early.op_type = "NoSuchOperator"
    onnx.save(model, str(tmp_path / "strange.onnx"))
    with pytest.raises(UserError, match=r"strange\.onnx.*NoSuchOperator"):
        load_engine(engine, "f32", tmp_path / "strange.onnx")


def test_a_slow_machine_measures_fewer_frames_and_ends_in_time() -> None:
    assert fitting(25, 0.2, 100.0) == 25
    assert fitting(25, 2.0, 20.0) == 10
    assert fitting(25, 2.0, -5.0) == 1


@pytest.fixture
def in_place_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has contenders' processes run a script, which is given a contender's arguments, instead of `contender.py`."""

    def replaced(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(script)
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return replaced


ONE = Contender("one", "x", "openvino", "f32", 640, 360)


def test_a_contender_that_says_a_lot_is_not_kept_waiting(in_place_of_python: Callable[[str], None]) -> None:
    """More than a pipe holds, as TensorRT's builder does; the stand-in for the process ends itself if it is stuck."""
    said = (
        "import signal, sys\nsignal.alarm(10)\nsys.stderr.write('a step\\n' * 50_000)\nprint('{}')\nsys.exit('the end')"
    )
    in_place_of_python(f"#!{sys.executable}\n{said}\n")
    with Worker(ONE, patience=60.0) as worker:
        assert worker.loaded == {}
        with pytest.raises(UserError, match="one: the end"):
            worker.run(1)


@pytest.mark.parametrize("said", ["a library greets", "3", "\\377"])
def test_words_that_are_no_answer_are_told_with_whose_they_are(
    in_place_of_python: Callable[[str], None], said: str
) -> None:
    in_place_of_python(f"#!/bin/sh\nprintf '{said}\\n'\n{HANGS}\n")
    with pytest.raises(UserError, match=r"^one: loading: '.*' is no answer$"), Worker(ONE, patience=60.0):
        pass


LOADED = """echo '{"load_s": 1.0, "threads": 1}'"""
HANGS = "while read count; do :; done; exit"  # never answers, for as long as somebody might tell it more
ANSWERS = """while read count; do
    times=$(yes '{"total": 5.0}' | head -n $count | paste -s -d ,)
    echo '{"times": ['$times'], "peak_mb": 1.0}'
done"""


@pytest.mark.parametrize("half", ["", "read count; printf '{\"times\": ['\n"])
def test_a_process_that_hangs_in_a_round_is_ended(in_place_of_python: Callable[[str], None], half: str) -> None:
    """Whether it says nothing or begins to answer."""
    in_place_of_python(f"#!/bin/sh\n{LOADED}\n{half}{HANGS}\n")
    with Worker(ONE, patience=60.0) as worker:
        worker._patience = 0.5  # only now: a busy machine takes its time to start a shell
        with pytest.raises(UserError, match=r"one: a round took longer than 0\.5 s"):
            worker.run(1)
        assert worker._process.wait() == -signal.SIGKILL


def test_contenders_that_hang_leave_a_row_and_cost_the_others_nothing(
    in_place_of_python: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hangs while it loads, another in its first round. Time passes only in waiting for them."""
    waited = [0.0]

    class Waiting(Worker):
        """Has patience with those that do not hang, however busy the machine."""

        def __init__(self, c: Contender, patience: float) -> None:
            self.asked = patience
            super().__init__(c, patience if c.precision == "int8" else 60.0)

        def run(self, frames: int, keep: bool = True) -> None:
            if self.contender.engine == "onnxruntime":
                self._patience = self.asked
            super().run(frames, keep)

        def _line(self, until: float) -> bytes | None:
            line = super()._line(until)
            waited[0] += self._patience if line is None else 0.0
            return line

    monkeypatch.setattr("roadcraft.perception.latency.Worker", Waiting)
    monkeypatch.setattr("roadcraft.perception.latency.time", SimpleNamespace(perf_counter=lambda: waited[0]))
    monkeypatch.setattr("roadcraft.perception.latency.our_graph", lambda c, weights: weights)
    in_place_of_python(
        f"""#!/bin/sh
case "$3" in
    *openvino*int8*) {HANGS} ;;
    *onnxruntime*) {LOADED}; {HANGS} ;;
esac
{LOADED}
{ANSWERS}
"""
    )
    engines = ("openvino:int8", "onnxruntime:f32", "openvino:f32")
    how = Benchmark(engines, sizes=((640, 360),), batches=(1,), rounds=3, frames=4, patience=0.5, seconds=0.9)
    frames = np.zeros((1, 360, 640, 3), np.uint8)
    result = bench(replace(how, strict=False), frames)
    assert {(r["engine"], r["precision"]): r.get("error", r.get("frames")) for r in result["runs"]} == {
        ("openvino", "f32"): 12,  # two waits of half a second are not taken from its time
        ("openvino", "int8"): "street-small 640x360 openvino int8: loading took longer than 0.5 s, it was ended "
        "(--patience gives it more)",
        ("onnxruntime", "f32"): "street-small 640x360 onnxruntime f32: a round took longer than 0.5 s, it was ended "
        "(--patience gives it more)",
    }
    with pytest.raises(UserError, match="openvino int8: loading took longer"):
        bench(how, frames)


def test_what_is_no_graph_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UserError, match=r"text\.onnx"):
        image_size(tmp_path / "text.onnx")


ASK = {
    "onnxruntime": "print(engine.open_session(path, 1)[0].run(None, {'image': image})[0].max() == 0)",
    "openvino": "print(engine.compiled(engine.read_model(path), 'f32', 1)[0](image)[0].max() == 0)",
}


@pytest.mark.parametrize("name", list(ASK))
def test_denormal_numbers_are_zero(tmp_path: Path, name: str) -> None:
    """In a process of its own: a runtime that flushes them does so for the whole thread."""
    path = graph(tmp_path / "small.onnx", [1, 3, 8, 64], factor=1e-20)
    begin = f"import numpy, pathlib\nfrom roadcraft.perception.engines import {name} as engine\n"
    begin += f"path, image = pathlib.Path({str(path)!r}), numpy.full((1, 3, 8, 64), 1e-20, numpy.float32)\n"
    done = subprocess.run([sys.executable, "-c", begin + ASK[name]], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.skipif(has_bf16(), reason="this CPU has bfloat16")
def test_bf16_does_not_silently_become_f32() -> None:
    with pytest.raises(UserError, match="bf16"):
        load_engine("openvino", "bf16")


class Broken:
    """A stepper that answers NaN when it has been told to."""

    threads = 1

    def __init__(self) -> None:
        self.answers, self.resets = dict.fromkeys(OUTPUTS, 0.0), 0

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame: Any, motion: Any) -> dict[str, Any]:
        answer = {name: np.zeros((3, 5), np.float32) for name in OUTPUTS}
        for name, value in self.answers.items():
            answer[name][1, 2] = value
        return answer


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("head", OUTPUTS)
def test_an_answer_that_is_not_finite_is_raised_and_forgotten(head: str, wrong: float) -> None:
    stepper = Broken()
    engine = NetworkEngine("broken", "f32", stepper, Model(360, 640, {}, ""))
    stepper.answers[head], before = wrong, stepper.resets
    with pytest.raises(ValueError, match=rf"not finite \({head}\)"):
        engine(fake.observation(0, np.zeros((360, 640, 3), np.uint8)))
    assert stepper.resets == before + 1


def test_rounds_end_when_the_time_is_over(tmp_path: Path) -> None:
    path = graph(tmp_path / "mine.onnx", [1, 3, 360, 640])
    how = Benchmark(("onnxruntime:f32",), sizes=((640, 360),), batches=(1,), onnx=(path,), threads=1)
    one = replace(how, rounds=50, frames=1, warm_up=1, seconds=0.0)
    result = bench(one, np.zeros((1, 360, 640, 3), np.uint8))
    assert {r["frames"] for r in result["runs"]} == {1}
    json.dumps(result)


def test_a_graph_whose_input_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    model = onnx.load(str(shipped(ending=".onnx")))
    about = next(entry for entry in model.metadata_props if entry.key == "architecture")
    about.value = json.dumps(json.loads(about.value) | {"width": 320})
    onnx.save(model, str(tmp_path / "lying.onnx"))
    with pytest.raises(UserError, match=r"lying\.onnx: its input frame is \(1, 360, 640, 3\)"):
        load_engine("onnxruntime", "f32", tmp_path / "lying.onnx")
    about.value = "{"
    onnx.save(model, str(tmp_path / "silent.onnx"))
    with pytest.raises(UserError, match=r"silent\.onnx"):
        load_engine("onnxruntime", "f32", tmp_path / "silent.onnx")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_runtime_that_fails_raises_what_a_driver_stops_for(name: str) -> None:
    engine = load_engine(name, "f32")
    with pytest.raises(RuntimeError):
        engine._stepper.step(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 7), np.float32))

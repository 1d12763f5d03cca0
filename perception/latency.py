"""How long perception takes, from a uint8 frame to a percept, and where the time goes.

Each contender (an engine at a precision, size and batch, or anybody's ONNX file) lives in a process of its own and they
run in turn, A B C A B C ..., so that noise falls on all alike. Times are wall clock in milliseconds, after a warm-up.
`python -m roadcraft.perception.latency '<contender as JSON>'` is such a process: it answers on stdout to each number
of frames that it reads from stdin.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.delay import histogram
from roadcraft.perception.shipped import graph_hash, read_card, shipped
from roadcraft.sim.cache import cache_dir
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera, Command, Ego, Observation

SMALL = (320, 192)  # the size at which others' networks are compared
ONNX_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    name: str
    engine: str  # openvino, onnxruntime, torch
    precision: str
    width: int = 0
    height: int = 0
    batch: int = 1
    weights: str = ""  # of ours; "" the shipped network
    onnx: str = ""  # somebody's graph; timed alone, without decoding
    threads: int = 0
    frames: str = ""  # .npy file of frames (N, H, W, 3)


class Timed(Protocol):
    """What a process measures: one frame after the other."""

    def __call__(self, number: int) -> dict[str, float]:
        """Milliseconds of a frame: "total", and its parts where it has any."""


# --- one contender's own process ---


def serve(contender: Contender) -> None:
    """Loads, says so, and times as many frames as each line of stdin asks for."""
    began = time.perf_counter()
    run = _timed_graph(contender) if contender.onnx or contender.batch > 1 else _timed_engine(contender)
    run(0)
    print(json.dumps({"load_s": time.perf_counter() - began}), flush=True)
    number = 0
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            number += 1
            times.append(run(number))
        print(json.dumps({"times": times, "peak_mb": peak_mb()}), flush=True)


def peak_mb() -> float:
    """The most memory that this process has held. On Linux getrusage would tell the parent's where that was more."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS counts bytes
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024


def _timed_engine(c: Contender) -> Timed:
    from roadcraft.perception.engines import load_engine

    engine = load_engine(c.engine, c.precision, _weights(c), c.threads)
    frames = np.load(c.frames)

    def run(number: int) -> dict[str, float]:
        observation = _observation(number, frames[number % len(frames)])
        began = time.perf_counter()
        engine(observation)
        total = time.perf_counter() - began
        return {"total": total * 1e3, **{part: seconds * 1e3 for part, seconds in engine.parts.items()}}

    return run


def _timed_graph(c: Contender) -> Timed:
    """A graph by itself, on random inputs of its shapes; free dimensions become 1, or the small size's."""
    path = Path(c.onnx) if c.onnx else ours(c)
    if not path.is_file():
        raise UserError(f"no network at {path}")
    rng = np.random.default_rng(0)
    if c.engine == "openvino":
        return _openvino_graph(path, c, rng)
    return _onnxruntime_graph(path, c, rng)


def _fill(shape: list[Any], kind: Any, rng: np.random.Generator) -> NDArray[Any]:
    """A random tensor; free dimensions are 1 in front, the small size's height and width behind."""
    behind = list(SMALL)
    sizes: list[int] = []
    for i, size in reversed(list(enumerate(shape))):
        known = isinstance(size, int) and size > 0
        sizes.insert(0, int(size) if known else (behind.pop(0) if behind and i >= 2 else 1))
    if kind == np.uint8:
        return np.asarray(rng.integers(0, 256, sizes), np.uint8)
    return np.asarray(rng.random(sizes), kind)


def _onnxruntime_graph(path: Path, c: Contender, rng: np.random.Generator) -> Timed:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = c.threads
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(f"{path}: ONNX Runtime refuses it: {error}") from None
    feed = {i.name: _fill(i.shape, ONNX_TYPES.get(i.type, np.float32), rng) for i in session.get_inputs()}

    def run(number: int) -> dict[str, float]:
        began = time.perf_counter()
        session.run(None, feed)
        return {"total": (time.perf_counter() - began) * 1e3}

    return run


def _openvino_graph(path: Path, c: Contender, rng: np.random.Generator) -> Timed:
    import openvino

    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if c.precision == "bf16" else "f32"}
    if c.threads:
        config["INFERENCE_NUM_THREADS"] = str(c.threads)
    try:
        core = openvino.Core()
        model = core.read_model(str(path))
        shapes = [[d.get_length() if d.is_static else None for d in i.partial_shape] for i in model.inputs]
        feed = [_fill(s, i.element_type.to_dtype(), rng) for s, i in zip(shapes, model.inputs, strict=True)]
        model.reshape({i: list(f.shape) for i, f in enumerate(feed)})
        request = core.compile_model(model, "CPU", config).create_infer_request()
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO refuses it: {error}") from None
    inputs = dict(enumerate(feed))

    def run(number: int) -> dict[str, float]:
        began = time.perf_counter()
        request.infer(inputs, share_inputs=True)
        return {"total": (time.perf_counter() - began) * 1e3}

    return run


def _weights(c: Contender) -> Path | None:
    if c.engine == "torch" or not c.width:
        return Path(c.weights) if c.weights else None
    return ours(c)


def ours(c: Contender) -> Path:
    """Our network's graph at the contender's size, batch and precision, made once into the cache. The int8 graph that
    ships is taken where it fits; elsewhere ranges come from the contender's frames, good for speed alone."""
    from roadcraft.perception.export import resized, to_onnx
    from roadcraft.perception.quantize import to_int8
    from roadcraft.perception.weights_io import load_network

    path = Path(c.weights) if c.weights else shipped()
    card = read_card(path)
    native = (card["architecture"]["width"], card["architecture"]["height"]) == (c.width, c.height)
    half = c.precision == "f16"
    graph = cache_dir() / f"graph-{card['hash']}-{c.width}x{c.height}-{c.batch}{'-half' if half else ''}.onnx"
    if not graph.is_file():
        network, _ = load_network(path)
        to_onnx(network if native else resized(network, c.height, c.width), graph, card, c.batch, half)
    if c.precision != "int8":
        return graph
    beside = path.with_suffix(".int8.onnx")
    if native and beside.is_file() and graph_hash(beside) == card["hash"]:
        return beside
    quantised = graph.with_suffix(".int8.onnx")
    if not quantised.is_file():
        to_int8(graph, quantised, [[_observation(k, rgb) for k, rgb in enumerate(np.load(c.frames)[:8])]])
    return quantised


def _observation(number: int, rgb: NDArray[np.uint8]) -> Observation:
    """A frame as an engine is given it, 20 a second, the car at 8 m/s."""
    ego = Ego(np.zeros(2), 0.0, 8.0, 0.0, np.zeros(2), 0.0)
    camera = Camera(rgb.shape[1], rgb.shape[0])
    return Observation(number, number * 0.05, rgb, camera, ego, np.zeros((20, 2)), Command.FOLLOW)


# --- the process that drives them ---


class Worker:
    """A contender's process, seen from outside."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.times: list[dict[str, float]] = []
        self.peak_mb = 0.0
        command = [sys.executable, "-m", "roadcraft.perception.latency", json.dumps(asdict(contender))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Worker:
        self.load_s = float(self._answer()["load_s"])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, frames: int, keep: bool = True) -> None:
        """Times some frames."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{frames}\n")
        self._process.stdin.flush()
        answer = self._answer()
        if keep:
            self.times += answer["times"]
        self.peak_mb = float(answer["peak_mb"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().splitlines()
            raise UserError(f"{self.contender.name}: {said[-1] if said else 'its process died'}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def row(self) -> dict[str, Any]:
        """The figures of the frames that were kept."""
        c, total = self.contender, np.array([t["total"] for t in self.times])
        parts = {part: float(np.median([t[part] for t in self.times])) for part in self.times[0] if part != "total"}
        return {
            "name": c.name,
            "engine": c.engine,
            "precision": c.precision,
            "input": [c.width, c.height] if c.width else None,
            "batch": c.batch,
            "threads": c.threads,
            "p50_ms": float(np.percentile(total, 50)),
            "p90_ms": float(np.percentile(total, 90)),
            "p99_ms": float(np.percentile(total, 99)),
            "mean_ms": float(total.mean()),
            "max_ms": float(total.max()),
            "histogram": histogram(total / 1e3),
            "frames_per_s": float(1e3 * c.batch / np.median(total)),
            "parts_ms": parts,
            "load_s": self.load_s,
            "peak_mb": self.peak_mb,
            "frames": len(total),
        }


@dataclass(frozen=True)
class Benchmark:
    """What is measured."""

    engines: tuple[str, ...] = ("openvino:int8", "openvino:f32", "onnxruntime:f32", "torch:f32")
    sizes: tuple[tuple[int, int], ...] = ((640, 360), SMALL)
    batches: tuple[int, ...] = (1, 4)
    onnx: tuple[str, ...] = ()  # others' graphs
    weights: str = ""
    threads: int = 0
    rounds: int = 8
    frames: int = 25  # of a round
    warm_up: int = 10

    def contenders(self, frames: str) -> list[Contender]:
        """Our network on each engine at each size (torch at the first alone); other batches on the first engine in
        float; others' graphs."""
        out = []
        floats = [named for named in self.engines if not named.endswith(":int8")]
        for named in self.engines:
            engine, _, precision = named.partition(":")
            for size in self.sizes if engine != "torch" else self.sizes[:1]:
                name = f"street {size[0]}x{size[1]} {engine} {precision}"
                base = Contender(name, engine, precision, *size, 1, self.weights, "", self.threads, frames)
                out.append(base)
                if named in floats[:1] and size == self.sizes[0]:
                    out += [replace(base, name=f"{name} batch {b}", batch=b) for b in self.batches if b > 1]
        for path in self.onnx:
            for named in self.engines:
                engine, _, precision = named.partition(":")
                if engine != "torch" and precision in ("bf16", "f32"):
                    name = f"{Path(path).stem} {engine} {precision}"
                    out.append(Contender(name, engine, precision, onnx=path, threads=self.threads))
        return out


def bench(
    how: Benchmark, frames: NDArray[np.uint8], progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Runs the benchmark on rendered `frames` (N, H, W, 3). The result's top level is our network at its own size,
    batch 1, on the fastest engine; `ratio_to` compares ours at the small size with each of the others' graphs, both on
    their fastest engine; `runs` has everything. Raises UserError for a graph that cannot run."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "frames.npy"
        np.save(file, frames, allow_pickle=False)
        contenders = how.contenders(str(file))
        for c in contenders:
            if not c.onnx and c.engine != "torch":
                progress(f"the graph of {c.name}")
                ours(c)
        workers = []
        for c in contenders:
            progress(f"loading {c.name}")
            workers.append(stack.enter_context(Worker(c)))
        for worker in workers:
            worker.run(how.warm_up, keep=False)
        for number in range(how.rounds):
            progress(f"round {number + 1} of {how.rounds}")
            for worker in workers:
                worker.run(how.frames)
        rows = [worker.row() for worker in workers]
    return summary(how, rows)


def summary(how: Benchmark, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON of some rows."""
    mine = [r for r in rows if r["input"] and r["batch"] == 1]
    best = min((r for r in mine if tuple(r["input"]) == how.sizes[0]), key=lambda r: r["p50_ms"])
    small = [r for r in mine if tuple(r["input"]) == SMALL] or [best]
    fastest = min(r["p50_ms"] for r in small)
    ratios = {}
    for path in how.onnx:
        others = [r["p50_ms"] for r in rows if not r["input"] and r["name"].startswith(Path(path).stem + " ")]
        ratios[Path(path).stem] = fastest / min(others)
    card = read_card(Path(how.weights) if how.weights else shipped())
    keys = ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "max_ms", "histogram", "engine", "precision", "input", "parts_ms")
    return {
        **{key: best[key] for key in keys},
        "ratio_to": ratios,
        "small_p50_ms": fastest,
        "weights": card["hash"],
        "accuracy": card.get("figures"),
        "runs": rows,
    }


def markdown(result: dict[str, Any]) -> str:
    """The table of a result."""
    lines = [
        "| network | input | batch | p50 ms | p90 | p99 | max | frames/s | prepare + network + decode | load s | MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in sorted(result["runs"], key=lambda r: r["p50_ms"] / r["batch"]):
        size = "x".join(map(str, r["input"])) if r["input"] else "its own"
        parts = " + ".join(f"{v:.2f}" for v in r["parts_ms"].values()) or "-"
        lines.append(
            f"| {r['name']} | {size} | {r['batch']} | {r['p50_ms']:.2f} | {r['p90_ms']:.2f} | {r['p99_ms']:.2f} | "
            f"{r['max_ms']:.1f} | {r['frames_per_s']:.0f} | {parts} | {r['load_s']:.1f} | {r['peak_mb']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        serve(Contender(**json.loads(sys.argv[1])))
    except UserError as problem:
        sys.exit(str(problem))

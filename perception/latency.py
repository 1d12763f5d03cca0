"""How long perception takes, from a uint8 frame to a percept, and where the time goes.

Each contender lives in a process of its own (`worker.py` here, `contender.py` there) and they run in turn, A B C A B C
..., so that noise falls on all alike. Others' graphs are timed by themselves, in float; ours is measured at their
input's size too, so that `ratio_to` compares like with like: frame to percept of ours by the bare graph of theirs, ours
in int8 only where theirs is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.contender import SMALL, Contender, observed
from roadcraft.perception.engines import graph_precision
from roadcraft.perception.shipped import graph_hash, graph_of, read_card, shipped
from roadcraft.perception.worker import Hung, Worker, whose
from roadcraft.sim.cache import cache_dir, source_digest
from roadcraft.sim.errors import UserError

CPU = ("openvino", "onnxruntime")  # engines that take anybody's graph, and batches
BATCH = 4  # that is measured without being asked
SHOWN = ("drivable_miou", "vehicle_ap50")  # accuracy that stands beside the latency


def our_graph(c: Contender, weights: Path) -> Path:
    """Our network's graph at the contender's size, batch and precision, made once into the cache. The graphs beside the
    weights are taken where they fit; int8 elsewhere has ranges from the contender's frames, good for speed alone."""
    from roadcraft.perception import export, network, quantize, roi
    from roadcraft.perception.weights_io import load_network

    card = read_card(weights)
    ready = native(card) == (c.width, c.height) and c.batch == 1
    beside = weights.with_suffix(".int8.onnx")
    if ready and (c.precision != "int8" or (beside.is_file() and graph_hash(beside) == card["hash"])):
        return graph_of(weights, c.precision)
    half = c.precision == "f16"
    way = source_digest(network, roi, export)  # an older one's graph is of another speed
    name = f"graph-{card['hash']}-{c.width}x{c.height}-{c.batch}{'-half' if half else ''}-{way}.onnx"
    graph = cache_dir() / name
    if not graph.is_file():
        ours, _ = load_network(weights)
        fits = native(card) == (c.width, c.height)
        export.to_onnx(ours if fits else export.resized(ours, c.height, c.width), graph, card, c.batch, half)
    if c.precision != "int8":
        return graph
    quantised = graph.with_suffix(f".{source_digest(quantize)}.int8.onnx")
    if not quantised.is_file():
        quantize.to_int8(graph, quantised, [[observed(k, rgb) for k, rgb in enumerate(np.load(c.frames)[:8])]])
    return quantised


def native(card: dict[str, Any]) -> tuple[int, int]:
    """Width and height that a network was trained for."""
    return int(card["architecture"]["width"]), int(card["architecture"]["height"])


def image_size(graph: Path) -> tuple[int, int]:
    """Width and height of the image that a graph takes; the small size where it leaves them free or takes none. Raises
    UserError for a file that is no graph."""
    import onnx

    try:
        inputs = onnx.load(str(graph), load_external_data=False).graph.input
    except Exception as error:
        raise UserError(f"{graph} is not an ONNX file: {error}") from None
    for shape in ([d.dim_value for d in i.type.tensor_type.shape.dim] for i in inputs):
        if len(shape) == 4:
            height, width = shape[1:3] if shape[3] in (1, 3, 4) else shape[2:]
            return (width, height) if width and height else SMALL
    return SMALL


def floats(engines: Sequence[str]) -> list[tuple[str, str]]:
    """Those of some engine:precision that take others' graphs in float, and batches."""
    pairs = [(name, precision) for name, _, precision in (one.partition(":") for one in engines)]
    return [(name, precision) for name, precision in pairs if name in CPU and precision in ("bf16", "f32")]


@dataclass(frozen=True)
class Benchmark:
    """What is measured."""

    engines: tuple[str, ...]  # each as engine:precision
    weights: tuple[Path, ...] = ()  # checkpoints of ours, the headline's first; the shipped network when empty
    sizes: tuple[tuple[int, int], ...] = ()  # the headline's first; each network's own and SMALL when empty
    batches: tuple[int, ...] = ()  # beside 1; BATCH on one engine at one size when empty
    onnx: tuple[Path, ...] = ()  # others' graphs
    threads: int = 0
    rounds: int = 8
    frames: int = 25  # of a round
    warm_up: int = 10
    seconds: float = 165.0  # after which no new round begins
    patience: float = 600.0  # [s] with a process at each step, loading or a round; an engine may take minutes to build
    strict: bool = True  # whether a contender that is refused ends it; else its row says why

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """Those of our networks."""
        return self.weights or (shipped(),)

    def sizes_of(self, weights: Path) -> tuple[tuple[int, int], ...]:
        """At which a network of ours is measured."""
        return self.sizes or tuple(dict.fromkeys((native(read_card(weights)), SMALL)))

    def takers(self, graph: Path) -> list[tuple[str, str]]:
        """The engines, and in which precision each runs somebody's graph: int8 has no other."""
        if graph_precision(graph) != "int8":
            return floats(self.engines)
        names = dict.fromkeys(one.partition(":")[0] for one in self.engines)
        return [(name, "int8") for name in names if name in CPU]

    def check(self) -> None:
        """Raises UserError for what none of the engines can do."""
        asked = f"none of which is among {', '.join(self.engines)}"
        if max(self.batches, default=1) > 1 and not floats(self.engines):
            raise UserError(f"batches: openvino and onnxruntime run them, in f32 or bf16, {asked}")
        for path in self.onnx:
            if not self.takers(path):
                raise UserError(f"{path}: openvino and onnxruntime run others' graphs, in f32 or bf16, {asked}")

    def contenders(self, frames: str) -> list[Contender]:
        """Our networks on each engine at each size (torch at the first alone); the first also in batches, as a
        bare graph in float on engines of a CPU; others' graphs on those engines, and our first network at their sizes.
        """
        named = [tuple(one.split(":")) for one in self.engines]
        in_float = floats(self.engines)
        out: dict[str, Contender] = {}

        def add(weights: Path, engine: str, precision: str, size: tuple[int, int], batch: int = 1) -> None:
            name = f"{weights.stem} {size[0]}x{size[1]} {engine} {precision}"
            name += f" batch {batch}, bare graph" * (batch > 1)
            one = Contender(name, weights.stem, engine, precision, *size, batch, str(weights))
            out[name] = replace(one, threads=self.threads, frames=frames)

        for number, weights in enumerate(self.checkpoints):
            sizes = self.sizes_of(weights)
            for engine, precision in named:
                for size in sizes[:1] if engine == "torch" else sizes:
                    add(weights, engine, precision, size)
            if number == 0 and not self.batches:
                for engine, precision in in_float[:1]:
                    add(weights, engine, precision, sizes[0], BATCH)
            for batch in self.batches if number == 0 else ():
                for engine, precision in in_float if batch > 1 else []:
                    for size in sizes:
                        add(weights, engine, precision, size, batch)
        for path in self.onnx:
            size = image_size(path)
            for engine, precision in named:
                if engine in CPU:
                    add(self.checkpoints[0], engine, precision, size)
            for engine, precision in self.takers(path):
                name = f"{path.name} {size[0]}x{size[1]} {engine} {precision}"
                out[name] = Contender(
                    name, path.stem, engine, precision, *size, 1, str(path), ours=False, threads=self.threads
                )
        return list(out.values())


class Contest:
    """The contenders' processes that still run, the rows of those that were refused, and the time that counts."""

    def __init__(self, how: Benchmark, stack: ExitStack) -> None:
        self.workers: list[Worker] = []
        self.refused: list[dict[str, Any]] = []
        self._how, self._stack = how, stack
        self._began, self._lost = time.perf_counter(), 0.0

    def spent(self) -> float:
        """Seconds since the beginning, without what processes that hung have taken: the others lose nothing by them."""
        return time.perf_counter() - self._began - self._lost

    def load(self, c: Contender) -> None:
        """Starts its process."""
        self._did(c, partial(self._start, c))

    def turn(self, count: int, keep: bool = True) -> None:
        """So many frames of each, one process after the other."""
        self.workers = [w for w in self.workers if self._did(w.contender, partial(w.run, count, keep))]

    def _start(self, c: Contender) -> None:
        graph = our_graph(c, Path(c.file)) if c.ours and c.engine != "torch" else Path(c.file)
        worker = Worker(replace(c, file=str(graph)), self._how.patience)
        self.workers.append(self._stack.enter_context(worker))

    def _did(self, c: Contender, step: Callable[[], None]) -> bool:
        """Whether a contender was not refused at a step."""
        try:
            step()
        except UserError as error:
            if self._how.strict:
                raise
            self._lost += error.seconds if isinstance(error, Hung) else 0.0
            self.refused.append({**whose(c), "error": str(error)})
            return False
        return True


def bench(
    how: Benchmark, frames: NDArray[np.uint8], progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Runs the benchmark on rendered `frames` (N, H, W, 3); `summary` says what comes out. Raises UserError for a graph
    that cannot run or hangs, unless `strict` is off and another can."""
    how.check()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "frames.npy"
        np.save(file, frames, allow_pickle=False)
        contest = Contest(how, stack)
        for c in how.contenders(str(file)):
            progress(f"loading {c.name}")
            contest.load(c)
        warming = contest.spent()
        contest.turn(how.warm_up, keep=False)
        now = contest.spent()
        frames_a_round = fitting(how.frames, (now - warming) / max(how.warm_up, 1), how.seconds - now)
        longest = 0.0
        for number in range(how.rounds):
            started = contest.spent()
            if number and started + longest > how.seconds:
                break
            progress(f"round {number + 1} of {how.rounds}")
            contest.turn(frames_a_round)
            longest = max(longest, contest.spent() - started)
        rows = [worker.row() for worker in contest.workers] + contest.refused
    return summary(how, rows)


def fitting(frames: int, each: float, left: float) -> int:
    """How many of a round's frames fit into what is left of the time [s], when a frame of all takes `each` [s]; one at
    least."""
    return max(1, min(frames, int(left / max(each, 1e-9))))


def summary(how: Benchmark, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The JSON of some rows. Its top level is our first network at the first size, batch 1, on the fastest engine of a
    CPU; `ratio_to` its p50 at another graph's input size by that graph's, each on the fastest of the same engines, and
    `ratio_by_engine` the same for each engine and precision that both ran on; ours in int8 counts where theirs is.
    `runs` has everything, with `error` in place of figures where a contender was refused. Raises UserError when the
    first network ran nowhere."""
    cards = {path.stem: read_card(path) for path in how.checkpoints}
    first = how.checkpoints[0].stem
    rows = [{**row, **accuracy(cards[row["network"]], row)} if row["ours"] else row for row in rows]
    ran = [r for r in rows if "error" not in r]
    mine = [r for r in ran if r["network"] == first and r["ours"] and r["batch"] == 1]
    headline = [r for r in mine if tuple(r["input"]) == how.sizes_of(how.checkpoints[0])[0]]
    if not headline:
        problems = dict.fromkeys(r["error"] for r in rows if "error" in r)
        raise UserError(f"no engine runs {first}: {'; '.join(problems)}")
    best = min([r for r in headline if r["engine"] != "tensorrt"] or headline, key=lambda r: float(r["p50_ms"]))
    ratios: dict[str, float] = {}
    by_engine: dict[str, dict[str, float]] = {}
    for path in how.onnx:
        theirs = [r for r in ran if not r["ours"] and r["network"] == path.stem]
        size = theirs[0]["input"] if theirs else None
        quantised = any(r["precision"] == "int8" for r in theirs)
        same = [r for r in mine if r["input"] == size and r["engine"] in CPU]
        same = [r for r in same if quantised or r["precision"] != "int8"]
        if not theirs or not same:
            continue
        ratios[path.stem] = min(r["p50_ms"] for r in same) / min(r["p50_ms"] for r in theirs)
        ours = {f"{r['engine']} {r['precision']}": r["p50_ms"] for r in same}
        by = {f"{r['engine']} {r['precision']}": r["p50_ms"] for r in theirs}
        by_engine[path.stem] = {key: ours[key] / by[key] for key in by if key in ours}
    keys = ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "max_ms", "histogram", "engine", "precision", "input", "parts_ms")
    return {
        **{key: best[key] for key in keys},
        "ratio_to": ratios,
        "ratio_by_engine": by_engine,
        "weights": cards[first]["hash"],
        "accuracy": best["accuracy"],
        "runs": rows,
    }


def accuracy(card: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The weights' hash, and what `evaluate perception --card` wrote into their card for the row's precision, at the
    size that they were trained for; None where it was not measured."""
    measured = card.get("figures", {}).get(row["precision"]) if native(card) == tuple(row["input"]) else None
    return {"weights": card["hash"], "accuracy": measured}


def markdown(result: dict[str, Any]) -> str:
    """The tables of a result: latency beside accuracy, and the ratios to others' graphs."""
    head = ["network, input, engine", "batch", "p50 ms", "p90", "p99", "max", "frames/s", "prepare + network + decode"]
    head += ["threads", "load s", "MB", "drivable mIoU", "vehicle AP50"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    ran = [r for r in result["runs"] if "error" not in r]
    memory = lambda r: f"{r['peak_mb']:.0f}" + (f" + {r['gpu_mb']:.0f} of the GPU" if r.get("gpu_mb") else "")  # noqa: E731
    for r in sorted(ran, key=lambda r: float(r["p50_ms"] / r["batch"])):
        parts = " + ".join(f"{v:.2f}" for v in r["parts_ms"].values()) or "-"
        known = r.get("accuracy") or {}
        seen = " | ".join("-" if known.get(name) is None else f"{known[name]:.3f}" for name in SHOWN)
        lines.append(
            f"| {r['name']} | {r['batch']} | {r['p50_ms']:.2f} | {r['p90_ms']:.2f} | {r['p99_ms']:.2f} | "
            f"{r['max_ms']:.1f} | {r['frames_per_s']:.0f} | {parts} | {r['threads'] or '-'} | {r['load_s']:.1f} | "
            f"{memory(r)} | {seen} |"
        )
    if refused := [r for r in result["runs"] if "error" in r]:
        lines += ["", "Not measured:", "", *(f"- {r['name']}: {r['error']}" for r in refused)]
    if result["ratio_to"]:
        lines += ["", "| ours, frame to percept, by | fastest engines | each engine |", "|---|---|---|"]
    for name, ratio in result["ratio_to"].items():
        each = ", ".join(f"{key} {value:.2f}" for key, value in result["ratio_by_engine"][name].items())
        lines.append(f"| {name} | {ratio:.2f} | {each} |")
    return "\n".join(lines) + "\n"

"""roadcraft export                                    the shipped network as ONNX graphs in f32, f16 and int8
roadcraft export --weights runs/X/best.safetensors  your own; `--engine.weights graph.onnx` then runs it
roadcraft export --out perception/weights/street-small.onnx    what ships, made anew from new weights
roadcraft export --what policy                      the policy as ONNX graphs in f32 and f16

One step of the network: a uint8 frame and the state in, published heads and the next state out. The policy: features
in, action out. int8 takes its ranges from rendered drives and is then judged beside f32 on others; what it loses stands
in its metadata and in the last line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from roadcraft.control.drivers import ExpertDriver, load_driver
from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.training import Export
from roadcraft.launch.runs import Run, writable
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import Observation

START, CALIBRATING, EVERY = 60, 10, 2  # ticks before a clip, frames of it, ticks from frame to frame


def run(asked: Export, run: Run) -> None:
    """The verb. Raises UserError for weights that are missing or do not fit."""
    weights = None if asked.weights is None else Path(asked.weights)
    if asked.out is not None:
        writable(Path(asked.out))
    if asked.what == "policy":
        graph = run.folder / "policy.onnx" if asked.out is None else Path(asked.out)
        about = export_policy(weights, graph, writes(asked, "f16"))
    else:
        graph = run.folder / "network.onnx" if asked.out is None else Path(asked.out)
        about = export_perception(asked, weights, graph)
    run.result.update(graph=graph, bytes=graph.stat().st_size, **about)


def writes(asked: Export, precision: str) -> bool:
    """Whether a graph in f16 or int8 is wanted."""
    return precision in (asked.precisions or (("f16",) if asked.what == "policy" else ("f16", "int8")))


def export_perception(asked: Export, weights: Path | None, graph: Path) -> dict[str, Any]:
    """Writes the network's graphs; says whose weights are in them, and what int8 loses."""
    from roadcraft.perception.export import to_onnx
    from roadcraft.perception.weights_io import load_network

    network, card = load_network(weights)
    about: dict[str, Any] = {"weights": card["hash"], "graphs": {"f32": graph}}
    with tqdm(desc="export", bar_format="{desc}: {postfix} [{elapsed}]") as bar:
        bar.set_postfix_str("f32")
        to_onnx(network, graph, card)
        if writes(asked, "f16"):
            bar.set_postfix_str("f16")
            about["graphs"]["f16"] = to_onnx(network, graph.with_suffix(".f16.onnx"), card, half=True)
        if writes(asked, "int8"):
            about["graphs"]["int8"], about["lost"] = export_int8(asked, graph, bar)
    return about


def export_int8(asked: Export, graph: Path, bar: tqdm[Any]) -> tuple[Path, dict[str, float]]:
    """The int8 graph beside the f32 one, and by how much its figures are lower."""
    from roadcraft.perception.quantize import lost, to_int8, write_meta

    out = graph.with_suffix(".int8.onnx")
    with closing(EmbeddedWorld()) as world:
        clips = drives(world, seed_range(asked.calibration_seeds), bar)
        to_int8(graph, out, clips, bar.set_postfix_str)
        found = lost(judged(asked, graph, "f32", world, bar), judged(asked, out, "int8", world, bar))
    about = {"calibration_seeds": asked.calibration_seeds, "check_seeds": asked.check_seeds, "lost": json.dumps(found)}
    write_meta(out, about)
    return out, found


def drives(world: EmbeddedWorld, seeds: list[int], bar: tqdm[Any]) -> Iterator[list[Observation]]:
    """A clip of each seed's drive by the expert."""
    for seed in seeds:
        bar.set_postfix_str(f"int8: a drive of seed {seed}")
        tick, driver = world.reset(episode_from_seed(seed)), ExpertDriver()
        clip = []
        for k in range(START + CALIBRATING * EVERY):
            world.looking = k + 1 >= START and (k + 1) % EVERY == 0
            tick = world.step(driver(tick).control)
            if world.looking:
                clip.append(tick.observation)
        world.looking = True
        yield clip


def judged(asked: Export, graph: Path, precision: str, world: EmbeddedWorld, bar: tqdm[Any]) -> dict[str, Any]:
    """The figures of a graph."""
    from roadcraft.perception.engines import load_engine
    from roadcraft.perception.evaluate import evaluate

    def progress(done: str) -> None:
        bar.set_postfix_str(f"{precision} judged in {done}")

    engine = load_engine(weights=graph, precision=precision)
    episodes = [(str(seed), episode_from_seed(seed)) for seed in seed_range(asked.check_seeds)]
    drivers = lambda seed: load_driver("expert", seed=seed)  # noqa: E731
    return evaluate(engine, world, episodes, drivers, asked.frames, progress=progress)


def export_policy(weights: Path | None, graph: Path, half: bool) -> dict[str, Any]:
    """Writes the policy's graphs; says whose weights are in them and by how much each differs from numpy's answers."""
    from roadcraft.control.export import to_onnx
    from roadcraft.control.policy import Policy

    policy = Policy.load(weights)
    about: dict[str, Any] = {"deviation": to_onnx(policy, graph), "weights": policy.card["sha256"][:16]}
    if half:
        beside = graph.with_suffix(".f16.onnx")
        about |= {"deviation_f16": to_onnx(policy, beside, "f16"), "graphs": {"f32": graph, "f16": beside}}
    return about

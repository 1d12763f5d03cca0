"""Engines beside torch in f32 on rendered drives: how far each output is off, and what each figure loses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from roadcraft.control.expert import ExpertDriver
from roadcraft.launch.options.bench import BenchParity
from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.runs import Run
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.perception.engines.base import NetworkEngine


def bench_parity(asked: BenchParity, run: Run) -> dict[str, Any]:
    """The tables go to stderr and to parity.md. `refused` of the result says by name why engines that nobody named are
    left out; raises UserError for one that was named, and where none is left."""
    from roadcraft.perception.engines import load_engine
    from roadcraft.perception.evaluate import Seen, labelled_drive
    from roadcraft.perception.parity import compare, markdown

    engines, refused = loaded(asked)
    reference = load_engine("torch", "f32", asked.weights)
    seeds = seed_range(asked.seeds)

    def drives(world: EmbeddedWorld) -> Iterator[Iterator[Seen]]:
        for seed in seeds:
            yield labelled_drive(world, episode_from_seed(seed), ExpertDriver(), asked.frames)

    with closing(EmbeddedWorld()) as world, tqdm(total=asked.frames * len(seeds), desc="frames", unit="frame") as bar:

        def progress(done: str) -> None:
            bar.update()

        found = compare(reference, engines, drives(world), progress)
    table = markdown(found, refused)
    run.write("parity.md", table)
    print(table, file=sys.stderr)
    shape = [reference.model.width, reference.model.height]
    return {**found, "refused": refused, "weights": reference.model.hash, "input": shape}


def loaded(asked: BenchParity) -> tuple[dict[str, NetworkEngine], dict[str, str]]:
    """The engines beside the reference, of which each has seen a frame, and by name why others are refused. Raises as
    `bench_parity` does, and where there is nothing to compare."""
    from roadcraft.perception.engines import load_engine, runnable
    from roadcraft.perception.parity import REFERENCE

    engines: dict[str, NetworkEngine] = {}
    refused: dict[str, str] = {}
    for named in asked.engines or runnable():
        if named == REFERENCE:
            continue
        name, _, precision = named.partition(":")
        try:
            engines[named] = tried(load_engine(name, precision, asked.weights))
        except Exception as error:  # the runtimes' exceptions have no common base
            refused[named] = " ".join(str(error).split()) or type(error).__name__
            if asked.engines:
                raise UserError(f"{named}: {refused[named]}") from error
    if not engines:
        why = "; ".join(dict.fromkeys(refused.values())) or "nothing to compare"
        raise UserError(f"no engine runs beside {REFERENCE}: {why}")
    return engines, refused


def tried(engine: NetworkEngine) -> NetworkEngine:
    """An engine that has seen a frame and forgotten it: some runtimes fail only then. Raises what they raise."""
    from roadcraft.perception.contender import observed

    engine(observed(0, np.zeros((engine.model.height, engine.model.width, 3), np.uint8)))
    engine.reset()
    return engine

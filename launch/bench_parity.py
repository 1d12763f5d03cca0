"""Engines beside torch in f32 on rendered drives: how far each output is off, and what each figure loses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from tqdm import tqdm

from roadcraft.control.expert import ExpertDriver
from roadcraft.launch.config import BenchParity, seed_range
from roadcraft.launch.runs import Run
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed


def bench_parity(asked: BenchParity, run: Run) -> dict[str, Any]:
    """The tables go to stderr and to parity.md."""
    from roadcraft.perception.engines import load_engine, runnable
    from roadcraft.perception.evaluate import Seen, labelled_drive
    from roadcraft.perception.parity import REFERENCE, compare, markdown

    engines = {}
    for named in asked.engines or runnable():
        if named != REFERENCE:
            name, _, precision = named.partition(":")
            engines[named] = load_engine(name, precision, asked.weights)
    reference = load_engine("torch", "f32", asked.weights)
    seeds = seed_range(asked.seeds)

    def drives(world: EmbeddedWorld) -> Iterator[Iterator[Seen]]:
        for seed in seeds:
            yield labelled_drive(world, episode_from_seed(seed), ExpertDriver(), asked.frames)

    with closing(EmbeddedWorld()) as world, tqdm(total=asked.frames * len(seeds), desc="frames", unit="frame") as bar:

        def progress(done: str) -> None:
            bar.update()

        found = compare(reference, engines, drives(world), progress)
    table = markdown(found)
    run.write("parity.md", table)
    print(table, file=sys.stderr)
    return {**found, "weights": reference.model.hash, "input": [reference.model.width, reference.model.height]}

"""roadcraft train perception                              records drives, then trains on them
roadcraft train perception --data shards/train --validation shards/validate
roadcraft train perception --resume runs/X               goes on where that run stopped, step for step
roadcraft train policy                                   clones the expert, then PPO
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadcraft.launch.config import TrainPerception, TrainPolicy, seed_range
from roadcraft.launch.runs import Run
from roadcraft.sim.errors import UserError


def run(asked: TrainPerception | TrainPolicy, run: Run) -> None:
    """The verb."""
    out = Path(asked.resume) if asked.resume is not None else run.folder
    if not out.is_dir():
        raise UserError(f"resume {out}: there is no such folder")
    if isinstance(asked, TrainPolicy):
        train_policy(asked, run, out)
    else:
        train_perception(asked, run, out)


def train_policy(asked: TrainPolicy, run: Run, out: Path) -> None:
    """Trains; weights, checkpoints and TensorBoard curves are in `out`."""
    from roadcraft.control.train import PolicyTraining, train

    how = PolicyTraining(
        out=out,
        clone_steps=asked.clone_steps,
        critic_steps=asked.critic_steps,
        steps=asked.steps,
        envs=asked.envs,
        rollout=asked.rollout,
        block=asked.block,
        batch=asked.batch,
        rate=asked.rate,
        pull=asked.pull,
        seeds=half_open(asked.seeds),
        evaluate_seeds=half_open(asked.evaluate_seeds),
        evaluate_every=asked.evaluate_every,
        seed=asked.seed,
        error_model=None if asked.exact else "default",
        init=None if asked.init is None else Path(asked.init),
        env={"episode": {"route_length": asked.route_length}},
    )
    best = train(how, command=command(), say=lambda words: print(words, file=sys.stderr, flush=True))
    scores = card(best).get("evaluation", {})
    found = {name: scores.get(name) for name in ("driving_score", "route_completion")}
    run.result.update(weights=best, steps=asked.steps, **found, out=out)


def card(weights: Path) -> dict[str, Any]:
    """What a training wrote about its weights."""
    found: dict[str, Any] = json.loads(weights.with_suffix(".json").read_text())
    return found


def half_open(seeds: str) -> tuple[int, int]:
    """ "A-B" as the half-open range (A, B + 1)."""
    found = seed_range(seeds)
    return found[0], found[-1] + 1


def command() -> str:
    """The command line that was given, for the weights' card."""
    return shlex.join(["roadcraft", *sys.argv[1:]])


def train_perception(asked: TrainPerception, run: Run, out: Path) -> None:
    """Trains; weights, checkpoints and TensorBoard curves are in `out`."""
    from roadcraft.perception.augment import Augmentation
    from roadcraft.perception.train import Training, train

    data, validation = shards(asked, run, out)
    how = Training(
        data=data,
        out=out,
        size=asked.size,
        memory=asked.memory,
        steps=asked.steps,
        batch=asked.batch,
        length=asked.length,
        rate=asked.rate,
        seed=asked.seed,
        bf16=asked.bf16,
        threads=asked.threads,
        loaders=asked.loaders,
        save_every=asked.save_every,
        validate_every=asked.validate_every,
        validation=validation,
        init=None if asked.init is None else Path(asked.init),
        augmentation=Augmentation() if asked.augment else Augmentation.none(),
    )
    best = train(how, command=command())
    run.result.update(weights=best, steps=asked.steps, validation_score=card(best)["validation_score"], out=out)


def shards(asked: TrainPerception, run: Run, out: Path) -> tuple[Path, Path]:
    """The folders to train and validate on; recorded first, where neither was named nor recorded before."""
    from roadcraft.launch.collect import record

    if asked.data is not None and asked.validation is not None:
        return Path(asked.data), Path(asked.validation)
    folders = out / "shards" / "train", out / "shards" / "validate"
    for folder, seeds in zip(folders, (asked.collect.seeds, asked.validation_seeds), strict=True):
        if not (folder / "whole").is_file():
            run.result.update(frames=0, drives=0, failed=[])
            record(replace(asked.collect, seeds=seeds), folder, run)
            (folder / "whole").touch()
    run.result.clear()
    return folders

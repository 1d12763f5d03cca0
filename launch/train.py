"""roadcraft train perception                              records drives, then trains on them
roadcraft train perception --data shards/train --validation shards/validate
roadcraft train perception --init X.safetensors --size slim --prune true --teacher X.safetensors
                                                         a smaller one out of X, which teaches it beside the labels
roadcraft train perception --resume runs/X               goes on where that run stopped, step for step
torchrun --nproc-per-node 4 -m roadcraft.launch train perception    one process for each of four GPUs
roadcraft train roi                                      its second stage alone, which looks at what the first finds
                                                         again, at the input's full resolution
roadcraft train foresight                                records what the network sees in drives, then trains on it
roadcraft train policy                                   clones the expert, then PPO
roadcraft train policy --steps 0                         clones alone
roadcraft train policy --clone_steps 0 --critic_steps 0 --rate 3e-4 --spread 0.5    PPO from nothing
roadcraft train policy --percepts network --init runs/X/best.safetensors --steps 40000 --critic_steps 5120
                                                         a last, short stage on what the network sees
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.training import TrainForesight, TrainPerception, TrainPolicy, TrainRoi
from roadcraft.launch.runs import Run
from roadcraft.launch.train_foresight import train_foresight
from roadcraft.launch.train_roi import refuse_others, train_roi
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.perception.train import Training


def run(asked: TrainPerception | TrainRoi | TrainForesight | TrainPolicy, run: Run) -> None:
    """The verb."""
    out = Path(asked.resume) if asked.resume is not None else run.folder
    if not out.is_dir():
        raise UserError(f"resume {out}: there is no such folder")
    if isinstance(asked, TrainPolicy):
        train_policy(asked, run, out)
    elif isinstance(asked, TrainForesight):
        train_foresight(asked, run, out, command())
    elif isinstance(asked, TrainRoi):
        refuse_others(out)
        train_roi(asked, run, out, *shards(asked, run, out), command())
    else:
        train_perception(asked, run, out)


def train_policy(asked: TrainPolicy, run: Run, out: Path) -> None:
    """Trains; weights, checkpoints and TensorBoard curves are in `out`."""
    from roadcraft.control.curriculum import Curriculum
    from roadcraft.control.train import PolicyTraining, train
    from roadcraft.launch.build import among, build_engine

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
        spread=asked.spread,
        seeds=half_open(asked.seeds),
        evaluate_seeds=half_open(asked.evaluate_seeds),
        evaluate_every=asked.evaluate_every,
        seed=asked.seed,
        error_model=None if asked.exact else "default",
        engine=partial(build_engine, among(asked.engine, asked.envs)) if asked.percepts == "network" else None,
        init=None if asked.init is None else Path(asked.init),
        curriculum=Curriculum() if asked.curriculum else None,
        env={"episode": {"route_length": asked.route_length}},
    )
    best = train(how, command=command(), say=tell)
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


def command(processes: int = 1) -> str:
    """The command line that was given, for the weights' card."""
    launcher = ["torchrun", "--nproc-per-node", str(processes), "-m", "roadcraft.launch"]
    return shlex.join([*(launcher if processes > 1 else ["roadcraft"]), *sys.argv[1:]])


def train_perception(asked: TrainPerception, run: Run, out: Path) -> None:
    """Trains; weights, checkpoints and TensorBoard curves are in `out`, of torchrun's first process."""
    from roadcraft.perception.devices import Seat, agreed, team
    from roadcraft.perception.train import train

    with team():
        seat = Seat.here(asked.bf16)
        if not seat.first:
            shutil.rmtree(run.folder)  # all leave what they make in the first's
        found = agreed((out, *shards(asked, run, out)) if seat.first else None)
        assert found is not None
        out, data, validation = found
        best = train(training(asked, out, data, validation), command(seat.world), say=tell)
    if seat.first:
        run.result.update(weights=best, steps=asked.steps, validation_score=card(best)["validation_score"], out=out)


def training(asked: TrainPerception, out: Path, data: Path, validation: Path) -> Training:
    """What the verb was asked for, as the trainer takes it."""
    from roadcraft.perception.augment import Augmentation
    from roadcraft.perception.train import Training

    return Training(
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
        prune=asked.prune,
        teacher=None if asked.teacher is None else Path(asked.teacher),
        augmentation=Augmentation() if asked.augment else Augmentation.none(),
    )


def tell(words: str) -> None:
    """One line on stderr."""
    print(words, file=sys.stderr, flush=True)


def shards(asked: TrainPerception | TrainRoi, run: Run, out: Path) -> tuple[Path, Path]:
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

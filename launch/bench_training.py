"""roadcraft bench training                                  records drives, then trains and judges every variant
roadcraft bench training --data shards/train --validation shards/validate
roadcraft bench training --variants reference memory-none memory-attention
roadcraft bench training --resume runs/X                  goes on: what that run finished is kept

Each variant has a folder of its own: `data`, links to the shards that it sees, its weights, and figures.json once it
has been judged. training.md is written anew after each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from roadcraft.launch.options.bench import BenchTraining
from roadcraft.launch.options.checks import check, seed_range
from roadcraft.launch.options.training import TrainPerception
from roadcraft.launch.runs import Run
from roadcraft.launch.train import shards, tell
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.launch.bench_ablation import Budget, Figures

KEPT = (  # by a resume
    "data", "validation", "seeds", "style", "weather", "look", "frames", "size", "steps", "batch", "length",
)  # fmt: skip


def bench_training(asked: BenchTraining, run: Run) -> None:
    """Trains and judges one after the other; after each, the run's result and training.md tell all that are done."""
    from roadcraft.launch.bench_ablation import Budget, chosen, markdown, told

    how = Budget(
        asked.size, asked.steps, asked.batch, asked.length, asked.threads, asked.style, asked.weather, asked.frames,
        asked.look, asked.collect.looks,
    )  # fmt: skip
    names = chosen(asked.variants, asked.size, asked.collect.looks)
    out = run.folder if asked.resume is None else Path(asked.resume)
    plan = resumed(asked, out)
    data, judged = recorded(asked, run, out, plan)
    rows: dict[str, Figures] = {}
    for number, name in enumerate(names, 1):
        tell(f"training {number} of {len(names)}: {name}")
        rows[name] = judged_training(name, data, judged, how, out)
        run.result.update(trainings=told(rows, how), steps=asked.steps, batch=asked.batch, length=asked.length, out=out)
        run.write("training.md", markdown(rows, how))
    print(markdown(rows, how), file=sys.stderr)


def resumed(asked: BenchTraining, out: Path) -> dict[str, Any]:
    """What a run does in all its parts, as it began. Raises UserError for a resume that is told otherwise."""
    wanted = {**{name: getattr(asked, name) for name in KEPT}, "looks": asked.collect.looks}
    if asked.resume is None:
        return {**wanted, "shards": []}
    try:
        plan: dict[str, Any] = json.loads((out / "plan.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"resume {out}: it is no folder of `bench training`") from None
    for name, value in wanted.items():
        check(plan.get(name) == value, f"resume {out}: {name} was {plan.get(name)}, not {value}")
    return plan


def recorded(asked: BenchTraining, run: Run, out: Path, plan: dict[str, Any]) -> tuple[list[Path], dict[int, Path]]:
    """The shards to train on, the same for all however long ago the run began, and a folder of shards for each drive
    to judge on, by its seed. Recorded first, where none were named. Raises UserError where there are none."""
    from roadcraft.launch.bench_ablation import drive_seed, linked

    files = Run(out)
    files.write_json("plan.json", plan)
    needed = TrainPerception(asked.data, asked.validation, asked.collect, validation_seeds=asked.seeds)
    data, validation = shards(needed, run, out)
    if not plan["shards"]:
        plan["shards"] = [path.name for path in tars(data)]
        files.write_json("plan.json", plan)
    wanted = set(seed_range(asked.seeds))
    judged: dict[int, Path] = {}
    for shard in tars(validation):
        seed = drive_seed(shard)
        if seed in wanted:
            judged[seed] = linked([shard], out / "judged" / f"{seed:06d}")
    check(bool(judged), f"seeds {asked.seeds}: {validation} has no drive of them")
    return [data / name for name in plan["shards"]], judged


def tars(folder: Path) -> list[Path]:
    """The complete shards of a folder in the order of their names. Raises UserError where there are none."""
    found = [path for path in sorted(folder.glob("*.tar")) if not path.name.startswith(".")]
    check(bool(found), f"no shards in {folder}: `roadcraft collect` records some")
    return found


def judged_training(name: str, data: list[Path], judged: dict[int, Path], how: Budget, out: Path) -> Figures:
    """One variant's figures, made now or kept from before."""
    from roadcraft.launch.bench_ablation import judge, trained

    done = out / name / "figures.json"
    if not done.is_file():
        weights = trained(name, data, how, out, tell)
        with tqdm(total=len(judged), desc="judged", unit="drive") as bar:
            Run(out / name).write_json(done.name, judge(weights, judged, how, bar.update))
    found: Figures = json.loads(done.read_text())
    return found

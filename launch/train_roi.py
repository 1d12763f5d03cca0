"""What `train roi` does: notes what the first stage finds in recorded clips, then trains the second stage on that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from roadcraft.launch.options.training import TrainRoi
from roadcraft.launch.runs import Run
from roadcraft.perception.shipped import read_card
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.perception.network import Network


def train_roi(asked: TrainRoi, run: Run, out: Path, data: Path, validation: Path, command: str) -> None:
    """Trains on two folders of shards; peaks and the whole network's weights are in `out`."""
    from roadcraft.perception.roi_train import RoiTraining, train_second_stage, with_second_stage
    from roadcraft.perception.weights_io import load_network

    network, card = load_network(None if asked.init is None else Path(asked.init))
    whole = with_second_stage(network, asked.peaks, asked.seed, asked.go_on)
    (peaks, recorded), (judged, _) = (note(network, card["hash"], each, out / "peaks") for each in (data, validation))
    how = RoiTraining(
        peaks, judged, out,
        command=command, first_stage=card["hash"], recorded=recorded,
        steps=asked.steps, batch=asked.batch, rate=asked.rate, seed=asked.seed, go_on=asked.go_on,
    )  # fmt: skip
    best = train_second_stage(how, whole, card, lambda words: print(words, file=sys.stderr, flush=True))
    run.result.update(weights=best, steps=asked.steps, out=out)


def refuse_others(out: Path) -> None:
    """Raises UserError for a folder whose weights another verb trained: they would be replaced."""
    for weights in sorted(out.glob("*.safetensors")):
        if weights.name != "best.safetensors" or "second_stage" not in read_card(weights):
            raise UserError(
                f"resume {out}: {weights.name} there is another verb's; data and validation name its shards alone"
            )


def note(network: Network, weights: str, data: Path, folder: Path) -> tuple[Path, str]:
    """Notes what a network of that hash finds in the shards of `data` that have not been looked at yet; returns the
    folder in `folder` that holds the peaks of all of these and of no others, and what the shards are called. Raises
    UserError where there are none."""
    from roadcraft.perception.data import Shards
    from roadcraft.perception.roi_data import identity, record

    shards = Shards(data)
    if not shards.refresh():
        raise UserError(f"no shards in {data}: `roadcraft collect` records some")
    names = sorted({clip[0].shard.name for clip in shards.clips})
    found = folder / identity(weights, shards)
    for _ in tqdm(record(network, shards, found), total=len(names), unit="shard"):
        pass
    return found, f"{names[0]} to {names[-1]}, {len(names)} in all"

"""What `train roi` does: notes what the first stage finds in recorded clips, then trains the second stage on that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from roadcraft.launch.options.training import TrainRoi
from roadcraft.launch.runs import Run
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.perception.network import Network


def train_roi(asked: TrainRoi, run: Run, out: Path, data: Path, validation: Path, command: str) -> None:
    """Trains on two folders of shards; peaks and the whole network's weights are in `out`."""
    from roadcraft.perception.roi_train import RoiTraining, train_roi, with_second_stage
    from roadcraft.perception.weights_io import load_network

    network, card = load_network(None if asked.init is None else Path(asked.init))
    folder = out / "peaks" / str(card["hash"])
    for name, shards in (("train", data), ("validate", validation)):
        note(network, shards, folder / name)
    how = RoiTraining(
        folder / "train", folder / "validate", out,
        command=command, first_stage=card["hash"],
        steps=asked.steps, batch=asked.batch, rate=asked.rate, seed=asked.seed,
    )  # fmt: skip
    whole = with_second_stage(network, asked.peaks, asked.seed)
    best = train_roi(how, whole, card, lambda words: print(words, file=sys.stderr, flush=True))
    run.result.update(weights=best, steps=asked.steps, out=out)


def note(network: Network, data: Path, folder: Path) -> None:
    """Notes the peaks of the shards that have not been looked at yet. Raises UserError where there are no shards."""
    from roadcraft.perception.data import Shards
    from roadcraft.perception.roi_data import record

    shards = Shards(data)
    if not shards.refresh():
        raise UserError(f"no shards in {data}: `roadcraft collect` records some")
    for _ in tqdm(record(network, shards, folder), total=len({clip[0].shard for clip in shards.clips}), unit="shard"):
        pass

"""What test_devices.py starts under torchrun: a few steps of a tiny training run, then a checkpoint.

torchrun ... torchrun_worker.py SHARDS OUT STEPS
"""

from __future__ import annotations

import sys
from pathlib import Path

from roadcraft.perception.devices import team
from roadcraft.perception.train import Run, Training


def tiny(shards: Path, out: Path) -> Training:
    """Four steps of one clip of two frames."""
    return Training(data=shards, out=out, size="tiny", steps=4, batch=1, length=2, warm_up=1)


def work(shards: Path, out: Path, steps: int) -> None:
    """`steps` more steps of the run in `out`; the first process saves them."""
    with team():
        run = Run(tiny(shards, out))
        run.resume()
        for clips, _ in zip(run.batches(), range(steps), strict=False):
            run.train_step(clips)
        if run.seat.first:
            run.save()
        run.log.close()


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

"""Where training runs: on the CPU, on one GPU, or as one process for each of several under `torchrun`.

`team` joins the processes that torchrun started; `Seat.here` is this process's place among them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from roadcraft.perception import engines
from roadcraft.sim.errors import UserError

PATIENCE = timedelta(days=1)  # while the first process records or validates, the others wait
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Seat:
    """One process of a training run."""

    device: torch.device
    bf16: bool  # whether forward passes run under bf16 autocast
    rank: int = 0
    world: int = 1  # processes

    @staticmethod
    def here(bf16: bool) -> Seat:
        """This process's seat; `bf16` where it is wanted and the hardware multiplies it."""
        joined = dist.is_initialized()
        device = device_for(int(os.environ["LOCAL_RANK"]) if joined else 0, torch.cuda.device_count())
        rank, world = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
        return Seat(device, bf16 and has_bf16(device), rank, world)

    @property
    def first(self) -> bool:
        """Whether this is the process that saves, validates and reports."""
        return self.rank == 0

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        times = f"{self.world} processes, each on a " if self.world > 1 else ""
        return f"{times}{name}, {'bf16 autocast' if self.bf16 else 'f32'}"

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """The values, averaged over all processes: where one has a number that is not finite, all have."""
        if self.world == 1:
            return values
        tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return dict(zip(values, (tensor / self.world).tolist(), strict=True))


def device_for(local_rank: int, gpus: int) -> torch.device:
    """The GPU of a machine's `local_rank`-th process, the CPU where there is no GPU. Raises UserError where there
    are fewer GPUs than processes."""
    if gpus == 0:
        return torch.device("cpu")
    if local_rank >= gpus:
        raise UserError(f"process {local_rank + 1} of torchrun has no GPU: this machine has {gpus}")
    return torch.device("cuda", local_rank)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself: emulated on a CPU, it is ten times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return engines.has_bf16()


@contextmanager
def team() -> Iterator[None]:
    """Joins the processes of torchrun for as long as the block runs; alone without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    device = device_for(int(os.environ["LOCAL_RANK"]), torch.cuda.device_count())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def agreed(value: Value) -> Value:
    """The first process's value, in every process; waits for it."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]

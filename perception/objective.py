"""From clips to the one number that training minimises, wherever it runs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from roadcraft.perception.data import Clip
from roadcraft.perception.devices import Seat
from roadcraft.perception.distill import WEIGHT, distances
from roadcraft.perception.losses import Balance, Batch, collate, task_losses
from roadcraft.perception.network import Network


class Objective(nn.Module):
    """From clips to the one number to minimise: what DistributedDataParallel averages the gradients of. A teacher,
    which does not learn, sees the same clips with a memory of its own; what it says counts beside the labels."""

    def __init__(self, network: Network, balance: Balance, seat: Seat, teacher: Network | None = None) -> None:
        super().__init__()
        self.network, self.balance, self.seat, self.teacher = network, balance, seat, teacher

    def forward(self, frames: Tensor, motion: Tensor, targets: Batch) -> tuple[Tensor, Batch]:
        """The number, and each task's loss without its gradient; with a teacher also how far it is from that, as
        `task/taught`. See `tensors`."""
        heads = heads_of(self.network, self.seat, frames, motion)
        losses = losses_of(heads, self.seat, self.balance.tasks, targets)
        total, said = self.balance(losses), {task: loss.detach() for task, loss in losses.items()}
        if self.teacher is not None:
            with torch.no_grad():
                taught = heads_of(self.teacher, self.seat, frames, motion)
            apart = distances(heads, taught, targets["valid"].to(self.seat.device))
            total = total + WEIGHT * sum(w * apart[task] for task, w in self.balance.weights().items())
            said |= {f"{task}/taught": apart[task].detach() for task in self.balance.tasks}
        return total, said


def tensors(clips: list[Clip]) -> tuple[Tensor, Tensor, Batch]:
    """B clips as frames (B, T, H, W, 3), motion (B, T, MOTION) and targets, see `collate`."""
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    motion = torch.from_numpy(np.stack([clip.motion for clip in clips]))
    return frames, motion, collate([clip.targets for clip in clips])


def heads_of(network: Network, seat: Seat, frames: Tensor, motion: Tensor) -> Batch:
    """The network's raw heads for clips, computed where the seat is."""
    device = seat.device
    with torch.autocast(device.type, torch.bfloat16, enabled=seat.bf16):
        heads, _ = network(frames.to(device), motion.to(device))
    return heads


def losses_of(heads: Batch, seat: Seat, tasks: tuple[str, ...], targets: Batch) -> Batch:
    """The loss of each of `tasks`."""
    losses = task_losses(heads, {name: value.to(seat.device) for name, value in targets.items()})
    return {task: losses[task] for task in tasks}
